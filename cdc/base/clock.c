#include "cdc/base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

mono_us clock_mono(void) { return (mono_us){read_us(CLOCK_MONOTONIC)}; }

wall_us clock_wall(void) { return (wall_us){read_us(CLOCK_REALTIME)}; }

int64_t mono_diff_us(mono_us later, mono_us earlier) { return later.v - earlier.v; }

/* "2026-01-05", the separator, "10:11:12", a point and `digits` of the fraction. */
static const char *print_utc(wall_us t, char separator, int digits, const char *tail, char *out, size_t size)
{
    int64_t us = t.v % 1000000;
    time_t s = (time_t)(t.v / 1000000);
    if (us < 0) {
        us += 1000000;
        s -= 1;
    }
    struct tm tm = {0};
    gmtime_r(&s, &tm);
    char date[64];
    snprintf(date, sizeof date, "%04d-%02d-%02d%c%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
             tm.tm_mday, separator, tm.tm_hour, tm.tm_min, tm.tm_sec);
    if (digits == 3)
        us /= 1000;
    int n = snprintf(out, size, "%s.%0*d%s", date, digits, (int)us, tail);
    assert(n >= 0);
    (void)n;
    return out;
}

const char *wall_sql(wall_us t, char *out, size_t size)
{
    assert(size >= 27);
    return print_utc(t, ' ', 6, "", out, size);
}

const char *wall_iso(wall_us t, char *out, size_t size)
{
    assert(size >= 25);
    return print_utc(t, 'T', 3, "Z", out, size);
}
