/*
 * status.c - the state of every thread as one JSON document.
 *
 * The numbers are read one after the other while the threads go on, so they are
 * each true, but not all of the same instant. What is not known is null, never
 * 0: a lag of zero must mean that everything which stands in the source's log
 * has been applied, or an operator sleeps on.
 *
 * So an empty queue is not enough. The stream must have come to where the log ended when it was opened, and the reader
 * must not be in the midst of what has come since: it may have a large backlog in hand of which nothing is in the queue
 * yet. A moment of that is no more than the time that any change takes, and would make an idle direction beside busy
 * tables look late.
 */
#include "cdc/service/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/service/document.h"

/* A stream that rests has a heartbeat each second. */
enum { SILENT_US = 3500000 };

/* For so long a reader may be busy before it counts as a lag. */
enum { PASSING_US = 50000 };

#define TEXT_BYTES sizeof(((struct stat_text *)0)->text)

static bool server_is_used(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->nlinks; i++) {
        for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            if (strcmp(config->links[i].side[side].server, name) == 0)
                return true;
        }
    }
    return false;
}

struct status *status_new(const struct config *config, const char *version)
{
    struct status *s = mem_zalloc(1, sizeof(*s));
    s->version = version;
    s->started = clock_mono();
    stat_text_init(&s->waiting);
    stat_text_set(&s->waiting, "starting");

    s->servers = mem_zalloc(config->nservers + 1, sizeof(*s->servers));
    for (size_t i = 0; i < config->nservers; i++) {
        if (server_is_used(config, config->servers[i].name))
            server_stats_init(&s->servers[s->nservers++], config->servers[i].name);
    }

    s->links = mem_zalloc(config->nlinks + 1, sizeof(*s->links));
    for (size_t i = 0; i < config->nlinks; i++) {
        struct status_link *l = &s->links[s->nlinks++];
        l->name = config->links[i].name;
        for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            l->server[side] = status_server(s, config->links[i].side[side].server);
            direction_stats_init(&l->direction[side], l->name, side);
        }
    }
    return s;
}

void status_free(struct status *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->nlinks; i++) {
        direction_stats_done(&s->links[i].direction[SIDE_LEFT]);
        direction_stats_done(&s->links[i].direction[SIDE_RIGHT]);
    }
    for (size_t i = 0; i < s->nservers; i++)
        server_stats_done(&s->servers[i]);
    stat_text_done(&s->waiting);
    free(s->links);
    free(s->servers);
    free(s);
}

struct server_stats *status_server(struct status *s, const char *name)
{
    for (size_t i = 0; i < s->nservers; i++) {
        if (strcmp(s->servers[i].name, name) == 0)
            return &s->servers[i];
    }
    return NULL;
}

/* How long nothing came from a server that ought to have sent something by now; 0: it does. A reader
 * that waits for room in a queue waits for nothing from its server. */
static int64_t silent_us(const struct server_stats *s)
{
    int64_t since_us = s->awaits_since_mono_us;
    int64_t us = since_us != 0 ? clock_mono().v - since_us : 0;
    return us >= SILENT_US ? us : 0;
}

static enum run_state server_state(const struct server_stats *s)
{
    return s->state == RUN_STREAMING && silent_us(s) > 0 ? RUN_CONNECTING : (enum run_state)s->state;
}

bool status_server_streams(const struct server_stats *s) { return server_state(s) == RUN_STREAMING; }

/* Why it does not stream; "" if it does. */
static void server_reason(struct server_stats *s, char *out, size_t size)
{
    int64_t us = silent_us(s);
    stat_text_get(&s->reason, out, size);
    if (out[0] == '\0' && us > 0)
        snprintf(out, size, "no sign of life for %.1f s", (double)us / 1e6);
}

static bool direction_streams(const struct direction_stats *d)
{
    return d->state == RUN_STREAMING && d->connected;
}

static bool is_waiting(struct status *s)
{
    char text[2];
    stat_text_get(&s->waiting, text, sizeof(text));
    return text[0] != '\0';
}

bool status_ready(struct status *s)
{
    if (is_waiting(s))
        return false;
    for (size_t i = 0; i < s->nservers; i++) {
        if (!status_server_streams(&s->servers[i]))
            return false;
    }
    for (size_t i = 0; i < s->nlinks; i++) {
        if (!direction_streams(&s->links[i].direction[SIDE_LEFT]) ||
            !direction_streams(&s->links[i].direction[SIDE_RIGHT]))
            return false;
    }
    return true;
}

