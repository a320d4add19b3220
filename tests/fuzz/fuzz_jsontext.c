/*
 * A text that an application has stored as JSON: its canonical form is JSON by the word of another
 * parser, is its own canonical form, and what is refused leaves nothing behind.
 */
#include <jansson.h>

#include "cdc/model/jsontext.h"
#include "tests/fuzz/fuzz.h"

/* jansson does not read text that is not UTF-8 (a server stores none), and names with a NUL in them. */
static bool can_be_read(const char *text, size_t len)
{
    static const char nul[] = "\\u0000";
    json_t *string = json_stringn(text, len);
    bool ok = string != NULL && memmem(text, len, nul, sizeof(nul) - 1) == NULL;
    json_decref(string);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out = BUF_INIT, again = BUF_INIT;
    buf_adds(&out, "before");
    if (!jsontext_canonical((const char *)data, size, &out)) {
        fuzz_check(out.len == strlen("before"));
        buf_done(&out);
        return 0;
    }
    const char *text = out.data + strlen("before");
    size_t len = out.len - strlen("before");
    fuzz_check(jsontext_canonical(text, len, &again));
    fuzz_check(again.len == len && memcmp(again.data, text, len) == 0);
    if (can_be_read(text, len)) {
        json_t *read = json_loadb(text, len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
        fuzz_check(read != NULL);
        json_decref(read);
    }
    buf_done(&out);
    buf_done(&again);
    return 0;
}
