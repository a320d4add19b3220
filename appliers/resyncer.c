/*
 * resyncer.c - a job from its order to its end.
 *
 *   idle --trigger, or a direction begins anew--> running --the walk has ended--> done
 *                                                    |
 *                                                    +--a direction halts, no way on--> failed
 *
 * What is stored. The left side's resync table has the job and the last key of the last
 * chunk that is done. That is written with the last rows of the chunk or after them, so a
 * crash in between repeats at most one chunk, which does no harm.
 *
 * Two at a time. A chunk begins with a read of the side that has most rows; while one is compared and
 * written, a second thread makes the read of the next one (ahead.h). So the servers, which cost far more time
 * than we do, work at once. The ciphers cost half a microsecond a value beside some six of the server that
 * stores it: they need no cores of their own.
 *
 * Beginning anew. When a direction's position is lost, what it has not applied is unknown, and
 * every key has to be compared once more from the moment on at which it begins again.
 * Its applier calls resyncer_on_begin() with both gates held, which sends the walk back to
 * its beginning, in memory and in the table, before the new position is stored. Progress is
 * written with both gates held as well, and only if no such thing happened meanwhile: else an
 * old "done up to here" could be written over it.
 *
 * Rows that changed without a row event. The walk that is under way may have passed them, and is not sent
 * back: where that happens often it would never end. It is noted beside the job, in memory and in the table, that
 * another one has to follow.
 *
 * Giving way. Between two chunks the appliers get their turn at the gates and the queues are
 * let run low, so that streams go on during a resync and little is pending when the
 * next chunk is looked at. While applications write, chunks are small and nothing is read ahead (pace.h). A commit
 * after each of these would cost more than the chunk, so progress is stored after as many rows as a chunk has at full speed.
 *
 * `lock` covers what others look at: job, ended, generation, loaded.
 */
#include "appliers/resyncer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/ahead.h"
#include "appliers/pace.h"
#include "appliers/refusals.h"
#include "appliers/resync.h"
#include "appliers/retry.h"
#include "appliers/store_mysql.h"
#include "cdc/base/backoff.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/once.h"
#include "cdc/base/wait.h"

enum {
    ENDED_JOBS = 8,
    FIRST_ROWS = 64,
    LOCK_TARGET_US = 20000,
    LEAST_GROUP_ROWS = 8, /* fewer would not be quicker, where it is a core that is waited for */
    CHUNK_BYTES = 2 << 20,
    WITHOUT_COPIES = 8,      /* chunks, after one of them failed */
    READ_ON_WITHIN_MS = 200, /* at first, and after each try that this was too short for twice as long */
    READ_ON_DOUBLED = 3,     /* so often at most */
    LET_OTHERS_MS = 50,
    RUN_LOW_MS = 250,
    PATIENT_TRIES = 5,         /* then keys in doubt are reconciled */
    LATE_READER_WAIT_MS = 300, /* at most: it goes on by itself */
    WAKE_EVERY_MS = 500,       /* or as the options say */
    OPEN_TURN_MS = 5000,       /* is waited for at most */
    PURGE_EVERY_S = 3600,
    TELL_AGAIN_AFTER_S = 60,
    MAX_REST_S = 60,
    RETRY_EVERY_MS = 200,         /* a look whether the time of any key in quarantine has come */
    TROUBLE_TOLD_AFTER_MS = 3000, /* what passes by itself within a moment is no trouble */
};

/* ---- The resyncer ---- */

struct resyncer {
    struct resyncer_options o;
    char name[96];
    pthread_t thread;
    bool started;
    struct resync resync;
    struct resync_streams streams;
    struct direction_stats stats; /* of what it reconciles: not shown */
    struct refusals refusals;
    struct retry retry;
    struct backoff backoff;
    struct once trouble;
    bool in_trouble;     /* and it was told */
    bool reader_is_late; /* that is why the last try was none */
    mono_us last_purge, went_well_at;
    uint64_t chunk_quarantined;    /* of the chunk under way: keys that were refused */
    struct err left;               /* why a row was left for the chunk's next look */
    size_t chunk_rows, group_rows; /* read, and locked, at once at the moment */
    size_t group_most;             /* rows that may be, by their size */
    struct pace pace;
    bool stores;      /* the progress of the chunk under way */
    size_t unstored;  /* rows done since progress was stored */
    size_t no_copies; /* chunks that are to come without them */
    struct ahead *ahead;
    uint64_t ahead_turn; /* of the gates, when it began to read */
    uint64_t walk_generation;

    pthread_mutex_t lock;
    pthread_cond_t wanted;  /* a job is to be run */
    bool loaded;            /* what the table has is known */
    struct job job;         /* id 0: there was none yet */
    struct key done_to;     /* owned; data NULL: nothing yet */
    uint64_t taken_over[2]; /* by direction: the last job for which it began anew after a halt */
    mono_us rest_until;     /* not sooner does a job that nobody ordered follow another one */
    bool walks;             /* the job is under way: it may have read rows */
    bool compared;          /* a chunk of this walk is done: no direction may begin anew without a new walk */
    uint64_t generation;    /* grows when the walk has to begin from the beginning */
    struct job *ended;      /* a ring of ENDED_JOBS; NULL: none yet */
    size_t nended;
};

static bool runs(const struct resyncer *r) { return r->job.id != 0 && r->job.state == JOB_RUNNING; }

/* With the lock held. */
static void set_done_to(struct resyncer *r, const struct key *k)
{
    char *copy = NULL;

    if (k != NULL && k->data != NULL) {
        copy = mem_alloc(k->len > 0 ? k->len : 1);
        memcpy(copy, k->data, k->len);
    }
    free((void *)r->done_to.data);
    r->done_to = (struct key){copy, copy != NULL ? k->len : 0};
}

