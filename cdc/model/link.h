/*
 * link.h - a pair of tables: what is mapped to what, by which key, through
 * which cipher, and who wins a conflict. Read-only once built, shared by all
 * threads.
 */
#ifndef MODEL_LINK_H
#define MODEL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/cipher.h"
#include "cdc/model/column.h"
#include "cdc/model/side.h"

/* One mapped pair of columns. A row of the link is an array of nfields values,
 * in this order: the mapped columns as in the config, then version, then
 * updated_at. */
struct field {
    const struct column *column[2]; /* by side; borrowed from link->table */
    struct keyring *keys;           /* NULL: no cipher; owned by the link */
    enum side sealed_side;          /* where it stands encrypted */
    enum cipher_encoding encoding;
    bool json; /* the plain column of a side is MySQL's JSON: compared as documents */
};

struct link {
    char *name;
    char *server[2];        /* names of server sections, by side */
    struct table *table[2]; /* by side; owned */
    struct field *fields;
    size_t nfields; /* mapped columns + 2 */
    size_t *key;    /* indexes into fields */
    size_t nkey;
    size_t *
        walk; /* the same indexes in the order of the left's index: to go through the tables by; NULL: as key */
    const struct table_key *index[2]; /* the UNIQUE index over the key, by side */
    const struct column *synced_at[2];
    enum side authority; /* wins a full tie */
    bool delete_beats_update;
    size_t keep_conflicts; /* on record, at most; 0: none */
    uint32_t keep_conflict_days;
    size_t max_quarantined; /* keys that may wait; 0: no limit */
    bool loose_keys; /* a server may take keys of other bytes for the same: case, accents, spaces at the end */
    bool padded_keys; /* then: spaces at the end, and nothing else */
};

/* A value as its column (or its cipher, opened) gave it, which column_canonical() knows already if it is not sealed
 * on this side -> as both sides compare it. Copies into the arena where the text changes. */
void field_canonical(const struct field *f, enum side side, struct arena *arena, struct value *v);

/* Index into fields. */
static inline size_t link_version_field(const struct link *l) { return l->nfields - 2; }
static inline size_t link_updated_field(const struct link *l) { return l->nfields - 1; }
void link_free(struct link *l); /* NULL is fine */

#endif
