/*
 * A row image is one NULL bit for each column that the image holds, then the
 * values of those that are not NULL, one behind the other and without any mark
 * between them: to find the third value, the sizes of the first two must be known.
 * So each type has one line in value_bytes(), wanted or not, and only wanted columns
 * reach decode().
 *
 * Types and metadata follow MySQL's "Table_map_event" page; the sizes
 * Field_*::pack() and table_def::calc_field_size() of either server.
 */
#include "cdc/binlog/rows.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "cdc/base/buf.h"
#include "cdc/binlog/decimal.h"
#include "cdc/binlog/json.h"

#define VALUE_MAX ((uint64_t)1 << 30) /* max_allowed_packet's own limit */

static bool has_bit(const uint8_t *bits, size_t i) { return (bits[i / 8] >> (i % 8) & 1) != 0; }

/* Metadata of one column. STRING hides what it really is: ENUM or SET stand in the first byte instead of
 * 254, and a CHAR longer than 255 bytes keeps two bits of its length, inverted, in bits 4 and 5 of it. */
static bool read_meta(struct cursor *c, struct rows_column *col)
{
    switch (col->type) {
    case ROWS_TINY:
    case ROWS_SHORT:
    case ROWS_LONG:
    case ROWS_NULL:
    case ROWS_TIMESTAMP:
    case ROWS_LONGLONG:
    case ROWS_INT24:
    case ROWS_DATE:
    case ROWS_TIME:
    case ROWS_DATETIME:
    case ROWS_YEAR:
    case ROWS_NEWDATE: col->meta = 0; return true;
    case ROWS_FLOAT:
    case ROWS_DOUBLE:
    case ROWS_TIMESTAMP2:
    case ROWS_DATETIME2:
    case ROWS_TIME2:
    case ROWS_JSON:
    case ROWS_VECTOR:
    case ROWS_TINY_BLOB:
    case ROWS_MEDIUM_BLOB:
    case ROWS_LONG_BLOB:
    case ROWS_BLOB:
    case ROWS_BLOB_COMPRESSED:
    case ROWS_GEOMETRY: col->meta = (uint16_t)cursor_le(c, 1); return true;
    case ROWS_VARCHAR:
    case ROWS_VAR_STRING:
    case ROWS_VARCHAR_COMPRESSED:
    case ROWS_BIT: col->meta = (uint16_t)cursor_le(c, 2); return true;
    case ROWS_NEWDECIMAL: col->meta = (uint16_t)cursor_be(c, 2); return true;
    case ROWS_STRING:
    case ROWS_ENUM:
    case ROWS_SET: {
        uint8_t real = (uint8_t)cursor_le(c, 1), bytes = (uint8_t)cursor_le(c, 1);
        col->type = real | 0x30;
        col->meta = (uint16_t)(bytes | ((real & 0x30) ^ 0x30) << 4);
        return c->bad || col->type == ROWS_STRING || real == ROWS_ENUM || real == ROWS_SET;
    }
    default: return false;
    }
}

static bool meta_is_sane(const struct rows_column *col)
{
    switch (col->type) {
    case ROWS_FLOAT: return col->meta == 4;
    case ROWS_DOUBLE: return col->meta == 8;
    case ROWS_TIMESTAMP2:
    case ROWS_DATETIME2:
    case ROWS_TIME2: return col->meta <= 6;
    case ROWS_JSON:
    case ROWS_VECTOR:
    case ROWS_TINY_BLOB:
    case ROWS_MEDIUM_BLOB:
    case ROWS_LONG_BLOB:
    case ROWS_BLOB:
    case ROWS_BLOB_COMPRESSED:
    case ROWS_GEOMETRY: return col->meta >= 1 && col->meta <= 4;
    case ROWS_BIT: return (col->meta & 0xff) < 8 && (col->meta >> 8) + ((col->meta & 0xff) != 0) <= 8;
    case ROWS_NEWDECIMAL: return decimal_bytes(col->meta >> 8, col->meta & 0xff) != 0;
    case ROWS_ENUM: return col->meta == 1 || col->meta == 2;
    case ROWS_SET: return col->meta >= 1 && col->meta <= 8;
    default: return true;
    }
}

