/*
 * metrics.h - the stats as Prometheus text (exposition format 0.0.4).
 */
#ifndef SERVICE_METRICS_H
#define SERVICE_METRICS_H

#include "cdc/service/status.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* api may be NULL: whether a resync runs is then left out. */
void metrics_text(struct status *s, const struct api *api, struct buf *out);

#endif
