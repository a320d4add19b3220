#include "cdc/base/backoff.h"

#include <sys/random.h>

#include "cdc/base/clock.h"

void backoff_init(struct backoff *b, uint32_t first_ms, uint32_t max_ms)
{
    b->first_ms = first_ms > 0 ? first_ms : 1;
    b->max_ms = max_ms > b->first_ms ? max_ms : b->first_ms;
    b->tries = 0;
}

void backoff_reset(struct backoff *b) { b->tries = 0; }

static uint32_t random_below(uint32_t end)
{
    uint32_t r;
    if (getrandom(&r, sizeof r, GRND_NONBLOCK) != (ssize_t)sizeof r)
        r = (uint32_t)clock_mono().v * 2654435761u; /* spreading is all that is asked for */
    return r % end;
}

/* The random quarter is taken off, so that max_ms is never passed. */
uint32_t backoff_next_ms(struct backoff *b)
{
    uint64_t ms = b->max_ms;
    if (b->tries < 32 && (uint64_t)b->first_ms << b->tries < ms)
        ms = (uint64_t)b->first_ms << b->tries;
    if (b->tries < UINT32_MAX)
        b->tries++;
    return (uint32_t)(ms - random_below((uint32_t)(ms / 4) + 1));
}
