/*
 * kept.h - events that may have to be gone through once more: those of the open group, and on demand all that follow.
 */
#ifndef BINLOG_KEPT_H
#define BINLOG_KEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"

struct kept {
    struct buf events; /* length u32 and bytes, one behind the other; overrun: not all */
    bool on;           /* the next group does not end it */
    char *file;        /* once it is on: the log file of the first */
};

/* max_bytes: of more nothing is kept. */
void kept_init(struct kept *k, size_t max_bytes);
void kept_done(struct kept *k);
/* As new. */
void kept_forget(struct kept *k);
/* A group begins with the next event. */
void kept_begin_group(struct kept *k);
void kept_add(struct kept *k, const uint8_t *event, size_t len);
/* From the open group on, everything. file: NULL if not known. */
void kept_go_on(struct kept *k, const char *file);
/* Is everything there since? */
bool kept_is_whole(const struct kept *k);
/* What is kept goes over to *ret_all, which need not be initialised; k is as new. */
void kept_move(struct kept *k, struct kept *ret_all);
/* *at: 0 for the first. False: that was the last. */
bool kept_next(const struct kept *k, size_t *at, const uint8_t **ret_event, size_t *ret_len);

#endif
