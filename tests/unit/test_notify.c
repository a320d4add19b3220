/* Events to a receiver of the test's own, which answers as each test tells it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/mem.h"
#include "cdc/service/notify.h"

#define SECRET_PATH "/hook-s3cret?token=qu3ry"

enum { MAX_REQUESTS = 600, HANG = 0 };

static struct {
    int listen_fd;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    int codes[8]; /* of the first answers; the last one goes on. HANG: no answer */
    size_t ncodes;
    char *requests[MAX_REQUESTS]; /* whole, as they came */
    size_t nrequests;
    atomic_bool stop, let_go; /* let_go: those that hang are closed */
} receiver = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Up to the end of the body that the header announces. */
static char *read_request(int fd)
{
    char *text = mem_zalloc(1, 65536);
    size_t len = 0, want = SIZE_MAX;
    while (len < want && len < 65535) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 100) == 0 && !receiver.stop)
            continue;
        ssize_t n = recv(fd, text + len, 65535 - len, 0);
        if (n <= 0)
            break;
        len += (size_t)n;
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "Content-Length: ");
        if (end != NULL)
            want = (size_t)(end + 4 - text) + (length != NULL ? strtoul(length + 16, NULL, 10) : 0);
    }
    return text;
}

static void answer(int fd, int code)
{
    char text[200];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %d X\r\nContent-Length: 2\r\nLocation: http://127.0.0.1:%u/other\r\n"
                       "Connection: close\r\n\r\nok",
                       code, (unsigned)receiver.port);
    (void)!send(fd, text, (size_t)len, MSG_NOSIGNAL);
}

static void *receive(void *arg)
{
    int hanging[16];
    size_t nhanging = 0;
    (void)arg;
    while (!receiver.stop) {
        struct pollfd p = {receiver.listen_fd, POLLIN, 0};
        while (receiver.let_go && nhanging > 0)
            close(hanging[--nhanging]);
        if (poll(&p, 1, 50) != 1)
            continue;
        int fd = accept(receiver.listen_fd, NULL, NULL);
        char *text = read_request(fd);
        pthread_mutex_lock(&receiver.lock);
        size_t n = receiver.nrequests;
        int code = receiver.codes[n < receiver.ncodes ? n : receiver.ncodes - 1];
        if (n < MAX_REQUESTS)
            receiver.requests[receiver.nrequests++] = text;
        else
            free(text);
        pthread_mutex_unlock(&receiver.lock);
        if (code == HANG && nhanging < 16) {
            hanging[nhanging++] = fd;
            continue;
        }
        answer(fd, code);
        close(fd);
    }
    while (nhanging > 0)
        close(hanging[--nhanging]);
    return NULL;
}

static void answers(int first, int then)
{
    pthread_mutex_lock(&receiver.lock);
    receiver.codes[0] = first;
    receiver.codes[1] = then;
    receiver.ncodes = 2;
    pthread_mutex_unlock(&receiver.lock);
}

static int start_receiver(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    (void)state;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    receiver.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(receiver.listen_fd, (struct sockaddr *)&at, len) != 0 || listen(receiver.listen_fd, 64) != 0 ||
        getsockname(receiver.listen_fd, (struct sockaddr *)&at, &len) != 0)
        return -1;
    receiver.port = ntohs(at.sin_port);
    receiver.stop = receiver.let_go = false;
    answers(200, 200);
    return pthread_create(&receiver.thread, NULL, receive, NULL);
}

static int stop_receiver(void **state)
{
    (void)state;
    receiver.stop = true;
    pthread_join(receiver.thread, NULL);
    close(receiver.listen_fd);
    for (size_t i = 0; i < receiver.nrequests; i++)
        free(receiver.requests[i]);
    receiver.nrequests = 0;
    return 0;
}

/* ---- Standard error, where the log goes ---- */

static char log_path[] = "/tmp/test_notify.XXXXXX";
static int saved_stderr = -1;

static void catch_log(void)
{
    strcpy(log_path + strlen(log_path) - 6, "XXXXXX");
    int fd = mkstemp(log_path);
    saved_stderr = dup(2);
    assert_true(fd >= 0 && dup2(fd, 2) == 2);
    close(fd);
}

