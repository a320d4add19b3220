/*
 * sim - runs the real apply and reconcile code through what can happen.
 *
 *   sim exhaustive keep|delete [WRITES CRASHES [N OF]]   every interleaving; with N and OF, part N (from 0) of so many
 *   sim random SCHEDULES [SEED]                   so many walks; the seed of each that fails is printed
 *   sim cases                                     single cases that walks hardly ever find
 *   sim replay SEED                               one walk, with what led there
 *   sim broken                                    for builds with a rule broken: 0 if both searches find it
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc/base/clock.h"
#include "tests/sim/sim.h"

/* A rule of the resync is found broken only where one comes by. */
#if defined(BREAK_RESYNC_IGNORES_PENDING) || defined(BREAK_RESYNC_COPIES_PENDING)
enum { BROKEN_RESYNCS = 1 };
#else
enum { BROKEN_RESYNCS = 0 };
#endif
#ifdef BREAK_ONE_POSITION
enum { BROKEN_LANES = 1 };
#else
enum { BROKEN_LANES = 0 };
#endif
/* The exhaustive search has one key, and what is read ahead, or lies beside the chunk, are others. */
#if defined(BREAK_RESYNC_KEEPS_OLD_ROWS) || defined(BREAK_RESYNC_FORGETS_ADDED)
enum { NEEDS_KEYS = 1 };
#else
enum { NEEDS_KEYS = 0 };
#endif

static int run_exhaustive(bool delete_wins, size_t writes, size_t crashes, size_t part, size_t parts)
{
    const struct exhaustive_run runs[] = {
        {.writes = writes, .crashes = crashes, .delete_wins = delete_wins},
        {.writes = writes, .delete_wins = delete_wins, .batches = true},
        {.writes = writes - 1, .losses = 1, .delete_wins = delete_wins, .skips = 1},
        {.writes = writes - 1, .crashes = crashes, .delete_wins = delete_wins, .lanes = true},
        {.writes = writes - 1, .losses = 1, .delete_wins = delete_wins, .batches = true, .lanes = true},
        {.writes = writes - 1, .crashes = 1, .delete_wins = delete_wins, .resyncs = 1},
        {.writes = writes, .delete_wins = delete_wins, .resyncs = 1, .one_sided = true},
        {.writes = writes - 1,
         .crashes = crashes,
         .delete_wins = delete_wins,
         .resyncs = 1,
         .one_sided = true,
         .lanes = true},
        {.writes = 1, .crashes = 1, .losses = 1, .delete_wins = delete_wins, .drift = true, .drifted = {1, 2}},
        {.writes = 1, .crashes = 1, .delete_wins = delete_wins, .drift = true, .drifted = {0, 1}},
        /* Chains that cross over twice, and rows that echoes delete. */
        {.writes = writes - 1, .delete_wins = delete_wins, .drift = true, .drifted = {1, 2}},
        {.writes = writes - 1, .delete_wins = delete_wins, .drift = true, .drifted = {0, 1}},
        {.writes = 1,
         .crashes = 1,
         .delete_wins = delete_wins,
         .drift = true,
         .drifted = {1, 2},
         .order = {.has_from = true, .from = SIDE_RIGHT, .force = true, .delete_missing = true}},
        /* Scans that copy. */
        {.writes = writes - 1, .delete_wins = delete_wins, .resyncs = 1, .copies = true, .target = SIDE_RIGHT},
        {.writes = writes, .delete_wins = delete_wins, .resyncs = 1, .one_sided = true, .copies = true},
        {.writes = 1,
         .crashes = 1,
         .losses = 1,
         .delete_wins = delete_wins,
         .drift = true,
         .drifted = {0, 1},
         .copies = true},
        {.writes = writes - 1,
         .delete_wins = delete_wins,
         .drift = true,
         .drifted = {2, 1},
         .copies = true,
         .target = SIDE_RIGHT},
        {.writes = writes - 1, .delete_wins = delete_wins, .drift = true, .drifted = {0, 1}, .copies = true},
    };
    bool ok = true;

    for (size_t i = part; i < sizeof runs / sizeof runs[0]; i += parts) {
        ok &= exhaustive_search(&runs[i]) == SEARCH_OK;
        fflush(stdout);
    }
    return ok ? 0 : 1;
}

static int run_random(uint64_t schedules, uint64_t first)
{
    mono_us begin = clock_mono();
    uint64_t failed = 0;

    printf("%" PRIu64 " schedules from seed %" PRIu64 "\n", schedules, first);
    fflush(stdout);
    for (uint64_t i = 0; i < schedules && failed < 10; i++)
        failed += !random_schedule(first + i, false);
    printf("%s %" PRIu64 " schedules in %.1f s, %" PRIu64 " failed\n", failed == 0 ? "ok   " : "WRONG",
           schedules, (double)mono_diff_us(clock_mono(), begin) / 1e6, failed);
    return failed == 0 ? 0 : 1;
}

static int run_broken(void)
{
    const struct exhaustive_run run = {.writes = 2,
                                       .crashes = 1,
                                       .resyncs = BROKEN_RESYNCS,
                                       .copies = true,
                                       .target = SIDE_RIGHT,
                                       .lanes = BROKEN_LANES,
                                       .until_first = true};
    bool found_exhaustive = NEEDS_KEYS || exhaustive_search(&run) == SEARCH_DIVERGED;
    bool found_random = run_random(2000000, 1) != 0;

    printf("%s: the broken rule is %sfound by the exhaustive search, %sfound by random walks\n",
           found_exhaustive && found_random ? "ok" : "WRONG",
           NEEDS_KEYS         ? "not to be "
           : found_exhaustive ? ""
                              : "not ",
           found_random ? "" : "not ");
    return found_exhaustive && found_random ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && argc != 6 && strcmp(argv[1], "exhaustive") == 0) {
        size_t parts = argc > 6 ? strtoul(argv[6], NULL, 10) : 1;

        return run_exhaustive(strcmp(argv[2], "delete") == 0, argc > 3 ? strtoul(argv[3], NULL, 10) : 3,
                              argc > 4 ? strtoul(argv[4], NULL, 10) : 1,
                              argc > 5 ? strtoul(argv[5], NULL, 10) : 0, parts > 0 ? parts : 1);
    }
    if (argc >= 3 && strcmp(argv[1], "random") == 0)
        return run_random(strtoull(argv[2], NULL, 10),
                          argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL) * 1000003U);
    if (argc == 2 && strcmp(argv[1], "cases") == 0)
        return fixed_cases() ? 0 : 1;
    if (argc == 3 && strcmp(argv[1], "replay") == 0)
        return random_schedule(strtoull(argv[2], NULL, 10), true) ? 0 : 1;
    if (argc == 2 && strcmp(argv[1], "broken") == 0)
        return run_broken();
    fprintf(stderr,
            "usage: sim exhaustive keep|delete [WRITES CRASHES [N OF]] | random SCHEDULES [SEED] | cases | "
            "replay SEED | broken\n");
    return 2;
}
