/* Rate and remaining time, and what is shown of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/cli/progress.h"
#include "cdc/cli/text.h"

static mono_us at_ms(int64_t ms)
{
    mono_us t = {1000000000 + ms * 1000};
    return t;
}

/* ---- Arithmetic ---- */

static void a_rate_is_of_the_last_seconds(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    assert_true(progress_rate_per_s(&r) < 0);
    progress_rate_add(&r, at_ms(0), 1000); /* where a resumed work begins counts for nothing */
    assert_true(progress_rate_per_s(&r) < 0);
    progress_rate_add(&r, at_ms(300), 1300);
    assert_true(progress_rate_per_s(&r) < 0); /* too short a while */
    progress_rate_add(&r, at_ms(1000), 2000);
    assert_float_equal(progress_rate_per_s(&r), 1000, 0.01);

    /* Ten times as fast: after the window nothing is left of what was. */
    uint64_t done = 2000;
    for (int64_t ms = 1200; ms <= 7200; ms += 200)
        progress_rate_add(&r, at_ms(ms), done += 2000);
    assert_float_equal(progress_rate_per_s(&r), 10000, 0.01);
    for (int64_t ms = 7400; ms <= 13400; ms += 200)
        progress_rate_add(&r, at_ms(ms), done);
    assert_float_equal(progress_rate_per_s(&r), 0, 0.01);
}

static void samples_far_apart_and_close_together(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    for (int64_t s = 0; s <= 300; s += 60)
        progress_rate_add(&r, at_ms(s * 1000), (uint64_t)s * 7);
    assert_float_equal(progress_rate_per_s(&r), 7, 0.01);

    /* A thousand a second: they do not push each other out of the window. */
    memset(&r, 0, sizeof(r));
    for (int64_t ms = 0; ms <= 20000; ms++)
        progress_rate_add(&r, at_ms(ms), ms < 17500 ? 0 : (uint64_t)(ms - 17500) * 2);
    assert_float_equal(progress_rate_per_s(&r), 1000, 100);
}

static void work_that_goes_back_begins_anew(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    progress_rate_add(&r, at_ms(0), 0);
    progress_rate_add(&r, at_ms(1000), 500000);
    progress_rate_add(&r, at_ms(1010), 100); /* the daemon was started again */
    assert_true(progress_rate_per_s(&r) < 0);
    progress_rate_add(&r, at_ms(3010), 300);
    assert_float_equal(progress_rate_per_s(&r), 100, 0.01);
}

static void numbers_at_their_ends(void **state)
{
    struct progress_rate r = {0};
    (void)state;

    progress_rate_add(&r, at_ms(0), 0);
    progress_rate_add(&r, at_ms(1000), UINT64_MAX);
    assert_true(progress_rate_per_s(&r) > 1e19);
    progress_rate_add(&r, at_ms(1000), 0);
    assert_true(progress_rate_per_s(&r) < 0);
}