static char *caught_log(void)
{
    char *text = mem_zalloc(1, 65536);
    dup2(saved_stderr, 2);
    close(saved_stderr);
    int fd = open(log_path, O_RDONLY);
    assert_true(read(fd, text, 65535) >= 0);
    close(fd);
    unlink(log_path);
    return text;
}

/* ---- The one under test ---- */

static struct notify *start_with(const char *user, bool only_gap, char *token_env)
{
    char url[200];
    struct err err = ERR_INIT;
    snprintf(url, sizeof(url), "http://%s127.0.0.1:%u" SECRET_PATH, user, (unsigned)receiver.port);
    struct config_notify config = {.url = url, .token = {.env = token_env}};
    for (int i = 0; i < EVENT_KINDS; i++)
        config.events[i] = !only_gap || i == EVENT_GAP;
    struct notify *n = notify_new(&config, "1.2.3", &err);
    if (n == NULL)
        fail_msg("%s", err.text);
    notify_set_patience(n, 20, 60000);
    return n;
}

static void tell(struct notify *n, enum event_kind kind, const char *text)
{
    struct event e = {kind, "users", "left_to_right", text};
    notify_event(n, &e);
}

static struct notify_stats stats_of(struct notify *n)
{
    struct notify_stats s;
    notify_stats(n, &s);
    return s;
}

/* Waits, with a deadline, until so many events have an end. */
static void await(struct notify *n, uint64_t delivered, uint64_t lost)
{
    mono_us start = clock_mono();
    for (;;) {
        struct notify_stats s = stats_of(n);
        if (s.delivered == delivered && s.lost == lost && s.waiting == 0)
            return;
        if (mono_diff_us(clock_mono(), start) > 20 * 1000000LL)
            fail_msg("delivered %d, failed %d, lost %d, waiting %d", (int)s.delivered, (int)s.failed,
                     (int)s.lost, (int)s.waiting);
        usleep(5000);
    }
}

static void await_requests(size_t count)
{
    mono_us start = clock_mono();
    for (size_t n = 0; n < count;) {
        pthread_mutex_lock(&receiver.lock);
        n = receiver.nrequests;
        pthread_mutex_unlock(&receiver.lock);
        if (mono_diff_us(clock_mono(), start) > 20 * 1000000LL)
            fail_msg("%zu requests", n);
        usleep(5000);
    }
}

static json_t *body_of(size_t i)
{
    pthread_mutex_lock(&receiver.lock);
    assert_true(i < receiver.nrequests);
    json_t *o = json_loads(strstr(receiver.requests[i], "\r\n\r\n"), 0, NULL);
    pthread_mutex_unlock(&receiver.lock);
    assert_non_null(o);
    return o;
}

static void assert_text(const json_t *o, const char *name, const char *want)
{
    const char *got = json_string_value(json_object_get(o, name));
    assert_string_equal(got != NULL ? got : "(null)", want);
}

static void test_body(void **state)
{
    (void)state;
    char token_env[] = "TWINLOG_TEST_TOKEN", host[256] = "";
    setenv(token_env, "t0ken", 1);
    gethostname(host, sizeof(host) - 1);
    struct notify *n = start_with("", false, token_env);
    tell(n, EVENT_HALTED, "TRUNCATE of \"x\"\n\xff");
    struct event bare = {EVENT_RECOVERED, NULL, NULL, "well"};
    notify_event(n, &bare);
    await(n, 2, 0);

    const char *request = receiver.requests[0];
    assert_int_equal(strncmp(request, "POST " SECRET_PATH " HTTP/1.1\r\n", strlen(SECRET_PATH) + 16), 0);
    assert_non_null(strstr(request, "\r\nContent-Type: application/json\r\n"));
    assert_non_null(strstr(request, "\r\nAuthorization: Bearer t0ken\r\n"));
    assert_non_null(strstr(request, "\r\nUser-Agent: twinlog/1.2.3\r\n"));
    json_t *o = body_of(0);
    assert_text(o, "event", "halted");
    assert_text(o, "link", "users");
    assert_text(o, "direction", "left_to_right");
    assert_text(o, "text", "TRUNCATE of \"x\"\n?");
    assert_text(o, "version", "1.2.3");
    assert_text(o, "host", host);
    assert_int_equal(json_integer_value(json_object_get(o, "dropped")), 0);
    assert_int_equal(json_string_length(json_object_get(o, "at")), 24);
    assert_int_equal(json_object_size(o), 8);
    json_decref(o);
    o = body_of(1);
    assert_text(o, "event", "recovered");
    assert_true(json_is_null(json_object_get(o, "link")));
    assert_true(json_is_null(json_object_get(o, "direction")));
    json_decref(o);
    notify_free(n);
}