/* With the lock held: from the beginning. */
static void start_over(struct resyncer *r)
{
    set_done_to(r, NULL);
    r->compared = false;
    r->job.again[0] = '\0'; /* the walk that begins will see it */
    r->job.rows_scanned = 0;
    r->job.quarantined = 0; /* they will be refused once more */
    r->generation++;
}

/* With the lock held. */
static void new_job(struct resyncer *r, enum job_cause cause, const struct job_order *order,
                    const char *reason)
{
    if (r->job.id != 0) {
        if (r->ended == NULL)
            r->ended = mem_zalloc(ENDED_JOBS, sizeof *r->ended);
        r->ended[r->nended++ % ENDED_JOBS] = r->job;
    }
    r->job = (struct job){
        .id = r->o.new_id(r->o.new_id_arg),
        .link = r->o.link->name,
        .state = JOB_RUNNING,
        .cause = cause,
        .started_at = clock_wall(),
    };
    if (order != NULL)
        r->job.order = *order;
    snprintf(r->job.reason, sizeof r->job.reason, "%.*s", JOB_TEXT - 1, reason);
    r->walks = false;
    start_over(r);
}

/* ---- From other threads ---- */

static bool is_halted(const struct resyncer *r, enum side *ret_from)
{
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++)
        if (r->o.direction[from]->state == RUN_HALTED) {
            *ret_from = from;
            return true;
        }
    return false;
}

static bool halted_error(const struct resyncer *r, enum side from, enum err_kind kind, struct err *err)
{
    char why[512];

    stat_text_get(&r->o.direction[from]->reason, why, sizeof why);
    return err_set(err, kind, 0,
                   "%s is halted: %s; trigger with from=left or from=right: which side is right",
                   direction_arrow(from), why);
}

/* One that nobody ordered cannot end well while a direction is halted, and must not be in the way of the order that
 * says how to go on. */
static bool gives_way(const struct resyncer *r, const struct job_order *order)
{
    enum side from;

    return r->job.cause != JOB_TRIGGER && order->has_from && is_halted(r, &from);
}

enum resync_answer resyncer_trigger(struct resyncer *r, const struct job_order *order, struct job *ret_job,
                                    struct err *err)
{
    enum resync_answer answer = RESYNC_STARTED;
    enum side from;

    pthread_mutex_lock(&r->lock);
    if (!r->loaded) {
        answer = RESYNC_NOT_YET;
        err_set(err, ERR_RETRY, 0, "link %s: server %s has not been reached yet", r->o.link->name,
                r->o.link->server[SIDE_LEFT]);
    } else if (runs(r) && !gives_way(r, order)) {
        answer = RESYNC_RUNS_ALREADY;
    } else if (!order->has_from && is_halted(r, &from)) {
        answer = RESYNC_HALTED;
        halted_error(r, from, ERR_HALT, err);
    } else {
        if (runs(r)) {
            r->job.state = JOB_FAILED;
            r->job.ended_at = clock_wall();
            snprintf(r->job.error, sizeof r->job.error,
                     "a trigger that says which side is right took its place");
        }
        new_job(r, JOB_TRIGGER, order, "");
        pthread_cond_signal(&r->wanted);
    }
    *ret_job = r->job;
    pthread_mutex_unlock(&r->lock);
    return answer;
}

bool resyncer_job(struct resyncer *r, uint64_t id, struct job *ret_job)
{
    bool found = false;

    pthread_mutex_lock(&r->lock);
    if (id != 0 && r->job.id == id) {
        *ret_job = r->job;
        found = true;
    }
    for (size_t i = 0; i < ENDED_JOBS && i < r->nended && !found; i++)
        if (r->ended[i].id == id) {
            *ret_job = r->ended[i];
            found = true;
        }
    pthread_mutex_unlock(&r->lock);
    return found;
}

bool resyncer_last_job(struct resyncer *r, struct job *ret_job)
{
    pthread_mutex_lock(&r->lock);
    *ret_job = r->job;
    pthread_mutex_unlock(&r->lock);
    return ret_job->id != 0;
}

bool resyncer_takes_over(struct resyncer *r, enum side from)
{
    pthread_mutex_lock(&r->lock);
    bool yes = runs(r) && r->job.order.has_from && !r->compared && r->taken_over[from] != r->job.id;

    pthread_mutex_unlock(&r->lock);
    return yes;
}

static void take_stored(struct resyncer *r, const struct resync_state *stored)
{
    if (r->loaded)
        return;
    r->loaded = true;
    if (stored == NULL)
        return;
    r->job = stored->job;
    r->job.link = r->o.link->name;
    set_done_to(r, &stored->done_to);
    r->compared = stored->done_to.data != NULL;
    /* One that failed: nobody but us knows that it is needed, and what was in its way may be mended by now. */
    const struct job last = r->job;

    if (last.state == JOB_FAILED && (last.again[0] != '\0' || last.cause == JOB_UNLOGGED))
        new_job(r, JOB_UNLOGGED, NULL, job_needs_resync(&last));
}

/* What the table has, if it is not known yet. A job that begins before would be overwritten by the one before it. */
static bool load_job(struct resyncer *r, struct store *left, struct err *err)
{
    struct resync_state stored;
    struct arena arena;
    bool has = false;

    pthread_mutex_lock(&r->lock);
    bool loaded = r->loaded;

    pthread_mutex_unlock(&r->lock);
    if (loaded)
        return true;
    arena_init(&arena);
    bool ok = store_mysql_load_resync(left, &has, &stored, &arena, err);

    if (ok) {
        pthread_mutex_lock(&r->lock);
        take_stored(r, has ? &stored : NULL);
        pthread_mutex_unlock(&r->lock);
    }
    arena_done(&arena);
    return ok;
}

