/* Does the config fit two tables, and which words say why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "cdc/link_build.h"

static const char KEY_A[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
static const char KEY_B[] = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

/* ---- Tables as information_schema would tell them ---- */

struct spec {
    const char *name;
    const char *type;
    enum column_kind kind;
    uint64_t length;
    unsigned precision, scale;
    const char *charset; /* NULL: utf8mb4 where text */
    bool nullable, has_default, generated, fixed, is_unsigned, large;
};

#define ID                                                                                             \
    {                                                                                                  \
        .name = "id", .type = "bigint(20) unsigned", .kind = COL_INT, .length = 8, .is_unsigned = true \
    }
#define NAME                                                                    \
    {                                                                           \
        .name = "name", .type = "varchar(255)", .kind = COL_TEXT, .length = 255 \
    }
#define SEALED                                                                             \
    {                                                                                      \
        .name = "email_encrypted", .type = "varchar(512)", .kind = COL_TEXT, .length = 512 \
    }
#define EMAIL                                                                    \
    {                                                                            \
        .name = "email", .type = "varchar(254)", .kind = COL_TEXT, .length = 254 \
    }
#define CREATED                                                                              \
    {                                                                                        \
        .name = "created_at", .type = "timestamp(6)", .kind = COL_TIMESTAMP, .precision = 6, \
        .has_default = true                                                                  \
    }
#define VERSION                                                                              \
    {                                                                                        \
        .name = "sync_version", .type = "bigint(20) unsigned", .kind = COL_INT, .length = 8, \
        .is_unsigned = true, .has_default = true                                             \
    }
#define UPDATED                                                                              \
    {                                                                                        \
        .name = "updated_at", .type = "timestamp(6)", .kind = COL_TIMESTAMP, .precision = 6, \
        .has_default = true                                                                  \
    }
#define SYNCED                                                                                 \
    {                                                                                          \
        .name = "last_sync_at", .type = "timestamp(6)", .kind = COL_TIMESTAMP, .precision = 6, \
        .nullable = true                                                                       \
    }

enum { MAX_COLUMNS = 12 };

static const struct spec LEFT[] = {ID, NAME, SEALED, CREATED, VERSION, UPDATED, SYNCED, {0}};
static const struct spec RIGHT[] = {ID, NAME, EMAIL, CREATED, VERSION, UPDATED, SYNCED, {0}};

static void fill(struct column *c, const struct spec *s, size_t ordinal)
{
    *c = (struct column){.name = mem_strdup(s->name),
                         .type_text = mem_strdup(s->type),
                         .kind = s->kind,
                         .ordinal = ordinal,
                         .is_unsigned = s->is_unsigned,
                         .nullable = s->nullable,
                         .has_default = s->has_default || s->nullable,
                         .generated = s->generated,
                         .fixed_length = s->fixed,
                         .large_text = s->large,
                         .length = s->length,
                         .precision = s->precision,
                         .scale = s->scale};
    if (s->kind == COL_TEXT || s->kind == COL_ENUM) {
        const char *charset = s->charset != NULL ? s->charset : "utf8mb4";
        char collation[64];
        snprintf(collation, sizeof(collation), "%s_bin", charset);
        c->charset = mem_strdup(charset);
        c->collation = mem_strdup(collation);
    }
    struct err err = ERR_INIT;
    if (s->kind == COL_ENUM || s->kind == COL_SET)
        assert_true(column_parse_labels(c, s->type, &err));
}

/* The columns up to the one without a name; a key over `id` and others as told. */
static struct table *make_table(const char *db, const char *name, const struct spec *specs)
{
    struct table *t = mem_zalloc(1, sizeof(*t));
    t->db = mem_strdup(db);
    t->name = mem_strdup(name);
    while (specs[t->ncolumns].name != NULL)
        t->ncolumns++;
    t->columns = mem_zalloc(t->ncolumns, sizeof(*t->columns));
    for (size_t i = 0; i < t->ncolumns; i++)
        fill(&t->columns[i], &specs[i], i);
    t->nkeys = 1;
    t->keys = mem_zalloc(1, sizeof(*t->keys));
    t->keys[0].name = mem_strdup("PRIMARY");
    t->keys[0].columns = mem_zalloc(1, sizeof(size_t));
    t->keys[0].ncolumns = 1;
    return t;
}

