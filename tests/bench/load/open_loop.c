/*
 * open_loop.c - transactions that come when they come, however long the ones before them take, and how long some of
 * them need to be seen on the other side.
 *
 * Each connection has a timetable. A statement's time is counted from the moment it was due, so that a stall is felt by all
 * that were due meanwhile. With rate=0 there is no timetable but for the probes.
 *
 * A probe is a row like the others, written by one connection more. When its commit has been answered, an observer with a
 * connection to the peer looks for that key's version until it is there: busily, but never with pauses longer than a 64th of
 * the time passed, so that little of a long wait is spent on looking and a short one is told to some 50 us, the time of one read.
 * Probes are looked for in the order of their commits.
 */
#include "tests/bench/load/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_PAUSE_SHARE = 64 };
#define PROBE_KEYS UINT64_C(1000000000) /* above first: the probes' keys */

struct probe {
    uint64_t key, version;
    int64_t committed_ns;
};

struct times {
    int64_t *ns;
    size_t count, size;
};

static struct {
    const struct load_options *o;
    int64_t began_ns, end_ns;
    pthread_mutex_t lock; /* of the three below */
    struct times statements;
    uint64_t transactions, deadlocks;
    struct probe *probes;
    sem_t committed; /* probes that are written and not yet looked for */
    int64_t *arrived_ns;
    unsigned seen, arrived_late; /* behind the last statement */
} run;

static void add(struct times *t, int64_t ns)
{
    t->ns = load_grow(t->ns, t->count, &t->size, sizeof *t->ns);
    t->ns[t->count++] = ns;
}

/* ---- Writing ---- */

static void hand_in(struct load_writer *w, struct times *t)
{
    pthread_mutex_lock(&run.lock);
    for (size_t i = 0; i < t->count; i++)
        add(&run.statements, t->ns[i]);
    run.transactions += t->count;
    run.deadlocks += w->deadlocks;
    pthread_mutex_unlock(&run.lock);
    free(t->ns);
}

static void write_by_timetable(struct load_writer *w, const struct load_options *o)
{
    double probe_rate = o->probes / o->seconds;
    double rate = (o->rate > probe_rate ? o->rate - probe_rate : o->rate) / o->connections;
    double step_ns = o->rate > 0 ? 1e9 / rate : 0;
    double due = (double)run.began_ns + step_ns * w->number / w->writers;
    struct times t = {0};

    load_sleep_until((int64_t)due);
    while (due < (double)run.end_ns) {
        int64_t from = (int64_t)due, done;

        if (o->rate > 0)
            load_sleep_until(from);
        load_write_any(w);
        done = load_now_ns();
        add(&t, done - from);
        due = o->rate > 0 ? due + step_ns : (double)done;
    }
    hand_in(w, &t);
}

static void write_probes(struct load_writer *w, const struct load_options *o)
{
    double step_ns = o->seconds * 1e9 / o->probes;

    for (unsigned n = 0; n < o->probes; n++) {
        struct probe *p = &run.probes[n];

        load_sleep_until(run.began_ns + (int64_t)(step_ns * (n + 0.5)));
        /* A new row, then a change of it. */
        p->key = o->first + PROBE_KEYS + n / 2;
        p->version = 1 + n % 2;
        if (n % 2 == 0)
            load_insert(w, p->key);
        else
            load_update(w, p->key, 2);
        p->committed_ns = load_now_ns();
        sem_post(&run.committed);
    }
    pthread_mutex_lock(&run.lock);
    run.transactions += o->probes;
    run.deadlocks += w->deadlocks;
    pthread_mutex_unlock(&run.lock);
}

static void *write_probes_thread(void *argument)
{
    struct load_writer w;

    mysql_thread_init();
    load_writer_init(&w, argument, ((const struct load_options *)argument)->connections);
    write_probes(&w, argument);
    load_writer_done(&w);
    mysql_thread_end();
    return NULL;
}

/* ---- Looking ---- */

static bool is_there(MYSQL *db, const struct load_table *table, const struct probe *p)
{
    char sql[320];
    int n = snprintf(sql, sizeof sql, "SELECT sync_version FROM %s WHERE id = %" PRIu64, table->name, p->key);
    MYSQL_RES *result;
    MYSQL_ROW row;
    bool there;

    if (mysql_real_query(db, sql, (unsigned long)n) != 0 || (result = mysql_store_result(db)) == NULL)
        load_die("look for a probe: %s", mysql_error(db));
    row = mysql_fetch_row(result);
    there = row != NULL && strtoull(row[0], NULL, 10) >= p->version;
    mysql_free_result(result);
    return there;
}

static void *look_for_probes(void *argument)
{
    const struct load_options *o = argument;
    MYSQL *db;
    int64_t deadline_ns = run.end_ns + (int64_t)(o->wait_s * 1e9);

    mysql_thread_init();
    db = load_connect(o->peer);
    for (unsigned n = 0; n < o->probes; n++) {
        const struct probe *p = &run.probes[n];
        int64_t now;

        while (sem_wait(&run.committed) != 0) {
        }
        while (!is_there(db, &o->peer_table, p)) {
            now = load_now_ns();
            if (now > deadline_ns)
                load_die("probe %u of %u has not arrived within %.0f s of the last statement", n + 1,
                         o->probes, o->wait_s);
            /* A pause that the kernel would stretch to more than was asked for is left out. */
            if ((now - p->committed_ns) / PROBE_PAUSE_SHARE > 100000)
                load_sleep_until(now + (now - p->committed_ns) / PROBE_PAUSE_SHARE);
        }
        now = load_now_ns();
        run.arrived_ns[n] = now - p->committed_ns;
        if (now > run.end_ns)
            run.arrived_late++;
        run.seen++;
    }
    mysql_close(db);
    mysql_thread_end();
    return NULL;
}

void load_open_loop(const struct load_options *o)
{
    pthread_t writer, observer;
    double seconds;

    if (!(o->seconds > 0))
        load_die("open-loop wants seconds=N");
    run.o = o;
    pthread_mutex_init(&run.lock, NULL);
    sem_init(&run.committed, 0, 0);
    run.probes = calloc(o->probes + 1, sizeof *run.probes);
    run.arrived_ns = calloc(o->probes + 1, sizeof *run.arrived_ns);
    if (run.probes == NULL || run.arrived_ns == NULL)
        load_die("no memory");
    run.began_ns = load_now_ns() + 100000000; /* all are connected by then */
    run.end_ns = run.began_ns + (int64_t)(o->seconds * 1e9);
    if (o->probes > 0 && (pthread_create(&writer, NULL, write_probes_thread, (void *)o) != 0 ||
                          pthread_create(&observer, NULL, look_for_probes, (void *)o) != 0))
        load_die("no thread");
    load_in_threads(o, write_by_timetable);
    if (o->probes > 0)
        pthread_join(writer, NULL);
    seconds = (double)(load_now_ns() - run.began_ns) / 1e9;
    if (o->probes > 0)
        pthread_join(observer, NULL);

    printf("{\"transactions\": %" PRIu64 ", \"seconds\": %.3f, \"rate\": %.1f, \"deadlocks\": %" PRIu64 ", ",
           run.transactions, seconds, (double)run.transactions / seconds, run.deadlocks);
    load_print_quantiles("statement", run.statements.ns, run.statements.count);
    printf(", ");
    load_print_quantiles("lag", run.arrived_ns, run.seen);
    printf(", \"late\": %u}\n", run.arrived_late);
    free(run.statements.ns);
    free(run.probes);
    free(run.arrived_ns);
    sem_destroy(&run.committed);
    pthread_mutex_destroy(&run.lock);
}