/* With the lock held. The key is borrowed. */
static struct resync_state state_now(const struct resyncer *r)
{
    return (struct resync_state){r->job, r->done_to};
}

static void tell_gap(const struct resyncer *r, enum side from, const char *why)
{
    if (r->o.event != NULL)
        r->o.event(r->o.event_arg, &(struct event){EVENT_GAP, r->o.link->name, direction_name(from), why});
}

/* With the lock held: a walk that begins from now on. True if it is the first one of this need. While a direction
 * is halted one job fails; the next ones would too. */
static bool want_walk(struct resyncer *r, const char *why)
{
    enum side halted;
    bool hopeless = r->job.cause == JOB_UNLOGGED && r->job.state == JOB_FAILED && is_halted(r, &halted);

    if (!runs(r) && !hopeless) {
        new_job(r, JOB_UNLOGGED, NULL, why);
        return true;
    }
    if (hopeless || r->walks || r->done_to.data != NULL)
        snprintf(r->job.again, sizeof r->job.again, "%.*s", JOB_TEXT - 1, why);
    return false;
}

bool resyncer_on_gap(void *arg, struct apply *a, enum side from, const char *why, struct err *err)
{
    struct resyncer *r = arg;
    struct arena arena;

    if (!load_job(r, a->stores[SIDE_LEFT], err))
        return false;
    arena_init(&arena);
    pthread_mutex_lock(&r->lock);
    bool first = want_walk(r, why);
    struct resync_state state = state_now(r);

    if (state.done_to.data != NULL)
        state.done_to.data = arena_copy(&arena, state.done_to.data, state.done_to.len);
    pthread_cond_signal(&r->wanted);
    pthread_mutex_unlock(&r->lock);
    if (first)
        tell_gap(r, from, why);
    bool ok = resync_store(a->stores[SIDE_LEFT], &state, err);

    arena_done(&arena);
    return ok;
}

bool resyncer_on_begin(void *arg, struct apply *a, enum side from, enum job_cause cause, const char *why,
                       const struct resync_state *stored, struct err *err)
{
    struct resyncer *r = arg;

    if (cause == JOB_FIRST_START && !r->o.initial_sync) {
        log_warn("no checkpoint yet, and initial_sync is off: rows that are there already are not compared");
        return true;
    }
    /* At a start the position may be known to be lost before our own thread has read the table. */
    if (cause != JOB_FIRST_START && !load_job(r, a->stores[SIDE_LEFT], err))
        return false;
    pthread_mutex_lock(&r->lock);
    if (cause == JOB_FIRST_START)
        take_stored(r, stored);
    if (runs(r))
        start_over(r);
    else
        new_job(r, cause, NULL, why);
    if (cause == JOB_LOST_POSITION) {
        r->job.cause = cause;
        snprintf(r->job.reason, sizeof r->job.reason, "%.*s", JOB_TEXT - 1, why);
    }
    if (cause == JOB_TRIGGER)
        r->taken_over[from] = r->job.id;
    struct resync_state state = state_now(r);

    pthread_cond_signal(&r->wanted);
    pthread_mutex_unlock(&r->lock);
    if (cause == JOB_LOST_POSITION)
        tell_gap(r, from, why);
    state.done_to = (struct key){NULL, 0};
    return resync_store(a->stores[SIDE_LEFT], &state, err);
}

/* ---- What a resync has to know of the streams ---- */

/* The gates are held meanwhile, and a reader whose queue is full waits for them; so the wait has an end. On a machine where
 * servers and readers get little of a core the same wait is too short each time, and the walk would not go on. */
static bool read_on(void *arg, const struct pos ends[2], struct err *err)
{
    struct resyncer *r = arg;
    uint32_t doubled = r->backoff.tries < READ_ON_DOUBLED ? r->backoff.tries : READ_ON_DOUBLED;

    for (enum side log = SIDE_LEFT; log <= SIDE_RIGHT; log++)
        if (!feed_wait_read(r->o.feed[log], &ends[log], READ_ON_WITHIN_MS << doubled)) {
            r->reader_is_late = true;
            return err_set(err, ERR_BUSY, 0, "the reader of server %s does not get to the end of its binlog",
                           r->o.link->server[log]);
        }
    return true;
}

struct visitor {
    void (*visit)(void *arg, const struct tx *tx);
    void *arg;
};

static void visit_pending(void *arg, void *item)
{
    const struct visitor *v = arg;
    const struct tx *tx = item;

    if (!tx->applied)
        v->visit(v->arg, tx);
}

static void pending(void *arg, enum side log, void (*visit)(void *visit_arg, const struct tx *tx),
                    void *visit_arg)
{
    struct resyncer *r = arg;
    struct visitor v = {visit, visit_arg};

    queue_each(&r->o.feed[log]->queue, visit_pending, &v);
}

static void read_ahead(void *arg, const struct walk_first *next)
{
    struct resyncer *r = arg;

    if (r->pace.gentle || r->chunk_rows < r->o.chunk_rows / 2)
        return; /* large rows, or the first few: two chunks of them are not held in memory at once */
    r->ahead_turn = r->resync.turn;
    ahead_begin(r->ahead, next);
}

static int64_t now_us(void *arg)
{
    (void)arg;
    return clock_mono().v;
}

/* ---- Trouble ---- */

static void show_trouble(struct resyncer *r, const char *text)
{
    pthread_mutex_lock(&r->lock);
    snprintf(r->job.error, sizeof r->job.error, "%.*s", JOB_TEXT - 1, text);
    pthread_mutex_unlock(&r->lock);
}

