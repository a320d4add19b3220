/*
 * dberr.h - server and client error numbers -> what the caller does, and what
 * of a server's message may be shown. The one table of them.
 */
#ifndef DB_DBERR_H
#define DB_DBERR_H

#include <stddef.h>

#include "cdc/base/err.h"

/* ERR_RETRY for what is not in the table: reconnecting and starting again from
 * the checkpoint is always safe. */
enum err_kind dberr_kind(unsigned code);

/* What a refused or ended binlog dump means. The servers use one number, 1236,
 * for many things, so the message decides; the dump's other errors are as above. */
enum err_kind dberr_dump_kind(unsigned code, const char *message);

#define DBERR_NAME_MAX 65 /* an identifier of 64 characters and the NUL */

/* The key (1062) or column (1406, 1264, 1265, 1366, 1292, 1048, 1364) that a
 * message names, "" if it names none or the name looks like anything but a
 * plain identifier: a value must not pass for one. */
void dberr_name(unsigned code, const char *message, char *out, size_t size);

/* The error for people, on one line and without any row value: a server's own
 * words only where they can hold nothing but names. Returns out. */
const char *dberr_text(unsigned code, const char *sqlstate, const char *message, char *out, size_t size);

#endif
