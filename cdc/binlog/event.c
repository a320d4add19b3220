/*
 * Every event starts with the same header, little-endian:
 *
 *    0  when       4   seconds since 1970
 *    4  type       1
 *    5  server_id  4
 *    9  size       4   with header and checksum
 *   13  next_pos   4   offset of the next event in its file
 *   17  flags      2
 *
 * Then come a "post header" of a length fixed by type and server version and the
 * body. The lengths below are those of every server since MySQL 5.0 and
 * MariaDB 10.0; see "Binlog Event Types" in MariaDB's knowledge base and
 * sql/log_event.h of either server.
 *
 * Types that change no row are passed over, by name: a list of what is known to
 * be harmless, not of what is known to matter, so that a type which a later server
 * brings stops the reader instead of losing rows. Only the sender's own
 * "ignorable" flag can say otherwise.
 */
#include "cdc/binlog/event.h"

#include <string.h>
#include <zlib.h>

#include "cdc/binlog/cursor.h"

/* zlib expands at most 1032 times: a size beyond that is a lie, and nothing is allocated for it. */
#define ZLIB_MAX_RATIO 1032
/* Of a table, in either server. A row may be a few bytes however many columns it does not hold, and each is looked at. */
#define COLUMNS_MAX 4096
#define INFLATED_MAX ((uint64_t)1 << 30) /* max_allowed_packet's own limit */

static bool malformed(const struct event_header *h, struct err *err)
{
    return err_set(err, ERR_RETRY, 0, "malformed binlog event of type %u", h->type);
}

static bool decode_header(struct cursor *c, size_t len, struct event_header *h, struct err *err)
{
    h->when = (uint32_t)cursor_le(c, 4);
    h->type = (uint8_t)cursor_le(c, 1);
    h->server_id = (uint32_t)cursor_le(c, 4);
    h->size = (uint32_t)cursor_le(c, 4);
    h->next_pos = (uint32_t)cursor_le(c, 4);
    h->flags = (uint16_t)cursor_le(c, 2);
    if (c->bad)
        return err_set(err, ERR_RETRY, 0, "binlog event of %zu bytes has no whole header", len);
    return true;
}

/* MariaDB's compressed form, of query text and row images alike:
 *   0    bit 7 set, bits 6-4 method (0: zlib), bits 2-0 n
 *   1    size when inflated, n bytes, big-endian
 *   1+n  zlib stream */
static bool inflate_into(const uint8_t *data, size_t len, struct buf *scratch, struct err *err)
{
    struct cursor c = cursor_of(data, len);
    uint8_t head = (uint8_t)cursor_le(&c, 1);
    size_t nlen = head & 0x07;
    if (c.bad || (head & 0x80) == 0 || (head & 0x70) != 0 || nlen == 0 || nlen > 4)
        return err_set(err, ERR_RETRY, 0, "compressed binlog event has an unknown header byte %u", head);

    uint64_t size = cursor_be(&c, nlen);
    size_t left = cursor_left(&c);
    if (c.bad || size > INFLATED_MAX || size > (uint64_t)left * ZLIB_MAX_RATIO + 64)
        return err_set(err, ERR_RETRY, 0, "compressed binlog event claims an impossible size");

    buf_clear(scratch);
    scratch->overrun = false;
    char *to = buf_room(scratch, (size_t)size);
    if (to == NULL)
        return err_set(err, ERR_HALT, 0,
                       "compressed binlog event inflates to %llu bytes, more than the limit",
                       (unsigned long long)size);
    uLongf got = (uLongf)size;
    int rc = uncompress((Bytef *)to, &got, cursor_bytes(&c, left), (uLong)left);
    if (rc != Z_OK || got != size)
        return err_set(err, ERR_RETRY, rc, "compressed binlog event does not inflate");
    scratch->len += (size_t)size;
    return true;
}

/* 0 seq 8, 8 domain 4, 12 flags2 1; [GROUP_COMMIT: commit_id 8] [XA: format 4, two lengths 1 each, the XID's
 * two parts]; zeros up to 19, and what later versions add. */
