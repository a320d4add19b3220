/* The routes over a real socket, and the client that asks them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/service/client.h"
#include "cdc/service/http.h"

#define TOKEN "s3cret-token"

static char auth_name[] = "auth", customer_name[] = "customer", users_name[] = "users";
static struct config_server config_servers[] = {{.name = auth_name}, {.name = customer_name}};
static struct config_link config_links[] = {
    {.name = users_name, .side = {{.server = auth_name}, {.server = customer_name}}}};
static const struct config config = {
    .servers = config_servers, .nservers = 2, .links = config_links, .nlinks = 1};

static struct status *status;

static struct http *serve(const char *token)
{
    struct err err = ERR_INIT;
    struct http_options o = {"127.0.0.1", 0, token, status};
    struct http *h = http_new(&o, &err);
    if (h == NULL)
        fail_msg("%s", err.text);
    return h;
}

static int dial(const struct http *h)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(http_port(h))};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

/* Sends bytes as they are and reads until the server closes. */
static void talk(const struct http *h, const char *request, size_t len, struct buf *out)
{
    int fd = dial(h);
    char part[4096];
    ssize_t n;
    /* The server may refuse and close before it has read all. */
    (void)!send(fd, request, len, MSG_NOSIGNAL);
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(out, part, (size_t)n);
    close(fd);
}

static int code_of(const struct buf *answer)
{
    int code = 0;
    if (answer->data != NULL)
        (void)!sscanf(answer->data, "HTTP/1.%*d %d", &code);
    return code;
}

static void ask(const struct http *h, const char *method, const char *path, const char *headers,
                struct buf *out)
{
    struct buf request = BUF_INIT;
    buf_addf(&request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, headers);
    talk(h, request.data, request.len, out);
    buf_done(&request);
}

static void test_routes(void **state)
{
    (void)state;
    static const char bearer[] = "Authorization: Bearer " TOKEN "\r\n";
    static const struct {
        const char *token, *method, *path, *headers;
        int code;
        const char *has, *has_not;
    } cases[] = {
        {NULL, "GET", "/healthz", "", 200, "{\"status\":\"ok\"}", NULL},
        {NULL, "GET", "/readyz", "", 503, "\"starting\"", NULL},
        {NULL, "GET", "/sync/status", "", 200, "Content-Type: application/json", NULL},
        {NULL, "GET", "/sync/status?x=1", "", 200, "\"left_to_right\"", NULL},
        {NULL, "GET", "/metrics", "", 200, "Content-Type: text/plain; version=0.0.4", NULL},
        {NULL, "HEAD", "/sync/status", "", 200, "Content-Length: ", "left_to_right"},
        {NULL, "POST", "/sync/status", "Content-Length: 0\r\n", 405, "Allow: GET, HEAD", NULL},
        {NULL, "DELETE", "/healthz", "", 405, "\"error\"", NULL},
        {NULL, "GET", "/", "", 404, "\"error\"", NULL},
        {NULL, "GET", "/sync/status/", "", 404, "\"error\"", NULL},
        {NULL, "POST", "/sync/trigger", "Content-Length: 0\r\n", 404, "\"error\"", NULL},
        {NULL, "GET", "/healthz", "Content-Length: 65537\r\n", 413, "\"error\"", NULL},
        {NULL, "GET", "/healthz", "Content-Length: 99999999999999999999\r\n", 413, NULL, NULL},
        {TOKEN, "GET", "/healthz", "", 200, "ok", NULL},
        {TOKEN, "GET", "/readyz", "", 401, "WWW-Authenticate: Bearer", "starting"},
        {TOKEN, "GET", "/sync/status", bearer, 200, "left_to_right", NULL},
        {TOKEN, "GET", "/sync/status", "authorization: bearer  " TOKEN "\r\n", 200, "left_to_right", NULL},
        {TOKEN, "GET", "/sync/status", "Authorization: Bearer " TOKEN "x\r\n", 401, "\"error\"",
         "left_to_right"},
        {TOKEN, "GET", "/sync/status", "Authorization: Bearer " TOKEN TOKEN "\r\n", 401, NULL,
         "left_to_right"},
        {TOKEN, "GET", "/sync/status", "Authorization: Bearer s3cret-toke\r\n", 401, NULL, "left_to_right"},
        {TOKEN, "GET", "/sync/status", "Authorization: Bearer \r\n", 401, NULL, "left_to_right"},
        {TOKEN, "GET", "/sync/status", "Authorization: Basic " TOKEN "\r\n", 401, NULL, "left_to_right"},
        {TOKEN, "GET", "/nothing", "", 401, NULL, NULL},
        {TOKEN, "GET", "/nothing", bearer, 404, NULL, NULL},
        {TOKEN, "PUT", "/metrics", "Content-Length: 0\r\n", 401, NULL, NULL},
    };
    struct http *open = serve(NULL), *locked = serve(TOKEN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT;
        ask(cases[i].token != NULL ? locked : open, cases[i].method, cases[i].path, cases[i].headers, &out);
        if (code_of(&out) != cases[i].code ||
            (cases[i].has != NULL && strstr(out.data, cases[i].has) == NULL) ||
            (cases[i].has_not != NULL && strstr(out.data, cases[i].has_not) != NULL))
            fail_msg("case %zu: %s %s: %s", i, cases[i].method, cases[i].path,
                     out.data ? out.data : "nothing");
        assert_null(strstr(out.data, TOKEN));
        buf_done(&out);
    }
    http_free(open);
    http_free(locked);
}

