/*
 * buf.h - growable bytes with a limit.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data; /* always followed by a NUL once anything was added; NULL when empty and new */
    size_t len;
    size_t cap;
    size_t max;   /* bytes; 0: no limit */
    bool overrun; /* an addition did not fit: it and all later ones are left out */
};

#define BUF_INIT             \
    {                        \
        NULL, 0, 0, 0, false \
    }

void buf_init(struct buf *b, size_t max_bytes);
void buf_done(struct buf *b);
void buf_wipe_done(struct buf *b); /* for plain text and secrets */
void buf_clear(struct buf *b);     /* keeps the memory */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* Room for len bytes at the end, to be filled by the caller, who then adds to
 * b->len what was used. NULL (and overrun set) past the limit. */
char *buf_room(struct buf *b, size_t len);

#endif
