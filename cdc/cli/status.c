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
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/buf.h"
#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/cli/cli.h"
#include "cdc/model/side.h"
#include "cdc/service/client.h"
#include "config/config.h"

enum { TIMEOUT_MS = 5000, MAX_COLUMNS = 12, CELL_BYTES = 160 };

/* ---- A table of aligned columns ---- */

enum color { PLAIN, BOLD, GREEN, YELLOW, RED };

struct cell {
    char text[CELL_BYTES];
    enum color color;
    bool right; /* aligned, as numbers are */
};

struct grid {
    struct cell (*rows)[MAX_COLUMNS];
    size_t nrows, ncolumns;
};

static bool use_colors;

static const char *color_on(enum color c)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    return use_colors ? codes[c] : "";
}

static const char *color_off(enum color c) { return use_colors && c != PLAIN ? "\033[0m" : ""; }

/* The answer came over a network: nothing in it may move the cursor. */
static void make_printable(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    }
}

/* Places on the screen, as far as one character takes one. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void grid_row(struct grid *g)
{
    g->rows = mem_realloc(g->rows, (g->nrows + 1) * sizeof(*g->rows));
    memset(g->rows[g->nrows], 0, sizeof(*g->rows));
    g->nrows++;
}

static void put(struct grid *g, size_t column, enum color color, bool right, const char *text)
{
    struct cell *c = &g->rows[g->nrows - 1][column];
    snprintf(c->text, sizeof(c->text), "%s", text);
    make_printable(c->text);
    c->color = color;
    c->right = right;
    if (g->ncolumns <= column)
        g->ncolumns = column + 1;
}

static void grid_head(struct grid *g, const char *const *names, size_t count)
{
    grid_row(g);
    for (size_t i = 0; i < count; i++)
        put(g, i, BOLD, false, names[i]);
}

/* Heads stand where the numbers below them stand. */
static void grid_print(struct grid *g)
{
    int widths[MAX_COLUMNS] = {0};
    for (size_t i = 0; i < g->nrows; i++) {
        for (size_t j = 0; j < g->ncolumns; j++) {
            int w = width_of(g->rows[i][j].text);
            widths[j] = w > widths[j] ? w : widths[j];
            if (i > 0 && g->rows[i][j].right)
                g->rows[0][j].right = true;
        }
    }
    for (size_t i = 0; i < g->nrows; i++) {
        for (size_t j = 0; j < g->ncolumns; j++) {
            const struct cell *c = &g->rows[i][j];
            int fill = widths[j] - width_of(c->text);
            bool last = j + 1 == g->ncolumns;
            printf("%*s%s%s%s%*s%s", c->right ? fill : 0, "", color_on(c->color), c->text,
                   color_off(c->color), c->right || last ? 0 : fill, "", last ? "\n" : "  ");
        }
    }
    free(g->rows);
}

/* ---- Values as people read them ---- */

static const char *text_of(json_t *o, const char *name, const char *other)
{
    const char *s = json_string_value(json_object_get(o, name));
    return s != NULL ? s : other;
}

