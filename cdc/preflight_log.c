/*
 * preflight_log.c - can one server's binary log be read, does it hold all it has to,
 * and for how long?
 *
 * To be let into the log is tried under a server_id drawn at random: under our
 * own the server would end the stream of a daemon that is running.
 *
 * Settings tell only part of it: a log may be filtered, a proxy may lead
 * two connections to two servers, a session may have its log switched off. So a
 * marker row is written and waited for in the log, by the same code that the
 * daemon reads with. Its link has no name, which no link of a config can have: a
 * daemon that runs takes the row for another's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/binlog/assemble.h"
#include "cdc/db/stream.h"
#include "cdc/db/tableinfo.h"
#include "cdc/preflight_int.h"

enum { ROUND_TRIP_S = 5, QUIET_MS = 1500, DAY_S = 24 * 3600 };

static bool draw(void *to, size_t len) { return getrandom(to, len, 0) == (ssize_t)len; }

/* ---- Settings ---- */

static void check_format(struct preflight *p, const struct preflight_server *s)
{
    const char *name = s->config->name, *format = preflight_setting(s, "binlog_format"),
               *image = preflight_setting(s, "binlog_row_image");
    if (strcasecmp(format, "ROW") != 0)
        preflight_say(
            p, CHECK_FAIL, name,
            "SET GLOBAL binlog_format = 'ROW'; -- and binlog_format = ROW in the server's config; sessions "
            "that are open keep the old format until they reconnect",
            "binlog_format is %s, not ROW: statements do not show which rows they changed", format);
    else
        preflight_say(p, CHECK_OK, name, NULL, "binlog_format is ROW");

    if (strcasecmp(image, "FULL") != 0)
        preflight_say(
            p, CHECK_FAIL, name,
            "SET GLOBAL binlog_row_image = 'FULL'; -- and binlog_row_image = FULL in the server's config; "
            "sessions that are open keep the old one until they reconnect",
            "binlog_row_image is %s, not FULL: row events would lack columns", image);
    else
        preflight_say(p, CHECK_OK, name, NULL, "binlog_row_image is FULL");
}

static double kept_s(const struct preflight_server *s)
{
    double seconds = (double)preflight_number(s, "binlog_expire_logs_seconds");
    return seconds > 0 ? seconds : strtod(preflight_setting(s, "expire_logs_days"), NULL) * DAY_S;
}

static void check_retention(struct preflight *p, const struct preflight_server *s)
{
    double kept = kept_s(s);
    uint64_t total = preflight_number(s, "max_binlog_total_size");
    if (kept > 0 && kept < DAY_S)
        preflight_say(
            p, CHECK_WARN, s->config->name,
            "SET GLOBAL binlog_expire_logs_seconds = 604800; -- and the same in the server's config",
            "binary logs are kept for %.1f hours; a longer stop of twinlog costs a resync", kept / 3600);
    if (total > 0)
        preflight_say(
            p, CHECK_WARN, s->config->name,
            "SET GLOBAL max_binlog_total_size = 0; -- or more than is written in the longest stop of "
            "twinlog",
            "binary logs are kept up to %.0f MiB in all, read or not; a stop in which more is written "
            "costs a resync",
            (double)total / 1048576);
}

/* What a crash of the machine takes from the log after it was sent, the other side has alone. */
static void check_durability(struct preflight *p, const struct preflight_server *s)
{
    bool log = preflight_number(s, "sync_binlog") == 1,
         rows = preflight_number(s, "innodb_flush_log_at_trx_commit") == 1;
    if (log && rows)
        preflight_say(p, CHECK_OK, s->config->name, NULL,
                      "what was committed survives a crash of the machine");
    else
        preflight_say(
            p, CHECK_WARN, s->config->name,
            "SET GLOBAL sync_binlog = 1, innodb_flush_log_at_trx_commit = 1; -- and in the server's "
            "config",
            "%s%s%s: a crash of the machine can take transactions that the other side has already; "
            "that costs a resync",
            log ? "" : "sync_binlog is not 1", log || rows ? "" : ", ",
            rows ? "" : "innodb_flush_log_at_trx_commit is not 1");
}

