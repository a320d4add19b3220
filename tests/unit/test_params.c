/* The parameters of a request: what is taken, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/service/params.h"

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *text, *value; /* of a */
    } cases[] = {
        {"a=1", "1"},         {"a=%31", "1"},   {"%61=x", "x"},
        {"a=1+2%2b", "1 2+"}, {"a=b=c", "b=c"}, {"b=2&a=1", "1"},
        {"&&a=1&&", "1"},     {"a=%25", "%"},   {"a=%c3%A9", "\xc3\xa9"},
        {"a=%26%3D", "&="},   {"b=%2&x", NULL}, {"b=1", NULL},
        {"", NULL},           {"A=1", NULL},    {"a%20=1", NULL},
        {"a=%0d%0a", "\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct params p = {0};
        params_parse(&p, cases[i].text, strlen(cases[i].text));
        const char *got = params_get(&p, "a");
        if ((got == NULL) != (cases[i].value == NULL) || (got != NULL && strcmp(got, cases[i].value) != 0))
            fail_msg("%s: %s", cases[i].text, got != NULL ? got : "nothing");
        params_done(&p);
    }
}

static void test_problems(void **state)
{
    (void)state;
    static const char *const known[] = {"a", "b", NULL}, *const none[] = {NULL};
    static const struct {
        const char *text, *problem;
        size_t len; /* 0: all */
    } cases[] = {
        {"a=1&a=1", "parameter \"a\" is given twice", 0},
        {"a=1&%61=2", "parameter \"a\" is given twice", 0},
        {"a", "parameter \"a\" is empty; leave it out or give it a value", 0},
        {"a=&b=1", "parameter \"a\" is empty; leave it out or give it a value", 0},
        {"=1", "a parameter has no name; NAME=VALUE is right", 0},
        {"=", "a parameter has no name; NAME=VALUE is right", 0},
        {"a=%0", "a parameter holds a NUL or a % that two hex digits do not follow", 0},
        {"a=%", "a parameter holds a NUL or a % that two hex digits do not follow", 0},
        {"a=%0g", "a parameter holds a NUL or a % that two hex digits do not follow", 0},
        {"a=1%002", "a parameter holds a NUL or a % that two hex digits do not follow", 0},
        {"a=%41", "a parameter holds a NUL or a % that two hex digits do not follow", 4},
        {"a=1\0b", "a parameter holds a NUL or a % that two hex digits do not follow", 5},
        {"c=1", "unknown parameter \"c\"; known here: a, b", 0},
        {"a=1&AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=1",
         "unknown parameter \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"; known here: a, b", 0},
        {"c=1&a=", "parameter \"a\" is empty; leave it out or give it a value", 0},
        {"1=1&2=1&3=1&4=1&5=1&6=1&7=1&8=1&9=1&10=1&11=1&12=1&13=1&14=1&15=1&16=1&17=1", "too many parameters",
         0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct params p = {0};
        size_t len = cases[i].len > 0 ? cases[i].len : strlen(cases[i].text);
        params_parse(&p, cases[i].text, len);
        assert_false(params_check(&p, known));
        assert_string_equal(p.problem, cases[i].problem);
        params_done(&p);
    }
    struct params p = {0};
    assert_true(params_parse(&p, "b=2", 3));
    assert_true(params_parse(&p, "a=1", 3)); /* a form behind a query */
    assert_true(params_check(&p, known));
    assert_false(params_check(&p, none));
    assert_string_equal(p.problem, "unknown parameter \"b\"; this route has none");
    params_done(&p);
}

static void test_typed(void **state)
{
    (void)state;
    static const char *const modes[] = {"merge", "force", NULL};
    static const char text[] = "m=force&n=17&x=Force&y=18446744073709551616&z=007";
    struct params p = {0};
    uint64_t n = 5;
    int mode = -1;
    assert_true(params_parse(&p, text, strlen(text)));
    assert_true(params_choice(&p, "m", modes, &mode));
    assert_int_equal(mode, 1);
    assert_true(params_number(&p, "n", 1, 17, &n));
    assert_int_equal(n, 17);
    assert_true(params_number(&p, "not given", 1, 2, &n));
    assert_true(params_choice(&p, "not given", modes, &mode));
    assert_int_equal(n, 17);
    assert_int_equal(mode, 1);
    assert_false(params_number(&p, "n", 18, 20, &n));
    assert_string_equal(p.problem, "n is \"17\"; must be a number from 18 to 20");
    p.problem[0] = '\0';
    assert_false(params_choice(&p, "x", modes, &mode));
    assert_string_equal(p.problem, "x is \"Force\"; must be merge or force");
    assert_false(params_number(&p, "y", 0, UINT64_MAX, &n));
    assert_false(params_number(&p, "z", 0, 10, &n));
    assert_int_equal(n, 17);
    params_done(&p);
}

/* Property: no bytes make it fall over, and what it takes has a name and a value. */
static void test_garbage(void **state)
{
    (void)state;
    static const char alphabet[] = "a=&%0+1f\0\xff";
    static const char *const known[] = {"a", "f", NULL};
    unsigned seed = 3;
    size_t taken = 0;
    for (int i = 0; i < 200000; i++) {
        char text[24];
        size_t len = (size_t)rand_r(&seed) % sizeof(text);
        char *exact = malloc(len + 1); /* so that a sanitizer sees a byte too far */
        for (size_t j = 0; j < len; j++)
            exact[j] = text[j] = alphabet[(size_t)rand_r(&seed) % (sizeof(alphabet) - 1)];
        exact = realloc(exact, len > 0 ? len : 1);
        struct params p = {0};
        bool ok = params_parse(&p, exact, len);
        assert_int_equal(ok, p.problem[0] == '\0');
        for (size_t j = 0; j < p.count; j++)
            assert_true(p.list[j].name[0] != '\0' && p.list[j].value[0] != '\0');
        taken += ok && p.count > 0;
        params_check(&p, known);
        params_done(&p);
        free(exact);
    }
    assert_true(taken > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
