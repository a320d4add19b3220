/*
 * stream.c - a server's binary log, as a replica gets it.
 *
 * The client library's own replication calls cannot be built on (3.3.20: they
 * fail at a log rotation and refuse event types), so packets are asked for and
 * read one level below, through calls that its <mysql.h> makes public. The library
 * keeps what it is good at: authentication, TLS, packets over 16 MiB.
 *
 *   SET @...               what we understand, where to start
 *   COM_REGISTER_SLAVE     so that SHOW SLAVE HOSTS names us
 *   COM_BINLOG_DUMP, or COM_BINLOG_DUMP_GTID of MySQL    answered by packets without end:
 *
 *   0x00 event             event = header[19] body [crc32[4]]
 *   0xfe                   EOF: the server ends the stream
 *   0xff code message      refused, or ended for a reason
 *
 * Header, little-endian: time u32, type u8, server_id u32, size u32, next
 * position u32, flags u16. Each event carries a checksum if the last
 * FORMAT_DESCRIPTION says so; that one itself always has room for one:
 *
 *   ... algorithm u8, crc32[4]     the end of a FORMAT_DESCRIPTION
 *
 * The first packet is a ROTATE that the server makes up, before any
 * FORMAT_DESCRIPTION: it carries a checksum or not, so its last four bytes are
 * tried.
 *
 * A start position is what was read, in GTIDs (MariaDB: the last one of each domain; MySQL: the
 * set of all), or file and offset where the server has no GTIDs, or nothing: then
 * everything that the server still has. The server checks it only after the
 * command has been accepted, so a lost position shows in stream_next().
 *
 * GTIDs alone do not tell that a log is the one that was read: a server that was reset, restored from a
 * backup or lost its newest transactions in a crash gives the same ids to other transactions, and once it has given as
 * many as we have read, it accepts our position. But on the server that a position is of, what was read last ends at its
 * file and offset; on another log there is something else. So that is looked at first. A promoted
 * replica has another identity, and files of its own: it is followed by GTID alone.
 */
#include "cdc/db/stream.h"

#include <inttypes.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/db/dbconn_int.h"
#include "cdc/db/dberr.h"
#include "cdc/db/tableinfo.h"

#include <ma_pvio.h> /* knows no type of <mysql.h> by itself */

enum {
    HEADER_BYTES = 19,
    CRC_BYTES = 4,
    EVENT_ROTATE = 4,
    EVENT_FORMAT_DESCRIPTION = 15,
    FLAG_ARTIFICIAL = 0x20,
    EOF_PACKET_MAX = 8,
    FIRST_OFFSET = 4,
    COMMAND_BINLOG_DUMP_GTID = 30, /* not in the library's enum */
};

/* What the events that come now carry at their end. */
enum checksum { CHECKSUM_UNKNOWN, CHECKSUM_NONE, CHECKSUM_CRC32 };

struct stream {
    struct dbconn *conn;
    enum checksum checksum;
    bool by_file;   /* the dump began at file and offset, and no event of that place has come yet */
    bool no_gtids;  /* positions of this stream have none */
    bool gtid_mode; /* MySQL: transactions have GTIDs */
    char *server;   /* its identity; NULL before the first connection */
};

struct stream *stream_new(const struct db_options *options)
{
    struct stream *s = mem_zalloc(1, sizeof *s);

    s->conn = dbconn_new(options);
    return s;
}

void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    dbconn_free(s->conn);
    free(s->server);
    free(s);
}

void stream_close(struct stream *s) { dbconn_close(s->conn); }

void stream_shutdown(struct stream *s) { dbconn_shutdown(s->conn); }

enum db_kind stream_kind(const struct stream *s) { return dbconn_kind(s->conn); }

const char *stream_version(const struct stream *s) { return dbconn_version(s->conn); }

const char *stream_address(const struct stream *s) { return dbconn_address(s->conn); }

const char *stream_server(const struct stream *s) { return s->server != NULL ? s->server : ""; }

static bool is_mysql(const struct stream *s) { return dbconn_kind(s->conn) == DB_MYSQL; }

