/*
 * xid.h - the name of an XA transaction. Its rows stand in the group of its PREPARE, which it
 * names in binary; whether they count, in a later group, whose statement names it in text:
 *
 *   XA COMMIT X'6731',X'6231',7
 */
#ifndef BINLOG_XID_H
#define BINLOG_XID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/binlog/cursor.h"

#define XID_PART_MAX 64 /* bytes, of each of the two parts */

struct xid {
    uint32_t format;
    uint8_t gtrid_len, bqual_len;
    uint8_t data[2 * XID_PART_MAX]; /* gtrid, then bqual; zeros behind */
};

bool xid_equal(const struct xid *a, const struct xid *b);

/* format 4, gtrid's length, bqual's length (len_bytes each), both parts. Leaves c bad if that is not one. */
void xid_read(struct cursor *c, size_t len_bytes, struct xid *ret_xid);

enum xid_end { XID_COMMIT, XID_ROLLBACK };

/* Of "XA COMMIT ..." or "XA ROLLBACK ..." as servers log them. False for anything else. */
bool xid_of_statement(const char *sql, size_t len, enum xid_end *ret_end, struct xid *ret_xid);

#endif