/* A server that is, or may become, a replica of another. */
static void check_replication(struct preflight *p, const struct preflight_server *s)
{
    const char *name = s->config->name, *mode = preflight_setting(s, "gtid_mode");
    bool was_replica = *preflight_setting(s, "gtid_slave_pos") != '\0';
    if (was_replica && !preflight_is_on(s, "log_slave_updates"))
        preflight_say(
            p, CHECK_WARN, name, "log_slave_updates = ON in the server's config, then restart it",
            "it is a replica, or was one, and changes that it gets by replication are not in its log "
            "(log_slave_updates is OFF)");
    bool follows = was_replica || s->config->naddresses > 1;
    if (follows && dbconn_kind(s->conn) == DB_MARIADB && !preflight_is_on(s, "gtid_strict_mode"))
        preflight_say(
            p, CHECK_WARN, name, "SET GLOBAL gtid_strict_mode = ON; -- and in the server's config",
            "it is replicated with gtid_strict_mode OFF: GTIDs may be out of order in its log, and a "
            "position not be found again");
    if (*mode != '\0' && strcasecmp(mode, "ON") != 0)
        preflight_say(p, CHECK_WARN, name,
                      "gtid_mode = ON and enforce_gtid_consistency = ON in the server's config",
                      "gtid_mode is %s: positions are file and offset, which hold for this server alone; a "
                      "failover costs a resync",
                      mode);
}

/* ---- Reading it ---- */

static uint32_t random_server_id(const struct preflight_server *s)
{
    uint32_t id;
    do {
        if (!draw(&id, sizeof(id)))
            id = (uint32_t)clock_mono().v;
        id |= 0x80000000U; /* where hardly anybody has numbered a real replica */
    } while (id == preflight_number(s, "server_id") || id == UINT32_MAX);
    return id;
}

/* Its options, with another id. */
static struct db_options probe_options(const struct preflight_server *s, struct config_server *config)
{
    struct db_options options = s->options;
    *config = *s->config;
    config->server_id = random_server_id(s);
    options.server = config;
    return options;
}

/* Starts a dump there, takes the first event and leaves. */
static bool try_stream(const struct preflight_server *s, const struct pos *from, struct err *err)
{
    struct config_server config;
    struct db_options options = probe_options(s, &config);
    const uint8_t *event;
    size_t len;
    struct stream *stream = stream_new(&options);
    bool ok = stream_open(stream, from, err) && stream_next(stream, &event, &len, err);
    stream_free(stream);
    return ok;
}

static void check_stream(struct preflight *p, struct preflight_server *s)
{
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    struct pos pos = POS_INIT;
    bool has_end = tableinfo_position(s->conn, &pos, &err);
    s->has_log = has_end && try_stream(s, &pos, &err);
    pos_done(&pos);
    if (s->has_log) {
        preflight_say(p, CHECK_OK, s->config->name, NULL, "the binary log can be read");
        return;
    }
    if (!has_end && err.kind == ERR_CONFIG) /* MariaDB has GTIDs, which need nothing */
        buf_addf(&mend, "GRANT REPLICATION CLIENT ON *.* TO %s;", s->account);
    else if (preflight_is_denied(&err))
        buf_addf(&mend, "GRANT REPLICATION SLAVE ON *.* TO %s;", s->account);
    preflight_say(p, CHECK_FAIL, s->config->name, mend.data, "the binary log cannot be read: %s", err.text);
    preflight_absent(p, &err);
    buf_done(&mend);
}

/* Under one number a server serves one replica, and ends the other. MySQL shows them to any replica's account,
 * MariaDB to those with REPLICATION MASTER ADMIN, which is more than ours needs: then the daemon finds out. */
