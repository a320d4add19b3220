/* How many may do something at once. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cdc/base/clock.h"
#include "cdc/base/slots.h"

static void test_no_more_than_there_are(void **state)
{
    (void)state;
    struct stop stop;
    stop_init(&stop);
    struct slots *s = slots_new(2);

    assert_true(slots_take(s, &stop, 0));
    assert_true(slots_take(s, &stop, 0));
    assert_false(slots_take(s, &stop, 0));
    mono_us before = clock_mono();
    assert_false(slots_take(s, &stop, 30));
    assert_in_range(mono_diff_us(clock_mono(), before), 30000, 60000000);
    slots_give(s);
    assert_true(slots_take(s, &stop, 600000));
    slots_free(s);
    slots_free(NULL);
    stop_done(&stop);
}

static void test_none_once_it_stops(void **state)
{
    (void)state;
    struct stop stop;
    stop_init(&stop);
    struct slots *s = slots_new(1);

    stop_raise(&stop);
    assert_false(slots_take(s, &stop, UINT32_MAX));
    slots_free(s);
    stop_done(&stop);
}

struct crowd {
    struct slots *slots;
    struct stop stop;
    atomic_int inside, most, done;
};

static void *in_turn(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < 200; i++) {
        if (!slots_take(c->slots, &c->stop, UINT32_MAX))
            continue;
        int now = atomic_fetch_add(&c->inside, 1) + 1, most = atomic_load(&c->most);

        while (now > most && !atomic_compare_exchange_weak(&c->most, &most, now))
            ;
        atomic_fetch_sub(&c->inside, 1);
        atomic_fetch_add(&c->done, 1);
        slots_give(c->slots);
    }
    return NULL;
}

static void test_each_of_a_crowd_gets_its_turn(void **state)
{
    (void)state;
    struct crowd c = {.slots = slots_new(3)};
    pthread_t threads[8];

    stop_init(&c.stop);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, in_turn, &c), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&c.done), 8 * 200);
    assert_in_range(atomic_load(&c.most), 1, 3);
    slots_free(c.slots);
    stop_done(&c.stop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_than_there_are),
        cmocka_unit_test(test_none_once_it_stops),
        cmocka_unit_test(test_each_of_a_crowd_gets_its_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