/* ---- The seed's link, and one with a plain column x ---- */

static char id_name[] = "id", name_name[] = "name", sealed_name[] = "email_encrypted", email_name[] = "email",
            created_name[] = "created_at", version_name[] = "sync_version", updated_name[] = "updated_at",
            synced_name[] = "last_sync_at", env_name[] = "TWINLOG_TEST_LINK_KEY", x_name[] = "x",
            link_name[] = "users", server_name[] = "s", *key_names[] = {id_name};

static struct config_column seed_columns[] = {
    {.left = id_name, .right = id_name},
    {.left = name_name, .right = name_name},
    {.left = sealed_name,
     .right = email_name,
     .ciphered = true,
     .sealed_side = SIDE_LEFT,
     .key = {.env = env_name}},
    {.left = created_name, .right = created_name},
};
static struct config_column x_columns[] = {{.left = id_name, .right = id_name},
                                           {.left = x_name, .right = x_name}};

static struct config_link make_config(struct config_column *columns, size_t count)
{
    return (struct config_link){.name = link_name,
                                .side = {{.server = server_name}, {.server = server_name}},
                                .key = key_names,
                                .nkey = 1,
                                .columns = columns,
                                .ncolumns = count,
                                .version = version_name,
                                .updated_at = updated_name,
                                .synced_at = synced_name};
}

static const char level_letters[] = "owF";

/* "F text [mend]\n" for each finding */
static void collect(void *arg, enum check_level level, const char *text, const char *mend)
{
    buf_addf(arg, "%c %s [%s]\n", level_letters[level], text, mend != NULL ? mend : "");
}

static struct link *build(const struct config_link *c, const struct spec *left, const struct spec *right,
                          struct buf *said)
{
    return link_build(c, make_table("l", "lt", left), make_table("r", "rt", right), collect, said);
}

static const char *text_of(const struct buf *b) { return b->data != NULL ? b->data : ""; }

/* ---- What fits ---- */

static void test_seed(void **state)
{
    (void)state;
    struct config_link c = make_config(seed_columns, 4);
    struct buf said = BUF_INIT;
    struct link *l = build(&c, LEFT, RIGHT, &said);
    if (l == NULL)
        fail_msg("%s", text_of(&said));
    assert_string_equal(l->name, "users");
    assert_int_equal(l->nfields, 6);
    assert_int_equal(l->nkey, 1);
    assert_int_equal(l->key[0], 0);
    assert_ptr_equal(l->index[SIDE_RIGHT], &l->table[SIDE_RIGHT]->keys[0]);
    assert_string_equal(l->fields[2].column[SIDE_RIGHT]->name, "email");
    assert_non_null(l->fields[2].keys);
    assert_null(l->fields[1].keys);
    assert_string_equal(l->fields[link_version_field(l)].column[SIDE_LEFT]->name, "sync_version");
    assert_string_equal(l->fields[link_updated_field(l)].column[SIDE_RIGHT]->name, "updated_at");
    assert_string_equal(l->synced_at[SIDE_LEFT]->name, "last_sync_at");
    /* 512 characters of base64 are 384 bytes, 28 of them nonce and tag. */
    assert_non_null(strstr(
        text_of(&said), "o left l.lt.email_encrypted varchar(512) holds sealed values of up to 356 bytes"));
    assert_null(strstr(text_of(&said), "\nF "));
    assert_null(strstr(text_of(&said), "w "));
    buf_done(&said);
    link_free(l);
}

/* ---- What does not ---- */

