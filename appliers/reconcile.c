/*
 * reconcile.c - two rows of one key, one winner.
 *
 * A reconcile holds the gates of both sides, then the row locks of the left
 * side, then those of the right one, so nothing of ours and nothing of the
 * applications can move either row. What it writes:
 *
 *   left:   marker, winner's row if it is not there yet     commit 1
 *   right:  marker, winner's row if it is not there yet     commit 2
 *
 * The markers are announced in memory before commit 1. From commit 1 on the
 * link is in doubt until commit 2 has answered: a marker that stands on the left
 * alone is a promise to reconcile the key again, and whoever next enters a gate
 * keeps it first (reconcile_recover). The same function runs at a start, where
 * the one in doubt was the process before us. A commit that did not answer may
 * still be on its way in the server: recover reads markers by a locking read,
 * which waits for it.
 *
 * A key that a side refuses (UNIQUE value taken, value too long, no key opens
 * it) changes nothing on either side and goes into quarantine: a row in both state
 * databases that promises to reconcile it later. Only then may its changes be
 * passed over.
 */
#include "appliers/reconcile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"
#include "appliers/park.h"
#include "cdc/base/mem.h"

enum { KEYS_AT_ONCE = 64 }; /* of one reconcile: locks are held on both sides meanwhile */

/* ---- One transaction a side ---- */

struct plan {
    struct row_write *writes[2]; /* by side */
    size_t nwrites[2];
    struct marker *markers; /* one a key */
    struct conflict_record *conflicts;
    size_t nconflicts, equal;
    enum side source; /* of the last write */
};

/* A fast forward that was refused is no conflict, whatever the versions say, as long as the peer has not written since.
 * And neither is its next try; but there that is not known, so that side's say counts for less than a version. */
static struct decision decide(const struct apply *a, const struct key *key,
                              const struct reconcile_reason *reason, const struct value *left,
                              const struct value *right)
{
    struct decision d = decide_conflict(a->link, link_sync_order(a->sync), left, right);
    const struct value *peer = a->from == SIDE_LEFT ? right : left;
    enum side waits;

    if (d.rule == RULE_FORCE || reason->why == RECONCILE_CONFLICT)
        return d;
    if (reason->why == RECONCILE_REFUSED)
        return decide_same(a->link, peer, reason->met) ? (struct decision){a->from, false, RULE_VERSION} : d;
    if (d.rule == RULE_VERSION || !quarantine_source(link_sync_quarantine(a->sync), key, &waits))
        return d;
    return (struct decision){waits, false, RULE_VERSION};
}

static void plan_record(const struct apply *a, struct plan *p, const struct key *key,
                        const struct value *left, const struct value *right, const struct decision *d,
                        struct arena *arena)
{
    struct conflict_record *r = &p->conflicts[p->nconflicts++];
    enum conflict_met met = a->is_resync           ? MET_RESYNC
                            : a->from == SIDE_LEFT ? MET_LEFT_TO_RIGHT
                                                   : MET_RIGHT_TO_LEFT;

    decide_record(a->link, key, left, right, met, d, arena, r);
    r->id = link_sync_next_conflict(a->sync);
}

static void plan_make(const struct apply *a, struct plan *p, const struct key *keys, size_t nkeys,
                      const struct value *const *const rows[2], const struct reconcile_reason *reason,
                      struct arena *arena)
{
    memset(p, 0, sizeof *p);
    p->markers = arena_alloc(arena, nkeys * sizeof *p->markers);
    p->conflicts = arena_alloc(arena, nkeys * sizeof *p->conflicts);
    p->source = a->from;
    for (int s = 0; s < 2; s++)
        p->writes[s] = arena_alloc(arena, nkeys * sizeof *p->writes[s]);
    assert(rows[SIDE_LEFT] != NULL && rows[SIDE_RIGHT] != NULL);
    for (size_t i = 0; i < nkeys; i++) {
        const struct value *left = rows[SIDE_LEFT][i], *right = rows[SIDE_RIGHT][i];

        p->markers[i] = (struct marker){link_sync_next_id(a->sync), keys[i], keys[i]};
        if (decide_same(a->link, left, right)) {
            p->equal++;
            continue;
        }
        struct decision d = decide(a, &keys[i], reason, left, right);
        enum side loser = side_peer(d.winner);

        p->source = d.winner;
        p->writes[loser][p->nwrites[loser]++] = (struct row_write){keys[i], rows[loser][i],
                                                                   rows[d.winner][i]};
        if (d.conflict)
            plan_record(a, p, &keys[i], left, right, &d, arena);
    }
}

