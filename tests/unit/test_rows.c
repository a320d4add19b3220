/*
 * One column a case: type, metadata and bytes as they stand in a row image ->
 * canonical text. What a server really sends is in tests/golden/; here are the
 * types that today's servers no longer make, MySQL's, and what must be refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/binlog/rows.h"

static char *labels[] = {"red", "green", "blue"};

static const struct column as_int = {.name = "c", .kind = COL_INT};
static const struct column as_uint = {.name = "c", .kind = COL_INT, .is_unsigned = true};
static const struct column as_decimal = {.name = "c", .kind = COL_DECIMAL};
static const struct column as_double = {.name = "c", .kind = COL_DOUBLE};
static const struct column as_bit = {.name = "c", .kind = COL_BIT};
static const struct column as_year = {.name = "c", .kind = COL_YEAR};
static const struct column as_date = {.name = "c", .kind = COL_DATE};
static const struct column as_time = {.name = "c", .kind = COL_TIME};
static const struct column as_datetime = {.name = "c", .kind = COL_DATETIME};
static const struct column as_timestamp = {.name = "c", .kind = COL_TIMESTAMP};
static const struct column as_text = {.name = "c", .kind = COL_TEXT, .charset = (char *)"utf8mb4"};
static const struct column as_latin1 = {.name = "c", .kind = COL_TEXT, .charset = (char *)"latin1"};
static const struct column as_utf16 = {.name = "c", .kind = COL_TEXT, .charset = (char *)"utf16"};
static const struct column as_ascii = {.name = "c", .kind = COL_TEXT, .charset = (char *)"ascii"};
static const struct column as_uuid = {.name = "c", .kind = COL_UUID};
static const struct column as_inet4 = {.name = "c", .kind = COL_INET4};
static const struct column as_inet6 = {.name = "c", .kind = COL_INET6};
static const struct column as_vector = {.name = "c", .kind = COL_VECTOR};
static const struct column as_binary = {.name = "c", .kind = COL_BINARY, .fixed_length = true};
static const struct column as_blob = {.name = "c", .kind = COL_BINARY};
static const struct column as_enum = {.name = "c", .kind = COL_ENUM, .labels = labels, .nlabels = 3};
static const struct column as_set = {.name = "c", .kind = COL_SET, .labels = labels, .nlabels = 3};
static const struct column as_json = {.name = "c", .kind = COL_JSON};
static const struct column as_shape = {.name = "c", .kind = COL_GEOMETRY};

struct sample {
    uint8_t type;
    uint16_t meta;
    const struct column *column;
    const char *bytes;
    size_t len;
    const char *text; /* NULL: ERR_HALT */
    size_t text_len;
    enum value_state state;
};
#define VALUE(type, meta, column, bytes, text)                                             \
    {                                                                                      \
        type, meta, &(column), bytes, sizeof(bytes) - 1, text, sizeof(text) - 1, VALUE_SET \
    }
/* Its bytes are no text of its character set. */
#define NO_TEXT(type, meta, column, bytes, text)                                              \
    {                                                                                         \
        type, meta, &(column), bytes, sizeof(bytes) - 1, text, sizeof(text) - 1, VALUE_SEALED \
    }
#define REFUSED(type, meta, column, bytes)                                   \
    {                                                                        \
        type, meta, &(column), bytes, sizeof(bytes) - 1, NULL, 0, VALUE_NULL \
    }

