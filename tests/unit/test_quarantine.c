/*
 * Keys that wait: when each is due again, by which names an operator can hurry it, and that
 * many of them get their turn, by age or at random, against a simple model.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/quarantine.h"
#include "cdc/base/hash.h"
#include "cdc/base/log.h"

static struct column columns[] = {{.name = "tenant", .kind = COL_TEXT}, {.name = "id", .kind = COL_INT}};
static struct field fields[] = {{.column = {&columns[0], &columns[0]}},
                                {.column = {&columns[1], &columns[1]}}};
static size_t key_id[] = {1}, key_both[] = {0, 1};
static const struct link
    one_column = {.name = "users", .fields = fields, .nfields = 2, .key = key_id, .nkey = 1},
    two_columns = {.name = "both", .fields = fields, .nfields = 2, .key = key_both, .nkey = 2};

enum { KEY_ROOM = 300, DUPLICATE = 1062 };

/* The values as a key, in bytes[KEY_ROOM]. */
static struct key key_of_texts(char *bytes, const char *first, const char *second)
{
    const char *const texts[] = {first, second};
    size_t len = 0;

    for (size_t i = 0; i < 2 && texts[i] != NULL; i++) {
        size_t n = strlen(texts[i]);

        memcpy(bytes + len, (char[]){(char)(n & 255), (char)(n >> 8), 0, 0}, 4);
        memcpy(bytes + len + 4, texts[i], n);
        len += 4 + n;
    }
    return (struct key){bytes, len};
}

static struct key key_of_number(char *bytes, unsigned n)
{
    char text[16];

    snprintf(text, sizeof text, "%u", n);
    return key_of_texts(bytes, text, NULL);
}

static wall_us at_s(int64_t s) { return (wall_us){s * 1000000}; }

static void refuse(struct quarantine *q, unsigned n, int code, const char *why, wall_us now)
{
    char bytes[KEY_ROOM];
    struct quarantine_entry e = {
        .key = key_of_number(bytes, n), .source = SIDE_LEFT, .code = code, .why = why};

    quarantine_refused(q, &e, now);
    memset(bytes, 'x', sizeof bytes); /* a copy was made */
}

static unsigned number_of_key(const struct key *k)
{
    char text[16] = "";

    assert_in_range(k->len, 5, 14);
    memcpy(text, k->data + 4, k->len - 4);
    return (unsigned)strtoul(text, NULL, 10);
}

/* The numbers of those that are due, "3 1 2" as they come; at most max. */
static void assert_due(struct quarantine *q, wall_us now, size_t max, const char *expected)
{
    struct key keys[64];
    struct arena arena;
    char text[400] = "";
    size_t len = 0;

    arena_init(&arena);
    size_t n = quarantine_take_due(q, now, keys, max, &arena);

    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%u", i > 0 ? " " : "",
                                number_of_key(&keys[i]));
    assert_string_equal(text, expected);
    arena_done(&arena);
}

struct seen {
    size_t count;
    struct waiting_key last;
    char key[300], hash[20], why[100], all[2000];
};

static void see(void *arg, const struct waiting_key *k)
{
    struct seen *s = arg;
    size_t len = strlen(s->all);

    s->count++;
    s->last = *k;
    snprintf(s->key, sizeof s->key, "%s", k->key);
    snprintf(s->hash, sizeof s->hash, "%s", k->hash);
    snprintf(s->why, sizeof s->why, "%s", k->why);
    snprintf(s->all + len, sizeof s->all - len, "%s%s", len > 0 ? " " : "", k->key);
}

static struct seen look(struct quarantine *q, size_t max)
{
    struct seen s = {0};

    quarantine_each(q, max, see, &s);
    return s;
}

/* ---- Coming and going ---- */

