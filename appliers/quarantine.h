/*
 * quarantine.h - the keys of one link that wait because a side refuses their
 * winner, as the quarantine tables of both sides have them.
 *
 * Safe from any thread: one lock of its own, held for no longer than a look or a
 * copy. That a key is here is decided with the gates of both sides held (sync.h).
 */
#ifndef APPLIERS_QUARANTINE_H
#define APPLIERS_QUARANTINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/clock.h"
#include "cdc/model/change.h"
#include "cdc/model/record.h"

/* A key whose winner a side refuses (PROTOCOL.md, rows that cannot be written). */
struct quarantine_entry {
    struct key key;
    enum side source; /* the side whose row is refused by the other */
    int code;         /* of the server, 0 if it is our own finding */
    const char *why;  /* no row value */
    wall_us since;    /* 0: now */
    uint32_t tries;   /* that were refused */
};

/* Another row has a UNIQUE value of it: ER_DUP_ENTRY, ER_DUP_ENTRY_WITH_KEY_NAME. */
static inline bool quarantine_is_duplicate(int code) { return code == 1062 || code == 1586; }

struct quarantine;
struct quarantine *quarantine_new(const struct link *link);
void quarantine_free(struct quarantine *q); /* NULL is fine */

/* Until the tables have been read, at the start and after quarantine_clear(), that no key is here says nothing. */
bool quarantine_is_loaded(const struct quarantine *q);
void quarantine_set_loaded(struct quarantine *q);

/* A refusal: the key waits from now on, or waits longer if it does already. */
void quarantine_refused(struct quarantine *q, const struct quarantine_entry *e, wall_us now);
/* One that the tables have, as it is at a start. */
void quarantine_restore(struct quarantine *q, const struct quarantine_entry *e, wall_us now);
void quarantine_release(struct quarantine *q, const struct key *k);
void quarantine_clear(struct quarantine *q);
bool quarantine_has(struct quarantine *q, const struct key *k);
/* The side whose row waits. False if the key does not. */
bool quarantine_source(struct quarantine *q, const struct key *k, enum side *ret_source);
/* Does the key wait for its row of this side? */
bool quarantine_waits_for(struct quarantine *q, const struct key *k, enum side source);
size_t quarantine_count(const struct quarantine *q);

/* Copies, in the arena, of at most max keys whose time has come; returns how many. They are not due again until
 * quarantine_refused(), or for a while. */
size_t quarantine_take_due(struct quarantine *q, wall_us now, struct key *ret_keys, size_t max,
                           struct arena *arena);
/* Makes keys due now: the one that is named, or all (NULL). name: as quarantine_each() shows it, without "COLUMN=" if
 * the key is one column, or its hash with or without "#". Returns how many. */
size_t quarantine_hurry(struct quarantine *q, const char *name);
/* Its row was written once more: due now. */
void quarantine_changed(struct quarantine *q, const struct key *k);
/* That try could not be made: due again in a second. */
void quarantine_hurry_key(struct quarantine *q, const struct key *k, wall_us now);
/* Copies, in the arena, of at most max keys that a UNIQUE value keeps out, with the sides whose rows wait. */
size_t quarantine_list_duplicates(struct quarantine *q, struct key *ret_keys, enum side *ret_sources,
                                  size_t max, struct arena *arena);
/* An obstacle may have gone: makes at most max due of the keys that a UNIQUE value keeps out. */
void quarantine_obstacle_moved(struct quarantine *q, size_t max);

/* At most max of them, the oldest first; returns how many there are. visit() must be short, for it holds the lock. */
size_t quarantine_each(struct quarantine *q, size_t max,
                       void (*visit)(void *arg, const struct waiting_key *k), void *arg);

#endif
