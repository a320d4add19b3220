/*
 * The body is a row of fields, each type, length and value, all numbers length-encoded:
 *
 *   1  size of what is behind the fields
 *   2  compression: 0 zstd, 255 none
 *   3  size when uncompressed
 *   0  the end of the fields; no length
 *
 * Source: mysql/binlog/event/codecs of the MySQL server. The sizes are the sender's word:
 * nothing is allocated for them, and an event may not grow beyond the protocol's own limit.
 */
#include "cdc/binlog/payload.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "cdc/binlog/cursor.h"
#include "cdc/binlog/event.h"

enum {
    FIELD_END = 0,
    FIELD_SIZE = 1,
    FIELD_COMPRESSION = 2,
    FIELD_UNCOMPRESSED = 3,
    COMPRESSION_ZSTD = 0,
    COMPRESSION_NONE = 255,
    WINDOW_LOG_MAX = 27, /* zstd's own limit for streams: 128 MiB */
    FIRST_BYTES = 64 * 1024,
};
#define EVENT_MAX ((uint64_t)1 << 30) /* max_allowed_packet's own limit */

struct payload {
    ZSTD_DCtx *zstd;
    ZSTD_inBuffer in; /* what is not decompressed yet */
    bool compressed;
    char *out; /* decompressed bytes; those from `begin` on have not been handed out */
    size_t begin, end, cap;
};

struct payload *payload_new(void) { return mem_zalloc(1, sizeof(struct payload)); }

void payload_free(struct payload *p)
{
    if (p == NULL)
        return;
    ZSTD_freeDCtx(p->zstd);
    free(p->out);
    free(p);
}

static bool malformed(struct err *err, const char *what)
{
    return err_set(err, ERR_RETRY, 0, "malformed compressed transaction in the binlog: %s", what);
}

static bool read_fields(struct cursor *c, uint64_t *ret_compression, uint64_t *ret_size, struct err *err)
{
    *ret_compression = COMPRESSION_NONE;
    *ret_size = UINT64_MAX;
    for (;;) {
        uint64_t type = cursor_lenenc(c);
        if (c->bad || type == FIELD_END)
            break;
        uint64_t len = cursor_lenenc(c);
        const uint8_t *value = cursor_bytes(c, len <= SIZE_MAX ? (size_t)len : SIZE_MAX);
        if (value == NULL)
            break;
        struct cursor v = cursor_of(value, (size_t)len);
        if (type == FIELD_SIZE)
            *ret_size = cursor_lenenc(&v);
        else if (type == FIELD_COMPRESSION)
            *ret_compression = cursor_lenenc(&v);
        c->bad = c->bad || v.bad;
    }
    return c->bad ? malformed(err, "its fields") : true;
}

bool payload_open(struct payload *p, const uint8_t *body, size_t len, struct err *err)
{
    struct cursor c = cursor_of(body, len);
    uint64_t compression, size;
    if (!read_fields(&c, &compression, &size, err))
        return false;
    if (compression != COMPRESSION_ZSTD && compression != COMPRESSION_NONE)
        return err_set(err, ERR_HALT, 0,
                       "a transaction in the binlog is compressed by the unknown method %llu",
                       (unsigned long long)compression);
    size_t left = cursor_left(&c);
    if (size != UINT64_MAX && size > left)
        return malformed(err, "its size");
    if (size != UINT64_MAX)
        left = (size_t)size;
    p->in = (ZSTD_inBuffer){cursor_bytes(&c, left), left, 0};
    p->compressed = compression == COMPRESSION_ZSTD;
    p->begin = p->end = 0;
    if (!p->compressed)
        return true;
    if (p->zstd == NULL)
        p->zstd = ZSTD_createDCtx();
    if (p->zstd == NULL)
        return err_set(err, ERR_RETRY, 0, "zstd has no memory");
    ZSTD_DCtx_reset(p->zstd, ZSTD_reset_session_and_parameters);
    ZSTD_DCtx_setParameter(p->zstd, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return true;
}

static void make_room(struct payload *p, size_t want)
{
    if (p->begin > 0) {
        memmove(p->out, p->out + p->begin, p->end - p->begin);
        p->end -= p->begin;
        p->begin = 0;
    }
    size_t cap = p->cap > 0 ? p->cap : FIRST_BYTES;
    while (cap < want)
        cap *= 2;
    if (cap > p->cap) {
        p->out = mem_realloc(p->out, cap);
        p->cap = cap;
    }
}

/* Until `want` bytes lie there; *ret_have: do they? */
static bool fill(struct payload *p, size_t want, bool *ret_have, struct err *err)
{
    while (p->end - p->begin < want) {
        size_t had = p->end, in_before = p->in.pos;
        if (p->end == p->cap || p->begin + want > p->cap) {
            /* No more room than what has come asks for: a forged size gets nothing but what it sends. */
            size_t grown = 2 * (p->end - p->begin);
            make_room(p, want < grown ? want : grown > FIRST_BYTES ? grown : FIRST_BYTES);
            had = p->end;
        }
        ZSTD_outBuffer out = {p->out, p->cap, p->end};
        size_t rc = ZSTD_decompressStream(p->zstd, &out, &p->in);
        if (ZSTD_isError(rc))
            return malformed(err, ZSTD_getErrorName(rc));
        p->end = out.pos;
        if (p->end == had && p->in.pos == in_before)
            break;
    }
    *ret_have = p->end - p->begin >= want;
    return true;
}

static bool next_compressed(struct payload *p, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    bool have;
    if (!fill(p, EVENT_HEADER_BYTES, &have, err))
        return false;
    if (!have) {
        *ret_event = NULL;
        return p->end == p->begin ? true : malformed(err, "bytes behind its last event");
    }
    struct cursor c = cursor_of((const uint8_t *)p->out + p->begin + 9, 4);
    uint64_t size = cursor_le(&c, 4);
    if (size < EVENT_HEADER_BYTES || size > EVENT_MAX)
        return malformed(err, "an event's size");
    if (!fill(p, (size_t)size, &have, err))
        return false;
    if (!have)
        return malformed(err, "it ends within an event");
    *ret_event = (const uint8_t *)p->out + p->begin;
    *ret_len = (size_t)size;
    p->begin += (size_t)size;
    return true;
}

static bool next_plain(struct payload *p, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    const uint8_t *at = (const uint8_t *)p->in.src + p->in.pos;
    size_t left = p->in.size - p->in.pos;
    *ret_event = NULL;
    if (left == 0)
        return true;
    struct cursor c = cursor_of(at, left);
    cursor_skip(&c, 9);
    uint64_t size = cursor_le(&c, 4);
    if (c.bad || size < EVENT_HEADER_BYTES || size > left)
        return malformed(err, "an event's size");
    p->in.pos += (size_t)size;
    *ret_event = at;
    *ret_len = (size_t)size;
    return true;
}

bool payload_next(struct payload *p, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    return p->compressed ? next_compressed(p, ret_event, ret_len, err)
                         : next_plain(p, ret_event, ret_len, err);
}
