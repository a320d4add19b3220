#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/backoff.h"

static void doubles_up_to_the_limit(void **state)
{
    static const uint32_t full[] = {100, 200, 400, 800, 1600, 3000, 3000, 3000};
    struct backoff b;
    (void)state;

    backoff_init(&b, 100, 3000);
    for (int round = 0; round < 200; round++) {
        for (uint32_t i = 0; i < 8; i++) {
            assert_int_equal(b.tries, i);
            assert_in_range(backoff_next_ms(&b), full[i] - full[i] / 4, full[i]);
        }
        backoff_reset(&b);
        assert_int_equal(b.tries, 0);
    }
}

static void not_in_step(void **state)
{
    struct backoff b;
    uint32_t first;
    int others = 0;
    (void)state;

    backoff_init(&b, 100000, 100000);
    first = backoff_next_ms(&b);
    for (int i = 0; i < 50; i++)
        others += backoff_next_ms(&b) != first;
    assert_in_range(others, 1, 50);
}

static void never_wraps(void **state)
{
    struct backoff b;
    (void)state;

    backoff_init(&b, 1, UINT32_MAX);
    for (int i = 0; i < 200; i++) {
        uint32_t ms = backoff_next_ms(&b);
        if (i >= 33)
            assert_in_range(ms, UINT32_MAX / 4 * 3, UINT32_MAX);
    }
    b.tries = UINT32_MAX;
    backoff_next_ms(&b);
    assert_int_equal(b.tries, UINT32_MAX);

    /* Nonsense limits still wait a little. */
    backoff_init(&b, 0, 0);
    assert_int_equal(backoff_next_ms(&b), 1);
    backoff_init(&b, 50, 10);
    assert_in_range(backoff_next_ms(&b), 38, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_up_to_the_limit),
        cmocka_unit_test(not_in_step),
        cmocka_unit_test(never_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