bool rows_columns(const struct event_table_map *map, struct rows_column *ret_columns, struct err *err)
{
    struct cursor c = cursor_of(map->meta, map->meta_len);
    for (size_t i = 0; i < map->ncolumns; i++) {
        struct rows_column *col = &ret_columns[i];
        col->type = map->types[i];
        bool known = read_meta(&c, col);
        if (c.bad)
            return err_set(err, ERR_HALT, 0, "malformed table map of %.*s.%.*s", (int)map->db_len, map->db,
                           (int)map->table_len, map->table);
        if (!known || !meta_is_sane(col))
            return err_set(err, ERR_HALT, 0, "column %zu of %.*s.%.*s has type %u, which cannot be read%s",
                           i + 1, (int)map->db_len, map->db, (int)map->table_len, map->table, map->types[i],
                           map->types[i] == ROWS_DECIMAL
                               ? ": a DECIMAL of before MySQL 5.0, ALTER TABLE ... FORCE"
                                 " renews it"
                               : "");
    }
    return true;
}

static bool is_string(uint8_t type)
{
    return type == ROWS_VARCHAR || type == ROWS_VAR_STRING || type == ROWS_STRING ||
           type == ROWS_VARCHAR_COMPRESSED;
}

static bool is_blob(uint8_t type)
{
    return (type >= ROWS_TINY_BLOB && type <= ROWS_BLOB) || type == ROWS_BLOB_COMPRESSED;
}

static bool fits(const struct column *column, uint8_t type)
{
    switch (column->kind) {
    case COL_INT:
        switch (column->length) {
        case 1: return type == ROWS_TINY;
        case 2: return type == ROWS_SHORT;
        case 3: return type == ROWS_INT24;
        case 4: return type == ROWS_LONG;
        default: return type == ROWS_LONGLONG;
        }
    case COL_DECIMAL: return type == ROWS_NEWDECIMAL;
    case COL_FLOAT: return type == ROWS_FLOAT;
    case COL_DOUBLE: return type == ROWS_DOUBLE;
    case COL_BIT: return type == ROWS_BIT;
    case COL_YEAR: return type == ROWS_YEAR;
    case COL_DATE: return type == ROWS_DATE || type == ROWS_NEWDATE;
    case COL_TIME: return type == ROWS_TIME || type == ROWS_TIME2;
    case COL_DATETIME: return type == ROWS_DATETIME || type == ROWS_DATETIME2;
    case COL_TIMESTAMP: return type == ROWS_TIMESTAMP || type == ROWS_TIMESTAMP2;
    case COL_TEXT:
    case COL_BINARY: return column->fixed_length ? type == ROWS_STRING : is_string(type) || is_blob(type);
    case COL_ENUM: return type == ROWS_ENUM;
    case COL_SET: return type == ROWS_SET;
    case COL_JSON: return type == ROWS_JSON;
    case COL_GEOMETRY: return type == ROWS_GEOMETRY;
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: return type == ROWS_STRING;
    case COL_VECTOR: return type == ROWS_VECTOR || is_string(type);
    case COL_OTHER: return true;
    }
    return false;
}

/* MariaDB before 10.1, or with mysql56_temporal_format off, stores fractions of a second in
 * types whose length the binlog does not tell. */
static bool is_old_fraction(const struct column *column, uint8_t type)
{
    return column->precision > 0 && (type == ROWS_TIME || type == ROWS_DATETIME || type == ROWS_TIMESTAMP);
}

/* The definition is the table's own of now, so the event is of before an ALTER that nobody has read yet. */
#define MEND "; make both tables equal, delete the link's row from checkpoint on the other server, restart"

static bool changed(const struct table *t, struct err *err, const char *what, const char *column)
{
    return err_set(err, ERR_HALT, 0, "columns of %s.%s changed: %s%s" MEND, t->db, t->name, what, column);
}

static bool has_signedness(uint8_t type)
{
    return (type >= ROWS_TINY && type <= ROWS_DOUBLE) || type == ROWS_LONGLONG || type == ROWS_INT24 ||
           type == ROWS_YEAR || type == ROWS_NEWDECIMAL;
}

