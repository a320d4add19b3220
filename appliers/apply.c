/*
 * apply.c - one batch of one direction.
 *
 * A batch is decided in memory, under the gate of the peer's side:
 *
 *   1. Changes that a marker supersedes are dropped (rule 5). No marker can be
 *      announced while the gate is held.
 *   2. The rows of all other keys are locked in one go.
 *   3. Each change, in order, meets the row as the changes before it left it: equal to
 *      its before image, the after image takes its place; else the key is in conflict.
 *   4. No conflict: checkpoint and rows are written and committed. With a conflict
 *      nothing is written: the keys are reconciled, which makes their changes in
 *      this batch superseded, and the batch starts again.
 *
 * Folding: of several changes of one key only the outcome is written, deletes
 * first, so that a UNIQUE value that moves from one row to another is free when
 * it arrives. Where that is not enough, a refused batch runs again unfolded, statement
 * by statement as the application did it; and then with the UNIQUE values parked
 * (park.h), for rows that exchange them in one statement, or where the source has no
 * such index. What is still refused is that row's own trouble: it is reconciled, or
 * goes into quarantine.
 */
#include "appliers/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/park.h"
#include "appliers/reconcile.h"
#include "cdc/base/mem.h"

void apply_init(struct apply *a, const struct link *link, enum side from, struct link_sync *sync,
                struct store *left, struct store *right, struct stop *stop, struct direction_stats *stats)
{
    *a = (struct apply){
        .link = link,
        .from = from,
        .sync = sync,
        .stores = {left, right},
        .stop = stop,
        .stats = stats,
        .stored = {POS_INIT, 0, 0},
    };
}

void apply_done(struct apply *a) { pos_done(&a->stored.pos); }

bool apply_open(struct apply *a, bool *ret_begun, struct err *err)
{
    if (!link_sync_enter(a->sync, GATE_BOTH, a->stop, err))
        return false;
    link_sync_set_open(a->sync, a->from, false); /* until the feed is opened anew: apply_is_open() */
    bool ok = reconcile_recover(a, true, ret_begun, err);

    a->purged = 0;
    link_sync_leave(a->sync, GATE_BOTH);
    return ok;
}

bool apply_begin_again(struct apply *a, enum job_cause cause, const char *why, struct err *err)
{
    a->purged = 0;
    return reconcile_begin_again(a, cause, why, err);
}

bool apply_gap(struct apply *a, const char *why, struct err *err)
{
    if (!reconcile_enter(a, GATE_BOTH, err))
        return false;
    bool ok = a->on_gap == NULL || a->on_gap(a->on_gap_arg, a, a->from, why, err);

    link_sync_leave(a->sync, GATE_BOTH);
    return ok;
}

void apply_is_open(struct apply *a) { link_sync_set_open(a->sync, a->from, true); }

/* With a gate held: after an error whose outcome is not known, nobody can say what is still to be applied. */
static void note_doubt(struct apply *a, const struct err *err)
{
    if (err->kind == ERR_RETRY)
        link_sync_set_open(a->sync, a->from, false);
}

/* ---- A batch ---- */

struct batch_key {
    struct key key;
    const struct value *locked; /* as the lock found it; NULL: absent */
    const struct value *row;    /* as the changes so far have made it */
    size_t last;                /* the change that touched it last */
    bool conflict;
};

struct batch_change {
    const struct change *change;
    size_t key; /* index into keys */
};

struct batch {
    struct apply *a;
    struct tx *const *txs;
    size_t ntxs;
    struct arena arena;
    struct batch_change *changes; /* those that count, in order */
    size_t nchanges;
    struct batch_key *keys;
    size_t nkeys;
    size_t *slots; /* hash table: index into keys + 1 */
    size_t nslots;
    size_t superseded;
    uint64_t passed; /* the last marker at the end of the batch */
    struct row_write *writes;
    size_t nwrites;
    uint64_t inserts, updates, deletes;
};

/* Keys that were refused while this call ran: their changes are passed over. */
struct refused {
    struct key *keys; /* their bytes live in the arena */
    size_t count;
    struct arena arena;
};

static bool is_refused(const struct refused *r, const struct key *k)
{
    for (size_t i = 0; i < r->count; i++)
        if (key_equal(&r->keys[i], k))
            return true;
    return false;
}

