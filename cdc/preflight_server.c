/*
 * preflight_server.c - is one server fit to be read and written?
 *
 * A privilege is tried out rather than read from SHOW GRANTS, which tells
 * neither what roles add nor what a server makes of a name.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/control.h"
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
    preflight_absent(p, &err);
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
    for (size_t i = 0; i < c->naddresses; i++) {
        const char *host = c->addresses[i].host;
        if (strncmp(host, "127.", 4) != 0 && strcmp(host, "::1") != 0 && strcmp(host, "localhost") != 0)
            return false;
    }
    return true;
}

static void say_connected(struct preflight *p, const struct preflight_server *s)
{
    static const char *const tls[] = {"without TLS", "TLS, certificate not verified",
                                      "TLS, certificate verified", "TLS, certificate and host name verified"};
    const struct config_server *c = s->config;
    bool overheard = c->tls_mode == TLS_OFF && !is_near(c);
    preflight_say(p, overheard ? CHECK_WARN : CHECK_OK, c->name,
                  overheard ? "tls = { mode = \"verify_identity\"; } in this section of twinlog's config"
                            : NULL,
                  "connected to %s as %s, %s%s", dbconn_address(s->conn), s->account, tls[c->tls_mode],
                  overheard ? ": rows cross the network in plain text" : "");
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

/* ---- Settings ---- */

/* Names that a server does not know are passed over by it. */
static bool load_settings(struct preflight *p, struct preflight_server *s)
{
    static const char sql[] =
        "SHOW GLOBAL VARIABLES WHERE Variable_name IN ("
        /* the log */
        "'log_bin', 'binlog_format', 'binlog_row_image', 'server_id', 'sync_binlog',"
        " 'innodb_flush_log_at_trx_commit', 'binlog_expire_logs_seconds', 'expire_logs_days',"
        " 'max_binlog_total_size', 'binlog_do_db', 'binlog_ignore_db',"
        /* where it comes from */
        " 'gtid_mode', 'gtid_strict_mode', 'gtid_slave_pos', 'log_slave_updates', 'log_replica_updates',"
        " 'replicate_do_db', 'replicate_ignore_db', 'replicate_do_table', 'replicate_ignore_table',"
        " 'replicate_wild_do_table', 'replicate_wild_ignore_table',"
        /* writing */
        " 'read_only', 'super_read_only', 'wsrep_on', 'group_replication_group_name',"
        " 'group_replication_single_primary_mode', 'max_allowed_packet', 'lower_case_table_names',"
        " 'auto_increment_increment', 'auto_increment_offset', 'innodb_native_foreign_keys')";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    if (!dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err)) {
        preflight_say(p, CHECK_FAIL, s->config->name, NULL, "%s", err.text);
        return false;
    }
    s->settings = mem_zalloc(db_result_rows(r) + 1, sizeof(*s->settings));
    while (db_result_next(r)) {
        const char *name = db_result_get(r, 0, NULL), *value = db_result_get(r, 1, NULL);
        if (name != NULL && value != NULL)
            s->settings[s->nsettings++] = (struct preflight_setting){mem_strdup(name), mem_strdup(value)};
    }
    db_result_free(r);
    return true;
}

static void free_settings(struct preflight_server *s)
{
    for (size_t i = 0; i < s->nsettings; i++) {
        free(s->settings[i].name);
        free(s->settings[i].value);
    }
    free(s->settings);
    s->settings = NULL;
    s->nsettings = 0;
}

void preflight_server_done(struct preflight_server *s)
{
    dbconn_free(s->conn);
    db_target_free(s->options.target);
    free_settings(s);
    free(s->account);
    free(s->identity);
}

static void check_server_id(struct preflight *p, const struct preflight_server *s)
{
    if (preflight_number(s, "server_id") == s->config->server_id)
        preflight_say(p, CHECK_FAIL, s->config->name, "another server_id in this section of twinlog's config",
                      "server_id %" PRIu32 " is that of the server itself; a replica needs its own",
                      s->config->server_id);
}

/* Whatever this account may do in spite of it: behind it stands another server that is written to. */
static void check_read_only(struct preflight *p, struct preflight_server *s)
{
    s->read_only = preflight_is_on(s, "read_only") || preflight_is_on(s, "super_read_only");
    if (s->read_only)
        preflight_say(p, CHECK_FAIL, s->config->name,
                      dbconn_kind(s->conn) == DB_MARIADB
                          ? "name the primary as host in twinlog's config; or, if this is it: SET GLOBAL "
                            "read_only = OFF;"
                          : "name the primary as host in twinlog's config; or, if this is it: SET GLOBAL "
                            "super_read_only = OFF, read_only = OFF;",
                      "the server is read-only, as a replica is: nothing can be written into it");
}