static void check_replicas(struct preflight *p, const struct preflight_server *s)
{
    const char *sql = dbconn_kind(s->conn) == DB_MYSQL ? "SHOW REPLICAS" : "SHOW SLAVE HOSTS";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    if (!dbconn_query(s->conn, sql, strlen(sql), 0, &r, &err))
        return;
    while (db_result_next(r)) {
        if (strtoull(db_result_text(r, 0), NULL, 10) != s->config->server_id)
            continue;
        if (strcmp(db_result_text(r, 1), STREAM_HOST) == 0)
            preflight_say(p, CHECK_OK, s->config->name, NULL, "a twinlog follows it under server_id %" PRIu32,
                          s->config->server_id);
        else
            preflight_say(p, CHECK_FAIL, s->config->name,
                          "another server_id in this section of twinlog's config",
                          "another replica of it, %s:%s, has server_id %" PRIu32
                          " too: they would end each other's stream",
                          db_result_text(r, 1), db_result_text(r, 2), s->config->server_id);
    }
    db_result_free(r);
}

/* ---- Filters ---- */

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

static void check_filters(struct preflight *p, const struct preflight_server *s, const char *only,
                          const char *ignored)
{
    check_filter(p, s, only, ignored, p->config->state_database);
    for (size_t i = 0; i < p->config->nlinks; i++)
        for (int side = 0; side < 2; side++)
            if (strcmp(p->config->links[i].side[side].server, s->config->name) == 0)
                check_filter(p, s, only, ignored, p->config->links[i].side[side].db);
}

/* File, position, binlog_do_db, binlog_ignore_db. MySQL has a new name for it since 8.2, and no longer the old one
 * since 8.4; MariaDB knows the old one. */
static bool show_log_status(const struct preflight_server *s, struct db_result **ret_result, struct err *err)
{
    static const char new_sql[] = "SHOW BINARY LOG STATUS", old_sql[] = "SHOW MASTER STATUS";
    if (dbconn_kind(s->conn) == DB_MYSQL) {
        if (dbconn_query(s->conn, new_sql, sizeof(new_sql) - 1, 0, ret_result, err))
            return true;
        if (err->code != 1064) /* ER_PARSE_ERROR: older than that */
            return false;
        err_clear(err);
    }
    return dbconn_query(s->conn, old_sql, sizeof(old_sql) - 1, 0, ret_result, err);
}

static void check_log_status(struct preflight *p, const struct preflight_server *s)
{
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    struct db_result *r = NULL;
    if (show_log_status(s, &r, &err)) {
        if (db_result_next(r) && db_result_columns(r) >= 4)
            check_filters(p, s, db_result_text(r, 2), db_result_text(r, 3));
    } else {
        if (preflight_is_denied(&err))
            buf_addf(&mend, "GRANT %s ON *.* TO %s;",
                     dbconn_kind(s->conn) == DB_MARIADB ? "BINLOG MONITOR" : "REPLICATION CLIENT",
                     s->account);
        preflight_say(p, CHECK_WARN, s->config->name, mend.data,
                      "the log's filters and end cannot be seen, status shows GTIDs only: %s", err.text);
        /* MariaDB shows them among its variables since 11.4. */
        check_filters(p, s, preflight_setting(s, "binlog_do_db"), preflight_setting(s, "binlog_ignore_db"));
    }
    db_result_free(r);
    buf_done(&mend);
}

void preflight_check_log(struct preflight *p, struct preflight_server *s)
{
    const char *log = preflight_setting(s, "log_bin");
    if (strcasecmp(log, "ON") != 0) {
        preflight_say(
            p, CHECK_FAIL, s->config->name,
            "log_bin = bin, binlog_format = ROW and a server_id in the server's config, then restart it",
            "the binary log is off (log_bin)");
        return;
    }
    preflight_say(p, CHECK_OK, s->config->name, NULL, "binary log is on");
    check_format(p, s);
    check_retention(p, s);
    check_durability(p, s);
    check_replication(p, s);
    check_stream(p, s);
    check_replicas(p, s);
    check_log_status(p, s);
}

/* ---- A row there and back ---- */

struct round_trip {
    uint64_t id;
    bool back;
    char halted[256];
};