/* One bit for each numeric column, YEAR among them, highest bit first; 1 is unsigned. Of the first n columns. */
static bool check_signedness(struct cursor c, const struct rows_column *columns, const struct table *t,
                             size_t n, struct err *err)
{
    size_t bit = 0;
    for (size_t i = 0; i < n; i++) {
        if (!has_signedness(columns[i].type))
            continue;
        if (bit / 8 >= cursor_left(&c))
            return changed(t, err, "signedness is not told for ", t->columns[i].name);
        bool is_unsigned = (c.p[bit / 8] >> (7 - bit % 8) & 1) != 0;
        bit++;
        if (t->columns[i].kind == COL_INT && is_unsigned != t->columns[i].is_unsigned)
            return changed(t, err, "another sign: ", t->columns[i].name);
    }
    return true;
}

static bool check_names(struct cursor c, const struct table *t, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = (size_t)cursor_lenenc(&c);
        const char *name = (const char *)cursor_bytes(&c, len);
        if (name == NULL || strlen(t->columns[i].name) != len ||
            strncasecmp(t->columns[i].name, name, len) != 0)
            return changed(t, err, "gone or moved: ", t->columns[i].name);
    }
    return true;
}

/* The optional metadata: type 1, length, value. 1 signedness, 4 names; the rest says nothing that is used. */
static bool check_optional(const struct event_table_map *map, const struct rows_column *columns,
                           const struct table *t, size_t n, struct err *err)
{
    struct cursor c = cursor_of(map->optional, map->optional_len);
    while (cursor_left(&c) > 0) {
        uint8_t type = (uint8_t)cursor_le(&c, 1);
        size_t len = (size_t)cursor_lenenc(&c);
        const uint8_t *data = cursor_bytes(&c, len);
        if (data == NULL)
            return err_set(err, ERR_HALT, 0, "malformed table map of %s.%s", t->db, t->name);
        if (type == 1 && !check_signedness(cursor_of(data, len), columns, t, n, err))
            return false;
        if (type == 4 && !check_names(cursor_of(data, len), t, n, err))
            return false;
    }
    return true;
}

bool rows_check_table(const struct event_table_map *map, const struct rows_column *columns,
                      const struct table *table, struct err *err)
{
    size_t common = map->ncolumns < table->ncolumns ? map->ncolumns : table->ncolumns;
    for (size_t i = 0; i < common; i++) {
        if (!fits(&table->columns[i], columns[i].type))
            return changed(table, err, "another type: ", table->columns[i].name);
        if (is_old_fraction(&table->columns[i], columns[i].type))
            return err_set(err, ERR_HALT, 0,
                           "column %s of %s.%s is stored in the old temporal format: ALTER TABLE"
                           " ... FORCE renews it",
                           table->columns[i].name, table->db, table->name);
    }
    return check_optional(map, columns, table, common, err);
}

/* The value's own bytes, without the length in front of it. */
static const uint8_t *value_bytes(struct cursor *c, const struct rows_column *col, size_t *ret_len)
{
    size_t len = 0;
    switch (col->type) {
    case ROWS_NULL: break;
    case ROWS_TINY:
    case ROWS_YEAR: len = 1; break;
    case ROWS_SHORT: len = 2; break;
    case ROWS_INT24:
    case ROWS_DATE:
    case ROWS_NEWDATE:
    case ROWS_TIME: len = 3; break;
    case ROWS_LONG:
    case ROWS_FLOAT:
    case ROWS_TIMESTAMP: len = 4; break;
    case ROWS_LONGLONG:
    case ROWS_DOUBLE:
    case ROWS_DATETIME: len = 8; break;
    case ROWS_TIMESTAMP2: len = 4 + (col->meta + 1u) / 2; break;
    case ROWS_DATETIME2: len = 5 + (col->meta + 1u) / 2; break;
    case ROWS_TIME2: len = 3 + (col->meta + 1u) / 2; break;
    case ROWS_BIT: len = (col->meta >> 8) + ((col->meta & 0xff) != 0); break;
    case ROWS_NEWDECIMAL: len = decimal_bytes(col->meta >> 8, col->meta & 0xff); break;
    case ROWS_ENUM:
    case ROWS_SET: len = col->meta; break;
    case ROWS_VARCHAR:
    case ROWS_VAR_STRING:
    case ROWS_VARCHAR_COMPRESSED:
    case ROWS_STRING: len = (size_t)cursor_le(c, col->meta < 256 ? 1 : 2); break;
    default: len = (size_t)cursor_le(c, col->meta); break; /* blobs: read_meta() let nothing else in */
    }
    *ret_len = len;
    return cursor_bytes(c, len);
}

