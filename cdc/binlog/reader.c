/*
 * The thread around assemble.c: asks for a stream, hands its events over, puts
 * what comes out into the queues.
 *
 *   wait for a wish -> take the wishes -> open where all can be served -> pump, until something ends the stream
 *
 * Everything that goes wrong, and everything that is wished, ends the stream and
 * begins this circle anew. That costs a reconnect now and then and leaves one
 * way through the code: what each feed has got, to the row, is known at every
 * moment (assemble_start()), so no event is lost or given twice.
 *
 * Waiting. Two things can hold the thread: a read, which reader_wake() ends with
 * stream_shutdown(), and a full queue. The wait for the queue is in short steps and looks at
 * `woken` and the stop flag between them, for the applier behind a full queue
 * may be the one that wants to be opened again, or another feed's applier
 * may not be made to wait for a stalled one.
 *
 * `read` and `epoch` (feed.c says what they are for) are published only while no
 * feed is ahead of the stream: `read` never goes back.
 *
 * Most events of a busy server concern nobody here, and what is done for each of them is
 * what the reader costs. So clocks are read, positions printed and published and sleepers
 * woken only where the thread may come to wait: before a read for which nothing has been received
 * yet, and before a full queue (about_to_wait()).
 */
#include "cdc/binlog/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc/base/backoff.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/once.h"
#include "cdc/binlog/assemble.h"
#include "cdc/db/stream.h"
#include "cdc/db/tableinfo.h"

#define PUT_STEP_MS 100
#define WISH_STEP_MS 200
#define PATIENCE_MS 500 /* for the other feeds' wishes at a start */
#define TELL_AGAIN_AFTER_S 60
#define DEFINITION_LOCK_S 10         /* an ALTER that is being committed */
#define KEEP_BYTES ((size_t)1 << 20) /* of the log: assemble.h */
#define GOOD_AFTER_US 1500000        /* a stream that has lasted so long works: heartbeats have come */

/* What the reader knows of a feed beside what assemble.c does. */
struct outlet {
    struct feed *feed;
    uint64_t generation;
    struct pos ahead; /* as the feed's */
    bool stale;       /* the feed is being opened anew: what it had is void */
    bool closed;      /* nobody takes from it any more */
};

struct reader {
    struct reader_options options;
    struct outlet *outlets;
    struct stream *stream;
    struct dbconn *sql; /* for tables' definitions; closed but for that moment */
    bool keeps_sql;     /* several are read */
    struct assemble *assemble;
    struct backoff backoff;
    bool undescribed; /* the stream can be had, a definition could not: moving is no success then */
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t cond;
    atomic_bool woken;
    unsigned waking; /* calls of reader_wake() under way */

    uint64_t epoch;     /* of the source: nobody else writes it */
    bool published;     /* this stream has been announced */
    bool patient;       /* more wishes are likely to come at once */
    bool halted;        /* the last feed has been given up */
    bool told;          /* that it streams, since the last failure */
    struct pos log_end; /* when this stream was opened; unset: there is none */
    bool uneven;        /* some feed that is served is not in step (struct feed) */
    mono_us streams_since;

    /* Of the stream: what need not be done for each event alone. */
    mono_us now;  /* when it last came back from something that may take a while */
    bool unshown; /* the position that others see is not the newest */
    bool unread;  /* nor is that of the source */
    bool leaving; /* some outlet is stale or closed */

    struct once failure;
};

/* ---- waking ---- */

static void reader_wake(void *arg)
{
    struct reader *r = arg;
    pthread_mutex_lock(&r->lock);
    atomic_store(&r->woken, true);
    r->waking++;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);

    stream_shutdown(r->stream);
    dbconn_shutdown(r->sql);

    pthread_mutex_lock(&r->lock);
    r->waking--;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
}

/* What was wished so far is about to be done, and no shutdown that belongs to it may hit the next stream: it
 * would look like a failure. So those under way are waited for, and their effect, which lasts until then,
 * ends with the close. What comes behind this either shows in `woken` before the stream is opened, or hits
 * it. */
static void forget_wakes(struct reader *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->waking > 0)
        pthread_cond_wait(&r->cond, &r->lock);
    atomic_store(&r->woken, false);
    pthread_mutex_unlock(&r->lock);
    stream_close(r->stream);
    dbconn_close(r->sql);
}

