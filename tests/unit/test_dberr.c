/*
 * What an error number means, and that no row value gets into a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cdc/db/dberr.h"

static void test_kinds(void **state)
{
    static const struct {
        unsigned code;
        enum err_kind kind;
    } CASES[] = {
        {1213, ERR_BUSY},   {1205, ERR_BUSY},         {1020, ERR_BUSY},   {1614, ERR_BUSY},
        {3572, ERR_BUSY},   {1062, ERR_ROW},          {1406, ERR_ROW},    {1264, ERR_ROW},
        {1366, ERR_ROW},    {1292, ERR_ROW},          {1265, ERR_ROW},    {1048, ERR_ROW},
        {1364, ERR_ROW},    {1452, ERR_ROW},          {1451, ERR_ROW},    {1216, ERR_ROW},
        {1217, ERR_ROW},    {3819, ERR_ROW},          {4025, ERR_ROW},    {1690, ERR_ROW},
        {1169, ERR_ROW},    {1644, ERR_ROW},          {1526, ERR_ROW},    {1761, ERR_ROW},
        {1762, ERR_ROW},    {1044, ERR_CONFIG},       {1045, ERR_CONFIG}, {1142, ERR_CONFIG},
        {1143, ERR_CONFIG}, {1227, ERR_CONFIG},       {1698, ERR_CONFIG}, {1251, ERR_CONFIG},
        {1049, ERR_CONFIG}, {1146, ERR_CONFIG},       {1054, ERR_CONFIG}, {4052, ERR_FATAL},
        {2059, ERR_CONFIG}, {5010, ERR_CONFIG},       {1021, ERR_RETRY},  {1030, ERR_RETRY},
        {1114, ERR_RETRY},  {1290, ERR_RETRY},        {1836, ERR_RETRY},  {1792, ERR_RETRY},
        {1053, ERR_RETRY},  {2002, ERR_RETRY},        {2003, ERR_RETRY},  {2006, ERR_RETRY},
        {2013, ERR_RETRY},  {1927, ERR_RETRY},        {1158, ERR_RETRY},  {1161, ERR_RETRY},
        {1040, ERR_RETRY},  {1203, ERR_RETRY},        {0, ERR_RETRY},     {1064, ERR_RETRY},
        {65535, ERR_RETRY}, {4294967295U, ERR_RETRY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (dberr_kind(CASES[i].code) != CASES[i].kind)
            fail_msg("%u is %s", CASES[i].code, err_kind_name(dberr_kind(CASES[i].code)));
}

/* The words of MariaDB 10.11 and MySQL. */
static void test_dump_kinds(void **state)
{
    static const struct {
        unsigned code;
        const char *message;
        enum err_kind kind;
    } CASES[] = {
        {1236, "Could not find first log file name in binary log index file", ERR_LOST},
        {1236,
         "Could not find GTID state requested by slave in any binlog files. Probably the slave state is too "
         "old and "
         "required binlog files have been purged.",
         ERR_LOST},
        {1236,
         "Error: connecting slave requested to start from GTID 0-1-9, which is not in the master's binlog",
         ERR_LOST},
        {1236, "Cannot replicate because the source purged required binary logs. Replicate the missing",
         ERR_LOST},
        {1236, "Replica has more GTIDs than the source has, using the source's SERVER_UUID", ERR_LOST},
        {1236, "Client requested master to start replication from impossible position", ERR_LOST},
        {1236, "A slave with the same server_uuid/server_id as this slave has connected to the master",
         ERR_FATAL},
        {1236, "Binary log is not open", ERR_CONFIG},
        {1236, "Misconfigured master - server id was not set", ERR_CONFIG},
        {1236, "could not find next log", ERR_RETRY},
        {1236, "", ERR_RETRY},
        {4052, "A slave with the same server_uuid/server_id is already connected", ERR_FATAL},
        {1227, "Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s)", ERR_CONFIG},
        {2013, "Lost connection to server during query", ERR_RETRY},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (dberr_dump_kind(CASES[i].code, CASES[i].message) != CASES[i].kind)
            fail_msg("%s: %s", CASES[i].message,
                     err_kind_name(dberr_dump_kind(CASES[i].code, CASES[i].message)));
}

static void test_names(void **state)
{
    static const struct {
        unsigned code;
        const char *message;
        const char *name;
    } CASES[] = {
        {1062, "Duplicate entry 'bob@example.com' for key 'email'", "email"},
        {1062, "Duplicate entry 'bob@example.com' for key 'customers.email'", "customers.email"},
        {1062, "Duplicate entry 'x' for key 'a' for key 'PRIMARY'", "PRIMARY"},
        {1062, "Duplicate entry 'for key 'bob' and more", ""},
        {1062, "Duplicate entry 'x' for key 'bob@example.com'", ""},
        {1062, "Duplicate entry 'x' for key 'bob", ""},
        {1062, "Duplicate entry 'x' for key ''", ""},
        {1062, "Duplicate entry 'x' for key ", ""},
        {1406, "Data too long for column 'name' at row 1", "name"},
        {1406, "Data too long for column 'name' at row ", ""},
        {1406, "Data too long for column 'name'", ""},
        {1264, "Out of range value for column 'n' at row 12", "n"},
        {1265, "Data truncated for column 'kind' at row 1", "kind"},
        {1366, "Incorrect integer value: 'abc@x' for column `x`.`c1`.`n` at row 1", "n"},
        {1366, "Incorrect string value: '\\xF0\\x9F' for column 'n' at row 1", "n"},
        {1366, "Incorrect string value: ' for column 'bob' at row 1 and so on", ""},
        {1292, "Incorrect date value: '2026-13-01' for column `x`.`d1`.`d` at row 1", "d"},
        {1292, "Truncated incorrect DOUBLE value: 'bob'", ""},
        {1048, "Column 'n' cannot be null", "n"},
        {1048, "Column 'n' cannot be null, says bob", ""},
        {1364, "Field 'n' doesn't have a default value", "n"},
        {1364, "", ""},
        {1146, "Table 'x.y' doesn't exist", ""},
        {1406, "Data too long for column 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg' at row 1",
         "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"},
        {1406, "Data too long for column 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggh' at row 1",
         ""},
    };
    char name[DBERR_NAME_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        memset(name, 'x', sizeof name);
        dberr_name(CASES[i].code, CASES[i].message, name, sizeof name);
        assert_string_equal(name, CASES[i].name);
    }
}

static void test_texts(void **state)
{
    static const struct {
        unsigned code;
        const char *sqlstate, *message, *text;
    } CASES[] = {
        {1062, "23000", "Duplicate entry 'bob@example.com' for key 'email'",
         "server error 1062 (23000), key email"},
        {1406, "22001", "Data too long for column 'name' at row 1", "server error 1406 (22001), column name"},
        {1064, "42000", "You have an error near 'bob@example.com'", "server error 1064 (42000)"},
        {1644, "45000", "no bob@example.com here", "server error 1644 (45000)"},
        {1146, "42S02", "Table 'x.y' doesn't exist", "server error 1146 (42S02): Table 'x.y' doesn't exist"},
        {2013, "HY000", "Lost connection to server during query",
         "Lost connection to server during query (2013)"},
        {1045, "28000", "two\nlines\x1b[31m", "server error 1045 (28000): two?lines?[31m"},
    };
    char text[480];

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_string_equal(dberr_text(CASES[i].code, CASES[i].sqlstate, CASES[i].message, text, sizeof text),
                            CASES[i].text);
    assert_string_equal(dberr_text(1146, "42S02", "Table", text, 12), "server erro");
}

/* Whatever the number: what a message quotes of a row does not come through. The
 * words that servers build their messages from stand before, in and behind the value. */
static void test_no_value_comes_through(void **state)
{
    static const char *const PARTS[] = {
        "Duplicate entry '",
        "' for key 'email'",
        " for key '",
        "' for column 'n' at row 1",
        " for column `",
        "`.`",
        "' at row 7",
        "Column '",
        "' cannot be null",
        "Field '",
        "' doesn't have a default value",
        "'",
        "\"",
        "`",
        "bob@example.com",
        "bob@example.com",
    };
    enum { NPARTS = sizeof PARTS / sizeof *PARTS };
    static const unsigned CODES[] = {1062, 1586, 1406, 1264, 1265, 1366, 1292,
                                     1048, 1364, 1064, 1644, 3140, 9999};
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        char message[512] = "", text[480];
        int parts = 1 + rand_r(&seed) % 8;

        while (parts-- > 0)
            strcat(message, PARTS[rand_r(&seed) % NPARTS]);
        dberr_text(CODES[(size_t)rand_r(&seed) % (sizeof CODES / sizeof *CODES)], "HY000", message, text,
                   sizeof text);
        if (strstr(text, "bob@") != NULL || strchr(text, '@') != NULL)
            fail_msg("%s -> %s", message, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_dump_kinds),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_no_value_comes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
