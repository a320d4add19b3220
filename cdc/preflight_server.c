/*
 * preflight_server.c - is one server fit to be read and written?
 *
 * A privilege is tried out rather than read from SHOW GRANTS, which tells
 * neither what roles add nor what a server makes of a name. To be let into the binary
 * log is tried under a server_id drawn at random: under our own the server would
 * end the stream of a daemon that is running.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/control.h"
#include "cdc/db/stream.h"
#include "cdc/db/tableinfo.h"
#include "cdc/preflight_int.h"

/* ---- Connection ---- */

static const char *connect_mend(const struct err *err)
{
    switch (err->code) {
    case 1045:
    case 1698: return "check user, and the secret that password_env or password_file names";
    case 1130: return "CREATE USER and GRANT for the host that twinlog connects from: sql/grants.sql";
    default: return NULL;
    }
}

static bool connect_server(struct preflight *p, struct preflight_server *s)
{
    struct err err = ERR_INIT;
    struct dbconn *conn = dbconn_new(&s->options);
    if (dbconn_open(conn, 5, &err)) {
        s->conn = conn;
        return true;
    }
    dbconn_free(conn);
    preflight_say(p, CHECK_FAIL, s->config->name, connect_mend(&err), "%s", err.text);
    if (err.kind == ERR_RETRY) {
        p->fails--; /* it may yet come */
        p->absents++;
    }
    return false;
}

/* "twinlog@%" -> "`twinlog`@`%`": the host begins behind the last @. */
static char *quote_account(const char *account)
{
    struct buf out = BUF_INIT;
    const char *at = strrchr(account, '@');
    char *user = at != NULL ? mem_strndup(account, (size_t)(at - account)) : mem_strdup(account);
    db_quote_name(&out, user);
    buf_addc(&out, '@');
    db_quote_name(&out, at != NULL ? at + 1 : "%");
    free(user);
    return out.data;
}

static bool learn_server(struct preflight *p, struct preflight_server *s)
{
    static const char sql[] =
        "SELECT CURRENT_USER(), CONCAT_WS(':', @@hostname, @@port, @@datadir, @@socket)";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    bool ok = dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err);
    if (ok && db_result_next(r) && db_result_get(r, 0, NULL) != NULL) {
        const char *identity = db_result_get(r, 1, NULL);
        s->account = quote_account(db_result_get(r, 0, NULL));
        s->identity = identity != NULL ? mem_strdup(identity) : NULL;
    } else {
        preflight_say(p, CHECK_FAIL, s->config->name, NULL, "%s",
                      ok ? "does not tell the account" : err.text);
    }
    db_result_free(r);
    return s->account != NULL;
}

static bool is_near(const struct config_server *c)
{
    return c->socket != NULL || strncmp(c->host, "127.", 4) == 0 || strcmp(c->host, "::1") == 0 ||
           strcmp(c->host, "localhost") == 0;
}

static void say_connected(struct preflight *p, const struct preflight_server *s)
{
    static const char *const tls[] = {"without TLS", "TLS, certificate not verified",
                                      "TLS, certificate verified", "TLS, certificate and host name verified"};
    const struct config_server *c = s->config;
    struct buf at = BUF_INIT;
    if (c->socket != NULL)
        buf_addf(&at, "%s", c->socket);
    else
        buf_addf(&at, strchr(c->host, ':') != NULL ? "[%s]:%u" : "%s:%u", c->host, c->port);
    bool overheard = c->tls_mode == TLS_OFF && !is_near(c);
    preflight_say(p, overheard ? CHECK_WARN : CHECK_OK, c->name,
                  overheard ? "tls = { mode = \"verify_identity\"; } in this section of twinlog's config"
                            : NULL,
                  "connected to %s as %s, %s%s", at.data, s->account, tls[c->tls_mode],
                  overheard ? ": rows cross the network in plain text" : "");
    buf_done(&at);
}

