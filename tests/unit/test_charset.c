/* Text of each character set to UTF-8 and back, as the servers mean it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/model/charset.h"

/* Bytes that a server of each family prints as this text. Where `one_way` they read as it, and it is written in
 * another way. */
static const struct {
    const char *set, *bytes;
    size_t len;
    const char *utf8; /* NULL: no text */
    bool one_way;
} cases[] = {
#define IS(set, bytes, utf8)                       \
    {                                              \
        set, bytes, sizeof(bytes) - 1, utf8, false \
    }
#define READ(set, bytes, utf8)                    \
    {                                             \
        set, bytes, sizeof(bytes) - 1, utf8, true \
    }
    IS("utf8mb4", "\xf0\x9f\xa6\x80", "\xf0\x9f\xa6\x80"),
    IS("ascii", "abc", "abc"),
    READ("ascii", "\x80", NULL),
    IS("latin1", "\xe9\x80\x81\xff", "\xc3\xa9\xe2\x82\xac\xc2\x81\xc3\xbf"),
    IS("latin2", "\xb9", "\xc5\xa1"),
    IS("cp1251", "\xcf\xf0", "\xd0\x9f\xd1\x80"),
    READ("cp1251", "\x98", NULL),
    IS("cp866", "\xfc", "\xe2\x81\xbf"),
    IS("koi8u", "\x95", "\xe2\x80\xa2"),
    IS("koi8r", "\xc1", "\xd0\xb0"),
    IS("greek", "\xa1\xe1", "\xca\xbd\xce\xb1"),
    READ("greek", "\xa4", NULL),
    IS("hebrew", "\xe0\xaf", "\xd7\x90\xe2\x80\xbe"),
    IS("macroman", "\xf0", "\xef\xa3\xbf"),
    IS("armscii8", "\xb2\xa2", "\xd4\xb1\xc2\xa7"),
    READ("armscii8", "\xff", "'"),
    IS("geostd8", "\xc0\x80", "\xe1\x83\x90\xe2\x82\xac"),
    IS("tis620", "\xa1\x80", "\xe0\xb8\x81\xc2\x80"),
    READ("tis620", "\xdb", NULL),
    IS("swe7", "[$", "\xc3\x84$"),
    IS("keybcs2", "\x80\xff", "\xc4\x8c\xc2\xa0"),
    IS("gbk", "\xd6\xd0", "\xe4\xb8\xad"),
    IS("gb2312", "\xd6\xd0", "\xe4\xb8\xad"),
    READ("gbk", "\xd6", NULL),
    IS("gb18030", "\xa6\xd9\x90\x30\x81\x30", "\xee\x9e\x8d\xf0\x90\x80\x80"),
    IS("gb18030", "\x84\x31\x82\x36", "\xef\xb8\x90"),
    IS("euckr", "\xb0\xa1\x81\x41", "\xea\xb0\x80\xea\xb0\x82"),
    IS("big5", "\xa4\xa4\xc6\xe7", "\xe4\xb8\xad\xe3\x82\x83"),
    READ("big5", "\xf9\xfe", NULL),
    IS("sjis", "\x93\xfa\\~\xb1", "\xe6\x97\xa5\\~\xef\xbd\xb1"),
    READ("sjis", "\x81\x5f", "\\"),
    READ("sjis", "\x87\x40", NULL), /* Windows' row 13 */
    IS("cp932", "\x87\x40\\", "\xe2\x91\xa0\\"),
    READ("cp932", "\xee\xf9", "\xef\xbf\xa2"), /* in three places */
    IS("ujis", "\xc6\xfc\x8e\xb1\x8f\xb0\xa1", "\xe6\x97\xa5\xef\xbd\xb1\xe4\xb8\x82"),
    READ("ujis", "\xa1\xc0", "\\"),
    IS("eucjpms", "\xad\xa1", "\xe2\x91\xa0"),
    IS("ucs2", "\x00\x61\x6f\x22", "a\xe6\xbc\xa2"),
    READ("ucs2", "\xd8\x00", NULL),
    IS("utf16", "\xd8\x3e\xdd\x80", "\xf0\x9f\xa6\x80"),
    READ("utf16", "\xd8\x3e", NULL),
    IS("utf16le", "\x3e\xd8\x80\xdd", "\xf0\x9f\xa6\x80"),
    IS("utf32", "\x00\x01\xf9\x80", "\xf0\x9f\xa6\x80"),
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct charset *c;
        struct err err = ERR_INIT;
        struct arena arena;
        const char *text;
        size_t len;
        struct buf back = BUF_INIT;
        char *exact = mem_alloc(cases[i].len);
        memcpy(exact, cases[i].bytes, cases[i].len);
        if (!charset_new(cases[i].set, &c, &err))
            fail_msg("%s", err.text);
        assert_string_equal(charset_name(c), cases[i].set);
        arena_init(&arena);
        bool ok = charset_to_utf8(c, exact, cases[i].len, &arena, &text, &len);
        if (ok != (cases[i].utf8 != NULL))
            fail_msg("case %zu, %s: %s", i, cases[i].set, ok ? "not refused" : "refused");
        if (ok && (len != strlen(cases[i].utf8) || memcmp(text, cases[i].utf8, len) != 0))
            fail_msg("case %zu, %s: %.*s", i, cases[i].set, (int)len, text);
        if (ok && !charset_from_utf8(c, text, len, &back))
            fail_msg("case %zu, %s: does not go back", i, cases[i].set);
        bool same = back.len == cases[i].len && (back.len == 0 || memcmp(back.data, exact, back.len) == 0);
        if (ok && same == cases[i].one_way)
            fail_msg("case %zu, %s: written as other bytes, or as these", i, cases[i].set);
        buf_done(&back);
        arena_done(&arena);
        charset_free(c);
        free(exact);
    }
}

