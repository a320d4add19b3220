/*
 * queue.c - one ring, one lock, one condition.
 *
 * What must stay true:
 * - every item in the ring was put with the current generation: put compares it
 *   under the same lock under which restart raises it and empties the ring. So
 *   nothing older can be taken once queue_restart() has returned;
 * - bytes is the sum over the ring, and pool->used the sum over all queues. The pool is
 *   exceeded only by items that were put into an empty queue;
 * - items are freed outside the lock: freeing a large transaction takes a while,
 *   and the other end need not wait for it.
 *
 * All wait for the one condition and look for themselves: a producer for room, a
 * consumer for an item, which with queue_peek() need not be the first, so that both may
 * wait at once, and others for what has been popped (queue_wait_pops). Each change
 * wakes them all. They are few, and most changes find nobody waiting. Room that another queue
 * gives back to the pool wakes no producer: it is there when its own consumer has popped something, or at its next try.
 */
#include "cdc/base/queue.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cdc/base/mem.h"
#include "cdc/base/wait.h"

#define FIRST_ENTRIES 16

struct queue_entry {
    void *item;
    size_t bytes;
};

void queue_init(struct queue *q, struct queue_pool *pool, void (*free_item)(void *item))
{
    *q = (struct queue){.pool = pool, .generation = 1, .free_item = free_item};
    pthread_mutex_init(&q->lock, NULL);
    wait_cond_init(&q->changed);
}

static void free_ring(const struct queue *q, struct queue_entry *ring, size_t head, size_t count, size_t size)
{
    for (size_t i = 0; i < count; i++)
        if (q->free_item != NULL)
            q->free_item(ring[(head + i) % size].item);
    free(ring);
}

void queue_done(struct queue *q)
{
    free_ring(q, q->ring, q->head, q->count, q->ring_size);
    q->ring = NULL;
    atomic_fetch_sub(&q->pool->used, q->bytes);
    q->head = q->count = q->ring_size = q->bytes = 0;
    pthread_cond_destroy(&q->changed);
    pthread_mutex_destroy(&q->lock);
}

/* Of the pool, for one more item: others take room at the same time. */
static bool take_room(const struct queue *q, size_t bytes)
{
    struct queue_pool *pool = q->pool;
    size_t used = atomic_load(&pool->used);

    if (q->count == 0) {
        atomic_fetch_add(&pool->used, bytes);
        return true;
    }
    do {
        if (used > pool->max_bytes || bytes > pool->max_bytes - used)
            return false;
        if (q->bytes + bytes > pool->max_bytes - used - bytes)
            return false;
    } while (!atomic_compare_exchange_weak(&pool->used, &used, used + bytes));
    return true;
}

static void push(struct queue *q, void *item, size_t bytes)
{
    if (q->count == q->ring_size) {
        size_t size = q->ring_size > 0 ? q->ring_size * 2 : FIRST_ENTRIES;
        struct queue_entry *ring = mem_zalloc(size, sizeof *ring);
        for (size_t i = 0; i < q->count; i++)
            ring[i] = q->ring[(q->head + i) % q->ring_size];
        free(q->ring);
        q->ring = ring;
        q->ring_size = size;
        q->head = 0;
    }
    q->ring[(q->head + q->count) % q->ring_size] = (struct queue_entry){item, bytes};
    q->count++;
    q->bytes += bytes;
    q->puts++;
}

static struct queue_entry *entry_at(const struct queue *q, size_t i)
{
    return &q->ring[(q->head + i) % q->ring_size];
}

/* Takes the oldest out. */
static void *shift(struct queue *q)
{
    struct queue_entry *e = &q->ring[q->head];

    q->bytes -= e->bytes;
    atomic_fetch_sub(&q->pool->used, e->bytes);
    q->head = (q->head + 1) % q->ring_size;
    q->count--;
    q->pops++;
    return e->item;
}

