#include "cdc/base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Says it without allocating, and leaves no core file behind: there may be keys in it. */
_Noreturn static void die(size_t size)
{
    char text[80];
    int n = snprintf(text, sizeof text, "twinlog: out of memory (%zu bytes wanted), ending\n", size);
    if (write(STDERR_FILENO, text, (size_t)n) != n)
        _exit(1);
    _exit(1);
}

void *mem_alloc(size_t size)
{
    void *p = malloc(size != 0 ? size : 1);
    if (p == NULL)
        die(size);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    void *p = count != 0 && size != 0 ? calloc(count, size) : calloc(1, 1);
    if (p == NULL)
        die(count > 1 ? SIZE_MAX : size);
    return p;
}

void *mem_realloc(void *ptr, size_t size)
{
    void *p = realloc(ptr, size != 0 ? size : 1);
    if (p == NULL)
        die(size);
    return p;
}

char *mem_strdup(const char *s) { return mem_strndup(s, strlen(s)); }

char *mem_strndup(const char *s, size_t n)
{
    size_t len = strnlen(s, n);
    char *p = mem_alloc(len + 1);
    memcpy(p, s, len);
    p[len] = '\0';
    return p;
}

void mem_wipe(void *ptr, size_t size)
{
    if (size != 0)
        explicit_bzero(ptr, size);
}

void mem_wipe_free(void *ptr, size_t size)
{
    if (ptr == NULL)
        return;
    mem_wipe(ptr, size);
    free(ptr);
}
