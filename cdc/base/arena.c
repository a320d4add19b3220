/*
 * arena.c - a chain of blocks that double in size, so that a transaction of one
 * row stays small in the queue and one of a million rows costs few mallocs.
 * Something large gets a block of its own, behind the one that is being filled.
 *
 * Under AddressSanitizer everything not handed out is poisoned, with a gap
 * behind each piece: else it would not see a read past the end of a value.
 */
#include "cdc/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif

#ifdef WITH_ASAN
/* As in <sanitizer/asan_interface.h>, which not every compiler's package brings. */
void __asan_poison_memory_region(void const volatile *addr, size_t size);
void __asan_unpoison_memory_region(void const volatile *addr, size_t size);
#define GAP_BYTES 16
#define POISON(p, n) __asan_poison_memory_region((p), (n))
#define UNPOISON(p, n) __asan_unpoison_memory_region((p), (n))
#else
#define GAP_BYTES 0
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define FIRST_BYTES ((size_t)976) /* malloc() is quicker up to 1032: a thread has such pieces at hand */
#define MALLOC_BYTES ((size_t)16) /* that it takes beside */
#define LARGEST_BYTES ((size_t)32 * 1024) /* those of one size are used again: less lies idle in the heap */

struct arena_block {
    struct arena_block *next;
    size_t size; /* of data */
    size_t used;
    alignas(max_align_t) char data[];
};

void arena_init(struct arena *a)
{
    a->head = NULL;
    a->bytes = 0;
}

static void free_blocks(struct arena_block *b)
{
    while (b != NULL) {
        struct arena_block *next = b->next;
        UNPOISON(b->data, b->size);
        free(b);
        b = next;
    }
}

void arena_done(struct arena *a)
{
    free_blocks(a->head);
    arena_init(a);
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;
    if (b == NULL)
        return;
    free_blocks(b->next);
    b->next = NULL;
    b->used = 0;
    a->bytes = MALLOC_BYTES + sizeof *b + b->size;
    POISON(b->data, b->size);
}

static struct arena_block *new_block(struct arena *a, size_t size)
{
    struct arena_block *b = mem_alloc(sizeof *b + size);
    b->next = NULL;
    b->size = size;
    b->used = 0;
    a->bytes += MALLOC_BYTES + sizeof *b + size;
    POISON(b->data, size);
    return b;
}

static struct arena_block *block_for(struct arena *a, size_t need)
{
    struct arena_block *head = a->head;
    if (head != NULL && need <= head->size - head->used)
        return head;

    size_t size = FIRST_BYTES - sizeof *head;
    if (head != NULL) {
        size = (head->size + sizeof *head) * 2;
        size = (size > LARGEST_BYTES ? LARGEST_BYTES : size) - sizeof *head;
    }
    if (need > size / 2 && head != NULL) {
        struct arena_block *b = new_block(a, need);
        b->next = head->next;
        head->next = b;
        return b;
    }
    struct arena_block *b = new_block(a, need > size ? need : size);
    b->next = head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);

    /* Past PTRDIFF_MAX malloc() fails, and mem_alloc() ends the process. */
    size_t need = size > SIZE_MAX / 4 ? SIZE_MAX / 2 : (size + GAP_BYTES + align - 1) & ~(align - 1);
    struct arena_block *b = block_for(a, need);
    char *p = b->data + b->used;
    b->used += need;
    UNPOISON(p, size);
    return p;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *p = arena_alloc(a, size);
    memset(p, 0, size);
    return p;
}

char *arena_copy(struct arena *a, const void *data, size_t len)
{
    char *p = arena_alloc(a, len + 1);
    if (len > 0)
        memcpy(p, data, len);
    p[len] = '\0';
    return p;
}
