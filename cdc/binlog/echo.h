/*
 * echo.h - the control tables as the binlog shows them: by their rows the daemon
 * tells its own transactions from others (rule 2 of the protocol).
 */
#ifndef BINLOG_ECHO_H
#define BINLOG_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/err.h"
#include "cdc/binlog/cursor.h"
#include "cdc/binlog/event.h"
#include "cdc/binlog/tablemap.h"
#include "cdc/model/side.h"

enum echo_table {
    ECHO_FOREIGN,    /* not in the state database */
    ECHO_OTHER,      /* in it, and of no meaning for echoes */
    ECHO_CHECKPOINT, /* or a lane's */
    ECHO_MARKER,
};

struct echo_row {
    const char *link; /* in the event or the arena */
    size_t link_len;
    enum side side; /* a marker: the side whose log it stands in; a checkpoint: the side that is read */
    uint64_t id;    /* of a marker; 0 where the image lacks it */
};

enum echo_table echo_table_of(const char *state_database, const struct event_table_map *map);

/* Are link, side and id where sql/control_tables.sql puts them? ERR_HALT if not. */
bool echo_check_columns(enum echo_table which, const struct tablemap *map, struct err *err);

/* Reads the next row (an update: its before and after image) of a checked control table. */
bool echo_row_next(struct cursor *c, const struct event_rows *rows, const struct tablemap *map,
                   struct echo_row *ret_row, struct arena *arena, struct err *err);

#endif
