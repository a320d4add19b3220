#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cdc/cli/ask.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/grid.h"
#include "cdc/model/side.h"
#include "cdc/service/client.h"

/* As the daemon writes it, or a direction as it stands in the other tables. */
static const char *met_by(json_t *conflict)
{
    const char *met = ask_text(conflict, "met", "?");
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
        if (strcmp(met, direction_name(from)) == 0)
            return direction_arrow(from);
    }
    return met;
}

static bool is_present(json_t *row) { return json_is_true(json_object_get(row, "present")); }

static const char *version_text(json_t *row, char *out, size_t size)
{
    json_t *version = json_object_get(row, "version");
    if (json_is_integer(version))
        snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(version));
    else /* above 2^63 - 1 it comes as a string */
        snprintf(out, size, "%s", json_is_string(version) ? json_string_value(version) : "-");
    return out;
}

/* "version 5", "absent" */
static const char *row_text(json_t *row, char *out, size_t size)
{
    char version[32];
    if (!json_is_object(row))
        snprintf(out, size, "?");
    else if (!is_present(row))
        snprintf(out, size, "absent");
    else
        snprintf(out, size, "version %s", version_text(row, version, sizeof(version)));
    return out;
}

static void add_columns(json_t *conflict, struct buf *out)
{
    size_t i;
    json_t *name, *columns = json_object_get(conflict, "columns");
    json_array_foreach(columns, i, name)
    {
        const char *text = json_string_value(name);
        buf_addf(out, "%s%s", i > 0 ? ", " : "", text != NULL ? text : "?");
    }
    if (out->len == 0)
        buf_addc(out, '-');
}

/* ---- list ---- */

static void show_line(struct grid *g, json_t *conflict)
{
    char text[TEXT_VALUE];
    struct buf columns = BUF_INIT;
    add_columns(conflict, &columns);
    grid_row(g);
    grid_put(g, 0, ask_text(conflict, "id", "?"));
    grid_put(g, 1, text_moment(ask_text(conflict, "at", NULL), text, sizeof(text)));
    grid_put(g, 2, ask_text(conflict, "link", "?"));
    grid_put(g, 3, ask_text(conflict, "key", "?"));
    grid_put(g, 4, met_by(conflict));
    grid_put(g, 5, ask_text(conflict, "rule", "?"));
    grid_put(g, 6, ask_text(conflict, "winner", "?"));
    grid_put(g, 7, row_text(json_object_get(conflict, "left"), text, sizeof(text)));
    grid_put(g, 8, row_text(json_object_get(conflict, "right"), text, sizeof(text)));
    grid_put(g, 9, columns.data);
    buf_done(&columns);
}

static void show_list(json_t *document)
{
    static const char *const head[] = {"ID",   "AT (UTC)", "LINK", "KEY",   "MET BY",
                                       "RULE", "WINNER",   "LEFT", "RIGHT", "COLUMNS"};
    struct grid g = {0};
    size_t i;
    json_t *conflict, *conflicts = json_object_get(document, "conflicts");
    uint64_t count = ask_count(document, "count"), shown = json_array_size(conflicts);
    if (shown == 0) {
        puts("no conflict is on record");
        return;
    }
    grid_head(&g, head, sizeof(head) / sizeof(head[0]));
    json_array_foreach(conflicts, i, conflict) show_line(&g, conflict);
    grid_print(&g);
    if (count > shown)
        printf("and %" PRIu64 " more\n", count - shown);
}

/* ---- show ---- */

static void show_field(struct grid *g, const char *name, const char *left, const char *right)
{
    grid_row(g);
    grid_put_color(g, 0, TEXT_BOLD, name);
    grid_put(g, 1, left);
    if (right != NULL)
        grid_put(g, 2, right);
}

static void show_rows(json_t *conflict)
{
    json_t *left = json_object_get(conflict, "left"), *right = json_object_get(conflict, "right");
    static const char *const head[] = {"", "LEFT", "RIGHT"};
    const char *winner = ask_text(conflict, "winner", "?");
    struct grid g = {0};
    char a[TEXT_VALUE], b[TEXT_VALUE];
    grid_head(&g, head, 3);
    show_field(&g, "row", is_present(left) ? "present" : "absent", is_present(right) ? "present" : "absent");
    show_field(&g, "version", version_text(left, a, sizeof(a)), version_text(right, b, sizeof(b)));
    show_field(&g, "updated at (UTC)", text_moment(ask_text(left, "updated_at", NULL), a, sizeof(a)),
               text_moment(ask_text(right, "updated_at", NULL), b, sizeof(b)));
    show_field(&g, "outcome", strcmp(winner, "left") == 0 ? "won" : "lost",
               strcmp(winner, "right") == 0 ? "won" : "lost");
    grid_print(&g);
}

static void show_one(json_t *conflict)
{
    struct grid g = {0};
    struct buf text = BUF_INIT;
    char moment[TEXT_VALUE], age[TEXT_VALUE];
    const char *at = ask_text(conflict, "at", NULL);
    show_field(&g, "conflict", ask_text(conflict, "id", "?"), NULL);
    show_field(&g, "link", ask_text(conflict, "link", "?"), NULL);
    show_field(&g, "key", ask_text(conflict, "key", "?"), NULL);
    buf_addf(&text, "%s UTC, %s", text_moment(at, moment, sizeof(moment)), text_age(at, age, sizeof(age)));
    show_field(&g, "at", text.data, NULL);
    show_field(&g, "met by", met_by(conflict), NULL);
    show_field(&g, "rule", ask_text(conflict, "rule", "?"), NULL);
    buf_clear(&text);
    add_columns(conflict, &text);
    show_field(&g, "columns", text.data, NULL);
    buf_done(&text);
    grid_print(&g);
    putchar('\n');
    show_rows(conflict);
}

/* ---- The question ---- */

static bool list(const struct ask *ask, const struct cli_args *args, struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_adds(&path, "/sync/conflicts?limit=1000");
    ask_parameter(&path, "link", args->link);
    bool ok = ask_get(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    ok = ask_expects(ask, &answer, "conflicts", JSON_ARRAY, err);
    if (ok && args->json)
        ask_print_json(&answer);
    else if (ok)
        show_list(answer.json);
    ask_answer_done(&answer);
    return ok;
}

static bool show(const struct ask *ask, const struct cli_args *args, struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_adds(&path, "/sync/conflicts/");
    client_escape(args->argument, &path);
    bool ok = ask_get(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    ok = ask_expects(ask, &answer, "id", JSON_STRING, err);
    if (ok && args->json)
        ask_print_json(&answer);
    else if (ok)
        show_one(answer.json);
    ask_answer_done(&answer);
    return ok;
}

int cmd_conflicts(const struct cli_args *args)
{
    struct ask ask;
    struct err err = ERR_INIT;
    if (!ask_begin(&ask, args->config_path))
        return CLI_USAGE;
    bool ok = strcmp(args->word, "list") == 0 ? list(&ask, args, &err) : show(&ask, args, &err);
    ask_end(&ask);
    return ok ? CLI_DONE : ask_failed(&err);
}
