/*
 * feed.h - what joins the two halves of one direction: the reader of the
 * source's server on one end, the applier on the other.
 *
 * The applier says from where it wants the stream (feed_open), as often as it
 * likes: at its start, and whenever it comes back from an error with only its
 * stored checkpoint to go by. The reader then starts its stream again where all
 * its feeds can be served; a feed that is ahead does not see old transactions a
 * second time.
 *
 * A transaction without changes for the link is not put: the source's `read`
 * position says that it has been passed.
 */
#ifndef MODEL_FEED_H
#define MODEL_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/queue.h"
#include "cdc/model/change.h"
#include "cdc/model/link.h"
#include "cdc/model/pos.h"

/* One per server: written by its reader, read by the appliers it feeds. */
struct feed_source {
    pthread_mutex_t lock;
    pthread_cond_t moved;    /* CLOCK_MONOTONIC: moves has grown, feed_source_tell() */
    uint64_t moves;          /* grows with each change of read or epoch: feed_source_moved() */
    struct pos read;         /* all up to here has been put into the feeds */
    uint64_t foreign_bytes;  /* binlog bytes passed that the daemon did not write: when these
                              * grow, an idle direction has a reason to store its position */
    uint64_t epoch;          /* grows each time a stream has been opened and every feed resumed */
    void (*wake)(void *arg); /* ends a blocked read: set by the reader */
    void *wake_arg;
};

struct feed {
    const struct link *link;
    enum side from; /* the side that is read */
    struct feed_source *source;
    struct queue queue; /* of struct tx */

    pthread_mutex_t lock; /* for what follows */
    bool wanted;          /* feed_open() was called and the reader has not resumed it yet */
    bool lost;            /* the reader could not start at `resume`: the source no longer has it */
    char lost_why[256];
    bool halted; /* the reader hands on nothing behind what is queued: only a feed_open(), which
                                  * clears it, starts this feed again. Set before a queue_wake(). */
    char halted_why[256];
    struct pos resume; /* from where */
    struct pos ahead; /* what lies before here is done in part: it must be a place of the log too; unset: none */
    uint64_t resume_rows;   /* row images of the first transaction behind `resume` that are done */
    uint64_t generation;    /* of the queue, since the last feed_open() */
    uint64_t resumed_epoch; /* source->epoch from which on source->read counts for this feed;
                                  * UINT64_MAX while it is lost or halted */
    /* The reader has put all that the log held when its stream was opened, and need not go back for anything. Only then
     * does an empty queue tell that nothing is to be done. Set with the lock. */
    _Atomic bool in_step;
    _Atomic uint64_t echoes; /* transactions of our own that the reader passed over, with or without a marker */
};

void feed_source_init(struct feed_source *s);
void feed_source_done(struct feed_source *s);
/* The reader, with the lock held, after a change of read or epoch. */
void feed_source_moved(struct feed_source *s);
/* Those who wait look again: the reader, before it may wait itself. In between they look by themselves now and then. */
void feed_source_tell(struct feed_source *s);
void feed_init(struct feed *f, const struct link *link, enum side from, struct feed_source *source,
               struct queue_pool *pool);
void feed_done(struct feed *f);

/* The applier takes transactions with queue_peek() and lets go of them with queue_pop() once they are applied: until then
 * others can see what is pending.
 * The applier: throws away what is queued, asks for everything behind pos but
 * the first rows_done row images. ahead: up to there some of it has been applied, NULL: none; if that is no place of the log
 * that is read, or of another server's, the feed is lost. */
void feed_open(struct feed *f, const struct pos *pos, uint64_t rows_done, const struct pos *ahead);
/* The applier: a position it may store as read, when its queue is empty and all it took is applied: true
 * and a copy in *ret_pos if the reader has this feed resumed. Check the queue again after the call: if
 * it is still empty then all up to ret_pos is applied. ret_pos must be initialised.
 * It may lie behind what is stored already, when the stream was opened again for another feed: store it only
 * if pos_covers(ret_pos, stored), and not in the midst of a transaction (rows_done) that it does not end. */
bool feed_idle_pos(struct feed *f, struct pos *ret_pos, uint64_t *ret_foreign_bytes);

/* The reader: a feed that wants to be opened is not in step, whatever it was before. */
void feed_set_in_step(struct feed *f, bool in_step);

/* From any thread: waits until the reader has put all up to pos into this feed; false after timeout_ms, and at once
 * while the feed is lost or halted. */
bool feed_wait_read(struct feed *f, const struct pos *pos, uint32_t timeout_ms);
/* Likewise until that has been applied too. */
bool feed_wait_applied(struct feed *f, const struct pos *pos, uint32_t timeout_ms);

#endif
