/*
 * sim.h - the two ways to walk through what can happen.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/model/record.h"

struct exhaustive_run {
    size_t writes;    /* by applications, on each side */
    size_t crashes;   /* of the daemon */
    size_t losses;    /* of one direction's connections */
    bool delete_wins; /* delete_vs_update = "delete" */
    bool batches;     /* a direction may also take all that its log holds at once */
    size_t skips;     /* positions that directions store on their own */
    size_t resyncs;   /* that come by at any moment */
    bool one_sided;   /* only the left is written: then nothing may ever be taken for a conflict */
    bool drift; /* the tables begin with these rows, as applications write them, and a resync that has to be done */
    uint8_t drifted[2];
    struct job_order order;
    bool copies; /* its scans copy into target what they can */
    enum side target;
    bool lanes;       /* every batch is written in lanes; the key is not lane 0's */
    bool until_first; /* ends at the first divergence */
};

enum search_result { SEARCH_OK, SEARCH_DIVERGED, SEARCH_ENDLESS };

/* Visits every state of one key and two tables. Prints one line, and the way to the
 * first divergence if there is one. */
enum search_result exhaustive_search(const struct exhaustive_run *run);

/* One schedule, all of it from the seed. False, with all that led there printed, if it diverges
 * or does not come to an end. */
bool random_schedule(uint64_t seed, bool print);

/* Single cases, one line each. */
bool fixed_cases(void);

#endif
