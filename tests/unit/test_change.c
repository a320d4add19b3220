#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/model/change.h"

/* A link of four fields: tenant and name are the key, in this order. */
static char tenant_name[] = "tenant", name_name[] = "name";
static const struct column tenant = {.name = tenant_name, .kind = COL_INT};
static const struct column name = {.name = name_name, .kind = COL_TEXT};
static struct field fields[] = {
    {.column = {&name, &name}}, {.column = {&tenant, &tenant}}, {.column = {NULL}}, {.column = {NULL}}};
static size_t key_fields[] = {1, 0};
static const struct link pair = {.fields = fields, .nfields = 4, .key = key_fields, .nkey = 2};
static const struct link single = {.fields = fields, .nfields = 4, .key = key_fields, .nkey = 1};

static struct value text(const char *s) { return (struct value){s, (uint32_t)strlen(s), VALUE_SET}; }

static void make_row(struct value row[4], const char *tenant_text, struct value name_value)
{
    row[0] = name_value;
    row[1] = text(tenant_text);
    row[2] = text("1");
    row[3] = text("2026-01-05 10:11:12");
}

static void key_is_lengths_and_values(void **state)
{
    struct arena arena;
    struct value row[4], back[4];
    struct key k;
    (void)state;

    arena_init(&arena);
    make_row(row, "7", (struct value){"a\0b", 3, VALUE_SET});
    assert_true(key_of(&pair, row, &arena, &k));
    assert_int_equal(k.len, 12);
    assert_memory_equal(k.data,
                        "\1\0\0\0"
                        "7\3\0\0\0a\0b",
                        12);

    assert_true(key_to_row(&pair, &k, back));
    assert_true(value_equal(&back[0], &row[0]));
    assert_true(value_equal(&back[1], &row[1]));
    assert_int_equal(back[2].state, VALUE_MISSING);
    assert_int_equal(back[3].state, VALUE_MISSING);
    assert_ptr_equal(back[1].data, k.data + 4);
    arena_done(&arena);
}

static void long_values_have_long_lengths(void **state)
{
    struct arena arena;
    struct value row[4], back[4];
    struct key k;
    char *big = mem_zalloc(1, 70000);
    (void)state;

    arena_init(&arena);
    make_row(row, "7", (struct value){big, 70000, VALUE_SET});
    assert_true(key_of(&pair, row, &arena, &k));
    assert_memory_equal(k.data + 5, "\x70\x11\x01\x00", 4);
    assert_true(key_to_row(&pair, &k, back));
    assert_int_equal(back[0].len, 70000);
    arena_done(&arena);
    free(big);
}

static void no_key_without_its_values(void **state)
{
    static const enum value_state states[] = {VALUE_NULL, VALUE_MISSING, VALUE_SEALED};
    struct arena arena;
    struct value row[4];
    (void)state;

    arena_init(&arena);
    for (size_t i = 0; i < 3; i++) {
        struct key k = {"untouched", 9};
        make_row(row, "7", (struct value){"x", 1, states[i]});
        assert_false(key_of(&pair, row, &arena, &k));
        assert_string_equal(k.data, "untouched");
        assert_true(key_of(&single, row, &arena, &k)); /* name is no part of this one's key */
    }
    arena_done(&arena);
}

/* Where one value ends and the next begins makes a difference. */
static void different_rows_have_different_keys(void **state)
{
    static const char *const parts[] = {"", "1", "11", "111", "a", "1a", "a1"};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    struct arena arena;
    struct key keys[PARTS * PARTS];
    struct value row[4];
    (void)state;

    arena_init(&arena);
    for (size_t i = 0; i < PARTS * PARTS; i++) {
        make_row(row, parts[i / PARTS], text(parts[i % PARTS]));
        assert_true(key_of(&pair, row, &arena, &keys[i]));
        for (size_t k = 0; k < i; k++) {
            assert_false(key_equal(&keys[i], &keys[k]));
            assert_true(key_hash(&keys[i]) != key_hash(&keys[k]));
        }
        struct key copy = {arena_copy(&arena, keys[i].data, keys[i].len), keys[i].len};
        assert_true(key_equal(&keys[i], &copy));
        assert_true(key_hash(&keys[i]) == key_hash(&copy));
    }
    arena_done(&arena);
}

