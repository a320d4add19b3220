/*
 * pos.h - a place in a server's binary log: file and offset for people, a GTID
 * list (MariaDB: the last sequence number of each domain) to resume by.
 *
 * A position names a boundary between two transactions: everything up to it
 * has been read.
 */
#ifndef MODEL_POS_H
#define MODEL_POS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"

struct gtid { /* MariaDB: domain-server-sequence */
    uint32_t domain;
    uint32_t server;
    uint64_t seq;
};

struct pos {
    char *file; /* NULL: unset; owned */
    uint64_t offset;
    struct gtid *gtids; /* one a domain, ascending by domain; owned */
    size_t ngtids;
};

#define POS_INIT         \
    {                    \
        NULL, 0, NULL, 0 \
    }

void pos_done(struct pos *p);                          /* leaves POS_INIT */
void pos_copy(struct pos *to, const struct pos *from); /* frees what `to` held; must be initialised */
void pos_move(struct pos *to, struct pos *from);       /* likewise; from is left POS_INIT */
bool pos_is_unset(const struct pos *p);
bool pos_equal(const struct pos *a,
               const struct pos *b); /* GTIDs alone when both have some, else file and offset */
void pos_set_file(struct pos *p, const char *file, size_t len, uint64_t offset);

/* The transaction g has been read. */
void pos_add_gtid(struct pos *p, struct gtid g);
bool pos_includes(const struct pos *p, struct gtid g);
/* Every GTID of other: p lies at it or behind it. */
bool pos_covers(const struct pos *p, const struct pos *other);
/* What both have read: the place to start from so that neither misses anything. */
void pos_min(struct pos *to, const struct pos *other);

/* "0-1-155,1-2-7", spaces allowed; "" is the empty list. ERR_CONFIG otherwise. */
bool pos_parse_gtids(struct pos *p, const char *text, struct err *err);
void pos_print_gtids(const struct pos *p, struct buf *out);
/* "bin.000042:19733", for log and status. Returns out. */
const char *pos_print_file(const struct pos *p, char *out, size_t size);
bool gtid_parse(const char *text, struct gtid *ret_gtid);

#endif
