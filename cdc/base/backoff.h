/*
 * backoff.h - how long to wait before try n: doubles from first_ms to max_ms,
 * with up to a quarter of it at random, so that many links do not come back in step.
 */
#ifndef BASE_BACKOFF_H
#define BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t first_ms;
    uint32_t max_ms;
    uint32_t tries; /* failures since the last backoff_reset() */
};

void backoff_init(struct backoff *b, uint32_t first_ms, uint32_t max_ms);
void backoff_reset(struct backoff *b);
uint32_t backoff_next_ms(struct backoff *b); /* counts a failure */

#endif
