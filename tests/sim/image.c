/*
 * image.c - the region: pieces of fixed sizes, each with its size in front, those that were freed in one list for each
 * size. The lists stand in the region too. All that was ever handed out stands below `top`, which stays low, because a
 * world allocates little and mostly the same.
 */
#include "tests/sim/image.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void image_begin(struct image *im, bool saves)
{
    im->at = 0;
    im->saves = saves;
}

void image_part(struct image *im, void *part, size_t size)
{
    if (im->saves && im->at + size > im->size) {
        im->size = (im->at + size) * 2;
        im->data = mem_realloc(im->data, im->size);
    }
    if (im->saves)
        memcpy(im->data + im->at, part, size);
    else
        memcpy(part, im->data + im->at, size);
    im->at += size;
}

void image_done(struct image *im) { free(im->data); }

#if IMAGE_BY_COPY

enum { STEP = 16, SMALL = 1536, NSMALL = SMALL / STEP, NLARGE = 8, REGION_BYTES = 8 << 20 };

struct piece {
    alignas(max_align_t) size_t kind;
    alignas(max_align_t) struct piece *next; /* where the caller's bytes begin */
};

struct region {
    struct piece *unused[NSMALL + NLARGE];
    size_t top; /* bytes of data */
    alignas(max_align_t) char data[REGION_BYTES];
};

static struct region region;
static bool inside;

/* The linker sends calls of malloc() here, and those of __real_malloc() to the C library. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void __real_free(void *ptr);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void __wrap_free(void *ptr);

/* Small ones in steps of 16 bytes, larger ones double. */
static size_t kind_of(size_t size)
{
    size_t kind = NSMALL;

    if (size <= SMALL)
        return size > 0 ? (size - 1) / STEP : 0;
    for (size_t bytes = (size_t)SMALL * 2; bytes < size; bytes *= 2)
        kind++;
    return kind;
}

static size_t kind_bytes(size_t kind)
{
    return kind < NSMALL ? (kind + 1) * STEP : (size_t)SMALL * 2 << (kind - NSMALL);
}

static bool is_ours(const void *ptr)
{
    const char *p = ptr;

    return p >= region.data && p < region.data + REGION_BYTES;
}

static struct piece *piece_of(void *ptr)
{
    return (struct piece *)(void *)((char *)ptr - offsetof(struct piece, next));
}

void *__wrap_malloc(size_t size)
{
    if (!inside)
        return __real_malloc(size);
    size_t kind = kind_of(size);

    if (kind >= NSMALL + NLARGE)
        abort();
    struct piece *p = region.unused[kind];

    if (p != NULL) {
        region.unused[kind] = p->next;
        return &p->next;
    }
    p = (struct piece *)(void *)(region.data + region.top);
    region.top += offsetof(struct piece, next) + kind_bytes(kind);
    if (region.top > REGION_BYTES)
        abort();
    p->kind = kind;
    return &p->next;
}

void __wrap_free(void *ptr)
{
    if (!is_ours(ptr)) {
        __real_free(ptr);
        return;
    }
    struct piece *p = piece_of(ptr);

    p->next = region.unused[p->kind];
    region.unused[p->kind] = p;
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (!inside)
        return __real_calloc(count, size);
    if (size > 0 && count > REGION_BYTES / size)
        abort();
    return memset(__wrap_malloc(count * size), 0, count * size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    if (ptr != NULL && !is_ours(ptr))
        return __real_realloc(ptr, size);
    if (ptr == NULL)
        return __wrap_malloc(size);
    size_t has = kind_bytes(piece_of(ptr)->kind);

    if (size <= has)
        return ptr;
    bool was = inside;

    inside = true; /* it stays where it was made */
    void *larger = memcpy(__wrap_malloc(size), ptr, has);

    inside = was;
    __wrap_free(ptr);
    return larger;
}

void heap_enter(void) { inside = true; }
void heap_leave(void) { inside = false; }

void heap_part(struct image *im)
{
    image_part(im, &region, offsetof(struct region, data));
    image_part(im, region.data, region.top);
}

#else

void heap_enter(void) {}
void heap_leave(void) {}
void heap_part(struct image *im) { (void)im; }

#endif
