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

static struct queue_pool pool;

/* That takes so many bytes: alone, a queue gets half of its pool. */
static void begin_queue(struct queue *q, size_t bytes)
{
    pool = (struct queue_pool){.max_bytes = 2 * bytes};
    queue_init(q, &pool, item_free);
}

static void end_queue(struct queue *q)
{
    queue_done(q);
    assert_int_equal(pool.used, 0);
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
    begin_queue(&q, 1000000);
    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < round % 37 + 3; i++)
            put_number(&q, in++, 10, QUEUE_OK);
        for (size_t i = 0; i < round % 31 && out < in; i++)
            assert_int_equal(take_number(&q), out++);
        expect_size(&q, in - out, 10 * (in - out));
    }
    while (out < in)
        assert_int_equal(take_number(&q), out++);
    end_queue(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void bound_is_in_bytes(void **state)
{
    struct queue q;
    (void)state;

    begin_queue(&q, 100);
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
    end_queue(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static size_t fill(struct queue *q, size_t bytes)
{
    size_t count, before, after;

    queue_size(q, &count, &before);
    for (enum queue_result result = QUEUE_OK; result == QUEUE_OK;) {
        struct item *i = item_new(queue_generation(q), 1);

        result = queue_put(q, queue_generation(q), i, bytes, 0);
        if (result != QUEUE_OK)
            item_free(i);
    }
    queue_size(q, &count, &after);
    return after - before;
}

static void stuck_queues_leave_room_for_others(void **state)
{
    enum { QUEUES = 8 };
    struct queue q[QUEUES];
    size_t all = 0;
    (void)state;

    pool = (struct queue_pool){.max_bytes = 3000000};
    for (size_t i = 0; i < QUEUES; i++)
        queue_init(&q[i], &pool, item_free);
    /* One after the other gets stuck: each finds room, and leaves as much. */
    for (size_t i = 0; i < QUEUES; i++) {
        size_t mine = fill(&q[i], 10);

        all += mine;
        assert_true(all <= pool.max_bytes);
        assert_int_equal(pool.used, all);
        assert_in_range(mine + 10, pool.max_bytes - all, pool.max_bytes - all + 20);
    }
    /* What one gives back, others may take. */
    queue_restart(&q[0]);
    assert_true(fill(&q[1], 10) > 0);
    assert_true(pool.used <= pool.max_bytes);
    /* Too large for what is left: an empty queue takes it all the same, another one does not. */
    put_number(&q[1], 7, 4000000, QUEUE_TIMEOUT);
    put_number(&q[0], 7, 4000000, QUEUE_OK);
    assert_int_equal(fill(&q[2], 1), 0);
    for (size_t i = 0; i < QUEUES; i++)
        queue_done(&q[i]);
    assert_int_equal(pool.used, 0);
    assert_int_equal(atomic_load(&alive), 0);
}

static void times_out(void **state)
{
    struct queue q;
    void *item = NULL;
    (void)state;

    begin_queue(&q, 10);
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
    end_queue(&q);
}

static void restart_begins_a_generation(void **state)
{
    struct queue q;
    (void)state;

    begin_queue(&q, 100);
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
    end_queue(&q);
}

static void closed_is_drained(void **state)
{
    struct queue q;
    void *item;
    (void)state;

    begin_queue(&q, 100);
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
    end_queue(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void wake_is_not_lost(void **state)
{
    struct queue q;
    void *item;
    (void)state;

    begin_queue(&q, 100);
    queue_wake(&q);
    queue_wake(&q);
    put_number(&q, 1, 10, QUEUE_OK);
    assert_int_equal(take_number(&q), 1);                           /* an item goes first */
    assert_int_equal(queue_take(&q, 0, &item), QUEUE_TIMEOUT);      /* does not wait: keeps the wake */
    assert_int_equal(queue_take(&q, 600000, &item), QUEUE_TIMEOUT); /* at once */
    mono_us before = clock_mono();
    assert_int_equal(queue_take(&q, 10, &item), QUEUE_TIMEOUT); /* one wake, one return */
    assert_in_range(mono_diff_us(clock_mono(), before), 10000, 60000000);
    end_queue(&q);
}

static void expect_peek(struct queue *q, size_t i, uint64_t number)
{
    void *item = NULL;
    assert_int_equal(queue_peek(q, i, 0, &item), QUEUE_OK);
    assert_int_equal(((struct item *)item)->number, number);
}

static void what_is_peeked_stays(void **state)
{
    struct queue q;
    void *item = NULL;
    (void)state;

    begin_queue(&q, 100);
    assert_int_equal(queue_peek(&q, 0, 0, &item), QUEUE_TIMEOUT);
    assert_int_equal(queue_puts(&q), 0);
    put_number(&q, 1, 30, QUEUE_OK);
    put_number(&q, 2, 30, QUEUE_OK);
    put_number(&q, 3, 40, QUEUE_OK);
    put_number(&q, 4, 1, QUEUE_TIMEOUT);
    expect_peek(&q, 0, 1);
    expect_peek(&q, 2, 3);
    expect_peek(&q, 1, 2);
    assert_int_equal(queue_peek(&q, 3, 0, &item), QUEUE_TIMEOUT);
    expect_size(&q, 3, 100);
    put_number(&q, 5, 1, QUEUE_TIMEOUT); /* it counts in the bytes until it is popped */
    assert_int_equal(queue_puts(&q), 3);

    queue_pop(&q, 0);
    expect_size(&q, 3, 100);
    queue_pop(&q, 1);
    assert_int_equal(atomic_load(&alive), 2);
    expect_size(&q, 2, 70);
    expect_peek(&q, 0, 2);
    put_number(&q, 6, 30, QUEUE_OK);
    assert_int_equal(take_number(&q), 2); /* both ways of taking go together */
    expect_peek(&q, 1, 6);

    queue_close(&q);
    expect_peek(&q, 1, 6);
    assert_int_equal(queue_peek(&q, 2, 600000, &item), QUEUE_CLOSED);
    queue_pop(&q, 2);
    assert_int_equal(atomic_load(&alive), 0);
    assert_int_equal(queue_peek(&q, 0, 600000, &item), QUEUE_CLOSED);
    assert_int_equal(queue_puts(&q), 4);
    assert_null(item);
    end_queue(&q);
}

static void peek_waits_and_is_woken(void **state)
{
    struct queue q;
    void *item = NULL;
    (void)state;

    begin_queue(&q, 100);
    put_number(&q, 1, 10, QUEUE_OK);
    mono_us before = clock_mono();
    assert_int_equal(queue_peek(&q, 1, 20, &item), QUEUE_TIMEOUT);
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);
    queue_wake(&q);
    assert_int_equal(queue_peek(&q, 0, 600000, &item), QUEUE_OK);
    assert_int_equal(queue_peek(&q, 1, 600000, &item), QUEUE_TIMEOUT); /* at once */
    end_queue(&q);
}

struct visited {
    uint64_t next;
    size_t count;
};

static void visit_number(void *arg, void *item)
{
    struct visited *v = arg;
    if (((struct item *)item)->number != v->next)
        fail_msg("visited %ju, wanted %ju", (uintmax_t)((struct item *)item)->number, (uintmax_t)v->next);
    v->next++;
    v->count++;
}

/* Against a model: what is in the queue are the numbers from out to in. */
static void peek_pop_and_each_at_random(void **state)
{
    struct queue q;
    uint64_t in = 0, out = 0;
    uint32_t seed = 99;
    (void)state;

    begin_queue(&q, 1000000);
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1664525u + 1013904223u;
        uint32_t pick = seed >> 8, length = (uint32_t)(in - out);
        if (pick % 5 < 2 || (pick % 5 == 2 && round < 5000)) {
            put_number(&q, in++, 7, QUEUE_OK);
        } else if (pick % 97 == 0) {
            queue_restart(&q);
            out = in;
        } else if (length > 0) {
            uint32_t n = pick / 5 % 4 < length ? pick / 5 % 4 : length;
            queue_pop(&q, n);
            out += n;
        }
        if (out < in)
            expect_peek(&q, pick / 7 % (in - out), out + pick / 7 % (in - out));
        struct visited v = {out, 0};
        if (pick % 16 == 0)
            queue_each(&q, visit_number, &v);
        assert_true(v.count == 0 || v.count == in - out);
        expect_size(&q, in - out, 7 * (in - out));
        assert_int_equal(atomic_load(&alive), in - out);
        assert_int_equal(queue_puts(&q), in);
        assert_true(queue_wait_pops(&q, out, 0));
        assert_false(queue_wait_pops(&q, out + 1, 0));
    }
    end_queue(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

static void waiting_for_pops_times_out(void **state)
{
    struct queue q;
    (void)state;

    begin_queue(&q, 100);
    assert_true(queue_wait_pops(&q, 0, 0));
    put_number(&q, 1, 10, QUEUE_OK);
    put_number(&q, 2, 10, QUEUE_OK);
    queue_pop(&q, 1);
    mono_us before = clock_mono();
    assert_false(queue_wait_pops(&q, 2, 20));
    assert_in_range(mono_diff_us(clock_mono(), before), 20000, 60000000);
    queue_restart(&q); /* what it throws away counts */
    assert_true(queue_wait_pops(&q, 2, 600000));
    assert_int_equal(queue_puts(&q), 2);
    assert_false(queue_wait_pops(&q, 3, 0));
    end_queue(&q);
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

static void *peek_waiting(void *arg)
{
    struct waiter *w = arg;
    void *item = NULL;
    w->result = queue_peek(w->q, 1, 600000, &item);
    return NULL;
}

static void *pops_waiting(void *arg)
{
    struct waiter *w = arg;
    w->result = queue_wait_pops(w->q, 1, 600000) ? QUEUE_OK : QUEUE_TIMEOUT;
    return NULL;
}

static void do_put(struct queue *q) { put_number(q, 1, 10, QUEUE_OK); }

static void do_take(struct queue *q) { take_number(q); }

static void do_pop(struct queue *q) { queue_pop(q, 1); }

static void do_restart(struct queue *q) { queue_restart(q); }

/* What ends a wait of ten minutes: begun before it in the odd rounds, as a rule, and behind it in the even ones. */
static void waits_end(void **state)
{
    static const struct {
        void *(*wait)(void *arg);
        void (*end)(struct queue *q);
        enum queue_result result;
        size_t first_bytes; /* of an item that is there before; 0: none is */
    } cases[] = {
        {take_waiting, do_put, QUEUE_OK, 0},           {take_waiting, queue_close, QUEUE_CLOSED, 0},
        {take_waiting, queue_wake, QUEUE_TIMEOUT, 0},  {put_waiting, do_take, QUEUE_OK, 60},
        {put_waiting, do_pop, QUEUE_OK, 60},           {put_waiting, do_restart, QUEUE_STALE, 60},
        {put_waiting, queue_close, QUEUE_CLOSED, 60},  {peek_waiting, do_put, QUEUE_OK, 20},
        {peek_waiting, queue_wake, QUEUE_TIMEOUT, 20}, {peek_waiting, queue_close, QUEUE_CLOSED, 20},
        {pops_waiting, do_take, QUEUE_OK, 20},         {pops_waiting, do_pop, QUEUE_OK, 20},
        {pops_waiting, do_restart, QUEUE_OK, 20},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int round = 0; round < 50; round++) {
            struct queue q;
            pthread_t thread;
            begin_queue(&q, 60);
            if (cases[i].first_bytes > 0)
                put_number(&q, 0, cases[i].first_bytes, QUEUE_OK);
            struct waiter w = {&q, queue_generation(&q), QUEUE_OK};
            assert_int_equal(pthread_create(&thread, NULL, cases[i].wait, &w), 0);
            if (round % 2 == 1)
                nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
            cases[i].end(&q);
            pthread_join(thread, NULL);
            assert_int_equal(w.result, cases[i].result);
            end_queue(&q);
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

    begin_queue(&q, 200);
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
    end_queue(&q);

    assert_int_equal(atomic_load(&alive), 0);
    assert_true(taken > restarts && p.made >= taken && p.stale > 0);
}

struct peeker {
    struct queue *q;
    atomic_bool done;
};

/* Numbers what it puts by how much it has put before, in whatever generation. */
static void *number_all(void *arg)
{
    struct peeker *p = arg;
    uint64_t number = 0;

    while (!atomic_load(&p->done)) {
        uint64_t generation = queue_generation(p->q);
        struct item *i = item_new(generation, number);
        if (queue_put(p->q, generation, i, number % 13 * 10, 1) == QUEUE_OK)
            number++;
        else
            item_free(i);
    }
    return NULL;
}

/* Looks at a few, then lets go of them, or of all. */
static void *peek_and_pop(void *arg)
{
    struct peeker *p = arg;
    uint32_t seed = 5;

    while (!atomic_load(&p->done)) {
        void *item;
        size_t n = 0;
        seed = seed * 1664525u + 1013904223u;
        while (n <= (seed >> 8) % 4 && queue_peek(p->q, n, n == 0, &item) == QUEUE_OK)
            n++;
        if ((seed >> 16) % 50 == 0)
            queue_restart(p->q);
        else
            queue_pop(p->q, n);
    }
    return NULL;
}

struct floor {
    uint64_t number;
    bool broken;
};

static void look_below(void *arg, void *item)
{
    struct floor *f = arg;
    f->broken = f->broken || ((struct item *)item)->number < f->number;
}

/* Once so many have been popped as had been put, nothing of that is there any more. */
static void what_was_put_has_gone_after_the_wait(void **state)
{
    struct queue q;
    struct peeker p = {.q = &q};
    pthread_t producer, consumer;
    struct floor f;
    (void)state;

    begin_queue(&q, 400);
    assert_int_equal(pthread_create(&producer, NULL, number_all, &p), 0);
    assert_int_equal(pthread_create(&consumer, NULL, peek_and_pop, &p), 0);
    do {
        f = (struct floor){queue_puts(&q), false};
        assert_true(queue_wait_pops(&q, f.number, 600000));
        queue_each(&q, look_below, &f);
        assert_false(f.broken);
        sched_yield();
    } while (f.number < 3000);
    atomic_store(&p.done, true);
    pthread_join(producer, NULL);
    pthread_join(consumer, NULL);
    end_queue(&q);
    assert_int_equal(atomic_load(&alive), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(bound_is_in_bytes),
        cmocka_unit_test(stuck_queues_leave_room_for_others),
        cmocka_unit_test(times_out),
        cmocka_unit_test(restart_begins_a_generation),
        cmocka_unit_test(closed_is_drained),
        cmocka_unit_test(wake_is_not_lost),
        cmocka_unit_test(what_is_peeked_stays),
        cmocka_unit_test(peek_waits_and_is_woken),
        cmocka_unit_test(peek_pop_and_each_at_random),
        cmocka_unit_test(waiting_for_pops_times_out),
        cmocka_unit_test(waits_end),
        cmocka_unit_test(nothing_old_after_a_restart),
        cmocka_unit_test(what_was_put_has_gone_after_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