static json_int_t count_of(json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static void print_duration(double s, char *out, size_t size)
{
    int64_t n = (int64_t)s;
    if (s <= 0)
        snprintf(out, size, "0 s");
    else if (s < 0.9995)
        snprintf(out, size, "%.0f ms", s * 1000);
    else if (n < 60)
        snprintf(out, size, "%.1f s", s);
    else if (n < 3600)
        snprintf(out, size, "%" PRId64 " min %" PRId64 " s", n / 60, n % 60);
    else if (n < 86400)
        snprintf(out, size, "%" PRId64 " h %" PRId64 " min", n / 3600, n / 60 % 60);
    else
        snprintf(out, size, "%" PRId64 " d %" PRId64 " h", n / 86400, n / 3600 % 24);
}

static void print_bytes(json_int_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(out, size, "%" JSON_INTEGER_FORMAT " B", bytes);
        return;
    }
    for (; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    snprintf(out, size, "%.1f %s", n, units[unit]);
}

static void print_lag(json_t *direction, char *out, size_t size)
{
    json_t *s = json_object_get(direction, "lag_seconds");
    if (json_is_number(s))
        print_duration(json_number_value(s), out, size);
    else
        snprintf(out, size, "?");
}

static void print_lag_bytes(json_t *direction, char *out, size_t size)
{
    json_t *bytes = json_object_get(direction, "lag_bytes");
    if (json_is_integer(bytes))
        print_bytes(json_integer_value(bytes), out, size);
    else
        snprintf(out, size, "?");
}

static void print_queue(json_t *queue, char *out, size_t size)
{
    json_int_t n = count_of(queue, "transactions");
    char bytes[32];
    print_bytes(count_of(queue, "bytes"), bytes, sizeof(bytes));
    if (n == 0)
        snprintf(out, size, "0");
    else
        snprintf(out, size, "%" JSON_INTEGER_FORMAT " (%s)", n, bytes);
}

static void print_age(const char *iso, char *out, size_t size)
{
    struct tm tm = {0};
    if (iso == NULL) {
        snprintf(out, size, "never");
        return;
    }
    if (strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm) == NULL) {
        snprintf(out, size, "?");
        return;
    }
    char text[40];
    int64_t age_s = clock_wall().v / 1000000 - (int64_t)timegm(&tm);
    if (age_s < 60)
        snprintf(text, sizeof(text), "%" PRId64 " s", age_s > 0 ? age_s : 0);
    else
        print_duration((double)age_s, text, sizeof(text));
    snprintf(out, size, "%s ago", text);
}

static json_int_t sum_of(json_t *counts)
{
    const char *name;
    json_t *value;
    json_int_t sum = 0;
    json_object_foreach(counts, name, value) sum += json_integer_value(value);
    return sum;
}

/* ---- The tables ---- */

static enum color state_color(const char *state)
{
    if (strcmp(state, "streaming") == 0)
        return GREEN;
    return strcmp(state, "starting") == 0 || strcmp(state, "connecting") == 0 ? YELLOW : RED;
}

static void show_servers(json_t *servers)
{
    static const char *const head[] = {"SERVER", "STATE", "VERSION", "LAST EVENT", "RECONNECTS", "POSITION"};
    struct grid g = {0};
    const char *name;
    json_t *s;
    grid_head(&g, head, sizeof(head) / sizeof(head[0]));
    json_object_foreach(servers, name, s)
    {
        char text[CELL_BYTES], age[48] = "never";
        const char *state = text_of(s, "state", "?");
        json_t *seconds = json_object_get(s, "last_event_age_s");
        if (json_is_number(seconds)) {
            print_duration(json_number_value(seconds), text, sizeof(text));
            snprintf(age, sizeof(age), "%.40s ago", text);
        }
        grid_row(&g);
        put(&g, 0, PLAIN, false, name);
        put(&g, 1, state_color(state), false, state);
        put(&g, 2, PLAIN, false, text_of(s, "version", "?"));
        put(&g, 3, PLAIN, true, age);
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, count_of(s, "reconnects"));
        put(&g, 4, PLAIN, true, text);
        put(&g, 5, PLAIN, false, text_of(s, "position", "?"));
    }
    grid_print(&g);
}

static void put_count(struct grid *g, size_t column, json_int_t n)
{
    char text[32];
    snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, n);
    put(g, column, PLAIN, true, text);
}

static void show_direction(struct grid *g, const char *link, enum side from, json_t *d)
{
    json_t *counters = json_object_get(d, "counters");
    json_t *queue = json_object_get(d, "queue");
    char text[CELL_BYTES];
    const char *state = text_of(d, "state", "?");
    if (strcmp(state, "streaming") == 0 && !json_is_true(json_object_get(d, "connected")))
        state = "connecting";

    grid_row(g);
    put(g, 0, PLAIN, false, link);
    put(g, 1, PLAIN, false, direction_arrow(from));
    put(g, 2, state_color(state), false, state);
    print_lag(d, text, sizeof(text));
    put(g, 3, PLAIN, true, text);
    print_lag_bytes(d, text, sizeof(text));
    put(g, 4, PLAIN, true, text);
    print_queue(queue, text, sizeof(text));
    put(g, 5, PLAIN, true, text);
    put_count(g, 6, count_of(counters, "inserts"));
    put_count(g, 7, count_of(counters, "updates"));
    put_count(g, 8, count_of(counters, "deletes"));
    put_count(g, 9, sum_of(json_object_get(counters, "conflicts")));
    print_age(json_string_value(json_object_get(d, "last_applied_at")), text, sizeof(text));
    put(g, 10, PLAIN, true, text);
    put(g, 11, PLAIN, false, text_of(d, "position", "?"));
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
    const char *reason = text_of(o, "reason", NULL);
    if (reason == NULL)
        return;
    char *copy = mem_strdup(reason);
    make_printable(copy);
    printf("\n%s%s %s%s%s%s: %s", color_on(BOLD), what, name, arrow[0] != '\0' ? " " : "", arrow,
           color_off(BOLD), copy);
    free(copy);
}

