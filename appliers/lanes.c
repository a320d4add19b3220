/*
 * lanes.c - a crew of threads that do one thing together: each waits for the next turn, does its part
 * and says so. The direction's own thread does that of lane 0.
 */
#include "appliers/lanes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/store_mysql.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"

/* A lock that another lane holds is let go of only when this one has given up: the batch is written by one connection
 * then, which waits longer. */
enum { LOCK_WAIT_S = 1 };

struct lane {
    struct lanes *lanes;
    size_t number;
    pthread_t thread;
    bool started;
};

struct lanes {
    const struct db_options *db;
    const char *state_database, *name;
    const struct link *link;
    enum side side;
    size_t count;
    struct lane lane[LANES_MAX];

    pthread_mutex_t lock;            /* for what follows */
    struct store *stores[LANES_MAX]; /* NULL until they are needed for the first time */
    pthread_cond_t begin, end;
    uint64_t turn;
    size_t at_work;
    bool stop;
    void (*part)(void *arg, size_t lane);
    void *part_arg;
};

static void *lane_main(void *arg)
{
    struct lane *me = arg;
    struct lanes *l = me->lanes;
    uint64_t done = 0;

    log_context("lane", l->name, "");
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->stop && l->turn == done)
            pthread_cond_wait(&l->begin, &l->lock);
        if (l->stop)
            break;
        done = l->turn;
        pthread_mutex_unlock(&l->lock);
        l->part(l->part_arg, me->number);
        pthread_mutex_lock(&l->lock);
        if (--l->at_work == 0)
            pthread_cond_signal(&l->end);
    }
    pthread_mutex_unlock(&l->lock);
    db_thread_done();
    return NULL;
}

static void run(void *arg, void (*part)(void *part_arg, size_t lane), void *part_arg)
{
    struct lanes *l = arg;

    pthread_mutex_lock(&l->lock);
    l->part = part;
    l->part_arg = part_arg;
    l->at_work = l->count - 1;
    l->turn++;
    pthread_cond_broadcast(&l->begin);
    pthread_mutex_unlock(&l->lock);
    part(part_arg, 0);
    pthread_mutex_lock(&l->lock);
    while (l->at_work > 0)
        pthread_cond_wait(&l->end, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

static bool start(struct lane *lane, struct err *err)
{
    if (lane->started)
        return true;
    int rc = pthread_create(&lane->thread, NULL, lane_main, lane);

    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "start a lane's thread: %s", strerror(rc));
    lane->started = true;
    return true;
}

static void make_stores(struct lanes *l)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->count; i++)
        if (l->stores[i] == NULL) {
            l->stores[i] = store_mysql_new_lane(l->db, l->state_database, l->link, l->side, i);
            store_mysql_set_lock_wait(l->stores[i], LOCK_WAIT_S);
        }
    pthread_mutex_unlock(&l->lock);
}

bool lanes_begin(struct lanes *l, struct apply_lanes *ret_lanes, struct err *err)
{
    bool ok = true;

    make_stores(l);
    for (size_t i = 0; i < l->count && ok; i++)
        ok = store_mysql_is_connected(l->stores[i]);
    /* All anew, or one might be of another server than the rest, behind the same address. */
    if (!ok)
        lanes_rest(l, ret_lanes);
    ok = true;
    for (size_t i = 0; i < l->count && ok; i++)
        ok = store_mysql_connect(l->stores[i], err);
    for (size_t i = 0; i < l->count && ok; i++)
        ok = store_mysql_is_current(l->stores[i], err);
    for (size_t i = 1; i < l->count && ok; i++)
        ok = start(&l->lane[i], err);
    if (!ok) {
        lanes_rest(l, ret_lanes);
        return err_prefix(err, "lanes");
    }
    *ret_lanes = (struct apply_lanes){l->count, l->stores, run, l};
    return true;
}

void lanes_rest(struct lanes *l, struct apply_lanes *lanes)
{
    *lanes = (struct apply_lanes){0};
    pthread_mutex_lock(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->begin);
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->count; i++) {
        if (l->lane[i].started)
            pthread_join(l->lane[i].thread, NULL);
        l->lane[i].started = false;
        if (l->stores[i] != NULL)
            store_mysql_disconnect(l->stores[i]);
    }
    l->stop = false;
    l->turn = 0;
}

void lanes_shutdown(struct lanes *l)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->count; i++)
        if (l->stores[i] != NULL)
            store_mysql_shutdown(l->stores[i]);
    pthread_mutex_unlock(&l->lock);
}

struct lanes *lanes_new(const struct db_options *db, const char *state_database, const struct link *link,
                        enum side side, size_t count, const char *name)
{
    struct lanes *l = mem_zalloc(1, sizeof *l);

    l->db = db;
    l->state_database = state_database;
    l->link = link;
    l->side = side;
    l->count = count;
    l->name = name;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->begin, NULL);
    pthread_cond_init(&l->end, NULL);
    for (size_t i = 1; i < count; i++)
        l->lane[i] = (struct lane){.lanes = l, .number = i};
    return l;
}

void lanes_free(struct lanes *l)
{
    struct apply_lanes none;

    if (l == NULL)
        return;
    lanes_rest(l, &none);
    for (size_t i = 0; i < l->count; i++)
        store_mysql_free(l->stores[i]); /* or NULL */
    pthread_cond_destroy(&l->begin);
    pthread_cond_destroy(&l->end);
    pthread_mutex_destroy(&l->lock);
    free(l);
}