static const struct sample samples[] = {
    VALUE(ROWS_TINY, 0, as_int, "\x80", "-128"),
    VALUE(ROWS_TINY, 0, as_uint, "\x80", "128"),
    VALUE(ROWS_INT24, 0, as_int, "\xff\xff\xff", "-1"),
    VALUE(ROWS_INT24, 0, as_uint, "\xff\xff\xff", "16777215"),
    VALUE(ROWS_LONGLONG, 0, as_int, "\0\0\0\0\0\0\0\x80", "-9223372036854775808"),
    VALUE(ROWS_NEWDECIMAL, 14 << 8 | 4, as_decimal, "\x81\x0d\xfb\x38\xd2\x04\xd2", "1234567890.1234"),
    VALUE(ROWS_NEWDECIMAL, 14 << 8 | 4, as_decimal, "\x7e\xf2\x04\xc7\x2d\xfb\x2d", "-1234567890.1234"),
    VALUE(ROWS_NEWDECIMAL, 3 << 8 | 1, as_decimal, "\x80\x00", "0"),
    REFUSED(ROWS_NEWDECIMAL, 3 << 8 | 1, as_decimal, "\xff\xff"),
    VALUE(ROWS_DOUBLE, 8, as_double, "\0\0\0\0\0\0\0\x80", "0"),
    VALUE(ROWS_BIT, 1 << 8 | 2, as_bit, "\x03\xff", "1023"),
    VALUE(ROWS_YEAR, 0, as_year, "\0", "0000"),
    VALUE(ROWS_YEAR, 0, as_year, "\x7e", "2026"),
    VALUE(ROWS_DATE, 0, as_date, "\x25\xd4\x0f", "2026-01-05"),
    VALUE(ROWS_NEWDATE, 0, as_date, "\0\0\0", "0000-00-00"),
    /* as before MySQL 5.6 and MariaDB 10.1 */
    VALUE(ROWS_TIME, 0, as_time, "\xa7\xf5\x7f", "838:59:59"), /* 8385959 */
    VALUE(ROWS_TIME, 0, as_time, "\xff\xff\xff", "-00:00:01"),
    VALUE(ROWS_DATETIME, 0, as_datetime, "\x38\x1f\x5e\x2c\x6d\x12\x00\x00", "2026-01-05 10:11:12"),
    VALUE(ROWS_DATETIME, 0, as_datetime, "\0\0\0\0\0\0\0\0", "0000-00-00 00:00:00"),
    REFUSED(ROWS_DATETIME, 0, as_datetime, "\xff\xff\xff\xff\xff\xff\xff\xff"),
    VALUE(ROWS_TIMESTAMP, 0, as_timestamp, "\xc0\x8c\x5b\x69", "2026-01-05 10:04:48"),
    VALUE(ROWS_TIMESTAMP, 0, as_timestamp, "\0\0\0\0", "0000-00-00 00:00:00"),
    VALUE(ROWS_TIMESTAMP2, 0, as_timestamp, "\xff\xff\xff\xff", "2106-02-07 06:28:15"), /* MariaDB 11.5 */
    VALUE(ROWS_TIMESTAMP2, 2, as_timestamp, "\0\0\0\1\x0a", "1970-01-01 00:00:01.1"),
    VALUE(ROWS_TIME2, 0, as_time, "\x80\x00\x00", "00:00:00"),
    VALUE(ROWS_TIME2, 1, as_time, "\x7f\xff\xff\xf6", "-00:00:00.1"),
    VALUE(ROWS_TIME2, 6, as_time, "\x7f\xff\xff\xff\xff\xff", "-00:00:00.000001"),
    VALUE(ROWS_DATETIME2, 0, as_datetime, "\x80\0\0\0\0", "0000-00-00 00:00:00"),
    REFUSED(ROWS_DATETIME2, 0, as_datetime, "\0\0\0\0\0"),
    VALUE(ROWS_VARCHAR, 255, as_text, "\3abc", "abc"),
    VALUE(ROWS_VARCHAR, 256, as_text, "\3\0abc", "abc"),
    VALUE(ROWS_VAR_STRING, 20, as_text, "\0", ""),
    VALUE(ROWS_STRING, 1020, as_text, "\2\0xy", "xy"),
    VALUE(ROWS_VARCHAR, 20, as_latin1, "\3a\x80\x81",
          "a\xe2\x82\xac\xc2\x81"), /* the euro, and a hole of Windows-1252 */
    VALUE(ROWS_VARCHAR, 20, as_utf16, "\4\xd8\x34\xdd\x1e", "\xf0\x9d\x84\x9e"),
    NO_TEXT(ROWS_VARCHAR, 20, as_utf16, "\2\xd8\x34", "\xd8\x34"), /* half a pair */
    NO_TEXT(ROWS_VARCHAR, 20, as_utf16, "\3\0ab", "\0ab"),
    NO_TEXT(ROWS_VARCHAR, 20, as_ascii, "\2a\x80", "a\x80"),
    VALUE(ROWS_STRING, 4, as_binary, "\2\1\2", "\1\2\0\0"),
    VALUE(ROWS_BLOB, 2, as_blob, "\2\0\1\0", "\1\0"),
    VALUE(ROWS_ENUM, 1, as_enum, "\2", "green"),
    VALUE(ROWS_ENUM, 1, as_enum, "\0", ""),
    REFUSED(ROWS_ENUM, 1, as_enum, "\4"),
    VALUE(ROWS_SET, 1, as_set, "\5", "blue,red"),
    VALUE(ROWS_SET, 1, as_set, "\0", ""),
    REFUSED(ROWS_SET, 1, as_set, "\x08"),
    VALUE(ROWS_JSON, 4, as_json, "\3\0\0\0\5\1\0", "1"),
    REFUSED(ROWS_JSON, 4, as_json, "\2\0\0\0\x63\1"),
    VALUE(ROWS_VECTOR, 4, as_vector, "\4\0\0\0\0\0\x80\x3f", "\0\0\x80\x3f"),
    VALUE(ROWS_VARCHAR, 4, as_vector, "\4\0\0\x80\x3f", "\0\0\x80\x3f"), /* MariaDB's */
    VALUE(ROWS_STRING, 16, as_uuid, "\x10\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x55\x44\x00\x01",
          "123e4567-e89b-12d3-a456-426655440001"),
    VALUE(ROWS_STRING, 16, as_uuid, "\0", "00000000-0000-0000-0000-000000000000"),
    VALUE(ROWS_STRING, 4, as_inet4, "\3\xc0\0\2", "192.0.2.0"),
    VALUE(ROWS_STRING, 16, as_inet6, "\4\x20\1\x0d\xb8", "2001:db8::"),
    VALUE(ROWS_STRING, 16, as_inet6, "\0", "::"),
    REFUSED(ROWS_STRING, 16, as_inet4, "\0"),
    REFUSED(ROWS_STRING, 4, as_uuid, "\0"),
    REFUSED(ROWS_STRING, 4, as_inet4, "\5\1\2\3\4\5"),
    VALUE(ROWS_GEOMETRY, 4, as_shape, "\2\0\0\0\1\2", "\1\2"),
    VALUE(ROWS_VARCHAR_COMPRESSED, 50, as_text, "\4\0abc", "abc"),
    VALUE(ROWS_VARCHAR_COMPRESSED, 50, as_text, "\0", ""),
    REFUSED(ROWS_VARCHAR_COMPRESSED, 50, as_text, "\5\x8a\xff\xff\x03\x00"),
    REFUSED(ROWS_VARCHAR_COMPRESSED, 50, as_text, "\2\x70\1"),
};