static void show_conflicts(const char *link, enum side from, json_t *d)
{
    const char *reason;
    json_t *n, *conflicts = json_object_get(json_object_get(d, "counters"), "conflicts");
    if (sum_of(conflicts) == 0)
        return;
    printf("\nconflicts %s %s:", link, direction_arrow(from));
    json_object_foreach(conflicts, reason, n)
    {
        if (json_integer_value(n) > 0)
            printf(" %" JSON_INTEGER_FORMAT " %s", json_integer_value(n), reason);
    }
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
        if (count_of(o, "quarantined") > 0)
            printf("\nlink %s: %" JSON_INTEGER_FORMAT " rows wait in quarantine, the log names them", name,
                   count_of(o, "quarantined"));
    }
}

static bool is_ready(json_t *document) { return strcmp(text_of(document, "state", ""), "ready") == 0; }

static void show(json_t *document)
{
    bool ready = is_ready(document);
    char up[48];
    enum color color = ready ? GREEN : RED;
    print_duration((double)count_of(document, "uptime_s"), up, sizeof(up));
    const char *no_color = getenv("NO_COLOR");

    use_colors = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
    printf("twinlog %s: %s%s%s, up %s\n\n", text_of(document, "version", "?"), color_on(color),
           ready ? "everything streams" : "NOT READY", color_off(color), up);
    show_servers(json_object_get(document, "servers"));
    putchar('\n');
    show_links(json_object_get(document, "links"));
    show_reasons(document);
    putchar('\n');
}

/* ---- The question ---- */

static bool ask(const struct config *config, struct buf *ret_answer, struct err *err)
{
    struct client_options o = {config->http_host, config->http_port, NULL, TIMEOUT_MS};
    char *token = NULL;
    size_t len;
    long code;
    if (!config_secret_read(&config->http_token, &token, &len, err))
        return err_prefix(err, "http token");
    o.token = token;
    bool ok = client_get(&o, "/sync/status", &code, ret_answer, err);
    mem_wipe_free(token, len + 1);
    if (ok && code == 401)
        return err_set(err, ERR_RETRY, 401, "the daemon refuses the token of http.token_env or token_file");
    if (ok && code != 200)
        return err_set(err, ERR_RETRY, (int)code, "what listens on %s:%u answered with HTTP status %ld",
                       config->http_host, (unsigned)config->http_port, code);
    return ok;
}

static int answer_with(const struct buf *answer, bool json)
{
    json_error_t error;
    json_t *document = json_loadb(answer->len > 0 ? answer->data : "", answer->len, 0, &error);
    if (!json_is_object(document)) {
        fprintf(stderr, "twinlog: the answer is no status document: is it twinlog that listens there?\n");
        json_decref(document);
        return CLI_FAILED;
    }
    if (json)
        fwrite(answer->data, 1, answer->len, stdout);
    else
        show(document);
    int ret = is_ready(document) ? CLI_DONE : CLI_FAILED;
    json_decref(document);
    return ret;
}

int cmd_status(const struct cli_args *args)
{
    struct config config;
    struct err err = ERR_INIT;
    struct buf answer = BUF_INIT;
    int ret;
    if (!config_load(args->config_path, &config, &err)) {
        fprintf(stderr, "twinlog: %s\n", err.text);
        return CLI_USAGE;
    }
    if (ask(&config, &answer, &err)) {
        ret = answer_with(&answer, args->json);
    } else {
        fprintf(stderr, "twinlog: %s\n", err.text);
        ret = err.kind == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
    }
    buf_done(&answer);
    config_done(&config);
    return ret;
}
