/*
 * supervisor.c - what makes threads of a config, and ends them again.
 *
 *   starting --servers answer, preflight has no FAIL--> running --stop flag--> stopping --> ended
 *
 * "Answer" means also that no other daemon serves a link of ours (guard.h). Its thread walks this line once. HTTP is up all the way, so that whoever asks
 * why nothing happens is told. Nothing but the preflight's own marker is written to a
 * server before every check of the preflight has passed on all of them.
 *
 * Stop order: the flag, then the readers (no new changes), the queues are closed,
 * the appliers commit what they have in hand, HTTP last. What was still queued
 * is read again after the next start: the checkpoint stands before it.
 *
 * Memory: limits.queue_mb bounds all directions together, and one that is stuck does not
 * starve the others: see queue.h. A part of a large transaction is at most an eighth of it, so that a reader can
 * fill the queue while the applier still works on the part before.
 *
 * Many links: what each holds and does while nothing happens counts a hundred times. A direction at rest has one connection,
 * to its peer, and few are opened at a time, for each needs two then and what is freed later has been the peak already.
 * What looks about by itself does so the more rarely the more links there are (idle_of()).
 *
 * Locks: `lock` covers the links while they are being built, the exit code and how far we are.
 * It is never held while any other one is taken.
 */
#include "cdc/supervisor.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/applier.h"
#include "appliers/resyncer.h"
#include "appliers/sync.h"
#include "cdc/base/backoff.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/once.h"
#include "cdc/base/slots.h"
#include "cdc/base/stop.h"
#include "cdc/binlog/reader.h"
#include "cdc/db/dbconn.h"
#include "cdc/guard.h"
#include "cdc/link_build.h"
#include "cdc/model/feed.h"
#include "cdc/operate.h"
#include "cdc/preflight.h"
#include "cdc/service/http.h"
#include "cdc/service/notify.h"
#include "cdc/service/status.h"

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    FIRST_RETRY_MS = 500,
    MAX_RETRY_MS = 10000,
    TELL_AGAIN_AFTER_S = 60,
    LOCK_WAIT_S = 5, /* nothing is locked at the start; a session must have some value */
    MAX_PART_BYTES = 1024 * 1024,
    LOOK_EVERY_MS = 60000,   /* for a stop that wakes us anyway */
    COMMIT_WITHIN_MS = 3000, /* at a stop, all appliers together */
    RESYNCS_AT_ONCE = 2,
    OPENS_AT_ONCE = 6,
};

/* For each link there is; and the least and the most for all of them. */
enum {
    IDLE_WAIT_MS = 50,
    IDLE_WAIT_LEAST_MS = 250,
    IDLE_WAIT_MOST_MS = 5000,
    IDLE_STORE_MS = 10000,
    IDLE_STORE_MOST_MS = 60000,
};
static const uint64_t IDLE_STORE_BYTES = 16U << 20, IDLE_STORE_MOST_BYTES = 64U << 20;

/* One server that some link uses. */
struct node {
    struct server_stats *stats;
    struct db_options db; /* with the target that all its connections share */
    struct dbconn *conn;  /* used at the start only, but always there: a stop may have to end its wait */
    struct feed_source source;
    struct feed **feeds; /* all that read from here */
    size_t nfeeds;
    struct reader *reader;
    struct once trouble; /* of the start */
};

struct pair {
    const struct config_link *config;
    struct status_link *status;
    struct node *node[2]; /* by side */
    struct link *link;    /* NULL until it is built */
    struct link_sync *sync;
    struct feed feed[2]; /* by the side it reads from; there once link is */
    struct applier *applier[2];
    struct resyncer *resyncer; /* NULL until the threads are made */
};

struct supervisor {
    struct supervisor_options o;
    const struct config *config;
    struct status *status;
    struct http *http;
    struct stop stop;
    pthread_t thread;
    bool started;