static bool take_tx(void *arg, size_t feed, struct tx *tx)
{
    struct round_trip *t = arg;
    (void)feed;
    t->back = t->back || tx->marker == t->id;
    tx_free(tx);
    return true;
}

static void take_echo(void *arg, size_t feed)
{
    (void)arg;
    (void)feed;
}

static void take_halt(void *arg, size_t feed, const char *why)
{
    struct round_trip *t = arg;
    (void)feed;
    snprintf(t->halted, sizeof(t->halted), "%s", why);
}

static void add_marker_table(const struct preflight *p, struct buf *sql)
{
    preflight_add_object(sql, p->config->state_database, "marker");
}

static bool write_marker(struct preflight *p, const struct preflight_server *s, uint64_t id, struct err *err)
{
    struct buf table = BUF_INIT;
    add_marker_table(p, &table);
    bool ok = preflight_probe(s->conn, err,
                              "INSERT INTO %s (link, side, id, key_from, key_to) VALUES ('', 'left', %" PRIu64
                              ", '', '')",
                              table.data, id);
    buf_done(&table);
    return ok;
}

/* Those too that a check left behind which was killed. */
static void delete_marker(struct preflight *p, const struct preflight_server *s, uint64_t id)
{
    struct err err = ERR_INIT;
    struct buf table = BUF_INIT;
    add_marker_table(p, &table);
    if (!preflight_probe(s->conn, &err,
                         "DELETE FROM %s WHERE link = '' AND side = 'left' AND (id = %" PRIu64
                         " OR written_at < NOW(6) - INTERVAL 1 HOUR)",
                         table.data, id))
        preflight_say(p, CHECK_WARN, s->config->name, NULL, "a row of the check stays in %s: %s", table.data,
                      err.text);
    buf_done(&table);
}

static bool is_heartbeat(const uint8_t *event)
{
    enum { TYPE_AT = 4, HEARTBEAT = 27, HEARTBEAT_V2 = 41 };
    return event[TYPE_AT] == HEARTBEAT || event[TYPE_AT] == HEARTBEAT_V2;
}

/* Reads on until the row comes, or too long. A heartbeat, one a second, says that the server has nothing more
 * to send: one that was sent behind the row's commit says that the row will not come. */
static bool await_marker(struct stream *stream, struct assemble *a, struct round_trip *t, struct err *err)
{
    mono_us since = clock_mono();
    while (!t->back && t->halted[0] == '\0' &&
           mono_diff_us(clock_mono(), since) < ROUND_TRIP_S * INT64_C(1000000)) {
        const uint8_t *event;
        size_t len;
        bool moved;
        if (!stream_next(stream, &event, &len, err) || !assemble_event(a, event, len, &moved, err))
            return false;
        if (is_heartbeat(event) && mono_diff_us(clock_mono(), since) > QUIET_MS * INT64_C(1000))
            break;
    }
    return t->halted[0] == '\0' || err_set(err, ERR_HALT, 0, "%s", t->halted);
}

/* A link without a name, whose table nobody can have: all that comes of it is its markers. */
static struct assemble *listen_for(const struct preflight *p, struct round_trip *t, const struct link *link)
{
    struct assemble_feed feed = {link, SIDE_LEFT};
    struct assemble_options options = {.state_database = p->config->state_database,
                                       .feeds = &feed,
                                       .nfeeds = 1,
                                       .part_rows = 1000,
                                       .part_bytes = 1 << 20,
                                       .put = take_tx,
                                       .halt = take_halt,
                                       .echo = take_echo,
                                       .arg = t};
    return assemble_new(&options);
}

