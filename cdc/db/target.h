/*
 * target.h - which of a server section's addresses its connections use.
 *
 * A section stands for one logical server: a primary, and those that may be
 * promoted in its place. All of its connections must talk to the same one: rows
 * written to one server and a log read from another would not belong together. So the
 * choice lies here, once for each section. The first connection that finds the
 * chosen address dead or read-only, and another one writable, moves on; each move is a new
 * generation, and connections of an older one are of no use any more.
 *
 * Thread-safe.
 */
#ifndef DB_TARGET_H
#define DB_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/clock.h"
#include "config/config.h"

struct db_target;

struct db_target *db_target_new(const struct config_server *server); /* borrowed */
void db_target_free(struct db_target *t);                            /* NULL is fine */

/* The address in use, an index into the server's, and since when it is. */
void db_target_get(struct db_target *t, size_t *ret_address, uint64_t *ret_generation);
/* A connection that began in generation `since` has found that `address` is the one to use. True: so be it,
 * and *ret_generation is what holds now. False: another connection has moved elsewhere meanwhile. */
bool db_target_choose(struct db_target *t, uint64_t since, size_t address, uint64_t *ret_generation);
bool db_target_is_current(struct db_target *t, uint64_t generation);

/* The server has answered a connection of that generation that asked at `asked`. */
void db_target_answered(struct db_target *t, uint64_t generation, mono_us asked);
/* Has it, to a question asked since then? */
bool db_target_has_answered(struct db_target *t, uint64_t generation, mono_us since);

/* "db1.example:3306", "[::1]:3306", or the path of the socket. Returns out. */
const char *db_target_print(const struct config_server *server, size_t address, char *out, size_t size);

#endif
