/*
 * hash.h - SHA-256, for names of rows that tell nothing about them; FNV-1a, for tables in memory.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_BYTES 32

void hash_sha256(const void *data, size_t len, unsigned char out[HASH_BYTES]);

#define HASH_FNV1A UINT64_C(0xcbf29ce484222325) /* of no bytes */

/* Goes on from `hash`, so that several pieces can be hashed as one. Quick; anyone can make two texts meet. */
static inline uint64_t hash_fnv1a(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