/* What one value is decoded from and into. Errors carry the column's name and never its value. */
struct decode {
    const struct rows_column *type;
    const struct rows_want *want;
    const uint8_t *data;
    size_t len;
    struct arena *arena;
    struct value *to;
    struct err *err;
};

static bool unreadable(const struct decode *d, const char *why)
{
    return err_set(d->err, ERR_HALT, 0, "column %s: %s", d->want->column->name, why);
}

static bool put(const struct decode *d, const char *text, size_t len)
{
    *d->to = (struct value){text, (uint32_t)len, VALUE_SET};
    return true;
}

static bool put_copy(const struct decode *d, const char *text, size_t len)
{
    return put(d, arena_copy(d->arena, text, len), len);
}

static uint64_t little(const struct decode *d)
{
    struct cursor c = cursor_of(d->data, d->len);
    return cursor_le(&c, d->len);
}

static uint64_t big(const uint8_t *data, size_t len)
{
    struct cursor c = cursor_of(data, len);
    return cursor_be(&c, len);
}

static bool put_unsigned(const struct decode *d, uint64_t v, bool negative)
{
    char text[24], *p = text + sizeof(text);
    do {
        *--p = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (negative)
        *--p = '-';
    return put_copy(d, p, (size_t)(text + sizeof(text) - p));
}

static bool put_int(const struct decode *d)
{
    uint64_t v = little(d);
    unsigned bits = (unsigned)d->len * 8;
    bool negative = !d->want->column->is_unsigned && (v >> (bits - 1) & 1) != 0;
    if (negative)
        v = (0 - v) & (bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1);
    return put_unsigned(d, v, negative);
}

static bool put_float(const struct decode *d)
{
    uint64_t bits64 = little(d);
    uint32_t bits32 = (uint32_t)bits64;
    double v;
    if (d->type->type == ROWS_FLOAT) {
        float f;
        memcpy(&f, &bits32, sizeof(f));
        v = (double)f;
    } else {
        memcpy(&v, &bits64, sizeof(v));
    }
    if (v == 0)
        v = 0; /* not -0 */
    char text[40];
    int n = snprintf(text, sizeof(text), "%.17g", v);
    return put_copy(d, text, (size_t)n);
}

static bool put_decimal(const struct decode *d)
{
    char text[DECIMAL_TEXT_BYTES];
    size_t n = decimal_to_text(d->data, d->type->meta >> 8, d->type->meta & 0xff, text);
    return n > 0 ? put_copy(d, text, n) : unreadable(d, "malformed DECIMAL");
}

/* At least so many digits. Times are in most rows, several of them: snprintf() would be the larger part of decoding.
 * Returns the end. */
static char *add_digits(char *to, unsigned v, unsigned width)
{
    char digits[16];
    unsigned n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n < width)
        digits[n++] = '0';
    while (n > 0)
        *to++ = digits[--n];
    return to;
}

/* "2026-01-05", "10:11:12" */
static char *add_three(char *to, unsigned first, unsigned width, char between, unsigned second,
                       unsigned third)
{
    to = add_digits(to, first, width);
    *to++ = between;
    to = add_digits(to, second, 2);
    *to++ = between;
    return add_digits(to, third, 2);
}

/* The fraction without its trailing zeros. */
static char *add_fraction(char *to, unsigned us)
{
    if (us == 0)
        return to;
    *to++ = '.';
    to = add_digits(to, us % 1000000, 6);
    while (to[-1] == '0')
        to--;
    return to;
}

