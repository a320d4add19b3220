/*
 * world.h - tables, logs and locks in memory, and actors that run the real apply
 * and reconcile code over them.
 *
 * Every store call that another one can see (lock, commit) gives way when it is
 * done: there the driver may let an application write, another direction go on, the
 * daemon crash, or the connection be lost before the answer arrives. What stands
 * between those points touches nothing that anyone else can see.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "appliers/apply.h"
#include "appliers/resync.h"
#include "cdc/model/link.h"
#include "tests/sim/image.h"

enum {
    MAX_KEYS = 4,
    MAX_TABLES = 3,
    MAX_LINKS = 2,
    MAX_ACTORS = 3 * MAX_LINKS,
    MAX_LOG = 512,
    MAX_ENTRY = 24,
    SIM_LANES = 4,
    MAX_MARKERS = 128,
    MAX_NEW_MARKERS = 8 /* of one transaction */
};
enum { REFUSED_VALUE = 7 };

struct sim_row {
    uint8_t present, val, version, updated;
};

struct sim_change {
    uint8_t key;
    struct sim_row before, after;
};

struct sim_entry { /* one transaction of a log */
    int8_t link;   /* whose checkpoint or marker it begins with; -1: an application's */
    uint8_t side;  /* of that link's marker */
    uint8_t n;
    uint64_t marker; /* the highest, 0: none */
    struct sim_change changes[MAX_ENTRY];
};

struct sim_checkpoint {
    bool present;
    uint64_t offset, rows_done, marker, batch;
};

struct sim_lane {
    size_t nlanes;
    uint64_t offset, rows_done, batch;
};

struct sim_marker {
    uint64_t id;
    uint8_t key;
};

struct sim_markers {
    size_t n;
    struct sim_marker at[MAX_MARKERS]; /* ascending ids */
};

struct sim_table {
    struct sim_entry *log; /* MAX_LOG; only ever added to */
    size_t nlog;
    struct sim_row row[MAX_KEYS];
    /* by link: the control tables beside this table */
    struct sim_checkpoint checkpoint[MAX_LINKS];
    struct sim_lane lane[MAX_LINKS][SIM_LANES];
    uint8_t quarantined[MAX_LINKS][MAX_KEYS]; /* 0: it is not; else 1 + the side whose row waits */
    uint64_t last_marker[MAX_LINKS];          /* that stands in the log */
    bool refuses;                             /* rows with REFUSED_VALUE */
    struct sim_markers markers[MAX_LINKS];
};

enum sim_lock { LOCK_NONE, LOCK_GAP, LOCK_ROW };

struct actor;
struct mem_store { /* one connection */
    struct store base;
    struct actor *actor;
    struct sim_table *table;
    int link;
    bool in_tx, wrote;
    bool is_lane;            /* READ COMMITTED: locks no gap */
    uint8_t lock[MAX_KEYS];  /* enum sim_lock */
    bool unlocked[MAX_KEYS]; /* late: inserted, and not locked before the packet arrives */
    /* From here on it means something in a transaction only. */
    struct sim_row after[MAX_KEYS];
    struct sim_entry entry;
    /* What the commit will do to the control tables. */
    bool moves_checkpoint, moves_lane;
    struct sim_checkpoint checkpoint;
    struct sim_lane place;
    struct sim_marker new_markers[MAX_NEW_MARKERS];
    size_t nnew_markers;
    uint64_t drop[MAX_KEYS], ndrop, purge;
    uint8_t quarantine[MAX_KEYS]; /* as sim_table.quarantined */
    bool release[MAX_KEYS];
};

enum sim_task { TASK_OPEN, TASK_BATCH, TASK_SKIP, TASK_QUARANTINE, TASK_RESYNC };

