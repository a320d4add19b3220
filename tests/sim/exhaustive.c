/*
 * exhaustive.c - every interleaving of a small case.
 *
 * The search goes down until it meets a state that it has seen, which a 64-bit hash
 * tells, or an end; then it goes back to the last state with a move left: a copy of
 * the world is put back (image.h), or, where there are no copies, the moves that
 * lead there are executed again from the start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "tests/sim/sim.h"
#include "tests/sim/world.h"

enum { MAX_DEPTH = 500, MAX_MOVES = 24 };

enum move_kind { MOVE_WRITE, MOVE_STEP, MOVE_TASK, MOVE_CRASH, MOVE_LOSE, MOVE_VICTIM };

struct move {
    uint8_t kind, who, what;
    uint8_t take;
};

/* What may still happen. */
struct budget {
    size_t writes[2], crashes, losses, skips, resyncs;
    struct sim_row last; /* one_sided: what the application left behind */
};

struct frame {
    struct move moves[MAX_MOVES];
    uint8_t nmoves, next;
    struct budget left;
    struct image image;
};

struct search {
    struct exhaustive_run run;
    struct world *w;
    struct budget left;
    struct frame *frames;
    size_t depth;
    uint64_t *seen; /* open addressing, 0: free */
    size_t nseen, seen_size;
    size_t states, quiescent, diverged, endless, executed;
};

/* ---- States that have been visited ---- */

static bool seen_insert(uint64_t *table, size_t size, uint64_t h)
{
    for (size_t i = h & (size - 1);; i = (i + 1) & (size - 1)) {
        if (table[i] == h)
            return false;
        if (table[i] == 0) {
            table[i] = h;
            return true;
        }
    }
}

static bool first_visit(struct search *s)
{
    uint64_t h = world_hash(s->w, s->left.crashes + s->left.losses > 0);

    h = (h ^ (s->left.writes[0] << 2 | s->left.writes[1] << 5 | s->left.crashes << 8 | s->left.losses << 11 |
              s->left.skips << 14 | s->left.resyncs << 17)) *
        0x9e3779b97f4a7c15ULL;
    h ^= h >> 29;
    h += h == 0;
    if (s->nseen * 3 >= s->seen_size * 2) {
        size_t size = s->seen_size * 2;
        uint64_t *table = mem_zalloc(size, sizeof *table);

        for (size_t i = 0; i < s->seen_size; i++)
            if (s->seen[i] != 0)
                seen_insert(table, size, s->seen[i]);
        free(s->seen);
        s->seen = table;
        s->seen_size = size;
    }
    bool is_new = seen_insert(s->seen, s->seen_size, h);

    s->nseen += is_new;
    return is_new;
}

/* ---- Moves ---- */

static void add_move(struct frame *f, enum move_kind kind, size_t who, uint8_t what, uint8_t take)
{
    if (f->nmoves == MAX_MOVES)
        abort();
    f->moves[f->nmoves++] = (struct move){(uint8_t)kind, (uint8_t)who, what, take};
}

static struct sim_row row_for(uint8_t what)
{
    /* No version and no clock: every conflict is a tie, which is the worst case. */
    return what == 0 ? (struct sim_row){0, 0, 0, 0} : (struct sim_row){1, what, 1, 1};
}

static void add_actor_moves(struct search *s, struct frame *f, size_t i)
{
    const struct actor *a = &s->w->actor[i];
    size_t left;

    if (a->is_resync && !a->busy) {
        if (a->resync_wanted || s->left.resyncs > 0)
            add_move(f, MOVE_TASK, i, TASK_RESYNC, 0);
        return;
    }

    if (a->busy) {
        if (actor_can_run(a))
            add_move(f, MOVE_STEP, i, 0, 0);
        if (s->left.losses > 0 && a->waits_for_gates == 0)
            add_move(f, MOVE_LOSE, i, 0, 0);
        return;
    }
    if (!a->open) {
        add_move(f, MOVE_TASK, i, TASK_OPEN, 0);
        return;
    }
    left = a->store[a->from].table->nlog - a->at;
    if (left > 0)
        add_move(f, MOVE_TASK, i, TASK_BATCH, 1);
    if (left > 1 && s->run.batches)
        add_move(f, MOVE_TASK, i, TASK_BATCH, 16);
    if (s->left.skips > 0 && a->at != a->apply.stored.pos.offset)
        add_move(f, MOVE_TASK, i, TASK_SKIP, 0);
}