    struct node *nodes; /* in the order of status->servers */
    size_t nnodes;
    struct pair *pairs; /* in the config's order */
    size_t npairs;

    struct queue_pool queues;
    struct guard *guard;
    struct once not_alone;
    struct applier_idle idle;
    struct slots *resyncs, *opens;
    struct operate *operate;
    struct notify *notify; /* NULL: nobody is to be told */

    pthread_mutex_t lock;
    uint64_t last_job_id;
    int exit_code;
    bool failed; /* exit_code is that of a failure: the first one counts */
    bool works;  /* readers and appliers have been started */
    bool ended;
    bool reload_later; /* SIGHUP came before all links were built */
};

/* ---- What went wrong ---- */

static void fail(struct supervisor *s, enum err_kind kind)
{
    pthread_mutex_lock(&s->lock);
    if (!s->failed) {
        s->failed = true;
        /* Once it has worked, a privilege that is gone is a failure, and no wrong config. */
        s->exit_code = kind == ERR_CONFIG && !s->works ? EXIT_USAGE : EXIT_FAILED;
    }
    pthread_mutex_unlock(&s->lock);
    stop_raise(&s->stop);
}

/* A reader or an applier met something that only the operator can mend. */
static void on_fatal(void *arg, const struct err *err)
{
    log_error("%s; this needs the operator, so the daemon ends", err->text);
    fail(arg, err->kind);
}

/* ---- Starting: wait for the servers ---- */

static void node_waits(struct node *n, const struct err *err)
{
    n->stats->state = RUN_CONNECTING;
    stat_text_set(&n->stats->reason, err->text);
    if (once_is_news(&n->trouble, err->text, TELL_AGAIN_AFTER_S))
        log_warn("%s; nothing is started before it answers, tries go on", err->text);
}

static void node_answers(struct node *n)
{
    n->stats->state = RUN_STARTING;
    stat_text_set(&n->stats->kind, dbconn_kind(n->conn) == DB_MARIADB ? "MariaDB" : "MySQL");
    stat_text_set(&n->stats->version, dbconn_version(n->conn));
    stat_text_set(&n->stats->address, dbconn_address(n->conn));
    stat_text_set(&n->stats->reason, "");
}

/* Asks all of them each time, so that status tells of each. True unless one is
 * not there: what a server has against us is for the preflight to tell. */
static bool connect_nodes(struct supervisor *s)
{
    bool all = true;
    for (size_t i = 0; i < s->nnodes && !stop_raised(&s->stop); i++) {
        struct node *n = &s->nodes[i];
        struct err err = ERR_INIT;
        if (dbconn_open(n->conn, LOCK_WAIT_S, &err)) {
            node_answers(n);
        } else if (err.kind != ERR_CONFIG) {
            if (!stop_raised(&s->stop))
                node_waits(n, &err);
            all = false;
        }
        dbconn_close(n->conn);
    }
    return all;
}

/* ---- Starting: is all as it has to be ---- */

static void report_finding(void *arg, enum check_level level, const char *text, const char *mend)
{
    (void)arg;
    const char *colon = mend != NULL ? "; to mend it: " : "";
    if (mend == NULL)
        mend = "";
    if (level == CHECK_FAIL)
        log_error("check FAIL: %s%s%s", text, colon, mend);
    else if (level == CHECK_WARN)
        log_warn("check warn: %s%s%s", text, colon, mend);
    else
        log_debug("check ok: %s", text);
}

/* Takes the link. */
static void set_link(struct supervisor *s, struct pair *p, struct link *link)
{
    link->max_quarantined = s->config->quarantine_keys;
    p->sync = link_sync_new(link);
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
        feed_init(&p->feed[from], link, from, &p->node[from]->source, &s->queues);
        p->status->feed[from] = &p->feed[from];
    }
    pthread_mutex_lock(&s->lock);
    p->link = link;
    pthread_mutex_unlock(&s->lock);
}