static void test_only_what_is_wanted(void **state)
{
    (void)state;
    struct notify *n = start_with("", true, NULL);
    tell(n, EVENT_HALTED, "no");
    tell(n, EVENT_GAP, "yes");
    await(n, 1, 0);
    notify_free(n);
    notify_event(NULL, &(struct event){EVENT_GAP, NULL, NULL, ""});
    notify_free(NULL);
    json_t *o = body_of(0);
    assert_text(o, "text", "yes");
    json_decref(o);
    assert_null(strstr(receiver.requests[0], "Authorization"));
    assert_int_equal(receiver.nrequests, 1);
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = strstr(text, what); p != NULL; p = strstr(p + 1, what))
        n++;
    return n;
}

/* Not taken, taken at last; one line when it begins, one when it is over, no secret in either. */
static void test_retry(void **state)
{
    (void)state;
    static const int codes[] = {500, 302, 404, 204};
    memcpy(receiver.codes, codes, sizeof(codes));
    receiver.ncodes = 4;
    catch_log();
    struct notify *n = start_with("us3r:passw0rd@", false, NULL);
    tell(n, EVENT_HALTED, "first");
    tell(n, EVENT_RECOVERED, "second");
    await(n, 2, 0);
    struct notify_stats s = stats_of(n);
    notify_free(n);
    char *log = caught_log();
    assert_int_equal(s.failed, 3);
    assert_int_equal(receiver.nrequests, 5);
    for (size_t i = 0; i < 5; i++) {
        json_t *o = body_of(i);
        assert_text(o, "text", i < 4 ? "first" : "second");
        json_decref(o);
        assert_null(strstr(receiver.requests[i], "/other")); /* no redirect is followed */
    }
    assert_int_equal(count_of(log, "\n"), 2);
    assert_int_equal(count_of(log, " warn notify: http://127.0.0.1:"), 1);
    assert_int_equal(count_of(log, "does not take events: it answers 500; tries go on"), 1);
    assert_int_equal(count_of(log, "takes events again"), 1);
    assert_null(strstr(log, "s3cret"));
    assert_null(strstr(log, "qu3ry"));
    assert_null(strstr(log, "us3r"));
    assert_null(strstr(log, "passw0rd"));
    free(log);
}

/* An event is not tried for ever; the next one tells that something is missing. */
static void test_gives_up(void **state)
{
    (void)state;
    answers(503, 503);
    catch_log();
    struct notify *n = start_with("", false, NULL);
    notify_set_patience(n, 20, 200);
    tell(n, EVENT_QUARANTINED, "lost");
    await(n, 0, 1);
    size_t tries = stats_of(n).failed;
    assert_in_range(tries, 2, 12);
    pthread_mutex_lock(&receiver.lock);
    receiver.codes[1] = 200;
    pthread_mutex_unlock(&receiver.lock);
    tell(n, EVENT_GAP, "arrives");
    await(n, 1, 1);
    tell(n, EVENT_GAP, "too");
    await(n, 2, 1);
    notify_free(n);
    char *log = caught_log();
    json_t *o = body_of(tries);
    assert_text(o, "text", "arrives");
    assert_int_equal(json_integer_value(json_object_get(o, "dropped")), 1);
    json_decref(o);
    o = body_of(tries + 1);
    assert_int_equal(json_integer_value(json_object_get(o, "dropped")), 0);
    json_decref(o);
    assert_int_equal(count_of(log, "event \"quarantined\" was not delivered to http://127.0.0.1:"), 1);
    free(log);
}

