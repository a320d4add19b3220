#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>

#include "cdc/model/stats.h"

static void texts_are_shortened(void **state)
{
    struct stat_text t;
    char long_text[2000], out[sizeof t.text + 10], small[4];
    (void)state;

    stat_text_init(&t);
    stat_text_get(&t, out, sizeof out);
    assert_string_equal(out, "");
    stat_text_set(&t, "bin.000042:19733");
    stat_text_get(&t, out, sizeof out);
    assert_string_equal(out, "bin.000042:19733");
    stat_text_get(&t, small, sizeof small);
    assert_string_equal(small, "bin");

    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    stat_text_set(&t, long_text);
    stat_text_get(&t, out, sizeof out);
    assert_int_equal(strlen(out), sizeof t.text - 1);
    stat_text_set(&t, "");
    stat_text_get(&t, out, sizeof out);
    assert_string_equal(out, "");
    stat_text_done(&t);
}

static void *write_texts(void *arg)
{
    struct stat_text *t = arg;
    for (int i = 0; i < 2000; i++)
        stat_text_set(t, i % 2 == 0 ? "aaaaaaaaaaaaaaaaaaaa" : "bb");
    return NULL;
}

static void no_half_text_is_read(void **state)
{
    struct stat_text t;
    pthread_t thread;
    (void)state;

    stat_text_init(&t);
    stat_text_set(&t, "bb");
    assert_int_equal(pthread_create(&thread, NULL, write_texts, &t), 0);
    for (int i = 0; i < 2000; i++) {
        char out[64];
        stat_text_get(&t, out, sizeof out);
        if (strcmp(out, "bb") != 0)
            assert_string_equal(out, "aaaaaaaaaaaaaaaaaaaa");
    }
    pthread_join(thread, NULL);
    stat_text_done(&t);
}

static void all_begins_at_zero(void **state)
{
    struct server_stats s;
    struct direction_stats d;
    char out[8];
    (void)state;

    memset(&s, 0xff, sizeof s);
    memset(&d, 0xff, sizeof d);
    server_stats_init(&s, "auth");
    direction_stats_init(&d, "users", SIDE_RIGHT);
    assert_string_equal(s.name, "auth");
    assert_int_equal(s.state, RUN_STARTING);
    assert_int_equal(s.binlog_bytes + s.binlog_events + s.reconnects + s.read_offset, 0);
    assert_string_equal(d.link, "users");
    assert_int_equal(d.from, SIDE_RIGHT);
    assert_int_equal(d.state, RUN_STARTING);
    assert_false(d.connected);
    assert_int_equal(d.inserts + d.conflicts_equal + d.retries, 0);
    assert_int_equal(d.lag_us, 0);

    struct stat_text *texts[] = {&s.version, &s.kind,     &s.address, &s.position, &s.gtid,
                                 &s.reason,  &d.position, &d.gtid,    &d.reason};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        stat_text_set(texts[i], "text");
        stat_text_get(texts[i], out, sizeof out);
        assert_string_equal(out, "text");
    }
    server_stats_done(&s);
    direction_stats_done(&d);
}

static void a_duration_is_counted_below_its_bound(void **state)
{
    struct stat_histogram h = {0};
    uint64_t sum = 0;
    (void)state;

    for (size_t i = 1; i < STAT_BUCKETS; i++)
        assert_true(stat_bucket_us[i] > stat_bucket_us[i - 1]);
    for (size_t i = 0; i < STAT_BUCKETS; i++) {
        stat_histogram_add(&h, stat_bucket_us[i]);     /* the bound is within */
        stat_histogram_add(&h, stat_bucket_us[i] + 1); /* in the next */
        sum += 2 * (uint64_t)stat_bucket_us[i] + 1;
    }
    assert_int_equal(h.bucket[0], 1);
    for (size_t i = 1; i < STAT_BUCKETS; i++)
        assert_int_equal(h.bucket[i], 2);
    assert_int_equal(h.bucket[STAT_BUCKETS], 1);
    assert_int_equal(h.sum_us, sum);

    stat_histogram_add(&h, 0);
    stat_histogram_add(&h, -5); /* a clock that went back: took no time */
    stat_histogram_add(&h, INT64_MAX);
    assert_int_equal(h.bucket[0], 3);
    assert_int_equal(h.bucket[STAT_BUCKETS], 2);
    assert_int_equal(h.sum_us, sum + INT64_MAX);
}

static void states_have_names(void **state)
{
    static const char *const names[] = {"starting", "connecting", "streaming", "halted", "stopped"};
    (void)state;
    for (int s = RUN_STARTING; s <= RUN_STOPPED; s++)
        assert_string_equal(run_state_name((enum run_state)s), names[s]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_shortened), cmocka_unit_test(no_half_text_is_read),
        cmocka_unit_test(all_begins_at_zero),  cmocka_unit_test(a_duration_is_counted_below_its_bound),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
