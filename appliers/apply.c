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
 * What a batch inserts is not locked: the INSERT does that, and where it meets a row, the batch runs again with all its
 * keys locked. Where it is deleted again, nothing is written, and so nothing is looked at.
 *
 * Folding: of several changes of one key only the outcome is written, deletes
 * first, so that a UNIQUE value that moves from one row to another is free when
 * it arrives. Where that is not enough, a refused batch runs again unfolded, statement
 * by statement as the application did it; and then with the UNIQUE values parked
 * (park.h), for rows that exchange them in one statement, or where the source has no
 * such index. What a large transaction exchanges may lie in different parts of it: where a later part gives up the
 * value that a row of this one wants, the batch is made longer up to there. What is still refused is that row's own
 * trouble: it is reconciled, or goes into quarantine.
 *
 * Lanes: a large batch is shared out by key among several connections, each of which does steps 2 to 4 for its
 * keys at the same time; lane 0 commits last, and the checkpoint with it. Rows of one key stay in
 * order, for they are of one lane; where rows of two lanes share a UNIQUE value, the batch is not shared out. When a
 * lane cannot go on (a conflict, a row that is refused, a lock), the others commit what they have, which
 * `ahead` then tells, and what is left is written as any other batch: its changes of keys whose lane is ahead are
 * passed over. After a crash the control tables say the same. A change may not be written twice: the peer may have
 * taken the row back to what it was before meanwhile.
 */
#include "appliers/apply.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/park.h"
#include "appliers/reconcile.h"
#include "cdc/base/hash.h"
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
        .stored = {POS_INIT, 0, 0, 0},
        .ahead = {.pos = POS_INIT},
    };
}

void apply_done(struct apply *a)
{
    pos_done(&a->stored.pos);
    pos_done(&a->ahead.pos);
}

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

/* Where lanes are ahead, what looks pending may be done: a resync has to wait until the checkpoint gets there. */
void apply_is_open(struct apply *a) { link_sync_set_open(a->sync, a->from, a->ahead.nlanes == 0); }

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
    size_t lane;
    bool inserted; /* its first change says that there was no row */
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
    bool clean; /* so far: no key that must be reconciled */
    size_t superseded;
    struct key *waiting; /* in quarantine for this side's row, which has changed once more */
    size_t nwaiting;
    uint64_t passed; /* the last marker at the end of the batch */
};

enum batch_result {
    BATCH_DONE,
    BATCH_CONFLICT, /* keys[].conflict says which */
    BATCH_REFUSED,  /* err.index is an index into writes, or unknown */
    BATCH_FAILED,
};

/* What one connection does of a batch. */
struct part {
    struct batch *batch;
    struct store *peer;
    size_t lane, nlanes; /* nlanes 0: it does all of it */
    struct arena arena;
    struct row_write *writes;
    size_t nwrites;
    uint64_t inserts, updates, deletes;
    bool written; /* and commits what it has written, or has */
    enum batch_result result;
    struct err err;
};

/* How the rows of a batch are locked and written: each way more careful than the one before it. */
enum write_mode { WRITE_FOLDED, WRITE_LOCKED, WRITE_UNFOLDED, WRITE_PARKED };

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

static size_t batch_key_index(struct batch *b, const struct change *c)
{
    size_t mask = b->nslots - 1, i = key_hash(&c->key) & mask;

    while (b->slots[i] != 0) {
        if (key_equal(&b->keys[b->slots[i] - 1].key, &c->key))
            return b->slots[i] - 1;
        i = (i + 1) & mask;
    }
    b->keys[b->nkeys] = (struct batch_key){.key = c->key, .inserted = c->before == NULL && !c->incomplete};
    b->slots[i] = ++b->nkeys;
    return b->nkeys - 1;
}

static void batch_begin(struct batch *b, struct apply *a, struct tx *const *txs, size_t ntxs)
{
    size_t n = 0;

    *b = (struct batch){.a = a, .txs = txs, .ntxs = ntxs, .clean = true};
    arena_init(&b->arena);
    for (size_t i = 0; i < ntxs; i++)
        n += txs[i]->nchanges;
    b->nslots = 16;
    while (b->nslots < n * 2)
        b->nslots *= 2;
    b->slots = arena_zalloc(&b->arena, b->nslots * sizeof *b->slots);
    b->keys = arena_alloc(&b->arena, (n + 1) * sizeof *b->keys);
    b->changes = arena_alloc(&b->arena, (n + 1) * sizeof *b->changes);
}

