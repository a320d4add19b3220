#include "cdc/base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

#define FIRST_BYTES 128

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf)BUF_INIT;
    b->max = max_bytes;
}

void buf_done(struct buf *b)
{
    free(b->data);
    buf_init(b, b->max);
}

void buf_wipe_done(struct buf *b)
{
    mem_wipe_free(b->data, b->cap);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->overrun = false;
    if (b->data != NULL)
        b->data[0] = '\0';
}

/* Room for len more bytes and the NUL. The old memory is wiped, not handed to
 * realloc(): buf_wipe_done() could not reach a copy that growing left behind. */
static bool grow(struct buf *b, size_t len)
{
    if (b->overrun || len > SIZE_MAX / 2 - b->len || (b->max != 0 && len > b->max - b->len)) {
        b->overrun = true;
        return false;
    }
    size_t need = b->len + len + 1;
    if (need <= b->cap)
        return true;

    size_t cap = b->cap > 0 ? b->cap : FIRST_BYTES;
    while (cap < need)
        cap *= 2;
    char *data = mem_alloc(cap);
    if (b->len > 0)
        memcpy(data, b->data, b->len);
    data[b->len] = '\0';
    mem_wipe_free(b->data, b->cap);
    b->data = data;
    b->cap = cap;
    return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    if (!grow(b, len))
        return;
    if (len > 0)
        memcpy(b->data + b->len, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_addc(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(b, fmt, ap);
    va_end(ap);
}

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    size_t room = b->data != NULL ? b->cap - b->len : 0;
    int n = vsnprintf(room > 0 ? b->data + b->len : NULL, room, fmt, ap);

    if (n < 0)
        b->overrun = true;
    else if (!grow(b, (size_t)n))
        ;
    else if ((size_t)n < room)
        b->len += (size_t)n;
    else {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    if (b->data != NULL)
        b->data[b->len] = '\0';
    va_end(again);
}

/* Cleared, so that whatever part of it the caller uses is followed by a NUL. */
char *buf_room(struct buf *b, size_t len)
{
    if (!grow(b, len))
        return NULL;
    memset(b->data + b->len, 0, len + 1);
    return b->data + b->len;
}
