/*
 * world.c - a database as far as the protocol can see one.
 *
 * Locks are InnoDB's under REPEATABLE READ: a locking read of a row holds the row; of
 * an absent one it holds the gap, which others may hold too but nobody else may insert
 * into; an insert waits for the gap locks of others, and a cycle of waits makes one
 * of them the victim of a deadlock.
 */
#include "tests/sim/world.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/reconcile.h"
#include "appliers/walk.h"
#include "cdc/base/mem.h"
#include "tests/sim/fiber.h"

enum { F_KEY, F_VAL, F_VERSION, F_UPDATED, NFIELDS };

/* ---- Texts: canonical values of small numbers ---- */

static char number_text[256][4];
static char time_text[256][20];
static char key_bytes[MAX_KEYS][5];

static void make_texts(void)
{
    for (int i = 0; i < 256; i++) {
        snprintf(number_text[i], sizeof number_text[i], "%d", i);
        snprintf(time_text[i], sizeof time_text[i], "2026-01-01 00:%02d:%02d", i / 60, i % 60);
    }
    for (int i = 0; i < MAX_KEYS; i++)
        memcpy(key_bytes[i], (char[]){1, 0, 0, 0, (char)('0' + i)}, 5);
}

static struct value text_value(const char *text)
{
    return (struct value){text, (uint32_t)strlen(text), VALUE_SET};
}

static const struct value *row_values(uint8_t key, struct sim_row row, struct arena *arena)
{
    if (!row.present)
        return NULL;
    struct value *v = arena_alloc(arena, NFIELDS * sizeof *v);

    v[F_KEY] = (struct value){&key_bytes[key][4], 1, VALUE_SET};
    v[F_VAL] = text_value(number_text[row.val]);
    v[F_VERSION] = text_value(number_text[row.version]);
    v[F_UPDATED] = text_value(time_text[row.updated]);
    return v;
}

static uint8_t value_number(const struct value *v)
{
    int n = 0;

    for (uint32_t i = 0; i < v->len; i++)
        n = n * 10 + (v->data[i] - '0');
    return (uint8_t)n;
}

static uint8_t value_seconds(const struct value *v)
{
    const char *d = v->data;

    return (uint8_t)(((d[14] - '0') * 10 + d[15] - '0') * 60 + (d[17] - '0') * 10 + d[18] - '0');
}

static struct sim_row row_of(const struct value *v)
{
    if (v == NULL)
        return (struct sim_row){0, 0, 0, 0};
    return (struct sim_row){1, value_number(&v[F_VAL]), value_number(&v[F_VERSION]),
                            value_seconds(&v[F_UPDATED])};
}

static struct key key_value(size_t key) { return (struct key){key_bytes[key], 5}; }

static uint8_t key_number(const struct key *k)
{
    assert(k->len == 5);
    return (uint8_t)(k->data[4] - '0');
}

static bool rows_same(struct sim_row a, struct sim_row b)
{
    if (!a.present || !b.present)
        return a.present == b.present;
    return a.val == b.val && a.version == b.version && a.updated == b.updated;
}

/* ---- Hashing what an actor sees ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h ^= v + 0x9e3779b97f4a7c15ULL + (h << 6) + (h >> 2);
    h *= 0xff51afd7ed558ccdULL;
    return h ^ (h >> 33);
}

static uint64_t row_number(struct sim_row r)
{
    return !r.present ? 0 : 1 | (uint64_t)r.val << 8 | (uint64_t)r.version << 16 | (uint64_t)r.updated << 24;
}

/* The id up to which changes of the key are superseded. Ids are small numbers here. */
static uint64_t announced_id(const struct link_sync *s, enum side log, size_t key)
{
    struct key k = key_value(key);
    uint64_t id = link_sync_passed(s, log);

    while (link_sync_superseded(s, log, &k, id))
        id++;
    return id;
}

/* Ids count only in relation to each other: they are hashed as distances from `last`. */
static uint64_t sync_hash(const struct world *w, int link, uint64_t last, bool stored)
{
    struct link_sync *s = w->sync[link];
    uint64_t h = 1;

    for (int side = 0; side < 2; side++) {
        h = mix(h, last - link_sync_passed(s, side));
        if (stored)
            h = mix(h, last - link_sync_stored(s, side));
        h = mix(h, (uint64_t)link_sync_is_live(s, side) << 1 | link_sync_is_open(s, side));
        h = mix(h, link_sync_may_enter(s, gate_of(side)));
        for (size_t k = 0; k < w->nkeys; k++)
            h = mix(h, announced_id(s, side, k) - link_sync_passed(s, side));
    }
    for (size_t k = 0; k < w->nkeys; k++) {
        struct key key = key_value(k);

        enum side waits = SIDE_LEFT;
        bool quarantined = quarantine_source(link_sync_quarantine(s), &key, &waits);

        h = mix(h, quarantined ? 1U + (unsigned)waits : 0U);
    }
    h = mix(h, last - link_sync_last_id(s));
    h = mix(h, link_sync_may_enter(s, GATE_BOTH));
    if (link_sync_order(s) != NULL)
        h = mix(h, 2U | (unsigned)link_sync_order(s)->force);
    return mix(h, link_sync_in_doubt(s));
}

static void saw(struct actor *a, uint64_t what) { a->trace = mix(a->trace, what); }

/* ---- Locks ---- */

static bool holds(const struct mem_store *m, const struct mem_store *me, const struct sim_table *t,
                  uint8_t key, bool insert)
{
    return m != me && m->table == t && m->in_tx &&
           (m->lock[key] == LOCK_ROW || (insert && m->lock[key] == LOCK_GAP));
}

static bool lock_is_taken(const struct world *w, const struct mem_store *me, const struct sim_table *t,
                          uint8_t key, bool insert)
{
    if (holds(&w->late, me, t, key, insert))
        return true;
    for (size_t i = 0; i < w->nactors; i++) {
        const struct actor *a = &w->actor[i];

        for (int s = 0; s < 2; s++)
            if (holds(&a->store[s], me, t, key, insert))
                return true;
        for (size_t l = 0; l < a->nlanes; l++)
            if (holds(&a->lane_store[l], me, t, key, insert))
                return true;
    }
    return false;
}

