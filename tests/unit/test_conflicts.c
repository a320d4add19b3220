/* The newest conflicts in memory: how many are kept, in which order, and that each is a copy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/conflicts.h"

static struct column column_id = {.name = "id", .kind = COL_INT};
static struct field field_id = {.column = {&column_id, &column_id}};
static size_t key_field = 0;
static const struct link link_of_test = {
    .name = "users", .fields = &field_id, .nfields = 1, .key = &key_field, .nkey = 1};

static const wall_us NOW = {1000000};

static void add(struct conflicts *c, uint64_t id, const char *columns)
{
    char bytes[4 + 20] = {0};
    int len = snprintf(bytes + 4, sizeof bytes - 4, "%" PRIu64, id % 1000);
    struct conflict_record r = {
        .id = id,
        .key = {bytes, 4 + (size_t)len},
        .met = MET_RIGHT_TO_LEFT,
        .rule = RULE_UPDATED_AT,
        .winner = SIDE_RIGHT,
        .row = {{true, 1, 2}, {false, VALUE_INT_NONE, INT64_MIN}},
        .columns = columns,
    };

    bytes[0] = (char)len;
    conflicts_add(c, &r, NOW);
    memset(bytes, 'x', sizeof bytes); /* a copy was made */
}

struct seen {
    size_t count;
    uint64_t ids[2000];
    struct conflict last;
    char key[32], columns[32];
};

static void see(void *arg, const struct conflict *c)
{
    struct seen *s = arg;

    s->ids[s->count++] = c->id;
    s->last = *c;
    snprintf(s->key, sizeof s->key, "%s", c->key);
    snprintf(s->columns, sizeof s->columns, "%s", c->columns);
}

/* The ids that are there, the newest first, "12 11 9". */
static void assert_ids(struct conflicts *c, const char *expected)
{
    struct seen s = {0};
    char ids[400] = "";
    size_t len = 0;

    size_t count = conflicts_each(c, SIZE_MAX, see, &s);

    assert_int_equal(count, s.count);
    for (size_t i = 0; i < s.count; i++)
        len += (size_t)snprintf(ids + len, sizeof ids - len, "%s%" PRIu64, i > 0 ? " " : "", s.ids[i]);
    assert_string_equal(ids, expected);
}

static void test_names(void **state)
{
    static const char *const met[] = {"left_to_right", "right_to_left", "resync"};
    static const char *const rules[] = {"version", "updated_at", "authority", "delete_vs_update", "force"};

    (void)state;
    for (int i = MET_LEFT_TO_RIGHT; i <= MET_RESYNC; i++)
        assert_string_equal(conflict_met_name((enum conflict_met)i), met[i]);
    for (int i = RULE_VERSION; i <= RULE_FORCE; i++)
        assert_string_equal(conflict_rule_name((enum conflict_rule)i), rules[i]);
}

static void test_what_is_shown(void **state)
{
    struct conflicts *c = conflicts_new(&link_of_test, 10);
    struct seen s = {0};

    (void)state;
    assert_int_equal(conflicts_keep(c), 10);
    assert_int_equal(conflicts_each(c, 10, see, &s), 0);
    add(c, 7, "name,mail");
    assert_int_equal(conflicts_each(c, 10, see, &s), 1);
    assert_string_equal(s.last.link, "users");
    assert_int_equal(s.last.id, 7);
    assert_int_equal(s.last.at.v, NOW.v); /* it said no time */
    assert_string_equal(s.key, "id=7");
    assert_string_equal(s.last.met, "right_to_left");
    assert_string_equal(s.last.rule, "updated_at");
    assert_int_equal(s.last.winner, SIDE_RIGHT);
    assert_true(s.last.row[SIDE_LEFT].present && s.last.row[SIDE_LEFT].version == 1 &&
                s.last.row[SIDE_LEFT].updated_us == 2);
    assert_false(s.last.row[SIDE_RIGHT].present);
    assert_string_equal(s.columns, "name,mail");

    struct conflict_record r = {.id = 8, .at = {5}, .key = {"", 0}};

    conflicts_add(c, &r, NOW);
    s.count = 0;
    assert_true(conflicts_find(c, 8, see, &s));
    assert_int_equal(s.last.at.v, 5); /* as the table has it */
    assert_string_equal(s.columns, "");
    assert_string_equal(s.key, "(not a key)");
    conflicts_free(c);
    conflicts_free(NULL);
}