static void count_decided(const struct apply *a, const struct plan *p)
{
    stat_count *const counts[] = {
        [RULE_VERSION] = &a->stats->conflicts_version,
        [RULE_UPDATED_AT] = &a->stats->conflicts_updated_at,
        [RULE_AUTHORITY] = &a->stats->conflicts_authority,
        [RULE_DELETE] = &a->stats->conflicts_delete,
        [RULE_FORCE] = &a->stats->conflicts_force,
    };

    for (size_t i = 0; i < p->nconflicts; i++) {
        ++*counts[p->conflicts[i].rule];
        conflicts_add(link_sync_conflicts(a->sync), &p->conflicts[i], clock_wall());
    }
    a->stats->conflicts_equal += p->equal;
}

static bool lock_both(struct apply *a, const struct key *keys, size_t nkeys, const struct value **rows[2],
                      struct arena *arena, struct err *err)
{
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        rows[s] = arena_zalloc(arena, nkeys * sizeof *rows[s]);
        if (!a->stores[s]->ops->lock(a->stores[s], keys, nkeys, rows[s], arena, err))
            return err_prefix(err, "lock %s row", side_name(s));
    }
    return true;
}

/* Parked, because the keys may exchange UNIQUE values among themselves. */
static void plan_park(const struct apply *a, struct plan *p, struct arena *arena)
{
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        p->nwrites[s] = park_writes(a->link, s, p->writes[s], p->nwrites[s], arena, &p->writes[s]);
}

static bool write_both(struct apply *a, const struct plan *p, const struct key *keys, size_t nkeys,
                       const uint64_t *drop, size_t ndrop, struct arena *arena, struct err *err)
{
    struct key *release = arena_alloc(arena, nkeys * sizeof *release);
    struct conflict_record *lost = arena_alloc(arena, (p->nconflicts + 1) * sizeof *lost);
    size_t nrelease = 0;

    for (size_t i = 0; i < nkeys; i++)
        if (link_sync_is_quarantined(a->sync, &keys[i]))
            release[nrelease++] = keys[i];
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        size_t nlost = 0;

        for (size_t i = 0; i < p->nconflicts; i++)
            if (p->conflicts[i].winner != s)
                lost[nlost++] = p->conflicts[i];
        struct store_write w = {
            .markers = p->markers,
            .nmarkers = nkeys,
            .drop_markers = drop,
            .ndrop_markers = ndrop,
            .rows = p->writes[s],
            .nrows = p->nwrites[s],
            .release = release,
            .nrelease = nrelease,
            .conflicts = lost,
            .nconflicts = nlost,
        };
        if (!a->stores[s]->ops->write(a->stores[s], &w, err)) {
            return err_prefix(err, "reconcile: write %s row", side_name(s));
        }
    }
    return true;
}

/* From the first commit on the link is in doubt until the second has answered. */
static bool commit_both(struct apply *a, const struct marker *markers, size_t nmarkers, struct err *err)
{
    for (size_t i = 0; i < nmarkers; i++)
        for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
            link_sync_announce(a->sync, s, &markers[i].from, markers[i].id);
    link_sync_set_in_doubt(a->sync, true);
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (!a->stores[s]->ops->commit(a->stores[s], err)) {
            err->kind = ERR_RETRY; /* whatever it says: only recovery can tell what happened */
            return err_prefix(err, "reconcile: commit %s side", side_name(s));
        }
    link_sync_set_in_doubt(a->sync, false);
    return true;
}

