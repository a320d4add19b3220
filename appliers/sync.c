/*
 * sync.c - the gate and the markers of one link.
 *
 * Markers: for each log, a hash table from key to the highest marker id that
 * covers it. Ids grow in the order in which reconciles commit, and one reconcile
 * runs at a time, so the markers of one log stand in it in ascending order: a
 * change behind marker p is superseded exactly if its key's id is above p. An
 * entry whose id has been passed is dead and is dropped when the table grows.
 */
#include "appliers/sync.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/base/wait.h"

enum { STOP_SEEN_WITHIN_MS = 100 };

struct marker_entry {
    struct key key; /* owned; data NULL: free slot */
    uint64_t hash;
    uint64_t id;
};

struct marker_map {
    struct marker_entry *slots; /* open addressing, a power of two */
    size_t nslots, count;
};

struct link_sync {
    const struct link *link;

    pthread_mutex_t lock; /* the gate's own */
    pthread_cond_t left;
    unsigned held;
    unsigned waiting_for_both, waiting_for_one;
    uint64_t turn;
    void (*wait)(void *arg, unsigned gates);
    void *wait_arg;

    struct marker_map markers[2];
    struct marker_map folded[2]; /* the same under folded keys, if the link's keys are loose */
    uint64_t highest[2];         /* id announced, by log */
    uint64_t highest_wild[2];    /* likewise, of keys that cannot be folded */
    uint64_t last_id;
    uint64_t passed[2];
    _Atomic uint64_t stored[2]; /* one direction reads the other's, as a lower bound */
    bool live[2];
    _Atomic bool in_doubt; /* a direction sets it with one gate held */

    struct quarantine *quarantine;
    struct conflicts *conflicts;
    uint64_t last_conflict;
    _Atomic bool open[2];
    bool has_order;
    struct job_order order;
};

struct link_sync *link_sync_new(const struct link *link)
{
    struct link_sync *s = mem_zalloc(1, sizeof *s);

    s->link = link;
    pthread_mutex_init(&s->lock, NULL);
    wait_cond_init(&s->left);
    s->quarantine = quarantine_new(link);
    s->conflicts = conflicts_new(link, link->keep_conflicts);
    return s;
}

static void map_clear(struct marker_map *m)
{
    for (size_t i = 0; i < m->nslots; i++)
        free((void *)m->slots[i].key.data);
    free(m->slots);
    *m = (struct marker_map){NULL, 0, 0};
}

static void forget_markers(struct link_sync *s, enum side log);

