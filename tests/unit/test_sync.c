/* Markers in memory, what a resync tells the streams, and the gate between a batch and a reconcile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "appliers/sync.h"
#include "cdc/base/clock.h"

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

/* Parts joined by '|', each with its length in front. */
static struct key key_of_parts(char out[64], const char *parts)
{
    size_t len = 0;

    for (const char *at = parts;; at++) {
        const char *end = strchr(at, '|');
        size_t n = end != NULL ? (size_t)(end - at) : strlen(at);

        memcpy(out + len, (char[]){(char)n, 0, 0, 0}, 4);
        memcpy(out + len + 4, at, n);
        len += 4 + n;
        at += n;
        if (*at == '\0')
            return (struct key){out, len};
    }
}

static void test_what_a_key_is_folded_to(void **state)
{
    static const struct {
        const char *key, *folded; /* NULL: cannot be */
    } cases[] = {
        {"abc", "abc"},
        {"AbC", "abc"},
        {"AZ[@`{az", "az[@`{az"}, /* nothing but letters */
        {"", ""},
        {"   ", ""},
        {"a  ", "a"},
        {" a b ", " a b"},
        {"42", "42"},
        {"~", "~"},
        {"Acme |7", "acme|7"},
        {"a|b  |", "a|b|"},
        {"|", "|"},
        {"a\x7f", NULL},
        {"a\tb", NULL},
        {"\xc3\xa4", NULL},
        {"a|\xc3\xa4", NULL},
        {"\xe2\x80\x8b|a", NULL}, /* a character that some collations ignore */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key_bytes[64], expected_bytes[64], folded[65];
        struct key k = key_of_parts(key_bytes, cases[i].key);
        size_t len = 999;
        bool ok = link_sync_fold_key(&link_of_test, &k, folded, &len);

        if (ok != (cases[i].folded != NULL))
            fail_msg("case %zu", i);
        if (!ok)
            continue;
        struct key expected = key_of_parts(expected_bytes, cases[i].folded);

        assert_int_equal(len, expected.len);
        assert_memory_equal(folded, expected.data, len);
    }
    for (size_t cut = 1; cut < 14; cut++) { /* what is no key has no folded form */
        char bytes[64], folded[65];
        struct key k = key_of_parts(bytes, "abc|de");
        size_t len;

        k.len -= cut;
        assert_int_equal(link_sync_fold_key(&link_of_test, &k, folded, &len), k.len == 0 || k.len == 7);
    }
}

