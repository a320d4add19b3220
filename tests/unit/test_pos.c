#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/model/pos.h"

/* "bin.000042:19733 0-1-155,1-2-7", either half may be missing. */
static struct pos pos_of(const char *text)
{
    struct pos p = POS_INIT;
    const char *space = strchr(text, ' ');
    size_t file_len = space != NULL ? (size_t)(space - text) : strlen(text);

    if (file_len > 0) {
        const char *colon = memchr(text, ':', file_len);
        assert_non_null(colon);
        pos_set_file(&p, text, (size_t)(colon - text), strtoull(colon + 1, NULL, 10));
    }
    if (space != NULL) {
        struct err err = ERR_INIT;
        if (!pos_parse_gtids(&p, space + 1, &err))
            fail_msg("%s", err.text);
    }
    return p;
}

static void add(struct pos *p, struct gtid g) { pos_add_gtid(p, &g); }

static bool has(const struct pos *p, struct gtid g)
{
    const struct pos nowhere = POS_INIT;

    return pos_includes(p, &nowhere, &g);
}

static void expect_pos(const struct pos *p, const char *want)
{
    struct buf out = BUF_INIT;
    char file[256];
    buf_addf(&out, "%s", pos_print_file(p, file, sizeof file));
    if (p->ngtids > 0)
        buf_addc(&out, ' ');
    pos_print_gtids(p, &out);
    assert_string_equal(out.data, want);
    buf_done(&out);
}

