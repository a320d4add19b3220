/*
 * guard.c - named locks on the servers, one a link.
 *
 * GET_LOCK() belongs to a session and ends with it, so nothing is left of a daemon that has died. Only one that
 * vanished together with its machine, or behind a line that passes nothing any more, keeps its session for as long as the
 * server believes in it. A daemon that lives says something every PING_MS; a session that holds a lock and has said
 * nothing for DEAD_S is ended (KILL of one's own sessions needs no privilege), and the lock is free.
 *
 * What it does not do: fence off. A daemon whose session was ended finds out within a few seconds and ends itself; what
 * it writes until then the protocol can stand, for both apply by the same rules. Two with one server_id would push each other
 * out of the binary log for ever: that is what must not go on.
 */
#include "cdc/guard.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"

enum {
    PING_MS = 2000,
    TAKE_WITHIN_S = 4, /* a session whose process has just died is still being cleared away */
    SILENT_S = 4,      /* a daemon that lives has said something since */
    DEAD_S = 10,
    RIVAL_TIMES = 3, /* seen alive so often, with a lock that was ours */
    LOCK_WAIT_S = 5, /* for rows: none are locked here */
    NAME_MAX_BYTES = 64,
};

/* Of one server: all locks that it has are held by one session. */
struct session {
    const char *server; /* its name */
    struct dbconn *conn;
    uint64_t last; /* the server's number of the one that has held locks last */
    unsigned take_within_s;
};

struct watched {
    const char *link;
    struct session *session;
    char lock[NAME_MAX_BYTES];
    bool held;
    unsigned rival; /* so many times in a row somebody else had it */
};

struct guard {
    const char *state_database;
    struct stop *stop;
    struct watched *links;
    size_t nlinks;
    struct session **sessions;
    size_t nsessions;
    void (*fatal)(void *arg, const struct err *err);
    void *fatal_arg;
    pthread_t thread;
    bool started;
};

struct guard *guard_new(const char *state_database, struct stop *stop)
{
    struct guard *g = mem_zalloc(1, sizeof *g);

    g->state_database = state_database;
    g->stop = stop;
    return g;
}

/* At most 64 characters on either server, whatever the link's name is. */
static void name_lock(const struct guard *g, const char *link, char out[NAME_MAX_BYTES])
{
    unsigned char hash[HASH_BYTES];
    struct buf text = BUF_INIT;
    size_t len = (size_t)snprintf(out, NAME_MAX_BYTES, "twinlog.");

    buf_add(&text, g->state_database, strlen(g->state_database) + 1);
    buf_adds(&text, link);
    hash_sha256(text.data, text.len, hash);
    buf_done(&text);
    for (size_t i = 0; i < 16; i++)
        len += (size_t)snprintf(out + len, NAME_MAX_BYTES - len, "%02x", hash[i]);
}

static struct session *session_of(struct guard *g, const struct db_options *server)
{
    struct db_options o = *server;

    for (size_t i = 0; i < g->nsessions; i++)
        if (strcmp(g->sessions[i]->server, o.server->name) == 0)
            return g->sessions[i];
    struct session *s = mem_zalloc(1, sizeof *s);

    o.inspect_only = true;
    s->server = o.server->name;
    s->conn = dbconn_new(&o);
    /* Less than an answer may take. */
    s->take_within_s = o.read_timeout_s > TAKE_WITHIN_S ? TAKE_WITHIN_S : o.read_timeout_s - 1;
    g->sessions = mem_realloc(g->sessions, (g->nsessions + 1) * sizeof(struct session *));
    g->sessions[g->nsessions++] = s;
    return s;
}

void guard_add(struct guard *g, const char *link, const struct db_options *left)
{
    g->links = mem_realloc(g->links, (g->nlinks + 1) * sizeof *g->links);
    struct watched *w = &g->links[g->nlinks++];

    *w = (struct watched){.link = link, .session = session_of(g, left)};
    name_lock(g, link, w->lock);
}

