/*
 * fiber.h - a stack of its own for a piece of code that gives way at chosen
 * points, so that one thread can interleave several of them as it likes.
 */
#ifndef SIM_FIBER_H
#define SIM_FIBER_H

struct fiber;
struct image;

struct fiber *fiber_new(void (*body)(void *arg), void *arg); /* body must never return */
void fiber_free(struct fiber *f);                            /* while it has given way */
void fiber_run(struct fiber *f);                    /* until it gives way; from the main stack only */
void fiber_give_way(void);                          /* from within a fiber: back to fiber_run() */
void fiber_part(struct fiber *f, struct image *im); /* of an image: its stack, while it has given way */

#endif
