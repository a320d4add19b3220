/*
 * trigger.c - asks the daemon for a resync, and waits for it if that is wanted.
 *
 * The work is the daemon's: it goes on when nobody waits any more, and a daemon
 * that is started again takes its jobs up under the same number. So a waiting
 * command may ask for a while in vain before it gives up.
 */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/cli/ask.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/jobline.h"
#include "cdc/cli/progress.h"
#include "cdc/cli/text.h"

enum {
    POLL_FIRST_MS = 20, /* doubled up to */
    POLL_MS = 200,
    AWAY_S = 60,
};

struct followed {
    uint64_t id;
    char *link;
    bool already; /* it ran before we asked */
    bool over, failed;
    uint64_t scanned, expected, written, conflicts, quarantined;
    struct buf waits; /* what it waits for */
};

struct following {
    struct followed *jobs;
    size_t count;
    FILE *out; /* where results go: beside a JSON document on standard output, not there */
};

static void following_done(struct following *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->jobs[i].link);
        buf_done(&f->jobs[i].waits);
    }
    free(f->jobs);
}

/* ---- The order ---- */

static bool is_word(const char *given, const char *word) { return given != NULL && strcmp(given, word) == 0; }

static bool makes_sense(const struct cli_args *args)
{
    const char *needs = is_word(args->mode, "force")       ? "--mode force"
                        : is_word(args->missing, "delete") ? "--missing delete"
                                                           : NULL;
    if (needs == NULL || args->from != NULL)
        return true;
    fprintf(stderr, "twinlog: %s needs --from left or right: which side is the right one?\n", needs);
    return false;
}

static void add_followed(struct following *f, json_t *job)
{
    uint64_t id = ask_count(job, "job");
    if (id == 0)
        return;
    f->jobs = mem_realloc(f->jobs, (f->count + 1) * sizeof(*f->jobs));
    struct followed *to = &f->jobs[f->count++];
    memset(to, 0, sizeof(*to));
    to->id = id;
    to->link = mem_strdup(ask_text(job, "link", "?"));
    to->already = json_is_true(json_object_get(job, "already_running"));
    text_make_printable(to->link);
}

static bool take_jobs(struct following *f, json_t *answer, struct err *err)
{
    size_t i;
    json_t *job, *jobs = json_object_get(answer, "jobs");
    json_array_foreach(jobs, i, job) add_followed(f, job);
    if (f->count == 0)
        add_followed(f, answer);
    if (f->count == 0)
        return err_set(err, ERR_RETRY, 0, "the daemon began nothing: its answer names no job");
    return true;
}

static bool order(const struct ask *ask, const struct cli_args *args, struct following *ret, struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_adds(&path, "/sync/trigger");
    ask_parameter(&path, "link", args->link);
    ask_parameter(&path, "from", args->from);
    ask_parameter(&path, "mode", args->mode);
    ask_parameter(&path, "missing", args->missing);
    bool ok = ask_post(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    ok = take_jobs(ret, answer.json, err);
    ask_answer_done(&answer);
    return ok;
}

static void show_jobs(const struct following *f, FILE *out)
{
    for (size_t i = 0; i < f->count; i++)
        fprintf(out, "resync %s: job %" PRIu64 "%s\n", f->jobs[i].link, f->jobs[i].id,
                f->jobs[i].already ? " runs already, nothing new was begun" : "");
    fflush(out);
}

static void show_how_to_follow(const struct ask *ask, const struct cli_args *args, const struct following *f)
{
    bool v6 = strchr(ask->config.http_host, ':') != NULL;
    printf("how far it is: twinlog status -c %s, or GET http://%s%s%s:%u/sync/jobs/%" PRIu64 "\n",
           args->config_path, v6 ? "[" : "", ask->config.http_host, v6 ? "]" : "",
           (unsigned)ask->config.http_port, f->jobs[0].id);
}

/* ---- Ctrl-C while waiting ---- */

static char goodbye[1024];

/* At once, whatever curl waits for: there is nothing to clean up. */
static void on_interrupt(int number)
{
    (void)number;
    ssize_t ignored = write(STDERR_FILENO, goodbye, strlen(goodbye));
    (void)ignored;
    _exit(CLI_INTERRUPTED);
}

static void say_goodbye_on_interrupt(const struct cli_args *args, const struct following *f)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    snprintf(goodbye, sizeof(goodbye),
             "\ntwinlog: job %" PRIu64 "%s on in the daemon; twinlog status -c %.900s shows how far it is\n",
             f->jobs[0].id, f->count > 1 ? " and those after it go" : " goes", args->config_path);
    sigaction(SIGINT, &action, NULL);
}

/* ---- The waiting ---- */

static void sleep_ms(int ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
    nanosleep(&t, NULL);
}

static void show_result(struct followed *f, json_t *job, FILE *out)
{
    struct buf line = BUF_INIT;
    buf_addf(&line, "resync %s: ", f->link);
    if (f->failed)
        buf_addf(&line, "job %" PRIu64 " failed: %s; ", f->id,
                 ask_text(job, "error", "the daemon does not say why"));
    else
        buf_adds(&line, "done, ");
    jobline_counts(job, &line);
    text_make_printable(line.data);
    if (f->failed)
        fprintf(stderr, "twinlog: %s\n", line.data);
    else
        fprintf(out, "%s\n", line.data);
    fflush(out);
    buf_done(&line);
}

static void take_state(struct followed *f, json_t *job)
{
    enum jobline_state state = jobline_state(job);
    f->scanned = ask_count(job, "rows_scanned");
    f->expected = ask_count(job, "rows_expected");
    f->written = ask_count(job, "rows_written");
    f->conflicts = ask_count(job, "conflicts");
    f->quarantined = ask_count(job, "quarantined");
    f->over = state == JOBLINE_DONE || state == JOBLINE_FAILED;
    f->failed = state == JOBLINE_FAILED;
    buf_clear(&f->waits);
    if (!f->over)
        buf_adds(&f->waits, ask_text(job, "error", ""));
}