static bool read_one(const struct sample *s, const uint8_t *image, size_t len, struct value *ret,
                     struct arena *arena, struct err *err)
{
    struct charset *charset = NULL;
    struct rows_column type = {s->type, s->meta};
    static const uint8_t all[1] = {0xff};
    if (s->column->kind == COL_TEXT)
        assert_true(charset_new(s->column->charset, &charset, err));
    struct rows_want want = {0, s->column, charset, 0};
    struct cursor c = cursor_of(image, len);
    bool ok = rows_image(&c, &type, 1, all, &want, 1, ret, arena, err);
    if (ok)
        assert_int_equal(cursor_left(&c), 0);
    charset_free(charset);
    return ok;
}

/* The NULL bits, then the value: memory of exactly that size. */
static uint8_t *image_of(const struct sample *s)
{
    uint8_t *image = mem_alloc(1 + s->len);
    image[0] = 0;
    memcpy(image + 1, s->bytes, s->len);
    return image;
}

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct sample *s = &samples[i];
        struct arena arena;
        struct value v;
        struct err err = ERR_INIT;
        arena_init(&arena);
        uint8_t *image = image_of(s);
        bool ok = read_one(s, image, 1 + s->len, &v, &arena, &err);
        if (ok != (s->text != NULL))
            fail_msg("sample %zu, type %u: %s", i, s->type, ok ? "not refused" : err.text);
        if (ok && (v.state != s->state || v.len != s->text_len || memcmp(v.data, s->text, v.len) != 0))
            fail_msg("sample %zu, type %u: \"%.*s\", not \"%s\"", i, s->type, (int)v.len, v.data, s->text);
        if (!ok) {
            assert_int_equal(err.kind, ERR_HALT);
            assert_non_null(strstr(err.text, "column c"));
        }
        free(image);
        arena_done(&arena);
    }
}

