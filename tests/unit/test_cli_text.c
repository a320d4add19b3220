/* Values as people read them, and jobs in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "cdc/base/clock.h"
#include "cdc/cli/jobline.h"
#include "cdc/cli/text.h"

static void nothing_moves_the_cursor(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"", ""},
        {"plain, \xc3\xbc\xe5\x90\x8d\xf0\x9f\x98\x80", "plain, \xc3\xbc\xe5\x90\x8d\xf0\x9f\x98\x80"},
        {"\033[2J\r\n\t\x7f\x01", "?[2J?????"},
        {"a\xc2\x9b"
         "2J",
         "a?2J"},
        {"\xc2\x80\xc2\x9f\xc2\xa0", "??\xc2\xa0"},
        {"\xe2\x80\xae\xe2\x80\xa8\xe2\x81\xa6x\xe2\x80\xa6", "???x\xe2\x80\xa6"},
        {"cut \xc2", "cut \xc2"},
        {"cut \xe2\x80", "cut \xe2\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s", cases[i].text);
        text_make_printable(text);
        assert_string_equal(text, cases[i].wanted);
    }
}

static void counts_and_bytes(void **state)
{
    char text[TEXT_VALUE];
    (void)state;
    assert_string_equal(text_count(0, text, sizeof(text)), "0");
    assert_string_equal(text_count(999, text, sizeof(text)), "999");
    assert_string_equal(text_count(1000, text, sizeof(text)), "1,000");
    assert_string_equal(text_count(123456, text, sizeof(text)), "123,456");
    assert_string_equal(text_count(UINT64_MAX, text, sizeof(text)), "18,446,744,073,709,551,615");
    assert_string_equal(text_bytes(1023, text, sizeof(text)), "1023 B");
    assert_string_equal(text_bytes(1536, text, sizeof(text)), "1.5 KiB");
    assert_string_equal(text_bytes(UINT64_MAX, text, sizeof(text)), "16777216.0 TiB");
}

static void durations(void **state)
{
    static const struct {
        double s;
        const char *wanted;
    } cases[] = {
        {-1, "0 s"},           {0, "0 s"},
        {0.0124, "12 ms"},     {0.9996, "1.0 s"},
        {59.94, "59.9 s"},     {60, "1 min 0 s"},
        {3599, "59 min 59 s"}, {7500, "2 h 5 min"},
        {90000, "1 d 1 h"},    {1e300, "11574074074 d 1 h"},
    };
    char text[TEXT_VALUE];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(text_duration(cases[i].s, text, sizeof(text)), cases[i].wanted);
    assert_string_equal(text_seconds(-5, text, sizeof(text)), "0 s");
    assert_string_equal(text_seconds(59, text, sizeof(text)), "59 s");
}

/* A moment that is so many seconds from now. */
static const char *moment(int64_t seconds, char out[32])
{
    wall_us t = {clock_wall().v + seconds * 1000000};
    return wall_iso(t, out, 32);
}

static void moments(void **state)
{
    char text[TEXT_VALUE], iso[32];
    int64_t s;
    (void)state;
    assert_true(text_parse_time("1970-01-02T00:00:01.500Z", &s));
    assert_int_equal(s, 86401);
    assert_false(text_parse_time(NULL, &s));
    assert_false(text_parse_time("2026-01-05", &s));
    assert_string_equal(text_moment("2026-01-05T10:11:12.345Z", text, sizeof(text)), "2026-01-05 10:11:12");
    assert_string_equal(text_moment(NULL, text, sizeof(text)), "-");
    assert_string_equal(text_moment("soon", text, sizeof(text)), "?");
    assert_string_equal(text_age(NULL, text, sizeof(text)), "never");
    assert_string_equal(text_age("x", text, sizeof(text)), "?");
    assert_string_equal(text_age(moment(30, iso), text, sizeof(text)), "0 s ago"); /* their clock is ahead */
    assert_string_equal(text_age(moment(-7530, iso), text, sizeof(text)), "2 h 5 min ago");
    assert_string_equal(text_until(moment(-3, iso), text, sizeof(text)), "now");
    assert_string_equal(text_until(moment(7530, iso), text, sizeof(text)), "in 2 h 5 min");
    assert_string_equal(text_until(NULL, text, sizeof(text)), "never");
}