void reconcile_rollback(struct apply *a)
{
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        a->stores[s]->ops->rollback(a->stores[s]);
}

/* With both gates held and nothing in doubt but the halves named by drop. ERR_ROW: one of
 * the rows is refused, nothing was changed; *ret_source is the side it came from, if it was one key. */
static bool reconcile_at_once(struct apply *a, const struct key *keys, size_t nkeys,
                              const struct reconcile_reason *reason, const uint64_t *drop, size_t ndrop,
                              enum side *ret_source, struct err *err)
{
    struct arena arena;
    const struct value **rows[2] = {NULL, NULL};
    struct plan plan;
    size_t decided;
    bool ok = false;

    arena_init(&arena);
    *ret_source = a->from;
    if (!lock_both(a, keys, nkeys, rows, &arena, err))
        goto out;
    plan_make(a, &plan, keys, nkeys, (const struct value *const *const *)rows, reason, &arena);
    *ret_source = plan.source;
    decided = plan.nwrites[SIDE_LEFT] + plan.nwrites[SIDE_RIGHT]; /* parking adds to them */
    if (nkeys > 1)
        plan_park(a, &plan, &arena);
    if (!write_both(a, &plan, keys, nkeys, drop, ndrop, &arena, err))
        goto out;
    ok = commit_both(a, plan.markers, nkeys, err);
    if (ok) {
        count_decided(a, &plan);
        a->reconciled += decided;
        for (size_t i = 0; i < nkeys; i++)
            quarantine_release(link_sync_quarantine(a->sync), &keys[i]);
    }
out:
    if (!ok)
        reconcile_rollback(a);
    arena_done(&arena);
    return ok;
}

/* ---- Quarantine ---- */

/* The promise to reconcile the key later, on both sides. Either row
 * alone would do; after a crash the union of both counts. It comes with a marker, as
 * a reconcile does: what stands before it is covered by the promise; and where it
 * replaces a half, the half's id stays the lower one. Were the half just dropped, its id would be
 * known to nobody after a crash, though it stands in a log, and could be given again. */
bool reconcile_quarantine(struct apply *a, const struct key *key, enum side source, const struct err *why,
                          const uint64_t *drop, size_t ndrop, struct err *err)
{
    struct quarantine *q = link_sync_quarantine(a->sync);
    struct quarantine_entry entry = {.key = *key, .source = source, .code = why->code, .why = why->text};
    struct marker marker = {link_sync_next_id(a->sync), *key, *key};
    struct store_write w = {
        .markers = &marker,
        .nmarkers = 1,
        .drop_markers = drop,
        .ndrop_markers = ndrop,
        .quarantine = &entry,
        .nquarantine = 1,
    };
    bool ok = true;

    if (a->link->max_quarantined > 0 && quarantine_count(q) >= a->link->max_quarantined &&
        !quarantine_has(q, key))
        return err_set(
            err, ERR_HALT, why->code,
            "%zu keys wait in quarantine already (limits.quarantine_keys), and one more is refused: %s",
            quarantine_count(q), why->text);
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT && ok; s++)
        ok = a->stores[s]->ops->lock(a->stores[s], NULL, 0, NULL, NULL, err) &&
             a->stores[s]->ops->write(a->stores[s], &w, err);
    if (!ok || !commit_both(a, &marker, 1, err)) {
        reconcile_rollback(a);
        return err_prefix(err, "quarantine a key");
    }
    if (a->on_refused != NULL)
        a->on_refused(a->on_refused_arg, key, why);
    quarantine_refused(q, &entry, clock_wall());
    a->refused++;
    return true;
}