static bool reload_is_due(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    bool ret = s->reload_later;
    s->reload_later = false;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

static enum preflight_result check_and_build(struct supervisor *s)
{
    struct link **links = mem_zalloc(s->npairs, sizeof(*links));
    enum preflight_result ret = preflight(s->config, report_finding, NULL, links);
    for (size_t i = 0; i < s->npairs && ret == PREFLIGHT_PASS; i++)
        set_link(s, &s->pairs[i], links[i]);
    free(links);
    /* They were built with the keys that the start's config names. */
    if (ret == PREFLIGHT_PASS && reload_is_due(s))
        supervisor_reload(s);
    return ret;
}

/* False if it is not known yet, or the daemon ends. What a server has against us is for the preflight to tell. */
static bool is_alone(struct supervisor *s)
{
    struct err err = ERR_INIT;
    if (guard_take(s->guard, &err))
        return true;
    if (err.kind == ERR_RETRY) {
        stat_text_set(&s->status->waiting, err.text);
        if (!stop_raised(&s->stop) && once_is_news(&s->not_alone, err.text, TELL_AGAIN_AFTER_S))
            log_warn("%s; tries go on", err.text);
    }
    if (err.kind != ERR_RETRY && err.kind != ERR_FATAL)
        return true;
    if (err.kind == ERR_FATAL)
        on_fatal(s, &err);
    return false;
}

static enum preflight_result prepare(struct supervisor *s)
{
    stat_text_set(&s->status->waiting, "waits until its servers answer");
    if (!connect_nodes(s) || stop_raised(&s->stop) || !is_alone(s))
        return PREFLIGHT_ABSENT;
    stat_text_set(&s->status->waiting, "checks its servers and tables");
    return check_and_build(s);
}

static bool prepare_until_it_works(struct supervisor *s)
{
    struct backoff backoff;
    backoff_init(&backoff, FIRST_RETRY_MS, MAX_RETRY_MS);
    for (;;) {
        enum preflight_result result = prepare(s);
        if (stop_raised(&s->stop))
            return false;
        if (result == PREFLIGHT_PASS)
            return true;
        if (result == PREFLIGHT_FAIL) {
            log_error("what FAILs has to be mended first; nothing was started, nothing changed");
            fail(s, ERR_CONFIG);
            return false;
        }
        if (stop_wait_ms(&s->stop, backoff_next_ms(&backoff)))
            return false;
    }
}

/* ---- Running ---- */

static void make_reader(struct supervisor *s, struct node *n)
{
    n->feeds = mem_zalloc(s->npairs * 2, sizeof(*n->feeds));
    for (size_t i = 0; i < s->npairs; i++) {
        for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            if (s->pairs[i].node[side] == n)
                n->feeds[n->nfeeds++] = &s->pairs[i].feed[side];
        }
    }
    size_t part_bytes = s->queues.max_bytes / 8;
    struct reader_options o = {
        .db = &n->db,
        .state_database = s->config->state_database,
        .source = &n->source,
        .feeds = n->feeds,
        .nfeeds = n->nfeeds,
        .part_rows = s->config->batch_rows,
        .part_bytes = part_bytes < MAX_PART_BYTES ? part_bytes : MAX_PART_BYTES,
        .stats = n->stats,
        .stop = &s->stop,
        .fatal = on_fatal,
        .fatal_arg = s,
    };
    n->reader = reader_new(&o);
}

