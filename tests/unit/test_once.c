/* What stays is told once and then once in a while; what changes is told at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cdc/base/once.h"

enum { AGAIN_S = 60 };

static void pass_seconds(struct once *o, int64_t s)
{
    for (unsigned i = 0; i < o->ntold; i++)
        o->told[i].told_at.v -= s * 1000000;
}

static void test_what_is_news(void **state)
{
    static const struct {
        int64_t seconds_later;
        const char *text;
        bool news;
    } steps[] = {
        {0, "refused", true},  {0, "refused", false}, {59, "refused", false}, {1, "refused", true},
        {1, "refused", false}, {0, "timeout", true},  {0, "refused", false},  {0, "refused, twice", true},
        {0, "timeout", false}, {600, "gone", true},   {1, "gone", false},
    };
    struct once o = {0};

    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        pass_seconds(&o, steps[i].seconds_later);
        assert_int_equal(once_is_news(&o, steps[i].text, AGAIN_S), steps[i].news);
    }
    assert_string_equal(o.text, "gone");
}

/* Each told once, however they take turns; the one told the longest ago is forgotten for a fifth. */
static void test_a_trouble_of_several_faces(void **state)
{
    static const char *const faces[] = {"refused", "timeout", "cut off", "reset"};
    struct once o = {0};

    (void)state;
    for (int round = 0; round < 50; round++)
        for (size_t i = 0; i < ONCE_TEXTS; i++) {
            assert_int_equal(once_is_news(&o, faces[i], AGAIN_S), round == 0);
            pass_seconds(&o, round == 0);
        }
    assert_true(once_is_news(&o, "unplugged", AGAIN_S));
    assert_false(once_is_news(&o, faces[1], AGAIN_S));
    assert_false(once_is_news(&o, faces[3], AGAIN_S));
    assert_true(once_is_news(&o, faces[0], AGAIN_S));
}

static void test_what_is_over_is_news_again(void **state)
{
    struct once o = {0};

    (void)state;
    assert_string_equal(o.text, "");
    assert_true(once_is_news(&o, "refused", AGAIN_S));
    once_clear(&o);
    assert_string_equal(o.text, "");
    assert_true(once_is_news(&o, "refused", AGAIN_S));
    assert_true(once_is_news(&o, "refused", 0)); /* each time */
    assert_true(once_is_news(&o, "", AGAIN_S));  /* no text is no trouble that was told */
    assert_true(once_is_news(&o, "", AGAIN_S));
}

static void test_a_text_that_does_not_fit_is_the_same_all_the_same(void **state)
{
    struct once o = {0};
    char text[2 * sizeof o.text];

    (void)state;
    for (size_t len = sizeof o.text - 2; len < sizeof o.text + 2; len++) {
        memset(text, 'x', len);
        text[len] = '\0';
        once_clear(&o);
        assert_true(once_is_news(&o, text, AGAIN_S));
        assert_int_equal(strlen(o.text), len < sizeof o.text ? len : sizeof o.text - 1);
        assert_false(once_is_news(&o, text, AGAIN_S));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_news),
        cmocka_unit_test(test_a_trouble_of_several_faces),
        cmocka_unit_test(test_what_is_over_is_news_again),
        cmocka_unit_test(test_a_text_that_does_not_fit_is_the_same_all_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
