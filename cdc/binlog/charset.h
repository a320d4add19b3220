/*
 * charset.h - text of a column's character set -> UTF-8.
 */
#ifndef BINLOG_CHARSET_H
#define BINLOG_CHARSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/err.h"

struct charset;

/* By the server's name for it; NULL is taken as utf8mb4. ERR_HALT if there is no way to convert it. One
 * thread each. */
bool charset_new(const char *name, struct charset **ret_charset, struct err *err);
void charset_free(struct charset *c); /* NULL is fine */

/* *ret_text is text itself where nothing has to change, else in the arena. False if the bytes are no text of
 * this set. */
bool charset_to_utf8(struct charset *c, const char *text, size_t len, struct arena *arena,
                     const char **ret_text, size_t *ret_len);

#endif