/* An idle job keeps no connection: a hundred links would keep two hundred. */
static void disconnect(struct resyncer *r)
{
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        store_mysql_disconnect(r->resync.apply.stores[s]);
}

/* Whether there is any sense in trying again; waits if so. */
static bool may_try_again(struct resyncer *r, struct err *err)
{
    enum side from;

    switch (err->kind) {
    case ERR_CONFIG: disconnect(r); break; /* a new session has what was granted, or changed, meanwhile */
    case ERR_BUSY:
    case ERR_RETRY:
    case ERR_NONE: break;
    default: return false;
    }
    if (is_halted(r, &from) && !resyncer_takes_over(r, from))
        return halted_error(r, from, ERR_HALT, err);
    uint32_t wait_ms = backoff_next_ms(&r->backoff);

    if (r->reader_is_late && wait_ms > LATE_READER_WAIT_MS)
        wait_ms = LATE_READER_WAIT_MS;
    r->reader_is_late = false;
    if (mono_diff_us(clock_mono(), r->went_well_at) >= TROUBLE_TOLD_AFTER_MS * 1000LL) {
        r->in_trouble = true;
        show_trouble(r, err->text);
        if (once_is_news(&r->trouble, err->text, TELL_AGAIN_AFTER_S))
            log_warn("resync waits: %s", err->text);
    }
    stop_wait_ms(r->o.stop, wait_ms);
    return true;
}

static void trouble_is_over(struct resyncer *r)
{
    if (r->in_trouble) {
        show_trouble(r, "");
        log_info("resync goes on");
    }
    r->in_trouble = false;
    r->went_well_at = clock_mono();
    backoff_reset(&r->backoff);
}

/* ---- One chunk ---- */

static size_t scaled(size_t n, int64_t target, int64_t measured, size_t max)
{
    int64_t wanted = measured > 0 ? (int64_t)n * target / measured : (int64_t)n * 2;

    if (wanted < (int64_t)n / 2)
        wanted = (int64_t)n / 2;
    if (wanted > (int64_t)n * 2)
        wanted = (int64_t)n * 2;
    if (wanted > (int64_t)max)
        wanted = (int64_t)max;
    return wanted > 1 ? (size_t)wanted : 1;
}

/* rows: so many took as long as was measured. */
static void scale_group(struct resyncer *r, size_t rows)
{
    size_t most = r->group_most < r->o.chunk_rows ? r->group_most : r->o.chunk_rows,
           least = most < LEAST_GROUP_ROWS ? most : LEAST_GROUP_ROWS;

    r->group_rows = scaled(rows, LOCK_TARGET_US, r->resync.locked_us, most);
    if (r->group_rows < least)
        r->group_rows = least;
}

/* What was done stays done, whatever becomes of the chunk. */
static void count(struct resyncer *r)
{
    struct resync_counts *c = &r->resync.counts;

    pthread_mutex_lock(&r->lock);
    r->job.rows_written += c->written;
    r->job.conflicts += c->conflicts;
    pthread_mutex_unlock(&r->lock);
    r->chunk_quarantined += c->quarantined;
    r->o.stats->resync_written += c->written;
    memset(c, 0, sizeof *c);
}

/* What is the same for each walk over a chunk counts once: not if the walk has to begin anew. */
static void count_chunk(struct resyncer *r, uint64_t generation, uint64_t scanned)
{
    pthread_mutex_lock(&r->lock);
    if (r->generation == generation) {
        r->compared = true;
        r->job.rows_scanned += scanned;
        r->job.quarantined += r->chunk_quarantined;
    }
    pthread_mutex_unlock(&r->lock);
    r->o.stats->resync_scanned += scanned;
}

/* It will be read again. */
static void uncount_chunk(struct resyncer *r, uint64_t generation, uint64_t scanned)
{
    pthread_mutex_lock(&r->lock);
    if (r->generation == generation) {
        r->job.rows_scanned -= scanned;
        r->job.quarantined -= r->chunk_quarantined;
    }
    pthread_mutex_unlock(&r->lock);
}

static bool settle_group(struct resyncer *r, const struct key *keys, size_t nkeys, struct err *err)
{
    bool ok = resync_settle(&r->resync, keys, nkeys, err);

    count(r);
    stat_histogram_add(&r->o.stats->resync_lock, r->resync.locked_us);
    return ok;
}

/* By a server's word. Where a stream is in the way, which is our own finding, smaller groups would not help. */
static bool is_locked_out(const struct err *err) { return err->kind == ERR_BUSY && err->code != 0; }

/* An application holds a lock that the group needs. Ours are not held while it is waited for, for they would hold up
 * everybody: smaller groups, down to the row that is locked, which is left for the chunk's next look. */
static bool settle_smaller(struct resyncer *r, const struct key *keys, size_t nkeys, bool *ret_left,
                           struct err *err)
{
    link_sync_let_others(r->o.sync, LET_OTHERS_MS);
    if (settle_group(r, keys, nkeys, err))
        return true;
    if (!is_locked_out(err) || stop_raised(r->o.stop))
        return false;
    if (nkeys == 1) {
        *ret_left = true;
        r->left = *err;
        err_clear(err);
        return true;
    }
    err_clear(err);
    return settle_smaller(r, keys, nkeys / 2, ret_left, err) &&
           settle_smaller(r, keys + nkeys / 2, nkeys - nkeys / 2, ret_left, err);
}

