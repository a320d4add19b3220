/*
 * A JSON column's bytes: what becomes a text is JSON, by the word of another
 * parser, and the text is bounded.
 */
#include <jansson.h>

#include "cdc/binlog/json.h"
#include "cdc/model/jsontext.h"
#include "tests/fuzz/fuzz.h"

/* As rows.c bounds it. */
static size_t limit_of(size_t size) { return size * 16 + 1024; }

/* What jansson does not read: text that is not UTF-8 (the server stores none, json.c does not look), and names with
 * a NUL in them. */
static bool can_be_read(const char *text, size_t len)
{
    static const char nul[] = "\\u0000";
    json_t *string = json_stringn(text, len);
    bool ok = string != NULL && memmem(text, len, nul, sizeof(nul) - 1) == NULL;
    json_decref(string);
    return ok;
}

/* A MariaDB that is given the text keeps the same document. */
static void check_canonical(const struct buf *text)
{
    struct buf canonical = BUF_INIT;
    fuzz_check(jsontext_canonical(text->data, text->len, &canonical));
    buf_done(&canonical);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    buf_init(&out, limit_of(size));
    bool ok = json_to_text(data, size, &out);
    fuzz_check(out.len <= limit_of(size));
    if (ok && can_be_read(out.data, out.len)) {
        json_error_t why;
        json_t *read = json_loadb(out.data, out.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &why);
        if (read == NULL)
            fprintf(stderr, "%s\n", why.text);
        fuzz_check(read != NULL);
        json_decref(read);
        check_canonical(&out);
    }
    buf_done(&out);
    return 0;
}