/* Locks of one server are not seen by the others of such a cluster, and conflicts show at COMMIT only. */
static void check_cluster(struct preflight *p, const struct preflight_server *s)
{
    if (preflight_is_on(s, "wsrep_on"))
        preflight_say(p, CHECK_WARN, s->config->name,
                      "let all writers of these tables use the node that twinlog uses",
                      "a node of a Galera cluster: row locks hold on this node alone");
    if (*preflight_setting(s, "group_replication_group_name") != '\0' &&
        !preflight_is_on(s, "group_replication_single_primary_mode"))
        preflight_say(p, CHECK_WARN, s->config->name,
                      "group_replication_single_primary_mode = ON; or let all writers use this member",
                      "a group with several primaries: row locks hold on this member alone");
}

/* A reader is two connections at times, the guard one, and each link has three: two appliers, one resync. Beside them
 * may come a check, or a verify; and lanes, without which a backlog takes longer. */
static void check_connections(struct preflight *p, const struct preflight_server *s)
{
    static const char sql[] = "SELECT @@session.max_user_connections";
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    struct db_result *r = NULL;
    uint64_t needed = 3, more = 1, allowed = 0;
    for (size_t i = 0; i < p->config->nlinks; i++)
        for (int side = 0; side < 2; side++)
            if (strcmp(p->config->links[i].side[side].server, s->config->name) == 0) {
                needed += 3;
                more += p->config->lanes > 1 ? p->config->lanes : 0;
            }
    if (dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err) && db_result_next(r) &&
        db_result_get(r, 0, NULL) != NULL)
        allowed = strtoull(db_result_get(r, 0, NULL), NULL, 10);
    db_result_free(r);
    if (allowed > 0 && allowed < needed + more) {
        buf_addf(&mend, "ALTER USER %s WITH MAX_USER_CONNECTIONS %" PRIu64 ";", s->account,
                 needed + more + 4);
        preflight_say(p, allowed < needed ? CHECK_FAIL : CHECK_WARN, s->config->name, mend.data,
                      "the account may have %" PRIu64 " connections at once; the daemon needs %" PRIu64
                      ", and up to %" PRIu64 " more for backlogs and for a check or a verify beside it",
                      allowed, needed, more);
    }
    buf_done(&mend);
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

/* A checkpoint that does not commit with its rows is none. */
static bool check_control_engine(struct preflight *p, const struct preflight_server *s)
{
    struct err err = ERR_INIT;
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct db_result *r = NULL;
    bool ok = true;
    buf_adds(&sql, "SELECT TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE ENGINE <> 'InnoDB' AND "
                   "TABLE_NAME IN ('checkpoint', 'lane', 'marker', 'quarantine', 'conflict', 'resync') AND "
                   "TABLE_SCHEMA = ");
    db_quote_text(&sql, p->config->state_database, strlen(p->config->state_database));
    if (!dbconn_query(s->conn, sql.data, sql.len, 0, &r, &err)) {
        preflight_say(p, CHECK_FAIL, s->config->name, NULL, "%s", err.text);
        ok = false;
    }
    while (db_result_next(r)) {
        const char *table = db_result_get(r, 0, NULL), *engine = db_result_get(r, 1, NULL);
        ok = false;
        buf_clear(&mend);
        buf_adds(&mend, "ALTER TABLE ");
        preflight_add_object(&mend, p->config->state_database, table);
        buf_adds(&mend, " ENGINE = InnoDB;");
        preflight_say(p, CHECK_FAIL, s->config->name, mend.data,
                      "control table %s.%s is %s, not InnoDB: rows and position must commit together",
                      p->config->state_database, table, engine);
    }
    db_result_free(r);
    buf_done(&sql);
    buf_done(&mend);
    return ok;
}

