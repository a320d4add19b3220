/*
 * run.c - the daemon in the foreground.
 *
 * Signals are blocked in every thread and taken one by one here, so nothing runs
 * in a signal handler. SIGUSR1 is our own: the supervisor stops or has ended.
 */
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/cli/cli.h"
#include "cdc/supervisor.h"
#include "config/config.h"
#include "version.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* Instrumented frames are several times as large. */
#ifdef SANITIZED
enum { THREAD_STACK_BYTES = 2 * 1024 * 1024 };
#else
enum { THREAD_STACK_BYTES = 256 * 1024 };
#endif

enum { START_STOP_TIMEOUT_S = 2 };

/* A dozen threads that hand memory to each other: two arenas keep what is freed
 * in one thread in reach of the others, and the process small. */
static void limit_memory(void)
{
    pthread_attr_t attr;
    mallopt(M_ARENA_MAX, 2);
    pthread_attr_init(&attr);
    if (pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES) == 0)
        pthread_setattr_default_np(&attr);
    pthread_attr_destroy(&attr);
}

static sigset_t block_signals(void)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN); /* a log pipe or a client that went away */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return set;
}

static void on_changed(void *arg) { pthread_kill(*(pthread_t *)arg, SIGUSR1); }

/* The next signal; 0 when the deadline passes first. */
static int next_signal(const sigset_t *set, const mono_us *deadline)
{
    for (;;) {
        int64_t left_us = deadline != NULL ? mono_diff_us(*deadline, clock_mono()) : INT64_C(3600000000);
        if (left_us <= 0)
            return 0;
        struct timespec wait = {left_us / 1000000, left_us % 1000000 * 1000};
        int n = sigtimedwait(set, NULL, &wait);
        if (n > 0)
            return n;
    }
}

/* Nothing is lost: positions move with the rows, so an end at any moment is safe. */
static void exit_at_once(const char *why)
{
    log_error("%s: exits at once", why);
    _exit(CLI_FAILED);
}

/* A connect to a server that does not answer cannot be cut short from here. */
static void exit_before_start(struct supervisor *s)
{
    int code = supervisor_exit_code(s);
    log_info("a server does not answer, and nothing was started yet: twinlog ends, exit code %d", code);
    _exit(code);
}

static mono_us stop_deadline(struct supervisor *s, const struct config *config)
{
    uint32_t seconds = supervisor_works(s) ? config->stop_timeout_s : START_STOP_TIMEOUT_S;
    return (mono_us){clock_mono().v + seconds * INT64_C(1000000)};
}

static void wait_for_end(struct supervisor *s, const struct config *config, const sigset_t *set)
{
    mono_us deadline = {0};
    bool stopping = false, asked = false;
    while (!supervisor_has_ended(s)) {
        int n = next_signal(set, stopping ? &deadline : NULL);
        if (n == SIGHUP) {
            supervisor_reload(s);
            continue;
        }
        if (n == 0 && !supervisor_works(s))
            exit_before_start(s);
        if (n == 0)
            exit_at_once("a thread did not end within stop_timeout_s");
        if (n != SIGUSR1 && asked) /* the first may come when it ends by itself */
            exit_at_once("second signal");
        if (n != SIGUSR1) {
            log_info("%s: stops", n == SIGTERM ? "SIGTERM" : "SIGINT");
            supervisor_stop(s);
            asked = true;
        }
        if (!stopping) /* whether it was asked to or had to */
            deadline = stop_deadline(s, config);
        stopping = true;
    }
}

static int run(const struct config *config)
{
    pthread_t self = pthread_self();
    sigset_t set = block_signals();
    struct err err = ERR_INIT;
    struct supervisor_options o = {config, TWINLOG_VERSION, on_changed, &self};
    int ret = CLI_USAGE;

    log_info("twinlog %s starts with %s, pid %ld", TWINLOG_VERSION, config->path, (long)getpid());
    struct supervisor *s = supervisor_new(&o);
    if (supervisor_start(s, &err)) {
        wait_for_end(s, config, &set);
        ret = supervisor_join(s);
        log_info("twinlog ends, exit code %d", ret);
    } else {
        log_error("%s", err.text);
        ret = err.kind == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
    }
    supervisor_free(s);
    return ret;
}

int cmd_run(const struct cli_args *args)
{
    struct config config;
    struct err err = ERR_INIT;
    limit_memory();
    if (!config_load(args->config_path, &config, &err)) {
        fprintf(stderr, "twinlog: %s\n", err.text);
        return CLI_USAGE;
    }
    log_setup(config.log_level, config.log_format, config.log_keys);
    log_context("main", "", "");
    int ret = run(&config);
    config_done(&config);
    return ret;
}