static void wait_woken(struct reader *r, uint32_t timeout_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    until.tv_sec += timeout_ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&r->lock);
    int rc = 0;
    while (!atomic_load(&r->woken) && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&r->cond, &r->lock, &until);
    atomic_store(&r->woken, false);
    pthread_mutex_unlock(&r->lock);
}

static bool is_woken(struct reader *r) { return atomic_load(&r->woken) || stop_raised(r->options.stop); }

/* ---- what the others see ---- */

static void set_state(struct reader *r, enum run_state state, const char *reason)
{
    atomic_store(&r->options.stats->state, (int)state);
    stat_text_set(&r->options.stats->reason, reason);
}

static void log_position(struct reader *r)
{
    char position[128];
    log_context(NULL, NULL, pos_print_file(assemble_pos(r->assemble), position, sizeof(position)));
}

static void show_position(struct reader *r)
{
    const struct pos *at = assemble_pos(r->assemble);
    char position[512];
    struct buf gtid;
    buf_init(&gtid, 0);
    pos_print_gtids(at, &gtid);
    stat_text_set(&r->options.stats->position, pos_print_file(at, position, sizeof(position)));
    stat_text_set(&r->options.stats->gtid, gtid.data != NULL ? gtid.data : "");
    atomic_store(&r->options.stats->read_offset, at->offset);
    buf_done(&gtid);
}

/* All that is behind assemble_pos() has been put: only now may an idle applier store it. */
static void publish(struct reader *r)
{
    struct feed_source *source = r->options.source;
    if (!r->published)
        r->epoch++;
    r->published = true;
    r->unread = false;
    pthread_mutex_lock(&source->lock);
    pos_copy(&source->read, assemble_pos(r->assemble));
    source->foreign_bytes = assemble_foreign_bytes(r->assemble);
    source->epoch = r->epoch;
    feed_source_moved(source);
    pthread_mutex_unlock(&source->lock);
    feed_source_tell(source);
}

/* An empty queue looks the same whether nothing has happened or nothing has been read yet. */
static bool is_in_step(struct reader *r, size_t i)
{
    return !pos_is_unset(&r->log_end) && assemble_serves(r->assemble, i) &&
           !assemble_looks_ahead(r->assemble, i) && pos_covers(assemble_place(r->assemble, i), &r->log_end);
}

static void show_steps(struct reader *r)
{
    r->uneven = false;
    for (size_t i = 0; i < r->options.nfeeds; i++) {
        bool in_step = is_in_step(r, i);
        feed_set_in_step(r->outlets[i].feed, in_step);
        r->uneven = r->uneven || (assemble_serves(r->assemble, i) && !in_step);
    }
    if (!r->uneven)
        stat_text_set(&r->options.stats->log_end, "");
}

static bool find_log_end(struct reader *r, struct err *err)
{
    struct pos end = POS_INIT;
    char text[512];
    if (!stream_log_end(r->stream, &end, err))
        return false;
    stat_text_set(&r->options.stats->log_end, pos_print_file(&end, text, sizeof(text)));
    pos_move(&r->log_end, &end);
    return true;
}

/* Nobody sees what the source writes until the next stream has come as far. */
static void forget_log_end(struct reader *r)
{
    pos_done(&r->log_end);
    show_steps(r);
}

/* What follows may take a while, and nobody shall wait for what is known already. */
static void about_to_wait(struct reader *r)
{
    if (r->unshown)
        show_position(r);
    r->unshown = false;
    if (r->unread && assemble_is_level(r->assemble))
        publish(r);
    if (r->uneven || !assemble_is_level(r->assemble))
        show_steps(r);
}

enum give_up { GIVE_UP_LOST, GIVE_UP_HALTED };

