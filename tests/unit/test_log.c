#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "cdc/base/hash.h"
#include "cdc/base/log.h"

/* Standard error goes into a pipe while a test looks at what was written. */
static int saved_stderr = -1, pipe_end = -1;

static void capture(void)
{
    int ends[2];
    fflush(stderr);
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    pipe_end = ends[0];
}

static size_t captured(char *out, size_t size)
{
    size_t len = 0;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    for (ssize_t n; len < size - 1 && (n = read(pipe_end, out + len, size - 1 - len)) > 0;)
        len += (size_t)n;
    close(pipe_end);
    out[len] = '\0';
    return len;
}

/* What follows "2026-01-05T10:11:12.345Z". */
static const char *behind_time(const char *line)
{
    static const char pattern[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        if (pattern[i] == 'd')
            assert_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], pattern[i]);
    }
    return line + sizeof pattern - 1;
}

static void line_in_text(void **state)
{
    char out[4096];
    (void)state;

    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
    log_context("applier", "users left>right", "bin.000042:19733");
    capture();
    log_warn("lost connection (%d), retry %d in 4 s", 2013, 3);
    captured(out, sizeof out);
    assert_string_equal(behind_time(out), " warn applier users left>right bin.000042:19733: "
                                          "lost connection (2013), retry 3 in 4 s\n");

    log_context(NULL, NULL, "bin.000043:4");
    capture();
    log_error("x");
    captured(out, sizeof out);
    assert_string_equal(behind_time(out), " error applier users left>right bin.000043:4: x\n");

    log_context("main", "", "");
    capture();
    log_info("started");
    captured(out, sizeof out);
    assert_string_equal(behind_time(out), " info main: started\n");
}

static void line_in_json(void **state)
{
    char out[4096];
    (void)state;

    log_setup(LOG_DEBUG, LOG_JSON, LOG_KEYS_PLAIN);
    log_context("reader", "auth", "bin.1:4");
    capture();
    log_debug("a \"b\" \\ c\n\x01\x7f\xff \xc3\xa9");
    captured(out, sizeof out);
    assert_memory_equal(out, "{\"time\":\"", 9);
    assert_string_equal(behind_time(out + 9),
                        "\",\"level\":\"debug\",\"thread\":\"reader\",\"link\":\"auth\","
                        "\"position\":\"bin.1:4\",\"message\":\"a \\\"b\\\" \\\\ "
                        "c\\n\\u0001\\u007f\\ufffd \xc3\xa9\"}\n");
}

static void levels_hold_back(void **state)
{
    char out[4096];
    (void)state;

    log_setup(LOG_WARN, LOG_TEXT, LOG_KEYS_PLAIN);
    log_context("t", "", "");
    capture();
    log_debug("no");
    log_info("no");
    log_warn("yes");
    log_set_level(LOG_ERROR);
    log_warn("no");
    log_error("yes");
    captured(out, sizeof out);
    assert_null(strstr(out, "no"));
    assert_memory_equal(behind_time(out), " warn t: yes\n", 13);
    assert_string_equal(behind_time(strchr(out, '\n') + 1), " error t: yes\n");
    assert_false(log_enabled(LOG_WARN));
    assert_true(log_enabled(LOG_ERROR));
}

static void text_is_escaped(void **state)
{
    static const struct {
        const char *message, *shown;
    } cases[] = {
        {"plain", "plain"},
        {"a\nb", "a\\nb"},
        {"a\r\tb", "a\\r\\tb"},
        {"\x1b[2J", "\\x1b[2J"},
        {"\x7f", "\\x7f"},
        {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
        {"\xc2\x9b", "\\xc2\\x9b"},          /* CSI as one character */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"}, /* line separator */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* right to left from here on */
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc0\x8a", "\\xc0\\x8a"},                   /* a line end, overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* half a surrogate pair */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* past the last code */
        {"\xe2\x82", "\\xe2\\x82"},
        {"a\\nb \"q\"", "a\\nb \"q\""},
    };
    (void)state;

    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
    log_context("t", "", "");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[4096], want[200];
        capture();
        log_info("%s", cases[i].message);
        captured(out, sizeof out);
        snprintf(want, sizeof want, " info t: %s\n", cases[i].shown);
        assert_string_equal(behind_time(out), want);
    }
}

static void context_cannot_forge_either(void **state)
{
    char out[4096];
    (void)state;
    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
    log_context("t\nx", "l\n", "p\n");
    capture();
    log_info("m");
    captured(out, sizeof out);
    assert_string_equal(behind_time(out), " info t\\nx l\\n p\\n: m\n");
    log_context("", "", "");
}

