/*
 * Real logs of real servers against the text that is expected of them, and the
 * properties that hold for any log: cutting and resuming anywhere gives the same
 * changes, and damaged bytes give an error or other changes, never more.
 *
 *   test_assemble --print tests/golden/X    the text of X.binlog, for rewrite.sh
 *   test_assemble --seal                    a sealed value for a statement file
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/golden/golden.h"

#define TYPES "tests/golden/mariadb-10.11-types"
#define GROUPS "tests/golden/mariadb-10.11-groups"

/* A run over one log: what comes out, as text. */
struct run {
    struct golden_links links;
    struct golden_log log;
    struct assemble *assemble;
    struct buf text;
    struct buf changes[16]; /* bare: one text a feed, for the feeds' order among each other may differ */
    bool resume[16];        /* halted: to be resumed behind the group */
    size_t halted_at[16];   /* in the log */
    size_t nput;
    size_t refuse_after; /* puts; then one is refused */
    bool bare;           /* one line a change, without positions: to compare runs that are cut otherwise */
    struct pos last[16]; /* what the applier would have stored */
    uint64_t last_rows[16];
    bool skewed[16]; /* went on behind a halt since: `last` is older than that */

    const char *base;
    bool describes; /* the definition is asked for; else the link's is the only one */
    enum definition { AS_IT_WAS, NARROWED, GONE, OF_THE_END } definition;
    size_t ndescribed;
    size_t describe_fails; /* this call of all, the first being 1 */
    uint64_t end;          /* OF_THE_END: the sequence number */
    size_t nlooks;         /* events behind which the first feed looked ahead */
    size_t nparts;         /* behind which a group was open */
    bool keeps; /* what is missed while a feed looks ahead, so that the stream need not begin again */
};

static bool run_put(void *arg, size_t feed, struct tx *tx)
{
    struct run *r = arg;
    const struct link *l = r->links.links[feed];
    if (r->nput++ == r->refuse_after)
        return false;
    pos_copy(&r->last[feed], &tx->pos);
    r->last_rows[feed] = tx->rows_done;
    r->skewed[feed] = false;
    if (!r->bare) {
        golden_print_tx(&r->text, l, tx);
    } else {
        struct tx part = *tx;
        for (size_t i = 0; i < tx->nchanges; i++) {
            part.changes = &tx->changes[i];
            part.nchanges = 1;
            part.rows_done = 1;
            struct buf one;
            buf_init(&one, 0);
            golden_print_tx(&one, l, &part);
            buf_adds(&r->changes[feed], strchr(one.data, '\n') + 1);
            buf_done(&one);
        }
    }
    tx_free(tx);
    return true;
}

static void run_halt(void *arg, size_t feed, const char *why)
{
    struct run *r = arg;
    if (!r->bare)
        buf_addf(&r->text, "%s: halted: %s\n", r->links.links[feed]->name, why);
    r->resume[feed] = true;
    r->halted_at[feed] = r->log.at;
}

static void run_echo(void *arg, size_t feed)
{
    struct run *r = arg;
    if (!r->bare)
        buf_addf(&r->text, "%s: own\n", r->links.links[feed]->name);
}

/* What the statements up to here made of the table users. */
static bool has_extra_column(const struct run *r)
{
    static const char added[] = "ADD COLUMN extra", dropped[] = "DROP COLUMN extra";
    const char *add = memmem(r->log.bytes.data, r->log.at, added, sizeof(added) - 1);
    return add != NULL && memmem(r->log.bytes.data, r->log.at, dropped, sizeof(dropped) - 1) == NULL;
}

static void add_extra_column(struct table *t)
{
    t->columns = mem_realloc(t->columns, (t->ncolumns + 1) * sizeof(*t->columns));
    t->columns[t->ncolumns] = (struct column){.name = mem_strdup("extra"),
                                              .type_text = mem_strdup("int(11)"),
                                              .kind = COL_INT,
                                              .length = 4,
                                              .ordinal = t->ncolumns};
    t->ncolumns++;
}

