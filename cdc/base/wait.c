#include "cdc/base/wait.h"

#include <errno.h>
#include <stdlib.h>

void wait_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0 || pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(cond, &attr) != 0)
        abort();
    pthread_condattr_destroy(&attr);
}

struct timespec wait_deadline(uint32_t timeout_ms)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    ts.tv_sec += timeout_ms / 1000;
    ts.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (ts.tv_nsec >= 1000000000) {
        ts.tv_sec++;
        ts.tv_nsec -= 1000000000;
    }
    return ts;
}

/* By many looks: pthread_timedjoin_np() knows the wall clock alone, and a step of it must not
 * keep a daemon that is told to stop. */
bool wait_join(pthread_t thread, mono_us give_up)
{
    const struct timespec a_moment = {.tv_nsec = 2000000};

    while (pthread_tryjoin_np(thread, NULL) != 0) {
        if (mono_diff_us(give_up, clock_mono()) <= 0)
            return false;
        nanosleep(&a_moment, NULL);
    }
    return true;
}

bool wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *deadline)
{
    return pthread_cond_timedwait(cond, lock, deadline) != ETIMEDOUT;
}
