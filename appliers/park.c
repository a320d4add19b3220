#include "appliers/park.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/hash.h"

/* Of the hash, in hex: 96 bits make a meeting with a real value or another parked
 * one unlikely; and if they meet, the row is refused and waits, nothing worse. */
enum { PARK_DIGITS = 24 };

static bool is_key(const struct link *link, size_t field)
{
    for (size_t i = 0; i < link->nkey; i++)
        if (link->key[i] == field)
            return true;
    return false;
}

static void hash_of(const struct key *key, size_t field, unsigned char out[32])
{
    unsigned char both[32 + sizeof field];

    hash_sha256(key->data, key->len, both);
    memcpy(both + 32, &field, sizeof field);
    hash_sha256(both, sizeof both, out);
}

/* A positive number that the type holds: 7 bits less than its width. */
static uint64_t small_number(const unsigned char hash[32], uint64_t bytes)
{
    uint64_t n;

    memcpy(&n, hash, sizeof n);
    if (bytes == 0 || bytes > 8)
        bytes = 8;
    return n >> (64 - 8 * bytes + 1);
}

/* False where no free value can be made up. */
static bool parked_value(const struct column *c, const struct key *key, size_t field, struct arena *arena,
                         struct value *ret_value)
{
    unsigned char hash[32];
    char text[PARK_DIGITS + 1];

    if (c->nullable) { /* NULL meets nothing in a UNIQUE index */
        *ret_value = (struct value){NULL, 0, VALUE_NULL};
        return true;
    }
    hash_of(key, field, hash);
    if (c->kind == COL_TEXT || c->kind == COL_BINARY) {
        for (size_t i = 0; i < PARK_DIGITS / 2; i++)
            snprintf(text + 2 * i, 3, "%02x", hash[i]);
        if (c->length > 0 && c->length < PARK_DIGITS)
            text[c->length] = '\0';
    } else if (c->kind == COL_INT) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)small_number(hash, c->length));
    } else {
        return false;
    }
    *ret_value = (struct value){arena_copy(arena, text, strlen(text)), (uint32_t)strlen(text), VALUE_SET};
    return true;
}

/* The row on its way: NULL if it changes no UNIQUE value. */
static const struct value *parked_row(const struct link *link, enum side side, const struct row_write *w,
                                      struct arena *arena)
{
    struct value *row = NULL, parked;

    for (size_t i = 0; i < link->nfields; i++) {
        const struct column *c = link->fields[i].column[side];

        if (!c->in_unique || is_key(link, i) || value_equal(&w->before[i], &w->after[i]) ||
            w->before[i].state == VALUE_SEALED)
            continue;
        if (!parked_value(c, &w->key, i, arena, &parked))
            continue;
        if (row == NULL) {
            row = arena_alloc(arena, link->nfields * sizeof *row);
            memcpy(row, w->before, link->nfields * sizeof *row);
        }
        row[i] = parked;
    }
    return row;
}

size_t park_writes(const struct link *link, enum side side, const struct row_write *writes, size_t nwrites,
                   struct arena *arena, struct row_write **ret_writes)
{
    struct row_write *out = arena_alloc(arena, (2 * nwrites + 1) * sizeof *out);
    const struct value **parked = arena_zalloc(arena, (nwrites + 1) * sizeof *parked);
    size_t n = 0;

    for (size_t i = 0; i < nwrites; i++)
        if (writes[i].after == NULL)
            out[n++] = writes[i];
    for (size_t i = 0; i < nwrites; i++) {
        if (writes[i].before == NULL || writes[i].after == NULL)
            continue;
        parked[i] = parked_row(link, side, &writes[i], arena);
        if (parked[i] != NULL)
            out[n++] = (struct row_write){writes[i].key, writes[i].before, parked[i]};
    }
    for (size_t i = 0; i < nwrites; i++) {
        if (writes[i].after == NULL)
            continue;
        out[n] = writes[i];
        if (parked[i] != NULL)
            out[n].before = parked[i];
        n++;
    }
    *ret_writes = out;
    return n;
}
