/*
 * status.h - what the daemon says about itself: the stats of every thread in
 * one place, and the JSON that is made of them.
 *
 * It is made from the config, before any server is there, so that the service
 * can tell what the daemon waits for. Reading it waits for nobody: atomics, and
 * texts behind locks that are held for one copy.
 */
#ifndef SERVICE_STATUS_H
#define SERVICE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"
#include "cdc/base/clock.h"
#include "cdc/model/feed.h"
#include "cdc/model/side.h"
#include "cdc/model/stats.h"
#include "cdc/service/api.h"
#include "config/config.h"

struct status_link {
    const char *name;                    /* borrowed from the config, as the server names */
    struct server_stats *server[2];      /* by side; the same one twice if both tables live there */
    struct direction_stats direction[2]; /* by the side it reads from */
    struct link_stats stats;
    struct feed *_Atomic feed[2]; /* likewise; NULL until the link is built; borrowed */
};

struct status {
    const char *version; /* of twinlog */
    mono_us started;
    struct server_stats *servers; /* those that some link uses, in the config's order */
    size_t nservers;
    struct status_link *links; /* in the config's order */
    size_t nlinks;
    struct stat_text waiting; /* what has to happen before the threads start; "" once they run */
};

struct status *status_new(const struct config *config, const char *version); /* both borrowed */
void status_free(struct status *s);                                          /* NULL is fine */
struct server_stats *status_server(struct status *s, const char *name);      /* NULL if no link uses it */

/* Every reader streams and every applier is connected. */
bool status_ready(struct status *s);
bool status_server_streams(const struct server_stats *s); /* and it shows signs of life */
/* What the applier of this direction has still to do, as far as it is known. Never less than there is.
 * False where nobody can know: the stream is down or has not come to where the log ended when it was opened, or the reader
 * is in another file. */
bool status_lag_us(const struct status_link *l, enum side from, int64_t *ret_lag_us);
bool status_lag_bytes(struct status_link *l, enum side from, uint64_t *ret_lag_bytes);

/* Read and not applied yet. */
void status_queue(const struct status_link *l, enum side from, size_t *ret_items, size_t *ret_bytes);
uint64_t status_echoes(const struct status_link *l, enum side from);
/* Keys that wait now. False: nobody knows yet; api may be NULL: likewise. */
bool status_quarantined(const struct status_link *l, const struct api *api, size_t *ret_count);
/* GET /sync/status. api may be NULL: no link has a job then. */
void status_json(struct status *s, const struct api *api, struct buf *out);
bool status_readyz(struct status *s, struct buf *out); /* GET /readyz: returns status_ready() */
/* {"error": text}, whatever bytes the text has. */
void status_error_json(const char *text, struct buf *out);

#endif