static bool settle(struct resyncer *r, const struct key *keys, size_t nkeys, struct err *err)
{
    bool left = false;

    for (size_t done = 0; done < nkeys;) {
        size_t n = nkeys - done < r->group_rows ? nkeys - done : r->group_rows;

        n = resync_count_apart(r->o.link, keys + done, n);
        bool full = n == r->group_rows, ok = settle_group(r, keys + done, n, err);

        if (ok && (full || r->resync.locked_us > LOCK_TARGET_US))
            scale_group(r, n);
        if (!ok && !is_locked_out(err))
            return false;
        if (!ok) {
            err_clear(err);
            if (!settle_smaller(r, keys + done, n, &left, err))
                return false;
        }
        r->o.stats->resync_chunk_rows = r->group_rows;
        done += n;
        link_sync_let_others(r->o.sync, LET_OTHERS_MS);
    }
    if (left && err != NULL)
        *err = r->left;
    return !left;
}

/* With both gates held, or a direction that begins anew could be overwritten. */
static bool store_progress(struct resyncer *r, uint64_t generation, const struct key *done_to,
                           struct err *err)
{
    if (!link_sync_enter(r->o.sync, GATE_BOTH, r->o.stop, err))
        return false;
    pthread_mutex_lock(&r->lock);
    bool current = r->generation == generation;

    if (current && done_to != NULL)
        set_done_to(r, done_to);
    struct resync_state state = state_now(r);
    struct arena arena;

    arena_init(&arena);
    if (state.done_to.data != NULL)
        state.done_to.data = arena_copy(&arena, state.done_to.data, state.done_to.len);
    pthread_mutex_unlock(&r->lock);
    bool ok = !current || resync_store(r->resync.apply.stores[SIDE_LEFT], &state, err);

    arena_done(&arena);
    link_sync_leave(r->o.sync, GATE_BOTH);
    return ok;
}

static uint64_t generation_of(struct resyncer *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t generation = r->generation;

    pthread_mutex_unlock(&r->lock);
    return generation;
}

/* Little should be pending when the chunk is looked at: the streams go on to where the logs ended at the last look, as far
 * as they get there soon. */
static void let_streams_go_on(struct resyncer *r)
{
    link_sync_let_others(r->o.sync, LET_OTHERS_MS);
    for (enum side log = SIDE_LEFT; log <= SIDE_RIGHT; log++)
        if (!pos_is_unset(&r->resync.ends[log]))
            feed_wait_applied(r->o.feed[log], &r->resync.ends[log], RUN_LOW_MS);
}

/* Of large rows few are locked, and held in memory, at once. */
static void limit_group(struct resyncer *r, size_t npairs, size_t bytes)
{
    r->group_most = npairs > 0 ? CHUNK_BYTES / (bytes / npairs + 1) + 1 : r->o.chunk_rows;
    if (r->group_rows > r->group_most)
        r->group_rows = r->group_most;
}

/* With both gates held, within the scan of a chunk that is done. */
static bool progress(void *arg, const struct walk_chunk *chunk, struct arena *arena,
                     struct resync_state *ret_state)
{
    struct resyncer *r = arg;

    if (chunk->end.data == NULL || !r->stores)
        return false;
    pthread_mutex_lock(&r->lock);
    bool current = r->generation == r->walk_generation;

    *ret_state = (struct resync_state){
        .job = r->job, .done_to = {arena_copy(arena, chunk->end.data, chunk->end.len), chunk->end.len}};
    pthread_mutex_unlock(&r->lock);
    ret_state->job.rows_scanned += chunk->npairs;
    ret_state->job.rows_written += r->resync.counts.written;
    ret_state->job.conflicts += r->resync.counts.conflicts;
    return current;
}

/* Copied row by row, a table that the other side lacks is read, locked and written twice as fast as it is settled. */
static void choose_copies(struct resyncer *r, size_t npairs)
{
    enum side target = r->resync.lacks[SIDE_LEFT] > r->resync.lacks[SIDE_RIGHT] ? SIDE_LEFT : SIDE_RIGHT;

    if (r->resync.copy_fails)
        r->no_copies = WITHOUT_COPIES;
    else if (r->no_copies > 0)
        r->no_copies--;
    r->resync.copies = r->no_copies == 0 && 2 * r->resync.lacks[target] > npairs;
    r->resync.target = target;
}

/* What was read ahead, if anything. */
static bool scan(struct resyncer *r, struct walk *w, struct walk_chunk *ret_chunk, struct key **ret_keys,
                 size_t *ret_nkeys, struct arena *arena, struct arena *first_arena, struct err *err)
{
    struct walk_first first;
    size_t rows = r->resync.copies && r->group_rows < r->chunk_rows ? r->group_rows : r->chunk_rows;
    bool has_first = ahead_take(r->ahead, &first, first_arena);

    return resync_scan(&r->resync, w, rows, has_first ? &first : NULL, r->ahead_turn, ret_chunk, ret_keys,
                       ret_nkeys, arena, err);
}

/* How large the next ones may be. */
static void measure_chunk(struct resyncer *r, size_t npairs, size_t bytes)
{
    r->chunk_rows = scaled(r->chunk_rows, (int64_t)pace_bytes(&r->pace, CHUNK_BYTES), (int64_t)bytes,
                           pace_rows(&r->pace, r->o.chunk_rows));
    limit_group(r, npairs, bytes);
    if (r->resync.copied > 0) {
        scale_group(r, r->group_rows);
        r->o.stats->resync_chunk_rows = r->group_rows;
        stat_histogram_add(&r->o.stats->resync_lock, r->resync.locked_us);
    }
}

