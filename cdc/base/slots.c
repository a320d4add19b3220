#include "cdc/base/slots.h"

#include <pthread.h>
#include <stdlib.h>

#include "cdc/base/mem.h"
#include "cdc/base/wait.h"

enum { LOOK_EVERY_MS = 500 }; /* at the stop flag */

struct slots {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    unsigned free;
};

struct slots *slots_new(unsigned count)
{
    struct slots *s = mem_zalloc(1, sizeof *s);

    s->free = count;
    pthread_mutex_init(&s->lock, NULL);
    wait_cond_init(&s->freed);
    return s;
}

void slots_free(struct slots *s)
{
    if (s == NULL)
        return;
    pthread_cond_destroy(&s->freed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

bool slots_take(struct slots *s, struct stop *stop, uint32_t timeout_ms)
{
    const mono_us began = clock_mono();
    bool taken = false;

    pthread_mutex_lock(&s->lock);
    while (!taken && !stop_raised(stop)) {
        if (s->free > 0) {
            s->free--;
            taken = true;
            break;
        }
        int64_t left_ms = (int64_t)timeout_ms - mono_diff_us(clock_mono(), began) / 1000;

        if (left_ms <= 0)
            break;
        const struct timespec until = wait_deadline(left_ms < LOOK_EVERY_MS ? (uint32_t)left_ms
                                                                            : LOOK_EVERY_MS);

        wait_until(&s->freed, &s->lock, &until);
    }
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void slots_give(struct slots *s)
{
    pthread_mutex_lock(&s->lock);
    s->free++;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->lock);
}
