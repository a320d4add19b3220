/*
 * metrics.c - one function a label set, one table row a metric.
 *
 * A sample that nobody can know (the lag of a direction whose stream is down) is
 * left out: a 0 would end the very alert that ought to ring.
 */
#include "cdc/service/metrics.h"

#include <inttypes.h>
#include <stdio.h>

static void add_head(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Backslash, quote and line end are all that the format asks to be escaped. */
static void add_label(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "%s%s=\"", out->data[out->len - 1] == '{' ? "" : ",", name);
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\n') {
            buf_adds(out, "\\n");
            continue;
        }
        if (*p == '\\' || *p == '"')
            buf_addc(out, '\\');
        buf_addc(out, *p);
    }
    buf_addc(out, '"');
}

static void add_count(struct buf *out, uint64_t n) { buf_addf(out, "} %" PRIu64 "\n", n); }

static void add_seconds(struct buf *out, int64_t us)
{
    buf_addf(out, "} %" PRId64 ".%06" PRId64 "\n", us / 1000000, us % 1000000);
}

/* An upper bound as a label: 2500 us is "0.0025", by integers, whatever the locale. */
static void add_bound(struct buf *out, int64_t us)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%" PRId64 ".%06" PRId64, us / 1000000, us % 1000000);
    while (n > 0 && text[n - 1] == '0')
        text[--n] = '\0';
    if (n > 0 && text[n - 1] == '.')
        text[n - 1] = '\0';
    add_label(out, "le", text);
}

/* One series of a histogram: link and, unless NULL, direction. The count is the sum
 * of the buckets as they were read here, so that it is never another than +Inf. */
static void add_histogram(struct buf *out, const char *metric, const char *link, const char *direction,
                          struct stat_histogram *h)
{
    struct buf labels = BUF_INIT;
    uint64_t below = 0;
    buf_addc(&labels, '{');
    add_label(&labels, "link", link);
    if (direction != NULL)
        add_label(&labels, "direction", direction);
    for (size_t i = 0; i <= STAT_BUCKETS; i++) {
        below += h->bucket[i];
        buf_addf(out, "%s_bucket%s", metric, labels.data);
        if (i < STAT_BUCKETS)
            add_bound(out, stat_bucket_us[i]);
        else
            add_label(out, "le", "+Inf");
        add_count(out, below);
    }
    buf_addf(out, "%s_sum%s", metric, labels.data);
    add_seconds(out, (int64_t)h->sum_us);
    buf_addf(out, "%s_count%s", metric, labels.data);
    add_count(out, below);
    buf_done(&labels);
}

static void begin_server(struct buf *out, const char *metric, const struct server_stats *s)
{
    buf_addf(out, "%s{", metric);
    add_label(out, "server", s->name);
}

static void begin_direction(struct buf *out, const char *metric, const struct direction_stats *d)
{
    buf_addf(out, "%s{", metric);
    add_label(out, "link", d->link);
    add_label(out, "direction", direction_name(d->from));
}

static void begin_link(struct buf *out, const char *metric, const struct status_link *l)
{
    buf_addf(out, "%s{", metric);
    add_label(out, "link", l->name);
}

static struct direction_stats *direction_at(struct status *s, size_t i)
{
    return &s->links[i / 2].direction[i % 2];
}

static void add_servers(struct status *s, struct buf *out)
{
    add_head(out, "twinlog_reader_up", "gauge", "1 while the server's binary log streams.");
    for (size_t i = 0; i < s->nservers; i++) {
        begin_server(out, "twinlog_reader_up", &s->servers[i]);
        add_count(out, status_server_streams(&s->servers[i]));
    }
    add_head(out, "twinlog_binlog_bytes_read_total", "counter", "Bytes of binary log read.");
    for (size_t i = 0; i < s->nservers; i++) {
        begin_server(out, "twinlog_binlog_bytes_read_total", &s->servers[i]);
        add_count(out, s->servers[i].binlog_bytes);
    }
    add_head(out, "twinlog_binlog_events_read_total", "counter", "Binary log events read.");
    for (size_t i = 0; i < s->nservers; i++) {
        begin_server(out, "twinlog_binlog_events_read_total", &s->servers[i]);
        add_count(out, s->servers[i].binlog_events);
    }
}

