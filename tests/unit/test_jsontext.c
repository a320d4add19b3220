/* JSON texts that say the same have one canonical form, and what is no JSON has none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/model/jsontext.h"

static const struct {
    const char *text, *want; /* NULL: no JSON */
} cases[] = {
    {"null", "null"},
    {" true ", "true"},
    {"\t[ ]\r\n", "[]"},
    {"{}", "{}"},
    {"{\"bb\":1,\"a\":{\"x\" : [1,2 ,3]}}", "{\"a\": {\"x\": [1, 2, 3]}, \"bb\": 1}"},
    {"{\"a\": 1, \"b\": 2, \"a\": 3}", "{\"a\": 3, \"b\": 2}"}, /* the last counts */
    {"{\"b\":1,\"\":2,\"aa\":3}", "{\"\": 2, \"b\": 1, \"aa\": 3}"},
    {"{\"\\u0061\":1}", "{\"a\": 1}"},
    /* numbers: 64 bits are integers, the rest doubles */
    {"0", "0"},
    {"-0", "0"},
    {"-0.0", "-0.0"},
    {"1.0", "1.0"},
    {"1.50", "1.5"},
    {"1e2", "100.0"},
    {"1E+2", "100.0"},
    {"0.1", "0.1"},
    {"100000000000000000000", "1e20"},
    {"18446744073709551615", "18446744073709551615"},
    {"18446744073709551616", "1.8446744073709552e19"},
    {"-9223372036854775808", "-9223372036854775808"},
    {"-9223372036854775809", "-9.223372036854776e18"},
    {"1e400", NULL},
    {"01", NULL},
    {"-", NULL},
    {"1.", NULL},
    {".5", NULL},
    {"1e", NULL},
    {"+1", NULL},
    /* strings */
    {"\"\"", "\"\""},
    {"\"a\\/b\\u0001\\n\\\"\\\\\"", "\"a/b\\u0001\\n\\\"\\\\\""},
    {"\"\\ud83e\\udd80\\u00e9\"", "\"\xf0\x9f\xa6\x80\xc3\xa9\""},
    {"\"\\u0000\"", "\"\\u0000\""},
    {"\"\\ud83e\"", NULL},
    {"\"\\udd80\"", NULL},
    {"\"\\ud83e\\u0041\"", NULL},
    {"\"\\x\"", NULL},
    {"\"\\u12g4\"", NULL},
    {"\"a\nb\"", NULL},
    {"\"open", NULL},
    {"\"open\\", NULL},
    {"\"open\\\"", NULL},
    /* what is no document */
    {"", NULL},
    {" ", NULL},
    {"nul", NULL},
    {"True", NULL},
    {"[1,]", NULL},
    {"[1 2]", NULL},
    {"{a:1}", NULL},
    {"{\"a\"}", NULL},
    {"{\"a\":1,}", NULL},
    {"[", NULL},
    {"1 1", NULL},
    {"{} x", NULL},
};

/* In memory of exactly that size. */
static bool canonical(const char *text, size_t len, struct buf *out)
{
    char *exact = mem_alloc(len);
    if (len > 0)
        memcpy(exact, text, len);
    bool ok = jsontext_canonical(exact, len, out);
    free(exact);
    return ok;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT, again = BUF_INIT;
        bool ok = canonical(cases[i].text, strlen(cases[i].text), &out);
        if (ok != (cases[i].want != NULL))
            fail_msg("%s: %s", cases[i].text, ok ? "not refused" : "refused");
        if (!ok)
            assert_int_equal(out.len, 0);
        if (ok && (out.len != strlen(cases[i].want) || memcmp(out.data, cases[i].want, out.len) != 0))
            fail_msg("%s: %.*s, not %s", cases[i].text, (int)out.len, out.data, cases[i].want);
        /* what is canonical stays as it is */
        if (ok) {
            assert_true(canonical(out.data, out.len, &again));
            assert_int_equal(again.len, out.len);
            assert_memory_equal(again.data, out.data, out.len);
        }
        buf_done(&out);
        buf_done(&again);
    }
}

/* Cut anywhere: refused or shorter, and nothing behind it is read. */
static void test_cuts(void **state)
{
    static const char text[] = "{\"a\": [1, -2.5e-3, \"x\\u00e9\\n\", null, {\"b\": true}], \"\\\\\": \"\"}";
    (void)state;
    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct buf out = BUF_INIT;
        assert_false(canonical(text, len, &out));
        buf_done(&out);
    }
}

/* A value in the innermost array is no level of its own. */
static void test_depth(void **state)
{
    static const char *const innermost[] = {"", "1", "\"x\"", "null", "1, {}"};
    (void)state;
    for (int depth = 99; depth <= 102; depth++) {
        for (size_t i = 0; i < 5; i++) {
            struct buf text = BUF_INIT, out = BUF_INIT;
            for (int k = 0; k < depth; k++)
                buf_addc(&text, '[');
            buf_adds(&text, innermost[i]);
            for (int k = 0; k < depth; k++)
                buf_addc(&text, ']');
            assert_int_equal(canonical(text.data, text.len, &out), depth + (i == 4) <= 100);
            buf_done(&text);
            buf_done(&out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
