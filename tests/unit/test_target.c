/* Which address of a server section is in use. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cdc/db/target.h"

static char db1[] = "db1", db2[] = "db2", v6[] = "::1", path[] = "/run/s";
static struct config_address addresses[] = {{db1, 3306}, {db2, 3307}, {v6, 3308}};
static const struct config_server three = {.addresses = addresses, .naddresses = 3};
static const struct config_server by_socket = {.socket = path};

static void is(struct db_target *t, size_t address, uint64_t generation)
{
    size_t a;
    uint64_t g;
    db_target_get(t, &a, &g);
    assert_int_equal(a, address);
    assert_int_equal(g, generation);
    assert_true(db_target_is_current(t, generation));
    assert_false(db_target_is_current(t, generation + 1));
}

static void test_moves(void **state)
{
    (void)state;
    struct db_target *t = db_target_new(&three);
    uint64_t now;
    is(t, 0, 0);

    /* The one in use: nothing changes. */
    assert_true(db_target_choose(t, 0, 0, &now));
    assert_int_equal(now, 0);
    is(t, 0, 0);

    /* The first to find another one moves all. */
    assert_true(db_target_choose(t, 0, 1, &now));
    assert_int_equal(now, 1);
    is(t, 1, 1);

    /* One that set out before that, and found the same, follows; one that found another has to begin again. */
    assert_true(db_target_choose(t, 0, 1, &now));
    assert_int_equal(now, 1);
    assert_false(db_target_choose(t, 0, 2, &now));
    assert_int_equal(now, 1);
    assert_false(db_target_choose(t, 0, 0, &now));
    is(t, 1, 1);

    /* Back to where it was is a move too: old connections to there are of the time before. */
    assert_true(db_target_choose(t, 1, 0, &now));
    is(t, 0, 2);
    assert_false(db_target_is_current(t, 0));
    db_target_free(t);
    db_target_free(NULL);
}

/* What one connection has been told counts for all, as long as nothing has moved since it was asked. */
static void test_answers(void **state)
{
    (void)state;
    struct db_target *t = db_target_new(&three);
    uint64_t now;

    assert_false(db_target_has_answered(t, 0, (mono_us){0}));
    db_target_answered(t, 0, (mono_us){100});
    assert_true(db_target_has_answered(t, 0, (mono_us){100}));
    assert_false(db_target_has_answered(t, 0, (mono_us){101}));
    db_target_answered(t, 0, (mono_us){90}); /* asked before, answered later */
    assert_true(db_target_has_answered(t, 0, (mono_us){100}));

    assert_true(db_target_choose(t, 0, 1, &now));
    assert_false(db_target_has_answered(t, 0, (mono_us){100}));
    assert_false(db_target_has_answered(t, now, (mono_us){0}));
    db_target_answered(t, 0, (mono_us){200}); /* of the server that was in use before */
    assert_false(db_target_has_answered(t, now, (mono_us){0}));
    db_target_answered(t, now, (mono_us){300});
    assert_true(db_target_has_answered(t, now, (mono_us){250}));
    db_target_free(t);
}

static void test_print(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(db_target_print(&three, 0, out, sizeof out), "db1:3306");
    assert_string_equal(db_target_print(&three, 2, out, sizeof out), "[::1]:3308");
    assert_string_equal(db_target_print(&by_socket, 0, out, sizeof out), "/run/s");
}

/* Threads that all see the same failure make one move of it. */
static void *move_once(void *arg)
{
    uint64_t now;
    db_target_choose(arg, 0, 1, &now);
    return NULL;
}

static void test_one_move_of_many_threads(void **state)
{
    (void)state;
    struct db_target *t = db_target_new(&three);
    pthread_t threads[8];
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move_once, t), 0);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    is(t, 1, 1);
    db_target_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_one_move_of_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
