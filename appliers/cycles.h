/*
 * cycles.h - rows in quarantine that want UNIQUE values which others in quarantine hold: they can only be written together.
 * Pure.
 */
#ifndef APPLIERS_CYCLES_H
#define APPLIERS_CYCLES_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/model/link.h"
#include "cdc/model/value.h"

struct waiting_row {
    enum side source;           /* whose row waits */
    const struct value *wanted; /* that row; NULL: the peer's is to be deleted */
    const struct value *held;   /* the peer's row as it is; NULL: absent */
};

struct cycles;
/* rows and link are borrowed. */
struct cycles *cycles_new(const struct link *link, const struct waiting_row *rows, size_t nrows);
void cycles_free(struct cycles *c);
/* Row `first` and all that are in its way, and in theirs, and so on: indices of rows in ret_rows, which has room for all.
 * Values are compared by their bytes. Returns how many, 1 if none of the others is in its way. */
size_t cycles_of(const struct cycles *c, size_t first, size_t *ret_rows);

#endif
