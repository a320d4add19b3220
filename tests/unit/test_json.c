/* MySQL's binary JSON: documents byte by byte as json_binary.h describes them, and that no damage does harm.
 * */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/base/mem.h"
#include "cdc/binlog/json.h"

struct sample {
    const char *bytes;
    size_t len;
    const char *text; /* NULL: malformed */
};
#define DOC(s, t)           \
    {                       \
        s, sizeof(s) - 1, t \
    }

static const struct sample samples[] = {
    DOC("", "null"), DOC("\x04\x00", "null"), DOC("\x04\x01", "true"), DOC("\x04\x02", "false"),
    DOC("\x04\x03", NULL), DOC("\x05\xff\xff", "-1"), DOC("\x06\xff\xff", "65535"),
    DOC("\x07\x00\x00\x00\x80", "-2147483648"), DOC("\x08\xff\xff\xff\xff", "4294967295"),
    DOC("\x09\x00\x00\x00\x00\x00\x00\x00\x80", "-9223372036854775808"),
    DOC("\x0a\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615"),
    DOC("\x0b\x9a\x99\x99\x99\x99\x99\xb9\x3f", "0.1"), DOC("\x0b\x00\x00\x00\x00\x00\x00\xf0\x3f", "1.0"),
    DOC("\x0b\x7d\xc3\x94\x25\xad\x49\xb2\x54", "1e100"),
    DOC("\x0b\x00\x00\x00\x00\x00\x00\xf0\x7f", NULL), /* infinity */
    DOC("\x0c\x05h\"i\\\n", "\"h\\\"i\\\\\\n\""), DOC("\x0c\x01\x01", "\"\\u0001\""),
    DOC("\x0c\x09short", NULL), DOC("\x0c\xff\xff\xff\xff\xff\xff", NULL),
    /* [] and {} */
    DOC("\x02\x00\x00\x04\x00", "[]"), DOC("\x00\x00\x00\x04\x00", "{}"),
    /* [1, "a", null]: int16 and literal stand in their entries */
    DOC("\x02\x03\x00\x0f\x00\x05\x01\x00\x0c\x0d\x00\x04\x00\x00\x01"
        "a",
        "[1, \"a\", null]"),
    /* {"a": true, "bc": [2]} */
    DOC("\x00\x02\x00\x1c\x00\x12\x00\x01\x00\x13\x00\x02\x00\x04\x01\x00\x02\x15\x00"
        "abc"
        "\x01\x00\x07\x00\x05\x02\x00",
        "{\"a\": true, \"bc\": [2]}"),
    /* large array of one inlined int32 */
    DOC("\x03\x01\x00\x00\x00\x0d\x00\x00\x00\x07\xfe\xff\xff\xff", "[-2]"),
    DOC("\x02\xff\xff\x04\x00", NULL),             /* more members than bytes */
    DOC("\x02\x01\x00\x07\x00\x02\x00\x00", NULL), /* holds itself */
    /* opaque: DECIMAL(3,1), a BLOB */
    DOC("\x0f\xf6\x04\x03\x01\x8c\x05", "12.5"),
    DOC("\x0f\x0a\x07\x00\x00\x00\x00\x8a\xb9\x19", NULL), /* a DATE cut short */
    DOC("\x0f\xfc\x03\x01\x02\x03", "\"base64:type252:AQID\""),
    DOC("\x0f\xf6\x04\x63\x01\x8c\x05", NULL), /* DECIMAL(99,1) */
    DOC("\x0d\x00", NULL),                     /* no such type */
};

static uint8_t *exactly(const char *bytes, size_t len)
{
    uint8_t *copy = mem_alloc(len > 0 ? len : 1);
    memcpy(copy, bytes, len);
    return copy;
}

static void test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct buf out;
        buf_init(&out, 4096);
        uint8_t *bytes = exactly(samples[i].bytes, samples[i].len);
        bool ok = json_to_text(bytes, samples[i].len, &out);
        if (ok != (samples[i].text != NULL))
            fail_msg("sample %zu: %s", i, ok ? out.data : "malformed");
        if (ok)
            assert_string_equal(out.data, samples[i].text);
        free(bytes);
        buf_done(&out);
    }
}

