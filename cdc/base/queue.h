/*
 * queue.h - bounded hand-over of items from one thread to another.
 *
 * The bound is in bytes, and several queues share it (struct queue_pool). A full queue makes the
 * producer wait; an empty one takes an item of any size, or a huge one would wait for ever.
 *
 * The consumer may start over at any time: queue_restart() throws away what is
 * queued and begins a new generation. Items put with an older generation are
 * refused, so that nothing read from before the restart arrives after it.
 */
#ifndef BASE_QUEUE_H
#define BASE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum queue_result { QUEUE_OK, QUEUE_TIMEOUT, QUEUE_STALE, QUEUE_CLOSED };

/* What the queues of a program may hold together. None takes more than it leaves for all: one alone gets half, two get a
 * third each, and one that is stuck leaves room for others, however many come (dynamic thresholds: Choudhury and
 * Hahne, 1998). Only what is too large for that, and met an empty queue, goes beyond it. */
struct queue_pool {
    size_t max_bytes;
    _Atomic size_t used;
};

struct queue_entry;
struct queue {
    struct queue_pool *pool; /* borrowed */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* CLOCK_MONOTONIC */
    struct queue_entry *ring;
    size_t head, count, ring_size;
    size_t bytes;
    uint64_t puts, pops; /* items so far; those that a restart threw away count as popped */
    uint64_t generation;
    bool closed;
    bool woken; /* queue_wake() was called and no waiting consumer has seen it yet */
    void (*free_item)(void *item);
};

void queue_init(struct queue *q, struct queue_pool *pool, void (*free_item)(void *item));
void queue_done(struct queue *q); /* frees what is queued */

/* Waits while the queue is full, at most timeout_ms. Owns the item only when it
 * returns QUEUE_OK; QUEUE_STALE if generation is not the current one. */
enum queue_result queue_put(struct queue *q, uint64_t generation, void *item, size_t bytes,
                            uint32_t timeout_ms);
/* Waits while the queue is empty, at most timeout_ms (0: does not wait). The
 * caller owns *ret_item. QUEUE_CLOSED once closed and empty. */
enum queue_result queue_take(struct queue *q, uint32_t timeout_ms, void **ret_item);
/* Item number i (0: the oldest), which stays in the queue and counts in its bytes; waits for it, at most
 * timeout_ms. For a consumer that wants others to see what it works on: it may use the item until it
 * calls queue_pop() or queue_restart(). */
enum queue_result queue_peek(struct queue *q, size_t i, uint32_t timeout_ms, void **ret_item);
void queue_pop(struct queue *q, size_t n); /* frees the n oldest items; so many must be there */
/* All items, the oldest first, under the queue's lock: visit must be short and call nothing of the queue. */
void queue_each(struct queue *q, void (*visit)(void *arg, void *item), void *arg);
uint64_t queue_puts(struct queue *q);
/* Waits until so many items have been popped, counted as queue_puts() does; false after timeout_ms. */
bool queue_wait_pops(struct queue *q, uint64_t count, uint32_t timeout_ms);
uint64_t queue_generation(struct queue *q);
uint64_t queue_restart(struct queue *q); /* frees what is queued; returns the new generation */
void queue_close(struct queue *q);       /* wakes both ends; later puts get QUEUE_CLOSED */
/* A waiting consumer returns QUEUE_TIMEOUT at once; if none is waiting now, the
 * next that would wait does. */
void queue_wake(struct queue *q);
void queue_size(struct queue *q, size_t *ret_count, size_t *ret_bytes);

#endif
