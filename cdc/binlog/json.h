/*
 * json.h - MySQL's binary JSON, as a JSON column's bytes hold it -> text, written
 * as the server writes it: {"a": 1, "b": [true, null]}.
 */
#ifndef BINLOG_JSON_H
#define BINLOG_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"

/* Appends to out. False if the bytes are no such document, or if out's limit is reached. */
bool json_to_text(const uint8_t *data, size_t len, struct buf *out);

#endif
