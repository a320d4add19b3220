#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdalign.h>

#include "cdc/base/arena.h"
#include "cdc/base/mem.h"

static void pieces_do_not_touch(void **state)
{
    enum { PIECES = 3000 };
    static unsigned char *piece[PIECES];
    static size_t size[PIECES];
    struct arena a;
    uint32_t seed = 7;
    (void)state;

    arena_init(&a);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            seed = seed * 1664525u + 1013904223u;
            size[i] = (seed >> 8) % (i % 100 == 0 ? 40000 : 90);
            piece[i] = arena_alloc(&a, size[i]);
            assert_non_null(piece[i]);
            assert_int_equal((uintptr_t)piece[i] % alignof(max_align_t), 0);
            memset(piece[i], (int)(i % 251), size[i]);
        }
        for (size_t i = 0; i < PIECES; i++)
            for (size_t k = 0; k < size[i]; k++)
                if (piece[i][k] != i % 251)
                    fail_msg("piece %zu was overwritten", i);
        size_t all = a.bytes;
        arena_reset(&a);
        assert_in_range(a.bytes, 1, all - 1);
    }
    arena_done(&a);
    assert_int_equal(a.bytes, 0);
    assert_non_null(arena_alloc(&a, 1));
    arena_done(&a);
}

static void small_ones_are_cheap(void **state)
{
    struct arena a;
    (void)state;

    arena_init(&a);
    assert_int_equal(a.bytes, 0);
    for (int i = 0; i < 10; i++)
        arena_alloc(&a, 50);
    assert_in_range(a.bytes, 500, 2048);

    /* Many rows: little more than what was asked for. */
    for (int i = 0; i < 100000; i++)
        arena_alloc(&a, 64);
    assert_in_range(a.bytes, 6400000, 10000000);
    arena_done(&a);
}

static void a_large_one_leaves_the_rest_of_the_block(void **state)
{
    struct arena a;
    (void)state;

    arena_init(&a);
    char *first = arena_alloc(&a, 16);
    size_t before = a.bytes;
    memset(arena_alloc(&a, 1000000), 1, 1000000);
    assert_in_range(a.bytes - before, 1000000, 1001000);
    char *second = arena_alloc(&a, 16);
    assert_in_range(second - first, 16, 64);
    arena_done(&a);
}

static void reset_keeps_memory_for_the_next(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    arena_reset(&a);
    assert_int_equal(a.bytes, 0);
    char *first = arena_alloc(&a, 100);
    size_t bytes = a.bytes;
    arena_reset(&a);
    assert_int_equal(a.bytes, bytes);
    assert_ptr_equal(arena_alloc(&a, 100), first);
    arena_done(&a);
}

static void copies(void **state)
{
    struct arena a;
    (void)state;
    arena_init(&a);
    char *c = arena_copy(&a, "ab\0cd", 5);
    assert_memory_equal(c, "ab\0cd\0", 6);
    assert_string_equal(arena_copy(&a, NULL, 0), "");
    memset(arena_alloc(&a, 300), 0xff, 300);
    arena_reset(&a);
    unsigned char *z = arena_zalloc(&a, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(z[i], 0);
    arena_done(&a);
}

static void mem_basics(void **state)
{
    (void)state;
    char *s = mem_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    s = mem_realloc(s, 100);
    assert_string_equal(s, "abc");
    mem_wipe(s, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(s[i], 0);
    mem_wipe_free(s, 100);
    mem_wipe_free(NULL, 10);
    mem_wipe(NULL, 0);

    s = mem_strdup("x");
    assert_string_equal(s, "x");
    free(s);
    free(mem_alloc(0));
    unsigned char *z = mem_zalloc(3, 5);
    for (int i = 0; i < 15; i++)
        assert_int_equal(z[i], 0);
    free(z);
    free(mem_zalloc(0, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_touch),
        cmocka_unit_test(small_ones_are_cheap),
        cmocka_unit_test(a_large_one_leaves_the_rest_of_the_block),
        cmocka_unit_test(reset_keeps_memory_for_the_next),
        cmocka_unit_test(copies),
        cmocka_unit_test(mem_basics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
