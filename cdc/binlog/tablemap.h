/*
 * tablemap.h - the columns of one table as the last TABLE_MAP event told them,
 * kept for the ROWS events behind it and until a map tells something else.
 */
#ifndef BINLOG_TABLEMAP_H
#define BINLOG_TABLEMAP_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/binlog/event.h"
#include "cdc/binlog/rows.h"

struct tablemap {
    struct rows_column *columns;
    size_t ncolumns;
    struct buf body; /* what was told, byte for byte */
};

void tablemap_done(struct tablemap *t); /* zeros are a valid start */
/* *ret_same: the event says what the one before it said. */
bool tablemap_take(struct tablemap *t, const struct event_table_map *map, bool *ret_same, struct err *err);
void tablemap_forget(struct tablemap *t); /* the next one is not the same, whatever it says */

#endif
