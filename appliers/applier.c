/*
 * applier.c - the thread of one direction.
 *
 *   closed --apply_open, feed_open--> streaming --error--> closed ...
 *     ^                                  |
 *     |                                  +--lost position--> closed, begins anew where the log ends; a resync follows
 *     |                                  |
 *     |                                  +--ERR_HALT--> halted
 *     +--begins anew, once an operator's resync says which side is right--+
 *
 * Every error that leaves the outcome of a transaction unknown ends in the same
 * place as a start does: the checkpoint is read again from the peer and the feed is opened
 * there. What was queued is thrown away and read once more; replaying does no harm.
 */
#include "appliers/applier.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/apply.h"
#include "appliers/lanes.h"
#include "appliers/refusals.h"
#include "appliers/store_mysql.h"
#include "cdc/base/backoff.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/once.h"
#include "cdc/base/wait.h"

enum {
    IDLE_WAIT_MS = 250,
    PING_EVERY_MS = 2000,
    STORE_PASSED_EVERY_MS = 10000,
    STORE_MARKER_AFTER_MS = 1000,
    UNSETTLED_MS = 2000,           /* after the last change: something may follow from it */
    SOURCE_RESTS_AFTER_MS = 10000, /* likewise */
    OPEN_TURN_MS = 5000,           /* is waited for at most */
    OBSTACLES_EVERY_MS = 500,
    OBSTACLES_KEYS = 10, /* tried for each look: what is in the way of them may have moved */
    TELL_AGAIN_AFTER_S = 60,
    WORKS_AFTER_MS = 1500,        /* without a failure: then it is told that it works again */
    TROUBLE_TOLD_AFTER_MS = 3000, /* a lock that is waited for so long is more than a passing one */
    BATCH_BYTES = 2 << 20,
    NEXT_PARTS_BYTES = 8 << 20, /* of one batch, with parts that its rows wait for */
    NEXT_PART_WITHIN_MS = 100,
    LANES_REST_AFTER_MS = 5000,
    LANES_PAUSE_MS = 60000,   /* when they could not be had */
    LANES_PAUSE_BATCHES = 16, /* when one had to give up: what was in its way is likely to be there still */
};

struct applier {
    struct applier_options o;
    char name[96]; /* "users left>right" */
    pthread_t thread;
    bool started;
    struct apply apply;

    struct tx **txs; /* at hand and not yet applied; the queue owns them */
    size_t ntxs, txs_cap;
    struct lanes *lanes;
    mono_us lanes_used, lanes_missed;
    uint32_t lanes_pause; /* so many batches without */
    struct once no_lanes;
    size_t fewer; /* 0, or at most so many transactions at once: after ERR_BUSY */
    bool refused; /* the peer could not be written: only a write shows that it can again */

    struct backoff backoff;
    mono_us busy_since;
    struct once trouble; /* since it last worked for a while */
    mono_us failed_at;
    uint32_t tries; /* since then */
    mono_us last_ping, last_stored, last_obstacles, idle_since;
    uint32_t next_part_within_ms;
    size_t obstacles_left; /* keys in quarantine that were not tried since rows were last written */
    struct refusals refusals;
    bool anew; /* the next opening begins where the log ends */
    enum job_cause anew_cause;
    char anew_why[JOB_TEXT];
    bool was_halted;
    struct once gap;        /* rows changed without a row event */
    bool promised;          /* a resync, and the position behind that is not stored yet */
    uint64_t foreign_bytes; /* of the source when the position was last stored */
    struct pos done;        /* all up to here is applied, whatever is stored */
    struct buf gtids;       /* room to print them in */
    bool in_parts;          /* the transaction behind it is applied in part */
    wall_us behind_since;   /* commit time of the oldest change known and not applied; 0: none */
};

/* ---- What others see ---- */

static void show_state(struct applier *a, enum run_state state, const char *reason)
{
    a->o.stats->state = (int)state;
    a->o.stats->connected = state == RUN_STREAMING;
    stat_text_set(&a->o.stats->reason, reason);
}