/* Must this key be reconciled whatever its row is? One in quarantine; and where keys of other bytes may be
 * the same row, one whose change stands before some marker: that marker may be its own row's. */
static bool must_reconcile(const struct batch *b, const struct key *k, bool quarantined)
{
    const struct apply *a = b->a;

    return quarantined || (a->link->loose_keys && link_sync_maybe_superseded(a->sync, a->from, k, b->passed));
}

/* ---- What lanes have done already ---- */

/* Has all been applied up to where lanes are ahead, once a checkpoint says this? */
static bool reaches(const struct lanes_ahead *ahead, const struct pos *pos, uint64_t rows_done)
{
    return pos_equal(pos, &ahead->pos) ? rows_done >= ahead->rows_done : pos_covers(pos, &ahead->pos);
}

/* Up to which of its row images lies a transaction, or a part of one, before the place where lanes are ahead? `inside`:
 * it is the first whose end lies behind that place. */
static uint64_t rows_ahead(const struct lanes_ahead *ahead, const struct tx *tx, bool inside)
{
    if (ahead->nlanes == 0)
        return 0;
    bool same = pos_equal(&ahead->pos, &tx->pos), covered = same || pos_covers(&ahead->pos, &tx->pos);

    if (tx->rows_done > 0 && same) /* then pos is its beginning */
        return ahead->rows_done;
    if (covered)
        return UINT64_MAX;
    return inside && tx->rows_done == 0 ? ahead->rows_done : 0;
}

#ifdef BREAK_ONE_POSITION /* the simulation checks that it finds this */
static bool is_done_by_lane(const struct lanes_ahead *ahead, const struct change *c, uint64_t rows)
{
    (void)ahead;
    (void)c;
    (void)rows;
    return false;
}
#else
static bool is_done_by_lane(const struct lanes_ahead *ahead, const struct change *c, uint64_t rows)
{
    return c->row_no <= rows && (ahead->done >> lane_of(&c->key, ahead->nlanes) & 1) != 0;
}
#endif

/* ---- Step 1 ---- */

/* What the side whose row waits in quarantine writes once more is passed over: the key is tried again behind it, where it
 * is known whether the peer has written meanwhile (resync.h). */
static void pass_over(struct batch *b, const struct key *k)
{
    size_t n = 0;

    for (size_t i = 0; i < b->ntxs && b->waiting == NULL; i++)
        n += b->txs[i]->nchanges;
    if (b->waiting == NULL)
        b->waiting = arena_alloc(&b->arena, n * sizeof *b->waiting);
    b->waiting[b->nwaiting++] = *k;
}

/* A key in quarantine is passed over likewise if it was refused a moment ago. */
static void collect_tx(struct batch *b, const struct tx *tx, uint64_t ahead, const struct refused *refused)
{
    struct apply *a = b->a;

    for (size_t i = 0; i < tx->nchanges; i++) {
        const struct change *c = &tx->changes[i];

        if (ahead > 0 && is_done_by_lane(&a->ahead, c, ahead))
            continue;
        if (link_sync_superseded(a->sync, a->from, &c->key, b->passed)) {
            b->superseded++;
            continue;
        }
        enum side waits;
        bool quarantined = quarantine_source(link_sync_quarantine(a->sync), &c->key, &waits);

        if (quarantined && is_refused(refused, &c->key))
            continue;
        if (quarantined && waits == a->from) {
            pass_over(b, &c->key);
            continue;
        }
        size_t k = batch_key_index(b, c);

        if (must_reconcile(b, &c->key, quarantined)) {
            b->keys[k].conflict = true;
            b->clean = false;
        }
        b->changes[b->nchanges++] = (struct batch_change){c, k};
    }
}

