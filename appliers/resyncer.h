/*
 * resyncer.h - the thread that resyncs one link: runs jobs one at a time, stores how
 * far it has come, and goes on there after a restart.
 */
#ifndef APPLIERS_RESYNCER_H
#define APPLIERS_RESYNCER_H

#include "appliers/apply.h"
#include "cdc/base/clock.h"
#include "cdc/base/slots.h"
#include "cdc/base/stop.h"
#include "cdc/db/dbconn.h"
#include "cdc/model/feed.h"
#include "cdc/model/record.h"
#include "cdc/model/stats.h"

struct resyncer;

struct resyncer_options {
    const struct link *link;
    const struct db_options *db[2]; /* by side */
    const char *state_database;
    struct link_sync *sync;
    struct feed *feed[2];                 /* by the side they read from */
    struct direction_stats *direction[2]; /* likewise; only read */
    struct link_stats *stats;
    size_t chunk_rows;   /* read at once, at most */
    bool initial_sync;   /* a first start resyncs by itself */
    struct slots *slots; /* of jobs that run at once: each holds some memory and keeps two servers busy */
    struct slots *opens; /* as for the applier */
    uint32_t idle_ms;    /* likewise */
    uint64_t (*new_id)(void *arg); /* of all links of the daemon; ascending over restarts */
    void *new_id_arg;
    void (*event)(void *arg, const struct event *e); /* must not block; may be NULL */
    void *event_arg;
    struct stop *stop;
};

struct resyncer *resyncer_new(
    const struct resyncer_options *options); /* copied, what it points to is borrowed */
bool resyncer_start(struct resyncer *r, struct err *err);
/* After the stop flag is up. What is under way may end until give_up, then its connections are cut. */
void resyncer_join(struct resyncer *r, mono_us give_up);
void resyncer_free(struct resyncer *r);

/* ---- From any thread; none of these waits for a database ---- */

enum resync_answer {
    RESYNC_STARTED,
    RESYNC_RUNS_ALREADY,
    RESYNC_NOT_YET, /* it is not known yet whether one runs: the left server has not answered */
    RESYNC_HALTED,  /* a direction is halted, and the order does not say which side is right */
};
/* ret_job: the job that was started, or runs. err says why not. */
enum resync_answer resyncer_trigger(struct resyncer *r, const struct job_order *order, struct job *ret_job,
                                    struct err *err);
bool resyncer_job(struct resyncer *r, uint64_t id, struct job *ret_job); /* of the last few */
bool resyncer_last_job(struct resyncer *r, struct job *ret_job); /* the one that runs, else the last */

/* ---- For the appliers of the link ---- */

/* apply.on_begin: stores a job before a direction begins anew. arg is the resyncer. */
bool resyncer_on_begin(void *arg, struct apply *a, enum side from, enum job_cause cause, const char *why,
                       const struct resync_state *stored, struct err *err);
/* apply.on_gap, likewise: stores that all rows have to be compared from now on. */
bool resyncer_on_gap(void *arg, struct apply *a, enum side from, const char *why, struct err *err);
/* May the halted direction begin anew? Once for a job whose order says which side is right, before anything is compared. */
bool resyncer_takes_over(struct resyncer *r, enum side from);

#endif