/* One column x on both sides; what is said about it begins with `said`, "" for nothing. */
static const struct pair_case {
    struct spec left, right;
    const char *said;
} pair_cases[] = {
#define X(...)                   \
    {                            \
        .name = "x", __VA_ARGS__ \
    }
#define TEXT(t, len) X(.type = t, .kind = COL_TEXT, .length = len)
    {TEXT("varchar(9)", 9), TEXT("varchar(9)", 9), ""},
    {TEXT("varchar(9)", 9), TEXT("varchar(8)", 8),
     "w left l.lt.x varchar(9) -> right r.rt.x varchar(8): a longer text"},
    {TEXT("varchar(8)", 8), TEXT("varchar(9)", 9),
     "w right r.rt.x varchar(9) -> left l.lt.x varchar(8): a longer text"},
    {TEXT("v", 9), X(.type = "v", .kind = COL_TEXT, .length = 9, .charset = "latin1"),
     "w left l.lt.x v -> right r.rt.x v: a character that the other charset lacks"},
    {TEXT("v", 9), X(.type = "char(9)", .kind = COL_TEXT, .length = 9, .fixed = true),
     "w left l.lt.x v -> right r.rt.x char(9): CHAR drops spaces"},
    {TEXT("v", 9), X(.type = "v", .kind = COL_TEXT, .length = 9, .nullable = true),
     "w right r.rt.x v -> left l.lt.x v: a NULL would be quarantined"},
    {TEXT("v", 9), X(.type = "enum('a')", .kind = COL_ENUM),
     "w left l.lt.x v -> right r.rt.x enum('a'): a value that is no label"},
    {TEXT("v", 9), X(.type = "int(11)", .kind = COL_INT, .length = 4),
     "F left l.lt.x v and right r.rt.x int(11): the two types"},
    {TEXT("v", 9), X(.type = "xmltype", .kind = COL_OTHER),
     "F left l.lt.x v and right r.rt.x xmltype: a column of this type"},
    {TEXT("v", 9), X(.type = "v", .kind = COL_TEXT, .length = 9, .charset = "klingon"),
     "F right r.rt.x v: character set klingon cannot be converted to UTF-8"},
    /* CHAR and VARCHAR count characters, the TEXTs bytes */
    {TEXT("v", 63), X(.type = "tinytext", .kind = COL_TEXT, .length = 255, .large = true),
     "w right r.rt.x tinytext -> left l.lt.x v: a longer text"},
    {TEXT("v", 64), X(.type = "tinytext", .kind = COL_TEXT, .length = 255, .large = true),
     "w left l.lt.x v -> right r.rt.x tinytext: a longer text"},
    {X(.type = "text", .kind = COL_TEXT, .length = 65535, .large = true),
     X(.type = "text", .kind = COL_TEXT, .length = 65535, .large = true), ""},
    {X(.type = "text", .kind = COL_TEXT, .length = 65535, .large = true),
     X(.type = "longtext", .kind = COL_TEXT, .length = UINT32_MAX, .large = true),
     "w right r.rt.x longtext -> left l.lt.x text: a longer text"},
    {X(.type = "v", .kind = COL_TEXT, .length = 9, .charset = "ascii"),
     X(.type = "v", .kind = COL_TEXT, .length = 9, .charset = "gb18030"),
     "w right r.rt.x v -> left l.lt.x v: a character"},
    /* labels */
    {X(.type = "enum('a','b')", .kind = COL_ENUM), X(.type = "enum('c','b','a')", .kind = COL_ENUM),
     "w right r.rt.x enum('c','b','a') -> left l.lt.x enum('a','b'): a label"},
    {X(.type = "enum('a','b')", .kind = COL_ENUM), X(.type = "enum('b','a')", .kind = COL_ENUM), ""},
    {X(.type = "enum('A')", .kind = COL_ENUM), X(.type = "enum('a')", .kind = COL_ENUM), "w left"},
    {X(.type = "set('a','b')", .kind = COL_SET), X(.type = "set('b','a')", .kind = COL_SET), ""},
    {X(.type = "set('a','b')", .kind = COL_SET), X(.type = "enum('a','b')", .kind = COL_ENUM),
     "w left l.lt.x set('a','b') -> right r.rt.x enum('a','b'): a label"},
    {TEXT("v", 9), X(.type = "set('a')", .kind = COL_SET),
     "w left l.lt.x v -> right r.rt.x set('a'): a value"},
    /* MariaDB's own */
    {X(.type = "uuid", .kind = COL_UUID), X(.type = "char(36)", .kind = COL_TEXT, .length = 36, .fixed = true),
     "w right r.rt.x char(36) -> left l.lt.x uuid: a text that is not written"},
    {X(.type = "uuid", .kind = COL_UUID), X(.type = "char(32)", .kind = COL_TEXT, .length = 32, .fixed = true),
     "w left l.lt.x uuid -> right r.rt.x char(32): a longer text"},
    {X(.type = "uuid", .kind = COL_UUID), X(.type = "uuid", .kind = COL_UUID), ""},
    {X(.type = "uuid", .kind = COL_UUID), X(.type = "inet6", .kind = COL_INET6),
     "F left l.lt.x uuid and right r.rt.x inet6: the two types"},
    /* JSON: MariaDB's is a LONGTEXT */
    {X(.type = "json", .kind = COL_JSON), X(.type = "json", .kind = COL_JSON), ""},
    {X(.type = "json", .kind = COL_JSON),
     X(.type = "longtext", .kind = COL_TEXT, .length = UINT32_MAX, .large = true), ""},
    {X(.type = "json", .kind = COL_JSON), X(.type = "text", .kind = COL_TEXT, .length = 65535, .large = true),
     "w left l.lt.x json -> right r.rt.x text: a longer document"},
    {X(.type = "v", .kind = COL_TEXT, .length = 9), X(.type = "json", .kind = COL_JSON),
     "w left l.lt.x v -> right r.rt.x json: a text that is no JSON"},
    {X(.type = "json", .kind = COL_JSON), X(.type = "enum('a')", .kind = COL_ENUM),
     "F left l.lt.x json and right r.rt.x enum('a'): JSON"},
    {X(.type = "int", .kind = COL_INT, .length = 4), X(.type = "bigint", .kind = COL_INT, .length = 8),
     "w right r.rt.x bigint -> left l.lt.x int: a number"},
    {X(.type = "int", .kind = COL_INT, .length = 4),
     X(.type = "int u", .kind = COL_INT, .length = 4, .is_unsigned = true),
     "w left l.lt.x int -> right r.rt.x int u: a number"},
    {X(.type = "decimal(9,2)", .kind = COL_DECIMAL, .precision = 9, .scale = 2),
     X(.type = "decimal(9,1)", .kind = COL_DECIMAL, .precision = 9, .scale = 1),
     "w left l.lt.x decimal(9,2) -> right r.rt.x decimal(9,1): a number with more digits behind the point "
     "would be quarantined"},
    {X(.type = "decimal(9,2)", .kind = COL_DECIMAL, .precision = 9, .scale = 2),
     X(.type = "decimal(8,2)", .kind = COL_DECIMAL, .precision = 8, .scale = 2),
     "w left l.lt.x decimal(9,2) -> right r.rt.x decimal(8,2): a number that the narrower"},
    {X(.type = "datetime(6)", .kind = COL_DATETIME, .precision = 6),
     X(.type = "datetime", .kind = COL_DATETIME),
     "w left l.lt.x datetime(6) -> right r.rt.x datetime: a time with more digits of a second would be "
     "quarantined []"},
    {X(.type = "datetime", .kind = COL_DATETIME), X(.type = "timestamp", .kind = COL_TIMESTAMP),
     "w left l.lt.x datetime -> right r.rt.x timestamp: a DATETIME is carried over as if it were UTC"},
    {X(.type = "double", .kind = COL_DOUBLE), X(.type = "float", .kind = COL_FLOAT),
     "w left l.lt.x double -> right r.rt.x float: a number with more digits"},
    {X(.type = "float", .kind = COL_FLOAT),
     X(.type = "float(7,3)", .kind = COL_FLOAT, .precision = 7, .scale = 3),
     "w left l.lt.x float -> right r.rt.x float(7,3): a number with more digits"},
    {X(.type = "float(7,3)", .kind = COL_FLOAT, .precision = 7, .scale = 3),
     X(.type = "float(7,3)", .kind = COL_FLOAT, .precision = 7, .scale = 3), ""},
    {X(.type = "binary(4)", .kind = COL_BINARY, .length = 4, .fixed = true),
     X(.type = "varbinary(4)", .kind = COL_BINARY, .length = 4),
     "w right r.rt.x varbinary(4) -> left l.lt.x binary(4): BINARY fills a value up"},
    {X(.type = "bit(9)", .kind = COL_BIT, .length = 9), X(.type = "bit(1)", .kind = COL_BIT, .length = 1),
     "w left"},
    {X(.type = "point", .kind = COL_GEOMETRY), X(.type = "geometry", .kind = COL_GEOMETRY),
     "w right r.rt.x geometry -> left l.lt.x point: a shape of another type"},
    {X(.type = "geomcollection", .kind = COL_GEOMETRY), X(.type = "geometrycollection", .kind = COL_GEOMETRY),
     ""},
    {X(.type = "vector(3)", .kind = COL_VECTOR, .length = 12),
     X(.type = "vector(2)", .kind = COL_VECTOR, .length = 8), "w left"},
    {X(.type = "v", .kind = COL_TEXT, .length = 9, .generated = true), TEXT("v", 9),
     "F left l.lt.x v is generated"},
};

