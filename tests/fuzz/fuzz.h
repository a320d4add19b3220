/*
 * fuzz.h - what the fuzz targets share. Each target is one file fuzz_NAME.c with a
 * LLVMFuzzerTestOneInput(), and corpus/NAME holds inputs that reach far into it,
 * those that once broke something among them. With the preset "fuzz" a target is
 * linked with libFuzzer, in every other with replay.c, which runs the corpus.
 *
 * An input is read front to back; where it ends, zeros follow.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An assertion about any input. */
#define fuzz_check(what)                                                              \
    do {                                                                              \
        if (!(what)) {                                                                \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                                  \
        }                                                                             \
    } while (0)

struct input {
    const uint8_t *p;
    size_t len;
};

static inline uint8_t input_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->p++;
}

static inline uint16_t input_u16(struct input *in)
{
    uint16_t low = input_byte(in);
    return (uint16_t)(low | input_byte(in) << 8);
}

/* As many bytes as there are, at most len, in memory of exactly that size, to be freed: what reads past them is seen. */
static inline uint8_t *input_copy(struct input *in, size_t len, size_t *ret_len)
{
    if (len > in->len)
        len = in->len;
    uint8_t *copy = malloc(len);
    if (copy == NULL)
        abort();
    if (len > 0)
        memcpy(copy, in->p, len);
    in->p += len;
    in->len -= len;
    *ret_len = len;
    return copy;
}

/* Likewise, with a NUL behind, to the next NUL or the end of the input. */
static inline char *input_string(struct input *in)
{
    size_t len = strnlen((const char *)in->p, in->len);
    char *copy = mem_strndup((const char *)in->p, len);
    in->p += len < in->len ? len + 1 : len;
    in->len -= len < in->len ? len + 1 : len;
    return copy;
}

/* Reads every byte, so that a sanitizer sees those that must not be read. */
static inline void fuzz_touch(const void *data, size_t len)
{
    unsigned char sum = 0;
    for (size_t i = 0; i < len; i++)
        sum ^= ((const unsigned char *)data)[i];
    __asm__ volatile("" : : "r"(sum)); /* not to be left out */
}

#endif
