/*
 * quarantine.c - a hash table by key, and the entries in a list by age beside it.
 *
 * Waiting. A key is tried again after 5 s, then after 10, 20, 40 and every 60 s:
 * an obstacle that has stood for an hour will not be gone the next second, and
 * each try locks both rows. Whoever knows better, an operator or a change of another
 * row, makes it due at once.
 *
 * Reasons repeat: a hundred thousand rows that lack the same default share one text.
 */
#include "appliers/quarantine.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"

enum {
    FIRST_WAIT_S = 5,
    MAX_WAIT_S = 60,
    MAX_REASONS = 64,
    HASH_DIGITS = 16,
    NAME_BYTES = 256,
};

struct reason {
    char *text;
    size_t users;
};

struct entry {
    struct key key; /* owned */
    uint64_t hash;  /* key_hash() */
    enum side source;
    int code;
    struct reason *reason;
    wall_us since, next;
    uint32_t tries;
    struct entry *in_slot;       /* next of the same slot */
    struct entry *older, *newer; /* by age */
};

struct quarantine {
    const struct link *link;
    pthread_mutex_t lock;
    struct entry **slots;
    size_t nslots;
    atomic_size_t count;
    atomic_bool loaded;
    struct entry *oldest, *newest;
    struct entry *cursor; /* where the next look for due keys begins; NULL: at the oldest */
    struct reason reasons[MAX_REASONS];
};

struct quarantine *quarantine_new(const struct link *link)
{
    struct quarantine *q = mem_zalloc(1, sizeof *q);

    q->link = link;
    q->nslots = 16;
    q->slots = mem_zalloc(q->nslots, sizeof(struct entry *));
    pthread_mutex_init(&q->lock, NULL);
    return q;
}

bool quarantine_is_loaded(const struct quarantine *q) { return q->loaded; }
void quarantine_set_loaded(struct quarantine *q) { q->loaded = true; }

/* ---- Reasons ---- */

static struct reason *reason_take(struct quarantine *q, const char *text)
{
    struct reason *spare = NULL;

    for (size_t i = 0; i < MAX_REASONS; i++) {
        struct reason *r = &q->reasons[i];

        if (r->users > 0 && strcmp(r->text, text) == 0) {
            r->users++;
            return r;
        }
        if (r->users == 0 && spare == NULL)
            spare = r;
    }
    if (spare == NULL) { /* so many at once: the tables and the log have the rest */
        q->reasons[MAX_REASONS - 1].users++;
        return &q->reasons[MAX_REASONS - 1];
    }
    free(spare->text);
    spare->text = mem_strdup(spare == &q->reasons[MAX_REASONS - 1] ? "see the log" : text);
    spare->users = 1;
    return spare;
}

/* ---- Table and list ---- */

static struct entry **find_place(struct quarantine *q, const struct key *k, uint64_t hash)
{
    struct entry **at = &q->slots[hash & (q->nslots - 1)];

    while (*at != NULL && ((*at)->hash != hash || !key_equal(&(*at)->key, k)))
        at = &(*at)->in_slot;
    return at;
}

static struct entry *find(struct quarantine *q, const struct key *k)
{
    return q->count > 0 ? *find_place(q, k, key_hash(k)) : NULL;
}

static void grow(struct quarantine *q)
{
    free(q->slots);
    q->nslots *= 2;
    q->slots = mem_zalloc(q->nslots, sizeof(struct entry *));
    for (struct entry *e = q->oldest; e != NULL; e = e->newer) {
        struct entry **slot = &q->slots[e->hash & (q->nslots - 1)];

        e->in_slot = *slot;
        *slot = e;
    }
}

/* By age; what comes in at a start may be older than what is there. */
static void list_add(struct quarantine *q, struct entry *e)
{
    struct entry *before = q->newest;

    while (before != NULL && before->since.v > e->since.v)
        before = before->older;
    e->older = before;
    e->newer = before != NULL ? before->newer : q->oldest;
    *(e->newer != NULL ? &e->newer->older : &q->newest) = e;
    *(before != NULL ? &before->newer : &q->oldest) = e;
}

static void list_remove(struct quarantine *q, struct entry *e)
{
    if (q->cursor == e)
        q->cursor = e->newer;
    *(e->older != NULL ? &e->older->newer : &q->oldest) = e->newer;
    *(e->newer != NULL ? &e->newer->older : &q->newest) = e->older;
}

