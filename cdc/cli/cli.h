/*
 * cli.h - the commands: one function each, in a file of its name. main.c reads
 * the options and makes what a command returns the exit code of the process.
 *
 * A command prints what was asked for on standard output and errors, one line
 * each, on standard error as "twinlog: ...".
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,        /* it failed while running; check: something FAILs; verify: something differs */
    CLI_USAGE = 2,         /* wrong usage or config; run: the preflight FAILs */
    CLI_INTERRUPTED = 130, /* Ctrl-C while it waited for the daemon */
};

/* What stands on the command line. Set is only what the command takes (help.h). */
struct cli_args {
    const char *config_path; /* never NULL for a command that takes it */
    const char *word;        /* list, show, retry; NULL if the command has none */
    const char *argument;    /* behind the word: KEY or ID; NULL: none */
    const char *link;        /* NULL: all */
    const char *from;        /* left, right or a server's name; NULL: both */
    const char *mode;        /* merge or force; NULL: merge */
    const char *missing;     /* copy or delete; NULL: copy */
    bool wait, all, json, print, repair;
};

/* main.c has called db_library_init() before and calls db_library_done() after. */
int cmd_run(const struct cli_args *args);
int cmd_check(const struct cli_args *args);
int cmd_init(const struct cli_args *args);
int cmd_status(const struct cli_args *args);
int cmd_trigger(const struct cli_args *args);
int cmd_verify(const struct cli_args *args);
int cmd_quarantine(const struct cli_args *args);
int cmd_conflicts(const struct cli_args *args);

#endif
