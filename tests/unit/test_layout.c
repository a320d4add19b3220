/* Which changes of a column a stream goes on with, and where its fields are found then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/binlog/layout.h"

static char *two[] = {"a", "b"}, *three[] = {"a", "b", "c"}, *swapped[] = {"b", "a"};

#define INT32 .kind = COL_INT, .length = 4, .type_text = (char *)"int(11)"
#define TEXT(type, n, set)                                                                      \
    .kind = COL_TEXT, .length = (n), .charset = (char *)(set), .collation = (char *)set "_bin", \
    .type_text = (char *)(type)
#define LABELS(type, list)                                                           \
    .kind = COL_ENUM, .labels = (list), .nlabels = sizeof(list) / sizeof((list)[0]), \
    .type_text = (char *)(type)

/* The mapped column c as it was and as it is. */
static const struct {
    struct column was, is;
    const char *why; /* NULL: goes on */
} cases[] = {
    {{INT32}, {INT32}, NULL},
    {{INT32},
     {.kind = COL_INT, .length = 4, .type_text = (char *)"int(10) unsigned", .is_unsigned = true},
     "column c of d.t is int(10) unsigned now, not int(11)"},
    {{INT32},
     {.kind = COL_INT, .length = 8, .type_text = (char *)"bigint(20)"},
     "bigint(20) now, not int(11)"},
    {{INT32}, {INT32, .nullable = true}, NULL},
    {{INT32, .nullable = true}, {INT32}, "is int(11) NOT NULL now, not int(11) NULL"},
    {{INT32}, {INT32, .generated = true}, "int(11) generated now"},
    {{TEXT("varchar(60)", 60, "latin1")}, {TEXT("varchar(100)", 100, "latin1")}, NULL},
    {{TEXT("varchar(60)", 60, "latin1")}, {TEXT("text", 65535, "latin1")}, NULL},
    {{TEXT("varchar(255)", 255, "latin1")},
     {TEXT("varchar(60)", 60, "latin1")},
     "column c of d.t is varchar(60) now, not varchar(255)"},
    {{TEXT("varchar(60)", 60, "latin1")},
     {TEXT("varchar(60)", 60, "utf8mb4")},
     "varchar(60) utf8mb4 now, not varchar(60) latin1"},
    {{TEXT("varchar(60)", 60, "latin1")},
     {.kind = COL_TEXT,
      .length = 60,
      .charset = (char *)"latin1",
      .type_text = (char *)"varchar(60)",
      .collation = (char *)"latin1_general_ci"},
     NULL},
    {{TEXT("varchar(60)", 60, "latin1")},
     {TEXT("char(60)", 60, "latin1"), .fixed_length = true},
     "char(60) now"},
    {{TEXT("char(6)", 6, "latin1"), .fixed_length = true},
     {TEXT("char(7)", 7, "latin1"), .fixed_length = true},
     "char(7) now"},
    {{.kind = COL_BINARY, .length = 8, .fixed_length = true, .type_text = (char *)"binary(8)"},
     {.kind = COL_BINARY, .length = 9, .fixed_length = true, .type_text = (char *)"binary(9)"},
     "binary(9) now"},
    {{.kind = COL_BINARY, .length = 8, .type_text = (char *)"varbinary(8)"},
     {.kind = COL_BINARY, .length = 65535, .type_text = (char *)"blob"},
     NULL},
    {{.kind = COL_DATETIME, .type_text = (char *)"datetime"},
     {.kind = COL_DATETIME, .precision = 3, .type_text = (char *)"datetime(3)"},
     "datetime(3) now, not datetime"},
    {{.kind = COL_DECIMAL, .precision = 10, .scale = 2, .type_text = (char *)"decimal(10,2)"},
     {.kind = COL_DECIMAL, .precision = 10, .scale = 4, .type_text = (char *)"decimal(10,4)"},
     "decimal(10,4) now"},
    {{LABELS("enum('a','b')", two)}, {LABELS("enum('a','b')", two)}, NULL},
    {{LABELS("enum('a','b')", two)}, {LABELS("enum('a','b','c')", three)}, NULL},
    {{LABELS("enum('a','b','c')", three)}, {LABELS("enum('a','b')", two)}, "enum('a','b') now"},
    {{LABELS("enum('a','b')", two)},
     {LABELS("enum('b','a')", swapped)},
     "enum('b','a') now, not enum('a','b')"},
};

