/*
 * sync.h - what the two directions of one link share in memory: who may write
 * where, which changes are superseded, and whether a reconcile is in doubt.
 *
 * Everything but the gate itself is read only while holding the gate of one side
 * and changed only while holding the gates of both. Two exceptions: passed(log) belongs
 * to the direction that reads that log, which changes it while it holds the gate of
 * the side it writes; stored(log) likewise, and the other direction may read it
 * at any time as a lower bound. So the gate is the only lock.
 * (And a direction whose lane did not answer raises the doubt with the gate of the side it writes held.)
 */
#ifndef APPLIERS_SYNC_H
#define APPLIERS_SYNC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliers/conflicts.h"
#include "appliers/quarantine.h"
#include "appliers/store.h"
#include "cdc/base/stop.h"
#include "cdc/model/link.h"

struct link_sync;

struct link_sync *link_sync_new(const struct link *link);
void link_sync_free(struct link_sync *s); /* NULL is fine */

/* ---- The gate ----
 *
 * A thread holds the gate of a side while its transaction there is open: a batch
 * that of the peer, a reconcile both. The servers' row locks alone would not keep
 * a batch and a reconcile of the same absent key apart: locks on a gap are shared,
 * and a batch that had looked for markers before the reconcile announced its own
 * would write behind it.
 */
enum { GATE_LEFT = 1U << SIDE_LEFT, GATE_RIGHT = 1U << SIDE_RIGHT, GATE_BOTH = GATE_LEFT | GATE_RIGHT };
static inline unsigned gate_of(enum side s) { return 1U << s; }

/* Waits until the gates are free and takes them all at once, a waiter for both before
 * later ones for one. False (ERR_STOPPED) when the stop flag goes up first. stop may be NULL. */
bool link_sync_enter(struct link_sync *s, unsigned gates, struct stop *stop, struct err *err);
void link_sync_leave(struct link_sync *s, unsigned gates);
/* Counts each time that anybody has entered: as long as it stands, nobody else has applied or written anything. */
uint64_t link_sync_turn(struct link_sync *s);
/* For the simulation, which has one thread: called instead of waiting, until link_sync_may_enter(). */
void link_sync_set_wait(struct link_sync *s, void (*wait)(void *arg, unsigned gates), void *arg);
bool link_sync_may_enter(struct link_sync *s, unsigned gates); /* would link_sync_enter() not wait? */

/* ---- Markers (rules 5 and 7) ---- */

/* A marker for k with this id stands, or is about to stand, in the log of each side. */
void link_sync_announce(struct link_sync *s, enum side log, const struct key *k, uint64_t id);
/* Is a change of k that stands in that log, behind the marker with id `passed` and
 * before all later ones, superseded? */
bool link_sync_superseded(const struct link_sync *s, enum side log, const struct key *k, uint64_t passed);
/* For a link with loose keys: does a marker stand ahead in that log whose key a server may take for this one?
 * Then the change cannot be told from a superseded one. Never false where the servers say equal. */
bool link_sync_maybe_superseded(const struct link_sync *s, enum side log, const struct key *k,
                                uint64_t passed);
/* Forgets all and takes the markers of that log with ids above passed(log). */
void link_sync_rebuild(struct link_sync *s, enum side log, const struct marker *markers, size_t count);
/* Forgets those that have been passed. */
void link_sync_prune(struct link_sync *s, enum side log);
size_t link_sync_marker_count(const struct link_sync *s, enum side log);

uint64_t link_sync_next_id(struct link_sync *s);
uint64_t link_sync_last_id(const struct link_sync *s);
void link_sync_saw_id(struct link_sync *s, uint64_t id); /* later ids will be higher */

/* The last marker that the direction which reads this log has passed, in memory. */
uint64_t link_sync_passed(const struct link_sync *s, enum side log);
/* The same as its checkpoint says. */
uint64_t link_sync_stored(const struct link_sync *s, enum side log);
void link_sync_set_passed(struct link_sync *s, enum side log, uint64_t id);
void link_sync_set_stored(struct link_sync *s, enum side log, uint64_t id);
/* Is passed(log) that of a direction at work? If not, the stored value counts. */
bool link_sync_is_live(const struct link_sync *s, enum side log);
void link_sync_set_live(struct link_sync *s, enum side log);

/* ---- What is on record: each has a lock of its own, so that others may look at any time ---- */
struct quarantine *link_sync_quarantine(const struct link_sync *s); /* changed with both gates held */
bool link_sync_is_quarantined(const struct link_sync *s, const struct key *k);
size_t link_sync_quarantine_count(const struct link_sync *s);
struct conflicts *link_sync_conflicts(const struct link_sync *s);
uint64_t link_sync_next_conflict(struct link_sync *s); /* an id */
void link_sync_saw_conflict(struct link_sync *s, uint64_t id);

/* ---- Resync ---- */

/* Does the direction that reads this log know for certain which changes are still to be applied? False from an error
 * whose outcome nobody knows, noted with the gate of the side it writes held, until its feed has been opened again. */
bool link_sync_is_open(const struct link_sync *s, enum side log);
void link_sync_set_open(struct link_sync *s, enum side log, bool open);
/* What the resync under way was asked for: it decides conflicts of the streams too. NULL: none is under way. */
const struct job_order *link_sync_order(const struct link_sync *s);
void link_sync_set_order(struct link_sync *s, const struct job_order *order); /* copied */
/* Waits until nobody waits for a gate, at most timeout_ms: so that who takes both again and again lets the
 * others have their turn. */
void link_sync_let_others(struct link_sync *s, uint32_t timeout_ms);
/* What a case-insensitive or padding collation may take for the same, as the same bytes: ASCII letters in
 * lower case, no spaces at the end of a part. False where that is not enough: accents, ligatures and
 * characters that some collations ignore; never for padded keys. folded has room for k->len + 1 bytes. */
bool link_sync_fold_key(const struct link *link, const struct key *k, char *folded, size_t *ret_len);

/* A commit of a reconcile, or of a lane, did not answer: whoever enters next must recover first. */
bool link_sync_in_doubt(const struct link_sync *s);
void link_sync_set_in_doubt(struct link_sync *s, bool in_doubt);

#endif