static void give_way(struct actor *a)
{
    (void)a;
    fiber_give_way();
}

static void end_tx(struct mem_store *m)
{
    m->in_tx = m->wrote = false;
    memset(m->lock, LOCK_NONE, sizeof m->lock);
}

/* After each point where others ran. */
static bool still_connected(struct mem_store *m, struct err *err)
{
    struct actor *a = m->actor;

    if (a->world->down || a->lose) {
        a->lose = false;
        end_tx(m);
        saw(a, 99);
        return err_set(err, ERR_RETRY, 2013, "lost connection");
    }
    return true;
}

static bool wait_for_lock(struct mem_store *m, uint8_t key, bool insert, struct err *err)
{
    struct actor *a = m->actor;

    while (lock_is_taken(a->world, m, m->table, key, insert)) {
        a->waits_for_lock = true;
        a->wait_store = m;
        a->wait_key = key;
        a->wait_insert = insert;
        give_way(a);
        a->waits_for_lock = false;
        if (!still_connected(m, err))
            return false;
        if (a->victim) {
            a->victim = false;
            end_tx(m);
            saw(a, 98);
            return err_set(err, ERR_BUSY, 1213, "deadlock");
        }
    }
    return true;
}

/* The control row that a transaction locks first is held by a packet that is on its way. */
static bool wait_for_late(struct mem_store *m, bool all, struct err *err)
{
    struct actor *a = m->actor;
    const struct mem_store *late = &a->world->late;

    while (late->in_tx && late->table == m->table && late->link == m->link &&
           (all || late->base.lane == m->base.lane)) {
        a->waits_for_late = true;
        give_way(a);
        a->waits_for_late = false;
        if (!still_connected(m, err))
            return false;
    }
    return true;
}

/* ---- The store ---- */

static void begin_tx(struct mem_store *m)
{
    assert(!m->in_tx);
    memset(&m->entry, 0, offsetof(struct sim_entry, changes));
    m->entry.link = -1;
    m->in_tx = true;
    m->moves_checkpoint = m->moves_lane = false;
    m->nnew_markers = 0;
    m->ndrop = m->purge = 0;
    memset(m->quarantine, 0, sizeof m->quarantine);
    memset(m->release, 0, sizeof m->release);
}

static bool mem_lock(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                     struct arena *arena, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;

    if (!still_connected(m, err))
        return false;
    if (!m->in_tx) {
        if (!wait_for_late(m, false, err))
            return false;
        begin_tx(m);
    }
    for (size_t i = 0; i < nkeys; i++) {
        uint8_t k = key_number(&keys[i]);

        if (!wait_for_lock(m, k, false, err))
            return false;
        m->after[k] = m->table->row[k];
        m->lock[k] = m->after[k].present ? LOCK_ROW : m->is_lane ? LOCK_NONE : LOCK_GAP;
        ret_rows[i] = row_values(k, m->after[k], arena);
        saw(m->actor, row_number(m->after[k]));
    }
    if (nkeys > 0)
        give_way(m->actor);
    return still_connected(m, err);
}

static bool mem_read(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                     struct arena *arena, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;

    if (!still_connected(m, err))
        return false;
    for (size_t i = 0; i < nkeys; i++) {
        uint8_t k = key_number(&keys[i]);

        ret_rows[i] = row_values(k, m->table->row[k], arena);
        saw(m->actor, row_number(m->table->row[k]));
    }
    give_way(m->actor);
    return still_connected(m, err);
}

static bool mem_range(struct store *s, const struct key_range *range, size_t limit,
                      struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;
    size_t first = range->after != NULL ? key_number(range->after) + 1U : 0;
    size_t end = range->up_to != NULL ? key_number(range->up_to) + 1U : m->actor->world->nkeys;

    if (!still_connected(m, err))
        return false;
    for (size_t k = first; k < end && range->exact; k++)
        if (!wait_for_lock(m, (uint8_t)k, false, err))
            return false;
    ret_rows->keys = arena_alloc(arena, MAX_KEYS * sizeof *ret_rows->keys);
    ret_rows->rows = arena_alloc(arena, MAX_KEYS * sizeof *ret_rows->rows);
    ret_rows->count = 0;
    for (size_t k = first; k < end && ret_rows->count < limit; k++) {
        saw(m->actor, row_number(m->table->row[k]));
        if (!m->table->row[k].present)
            continue;
        ret_rows->keys[ret_rows->count] = key_value(k);
        ret_rows->rows[ret_rows->count++] = row_values((uint8_t)k, m->table->row[k], arena);
    }
    ret_rows->more = ret_rows->count == limit;
    give_way(m->actor);
    return still_connected(m, err);
}

static void add_marker(struct sim_markers *list, uint64_t id, uint8_t key)
{
    assert(list->n < MAX_MARKERS && (list->n == 0 || list->at[list->n - 1].id < id));
    list->at[list->n++] = (struct sim_marker){id, key};
}

static void remove_markers(struct sim_markers *list, const uint64_t *ids, size_t nids, uint64_t up_to)
{
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++) {
        bool drop = list->at[i].id <= up_to;

        for (size_t d = 0; d < nids; d++)
            drop |= list->at[i].id == ids[d];
        if (!drop)
            list->at[n++] = list->at[i];
    }
    list->n = n;
}

static bool write_row(struct mem_store *m, const struct row_write *w, size_t index, struct err *err)
{
    uint8_t k = key_number(&w->key);
    struct sim_row before = row_of(w->before), after = row_of(w->after);

    if (m->lock[k] == LOCK_NONE) { /* an insert locks for itself, if there is no row */
        assert(!before.present);
        if (!wait_for_lock(m, k, true, err))
            return false;
        saw(m->actor, m->table->row[k].present);
        if (m->table->row[k].present) {
            end_tx(m);
            err_set(err, ERR_BUSY, 0, "there is a row");
            err->index = index;
            return false;
        }
        m->after[k] = m->table->row[k];
    }
    assert(rows_same(before, m->after[k])); /* the caller knows what it locked */
    if (m->table->refuses && after.present && after.val == REFUSED_VALUE) {
        end_tx(m);
        err_set(err, ERR_ROW, 1406, "value refused");
        err->index = index;
        return false;
    }
    if (!before.present && !wait_for_lock(m, k, true, err))
        return false;
    m->lock[k] = LOCK_ROW;
    m->after[k] = after;
    m->wrote = true;
    assert(m->entry.n < MAX_ENTRY);
    m->entry.changes[m->entry.n++] = (struct sim_change){k, before, after};
    return true;
}

