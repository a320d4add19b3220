/*
 * resync.c - until both sides share a state for every key.
 *
 * The streams keep two rows equal that once were equal: each log is then a chain of
 * changes from a shared state. Rows that were never equal (what was there before
 * twinlog, a lost position, a write past the binary log) have no such state, and then
 * streams alone may even cross over: left 1, right 2, the left writes 1>2 and the
 * right 2>1, and each change finds its before. So equal rows prove nothing as
 * long as changes are pending, and a resync has to find, for each key, a moment
 * at which the two rows and the pending changes show a shared state:
 *
 *   - nothing is pending in either log, and the rows are equal; or
 *   - changes are pending in one log alone, the first begins at the row that the peer
 *     has, each one begins where the one before it ended, and the last ends at the row that
 *     its own side has. They are on their way,
 *     and are left to the stream. So a row that was deleted a moment ago does not
 *     come back, and a resync never takes for a conflict what is none. (A gap in the chain is an
 *     echo: the other side had a say meanwhile, and the same row twice proves nothing.)
 *
 * What does not show it is settled under locks, left first:
 *
 *   - nothing is pending, and the rows differ: they have drifted apart, nobody wrote
 *     lately, the order decides. No marker is needed, for in neither log is there
 *     anything left to supersede; and each key is written on one side only, so a crash
 *     between the two commits leaves nothing in halves;
 *   - anything else is reconciled (rule 4), with markers, even where the rows are equal.
 *
 * The scan. "Pending" is known when both gates are held, so that no direction applies
 * anything, and both readers have read on to where the logs ended after the rows
 * were read: then everything that ever was written to these rows is applied, superseded
 * or pending. That needs no row lock: a row that changes while we read has a pending
 * change. A key that no side has is not in the range, but may have pending changes, and which
 * keys lie in the range only the servers know. So the rows of pending keys that are not in the
 * chunk are read by their keys: one that a side has, and that side's pending changes never
 * deleted or inserted, was there all the time and would have been in the range, so it lies elsewhere.
 * Any other one may lie here, and is settled; once, for from then on its rows share a state. (Else each chunk would
 * settle what is pending beside it, and a walk beside busy applications would hardly get on.)
 *
 * Quarantine. What waits there is a change that was passed over, so it is not pending; its side keeps its
 * say as long as the peer has not written the key, which is just what is known here.
 *
 * Rows that one side refuses: the keys are tried again with UNIQUE values parked, then in
 * halves, down to the one that is to blame, which goes into quarantine.
 */
#include "appliers/resync.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"
#include "appliers/park.h"
#include "appliers/reconcile.h"
#include "cdc/base/mem.h"

void resync_init(struct resync *r, const struct link *link, struct link_sync *sync, struct store *left,
                 struct store *right, struct stop *stop, struct direction_stats *stats,
                 const struct resync_streams *streams)
{
    *r = (struct resync){.streams = streams, .ends = {POS_INIT, POS_INIT}};
    apply_init(&r->apply, link, SIDE_LEFT, sync, left, right, stop, stats);
    r->apply.is_resync = true;
    keyset_init(&r->settled);
}

void resync_done(struct resync *r)
{
    apply_done(&r->apply);
    keyset_clear(&r->settled);
    pos_done(&r->ends[SIDE_LEFT]);
    pos_done(&r->ends[SIDE_RIGHT]);
}

bool resync_begin(struct resync *r, const struct job_order *order, struct err *err)
{
    r->order = *order;
    r->walks = true;
    keyset_clear(&r->settled);
    memset(&r->counts, 0, sizeof r->counts);
    if (!reconcile_enter(&r->apply, GATE_BOTH, err))
        return false;
    link_sync_set_order(r->apply.sync, order);
    link_sync_leave(r->apply.sync, GATE_BOTH);
    return true;
}

void resync_end(struct resync *r)
{
    r->walks = false;
    keyset_clear(&r->settled);
}

bool resync_store(struct store *left, const struct resync_state *state, struct err *err)
{
    struct store_write w = {.resync = state};
    bool ok = left->ops->lock(left, NULL, 0, NULL, NULL, err) && left->ops->write(left, &w, err) &&
              left->ops->commit(left, err);

    if (!ok)
        left->ops->rollback(left);
    return ok || err_prefix(err, "store the resync's progress");
}

/* ---- Looking at keys ---- */

/* What is pending of one key in one log. */
struct chain {
    bool any;
    bool meets_peer;          /* the first change begins at the peer's row */
    bool is_own;              /* the last one ends at its own side's row */
    bool has_gaps;            /* some change does not begin where the one before it ended */
    bool was_absent;          /* the key was absent at some point of it */
    const struct value *last; /* where the last one ended; good while pending changes are being visited */
};

enum { MAX_ADDED = 10000 };

