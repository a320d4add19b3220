/*
 * What an operator may ask for: which links and which side are meant, what is refused and
 * why, and that nothing is started before its servers have been reached. No server is: the
 * resyncers have no thread, so a job that began stays as it is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cdc/operate.h"

enum { USERS, ORDERS, LOCAL, NLINKS };

static struct config_link config_links[NLINKS] = {
    {.name = "users", .side = {{.server = "auth"}, {.server = "crm"}}},
    {.name = "orders", .side = {{.server = "shop"}, {.server = "crm"}}},
    {.name = "local", .side = {{.server = "crm"}, {.server = "crm"}}},
};
static struct config config_of_test = {.links = config_links, .nlinks = NLINKS};

static struct column column_id = {.name = "id", .kind = COL_INT};
static struct field field_id = {.column = {&column_id, &column_id}};
static size_t key_field = 0;

struct world {
    struct operate *operate;
    const struct api *api;
    struct link link[NLINKS];
    struct link_sync *sync[NLINKS];
    struct resyncer *resyncer[NLINKS];
    struct direction_stats direction[2];
    uint64_t last_id;
};

static uint64_t new_id(void *arg) { return ++((struct world *)arg)->last_id; }

static void setup(struct world *w)
{
    static const struct config_server server = {.name = "crm"};
    static const struct db_options db = {.server = &server};

    *w = (struct world){.operate = operate_new(&config_of_test)};
    w->api = operate_api(w->operate);
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        direction_stats_init(&w->direction[s], "users", (enum side)s);
    for (size_t i = 0; i < NLINKS; i++) {
        w->link[i] = (struct link){.name = config_links[i].name,
                                   .server = {config_links[i].side[0].server, config_links[i].side[1].server},
                                   .fields = &field_id,
                                   .nfields = 1,
                                   .key = &key_field,
                                   .nkey = 1,
                                   .keep_conflicts = 100};
        w->sync[i] = link_sync_new(&w->link[i]);
        w->resyncer[i] = resyncer_new(&(struct resyncer_options){
            .link = &w->link[i],
            .db = {&db, &db},
            .state_database = "twinlog",
            .sync = w->sync[i],
            .direction = {&w->direction[SIDE_LEFT], &w->direction[SIDE_RIGHT]},
            .initial_sync = true,
            .new_id = new_id,
            .new_id_arg = w,
        });
    }
}

static void teardown(struct world *w)
{
    operate_free(w->operate);
    for (size_t i = 0; i < NLINKS; i++) {
        resyncer_free(w->resyncer[i]);
        link_sync_free(w->sync[i]);
    }
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        direction_stats_done(&w->direction[s]);
}

static void serve(struct world *w, size_t i) { operate_serve(w->operate, i, w->resyncer[i], w->sync[i]); }

/* ---- A left side that takes whatever is stored, as at a first start ---- */

static bool take_lock(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                      struct arena *arena, struct err *err)
{
    (void)s, (void)keys, (void)nkeys, (void)ret_rows, (void)arena, (void)err;
    return true;
}

static bool take_write(struct store *s, const struct store_write *w, struct err *err)
{
    (void)s, (void)w, (void)err;
    return true;
}

static bool take_commit(struct store *s, struct err *err)
{
    (void)s, (void)err;
    return true;
}

static uint64_t begin_job(struct world *w, size_t i)
{
    static const struct store_ops ops = {.lock = take_lock, .write = take_write, .commit = take_commit};
    struct store left = {&ops, &w->link[i], SIDE_LEFT, 0};
    struct apply apply = {.stores = {&left}};
    struct err err = ERR_INIT;

    assert_true(resyncer_on_begin(w->resyncer[i], &apply, SIDE_LEFT, JOB_FIRST_START, "", NULL, &err));
    return w->last_id;
}

struct started {
    size_t count, running;
    char links[100];
};

static void note_job(void *arg, const struct job *job, bool already_running)
{
    struct started *s = arg;
    size_t len = strlen(s->links);

    s->count++;
    s->running += already_running;
    snprintf(s->links + len, sizeof s->links - len, "%s%s", len > 0 ? " " : "", job->link);
}

static enum api_result trigger(struct world *w, struct api_trigger t, struct started *ret_started,
                               struct err *err)
{
    *ret_started = (struct started){0};
    err_clear(err);
    return w->api->trigger(w->api->arg, &t, note_job, ret_started, err);
}

/* ---- Resync ---- */

