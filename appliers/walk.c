/*
 * walk.c - the merge of two sorted lists by one who cannot compare their keys.
 *
 * Only the servers know the order of keys (collations, composite keys), so they are
 * asked for ranges, and rows are paired by the bytes of their keys:
 *
 *   1. the left's next n rows. If there are so many, the last of them ends the
 *      chunk; else the chunk is open at its end;
 *   2. the right's rows up to that end, n at most. If there are so many, its
 *      last row ends the chunk, and
 *   3. the left is read again up to that one.
 *
 * A key that the two servers sort differently, or take for the same in spite of its
 * bytes, shows as missing on one side or on both: a false alarm, which the second
 * look under a lock, by the key alone, puts right. Nothing is ever skipped: each
 * side's rows are cut into ranges that leave nothing out in its own order.
 */
#include "appliers/walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"
#include "cdc/base/mem.h"

static void set_after(struct walk *w, const struct key *k)
{
    char *copy = mem_alloc(k->len > 0 ? k->len : 1);

    memcpy(copy, k->data, k->len);
    free((void *)w->after.data);
    w->after = (struct key){copy, k->len};
}

void walk_init(struct walk *w, const struct link *link, struct store *left, struct store *right,
               const struct key *after)
{
    *w = (struct walk){.link = link, .stores = {left, right}};
    if (after != NULL)
        set_after(w, after);
}

void walk_done(struct walk *w)
{
    free((void *)w->after.data);
    w->after = (struct key){NULL, 0};
}

static bool read_side(const struct walk *w, enum side side, const struct key *up_to, size_t limit,
                      struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    const struct key_range range = {w->after.data != NULL ? &w->after : NULL, up_to};

    return w->stores[side]->ops->range(w->stores[side], &range, limit, ret_rows, arena, err) ||
           err_prefix(err, "read %s rows", side_name(side));
}

/* ---- Pairing ---- */

struct index {
    const struct store_rows *rows;
    size_t *slots; /* index + 1; 0: free */
    size_t nslots; /* a power of two */
};

static size_t *index_slot(const struct index *x, const struct key *k)
{
    for (size_t i = key_hash(k) & (x->nslots - 1);; i = (i + 1) & (x->nslots - 1))
        if (x->slots[i] == 0 || key_equal(&x->rows->keys[x->slots[i] - 1], k))
            return &x->slots[i];
}

static void index_build(struct index *x, const struct store_rows *rows, struct arena *arena)
{
    x->rows = rows;
    x->nslots = 4;
    while (x->nslots < 2 * rows->count)
        x->nslots *= 2;
    x->slots = arena_zalloc(arena, x->nslots * sizeof *x->slots);
    for (size_t i = 0; i < rows->count; i++)
        *index_slot(x, &rows->keys[i]) = i + 1;
}

static void add_pair(struct walk_chunk *c, const struct link *link, const struct key *key,
                     const struct value *left, const struct value *right)
{
    assert(key != NULL);
    c->pairs[c->npairs++] = (struct walk_pair){*key, {left, right}, decide_same(link, left, right)};
}

static void pair_rows(const struct walk *w, const struct store_rows *left, const struct store_rows *right,
                      struct walk_chunk *c, struct arena *arena)
{
    struct index x;
    bool *met = arena_zalloc(arena, right->count + 1);

    c->pairs = arena_alloc(arena, (left->count + right->count + 1) * sizeof *c->pairs);
    index_build(&x, right, arena);
    for (size_t i = 0; i < left->count; i++) {
        size_t slot = *index_slot(&x, &left->keys[i]);

        if (slot > 0)
            met[slot - 1] = true;
        add_pair(c, w->link, &left->keys[i], left->rows[i], slot > 0 ? right->rows[slot - 1] : NULL);
    }
    for (size_t i = 0; i < right->count; i++)
        if (!met[i])
            add_pair(c, w->link, &right->keys[i], NULL, right->rows[i]);
}

bool walk_read(struct walk *w, size_t rows, struct walk_chunk *ret_chunk, struct arena *arena,
               struct err *err)
{
    struct store_rows left, right;
    const struct key *end = NULL;

    if (!read_side(w, SIDE_LEFT, NULL, rows, &left, arena, err))
        return false;
    if (left.count == rows)
        end = &left.keys[left.count - 1];
    if (!read_side(w, SIDE_RIGHT, end, rows, &right, arena, err))
        return false;
    if (right.count == rows) {
        end = &right.keys[right.count - 1];
        if (!read_side(w, SIDE_LEFT, end, rows, &left, arena, err))
            return false;
    }
    *ret_chunk = (struct walk_chunk){.end = end != NULL ? *end : (struct key){NULL, 0}};
    pair_rows(w, &left, &right, ret_chunk, arena);
    return true;
}

bool walk_advance(struct walk *w, const struct walk_chunk *chunk)
{
    if (chunk->end.data == NULL)
        return false;
    set_after(w, &chunk->end);
    return true;
}
