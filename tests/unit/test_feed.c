#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <time.h>

#include "cdc/model/feed.h"

static struct queue_pool pool = {.max_bytes = 2000};

static struct pos at(uint64_t seq)
{
    struct pos p = POS_INIT;
    pos_add_gtid(&p, &(struct gtid){.kind = GTID_MARIADB, .domain = 0, .server = 1, .seq = seq});
    return p;
}

static void open_at(struct feed *f, uint64_t seq, uint64_t rows_done)
{
    struct pos p = at(seq);
    feed_open(f, &p, rows_done, NULL);
    pos_done(&p);
}

static void set_read(struct feed_source *s, uint64_t seq, uint64_t epoch)
{
    struct pos p = at(seq);
    pthread_mutex_lock(&s->lock);
    pos_move(&s->read, &p);
    s->epoch = epoch;
    feed_source_moved(s);
    feed_source_tell(s);
    pthread_mutex_unlock(&s->lock);
}

/* As the reader does: what the feed wants, if it does. */
static bool resume(struct feed *f, uint64_t epoch, uint64_t *ret_seq, uint64_t *ret_generation)
{
    pthread_mutex_lock(&f->lock);
    bool wanted = f->wanted;
    if (wanted) {
        *ret_seq = f->resume.gtids[0].seq;
        *ret_generation = f->generation;
        f->wanted = false;
        f->resumed_epoch = epoch;
    }
    pthread_mutex_unlock(&f->lock);
    return wanted;
}

static void count_wake(void *arg) { ++*(int *)arg; }

static void open_asks_the_reader(void **state)
{
    struct feed_source source;
    struct feed f;
    int wakes = 0;
    uint64_t seq = 0, generation = 0;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    assert_false(resume(&f, 1, &seq, &generation));
    open_at(&f, 3, 0); /* nobody to wake yet */

    source.wake = count_wake;
    source.wake_arg = &wakes;
    assert_int_equal(queue_put(&f.queue, f.generation, tx_new(), 10, 0), QUEUE_OK);
    uint64_t old = f.generation;
    f.lost = f.halted = true;
    open_at(&f, 5, 17);
    assert_int_equal(wakes, 1);
    assert_true(f.wanted);
    assert_false(f.lost || f.halted);
    assert_int_equal(f.resume_rows, 17);
    assert_true(f.generation > old);
    assert_int_equal(f.generation, queue_generation(&f.queue));

    size_t count, bytes;
    queue_size(&f.queue, &count, &bytes);
    assert_int_equal(count, 0);
    struct tx *late = tx_new();
    assert_int_equal(queue_put(&f.queue, old, late, 10, 0), QUEUE_STALE);
    tx_free(late);

    assert_true(resume(&f, 1, &seq, &generation));
    assert_int_equal(seq, 5);
    assert_int_equal(generation, queue_generation(&f.queue));
    assert_int_equal(queue_put(&f.queue, generation, tx_new(), 10, 0), QUEUE_OK);
    feed_done(&f); /* frees what is queued and the position */
    feed_source_done(&source);
}

static void expect_idle(struct feed *f, bool ok, uint64_t seq)
{
    struct pos p = at(777);
    uint64_t foreign = 888;

    assert_int_equal(feed_idle_pos(f, &p, &foreign), ok);
    assert_int_equal(p.gtids[0].seq, ok ? seq : 777);
    assert_int_equal(foreign, ok ? 4096 : 888);
    pos_done(&p);
}

/* What the reader said before the feed was opened anew does not count, nor what it says before it has seen that. */
static void in_step_only_when_resumed(void **state)
{
    struct feed_source source;
    struct feed f;
    uint64_t seq = 0, generation = 0;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    assert_false(f.in_step);
    for (int i = 0; i < 2; i++) {
        open_at(&f, 10, 0);
        assert_false(f.in_step);
        feed_set_in_step(&f, true);
        assert_false(f.in_step);
        assert_true(resume(&f, 5, &seq, &generation));
        assert_false(f.in_step);
        feed_set_in_step(&f, true);
        assert_true(f.in_step);
    }
    feed_set_in_step(&f, false);
    assert_false(f.in_step);
    feed_done(&f);
    feed_source_done(&source);
}

