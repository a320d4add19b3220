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
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <netinet/in.h>
#include <sys/resource.h>
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

/* ---- What the daemon would do ---- */

static char asked[512]; /* the last thing that was asked of it */

static void note(const char *what, const char *link, const char *rest)
{
    snprintf(asked, sizeof(asked), "%s link=%s %s", what, link != NULL ? link : "-", rest);
}

static bool known_link(const char *link) { return link == NULL || strcmp(link, users_name) == 0; }

static struct job make_job(uint64_t id, const char *link)
{
    return (struct job){.id = id, .link = link, .state = JOB_DONE, .rows_scanned = 5, .rows_written = 3};
}

static enum api_result fake_trigger(void *arg, const struct api_trigger *t,
                                    void (*each)(void *each_arg, const struct job *job, bool already_running),
                                    void *each_arg, struct err *err)
{
    char rest[128];
    (void)arg;
    snprintf(rest, sizeof(rest), "from=%s force=%d delete=%d", t->from != NULL ? t->from : "-", t->force,
             t->delete_missing);
    note("trigger", t->link, rest);
    if (!known_link(t->link)) {
        err_set(err, ERR_CONFIG, 0, "there is no link \"%s\"; there is \"users\"", t->link);
        return API_INVALID;
    }
    if (t->from != NULL && strcmp(t->from, "halted") == 0) {
        err_set(err, ERR_CONFIG, 0, "it is halted");
        return API_CONFLICT;
    }
    if (t->from != NULL && strcmp(t->from, "later") == 0) {
        err_set(err, ERR_RETRY, 0, "not yet");
        return API_NOT_YET;
    }
    struct job first = make_job(41, users_name), second = make_job(42, "orders");
    each(each_arg, &first, t->force);
    if (t->link == NULL)
        each(each_arg, &second, true);
    return API_OK;
}

static bool fake_job(void *arg, uint64_t id, struct job *ret_job)
{
    (void)arg;
    *ret_job = make_job(id, users_name);
    return id == 41 || id == UINT64_MAX;
}

static enum api_result fake_last_job(void *arg, const char *link, struct job *ret_job)
{
    (void)arg, (void)link;
    *ret_job = make_job(40, users_name);
    return API_OK;
}

static size_t fake_quarantine(void *arg, const char *link, size_t max,
                              void (*each)(void *each_arg, const struct waiting_key *k), void *each_arg,
                              enum api_result *ret_result)
{
    char rest[32];
    (void)arg;
    snprintf(rest, sizeof(rest), "max=%zu", max);
    note("quarantine", link, rest);
    *ret_result = known_link(link) ? API_OK : API_INVALID;
    struct waiting_key k = {users_name,         "id=\xff\"", "00ff00ff00ff00ff",
                            SIDE_RIGHT,         1062,        "Duplicate entry",
                            {1767607872345000}, {0},         3};
    for (size_t i = 0; max > 0 && i < max + 2 && known_link(link); i++) /* two links, say */
        each(each_arg, &k);
    return 4321;
}

static enum api_result fake_retry(void *arg, const char *link, const char *key, size_t *ret_count,
                                  struct err *err)
{
    char rest[300];
    (void)arg;
    snprintf(rest, sizeof(rest), "key=%s", key != NULL ? key : "-");
    note("retry", link, rest);
    *ret_count = key != NULL ? 1 : 17;
    if (key != NULL && strcmp(key, "id=9") == 0) {
        err_set(err, ERR_ROW, 0, "no such key waits");
        return API_NOT_FOUND;
    }
    return API_OK;
}

static const struct conflict a_conflict = {
    .link = users_name,
    .id = 17,
    .at = {1767607872345000},
    .key = "id=42",
    .met = "left_to_right",
    .rule = "updated_at",
    .winner = SIDE_RIGHT,
    .row = {{true, 7, 1767607872000042}, {true, VALUE_INT_NONE, INT64_MIN}},
    .columns = "name,email_encrypted",
};
static const struct conflict a_delete = {
    .link = users_name,
    .id = 18,
    .key = "id=43",
    .met = "resync",
    .rule = "delete_vs_update",
    .row = {{true, -1, -1}, {false, 5, 5}},
    .columns = "",
};

static size_t fake_conflicts(void *arg, const char *link, size_t max,
                             void (*each)(void *each_arg, const struct conflict *c), void *each_arg,
                             enum api_result *ret_result)
{
    char rest[32];
    (void)arg;
    snprintf(rest, sizeof(rest), "max=%zu", max);
    note("conflicts", link, rest);
    *ret_result = known_link(link) ? API_OK : API_INVALID;
    each(each_arg, &a_conflict);
    each(each_arg, &a_delete);
    if (link != NULL || max != 2)
        return 2;
    struct conflict of_another_link = a_conflict;
    of_another_link.link = "orders";
    of_another_link.at.v++;
    each(each_arg, &of_another_link);
    return 3;
}

