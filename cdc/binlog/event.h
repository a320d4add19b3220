/*
 * event.h - one binary log event, as bytes -> as a struct.
 *
 * Pure. Events come without their checksum. What points into the event lives as
 * long as its bytes. A malformed event is ERR_RETRY: it was damaged on its way,
 * or the server's file is, and reading again tells which. An event that says that rows
 * may be missing, or whose type nobody knows, is ERR_HALT.
 */
#ifndef BINLOG_EVENT_H
#define BINLOG_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/binlog/xid.h"
#include "cdc/model/gtid.h"

#define EVENT_HEADER_BYTES 19

/* Numbers on the wire. */
enum event_type {
    EVENT_TYPE_QUERY = 2,
    EVENT_TYPE_STOP = 3,
    EVENT_TYPE_ROTATE = 4,
    EVENT_TYPE_INTVAR = 5,
    EVENT_TYPE_APPEND_BLOCK = 9,
    EVENT_TYPE_DELETE_FILE = 11,
    EVENT_TYPE_RAND = 13,
    EVENT_TYPE_USER_VAR = 14,
    EVENT_TYPE_FORMAT_DESCRIPTION = 15,
    EVENT_TYPE_XID = 16,
    EVENT_TYPE_BEGIN_LOAD_QUERY = 17,
    EVENT_TYPE_EXECUTE_LOAD_QUERY = 18,
    EVENT_TYPE_TABLE_MAP = 19,
    EVENT_TYPE_WRITE_ROWS_V1 = 23, /* then update, delete */
    EVENT_TYPE_DELETE_ROWS_V1 = 25,
    EVENT_TYPE_INCIDENT = 26,
    EVENT_TYPE_HEARTBEAT = 27,
    EVENT_TYPE_IGNORABLE = 28,
    EVENT_TYPE_ROWS_QUERY = 29,
    EVENT_TYPE_WRITE_ROWS_V2 = 30,
    EVENT_TYPE_DELETE_ROWS_V2 = 32,
    EVENT_TYPE_MYSQL_GTID = 33,
    EVENT_TYPE_ANONYMOUS_GTID = 34,
    EVENT_TYPE_PREVIOUS_GTIDS = 35,
    EVENT_TYPE_TRANSACTION_CONTEXT = 36,
    EVENT_TYPE_VIEW_CHANGE = 37,
    EVENT_TYPE_XA_PREPARE = 38,
    EVENT_TYPE_PARTIAL_UPDATE_ROWS = 39,
    EVENT_TYPE_TRANSACTION_PAYLOAD = 40,
    EVENT_TYPE_HEARTBEAT_V2 = 41,
    EVENT_TYPE_TAGGED_GTID = 42,
    EVENT_TYPE_ANNOTATE_ROWS = 160, /* from here on MariaDB's own */
    EVENT_TYPE_CHECKPOINT = 161,
    EVENT_TYPE_GTID = 162,
    EVENT_TYPE_GTID_LIST = 163,
    EVENT_TYPE_START_ENCRYPTION = 164,
    EVENT_TYPE_QUERY_COMPRESSED = 165,
    EVENT_TYPE_WRITE_ROWS_COMPRESSED_V1 = 166,
    EVENT_TYPE_DELETE_ROWS_COMPRESSED_V1 = 168,
    EVENT_TYPE_WRITE_ROWS_COMPRESSED_V2 = 169,
    EVENT_TYPE_DELETE_ROWS_COMPRESSED_V2 = 171,
};

#define EVENT_FLAG_ARTIFICIAL 0x20 /* made by the server for this stream, not in the file */
#define EVENT_FLAG_IGNORABLE 0x80  /* who does not know the type may pass over it */

/* What an event is for us. */
enum event_kind {
    EVENT_PASS, /* means nothing for rows */
    EVENT_FORMAT,
    EVENT_ROTATE,
    EVENT_HEARTBEAT,
    EVENT_GTID,
    EVENT_QUERY,
    EVENT_XID,
    EVENT_XA_PREPARE,
    EVENT_TABLE_MAP,
    EVENT_ROWS,
    EVENT_PAYLOAD,
};

struct event_header {
    uint32_t when; /* seconds since 1970 */
    uint8_t type;
    uint32_t server_id;
    uint32_t size;     /* as in the file, checksum included */
    uint32_t next_pos; /* offset behind the event; 0 where the server does not say */
    uint16_t flags;
};

#define EVENT_GTID_STANDALONE 0x01   /* no commit event follows: one statement is the group */
#define EVENT_GTID_GROUP_COMMIT 0x02 /* a commit id follows */
#define EVENT_GTID_XA_PREPARED 0x40
#define EVENT_GTID_XA_COMPLETED 0x80

struct event_gtid {
    struct gtid id;     /* GTID_NONE: MySQL's anonymous transaction */
    uint8_t flags2;     /* MariaDB's */
    uint64_t commit_id; /* 0: none */
};

struct event_xa_prepare {
    bool one_phase; /* XA COMMIT ... ONE PHASE: the rows count already */
    struct xid xid;
};

struct event_payload {
    const uint8_t *body;
    size_t len;
};

struct event_file { /* ROTATE: what comes next; HEARTBEAT: where the server stands */
    const char *name;
    size_t name_len;
    uint64_t offset;
};

struct event_query {
    const char *db; /* default database of the session */
    size_t db_len;
    const char *sql; /* in the event, or in the decoder's scratch */
    size_t sql_len;
};

/* The name of a table is at most 64 characters of 4 bytes; the length byte ends the matter anyhow. */
struct event_table_map {
    uint64_t table_id;
    const char *db, *table;
    size_t db_len, table_len;
    size_t ncolumns;
    const uint8_t *types; /* ncolumns bytes */
    const uint8_t *meta;
    size_t meta_len;
    const uint8_t *optional; /* type, length, value; empty with binlog_row_metadata = NO_LOG */
    size_t optional_len;
};

enum event_row_op { EVENT_INSERT, EVENT_UPDATE, EVENT_DELETE };

#define EVENT_ROWS_STMT_END 0x01
#define EVENT_ROWS_DUMMY_TABLE 0xffffffu /* no table: only tells the end of a statement */

struct event_rows {
    enum event_row_op op;
    uint64_t table_id;
    uint16_t flags;
    size_t ncolumns;
    const uint8_t *present[2]; /* bits by column: what the before and the after image hold; both set always */
    bool compressed;
    bool partial; /* an update whose after images may hold parts of JSON values: rows_partial_image() */
    const uint8_t *data; /* row images, one behind the other */
    size_t len;
};

struct event {
    struct event_header header;
    enum event_kind kind;
    union {
        struct event_gtid gtid;
        struct event_file file;
        struct event_query query;
        struct event_table_map map;
        struct event_rows rows;
        struct event_xa_prepare xa;
        struct event_payload payload;
    };
};

/* scratch takes a decompressed query; its limit bounds it. */
bool event_decode(const uint8_t *data, size_t len, struct buf *scratch, struct event *ret_event,
                  struct err *err);

/* The row images of a ROWS event, decompressed into scratch if they must be. */
bool event_rows_data(const struct event_rows *rows, struct buf *scratch, const uint8_t **ret_data,
                     size_t *ret_len, struct err *err);

#endif