bool stream_is_by_file(const struct stream *s) { return s->no_gtids; }

/* ---- Little-endian ---- */

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void add_number(struct buf *b, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) /* at most 8 */
        buf_addc(b, (char)(n >> (8 * i)));
}

/* ---- Open ---- */

static uint32_t our_id(const struct stream *s) { return dbconn_options(s->conn)->server->server_id; }

static void set_server(struct stream *s, const char *server)
{
    free(s->server);
    s->server = mem_strdup(server);
}

/* Servers do not refuse a replica with their own id: they send it nothing of their own. */
static bool check_server(struct stream *s, struct err *err)
{
    static const char *const SQL[] = {
        [DB_MARIADB] = "SELECT @@server_id, @@log_bin, @@server_id, ''",
        [DB_MYSQL] = "SELECT @@server_id, @@log_bin, @@server_uuid, @@gtid_mode",
    };
    const char *sql = SQL[dbconn_kind(s->conn)];
    struct db_result *r = NULL;
    bool ok = true;

    if (!dbconn_query(s->conn, sql, strlen(sql), 0, &r, err))
        return false;
    if (!db_result_next(r) || *db_result_text(r, 0) == '\0' || *db_result_text(r, 1) == '\0')
        ok = err_set(err, ERR_RETRY, 0, "the server does not tell its server_id");
    else if (strcmp(db_result_text(r, 1), "1") != 0)
        /* What is written meanwhile stands nowhere, though the log may go on one day as if nothing had been. */
        ok = err_set(err, ERR_LOST, 0,
                     "the binary log is off; mend with: log_bin = bin in the server's config");
    else if (strtoull(db_result_text(r, 0), NULL, 10) == our_id(s))
        ok = err_set(err, ERR_FATAL, 0,
                     "server_id %" PRIu32 " is the server's own; give this server section another one",
                     our_id(s));
    if (ok) {
        set_server(s, db_result_text(r, 2));
        s->gtid_mode = strcmp(db_result_text(r, 3), "ON") == 0;
    }
    db_result_free(r);
    return ok;
}

/* ---- Is it the log that was read? ---- */

enum { DENIED = 1227, NO_SUCH_PLACE = 1220 };

static bool other_log(const struct pos *from, const char *what, struct err *err)
{
    char place[300];

    return err_set(err, ERR_LOST, 0,
                   "the log is not the one that was read up to %s: %s; the server was reset, restored, or "
                   "lost its newest"
                   " transactions",
                   pos_print_file(from, place, sizeof place), what);
}

/* The number at the end of a log file's name. */
static uint64_t file_number(const char *file)
{
    const char *point = strrchr(file, '.');

    return point != NULL ? strtoull(point + 1, NULL, 10) : 0;
}

struct listed {
    bool known; /* the account may see the list */
    bool found;
    uint64_t size; /* of from's file */
    uint64_t last; /* number of the newest file */
};

/* from's file among those that the server has. */
static bool list_files(struct stream *s, const struct pos *from, struct listed *ret_listed, struct err *err)
{
    static const char SQL[] = "SHOW BINARY LOGS";
    struct db_result *r = NULL;
    struct err why = ERR_INIT;

    *ret_listed = (struct listed){.known = true};
    if (!dbconn_query(s->conn, SQL, sizeof SQL - 1, 0, &r, &why)) {
        ret_listed->known = false;
        if (why.code != DENIED && err != NULL)
            *err = why;
        return why.code == DENIED;
    }
    while (db_result_next(r)) {
        if (strcmp(db_result_text(r, 0), from->file) == 0) {
            ret_listed->found = true;
            ret_listed->size = strtoull(db_result_text(r, 1), NULL, 10);
        }
        ret_listed->last = file_number(db_result_text(r, 0));
    }
    db_result_free(r);
    return true;
}

