/*
 * hash.h - SHA-256, for names of rows that tell nothing about them; FNV-1a, for tables in memory.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The same for texts of more than a few bytes that are hashed all the time: eight at once. */
static inline uint64_t hash_words(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t word;

    for (; len >= sizeof word; len -= sizeof word, bytes += sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    for (word = len; len > 0; len--)
        word = word << 8 | bytes[len - 1];
    return (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
