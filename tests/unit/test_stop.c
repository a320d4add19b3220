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
#include "cdc/base/stop.h"

static void waits_its_time(void **state)
{
    struct stop s;
    (void)state;

    stop_init(&s);
    mono_us before = clock_mono();
    assert_false(stop_raised(&s));
    assert_false(stop_wait_ms(&s, 0));
    assert_false(stop_wait_ms(&s, 20));
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);
    stop_done(&s);
}

static void raised_means_no_wait(void **state)
{
    struct stop s;
    (void)state;

    stop_init(&s);
    stop_raise(&s);
    stop_raise(&s);
    assert_true(stop_raised(&s));
    mono_us before = clock_mono();
    assert_true(stop_wait_ms(&s, 600000));
    assert_in_range(mono_diff_us(clock_mono(), before), 0, 60000000);
    stop_done(&s);
}

static void *wait_long(void *arg) { return stop_wait_ms(arg, 600000) ? arg : NULL; }

static void raise_ends_every_wait(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct stop s;
        pthread_t threads[3];
        stop_init(&s);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, wait_long, &s), 0);
        if (round % 2 == 1)
            nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL); /* let them fall asleep */
        stop_raise(&s);
        for (int i = 0; i < 3; i++) {
            void *result;
            pthread_join(threads[i], &result);
            assert_ptr_equal(result, &s);
        }
        stop_done(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_its_time),
        cmocka_unit_test(raised_means_no_wait),
        cmocka_unit_test(raise_ends_every_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