/* "SET @@SESSION.GTID_NEXT= 'uuid:7'": is that one read already? */
static bool is_read(const struct pos *from, const char *info)
{
    const char *quote = strchr(info, '\'');
    struct buf text = BUF_INIT;
    struct pos next = POS_INIT;

    if (quote == NULL)
        return false;
    buf_add(&text, quote + 1, strcspn(quote + 1, "'"));
    buf_addc(&text, '\0');
    bool read = pos_parse_gtids(&next, text.data, NULL) && pos_has_gtids(&next) && pos_covers(from, &next);

    buf_done(&text);
    pos_done(&next);
    return read;
}

/* The next event: it must begin right there, and (MySQL tells) be none that was read. Behind the last one there is none. */
static bool check_next_event(struct stream *s, const struct pos *from, struct err *err)
{
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    struct err why = ERR_INIT;

    buf_adds(&sql, "SHOW BINLOG EVENTS IN ");
    db_quote_text(&sql, from->file, strlen(from->file));
    buf_addf(&sql, " FROM %" PRIu64 " LIMIT 1", from->offset);
    bool ok = dbconn_query(s->conn, sql.data, sql.len, 0, &r, &why);

    buf_done(&sql);
    if (!ok && why.code == NO_SUCH_PLACE)
        return other_log(from, "no transaction ends there", err);
    if (!ok) {
        if (why.code != DENIED && err != NULL)
            *err = why;
        return why.code == DENIED;
    }
    if (db_result_next(r)) {
        if (strtoull(db_result_text(r, 1), NULL, 10) != from->offset)
            ok = other_log(from, "no transaction ends there", err);
        else if (is_mysql(s) && strncmp(db_result_text(r, 2), "Gtid", 4) == 0 &&
                 is_read(from, db_result_text(r, 5)))
            ok = other_log(from, "another transaction begins there", err);
    }
    db_result_free(r);
    return ok;
}

/* In the domains that both have: one may have been taken out of the server's list (FLUSH BINARY LOGS DELETE_DOMAIN_ID). */
static bool domains_agree(const struct pos *a, const struct pos *b)
{
    for (size_t i = 0, k = 0; i < a->ngtids && k < b->ngtids;) {
        const struct gtid *x = &a->gtids[i], *y = &b->gtids[k];

        if (x->domain == y->domain && (x->server != y->server || x->seq != y->seq))
            return false;
        i += x->domain <= y->domain;
        k += y->domain <= x->domain;
    }
    return true;
}

/* MariaDB says which GTIDs stand before an offset; NULL where no event begins, but also behind one that is larger than
 * its max_allowed_packet. */
static bool check_gtids_there(struct stream *s, const struct pos *from, struct err *err)
{
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    struct pos there = POS_INIT;

    buf_adds(&sql, "SELECT BINLOG_GTID_POS(");
    db_quote_text(&sql, from->file, strlen(from->file));
    buf_addf(&sql, ", %" PRIu64 ")", from->offset);
    bool ok = dbconn_query(s->conn, sql.data, sql.len, 0, &r, err);

    buf_done(&sql);
    if (!ok)
        return false;
    const char *gtids = db_result_next(r) ? db_result_get(r, 0, NULL) : NULL;

    if (gtids == NULL)
        ok = check_next_event(s, from, err);
    else
        ok = pos_parse_gtids(&there, gtids, err);
    if (ok && gtids != NULL && !domains_agree(&there, from))
        ok = other_log(from, "another transaction ends there", err);
    pos_done(&there);
    db_result_free(r);
    return ok;
}

/* Only where the position says that its file is of this server. A file that is gone tells nothing: it was purged. */
static bool check_log(struct stream *s, const struct pos *from, struct err *err)
{
    struct listed listed;

    if (from->file == NULL || from->server == NULL || strcmp(from->server, s->server) != 0)
        return true;
    if (!list_files(s, from, &listed, err))
        return false;
    if (!listed.known)
        return true;
    if (!listed.found)
        return file_number(from->file) <= listed.last || other_log(from, "there is no such file yet", err);
    if (from->offset > listed.size)
        return other_log(from, "the file is shorter", err);
    if (!is_mysql(s))
        return check_gtids_there(s, from, err);
    return from->offset == listed.size || check_next_event(s, from, err);
}

