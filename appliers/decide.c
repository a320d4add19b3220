#include "appliers/decide.h"

#include <assert.h>
#include <string.h>

#include "appliers/winner.h"

enum { COLUMNS_BYTES = 512 }; /* of a record's list of columns, at most: the table has room for them */
#define MORE_COLUMNS ",..."

bool decide_same(const struct link *link, const struct value *left, const struct value *right)
{
    if (left == NULL || right == NULL)
        return left == right;
    return row_equal(link, left, right);
}

static struct winner_row winner_row_of(const struct link *link, const struct value *row)
{
    struct winner_row w = {VALUE_INT_NONE, INT64_MIN};
    value_int version;
    int64_t us;

    if (value_to_int(&row[link_version_field(link)], &version))
        w.version = version;
    if (value_to_us(&row[link_updated_field(link)], &us))
        w.updated_us = us;
    return w;
}

static enum conflict_rule rule_of(enum winner_why why)
{
    static const enum conflict_rule rules[] = {
        [WINNER_DELETE] = RULE_DELETE,
        [WINNER_VERSION] = RULE_VERSION,
        [WINNER_UPDATED_AT] = RULE_UPDATED_AT,
        [WINNER_AUTHORITY] = RULE_AUTHORITY,
    };

    return rules[why];
}

static struct decision by_rule(const struct link *link, const struct value *left, const struct value *right)
{
    struct winner_rule rule = {link->authority, link->delete_beats_update};
    struct winner_row l, r;
    enum winner_why why;

    if (left != NULL)
        l = winner_row_of(link, left);
    if (right != NULL)
        r = winner_row_of(link, right);
    enum side winner = winner_choose(&rule, left != NULL ? &l : NULL, right != NULL ? &r : NULL, &why);

    return (struct decision){winner, true, rule_of(why)};
}

struct decision decide_conflict(const struct link *link, const struct job_order *order,
                                const struct value *left, const struct value *right)
{
    if (order != NULL && order->force) {
        const struct value *forced = order->from == SIDE_LEFT ? left : right;

        /* That it has no row counts only if its missing rows were asked to be deleted. */
        if (forced != NULL || order->delete_missing)
            return (struct decision){order->from, true, RULE_FORCE};
    }
    return by_rule(link, left, right);
}

struct decision decide_drift(const struct link *link, const struct job_order *order, const struct value *left,
                             const struct value *right)
{
    assert(left != NULL || right != NULL);
    if (left == NULL || right == NULL) {
        enum side present = left != NULL ? SIDE_LEFT : SIDE_RIGHT;
        bool delete = order->has_from && order->delete_missing && order->from != present;

        return (struct decision){delete ? order->from : present, false, RULE_DELETE};
    }
    if (order->force)
        return (struct decision){order->from, true, RULE_FORCE};
    return by_rule(link, left, right);
}

static struct conflict_row conflict_row_of(const struct link *link, const struct value *row)
{
    if (row == NULL)
        return (struct conflict_row){false, VALUE_INT_NONE, INT64_MIN};
    struct winner_row w = winner_row_of(link, row);

    return (struct conflict_row){true, w.version, w.updated_us};
}

const char *decide_columns(const struct link *link, const struct value *left, const struct value *right,
                           struct arena *arena)
{
    struct buf names = BUF_INIT;

    for (size_t i = 0; left != NULL && right != NULL && i < link->nfields; i++) {
        if (value_equal(&left[i], &right[i]))
            continue;
        const char *name = link->fields[i].column[SIDE_LEFT]->name;

        if (names.len + 1 + strlen(name) + strlen(MORE_COLUMNS) > COLUMNS_BYTES) {
            buf_adds(&names, MORE_COLUMNS);
            break;
        }
        buf_addf(&names, "%s%s", names.len > 0 ? "," : "", name);
    }
    const char *ret = arena_copy(arena, names.len > 0 ? names.data : "", names.len);

    buf_done(&names);
    return ret;
}

void decide_record(const struct link *link, const struct key *key, const struct value *left,
                   const struct value *right, enum conflict_met met, const struct decision *d,
                   struct arena *arena, struct conflict_record *ret_record)
{
    *ret_record = (struct conflict_record){
        .key = *key,
        .met = met,
        .rule = d->rule,
        .winner = d->winner,
        .row = {conflict_row_of(link, left), conflict_row_of(link, right)},
        .columns = decide_columns(link, left, right, arena),
    };
}
