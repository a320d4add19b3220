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
        {COL_OTHER, "A", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct column c = {.name = "c", .type_text = "t", .kind = CASES[i].kind};
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

static void test_control_tables(void **state)
{
    struct buf out = BUF_INIT;
    struct err err = ERR_INIT;
    struct checkpoint c = {POS_INIT, 3, 9};
    struct marker markers[2] = {{7, {"a", 1}, {"a", 1}}, {8, {"b", 1}, {"c'", 2}}};
    uint64_t ids[] = {7, 8};
    struct quarantine_entry e = {.key = {"a", 1}, .source = SIDE_LEFT, .code = 1406, .why = "it's \xc3"};

    (void)state;
    assert_true(pos_parse_gtids(&c.pos, "0-1-155,2-3-4", &err));
    pos_set_file(&c.pos, "bin.000042", 10, 19733);
    sqlgen_checkpoint("twin", &link_of_two, SIDE_RIGHT, &c, &out);
    assert_buf(
        &out,
        "INSERT INTO `twin`.`checkpoint` SET "
        "link='us''ers',source_side='left',changed=1,gtid='0-1-155,2-3-4',"
        "binlog_file='bin.000042',binlog_offset=19733,rows_done=3,marker=9 ON DUPLICATE KEY UPDATE "
        "changed=changed+1,gtid='0-1-155,2-3-4',binlog_file='bin.000042',binlog_offset=19733,rows_done=3,"
        "marker=9");
    pos_done(&c.pos);
    buf_clear(&out);
    sqlgen_checkpoint("twin", &link_of_two, SIDE_LEFT, &c, &out);
    assert_non_null(
        strstr(out.data, "source_side='right',changed=1,gtid='',binlog_file='',binlog_offset=0,"));

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

    buf_clear(&out);
    sqlgen_load_checkpoint("twin", &link_of_two, SIDE_RIGHT, &out);
    assert_non_null(strstr(out.data, "WHERE link='us''ers' AND source_side='left' FOR UPDATE"));
    buf_clear(&out);
    sqlgen_load_markers("twin", &link_of_two, SIDE_RIGHT, &out);
    assert_non_null(strstr(out.data, "WHERE link='us''ers' AND side='right' ORDER BY id FOR UPDATE"));
    buf_clear(&out);
    sqlgen_load_quarantine("twin", &link_of_two, SIDE_LEFT, &out);
    assert_non_null(strstr(out.data, "WHERE link='us''ers' AND side='left' ORDER BY since FOR UPDATE"));
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
        cmocka_unit_test(test_literals),           cmocka_unit_test(test_what_is_no_value),
        cmocka_unit_test(test_sealed_side),        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_select_expressions), cmocka_unit_test(test_insert),
        cmocka_unit_test(test_update_and_delete),  cmocka_unit_test(test_control_tables),
        cmocka_unit_test(test_quotes_hold),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
