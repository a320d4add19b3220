/* Markers in memory, and the gate between a batch and a reconcile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "appliers/sync.h"

static struct link link_of_test;

static struct key key_text(char text[16], unsigned n)
{
    snprintf(text, 16, "key %u", n);
    return (struct key){text, strlen(text)};
}

static void test_a_change_is_superseded_until_its_marker_has_passed(void **state)
{
    struct link_sync *s = link_sync_new(&link_of_test);
    char a_text[16], b_text[16];
    struct key a = key_text(a_text, 1), b = key_text(b_text, 2);

    (void)state;
    assert_false(link_sync_superseded(s, SIDE_LEFT, &a, 0));
    link_sync_announce(s, SIDE_LEFT, &a, 5);
    link_sync_announce(s, SIDE_LEFT, &a, 9);
    assert_true(link_sync_superseded(s, SIDE_LEFT, &a, 0));
    assert_true(link_sync_superseded(s, SIDE_LEFT, &a, 8));
    assert_false(link_sync_superseded(s, SIDE_LEFT, &a, 9));
    assert_false(link_sync_superseded(s, SIDE_RIGHT, &a, 0));
    assert_false(link_sync_superseded(s, SIDE_LEFT, &b, 0));
    link_sync_free(s);
}

static void test_a_table_of_many_keys_forgets_only_what_has_passed(void **state)
{
    enum { KEYS = 5000 };
    struct link_sync *s = link_sync_new(&link_of_test);
    char text[16];

    (void)state;
    for (unsigned i = 1; i <= KEYS; i++) {
        struct key k = key_text(text, i);

        link_sync_announce(s, SIDE_RIGHT, &k, i);
        link_sync_saw_id(s, i);
        if (i == KEYS / 2)
            link_sync_set_passed(s, SIDE_RIGHT, KEYS / 4);
    }
    for (unsigned i = KEYS / 4 + 1; i <= KEYS; i++) {
        struct key k = key_text(text, i);

        assert_true(link_sync_superseded(s, SIDE_RIGHT, &k, i - 1));
    }
    assert_in_range(link_sync_marker_count(s, SIDE_RIGHT), KEYS * 3 / 4, KEYS);
    link_sync_set_passed(s, SIDE_RIGHT, KEYS - 1);
    link_sync_prune(s, SIDE_RIGHT);
    assert_int_not_equal(link_sync_marker_count(s, SIDE_RIGHT), 0);
    link_sync_set_passed(s, SIDE_RIGHT, KEYS);
    link_sync_prune(s, SIDE_RIGHT);
    assert_int_equal(link_sync_marker_count(s, SIDE_RIGHT), 0);
    assert_int_equal(link_sync_next_id(s), KEYS + 1);
    link_sync_free(s);
}

static void test_rebuild_takes_what_is_still_ahead(void **state)
{
    struct link_sync *s = link_sync_new(&link_of_test);
    char text[3][16];
    struct key k[3] = {key_text(text[0], 0), key_text(text[1], 1), key_text(text[2], 2)};
    const struct marker markers[] = {{3, k[1], k[1]}, {4, k[2], k[2]}};

    (void)state;
    link_sync_announce(s, SIDE_LEFT, &k[0], 7); /* one that was never written */
    link_sync_set_passed(s, SIDE_LEFT, 3);
    link_sync_rebuild(s, SIDE_LEFT, markers, 2);
    assert_false(link_sync_superseded(s, SIDE_LEFT, &k[0], 3));
    assert_false(link_sync_superseded(s, SIDE_LEFT, &k[1], 3));
    assert_true(link_sync_superseded(s, SIDE_LEFT, &k[2], 3));
    link_sync_free(s);
}

static struct key key_of_text(char out[32], const char *text)
{
    size_t len = strlen(text);

    memcpy(out, (char[]){(char)len, 0, 0, 0}, 4);
    memcpy(out + 4, text, len);
    return (struct key){out, len + 4};
}

