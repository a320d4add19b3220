/*
 * Statements as text: literals of each kind, what an UPDATE names, and that no
 * value gets out of its quotes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "appliers/sqlgen.h"
#include "cdc/db/dbconn.h"

/* ---- A link: id INT, email (sealed on the left), note, then version and updated_at; synced_at beside. ---- */

static struct column columns[] = {
    {.name = "id", .type_text = "int(11)", .kind = COL_INT, .ordinal = 0},
    {.name = "email", .type_text = "varchar(255)", .kind = COL_TEXT, .ordinal = 1, .nullable = true},
    {.name = "no`te", .type_text = "varchar(9)", .kind = COL_TEXT, .ordinal = 2, .nullable = true},
    {.name = "sync_version", .type_text = "bigint(20)", .kind = COL_INT, .ordinal = 3, .nullable = true},
    {.name = "updated_at", .type_text = "timestamp", .kind = COL_TIMESTAMP, .ordinal = 4, .nullable = true},
    {.name = "last_sync_at", .type_text = "timestamp(3)", .kind = COL_TIMESTAMP, .ordinal = 5, .precision = 3},
    {.name = "size", .type_text = "float", .kind = COL_FLOAT, .ordinal = 6, .nullable = true},
    {.name = "bits", .type_text = "bit(9)", .kind = COL_BIT, .ordinal = 7, .nullable = true},
};
enum { ID, EMAIL, NOTE, VERSION, UPDATED, SYNCED, SIZE, BITS, NFIELDS = 5 };

static struct table table = {.db = "shop", .name = "cus`tomers", .columns = columns, .ncolumns = 8};
static struct table_key primary = {.name = "PRIMARY"};
static struct field fields[NFIELDS];
static size_t key_id[] = {0}, key_both[] = {0, 2};
static struct link link_of_two = {
    .name = "us'ers",
    .table = {&table, &table},
    .fields = fields,
    .nfields = NFIELDS,
    .key = key_id,
    .nkey = 1,
    .index = {&primary, &primary},
    .synced_at = {&columns[SYNCED], &columns[SYNCED]},
};

static int set_up(void **state)
{
    static const unsigned char keys[1][CIPHER_KEY_BYTES] = {{7}};

    (void)state;
    for (size_t i = 0; i < NFIELDS; i++)
        fields[i] = (struct field){.column = {&columns[i], &columns[i]}};
    fields[EMAIL].keys = keyring_new(keys, 1);
    fields[EMAIL].sealed_side = SIDE_LEFT;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    keyring_free(fields[EMAIL].keys);
    return 0;
}

static struct value text_value(const char *text)
{
    return text != NULL ? (struct value){text, (uint32_t)strlen(text), VALUE_SET}
                        : (struct value){NULL, 0, VALUE_NULL};
}

static void set_row(struct value row[NFIELDS], const char *id, const char *email, const char *note,
                    const char *version, const char *updated)
{
    const char *const texts[NFIELDS] = {id, email, note, version, updated};

    for (size_t i = 0; i < NFIELDS; i++)
        row[i] = text_value(texts[i]);
}

static void assert_buf(const struct buf *b, const char *text) { assert_string_equal(b->data, text); }

/* ---- Tests ---- */

static bool is_time(enum column_kind kind)
{
    return kind == COL_TIME || kind == COL_DATETIME || kind == COL_TIMESTAMP;
}

