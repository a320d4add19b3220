/*
 * feed.c - how an applier and the reader of its source agree on where to begin,
 * and on how far an idle direction has come.
 *
 * Opening. Only the applier opens its feed:
 *   1. it restarts the queue. From here on a put with the old generation is
 *      refused (QUEUE_STALE): the reader drops that transaction and puts nothing
 *      more into this feed until it has resumed it;
 *   2. under feed->lock it stores the position, the new generation and
 *      `wanted`, and clears `lost` and `halted`;
 *   3. it wakes the reader, which may be blocked in a read.
 * The queue comes first: a reader that sees `wanted` finds the generation that
 * goes with it. A reader that meets QUEUE_STALE before it sees `wanted` need
 * only wait for it; the wake of step 3 cannot come before step 2.
 *
 * Resuming. The reader, when it sees a feed that is wanted, closes its stream:
 *   1. for each feed, under feed->lock: if wanted, it copies resume, resume_rows
 *      and generation, clears `wanted`, and sets resumed_epoch to the epoch that
 *      its next stream will have (source->epoch + 1);
 *   2. it opens the stream at the minimum over all its feeds of what each still
 *      needs. A feed that is ahead of that place is not given anything twice;
 *   3. under source->lock it sets read to that place and raises epoch, both at
 *      once. If the stream cannot be opened, epoch stays, and it tries again with
 *      the same epoch ahead.
 * If the source no longer has the place that a feed asks for, or holds something
 * that the reader cannot hand on, it sets `lost` or `halted` under feed->lock; the
 * next feed_open() clears both.
 *
 * Reading. The reader puts the changes of a transaction into every feed that has
 * some, and only then sets source->read behind it, under source->lock, and wakes who waits for that: for all at once
 * that the reader has at hand, before it may come to wait itself. For each transaction that would cost more than the
 * transaction.
 *
 * Idling. When there is nothing for a link in the log, its applier must store a
 * position now and then all the same, or the log is purged behind it. It calls
 * feed_idle_pos() and then looks at its queue: if that is empty, and all that it
 * took before is applied, then all up to the position it got is applied. For
 * - what stands before `read` was put before `read` was set, `read` was set before
 *   it was copied, and it was copied before the queue was looked at: so whatever
 *   the position covers is either in the queue now, or has been taken;
 * - nothing of it has been thrown away: only feed_open() restarts the queue, it is
 *   called by the same thread, and after it the answer is no until the reader has
 *   cleared `wanted` and a stream that serves the new position has been opened;
 * - a read position from before that stream does not count: epoch is compared
 *   under the same lock under which `read` is copied.
 * Looking at the queue first and then asking would not do: a transaction could
 * be put, and passed by `read`, in between.
 *
 * When the stream is opened again for a feed that is behind, `read` goes back,
 * though the other feeds are ahead of it. A position behind the one that this
 * feed was opened at is therefore not given out. It may still lie behind what has
 * been applied since then, of which only the applier knows, and must not be stored
 * then: next to a newer marker, an older position would make a restart replay
 * changes that the marker has superseded. pos_covers() tells.
 *
 * feed->lock, source->lock and the queue's lock are never held two at a time.
 */
#include "cdc/model/feed.h"

#include "cdc/base/clock.h"
#include "cdc/base/wait.h"

enum { FEED_STEP_MS = 20 };

static void free_tx(void *item) { tx_free(item); }

void feed_source_init(struct feed_source *s)
{
    *s = (struct feed_source){.read = POS_INIT};
    pthread_mutex_init(&s->lock, NULL);
    wait_cond_init(&s->moved);
}

void feed_source_done(struct feed_source *s)
{
    pos_done(&s->read);
    pthread_cond_destroy(&s->moved);
    pthread_mutex_destroy(&s->lock);
}

void feed_source_moved(struct feed_source *s) { s->moves++; }

void feed_source_tell(struct feed_source *s) { pthread_cond_broadcast(&s->moved); }

void feed_init(struct feed *f, const struct link *link, enum side from, struct feed_source *source,
               struct queue_pool *pool)
{
    *f = (struct feed){.link = link, .from = from, .source = source, .resume = POS_INIT, .ahead = POS_INIT};
    queue_init(&f->queue, pool, free_tx);
    pthread_mutex_init(&f->lock, NULL);
    f->generation = queue_generation(&f->queue);
    f->resumed_epoch = UINT64_MAX; /* never yet */
}

void feed_done(struct feed *f)
{
    queue_done(&f->queue);
    pos_done(&f->resume);
    pos_done(&f->ahead);
    pthread_mutex_destroy(&f->lock);
}