static enum api_result fake_conflict(void *arg, const char *link, uint64_t id,
                                     void (*each)(void *each_arg, const struct conflict *c), void *each_arg)
{
    char rest[32];
    (void)arg;
    snprintf(rest, sizeof(rest), "id=%" PRIu64, id);
    note("conflict", link, rest);
    if (id == 17 || id == 18)
        each(each_arg, id == 17 ? &a_conflict : &a_delete);
    return id == 17 || id == 18 ? API_OK : id == 503 ? API_NOT_YET : API_NOT_FOUND;
}

static const struct api fake_api = {NULL,       fake_trigger,   fake_job,     fake_last_job, fake_quarantine,
                                    fake_retry, fake_conflicts, fake_conflict};

/* ---- Asking ---- */

static struct http *serve_with(const struct http_options *more, const char *token)
{
    struct err err = ERR_INIT;
    struct http_options o = *more;
    o.host = "127.0.0.1";
    o.token = token;
    o.status = status;
    struct http *h = http_new(&o, &err);
    if (h == NULL)
        fail_msg("%s", err.text);
    return h;
}

static struct http *serve(const char *token)
{
    static const struct http_options o = {.api = &fake_api};
    return serve_with(&o, token);
}

static int dial_port(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval limit = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    return fd;
}

static int dial(const struct http *h) { return dial_port(http_port(h)); }

/* Sends bytes as they are and reads until the server closes. */
static void talk_to(uint16_t port, const char *request, size_t len, struct buf *out)
{
    int fd = dial_port(port);
    char part[4096];
    ssize_t n;
    /* The server may refuse and close before it has read all. */
    (void)!send(fd, request, len, MSG_NOSIGNAL);
    while ((n = recv(fd, part, sizeof(part), 0)) > 0)
        buf_add(out, part, (size_t)n);
    close(fd);
}

static void talk(const struct http *h, const char *request, size_t len, struct buf *out)
{
    talk_to(http_port(h), request, len, out);
}

static int code_of(const struct buf *answer)
{
    int code = 0;
    if (answer->data != NULL)
        (void)!sscanf(answer->data, "HTTP/1.%*d %d", &code);
    return code;
}

static void ask_port(uint16_t port, const char *method, const char *path, const char *headers,
                     struct buf *out)
{
    struct buf request = BUF_INIT;
    buf_addf(&request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, headers);
    talk_to(port, request.data, request.len, out);
    buf_done(&request);
}

static void ask(const struct http *h, const char *method, const char *path, const char *headers,
                struct buf *out)
{
    ask_port(http_port(h), method, path, headers, out);
}

/* The code of the answer, whose JSON is put in *ret_json unless that is NULL. */
static int ask_json(uint16_t port, const char *method, const char *path, json_t **ret_json)
{
    struct buf out = BUF_INIT;
    ask_port(port, method, path, "", &out);
    int code = code_of(&out);
    const char *body = out.data != NULL ? strstr(out.data, "\r\n\r\n") : NULL;
    json_t *o = body != NULL ? json_loads(body, 0, NULL) : NULL;
    if (o == NULL)
        fail_msg("%s: no JSON: %s", path, out.data != NULL ? out.data : "nothing");
    buf_done(&out);
    if (ret_json != NULL)
        *ret_json = o;
    else
        json_decref(o);
    return code;
}

static int health(const struct http *h)
{
    struct buf out = BUF_INIT;
    ask(h, "GET", "/healthz", "", &out);
    int code = code_of(&out);
    buf_done(&out);
    return code;
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *ret = json_string_value(json_object_get(o, name));
    return ret != NULL ? ret : "(no text)";
}