/* The feed's own thread may have opened it anew meanwhile: then this is history. */
static void give_up(struct reader *r, size_t i, enum give_up how, const char *why)
{
    struct feed *f = r->outlets[i].feed;
    pthread_mutex_lock(&f->lock);
    bool current = !f->wanted && f->generation == r->outlets[i].generation;
    if (current) {
        bool *flag = how == GIVE_UP_LOST ? &f->lost : &f->halted;
        char *text = how == GIVE_UP_LOST ? f->lost_why : f->halted_why;
        snprintf(text, sizeof(f->lost_why), "%s", why);
        *flag = true;
        f->resumed_epoch = UINT64_MAX;
    }
    pthread_mutex_unlock(&f->lock);
    if (!current)
        return;
    queue_wake(&f->queue);
    log_position(r);
    log_error("link %s, %s: %s: %s", f->link->name, direction_arrow(f->from),
              how == GIVE_UP_LOST ? "the position is lost" : "halted", why);
}

/* ---- what assemble.c hands on ---- */

static bool put_tx(void *arg, size_t i, struct tx *tx)
{
    struct reader *r = arg;
    struct outlet *o = &r->outlets[i];
    tx->read_at = r->now;
    size_t bytes = tx_bytes(tx);
    for (uint32_t wait_ms = 0;; wait_ms = PUT_STEP_MS) {
        if (wait_ms > 0)
            about_to_wait(r);
        enum queue_result result = queue_put(&o->feed->queue, o->generation, tx, bytes, wait_ms);
        if (wait_ms > 0)
            r->now = clock_mono();
        switch (result) {
        case QUEUE_OK: return true;
        case QUEUE_STALE: o->stale = r->leaving = true; return false;
        case QUEUE_CLOSED:
            o->closed = r->leaving = true;
            tx_free(tx);
            return true;
        case QUEUE_TIMEOUT: break;
        }
        if (is_woken(r))
            return false;
    }
}

static void halt_feed(void *arg, size_t i, const char *why)
{
    struct reader *r = arg;
    give_up(r, i, GIVE_UP_HALTED, why);
    r->halted = true;
}

static void lose_feed(void *arg, size_t i, const char *why)
{
    struct reader *r = arg;
    give_up(r, i, GIVE_UP_LOST, why);
    r->halted = true;
}

static void count_echo(void *arg, size_t i)
{
    struct reader *r = arg;
    atomic_fetch_add(&r->outlets[i].feed->echoes, 1);
}

/* The definition first, then the position: an ALTER that comes between counts as seen, which can only halt. */
static bool load_table(struct reader *r, const struct table *t, struct table **ret_table, struct pos *ret_at,
                       struct err *err)
{
    struct table *table = NULL;
    struct pos at = POS_INIT;
    if (!tableinfo_load(r->sql, t->db, t->name, &table, err)) {
        if (err->kind == ERR_CONFIG) /* dropped since, or no longer ours to read */
            err->kind = ERR_HALT;
        return false;
    }
    if (!tableinfo_log_end(r->sql, &at, err)) {
        table_free(table);
        return false;
    }
    pos_move(ret_at, &at);
    *ret_table = table;
    return true;
}

static bool describe(void *arg, size_t i, struct table **ret_table, struct pos *ret_at, struct err *err)
{
    struct reader *r = arg;
    const struct feed *f = r->outlets[i].feed;
    const struct table *t = f->link->table[f->from];
    about_to_wait(r);
    bool ok = dbconn_open(r->sql, DEFINITION_LOCK_S, err) && load_table(r, t, ret_table, ret_at, err);
    if (!r->keeps_sql)
        dbconn_close(r->sql);
    r->undescribed = !ok && err->kind != ERR_HALT;
    if (ok)
        log_debug("link %s: columns of %s.%s read again", f->link->name, t->db, t->name);
    return ok;
}

/* ---- wishes ---- */

static bool is_wanted(struct feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool wanted = f->wanted;
    pthread_mutex_unlock(&f->lock);
    return wanted;
}

/* How many feeds want to be opened, and how many may still come to want it. */
static size_t count_wishes(struct reader *r, size_t *ret_undecided)
{
    size_t wanted = 0, undecided = 0;
    for (size_t i = 0; i < r->options.nfeeds; i++) {
        if (is_wanted(r->outlets[i].feed))
            wanted++;
        else if (!assemble_serves(r->assemble, i) && !r->outlets[i].closed)
            undecided++;
    }
    *ret_undecided = undecided;
    return wanted;
}