static void decode_gtid(struct cursor *c, struct event *e)
{
    struct event_gtid *g = &e->gtid;
    uint64_t seq = cursor_le(c, 8);
    g->id = gtid_mariadb((uint32_t)cursor_le(c, 4), e->header.server_id, seq);
    g->flags2 = (uint8_t)cursor_le(c, 1);
    g->commit_id = 0;
    if (g->flags2 & EVENT_GTID_GROUP_COMMIT)
        g->commit_id = cursor_le(c, 8);
    if (g->flags2 & (EVENT_GTID_XA_PREPARED | EVENT_GTID_XA_COMPLETED)) {
        struct xid named_again;
        xid_read(c, 1, &named_again);
    }
}

static void take_uuid(struct cursor *c, struct gtid *id)
{
    const uint8_t *uuid = cursor_bytes(c, GTID_UUID_BYTES);
    if (uuid != NULL)
        memcpy(id->uuid, uuid, GTID_UUID_BYTES);
}

/* 0 flags 1, 1 uuid 16, 17 number 8; then commit timestamps and lengths. An anonymous one has zeros. */
static void decode_mysql_gtid(struct cursor *c, struct event *e)
{
    struct gtid *id = &e->gtid.id;
    cursor_skip(c, 1);
    take_uuid(c, id);
    id->seq = cursor_le(c, 8);
    id->kind = e->header.type == EVENT_TYPE_ANONYMOUS_GTID ? GTID_NONE : GTID_MYSQL;
    if (id->kind == GTID_MYSQL && (id->seq == 0 || id->seq > INT64_MAX))
        c->bad = true;
}

/* A number of mysql::serialization: the ones at the low end of the first byte count the bytes behind it; what is
 * above them and the zero that ends them is the number, little-endian. */
static uint64_t cursor_varint(struct cursor *c)
{
    uint8_t first = (uint8_t)cursor_le(c, 1);
    unsigned more = 0;
    while (more < 8 && (first >> more & 1) != 0)
        more++;
    uint64_t rest = more > 0 ? cursor_le(c, more) : 0;
    if (more >= 7) /* nothing of the number is left in the first byte */
        return rest;
    return (uint64_t)first >> (more + 1) | rest << (7 - more);
}

static uint64_t from_zigzag(uint64_t v) { return v >> 1 ^ (0 - (v & 1)); }

static bool take_tag(struct cursor *c, char *to)
{
    uint64_t len = cursor_varint(c);
    const uint8_t *tag = len <= GTID_TAG_MAX ? cursor_bytes(c, (size_t)len) : NULL;
    if (tag == NULL)
        return false;
    for (size_t i = 0; i < len; i++)
        if (!(tag[i] == '_' || (tag[i] >= 'a' && tag[i] <= 'z') || (i > 0 && tag[i] >= '0' && tag[i] <= '9')))
            return false;
    memcpy(to, tag, (size_t)len);
    to[len] = '\0';
    return true;
}

/* mysql::serialization: version, size, last field that may not be ignored; then fields in ascending order, each its
 * number and its value: 0 flags, 1 uuid, 2 number (zigzag), 3 tag, and what is of no use here. */
static void decode_tagged_gtid(struct cursor *c, struct event *e)
{
    enum { FIELD_FLAGS, FIELD_UUID, FIELD_NUMBER, FIELD_TAG };
    struct gtid *id = &e->gtid.id;
    id->kind = GTID_MYSQL;
    for (int i = 0; i < 3; i++)
        (void)cursor_varint(c);
    for (uint64_t field = FIELD_FLAGS; field <= FIELD_TAG && !c->bad; field++) {
        if (cursor_varint(c) != field)
            c->bad = true;
        if (field == FIELD_FLAGS)
            (void)cursor_varint(c);
        else if (field == FIELD_UUID)
            for (size_t i = 0; i < GTID_UUID_BYTES; i++)
                id->uuid[i] = (uint8_t)cursor_varint(c);
        else if (field == FIELD_NUMBER)
            id->seq = from_zigzag(cursor_varint(c));
        else if (!take_tag(c, id->tag))
            c->bad = true;
    }
    if (id->seq == 0 || id->seq > INT64_MAX)
        c->bad = true;
}

/* 0 thread 4, 4 seconds 4, 8 db_len 1, 9 error 2, 11 vars_len 2 [LOAD DATA: 13 file, start, end 12,
 * duplicates 1], status variables, db, NUL, text. */
