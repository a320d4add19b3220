#include "cdc/operate.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "appliers/conflicts.h"
#include "appliers/quarantine.h"
#include "cdc/base/mem.h"

struct served {
    struct resyncer *resyncer; /* NULL: not yet */
    struct link_sync *sync;
};

struct operate {
    const struct config *config;
    pthread_mutex_t lock;
    struct served *links; /* as in the config; with the lock */
    struct api api;
};

static struct served served_now(struct operate *o, size_t i)
{
    pthread_mutex_lock(&o->lock);
    struct served ret = o->links[i];
    pthread_mutex_unlock(&o->lock);
    return ret;
}

static bool find_link(const struct operate *o, const char *name, size_t *ret_first, size_t *ret_end)
{
    *ret_first = 0;
    *ret_end = o->config->nlinks;
    for (size_t i = 0; name != NULL && i < o->config->nlinks; i++)
        if (strcmp(o->config->links[i].name, name) == 0) {
            *ret_first = i;
            *ret_end = i + 1;
            return true;
        }
    return name == NULL;
}

static bool unknown_link(const struct operate *o, const char *name, struct err *err)
{
    return err_set(err, ERR_CONFIG, 0, "there is no link \"%.64s\"; there is \"%s\"%s", name,
                   o->config->links[0].name, o->config->nlinks > 1 ? " and others" : "");
}

/* ---- Resync ---- */

static bool side_of(const struct config_link *link, const char *from, struct job_order *ret_order,
                    struct err *err)
{
    ret_order->has_from = from != NULL;
    if (from == NULL)
        return true;
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (strcmp(from, side_name(s)) == 0) {
            ret_order->from = s;
            return true;
        }
    const char *left = link->side[SIDE_LEFT].server, *right = link->side[SIDE_RIGHT].server;
    bool is_left = strcmp(from, left) == 0, is_right = strcmp(from, right) == 0;

    if (is_left && is_right)
        return err_set(err, ERR_CONFIG, 0, "both tables of link %s are on server %s; say left or right",
                       link->name, from);
    if (!is_left && !is_right)
        return err_set(err, ERR_CONFIG, 0,
                       "from: \"%.64s\" is no side of link %s; say left (%s) or right (%s)", from, link->name,
                       left, right);
    ret_order->from = is_left ? SIDE_LEFT : SIDE_RIGHT;
    return true;
}

static enum api_result result_of(enum resync_answer answer)
{
    switch (answer) {
    case RESYNC_STARTED:
    case RESYNC_RUNS_ALREADY: return API_OK;
    case RESYNC_NOT_YET: return API_NOT_YET;
    case RESYNC_HALTED: break;
    }
    return API_CONFLICT;
}

/* All links must be able to, or none is touched. A server that a link has nothing to do with leaves that link out, if
 * no link was named. */
static enum api_result prepare(struct operate *o, const struct api_trigger *t, size_t first, size_t end,
                               struct job_order *orders, bool *takes_part, struct err *err)
{
    size_t n = 0;

    for (size_t i = first; i < end; i++) {
        orders[i] = (struct job_order){.force = t->force, .delete_missing = t->delete_missing};
        takes_part[i] = side_of(&o->config->links[i], t->from, &orders[i], err);
        if (!takes_part[i] && t->link != NULL)
            return API_INVALID;
        n += takes_part[i];
        if (takes_part[i] && served_now(o, i).resyncer == NULL) {
            err_set(err, ERR_RETRY, 0, "the servers have not been reached yet; /readyz says why");
            return API_NOT_YET;
        }
    }
    return n > 0 ? API_OK : API_INVALID;
}

static enum api_result trigger(void *arg, const struct api_trigger *t,
                               void (*each)(void *each_arg, const struct job *job, bool already_running),
                               void *each_arg, struct err *err)
{
    struct operate *o = arg;
    size_t first, end, started = 0;

    if ((t->force || t->delete_missing) && t->from == NULL) {
        err_set(err, ERR_CONFIG, 0, "mode=force and missing=delete need from: whose rows are right");
        return API_INVALID;
    }
    if (!find_link(o, t->link, &first, &end)) {
        unknown_link(o, t->link, err);
        return API_INVALID;
    }
    struct job_order *orders = mem_zalloc(o->config->nlinks, sizeof *orders);
    bool *takes_part = mem_zalloc(o->config->nlinks, sizeof *takes_part);
    enum api_result result = prepare(o, t, first, end, orders, takes_part, err), refused = API_CONFLICT;

    for (size_t i = first; i < end && result == API_OK; i++) {
        struct job job;

        if (!takes_part[i])
            continue;
        enum resync_answer answer = resyncer_trigger(served_now(o, i).resyncer, &orders[i], &job, err);

        if (result_of(answer) != API_OK) {
            /* Of several links those that can be are resynced; their own status tells of the others. */
            refused = result_of(answer);
            continue;
        }
        started++;
        each(each_arg, &job, answer == RESYNC_RUNS_ALREADY);
    }
    if (result == API_OK && started == 0)
        result = refused;
    free(orders);
    free(takes_part);
    return result;
}