static void test_what_means_nothing_is_refused(void **state)
{
    static const struct {
        struct api_trigger t;
        const char *text; /* part of what is said */
    } cases[] = {
        {{.link = "nosuch"}, "there is no link \"nosuch\"; there is \"users\" and others"},
        {{.link = "user"}, "there is no link \"user\""},
        {{.link = ""}, "there is no link \"\""},
        {{.force = true}, "need from"},
        {{.delete_missing = true}, "need from"},
        {{.link = "users", .force = true, .delete_missing = true}, "need from"},
        {{.link = "nosuch", .force = true}, "need from"},
        {{.link = "users", .from = "shop"},
         "from: \"shop\" is no side of link users; say left (auth) or right (crm)"},
        {{.link = "users", .from = "Left"}, "is no side of link users"},
        {{.link = "users", .from = ""}, "is no side of link users"},
        {{.link = "local", .from = "crm"}, "both tables of link local are on server crm; say left or right"},
        {{.from = "nosuch"}, "is no side of link"},
    };
    struct world w;

    (void)state;
    setup(&w);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) { /* it is wrong before and after */
        struct started s;
        struct err err = ERR_INIT;

        if (i == sizeof cases / sizeof *cases)
            for (size_t n = 0; n < NLINKS; n++)
                serve(&w, n);
        assert_int_equal(trigger(&w, cases[i % (sizeof cases / sizeof *cases)].t, &s, &err), API_INVALID);
        assert_int_equal(err.kind, ERR_CONFIG);
        if (strstr(err.text, cases[i % (sizeof cases / sizeof *cases)].text) == NULL)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(s.count, 0);
    }
    teardown(&w);
}

static void test_one_link_has_no_others(void **state)
{
    struct config one = {.links = config_links, .nlinks = 1};
    struct operate *o = operate_new(&one);
    const struct api *api = operate_api(o);
    struct started s = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(api->trigger(api->arg, &(struct api_trigger){.link = "x"}, note_job, &s, &err),
                     API_INVALID);
    assert_string_equal(err.text, "there is no link \"x\"; there is \"users\"");
    operate_free(o);
    operate_free(NULL);
}

static void test_nothing_begins_before_the_servers_are_reached(void **state)
{
    static const struct api_trigger asked[] = {
        {.link = "users"},
        {.link = "users", .from = "left"},
        {.link = "users", .from = "right", .force = true},
        {.link = "users", .from = "auth", .delete_missing = true},
        {.link = "users", .from = "crm", .force = true, .delete_missing = true},
        {.link = "local", .from = "right"},
        {.link = NULL},
        {.from = "left"},
        {.from = "auth"}, /* users alone has a side there */
    };
    struct world w;

    (void)state;
    setup(&w);
    for (int served = 0; served < 2; served++) {
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            struct started s;
            struct err err = ERR_INIT;

            assert_int_equal(trigger(&w, asked[i], &s, &err),
                             API_NOT_YET); /* served: the left server has still to answer */
            assert_int_equal(err.kind, ERR_RETRY);
            assert_non_null(strstr(err.text, "not been reached yet"));
            assert_int_equal(s.count, 0);
        }
        for (size_t i = 0; i < NLINKS; i++)
            serve(&w, i);
    }
    assert_int_equal(w.last_id, 0);
    teardown(&w);
}

static void test_all_links_must_be_served_or_none_is_touched(void **state)
{
    struct world w;
    struct started s;
    struct err err = ERR_INIT;

    (void)state;
    setup(&w);
    serve(&w, USERS);
    begin_job(&w, USERS);
    assert_int_equal(trigger(&w, (struct api_trigger){.link = NULL}, &s, &err), API_NOT_YET);
    assert_int_equal(s.count, 0);
    assert_int_equal(trigger(&w, (struct api_trigger){.link = "users"}, &s, &err), API_OK);
    assert_string_equal(s.links, "users");
    assert_int_equal(s.running, 1);
    assert_int_equal(trigger(&w, (struct api_trigger){.from = "auth"}, &s, &err),
                     API_OK); /* the others have no side there */
    assert_string_equal(s.links, "users");
    teardown(&w);
}

static void test_which_links_take_part(void **state)
{
    static const struct {
        struct api_trigger t;
        const char *links;
    } cases[] = {
        {{.link = NULL}, "users orders local"},
        {{.from = "left"}, "users orders local"},
        {{.from = "right", .force = true}, "users orders local"},
        {{.from = "auth"}, "users"},
        {{.from = "shop", .delete_missing = true}, "orders"},
        {{.from = "crm"}, "users orders"}, /* it is both sides of the third */
        {{.link = "orders", .from = "crm"}, "orders"},
        {{.link = "local", .from = "right"}, "local"},
    };
    struct world w;

    (void)state;
    setup(&w);
    for (size_t i = 0; i < NLINKS; i++) {
        serve(&w, i);
        begin_job(&w, i);
    }
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct started s;
        struct err err = ERR_INIT;

        assert_int_equal(trigger(&w, cases[i].t, &s, &err), API_OK);
        assert_string_equal(s.links, cases[i].links);
        assert_int_equal(s.running, s.count);
    }
    assert_int_equal(w.last_id, NLINKS); /* what runs was named, nothing else began */
    teardown(&w);
}