static void batch_collect(struct batch *b, const struct refused *refused)
{
    struct apply *a = b->a;
    bool inside = true;

    b->passed = link_sync_passed(a->sync, a->from);
    for (size_t t = 0; t < b->ntxs; t++) {
        const struct tx *tx = b->txs[t];
        uint64_t ahead = rows_ahead(&a->ahead, tx, inside);

        collect_tx(b, tx, ahead, refused);
        inside = inside && (tx->rows_done > 0 || ahead == UINT64_MAX);
        if (tx->marker > b->passed)
            b->passed = tx->marker;
    }
}

/* ---- Steps 2 to 4, for the keys of a part ---- */

static bool is_of(const struct part *p, const struct batch_key *k)
{
    return p->nlanes == 0 || k->lane == p->lane;
}

static bool part_lock(struct part *p, enum write_mode mode, struct err *err)
{
    struct batch *b = p->batch;
    struct key *keys = arena_alloc(&p->arena, (b->nkeys + 1) * sizeof *keys);
    size_t *indices = arena_alloc(&p->arena, (b->nkeys + 1) * sizeof *indices);
    const struct value **rows = arena_zalloc(&p->arena, (b->nkeys + 1) * sizeof *rows);
    size_t n = 0;

    for (size_t i = 0; i < b->nkeys; i++) {
        const struct batch_key *k = &b->keys[i];

        if (!is_of(p, k) || (mode == WRITE_FOLDED && k->inserted))
            continue;
        keys[n] = k->key;
        indices[n++] = i;
    }
    if (!p->peer->ops->lock(p->peer, keys, n, rows, &p->arena, err))
        return err_prefix(err, "lock rows");
    for (size_t i = 0; i < n; i++)
        b->keys[indices[i]].locked = b->keys[indices[i]].row = rows[i];
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

static void part_add_write(struct part *p, size_t change, const struct value *before,
                           const struct value *after)
{
    const struct batch *b = p->batch;

    p->inserts += before == NULL;
    p->deletes += after == NULL;
    p->updates += before != NULL && after != NULL;
    p->writes[p->nwrites++] = (struct row_write){b->keys[b->changes[change].key].key, before, after};
}

/* Step 3; true if there is no conflict. Unfolded, each change is a write of its own. */
static bool part_decide(struct part *p, enum write_mode mode)
{
    struct batch *b = p->batch;
    const struct link *link = b->a->link;
    bool clean = true;

    for (size_t i = 0; i < b->nchanges; i++) {
        const struct change *c = b->changes[i].change;
        struct batch_key *k = &b->keys[b->changes[i].key];

        if (!is_of(p, k) || k->conflict)
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
            part_add_write(p, i, k->row, c->after);
        k->row = c->after;
        k->last = i;
    }
    for (size_t i = 0; i < b->nkeys; i++)
        clean = clean && !(is_of(p, &b->keys[i]) && b->keys[i].conflict);
    return clean;
}

/* The outcome of each key, deletes first, the rest in the order of their last changes. */
static void part_fold(struct part *p)
{
    const struct batch *b = p->batch;

    for (int deletes = 1; deletes >= 0; deletes--)
        for (size_t i = 0; i < b->nchanges; i++) {
            const struct batch_key *k = &b->keys[b->changes[i].key];

            if (!is_of(p, k) || k->last != i || (k->row == NULL) != (deletes != 0) || k->row == k->locked)
                continue;
            if (k->locked != NULL && k->row != NULL && row_equal(b->a->link, k->locked, k->row))
                continue;
            part_add_write(p, i, k->locked, k->row);
        }
}

/* Markers that both directions' stored checkpoints have passed are of no use any more. */
static uint64_t purge_limit(struct apply *a)
{
    uint64_t left = link_sync_stored(a->sync, SIDE_LEFT), right = link_sync_stored(a->sync, SIDE_RIGHT);
    uint64_t limit = left < right ? left : right;

    return limit > a->purged ? limit : 0;
}

/* The checkpoint at the batch's end; pos is the caller's to free. */
static void batch_end(const struct batch *b, struct checkpoint *ret_cp)
{
    const struct tx *last = b->txs[b->ntxs - 1];

    *ret_cp = (struct checkpoint){POS_INIT, last->rows_done, b->passed, b->a->stored.batch};
    pos_copy(&ret_cp->pos, &last->pos);
}

/* It is committed. Takes over cp->pos. */
static void checkpoint_moved(struct apply *a, struct checkpoint *cp, uint64_t purged)
{
    if (purged > 0)
        a->purged = purged;
    if (a->ahead.nlanes > 0 && cp->batch != a->stored.batch) {
        a->ahead.nlanes = 0;
        apply_is_open(a);
    }
    pos_move(&a->stored.pos, &cp->pos);
    a->stored.rows_done = cp->rows_done;
    a->stored.marker = cp->marker;
    a->stored.batch = cp->batch;
    link_sync_set_stored(a->sync, a->from, cp->marker);
}

/* Where lanes are ahead, they are so until the checkpoint gets there. */
static uint64_t batch_number(const struct apply *a, const struct checkpoint *cp)
{
    bool ends = a->ahead.nlanes > 0 && reaches(&a->ahead, &cp->pos, cp->rows_done);

    return a->stored.batch + ends;
}

/* Writes and commits. Takes over cp->pos. */
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

    cp->batch = batch_number(a, cp);
    if (!peer->ops->write(peer, &w, err))
        return false;
    checkpoint_moved(a, cp, purge);
    return true;
}

