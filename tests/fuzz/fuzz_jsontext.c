/*
 * JSON text, two of them with a NUL between: the canonical form says the same by
 * the word of another parser, is its own canonical form, and is one for texts that say the same.
 */
#include <jansson.h>

#include "cdc/model/jsontext.h"
#include "tests/fuzz/fuzz.h"

/* NULL: not JSON, or none that jansson reads: it takes no integer beyond 63 bits, and no NUL in a name. A NUL byte ends
 * the text for it. */
static json_t *read_text(const char *text, size_t len)
{
    if (memchr(text, '\0', len) != NULL)
        return NULL;
    return json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static bool canonical(const char *text, size_t len, struct buf *out)
{
    buf_init(out, 0);
    buf_adds(out, "");
    bool ok = jsontext_canonical(text, len, out);
    fuzz_check(ok || out->len == 0);
    return ok;
}

static void check_one(const char *text, size_t len, struct buf *ret_canonical)
{
    struct buf again;
    json_t *was = read_text(text, len), *is;
    if (!canonical(text, len, ret_canonical)) {
        /* What jansson takes, MySQL may not: more than 100 levels, and text behind 64 bits of double. */
        fuzz_check(was == NULL || len > 100);
        json_decref(was);
        return;
    }
    fuzz_check(canonical(ret_canonical->data, ret_canonical->len, &again));
    fuzz_check(again.len == ret_canonical->len && memcmp(again.data, ret_canonical->data, again.len) == 0);
    buf_done(&again);
    if (was == NULL)
        return;
    is = read_text(ret_canonical->data, ret_canonical->len);
    fuzz_check(is != NULL && json_equal(was, is));
    json_decref(was);
    json_decref(is);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    size_t len[2] = {strnlen((const char *)data, size), 0};
    char *text[2];
    struct buf out[2];
    for (size_t i = 0; i < 2; i++) {
        if (i == 1)
            (void)input_byte(&in);
        text[i] = (char *)input_copy(&in, i == 0 ? len[0] : in.len, &len[i]);
        check_one(text[i], len[i], &out[i]);
    }
    json_t *a = read_text(text[0], len[0]), *b = read_text(text[1], len[1]);
    if (a != NULL && b != NULL && json_equal(a, b) && out[0].len > 0 && out[1].len > 0)
        fuzz_check(out[0].len == out[1].len && memcmp(out[0].data, out[1].data, out[0].len) == 0);
    json_decref(a);
    json_decref(b);
    for (size_t i = 0; i < 2; i++) {
        buf_done(&out[i]);
        free(text[i]);
    }
    return 0;
}
