#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/buf.h"

static void adds_up(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;

    assert_null(b.data);
    buf_adds(&b, "ab");
    buf_addc(&b, 'c');
    buf_add(&b, "d\0e", 3);
    buf_add(&b, NULL, 0);
    buf_addf(&b, "-%d-%s", 42, "x");
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.data, "abcd\0e-42-x\0", 12);
    assert_false(b.overrun);

    buf_clear(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    buf_adds(&b, "again");
    assert_string_equal(b.data, "again");
    buf_done(&b);
    assert_null(b.data);
    buf_done(&b);
}

static void nothing_added_is_still_text(void **state)
{
    struct buf b = BUF_INIT;
    (void)state;
    buf_addf(&b, "%s", "");
    assert_string_equal(b.data, "");
    buf_wipe_done(&b);
}

/* What does not fit is left out whole, and so is all behind it, even if it would fit. */
static void stops_at_the_limit(void **state)
{
    (void)state;
    for (size_t max = 1; max < 300; max++) {
        struct buf b;
        size_t want = 0;
        bool over = false;
        buf_init(&b, max);
        for (size_t i = 0; i < 40; i++) {
            char piece[32] = "";
            memset(piece, 'p', i % 17);
            if (i % 2 == 0)
                buf_adds(&b, piece);
            else
                buf_addf(&b, "%s", piece);
            over = over || want + strlen(piece) > max;
            want += over ? 0 : strlen(piece);
            assert_int_equal(b.len, want);
            assert_int_equal(b.overrun, over);
            if (b.data != NULL)
                assert_int_equal(strlen(b.data), want);
        }
        if (over) {
            assert_null(buf_room(&b, 1));
            buf_clear(&b);
            assert_false(b.overrun);
            buf_addc(&b, 'x');
            assert_string_equal(b.data, "x");
        }
        buf_done(&b);
        assert_int_equal(b.max, max);
    }
}

static void formats_of_any_length(void **state)
{
    (void)state;
    struct buf b = BUF_INIT;
    size_t want = 0;
    for (int width = 1; width < 400; width += 7) {
        buf_addf(&b, "%*d", width, 5);
        want += (size_t)width;
        assert_int_equal(b.len, want);
        assert_int_equal(b.data[want - 1], '5');
        assert_int_equal(b.data[want], '\0');
    }
    buf_done(&b);
}

static void room_for_the_caller(void **state)
{
    struct buf b;
    (void)state;

    buf_init(&b, 10);
    buf_adds(&b, "ab");
    char *room = buf_room(&b, 8);
    assert_non_null(room);
    memset(room, 'r', 3);
    b.len += 3;
    assert_string_equal(b.data, "abrrr"); /* not all of it was used */
    assert_null(buf_room(&b, 6));
    assert_true(b.overrun);
    assert_string_equal(b.data, "abrrr");
    buf_done(&b);

    buf_init(&b, 0);
    assert_null(buf_room(&b, SIZE_MAX));
    assert_null(buf_room(&b, SIZE_MAX - 1));
    assert_true(b.overrun);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adds_up),
        cmocka_unit_test(nothing_added_is_still_text),
        cmocka_unit_test(stops_at_the_limit),
        cmocka_unit_test(formats_of_any_length),
        cmocka_unit_test(room_for_the_caller),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