static bool check_version(struct preflight *p, const struct preflight_server *s)
{
    const char *version = dbconn_version(s->conn);
    char *rest;
    unsigned long major = strtoul(version, &rest, 10), minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;

    if (dbconn_kind(s->conn) != DB_MARIADB && major < 8)
        preflight_say(p, CHECK_WARN, s->config->name, NULL,
                      "MySQL %s: older than 8.0, which nobody has tried", version);
    else if (dbconn_kind(s->conn) != DB_MARIADB)
        preflight_say(p, CHECK_OK, s->config->name, NULL, "MySQL %s", version);
    else if (major < 10 || (major == 10 && minor < 6))
        preflight_say(p, CHECK_WARN, s->config->name, NULL,
                      "MariaDB %s: older than 10.6, which nobody has tried", version);
    else
        preflight_say(p, CHECK_OK, s->config->name, NULL, "MariaDB %s", version);
    return true;
}

/* ---- Binary log ---- */

struct settings {
    bool log_bin;
    char format[16], row_image[16];
    uint32_t server_id;
    double expire_s; /* 0: never */
};

static void take_setting(struct settings *v, const char *name, const char *value)
{
    double days = 24 * 3600;
    if (strcmp(name, "log_bin") == 0)
        v->log_bin = strcmp(value, "ON") == 0;
    else if (strcmp(name, "binlog_format") == 0)
        snprintf(v->format, sizeof(v->format), "%s", value);
    else if (strcmp(name, "binlog_row_image") == 0)
        snprintf(v->row_image, sizeof(v->row_image), "%s", value);
    else if (strcmp(name, "server_id") == 0)
        v->server_id = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(name, "binlog_expire_logs_seconds") == 0 && strtod(value, NULL) > 0)
        v->expire_s = strtod(value, NULL);
    else if (strcmp(name, "expire_logs_days") == 0 && v->expire_s == 0)
        v->expire_s = strtod(value, NULL) * days;
}

static bool load_settings(struct preflight *p, const struct preflight_server *s,
                          struct settings *ret_settings)
{
    static const char sql[] = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', "
                              "'binlog_row_image', 'server_id', "
                              "'binlog_expire_logs_seconds', 'expire_logs_days')";
    struct settings v = {0};
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    if (!dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err)) {
        preflight_say(p, CHECK_FAIL, s->config->name, NULL, "%s", err.text);
        return false;
    }
    while (db_result_next(r)) {
        const char *name = db_result_get(r, 0, NULL), *value = db_result_get(r, 1, NULL);
        if (name != NULL && value != NULL)
            take_setting(&v, name, value);
    }
    db_result_free(r);
    *ret_settings = v;
    return true;
}

static void check_settings(struct preflight *p, const struct preflight_server *s, const struct settings *v)
{
    const char *name = s->config->name;
    if (!v->log_bin)
        preflight_say(
            p, CHECK_FAIL, name,
            "log_bin = bin, binlog_format = ROW and a server_id in the [mariadbd] section of the server's "
            "config, then restart it",
            "the binary log is off (log_bin)");
    else
        preflight_say(p, CHECK_OK, name, NULL, "binary log is on");

    if (strcmp(v->format, "ROW") != 0)
        preflight_say(
            p, CHECK_FAIL, name,
            "SET GLOBAL binlog_format = 'ROW'; -- and binlog_format = ROW in the server's config; sessions "
            "that are open keep the old format until they reconnect",
            "binlog_format is %s, not ROW: statements do not show which rows they changed", v->format);
    else
        preflight_say(p, CHECK_OK, name, NULL, "binlog_format is ROW");

    if (strcmp(v->row_image, "FULL") != 0)
        preflight_say(
            p, CHECK_FAIL, name,
            "SET GLOBAL binlog_row_image = 'FULL'; -- and binlog_row_image = FULL in the server's config; "
            "sessions that are open keep the old one until they reconnect",
            "binlog_row_image is %s, not FULL: row events would lack columns", v->row_image);
    else
        preflight_say(p, CHECK_OK, name, NULL, "binlog_row_image is FULL");

    if (v->server_id == s->config->server_id)
        preflight_say(p, CHECK_FAIL, name, "another server_id in this section of twinlog's config",
                      "server_id %" PRIu32 " is that of the server itself; a replica needs its own",
                      v->server_id);
    if (v->expire_s > 0 && v->expire_s < 24 * 3600)
        preflight_say(
            p, CHECK_WARN, name,
            "SET GLOBAL binlog_expire_logs_seconds = 604800; -- and the same in the server's config",
            "binary logs are kept for %.1f hours; a longer stop of twinlog costs a resync",
            v->expire_s / 3600);
}

