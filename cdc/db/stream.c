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
 *   COM_BINLOG_DUMP        answered by packets without end:
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
 * A start position is a GTID list (MariaDB: the last one of each domain that was
 * read), or file and offset where the server had no GTID yet, or nothing: then
 * everything that the server still has. The server checks it only after the
 * command has been accepted, so a lost position shows in stream_next().
 */
#include "cdc/db/stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "cdc/base/mem.h"
#include "cdc/db/dbconn_int.h"
#include "cdc/db/dberr.h"

enum {
    HEADER_BYTES = 19,
    CRC_BYTES = 4,
    EVENT_ROTATE = 4,
    EVENT_FORMAT_DESCRIPTION = 15,
    FLAG_ARTIFICIAL = 0x20,
    EOF_PACKET_MAX = 8,
};

/* What the events that come now carry at their end. */
enum checksum { CHECKSUM_UNKNOWN, CHECKSUM_NONE, CHECKSUM_CRC32 };

struct stream {
    struct dbconn *conn;
    enum checksum checksum;
    bool by_file; /* the dump began at file and offset, and no event of that place has come yet */
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
    free(s);
}

void stream_close(struct stream *s) { dbconn_close(s->conn); }

void stream_shutdown(struct stream *s) { dbconn_shutdown(s->conn); }

enum db_kind stream_kind(const struct stream *s) { return dbconn_kind(s->conn); }

const char *stream_version(const struct stream *s) { return dbconn_version(s->conn); }

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

/* Servers do not refuse a replica with their own id: they send it nothing of their own. */
static bool check_server(struct stream *s, struct err *err)
{
    static const char SQL[] = "SELECT @@server_id, @@log_bin";
    struct db_result *r = NULL;
    bool ok = true;

    if (dbconn_kind(s->conn) != DB_MARIADB)
        return err_set(err, ERR_CONFIG, 0, "it is MySQL: only MariaDB's binary log can be followed yet");
    if (!dbconn_query(s->conn, SQL, sizeof SQL - 1, 0, &r, err))
        return false;
    if (!db_result_next(r) || db_result_get(r, 0, NULL) == NULL || db_result_get(r, 1, NULL) == NULL)
        ok = err_set(err, ERR_RETRY, 0, "the server does not tell its server_id");
    else if (strcmp(db_result_get(r, 1, NULL), "1") != 0)
        ok = err_set(err, ERR_CONFIG, 0,
                     "the binary log is off; mend with: log_bin = bin in the server's config");
    else if (strtoull(db_result_get(r, 0, NULL), NULL, 10) == our_id(s))
        ok = err_set(err, ERR_CONFIG, 0,
                     "server_id %" PRIu32 " is the server's own; give this server section another one",
                     our_id(s));
    db_result_free(r);
    return ok;
}

/* Unknown user variables do no harm, on any server. */
static bool shake_hands(struct stream *s, const struct pos *from, struct err *err)
{
    enum { HEARTBEAT_NS = 1000000000 };
    struct buf sql = BUF_INIT, gtids = BUF_INIT;

    buf_addf(&sql,
             "SET @master_binlog_checksum = @@global.binlog_checksum, @master_heartbeat_period = %d"
             /* 4: understands GTID events; below that they come as QUERY 'BEGIN' */
             ", @mariadb_slave_capability = 4",
             HEARTBEAT_NS);
    if (!s->by_file) {
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
    add_number(&body, 0, 1 + 1 + 1);
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

    add_number(&body, s->by_file && from->offset > 4 ? from->offset : 4, 4);
    add_number(&body, 0, 2);
    add_number(&body, our_id(s), 4);
    if (s->by_file)
        buf_adds(&body, from->file);
    bool ok = send_command(s, COM_BINLOG_DUMP, &body, false, err);

    buf_done(&body);
    return ok;
}

bool stream_open(struct stream *s, const struct pos *from, struct err *err)
{
    enum { LOCK_WAIT_S = 5 }; /* nothing here locks anything */

    /* Not when it is closed: a shutdown that came meanwhile would be forgotten. */
    if (dbconn_is_open(s->conn))
        dbconn_close(s->conn);
    s->checksum = CHECKSUM_UNKNOWN;
    s->by_file = from->ngtids == 0 && from->file != NULL;
    if (s->by_file && from->offset > UINT32_MAX)
        return err_set(err, ERR_LOST, 0,
                       "a dump cannot begin at an offset over 4 GiB, and the position has no GTID");
    if (!dbconn_open(s->conn, LOCK_WAIT_S, err))
        return false;
    bool ok = check_server(s, err) && shake_hands(s, from, err) && register_replica(s, err) &&
              ask_for_dump(s, from, err);

    if (!ok) {
        dbconn_close(s->conn);
        return err_prefix(err, "open the binlog stream of server %s", dbconn_name(s->conn));
    }
    return true;
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
    if (kind == ERR_CONFIG && (code == 4052 || code == 1236) && strstr(mysql_error(m), "same server") != NULL)
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
    return crc32(crc32(0, NULL, 0), event, (uInt)(len - CRC_BYTES)) == get_u32(event + len - CRC_BYTES);
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
    bool fits = *len >= HEADER_BYTES + CRC_BYTES + 1;

    if (type == EVENT_FORMAT_DESCRIPTION) {
        if (!fits)
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

bool stream_next(struct stream *s, const uint8_t **ret_event, size_t *ret_len, struct err *err)
{
    MYSQL *m = dbconn_handle(s->conn);

    if (m == NULL)
        return err_set(err, ERR_RETRY, 0, "binlog stream is not open");
    unsigned long packet_len = mysql_net_read_packet(m);

    if (packet_len == packet_error ||
        packet_len == (unsigned long)-1) /* the macro is an int's worth of ones */
        return dump_failed(s, err);
    const uint8_t *packet = m->net.read_pos;

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