/* ---- Jobs ---- */

static json_t *job_of(const char *state, const char *cause, const char *ended_at)
{
    return json_pack("{s:i s:s s:s s:s s:n s:s s:s s:i s:i s:i s:i s:i s:i s:s s:s? s:n s:n}", "job", 7,
                     "link", "users", "state", state, "cause", cause, "from", "mode", "merge", "missing",
                     "copy", "rows_scanned", 420000, "rows_written", 10233, "conflicts", 12, "quarantined", 0,
                     "rows_expected", 1000000, "percent", 42, "started_at", "2026-01-05T10:11:12.345Z",
                     "ended_at", ended_at, "reason", "error");
}

/* Takes the job. */
static void check_job(json_t *job, bool matters, const char *wanted)
{
    struct buf line = BUF_INIT;
    jobline_text(job, &line);
    assert_string_equal(line.data, wanted);
    assert_int_equal(jobline_matters(job), matters);
    buf_done(&line);
    json_decref(job);
}

static void a_job_in_one_line(void **state)
{
    char iso[32];
    (void)state;
    check_job(job_of("running", "first_start", NULL), true,
              "resync users: running 42 %, 420,000 of about 1,000,000 rows compared, 10,233 written, "
              "12 conflicts (first start)");
    check_job(
        job_of("done", "trigger", moment(-125, iso)), true,
        "resync users: done 2 min 5 s ago, 420,000 rows compared, 10,233 written, 12 conflicts (trigger)");
    check_job(job_of("done", "trigger", moment(-630, iso)), false,
              "resync users: done 10 min 30 s ago, 420,000 rows compared, 10,233 written, 12 conflicts "
              "(trigger)");

    json_t *job = job_of("failed", "lost_position", moment(-7530, iso));
    json_object_set_new(job, "reason", json_string("auth has no bin.000003"));
    json_object_set_new(job, "error", json_string("no key opens it"));
    json_object_set_new(job, "quarantined", json_integer(3));
    json_object_set_new(job, "conflicts", json_integer(1));
    check_job(job, true,
              "resync users: failed 2 h 5 min ago, 420,000 of about 1,000,000 rows compared, 10,233 written, "
              "1 conflict, 3 into quarantine (lost position: auth has no bin.000003): no key opens it");

    job = job_of("running", "trigger", NULL);
    json_object_set_new(job, "from", json_string("left"));
    json_object_set_new(job, "mode", json_string("force"));
    json_object_set_new(job, "missing", json_string("delete"));
    json_object_set_new(job, "error", json_string("customer is away"));
    json_object_set_new(job, "rows_expected", json_integer(10)); /* the estimate was wrong */
    check_job(
        job, true,
        "resync users: running 42 %, 420,000 rows compared, 10,233 written, 12 conflicts (trigger, from "
        "left, force, missing rows are deleted), waits: customer is away");
}

static void a_job_that_is_none(void **state)
{
    struct buf line = BUF_INIT;
    json_t *job;
    (void)state;
    assert_false(jobline_matters(NULL));
    assert_false(jobline_matters(json_null()));
    check_job(json_object(), true, "resync ?: ?, 0 rows compared, 0 written, 0 conflicts (?)");
    job = json_pack("{s:i s:s s:I s:I s:f s:s}", "link", 5, "state", "running", "percent",
                    (json_int_t)INT64_MAX, "rows_scanned", (json_int_t)INT64_MIN, "conflicts", 1e300,
                    "rows_expected", "many");
    jobline_text(job, &line);
    assert_string_equal(line.data, "resync ?: running 100 %, 0 rows compared, 0 written, 0 conflicts (?)");
    buf_done(&line);
    json_decref(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_moves_the_cursor),
        cmocka_unit_test(counts_and_bytes),
        cmocka_unit_test(durations),
        cmocka_unit_test(moments),
        cmocka_unit_test(a_job_in_one_line),
        cmocka_unit_test(a_job_that_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
