/*
 * stream.h - asks a server for its binary log, as a replica would, and hands
 * out raw events one by one. What differs between servers stays in here.
 */
#ifndef DB_STREAM_H
#define DB_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/db/dbconn.h"
#include "cdc/model/pos.h"

struct stream;

/* The host that it registers under: SHOW SLAVE HOSTS, or SHOW REPLICAS, tells it from other replicas by that. */
#define STREAM_HOST "twinlog"

struct stream *stream_new(const struct db_options *options);
void stream_free(struct stream *s);

/* Connects, checks and starts the dump, as the next three do one after the other. */
bool stream_open(struct stream *s, const struct pos *from, struct err *err);
/* Connects only: what stream_server() says is known then. */
bool stream_connect(struct stream *s, struct err *err);
/* Connected: is the server's log still the one that was read up to `at`? ERR_LOST if not; true where nothing can be told:
 * the position is of another server, its file is purged, or the account may not see the files. */
bool stream_check(struct stream *s, const struct pos *at, struct err *err);
/* Connected: where the log ends, as tableinfo_log_end(). */
bool stream_log_end(struct stream *s, struct pos *ret_pos, struct err *err);
/* Connected: starts the dump behind `from`. ERR_LOST: the server purged or
 * never had that position, or its log is not the one that was read, or off; err says which. ERR_CONFIG: no
 * privilege. ERR_FATAL: duplicate server id. */
bool stream_start(struct stream *s, const struct pos *from, struct err *err);
void stream_close(struct stream *s);
/* From any thread: ends a blocked stream_next() at once (ERR_RETRY). Safe at any time between new and free. */
void stream_shutdown(struct stream *s);

/* The next event: header and body, without the packet's status byte and without
 * checksum, which has been verified. Valid until the next call. Blocks up to the
 * read timeout; the server's heartbeats (one a second) come as events too.
 * ERR_LOST, ERR_CONFIG and ERR_FATAL as above: servers refuse a position only here. */
bool stream_next(struct stream *s, const uint8_t **ret_event, size_t *ret_len, struct err *err);

/* The next event has been received already, as a whole: stream_next() will not wait for the server. */
bool stream_has_next(struct stream *s);

enum db_kind stream_kind(const struct stream *s);
/* Once open: whose log it is, as in struct pos; and whether it is read by file and offset, so that no position
 * of it may have GTIDs (MySQL, gtid_mode not ON). */
const char *stream_server(const struct stream *s);
bool stream_is_by_file(const struct stream *s);
const char *stream_version(const struct stream *s);
const char *stream_address(const struct stream *s); /* "db1.example:3306" */

#endif
