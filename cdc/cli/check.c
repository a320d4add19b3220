#include <stdio.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/cli/cli.h"
#include "cdc/preflight.h"

struct tally {
    size_t warnings, fails;
    int width; /* of the longest name, with its colon */
};

/* Each text begins with the name of a server or link, "auth: ". */
static int name_width(const struct config *c)
{
    size_t width = 0;
    for (size_t i = 0; i < c->nservers; i++)
        width = strlen(c->servers[i].name) > width ? strlen(c->servers[i].name) : width;
    for (size_t i = 0; i < c->nlinks; i++)
        width = strlen(c->links[i].name) > width ? strlen(c->links[i].name) : width;
    return (int)width + 1;
}

static void print_finding(void *arg, enum check_level level, const char *text, const char *mend)
{
    static const char *const words[] = {"ok  ", "warn", "FAIL"};
    struct tally *tally = arg;
    tally->warnings += level == CHECK_WARN;
    tally->fails += level == CHECK_FAIL;
    const char *rest = strstr(text, ": ");
    if (rest != NULL)
        printf("%s  %-*.*s %s\n", words[level], tally->width, (int)(rest - text) + 1, text, rest + 2);
    else
        printf("%s  %s\n", words[level], text);
    if (mend != NULL)
        printf("      %-*s mend: %s\n", tally->width, "", mend);
    fflush(stdout); /* a server that does not answer takes a while: show what is known */
}

/* What `run` needs and a command does not. http.token has been read with the config. */
static bool has_tokens(const struct config *c, struct err *err)
{
    char *token;
    size_t len;
    if (!config_token_read(&c->notify.token, &token, &len, err))
        return false;
    mem_wipe_free(token, len + 1);
    return true;
}

int cmd_check(const struct cli_args *args)
{
    struct config config;
    struct err err = ERR_INIT;
    struct tally tally = {0};
    if (!config_load(args->config_path, &config, &err)) {
        fprintf(stderr, "twinlog: %s\n", err.text);
        return CLI_USAGE;
    }
    if (!has_tokens(&config, &err)) {
        fprintf(stderr, "twinlog: %s\n", err.text);
        config_done(&config);
        return CLI_USAGE;
    }
    tally.width = name_width(&config);
    bool ok = preflight(&config, print_finding, &tally, NULL) == PREFLIGHT_PASS;
    config_done(&config);
    if (ok)
        printf("ready to run%s\n", tally.warnings > 0 ? ", with warnings" : "");
    else
        printf("not ready: %zu FAIL%s\n", tally.fails, tally.fails == 1 ? "" : "s");
    return ok ? CLI_DONE : CLI_FAILED;
}