enum verdict { SHARED, ON_ITS_WAY, DRIFTED, ALIKE, DOUBTFUL };

struct looked {
    struct key key;
    const struct value *row[2];
    struct chain chain[2]; /* by log */
    bool copied;           /* its row is being written by the scan */
    bool added;        /* nobody asked for it, but a change of it is pending; the rows are taken for absent */
    bool has[2];       /* added: the side has a row of it */
    bool doubtful;     /* a server may take a pending key for this one */
    struct key folded; /* of a link with loose keys; data NULL: not to be folded */
};

struct look {
    struct resync *r;
    struct arena arena;
    struct looked *keys;
    size_t nkeys, cap;
    size_t *slots; /* hash table: index into keys + 1; 0: free */
    size_t nslots; /* a power of two */
    bool adds;     /* pending keys that are not there are added */
    size_t nadded; /* so many, or more than can be */
    enum side log; /* whose pending changes are being visited */
    uint64_t passed;
};

static size_t *look_slot(const struct look *l, const struct key *k)
{
    for (size_t i = key_hash(k) & (l->nslots - 1);; i = (i + 1) & (l->nslots - 1))
        if (l->slots[i] == 0 || key_equal(&l->keys[l->slots[i] - 1].key, k))
            return &l->slots[i];
}

static void look_grow(struct look *l)
{
    struct looked *keys = arena_zalloc(&l->arena, 2 * l->cap * sizeof *keys);

    memcpy(keys, l->keys, l->nkeys * sizeof *keys);
    l->keys = keys;
    l->cap *= 2;
    l->nslots = 2 * l->cap;
    l->slots = arena_zalloc(&l->arena, l->nslots * sizeof *l->slots);
    for (size_t i = 0; i < l->nkeys; i++)
        *look_slot(l, &l->keys[i].key) = i + 1;
}

static void look_init(struct look *l, struct resync *r, size_t nkeys)
{
    *l = (struct look){.r = r, .cap = 8};
    while (l->cap < nkeys)
        l->cap *= 2;
    l->nslots = 2 * l->cap;
    arena_init(&l->arena);
    l->keys = arena_zalloc(&l->arena, l->cap * sizeof *l->keys);
    l->slots = arena_zalloc(&l->arena, l->nslots * sizeof *l->slots);
}

/* The key's bytes stay the caller's. */
static struct looked *look_add(struct look *l, const struct key *k, const struct value *left,
                               const struct value *right)
{
    if (l->nkeys == l->cap)
        look_grow(l);
    struct looked *k2 = &l->keys[l->nkeys];

    *look_slot(l, k) = ++l->nkeys;
    *k2 = (struct looked){.key = *k, .row = {left, right}};
    if (l->r->apply.link->loose_keys) {
        char *bytes = arena_alloc(&l->arena, k->len + 1);

        if (link_sync_fold_key(l->r->apply.link, k, bytes, &k2->folded.len))
            k2->folded.data = bytes;
    }
    return k2;
}

static enum verdict judge(const struct resync *r, const struct looked *k)
{
    const struct link *link = r->apply.link;
    const struct job_order *order = &r->order;

    const struct chain *left = &k->chain[SIDE_LEFT], *right = &k->chain[SIDE_RIGHT];

    if (left->any && right->any)
        return DOUBTFUL;
    if (k->doubtful)
        return ALIKE;
    if (!left->any && !right->any)
        return decide_same(link, k->row[SIDE_LEFT], k->row[SIDE_RIGHT]) ? SHARED : DRIFTED;
    const struct chain *c = left->any ? left : right;

    /* A forced side's rows win over what the other one wrote before, too. */
    if (order->force && left->any != (order->from == SIDE_LEFT))
        return DOUBTFUL;
    if (c->meets_peer && c->is_own && !c->has_gaps)
        return ON_ITS_WAY;
    /* Of a key in quarantine the stream passes over what its own side has written, and it is tried again then. */
    bool waits = quarantine_waits_for(link_sync_quarantine(r->apply.sync), &k->key,
                                      left->any ? SIDE_LEFT : SIDE_RIGHT);

    return waits ? ON_ITS_WAY : DOUBTFUL;
}

/* ---- Keys that a server may take for the same ---- */

static bool folds_alike(const struct key *a, const struct key *b)
{
    return a->data == NULL || b->data == NULL || key_equal(a, b);
}

static void doubt_alike(struct look *l, const struct key *k)
{
    char *bytes = mem_alloc(k->len + 1);
    struct key folded = {NULL, 0};

    if (link_sync_fold_key(l->r->apply.link, k, bytes, &folded.len))
        folded.data = bytes;
    assert(l->keys != NULL);
    for (size_t i = 0; i < l->nkeys; i++)
        if (folds_alike(&folded, &l->keys[i].folded) && !key_equal(&l->keys[i].key, k))
            l->keys[i].doubtful = true;
    free(bytes);
}