void status_queue(const struct status_link *l, enum side from, size_t *ret_items, size_t *ret_bytes)
{
    struct feed *feed = l->feed[from];
    *ret_items = *ret_bytes = 0;
    if (feed != NULL)
        queue_size(&feed->queue, ret_items, ret_bytes);
}

uint64_t status_echoes(const struct status_link *l, enum side from)
{
    struct feed *feed = l->feed[from];
    return feed != NULL ? feed->echoes : 0;
}

bool status_quarantined(const struct status_link *l, const struct api *api, size_t *ret_count)
{
    enum api_result result = API_NOT_YET;
    *ret_count = api != NULL ? api->quarantine(api->arg, l->name, 0, NULL, NULL, &result) : 0;
    return result == API_OK;
}

/* A change that has come since then may not be in a queue yet; 0: there is none. */
static int64_t unread_us(const struct server_stats *s)
{
    int64_t since_us = s->busy_since_mono_us;
    int64_t us = since_us != 0 ? clock_mono().v - since_us : 0;
    return us > PASSING_US ? us : 0;
}

/* Nothing of what the reader has handed on waits, and whatever the source writes next would be seen. The queue is looked
 * at last: what the other looks count as handed on is in there, or has been applied. */
static bool follows(const struct status_link *l, enum side from, int64_t *ret_unread_us)
{
    struct feed *feed = l->feed[from];
    size_t items, bytes;
    if (feed == NULL || !feed->in_step || !status_server_streams(l->server[from]) ||
        !direction_streams(&l->direction[from]))
        return false;
    *ret_unread_us = unread_us(l->server[from]);
    status_queue(l, from, &items, &bytes);
    return items == 0;
}

static bool caught_up(const struct status_link *l, enum side from)
{
    int64_t us;
    return follows(l, from, &us) && us == 0 && l->direction[from].lag_us == 0;
}

bool status_lag_us(const struct status_link *l, enum side from, int64_t *ret_lag_us)
{
    const struct direction_stats *d = &l->direction[from];
    int64_t lag_us = d->lag_us, told_us = d->lag_at_mono_us;
    /* A change that waits is a lag, whatever else is down. Without one, it is known only while the stream would show
     * the next change. */
    if (lag_us <= 0)
        return follows(l, from, ret_lag_us);
    /* An applier that waits for its server tells nothing new: meanwhile the change grows older. */
    int64_t since_us = told_us != 0 ? clock_mono().v - told_us : 0;
    *ret_lag_us = lag_us + (since_us > 0 ? since_us : 0);
    return true;
}

/* "bin.000042:19733" -> where the name ends, and the offset. */
static bool parse_position(const char *text, size_t *ret_file_len, uint64_t *ret_offset)
{
    const char *colon = strrchr(text, ':');
    if (colon == NULL || colon == text || colon[1] < '0' || colon[1] > '9')
        return false;
    char *end;
    uint64_t offset = strtoull(colon + 1, &end, 10);
    if (*end != '\0')
        return false;
    *ret_file_len = (size_t)(colon - text);
    *ret_offset = offset;
    return true;
}

/* How far the place `to` lies behind the place `from` in the log, if that is more than *bytes. False: nobody can tell. */
static bool reach(const char *from, const char *to, uint64_t *bytes)
{
    size_t from_len, to_len;
    uint64_t from_offset, to_offset;
    if (!parse_position(from, &from_len, &from_offset) || !parse_position(to, &to_len, &to_offset))
        return false;
    if (from_len != to_len || memcmp(from, to, to_len) != 0)
        return false;
    if (to_offset > from_offset && to_offset - from_offset > *bytes)
        *bytes = to_offset - from_offset;
    return true;
}

bool status_lag_bytes(struct status_link *l, enum side from, uint64_t *ret_lag_bytes)
{
    /* An idle direction stores its position now and then only: the distance in
     * the file is then other people's writes. */
    if (caught_up(l, from)) {
        *ret_lag_bytes = 0;
        return true;
    }

    char applied[TEXT_BYTES], text[TEXT_BYTES];
    uint64_t bytes = 0;
    /* The applied position first: the reader cannot fall behind it meanwhile. */
    stat_text_get(&l->direction[from].position, applied, sizeof(applied));
    stat_text_get(&l->server[from]->position, text, sizeof(text));
    if (!reach(applied, text, &bytes))
        return false;
    stat_text_get(&l->server[from]->log_end, text, sizeof(text));
    if (text[0] != '\0' && !reach(applied, text, &bytes))
        return false;
    *ret_lag_bytes = bytes;
    /* A stream that is down hides what was written since, and one that went back is behind what was applied: no 0. */
    return bytes > 0;
}