/* One by one: what is refused waits in quarantine. With both gates held. */
static bool reconcile_each(struct apply *a, const struct key *keys, size_t nkeys,
                           const struct reconcile_reason *reason, const uint64_t *drop, struct err *err)
{
    for (size_t i = 0; i < nkeys; i++) {
        const uint64_t *half = drop != NULL ? &drop[i] : NULL;
        struct err why = ERR_INIT;
        enum side source;

        if (reconcile_at_once(a, &keys[i], 1, reason, half, half != NULL, &source, &why))
            continue;
        if (why.kind != ERR_ROW) {
            *err = why;
            return false;
        }
        /* That one waits already need not be written again, but for whose row it does. */
        if (half == NULL && quarantine_waits_for(link_sync_quarantine(a->sync), &keys[i], source)) {
            struct quarantine_entry e = {.key = keys[i], .source = source, .code = why.code, .why = why.text};

            quarantine_refused(link_sync_quarantine(a->sync), &e, clock_wall());
            continue;
        }
        if (!reconcile_quarantine(a, &keys[i], source, &why, half, half != NULL, err))
            return false;
    }
    return true;
}

/* ---- Rule 7 ---- */

static bool has_marker(const struct store_state *state, uint64_t id)
{
    size_t low = 0, high = state->nmarkers;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (state->markers[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < state->nmarkers && state->markers[low].id == id;
}

/* The halves, oldest first; arrays in the arena. A marker that both checkpoints
 * have passed was whole: its twin may have been purged already. */
static size_t find_halves(const struct store_state state[2], uint64_t passed_by_both, struct arena *arena,
                          struct key **ret_keys, uint64_t **ret_ids)
{
    size_t max = state[0].nmarkers + state[1].nmarkers, n = 0;
    struct key *keys = arena_alloc(arena, (max + 1) * sizeof *keys);
    uint64_t *ids = arena_alloc(arena, (max + 1) * sizeof *ids);

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        for (size_t i = 0; i < state[s].nmarkers; i++) {
            const struct marker *m = &state[s].markers[i];

            if (m->id > passed_by_both && !has_marker(&state[side_peer(s)], m->id)) {
                keys[n] = m->from;
                ids[n++] = m->id;
            }
        }
    *ret_keys = keys;
    *ret_ids = ids;
    return n;
}

static bool load_both(struct apply *a, struct store_state state[2], struct arena *arena, struct err *err)
{
    bool ok = true;

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT && ok; s++)
        if (!a->stores[s]->ops->load(a->stores[s], &state[s], arena, err))
            ok = err_prefix(err, "read control tables of the %s side", side_name(s));
    reconcile_rollback(a);
    return ok;
}

/* The first checkpoint of the direction that reads `from`: where its log ends now.
 * With both gates held no marker is on its way: all lie before it. */
static bool begin_direction(struct apply *a, enum side from, struct store_state *peer_state, struct err *err)
{
    struct store *source = a->stores[from], *peer = a->stores[side_peer(from)];
    /* Whatever a lane has said before does not count any more. */
    struct checkpoint first = {POS_INIT, 0, link_sync_next_id(a->sync), peer_state->last_batch + 1};
    struct store_write w = {.checkpoint = &first};
    bool ok = source->ops->position(source, &first.pos, err) &&
              peer->ops->lock(peer, NULL, 0, NULL, NULL, err) && peer->ops->write(peer, &w, err) &&
              peer->ops->commit(peer, err);

    if (!ok) {
        peer->ops->rollback(peer);
        pos_done(&first.pos);
        return err_prefix(err, "first checkpoint of %s", direction_name(from));
    }
    peer_state->has_checkpoint = true;
    peer_state->checkpoint.rows_done = 0;
    peer_state->checkpoint.marker = first.marker;
    peer_state->checkpoint.batch = first.batch;
    pos_move(&peer_state->checkpoint.pos, &first.pos);
    return true;
}

static void take_state(struct apply *a, bool reopened, const struct store_state state[2])
{
    for (int from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
        uint64_t stored = state[side_peer(from)].checkpoint.marker;

        link_sync_set_stored(a->sync, from, stored);
        if ((reopened && from == (int)a->from) || !link_sync_is_live(a->sync, from))
            link_sync_set_passed(a->sync, from, stored);
        link_sync_rebuild(a->sync, from, state[from].markers, state[from].nmarkers);
    }
    quarantine_clear(link_sync_quarantine(a->sync));
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        for (size_t i = 0; i < state[s].nquarantined; i++)
            quarantine_restore(link_sync_quarantine(a->sync), &state[s].quarantined[i], clock_wall());
    quarantine_set_loaded(link_sync_quarantine(a->sync));
    if (reopened) {
        link_sync_set_live(a->sync, a->from);
        a->stored.rows_done = state[side_peer(a->from)].checkpoint.rows_done;
        a->stored.marker = state[side_peer(a->from)].checkpoint.marker;
        a->stored.batch = state[side_peer(a->from)].checkpoint.batch;
        pos_copy(&a->stored.pos, &state[side_peer(a->from)].checkpoint.pos);
        a->ahead.nlanes = state[side_peer(a->from)].ahead.nlanes;
        a->ahead.done = state[side_peer(a->from)].ahead.done;
        a->ahead.rows_done = state[side_peer(a->from)].ahead.rows_done;
        pos_copy(&a->ahead.pos, &state[side_peer(a->from)].ahead.pos);
    }
}

bool reconcile_recover(struct apply *a, bool reopened, bool *ret_begun, struct err *err)
{
    struct store_state state[2] = {0};
    struct arena arena;
    struct key *keys;
    uint64_t *ids;
    bool ok = false;

    arena_init(&arena);
    *ret_begun = false;
    if (!load_both(a, state, &arena, err))
        goto out;
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        link_sync_saw_id(a->sync, state[s].checkpoint.marker);
        link_sync_saw_conflict(a->sync, state[s].last_conflict);
        for (size_t i = 0; i < state[s].nmarkers; i++)
            link_sync_saw_id(a->sync, state[s].markers[i].id);
    }
#ifdef BREAK_FORGET_MARKERS /* the simulation checks that it finds this */
    state[SIDE_LEFT].nmarkers = state[SIDE_RIGHT].nmarkers = 0;
#endif
    for (int from = SIDE_LEFT; from <= SIDE_RIGHT; from++) {
        if (state[side_peer(from)].has_checkpoint)
            continue;
        if (a->on_begin != NULL &&
            !a->on_begin(a->on_begin_arg, a, from, JOB_FIRST_START, "",
                         state[SIDE_LEFT].has_resync ? &state[SIDE_LEFT].resync : NULL, err))
            goto out;
        if (!begin_direction(a, from, &state[side_peer(from)], err))
            goto out;
        *ret_begun = true;
    }
    /* The first look of this process: a resync that a crash cut off was told whose conflicts these are. */
    if (!link_sync_is_live(a->sync, SIDE_LEFT) && !link_sync_is_live(a->sync, SIDE_RIGHT) &&
        state[SIDE_LEFT].has_resync && state[SIDE_LEFT].resync.job.state == JOB_RUNNING)
        link_sync_set_order(a->sync, &state[SIDE_LEFT].resync.job.order);
    take_state(a, reopened, state);
    uint64_t passed[2] = {link_sync_stored(a->sync, SIDE_LEFT), link_sync_stored(a->sync, SIDE_RIGHT)};
    size_t nhalves = find_halves(state, passed[0] < passed[1] ? passed[0] : passed[1], &arena, &keys, &ids);

    ok = reconcile_each(a, keys, nhalves, &(struct reconcile_reason){.why = RECONCILE_RETRY}, ids, err);
    if (ok)
        link_sync_set_in_doubt(a->sync, false);
out:
    store_state_done(&state[SIDE_LEFT]);
    store_state_done(&state[SIDE_RIGHT]);
    arena_done(&arena);
    return ok;
}