static void show_position(struct applier *a, const struct pos *pos)
{
    char file[600];

    pos_print_file(pos, file, sizeof file);
    stat_text_set(&a->o.stats->position, file);
    buf_clear(&a->gtids);
    pos_print_gtids(pos, &a->gtids);
    stat_text_set(&a->o.stats->gtid, a->gtids.len > 0 ? a->gtids.data : "");
    log_context(NULL, NULL, file);
}

/* The age of the oldest change that is not applied yet. Binlog times are whole
 * seconds: below two of them, only what passed since the reader had it counts. */
static void show_lag(struct applier *a)
{
    int64_t lag = 0;

    if (a->ntxs > 0) {
        const struct tx *oldest = a->txs[0];
        int64_t here = mono_diff_us(clock_mono(), oldest->read_at);
        int64_t age = oldest->committed_at.v > 0 ? clock_wall().v - oldest->committed_at.v : 0;

        lag = age > 2000000 && age > here ? age : here;
    } else if (a->behind_since.v > 0) {
        lag = clock_wall().v - a->behind_since.v;
    }
    a->o.stats->lag_us = lag > 0 ? lag : 0;
    a->o.stats->lag_at_mono_us = clock_mono().v;
}

static void tell_refused(void *arg, const struct key *key, const struct err *why)
{
    struct applier *a = arg;

    refusals_tell(&a->refusals, key, why);
}

static void tell_event(const struct applier *a, enum event_kind kind, const char *text)
{
    if (a->o.event != NULL)
        a->o.event(a->o.event_arg, &(struct event){kind, a->o.link->name, direction_name(a->o.from), text});
}

static bool is_due(mono_us last, int64_t every_ms)
{
    return mono_diff_us(clock_mono(), last) >= every_ms * 1000;
}

/* ---- Errors ---- */

static uint32_t count_try(struct applier *a)
{
    a->failed_at = clock_mono();
    a->tries++;
    return backoff_next_ms(&a->backoff);
}

static void drop_taken(struct applier *a)
{
    if (a->ntxs > 0 && a->behind_since.v == 0)
        a->behind_since = a->txs[0]->committed_at.v > 0 ? a->txs[0]->committed_at : clock_wall();
    a->ntxs = 0; /* the queue has them until the feed is opened again */
}

static void log_retry(struct applier *a, const struct err *err, uint32_t wait_ms)
{
    if (once_is_news(&a->trouble, err->text, TELL_AGAIN_AFTER_S))
        log_warn("%s%s, retry %u in %.1f s", err->text,
                 err->kind == ERR_CONFIG ? "; this needs the operator" : "", a->backoff.tries,
                 wait_ms / 1000.0);
}

static void recovered(struct applier *a)
{
    if (a->refused || a->backoff.tries > 0)
        show_state(a, RUN_STREAMING, "");
    a->refused = false;
    backoff_reset(&a->backoff);
    /* What fails again and again in between is one trouble, and told once. */
    if (a->tries == 0 || !is_due(a->failed_at, WORKS_AFTER_MS))
        return;
    if (a->trouble.text[0] != '\0')
        log_info("works again after %u tries", a->tries);
    a->tries = 0;
    once_clear(&a->trouble);
}

/* The next opening gives up what has been read so far. */
static void begin_anew(struct applier *a, enum job_cause cause, const char *why)
{
    a->anew = true;
    a->anew_cause = cause;
    snprintf(a->anew_why, sizeof a->anew_why, "%.*s", (int)sizeof a->anew_why - 1, why);
}

