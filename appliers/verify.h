/*
 * verify.h - are both tables of a link equal? Reads only, locks nothing; beside a
 * running daemon or without one.
 *
 * Rows that differ may be on their way. They are looked at again, once the streams have
 * passed all that was committed when they were last read: rows that differ then and have not
 * moved meanwhile do differ. Rows that keep moving are left open, and counted.
 */
#ifndef APPLIERS_VERIFY_H
#define APPLIERS_VERIFY_H

#include "appliers/walk.h"

enum verify_streams {
    VERIFY_PASSED,  /* both directions have applied all up to there */
    VERIFY_DOWN,    /* at least one does not stream: nothing is on its way */
    VERIFY_LATE,    /* not yet: ask again */
    VERIFY_STOPPED, /* whoever asked for this wants an end */
};

struct verify_difference {
    const struct key *key;
    const struct value *row[2]; /* by side; NULL: absent. Row values: not for a log */
    const char *columns;        /* left names of those that differ, joined by commas; "" if a row is absent */
};

struct verify_options {
    const struct link *link;
    struct store *stores[2]; /* by side; its own connections */
    size_t chunk_rows;
    void *arg;
    /* Waits a moment, at most a second, for the streams to pass these ends of the logs (by side). */
    enum verify_streams (*wait_passed)(void *arg, const struct pos ends[2]);
    void (*difference)(void *arg, const struct verify_difference *d); /* each key once */
    /* compared: keys so far; open: keys that are looked at again. False: end. */
    bool (*progress)(void *arg, uint64_t compared, uint64_t open);
};

struct verify_result {
    uint64_t compared;  /* keys */
    uint64_t differing; /* were told of */
    uint64_t moving;    /* never stood still long enough to be compared */
};

/* The whole tables. ERR_STOPPED if progress or wait_passed said so. */
bool verify_run(const struct verify_options *o, struct verify_result *ret_result, struct err *err);
/* These keys alone, once more. */
bool verify_keys(const struct verify_options *o, const struct key *keys, size_t nkeys,
                 struct verify_result *ret_result, struct err *err);

#endif
