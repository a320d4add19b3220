/*
 * A document is a type byte and a value (MySQL, sql-common/json_binary.h):
 *
 *   object, array   count, size, [objects: key offset and 2-byte length, each], value entry each, keys, values.
 *                   Numbers and offsets take 2 bytes in the small form, 4 in the large one. Offsets count from
 *                   the count field. A value entry is a type byte and an offset, or a value that fits there.
 *   literal         1 byte: 0 null, 1 true, 2 false
 *   int, double     little-endian
 *   string          length in bytes of 7 bits, lowest first, and UTF-8
 *   opaque          column type, length likewise, and that type's bytes
 *
 * Offsets can point anywhere, so a few bytes could describe a document of any
 * size, or one that holds itself: depth, steps and text are bounded.
 */
#include "cdc/binlog/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/binlog/cursor.h"
#include "cdc/binlog/decimal.h"
#include "cdc/binlog/rows.h"
#include "cdc/model/jsontext.h"

enum json_type {
    JSON_SMALL_OBJECT = 0x00,
    JSON_LARGE_OBJECT = 0x01,
    JSON_SMALL_ARRAY = 0x02,
    JSON_LARGE_ARRAY = 0x03,
    JSON_LITERAL = 0x04,
    JSON_INT16 = 0x05,
    JSON_UINT16 = 0x06,
    JSON_INT32 = 0x07,
    JSON_UINT32 = 0x08,
    JSON_INT64 = 0x09,
    JSON_UINT64 = 0x0a,
    JSON_DOUBLE = 0x0b,
    JSON_STRING = 0x0c,
    JSON_OPAQUE = 0x0f,
};

#define MAX_DEPTH 100 /* the server's own */

struct walk {
    struct buf *out;
    size_t steps; /* values that may still be written: no document has more than bytes */
};

static bool put_value(struct walk *w, uint8_t type, struct cursor c, unsigned depth);

static void put_base64(struct buf *out, const uint8_t *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0) |
                     (i + 2 < len ? p[i + 2] : 0);
        buf_addc(out, digits[v >> 18]);
        buf_addc(out, digits[v >> 12 & 63]);
        buf_addc(out, i + 1 < len ? digits[v >> 6 & 63] : '=');
        buf_addc(out, i + 2 < len ? digits[v & 63] : '=');
    }
}

/* 8 bytes: microseconds in 24 bits; above them 6 bits second, 6 minute, hour, day 5, and year * 13 + month;
 * negative TIME as the negative of the whole. */
static void put_time(struct buf *out, uint8_t column_type, uint64_t bits)
{
    bool negative = (int64_t)bits < 0;
    uint64_t v = negative ? 0 - bits : bits;
    unsigned us = (unsigned)(v & 0xffffff), hms = (unsigned)(v >> 24 & 0x1ffff);
    unsigned ymd = (unsigned)(v >> 41 & 0x7fffff);
    unsigned hour = hms >> 12, minute = hms >> 6 & 63, second = hms & 63;
    unsigned year = (ymd >> 5) / 13, month = (ymd >> 5) % 13, day = ymd & 31;
    if (column_type == ROWS_TIME)
        buf_addf(out, "\"%s%02u:%02u:%02u.%06u\"", negative ? "-" : "", (unsigned)(v >> 36 & 0x3ff), minute,
                 second, us);
    else if (column_type == ROWS_DATE)
        buf_addf(out, "\"%04u-%02u-%02u\"", year, month, day);
    else
        buf_addf(out, "\"%04u-%02u-%02u %02u:%02u:%02u.%06u\"", year, month, day, hour, minute, second, us);
}

static uint64_t read_length(struct cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint64_t b = cursor_le(c, 1);
        v |= (b & 0x7f) << shift;
        if ((b & 0x80) == 0)
            return v;
    }
    c->bad = true;
    return 0;
}

static bool put_opaque(struct walk *w, struct cursor *c)
{
    uint8_t type = (uint8_t)cursor_le(c, 1);
    size_t len = (size_t)read_length(c);
    const uint8_t *data = cursor_bytes(c, len);
    if (data == NULL)
        return false;

    struct cursor v = cursor_of(data, len);
    if (type == ROWS_NEWDECIMAL) {
        char text[DECIMAL_TEXT_BYTES];
        unsigned precision = (unsigned)cursor_le(&v, 1), scale = (unsigned)cursor_le(&v, 1);
        size_t bytes = decimal_bytes(precision, scale);
        if (v.bad || bytes == 0 || bytes != cursor_left(&v) ||
            decimal_to_text(v.p, precision, scale, text) == 0)
            return false;
        buf_adds(w->out, text);
        return true;
    }
    if (type == ROWS_TIME || type == ROWS_DATE || type == ROWS_DATETIME || type == ROWS_TIMESTAMP) {
        uint64_t bits = cursor_le(&v, 8);
        if (v.bad)
            return false;
        put_time(w->out, type, bits);
        return true;
    }
    buf_addf(w->out, "\"base64:type%u:", type);
    put_base64(w->out, data, len);
    buf_addc(w->out, '"');
    return true;
}

