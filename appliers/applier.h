/*
 * applier.h - the thread of one direction: feed -> apply -> the peer's store.
 */
#ifndef APPLIERS_APPLIER_H
#define APPLIERS_APPLIER_H

#include "appliers/resyncer.h"
#include "appliers/sync.h"
#include "cdc/base/clock.h"
#include "cdc/base/slots.h"
#include "cdc/base/stop.h"
#include "cdc/db/dbconn.h"
#include "cdc/model/feed.h"
#include "cdc/model/stats.h"

struct applier;

/* What a direction does while it has nothing to do, and how often. */
struct applier_idle {
    uint32_t wait_ms;     /* between two looks around; shorter ones while something is under way */
    uint32_t store_ms;    /* it stores a position that only others' writes have moved: after so long, */
    uint64_t store_bytes; /* or so far. A stream that is opened again begins there */
};

struct applier_options {
    const struct link *link;
    enum side from;
    const struct db_options *db[2]; /* by side */
    const char *state_database;
    struct link_sync *sync; /* shared with the other direction */
    struct feed *feed;
    size_t batch_rows;
    size_t lanes; /* connections to the peer at most, while there is a backlog */
    struct direction_stats *stats;
    struct resyncer *resyncer; /* of the link; borrowed */
    struct slots *opens;       /* of directions that are opened at once */
    struct applier_idle idle;
    void (*event)(void *arg, const struct event *e); /* must not block; may be NULL */
    void *event_arg;
    struct stop *stop;
    void (*fatal)(void *arg, const struct err *err); /* as for the reader */
    void *fatal_arg;
};

struct applier *applier_new(const struct applier_options *options); /* copied, what it points to is borrowed */
bool applier_start(struct applier *a, struct err *err);
/* After the stop flag is up. A batch under way may end until give_up, then its connections are cut. */
void applier_join(struct applier *a, mono_us give_up);
void applier_free(struct applier *a);

#endif