static bool job(void *arg, uint64_t id, struct job *ret_job)
{
    struct operate *o = arg;
    bool found = false;

    for (size_t i = 0; i < o->config->nlinks && !found; i++) {
        struct resyncer *r = served_now(o, i).resyncer;

        found = r != NULL && resyncer_job(r, id, ret_job);
    }
    return found;
}

static enum api_result last_job(void *arg, const char *link, struct job *ret_job)
{
    struct operate *o = arg;
    size_t first, end;

    if (!find_link(o, link, &first, &end) || first == end)
        return API_NOT_FOUND;
    struct served served = served_now(o, first);

    if (served.resyncer != NULL && resyncer_last_job(served.resyncer, ret_job))
        return API_OK;
    return served.sync != NULL && conflicts_is_loaded(link_sync_conflicts(served.sync)) ? API_NOT_FOUND
                                                                                        : API_NOT_YET;
}

/* ---- Quarantine ---- */

static enum api_result is_quarantine_known(struct operate *o, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        struct link_sync *sync = served_now(o, i).sync;

        if (sync == NULL || !quarantine_is_loaded(link_sync_quarantine(sync)))
            return API_NOT_YET;
    }
    return API_OK;
}

static size_t quarantine(void *arg, const char *link, size_t max,
                         void (*each)(void *each_arg, const struct waiting_key *k), void *each_arg,
                         enum api_result *ret_result)
{
    struct operate *o = arg;
    size_t first, end, count = 0;

    *ret_result = find_link(o, link, &first, &end) ? is_quarantine_known(o, first, end) : API_INVALID;
    for (size_t i = first; i < end && *ret_result == API_OK; i++)
        count += quarantine_each(link_sync_quarantine(served_now(o, i).sync), max, each, each_arg);
    return count;
}

static enum api_result retry(void *arg, const char *link, const char *key, size_t *ret_count, struct err *err)
{
    struct operate *o = arg;
    size_t first, end;

    *ret_count = 0;
    if (!find_link(o, link, &first, &end)) {
        unknown_link(o, link, err);
        return API_INVALID;
    }
    bool known = is_quarantine_known(o, first, end) == API_OK;

    for (size_t i = first; i < end && (known || key != NULL); i++) {
        struct link_sync *sync = served_now(o, i).sync;

        if (sync != NULL)
            *ret_count += quarantine_hurry(link_sync_quarantine(sync), key);
    }
    if (!known && *ret_count == 0) {
        err_set(err, ERR_RETRY, 0,
                "the servers have not been reached yet, so what waits is not known; /readyz says why");
        return API_NOT_YET;
    }
    if (key != NULL && *ret_count == 0) {
        err_set(err, ERR_CONFIG, 0, "no such key waits in quarantine");
        return API_NOT_FOUND;
    }
    return API_OK;
}

/* ---- Conflicts ---- */

static enum api_result are_conflicts_known(struct operate *o, size_t first, size_t end)
{
    for (size_t i = first; i < end; i++) {
        struct link_sync *sync = served_now(o, i).sync;

        if (sync == NULL || !conflicts_is_loaded(link_sync_conflicts(sync)))
            return API_NOT_YET;
    }
    return API_OK;
}

static size_t conflicts(void *arg, const char *link, size_t max,
                        void (*each)(void *each_arg, const struct conflict *c), void *each_arg,
                        enum api_result *ret_result)
{
    struct operate *o = arg;
    size_t first, end, count = 0;

    *ret_result = find_link(o, link, &first, &end) ? are_conflicts_known(o, first, end) : API_INVALID;
    for (size_t i = first; i < end && *ret_result == API_OK; i++)
        count += conflicts_each(link_sync_conflicts(served_now(o, i).sync), max, each, each_arg);
    return count;
}

static enum api_result conflict(void *arg, const char *link, uint64_t id,
                                void (*each)(void *each_arg, const struct conflict *c), void *each_arg)
{
    struct operate *o = arg;
    size_t first, end;

    if (!find_link(o, link, &first, &end) || end - first != 1)
        return API_NOT_FOUND;
    struct link_sync *sync = served_now(o, first).sync;

    if (sync != NULL && conflicts_find(link_sync_conflicts(sync), id, each, each_arg))
        return API_OK;
    return are_conflicts_known(o, first, end) == API_OK ? API_NOT_FOUND : API_NOT_YET;
}

/* ---- Life ---- */

struct operate *operate_new(const struct config *config)
{
    struct operate *o = mem_zalloc(1, sizeof *o);

    o->config = config;
    o->links = mem_zalloc(config->nlinks, sizeof *o->links);
    pthread_mutex_init(&o->lock, NULL);
    o->api = (struct api){o, trigger, job, last_job, quarantine, retry, conflicts, conflict};
    return o;
}

void operate_free(struct operate *o)
{
    if (o == NULL)
        return;
    pthread_mutex_destroy(&o->lock);
    free(o->links);
    free(o);
}

void operate_serve(struct operate *o, size_t i, struct resyncer *resyncer, struct link_sync *sync)
{
    pthread_mutex_lock(&o->lock);
    o->links[i] = (struct served){resyncer, sync};
    pthread_mutex_unlock(&o->lock);
}

const struct api *operate_api(const struct operate *o) { return &o->api; }