enum queue_result queue_put(struct queue *q, uint64_t generation, void *item, size_t bytes,
                            uint32_t timeout_ms)
{
    struct timespec deadline;
    enum queue_result result;
    bool in_time = timeout_ms > 0, waits = false;

    pthread_mutex_lock(&q->lock);
    for (;;) {
        if (q->closed) {
            result = QUEUE_CLOSED;
            break;
        }
        if (generation != q->generation) {
            result = QUEUE_STALE;
            break;
        }
        if (take_room(q, bytes)) {
            push(q, item, bytes);
            pthread_cond_broadcast(&q->changed);
            result = QUEUE_OK;
            break;
        }
        if (!in_time) {
            result = QUEUE_TIMEOUT;
            break;
        }
        if (!waits) /* rarely: the clock is not read for nothing */
            deadline = wait_deadline(timeout_ms);
        waits = true;
        in_time = wait_until(&q->changed, &q->lock, &deadline);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

/* Waits until there is an item number i. With the lock held. */
static enum queue_result wait_for_item(struct queue *q, size_t i, uint32_t timeout_ms)
{
    struct timespec deadline;
    bool in_time = timeout_ms > 0, waits = false;

    for (;;) {
        if (q->count > i)
            return QUEUE_OK;
        if (q->closed)
            return QUEUE_CLOSED;
        if (!in_time)
            return QUEUE_TIMEOUT;
        /* Kept until someone would wait: a wake that comes just before is not lost. */
        if (q->woken) {
            q->woken = false;
            return QUEUE_TIMEOUT;
        }
        if (!waits)
            deadline = wait_deadline(timeout_ms);
        waits = true;
        in_time = wait_until(&q->changed, &q->lock, &deadline);
    }
}

enum queue_result queue_take(struct queue *q, uint32_t timeout_ms, void **ret_item)
{
    pthread_mutex_lock(&q->lock);
    enum queue_result result = wait_for_item(q, 0, timeout_ms);

    if (result == QUEUE_OK) {
        *ret_item = shift(q);
        pthread_cond_broadcast(&q->changed);
    }
    pthread_mutex_unlock(&q->lock);
    return result;
}

enum queue_result queue_peek(struct queue *q, size_t i, uint32_t timeout_ms, void **ret_item)
{
    pthread_mutex_lock(&q->lock);
    enum queue_result result = wait_for_item(q, i, timeout_ms);

    if (result == QUEUE_OK)
        *ret_item = entry_at(q, i)->item;
    pthread_mutex_unlock(&q->lock);
    return result;
}

/* Many at a time, so that a waiting producer is woken once for them. */
void queue_pop(struct queue *q, size_t n)
{
    void *items[256];

    while (n > 0) {
        size_t some = n < sizeof items / sizeof *items ? n : sizeof items / sizeof *items;

        pthread_mutex_lock(&q->lock);
        assert(q->count >= some);
        for (size_t i = 0; i < some; i++)
            items[i] = shift(q);
        pthread_cond_broadcast(&q->changed);
        pthread_mutex_unlock(&q->lock);
        for (size_t i = 0; i < some && q->free_item != NULL; i++)
            q->free_item(items[i]);
        n -= some;
    }
}

void queue_each(struct queue *q, void (*visit)(void *arg, void *item), void *arg)
{
    pthread_mutex_lock(&q->lock);
    for (size_t i = 0; i < q->count; i++)
        visit(arg, entry_at(q, i)->item);
    pthread_mutex_unlock(&q->lock);
}

uint64_t queue_puts(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t puts = q->puts;

    pthread_mutex_unlock(&q->lock);
    return puts;
}

bool queue_wait_pops(struct queue *q, uint64_t count, uint32_t timeout_ms)
{
    const struct timespec deadline = wait_deadline(timeout_ms);
    bool in_time = timeout_ms > 0;

    pthread_mutex_lock(&q->lock);
    while (q->pops < count && in_time)
        in_time = wait_until(&q->changed, &q->lock, &deadline);
    bool popped = q->pops >= count;

    pthread_mutex_unlock(&q->lock);
    return popped;
}

uint64_t queue_generation(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    uint64_t generation = q->generation;
    pthread_mutex_unlock(&q->lock);
    return generation;
}

uint64_t queue_restart(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    struct queue_entry *ring = q->ring;
    size_t head = q->head, count = q->count, size = q->ring_size;
    q->ring = NULL;
    atomic_fetch_sub(&q->pool->used, q->bytes);
    q->head = q->count = q->ring_size = q->bytes = 0;
    q->pops = q->puts;
    uint64_t generation = ++q->generation;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);

    free_ring(q, ring, head, count, size);
    return generation;
}

void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void queue_wake(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->woken = true;
    pthread_cond_broadcast(&q->changed);
    pthread_mutex_unlock(&q->lock);
}

void queue_size(struct queue *q, size_t *ret_count, size_t *ret_bytes)
{
    pthread_mutex_lock(&q->lock);
    *ret_count = q->count;
    *ret_bytes = q->bytes;
    pthread_mutex_unlock(&q->lock);
}