static void narrow_name(struct table *t)
{
    struct column *c = (struct column *)(uintptr_t)table_column(t, "name");
    free(c->type_text);
    c->type_text = mem_strdup("varchar(20)");
    c->length = 20;
}

static bool run_describe(void *arg, size_t feed, struct table **ret_table, struct pos *ret_at,
                         struct err *err)
{
    struct run *r = arg;
    const char *name = r->links.links[feed]->table[SIDE_LEFT]->name;
    struct golden_links fresh;
    if (++r->ndescribed == r->describe_fails)
        return err_set(err, ERR_RETRY, 2013, "lost connection");
    if (r->definition == GONE)
        return err_set(err, ERR_HALT, 0, "table app.%s does not exist", name);
    golden_links_load(&fresh, r->base);
    for (size_t i = 0; i < fresh.ntables; i++) {
        if (strcmp(fresh.tables[i]->name, name) != 0)
            continue;
        *ret_table = fresh.tables[i];
        fresh.tables[i] = NULL;
    }
    golden_links_done(&fresh);
    if (strcmp(name, "users") == 0 && has_extra_column(r))
        add_extra_column(*ret_table);
    if (strcmp(name, "users") == 0 && r->definition == NARROWED)
        narrow_name(*ret_table);
    pos_copy(ret_at, assemble_pos(r->assemble));
    if (r->definition == OF_THE_END)
        pos_set_server(ret_at, NULL); /* its file and offset are not those of the end */
    if (r->definition == OF_THE_END)
        pos_add_gtid(ret_at, &(struct gtid){.kind = GTID_MARIADB, .domain = 0, .server = 1, .seq = r->end});
    return true;
}

static void run_open(struct run *r, const char *base, size_t part_rows)
{
    bool describes = r->describes;
    enum definition definition = r->definition;
    size_t describe_fails = r->describe_fails;
    uint64_t end = r->end;
    bool keeps = r->keeps;
    struct assemble_feed feeds[16];
    *r = (struct run){.refuse_after = SIZE_MAX,
                      .base = base,
                      .describes = describes,
                      .definition = definition,
                      .describe_fails = describe_fails,
                      .end = end,
                      .keeps = keeps};
    golden_links_load(&r->links, base);
    golden_log_open(&r->log, base);
    for (size_t i = 0; i < r->links.nlinks; i++)
        feeds[i] = (struct assemble_feed){r->links.links[i], SIDE_LEFT};
    struct assemble_options options = {
        .state_database = "twinlog",
        .feeds = feeds,
        .nfeeds = r->links.nlinks,
        .part_rows = part_rows,
        .part_bytes = (size_t)1 << 20,
        .keep_bytes = keeps ? 0 : 1,
        .put = run_put,
        .halt = run_halt,
        .describe = r->describes ? run_describe : NULL,
        .echo = run_echo,
        .arg = r,
    };
    r->assemble = assemble_new(&options);
    buf_init(&r->text, 0);
    buf_adds(&r->text, "");
}

static void run_close(struct run *r)
{
    assemble_free(r->assemble);
    golden_links_done(&r->links);
    buf_done(&r->log.bytes);
    buf_done(&r->text);
    for (size_t i = 0; i < 16; i++) {
        pos_done(&r->last[i]);
        buf_done(&r->changes[i]);
    }
}

static void run_resume(struct run *r, size_t feed, const struct pos *pos, uint64_t rows)
{
    struct err err = ERR_INIT;
    if (!assemble_resume(r->assemble, feed, pos, rows, &err))
        golden_die(err.text, "resume");
}

/* Begins a stream where assemble.c wants it: what is before that place the server does not send. */
static void run_begin(struct run *r)
{
    const uint8_t *event;
    size_t len, at;
    const struct pos nowhere = POS_INIT;
    struct pos from = POS_INIT;
    struct buf scratch = BUF_INIT;
    assemble_start(r->assemble, &from);
    assemble_opened(r->assemble, "1", false);
    r->log.at = at = 4;
    while (golden_log_next(&r->log, &event, &len)) {
        struct event e;
        struct err err = ERR_INIT;
        if (event_decode(event, len, &scratch, &e, &err) && e.kind == EVENT_GTID &&
            !pos_includes(&from, &nowhere, &e.gtid.id))
            break;
        at = r->log.at;
    }
    r->log.at = at;
    buf_done(&scratch);
    pos_done(&from);
}

