/*
 * progress.h - how far long work has come, for whoever waits for it.
 *
 * On a terminal it is one line that is drawn again: bar, percent, rows, rows a
 * second and the time that is left. Elsewhere it is a plain line when something
 * has changed, one every 5 s at most. What it is given may come over a network.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cdc/base/buf.h"
#include "cdc/base/clock.h"

/* ---- Arithmetic (pure) ---- */

enum { PROGRESS_SAMPLES = 32 };

/* How far it was at which moment, over the last seconds. Begins as {0}. */
struct progress_rate {
    struct {
        mono_us at;
        uint64_t done;
    } samples[PROGRESS_SAMPLES];
    size_t first, count;
};

/* now never goes back; a done that does begins anew (the work was resumed). */
void progress_rate_add(struct progress_rate *r, mono_us now, uint64_t done);
/* Below 0: not known yet. */
double progress_rate_per_s(const struct progress_rate *r);
/* Seconds that are left; -1 if nobody can know, or it is longer than 99 days. */
int64_t progress_left_s(uint64_t done, uint64_t expected, double per_s);
/* 0 to 99: whoever is asked has not finished. -1 if expected is not known. */
int progress_percent(uint64_t done, uint64_t expected);

/* ---- The display ---- */

struct progress { /* the caller's memory */
    FILE *out;
    const char *label;
    bool terminal;
    struct progress_rate rate;
    bool drawn; /* terminal: the cursor stands behind our line */
    bool shown; /* something was, at shown_at */
    mono_us shown_at;
    struct {
        uint64_t done, expected;
        struct buf text;
    } last; /* as shown */
};

/* label is borrowed until progress_end(). */
void progress_begin(struct progress *p, FILE *out, const char *label);
/* Rows that are done, and about how many there are, 0 if that is not known; text:
 * what else there is to say, NULL or "": nothing. As often as one likes. */
void progress_update(struct progress *p, uint64_t done, uint64_t expected, const char *text);
/* It stands still: why, instead of the numbers. */
void progress_wait(struct progress *p, const char *why);
/* Takes the line off the terminal so that something else can be printed; the next
 * update draws it again. */
void progress_clear(struct progress *p);
void progress_end(struct progress *p);

/* Both at a moment of the caller's, for tests. */
void progress_update_at(struct progress *p, mono_us now, uint64_t done, uint64_t expected, const char *text);
void progress_wait_at(struct progress *p, mono_us now, const char *why);
/* The line for a terminal that is so many columns wide; 0: the plain one. */
void progress_line(const struct progress *p, uint64_t done, uint64_t expected, const char *text, int columns,
                   struct buf *out);

#endif
