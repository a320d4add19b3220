/*
 * http.c - connections and requests; route.c knows what is answered.
 *
 * One thread serves all: every answer is made from memory in microseconds, so more
 * threads would only need more locks. It runs libmicrohttpd's event loop inside one
 * of ours, because the library knows neither several listening sockets nor a limit
 * for the whole of a request: its only timeout begins again with each byte.
 *
 *             accept            answer is there            answer is sent
 *   (nothing) ------> REQUEST -----------------> ANSWER -----------------> IDLE
 *                        ^                                                   |
 *                        +----------------- first byte of the next one ------+
 *
 * REQUEST and ANSWER have a time each, IDLE and silence in general are ended by the
 * library. When every place is taken, whoever has waited longest without a whole
 * request gives way, so that slow clients, however many, keep nobody out. Everything
 * a client can make us hold is limited: connections, header bytes, body bytes, time.
 *
 * A request is refused, where it must be, when its headers are there and before
 * its body is read: who has no token cannot make us read anything. A client that is
 * still sending then would be told of a reset connection instead of the answer, so
 * what it sends is thrown away for a moment (LINGER) before its socket is closed.
 */
#include "cdc/service/http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/service/params.h"
#include "cdc/service/route.h"

enum {
    MAX_CONNECTIONS = 512,   /* half-open ones must not keep a health check out */
    IDLE_TIMEOUT_S = 5,      /* without a byte either way */
    REQUEST_TIME_MS = 10000, /* from the first byte, or accept, to the whole request */
    ANSWER_TIME_S = 30,      /* until the client has taken it */
    LINGER_MS = 1000,
    GIVES_WAY_MS = 1000, /* a younger request may still be on its way */
    LOOK_EVERY_MS = 250, /* for those whose time is over */
    MAX_HEADER_BYTES = 16 * 1024,
    MAX_BODY_BYTES = 64 * 1024,
    MAX_SWALLOW_BYTES = 8 * 1024 * 1024, /* of a chunked body, so that it can be answered at its end */
    LISTEN_BACKLOG = 256,
    ACCEPTS_AT_ONCE = 64,
    EVENTS_AT_ONCE = 64,
    THREAD_STACK_BYTES = 256 * 1024,
};

struct listener {
    int fd;
    uint16_t port;
    char *from_server; /* NULL: the main one */
};

/* One request, from its first line to its end. */
struct call {
    struct place *place;
    char *query; /* as it was sent; NULL: none */
    bool has_nul;
    bool begun;
    const struct route *route;
    bool is_form;
    size_t body_bytes;
    struct buf form;
};

enum phase { PHASE_FREE, PHASE_REQUEST, PHASE_ANSWER, PHASE_IDLE, PHASE_LINGER };

struct place { /* of one connection */
    enum phase phase;
    int fd;
    mono_us since; /* when the phase began */
    const struct listener *listener;
    struct call *call; /* the request under way, NULL if none */
    bool linger;       /* it was refused while it may still be sending */
};

struct http {
    struct MHD_Daemon *daemon;
    struct status *status;
    const struct api *api;
    char *token;                /* NULL: none */
    struct listener *listeners; /* [0] is the main one */
    size_t nlisteners;
    int64_t request_time_us;

    int epoll_fd;
    int wake_fd;
    pthread_t thread;
    bool started;
    bool stopping; /* the thread's own */

    struct place places[MAX_CONNECTIONS];
    size_t nplaces_taken;
    bool accepts;
    mono_us no_accept_since;
};

/* ---- Events of our loop ---- */

enum loop_event { LOOP_LIBRARY, LOOP_WAKE, LOOP_LISTENER, LOOP_PLACE };

static bool watch(struct http *h, int op, int fd, uint32_t events, enum loop_event kind, size_t index)
{
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)kind << 32 | index};
    return epoll_ctl(h->epoll_fd, op, fd, &e) == 0;
}

static size_t place_index(const struct http *h, const struct place *p) { return (size_t)(p - h->places); }

static void enter(struct place *p, enum phase phase)
{
    p->phase = phase;
    p->since = clock_mono();
}

static void end_call(struct place *p)
{
    if (p->call == NULL)
        return;
    free(p->call->query);
    buf_done(&p->call->form);
    free(p->call);
    p->call = NULL;
}