static void test_refused_restored_and_released(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM], other[KEY_ROOM];
    struct key k = key_of_number(bytes, 7), absent = key_of_number(other, 8);
    struct quarantine_entry e = {.key = k, .source = SIDE_RIGHT, .code = 1406, .why = "too long"};
    enum side source = SIDE_LEFT;

    (void)state;
    assert_false(quarantine_has(q, &k));
    assert_false(quarantine_source(q, &k, &source));
    quarantine_release(q, &k);
    assert_int_equal(quarantine_count(q), 0);

    quarantine_refused(q, &e, at_s(100));
    assert_true(quarantine_has(q, &k));
    assert_false(quarantine_has(q, &absent));
    assert_false(quarantine_source(q, &absent, &source));
    assert_int_equal(source, SIDE_LEFT);
    assert_true(quarantine_source(q, &k, &source));
    assert_int_equal(source, SIDE_RIGHT);
    assert_int_equal(quarantine_count(q), 1);
    struct seen s = look(q, 10);

    assert_string_equal(s.last.link, "users");
    assert_string_equal(s.key, "id=7");
    assert_int_equal(s.last.from, SIDE_RIGHT);
    assert_int_equal(s.last.code, 1406);
    assert_string_equal(s.why, "too long");
    assert_int_equal(s.last.since.v, at_s(100).v);
    assert_int_equal(s.last.next_try.v, at_s(105).v);
    assert_int_equal(s.last.tries, 1);

    /* Again: it waits longer, since when stays, the rest is the last refusal's. */
    e = (struct quarantine_entry){.key = k, .source = SIDE_LEFT, .code = DUPLICATE, .why = NULL};
    quarantine_refused(q, &e, at_s(110));
    s = look(q, 10);
    assert_int_equal(quarantine_count(q), 1);
    assert_int_equal(s.last.from, SIDE_LEFT);
    assert_int_equal(s.last.code, DUPLICATE);
    assert_string_equal(s.why, "");
    assert_int_equal(s.last.since.v, at_s(100).v);
    assert_int_equal(s.last.next_try.v, at_s(120).v);
    assert_int_equal(s.last.tries, 2);

    /* What the tables have is no try. */
    e = (struct quarantine_entry){
        .key = absent, .source = SIDE_LEFT, .code = 1, .why = "old", .since = at_s(50), .tries = 3};
    quarantine_restore(q, &e, at_s(200));
    assert_string_equal(look(q, 1).key, "id=8"); /* the oldest */
    s = look(q, 1);
    assert_int_equal(s.last.since.v, at_s(50).v);
    assert_int_equal(s.last.tries, 3);
    assert_int_equal(s.last.next_try.v, at_s(220).v);
    e.tries = 9; /* both sides' tables have it: the second says nothing new */
    quarantine_restore(q, &e, at_s(200));
    assert_int_equal(look(q, 1).last.tries, 3);
    assert_int_equal(quarantine_count(q), 2);

    quarantine_release(q, &k);
    assert_false(quarantine_has(q, &k));
    assert_true(quarantine_has(q, &absent));
    quarantine_refused(q, &e, at_s(300));
    quarantine_clear(q);
    assert_int_equal(quarantine_count(q), 0);
    assert_false(quarantine_has(q, &absent));
    assert_int_equal(look(q, 10).count, 0);
    quarantine_refused(q, &e, at_s(300)); /* works as before */
    assert_string_equal(look(q, 10).all, "id=8");
    quarantine_free(q);
    quarantine_free(NULL);
}

/* ---- When ---- */

/* Back by a day: nobody waits for a day and a minute. */
static void test_a_clock_that_goes_back(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);

    (void)state;
    refuse(q, 1, DUPLICATE, "x", at_s(100000));
    assert_due(q, at_s(13600), 10, "1");
    assert_due(q, at_s(13604), 10, "");
    assert_due(q, at_s(13605), 10, "1");
    quarantine_free(q);
}

