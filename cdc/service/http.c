/*
 * http.c - libmicrohttpd routes.
 *
 * One internal thread with epoll serves all: every answer is made from memory in
 * microseconds, so more threads would only need more locks. Everything a client
 * can make us hold is limited: connections, header bytes, body bytes, idle time.
 *
 * A request is refused, where it must be, when its headers are there and before
 * its body is read: who has no token cannot make us read anything.
 */
#include "cdc/service/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/service/metrics.h"

enum {
    MAX_CONNECTIONS = 512, /* half-open ones must not keep a health check out */
    IDLE_TIMEOUT_S = 5,
    MAX_HEADER_BYTES = 16 * 1024,
    MAX_BODY_BYTES = 64 * 1024,
    LISTEN_BACKLOG = 64,
    THREAD_STACK_BYTES = 256 * 1024,
};

struct http {
    struct MHD_Daemon *daemon;
    struct status *status;
    char *token; /* NULL: none */
    uint16_t port;
};

struct answer {
    unsigned code;
    const char *type;
    const char *allow; /* of a 405 */
    struct buf body;
};

struct route {
    const char *path;
    bool open; /* needs no token */
    void (*get)(struct http *h, struct answer *ret_answer);
};

static void get_healthz(struct http *h, struct answer *a)
{
    (void)h;
    buf_adds(&a->body, "{\"status\":\"ok\"}\n");
}

static void get_readyz(struct http *h, struct answer *a)
{
    if (!status_readyz(h->status, &a->body))
        a->code = MHD_HTTP_SERVICE_UNAVAILABLE;
}

static void get_status(struct http *h, struct answer *a) { status_json(h->status, NULL, &a->body); }

static void get_metrics(struct http *h, struct answer *a)
{
    a->type = METRICS_CONTENT_TYPE;
    metrics_text(h->status, NULL, &a->body);
}

static const struct route routes[] = {
    {"/healthz", true, get_healthz},
    {"/readyz", false, get_readyz},
    {"/sync/status", false, get_status},
    {"/metrics", false, get_metrics},
};

static void answer_error(struct answer *a, unsigned code, const char *text)
{
    a->code = code;
    status_error_json(text, &a->body);
}

/* The time depends on the length of what was sent, not on how much of it is right. */
static bool equal_constant_time(const char *secret, const char *given)
{
    size_t secret_len = strlen(secret), given_len = strlen(given);
    unsigned char different = secret_len != given_len;
    for (size_t i = 0; i < given_len; i++)
        different |= (unsigned char)(given[i] ^ secret[i % secret_len]);
    return different == 0;
}

static bool is_authorized(const struct http *h, struct MHD_Connection *connection)
{
    static const char scheme[] = "Bearer ";
    if (h->token == NULL)
        return true;
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                     MHD_HTTP_HEADER_AUTHORIZATION);
    if (header == NULL || strncasecmp(header, scheme, strlen(scheme)) != 0)
        return false;
    header += strlen(scheme);
    header += strspn(header, " ");
    return equal_constant_time(h->token, header);
}

static bool body_too_long(struct MHD_Connection *connection)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL && strtoull(text, NULL, 10) > MAX_BODY_BYTES;
}

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, path) == 0)
            return &routes[i];
    }
    return NULL;
}

/* True if the request is refused: *ret_answer then holds why. */
static bool refuse(struct http *h, struct MHD_Connection *connection, const struct route *route,
                   const char *method, struct answer *a)
{
    /* First of all, so that nobody without the token learns which routes there are. */
    if ((route == NULL || !route->open) && !is_authorized(h, connection))
        answer_error(a, MHD_HTTP_UNAUTHORIZED, "this needs the header: Authorization: Bearer TOKEN");
    else if (route == NULL)
        answer_error(a, MHD_HTTP_NOT_FOUND, "no such route");
    else if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
        a->allow = "GET, HEAD";
        answer_error(a, MHD_HTTP_METHOD_NOT_ALLOWED, "this route answers to GET only");
    } else if (body_too_long(connection))
        answer_error(a, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long");
    else
        return false;
    return true;
}