static void test_ready(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    struct buf out = BUF_INIT;
    stat_text_set(&status->waiting, "");
    for (int i = 0; i < 2; i++) {
        status->servers[i].state = RUN_STREAMING;
        status->links[0].direction[i].state = RUN_STREAMING;
        status->links[0].direction[i].connected = true;
    }
    ask(h, "GET", "/readyz", "", &out);
    assert_int_equal(code_of(&out), 200);
    assert_non_null(strstr(out.data, "\"ready\""));
    buf_done(&out);
    status->servers[1].state = RUN_CONNECTING;
    ask(h, "GET", "/readyz", "", &out);
    assert_int_equal(code_of(&out), 503);
    assert_non_null(strstr(out.data, "server customer: connecting"));
    buf_done(&out);
    http_free(h);
}

/* A body is read up to its limit and dropped; one that does not end is cut off. */
static void test_chunked_body(void **state)
{
    (void)state;
    static const char head[] =
        "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    struct http *h = serve(NULL);
    struct buf request = BUF_INIT, out = BUF_INIT;

    buf_adds(&request, head);
    buf_adds(&request, "5\r\nhello\r\n0\r\n\r\n");
    talk(h, request.data, request.len, &out);
    assert_int_equal(code_of(&out), 200);
    buf_done(&request);
    buf_done(&out);

    buf_adds(&request, head);
    for (int i = 0; i < 100; i++) {
        buf_adds(&request, "400\r\n");
        memset(buf_room(&request, 1024), 'x', 1024);
        request.len += 1024;
        buf_adds(&request, "\r\n");
    }
    buf_adds(&request, "0\r\n\r\n");
    talk(h, request.data, request.len, &out);
    assert_int_not_equal(code_of(&out), 200);
    buf_done(&request);
    buf_done(&out);
    http_free(h);
}

