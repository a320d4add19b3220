/* Names as the interfaces have them, and how far a job has come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/model/record.h"

static void test_names(void **state)
{
    static const char *const states[] = {"running", "done", "failed"};
    static const char *const causes[] = {"trigger", "first_start", "lost_position", "unlogged"};
    static const char *const kinds[] = {"halted", "quarantined", "gap", "recovered"};

    (void)state;
    for (int i = JOB_RUNNING; i <= JOB_FAILED; i++)
        assert_string_equal(job_state_name((enum job_state)i), states[i]);
    for (int i = JOB_TRIGGER; i <= JOB_UNLOGGED; i++)
        assert_string_equal(job_cause_name((enum job_cause)i), causes[i]);
    for (int i = 0; i < EVENT_KINDS; i++)
        assert_string_equal(event_kind_name((enum event_kind)i), kinds[i]);
}

static void test_percent(void **state)
{
    static const struct {
        enum job_state state;
        uint64_t scanned, expected;
        unsigned percent;
    } cases[] = {
        {JOB_RUNNING, 0, 0, 0},       {JOB_RUNNING, 7, 0, 0},        {JOB_RUNNING, 0, 1000, 0},
        {JOB_RUNNING, 9, 1000, 0},    {JOB_RUNNING, 10, 1000, 1},    {JOB_RUNNING, 999, 1000, 99},
        {JOB_RUNNING, 500, 1000, 50}, {JOB_RUNNING, 1000, 1000, 99}, {JOB_RUNNING, 9999, 1000, 99},
        {JOB_DONE, 1000, 1000, 100},  {JOB_DONE, 0, 0, 100},         {JOB_DONE, 3, 1000, 100},
        {JOB_FAILED, 0, 0, 0},        {JOB_FAILED, 250, 1000, 25},   {JOB_FAILED, 1000, 1000, 99},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct job j = {
            .state = cases[i].state, .rows_scanned = cases[i].scanned, .rows_expected = cases[i].expected};

        assert_int_equal(job_percent(&j), cases[i].percent);
    }
}

static void test_need(void **state)
{
    struct job j = {0};

    (void)state;
    assert_null(job_needs_resync(&j));
    j = (struct job){.id = 1, .state = JOB_RUNNING, .cause = JOB_UNLOGGED, .reason = "swapped"};
    assert_string_equal(job_needs_resync(&j), "swapped");
    j.state = JOB_FAILED;
    assert_string_equal(job_needs_resync(&j), "swapped");
    j.state = JOB_DONE;
    assert_null(job_needs_resync(&j));
    j = (struct job){.id = 1, .state = JOB_RUNNING, .cause = JOB_FIRST_START};
    assert_string_equal(job_needs_resync(&j), "first_start");
    j.cause = JOB_TRIGGER;
    assert_null(job_needs_resync(&j));
    strcpy(j.again, "written as text");
    assert_string_equal(job_needs_resync(&j), "written as text");
}

/* It never goes back while rows are scanned, and only done is 100. */
static void test_percent_only_grows(void **state)
{
    (void)state;
    for (uint64_t expected = 0; expected < 130; expected++) {
        unsigned last = 0;

        for (uint64_t scanned = 0; scanned < 2 * expected + 5; scanned++) {
            struct job j = {.state = JOB_RUNNING, .rows_scanned = scanned, .rows_expected = expected};

            assert_in_range(job_percent(&j), last, 99);
            last = job_percent(&j);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_need),
        cmocka_unit_test(test_percent_only_grows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