static size_t batch_key_index(struct batch *b, const struct key *k)
{
    size_t mask = b->nslots - 1, i = key_hash(k) & mask;

    while (b->slots[i] != 0) {
        if (key_equal(&b->keys[b->slots[i] - 1].key, k))
            return b->slots[i] - 1;
        i = (i + 1) & mask;
    }
    b->keys[b->nkeys] = (struct batch_key){.key = *k};
    b->slots[i] = ++b->nkeys;
    return b->nkeys - 1;
}

static void batch_begin(struct batch *b, struct apply *a, struct tx *const *txs, size_t ntxs)
{
    size_t n = 0;

    *b = (struct batch){.a = a, .txs = txs, .ntxs = ntxs};
    arena_init(&b->arena);
    for (size_t i = 0; i < ntxs; i++)
        n += txs[i]->nchanges;
    b->nslots = 16;
    while (b->nslots < n * 2)
        b->nslots *= 2;
    b->slots = arena_zalloc(&b->arena, b->nslots * sizeof *b->slots);
    b->keys = arena_alloc(&b->arena, (n + 1) * sizeof *b->keys);
    b->changes = arena_alloc(&b->arena, (n + 1) * sizeof *b->changes);
    b->writes = arena_alloc(&b->arena, (n + 1) * sizeof *b->writes);
}

/* Must this key be reconciled whatever its row is? One in quarantine; and where keys of other bytes may be
 * the same row, one whose change stands before some marker: that marker may be its own row's. */
static bool must_reconcile(const struct batch *b, const struct key *k, bool quarantined)
{
    const struct apply *a = b->a;

    return quarantined || (a->link->loose_keys && link_sync_maybe_superseded(a->sync, a->from, k, b->passed));
}

/* Step 1. A key in quarantine is passed over if it was refused a moment ago. */
static void batch_collect(struct batch *b, const struct refused *refused)
{
    struct link_sync *sync = b->a->sync;

    b->passed = link_sync_passed(sync, b->a->from);
    for (size_t t = 0; t < b->ntxs; t++) {
        const struct tx *tx = b->txs[t];

        for (size_t i = 0; i < tx->nchanges; i++) {
            const struct change *c = &tx->changes[i];

            if (link_sync_superseded(sync, b->a->from, &c->key, b->passed)) {
                b->superseded++;
                continue;
            }
            bool quarantined = link_sync_is_quarantined(sync, &c->key);

            if (quarantined && is_refused(refused, &c->key))
                continue;
            size_t k = batch_key_index(b, &c->key);

            b->keys[k].conflict |= must_reconcile(b, &c->key, quarantined);
            b->changes[b->nchanges++] = (struct batch_change){c, k};
        }
        if (tx->marker > b->passed)
            b->passed = tx->marker;
    }
}

/* Step 2. */
static bool batch_lock(struct batch *b, struct err *err)
{
    struct store *peer = b->a->stores[side_peer(b->a->from)];
    struct key *keys = arena_alloc(&b->arena, b->nkeys * sizeof *keys);
    const struct value **rows = arena_zalloc(&b->arena, b->nkeys * sizeof *rows);

    for (size_t i = 0; i < b->nkeys; i++)
        keys[i] = b->keys[i].key;
    if (!peer->ops->lock(peer, keys, b->nkeys, rows, &b->arena, err))
        return err_prefix(err, "lock rows");
    for (size_t i = 0; i < b->nkeys; i++)
        b->keys[i].locked = b->keys[i].row = rows[i];
    return true;
}

static bool meets(const struct link *link, const struct change *c, const struct value *row)
{
    if (c->incomplete)
        return false;
    if (c->before == NULL || row == NULL)
        return c->before == row;
    return row_equal(link, c->before, row);
}

static void batch_add_write(struct batch *b, size_t change, const struct value *before,
                            const struct value *after)
{
    const struct batch_key *k = &b->keys[b->changes[change].key];

    b->inserts += before == NULL;
    b->deletes += after == NULL;
    b->updates += before != NULL && after != NULL;
    b->writes[b->nwrites++] = (struct row_write){k->key, before, after};
}

enum write_mode { WRITE_FOLDED, WRITE_UNFOLDED, WRITE_PARKED };

