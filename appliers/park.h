/*
 * park.h - rows that exchange UNIQUE values.
 *
 * The servers check a UNIQUE index row by row: of two rows that exchange their
 * values, the first meets the second's. So every row that changes such a value
 * first gets one that nobody else has, and then its own. Pure.
 */
#ifndef APPLIERS_PARK_H
#define APPLIERS_PARK_H

#include "appliers/store.h"

/* The same writes, in the arena: deletes first, then the updates that change UNIQUE
 * values as far as a value nobody has, then all updates and inserts in their order.
 * Each key may come once. Returns how many there are; *ret_writes is borrowed from the
 * arena. A value whose type has no room for a free one is left as it is. */
size_t park_writes(const struct link *link, enum side side, const struct row_write *writes, size_t nwrites,
                   struct arena *arena, struct row_write **ret_writes);

#endif
