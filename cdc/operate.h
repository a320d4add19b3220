/*
 * operate.h - what an operator may ask of the running daemon, for the HTTP
 * interface (service/api.h): resyncs, quarantine, conflicts.
 *
 * Links are there from the start, by their config; what serves them comes when the
 * servers have been reached and the threads are made. Until then the answer is "not yet".
 */
#ifndef CDC_OPERATE_H
#define CDC_OPERATE_H

#include "appliers/resyncer.h"
#include "appliers/sync.h"
#include "cdc/service/api.h"
#include "config/config.h"

struct operate;

struct operate *operate_new(const struct config *config); /* borrowed */
void operate_free(struct operate *o);                     /* NULL is fine */
/* Link number i of the config is served by these from now on; borrowed. */
void operate_serve(struct operate *o, size_t i, struct resyncer *resyncer, struct link_sync *sync);
const struct api *operate_api(const struct operate *o);

#endif
