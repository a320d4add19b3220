/*
 * api.h - what the HTTP interface can ask the daemon to do, and read from it
 * beside its status. The supervisor fills the table; http.c calls it from its own
 * thread, so nothing in here may wait for a database.
 */
#ifndef SERVICE_API_H
#define SERVICE_API_H

#include "cdc/base/err.h"
#include "cdc/model/record.h"

/* An answer to a request that cannot be done, beside an error text. */
enum api_result {
    API_OK,
    API_INVALID,   /* 400: unknown link, side, key or a combination that means nothing */
    API_NOT_FOUND, /* 404 */
    API_CONFLICT,  /* 409: not in the state that the link is in; the text says what would be right */
    API_NOT_YET,   /* 503: the servers have not been reached yet */
};

struct api_trigger {
    const char *link; /* NULL: all */
    const char *from; /* "left", "right", the name of a server, or NULL: both sides alike */
    bool force;
    bool delete_missing;
};

struct api {
    void *arg;
    /* Starts a resync, or names the one that runs. Calls each() once a link; err says why not. */
    enum api_result (*trigger)(void *arg, const struct api_trigger *t,
                               void (*each)(void *each_arg, const struct job *job, bool already_running),
                               void *each_arg, struct err *err);
    /* A job that runs, or one of the last that ended. False: none of that id. */
    bool (*job)(void *arg, uint64_t id, struct job *ret_job);
    /* The job of the link that runs, else the last one. API_NOT_FOUND: there was none; API_NOT_YET: or so it seems. */
    enum api_result (*last_job)(void *arg, const char *link, struct job *ret_job);
    /* Keys in quarantine, of each link the oldest first, at most max of a link (NULL: all links). Returns how many there are in all.
     * API_INVALID in *ret_result if the link is unknown, API_NOT_YET if what one of them has is. What each() gets lives until
     * it returns. */
    size_t (*quarantine)(void *arg, const char *link, size_t max,
                         void (*each)(void *each_arg, const struct waiting_key *k), void *each_arg,
                         enum api_result *ret_result);
    /* key: as listed ("id=42"), its value alone ("42"), or its hash ("#…" or the 16 digits); NULL: all keys. link may be NULL.
     * *ret_count: so many will be tried now. API_NOT_FOUND if there is no such key, API_NOT_YET if
     * there may be one. */
    enum api_result (*retry)(void *arg, const char *link, const char *key, size_t *ret_count,
                             struct err *err);
    /* Conflicts, of each link the newest first, likewise. */
    size_t (*conflicts)(void *arg, const char *link, size_t max,
                        void (*each)(void *each_arg, const struct conflict *c), void *each_arg,
                        enum api_result *ret_result);
    /* One conflict: calls each() at most once. API_NOT_FOUND: none of that id; API_NOT_YET: or so it seems. */
    enum api_result (*conflict)(void *arg, const char *link, uint64_t id,
                                void (*each)(void *each_arg, const struct conflict *c), void *each_arg);
};

#endif