static int64_t number_at(const json_t *o, const char *name)
{
    const json_t *n = json_object_get(o, name);
    if (!json_is_integer(n))
        fail_msg("%s is no number", name);
    return json_integer_value(n);
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
        {NULL, "POST", "/sync/trigger", "Content-Length: 0\r\n", 202, "\"job\"", NULL},
        {NULL, "GET", "/sync/trigger", "", 405, "Allow: POST\r\n", NULL},
        {NULL, "HEAD", "/sync/trigger", "", 405, "Allow: POST\r\n", NULL},
        {NULL, "GET", "/sync/quarantine/retry", "", 405, "Allow: POST\r\n", NULL},
        {NULL, "POST", "/sync/quarantine", "Content-Length: 0\r\n", 405, "Allow: GET, HEAD\r\n", NULL},
        {NULL, "PUT", "/sync/jobs/41", "Content-Length: 0\r\n", 405, "Allow: GET, HEAD\r\n", NULL},
        {NULL, "POST", "/sync/conflicts/users.17", "", 405, "Allow: GET, HEAD\r\n", NULL},
        {NULL, "HEAD", "/sync/jobs/41", "", 200, "Content-Length: ", "rows_scanned"},
        {NULL, "GET", "/sync/jobs", "", 404, "no such route", NULL},
        {NULL, "GET", "/sync/jobs/", "", 404, "no such route", NULL},
        {NULL, "GET", "/healthz%00x", "", 404, "no such route", NULL},
        {NULL, "GET", "/%68ealthz", "", 200, "ok", NULL},
        {NULL, "GET", "/healthz", "Content-Length: 0\r\nContent-Length: 0\r\n", 400, "more than one", NULL},
        {NULL, "POST", "/sync/trigger", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400, NULL,
         NULL},
        {TOKEN, "POST", "/sync/trigger", "Content-Length: 0\r\n", 401, NULL, "\"job\""},
        {TOKEN, "GET", "/sync/trigger", "", 401, NULL, "Allow"},
        {TOKEN, "GET", "/sync/jobs/41", "", 401, NULL, "rows"},
        {TOKEN, "GET", "/sync/quarantine", "", 401, NULL, "keys"},
        {TOKEN, "GET", "/sync/conflicts", "", 401, NULL, "users"},
        {TOKEN, "GET", "/sync/conflicts/users.17", "", 401, NULL, "users"},
        {TOKEN, "GET", "/metrics", "", 401, NULL, "twinlog_"},
        {TOKEN, "GET", "/sync/status",
         "Authorization: Bearer " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n", 401, "once",
         "left_to_right"},
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

/* Each request, its code, what it asked of the daemon ("": nothing), and words of the answer. */
static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *method, *path;
        int code;
        const char *asked, *has;
    } cases[] = {
        {"POST", "/sync/trigger", 202, "trigger link=- from=- force=0 delete=0", "\"jobs\""},
        {"POST", "/sync/trigger?link=users&from=left&mode=force&missing=delete", 202,
         "trigger link=users from=left force=1 delete=1", "\"job\""},
        {"POST", "/sync/trigger?mode=merge&missing=copy&from=auth", 202,
         "trigger link=- from=auth force=0 delete=0", NULL},
        {"POST", "/sync/trigger?l%69nk=%75sers&", 202, "trigger link=users from=- force=0 delete=0", NULL},
        {"POST", "/sync/trigger?link=nobody", 400, "trigger link=nobody from=- force=0 delete=0",
         "there is no link"},
        {"POST", "/sync/trigger?from=halted", 409, NULL, "it is halted"},
        {"POST", "/sync/trigger?from=later", 503, NULL, "not yet"},
        {"POST", "/sync/trigger?mode=force", 400, "", "mode=force needs from: left, right or"},
        {"POST", "/sync/trigger?missing=delete", 400, "", "missing=delete needs from"},
        {"POST", "/sync/trigger?mode=Force&from=left", 400, "",
         "mode is \\\"Force\\\"; must be merge or force"},
        {"POST", "/sync/trigger?missing=x", 400, "", "missing is \\\"x\\\"; must be copy or delete"},
        {"POST", "/sync/trigger?form=left", 400, "",
         "unknown parameter \\\"form\\\"; known here: link, from, mode, missing"},
        {"POST", "/sync/trigger?from=left&from=left", 400, "", "\\\"from\\\" is given twice"},
        {"POST", "/sync/trigger?from=", 400, "", "\\\"from\\\" is empty"},
        {"POST", "/sync/trigger?from", 400, "", "\\\"from\\\" is empty"},
        {"POST", "/sync/trigger?=left", 400, "", "no name"},
        {"POST", "/sync/trigger?link=users%00", 400, "", "NUL"},
        {"POST", "/sync/trigger?from%00x=left", 400, "", "NUL"},
        {"POST", "/sync/trigger?from=le%zzft", 400, "", "hex digits"},
        {"POST", "/sync/trigger?from=left%4", 400, "", "hex digits"},
        {"POST", "/sync/trigger?%s%n%d=%s", 400, "", "hex digits"},
        {"POST", "/sync/trigger?%25s%25n=1", 400, "", "unknown parameter \\\"%s%n\\\""},
        {"POST", "/sync/trigger?%ff=%fe", 400, "", "unknown parameter"},
        {"GET", "/sync/jobs/41", 200, NULL, "\"rows_scanned\": 5"},
        {"GET", "/sync/jobs/18446744073709551615", 200, NULL, "\"done\""},
        {"GET", "/sync/jobs/18446744073709551616", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/42", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/041", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/+41", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/-1", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/41/", 404, NULL, "no such job"},
        {"GET", "/sync/jobs/41?x=1", 400, NULL, "this route has none"},
        {"GET", "/sync/quarantine", 200, "quarantine link=- max=100", "\"count\": 4321"},
        {"GET", "/sync/quarantine?link=users&limit=1", 200, "quarantine link=users max=1", "\"keys\""},
        {"GET", "/sync/quarantine?limit=1000", 200, "quarantine link=- max=1000", NULL},
        {"GET", "/sync/quarantine?limit=1001", 400, "",
         "limit is \\\"1001\\\"; must be a number from 1 to 1000"},
        {"GET", "/sync/quarantine?limit=0", 400, "", "limit is"},
        {"GET", "/sync/quarantine?limit=-1", 400, "", "limit is"},
        {"GET", "/sync/quarantine?limit=1e2", 400, "", "limit is"},
        {"GET", "/sync/quarantine?limit=99999999999999999999", 400, "", "limit is"},
        {"GET", "/sync/quarantine?link=nobody", 400, "quarantine link=nobody max=100", "no such link"},
        {"POST", "/sync/quarantine/retry?key=id%3D42", 202, "retry link=- key=id=42", "\"retrying\": 1"},
        {"POST", "/sync/quarantine/retry?key=id=42+x&link=users", 202, "retry link=users key=id=42 x", NULL},
        {"POST", "/sync/quarantine/retry?all=true", 202, "retry link=- key=-", "\"retrying\": 17"},
        {"POST", "/sync/quarantine/retry?key=id%3D9", 404, "retry link=- key=id=9", "no such key waits"},
        {"POST", "/sync/quarantine/retry", 400, "", "key=KEY"},
        {"POST", "/sync/quarantine/retry?all=true&key=1", 400, "", "one of the two"},
        {"POST", "/sync/quarantine/retry?all=false", 400, "", "must be true"},
        {"POST", "/sync/quarantine/retry?all=1&key=1", 400, "", "must be true"},
        {"GET", "/sync/conflicts?limit=7", 200, "conflicts link=- max=7", "\"count\": 2"},
        {"GET", "/sync/conflicts?link=nobody", 400, "conflicts link=nobody max=100", "no such link"},
        {"GET", "/sync/conflicts/users.17", 200, "conflict link=users id=17", "\"users.17\""},
        {"GET", "/sync/conflicts/17", 200, "conflict link=users id=17", "\"users.17\""},
        {"GET", "/sync/conflicts/17?link=users", 200, "conflict link=users id=17", NULL},
        {"GET", "/sync/conflicts/users.17?link=users", 200, "conflict link=users id=17", NULL},
        {"GET", "/sync/conflicts/users.99", 404, "conflict link=users id=99", "no such conflict"},
        {"GET", "/sync/conflicts/users.503", 503, "conflict link=users id=503", "not known"},
        {"GET", "/sync/conflicts/nobody.17", 404, "", "no such conflict"},
        {"GET", "/sync/conflicts/17?link=nobody", 400, "", "no such link"},
        {"GET", "/sync/conflicts/x.17?link=users", 400, "", "two links"},
        {"GET", "/sync/conflicts/users.", 404, "", "users.17"},
        {"GET", "/sync/conflicts/.17", 404, "", "no such conflict"},
        {"GET", "/sync/conflicts/users.17.", 404, "", "no such conflict"},
        {"GET", "/sync/conflicts/users.17?limit=1", 400, "", "known here: link"},
        {"GET", "/sync/status", 200, NULL, "\"job\": 40"},
        {"GET", "/metrics", 200, NULL, "twinlog_resync_running{link=\"users\"} 0"},
    };
    struct http *h = serve(NULL);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_INIT;
        asked[0] = '\0';
        ask(h, cases[i].method, cases[i].path, "", &out);
        if (code_of(&out) != cases[i].code ||
            (cases[i].asked != NULL && strcmp(asked, cases[i].asked) != 0) ||
            (cases[i].has != NULL && strstr(out.data, cases[i].has) == NULL))
            fail_msg("case %zu: %s %s: asked \"%s\": %s", i, cases[i].method, cases[i].path, asked,
                     out.data ? out.data : "nothing");
        buf_done(&out);
    }
    http_free(h);
}