static void time_that_is_left(void **state)
{
    static const struct {
        uint64_t done, expected;
        double per_s;
        int64_t left_s;
    } cases[] = {
        {0, 1000, 100, 10},
        {500, 1000, 100, 5},
        {999, 1000, 100, 0},
        {1000, 1000, 100, -1}, /* an estimate that was reached says nothing */
        {2000, 1000, 100, -1},
        {0, 1000, 0, -1},
        {0, 1000, -1, -1},
        {0, 0, 100, -1},
        {0, 99 * 86400, 1, 99 * 86400},
        {0, 100 * 86400, 1, -1},
        {0, UINT64_MAX, 1e-300, -1},
        {0, UINT64_MAX, 1e300, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t left_s = progress_left_s(cases[i].done, cases[i].expected, cases[i].per_s);
        if (left_s != cases[i].left_s)
            fail_msg("case %zu: %lld", i, (long long)left_s);
    }
}

static void percent_never_says_that_it_is_done(void **state)
{
    static const struct {
        uint64_t done, expected;
        int percent;
    } cases[] = {
        {0, 0, -1},         {5, 0, -1},     {0, 100, 0},
        {1, 1000, 0},       {42, 100, 42},  {999, 1000, 99},
        {1000, 1000, 99},   {5000, 10, 99}, {UINT64_MAX - 1, UINT64_MAX, 99},
        {1, UINT64_MAX, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(progress_percent(cases[i].done, cases[i].expected), cases[i].percent);
}

/* ---- The line ---- */

static void check_line(struct progress *p, uint64_t done, uint64_t expected, const char *text, int columns,
                       const char *wanted)
{
    struct buf line = BUF_INIT;
    progress_line(p, done, expected, text, columns, &line);
    assert_string_equal(line.data, wanted);
    assert_int_equal(line.len, strlen(wanted));
    assert_true(columns == 0 || text_width(line.data) <= columns);
    buf_done(&line);
}

static void a_line_as_wide_as_there_is_room(void **state)
{
    struct progress p;
    (void)state;

    progress_begin(&p, stderr, "resync users");
    progress_rate_add(&p.rate, at_ms(0), 0);
    progress_rate_add(&p.rate, at_ms(1000), 20000);
    check_line(&p, 420000, 1000000, "12 conflicts", 0,
               "resync users: 42 %, 420,000 of about 1,000,000 rows, 20,000 rows/s, 29 s left, 12 conflicts");
    check_line(&p, 420000, 1000000, NULL, 79,
               "resync users  [###......] 42 %  420,000 of ~1,000,000 rows  20,000/s  29 s left");
    check_line(&p, 420000, 1000000, "12 conflicts", 120,
               "resync users  [############..................] 42 %  420,000 of ~1,000,000 rows  20,000/s  "
               "29 s left  12 conflicts");
    check_line(&p, 420000, 1000000, "12 conflicts", 86,
               "resync users  [####......] 42 %  420,000 of ~1,000,000 rows  20,000/s  29 s left  12 c");
    check_line(&p, 420000, 1000000, "12 conflicts", 40, "resync users 42 %  420,000 of ~1,000,000");
    check_line(&p, 7, 0, NULL, 79, "resync users  7 rows  20,000/s");
    check_line(&p, 7, 0, "x", 0, "resync users: 7 rows, 20,000 rows/s, x");
    check_line(&p, 1007, 1000, "", 79,
               "resync users  [#############################.] 99 %  1,007 rows  20,000/s");
    check_line(&p, 7, 0,
               "\033[2J\r\n\xc2\x9b"
               "1m\x7f",
               79, "resync users  7 rows  20,000/s  ?[2J???1m?");
    check_line(&p, 7, 0, "\xc3\xbc\xc3\xbc\xc3\xbc", 34, "resync users  7 rows  20,000/s  \xc3\xbc\xc3\xbc");
    progress_end(&p);
}

static void plain_lines_come_when_something_has_changed(void **state)
{
    char *out = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&out, &len);
    struct progress p;
    (void)state;

    progress_begin(&p, f, "users");
    assert_false(p.terminal);
    progress_update_at(&p, at_ms(0), 0, 1000, NULL);
    for (int64_t ms = 200; ms <= 4800; ms += 200)
        progress_update_at(&p, at_ms(ms), (uint64_t)ms / 100, 1000, NULL);
    assert_string_equal(out, "users: 0 %, 0 of about 1,000 rows\n");
    progress_update_at(&p, at_ms(5000), 50, 1000, NULL);
    progress_update_at(&p, at_ms(5200), 52, 1000, "hurries");
    assert_string_equal(out, "users: 0 %, 0 of about 1,000 rows\n"
                             "users: 5 %, 50 of about 1,000 rows, 10 rows/s, 1 min 35 s left\n");
    for (int64_t ms = 20000; ms < 60000; ms += 200)
        progress_update_at(&p, at_ms(ms), 60, 1000, NULL);
    progress_update_at(&p, at_ms(60000), 60, 1000, "waits");
    progress_wait_at(&p, at_ms(61000), "no answer\r\033[A");
    progress_wait_at(&p, at_ms(65000), "no answer\r\033[A");
    progress_wait_at(&p, at_ms(70000), "no answer\r\033[A");
    progress_clear(&p); /* has nothing to take away */
    progress_end(&p);
    fclose(f);
    assert_string_equal(strchr(strchr(out, '\n') + 1, '\n') + 1,
                        "users: 6 %, 60 of about 1,000 rows, 0.5 rows/s, 28 min 59 s left\n"
                        "users: 6 %, 60 of about 1,000 rows, 0 rows/s, waits\n"
                        "users: no answer??[A\n");
    free(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_of_the_last_seconds),
        cmocka_unit_test(samples_far_apart_and_close_together),
        cmocka_unit_test(work_that_goes_back_begins_anew),
        cmocka_unit_test(numbers_at_their_ends),
        cmocka_unit_test(time_that_is_left),
        cmocka_unit_test(percent_never_says_that_it_is_done),
        cmocka_unit_test(a_line_as_wide_as_there_is_room),
        cmocka_unit_test(plain_lines_come_when_something_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