/* digits 1-2: one byte of hundredths; 3-4: two bytes of ten-thousandths; 5-6: three bytes of millionths. */
static unsigned fraction_us(uint64_t stored, unsigned digits)
{
    static const unsigned scale[] = {0, 10000, 100, 1};
    return (unsigned)stored * scale[(digits + 1) / 2];
}

static bool put_date(const struct decode *d)
{
    unsigned v = (unsigned)little(d); /* day 5 bits, month 4, year 15 */
    char text[24];
    const char *end = add_three(text, v >> 9, 4, '-', v >> 5 & 15, v & 31);
    return put_copy(d, text, (size_t)(end - text));
}

static bool put_hms(const struct decode *d, bool negative, unsigned hour, unsigned minute, unsigned second,
                    unsigned us)
{
    char text[48], *to = text;
    if (negative)
        *to++ = '-';
    to = add_fraction(add_three(to, hour, 2, ':', minute, second), us);
    return put_copy(d, text, (size_t)(to - text));
}

/* Old: HHMMSS as a signed number of three bytes. */
static bool put_old_time(const struct decode *d)
{
    int32_t v = (int32_t)((uint32_t)little(d) << 8) >> 8;
    unsigned n = (unsigned)(v < 0 ? -v : v);
    return put_hms(d, v < 0, n / 10000, n / 100 % 100, n % 100, 0);
}

/* 3 bytes, biased: 1 unused bit, hour 10, minute 6, second 6; then the fraction. A negative time is the
 * negative of the two together, so a fraction borrows from the second above it
 * (my_time_packed_from_binary()). */
static bool put_time2(const struct decode *d)
{
    size_t nfraction = d->len - 3;
    int64_t unit = (int64_t)1 << (8 * nfraction);
    int64_t packed = (int64_t)big(d->data, d->len) - ((int64_t)0x800000 << (8 * nfraction));
    bool negative = packed < 0;
    int64_t v = negative ? -packed : packed;
    unsigned hms = (unsigned)(v / unit), us = fraction_us((uint64_t)(v % unit), d->type->meta);
    return put_hms(d, negative, hms >> 12 & 0x3ff, hms >> 6 & 63, hms & 63, us);
}

static bool put_datetime(const struct decode *d, unsigned year, unsigned month, unsigned day, unsigned hour,
                         unsigned minute, unsigned second, unsigned us)
{
    char text[96], *to = add_three(text, year, 4, '-', month, day);
    *to++ = ' ';
    to = add_fraction(add_three(to, hour, 2, ':', minute, second), us);
    return put_copy(d, text, (size_t)(to - text));
}

/* Old: YYYYMMDDhhmmss as a number of eight bytes. */
static bool put_old_datetime(const struct decode *d)
{
    uint64_t v = little(d);
    if (v > 99999999999999)
        return unreadable(d, "malformed DATETIME");
    unsigned date = (unsigned)(v / 1000000), time = (unsigned)(v % 1000000);
    return put_datetime(d, date / 10000, date / 100 % 100, date % 100, time / 10000, time / 100 % 100,
                        time % 100, 0);
}

/* 5 bytes, biased: year * 13 + month 17 bits, day 5, hour 5, minute 6, second 6; then the fraction. */
static bool put_datetime2(const struct decode *d)
{
    uint64_t v = big(d->data, 5);
    if (v < 0x8000000000)
        return unreadable(d, "malformed DATETIME");
    v -= 0x8000000000;
    unsigned ym = (unsigned)(v >> 22), us = fraction_us(big(d->data + 5, d->len - 5), d->type->meta);
    return put_datetime(d, ym / 13, ym % 13, (unsigned)(v >> 17 & 31), (unsigned)(v >> 12 & 31),
                        (unsigned)(v >> 6 & 63), (unsigned)(v & 63), us);
}

/* The Gregorian calendar of days since 1970. A year begins in March here, so that the leap day is its last.
 * gmtime_r() takes a lock, whoever else may be at it. */
