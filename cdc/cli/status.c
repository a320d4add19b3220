/*
 * status.c - asks the daemon and shows its answer to somebody who was woken by it.
 *
 * What is wrong has to be found without reading: the first line says whether all
 * is well, each row of the tables is one thing that can fail, and the reasons
 * stand below in full. What the daemon does not know is a "?", never a 0.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cdc/cli/ask.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/grid.h"
#include "cdc/cli/jobline.h"
#include "cdc/model/side.h"

/* ---- Values as people read them ---- */

static void print_lag(json_t *direction, char *out, size_t size)
{
    json_t *s = json_object_get(direction, "lag_seconds");
    if (json_is_number(s))
        text_duration(json_number_value(s), out, size);
    else
        snprintf(out, size, "?");
}

static void print_lag_bytes(json_t *direction, char *out, size_t size)
{
    json_t *bytes = json_object_get(direction, "lag_bytes");
    if (json_is_integer(bytes))
        text_bytes(ask_count(direction, "lag_bytes"), out, size);
    else
        snprintf(out, size, "?");
}

static void print_queue(json_t *queue, char *out, size_t size)
{
    uint64_t n = ask_count(queue, "transactions");
    char bytes[32];
    text_bytes(ask_count(queue, "bytes"), bytes, sizeof(bytes));
    if (n == 0)
        snprintf(out, size, "0");
    else
        snprintf(out, size, "%" PRIu64 " (%s)", n, bytes);
}

static uint64_t sum_of(json_t *counts)
{
    const char *name;
    json_t *value;
    uint64_t sum = 0;
    json_object_foreach(counts, name, value) sum += ask_count(counts, name);
    return sum;
}

/* ---- The tables ---- */

static enum text_color state_color(const char *state)
{
    if (strcmp(state, "streaming") == 0)
        return TEXT_GREEN;
    return strcmp(state, "starting") == 0 || strcmp(state, "connecting") == 0 ? TEXT_YELLOW : TEXT_RED;
}

static void show_servers(json_t *servers)
{
    static const char *const head[] = {"SERVER",     "STATE",      "ADDRESS", "VERSION",
                                       "LAST EVENT", "RECONNECTS", "POSITION"};
    struct grid g = {0};
    const char *name;
    json_t *s;
    grid_head(&g, head, sizeof(head) / sizeof(head[0]));
    json_object_foreach(servers, name, s)
    {
        char text[TEXT_VALUE], age[48] = "never";
        const char *state = ask_text(s, "state", "?");
        json_t *seconds = json_object_get(s, "last_event_age_s");
        if (json_is_number(seconds)) {
            text_duration(json_number_value(seconds), text, sizeof(text));
            snprintf(age, sizeof(age), "%.40s ago", text);
        }
        grid_row(&g);
        grid_put(&g, 0, name);
        grid_put_color(&g, 1, state_color(state), state);
        grid_put(&g, 2, ask_text(s, "address", "?"));
        grid_put(&g, 3, ask_text(s, "version", "?"));
        grid_put_right(&g, 4, age);
        grid_put_count(&g, 5, ask_count(s, "reconnects"));
        grid_put(&g, 6, ask_text(s, "position", "?"));
    }
    grid_print(&g);
}

static void show_direction(struct grid *g, const char *link, enum side from, json_t *d)
{
    json_t *counters = json_object_get(d, "counters");
    json_t *queue = json_object_get(d, "queue");
    char text[TEXT_VALUE];
    const char *state = ask_text(d, "state", "?");
    if (strcmp(state, "streaming") == 0 && !json_is_true(json_object_get(d, "connected")))
        state = "connecting";

    grid_row(g);
    grid_put(g, 0, link);
    grid_put(g, 1, direction_arrow(from));
    grid_put_color(g, 2, state_color(state), state);
    print_lag(d, text, sizeof(text));
    grid_put_right(g, 3, text);
    print_lag_bytes(d, text, sizeof(text));
    grid_put_right(g, 4, text);
    print_queue(queue, text, sizeof(text));
    grid_put_right(g, 5, text);
    grid_put_count(g, 6, ask_count(counters, "inserts"));
    grid_put_count(g, 7, ask_count(counters, "updates"));
    grid_put_count(g, 8, ask_count(counters, "deletes"));
    grid_put_count(g, 9, sum_of(json_object_get(counters, "conflicts")));
    text_age(ask_text(d, "last_applied_at", NULL), text, sizeof(text));
    grid_put_right(g, 10, text);
    grid_put(g, 11, ask_text(d, "position", "?"));
}

