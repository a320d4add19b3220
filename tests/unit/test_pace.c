#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliers/pace.h"

/* One look after the other: when, how many have been handed on by then, and what follows from it. */
static void gentle_while_applications_write(void **state)
{
    static const struct {
        int64_t at_ms;
        uint64_t handed_on;
        bool gentle;
    } looks[] = {
        {0, 7, false},     /* what came before the job says nothing */
        {10, 7, false},    /* */
        {20, 8, true},     /* the first one */
        {30, 8, true},     /* */
        {519, 8, true},    /* not quiet for long enough */
        {520, 8, false},   /* quiet */
        {530, 8, false},   /* */
        {540, 20, true},   /* again */
        {1000, 21, true},  /* one now and then is enough */
        {1499, 21, true},  /* */
        {1500, 21, false}, /* */
        {9000, 22, true},  /* grown since the last look, however long ago that was */
    };
    struct pace p;
    (void)state;

    pace_begin(&p, 7);
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        pace_look(&p, looks[i].handed_on, (mono_us){1000000 + looks[i].at_ms * 1000});
        assert_int_equal(p.gentle, looks[i].gentle);
    }
}

static void a_share_of_each_limit(void **state)
{
    struct pace p;
    (void)state;

    pace_begin(&p, 0);
    assert_int_equal(pace_rows(&p, 1000), 1000);
    assert_int_equal(pace_rows(&p, 1), 1);
    assert_int_equal(pace_bytes(&p, 2 << 20), 2 << 20);
    pace_look(&p, 1, (mono_us){1});
    assert_int_equal(pace_rows(&p, 1000), 62);
    assert_int_equal(pace_rows(&p, 100), 32);
    assert_int_equal(pace_rows(&p, 5), 5);
    assert_int_equal(pace_bytes(&p, 2 << 20), 1 << 17);
    assert_int_equal(pace_bytes(&p, 5), 1); /* or the walk would never end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gentle_while_applications_write),
        cmocka_unit_test(a_share_of_each_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
