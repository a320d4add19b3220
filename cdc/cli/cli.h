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
    CLI_FAILED = 1, /* it failed while running; check: something FAILs */
    CLI_USAGE = 2,  /* wrong usage or config; run: the preflight FAILs */
};

struct cli_args {
    const char *config_path; /* -c FILE; never NULL for a command that needs one */
    bool json;               /* status --json */
    bool print;              /* init --print */
};

/* main.c has called db_library_init() before and calls db_library_done() after. */
int cmd_run(const struct cli_args *args);
int cmd_check(const struct cli_args *args);
int cmd_init(const struct cli_args *args);
int cmd_status(const struct cli_args *args);

#endif
