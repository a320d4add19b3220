#include <stdio.h>

#include "cdc/cli/cli.h"
#include "cdc/preflight.h"

struct tally {
    size_t warnings, fails;
};

static void print_finding(void *arg, enum check_level level, const char *text, const char *mend)
{
    static const char *const words[] = {"ok  ", "warn", "FAIL"};
    struct tally *tally = arg;
    tally->warnings += level == CHECK_WARN;
    tally->fails += level == CHECK_FAIL;
    printf("%s  %s\n", words[level], text);
    if (mend != NULL)
        printf("      mend: %s\n", mend);
    fflush(stdout); /* a server that does not answer takes a while: show what is known */
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
    bool ok = preflight(&config, print_finding, &tally, NULL) == PREFLIGHT_PASS;
    config_done(&config);
    if (ok)
        printf("ready to run%s\n", tally.warnings > 0 ? ", with warnings" : "");
    else
        printf("not ready: %zu FAIL%s\n", tally.fails, tally.fails == 1 ? "" : "s");
    return ok ? CLI_DONE : CLI_FAILED;
}
