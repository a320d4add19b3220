#include "appliers/pace.h"

enum {
    QUIET_AFTER_US = 500000,
    LEAST_ROWS = 32,
    GENTLE_SHARE = 16, /* of what a chunk has at full speed: 1 / so many */
};

void pace_begin(struct pace *p, uint64_t handed_on) { *p = (struct pace){.handed_on = handed_on}; }

void pace_look(struct pace *p, uint64_t handed_on, mono_us now)
{
    if (handed_on != p->handed_on) {
        p->gentle = true;
        p->last_seen = now;
    } else if (mono_diff_us(now, p->last_seen) >= QUIET_AFTER_US) {
        p->gentle = false;
    }
    p->handed_on = handed_on;
}

size_t pace_bytes(const struct pace *p, size_t at_full_speed)
{
    size_t share = p->gentle ? at_full_speed / GENTLE_SHARE : at_full_speed;

    return share > 0 ? share : 1;
}

size_t pace_rows(const struct pace *p, size_t at_full_speed)
{
    size_t share = pace_bytes(p, at_full_speed),
           least = at_full_speed < LEAST_ROWS ? at_full_speed : LEAST_ROWS;

    return share > least ? share : least;
}
