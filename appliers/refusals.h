/*
 * refusals.h - tells of rows that go into quarantine: each one in the log as long as
 * they are few, then a count now and then; and an event at most once a minute.
 */
#ifndef APPLIERS_REFUSALS_H
#define APPLIERS_REFUSALS_H

#include "cdc/base/clock.h"
#include "cdc/base/err.h"
#include "cdc/model/change.h"
#include "cdc/model/record.h"

struct refusals {
    const struct link *link;
    void (*event)(void *arg, const struct event *e); /* may be NULL */
    void *event_arg;
    const char *direction; /* of the event; NULL: both */
    mono_us window;        /* when the present period began */
    uint64_t in_window;
    mono_us last_event;
    bool has_event; /* last_event means something */
};

/* A row was refused and waits from now on. One thread at a time. */
void refusals_tell(struct refusals *r, const struct key *key, const struct err *why);

#endif