/* Until the stop flag is up, or an operator says which side is right: then true. */
static bool halt(struct applier *a, const char *why)
{
    struct err err = ERR_INIT;

    drop_taken(a);
    lanes_rest(a->lanes, &a->apply.lanes);
    /* A full queue would hold up the reader, and with it every other link of that server. What is thrown away is not
     * applied, and a resync must not take it for that. */
    if (!link_sync_enter(a->o.sync, gate_of(side_peer(a->o.from)), a->o.stop, &err))
        return false;
    link_sync_set_open(a->o.sync, a->o.from, false);
    link_sync_leave(a->o.sync, gate_of(side_peer(a->o.from)));
    queue_restart(&a->o.feed->queue);
    show_state(a, RUN_HALTED, why);
    log_error("halted: %s", why);
    tell_event(a, EVENT_HALTED, why);
    a->was_halted = true;
    while (!stop_wait_ms(a->o.stop, IDLE_WAIT_MS)) {
        show_lag(a);
        if (resyncer_takes_over(a->o.resyncer, a->o.from)) {
            begin_anew(a, JOB_TRIGGER, "");
            show_state(a, RUN_CONNECTING, "begins anew");
            return true;
        }
    }
    return false;
}

/* What to do after an error of what began at `started`; true if the direction has to be opened again. */
static bool after_error(struct applier *a, const struct err *err, mono_us started)
{
    uint32_t wait_ms;

    if (stop_raised(a->o.stop))
        return false;
    switch (err->kind) {
    case ERR_STOPPED: return false;
    case ERR_BUSY:
        a->o.stats->retries++;
        a->fewer = a->ntxs > 1 ? (a->ntxs + 1) / 2 : 1;
        wait_ms = count_try(a);
        if (a->backoff.tries == 1)
            a->busy_since = started;
        if (is_due(a->busy_since, TROUBLE_TOLD_AFTER_MS)) {
            stat_text_set(&a->o.stats->reason, err->text);
            log_retry(a, err, wait_ms);
        }
        stop_wait_ms(a->o.stop, wait_ms);
        return false;
    case ERR_FATAL:
        show_state(a, RUN_STOPPED, err->text);
        a->o.fatal(a->o.fatal_arg, err);
        stop_wait_ms(a->o.stop, 60000);
        return false;
    case ERR_LOST:
        drop_taken(a);
        begin_anew(a, JOB_LOST_POSITION, err->text);
        show_state(a, RUN_CONNECTING, err->text);
        log_error(
            "the position is lost: %s; begins anew where the binlog ends now, a resync compares all rows",
            err->text);
        return true;
    case ERR_HALT:
    case ERR_ROW: return halt(a, err->text);
    case ERR_CONFIG: /* a new session has what was granted, or changed, meanwhile */
        for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
            store_mysql_disconnect(a->apply.stores[s]);
        break;
    case ERR_RETRY:
    case ERR_NONE: break;
    }
    drop_taken(a);
    show_state(a, RUN_CONNECTING, err->text);
    show_lag(a);
    a->o.stats->reconnects++;
    wait_ms = count_try(a);
    log_retry(a, err, wait_ms);
    stop_wait_ms(a->o.stop, wait_ms);
    return true;
}

/* ---- Work ---- */

static void set_done(struct applier *a, const struct pos *pos, uint64_t rows_done)
{
    pos_copy(&a->done, pos);
    a->in_parts = rows_done > 0;
    show_position(a, pos);
}

static bool open_direction(struct applier *a, struct err *err)
{
    bool begun;

    lanes_rest(a->lanes, &a->apply.lanes);
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (!store_mysql_connect(a->apply.stores[s], err))
            return false;
    if (!apply_open(&a->apply, &begun, err))
        return false;
    if (begun)
        log_info("no checkpoint yet: starts where the binlogs end now");
    if (a->anew && !apply_begin_again(&a->apply, a->anew_cause, a->anew_why, err))
        return false;
    a->anew = false;
    feed_open(a->o.feed, &a->apply.stored.pos, a->apply.stored.rows_done,
              a->apply.ahead.nlanes > 0 ? &a->apply.ahead.pos : NULL);
    apply_is_open(&a->apply);
    if (a->was_halted)
        tell_event(a, EVENT_RECOVERED, "the halted direction has begun anew");
    a->was_halted = false;
    set_done(a, &a->apply.stored.pos, a->apply.stored.rows_done);
    if (!a->refused)
        show_state(a, RUN_STREAMING, "");
    a->last_stored = a->last_ping = clock_mono();
    return true;
}

