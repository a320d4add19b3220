/*
 * layout.h - where the fields of a link stand in the row images of its table,
 * by the newest definition of the table that is known.
 *
 * Pure. The link itself, which all threads share, says how the table was when it
 * was built and what its columns are to hold; the layout follows the table.
 */
#ifndef BINLOG_LAYOUT_H
#define BINLOG_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/err.h"
#include "cdc/binlog/rows.h"
#include "cdc/model/charset.h"
#include "cdc/model/link.h"

struct layout {
    const struct link *link;
    enum side from;
    const struct table *table; /* the link's, or the one that layout_renew() took */
    struct table *taken;
    struct rows_want *wants; /* by ordinal */
    size_t nwants;
    struct charset **charsets; /* by field */
};

/* As the link has it. ERR_HALT: a column cannot be read at all; the layout can be freed all the same. */
bool layout_init(struct layout *l, const struct link *link, enum side from, struct err *err);
void layout_done(struct layout *l);

/* The table is like this now: finds the fields again by the names of their columns. On success the layout owns
 * the table. ERR_HALT, and nothing is changed: a column is gone, or no longer what the link was built for. */
bool layout_renew(struct layout *l, struct table *now, struct err *err);

#endif
