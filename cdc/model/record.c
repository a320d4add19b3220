#include "cdc/model/record.h"

const char *job_state_name(enum job_state s)
{
    static const char *const names[] = {"running", "done", "failed"};
    return names[s];
}

const char *job_cause_name(enum job_cause c)
{
    static const char *const names[] = {"trigger", "first_start", "lost_position", "unlogged"};
    return names[c];
}

unsigned job_percent(const struct job *j)
{
    if (j->state == JOB_DONE)
        return 100;
    if (j->rows_expected == 0)
        return 0;
    uint64_t percent = j->rows_scanned * 100 / j->rows_expected;
    return percent < 99 ? (unsigned)percent : 99;
}

const char *job_needs_resync(const struct job *j)
{
    if (j->again[0] != '\0')
        return j->again;
    if (j->id == 0 || j->state == JOB_DONE || j->cause == JOB_TRIGGER)
        return NULL;
    return j->reason[0] != '\0' ? j->reason : job_cause_name(j->cause);
}

const char *event_kind_name(enum event_kind k)
{
    static const char *const names[] = {"halted", "quarantined", "gap", "recovered"};
    return names[k];
}
