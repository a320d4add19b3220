/*
 * http.h - the daemon's HTTP interface: routes over a status that others fill.
 *
 * One thread of its own. No request waits for a database, so a server that hangs
 * cannot make the daemon look dead.
 */
#ifndef SERVICE_HTTP_H
#define SERVICE_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/err.h"
#include "cdc/service/api.h"
#include "cdc/service/status.h"

struct http;

/* One address more where the same routes answer, with the same token. */
struct http_listener {
    const char *host;        /* an IPv4 or IPv6 address, or "localhost" */
    uint16_t port;           /* 0: one that is free, see http_listener_port() */
    const char *from_server; /* POST /sync/trigger there means from this server */
};

struct http_options {
    const char *host; /* of the main address, as above */
    uint16_t port;
    const char *token;     /* NULL or "": none, which only loopback addresses may have; copied */
    struct status *status; /* borrowed */
    const struct api *api; /* borrowed, called from the HTTP thread only; NULL: 503 for what needs it */
    const struct http_listener *listeners; /* beside the main one; all of it is copied */
    size_t nlisteners;
    uint32_t request_time_ms; /* from a request's first byte to its last; 0: 10000 */
};
/* Listens and serves from now on. ERR_CONFIG for an address that is wrong, ERR_RETRY if a port is in use or the
 * system is short of something. */
struct http *http_new(const struct http_options *options, struct err *err);
uint16_t http_port(const struct http *h);                    /* of the main address */
uint16_t http_listener_port(const struct http *h, size_t i); /* of options.listeners[i] */
/* Ends the thread, after the requests under way. NULL is fine. */
void http_free(struct http *h);

#endif
