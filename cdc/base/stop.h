/*
 * stop.h - one flag that every wait looks at.
 */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stop {
    atomic_bool up;
    pthread_mutex_t lock;
    pthread_cond_t cond; /* CLOCK_MONOTONIC */
};

void stop_init(struct stop *s);
void stop_done(struct stop *s);
void stop_raise(struct stop *s); /* not from a signal handler */
bool stop_raised(const struct stop *s);
/* Waits up to timeout_ms; true as soon as the flag is up. */
bool stop_wait_ms(struct stop *s, uint32_t timeout_ms);

#endif