/* False: what was written did not come back for a reason that err tells. */
static bool go_round(struct preflight *p, const struct preflight_server *s, struct round_trip *t,
                     struct err *err)
{
    static struct column no_column;
    static char empty[1];
    struct table none = {.db = empty, .name = empty, .columns = &no_column};
    struct link nameless = {.name = empty, .table = {&none, &none}};
    struct config_server config;
    struct db_options options = probe_options(s, &config);
    struct pos end = POS_INIT, from = POS_INIT;
    struct stream *stream = stream_new(&options);
    struct assemble *a = listen_for(p, t, &nameless);
    bool ok = tableinfo_position(s->conn, &end, err) && assemble_resume(a, 0, &end, 0, err);
    if (ok && assemble_start(a, &from) && stream_open(stream, &from, err)) {
        ok = write_marker(p, s, t->id, err) && await_marker(stream, a, t, err);
        delete_marker(p, s, t->id);
    } else {
        ok = false;
    }
    assemble_free(a);
    stream_free(stream);
    pos_done(&end);
    pos_done(&from);
    return ok;
}

static bool is_logged_here(const struct preflight_server *s)
{
    static const char sql[] = "SELECT @@session.sql_log_bin";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    bool on = !dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err) || !db_result_next(r) ||
              strcmp(db_result_text(r, 0), "0") != 0;
    db_result_free(r);
    return on;
}

void preflight_check_round_trip(struct preflight *p, struct preflight_server *s)
{
    struct round_trip t = {0};
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    const char *name = s->config->name;
    mono_us since = clock_mono();
    /* As a statement it is not found, and that has been said. */
    if (!s->has_log || !s->has_control || s->read_only ||
        strcasecmp(preflight_setting(s, "binlog_format"), "ROW") != 0)
        return;
    if (!draw(&t.id, sizeof(t.id)))
        t.id = (uint64_t)clock_wall().v;
    t.id = t.id >> 2 | 1; /* as a marker's: above 0, and of a signed number's width */
    if (!go_round(p, s, &t, &err)) {
        preflight_say(p, CHECK_FAIL, name, NULL,
                      "a marker that was written is not found in the binary log: %s", err.text);
        preflight_absent(p, &err);
    } else if (t.back) {
        preflight_say(p, CHECK_OK, name, NULL, "a marker comes back through the binary log after %.1f ms",
                      (double)mono_diff_us(clock_mono(), since) / 1e3);
    } else if (!is_logged_here(s)) {
        preflight_say(p, CHECK_FAIL, name,
                      "take SET sql_log_bin out of init_connect, or of the proxy between",
                      "sql_log_bin is off in twinlog's sessions: what they write is not in the binary log");
    } else {
        buf_addf(
            &mend,
            "take %s out of binlog_ignore_db, or add it to binlog_do_db, in the server's config and restart "
            "it; if a proxy stands between, name the server itself as host",
            p->config->state_database);
        preflight_say(
            p, CHECK_FAIL, name, mend.data,
            "a marker written into %s.marker did not come back through the binary log: twinlog would take "
            "its own writes for others'",
            p->config->state_database);
    }
    buf_done(&mend);
}

/* ---- Stored positions ---- */

struct stored {
    bool there;
    struct pos pos;
    double age_s;
};

/* Of the direction that reads side `from`; it stands at the peer. */
static bool load_stored(struct preflight *p, const struct config_link *c, enum side from, struct stored *ret,
                        struct err *err)
{
    const struct preflight_server *at = preflight_find(p, c->side[side_peer(from)].server);
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(&sql, "SELECT gtid, binlog_file, binlog_offset, TIMESTAMPDIFF(SECOND, written_at, NOW(6)), "
                   "binlog_server FROM ");
    preflight_add_object(&sql, p->config->state_database, "checkpoint");
    buf_adds(&sql, " WHERE link = ");
    db_quote_text(&sql, c->name, strlen(c->name));
    buf_addf(&sql, " AND source_side = '%s'", side_name(from));
    bool ok = dbconn_query(at->conn, sql.data, sql.len, 0, &r, err);
    buf_done(&sql);
    if (ok && db_result_next(r)) {
        const char *file = db_result_text(r, 1);
        ok = pos_parse_gtids(&ret->pos, db_result_text(r, 0), err);
        if (ok && *file != '\0')
            pos_set_file(&ret->pos, file, strlen(file), strtoull(db_result_text(r, 2), NULL, 10));
        pos_set_server(&ret->pos, db_result_text(r, 4));
        ret->age_s = strtod(db_result_text(r, 3), NULL);
        ret->there = ok;
    }
    db_result_free(r);
    return ok;
}