/* The oldest give way, nobody waits, and the number of what is missing arrives. */
static void test_overflow(void **state)
{
    (void)state;
    answers(HANG, 200);
    catch_log();
    struct notify *n = start_with("", false, NULL);
    tell(n, EVENT_GAP, "under way");
    await_requests(1);
    mono_us start = clock_mono();
    for (int i = 0; i < 256 + 44; i++) {
        char text[16];
        snprintf(text, sizeof(text), "%d", i);
        tell(n, EVENT_GAP, text);
    }
    assert_true(mono_diff_us(clock_mono(), start) < 2 * 1000000LL);
    struct notify_stats s = stats_of(n);
    assert_int_equal(s.lost, 44);
    assert_int_equal(s.waiting, 257);
    /* What waits goes on in its order. */
    receiver.let_go = true;
    await(n, 257, 44);
    notify_free(n);
    free(caught_log());
    json_t *o = body_of(1);
    assert_text(o, "text", "under way");
    assert_int_equal(json_integer_value(json_object_get(o, "dropped")), 44);
    json_decref(o);
    for (size_t i = 0; i < 256; i++) {
        char want[16];
        snprintf(want, sizeof(want), "%zu", i + 44);
        o = body_of(2 + i);
        assert_text(o, "text", want);
        assert_int_equal(json_integer_value(json_object_get(o, "dropped")), 0);
        json_decref(o);
    }
}

/* An end waits for no receiver, but delivers what can be. */
static void test_end(void **state)
{
    (void)state;
    struct notify *n = start_with("", false, NULL);
    for (int i = 0; i < 5; i++)
        tell(n, EVENT_HALTED, "last words");
    notify_free(n);
    assert_int_equal(receiver.nrequests, 5);

    receiver.codes[0] = receiver.codes[1] = HANG;
    catch_log();
    n = start_with("", false, NULL);
    tell(n, EVENT_HALTED, "hangs");
    tell(n, EVENT_HALTED, "never sent");
    await_requests(6);
    mono_us start = clock_mono();
    notify_free(n);
    int64_t us = mono_diff_us(clock_mono(), start);
    free(caught_log());
    assert_true(us < 2 * 1000000LL);

    /* While it waits for the next try. */
    receiver.codes[0] = receiver.codes[1] = 500;
    catch_log();
    n = start_with("", false, NULL);
    notify_set_patience(n, 60000, 600000);
    tell(n, EVENT_HALTED, "waits");
    await_requests(7);
    usleep(100000);
    start = clock_mono();
    notify_free(n);
    us = mono_diff_us(clock_mono(), start);
    free(caught_log());
    assert_true(us < 1500000);
}

static void test_bad_token(void **state)
{
    (void)state;
    char env[] = "TWINLOG_TEST_TOKEN", url[] = "http://127.0.0.1:1/";
    struct config_notify config = {.url = url, .token = {.env = env}};
    struct err err = ERR_INIT;
    unsetenv(env);
    assert_null(notify_new(&config, "1", &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_non_null(strstr(err.text, "TWINLOG_TEST_TOKEN: the environment variable is not set"));
    setenv(env, "a\r\nX: y", 1);
    assert_null(notify_new(&config, "1", &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_null(strstr(err.text, "X: y"));
}

/* Many threads, one queue. */
static void *tell_many(void *arg)
{
    for (int i = 0; i < 40; i++)
        tell(arg, EVENT_GAP, "x");
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    struct notify *n = start_with("", false, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tell_many, n), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    await(n, 160, 0);
    notify_free(n);
    assert_int_equal(receiver.nrequests, 160);
}

int main(void)
{
    setenv("no_proxy", "*", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_body, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_only_what_is_wanted, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_retry, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_gives_up, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_overflow, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_end, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_bad_token, start_receiver, stop_receiver),
        cmocka_unit_test_setup_teardown(test_threads, start_receiver, stop_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