/* Takes the answer's body. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct answer *a)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(a->body.len, a->body.data,
                                                                    MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        buf_done(&a->body);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (a->allow != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, a->allow);
    if (a->code == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    enum MHD_Result ret = MHD_queue_response(connection, a->code, response);
    MHD_destroy_response(response);
    return ret;
}

/* libmicrohttpd calls this once when the headers are there, once for each piece of
 * the body, and once behind it; *request_state is NULL the first time. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *http_version, const char *body,
                              size_t *body_len, void **request_state)
{
    struct http *h = arg;
    const struct route *route = find_route(path);
    struct answer a = {MHD_HTTP_OK, "application/json", NULL, BUF_INIT};
    size_t *body_bytes = *request_state;
    (void)http_version, (void)body;

    if (body_bytes == NULL) {
        *request_state = mem_zalloc(1, sizeof(*body_bytes));
        return refuse(h, connection, route, method, &a) ? send_answer(connection, &a) : MHD_YES;
    }
    if (*body_len > 0) {
        /* No route has a use for one. Here nothing can be answered any more, so a
         * chunked body that does not end is cut off. */
        *body_bytes += *body_len;
        *body_len = 0;
        return *body_bytes <= MAX_BODY_BYTES ? MHD_YES : MHD_NO;
    }
    route->get(h, &a);
    return send_answer(connection, &a);
}

static void request_done(void *arg, struct MHD_Connection *connection, void **request_state,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)connection, (void)why;
    free(*request_state);
    *request_state = NULL;
}

static void log_library(void *arg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void log_library(void *arg, const char *fmt, va_list ap)
{
    char text[256];
    (void)arg;
    /* Clients that go away make most of these: nothing to wake anybody for. */
    if (!log_enabled(LOG_DEBUG))
        return;
    vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\r\n")] = '\0';
    log_debug("http: %s", text);
}

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const struct http_options *o, union address *ret, socklen_t *ret_len)
{
    const char *host = strcasecmp(o->host, "localhost") == 0 ? "127.0.0.1" : o->host;
    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(o->port);
        *ret_len = sizeof(ret->v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(o->port);
        *ret_len = sizeof(ret->v6);
        return true;
    }
    return false;
}

static bool is_loopback(const union address *a)
{
    if (a->any.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static bool bind_and_listen(int fd, const union address *a, socklen_t len, uint16_t *ret_port)
{
    int on = 1;
    union address bound = {0};
    socklen_t bound_len = sizeof(bound);
    /* A daemon that is started again need not wait for its old connections to time out. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return false;
    if (a->any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return false;
    if (bind(fd, &a->any, len) != 0 || listen(fd, LISTEN_BACKLOG) != 0 ||
        getsockname(fd, &bound.any, &bound_len) != 0)
        return false;
    *ret_port = ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port);
    return true;
}

/* We open the socket ourselves because libmicrohttpd does not say why it could not. */
static bool open_socket(const struct http_options *o, int *ret_fd, uint16_t *ret_port, struct err *err)
{
    union address address;
    socklen_t len;
    if (!parse_address(o, &address, &len))
        return err_set(err, ERR_CONFIG, 0, "http.listen: \"%s\" is not an IPv4 or IPv6 address", o->host);
    if (!is_loopback(&address) && (o->token == NULL || o->token[0] == '\0'))
        return err_set(
            err, ERR_CONFIG, 0,
            "http.listen: %s can be reached from other machines: set http.token_env or token_file, "
            "or listen on 127.0.0.1",
            o->host);

    int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && bind_and_listen(fd, &address, len, ret_port)) {
        *ret_fd = fd;
        return true;
    }
    int code = errno;
    const char *hint = code == EADDRINUSE ? ": another program, perhaps another twinlog, has it" : "";
    bool bracket = address.any.sa_family == AF_INET6;
    if (fd >= 0)
        close(fd);
    return err_set(err, ERR_CONFIG, code, "cannot listen on %s%s%s:%u: %s%s", bracket ? "[" : "", o->host,
                   bracket ? "]" : "", (unsigned)o->port, strerror(code), hint);
}

struct http *http_new(const struct http_options *o, struct err *err)
{
    int fd = -1;
    uint16_t port = 0;
    if (!open_socket(o, &fd, &port, err))
        return NULL;

    struct http *h = mem_zalloc(1, sizeof(*h));
    h->status = o->status;
    h->port = port;
    if (o->token != NULL && o->token[0] != '\0')
        h->token = mem_strdup(o->token);
    h->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, h,
                                 MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                                 MHD_OPTION_CONNECTION_LIMIT, (unsigned)MAX_CONNECTIONS,
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_HEADER_BYTES,
                                 MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK_BYTES,
                                 MHD_OPTION_NOTIFY_COMPLETED, request_done, NULL, MHD_OPTION_END);
    if (h->daemon == NULL) {
        int code = errno;
        close(fd);
        http_free(h);
        err_set(err, ERR_CONFIG, code, "cannot start the HTTP thread: %s", strerror(code));
        return NULL;
    }
    return h;
}

uint16_t http_port(const struct http *h) { return h->port; }

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    if (h->daemon != NULL)
        MHD_stop_daemon(h->daemon); /* closes the listening socket too */
    if (h->token != NULL)
        mem_wipe_free(h->token, strlen(h->token) + 1);
    free(h);
}