static void test_trigger_answer(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    json_t *o;
    assert_int_equal(ask_json(http_port(h), "POST", "/sync/trigger?link=users", &o), 202);
    assert_int_equal(number_at(o, "job"), 41);
    assert_string_equal(text_at(o, "link"), "users");
    assert_null(json_object_get(o, "already_running")); /* true only if so */
    const json_t *jobs = json_object_get(o, "jobs");
    assert_int_equal(json_array_size(jobs), 1);
    assert_true(json_is_false(json_object_get(json_array_get(jobs, 0), "already_running")));
    json_decref(o);

    assert_int_equal(ask_json(http_port(h), "POST", "/sync/trigger?mode=force&from=left", &o), 202);
    assert_true(json_is_true(json_object_get(o, "already_running")));
    assert_int_equal(number_at(o, "job"), 41);
    jobs = json_object_get(o, "jobs");
    assert_int_equal(json_array_size(jobs), 2);
    assert_int_equal(number_at(json_array_get(jobs, 1), "job"), 42);
    assert_string_equal(text_at(json_array_get(jobs, 1), "link"), "orders");
    assert_true(json_is_true(json_object_get(json_array_get(jobs, 1), "already_running")));
    json_decref(o);
    http_free(h);
}

static void test_lists(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    json_t *o;
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/quarantine?limit=3", &o), 200);
    assert_int_equal(number_at(o, "count"), 4321);
    const json_t *keys = json_object_get(o, "keys"), *k = json_array_get(keys, 0);
    assert_int_equal(json_array_size(keys), 3); /* whatever the daemon gives */
    assert_string_equal(text_at(k, "link"), "users");
    assert_string_equal(text_at(k, "key"), "id=?\"");
    assert_string_equal(text_at(k, "hash"), "00ff00ff00ff00ff");
    assert_string_equal(text_at(k, "from"), "right");
    assert_int_equal(number_at(k, "code"), 1062);
    assert_string_equal(text_at(k, "why"), "Duplicate entry");
    assert_string_equal(text_at(k, "since"), "2026-01-05T10:11:12.345Z");
    assert_int_equal(strlen(text_at(k, "next_try")), 24); /* 0 is now */
    assert_int_equal(number_at(k, "tries"), 3);
    json_decref(o);

    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts/17", &o), 200);
    assert_string_equal(text_at(o, "id"), "users.17");
    assert_string_equal(text_at(o, "link"), "users");
    assert_string_equal(text_at(o, "at"), "2026-01-05T10:11:12.345Z");
    assert_string_equal(text_at(o, "key"), "id=42");
    assert_string_equal(text_at(o, "met"), "left_to_right");
    assert_string_equal(text_at(o, "rule"), "updated_at");
    assert_string_equal(text_at(o, "winner"), "right");
    const json_t *left = json_object_get(o, "left"), *right = json_object_get(o, "right");
    assert_true(json_is_true(json_object_get(left, "present")));
    assert_int_equal(number_at(left, "version"), 7);
    assert_string_equal(text_at(left, "updated_at"), "2026-01-05T10:11:12.000042Z");
    assert_true(json_is_null(json_object_get(right, "version")));
    assert_true(json_is_null(json_object_get(right, "updated_at")));
    const json_t *columns = json_object_get(o, "columns");
    assert_int_equal(json_array_size(columns), 2);
    assert_string_equal(json_string_value(json_array_get(columns, 1)), "email_encrypted");
    json_decref(o);

    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts", &o), 200);
    assert_int_equal(number_at(o, "count"), 2);
    const json_t *second = json_array_get(json_object_get(o, "conflicts"), 1);
    left = json_object_get(second, "left"), right = json_object_get(second, "right");
    assert_int_equal(number_at(left, "version"), -1);
    assert_string_equal(text_at(left, "updated_at"), "1969-12-31T23:59:59.999999Z");
    assert_true(json_is_false(json_object_get(right, "present")));
    assert_true(json_is_null(json_object_get(right, "version")));
    assert_true(json_is_null(json_object_get(right, "updated_at")));
    assert_int_equal(json_array_size(json_object_get(second, "columns")), 0);
    json_decref(o);
    http_free(h);
}

