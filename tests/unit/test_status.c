/* What the service says about the stats: the JSON documents and the metrics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cdc/service/metrics.h"
#include "cdc/service/status.h"

static char auth_name[] = "auth", customer_name[] = "customer", spare_name[] = "spare";
static char users_name[] = "users", loop_name[] = "lo\"op\\\n";

static struct config_server config_servers[] = {
    {.name = auth_name}, {.name = spare_name}, {.name = customer_name}};
static struct config_link config_links[] = {
    {.name = users_name, .side = {{.server = auth_name}, {.server = customer_name}}},
    {.name = loop_name, .side = {{.server = customer_name}, {.server = customer_name}}},
};
static const struct config config = {
    .servers = config_servers, .nservers = 3, .links = config_links, .nlinks = 2};

static struct queue_pool pool = {.max_bytes = 1 << 30};
static struct feed_source source;
static struct feed feeds[2][2]; /* of the links, by side; in step */

static void free_nothing(void *item) { (void)item; }

static void init_feed(struct feed *f, enum side side)
{
    feed_init(f, NULL, side, &source, &pool);
    f->queue.free_item = free_nothing;
    f->in_step = true;
}

static void put(struct feed *f, size_t items, size_t bytes)
{
    static int item;
    for (size_t i = 0; i < items; i++)
        assert_int_equal(queue_put(&f->queue, queue_generation(&f->queue), &item, bytes, 0), QUEUE_OK);
}

static void end(struct status *s)
{
    for (size_t i = 0; i < 4; i++)
        feed_done(&feeds[i / 2][i % 2]);
    feed_source_done(&source);
    status_free(s);
}

static struct status *started(void)
{
    feed_source_init(&source);
    struct status *s = status_new(&config, "1.2.3");
    stat_text_set(&s->waiting, "");
    for (size_t i = 0; i < s->nservers; i++)
        s->servers[i].state = RUN_STREAMING;
    for (size_t i = 0; i < s->nlinks; i++) {
        for (int side = 0; side < 2; side++) {
            s->links[i].direction[side].state = RUN_STREAMING;
            s->links[i].direction[side].connected = true;
            init_feed(&feeds[i][side], (enum side)side);
            s->links[i].feed[side] = &feeds[i][side];
        }
    }
    return s;
}

static json_t *parse(struct buf *text)
{
    json_error_t error;
    assert_false(text->overrun);
    json_t *o = json_loadb(text->data, text->len, 0, &error);
    if (o == NULL)
        fail_msg("%s in: %s", error.text, text->data);
    buf_done(text);
    return o;
}

static json_t *document_of(struct status *s, const struct api *api)
{
    struct buf text = BUF_INIT;
    status_json(s, api, &text);
    return parse(&text);
}

/* "links.users.directions": a dot goes one level down. */
static json_t *at(json_t *o, const char *path)
{
    char copy[128], *save;
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strtok_r(copy, ".", &save); name != NULL; name = strtok_r(NULL, ".", &save)) {
        o = json_object_get(o, name);
        if (o == NULL)
            fail_msg("no %s in %s", name, path);
    }
    return o;
}

/* Link users has a job, the other one had none. */
static struct job last_job;
static bool is_known = true; /* what the tables have */
static enum api_result get_last_job(void *arg, const char *link, struct job *ret_job)
{
    assert_ptr_equal(arg, &last_job);
    if (!is_known || strcmp(link, users_name) != 0)
        return is_known ? API_NOT_FOUND : API_NOT_YET;
    *ret_job = last_job;
    return API_OK;
}
static size_t count_quarantined(void *arg, const char *link, size_t max,
                                void (*each)(void *each_arg, const struct waiting_key *k), void *each_arg,
                                enum api_result *ret_result)
{
    (void)each;
    (void)each_arg;
    assert_ptr_equal(arg, &last_job);
    assert_int_equal(max, 0);
    *ret_result = is_known ? API_OK : API_NOT_YET;
    return is_known && strcmp(link, users_name) == 0 ? 12 : 0;
}
static const struct api api = {.arg = &last_job, .last_job = get_last_job, .quarantine = count_quarantined};