/* Property: no bytes make it fall over; it answers the next client. */
static void test_garbage(void **state)
{
    (void)state;
    static const char request_line[] = "GET /metrics HTTP/1.1\r\n", end[] = "\r\n\r\n";
    static const struct linger reset = {1, 0};
    struct http *h = serve(TOKEN);
    unsigned seed = 42;
    for (int i = 0; i < 300; i++) {
        char bytes[512], answer[64] = "";
        size_t len = 64 + (size_t)rand_r(&seed) % (sizeof(bytes) - 64);
        for (size_t j = 0; j < len; j++)
            bytes[j] = (char)rand_r(&seed);
        memcpy(bytes, request_line, (size_t)rand_r(&seed) % sizeof(request_line));
        memcpy(bytes + len - strlen(end), end, strlen(end)); /* or it would wait for the rest */
        int fd = dial(h);
        (void)!send(fd, bytes, len, MSG_NOSIGNAL);
        (void)!recv(fd, answer, sizeof(answer) - 1, 0);
        assert_null(strstr(answer, " 200 "));
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        close(fd);
    }
    struct buf out = BUF_INIT;
    ask(h, "GET", "/healthz", "", &out);
    assert_int_equal(code_of(&out), 200);
    buf_done(&out);
    http_free(h);
}

static void test_cannot_listen(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    char want[64];
    const struct {
        const char *host;
        uint16_t port;
        const char *has;
    } cases[] = {
        {"127.0.0.1", http_port(h), want},
        {"localhost", http_port(h), "another program"},
        {"0.0.0.0", 0, "http.token_env"},
        {"::", 0, "http.token_env"},
        {"example.org", 0, "not an IPv4 or IPv6 address"},
        {"", 0, "not an IPv4 or IPv6 address"},
        {"192.0.2.1", 0, "http.token_env"},
    };
    snprintf(want, sizeof(want), "cannot listen on 127.0.0.1:%u: Address already in use",
             (unsigned)http_port(h));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct http_options o = {cases[i].host, cases[i].port, NULL, status};
        assert_null(http_new(&o, &err));
        assert_int_equal(err.kind, ERR_CONFIG);
        if (strstr(err.text, cases[i].has) == NULL)
            fail_msg("%s: %s", cases[i].host, err.text);
    }
    http_free(h);
}

static void test_client(void **state)
{
    (void)state;
    struct http *h = serve(TOKEN);
    struct err err = ERR_INIT;
    struct client_options o = {"127.0.0.1", http_port(h), TOKEN, 5000};
    struct buf out = BUF_INIT;
    long code = 0;

    assert_true(client_get(&o, "/sync/status", &code, &out, &err));
    assert_int_equal(code, 200);
    assert_non_null(strstr(out.data, "\"left_to_right\""));
    buf_clear(&out);
    o.token = "wrong";
    assert_true(client_get(&o, "/sync/status", &code, &out, &err));
    assert_int_equal(code, 401);
    o.host = "0.0.0.0";
    o.token = TOKEN;
    assert_true(client_get(&o, "/healthz", &code, &out, &err));
    assert_int_equal(code, 200);

    char want[64];
    snprintf(want, sizeof(want), "cannot reach the daemon at http://127.0.0.1:%u: ", (unsigned)http_port(h));
    http_free(h);
    assert_false(client_get(&o, "/healthz", &code, &out, &err));
    assert_int_equal(err.kind, ERR_RETRY);
    assert_int_equal(strncmp(err.text, want, strlen(want)), 0);
    buf_done(&out);
}

/* A peer that takes the connection and then says nothing. */
static void test_client_timeout(void **state)
{
    (void)state;
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t len = sizeof(at);
    struct err err = ERR_INIT;
    struct buf out = BUF_INIT;
    long code;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);

    struct client_options o = {"127.0.0.1", ntohs(at.sin_port), NULL, 200};
    mono_us before = clock_mono();
    assert_false(client_get(&o, "/sync/status", &code, &out, &err));
    assert_true(mono_diff_us(clock_mono(), before) < 10 * 1000000);
    assert_int_equal(err.kind, ERR_RETRY);
    close(fd);
    buf_done(&out);
}

static int make_status(void **state)
{
    (void)state;
    status = status_new(&config, "1.2.3");
    return 0;
}

static int drop_status(void **state)
{
    (void)state;
    status_free(status);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_routes, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_ready, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_chunked_body, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_garbage, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_cannot_listen, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_client, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_client_timeout, make_status, drop_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