size_t resync_count_apart(const struct link *link, const struct key *keys, size_t nkeys)
{
    struct key *folded = mem_zalloc(nkeys + 1, sizeof *folded);
    size_t n = link->loose_keys ? 0 : nkeys;
    bool apart = true;

    while (n < nkeys && apart) {
        char *bytes = mem_alloc(keys[n].len + 1);

        folded[n].data = link_sync_fold_key(link, &keys[n], bytes, &folded[n].len) ? bytes : NULL;
        if (folded[n].data == NULL)
            free(bytes);
        for (size_t i = 0; i < n && apart; i++)
            apart = !folds_alike(&folded[i], &folded[n]);
        n += apart || n == 0;
        if (!apart)
            free((void *)folded[n].data);
    }
    for (size_t i = 0; i < n && link->loose_keys; i++)
        free((void *)folded[i].data);
    free(folded);
    return n;
}

/* ---- What is pending ---- */

static void note_change(struct look *l, const struct change *c)
{
    const struct link *link = l->r->apply.link;
    size_t slot = *look_slot(l, &c->key);
    struct looked *k = slot > 0 ? &l->keys[slot - 1] : NULL;

    if (k == NULL && l->adds && l->nadded++ < MAX_ADDED) {
        struct key copy = {arena_copy(&l->arena, c->key.data, c->key.len), c->key.len};

        k = look_add(l, &copy, NULL, NULL);
        k->added = true;
    }
    if (k != NULL) {
        struct chain *chain = &k->chain[l->log];

        if (!chain->any)
            chain->meets_peer = !c->incomplete && decide_same(link, c->before, k->row[side_peer(l->log)]);
        else
            chain->has_gaps |= c->incomplete || !decide_same(link, c->before, chain->last);
        chain->any = true;
        chain->last = c->after;
        chain->is_own = !c->incomplete && decide_same(link, c->after, k->row[l->log]);
        chain->was_absent |= c->before == NULL || c->after == NULL;
    }
    if (link->loose_keys)
        doubt_alike(l, &c->key);
}

static void note_tx(void *arg, const struct tx *tx)
{
    struct look *l = arg;

    for (size_t i = 0; i < tx->nchanges; i++)
        /* What a marker ahead supersedes will be dropped. */
        if (!link_sync_superseded(l->r->apply.sync, l->log, &tx->changes[i].key, l->passed))
            note_change(l, &tx->changes[i]);
    if (tx->marker > l->passed)
        l->passed = tx->marker;
}

static bool streams_are_known(const struct resync *r, struct err *err)
{
    for (enum side log = SIDE_LEFT; log <= SIDE_RIGHT; log++)
        if (!link_sync_is_open(r->apply.sync, log))
            return err_set(err, ERR_BUSY, 0, "%s is not streaming", direction_arrow(log));
    return true;
}

/* With both gates held, after the rows have been read. */
static bool find_pending(struct look *l, struct err *err)
{
    struct apply *a = &l->r->apply;
    const struct resync_streams *streams = l->r->streams;
    struct pos ends[2] = {POS_INIT, POS_INIT};
    bool ok = true;

    for (int side = SIDE_LEFT; side <= SIDE_RIGHT && ok; side++)
        ok = a->stores[side]->ops->log_end(a->stores[side], &ends[side], err);
    ok = ok && streams->read_on(streams->arg, ends, err);
    for (enum side log = SIDE_LEFT; log <= SIDE_RIGHT && ok; log++) {
        l->log = log;
        l->passed = link_sync_passed(a->sync, log);
#ifndef BREAK_RESYNC_IGNORES_PENDING /* the simulation checks that it finds this */
        streams->pending(streams->arg, log, note_tx, l);
#else
        (void)note_tx;
#endif
    }
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        if (ok)
            pos_move(&l->r->ends[side], &ends[side]);
        pos_done(&ends[side]);
    }
    return ok;
}

/* ---- Scan ---- */

/* Reads which sides have rows of the keys that were added. */
static bool read_added(struct look *l, struct err *err)
{
    struct apply *a = &l->r->apply;
    struct key *keys = arena_alloc(&l->arena, (l->nkeys + 1) * sizeof *keys);
    const struct value **rows = arena_alloc(&l->arena, (l->nkeys + 1) * sizeof *rows);
    size_t first = 0, n = 0;

    if (l->nadded > MAX_ADDED)
        return err_set(err, ERR_BUSY, 0, "more than %d changes are pending", MAX_ADDED);
    while (first < l->nkeys && !l->keys[first].added)
        first++;
    for (size_t i = first; i < l->nkeys; i++)
        keys[n++] = l->keys[i].key;
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT && n > 0; side++) {
        if (!a->stores[side]->ops->read(a->stores[side], keys, n, rows, &l->arena, err))
            return err_prefix(err, "read %s rows", side_name(side));
        for (size_t i = 0; i < n; i++)
            l->keys[first + i].has[side] = rows[i] != NULL;
    }
    return true;
}