static void test_waits_grow_up_to_a_minute(void **state)
{
    static const int64_t waits_s[] = {5, 10, 20, 40, 60, 60, 60};
    struct quarantine *q = quarantine_new(&one_column);
    int64_t now = 1000;

    (void)state;
    for (size_t i = 0; i < sizeof waits_s / sizeof *waits_s; i++) {
        refuse(q, 1, DUPLICATE, "x", at_s(now));
        assert_due(q, (wall_us){at_s(now + waits_s[i]).v - 1}, 10, "");
        assert_due(q, at_s(now + waits_s[i]), 10, "1");
        now += waits_s[i];
        assert_due(q, at_s(now), 10, ""); /* not again, whatever becomes of the try */
        assert_due(q, (wall_us){at_s(now + waits_s[i]).v - 1}, 10, "");
    }
    for (int i = 0; i < 100; i++) /* does not overflow */
        refuse(q, 1, DUPLICATE, "x", at_s(now));
    assert_int_equal(look(q, 1).last.next_try.v, at_s(now + 60).v);
    assert_due(q, at_s(now + 60), 10, "1");
    assert_due(q, at_s(now + 120), 10, "1"); /* by itself, though nothing was heard of the try */
    quarantine_free(q);
}

static void test_all_get_their_turn(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM];
    struct key k = key_of_number(bytes, 5);

    (void)state;
    for (unsigned n = 1; n <= 7; n++)
        refuse(q, n, DUPLICATE, "x", at_s(n));
    assert_due(q, at_s(100), 0, "");
    assert_due(q, at_s(100), 3, "1 2 3");
    quarantine_release(q, &k); /* not where the next look begins */
    assert_due(q, at_s(200), 3, "4 6 7");
    assert_due(q, at_s(300), 4, "1 2 3 4");
    k = key_of_number(bytes, 6); /* where it begins */
    quarantine_release(q, &k);
    refuse(q, 8, DUPLICATE, "x", at_s(300));
    assert_due(q, at_s(400), 3, "7 8 1");
    k = key_of_number(bytes, 2);
    quarantine_release(q, &k);
    k = key_of_number(bytes, 3);
    quarantine_release(q, &k);
    assert_due(q, at_s(500), 1, "4");
    assert_due(q, at_s(500), 64, "7 8 1");
    assert_due(q, at_s(500), 64, "");
    for (unsigned n = 8; n >= 7; n--) { /* all from where it begins: the next look is at the oldest */
        k = key_of_number(bytes, n);
        quarantine_release(q, &k);
    }
    assert_due(q, at_s(600), 64, "1 4");
    assert_due(q, at_s(700), 1, "1");
    quarantine_clear(q);
    assert_due(q, at_s(800), 64, "");
    refuse(q, 9, DUPLICATE, "x", at_s(700));
    assert_due(q, at_s(800), 64, "9");
    quarantine_free(q);
}

/* However few are taken at a time, and though those that were taken are due again: nobody is taken twice before
 * each other one was. */
static void test_nobody_is_taken_twice_before_all_were(void **state)
{
    enum { KEYS = 1000 };
    struct quarantine *q = quarantine_new(&one_column);
    unsigned turns[KEYS] = {0}, seed = 4, least = 0;
    int64_t now = 1000;

    (void)state;
    for (unsigned n = 0; n < KEYS; n++)
        refuse(q, n, DUPLICATE, "x", at_s(1));
    for (size_t taken = 0; taken < 5000;) {
        struct key keys[64];
        struct arena arena;

        arena_init(&arena);
        size_t n = quarantine_take_due(q, at_s(now), keys, (size_t)rand_r(&seed) % 64 + 1, &arena);

        for (size_t i = 0; i < n; i++)
            turns[number_of_key(&keys[i])]++;
        arena_done(&arena);
        assert_true(n > 0);
        taken += n;
        now += 60; /* all are due */
        least = (unsigned)(taken / KEYS);
        for (unsigned i = 0; i < KEYS; i++)
            assert_in_range(turns[i], least, least + 1);
    }
    quarantine_free(q);
}

/* ---- Who knows better ---- */