/* One number; *ret is left alone where it is NULL. */
static bool ask(const struct watched *w, const char *what, int64_t *ret, struct err *err)
{
    struct db_result *r = NULL;

    if (!dbconn_query(w->session->conn, what, strlen(what), 0, &r, err))
        return false;
    if (db_result_next(r) && db_result_get(r, 0, NULL) != NULL)
        *ret = strtoll(db_result_get(r, 0, NULL), NULL, 10);
    db_result_free(r);
    return true;
}

struct holder {
    uint64_t session; /* 0: nobody */
    int64_t silent_s; /* 0 while it works */
    char host[128];
};

/* Who has the lock. All of one's own account are listed without any privilege; of another account nothing is known, and it
 * counts as one that lives. */
static bool find_holder(struct watched *w, struct holder *ret, struct err *err)
{
    static const char LIST[] = "SHOW PROCESSLIST"; /* Id User Host db Command Time ... */
    struct db_result *r = NULL;
    char sql[128];
    int64_t id = 0;

    *ret = (struct holder){.host = "another account"};
    snprintf(sql, sizeof sql, "SELECT IS_USED_LOCK('%s')", w->lock);
    if (!ask(w, sql, &id, err) || !dbconn_query(w->session->conn, LIST, sizeof LIST - 1, 0, &r, err))
        return false;
    ret->session = (uint64_t)id;
    while (db_result_next(r)) {
        const char *session = db_result_get(r, 0, NULL), *host = db_result_get(r, 2, NULL);
        const char *command = db_result_get(r, 4, NULL), *time = db_result_get(r, 5, NULL);

        if (session == NULL || strtoull(session, NULL, 10) != ret->session)
            continue;
        snprintf(ret->host, sizeof ret->host, "%.127s", host != NULL ? host : "?");
        if (command != NULL && strcmp(command, "Sleep") == 0 && time != NULL)
            ret->silent_s = strtoll(time, NULL, 10);
    }
    db_result_free(r);
    return true;
}

/* A session of ours that the server still believes in, or one that has been silent for long. */
static bool is_dead(const struct watched *w, const struct holder *h)
{
    return h->session != 0 && (h->session == w->session->last || h->silent_s >= DEAD_S);
}

static bool get_lock(struct watched *w, unsigned wait_s, bool *ret_got, struct err *err)
{
    char sql[128];
    int64_t got = 0;

    snprintf(sql, sizeof sql, "SELECT GET_LOCK('%s', %u)", w->lock, wait_s);
    if (!ask(w, sql, &got, err))
        return false;
    *ret_got = got == 1;
    if (*ret_got) {
        w->held = true;
        w->rival = 0;
        w->session->last = dbconn_id(w->session->conn);
    }
    return true;
}

/* One look; *ret_holder is told if somebody else has it. */
static bool try_lock(struct watched *w, unsigned wait_s, bool *ret_got, struct holder *ret_holder,
                     struct err *err)
{
    char sql[64];

    w->held = false;
    if (!dbconn_open(w->session->conn, LOCK_WAIT_S, err) || !get_lock(w, wait_s, ret_got, err))
        return false;
    if (*ret_got)
        return true;
    if (!find_holder(w, ret_holder, err))
        return false;
    if (ret_holder->session == 0)
        return err_set(err, ERR_RETRY, 0, "server %s gives it to nobody", w->session->server);
    if (!is_dead(w, ret_holder))
        return true;
    log_warn("link %s: session %" PRIu64 " on server %s has its lock and has been silent for %" PRId64
             " s; it is ended",
             w->link, ret_holder->session, w->session->server, ret_holder->silent_s);
    snprintf(sql, sizeof sql, "KILL %" PRIu64, ret_holder->session);
    dbconn_exec(w->session->conn, sql, NULL); /* it may have ended by itself */
    return get_lock(w, w->session->take_within_s, ret_got, err);
}