/* Until there is something to do; a start waits a little for all, so that the stream is opened once. */
static void wait_for_wishes(struct reader *r)
{
    mono_us since = clock_mono();
    while (!stop_raised(r->options.stop)) {
        size_t undecided, wanted = count_wishes(r, &undecided);
        bool work = wanted > 0 || assemble_serves_any(r->assemble);
        int64_t waited_us = mono_diff_us(clock_mono(), since);
        if (!work)
            r->patient = true;
        if (work && (undecided == 0 || !r->patient || waited_us >= (int64_t)PATIENCE_MS * 1000))
            break;
        if (!work)
            since = clock_mono();
        wait_woken(r, work ? PATIENCE_MS : WISH_STEP_MS);
    }
    r->patient = false;
}

static void take_wish(struct reader *r, size_t i)
{
    struct outlet *o = &r->outlets[i];
    struct feed *f = o->feed;
    struct pos resume = POS_INIT;
    uint64_t rows = 0;
    struct err err = ERR_INIT;

    pthread_mutex_lock(&f->lock);
    bool wanted = f->wanted;
    if (wanted) {
        pos_copy(&resume, &f->resume);
        rows = f->resume_rows;
        pos_copy(&o->ahead, &f->ahead);
        o->generation = f->generation;
        f->wanted = false;
        f->resumed_epoch = r->epoch + 1;
    }
    pthread_mutex_unlock(&f->lock);

    if (wanted) {
        o->stale = false;
        r->halted = false;
        r->undescribed = false;
        if (!assemble_resume(r->assemble, i, &resume, rows, &err))
            halt_feed(r, i, err.text);
    }
    pos_done(&resume);
}

static void take_wishes(struct reader *r)
{
    forget_wakes(r); /* first: a wish that comes from here on ends the stream that is about to be opened */
    for (size_t i = 0; i < r->options.nfeeds; i++)
        take_wish(r, i);
}

/* Feeds that turned out to want nothing while the last event was handed on. */
static void leave_outlets(struct reader *r)
{
    for (size_t i = 0; i < r->options.nfeeds; i++) {
        struct outlet *o = &r->outlets[i];
        if ((o->stale || o->closed) && assemble_serves(r->assemble, i)) {
            assemble_leave(r->assemble, i);
            r->patient = r->patient || o->stale;
        }
    }
    r->leaving = false;
}

/* ---- failures ---- */

static void log_failure(struct reader *r, const struct err *err, uint32_t wait_ms)
{
    if (!once_is_news(&r->failure, err->text, TELL_AGAIN_AFTER_S))
        return;
    log_position(r);
    log_warn("%s%s; try %u in %u.%u s", err->text, err->kind == ERR_CONFIG ? "; this needs the operator" : "",
             r->backoff.tries + 1, wait_ms / 1000, wait_ms % 1000 / 100);
}

static void retry_later(struct reader *r, const struct err *err)
{
    set_state(r, RUN_CONNECTING, err->text);
    r->told = false;
    atomic_fetch_add(&r->options.stats->reconnects, 1);
    uint32_t wait_ms = backoff_next_ms(&r->backoff);
    log_failure(r, err, wait_ms);
    stop_wait_ms(r->options.stop, wait_ms);
}

/* The server no longer has the place where the stream should begin. Those feeds that wanted just that place
 * are the cause; if the place was pieced together of several, all are. The others get their own chance. */
static void lose_feeds(struct reader *r, const struct err *err)
{
    bool any = false;
    for (int all = 0; all < 2 && !any; all++) {
        for (size_t i = 0; i < r->options.nfeeds; i++) {
            if (!assemble_serves(r->assemble, i) || (!all && !assemble_is_first(r->assemble, i)))
                continue;
            any = true;
            assemble_leave(r->assemble, i);
            give_up(r, i, GIVE_UP_LOST, err->text);
        }
    }
    r->halted = true;
}

static void halt_all(struct reader *r, const struct err *err)
{
    for (size_t i = 0; i < r->options.nfeeds; i++) {
        if (!assemble_serves(r->assemble, i))
            continue;
        assemble_leave(r->assemble, i);
        halt_feed(r, i, err->text);
    }
}

