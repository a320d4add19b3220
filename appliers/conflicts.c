/*
 * conflicts.c - an array in ascending order of ids, which is nearly always the
 * order in which they come. Its oldest tenth goes at once when it is full.
 */
#include "appliers/conflicts.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/log.h"
#include "cdc/base/mem.h"

enum { NAME_BYTES = 256 };

struct conflicts {
    const struct link *link;
    size_t keep;
    atomic_bool loaded;
    pthread_mutex_t lock;
    struct conflict_record *records; /* ascending ids; key and columns are owned */
    size_t count, cap;
    uint64_t gone; /* ids up to here have been, and there was no room for them */
};

const char *conflict_met_name(enum conflict_met m)
{
    static const char *const names[] = {"left_to_right", "right_to_left", "resync"};
    return names[m];
}

const char *conflict_rule_name(enum conflict_rule r)
{
    static const char *const names[] = {"version", "updated_at", "authority", "delete_vs_update", "force"};
    return names[r];
}

struct conflicts *conflicts_new(const struct link *link, size_t keep)
{
    struct conflicts *c = mem_zalloc(1, sizeof *c);

    c->link = link;
    c->keep = keep;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void drop_oldest(struct conflicts *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)c->records[i].key.data);
        free((void *)c->records[i].columns);
    }
    c->count -= n;
    memmove(c->records, c->records + n, c->count * sizeof *c->records);
}

void conflicts_free(struct conflicts *c)
{
    if (c == NULL)
        return;
    if (c->count > 0)
        drop_oldest(c, c->count);
    free(c->records);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

size_t conflicts_keep(const struct conflicts *c) { return c->keep; }

bool conflicts_is_loaded(const struct conflicts *c) { return c->loaded; }
void conflicts_set_loaded(struct conflicts *c) { c->loaded = true; }

/* Where the id stands, or would. */
static size_t find_place(const struct conflicts *c, uint64_t id)
{
    size_t at = c->count;

    while (at > 0 && c->records[at - 1].id >= id)
        at--;
    return at;
}

static void insert(struct conflicts *c, size_t at, const struct conflict_record *r, wall_us now)
{
    char *key = mem_alloc(r->key.len > 0 ? r->key.len : 1);

    if (c->count == c->cap) {
        c->cap = c->cap > 0 ? 2 * c->cap : 16;
        c->records = mem_realloc(c->records, c->cap * sizeof *c->records);
    }
    memmove(c->records + at + 1, c->records + at, (c->count - at) * sizeof *c->records);
    c->count++;
    memcpy(key, r->key.data, r->key.len);
    c->records[at] = *r;
    c->records[at].key.data = key;
    c->records[at].columns = mem_strdup(r->columns != NULL ? r->columns : "");
    if (r->at.v == 0)
        c->records[at].at = now;
}

/* For this one, which would stand at *at; that moves if older ones go. False if it is itself what has to go. */
static bool make_room(struct conflicts *c, uint64_t id, size_t *at)
{
    const size_t tenth = c->keep / 10 + 1, n = *at < tenth ? *at : tenth;

    if (id <= c->gone)
        return false;
    if (c->count < c->keep)
        return true;
    c->gone = n > 0 ? c->records[n - 1].id : id;
    drop_oldest(c, n);
    *at -= n;
    return n > 0;
}

void conflicts_add(struct conflicts *c, const struct conflict_record *r, wall_us now)
{
    if (c->keep == 0)
        return;
    pthread_mutex_lock(&c->lock);
    size_t at = find_place(c, r->id);

    if ((at == c->count || c->records[at].id != r->id) && make_room(c, r->id, &at))
        insert(c, at, r, now);
    pthread_mutex_unlock(&c->lock);
}

static void show(const struct conflicts *c, const struct conflict_record *r,
                 void (*visit)(void *arg, const struct conflict *c), void *arg)
{
    struct buf text = BUF_INIT;
    char shown[NAME_BYTES];

    key_print(c->link, &r->key, &text);
    visit(arg, &(struct conflict){
                   .link = c->link->name,
                   .id = r->id,
                   .at = r->at,
                   .key = log_key(text.data, text.len, shown, sizeof shown),
                   .met = conflict_met_name(r->met),
                   .rule = conflict_rule_name(r->rule),
                   .winner = r->winner,
                   .row = {r->row[SIDE_LEFT], r->row[SIDE_RIGHT]},
                   .columns = r->columns,
               });
    buf_wipe_done(&text);
}

size_t conflicts_each(struct conflicts *c, size_t max, void (*visit)(void *arg, const struct conflict *c),
                      void *arg)
{
    pthread_mutex_lock(&c->lock);
    size_t count = c->count;

    for (size_t i = count; i > 0 && max > 0; i--, max--)
        show(c, &c->records[i - 1], visit, arg);
    pthread_mutex_unlock(&c->lock);
    return count;
}

bool conflicts_find(struct conflicts *c, uint64_t id, void (*visit)(void *arg, const struct conflict *c),
                    void *arg)
{
    pthread_mutex_lock(&c->lock);
    size_t at = find_place(c, id);
    bool found = at < c->count && c->records[at].id == id;

    if (found)
        show(c, &c->records[at], visit, arg);
    pthread_mutex_unlock(&c->lock);
    return found;
}
