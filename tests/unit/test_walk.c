/*
 * The walk over two tables in memory: each key is seen once, its rows side by side, whatever
 * the size of a chunk and wherever the walk goes on; and where the two sides sort differently,
 * or somebody writes in the midst of it, no row is passed over and the walk ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/walk.h"

/* ---- A table in memory ---- */

enum { FIRST, SECOND, VERSION, UPDATED, NFIELDS, MAX_ROWS = 400, TEXT_ROOM = 16 };

struct mem_row {
    char text[NFIELDS][TEXT_ROOM];
    struct value values[NFIELDS];
};

/* How a side sorts two keys, given as their rows. */
typedef int (*compare)(const struct value *a, const struct value *b);

struct mem_store {
    struct store base;
    compare compare;
    struct mem_row *rows[MAX_ROWS]; /* sorted */
    size_t count;
    void (*before_range)(struct mem_store *s); /* somebody else writes; may be NULL */
    size_t ranges;
    size_t last_limit;
};

static size_t key_one[] = {FIRST}, key_two[] = {FIRST, SECOND};
static struct link link_of_test = {.name = "l", .nfields = NFIELDS};

static int compare_texts(const struct value *a, const struct value *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int diff = memcmp(a->data, b->data, n);

    return diff != 0 ? diff : (a->len > b->len) - (a->len < b->len);
}

static int compare_numbers(const struct value *a, const struct value *b)
{
    int64_t m = 0, n = 0;

    assert_true(value_to_int64(a, &m) && value_to_int64(b, &n));
    return (m > n) - (m < n);
}

static int by_number(const struct value *a, const struct value *b)
{
    return compare_numbers(&a[FIRST], &b[FIRST]);
}

static int by_text(const struct value *a, const struct value *b)
{
    return compare_texts(&a[FIRST], &b[FIRST]);
}

static int by_both(const struct value *a, const struct value *b)
{
    int diff = compare_texts(&a[FIRST], &b[FIRST]);

    return diff != 0 ? diff : compare_numbers(&a[SECOND], &b[SECOND]);
}

static int reversed(const struct value *a, const struct value *b) { return by_number(b, a); }

/* The odd ones first. */
static int odd_first(const struct value *a, const struct value *b)
{
    int64_t m = 0, n = 0;

    assert_true(value_to_int64(&a[FIRST], &m) && value_to_int64(&b[FIRST], &n));
    return (m & 1) != (n & 1) ? (int)((n & 1) - (m & 1)) : by_number(a, b);
}

static int scrambled(const struct value *a, const struct value *b)
{
    int64_t m = 0, n = 0;

    assert_true(value_to_int64(&a[FIRST], &m) && value_to_int64(&b[FIRST], &n));
    m = m * 7919 % 10007;
    n = n * 7919 % 10007;
    return (m > n) - (m < n);
}

/* The first row that does not stand in front of the key; behind it, if that is asked for. */
static size_t place_of(const struct mem_store *s, const struct value *key_row, bool behind)
{
    size_t i = 0;

    while (i < s->count && s->compare(s->rows[i]->values, key_row) < (behind ? 1 : 0))
        i++;
    return i;
}

static bool mem_range(struct store *base, const struct key_range *range, size_t limit,
                      struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    struct mem_store *s = (struct mem_store *)base;
    struct value bound[NFIELDS];

    (void)err;
    if (s->before_range != NULL)
        s->before_range(s);
    s->ranges++;
    s->last_limit = limit;
    size_t first = 0, end = s->count;

    if (range->after != NULL) {
        assert_true(key_to_row(base->link, range->after, bound));
        first = place_of(s, bound, true);
    }
    if (range->up_to != NULL) {
        assert_true(key_to_row(base->link, range->up_to, bound));
        end = place_of(s, bound, true);
    }
    *ret_rows = (struct store_rows){arena_alloc(arena, (limit + 1) * sizeof *ret_rows->keys),
                                    arena_alloc(arena, (limit + 1) * sizeof *ret_rows->rows), 0, false};
    for (size_t i = first; i < end && ret_rows->count < limit; i++, ret_rows->count++) {
        ret_rows->rows[ret_rows->count] = s->rows[i]->values;
        assert_true(key_of(base->link, s->rows[i]->values, arena, &ret_rows->keys[ret_rows->count]));
    }
    ret_rows->more = ret_rows->count == limit;
    return true;
}

