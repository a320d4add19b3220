/* The event decoder: one hand-made event a kind, then the property that no cut or damaged event is read past
 * its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cdc/binlog/rows.h"
#include "tests/golden/golden.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

/* An event with this type, flags and body, in memory of exactly its size. */
static uint8_t *make(uint8_t type, uint16_t flags, const uint8_t *body, size_t len, size_t *ret_len)
{
    size_t size = EVENT_HEADER_BYTES + len;
    uint8_t *e = mem_zalloc(1, size);
    e[4] = type;
    e[5] = 7; /* server */
    e[9] = (uint8_t)size;
    e[10] = (uint8_t)(size >> 8);
    e[13] = 0x39; /* next position 0x3039 = 12345 */
    e[14] = 0x30;
    e[17] = (uint8_t)flags;
    e[18] = (uint8_t)(flags >> 8);
    if (len > 0)
        memcpy(e + EVENT_HEADER_BYTES, body, len);
    *ret_len = size;
    return e;
}

struct decoded {
    bool ok;
    struct event event;
    struct err err;
    uint8_t *bytes;
    struct buf scratch;
};

static struct decoded decode(uint8_t type, uint16_t flags, const uint8_t *body, size_t body_len)
{
    struct decoded d = {.err = ERR_INIT};
    size_t len;
    buf_init(&d.scratch, 0);
    d.bytes = make(type, flags, body, body_len, &len);
    d.ok = event_decode(d.bytes, len, &d.scratch, &d.event, &d.err);
    return d;
}

static void done(struct decoded *d)
{
    free(d->bytes);
    buf_done(&d->scratch);
}

static void expect_text(const char *expected, const char *text, size_t len)
{
    assert_int_equal(len, strlen(expected));
    assert_memory_equal(text, expected, len);
}

static void test_header_and_gtid(void **state)
{
    (void)state;
    struct decoded d = decode(EVENT_TYPE_GTID, 0x08,
                              BYTES("\x29\x01\0\0\0\0\0\0\x05\0\0\0\x02\x10\0\0\0\0\0\0\0"));
    assert_true(d.ok);
    assert_int_equal(d.event.kind, EVENT_GTID);
    assert_int_equal(d.event.header.next_pos, 12345);
    assert_int_equal(d.event.header.flags, 0x08);
    assert_int_equal(d.event.gtid.id.domain, 5);
    assert_int_equal(d.event.gtid.id.server, 7);
    assert_int_equal(d.event.gtid.id.seq, 0x129);
    assert_int_equal(d.event.gtid.commit_id, 0x10);
    done(&d);

    /* XA, with its XID "xy" */
    d = decode(EVENT_TYPE_GTID, 0, BYTES("\x29\x01\0\0\0\0\0\0\0\0\0\0\x4c\x01\0\0\0\x01\x01xy"));
    assert_true(d.ok);
    assert_int_equal(d.event.gtid.flags2 & EVENT_GTID_XA_PREPARED, EVENT_GTID_XA_PREPARED);
    done(&d);
    d = decode(EVENT_TYPE_GTID, 0, BYTES("\x29\x01\0\0\0\0\0\0\0\0\0\0\x4c\x01\0\0\0\x01\x40xy"));
    assert_false(d.ok);
    done(&d);
}

static void test_rotate_and_heartbeat(void **state)
{
    (void)state;
    struct decoded d = decode(EVENT_TYPE_ROTATE, EVENT_FLAG_ARTIFICIAL,
                              BYTES("\x04\0\0\0\0\0\0\0bin.000007"));
    assert_true(d.ok && d.event.kind == EVENT_ROTATE);
    assert_int_equal(d.event.file.offset, 4);
    expect_text("bin.000007", d.event.file.name, d.event.file.name_len);
    done(&d);
    d = decode(EVENT_TYPE_HEARTBEAT, 0, BYTES("bin.000007"));
    assert_true(d.ok && d.event.kind == EVENT_HEARTBEAT);
    assert_int_equal(d.event.file.offset, 12345);
    expect_text("bin.000007", d.event.file.name, d.event.file.name_len);
    done(&d);
}

