/*
 * assemble.h - the events of one stream, one by one -> for each feed the
 * transactions that change its table (struct tx).
 *
 * A value machine: no thread, no connection, no clock. Feeds are named by
 * their index in the options.
 */
#ifndef BINLOG_ASSEMBLE_H
#define BINLOG_ASSEMBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/err.h"
#include "cdc/model/change.h"
#include "cdc/model/link.h"
#include "cdc/model/pos.h"

struct assemble;

struct assemble_feed {
    const struct link *link;
    enum side from; /* the side whose table is read */
};

struct assemble_options {
    const char *state_database;
    const struct assemble_feed *feeds; /* copied; links are borrowed */
    size_t nfeeds;
    size_t part_rows, part_bytes; /* see reader.h */
    size_t keep_bytes; /* of events, so that the stream need not begin again for them; 0: no limit */

    /* A transaction, or a part of one. True: taken, and owned now. False: not taken, and the caller wants no
     * more for now: assemble_event() fails with ERR_STOPPED, and the stream has to begin again at
     * assemble_start(). */
    bool (*put)(void *arg, size_t feed, struct tx *tx);
    /* This feed cannot go on; it gets nothing more until assemble_resume(). */
    void (*halt)(void *arg, size_t feed, const char *why);
    /* Likewise; the server no longer has what this feed has read of it. NULL: that halts it. */
    void (*lose)(void *arg, size_t feed, const char *why);
    /* The feed's table as it is now, and a position of which all that *ret_table does not show of the log lies behind:
     * *ret_at is initialised and is overwritten. ERR_HALT concerns this feed; anything else ends the call, and
     * the stream has to begin again. NULL: the definition in the link holds for ever. */
    bool (*describe)(void *arg, size_t feed, struct table **ret_table, struct pos *ret_at, struct err *err);
    /* A transaction of this feed's own link has passed; it is put too if it holds markers. */
    void (*echo)(void *arg, size_t feed);
    void *arg;
};

struct assemble *assemble_new(const struct assemble_options *options);
void assemble_free(struct assemble *a);

/* From now on the feed wants what is behind pos, but for the first rows_done row images of the first
 * transaction there. To be followed by assemble_start(). ERR_HALT if the link's columns cannot be read at
 * all. */
bool assemble_resume(struct assemble *a, size_t feed, const struct pos *pos, uint64_t rows_done,
                     struct err *err);
/* The feed wants nothing more. */
void assemble_leave(struct assemble *a, size_t feed);
bool assemble_serves(const struct assemble *a, size_t feed);
bool assemble_serves_any(const struct assemble *a);

/* Reads the definitions of those feeds that have been resumed, before the stream is opened: one that is only read when
 * rows come costs a new stream then. As describe(). */
bool assemble_renew(struct assemble *a, struct err *err);
/* A stream is going to be opened: forgets what is unfinished and says where it must begin so that no feed
 * misses anything. False, and no position, if there is no feed to serve. */
bool assemble_start(struct assemble *a, struct pos *ret_from);
/* The stream is open. server: whose it is (struct pos); by_file: it begins at file and offset, and GTIDs are
 * not to be kept. Before the first event. */
void assemble_opened(struct assemble *a, const char *server, bool by_file);
/* Everything of the log up to here that concerns the feed has been put. Good until the next call. */
const struct pos *assemble_place(const struct assemble *a, size_t feed);
/* Would this feed alone have made the stream begin where it did? */
bool assemble_is_first(const struct assemble *a, size_t feed);

/* The next event. *ret_moved: assemble_pos() is another one now. ERR_HALT concerns all feeds. ERR_STOPPED: the stream has
 * to begin again at assemble_start(). */
bool assemble_event(struct assemble *a, const uint8_t *data, size_t len, bool *ret_moved, struct err *err);

/* All up to here has been put. */
const struct pos *assemble_pos(const struct assemble *a);
/* No feed is ahead of the stream (any more). */
bool assemble_is_level(const struct assemble *a);
/* The feed stays where it is for now: what the stream passes meanwhile is gone through once more. */
bool assemble_looks_ahead(const struct assemble *a, size_t feed);
/* A transaction has come in part. */
bool assemble_in_group(const struct assemble *a);
/* Bytes of transactions passed that the daemon did not write. */
uint64_t assemble_foreign_bytes(const struct assemble *a);

#endif
