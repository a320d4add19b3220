/*
 * jobline.h - a resync job of the daemon's (GET /sync/jobs/ID) in one line. Pure
 * but for the clock; what it appends is made printable by whoever prints it.
 */
#ifndef CLI_JOBLINE_H
#define CLI_JOBLINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/buf.h"

enum jobline_state { JOBLINE_RUNNING, JOBLINE_DONE, JOBLINE_FAILED, JOBLINE_UNKNOWN };
enum jobline_state jobline_state(json_t *job);

/* It runs, has failed, or ended less than 10 minutes ago. */
bool jobline_matters(json_t *job);

/* "420,000 of about 1,000,000 rows compared, 10,233 written, 12 conflicts" */
void jobline_counts(json_t *job, struct buf *out);
/* "10,233 written, 12 conflicts" */
void jobline_effects(uint64_t written, uint64_t conflicts, uint64_t quarantined, struct buf *out);
/* "resync users: running 42 %, 420,000 of about ... conflicts (first start)" */
void jobline_text(json_t *job, struct buf *out);

#endif
