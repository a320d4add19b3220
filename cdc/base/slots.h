/*
 * slots.h - how many of a kind may do something at once.
 */
#ifndef BASE_SLOTS_H
#define BASE_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/stop.h"

struct slots;

struct slots *slots_new(unsigned count);
void slots_free(struct slots *s); /* NULL is fine */

/* Waits for a free one, at most timeout_ms. False if there was none, or the stop flag is up. */
bool slots_take(struct slots *s, struct stop *stop, uint32_t timeout_ms);
void slots_give(struct slots *s);

#endif
