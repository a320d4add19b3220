/*
 * main.c - reads the options, runs one command, returns what it returns.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/cli/cli.h"
#include "cdc/cli/help.h"
#include "cdc/db/dbconn.h"
#include "version.h"

/* An option that stands for itself or has a value behind it; where it goes in struct cli_args. */
struct option_spec {
    const char *name;
    const char *value;      /* what stands behind it, for messages; NULL: nothing, the field is a bool */
    const char *choices[2]; /* what the value may be; NULL: any text */
    unsigned bit;           /* TAKES_... */
    size_t field;
};

static const struct option_spec specs[] = {
    {"config", "FILE", {NULL, NULL}, TAKES_CONFIG, offsetof(struct cli_args, config_path)},
    {"link", "LINK", {NULL, NULL}, TAKES_LINK, offsetof(struct cli_args, link)},
    {"from", "SIDE", {NULL, NULL}, TAKES_FROM, offsetof(struct cli_args, from)},
    {"mode", "MODE", {"merge", "force"}, TAKES_MODE, offsetof(struct cli_args, mode)},
    {"missing", "WHAT", {"copy", "delete"}, TAKES_MISSING, offsetof(struct cli_args, missing)},
    {"wait", NULL, {NULL, NULL}, TAKES_WAIT, offsetof(struct cli_args, wait)},
    {"all", NULL, {NULL, NULL}, TAKES_ALL, offsetof(struct cli_args, all)},
    {"json", NULL, {NULL, NULL}, TAKES_JSON, offsetof(struct cli_args, json)},
    {"print", NULL, {NULL, NULL}, TAKES_PRINT, offsetof(struct cli_args, print)},
    {"repair", NULL, {NULL, NULL}, TAKES_REPAIR, offsetof(struct cli_args, repair)},
};

enum {
    NSPECS = sizeof(specs) / sizeof(specs[0]),
    FIRST_SPEC = 256, /* what getopt_long() returns for specs[0] */
    NAMES_BYTES = 256,
};

