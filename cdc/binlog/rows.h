/*
 * rows.h - row images -> canonical values (cdc/model/value.h).
 *
 * Pure. A row image does not say what its columns are: the TABLE_MAP event before
 * it names their types and lengths, and information_schema what is unsigned, how
 * text is encoded and what an ENUM's labels are.
 */
#ifndef BINLOG_ROWS_H
#define BINLOG_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/err.h"
#include "cdc/binlog/cursor.h"
#include "cdc/binlog/event.h"
#include "cdc/model/charset.h"
#include "cdc/model/column.h"
#include "cdc/model/value.h"

/* Numbers on the wire. */
enum rows_type {
    ROWS_DECIMAL = 0, /* of before 5.0: its length is not told, cannot be read */
    ROWS_TINY = 1,
    ROWS_SHORT = 2,
    ROWS_LONG = 3,
    ROWS_FLOAT = 4,
    ROWS_DOUBLE = 5,
    ROWS_NULL = 6,
    ROWS_TIMESTAMP = 7,
    ROWS_LONGLONG = 8,
    ROWS_INT24 = 9,
    ROWS_DATE = 10,
    ROWS_TIME = 11,
    ROWS_DATETIME = 12,
    ROWS_YEAR = 13,
    ROWS_NEWDATE = 14,
    ROWS_VARCHAR = 15,
    ROWS_BIT = 16,
    ROWS_TIMESTAMP2 = 17,
    ROWS_DATETIME2 = 18,
    ROWS_TIME2 = 19,
    ROWS_BLOB_COMPRESSED = 140, /* MariaDB: COLUMN ... COMPRESSED */
    ROWS_VARCHAR_COMPRESSED = 141,
    ROWS_VECTOR = 242, /* MySQL; MariaDB's is a VARCHAR here */
    ROWS_JSON = 245,
    ROWS_NEWDECIMAL = 246,
    ROWS_ENUM = 247,
    ROWS_SET = 248,
    ROWS_TINY_BLOB = 249,
    ROWS_MEDIUM_BLOB = 250,
    ROWS_LONG_BLOB = 251,
    ROWS_BLOB = 252,
    ROWS_VAR_STRING = 253,
    ROWS_STRING = 254,
    ROWS_GEOMETRY = 255,
};

struct rows_column {
    uint8_t type;  /* ENUM and SET stand here as themselves, not as STRING */
    uint16_t meta; /* STRING, VARCHAR: most bytes; blobs: bytes of the length; ENUM, SET: bytes of the value;
                    * BIT: bytes << 8 | bits; NEWDECIMAL: precision << 8 | scale; TIME2...: digits of the
                    * fraction */
};

/* A column whose value is wanted, and where it goes. */
struct rows_want {
    size_t ordinal;
    const struct column *column;
    const struct charset *charset; /* of text, ENUM and SET need none; NULL otherwise */
    size_t field;
};

/* The map's columns into ret_columns[map->ncolumns]. ERR_HALT on a type nobody knows. */
bool rows_columns(const struct event_table_map *map, struct rows_column *ret_columns, struct err *err);

/* Does the table still look as information_schema described it? As far as the map tells: the columns' kinds
 * always, signedness and names with binlog_row_metadata. One of the two may have columns behind those of the other. ERR_HALT "columns of db.table changed: ...". */
bool rows_check_table(const struct event_table_map *map, const struct rows_column *columns,
                      const struct table *table, struct err *err);

/* Reads one row image: wants (ascending ordinals) into ret_row[want->field], VALUE_MISSING where the image
 * lacks the column, VALUE_SEALED where its bytes are no text of its character set; the others are stepped over. Values point into the image or the arena. ERR_HALT names the
 * column that cannot be read. */
bool rows_image(struct cursor *c, const struct rows_column *columns, size_t ncolumns, const uint8_t *present,
                const struct rows_want *wants, size_t nwants, struct value *ret_row, struct arena *arena,
                struct err *err);
/* Likewise the after image of an update that may tell parts of JSON values only (event_rows.partial): such a column
 * is VALUE_MISSING. */
bool rows_partial_image(struct cursor *c, const struct rows_column *columns, size_t ncolumns,
                        const uint8_t *present, const struct rows_want *wants, size_t nwants,
                        struct value *ret_row, struct arena *arena, struct err *err);

#endif
