/*
 * reconcile.h - rule 4: both rows of a key under lock, one winner, a marker in
 * both logs. And rule 7: what a crash or a lost connection left of that.
 */
#ifndef APPLIERS_RECONCILE_H
#define APPLIERS_RECONCILE_H

#include "appliers/apply.h"

/* Reconciles these distinct keys, in one transaction a side where that goes, one by
 * one where not. A key whose changes up to behind marker `passed` have become superseded
 * since the caller looked is left out (UINT64_MAX: none is). A key that a side refuses
 * goes into quarantine and is no error. No gate may be held. ERR_BUSY: again later;
 * ERR_RETRY: apply_open(). */
bool reconcile_keys(struct apply *a, const struct key *keys, size_t nkeys, uint64_t passed, struct err *err);

/* Rule 7, with the gates of both sides held: reads checkpoints, markers and
 * quarantine of both sides, reconciles halves again under new ids. reopened: the
 * direction of `a` starts again from its stored checkpoint. Both directions have
 * one afterwards. Ends an in-doubt state. */
bool reconcile_recover(struct apply *a, bool reopened, bool *ret_begun, struct err *err);

/* Enters the gates; recovers first if need be. */
bool reconcile_enter(struct apply *a, unsigned gates, struct err *err);

#endif
