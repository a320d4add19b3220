/*
 * main.c - reads the options, runs one command, returns what it returns.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/cli/cli.h"
#include "cdc/cli/help.h"
#include "cdc/db/dbconn.h"
#include "version.h"

enum { OPT_JSON = 256, OPT_PRINT };

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},      {"json", no_argument, NULL, OPT_JSON},
    {"print", no_argument, NULL, OPT_PRINT},  {NULL, 0, NULL, 0},
};

struct invocation {
    struct cli_args args;
    bool help, version;
    char **words; /* what is no option: command, then its arguments */
    int nwords;
};

/* The one line that a wrong option prints. */
__attribute__((format(printf, 1, 2))) static bool wrong(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("twinlog: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    return false;
}

static bool parse(int argc, char **argv, struct invocation *ret)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:hV", long_options, NULL)) != -1) {
        switch (option) {
        case 'c': ret->args.config_path = optarg; break;
        case 'h': ret->help = true; break;
        case 'V': ret->version = true; break;
        case OPT_JSON: ret->args.json = true; break;
        case OPT_PRINT: ret->args.print = true; break;
        case ':': return wrong("option %s needs a FILE behind it", argv[optind - 1]);
        default:
            if (optopt > 0 && optopt < 256)
                return wrong("there is no option -%c; see twinlog --help", optopt);
            return wrong("option %s is not right; see twinlog --help", argv[optind - 1]);
        }
    }
    ret->words = argv + optind;
    ret->nwords = argc - optind;
    return true;
}

static const struct command *find_command(const char *name)
{
    const struct command *c = help_find(name);
    if (c != NULL)
        return c;
    const char *nearest = help_nearest(name);
    if (nearest != NULL)
        wrong("there is no command \"%s\"; did you mean \"%s\"?", name, nearest);
    else
        wrong("there is no command \"%s\"; twinlog --help lists them", name);
    return NULL;
}

static int help(const struct invocation *v)
{
    if (v->nwords > 2)
        return wrong("help takes one command"), CLI_USAGE;
    if (v->nwords < 2) {
        help_list(stdout);
        return CLI_DONE;
    }
    const struct command *c = find_command(v->words[1]);
    if (c == NULL)
        return CLI_USAGE;
    help_command(c, stdout);
    return CLI_DONE;
}

static bool options_fit(const struct command *c, const struct invocation *v)
{
    if (v->nwords > 1)
        return wrong("%s takes no argument, but there is \"%s\"", c->name, v->words[1]);
    if (v->args.json && !c->takes_json)
        return wrong("%s has no option --json", c->name);
    if (v->args.print && !c->takes_print)
        return wrong("%s has no option --print", c->name);
    if (v->args.config_path == NULL)
        return wrong("%s needs -c FILE", c->name);
    return true;
}

static int run_command(const struct command *c, const struct invocation *v)
{
    struct err err = ERR_INIT;
    if (!db_library_init(&err)) {
        wrong("%s", err.text);
        return CLI_FAILED;
    }
    int ret = c->run(&v->args);
    db_library_done();
    return ret;
}

static int dispatch(const struct invocation *v)
{
    if (v->version) {
        puts("twinlog " TWINLOG_VERSION);
        return CLI_DONE;
    }
    if (v->nwords == 0 && v->help) {
        help_list(stdout);
        return CLI_DONE;
    }
    if (v->nwords == 0)
        return wrong("which command? twinlog --help lists them"), CLI_USAGE;
    const struct command *c = find_command(v->words[0]);
    if (c == NULL)
        return CLI_USAGE;
    if (v->help) {
        help_command(c, stdout);
        return CLI_DONE;
    }
    if (c->run == NULL)
        return help(v);
    return options_fit(c, v) ? run_command(c, v) : CLI_USAGE;
}

int main(int argc, char **argv)
{
    struct invocation v = {0};
    if (!parse(argc, argv, &v))
        return CLI_USAGE;
    int ret = dispatch(&v);
    /* A full disk behind a redirection must not look like success. */
    if (fflush(stdout) != 0 && ret == CLI_DONE)
        return wrong("cannot write the output: %s", strerror(errno)), CLI_FAILED;
    return ret;
}