static void idle_only_when_resumed(void **state)
{
    struct feed_source source;
    struct feed f;
    uint64_t seq = 0, generation = 0;
    (void)state;

    feed_source_init(&source);
    source.foreign_bytes = 4096;
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    set_read(&source, 50, 4);
    expect_idle(&f, false, 0); /* never opened */

    open_at(&f, 10, 0);
    expect_idle(&f, false, 0); /* wanted */
    assert_true(resume(&f, 5, &seq, &generation));
    expect_idle(&f, false, 0); /* 50 was read by the stream before */
    set_read(&source, 10, 5);
    expect_idle(&f, true, 10);
    set_read(&source, 12, 5);
    expect_idle(&f, true, 12);
    set_read(&source, 7, 6); /* opened again for another feed that was behind */
    expect_idle(&f, false, 0);
    set_read(&source, 10, 6);
    expect_idle(&f, true, 10);

    f.lost = true;
    expect_idle(&f, false, 0);
    f.lost = false;
    f.halted = true;
    expect_idle(&f, false, 0);
    open_at(&f, 9, 0);
    expect_idle(&f, false, 0);
    feed_done(&f);
    feed_source_done(&source);
}

static void no_position_is_none(void **state)
{
    struct feed_source source;
    struct feed f;
    const struct pos none = POS_INIT;
    uint64_t foreign;
    struct pos p = POS_INIT;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    feed_open(&f, &none, 0, NULL);
    f.wanted = false;
    f.resumed_epoch = 1;
    source.epoch = 1;
    assert_false(feed_idle_pos(&f, &p, &foreign));
    pos_set_file(&source.read, "bin.1", 5, 4);
    assert_true(feed_idle_pos(&f, &p, &foreign));
    assert_string_equal(p.file, "bin.1");
    pos_done(&p);
    feed_done(&f);
    feed_source_done(&source);
}

/* --- waiting for what the reader has read ---------------------------------- */

static bool wait_read(struct feed *f, uint64_t seq, uint32_t timeout_ms)
{
    struct pos p = at(seq);
    bool ok = feed_wait_read(f, &p, timeout_ms);
    pos_done(&p);
    return ok;
}

static bool wait_applied(struct feed *f, uint64_t seq, uint32_t timeout_ms)
{
    struct pos p = at(seq);
    bool ok = feed_wait_applied(f, &p, timeout_ms);
    pos_done(&p);
    return ok;
}

static void put_one(struct feed *f)
{
    assert_int_equal(queue_put(&f->queue, queue_generation(&f->queue), tx_new(), 10, 0), QUEUE_OK);
}

static void end_feed(struct feed *f, bool lost)
{
    pthread_mutex_lock(&f->lock);
    *(lost ? &f->lost : &f->halted) = true;
    pthread_mutex_unlock(&f->lock);
}

static void what_counts_as_read(void **state)
{
    struct feed_source source;
    struct feed f;
    uint64_t seq = 0, generation = 0;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    set_read(&source, 50, 4);
    assert_false(wait_read(&f, 5, 0)); /* never opened */
    open_at(&f, 10, 0);
    assert_false(wait_read(&f, 5, 0)); /* not resumed */
    assert_true(resume(&f, 5, &seq, &generation));
    assert_false(wait_read(&f, 5, 0)); /* 50 was read by the stream before */
    set_read(&source, 12, 5);
    assert_true(wait_read(&f, 12, 0));
    assert_true(wait_read(&f, 5, 600000));
    assert_false(wait_read(&f, 13, 0));
    set_read(&source, 7, 6); /* opened again further back: 12 is read again before it counts */
    assert_false(wait_read(&f, 12, 0));
    assert_true(wait_read(&f, 7, 0));

    /* Read, and applied once what was put by then has been popped. */
    put_one(&f);
    put_one(&f);
    set_read(&source, 20, 6);
    assert_true(wait_read(&f, 20, 0));
    assert_false(wait_applied(&f, 20, 0));
    queue_pop(&f.queue, 1);
    assert_false(wait_applied(&f, 20, 0));
    queue_pop(&f.queue, 1);
    assert_true(wait_applied(&f, 20, 0));
    assert_false(wait_applied(&f, 21, 0));
    put_one(&f); /* one more is one more to wait for */
    assert_false(wait_applied(&f, 20, 0));

    for (int lost = 0; lost < 2; lost++) {
        end_feed(&f, lost != 0);
        assert_false(wait_read(&f, 7, 600000)); /* at once: nothing more will come */
        assert_false(wait_applied(&f, 7, 600000));
        open_at(&f, 7, 0);
        assert_true(resume(&f, 6, &seq, &generation));
        assert_true(wait_read(&f, 7, 0));
        assert_true(wait_applied(&f, 7, 0)); /* the restart threw away what was queued */
    }
    feed_done(&f);
    feed_source_done(&source);
}