static void test_jobs_are_found(void **state)
{
    struct world w;
    struct job job;

    (void)state;
    setup(&w);
    assert_false(w.api->job(w.api->arg, 1, &job));
    assert_int_equal(w.api->last_job(w.api->arg, "users", &job), API_NOT_YET);
    serve(&w, USERS);
    serve(&w, LOCAL);
    assert_int_equal(w.api->last_job(w.api->arg, "users", &job), API_NOT_YET);
    conflicts_set_loaded(link_sync_conflicts(w.sync[USERS]));
    assert_false(w.api->job(w.api->arg, 0, &job));
    assert_int_equal(w.api->last_job(w.api->arg, "users", &job), API_NOT_FOUND);
    uint64_t first = begin_job(&w, LOCAL), second = begin_job(&w, USERS);

    assert_true(w.api->job(w.api->arg, first, &job));
    assert_string_equal(job.link, "local");
    assert_true(w.api->job(w.api->arg, second, &job));
    assert_string_equal(job.link, "users");
    assert_int_equal(job.state, JOB_RUNNING);
    assert_int_equal(job.cause, JOB_FIRST_START);
    assert_false(w.api->job(w.api->arg, second + 1, &job));
    assert_false(w.api->job(w.api->arg, 0, &job));
    assert_int_equal(w.api->last_job(w.api->arg, "local", &job), API_OK);
    assert_int_equal(job.id, first);
    assert_int_equal(w.api->last_job(w.api->arg, "orders", &job), API_NOT_YET);
    assert_int_equal(w.api->last_job(w.api->arg, "nosuch", &job), API_NOT_FOUND);
    teardown(&w);
}

/* ---- Quarantine and conflicts ---- */

static struct key key_of_text(char out[32], const char *text)
{
    size_t len = strlen(text);

    memcpy(out, (char[]){(char)len, 0, 0, 0}, 4);
    memcpy(out + 4, text, len);
    return (struct key){out, len + 4};
}

static void refuse(struct world *w, size_t i, const char *text)
{
    char bytes[32];
    struct quarantine_entry e = {.key = key_of_text(bytes, text), .why = "x"};

    quarantine_refused(link_sync_quarantine(w->sync[i]), &e, (wall_us){1});
}

static void note_key(void *arg, const struct waiting_key *k)
{
    char *all = arg;
    size_t len = strlen(all);

    snprintf(all + len, 100 - len, "%s%s:%s", len > 0 ? " " : "", k->link, k->key);
}

static void note_conflict(void *arg, const struct conflict *c)
{
    char *all = arg;
    size_t len = strlen(all);

    snprintf(all + len, 100 - len, "%s%s:%d", len > 0 ? " " : "", c->link, (int)c->id);
}

