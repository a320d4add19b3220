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
/* The connection of a lane. It locks no gap: a key that it locks and that has no row is a conflict. It connects in
 * store_mysql_connect() alone: all lanes of a batch must be of one server. */
struct store *store_mysql_new_lane(const struct db_options *db, const char *state_database,
                                   const struct link *link, enum side side, size_t lane);
/* Seconds that a lock is waited for (5); 0: not at all, where the server can. Before it connects. */
void store_mysql_set_lock_wait(struct store *s, uint32_t seconds);
void store_mysql_free(struct store *s);
/* Connects if it is not; for readiness and to see errors before work comes. */
bool store_mysql_connect(struct store *s, struct err *err);
void store_mysql_disconnect(struct store *s);
bool store_mysql_is_connected(const struct store *s);
/* Is it to the address that the connections of its server section use now? */
bool store_mysql_is_current(const struct store *s, struct err *err);
/* Nothing is going to be asked of it soon: gives back what it can; with close, its connection too, unless that is one of
 * several addresses. Between transactions. */
void store_mysql_rest(struct store *s, bool close);
/* A round trip to the server between transactions, so that a lost one is noticed while nothing happens. */
bool store_mysql_ping(struct store *s, struct err *err);
/* The link's job, from the left side's store; a key of it lives in the arena. Not within a transaction, as the next three. */
bool store_mysql_load_resync(struct store *s, bool *ret_has, struct resync_state *ret_state,
                             struct arena *arena, struct err *err);
/* The newest conflicts on record here, as many as are kept. */
bool store_mysql_load_conflicts(struct store *s, struct conflicts *to, struct err *err);
/* Deletes those with ids up to here, and those that are too old. */
bool store_mysql_purge_conflicts(struct store *s, uint64_t up_to, struct err *err);
/* About how many rows the table has, and how many bytes one of them. */
bool store_mysql_estimate(struct store *s, uint64_t *ret_rows, uint64_t *ret_row_bytes, struct err *err);
void store_mysql_shutdown(struct store *s); /* from any thread, see dbconn_shutdown() */

#endif
