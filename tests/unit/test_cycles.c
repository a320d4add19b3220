/* Which rows in quarantine are in each other's way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "appliers/cycles.h"

enum { ID, MAIL, NICK, NFIELDS, MAX_ROWS = 8 };

static struct column columns[NFIELDS] = {
    {.name = "id", .kind = COL_INT, .length = 8, .in_unique = true},
    {.name = "mail", .kind = COL_TEXT, .length = 100, .in_unique = true},
    {.name = "nick", .kind = COL_TEXT, .length = 100, .nullable = true, .in_unique = true},
};
static struct field fields[NFIELDS];
static size_t key_field = ID;
static struct link link_of_test = {.fields = fields, .nfields = NFIELDS, .key = &key_field, .nkey = 1};

static struct value values[2 * MAX_ROWS][NFIELDS];
static struct waiting_row rows[MAX_ROWS];
static size_t nrows;

static struct value text(const char *s)
{
    return s != NULL ? (struct value){s, (uint32_t)strlen(s), VALUE_SET}
                     : (struct value){NULL, 0, VALUE_NULL};
}

static const struct value *row_of(size_t at, const char *mail, const char *nick)
{
    values[at][ID] = text("1"); /* of the key, which is in no one's way */
    values[at][MAIL] = text(mail);
    values[at][NICK] = text(nick);
    return values[at];
}

/* NULL as an e-mail: there is no row. */
static void add(enum side source, const char *wants, const char *wants_nick, const char *holds,
                const char *holds_nick)
{
    struct waiting_row *w = &rows[nrows];

    w->source = source;
    w->wanted = wants != NULL ? row_of(2 * nrows, wants, wants_nick) : NULL;
    w->held = holds != NULL ? row_of(2 * nrows + 1, holds, holds_nick) : NULL;
    nrows++;
}

/* As bits. */
static unsigned set_of(size_t first)
{
    struct cycles *c = cycles_new(&link_of_test, rows, nrows);
    size_t members[MAX_ROWS], n = cycles_of(c, first, members);
    unsigned bits = 0;

    assert_int_equal(members[0], first);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(bits & 1u << members[i], 0);
        bits |= 1u << members[i];
    }
    cycles_free(c);
    return bits;
}

static int begin(void **state)
{
    (void)state;
    for (size_t i = 0; i < NFIELDS; i++)
        fields[i] = (struct field){.column = {&columns[i], &columns[i]}};
    nrows = 0;
    return 0;
}

static void rows_that_exchange_a_value_belong_together(void **state)
{
    (void)state;
    add(SIDE_LEFT, "b", NULL, "a", NULL);
    add(SIDE_LEFT, "x", NULL, "y", NULL); /* has nothing to do with it */
    add(SIDE_LEFT, "a", NULL, "b", NULL);
    assert_int_equal(set_of(0), 5);
    assert_int_equal(set_of(2), 5);
    assert_int_equal(set_of(1), 2);
}

static void a_ring_is_followed_through_all_its_fields(void **state)
{
    (void)state;
    add(SIDE_LEFT, "b", "1", "a", "1");
    add(SIDE_LEFT, "b", "3", "b", "2");
    add(SIDE_LEFT, "c", "4", "c", "3");
    add(SIDE_LEFT, "a", "5", "d", "4");
    assert_int_equal(set_of(0), 15);
    assert_int_equal(set_of(3), 15);
}

static void only_what_is_in_the_way_is_taken(void **state)
{
    (void)state;
    add(SIDE_LEFT, "b", NULL, "a", NULL);   /* wants what the next one holds */
    add(SIDE_LEFT, "new", NULL, "b", NULL); /* which wants nothing of anybody */
    add(SIDE_LEFT, NULL, NULL, "c", NULL);  /* is to go */
    add(SIDE_LEFT, "c", NULL, NULL, NULL);  /* and is waited for by one that is not there */
    assert_int_equal(set_of(0), 3);
    assert_int_equal(set_of(1), 2);
    assert_int_equal(set_of(2), 4);
    assert_int_equal(set_of(3), 12);
}

static void rows_of_different_sides_and_values_that_are_none_do_not_meet(void **state)
{
    (void)state;
    add(SIDE_LEFT, "b", NULL, "a", NULL);
    add(SIDE_RIGHT, "a", NULL, "b", NULL); /* its `held` stands on the left */
    add(SIDE_LEFT, "d", "e", "e", "d");    /* the same text, but of another column */
    assert_int_equal(set_of(0), 1);
    assert_int_equal(set_of(1), 2);
    assert_int_equal(set_of(2), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(rows_that_exchange_a_value_belong_together, begin),
        cmocka_unit_test_setup(a_ring_is_followed_through_all_its_fields, begin),
        cmocka_unit_test_setup(only_what_is_in_the_way_is_taken, begin),
        cmocka_unit_test_setup(rows_of_different_sides_and_values_that_are_none_do_not_meet, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