void link_sync_free(struct link_sync *s)
{
    if (s == NULL)
        return;
    forget_markers(s, SIDE_LEFT);
    forget_markers(s, SIDE_RIGHT);
    quarantine_free(s->quarantine);
    conflicts_free(s->conflicts);
    pthread_cond_destroy(&s->left);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- The gate ---- */

void link_sync_set_wait(struct link_sync *s, void (*wait)(void *arg, unsigned gates), void *arg)
{
    s->wait = wait;
    s->wait_arg = arg;
}

static bool may_enter(const struct link_sync *s, unsigned gates)
{
    if ((s->held & gates) != 0)
        return false;
    /* Or two busy batches would take turns and keep a reconcile out for ever. */
    return gates == GATE_BOTH || s->waiting_for_both == 0;
}

bool link_sync_may_enter(struct link_sync *s, unsigned gates)
{
    pthread_mutex_lock(&s->lock);
    bool may = may_enter(s, gates);

    pthread_mutex_unlock(&s->lock);
    return may;
}

bool link_sync_enter(struct link_sync *s, unsigned gates, struct stop *stop, struct err *err)
{
    bool entered = false;

#ifdef BREAK_BATCH_WITHOUT_GATE /* the simulation checks that it finds this */
    if (gates != GATE_BOTH)
        return true;
#endif
    pthread_mutex_lock(&s->lock);
    unsigned *waiting = gates == GATE_BOTH ? &s->waiting_for_both : &s->waiting_for_one;

    ++*waiting;
    for (;;) {
        if (stop != NULL && stop_raised(stop))
            break;
        if (may_enter(s, gates)) {
            entered = true;
            s->held |= gates;
            s->turn++;
            break;
        }
        if (s->wait != NULL) {
            pthread_mutex_unlock(&s->lock);
            s->wait(s->wait_arg, gates);
            pthread_mutex_lock(&s->lock);
        } else {
            const struct timespec until = wait_deadline(STOP_SEEN_WITHIN_MS);

            wait_until(&s->left, &s->lock, &until);
        }
    }
    --*waiting;
    pthread_cond_broadcast(&s->left); /* link_sync_let_others() waits for that too */
    pthread_mutex_unlock(&s->lock);
    return entered || err_set(err, ERR_STOPPED, 0, "stopped");
}

uint64_t link_sync_turn(struct link_sync *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t turn = s->turn;

    pthread_mutex_unlock(&s->lock);
    return turn;
}

void link_sync_leave(struct link_sync *s, unsigned gates)
{
#ifdef BREAK_BATCH_WITHOUT_GATE
    if (gates != GATE_BOTH)
        return;
#endif
    pthread_mutex_lock(&s->lock);
    assert((s->held & gates) == gates);
    s->held &= ~gates;
    pthread_cond_broadcast(&s->left);
    pthread_mutex_unlock(&s->lock);
}

/* ---- Markers ---- */

/* The slot of the key, or the free slot where it belongs. The table is never full. */
static struct marker_entry *map_slot(const struct marker_map *m, const struct key *k, uint64_t hash)
{
    for (size_t i = hash & (m->nslots - 1);; i = (i + 1) & (m->nslots - 1)) {
        struct marker_entry *e = &m->slots[i];

        if (e->key.data == NULL || (e->hash == hash && key_equal(&e->key, k)))
            return e;
    }
}

/* Moves the living entries into a table that has room for one more. */
static void map_resize(struct marker_map *m, uint64_t passed)
{
    struct marker_map old = *m;
    size_t living = 0;

    for (size_t i = 0; i < old.nslots; i++)
        living += old.slots[i].key.data != NULL && old.slots[i].id > passed;
    m->nslots = 16;
    while (m->nslots < (living + 1) * 2)
        m->nslots *= 2;
    m->slots = mem_zalloc(m->nslots, sizeof *m->slots);
    m->count = living;
    for (size_t i = 0; i < old.nslots; i++) {
        struct marker_entry *e = &old.slots[i];

        if (e->key.data != NULL && e->id > passed)
            *map_slot(m, &e->key, e->hash) = *e;
        else
            free((void *)e->key.data);
    }
    free(old.slots);
}

/* Entries with ids up to dead may be dropped on the way. */
static void map_raise(struct marker_map *m, const struct key *k, uint64_t id, uint64_t dead)
{
    uint64_t hash = key_hash(k);
    struct marker_entry *e;

    if ((m->count + 1) * 4 > m->nslots * 3)
        map_resize(m, dead);
    e = map_slot(m, k, hash);
    if (e->key.data == NULL) {
        char *copy = mem_alloc(k->len > 0 ? k->len : 1);

        memcpy(copy, k->data, k->len);
        *e = (struct marker_entry){{copy, k->len}, hash, 0};
        m->count++;
    }
    if (id > e->id)
        e->id = id;
}

/* 0 if the key is not in the table. */
static uint64_t map_get(const struct marker_map *m, const struct key *k)
{
    if (m->count == 0)
        return 0;
    return map_slot(m, k, key_hash(k))->id;
}

bool link_sync_fold_key(const struct link *link, const struct key *k, char *folded, size_t *ret_len)
{
    size_t in = 0, out = 0;

    while (in + 4 <= k->len) {
        const unsigned char *p = (const unsigned char *)k->data + in;
        size_t len = p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;

        p += 4;
        if (len > k->len - in - 4)
            return false;
        in += 4 + len;
        while (len > 0 && p[len - 1] == ' ')
            len--;
        for (unsigned b = 0; b < 4; b++)
            folded[out++] = (char)(len >> 8 * b);
        for (size_t i = 0; i < len; i++) {
            if (!link->padded_keys && (p[i] < ' ' || p[i] > '~'))
                return false;
            folded[out++] = (char)(!link->padded_keys && p[i] >= 'A' && p[i] <= 'Z' ? p[i] - 'A' + 'a'
                                                                                    : p[i]);
        }
    }
    *ret_len = out;
    return in == k->len;
}

static void announce_folded(struct link_sync *s, enum side log, const struct key *k, uint64_t id)
{
    struct key folded = {NULL, 0};
    char *bytes = mem_alloc(k->len + 1);

    if (link_sync_fold_key(s->link, k, bytes, &folded.len)) {
        folded.data = bytes;
        map_raise(&s->folded[log], &folded, id, s->passed[log]);
    } else if (id > s->highest_wild[log]) {
        s->highest_wild[log] = id;
    }
    free(bytes);
}

void link_sync_announce(struct link_sync *s, enum side log, const struct key *k, uint64_t id)
{
    if (id > s->highest[log])
        s->highest[log] = id;
    map_raise(&s->markers[log], k, id, s->passed[log]);
    if (s->link->loose_keys)
        announce_folded(s, log, k, id);
}

bool link_sync_superseded(const struct link_sync *s, enum side log, const struct key *k, uint64_t passed)
{
    return map_get(&s->markers[log], k) > passed;
}

bool link_sync_maybe_superseded(const struct link_sync *s, enum side log, const struct key *k,
                                uint64_t passed)
{
    struct key folded = {NULL, 0};
    bool maybe;

    if (s->highest[log] <= passed)
        return false;
    char *bytes = mem_alloc(k->len + 1);

    if (link_sync_fold_key(s->link, k, bytes, &folded.len)) {
        folded.data = bytes;
        maybe = s->highest_wild[log] > passed || map_get(&s->folded[log], &folded) > passed;
    } else {
        maybe = true;
    }
    free(bytes);
    return maybe;
}

/* All of that log. */
static void forget_markers(struct link_sync *s, enum side log)
{
    map_clear(&s->markers[log]);
    map_clear(&s->folded[log]);
    s->highest[log] = s->highest_wild[log] = 0;
}

void link_sync_rebuild(struct link_sync *s, enum side log, const struct marker *markers, size_t count)
{
    forget_markers(s, log);
    for (size_t i = 0; i < count; i++)
        if (markers[i].id > s->passed[log])
            link_sync_announce(s, log, &markers[i].from, markers[i].id);
}

void link_sync_prune(struct link_sync *s, enum side log)
{
    /* All ids are at most last_id: with that one passed, every entry is dead. */
    if (s->markers[log].count > 0 && s->passed[log] >= s->last_id)
        forget_markers(s, log);
}

size_t link_sync_marker_count(const struct link_sync *s, enum side log) { return s->markers[log].count; }

uint64_t link_sync_next_id(struct link_sync *s) { return ++s->last_id; }

uint64_t link_sync_last_id(const struct link_sync *s) { return s->last_id; }

void link_sync_saw_id(struct link_sync *s, uint64_t id)
{
    if (id > s->last_id)
        s->last_id = id;
}

uint64_t link_sync_passed(const struct link_sync *s, enum side log) { return s->passed[log]; }

uint64_t link_sync_stored(const struct link_sync *s, enum side log) { return s->stored[log]; }

void link_sync_set_passed(struct link_sync *s, enum side log, uint64_t id) { s->passed[log] = id; }

void link_sync_set_stored(struct link_sync *s, enum side log, uint64_t id) { s->stored[log] = id; }

bool link_sync_is_live(const struct link_sync *s, enum side log) { return s->live[log]; }

void link_sync_set_live(struct link_sync *s, enum side log) { s->live[log] = true; }

struct quarantine *link_sync_quarantine(const struct link_sync *s) { return s->quarantine; }

bool link_sync_is_quarantined(const struct link_sync *s, const struct key *k)
{
    return quarantine_has(s->quarantine, k);
}

size_t link_sync_quarantine_count(const struct link_sync *s) { return quarantine_count(s->quarantine); }

struct conflicts *link_sync_conflicts(const struct link_sync *s) { return s->conflicts; }

uint64_t link_sync_next_conflict(struct link_sync *s) { return ++s->last_conflict; }

void link_sync_saw_conflict(struct link_sync *s, uint64_t id)
{
    if (id > s->last_conflict)
        s->last_conflict = id;
}

bool link_sync_is_open(const struct link_sync *s, enum side log) { return s->open[log]; }

void link_sync_set_open(struct link_sync *s, enum side log, bool open) { s->open[log] = open; }

const struct job_order *link_sync_order(const struct link_sync *s) { return s->has_order ? &s->order : NULL; }

void link_sync_set_order(struct link_sync *s, const struct job_order *order)
{
    s->has_order = order != NULL;
    if (order != NULL)
        s->order = *order;
}

void link_sync_let_others(struct link_sync *s, uint32_t timeout_ms)
{
    const struct timespec until = wait_deadline(timeout_ms);
    bool in_time = true;

    pthread_mutex_lock(&s->lock);
    while (s->waiting_for_one + s->waiting_for_both > 0 && in_time)
        in_time = wait_until(&s->left, &s->lock, &until);
    pthread_mutex_unlock(&s->lock);
}

bool link_sync_in_doubt(const struct link_sync *s) { return s->in_doubt; }

void link_sync_set_in_doubt(struct link_sync *s, bool in_doubt) { s->in_doubt = in_doubt; }