/* A direction needs twice the memory while it is opened, so not all of a hundred do that at once. But who has a turn may
 * be waiting for a server that does not answer, and others must not wait for that long. */
static bool open_in_turn(struct applier *a, struct err *err)
{
    bool turn = slots_take(a->o.opens, a->o.stop, OPEN_TURN_MS), ok = open_direction(a, err);

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT && ok; s++)
        store_mysql_rest(a->apply.stores[s], s == (int)a->o.from);
    if (turn)
        slots_give(a->o.opens);
    return ok;
}

static bool feed_has_ended(struct applier *a, bool *ret_lost, char *ret_why, size_t size)
{
    struct feed *f = a->o.feed;

    pthread_mutex_lock(&f->lock);
    bool ended = f->lost || f->halted;

    *ret_lost = f->lost;
    if (ended)
        snprintf(ret_why, size, "%s", f->lost ? f->lost_why : f->halted_why);
    pthread_mutex_unlock(&f->lock);
    return ended;
}

static void take(struct applier *a, struct tx *tx)
{
    if (a->ntxs == a->txs_cap) {
        a->txs_cap = a->txs_cap == 0 ? 64 : a->txs_cap * 2;
        a->txs = mem_realloc(a->txs, a->txs_cap * sizeof(struct tx *));
    }
    a->txs[a->ntxs++] = tx;
}

/* May a batch be as large as several connections can write? */
static bool may_use_lanes(const struct applier *a)
{
    return a->o.lanes > 1 && a->lanes_pause == 0 && a->fewer == 0 &&
           (a->lanes_missed.v == 0 || is_due(a->lanes_missed, LANES_PAUSE_MS));
}

/* How long nothing but a change, or the end of the feed, needs to be looked at. */
static uint32_t idle_wait_ms(const struct applier *a)
{
    bool settled = is_due(a->idle_since, UNSETTLED_MS) && a->behind_since.v == 0 && a->backoff.tries == 0 &&
                   a->tries == 0 && !a->refused && !a->in_parts && !a->promised && a->obstacles_left == 0 &&
                   a->apply.lanes.count == 0 &&
                   link_sync_passed(a->o.sync, a->o.from) == a->apply.stored.marker;

    return settled && a->o.idle.wait_ms > IDLE_WAIT_MS ? a->o.idle.wait_ms : IDLE_WAIT_MS;
}

/* What the queue holds, up to a batch; waits for the first. */
static void take_batch(struct applier *a)
{
    size_t rows = 0, bytes = 0, most = may_use_lanes(a) ? a->o.lanes * a->o.batch_rows : a->o.batch_rows;
    void *item;

    if (a->ntxs > 0)
        return; /* to be tried again */
    while (a->ntxs < most && rows < most && bytes < BATCH_BYTES &&
           queue_peek(&a->o.feed->queue, a->ntxs, a->ntxs == 0 ? idle_wait_ms(a) : 0, &item) == QUEUE_OK) {
        take(a, item);
        rows += a->txs[a->ntxs - 1]->nchanges;
        bytes += tx_bytes(a->txs[a->ntxs - 1]);
    }
}

/* What changed without a row event is left to a resync, which must be promised before the position moves past it. */
static bool promise_resync(struct applier *a, size_t n, struct err *err)
{
    const char *why = NULL;

    for (size_t i = 0; i < n && why == NULL; i++)
        why = a->txs[i]->gap;
    if (why == NULL)
        return true;
    if (!apply_gap(&a->apply, why, err))
        return false;
    if (once_is_news(&a->gap, why, TELL_AGAIN_AFTER_S))
        log_warn("needs a resync: %s; the stream goes on, all rows are going to be compared", why);
    for (size_t i = 0; i < n; i++)
        a->txs[i]->gap = NULL;
    a->promised = true;
    return true;
}

/* How many of the transactions taken make one batch of so many rows. */
static size_t count_batch(const struct applier *a, size_t most)
{
    size_t n = 0, rows = 0;

    while (n < a->ntxs && rows < most)
        rows += a->txs[n++]->nchanges;
    return n;
}

