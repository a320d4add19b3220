#include "cdc/service/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/service/document.h"
#include "cdc/service/metrics.h"

enum {
    CODE_OK = 200,
    CODE_ACCEPTED = 202,
    CODE_BAD_REQUEST = 400,
    CODE_NOT_FOUND = 404,
    CODE_NOT_ALLOWED = 405,
    CODE_CONFLICT = 409,
    CODE_UNAVAILABLE = 503,
    LIST_DEFAULT = 100,
    LIST_MAX = 1000,
};

/* One request under way. */
struct request {
    const struct route_context *c;
    const char *id; /* of a route that ends in one: what stands there */
    struct params *params;
    struct answer *a;
};

struct route {
    const char *path; /* one that ends in "/" is followed by an ID */
    const char *allow;
    bool open;
    const char *const *params; /* its own ones, ends with NULL; NULL: it does not look at any */
    void (*run)(struct request *r);
};

void route_error(struct answer *a, unsigned code, const char *text)
{
    a->code = code;
    buf_clear(&a->body);
    status_error_json(text, &a->body);
}

/* The parameters hold a problem. */
static void refuse(struct request *r) { route_error(r->a, CODE_BAD_REQUEST, r->params->problem); }

static void refuse_result(struct request *r, enum api_result result, const char *text)
{
    unsigned code = result == API_INVALID     ? CODE_BAD_REQUEST
                    : result == API_NOT_FOUND ? CODE_NOT_FOUND
                    : result == API_CONFLICT  ? CODE_CONFLICT
                                              : CODE_UNAVAILABLE;
    route_error(r->a, code, text);
}

static const char not_yet[] = "the servers have not been reached yet, so this is not known; /readyz says why";

/* ---- State ---- */

static void get_healthz(struct request *r) { buf_adds(&r->a->body, "{\"status\":\"ok\"}\n"); }

static void get_readyz(struct request *r)
{
    if (!status_readyz(r->c->status, &r->a->body))
        r->a->code = CODE_UNAVAILABLE;
}

static void get_status(struct request *r) { status_json(r->c->status, r->c->api, &r->a->body); }

static void get_metrics(struct request *r)
{
    r->a->type = METRICS_CONTENT_TYPE;
    metrics_text(r->c->status, r->c->api, &r->a->body);
}

/* ---- Resync ---- */

struct started {
    json_t *jobs;
    uint64_t first_id;
    const char *first_link;
    bool first_ran;
};

static void add_job(void *arg, const struct job *job, bool already_running)
{
    struct started *s = arg;
    if (json_array_size(s->jobs) == 0) {
        s->first_id = job->id;
        s->first_link = job->link;
        s->first_ran = already_running;
    }
    json_array_append_new(s->jobs,
                          json_pack("{s:I, s:o, s:b}", "job", (json_int_t)job->id, "link",
                                    document_text(job->link), "already_running", (int)already_running));
}

/* False: *r->a says why. */
static bool read_order(struct request *r, struct api_trigger *t)
{
    static const char *const modes[] = {"merge", "force", NULL}, *const missing[] = {"copy", "delete", NULL};
    const char *server = r->c->from_server;
    int mode = 0, missing_rows = 0;
    char text[300];
    if (!params_choice(r->params, "mode", modes, &mode) ||
        !params_choice(r->params, "missing", missing, &missing_rows)) {
        refuse(r);
        return false;
    }
    *t = (struct api_trigger){.link = params_get(r->params, "link"),
                              .from = params_get(r->params, "from"),
                              .force = mode == 1,
                              .delete_missing = missing_rows == 1};
    if (server != NULL && t->from != NULL && strcmp(t->from, server) != 0) {
        snprintf(text, sizeof(text),
                 "this address is server %.64s's: from is %.64s here; leave the parameter out", server,
                 server);
        route_error(r->a, CODE_BAD_REQUEST, text);
        return false;
    }
    if (server != NULL)
        t->from = server;
    if (t->from == NULL && (t->force || t->delete_missing)) {
        snprintf(text, sizeof(text),
                 "%s needs from: left, right or the name of a server, the side that is right",
                 t->force ? "mode=force" : "missing=delete");
        route_error(r->a, CODE_BAD_REQUEST, text);
        return false;
    }
    return true;
}

static void post_trigger(struct request *r)
{
    struct api_trigger t;
    struct err err = ERR_INIT;
    if (!read_order(r, &t))
        return;
    struct started s = {json_array(), 0, "", false};
    enum api_result result = r->c->api->trigger(r->c->api->arg, &t, add_job, &s, &err);
    if (result != API_OK) {
        json_decref(s.jobs);
        refuse_result(r, result, err.text);
        return;
    }
    json_t *o = json_pack("{s:I, s:o}", "job", (json_int_t)s.first_id, "link", document_text(s.first_link));
    if (s.first_ran)
        json_object_set_new(o, "already_running", json_true());
    json_object_set_new(o, "jobs", s.jobs);
    document_add(o, &r->a->body);
    r->a->code = CODE_ACCEPTED;
}