static void free_place(struct http *h, struct place *p)
{
    end_call(p); /* after some errors the library does not tell of a request's end */
    p->phase = PHASE_FREE;
    p->fd = -1;
    h->nplaces_taken--;
}

/* The next request's time begins with its first byte, of which the library tells nothing:
 * so we look at the socket ourselves, once. */
static void await_first_byte(struct http *h, const struct place *p)
{
    static const uint32_t once = EPOLLIN | EPOLLONESHOT;
    if (!watch(h, EPOLL_CTL_MOD, p->fd, once, LOOP_PLACE, place_index(h, p)) && errno == ENOENT)
        watch(h, EPOLL_CTL_ADD, p->fd, once, LOOP_PLACE, place_index(h, p));
}

/* ---- One request ---- */

/* The time depends on the length of what was sent, not on how much of it is right. */
static bool equal_constant_time(const char *secret, const char *given)
{
    size_t secret_len = strlen(secret), given_len = strlen(given);
    unsigned char different = secret_len != given_len;
    for (size_t i = 0; i < given_len; i++)
        different |= (unsigned char)(given[i] ^ secret[i % secret_len]);
    return different == 0;
}

struct count {
    const char *name;
    size_t n;
};

static enum MHD_Result count_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct count *c = arg;
    (void)kind, (void)value;
    c->n += strcasecmp(name, c->name) == 0;
    return MHD_YES;
}

static size_t header_count(struct MHD_Connection *connection, const char *name)
{
    struct count c = {name, 0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, count_header, &c);
    return c.n;
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static bool is_authorized(const struct http *h, struct MHD_Connection *connection)
{
    static const char scheme[] = "Bearer ";
    const char *value;
    size_t len;
    if (h->token == NULL)
        return true;
    /* Of two, a proxy in front may have looked at the other one. */
    if (header_count(connection, MHD_HTTP_HEADER_AUTHORIZATION) != 1 ||
        MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION,
                                      strlen(MHD_HTTP_HEADER_AUTHORIZATION), &value, &len) != MHD_YES ||
        value == NULL || strlen(value) != len || strncasecmp(value, scheme, strlen(scheme)) != 0)
        return false;
    value += strlen(scheme);
    value += strspn(value, " ");
    return equal_constant_time(h->token, value);
}

