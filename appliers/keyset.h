/*
 * keyset.h - a set of keys, told apart by their bytes, that stays small: where one more
 * would not fit it forgets all of them first. So it is for what may be done twice.
 */
#ifndef APPLIERS_KEYSET_H
#define APPLIERS_KEYSET_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/arena.h"
#include "cdc/model/change.h"

struct keyset {
    struct arena arena; /* the keys' bytes */
    struct key *slots;  /* hash table; data NULL: free; NULL while the set is empty */
    size_t count;
};

void keyset_init(struct keyset *s);
void keyset_clear(struct keyset *s);                    /* frees all memory; the set may be used again */
void keyset_add(struct keyset *s, const struct key *k); /* copies it */
bool keyset_has(const struct keyset *s, const struct key *k);

#endif
