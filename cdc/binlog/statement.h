/*
 * statement.h - what the text of a QUERY event means for a table whose rows are
 * followed. Pure.
 *
 * Row events tell of rows. These statements tell that rows may have changed, or
 * the table, without any. Text does not tell what a trigger, a view or a foreign key does, so a
 * statement that writes any table of the same database may have written this one, and so may a
 * function that was called, wherever it is. Those of other databases are not suspected: monitoring tools write there
 * every second, in this very format. With binlog_format = ROW nothing of all that comes as a statement.
 */
#ifndef BINLOG_STATEMENT_H
#define BINLOG_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>

enum statement_kind {
    STATEMENT_OTHER,
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_SAVEPOINT,
    STATEMENT_ROLLBACK_TO,
    STATEMENT_XA_INSIDE, /* XA START, XA END, XA PREPARE */
    STATEMENT_XA_DONE,   /* XA COMMIT, XA ROLLBACK */
};

enum statement_effect {
    STATEMENT_HARMLESS,
    STATEMENT_ALTERS, /* columns may be others, or elsewhere; the rows are the same. Harmless are indexes, and columns
                         behind all that were there */
    STATEMENT_WRITES,   /* DML, or what may be */
    STATEMENT_EMPTIES,  /* TRUNCATE, of a partition too */
    STATEMENT_REPLACES, /* dropped, renamed, created anew, exchanged */
    STATEMENT_SWAPS,    /* renamed, and another one renamed to its name, at once */
};

enum statement_kind statement_kind(const char *sql, size_t len);

/* default_db is that of the session. Names are compared without regard to case: a table too much can only
 * stop where going on was possible. */
enum statement_effect statement_effect(const char *sql, size_t len, const char *default_db,
                                       size_t default_db_len, const char *db, const char *table);

/* Does it give the table a foreign key by which rows of another one change its own? Names as above. */
bool statement_adds_cascade(const char *sql, size_t len, const char *default_db, size_t default_db_len,
                            const char *db, const char *table);

/* Of a statement that alters the table: is this column dropped or renamed, so that what has its name behind
 * the statement holds other values? */
bool statement_takes_column(const char *sql, size_t len, const char *column);

#endif