static void gtid_lists_are_read(void **state)
{
    static const struct {
        const char *text, *printed;
    } cases[] = {
        {"", ""},
        {"  ", ""},
        {"0-1-155", "0-1-155"},
        {"0-1-155,1-2-7", "0-1-155,1-2-7"},
        {" 0-1-155 , 1-2-7 \n", "0-1-155,1-2-7"},
        {"7-1-1,3-1-1,5-1-1,0-9-9", "0-9-9,3-1-1,5-1-1,7-1-1"},
        {"4294967295-4294967295-18446744073709551615", "4294967295-4294967295-18446744073709551615"},
        {"0-1-000155", "0-1-155"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pos p = POS_INIT;
        struct buf out = BUF_INIT;
        assert_true(pos_parse_gtids(&p, cases[i].text, NULL));
        buf_adds(&out, "");
        pos_print_gtids(&p, &out);
        assert_string_equal(out.data, cases[i].printed);
        buf_done(&out);
        pos_done(&p);
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const cases[] = {
        "0-1",
        "0-1-",
        "-1-2",
        "0-1-2-3",
        "a-1-2",
        "0-1-2,",
        ",0-1-2",
        "0-1-2,,1-1-1",
        "0-1-2 1-1-1",
        "0 -1-2",
        "0-1-2;1-1-1",
        "0-+1-2",
        "0--1-2",
        "0-1-0x2",
        "4294967296-1-1",
        "0-4294967296-1",
        "0-1-18446744073709551616",
        "0-1-99999999999999999999999",
        "0-1-2,0-2-3",
        "3E11FA47-71CA-11E1-9E33-C80AA942956:23",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:0",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:5-4",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:tag",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:1:tag",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:1 2",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:abcdefghijabcdefghijabcdefghijabc:1",
        "3E11FA47-71CA-11E1-9E33-C80AA9429562:9223372036854775807",
        "0-1-2,3E11FA47-71CA-11E1-9E33-C80AA9429562:23",
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pos p = pos_of("bin.1:4 9-9-9");
        struct err err = ERR_INIT;
        assert_false(pos_parse_gtids(&p, cases[i], &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_true(err.text[0] != '\0');
        expect_pos(&p, "bin.1:4 9-9-9"); /* as it was */
        pos_done(&p);
    }
}

static void add_replaces_its_domain(void **state)
{
    struct pos p = POS_INIT;
    (void)state;

    add(&p, gtid_mariadb(5, 1, 10));
    add(&p, gtid_mariadb(1, 1, 20));
    add(&p, gtid_mariadb(9, 1, 30));
    add(&p, gtid_mariadb(5, 2, 11));
    expect_pos(&p, " 1-1-20,5-2-11,9-1-30");
    add(&p, gtid_mariadb(5, 1, 4)); /* the last, whatever its number */
    expect_pos(&p, " 1-1-20,5-1-4,9-1-30");

    assert_true(has(&p, gtid_mariadb(1, 9, 20)));
    assert_true(has(&p, gtid_mariadb(1, 9, 0)));
    assert_false(has(&p, gtid_mariadb(1, 1, 21)));
    assert_false(has(&p, gtid_mariadb(2, 1, 1)));
    pos_done(&p);
    assert_false(has(&p, gtid_mariadb(0, 0, 0)));
}

static void copies_and_moves(void **state)
{
    struct pos a = pos_of("bin.000042:19733 0-1-155"), b = pos_of("x.1:4 1-1-1"), c = POS_INIT;
    (void)state;

    pos_copy(&b, &a);
    expect_pos(&b, "bin.000042:19733 0-1-155");
    pos_copy(&b, &b);
    expect_pos(&b, "bin.000042:19733 0-1-155");
    assert_true(pos_equal(&a, &b));
    add(&b, gtid_mariadb(0, 1, 156));
    pos_set_file(&b, "bin.000043", 10, 4);
    expect_pos(&a, "bin.000042:19733 0-1-155");

    assert_true(pos_is_unset(&c));
    pos_move(&c, &a);
    assert_true(pos_is_unset(&a));
    expect_pos(&c, "bin.000042:19733 0-1-155");
    pos_move(&c, &c);
    expect_pos(&c, "bin.000042:19733 0-1-155");
    pos_copy(&c, &a);
    assert_true(pos_is_unset(&c));

    pos_set_file(&b, "bin.000043xxx", 10, 900);
    expect_pos(&b, "bin.000043:900 0-1-156");
    pos_set_file(&b, b.file, 9, 5); /* from its own text */
    expect_pos(&b, "bin.00004:5 0-1-156");
    pos_done(&b);
    pos_done(&b);
}

static void equality(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"", "", true},
        {"bin.1:4", "", false},
        {"bin.1:4", "bin.1:4", true},
        {"bin.1:4", "bin.1:5", false},
        {"bin.1:4", "bin.2:4", false},
        {"bin.1:4 0-1-1", "bin.9:9 0-1-1", true}, /* GTIDs alone when both have some */
        {"bin.1:4 0-1-1", "bin.1:4 0-1-2", false},
        {"bin.1:4 0-1-1", "bin.1:4 0-2-1", false},
        {" 0-1-1,1-1-1", " 0-1-1", false},
        {" 0-1-1", "bin.1:4", false},
        {"bin.1:4 0-1-1", "bin.1:4", true},
        {"bin.1:4 0-1-1", "bin.1:5", false},
        {" 0-1-1", "", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pos a = pos_of(cases[i].a), b = pos_of(cases[i].b);
        if (pos_equal(&a, &b) != cases[i].equal || pos_equal(&b, &a) != cases[i].equal)
            fail_msg("\"%s\" and \"%s\"", cases[i].a, cases[i].b);
        assert_true(pos_equal(&a, &a));
        pos_done(&a);
        pos_done(&b);
    }
}

static void the_earlier_of_two(void **state)
{
    static const struct {
        const char *a, *b, *min;
    } cases[] = {
        {" 0-1-5", " 0-1-7", " 0-1-5"},
        {" 0-1-5,1-1-9", " 0-2-7,1-2-3", " 0-1-5,1-2-3"},
        {" 0-1-5,1-1-9", " 0-1-7,2-1-3", " 0-1-5"},
        {" 0-1-5", " 1-1-5", ""},
        {" 0-1-5", "", ""},
        {"", " 0-1-5", ""},
        {"bin.000009:100", "bin.000010:4", "bin.000009:100"},
        {"bin.000009:100", "bin.000009:99", "bin.000009:99"},
        {"bin.999999:100", "bin.1000000:4", "bin.999999:100"}, /* by number, not as text */
        {"bin.9:100", "bin.000010:4", "bin.9:100"},
        {"a.b.000002:5", "a.b.000001:6", "a.b.000001:6"},
        {"bin.1:4 0-1-1", "", ""},
        {"bin.1:4 0-1-1", " 0-1-2", " 0-1-1"},
        {"bin.2:4 0-1-1", "bin.1:4 0-1-2", "bin.1:4 0-1-1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int swap = 0; swap < 2; swap++) {
            struct pos a = pos_of(swap ? cases[i].b : cases[i].a), b = pos_of(swap ? cases[i].a : cases[i].b);
            pos_min(&a, &b);
            expect_pos(&a, cases[i].min);
            pos_done(&a);
            pos_done(&b);
        }
    }

    /* Other names cannot be compared: its own stays. */
    struct pos a = pos_of("bin.5:4 0-1-1"), b = pos_of("mysql-bin.1:4 0-1-1");
    pos_min(&a, &b);
    expect_pos(&a, "bin.5:4 0-1-1");
    pos_done(&a);
    pos_done(&b);
}

/* The minimum includes nothing that one of both does not, and misses nothing that both have. */
static void minimum_is_what_both_have(void **state)
{
    uint32_t seed = 99;
    (void)state;

    for (int round = 0; round < 2000; round++) {
        struct pos p[2] = {POS_INIT, POS_INIT}, min = POS_INIT;
        for (int i = 0; i < 2; i++) {
            for (uint32_t d = 0; d < 4; d++) {
                seed = seed * 1664525u + 1013904223u;
                if ((seed >> 28) % 4 != 0)
                    add(&p[i], gtid_mariadb(d, 1, (seed >> 16) % 6));
            }
        }
        pos_copy(&min, &p[0]);
        pos_min(&min, &p[1]);
        for (uint32_t d = 0; d < 5; d++)
            for (uint64_t seq = 0; seq < 8; seq++) {
                struct gtid g = gtid_mariadb(d, 1, seq);
                assert_int_equal(has(&min, g), has(&p[0], g) && has(&p[1], g));
            }
        assert_true(pos_covers(&p[0], &min) && pos_covers(&p[1], &min));
        assert_int_equal(pos_covers(&p[0], &p[1]), pos_equal(&min, &p[1]) || p[1].ngtids == 0);
        pos_done(&min);
        pos_done(&p[0]);
        pos_done(&p[1]);
    }
}

static void file_is_shortened(void **state)
{
    struct pos p = pos_of("bin.000042:18446744073709551615");
    char out[8], all[40];
    (void)state;
    assert_string_equal(pos_print_file(&p, out, sizeof out), "bin.000");
    assert_string_equal(pos_print_file(&p, all, sizeof all), "bin.000042:18446744073709551615");
    pos_done(&p);
    assert_string_equal(pos_print_file(&p, out, sizeof out), "");
}

/* Into one that holds something else: of the same size, of another, or nothing. */
static void copies_replace_what_was_there(void **state)
{
    static const char *const texts[] = {
        "",
        "0-1-155",
        "0-1-156",
        "1-1-7,2-2-8",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5",
        "4e11fa47-71ca-11e1-9e33-c80aa9429562:1-6",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8",
        "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5,4e11fa47-71ca-11e1-9e33-c80aa9429562:1-6"};
    static const char *const files[] = {NULL, "bin.000001", "bin.000002", "b.1"};
    const size_t ntexts = sizeof texts / sizeof *texts, n = ntexts * 4;
    (void)state;

    for (size_t i = 0; i < n * n; i++) {
        struct pos p[2] = {POS_INIT, POS_INIT};
        for (size_t k = 0; k < 2; k++) {
            size_t which = k == 0 ? i / n : i % n;
            const char *file = files[which / ntexts];
            assert_true(pos_parse_gtids(&p[k], texts[which % ntexts], NULL));
            if (file != NULL)
                pos_set_file(&p[k], file, strlen(file), which);
            pos_set_server(&p[k], file);
        }
        pos_copy(&p[0], &p[1]);
        assert_true(pos_equal(&p[0], &p[1]) && gtid_set_equal(&p[0].set, &p[1].set));
        assert_true(p[0].offset == p[1].offset && (p[0].file == NULL) == (p[1].file == NULL) &&
                    (p[0].server == NULL) == (p[1].server == NULL));
        assert_true(p[0].file == NULL || (p[0].file != p[1].file && strcmp(p[0].file, p[1].file) == 0));
        assert_int_equal(pos_bytes(&p[0]), pos_bytes(&p[1]));
        pos_done(&p[0]);
        pos_done(&p[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gtid_lists_are_read),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(add_replaces_its_domain),
        cmocka_unit_test(copies_and_moves),
        cmocka_unit_test(equality),
        cmocka_unit_test(the_earlier_of_two),
        cmocka_unit_test(minimum_is_what_both_have),
        cmocka_unit_test(copies_replace_what_was_there),
        cmocka_unit_test(file_is_shortened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