static void test_pairs(void **state)
{
    (void)state;
    struct config_link c = make_config(x_columns, 2);
    for (size_t i = 0; i < sizeof(pair_cases) / sizeof(*pair_cases); i++) {
        const struct pair_case *p = &pair_cases[i];
        const struct spec left[] = {ID, p->left, VERSION, UPDATED, SYNCED, {0}};
        const struct spec right[] = {ID, p->right, VERSION, UPDATED, SYNCED, {0}};
        struct buf said = BUF_INIT;
        struct link *l = build(&c, left, right, &said);
        if (strncmp(text_of(&said), p->said, strlen(p->said)) != 0 || (*p->said == '\0' && said.len > 0))
            fail_msg("case %zu\n  wanted: %s\n  got:    %s", i, p->said, text_of(&said));
        assert_int_equal(l == NULL, *p->said == 'F');
        link_free(l);
        buf_done(&said);
    }
}

/* The seed with one thing changed on the right, or on the left. */
static const struct whole_case {
    enum side side;
    size_t at; /* which column; MAX_COLUMNS: another one behind the last */
    struct spec column;
    const char *said;
} whole_cases[] = {
    {SIDE_RIGHT, 1, X(.type = "int", .kind = COL_INT),
     "F right r.rt has no column name; it has id, x, email, created_at"},
    {SIDE_RIGHT,
     0,
     {.name = "id", .type = "bigint", .kind = COL_INT, .length = 8, .is_unsigned = true, .nullable = true},
     "F right r.rt.id bigint is a key column and may be NULL; a row without a key cannot be found "
     "[ALTER TABLE `r`.`rt` MODIFY `id` bigint NOT NULL;"},
    {SIDE_RIGHT, 4, X(.type = "int", .kind = COL_INT, .has_default = true),
     "F right r.rt has no column sync_version (version) [ALTER TABLE `r`.`rt` ADD COLUMN `sync_version` "
     "BIGINT UNSIGNED "
     "NOT NULL DEFAULT 1; -- as sql/003_add_sync_fields.sql does"},
    {SIDE_LEFT, 6, X(.type = "int", .kind = COL_INT, .has_default = true),
     "F left l.lt has no column last_sync_at (synced_at) [ALTER TABLE `l`.`lt` ADD COLUMN `last_sync_at` "
     "TIMESTAMP(6) NULL"},
    {SIDE_LEFT,
     4,
     {.name = "sync_version", .type = "varchar(9)", .kind = COL_TEXT},
     "F left l.lt.sync_version varchar(9) must be an integer"},
    {SIDE_LEFT,
     5,
     {.name = "updated_at", .type = "date", .kind = COL_DATE},
     "F left l.lt.updated_at date must be a TIMESTAMP or DATETIME"},
    {SIDE_LEFT,
     5,
     {.name = "updated_at", .type = "timestamp", .kind = COL_TIMESTAMP},
     "F right r.rt.updated_at timestamp(6) -> left l.lt.updated_at timestamp: digits of a second do not fit, "
     "and "
     "nearly every row has them [ALTER TABLE `l`.`lt` MODIFY `updated_at` timestamp(6) NOT NULL;"},
    {SIDE_RIGHT, MAX_COLUMNS, X(.type = "varchar(9)", .kind = COL_TEXT, .length = 9),
     "F right r.rt.x varchar(9) is NOT NULL, has no default and is not mapped: a row from the other side "
     "could not be "
     "inserted [ALTER TABLE `r`.`rt` ALTER COLUMN `x` SET DEFAULT '';]"},
    {SIDE_RIGHT, MAX_COLUMNS, X(.type = "int(11)", .kind = COL_INT), "SET DEFAULT 0;]"},
    {SIDE_RIGHT, MAX_COLUMNS, X(.type = "text", .kind = COL_TEXT),
     "MODIFY `x` text CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL"},
    /* 254 characters: 254 + 28 bytes in base64 are 376 */
    {SIDE_LEFT,
     2,
     {.name = "email_encrypted", .type = "varchar(375)", .kind = COL_TEXT, .length = 375},
     "F left l.lt.email_encrypted varchar(375) is too narrow: sealed, the longest value of right r.rt.email "
     "varchar(254) has "
     "376 characters, here fit values of 251 bytes [ALTER TABLE `l`.`lt` MODIFY `email_encrypted` "
     "VARCHAR(1392) CHARACTER SET"},
    {SIDE_LEFT,
     2,
     {.name = "email_encrypted", .type = "bigint", .kind = COL_INT},
     "F left l.lt.email_encrypted bigint cannot hold sealed values"},
    {SIDE_LEFT,
     2,
     {.name = "email_encrypted", .type = "binary(200)", .kind = COL_BINARY, .length = 200, .fixed = true},
     "F left l.lt.email_encrypted binary(200) cannot hold sealed values"},
};