/* Nothing has been written yet. Values are compared for equality alone, so it is all the same which of them
 * comes first: that one is called 1, and the other half of all states are these with the names exchanged. */
static bool values_are_new(const struct search *s)
{
    return !s->run.drift && s->left.writes[0] == s->run.writes &&
           s->left.writes[1] == (s->run.one_sided ? 0 : s->run.writes);
}

static void find_moves(struct search *s, struct frame *f)
{
    static const uint8_t key = 0;

    f->nmoves = f->next = 0;
    for (size_t i = 0; i < s->w->nactors; i++)
        add_actor_moves(s, f, i);
    for (int t = 0; t < 2; t++)
        for (uint8_t v = 0; v < 3 && s->left.writes[t] > 0; v++) {
            struct sim_row row = row_for(v), now = s->w->table[t].row[0];
            bool same = row.present == now.present && row.val == now.val;

            if (v == 2 && values_are_new(s))
                continue;
            if (!same && world_may_write(s->w, t, &key, &row, 1))
                add_move(f, MOVE_WRITE, (size_t)t, v, 0);
        }
    if (s->left.crashes > 0)
        add_move(f, MOVE_CRASH, 0, 0, 0);
    if (f->nmoves == 0)
        for (size_t i = 0; i < s->w->nactors; i++)
            if (s->w->actor[i].waits_for_lock)
                add_move(f, MOVE_VICTIM, i, 0, 0);
}

static void make_move(struct search *s, const struct move *m)
{
    static const uint8_t key = 0;
    struct actor *a = &s->w->actor[m->who];
    struct sim_row row;

    s->executed++;
    switch ((enum move_kind)m->kind) {
    case MOVE_WRITE:
        row = row_for(m->what);
        s->left.writes[m->who]--;
        s->left.last = row;
        if (!world_write(s->w, m->who, &key, &row, 1))
            abort();
        return;
    case MOVE_TASK:
        s->left.skips -= m->what == TASK_SKIP;
        s->left.resyncs -= m->what == TASK_RESYNC && !a->resync_wanted;
        a->task = m->what;
        a->take = m->take;
        break;
    case MOVE_CRASH:
        s->left.crashes--;
        world_crash(s->w);
        return;
    case MOVE_LOSE:
        s->left.losses--;
        a->lose = true;
        break;
    case MOVE_VICTIM: a->victim = true; break;
    case MOVE_STEP: break;
    }
    actor_step(a);
}

static void start(struct search *s)
{
    /* One-sided: whatever is taken for a conflict is decided against the only writer, and shows. */
    world_reset(s->w, 1, 2, s->run.delete_wins, s->run.one_sided ? SIDE_RIGHT : SIDE_LEFT);
    s->left.writes[0] = s->run.writes;
    s->left.writes[1] = s->run.one_sided ? 0 : s->run.writes;
    s->left.resyncs = s->run.resyncs;
    s->left.last = (struct sim_row){0, 0, 0, 0};
    world_resync(s->w, 0)->order = s->run.order;
    world_resync(s->w, 0)->copies = s->run.copies;
    world_resync(s->w, 0)->target = s->run.target;
    for (size_t i = 0; i < 2 && s->run.lanes; i++)
        actor_use_lanes(&s->w->actor[i], 3, 0, 1);
    for (int t = 0; t < 2 && s->run.drift; t++)
        world_drift(s->w, t, 0, row_for(s->run.drifted[t]));
    s->left.crashes = s->run.crashes;
    s->left.losses = s->run.losses;
    s->left.skips = s->run.skips;
    /* Both directions begin before the first write: what was there earlier is a resync's business. */
    for (size_t i = 0; i < s->w->nactors; i++)
        while (!s->w->actor[i].open || s->w->actor[i].busy) {
            s->w->actor[i].task = TASK_OPEN;
            actor_step(&s->w->actor[i]);
        }
}

/* ---- The search ---- */