/* Keys 1..4096 over 1024 slots by the low bits: no slot gets many. */
static void hash_spreads(void **state)
{
    static unsigned char slot[1024];
    struct arena arena;
    struct value row[4];
    (void)state;

    arena_init(&arena);
    for (int i = 0; i < 4096; i++) {
        char number[12];
        struct key k;
        snprintf(number, sizeof number, "%d", i);
        make_row(row, number, text("x"));
        assert_true(key_of(&single, row, &arena, &k));
        unsigned char *n = &slot[key_hash(&k) % 1024];
        assert_in_range(++*n, 1, 20);
    }
    arena_done(&arena);
}

/* Every cut and every changed length byte of a key is either refused or read within its bytes (ASan looks on). */
static void other_bytes_are_no_key(void **state)
{
    struct arena arena;
    struct value row[4], back[4];
    struct key k;
    (void)state;

    arena_init(&arena);
    make_row(row, "7", text("abc"));
    assert_true(key_of(&pair, row, &arena, &k));
    for (size_t len = 0; len < k.len; len++) {
        char *cut = mem_alloc(len);
        memcpy(cut, k.data, len);
        assert_false(key_to_row(&pair, &(struct key){cut, len}, back));
        free(cut);
    }
    char *more = mem_alloc(k.len + 1);
    memcpy(more, k.data, k.len);
    more[k.len] = 0;
    assert_false(key_to_row(&pair, &(struct key){more, k.len + 1}, back));
    assert_false(key_to_row(&single, &k, back));
    free(more);

    for (size_t i = 0; i < k.len; i++) {
        for (int c = 0; c < 256; c++) {
            char *changed = mem_alloc(k.len);
            struct buf out = BUF_INIT;
            memcpy(changed, k.data, k.len);
            changed[i] = (char)c;
            const struct key other = {changed, k.len};
            bool ok = key_to_row(&pair, &other, back);
            if (ok)
                assert_int_equal(4 + back[1].len + 4 + back[0].len, k.len);
            key_print(&pair, &other, &out);
            assert_int_equal(strcmp(out.data, "(not a key)") == 0, !ok);
            buf_done(&out);
            free(changed);
        }
    }
    arena_done(&arena);
}

static void keys_are_printed(void **state)
{
    static const struct {
        const char *tenant;
        struct value name;
        const char *printed;
    } cases[] = {
        {"7", {"x\0y", 3, VALUE_SET}, "tenant=7,name=x\\x00y"},
        {"7", {"", 0, VALUE_SET}, "tenant=7,name="},
        {"-1", {"a b\n\x7f", 5, VALUE_SET}, "tenant=-1,name=a b\\x0a\\x7f"},
        {"7", {"\xc3\xa9\\x", 4, VALUE_SET}, "tenant=7,name=\\xc3\\xa9\\x5cx"},
    };
    struct arena arena;
    (void)state;

    arena_init(&arena);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct value row[4];
        struct key k;
        struct buf out = BUF_INIT;
        buf_adds(&out, "row ");
        make_row(row, cases[i].tenant, cases[i].name);
        assert_true(key_of(&pair, row, &arena, &k));
        key_print(&pair, &k, &out);
        assert_memory_equal(out.data, "row ", 4);
        assert_string_equal(out.data + 4, cases[i].printed);
        buf_done(&out);
    }
    arena_done(&arena);
}

static void long_keys_are_cut(void **state)
{
    static char long_text[1000];
    struct arena arena;
    (void)state;

    arena_init(&arena);
    for (int c = 0; c < 2; c++) {
        memset(long_text, c == 0 ? 'k' : 1, sizeof long_text);
        for (uint32_t len = 150; len < sizeof long_text; len += 10) {
            struct value row[4];
            struct key k;
            struct buf out = BUF_INIT;
            make_row(row, "7", (struct value){long_text, len, VALUE_SET});
            assert_true(key_of(&pair, row, &arena, &k));
            key_print(&pair, &k, &out);
            size_t whole = strlen("tenant=7,name=") + len * (c == 0 ? 1 : 4);
            assert_in_range(out.len, whole < 200 ? whole : 200, 206);
            assert_int_equal(strcmp(out.data + out.len - 3, "...") == 0, whole > 203);
            buf_done(&out);
        }
    }
    arena_done(&arena);
}

static void rows_are_compared_in_every_field(void **state)
{
    struct value a[4], b[4];
    (void)state;

    make_row(a, "7", text("x"));
    make_row(b, "7", text("x"));
    assert_true(row_equal(&pair, a, b));
    for (size_t i = 0; i < 4; i++) {
        make_row(b, "7", text("x"));
        b[i] = text("other");
        assert_false(row_equal(&pair, a, b));
        b[i].state = VALUE_NULL;
        assert_false(row_equal(&pair, a, b));
        struct value saved = a[i];
        a[i].state = VALUE_NULL;
        assert_true(row_equal(&pair, a, b));
        a[i].state = b[i].state = VALUE_SEALED;
        assert_false(row_equal(&pair, a, b));
        a[i] = saved;
    }
}