static void test_hurry_by_every_name(void **state)
{
    static const struct {
        const struct link *link;
        const char *first, *second; /* the key's values */
        const char *name;
        bool known;
    } cases[] = {
        {&one_column, "42", NULL, "id=42", true},
        {&one_column, "42", NULL, "42", true},
        {&one_column, "42", NULL, "id=4", false},
        {&one_column, "42", NULL, "4", false},
        {&one_column, "42", NULL, "2", false},
        {&one_column, "42", NULL, "", false},
        {&one_column, "42", NULL, "ID=42", false},
        {&one_column, "42", NULL, "=42", false},
        {&one_column, "a=b", NULL, "id=a=b", true},
        {&one_column, "a=b", NULL, "a=b", true},
        {&one_column, "a=b", NULL, "b", false},
        {&one_column, "", NULL, "id=", true},
        {&one_column, "", NULL, "", true},
        {&one_column, "a\\b\x01", NULL, "a\\x5cb\\x01", true},
        {&one_column, "#1", NULL, "#1", true},
        {&two_columns, "acme", "42", "tenant=acme,id=42", true},
        {&two_columns, "acme", "42", "acme,42", false},
        {&two_columns, "acme", "42", "acme,id=42", false},
        {&two_columns, "acme", "42", "42", false},
        {&two_columns, "acme", "42", "id=42", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quarantine *q = quarantine_new(cases[i].link);
        char bytes[KEY_ROOM], other[KEY_ROOM], name[40];
        struct quarantine_entry e = {.key = key_of_texts(bytes, cases[i].first, cases[i].second)};
        struct quarantine_entry beside = {
            .key = key_of_texts(other, "else", cases[i].second != NULL ? "1" : NULL)};

        quarantine_refused(q, &beside, at_s(1));
        quarantine_refused(q, &e, at_s(2));
        if (quarantine_hurry(q, cases[i].name) != cases[i].known)
            fail_msg("case %zu: %s", i, cases[i].name);
        struct seen s = look(q, 10); /* the last one seen is e */

        assert_int_equal(s.last.next_try.v, cases[i].known ? 0 : at_s(7).v);
        assert_int_equal(look(q, 1).last.next_try.v, at_s(6).v);

        assert_int_equal(strlen(s.hash), 16);
        quarantine_refused(q, &e, at_s(3));
        assert_int_equal(quarantine_hurry(q, s.hash), 1);
        assert_int_equal(look(q, 10).last.next_try.v, 0);
        quarantine_refused(q, &e, at_s(3));
        snprintf(name, sizeof name, "#%s", s.hash);
        assert_int_equal(quarantine_hurry(q, name), 1);
        assert_int_equal(look(q, 10).last.next_try.v, 0);
        name[16] = '\0'; /* not all of it */
        assert_int_equal(quarantine_hurry(q, name), 0);

        assert_int_equal(quarantine_hurry(q, NULL), 2);
        assert_int_equal(look(q, 1).last.next_try.v, 0);
        quarantine_free(q);
    }
}

static void test_a_try_that_could_not_be_made_comes_soon(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM];
    struct key k = key_of_number(bytes, 1), absent;

    (void)state;
    quarantine_hurry_key(q, &k, at_s(1)); /* none is there */
    refuse(q, 1, DUPLICATE, "x", at_s(1));
    refuse(q, 2, DUPLICATE, "x", at_s(1));
    assert_due(q, at_s(100), 10, "1 2");
    quarantine_hurry_key(q, &k, at_s(100));
    absent = key_of_number(bytes, 3);
    quarantine_hurry_key(q, &absent, at_s(100));
    assert_due(q, (wall_us){at_s(101).v - 1}, 10, "");
    assert_due(q, at_s(101), 10, "1");
    assert_int_equal(look(q, 1).last.tries, 1); /* nothing was refused */
    quarantine_free(q);
}

/* The hash names a key where log.keys = "hash" shows no more than that. */
static void test_keys_are_shown_as_the_log_does(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);
    unsigned char hash[HASH_BYTES];
    char expected[20] = "#";

    (void)state;
    hash_sha256("id=42", 5, hash);
    for (size_t i = 0; i < 8; i++)
        snprintf(expected + 1 + 2 * i, 3, "%02x", hash[i]);
    refuse(q, 42, 0, "x", at_s(1));
    struct seen s = look(q, 1);

    assert_string_equal(s.hash, expected + 1);
    assert_string_equal(s.key, "id=42");
    log_setup(LOG_ERROR, LOG_TEXT, LOG_KEYS_HASH);
    s = look(q, 1);
    log_setup(LOG_ERROR, LOG_TEXT, LOG_KEYS_PLAIN);
    assert_string_equal(s.key, expected);
    assert_int_equal(quarantine_hurry(q, s.key), 1);
    quarantine_free(q);
}

