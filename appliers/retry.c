/*
 * retry.c - key by key; and then those together that hold each other's UNIQUE values.
 */
#include "appliers/retry.h"

#include <string.h>

#include "appliers/cycles.h"
#include "appliers/quarantine.h"
#include "appliers/sync.h"
#include "cdc/base/log.h"

enum {
    KEYS_AT_ONCE = 50,
    CYCLES_MAX = 2000, /* keys that are looked through */
    CYCLES_EVERY_US = 5000000,
    LET_OTHERS_MS = 50,
};

static struct quarantine *quarantine_of(const struct retry *t)
{
    return link_sync_quarantine(t->resync->apply.sync);
}

/* ---- Together ---- */

struct waiting {
    struct arena arena;
    struct key *keys;
    struct waiting_row *rows;
    size_t count;
    size_t *members; /* of the set that is tried */
    bool *tried;     /* in some set */
};

static void list_waiting(const struct retry *t, struct waiting *w)
{
    enum side *sources;

    arena_init(&w->arena);
    sources = arena_alloc(&w->arena, CYCLES_MAX * sizeof *sources);
    w->keys = arena_alloc(&w->arena, CYCLES_MAX * sizeof *w->keys);
    w->count = quarantine_list_duplicates(quarantine_of(t), w->keys, sources, CYCLES_MAX, &w->arena);
    w->rows = arena_zalloc(&w->arena, (w->count + 1) * sizeof *w->rows);
    w->members = arena_alloc(&w->arena, (w->count + 1) * sizeof *w->members);
    w->tried = arena_zalloc(&w->arena, w->count + 1);
    for (size_t i = 0; i < w->count; i++)
        w->rows[i].source = sources[i];
}

static bool read_waiting(const struct retry *t, struct waiting *w, struct err *err)
{
    const struct value **rows[2];

    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        struct store *store = t->resync->apply.stores[side];

        rows[side] = arena_zalloc(&w->arena, (w->count + 1) * sizeof *rows[side]);
        if (!store->ops->read(store, w->keys, w->count, rows[side], &w->arena, err))
            return err_prefix(err, "read %s rows", side_name(side));
    }
    for (size_t i = 0; i < w->count; i++) {
        w->rows[i].wanted = rows[w->rows[i].source][i];
        w->rows[i].held = rows[side_peer(w->rows[i].source)][i];
    }
    return true;
}

static void settle_set(const struct retry *t, struct waiting *w, size_t n)
{
    struct key *keys = arena_alloc(&w->arena, n * sizeof *keys);
    struct err err = ERR_INIT;

    for (size_t i = 0; i < n; i++) {
        keys[i] = w->keys[w->members[i]];
        w->tried[w->members[i]] = true;
    }
    if (resync_count_apart(t->resync->apply.link, keys, n) < n)
        log_debug("%zu keys in quarantine may be one row: not tried together", n);
    else if (resync_settle_together(t->resync, keys, n, &err))
        log_info("%zu rows that waited for each other's values are equal now", n);
    else
        log_debug("%zu keys in quarantine could not be tried together: %s", n, err.text);
    link_sync_let_others(t->resync->apply.sync, LET_OTHERS_MS);
}

static bool is_one_of(const struct key *k, const struct key *keys, size_t nkeys)
{
    for (size_t i = 0; i < nkeys; i++)
        if (key_equal(&keys[i], k))
            return true;
    return false;
}

/* From each of these keys on, which were refused alone: what is in its way, if that waits too. */
static void settle_cycles(const struct retry *t, const struct key *keys, size_t nkeys)
{
    struct waiting w;
    struct err err = ERR_INIT;

    list_waiting(t, &w);
    if (w.count > 1 && read_waiting(t, &w, &err)) {
        struct cycles *c = cycles_new(t->resync->apply.link, w.rows, w.count);

        for (size_t i = 0; i < w.count && !stop_raised(t->stop); i++) {
            size_t n = !w.tried[i] && is_one_of(&w.keys[i], keys, nkeys) ? cycles_of(c, i, w.members) : 0;

            if (n > 1)
                settle_set(t, &w, n);
        }
        cycles_free(c);
    } else if (err.kind != ERR_NONE) {
        log_debug("keys in quarantine could not be looked at: %s", err.text);
    }
    arena_done(&w.arena);
}

/* ---- One by one ---- */

static void settle_alone(const struct retry *t, const struct key *key)
{
    struct err err = ERR_INIT;

    if (!resync_settle(t->resync, key, 1, &err)) {
        log_debug("a key in quarantine could not be tried: %s", err.text);
        if (err.kind == ERR_BUSY)
            quarantine_hurry_key(quarantine_of(t), key, clock_wall());
    }
    link_sync_let_others(t->resync->apply.sync, LET_OTHERS_MS);
}

size_t retry_due(struct retry *t)
{
    struct quarantine *q = quarantine_of(t);
    const size_t before = quarantine_count(q);
    struct key keys[KEYS_AT_ONCE];
    struct arena arena;

    if (before == 0)
        return 0;
    arena_init(&arena);
    size_t n = quarantine_take_due(q, clock_wall(), keys, KEYS_AT_ONCE, &arena);

    t->resync->patient = false;
    for (size_t i = 0; i < n && !stop_raised(t->stop); i++)
        settle_alone(t, &keys[i]);
    if (quarantine_count(q) < before) { /* what has moved may have been in the way of others */
        quarantine_obstacle_moved(q, KEYS_AT_ONCE);
    } else if (n > 0 && (t->cycles_at.v == 0 || mono_diff_us(clock_mono(), t->cycles_at) >= CYCLES_EVERY_US)) {
        settle_cycles(t, keys, n);
        t->cycles_at = clock_mono();
    }
    memset(&t->resync->counts, 0, sizeof t->resync->counts);
    arena_done(&arena);
    return n;
}
