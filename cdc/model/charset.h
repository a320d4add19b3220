/*
 * charset.h - text of a column's character set <-> UTF-8.
 *
 * Both ways are ours: what a row image holds and what a SELECT returns are the same bytes, and one table reads
 * them, so no value has two texts. Where a server would put a '?' for what it cannot convert, here is no text.
 */
#ifndef MODEL_CHARSET_H
#define MODEL_CHARSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buf.h"
#include "cdc/base/err.h"

/* Read-only once made: any thread may use it. */
struct charset;

/* By the server's name for it; NULL is taken as utf8mb4. ERR_CONFIG names the set if there is no way to convert it. */
bool charset_new(const char *name, struct charset **ret_charset, struct err *err);
void charset_free(struct charset *c); /* NULL is fine */

/* The servers' name; a constant. */
const char *charset_name(const struct charset *c);
/* Its bytes are UTF-8 as they are. */
bool charset_is_utf8(const struct charset *c);

/* *ret_text is text itself where nothing has to change, else in the arena. False if the bytes are no text of
 * this set. */
bool charset_to_utf8(const struct charset *c, const char *text, size_t len, struct arena *arena,
                     const char **ret_text, size_t *ret_len);
/* Appends the text in the set's bytes. False if the set has no such text; out then holds some of it. */
bool charset_from_utf8(const struct charset *c, const char *text, size_t len, struct buf *out);

#endif