static void test_a_moved_obstacle_makes_duplicates_due(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);

    (void)state;
    quarantine_obstacle_moved(q, 10);
    refuse(q, 1, DUPLICATE, "x", at_s(1));
    refuse(q, 2, 1406, "x", at_s(2));
    refuse(q, 3, 1586, "x", at_s(3));
    refuse(q, 4, DUPLICATE, "x", at_s(4));
    refuse(q, 5, 0, "x", at_s(5));
    quarantine_obstacle_moved(q, 0);
    assert_due(q, at_s(1), 10, "");
    quarantine_obstacle_moved(q, 2);
    assert_due(q, at_s(1), 10, "1 3");
    quarantine_obstacle_moved(q, 10);
    assert_due(q, at_s(1), 10, "1 3 4");

    /* At most so many from where the next look begins: those get their turn that had none. */
    assert_due(q, at_s(50), 3, "1 2 3");
    quarantine_obstacle_moved(q, 1);
    assert_due(q, at_s(1), 10, "4");
    quarantine_free(q);
}

/* ---- What is shown ---- */

static void test_the_oldest_first(void **state)
{
    static const unsigned came[] = {5, 2, 9, 1, 7, 3, 8, 4, 6};
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM];
    struct seen s = {0};

    (void)state;
    for (size_t i = 0; i < sizeof came / sizeof *came; i++) {
        struct quarantine_entry e = {.key = key_of_number(bytes, came[i]), .since = at_s(came[i]), .tries = 1};

        quarantine_restore(q, &e, at_s(100));
    }
    assert_string_equal(look(q, 100).all, "id=1 id=2 id=3 id=4 id=5 id=6 id=7 id=8 id=9");
    assert_int_equal(quarantine_each(q, 3, see, &s), 9);
    assert_string_equal(s.all, "id=1 id=2 id=3");
    assert_int_equal(quarantine_each(q, 0, see, &s), 9);
    assert_int_equal(s.count, 3);
    for (unsigned n = 1; n <= 9; n += 4) { /* at both ends and in between */
        struct key k = key_of_number(bytes, n);

        quarantine_release(q, &k);
    }
    assert_string_equal(look(q, 100).all, "id=2 id=3 id=4 id=6 id=7 id=8");
    refuse(q, 10, 0, "x", at_s(100));
    assert_string_equal(look(q, 100).all, "id=2 id=3 id=4 id=6 id=7 id=8 id=10");
    quarantine_free(q);
}

/* Reasons are shared; where there are too many different ones, the rest is in the log. */
static void test_more_reasons_than_there_is_room_for(void **state)
{
    enum { REASONS = 100, KEPT = 63 };
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM], why[40];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (unsigned n = 0; n < 3 * REASONS; n++) { /* three keys a reason */
            snprintf(why, sizeof why, "reason %u of round %d", n % REASONS, round);
            refuse(q, n, DUPLICATE, why, at_s(n + 1));
            memset(why, 'x', sizeof why - 1);
        }
        for (unsigned n = 0; n < REASONS; n++) {
            snprintf(why, sizeof why, "reason %u of round %d", n, round);
            struct seen s = look(q, n + 1);

            assert_string_equal(s.why, n < KEPT ? why : "see the log");
            assert_string_equal(look(q, n + 1 + REASONS).why, s.why);
        }
        for (unsigned n = 0; n < 3 * REASONS; n++) { /* their room is free again */
            struct key k = key_of_number(bytes, n);

            quarantine_release(q, &k);
        }
    }
    quarantine_free(q);
}

/* The reason of a key that is refused again and again may change each time. */
static void test_a_changed_reason_frees_the_one_before(void **state)
{
    struct quarantine *q = quarantine_new(&one_column);
    char why[20];

    (void)state;
    for (unsigned n = 0; n < 500; n++) {
        snprintf(why, sizeof why, "reason %u", n);
        refuse(q, 1 + n % 2, DUPLICATE, why, at_s(1));
        assert_string_equal(look(q, 1 + n % 2).why, why);
    }
    quarantine_free(q);
}