static void test_literals(void **state)
{
    static const struct {
        enum column_kind kind;
        const char *value, *literal; /* NULL: refused */
    } CASES[] = {
        {COL_INT, "0", "0"},
        {COL_INT, "-9223372036854775808", "-9223372036854775808"},
        {COL_INT, "18446744073709551615", "18446744073709551615"},
        {COL_INT, "", NULL},
        {COL_INT, "-", NULL},
        {COL_INT, "1;drop", NULL},
        {COL_INT, "1e5", NULL},
        {COL_INT, "0x10", NULL},
        {COL_INT, " 1", NULL},
        {COL_INT, "1-1", NULL},
        {COL_DECIMAL, "-12.5", "-12.5"},
        {COL_DECIMAL, "12.", NULL},
        {COL_DECIMAL, ".5", NULL},
        {COL_FLOAT, "0.10000000149011612", "0.10000000149011612e0"},
        {COL_DOUBLE, "1.7976931348623157e+308", "1.7976931348623157e+308"},
        {COL_DOUBLE, "5", "5e0"},
        {COL_DOUBLE, "5e", NULL},
        {COL_DOUBLE, "inf", NULL},
        {COL_DOUBLE, "nan", NULL},
        {COL_BIT, "511", "511"},
        {COL_YEAR, "0000", "0000"},
        {COL_DATE, "2026-01-05", "'2026-01-05'"},
        {COL_TIME, "-838:59:59.5", "'-838:59:59.5'"},
        {COL_DATETIME, "2026-01-05 10:11:12.5", "'2026-01-05 10:11:12.5'"},
        {COL_TIMESTAMP, "0000-00-00 00:00:00", "'0000-00-00 00:00:00'"},
        {COL_TEXT, "O'Hara \\ ''", "'O''Hara \\ '''''"},
        {COL_TEXT, "", "''"},
        {COL_ENUM, "it's", "'it''s'"},
        {COL_SET, "a,b", "'a,b'"},
        {COL_JSON, "{}", "'{}'"},
        {COL_BINARY, "\x01'\xff", "x'0127ff'"},
        {COL_BINARY, "", "x''"},
        {COL_GEOMETRY, "A", "x'41'"},
        {COL_VECTOR, "A", "x'41'"},
        {COL_UUID, "123e4567-e89b-12d3-a456-426655440000", "'123e4567-e89b-12d3-a456-426655440000'"},
        {COL_UUID, "123E4567-e89b-12d3-a456-426655440000", NULL},
        {COL_INET6, "::1", "'::1'"},
        {COL_OTHER, "A", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct column c = {
            .name = "c", .type_text = "t", .kind = CASES[i].kind, .precision = is_time(CASES[i].kind) ? 6 : 0};
        struct field f = {.column = {&c, &c}};
        struct value v = text_value(CASES[i].value);
        struct buf out = BUF_INIT;
        struct err err = ERR_INIT;
        bool ok = sqlgen_literal(&f, SIDE_RIGHT, &v, &out, &err);

        assert_int_equal(ok, CASES[i].literal != NULL);
        if (ok)
            assert_buf(&out, CASES[i].literal);
        else
            assert_int_equal(err.kind, CASES[i].kind == COL_OTHER ? ERR_CONFIG : ERR_ROW);
        buf_done(&out);
    }
}

/* What a server would round, cut or take for something else waits with its row, though it can be looked for. */
static void test_what_the_column_cannot_hold(void **state)
{
    struct column c = {.name = "c", .type_text = "varchar(3)", .kind = COL_TEXT, .length = 3};
    struct field f = {.column = {&c, &c}};
    struct value v = text_value("abc ");
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    assert_false(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.code, 1406);
    assert_string_equal(err.text, "column c cannot hold the value: it is longer than the column");

    struct link one = link_of_two;
    struct field only[3] = {f, fields[VERSION], fields[UPDATED]};
    size_t key[] = {0};
    struct value row[3] = {v};
    struct key k;
    struct arena arena;
    one.fields = only;
    one.nfields = 3;
    one.key = key;
    arena_init(&arena);
    assert_true(key_of(&one, row, &arena, &k));
    assert_true(sqlgen_read(&one, SIDE_LEFT, &k, 1, &out, &err));
    assert_non_null(strstr(out.data, "WHERE `c` IN ('abc ')"));
    arena_done(&arena);
    buf_done(&out);
}

/* Text comes and goes in the bytes of the column's own character set. */
static void test_character_sets(void **state)
{
    struct column c = {.name = "c",
                       .type_text = "text",
                       .kind = COL_TEXT,
                       .large_text = true,
                       .length = 4,
                       .charset = (char *)"latin1"};
    struct field f = {.column = {&c, &c}};
    struct buf out = BUF_INIT, many = BUF_INIT;
    struct err err = ERR_INIT;
    struct arena arena;
    struct value v = text_value("\xc3\xa9\xe2\x82\xac'"), back;

    (void)state;
    arena_init(&arena);
    assert_true(charset_new("latin1", &c.convert, &err));
    assert_true(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_buf(&out, "_latin1 x'e98027'");
    sqlgen_value(&f, SIDE_LEFT, "\xe9\x80'", 3, &arena, &back);
    assert_true(value_equal(&v, &back));

    v = text_value("\xe6\xbc\xa2");
    assert_false(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_string_equal(err.text, "character set latin1 of column c lacks a character of the value");
    v = text_value("\xc3\xa9    "); /* five bytes there, and the last ones are spaces */
    assert_false(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(err.code, 1406);

    c.length = 100000;
    buf_clear(&out);
    for (size_t i = 0; i < 5000; i++)
        buf_addc(&many, '\'');
    v = (struct value){many.data, (uint32_t)many.len, VALUE_SET};
    assert_true(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(out.len, strlen("_latin1''") + 10000);
    assert_memory_equal(out.data, "_latin1'''", 10);

    charset_free(c.convert);
    assert_true(charset_new("cp1251", &c.convert, &err));
    c.charset = (char *)"cp1251";
    sqlgen_value(&f, SIDE_LEFT, "a\x98", 2, &arena, &back); /* no character */
    assert_int_equal(back.state, VALUE_SEALED);
    buf_clear(&out);
    assert_false(sqlgen_literal(&f, SIDE_RIGHT, &back, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_string_equal(
        err.text, "the value for column c is no text of the character set that it has on the other side");
    charset_free(c.convert);
    arena_done(&arena);
    buf_done(&many);
    buf_done(&out);
}

/* Few bytes in hex, many as they are. */
static void test_bytes(void **state)
{
    struct column c = {.name = "c", .type_text = "blob", .kind = COL_BINARY};
    struct field f = {.column = {&c, &c}};
    struct buf out = BUF_INIT, many = BUF_INIT;
    struct err err = ERR_INIT;

    (void)state;
    for (size_t i = 0; i < 5000; i++)
        buf_addc(&many, (char)(i % 2 == 0 ? '\'' : '\0'));
    struct value v = {many.data, 4096, VALUE_SET};
    assert_true(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(out.len, 3 + 2 * 4096);
    assert_memory_equal(out.data, "x'2700", 6);
    buf_clear(&out);
    v.len = 5000;
    assert_true(sqlgen_literal(&f, SIDE_LEFT, &v, &out, &err));
    assert_int_equal(out.len, strlen("_binary''") + 7500);
    assert_memory_equal(out.data, "_binary'''\0''\0", 14);
    buf_done(&many);
    buf_done(&out);
}

/* MySQL's document and MariaDB's text of it; and what another program has sealed. */
static void test_fields_are_compared_in_one_form(void **state)
{
    static const unsigned char keys[1][CIPHER_KEY_BYTES] = {{7}};
    struct column
        text = {.name = "c", .type_text = "longtext", .kind = COL_TEXT, .large_text = true, .nullable = true},
        json = {.name = "c", .type_text = "json", .kind = COL_JSON, .nullable = true},
        decimal = {.name = "c", .type_text = "decimal(9,2)", .kind = COL_DECIMAL, .precision = 9, .scale = 2};
    struct field f = {.column = {&text, &json}, .json = true};
    struct arena arena;
    struct value left, right;
    struct buf sealed = BUF_INIT;
    struct err err = ERR_INIT;
    static const char written[] = "{\"bb\":1.50 ,\"a\":\"\\u00e9\"}",
                      kept[] = "{\"a\": \"\xc3\xa9\", \"bb\": 1.5}", broken[] = "{a";

    (void)state;
    arena_init(&arena);
    sqlgen_value(&f, SIDE_LEFT, written, sizeof written - 1, &arena, &left);
    sqlgen_value(&f, SIDE_RIGHT, kept, sizeof kept - 1, &arena, &right);
    assert_true(value_equal(&left, &right));
    sqlgen_value(&f, SIDE_LEFT, broken, sizeof broken - 1, &arena, &left);
    assert_int_equal(left.len, 2);
    sqlgen_value(&f, SIDE_LEFT, NULL, 0, &arena, &left);
    assert_int_equal(left.state, VALUE_NULL);

    f = (struct field){.column = {&text, &decimal}, .keys = keyring_new(keys, 1), .sealed_side = SIDE_LEFT};
    assert_true(cipher_seal(f.keys, f.encoding, "12.50", 5, &sealed, &err));
    sqlgen_value(&f, SIDE_LEFT, sealed.data, sealed.len, &arena, &left);
    sqlgen_value(&f, SIDE_RIGHT, "12.50", 5, &arena, &right);
    assert_true(value_equal(&left, &right));
    keyring_free(f.keys);
    buf_done(&sealed);
    arena_done(&arena);
}

static void test_what_is_no_value(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value missing = {NULL, 0, VALUE_MISSING}, sealed = {"s3cret", 6, VALUE_SEALED},
                 null = text_value(NULL);

    (void)state;
    assert_true(sqlgen_literal(&fields[NOTE], SIDE_LEFT, &null, &out, &err));
    assert_buf(&out, "NULL");
    assert_true(sqlgen_literal(&fields[EMAIL], SIDE_LEFT, &null, &out, &err));
    assert_buf(&out, "NULLNULL");
    assert_false(sqlgen_literal(&fields[ID], SIDE_LEFT, &null, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.code, 1048);
    assert_false(sqlgen_literal(&fields[NOTE], SIDE_LEFT, &missing, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.code, 0);
    assert_non_null(strstr(err.text, "no`te"));
    assert_false(sqlgen_literal(&fields[EMAIL], SIDE_RIGHT, &sealed, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.code, 0);
    assert_non_null(strstr(err.text, "email"));
    assert_null(strstr(err.text, "s3cret"));
    buf_done(&out);
}

static void test_sealed_side(void **state)
{
    struct buf one = BUF_INIT, two = BUF_INIT, right = BUF_INIT;
    struct err err = ERR_INIT;
    struct arena arena;
    struct value v = text_value("bob@example.com"), back;

    (void)state;
    arena_init(&arena);
    assert_true(sqlgen_literal(&fields[EMAIL], SIDE_RIGHT, &v, &right, &err));
    assert_buf(&right, "'bob@example.com'");
    assert_true(sqlgen_literal(&fields[EMAIL], SIDE_LEFT, &v, &one, &err));
    assert_true(sqlgen_literal(&fields[EMAIL], SIDE_LEFT, &v, &two, &err));
    assert_string_not_equal(one.data, two.data); /* a fresh nonce */
    assert_null(strstr(one.data, "bob"));
    assert_int_equal(one.len, 2 + 60); /* base64 of 12 + 15 + 16 bytes */

    sqlgen_value(&fields[EMAIL], SIDE_LEFT, one.data + 1, one.len - 2, &arena, &back);
    assert_true(value_equal(&back, &v));
    sqlgen_value(&fields[EMAIL], SIDE_RIGHT, one.data + 1, one.len - 2, &arena, &back);
    assert_int_equal(back.len, 60); /* plain text on that side */
    one.data[20] = one.data[20] == 'A' ? 'B' : 'A';
    sqlgen_value(&fields[EMAIL], SIDE_LEFT, one.data + 1, one.len - 2, &arena, &back);
    assert_int_equal(back.state, VALUE_SEALED);
    assert_memory_equal(back.data, one.data + 1, 60);
    sqlgen_value(&fields[EMAIL], SIDE_LEFT, NULL, 0, &arena, &back);
    assert_int_equal(back.state, VALUE_NULL);
    arena_done(&arena);
    buf_done(&one);
    buf_done(&two);
    buf_done(&right);
}

static void test_lock(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct arena arena;
    struct key keys[2], broken = {"\xff\xff\xff\xff", 4};
    struct value row[NFIELDS];
    struct link both = link_of_two;

    (void)state;
    both.key = key_both;
    both.nkey = 2;
    arena_init(&arena);
    set_row(row, "1", NULL, "a'b", NULL, NULL);
    assert_true(key_of(&link_of_two, row, &arena, &keys[0]));
    set_row(row, "-2", NULL, "\\", NULL, NULL);
    assert_true(key_of(&link_of_two, row, &arena, &keys[1]));
    assert_true(sqlgen_lock(&link_of_two, SIDE_RIGHT, keys, 2, &out, &err));
    assert_buf(
        &out,
        "SELECT `id`,`email`,`no``te`,`sync_version`,`updated_at` FROM `shop`.`cus``tomers` FORCE INDEX "
        "(`PRIMARY`) WHERE `id` IN (1,-2) FOR UPDATE");

    buf_clear(&out);
    set_row(row, "1", NULL, "a'b", NULL, NULL);
    assert_true(key_of(&both, row, &arena, &keys[0]));
    set_row(row, "-2", NULL, "\\", NULL, NULL);
    assert_true(key_of(&both, row, &arena, &keys[1]));
    assert_true(sqlgen_lock(&both, SIDE_RIGHT, keys, 2, &out, &err));
    assert_buf(
        &out,
        "SELECT `id`,`email`,`no``te`,`sync_version`,`updated_at` FROM `shop`.`cus``tomers` FORCE INDEX "
        "(`PRIMARY`) WHERE (`id`,`no``te`) IN ((1,'a''b'),(-2,'\\')) FOR UPDATE");

    keys[1] = broken;
    assert_false(sqlgen_lock(&both, SIDE_RIGHT, keys, 2, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 1);
    arena_done(&arena);
    buf_done(&out);
}

static void test_select_expressions(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct arena arena;
    struct key k;
    struct value row[NFIELDS];

    (void)state;
    arena_init(&arena);
    fields[EMAIL].column[SIDE_RIGHT] = &columns[SIZE];
    fields[NOTE].column[SIDE_RIGHT] = &columns[BITS];
    set_row(row, "1", NULL, NULL, NULL, NULL);
    assert_true(key_of(&link_of_two, row, &arena, &k));
    assert_true(sqlgen_lock(&link_of_two, SIDE_RIGHT, &k, 1, &out, &err));
    fields[EMAIL].column[SIDE_RIGHT] = &columns[EMAIL];
    fields[NOTE].column[SIDE_RIGHT] = &columns[NOTE];
    assert_non_null(strstr(out.data, "SELECT `id`,`size`+0e0,`bits`+0,`sync_version`,`updated_at` FROM"));
    arena_done(&arena);
    buf_done(&out);
}

static void test_insert(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value a[NFIELDS], b[NFIELDS];
    struct row_write rows[2] = {{.after = a}, {.after = b}};

    (void)state;
    set_row(a, "1", "x@y", NULL, "5", "2026-01-05 10:11:12");
    set_row(b, "2", NULL, "n", "6", NULL);
    assert_true(sqlgen_insert(&link_of_two, SIDE_RIGHT, rows, 2, &out, &err));
    assert_buf(
        &out,
        "INSERT INTO `shop`.`cus``tomers` (`id`,`email`,`no``te`,`sync_version`,`updated_at`,`last_sync_at`)"
        " VALUES (1,'x@y',NULL,5,'2026-01-05 10:11:12',UTC_TIMESTAMP(3)),(2,NULL,'n',6,NULL,"
        "UTC_TIMESTAMP(3))");
    b[NOTE].state = VALUE_MISSING;
    assert_false(sqlgen_insert(&link_of_two, SIDE_RIGHT, rows, 2, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 1);
    buf_done(&out);
}

static void assert_param(const struct db_param *p, const char *text)
{
    if (text == NULL) {
        assert_null(p->data);
        return;
    }
    assert_int_equal(p->len, strlen(text));
    assert_memory_equal(p->data, text, p->len);
}

static void test_insert_with_values_beside_it(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value a[NFIELDS], b[NFIELDS];
    struct row_write rows[2] = {{.after = a}, {.after = b}};
    struct db_param params[2 * NFIELDS];
    struct arena arena;

    (void)state;
    arena_init(&arena);
    assert_true(sqlgen_can_bind(&link_of_two, SIDE_RIGHT));
    sqlgen_insert_bound(&link_of_two, SIDE_RIGHT, &out);
    assert_buf(
        &out,
        "INSERT INTO `shop`.`cus``tomers` (`id`,`email`,`no``te`,`sync_version`,`updated_at`,`last_sync_at`)"
        " VALUES (?,?,?,?,?,UTC_TIMESTAMP(3))");
    set_row(a, "1", "x'@y", NULL, "5", "2026-01-05 10:11:12");
    set_row(b, "2", NULL, "", "6", NULL);
    assert_true(sqlgen_bind(&link_of_two, SIDE_RIGHT, rows, 2, params, &arena, &err));
    for (size_t i = 0; i < NFIELDS; i++) {
        assert_param(&params[i], (const char *[]){"1", "x'@y", NULL, "5", "2026-01-05 10:11:12"}[i]);
        assert_param(&params[NFIELDS + i], (const char *[]){"2", NULL, "", "6", NULL}[i]);
    }

    /* On the left it is sealed, each time another way. */
    assert_true(sqlgen_bind(&link_of_two, SIDE_LEFT, rows, 1, params, &arena, &err));
    struct buf plain = BUF_INIT;

    assert_true(cipher_open(fields[EMAIL].keys, fields[EMAIL].encoding, params[EMAIL].data, params[EMAIL].len,
                            &plain));
    assert_int_equal(plain.len, 4);
    assert_memory_equal(plain.data, "x'@y", 4);
    buf_done(&plain);

    b[VERSION] = text_value("6 or so");
    assert_false(sqlgen_bind(&link_of_two, SIDE_RIGHT, rows, 2, params, &arena, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 1);
    b[VERSION] = text_value("6");
    a[NOTE].state = VALUE_MISSING;
    assert_false(sqlgen_bind(&link_of_two, SIDE_RIGHT, rows, 2, params, &arena, &err));
    assert_int_equal(err.index, 0);
    a[NOTE] = text_value(NULL);
    a[ID] = text_value(NULL);
    assert_false(sqlgen_bind(&link_of_two, SIDE_RIGHT, rows, 2, params, &arena, &err));
    assert_int_equal(err.code, 1048);
    arena_done(&arena);
    buf_done(&out);
}

/* Their bytes would mean another value, or say too little. */
static void test_kinds_whose_values_stay_in_the_text(void **state)
{
    struct column other = {.name = "x", .nullable = true};
    static const enum column_kind STAYS[] = {COL_BIT, COL_YEAR, COL_VECTOR, COL_GEOMETRY, COL_OTHER};
    struct err err = ERR_INIT;

    (void)state;
    fields[EMAIL].column[SIDE_RIGHT] = &other;
    for (size_t i = 0; i < sizeof STAYS / sizeof *STAYS; i++) {
        other.kind = STAYS[i];
        assert_false(sqlgen_can_bind(&link_of_two, SIDE_RIGHT));
        assert_true(sqlgen_can_bind(&link_of_two, SIDE_LEFT));
    }
    other.kind = COL_BINARY;
    assert_true(sqlgen_can_bind(&link_of_two, SIDE_RIGHT));
    assert_true(sqlgen_is_bytes(&fields[EMAIL], SIDE_RIGHT));
    assert_false(sqlgen_is_bytes(&fields[EMAIL], SIDE_LEFT));
    other.kind = COL_TEXT;
    assert_true(charset_new("latin1", &other.convert, &err));
    assert_false(sqlgen_can_bind(&link_of_two, SIDE_RIGHT));
    charset_free(other.convert);
    fields[EMAIL].column[SIDE_RIGHT] = &columns[EMAIL];
}

static void test_update_and_delete(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value before[NFIELDS], after[NFIELDS];
    struct row_write row = {.before = before, .after = after};

    (void)state;
    set_row(before, "1", "x@y", "n", "5", "2026-01-05 10:11:12");
    set_row(after, "1", "x@y", NULL, "5", "2026-01-05 10:11:12");
    assert_true(sqlgen_update(&link_of_two, SIDE_RIGHT, &row, &out, &err));
    assert_buf(&out, "UPDATE `shop`.`cus``tomers` FORCE INDEX (`PRIMARY`) SET `no``te`=NULL,`sync_version`=5,"
                     "`updated_at`='2026-01-05 10:11:12',`last_sync_at`=UTC_TIMESTAMP(3) WHERE `id`=1");

    /* What stands sealed by another key is left alone: nothing of it is known, so it always differs. */
    before[EMAIL].state = VALUE_SEALED;
    assert_false(sqlgen_update(&link_of_two, SIDE_LEFT, &row, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 0);

    buf_clear(&out);
    row.after = NULL;
    struct link both = link_of_two;

    both.key = key_both;
    both.nkey = 2;
    assert_true(sqlgen_delete(&both, SIDE_RIGHT, &row, &out, &err));
    assert_buf(&out, "DELETE FROM `shop`.`cus``tomers` WHERE `id`=1 AND `no``te`='n'");

    /* A sealed column finds nothing. */
    static size_t key_email[] = {EMAIL};

    both.key = key_email;
    both.nkey = 1;
    assert_false(sqlgen_delete(&both, SIDE_LEFT, &row, &out, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    buf_done(&out);
}

static void test_many_rows_in_one_update(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value before[3][NFIELDS], after[3][NFIELDS];
    struct row_write rows[3];
    struct link other = link_of_two;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        set_row(before[i], i == 0 ? "1" : i == 1 ? "-2" : "3", "x@y", "n", "5", NULL);
        set_row(after[i], i == 0 ? "1" : i == 1 ? "-2" : "3", "x@y", i == 1 ? NULL : "it's", "6", NULL);
        rows[i] = (struct row_write){.before = before[i], .after = after[i]};
    }
    uint64_t shape = sqlgen_update_shape(&link_of_two, SIDE_RIGHT, rows);

    /* Those that change the same columns, and these alone. */
    assert_int_equal(shape, 1 << NOTE | 1 << VERSION | 1 << UPDATED);
    assert_int_equal(sqlgen_update_shape(&link_of_two, SIDE_RIGHT, &rows[1]), shape);
    after[2][EMAIL] = text_value("z@y");
    assert_int_not_equal(sqlgen_update_shape(&link_of_two, SIDE_RIGHT, &rows[2]), shape);

    assert_true(sqlgen_updates(&link_of_two, SIDE_RIGHT, rows, 2, shape, &out, &err));
    assert_buf(&out, "UPDATE `shop`.`cus``tomers` FORCE INDEX (`PRIMARY`) SET"
                     " `no``te`=ELT(FIELD(`id`,1,-2),'it''s',NULL),"
                     "`sync_version`=ELT(FIELD(`id`,1,-2),'6','6'),"
                     "`updated_at`=ELT(FIELD(`id`,1,-2),NULL,NULL),"
                     "`last_sync_at`=UTC_TIMESTAMP(3) WHERE `id` IN (1,-2)");

    /* A key of text is told apart by its bytes, and a row under other bytes is missed. */
    static size_t key_note[] = {NOTE};

    buf_clear(&out);
    other.key = key_note;
    columns[NOTE].collation = "utf8mb4_bin";
    before[1][NOTE] = after[1][NOTE] = text_value("m'");
    after[0][NOTE] = text_value("n");
    after[0][EMAIL] = after[1][EMAIL] = text_value("z@y");
    shape = sqlgen_update_shape(&other, SIDE_RIGHT, rows);
    assert_int_equal(shape, 1 << EMAIL | 1 << VERSION | 1 << UPDATED);
    assert_true(sqlgen_updates(&other, SIDE_RIGHT, rows, 2, shape, &out, &err));
    assert_non_null(
        strstr(out.data, " SET `email`=ELT(FIELD(CAST(`no``te` AS BINARY),x'6e',x'6d27'),'z@y','z@y'),"));
    assert_non_null(strstr(
        out.data, " WHERE `no``te` IN ('n','m''') AND FIELD(CAST(`no``te` AS BINARY),x'6e',x'6d27')>0"));

    /* The one that cannot be written is named. */
    buf_clear(&out);
    before[1][EMAIL].state = VALUE_SEALED;
    assert_false(sqlgen_updates(&other, SIDE_RIGHT, rows, 2, shape, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 1);

    /* Alone: a key that changes, and a key of several columns. */
    after[0][NOTE] = text_value("N");
    assert_int_equal(sqlgen_update_shape(&other, SIDE_RIGHT, rows), 0);
    other.key = key_both;
    other.nkey = 2;
    assert_int_equal(sqlgen_update_shape(&other, SIDE_RIGHT, rows), 0);
    columns[NOTE].collation = NULL;
    buf_done(&out);
}

/* ELT() returns text, which BIT and YEAR would take for something else, and it prints numbers as it likes. */
static void test_numbers_in_a_choice(void **state)
{
    static const struct {
        size_t column;
        const char *text;
    } CASES[] = {
        {SIZE, "=ELT(FIELD(`id`,1,2),'12e0',NULL),"},
        {BITS, "=CAST(ELT(FIELD(`id`,1,2),'12',NULL) AS UNSIGNED),"},
    };
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value before[2][NFIELDS], after[2][NFIELDS];
    struct row_write rows[2];

    (void)state;
    for (size_t n = 0; n < sizeof CASES / sizeof *CASES; n++) {
        const struct column *kept = fields[NOTE].column[SIDE_RIGHT];

        fields[NOTE].column[SIDE_RIGHT] = &columns[CASES[n].column];
        for (size_t i = 0; i < 2; i++) {
            set_row(before[i], i == 0 ? "1" : "2", "x@y", "5", "5", NULL);
            set_row(after[i], i == 0 ? "1" : "2", "x@y", i == 0 ? "12" : NULL, "6", NULL);
            rows[i] = (struct row_write){.before = before[i], .after = after[i]};
        }
        buf_clear(&out);
        assert_true(sqlgen_updates(&link_of_two, SIDE_RIGHT, rows, 2,
                                   sqlgen_update_shape(&link_of_two, SIDE_RIGHT, rows), &out, &err));
        assert_non_null(strstr(out.data, CASES[n].text));
        fields[NOTE].column[SIDE_RIGHT] = kept;
    }
    buf_done(&out);
}

static void test_many_rows_in_one_delete(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct value before[2][NFIELDS];
    struct row_write rows[2];
    struct link both = link_of_two;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        set_row(before[i], i == 0 ? "1" : "2", "x@y", i == 0 ? "a" : "b'", "5", NULL);
        rows[i] = (struct row_write){.before = before[i]};
    }
    assert_true(sqlgen_may_join(&link_of_two, SIDE_RIGHT, DB_MARIADB, rows));
    assert_true(sqlgen_deletes(&link_of_two, SIDE_RIGHT, DB_MARIADB, rows, 2, &out, &err));
    assert_buf(&out, "DELETE `shop`.`cus``tomers` FROM (SELECT 1 AS k0 UNION ALL SELECT 2) AS v STRAIGHT_JOIN"
                     " `shop`.`cus``tomers` FORCE INDEX (`PRIMARY`) ON `shop`.`cus``tomers`.`id`=v.k0");

    both.key = key_both;
    both.nkey = 2;
    assert_false(sqlgen_may_join(&both, SIDE_RIGHT, DB_MARIADB, rows)); /* of what collation? */
    columns[NOTE].collation = "utf8mb4_bin";
    columns[NOTE].charset = "utf8mb4";
    assert_true(sqlgen_may_join(&both, SIDE_RIGHT, DB_MARIADB, rows));
    buf_clear(&out);
    assert_true(sqlgen_deletes(&both, SIDE_RIGHT, DB_MARIADB, rows, 2, &out, &err));
    assert_non_null(
        strstr(out.data, "(SELECT 1 AS k0,'a' COLLATE utf8mb4_bin AS k1 UNION ALL SELECT 2,'b''') AS v"));
    columns[NOTE].charset = "utf8mb3"; /* which a literal of ours cannot have */
    assert_false(sqlgen_may_join(&both, SIDE_RIGHT, DB_MARIADB, rows));
    columns[NOTE].collation = columns[NOTE].charset = NULL;

    buf_clear(&out);
    assert_true(sqlgen_may_join(&both, SIDE_RIGHT, DB_MYSQL, rows));
    assert_true(sqlgen_deletes(&both, SIDE_RIGHT, DB_MYSQL, rows, 2, &out, &err));
    assert_buf(&out, "DELETE /*+ INDEX(`cus``tomers` `PRIMARY`) */ FROM `shop`.`cus``tomers`"
                     " WHERE (`id`,`no``te`) IN ((1,'a'),(2,'b'''))");

    /* A number that is no signed BIGINT would make another type of the list. */
    before[1][ID] = text_value("18446744073709551615");
    assert_false(sqlgen_may_join(&link_of_two, SIDE_RIGHT, DB_MARIADB, &rows[1]));
    buf_done(&out);
}

static void test_control_tables(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct checkpoint c = {POS_INIT, 3, 9, 4};
    struct marker markers[2] = {{7, {"a", 1}, {"a", 1}}, {8, {"b", 1}, {"c'", 2}}};
    uint64_t ids[] = {7, 8};
    struct quarantine_entry e = {.key = {"a", 1}, .source = SIDE_LEFT, .code = 1406, .why = "it's \xc3"};

    (void)state;
    assert_true(pos_parse_gtids(&c.pos, "0-1-155,2-3-4", &err));
    pos_set_file(&c.pos, "bin.000042", 10, 19733);
    pos_set_server(&c.pos, "7");
    sqlgen_checkpoint("twin", &link_of_two, SIDE_RIGHT, &c, &out);
    assert_buf(&out, "INSERT INTO `twin`.`checkpoint` SET "
                     "link='us''ers',source_side='left',changed=1,marker=9,gtid='0-1-155,2-3-4',"
                     "binlog_file='bin.000042',binlog_offset=19733,binlog_server='7',rows_done=3,batch=4 ON "
                     "DUPLICATE KEY UPDATE "
                     "changed=changed+1,marker=9,gtid='0-1-155,2-3-4',binlog_file='bin.000042',"
                     "binlog_offset=19733,binlog_server='7',rows_done=3,batch=4");
    buf_clear(&out);
    sqlgen_lane("twin", &link_of_two, SIDE_RIGHT, 2, 3, &c, &out);
    assert_buf(&out, "INSERT INTO `twin`.`lane` SET link='us''ers',source_side='left',lane=2,lanes=3,"
                     "gtid='0-1-155,2-3-4',binlog_file='bin.000042',binlog_offset=19733,binlog_server='7',"
                     "rows_done=3,batch=4 ON DUPLICATE KEY UPDATE lanes=3,gtid='0-1-155,2-3-4',"
                     "binlog_file='bin.000042',binlog_offset=19733,binlog_server='7',rows_done=3,batch=4");
    buf_clear(&out);
    sqlgen_init_lane("twin", &link_of_two, SIDE_RIGHT, 2, &out);
    assert_buf(&out, "INSERT INTO `twin`.`lane` SET link='us''ers',source_side='left',lane=2,lanes=0,gtid='',"
                     "binlog_file='',binlog_offset=0,binlog_server='',rows_done=0,batch=0 "
                     "ON DUPLICATE KEY UPDATE lanes=lanes");
    buf_clear(&out);
    sqlgen_lock_checkpoint("twin", &link_of_two, SIDE_RIGHT, 2, &out);
    assert_buf(&out, "SELECT 1 FROM `twin`.`lane` WHERE link='us''ers' AND source_side='left' AND lane=2 "
                     "FOR UPDATE");
    pos_done(&c.pos);
    buf_clear(&out);
    sqlgen_checkpoint("twin", &link_of_two, SIDE_LEFT, &c, &out);
    assert_non_null(
        strstr(out.data, "source_side='right',changed=1,marker=9,gtid='',binlog_file='',binlog_offset=0,"));

    buf_clear(&out);
    sqlgen_markers("twin", &link_of_two, SIDE_RIGHT, markers, 2, &out);
    assert_buf(&out, "INSERT INTO `twin`.`marker` (link,side,id,key_from,key_to) VALUES "
                     "('us''ers','right',7,x'61',x'61'),('us''ers','right',8,x'62',x'6327')");
    buf_clear(&out);
    sqlgen_drop_markers("twin", &link_of_two, SIDE_RIGHT, ids, 2, &out);
    assert_buf(&out, "DELETE FROM `twin`.`marker` WHERE link='us''ers' AND side='right' AND id IN (7,8)");
    buf_clear(&out);
    sqlgen_purge_markers("twin", &link_of_two, SIDE_LEFT, 8, &out);
    assert_buf(&out, "DELETE FROM `twin`.`marker` WHERE link='us''ers' AND side='left' AND id<=8");

    buf_clear(&out);
    sqlgen_quarantine("twin", &link_of_two, SIDE_RIGHT, &e, &out);
    assert_buf(
        &out,
        "INSERT INTO `twin`.`quarantine` SET link='us''ers',side='right',key_hash="
        "x'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb',row_key=x'61',"
        "tries=1,source_side='left',error_code=1406,error='it''s ?' ON DUPLICATE KEY UPDATE tries=tries+1,"
        "source_side='left',error_code=1406,error='it''s ?'");
    buf_clear(&out);
    sqlgen_release("twin", &link_of_two, SIDE_LEFT, &e.key, 1, &out);
    assert_buf(&out, "DELETE FROM `twin`.`quarantine` WHERE link='us''ers' AND side='left' AND key_hash IN "
                     "(x'ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb')");
    buf_done(&out);
}

/* ---- Ranges: a link with keys of up to three columns ---- */

static char *moods[] = {"new", "old", "it's", "a,b"}, *colours[] = {"red", "green", "blue"};
static struct column range_columns[] = {
    {.name = "mood", .type_text = "enum(...)", .kind = COL_ENUM, .labels = moods, .nlabels = 4},
    {.name = "name", .type_text = "varchar(9)", .kind = COL_TEXT},
    {.name = "id", .type_text = "int(11)", .kind = COL_INT},
    {.name = "colours", .type_text = "set(...)", .kind = COL_SET, .labels = colours, .nlabels = 3},
    {.name = "ver", .type_text = "bigint(20)", .kind = COL_INT},
    {.name = "upd", .type_text = "datetime", .kind = COL_DATETIME},
};
enum { R_MOOD, R_NAME, R_ID, R_COLOURS, R_FIELDS = 6 };
static struct field range_fields[R_FIELDS];

#define RANGE_SELECT \
    "SELECT `mood`,`name`,`id`,`colours`,`ver`,`upd` FROM `shop`.`cus``tomers` FORCE INDEX (`PRIMARY`)"

static bool range_text(const size_t *key, size_t nkey, const char *const after[3], const char *const up_to[3],
                       struct buf *out, struct err *err)
{
    struct link link = link_of_two;
    struct key keys[2];
    struct arena arena;

    for (size_t i = 0; i < R_FIELDS; i++)
        range_fields[i] = (struct field){.column = {&range_columns[i], &range_columns[i]}};
    link.fields = range_fields;
    link.nfields = R_FIELDS;
    link.key = (size_t *)key;
    link.nkey = nkey;
    arena_init(&arena);
    for (size_t bound = 0; bound < 2; bound++) {
        const char *const *values = bound == 0 ? after : up_to;
        struct value row[R_FIELDS] = {0};

        for (size_t i = 0; values != NULL && i < nkey; i++)
            row[key[i]] = text_value(values[i]);
        if (values != NULL)
            assert_true(key_of(&link, row, &arena, &keys[bound]));
    }
    const struct key_range range = {after != NULL ? &keys[0] : NULL, up_to != NULL ? &keys[1] : NULL, false};
    bool ok = sqlgen_range(&link, SIDE_RIGHT, &range, 100, out, err);

    arena_done(&arena);
    return ok;
}

static void test_range(void **state)
{
    static const struct {
        size_t key[3], nkey;
        const char *after[3], *up_to[3]; /* NULL: no such bound */
        const char *text;
    } cases[] = {
        {{R_ID}, 1, {0}, {0}, " ORDER BY `id` LIMIT 100"},
        {{R_ID}, 1, {"5"}, {0}, " WHERE ((`id`>5)) ORDER BY `id` LIMIT 100"},
        {{R_ID}, 1, {0}, {"-9"}, " WHERE ((`id`<=-9)) ORDER BY `id` LIMIT 100"},
        {{R_ID}, 1, {"5"}, {"9"}, " WHERE ((`id`>5)) AND ((`id`<=9)) ORDER BY `id` LIMIT 100"},
        {{R_NAME, R_ID},
         2,
         {"O'H", "5"},
         {0},
         " WHERE ((`name`>'O''H') OR (`name`='O''H' AND `id`>5)) ORDER BY `name`,`id` LIMIT 100"},
        {{R_NAME, R_ID},
         2,
         {"a", "1"},
         {"b\\", "2"},
         " WHERE ((`name`>'a') OR (`name`='a' AND `id`>1)) AND ((`name`<'b\\') OR (`name`='b\\' AND `id`<=2))"
         " ORDER BY `name`,`id` LIMIT 100"},
        {{R_ID, R_NAME, R_MOOD},
         3,
         {0},
         {"1", "x", "old"},
         " WHERE ((`id`<1) OR (`id`=1 AND `name`<'x') OR (`id`=1 AND `name`='x' AND `mood`<=2))"
         " ORDER BY `id`,`name`,`mood` LIMIT 100"},
        {{R_ID, R_NAME, R_MOOD},
         3,
         {"1", "", ""},
         {"2", "y", "new"},
         " WHERE ((`id`>1) OR (`id`=1 AND `name`>'') OR (`id`=1 AND `name`='' AND `mood`>0)) AND"
         " ((`id`<2) OR (`id`=2 AND `name`<'y') OR (`id`=2 AND `name`='y' AND `mood`<=1))"
         " ORDER BY `id`,`name`,`mood` LIMIT 100"},
        /* ENUM and SET are sorted by number. */
        {{R_MOOD}, 1, {"new"}, {"it's"}, " WHERE ((`mood`>1)) AND ((`mood`<=3)) ORDER BY `mood` LIMIT 100"},
        {{R_MOOD}, 1, {"a,b"}, {0}, " WHERE ((`mood`>4)) ORDER BY `mood` LIMIT 100"},
        {{R_MOOD}, 1, {"unknown"}, {0}, " WHERE ((`mood`>0)) ORDER BY `mood` LIMIT 100"},
        {{R_MOOD, R_ID},
         2,
         {"old", "7"},
         {0},
         " WHERE ((`mood`>2) OR (`mood`=2 AND `id`>7)) ORDER BY `mood`,`id` LIMIT 100"},
        {{R_COLOURS},
         1,
         {""},
         {"red"},
         " WHERE ((`colours`>0)) AND ((`colours`<=1)) ORDER BY `colours` LIMIT 100"},
        {{R_COLOURS}, 1, {"blue,red"}, {0}, " WHERE ((`colours`>5)) ORDER BY `colours` LIMIT 100"},
        {{R_COLOURS}, 1, {"blue,green,red"}, {0}, " WHERE ((`colours`>7)) ORDER BY `colours` LIMIT 100"},
        {{R_COLOURS},
         1,
         {"re"},
         {"redd"},
         " WHERE ((`colours`>0)) AND ((`colours`<=0)) ORDER BY `colours` LIMIT 100"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = BUF_INIT;
        struct err err = ERR_INIT;

        assert_true(range_text(cases[i].key, cases[i].nkey, cases[i].after[0] != NULL ? cases[i].after : NULL,
                               cases[i].up_to[0] != NULL ? cases[i].up_to : NULL, &out, &err));
        assert_int_equal(strncmp(out.data, RANGE_SELECT, strlen(RANGE_SELECT)), 0);
        assert_string_equal(out.data + strlen(RANGE_SELECT), cases[i].text);
        buf_done(&out);
    }
}

/* Where the left's index has the key's columns in another order than the config; and exact. */
static void test_range_in_the_order_of_the_index(void **state)
{
    static size_t walk[] = {2, 0};
    struct link link = link_of_two;
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    const struct key k = {"\1\0\0\0007\1\0\0\0x", 10};
    const struct key_range range = {&k, &k, true};

    (void)state;
    link.key = key_both;
    link.nkey = 2;
    link.walk = walk;
    assert_true(sqlgen_range(&link, SIDE_RIGHT, &range, 9, &out, &err));
    assert_buf(
        &out,
        "SELECT `id`,`email`,`no``te`,`sync_version`,`updated_at` FROM `shop`.`cus``tomers` FORCE INDEX "
        "(`PRIMARY`) WHERE ((`no``te`>'x') OR (`no``te`='x' AND `id`>7)) AND "
        "((`no``te`<'x') OR (`no``te`='x' AND `id`<=7)) ORDER BY `no``te`,`id` LIMIT 9 LOCK IN SHARE MODE");
    buf_done(&out);
}

static void test_what_is_no_range(void **state)
{
    static const struct {
        size_t key;
        const char *value;
        enum err_kind kind;
    } cases[] = {{R_ID, "1 OR 1=1", ERR_ROW}, {R_ID, "", ERR_ROW}};
    static size_t key_email[] = {EMAIL};
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct link sealed = link_of_two;
    struct key k = {"\3\0\0\0a@x", 7}, broken = {"\xff\xff\xff\xff", 4};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int up_to = 0; up_to < 2; up_to++) {
            const char *const bound[3] = {cases[i].value};

            assert_false(range_text(&cases[i].key, 1, up_to ? NULL : bound, up_to ? bound : NULL, &out, &err));
            assert_int_equal(err.kind, cases[i].kind);
        }
    /* A key that is sealed on that side finds nothing there; one that is none comes from a table others can write. */
    sealed.key = key_email;
    for (int up_to = 0; up_to < 2; up_to++) {
        const struct key_range range = {up_to ? NULL : &k, up_to ? &k : NULL, false},
                               none = {up_to ? NULL : &broken, up_to ? &broken : NULL, false};

        assert_false(sqlgen_range(&sealed, SIDE_LEFT, &range, 1, &out, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_true(sqlgen_range(&sealed, SIDE_RIGHT, &range, 1, &out, &err));
        assert_false(sqlgen_range(&link_of_two, SIDE_RIGHT, &none, 1, &out, &err));
        assert_int_equal(err.kind, ERR_ROW);
    }
    buf_done(&out);
}

static void test_read_and_estimate(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct key keys[] = {{"\1\0\0\0001", 5}, {"\2\0\0\00022", 6}};

    (void)state;
    assert_true(sqlgen_read(&link_of_two, SIDE_LEFT, keys, 2, &out, &err));
    assert_buf(
        &out,
        "SELECT `id`,`email`,`no``te`,`sync_version`,`updated_at` FROM `shop`.`cus``tomers` FORCE INDEX "
        "(`PRIMARY`) WHERE `id` IN (1,22)"); /* no lock */
    keys[1].data = "\2\0\0\0xx";
    assert_false(sqlgen_read(&link_of_two, SIDE_LEFT, keys, 2, &out, &err));
    assert_int_equal(err.kind, ERR_ROW);
    assert_int_equal(err.index, 1);
    buf_clear(&out);
    sqlgen_estimate(&link_of_two, SIDE_LEFT, &out);
    assert_buf(
        &out, "SELECT TABLE_ROWS,AVG_ROW_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA='shop' AND "
              "TABLE_NAME='cus`tomers'");
    buf_done(&out);
}

/* ---- Resync and conflicts ---- */

#define ROWS_OF_JOB                                                                                          \
    "job=7,state='running',cause='lost_position',from_side='right',forced=1,delete_missing=0,done_to=x'"     \
    "0127',"                                                                                                 \
    "rows_scanned=1,rows_written=2,conflicts=3,quarantined=4,rows_expected=18446744073709551615,reason='it'" \
    "'s ?',"                                                                                                 \
    "error='',again='',started_at='2026-01-05 10:11:12.000001',ended_at=NULL"

static void test_resync_table(void **state)
{
    struct buf out = BUF_INIT;
    struct resync_state r = {
        .job = {.id = 7,
                .state = JOB_RUNNING,
                .cause = JOB_LOST_POSITION,
                .order = {.has_from = true, .from = SIDE_RIGHT, .force = true},
                .rows_scanned = 1,
                .rows_written = 2,
                .conflicts = 3,
                .quarantined = 4,
                .rows_expected = UINT64_MAX,
                .started_at = {1767607872000001},
                .reason = "it's \xc3"},
        .done_to = {"\x01'", 2},
    };

    (void)state;
    sqlgen_resync("twin", &link_of_two, &r, &out);
    assert_buf(&out, "INSERT INTO `twin`.`resync` SET link='us''ers'," ROWS_OF_JOB
                     " ON DUPLICATE KEY UPDATE " ROWS_OF_JOB);

    r.job.state = JOB_DONE;
    r.job.cause = JOB_TRIGGER;
    r.job.order = (struct job_order){.delete_missing = true};
    r.job.ended_at.v = 1767607873000000;
    r.done_to = (struct key){NULL, 0};
    buf_clear(&out);
    sqlgen_resync("twin", &link_of_two, &r, &out);
    assert_non_null(strstr(out.data,
                           "state='done',cause='trigger',from_side='both',forced=0,delete_missing=1,"
                           "done_to=NULL,"));
    assert_non_null(strstr(out.data, ",ended_at='2026-01-05 10:11:13.000000' ON"));

    buf_clear(&out);
    sqlgen_load_resync("twin", &link_of_two, &out);
    assert_buf(&out,
               "SELECT job,state,cause,from_side,forced,delete_missing,done_to,rows_scanned,rows_written,"
               "conflicts,quarantined,rows_expected,reason,error,again,"
               "CAST(UNIX_TIMESTAMP(started_at)*1000000 AS SIGNED),"
               "CAST(UNIX_TIMESTAMP(ended_at)*1000000 AS SIGNED) FROM `twin`.`resync` WHERE link='us''ers'");
    buf_done(&out);
}

static void test_conflict_table(void **state)
{
    struct buf out = BUF_INIT;
    struct link link = link_of_two;
    const struct conflict_record records[] = {
        {.id = 7,
         .key = {"\x01'", 2},
         .met = MET_RESYNC,
         .rule = RULE_DELETE,
         .winner = SIDE_RIGHT,
         .row = {{false, VALUE_INT_NONE, INT64_MIN}, {true, -1, 1767607872000001}},
         .columns = ""},
        {.id = 8,
         .key = {"a", 1},
         .met = MET_LEFT_TO_RIGHT,
         .rule = RULE_VERSION,
         .winner = SIDE_LEFT,
         .row = {{true, UINT64_MAX, INT64_MIN}, {true, VALUE_INT_NONE, 0}},
         .columns = "na'me,stra\xc3\x9f,x"},
    };

    (void)state;
    sqlgen_conflicts("twin", &link, SIDE_LEFT, records, 2, &out);
    assert_buf(
        &out,
        "INSERT INTO `twin`.`conflict` (link,side,id,row_key,met,decided_by,winner,left_present,left_version,"
        "left_updated,right_present,right_version,right_updated,differing) VALUES "
        "('us''ers','left',7,x'0127','resync','delete_vs_update','right',0,NULL,NULL,1,-1,1767607872000001,''"
        "),"
        "('us''ers','left',8,x'61','left_to_right','version','left',1,18446744073709551615,NULL,1,NULL,0,'na'"
        "'me,stra??,x')");
    buf_clear(&out);
    sqlgen_last_conflict("twin", &link, SIDE_RIGHT, &out);
    assert_buf(&out,
               "SELECT COALESCE(MAX(id),0) FROM `twin`.`conflict` WHERE link='us''ers' AND side='right'");
    buf_clear(&out);
    sqlgen_load_conflicts("twin", &link, SIDE_LEFT, 1000, &out);
    assert_buf(
        &out,
        "SELECT id,CAST(UNIX_TIMESTAMP(written_at)*1000000 AS SIGNED),row_key,met,decided_by,winner,"
        "left_present,left_version,left_updated,right_present,right_version,right_updated,differing FROM "
        "`twin`.`conflict` WHERE link='us''ers' AND side='left' ORDER BY id DESC LIMIT 1000");
    buf_clear(&out);
    link.keep_conflict_days = 30;
    sqlgen_purge_conflicts("twin", &link, SIDE_RIGHT, 6, &out);
    assert_buf(&out, "DELETE FROM `twin`.`conflict` WHERE link='us''ers' AND side='right' AND (id<=6 OR "
                     "written_at<UTC_TIMESTAMP(6)-INTERVAL 30 DAY)");
    buf_done(&out);
}

static void test_touch_and_loading(void **state)
{
    struct buf out = BUF_INIT;

    (void)state;
    sqlgen_touch("tw`in", &link_of_two, SIDE_RIGHT, &out);
    assert_buf(
        &out,
        "UPDATE `tw``in`.`checkpoint` SET changed=changed+1 WHERE link='us''ers' AND source_side='left'");
    buf_clear(&out);
    sqlgen_load_checkpoint("twin", &link_of_two, SIDE_LEFT, &out);
    assert_buf(&out, "SELECT gtid,binlog_file,binlog_offset,binlog_server,rows_done,marker,batch FROM "
                     "`twin`.`checkpoint` WHERE "
                     "link='us''ers' AND source_side='right' FOR UPDATE");
    buf_clear(&out);
    sqlgen_load_lanes("twin", &link_of_two, SIDE_LEFT, &out);
    assert_buf(
        &out,
        "SELECT gtid,binlog_file,binlog_offset,binlog_server,rows_done,batch,lanes,lane FROM `twin`.`lane` "
        "WHERE link='us''ers' AND source_side='right' FOR UPDATE");
    buf_clear(&out);
    sqlgen_load_markers("twin", &link_of_two, SIDE_LEFT, &out);
    assert_buf(&out, "SELECT id,key_from,key_to FROM `twin`.`marker` WHERE link='us''ers' AND side='left' "
                     "ORDER BY id FOR UPDATE");
    buf_clear(&out);
    sqlgen_load_quarantine("twin", &link_of_two, SIDE_RIGHT, &out);
    assert_buf(
        &out,
        "SELECT row_key,source_side,error_code,error,tries,"
        "CAST(UNIX_TIMESTAMP(since)*1000000 AS SIGNED) FROM `twin`.`quarantine` WHERE link='us''ers' AND "
        "side='right' ORDER BY since FOR UPDATE");
    buf_done(&out);
}

/* Reads a quoted literal as the server does under NO_BACKSLASH_ESCAPES. */
static size_t read_quoted(const char *p, size_t len, char *out)
{
    size_t n = 0, i = 1;

    assert_true(len >= 2 && p[0] == '\'');
    for (;; i++) {
        assert_true(i < len);
        if (p[i] == '\'' && (i + 1 == len || p[i + 1] != '\''))
            break;
        i += p[i] == '\'';
        out[n++] = p[i];
    }
    assert_int_equal(i + 1, len); /* nothing stands behind the closing quote */
    return n;
}

/* Whatever the bytes: a text literal is read back whole. */
static void test_quotes_hold(void **state)
{
    static const char ALPHABET[] = "'\\`\";-- \0\n\x1a%_ax\xc3\xf0\x9f";
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        char bytes[24], back[64];
        size_t len = (size_t)rand_r(&seed) % sizeof bytes;
        struct buf out = BUF_INIT;
        struct err err = ERR_INIT;

        for (size_t i = 0; i < len; i++)
            bytes[i] = ALPHABET[(size_t)rand_r(&seed) % (sizeof ALPHABET - 1)];
        struct value v = {bytes, (uint32_t)len, VALUE_SET};

        assert_true(sqlgen_literal(&fields[NOTE], SIDE_LEFT, &v, &out, &err));
        assert_int_equal(read_quoted(out.data, out.len, back), len);
        assert_memory_equal(back, bytes, len);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_what_the_column_cannot_hold),
        cmocka_unit_test(test_character_sets),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_fields_are_compared_in_one_form),
        cmocka_unit_test(test_what_is_no_value),
        cmocka_unit_test(test_sealed_side),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_select_expressions),
        cmocka_unit_test(test_insert),
        cmocka_unit_test(test_insert_with_values_beside_it),
        cmocka_unit_test(test_kinds_whose_values_stay_in_the_text),
        cmocka_unit_test(test_update_and_delete),
        cmocka_unit_test(test_many_rows_in_one_update),
        cmocka_unit_test(test_numbers_in_a_choice),
        cmocka_unit_test(test_many_rows_in_one_delete),
        cmocka_unit_test(test_control_tables),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_range_in_the_order_of_the_index),
        cmocka_unit_test(test_what_is_no_range),
        cmocka_unit_test(test_read_and_estimate),
        cmocka_unit_test(test_resync_table),
        cmocka_unit_test(test_conflict_table),
        cmocka_unit_test(test_touch_and_loading),
        cmocka_unit_test(test_quotes_hold),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