static json_t *json_stat_text(struct stat_text *t)
{
    char text[TEXT_BYTES];
    stat_text_get(t, text, sizeof(text));
    return document_text_or_null(text);
}

static json_t *json_seconds(int64_t us) { return json_real((double)us / 1e6); }

static json_t *server_json(struct server_stats *s)
{
    int64_t last_us = s->last_event_wall_us;
    int64_t age_us = clock_wall().v - last_us;
    char reason[TEXT_BYTES];
    json_t *o = json_object();

    server_reason(s, reason, sizeof(reason));
    json_object_set_new(o, "kind", json_stat_text(&s->kind));
    json_object_set_new(o, "version", json_stat_text(&s->version));
    json_object_set_new(o, "address", json_stat_text(&s->address));
    json_object_set_new(o, "state", json_string(run_state_name(server_state(s))));
    json_object_set_new(o, "position", json_stat_text(&s->position));
    json_object_set_new(o, "gtid", json_stat_text(&s->gtid));
    json_object_set_new(o, "reason", document_text_or_null(reason));
    json_object_set_new(o, "binlog_bytes_read", document_count(s->binlog_bytes));
    json_object_set_new(o, "binlog_events_read", document_count(s->binlog_events));
    json_object_set_new(o, "reconnects", document_count(s->reconnects));
    json_object_set_new(o, "last_event_age_s",
                        last_us == 0 ? json_null() : json_seconds(age_us > 0 ? age_us : 0));
    return o;
}

static json_t *conflicts_json(struct direction_stats *d)
{
    json_t *o = json_object();
    json_object_set_new(o, "version", document_count(d->conflicts_version));
    json_object_set_new(o, "updated_at", document_count(d->conflicts_updated_at));
    json_object_set_new(o, "authority", document_count(d->conflicts_authority));
    json_object_set_new(o, "delete_vs_update", document_count(d->conflicts_delete));
    json_object_set_new(o, "force", document_count(d->conflicts_force));
    json_object_set_new(o, "equal", document_count(d->conflicts_equal));
    return o;
}

static json_t *counters_json(struct status_link *l, enum side from)
{
    struct direction_stats *d = &l->direction[from];
    json_t *o = json_object();
    json_object_set_new(o, "inserts", document_count(d->inserts));
    json_object_set_new(o, "updates", document_count(d->updates));
    json_object_set_new(o, "deletes", document_count(d->deletes));
    json_object_set_new(o, "transactions", document_count(d->transactions));
    json_object_set_new(o, "batches", document_count(d->batches));
    json_object_set_new(o, "superseded", document_count(d->superseded));
    json_object_set_new(o, "echoes", document_count(status_echoes(l, from)));
    json_object_set_new(o, "conflicts", conflicts_json(d));
    json_object_set_new(o, "retries", document_count(d->retries));
    json_object_set_new(o, "reconnects", document_count(d->reconnects));
    return o;
}

static json_t *direction_json(struct status_link *l, enum side from)
{
    struct direction_stats *d = &l->direction[from];
    int64_t lag_us;
    uint64_t lag_bytes;
    bool has_lag = status_lag_us(l, from, &lag_us);
    bool has_lag_bytes = status_lag_bytes(l, from, &lag_bytes);
    size_t items, bytes;
    status_queue(l, from, &items, &bytes);
    json_t *o = json_object();

    json_object_set_new(o, "from", document_text(l->server[from]->name));
    json_object_set_new(o, "to", document_text(l->server[side_peer(from)]->name));
    json_object_set_new(o, "state", json_string(run_state_name((enum run_state)d->state)));
    json_object_set_new(o, "connected", json_boolean(d->connected));
    json_object_set_new(o, "reason", json_stat_text(&d->reason));
    json_object_set_new(o, "lag_seconds", has_lag ? json_seconds(lag_us) : json_null());
    json_object_set_new(o, "lag_bytes", has_lag_bytes ? document_count(lag_bytes) : json_null());
    json_object_set_new(o, "position", json_stat_text(&d->position));
    json_object_set_new(o, "gtid", json_stat_text(&d->gtid));
    json_object_set_new(
        o, "queue", json_pack("{s:I, s:I}", "transactions", (json_int_t)items, "bytes", (json_int_t)bytes));
    json_object_set_new(o, "last_applied_at", document_wall_or_null((wall_us){d->last_applied_wall_us}));
    json_object_set_new(o, "counters", counters_json(l, from));
    return o;
}

