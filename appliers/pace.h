/*
 * pace.h - how fast a resync may go: at full speed while nobody writes, gently while applications do.
 *
 * What applications feel of a resync is that a core is taken when their statement would go on. They wait for as long as
 * one read, or the work on its rows, goes on without a pause; so what helps is small chunks, one thing at a time, and not
 * rests in between.
 *
 * Pure: the caller brings the clock.
 */
#ifndef APPLIERS_PACE_H
#define APPLIERS_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/clock.h"

struct pace {
    bool gentle;
    uint64_t handed_on; /* transactions of applications, so far */
    mono_us last_seen;  /* when that had grown the last time */
};

/* Nobody has written yet. handed_on: as for pace_look(). */
void pace_begin(struct pace *p, uint64_t handed_on);
/* Before each chunk. handed_on: how many transactions the readers have handed on to the streams, both together; what the
 * daemon has written itself is none of them. Gentle from the first one on, until there has been none for half a second. */
void pace_look(struct pace *p, uint64_t handed_on, mono_us now);
/* Of a limit at full speed, what a chunk may have now: of bytes at least 1, of rows as many as are worth a chunk. */
size_t pace_bytes(const struct pace *p, size_t at_full_speed);
size_t pace_rows(const struct pace *p, size_t at_full_speed);

#endif