/* Ascending, over restarts too as long as the clock does not go back by more than the daemon was down. */
static uint64_t new_job_id(void *arg)
{
    struct supervisor *s = arg;
    uint64_t now_ms = (uint64_t)(clock_wall().v / 1000);
    pthread_mutex_lock(&s->lock);
    s->last_job_id = now_ms > s->last_job_id ? now_ms : s->last_job_id + 1;
    uint64_t ret = s->last_job_id;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

static void on_event(void *arg, const struct event *e)
{
    struct supervisor *s = arg;
    if (s->notify != NULL)
        notify_event(s->notify, e);
}

static struct resyncer *make_resyncer(struct supervisor *s, struct pair *p)
{
    struct resyncer_options o = {
        .link = p->link,
        .db = {&p->node[SIDE_LEFT]->db, &p->node[SIDE_RIGHT]->db},
        .state_database = s->config->state_database,
        .sync = p->sync,
        .feed = {&p->feed[SIDE_LEFT], &p->feed[SIDE_RIGHT]},
        .direction = {&p->status->direction[SIDE_LEFT], &p->status->direction[SIDE_RIGHT]},
        .stats = &p->status->stats,
        .chunk_rows = s->config->resync_chunk_rows,
        .initial_sync = p->config->initial_sync,
        .slots = s->resyncs,
        .opens = s->opens,
        .idle_ms = s->idle.wait_ms,
        .new_id = new_job_id,
        .new_id_arg = s,
        .event = on_event,
        .event_arg = s,
        .stop = &s->stop,
    };
    return resyncer_new(&o);
}

static void make_applier(struct supervisor *s, struct pair *p, enum side from)
{
    struct applier_options o = {
        .link = p->link,
        .from = from,
        .db = {&p->node[SIDE_LEFT]->db, &p->node[SIDE_RIGHT]->db},
        .state_database = s->config->state_database,
        .sync = p->sync,
        .feed = &p->feed[from],
        .batch_rows = s->config->batch_rows,
        .lanes = s->config->lanes,
        .stats = &p->status->direction[from],
        .resyncer = p->resyncer,
        .opens = s->opens,
        .idle = s->idle,
        .event = on_event,
        .event_arg = s,
        .stop = &s->stop,
        .fatal = on_fatal,
        .fatal_arg = s,
    };
    p->applier[from] = applier_new(&o);
}

static bool start_threads(struct supervisor *s, struct err *err)
{
    for (size_t i = 0; i < s->nnodes; i++)
        make_reader(s, &s->nodes[i]);
    for (size_t i = 0; i < s->npairs; i++) {
        s->pairs[i].resyncer = make_resyncer(s, &s->pairs[i]);
        operate_serve(s->operate, i, s->pairs[i].resyncer, s->pairs[i].sync);
        make_applier(s, &s->pairs[i], SIDE_LEFT);
        make_applier(s, &s->pairs[i], SIDE_RIGHT);
    }
    for (size_t i = 0; i < s->nnodes; i++) {
        if (!reader_start(s->nodes[i].reader, err))
            return false;
    }
    for (size_t i = 0; i < s->npairs; i++) {
        if (!applier_start(s->pairs[i].applier[SIDE_LEFT], err) ||
            !applier_start(s->pairs[i].applier[SIDE_RIGHT], err) ||
            !resyncer_start(s->pairs[i].resyncer, err))
            return false;
    }
    stat_text_set(&s->status->waiting, "");
    log_info("checks passed; starts, links: %zu, servers: %zu", s->npairs, s->nnodes);
    return true;
}

static void run_threads(struct supervisor *s)
{
    struct err err = ERR_INIT;
    pthread_mutex_lock(&s->lock);
    s->works = true;
    pthread_mutex_unlock(&s->lock);
    if (!guard_start(s->guard, on_fatal, s, &err) || !start_threads(s, &err)) {
        log_error("%s; the daemon ends", err.text);
        fail(s, err.kind);
    }
    while (!stop_wait_ms(&s->stop, LOOK_EVERY_MS))
        ;
}

/* Half of stop_timeout_s at most, when the process ends with what is not joined yet. */
static mono_us commit_deadline(const struct config *config)
{
    int64_t ms = config->stop_timeout_s * INT64_C(1000) / 2;

    return (mono_us){clock_mono().v + (ms < COMMIT_WITHIN_MS ? ms : COMMIT_WITHIN_MS) * 1000};
}

/* In the order of the essay. What was never made or started is passed over. */
static void join_threads(struct supervisor *s)
{
    mono_us give_up = commit_deadline(s->config);

    stat_text_set(&s->status->waiting, "stopping");
    for (size_t i = 0; i < s->nnodes; i++) {
        if (s->nodes[i].reader != NULL)
            reader_join(s->nodes[i].reader);
    }
    for (size_t i = 0; i < s->npairs; i++) {
        for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
            if (s->pairs[i].applier[from] == NULL)
                continue;
            queue_close(&s->pairs[i].feed[from].queue);
            applier_join(s->pairs[i].applier[from], give_up);
        }
        if (s->pairs[i].resyncer != NULL)
            resyncer_join(s->pairs[i].resyncer, give_up);
    }
    guard_end(s->guard);
}

