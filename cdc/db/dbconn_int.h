/*
 * dbconn_int.h - what the other files of cdc/db need of a connection. Not for
 * anyone else: it shows the client library.
 */
#ifndef DB_DBCONN_INT_H
#define DB_DBCONN_INT_H

#include <mysql.h>

#include "cdc/db/dbconn.h"

/* NULL when closed. */
MYSQL *dbconn_handle(struct dbconn *c);
/* Fills err from the library's last error. Returns false. */
bool dbconn_fail(struct dbconn *c, struct err *err);
const struct db_options *dbconn_options(const struct dbconn *c);

#endif
