/* The set of keys that stays small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliers/keyset.h"

static struct key numbered(char *text, int n)
{
    return (struct key){text, (size_t)sprintf(text, "key %d", n)};
}

static void holds_what_was_added(void **state)
{
    struct keyset s;
    char text[32];
    (void)state;

    keyset_init(&s);
    for (int n = 0; n < 1000; n++) {
        struct key k = numbered(text, n);
        assert_false(keyset_has(&s, &k));
        keyset_add(&s, &k);
        keyset_add(&s, &k); /* the bytes are the set's own, and once is enough */
    }
    assert_int_equal(s.count, 1000);
    for (int n = 0; n < 2000; n++) {
        struct key k = numbered(text, n);
        assert_int_equal(keyset_has(&s, &k), n < 1000);
    }
    keyset_clear(&s);
    struct key first = numbered(text, 0);
    assert_false(keyset_has(&s, &first));
    keyset_add(&s, &first);
    assert_true(keyset_has(&s, &first));
    keyset_clear(&s);
}

static void forgets_rather_than_grow(void **state)
{
    struct keyset s;
    char text[32];
    (void)state;

    keyset_init(&s);
    for (int n = 0; n < 100000; n++) {
        struct key k = numbered(text, n);
        keyset_add(&s, &k);
        assert_true(keyset_has(&s, &k));
        assert_in_range(s.count, 1, 4096);
    }
    size_t size = 100000;
    char *large = calloc(1, size);
    for (int n = 0; n < 100; n++) {
        memcpy(large, &n, sizeof n);
        struct key k = {large, size};
        keyset_add(&s, &k);
        assert_true(keyset_has(&s, &k));
        assert_in_range(s.arena.bytes, 1, 1 << 20);
    }
    free(large);
    keyset_clear(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_added),
        cmocka_unit_test(forgets_rather_than_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
