/*
 * ahead.h - a thread that makes one read of a walk while its caller does something else.
 *
 * It has connections of its own. Whether what it has read still counts is the caller's to know.
 */
#ifndef APPLIERS_AHEAD_H
#define APPLIERS_AHEAD_H

#include "appliers/walk.h"
#include "cdc/db/dbconn.h"

struct ahead;

struct ahead *ahead_new(const struct db_options *const db[2], const char *state_database,
                        const struct link *link); /* all borrowed */
void ahead_free(struct ahead *a);                 /* NULL is fine; it has ended */

/* Without it nothing is read ahead. */
bool ahead_start(struct ahead *a, struct err *err);
/* Waits for the read under way; the connections are closed. Does nothing if it has not started. */
void ahead_end(struct ahead *a);
void ahead_shutdown(struct ahead *a); /* from any thread: the read under way fails soon */

/* Begins this read, whose keys are copied. What was not taken is thrown away. */
void ahead_begin(struct ahead *a, const struct walk_first *what);
/* Waits for it. Its rows live in the arena, which the caller has initialised and now owns. False if there is none or it failed:
 * then whoever wants the rows reads them himself, and sees why. */
bool ahead_take(struct ahead *a, struct walk_first *ret_first, struct arena *arena);

#endif