static void test_wholes(void **state)
{
    (void)state;
    struct config_link c = make_config(seed_columns, 4);
    for (size_t i = 0; i < sizeof(whole_cases) / sizeof(*whole_cases); i++) {
        const struct whole_case *w = &whole_cases[i];
        struct spec specs[2][MAX_COLUMNS] = {{{0}}};
        memcpy(specs[SIDE_LEFT], LEFT, sizeof(LEFT));
        memcpy(specs[SIDE_RIGHT], RIGHT, sizeof(RIGHT));
        specs[w->side][w->at == MAX_COLUMNS ? 7 : w->at] = w->column;
        struct buf said = BUF_INIT;
        assert_null(build(&c, specs[SIDE_LEFT], specs[SIDE_RIGHT], &said));
        if (strstr(text_of(&said), w->said) == NULL)
            fail_msg("case %zu\n  wanted: %s\n  got:    %s", i, w->said, text_of(&said));
        buf_done(&said);
    }
}

/* Every boundary of the sealed width: what fits by our count is what the cipher makes. */
static void test_keys_must_be_told_apart_alike(void **state)
{
    struct spec specs[2][MAX_COLUMNS] = {{{0}}};
    struct buf said = BUF_INIT;
    struct config_link c = make_config(seed_columns, 4);

    (void)state;
    memcpy(specs[SIDE_LEFT], LEFT, sizeof(LEFT));
    memcpy(specs[SIDE_RIGHT], RIGHT, sizeof(RIGHT));
    specs[SIDE_LEFT][0] = (struct spec){.name = "id", .type = "varchar(9)", .kind = COL_TEXT, .length = 9};
    specs[SIDE_RIGHT][0] = specs[SIDE_LEFT][0];
    specs[SIDE_RIGHT][0].charset = "latin1";
    assert_null(build(&c, specs[SIDE_LEFT], specs[SIDE_RIGHT], &said));
    assert_non_null(
        strstr(text_of(&said), "are key columns with different collations (utf8mb4_bin, latin1_bin)"));
    assert_non_null(
        strstr(text_of(&said), "MODIFY `id` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"));
    buf_done(&said);
}