static bool lies_elsewhere(const struct looked *k)
{
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        if (k->has[side] && k->chain[side].any && !k->chain[side].was_absent)
            return true;
    return false;
}

/* It was found to be pending, and need not be settled for this chunk's sake. */
static bool is_passed_over(const struct look *l, const struct looked *k)
{
    if (!k->added || k->doubtful)
        return false;
#ifdef BREAK_RESYNC_FORGETS_ADDED /* the simulation checks that it finds this */
    return true;
#endif
    return lies_elsewhere(k) || keyset_has(&l->r->settled, &k->key);
}

static void list_suspects(const struct look *l, struct key *ret_keys, size_t *ret_nkeys, struct arena *arena)
{
    size_t n = 0;

    for (size_t i = 0; i < l->nkeys; i++) {
        const struct looked *k = &l->keys[i];
        enum verdict v = judge(l->r, k);

        if (v == SHARED || v == ON_ITS_WAY || k->copied || is_passed_over(l, k))
            continue;
        ret_keys[n++] = (struct key){arena_copy(arena, k->key.data, k->key.len), k->key.len};
    }
    *ret_nkeys = n;
}

/* ---- Planning and writing ---- */

struct settle {
    struct resync *r;
    struct look look;
    struct row_write *writes[2];
    size_t nwrites[2];
    struct conflict_record *conflicts;
    size_t nconflicts;
    size_t put_off; /* keys */
};

static void plan_key(struct settle *s, const struct looked *k)
{
    struct resync *r = s->r;
    const struct link *link = r->apply.link;
    struct decision d = decide_drift(link, &r->order, k->row[SIDE_LEFT], k->row[SIDE_RIGHT]);
    enum side waiting;

    if (quarantine_source(link_sync_quarantine(r->apply.sync), &k->key, &waiting) &&
        !(r->order.force && k->row[r->order.from] != NULL))
        d = (struct decision){waiting, false, RULE_VERSION};
    enum side loser = side_peer(d.winner);

    r->source = d.winner;
    s->writes[loser][s->nwrites[loser]++] = (struct row_write){k->key, k->row[loser], k->row[d.winner]};
    if (!d.conflict)
        return;
    struct conflict_record *record = &s->conflicts[s->nconflicts++];

    decide_record(link, &k->key, k->row[SIDE_LEFT], k->row[SIDE_RIGHT], MET_RESYNC, &d, &s->look.arena,
                  record);
    record->id = link_sync_next_conflict(r->apply.sync);
}

/* Deletes, then updates, then inserts, so that a UNIQUE value that moves is free when it arrives. */
static void sort_writes(struct settle *s, enum side side)
{
    struct row_write *sorted = arena_alloc(&s->look.arena, (s->nwrites[side] + 1) * sizeof *sorted);
    size_t n = 0;

    for (int turn = 0; turn < 3; turn++)
        for (size_t i = 0; i < s->nwrites[side]; i++) {
            const struct row_write *w = &s->writes[side][i];
            int its = w->after == NULL ? 0 : w->before != NULL ? 1 : 2;

            if (its == turn)
                sorted[n++] = *w;
        }
    s->writes[side] = sorted;
}

/* The keys that are doubtful go to ret_doubtful. */
static size_t plan(struct settle *s, bool parked, struct key *ret_doubtful)
{
    const struct link *link = s->r->apply.link;
    const struct look *l = &s->look;
    size_t ndoubtful = 0;

    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        s->writes[side] = arena_alloc(&s->look.arena, (l->nkeys + 1) * sizeof *s->writes[side]);
    s->conflicts = arena_alloc(&s->look.arena, (l->nkeys + 1) * sizeof *s->conflicts);
    for (size_t i = 0; i < l->nkeys; i++)
        switch (judge(s->r, &l->keys[i])) {
        case SHARED:
        case ON_ITS_WAY: break; /* the streams make them equal */
        case DRIFTED: plan_key(s, &l->keys[i]); break;
        case ALIKE:
            s->put_off += s->r->patient;
            if (s->r->patient)
                break;
            __attribute__((fallthrough));
        case DOUBTFUL: ret_doubtful[ndoubtful++] = l->keys[i].key; break;
        }
    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        if (parked)
            s->nwrites[side] = park_writes(link, side, s->writes[side], s->nwrites[side], &s->look.arena,
                                           &s->writes[side]);
        else
            sort_writes(s, side);
    }
    return ndoubtful;
}

