/*
 * help.h - the commands as a table: what main.c runs and what help prints.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdbool.h>
#include <stdio.h>

#include "cdc/cli/cli.h"

struct command {
    const char *name;
    const char *usage;   /* behind "twinlog " */
    const char *summary; /* one line */
    const char *text;    /* what `twinlog help NAME` says below the usage */
    bool takes_json, takes_print;
    int (*run)(const struct cli_args *args); /* NULL: help itself */
};

const struct command *help_find(const char *name); /* NULL if there is none */
const char *help_nearest(const char *name);        /* a command that may have been meant, or NULL */
void help_list(FILE *out);
void help_command(const struct command *c, FILE *out);

#endif
