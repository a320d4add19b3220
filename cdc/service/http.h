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
#include "cdc/service/status.h"

struct http;

struct http_options {
    const char *host;      /* an IPv4 or IPv6 address, or "localhost" */
    uint16_t port;         /* 0: one that is free, see http_port() */
    const char *token;     /* NULL or "": none, which only a loopback address may have; copied */
    struct status *status; /* borrowed */
};

/* Listens and serves from now on. ERR_CONFIG if it cannot listen there. */
struct http *http_new(const struct http_options *options, struct err *err);
uint16_t http_port(const struct http *h);
/* Ends the thread, after the requests under way. NULL is fine. */
void http_free(struct http *h);

#endif