/* Beyond 4 GiB the header cannot say where. */
static void test_heartbeat_far_out(void **state)
{
    (void)state;
    struct event e;
    struct err err = ERR_INIT;
    struct buf scratch = BUF_INIT;
    size_t len;
    uint8_t *bytes = make(EVENT_TYPE_HEARTBEAT, 1, BYTES("\0\0\0\0\x02\0\0\0bin.000007"), &len);
    memset(bytes + 13, 0, 4);
    assert_true(event_decode(bytes, len, &scratch, &e, &err));
    assert_int_equal(e.file.offset, (uint64_t)2 << 32);
    expect_text("bin.000007", e.file.name, e.file.name_len);
    free(bytes);
    buf_done(&scratch);
}

static void test_query(void **state)
{
    (void)state;
    struct decoded d = decode(EVENT_TYPE_QUERY, 0, BYTES("\1\0\0\0\0\0\0\0\3\0\0\2\0??app\0TRUNCATE t"));
    assert_true(d.ok && d.event.kind == EVENT_QUERY);
    expect_text("app", d.event.query.db, d.event.query.db_len);
    expect_text("TRUNCATE t", d.event.query.sql, d.event.query.sql_len);
    done(&d);
    d = decode(EVENT_TYPE_EXECUTE_LOAD_QUERY, 0,
               BYTES("\1\0\0\0\0\0\0\0\3\0\0\0\0"
                     "1234567890123"
                     "app\0LOAD DATA"));
    assert_true(d.ok && d.event.kind == EVENT_QUERY);
    expect_text("LOAD DATA", d.event.query.sql, d.event.query.sql_len);
    done(&d);
    /* status variables longer than the event */
    d = decode(EVENT_TYPE_QUERY, 0,
               BYTES("\1\0\0\0\0\0\0\0\3\0\0\xff\xff"
                     "app\0TRUNCATE t"));
    assert_false(d.ok);
    assert_int_equal(d.err.kind, ERR_RETRY);
    done(&d);
}

static void test_compressed_lies(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        size_t len;
    } cases[] = {
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0", 14},                       /* nothing there */
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x84\xff\xff\xff\xffzz", 21}, /* 4 GiB of two bytes */
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x81\x05notzlib", 23},        /* no zlib */
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x91\x05notzlib", 23},        /* another method */
        {"\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x80\x05notzlib", 23},        /* no length */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d = decode(EVENT_TYPE_QUERY_COMPRESSED, 0, (const uint8_t *)cases[i].body,
                                  cases[i].len);
        assert_false(d.ok);
        assert_int_equal(d.err.kind, ERR_RETRY);
        assert_true(d.scratch.cap < 4096); /* no size was believed */
        done(&d);
    }
}

static void test_table_map_and_rows(void **state)
{
    (void)state;
    struct decoded d = decode(EVENT_TYPE_TABLE_MAP, 0,
                              BYTES("\x12\0\0\0\0\0\1\0\3app\0\5users\0\2\3\x0f\2\x28\0\2\1\1\x80"));
    assert_true(d.ok && d.event.kind == EVENT_TABLE_MAP);
    assert_int_equal(d.event.map.table_id, 0x12);
    expect_text("app", d.event.map.db, d.event.map.db_len);
    expect_text("users", d.event.map.table, d.event.map.table_len);
    assert_int_equal(d.event.map.ncolumns, 2);
    assert_int_equal(d.event.map.meta_len, 2);
    assert_int_equal(d.event.map.optional_len, 3);
    done(&d);

    d = decode(31, 0, BYTES("\x12\0\0\0\0\0\1\0\4\0??\2\3\1rest"));
    assert_true(d.ok && d.event.kind == EVENT_ROWS);
    assert_int_equal(d.event.rows.op, EVENT_UPDATE);
    assert_int_equal(d.event.rows.flags, EVENT_ROWS_STMT_END);
    assert_int_equal(d.event.rows.present[0][0], 3);
    assert_int_equal(d.event.rows.present[1][0], 1);
    expect_text("rest", (const char *)d.event.rows.data, d.event.rows.len);
    done(&d);
    d = decode(30, 0, BYTES("\x12\0\0\0\0\0\1\0\1\0\2\3rest")); /* extra data shorter than its own length */
    assert_false(d.ok);
    done(&d);
    d = decode(23, 0,
               BYTES("\x12\0\0\0\0\0\1\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff")); /* columns without end */
    assert_false(d.ok);
    done(&d);
}

