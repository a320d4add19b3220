/* The rule of winner.h, step by step; then: swap what stands on the two sides, and the same row survives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "appliers/winner.h"

struct row_case {
    int present;
    struct winner_row row;
};

static const struct winner_row *row_of(const struct row_case *c) { return c->present ? &c->row : NULL; }

static void test_each_step_decides(void **state)
{
    static const struct {
        struct row_case left, right;
        enum side authority;
        int delete_beats_update;
        enum side winner;
        enum winner_why why;
    } cases[] = {
        {{1, {1, 1}}, {0, {0, 0}}, SIDE_RIGHT, 0, SIDE_LEFT, WINNER_DELETE},
        {{0, {0, 0}}, {1, {1, 1}}, SIDE_LEFT, 0, SIDE_RIGHT, WINNER_DELETE},
        {{1, {9, 9}}, {0, {0, 0}}, SIDE_LEFT, 1, SIDE_RIGHT, WINNER_DELETE},
        {{0, {0, 0}}, {1, {9, 9}}, SIDE_RIGHT, 1, SIDE_LEFT, WINNER_DELETE},
        {{1, {2, 1}}, {1, {1, 9}}, SIDE_RIGHT, 0, SIDE_LEFT, WINNER_VERSION},
        {{1, {1, 9}}, {1, {2, 1}}, SIDE_LEFT, 0, SIDE_RIGHT, WINNER_VERSION},
        {{1, {2, 2}}, {1, {2, 1}}, SIDE_RIGHT, 0, SIDE_LEFT, WINNER_UPDATED_AT},
        {{1, {2, 1}}, {1, {2, 2}}, SIDE_LEFT, 0, SIDE_RIGHT, WINNER_UPDATED_AT},
        {{1, {2, 2}}, {1, {2, 2}}, SIDE_LEFT, 0, SIDE_LEFT, WINNER_AUTHORITY},
        {{1, {2, 2}}, {1, {2, 2}}, SIDE_RIGHT, 0, SIDE_RIGHT, WINNER_AUTHORITY},
        {{1, {VALUE_INT_NONE, 2}}, {1, {INT64_MIN, 1}}, SIDE_LEFT, 0, SIDE_RIGHT, WINNER_VERSION},
        {{1, {UINT64_MAX, 1}}, {1, {INT64_MAX, 2}}, SIDE_RIGHT, 0, SIDE_LEFT, WINNER_VERSION},
        {{1, {-1, 2}}, {1, {UINT64_MAX, 1}}, SIDE_LEFT, 0, SIDE_RIGHT, WINNER_VERSION},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct winner_rule rule = {cases[i].authority, cases[i].delete_beats_update};
        enum winner_why why;

        assert_int_equal(winner_choose(&rule, row_of(&cases[i].left), row_of(&cases[i].right), &why),
                         cases[i].winner);
        assert_int_equal(why, cases[i].why);
    }
}

static void test_swapped_sides_choose_the_same_row(void **state)
{
    static const struct row_case rows[] = {
        {0, {0, 0}}, {1, {1, 1}}, {1, {1, 2}}, {1, {2, 1}}, {1, {VALUE_INT_NONE, 3}}, {1, {UINT64_MAX, 3}}};
    const size_t n = sizeof rows / sizeof rows[0];

    (void)state;
    for (size_t l = 0; l < n; l++)
        for (size_t r = 0; r < n; r++)
            for (int rule_no = 0; rule_no < 4; rule_no++) {
                struct winner_rule rule = {rule_no & 1 ? SIDE_RIGHT : SIDE_LEFT, rule_no >> 1};
                struct winner_rule swapped = {side_peer(rule.authority), rule.delete_beats_update};
                enum winner_why why, swapped_why;

                if (!rows[l].present && !rows[r].present)
                    continue;
                assert_int_equal(
                    winner_choose(&rule, row_of(&rows[l]), row_of(&rows[r]), &why),
                    side_peer(winner_choose(&swapped, row_of(&rows[r]), row_of(&rows[l]), &swapped_why)));
                assert_int_equal(why, swapped_why);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_step_decides),
        cmocka_unit_test(test_swapped_sides_choose_the_same_row),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
