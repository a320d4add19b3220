/*
 * verify.c - proves that both tables are equal, or names the rows that are not.
 *
 * It reads the servers itself, so it needs no daemon. If one runs, its status tells
 * when a row that differed has had its chance to arrive. A repair is the daemon's
 * work, for only one process may write a link: a running one is asked; where there is
 * none, this process becomes one for as long as it takes.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "appliers/store_mysql.h"
#include "appliers/verify.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/cli/ask.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/progress.h"
#include "cdc/cli/text.h"
#include "cdc/db/tableinfo.h"
#include "cdc/link_build.h"
#include "cdc/supervisor.h"
#include "version.h"

enum {
    POLL_MS = 100,
    PATIENCE_S = 60, /* with streams that do not move */
    READY_WITHIN_S = 120,
    LOCK_WAIT_S = 5,
    JSON_KEYS = 10000, /* named in a document, at most */
    REPAIR_KEYS = 1000000,
    NAME_BYTES = 256,
};

struct checked {
    const struct cli_args *args;
    const struct ask *ask;
    const struct config_link *config;
    struct db_options db[2];
    struct link *link;
    struct store *stores[2];
    struct progress progress;
    uint64_t expected;
    struct err err; /* of the daemon */

    /* Waiting for the streams. */
    struct buf seen; /* where they were when they last moved */
    mono_us moved_at;

    bool again;       /* these are looked at once more, after a repair */
    struct key *keys; /* that differ; owned */
    size_t nkeys;
    json_t *json; /* of this link; NULL: text */
    json_t *json_keys;
};

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

/* ---- What the daemon says of its streams ---- */

static bool direction_passed(json_t *directions, enum side from, const struct pos *end, struct buf *seen,
                             bool *ret_down)
{
    json_t *d = json_object_get(directions, direction_name(from));
    const char *state = ask_text(d, "state", ""), *gtid = ask_text(d, "gtid", "");
    const char *place = ask_text(d, "position", ""), *colon = strrchr(place, ':');
    struct pos applied = POS_INIT;
    struct err ignored = ERR_INIT;
    buf_addf(seen, "%s %s %s ", state, gtid, place);
    if (colon != NULL)
        pos_set_file(&applied, place, (size_t)(colon - place), strtoull(colon + 1, NULL, 10));
    *ret_down = *ret_down || strcmp(state, "halted") == 0 || strcmp(state, "stopped") == 0 ||
                state[0] == '\0';
    bool passed = strcmp(state, "streaming") == 0 &&
                  (!pos_has_gtids(end) || pos_parse_gtids(&applied, gtid, &ignored)) &&
                  pos_covers(&applied, end);
    pos_done(&applied);
    return passed;
}

/* Takes what was seen now. */
static bool stands_still(struct checked *j, struct buf *seen)
{
    bool same = j->seen.data != NULL && strcmp(j->seen.data, seen->data) == 0;
    if (!same)
        j->moved_at = clock_mono();
    buf_done(&j->seen);
    j->seen = *seen;
    return same && mono_diff_us(clock_mono(), j->moved_at) > PATIENCE_S * INT64_C(1000000);
}

static enum verify_streams wait_passed(void *arg, const struct pos ends[2])
{
    struct checked *j = arg;
    struct ask_answer answer;
    struct buf seen = BUF_INIT;
    bool down = false;
    err_clear(&j->err);
    if (!ask_get(j->ask, "/sync/status", &answer, &j->err)) {
        if (j->err.code == 0) /* no daemon: nothing is on its way */
            return VERIFY_DOWN;
        return VERIFY_STOPPED;
    }
    json_t *directions = json_object_get(
        json_object_get(json_object_get(answer.json, "links"), j->config->name), "directions");
    bool left = direction_passed(directions, SIDE_LEFT, &ends[SIDE_LEFT], &seen, &down);
    bool right = direction_passed(directions, SIDE_RIGHT, &ends[SIDE_RIGHT], &seen, &down);
    ask_answer_done(&answer);
    if (stands_still(j, &seen))
        down = true;
    if (left && right)
        return VERIFY_PASSED;
    if (down)
        return VERIFY_DOWN;
    sleep_ms(POLL_MS);
    return VERIFY_LATE;
}

/* ---- What is found ---- */