static uint32_t random_server_id(uint32_t not_this)
{
    uint32_t id;
    do {
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            id = (uint32_t)clock_mono().v;
        id |= 0x80000000U; /* where hardly anybody has numbered a real replica */
    } while (id == not_this || id == UINT32_MAX);
    return id;
}

/* Starts the dump where the log ends, takes the first event and leaves. */
static bool try_stream(const struct preflight_server *s, uint32_t server_id, struct err *err)
{
    struct config_server config = *s->config;
    struct db_options options = s->options;
    struct pos pos = POS_INIT;
    const uint8_t *event;
    size_t len;
    config.server_id = random_server_id(server_id);
    options.server = &config;
    if (!tableinfo_position(s->conn, &pos, err))
        return false;
    struct stream *stream = stream_new(&options);
    bool ok = stream_open(stream, &pos, err) && stream_next(stream, &event, &len, err);
    stream_free(stream);
    pos_done(&pos);
    return ok;
}

static void check_stream(struct preflight *p, const struct preflight_server *s, const struct settings *v)
{
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    if (!v->log_bin)
        return;
    if (try_stream(s, v->server_id, &err)) {
        preflight_say(p, CHECK_OK, s->config->name, NULL, "the binary log can be read");
        return;
    }
    if (preflight_is_denied(&err))
        buf_addf(&mend, "GRANT REPLICATION SLAVE ON *.* TO %s;", s->account);
    preflight_say(p, CHECK_FAIL, s->config->name, mend.data, "the binary log cannot be read: %s", err.text);
    buf_done(&mend);
}

/* Is db in "a,b,c"? */
static bool is_listed(const char *list, const char *db)
{
    size_t len = strlen(db);
    for (const char *p = list; *p != '\0'; p += strspn(p, ",")) {
        size_t n = strcspn(p, ",");
        if (n == len && strncmp(p, db, len) == 0)
            return true;
        p += n;
    }
    return false;
}

static void check_filter(struct preflight *p, const struct preflight_server *s, const char *only,
                         const char *ignored, const char *db)
{
    if ((*only == '\0' || is_listed(only, db)) && !is_listed(ignored, db))
        return;
    preflight_say(
        p, CHECK_FAIL, s->config->name,
        "take the database out of binlog_do_db or binlog_ignore_db in the server's config, then restart it",
        "changes of database %s are kept out of the binary log", db);
}

/* SHOW MASTER STATUS: file, position, binlog_do_db, binlog_ignore_db. */
static void check_log_status(struct preflight *p, const struct preflight_server *s, const struct settings *v)
{
    static const char sql[] = "SHOW MASTER STATUS";
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    struct db_result *r = NULL;
    if (!v->log_bin)
        return;
    if (!dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err)) {
        if (preflight_is_denied(&err))
            buf_addf(&mend, "GRANT BINLOG MONITOR ON *.* TO %s;", s->account);
        preflight_say(p, CHECK_WARN, s->config->name, mend.data,
                      "the log's filters and end cannot be seen, status shows GTIDs only: %s", err.text);
        buf_done(&mend);
        return;
    }
    if (db_result_next(r) && db_result_columns(r) >= 4) {
        const char *only = db_result_get(r, 2, NULL), *ignored = db_result_get(r, 3, NULL);
        only = only != NULL ? only : "";
        ignored = ignored != NULL ? ignored : "";
        check_filter(p, s, only, ignored, p->config->state_database);
        for (size_t i = 0; i < p->config->nlinks; i++)
            for (int side = 0; side < 2; side++)
                if (strcmp(p->config->links[i].side[side].server, s->config->name) == 0)
                    check_filter(p, s, only, ignored, p->config->links[i].side[side].db);
    }
    db_result_free(r);
}

/* ---- Control tables ---- */