static void waiting_ends_in_time(void **state)
{
    struct feed_source source;
    struct feed f;
    uint64_t seq = 0, generation = 0;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    open_at(&f, 1, 0);
    assert_true(resume(&f, 1, &seq, &generation));
    set_read(&source, 5, 1);
    put_one(&f);
    mono_us before = clock_mono();
    assert_false(wait_read(&f, 6, 30));
    assert_in_range(mono_diff_us(clock_mono(), before), 29000, 60000000);
    before = clock_mono();
    assert_false(wait_applied(&f, 5, 30));
    assert_in_range(mono_diff_us(clock_mono(), before), 29000, 60000000);
    feed_done(&f);
    feed_source_done(&source);
}

struct feed_waiter {
    struct feed *feed;
    bool (*wait)(struct feed *f, uint64_t seq, uint32_t timeout_ms);
    bool result;
};

static void *wait_for_five(void *arg)
{
    struct feed_waiter *w = arg;
    w->result = w->wait(w->feed, 5, 600000);
    return NULL;
}

static void do_read(struct feed *f) { set_read(f->source, 5, 1); }

static void do_read_in_steps(struct feed *f)
{
    for (uint64_t seq = 2; seq <= 5; seq++)
        set_read(f->source, seq, 1);
}

static void do_read_and_apply(struct feed *f)
{
    set_read(f->source, 6, 1);
    queue_pop(&f->queue, 1);
}

static void do_lose(struct feed *f) { end_feed(f, true); }

static void do_halt(struct feed *f) { end_feed(f, false); }

/* What ends a wait of ten minutes, begun before it or behind it. */
static void waits_end(void **state)
{
    static const struct {
        bool (*wait)(struct feed *f, uint64_t seq, uint32_t timeout_ms);
        void (*end)(struct feed *f);
        bool result;
    } cases[] = {
        {wait_read, do_read, true},  {wait_read, do_read_in_steps, true},     {wait_read, do_lose, false},
        {wait_read, do_halt, false}, {wait_applied, do_read_and_apply, true}, {wait_applied, do_lose, false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int round = 0; round < 6; round++) {
            struct feed_source source;
            struct feed f;
            uint64_t seq = 0, generation = 0;
            pthread_t thread;

            feed_source_init(&source);
            feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
            open_at(&f, 1, 0);
            assert_true(resume(&f, 1, &seq, &generation));
            set_read(&source, 1, 1);
            put_one(&f);
            struct feed_waiter w = {&f, cases[i].wait, !cases[i].result};
            assert_int_equal(pthread_create(&thread, NULL, wait_for_five, &w), 0);
            if (round % 2 == 1)
                nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
            cases[i].end(&f);
            pthread_join(thread, NULL);
            assert_int_equal(w.result, cases[i].result);
            feed_done(&f);
            feed_source_done(&source);
        }
    }
}

/* Waits for each place in turn, as soon as it is told of the one before. */
struct ping_pong {
    struct feed *feed;
    atomic_uint_fast64_t seen;
};

static void *follow(void *arg)
{
    struct ping_pong *p = arg;
    for (uint64_t seq = 2; seq <= 200; seq++)
        if (wait_read(p->feed, seq, 600000))
            atomic_store(&p->seen, seq);
    return NULL;
}

