/*
 * clock.h - two clocks that cannot be mixed up: mono_us for differences and
 * deadlines, wall_us for people and peers. Both in microseconds.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t v;
} mono_us; /* since some moment before start */
typedef struct {
    int64_t v;
} wall_us; /* since 1970-01-01 00:00 UTC */

mono_us clock_mono(void);
wall_us clock_wall(void);
int64_t mono_diff_us(mono_us later, mono_us earlier);
/* "2026-01-05 10:11:12.345678" (UTC); size of at least 27. Returns out. */
const char *wall_sql(wall_us t, char *out, size_t size);
/* "2026-01-05T10:11:12.345Z"; size of at least 25. Returns out. */
const char *wall_iso(wall_us t, char *out, size_t size);

#endif