static void *supervisor_main(void *arg)
{
    struct supervisor *s = arg;
    log_context("main", "", "");
    if (prepare_until_it_works(s))
        run_threads(s);
    s->o.changed(s->o.changed_arg);
    join_threads(s);
    db_thread_done();

    pthread_mutex_lock(&s->lock);
    s->ended = true;
    pthread_mutex_unlock(&s->lock);
    s->o.changed(s->o.changed_arg);
    return NULL;
}

/* ---- Life ---- */

static struct node *find_node(struct supervisor *s, const char *name)
{
    for (size_t i = 0; i < s->nnodes; i++) {
        if (strcmp(s->nodes[i].stats->name, name) == 0)
            return &s->nodes[i];
    }
    return NULL;
}

static void init_nodes(struct supervisor *s)
{
    s->nnodes = s->status->nservers;
    s->nodes = mem_zalloc(s->nnodes, sizeof(*s->nodes));
    for (size_t i = 0; i < s->nnodes; i++) {
        struct node *n = &s->nodes[i];
        n->stats = &s->status->servers[i];
        n->db.server = config_find_server(s->config, n->stats->name);
        n->db.connect_timeout_s = s->config->connect_timeout_s;
        n->db.read_timeout_s = s->config->read_timeout_s;
        n->db.target = db_target_new(n->db.server);
        n->conn = dbconn_new(&n->db);
        feed_source_init(&n->source);
    }
}

static void init_pairs(struct supervisor *s)
{
    s->npairs = s->config->nlinks;
    s->pairs = mem_zalloc(s->npairs, sizeof(*s->pairs));
    for (size_t i = 0; i < s->npairs; i++) {
        struct pair *p = &s->pairs[i];
        p->config = &s->config->links[i];
        p->status = &s->status->links[i];
        p->node[SIDE_LEFT] = find_node(s, p->config->side[SIDE_LEFT].server);
        p->node[SIDE_RIGHT] = find_node(s, p->config->side[SIDE_RIGHT].server);
        guard_add(s->guard, p->config->name, &p->node[SIDE_LEFT]->db);
    }
}

/* As much for all links together as a few of them would do; but never so rarely that somebody has to wait for it. (What lies
 * between the positions of many links is read slowly after a restart.) */
static struct applier_idle idle_of(size_t npairs)
{
    uint32_t n = npairs > 0 && npairs < 1000 ? (uint32_t)npairs : 1000;
    struct applier_idle ret = {
        .wait_ms = n * IDLE_WAIT_MS,
        .store_ms = n * IDLE_STORE_MS,
        .store_bytes = n * IDLE_STORE_BYTES,
    };

    if (ret.wait_ms < IDLE_WAIT_LEAST_MS)
        ret.wait_ms = IDLE_WAIT_LEAST_MS;
    if (ret.wait_ms > IDLE_WAIT_MOST_MS)
        ret.wait_ms = IDLE_WAIT_MOST_MS;
    if (ret.store_ms > IDLE_STORE_MOST_MS)
        ret.store_ms = IDLE_STORE_MOST_MS;
    if (ret.store_bytes > IDLE_STORE_MOST_BYTES)
        ret.store_bytes = IDLE_STORE_MOST_BYTES;
    return ret;
}

