/*
 * resync.h - rows that differ although nobody wrote them lately are made equal
 * (PROTOCOL.md, Resync). Knows only stores and what is pending: no thread, no log;
 * the simulation drives the same code.
 */
#ifndef APPLIERS_RESYNC_H
#define APPLIERS_RESYNC_H

#include "appliers/apply.h"
#include "appliers/keyset.h"
#include "appliers/walk.h"

/* What a resync has to know of the two streams. */
struct resync_streams {
    void *arg;
    /* With both gates held: waits until both readers have handed on all up to these ends of their logs (by side),
     * so that whatever was written to those rows before is applied or pending. ERR_BUSY: they do not get there soon. */
    bool (*read_on)(void *arg, const struct pos ends[2], struct err *err);
    /* Calls visit() for each transaction of that log that is handed on and not applied, in order. */
    void (*pending)(void *arg, enum side log, void (*visit)(void *visit_arg, const struct tx *tx),
                    void *visit_arg);
    /* With both gates held, once a chunk has been read: what the walk will read next, if that can be told. It may be made
     * at any moment from now on. Keys are good for this call. NULL: nobody cares. */
    void (*read_ahead)(void *arg, const struct walk_first *next);
    /* With both gates held: the chunk is done once what is being written is committed. What to store of that, the key in
     * the arena; false: nothing. NULL: never anything. */
    bool (*progress)(void *arg, const struct walk_chunk *chunk, struct arena *arena,
                     struct resync_state *ret_state);
    /* Microseconds of some clock that goes forward, to measure locks by. */
    int64_t (*now_us)(void *arg);
};

struct resync_counts {
    uint64_t written;     /* rows */
    uint64_t conflicts;   /* pairs between which a rule had to choose */
    uint64_t quarantined; /* keys */
};

struct resync {
    struct apply apply; /* its own connections; `from` means nothing */
    const struct resync_streams *streams;
    struct job_order order;
    struct resync_counts counts;
    bool patient; /* keys that are in doubt only because a server may take a pending key for them: ERR_BUSY, again later,
                     instead of a reconcile */
    enum side source;      /* of the row that was planned last */
    int64_t locked_us;     /* how long the last transactions held their locks */
    uint64_t turn;         /* of the gates, in the last scan */
    bool walks;            /* from resync_begin() to resync_end() */
    struct keyset settled; /* in that time: whatever becomes of them is the streams' business */
    struct pos ends[2]; /* of the logs, where they were looked at last: so far both readers have come; owned */

    /* Scans write too: what one side alone has, or has newer, is copied to this one right away. */
    bool copies;
    enum side target;
    size_t copied; /* rows, by the last scan */
    bool copy_fails; /* in the last scan something was in the way, and nothing was copied: better without for a while */
    size_t lacks[2]; /* by side: so many keys of the last chunk could have been copied there */
    bool stored;     /* the progress of the last scan's chunk */
};

/* streams is borrowed. Both stores are the resync's own. */
void resync_init(struct resync *r, const struct link *link, struct link_sync *sync, struct store *left,
                 struct store *right, struct stop *stop, struct direction_stats *stats,
                 const struct resync_streams *streams);
void resync_done(struct resync *r);

/* From here on, until link_sync_set_order(NULL), the order decides the streams' conflicts too. No gate may be held. */
bool resync_begin(struct resync *r, const struct job_order *order, struct err *err);
/* No walk is under way any more: frees what it has kept in mind. */
void resync_end(struct resync *r);

/* Reads the walk's next chunk and lists the keys that have to be settled: all whose rows do not show, together with what is
 * pending, that both sides share a state from which the streams go on. No gate may be held; no row is locked, but for those
 * that are copied. What is returned lives in the arena. ERR_BUSY: again later.
 * first: what read_ahead() was told of when the gates' turn was first_turn; it is left aside if it does not count any more.
 * NULL: nothing was read ahead. */
bool resync_scan(struct resync *r, struct walk *w, size_t rows, const struct walk_first *first,
                 uint64_t first_turn, struct walk_chunk *ret_chunk, struct key **ret_keys, size_t *ret_nkeys,
                 struct arena *arena, struct err *err);

/* Makes the rows of these distinct keys equal, in one transaction a side where that goes. What a side refuses goes into
 * quarantine and is no error. ERR_BUSY, ERR_RETRY: what is done is done, the rest again later. ERR_HALT: no way to go on. */
bool resync_settle(struct resync *r, const struct key *keys, size_t nkeys, struct err *err);

/* The same, but several keys all or none: where a side refuses one, ERR_ROW, and nothing has changed. */
bool resync_settle_together(struct resync *r, const struct key *keys, size_t nkeys, struct err *err);

/* Cuts keys to a prefix that may go into one resync_settle(): no two that a server may take for one. */
size_t resync_count_apart(const struct link *link, const struct key *keys, size_t nkeys);

/* Stores the job beside the left table. No gate may be held. */
bool resync_store(struct store *left, const struct resync_state *state, struct err *err);

#endif
