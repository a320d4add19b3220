/*
 * lanes.h - further connections to the peer of a direction, and a thread for each, so that one large batch can
 * be written over all of them at once (apply.h, struct apply_lanes).
 *
 * They cost memory, and sessions on the server: they come when there is a backlog and go when it is
 * done. All functions but lanes_shutdown() belong to one thread, the direction's.
 */
#ifndef APPLIERS_LANES_H
#define APPLIERS_LANES_H

#include "appliers/apply.h"
#include "cdc/db/dbconn.h"

struct lanes;

/* count: at most LANES_MAX. side: the peer's. All borrowed. */
struct lanes *lanes_new(const struct db_options *db, const char *state_database, const struct link *link,
                        enum side side, size_t count, const char *name);
void lanes_free(struct lanes *l); /* NULL is fine */

/* Before each batch: starts threads and connects what is not there, and fills in *ret_lanes. False: no lanes for now. */
bool lanes_begin(struct lanes *l, struct apply_lanes *ret_lanes, struct err *err);
/* Closes the connections and ends the threads, if there are any; empties *lanes. */
void lanes_rest(struct lanes *l, struct apply_lanes *lanes);
/* From any thread: cuts the connections, see dbconn_shutdown(). */
void lanes_shutdown(struct lanes *l);

#endif