/* Is it a position of this server, or of one like it, at all? */
static bool check_kind(struct stream *s, const struct pos *at, struct err *err)
{
    bool by_file = !pos_has_gtids(at) || (is_mysql(s) && !s->gtid_mode);

    if (at->ngtids > 0 && is_mysql(s))
        return err_set(err, ERR_LOST, 0, "the position is one of a MariaDB server, and this is MySQL");
    if (!gtid_set_is_empty(&at->set) && !is_mysql(s))
        return err_set(err, ERR_LOST, 0, "the position is one of a MySQL server, and this is MariaDB");
    if (by_file && pos_has_gtids(at) && at->file == NULL)
        return err_set(err, ERR_LOST, 0, "the position has GTIDs alone, and gtid_mode is not ON");
    if (by_file && at->file != NULL && at->server != NULL && strcmp(at->server, s->server) != 0)
        return err_set(err, ERR_LOST, 0, "the position is a file and offset of server %s, and this is %s",
                       at->server, s->server);
    return true;
}

static bool choose_way(struct stream *s, const struct pos *from, struct err *err)
{
    s->by_file = from->file != NULL && (!pos_has_gtids(from) || (is_mysql(s) && !s->gtid_mode));
    /* What was read before a by-file start is in no set that GTIDs could be added to. */
    s->no_gtids = is_mysql(s) && (s->by_file || !s->gtid_mode);
    if (s->by_file && from->offset > UINT32_MAX)
        return err_set(err, ERR_LOST, 0,
                       "a dump cannot begin at an offset over 4 GiB, and the position has no GTID");
    return true;
}

/* ---- Commands ---- */

/* Unknown user variables do no harm, on any server. */
static bool shake_hands(struct stream *s, const struct pos *from, struct err *err)
{
    enum { HEARTBEAT_NS = 1000000000 };
    struct buf sql = BUF_INIT, gtids = BUF_INIT;
    char uuid[40];

    snprintf(uuid, sizeof uuid, "7477696e-6c6f-4700-8000-0000%08" PRIx32, our_id(s));
    buf_addf(&sql,
             "SET @master_binlog_checksum = @@global.binlog_checksum, @master_heartbeat_period = %d"
             ", @source_binlog_checksum = @@global.binlog_checksum, @source_heartbeat_period = %d"
             /* 4: understands GTID events; below that they come as QUERY 'BEGIN' */
             ", @mariadb_slave_capability = 4",
             HEARTBEAT_NS, HEARTBEAT_NS);
    if (is_mysql(s)) {
        /* Who has the same ends our stream, as it does with the same server_id; so it is made of that. */
        buf_addf(&sql, ", @replica_uuid = '%s', @slave_uuid = '%s'", uuid, uuid);
    } else if (!s->by_file) {
        /* Strict: a list that this server's history does not hold is refused, not guessed at. */
        buf_adds(&sql,
                 ", @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, @slave_connect_state = ");
        pos_print_gtids(from, &gtids);
        db_quote_text(&sql, gtids.data != NULL ? gtids.data : "", gtids.len);
    }
    bool ok = dbconn_query(s->conn, sql.data, sql.len, SIZE_MAX, NULL, err);

    buf_done(&gtids);
    buf_done(&sql);
    return ok;
}

static bool send_command(struct stream *s, enum enum_server_command command, const struct buf *body,
                         bool answered, struct err *err)
{
    MYSQL *m = dbconn_handle(s->conn);

    if (m->methods->db_command(m, command, body->data, body->len, !answered, NULL) != 0)
        return dbconn_fail(s->conn, err);
    return true;
}

/* server_id u32; host, user, password: a length byte each; port u16; rank u32; master's id u32. */
static bool register_replica(struct stream *s, struct err *err)
{
    struct buf body = BUF_INIT;

    add_number(&body, our_id(s), 4);
    buf_addf(&body, "%c%s", (int)strlen(STREAM_HOST), STREAM_HOST);
    add_number(&body, 0, 1 + 1);
    add_number(&body, 0, 2);
    add_number(&body, 0, 4);
    add_number(&body, 0, 4);
    bool ok = send_command(s, COM_REGISTER_SLAVE, &body, true, err);

    buf_done(&body);
    return ok;
}