/* Those of these keys that wait in quarantine: they need not any more. */
static size_t list_released(const struct settle *s, struct key *ret_keys)
{
    const struct resync *r = s->r;
    size_t n = 0;

    for (size_t i = 0; i < s->look.nkeys; i++) {
        enum verdict v = judge(r, &s->look.keys[i]);

        if ((v == SHARED || v == DRIFTED) && link_sync_is_quarantined(r->apply.sync, &s->look.keys[i].key))
            ret_keys[n++] = s->look.keys[i].key;
    }
    return n;
}

static bool write_side(struct settle *s, enum side side, const struct key *release, size_t nrelease,
                       struct err *err)
{
    struct store *store = s->r->apply.stores[side];
    struct conflict_record *lost = arena_alloc(&s->look.arena, (s->nconflicts + 1) * sizeof *lost);
    size_t nlost = 0;

    for (size_t i = 0; i < s->nconflicts; i++)
        if (s->conflicts[i].winner != side)
            lost[nlost++] = s->conflicts[i];
    struct store_write w = {
        .touch = s->nwrites[side] > 0,
        .rows = s->writes[side],
        .nrows = s->nwrites[side],
        .release = release,
        .nrelease = nrelease,
        .conflicts = lost,
        .nconflicts = nlost,
    };

    return store->ops->write(store, &w, err) || err_prefix(err, "write %s rows", side_name(side));
}

static void count(const struct settle *s, const struct key *release, size_t nrelease)
{
    struct resync *r = s->r;
    struct link_sync *sync = r->apply.sync;

    for (size_t i = 0; i < s->look.nkeys; i++)
        r->counts.written += judge(r, &s->look.keys[i]) == DRIFTED;
    r->counts.conflicts += s->nconflicts;
    for (size_t i = 0; i < s->nconflicts; i++)
        conflicts_add(link_sync_conflicts(sync), &s->conflicts[i], clock_wall());
    for (size_t i = 0; i < nrelease; i++)
        quarantine_release(link_sync_quarantine(sync), &release[i]);
}

static bool write_both(struct settle *s, struct err *err)
{
    struct resync *r = s->r;
    struct key *release = arena_alloc(&s->look.arena, (s->look.nkeys + 1) * sizeof *release);
    size_t nrelease = list_released(s, release);

    if (s->nwrites[SIDE_LEFT] + s->nwrites[SIDE_RIGHT] + nrelease == 0) {
        reconcile_rollback(&r->apply);
        return true;
    }
    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        if (!write_side(s, side, release, nrelease, err))
            return false;
    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        if (!r->apply.stores[side]->ops->commit(r->apply.stores[side], err)) {
            err->kind =
                ERR_RETRY; /* whatever it says; each key is written on one side alone, so nothing is in halves */
            return err_prefix(err, "commit %s side", side_name(side));
        }
    count(s, release, nrelease);
    return true;
}

/* ---- A chunk ----
 *
 * Where one side lacks most of what the other one has, the scan itself writes, and a chunk takes each row from one server
 * to the other once:
 *
 *   1. The source's rows are read "exact": a read that waits for whoever has written and not committed them. A plain read
 *      may be older than the log: a server logs a change before its rows show it, and by then a stream may have applied
 *      it; what is older must not be copied. The source's rows need no lock afterwards: what is written to them later stands behind
 *      the end of the log that is taken in step 3, and begins at the row that was copied.
 *   2. The target's rows are locked and looked at, or inserted, which does both; they are written and not committed.
 *   3. Ends of both logs, the readers, what is pending, as in any scan. Only if each of these keys has drifted, with
 *      nothing pending, is that committed; else all of it is undone, and settled.
 */

/* Goes from source to target, as far as can be told from the rows alone. */
static bool is_to_copy(const struct resync *r, const struct looked *k, enum side target)
{
    enum side source = side_peer(target);

    return k->row[source] != NULL && !decide_same(r->apply.link, k->row[SIDE_LEFT], k->row[SIDE_RIGHT]) &&
           !link_sync_is_quarantined(r->apply.sync, &k->key) &&
           decide_drift(r->apply.link, &r->order, k->row[SIDE_LEFT], k->row[SIDE_RIGHT]).winner == source;
}

/* Those that the target has, as they are under the lock. */
static bool lock_present(struct settle *s, const struct walk_chunk *c, struct err *err)
{
    struct resync *r = s->r;
    struct look *l = &s->look;
    struct store *store = r->apply.stores[r->target];
    struct key *keys = arena_alloc(&l->arena, (c->npairs + 1) * sizeof *keys);
    const struct value **rows = arena_alloc(&l->arena, (c->npairs + 1) * sizeof *rows);
    size_t *at = arena_alloc(&l->arena, (c->npairs + 1) * sizeof *at), n = 0;

    for (size_t i = 0; i < c->npairs; i++)
        if (l->keys[i].copied && l->keys[i].row[r->target] != NULL) {
            keys[n] = l->keys[i].key;
            at[n++] = i;
        }
    if (!store->ops->lock(store, keys, n, rows, &l->arena, err))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct looked *k = &l->keys[at[i]];

        k->row[r->target] = rows[i];
        k->copied = is_to_copy(r, k, r->target);
    }
    return true;
}