static bool mem_commit(struct store *s, struct err *err);

static bool mem_write(struct store *s, const struct store_write *w, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;

    if (!still_connected(m, err))
        return false;
    assert(m->in_tx);
    assert(w->nrows == 0 || w->checkpoint != NULL || w->touch || w->nmarkers > 0); /* rule 2 */
    if (w->touch) {
        m->entry.link = (int8_t)m->link;
        m->wrote = true;
    }
    if (w->checkpoint != NULL) {
        const struct checkpoint *c = w->checkpoint;

        m->moves_checkpoint = w->nlanes == 0;
        m->moves_lane = w->nlanes > 0;
        m->checkpoint = (struct sim_checkpoint){true, c->pos.offset, c->rows_done, c->marker, c->batch};
        m->place = (struct sim_lane){w->nlanes, c->pos.offset, c->rows_done, c->batch};
        m->entry.link = (int8_t)m->link;
        m->wrote = true;
    }
    for (size_t i = 0; i < w->nmarkers; i++) {
        assert(m->nnew_markers < MAX_NEW_MARKERS);
        m->new_markers[m->nnew_markers++] = (struct sim_marker){w->markers[i].id,
                                                                key_number(&w->markers[i].from)};
        m->entry.link = (int8_t)m->link;
        m->entry.side = (uint8_t)m->base.side;
        m->entry.marker = w->markers[i].id;
        m->wrote = true;
    }
    for (size_t i = 0; i < w->ndrop_markers; i++)
        m->drop[m->ndrop++] = w->drop_markers[i];
    m->purge = w->purge_markers;
    for (size_t i = 0; i < w->nquarantine; i++)
        m->quarantine[key_number(&w->quarantine[i].key)] = (uint8_t)(1 + w->quarantine[i].source);
    for (size_t i = 0; i < w->nrelease; i++)
        m->release[key_number(&w->release[i])] = true;
    bool locked[MAX_KEYS];

    for (size_t k = 0; k < MAX_KEYS; k++)
        locked[k] = m->lock[k] != LOCK_NONE;
    for (size_t i = 0; i < w->nrows; i++)
        if (!write_row(m, &w->rows[i], i, err))
            return false;
    if (w->commit && m->actor->late && !m->actor->world->late.in_tx) {
        struct mem_store *late = &m->actor->world->late;

        m->actor->late = false;
        *late = *m;
        for (size_t k = 0; k < MAX_KEYS; k++) {
            late->unlocked[k] = !locked[k] && m->lock[k] == LOCK_ROW;
            if (late->unlocked[k])
                late->lock[k] = LOCK_NONE;
        }
        end_tx(m);
        saw(m->actor, 95);
        return err_set(err, ERR_RETRY, 2013, "lost connection");
    }
    return !w->commit || mem_commit(s, err); /* in one packet: nobody comes in between */
}

static void log_add(struct sim_table *t, const struct sim_entry *e)
{
    assert(t->nlog < MAX_LOG);
    if (e->marker > 0) { /* no id comes twice, and they ascend */
        assert(e->marker > t->last_marker[e->link]);
        t->last_marker[e->link] = e->marker;
    }
    t->log[t->nlog++] = *e;
}

static void commit_control(const struct mem_store *m)
{
    struct sim_markers *markers = &m->table->markers[m->link];
    uint8_t *quarantined = m->table->quarantined[m->link];

    if (m->moves_checkpoint)
        m->table->checkpoint[m->link] = m->checkpoint;
    if (m->moves_lane)
        m->table->lane[m->link][m->base.lane] = m->place;
    remove_markers(markers, m->drop, m->ndrop, m->purge);
    for (size_t i = 0; i < m->nnew_markers; i++)
        add_marker(markers, m->new_markers[i].id, m->new_markers[i].key);
    for (size_t k = 0; k < MAX_KEYS; k++)
        quarantined[k] = m->release[k] ? 0 : m->quarantine[k] != 0 ? m->quarantine[k] : quarantined[k];
}

static bool mem_commit(struct store *s, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;

    if (!still_connected(m, err))
        return false;
    assert(m->in_tx);
    for (size_t k = 0; k < m->actor->world->nkeys; k++)
        if (m->lock[k] == LOCK_ROW)
            m->table->row[k] = m->after[k];
    commit_control(m);
    if (m->wrote)
        log_add(m->table, &m->entry);
    end_tx(m);
    saw(m->actor, 97);
    give_way(m->actor);
    return still_connected(m, err);
}

/* Or is dropped. */
void world_late(struct world *w, bool arrives)
{
    struct mem_store *m = &w->late;

    for (size_t k = 0; k < w->nkeys && arrives; k++)
        if (m->unlocked[k] && lock_is_taken(w, m, m->table, (uint8_t)k, true))
            return; /* it waits */
    for (size_t k = 0; k < w->nkeys; k++)
        arrives = arrives && !(m->unlocked[k] && m->table->row[k].present);
    if (arrives) {
        for (size_t k = 0; k < w->nkeys; k++)
            if (m->lock[k] == LOCK_ROW || m->unlocked[k])
                m->table->row[k] = m->after[k];
        commit_control(m);
        if (m->wrote)
            log_add(m->table, &m->entry);
    }
    memset(m, 0, sizeof *m);
}

static void mem_rollback(struct store *s) { end_tx((struct mem_store *)s); }

