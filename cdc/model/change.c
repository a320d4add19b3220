#include "cdc/model/change.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/mem.h"

#define LENGTH_BYTES 4
#define PRINT_BYTES 200 /* of a key in a log line, about */

/* In its own arena, so that most transactions are one piece of memory. */
struct tx *tx_new(void)
{
    struct arena arena;
    arena_init(&arena);
    struct tx *tx = arena_zalloc(&arena, sizeof *tx);
    tx->arena = arena;
    return tx;
}

void tx_free(struct tx *tx)
{
    if (tx == NULL)
        return;
    struct arena arena = tx->arena;
    if (!tx->pos_is_inside)
        pos_done(&tx->pos);
    arena_done(&arena);
}

/* The arena cannot take back the old array; doubling keeps that below the size
 * of the new one. Pointers to earlier changes are good until the next call. */
struct change *tx_add_change(struct tx *tx)
{
    if (tx->nchanges == tx->changes_cap) {
        size_t cap = tx->changes_cap > 0 ? tx->changes_cap * 2 : 1;
        struct change *changes = arena_alloc(&tx->arena, cap * sizeof *changes);
        if (tx->nchanges > 0)
            memcpy(changes, tx->changes, tx->nchanges * sizeof *changes);
        tx->changes = changes;
        tx->changes_cap = cap;
    }
    struct change *c = &tx->changes[tx->nchanges++];
    memset(c, 0, sizeof *c);
    return c;
}

static void *copy_in(struct arena *arena, const void *from, size_t bytes)
{
    return bytes > 0 ? memcpy(arena_alloc(arena, bytes), from, bytes) : NULL;
}

static char *copy_text_in(struct arena *arena, const char *text)
{
    return text != NULL ? arena_copy(arena, text, strlen(text)) : NULL;
}

void tx_set_pos(struct tx *tx, const struct pos *pos)
{
    assert(pos_is_unset(&tx->pos));
    struct gtid_set set = {copy_in(&tx->arena, pos->set.sources, pos->set.nsources * sizeof *set.sources),
                           pos->set.nsources};
    for (size_t i = 0; set.sources != NULL && i < set.nsources; i++)
        set.sources[i].ranges = copy_in(&tx->arena, pos->set.sources[i].ranges,
                                        set.sources[i].nranges * sizeof(struct gtid_range));
    tx->pos = (struct pos){
        .server = copy_text_in(&tx->arena, pos->server),
        .file = copy_text_in(&tx->arena, pos->file),
        .offset = pos->offset,
        .gtids = copy_in(&tx->arena, pos->gtids, pos->ngtids * sizeof *pos->gtids),
        .ngtids = pos->ngtids,
        .set = set,
    };
    tx->pos_is_inside = true;
}

size_t tx_bytes(const struct tx *tx)
{
    return tx->arena.bytes + (tx->pos_is_inside ? 0 : pos_bytes(&tx->pos));
}

static void write_length(char *to, uint32_t n)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        to[i] = (char)(n >> (8 * i));
}

static uint32_t read_length(const char *from)
{
    uint32_t n = 0;
    for (int i = 0; i < LENGTH_BYTES; i++)
        n |= (uint32_t)(unsigned char)from[i] << (8 * i);
    return n;
}

bool key_of(const struct link *link, const struct value *row, struct arena *arena, struct key *ret_key)
{
    size_t len = 0;
    for (size_t i = 0; i < link->nkey; i++) {
        const struct value *v = &row[link->key[i]];
        if (v->state != VALUE_SET)
            return false;
        len += LENGTH_BYTES + v->len;
    }

    char *data = arena_alloc(arena, len);
    char *to = data;
    for (size_t i = 0; i < link->nkey; i++) {
        const struct value *v = &row[link->key[i]];
        write_length(to, v->len);
        if (v->len > 0)
            memcpy(to + LENGTH_BYTES, v->data, v->len);
        to += LENGTH_BYTES + v->len;
    }
    *ret_key = (struct key){data, len};
    return true;
}

bool key_equal(const struct key *a, const struct key *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* FNV-1a, and the last steps of murmur3: the low bits choose the slot of a table. */
uint64_t key_hash(const struct key *k)
{
    uint64_t h = hash_fnv1a(HASH_FNV1A, k->data, k->len);
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

/* Moves *at behind the next value. Keys come back from a table that others can write to. */
static bool next_value(const struct key *k, size_t *at, struct value *ret_value)
{
    if (k->len - *at < LENGTH_BYTES)
        return false;
    uint32_t len = read_length(k->data + *at);
    if (len > k->len - *at - LENGTH_BYTES)
        return false;
    *ret_value = (struct value){k->data + *at + LENGTH_BYTES, len, VALUE_SET};
    *at += LENGTH_BYTES + len;
    return true;
}

bool key_to_row(const struct link *link, const struct key *k, struct value *row)
{
    for (size_t i = 0; i < link->nfields; i++)
        row[i] = (struct value){NULL, 0, VALUE_MISSING};

    size_t at = 0;
    for (size_t i = 0; i < link->nkey; i++)
        if (!next_value(k, &at, &row[link->key[i]]))
            return false;
    return at == k->len;
}

static bool is_key(const struct link *link, const struct key *k)
{
    struct value v;
    size_t at = 0;
    for (size_t i = 0; i < link->nkey; i++)
        if (!next_value(k, &at, &v))
            return false;
    return at == k->len;
}

/* A backslash is printed as \x5c, so that what is printed has one meaning only. */
static bool print_bytes(const char *data, size_t len, size_t end, struct buf *out)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        if (out->len >= end)
            return false;
        if (c >= 0x20 && c < 0x7f && c != '\\')
            buf_addc(out, (char)c);
        else
            buf_addf(out, "\\x%02x", c);
        if (out->overrun)
            return false;
    }
    return true;
}

void key_print(const struct link *link, const struct key *k, struct buf *out)
{
    const size_t end = out->len + PRINT_BYTES;
    size_t at = 0;

    if (!is_key(link, k)) {
        buf_adds(out, "(not a key)");
        return;
    }
    for (size_t i = 0; i < link->nkey; i++) {
        const char *name = link->fields[link->key[i]].column[SIDE_LEFT]->name;
        struct value v;
        if (!next_value(k, &at, &v))
            return; /* is_key() would have said so */
        if (i > 0)
            buf_addc(out, ',');
        if (!print_bytes(name, strlen(name), end, out) || !print_bytes("=", 1, end, out) ||
            !print_bytes(v.data, v.len, end, out)) {
            buf_adds(out, "...");
            return;
        }
    }
}

bool row_equal(const struct link *link, const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < link->nfields; i++)
        if (!value_equal(&a[i], &b[i]))
            return false;
    return true;
}
