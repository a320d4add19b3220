/*
 * walk.c - the merge of two sorted lists by one who cannot compare their keys.
 *
 * Only the servers know the order of keys (collations, composite keys), so they are
 * asked for ranges, and rows are paired by the bytes of their keys:
 *
 *   1. the left's next n rows. If there are so many, the last of them ends the
 *      range; else it is open at its end;
 *   2. the right's rows of that range. If there are 2n of them or more, what the left has
 *      that found no partner among the first 2n is looked up on the right by key, so that
 *      every row of the left is shown with its partner at one moment, and
 *   3. the rest of the right's rows follows in chunks of its own, up to the end of
 *      the range, each with what the left has under its key; what has been shown is left out.
 *
 * Nothing is ever skipped, and the walk ends, whatever the order of each side and whoever
 * writes meanwhile: the ends of the ranges are keys of the left and go forward in its
 * order. Both sides read all of each range, (k1, k2], (k2, k3] and so on, the first one
 * from the beginning and the last one without an end; so every row lies in one of them
 * also where the k's do not ascend. Nothing is read a second time and cut to the
 * same number of rows: new rows would push old ones out at its end.
 *
 * A key that the two servers sort differently, or take for the same in spite of its
 * bytes, may show as missing on one side or on both: a false alarm, which the second
 * look under a lock, by the key alone, puts right.
 */
#include "appliers/walk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"
#include "cdc/base/mem.h"

static void set_key(struct key *to, const struct key *k)
{
    char *copy = NULL;

    if (k->data != NULL) {
        copy = mem_alloc(k->len > 0 ? k->len : 1);
        memcpy(copy, k->data, k->len);
    }
    free((void *)to->data);
    *to = (struct key){copy, k->len};
}

static void forget_shown(struct walk *w)
{
    for (size_t i = 0; i < w->shown.count; i++)
        free((void *)w->shown.keys[i].data);
    free(w->shown.keys);
    w->shown = (struct store_rows){.count = 0};
}

static void set_shown(struct walk *w, const struct store_rows *left)
{
    forget_shown(w);
    w->shown.keys = mem_zalloc(left->count + 1, sizeof *w->shown.keys);
    for (size_t i = 0; i < left->count; i++)
        set_key(&w->shown.keys[w->shown.count++], &left->keys[i]);
}

void walk_init(struct walk *w, const struct link *link, struct store *left, struct store *right,
               const struct key *after)
{
    *w = (struct walk){.link = link, .stores = {left, right}};
    if (after != NULL)
        set_key(&w->after, after);
}

void walk_done(struct walk *w)
{
    free((void *)w->after.data);
    free((void *)w->rest_after.data);
    free((void *)w->rest_end.data);
    forget_shown(w);
    *w = (struct walk){.link = w->link};
}

static bool read_side(const struct walk *w, enum side side, const struct key *after, const struct key *up_to,
                      size_t limit, struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    const struct key_range range = {after->data != NULL ? after : NULL, up_to->data != NULL ? up_to : NULL,
                                    w->exact[side]};

    return w->stores[side]->ops->range(w->stores[side], &range, limit, ret_rows, arena, err) ||
           err_prefix(err, "read %s rows", side_name(side));
}