/* The reader's, and those of the appliers that write there. */
static void add_reconnects(struct status *s, struct buf *out)
{
    add_head(out, "twinlog_reconnects_total", "counter",
             "Connections that had to be made again: those that read the server's log, or write to it.");
    for (size_t i = 0; i < s->nservers; i++) {
        struct server_stats *server = &s->servers[i];
        uint64_t n = server->reconnects;
        for (size_t j = 0; j < s->nlinks * 2; j++) {
            struct direction_stats *d = direction_at(s, j);
            if (s->links[j / 2].server[side_peer(d->from)] == server)
                n += d->reconnects;
        }
        begin_server(out, "twinlog_reconnects_total", server);
        add_count(out, n);
    }
}

static void add_applied(struct status *s, struct buf *out)
{
    add_head(out, "twinlog_changes_applied_total", "counter",
             "Changes that the stream has written to the peer; a resync's are in "
             "twinlog_resync_rows_written_total.");
    for (size_t i = 0; i < s->nlinks * 2; i++) {
        struct direction_stats *d = direction_at(s, i);
        const struct {
            const char *op;
            uint64_t n;
        } ops[] = {{"insert", d->inserts}, {"update", d->updates}, {"delete", d->deletes}};
        for (size_t j = 0; j < sizeof(ops) / sizeof(ops[0]); j++) {
            begin_direction(out, "twinlog_changes_applied_total", d);
            add_label(out, "op", ops[j].op);
            add_count(out, ops[j].n);
        }
    }
}

static void add_conflicts(struct status *s, struct buf *out)
{
    add_head(
        out, "twinlog_conflicts_total", "counter",
        "Keys that both sides wrote, as the stream met them, by what decided; a resync's are in its job.");
    for (size_t i = 0; i < s->nlinks * 2; i++) {
        struct direction_stats *d = direction_at(s, i);
        const struct {
            const char *reason;
            uint64_t n;
        } reasons[] = {
            {"version", d->conflicts_version},     {"updated_at", d->conflicts_updated_at},
            {"authority", d->conflicts_authority}, {"delete_vs_update", d->conflicts_delete},
            {"force", d->conflicts_force},         {"equal", d->conflicts_equal},
        };
        for (size_t j = 0; j < sizeof(reasons) / sizeof(reasons[0]); j++) {
            begin_direction(out, "twinlog_conflicts_total", d);
            add_label(out, "reason", reasons[j].reason);
            add_count(out, reasons[j].n);
        }
    }
}

static void add_quarantined(struct status *s, const struct api *api, struct buf *out)
{
    add_head(out, "twinlog_quarantined_rows", "gauge", "Keys whose winner the peer refuses, which wait.");
    for (size_t i = 0; i < s->nlinks; i++) {
        size_t n;
        if (!status_quarantined(&s->links[i], api, &n))
            continue;
        begin_link(out, "twinlog_quarantined_rows", &s->links[i]);
        add_count(out, n);
    }
}

static void add_resync(struct status *s, const struct api *api, struct buf *out)
{
    add_head(out, "twinlog_resync_rows_scanned_total", "counter", "Keys that a resync has compared.");
    for (size_t i = 0; i < s->nlinks; i++) {
        begin_link(out, "twinlog_resync_rows_scanned_total", &s->links[i]);
        add_count(out, s->links[i].stats.resync_scanned);
    }
    add_head(out, "twinlog_resync_rows_written_total", "counter", "Rows that a resync has written.");
    for (size_t i = 0; i < s->nlinks; i++) {
        begin_link(out, "twinlog_resync_rows_written_total", &s->links[i]);
        add_count(out, s->links[i].stats.resync_written);
    }
    add_head(out, "twinlog_resync_chunk_rows", "gauge", "Rows that a resync locks at once at the moment.");
    for (size_t i = 0; i < s->nlinks; i++) {
        begin_link(out, "twinlog_resync_chunk_rows", &s->links[i]);
        add_count(out, s->links[i].stats.resync_chunk_rows);
    }
    add_head(out, "twinlog_resync_lock_seconds", "histogram", "How long a resync held locks on rows.");
    for (size_t i = 0; i < s->nlinks; i++)
        add_histogram(out, "twinlog_resync_lock_seconds", s->links[i].name, NULL,
                      &s->links[i].stats.resync_lock);
    if (api == NULL)
        return;
    add_head(out, "twinlog_resync_running", "gauge", "1 while a resync of the link runs.");
    for (size_t i = 0; i < s->nlinks; i++) {
        struct job job;
        enum api_result result = api->last_job(api->arg, s->links[i].name, &job);
        if (result == API_NOT_YET)
            continue;
        bool runs = result == API_OK && job.state == JOB_RUNNING;
        begin_link(out, "twinlog_resync_running", &s->links[i]);
        add_count(out, runs);
    }
    add_head(out, "twinlog_resync_needed", "gauge",
             "1 from when rows may differ that no stream makes equal until a resync is done.");
    for (size_t i = 0; i < s->nlinks; i++) {
        struct job job;
        enum api_result result = api->last_job(api->arg, s->links[i].name, &job);
        if (result == API_NOT_YET)
            continue;
        bool needed = result == API_OK && job_needs_resync(&job) != NULL;
        begin_link(out, "twinlog_resync_needed", &s->links[i]);
        add_count(out, needed);
    }
}