/* A move wakes at once: steps of 20 ms would take four seconds for what takes a few milliseconds. */
static void a_move_wakes_at_once(void **state)
{
    struct feed_source source;
    struct feed f;
    struct ping_pong p = {.feed = &f};
    uint64_t seq = 0, generation = 0;
    pthread_t thread;
    (void)state;

    feed_source_init(&source);
    feed_init(&f, NULL, SIDE_LEFT, &source, &pool);
    open_at(&f, 1, 0);
    assert_true(resume(&f, 1, &seq, &generation));
    set_read(&source, 1, 1);
    mono_us before = clock_mono();
    assert_int_equal(pthread_create(&thread, NULL, follow, &p), 0);
    for (seq = 2; seq <= 200; seq++) {
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL); /* as a rule it waits by now */
        set_read(&source, seq, 1);
        while (atomic_load(&p.seen) < seq)
            sched_yield();
    }
    pthread_join(thread, NULL);
    assert_in_range(mono_diff_us(clock_mono(), before), 0, 2000000);
    feed_done(&f);
    feed_source_done(&source);
}

/* --- a reader and two appliers that start over at random ------------------- */

enum { LOG_LENGTH = 3000, FEEDS = 2, RESTARTS = 150 };

/* Of each three transactions one is for each feed, and one for none. */
static bool is_for(size_t feed, uint64_t seq) { return seq % 3 == feed; }

static uint64_t last_for(size_t feed, uint64_t up_to)
{
    while (up_to > 0 && !is_for(feed, up_to))
        up_to--;
    return up_to;
}

struct world {
    struct feed_source source;
    struct feed feeds[FEEDS];
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool woken, stop;
};