/* Each day that four bytes of seconds reach, as the C library has it. */
static void test_every_day(void **state)
{
    (void)state;
    for (uint32_t day = 0; day <= UINT32_MAX / 86400; day++) {
        uint32_t seconds = day * 86400 + (day * 7919 + 1) % (day < UINT32_MAX / 86400 ? 86400 : 23295);
        const char bytes[4] = {(char)(seconds >> 24), (char)(seconds >> 16), (char)(seconds >> 8),
                               (char)seconds};
        const struct sample s = {.type = ROWS_TIMESTAMP2, .column = &as_timestamp, .bytes = bytes, .len = 4};
        struct arena arena;
        struct value v;
        struct err err = ERR_INIT;
        struct tm tm;
        char expected[32];
        time_t t = (time_t)seconds;
        arena_init(&arena);
        uint8_t *image = image_of(&s);
        assert_true(read_one(&s, image, 5, &v, &arena, &err));
        gmtime_r(&t, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%d %H:%M:%S", &tm);
        assert_int_equal(v.len, strlen(expected));
        assert_memory_equal(v.data, expected, v.len);
        free(image);
        arena_done(&arena);
    }
}

/* Three MiB could inflate to more than a server lets a value be: nothing is allocated for such a claim. */
static void test_compressed_claim(void **state)
{
    (void)state;
    enum { BYTES = 3 << 20 };
    static const uint8_t head[] = {0, BYTES & 0xff, BYTES >> 8 & 0xff, BYTES >> 16, 0, 0x84, 0x40, 0, 0, 1};
    const struct sample s = {.type = ROWS_BLOB_COMPRESSED, .meta = 4, .column = &as_blob};
    uint8_t *image = mem_zalloc(1, 5 + BYTES);
    struct arena arena;
    struct value v;
    struct err err = ERR_INIT;
    memcpy(image, head, sizeof(head));
    arena_init(&arena);
    assert_false(read_one(&s, image, 5 + BYTES, &v, &arena, &err));
    assert_int_equal(err.kind, ERR_HALT);
    assert_true(arena.bytes < 65536);
    arena_done(&arena);
    free(image);
}

/* Each sample cut at each length is refused, and nothing behind it is read. */
static void test_cuts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        for (size_t len = 0; len < 1 + samples[i].len; len++) {
            struct arena arena;
            struct value v;
            struct err err = ERR_INIT;
            arena_init(&arena);
            uint8_t *image = image_of(&samples[i]), *cut = mem_alloc(len > 0 ? len : 1);
            memcpy(cut, image, len);
            assert_false(read_one(&samples[i], cut, len, &v, &arena, &err));
            free(cut);
            free(image);
            arena_done(&arena);
        }
    }
}

static void test_null_missing_and_skipped(void **state)
{
    (void)state;
    /* five columns; the image lacks the second; the third is NULL; the fourth is not wanted; the fifth is
     * wanted twice */
    static const struct rows_column types[5] = {
        {ROWS_TINY, 0}, {ROWS_LONG, 0}, {ROWS_TINY, 0}, {ROWS_BLOB, 2}, {ROWS_TINY, 0}};
    static const struct rows_want wants[5] = {{0, &as_int, NULL, 3},
                                              {1, &as_int, NULL, 1},
                                              {2, &as_int, NULL, 0},
                                              {4, &as_int, NULL, 2},
                                              {4, &as_int, NULL, 4}};
    static const uint8_t present[1] = {0x1d}, image[] = {0x02, 7, 3, 0, 'x', 'y', 'z', 9};
    struct value row[5];
    struct arena arena;
    struct err err = ERR_INIT;
    arena_init(&arena);
    struct cursor c = cursor_of(image, sizeof(image));
    assert_true(rows_image(&c, types, 5, present, wants, 5, row, &arena, &err));
    assert_int_equal(cursor_left(&c), 0);
    assert_int_equal(row[0].state, VALUE_NULL);
    assert_int_equal(row[1].state, VALUE_MISSING);
    assert_memory_equal(row[2].data, "9", 1);
    assert_memory_equal(row[3].data, "7", 1);
    assert_memory_equal(row[4].data, "9", 1);
    arena_done(&arena);
}

static struct event_table_map map_of(const char *types, size_t ntypes, const char *meta, size_t meta_len,
                                     const char *optional, size_t optional_len)
{
    return (struct event_table_map){.db = "d",
                                    .table = "t",
                                    .db_len = 1,
                                    .table_len = 1,
                                    .ncolumns = ntypes,
                                    .types = (const uint8_t *)types,
                                    .meta = (const uint8_t *)meta,
                                    .meta_len = meta_len,
                                    .optional = (const uint8_t *)optional,
                                    .optional_len = optional_len};
}