static void entry_free(struct entry *e)
{
    if (e->reason != NULL)
        e->reason->users--;
    free((void *)e->key.data);
    free(e);
}

static struct entry *add(struct quarantine *q, const struct key *k, wall_us since)
{
    struct entry *e = mem_zalloc(1, sizeof *e);
    char *copy = mem_alloc(k->len > 0 ? k->len : 1);

    if (q->count + 1 > q->nslots)
        grow(q);
    memcpy(copy, k->data, k->len);
    e->key = (struct key){copy, k->len};
    e->hash = key_hash(k);
    e->since = since;
    *find_place(q, k, e->hash) = e;
    list_add(q, e);
    q->count++;
    return e;
}

static wall_us later(wall_us now, uint32_t tries)
{
    int64_t wait_s = FIRST_WAIT_S;

    for (uint32_t i = 1; i < tries && wait_s < MAX_WAIT_S; i++)
        wait_s *= 2;
    return (wall_us){now.v + (wait_s < MAX_WAIT_S ? wait_s : MAX_WAIT_S) * 1000000};
}

static void set(struct quarantine *q, const struct quarantine_entry *from, bool refused, wall_us now)
{
    pthread_mutex_lock(&q->lock);
    struct entry *e = find(q, &from->key);

    if (e == NULL) {
        e = add(q, &from->key, from->since.v > 0 ? from->since : now);
        e->tries = from->tries;
    }
    struct reason *old = e->reason;

    e->reason = reason_take(q, from->why != NULL ? from->why : "");
    if (old != NULL)
        old->users--;
    e->source = from->source;
    e->code = from->code;
    e->tries += refused;
    e->next = later(now, e->tries);
    pthread_mutex_unlock(&q->lock);
}

void quarantine_refused(struct quarantine *q, const struct quarantine_entry *e, wall_us now)
{
    set(q, e, true, now);
}

void quarantine_restore(struct quarantine *q, const struct quarantine_entry *e, wall_us now)
{
    set(q, e, false, now);
}

void quarantine_release(struct quarantine *q, const struct key *k)
{
    if (q->count == 0)
        return;
    pthread_mutex_lock(&q->lock);
    struct entry **at = find_place(q, k, key_hash(k)), *e = *at;

    if (e != NULL) {
        *at = e->in_slot;
        list_remove(q, e);
        q->count--;
        entry_free(e);
    }
    pthread_mutex_unlock(&q->lock);
}

void quarantine_clear(struct quarantine *q)
{
    q->loaded = false;
    pthread_mutex_lock(&q->lock);
    while (q->oldest != NULL) {
        struct entry *e = q->oldest;

        q->oldest = e->newer;
        entry_free(e);
    }
    q->newest = q->cursor = NULL;
    q->count = 0;
    memset(q->slots, 0, q->nslots * sizeof(struct entry *));
    pthread_mutex_unlock(&q->lock);
}

void quarantine_free(struct quarantine *q)
{
    if (q == NULL)
        return;
    quarantine_clear(q);
    for (size_t i = 0; i < MAX_REASONS; i++)
        free(q->reasons[i].text);
    pthread_mutex_destroy(&q->lock);
    free(q->slots);
    free(q);
}

bool quarantine_has(struct quarantine *q, const struct key *k)
{
    enum side source;

    return quarantine_source(q, k, &source);
}

bool quarantine_source(struct quarantine *q, const struct key *k, enum side *ret_source)
{
    if (q->count == 0)
        return false;
    pthread_mutex_lock(&q->lock);
    const struct entry *e = find(q, k);

    if (e != NULL)
        *ret_source = e->source;
    pthread_mutex_unlock(&q->lock);
    return e != NULL;
}

bool quarantine_waits_for(struct quarantine *q, const struct key *k, enum side source)
{
    enum side waits;

    return quarantine_source(q, k, &waits) && waits == source;
}

size_t quarantine_count(const struct quarantine *q) { return q->count; }

/* ---- When ---- */

size_t quarantine_take_due(struct quarantine *q, wall_us now, struct key *ret_keys, size_t max,
                           struct arena *arena)
{
    size_t n = 0;

    if (q->count == 0)
        return 0;
    pthread_mutex_lock(&q->lock);
    struct entry *e = q->cursor != NULL ? q->cursor : q->oldest;