/* apply.next_part: waits a moment, for the reader may be about to hand it on. */
static bool next_part(void *arg, size_t n, struct tx *const **ret_txs)
{
    struct applier *a = arg;
    size_t bytes = 0;
    void *item;

    for (size_t i = 0; i < n; i++)
        bytes += tx_bytes(a->txs[i]);
    if (n == a->ntxs) {
        if (bytes >= NEXT_PARTS_BYTES ||
            queue_peek(&a->o.feed->queue, n, a->next_part_within_ms, &item) != QUEUE_OK) {
            a->next_part_within_ms = 0; /* of many refused rows one waits */
            return false;
        }
        take(a, item);
    }
    *ret_txs = a->txs;
    return a->txs[n]->gap == NULL; /* or a resync would have to be promised first */
}

/* More than one connection's batch is waiting: are there lanes to write it? */
static bool have_lanes(struct applier *a)
{
    struct err err = ERR_INIT;

    if (!may_use_lanes(a))
        return false;
    a->lanes_used = clock_mono();
    if (lanes_begin(a->lanes, &a->apply.lanes, &err)) {
        a->lanes_missed.v = 0;
        once_clear(&a->no_lanes);
        return true;
    }
    a->lanes_missed = clock_mono();
    if (once_is_news(&a->no_lanes, err.text, TELL_AGAIN_AFTER_S))
        log_warn("%s; goes on with one connection", err.text);
    return false;
}

static void count_lanes(struct applier *a, uint64_t failed_before)
{
    if (a->apply.lanes_failed != failed_before)
        a->lanes_pause = LANES_PAUSE_BATCHES;
    else if (a->lanes_pause > 0)
        a->lanes_pause--;
}

static bool apply_taken(struct applier *a, struct err *err)
{
    size_t n = count_batch(a, a->o.batch_rows);
    mono_us oldest = a->txs[0]->read_at;
    uint64_t failed = a->apply.lanes_failed;

    if (a->fewer > 0 && a->fewer < n)
        n = a->fewer;
    else if (n < a->ntxs && have_lanes(a))
        n = count_batch(a, a->o.lanes * a->o.batch_rows);

    show_lag(a);
    if (!promise_resync(a, n, err))
        return false;
    a->next_part_within_ms = NEXT_PART_WITHIN_MS;
    bool ok = apply_txs(&a->apply, a->txs, &n, err);

    count_lanes(a, failed);
    if (!ok)
        return false;
    set_done(a, &a->txs[n - 1]->pos, a->txs[n - 1]->rows_done);
    a->o.stats->apply_us_last = mono_diff_us(clock_mono(), oldest);
    a->o.stats->last_applied_wall_us = clock_wall().v;
    stat_histogram_add(&a->o.stats->apply, a->o.stats->apply_us_last);
    log_debug("applied %zu transactions, %.2f ms after the first was read", n,
              a->o.stats->apply_us_last / 1e3);
    queue_pop(&a->o.feed->queue, n);
    a->obstacles_left = link_sync_quarantine_count(a->o.sync);
    a->ntxs -= n;
    memmove(a->txs, a->txs + n, a->ntxs * sizeof(struct tx *));
    a->fewer = 0;
    a->behind_since.v = 0;
    recovered(a);
    show_lag(a);
    return true;
}

static bool far_apart(const struct pos *stored, const struct pos *pos, uint64_t most)
{
    if (stored->file == NULL || pos->file == NULL || strcmp(stored->file, pos->file) != 0)
        return true;
    return pos->offset > stored->offset && pos->offset - stored->offset >= most;
}

/* Is there a reason to store a position that stands for no change? Not what the daemon
 * itself wrote, or the two directions would keep each other awake. */