static void test_columns(void **state)
{
    (void)state;
    struct rows_column col[3];
    struct err err = ERR_INIT;
    /* CHAR(255) in utf8mb4: 1020 bytes, so two bits hide in the type; ENUM as STRING; DECIMAL(10,2) */
    struct event_table_map m = map_of("\xfe\xfe\xf6", 3, "\xce\xfc\xf7\x01\x0a\x02", 6, "", 0);
    assert_true(rows_columns(&m, col, &err));
    assert_int_equal(col[0].type, ROWS_STRING);
    assert_int_equal(col[0].meta, 1020);
    assert_int_equal(col[1].type, ROWS_ENUM);
    assert_int_equal(col[1].meta, 1);
    assert_int_equal(col[2].meta, 10 << 8 | 2);

    static const struct {
        const char *types, *meta;
        size_t meta_len;
    } refused[] = {
        {"\x00", "", 0},         /* DECIMAL of old */
        {"\x63", "", 0},         /* no such type */
        {"\x0f", "\x01", 1},     /* metadata cut short */
        {"\x04", "\x08", 1},     /* FLOAT of 8 bytes */
        {"\xf6", "\x63\x02", 2}, /* DECIMAL(99,2) */
        {"\xfc", "\x05", 1},     /* a length of 5 bytes */
        {"\x13", "\x07", 1},     /* TIME(7) */
        {"\x10", "\x00\x09", 2}, /* BIT of 9 bytes */
        {"\xfe", "\xf8\x09", 2}, /* SET of 9 bytes */
        {"\xfe", "\xf1\x09", 2}, /* STRING that is none */
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        m = map_of(refused[i].types, 1, refused[i].meta, refused[i].meta_len, "", 0);
        if (rows_columns(&m, col, &err))
            fail_msg("case %zu is not refused", i);
        assert_int_equal(err.kind, ERR_HALT);
    }
}

static void test_table_check(void **state)
{
    (void)state;
    struct column columns[2] = {{.name = (char *)"id", .kind = COL_INT, .length = 4},
                                {.name = (char *)"name", .kind = COL_TEXT, .length = 40}};
    struct table table = {.db = (char *)"d", .name = (char *)"t", .columns = columns, .ncolumns = 2};
    static const struct {
        const char *types;
        size_t ntypes;
        const char *meta;
        size_t meta_len;
        const char *optional;
        size_t optional_len;
        const char *why; /* NULL: fits */
    } cases[] = {
        {"\x03\x0f", 2, "\xa0\x00", 2, "", 0, NULL},
        {"\x03\xfc", 2, "\x02", 1, "", 0, NULL}, /* TEXT for VARCHAR */
        {"\x03", 1, "", 0, "", 0, NULL},         /* before a column was added behind it */
        {"\x03\x0f\x01", 3, "\xa0\x00", 2, "\1\1\x40\4\14\2id\4name\3new", 17, NULL},
        {"\x03", 1, "", 0, "\1\1\0\4\3\2id", 8, NULL},
        {"\x03", 1, "", 0, "\1\1\0\4\3\2di", 8, "gone or moved: id"},
        {"\x08\x0f", 2, "\xa0\x00", 2, "", 0, "another type: id"}, /* BIGINT now */
        {"\x03\x0c", 2, "", 0, "", 0, "another type: name"},
        {"\x03\x0f", 2, "\xa0\x00", 2, "\1\1\0\4\10\2id\4name", 13, NULL},
        {"\x03\x0f", 2, "\xa0\x00", 2, "\1\1\x80", 3, "another sign: id"},
        {"\x03\x0f", 2, "\xa0\x00", 2, "\4\10\2id\4nick", 10, "gone or moved: name"},
        {"\x03\x0f", 2, "\xa0\x00", 2, "\4\x40\2id", 5, "malformed"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rows_column col[3];
        struct err err = ERR_INIT;
        struct event_table_map m = map_of(cases[i].types, cases[i].ntypes, cases[i].meta, cases[i].meta_len,
                                          cases[i].optional, cases[i].optional_len);
        assert_true(rows_columns(&m, col, &err));
        bool ok = rows_check_table(&m, col, &table, &err);
        if (ok != (cases[i].why == NULL) || (!ok && strstr(err.text, cases[i].why) == NULL))
            fail_msg("case %zu: %s", i, ok ? "fits" : err.text);
    }
    columns[1] = (struct column){.name = (char *)"at", .kind = COL_TIMESTAMP, .precision = 3};
    struct rows_column col[2];
    struct err err = ERR_INIT;
    struct event_table_map m = map_of("\x03\x07", 2, "", 0, "", 0);
    assert_true(rows_columns(&m, col, &err));
    assert_false(rows_check_table(&m, col, &table, &err));
    assert_non_null(strstr(err.text, "old temporal format"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),   cmocka_unit_test(test_compressed_claim),
        cmocka_unit_test(test_cuts),      cmocka_unit_test(test_null_missing_and_skipped),
        cmocka_unit_test(test_columns),   cmocka_unit_test(test_table_check),
        cmocka_unit_test(test_every_day),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
