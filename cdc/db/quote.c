/*
 * quote.c - literals and names as our sessions read them: sql_mode has
 * NO_BACKSLASH_ESCAPES, so a quote is the only character to double.
 */
#include <string.h>

#include "cdc/db/dbconn.h"

enum { LONG_BYTES = 4096 };

static void add_doubled(struct buf *out, const char *text, size_t len, char quote)
{
    buf_addc(out, quote);
    while (len > 0) {
        const char *hit = memchr(text, quote, len);
        size_t n = hit != NULL ? (size_t)(hit - text) + 1 : len;

        buf_add(out, text, n);
        if (hit != NULL)
            buf_addc(out, quote);
        text += n;
        len -= n;
    }
    buf_addc(out, quote);
}

void db_quote_text(struct buf *out, const char *text, size_t len) { add_doubled(out, text, len, '\''); }

void db_quote_name(struct buf *out, const char *name) { add_doubled(out, name, strlen(name), '`'); }

static void add_hex(struct buf *out, const char *bytes, size_t len)
{
    static const char DIGITS[] = "0123456789abcdef";

    buf_adds(out, "x'");
    char *p = len > 0 ? buf_room(out, 2 * len) : NULL;

    if (p != NULL) {
        for (size_t i = 0; i < len; i++) {
            p[2 * i] = DIGITS[(unsigned char)bytes[i] >> 4];
            p[2 * i + 1] = DIGITS[(unsigned char)bytes[i] & 15];
        }
        out->len += 2 * len;
    }
    buf_addc(out, '\'');
}

/* Few bytes in hex, to be read by people; many as they are, or they would take twice their length of the largest
 * packet. A quote is no part of a longer character of UTF-8, by which the server looks for the end. */
void db_quote_bytes(struct buf *out, const char *bytes, size_t len)
{
    if (len > LONG_BYTES)
        buf_adds(out, "_binary");
    if (len > LONG_BYTES)
        add_doubled(out, bytes, len, '\'');
    else
        add_hex(out, bytes, len);
}

void db_quote_coded(struct buf *out, const char *bytes, size_t len)
{
    if (len > LONG_BYTES) {
        add_doubled(out, bytes, len, '\'');
        return;
    }
    buf_addc(out, ' ');
    add_hex(out, bytes, len);
}