static bool write_copies(struct settle *s, struct err *err)
{
    struct look *l = &s->look;

    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        s->writes[side] = arena_alloc(&l->arena, (l->nkeys + 1) * sizeof *s->writes[side]);
    s->conflicts = arena_alloc(&l->arena, (l->nkeys + 1) * sizeof *s->conflicts);
    for (size_t i = 0; i < l->nkeys; i++)
        if (l->keys[i].copied)
            plan_key(s, &l->keys[i]);
    sort_writes(s, s->r->target);
    return s->nwrites[s->r->target] == 0 || write_side(s, s->r->target, NULL, 0, err);
}

static void undo_copies(struct settle *s)
{
    s->r->copy_fails = true;
    s->nwrites[SIDE_LEFT] = s->nwrites[SIDE_RIGHT] = s->nconflicts = 0;
    for (size_t i = 0; i < s->look.nkeys; i++)
        s->look.keys[i].copied = false;
    reconcile_rollback(&s->r->apply);
}

/* Step 2. What is in the way is left to those who settle. */
static bool copy_rows(struct settle *s, const struct walk_chunk *c, size_t most, struct err *err)
{
    struct resync *r = s->r;
    size_t n = 0;

    if (!r->copies || r->apply.link->loose_keys)
        return true;
    for (size_t i = 0; i < c->npairs && n < most; i++)
        if (c->pairs[i].exact[side_peer(r->target)] && is_to_copy(r, &s->look.keys[i], r->target)) {
            s->look.keys[i].copied = true;
            n++;
        }
    if (n == 0 || (lock_present(s, c, err) && write_copies(s, err)))
        return true;
    undo_copies(s);
    if (err->kind != ERR_ROW && err->kind != ERR_BUSY)
        return false;
    err_clear(err);
    return true;
}

static bool have_drifted(const struct settle *s)
{
#ifdef BREAK_RESYNC_COPIES_PENDING /* the simulation checks that it finds this */
    return true;
#endif
    for (size_t i = 0; i < s->look.nkeys; i++)
        if (s->look.keys[i].copied && judge(s->r, &s->look.keys[i]) != DRIFTED)
            return false;
    return true;
}

static void count_copies(struct settle *s)
{
    struct resync *r = s->r;

    r->copied = s->nwrites[r->target];
    r->counts.written += r->copied;
    r->counts.conflicts += s->nconflicts;
}

/* Step 3, and how far the walk has come where that leaves nothing to settle. */
static bool commit_copies(struct settle *s, const struct walk_chunk *c, bool all, struct arena *arena,
                          struct err *err)
{
    struct resync *r = s->r;
    struct store *left = r->apply.stores[SIDE_LEFT], *target = r->apply.stores[r->target];
    const struct resync_counts before = r->counts;
    struct resync_state state;
    bool writes = s->nwrites[r->target] > 0;

    if (!writes)
        reconcile_rollback(&r->apply); /* rows may be locked that are not written after all */
    count_copies(s);
    bool stores = all && r->streams->progress != NULL &&
                  r->streams->progress(r->streams->arg, c, arena, &state),
         ok = true;

    if (stores && writes && r->target == SIDE_LEFT) {
        const struct store_write w = {.resync = &state};

        ok = left->ops->write(left, &w, err);
        r->stored = ok;
    }
    if (writes && ok && !target->ops->commit(target, err)) {
        err->kind =
            ERR_RETRY; /* whatever it says; each key is written on one side alone, so nothing is in halves */
        ok = err_prefix(err, "commit %s side", side_name(r->target));
    }
    if (!ok) {
        r->counts = before;
        r->copied = 0;
        r->stored = false;
        return false;
    }
    for (size_t i = 0; i < s->nconflicts; i++)
        conflicts_add(link_sync_conflicts(r->apply.sync), &s->conflicts[i], clock_wall());
    if (stores && !r->stored)
        r->stored = resync_store(left, &state, err);
    return !stores || r->stored;
}

/* For the caller to choose by. */
static void count_lacks(struct resync *r, const struct look *l, size_t npairs)
{
    r->lacks[SIDE_LEFT] = r->lacks[SIDE_RIGHT] = 0;
    for (size_t i = 0; i < npairs; i++)
        for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
            r->lacks[side] += is_to_copy(r, &l->keys[i], side);
}