static void test_only_used_servers(void **state)
{
    (void)state;
    struct status *s = started();
    assert_int_equal(s->nservers, 2);
    assert_null(status_server(s, "spare"));
    assert_ptr_equal(s->links[0].server[SIDE_RIGHT], status_server(s, "customer"));
    assert_ptr_equal(s->links[1].server[SIDE_LEFT], s->links[1].server[SIDE_RIGHT]);
    end(s);
}

/* A reader waits for the next packet, for so long. */
static void test_a_silent_server_does_not_stream(void **state)
{
    static const struct {
        int64_t waits_us;
        bool streams;
    } cases[] = {{0, true}, {1, true}, {2000000, true}, {4000000, false}, {60000000, false}};
    (void)state;
    struct status *s = started();
    struct server_stats *auth = status_server(s, "auth");

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        auth->awaits_since_mono_us = cases[i].waits_us > 0 ? clock_mono().v - cases[i].waits_us : 0;
        json_t *o = document_of(s, NULL);
        assert_int_equal(status_server_streams(auth), cases[i].streams);
        assert_int_equal(status_ready(s), cases[i].streams);
        assert_string_equal(json_string_value(at(o, "servers.auth.state")),
                            cases[i].streams ? "streaming" : "connecting");
        assert_int_equal(json_is_null(at(o, "servers.auth.reason")), cases[i].streams);
        assert_int_equal(json_is_null(at(o, "links.users.directions.left_to_right.lag_seconds")),
                         !cases[i].streams);
        json_decref(o);
    }
    end(s);
}

static void test_document(void **state)
{
    (void)state;
    struct status *s = started();
    struct server_stats *auth = status_server(s, "auth");
    struct direction_stats *d = &s->links[0].direction[SIDE_LEFT];

    stat_text_set(&auth->kind, "MariaDB");
    stat_text_set(&auth->version, "10.11.19-MariaDB-log");
    stat_text_set(&auth->position, "bin.000042:19733");
    stat_text_set(&auth->gtid, "0-1-155");
    auth->binlog_bytes = 19733;
    auth->last_event_wall_us = clock_wall().v - 5000000;
    stat_text_set(&d->position, "bin.000042:19000");
    d->inserts = 3;
    d->updates = 2;
    d->conflicts_delete = 7;
    d->lag_us = 1500000;
    put(&feeds[0][SIDE_LEFT], 4, 1 << 18);
    d->last_applied_wall_us = 1767607872345000;
    last_job = (struct job){.id = 1, .link = users_name};

    json_t *o = document_of(s, &api);
    assert_string_equal(json_string_value(at(o, "version")), "1.2.3");
    assert_string_equal(json_string_value(at(o, "state")), "ready");
    assert_true(json_is_integer(at(o, "uptime_s")));
    assert_string_equal(json_string_value(at(o, "servers.auth.kind")), "MariaDB");
    assert_string_equal(json_string_value(at(o, "servers.auth.state")), "streaming");
    assert_string_equal(json_string_value(at(o, "servers.auth.gtid")), "0-1-155");
    assert_true(json_is_null(at(o, "servers.auth.reason")));
    assert_int_equal(json_integer_value(at(o, "servers.auth.binlog_bytes_read")), 19733);
    double age = json_real_value(at(o, "servers.auth.last_event_age_s"));
    assert_true(age >= 5 && age < 60);
    assert_true(json_is_null(at(o, "servers.customer.last_event_age_s")));

    assert_int_equal(json_integer_value(at(o, "links.users.quarantined")), 12);
    json_t *left = at(o, "links.users.directions.left_to_right");
    assert_string_equal(json_string_value(at(left, "from")), "auth");
    assert_string_equal(json_string_value(at(left, "to")), "customer");
    assert_true(json_is_true(at(left, "connected")));
    assert_true(json_real_value(at(left, "lag_seconds")) == 1.5);
    assert_int_equal(json_integer_value(at(left, "lag_bytes")), 733);
    assert_int_equal(json_integer_value(at(left, "queue.transactions")), 4);
    assert_int_equal(json_integer_value(at(left, "queue.bytes")), 1 << 20);
    assert_string_equal(json_string_value(at(left, "last_applied_at")), "2026-01-05T10:11:12.345Z");
    assert_int_equal(json_integer_value(at(left, "counters.inserts")), 3);
    assert_int_equal(json_integer_value(at(left, "counters.conflicts.delete_vs_update")), 7);

    json_t *right = at(o, "links.users.directions.right_to_left");
    assert_string_equal(json_string_value(at(right, "from")), "customer");
    assert_true(json_is_null(at(right, "last_applied_at")));
    assert_int_equal(json_integer_value(at(right, "lag_bytes")), 0);
    json_decref(o);
    end(s);
}

