/*
 * reconcile.h - rule 4: both rows of a key under lock, one winner, a marker in
 * both logs. And rule 7: what a crash or a lost connection left of that.
 */
#ifndef APPLIERS_RECONCILE_H
#define APPLIERS_RECONCILE_H

#include "appliers/apply.h"

/* Why a key is reconciled tells whether there is anything to decide. */
struct reconcile_reason {
    enum {
        RECONCILE_CONFLICT, /* a change did not meet its before: both sides wrote */
        RECONCILE_REFUSED, /* a fast forward was refused: the source's row it is, if the peer's is still `met` */
        RECONCILE_RETRY, /* what waits in quarantine keeps the side it waits for, unless the other one's version is
                               higher; else as a conflict */
    } why;
    const struct value *met; /* the peer's row as it was under lock; NULL: absent */
};

/* Reconciles these distinct keys, in one transaction a side where that goes, one by
 * one where not. A key whose changes up to behind marker `passed` have become superseded
 * since the caller looked is left out (UINT64_MAX: none is). A key that a side refuses
 * goes into quarantine and is no error. No gate may be held. ERR_BUSY: again later;
 * ERR_RETRY: apply_open(). */
bool reconcile_keys(struct apply *a, const struct key *keys, size_t nkeys, uint64_t passed,
                    const struct reconcile_reason *reason, struct err *err);

/* With both gates held and no transaction open: the key goes into quarantine, its row of the side `source` having
 * been refused for `why`. drop: ids of halves that this replaces. ERR_HALT when too many wait. */
bool reconcile_quarantine(struct apply *a, const struct key *key, enum side source, const struct err *why,
                          const uint64_t *drop, size_t ndrop, struct err *err);

/* Rule 7, with the gates of both sides held: reads checkpoints, markers and
 * quarantine of both sides, reconciles halves again under new ids. reopened: the
 * direction of `a` starts again from its stored checkpoint. Both directions have
 * one afterwards. Ends an in-doubt state. */
bool reconcile_recover(struct apply *a, bool reopened, bool *ret_begun, struct err *err);

/* The direction's position is lost, or is to be given up: it begins anew where its log ends now. What it did not
 * apply is left to a resync, which a->on_begin() must have promised durably before. No gate may be held. */
bool reconcile_begin_again(struct apply *a, enum job_cause cause, const char *why, struct err *err);

/* What is open on either side is undone. */
void reconcile_rollback(struct apply *a);

/* Enters the gates; recovers first if need be. */
bool reconcile_enter(struct apply *a, unsigned gates, struct err *err);

#endif
