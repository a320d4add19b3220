/*
 * change.h - what one row event says, and struct tx, the one type that crosses
 * threads.
 */
#ifndef MODEL_CHANGE_H
#define MODEL_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buf.h"
#include "cdc/base/clock.h"
#include "cdc/model/link.h"
#include "cdc/model/pos.h"
#include "cdc/model/value.h"

/* The key of a row in a form that can be hashed, compared and stored: for each
 * key field a 4-byte little-endian length and the canonical value. */
struct key {
    const char *data;
    size_t len;
};

struct change {
    struct key key;
    const struct value *before; /* link->nfields values; NULL: the row was absent */
    const struct value *after;  /* likewise: NULL: it is absent now */
    bool incomplete;            /* a mapped column is missing from an image: reconcile, compare nothing */
    uint64_t row_no;            /* 1-based: which row image (pair) of this link's table in its transaction */
};

/* A transaction of the source, or a part of a large one, as one link sees it. */
struct tx {
    struct arena arena; /* this and everything below dies with it */
    struct pos pos;     /* rows_done == 0: the end of the transaction; else its beginning */
    bool pos_is_inside; /* tx_set_pos(): nothing of pos may be changed or moved away any more */
    uint64_t rows_done; /* a part: row images of the transaction that are done after this part */
    uint64_t marker;    /* the highest marker id of this link and side in it, 0 if none */
    bool echo;          /* written by this link: no changes */
    const char
        *gap; /* NULL, or why rows changed that no change here shows: a resync has to be promised before the
                             * position moves past this; in the arena */
    bool applied;           /* while it is still queued: done, or known not to matter */
    struct change *changes; /* allocated in the arena, so grown by doubling there */
    size_t nchanges, changes_cap;
    wall_us committed_at; /* by the source's clock, whole seconds on MariaDB; 0 if unknown */
    mono_us read_at;      /* when the reader had it */
};

struct tx *tx_new(void);
void tx_free(struct tx *tx);                 /* NULL is fine */
struct change *tx_add_change(struct tx *tx); /* zeroed */
/* Sets pos, once, to a copy in the transaction's own memory. */
void tx_set_pos(struct tx *tx, const struct pos *pos);
size_t tx_bytes(const struct tx *tx); /* what it costs in a queue */

/* Builds the key of a row of the link. False if a key value is not VALUE_SET. */
bool key_of(const struct link *link, const struct value *row, struct arena *arena, struct key *ret_key);
bool key_equal(const struct key *a, const struct key *b);
uint64_t key_hash(const struct key *k);
/* Key -> its values in the fields of `row` (nfields values; the others become
 * VALUE_MISSING), pointing into the key. False if the bytes are not a key of this link. */
bool key_to_row(const struct link *link, const struct key *k, struct value *row);
/* "id=42" or "tenant=7,id=x\x00y" with left column names, for log_key() and quarantine lists. */
void key_print(const struct link *link, const struct key *k, struct buf *out);

/* Equal in every field, the sync fields among them; NULL equals NULL only. */
bool row_equal(const struct link *link, const struct value *a, const struct value *b);

#endif