static bool rival(const struct watched *w, const struct holder *h, struct err *err)
{
    return err_set(err, ERR_FATAL, 0,
                   "another twinlog serves link %s: session %" PRIu64
                   " from %s on server %s has its lock; one "
                   "of the two has to go",
                   w->link, h->session, h->host, w->session->server);
}

/* What a session held is gone with it. */
static void close_session(struct guard *g, struct session *s)
{
    dbconn_close(s->conn);
    for (size_t i = 0; i < g->nlinks; i++)
        if (g->links[i].session == s)
            g->links[i].held = false;
}

/* Says something in each session that holds locks: those that are gone with theirs are no longer held. */
static void say_something(struct guard *g)
{
    for (size_t i = 0; i < g->nsessions && !stop_raised(g->stop); i++)
        if (dbconn_is_open(g->sessions[i]->conn) && !dbconn_exec(g->sessions[i]->conn, "DO 1", NULL))
            close_session(g, g->sessions[i]);
}

bool guard_take(struct guard *g, struct err *err)
{
    say_something(g);
    for (size_t i = 0; i < g->nlinks; i++) {
        struct watched *w = &g->links[i];
        struct holder holder;
        bool got = false;

        if (w->held)
            continue;
        if (!try_lock(w, w->session->take_within_s, &got, &holder, err)) {
            close_session(g, w->session);
            return err_prefix(err, "lock of link %s", w->link);
        }
        if (!got && holder.silent_s >= SILENT_S)
            return err_set(err, ERR_RETRY, 0,
                           "lock of link %s: session %" PRIu64
                           " from %s on server %s has it and says nothing; after %d s it is ended",
                           w->link, holder.session, holder.host, w->session->server, DEAD_S);
        if (!got)
            return rival(w, &holder, err);
    }
    return true;
}

/* True unless the daemon has to end. */
static bool keep(struct guard *g, struct watched *w, struct err *err)
{
    struct holder holder;
    bool got = false;

    if (w->held)
        return true;
    /* Whatever is wrong with the server: those who work with it tell. */
    if (!try_lock(w, 0, &got, &holder, NULL)) {
        close_session(g, w->session);
        return true;
    }
    if (got)
        return true;
    return ++w->rival < RIVAL_TIMES || rival(w, &holder, err);
}

static void *guard_main(void *arg)
{
    struct guard *g = arg;

    log_context("guard", "", "");
    while (!stop_wait_ms(g->stop, PING_MS)) {
        say_something(g);
        for (size_t i = 0; i < g->nlinks && !stop_raised(g->stop); i++) {
            struct err err = ERR_INIT;

            if (!keep(g, &g->links[i], &err)) {
                g->fatal(g->fatal_arg, &err);
                break;
            }
        }
    }
    db_thread_done();
    return NULL;
}

bool guard_start(struct guard *g, void (*fatal)(void *arg, const struct err *err), void *arg, struct err *err)
{
    g->fatal = fatal;
    g->fatal_arg = arg;
    int rc = pthread_create(&g->thread, NULL, guard_main, g);

    if (rc != 0)
        return err_set(err, ERR_RETRY, rc, "start guard thread: %s", strerror(rc));
    g->started = true;
    return true;
}

void guard_shutdown(struct guard *g)
{
    for (size_t i = 0; i < g->nsessions; i++)
        dbconn_shutdown(g->sessions[i]->conn);
}

void guard_end(struct guard *g)
{
    if (g->started) {
        guard_shutdown(g);
        pthread_join(g->thread, NULL);
    }
    g->started = false;
    for (size_t i = 0; i < g->nsessions; i++)
        close_session(g, g->sessions[i]);
}

void guard_free(struct guard *g)
{
    if (g == NULL)
        return;
    guard_end(g);
    for (size_t i = 0; i < g->nsessions; i++) {
        dbconn_free(g->sessions[i]->conn);
        free(g->sessions[i]);
    }
    free(g->sessions);
    free(g->links);
    free(g);
}