static void wake_reader(struct feed_source *s)
{
    pthread_mutex_lock(&s->lock);
    void (*wake)(void *arg) = s->wake;
    void *arg = s->wake_arg;
    pthread_mutex_unlock(&s->lock);

    if (wake != NULL)
        wake(arg);
}

void feed_open(struct feed *f, const struct pos *pos, uint64_t rows_done, const struct pos *ahead)
{
    static const struct pos none = POS_INIT;
    const uint64_t generation = queue_restart(&f->queue);

    pthread_mutex_lock(&f->lock);
    pos_copy(&f->resume, pos);
    f->resume_rows = rows_done;
    pos_copy(&f->ahead, ahead != NULL ? ahead : &none);
    f->generation = generation;
    f->wanted = true;
    f->in_step = false;
    f->lost = false;
    f->lost_why[0] = '\0';
    f->halted = false;
    f->halted_why[0] = '\0';
    pthread_mutex_unlock(&f->lock);

    wake_reader(f->source);
}

void feed_set_in_step(struct feed *f, bool in_step)
{
    pthread_mutex_lock(&f->lock);
    f->in_step = in_step && !f->wanted;
    pthread_mutex_unlock(&f->lock);
}

static bool is_resumed(struct feed *f, uint64_t *ret_epoch)
{
    pthread_mutex_lock(&f->lock);
    bool resumed = !f->wanted && !f->lost && !f->halted;
    *ret_epoch = f->resumed_epoch;
    pthread_mutex_unlock(&f->lock);
    return resumed;
}

bool feed_idle_pos(struct feed *f, struct pos *ret_pos, uint64_t *ret_foreign_bytes)
{
    struct pos read = POS_INIT;
    uint64_t epoch, foreign_bytes;

    if (!is_resumed(f, &epoch))
        return false;

    pthread_mutex_lock(&f->source->lock);
    bool counts = f->source->epoch >= epoch && !pos_is_unset(&f->source->read);
    if (counts)
        pos_copy(&read, &f->source->read);
    foreign_bytes = f->source->foreign_bytes;
    pthread_mutex_unlock(&f->source->lock);

    if (counts) {
        pthread_mutex_lock(&f->lock);
        /* A feed that the reader has given up since the first look is passed by `read` without its changes. */
        counts = !f->lost && !f->halted && pos_covers(&read, &f->resume);
        pthread_mutex_unlock(&f->lock);
    }
    if (counts) {
        pos_move(ret_pos, &read);
        *ret_foreign_bytes = foreign_bytes;
    }
    pos_done(&read);
    return counts;
}

static bool has_ended(struct feed *f)
{
    pthread_mutex_lock(&f->lock);
    bool ended = f->lost || f->halted;
    pthread_mutex_unlock(&f->lock);
    return ended;
}

/* A read position counts for this feed from the epoch on at which it was resumed. */
static bool has_read(struct feed *f, const struct pos *pos)
{
    struct feed_source *s = f->source;
    uint64_t epoch;

    if (!is_resumed(f, &epoch))
        return false;
    pthread_mutex_lock(&s->lock);
    bool covers = s->epoch >= epoch && !pos_is_unset(&s->read) && pos_covers(&s->read, pos);
    pthread_mutex_unlock(&s->lock);
    return covers;
}

static uint32_t left_ms(mono_us began, uint32_t timeout_ms)
{
    int64_t left = (int64_t)timeout_ms - mono_diff_us(clock_mono(), began) / 1000;

    return left > 0 ? (uint32_t)left : 0;
}

bool feed_wait_read(struct feed *f, const struct pos *pos, uint32_t timeout_ms)
{
    const mono_us began = clock_mono();
    struct feed_source *s = f->source;

    for (;;) {
        uint64_t moves;
        uint32_t left = left_ms(began, timeout_ms);

        pthread_mutex_lock(&s->lock);
        moves = s->moves;
        pthread_mutex_unlock(&s->lock);
        if (has_read(f, pos))
            return true;
        if (left == 0 || has_ended(f))
            return false;
        /* A step at a time: what ends a feed does not show in the source. */
        const struct timespec step = wait_deadline(left < FEED_STEP_MS ? left : FEED_STEP_MS);

        pthread_mutex_lock(&s->lock);
        while (s->moves == moves && wait_until(&s->moved, &s->lock, &step))
            ;
        pthread_mutex_unlock(&s->lock);
    }
}

bool feed_wait_applied(struct feed *f, const struct pos *pos, uint32_t timeout_ms)
{
    const mono_us began = clock_mono();

    if (!feed_wait_read(f, pos, timeout_ms))
        return false;
    return queue_wait_pops(&f->queue, queue_puts(&f->queue), left_ms(began, timeout_ms));
}
