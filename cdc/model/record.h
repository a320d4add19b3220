/*
 * record.h - what a link has on record beside its counters: resync jobs, keys in
 * quarantine, conflicts that were decided, and events worth waking somebody for.
 * Plain data: the appliers fill it, the service shows it, neither knows the other.
 *
 * No row value stands in any of these: a row is named by its key, a difference by
 * its columns.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/clock.h"
#include "cdc/model/side.h"
#include "cdc/model/value.h"

/* ---- Resync jobs ---- */

enum job_state { JOB_RUNNING, JOB_DONE, JOB_FAILED };
const char *job_state_name(enum job_state s); /* "running", "done", "failed" */

/* JOB_UNLOGGED: rows changed that no row event shows. */
enum job_cause { JOB_TRIGGER, JOB_FIRST_START, JOB_LOST_POSITION, JOB_UNLOGGED };
const char *job_cause_name(enum job_cause c); /* "trigger", "first_start", "lost_position", "unlogged" */

/* What an operator asks for. */
struct job_order {
    bool has_from; /* else both sides are alike */
    enum side from;
    bool force;          /* from's rows win whatever their version; needs has_from */
    bool delete_missing; /* a row that from lacks is deleted at the other side; needs has_from */
};

enum { JOB_TEXT = 256 };

struct job {
    uint64_t id;      /* of all links together; 0: no job */
    const char *link; /* borrowed from the config */
    enum job_state state;
    enum job_cause cause;
    struct job_order order;
    uint64_t rows_scanned; /* keys compared */
    uint64_t rows_written, conflicts, quarantined;
    uint64_t rows_expected; /* about: what the servers estimate */
    wall_us started_at;
    wall_us ended_at;      /* 0 while it runs */
    char reason[JOB_TEXT]; /* why twinlog began it by itself; "" for a trigger */
    char error[JOB_TEXT];  /* failed: why; running: what it waits for, "" if nothing */
    char again[JOB_TEXT];  /* why another one has to follow; "": none has to */
};

/* 0 to 100; 100 only when done. */
unsigned job_percent(const struct job *j);
/* Why rows may differ that no stream makes equal, as far as that is this job's business; NULL if none do. */
const char *job_needs_resync(const struct job *j);

/* ---- Quarantine ---- */

struct waiting_key {
    const char *link;
    const char *key;  /* as log_key() names it */
    const char *hash; /* 16 hex digits of the key's SHA-256: names it too */
    enum side from;   /* the side whose row the other one refuses */
    int code;         /* the server's error number, 0 if it is our own finding */
    const char *why;
    wall_us since, next_try; /* next_try 0: now */
    uint32_t tries;          /* that were refused, the first one included */
};

/* ---- Conflicts ---- */

struct conflict_row {
    bool present;
    value_int version;  /* VALUE_INT_NONE: NULL or absent */
    int64_t updated_us; /* UTC, since 1970; INT64_MIN likewise */
};

struct conflict {
    const char *link;
    uint64_t id; /* within the link */
    wall_us at;
    const char *key;  /* as log_key() names it */
    const char *met;  /* who met it: "left_to_right", "right_to_left" or "resync" */
    const char *rule; /* "version", "updated_at", "authority", "delete_vs_update", "force" */
    enum side winner;
    struct conflict_row row[2]; /* by side, as they were */
    const char *columns; /* left names of the columns that differed, "name,email_encrypted"; "" if one row
                                 * was absent */
};

/* ---- Events ---- */

enum event_kind { EVENT_HALTED, EVENT_QUARANTINED, EVENT_GAP, EVENT_RECOVERED, EVENT_KINDS };
const char *event_kind_name(enum event_kind k); /* "halted", "quarantined", "gap", "recovered" */

struct event {
    enum event_kind kind;
    const char *link;
    const char *direction; /* "left_to_right", "right_to_left" or NULL: both or neither */
    const char *text;
};

#endif