/* A UUID is not sorted as its text is. */
static void test_keys_must_be_sorted_alike(void **state)
{
    struct spec specs[2][MAX_COLUMNS] = {{{0}}};
    struct buf said = BUF_INIT;
    struct config_link c = make_config(seed_columns, 4);

    (void)state;
    memcpy(specs[SIDE_LEFT], LEFT, sizeof(LEFT));
    memcpy(specs[SIDE_RIGHT], RIGHT, sizeof(RIGHT));
    specs[SIDE_LEFT][0] = (struct spec){.name = "id", .type = "uuid", .kind = COL_UUID};
    specs[SIDE_RIGHT][0] = (struct spec){.name = "id", .type = "char(36)", .kind = COL_TEXT, .length = 36};
    assert_null(build(&c, specs[SIDE_LEFT], specs[SIDE_RIGHT], &said));
    assert_non_null(
        strstr(text_of(&said), "sorted differently: a key column of uuid needs the same type on both"));
    buf_clear(&said);
    specs[SIDE_RIGHT][0] = specs[SIDE_LEFT][0];
    struct link *l = build(&c, specs[SIDE_LEFT], specs[SIDE_RIGHT], &said);
    assert_non_null(l);
    assert_false(l->loose_keys);
    link_free(l);
    buf_done(&said);
}

