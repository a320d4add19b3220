#include "appliers/keyset.h"

#include <stdlib.h>

#include "cdc/base/mem.h"

enum {
    SLOTS = 8192, /* a power of two */
    MAX_COUNT = SLOTS / 2,
    MAX_BYTES = 512 << 10,
};

void keyset_init(struct keyset *s)
{
    *s = (struct keyset){.slots = NULL};
    arena_init(&s->arena);
}

void keyset_clear(struct keyset *s)
{
    arena_done(&s->arena);
    free(s->slots);
    s->slots = NULL;
    s->count = 0;
}

static struct key *find_slot(const struct keyset *s, const struct key *k)
{
    for (size_t i = key_hash(k) & (SLOTS - 1);; i = (i + 1) & (SLOTS - 1))
        if (s->slots[i].data == NULL || key_equal(&s->slots[i], k))
            return &s->slots[i];
}

void keyset_add(struct keyset *s, const struct key *k)
{
    if (keyset_has(s, k))
        return;
    if (s->count == MAX_COUNT || s->arena.bytes + k->len > MAX_BYTES)
        keyset_clear(s);
    if (s->slots == NULL)
        s->slots = mem_zalloc(SLOTS, sizeof *s->slots);
    *find_slot(s, k) = (struct key){arena_copy(&s->arena, k->data, k->len), k->len};
    s->count++;
}

bool keyset_has(const struct keyset *s, const struct key *k)
{
    return s->slots != NULL && find_slot(s, k)->data != NULL;
}