/* "`twinlog`.*"; in a GRANT on a database _ and % are wildcards. */
static void add_database_pattern(struct buf *out, const char *db)
{
    struct buf escaped = BUF_INIT;
    for (; *db != '\0'; db++) {
        if (*db == '_' || *db == '%' || *db == '\\')
            buf_addc(&escaped, '\\');
        buf_addc(&escaped, *db);
    }
    db_quote_name(out, escaped.data);
    buf_adds(out, ".*");
    buf_done(&escaped);
}

static void say_plan(struct preflight *p, const struct preflight_server *s, const struct control_plan *plan)
{
    struct buf what = BUF_INIT, mend = BUF_INIT;
    for (size_t i = 0; i < plan->nsteps; i++)
        buf_addf(&what, "%s%s", i > 0 ? ", " : "", plan->steps[i].what);
    buf_addf(&mend, "twinlog init -c %s", p->config->path);
    preflight_say(p, CHECK_FAIL, s->config->name, mend.data, "missing: %s", what.data);
    buf_done(&what);
    buf_done(&mend);
}

static bool check_control_there(struct preflight *p, const struct preflight_server *s, const char *granted)
{
    struct err err = ERR_INIT;
    struct buf object = BUF_INIT, mend = BUF_INIT;
    struct control_plan plan;
    char table[65], column[65];
    for (size_t i = 0; control_table(i, table, column, sizeof(table)); i++) {
        buf_clear(&object);
        preflight_add_object(&object, p->config->state_database, table);
        if (preflight_probe(s->conn, &err, "SELECT 1 FROM %s WHERE FALSE", object.data) ||
            !preflight_is_denied(&err))
            continue;
        buf_addf(&mend, "GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s;", granted, s->account);
        preflight_say(p, CHECK_FAIL, s->config->name, mend.data, "no SELECT on %s: %s", object.data,
                      err.text);
        buf_done(&object);
        buf_done(&mend);
        return false;
    }
    buf_done(&object);
    if (!control_plan_make(s->conn, p->config->state_database, &plan, &err)) {
        preflight_say(p, CHECK_FAIL, s->config->name, NULL, "%s", err.text);
        return false;
    }
    bool complete = plan.nsteps == 0;
    if (!complete)
        say_plan(p, s, &plan);
    control_plan_done(&plan);
    return complete;
}

static void check_control(struct preflight *p, const struct preflight_server *s)
{
    struct buf granted = BUF_INIT, object = BUF_INIT;
    char table[65], column[65];
    add_database_pattern(&granted, p->config->state_database);
    bool ok = check_control_there(p, s, granted.data);
    for (size_t i = 0; ok && control_table(i, table, column, sizeof(table)); i++) {
        buf_clear(&object);
        preflight_add_object(&object, p->config->state_database, table);
        ok = preflight_probe_writes(p, s, s->config->name, object.data, granted.data,
                                    (const char *const[]){column}, 1);
    }
    if (ok)
        preflight_say(p, CHECK_OK, s->config->name, NULL, "control tables in %s are there and can be written",
                      p->config->state_database);
    buf_done(&granted);
    buf_done(&object);
}

/* ---- Clock ---- */

static void read_clock(struct preflight_server *s)
{
    static const char sql[] = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    mono_us asked = clock_mono();
    wall_us before = clock_wall();
    if (!dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err))
        return; /* no clock, no comparison: nothing depends on it */
    int64_t took = mono_diff_us(clock_mono(), asked);
    if (db_result_next(r) && db_result_get(r, 0, NULL) != NULL) {
        s->has_clock = true;
        s->clock_ahead_us = strtoll(db_result_get(r, 0, NULL), NULL, 10) - (before.v + took / 2);
        s->clock_error_us = took / 2;
    }
    db_result_free(r);
}

void preflight_check_server(struct preflight *p, struct preflight_server *s)
{
    struct settings v;
    if (!connect_server(p, s) || !learn_server(p, s))
        return;
    say_connected(p, s);
    if (!check_version(p, s) || !load_settings(p, s, &v))
        return;
    check_settings(p, s, &v);
    check_stream(p, s, &v);
    check_log_status(p, s, &v);
    check_control(p, s);
    read_clock(s);
}