/* position u32, flags u16, server_id u32, file name up to the end. */
static bool ask_for_dump(struct stream *s, const struct pos *from, struct err *err)
{
    struct buf body = BUF_INIT;

    add_number(&body, s->by_file && from->offset > FIRST_OFFSET ? from->offset : FIRST_OFFSET, 4);
    add_number(&body, 0, 2);
    add_number(&body, our_id(s), 4);
    if (s->by_file)
        buf_adds(&body, from->file);
    bool ok = send_command(s, COM_BINLOG_DUMP, &body, false, err);

    buf_done(&body);
    return ok;
}

/* number 8, then for each range first and last + 1, 8 bytes each. */
static void add_ranges(struct buf *out, const struct gtid_source *source)
{
    add_number(out, source->nranges, 8);
    for (size_t i = 0; i < source->nranges; i++) {
        add_number(out, source->ranges[i].first, 8);
        add_number(out, source->ranges[i].last + 1, 8);
    }
}

/* Number of sources, then each. Servers that know tags (8.3) want the form that can hold them: the number in the middle
 * of its 8 bytes, with a 1 at either end, and behind each uuid the tag and its length, doubled. */
static void add_set(struct buf *out, const struct gtid_set *set, bool tagged)
{
    uint64_t n = set->nsources;

    add_number(out, tagged ? n << 8 | 1 | UINT64_C(1) << 56 : n, 8);
    for (size_t i = 0; i < set->nsources; i++) {
        const struct gtid_source *source = &set->sources[i];

        buf_add(out, (const char *)source->uuid, sizeof source->uuid);
        if (tagged) {
            add_number(out, 2 * strlen(source->tag), 1);
            buf_adds(out, source->tag);
        }
        add_ranges(out, source);
    }
}

static bool knows_tags(const struct stream *s)
{
    char *rest;
    unsigned long major = strtoul(dbconn_version(s->conn), &rest, 10);
    unsigned long minor = *rest == '.' ? strtoul(rest + 1, NULL, 10) : 0;

    return major > 8 || (major == 8 && minor >= 3);
}

/* flags u16, server_id u32, length and name of a file u32, position u64, length u32 and the set of what is read. */
static bool ask_for_gtid_dump(struct stream *s, const struct pos *from, struct err *err)
{
    enum { BY_GTID = 4 };
    struct buf body = BUF_INIT, set = BUF_INIT;

    add_set(&set, &from->set, knows_tags(s));
    add_number(&body, BY_GTID, 2);
    add_number(&body, our_id(s), 4);
    add_number(&body, 0, 4);
    add_number(&body, FIRST_OFFSET, 8);
    add_number(&body, set.len, 4);
    buf_add(&body, set.data, set.len);
    bool ok = send_command(s, (enum enum_server_command)COMMAND_BINLOG_DUMP_GTID, &body, false, err);

    buf_done(&set);
    buf_done(&body);
    return ok;
}

static bool ask(struct stream *s, const struct pos *from, struct err *err)
{
    return is_mysql(s) && s->gtid_mode && !s->by_file ? ask_for_gtid_dump(s, from, err)
                                                      : ask_for_dump(s, from, err);
}

static bool not_open(struct stream *s, struct err *err)
{
    dbconn_close(s->conn);
    return err_prefix(err, "open the binlog stream of server %s", dbconn_name(s->conn));
}

bool stream_connect(struct stream *s, struct err *err)
{
    enum { LOCK_WAIT_S = 5 }; /* nothing here locks anything */

    /* Not when it is closed: a shutdown that came meanwhile would be forgotten. */
    if (dbconn_is_open(s->conn))
        dbconn_close(s->conn);
    s->checksum = CHECKSUM_UNKNOWN;
    if (!dbconn_open(s->conn, LOCK_WAIT_S, err))
        return false;
    return check_server(s, err) || not_open(s, err);
}

bool stream_check(struct stream *s, const struct pos *at, struct err *err)
{
    if (check_kind(s, at, err) && check_log(s, at, err))
        return true;
    return err_prefix(err, "open the binlog stream of server %s", dbconn_name(s->conn));
}