static void add_link_echoes(const struct status_link *l, const struct server_stats *server, uint64_t n,
                            struct buf *out)
{
    buf_adds(out, "twinlog_echoes_skipped_total{");
    add_label(out, "link", l->name);
    add_label(out, "server", server->name);
    add_count(out, n);
}

static void add_echoes(struct status *s, struct buf *out)
{
    add_head(out, "twinlog_echoes_skipped_total", "counter",
             "Own transactions that came back and were passed over.");
    for (size_t i = 0; i < s->nlinks; i++) {
        struct status_link *l = &s->links[i];
        uint64_t left = status_echoes(l, SIDE_LEFT), right = status_echoes(l, SIDE_RIGHT);
        /* Both tables on one server: the labels would be the same twice. */
        if (l->server[SIDE_LEFT] == l->server[SIDE_RIGHT]) {
            add_link_echoes(l, l->server[SIDE_LEFT], left + right, out);
            continue;
        }
        add_link_echoes(l, l->server[SIDE_LEFT], left, out);
        add_link_echoes(l, l->server[SIDE_RIGHT], right, out);
    }
}

static void add_directions(struct status *s, struct buf *out)
{
    size_t n = s->nlinks * 2;

    add_head(out, "twinlog_applier_up", "gauge", "1 while the direction is connected and applies.");
    for (size_t i = 0; i < n; i++) {
        struct direction_stats *d = direction_at(s, i);
        begin_direction(out, "twinlog_applier_up", d);
        add_count(out, d->state == RUN_STREAMING && d->connected);
    }
    add_head(out, "twinlog_lag_seconds", "gauge", "Age of the oldest change that is not applied yet.");
    for (size_t i = 0; i < n; i++) {
        struct direction_stats *d = direction_at(s, i);
        int64_t lag_us;
        if (!status_lag_us(&s->links[i / 2], d->from, &lag_us))
            continue;
        begin_direction(out, "twinlog_lag_seconds", d);
        add_seconds(out, lag_us);
    }
    add_head(out, "twinlog_queue_bytes", "gauge", "Memory of changes that were read and not applied yet.");
    for (size_t i = 0; i < n; i++) {
        struct direction_stats *d = direction_at(s, i);
        size_t items, bytes;
        status_queue(&s->links[i / 2], d->from, &items, &bytes);
        begin_direction(out, "twinlog_queue_bytes", d);
        add_count(out, bytes);
    }
    add_head(out, "twinlog_apply_seconds", "histogram",
             "How long a batch took from the queue to its commit.");
    for (size_t i = 0; i < n; i++) {
        struct direction_stats *d = direction_at(s, i);
        add_histogram(out, "twinlog_apply_seconds", d->link, direction_name(d->from), &d->apply);
    }
    add_head(out, "twinlog_last_applied_timestamp_seconds", "gauge",
             "When the direction last committed changes.");
    for (size_t i = 0; i < n; i++) {
        struct direction_stats *d = direction_at(s, i);
        int64_t at_us = d->last_applied_wall_us;
        if (at_us <= 0)
            continue;
        begin_direction(out, "twinlog_last_applied_timestamp_seconds", d);
        add_seconds(out, at_us);
    }
}

void metrics_text(struct status *s, const struct api *api, struct buf *out)
{
    add_head(out, "twinlog_build_info", "gauge", "1, labelled with the version that runs.");
    buf_adds(out, "twinlog_build_info{");
    add_label(out, "version", s->version);
    add_count(out, 1);

    add_servers(s, out);
    add_reconnects(s, out);
    add_applied(s, out);
    add_conflicts(s, out);
    add_echoes(s, out);
    add_quarantined(s, api, out);
    add_resync(s, api, out);
    add_directions(s, out);
}