/* As many columns as a table can have, and one more. */
static void test_columns_without_end(void **state)
{
    (void)state;
    static const uint8_t map[] = {0x12, 0, 0, 0, 0, 0, 1, 0, 1, 'd', 0, 1, 't', 0, 252};
    static const uint8_t rows[] = {0x12, 0, 0, 0, 0, 0, 1, 0, 252};
    for (unsigned n = 4095; n <= 4097; n++) {
        struct buf body = BUF_INIT;
        buf_add(&body, map, sizeof(map));
        buf_addc(&body, (char)n);
        buf_addc(&body, (char)(n >> 8));
        memset(buf_room(&body, 8192), ROWS_TINY, n); /* then zeros: no metadata, and NULL bits */
        body.len += 8192;
        struct decoded d = decode(EVENT_TYPE_TABLE_MAP, 0, (const uint8_t *)body.data, body.len);
        assert_int_equal(d.ok, n <= 4096);
        done(&d);
        buf_clear(&body);
        buf_add(&body, rows, sizeof(rows));
        buf_addc(&body, (char)n);
        buf_addc(&body, (char)(n >> 8));
        memset(buf_room(&body, 8192), 0xff, 8192);
        body.len += 8192;
        d = decode(EVENT_TYPE_WRITE_ROWS_V1, 0, (const uint8_t *)body.data, body.len);
        assert_int_equal(d.ok, n <= 4096);
        done(&d);
        buf_done(&body);
    }
}

static void test_types_by_name(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint16_t flags;
        enum err_kind kind; /* ERR_NONE: passed over */
    } cases[] = {
        {EVENT_TYPE_STOP, 0, ERR_NONE},
        {EVENT_TYPE_INTVAR, 0, ERR_NONE},
        {EVENT_TYPE_RAND, 0, ERR_NONE},
        {EVENT_TYPE_USER_VAR, 0, ERR_NONE},
        {EVENT_TYPE_ROWS_QUERY, 0, ERR_NONE},
        {EVENT_TYPE_ANNOTATE_ROWS, 0, ERR_NONE},
        {EVENT_TYPE_CHECKPOINT, 0, ERR_NONE},
        {EVENT_TYPE_GTID_LIST, 0, ERR_NONE},
        {EVENT_TYPE_START_ENCRYPTION, 0, ERR_NONE},
        {EVENT_TYPE_INCIDENT, 0, ERR_HALT},
        {EVENT_TYPE_INCIDENT, EVENT_FLAG_IGNORABLE, ERR_HALT},
        {43, 0, ERR_HALT},
        {200, 0, ERR_HALT},
        {200, EVENT_FLAG_IGNORABLE, ERR_NONE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct decoded d = decode(cases[i].type, cases[i].flags, NULL, 0);
        assert_int_equal(d.err.kind, cases[i].kind);
        assert_int_equal(d.ok, cases[i].kind == ERR_NONE);
        if (cases[i].type == 200 && !d.ok)
            assert_non_null(strstr(d.err.text, "200"));
        done(&d);
    }
}

/* Every event of the real logs, cut at every length. */
static void test_cuts(void **state)
{
    (void)state;
    static const char *const logs[] = {"tests/golden/mariadb-10.11-types",
                                       "tests/golden/mariadb-10.11-groups"};
    struct buf scratch = BUF_INIT;
    for (size_t i = 0; i < 2; i++) {
        struct golden_log log;
        const uint8_t *event;
        size_t len, whole = 0;
        golden_log_open(&log, logs[i]);
        while (golden_log_next(&log, &event, &len)) {
            for (size_t n = 0; n <= len; n += n < 200 || n + 8 > len ? 1 : 7) {
                struct event e;
                struct err err = ERR_INIT;
                uint8_t *copy = mem_alloc(n > 0 ? n : 1);
                memcpy(copy, event, n);
                bool ok = event_decode(copy, n, &scratch, &e, &err);
                assert_true(ok || err.text[0] != '\0');
                if (n < EVENT_HEADER_BYTES)
                    assert_false(ok);
                whole += n == len && ok;
                free(copy);
            }
        }
        assert_true(whole > 20);
        buf_done(&log.bytes);
    }
    buf_done(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_and_gtid),
        cmocka_unit_test(test_rotate_and_heartbeat),
        cmocka_unit_test(test_heartbeat_far_out),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_compressed_lies),
        cmocka_unit_test(test_table_map_and_rows),
        cmocka_unit_test(test_types_by_name),
        cmocka_unit_test(test_columns_without_end),
        cmocka_unit_test(test_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