static void test_job(void **state)
{
    (void)state;
    struct status *s = started();
    last_job = (struct job){.id = 7,
                            .link = users_name,
                            .state = JOB_RUNNING,
                            .cause = JOB_LOST_POSITION,
                            .order = {.has_from = true, .from = SIDE_RIGHT, .force = true},
                            .rows_scanned = 30,
                            .rows_written = 4,
                            .conflicts = 3,
                            .quarantined = 2,
                            .rows_expected = 120,
                            .started_at = {1767607872345000},
                            .reason = "the position is purged"};
    json_t *o = document_of(s, &api);
    json_t *j = at(o, "links.users.job");
    assert_int_equal(json_integer_value(at(j, "job")), 7);
    assert_string_equal(json_string_value(at(j, "link")), "users");
    assert_string_equal(json_string_value(at(j, "state")), "running");
    assert_string_equal(json_string_value(at(j, "cause")), "lost_position");
    assert_string_equal(json_string_value(at(j, "from")), "right");
    assert_string_equal(json_string_value(at(j, "mode")), "force");
    assert_string_equal(json_string_value(at(j, "missing")), "copy");
    assert_int_equal(json_integer_value(at(j, "rows_scanned")), 30);
    assert_int_equal(json_integer_value(at(j, "rows_written")), 4);
    assert_int_equal(json_integer_value(at(j, "conflicts")), 3);
    assert_int_equal(json_integer_value(at(j, "quarantined")), 2);
    assert_int_equal(json_integer_value(at(j, "rows_expected")), 120);
    assert_int_equal(json_integer_value(at(j, "percent")), 25);
    assert_string_equal(json_string_value(at(j, "started_at")), "2026-01-05T10:11:12.345Z");
    assert_true(json_is_null(at(j, "ended_at")));
    assert_string_equal(json_string_value(at(j, "reason")), "the position is purged");
    assert_true(json_is_null(at(j, "again")));
    assert_string_equal(json_string_value(at(o, "links.users.needs_resync")), "the position is purged");
    assert_true(json_is_null(at(json_object_get(at(o, "links"), loop_name), "needs_resync")));
    assert_true(json_is_null(at(j, "error")));
    assert_true(json_is_null(at(json_object_get(at(o, "links"), loop_name), "job")));
    json_decref(o);

    last_job = (struct job){.id = 8, .link = users_name, .state = JOB_FAILED, .error = "gone"};
    o = document_of(s, &api);
    j = at(o, "links.users.job");
    assert_true(json_is_null(at(j, "from")));
    assert_string_equal(json_string_value(at(j, "mode")), "merge");
    assert_true(json_is_null(at(j, "reason")));
    assert_string_equal(json_string_value(at(j, "error")), "gone");
    json_decref(o);
    o = document_of(s, NULL);
    assert_true(json_is_null(at(o, "links.users.job")));
    json_decref(o);
    end(s);
}

