/*
 * Text of any character set: the first byte chooses it. What is read from a set can be
 * written in it, and what can be written is read back as the same text.
 */
#include "cdc/model/charset.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_row.h"

static const char *const names[] = {ROW_CHARSETS};
#define NSETS (sizeof(names) / sizeof(names[0]))

static struct charset *sets[NSETS]; /* slow to make: kept from input to input */

static bool is_utf8(const char *text, size_t len)
{
    static struct charset *utf8;
    struct err err = ERR_INIT;
    struct arena arena;
    const char *same;
    size_t same_len;
    if (utf8 == NULL)
        fuzz_check(charset_new("utf8mb4", &utf8, &err));
    arena_init(&arena);
    bool ok = charset_to_utf8(utf8, text, len, &arena, &same, &same_len);
    fuzz_check(!ok || (same_len == len && (len == 0 || memcmp(same, text, len) == 0)));
    arena_done(&arena);
    return ok;
}

/* False: the set has no such text. */
static bool there_and_back(const struct charset *c, const char *text, size_t len)
{
    struct buf bytes = BUF_INIT;
    struct arena arena;
    const char *again;
    size_t again_len;
    arena_init(&arena);
    buf_adds(&bytes, "");
    bool ok = charset_from_utf8(c, text, len, &bytes);
    if (ok) {
        fuzz_check(charset_to_utf8(c, bytes.data, bytes.len, &arena, &again, &again_len));
        fuzz_check(again_len == len && (len == 0 || memcmp(again, text, len) == 0));
    }
    buf_done(&bytes);
    arena_done(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct err err = ERR_INIT;
    struct arena arena;
    size_t which = input_byte(&in) % NSETS, len, text_len;
    const char *text;
    if (sets[which] == NULL)
        fuzz_check(charset_new(names[which], &sets[which], &err));
    char *bytes = (char *)input_copy(&in, in.len, &len);
    arena_init(&arena);
    if (charset_to_utf8(sets[which], bytes, len, &arena, &text, &text_len)) {
        fuzz_touch(text, text_len);
        fuzz_check(strcmp(names[which], "binary") == 0 || is_utf8(text, text_len));
        fuzz_check(there_and_back(sets[which], text, text_len));
    }
    if (is_utf8(bytes, len))
        (void)there_and_back(sets[which], bytes, len);
    arena_done(&arena);
    free(bytes);
    return 0;
}
