/*
 * help.h - the commands as a table: what main.c accepts and runs, and what help prints.
 */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdbool.h>
#include <stdio.h>

#include "cdc/cli/cli.h"

/* Which options a command or word takes; main.c knows how each one is written. */
enum command_options {
    TAKES_CONFIG = 1 << 0, /* and cannot do without */
    TAKES_LINK = 1 << 1,
    TAKES_FROM = 1 << 2,
    TAKES_MODE = 1 << 3,
    TAKES_MISSING = 1 << 4,
    TAKES_WAIT = 1 << 5,
    TAKES_ALL = 1 << 6,
    TAKES_JSON = 1 << 7,
    TAKES_PRINT = 1 << 8,
    TAKES_REPAIR = 1 << 9,
};

struct command_word {
    const char *name;
    unsigned options;     /* TAKES_... */
    const char *argument; /* what has to stand behind it, "KEY"; NULL: nothing may */
    unsigned or_option;   /* an option that may stand for the argument; 0: none */
};

struct command {
    const char *name;
    const char *usage;                /* behind "twinlog "; one line for each form */
    const char *summary;              /* one line */
    const char *text;                 /* what `twinlog help NAME` says below */
    unsigned options;                 /* TAKES_...; 0 if it has words: each has its own */
    const struct command_word *words; /* one of them has to stand behind the name; up to one without a name.
                                         NULL: the command has none */
    int (*run)(const struct cli_args *args); /* NULL: help itself */
};

const struct command *help_find(const char *name); /* NULL if there is none */
const char *help_nearest(const char *name);        /* a command that may have been meant, or NULL */
void help_list(FILE *out);
void help_command(const struct command *c, FILE *out);

#endif
