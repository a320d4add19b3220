/*
 * retry.h - tries keys in quarantine whose time has come.
 *
 * It is done as a resync settles a key, because that knows what is pending: what the peer has written meanwhile is not
 * overwritten by the row that waited.
 */
#ifndef APPLIERS_RETRY_H
#define APPLIERS_RETRY_H

#include "appliers/resync.h"
#include "cdc/base/clock.h"

struct retry {
    struct resync *resync; /* borrowed; its order decides */
    struct stop *stop;
    mono_us cycles_at; /* when rows that are in each other's way were looked for last */
};

/* A few keys at a time; returns how many. What cannot be tried now is due again in a second. No gate may be held. */
size_t retry_due(struct retry *t);

#endif