static void print_move(const struct search *s, const struct move *m)
{
    static const char *const values[] = {"absent", "1", "2"};
    static const char *const tasks[] = {"opens", "takes a batch", "stores its position", "tries quarantine",
                                        "begins"};

    switch ((enum move_kind)m->kind) {
    case MOVE_WRITE: printf("  application writes %s on the %s\n", values[m->what], side_name(m->who)); break;
    case MOVE_TASK: printf("  %s %s\n", actor_name(&s->w->actor[m->who]), tasks[m->what]); break;
    case MOVE_STEP: printf("  %s goes on\n", actor_name(&s->w->actor[m->who])); break;
    case MOVE_CRASH: printf("  the daemon crashes\n"); break;
    case MOVE_LOSE: printf("  %s loses its connection\n", actor_name(&s->w->actor[m->who])); break;
    case MOVE_VICTIM: printf("  %s is the victim of a deadlock\n", actor_name(&s->w->actor[m->who])); break;
    }
}

static void report(struct search *s)
{
    if (s->diverged++ > 0)
        return;
    printf("diverged after %zu moves:\n", s->depth);
    for (size_t d = 0; d < s->depth; d++)
        print_move(s, &s->frames[d].moves[s->frames[d].next - 1]);
    world_print(s->w);
}

/* Does the table hold what its only writer wrote last? */
static bool is_last(const struct search *s)
{
    const struct sim_row *row = &s->w->table[0].row[0];

    return row->present == s->left.last.present && (!row->present || row->val == s->left.last.val);
}

/* Goes down from the present state to one that was seen, or to an end. */
static void descend(struct search *s)
{
    for (;;) {
        struct frame *f = &s->frames[s->depth];

        if (!first_visit(s))
            return;
        s->states++;
        if (world_is_quiet(s->w)) {
            s->quiescent++;
            if (!world_is_equal(s->w) || (s->run.one_sided && !is_last(s)))
                report(s);
        }
        find_moves(s, f);
        if (f->nmoves == 0)
            return;
        if (s->depth == MAX_DEPTH) { /* something goes on for ever: no way to go deeper */
            s->endless++;
            f->next = f->nmoves;
            return;
        }
        if (IMAGE_BY_COPY && f->nmoves > 1) {
            f->left = s->left;
            image_begin(&f->image, true);
            world_part(s->w, &f->image);
        }
        make_move(s, &f->moves[f->next++]);
        s->depth++;
    }
}

/* The world as it was in the frame at the end of the way. */
static void come_again(struct search *s)
{
    struct frame *f = &s->frames[s->depth - 1];

    if (IMAGE_BY_COPY) {
        s->left = f->left;
        image_begin(&f->image, false);
        world_part(s->w, &f->image);
        return;
    }
    start(s);
    for (size_t d = 0; d + 1 < s->depth; d++)
        make_move(s, &s->frames[d].moves[s->frames[d].next - 1]);
}

/* To the last state with a move left, and makes that move. */
static bool go_back(struct search *s)
{
    while (s->depth > 0) {
        struct frame *f = &s->frames[s->depth - 1];

        if (f->next < f->nmoves) {
            come_again(s);
            make_move(s, &f->moves[f->next++]);
            return true;
        }
        s->depth--;
    }
    return false;
}

enum search_result exhaustive_search(const struct exhaustive_run *run)
{
    struct search s = {.run = *run, .seen_size = 1U << 20};

    s.w = world_new();
    s.frames = mem_zalloc(MAX_DEPTH + 1, sizeof *s.frames);
    s.seen = mem_zalloc(s.seen_size, sizeof *s.seen);
    start(&s);
    do
        descend(&s);
    while (!(run->until_first && s.diverged > 0) && go_back(&s));
    printf("%s %zu writes a side, %zu crashes, %zu losses, delete_vs_update %s%s%s%s: "
           "%zu states, %zu quiescent, %zu diverged, %zu endless (%zu moves)\n",
           s.diverged + s.endless == 0 ? "ok   " : "WRONG", run->writes, run->crashes, run->losses,
           run->delete_wins ? "delete" : "keep", run->batches ? ", batches" : "",
           run->skips > 0 ? ", skips"
           : run->lanes   ? ", lanes"
                          : "",
           run->drift       ? ", drift and resync"
           : run->one_sided ? ", one side, resyncs"
           : run->resyncs   ? ", resyncs"
                            : "",
           s.states, s.quiescent, s.diverged, s.endless, s.executed);
    world_free(s.w);
    for (size_t d = 0; d <= MAX_DEPTH; d++)
        image_done(&s.frames[d].image);
    free(s.frames);
    free(s.seen);
    return s.diverged > 0 ? SEARCH_DIVERGED : s.endless > 0 ? SEARCH_ENDLESS : SEARCH_OK;
}