/* A zero must mean that all is applied; what nobody can know is unknown. */
static void test_lag(void **state)
{
    (void)state;
    static const struct {
        const char *read, *applied;
        int server_state, state;
        bool connected;
        int64_t lag_us;
        uint64_t queued;
        int64_t want_us, want_bytes; /* -1: unknown */
    } cases[] = {
        {"b.2:900", "b.2:900", RUN_STREAMING, RUN_STREAMING, true, 0, 0, 0, 0},
        /* idle: the rest of the file was not for this link */
        {"b.2:900", "b.1:100", RUN_STREAMING, RUN_STREAMING, true, 0, 0, 0, 0},
        {"b.2:900", "b.2:100", RUN_STREAMING, RUN_STREAMING, true, 5, 1, 5, 800},
        {"b.2:900", "b.1:100", RUN_STREAMING, RUN_STREAMING, true, 5, 1, 5, -1},
        {"b.20:900", "b.2:100", RUN_STREAMING, RUN_STREAMING, true, 5, 1, 5, -1},
        {"", "", RUN_CONNECTING, RUN_STREAMING, true, 0, 0, -1, -1},
        /* a dead stream: what was written since is unknown, what was read before is not */
        {"b.2:900", "b.2:900", RUN_CONNECTING, RUN_STREAMING, true, 0, 0, -1, -1},
        {"b.2:900", "b.2:100", RUN_CONNECTING, RUN_STREAMING, true, 9, 1, 9, 800},
        {"b.2:900", "b.2:100", RUN_STREAMING, RUN_CONNECTING, false, 0, 0, -1, 800},
        {"b.2:900", "b.2:100", RUN_STREAMING, RUN_HALTED, true, 7000000, 3, 7000000, 800},
        {"b.2:100", "b.2:900", RUN_STREAMING, RUN_CONNECTING, false, 0, 0, -1, -1}, /* the reader went back */
        {"b.2", ":5", RUN_STREAMING, RUN_STREAMING, false, 1, 0, 1, -1},
        {"b.2:9x", "b.2:-1", RUN_STREAMING, RUN_STREAMING, false, 1, 0, 1, -1},
    };
    struct status *s = started();
    struct status_link *l = &s->links[0];
    struct direction_stats *d = &l->direction[SIDE_RIGHT];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = -1;
        uint64_t bytes = 0;
        l->server[SIDE_RIGHT]->state = cases[i].server_state;
        stat_text_set(&l->server[SIDE_RIGHT]->position, cases[i].read);
        stat_text_set(&d->position, cases[i].applied);
        d->state = cases[i].state;
        d->connected = cases[i].connected;
        d->lag_us = cases[i].lag_us;
        queue_restart(&feeds[0][SIDE_RIGHT].queue);
        put(&feeds[0][SIDE_RIGHT], cases[i].queued, 1);
        bool has_us = status_lag_us(l, SIDE_RIGHT, &us);
        bool has_bytes = status_lag_bytes(l, SIDE_RIGHT, &bytes);
        if (has_us != (cases[i].want_us >= 0) || (has_us && us != cases[i].want_us) ||
            has_bytes != (cases[i].want_bytes >= 0) || (has_bytes && (int64_t)bytes != cases[i].want_bytes))
            fail_msg("case %zu: %d %ld, %d %lu", i, has_us, (long)us, has_bytes, (unsigned long)bytes);
    }
    end(s);
}