static void run_begin_all(struct run *r)
{
    struct pos zero = POS_INIT;
    pos_set_file(&zero, "bin.000001", 10, 4);
    for (size_t i = 0; i < r->links.nlinks; i++)
        run_resume(r, i, &zero, 0);
    run_begin(r);
    pos_done(&zero);
}

/* Feeds that were halted go on behind the group that halted them, as an operator would have it. */
static void run_go_on(struct run *r)
{
    struct pos at = POS_INIT, from = POS_INIT;
    bool any = false;
    pos_copy(&at, assemble_pos(r->assemble));
    for (size_t i = 0; i < r->links.nlinks; i++) {
        if (!r->resume[i] || r->log.at < r->halted_at[i])
            continue;
        run_resume(r, i, &at, 0);
        r->resume[i] = false;
        r->skewed[i] = true;
        any = true;
    }
    if (any)
        assemble_start(r->assemble, &from);
    pos_done(&at);
    pos_done(&from);
}

/* False: a put was refused or a definition not to be had, the stream has to begin again. */
static bool run_all(struct run *r)
{
    const uint8_t *event;
    size_t len;
    while (golden_log_next(&r->log, &event, &len)) {
        struct err err = ERR_INIT;
        bool moved;
        if (!assemble_event(r->assemble, event, len, &moved, &err)) {
            if (err.kind == ERR_STOPPED || err.kind == ERR_RETRY)
                return false;
            buf_addf(&r->text, "error: %s\n", err.text);
            return true;
        }
        r->nlooks += assemble_looks_ahead(r->assemble, 0);
        r->nparts += assemble_in_group(r->assemble);
        assert_false(moved && assemble_in_group(r->assemble));
        assert_false(assemble_looks_ahead(r->assemble, 0) && assemble_is_level(r->assemble));
        if (moved)
            run_go_on(r);
    }
    return true;
}

static void print(struct run *r, const char *base)
{
    run_open(r, base, 500);
    run_begin_all(r);
    run_all(r);
    char at[128];
    buf_addf(&r->text, "end %s, level %d, foreign bytes %llu\n",
             pos_print_file(assemble_pos(r->assemble), at, sizeof(at)), assemble_is_level(r->assemble),
             (unsigned long long)assemble_foreign_bytes(r->assemble));
}

static void expect_golden(const char *base)
{
    struct run r = {0};
    struct buf expected;
    print(&r, base);
    golden_read(base, ".txt", &expected);
    assert_string_equal(r.text.data, expected.data);
    buf_done(&expected);
    run_close(&r);
}

static void test_every_log(void **state)
{
    (void)state;
    glob_t logs;
    assert_int_equal(glob("tests/golden/*.binlog", 0, NULL, &logs), 0);
    assert_true(logs.gl_pathc > 10);
    for (size_t i = 0; i < logs.gl_pathc; i++) {
        *strrchr(logs.gl_pathv[i], '.') = '\0';
        expect_golden(logs.gl_pathv[i]);
    }
    globfree(&logs);
}

/* Only changes, one line after the other. */
static void bare_text(struct run *r, const char *base, size_t part_rows)
{
    run_open(r, base, part_rows);
    r->bare = true;
    run_begin_all(r);
    assert_true(run_all(r));
}

static void expect_same_changes(const struct run *a, const struct run *b, size_t n)
{
    for (size_t i = 0; i < a->links.nlinks; i++)
        if (a->changes[i].len != b->changes[i].len ||
            (a->changes[i].len > 0 && memcmp(a->changes[i].data, b->changes[i].data, a->changes[i].len) != 0))
            fail_msg("case %zu: other changes of %s", n, a->links.links[i]->name);
}

/* The log holds transactions that are rolled back or turn out as not ours: parts of them may be out by then,
 * whole ones not. Apart from those the changes are the same however they are cut. */
