/*
 * stats.h - what threads tell about themselves: atomics, and texts copied under
 * one short lock. Written by one thread each, read by the service.
 */
#ifndef MODEL_STATS_H
#define MODEL_STATS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/model/side.h"

typedef _Atomic uint64_t stat_count;

enum run_state { RUN_STARTING, RUN_CONNECTING, RUN_STREAMING, RUN_HALTED, RUN_STOPPED };
const char *run_state_name(enum run_state s);

/* A text with a lock of its own. */
struct stat_text {
    pthread_mutex_t lock;
    char text[512];
};
void stat_text_init(struct stat_text *t);
void stat_text_done(struct stat_text *t);
void stat_text_set(struct stat_text *t, const char *text); /* shortened to fit */
void stat_text_get(struct stat_text *t, char *out, size_t size);

/* How long things took: counts by upper bound, as Prometheus has them. One thread adds. */
enum { STAT_BUCKETS = 14 };
extern const int64_t stat_bucket_us[STAT_BUCKETS]; /* ascending upper bounds, microseconds */
struct stat_histogram {
    stat_count bucket[STAT_BUCKETS + 1]; /* not cumulative; the last: above all bounds */
    stat_count sum_us;
};
void stat_histogram_add(struct stat_histogram *h, int64_t us);

struct server_stats {
    const char *name;        /* of the server section; borrowed from the config */
    _Atomic int state;       /* enum run_state of its reader */
    stat_count binlog_bytes; /* read since start */
    stat_count binlog_events;
    stat_count reconnects;
    _Atomic uint64_t read_offset;         /* with read_file: where the reader stands */
    _Atomic int64_t last_event_wall_us;   /* when the last packet, heartbeats included, came */
    _Atomic int64_t awaits_since_mono_us; /* the next packet; 0: it is not waited for at the moment */
    _Atomic int64_t busy_since_mono_us; /* all that had come by then has been handed on; 0: that is so now */
    struct stat_text version;           /* "10.11.19-MariaDB-log", as the server says */
    struct stat_text kind;              /* "MariaDB" or "MySQL" */
    struct stat_text address;           /* in use: "db1.example:3306" */
    struct stat_text position;          /* "bin.000042:19733" */
    struct stat_text log_end; /* where the log ended when the stream was opened; "" once that has been passed */
    struct stat_text gtid;
    struct stat_text reason; /* why not streaming; "" when it is */
};

struct direction_stats {
    const char *link; /* borrowed */
    enum side from;
    _Atomic int state; /* enum run_state of its applier */
    _Atomic bool connected;
    stat_count inserts, updates, deletes; /* rows written to the peer by fast forward */
    stat_count transactions;              /* of the source, parts of one counted once */
    stat_count batches;
    stat_count superseded; /* changes dropped by rule 5 */
    stat_count conflicts_version, conflicts_updated_at, conflicts_authority, conflicts_delete,
        conflicts_force, conflicts_equal;
    stat_count retries; /* deadlocks, lock timeouts */
    stat_count reconnects;
    _Atomic int64_t lag_us;         /* age of the oldest change not yet applied; 0 when all is applied */
    _Atomic int64_t lag_at_mono_us; /* when lag_us was told: it grows by itself from then on; 0: not told */
    _Atomic int64_t last_applied_wall_us;
    _Atomic int64_t apply_us_last; /* take from queue to commit, of the last batch */
    struct stat_histogram apply;   /* each batch, from the queue to its commit */
    struct stat_text position;     /* applied up to: "bin.000042:19733" */
    struct stat_text gtid;
    struct stat_text reason; /* why not streaming, or why halted; "" when all is well */
};

/* Of both directions together. */
struct link_stats {
    stat_count resync_scanned;         /* keys compared, since start */
    stat_count resync_written;         /* rows */
    stat_count resync_chunk_rows;      /* rows locked at once at the moment; 0: none yet */
    struct stat_histogram resync_lock; /* how long each such lock was held */
};

void server_stats_init(struct server_stats *s, const char *name);
void server_stats_done(struct server_stats *s);
void direction_stats_init(struct direction_stats *d, const char *link, enum side from);
void direction_stats_done(struct direction_stats *d);

#endif