/* Any bytes, any length: one line, no control character, at most 4096 bytes. */
static void any_bytes_make_one_line(void **state)
{
    uint32_t seed = 1;
    (void)state;

    for (int round = 0; round < 400; round++) {
        char message[6000], out[8192], context[300];
        seed = seed * 1664525u + 1013904223u;
        size_t want = (seed >> 8) % (round % 4 == 0 ? sizeof message : 60);
        for (size_t i = 0; i < want; i++) {
            seed = seed * 1664525u + 1013904223u;
            char c = (char)(seed >> 24);
            message[i] = c != 0 ? c : 'z';
        }
        message[want] = '\0';
        memset(context, round % 8 == 0 ? '\n' : 'c', sizeof context - 1);
        context[sizeof context - 1] = '\0';

        log_setup(LOG_INFO, round % 2 == 0 ? LOG_TEXT : LOG_JSON, LOG_KEYS_PLAIN);
        log_context(context, context, context);
        capture();
        log_info("%s", message);
        size_t len = captured(out, sizeof out);

        assert_in_range(len, 1, 4096);
        assert_int_equal(out[len - 1], '\n');
        for (size_t i = 0; i + 1 < len; i++)
            assert_true((unsigned char)out[i] >= 0x20 && out[i] != 0x7f);
        if (round % 2 == 1)
            assert_memory_equal(out + len - 3, "\"}\n", 3);
    }
    log_context("", "", "");
}

static void *talk(void *arg)
{
    const char *name = arg;
    log_context(name, "", "");
    for (int i = 0; i < 50; i++)
        log_info("%s says %s", name, name);
    return NULL;
}

static void threads_keep_their_own_context(void **state)
{
    static char names[4][8] = {"one", "two", "three", "four"};
    static char out[40000];
    pthread_t threads[4];
    (void)state;

    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
    capture();
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, talk, names[i]), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    captured(out, sizeof out);

    size_t lines = 0;
    char *save = NULL;
    for (char *line = strtok_r(out, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save), lines++) {
        char a[8], b[8], c[8];
        assert_int_equal(sscanf(behind_time(line), " info %7[a-z]: %7[a-z] says %7[a-z]", a, b, c), 3);
        assert_string_equal(a, b);
        assert_string_equal(a, c);
    }
    assert_int_equal(lines, 200);
}

static void rows_have_names(void **state)
{
    char out[64], small[6];
    (void)state;

    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
    assert_ptr_equal(log_key("id=42", 5, out, sizeof out), out);
    assert_string_equal(out, "id=42");
    assert_string_equal(log_key("tenant=7,id=8", 13, small, sizeof small), "tenan");
    assert_string_equal(log_key(NULL, 0, out, sizeof out), "");

    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_HASH);
    /* printf id=42 | sha256sum */
    assert_string_equal(log_key("id=42", 5, out, sizeof out), "#2a553fd53e66b69f");
    assert_string_equal(log_key("id=42", 5, small, sizeof small), "#2a55");
    log_setup(LOG_INFO, LOG_TEXT, LOG_KEYS_PLAIN);
}

static void *tell_name(void *arg)
{
    log_context("reader", "a-long-server-name", "");
    pthread_getname_np(pthread_self(), arg, 16);
    log_context(NULL, NULL, "bin.1:4");
    return NULL;
}

static void system_knows_names(void **state)
{
    char before[16], after[16], of_thread[16];
    pthread_t thread;
    (void)state;

    pthread_getname_np(pthread_self(), before, sizeof before);
    log_context("main", "", "");
    pthread_getname_np(pthread_self(), after, sizeof after);
    assert_string_equal(after, before); /* the process's own */
    assert_int_equal(pthread_create(&thread, NULL, tell_name, of_thread), 0);
    pthread_join(thread, NULL);
    assert_string_equal(of_thread, "reader-a-long-s");
}

/* FIPS 180-2, appendix B */
static void sha256_vectors(void **state)
{
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        unsigned char hash[HASH_BYTES];
        char hex[2 * HASH_BYTES + 1];
        hash_sha256(cases[i].text, strlen(cases[i].text), hash);
        for (size_t k = 0; k < HASH_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", hash[k]);
        assert_string_equal(hex, cases[i].hex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_in_text),
        cmocka_unit_test(line_in_json),
        cmocka_unit_test(levels_hold_back),
        cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(context_cannot_forge_either),
        cmocka_unit_test(any_bytes_make_one_line),
        cmocka_unit_test(threads_keep_their_own_context),
        cmocka_unit_test(system_knows_names),
        cmocka_unit_test(rows_have_names),
        cmocka_unit_test(sha256_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
