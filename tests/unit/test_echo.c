/* Which table is a control table, and what its rows say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/binlog/echo.h"

/* A map of these column types and metadata, taken twice: the second time it is the same. */
static struct tablemap take(const char *types, const char *meta, size_t meta_len)
{
    struct tablemap map = {0};
    struct err err = ERR_INIT;
    bool same;
    struct event_table_map m = {
        .db = "twinlog",
        .table = "marker",
        .db_len = 7,
        .table_len = 6,
        .ncolumns = strlen(types),
        .types = (const uint8_t *)types,
        .meta = (const uint8_t *)meta,
        .meta_len = meta_len,
        .optional = (const uint8_t *)types + strlen(types),
    };
    assert_true(tablemap_take(&map, &m, &same, &err));
    assert_false(same);
    assert_true(tablemap_take(&map, &m, &same, &err));
    assert_true(same);
    return map;
}

static enum echo_table which(const char *db, const char *table)
{
    struct event_table_map m = {.db = db, .table = table, .db_len = strlen(db), .table_len = strlen(table)};
    return echo_table_of("twinlog", &m);
}

static void test_tables(void **state)
{
    (void)state;
    assert_int_equal(which("twinlog", "checkpoint"), ECHO_CHECKPOINT);
    assert_int_equal(which("twinlog", "lane"), ECHO_CHECKPOINT);
    assert_int_equal(which("twinlog", "marker"), ECHO_MARKER);
    assert_int_equal(which("twinlog", "quarantine"), ECHO_OTHER);
    assert_int_equal(which("twinlog", "markers"), ECHO_OTHER);
    assert_int_equal(which("twinlog2", "marker"), ECHO_FOREIGN);
    assert_int_equal(which("twin", "marker"), ECHO_FOREIGN);
}

static void test_shape(void **state)
{
    (void)state;
    static const struct {
        const char *types, *meta;
        size_t meta_len;
        bool good;
    } cases[] = {
        {"\x0f\xfe\x08\xfc", "\x00\x01\xf7\x01\x04", 5, true},
        {"\x0f\xfe\x03\xfc", "\x00\x01\xf7\x01\x04", 5, false}, /* id INT */
        {"\x0f\xfe\x08\xfc", "\x00\x01\xfe\x01\x04", 5, false}, /* side CHAR */
        {"\x0f\xfe", "\x00\x01\xf7\x01", 4, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tablemap map = take(cases[i].types, cases[i].meta, cases[i].meta_len);
        struct err err = ERR_INIT;
        assert_int_equal(echo_check_columns(ECHO_MARKER, &map, &err), cases[i].good);
        assert_int_equal(err.kind, cases[i].good ? ERR_NONE : ERR_HALT);
        tablemap_done(&map);
    }
}

static void test_rows(void **state)
{
    (void)state;
    static const uint8_t all[] = {0x0f}, key_only[] = {0x03}, rest[] = {0x08};
    static const uint8_t insert[] = "\x00\x05\x00users\x02\x2a\0\0\0\0\0\0\0\x01\0\0\0k";
    static const uint8_t update[] =
        "\x00\x05\x00users\x01\x00\x01\0\0\0k"; /* minimal: the key, then what changed */
    static const uint8_t nobody[] = "\x01\x02\x2a\0\0\0\0\0\0\0\x01\0\0\0k";
    struct tablemap map = take("\x0f\xfe\x08\xfc", "\x00\x01\xf7\x01\x04", 5);
    struct arena arena;
    struct echo_row row;
    struct err err = ERR_INIT;
    arena_init(&arena);

    struct event_rows r = {.op = EVENT_INSERT, .ncolumns = 4, .present = {all, all}};
    struct cursor c = cursor_of(insert, sizeof(insert) - 1);
    assert_true(echo_row_next(&c, &r, &map, &row, &arena, &err));
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(row.link_len, 5);
    assert_memory_equal(row.link, "users", 5);
    assert_int_equal(row.side, SIDE_RIGHT);
    assert_int_equal(row.id, 42);

    r = (struct event_rows){.op = EVENT_UPDATE, .ncolumns = 4, .present = {key_only, rest}};
    c = cursor_of(update, sizeof(update) - 1);
    assert_true(echo_row_next(&c, &r, &map, &row, &arena, &err));
    assert_int_equal(cursor_left(&c), 0);
    assert_memory_equal(row.link, "users", 5);
    assert_int_equal(row.side, SIDE_LEFT);
    assert_int_equal(row.id, 0);

    r = (struct event_rows){.op = EVENT_INSERT, .ncolumns = 4, .present = {all, all}};
    c = cursor_of(nobody, sizeof(nobody) - 1);
    assert_false(echo_row_next(&c, &r, &map, &row, &arena, &err));
    for (size_t len = 0; len < sizeof(insert) - 1; len++) {
        uint8_t *cut = mem_alloc(len > 0 ? len : 1);
        memcpy(cut, insert, len);
        c = cursor_of(cut, len);
        assert_false(echo_row_next(&c, &r, &map, &row, &arena, &err));
        free(cut);
    }
    r.ncolumns = 3;
    c = cursor_of(insert, sizeof(insert) - 1);
    assert_false(echo_row_next(&c, &r, &map, &row, &arena, &err));
    tablemap_done(&map);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
