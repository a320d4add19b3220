/*
 * client.h - asks the running daemon over HTTP, for the commands; and what else
 * every user of libcurl shares.
 */
#ifndef SERVICE_CLIENT_H
#define SERVICE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"

struct client_options {
    const char *host; /* as the daemon listens: an address that means "all" is asked by its loopback */
    uint16_t port;
    const char *token; /* NULL or "": none */
    uint32_t timeout_ms;
};

/* GET path ("/sync/status"). ERR_RETRY: the daemon cannot be reached. Any answer
 * is a success here: *ret_code is its HTTP status, and its body is appended to out. */
bool client_get(const struct client_options *options, const char *path, long *ret_code, struct buf *out,
                struct err *err);
/* POST path with its query ("/sync/trigger?from=left"), without a body; otherwise the same. */
bool client_post(const struct client_options *options, const char *path, long *ret_code, struct buf *out,
                 struct err *err);
/* Appends text as the value of a query: whatever is not a letter, digit, -, ., _ or ~ as %XX. */
void client_escape(const char *text, struct buf *out);

/* Starts libcurl once for the process, from any thread. ERR_RETRY if it cannot. */
bool client_start_curl(struct err *err);

#endif