static void test_parts_are_the_whole(void **state)
{
    (void)state;
    struct run whole = {0}, parts = {0};
    bare_text(&whole, TYPES, 500);
    bare_text(&parts, TYPES, 1);
    expect_same_changes(&whole, &parts, 0);
    run_close(&whole);
    run_close(&parts);
    bare_text(&whole, GROUPS, 500);
    bare_text(&parts, GROUPS, 1);
    assert_true(parts.nput > whole.nput);
    for (size_t i = 0; i < whole.links.nlinks; i++)
        assert_true(parts.changes[i].len >= whole.changes[i].len);
    run_close(&whole);
    run_close(&parts);
}

/* Refuse the nth put, begin again, for every n and with parts of one row: the same changes in the same order.
 * */
static void test_stream_that_breaks_anywhere(void **state)
{
    (void)state;
    struct run plain = {0};
    bare_text(&plain, GROUPS, 1);
    for (size_t n = 0; n < plain.nput; n++) {
        struct run r = {0};
        run_open(&r, GROUPS, 1);
        r.bare = true;
        r.refuse_after = n;
        run_begin_all(&r);
        assert_false(run_all(&r));
        r.refuse_after = SIZE_MAX;
        run_begin(&r);
        assert_true(run_all(&r));
        expect_same_changes(&plain, &r, n);
        run_close(&r);
    }
    run_close(&plain);
}

/* After the nth put every applier starts over from what it stored with it. */
static void test_resume_where_the_applier_stands(void **state)
{
    (void)state;
    struct run plain = {0};
    bare_text(&plain, GROUPS, 1);
    for (size_t n = 1; n < plain.nput; n++) {
        struct run r = {0};
        run_open(&r, GROUPS, 1);
        r.bare = true;
        r.refuse_after = n;
        run_begin_all(&r);
        assert_false(run_all(&r));
        r.refuse_after = SIZE_MAX;
        for (size_t i = 0; i < r.links.nlinks; i++)
            if (!pos_is_unset(&r.last[i]) && assemble_serves(r.assemble, i) && !r.skewed[i])
                run_resume(&r, i, &r.last[i], r.last_rows[i]);
        run_begin(&r);
        assert_true(run_all(&r));
        expect_same_changes(&plain, &r, n);
        run_close(&r);
    }
    run_close(&plain);
}

static size_t count(const struct run *r, const char *line)
{
    size_t n = 0;
    for (const char *at = r->text.data; (at = strstr(at, line)) != NULL; at++)
        n++;
    return n;
}

/* The log adds a column to users, writes, drops it, writes; and before that renames name and names it back. */
static void test_altered_table(void **state)
{
    (void)state;
    struct run r = {.describes = true};
    print(&r, GROUPS);
    assert_int_equal(count(&r, "insert id=80\n"), 2); /* of two links */
    assert_int_equal(count(&r, "id=\"80\" name=\"one column more\""), 2);
    assert_int_equal(count(&r, "insert id=81\n"), 2);
    assert_int_equal(count(&r, "the log has"), 0);
    assert_int_equal(count(&r, "was altered"), 0);
    assert_int_equal(count(&r, "halted: column name of app.users was dropped or renamed\n"), 2);
    run_close(&r);

    r = (struct run){0}; /* the definition that never changes */
    print(&r, GROUPS);
    assert_int_equal(count(&r, "id=\"80\" name=\"one column more\""), 2); /* the new column stands last */
    assert_int_equal(count(&r, "insert id=81\n"), 2);
    run_close(&r);
}

static void test_definition_that_does_not_fit(void **state)
{
    (void)state;
    struct run r = {.describes = true, .definition = NARROWED};
    print(&r, GROUPS);
    assert_true(count(&r, "halted: column name of app.users is varchar(20) now, not varchar(40); restart") >
                2);
    assert_int_equal(count(&r, "insert id=1\n"), 0);
    assert_true(count(&r, "insert a=1,b=x\n") == 1); /* the other table goes on */
    run_close(&r);

    r = (struct run){.describes = true, .definition = GONE};
    print(&r, GROUPS);
    assert_true(count(&r, "halted: table app.users does not exist\n") > 2);
    assert_int_equal(count(&r, "insert"), 0);
    run_close(&r);
}

