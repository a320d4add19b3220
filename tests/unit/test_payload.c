#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "cdc/binlog/event.h"
#include "cdc/binlog/payload.h"

static void add_le(struct buf *b, uint64_t n, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_addc(b, i < 8 ? (char)(n >> (8 * i)) : 0);
}

/* An event of `size` bytes whose body is filled with `fill`. */
static void add_event(struct buf *b, size_t size, char fill)
{
    add_le(b, 0, 9);
    add_le(b, size, 4);
    add_le(b, 0, EVENT_HEADER_BYTES - 13);
    for (size_t i = EVENT_HEADER_BYTES; i < size; i++)
        buf_addc(b, fill);
}

static void add_lenenc(struct buf *b, uint64_t n)
{
    buf_addc(b, (char)254);
    add_le(b, n, 8);
}

static void add_body(struct buf *out, const struct buf *events, uint64_t method, bool compress)
{
    size_t bound = ZSTD_compressBound(events->len);
    char *data = mem_alloc(bound + 1);
    size_t len = events->len;

    if (compress)
        len = ZSTD_compress(data, bound, events->data, events->len, 3);
    else
        memcpy(data, events->data, events->len);
    const uint64_t fields[][2] = {{2, method}, {3, events->len}, {1, len}};

    for (size_t i = 0; i < 3; i++) {
        buf_addc(out, (char)fields[i][0]);
        buf_addc(out, 9); /* the number's own length */
        add_lenenc(out, fields[i][1]);
    }
    buf_addc(out, 0);
    buf_add(out, data, len);
    free(data);
}

/* How many events of that size and filling come; -1: malformed. */
static int read_all(const struct buf *body, size_t size, char fill)
{
    struct payload *p = payload_new();
    struct err err = ERR_INIT;
    const uint8_t *event = NULL;
    size_t len;
    int n = 0;
    bool ok = payload_open(p, (const uint8_t *)body->data, body->len, &err);

    while (ok && (ok = payload_next(p, &event, &len, &err)) && event != NULL) {
        assert_int_equal(len, size);
        for (size_t i = EVENT_HEADER_BYTES; i < len; i++)
            assert_int_equal((char)event[i], fill);
        n++;
    }
    payload_free(p);
    return ok ? n : -1;
}

static void events_come_out_one_by_one(void **state)
{
    static const struct {
        size_t size;
        int n;
    } cases[] = {{EVENT_HEADER_BYTES, 1}, {20, 3}, {1000, 5000}, {70000, 40}, {3000000, 3}, {50, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int compress = 0; compress < 2; compress++) {
            struct buf events = BUF_INIT, body = BUF_INIT;

            buf_adds(&events, "");
            for (int k = 0; k < cases[i].n; k++)
                add_event(&events, cases[i].size, 'x');
            add_body(&body, &events, compress ? 0 : 255, compress);
            assert_int_equal(read_all(&body, cases[i].size, 'x'), cases[i].n);
            buf_done(&events);
            buf_done(&body);
        }
}

static void damage_is_seen(void **state)
{
    struct buf events = BUF_INIT, body = BUF_INIT, cut = BUF_INIT, unknown = BUF_INIT, forged = BUF_INIT;

    (void)state;
    add_event(&events, 500, 'x');
    add_body(&body, &events, 0, true);
    for (size_t len = 0; len < body.len; len++) { /* wherever it is cut */
        struct buf part = BUF_INIT;

        buf_add(&part, body.data, len);
        buf_addc(&part, '\0');
        part.len = len;
        assert_int_not_equal(read_all(&part, 500, 'x'), 1);
        buf_done(&part);
    }
    add_event(&cut, 400, 'x');
    cut.len -= 100; /* an event that says more than it has */
    add_body(&unknown, &cut, 0, true);
    assert_int_equal(read_all(&unknown, 400, 'x'), -1);
    buf_clear(&unknown);
    add_body(&unknown, &events, 1, true);
    assert_int_equal(read_all(&unknown, 500, 'x'), -1);
    add_event(&forged, 500, 'x');
    forged.data[9] = 5; /* shorter than a header */
    forged.data[10] = 0;
    buf_clear(&unknown);
    add_body(&unknown, &forged, 0, true);
    assert_int_equal(read_all(&unknown, 500, 'x'), -1);
    buf_done(&events);
    buf_done(&body);
    buf_done(&cut);
    buf_done(&unknown);
    buf_done(&forged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_come_out_one_by_one),
        cmocka_unit_test(damage_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
