#include "appliers/refusals.h"

#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/log.h"

enum { WINDOW_S = 60, NAMED_IN_WINDOW = 20, EVENT_EVERY_S = 60, NAME_BYTES = 256 };

static bool is_over(mono_us since, int64_t seconds)
{
    return mono_diff_us(clock_mono(), since) >= seconds * 1000000;
}

static void log_one(struct refusals *r, const char *name, const struct err *why)
{
    if (r->window.v == 0 || is_over(r->window, WINDOW_S)) {
        if (r->in_window > NAMED_IN_WINDOW)
            log_warn("%" PRIu64 " more rows were refused and wait in quarantine",
                     r->in_window - NAMED_IN_WINDOW);
        r->window = clock_mono();
        r->in_window = 0;
    }
    r->in_window++;
    if (r->in_window <= NAMED_IN_WINDOW)
        log_warn("row %s cannot be written: %s; it waits in quarantine, the rest goes on", name, why->text);
    if (r->in_window == NAMED_IN_WINDOW)
        log_warn(
            "more rows that are refused within this minute are counted, not named: twinlog quarantine lists "
            "them");
}

static void send_event(struct refusals *r, const char *name, const struct err *why)
{
    char text[NAME_BYTES + sizeof why->text + 64];

    if (r->event == NULL || (r->has_event && !is_over(r->last_event, EVENT_EVERY_S)))
        return;
    r->has_event = true;
    r->last_event = clock_mono();
    snprintf(text, sizeof text, "row %s cannot be written: %s", name, why->text);
    r->event(r->event_arg, &(struct event){EVENT_QUARANTINED, r->link->name, r->direction, text});
}

void refusals_tell(struct refusals *r, const struct key *key, const struct err *why)
{
    struct buf text = BUF_INIT;
    char name[NAME_BYTES];

    key_print(r->link, key, &text);
    log_key(text.data, text.len, name, sizeof name);
    buf_wipe_done(&text);
    log_one(r, name, why);
    send_event(r, name, why);
}
