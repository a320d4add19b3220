#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/binlog/xid.h"

static bool of(const char *sql, enum xid_end *ret_end, struct xid *ret_xid)
{
    return xid_of_statement(sql, strlen(sql), ret_end, ret_xid);
}

static void binary_and_text_name_the_same(void **state)
{
    static const uint8_t short_lengths[] = {7, 0, 0, 0, 2, 2, 'g', '1', 'b', '1'};
    static const uint8_t long_lengths[] = {7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 'g', '1', 'b', '1'};
    struct xid a, b, c;
    enum xid_end end;
    struct cursor p = cursor_of(short_lengths, sizeof short_lengths),
                  q = cursor_of(long_lengths, sizeof long_lengths);

    (void)state;
    xid_read(&p, 1, &a);
    xid_read(&q, 4, &b);
    assert_false(p.bad || q.bad);
    assert_true(of("XA COMMIT X'6731',X'6231',7", &end, &c));
    assert_int_equal(end, XID_COMMIT);
    assert_true(xid_equal(&a, &b) && xid_equal(&a, &c));
    assert_true(of("xa  rollback x'6731' , x'6231' , 7", &end, &c));
    assert_int_equal(end, XID_ROLLBACK);
    assert_true(xid_equal(&a, &c));
}

static void others_are_others(void **state)
{
    static const char *const texts[] = {"XA COMMIT X'6731',X'6231',8", "XA COMMIT X'6731',X'6232',7",
                                        "XA COMMIT X'67',X'316231',7", "XA COMMIT X'6731',X'',7",
                                        "XA COMMIT X'',X'67316231',7"};
    struct xid a, b;
    enum xid_end end;

    (void)state;
    assert_true(of("XA COMMIT X'6731',X'6231',7", &end, &a));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_true(of(texts[i], &end, &b));
        assert_false(xid_equal(&a, &b));
    }
}

static void nonsense_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "XA",
                                        "XA COMMIT",
                                        "XA COMMIT 'a'",
                                        "XA COMMIT X'6'",
                                        "XA COMMIT X'61'",
                                        "XA COMMIT X'61',X'',",
                                        "XA COMMIT X'6g',X'',1",
                                        "XA COMMIT X'61',X'',4294967296",
                                        "XA START X'61',X'',1",
                                        "COMMIT X'61',X'',1",
                                        "XA COMMIT X'61",
                                        "XA COMMIT X'61',X'"};
    static const uint8_t long_part[] = {1, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, 'a'};
    static const uint8_t cut[] = {1, 0, 0, 0, 2, 0, 'a'};
    struct xid x;
    enum xid_end end;
    struct cursor p = cursor_of(long_part, sizeof long_part), q = cursor_of(cut, sizeof cut);
    char many[200] = "XA COMMIT X'";

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_false(of(texts[i], &end, &x));
    xid_read(&p, 4, &x);
    xid_read(&q, 1, &x);
    assert_true(p.bad && q.bad);
    memset(many + 12, '6', 130); /* 65 bytes */
    strcpy(many + 142, "',X'',1");
    assert_false(of(many, &end, &x));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_and_text_name_the_same),
        cmocka_unit_test(others_are_others),
        cmocka_unit_test(nonsense_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