static bool worth_storing(const struct applier *a, const struct pos *pos, uint64_t foreign_bytes)
{
    if (foreign_bytes != a->foreign_bytes && is_due(a->last_stored, a->o.idle.store_ms))
        return true;
    if (link_sync_passed(a->o.sync, a->o.from) != a->apply.stored.marker &&
        is_due(a->idle_since, STORE_MARKER_AFTER_MS))
        return true;
    /* Of its own echoes alone so rarely that two directions do not keep each other busy. */
    return far_apart(&a->apply.stored.pos, pos, a->o.idle.store_bytes);
}

/* An idle direction stores its position too, or it would be lost with the binlogs
 * that the server purges. A reader that has gone back for another link's sake shows a
 * position behind what is applied: stored beside a newer marker, it would bring back
 * superseded changes. */
static bool store_idle_position(struct applier *a, struct err *err)
{
    struct pos pos = POS_INIT;
    uint64_t foreign;
    size_t items, bytes;
    bool ok = true;

    if (!feed_idle_pos(a->o.feed, &pos, &foreign))
        return true;
    queue_size(&a->o.feed->queue, &items, &bytes);
    if (items == 0 && pos_covers(&pos, &a->done) && !(a->in_parts && pos_equal(&pos, &a->done))) {
        a->behind_since.v = 0;
        set_done(a, &pos, 0);
        if (worth_storing(a, &pos, foreign)) {
            ok = apply_skip_to(&a->apply, &pos, err);
            a->foreign_bytes = foreign;
            a->last_stored = clock_mono();
        }
    }
    pos_done(&pos);
    return ok;
}

/* Rows were written: what was in the way of others may have moved. A few keys at a time, until
 * all have been tried, or a stream that never rests would do little else. */
static void try_behind_obstacles(struct applier *a)
{
    if (a->obstacles_left == 0 || !is_due(a->last_obstacles, OBSTACLES_EVERY_MS))
        return;
    a->last_obstacles = clock_mono();
    quarantine_obstacle_moved(link_sync_quarantine(a->o.sync), OBSTACLES_KEYS);
    a->obstacles_left -= a->obstacles_left < OBSTACLES_KEYS ? a->obstacles_left : OBSTACLES_KEYS;
}

/* The source is asked for its rows only where both sides wrote. Until then nothing is kept open there: its reader tells
 * whether it answers. */
static bool rests(struct applier *a, int side)
{
    struct store *s = a->apply.stores[side];

    if (side != (int)a->o.from)
        return false;
    if (is_due(a->idle_since, SOURCE_RESTS_AFTER_MS))
        store_mysql_rest(s, true);
    return !store_mysql_is_connected(s);
}

/* Those servers answer that have to. Where a write was refused before, and the stream now brings nothing that could be
 * written, the position is stored once more: else a server that can only be read would look like one that works. */
static bool look_after_idle(struct applier *a, struct err *err)
{
    if (a->refused && a->in_parts)
        return true; /* the rest of the transaction will show */
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (!rests(a, s) && !store_mysql_ping(a->apply.stores[s], err))
            return false;
    if (a->refused && !apply_store_again(&a->apply, &a->done, err))
        return false;
    a->last_ping = clock_mono();
    recovered(a);
    return true;
}

/* What is due whether the stream rests or not. */
static bool now_and_then(struct applier *a, struct err *err)
{
    try_behind_obstacles(a);
    /* Batches may bring nothing to write for long: only markers, or superseded changes. And what has been promised
     * would be promised once more after a restart. */
    bool due = is_due(a->last_stored, STORE_PASSED_EVERY_MS) &&
               link_sync_passed(a->o.sync, a->o.from) != a->apply.stored.marker;

    if (a->in_parts || a->ntxs > 0 || !(due || a->promised))
        return true;
    a->last_stored = clock_mono();
    if (!apply_skip_to(&a->apply, &a->done, err))
        return false;
    a->promised = false;
    return true;
}