static bool decode_query(struct cursor *c, struct event *e, struct buf *scratch, struct err *err)
{
    struct event_query *q = &e->query;
    cursor_skip(c, 8);
    q->db_len = (size_t)cursor_le(c, 1);
    cursor_skip(c, 2);
    size_t vars_len = (size_t)cursor_le(c, 2);
    if (e->header.type == EVENT_TYPE_EXECUTE_LOAD_QUERY)
        cursor_skip(c, 13);
    cursor_skip(c, vars_len);
    q->db = (const char *)cursor_bytes(c, q->db_len);
    cursor_skip(c, 1);
    q->sql_len = cursor_left(c);
    q->sql = (const char *)cursor_bytes(c, q->sql_len);
    if (c->bad)
        return malformed(&e->header, err);
    if (e->header.type != EVENT_TYPE_QUERY_COMPRESSED)
        return true;
    if (!inflate_into((const uint8_t *)q->sql, q->sql_len, scratch, err))
        return false;
    q->sql = scratch->data != NULL ? scratch->data : "";
    q->sql_len = scratch->len;
    return true;
}

/* 0 table_id 6, 6 flags 2, then db (length byte, name, NUL), table likewise, number of columns,
 * a type byte each, metadata with its length, NULL bits, optional metadata. */
static void decode_table_map(struct cursor *c, struct event *e)
{
    struct event_table_map *m = &e->map;
    m->table_id = cursor_le(c, 6);
    cursor_skip(c, 2);
    m->db_len = (size_t)cursor_le(c, 1);
    m->db = (const char *)cursor_bytes(c, m->db_len);
    cursor_skip(c, 1);
    m->table_len = (size_t)cursor_le(c, 1);
    m->table = (const char *)cursor_bytes(c, m->table_len);
    cursor_skip(c, 1);
    uint64_t ncolumns = cursor_lenenc(c);
    if (ncolumns > COLUMNS_MAX)
        c->bad = true;
    m->types = cursor_bytes(c, (size_t)ncolumns);
    m->ncolumns = (size_t)ncolumns;
    uint64_t meta_len = cursor_lenenc(c);
    m->meta = cursor_bytes(c, (size_t)meta_len);
    m->meta_len = (size_t)meta_len;
    cursor_skip(c, c->bad ? 0 : (m->ncolumns + 7) / 8);
    m->optional_len = cursor_left(c);
    m->optional = cursor_bytes(c, m->optional_len);
}

/* 0 table_id 6, 6 flags 2 [v2: 8 length 2 with itself, extra data], number of columns, present bits,
 * [update: present bits of the after image], row images. */
static void decode_rows(struct cursor *c, struct event *e, enum event_row_op op, bool v2, bool compressed)
{
    struct event_rows *r = &e->rows;
    r->op = op;
    r->compressed = compressed;
    r->table_id = cursor_le(c, 6);
    r->flags = (uint16_t)cursor_le(c, 2);
    if (v2) {
        size_t extra = (size_t)cursor_le(c, 2);
        if (extra < 2)
            c->bad = true;
        cursor_skip(c, extra < 2 ? 0 : extra - 2);
    }
    uint64_t ncolumns = cursor_lenenc(c);
    if (ncolumns > COLUMNS_MAX)
        c->bad = true;
    size_t bits = ((size_t)ncolumns + 7) / 8;
    r->ncolumns = (size_t)ncolumns;
    r->present[0] = r->present[1] = cursor_bytes(c, bits);
    if (op == EVENT_UPDATE)
        r->present[1] = cursor_bytes(c, bits);
    r->len = cursor_left(c);
    r->data = cursor_bytes(c, r->len);
}

static void decode_rotate(struct cursor *c, struct event *e)
{
    e->file.offset = cursor_le(c, 8);
    e->file.name_len = cursor_left(c);
    e->file.name = (const char *)cursor_bytes(c, e->file.name_len);
}

/* The body is the file's name. Beyond 4 GiB MariaDB says 0 in the header, sets flag 1 and puts 8 bytes of
 * offset in front of the name. */
static void decode_heartbeat(struct cursor *c, struct event *e)
{
    e->file.offset = e->header.next_pos;
    if (e->header.next_pos == 0 && (e->header.flags & 1) != 0)
        e->file.offset = cursor_le(c, 8);
    e->file.name_len = cursor_left(c);
    e->file.name = (const char *)cursor_bytes(c, e->file.name_len);
}