/* Step 4, all of the batch by one connection. */
static bool batch_write(struct part *p, bool any_order, struct err *err)
{
    struct checkpoint cp;

    batch_end(p->batch, &cp);
    bool ok = write_checkpoint(p->batch->a, &cp, p->writes, p->nwrites, any_order, err);

    pos_done(&cp.pos);
    return ok;
}

/* Step 4, by a lane: it commits, but for lane 0, which waits for the others. */
static bool lane_write(struct part *p, struct err *err)
{
    struct apply *a = p->batch->a;
    struct checkpoint cp;
    struct store_write w = {.checkpoint = &cp,
                            .nlanes = p->lane > 0 ? p->nlanes : 0,
                            .rows = p->writes,
                            .nrows = p->nwrites,
                            .any_order = true,
                            .purge_markers = p->lane > 0 ? 0 : purge_limit(a),
                            .commit = p->lane > 0};

    batch_end(p->batch, &cp);
    cp.batch += p->lane == 0;
    bool ok = p->peer->ops->write(p->peer, &w, err);

    pos_done(&cp.pos);
    return ok;
}

static enum batch_result part_do(struct part *p, enum write_mode mode, struct err *err)
{
    struct batch *b = p->batch;

    if (!part_lock(p, mode, err))
        return BATCH_FAILED;
    if (!part_decide(p, mode))
        return BATCH_CONFLICT;
    if (mode != WRITE_UNFOLDED)
        part_fold(p);
    if (mode == WRITE_PARKED)
        p->nwrites = park_writes(b->a->link, side_peer(b->a->from), p->writes, p->nwrites, &p->arena,
                                 &p->writes);
    /* Nothing to write: the position alone is stored later, with something that counts; but not where it says how
     * far lanes are ahead, or lies behind what was passed over: read once more, that would meet a row that has left the
     * quarantine meanwhile, and look like a conflict. */
    p->written = p->nwrites > 0 || (p->nlanes > 0 ? p->lane == 0 : b->a->ahead.nlanes > 0 || b->nwaiting > 0);
    if (p->written && !(p->nlanes > 0 ? lane_write(p, err) : batch_write(p, mode <= WRITE_LOCKED, err)))
        return err->kind == ERR_ROW ? BATCH_REFUSED : BATCH_FAILED;
    return BATCH_DONE;
}

static void part_run(struct part *p, enum write_mode mode)
{
    arena_init(&p->arena);
    p->writes = arena_alloc(&p->arena, (p->batch->nchanges + 1) * sizeof *p->writes);
    p->err = (struct err)ERR_INIT;
    p->result = part_do(p, mode, &p->err);
    if (p->result != BATCH_DONE || !p->written)
        p->peer->ops->rollback(p->peer);
}

static void count_part(const struct part *p)
{
    struct direction_stats *stats = p->batch->a->stats;

    stats->inserts += p->inserts;
    stats->updates += p->updates;
    stats->deletes += p->deletes;
}

/* ---- Lanes ---- */

