/*
 * once.h - a trouble that stays is told once, and then now and then.
 *
 * One trouble may show itself in several ways by turns (refused, cut off, refused ...): the last few texts are
 * known. One thread at a time. {0} is a trouble that has not come yet.
 */
#ifndef BASE_ONCE_H
#define BASE_ONCE_H

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/clock.h"
#include "cdc/base/err.h"

enum { ONCE_TEXTS = 4 };

struct once {
    char text[sizeof((struct err *)0)->text]; /* as last told, shortened to fit; "": nothing since once_clear() */
    struct {
        uint64_t hash; /* of the text */
        mono_us told_at;
    } told[ONCE_TEXTS];
    unsigned ntold; /* of them in use */
};

/* Is this to be told: another text than the last few that were, or the same again_after_s later? If so, it counts as
 * told now. */
bool once_is_news(struct once *o, const char *text, unsigned again_after_s);
void once_clear(struct once *o); /* it is over: what comes next is news */

#endif