static void wake_reader(void *arg)
{
    struct world *w = arg;
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

/* At the end of the log: until somebody wants something. False to stop. */
static bool wait_for_wake(struct world *w, bool block)
{
    pthread_mutex_lock(&w->lock);
    while (block && !w->woken && !w->stop)
        pthread_cond_wait(&w->cond, &w->lock);
    w->woken = false;
    bool go_on = !w->stop;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

struct reader_state {
    struct world *w;
    uint64_t has[FEEDS]; /* each feed has all up to here */
    uint64_t generation[FEEDS];
    bool dead[FEEDS]; /* was refused: until it is resumed */
    uint64_t epoch, read;
};

static bool any_wanted(struct world *w)
{
    bool wanted = false;
    for (size_t i = 0; i < FEEDS; i++) {
        pthread_mutex_lock(&w->feeds[i].lock);
        wanted = wanted || w->feeds[i].wanted;
        pthread_mutex_unlock(&w->feeds[i].lock);
    }
    return wanted;
}

static void open_stream(struct reader_state *r)
{
    uint64_t start = LOG_LENGTH;
    for (size_t i = 0; i < FEEDS; i++) {
        if (resume(&r->w->feeds[i], r->epoch + 1, &r->has[i], &r->generation[i]))
            r->dead[i] = false;
        /* One that was refused and is not wanted yet will be. */
        if (!r->dead[i] && r->has[i] < start)
            start = r->has[i];
    }
    r->epoch++;
    r->read = start;
    set_read(&r->w->source, start, r->epoch);
}

static void hand_out(struct reader_state *r, size_t i, uint64_t seq)
{
    if (r->dead[i] || seq <= r->has[i])
        return;
    if (is_for(i, seq)) {
        struct tx *tx = tx_new();
        tx->marker = seq;
        enum queue_result result;
        do
            result = queue_put(&r->w->feeds[i].queue, r->generation[i], tx, 10, 1);
        while (result == QUEUE_TIMEOUT);
        if (result != QUEUE_OK) {
            tx_free(tx);
            r->dead[i] = true;
            return;
        }
    }
    r->has[i] = seq;
}

static void *run_reader(void *arg)
{
    struct reader_state r = {.w = arg, .dead = {true, true}};

    while (wait_for_wake(r.w, r.read == LOG_LENGTH || r.epoch == 0)) {
        if (any_wanted(r.w))
            open_stream(&r);
        if (r.epoch == 0 || r.read == LOG_LENGTH)
            continue;
        for (size_t i = 0; i < FEEDS; i++)
            hand_out(&r, i, r.read + 1);
        set_read(&r.w->source, ++r.read, r.epoch);
    }
    return NULL;
}

struct applier_arg {
    struct world *w;
    size_t i;
    const char *failed;
    int idles;
};

static void *run_applier(void *arg)
{
    struct applier_arg *a = arg;
    struct feed *f = &a->w->feeds[a->i];
    const uint64_t end = LOG_LENGTH;
    uint64_t applied = 0, stored = 0;
    uint32_t seed = (uint32_t)a->i + 1;
    int restarts = 0;

    open_at(f, 0, 0);
    while (a->failed == NULL && stored < end) {
        void *item;
        seed = seed * 1664525u + 1013904223u;
        if ((seed >> 8) % 40 == 0 && restarts < RESTARTS) {
            applied = stored; /* an error: only what is stored counts */
            open_at(f, stored, 0);
            restarts++;
        }
        if (queue_take(&f->queue, 0, &item) == QUEUE_OK) {
            uint64_t seq = ((struct tx *)item)->marker, next = applied + 1;
            tx_free(item);
            while (!is_for(a->i, next))
                next++;
            if (seq != next)
                a->failed = "a transaction came twice or not at all";
            applied = seq;
            if ((seed >> 16) % 4 == 0)
                stored = applied;
            continue;
        }

        struct pos p = POS_INIT;
        uint64_t foreign;
        if (feed_idle_pos(f, &p, &foreign)) {
            enum queue_result result = queue_take(&f->queue, 0, &item);
            if (result == QUEUE_OK) {
                uint64_t seq = ((struct tx *)item)->marker;
                tx_free(item);
                if (seq <= applied || last_for(a->i, seq - 1) > applied)
                    a->failed = "out of order";
                applied = seq;
            } else if (last_for(a->i, p.gtids[0].seq) > applied) {
                a->failed = "an idle position covers what was not applied";
            } else if (p.gtids[0].seq > stored) {
                stored = p.gtids[0].seq;
                if (stored > applied)
                    applied = stored;
                a->idles++;
            }
        } else if (queue_take(&f->queue, 1, &item) == QUEUE_OK) {
            uint64_t seq = ((struct tx *)item)->marker;
            tx_free(item);
            if (last_for(a->i, seq - 1) > applied)
                a->failed = "a gap";
            applied = seq;
        }
        pos_done(&p);
    }
    if (restarts == 0)
        a->failed = "never started over";
    return NULL;
}

static void nothing_is_missed_and_idle_tells_the_truth(void **state)
{
    static struct world w;
    pthread_t reader, appliers[FEEDS];
    struct applier_arg args[FEEDS];
    (void)state;

    memset(&w, 0, sizeof w);
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.cond, NULL);
    feed_source_init(&w.source);
    w.source.wake = wake_reader;
    w.source.wake_arg = &w;
    for (size_t i = 0; i < FEEDS; i++)
        feed_init(&w.feeds[i], NULL, SIDE_LEFT, &w.source, &pool);

    assert_int_equal(pthread_create(&reader, NULL, run_reader, &w), 0);
    for (size_t i = 0; i < FEEDS; i++) {
        args[i] = (struct applier_arg){.w = &w, .i = i};
        assert_int_equal(pthread_create(&appliers[i], NULL, run_applier, &args[i]), 0);
    }
    for (size_t i = 0; i < FEEDS; i++) {
        pthread_join(appliers[i], NULL);
        queue_close(&w.feeds[i].queue); /* a reader that still fills it need not wait */
    }
    pthread_mutex_lock(&w.lock);
    w.stop = true;
    pthread_cond_signal(&w.cond);
    pthread_mutex_unlock(&w.lock);
    pthread_join(reader, NULL);

    for (size_t i = 0; i < FEEDS; i++) {
        if (args[i].failed != NULL)
            fail_msg("feed %zu: %s", i, args[i].failed);
        assert_true(args[i].idles > 0);
        feed_done(&w.feeds[i]);
    }
    feed_source_done(&w.source);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_asks_the_reader),
        cmocka_unit_test(in_step_only_when_resumed),
        cmocka_unit_test(idle_only_when_resumed),
        cmocka_unit_test(no_position_is_none),
        cmocka_unit_test(what_counts_as_read),
        cmocka_unit_test(waiting_ends_in_time),
        cmocka_unit_test(waits_end),
        cmocka_unit_test(a_move_wakes_at_once),
        cmocka_unit_test(nothing_is_missed_and_idle_tells_the_truth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