bool stream_log_end(struct stream *s, struct pos *ret_pos, struct err *err)
{
    return tableinfo_log_end(s->conn, ret_pos, err);
}

bool stream_start(struct stream *s, const struct pos *from, struct err *err)
{
    return (choose_way(s, from, err) && shake_hands(s, from, err) && register_replica(s, err) &&
            ask(s, from, err)) ||
           not_open(s, err);
}

bool stream_open(struct stream *s, const struct pos *from, struct err *err)
{
    if (!stream_connect(s, err))
        return false;
    if (stream_check(s, from, err))
        return stream_start(s, from, err);
    dbconn_close(s->conn);
    return false;
}

/* ---- Next ---- */

static bool dump_failed(struct stream *s, struct err *err)
{
    MYSQL *m = dbconn_handle(s->conn);
    unsigned code = mysql_errno(m);
    enum err_kind kind = dberr_dump_kind(code, mysql_error(m));
    char text[sizeof err->text];

    /* An offset that is not the begin of an event makes the server read a length out of the middle of one. */
    if (code == 1236 && s->by_file && kind == ERR_RETRY &&
        strstr(mysql_error(m), "max_allowed_packet") != NULL)
        kind = ERR_LOST;
    dberr_text(code, mysql_sqlstate(m), mysql_error(m), text, sizeof text);
    if (kind == ERR_FATAL && (code == 4052 || code == 1236) && strstr(mysql_error(m), "same server") != NULL)
        return err_set(err, kind, (int)code,
                       "another replica of server %s uses server_id %" PRIu32 "; each must have its own: %s",
                       dbconn_name(s->conn), our_id(s), text);
    return err_set(err, kind, (int)code, "binlog stream of server %s: %s", dbconn_name(s->conn), text);
}

/* At the place where a dump by offset begins, nonsense means that no event begins there. */
static bool malformed(struct stream *s, const char *what, struct err *err)
{
    if (s->by_file && s->checksum != CHECKSUM_UNKNOWN)
        return err_set(err, ERR_LOST, 0,
                       "binlog stream of server %s: no event begins at the wanted offset: %s",
                       dbconn_name(s->conn), what);
    return err_set(err, ERR_RETRY, 0, "binlog stream of server %s: %s", dbconn_name(s->conn), what);
}

static bool crc_is_good(const uint8_t *event, size_t len)
{
    return libdeflate_crc32(0, event, len - CRC_BYTES) == get_u32(event + len - CRC_BYTES);
}

/* The algorithm of what follows. The checksum of the event itself holds only if there is one. */
static bool read_format(struct stream *s, const uint8_t *event, size_t len, struct err *err)
{
    uint8_t algorithm = event[len - CRC_BYTES - 1];

    if (algorithm > 1)
        return malformed(s, "unknown checksum algorithm", err);
    s->checksum = algorithm == 1 ? CHECKSUM_CRC32 : CHECKSUM_NONE;
    return true;
}

/* Takes the checksum off. *len is at least HEADER_BYTES. */
static bool check_event(struct stream *s, const uint8_t *event, size_t *len, struct err *err)
{
    uint8_t type = event[4];
    bool fits = *len >= HEADER_BYTES + CRC_BYTES; /* a STOP has no body */

    if (type == EVENT_FORMAT_DESCRIPTION) {
        if (*len < HEADER_BYTES + CRC_BYTES + 1)
            return malformed(s, "event too short", err);
        if (!read_format(s, event, *len, err))
            return false;
    } else if (s->checksum == CHECKSUM_UNKNOWN) {
        if (type != EVENT_ROTATE || (event[17] & FLAG_ARTIFICIAL) == 0)
            return malformed(s, "an event came before the format description", err);
        if (fits && crc_is_good(event, *len))
            *len -= CRC_BYTES;
        return true;
    } else if (s->checksum == CHECKSUM_NONE) {
        return true;
    }
    if (!fits)
        return malformed(s, "event too short", err);
    if (s->checksum == CHECKSUM_CRC32 && !crc_is_good(event, *len))
        return malformed(s, "wrong checksum", err);
    *len -= CRC_BYTES;
    return true;
}