/* Times are packed: microseconds 24 bits, second 6, minute 6, hour 5 (TIME: 10), day 5, year * 13 + month. */
static void test_times(void **state)
{
    (void)state;
    static const struct {
        uint8_t type;
        uint64_t ymd, hms, us;
        bool negative;
        const char *text;
    } cases[] = {
        {10, (2026 * 13 + 1) << 5 | 5, 0, 0, false, "\"2026-01-05\""},
        {12, (2026 * 13 + 12) << 5 | 31, 23 << 12 | 59 << 6 | 58, 120, false,
         "\"2026-12-31 23:59:58.000120\""},
        {7, (2026 * 13 + 1) << 5 | 5, 1 << 12, 0, false, "\"2026-01-05 01:00:00.000000\""},
        {11, 0, 1 << 12 | 2 << 6 | 3, 500000, true, "\"-01:02:03.500000\""},
        {11, 838u >> 5, (838u & 31) << 12 | 59 << 6 | 59, 0, false, "\"838:59:59.000000\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t v = cases[i].ymd << 41 | cases[i].hms << 24 | cases[i].us;
        if (cases[i].negative)
            v = 0 - v;
        uint8_t bytes[11] = {0x0f, cases[i].type, 8};
        for (int b = 0; b < 8; b++)
            bytes[3 + b] = (uint8_t)(v >> (8 * b));
        struct buf out;
        buf_init(&out, 4096);
        assert_true(json_to_text(bytes, sizeof(bytes), &out));
        assert_string_equal(out.data, cases[i].text);
        buf_done(&out);
    }
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = 90; depth <= 110; depth += 20) {
        /* arrays of one array each: count 1, size, entry (small array, offset 7) */
        uint8_t doc[1 + 110 * 7 + 4], *p = doc;
        unsigned size = (depth - 1) * 7 + 4;
        *p++ = 0x02;
        for (unsigned i = 1; i < depth; i++, size -= 7) {
            const uint8_t level[7] = {1, 0, (uint8_t)size, (uint8_t)(size >> 8), 0x02, 7, 0};
            memcpy(p, level, 7);
            p += 7;
        }
        memcpy(p, "\0\0\4\0", 4);
        p += 4;
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(json_to_text(doc, (size_t)(p - doc), &out), depth <= 100);
        buf_done(&out);
    }
}

/* Many members that all point at one long string: more text than bytes, up to the limit and no further. */
static void test_bomb(void **state)
{
    (void)state;
    enum { MEMBERS = 4000, TEXT = 20000, LEN = 1 + 8 + MEMBERS * 5 + 3 + TEXT };
    uint8_t *doc = mem_zalloc(1, LEN), *p = doc;
    uint32_t at = 8 + MEMBERS * 5, size = LEN - 1;
    *p++ = 0x03;
    *p++ = MEMBERS & 255, *p++ = MEMBERS >> 8, p += 2;
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)(size >> (8 * i));
    for (unsigned m = 0; m < MEMBERS; m++) {
        *p++ = 0x0c;
        for (int i = 0; i < 4; i++)
            *p++ = (uint8_t)(at >> (8 * i));
    }
    *p++ = 0x80 | (TEXT & 127), *p++ = 0x80 | (TEXT >> 7 & 127), *p++ = TEXT >> 14;
    memset(p, 'x', TEXT);
    struct buf out;
    buf_init(&out, (size_t)16 * LEN);
    assert_false(json_to_text(doc, LEN, &out));
    assert_true(out.len <= (size_t)16 * LEN);
    buf_done(&out);
    free(doc);
}

static void test_damage(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (unsigned round = 0; round < 20000; round++) {
        const struct sample *s = &samples[round % (sizeof(samples) / sizeof(samples[0]))];
        if (s->len == 0)
            continue;
        uint8_t *bytes = exactly(s->bytes, s->len);
        for (unsigned flips = 0; flips < 1 + round % 3; flips++) {
            x = x * 1664525 + 1013904223;
            bytes[(x >> 8) % s->len] ^= (uint8_t)(1u << (x >> 4 & 7));
        }
        struct buf out;
        buf_init(&out, 4096);
        if (json_to_text(bytes, s->len - round % 2, &out))
            assert_false(out.overrun);
        buf_done(&out);
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples), cmocka_unit_test(test_times),  cmocka_unit_test(test_depth),
        cmocka_unit_test(test_bomb),    cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