/* A UNIQUE value that rows of the batch have or had. */
struct shared_value {
    uint64_t hash; /* 0: free slot */
    size_t lane;
};

/* True if a key of another lane has it too. */
static bool share_value(struct shared_value *slots, size_t nslots, uint64_t hash, size_t lane)
{
    hash += hash == 0;
    for (size_t i = hash & (nslots - 1);; i = (i + 1) & (nslots - 1)) {
        if (slots[i].hash == 0)
            slots[i] = (struct shared_value){hash, lane};
        if (slots[i].hash == hash)
            return slots[i].lane != lane;
    }
}

static bool share_values(const struct value *row, const size_t *fields, size_t nfields,
                         struct shared_value *slots, size_t nslots, size_t lane)
{
    for (size_t i = 0; row != NULL && i < nfields; i++) {
        const struct value *v = &row[fields[i]];
        uint64_t hash = hash_fnv1a(HASH_FNV1A ^ fields[i], v->data, v->state == VALUE_SET ? v->len : 0);

        if (v->state == VALUE_SET && share_value(slots, nslots, hash ^ hash >> 29, lane))
            return true;
    }
    return false;
}

/* Do keys of different lanes have values that a UNIQUE index of the peer (not that of the key) may hold against each other?
 * Quick, and not sure: values that a collation takes for one are not seen. Then the server refuses a row, and the batch is
 * written by one connection. */
static bool shares_values(struct batch *b)
{
    const struct link *link = b->a->link;
    size_t *fields = arena_alloc(&b->arena, (link->nfields + 1) * sizeof *fields), nfields = 0, nslots = 16;

    for (size_t i = 0; i < link->nfields; i++) {
        bool is_key = false;

        for (size_t k = 0; k < link->nkey; k++)
            is_key = is_key || link->key[k] == i;
        if (link->fields[i].column[side_peer(b->a->from)]->in_unique && !is_key)
            fields[nfields++] = i;
    }
    while (nslots < 4 * nfields * b->nchanges + 1)
        nslots *= 2;
    struct shared_value *slots = arena_zalloc(&b->arena, nslots * sizeof *slots);

    for (size_t i = 0; i < b->nchanges && nfields > 0; i++) {
        const struct change *c = b->changes[i].change;
        size_t lane = b->keys[b->changes[i].key].lane;

        if (share_values(c->before, fields, nfields, slots, nslots, lane) ||
            share_values(c->after, fields, nfields, slots, nslots, lane))
            return true;
    }
    return false;
}

/* Shares out the keys; false where that is of no use, or may not be. */
static bool share_out(struct batch *b)
{
    const struct apply *a = b->a;

    if (a->lanes.count < 2 || b->nchanges <= a->lanes_min || !b->clean || a->ahead.nlanes > 0 ||
        a->link->loose_keys)
        return false;
    for (size_t i = 0; i < b->nkeys; i++)
        b->keys[i].lane = lane_of(&b->keys[i].key, a->lanes.count);
    return !shares_values(b);
}

static void run_lane(void *arg, size_t lane) { part_run((struct part *)arg + lane, WRITE_FOLDED); }

/* The lanes that have committed are ahead now. */
static void note_ahead(struct batch *b, const struct part *parts, size_t n)
{
    struct apply *a = b->a;
    struct checkpoint end;

    a->ahead.nlanes = 0;
    a->ahead.done = 0;
    for (size_t i = 1; i < n; i++)
        if (parts[i].result == BATCH_DONE && parts[i].written)
            a->ahead.done |= UINT64_C(1) << i;
    if (a->ahead.done == 0)
        return;
    batch_end(b, &end);
    a->ahead.nlanes = n;
    a->ahead.rows_done = end.rows_done;
    pos_move(&a->ahead.pos, &end.pos);
    apply_is_open(a); /* it is not */
}

/* Lane 0 commits if all the others have. */
static bool lanes_finish(struct batch *b, const struct part *parts, size_t n, struct err *err)
{
    struct apply *a = b->a;
    struct store *peer = a->lanes.stores[0];
    uint64_t purge = purge_limit(a);
    struct checkpoint end;
    bool all = true;

    for (size_t i = 0; i < n; i++)
        all = all && parts[i].result == BATCH_DONE;
    if (!all) {
        peer->ops->rollback(peer);
        return false;
    }
    if (!peer->ops->commit(peer, err))
        return false;
    batch_end(b, &end);
    end.batch++;
    checkpoint_moved(a, &end, purge);
    pos_done(&end.pos);
    for (size_t i = 0; i < n; i++)
        count_part(&parts[i]);
    return true;
}