static bool has_body(struct MHD_Connection *connection)
{
    const char *length = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return header(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL ||
           (length != NULL && strcmp(length, "0") != 0);
}

static bool body_too_long(struct MHD_Connection *connection)
{
    const char *text = header(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL && strtoull(text, NULL, 10) > MAX_BODY_BYTES;
}

/* Two readers of the same bytes could disagree where this request ends. */
static bool is_ambiguous(struct MHD_Connection *connection)
{
    size_t lengths = header_count(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    size_t encodings = header_count(connection, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    return lengths + encodings > 1;
}

/* Content-Type: application/x-www-form-urlencoded[; charset=…] */
static bool is_form(struct MHD_Connection *connection)
{
    static const char form[] = MHD_HTTP_POST_ENCODING_FORM_URLENCODED;
    const char *type = header(connection, MHD_HTTP_HEADER_CONTENT_TYPE);
    return type != NULL && strncasecmp(type, form, strlen(form)) == 0 &&
           strchr("; \t", type[strlen(form)]) != NULL;
}

/* True if the request is refused: *ret_answer then holds why. */
static bool refuse(struct http *h, struct MHD_Connection *connection, const struct route *route,
                   const char *method, struct answer *a)
{
    /* First of all, so that nobody without the token learns which routes there are. */
    if ((route == NULL || !route_is_open(route)) && !is_authorized(h, connection))
        route_error(a, MHD_HTTP_UNAUTHORIZED, "this needs the header, once: Authorization: Bearer TOKEN");
    else if (is_ambiguous(connection))
        route_error(a, MHD_HTTP_BAD_REQUEST, "more than one Content-Length or Transfer-Encoding");
    else if (route == NULL)
        route_error(a, MHD_HTTP_NOT_FOUND, "no such route");
    else if (!route_takes(route, method, a))
        return true;
    else if (body_too_long(connection))
        route_error(a, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long; 64 KiB at most");
    else
        return false;
    return true;
}

/* Takes the answer's body. */
static enum MHD_Result send_answer(struct MHD_Connection *connection, struct place *place, struct answer *a)
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
    enter(place, PHASE_ANSWER);
    enum MHD_Result ret = MHD_queue_response(connection, a->code, response);
    MHD_destroy_response(response);
    return ret;
}

/* The request line is there; uri is as it was sent.
 *
 * The query is taken away from the library, which else parses it too, and falls over
 * its feet (0.9.75) when there are more parameters than it has room for: it closes the
 * connection, frees its memory, and goes on with both. */
static void *request_begins(void *arg, const char *uri, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct place *p = info->socket_context;
    (void)arg;
    end_call(p);
    p->call = mem_zalloc(1, sizeof(*p->call));
    p->call->place = p;
    /* Sent together with the one before it: there was no first byte to wait for. */
    if (p->phase != PHASE_REQUEST)
        enter(p, PHASE_REQUEST);
    if (uri == NULL)
        return p->call;
    size_t path_len = strcspn(uri, "?");
    if (uri[path_len] == '?') {
        char *query = (char *)(uintptr_t)uri + path_len + 1; /* in the library's buffer */
        p->call->query = mem_strdup(query);
        query[0] = '\0';
    }
    /* What the library decodes would end at the NUL, and be another path than the one that was asked for. */
    p->call->has_nul = memmem(uri, path_len, "%00", 3) != NULL;
    return p->call;
}

static void request_ends(void *arg, struct MHD_Connection *connection, void **request_state,
                         enum MHD_RequestTerminationCode why)
{
    struct http *h = arg;
    struct call *call = *request_state;
    (void)connection;
    *request_state = NULL;
    if (call == NULL)
        return;
    struct place *p = call->place;
    end_call(p);
    enter(p, PHASE_IDLE);
    if (why == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        await_first_byte(h, p);
}

/* False: what comes is more than anybody sends by mistake. */
static bool take_body(struct call *call, const char *body, size_t len)
{
    call->body_bytes += len;
    if (call->body_bytes > MAX_BODY_BYTES)
        buf_done(&call->form);
    else if (call->is_form)
        buf_add(&call->form, body, len);
    return call->body_bytes <= MAX_SWALLOW_BYTES;
}

static void run(struct http *h, struct call *call, const char *path, struct answer *a)
{
    struct route_context c = {h->status, h->api, call->place->listener->from_server};
    struct params params = {0};
    if (call->body_bytes > MAX_BODY_BYTES) {
        route_error(a, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too long; 64 KiB at most");
        return;
    }
    if (route_wants_params(call->route)) {
        if (call->query != NULL)
            params_parse(&params, call->query, strlen(call->query));
        if (call->form.len > 0)
            params_parse(&params, call->form.data, call->form.len);
    }
    route_run(call->route, &c, path, &params, a);
    params_done(&params);
}

/* libmicrohttpd calls this once when the headers are there, once for each piece of
 * the body, and once behind it. */
static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *http_version, const char *body,
                              size_t *body_len, void **request_state)
{
    struct http *h = arg;
    struct call *call = *request_state;
    struct answer a = ANSWER_INIT;
    (void)http_version;

    if (!call->begun) {
        call->begun = true;
        call->route = call->has_nul ? NULL : route_find(path);
        call->is_form = is_form(connection);
        if (!refuse(h, connection, call->route, method, &a))
            return MHD_YES;
        call->place->linger = has_body(connection);
        return send_answer(connection, call->place, &a);
    }
    if (*body_len > 0) {
        size_t len = *body_len;
        *body_len = 0;
        return take_body(call, body, len) ? MHD_YES : MHD_NO;
    }
    run(h, call, path, &a);
    return send_answer(connection, call->place, &a);
}

/* ---- Connections ---- */

static void linger(struct http *h, struct place *p)
{
    /* The library closes its own descriptor in a moment; this one keeps the connection. */
    int fd = dup(p->fd);
    if (fd < 0 || shutdown(fd, SHUT_WR) != 0 ||
        !watch(h, EPOLL_CTL_ADD, fd, EPOLLIN, LOOP_PLACE, place_index(h, p))) {
        if (fd >= 0)
            close(fd);
        free_place(h, p);
        return;
    }
    p->fd = fd;
    p->linger = false;
    enter(p, PHASE_LINGER);
}

static void end_linger(struct http *h, struct place *p)
{
    close(p->fd);
    free_place(h, p);
}

static void connection_changes(void *arg, struct MHD_Connection *connection, void **socket_context,
                               enum MHD_ConnectionNotificationCode what)
{
    struct http *h = arg;
    struct place *p = *socket_context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection,
                                                                       MHD_CONNECTION_INFO_CONNECTION_FD);
        for (p = h->places; p->phase == PHASE_FREE || p->fd != info->connect_fd; p++)
            assert(place_index(h, p) + 1 < MAX_CONNECTIONS);
        *socket_context = p;
    } else if (p->linger && !h->stopping)
        linger(h, p);
    else
        free_place(h, p);
}

static void listen_for_connections(struct http *h, bool on)
{
    if (h->accepts == on)
        return;
    h->accepts = on;
    h->no_accept_since = clock_mono();
    for (size_t i = 0; i < h->nlisteners; i++)
        watch(h, EPOLL_CTL_MOD, h->listeners[i].fd, on ? EPOLLIN : 0, LOOP_LISTENER, i);
}

/* False: it has to wait. */
static bool accept_one(struct http *h, const struct listener *l)
{
    struct sockaddr_storage from;
    socklen_t len = sizeof(from);
    int fd = accept4(l->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        /* Without descriptors or memory the socket stays readable: do not spin. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn("cannot take a connection: %s; trying again", strerror(errno));
            listen_for_connections(h, false);
        }
        return errno == EINTR || errno == ECONNABORTED;
    }
    struct place *p = h->places;
    while (p->phase != PHASE_FREE)
        p++;
    *p = (struct place){.fd = fd, .listener = l};
    enter(p, PHASE_REQUEST);
    h->nplaces_taken++;
    /* Closes the socket if it cannot; it may have told of its end already. */
    if (MHD_add_connection(h->daemon, fd, (struct sockaddr *)&from, len) != MHD_YES && p->phase != PHASE_FREE)
        free_place(h, p);
    return true;
}

/* All places are taken: whoever has waited longest without a whole request gives way. */
static void make_room(struct http *h)
{
    struct place *longest = NULL;
    mono_us now = clock_mono();
    for (struct place *p = h->places; p < h->places + MAX_CONNECTIONS; p++) {
        if ((p->phase == PHASE_REQUEST || p->phase == PHASE_IDLE) &&
            (longest == NULL || p->since.v < longest->since.v))
            longest = p;
    }
    if (longest != NULL && mono_diff_us(now, longest->since) > GIVES_WAY_MS * 1000LL) {
        shutdown(longest->fd, SHUT_RDWR); /* the library sees its end, and frees the place */
        longest->since = now;             /* not the same one again meanwhile */
    } else
        listen_for_connections(h, false);
}

static void accept_some(struct http *h, const struct listener *l)
{
    for (int i = 0; i < ACCEPTS_AT_ONCE && h->nplaces_taken < MAX_CONNECTIONS; i++) {
        if (!accept_one(h, l))
            return;
    }
    if (h->nplaces_taken == MAX_CONNECTIONS)
        make_room(h);
}

static void place_is_readable(struct http *h, struct place *p)
{
    char waste[4096];
    if (p->phase == PHASE_IDLE)
        enter(p, PHASE_REQUEST);
    else if (p->phase == PHASE_LINGER) {
        ssize_t n = recv(p->fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            end_linger(h, p);
    }
}

static void end_late(struct http *h)
{
    const int64_t limit_us[] = {[PHASE_REQUEST] = h->request_time_us,
                                [PHASE_ANSWER] = ANSWER_TIME_S * 1000000LL,
                                [PHASE_IDLE] = 2 * IDLE_TIMEOUT_S * 1000000LL,
                                [PHASE_LINGER] = LINGER_MS * 1000LL};
    mono_us now = clock_mono();
    for (struct place *p = h->places; p < h->places + MAX_CONNECTIONS; p++) {
        if (p->phase == PHASE_FREE || mono_diff_us(now, p->since) < limit_us[p->phase])
            continue;
        if (p->phase == PHASE_LINGER)
            end_linger(h, p);
        else
            shutdown(p->fd, SHUT_RDWR);
    }
    if (!h->accepts && mono_diff_us(now, h->no_accept_since) >= LOOK_EVERY_MS * 1000LL)
        listen_for_connections(h, true);
}

/* ---- The thread ---- */

static int wait_ms(struct http *h)
{
    MHD_UNSIGNED_LONG_LONG library_ms;
    if (h->nplaces_taken == 0 && h->accepts)
        return -1;
    if (MHD_get_timeout(h->daemon, &library_ms) == MHD_YES && library_ms < LOOK_EVERY_MS)
        return (int)library_ms;
    return LOOK_EVERY_MS;
}

static void take_event(struct http *h, const struct epoll_event *e)
{
    size_t index = (size_t)(e->data.u64 & UINT32_MAX);
    switch ((enum loop_event)(e->data.u64 >> 32)) {
    case LOOP_LIBRARY: break;
    case LOOP_WAKE: h->stopping = true; break;
    case LOOP_LISTENER: accept_some(h, &h->listeners[index]); break;
    case LOOP_PLACE: place_is_readable(h, &h->places[index]); break;
    }
}

static void *serve(void *arg)
{
    struct http *h = arg;
    struct epoll_event events[EVENTS_AT_ONCE];
    mono_us looked = clock_mono();
    log_context("http", "", "");
    while (!h->stopping) {
        int n = epoll_wait(h->epoll_fd, events, EVENTS_AT_ONCE, wait_ms(h));
        /* Ours first: the library closes sockets, and then their events mean others. */
        for (int i = 0; i < n; i++)
            take_event(h, &events[i]);
        MHD_run(h->daemon);
        if (mono_diff_us(clock_mono(), looked) >= LOOK_EVERY_MS * 1000LL) {
            end_late(h);
            looked = clock_mono();
        }
    }
    return NULL;
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

/* ---- Start and end ---- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const struct http_listener *o, union address *ret, socklen_t *ret_len)
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

/* "http.listen", or "servers.auth.listen" */
static const char *setting_name(const struct http_listener *o, char *out, size_t size)
{
    if (o->from_server == NULL)
        snprintf(out, size, "http.listen");
    else
        snprintf(out, size, "servers.%.64s.listen", o->from_server);
    return out;
}

/* We open the socket ourselves because libmicrohttpd does not say why it could not. */
static bool open_socket(const struct http_listener *o, bool has_token, int *ret_fd, uint16_t *ret_port,
                        struct err *err)
{
    union address address;
    socklen_t len;
    char name[96];
    setting_name(o, name, sizeof(name));
    if (!parse_address(o, &address, &len))
        return err_set(err, ERR_CONFIG, 0, "%s: \"%s\" is not an IPv4 or IPv6 address", name, o->host);
    if (!is_loopback(&address) && !has_token)
        return err_set(err, ERR_CONFIG, 0,
                       "%s: %s can be reached from other machines: set http.token_env or token_file, "
                       "or listen on 127.0.0.1",
                       name, o->host);

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
    /* An address that is not ours, or a port that is not for us, stands in the config; all else passes. */
    enum err_kind kind = code == EADDRNOTAVAIL || code == EACCES ? ERR_CONFIG : ERR_RETRY;
    return err_set(err, kind, code, "cannot listen on %s%s%s:%u: %s%s", bracket ? "[" : "", o->host,
                   bracket ? "]" : "", (unsigned)o->port, strerror(code), hint);
}

static bool open_listener(struct http *h, const struct http_listener *o, struct err *err)
{
    struct listener *l = &h->listeners[h->nlisteners];
    if (!open_socket(o, h->token != NULL, &l->fd, &l->port, err))
        return false;
    h->nlisteners++;
    l->from_server = o->from_server != NULL ? mem_strdup(o->from_server) : NULL;
    if (watch(h, EPOLL_CTL_ADD, l->fd, EPOLLIN, LOOP_LISTENER, h->nlisteners - 1))
        return true;
    return err_set(err, ERR_RETRY, errno, "cannot wait for connections: %s", strerror(errno));
}

static bool open_listeners(struct http *h, const struct http_options *o, struct err *err)
{
    const struct http_listener first = {o->host, o->port, NULL};
    h->listeners = mem_zalloc(1 + o->nlisteners, sizeof(*h->listeners));
    if (!open_listener(h, &first, err))
        return false;
    for (size_t i = 0; i < o->nlisteners; i++) {
        if (!open_listener(h, &o->listeners[i], err))
            return false;
    }
    return true;
}

static bool start_library(struct http *h)
{
    /* Its own limit is never reached: a place may be free for us a moment before it is for the library. */
    h->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle, h,
        MHD_OPTION_EXTERNAL_LOGGER, log_library, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(2 * MAX_CONNECTIONS), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MAX_HEADER_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
        request_begins, h, MHD_OPTION_NOTIFY_COMPLETED, request_ends, h, MHD_OPTION_NOTIFY_CONNECTION,
        connection_changes, h, MHD_OPTION_END);
    if (h->daemon == NULL)
        return false;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    return info != NULL && watch(h, EPOLL_CTL_ADD, info->epoll_fd, EPOLLIN, LOOP_LIBRARY, 0);
}

static int start_thread(struct http *h)
{
    pthread_attr_t attr;
    int code = pthread_attr_init(&attr);
    if (code != 0)
        return code;
    pthread_attr_setstacksize(&attr, THREAD_STACK_BYTES);
    code = pthread_create(&h->thread, &attr, serve, h);
    pthread_attr_destroy(&attr);
    h->started = code == 0;
    return code;
}

static bool start(struct http *h, const struct http_options *o, struct err *err)
{
    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (h->epoll_fd < 0 || h->wake_fd < 0 || !watch(h, EPOLL_CTL_ADD, h->wake_fd, EPOLLIN, LOOP_WAKE, 0))
        return err_set(err, ERR_RETRY, errno, "cannot start HTTP: %s", strerror(errno));
    if (!open_listeners(h, o, err))
        return false;
    if (!start_library(h))
        return err_set(err, ERR_RETRY, errno, "cannot start HTTP: %s", strerror(errno));
    int code = start_thread(h);
    return code == 0 || err_set(err, ERR_RETRY, code, "cannot start the HTTP thread: %s", strerror(code));
}

struct http *http_new(const struct http_options *o, struct err *err)
{
    struct http *h = mem_zalloc(1, sizeof(*h));
    h->status = o->status;
    h->api = o->api;
    h->accepts = true;
    h->request_time_us = (o->request_time_ms > 0 ? o->request_time_ms : REQUEST_TIME_MS) * 1000LL;
    h->epoll_fd = h->wake_fd = -1;
    if (o->token != NULL && o->token[0] != '\0')
        h->token = mem_strdup(o->token);
    if (start(h, o, err))
        return h;
    http_free(h);
    return NULL;
}

uint16_t http_port(const struct http *h) { return h->listeners[0].port; }

uint16_t http_listener_port(const struct http *h, size_t i)
{
    assert(i + 1 < h->nlisteners);
    return h->listeners[i + 1].port;
}

static void stop_thread(struct http *h)
{
    static const uint64_t one = 1;
    if (!h->started)
        return;
    while (write(h->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    pthread_join(h->thread, NULL);
}

void http_free(struct http *h)
{
    if (h == NULL)
        return;
    stop_thread(h);
    h->stopping = true;
    if (h->daemon != NULL)
        MHD_stop_daemon(h->daemon);
    for (struct place *p = h->places; p < h->places + MAX_CONNECTIONS; p++) {
        if (p->phase == PHASE_LINGER)
            end_linger(h, p);
    }
    for (size_t i = 0; i < h->nlisteners; i++) {
        close(h->listeners[i].fd);
        free(h->listeners[i].from_server);
    }
    free(h->listeners);
    if (h->wake_fd >= 0)
        close(h->wake_fd);
    if (h->epoll_fd >= 0)
        close(h->epoll_fd);
    if (h->token != NULL)
        mem_wipe_free(h->token, strlen(h->token) + 1);
    free(h);
}