static const struct value *find_row(const struct mem_store *s, const struct key *k)
{
    struct value row[NFIELDS];

    assert_true(key_to_row(s->base.link, k, row));
    for (size_t i = 0; i < s->count; i++)
        if (s->compare(s->rows[i]->values, row) == 0)
            return s->rows[i]->values;
    return NULL;
}

static bool mem_read(struct store *base, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                     struct arena *arena, struct err *err)
{
    (void)arena, (void)err;
    assert_true(nkeys > 0);
    for (size_t i = 0; i < nkeys; i++)
        ret_rows[i] = find_row((struct mem_store *)base, &keys[i]);
    return true;
}

static const struct store_ops mem_ops = {.range = mem_range, .read = mem_read};

static void add_row(struct mem_store *s, const char *first, const char *second, const char *version)
{
    const char *const texts[NFIELDS] = {first, second, version, "2026-01-05 10:11:12"};
    struct mem_row *r = calloc(1, sizeof *r);

    assert_true(r != NULL && s->count < MAX_ROWS);
    for (size_t i = 0; i < NFIELDS; i++) {
        snprintf(r->text[i], TEXT_ROOM, "%.15s", texts[i]);
        r->values[i] = (struct value){r->text[i], (uint32_t)strlen(r->text[i]), VALUE_SET};
    }
    size_t at = place_of(s, r->values, false);

    memmove(s->rows + at + 1, s->rows + at, (s->count++ - at) * sizeof *s->rows);
    s->rows[at] = r;
}

static void add_number(struct mem_store *s, unsigned n, unsigned version)
{
    char text[TEXT_ROOM], version_text[TEXT_ROOM];

    snprintf(text, sizeof text, "%u", n);
    snprintf(version_text, sizeof version_text, "%u", version);
    add_row(s, text, "", version_text);
}

static void store_init(struct mem_store *s, enum side side, compare order)
{
    *s = (struct mem_store){.base = {&mem_ops, &link_of_test, side, 0}, .compare = order};
}

static void store_done(struct mem_store *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->rows[i]);
}

static void use_key(size_t *key, size_t nkey)
{
    link_of_test.key = key;
    link_of_test.nkey = nkey;
}

/* ---- What was seen ---- */

struct seen {
    const struct value *row[2 * MAX_ROWS]; /* of either side */
    size_t times[2 * MAX_ROWS];
    size_t count;
    size_t steps;
    bool again; /* it was given up in the midst of many rows of the right: some are read again */
};

/* By the row, which stays where it is: a key of both sides is told of twice, once for each. */
static void note(struct seen *s, const struct value *row)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->row[i] == row) {
            s->times[i]++;
            return;
        }
    s->row[s->count] = row;
    s->times[s->count++] = 1;
}

static size_t times_seen(const struct seen *s, const struct value *row)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->row[i] == row)
            return s->times[i];
    return 0;
}

/* The rows of a pair are those that the two sides have. exact: they must be there where the side has one. */
static void check_pair(const struct walk_pair *p, struct mem_store stores[2], bool exact, struct seen *seen)
{
    assert_true(p->row[SIDE_LEFT] != NULL || p->row[SIDE_RIGHT] != NULL);
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        const struct value *row = find_row(&stores[side], &p->key);

        if (p->row[side] != NULL || exact)
            assert_ptr_equal(p->row[side], row);
        if (row != NULL)
            note(seen, row); /* the second look is by the key */
    }
    if (p->row[SIDE_LEFT] == NULL || p->row[SIDE_RIGHT] == NULL)
        assert_false(p->same);
    else
        assert_int_equal(p->same, value_equal(&p->row[SIDE_LEFT][VERSION], &p->row[SIDE_RIGHT][VERSION]));
}