/* The applier has nothing to do; is that all there is? The reader may be on its way to changes that the log holds. */
static void test_lag_of_an_empty_queue(void **state)
{
    (void)state;
    static const struct {
        const char *read, *applied, *log_end;
        bool built, in_step;
        int64_t busy_us;
        int64_t least_us, most_us, want_bytes; /* -1: unknown */
    } cases[] = {
        {"b.2:900", "b.2:900", "", true, true, 0, 0, 0, 0},
        {"b.2:900", "b.2:900", "", false, false, 0, -1, -1, -1},
        /* at a start, with and without a backlog before where the log ended */
        {"b.2:100", "b.2:100", "b.2:900", true, false, 0, -1, -1, 800},
        {"b.2:700", "b.2:100", "b.2:900", true, false, 0, -1, -1, 800},
        {"b.2:990", "b.2:100", "b.2:900", true, false, 0, -1, -1, 890},
        {"", "b.2:100", "b.2:900", true, false, 0, -1, -1, -1},
        {"b.2:100", "b.2:100", "b.3:900", true, false, 0, -1, -1, -1},
        {"b.2:100", "b.2:100", "b.2:100", true, false, 0, -1, -1, -1},
        {"b.2:100", "b.2:100", "", true, false, 0, -1, -1, -1},
        /* it looks ahead */
        {"b.2:900", "b.2:100", "", true, false, 0, -1, -1, 800},
        /* it has something at hand: for a moment, as busy tables of others make it, and for longer */
        {"b.2:900", "b.1:900", "", true, true, 5000, 0, 0, 0},
        {"b.2:900", "b.2:100", "", true, true, 5000, 0, 0, 0},
        {"b.2:900", "b.2:100", "", true, true, 2000000, 2000000, 60000000, 800},
        {"b.2:900", "b.2:900", "", true, true, 2000000, 2000000, 60000000, -1},
        {"b.2:900", "b.2:100", "", true, false, 2000000, -1, -1, 800},
    };
    struct status *s = started();
    struct status_link *l = &s->links[0];
    struct server_stats *auth = l->server[SIDE_LEFT];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t us = 0;
        uint64_t bytes = 0;
        stat_text_set(&auth->position, cases[i].read);
        stat_text_set(&auth->log_end, cases[i].log_end);
        stat_text_set(&l->direction[SIDE_LEFT].position, cases[i].applied);
        l->feed[SIDE_LEFT] = cases[i].built ? &feeds[0][SIDE_LEFT] : NULL;
        feeds[0][SIDE_LEFT].in_step = cases[i].in_step;
        auth->busy_since_mono_us = cases[i].busy_us > 0 ? clock_mono().v - cases[i].busy_us : 0;
        bool has_us = status_lag_us(l, SIDE_LEFT, &us);
        bool has_bytes = status_lag_bytes(l, SIDE_LEFT, &bytes);
        if (has_us != (cases[i].least_us >= 0) ||
            (has_us && (us < cases[i].least_us || us > cases[i].most_us)) ||
            has_bytes != (cases[i].want_bytes >= 0) || (has_bytes && (int64_t)bytes != cases[i].want_bytes))
            fail_msg("case %zu: %d %ld, %d %lu", i, has_us, (long)us, has_bytes, (unsigned long)bytes);
        assert_true(status_ready(s)); /* behind, but at work */
    }
    end(s);
}

/* A batch that hangs in its server tells nothing: the lag grows all the same. */
static void test_lag_grows(void **state)
{
    (void)state;
    struct status *s = started();
    struct direction_stats *d = &s->links[0].direction[SIDE_LEFT];
    int64_t us;
    d->lag_at_mono_us = clock_mono().v - 3000000;
    assert_true(status_lag_us(&s->links[0], SIDE_LEFT, &us));
    assert_int_equal(us, 0);
    d->lag_us = 500;
    assert_true(status_lag_us(&s->links[0], SIDE_LEFT, &us));
    assert_in_range(us, 3000500, 60000000);
    d->lag_at_mono_us = clock_mono().v + 3000000;
    assert_true(status_lag_us(&s->links[0], SIDE_LEFT, &us));
    assert_int_equal(us, 500);
    end(s);
}

static size_t count_reasons(struct status *s, bool want_ready, const char *first)
{
    struct buf text = BUF_INIT;
    assert_int_equal(status_readyz(s, &text), want_ready);
    assert_int_equal(status_ready(s), want_ready);
    json_t *o = parse(&text);
    json_t *reasons = at(o, "reasons");
    size_t n = json_array_size(reasons);
    assert_string_equal(json_string_value(at(o, "state")), want_ready ? "ready" : "not_ready");
    if (first != NULL)
        assert_string_equal(json_string_value(json_array_get(reasons, 0)), first);
    json_decref(o);
    return n;
}

static void test_readyz(void **state)
{
    (void)state;
    struct status *s = status_new(&config, "1");
    assert_int_equal(count_reasons(s, false, "starting"), 1 + 2 + 4);
    status_free(s);

    s = started();
    assert_int_equal(count_reasons(s, true, NULL), 0);
    s->links[0].direction[SIDE_LEFT].connected = false;
    assert_int_equal(count_reasons(s, false, "link users left>right: connecting"), 1);
    s->links[0].direction[SIDE_LEFT].connected = true;
    s->links[0].direction[SIDE_RIGHT].state = RUN_HALTED;
    stat_text_set(&s->links[0].direction[SIDE_RIGHT].reason, "TRUNCATE of customer_db.customers");
    assert_int_equal(
        count_reasons(s, false, "link users right>left: halted: TRUNCATE of customer_db.customers"), 1);
    status_server(s, "auth")->state = RUN_CONNECTING;
    stat_text_set(&status_server(s, "auth")->reason, "lost connection (2013)");
    assert_int_equal(count_reasons(s, false, "server auth: connecting: lost connection (2013)"), 2);
    end(s);
}