/* What the scan has not stored yet. In memory the walk goes on behind the chunk in any case. */
static bool finish_chunk(struct resyncer *r, const struct walk_chunk *chunk, uint64_t generation,
                         struct err *err)
{
    count_chunk(r, generation, chunk->npairs);
    if (chunk->end.data == NULL)
        return true;
    r->unstored = r->stores ? 0 : r->unstored + chunk->npairs;
    if (r->resync.stored || !r->stores) {
        pthread_mutex_lock(&r->lock);
        if (r->generation == generation)
            set_done_to(r, &chunk->end);
        pthread_mutex_unlock(&r->lock);
        return true;
    }
    if (store_progress(r, generation, &chunk->end, err))
        return true;
    uncount_chunk(r, generation, chunk->npairs);
    return false;
}

static uint64_t handed_on(struct resyncer *r)
{
    return queue_puts(&r->o.feed[SIDE_LEFT]->queue) + queue_puts(&r->o.feed[SIDE_RIGHT]->queue);
}

static void choose_pace(struct resyncer *r)
{
    pace_look(&r->pace, handed_on(r), clock_mono());
    size_t most = pace_rows(&r->pace, r->o.chunk_rows);

    if (r->chunk_rows > most)
        r->chunk_rows = most;
    r->stores = !r->pace.gentle || r->unstored + r->chunk_rows >= r->o.chunk_rows;
}

/* *ret_more: there is something behind it. Moves the walk only when all of it is done and stored. */
static bool do_chunk(struct resyncer *r, struct walk *w, uint64_t generation, bool *ret_more, struct err *err)
{
    struct walk_chunk chunk;
    struct key *keys;
    size_t nkeys;
    struct arena arena, first_arena;

    let_streams_go_on(r);
    choose_pace(r);
    r->resync.patient = r->backoff.tries < PATIENT_TRIES;
    r->reader_is_late = false;
    r->chunk_quarantined = 0;
    r->walk_generation = generation;
    arena_init(&arena);
    arena_init(&first_arena);
    bool ok = scan(r, w, &chunk, &keys, &nkeys, &arena, &first_arena, err);

    if (!ok && r->resync.copy_fails && is_locked_out(err)) {
        /* An application has a row that was to be copied: without copies nothing is waited for. */
        err_clear(err);
        choose_copies(r, 0);
        arena_done(&first_arena);
        ok = scan(r, w, &chunk, &keys, &nkeys, &arena, &first_arena, err);
    }
    if (ok) {
        count(r);
        measure_chunk(r, chunk.npairs, arena.bytes + first_arena.bytes);
        choose_copies(r, chunk.npairs);
        ok = settle(r, keys, nkeys, err) && finish_chunk(r, &chunk, generation, err);
    }
    if (ok)
        *ret_more = walk_advance(w, &chunk);
    arena_done(&arena);
    arena_done(&first_arena);
    return ok;
}

/* ---- One job ---- */

static bool estimate(struct resyncer *r, struct err *err)
{
    uint64_t rows[2], row_bytes[2];

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (!store_mysql_estimate(r->resync.apply.stores[s], &rows[s], &row_bytes[s], err))
            return false;
    /* A table of large rows must not be met with a chunk that suits small ones. */
    uint64_t at_first = CHUNK_BYTES / (row_bytes[SIDE_LEFT] + row_bytes[SIDE_RIGHT] + 1) + 1;

    if (at_first < r->chunk_rows)
        r->chunk_rows = (size_t)at_first;
    pthread_mutex_lock(&r->lock);
    r->job.rows_expected = rows[SIDE_LEFT] > rows[SIDE_RIGHT] ? rows[SIDE_LEFT] : rows[SIDE_RIGHT];
    pthread_mutex_unlock(&r->lock);
    return true;
}

/* From where it stands to its end, or to the first error. False without an error: it has to begin anew. */
static bool walk_all(struct resyncer *r, uint64_t generation, struct err *err)
{
    struct walk w;
    bool ok = true, more = true;

    pthread_mutex_lock(&r->lock);
    walk_init(&w, r->o.link, r->resync.apply.stores[SIDE_LEFT], r->resync.apply.stores[SIDE_RIGHT],
              r->done_to.data != NULL ? &r->done_to : NULL);
    pthread_mutex_unlock(&r->lock);
    while (ok && more) {
        if (stop_raised(r->o.stop)) {
            ok = err_set(err, ERR_STOPPED, 0, "stopped");
            break;
        }
        ok = do_chunk(r, &w, generation, &more, err);
        if (ok) {
            trouble_is_over(r);
            retry_due(&r->retry); /* they must not wait for the end of the walk */
        }
        if (ok && generation_of(r) != generation) { /* all from the beginning, and at once */
            err_clear(err);
            ok = false;
        }
    }
    walk_done(&w);
    return ok;
}

static void log_begin(const struct resyncer *r)
{
    const struct job_order *o = &r->job.order;

    log_info("resync %" PRIu64 " %s: %s%s%s, mode %s, missing rows are %s", r->job.id,
             r->done_to.data != NULL ? "goes on where it was" : "begins", job_cause_name(r->job.cause),
             r->job.reason[0] != '\0' ? ": " : "", r->job.reason, o->force ? "force" : "merge",
             o->delete_missing ? "deleted" : "copied");
}

static void tell_end(struct resyncer *r, const struct job *job)
{
    if (job->state == JOB_FAILED) {
        log_error("resync %" PRIu64 " has failed: %s; it does not begin again by itself", job->id,
                  job->error);
        return;
    }
    double seconds = (double)(job->ended_at.v - job->started_at.v) / 1e6;

    log_info("resync %" PRIu64 " is done: %" PRIu64 " rows compared, %" PRIu64 " written, %" PRIu64
             " conflicts, %" PRIu64 " in quarantine, %.1f s",
             job->id, job->rows_scanned, job->rows_written, job->conflicts, job->quarantined, seconds);
    if (job->again[0] != '\0')
        log_info("another resync follows: %s", job->again);
    else if ((job->cause == JOB_LOST_POSITION || job->cause == JOB_UNLOGGED) && r->o.event != NULL)
        r->o.event(r->o.event_arg, &(struct event){EVENT_RECOVERED, r->o.link->name, NULL,
                                                   "the gap is closed: both tables have been compared"});
}