static void test_order_duplicates_and_find(void **state)
{
    struct conflicts *c = conflicts_new(&link_of_test, 10);
    struct seen s = {0};

    (void)state;
    assert_false(conflicts_find(c, 1, see, &s));
    add(c, 5, "first");
    add(c, 9, "nine");
    add(c, 7, "seven");
    add(c, 2, "two");
    add(c, 5, "again");
    assert_ids(c, "9 7 5 2");
    assert_true(conflicts_find(c, 5, see, &s));
    assert_string_equal(s.columns, "first"); /* one that is there is left as it is */
    assert_true(conflicts_find(c, 9, see, &s));
    assert_string_equal(s.columns, "nine");
    assert_true(conflicts_find(c, 2, see, &s));
    assert_int_equal(s.count, 3);
    for (uint64_t id = 0; id < 12; id++)
        assert_int_equal(conflicts_find(c, id, see, &s), id == 2 || id == 5 || id == 7 || id == 9);

    s.count = 0;
    assert_int_equal(conflicts_each(c, 2, see, &s), 4);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.ids[0], 9);
    assert_int_equal(s.ids[1], 7);
    assert_int_equal(conflicts_each(c, 0, see, &s), 4);
    assert_int_equal(s.count, 2);
    conflicts_free(c);
}

static void test_how_many_are_kept(void **state)
{
    struct conflicts *none = conflicts_new(&link_of_test, 0), *one = conflicts_new(&link_of_test, 1),
                     *ten = conflicts_new(&link_of_test, 10);

    (void)state;
    for (uint64_t id = 1; id <= 25; id++) {
        add(none, id, "");
        add(one, id, "");
        add(ten, id, "");
        struct seen s = {0};

        assert_int_equal(conflicts_each(none, 100, see, &s), 0);
        assert_int_equal(conflicts_each(one, 100, see, &s), 1);
        assert_int_equal(s.ids[0], id);
        s.count = 0;
        assert_in_range(conflicts_each(ten, 100, see, &s), id < 9 ? id : 9, 10);
        for (size_t i = 0; i < s.count; i++)
            assert_int_equal(s.ids[i], id - i); /* the newest, and no gap */
    }
    conflicts_free(none);
    conflicts_free(one);
    conflicts_free(ten);
}

/* When the tables are loaded they come the newest first, and each side has its own. */
static void test_what_is_full_keeps_the_newest(void **state)
{
    struct conflicts *c = conflicts_new(&link_of_test, 10);
    struct conflicts *one = conflicts_new(&link_of_test, 1);

    (void)state;
    for (uint64_t id = 30; id > 20; id--)
        add(c, id, "");
    assert_ids(c, "30 29 28 27 26 25 24 23 22 21");
    for (uint64_t id = 30; id > 20; id--)
        add(c, id, "again"); /* nothing is new: nothing has to go */
    assert_ids(c, "30 29 28 27 26 25 24 23 22 21");
    for (uint64_t id = 20; id > 10; id--)
        add(c, id, ""); /* older than all that is there */
    assert_ids(c, "30 29 28 27 26 25 24 23 22 21");

    add(one, 5, "");
    add(one, 4, "");
    assert_ids(one, "5");
    add(one, 6, "");
    assert_ids(one, "6");
    conflicts_free(c);
    conflicts_free(one);
}

/* Whatever the order in which they come: what is there are the newest of all that came, and nearly as many as may be. */
static void test_any_order(void **state)
{
    enum { ROUNDS = 60, IDS = 300 };
    unsigned seed = 11;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        size_t keep = (size_t)rand_r(&seed) % 40 + 1;
        struct conflicts *c = conflicts_new(&link_of_test, keep);
        bool came[IDS + 1] = {false};
        uint64_t at = round % 3 == 0 ? 1 : IDS; /* drifts up, or down, or jumps about */

        for (int i = 0; i < 400; i++) {
            struct seen s = {0};

            at = round % 3 == 2 ? (uint64_t)rand_r(&seed) % IDS + 1
                                : at + (uint64_t)rand_r(&seed) % 4 - (round % 3 == 0 ? 0 : 3);
            if (at < 1 || at > IDS)
                break;
            add(c, at, "");
            came[at] = true;
            assert_in_range(conflicts_each(c, SIZE_MAX, see, &s), 1, keep);
            size_t n = 0, total = 0;

            for (uint64_t id = IDS; id > 0; id--)
                if (came[id]) {
                    if (n < s.count)
                        assert_int_equal(s.ids[n++], id);
                    total++;
                }
            size_t least = total < keep ? total : keep;

            assert_true(s.count + keep / 10 + 1 > least);
        }
        conflicts_free(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_what_is_shown),
        cmocka_unit_test(test_order_duplicates_and_find),
        cmocka_unit_test(test_how_many_are_kept),
        cmocka_unit_test(test_what_is_full_keeps_the_newest),
        cmocka_unit_test(test_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