static void read_ahead(const struct resync *r, const struct walk *w, const struct walk_chunk *c, size_t rows)
{
    struct walk_first next;

    if (r->streams->read_ahead != NULL && walk_next_first(w, c, rows, &next))
        r->streams->read_ahead(r->streams->arg, &next);
}

/* most: rows that are copied. */
static bool scan_rows(struct settle *s, const struct walk *w, size_t rows, size_t most,
                      const struct walk_chunk *c, struct key **ret_keys, size_t *ret_nkeys,
                      struct arena *arena, struct err *err)
{
    struct resync *r = s->r;
    struct look *l = &s->look;

    for (size_t i = 0; i < c->npairs; i++)
        look_add(l, &c->pairs[i].key, c->pairs[i].row[SIDE_LEFT], c->pairs[i].row[SIDE_RIGHT]);
    count_lacks(r, l, c->npairs);
    read_ahead(r, w, c, rows);
    if (!copy_rows(s, c, most, err))
        return false;
    l->adds = true;
    if (!find_pending(l, err) || !read_added(l, err))
        return false;
    if (s->nwrites[r->target] > 0 && !have_drifted(s))
        undo_copies(s);
    *ret_keys = arena_alloc(arena, (l->nkeys + 1) * sizeof **ret_keys);
    list_suspects(l, *ret_keys, ret_nkeys, arena);
    return commit_copies(s, c, *ret_nkeys == 0, arena, err);
}

static bool scan(struct resync *r, struct walk *w, size_t rows, const struct walk_first *first,
                 struct walk_chunk *c, struct key **ret_keys, size_t *ret_nkeys, struct arena *arena,
                 struct err *err)
{
    struct settle s = {.r = r};
    int64_t began = r->streams->now_us(r->streams->arg);

    r->copied = 0;
    r->copy_fails = r->stored = false;
    for (enum side side = SIDE_LEFT; side <= SIDE_RIGHT; side++)
        w->exact[side] = r->copies && !r->apply.link->loose_keys && side != r->target;
    if (!streams_are_known(r, err))
        return false;
    if (first != NULL && !walk_begins_with(w, first))
        first = NULL;
    if (!walk_read(w, rows, first, c, arena, err)) {
        r->copy_fails = r->copies;
        return false;
    }
    look_init(&s.look, r, c->npairs);
    /* What was read ahead may be more than is wanted by now. Left to be settled, the rest would cost more than it saves. */
    size_t most = first != NULL && first->limit > rows ? first->limit : rows;
    bool ok = scan_rows(&s, w, rows, most, c, ret_keys, ret_nkeys, arena, err);

    if (!ok)
        reconcile_rollback(&r->apply);
    r->locked_us = r->streams->now_us(r->streams->arg) - began;
    arena_done(&s.look.arena);
    return ok;
}

/* What was read ahead: has nobody had a gate since, who may have applied what those rows did not show yet? */
static bool still_counts(const struct resync *r, uint64_t turn)
{
#ifdef BREAK_RESYNC_KEEPS_OLD_ROWS /* the simulation checks that it finds this */
    return turn > 0;
#endif
    return r->turn == turn + 1;
}

bool resync_scan(struct resync *r, struct walk *w, size_t rows, const struct walk_first *first,
                 uint64_t first_turn, struct walk_chunk *ret_chunk, struct key **ret_keys, size_t *ret_nkeys,
                 struct arena *arena, struct err *err)
{
    if (!reconcile_enter(&r->apply, GATE_BOTH, err))
        return false;
    r->turn = link_sync_turn(r->apply.sync);
    if (!still_counts(r, first_turn))
        first = NULL;
    bool ok = scan(r, w, rows, first, ret_chunk, ret_keys, ret_nkeys, arena, err);

    link_sync_leave(r->apply.sync, GATE_BOTH);
    return ok;
}

/* ---- One group of keys ---- */

static bool lock_rows(struct settle *s, const struct key *keys, size_t nkeys, struct err *err)
{
    const struct value **rows[2];
    struct apply *a = &s->r->apply;

    for (int side = SIDE_LEFT; side <= SIDE_RIGHT; side++) {
        struct store *store = a->stores[side];

        rows[side] = arena_zalloc(&s->look.arena, nkeys * sizeof *rows[side]);
        if (!store->ops->lock(store, keys, nkeys, rows[side], &s->look.arena, err))
            return err_prefix(err, "lock %s rows", side_name(side));
    }
    for (size_t i = 0; i < nkeys; i++)
        look_add(&s->look, &keys[i], rows[SIDE_LEFT][i], rows[SIDE_RIGHT][i]);
    return true;
}

/* With both gates held. ERR_ROW: nothing was changed. */
static bool settle_at_once(struct resync *r, const struct key *keys, size_t nkeys, bool parked,
                           struct key *ret_doubtful, size_t *ret_ndoubtful, struct err *err)
{
    struct settle s = {.r = r};
    int64_t began = r->streams->now_us(r->streams->arg);

