/* A thread is joined if it ends in time, and only then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cdc/base/stop.h"
#include "cdc/base/wait.h"

static void *until_stopped(void *arg)
{
    stop_wait_ms(arg, 600000);
    return NULL;
}

static mono_us in_ms(int64_t ms) { return (mono_us){clock_mono().v + ms * 1000}; }

static void test_one_that_does_not_end_is_given_up(void **state)
{
    struct stop s;
    pthread_t t;
    mono_us before = clock_mono();

    (void)state;
    stop_init(&s);
    assert_int_equal(pthread_create(&t, NULL, until_stopped, &s), 0);
    assert_false(wait_join(t, in_ms(-1)));
    assert_false(wait_join(t, in_ms(20)));
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);
    stop_raise(&s);
    assert_true(wait_join(t, in_ms(60000)));
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 50000000);
    stop_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_does_not_end_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