/* As another connection would. The arena is emptied first. */
static bool read_ahead(struct mem_store stores[2], const struct walk *w, const struct walk_chunk *c,
                       size_t rows, struct walk_first *f, struct arena *arena)
{
    struct err err = ERR_INIT;

    arena_done(arena);
    if (!walk_next_first(w, c, rows, f))
        return false;
    if (f->after.data != NULL)
        f->after.data = arena_copy(arena, f->after.data, f->after.len);
    if (f->up_to.data != NULL)
        f->up_to.data = arena_copy(arena, f->up_to.data, f->up_to.len);
    const struct key_range range = {f->after.data != NULL ? &f->after : NULL,
                                    f->up_to.data != NULL ? &f->up_to : NULL, f->exact};

    assert_true(stores[f->side].base.ops->range(&stores[f->side].base, &range, rows, &f->rows, arena, &err));
    return true;
}

/* Walks from `after` on to the end, every second chunk read ahead, or as many chunks as there are steps: then true, and a copy of the last chunk's
 * end in *ret_end, if it has one. */
static bool walk_steps(struct mem_store stores[2], size_t chunk_rows, bool exact, const struct key *after,
                       size_t steps, struct seen *seen, struct key *ret_end)
{
    struct walk w;
    struct walk_first first;
    struct arena ahead[2];
    bool more = true, has_first = false;

    walk_init(&w, &link_of_test, &stores[SIDE_LEFT].base, &stores[SIDE_RIGHT].base, after);
    arena_init(&ahead[0]);
    arena_init(&ahead[1]);
    for (; more && steps > 0; steps--) {
        struct walk_chunk c;
        struct err err = ERR_INIT;
        struct arena arena;

        arena_init(&arena);
        if (has_first)
            assert_true(walk_begins_with(&w, &first));
        assert_true(walk_read(&w, chunk_rows, has_first ? &first : NULL, &c, &arena, &err));
        has_first = steps % 2 == 0 && read_ahead(stores, &w, &c, chunk_rows, &first, &ahead[steps / 2 % 2]);
        for (size_t i = 0; i < c.npairs; i++)
            check_pair(&c.pairs[i], stores, exact, seen);
        if (c.end.data != NULL) {
            char *copy = malloc(c.end.len + 1);

            assert_non_null(copy);
            memcpy(copy, c.end.data, c.end.len);
            free((void *)ret_end->data);
            *ret_end = (struct key){copy, c.end.len};
        }
        more = walk_advance(&w, &c);
        arena_done(&arena);
        seen->steps++;
    }
    seen->again = seen->again || w.rest_after.data != NULL;
    walk_done(&w);
    arena_done(&ahead[0]);
    arena_done(&ahead[1]);
    return more;
}

/* All of it; must end. */
static void walk_all(struct mem_store stores[2], size_t chunk_rows, bool exact, struct seen *seen)
{
    struct key end = {NULL, 0};

    *seen = (struct seen){0};
    assert_false(walk_steps(stores, chunk_rows, exact, NULL, 10000, seen, &end));
    free((void *)end.data);
}

/* Likewise, but it is given up after a chunk or a few, and goes on behind the last end that it told. */
static void walk_in_pieces(struct mem_store stores[2], size_t chunk_rows, bool exact, struct seen *seen,
                           unsigned *seed)
{
    struct key end = {NULL, 0};
    bool more = true;

    *seen = (struct seen){0};
    for (size_t tries = 0; more; tries++) {
        char bytes[64];
        struct key after = {bytes, end.len};

        assert_in_range(tries, 0, 1000);
        if (end.data != NULL)
            memcpy(bytes, end.data, end.len);
        more = walk_steps(stores, chunk_rows, exact, end.data != NULL ? &after : NULL,
                          (size_t)rand_r(seed) % 3 + 1 + tries / 10, seen, &end);
    }
    free((void *)end.data);
}

