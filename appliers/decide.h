/*
 * decide.h - what becomes of two rows of one key that differ. Pure.
 */
#ifndef APPLIERS_DECIDE_H
#define APPLIERS_DECIDE_H

#include "appliers/conflicts.h"
#include "cdc/base/arena.h"
#include "cdc/model/change.h"
#include "cdc/model/record.h"

struct decision {
    enum side winner; /* its row, or its absence, is written to the other side */
    bool conflict;    /* a rule had to choose */
    enum conflict_rule rule;
};

/* NULL stands for an absent row, here and below. */
bool decide_same(const struct link *link, const struct value *left, const struct value *right);

/* Both sides wrote (rule 4): the link's rule decides. While a resync runs that was told to force one side, that side
 * does (order; NULL: none runs). The rows differ. */
struct decision decide_conflict(const struct link *link, const struct job_order *order,
                                const struct value *left, const struct value *right);
/* Nobody wrote lately, and the rows differ all the same: the resync's order decides. */
struct decision decide_drift(const struct link *link, const struct job_order *order, const struct value *left,
                             const struct value *right);

/* The left names of the columns that differ, joined by commas, in the arena; "" if a row is absent. */
const char *decide_columns(const struct link *link, const struct value *left, const struct value *right,
                           struct arena *arena);

/* The record of a conflict, but for its id; texts in the arena, the key borrowed. */
void decide_record(const struct link *link, const struct key *key, const struct value *left,
                   const struct value *right, enum conflict_met met, const struct decision *d,
                   struct arena *arena, struct conflict_record *ret_record);

#endif
