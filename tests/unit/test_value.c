#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "cdc/model/value.h"

static struct value text(const char *s) { return (struct value){s, (uint32_t)strlen(s), VALUE_SET}; }

static void equality(void **state)
{
    const struct value null = {NULL, 0, VALUE_NULL}, missing = {NULL, 0, VALUE_MISSING};
    const struct value sealed = {"a", 1, VALUE_SEALED}, empty = {NULL, 0, VALUE_SET};
    const struct value a = text("a"), b = text("b"), aa = text("aa"), a_too = text("a"), empty_too = text("");
    const struct value nul = {"a\0b", 3, VALUE_SET}, nul_too = {"a\0c", 3, VALUE_SET};
    const struct {
        const struct value *a, *b;
        bool equal;
    } cases[] = {
        {&null, &null, true},
        {&null, &empty, false},
        {&null, &missing, false},
        {&null, &sealed, false},
        {&missing, &missing, false},
        {&missing, &a, false},
        {&sealed, &sealed, false},
        {&sealed, &a, false},
        {&empty, &empty, true},
        {&empty, &empty_too, true},
        {&empty, &a, false},
        {&a, &a_too, true},
        {&a, &b, false},
        {&a, &aa, false},
        {&nul, &nul, true},
        {&nul, &nul_too, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(value_equal(cases[i].a, cases[i].b), cases[i].equal);
        assert_int_equal(value_equal(cases[i].b, cases[i].a), cases[i].equal);
    }
}

static void integers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        value_int number;
        bool is_64; /* with a sign */
    } cases[] = {
        {"0", true, 0, true},
        {"42", true, 42, true},
        {"-1", true, -1, true},
        {"9223372036854775807", true, INT64_MAX, true},
        {"-9223372036854775808", true, INT64_MIN, true},
        {"-9223372036854775807", true, -INT64_MAX, true},
        {"9223372036854775808", true, (value_int)INT64_MAX + 1, false},
        {"-9223372036854775809", false, 0, false},
        {"18446744073709551615", true, UINT64_MAX, false},
        {"18446744073709551616", false, 0, false},
        {"18446744073709551620", false, 0, false},
        {"99999999999999999999999", false, 0, false},
        {"", false, 0, false},
        {"-", false, 0, false},
        {"+1", false, 0, false},
        {"1.0", false, 0, false},
        {" 1", false, 0, false},
        {"1 ", false, 0, false},
        {"--1", false, 0, false},
        {"0x1", false, 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct value v = text(cases[i].text);
        value_int n = 0;
        int64_t signed_n = 0;
        char out[VALUE_INT_TEXT];
        assert_int_equal(value_to_int(&v, &n), cases[i].ok);
        assert_true(n == cases[i].number);
        if (cases[i].ok)
            assert_string_equal(value_int_text(n, out), cases[i].text);
        assert_int_equal(value_to_int64(&v, &signed_n), cases[i].is_64);
        assert_true(signed_n == (cases[i].is_64 ? (int64_t)cases[i].number : 0));
        v.state = VALUE_SEALED;
        assert_false(value_to_int(&v, &n));
    }
    struct value null = {NULL, 0, VALUE_NULL};
    value_int n;
    assert_false(value_to_int(&null, &n));
}

static void times(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t us;
    } cases[] = {
        {"1970-01-01 00:00:00", true, 0},
        {"1970-01-01 00:00:00.000001", true, 1},
        {"1970-01-01 00:00:00.5", true, 500000},
        {"1969-12-31 23:59:59.9", true, -100000},
        {"2026-01-05 10:11:12.345678", true, 1767607872345678},
        {"2000-02-29 00:00:00", true, 951782400000000},
        {"2100-02-29 00:00:00", false, 0},
        {"2024-02-30 00:00:00", false, 0},
        {"2023-04-31 00:00:00", false, 0},
        {"9999-12-31 23:59:59.999999", true, 253402300799999999},
        {"1000-01-01 00:00:00", true, -30610224000000000},
        {"0000-01-01 00:00:00", true, -62167219200000000},
        {"0000-00-00 00:00:00", false, 0},
        {"2026-00-05 10:11:12", false, 0},
        {"2026-01-00 10:11:12", false, 0},
        {"2026-13-05 10:11:12", false, 0},
        {"2026-01-32 10:11:12", false, 0},
        {"2026-01-05 24:00:00", false, 0},
        {"2026-01-05 10:60:12", false, 0},
        {"2026-01-05 10:11:60", false, 0},
        {"2026-01-05 10:11:12.", false, 0},
        {"2026-01-05 10:11:12.1234567", false, 0},
        {"2026-01-05 10:11:12.12x", false, 0},
        {"2026-01-05 10:11:12,5", false, 0},
        {"2026-01-05T10:11:12", false, 0},
        {"2026-01-05 10:11", false, 0},
        {"2026-01-05", false, 0},
        {"", false, 0},
        {"-026-01-05 10:11:12", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct value v = text(cases[i].text);
        int64_t us = 0;
        if (value_to_us(&v, &us) != cases[i].ok || us != cases[i].us)
            fail_msg("%s -> %jd", cases[i].text, (intmax_t)us);
        v.state = VALUE_NULL;
        assert_false(value_to_us(&v, &us));
    }
}

/* As the C library counts, on a day of every month for a thousand years. */
static void times_as_timegm(void **state)
{
    (void)state;
    for (int month = 0; month < 12 * 1000; month++) {
        struct tm tm = {.tm_year = 1500 - 1900 + month / 12,
                        .tm_mon = month % 12,
                        .tm_mday = 1 + month % 28,
                        .tm_hour = month % 24,
                        .tm_min = month % 60,
                        .tm_sec = month % 59};
        char s[64];
        int64_t us;
        strftime(s, sizeof s, "%Y-%m-%d %H:%M:%S", &tm);
        struct value v = text(s);
        assert_true(value_to_us(&v, &us));
        assert_true(us == (int64_t)timegm(&tm) * 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality),
        cmocka_unit_test(integers),
        cmocka_unit_test(times),
        cmocka_unit_test(times_as_timegm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