/* ---- What has been received ----
 *
 * The library reads ahead, 16 KiB at a time. A packet: length u24, number u8, and as many bytes. What is compressed on its
 * way stands elsewhere, and counts as not received. So does all that a library of another series has, which may have other
 * structures than those we were built with.
 */

enum { PACKET_HEADER_BYTES = 4, PACKET_LEN_MAX = 0xffffff };

static bool is_our_library(void)
{
    return mysql_get_client_version() / 100 == MARIADB_PACKAGE_VERSION_ID / 100;
}

static bool has_received(const MYSQL *m, size_t *ret_len)
{
    const MARIADB_PVIO *io = m != NULL && is_our_library() && !m->net.compress ? m->net.pvio : NULL;

    if (io == NULL || io->cache == NULL || io->cache_size > PVIO_READ_AHEAD_CACHE_SIZE ||
        io->cache_pos < io->cache || io->cache_pos > io->cache + io->cache_size)
        return false;
    size_t left = (size_t)(io->cache + io->cache_size - io->cache_pos);

    if (left < PACKET_HEADER_BYTES)
        return false;
    *ret_len = get_u32(io->cache_pos) & PACKET_LEN_MAX;
    return left - PACKET_HEADER_BYTES >= *ret_len;
}

bool stream_has_next(struct stream *s)
{
    size_t len;

    return has_received(dbconn_handle(s->conn), &len);
}

/* An event's packet from where it was received: the library would copy it, in two steps. What is no event, has another
 * number than the next or goes on in another packet is the library's. */
static bool take_received(MYSQL *m, const uint8_t **ret_packet, size_t *ret_len)
{
    size_t len;

    if (!has_received(m, &len) || len == 0 || len == PACKET_LEN_MAX)
        return false;
    MARIADB_PVIO *io = m->net.pvio;
    const uint8_t *header = io->cache_pos;

    if (header[3] != (uint8_t)m->net.pkt_nr || header[PACKET_HEADER_BYTES] != 0x00)
        return false;
    m->net.compress_pkt_nr = ++m->net.pkt_nr;
    io->cache_pos += PACKET_HEADER_BYTES + len;
    *ret_packet = header + PACKET_HEADER_BYTES;
    *ret_len = len;
    return true;
}

static bool read_packet(struct stream *s, MYSQL *m, const uint8_t **ret_packet, size_t *ret_len,
                        struct err *err)
{
    if (take_received(m, ret_packet, ret_len))
        return true;
    unsigned long len = mysql_net_read_packet(m);

    if (len == packet_error || len == (unsigned long)-1) { /* the macro is an int's worth of ones */
        dump_failed(s, err);
        return false;
    }
    *ret_packet = m->net.read_pos;
    *ret_len = len;
    return true;
}

bool stream_next(struct stream *s, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    MYSQL *m = dbconn_handle(s->conn);

    if (m == NULL)
        return err_set(err, ERR_RETRY, 0, "binlog stream is not open");
    if (!dbconn_is_current(s->conn, err))
        return false;
    const uint8_t *packet;
    size_t packet_len;

    if (!read_packet(s, m, &packet, &packet_len, err))
        return false;
    if (packet_len == 0)
        return malformed(s, "empty packet", err);
    if (packet[0] == 0xfe && packet_len <= EOF_PACKET_MAX)
        return err_set(err, ERR_RETRY, 0, "binlog stream of server %s: the server ended it",
                       dbconn_name(s->conn));
    if (packet[0] != 0x00)
        return malformed(s, "a packet that is no event", err);
    const uint8_t *event = packet + 1;
    size_t len = packet_len - 1;

    if (len < HEADER_BYTES || get_u32(event + 9) != len)
        return malformed(s, "event of a wrong length", err);
    if (!check_event(s, event, &len, err))
        return false;
    if (event[4] != EVENT_FORMAT_DESCRIPTION && event[4] != EVENT_ROTATE)
        s->by_file = false;
    *ret_event = event;
    *ret_len = len;
    return true;
}
