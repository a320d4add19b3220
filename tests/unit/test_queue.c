#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/base/queue.h"

struct item {
    uint64_t generation;
    uint64_t number;
};

static atomic_int alive;

static struct item *item_new(uint64_t generation, uint64_t number)
{
    struct item *i = mem_alloc(sizeof *i);
    *i = (struct item){generation, number};
    atomic_fetch_add(&alive, 1);
    return i;
}

static void item_free(void *item)
{
    atomic_fetch_sub(&alive, 1);
    free(item);
}

static uint64_t take_number(struct queue *q)
{
    void *item = NULL;
    assert_int_equal(queue_take(q, 0, &item), QUEUE_OK);
    uint64_t number = ((struct item *)item)->number;
    item_free(item);
    return number;
}

static void put_number(struct queue *q, uint64_t number, size_t bytes, enum queue_result want)
{
    struct item *i = item_new(1, number);
    assert_int_equal(queue_put(q, queue_generation(q), i, bytes, 0), want);
    if (want != QUEUE_OK)
        item_free(i);
}

static void expect_size(struct queue *q, size_t count, size_t bytes)
{
    size_t have_count, have_bytes;
    queue_size(q, &have_count, &have_bytes);
    assert_int_equal(have_count, count);
    assert_int_equal(have_bytes, bytes);
}