/* Step 3; true if there is no conflict. Unfolded, each change is a write of its own. */
static bool batch_decide(struct batch *b, enum write_mode mode)
{
    const struct link *link = b->a->link;
    bool clean = true;

    for (size_t i = 0; i < b->nchanges; i++) {
        const struct change *c = b->changes[i].change;
        struct batch_key *k = &b->keys[b->changes[i].key];

        if (k->conflict)
            continue;
#ifdef BREAK_ABSENT_DELETE_DONE /* the simulation checks that it finds this */
        if (c->after == NULL && k->row == NULL)
            continue;
#endif
        if (!meets(link, c, k->row)) {
            k->conflict = true;
            continue;
        }
        if (mode == WRITE_UNFOLDED)
            batch_add_write(b, i, k->row, c->after);
        k->row = c->after;
        k->last = i;
    }
    for (size_t i = 0; i < b->nkeys; i++)
        clean &= !b->keys[i].conflict;
    return clean;
}

/* The outcome of each key, deletes first, the rest in the order of their last changes. */
static void batch_fold(struct batch *b)
{
    for (int deletes = 1; deletes >= 0; deletes--)
        for (size_t i = 0; i < b->nchanges; i++) {
            const struct batch_key *k = &b->keys[b->changes[i].key];

            if (k->last != i || (k->row == NULL) != (deletes != 0) || k->row == k->locked)
                continue;
            if (k->locked != NULL && k->row != NULL && row_equal(b->a->link, k->locked, k->row))
                continue;
            batch_add_write(b, i, k->locked, k->row);
        }
}

/* Markers that both directions' stored checkpoints have passed are of no use any more. */
static uint64_t purge_limit(struct apply *a)
{
    uint64_t left = link_sync_stored(a->sync, SIDE_LEFT), right = link_sync_stored(a->sync, SIDE_RIGHT);
    uint64_t limit = left < right ? left : right;

    return limit > a->purged ? limit : 0;
}

/* Takes over cp->pos. */
static bool write_checkpoint(struct apply *a, struct checkpoint *cp, const struct row_write *rows,
                             size_t nrows, bool any_order, struct err *err)
{
    struct store *peer = a->stores[side_peer(a->from)];
    uint64_t purge = purge_limit(a);
    struct store_write w = {.checkpoint = cp,
                            .rows = rows,
                            .nrows = nrows,
                            .any_order = any_order,
                            .purge_markers = purge,
                            .commit = true};

    if (!peer->ops->write(peer, &w, err))
        return false;
    if (purge > 0)
        a->purged = purge;
    pos_move(&a->stored.pos, &cp->pos);
    a->stored.rows_done = cp->rows_done;
    a->stored.marker = cp->marker;
    link_sync_set_stored(a->sync, a->from, cp->marker);
    return true;
}

/* Step 4. */
static bool batch_write(struct batch *b, bool any_order, struct err *err)
{
    const struct tx *last = b->txs[b->ntxs - 1];
    struct checkpoint cp = {POS_INIT, last->rows_done, b->passed};

    pos_copy(&cp.pos, &last->pos);
    bool ok = write_checkpoint(b->a, &cp, b->writes, b->nwrites, any_order, err);

    pos_done(&cp.pos);
    return ok;
}

static void batch_count(const struct batch *b)
{
    struct direction_stats *stats = b->a->stats;

    stats->inserts += b->inserts;
    stats->updates += b->updates;
    stats->deletes += b->deletes;
    stats->superseded += b->superseded;
    stats->batches++;
    for (size_t i = 0; i < b->ntxs; i++)
        stats->transactions += b->txs[i]->rows_done == 0 && !b->txs[i]->echo;
}

enum batch_result {
    BATCH_DONE,
    BATCH_CONFLICT, /* b->keys[].conflict says which */
    BATCH_REFUSED,  /* err->index is an index into b->writes, or unknown */
    BATCH_FAILED,
};

/* With the gate of the peer held. */
static enum batch_result batch_run(struct batch *b, const struct refused *refused, enum write_mode mode,
                                   struct err *err)
{
    struct apply *a = b->a;
    struct store *peer = a->stores[side_peer(a->from)];

    batch_collect(b, refused);
    if (b->nkeys > 0) {
        if (!batch_lock(b, err)) {
            peer->ops->rollback(peer);
            return BATCH_FAILED;
        }
        if (!batch_decide(b, mode)) {
            peer->ops->rollback(peer);
            return BATCH_CONFLICT;
        }
        if (mode != WRITE_UNFOLDED)
            batch_fold(b);
        if (mode == WRITE_PARKED)
            b->nwrites = park_writes(a->link, side_peer(a->from), b->writes, b->nwrites, &b->arena,
                                     &b->writes);
        /* Nothing to write: the position alone is stored later, with something that counts. */
        if (b->nwrites > 0 && !batch_write(b, mode == WRITE_FOLDED, err)) {
            peer->ops->rollback(peer);
            return err->kind == ERR_ROW ? BATCH_REFUSED : BATCH_FAILED;
        }
        if (b->nwrites == 0)
            peer->ops->rollback(peer);
    }
    for (size_t i = 0; i < b->ntxs; i++)
        b->txs[i]->applied = true;
    link_sync_set_passed(a->sync, a->from, b->passed);
    link_sync_prune(a->sync, a->from);
    batch_count(b);
    return BATCH_DONE;
}

