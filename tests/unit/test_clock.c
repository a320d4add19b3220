#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "cdc/base/clock.h"

static void prints_times(void **state)
{
    static const struct {
        int64_t us;
        const char *sql, *iso;
    } cases[] = {
        {0, "1970-01-01 00:00:00.000000", "1970-01-01T00:00:00.000Z"},
        {1767607872345678, "2026-01-05 10:11:12.345678", "2026-01-05T10:11:12.345Z"},
        {1767607872000999, "2026-01-05 10:11:12.000999", "2026-01-05T10:11:12.000Z"},
        {-1, "1969-12-31 23:59:59.999999", "1969-12-31T23:59:59.999Z"},
        {-1000000, "1969-12-31 23:59:59.000000", "1969-12-31T23:59:59.000Z"},
        {951782400000000, "2000-02-29 00:00:00.000000", "2000-02-29T00:00:00.000Z"},
        {253402300799999999, "9999-12-31 23:59:59.999999", "9999-12-31T23:59:59.999Z"},
    };
    char sql[27], iso[25];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(wall_sql((wall_us){cases[i].us}, sql, sizeof sql), cases[i].sql);
        assert_string_equal(wall_iso((wall_us){cases[i].us}, iso, sizeof iso), cases[i].iso);
    }
}

/* No time is so far off that the text does not end in its place. */
static void even_impossible_times(void **state)
{
    static const int64_t times[] = {INT64_MAX, INT64_MIN, INT64_MAX / 2, -62135596800000001};
    char out[27];
    (void)state;
    for (size_t i = 0; i < 4; i++)
        assert_in_range(strlen(wall_sql((wall_us){times[i]}, out, sizeof out)), 1, 26);
}

static void clocks_run(void **state)
{
    (void)state;
    mono_us before = clock_mono();
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    mono_us after = clock_mono();
    assert_in_range(mono_diff_us(after, before), 2000, 60000000);
    assert_int_equal(mono_diff_us(before, after), -mono_diff_us(after, before));
    assert_in_range(clock_wall().v / 1000000 - time(NULL) + 2, 0, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_times),
        cmocka_unit_test(even_impossible_times),
        cmocka_unit_test(clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
