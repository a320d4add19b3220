/*
 * walk.h - both tables of a link side by side, a chunk of keys at a time, in the
 * order of the key index as the servers have it.
 *
 * Reads without a lock: two rows that differ may only be on their way. What to make
 * of them is the caller's: a resync locks both and looks again, a verify waits and
 * looks again.
 */
#ifndef APPLIERS_WALK_H
#define APPLIERS_WALK_H

#include "appliers/store.h"

struct walk {
    const struct link *link;
    struct store *stores[2]; /* by side; borrowed */
    struct key after;        /* keys up to here have been walked over; owned; data NULL: none yet */
    /* The right's rows still to be walked over before the left goes on; owned. rest_after.data NULL: none; rest_end.data
     * NULL: to the last one; shown: the left's keys of that range, which have been shown with their partners. */
    struct key rest_after, rest_end;
    struct store_rows shown;
};

struct walk_pair {
    struct key key;
    const struct value *row[2]; /* by side; NULL: absent */
    bool same;
};

struct walk_chunk {
    struct walk_pair *pairs; /* of every key that either side has */
    size_t npairs;
    struct key end;             /* another walk can go on behind this key; data NULL: no new one is known */
    struct key range_end, rest; /* for walk_advance() */
    struct store_rows left;     /* likewise: keys alone */
};

/* after: where to go on; NULL: from the beginning. Copied. */
void walk_init(struct walk *w, const struct link *link, struct store *left, struct store *right,
               const struct key *after);
void walk_done(struct walk *w);
/* The next rows: at most `rows` of the left, and twice as many of the right. What is returned lives in the arena. */
bool walk_read(struct walk *w, size_t rows, struct walk_chunk *ret_chunk, struct arena *arena,
               struct err *err);
/* The chunk is done: the next one is behind it. False if it was the last one. */
bool walk_advance(struct walk *w, const struct walk_chunk *chunk);

#endif
