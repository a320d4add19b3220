/* Rows that exchange UNIQUE values go by way of a value that nobody has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "appliers/park.h"

enum { ID, MAIL, NICK, NUMBER, VERSION, UPDATED, NFIELDS };

static struct column columns[NFIELDS] = {
    {.name = "id", .kind = COL_INT, .length = 8, .in_unique = true},
    {.name = "mail", .kind = COL_TEXT, .length = 100, .in_unique = true},
    {.name = "nick", .kind = COL_TEXT, .length = 10, .nullable = true, .in_unique = true},
    {.name = "number", .kind = COL_INT, .length = 2, .in_unique = true},
    {.name = "sync_version", .kind = COL_INT, .length = 8},
    {.name = "updated_at", .kind = COL_TIMESTAMP},
};
static struct field fields[NFIELDS];
static size_t key_field = ID;
static struct link link_of_test = {.fields = fields, .nfields = NFIELDS, .key = &key_field, .nkey = 1};

static struct value text(const char *s) { return (struct value){s, (uint32_t)strlen(s), VALUE_SET}; }

static void fill_row(struct value row[NFIELDS], const char *id, const char *mail, const char *nick,
                     const char *number)
{
    row[ID] = text(id);
    row[MAIL] = text(mail);
    row[NICK] = nick != NULL ? text(nick) : (struct value){NULL, 0, VALUE_NULL};
    row[NUMBER] = text(number);
    row[VERSION] = text("1");
    row[UPDATED] = text("2026-01-01 00:00:00");
}

static void test_an_exchange_is_parked_first(void **state)
{
    struct value one[NFIELDS], two[NFIELDS], one_after[NFIELDS], two_after[NFIELDS];
    struct arena arena;
    struct row_write *out;

    (void)state;
    fill_row(one, "1", "a@x", "ann", "1");
    fill_row(two, "2", "b@x", "bob", "2");
    fill_row(one_after, "1", "b@x", "bob", "2");
    fill_row(two_after, "2", "a@x", "ann", "1");
    const struct row_write writes[] = {{{"1", 1}, one, one_after}, {{"2", 1}, two, two_after}};

    arena_init(&arena);
    assert_int_equal(park_writes(&link_of_test, SIDE_RIGHT, writes, 2, &arena, &out), 4);
    assert_ptr_equal(out[0].before, one);
    assert_ptr_equal(out[2].before, out[0].after);
    assert_ptr_equal(out[2].after, one_after);
    assert_ptr_equal(out[3].before, out[1].after);
    assert_ptr_equal(out[3].after, two_after);
    for (int i = 0; i < 2; i++) {
        const struct value *parked = out[i].after;

        assert_true(value_equal(&parked[ID], &writes[i].before[ID]));
        assert_false(value_equal(&parked[MAIL], &one[MAIL]));
        assert_false(value_equal(&parked[MAIL], &two[MAIL]));
        assert_int_equal(parked[MAIL].len, 24);
        assert_int_equal(parked[NICK].state, VALUE_NULL);
        int64_t number;

        assert_true(value_to_int64(&parked[NUMBER], &number));
        assert_in_range(number, 0, INT16_MAX);
    }
    assert_false(value_equal(&out[0].after[MAIL], &out[1].after[MAIL]));
    arena_done(&arena);
}

static void test_what_changes_no_unique_value_stays_as_it_is(void **state)
{
    struct value one[NFIELDS], after[NFIELDS];
    struct arena arena;
    struct row_write *out;

    (void)state;
    fill_row(one, "1", "a@x", NULL, "1");
    fill_row(after, "1", "a@x", NULL, "1");
    after[VERSION] = text("2");
    const struct row_write writes[] = {{{"3", 1}, NULL, after}, {{"1", 1}, one, after}, {{"2", 1}, one, NULL}};

    arena_init(&arena);
    assert_int_equal(park_writes(&link_of_test, SIDE_RIGHT, writes, 3, &arena, &out), 3);
    assert_null(out[0].after); /* deletes first */
    assert_null(out[1].before);
    assert_ptr_equal(out[2].before, one);
    assert_ptr_equal(out[2].after, after);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_exchange_is_parked_first),
        cmocka_unit_test(test_what_changes_no_unique_value_stays_as_it_is),
    };

    for (size_t i = 0; i < NFIELDS; i++) {
        columns[i].ordinal = i;
        fields[i] = (struct field){.column = {&columns[i], &columns[i]}};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
