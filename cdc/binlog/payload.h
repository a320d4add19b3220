/*
 * payload.h - MySQL's TRANSACTION_PAYLOAD event: a whole transaction's events,
 * compressed. They come out one by one, so that memory holds one event, not the
 * transaction.
 */
#ifndef BINLOG_PAYLOAD_H
#define BINLOG_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/err.h"

struct payload;

struct payload *payload_new(void);
void payload_free(struct payload *p); /* NULL is fine */

/* body: of the event, behind its header; must live until the last call of payload_next(). ERR_RETRY if it is malformed,
 * ERR_HALT if it is compressed in an unknown way. */
bool payload_open(struct payload *p, const uint8_t *body, size_t len, struct err *err);
/* The next event, header first, without a checksum, valid until the next call. *ret_event is NULL at the end. */
bool payload_next(struct payload *p, const uint8_t **ret_event, size_t *ret_len, struct err *err);

#endif
