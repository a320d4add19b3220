/*
 * A packed DECIMAL(p, s) is the digits before the point and those behind it, each
 * cut into groups of nine beginning at the point. A group of nine takes four bytes, the
 * outermost shorter one as few as it needs, all big-endian. The first bit is inverted, so
 * that bytes sort as numbers do; a negative number has all of its bits inverted.
 * (strings/decimal.c, decimal2bin())
 */
#include "cdc/binlog/decimal.h"

#include <stdio.h>
#include <string.h>

static const uint8_t bytes_of_digits[10] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 4};
static const uint32_t power10[10] = {1,      10,      100,      1000,      10000,
                                     100000, 1000000, 10000000, 100000000, 1000000000};

size_t decimal_bytes(unsigned precision, unsigned scale)
{
    if (precision == 0 || precision > DECIMAL_MAX_PRECISION || scale > DECIMAL_MAX_SCALE || scale > precision)
        return 0;
    unsigned whole = precision - scale;
    return whole / 9 * 4 + bytes_of_digits[whole % 9] + scale / 9 * 4 + bytes_of_digits[scale % 9];
}

struct unpack {
    const uint8_t *p;
    uint8_t flip_first, flip; /* what the bytes are xored with */
    char *to;
    bool bad;
};

static void put_group(struct unpack *u, unsigned digits)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < bytes_of_digits[digits]; i++) {
        v = v << 8 | (uint8_t)(*u->p++ ^ u->flip ^ u->flip_first);
        u->flip_first = 0;
    }
    if (v >= power10[digits]) {
        u->bad = true;
        return;
    }
    for (unsigned i = digits; i > 0; i--) {
        u->to[i - 1] = (char)('0' + v % 10);
        v /= 10;
    }
    u->to += digits;
}

size_t decimal_to_text(const uint8_t *data, unsigned precision, unsigned scale, char out[DECIMAL_TEXT_BYTES])
{
    if (decimal_bytes(precision, scale) == 0)
        return 0;
    char digits[DECIMAL_MAX_PRECISION + 1] = {0};
    bool negative = (data[0] & 0x80) == 0;
    struct unpack u = {data, 0x80, negative ? 0xff : 0, digits, false};
    unsigned whole = precision - scale;

    if (whole % 9 != 0)
        put_group(&u, whole % 9);
    for (unsigned i = 0; i < whole / 9 && !u.bad; i++)
        put_group(&u, 9);
    for (unsigned i = 0; i < scale / 9 && !u.bad; i++)
        put_group(&u, 9);
    if (scale % 9 != 0 && !u.bad)
        put_group(&u, scale % 9);
    if (u.bad)
        return 0;

    /* Canonical: no zeros before or behind, no point without digits, no negative zero. */
    unsigned first = 0;
    while (first < whole && digits[first] == '0')
        first++;
    while (scale > 0 && digits[whole + scale - 1] == '0')
        scale--;
    size_t n = 0;
    if (negative && (first < whole || scale > 0))
        out[n++] = '-';
    if (first == whole)
        out[n++] = '0';
    memcpy(out + n, digits + first, whole - first);
    n += whole - first;
    if (scale > 0) {
        out[n++] = '.';
        memcpy(out + n, digits + whole, scale);
        n += scale;
    }
    out[n] = '\0';
    return n;
}
