/*
 * notify.h - tells an address of the operator's about events: a POST with JSON for
 * each, again and again until it is taken.
 *
 * One thread of its own, so that a receiver that hangs holds up nobody.
 */
#ifndef SERVICE_NOTIFY_H
#define SERVICE_NOTIFY_H

#include <stddef.h>
#include <stdint.h>

#include "cdc/base/err.h"
#include "cdc/model/record.h"
#include "config/config.h"

struct notify;

struct notify_stats {   /* since the start */
    uint64_t delivered; /* events that were answered by a 2xx */
    uint64_t failed;    /* tries that were not */
    uint64_t lost;      /* events given up, or pushed out of a full queue */
    size_t waiting;     /* events now, the one under way included */
};

/* Starts the thread; the config and version are copied. ERR_CONFIG if the token cannot be
 * read, ERR_RETRY if there is no thread or no libcurl. config->url must be set. */
struct notify *notify_new(const struct config_notify *config, const char *version, struct err *err);
/* From any thread, which may hold no lock: copies the event and does not wait. Kinds that the
 * config leaves out are passed over; beyond 256 that wait the oldest is lost. n may be NULL. */
void notify_event(struct notify *n, const struct event *event);
void notify_stats(struct notify *n, struct notify_stats *ret_stats);
/* Delivers what waits if that takes less than a second, and ends within two. NULL is fine. */
void notify_free(struct notify *n);

/* For tests: before the first event. First pause between tries (1000) and how long an event
 * is tried (600000), in milliseconds. */
void notify_set_patience(struct notify *n, uint32_t first_retry_ms, uint32_t give_up_ms);

#endif