/* Keys that are compared by their bytes are alike in spaces at the end alone, and can always be folded. */
static void test_what_a_padded_key_is_folded_to(void **state)
{
    const struct link padded = {.name = "p", .loose_keys = true, .padded_keys = true};
    static const char *const cases[][2] = {
        {"AbC  ", "AbC"}, {"\xc3\xa4 ", "\xc3\xa4"}, {"a\t|B ", "a\t|B"}, {" ", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char key_bytes[64], expected_bytes[64], folded[65];
        struct key k = key_of_parts(key_bytes, cases[i][0]),
                   expected = key_of_parts(expected_bytes, cases[i][1]);
        size_t len;

        assert_true(link_sync_fold_key(&padded, &k, folded, &len));
        assert_int_equal(len, expected.len);
        assert_memory_equal(folded, expected.data, len);
    }
}

/* ---- Resync ---- */

static void test_open_and_order(void **state)
{
    struct link_sync *s = link_sync_new(&link_of_test);
    struct job_order order = {.has_from = true, .from = SIDE_RIGHT, .force = true};

    (void)state;
    assert_false(link_sync_is_open(s, SIDE_LEFT) ||
                 link_sync_is_open(s, SIDE_RIGHT)); /* nothing is known yet */
    link_sync_set_open(s, SIDE_RIGHT, true);
    assert_true(link_sync_is_open(s, SIDE_RIGHT));
    assert_false(link_sync_is_open(s, SIDE_LEFT));
    link_sync_set_open(s, SIDE_LEFT, true);
    link_sync_set_open(s, SIDE_RIGHT, false);
    assert_true(link_sync_is_open(s, SIDE_LEFT));
    assert_false(link_sync_is_open(s, SIDE_RIGHT));

    assert_null(link_sync_order(s));
    link_sync_set_order(s, &order);
    order.from = SIDE_LEFT; /* a copy was made */
    order.force = false;
    assert_non_null(link_sync_order(s));
    assert_int_equal(link_sync_order(s)->from, SIDE_RIGHT);
    assert_true(link_sync_order(s)->has_from && link_sync_order(s)->force);
    assert_false(link_sync_order(s)->delete_missing);
    link_sync_set_order(s, NULL);
    assert_null(link_sync_order(s));
    link_sync_free(s);
}

static void test_what_is_on_record(void **state)
{
    const struct link keeps = {.keep_conflicts = 3};
    struct link_sync *s = link_sync_new(&keeps);
    char bytes[32];
    struct quarantine_entry e = {.key = key_of_text(bytes, "1"), .why = ""};

    (void)state;
    assert_int_equal(conflicts_keep(link_sync_conflicts(s)), 3);
    assert_int_equal(link_sync_next_conflict(s), 1);
    link_sync_saw_conflict(s, 9);
    link_sync_saw_conflict(s, 4);
    assert_int_equal(link_sync_next_conflict(s), 10);
    link_sync_saw_id(s, 7);
    assert_int_equal(link_sync_next_id(s), 8); /* markers have numbers of their own */

    assert_int_equal(link_sync_quarantine_count(s), 0);
    assert_false(link_sync_is_quarantined(s, &e.key));
    quarantine_refused(link_sync_quarantine(s), &e, (wall_us){1});
    assert_int_equal(link_sync_quarantine_count(s), 1);
    assert_true(link_sync_is_quarantined(s, &e.key));
    link_sync_free(s);
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

struct turn {
    struct link_sync *sync;
    atomic_bool had, may_leave;
};

static void *take_a_turn(void *arg)
{
    struct turn *t = arg;
    struct err err = ERR_INIT;

    if (link_sync_enter(t->sync, GATE_LEFT, NULL, &err)) {
        atomic_store(&t->had, true);
        while (!atomic_load(&t->may_leave))
            sched_yield();
        link_sync_leave(t->sync, GATE_LEFT);
    }
    return NULL;
}

static void test_who_waits_for_one_gate_is_let_in_between(void **state)
{
    struct link_sync *s = link_sync_new(&link_of_test);
    struct err err = ERR_INIT;

    (void)state;
    mono_us before = clock_mono();
    link_sync_let_others(s, 600000); /* nobody waits: at once */
    assert_in_range(mono_diff_us(clock_mono(), before), 0, 60000000);

    for (int round = 0; round < 30; round++) {
        struct turn t = {.sync = s};
        pthread_t thread;

        assert_true(link_sync_enter(s, GATE_BOTH, NULL, &err));
        assert_int_equal(pthread_create(&thread, NULL, take_a_turn, &t), 0);
        if (round % 10 == 0) { /* certainly waits */
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
            assert_false(atomic_load(&t.had));
            before = clock_mono();
            link_sync_let_others(s, 10); /* it cannot come in as long as we are */
            assert_in_range(mono_diff_us(clock_mono(), before), 10000, 60000000);
        }
        link_sync_leave(s, GATE_BOTH);
        link_sync_let_others(s, 600000); /* until it is in, not until it is out */
        if (round % 10 == 0) {
            while (!atomic_load(&t.had))
                sched_yield(); /* it is in, and a moment from saying so */
        }
        atomic_store(&t.may_leave, true);
        pthread_join(thread, NULL);
        assert_true(t.had);
    }
    link_sync_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_change_is_superseded_until_its_marker_has_passed),
        cmocka_unit_test(test_a_table_of_many_keys_forgets_only_what_has_passed),
        cmocka_unit_test(test_rebuild_takes_what_is_still_ahead),
        cmocka_unit_test(test_what_a_collation_may_take_for_the_same_is_not_passed_over),
        cmocka_unit_test(test_what_a_key_is_folded_to),
        cmocka_unit_test(test_what_a_padded_key_is_folded_to),
        cmocka_unit_test(test_open_and_order),
        cmocka_unit_test(test_what_is_on_record),
        cmocka_unit_test(test_who_waits_for_one_gate_is_let_in_between),
        cmocka_unit_test(test_only_one_is_behind_a_gate_and_all_get_their_turn),
        cmocka_unit_test(test_a_waiter_for_both_goes_before_later_ones),
        cmocka_unit_test(test_a_raised_stop_flag_ends_the_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