static bool mem_load(struct store *s, struct store_state *ret_state, struct arena *arena, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;
    const struct sim_checkpoint *cp = &m->table->checkpoint[m->link];
    const struct sim_markers *markers = &m->table->markers[m->link];

    if (!still_connected(m, err) || !wait_for_late(m, true, err))
        return false;
    begin_tx(m);
    *ret_state = (struct store_state){
        .has_checkpoint = cp->present,
        .checkpoint = {POS_INIT, cp->rows_done, cp->marker, cp->batch},
        .last_batch = cp->batch,
        .markers = arena_alloc(arena, (markers->n + 1) * sizeof(struct marker)),
        .nmarkers = markers->n,
        .quarantined = arena_zalloc(arena, MAX_KEYS * sizeof(struct quarantine_entry))};
    saw(m->actor, mix(cp->rows_done, mix(cp->marker, cp->offset)));
    if (cp->present)
        pos_set_file(&ret_state->checkpoint.pos, "b", 1, cp->offset);
    for (size_t l = 1; l < SIM_LANES; l++) {
        const struct sim_lane *lane = &m->table->lane[m->link][l];

        if (lane->nlanes == 0 || lane->batch != cp->batch)
            continue;
        ret_state->ahead.nlanes = lane->nlanes;
        ret_state->ahead.done |= UINT64_C(1) << l;
        ret_state->ahead.rows_done = lane->rows_done;
        pos_set_file(&ret_state->ahead.pos, "b", 1, lane->offset);
        saw(m->actor, mix(l, mix(lane->rows_done, lane->offset)));
    }
    for (size_t i = 0; i < markers->n; i++) {
        struct key k = key_value(markers->at[i].key);

        ret_state->markers[i] = (struct marker){markers->at[i].id, k, k};
        saw(m->actor, mix(markers->at[i].id, markers->at[i].key));
    }
    for (size_t k = 0; k < m->actor->world->nkeys; k++)
        if (m->table->quarantined[m->link][k]) {
            ret_state->quarantined[ret_state->nquarantined++] = (struct quarantine_entry){
                .key = key_value(k), .source = (enum side)(m->table->quarantined[m->link][k] - 1)};
            saw(m->actor, mix(k, m->table->quarantined[m->link][k]));
        }
    return true;
}

static bool mem_position(struct store *s, struct pos *ret_pos, struct err *err)
{
    struct mem_store *m = (struct mem_store *)s;

    if (!still_connected(m, err))
        return false;
    if (!m->actor->is_resync) /* which only waits for it */
        saw(m->actor, m->table->nlog);
    pos_set_file(ret_pos, "b", 1, m->table->nlog);
    return true;
}

static const struct store_ops mem_ops = {
    .lock = mem_lock,
    .write = mem_write,
    .commit = mem_commit,
    .rollback = mem_rollback,
    .load = mem_load,
    .position = mem_position,
    .log_end = mem_position,
    .read = mem_read,
    .range = mem_range,
};

/* ---- Reading a log: what reader and assemble do for one feed ---- */

static struct sim_table *source_of(const struct actor *a) { return a->store[a->from].table; }

static void add_change(struct tx *tx, const struct sim_change *c, uint64_t row_no)
{
    struct change *to;

    if (rows_same(c->before, c->after))
        return;
    to = tx_add_change(tx);
    to->key = key_value(c->key);
    to->before = row_values(c->key, c->before, &tx->arena);
    to->after = row_values(c->key, c->after, &tx->arena);
    to->row_no = row_no;
}

/* The next transaction, or the next part of one; moves *at and *at_rows behind it. */
static struct tx *read_one(const struct actor *a, uint64_t *at, uint64_t *at_rows)
{
    const struct sim_entry *e = &source_of(a)->log[*at];
    struct tx *tx = tx_new();
    uint64_t row = *at_rows;

    tx->echo = e->link == a->link;
    if (tx->echo && e->side == (uint8_t)a->from)
        tx->marker = e->marker;
    for (; !tx->echo && row < e->n; row++) {
        if (a->part > 0 && tx->nchanges == a->part)
            break;
        add_change(tx, &e->changes[row], row + 1);
    }
    if (tx->echo || row == e->n) {
        (*at)++;
        row = 0;
    }
    *at_rows = tx->rows_done = row;
    pos_set_file(&tx->pos, "b", 1, *at);
    return tx;
}

/* ---- Actors ---- */

/* After a failure: what the thread would do. */
static void failed(struct actor *a, const struct err *err)
{
    if (err->kind == ERR_BUSY)
        return;
    if (err->kind != ERR_RETRY && err->kind != ERR_STOPPED) {
        fprintf(stderr, "a direction ended by itself: %s\n", err->text);
        abort();
    }
    a->open = false;
}

static void run_open(struct actor *a)
{
    struct err err = ERR_INIT;
    bool begun;

    if (!apply_open(&a->apply, &begun, &err)) {
        failed(a, &err);
        return;
    }
    a->open = true;
    a->at = a->apply.stored.pos.offset;
    a->at_rows = a->apply.stored.rows_done;
    apply_is_open(&a->apply);
}

static void run_batch(struct actor *a)
{
    struct tx *txs[16];
    size_t n = 0;
    uint64_t at = a->at, at_rows = a->at_rows;
    bool done = false;

    while (n < a->take && n < 16 && at < source_of(a)->nlog)
        txs[n++] = read_one(a, &at, &at_rows);
    saw(a, n);
    while (a->open && !done) {
        struct err err = ERR_INIT;

        done = apply_txs(&a->apply, txs, &n, &err);
        if (!done) {
            failed(a, &err);
            give_way(a);
        }
    }
    if (done) {
        a->at = at;
        a->at_rows = at_rows;
    }
    for (size_t i = 0; i < n; i++)
        tx_free(txs[i]);
}

static void run_skip(struct actor *a)
{
    struct pos pos = POS_INIT;
    struct err err = ERR_INIT;

    if (a->at_rows > 0)
        return;
    pos_set_file(&pos, "b", 1, a->at);
    if (!apply_skip_to(&a->apply, &pos, &err))
        failed(a, &err);
    pos_done(&pos);
}

/* ---- Resync ---- */

static struct actor *direction_of(const struct actor *a, enum side from)
{
    return &a->world->actor[a->link * 2 + (int)from];
}

/* The readers of the simulation have always read all there is. */
static bool read_on(void *arg, const struct pos ends[2], struct err *err)
{
    struct actor *a = arg;

    (void)ends;
    saw(a, 96); /* or the state would look like the one before */
    give_way(a);
    for (int s = 0; s < 2; s++)
        if (!still_connected(&a->store[s], err))
            return false;
    return true;
}

