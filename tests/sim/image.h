/*
 * image.h - copies of a world, and the heap of the code that runs in one.
 *
 * What the protocol's code allocates comes from one region, so that a copy of the region, of the stacks and of the
 * world's own structs is a copy of everything: put back to where it was, the code goes on as if nothing had happened
 * since. Where a sanitizer looks on, memory is malloc's own and there are no copies.
 */
#ifndef SIM_IMAGE_H
#define SIM_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IMAGE_BY_COPY 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define IMAGE_BY_COPY 0
#endif
#endif
#ifndef IMAGE_BY_COPY
#define IMAGE_BY_COPY 1
#endif

struct image { /* begins as {0} */
    char *data;
    size_t at, size;
    bool saves; /* or puts back */
};

void image_begin(struct image *im, bool saves);
/* Saves the next size bytes, or puts them back: the same parts in the same order. */
void image_part(struct image *im, void *part, size_t size);
void image_done(struct image *im);

/* Between these malloc() takes from the region. free() knows by itself. */
void heap_enter(void);
void heap_leave(void);
void heap_part(struct image *im);

#endif
