/*
 * guard.h - sees to it that a link is served by one daemon alone.
 *
 * A daemon holds a named lock for each of its links on the link's left server. A second one of the same config is
 * refused before it has done anything; the first one goes on.
 */
#ifndef CDC_GUARD_H
#define CDC_GUARD_H

#include "cdc/base/stop.h"
#include "cdc/db/dbconn.h"

struct guard;

/* state_database is borrowed. */
struct guard *guard_new(const char *state_database, struct stop *stop);
/* Before guard_take(): a link and its left server; both borrowed. */
void guard_add(struct guard *g, const char *link, const struct db_options *left);
/* Takes all locks, or finds that it has them. ERR_FATAL: another daemon has one, and it is alive. ERR_RETRY: later.
 * ERR_CONFIG: not from this account. */
bool guard_take(struct guard *g, struct err *err);
/* Keeps them from here on, in a thread; fatal is called once if another daemon has taken one over. */
bool guard_start(struct guard *g, void (*fatal)(void *arg, const struct err *err), void *arg,
                 struct err *err);
/* From any thread, after the stop flag is up: ends its waits. */
void guard_shutdown(struct guard *g);
void guard_end(struct guard *g);  /* gives the locks away, when all who need them have ended */
void guard_free(struct guard *g); /* NULL is fine */

#endif
