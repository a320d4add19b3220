/*
 * err.h - an error that says what the caller has to do about it.
 *
 * Functions that can fail return false and fill a struct err of the caller's;
 * only a thread's own loop logs it. The text never holds a row value, key
 * material or a password.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum err_kind {
    ERR_NONE,
    ERR_RETRY, /* connection or server trouble: back off, reconnect, start again from the checkpoint */
    ERR_BUSY,  /* deadlock or lock timeout, rolled back: again, smaller */
    ERR_ROW,   /* this one row cannot be written or read */
    ERR_CONFIG, /* the operator must change something: at the start tell and end; later tell, and try now and then */
    ERR_FATAL,   /* going on would do harm: tell and end, at any time */
    ERR_HALT,    /* this direction cannot go on by itself; the rest can */
    ERR_LOST,    /* the source no longer has, or never had, the wanted position */
    ERR_STOPPED, /* the stop flag is up: no error to show */
};

struct err {
    enum err_kind kind;
    int code;       /* the server's or errno's number, 0 if none */
    size_t index;   /* ERR_ROW: which of the rows passed in, SIZE_MAX if unknown */
    char text[480]; /* one line, no full stop */
};

#define ERR_INIT                    \
    {                               \
        ERR_NONE, 0, (size_t)-1, "" \
    }

/* Both return false, for `return err_set(...)`. err may be NULL. */
bool err_set(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Puts "what: " in front of the text that is there; kind and code stay. */
bool err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* So that compilers, too, know what both return: what a caller of a function of the
 * same file reads after a true has been set. */
static inline bool err_false(bool ignored)
{
    (void)ignored;
    return false;
}
#define err_set(...) err_false(err_set(__VA_ARGS__))
#define err_prefix(...) err_false(err_prefix(__VA_ARGS__))
void err_clear(struct err *err);
const char *err_kind_name(enum err_kind kind);

#endif
