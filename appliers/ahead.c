/*
 * ahead.c - one read at a time, handed over under one lock.
 *
 *   idle --ahead_begin()--> wanted --the thread takes it--> reads --> ready --ahead_take()--> idle
 *
 * `what` and `rows` belong to the thread while it reads, and to the caller at any other time.
 */
#include "appliers/ahead.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/store_mysql.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/wait.h"

enum { LOOK_EVERY_MS = 1000 };

struct ahead {
    struct store *stores[2];
    char link[96];
    pthread_t thread;
    bool started;
    struct walk_first what;
    struct arena arena; /* of `what`: its keys and rows */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum { IDLE, WANTED, READS, READY, FAILED } state;
    bool ends;
};

struct ahead *ahead_new(const struct db_options *const db[2], const char *state_database,
                        const struct link *link)
{
    struct ahead *a = mem_zalloc(1, sizeof *a);

    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        a->stores[side] = store_mysql_new(db[side], state_database, link, side);
        store_mysql_set_lock_wait(a->stores[side], 0);
    }
    snprintf(a->link, sizeof a->link, "%s", link->name);
    arena_init(&a->arena);
    pthread_mutex_init(&a->lock, NULL);
    wait_cond_init(&a->changed);
    return a;
}

void ahead_free(struct ahead *a)
{
    if (a == NULL)
        return;
    store_mysql_free(a->stores[SIDE_LEFT]);
    store_mysql_free(a->stores[SIDE_RIGHT]);
    arena_done(&a->arena);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* ---- The thread ---- */

static bool read_it(struct ahead *a)
{
    struct walk_first *f = &a->what;
    const struct key_range range = {f->after.data != NULL ? &f->after : NULL,
                                    f->up_to.data != NULL ? &f->up_to : NULL, f->exact};
    struct store *store = a->stores[f->side];
    struct err err = ERR_INIT;

    if (store->ops->range(store, &range, f->limit, &f->rows, &a->arena, &err))
        return true;
    log_debug("nothing is read ahead: %s", err.text);
    return false;
}

static void wait_changed(struct ahead *a)
{
    const struct timespec until = wait_deadline(LOOK_EVERY_MS);

    wait_until(&a->changed, &a->lock, &until);
}

static void set_state(struct ahead *a, int state)
{
    a->state = state;
    pthread_cond_broadcast(&a->changed);
}

static void *ahead_main(void *arg)
{
    struct ahead *a = arg;

    log_context("resync", a->link, "");
    pthread_mutex_lock(&a->lock);
    while (!a->ends) {
        if (a->state != WANTED) {
            wait_changed(a);
            continue;
        }
        set_state(a, READS);
        pthread_mutex_unlock(&a->lock);
        bool ok = read_it(a);

        pthread_mutex_lock(&a->lock);
        set_state(a, ok ? READY : FAILED);
    }
    pthread_mutex_unlock(&a->lock);
    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        store_mysql_disconnect(a->stores[side]);
    db_thread_done();
    return NULL;
}

bool ahead_start(struct ahead *a, struct err *err)
{
    a->ends = false;
    a->state = IDLE;
    int rc = pthread_create(&a->thread, NULL, ahead_main, a);

    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "start a thread that reads ahead: %s", strerror(rc));
    a->started = true;
    return true;
}

void ahead_end(struct ahead *a)
{
    if (!a->started)
        return;
    a->started = false;
    pthread_mutex_lock(&a->lock);
    a->ends = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    arena_done(&a->arena);
}

void ahead_shutdown(struct ahead *a)
{
    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        store_mysql_shutdown(a->stores[side]);
}

/* ---- Its caller ---- */

/* With the lock held: nobody reads. */
static void wait_idle(struct ahead *a)
{
    while (a->state == WANTED || a->state == READS)
        wait_changed(a);
}

static void copy_key(struct ahead *a, struct key *to, const struct key *k)
{
    *to = (struct key){NULL, 0};
    if (k->data != NULL)
        *to = (struct key){arena_copy(&a->arena, k->data, k->len), k->len};
}

void ahead_begin(struct ahead *a, const struct walk_first *what)
{
    if (!a->started)
        return;
    pthread_mutex_lock(&a->lock);
    wait_idle(a);
    arena_done(&a->arena);
    a->what = *what;
    copy_key(a, &a->what.after, &what->after);
    copy_key(a, &a->what.up_to, &what->up_to);
    set_state(a, WANTED);
    pthread_mutex_unlock(&a->lock);
}

bool ahead_take(struct ahead *a, struct walk_first *ret_first, struct arena *arena)
{
    if (!a->started)
        return false;
    pthread_mutex_lock(&a->lock);
    wait_idle(a);
    bool ready = a->state == READY;

    if (ready) {
        *ret_first = a->what;
        *arena = a->arena;
        arena_init(&a->arena);
    }
    a->state = IDLE;
    pthread_mutex_unlock(&a->lock);
    return ready;
}