static void keep_key(struct checked *j, const struct key *k)
{
    if (j->again || j->nkeys == REPAIR_KEYS)
        return;
    char *copy = mem_alloc(k->len + 1);
    memcpy(copy, k->data, k->len);
    if ((j->nkeys & (j->nkeys - 1)) == 0)
        j->keys = mem_realloc(j->keys, (j->nkeys == 0 ? 1 : 2 * j->nkeys) * sizeof(*j->keys));
    j->keys[j->nkeys++] = (struct key){copy, k->len};
}

static json_t *split_columns(const char *columns)
{
    json_t *ret = json_array();
    char *copy = mem_strdup(columns), *rest = copy;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (*name != '\0')
            json_array_append_new(ret, json_string(name));
    }
    free(copy);
    return ret;
}

static void on_difference(void *arg, const struct verify_difference *d)
{
    struct checked *j = arg;
    struct buf text = BUF_INIT;
    char name[NAME_BYTES];
    key_print(j->link, d->key, &text);
    log_key(text.data, text.len, name, sizeof(name));
    buf_wipe_done(&text);
    keep_key(j, d->key);
    if (j->json_keys != NULL) {
        if (json_array_size(j->json_keys) < JSON_KEYS)
            json_array_append_new(j->json_keys,
                                  json_pack("{s:s, s:b, s:b, s:o}", "key", name, "left",
                                            d->row[SIDE_LEFT] != NULL, "right", d->row[SIDE_RIGHT] != NULL,
                                            "columns", split_columns(d->columns)));
        return;
    }
    progress_clear(&j->progress);
    const char *still = j->again ? "still " : "";
    if (d->row[SIDE_LEFT] == NULL || d->row[SIDE_RIGHT] == NULL)
        text_printf("%s %s: %sonly on the %s\n", j->config->name, name, still,
                    side_name(d->row[SIDE_LEFT] != NULL ? SIDE_LEFT : SIDE_RIGHT));
    else
        text_printf("%s %s: %sdiffers in %s\n", j->config->name, name, still, d->columns);
}

static bool on_progress(void *arg, uint64_t compared, uint64_t open)
{
    struct checked *j = arg;
    char text[96] = "";
    if (open > 0)
        snprintf(text, sizeof(text), "%" PRIu64 " looked at again", open);
    progress_update(&j->progress, compared, j->expected, text);
    return true;
}

/* ---- One link ---- */

/* For a document, which has no other place for it. The first one counts. */
static void set_error(struct checked *j, const char *text)
{
    if (j->json != NULL && json_object_get(j->json, "error") == NULL)
        json_object_set_new(j->json, "error", json_string(text));
}

static void report(void *arg, enum check_level level, const char *text, const char *mend)
{
    struct checked *j = arg;
    if (level != CHECK_FAIL)
        return;
    fprintf(stderr, "twinlog: link %s: %s%s%s\n", j->config->name, text, mend != NULL ? "; to mend it: " : "",
            mend != NULL ? mend : "");
    set_error(j, text);
}

static bool load_table(struct checked *j, enum side side, struct table **ret_table, struct err *err)
{
    struct dbconn *conn = dbconn_new(&j->db[side]);
    bool ok = dbconn_open(conn, LOCK_WAIT_S, err) &&
              tableinfo_load(conn, j->config->side[side].db, j->config->side[side].table, ret_table, err);
    dbconn_free(conn);
    return ok;
}

/* A key that is not there is a mistake in the config, which no server need be asked about. */
static bool has_keys(const struct checked *j, struct err *err)
{
    for (size_t i = 0; i < j->config->ncolumns; i++) {
        unsigned char(*keys)[CIPHER_KEY_BYTES];
        size_t count;
        if (!j->config->columns[i].ciphered)
            continue;
        if (!config_column_keys(&j->config->columns[i], &keys, &count, err))
            return false;
        mem_wipe_free(keys, count * sizeof(*keys));
    }
    return true;
}