bool reconcile_begin_again(struct apply *a, enum job_cause cause, const char *why, struct err *err)
{
    struct store_state peer_state = {.last_batch = a->stored.batch};
    enum side from = a->from;

    if (!reconcile_enter(a, GATE_BOTH, err))
        return false;
    bool ok = (a->on_begin == NULL || a->on_begin(a->on_begin_arg, a, from, cause, why, NULL, err)) &&
              begin_direction(a, from, &peer_state, err);

    if (ok) {
        link_sync_set_stored(a->sync, from, peer_state.checkpoint.marker);
        link_sync_set_passed(a->sync, from, peer_state.checkpoint.marker);
        link_sync_rebuild(a->sync, from, NULL, 0);
        a->stored.rows_done = 0;
        a->stored.marker = peer_state.checkpoint.marker;
        a->stored.batch = peer_state.checkpoint.batch;
        a->ahead.nlanes = 0;
        pos_move(&a->stored.pos, &peer_state.checkpoint.pos);
    }
    link_sync_leave(a->sync, GATE_BOTH);
    return ok;
}

bool reconcile_enter(struct apply *a, unsigned gates, struct err *err)
{
    for (;;) {
        bool begun;

        if (!link_sync_enter(a->sync, gates, a->stop, err))
            return false;
        if (!link_sync_in_doubt(a->sync))
            return true;
        if (gates == GATE_BOTH) {
            if (reconcile_recover(a, false, &begun, err))
                return true;
            link_sync_leave(a->sync, gates);
            return false;
        }
        link_sync_leave(a->sync, gates);
        if (!reconcile_enter(a, GATE_BOTH, err))
            return false;
        link_sync_leave(a->sync, GATE_BOTH);
    }
}