static void pending(void *arg, enum side log, void (*visit)(void *visit_arg, const struct tx *tx),
                    void *visit_arg)
{
    struct actor *a = arg;
    const struct actor *d = direction_of(a, log);
    uint64_t at = d->at, at_rows = d->at_rows;
    uint64_t passed = link_sync_passed(a->world->sync[a->link], log);
    struct tx **txs = mem_alloc(((source_of(d)->nlog - at) * MAX_ENTRY + 1) *
                                sizeof(struct tx *)); /* all of them stay for the visit */
    size_t n = 0;

    while (at < source_of(d)->nlog) {
        struct tx *tx = txs[n++] = read_one(d, &at, &at_rows);

        for (size_t i = 0; i < tx->nchanges; i++) {
            const struct change *c = &tx->changes[i];

            saw(a, mix(row_number(row_of(c->after)) << 8 | key_number(&c->key),
                       link_sync_superseded(a->world->sync[a->link], log, &c->key, passed)));
        }
        if (tx->marker > passed)
            passed = tx->marker;
        visit(visit_arg, tx);
    }
    for (size_t i = 0; i < n; i++)
        tx_free(txs[i]);
    free(txs);
}

static int64_t no_clock(void *arg)
{
    (void)arg;
    return 0;
}

/* At once, which is one of the moments at which a thread of its own may do it. */
static void read_ahead(void *arg, const struct walk_first *next)
{
    struct actor *a = arg;
    const struct key_range range = {next->after.data != NULL ? &next->after : NULL,
                                    next->up_to.data != NULL ? &next->up_to : NULL, next->exact};
    struct err err = ERR_INIT;

    arena_done(&a->ahead_arena);
    a->ahead = *next;
    a->ahead_turn = a->resync.turn;
    /* The numbers' texts live for ever, the list of them does not. */
    a->ahead.after.data = a->ahead.after.data != NULL ? key_bytes[key_number(&next->after)] : NULL;
    a->ahead.up_to.data = a->ahead.up_to.data != NULL ? key_bytes[key_number(&next->up_to)] : NULL;
    a->has_ahead = mem_range(&a->store[next->side].base, &range, next->limit, &a->ahead.rows, &a->ahead_arena,
                             &err);
}

static const struct resync_streams streams_ops = {
    .read_on = read_on, .pending = pending, .read_ahead = read_ahead, .now_us = no_clock};

/* Who copies goes on to copy, into the side that lacks more. */
static void choose_copies(struct actor *a)
{
    struct resync *r = &a->resync;

    if (r->lacks[SIDE_LEFT] != r->lacks[SIDE_RIGHT])
        r->target = r->lacks[SIDE_LEFT] > r->lacks[SIDE_RIGHT] ? SIDE_LEFT : SIDE_RIGHT;
    r->copies = a->copies && !r->copy_fails;
}

static bool scan(struct actor *a, struct walk *w, struct walk_chunk *ret_chunk, struct key **ret_keys,
                 size_t *ret_nkeys, struct arena *arena, struct arena *first_arena, struct err *err)
{
    const struct walk_first first = a->ahead;
    const bool has = a->has_ahead;

    arena_done(first_arena);
    *first_arena = a->ahead_arena;
    arena_init(&a->ahead_arena);
    a->has_ahead = false;
    return resync_scan(&a->resync, w, a->chunk, has ? &first : NULL, a->ahead_turn, ret_chunk, ret_keys,
                       ret_nkeys, arena, err);
}

static bool settle_keys(struct actor *a, const struct key *keys, size_t nkeys, struct err *err)
{
    for (size_t done = 0; done < nkeys;) {
        size_t apart = resync_count_apart(&a->world->link[a->link], keys + done, nkeys - done);

        if (!resync_settle(&a->resync, keys + done, apart, err))
            return false;
        done += apart;
    }
    return true;
}

/* The whole of it at once, as far as it gets. Progress is not kept: walking again over what is done does no harm. */
static void run_resync(struct actor *a)
{
    struct err err = ERR_INIT;
    struct walk walk;
    struct walk_chunk chunk;
    struct arena arena, first_arena;
    struct key *keys;
    size_t nkeys;
    bool ok = resync_begin(&a->resync, &a->order, &err), more = true;

    a->has_ahead = false;
    a->resync.copies = a->copies;
    a->resync.target = a->target;

    walk_init(&walk, &a->world->link[a->link], &a->store[SIDE_LEFT].base, &a->store[SIDE_RIGHT].base, NULL);
    arena_init(&arena);
    arena_init(&first_arena);
    while (ok && more) {
        ok = scan(a, &walk, &chunk, &keys, &nkeys, &arena, &first_arena, &err) &&
             settle_keys(a, keys, nkeys, &err);
        more = ok && walk_advance(&walk, &chunk);
        choose_copies(a);
        arena_reset(&arena);
    }
    ok = ok && reconcile_enter(&a->resync.apply, GATE_BOTH, &err);
    if (ok) {
        link_sync_set_order(a->world->sync[a->link], NULL);
        link_sync_leave(a->world->sync[a->link], GATE_BOTH);
        a->resync_wanted = false;
    } else if (err.kind != ERR_BUSY && err.kind != ERR_RETRY && err.kind != ERR_STOPPED) {
        fprintf(stderr, "a resync ended by itself: %s\n", err.text);
        abort();
    }
    resync_end(&a->resync);
    arena_done(&arena);
    arena_done(&first_arena);
    arena_done(&a->ahead_arena);
    a->has_ahead = false;
    walk_done(&walk);
}

/* What the resync's thread does for the keys that wait, when their time has come. */
static void run_quarantine(struct actor *a)
{
    struct quarantine *q = link_sync_quarantine(a->world->sync[a->link]);
    struct err err = ERR_INIT;
    struct key keys[MAX_KEYS];
    struct arena arena;
    bool ok = true;

    arena_init(&arena);
    /* All are due: each try is made an hour behind the last one, and far behind those that were refused by today's clock. */
    const int64_t hour_us = INT64_C(3600) * 1000000;
    size_t n = quarantine_take_due(q, (wall_us){INT64_MAX / 2 + hour_us * ++a->world->hours}, keys, MAX_KEYS,
                                   &arena);

    a->resync.order = (struct job_order){0};
    for (size_t i = 0; i < n && ok; i++)
        ok = resync_settle(&a->resync, &keys[i], 1, &err);
    arena_done(&arena);
}