static void get_job(struct request *r)
{
    struct job job;
    uint64_t id;
    if (!params_digits(r->id, &id) || !r->c->api->job(r->c->api->arg, id, &job)) {
        route_error(r->a, CODE_NOT_FOUND, "no such job: it may be long over, or from before a restart");
        return;
    }
    document_add(document_job(&job), &r->a->body);
}

/* ---- Lists ---- */

/* What several links hand on, each in its own order, which stays, in the order of time. */
struct list {
    json_t *array;
    size_t max;       /* of all links together */
    int64_t *when;    /* of each one that stands there, in ascending order; owned */
    const char *link; /* of the one at hand, */
    int64_t last;     /* and its time */
};

/* A clock may have gone back within a link. */
static void list_next(struct list *l, const char *link, int64_t when)
{
    bool goes_on = l->link != NULL && strcmp(l->link, link) == 0;
    l->last = goes_on && when < l->last ? l->last : when;
    l->link = link;
}

/* Is there room for it? What is as old as another one comes behind it. */
static bool list_wants(const struct list *l)
{
    size_t n = json_array_size(l->array);
    return n < l->max || l->last < l->when[n - 1];
}

static void list_add(struct list *l, json_t *o)
{
    size_t n = json_array_size(l->array), at = n;
    while (at > 0 && l->last < l->when[at - 1])
        at--;
    memmove(l->when + at + 1, l->when + at, (n - at) * sizeof(*l->when));
    l->when[at] = l->last;
    json_array_insert_new(l->array, at, o);
    if (n == l->max)
        json_array_remove(l->array, n);
}

static void list_done(struct list *l)
{
    json_decref(l->array);
    free(l->when);
}

static void add_waiting_key(void *arg, const struct waiting_key *k)
{
    struct list *l = arg;
    list_next(l, k->link, k->since.v);
    if (list_wants(l))
        list_add(l, document_waiting_key(k));
}

/* The newest first. */
static void add_conflict(void *arg, const struct conflict *c)
{
    struct list *l = arg;
    list_next(l, c->link, -c->at.v);
    if (list_wants(l))
        list_add(l, document_conflict(c));
}

static bool read_list(struct request *r, struct list *ret_list)
{
    uint64_t max = LIST_DEFAULT;
    if (!params_number(r->params, "limit", 1, LIST_MAX, &max)) {
        refuse(r);
        return false;
    }
    *ret_list = (struct list){
        .array = json_array(), .max = (size_t)max, .when = mem_zalloc(max + 1, sizeof(int64_t))};
    return true;
}

static void answer_list(struct request *r, enum api_result result, const char *name, size_t count,
                        struct list *l)
{
    if (result != API_OK) {
        refuse_result(r, result,
                      result == API_NOT_YET ? not_yet
                                            : "there is no such link; /sync/status names all of them");
    } else {
        document_add(json_pack("{s:o, s:O}", "count", document_count(count), name, l->array), &r->a->body);
    }
    list_done(l);
}

static void get_quarantine(struct request *r)
{
    const struct api *api = r->c->api;
    enum api_result result = API_OK;
    struct list l;
    if (!read_list(r, &l))
        return;
    size_t n = api->quarantine(api->arg, params_get(r->params, "link"), l.max, add_waiting_key, &l, &result);
    answer_list(r, result, "keys", n, &l);
}

static void get_conflicts(struct request *r)
{
    const struct api *api = r->c->api;
    enum api_result result = API_OK;
    struct list l;
    if (!read_list(r, &l))
        return;
    size_t n = api->conflicts(api->arg, params_get(r->params, "link"), l.max, add_conflict, &l, &result);
    answer_list(r, result, "conflicts", n, &l);
}

static void post_retry(struct request *r)
{
    static const char *const all_values[] = {"true", NULL};
    const char *key = params_get(r->params, "key");
    struct err err = ERR_INIT;
    size_t count = 0;
    int all = -1;
    if (!params_choice(r->params, "all", all_values, &all)) {
        refuse(r);
        return;
    }
    if ((key != NULL) == (all == 0)) {
        route_error(r->a, CODE_BAD_REQUEST,
                    key != NULL ? "key and all=true are both given; one of the two is right"
                                : "which one? key=KEY, as /sync/quarantine lists it, or all=true");
        return;
    }
    enum api_result result = r->c->api->retry(r->c->api->arg, params_get(r->params, "link"), key, &count,
                                              &err);
    if (result != API_OK) {
        refuse_result(r, result, err.text);
        return;
    }
    document_add(json_pack("{s:o}", "retrying", document_count(count)), &r->a->body);
    r->a->code = CODE_ACCEPTED;
}