static void test_sealed_width_is_that_of_the_cipher(void **state)
{
    (void)state;
    static const unsigned char key[1][CIPHER_KEY_BYTES] = {{1}};
    struct keyring *ring = keyring_new(key, 1);
    for (enum cipher_encoding e = CIPHER_BASE64; e <= CIPHER_HEX; e++) {
        for (size_t plain = 1; plain < 40; plain++) {
            struct config_column columns[] = {x_columns[0], x_columns[1]};
            columns[1].ciphered = true;
            columns[1].sealed_side = SIDE_RIGHT;
            columns[1].encoding = e;
            columns[1].key.env = env_name;
            struct config_link c = make_config(columns, 2);
            char text[40] = {0};
            struct buf sealed = BUF_INIT, said = BUF_INIT;
            struct err err = ERR_INIT;
            assert_true(cipher_seal(ring, e, text, plain, &sealed, &err));
            for (size_t less = 0; less < 2; less++) {
                const struct spec left[] = {
                    ID, X(.type = "v", .kind = COL_BINARY, .length = plain), VERSION, UPDATED, SYNCED, {0}};
                const struct spec right[] = {
                    ID,      X(.type = "s", .kind = COL_TEXT, .length = sealed.len - less),
                    VERSION, UPDATED,
                    SYNCED,  {0}};
                buf_clear(&said);
                struct link *l = build(&c, left, right, &said);
                if ((l == NULL) != (less == 1))
                    fail_msg("%zu bytes, sealed %zu, column %zu: %s", plain, sealed.len, sealed.len - less,
                             text_of(&said));
                link_free(l);
            }
            buf_done(&sealed);
            buf_done(&said);
        }
    }
    keyring_free(ring);
}