struct supervisor *supervisor_new(const struct supervisor_options *o)
{
    struct supervisor *s = mem_zalloc(1, sizeof(*s));
    s->o = *o;
    s->config = o->config;
    s->queues.max_bytes = (size_t)o->config->queue_mb << 20;
    s->status = status_new(o->config, o->version);
    stop_init(&s->stop);
    s->resyncs = slots_new(RESYNCS_AT_ONCE);
    s->opens = slots_new(OPENS_AT_ONCE);
    s->operate = operate_new(o->config);
    s->guard = guard_new(o->config->state_database, &s->stop);
    pthread_mutex_init(&s->lock, NULL);
    init_nodes(s);
    init_pairs(s);
    s->idle = idle_of(s->npairs);
    return s;
}

static void log_listens(const char *host, uint16_t port, const char *server)
{
    bool bracket = strchr(host, ':') != NULL;
    log_info("listens on http://%s%s%s:%u%s%s", bracket ? "[" : "", host, bracket ? "]" : "", (unsigned)port,
             server != NULL ? ", a trigger there means from " : "", server != NULL ? server : "");
}

static bool start_http(struct supervisor *s, struct err *err)
{
    const struct config *c = s->config;
    struct http_listener *listeners = mem_zalloc(c->nservers, sizeof(*listeners));
    char *token = NULL;
    size_t len, n = 0;
    for (size_t i = 0; i < c->nservers; i++) {
        if (c->servers[i].listen_host != NULL)
            listeners[n++] = (struct http_listener){c->servers[i].listen_host, c->servers[i].listen_port,
                                                    c->servers[i].name};
    }
    bool ok = config_token_read(&c->http_token, &token, &len, err);
    if (ok) {
        s->http = http_new(&(struct http_options){.host = c->http_host,
                                                  .port = c->http_port,
                                                  .token = token,
                                                  .status = s->status,
                                                  .api = operate_api(s->operate),
                                                  .listeners = listeners,
                                                  .nlisteners = n},
                           err);
        mem_wipe_free(token, len + 1);
        ok = s->http != NULL;
    }
    if (ok) {
        log_listens(c->http_host, http_port(s->http), NULL);
        for (size_t i = 0; i < n; i++)
            log_listens(listeners[i].host, http_listener_port(s->http, i), listeners[i].from_server);
    }
    free(listeners);
    return ok;
}

static bool start_notify(struct supervisor *s, struct err *err)
{
    if (s->config->notify.url == NULL)
        return true;
    s->notify = notify_new(&s->config->notify, s->o.version, err);
    return s->notify != NULL;
}

bool supervisor_start(struct supervisor *s, struct err *err)
{
    if (!start_notify(s, err) || !start_http(s, err))
        return false;
    int rc = pthread_create(&s->thread, NULL, supervisor_main, s);
    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "cannot start a thread: %s", strerror(rc));
    s->started = true;
    return true;
}

void supervisor_stop(struct supervisor *s)
{
    stop_raise(&s->stop);
    for (size_t i = 0; i < s->nnodes; i++)
        dbconn_shutdown(s->nodes[i].conn);
    guard_shutdown(s->guard);
}

