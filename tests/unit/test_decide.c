/*
 * What becomes of two rows that differ: a conflict by the link's rule or by the order of the
 * resync that runs, a drift by its order; and what is put on record of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"

enum { ID, NAME, MAIL, VERSION, UPDATED, NFIELDS };

static struct column columns[2][NFIELDS] = {
    {{.name = "id"}, {.name = "name"}, {.name = "email_encrypted"}, {.name = "ver"}, {.name = "upd"}},
    {{.name = "ID"}, {.name = "Name"}, {.name = "email"}, {.name = "ver"}, {.name = "upd"}},
};
static struct field fields[NFIELDS];
static size_t key_field = ID;
static const struct link link_of_test = {.fields = fields, .nfields = NFIELDS, .key = &key_field, .nkey = 1};

static struct value text(const char *s)
{
    return s != NULL ? (struct value){s, (uint32_t)strlen(s), VALUE_SET}
                     : (struct value){NULL, 0, VALUE_NULL};
}

/* How a row stands: absent, or with a version and a time. */
struct state_of_row {
    bool present;
    const char *version, *updated;
};

static const struct value *fill(struct value row[NFIELDS], const struct state_of_row *s, const char *name)
{
    row[ID] = text("1");
    row[NAME] = text(name);
    row[MAIL] = text("a@x");
    row[VERSION] = text(s->version);
    row[UPDATED] = text(s->updated);
    return s->present ? row : NULL;
}

#define L SIDE_LEFT
#define R SIDE_RIGHT
#define T1 "2026-01-05 10:00:00"
#define T2 "2026-01-05 10:00:00.000001"

static const struct state_of_row ABSENT = {false, NULL, NULL}, V1 = {true, "1", T1},
                                 V1_LATER = {true, "1", T2}, V2 = {true, "2", T1},
                                 NO_VERSION = {true, NULL, T2},
                                 BELOW_ZERO = {true, "-9223372036854775808", T1},
                                 HALF = {true, "9223372036854775808", T1},
                                 MOST = {true, "18446744073709551615", T1}, NO_TIME = {true, "1", NULL};

static const struct job_order
    BOTH = {0},
    LEFT = {.has_from = true, .from = SIDE_LEFT}, RIGHT = {.has_from = true, .from = SIDE_RIGHT},
    FORCE_LEFT = {.has_from = true, .from = SIDE_LEFT, .force = true},
    FORCE_RIGHT = {.has_from = true, .from = SIDE_RIGHT, .force = true},
    DELETE_LEFT = {.has_from = true, .from = SIDE_LEFT, .delete_missing = true},
    DELETE_RIGHT = {.has_from = true, .from = SIDE_RIGHT, .delete_missing = true},
    ALL_LEFT = {.has_from = true, .from = SIDE_LEFT, .force = true, .delete_missing = true},
    ALL_RIGHT = {.has_from = true, .from = SIDE_RIGHT, .force = true, .delete_missing = true};

struct decide_case {
    const struct job_order *order; /* NULL: none runs */
    const struct state_of_row *left, *right;
    enum side authority;
    bool delete_beats_update;
    enum side winner;
    bool conflict;
    enum conflict_rule rule;
};

static void assert_decision(const struct decide_case *c, size_t i, struct decision have, const char *what)
{
    if (have.winner != c->winner || have.conflict != c->conflict || have.rule != c->rule)
        fail_msg("%s %zu: %s wins by %s, conflict %d", what, i, side_name(have.winner),
                 conflict_rule_name(have.rule), have.conflict);
}