static bool is_at_end(const struct preflight_server *s, const struct pos *pos)
{
    struct pos end = POS_INIT;
    struct err err = ERR_INIT;
    bool ok = tableinfo_position(s->conn, &end, &err) && pos_covers(pos, &end);
    pos_done(&end);
    return ok;
}

static void check_position(struct preflight *p, const struct config_link *c, enum side from)
{
    const struct preflight_server *s = preflight_find(p, c->side[from].server);
    const struct preflight_server *peer = preflight_find(p, c->side[side_peer(from)].server);
    struct stored stored = {.pos = POS_INIT};
    struct err err = ERR_INIT;
    if (!s->has_log || !peer->has_control)
        return;
    if (!load_stored(p, c, from, &stored, &err)) {
        preflight_say(p, CHECK_FAIL, c->name, NULL, "the checkpoint of %s on server %s cannot be read: %s",
                      direction_arrow(from), peer->config->name, err.text);
    } else if (stored.there && !pos_is_unset(&stored.pos) && !try_stream(s, &stored.pos, &err)) {
        preflight_say(p, CHECK_WARN, c->name, NULL,
                      err.kind == ERR_LOST
                          ? "%s: its position is no longer in the log of %s, which costs a resync: %s"
                          : "%s: the log of %s cannot be read from its position on: %s",
                      direction_arrow(from), s->config->name, err.text);
    } else if (stored.there && kept_s(s) > 0 && stored.age_s > kept_s(s) / 2 && !is_at_end(s, &stored.pos)) {
        preflight_say(p, CHECK_WARN, c->name,
                      "start twinlog; to gain time: SET GLOBAL binlog_expire_logs_seconds = ...;",
                      "%s: its position is %.1f days old, and %s keeps its log for %.1f days: what follows "
                      "may soon be gone",
                      direction_arrow(from), stored.age_s / DAY_S, s->config->name, kept_s(s) / DAY_S);
    } else if (stored.there) {
        preflight_say(p, CHECK_OK, c->name, NULL, "%s: the log of %s still has its position",
                      direction_arrow(from), s->config->name);
    }
    pos_done(&stored.pos);
}

/* A checkpoint stands at the side that it writes to. One that stands at the side it reads has come there by other ways. */
static void check_strays(struct preflight *p, const struct config_link *c, enum side side)
{
    const struct preflight_server *s = preflight_find(p, c->side[side].server);
    const struct preflight_server *peer = preflight_find(p, c->side[side_peer(side)].server);
    struct err err = ERR_INIT;
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct db_result *r = NULL;
    if (!s->has_control || peer->identity == NULL || strcmp(s->identity, peer->identity) == 0)
        return;
    buf_adds(&mend, "DELETE FROM ");
    preflight_add_object(&mend, p->config->state_database, "checkpoint");
    buf_adds(&mend, " WHERE link = ");
    db_quote_text(&mend, c->name, strlen(c->name));
    buf_addf(&mend, " AND source_side = '%s'", side_name(side));
    buf_addf(&sql, "SELECT 1%s", mend.data + strlen("DELETE"));
    buf_addf(&mend,
             "; -- on %s, after the replication between them was ended, or kept from %s and the tables",
             s->config->name, p->config->state_database);
    if (dbconn_query(s->conn, sql.data, sql.len, 0, &r, &err) && db_result_next(r))
        preflight_say(p, CHECK_WARN, c->name, mend.data,
                      "the checkpoint of %s stands on %s, where only %s writes one: the servers replicate "
                      "each other, or "
                      "one was made from a copy of the other",
                      direction_arrow(side), s->config->name, direction_arrow(side_peer(side)));
    db_result_free(r);
    buf_done(&sql);
    buf_done(&mend);
}

void preflight_check_positions(struct preflight *p, const struct config_link *c)
{
    check_strays(p, c, SIDE_LEFT);
    check_strays(p, c, SIDE_RIGHT);
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++)
        check_position(p, c, from);
}