static void actor_main(void *arg)
{
    static void (*const tasks[])(struct actor *) = {run_open, run_batch, run_skip, run_quarantine,
                                                    run_resync};
    struct actor *a = arg;

    for (;;) {
        tasks[a->task](a);
        a->busy = false;
        give_way(a);
    }
}

static void gate_wait(void *arg, unsigned gates)
{
    struct actor *a = ((struct world *)arg)->running;

    a->waits_for_gates = gates;
    give_way(a);
    a->waits_for_gates = 0;
}

bool actor_has_work(const struct actor *a)
{
    if (a->is_resync)
        return a->busy || a->resync_wanted;
    return a->busy || !a->open || a->at < source_of(a)->nlog;
}

const char *actor_name(const struct actor *a) { return a->is_resync ? "resync" : direction_name(a->from); }

struct actor *world_resync(struct world *w, size_t link) { return &w->actor[w->nlinks * 2 + link]; }

void world_drift(struct world *w, int table, uint8_t key, struct sim_row row)
{
    w->table[table].row[key] = row;
    for (size_t l = 0; l < w->nlinks; l++)
        world_resync(w, l)->resync_wanted = true;
}

bool actor_can_run(const struct actor *a)
{
    if (!a->busy || a->world->down)
        return true;
    if (a->waits_for_lock && !a->victim && !a->lose)
        return !lock_is_taken(a->world, a->wait_store, a->wait_store->table, a->wait_key, a->wait_insert);
    if (a->waits_for_late)
        return !a->world->late.in_tx;
    if (a->waits_for_gates != 0)
        return link_sync_may_enter(a->world->sync[a->link], a->waits_for_gates);
    return true;
}

void actor_step(struct actor *a)
{
    if (!a->busy) {
        a->busy = true;
        a->trace = mix(1, a->task);
        if (!a->is_resync)
            a->trace = mix(mix(mix(a->trace, a->take), a->at_rows), source_of(a)->nlog - a->at);
    }
    a->world->running = a;
    heap_enter();
    fiber_run(a->fiber);
    heap_leave();
}

/* ---- Lanes ---- */

/* One after the other: they have no key in common, so it is all the same how they interleave. */
static void run_lanes(void *arg, void (*part)(void *part_arg, size_t lane), void *part_arg)
{
    const struct actor *a = arg;

    for (size_t i = 0; i < a->nlanes; i++)
        part(part_arg, (a->first_lane + i) % a->nlanes);
}

static void give_lanes(struct actor *a)
{
    a->apply.lanes = (struct apply_lanes){a->nlanes, a->lanes, run_lanes, a};
    a->apply.lanes_min = a->lanes_min;
}

void actor_use_lanes(struct actor *a, size_t nlanes, size_t min, size_t first)
{
    const struct mem_store *peer = &a->store[side_peer(a->from)];

    a->nlanes = nlanes;
    a->lanes_min = min;
    a->first_lane = first;
    for (size_t l = 0; l < nlanes; l++) {
        a->lane_store[l] = (struct mem_store){.base = {peer->base.ops, peer->base.link, peer->base.side, l},
                                              .actor = a,
                                              .table = peer->table,
                                              .link = peer->link,
                                              .is_lane = true};
        a->lanes[l] = &a->lane_store[l].base;
    }
    give_lanes(a);
}

/* ---- The world ---- */

static void start_daemon(struct world *w)
{
    w->down = false;
    w->stop.up = false;
    heap_enter();
    for (size_t l = 0; l < w->nlinks; l++) {
        link_sync_free(w->sync[l]);
        w->sync[l] = link_sync_new(&w->link[l]);
        link_sync_set_wait(w->sync[l], gate_wait, w);
    }
    for (size_t i = 0; i < w->nactors; i++) {
        struct actor *a = &w->actor[i];

        if (a->is_resync) {
            resync_done(&a->resync);
            resync_init(&a->resync, &w->link[a->link], w->sync[a->link], &a->store[SIDE_LEFT].base,
                        &a->store[SIDE_RIGHT].base, &w->stop, &a->stats, &a->streams);
            a->open = true;
            a->lose = a->victim = false;
            continue;
        }
        apply_done(&a->apply);
        apply_init(&a->apply, &w->link[a->link], a->from, w->sync[a->link], &a->store[SIDE_LEFT].base,
                   &a->store[SIDE_RIGHT].base, &w->stop, &a->stats);
        give_lanes(a);
        a->open = a->lose = a->victim = false;
        a->at = a->at_rows = 0;
    }
    heap_leave();
}

void world_crash(struct world *w)
{
    w->down = true;
    stop_raise(&w->stop);
    for (size_t i = 0; i < w->nactors; i++)
        while (w->actor[i].busy)
            actor_step(&w->actor[i]);
    start_daemon(w);
}

static void layout_init(struct world *w)
{
    static char *names[] = {"id", "val", "sync_version", "updated_at"};
    static const enum column_kind kinds[] = {COL_INT, COL_INT, COL_INT, COL_TIMESTAMP};
    static size_t key_ordinals[] = {F_KEY};

    for (size_t i = 0; i < NFIELDS; i++)
        w->columns[i] = (struct column){.name = names[i], .kind = kinds[i], .ordinal = i};
    for (size_t i = 0; i < NFIELDS; i++)
        w->fields[i] = (struct field){.column = {&w->columns[i], &w->columns[i]}};
    w->key_field = F_KEY;
    w->layout_key = (struct table_key){"PRIMARY", key_ordinals, 1};
    w->layout = (struct table){"sim", "rows", w->columns, NFIELDS, &w->layout_key, 1};
}

struct world *world_new(void)
{
    struct world *w = mem_zalloc(1, sizeof *w);

