#include "appliers/pace.h"

enum {
    QUIET_AFTER_US = 500000,
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

size_t pace_share(const struct pace *p, size_t at_full_speed)
{
    size_t share = p->gentle ? at_full_speed / GENTLE_SHARE : at_full_speed;

    return share > 0 ? share : 1;
}
