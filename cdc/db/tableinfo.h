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
/* Where the server's binary log ends now: GTIDs, and file and offset if the account may see them.
 * *ret_pos is overwritten; pos_done() is the caller's. */
bool tableinfo_position(struct dbconn *c, struct pos *ret_pos, struct err *err);

#endif