/* As long as it took, MAX_REST_S at most: or statements that go on and on would keep the servers busy all the time. */
static int64_t rest_us(const struct job *j)
{
    int64_t took = j->ended_at.v - j->started_at.v;

    return took < 0 ? 0 : took < MAX_REST_S * 1000000LL ? took : MAX_REST_S * 1000000LL;
}

/* Done or failed: in memory, in the table as far as that goes, in the log. False if it is not over: stopped, or a direction
 * has begun anew since the walk of that generation, which is looked at with both gates held as it would be changed. */
static bool end_job(struct resyncer *r, uint64_t generation, enum job_state state, const char *error)
{
    struct err err = ERR_INIT;
    struct job job;

    if (!link_sync_enter(r->o.sync, GATE_BOTH, r->o.stop, &err))
        return false;
    pthread_mutex_lock(&r->lock);
    bool over = r->generation == generation;

    if (over) {
        link_sync_set_order(r->o.sync, NULL);
        r->job.state = state;
        r->job.ended_at = clock_wall();
        snprintf(r->job.error, sizeof r->job.error, "%.*s", JOB_TEXT - 1, error);
    }
    job = r->job;
    if (over)
        r->rest_until = (mono_us){clock_mono().v + rest_us(&job)};
    if (over && state == JOB_DONE && job.again[0] != '\0')
        new_job(r, JOB_UNLOGGED, NULL, job.again);
    pthread_mutex_unlock(&r->lock);
    link_sync_leave(r->o.sync, GATE_BOTH);
    if (!over)
        return false;
    tell_end(r, &job);
    /* Or it would run once more after the next start, perhaps when nobody wants it any longer. */
    while (!stop_raised(r->o.stop) && !store_progress(r, generation_of(r), NULL, &err)) {
        if (once_is_news(&r->trouble, err.text, TELL_AGAIN_AFTER_S))
            log_warn("the end of resync %" PRIu64 " cannot be stored yet: %s", job.id, err.text);
        stop_wait_ms(r->o.stop, backoff_next_ms(&r->backoff));
        err_clear(&err);
    }
    return true;
}

/* One try, as far as it gets. */
static bool run_once(struct resyncer *r, const struct job_order *order, uint64_t generation, struct err *err)
{
    return store_mysql_connect(r->resync.apply.stores[SIDE_LEFT], err) &&
           store_mysql_connect(r->resync.apply.stores[SIDE_RIGHT], err) &&
           resync_begin(&r->resync, order, err) && store_progress(r, generation, NULL, err) &&
           estimate(r, err) && walk_all(r, generation, err);
}

/* Both tables have been compared, but what is written to one of them from now on does not arrive. */
static bool stays_halted(struct resyncer *r, struct err *err)
{
    enum side from;

    return is_halted(r, &from) && !halted_error(r, from, ERR_HALT, err);
}

/* Another one may have taken the place of the one that was begun. */
static uint64_t begin_job(struct resyncer *r, struct job_order *ret_order)
{
    pthread_mutex_lock(&r->lock);
    if (!r->walks) {
        r->job.error[0] = '\0';
        r->walks = true;
        log_begin(r);
    }
    *ret_order = r->job.order;
    uint64_t generation = r->generation;

    pthread_mutex_unlock(&r->lock);
    return generation;
}

static void run_job(struct resyncer *r)
{
    bool over = false;

    if (!slots_take(r->o.slots, r->o.stop, UINT32_MAX))
        return;
    backoff_reset(&r->backoff);
    r->in_trouble = false;
    r->went_well_at = clock_mono();
    r->group_most = r->o.chunk_rows;
    r->chunk_rows = r->group_rows = FIRST_ROWS < r->o.chunk_rows ? FIRST_ROWS : r->o.chunk_rows;
    pace_begin(&r->pace, handed_on(r));
    r->no_copies = 0;
    r->resync.copies = false;
    struct err alone = ERR_INIT;

    if (!ahead_start(r->ahead, &alone))
        log_debug("%s", alone.text);
    while (!over && !stop_raised(r->o.stop)) {
        struct err err = ERR_INIT;
        struct job_order order;
        uint64_t generation = begin_job(r, &order);

        if (run_once(r, &order, generation, &err) && !stays_halted(r, &err))
            over = end_job(r, generation, JOB_DONE, "");
        else if (err.kind != ERR_NONE && err.kind != ERR_STOPPED && !may_try_again(r, &err))
            over = end_job(r, generation, JOB_FAILED, err.text);
    }
    resync_end(&r->resync);
    ahead_end(r->ahead);
    slots_give(r->o.slots);
}

/* ---- The thread ---- */

/* What the tables have from before this start. */
static bool load(struct resyncer *r, struct err *err)
{
    struct store *const *stores = r->resync.apply.stores;
    struct conflicts *conflicts = link_sync_conflicts(r->o.sync);

    if (!store_mysql_load_conflicts(stores[SIDE_LEFT], conflicts, err) ||
        !store_mysql_load_conflicts(stores[SIDE_RIGHT], conflicts, err) ||
        !load_job(r, stores[SIDE_LEFT], err))
        return false;
    conflicts_set_loaded(conflicts);
    return true;
}