static void transactions_grow(void **state)
{
    struct tx *tx = tx_new();
    (void)state;

    size_t empty = tx_bytes(tx);
    assert_in_range(empty, sizeof *tx, 1000);
    for (uint64_t i = 0; i < 5000; i++) {
        memset(arena_alloc(&tx->arena, 20), 0xff, 20);
        struct change *c = tx_add_change(tx);
        assert_true(c->key.data == NULL && c->before == NULL && c->after == NULL && !c->incomplete &&
                    c->row_no == 0);
        c->row_no = i + 1;
    }
    assert_int_equal(tx->nchanges, 5000);
    for (uint64_t i = 0; i < 5000; i++)
        assert_int_equal(tx->changes[i].row_no, i + 1);

    size_t rows = tx_bytes(tx);
    assert_true(rows >= 5000 * (sizeof(struct change) + 20));
    pos_set_file(&tx->pos, "bin.000042", 10, 4);
    pos_add_gtid(&tx->pos, &(struct gtid){.kind = GTID_MARIADB, .domain = 0, .server = 1, .seq = 1});
    assert_int_equal(tx_bytes(tx), rows + 11 + sizeof(struct gtid));
    tx_free(tx);
    tx_free(NULL);
}

/* It is the transaction's own, whatever becomes of the one that was copied. */
static void transactions_have_positions(void **state)
{
    static const char *const texts[] = {"", "0-1-155,1-2-7",
                                        ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8:tag:3,"
                                         "4e11fa47-71ca-11e1-9e33-c80aa9429562:1-9")};
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct pos pos = POS_INIT, expected = POS_INIT;
        struct err err = ERR_INIT;
        struct tx *tx = tx_new();
        assert_true(pos_parse_gtids(&pos, texts[i], &err));
        pos_set_file(&pos, "bin.000042", 10, 4711);
        pos_set_server(&pos, i > 0 ? "1" : NULL);
        pos_copy(&expected, &pos);
        tx_set_pos(tx, &pos);
        pos_set_file(&pos, "bin.000043", 10, 4);
        if (pos.ngtids > 0)
            pos.gtids[0].seq = 1;
        if (pos.set.nsources > 0)
            pos.set.sources[0].ranges[0].last = 1;
        pos_done(&pos);
        assert_true(pos_equal(&tx->pos, &expected) && pos_equal(&expected, &tx->pos));
        assert_string_equal(tx->pos.file, "bin.000042");
        assert_int_equal(tx->pos.offset, 4711);
        assert_true(i > 0 ? strcmp(tx->pos.server, "1") == 0 : tx->pos.server == NULL);
        assert_int_equal(tx_bytes(tx), tx->arena.bytes);
        tx_free(tx);
        pos_done(&expected);
    }
}

/* Every part of a half-built link may be missing. */
static void links_are_freed(void **state)
{
    static const unsigned char keys[1][CIPHER_KEY_BYTES] = {"k"};
    (void)state;

    link_free(NULL);
    link_free(mem_zalloc(1, sizeof(struct link)));

    struct link *l = mem_zalloc(1, sizeof *l);
    l->name = mem_strdup("users");
    l->server[SIDE_RIGHT] = mem_strdup("customer");
    l->table[SIDE_LEFT] = mem_zalloc(1, sizeof *l->table[SIDE_LEFT]);
    l->nfields = 3;
    l->fields = mem_zalloc(3, sizeof *l->fields);
    l->fields[0].keys = keyring_new(keys, 1);
    l->key = mem_zalloc(1, sizeof *l->key);
    assert_int_equal(link_version_field(l), 1);
    assert_int_equal(link_updated_field(l), 2);
    link_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_is_lengths_and_values),
        cmocka_unit_test(long_values_have_long_lengths),
        cmocka_unit_test(no_key_without_its_values),
        cmocka_unit_test(different_rows_have_different_keys),
        cmocka_unit_test(hash_spreads),
        cmocka_unit_test(other_bytes_are_no_key),
        cmocka_unit_test(keys_are_printed),
        cmocka_unit_test(long_keys_are_cut),
        cmocka_unit_test(rows_are_compared_in_every_field),
        cmocka_unit_test(transactions_grow),
        cmocka_unit_test(transactions_have_positions),
        cmocka_unit_test(links_are_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
