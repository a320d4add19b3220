/*
 * One event: any bytes are decoded, or refused with an error that says something;
 * what the result points at can be read.
 */
#include "cdc/binlog/event.h"
#include "cdc/binlog/payload.h"
#include "cdc/binlog/tablemap.h"
#include "tests/fuzz/fuzz.h"

static void check_error(const struct err *err)
{
    fuzz_check(err->kind == ERR_RETRY || err->kind == ERR_HALT);
    fuzz_check(err->text[0] != '\0');
}

static void read_map(const struct event_table_map *m)
{
    struct tablemap kept = {0};
    struct err err = ERR_INIT;
    bool same;
    fuzz_touch(m->db, m->db_len);
    fuzz_touch(m->table, m->table_len);
    fuzz_touch(m->types, m->ncolumns);
    fuzz_touch(m->meta, m->meta_len);
    fuzz_touch(m->optional, m->optional_len);
    if (!tablemap_take(&kept, m, &same, &err)) {
        check_error(&err);
    } else {
        fuzz_check(!same);
        fuzz_touch(kept.columns, kept.ncolumns * sizeof(*kept.columns));
        fuzz_check(tablemap_take(&kept, m, &same, &err) && same == (m->ncolumns > 0 || kept.body.len > 0));
    }
    tablemap_done(&kept);
}

static void read_rows(const struct event_rows *r)
{
    struct buf scratch;
    struct err err = ERR_INIT;
    const uint8_t *data;
    size_t len;
    buf_init(&scratch, (size_t)64 << 20);
    fuzz_touch(r->present[0], (r->ncolumns + 7) / 8);
    fuzz_touch(r->present[1], (r->ncolumns + 7) / 8);
    if (event_rows_data(r, &scratch, &data, &len, &err))
        fuzz_touch(data, len);
    else
        check_error(&err);
    buf_done(&scratch);
}

static void read_payload(const struct event_payload *e)
{
    struct payload *p = payload_new();
    struct err err = ERR_INIT;
    const uint8_t *event;
    size_t len;
    bool ok = payload_open(p, e->body, e->len, &err);
    while (ok && (ok = payload_next(p, &event, &len, &err)) && event != NULL) {
        fuzz_check(len >= EVENT_HEADER_BYTES);
        fuzz_touch(event, len);
    }
    if (!ok)
        check_error(&err);
    payload_free(p);
}

/* What the statement that ends an XA transaction names is what its PREPARE named. */
static void read_xid(const struct xid *x)
{
    struct buf sql = BUF_INIT;
    struct xid again;
    enum xid_end end;
    buf_adds(&sql, "XA ROLLBACK X'");
    for (size_t i = 0; i < x->gtrid_len; i++)
        buf_addf(&sql, "%02X", x->data[i]);
    buf_adds(&sql, "',X'");
    for (size_t i = 0; i < x->bqual_len; i++)
        buf_addf(&sql, "%02x", x->data[x->gtrid_len + i]);
    buf_addf(&sql, "',%u", x->format);
    fuzz_check(xid_of_statement(sql.data, sql.len, &end, &again));
    fuzz_check(end == XID_ROLLBACK && xid_equal(x, &again));
    buf_done(&sql);
}

static void read_event(const struct event *e)
{
    switch (e->kind) {
    case EVENT_ROTATE:
    case EVENT_HEARTBEAT: fuzz_touch(e->file.name, e->file.name_len); break;
    case EVENT_QUERY:
        fuzz_touch(e->query.db, e->query.db_len);
        fuzz_touch(e->query.sql, e->query.sql_len);
        break;
    case EVENT_TABLE_MAP: read_map(&e->map); break;
    case EVENT_ROWS: read_rows(&e->rows); break;
    case EVENT_PAYLOAD: read_payload(&e->payload); break;
    case EVENT_XA_PREPARE: read_xid(&e->xa.xid); break;
    case EVENT_GTID:
        fuzz_check(memchr(e->gtid.id.tag, '\0', sizeof(e->gtid.id.tag)) != NULL);
        fuzz_check(e->gtid.id.kind != GTID_MYSQL || e->gtid.id.seq > 0);
        break;
    default: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf scratch;
    struct event e;
    struct err err = ERR_INIT;
    buf_init(&scratch, (size_t)64 << 20);
    if (event_decode(data, size, &scratch, &e, &err))
        read_event(&e);
    else
        check_error(&err);
    buf_done(&scratch);
    return 0;
}