struct actor { /* one direction, or the resync of a link: what its thread would do */
    struct world *world;
    struct fiber *fiber;
    int link;
    enum side from;
    bool is_resync; /* then `from`, `at` and the like mean nothing, and `open` is always true */
    struct resync resync;
    struct resync_streams streams;
    struct job_order order;
    size_t chunk; /* rows of a chunk of its walk */
    bool copies;  /* its scans begin with copying into target */
    enum side target;
    bool has_ahead; /* of its walk, read ahead */
    struct walk_first ahead;
    struct arena ahead_arena;
    uint64_t ahead_turn;
    bool resync_wanted; /* a job that is stored: it has to be done before the world is at rest */
    struct apply apply;
    struct store *lanes[SIM_LANES];
    size_t nlanes, lanes_min, first_lane; /* 0: it has none */

    bool open;
    uint64_t at, at_rows; /* next entry to read and how many of its rows are done */
    enum sim_task task;
    size_t take; /* TASK_BATCH: entries at most */
    size_t part; /* rows of one part of a transaction, 0: whole */
    bool busy;   /* in the middle of a task */
    bool lose;   /* the connection is lost at the point where it gave way */
    bool late;   /* the next packet with a COMMIT reaches the server late, when the connection is lost */
    bool waits_for_late;
    bool victim;              /* a lock wait ends with a deadlock */
    unsigned waits_for_gates; /* 0: it does not */
    bool waits_for_lock;      /* of these */
    struct mem_store *wait_store;
    uint8_t wait_key;
    bool wait_insert;
    uint64_t trace; /* hash of all that this task has seen so far */

    struct mem_store store[2];
    struct mem_store lane_store[SIM_LANES]; /* on the side it writes */
    struct direction_stats stats;           /* which nobody looks at */
};

struct world {
    size_t nkeys, ntables, nlinks, nactors;
    struct sim_table table[MAX_TABLES];
    struct link link[MAX_LINKS];
    struct field fields[4];
    struct column columns[4];
    size_t key_field;
    struct table layout;
    struct table_key layout_key;
    struct link_sync *sync[MAX_LINKS];
    struct actor actor[MAX_ACTORS];
    struct stop stop;
    struct actor *running;
    bool down;
    struct mem_store late; /* in_tx: a packet on its way, of a lost connection */
    int64_t hours; /* that have passed for the keys in quarantine: one between any two looks at them */
};

struct world *world_new(void);
void world_free(struct world *w);
/* The direction writes batches of more than `min` changes in so many lanes, one after the other, `first` before the others. */
void actor_use_lanes(struct actor *a, size_t nlanes, size_t min, size_t first);
/* Begins again: ntables in a chain, each linked to the next, all empty; every direction closed. */
void world_reset(struct world *w, size_t nkeys, size_t ntables, bool delete_wins, enum side authority);

/* An application's transaction: rows[i] replaces the row of keys[i], in order (a key may come
 * twice). False, and nothing done, if a lock is in the way. */
bool world_write(struct world *w, int table, const uint8_t *keys, const struct sim_row *rows, size_t n);
bool world_may_write(const struct world *w, int table, const uint8_t *keys, const struct sim_row *rows,
                     size_t n);

/* Rows that stand there without a log that tells of them: what was there before, or written past the log. Every link
 * then wants a resync. */
void world_drift(struct world *w, int table, uint8_t key, struct sim_row row);
struct actor *world_resync(struct world *w, size_t link); /* the actor that resyncs it */
const char *actor_name(const struct actor *a);

/* Can the actor do anything now? */
bool actor_has_work(const struct actor *a);
bool actor_can_run(const struct actor *a);
/* Starts the task, or goes on with the one under way, to the next point. */
void actor_step(struct actor *a);
/* The daemon dies: memory is gone, open transactions are rolled back. */
void world_crash(struct world *w);

void world_late(struct world *w, bool arrives);
bool world_is_quiet(const struct world *w); /* nothing under way, nothing left to read */
bool world_is_equal(const struct world *w);
bool world_has_quarantine(const struct world *w);
uint64_t world_hash(const struct world *w, bool may_crash); /* of all that matters for what can come */
void world_print(const struct world *w);

/* Of an image: all of a world that was reset once and to which moves were made since. */
void world_part(struct world *w, struct image *im);

#endif