bool supervisor_works(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    bool ret = s->works;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

bool supervisor_has_ended(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    bool ret = s->ended;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

int supervisor_exit_code(struct supervisor *s)
{
    pthread_mutex_lock(&s->lock);
    int ret = s->exit_code;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

int supervisor_join(struct supervisor *s)
{
    if (s->started)
        pthread_join(s->thread, NULL);
    s->started = false;
    http_free(s->http);
    s->http = NULL;
    notify_free(s->notify);
    s->notify = NULL;
    return s->exit_code;
}

static void free_pair(struct pair *p)
{
    applier_free(p->applier[SIDE_LEFT]);
    applier_free(p->applier[SIDE_RIGHT]);
    resyncer_free(p->resyncer);
    if (p->link == NULL)
        return;
    feed_done(&p->feed[SIDE_LEFT]);
    feed_done(&p->feed[SIDE_RIGHT]);
    link_sync_free(p->sync);
    link_free(p->link);
}

void supervisor_free(struct supervisor *s)
{
    if (s == NULL)
        return;
    http_free(s->http);
    notify_free(s->notify);
    for (size_t i = 0; i < s->nnodes; i++)
        reader_free(s->nodes[i].reader);
    for (size_t i = 0; i < s->npairs; i++)
        free_pair(&s->pairs[i]);
    for (size_t i = 0; i < s->nnodes; i++) {
        feed_source_done(&s->nodes[i].source);
        dbconn_free(s->nodes[i].conn);
        db_target_free(s->nodes[i].db.target);
        free(s->nodes[i].feeds);
    }
    free(s->pairs);
    free(s->nodes);
    slots_free(s->resyncs);
    slots_free(s->opens);
    guard_free(s->guard);
    operate_free(s->operate);
    status_free(s->status);
    stop_done(&s->stop);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- SIGHUP ---- */

static const struct config_link *find_link(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->nlinks; i++) {
        if (strcmp(c->links[i].name, name) == 0)
            return &c->links[i];
    }
    return NULL;
}

/* Keys go to columns by their place, so a link that maps others now has to wait for a restart. */
static bool same_columns(const struct config_link *a, const struct config_link *b)
{
    if (a->ncolumns != b->ncolumns)
        return false;
    for (size_t i = 0; i < a->ncolumns; i++) {
        const struct config_column *x = &a->columns[i], *y = &b->columns[i];
        if (strcmp(x->left, y->left) != 0 || strcmp(x->right, y->right) != 0 || x->ciphered != y->ciphered)
            return false;
        if (x->ciphered && (x->sealed_side != y->sealed_side || x->encoding != y->encoding))
            return false;
    }
    return true;
}

/* True if the link has the keys that the file names now. */
static bool reload_link(const struct pair *p, const struct link *link, const struct config *fresh)
{
    struct err err = ERR_INIT;
    const struct config_link *c = find_link(fresh, p->config->name);
    if (c == NULL) {
        log_warn("SIGHUP: link %s is not in %s any more: that needs a restart, its keys stay",
                 p->config->name, fresh->path);
        return false;
    }
    if (!same_columns(p->config, c)) {
        log_warn("SIGHUP: link %s maps other columns now: that needs a restart, its keys stay",
                 p->config->name);
        return false;
    }
    if (!link_reload_keys(link, c, &err)) {
        log_error("SIGHUP: link %s: %s; its keys stay", p->config->name, err.text);
        return false;
    }
    return true;
}

/* NULL: it is not built yet, and what builds it reloads then. */
static struct link *built_link(struct supervisor *s, const struct pair *p)
{
    pthread_mutex_lock(&s->lock);
    struct link *ret = p->link;
    s->reload_later = s->reload_later || ret == NULL;
    pthread_mutex_unlock(&s->lock);
    return ret;
}

void supervisor_reload(struct supervisor *s)
{
    struct config fresh;
    struct err err = ERR_INIT;
    if (!config_load(s->config->path, &fresh, &err)) {
        log_error("SIGHUP: %s; log level and keys stay", err.text);
        return;
    }
    log_set_level(fresh.log_level);
    bool all = true, later = false;
    for (size_t i = 0; i < s->npairs; i++) {
        struct link *link = built_link(s, &s->pairs[i]);
        later = later || link == NULL;
        if (link != NULL && !reload_link(&s->pairs[i], link, &fresh))
            all = false;
    }
    if (later)
        log_info("SIGHUP: log level is that of %s, and keys will be once the checks have passed", fresh.path);
    else if (all)
        log_info("SIGHUP: log level and keys are those of %s; anything else in it needs a restart",
                 fresh.path);
    config_done(&fresh);
}