static void show_links(json_t *links)
{
    static const char *const head[] = {"LINK",    "DIRECTION", "STATE",   "LAG",       "BEHIND",  "QUEUE",
                                       "INSERTS", "UPDATES",   "DELETES", "CONFLICTS", "APPLIED", "POSITION"};
    struct grid g = {0};
    const char *name;
    json_t *l;
    grid_head(&g, head, sizeof(head) / sizeof(head[0]));
    json_object_foreach(links, name, l)
    {
        json_t *directions = json_object_get(l, "directions");
        for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++)
            show_direction(&g, name, from, json_object_get(directions, direction_name(from)));
    }
    grid_print(&g);
}

/* ---- The reasons ---- */

static void show_reason(const char *what, const char *name, const char *arrow, json_t *o)
{
    const char *reason = ask_text(o, "reason", NULL);
    if (reason == NULL)
        return;
    printf("\n%s", text_color_on(TEXT_BOLD));
    text_printf("%s %s%s%s", what, name, arrow[0] != '\0' ? " " : "", arrow);
    printf("%s: ", text_color_off(TEXT_BOLD));
    text_printf("%s", reason);
}

static void show_conflicts(const char *link, enum side from, json_t *d)
{
    const char *reason;
    json_t *n, *conflicts = json_object_get(json_object_get(d, "counters"), "conflicts");
    if (sum_of(conflicts) == 0)
        return;
    putchar('\n');
    text_printf("conflicts %s %s:", link, direction_arrow(from));
    json_object_foreach(conflicts, reason, n)
    {
        if (json_integer_value(n) > 0)
            text_printf(" %" JSON_INTEGER_FORMAT " %s", json_integer_value(n), reason);
    }
}

static void show_quarantined(const char *link, uint64_t count)
{
    if (count == 0)
        return;
    putchar('\n');
    text_printf("link %s: %" PRIu64 " %s in quarantine; twinlog quarantine -c FILE list shows %s", link,
                count, count == 1 ? "row waits" : "rows wait", count == 1 ? "it" : "them");
}

static void show_job(json_t *job)
{
    struct buf line = BUF_INIT;
    enum text_color color = jobline_state(job) == JOBLINE_FAILED ? TEXT_RED : TEXT_PLAIN;
    if (!jobline_matters(job))
        return;
    jobline_text(job, &line);
    printf("\n%s", text_color_on(color));
    text_printf("%s", line.data);
    printf("%s", text_color_off(color));
    buf_done(&line);
}

static void show_reasons(json_t *document)
{
    const char *name;
    json_t *o;
    show_reason("twinlog", "daemon", "", document);
    json_object_foreach(json_object_get(document, "servers"), name, o) show_reason("server", name, "", o);
    json_object_foreach(json_object_get(document, "links"), name, o)
    {
        json_t *directions = json_object_get(o, "directions");
        for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
            json_t *d = json_object_get(directions, direction_name(from));
            show_reason("link", name, direction_arrow(from), d);
            show_conflicts(name, from, d);
        }
        show_job(json_object_get(o, "job"));
        if (json_is_null(json_object_get(o, "quarantined")))
            text_printf("\nlink %s: how many rows wait in quarantine is not known yet", name);
        else
            show_quarantined(name, ask_count(o, "quarantined"));
    }
}

static bool is_ready(json_t *document) { return strcmp(ask_text(document, "state", ""), "ready") == 0; }

static void show(json_t *document)
{
    bool ready = is_ready(document);
    char up[TEXT_VALUE];
    enum text_color color = ready ? TEXT_GREEN : TEXT_RED;
    text_duration((double)ask_count(document, "uptime_s"), up, sizeof(up));
    text_printf("twinlog %s: ", ask_text(document, "version", "?"));
    printf("%s%s%s, up %s\n\n", text_color_on(color), ready ? "everything streams" : "NOT READY",
           text_color_off(color), up);
    show_servers(json_object_get(document, "servers"));
    putchar('\n');
    show_links(json_object_get(document, "links"));
    show_reasons(document);
    putchar('\n');
}

int cmd_status(const struct cli_args *args)
{
    struct ask ask;
    struct ask_answer answer;
    struct err err = ERR_INIT;
    if (!ask_begin(&ask, args->config_path))
        return CLI_USAGE;
    bool ready = false, ok = ask_get(&ask, "/sync/status", &answer, &err);
    if (ok) {
        ok = ask_expects(&ask, &answer, "links", JSON_OBJECT, &err);
        ready = is_ready(answer.json);
        if (ok && args->json)
            ask_print_json(&answer);
        else if (ok)
            show(answer.json);
        ask_answer_done(&answer);
    }
    ask_end(&ask);
    if (!ok)
        return ask_failed(&err);
    return ready ? CLI_DONE : CLI_FAILED;
}
