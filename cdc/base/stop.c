#include "cdc/base/stop.h"

#include "cdc/base/wait.h"

void stop_init(struct stop *s)
{
    atomic_init(&s->up, false);
    pthread_mutex_init(&s->lock, NULL);
    wait_cond_init(&s->cond);
}

void stop_done(struct stop *s)
{
    pthread_cond_destroy(&s->cond);
    pthread_mutex_destroy(&s->lock);
}

/* Set under the lock: between a waiter's look at the flag and its wait there is
 * no moment in which the wake-up could be lost. */
void stop_raise(struct stop *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->up, true);
    pthread_cond_broadcast(&s->cond);
    pthread_mutex_unlock(&s->lock);
}

bool stop_raised(const struct stop *s) { return atomic_load(&s->up); }

bool stop_wait_ms(struct stop *s, uint32_t timeout_ms)
{
    const struct timespec deadline = wait_deadline(timeout_ms);

    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->up) && wait_until(&s->cond, &s->lock, &deadline))
        ;
    pthread_mutex_unlock(&s->lock);
    return atomic_load(&s->up);
}
