/*
 * winner.h - which of the two rows of one key survives a conflict.
 *
 * Pure: no clock, no database, no logging. Both directions call it with left as
 * left and right as right, so they cannot choose differently.
 */
#ifndef APPLIERS_WINNER_H
#define APPLIERS_WINNER_H

#include <stdint.h>

#include "cdc/model/side.h"
#include "cdc/model/value.h"

struct winner_rule {
    enum side authority;     /* wins a full tie */
    int delete_beats_update; /* what a row that meets an absent one gives way to */
};

enum winner_why { WINNER_DELETE, WINNER_VERSION, WINNER_UPDATED_AT, WINNER_AUTHORITY };

struct winner_row {     /* NULL stands for an absent row */
    value_int version;  /* sync_version; VALUE_INT_NONE where it is NULL */
    int64_t updated_us; /* updated_at, UTC, microseconds since 1970; INT64_MIN where it is NULL */
};

/* At most one of left and right is NULL. *ret_why names the step that decided. */
enum side winner_choose(const struct winner_rule *rule, const struct winner_row *left,
                        const struct winner_row *right, enum winner_why *ret_why);
const char *winner_why_name(enum winner_why why); /* "version", "updated_at", "authority", "delete_vs_update" */

#endif