/* As a direction is opened: see applier.c. */
static bool load_in_turn(struct resyncer *r, struct err *err)
{
    bool turn = slots_take(r->o.opens, r->o.stop, OPEN_TURN_MS), ok = load(r, err);

    disconnect(r);
    if (turn)
        slots_give(r->o.opens);
    return ok;
}

static void load_until_it_works(struct resyncer *r)
{
    struct err err = ERR_INIT;

    while (!stop_raised(r->o.stop) && !load_in_turn(r, &err)) {
        /* The appliers, which need the same servers, tell of it. */
        log_debug("resync waits: %s", err.text);
        stop_wait_ms(r->o.stop, backoff_next_ms(&r->backoff));
        err_clear(&err);
    }
    r->last_purge = clock_mono();
}

static void purge_conflicts(struct resyncer *r)
{
    struct err err = ERR_INIT;

    if (mono_diff_us(clock_mono(), r->last_purge) < PURGE_EVERY_S * 1000000LL)
        return;
    r->last_purge = clock_mono();
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (!store_mysql_purge_conflicts(r->resync.apply.stores[s], 0, &err))
            log_debug("old conflicts stay for now: %s", err.text);
    disconnect(r);
}

static void retry_quarantine(struct resyncer *r)
{
    r->resync.order = (struct job_order){0};
    if (retry_due(&r->retry) > 0 && link_sync_quarantine_count(r->o.sync) == 0)
        disconnect(r);
}

/* With the lock held. */
static bool is_due(const struct resyncer *r)
{
    return runs(r) && (r->job.cause != JOB_UNLOGGED || mono_diff_us(r->rest_until, clock_mono()) <= 0);
}

static bool wait_for_job(struct resyncer *r)
{
    bool some_wait = link_sync_quarantine_count(r->o.sync) > 0;
    uint32_t wait_ms = some_wait                      ? RETRY_EVERY_MS
                       : r->o.idle_ms > WAKE_EVERY_MS ? r->o.idle_ms
                                                      : WAKE_EVERY_MS;

    pthread_mutex_lock(&r->lock);
    if (runs(r)) {
        int64_t rest_ms = mono_diff_us(r->rest_until, clock_mono()) / 1000 + 1;

        if (rest_ms < wait_ms)
            wait_ms = rest_ms > 0 ? (uint32_t)rest_ms : 1;
    }
    const struct timespec until = wait_deadline(wait_ms);

    if (!is_due(r))
        wait_until(&r->wanted, &r->lock, &until);
    bool wanted = is_due(r);

    pthread_mutex_unlock(&r->lock);
    return wanted && !stop_raised(r->o.stop);
}

static void *resyncer_main(void *arg)
{
    struct resyncer *r = arg;

    log_context("resync", r->name, "");
    load_until_it_works(r);
    while (!stop_raised(r->o.stop)) {
        if (wait_for_job(r)) {
            run_job(r);
            disconnect(r);
        }
        retry_quarantine(r);
        purge_conflicts(r);
    }
    disconnect(r);
    db_thread_done();
    return NULL;
}

static void tell_refused(void *arg, const struct key *key, const struct err *why)
{
    struct resyncer *r = arg;

    refusals_tell(&r->refusals, key, why);
}

struct resyncer *resyncer_new(const struct resyncer_options *o)
{
    struct resyncer *r = mem_zalloc(1, sizeof *r);
    struct store *left = store_mysql_new(o->db[SIDE_LEFT], o->state_database, o->link, SIDE_LEFT);
    struct store *right = store_mysql_new(o->db[SIDE_RIGHT], o->state_database, o->link, SIDE_RIGHT);

    r->o = *o;
    snprintf(r->name, sizeof r->name, "%s", o->link->name);
    direction_stats_init(&r->stats, o->link->name, SIDE_LEFT);
    r->streams = (struct resync_streams){r, read_on, pending, read_ahead, progress, now_us};
    r->ahead = ahead_new(o->db, o->state_database, o->link);
    store_mysql_set_lock_wait(left, 0);
    store_mysql_set_lock_wait(right, 0);
    resync_init(&r->resync, o->link, o->sync, left, right, o->stop, &r->stats, &r->streams);
    r->retry = (struct retry){.resync = &r->resync, .stop = o->stop};
    r->refusals = (struct refusals){
        .link = o->link, .event = o->event, .event_arg = o->event_arg, .direction = NULL};
    r->resync.apply.on_refused = tell_refused;
    r->resync.apply.on_refused_arg = r;
    backoff_init(&r->backoff, 10, 5000);
    pthread_mutex_init(&r->lock, NULL);
    wait_cond_init(&r->wanted);
    return r;
}

bool resyncer_start(struct resyncer *r, struct err *err)
{
    int rc = pthread_create(&r->thread, NULL, resyncer_main, r);

    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "start resync thread: %s", strerror(rc));
    r->started = true;
    return true;
}

void resyncer_join(struct resyncer *r, mono_us give_up)
{
    if (!r->started)
        return;
    r->started = false;
    pthread_mutex_lock(&r->lock);
    pthread_cond_signal(&r->wanted);
    pthread_mutex_unlock(&r->lock);
    if (wait_join(r->thread, give_up))
        return;
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        store_mysql_shutdown(r->resync.apply.stores[s]);
    ahead_shutdown(r->ahead);
    pthread_join(r->thread, NULL);
}

void resyncer_free(struct resyncer *r)
{
    if (r == NULL)
        return;
    set_done_to(r, NULL);
    free(r->ended);
    store_mysql_free(r->resync.apply.stores[SIDE_LEFT]);
    store_mysql_free(r->resync.apply.stores[SIDE_RIGHT]);
    resync_done(&r->resync);
    ahead_free(r->ahead);
    direction_stats_done(&r->stats);
    pthread_cond_destroy(&r->wanted);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
