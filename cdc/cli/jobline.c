#include "cdc/cli/jobline.h"

#include <inttypes.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/cli/ask.h"
#include "cdc/cli/text.h"

enum { MATTERS_S = 600 };

enum jobline_state jobline_state(json_t *job)
{
    static const char *const names[] = {"running", "done", "failed"};
    const char *state = ask_text(job, "state", "");
    for (int i = 0; i < JOBLINE_UNKNOWN; i++) {
        if (strcmp(state, names[i]) == 0)
            return (enum jobline_state)i;
    }
    return JOBLINE_UNKNOWN;
}

bool jobline_matters(json_t *job)
{
    int64_t ended_s;
    if (!json_is_object(job))
        return false;
    if (jobline_state(job) != JOBLINE_DONE || !text_parse_time(ask_text(job, "ended_at", NULL), &ended_s))
        return true;
    return clock_wall().v / 1000000 - ended_s < MATTERS_S;
}

void jobline_effects(uint64_t written, uint64_t conflicts, uint64_t quarantined, struct buf *out)
{
    char text[TEXT_VALUE];
    buf_addf(out, "%s written", text_count(written, text, sizeof(text)));
    buf_addf(out, ", %s %s", text_count(conflicts, text, sizeof(text)),
             conflicts == 1 ? "conflict" : "conflicts");
    if (quarantined > 0)
        buf_addf(out, ", %s into quarantine", text_count(quarantined, text, sizeof(text)));
}

void jobline_counts(json_t *job, struct buf *out)
{
    char text[TEXT_VALUE];
    uint64_t scanned = ask_count(job, "rows_scanned"), expected = ask_count(job, "rows_expected");
    buf_adds(out, text_count(scanned, text, sizeof(text)));
    if (jobline_state(job) != JOBLINE_DONE && expected >= scanned && expected > 0)
        buf_addf(out, " of about %s", text_count(expected, text, sizeof(text)));
    buf_addf(out, " %s compared, ", scanned == 1 && expected <= 1 ? "row" : "rows");
    jobline_effects(ask_count(job, "rows_written"), ask_count(job, "conflicts"),
                    ask_count(job, "quarantined"), out);
}

/* " (first start)", " (trigger, from left, force, missing rows are deleted)" */
static void add_why(json_t *job, struct buf *out)
{
    const char *cause = ask_text(job, "cause", "?"), *from = ask_text(job, "from", NULL);
    const char *reason = ask_text(job, "reason", NULL);
    bool by_itself = reason != NULL && reason[0] != '\0', lost = strcmp(cause, "lost_position") == 0;
    if (strcmp(cause, "first_start") == 0)
        cause = "first start";
    else if (strcmp(cause, "unlogged") == 0)
        cause = "unlogged changes";
    buf_addf(out, " (%s", lost ? "lost position" : cause);
    if (by_itself)
        buf_addf(out, ": %s", reason);
    if (from != NULL)
        buf_addf(out, ", from %s", from);
    if (strcmp(ask_text(job, "mode", ""), "force") == 0)
        buf_adds(out, ", force");
    if (strcmp(ask_text(job, "missing", ""), "delete") == 0)
        buf_adds(out, ", missing rows are deleted");
    buf_addc(out, ')');
}

void jobline_text(json_t *job, struct buf *out)
{
    char age[TEXT_VALUE];
    enum jobline_state state = jobline_state(job);
    const char *error = ask_text(job, "error", NULL);
    uint64_t percent = ask_count(job, "percent");

    text_age(ask_text(job, "ended_at", NULL), age, sizeof(age));
    buf_addf(out, "resync %s: ", ask_text(job, "link", "?"));
    if (state == JOBLINE_RUNNING)
        buf_addf(out, "running %u %%, ", (unsigned)(percent < 100 ? percent : 100));
    else if (state == JOBLINE_UNKNOWN)
        buf_addf(out, "%s, ", ask_text(job, "state", "?"));
    else
        buf_addf(out, "%s %s, ", state == JOBLINE_DONE ? "done" : "failed", age);
    jobline_counts(job, out);
    add_why(job, out);
    if (error != NULL && error[0] != '\0')
        buf_addf(out, "%s: %s", state == JOBLINE_RUNNING ? ", waits" : "", error);
}
