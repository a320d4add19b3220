#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cdc/cli/ask.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/grid.h"

static void show_key(struct grid *g, json_t *key)
{
    char text[TEXT_VALUE];
    uint64_t code = ask_count(key, "code");
    grid_row(g);
    grid_put(g, 0, ask_text(key, "link", "?"));
    grid_put(g, 1, ask_text(key, "key", "?"));
    grid_put(g, 2, ask_text(key, "from", "?"));
    grid_put_right(g, 3, text_age(ask_text(key, "since", NULL), text, sizeof(text)));
    grid_put_count(g, 4, ask_count(key, "tries"));
    grid_put_right(g, 5, text_until(ask_text(key, "next_try", NULL), text, sizeof(text)));
    if (code != 0)
        grid_put_count(g, 6, code);
    else
        grid_put_right(g, 6, "-");
    grid_put(g, 7, ask_text(key, "why", "?"));
}

static void show_keys(json_t *document)
{
    static const char *const head[] = {"LINK", "KEY", "ROW OF", "SINCE", "TRIES", "NEXT TRY", "ERROR", "WHY"};
    struct grid g = {0};
    size_t i;
    json_t *key, *keys = json_object_get(document, "keys");
    uint64_t count = ask_count(document, "count"), shown = json_array_size(keys);
    if (shown == 0) {
        puts("no row waits in quarantine");
        return;
    }
    grid_head(&g, head, sizeof(head) / sizeof(head[0]));
    json_array_foreach(keys, i, key) show_key(&g, key);
    grid_print(&g);
    if (count > shown)
        printf("and %" PRIu64 " more\n", count - shown);
}

static bool list(const struct ask *ask, const struct cli_args *args, struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_adds(&path, "/sync/quarantine?limit=1000");
    ask_parameter(&path, "link", args->link);
    bool ok = ask_get(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    ok = ask_expects(ask, &answer, "keys", JSON_ARRAY, err);
    if (ok && args->json)
        ask_print_json(&answer);
    else if (ok)
        show_keys(answer.json);
    ask_answer_done(&answer);
    return ok;
}

static bool retry(const struct ask *ask, const struct cli_args *args, struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_adds(&path, "/sync/quarantine/retry");
    ask_parameter(&path, "all", args->all ? "true" : NULL);
    ask_parameter(&path, "key", args->argument);
    ask_parameter(&path, "link", args->link);
    bool ok = ask_post(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    uint64_t n = ask_count(answer.json, "retrying");
    ok = ask_expects(ask, &answer, "retrying", JSON_INTEGER, err);
    if (ok && n == 0)
        puts("no row waits in quarantine");
    else if (ok)
        printf("%" PRIu64 " %s tried again now\n", n, n == 1 ? "row is" : "rows are");
    ask_answer_done(&answer);
    return ok;
}

int cmd_quarantine(const struct cli_args *args)
{
    struct ask ask;
    struct err err = ERR_INIT;
    if (!ask_begin(&ask, args->config_path))
        return CLI_USAGE;
    bool ok = strcmp(args->word, "list") == 0 ? list(&ask, args, &err) : retry(&ask, args, &err);
    ask_end(&ask);
    return ok ? CLI_DONE : ask_failed(&err);
}