static void date_of_days(unsigned days, unsigned *ret_year, unsigned *ret_month, unsigned *ret_day)
{
    unsigned since = days + 719468; /* 0000-03-01 */
    unsigned era = since / 146097, day_of_era = since % 146097;
    unsigned year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * day_of_year + 2) / 153;
    *ret_day = day_of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = era * 400 + year + (*ret_month <= 2);
}

/* Seconds since 1970: four bytes, little-endian in the old type. Unsigned, as MariaDB has used them since
 * 11.5. */
static bool put_timestamp(const struct decode *d)
{
    bool old = d->type->type == ROWS_TIMESTAMP;
    uint64_t seconds = old ? little(d) : big(d->data, 4);
    unsigned us = old ? 0 : fraction_us(big(d->data + 4, d->len - 4), d->type->meta);
    if (seconds == 0 && us == 0)
        return put(d, "0000-00-00 00:00:00", 19);
    unsigned year, month, day, second = (unsigned)(seconds % 86400);
    date_of_days((unsigned)(seconds / 86400), &year, &month, &day);
    return put_datetime(d, year, month, day, second / 3600, second / 60 % 60, second % 60, us);
}

static bool put_year(const struct decode *d)
{
    char text[16];
    const char *end = add_digits(text, d->data[0] == 0 ? 0u : 1900u + d->data[0], 4);
    return put_copy(d, text, (size_t)(end - text));
}

static bool put_enum(const struct decode *d)
{
    uint64_t number = little(d);
    const struct column *column = d->want->column;
    if (number == 0)
        return put(d, "", 0);
    if (number > column->nlabels)
        return unreadable(d, "a number beyond the labels known: its ENUM was changed");
    const char *label = column->labels[number - 1];
    return put(d, label, strlen(label));
}

static bool put_set(const struct decode *d)
{
    uint64_t bits = little(d);
    const struct column *column = d->want->column;
    if (column->nlabels < 64 && bits >> column->nlabels != 0)
        return unreadable(d, "a bit beyond the labels known: its SET was changed");
    size_t len = 0, n = 0;
    for (size_t i = 0; i < column->nlabels && i < 64; i++)
        if (bits >> i & 1)
            len += strlen(column->labels[i]) + 1;
    if (len == 0)
        return put(d, "", 0);
    char *text = arena_alloc(d->arena, len);
    for (size_t i = 0; i < column->nlabels && i < 64; i++) {
        if ((bits >> i & 1) == 0)
            continue;
        size_t label = strlen(column->labels[i]);
        memcpy(text + n, column->labels[i], label);
        n += label;
        text[n++] = ',';
    }
    column_canonical(column, text, len - 1, d->arena, d->to);
    return true;
}

/* MariaDB's COMPRESSED columns: a byte with the method in its upper half (0 none, 8 zlib), bit 3 for a bare
 * deflate stream without zlib's header, and below it how many bytes of big-endian length follow. An empty
 * value has no byte. */
static bool inflate_column(const struct decode *d, const uint8_t **ret_data, size_t *ret_len)
{
    struct cursor c = cursor_of(d->data, d->len);
    if (d->len == 0) {
        *ret_data = d->data;
        *ret_len = 0;
        return true;
    }
    uint8_t head = (uint8_t)cursor_le(&c, 1);
    if (head >> 4 == 0) {
        *ret_len = cursor_left(&c);
        *ret_data = cursor_bytes(&c, *ret_len);
        return true;
    }
    size_t nlen = head & 0x07;
    uint64_t size = nlen >= 1 && nlen <= 4 ? cursor_be(&c, nlen) : UINT64_MAX;
    size_t left = cursor_left(&c);
    /* As far as zlib can expand, and as a server lets a value be: the row may have been inflated already. */
    if (head >> 4 != 8 || c.bad || size > (uint64_t)left * 1032 + 64 || size > VALUE_MAX)
        return unreadable(d, "malformed compressed value");

    uint8_t *out = arena_alloc(d->arena, (size_t)size + 1);
    z_stream z = {0};
    if (inflateInit2(&z, head & 0x08 ? -MAX_WBITS : MAX_WBITS) != Z_OK)
        return unreadable(d, "zlib has no memory");
    z.next_in = (Bytef *)(uintptr_t)c.p;
    z.avail_in = (uInt)left;
    z.next_out = out;
    z.avail_out = (uInt)size;
    int rc = inflate(&z, Z_FINISH);
    bool whole = rc == Z_STREAM_END && z.total_out == size;
    inflateEnd(&z);
    *ret_data = out;
    *ret_len = (size_t)size;
    return whole ? true : unreadable(d, "malformed compressed value");
}