/* Fields of type, length and value up to type 0: 1 the file's name, 2 the offset; all numbers length-encoded. */
static void decode_heartbeat_v2(struct cursor *c, struct event *e)
{
    for (;;) {
        uint64_t type = cursor_lenenc(c);
        if (c->bad || type == 0)
            return;
        uint64_t len = cursor_lenenc(c);
        const uint8_t *value = cursor_bytes(c, (size_t)len);
        if (value == NULL)
            return;
        struct cursor v = cursor_of(value, (size_t)len);
        if (type == 1) {
            e->file.name = (const char *)value;
            e->file.name_len = (size_t)len;
        } else if (type == 2) {
            e->file.offset = cursor_lenenc(&v);
        }
    }
}

/* 0 one phase 1, 1 format 4, 5 two lengths 4 each, the XID's two parts. */
static void decode_xa_prepare(struct cursor *c, struct event *e)
{
    e->xa.one_phase = cursor_le(c, 1) != 0;
    xid_read(c, 4, &e->xa.xid);
}

static bool unknown_type(const struct event_header *h, struct err *err)
{
    return err_set(err, ERR_HALT, 0, "binlog event of unknown type %u", h->type);
}

static bool decode_rest(struct cursor *c, struct event *e, struct err *err)
{
    const struct event_header *h = &e->header;
    switch (h->type) {
    case EVENT_TYPE_STOP:
    case EVENT_TYPE_INTVAR:
    case EVENT_TYPE_RAND:
    case EVENT_TYPE_USER_VAR:
    case EVENT_TYPE_APPEND_BLOCK:
    case EVENT_TYPE_DELETE_FILE:
    case EVENT_TYPE_BEGIN_LOAD_QUERY:
    case EVENT_TYPE_IGNORABLE:
    case EVENT_TYPE_ROWS_QUERY:
    case EVENT_TYPE_PREVIOUS_GTIDS:
    case EVENT_TYPE_TRANSACTION_CONTEXT: /* of group replication, like the next */
    case EVENT_TYPE_VIEW_CHANGE:
    case EVENT_TYPE_ANNOTATE_ROWS:
    case EVENT_TYPE_CHECKPOINT:
    case EVENT_TYPE_GTID_LIST:
    case EVENT_TYPE_START_ENCRYPTION: /* the dump thread has decrypted what follows */ return true;
    case EVENT_TYPE_FORMAT_DESCRIPTION:
        /* 0 version 2, 2 server version 50, 52 created 4, 56 header length 1 */
        e->kind = EVENT_FORMAT;
        if (cursor_le(c, 2) != 4)
            return c->bad ? malformed(h, err) : err_set(err, ERR_HALT, 0, "binlog format is not version 4");
        cursor_skip(c, 54);
        if (cursor_le(c, 1) != EVENT_HEADER_BYTES && !c->bad)
            return err_set(err, ERR_HALT, 0, "binlog events do not have headers of %d bytes",
                           EVENT_HEADER_BYTES);
        break;
    case EVENT_TYPE_ROTATE:
        e->kind = EVENT_ROTATE;
        decode_rotate(c, e);
        break;
    case EVENT_TYPE_HEARTBEAT:
        e->kind = EVENT_HEARTBEAT;
        decode_heartbeat(c, e);
        break;
    case EVENT_TYPE_HEARTBEAT_V2:
        e->kind = EVENT_HEARTBEAT;
        decode_heartbeat_v2(c, e);
        break;
    case EVENT_TYPE_MYSQL_GTID:
    case EVENT_TYPE_ANONYMOUS_GTID:
        e->kind = EVENT_GTID;
        decode_mysql_gtid(c, e);
        break;
    case EVENT_TYPE_TAGGED_GTID:
        e->kind = EVENT_GTID;
        decode_tagged_gtid(c, e);
        break;
    case EVENT_TYPE_TRANSACTION_PAYLOAD:
        e->kind = EVENT_PAYLOAD;
        e->payload.len = cursor_left(c);
        e->payload.body = cursor_bytes(c, e->payload.len);
        break;
    case EVENT_TYPE_GTID:
        e->kind = EVENT_GTID;
        decode_gtid(c, e);
        break;
    case EVENT_TYPE_XID:
        e->kind = EVENT_XID;
        cursor_skip(c, 8);
        break;
    case EVENT_TYPE_XA_PREPARE:
        e->kind = EVENT_XA_PREPARE;
        decode_xa_prepare(c, e);
        break;
    case EVENT_TYPE_TABLE_MAP:
        e->kind = EVENT_TABLE_MAP;
        decode_table_map(c, e);
        break;
    case EVENT_TYPE_INCIDENT:
        return err_set(err, ERR_HALT, 0, "the server logged an incident: changes are missing in its binlog");
    default:
        if (h->flags & EVENT_FLAG_IGNORABLE)
            return true;
        return unknown_type(h, err);
    }
    return c->bad ? malformed(h, err) : true;
}