/* What ended the stream, or kept it from being opened. False: the thread ends. */
static bool handle_failure(struct reader *r, const struct err *err)
{
    if (stop_raised(r->options.stop))
        return false;
    leave_outlets(r);
    bool wish = atomic_load(&r->woken) || err->kind == ERR_STOPPED; /* not a failure */
    switch (wish ? ERR_STOPPED : err->kind) {
    case ERR_STOPPED: break;
    case ERR_FATAL:
        set_state(r, RUN_HALTED, err->text);
        log_position(r);
        log_error("%s", err->text);
        r->options.fatal(r->options.fatal_arg, err);
        return false;
    case ERR_LOST: lose_feeds(r, err); break;
    case ERR_HALT: halt_all(r, err); break;
    default: retry_later(r, err); break;
    }
    if (!assemble_serves_any(r->assemble) && r->halted)
        set_state(r, RUN_HALTED, wish ? "every link that reads from here is halted" : err->text);
    return true;
}

/* ---- the stream ---- */

static bool renew_definitions(struct reader *r, struct err *err)
{
    r->keeps_sql = true;
    bool ok = assemble_renew(r->assemble, err);
    r->keeps_sql = false;
    dbconn_close(r->sql);
    return ok;
}

/* ---- is it the log that was read? ---- */

static bool is_of(const struct pos *p, const char *server)
{
    return p->file != NULL && p->server != NULL && strcmp(p->server, server) == 0;
}

/* The feed that has read most of this server's log; nfeeds if none has. */
static size_t find_furthest(struct reader *r)
{
    const char *server = stream_server(r->stream);
    size_t n = r->options.nfeeds, furthest = n;
    for (size_t i = 0; i < n; i++) {
        if (!assemble_serves(r->assemble, i) || !is_of(assemble_place(r->assemble, i), server))
            continue;
        if (furthest == n ||
            !pos_covers(assemble_place(r->assemble, furthest), assemble_place(r->assemble, i)))
            furthest = i;
    }
    return furthest;
}

static bool check_place(struct reader *r, size_t i, struct err *err)
{
    return stream_check(r->stream, assemble_place(r->assemble, i), err);
}

/* Each feed by itself: those whose place is no place of this log are lost. */
static bool check_each(struct reader *r, bool (*check)(struct reader *r, size_t i, struct err *err),
                       struct err *err)
{
    bool any = false;
    for (size_t i = 0; i < r->options.nfeeds; i++) {
        struct err why = ERR_INIT;
        if (!assemble_serves(r->assemble, i) || check(r, i, &why))
            continue;
        if (why.kind != ERR_LOST) {
            *err = why;
            return false;
        }
        assemble_leave(r->assemble, i);
        lose_feed(r, i, why.text);
        any = true;
    }
    return !any || err_set(err, ERR_STOPPED, 0, "the stream has to begin elsewhere");
}

/* What of a feed's transactions was applied beyond its place must stand in this log too. In one that was cut, or of another
 * server, nobody can tell which of them it was. */
static bool check_ahead(struct reader *r, size_t i, struct err *err)
{
    const struct pos *place = assemble_place(r->assemble, i), *ahead = &r->outlets[i].ahead;
    if (pos_is_unset(ahead) || (pos_covers(place, ahead) && !pos_equal(place, ahead)))
        return true;
    if (ahead->server != NULL && strcmp(ahead->server, stream_server(r->stream)) != 0)
        return err_set(err, ERR_LOST, 0,
                       "another server goes on in the middle of a batch that was written in lanes");
    return stream_check(r->stream, ahead, err);
}

/* A log that has all that the furthest feed has read of it has what the others have read. But a feed may also be of
 * another server, or have no GTIDs. */
static bool check_places(struct reader *r, const struct pos *from, struct err *err)
{
    size_t furthest = find_furthest(r);
    struct err why = ERR_INIT;
    const struct pos *at = furthest < r->options.nfeeds ? assemble_place(r->assemble, furthest) : from;
    bool mixed = false;
    for (size_t i = 0; i < r->options.nfeeds; i++)
        mixed = mixed || (assemble_serves(r->assemble, i) &&
                          !is_of(assemble_place(r->assemble, i), stream_server(r->stream)));
    if (!mixed && stream_check(r->stream, at, &why))
        return true;
    if (!mixed && why.kind != ERR_LOST) {
        *err = why;
        return false;
    }
    return check_each(r, check_place, err);
}

