/*
 * wait.h - condition variables that wait by the monotonic clock, so that a step
 * of the wall clock neither ends nor prolongs a wait.
 */
#ifndef BASE_WAIT_H
#define BASE_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "cdc/base/clock.h"

void wait_cond_init(pthread_cond_t *cond);
struct timespec wait_deadline(uint32_t timeout_ms);
/* False once the deadline has passed. Wakes without cause, as all of them do. */
bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *deadline);
/* Joins a thread if it ends before give_up; false if it does not. */
bool wait_join(pthread_t thread, mono_us give_up);

#endif