static void test_a_conflict_is_decided_by_the_rule_or_by_force(void **state)
{
    static const struct decide_case cases[] = {
        /* No resync runs: the rule. */
        {NULL, &V1, &V2, L, false, R, true, RULE_VERSION},
        {NULL, &V2, &V1_LATER, R, false, L, true, RULE_VERSION},
        {NULL, &HALF, &V2, R, false, L, true, RULE_VERSION},
        {NULL, &HALF, &MOST, L, false, R, true, RULE_VERSION},
        {NULL, &MOST, &BELOW_ZERO, R, false, L, true, RULE_VERSION},
        {NULL, &NO_VERSION, &BELOW_ZERO, L, false, R, true, RULE_VERSION},
        {NULL, &V1, &V1_LATER, L, false, R, true, RULE_UPDATED_AT},
        {NULL, &V1, &V1, L, false, L, true, RULE_AUTHORITY},
        {NULL, &V1, &V1, R, false, R, true, RULE_AUTHORITY},
        {NULL, &V1, &ABSENT, R, false, L, true, RULE_DELETE},
        {NULL, &ABSENT, &V1, L, false, R, true, RULE_DELETE},
        {NULL, &V1, &ABSENT, L, true, R, true, RULE_DELETE},
        {NULL, &ABSENT, &V1, R, true, L, true, RULE_DELETE},
        /* What is NULL is older than anything. */
        {NULL, &NO_VERSION, &V1, L, false, R, true, RULE_VERSION},
        {NULL, &V1, &NO_TIME, R, false, L, true, RULE_UPDATED_AT},
        {NULL, &NO_TIME, &V1, L, false, R, true, RULE_UPDATED_AT},
        /* One that forces nothing changes nothing. */
        {&BOTH, &V1, &V2, L, false, R, true, RULE_VERSION},
        {&LEFT, &V1, &V2, L, false, R, true, RULE_VERSION},
        {&DELETE_LEFT, &V1, &V2, L, false, R, true, RULE_VERSION},
        {&DELETE_LEFT, &ABSENT, &V1, L, false, R, true, RULE_DELETE},
        /* Force. */
        {&FORCE_LEFT, &V1, &V2, R, false, L, true, RULE_FORCE},
        {&FORCE_RIGHT, &V2, &V1, L, false, R, true, RULE_FORCE},
        {&FORCE_LEFT, &V1, &ABSENT, R, true, L, true, RULE_FORCE},
        {&FORCE_RIGHT, &ABSENT, &V1, L, true, R, true, RULE_FORCE},
        /* Its absent row counts only if it was asked for. */
        {&FORCE_LEFT, &ABSENT, &V1, L, false, R, true, RULE_DELETE},
        {&FORCE_LEFT, &ABSENT, &V1, L, true, L, true, RULE_DELETE},
        {&FORCE_RIGHT, &V1, &ABSENT, R, false, L, true, RULE_DELETE},
        {&ALL_LEFT, &ABSENT, &V1, R, false, L, true, RULE_FORCE},
        {&ALL_RIGHT, &V1, &ABSENT, L, false, R, true, RULE_FORCE},
        {&ALL_RIGHT, &V2, &V1, L, false, R, true, RULE_FORCE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct decide_case *c = &cases[i];
        struct link link = link_of_test;
        struct value left[NFIELDS], right[NFIELDS];

        link.authority = c->authority;
        link.delete_beats_update = c->delete_beats_update;
        assert_decision(
            c, i, decide_conflict(&link, c->order, fill(left, c->left, "l"), fill(right, c->right, "r")),
            "conflict");
    }
}

static void test_a_drift_is_decided_by_the_order(void **state)
{
    static const struct decide_case cases[] = {
        /* A row that one side lacks is nobody's conflict: it is copied, or deleted if that was asked for. */
        {&BOTH, &V1, &ABSENT, R, true, L, false, RULE_DELETE},
        {&BOTH, &ABSENT, &V1, L, true, R, false, RULE_DELETE},
        {&LEFT, &ABSENT, &V1, L, true, R, false, RULE_DELETE},
        {&FORCE_LEFT, &ABSENT, &V1, L, true, R, false, RULE_DELETE},
        {&FORCE_RIGHT, &V1, &ABSENT, R, true, L, false, RULE_DELETE},
        {&DELETE_LEFT, &ABSENT, &V1, R, false, L, false, RULE_DELETE},
        {&DELETE_LEFT, &V1, &ABSENT, R, true, L, false, RULE_DELETE},
        {&DELETE_RIGHT, &V1, &ABSENT, L, false, R, false, RULE_DELETE},
        {&DELETE_RIGHT, &ABSENT, &V1, L, true, R, false, RULE_DELETE},
        {&ALL_LEFT, &ABSENT, &V1, R, false, L, false, RULE_DELETE},
        {&ALL_RIGHT, &ABSENT, &V1, L, true, R, false, RULE_DELETE},
        /* Two rows: the rule, unless a side is forced. */
        {&BOTH, &V1, &V2, L, false, R, true, RULE_VERSION},
        {&LEFT, &V1, &V2, L, false, R, true, RULE_VERSION},
        {&RIGHT, &V1_LATER, &V1, R, false, L, true, RULE_UPDATED_AT},
        {&DELETE_RIGHT, &V1, &V1, L, false, L, true, RULE_AUTHORITY},
        {&FORCE_LEFT, &V1, &V2, R, false, L, true, RULE_FORCE},
        {&FORCE_RIGHT, &V2, &NO_VERSION, L, false, R, true, RULE_FORCE},
        {&ALL_LEFT, &V1, &V2, R, false, L, true, RULE_FORCE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct decide_case *c = &cases[i];
        struct link link = link_of_test;
        struct value left[NFIELDS], right[NFIELDS];

        link.authority = c->authority;
        link.delete_beats_update = c->delete_beats_update;
        assert_decision(c, i,
                        decide_drift(&link, c->order, fill(left, c->left, "l"), fill(right, c->right, "r")),
                        "drift");
    }
}

/* Swap what stands on the two sides, the authority and whom the order means: the same row survives. */
static void test_swapped_sides_choose_the_same_row(void **state)
{
    static const struct state_of_row *const rows[] = {&ABSENT, &V1, &V1_LATER, &V2, &NO_VERSION, &NO_TIME};
    static const struct job_order *const orders[] = {NULL,        &BOTH,        &LEFT,        &RIGHT,
                                                     &FORCE_LEFT, &FORCE_RIGHT, &DELETE_LEFT, &DELETE_RIGHT,
                                                     &ALL_LEFT,   &ALL_RIGHT};
    enum { NROWS = sizeof rows / sizeof *rows, NORDERS = sizeof orders / sizeof *orders };

    (void)state;
    for (unsigned no = 0; no < NROWS * NROWS * NORDERS * 4; no++) {
        const struct state_of_row *l = rows[no % NROWS], *r = rows[no / NROWS % NROWS];
        const struct job_order *order = orders[no / NROWS / NROWS % NORDERS];
        unsigned rule_no = no / NROWS / NROWS / NORDERS;
        struct link link = link_of_test, mirror = link_of_test;
        struct job_order mirrored = order != NULL ? *order : BOTH;
        struct value a[NFIELDS], b[NFIELDS], c[NFIELDS], d[NFIELDS];

        if (!l->present && !r->present)
            continue;
        link.authority = rule_no & 1 ? SIDE_RIGHT : SIDE_LEFT;
        link.delete_beats_update = mirror.delete_beats_update = rule_no >> 1;
        mirror.authority = side_peer(link.authority);
        mirrored.from = side_peer(mirrored.from);

        struct decision one = decide_conflict(&link, order, fill(a, l, "l"), fill(b, r, "r"));
        struct decision other = decide_conflict(&mirror, order != NULL ? &mirrored : NULL, fill(c, r, "r"),
                                                fill(d, l, "l"));

        assert_int_equal(one.winner, side_peer(other.winner));
        assert_int_equal(one.rule, other.rule);
        if (order == NULL)
            continue;
        one = decide_drift(&link, order, fill(a, l, "l"), fill(b, r, "r"));
        other = decide_drift(&mirror, &mirrored, fill(c, r, "r"), fill(d, l, "l"));
        assert_int_equal(one.winner, side_peer(other.winner));
        assert_int_equal(one.conflict, other.conflict);
        assert_int_equal(one.rule, other.rule);
    }
}

static void test_same(void **state)
{
    struct value a[NFIELDS], b[NFIELDS];

    (void)state;
    fill(a, &V1, "x");
    fill(b, &V1, "x");
    assert_true(decide_same(&link_of_test, a, b));
    assert_true(decide_same(&link_of_test, NULL, NULL));
    assert_false(decide_same(&link_of_test, a, NULL));
    assert_false(decide_same(&link_of_test, NULL, b));
    b[UPDATED] = text(T2);
    assert_false(decide_same(&link_of_test, a, b));
    b[UPDATED] = a[UPDATED];
    a[MAIL].state = b[MAIL].state = VALUE_SEALED; /* what cannot be opened is never known to be the same */
    assert_false(decide_same(&link_of_test, a, b));
}

/* ---- Records ---- */

static void test_a_record_names_what_differed(void **state)
{
    struct value left[NFIELDS], right[NFIELDS];
    const struct key key = {"\1\0\0\0001", 5};
    struct conflict_record r;
    struct arena arena;

    (void)state;
    arena_init(&arena);
    fill(left, &V2, "x");
    fill(right, &V1_LATER, "y");
    right[MAIL] = text(NULL);
    decide_record(&link_of_test, &key, left, right, MET_RESYNC,
                  &(struct decision){SIDE_LEFT, true, RULE_FORCE}, &arena, &r);
    assert_string_equal(r.columns, "name,email_encrypted,ver,upd"); /* left names */
    assert_ptr_equal(r.key.data, key.data);
    assert_int_equal(r.key.len, key.len);
    assert_int_equal(r.id, 0);
    assert_int_equal(r.at.v, 0);
    assert_int_equal(r.met, MET_RESYNC);
    assert_int_equal(r.rule, RULE_FORCE);
    assert_int_equal(r.winner, SIDE_LEFT);
    assert_true(r.row[SIDE_LEFT].present && r.row[SIDE_RIGHT].present);
    assert_int_equal(r.row[SIDE_LEFT].version, 2);
    assert_int_equal(r.row[SIDE_RIGHT].version, 1);
    assert_int_equal(r.row[SIDE_RIGHT].updated_us - r.row[SIDE_LEFT].updated_us, 1);

    fill(right, &NO_VERSION, "x");
    right[UPDATED] = text("0000-00-00 00:00:00");
    decide_record(&link_of_test, &key, left, right, MET_LEFT_TO_RIGHT,
                  &(struct decision){SIDE_RIGHT, true, RULE_VERSION}, &arena, &r);
    assert_string_equal(r.columns, "ver,upd");
    assert_true(r.row[SIDE_RIGHT].version == VALUE_INT_NONE);
    assert_true(r.row[SIDE_RIGHT].updated_us == INT64_MIN);
    assert_int_equal(r.winner, SIDE_RIGHT);

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++) { /* the row of that side is absent */
        decide_record(&link_of_test, &key, s == SIDE_LEFT ? NULL : left, s == SIDE_LEFT ? left : NULL,
                      MET_RIGHT_TO_LEFT, &(struct decision){SIDE_LEFT, true, RULE_DELETE}, &arena, &r);
        assert_string_equal(r.columns, "");
        assert_false(r.row[s].present);
        assert_true(r.row[s].version == VALUE_INT_NONE && r.row[s].updated_us == INT64_MIN);
        assert_true(r.row[1 - s].present);
        assert_int_equal(r.row[1 - s].version, 2);
    }
    arena_done(&arena);
}

/* The list of columns is cut between two names, so that it fits into the table, where each
 * byte becomes a character, and a name has at most 64 characters of 3 bytes. */
static void test_very_many_columns(void **state)
{
    enum { MANY = 300, NAME_LEN = 64 * 3, ROOM = 512, ROUNDS = 2000 };
    static struct column many_columns[MANY];
    static struct field many[MANY];
    static char names[MANY][NAME_LEN + 1];
    struct value left[MANY], right[MANY];
    const struct link link = {.fields = many, .nfields = MANY, .key = &key_field, .nkey = 1};
    unsigned seed = 3;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        struct conflict_record r;
        struct arena arena;
        char expected[2 * ROOM] = "";
        size_t len = 0, longest = round % NAME_LEN + 1, i = 0;

        for (i = 0; i < MANY; i++) {
            size_t name_len = round < NAME_LEN ? longest : (size_t)rand_r(&seed) % longest + 1;

            memset(names[i], 'a' + (int)(i % 26), name_len);
            names[i][name_len] = '\0';
            many_columns[i].name = names[i];
            many[i].column[SIDE_LEFT] = &many_columns[i];
            left[i] = text("1");
            right[i] = text(i == 1 ? "1" : "2");
        }
        arena_init(&arena);
        decide_record(&link, &(struct key){"", 0}, left, right, MET_RESYNC,
                      &(struct decision){SIDE_LEFT, true, RULE_VERSION}, &arena, &r);
        assert_in_range(strlen(r.columns), 200, ROOM);
        for (i = 0; len + 4 < strlen(r.columns); i++)
            if (i != 1)
                len += (size_t)snprintf(expected + len, sizeof expected - len, "%s%s", i > 0 ? "," : "",
                                        names[i]);
        assert_true(i > 2);
        snprintf(expected + len, sizeof expected - len, ",...");
        assert_string_equal(r.columns, expected);
        arena_done(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_conflict_is_decided_by_the_rule_or_by_force),
        cmocka_unit_test(test_a_drift_is_decided_by_the_order),
        cmocka_unit_test(test_swapped_sides_choose_the_same_row),
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_a_record_names_what_differed),
        cmocka_unit_test(test_very_many_columns),
    };

    for (size_t i = 0; i < NFIELDS; i++)
        for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
            columns[s][i].kind = i == VERSION ? COL_INT : i == UPDATED ? COL_DATETIME : COL_TEXT;
            fields[i].column[s] = &columns[s][i];
        }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