/* True if the batch is done. If not, all that can be said is in a->ahead, and ERR_NONE says that the rest
 * may be written by one connection. */
static bool run_in_lanes(struct batch *b, struct err *err)
{
    struct apply *a = b->a;
    size_t n = a->lanes.count;
    struct part *parts = arena_zalloc(&b->arena, n * sizeof *parts);

    for (size_t i = 0; i < n; i++) {
        parts[i].batch = b;
        parts[i].peer = a->lanes.stores[i];
        parts[i].lane = i;
        parts[i].nlanes = n;
    }
    a->lanes.run(a->lanes.arg, run_lane, parts);
    bool done = lanes_finish(b, parts, n, err);

    /* One whose outcome is not known counts for more than whatever the others say. */
    for (size_t i = 0; i < n && !done && err->kind != ERR_RETRY; i++)
        if (parts[i].result == BATCH_FAILED && parts[i].err.kind != ERR_BUSY &&
            (err->kind == ERR_NONE || parts[i].err.kind == ERR_RETRY))
            *err = parts[i].err;
    if (!done && err->kind == ERR_RETRY)
        link_sync_set_in_doubt(
            a->sync,
            true); /* a lane's commit may be on its way: its row is locked then, not the checkpoint's */
    else if (!done)
        note_ahead(b, parts, n);
    a->lanes_failed += !done;
    for (size_t i = 0; i < n; i++)
        arena_done(&parts[i].arena);
    return done;
}

/* ---- The whole of it ---- */

/* All that is in the batch is applied. */
static void batch_done(struct batch *b)
{
    struct apply *a = b->a;

    for (size_t i = 0; i < b->ntxs; i++)
        b->txs[i]->applied = true;
    link_sync_set_passed(a->sync, a->from, b->passed);
    link_sync_prune(a->sync, a->from);
    for (size_t i = 0; i < b->nwaiting; i++)
        quarantine_changed(link_sync_quarantine(a->sync), &b->waiting[i]);
    a->stats->superseded += b->superseded;
    a->stats->batches++;
    for (size_t i = 0; i < b->ntxs; i++)
        a->stats->transactions += b->txs[i]->rows_done == 0 && !b->txs[i]->echo;
}

/* With the gate of the peer held. The part's arena is the caller's to free. */
static void batch_run(struct batch *b, const struct refused *refused, enum write_mode mode,
                      struct part *ret_part)
{
    struct apply *a = b->a;

    *ret_part = (struct part){.batch = b, .peer = a->stores[side_peer(a->from)], .err = ERR_INIT};
    batch_collect(b, refused);
    if (mode == WRITE_FOLDED && share_out(b)) {
        if (run_in_lanes(b, &ret_part->err)) {
            batch_done(b);
            return;
        }
        if (ret_part->err.kind != ERR_NONE) {
            ret_part->result = BATCH_FAILED;
            return;
        }
        arena_done(&b->arena);
        batch_begin(b, a, b->txs, b->ntxs);
        batch_collect(b, refused);
        mode = WRITE_LOCKED;
    }
    if (b->nkeys > 0 || b->nwaiting > 0 || a->ahead.nlanes > 0)
        part_run(ret_part, mode);
    if (ret_part->result != BATCH_DONE)
        return;
    count_part(ret_part);
    batch_done(b);
}

/* Reconciles and remembers which keys were refused. passed: by the end of the batch. */
static bool settle_keys(struct apply *a, const struct key *keys, size_t nkeys, uint64_t passed,
                        const struct reconcile_reason *reason, struct refused *r, struct err *err)
{
    if (!reconcile_keys(a, keys, nkeys, passed, reason, err))
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
    const struct reconcile_reason conflict = {.why = RECONCILE_CONFLICT};
    struct key *keys = arena_alloc(&b->arena, b->nkeys * sizeof *keys);
    size_t n = 0;

    for (size_t i = 0; i < b->nkeys; i++)
        if (b->keys[i].conflict)
            keys[n++] = b->keys[i].key;
    return settle_keys(b->a, keys, n, b->passed, &conflict, r, err);
}

