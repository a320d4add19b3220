/*
 * cursor.h - reads bytes that nobody vouches for.
 *
 * A read past the end yields zeros (or NULL) and leaves `bad` set, and so does
 * every read after it: a decoder reads a whole structure and looks once.
 */
#ifndef BINLOG_CURSOR_H
#define BINLOG_CURSOR_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct cursor cursor_of(const uint8_t *data, size_t len)
{
    return (struct cursor){data, data + len, false};
}

static inline size_t cursor_left(const struct cursor *c) { return c->bad ? 0 : (size_t)(c->end - c->p); }

static inline const uint8_t *cursor_bytes(struct cursor *c, size_t len)
{
    if (c->bad || len > (size_t)(c->end - c->p)) {
        c->bad = true;
        return NULL;
    }
    const uint8_t *at = c->p;
    c->p += len;
    return at;
}

static inline void cursor_skip(struct cursor *c, size_t len) { (void)cursor_bytes(c, len); }

/* Little-endian, 1 to 8 bytes. Where the length is a constant, as it mostly is, one load. */
static inline uint64_t cursor_le(struct cursor *c, size_t len)
{
    const uint8_t *b = cursor_bytes(c, len);
    uint64_t v = 0;
    uint32_t v4;
    uint16_t v2;
    if (b == NULL)
        return 0;
    switch (len) {
    case 8: memcpy(&v, b, 8); return le64toh(v);
    case 4: memcpy(&v4, b, 4); return le32toh(v4);
    case 2: memcpy(&v2, b, 2); return le16toh(v2);
    default: break;
    }
    for (size_t i = len; i > 0; i--)
        v = v << 8 | b[i - 1];
    return v;
}

/* Big-endian, 0 to 8 bytes. */
static inline uint64_t cursor_be(struct cursor *c, size_t len)
{
    const uint8_t *b = cursor_bytes(c, len);
    uint64_t v = 0;
    for (size_t i = 0; b != NULL && i < len; i++)
        v = v << 8 | b[i];
    return v;
}

/* Length-encoded integer: one byte below 251, or 252, 253, 254 and then 2, 3, 8 bytes. */
static inline uint64_t cursor_lenenc(struct cursor *c)
{
    uint64_t first = cursor_le(c, 1);
    if (first < 251)
        return first;
    if (first == 252)
        return cursor_le(c, 2);
    if (first == 253)
        return cursor_le(c, 3);
    if (first == 254)
        return cursor_le(c, 8);
    c->bad = true;
    return 0;
}

#endif