/* Of the job that runs, or the last one. */
static json_t *job_json(const struct status_link *l, const struct api *api, json_t **ret_needs)
{
    struct job job;
    *ret_needs = json_null();
    if (api == NULL || api->last_job(api->arg, l->name, &job) != API_OK)
        return json_null();
    const char *needs = job_needs_resync(&job);
    if (needs != NULL)
        *ret_needs = document_text(needs);
    return document_job(&job);
}

static json_t *link_json(struct status_link *l, const struct api *api)
{
    json_t *directions = json_object(), *needs;
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++)
        json_object_set_new(directions, direction_name(from), direction_json(l, from));
    json_t *job = job_json(l, api, &needs);
    size_t quarantined;
    bool known = status_quarantined(l, api, &quarantined);
    return json_pack("{s:o, s:o, s:o, s:o}", "directions", directions, "quarantined",
                     known ? document_count(quarantined) : json_null(), "needs_resync", needs, "job", job);
}

void status_json(struct status *s, const struct api *api, struct buf *out)
{
    json_t *servers = json_object(), *links = json_object(), *o = json_object();
    for (size_t i = 0; i < s->nservers; i++)
        json_object_set_new(servers, s->servers[i].name, server_json(&s->servers[i]));
    for (size_t i = 0; i < s->nlinks; i++)
        json_object_set_new(links, s->links[i].name, link_json(&s->links[i], api));

    json_object_set_new(o, "version", json_string(s->version));
    json_object_set_new(o, "uptime_s",
                        json_integer((json_int_t)(mono_diff_us(clock_mono(), s->started) / 1000000)));
    json_object_set_new(o, "state", json_string(status_ready(s) ? "ready" : "not_ready"));
    json_object_set_new(o, "reason", json_stat_text(&s->waiting));
    json_object_set_new(o, "servers", servers);
    json_object_set_new(o, "links", links);
    document_add(o, out);
}

/* "server auth: connecting: lost connection" */
static void add_reason(json_t *reasons, const char *what, const char *name, enum run_state state,
                       const char *why)
{
    struct buf line = BUF_INIT;
    buf_addf(&line, "%s %s: %s%s%s", what, name, run_state_name(state), why[0] != '\0' ? ": " : "", why);
    json_array_append_new(reasons, document_text(line.data));
    buf_done(&line);
}

static void add_direction_reason(json_t *reasons, struct status_link *l, enum side from)
{
    struct direction_stats *d = &l->direction[from];
    char name[128];
    if (direction_streams(d))
        return;
    snprintf(name, sizeof(name), "%s %s", l->name, direction_arrow(from));
    /* Streaming without a connection is a moment between two tries. */
    enum run_state state = (enum run_state)d->state;
    char why[TEXT_BYTES];
    stat_text_get(&d->reason, why, sizeof(why));
    add_reason(reasons, "link", name, state == RUN_STREAMING ? RUN_CONNECTING : state, why);
}

bool status_readyz(struct status *s, struct buf *out)
{
    json_t *reasons = json_array();
    char waiting[TEXT_BYTES];

    stat_text_get(&s->waiting, waiting, sizeof(waiting));
    if (waiting[0] != '\0')
        json_array_append_new(reasons, document_text(waiting));
    for (size_t i = 0; i < s->nservers; i++) {
        struct server_stats *server = &s->servers[i];
        char why[TEXT_BYTES];
        server_reason(server, why, sizeof(why));
        if (!status_server_streams(server))
            add_reason(reasons, "server", server->name, server_state(server), why);
    }
    for (size_t i = 0; i < s->nlinks; i++) {
        add_direction_reason(reasons, &s->links[i], SIDE_LEFT);
        add_direction_reason(reasons, &s->links[i], SIDE_RIGHT);
    }

    /* One look decides both the word and the list. */
    bool ready = json_array_size(reasons) == 0;
    document_add(json_pack("{s:s, s:o}", "state", ready ? "ready" : "not_ready", "reasons", reasons), out);
    return ready;
}

void status_error_json(const char *text, struct buf *out)
{
    document_add(json_pack("{s:o}", "error", document_text(text)), out);
}