/* Property: whatever a reason holds, the documents stay JSON and the text is there. */
static void test_hostile_texts(void **state)
{
    (void)state;
    struct status *s = started();
    unsigned seed = 7;
    for (int i = 0; i < 2000; i++) {
        char text[600];
        size_t len = (size_t)rand_r(&seed) % sizeof(text);
        for (size_t j = 0; j < len; j++)
            text[j] = (char)(1 + rand_r(&seed) % 255);
        text[len == sizeof(text) ? len - 1 : len] = '\0';
        status_server(s, "auth")->state = RUN_CONNECTING;
        stat_text_set(&status_server(s, "auth")->reason, text);
        json_t *o = document_of(s, NULL);
        json_t *reason = at(o, "servers.auth.reason");
        assert_true(text[0] == '\0' ? json_is_null(reason) : json_string_length(reason) > 0);
        json_decref(o);
        count_reasons(s, false, NULL);
        struct buf error = BUF_INIT;
        status_error_json(text, &error);
        json_decref(parse(&error));
    }
    end(s);
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what))
        n++;
    return n;
}

static void has_line(const char *text, const char *line)
{
    char framed[256];
    snprintf(framed, sizeof(framed), "\n%s\n", line);
    if (count_of(text, framed) != 1)
        fail_msg("not once: %s\nin:\n%s", line, text);
}

