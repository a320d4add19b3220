#include "appliers/winner.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

static enum side side_if(bool left_wins, enum winner_why why, enum winner_why *ret_why)
{
    *ret_why = why;
    return left_wins ? SIDE_LEFT : SIDE_RIGHT;
}

enum side winner_choose(const struct winner_rule *rule, const struct winner_row *left,
                        const struct winner_row *right, enum winner_why *ret_why)
{
    assert(left != NULL || right != NULL);

    /* 1. An update met a delete: a matter of policy, there is no second version to compare. */
    if (left == NULL || right == NULL)
        return side_if((left == NULL) == (rule->delete_beats_update != 0), WINNER_DELETE, ret_why);

    /* 2. The higher version. */
    if (left->version != right->version)
        return side_if(left->version > right->version, WINNER_VERSION, ret_why);

    /* 3. The later update, as far as the two servers' clocks agree. */
    if (left->updated_us != right->updated_us)
        return side_if(left->updated_us > right->updated_us, WINNER_UPDATED_AT, ret_why);

    /* 4. Arbitrary, but the same for both directions. */
    return side_if(rule->authority == SIDE_LEFT, WINNER_AUTHORITY, ret_why);
}

const char *winner_why_name(enum winner_why why)
{
    switch (why) {
    case WINNER_DELETE: return "delete_vs_update";
    case WINNER_VERSION: return "version";
    case WINNER_UPDATED_AT: return "updated_at";
    case WINNER_AUTHORITY: return "authority";
    }
    return "?";
}