    make_texts();
    layout_init(w);
    stop_init(&w->stop);
    for (int t = 0; t < MAX_TABLES; t++)
        w->table[t].log = mem_alloc(MAX_LOG * sizeof *w->table[t].log);
    for (int i = 0; i < MAX_ACTORS; i++) {
        w->actor[i].world = w;
        direction_stats_init(&w->actor[i].stats, "sim", SIDE_LEFT);
        w->actor[i].fiber = fiber_new(actor_main, &w->actor[i]);
    }
    return w;
}

void world_free(struct world *w)
{
    world_crash(w);
    for (int t = 0; t < MAX_TABLES; t++)
        free(w->table[t].log);
    for (int i = 0; i < MAX_ACTORS; i++) {
        apply_done(&w->actor[i].apply);
        resync_done(&w->actor[i].resync);
        direction_stats_done(&w->actor[i].stats);
        fiber_free(w->actor[i].fiber);
    }
    for (int l = 0; l < MAX_LINKS; l++)
        link_sync_free(w->sync[l]);
    stop_done(&w->stop);
    free(w);
}

void world_reset(struct world *w, size_t nkeys, size_t ntables, bool delete_wins, enum side authority)
{
    static char link_names[MAX_LINKS][8] = {"one", "two"};

    if (w->nactors > 0)
        world_crash(w);
    w->nkeys = nkeys;
    w->ntables = ntables;
    w->nlinks = ntables - 1;
    w->nactors = w->nlinks * 3;
    memset(&w->late, 0, sizeof w->late);
    for (size_t t = 0; t < MAX_TABLES; t++) {
        struct sim_entry *log = w->table[t].log;

        memset(&w->table[t], 0, sizeof w->table[t]);
        w->table[t].log = log;
    }
    for (size_t l = 0; l < w->nlinks; l++) {
        w->link[l] = (struct link){
            .name = link_names[l],
            .table = {&w->layout, &w->layout},
            .fields = w->fields,
            .nfields = NFIELDS,
            .key = &w->key_field,
            .nkey = 1,
            .index = {&w->layout_key, &w->layout_key},
            .authority = authority,
            .delete_beats_update = delete_wins,
        };
        for (int from = 0; from < 3; from++) { /* the third is its resync */
            struct actor *a = from < 2 ? &w->actor[l * 2 + (size_t)from] : world_resync(w, l);

            a->link = (int)l;
            a->is_resync = from == 2;
            a->from = from == 2 ? SIDE_LEFT : from;
            a->order = (struct job_order){0};
            a->chunk = 2;
            a->copies = false;
            a->resync_wanted = false;
            a->streams = streams_ops;
            a->streams.arg = a;
            a->part = 0;
            a->nlanes = 0;
            for (int s = 0; s < 2; s++)
                a->store[s] = (struct mem_store){.base = {&mem_ops, &w->link[l], s, 0},
                                                 .actor = a,
                                                 .table = &w->table[l + (size_t)s],
                                                 .link = (int)l};
        }
    }
    start_daemon(w);
}

bool world_may_write(const struct world *w, int table, const uint8_t *keys, const struct sim_row *rows,
                     size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (lock_is_taken(w, NULL, &w->table[table], keys[i], rows[i].present))
            return false;
    return true;
}

bool world_write(struct world *w, int table, const uint8_t *keys, const struct sim_row *rows, size_t n)
{
    struct sim_table *t = &w->table[table];
    struct sim_entry e = {.link = -1};

    if (!world_may_write(w, table, keys, rows, n))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (rows_same(t->row[keys[i]], rows[i]))
            continue;
        e.changes[e.n++] = (struct sim_change){keys[i], t->row[keys[i]], rows[i]};
        t->row[keys[i]] = rows[i];
    }
    if (e.n > 0)
        log_add(t, &e);
    return true;
}

bool world_is_quiet(const struct world *w)
{
    if (w->late.in_tx)
        return false;
    for (size_t i = 0; i < w->nactors; i++)
        if (actor_has_work(&w->actor[i]))
            return false;
    return true;
}

bool world_is_equal(const struct world *w)
{
    for (size_t t = 1; t < w->ntables; t++)
        for (size_t k = 0; k < w->nkeys; k++)
            if (!rows_same(w->table[0].row[k], w->table[t].row[k]))
                return false;
    return true;
}

bool world_has_quarantine(const struct world *w)
{
    for (size_t l = 0; l < w->nlinks; l++)
        if (link_sync_quarantine_count(w->sync[l]) > 0)
            return true;
    return false;
}

/* ---- The hash of a state ---- */

