/*
 * store.h - what the protocol asks of one side of a link. store_mysql.c does it
 * on a server; the simulation does it in memory.
 *
 * A store is one connection and belongs to one thread. Its transaction begins
 * with store_lock() or store_load() and ends with commit or rollback; between
 * transactions it holds no lock.
 */
#ifndef APPLIERS_STORE_H
#define APPLIERS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliers/conflicts.h"
#include "appliers/quarantine.h"
#include "cdc/base/arena.h"
#include "cdc/base/err.h"
#include "cdc/model/change.h"
#include "cdc/model/link.h"
#include "cdc/model/record.h"

/* How far the direction that writes into this store has read its source. */
struct checkpoint {
    struct pos pos;
    uint64_t rows_done; /* row images of the transaction behind pos that are done */
    uint64_t marker;    /* the last marker of the source's log that lies before this place */
    uint64_t batch;     /* counts the batches that were written in lanes */
};

/* A large batch is written in lanes: over several connections at once, each key by one of them (lane_of()). Lane 0
 * commits last, with the checkpoint; the others have a place of their own each. So after a
 * crash, or when a lane has failed, some may be ahead of the checkpoint: what they did must not be done again. */
struct lanes_ahead {
    size_t nlanes; /* among so many the keys were shared out; 0: none is ahead */
    uint64_t done; /* bit l: lane l has done its share up to here: */
    struct pos pos;
    uint64_t rows_done; /* as in a checkpoint */
};

enum { LANES_MAX = 16 };

/* Which of so many lanes the key belongs to: for ever, because control tables rely on it. */
static inline size_t lane_of(const struct key *k, size_t nlanes)
{
    return (size_t)(key_hash(k) >> 32) % nlanes;
}

/* A marker row: once it stands in both logs, changes of the keys from..to that
 * stand before it are superseded. A single key has from == to. */
struct marker {
    uint64_t id;
    struct key from, to;
};

/* A row to write: before is the row as locked in this transaction. What is inserted need not be locked: the INSERT
 * does it, and where there is a row after all, that is ERR_BUSY with its index in rows. */
struct row_write {
    struct key key;
    const struct value *before; /* NULL: insert */
    const struct value *after;  /* NULL: delete */
};

/* The link's resync job. The left side's store has it. */
struct resync_state {
    struct job job;
    struct key done_to; /* keys up to here, in the servers' order, are done; data NULL: none yet */
};

/* Part of a table in the order of its key index: behind `after` (NULL: from the first row), up to and
 * with `up_to` (NULL: to the last). */
struct key_range {
    const struct key *after, *up_to;
    bool exact; /* waits, as a lock would, for whoever has written a row and not committed; then lets go of it */
};

struct store_rows {
    struct key *keys;
    const struct value **rows;
    size_t count;
    bool more; /* behind the last one there may be others of the range */
};

struct store_write {
    const struct checkpoint *checkpoint; /* NULL: stays */
    size_t nlanes;                       /* not 0: it is the place of this store's lane, one of so many */
    const struct marker *markers;        /* to insert */
    size_t nmarkers;
    const uint64_t *drop_markers; /* single ids to delete: a half that is being reconciled again */
    size_t ndrop_markers;
    bool touch; /* the checkpoint stays and is written all the same: what else tells an echo is not there */
    uint64_t purge_markers;       /* delete those with ids up to here; 0: none */
    const struct row_write *rows; /* in this order, unless: */
    size_t nrows;
    bool any_order; /* the rows are of different keys and may come in another order, several in one statement: deletes
                     * first, then updates */
    bool commit;                               /* and commit it, in the same round trip where that is safe */
    const struct quarantine_entry *quarantine; /* to insert, or to count one more try of */
    size_t nquarantine;
    const struct key *release; /* to delete from quarantine */
    size_t nrelease;
    const struct conflict_record *conflicts; /* to insert */
    size_t nconflicts;
    const struct resync_state *resync; /* NULL: stays. Left side only */
};

struct store_state {
    bool has_checkpoint;
    struct checkpoint checkpoint; /* of the direction that writes here; caller frees with store_state_done() */
    struct lanes_ahead ahead;     /* of that checkpoint; freed likewise */
    uint64_t last_batch;          /* the highest number of a batch that stands anywhere */
    struct marker *markers;       /* ascending ids, in the arena passed in */
    size_t nmarkers;
    struct quarantine_entry *quarantined; /* likewise */
    size_t nquarantined;
    uint64_t last_conflict; /* the highest id on record here, 0 if none */
    bool has_resync;        /* left side only */
    struct resync_state resync;
};

struct store;
struct store_ops {
    /* Locks the rows of these keys, absent ones too, in the transaction that is open, or begins one.
     * ret_rows[i] is the row of keys[i] or NULL, in the arena. keys are distinct. */
    bool (*lock)(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                 struct arena *arena, struct err *err);
    /* Checkpoint or markers first, then the rows: rule 2. Every write of rows has a
     * checkpoint, a touch of it, or a marker. ERR_ROW carries the index in rows; other errors SIZE_MAX, but for an insert
     * that has met a row. Sets synced_at to now.
     * The transaction must be rolled back after any error. With `commit` an ERR_RETRY leaves it open
     * whether it was committed; after any other error it was not. */
    bool (*write)(struct store *s, const struct store_write *w, struct err *err);
    /* After an error it is not known whether it was committed. */
    bool (*commit)(struct store *s, struct err *err);
    /* Never fails; without a transaction it does nothing. Drops the connection if it must. */
    void (*rollback)(struct store *s);
    /* Begins a transaction: the checkpoint and markers of this link and side, by a locking
     * read, so that a commit still under way on a lost connection is waited for. */
    bool (*load)(struct store *s, struct store_state *ret_state, struct arena *arena, struct err *err);
    /* Where to begin to read the log of this side to miss nothing that is committed from now on. */
    bool (*position)(struct store *s, struct pos *ret_pos, struct err *err);
    /* Where it ends now: who has read up to there, and still compares by pos_covers(), has read all that can be seen. */
    bool (*log_end)(struct store *s, struct pos *ret_pos, struct err *err);
    /* The rows of these keys as they are now, without a lock; in a transaction as they were at its first such read.
     * Otherwise as lock. */
    bool (*read)(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                 struct arena *arena, struct err *err);
    /* Likewise the first `limit` rows of a range, in the order of the key; fewer where they are very large. What is read
     * without `exact` may be older than what the log already tells of. */
    bool (*range)(struct store *s, const struct key_range *range, size_t limit, struct store_rows *ret_rows,
                  struct arena *arena, struct err *err);
};

struct store {
    const struct store_ops *ops;
    const struct link *link;
    enum side side;
    size_t lane; /* 0: whose place is the checkpoint */
};

void store_state_done(struct store_state *s); /* frees the positions */

#endif
