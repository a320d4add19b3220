/*
 * store_mysql.h - one side of a link on a real server.
 */
#ifndef APPLIERS_STORE_MYSQL_H
#define APPLIERS_STORE_MYSQL_H

#include "appliers/store.h"
#include "cdc/db/dbconn.h"

/* Connects on first use. All borrowed as long as it lives. */
struct store *store_mysql_new(const struct db_options *db, const char *state_database,
                              const struct link *link, enum side side);
void store_mysql_free(struct store *s);
/* Connects if it is not; for readiness and to see errors before work comes. */
bool store_mysql_connect(struct store *s, struct err *err);
void store_mysql_disconnect(struct store *s);
bool store_mysql_is_connected(const struct store *s);
/* A round trip to the server between transactions, so that a lost one is noticed while nothing happens. */
bool store_mysql_ping(struct store *s, struct err *err);
void store_mysql_shutdown(struct store *s); /* from any thread, see dbconn_shutdown() */

#endif
