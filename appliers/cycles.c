/*
 * cycles.c - a hash table from each UNIQUE value that a row holds to the row.
 */
#include "appliers/cycles.h"

#include <stdlib.h>

#include "cdc/base/hash.h"
#include "cdc/base/mem.h"

struct holder {
    size_t row; /* + 1; 0: free slot */
    size_t field;
};

struct cycles {
    const struct link *link;
    const struct waiting_row *rows;
    size_t nrows;
    struct holder *slots; /* open addressing, a power of two */
    size_t nslots;
};

static bool is_unique(const struct cycles *c, size_t field, enum side side)
{
    for (size_t k = 0; k < c->link->nkey; k++)
        if (c->link->key[k] == field)
            return false;
    return c->link->fields[field].column[side]->in_unique;
}

static size_t slot_of(const struct cycles *c, size_t field, const struct value *v)
{
    uint64_t hash = hash_fnv1a(HASH_FNV1A ^ field, v->data, v->len);

    return (size_t)(hash ^ hash >> 32) & (c->nslots - 1);
}

static void add_row(struct cycles *c, size_t row)
{
    const struct waiting_row *w = &c->rows[row];

    for (size_t f = 0; w->held != NULL && f < c->link->nfields; f++) {
        if (w->held[f].state != VALUE_SET || !is_unique(c, f, side_peer(w->source)))
            continue;
        size_t at = slot_of(c, f, &w->held[f]);

        while (c->slots[at].row != 0)
            at = (at + 1) & (c->nslots - 1);
        c->slots[at] = (struct holder){row + 1, f};
    }
}

struct cycles *cycles_new(const struct link *link, const struct waiting_row *rows, size_t nrows)
{
    struct cycles *c = mem_zalloc(1, sizeof *c);

    *c = (struct cycles){.link = link, .rows = rows, .nrows = nrows, .nslots = 16};
    while (c->nslots < 2 * nrows * link->nfields)
        c->nslots *= 2;
    c->slots = mem_zalloc(c->nslots, sizeof *c->slots);
    for (size_t i = 0; i < nrows; i++)
        add_row(c, i);
    return c;
}

void cycles_free(struct cycles *c)
{
    if (c != NULL)
        free(c->slots);
    free(c);
}

/* Those that hold what the row wants in this field, and are not in the set yet. */
static size_t add_holders(const struct cycles *c, size_t row, size_t field, bool *in, size_t *ret_rows)
{
    const struct waiting_row *w = &c->rows[row];
    const struct value *v = &w->wanted[field];
    size_t n = 0;

    for (size_t at = slot_of(c, field, v); c->slots[at].row != 0; at = (at + 1) & (c->nslots - 1)) {
        size_t other = c->slots[at].row - 1;

        if (c->slots[at].field != field || in[other] || c->rows[other].source != w->source ||
            !value_equal(&c->rows[other].held[field], v))
            continue;
        in[other] = true;
        ret_rows[n++] = other;
    }
    return n;
}

size_t cycles_of(const struct cycles *c, size_t first, size_t *ret_rows)
{
    bool *in = mem_zalloc(c->nrows, sizeof *in);
    size_t n = 1;

    ret_rows[0] = first;
    in[first] = true;
    for (size_t i = 0; i < n; i++) {
        const struct waiting_row *w = &c->rows[ret_rows[i]];

        for (size_t f = 0; w->wanted != NULL && f < c->link->nfields; f++)
            if (w->wanted[f].state == VALUE_SET && is_unique(c, f, side_peer(w->source)))
                n += add_holders(c, ret_rows[i], f, in, ret_rows + n);
    }
    free(in);
    return n;
}