/* ---- Many, against a model ---- */

struct model {
    bool waits;
    uint32_t tries;
    enum side source;
};

static void assert_like_model(struct quarantine *q, const struct model *m, unsigned nkeys, size_t count)
{
    char bytes[KEY_ROOM];

    assert_int_equal(quarantine_count(q), count);
    for (unsigned n = 0; n < nkeys; n++) {
        struct key k = key_of_number(bytes, n);
        enum side source = SIDE_LEFT;

        if (quarantine_source(q, &k, &source) != m[n].waits || (m[n].waits && source != m[n].source))
            fail_msg("key %u", n);
    }
}

static void test_ten_thousand_at_random(void **state)
{
    enum { KEYS = 10000 };
    static struct model model[KEYS];
    static unsigned order[KEYS];
    struct quarantine *q = quarantine_new(&one_column);
    char bytes[KEY_ROOM];
    unsigned seed = 17;
    size_t count = 0;

    (void)state;
    for (unsigned n = 0; n < KEYS; n++) { /* a shuffle */
        unsigned other = (unsigned)rand_r(&seed) % (n + 1);

        order[n] = order[other];
        order[other] = n;
    }
    for (size_t i = 0; i < KEYS; i++) { /* comes, and some go in between */
        struct model *m = &model[order[i]];
        struct quarantine_entry e = {.key = key_of_number(bytes, order[i]),
                                     .source = rand_r(&seed) % 2 ? SIDE_RIGHT : SIDE_LEFT};

        quarantine_refused(q, &e, at_s((int64_t)i + 1));
        *m = (struct model){true, 1, e.source};
        count++;
        if (i % 3 == 2) {
            unsigned n = order[(size_t)rand_r(&seed) % i];
            struct key k = key_of_number(bytes, n);

            quarantine_release(q, &k);
            count -= model[n].waits;
            model[n].waits = false;
        }
        if (i == 15 || i == 16 || i == 17 || i == 1000)
            assert_like_model(q, model, KEYS, count);
    }
    assert_like_model(q, model, KEYS, count);

    /* All are due once, and each comes once. */
    struct key keys[64];
    struct arena arena;
    size_t due = 0, n;

    arena_init(&arena);
    do {
        n = quarantine_take_due(q, at_s(KEYS + 10), keys, 64, &arena);
        for (size_t i = 0; i < n; i++) {
            struct model *m = &model[number_of_key(&keys[i])];

            assert_true(m->waits && m->tries == 1);
            m->tries++;
        }
        due += n;
    } while (n > 0);
    arena_done(&arena);
    assert_int_equal(due, count);

    for (size_t i = KEYS; i > 0; i--) { /* they go in another order */
        unsigned no = order[i * 7919 % KEYS];
        struct key k = key_of_number(bytes, no);

        quarantine_release(q, &k);
        count -= model[no].waits;
        model[no].waits = false;
        if (i % 2500 == 0)
            assert_like_model(q, model, KEYS, count);
    }
    assert_int_equal(count, 0);
    assert_like_model(q, model, KEYS, 0);
    quarantine_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_restored_and_released),
        cmocka_unit_test(test_a_clock_that_goes_back),
        cmocka_unit_test(test_waits_grow_up_to_a_minute),
        cmocka_unit_test(test_all_get_their_turn),
        cmocka_unit_test(test_nobody_is_taken_twice_before_all_were),
        cmocka_unit_test(test_hurry_by_every_name),
        cmocka_unit_test(test_a_try_that_could_not_be_made_comes_soon),
        cmocka_unit_test(test_keys_are_shown_as_the_log_does),
        cmocka_unit_test(test_a_moved_obstacle_makes_duplicates_due),
        cmocka_unit_test(test_the_oldest_first),
        cmocka_unit_test(test_more_reasons_than_there_is_room_for),
        cmocka_unit_test(test_a_changed_reason_frees_the_one_before),
        cmocka_unit_test(test_ten_thousand_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