/* ---- Rule 4 ---- */

/* The other direction may have reconciled some of them while we waited for the gates. */
static size_t leave_out_superseded(const struct apply *a, const struct key *keys, size_t nkeys,
                                   uint64_t passed, struct key *ret_keys)
{
    size_t n = 0;

    for (size_t i = 0; i < nkeys; i++)
        if (!link_sync_superseded(a->sync, a->from, &keys[i], passed))
            ret_keys[n++] = keys[i];
    return n;
}

/* With both gates held, at most KEYS_AT_ONCE. */
static bool reconcile_some(struct apply *a, const struct key *keys, size_t nkeys,
                           const struct reconcile_reason *reason, struct err *err)
{
    enum side source;

    if (nkeys > 1) {
        if (reconcile_at_once(a, keys, nkeys, reason, NULL, 0, &source, err))
            return true;
        if (err->kind != ERR_ROW && err->kind != ERR_BUSY)
            return false;
        /* One key that is refused or locked for long must not hold up the others. */
    }
    return reconcile_each(a, keys, nkeys, reason, NULL, err);
}

bool reconcile_keys(struct apply *a, const struct key *keys, size_t nkeys, uint64_t passed,
                    const struct reconcile_reason *reason, struct err *err)
{
    /* Keys of other bytes may be one row, which must not be decided twice in one go. */
    size_t at_once = a->link->loose_keys ? 1 : KEYS_AT_ONCE;

    while (nkeys > 0) {
        size_t n = nkeys < at_once ? nkeys : at_once;
        struct key left[KEYS_AT_ONCE];

        if (!reconcile_enter(a, GATE_BOTH, err))
            return false;
        bool ok = reconcile_some(a, left, leave_out_superseded(a, keys, n, passed, left), reason, err);

        link_sync_leave(a->sync, GATE_BOTH);
        if (!ok)
            return false;
        keys += n;
        nkeys -= n;
    }
    return true;
}