static bool look_up(const struct walk *w, enum side side, const struct key *keys, size_t nkeys,
                    const struct value ***ret_rows, struct arena *arena, struct err *err)
{
    *ret_rows = arena_zalloc(arena, (nkeys + 1) * sizeof **ret_rows);
    return nkeys == 0 || w->stores[side]->ops->read(w->stores[side], keys, nkeys, *ret_rows, arena, err) ||
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

/* looked_up: the side whose row was not read as part of a range; or neither. */
enum { NEITHER = 2 };

static void add_pair(struct walk_chunk *c, const struct walk *w, const struct key *key,
                     const struct value *left, const struct value *right, int looked_up)
{
    assert(key != NULL);
    c->pairs[c->npairs++] = (struct walk_pair){
        .key = *key,
        .row = {left, right},
        .exact = {w->exact[SIDE_LEFT] && looked_up != SIDE_LEFT,
                  w->exact[SIDE_RIGHT] && looked_up != SIDE_RIGHT},
        .same = decide_same(w->link, left, right),
    };
}

/* The left's rows that have no partner here: it may stand in the rest. */
static bool add_lonely(const struct walk *w, const struct store_rows *left, const size_t *lonely,
                       size_t nlonely, struct walk_chunk *c, struct arena *arena, struct err *err)
{
    const struct value **right = arena_zalloc(arena, (nlonely + 1) * sizeof *right);
    struct key *keys = arena_alloc(arena, (nlonely + 1) * sizeof *keys);

    for (size_t i = 0; i < nlonely; i++)
        keys[i] = left->keys[lonely[i]];
    if (c->rest.data != NULL && !look_up(w, SIDE_RIGHT, keys, nlonely, &right, arena, err))
        return false;
    for (size_t i = 0; i < nlonely; i++)
        add_pair(c, w, &keys[i], left->rows[lonely[i]], right[i], SIDE_RIGHT);
    return true;
}

static bool pair_rows(const struct walk *w, const struct store_rows *left, const struct store_rows *right,
                      struct walk_chunk *c, struct arena *arena, struct err *err)
{
    struct index x;
    bool *met = arena_zalloc(arena, right->count + 1);
    size_t *lonely = arena_alloc(arena, (left->count + 1) * sizeof *lonely), nlonely = 0;

    c->pairs = arena_alloc(arena, (left->count + right->count + 1) * sizeof *c->pairs);
    index_build(&x, right, arena);
    for (size_t i = 0; i < left->count; i++) {
        size_t slot = *index_slot(&x, &left->keys[i]);

        if (slot > 0) {
            met[slot - 1] = true;
            add_pair(c, w, &left->keys[i], left->rows[i], right->rows[slot - 1], NEITHER);
        } else {
            lonely[nlonely++] = i;
        }
    }
    for (size_t i = 0; i < right->count; i++)
        if (!met[i])
            add_pair(c, w, &right->keys[i], NULL, right->rows[i], NEITHER);
    return add_lonely(w, left, lonely, nlonely, c, arena, err);
}

/* ---- Chunks ---- */

static void set_ends(struct walk_chunk *c, const struct store_rows *right)
{
    const bool has_rest = right->more;

    if (has_rest)
        c->rest = right->keys[right->count - 1];
    /* In the midst of a range the left may have rows on both sides of this place, if its order is another one. */
    if (!has_rest)
        c->end = c->range_end;
    else if (c->range_end.data == NULL)
        c->end = c->rest; /* the left has been read to its end */
}

static bool read_range(struct walk *w, size_t rows, const struct walk_first *first, struct walk_chunk *c,
                       struct arena *arena, struct err *err)
{
    const struct key none = {NULL, 0};
    struct store_rows left, right;

    if (first != NULL)
        left = first->rows;
    else if (!read_side(w, SIDE_LEFT, &w->after, &none, rows, &left, arena, err))
        return false;
    if (left.more)
        c->range_end = left.keys[left.count - 1];
    if (!read_side(w, SIDE_RIGHT, &w->after, &c->range_end, 2 * rows, &right, arena, err))
        return false;
    set_ends(c, &right);
    c->left = left;
    return pair_rows(w, &left, &right, c, arena, err);
}

static bool read_rest(struct walk *w, size_t rows, const struct walk_first *first, struct walk_chunk *c,
                      struct arena *arena, struct err *err)
{
    struct store_rows right;
    const struct value **left;
    struct index x;

    if (w->rest_end.data != NULL)
        c->range_end = (struct key){arena_copy(arena, w->rest_end.data, w->rest_end.len), w->rest_end.len};
    if (first != NULL)
        right = first->rows;
    else if (!read_side(w, SIDE_RIGHT, &w->rest_after, &c->range_end, rows, &right, arena, err))
        return false;
    if (!look_up(w, SIDE_LEFT, right.keys, right.count, &left, arena, err))
        return false;
    set_ends(c, &right);
    index_build(&x, &w->shown, arena);
    c->pairs = arena_alloc(arena, (right.count + 1) * sizeof *c->pairs);
    for (size_t i = 0; i < right.count; i++)
        if (*index_slot(&x, &right.keys[i]) == 0)
            add_pair(c, w, &right.keys[i], left[i], right.rows[i], SIDE_LEFT);
    return true;
}

bool walk_read(struct walk *w, size_t rows, const struct walk_first *first, struct walk_chunk *ret_chunk,
               struct arena *arena, struct err *err)
{
    struct walk_chunk c = {0};

    assert(first == NULL || walk_begins_with(w, first));
    if (first != NULL)
        rows = first->limit;
    if (!(w->rest_after.data != NULL ? read_rest : read_range)(w, rows, first, &c, arena, err))
        return false;
    *ret_chunk = c;
    return true;
}

/* ---- Ahead ---- */

static bool is_same_end(const struct key *a, const struct key *b)
{
    return a->data == NULL || b->data == NULL ? a->data == b->data : key_equal(a, b);
}

bool walk_begins_with(const struct walk *w, const struct walk_first *first)
{
    const struct key none = {NULL, 0};
    const bool rest = w->rest_after.data != NULL;

    return first->side == (rest ? SIDE_RIGHT : SIDE_LEFT) && (first->exact || !w->exact[first->side]) &&
           is_same_end(&first->after, rest ? &w->rest_after : &w->after) &&
           is_same_end(&first->up_to, rest ? &w->rest_end : &none);
}

bool walk_next_first(const struct walk *w, const struct walk_chunk *chunk, size_t rows,
                     struct walk_first *ret_first)
{
    struct walk_first f = {.side = SIDE_LEFT, .after = chunk->range_end, .limit = rows};

    if (chunk->rest.data != NULL) {
        f.side = SIDE_RIGHT;
        f.after = chunk->rest;
        f.up_to = chunk->range_end;
    }
    f.exact = w->exact[f.side];
    *ret_first = f;
    return f.after.data != NULL;
}

bool walk_advance(struct walk *w, const struct walk_chunk *chunk)
{
    const struct key none = {NULL, 0};

    if (chunk->rest.data != NULL) {
        if (w->rest_after.data == NULL) {
            set_key(&w->rest_end, &chunk->range_end);
            set_shown(w, &chunk->left);
        }
        set_key(&w->rest_after, &chunk->rest);
        return true;
    }
    set_key(&w->rest_after, &none);
    forget_shown(w);
    if (chunk->range_end.data == NULL)
        return false;
    set_key(&w->after, &chunk->range_end);
    return true;
}
