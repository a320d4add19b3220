#include "cdc/binlog/kept.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

#define SMALL_BYTES 65536 /* what a large group took is given back */

void kept_init(struct kept *k, size_t max_bytes)
{
    *k = (struct kept){.on = false};
    buf_init(&k->events, max_bytes);
}

void kept_done(struct kept *k)
{
    buf_done(&k->events);
    free(k->file);
}

void kept_forget(struct kept *k)
{
    size_t max = k->events.max;

    kept_done(k);
    kept_init(k, max);
}

void kept_begin_group(struct kept *k)
{
    if (k->on)
        return;
    if (k->events.cap > SMALL_BYTES)
        buf_done(&k->events);
    buf_clear(&k->events);
}

void kept_add(struct kept *k, const uint8_t *event, size_t len)
{
    uint32_t n = (uint32_t)len;
    char *to = buf_room(&k->events, sizeof n + len);

    if (to == NULL)
        return;
    memcpy(to, &n, sizeof n);
    memcpy(to + sizeof n, event, len);
    k->events.len += sizeof n + len;
}

void kept_go_on(struct kept *k, const char *file)
{
    if (k->on)
        return;
    k->on = true;
    k->file = file != NULL ? mem_strdup(file) : NULL;
}

bool kept_is_whole(const struct kept *k) { return k->on && !k->events.overrun; }

void kept_move(struct kept *k, struct kept *ret_all)
{
    *ret_all = *k;
    kept_init(k, ret_all->events.max);
}

bool kept_next(const struct kept *k, size_t *at, const uint8_t **ret_event, size_t *ret_len)
{
    uint32_t n;

    if (*at >= k->events.len)
        return false;
    memcpy(&n, k->events.data + *at, sizeof n);
    *ret_event = (const uint8_t *)k->events.data + *at + sizeof n;
    *ret_len = n;
    *at += sizeof n + n;
    return true;
}