/* Reconciles and remembers which keys were refused. passed: by the end of the batch. */
static bool settle_keys(struct apply *a, const struct key *keys, size_t nkeys, uint64_t passed,
                        enum reconcile_why why, struct refused *r, struct err *err)
{
    if (!reconcile_keys(a, keys, nkeys, passed, why, err))
        return false;
    if (!reconcile_enter(a, gate_of(side_peer(a->from)), err))
        return false;
    r->keys = mem_realloc(r->keys, (r->count + nkeys) * sizeof *r->keys);
    for (size_t i = 0; i < nkeys; i++)
        if (link_sync_is_quarantined(a->sync, &keys[i]))
            r->keys[r->count++] = (struct key){arena_copy(&r->arena, keys[i].data, keys[i].len), keys[i].len};
    link_sync_leave(a->sync, gate_of(side_peer(a->from)));
    return true;
}

static bool settle_conflicts(struct batch *b, struct refused *r, struct err *err)
{
    struct key *keys = arena_alloc(&b->arena, b->nkeys * sizeof *keys);
    size_t n = 0;

    for (size_t i = 0; i < b->nkeys; i++)
        if (b->keys[i].conflict)
            keys[n++] = b->keys[i].key;
    return settle_keys(b->a, keys, n, b->passed, RECONCILE_CONFLICT, r, err);
}

bool apply_txs(struct apply *a, struct tx *const *txs, size_t ntxs, struct err *err)
{
    struct refused refused = {NULL, 0, {0}};
    enum write_mode mode = WRITE_FOLDED;
    bool ok = false, again = true;

    arena_init(&refused.arena);
    while (again) {
        struct batch b;

        if (!reconcile_enter(a, gate_of(side_peer(a->from)), err))
            break;
        batch_begin(&b, a, txs, ntxs);
        enum batch_result result = batch_run(&b, &refused, mode, err);

        if (result == BATCH_FAILED)
            note_doubt(a, err);
        link_sync_leave(a->sync, gate_of(side_peer(a->from)));
        switch (result) {
        case BATCH_DONE:
            ok = true;
            again = false;
            break;
        case BATCH_CONFLICT: again = settle_conflicts(&b, &refused, err); break;
        case BATCH_REFUSED:
            if (mode != WRITE_PARKED)
                mode++;
            else if (err->index < b.nwrites)
                again = settle_keys(a, &b.writes[err->index].key, 1, b.passed, RECONCILE_REFUSED, &refused,
                                    err);
            else
                again = err_set(err, ERR_HALT, err->code, "a row was refused, but not which: %s", err->text);
            break;
        case BATCH_FAILED: again = false; break;
        }
        arena_done(&b.arena);
    }
    free(refused.keys);
    arena_done(&refused.arena);
    return ok;
}

/* anyway: even what is stored already, for the sake of the write. */
static bool store_position(struct apply *a, const struct pos *pos, bool anyway, struct err *err)
{
    struct store *peer = a->stores[side_peer(a->from)];
    struct checkpoint cp = {POS_INIT, 0, 0};
    bool ok = true;

    if (!reconcile_enter(a, gate_of(side_peer(a->from)), err))
        return false;
    cp.marker = link_sync_passed(a->sync, a->from);
    if (anyway || cp.marker != a->stored.marker || a->stored.rows_done != 0 ||
        !pos_equal(pos, &a->stored.pos)) {
        pos_copy(&cp.pos, pos);
        ok = peer->ops->lock(peer, NULL, 0, NULL, NULL, err) && write_checkpoint(a, &cp, NULL, 0, false, err);
        if (!ok)
            peer->ops->rollback(peer);
        pos_done(&cp.pos);
    }
    link_sync_leave(a->sync, gate_of(side_peer(a->from)));
    return ok;
}

bool apply_skip_to(struct apply *a, const struct pos *pos, struct err *err)
{
    return store_position(a, pos, false, err);
}

bool apply_store_again(struct apply *a, const struct pos *pos, struct err *err)
{
    return store_position(a, pos, true, err);
}
