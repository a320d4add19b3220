/*
 * jsontext.h - JSON text in one canonical form, so that documents can be compared byte by byte.
 *
 * MySQL keeps a document, MariaDB the text that it was given. Where they meet, what counts is what MySQL would
 * keep: spaces, the order of keys, the way a number or a character is written say nothing, of two equal keys the
 * last counts, and 1 is not 1.0.
 */
#ifndef MODEL_JSONTEXT_H
#define MODEL_JSONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"

/* Appends the document in canonical form: {"a": 1, "bb": [true, null]}, keys by length, then by bytes. False if it is
 * no JSON, is nested deeper than MySQL allows, or holds a number beyond DOUBLE; out is then as it was. */
bool jsontext_canonical(const char *text, size_t len, struct buf *out);

/* Appends a string in quotes; UTF-8 stays as it is. */
void jsontext_string(struct buf *out, const char *s, size_t len);
/* Appends the shortest text that reads back as the same double, with a ".0" or an exponent: "1.0", "1e25". */
void jsontext_double(struct buf *out, double d);

#endif
