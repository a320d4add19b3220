/*
 * value.h - one column value in canonical plain text, so that values that came
 * from a row image, from a SELECT and from the other side's column type can be
 * compared byte by byte.
 *
 *   integers, YEAR, BIT  decimal digits, "-" in front of negative ones
 *   DECIMAL              digits without leading zeros before or trailing zeros behind the point: "-12.5", "0"
 *   FLOAT, DOUBLE        "%.17g" of the double
 *   DATE                 "2026-01-05"
 *   TIME                 "-838:59:59.5": at least two digits an hour, the fraction without trailing zeros
 *   DATETIME, TIMESTAMP  "2026-01-05 10:11:12.5", likewise; TIMESTAMP in UTC
 *   text, ENUM, SET      UTF-8: ENUM the label ("" for the error value 0), SET the labels in byte order, joined by ","
 *   binary, GEOMETRY     the bytes; BINARY(n) padded with NULs to n
 *   JSON                 text; where one side is MySQL's JSON, as jsontext_canonical() writes it
 *   UUID                 36 characters, in lower case
 *   INET4, INET6         as inet_ntop() prints it
 *   VECTOR               the bytes: floats, lowest byte first
 *   a ciphered column    the plain text behind it
 */
#ifndef MODEL_VALUE_H
#define MODEL_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An integer column's number, all of BIGINT and of BIGINT UNSIGNED; VALUE_INT_NONE is below each of them. */
__extension__ typedef __int128 value_int;
#define VALUE_INT_NONE (-((value_int)1 << 64))
enum { VALUE_INT_TEXT = 24 }; /* bytes of its text, with the NUL */

enum value_state {
    VALUE_NULL,
    VALUE_SET,
    VALUE_MISSING, /* the row image does not hold the column */
    VALUE_SEALED, /* it cannot be read: no key opens it, or its bytes are no text of the column's character set;
                    * data is what stands there. Equals nothing, not even itself */
};

struct value {
    const char *data; /* not NUL-terminated; lives in the arena of its row */
    uint32_t len;
    enum value_state state;
};

bool value_equal(const struct value *a, const struct value *b); /* NULL equals NULL */
/* Canonical integer text; false if it is NULL, not a number or out of range: -2^63 to 2^64 - 1. */
bool value_to_int(const struct value *v, value_int *ret_number);
/* In decimal digits; returns out. n is no VALUE_INT_NONE. */
const char *value_int_text(value_int n, char out[VALUE_INT_TEXT]);
/* Likewise, -2^63 to 2^63 - 1. */
bool value_to_int64(const struct value *v, int64_t *ret_number);
/* Canonical DATETIME or TIMESTAMP text -> microseconds since 1970 (UTC); false
 * if NULL, not one, or a zero date. */
bool value_to_us(const struct value *v, int64_t *ret_us);

#endif