    for (size_t seen = 0; seen < q->count && n < max; seen++) {
        /* Further ahead than any wait is long: the clock went back. */
        if (e->next.v <= now.v || e->next.v > later(now, UINT32_MAX).v) {
            ret_keys[n++] = (struct key){arena_copy(arena, e->key.data, e->key.len), e->key.len};
            e->next = later(now, e->tries); /* whatever becomes of the try */
        }
        e = e->newer != NULL ? e->newer : q->oldest;
    }
    q->cursor = e;
    pthread_mutex_unlock(&q->lock);
    return n;
}

/* As log.keys = "hash" shows it. */
static void hash_name(const struct buf *text, char out[HASH_DIGITS + 1])
{
    unsigned char hash[HASH_BYTES];

    hash_sha256(text->data, text->len, hash);
    for (size_t i = 0; i < HASH_DIGITS / 2; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
}

static bool is_named(const struct quarantine *q, const struct entry *e, const char *name)
{
    struct buf text = BUF_INIT;
    char hash[HASH_DIGITS + 1];

    key_print(q->link, &e->key, &text);
    hash_name(&text, hash);
    const char *value = q->link->nkey == 1 ? strchr(text.data, '=') : NULL;
    bool named = strcmp(name, text.data) == 0 || (value != NULL && strcmp(name, value + 1) == 0) ||
                 strcmp(name[0] == '#' ? name + 1 : name, hash) == 0;

    buf_wipe_done(&text);
    return named;
}

size_t quarantine_hurry(struct quarantine *q, const char *name)
{
    size_t n = 0;

    pthread_mutex_lock(&q->lock);
    for (struct entry *e = q->oldest; e != NULL; e = e->newer)
        if (name == NULL || is_named(q, e, name)) {
            e->next.v = 0;
            n++;
        }
    pthread_mutex_unlock(&q->lock);
    return n;
}

static void set_next(struct quarantine *q, const struct key *k, wall_us next)
{
    if (q->count == 0)
        return;
    pthread_mutex_lock(&q->lock);
    struct entry *e = find(q, k);

    if (e != NULL)
        e->next = next;
    pthread_mutex_unlock(&q->lock);
}

void quarantine_changed(struct quarantine *q, const struct key *k) { set_next(q, k, (wall_us){0}); }

void quarantine_hurry_key(struct quarantine *q, const struct key *k, wall_us now)
{
    set_next(q, k, (wall_us){now.v + 1000000});
}

size_t quarantine_list_duplicates(struct quarantine *q, struct key *ret_keys, enum side *ret_sources,
                                  size_t max, struct arena *arena)
{
    size_t n = 0;

    pthread_mutex_lock(&q->lock);
    for (const struct entry *e = q->oldest; e != NULL && n < max; e = e->newer) {
        if (!quarantine_is_duplicate(e->code))
            continue;
        ret_keys[n] = (struct key){arena_copy(arena, e->key.data, e->key.len), e->key.len};
        ret_sources[n++] = e->source;
    }
    pthread_mutex_unlock(&q->lock);
    return n;
}

void quarantine_obstacle_moved(struct quarantine *q, size_t max)
{
    if (q->count == 0)
        return;
    pthread_mutex_lock(&q->lock);
    struct entry *e = q->cursor != NULL ? q->cursor : q->oldest;

    for (size_t seen = 0; seen < q->count && max > 0; seen++) {
        if (quarantine_is_duplicate(e->code)) {
            e->next.v = 0;
            max--;
        }
        e = e->newer != NULL ? e->newer : q->oldest;
    }
    pthread_mutex_unlock(&q->lock);
}

size_t quarantine_each(struct quarantine *q, size_t max,
                       void (*visit)(void *arg, const struct waiting_key *k), void *arg)
{
    pthread_mutex_lock(&q->lock);
    size_t count = q->count;

    for (const struct entry *e = q->oldest; e != NULL && max > 0; e = e->newer, max--) {
        struct buf text = BUF_INIT;
        char hash[HASH_DIGITS + 1], shown[NAME_BYTES];

        key_print(q->link, &e->key, &text);
        hash_name(&text, hash);
        visit(arg, &(struct waiting_key){
                       .link = q->link->name,
                       .key = log_key(text.data, text.len, shown, sizeof shown),
                       .hash = hash,
                       .from = e->source,
                       .code = e->code,
                       .why = e->reason->text,
                       .since = e->since,
                       .next_try = e->next,
                       .tries = e->tries,
                   });
        buf_wipe_done(&text);
    }
    pthread_mutex_unlock(&q->lock);
    return count;
}
