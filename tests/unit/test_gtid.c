#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/model/gtid.h"

#define A "0a000000-0000-0000-0000-000000000001"
#define B "0b000000-0000-0000-0000-000000000002"

static struct gtid_set set_of(const char *text)
{
    struct gtid_set s = {NULL, 0};
    struct err err = ERR_INIT;

    if (!gtid_set_parse(&s, text, &err))
        fail_msg("%s: %s", text, err.text);
    return s;
}

static void expect_set(const struct gtid_set *s, const char *want)
{
    struct buf out = BUF_INIT;

    buf_adds(&out, "");
    gtid_set_print(s, &out);
    assert_string_equal(out.data, want);
    buf_done(&out);
}

static void texts_are_read_and_printed(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"", ""},
        {" \n", ""},
        {A ":1", A ":1"},
        {A ":1-5", A ":1-5"},
        {A ":1-5:6", A ":1-6"},
        {A ":7:1-5", A ":1-5:7"},
        {A ":3-9:1-5", A ":1-9"},
        {A ":5-9:1-20:30", A ":1-20:30"},
        {B ":1,\n" A ":2", A ":2," B ":1"},
        {"0A000000-0000-0000-0000-000000000001:1", A ":1"},
        {A ":1-3:tag:5:4", A ":1-3:tag:4-5"},
        {A ":TAG:1:1-3", A ":tag:1-3"},
        {A ":b:1:a:2, " A ":9", A ":9:a:2:b:1"},
        {A " : 1 - 5 , " B ":2", A ":1-5," B ":2"},
        {A ":9223372036854775806", A ":9223372036854775806"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gtid_set s = set_of(cases[i].text);

        expect_set(&s, cases[i].printed);
        gtid_set_done(&s);
    }
}

static struct gtid gtid_of(const char *text)
{
    struct gtid_set s = set_of(text);
    struct gtid g = {.kind = GTID_MYSQL, .seq = s.sources[0].ranges[0].first};

    memcpy(g.uuid, s.sources[0].uuid, sizeof g.uuid);
    strcpy(g.tag, s.sources[0].tag);
    gtid_set_done(&s);
    return g;
}

static void ids_are_added_and_found(void **state)
{
    static const char *const added[] = {A ":5", A ":3", A ":4", B ":1", A ":t:4", A ":9", A ":4"};
    struct gtid_set s = {NULL, 0};

    (void)state;
    for (size_t i = 0; i < sizeof added / sizeof *added; i++) {
        struct gtid g = gtid_of(added[i]);

        gtid_set_add(&s, &g);
        assert_true(gtid_set_includes(&s, &g));
    }
    expect_set(&s, A ":3-5:9:t:4," B ":1");
    static const char *const others[] = {A ":2", A ":6", A ":8", A ":10", B ":2", A ":t:3", B ":t:4"};

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct gtid g = gtid_of(others[i]);

        assert_false(gtid_set_includes(&s, &g));
    }
    assert_true(gtid_set_has_tags(&s));
    gtid_set_done(&s);
    assert_true(gtid_set_is_empty(&s));
}

static void sets_meet(void **state)
{
    static const struct {
        const char *a, *b, *both;
        bool a_covers_b;
    } cases[] = {
        {A ":1-5", "", "", true},
        {"", A ":1", "", false},
        {A ":1-5", A ":2-4", A ":2-4", true},
        {A ":1-5", A ":4-9", A ":4-5", false},
        {A ":1-5:7-9", A ":5-7", A ":5:7", false},
        {A ":1-5:7-9", A ":2:8-9", A ":2:8-9", true},
        {A ":1-5", B ":1-5", "", false},
        {A ":1-5:t:1-5," B ":1-3", A ":t:2," B ":3-4", A ":t:2," B ":3", false},
        {A ":1:3:5:7:9", A ":1-9", A ":1:3:5:7:9", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct gtid_set a = set_of(cases[i].a), b = set_of(cases[i].b);

        assert_int_equal(gtid_set_covers(&a, &b), cases[i].a_covers_b);
        assert_int_equal(gtid_set_equal(&a, &b), false);
        gtid_set_intersect(&a, &b);
        expect_set(&a, cases[i].both);
        assert_true(gtid_set_covers(&b, &a));
        gtid_set_done(&a);
        gtid_set_done(&b);
    }
}

/* Against one bit a number. */
static void random_sets_are_sets_of_numbers(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        struct gtid_set s[2] = {{NULL, 0}, {NULL, 0}};
        uint64_t bits[2] = {0, 0};
        struct gtid g = gtid_of(A ":1");

        for (int i = 0; i < 2; i++)
            for (int n = 0; n < 20; n++) {
                seed = seed * 1103515245U + 12345U;
                g.seq = 1 + (seed >> 16) % 40;
                gtid_set_add(&s[i], &g);
                bits[i] |= UINT64_C(1) << g.seq;
            }
        assert_int_equal(gtid_set_covers(&s[0], &s[1]), (bits[1] & ~bits[0]) == 0);
        gtid_set_intersect(&s[0], &s[1]);
        for (g.seq = 1; g.seq <= 41; g.seq++)
            assert_int_equal(gtid_set_includes(&s[0], &g), (bits[0] & bits[1]) >> g.seq & 1);
        gtid_set_done(&s[0]);
        gtid_set_done(&s[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_read_and_printed),
        cmocka_unit_test(ids_are_added_and_found),
        cmocka_unit_test(sets_meet),
        cmocka_unit_test(random_sets_are_sets_of_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
