#include "cdc/base/err.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* What servers and libraries say may hold line ends; what we say is one line.
 * A cut does not leave half a character behind. */
static void put_text(struct err *err, char *text, bool cut)
{
    size_t len = strlen(text);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    if (cut) {
        size_t start = len;
        while (start > 0 && len - start < 4 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
            start--;
        if (start > 0 && (unsigned char)text[start - 1] >= 0xc0) {
            unsigned char lead = (unsigned char)text[start - 1];
            size_t want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
            if (len - (start - 1) < want)
                len = start - 1;
        }
    }
    while (len > 0 && text[len - 1] == ' ')
        len--;
    memcpy(err->text, text, len);
    err->text[len] = '\0';
}

bool(err_set)(struct err *err, enum err_kind kind, int code, const char *fmt, ...)
{
    if (err == NULL)
        return false;

    /* The arguments may point into err->text. */
    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';

    err->kind = kind;
    err->code = code;
    err->index = SIZE_MAX;
    put_text(err, text, n >= (int)sizeof text);
    return false;
}

bool(err_prefix)(struct err *err, const char *fmt, ...)
{
    if (err == NULL)
        return false;

    char text[sizeof err->text];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;

    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    int m = snprintf(text + len, sizeof text - len, ": %s", err->text);
    put_text(err, text, m < 0 || len + (size_t)m >= sizeof text);
    return false;
}

void err_clear(struct err *err)
{
    if (err != NULL)
        *err = (struct err)ERR_INIT;
}

const char *err_kind_name(enum err_kind kind)
{
    switch (kind) {
    case ERR_NONE: return "none";
    case ERR_RETRY: return "retry";
    case ERR_BUSY: return "busy";
    case ERR_ROW: return "row";
    case ERR_CONFIG: return "config";
    case ERR_FATAL: return "fatal";
    case ERR_HALT: return "halt";
    case ERR_LOST: return "lost";
    case ERR_STOPPED: return "stopped";
    }
    return "unknown";
}