/* False with an err, or without one when what is wrong has been said. */
static bool build(struct checked *j, struct err *err)
{
    const struct config *c = &j->ask->config;
    struct table *tables[2] = {NULL, NULL};
    if (!has_keys(j, err))
        return false;
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        j->db[s] = (struct db_options){.server = config_find_server(c, j->config->side[s].server),
                                       .connect_timeout_s = c->connect_timeout_s,
                                       .read_timeout_s = c->read_timeout_s,
                                       .inspect_only = true};
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        j->db[s].target = db_target_new(j->db[s].server);
    if (!load_table(j, SIDE_LEFT, &tables[SIDE_LEFT], err) ||
        !load_table(j, SIDE_RIGHT, &tables[SIDE_RIGHT], err)) {
        table_free(tables[SIDE_LEFT]);
        return false;
    }
    j->link = link_build(j->config, tables[SIDE_LEFT], tables[SIDE_RIGHT], report, j);
    if (j->link == NULL)
        return false;
    uint64_t rows[2], row_bytes;
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        j->stores[s] = store_mysql_new(&j->db[s], c->state_database, j->link, s);
        if (!store_mysql_estimate(j->stores[s], &rows[s], &row_bytes, err))
            return false;
    }
    j->expected = rows[SIDE_LEFT] > rows[SIDE_RIGHT] ? rows[SIDE_LEFT] : rows[SIDE_RIGHT];
    return true;
}

static void job_done(struct checked *j)
{
    store_mysql_free(j->stores[SIDE_LEFT]);
    store_mysql_free(j->stores[SIDE_RIGHT]);
    db_target_free(j->db[SIDE_LEFT].target);
    db_target_free(j->db[SIDE_RIGHT].target);
    link_free(j->link);
    for (size_t i = 0; i < j->nkeys; i++)
        free((void *)j->keys[i].data);
    free(j->keys);
    buf_done(&j->seen);
}

/* The whole tables, or after a repair the keys that differed. */
static bool compare(struct checked *j, struct verify_result *ret, struct err *err)
{
    struct verify_options o = {
        .link = j->link,
        .stores = {j->stores[SIDE_LEFT], j->stores[SIDE_RIGHT]},
        .chunk_rows = j->ask->config.resync_chunk_rows,
        .arg = j,
        .wait_passed = wait_passed,
        .difference = on_difference,
        .progress = on_progress,
    };
    if (j->json != NULL)
        j->json_keys = json_array();
    progress_begin(&j->progress, stderr, j->config->name);
    bool ok = j->again ? verify_keys(&o, j->keys, j->nkeys, ret, err) : verify_run(&o, ret, err);
    progress_end(&j->progress);
    if (!ok && err->kind == ERR_STOPPED && j->err.code != 0)
        *err = j->err;
    return ok;
}

/* Rows that never stood still are neither equal nor different. */
static bool is_proven(const struct verify_result *r) { return r->differing == 0 && r->moving == 0; }

static void show_result(struct checked *j, const struct verify_result *r)
{
    char compared[TEXT_VALUE], differing[TEXT_VALUE], moving[TEXT_VALUE];
    text_count(r->compared, compared, sizeof(compared));
    text_count(r->differing, differing, sizeof(differing));
    text_count(r->moving, moving, sizeof(moving));
    if (j->json != NULL) {
        json_object_set_new(j->json, "compared", json_integer((json_int_t)r->compared));
        json_object_set_new(j->json, "differing", json_integer((json_int_t)r->differing));
        json_object_set_new(j->json, "moving", json_integer((json_int_t)r->moving));
        json_object_set_new(j->json, "equal", json_boolean(is_proven(r)));
        json_object_set_new(j->json, "keys", j->json_keys);
        return;
    }
    enum text_color color = is_proven(r) ? TEXT_GREEN : TEXT_RED;
    printf("%s: %s rows compared%s, %s%s%s%s", j->config->name, compared, j->again ? " once more" : "",
           text_color_on(color), r->differing == 0 ? "equal" : differing, r->differing == 0 ? "" : " differ",
           text_color_off(color));
    if (r->moving > 0)
        printf(", %s never stood still: not proven", moving);
    putchar('\n');
    fflush(stdout);
}

/* ---- Repair ---- */

static void on_changed(void *arg) { (void)arg; }

static bool wait_until_ready(const struct ask *ask, struct supervisor *s, struct err *err)
{
    mono_us began = clock_mono();
    for (;;) {
        struct ask_answer answer;
        err_clear(err);
        if (ask_get(ask, "/readyz", &answer, err)) {
            ask_answer_done(&answer);
            return true;
        }
        if (supervisor_has_ended(s))
            return err_set(err, ERR_RETRY, 0, "what would repair it cannot start, see above");
        if (mono_diff_us(clock_mono(), began) > READY_WITHIN_S * INT64_C(1000000))
            return err_prefix(err, "not ready within %d s", READY_WITHIN_S);
        sleep_ms(POLL_MS);
    }
}

