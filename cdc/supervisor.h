/*
 * supervisor.h - the daemon: builds links and directions from a config, starts,
 * stops and joins their threads.
 *
 * It has a thread of its own, which waits for the servers at the start and joins
 * the others at the end, so that the caller is free to hear signals all the time.
 */
#ifndef CDC_SUPERVISOR_H
#define CDC_SUPERVISOR_H

#include <stdbool.h>

#include "cdc/base/err.h"
#include "config/config.h"

struct supervisor;

struct supervisor_options {
    const struct config *config; /* borrowed */
    const char *version;         /* likewise */
    void (*changed)(void *arg);  /* from its thread: it stops now, and again: it has ended */
    void *changed_arg;
};

struct supervisor *supervisor_new(const struct supervisor_options *options);
/* Listens for HTTP and starts the thread. The servers need not be there yet. */
bool supervisor_start(struct supervisor *s, struct err *err);
void supervisor_stop(struct supervisor *s); /* from any thread; returns at once */
/* Have readers and appliers been started? Until then nothing is lost by an end at any moment, not even time. */
bool supervisor_works(struct supervisor *s);
bool supervisor_has_ended(struct supervisor *s); /* supervisor_join() will not wait any more */
/* Waits for the end. What the process exits with: 0 when it was asked to stop, 1
 * when it failed while running, 2 when the operator has to change something. */
int supervisor_join(struct supervisor *s);
int supervisor_exit_code(struct supervisor *s); /* what it would be now */
void supervisor_free(struct supervisor *s);

/* SIGHUP: the config file again, for its log level and its keys. What is wrong
 * is logged, and the old values stay. Not from two threads at once. */
void supervisor_reload(struct supervisor *s);

#endif