static void test_key_without_unique_index(void **state)
{
    (void)state;
    struct config_link c = make_config(seed_columns, 4);
    struct buf said = BUF_INIT;
    struct table *left = make_table("l", "lt", LEFT), *right = make_table("r", "rt", RIGHT);
    right->keys[0].columns[0] = 2; /* UNIQUE (email) only */
    assert_null(link_build(&c, left, right, collect, &said));
    assert_non_null(strstr(text_of(&said),
                           "F right r.rt: key (id) is not UNIQUE; no PRIMARY or UNIQUE key has just these "
                           "columns [ALTER TABLE `r`.`rt` ADD UNIQUE KEY twinlog_key (`id`);]"));
    assert_null(strstr(text_of(&said), "F left"));
    buf_done(&said);
}

/* All problems come out at once. */
static void test_several_problems(void **state)
{
    (void)state;
    struct config_link c = make_config(seed_columns, 4);
    struct buf said = BUF_INIT;
    const struct spec right[] = {ID, VERSION, {0}};
    assert_null(build(&c, LEFT, right, &said));
    static const char *const wanted[] = {"no column name;", "no column email;", "no column created_at;",
                                         "no column updated_at (", "no column last_sync_at ("};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
        if (strstr(text_of(&said), wanted[i]) == NULL)
            fail_msg("%s is not in\n%s", wanted[i], text_of(&said));
    buf_done(&said);
}

static void test_keys_are_read_again(void **state)
{
    (void)state;
    struct config_link c = make_config(seed_columns, 4);
    struct buf said = BUF_INIT, sealed = BUF_INIT, plain = BUF_INIT;
    struct err err = ERR_INIT;
    struct link *l = build(&c, LEFT, RIGHT, &said);
    assert_non_null(l);
    assert_true(cipher_seal(l->fields[2].keys, CIPHER_BASE64, "a", 1, &sealed, &err));

    setenv(env_name, "short", 1); /* refused: the old key stays */
    assert_false(link_reload_keys(l, &c, &err));
    assert_non_null(strstr(err.text, "key of column email_encrypted: TWINLOG_TEST_LINK_KEY: "));
    assert_true(cipher_open(l->fields[2].keys, CIPHER_BASE64, sealed.data, sealed.len, &plain));

    setenv(env_name, KEY_B, 1);
    assert_true(link_reload_keys(l, &c, &err));
    assert_false(cipher_open(l->fields[2].keys, CIPHER_BASE64, sealed.data, sealed.len, &plain));
    setenv(env_name, KEY_A, 1);
    assert_true(link_reload_keys(l, &c, &err));
    assert_true(cipher_open(l->fields[2].keys, CIPHER_BASE64, sealed.data, sealed.len, &plain));
    assert_string_equal(plain.data, "aa");
    buf_done(&said);
    buf_done(&sealed);
    buf_done(&plain);
    link_free(l);

    unsetenv(env_name);
    assert_null(build(&c, LEFT, RIGHT, &said));
    assert_non_null(strstr(
        text_of(&said),
        "F key of column email_encrypted: TWINLOG_TEST_LINK_KEY: the environment variable is not set"));
    setenv(env_name, KEY_A, 1);
    buf_done(&said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_wholes),
        cmocka_unit_test(test_keys_must_be_told_apart_alike),
        cmocka_unit_test(test_keys_must_be_sorted_alike),
        cmocka_unit_test(test_sealed_width_is_that_of_the_cipher),
        cmocka_unit_test(test_key_without_unique_index),
        cmocka_unit_test(test_several_problems),
        cmocka_unit_test(test_keys_are_read_again),
    };
    setenv(env_name, KEY_A, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