static void test_what_a_collation_may_take_for_the_same_is_not_passed_over(void **state)
{
    static const struct {
        const char *marked, *asked;
        bool maybe;
    } cases[] = {
        {"abc", "abc", true},   {"abc", "ABC", true}, {"abc ", "abc", true},     {"Abc", "abc   ", true},
        {"abc", "abd", false},  {"abc", "ab", false}, {"abc", "\xc3\xa4", true}, {"\xc3\xa4", "abc", true},
        {"abc", "a\x01", true}, {"a-b", "ab", false},
    };
    const struct link loose = {.loose_keys = true};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct link_sync *s = link_sync_new(&loose);
        char marked_text[32], asked_text[32];
        struct key marked = key_of_text(marked_text, cases[i].marked),
                   asked = key_of_text(asked_text, cases[i].asked);

        assert_false(link_sync_maybe_superseded(s, SIDE_LEFT, &asked, 0));
        link_sync_announce(s, SIDE_LEFT, &marked, 5);
        assert_int_equal(link_sync_maybe_superseded(s, SIDE_LEFT, &asked, 4), cases[i].maybe);
        assert_false(link_sync_maybe_superseded(s, SIDE_LEFT, &asked, 5));
        assert_false(link_sync_maybe_superseded(s, SIDE_RIGHT, &asked, 4));
        link_sync_free(s);
    }
}

/* ---- The gate ---- */

struct contest {
    struct link_sync *sync;
    unsigned inside[2]; /* plain on purpose: the gate is what guards them, TSan looks on */
    unsigned times;
    bool failed;
};

static void *enter_again_and_again(void *arg, unsigned gates)
{
    struct contest *c = arg;

    for (unsigned i = 0; i < c->times; i++) {
        struct err err = ERR_INIT;

        if (!link_sync_enter(c->sync, gates, NULL, &err)) {
            c->failed = true;
            break;
        }
        for (int s = 0; s < 2; s++)
            if ((gates & gate_of(s)) && c->inside[s]++ != 0)
                c->failed = true;
        for (int s = 0; s < 2; s++)
            if (gates & gate_of(s))
                c->inside[s]--;
        link_sync_leave(c->sync, gates);
    }
    return NULL;
}

static void *enter_left(void *arg) { return enter_again_and_again(arg, GATE_LEFT); }

static void *enter_right(void *arg) { return enter_again_and_again(arg, GATE_RIGHT); }

static void *enter_both(void *arg) { return enter_again_and_again(arg, GATE_BOTH); }

static void test_only_one_is_behind_a_gate_and_all_get_their_turn(void **state)
{
    struct contest c = {.sync = link_sync_new(&link_of_test), .times = 3000};
    void *(*const bodies[])(void *) = {enter_left, enter_left, enter_right, enter_both, enter_both};
    pthread_t threads[5];

    (void)state;
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], &c), 0);
    for (size_t i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    assert_false(c.failed);
    assert_true(link_sync_may_enter(c.sync, GATE_BOTH));
    link_sync_free(c.sync);
}

static void test_a_waiter_for_both_goes_before_later_ones(void **state)
{
    struct contest c = {.sync = link_sync_new(&link_of_test), .times = 1};
    struct err err = ERR_INIT;
    pthread_t thread;

    (void)state;
    assert_true(link_sync_enter(c.sync, GATE_LEFT, NULL, &err));
    assert_true(link_sync_may_enter(c.sync, GATE_RIGHT));
    assert_int_equal(pthread_create(&thread, NULL, enter_both, &c), 0);
    while (link_sync_may_enter(c.sync, GATE_RIGHT))
        sched_yield(); /* until the other one waits for both */
    link_sync_leave(c.sync, GATE_LEFT);
    pthread_join(thread, NULL);
    assert_true(link_sync_may_enter(c.sync, GATE_RIGHT));
    link_sync_free(c.sync);
}

static void test_a_raised_stop_flag_ends_the_wait(void **state)
{
    struct link_sync *s = link_sync_new(&link_of_test);
    struct err err = ERR_INIT;
    struct stop stop;

    (void)state;
    stop_init(&stop);
    assert_true(link_sync_enter(s, GATE_RIGHT, &stop, &err));
    stop_raise(&stop);
    assert_false(link_sync_enter(s, GATE_BOTH, &stop, &err));
    assert_int_equal(err.kind, ERR_STOPPED);
    link_sync_leave(s, GATE_RIGHT);
    stop_done(&stop);
    link_sync_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_superseded_until_its_marker_has_passed),
        cmocka_unit_test(test_a_table_of_many_keys_forgets_only_what_has_passed),
        cmocka_unit_test(test_rebuild_takes_what_is_still_ahead),
        cmocka_unit_test(test_what_a_collation_may_take_for_the_same_is_not_passed_over),
        cmocka_unit_test(test_only_one_is_behind_a_gate_and_all_get_their_turn),
        cmocka_unit_test(test_a_waiter_for_both_goes_before_later_ones),
        cmocka_unit_test(test_a_raised_stop_flag_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
