/*
 * document.h - JSON documents: what jansson lacks, and the records of model/record.h
 * as the API shows them. Functions that return a json_t give it to the caller.
 */
#ifndef SERVICE_DOCUMENT_H
#define SERVICE_DOCUMENT_H

#include <jansson.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/clock.h"
#include "cdc/model/record.h"

/* Server messages may be in any character set, and a shortened text may end
 * inside a character: bytes that are no UTF-8 become '?'. */
json_t *document_text(const char *text);
json_t *document_text_or_null(const char *text); /* null for "" */
json_t *document_count(uint64_t n);
json_t *document_wall_or_null(wall_us at); /* "2026-01-05T10:11:12.345Z"; null for 0 */

json_t *document_job(const struct job *j);
json_t *document_waiting_key(const struct waiting_key *k);
json_t *document_conflict(const struct conflict *c);

/* Appends it, indented, and a line end. Takes the document. */
void document_add(json_t *document, struct buf *out);

#endif
