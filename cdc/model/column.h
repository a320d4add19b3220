/*
 * column.h - a table and its columns as information_schema describes them.
 */
#ifndef MODEL_COLUMN_H
#define MODEL_COLUMN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/model/charset.h"
#include "cdc/model/value.h"

enum column_kind {
    COL_INT, /* TINYINT ... BIGINT, BOOL */
    COL_DECIMAL,
    COL_FLOAT,
    COL_DOUBLE,
    COL_BIT,
    COL_YEAR,
    COL_DATE,
    COL_TIME,
    COL_DATETIME,
    COL_TIMESTAMP,
    COL_TEXT,   /* CHAR, VARCHAR, TINYTEXT ... LONGTEXT; MariaDB's JSON is one of these */
    COL_BINARY, /* BINARY, VARBINARY, TINYBLOB ... LONGBLOB */
    COL_ENUM,
    COL_SET,
    COL_JSON, /* MySQL's own */
    COL_GEOMETRY,
    COL_UUID, /* MariaDB's, and the two below */
    COL_INET4,
    COL_INET6,
    COL_VECTOR,
    COL_OTHER, /* cannot be mapped: check says so */
};

struct column {
    char *name;
    char *type_text; /* COLUMN_TYPE: "varchar(255)", "enum('a','b')" */
    enum column_kind kind;
    size_t ordinal; /* 0-based place in the row image */
    bool is_unsigned;
    bool nullable;
    bool has_default;  /* an insert may leave it out: default, nullable, auto_increment or generated */
    bool generated;    /* cannot be written */
    bool in_unique;    /* part of some UNIQUE index, of PRIMARY too */
    bool fixed_length; /* CHAR, BINARY */
    bool large_text;   /* TINYTEXT ... LONGTEXT */
    uint64_t length; /* CHAR, VARCHAR: characters; TINYTEXT ... LONGTEXT, BINARY, VARBINARY, BLOB, VECTOR: bytes;
                        * BIT: bits; INT: bytes; 0: not known */
    unsigned precision; /* DECIMAL, and FLOAT(M,D), DOUBLE(M,D): digits in all; TIME, DATETIME, TIMESTAMP: digits
                         * of the fraction */
    unsigned scale;     /* likewise: digits behind the point */
    char *charset;      /* "utf8mb4", "latin1"; NULL for other kinds */
    char *collation;    /* NULL for other kinds */
    struct charset *convert; /* of COL_TEXT; NULL: it is UTF-8, or cannot be converted */
    char **labels;           /* ENUM, SET: UTF-8, in order of definition */
    size_t nlabels;
};

struct table {
    char *db;
    char *name;
    struct column *columns;
    size_t ncolumns;
    struct table_key { /* every UNIQUE index, PRIMARY first if there is one */
        char *name;
        size_t *columns; /* ordinals */
        size_t ncolumns;
    } * keys;
    size_t nkeys;
};

void table_free(struct table *t);
const struct column *table_column(const struct table *t,
                                  const char *name); /* case-insensitive, as the servers; NULL if none */
/* The UNIQUE index over exactly these ordinals, in any order; NULL if none. */
const struct table_key *table_find_key(const struct table *t, const size_t *ordinals, size_t count);

/* The labels of "enum('a','it''s')" or "set(...)". */
bool column_parse_labels(struct column *c, const char *type_text, struct err *err);

/* What a SELECT of column_select_expr() returned as text -> canonical value
 * (VALUE_SET). Copies into the arena only where the text changes: the result
 * may point at text. */
void column_canonical(const struct column *c, const char *text, size_t len, struct arena *arena,
                      struct value *ret_value);

/* Does the column hold this canonical value as it is? False where a server in strict mode would round it, cut it
 * or take it for another one, and some of what it would refuse; *ret_why is then a constant that says why: "it has
 * more digits behind the point". */
bool column_holds(const struct column *c, const char *text, size_t len, const char **ret_why);

/* Do two columns hold the same kind of value, so that a link may map one to the
 * other? If not, *ret_why is a constant that says why. */
bool column_comparable(const struct column *left, const struct column *right, const char **ret_why);

#endif