/* ---- One conflict ---- */

static bool has_link(const struct status *s, const char *name)
{
    for (size_t i = 0; i < s->nlinks; i++) {
        if (strcmp(s->links[i].name, name) == 0)
            return true;
    }
    return false;
}

static void add_one(void *arg, const struct conflict *c)
{
    json_t **o = arg;
    if (*o == NULL)
        *o = document_conflict(c);
}

/* link and id are known. */
static void answer_conflict(struct request *r, const char *link, uint64_t id)
{
    json_t *o = NULL;
    enum api_result result = r->c->api->conflict(r->c->api->arg, link, id, add_one, &o);
    if (result != API_OK || o == NULL) {
        json_decref(o);
        refuse_result(r, result != API_OK ? result : API_NOT_FOUND,
                      result == API_NOT_YET
                          ? not_yet
                          : "no such conflict: it may be forgotten, only the newest are kept");
        return;
    }
    document_add(o, &r->a->body);
}

/* "users.17", or "17" where there is one link only or ?link= names it. */
static void get_conflict(struct request *r)
{
    const struct status *s = r->c->status;
    const char *named = params_get(r->params, "link"), *dot = strrchr(r->id, '.');
    uint64_t id;
    if (named != NULL && !has_link(s, named)) {
        route_error(r->a, CODE_BAD_REQUEST, "there is no such link; /sync/status names all of them");
        return;
    }
    if (!params_digits(dot != NULL ? dot + 1 : r->id, &id)) {
        route_error(r->a, CODE_NOT_FOUND, "no such conflict; an ID is LINK.NUMBER, as in users.17");
        return;
    }
    char *link = dot != NULL ? mem_strndup(r->id, (size_t)(dot - r->id)) : NULL;
    if (link != NULL && named != NULL && strcmp(link, named) != 0)
        route_error(r->a, CODE_BAD_REQUEST, "the ID and the parameter name two links; leave out link");
    else if (link != NULL && !has_link(s, link))
        route_error(r->a, CODE_NOT_FOUND, "no such conflict: there is no link of that name");
    else if (link == NULL && named == NULL && s->nlinks != 1)
        route_error(r->a, CODE_BAD_REQUEST, "of which link? LINK.NUMBER, as in users.17, or link=LINK");
    else
        answer_conflict(r, link != NULL ? link : named != NULL ? named : s->links[0].name, id);
    free(link);
}

/* ---- All of them ---- */

static const char *const none[] = {NULL};
static const char *const trigger_params[] = {"link", "from", "mode", "missing", NULL};
static const char *const list_params[] = {"link", "limit", NULL};
static const char *const retry_params[] = {"link", "key", "all", NULL};
static const char *const link_param[] = {"link", NULL};
static const char get[] = "GET, HEAD", post[] = "POST";

static const struct route routes[] = {
    {"/healthz", get, true, NULL, get_healthz},
    {"/readyz", get, false, NULL, get_readyz},
    {"/metrics", get, false, NULL, get_metrics},
    {"/sync/status", get, false, NULL, get_status},
    {"/sync/trigger", post, false, trigger_params, post_trigger},
    {"/sync/jobs/", get, false, none, get_job},
    {"/sync/quarantine", get, false, list_params, get_quarantine},
    {"/sync/quarantine/retry", post, false, retry_params, post_retry},
    {"/sync/conflicts", get, false, list_params, get_conflicts},
    {"/sync/conflicts/", get, false, link_param, get_conflict},
};

static bool ends_in_id(const struct route *r) { return r->path[strlen(r->path) - 1] == '/'; }

const struct route *route_find(const char *path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const struct route *r = &routes[i];
        size_t len = strlen(r->path);
        if (ends_in_id(r) ? strncmp(path, r->path, len) == 0 && path[len] != '\0'
                          : strcmp(path, r->path) == 0)
            return r;
    }
    return NULL;
}

bool route_is_open(const struct route *r) { return r->open; }

bool route_wants_params(const struct route *r) { return r->params != NULL; }

bool route_takes(const struct route *r, const char *method, struct answer *a)
{
    if (strcmp(method, "POST") == 0
            ? r->allow == post
            : r->allow == get && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
        return true;
    a->allow = r->allow;
    route_error(a, CODE_NOT_ALLOWED,
                r->allow == post ? "this route answers to POST only" : "this route answers to GET only");
    return false;
}

void route_run(const struct route *route, const struct route_context *c, const char *path, struct params *p,
               struct answer *a)
{
    struct request r = {c, path + strlen(route->path), p, a};
    if (route->params != NULL && (p->problem[0] != '\0' || !params_check(p, route->params)))
        refuse(&r);
    else if (route->params != NULL && c->api == NULL)
        route_error(a, CODE_UNAVAILABLE, "the daemon is still starting");
    else
        route->run(&r);
}
