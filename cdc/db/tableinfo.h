/*
 * tableinfo.h - reads a table's columns and UNIQUE indexes from
 * information_schema, and a server's position and settings.
 */
#ifndef DB_TABLEINFO_H
#define DB_TABLEINFO_H

#include "cdc/db/dbconn.h"
#include "cdc/model/column.h"
#include "cdc/model/pos.h"

/* ERR_CONFIG if the table does not exist or cannot be seen. */
bool tableinfo_load(struct dbconn *c, const char *db, const char *name, struct table **ret_table,
                    struct err *err);
/* Where the server's binary log ends now, to begin to read there: GTIDs where the server has them, and file and offset if
 * the account may see them (on MySQL it must: ERR_CONFIG). *ret_pos is overwritten; pos_done() is the caller's. */
bool tableinfo_position(struct dbconn *c, struct pos *ret_pos, struct err *err);
/* Likewise, to wait until a reader has come there (pos_covers()): all that can be seen in the tables stands before it.
 * On MySQL that is file and offset alone, as rows are seen before their GTID counts as executed. */
bool tableinfo_log_end(struct dbconn *c, struct pos *ret_pos, struct err *err);

#endif
