#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/model/column.h"

static void expect_canonical(const struct column *c, const char *text, const char *want)
{
    struct arena arena;
    struct value v = {NULL, 0, VALUE_MISSING};
    size_t len = strlen(text);
    char *exact = mem_alloc(len); /* no NUL behind it: a read past the end is seen */
    for (size_t i = 0; i < len; i++)
        exact[i] = text[i];

    arena_init(&arena);
    column_canonical(c, exact, len, &arena, &v);
    if (v.state != VALUE_SET || v.len != strlen(want) || memcmp(v.data, want, v.len) != 0)
        fail_msg("kind %d: \"%s\" became \"%.*s\", not \"%s\"", c->kind, text, (int)v.len, v.data, want);

    /* What is canonical stays as it is. */
    struct value again;
    column_canonical(c, v.data, v.len, &arena, &again);
    assert_true(value_equal(&v, &again));
    arena_done(&arena);
    free(exact);
}

static void canonical_values(void **state)
{
    static const struct {
        enum column_kind kind;
        const char *text, *want;
    } cases[] = {
        {COL_INT, "42", "42"},
        {COL_INT, "-42", "-42"},
        {COL_INT, "0", "0"},
        {COL_INT, "00042", "42"}, /* ZEROFILL */
        {COL_INT, "0000", "0"},
        {COL_INT, "18446744073709551615", "18446744073709551615"},
        {COL_INT, "100", "100"},
        {COL_BIT, "5", "5"},
        {COL_DECIMAL, "0012.500", "12.5"},
        {COL_DECIMAL, "-0.00", "0"},
        {COL_DECIMAL, "0.00", "0"},
        {COL_DECIMAL, "12.00", "12"},
        {COL_DECIMAL, "1200", "1200"},
        {COL_DECIMAL, "-12.50", "-12.5"},
        {COL_DECIMAL, "-0012.50", "-12.5"},
        {COL_DECIMAL, "0.5", "0.5"},
        {COL_DECIMAL, "-0.5", "-0.5"},
        {COL_DECIMAL, "00.05", "0.05"},
        {COL_DECIMAL, ".50", "0.5"},
        {COL_DECIMAL, "-.50", "-0.5"},
        {COL_DECIMAL, "5.", "5"},
        {COL_DECIMAL, "0000000000000000000000000000000000000000000000000000000000000000.10", "0.1"},
        {COL_DECIMAL, "99999999999999999999999999999999999999.999999999999999999999999999999",
         "99999999999999999999999999999999999999.999999999999999999999999999999"},
        {COL_DOUBLE, "0.1", "0.10000000000000001"},
        {COL_DOUBLE, "-0", "0"},
        {COL_DOUBLE, "0", "0"},
        {COL_DOUBLE, "1e300", "1.0000000000000001e+300"},
        {COL_DOUBLE, "1.7976931348623157e308", "1.7976931348623157e+308"},
        {COL_DOUBLE, "-12.5", "-12.5"},
        {COL_FLOAT, "0.10000000149011612", "0.10000000149011612"},
        {COL_FLOAT, "0.1", "0.10000000149011612"},
        {COL_FLOAT, "16777216", "16777216"},
        {COL_FLOAT, "-0.0", "0"},
        {COL_YEAR, "2026", "2026"},
        {COL_YEAR, "0000", "0000"},
        {COL_YEAR, "0", "0000"},
        {COL_DATE, "2026-01-10", "2026-01-10"},
        {COL_TIME, "10:11:12", "10:11:12"},
        {COL_TIME, "10:11:10", "10:11:10"},
        {COL_TIME, "-838:59:59.500000", "-838:59:59.5"},
        {COL_TIME, "00:00:00.000000", "00:00:00"},
        {COL_TIME, "-00:00:00.000", "00:00:00"},
        {COL_TIME, "-00:00:00.100", "-00:00:00.1"},
        {COL_DATETIME, "2026-01-05 10:11:12.340", "2026-01-05 10:11:12.34"},
        {COL_DATETIME, "2026-01-05 10:11:10", "2026-01-05 10:11:10"},
        {COL_DATETIME, "0000-00-00 00:00:00", "0000-00-00 00:00:00"},
        {COL_TIMESTAMP, "2026-01-05 10:11:10.000000", "2026-01-05 10:11:10"},
        {COL_TEXT, " 001.500 ", " 001.500 "},
        {COL_TEXT, "", ""},
        {COL_ENUM, "a", "a"},
        {COL_SET, "a,b", "a,b"},
        {COL_SET, "b,a,ab", "a,ab,b"},
        {COL_JSON, "{\"a\": 1.50}", "{\"a\": 1.50}"},
        {COL_BINARY, "ab", "ab"},
        {COL_UUID, "123E4567-E89B-12d3-a456-426655440000", "123e4567-e89b-12d3-a456-426655440000"},
        {COL_UUID, "123e4567e89b12d3a456426655440000", "123e4567-e89b-12d3-a456-426655440000"},
        {COL_UUID, "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"},
        {COL_INET4, "192.0.2.1", "192.0.2.1"},
        {COL_INET6, "2001:DB8:0:0::1", "2001:db8::1"},
        {COL_INET6, "::ffff:1.2.3.4", "::ffff:1.2.3.4"},
        {COL_INET6, "::", "::"},
        {COL_VECTOR, "\x01", "\x01"},
        /* what no server sends comes through unchanged */
        {COL_INT, "", ""},
        {COL_INT, "-", "-"},
        {COL_INT, "1e5", "1e5"},
        {COL_UUID, "123e4567e89b12d3a45642665544000", "123e4567e89b12d3a45642665544000"},
        {COL_UUID, "123e4567e89b12d3a4564266554400001", "123e4567e89b12d3a4564266554400001"},
        {COL_UUID, "x", "x"},
        {COL_INET4, "::1", "::1"},
        {COL_INET6, "1.2.3.4", "1.2.3.4"},
        {COL_DECIMAL, ".", "."},
        {COL_DECIMAL, "1.2.3", "1.2.3"},
        {COL_DECIMAL, "1.-2", "1.-2"},
        {COL_DOUBLE, "", ""},
        {COL_DOUBLE, "1x", "1x"},
        {COL_TIME, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct column c = {.kind = cases[i].kind, .length = 8};
        expect_canonical(&c, cases[i].text, cases[i].want);
    }
}

static void binary_is_padded(void **state)
{
    const struct column c = {.kind = COL_BINARY, .fixed_length = true, .length = 4};
    struct arena arena;
    struct value v;
    (void)state;

    arena_init(&arena);
    column_canonical(&c, "ab", 2, &arena, &v);
    assert_int_equal(v.len, 4);
    assert_memory_equal(v.data, "ab\0\0", 4);
    column_canonical(&c, "", 0, &arena, &v);
    assert_int_equal(v.len, 4);
    assert_memory_equal(v.data, "\0\0\0\0", 4);
    column_canonical(&c, "abcd", 4, &arena, &v);
    assert_memory_equal(v.data, "abcd", 4);
    arena_done(&arena);
}

/* The double that the text stands for, however it was written. */
static void doubles_keep_their_value(void **state)
{
    const struct column c = {.kind = COL_DOUBLE};
    struct arena arena;
    uint64_t seed = 4711;
    (void)state;

    arena_init(&arena);
    for (int i = 0; i < 3000; i++) {
        double d;
        char text[64];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        memcpy(&d, &seed, sizeof d);
        if (d != d || d - d != 0)
            continue; /* no database holds NaN or infinity */
        struct value v;
        snprintf(text, sizeof text, "%.20e", d);
        column_canonical(&c, text, strlen(text), &arena, &v);
        snprintf(text, sizeof text, "%.*s", (int)v.len, v.data);
        assert_true(strtod(text, NULL) == d);
        arena_reset(&arena);
    }
    arena_done(&arena);
}

static void labels(void **state)
{
    static const struct {
        const char *type;
        size_t count;
        const char *label[6];
    } cases[] = {
        {"enum('a')", 1, {"a"}},
        {"ENUM('a','b')", 2, {"a", "b"}},
        {"set('x','y','z')", 3, {"x", "y", "z"}},
        {"enum('it''s','''','')", 3, {"it's", "'", ""}},
        {"enum('x,y','(z)','q\"r')", 3, {"x,y", "(z)", "q\"r"}},
        /* as MariaDB 10.11 prints a\b, c<line end>d and a carriage return */
        {"enum('a\\\\b','c\\nd','\\r','\xc3\xa9')", 4, {"a\\b", "c\nd", "\r", "\xc3\xa9"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct table *t = mem_zalloc(1, sizeof *t);
        t->columns = mem_zalloc(1, sizeof *t->columns);
        t->ncolumns = 1;
        assert_true(column_parse_labels(&t->columns[0], "enum('old','ones')", NULL));
        assert_true(column_parse_labels(&t->columns[0], cases[i].type, NULL));
        assert_int_equal(t->columns[0].nlabels, cases[i].count);
        for (size_t k = 0; k < cases[i].count; k++)
            assert_string_equal(t->columns[0].labels[k], cases[i].label[k]);
        table_free(t);
    }
}

static void malformed_labels(void **state)
{
    static const char *const cases[] = {
        "",           "enum",        "enum(",        "enum()",     "enum(a)",
        "enum('a'",   "enum('a",     "enum('a',",    "enum('a',)", "enum('a' ,'b')",
        "enum('a')x", "enum('a'',)", "varchar(255)", "enum('a\\",  "enum('\\0')",
        "set('a''b)", "enum 'a')",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[] = "kind";
        struct column c = {.name = name};
        struct err err = ERR_INIT;
        if (column_parse_labels(&c, cases[i], &err))
            fail_msg("accepted %s", cases[i]);
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_string_equal(err.text, "cannot read the labels of column kind from its type");
        assert_null(c.labels);
        assert_int_equal(c.nlabels, 0);
    }
}

static void finds_columns_and_keys(void **state)
{
    char id[] = "id", name[] = "Name", mail[] = "email";
    struct column columns[] = {{.name = id}, {.name = name}, {.name = mail}};
    size_t primary[] = {0}, both[] = {2, 1}, only_mail[] = {2};
    struct table_key keys[] = {{.columns = primary, .ncolumns = 1},
                               {.columns = both, .ncolumns = 2},
                               {.columns = only_mail, .ncolumns = 1}};
    const struct table t = {.columns = columns, .ncolumns = 3, .keys = keys, .nkeys = 3};
    (void)state;

    assert_ptr_equal(table_column(&t, "NAME"), &columns[1]);
    assert_ptr_equal(table_column(&t, "id"), &columns[0]);
    assert_null(table_column(&t, "nam"));
    assert_null(table_column(&t, "names"));

    assert_ptr_equal(table_find_key(&t, (size_t[]){0}, 1), &keys[0]);
    assert_ptr_equal(table_find_key(&t, (size_t[]){2}, 1), &keys[2]);
    assert_ptr_equal(table_find_key(&t, (size_t[]){1, 2}, 2), &keys[1]);
    assert_ptr_equal(table_find_key(&t, (size_t[]){2, 1}, 2), &keys[1]);
    assert_null(table_find_key(&t, (size_t[]){1}, 1));
    assert_null(table_find_key(&t, (size_t[]){2, 2}, 2));
    assert_null(table_find_key(&t, (size_t[]){0, 1}, 2));
    assert_null(table_find_key(&t, (size_t[]){0, 1, 2}, 3));
    assert_null(table_find_key(&t, NULL, 0));
}

static void what_may_be_mapped(void **state)
{
    (void)state;
    for (int a = COL_INT; a <= COL_OTHER; a++) {
        for (int b = COL_INT; b <= COL_OTHER; b++) {
            const struct column left = {.kind = (enum column_kind)a}, right = {.kind = (enum column_kind)b};
            const char *why = NULL;
            bool net_a = a == COL_UUID || a == COL_INET4 || a == COL_INET6;
            bool net_b = b == COL_UUID || b == COL_INET4 || b == COL_INET6;
            bool text_a = a == COL_TEXT || a == COL_ENUM || a == COL_SET || net_a;
            bool text_b = b == COL_TEXT || b == COL_ENUM || b == COL_SET || net_b;
            bool json = (a == COL_JSON && b == COL_TEXT) || (a == COL_TEXT && b == COL_JSON);
            bool time_a = a == COL_DATETIME || a == COL_TIMESTAMP,
                 time_b = b == COL_DATETIME || b == COL_TIMESTAMP;
            bool real_a = a == COL_FLOAT || a == COL_DOUBLE, real_b = b == COL_FLOAT || b == COL_DOUBLE;
            bool want = a != COL_OTHER && (a == b || json || (text_a && text_b && !(net_a && net_b)) ||
                                           (time_a && time_b) || (real_a && real_b));
            assert_int_equal(column_comparable(&left, &right, &why), want);
            assert_int_equal(why == NULL, want);
        }
    }
}

/* What a server would store of these is another value, and it would say nothing, or only warn. */
static void what_a_column_holds(void **state)
{
    static char *labels[] = {(char *)"red", (char *)"it's", (char *)"2"};
#define LABELS .labels = labels, .nlabels = 3
    static const struct {
        struct column column;
        const char *text;
        bool holds;
    } cases[] = {
        {{.kind = COL_DECIMAL, .precision = 10, .scale = 2}, "12.34", true},
        {{.kind = COL_DECIMAL, .precision = 10, .scale = 2}, "12.345", false},
        {{.kind = COL_DECIMAL, .precision = 10, .scale = 0}, "0.5", false},
        {{.kind = COL_DECIMAL, .precision = 10, .scale = 0}, "123456789012", true}, /* refused by the server */
        {{.kind = COL_FLOAT}, "0.10000000149011612", true},
        {{.kind = COL_FLOAT}, "0.10000000000000001", false},
        {{.kind = COL_FLOAT}, "16777217", false},
        {{.kind = COL_FLOAT}, "1.0000000000000001e+300", false},
        {{.kind = COL_FLOAT, .precision = 7, .scale = 3}, "0.10000000149011612", true},
        {{.kind = COL_FLOAT, .precision = 7, .scale = 3}, "0.0625", false},
        {{.kind = COL_DOUBLE}, "0.10000000000000001", true},
        {{.kind = COL_DOUBLE, .precision = 12, .scale = 4}, "-0.00009999999999998899", true}, /* -1 + 0.9999 */
        {{.kind = COL_DOUBLE, .precision = 12, .scale = 4}, "0.00001", false},
        {{.kind = COL_TIME}, "-00:00:01", true},
        {{.kind = COL_TIME}, "-00:00:01.5", false},
        {{.kind = COL_TIME, .precision = 1}, "-00:00:01.5", true},
        {{.kind = COL_DATETIME, .precision = 3}, "2026-01-05 10:11:12.1234", false},
        {{.kind = COL_DATETIME, .precision = 3}, "2026-01-05 10:11:12.123", true},
        {{.kind = COL_TIMESTAMP, .precision = 5}, "2026-01-05 10:11:12.123456", false},
        {{.kind = COL_TEXT, .length = 5}, "abcde", true},
        {{.kind = COL_TEXT, .length = 5}, "abcde ", false}, /* would be cut without an error */
        {{.kind = COL_TEXT, .length = 2}, "\xc3\xa9\xf0\x9f\xa6\x80", true},
        {{.kind = COL_TEXT, .length = 2, .large_text = true}, "\xc3\xa9", true},
        {{.kind = COL_TEXT, .length = 2, .large_text = true}, "a\xc3\xa9", false},
        {{.kind = COL_TEXT, .length = 5, .fixed_length = true}, "a b", true},
        {{.kind = COL_TEXT, .length = 5, .fixed_length = true}, "a ", false},
        {{.kind = COL_TEXT, .length = 5, .fixed_length = true}, "", true},
        {{.kind = COL_BINARY, .length = 3}, "abc", true},
        {{.kind = COL_BINARY, .length = 3}, "abcd", false},
        {{.kind = COL_BINARY, .length = 3, .fixed_length = true}, "ab", false},
        {{.kind = COL_BINARY, .length = 3, .fixed_length = true}, "abc", true},
        {{.kind = COL_ENUM, LABELS}, "red", true},
        {{.kind = COL_ENUM, LABELS}, "RED", false},
        {{.kind = COL_ENUM, LABELS}, "red ", false},
        {{.kind = COL_ENUM, LABELS}, "2", true},
        {{.kind = COL_ENUM, LABELS}, "1", false}, /* would be the first label */
        {{.kind = COL_ENUM, LABELS}, "", false},
        {{.kind = COL_SET, LABELS}, "", true},
        {{.kind = COL_SET, LABELS}, "2,it's,red", true},
        {{.kind = COL_SET, LABELS}, "red,it's", false}, /* comes back in another order */
        {{.kind = COL_SET, LABELS}, "red,red", false},
        {{.kind = COL_SET, LABELS}, "it's,", false},
        {{.kind = COL_SET, LABELS}, ",it's", false},
        {{.kind = COL_SET, LABELS}, "3", false},
        {{.kind = COL_UUID}, "123e4567-e89b-12d3-a456-426655440000", true},
        {{.kind = COL_UUID}, "123E4567-e89b-12d3-a456-426655440000", false},
        {{.kind = COL_UUID}, "none", false},
        {{.kind = COL_INET4}, "192.0.2.1", true},
        {{.kind = COL_INET4}, "192.0.2", false},
        {{.kind = COL_INET6}, "::1", true},
        {{.kind = COL_INET6}, "0:0::1", false},
        {{.kind = COL_INET6}, "192.0.2.1", false},     /* would become ::ffff:192.0.2.1 */
        {{.kind = COL_INT, .length = 1}, "300", true}, /* refused by the server */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *why = NULL;
        if (column_holds(&cases[i].column, cases[i].text, strlen(cases[i].text), &why) != cases[i].holds)
            fail_msg("case %zu, \"%s\"", i, cases[i].text);
        if (!cases[i].holds)
            assert_non_null(why);
    }
}

static void a_table_is_freed_whole(void **state)
{
    (void)state;
    table_free(NULL);
    table_free(mem_zalloc(1, sizeof(struct table)));

    struct table *t = mem_zalloc(1, sizeof *t);
    t->db = mem_strdup("db");
    t->name = mem_strdup("t");
    t->ncolumns = 2;
    t->columns = mem_zalloc(2, sizeof *t->columns);
    t->columns[0].name = mem_strdup("a");
    t->columns[0].type_text = mem_strdup("set('x')");
    t->columns[0].charset = mem_strdup("utf8mb4");
    t->columns[0].collation = mem_strdup("utf8mb4_bin");
    assert_true(column_parse_labels(&t->columns[0], t->columns[0].type_text, NULL));
    t->nkeys = 1;
    t->keys = mem_zalloc(1, sizeof *t->keys);
    t->keys[0].name = mem_strdup("PRIMARY");
    t->keys[0].columns = mem_zalloc(1, sizeof *t->keys[0].columns);
    t->keys[0].ncolumns = 1;
    table_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_values),         cmocka_unit_test(binary_is_padded),
        cmocka_unit_test(doubles_keep_their_value), cmocka_unit_test(labels),
        cmocka_unit_test(malformed_labels),         cmocka_unit_test(finds_columns_and_keys),
        cmocka_unit_test(what_a_column_holds),      cmocka_unit_test(what_may_be_mapped),
        cmocka_unit_test(a_table_is_freed_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