/* What several links hand on is one list, the newest first. */
static void test_conflicts_of_all_links_by_time(void **state)
{
    struct http *h = serve(NULL);
    json_t *o;

    (void)state;
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts?limit=2", &o), 200);
    assert_int_equal(number_at(o, "count"), 3);
    const json_t *list = json_object_get(o, "conflicts");
    assert_int_equal(json_array_size(list), 2);
    assert_string_equal(text_at(json_array_get(list, 0), "link"), "orders");
    assert_string_equal(text_at(json_array_get(list, 1), "id"), "users.17");
    json_decref(o);
    http_free(h);
}

/* A plain number names a conflict only while it can mean one. */
static void test_conflict_of_which_link(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    size_t n = status->nlinks;
    struct status_link *one = status->links, two[2];
    memset(two, 0, sizeof(two));
    two[0].name = "users";
    two[1].name = "orders";
    status->links = two;
    status->nlinks = 2;
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts/17", NULL), 400);
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts/17?link=orders", NULL), 200);
    assert_string_equal(asked, "conflict link=orders id=17");
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/conflicts/orders.18", NULL), 200);
    assert_string_equal(asked, "conflict link=orders id=18");
    http_free(h);
    status->links = one;
    status->nlinks = n;
}

static void test_without_api(void **state)
{
    (void)state;
    static const struct http_options none = {.api = NULL};
    struct http *h = serve_with(&none, NULL);
    assert_int_equal(ask_json(http_port(h), "POST", "/sync/trigger", NULL), 503);
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/jobs/1", NULL), 503);
    assert_int_equal(ask_json(http_port(h), "GET", "/sync/status", NULL), 200);
    assert_int_equal(ask_json(http_port(h), "GET", "/healthz", NULL), 200);
    http_free(h);
}

