/*
 * mem.h - allocation that cannot fail: a daemon that has no memory left has
 * nothing better to do than to end, say so, and be started again from its
 * checkpoint. Sizes that come from the network are checked before they get here.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t count, size_t size);
void *mem_realloc(void *ptr, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n);
/* Overwrites, in a way no compiler removes, then frees. NULL is fine. */
void mem_wipe_free(void *ptr, size_t size);
void mem_wipe(void *ptr, size_t size);

#endif