static bool put_text(const struct decode *d, const uint8_t *data, size_t len)
{
    const char *text;
    size_t n;
    if (d->want->charset == NULL)
        return put(d, (const char *)data, len);
    if (!charset_to_utf8(d->want->charset, (const char *)data, len, d->arena, &text, &n)) {
        *d->to = (struct value){(const char *)data, (uint32_t)len, VALUE_SEALED};
        return true; /* a matter of this row */
    }
    return put(d, text, n);
}

/* BINARY(n) lost its trailing NULs on the way. */
static bool put_binary(const struct decode *d, const uint8_t *data, size_t len)
{
    size_t width = d->want->column->fixed_length ? d->type->meta : 0;
    if (len >= width)
        return put(d, (const char *)data, len);
    char *padded = arena_zalloc(d->arena, width);
    memcpy(padded, data, len);
    return put(d, padded, width);
}

/* MariaDB's, as BINARY(16) and BINARY(4): they too have lost trailing NULs. Bytes in the order in which they are
 * printed. */
static bool put_network(const struct decode *d)
{
    uint8_t bytes[16] = {0};
    char hex[2 * sizeof(bytes) + 1], text[INET6_ADDRSTRLEN];
    enum column_kind kind = d->want->column->kind;
    if (d->type->meta != (kind == COL_INET4 ? 4 : 16) || d->len > d->type->meta)
        return unreadable(d, "of another length than its type");
    if (d->len > 0)
        memcpy(bytes, d->data, d->len);
    if (kind != COL_UUID) {
        inet_ntop(kind == COL_INET4 ? AF_INET : AF_INET6, bytes, text, sizeof(text));
        return put_copy(d, text, strlen(text));
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    column_canonical(d->want->column, hex, 2 * sizeof(bytes), d->arena, d->to);
    return true;
}

static bool put_bytes(const struct decode *d)
{
    const uint8_t *data = d->data;
    size_t len = d->len;
    bool compressed = d->type->type == ROWS_BLOB_COMPRESSED || d->type->type == ROWS_VARCHAR_COMPRESSED;
    if (compressed && !inflate_column(d, &data, &len))
        return false;
    switch (d->want->column->kind) {
    case COL_BINARY: return put_binary(d, data, len);
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: return put_network(d);
    default: return put_text(d, data, len);
    }
}

static bool put_json(const struct decode *d)
{
    struct buf out;
    buf_init(&out, d->len * 16 + 1024); /* control characters become six; only forged offsets repeat more */
    bool ok = json_to_text(d->data, d->len, &out);
    if (ok)
        put_copy(d, out.data, out.len);
    buf_done(&out);
    return ok ? true : unreadable(d, "malformed JSON");
}

static bool decode(const struct decode *d)
{
    switch (d->type->type) {
    case ROWS_TINY:
    case ROWS_SHORT:
    case ROWS_INT24:
    case ROWS_LONG:
    case ROWS_LONGLONG: return put_int(d);
    case ROWS_FLOAT:
    case ROWS_DOUBLE: return put_float(d);
    case ROWS_NEWDECIMAL: return put_decimal(d);
    case ROWS_BIT: return put_unsigned(d, big(d->data, d->len), false);
    case ROWS_YEAR: return put_year(d);
    case ROWS_DATE:
    case ROWS_NEWDATE: return put_date(d);
    case ROWS_TIME: return put_old_time(d);
    case ROWS_TIME2: return put_time2(d);
    case ROWS_DATETIME: return put_old_datetime(d);
    case ROWS_DATETIME2: return put_datetime2(d);
    case ROWS_TIMESTAMP:
    case ROWS_TIMESTAMP2: return put_timestamp(d);
    case ROWS_ENUM: return put_enum(d);
    case ROWS_SET: return put_set(d);
    case ROWS_JSON: return put_json(d);
    case ROWS_VECTOR:
    case ROWS_GEOMETRY: return put(d, (const char *)d->data, d->len);
    default: return put_bytes(d);
    }
}

/* What to read of one image. partial: a bit for each JSON column of the table, set where its value is told in parts; NULL: none is. */
struct image {
    const struct rows_column *columns;
    size_t ncolumns;
    const uint8_t *present, *partial;
    const struct rows_want *wants;
    size_t nwants;
    struct arena *arena;
};

/* The parts: their length in 4 bytes, then operations, paths and values. */
static void skip_parts(struct cursor *c) { cursor_skip(c, (size_t)cursor_le(c, 4)); }

static bool read_column(struct cursor *c, const struct rows_column *column, bool in_parts,
                        const struct rows_want *want, struct value *to, struct arena *arena, struct err *err)
{
    size_t len;
    if (in_parts) {
        skip_parts(c);
        if (to != NULL)
            *to = (struct value){NULL, 0, VALUE_MISSING};
        return true;
    }
    const uint8_t *data = value_bytes(c, column, &len);
    struct decode d = {column, want, data, len, arena, to, err};
    return data == NULL || want == NULL || decode(&d);
}

static bool read_image(struct cursor *c, const struct image *image, struct value *ret_row, struct err *err)
{
    size_t npresent = 0, nth = 0, njson = 0, w = 0;
    for (size_t i = 0; i < image->ncolumns; i++)
        npresent += has_bit(image->present, i);
    const uint8_t *nulls = cursor_bytes(c, (npresent + 7) / 8);

    for (size_t i = 0; i < image->ncolumns && !c->bad; i++) {
        const struct rows_want *want = w < image->nwants && image->wants[w].ordinal == i ? &image->wants[w]
                                                                                         : NULL;
        struct value *to = want != NULL ? &ret_row[want->field] : NULL;
        bool in_parts = image->columns[i].type == ROWS_JSON && image->partial != NULL &&
                        has_bit(image->partial, njson);
        njson += image->columns[i].type == ROWS_JSON;
        if (!has_bit(image->present, i)) {
            if (to != NULL)
                *to = (struct value){NULL, 0, VALUE_MISSING};
        } else if (has_bit(nulls, nth++)) {
            if (to != NULL)
                *to = (struct value){NULL, 0, VALUE_NULL};
        } else if (!read_column(c, &image->columns[i], in_parts, want, to, image->arena, err)) {
            return false;
        }
        /* A column can be mapped and also be one of the sync columns. */
        for (; to != NULL && w < image->nwants && image->wants[w].ordinal == i; w++)
            ret_row[image->wants[w].field] = *to;
    }
    return c->bad ? err_set(err, ERR_HALT, 0, "malformed row image") : true;
}

bool rows_image(struct cursor *c, const struct rows_column *columns, size_t ncolumns, const uint8_t *present,
                const struct rows_want *wants, size_t nwants, struct value *ret_row, struct arena *arena,
                struct err *err)
{
    const struct image image = {columns, ncolumns, present, NULL, wants, nwants, arena};
    return read_image(c, &image, ret_row, err);
}

/* Options, length-encoded: 1 says that JSON values may come in parts, and that bits follow that tell which. */
bool rows_partial_image(struct cursor *c, const struct rows_column *columns, size_t ncolumns,
                        const uint8_t *present, const struct rows_want *wants, size_t nwants,
                        struct value *ret_row, struct arena *arena, struct err *err)
{
    struct image image = {columns, ncolumns, present, NULL, wants, nwants, arena};
    uint64_t options = cursor_lenenc(c);
    size_t njson = 0;
    if (options > 1)
        return err_set(err, ERR_HALT, 0, "row image with unknown options %llu", (unsigned long long)options);
    for (size_t i = 0; i < ncolumns; i++)
        njson += columns[i].type == ROWS_JSON;
    if (options == 1)
        image.partial = cursor_bytes(c, (njson + 7) / 8);
    return read_image(c, &image, ret_row, err);
}
