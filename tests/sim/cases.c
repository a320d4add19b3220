/*
 * cases.c - single ways through the world that walks hardly ever find.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/sim.h"
#include "tests/sim/world.h"

static void run_task(struct actor *a, enum sim_task task, size_t take)
{
    a->task = task;
    a->take = take;
    do
        actor_step(a);
    while (a->busy);
}

static void write_row(struct world *w, int table, uint8_t key, uint8_t val, uint8_t version)
{
    const struct sim_row row = {1, val, version, 1};

    if (!world_write(w, table, &key, &row, 1))
        abort();
}

/* The connection is lost when the left side of what the task writes is committed. */
static void cut_in_half(struct world *w, struct actor *a, enum sim_task task)
{
    size_t n = w->table[0].nlog;

    a->task = task;
    a->take = 16;
    do
        actor_step(a);
    while (a->busy && w->table[0].nlog == n);
    a->lose = true;
    do
        actor_step(a);
    while (a->busy);
}

static void read_all(struct actor *first, struct actor *second)
{
    while (actor_has_work(first) || actor_has_work(second)) {
        if (actor_has_work(first))
            run_task(first, TASK_BATCH, 1);
        if (actor_has_work(second))
            run_task(second, TASK_BATCH, 1);
    }
}

/* A reconcile is cut in half, and so is its repetition; then the winner becomes one that the right
 * refuses: recovery puts the key into quarantine, and the daemon dies. The id of the half stands in the left
 * log and must not be given again: what another key's marker supersedes would come back. */
static bool half_is_refused(struct world *w)
{
    struct actor *right_going = &w->actor[0], *left_going = &w->actor[1];

    world_reset(w, 2, 2, false, SIDE_RIGHT);
    run_task(right_going, TASK_OPEN, 0);
    run_task(left_going, TASK_OPEN, 0);
    w->table[1].refuses = true;
    write_row(w, 0, 0, 1, 1);
    write_row(w, 0, 1, 1, 1);
    run_task(right_going, TASK_BATCH, 16);
    run_task(left_going, TASK_BATCH, 16);

    write_row(w, 0, 0, 2, 2);
    write_row(w, 1, 0, 3, 1);
    cut_in_half(w, right_going, TASK_BATCH);
    cut_in_half(w, right_going, TASK_OPEN);
    write_row(w, 0, 0, REFUSED_VALUE, 9);
    run_task(right_going, TASK_OPEN, 0);
    if (!world_has_quarantine(w))
        return false;
    world_crash(w);
    run_task(right_going, TASK_OPEN, 0);
    run_task(left_going, TASK_OPEN, 0);

    write_row(w, 0, 1, 2, 1);
    write_row(w, 1, 1, 3, 1);
    write_row(w, 1, 1, 1, 1);
    while (actor_has_work(left_going))
        run_task(left_going, TASK_BATCH, 1);
    read_all(right_going, left_going);
    w->table[1].refuses = false;
    run_task(world_resync(w, 0), TASK_QUARANTINE, 0);
    read_all(left_going, right_going);
    return world_is_quiet(w) && !world_has_quarantine(w) && world_is_equal(w);
}

bool fixed_cases(void)
{
    static const struct {
        const char *name;
        bool (*run)(struct world *w);
    } cases[] = {
        {"a half whose repetition is refused", half_is_refused},
    };
    struct world *w = world_new();
    bool all = true;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool ok = cases[i].run(w);

        printf("%s %s\n", ok ? "ok   " : "WRONG", cases[i].name);
        if (!ok)
            world_print(w);
        all &= ok;
    }
    world_free(w);
    return all;
}