static void test_quarantine_of_one_link_or_all(void **state)
{
    struct world w;
    struct err err = ERR_INIT;
    enum api_result result;
    size_t count;

    (void)state;
    setup(&w);
    refuse(&w, USERS, "1");
    refuse(&w, USERS, "2");
    refuse(&w, ORDERS, "1");
    for (int known = 0; known < 2; known++) { /* what they have before it is loaded counts for nothing */
        char all[100] = "", some[100] = "", users[100] = "", none[100] = "";
        enum api_result expected = known ? API_OK : API_NOT_YET;

        for (size_t i = 0; i < NLINKS; i++) {
            assert_int_equal(w.api->quarantine(w.api->arg, NULL, 10, note_key, none, &result), 0);
            assert_int_equal(result, API_NOT_YET);
            known ? quarantine_set_loaded(link_sync_quarantine(w.sync[i])) : serve(&w, i);
        }
        assert_int_equal(w.api->quarantine(w.api->arg, NULL, 10, note_key, all, &result), known ? 3 : 0);
        assert_int_equal(result, expected);
        assert_string_equal(all, known ? "users:id=1 users:id=2 orders:id=1" : "");
        assert_int_equal(w.api->quarantine(w.api->arg, NULL, 1, note_key, some, &result), known ? 3 : 0);
        assert_string_equal(some, known ? "users:id=1 orders:id=1" : "");
        assert_int_equal(w.api->quarantine(w.api->arg, "users", 10, note_key, users, &result), known ? 2 : 0);
        assert_int_equal(result, expected);
        assert_int_equal(w.api->quarantine(w.api->arg, "nosuch", 10, note_key, none, &result), 0);
        assert_int_equal(result, API_INVALID);
        assert_string_equal(none, "");
        assert_int_equal(w.api->retry(w.api->arg, NULL, NULL, &count, &err), expected);
        assert_int_equal(w.api->retry(w.api->arg, NULL, "7", &count, &err),
                         known ? API_NOT_FOUND : API_NOT_YET);
        err_clear(&err);
    }

    assert_int_equal(w.api->retry(w.api->arg, NULL, "1", &count, &err), API_OK);
    assert_int_equal(count, 2);
    assert_int_equal(w.api->retry(w.api->arg, "orders", "id=1", &count, &err), API_OK);
    assert_int_equal(count, 1);
    assert_int_equal(w.api->retry(w.api->arg, NULL, NULL, &count, &err), API_OK);
    assert_int_equal(count, 3);
    assert_int_equal(w.api->retry(w.api->arg, "local", NULL, &count, &err), API_OK); /* all of none */
    assert_int_equal(count, 0);
    assert_int_equal(w.api->retry(w.api->arg, "orders", "2", &count, &err), API_NOT_FOUND);
    assert_int_equal(count, 0);
    assert_string_equal(err.text, "no such key waits in quarantine");
    assert_int_equal(w.api->retry(w.api->arg, "nosuch", "2", &count, &err), API_INVALID);
    assert_non_null(strstr(err.text, "nosuch"));
    teardown(&w);
}

static void test_conflicts_of_one_link_or_all(void **state)
{
    struct world w;
    enum api_result result;

    (void)state;
    setup(&w);
    for (uint64_t id = 1; id <= 3; id++)
        conflicts_add(link_sync_conflicts(w.sync[USERS]), &(struct conflict_record){.id = id, .key = {"", 0}},
                      (wall_us){1});
    conflicts_add(link_sync_conflicts(w.sync[LOCAL]), &(struct conflict_record){.id = 2, .key = {"", 0}},
                  (wall_us){1});
    for (int known = 0; known < 2; known++) {
        char all[100] = "", some[100] = "", one[100] = "";
        enum api_result expected = known ? API_OK : API_NOT_YET, none = known ? API_NOT_FOUND : API_NOT_YET;

        for (size_t i = 0; i < NLINKS; i++) {
            assert_int_equal(w.api->conflicts(w.api->arg, NULL, 10, note_conflict, all, &result), 0);
            assert_int_equal(result, API_NOT_YET);
            known ? conflicts_set_loaded(link_sync_conflicts(w.sync[i])) : serve(&w, i);
        }
        assert_int_equal(w.api->conflicts(w.api->arg, NULL, 10, note_conflict, all, &result), known ? 4 : 0);
        assert_int_equal(result, expected);
        assert_string_equal(all, known ? "users:3 users:2 users:1 local:2" : "");
        assert_int_equal(w.api->conflicts(w.api->arg, "users", 2, note_conflict, some, &result),
                         known ? 3 : 0);
        assert_string_equal(some, known ? "users:3 users:2" : "");
        assert_int_equal(w.api->conflicts(w.api->arg, "nosuch", 2, note_conflict, one, &result), 0);
        assert_int_equal(result, API_INVALID);

        assert_int_equal(w.api->conflict(w.api->arg, "local", 2, note_conflict, one),
                         API_OK); /* it is there */
        assert_string_equal(one, "local:2");
        assert_int_equal(w.api->conflict(w.api->arg, "local", 3, note_conflict, one), none);
        assert_int_equal(w.api->conflict(w.api->arg, "orders", 2, note_conflict, one), none);
        assert_int_equal(w.api->conflict(w.api->arg, "nosuch", 2, note_conflict, one), API_NOT_FOUND);
        assert_int_equal(w.api->conflict(w.api->arg, NULL, 2, note_conflict, one),
                         API_NOT_FOUND); /* ids are a link's own */
    }
    teardown(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_means_nothing_is_refused),
        cmocka_unit_test(test_one_link_has_no_others),
        cmocka_unit_test(test_nothing_begins_before_the_servers_are_reached),
        cmocka_unit_test(test_all_links_must_be_served_or_none_is_touched),
        cmocka_unit_test(test_which_links_take_part),
        cmocka_unit_test(test_jobs_are_found),
        cmocka_unit_test(test_quarantine_of_one_link_or_all),
        cmocka_unit_test(test_conflicts_of_one_link_or_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
