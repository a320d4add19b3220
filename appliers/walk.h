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

/* The first of the two reads that a chunk is made of: it may be made ahead, on another connection. */
struct walk_first {
    enum side side;
    struct key after, up_to; /* data NULL: from the first row, to the last one */
    size_t limit;
    bool exact;
    struct store_rows rows; /* what came of it */
};

struct walk {
    const struct link *link;
    struct store *stores[2]; /* by side; borrowed */
    bool exact[2];           /* by side: its ranges are read so (struct key_range) */
    struct key after;        /* keys up to here have been walked over; owned; data NULL: none yet */
    /* The right's rows still to be walked over before the left goes on; owned. rest_after.data NULL: none; rest_end.data
     * NULL: to the last one; shown: the left's keys of that range, which have been shown with their partners. */
    struct key rest_after, rest_end;
    struct store_rows shown;
};

struct walk_pair {
    struct key key;
    const struct value *row[2]; /* by side; NULL: absent */
    bool exact[2];              /* by side: the row was read so */
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
/* The next rows: at most `rows` of the left, and twice as many of the right. What is returned lives in the arena.
 * first: made ahead, and as good as if it were made now; the chunk is as large as its limit says then. What it holds must
 * live as long as the chunk. NULL: there is none. */
bool walk_read(struct walk *w, size_t rows, const struct walk_first *first, struct walk_chunk *ret_chunk,
               struct arena *arena, struct err *err);
/* Is it the read that the next chunk begins with? */
bool walk_begins_with(const struct walk *w, const struct walk_first *first);
/* What the chunk behind this one will begin with, but for its rows; keys are borrowed. False if this is the last one. */
bool walk_next_first(const struct walk *w, const struct walk_chunk *chunk, size_t rows,
                     struct walk_first *ret_first);
/* The chunk is done: the next one is behind it. False if it was the last one. */
bool walk_advance(struct walk *w, const struct walk_chunk *chunk);

#endif