static void test_server_listeners(void **state)
{
    (void)state;
    static const struct http_listener listeners[] = {{"127.0.0.1", 0, "auth"}, {"localhost", 0, "customer"}};
    static const struct http_options o = {.api = &fake_api, .listeners = listeners, .nlisteners = 2};
    struct http *h = serve_with(&o, NULL);
    uint16_t auth = http_listener_port(h, 0), customer = http_listener_port(h, 1);
    struct buf out = BUF_INIT;
    assert_int_not_equal(auth, customer);
    assert_int_not_equal(auth, http_port(h));

    assert_int_equal(ask_json(auth, "POST", "/sync/trigger", NULL), 202);
    assert_string_equal(asked, "trigger link=- from=auth force=0 delete=0");
    assert_int_equal(ask_json(customer, "POST", "/sync/trigger?mode=force&link=users", NULL), 202);
    assert_string_equal(asked, "trigger link=users from=customer force=1 delete=0");
    assert_int_equal(ask_json(customer, "POST", "/sync/trigger?from=customer", NULL), 202);
    asked[0] = '\0';
    assert_int_equal(ask_json(customer, "POST", "/sync/trigger?from=auth", NULL), 400);
    assert_int_equal(ask_json(customer, "POST", "/sync/trigger?from=left", NULL), 400);
    assert_string_equal(asked, "");
    assert_int_equal(ask_json(http_port(h), "POST", "/sync/trigger?from=auth", NULL), 202);
    assert_int_equal(ask_json(auth, "GET", "/sync/status", NULL), 200);
    http_free(h);

    h = serve_with(&o, TOKEN);
    assert_int_equal(ask_json(http_listener_port(h, 0), "POST", "/sync/trigger", NULL), 401);
    assert_int_equal(ask_json(http_listener_port(h, 1), "GET", "/healthz", NULL), 200);
    ask_port(http_listener_port(h, 1), "POST", "/sync/trigger", "Authorization: Bearer " TOKEN "\r\n", &out);
    assert_int_equal(code_of(&out), 202);
    buf_done(&out);
    http_free(h);

    static const struct http_listener open[] = {{"127.0.0.1", 0, "auth"}, {"0.0.0.0", 0, "customer"}};
    struct http_options bad = {
        .host = "127.0.0.1", .status = status, .api = &fake_api, .listeners = open, .nlisteners = 2};
    struct err err = ERR_INIT;
    assert_null(http_new(&bad, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_non_null(strstr(err.text, "servers.customer.listen: 0.0.0.0 can be reached from other machines"));
}

/* ---- Bodies ---- */

static int post_body(const struct http *h, const char *headers, const char *body, size_t len, struct buf *out)
{
    struct buf request = BUF_INIT;
    asked[0] = '\0';
    buf_clear(out);
    buf_addf(&request,
             "POST /sync/trigger HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
             headers, len);
    buf_add(&request, body, len);
    talk(h, request.data, request.len, out);
    buf_done(&request);
    return code_of(out);
}

static void test_forms(void **state)
{
    (void)state;
    static const char form[] = "Content-Type: application/x-www-form-urlencoded\r\n";
    static const char form2[] = "content-type: Application/X-www-form-urlencoded; charset=utf-8\r\n";
    static const char nul[] = "link=users\0&from=left";
    struct http *h = serve(NULL);
    struct buf out = BUF_INIT;
#define POST(headers, body) post_body(h, headers, body, strlen(body), &out)
    assert_int_equal(POST(form, "link=us%65rs&from=left"), 202);
    assert_string_equal(asked, "trigger link=users from=left force=0 delete=0");
    assert_int_equal(POST(form2, "link=users"), 202);
    assert_string_equal(asked, "trigger link=users from=- force=0 delete=0");
    assert_int_equal(POST(form, ""), 202);
    assert_int_equal(POST(form, "link=users&link=users"), 400);
    assert_int_equal(POST(form, "nothing"), 400);
    assert_int_equal(POST(form, "link=users%00"), 400);
    assert_int_equal(POST(form, "x=1"), 400);
    assert_int_equal(post_body(h, form, nul, sizeof(nul) - 1, &out), 400);
    assert_string_equal(asked, "");
    /* Of any other type it is not looked at. */
    assert_int_equal(POST("Content-Type: application/json\r\n", "x=1"), 202);
    assert_int_equal(POST("Content-Type: application/x-www-form-urlencodedx\r\n", "x=1"), 202);
    assert_int_equal(POST("", "x=1"), 202);
    assert_string_equal(asked, "trigger link=- from=- force=0 delete=0");

    /* What curl -d sends: an = in a value. */
    static const char retry[] =
        "POST /sync/quarantine/retry?link=users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nkey=id=42";
    talk(h, retry, strlen(retry), &out);
    assert_string_equal(asked, "retry link=users key=id=42");
    /* Once in the query and once in the form is twice. */
    static const char twice[] =
        "POST /sync/trigger?link=users HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nlink=users";
    buf_clear(&out);
    talk(h, twice, strlen(twice), &out);
    assert_int_equal(code_of(&out), 400);
    assert_non_null(strstr(out.data, "given twice"));

    /* As long as it may be, and in as many pieces as it comes. */
    struct buf body = BUF_INIT;
    buf_adds(&body, "link=users&from=");
    while (body.len < 65536)
        buf_addc(&body, 'y');
    assert_int_equal(post_body(h, form, body.data, body.len, &out), 202);
    assert_memory_equal(asked, "trigger link=users from=yyyy", 28);
    buf_addc(&body, 'y');
    assert_int_equal(post_body(h, form, body.data, body.len, &out), 413);
    buf_done(&body);
    buf_done(&out);
    http_free(h);
}

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

    /* Over the limit: swallowed to its end, and told so. */
    buf_adds(&request, head);
    for (int i = 0; i < 100; i++) {
        buf_adds(&request, "400\r\n");
        memset(buf_room(&request, 1024), 'x', 1024);
        request.len += 1024;
        buf_adds(&request, "\r\n");
    }
    buf_adds(&request, "0\r\n\r\n");
    talk(h, request.data, request.len, &out);
    assert_int_equal(code_of(&out), 413);
    buf_done(&request);
    buf_done(&out);

    /* One that does not end is cut off. */
    char chunk[4 + 2 + 4096 + 2];
    memcpy(chunk, "1000\r\n", 6);
    memset(chunk + 6, 'x', 4096);
    memcpy(chunk + 6 + 4096, "\r\n", 2);
    int fd = dial(h);
    size_t sent = 0;
    assert_int_equal(send(fd, head, strlen(head), MSG_NOSIGNAL), (ssize_t)strlen(head));
    while (sent < 100u * 1024 * 1024 && send(fd, chunk, sizeof(chunk), MSG_NOSIGNAL) > 0)
        sent += sizeof(chunk);
    assert_true(sent < 50u * 1024 * 1024);
    close(fd);
    http_free(h);
}

/* Who is refused while still sending is told so: no reset overtakes the answer. */
static void test_refused_while_sending(void **state)
{
    (void)state;
    struct http *h = serve(TOKEN);
    static char body[200000];
    for (int i = 0; i < 5; i++) {
        struct buf out = BUF_INIT;
        char head[160], part[4096];
        ssize_t n;
        int fd = dial(h);
        snprintf(head, sizeof(head), "POST /sync/trigger HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                 sizeof(body));
        assert_true(send(fd, head, strlen(head), MSG_NOSIGNAL) > 0);
        for (size_t at = 0; at < sizeof(body); at += 10000) {
            assert_int_equal(send(fd, body + at, 10000, MSG_NOSIGNAL), 10000);
            usleep(500);
        }
        while ((n = recv(fd, part, sizeof(part), 0)) > 0)
            buf_add(&out, part, (size_t)n);
        assert_int_equal(n, 0);
        assert_int_equal(code_of(&out), 401);
        close(fd);
        buf_done(&out);
    }
    http_free(h);
}

static void test_long_query(void **state)
{
    (void)state;
    struct http *h = serve(NULL);
    struct buf path = BUF_INIT, out = BUF_INIT;
    asked[0] = '\0';
    buf_adds(&path, "/sync/trigger?link=");
    while (path.len < 8000)
        buf_adds(&path, "%41");
    ask(h, "POST", path.data, "", &out);
    assert_int_equal(code_of(&out), 400);
    assert_memory_equal(asked, "trigger link=AAAA", 17);
    buf_clear(&out);
    asked[0] = '\0';
    while (path.len < 100000)
        buf_adds(&path, "%41");
    ask(h, "POST", path.data, "", &out);
    assert_in_range(code_of(&out), 400, 499); /* 414 */
    buf_done(&path);
    buf_adds(&path, "/sync/trigger?");
    for (int i = 0; i < 1000; i++) {
        buf_addf(&path, "a%d=1&", i);
        if (i != 99 && i != 999)
            continue;
        buf_clear(&out);
        ask(h, "POST", path.data, "", &out);
        assert_int_equal(code_of(&out), 400);
    }
    assert_string_equal(asked, "");
    assert_int_equal(health(h), 200);

    /* Headers and cookies of which the library has more than it can hold. */
    static const char *const many[] = {"a%d: 1\r\n", "Cookie: a%d=1;\r\n", "Cookie: %d=1;", "b=%d,"};
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        buf_clear(&path);
        buf_adds(&path, i == 3 ? "Cookie: " : i == 2 ? "X: " : "");
        for (int j = 0; j < 1200; j++)
            buf_addf(&path, many[i], j);
        buf_adds(&path, i >= 2 ? "\r\n" : "");
        buf_clear(&out);
        ask(h, "GET", "/healthz?a=1", path.data, &out);
        assert_int_equal(health(h), 200);
    }
    buf_done(&path);
    buf_done(&out);
    http_free(h);
}

/* ---- Time ---- */

static void sleep_ms(unsigned ms) { usleep(ms * 1000); }

/* Whether the other end has closed, without waiting. */
static bool is_closed(int fd)
{
    char c;
    ssize_t n = recv(fd, &c, 1, MSG_DONTWAIT | MSG_PEEK);
    return n == 0 || (n < 0 && errno != EAGAIN);
}

/* A byte now and then keeps no request alive beyond its time, wherever in it the client dawdles. */
static void test_slow_request(void **state)
{
    (void)state;
    static const char *const begins[] = {
        "", "GET /heal", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        "POST /sync/trigger HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n",
        /* the second one on a connection */
        "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /he"};
    enum { N = sizeof(begins) / sizeof(begins[0]) };
    static const struct http_options o = {.api = &fake_api, .request_time_ms = 1500};
    struct http *h = serve_with(&o, NULL);
    int fds[N];
    bool closed[N] = {false};
    mono_us start = clock_mono();
    for (size_t i = 0; i < N; i++) {
        fds[i] = dial(h);
        (void)!send(fds[i], begins[i], strlen(begins[i]), MSG_NOSIGNAL);
    }
    size_t open = N;
    while (open > 0) {
        int64_t ms = mono_diff_us(clock_mono(), start) / 1000;
        if (ms > 4500)
            fail_msg("%zu slow requests are still there", open);
        for (size_t i = 0; i < N; i++) {
            char answer[1024];
            if (closed[i])
                continue;
            (void)!send(fds[i], "x", 1, MSG_NOSIGNAL);
            ssize_t n = recv(fds[i], answer, sizeof(answer), MSG_DONTWAIT);
            if (n == 0 || (n < 0 && errno != EAGAIN)) {
                closed[i] = true;
                open--;
                if (ms < 1400)
                    fail_msg("request %zu was cut after %d ms", i, (int)ms);
            }
        }
        assert_int_equal(health(h), 200);
        sleep_ms(100);
    }
    for (size_t i = 0; i < N; i++)
        close(fds[i]);
    http_free(h);
}

/* Time between requests is not a request's time. */
static void test_keep_alive(void **state)
{
    (void)state;
    static const struct http_options o = {.api = &fake_api, .request_time_ms = 1000};
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
    struct http *h = serve_with(&o, NULL);
    int fd = dial(h);
    for (int i = 0; i < 3; i++) {
        char answer[1024] = "";
        sleep_ms(i == 0 ? 300 : 1500);
        assert_int_equal(send(fd, request, 8, MSG_NOSIGNAL), 8);
        sleep_ms(400);
        assert_int_equal(send(fd, request + 8, strlen(request) - 8, MSG_NOSIGNAL),
                         (ssize_t)strlen(request) - 8);
        assert_true(recv(fd, answer, sizeof(answer) - 1, 0) > 0);
        assert_non_null(strstr(answer, " 200 "));
    }
    assert_false(is_closed(fd));
    /* Two at once: the second one needs no first byte of its own. */
    char both[2 * sizeof(request)], answer[2048] = "";
    snprintf(both, sizeof(both), "%s%s", request, request);
    assert_true(send(fd, both, strlen(both), MSG_NOSIGNAL) > 0);
    for (size_t len = 0; len < sizeof(answer) - 1;) {
        ssize_t n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0);
        assert_true(n > 0);
        len += (size_t)n;
        const char *first = strstr(answer, "{\"status\"");
        if (first != NULL && strstr(first + 1, "{\"status\"") != NULL)
            break;
    }
    close(fd);
    http_free(h);
}