struct invocation {
    struct cli_args args;
    unsigned given; /* TAKES_... of the options that are there */
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

static bool take(const struct option_spec *s, const char *value, struct invocation *v)
{
    char *field = (char *)&v->args + s->field;
    v->given |= s->bit;
    if (s->value == NULL) {
        *(bool *)field = true;
        return true;
    }
    if (value[0] == '\0')
        return wrong("option --%s has nothing behind it: %s is missing", s->name, s->value);
    if (s->choices[0] != NULL && strcmp(value, s->choices[0]) != 0 && strcmp(value, s->choices[1]) != 0)
        return wrong("--%s is %s or %s, not \"%s\"", s->name, s->choices[0], s->choices[1], value);
    *(const char **)field = value;
    return true;
}

static const struct option_spec *spec_of(int option)
{
    return option == 'c' ? &specs[0] : &specs[option - FIRST_SPEC];
}

static bool not_an_option(const char *word)
{
    if (optopt >= FIRST_SPEC || optopt == 'h' || optopt == 'V')
        return wrong("option %.*s takes no value, but there is \"%s\"", (int)strcspn(word, "="), word, word);
    if (optopt >= '0' && optopt <= '9')
        return wrong("-%c is read as an option; a KEY that begins with - stands behind --", optopt);
    if (optopt > ' ' && optopt < 0x7f)
        return wrong("there is no option -%c; twinlog help COMMAND lists those of a command", optopt);
    if (optopt != 0)
        return wrong("there is no such short option; twinlog help COMMAND lists those of a command");
    return wrong("there is no option %s; twinlog help COMMAND lists those of a command", word);
}

static void make_long_options(struct option out[NSPECS + 3])
{
    for (int i = 0; i < NSPECS; i++) {
        int argument = specs[i].value != NULL ? required_argument : no_argument;
        out[i] = (struct option){specs[i].name, argument, NULL, FIRST_SPEC + i};
    }
    out[NSPECS] = (struct option){"help", no_argument, NULL, 'h'};
    out[NSPECS + 1] = (struct option){"version", no_argument, NULL, 'V'};
    out[NSPECS + 2] = (struct option){NULL, 0, NULL, 0};
}

static bool parse(int argc, char **argv, struct invocation *ret)
{
    struct option long_options[NSPECS + 3];
    int option;
    make_long_options(long_options);
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:hV", long_options, NULL)) != -1) {
        switch (option) {
        case 'h': ret->help = true; break;
        case 'V': ret->version = true; break;
        case ':': return wrong("option %s needs a %s behind it", argv[optind - 1], spec_of(optopt)->value);
        case '?': return not_an_option(argv[optind - 1]);
        default:
            if (!take(spec_of(option), optarg, ret))
                return false;
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
        return wrong("help takes one command, but there is \"%s\" too", v->words[2]), CLI_USAGE;
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

/* ---- Does a command take what is there? ---- */

/* "-c FILE, --link LINK and --json" */
static const char *name_options(unsigned options, char out[NAMES_BYTES])
{
    size_t len = 0;
    out[0] = '\0';
    for (int i = 0; i < NSPECS; i++) {
        const struct option_spec *s = &specs[i];
        if (!(options & s->bit))
            continue;
        options &= ~s->bit;
        int n = snprintf(out + len, NAMES_BYTES - len, "%s%s%s%s%s",
                         len == 0       ? ""
                         : options != 0 ? ", "
                                        : " and ",
                         s->bit == TAKES_CONFIG ? "-c" : "--", s->bit == TAKES_CONFIG ? "" : s->name,
                         s->value != NULL ? " " : "", s->value != NULL ? s->value : "");
        len += n > 0 && (size_t)n < NAMES_BYTES - len ? (size_t)n : 0;
    }
    return out;
}

/* name: of the command, and of its word. */
static bool options_fit(const char *name, unsigned takes, const struct invocation *v)
{
    char names[NAMES_BYTES];
    for (int i = 0; i < NSPECS; i++) {
        if (!(v->given & ~takes & specs[i].bit))
            continue;
        if (takes == 0)
            return wrong("%s takes no option, but there is --%s", name, specs[i].name);
        return wrong("%s has no option --%s; it takes %s", name, specs[i].name, name_options(takes, names));
    }
    if ((takes & TAKES_CONFIG) && !(v->given & TAKES_CONFIG))
        return wrong("%s needs -c FILE", name);
    return true;
}

static bool argument_fits(const char *name, const struct command_word *w, const struct invocation *v)
{
    char option[NAMES_BYTES];
    bool has_argument = v->nwords > 2, has_option = (v->given & w->or_option) != 0;
    name_options(w->or_option, option);
    if (w->argument == NULL && has_argument)
        return wrong("%s takes no argument, but there is \"%s\"", name, v->words[2]);
    if (v->nwords > 3)
        return wrong("%s takes one %s, but there is \"%s\" too", name, w->argument, v->words[3]);
    if (has_argument && has_option)
        return wrong("%s takes either %s or %s, not both", name, w->argument, option);
    if (w->argument != NULL && !has_argument && !has_option)
        return wrong("%s needs the %s%s%s behind it", name, w->argument, w->or_option != 0 ? " or " : "",
                     option);
    if (has_argument && v->words[2][0] == '\0')
        return wrong("%s: %s is empty", name, w->argument);
    return true;
}

static const char *name_words(const struct command_word *words, char out[NAMES_BYTES])
{
    size_t len = 0;
    out[0] = '\0';
    for (const struct command_word *w = words; w->name != NULL; w++) {
        int n = snprintf(out + len, NAMES_BYTES - len, "%s%s",
                         w == words          ? ""
                         : w[1].name != NULL ? ", "
                                             : " or ",
                         w->name);
        len += n > 0 && (size_t)n < NAMES_BYTES - len ? (size_t)n : 0;
    }
    return out;
}

static bool word_fits(const struct command *c, struct invocation *v)
{
    char names[NAMES_BYTES];
    const struct command_word *w = c->words;
    if (v->nwords < 2)
        return wrong("%s what? Behind it stands %s", c->name, name_words(c->words, names));
    while (w->name != NULL && strcmp(w->name, v->words[1]) != 0)
        w++;
    if (w->name == NULL)
        return wrong("%s knows no \"%s\"; behind it stands %s", c->name, v->words[1],
                     name_words(c->words, names));
    snprintf(names, sizeof(names), "%s %s", c->name, w->name);
    v->args.word = w->name;
    v->args.argument = v->nwords > 2 ? v->words[2] : NULL;
    return options_fit(names, w->options, v) && argument_fits(names, w, v);
}

static bool fits(const struct command *c, struct invocation *v)
{
    if (c->words != NULL)
        return word_fits(c, v);
    if (v->nwords > 1)
        return wrong("%s takes no argument, but there is \"%s\"", c->name, v->words[1]);
    return options_fit(c->name, c->options, v);
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

static int dispatch(struct invocation *v)
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
        return options_fit(c->name, c->options, v) ? help(v) : CLI_USAGE;
    return fits(c, v) ? run_command(c, v) : CLI_USAGE;
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