static void in_order(void **state)
{
    struct queue q;
    uint64_t in = 0, out = 0;
    (void)state;

    /* Fills and empties by turns, so that the ring wraps and grows at every offset. */
    queue_init(&q, 1000000, item_free);
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < round % 37 + 3; i++)
            put_number(&q, in++, 10, QUEUE_OK);
        for (size_t i = 0; i < round % 31 && out < in; i++)
            assert_int_equal(take_number(&q), out++);
        expect_size(&q, in - out, 10 * (in - out));
    }
    while (out < in)
        assert_int_equal(take_number(&q), out++);
    queue_done(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void bound_is_in_bytes(void **state)
{
    struct queue q;
    (void)state;

    queue_init(&q, 100, item_free);
    put_number(&q, 1, 60, QUEUE_OK);
    put_number(&q, 2, 41, QUEUE_TIMEOUT);
    put_number(&q, 3, 40, QUEUE_OK);
    put_number(&q, 4, 1, QUEUE_TIMEOUT);
    put_number(&q, 5, 0, QUEUE_OK);
    put_number(&q, 6, SIZE_MAX, QUEUE_TIMEOUT);
    assert_int_equal(take_number(&q), 1);
    expect_size(&q, 2, 40);
    assert_int_equal(take_number(&q), 3);
    assert_int_equal(take_number(&q), 5);

    /* An empty queue takes any size, but nothing beside it. */
    put_number(&q, 7, 5000, QUEUE_OK);
    put_number(&q, 8, 0, QUEUE_TIMEOUT);
    assert_int_equal(take_number(&q), 7);
    put_number(&q, 9, 100, QUEUE_OK);
    queue_done(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void times_out(void **state)
{
    struct queue q;
    void *item = NULL;
    (void)state;

    queue_init(&q, 10, item_free);
    mono_us before = clock_mono();
    assert_int_equal(queue_take(&q, 0, &item), QUEUE_TIMEOUT);
    assert_int_equal(queue_take(&q, 20, &item), QUEUE_TIMEOUT);
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);

    put_number(&q, 1, 10, QUEUE_OK);
    before = clock_mono();
    struct item *i = item_new(1, 2);
    assert_int_equal(queue_put(&q, 1, i, 1, 20), QUEUE_TIMEOUT);
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);
    item_free(i);
    assert_null(item);
    queue_done(&q);
}

static void restart_begins_a_generation(void **state)
{
    struct queue q;
    (void)state;

    queue_init(&q, 100, item_free);
    uint64_t old = queue_generation(&q);
    put_number(&q, 1, 10, QUEUE_OK);
    put_number(&q, 2, 10, QUEUE_OK);
    uint64_t now = queue_restart(&q);
    assert_true(now > old);
    assert_int_equal(queue_generation(&q), now);
    assert_int_equal(atomic_load(&alive), 0);
    expect_size(&q, 0, 0);

    struct item *i = item_new(old, 3);
    assert_int_equal(queue_put(&q, old, i, 1, 600000), QUEUE_STALE);
    assert_int_equal(queue_put(&q, now + 1, i, 1, 600000), QUEUE_STALE);
    assert_int_equal(queue_put(&q, now, i, 1, 0), QUEUE_OK);
    assert_int_equal(take_number(&q), 3);
    queue_done(&q);
}

static void closed_is_drained(void **state)
{
    struct queue q;
    void *item;
    (void)state;

    queue_init(&q, 100, item_free);
    put_number(&q, 1, 10, QUEUE_OK);
    put_number(&q, 2, 10, QUEUE_OK);
    queue_close(&q);
    put_number(&q, 3, 10, QUEUE_CLOSED);
    assert_int_equal(take_number(&q), 1);
    assert_int_equal(take_number(&q), 2);
    assert_int_equal(queue_take(&q, 600000, &item), QUEUE_CLOSED);
    queue_restart(&q);
    put_number(&q, 4, 10, QUEUE_CLOSED);
    assert_int_equal(queue_take(&q, 600000, &item), QUEUE_CLOSED);
    queue_done(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void wake_is_not_lost(void **state)
{
    struct queue q;
    void *item;
    (void)state;

    queue_init(&q, 100, item_free);
    queue_wake(&q);
    queue_wake(&q);
    put_number(&q, 1, 10, QUEUE_OK);
    assert_int_equal(take_number(&q), 1);                           /* an item goes first */
    assert_int_equal(queue_take(&q, 0, &item), QUEUE_TIMEOUT);      /* does not wait: keeps the wake */
    assert_int_equal(queue_take(&q, 600000, &item), QUEUE_TIMEOUT); /* at once */
    mono_us before = clock_mono();
    assert_int_equal(queue_take(&q, 10, &item), QUEUE_TIMEOUT); /* one wake, one return */
    assert_in_range(mono_diff_us(clock_mono(), before), 10000, 60000000);
    queue_done(&q);
}

/* --- two threads ---------------------------------------------------------- */

struct waiter {
    struct queue *q;
    uint64_t generation;
    enum queue_result result;
};

static void *take_waiting(void *arg)
{
    struct waiter *w = arg;
    void *item = NULL;
    w->result = queue_take(w->q, 600000, &item);
    if (w->result == QUEUE_OK)
        item_free(item);
    return NULL;
}

static void *put_waiting(void *arg)
{
    struct waiter *w = arg;
    struct item *i = item_new(w->generation, 99);
    w->result = queue_put(w->q, w->generation, i, 50, 600000);
    if (w->result != QUEUE_OK)
        item_free(i);
    return NULL;
}

static void do_put(struct queue *q) { put_number(q, 1, 10, QUEUE_OK); }

static void do_take(struct queue *q) { take_number(q); }

static void do_restart(struct queue *q) { queue_restart(q); }

/* What ends a wait of ten minutes: begun before it in the odd rounds, as a rule, and behind it in the even ones. */
static void waits_end(void **state)
{
    static const struct {
        void *(*wait)(void *arg);
        void (*end)(struct queue *q);
        enum queue_result result;
    } cases[] = {
        {take_waiting, do_put, QUEUE_OK},          {take_waiting, queue_close, QUEUE_CLOSED},
        {take_waiting, queue_wake, QUEUE_TIMEOUT}, {put_waiting, do_take, QUEUE_OK},
        {put_waiting, do_restart, QUEUE_STALE},    {put_waiting, queue_close, QUEUE_CLOSED},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int round = 0; round < 50; round++) {
            struct queue q;
            pthread_t thread;
            queue_init(&q, 60, item_free);
            if (cases[i].wait == put_waiting)
                put_number(&q, 0, 60, QUEUE_OK);
            struct waiter w = {&q, queue_generation(&q), QUEUE_OK};
            assert_int_equal(pthread_create(&thread, NULL, cases[i].wait, &w), 0);
            if (round % 2 == 1)
                nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
            cases[i].end(&q);
            pthread_join(thread, NULL);
            assert_int_equal(w.result, cases[i].result);
            queue_done(&q);
        }
    }
    assert_int_equal(atomic_load(&alive), 0);
}

struct producer {
    struct queue *q;
    uint64_t made, stale;
};

/* Puts items numbered from 0 in each generation, until the queue is closed. */
static void *produce(void *arg)
{
    struct producer *p = arg;
    uint64_t generation = queue_generation(p->q), number = 0;

    for (;;) {
        struct item *i = item_new(generation, number);
        enum queue_result result;
        do
            result = queue_put(p->q, generation, i, number % 23 == 0 ? 500 : number % 7 * 10, 1);
        while (result == QUEUE_TIMEOUT);

        if (result == QUEUE_OK) {
            number++;
            p->made++;
            continue;
        }
        item_free(i);
        if (result == QUEUE_CLOSED)
            return NULL;
        p->stale++;
        generation = queue_generation(p->q);
        number = 0;
    }
}

/* The consumer starts over at random. Each item it takes is of the generation
 * that it began last, and these come in order without a gap. */
static void nothing_old_after_a_restart(void **state)
{
    struct queue q;
    struct producer p = {&q, 0, 0};
    pthread_t thread;
    uint64_t taken = 0, restarts = 0;
    uint32_t seed = 12345;
    (void)state;

    queue_init(&q, 200, item_free);
    uint64_t generation = queue_generation(&q), next = 0;
    assert_int_equal(pthread_create(&thread, NULL, produce, &p), 0);
    while (restarts < 3000) {
        void *item;
        if (queue_take(&q, 5, &item) != QUEUE_OK)
            continue;
        struct item *i = item;
        if (i->generation != generation || i->number != next)
            fail_msg("took %ju of generation %ju, wanted %ju of %ju", (uintmax_t)i->number,
                     (uintmax_t)i->generation, (uintmax_t)next, (uintmax_t)generation);
        item_free(item);
        next++;
        taken++;
        seed = seed * 1664525u + 1013904223u;
        if ((seed >> 8) % 12 == 0) {
            generation = queue_restart(&q);
            next = 0;
            restarts++;
        }
    }
    queue_close(&q);
    pthread_join(thread, NULL);
    queue_done(&q);

    assert_int_equal(atomic_load(&alive), 0);
    assert_true(taken > restarts && p.made >= taken && p.stale > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),          cmocka_unit_test(bound_is_in_bytes),
        cmocka_unit_test(times_out),         cmocka_unit_test(restart_begins_a_generation),
        cmocka_unit_test(closed_is_drained), cmocka_unit_test(wake_is_not_lost),
        cmocka_unit_test(waits_end),         cmocka_unit_test(nothing_old_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
