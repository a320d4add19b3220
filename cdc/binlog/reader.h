/*
 * reader.h - the thread that follows one server's binary log and puts the
 * changes of each link into its feed.
 *
 *   stream -> event -> assemble (table maps, rows, echo) -> struct tx per link -> feed->queue
 */
#ifndef BINLOG_READER_H
#define BINLOG_READER_H

#include <stddef.h>

#include "cdc/base/err.h"
#include "cdc/base/stop.h"
#include "cdc/db/dbconn.h"
#include "cdc/model/feed.h"
#include "cdc/model/stats.h"

struct reader;

struct reader_options {
    const struct db_options *db;
    const char *state_database; /* its checkpoint and marker tables tell echoes */
    struct feed_source *source;
    struct feed **feeds; /* all that read from this server; borrowed */
    size_t nfeeds;
    size_t part_rows;  /* a transaction is cut into parts of at most so many changes per link, */
    size_t part_bytes; /* or so many bytes, whichever comes first */
    struct server_stats *stats;
    struct stop *stop;
    /* Called once from the reader's thread when it meets ERR_FATAL: the daemon ends. */
    void (*fatal)(void *arg, const struct err *err);
    void *fatal_arg;
};

struct reader *reader_new(const struct reader_options *options); /* copied, what it points to is borrowed */
bool reader_start(struct reader *r, struct err *err);
/* After the stop flag is up: wakes and joins the thread. */
void reader_join(struct reader *r);
void reader_free(struct reader *r);

#endif
