/*
 * random.c - one long walk through a larger case: several keys, transactions of
 * several rows, batches and parts, two links in a chain, lost connections, crashes, rows
 * that a side refuses for a while. Everything is drawn from the seed.
 */
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/sim/world.h"

enum { MAX_STEPS = 20000 };

struct schedule {
    struct world *w;
    uint64_t random;
    bool print;
    size_t writes_left[MAX_TABLES];
    size_t crashes_left, losses_left, resyncs_left;
    uint8_t nvalues, clock[MAX_TABLES], careful; /* careful: applications raise the version */
    bool refusals;
};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t next(struct schedule *k)
{
    uint64_t z = (k->random += 0x9e3779b97f4a7c15ULL);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

static size_t below(struct schedule *k, size_t n) { return (size_t)(next(k) % n); }

/* ---- What happens ---- */

static struct sim_row new_row(struct schedule *k, int table, struct sim_row now)
{
    struct sim_row row = {1, (uint8_t)below(k, k->nvalues), 1, 1};

    if (below(k, 4) == 0)
        return (struct sim_row){0, 0, 0, 0};
    if (k->careful > 0) {
        row.version = (uint8_t)(now.present ? now.version + 1 : 1);
        row.updated = k->clock[table] = (uint8_t)(k->clock[table] + below(k, 2));
    }
    if (k->refusals && below(k, 4) == 0)
        row.val = REFUSED_VALUE;
    return row;
}

static void application_writes(struct schedule *k, int table)
{
    const struct sim_table *t = &k->w->table[table];
    uint8_t keys[4];
    struct sim_row rows[4], now[MAX_KEYS];
    size_t n = below(k, 3) == 0 ? 1 + below(k, 4) : 1;

    memcpy(now, t->row, sizeof now);
    for (size_t i = 0; i < n; i++) {
        keys[i] = (uint8_t)below(k, k->w->nkeys);
        rows[i] = now[keys[i]] = new_row(k, table, now[keys[i]]);
    }
    /* A table that refuses a value refuses it from applications too. */
    for (size_t i = 0; i < n; i++)
        if (t->refuses && rows[i].present && rows[i].val == REFUSED_VALUE)
            rows[i].val = 0;
    if (world_write(k->w, table, keys, rows, n))
        k->writes_left[table]--;
}

static void give_task(struct schedule *k, struct actor *a)
{
    size_t left = a->store[a->from].table->nlog - a->at;

    if (a->is_resync) {
        a->task = a->resync_wanted || !world_has_quarantine(k->w) || below(k, 2) == 0 ? TASK_RESYNC
                                                                                      : TASK_QUARANTINE;
    } else if (!a->open) {
        a->task = TASK_OPEN;
    } else if (left > 0 && below(k, 16) != 0) {
        a->task = TASK_BATCH;
        a->take = 1 + below(k, 4);
    } else {
        a->task = TASK_SKIP;
    }
}

static void direction_goes_on(struct schedule *k, struct actor *a)
{
    if (!a->busy) {
        give_task(k, a);
        a->late = !a->is_resync && k->losses_left > 0 && below(k, 12) == 0;
        k->losses_left -= a->late;
    } else if (k->losses_left > 0 && a->waits_for_gates == 0 && below(k, 40) == 0) {
        a->lose = true;
        k->losses_left--;
    }
    actor_step(a);
}

/* One that nobody needs. */
static bool may_resync(struct schedule *k)
{
    bool may = k->resyncs_left > 0 && below(k, 30) == 0;

    k->resyncs_left -= may;
    return may;
}

/* Which may be others after a start. */
static void draw_limits(struct schedule *k)
{
    for (size_t i = 0; i < k->w->nactors; i++) {
        struct actor *a = &k->w->actor[i];

        a->part = below(k, 3);
        if (a->is_resync || a->nlanes == 0)
            continue;
        size_t nlanes = 1 + below(k, SIM_LANES);

        actor_use_lanes(a, nlanes, below(k, 3), below(k, nlanes));
    }
}

static void one_step(struct schedule *k)
{
    size_t who = below(k, k->w->nactors + k->w->ntables);

    if (k->w->late.in_tx && below(k, 12) == 0) {
        world_late(k->w, below(k, 4) != 0);
        return;
    }

    if (k->crashes_left > 0 && below(k, 60) == 0) {
        k->crashes_left--;
        world_crash(k->w);
        draw_limits(k);
        return;
    }
    if (who >= k->w->nactors) {
        int table = (int)(who - k->w->nactors);

        if (k->writes_left[table] > 0)
            application_writes(k, table);
        return;
    }
    struct actor *a = &k->w->actor[who];

    if (k->refusals && below(k, 50) == 0) { /* an obstacle comes or goes */
        struct sim_table *t = &k->w->table[below(k, k->w->ntables)];

        t->refuses = !t->refuses;
    }
    if (actor_can_run(a) && (actor_has_work(a) ||
                             (a->is_resync ? may_resync(k) || (world_has_quarantine(k->w) && below(k, 16) == 0)
                                           : below(k, 8) == 0)))
        direction_goes_on(k, a);
    else if (a->waits_for_lock && below(k, 8) == 0)
        a->victim = true; /* of a deadlock, or its wait has been too long */
}

/* ---- A whole walk ---- */

static void draw_order(struct schedule *k, struct actor *a)
{
    a->order = (struct job_order){0};
    if (below(k, 3) != 0)
        return;
    a->order.has_from = true;
    a->order.from = below(k, 2) != 0 ? SIDE_RIGHT : SIDE_LEFT;
    a->order.force = below(k, 2) != 0;
    a->order.delete_missing = below(k, 2) != 0;
}

/* Rows that were there before the daemon. */
static void drift(struct schedule *k)
{
    if (below(k, 4) != 0)
        return;
    for (size_t t = 0; t < k->w->ntables; t++)
        for (size_t key = 0; key < k->w->nkeys; key++)
            if (below(k, 2) == 0)
                world_drift(k->w, (int)t, (uint8_t)key,
                            (struct sim_row){1, (uint8_t)below(k, k->nvalues), (uint8_t)(1 + below(k, 3)), 1});
}

static void set_up(struct schedule *k)
{
    size_t ntables = below(k, 3) == 0 ? 3 : 2;

    world_reset(k->w, 1 + below(k, MAX_KEYS), ntables, below(k, 2) != 0,
                below(k, 2) != 0 ? SIDE_RIGHT : SIDE_LEFT);
    for (size_t l = 0; l < k->w->nlinks; l++)
        k->w->link[l].loose_keys = below(k, 4) == 0; /* costs reconciles, changes nothing else */
    k->nvalues = (uint8_t)(2 + below(k, 2));
    k->careful = (uint8_t)below(k, 2);
    k->crashes_left = below(k, 3);
    k->losses_left = below(k, 4);
    k->refusals = below(k, 4) == 0;
    k->resyncs_left = below(k, 3);
    drift(k);
    for (size_t i = 0; i < k->w->nactors; i++)
        if (!k->w->actor[i].is_resync && below(k, 2) != 0) {
            size_t nlanes = 2 + below(k, SIM_LANES - 1);

            actor_use_lanes(&k->w->actor[i], nlanes, below(k, 3), below(k, nlanes));
        }
    for (size_t i = 0; i < k->w->nactors; i++) {
        struct actor *a = &k->w->actor[i];

        a->part = below(k, 3);
        a->chunk = 1 + below(k, 3);
        a->copies = below(k, 2) != 0;
        a->target = below(k, 2) != 0 ? SIDE_RIGHT : SIDE_LEFT;
        draw_order(k, a);
        while (!a->open || a->busy) {
            a->task = TASK_OPEN;
            actor_step(a);
        }
    }
    for (size_t t = 0; t < ntables; t++) {
        k->writes_left[t] = 1 + below(k, 6);
        k->clock[t] = (uint8_t)(1 + below(k, 20)); /* clocks differ */
        k->w->table[t].refuses = k->refusals && below(k, 2) == 0;
    }
}

static bool has_writes(const struct schedule *k)
{
    for (size_t t = 0; t < k->w->ntables; t++)
        if (k->writes_left[t] > 0)
            return true;
    return false;
}

/* The obstacles go; then each key in quarantine is tried until none is left. */
static bool clear_quarantine(struct schedule *k)
{
    for (size_t t = 0; t < k->w->ntables; t++)
        k->w->table[t].refuses = false;
    for (size_t i = 0; i < k->w->nactors; i++) {
        struct actor *a = &k->w->actor[i];

        if (a->is_resync && !a->busy) {
            a->task = TASK_QUARANTINE;
            actor_step(a);
        }
    }
    return !world_has_quarantine(k->w);
}

static bool fail(const struct schedule *k, uint64_t seed, const char *what)
{
    printf("seed %llu: %s\n", (unsigned long long)seed, what);
    if (k->print)
        world_print(k->w);
    fflush(stdout);
    return false;
}

bool random_schedule(uint64_t seed, bool print)
{
    static struct world *w;
    struct schedule k = {.random = seed, .print = print};

    if (w == NULL)
        w = world_new();
    k.w = w;
    set_up(&k);
    for (size_t step = 0; step < MAX_STEPS; step++) {
        one_step(&k);
        if (has_writes(&k) || !world_is_quiet(w))
            continue;
        if (world_has_quarantine(w) && !clear_quarantine(&k))
            continue;
        if (world_is_quiet(w))
            return world_is_equal(w) || fail(&k, seed, "the tables differ");
    }
    return fail(&k, seed, "does not come to rest");
}