/* The server's identity first: what is known of the feeds' places depends on it. */
static bool connect_and_start(struct reader *r, const struct pos *from, struct err *err)
{
    if (!stream_connect(r->stream, err))
        return false;
    if (check_places(r, from, err) && check_each(r, check_ahead, err) && find_log_end(r, err) &&
        stream_start(r->stream, from, err))
        return true;
    stream_close(r->stream);
    return false;
}

static bool open_stream(struct reader *r, struct err *err)
{
    struct pos from = POS_INIT;
    struct server_stats *stats = r->options.stats;
    bool ok = true;
    if (!renew_definitions(r, err))
        return false;
    if (!assemble_start(r->assemble, &from)) {
        pos_done(&from);
        return err_set(err, ERR_STOPPED, 0, "no feed to serve");
    }
    r->published = r->unread = false;
    set_state(r, RUN_CONNECTING, r->failure.text);
    if (is_woken(r))
        ok = err_set(err, ERR_STOPPED, 0, "woken");
    else
        ok = connect_and_start(r, &from, err);
    pos_done(&from);
    if (!ok)
        return false;
    assemble_opened(r->assemble, stream_server(r->stream), stream_is_by_file(r->stream));
    stat_text_set(&stats->address, stream_address(r->stream));
    stat_text_set(&stats->version, stream_version(r->stream));
    stat_text_set(&stats->kind, stream_kind(r->stream) == DB_MYSQL ? "MySQL" : "MariaDB");
    return true;
}

static void tell_that_it_streams(struct reader *r)
{
    log_position(r);
    log_info("%s from %s", r->failure.text[0] != '\0' ? "streaming again" : "streaming",
             stream_address(r->stream));
    r->told = true;
    once_clear(&r->failure);
}

/* The first event shows that the server has accepted the position. */
static void streams(struct reader *r)
{
    set_state(r, RUN_STREAMING, "");
    r->streams_since = clock_mono();
    if (!r->told && r->failure.text[0] == '\0')
        tell_that_it_streams(r);
}

/* A line that breaks again and again after some packets is one failure, and told once, though it gets on. */
static void went_well(struct reader *r, bool moved)
{
    if (r->undescribed || (r->told && r->backoff.tries == 0))
        return;
    bool lasts = mono_diff_us(clock_mono(), r->streams_since) > GOOD_AFTER_US;
    if (moved || lasts)
        backoff_reset(&r->backoff);
    if (lasts && !r->told)
        tell_that_it_streams(r);
}