/* The four row formats, three types each in the order of enum event_row_op. */
static bool rows_type(uint8_t type, enum event_row_op *ret_op, bool *ret_v2, bool *ret_compressed)
{
    static const struct {
        uint8_t first;
        bool v2, compressed;
    } formats[] = {
        {EVENT_TYPE_WRITE_ROWS_V1, false, false},
        {EVENT_TYPE_WRITE_ROWS_V2, true, false},
        {EVENT_TYPE_WRITE_ROWS_COMPRESSED_V1, false, true},
        {EVENT_TYPE_WRITE_ROWS_COMPRESSED_V2, true, true},
    };
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (type < formats[i].first || type > formats[i].first + 2)
            continue;
        *ret_op = (enum event_row_op)(type - formats[i].first);
        *ret_v2 = formats[i].v2;
        *ret_compressed = formats[i].compressed;
        return true;
    }
    return false;
}

/* All but an XID's bytes, which are more than everything else together, and which xid_read() sets. */
static void clear(struct event *e)
{
    _Static_assert(sizeof(struct event_gtid) >= sizeof(struct event_table_map) &&
                       sizeof(struct event_gtid) >= sizeof(struct event_rows) &&
                       sizeof(struct event_gtid) >= sizeof(struct event_query) &&
                       sizeof(struct event_gtid) >= sizeof(struct event_file) &&
                       sizeof(struct event_gtid) >= sizeof(struct event_payload),
                   "the largest but the XID is cleared");
    static const struct event_gtid nothing; /* memset() of a known size is slower than a copy, by gcc 12 */
    e->header = (struct event_header){0};
    e->gtid = nothing;
    e->kind = EVENT_PASS;
}

bool event_decode(const uint8_t *data, size_t len, struct buf *scratch, struct event *ret_event,
                  struct err *err)
{
    struct cursor c = cursor_of(data, len);
    struct event *e = ret_event;
    clear(e);
    if (!decode_header(&c, len, &e->header, err))
        return false;

    enum event_row_op op;
    bool v2, compressed;
    if (e->header.type == EVENT_TYPE_PARTIAL_UPDATE_ROWS) {
        e->kind = EVENT_ROWS;
        decode_rows(&c, e, EVENT_UPDATE, true, false);
        e->rows.partial = true;
        return c.bad ? malformed(&e->header, err) : true;
    }
    if (rows_type(e->header.type, &op, &v2, &compressed)) {
        e->kind = EVENT_ROWS;
        decode_rows(&c, e, op, v2, compressed);
        return c.bad ? malformed(&e->header, err) : true;
    }
    if (e->header.type == EVENT_TYPE_QUERY || e->header.type == EVENT_TYPE_QUERY_COMPRESSED ||
        e->header.type == EVENT_TYPE_EXECUTE_LOAD_QUERY) {
        e->kind = EVENT_QUERY;
        return decode_query(&c, e, scratch, err);
    }
    return decode_rest(&c, e, err);
}

bool event_rows_data(const struct event_rows *rows, struct buf *scratch, const uint8_t **ret_data,
                     size_t *ret_len, struct err *err)
{
    if (!rows->compressed) {
        *ret_data = rows->data;
        *ret_len = rows->len;
        return true;
    }
    if (!inflate_into(rows->data, rows->len, scratch, err))
        return false;
    *ret_data = (const uint8_t *)(scratch->data != NULL ? scratch->data : "");
    *ret_len = scratch->len;
    return true;
}
