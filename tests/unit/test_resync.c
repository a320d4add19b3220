/* Which keys may be settled together: no two that a server may take for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "appliers/resync.h"

enum { MAX_KEYS = 6, KEY_ROOM = 40 };

static struct key key_of_text(char out[KEY_ROOM], const char *text)
{
    size_t len = strlen(text);

    memcpy(out, (char[]){(char)len, 0, 0, 0}, 4);
    memcpy(out + 4, text, len);
    return (struct key){out, len + 4};
}

static void test_keys_that_may_be_one_are_kept_apart(void **state)
{
    static const struct {
        const char *keys[MAX_KEYS]; /* up to the first NULL */
        size_t apart, padded;       /* padded: where only spaces at the end are passed over */
    } cases[] = {
        {{0}, 0, 0},
        {{"a"}, 1, 1},
        {{"a", "b", "c"}, 3, 3},
        {{"a", "A", "b"}, 1, 3},
        {{"a", "b", "B "}, 2, 3},
        {{"a", "b", "c", "d", "a  "}, 4, 4},
        {{"", " "}, 1, 1},
        {{"a ", " a"}, 2, 2}, /* spaces in front count everywhere */
        {{"1", "01"}, 2, 2},
        {{"\xc3\xa4"}, 1, 1}, /* alone it always goes */
        {{"\xc3\xa4", "b"}, 1, 2},
        {{"b", "\xc3\xa4", "c"}, 1, 3},
        {{"\xc3\xa4", "\xc3\xb6"}, 1, 2},
        {{"b", "c", "a\tb", "d"}, 2, 4},
    };
    const struct link loose = {.loose_keys = true}, strict = {.loose_keys = false},
                      padded = {.loose_keys = true, .padded_keys = true};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char bytes[MAX_KEYS][KEY_ROOM];
        struct key keys[MAX_KEYS];
        size_t n = 0;

        for (; n < MAX_KEYS && cases[i].keys[n] != NULL; n++)
            keys[n] = key_of_text(bytes[n], cases[i].keys[n]);
        if (resync_count_apart(&loose, keys, n) != cases[i].apart)
            fail_msg("case %zu: %zu", i, resync_count_apart(&loose, keys, n));
        assert_int_equal(resync_count_apart(&strict, keys, n), n);
        assert_int_equal(resync_count_apart(&padded, keys, n), cases[i].padded);
    }
}

/* Cut again and again, all keys get into some group, whatever they are. */
static void test_every_group_has_a_key(void **state)
{
    static const char *const texts[] = {"a", "A", "\xc3\xa4", "b", "b ", "\xc3\xb6", "c", "", " ", "C"};
    enum { N = sizeof texts / sizeof *texts };
    const struct link loose = {.loose_keys = true};
    char bytes[N][KEY_ROOM];
    struct key keys[N];
    size_t done = 0, groups = 0;

    (void)state;
    for (size_t i = 0; i < N; i++)
        keys[i] = key_of_text(bytes[i], texts[i]);
    for (; done < N; groups++) {
        size_t n = resync_count_apart(&loose, keys + done, N - done);

        assert_in_range(n, 1, N - done);
        done += n;
    }
    assert_int_equal(groups, 8); /* each alone, but for c and nothing, and for a space and C */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_that_may_be_one_are_kept_apart),
        cmocka_unit_test(test_every_group_has_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