static void test_what_a_chunk_begins_with(void **state)
{
    static const struct key a = {"a", 1}, b = {"b", 1}, none = {NULL, 0};
    const struct {
        struct key after, rest_after, rest_end; /* of the walk */
        bool exact;                             /* likewise, on both sides */
        struct walk_first first;
        bool fits;
    } cases[] = {
        {none, none, none, false, {.side = SIDE_LEFT}, true},
        {none, none, none, false, {.side = SIDE_RIGHT}, false},
        {none, none, none, false, {.side = SIDE_LEFT, .exact = true}, true},
        {none, none, none, true, {.side = SIDE_LEFT, .exact = true}, true},
        {none, none, none, true, {.side = SIDE_LEFT}, false},
        {none, none, none, false, {.side = SIDE_LEFT, .after = a}, false},
        {a, none, none, false, {.side = SIDE_LEFT, .after = a}, true},
        {a, none, none, false, {.side = SIDE_LEFT, .after = b}, false},
        {a, none, none, false, {.side = SIDE_LEFT, .after = a, .up_to = b}, false},
        {a, b, none, false, {.side = SIDE_LEFT, .after = a}, false},
        {a, b, none, false, {.side = SIDE_RIGHT, .after = b}, true},
        {a, b, a, false, {.side = SIDE_RIGHT, .after = b}, false},
        {a, b, a, false, {.side = SIDE_RIGHT, .after = b, .up_to = a}, true},
        {a, b, a, false, {.side = SIDE_RIGHT, .after = b, .up_to = b}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct walk w = {.after = cases[i].after,
                               .rest_after = cases[i].rest_after,
                               .rest_end = cases[i].rest_end,
                               .exact = {cases[i].exact, cases[i].exact}};

        if (walk_begins_with(&w, &cases[i].first) != cases[i].fits)
            fail_msg("case %zu", i);
    }
}

static void assert_all_seen(const struct mem_store stores[2], const struct seen *seen, size_t at_most)
{
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        for (size_t i = 0; i < stores[side].count; i++) {
            size_t times = times_seen(seen, stores[side].rows[i]->values);

            if (times < 1 || times > at_most)
                fail_msg("%s row %s %s was seen %zu times", side_name(side),
                         stores[side].rows[i]->text[FIRST], stores[side].rows[i]->text[SECOND], times);
        }
}

/* ---- Tests ---- */

enum key_shape { NUMBER, TEXT, BOTH, SHAPES };

static const compare orders[SHAPES] = {by_number, by_text, by_both};

static void use_shape(enum key_shape shape)
{
    if (shape == BOTH)
        use_key(key_two, 2);
    else
        use_key(key_one, 1);
}

/* Some keys on one side, some on the other, some on both, alike or not. share: of ten, how many each side has. */
static void fill(struct mem_store stores[2], enum key_shape shape, unsigned nkeys, const unsigned share[2],
                 unsigned *seed)
{
    for (unsigned n = 0; n < nkeys; n++) {
        char first[TEXT_ROOM], second[TEXT_ROOM] = "";

        snprintf(first, sizeof first,
                 shape == NUMBER ? "%u"
                 : shape == TEXT ? "k%u"
                                 : "t%u",
                 shape == BOTH ? n / 5 : n);
        if (shape == BOTH)
            snprintf(second, sizeof second, "%u", n % 5 * 7);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            if ((unsigned)rand_r(seed) % 10 < share[side])
                add_row(&stores[side], first, second, rand_r(seed) % 4 == 0 ? "2" : "1");
    }
}

static void test_each_key_is_seen_once(void **state)
{
    static const unsigned shares[][2] = {{9, 9}, {10, 10}, {0, 0}, {10, 0}, {0, 10}, {9, 2}, {5, 5}};
    unsigned seed = 1;

    (void)state;
    for (size_t round = 0; round < 7 * SHAPES * 7; round++) {
        enum key_shape shape = (enum key_shape)(round % SHAPES);
        size_t chunk_rows = round / SHAPES % 7 + 1;
        struct mem_store stores[2];
        static struct seen seen;

        use_shape(shape);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_init(&stores[side], (enum side)side, orders[shape]);
        fill(stores, shape, (unsigned)rand_r(&seed) % 60, shares[round / SHAPES / 7], &seed);
        walk_all(stores, chunk_rows, true, &seen);
        assert_all_seen(stores, &seen, 1);
        assert_in_range(seen.steps, 1,
                        2 * (stores[SIDE_LEFT].count + stores[SIDE_RIGHT].count) / chunk_rows + 2);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_done(&stores[side]);
    }
}

/* Where one side has many more rows in between, as at a first start: as much is read at a time as was asked for, or
 * twice that, and the end comes. */
static void test_one_side_has_many_more(void **state)
{
    unsigned seed = 2;

    (void)state;
    use_shape(NUMBER);
    for (size_t round = 0; round < 140; round++) {
        const unsigned shares[2][2] = {{1, 10}, {10, 1}};
        size_t chunk_rows = round % 7 + 1;
        struct mem_store stores[2];
        static struct seen seen;

        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_init(&stores[side], (enum side)side, by_number);
        fill(stores, NUMBER, 100, shares[round % 2], &seed);
        walk_all(stores, chunk_rows, true, &seen);
        assert_all_seen(stores, &seen, 1);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            assert_in_range(stores[side].last_limit, chunk_rows, 2 * chunk_rows);
            store_done(&stores[side]);
        }
    }
}

