#include "cdc/base/once.h"

#include <stdio.h>
#include <string.h>

bool once_is_news(struct once *o, const char *text, unsigned again_after_s)
{
    const mono_us now = clock_mono();
    const bool same = o->text[0] != '\0' && strncmp(o->text, text, sizeof o->text - 1) == 0;

    if (same && mono_diff_us(now, o->told_at) < again_after_s * INT64_C(1000000))
        return false;
    snprintf(o->text, sizeof o->text, "%s", text);
    o->told_at = now;
    return true;
}

void once_clear(struct once *o) { *o = (struct once){0}; }
