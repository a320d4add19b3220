#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/err.h"

static void set_says_what_it_is_told(void **state)
{
    struct err err = ERR_INIT;
    (void)state;

    assert_false(err_set(&err, ERR_BUSY, 1213, "deadlock on %s", "auth"));
    assert_int_equal(err.kind, ERR_BUSY);
    assert_int_equal(err.code, 1213);
    assert_true(err.index == SIZE_MAX);
    assert_string_equal(err.text, "deadlock on auth");

    assert_false(err_prefix(&err, "apply %d rows", 7));
    assert_string_equal(err.text, "apply 7 rows: deadlock on auth");
    assert_int_equal(err.kind, ERR_BUSY);
    assert_int_equal(err.code, 1213);

    err_clear(&err);
    assert_int_equal(err.kind, ERR_NONE);
    assert_string_equal(err.text, "");
}

static void nobody_listens(void **state)
{
    (void)state;
    assert_false(err_set(NULL, ERR_RETRY, 0, "x"));
    assert_false(err_prefix(NULL, "x"));
    err_clear(NULL);
}

static void one_line_only(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    err_set(&err, ERR_ROW, 0, "a\nb\tc\x7f\r\n");
    assert_string_equal(err.text, "a b c");
}

static void its_own_text_as_argument(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    err_set(&err, ERR_ROW, 0, "inner");
    err_set(&err, ERR_ROW, 0, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

/* Whatever the length, the text ends inside, and with a whole character. */
static void cuts_between_characters(void **state)
{
    (void)state;
    static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    for (size_t c = 0; c < 4; c++) {
        size_t width = strlen(characters[c]);
        for (size_t lead = 0; lead < 4; lead++) {
            char long_text[2000] = "";
            memset(long_text, 'a', lead);
            for (size_t i = 0; i < 300; i++)
                memcpy(long_text + lead + i * width, characters[c], width + 1);

            struct err err = ERR_INIT;
            err_set(&err, ERR_RETRY, 0, "%s%s", long_text, width == 1 ? long_text : "");
            size_t len = strlen(err.text);
            assert_in_range(len, sizeof err.text - 4, sizeof err.text - 1);
            assert_int_equal((len - lead) % width, 0);

            err_prefix(&err, "%s", "front");
            assert_memory_equal(err.text, "front: ", 7);
            len = strlen(err.text);
            assert_in_range(len, sizeof err.text - 4, sizeof err.text - 1);
            assert_int_equal((len - lead - 7) % width, 0);
        }
    }
}

static void a_prefix_that_fills_all(void **state)
{
    struct err err = ERR_INIT;
    char text[1000];
    (void)state;
    memset(text, 'p', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    err_set(&err, ERR_RETRY, 0, "x");
    err_prefix(&err, "%s", text);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (int a = ERR_NONE; a <= ERR_STOPPED; a++)
        for (int b = ERR_NONE; b < a; b++)
            assert_string_not_equal(err_kind_name((enum err_kind)a), err_kind_name((enum err_kind)b));
    assert_string_equal(err_kind_name(ERR_LOST), "lost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_says_what_it_is_told),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(one_line_only),
        cmocka_unit_test(its_own_text_as_argument),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(a_prefix_that_fills_all),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