/* A walk that is given up after any chunk. */
static void test_it_goes_on_anywhere(void **state)
{
    static const unsigned shares[][2] = {{9, 9}, {2, 9}, {0, 10}, {10, 0}};
    unsigned seed = 3;

    (void)state;
    for (size_t round = 0; round < 7 * SHAPES * 4; round++) {
        enum key_shape shape = (enum key_shape)(round % SHAPES);
        struct mem_store stores[2];
        static struct seen seen;

        use_shape(shape);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_init(&stores[side], (enum side)side, orders[shape]);
        fill(stores, shape, 60, shares[round / SHAPES / 7], &seed);
        walk_in_pieces(stores, round % 7 + 1, true, &seen, &seed);
        assert_all_seen(stores, &seen, seen.again && stores[SIDE_LEFT].count > 0 ? SIZE_MAX : 1);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_done(&stores[side]);
    }
}

/* ENUM columns in another order, say. A key may show as missing where it is not, but none is passed over. */
static void test_sides_that_sort_differently(void **state)
{
    static const compare pairs[][2] = {
        {by_number, reversed},  {reversed, by_number},  {by_number, odd_first}, {odd_first, by_number},
        {scrambled, by_number}, {by_number, scrambled}, {odd_first, scrambled},
    };
    static const unsigned shares[][2] = {{10, 10}, {9, 9}, {2, 9}, {9, 2}, {0, 10}, {10, 0}};
    enum { PAIRS = sizeof pairs / sizeof *pairs, SHARES = sizeof shares / sizeof *shares };
    unsigned seed = 4;

    (void)state;
    use_shape(NUMBER);
    for (size_t round = 0; round < PAIRS * SHARES * 7; round++) {
        struct mem_store stores[2];
        static struct seen seen;

        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_init(&stores[side], (enum side)side, pairs[round % PAIRS][side]);
        fill(stores, NUMBER, 20, shares[round / PAIRS % SHARES], &seed);
        walk_all(stores, round / PAIRS / SHARES + 1, false, &seen);
        assert_all_seen(stores, &seen, SIZE_MAX);
        walk_in_pieces(stores, round / PAIRS / SHARES + 1, false, &seen, &seed);
        assert_all_seen(stores, &seen, SIZE_MAX);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_done(&stores[side]);
    }
}

/* ---- Somebody writes meanwhile ---- */

static unsigned write_seed;