/* Nobody else adds to it. */
static void count(stat_count *c, uint64_t n)
{
    atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

/* The next event, from what has been received if there is one. */
static bool receive(struct reader *r, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    struct server_stats *stats = r->options.stats;
    if (stream_has_next(r->stream))
        return stream_next(r->stream, ret_event, ret_len, err);
    about_to_wait(r);
    bool whole = !assemble_in_group(r->assemble);
    if (whole)
        atomic_store(&stats->busy_since_mono_us, 0);
    atomic_store(&stats->awaits_since_mono_us, clock_mono().v);
    bool ok = stream_next(r->stream, ret_event, ret_len, err);
    atomic_store(&stats->awaits_since_mono_us, 0);
    r->now = clock_mono();
    if (whole)
        atomic_store(&stats->busy_since_mono_us, r->now.v);
    if (ok)
        atomic_store(&stats->last_event_wall_us, clock_wall().v);
    return ok;
}

static bool pump_one(struct reader *r, bool *first, struct err *err)
{
    struct server_stats *stats = r->options.stats;
    const uint8_t *event;
    size_t len;
    bool moved;
    if (!receive(r, &event, &len, err))
        return false;
    count(&stats->binlog_bytes, len);
    count(&stats->binlog_events, 1);
    if (*first)
        streams(r);
    *first = false;

    if (!assemble_event(r->assemble, event, len, &moved, err))
        return false;
    r->unshown = r->unshown || moved;
    r->unread = r->unread || moved || !r->published;
    went_well(r, moved);
    if (r->leaving)
        leave_outlets(r);
    if (!assemble_serves_any(r->assemble))
        return err_set(err, ERR_STOPPED, 0, "no feed to serve");
    if (is_woken(r))
        return err_set(err, ERR_STOPPED, 0, "woken");
    return true;
}

static void pump(struct reader *r, struct err *err)
{
    bool first = true;
    if (!open_stream(r, err))
        return;
    r->uneven = true;
    r->now = clock_mono();
    r->leaving = true; /* what is closed stays so */
    if (!is_woken(r))
        while (pump_one(r, &first, err))
            ;
    about_to_wait(r);
    forget_log_end(r);
    stream_close(r->stream);
}

static void *run(void *arg)
{
    struct reader *r = arg;
    bool go_on = true;
    log_context("reader", r->options.db->server->name, "");
    while (go_on && !stop_raised(r->options.stop)) {
        struct err err = ERR_INIT;
        wait_for_wishes(r);
        if (stop_raised(r->options.stop))
            break;
        take_wishes(r);
        pump(r, &err);
        go_on = handle_failure(r, &err);
    }
    for (size_t i = 0; i < r->options.nfeeds; i++)
        queue_close(&r->outlets[i].feed->queue);
    if (stop_raised(r->options.stop)) /* else the reason why it ended stays to be seen */
        set_state(r, RUN_STOPPED, "");
    stream_close(r->stream);
    db_thread_done();
    return NULL;
}

/* ---- life ---- */

static struct assemble *new_assemble(struct reader *r)
{
    const struct reader_options *o = &r->options;
    struct assemble_feed *feeds = mem_zalloc(o->nfeeds + 1, sizeof(*feeds));
    for (size_t i = 0; i < o->nfeeds; i++)
        feeds[i] = (struct assemble_feed){o->feeds[i]->link, o->feeds[i]->from};
    struct assemble_options options = {
        .state_database = o->state_database,
        .feeds = feeds,
        .nfeeds = o->nfeeds,
        .part_rows = o->part_rows,
        .part_bytes = o->part_bytes,
        .keep_bytes = KEEP_BYTES,
        .put = put_tx,
        .halt = halt_feed,
        .lose = lose_feed,
        .describe = describe,
        .echo = count_echo,
        .arg = r,
    };
    struct assemble *a = assemble_new(&options);
    free(feeds);
    return a;
}

static void set_wake(struct reader *r, void (*wake)(void *arg))
{
    struct feed_source *source = r->options.source;
    pthread_mutex_lock(&source->lock);
    source->wake = wake;
    source->wake_arg = r;
    r->epoch = source->epoch;
    pthread_mutex_unlock(&source->lock);
}

struct reader *reader_new(const struct reader_options *options)
{
    struct reader *r = mem_zalloc(1, sizeof(*r));
    r->options = *options;
    r->outlets = mem_zalloc(options->nfeeds + 1, sizeof(*r->outlets));
    for (size_t i = 0; i < options->nfeeds; i++)
        r->outlets[i].feed = options->feeds[i];
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->cond, &monotonic);
    pthread_condattr_destroy(&monotonic);
    atomic_init(&r->woken, false);
    backoff_init(&r->backoff, 100, 10000);
    r->patient = true;
    r->stream = stream_new(options->db);
    struct db_options sql = *options->db;
    sql.inspect_only = true;
    r->sql = dbconn_new(&sql);
    r->assemble = new_assemble(r);
    r->options.feeds = NULL; /* the caller's array; outlets hold the feeds */
    set_wake(r, reader_wake);
    return r;
}

bool reader_start(struct reader *r, struct err *err)
{
    int rc = pthread_create(&r->thread, NULL, run, r);
    if (rc != 0)
        return err_set(err, ERR_CONFIG, rc, "cannot start a thread: %s", strerror(rc));
    r->started = true;
    return true;
}

void reader_join(struct reader *r)
{
    if (!r->started)
        return;
    reader_wake(r);
    pthread_join(r->thread, NULL);
    r->started = false;
}

void reader_free(struct reader *r)
{
    if (r == NULL)
        return;
    set_wake(r, NULL);
    assemble_free(r->assemble);
    stream_free(r->stream);
    dbconn_free(r->sql);
    pthread_cond_destroy(&r->cond);
    pthread_mutex_destroy(&r->lock);
    for (size_t i = 0; i < r->options.nfeeds; i++)
        pos_done(&r->outlets[i].ahead);
    pos_done(&r->log_end);
    free(r->outlets);
    free(r);
}