static void test_metrics(void **state)
{
    (void)state;
    struct status *s = started();
    struct direction_stats *left = &s->links[0].direction[SIDE_LEFT];
    struct buf out = BUF_INIT;

    status_server(s, "customer")->reconnects = 2;
    left->reconnects = 3;
    left->updates = 41;
    left->conflicts_updated_at = 5;
    left->lag_us = 1250000;
    feeds[0][SIDE_LEFT].echoes = 9;
    left->last_applied_wall_us = 1767607872345678;
    feeds[1][SIDE_LEFT].echoes = 4;
    feeds[1][SIDE_RIGHT].echoes = 6;
    s->links[1].direction[SIDE_RIGHT].connected = false;
    stat_histogram_add(&left->apply, 400);
    stat_histogram_add(&left->apply, 2500); /* a bound belongs to its bucket */
    stat_histogram_add(&left->apply, 2501);
    stat_histogram_add(&left->apply, 11000000);
    stat_histogram_add(&s->links[0].stats.resync_lock, 20000);
    s->links[0].stats.resync_scanned = 1000;
    s->links[0].stats.resync_written = 21;
    s->links[0].stats.resync_chunk_rows = 64;
    last_job = (struct job){.id = 1, .link = users_name, .state = JOB_RUNNING};
    metrics_text(s, &api, &out);

    has_line(out.data, "twinlog_build_info{version=\"1.2.3\"} 1");
    has_line(out.data, "twinlog_reader_up{server=\"auth\"} 1");
    has_line(out.data, "twinlog_reconnects_total{server=\"auth\"} 0");
    has_line(out.data, "twinlog_reconnects_total{server=\"customer\"} 5");
    has_line(out.data,
             "twinlog_changes_applied_total{link=\"users\",direction=\"left_to_right\",op=\"update\"} 41");
    has_line(out.data,
             "twinlog_conflicts_total{link=\"users\",direction=\"left_to_right\",reason=\"updated_at\"} 5");
    has_line(out.data, "twinlog_lag_seconds{link=\"users\",direction=\"left_to_right\"} 1.250000");
    has_line(out.data, "twinlog_lag_seconds{link=\"users\",direction=\"right_to_left\"} 0.000000");
    has_line(out.data, "twinlog_quarantined_rows{link=\"users\"} 12");
    has_line(out.data, "twinlog_echoes_skipped_total{link=\"users\",server=\"auth\"} 9");
    has_line(out.data, "twinlog_echoes_skipped_total{link=\"lo\\\"op\\\\\\n\",server=\"customer\"} 10");
    has_line(out.data, "twinlog_applier_up{link=\"lo\\\"op\\\\\\n\",direction=\"right_to_left\"} 0");
    has_line(out.data, "twinlog_last_applied_timestamp_seconds{link=\"users\",direction=\"left_to_right\"} "
                       "1767607872.345678");
#define APPLY(end) "twinlog_apply_seconds" end
#define USERS "link=\"users\",direction=\"left_to_right\""
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"0.0005\"} 1"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"0.001\"} 1"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"0.0025\"} 2"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"0.005\"} 3"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"1\"} 3"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"10\"} 3"));
    has_line(out.data, APPLY("_bucket{" USERS ",le=\"+Inf\"} 4"));
    has_line(out.data, APPLY("_sum{" USERS "} 11.005401"));
    has_line(out.data, APPLY("_count{" USERS "} 4"));
    has_line(out.data, "twinlog_resync_lock_seconds_bucket{link=\"users\",le=\"0.01\"} 0");
    has_line(out.data, "twinlog_resync_lock_seconds_bucket{link=\"users\",le=\"0.025\"} 1");
    has_line(out.data, "twinlog_resync_lock_seconds_sum{link=\"users\"} 0.020000");
    has_line(out.data, "twinlog_resync_rows_scanned_total{link=\"users\"} 1000");
    has_line(out.data, "twinlog_resync_rows_written_total{link=\"users\"} 21");
    has_line(out.data, "twinlog_resync_chunk_rows{link=\"users\"} 64");
    has_line(out.data, "twinlog_resync_running{link=\"users\"} 1");
    has_line(out.data, "twinlog_resync_running{link=\"lo\\\"op\\\\\\n\"} 0");
    has_line(out.data, "twinlog_resync_needed{link=\"lo\\\"op\\\\\\n\"} 0");
    /* unknown, so absent */
    assert_null(strstr(out.data, "lag_seconds{link=\"lo\\\"op\\\\\\n\",direction=\"right_to_left\"}"));
    assert_int_equal(count_of(out.data, "\ntwinlog_last_applied_timestamp_seconds{"), 1);

    /* Property: no series twice, each metric has its head once, before its samples. */
    char *copy = strdup(out.data), *save, *lines[512];
    char metric[128] = "", help[128] = "", type[32] = "";
    size_t n = 0;
    for (char *line = strtok_r(copy, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        if (sscanf(line, "# HELP %127s %*s", help) == 1)
            continue;
        if (sscanf(line, "# TYPE %127s %31s", metric, type) == 2) {
            assert_string_equal(metric, help);
            size_t len = strlen(metric);
            bool total = len > 6 && strcmp(metric + len - 6, "_total") == 0;
            assert_int_equal(total, strcmp(type, "counter") == 0);
            continue;
        }
        assert_int_equal(strncmp(line, metric, strlen(metric)), 0);
        const char *rest = line + strlen(metric);
        if (strcmp(type, "histogram") == 0)
            rest += strcspn(rest, "{");
        assert_int_equal(rest[0], '{');
        *strrchr(line, ' ') = '\0';
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(lines[i], line);
        lines[n++] = line;
    }
    assert_true(n > 40);
    free(copy);
    buf_clear(&out);
    metrics_text(s, NULL, &out);
    assert_null(strstr(out.data, "twinlog_resync_running"));
    buf_done(&out);
    end(s);
}

static void test_not_known_yet(void **state)
{
    (void)state;
    struct status *s = started();
    struct buf out = BUF_INIT;

    is_known = false;
    json_t *o = document_of(s, &api);
    assert_true(json_is_null(at(o, "links.users.quarantined")));
    assert_true(json_is_null(at(o, "links.users.job")));
    json_decref(o);
    metrics_text(s, &api, &out);
    assert_null(strstr(out.data, "\ntwinlog_quarantined_rows{"));
    assert_null(strstr(out.data, "\ntwinlog_resync_running{"));
    assert_null(strstr(out.data, "\ntwinlog_resync_needed{"));
    is_known = true;
    buf_done(&out);
    end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_used_servers),
        cmocka_unit_test(test_a_silent_server_does_not_stream),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_job),
        cmocka_unit_test(test_lag),
        cmocka_unit_test(test_lag_of_an_empty_queue),
        cmocka_unit_test(test_lag_grows),
        cmocka_unit_test(test_readyz),
        cmocka_unit_test(test_hostile_texts),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_not_known_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