/* Does the transaction give up a UNIQUE value that the row wants? By its bytes: what only a collation takes for the same is
 * not seen. */
static bool gives_up(const struct link *link, enum side peer, const struct tx *tx, const struct value *wanted)
{
    for (size_t f = 0; f < link->nfields; f++) {
        if (!link->fields[f].column[peer]->in_unique || wanted[f].state != VALUE_SET)
            continue;
        for (size_t i = 0; i < tx->nchanges; i++) {
            const struct change *c = &tx->changes[i];

            if (c->before != NULL && value_equal(&c->before[f], &wanted[f]) &&
                (c->after == NULL || !value_equal(&c->after[f], &wanted[f])))
                return true;
        }
    }
    return false;
}

/* Takes in parts of the transaction that the batch ends in, up to one that gives up what the refused row wants. */
static bool make_longer(const struct part *p, struct tx *const **txs, size_t *ntxs)
{
    const struct apply *a = p->batch->a;
    size_t n = *ntxs;

    if (a->next_part == NULL || !quarantine_is_duplicate(p->err.code) || p->err.index >= p->nwrites)
        return false;
    const struct value *wanted = p->writes[p->err.index].after;

    while (wanted != NULL && (*txs)[n - 1]->rows_done > 0 && a->next_part(a->next_part_arg, n, txs)) {
        if (gives_up(a->link, side_peer(a->from), (*txs)[n++], wanted)) {
            *ntxs = n;
            return true;
        }
    }
    return false;
}

/* Refused, whatever was tried: that row's own trouble. All rows were locked. */
static bool settle_refused(const struct part *p, struct refused *r, struct err *err)
{
    const struct batch *b = p->batch;
    struct reconcile_reason refused = {.why = RECONCILE_REFUSED};

    if (p->err.index >= p->nwrites)
        return err_set(err, ERR_HALT, p->err.code, "a row was refused, but not which: %s", p->err.text);
    const struct key *key = &p->writes[p->err.index].key;

    for (size_t i = 0; i < b->nkeys; i++)
        if (key_equal(&b->keys[i].key, key))
            refused.met = b->keys[i].locked;
    return settle_keys(b->a, key, 1, b->passed, &refused, r, err);
}

/* An insert that was not locked before has met a row. */
static bool has_met_row(const struct part *p, enum write_mode mode)
{
    return mode == WRITE_FOLDED && p->err.kind == ERR_BUSY && p->err.index != SIZE_MAX;
}

bool apply_txs(struct apply *a, struct tx *const *txs, size_t *ntxs, struct err *err)
{
    struct refused refused = {NULL, 0, {0}};
    enum write_mode mode = WRITE_FOLDED;
    bool ok = false, again = true;

    arena_init(&refused.arena);
    while (again) {
        struct batch b;
        struct part p;

        if (!reconcile_enter(a, gate_of(side_peer(a->from)), err))
            break;
        batch_begin(&b, a, txs, *ntxs);
        batch_run(&b, &refused, mode, &p);
        if (p.result == BATCH_FAILED)
            note_doubt(a, &p.err);
        link_sync_leave(a->sync, gate_of(side_peer(a->from)));
        switch (p.result) {
        case BATCH_DONE:
            ok = true;
            again = false;
            break;
        case BATCH_CONFLICT: again = settle_conflicts(&b, &refused, err); break;
        case BATCH_REFUSED:
            if (mode != WRITE_PARKED)
                mode = mode == WRITE_FOLDED ? WRITE_UNFOLDED : mode + 1;
            else if (!make_longer(&p, &txs, ntxs))
                again = settle_refused(&p, &refused, err);
            break;
        case BATCH_FAILED:
            again = has_met_row(&p, mode);
            if (again)
                mode = WRITE_LOCKED;
            else
                *err = p.err;
            break;
        }
        arena_done(&p.arena);
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
    struct checkpoint cp = {POS_INIT, 0, 0, 0};
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
