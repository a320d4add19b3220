/*
 * apply.h - one direction of a link, driven step by step: takes transactions of
 * the source, writes them into the peer (PROTOCOL.md, rules 3 to 7). Knows only
 * stores: no thread, no log, and a clock for time stamps alone; the simulation drives the same code.
 */
#ifndef APPLIERS_APPLY_H
#define APPLIERS_APPLY_H

#include "appliers/store.h"
#include "appliers/sync.h"
#include "cdc/base/stop.h"
#include "cdc/model/stats.h"

/* Further connections to the peer that one batch can be written over at once. */
struct apply_lanes {
    size_t count;          /* 0 or 1: none at present; at most LANES_MAX */
    struct store **stores; /* by lane */
    /* Calls part(part_arg, lane) for each lane, at the same time, and returns when all have. */
    void (*run)(void *arg, void (*part)(void *part_arg, size_t lane), void *part_arg);
    void *arg;
};

struct apply {
    const struct link *link;
    enum side from; /* the side whose log is read; the peer is written */
    struct link_sync *sync;
    struct store *stores[2]; /* by side, this direction's own connections */
    struct stop *stop;       /* may be NULL */
    struct direction_stats *stats;
    /* Tells that a key has gone into quarantine; may be NULL. */
    void (*on_refused)(void *arg, const struct key *key, const struct err *why);
    void *on_refused_arg;
    /* A direction is about to begin where its log ends now (cause JOB_FIRST_START, JOB_LOST_POSITION, or JOB_TRIGGER for
     * one that was halted): whatever stands in the tables by then must be compared, so this must store a resync before
     * it returns true. Called with both gates held and no transaction open; stored: the job that the left side has, if it
     * is known. NULL: nobody cares. */
    bool (*on_begin)(void *arg, struct apply *a, enum side from, enum job_cause cause, const char *why,
                     const struct resync_state *stored, struct err *err);
    void *on_begin_arg;
    /* Rows of that side changed, and no change shows which: stores, before it returns true, that a resync has to compare
     * all rows. Called likewise. */
    bool (*on_gap)(void *arg, struct apply *a, enum side from, const char *why, struct err *err);
    void *on_gap_arg;
    /* The last of n transactions is a part, and what it needs may stand in the next one: *ret_txs are n + 1. False: there is
     * none at hand, or more of them would be too many; the array may have moved all the same, and *ret_txs tells where to. No gate is held. NULL: likewise. */
    bool (*next_part)(void *arg, size_t n, struct tx *const **ret_txs);
    void *next_part_arg;

    struct apply_lanes lanes;
    size_t lanes_min;         /* rows that a batch must have more of to be shared out */
    uint64_t lanes_failed;    /* batches that were, and had to be written again by one connection */
    struct lanes_ahead ahead; /* of `stored`; owned */

    bool is_resync;      /* it is no direction: `from` means nothing */
    uint64_t reconciled; /* rows that reconciles wrote */
    uint64_t refused;    /* keys that went into quarantine */

    struct checkpoint stored; /* what the peer's checkpoint row says; owned */
    uint64_t purged;          /* markers up to here are gone from the peer */
};

void apply_init(struct apply *a, const struct link *link, enum side from, struct link_sync *sync,
                struct store *left, struct store *right, struct stop *stop, struct direction_stats *stats);
void apply_done(struct apply *a);

/* Reads where to go on from the peer (rule 6) and puts both sides in order (rule
 * 7). To be called first, and again after every ERR_RETRY; the stream then has to
 * start again from a->stored. Where a direction has no checkpoint yet, both
 * get theirs: where the logs end now, *ret_begun tells. */
bool apply_open(struct apply *a, bool *ret_begun, struct err *err);
/* After an apply_open(): gives up a->stored and begins where the log ends now, see reconcile_begin_again(). */
bool apply_begin_again(struct apply *a, enum job_cause cause, const char *why, struct err *err);
/* The stream has been opened at a->stored: from here on what is pending is known. */
void apply_is_open(struct apply *a);

/* Promises a resync for what `why` tells; to be called before a position behind it is stored. */
bool apply_gap(struct apply *a, const char *why, struct err *err);

/* Applies transactions, in order, in one transaction of the peer. They stay the
 * caller's; *ntxs grows by parts that next_part() gave. ERR_BUSY: nothing was written, again with fewer or later. ERR_RETRY:
 * not known, apply_open(). */
bool apply_txs(struct apply *a, struct tx *const *txs, size_t *ntxs, struct err *err);

/* Stores a position that was reached over transactions that brought nothing;
 * writes only if it says anything new. Errors likewise. */
bool apply_skip_to(struct apply *a, const struct pos *pos, struct err *err);
/* Likewise, but writes anyway: to see whether the peer takes it. */
bool apply_store_again(struct apply *a, const struct pos *pos, struct err *err);

#endif