/* As many as there are places, and more, that say nothing or next to nothing: others get in. */
static void test_crowd(void **state)
{
    (void)state;
    enum { CROWD = 700 };
    static int fds[CROWD];
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
    if (setrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur < 2048)
        skip();
    struct http *h = serve(NULL);
    mono_us start = clock_mono();
    for (int i = 0; i < CROWD; i++) {
        fds[i] = dial(h);
        if (i % 2 == 0)
            (void)!send(fds[i], "GET /h", 6, MSG_NOSIGNAL);
        if (i == 400)
            assert_int_equal(health(h), 200);
    }
    for (int i = 0; i < 5; i++) {
        assert_int_equal(health(h), 200);
        for (int j = 0; j < CROWD; j += 3)
            (void)!send(fds[j], "x", 1, MSG_NOSIGNAL);
    }
    /* Not only because they were silent for too long. */
    assert_true(mono_diff_us(clock_mono(), start) < 4500000);
    for (int i = 0; i < CROWD; i++)
        close(fds[i]);
    assert_int_equal(health(h), 200);
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
        bool passes; /* no mistake in the config */
    } cases[] = {
        {"127.0.0.1", http_port(h), want, true},
        {"localhost", http_port(h), "another program", true},
        {"0.0.0.0", 0, "http.token_env", false},
        {"::", 0, "http.token_env", false},
        {"example.org", 0, "not an IPv4 or IPv6 address", false},
        {"", 0, "not an IPv4 or IPv6 address", false},
        {"192.0.2.1", 0, "http.token_env", false},
    };
    snprintf(want, sizeof(want), "cannot listen on 127.0.0.1:%u: Address already in use",
             (unsigned)http_port(h));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;
        struct http_options o = {.host = cases[i].host, .port = cases[i].port, .status = status};
        assert_null(http_new(&o, &err));
        assert_int_equal(err.kind, cases[i].passes ? ERR_RETRY : ERR_CONFIG);
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
    buf_clear(&out);
    assert_true(client_post(&o, "/sync/trigger?link=users", &code, &out, &err));
    assert_int_equal(code, 202);
    assert_non_null(strstr(out.data, "\"job\": 41"));
    struct buf path = BUF_INIT;
    buf_adds(&path, "/sync/quarantine/retry?key=");
    client_escape("id=4 2&all=%\xc3\xa9#", &path);
    assert_string_equal(path.data, "/sync/quarantine/retry?key=id%3D4%202%26all%3D%25%C3%A9%23");
    assert_true(client_post(&o, path.data, &code, &out, &err));
    assert_int_equal(code, 202);
    assert_string_equal(asked, "retry link=- key=id=4 2&all=%\xc3\xa9#");
    buf_done(&path);
    buf_clear(&out);
    client_escape("aZ09-._~", &out);
    assert_string_equal(out.data, "aZ09-._~");
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
        cmocka_unit_test_setup_teardown(test_parameters, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_trigger_answer, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_lists, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_conflicts_of_all_links_by_time, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_conflict_of_which_link, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_without_api, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_server_listeners, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_forms, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_chunked_body, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_refused_while_sending, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_long_query, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_slow_request, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_keep_alive, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_crowd, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_garbage, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_cannot_listen, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_client, make_status, drop_status),
        cmocka_unit_test_setup_teardown(test_client_timeout, make_status, drop_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