/* Read when the log has long gone on, as after a restart. Rows before an ALTER are not read by a definition of behind
 * it, and it is said that there were some; those of a table that was never altered, and those behind the last ALTER, come
 * as always. */
static void test_definition_of_later(void **state)
{
    (void)state;
    struct run plain = {.describes = true};
    print(&plain, GROUPS);
    /* Before the DROP TABLE at the end of the log. */
    struct run r = {
        .describes = true, .definition = OF_THE_END, .end = assemble_pos(plain.assemble)->gtids[0].seq - 1};
    size_t begun = 1;
    run_open(&r, GROUPS, 500);
    for (run_begin_all(&r); !run_all(&r); run_begin(&r))
        assert_true(++begun < 20);
    assert_true(begun > 3);
    assert_int_equal(count(&r, "insert id=1\n"), 0);
    assert_int_equal(count(&r, "insert id=72\n"), 0);
    assert_true(count(&r, "gap: app.users was altered while its log was not read") > 20);
    assert_int_equal(count(&r, "insert id=81\n"), 2);
    assert_int_equal(count(&r, "insert a=1,b=x\n"), 1);
    assert_int_equal(count(&r, "pairs: tx "), count(&plain, "pairs: tx "));
    assert_int_equal(count(&r, "halted: column name of app.users was dropped or renamed\n"), 2);
    assert_int_equal(count(&r, "users: echo "), count(&plain, "users: echo "));
    run_close(&r);
    run_close(&plain);
}

/* Rows that were missed meanwhile come all the same, and in their order. */
static void test_missed_rows_are_kept(void **state)
{
    (void)state;
    struct run plain = {.describes = true};
    bare_text(&plain, TYPES, 1);
    assert_int_equal(plain.nlooks, 0);
    uint64_t end = assemble_pos(plain.assemble)->gtids[0].seq;
    for (int keeps = 0; keeps < 2; keeps++) {
        struct run r = {.describes = true, .definition = OF_THE_END, .end = end, .keeps = keeps};
        size_t begun = 1;
        run_open(&r, TYPES, 1);
        r.bare = true;
        for (run_begin_all(&r); !run_all(&r); run_begin(&r))
            begun++;
        assert_int_equal(begun, keeps ? 1 : 2);
        assert_true(r.nlooks > 0 && r.nparts > 0);
        assert_false(assemble_looks_ahead(r.assemble, 0) || assemble_in_group(r.assemble));
        expect_same_changes(&plain, &r, (size_t)keeps);
        assert_true(assemble_is_level(r.assemble));
        assert_true(pos_equal(assemble_pos(r.assemble), assemble_pos(plain.assemble)));
        run_close(&r);
    }
    run_close(&plain);
}

/* Behind all feeds' places a column is added, a row written, the column dropped, a row written. That the first row cannot be
 * read is found out by looking ahead, up to the end for the other feeds' sake. While that is gone through once more, the last
 * row comes behind another ALTER: for that the stream begins again. */
static void test_altered_while_rows_are_kept(void **state)
{
    (void)state;
    struct pos from = POS_INIT;
    struct run r = {.describes = true, .definition = OF_THE_END, .end = 58, .keeps = true};
    struct err err = ERR_INIT;
    size_t begun = 1;
    pos_add_gtid(&from, &(struct gtid){.kind = GTID_MARIADB, .domain = 0, .server = 1, .seq = 54});
    run_open(&r, GROUPS, 500);
    for (size_t i = 0; i < r.links.nlinks; i++)
        run_resume(&r, i, &from, 0);
    assert_true(assemble_renew(r.assemble, &err));
    for (run_begin(&r); !run_all(&r); run_begin(&r))
        begun++;
    assert_int_equal(begun, 2);
    assert_int_equal(count(&r, "gtid 0-1-56 gap: app.users was altered while its log was not read"), 2);
    assert_int_equal(count(&r, "insert id=80\n"), 0);
    assert_int_equal(count(&r, "insert id=81\n"), 2);
    run_close(&r);
    pos_done(&from);
}