static bool check_control(struct preflight *p, const struct preflight_server *s)
{
    struct buf granted = BUF_INIT, object = BUF_INIT;
    char table[65], column[65];
    add_database_pattern(&granted, p->config->state_database);
    bool there = check_control_there(p, s, granted.data) && check_control_engine(p, s), ok = there;
    for (size_t i = 0; ok && !s->read_only && control_table(i, table, column, sizeof(table)); i++) {
        buf_clear(&object);
        preflight_add_object(&object, p->config->state_database, table);
        ok = preflight_probe_writes(p, s, s->config->name, object.data, granted.data,
                                    (const char *const[]){column}, 1);
    }
    if (ok)
        preflight_say(p, CHECK_OK, s->config->name, NULL, "control tables in %s are there%s",
                      p->config->state_database, s->read_only ? "" : " and can be written");
    buf_done(&granted);
    buf_done(&object);
    return ok;
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

/* ---- The other addresses ---- */

/* What keeps it from being followed once it is the primary; NULL if nothing does. */
static const char *why_no_successor(const struct preflight_server *s, const char **ret_mend)
{
    bool mariadb = dbconn_kind(s->conn) == DB_MARIADB;
    const char *updates = mariadb ? "log_slave_updates" : "log_replica_updates";
    if (!preflight_is_on(s, "log_bin")) {
        *ret_mend = "log_bin = bin and log_slave_updates = ON in its config, then restart it";
        return "its binary log is off";
    }
    if (!preflight_is_on(s, updates)) {
        *ret_mend = mariadb ? "log_slave_updates = ON in its config, then restart it"
                            : "log_replica_updates = ON in its config, then restart it";
        return "what it replicates is not in its binary log";
    }
    if (!mariadb && strcasecmp(preflight_setting(s, "gtid_mode"), "ON") != 0) {
        *ret_mend = "gtid_mode = ON and enforce_gtid_consistency = ON in its config";
        return "it has no GTIDs, so that no position of another server can be found in its log";
    }
    if (strcasecmp(preflight_setting(s, "binlog_format"), "ROW") != 0 ||
        strcasecmp(preflight_setting(s, "binlog_row_image"), "FULL") != 0) {
        *ret_mend = "SET GLOBAL binlog_format = 'ROW', binlog_row_image = 'FULL'; -- and in its config";
        return "binlog_format is not ROW, or binlog_row_image not FULL";
    }
    if (preflight_number(s, "server_id") == s->config->server_id) {
        *ret_mend = "another server_id in this section of twinlog's config";
        return "its server_id is the one that twinlog has there";
    }
    return NULL;
}

static bool has_filters(const struct preflight_server *s)
{
    for (size_t i = 0; i < s->nsettings; i++)
        if (strncasecmp(s->settings[i].name, "replicate_", 10) == 0 && *s->settings[i].value != '\0')
            return true;
    return false;
}

static void judge_successor(struct preflight *p, const struct preflight_server *s, const char *at)
{
    const char *name = s->config->name, *mend = NULL, *why = why_no_successor(s, &mend);
    bool read_only = preflight_is_on(s, "read_only") || preflight_is_on(s, "super_read_only");
    if (why != NULL)
        preflight_say(p, p->is_start ? CHECK_WARN : CHECK_FAIL, name, mend, "%s could not take over: %s", at,
                      why);
    if (has_filters(s))
        preflight_say(p, CHECK_WARN, name,
                      "take replicate_* out of its config, or see that they let all through",
                      "%s has replication filters: it may lack rows, or twinlog's control tables", at);
    if (!read_only)
        preflight_say(p, CHECK_WARN, name, "SET GLOBAL read_only = ON; -- there, as long as it is a replica",
                      "%s is not read-only: twinlog would write there as soon as the other address fails",
                      at);
    if (why == NULL && read_only)
        preflight_say(p, CHECK_OK, name, NULL, "%s is a replica that can take over", at);
}

static void check_address(struct preflight *p, const struct preflight_server *in_use, size_t address)
{
    struct config_server config = *in_use->config;
    struct preflight_server s = {.config = &config, .options = in_use->options};
    struct err err = ERR_INIT;
    char at[300];
    db_target_print(in_use->config, address, at, sizeof(at));
    config.addresses = &in_use->config->addresses[address];
    config.naddresses = 1;
    s.options.server = &config;
    s.options.target = db_target_new(&config);
    s.conn = dbconn_new(&s.options);
    if (!dbconn_open(s.conn, 5, &err))
        preflight_say(p, err.kind == ERR_RETRY || p->is_start ? CHECK_WARN : CHECK_FAIL, config.name,
                      connect_mend(&err), "%s: %s", at, err.text);
    else if (load_settings(p, &s))
        judge_successor(p, &s, at);
    preflight_server_done(&s);
}

static void check_addresses(struct preflight *p, const struct preflight_server *s)
{
    for (size_t i = 0; i < s->config->naddresses; i++) {
        char at[300];
        if (strcmp(db_target_print(s->config, i, at, sizeof(at)), dbconn_address(s->conn)) != 0)
            check_address(p, s, i);
    }
}

void preflight_check_server(struct preflight *p, struct preflight_server *s)
{
    if (!connect_server(p, s) || !learn_server(p, s))
        return;
    say_connected(p, s);
    if (!check_version(p, s) || !load_settings(p, s))
        return;
    check_addresses(p, s);
    check_server_id(p, s);
    check_read_only(p, s);
    check_cluster(p, s);
    check_connections(p, s);
    preflight_check_log(p, s);
    s->has_control = check_control(p, s);
    preflight_check_round_trip(p, s);
    read_clock(s);
}
