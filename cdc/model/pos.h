/*
 * pos.h - a place in a server's binary log: GTIDs to resume by (MariaDB: the last
 * one of each domain; MySQL: the set of all that was executed), and file and
 * offset, for people, for servers that give no GTIDs, and to see that a log is
 * still the one that was read.
 *
 * A position names a boundary between two transactions: everything up to it
 * has been read. Files and offsets mean something on one server only, which is
 * why a position says which.
 */
#ifndef MODEL_POS_H
#define MODEL_POS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/model/gtid.h"

struct pos {
    char *server; /* whose file and offset: MySQL's server_uuid, MariaDB's server_id; NULL: not known; owned */
    char *file;   /* NULL: unset; owned */
    uint64_t offset;
    struct gtid *gtids; /* MariaDB's: one a domain, ascending by domain; owned */
    size_t ngtids;
    struct gtid_set set; /* MySQL's */
};

#define POS_INIT                            \
    {                                       \
        NULL, NULL, 0, NULL, 0, { NULL, 0 } \
    }

void pos_done(struct pos *p);                          /* leaves POS_INIT */
void pos_copy(struct pos *to, const struct pos *from); /* frees what `to` held; must be initialised */
void pos_move(struct pos *to, struct pos *from);       /* likewise; from is left POS_INIT */
bool pos_is_unset(const struct pos *p);
bool pos_has_gtids(const struct pos *p);
size_t pos_bytes(const struct pos *p); /* of memory */
bool pos_equal(const struct pos *a,
               const struct pos *b); /* GTIDs alone when both have some, else file and offset */
void pos_set_server(struct pos *p, const char *server); /* NULL, "": not known */
void pos_set_file(struct pos *p, const char *file, size_t len, uint64_t offset);
/* Can the files and offsets of both be compared? Where one does not say which server it is of, they can. */
bool pos_same_server(const struct pos *a, const struct pos *b);

/* The transaction g has been read. Nothing happens for one without a GTID: its end is a file and offset. */
void pos_add_gtid(struct pos *p, const struct gtid *g);
/* Has the transaction g, which begins at file and offset of `begin`, been read? Decided by file and offset on one and the
 * same server and where there are no GTIDs to decide by, else by GTIDs; likewise below. */
bool pos_includes(const struct pos *p, const struct pos *begin, const struct gtid *g);
/* p lies at other or behind it: has every GTID of it; where other has none, by file and offset. */
bool pos_covers(const struct pos *p, const struct pos *other);
/* What both have read: the place to start from so that neither misses anything. */
void pos_min(struct pos *to, const struct pos *other);

/* "0-1-155,1-2-7" or "uuid:1-5,uuid:tag:7", spaces allowed; "" is no GTID. ERR_CONFIG otherwise. */
bool pos_parse_gtids(struct pos *p, const char *text, struct err *err);
void pos_print_gtids(const struct pos *p, struct buf *out);
/* "bin.000042:19733", for log and status. Returns out. */
const char *pos_print_file(const struct pos *p, char *out, size_t size);

#endif