/* Now and then a new row between two others. The keys of old rows are multiples of 100. */
static void insert_some(struct mem_store *s)
{
    for (unsigned n = (unsigned)rand_r(&write_seed) % 4; n > 0 && s->count < MAX_ROWS - 100; n--) {
        unsigned number = (unsigned)rand_r(&write_seed) % 4000;
        char text[TEXT_ROOM];
        struct value row[NFIELDS] = {0};

        snprintf(text, sizeof text, "%u", number);
        row[FIRST] = (struct value){text, (uint32_t)strlen(text), VALUE_SET};
        size_t at = place_of(s, row, false);

        if (number % 100 == 0 || (at < s->count && s->compare(s->rows[at]->values, row) == 0))
            continue;
        add_number(s, number, 9);
    }
}

static void test_new_rows_hide_no_old_ones(void **state)
{
    (void)state;
    use_shape(NUMBER);
    write_seed = 5;
    for (size_t round = 0; round < 300; round++) {
        struct mem_store stores[2];
        static struct seen seen;
        const struct value *old[2][40];
        size_t nold[2];

        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            store_init(&stores[side], (enum side)side, by_number);
            for (unsigned n = 0; n < 40; n++)
                if (rand_r(&write_seed) % 3 > 0)
                    add_number(&stores[side], n * 100, 1);
            nold[side] = stores[side].count;
            for (size_t i = 0; i < nold[side]; i++)
                old[side][i] = stores[side].rows[i]->values;
            if (round % 3 != 2 || side == SIDE_LEFT)
                stores[side].before_range = insert_some;
        }
        walk_all(stores, round % 7 + 1, false, &seen);
        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
            for (size_t i = 0; i < nold[side]; i++)
                if (times_seen(&seen, old[side][i]) == 0)
                    fail_msg("round %zu: %s row %s was passed over", round, side_name(side),
                             old[side][i][FIRST].data);
            store_done(&stores[side]);
        }
    }
}

/* ---- Errors ---- */

static bool fail_range(struct store *s, const struct key_range *range, size_t limit,
                       struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    (void)s, (void)range, (void)limit, (void)ret_rows, (void)arena;
    return err_set(err, ERR_RETRY, 2006, "gone");
}

static void test_an_error_says_which_side(void **state)
{
    static const struct store_ops broken_ops = {.range = fail_range};

    (void)state;
    use_shape(NUMBER);
    for (int broken = SIDE_LEFT; broken <= SIDE_RIGHT; broken++) {
        struct mem_store stores[2];
        struct walk_chunk c;
        struct walk w;
        struct err err = ERR_INIT;
        struct arena arena;

        for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            store_init(&stores[side], (enum side)side, by_number);
        stores[broken].base.ops = &broken_ops;
        arena_init(&arena);
        walk_init(&w, &link_of_test, &stores[SIDE_LEFT].base, &stores[SIDE_RIGHT].base, NULL);
        assert_false(walk_read(&w, 5, NULL, &c, &arena, &err));
        assert_string_equal(err.text, broken == SIDE_LEFT ? "read left rows: gone" : "read right rows: gone");
        assert_int_equal(err.kind, ERR_RETRY);
        walk_done(&w);
        arena_done(&arena);
    }
}

int main(void)
{
    static struct column columns[NFIELDS] = {
        {.name = "first"}, {.name = "second"}, {.name = "version"}, {.name = "updated_at"}};
    static struct field fields[NFIELDS];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_a_chunk_begins_with),    cmocka_unit_test(test_each_key_is_seen_once),
        cmocka_unit_test(test_one_side_has_many_more),      cmocka_unit_test(test_it_goes_on_anywhere),
        cmocka_unit_test(test_sides_that_sort_differently), cmocka_unit_test(test_new_rows_hide_no_old_ones),
        cmocka_unit_test(test_an_error_says_which_side),
    };

    for (size_t i = 0; i < NFIELDS; i++)
        fields[i] = (struct field){.column = {&columns[i], &columns[i]}};
    link_of_test.fields = fields;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