/* Values small enough stand in the entry itself instead of an offset. */
static bool is_inlined(uint8_t type, bool large)
{
    return type == JSON_LITERAL || type == JSON_INT16 || type == JSON_UINT16 ||
           (large && (type == JSON_INT32 || type == JSON_UINT32));
}

static bool put_member(struct walk *w, struct cursor entry, const struct cursor *whole, bool large,
                       unsigned depth)
{
    uint8_t type = (uint8_t)cursor_le(&entry, 1);
    if (is_inlined(type, large))
        return put_value(w, type, entry, depth + 1);
    uint64_t offset = cursor_le(&entry, large ? 4 : 2);
    struct cursor value = *whole;
    cursor_skip(&value, (size_t)offset);
    return !entry.bad && put_value(w, type, value, depth + 1);
}

static bool put_container(struct walk *w, struct cursor c, bool object, bool large, unsigned depth)
{
    size_t width = large ? 4 : 2, key_bytes = width + 2, entry_bytes = width + 1;
    struct cursor whole = c;
    uint64_t count = cursor_le(&c, width), size = cursor_le(&c, width);
    if (c.bad || depth > MAX_DEPTH || size > (uint64_t)(whole.end - whole.p))
        return false;
    whole.end = whole.p + size;

    struct cursor keys = cursor_of(c.p, cursor_left(&c));
    struct cursor entries = keys;
    if (object)
        cursor_skip(&entries, (size_t)count * key_bytes);

    buf_addc(w->out, object ? '{' : '[');
    for (uint64_t i = 0; i < count; i++) {
        if (i > 0)
            buf_adds(w->out, ", ");
        if (object) {
            uint64_t offset = cursor_le(&keys, width);
            size_t len = (size_t)cursor_le(&keys, 2);
            struct cursor key = whole;
            cursor_skip(&key, (size_t)offset);
            const uint8_t *text = cursor_bytes(&key, len);
            if (keys.bad || text == NULL)
                return false;
            jsontext_string(w->out, (const char *)text, len);
            buf_adds(w->out, ": ");
        }
        const uint8_t *entry = cursor_bytes(&entries, entry_bytes);
        if (entry == NULL || !put_member(w, cursor_of(entry, entry_bytes), &whole, large, depth))
            return false;
    }
    buf_addc(w->out, object ? '}' : ']');
    return true;
}

static bool put_literal(struct buf *out, uint64_t which)
{
    static const char *const names[] = {"null", "true", "false"};
    if (which > 2)
        return false;
    buf_adds(out, names[which]);
    return true;
}

static bool put_number(struct walk *w, uint8_t type, struct cursor *c)
{
    static const uint8_t widths[] = {2, 2, 4, 4, 8, 8};
    unsigned width = widths[type - JSON_INT16];
    uint64_t bits = cursor_le(c, width);
    if (c->bad)
        return false;
    if (type == JSON_UINT16 || type == JSON_UINT32 || type == JSON_UINT64) {
        buf_addf(w->out, "%llu", (unsigned long long)bits);
        return true;
    }
    unsigned unused = 64 - width * 8;
    int64_t number = (int64_t)(bits << unused) >> unused;
    buf_addf(w->out, "%lld", (long long)number);
    return true;
}

static bool put_value(struct walk *w, uint8_t type, struct cursor c, unsigned depth)
{
    if (c.bad || w->steps-- == 0 || w->out->overrun)
        return false;
    switch (type) {
    case JSON_SMALL_OBJECT:
    case JSON_LARGE_OBJECT:
    case JSON_SMALL_ARRAY:
    case JSON_LARGE_ARRAY: return put_container(w, c, type <= JSON_LARGE_OBJECT, (type & 1) != 0, depth);
    case JSON_LITERAL: {
        uint64_t which = cursor_le(&c, 1);
        return !c.bad && put_literal(w->out, which);
    }
    case JSON_INT16:
    case JSON_UINT16:
    case JSON_INT32:
    case JSON_UINT32:
    case JSON_INT64:
    case JSON_UINT64: return put_number(w, type, &c);
    case JSON_DOUBLE: {
        uint64_t bits = cursor_le(&c, 8);
        double d;
        memcpy(&d, &bits, sizeof(d));
        if (c.bad || !isfinite(d))
            return false;
        jsontext_double(w->out, d);
        return true;
    }
    case JSON_STRING: {
        size_t len = (size_t)read_length(&c);
        const uint8_t *text = cursor_bytes(&c, len);
        if (text == NULL)
            return false;
        jsontext_string(w->out, (const char *)text, len);
        return true;
    }
    case JSON_OPAQUE: return put_opaque(w, &c);
    default: return false;
    }
}

bool json_to_text(const uint8_t *data, size_t len, struct buf *out)
{
    if (len == 0) { /* what an ALTER or a failed default leaves behind: the server reads it as null */
        buf_adds(out, "null");
        return !out->overrun;
    }
    struct walk w = {out, len + 1};
    struct cursor c = cursor_of(data, len);
    uint8_t type = (uint8_t)cursor_le(&c, 1);
    return put_value(&w, type, c, 1) && !out->overrun;
}
