/*
 * conflicts.h - the newest conflicts of one link, as the conflict tables of both
 * sides have them: what met, which rule decided, who won. No row value.
 *
 * Safe from any thread: one lock of its own, held for no longer than a copy.
 */
#ifndef APPLIERS_CONFLICTS_H
#define APPLIERS_CONFLICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/clock.h"
#include "cdc/model/change.h"
#include "cdc/model/record.h"

enum conflict_met { MET_LEFT_TO_RIGHT, MET_RIGHT_TO_LEFT, MET_RESYNC };
enum conflict_rule { RULE_VERSION, RULE_UPDATED_AT, RULE_AUTHORITY, RULE_DELETE, RULE_FORCE };
const char *conflict_met_name(enum conflict_met m);
const char *conflict_rule_name(enum conflict_rule r);

/* Written beside the row that lost, in the same transaction. */
struct conflict_record {
    uint64_t id;
    wall_us at; /* 0: now, by the server's clock */
    struct key key;
    enum conflict_met met;
    enum conflict_rule rule;
    enum side winner;
    struct conflict_row row[2];
    const char *columns; /* left names of those that differed, joined by commas */
};

struct conflicts;
/* keep: how many, at most. */
struct conflicts *conflicts_new(const struct link *link, size_t keep);
void conflicts_free(struct conflicts *c); /* NULL is fine */
size_t conflicts_keep(const struct conflicts *c);

/* Until the tables have been read, what is not here says nothing. */
bool conflicts_is_loaded(const struct conflicts *c);
void conflicts_set_loaded(struct conflicts *c);

/* Copies. One that is there already is left as it is; the oldest goes when there are too many. */
void conflicts_add(struct conflicts *c, const struct conflict_record *r, wall_us now);

/* At most max, the newest first; returns how many there are. visit() must be short, for it holds the lock. */
size_t conflicts_each(struct conflicts *c, size_t max, void (*visit)(void *arg, const struct conflict *c),
                      void *arg);
/* Calls visit() for that one; false if it is not there (any more). */
bool conflicts_find(struct conflicts *c, uint64_t id, void (*visit)(void *arg, const struct conflict *c),
                    void *arg);

#endif