/* The only column that can be reached is the one under test: id, c, and an unmapped own. */
static struct table *table_of(const char *const *names, const struct column *c)
{
    struct table *t = mem_zalloc(1, sizeof(*t));
    t->db = mem_strdup("d");
    t->name = mem_strdup("t");
    t->columns = mem_zalloc(4, sizeof(*t->columns));
    for (; names[t->ncolumns] != NULL; t->ncolumns++) {
        struct column *to = &t->columns[t->ncolumns];
        *to = strcmp(names[t->ncolumns], "c") == 0 ? *c : (struct column){INT32};
        to->name = mem_strdup(names[t->ncolumns]);
        to->type_text = mem_strdup(to->type_text);
        to->charset = to->charset != NULL ? mem_strdup(to->charset) : NULL;
        to->collation = to->collation != NULL ? mem_strdup(to->collation) : NULL;
        char **labels = to->nlabels > 0 ? mem_zalloc(to->nlabels, sizeof(char *)) : NULL;
        for (size_t i = 0; i < to->nlabels; i++)
            labels[i] = mem_strdup(to->labels[i]);
        to->labels = labels;
        to->ordinal = t->ncolumns;
    }
    return t;
}

struct pair {
    struct link link;
    struct field fields[3];
    struct layout layout;
};

/* id, c, and c once more, as a sync column can be. */
static void pair_open(struct pair *p, const struct column *c)
{
    static const char *const names[] = {"id", "c", "own", NULL};
    struct err err = ERR_INIT;
    *p = (struct pair){.link = {.nfields = 3}};
    p->link.fields = p->fields;
    p->link.table[SIDE_LEFT] = table_of(names, c);
    p->fields[0].column[SIDE_LEFT] = &p->link.table[SIDE_LEFT]->columns[0];
    p->fields[1].column[SIDE_LEFT] = p->fields[2].column[SIDE_LEFT] = &p->link.table[SIDE_LEFT]->columns[1];
    assert_true(layout_init(&p->layout, &p->link, SIDE_LEFT, &err));
}

static void pair_close(struct pair *p)
{
    layout_done(&p->layout);
    table_free(p->link.table[SIDE_LEFT]);
}

static void expect_wants(const struct layout *l, size_t id, size_t c)
{
    for (size_t i = 0; i < l->nwants; i++) {
        assert_int_equal(l->wants[i].ordinal, l->wants[i].field == 0 ? id : c);
        assert_ptr_equal(l->wants[i].column, &l->table->columns[l->wants[i].ordinal]);
        assert_true(i == 0 || l->wants[i - 1].ordinal <= l->wants[i].ordinal);
    }
}

static void test_columns_that_change(void **state)
{
    (void)state;
    static const char *const moved[] = {"new", "c", "own", "ID", NULL};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pair p;
        struct err err = ERR_INIT;
        pair_open(&p, &cases[i].was);
        expect_wants(&p.layout, 0, 1);
        struct table *now = table_of(moved, &cases[i].is);
        bool ok = layout_renew(&p.layout, now, &err);
        if (ok != (cases[i].why == NULL) || (!ok && strstr(err.text, cases[i].why) == NULL))
            fail_msg("case %zu: %s", i, ok ? "goes on" : err.text);
        if (ok) {
            expect_wants(&p.layout, 3, 1);
        } else {
            assert_int_equal(err.kind, ERR_HALT);
            expect_wants(&p.layout, 0, 1); /* nothing has changed */
            table_free(now);
        }
        pair_close(&p);
    }
}

/* The collation of a key says which keys are one. */
static void test_key_collation(void **state)
{
    (void)state;
    static const char *const names[] = {"id", "c", NULL};
    const struct column was = {TEXT("varchar(60)", 60, "latin1")};
    struct column is = was;
    is.collation = (char *)"latin1_general_ci";
    for (size_t key = 0; key < 2; key++) {
        struct pair p;
        struct err err = ERR_INIT;
        pair_open(&p, &was);
        p.link.key = &key;
        p.link.nkey = 1;
        struct table *now = table_of(names, &is);
        assert_int_equal(layout_renew(&p.layout, now, &err), key == 0);
        if (key == 1) {
            assert_string_equal(err.text, "column c of d.t is varchar(60) latin1_general_ci now, not"
                                          " varchar(60) latin1_bin");
            table_free(now);
        }
        pair_close(&p);
    }
}

static void test_columns_that_move_and_go(void **state)
{
    (void)state;
    static const char *const orders[][5] = {
        {"c", "id", NULL}, {"own", "x", "id", "c", NULL}, {"id", "c", NULL}, {"c", "x", "y", "id", NULL}};
    static const size_t places[][2] = {{1, 0}, {2, 3}, {0, 1}, {3, 0}};
    static const char *const gone[] = {"id", "C2", NULL};
    struct pair p;
    struct err err = ERR_INIT;
    pair_open(&p, &cases[0].was);
    for (size_t i = 0; i < 4; i++) {
        assert_true(layout_renew(&p.layout, table_of(orders[i], &cases[0].is), &err));
        expect_wants(&p.layout, places[i][0], places[i][1]);
    }
    struct table *now = table_of(gone, &cases[0].is);
    assert_false(layout_renew(&p.layout, now, &err));
    assert_string_equal(err.text, "column c of d.t is gone");
    table_free(now);
    expect_wants(&p.layout, 3, 0);
    pair_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_that_change),
        cmocka_unit_test(test_key_collation),
        cmocka_unit_test(test_columns_that_move_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
