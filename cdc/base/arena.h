/*
 * arena.h - memory that lives as long as one transaction.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_block;
struct arena {
    struct arena_block *head;
    size_t bytes; /* of memory so far, malloc's own among them */
};

void arena_init(struct arena *a);
void arena_done(struct arena *a);  /* frees all; the arena may be used again */
void arena_reset(struct arena *a); /* forgets all, keeps one block for reuse */

/* Aligned for any type, never NULL: out of memory ends the process with a
 * message (see mem.h). Contents are not cleared. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_zalloc(struct arena *a, size_t size);
/* The copy is followed by a NUL that len does not count. */
char *arena_copy(struct arena *a, const void *data, size_t len);

#endif
