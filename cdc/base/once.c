#include "cdc/base/once.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/hash.h"

/* Of the part that fits. */
static uint64_t hash_of(const struct once *o, const char *text)
{
    return hash_fnv1a(HASH_FNV1A, text, strnlen(text, sizeof o->text - 1));
}

bool once_is_news(struct once *o, const char *text, unsigned again_after_s)
{
    const mono_us now = clock_mono();
    const uint64_t hash = hash_of(o, text);
    unsigned i = 0;

    while (i < o->ntold && o->told[i].hash != hash)
        i++;
    if (i < o->ntold && text[0] != '\0' &&
        mono_diff_us(now, o->told[i].told_at) < again_after_s * INT64_C(1000000))
        return false;
    /* A new text takes the place of the one that was told the longest ago: the first. */
    if (i == o->ntold && o->ntold == ONCE_TEXTS)
        i = 0;
    else if (i == o->ntold)
        o->ntold++;
    memmove(&o->told[i], &o->told[i + 1], (o->ntold - 1 - i) * sizeof o->told[0]);
    o->told[o->ntold - 1].hash = hash;
    o->told[o->ntold - 1].told_at = now;
    snprintf(o->text, sizeof o->text, "%s", text);
    return true;
}

void once_clear(struct once *o) { *o = (struct once){0}; }