static int resync(const struct checked *j)
{
    const struct cli_args args = {
        .config_path = j->args->config_path, .link = j->config->name, .wait = true, .json = j->json != NULL};
    return cmd_trigger(&args);
}

static int resync_without_daemon(const struct checked *j)
{
    struct supervisor_options o = {&j->ask->config, TWINLOG_VERSION, on_changed, NULL};
    struct supervisor *s = supervisor_new(&o);
    struct err err = ERR_INIT;
    fprintf(stderr, "twinlog: no daemon runs: this process takes its place until it is done\n");
    bool ok = supervisor_start(s, &err) && wait_until_ready(j->ask, s, &err);
    int ret = ok ? resync(j) : ask_failed(&err);
    supervisor_stop(s);
    supervisor_join(s);
    supervisor_free(s);
    return ret;
}

static int repair(const struct checked *j)
{
    struct ask_answer answer;
    struct err err = ERR_INIT;
    if (ask_get(j->ask, "/healthz", &answer, &err)) {
        ask_answer_done(&answer);
        return resync(j);
    }
    return err.code == 0 ? resync_without_daemon(j) : ask_failed(&err);
}

/* What is wrong at this point stands in the tables or with the servers, not in the config. */
static int failed_to_compare(struct checked *j, const struct err *err)
{
    set_error(j, err->text);
    ask_failed(err);
    return CLI_FAILED;
}

static int failed_to_build(struct checked *j, const struct err *err)
{
    if (err->kind == ERR_NONE)
        return CLI_FAILED;
    set_error(j, err->text);
    return ask_failed(err);
}

/* What the process would exit with if this were the only link. */
static int verify_link(struct checked *j)
{
    struct verify_result result;
    struct err err = ERR_INIT;
    if (!build(j, &err))
        return failed_to_build(j, &err);
    if (!compare(j, &result, &err))
        return failed_to_compare(j, &err);
    int ret = is_proven(&result) ? CLI_DONE : CLI_FAILED;
    show_result(j, &result);
    if (result.differing == 0 || !j->args->repair)
        return ret;
    if (repair(j) != CLI_DONE)
        return CLI_FAILED;
    j->again = true;
    if (!compare(j, &result, &err))
        return failed_to_compare(j, &err);
    show_result(j, &result);
    return is_proven(&result) ? CLI_DONE : CLI_FAILED;
}

/* ---- The command ---- */

static bool knows_link(const struct config *c, const char *name)
{
    for (size_t i = 0; name != NULL && i < c->nlinks; i++)
        if (strcmp(c->links[i].name, name) == 0)
            return true;
    if (name != NULL)
        fprintf(stderr, "twinlog: there is no link \"%s\" in %s; there is \"%s\"%s\n", name, c->path,
                c->links[0].name, c->nlinks > 1 ? " and others" : "");
    return name == NULL;
}

int cmd_verify(const struct cli_args *args)
{
    struct ask ask;
    if (!ask_begin(&ask, args->config_path))
        return CLI_USAGE;
    log_setup(LOG_WARN, ask.config.log_format, ask.config.log_keys);
    bool known = knows_link(&ask.config, args->link);
    int ret = known ? CLI_DONE : CLI_USAGE;
    json_t *links = args->json ? json_object() : NULL;
    for (size_t i = 0; i < ask.config.nlinks && known; i++) {
        struct checked j = {.args = args, .ask = &ask, .config = &ask.config.links[i]};
        if (args->link != NULL && strcmp(args->link, j.config->name) != 0)
            continue;
        if (links != NULL)
            json_object_set_new(links, j.config->name, j.json = json_object());
        int of_link = verify_link(&j);
        ret = of_link > ret ? of_link : ret; /* usage and config before what failed */
        job_done(&j);
    }
    if (links != NULL && known) {
        json_t *document = json_pack("{s:b, s:O}", "equal", ret == CLI_DONE, "links", links);
        json_dumpf(document, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(document);
    }
    json_decref(links);
    ask_end(&ask);
    return ret;
}