static uint64_t raise_to(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t highest_id(const struct world *w, size_t link)
{
    uint64_t last = link_sync_last_id(w->sync[link]);

    for (size_t s = 0; s < 2; s++) {
        const struct sim_markers *m = &w->table[link + s].markers[link];

        last = raise_to(last, w->table[link + s].checkpoint[link].marker);
        if (m->n > 0)
            last = raise_to(last, m->at[m->n - 1].id);
    }
    return last;
}

/* What is still to be read, now or after a crash. */
static uint64_t hash_log(const struct world *w, size_t table, bool stored, uint64_t h)
{
    const struct sim_table *t = &w->table[table];
    size_t first = t->nlog;

    for (size_t i = 0; i < w->nactors; i++) {
        const struct actor *a = &w->actor[i];
        const struct sim_checkpoint *cp = &a->store[side_peer(a->from)].table->checkpoint[a->link];

        if (a->is_resync || source_of(a) != t)
            continue;
        uint64_t at = stored ? cp->offset : a->at;

        first = at < first ? at : first;
        h = mix(h, t->nlog - at);
    }
    for (size_t i = first; i < t->nlog; i++) {
        const struct sim_entry *e = &t->log[i];

        h = mix(h, (uint64_t)(uint8_t)e->link << 8 | e->side);
        if (e->marker > 0)
            h = mix(h, highest_id(w, (size_t)e->link) - e->marker);
        for (size_t c = 0; c < e->n; c++)
            h = mix(h, mix(row_number(e->changes[c].before) << 8 | e->changes[c].key,
                           row_number(e->changes[c].after)));
    }
    return h;
}

static bool may_start_again(const struct world *w)
{
    for (size_t i = 0; i < w->nactors; i++)
        if (!w->actor[i].open || w->actor[i].lose || (w->actor[i].busy && w->actor[i].task == TASK_OPEN))
            return true;
    return false;
}

uint64_t world_hash(const struct world *w, bool may_crash)
{
    /* What is stored for a start counts only as long as there can be one. */
    bool stored = may_crash || may_start_again(w);
    uint64_t h = 7;

    for (size_t t = 0; t < w->ntables; t++) {
        for (size_t k = 0; k < w->nkeys; k++)
            h = mix(h, row_number(w->table[t].row[k]));
        h = hash_log(w, t, stored, h);
    }
    for (size_t l = 0; l < w->nlinks; l++) {
        uint64_t last = highest_id(w, l);

        for (size_t s = 0; s < 2; s++) {
            const struct sim_table *t = &w->table[l + s];

            if (stored) {
                h = mix(h, last - t->checkpoint[l].marker);
                h = mix(h, t->checkpoint[l].rows_done);
                for (size_t i = 1; i < SIM_LANES; i++) {
                    const struct sim_lane *lane = &t->lane[l][i];

                    if (lane->nlanes > 0 && lane->batch == t->checkpoint[l].batch)
                        h = mix(h, mix(i, mix(lane->rows_done, w->table[l + 1 - s].nlog - lane->offset)));
                }
                for (size_t i = 0; i < t->markers[l].n; i++)
                    h = mix(h, (last - t->markers[l].at[i].id) << 8 | t->markers[l].at[i].key);
            }
            for (size_t k = 0; k < w->nkeys; k++)
                h = mix(h, t->quarantined[l][k]);
        }
        h = mix(h, sync_hash(w, (int)l, last, stored));
    }
    for (size_t i = 0; i < w->nactors; i++) {
        const struct actor *a = &w->actor[i];

        h = mix(h, (uint64_t)a->open << 3 | (uint64_t)a->busy << 2 | (uint64_t)a->lose << 1 | a->victim);
        h = mix(h, a->waits_for_gates << 1 | a->waits_for_lock);
        if (a->is_resync) {
            h = mix(h, a->busy ? a->trace : 0);
            h = mix(h,
                    a->has_ahead && link_sync_turn(w->sync[a->link]) - a->ahead_turn < 2); /* it may count */
            h = mix(h, a->resync_wanted);
            continue;
        }
        h = mix(h, source_of(a)->nlog - a->at);
        h = mix(h, a->at_rows);
        if (a->open && stored) {
            h = mix(h, highest_id(w, (size_t)a->link) - a->apply.stored.marker);
            h = mix(h, highest_id(w, (size_t)a->link) - a->apply.purged);
            h = mix(h, source_of(a)->nlog - a->apply.stored.pos.offset);
        }
        if (a->apply.ahead.nlanes > 0)
            h = mix(h, mix(a->apply.ahead.done,
                           mix(a->apply.ahead.rows_done, source_of(a)->nlog - a->apply.ahead.pos.offset)));
        if (a->busy)
            h = mix(h, a->trace);
    }
    return h;
}

/* ---- Copies ---- */

static void store_part(struct mem_store *m, struct image *im)
{
    image_part(im, &m->in_tx, offsetof(struct mem_store, after) - offsetof(struct mem_store, in_tx));
    if (m->in_tx)
        image_part(im, m->after, sizeof *m - offsetof(struct mem_store, after));
}

void world_part(struct world *w, struct image *im)
{
    for (size_t t = 0; t < w->ntables; t++) {
        struct sim_table *table = &w->table[t];

        image_part(im, &table->nlog, offsetof(struct sim_table, markers) - offsetof(struct sim_table, nlog));
        for (size_t l = 0; l < w->nlinks; l++) {
            struct sim_markers *m = &table->markers[l];

            image_part(im, &m->n, sizeof m->n);
            image_part(im, m->at, m->n * sizeof m->at[0]);
        }
    }
    image_part(im, w->sync, sizeof w->sync);
    image_part(im, &w->hours, sizeof w->hours);
    for (size_t i = 0; i < w->nactors; i++) {
        struct actor *a = &w->actor[i];

        image_part(im, a, offsetof(struct actor, store));
        for (size_t s = 0; s < 2; s++)
            store_part(&a->store[s], im);
        for (size_t l = 0; l < a->nlanes; l++)
            store_part(&a->lane_store[l], im);
        fiber_part(a->fiber, im);
    }
    heap_part(im);
}

/* ---- For people ---- */

static void print_row(struct sim_row r)
{
    if (r.present)
        printf("%u v%u t%u", r.val, r.version, r.updated);
    else
        printf("absent");
}

void world_print(const struct world *w)
{
    for (size_t t = 0; t < w->ntables; t++) {
        printf("  table %zu:", t);
        for (size_t k = 0; k < w->nkeys; k++) {
            printf(" [%zu] ", k);
            print_row(w->table[t].row[k]);
        }
        printf("\n");
        for (size_t i = 0; i < w->table[t].nlog; i++) {
            const struct sim_entry *e = &w->table[t].log[i];

            printf("    %zu: %s", i, e->link < 0 ? "application" : e->link == 0 ? "link one" : "link two");
            if (e->marker > 0)
                printf(" marker %llu %s", (unsigned long long)e->marker, side_name(e->side));
            for (size_t c = 0; c < e->n; c++) {
                printf("  [%u] ", e->changes[c].key);
                print_row(e->changes[c].before);
                printf(" -> ");
                print_row(e->changes[c].after);
            }
            printf("\n");
        }
    }
    for (size_t i = 0; i < w->nactors; i++) {
        const struct actor *a = &w->actor[i];

        if (a->is_resync)
            printf("  link %d resync: %s%s\n", a->link, a->resync_wanted ? "wanted" : "not wanted",
                   a->busy ? ", busy" : "");
        else
            printf("  link %d %s: at %llu of %zu, %s%s\n", a->link, direction_name(a->from),
                   (unsigned long long)a->at, source_of(a)->nlog, a->open ? "open" : "closed",
                   a->busy ? ", busy" : "");
    }
}
