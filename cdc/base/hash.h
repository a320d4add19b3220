/*
 * hash.h - SHA-256, for names of rows that tell nothing about them.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>

#define HASH_BYTES 32

void hash_sha256(const void *data, size_t len, unsigned char out[HASH_BYTES]);

#endif
