/*
 * source.h - a config file and what it includes as one text, and where each of
 * its lines came from. Private to config/.
 */
#ifndef CONFIG_SOURCE_H
#define CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"

struct source_line {
    unsigned file; /* index into files */
    unsigned line; /* 1-based */
};

struct source {
    struct buf text;
    char **files; /* paths: the config's own as it was given, first */
    size_t nfiles;
    struct source_line *lines; /* of text, in order */
    size_t nlines, lines_cap;
};

/* Reads path, puts each `@include "file"` in its place (relative to the file
 * that includes it). ERR_CONFIG names file and line. */
bool source_load(struct source *s, const char *path, struct err *err);
void source_done(struct source *s); /* also after a failed load */

/* Where line number `line` (1-based) of the text came from. Past the end: the last line. */
const char *source_file(const struct source *s, unsigned line, unsigned *ret_line);
/* The key at the start of that line, "" if there is none: for errors of the parser. */
void source_key(const struct source *s, unsigned line, char *out, size_t size);

#endif
