/*
 * route.h - which routes there are, and what each of them answers. No sockets and
 * no HTTP library in here: a request's parts come in, an answer comes out.
 */
#ifndef SERVICE_ROUTE_H
#define SERVICE_ROUTE_H

#include <stdbool.h>

#include "cdc/base/buf.h"
#include "cdc/service/api.h"
#include "cdc/service/params.h"
#include "cdc/service/status.h"

struct route_context { /* all borrowed */
    struct status *status;
    const struct api *api;   /* NULL: what needs it is answered by 503 */
    const char *from_server; /* the server whose listener was asked; NULL: the main one */
};

struct answer {
    unsigned code;
    const char *type;  /* a constant */
    const char *allow; /* of a 405; a constant, else NULL */
    struct buf body;
};
#define ANSWER_INIT                             \
    {                                           \
        200, "application/json", NULL, BUF_INIT \
    }

struct route;
const struct route *route_find(const char *path); /* NULL: none */
bool route_is_open(const struct route *r);        /* needs no token */
bool route_wants_params(const struct route *r);   /* else a query and a body are not looked at */
/* Whether the method is the route's own; otherwise the answer is the 405. */
bool route_takes(const struct route *r, const char *method, struct answer *a);
/* p: of the query and of a form; it may hold a problem already. a: ANSWER_INIT. */
void route_run(const struct route *route, const struct route_context *c, const char *path, struct params *p,
               struct answer *a);

/* {"error": text} */
void route_error(struct answer *a, unsigned code, const char *text);

#endif