static bool idle(struct applier *a, struct err *err)
{
    char why[256];
    bool lost;

    if (feed_has_ended(a, &lost, why, sizeof why))
        return err_set(err, lost ? ERR_LOST : ERR_HALT, 0, "%s", why);
    if (is_due(a->last_ping, PING_EVERY_MS) && !look_after_idle(a, err))
        return false;
    if (!store_idle_position(a, err))
        return false;
    if (a->apply.lanes.count > 0 && is_due(a->lanes_used, LANES_REST_AFTER_MS))
        lanes_rest(a->lanes, &a->apply.lanes);
    show_lag(a);
    return true;
}

static void *applier_main(void *arg)
{
    struct applier *a = arg;
    bool open = false;

    log_context("applier", a->name, "");
    show_state(a, RUN_CONNECTING, "");
    while (!stop_raised(a->o.stop)) {
        struct err err = ERR_INIT;
        mono_us started = clock_mono();

        if (!open) {
            open = open_in_turn(a, &err);
            if (!open)
                after_error(a, &err, started);
            continue;
        }
        take_batch(a);
        bool work = a->ntxs > 0;

        if (work)
            a->idle_since = clock_mono();
        if (!(work ? apply_taken(a, &err) : idle(a, &err)) || !now_and_then(a, &err)) {
            open = !after_error(a, &err, started);
            a->refused = a->refused || (!open && (err.kind == ERR_RETRY || err.kind == ERR_CONFIG));
        }
    }
    drop_taken(a);
    show_state(a, RUN_STOPPED, "");
    lanes_rest(a->lanes, &a->apply.lanes);
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        store_mysql_disconnect(a->apply.stores[s]);
    db_thread_done();
    return NULL;
}

/* ---- Life ---- */

struct applier *applier_new(const struct applier_options *o)
{
    struct applier *a = mem_zalloc(1, sizeof *a);
    struct store *left = store_mysql_new(o->db[SIDE_LEFT], o->state_database, o->link, SIDE_LEFT);
    struct store *right = store_mysql_new(o->db[SIDE_RIGHT], o->state_database, o->link, SIDE_RIGHT);

    a->o = *o;
    buf_init(&a->gtids, 0);
    snprintf(a->name, sizeof a->name, "%s %s", o->link->name, direction_arrow(o->from));
    apply_init(&a->apply, o->link, o->from, o->sync, left, right, o->stop, o->stats);
    a->lanes = lanes_new(o->db[side_peer(o->from)], o->state_database, o->link, side_peer(o->from), o->lanes,
                         a->name);
    a->apply.lanes_min = o->batch_rows;
    a->apply.on_refused = tell_refused;
    a->apply.on_refused_arg = a;
    a->apply.on_begin = resyncer_on_begin;
    a->apply.on_begin_arg = o->resyncer;
    a->apply.on_gap = resyncer_on_gap;
    a->apply.on_gap_arg = o->resyncer;
    a->apply.next_part = next_part;
    a->apply.next_part_arg = a;
    a->refusals = (struct refusals){
        .link = o->link, .event = o->event, .event_arg = o->event_arg, .direction = direction_name(o->from)};
    backoff_init(&a->backoff, 20, 10000);
    return a;
}

bool applier_start(struct applier *a, struct err *err)
{
    int rc = pthread_create(&a->thread, NULL, applier_main, a);

    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "start applier thread: %s", strerror(rc));
    a->started = true;
    return true;
}

void applier_join(struct applier *a, mono_us give_up)
{
    if (!a->started)
        return;
    a->started = false;
    queue_wake(&a->o.feed->queue);
    /* A batch under way may commit; a server that does not answer may not keep us. */
    if (wait_join(a->thread, give_up))
        return;
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        store_mysql_shutdown(a->apply.stores[s]);
    lanes_shutdown(a->lanes);
    pthread_join(a->thread, NULL);
}

void applier_free(struct applier *a)
{
    if (a == NULL)
        return;
    drop_taken(a);
    free(a->txs);
    lanes_free(a->lanes);
    apply_done(&a->apply);
    pos_done(&a->done);
    buf_done(&a->gtids);
    store_mysql_free(a->apply.stores[SIDE_LEFT]);
    store_mysql_free(a->apply.stores[SIDE_RIGHT]);
    free(a);
}