/* The nth definition cannot be had for now: nothing is lost, nothing comes twice. */
static void test_definition_that_comes_late(void **state)
{
    (void)state;
    struct run plain = {.describes = true};
    bare_text(&plain, GROUPS, 1);
    assert_true(plain.ndescribed > 8);
    for (size_t n = 1; n <= plain.ndescribed; n++) {
        struct run r = {.describes = true, .describe_fails = n};
        run_open(&r, GROUPS, 1);
        r.bare = true;
        run_begin_all(&r);
        assert_false(run_all(&r));
        run_begin(&r);
        assert_true(run_all(&r));
        expect_same_changes(&plain, &r, n);
        assert_int_equal(r.ndescribed, plain.ndescribed + 1);
        run_close(&r);
    }
    run_close(&plain);
}

static void run_damaged(const char *base, uint32_t seed)
{
    struct run r = {0};
    run_open(&r, base, 3);
    run_begin_all(&r);
    uint32_t x = seed * 2654435761u + 1;
    const uint8_t *event;
    size_t len;
    bool go = true;
    while (go && golden_log_next(&r.log, &event, &len)) {
        uint8_t *copy = mem_alloc(len + 1); /* exactly its size: a read past the end is seen */
        memcpy(copy, event, len);
        x = x * 1664525 + 1013904223;
        if (x >> 28 == 0 && len > EVENT_HEADER_BYTES)
            copy[EVENT_HEADER_BYTES + (x >> 8) % (len - EVENT_HEADER_BYTES)] ^= (uint8_t)(1u << (x & 7));
        if (x >> 26 == 5)
            len = (x >> 4) % len;
        uint8_t *exact = mem_alloc(len > 0 ? len : 1);
        memcpy(exact, copy, len);
        struct err err = ERR_INIT;
        bool moved;
        if (!assemble_event(r.assemble, exact, len, &moved, &err)) {
            assert_true(err.text[0] != '\0' && err.kind != ERR_NONE);
            go = false;
        } else if (moved) {
            run_go_on(&r);
        }
        free(exact);
        free(copy);
    }
    run_close(&r);
}

static void test_damage(void **state)
{
    (void)state;
    for (uint32_t seed = 0; seed < 150; seed++) {
        run_damaged(GROUPS, seed);
        run_damaged(TYPES, seed);
    }
}

static void test_errors_tell_no_value(void **state)
{
    (void)state;
    static const char *const secrets[] = {"in doubt", "one phase", "Zo", "Bob", "reconciled", "example.org"};
    struct run r = {0};
    print(&r, GROUPS);
    size_t halts = 0;
    char *save = NULL;
    for (char *line = strtok_r(r.text.data, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        if (strstr(line, "halted: ") == NULL)
            continue;
        halts++;
        for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
            assert_null(strstr(line, secrets[i]));
    }
    assert_true(halts > 5);
    run_close(&r);
}

static int seal(void)
{
    struct err err = ERR_INIT;
    struct buf out;
    buf_init(&out, 0);
    struct keyring *ring = keyring_new(golden_key, 1);
    if (!cipher_seal(ring, CIPHER_BASE64, "zoe@example.org", 15, &out, &err))
        golden_die(err.text, "seal");
    puts(out.data);
    buf_done(&out);
    keyring_free(ring);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--seal") == 0)
        return seal();
    if (argc == 3 && strcmp(argv[1], "--print") == 0) {
        struct run r = {0};
        print(&r, argv[2]);
        fputs(r.text.data, stdout);
        run_close(&r);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_log),
        cmocka_unit_test(test_parts_are_the_whole),
        cmocka_unit_test(test_stream_that_breaks_anywhere),
        cmocka_unit_test(test_resume_where_the_applier_stands),
        cmocka_unit_test(test_altered_table),
        cmocka_unit_test(test_definition_that_does_not_fit),
        cmocka_unit_test(test_definition_of_later),
        cmocka_unit_test(test_missed_rows_are_kept),
        cmocka_unit_test(test_altered_while_rows_are_kept),
        cmocka_unit_test(test_definition_that_comes_late),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_errors_tell_no_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