    *ret_ndoubtful = 0;
    if (!quarantine_source(link_sync_quarantine(r->apply.sync), &keys[0], &r->source))
        r->source = SIDE_LEFT; /* until it is planned */
    if (!streams_are_known(r, err))
        return false;
    look_init(&s.look, r, nkeys);
    bool ok = lock_rows(&s, keys, nkeys, err) && find_pending(&s.look, err);

    if (ok) {
        *ret_ndoubtful = plan(&s, parked, ret_doubtful);
        ok = write_both(&s, err);
        if (ok && s.put_off > 0)
            ok = err_set(err, ERR_BUSY, 0,
                         "changes are on their way of keys that a server may take for others");
    }
    if (!ok)
        reconcile_rollback(&r->apply);
    r->locked_us = r->streams->now_us(r->streams->arg) - began;
    arena_done(&s.look.arena);
    return ok;
}

/* One key that a side refuses: the side whose row was to be written keeps its say while the key waits. */
static bool refuse(struct resync *r, const struct key *key, const struct err *why, struct err *err)
{
    struct apply *a = &r->apply;

    if (!quarantine_waits_for(link_sync_quarantine(a->sync), key, r->source)) {
        bool ok = reconcile_quarantine(a, key, r->source, why, NULL, 0, err);

        r->counts.quarantined += ok;
        return ok;
    }
    r->counts.quarantined++;
    struct quarantine_entry e = {.key = *key, .source = r->source, .code = why->code, .why = why->text};

    quarantine_refused(link_sync_quarantine(a->sync), &e, clock_wall());
    return true;
}

static bool settle_or_refuse(struct resync *r, const struct key *keys, size_t nkeys, struct key *ret_doubtful,
                             size_t *ret_ndoubtful, struct err *err)
{
    if (settle_at_once(r, keys, nkeys, false, ret_doubtful, ret_ndoubtful, err))
        return true;
    if (err->kind == ERR_ROW && nkeys > 1 &&
        settle_at_once(r, keys, nkeys, true, ret_doubtful, ret_ndoubtful, err))
        return true;
    if (err->kind != ERR_ROW || nkeys > 1)
        return false;
    struct err why = *err;

    return refuse(r, &keys[0], &why, err);
}

static uint64_t conflicts_so_far(const struct direction_stats *s)
{
    return s->conflicts_version + s->conflicts_updated_at + s->conflicts_authority + s->conflicts_delete +
           s->conflicts_force;
}

/* Both sides may have written: rule 4. Of keys that wait in quarantine the other side has; but where a server may take keys
 * for one another, their own changes may be those of others. */
static bool reconcile_doubtful(struct resync *r, const struct key *keys, size_t nkeys, struct err *err)
{
    uint64_t conflicts = conflicts_so_far(r->apply.stats);
    uint64_t written = r->apply.reconciled, refused = r->apply.refused;
    const struct reconcile_reason reason = {.why = r->apply.link->loose_keys ? RECONCILE_RETRY
                                                                             : RECONCILE_CONFLICT};
    bool ok = reconcile_keys(&r->apply, keys, nkeys, UINT64_MAX, &reason, err);

    r->counts.written += r->apply.reconciled - written;
    r->counts.quarantined += r->apply.refused - refused;
    r->counts.conflicts += conflicts_so_far(r->apply.stats) - conflicts;
    return ok;
}

bool resync_settle_together(struct resync *r, const struct key *keys, size_t nkeys, struct err *err)
{
    struct key *doubtful = mem_alloc((nkeys + 1) * sizeof *doubtful);
    size_t ndoubtful = 0;

    assert(nkeys > 0);
    if (!reconcile_enter(&r->apply, GATE_BOTH, err)) {
        free(doubtful);
        return false;
    }
    bool ok = settle_or_refuse(r, keys, nkeys, doubtful, &ndoubtful, err);

    link_sync_leave(r->apply.sync, GATE_BOTH);
    if (ok && ndoubtful > 0)
        ok = reconcile_doubtful(r, doubtful, ndoubtful, err);
    /* Where a server may take keys for one another, what is written to one may be another's. */
    for (size_t i = 0; i < nkeys && ok && r->walks && !r->apply.link->loose_keys; i++)
        keyset_add(&r->settled, &keys[i]);
    free(doubtful);
    return ok;
}

bool resync_settle(struct resync *r, const struct key *keys, size_t nkeys, struct err *err)
{
    bool ok = resync_settle_together(r, keys, nkeys, err);

    if (ok || err->kind != ERR_ROW || nkeys == 1)
        return ok;
    err_clear(err);
    return resync_settle(r, keys, nkeys / 2, err) &&
           resync_settle(r, keys + nkeys / 2, nkeys - nkeys / 2, err);
}
