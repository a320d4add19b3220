/*
 * The text of a statement, behind the names that it is asked about: no text is too
 * strange, and a comment in front changes nothing.
 *
 *   default database NUL database NUL table NUL column NUL statement
 */
#include "cdc/base/buf.h"
#include "cdc/binlog/statement.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    char *names[4];
    for (size_t i = 0; i < 4; i++)
        names[i] = input_string(&in);
    size_t len, default_len = strlen(names[0]);
    char *sql = (char *)input_copy(&in, in.len, &len);
    struct buf commented = BUF_INIT;
    buf_adds(&commented, " /* ; 'x */ -- \"y\n# z\n");
    buf_add(&commented, sql, len);

    enum statement_kind kind = statement_kind(sql, len);
    fuzz_check(kind == statement_kind(commented.data, commented.len));
    enum statement_effect effect = statement_effect(sql, len, names[0], default_len, names[1], names[2]);
    fuzz_check(effect ==
               statement_effect(commented.data, commented.len, names[0], default_len, names[1], names[2]));
    bool takes = statement_takes_column(sql, len, names[3]);
    fuzz_check(takes == statement_takes_column(commented.data, commented.len, names[3]));

    buf_done(&commented);
    free(sql);
    for (size_t i = 0; i < 4; i++)
        free(names[i]);
    return 0;
}