static bool look_at(const struct ask *ask, struct followed *f, FILE *out, struct progress *progress,
                    struct err *err)
{
    struct buf path = BUF_INIT;
    struct ask_answer answer;
    buf_addf(&path, "/sync/jobs/%" PRIu64, f->id);
    bool ok = ask_get(ask, path.data, &answer, err);
    buf_done(&path);
    if (!ok)
        return false;
    take_state(f, answer.json);
    if (jobline_state(answer.json) == JOBLINE_UNKNOWN)
        ok = err_set(err, ERR_RETRY, 200, "the daemon's answer about job %" PRIu64 " has no state", f->id);
    if (f->over) {
        progress_clear(progress);
        show_result(f, answer.json, out);
    }
    ask_answer_done(&answer);
    return ok;
}

/* What the first of them waits for, if none of them does anything else; else NULL. */
static const char *what_all_wait_for(const struct following *f)
{
    const char *ret = NULL;
    for (size_t i = 0; i < f->count; i++) {
        const struct followed *job = &f->jobs[i];
        if (!job->over && job->waits.len == 0)
            return NULL;
        if (!job->over && ret == NULL)
            ret = job->waits.data;
    }
    return ret;
}

static void show_progress(struct progress *p, const struct following *f)
{
    uint64_t scanned = 0, expected = 0, written = 0, conflicts = 0, quarantined = 0;
    bool known = true;
    struct buf text = BUF_INIT;
    const char *waits = what_all_wait_for(f);
    for (size_t i = 0; i < f->count; i++) {
        const struct followed *job = &f->jobs[i];
        scanned += job->scanned;
        expected += job->over || job->expected < job->scanned ? job->scanned : job->expected;
        known = known && (job->over || job->expected > 0);
        written += job->written;
        conflicts += job->conflicts;
        quarantined += job->quarantined;
    }
    if (waits != NULL) {
        buf_addf(&text, "waits: %s", waits);
        progress_wait(p, text.data);
    } else {
        jobline_effects(written, conflicts, quarantined, &text);
        progress_update(p, scanned, known ? expected : 0, text.data);
    }
    buf_done(&text);
}

/* One look at each job that is not over. False with err: one of them gave no good answer. */
static bool look_at_all(const struct ask *ask, struct following *f, struct progress *progress, bool *ret_over,
                        struct err *err)
{
    bool over = true;
    for (size_t i = 0; i < f->count; i++) {
        struct followed *job = &f->jobs[i];
        if (!job->over && !look_at(ask, job, f->out, progress, err))
            return false;
        over = over && job->over;
    }
    *ret_over = over;
    return true;
}

/* A daemon that is being started again does not answer, or does not know its jobs yet. */
static bool may_pass(const struct err *err) { return err->code == 0 || err->code == 404 || err->code >= 500; }

static void show_trouble(struct progress *p, const struct err *err, int64_t left_s)
{
    struct buf text = BUF_INIT;
    buf_addf(&text, "%s; asked again for another %d s",
             err->code == 0 ? "the daemon does not answer" : err->text, (int)left_s);
    progress_wait(p, text.data);
    buf_done(&text);
}

static bool wait_for(const struct ask *ask, struct following *f, struct progress *progress, struct err *err)
{
    mono_us answered = clock_mono();
    bool over = false;
    for (int ms = POLL_FIRST_MS;; ms = ms * 2 < POLL_MS ? ms * 2 : POLL_MS) {
        err_clear(err);
        if (look_at_all(ask, f, progress, &over, err)) {
            if (over)
                return true;
            answered = clock_mono();
            show_progress(progress, f);
        } else {
            int64_t away_s = mono_diff_us(clock_mono(), answered) / 1000000;
            if (!may_pass(err))
                return false;
            if (away_s >= AWAY_S)
                return err_prefix(err, "gave up after %d s, the resync itself may go on", AWAY_S);
            show_trouble(progress, err, AWAY_S - away_s);
        }
        sleep_ms(ms);
    }
}

static int follow(const struct ask *ask, const struct cli_args *args, struct following *f)
{
    struct progress progress;
    struct buf label = BUF_INIT;
    struct err err = ERR_INIT;
    int ret = CLI_DONE;

    if (f->count == 1)
        buf_addf(&label, "resync %s", f->jobs[0].link);
    else
        buf_addf(&label, "resync of %zu links", f->count);
    say_goodbye_on_interrupt(args, f);
    progress_begin(&progress, stderr, label.data);
    bool ok = wait_for(ask, f, &progress, &err);
    progress_end(&progress);
    signal(SIGINT, SIG_DFL);
    if (!ok)
        ret = ask_failed(&err);
    for (size_t i = 0; i < f->count; i++) {
        if (f->jobs[i].failed)
            ret = CLI_FAILED;
    }
    buf_done(&label);
    return ret;
}

int cmd_trigger(const struct cli_args *args)
{
    struct ask ask;
    struct following f = {.out = args->json ? stderr : stdout};
    struct err err = ERR_INIT;
    int ret = CLI_DONE;
    if (!makes_sense(args) || !ask_begin(&ask, args->config_path))
        return CLI_USAGE;
    if (order(&ask, args, &f, &err)) {
        show_jobs(&f, f.out);
        if (args->wait)
            ret = follow(&ask, args, &f);
        else
            show_how_to_follow(&ask, args, &f);
    } else {
        ret = ask_failed(&err);
    }
    following_done(&f);
    ask_end(&ask);
    return ret;
}