/* Every pair of bytes: what reads as a text is written as bytes that read as the same text. */
static void test_what_is_read_can_be_written(void **state)
{
    static const char *const sets[] = {"latin1", "cp1256", "tis620", "keybcs2", "swe7", "big5",
                                       "sjis",   "cp932",  "ujis",   "eucjpms", "gbk",  "gb18030",
                                       "euckr",  "gb2312", "ucs2",   "utf16le"};
    (void)state;
    for (size_t s = 0; s < sizeof(sets) / sizeof(sets[0]); s++) {
        struct charset *c;
        size_t read = 0;
        assert_true(charset_new(sets[s], &c, NULL));
        for (unsigned pair = 0; pair < 65536; pair += 3) {
            char bytes[2] = {(char)(pair >> 8), (char)pair};
            struct arena arena;
            const char *text, *again;
            size_t len, again_len;
            struct buf back = BUF_INIT;
            arena_init(&arena);
            if (charset_to_utf8(c, bytes, 2, &arena, &text, &len)) {
                read++;
                if (!charset_from_utf8(c, text, len, &back) ||
                    !charset_to_utf8(c, back.data, back.len, &arena, &again, &again_len) ||
                    again_len != len || memcmp(again, text, len) != 0)
                    fail_msg("%s: %02x%02x", sets[s], (unsigned char)bytes[0], (unsigned char)bytes[1]);
            }
            buf_done(&back);
            arena_done(&arena);
        }
        if (read < 1000)
            fail_msg("%s reads %zu pairs only", sets[s], read);
        charset_free(c);
    }
}

static void test_what_a_set_lacks(void **state)
{
    static const struct {
        const char *set, *utf8;
    } lacks[] = {
        {"ascii", "\xc3\xa9"},         {"latin1", "\xe6\xbc\xa2"},   {"latin1", "\xce\xa9"},
        {"greek", "\xe2\x82\xac"},     {"sjis", "\xc2\xa5"},         {"sjis", "\xea\xb0\x80"},
        {"ujis", "\xea\xb0\x80"},      {"ucs2", "\xf0\x9f\xa6\x80"}, {"gbk", "\xf0\x9f\xa6\x80"},
        {"big5", "\xc3\xa9"},          {"latin1", "a\xe2\x82"},      {"latin1", "\xff"},
        {"cp932", "\xf0\x9f\xa6\x80"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        struct charset *c;
        struct buf out = BUF_INIT;
        assert_true(charset_new(lacks[i].set, &c, NULL));
        if (charset_from_utf8(c, lacks[i].utf8, strlen(lacks[i].utf8), &out))
            fail_msg("case %zu, %s", i, lacks[i].set);
        buf_done(&out);
        charset_free(c);
    }
}

static void test_a_set_that_nobody_knows(void **state)
{
    struct charset *c = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_false(charset_new("klingon", &c, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text, "character set klingon cannot be converted to UTF-8");
    assert_true(charset_new(NULL, &c, &err));
    assert_true(charset_is_utf8(c));
    charset_free(c);
    charset_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_what_is_read_can_be_written),
        cmocka_unit_test(test_what_a_set_lacks),
        cmocka_unit_test(test_a_set_that_nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
