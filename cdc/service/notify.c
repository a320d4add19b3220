/*
 * notify.c - a queue of events and the thread that posts them.
 *
 *   event --> queue (256) --> under way --2xx--> delivered
 *                                 | not taken: wait, again
 *                                 +-- for ten minutes --> lost
 *
 * Events are delivered in their order, one at a time: "recovered" must not overtake
 * "halted". What is lost, at either end, is told as a number in the next body that
 * arrives ("dropped"), so that a receiver knows that it does not know all.
 *
 * The log names the receiver by scheme, host and port alone: the rest of a webhook's
 * URL is often its password.
 *
 * Locks: `lock` covers the queue and the counters; no other is taken while it is held.
 */
#include "cdc/service/notify.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/backoff.h"
#include "cdc/base/buf.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/mem.h"
#include "cdc/base/wait.h"
#include "cdc/service/client.h"
#include "cdc/service/document.h"

enum {
    MAX_WAITING = 256,
    CONNECT_TIMEOUT_MS = 5000,
    TOTAL_TIMEOUT_MS = 10000,
    FIRST_RETRY_MS = 1000,
    MAX_RETRY_MS = 60000,
    GIVE_UP_MS = 600000,
    LAST_WORDS_MS = 1000, /* at the end, for all that waits */
    LOOK_EVERY_MS = 100,  /* whether the end has come, while a receiver lets us wait */
};

struct message {
    enum event_kind kind;
    char *link, *direction, *text; /* the first two may be NULL */
    wall_us at;
};

struct notify {
    char *url, *receiver, *version, *host;
    struct curl_slist *headers;
    bool wanted[EVENT_KINDS];
    uint32_t first_retry_ms, give_up_ms;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct message ring[MAX_WAITING];
    size_t head, count;
    bool under_way;
    bool ending;
    mono_us end_at; /* once ending: nothing goes on after it */
    uint64_t delivered, failed, lost;
    uint64_t lost_untold;

    bool failing; /* the thread's own: the log has been told */
};

static void message_done(struct message *m)
{
    free(m->link);
    free(m->direction);
    free(m->text);
}

static char *copy_or_null(const char *text) { return text != NULL ? mem_strdup(text) : NULL; }

/* "https://host:8443" of "https://user:secret@host:8443/path?query" */
static char *receiver_of(const char *url)
{
    struct buf out = BUF_INIT;
    const char *authority = strstr(url, "://");
    authority = authority != NULL ? authority + 3 : url;
    size_t len = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', len);
    const char *host = at != NULL ? at + 1 : authority;
    buf_add(&out, url, (size_t)(authority - url));
    buf_add(&out, host, len - (size_t)(host - authority));
    return out.data;
}

/* ---- The queue ---- */

void notify_event(struct notify *n, const struct event *e)
{
    if (n == NULL || !n->wanted[e->kind])
        return;
    struct message m = {e->kind, copy_or_null(e->link), copy_or_null(e->direction),
                        mem_strdup(e->text != NULL ? e->text : ""), clock_wall()};
    struct message oldest = {0};

    pthread_mutex_lock(&n->lock);
    if (n->count == MAX_WAITING) {
        oldest = n->ring[n->head];
        n->head = (n->head + 1) % MAX_WAITING;
        n->count--;
        n->lost++;
        n->lost_untold++;
    }
    n->ring[(n->head + n->count) % MAX_WAITING] = m;
    n->count++;
    pthread_cond_signal(&n->changed);
    pthread_mutex_unlock(&n->lock);
    message_done(&oldest);
}

/* False: the end has come, and nothing waits, or it is of no use to try. */
static bool take(struct notify *n, struct message *ret_message)
{
    pthread_mutex_lock(&n->lock);
    while (n->count == 0 && !n->ending)
        pthread_cond_wait(&n->changed, &n->lock);
    bool last_words = !n->failing && mono_diff_us(n->end_at, clock_mono()) > 0;
    bool ok = n->count > 0 && (!n->ending || last_words);
    if (ok) {
        *ret_message = n->ring[n->head];
        n->head = (n->head + 1) % MAX_WAITING;
        n->count--;
        n->under_way = true;
    }
    pthread_mutex_unlock(&n->lock);
    return ok;
}

static bool is_ending(struct notify *n)
{
    pthread_mutex_lock(&n->lock);
    bool ret = n->ending;
    pthread_mutex_unlock(&n->lock);
    return ret;
}

static bool time_is_over(struct notify *n)
{
    pthread_mutex_lock(&n->lock);
    bool ret = n->ending && mono_diff_us(n->end_at, clock_mono()) <= 0;
    pthread_mutex_unlock(&n->lock);
    return ret;
}

/* False: the end has come. */
static bool pause_ms(struct notify *n, uint32_t ms)
{
    struct timespec deadline = wait_deadline(ms);
    pthread_mutex_lock(&n->lock);
    while (!n->ending && wait_until(&n->changed, &n->lock, &deadline))
        ;
    bool ret = !n->ending;
    pthread_mutex_unlock(&n->lock);
    return ret;
}

/* ---- One try ---- */

static void print_body(const struct notify *n, const struct message *m, uint64_t dropped, struct buf *out)
{
    json_t *o = json_object();
    json_object_set_new(o, "event", json_string(event_kind_name(m->kind)));
    json_object_set_new(o, "link", m->link != NULL ? document_text(m->link) : json_null());
    json_object_set_new(o, "direction", m->direction != NULL ? document_text(m->direction) : json_null());
    json_object_set_new(o, "text", document_text(m->text));
    json_object_set_new(o, "at", document_wall_or_null(m->at));
    json_object_set_new(o, "version", document_text(n->version));
    json_object_set_new(o, "host", document_text(n->host));
    json_object_set_new(o, "dropped", document_count(dropped));
    document_add(o, out);
}

/* What a receiver answers is not for us. */
static size_t ignore(char *data, size_t size, size_t count, void *arg)
{
    (void)data, (void)arg;
    return size * count;
}

static void set_options(CURL *curl, const struct notify *n, const struct buf *body)
{
    curl_easy_setopt(curl, CURLOPT_URL, n->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, n->headers);
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->data);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)body->len);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* a name that is being resolved does not hold us */
}

/* The multi interface, for the sake of its short waits: an end need not wait for a receiver. */
static CURLcode perform(struct notify *n, CURLM *multi, CURL *curl)
{
    int running = 1, left;
    while (running > 0 && !time_is_over(n)) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_FAILED_INIT;
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, LOOK_EVERY_MS, NULL);
    }
    for (CURLMsg *msg; (msg = curl_multi_info_read(multi, &left)) != NULL;) {
        if (msg->msg == CURLMSG_DONE && msg->easy_handle == curl)
            return msg->data.result;
    }
    return CURLE_ABORTED_BY_CALLBACK;
}

/* ERR_RETRY: it was not taken, and why, in words that hold nothing of the URL. */
static bool try_once(struct notify *n, const struct message *m, uint64_t dropped, struct err *err)
{
    struct buf body = BUF_INIT;
    CURLM *multi = curl_multi_init();
    CURL *curl = curl_easy_init();
    CURLcode code = CURLE_FAILED_INIT;
    long status = 0;
    print_body(n, m, dropped, &body);
    if (multi != NULL && curl != NULL) {
        set_options(curl, n, &body);
        curl_multi_add_handle(multi, curl);
        code = perform(n, multi, curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(multi, curl);
    }
    curl_easy_cleanup(curl);
    curl_multi_cleanup(multi);
    buf_done(&body);
    if (code != CURLE_OK)
        return err_set(err, ERR_RETRY, (int)code, "%s", curl_easy_strerror(code));
    return (status >= 200 && status < 300) || err_set(err, ERR_RETRY, (int)status, "it answers %ld", status);
}

/* ---- The thread ---- */

static uint64_t untold(struct notify *n)
{
    pthread_mutex_lock(&n->lock);
    uint64_t ret = n->lost_untold;
    pthread_mutex_unlock(&n->lock);
    return ret;
}

static void count_try(struct notify *n, bool ok, uint64_t told)
{
    pthread_mutex_lock(&n->lock);
    if (ok) {
        n->delivered++;
        n->lost_untold -= told;
        n->under_way = false;
    } else
        n->failed++;
    pthread_mutex_unlock(&n->lock);
}

static void lose(struct notify *n, const struct message *m, const char *why)
{
    pthread_mutex_lock(&n->lock);
    n->lost++;
    n->lost_untold++;
    n->under_way = false;
    pthread_mutex_unlock(&n->lock);
    log_warn("event \"%s\" was not delivered to %s and is dropped: %s", event_kind_name(m->kind), n->receiver,
             why);
}

static void log_try(struct notify *n, bool ok, const struct err *err)
{
    if (ok && n->failing)
        log_info("%s takes events again", n->receiver);
    else if (!ok && !n->failing)
        log_warn("%s does not take events: %s; tries go on", n->receiver, err->text);
    n->failing = !ok;
}

static void deliver(struct notify *n, const struct message *m)
{
    struct backoff backoff;
    mono_us start = clock_mono();
    backoff_init(&backoff, n->first_retry_ms, MAX_RETRY_MS);
    for (;;) {
        struct err err = ERR_INIT;
        uint64_t dropped = untold(n);
        bool ok = try_once(n, m, dropped, &err);
        count_try(n, ok, dropped);
        log_try(n, ok, &err);
        if (ok)
            return;
        if (mono_diff_us(clock_mono(), start) >= n->give_up_ms * 1000LL) {
            lose(n, m, err.text);
            return;
        }
        if (is_ending(n) || !pause_ms(n, backoff_next_ms(&backoff))) {
            lose(n, m, "the daemon ends");
            return;
        }
    }
}

static void *run(void *arg)
{
    struct notify *n = arg;
    struct message m;
    log_context("notify", "", "");
    while (take(n, &m)) {
        deliver(n, &m);
        message_done(&m);
    }
    return NULL;
}

/* ---- Start and end ---- */

static bool add_header(struct notify *n, const char *line)
{
    struct curl_slist *more = curl_slist_append(n->headers, line);
    if (more != NULL)
        n->headers = more;
    return more != NULL;
}

static bool add_token(struct notify *n, const struct config_secret *secret, struct err *err)
{
    char *token;
    size_t len;
    struct buf line = BUF_INIT;
    if (!config_token_read(secret, &token, &len, err))
        return false;
    bool ok = true;
    if (len > 0) {
        buf_addf(&line, "Authorization: Bearer %s", token);
        ok = add_header(n, line.data) || err_set(err, ERR_RETRY, 0, "cannot start libcurl");
    }
    buf_wipe_done(&line);
    mem_wipe_free(token, len + 1);
    return ok;
}

static bool start(struct notify *n, const struct config_notify *config, struct err *err)
{
    char host[256] = "";
    struct buf agent = BUF_INIT;
    gethostname(host, sizeof(host) - 1);
    n->host = mem_strdup(host);
    if (!client_start_curl(err))
        return false;
    buf_addf(&agent, "User-Agent: twinlog/%s", n->version);
    bool ok = add_header(n, "Content-Type: application/json") && add_header(n, agent.data) &&
              add_header(n, "Expect:"); /* no pause before a body this small */
    buf_done(&agent);
    if (!ok)
        return err_set(err, ERR_RETRY, 0, "cannot start libcurl");
    if (!add_token(n, &config->token, err))
        return false;
    int code = pthread_create(&n->thread, NULL, run, n);
    n->started = code == 0;
    return code == 0 || err_set(err, ERR_RETRY, code, "cannot start a thread: %s", strerror(code));
}

struct notify *notify_new(const struct config_notify *config, const char *version, struct err *err)
{
    struct notify *n = mem_zalloc(1, sizeof(*n));
    n->url = mem_strdup(config->url);
    n->receiver = receiver_of(config->url);
    n->version = mem_strdup(version);
    memcpy(n->wanted, config->events, sizeof(n->wanted));
    n->first_retry_ms = FIRST_RETRY_MS;
    n->give_up_ms = GIVE_UP_MS;
    pthread_mutex_init(&n->lock, NULL);
    wait_cond_init(&n->changed);
    if (start(n, config, err))
        return n;
    notify_free(n);
    return NULL;
}

void notify_set_patience(struct notify *n, uint32_t first_retry_ms, uint32_t give_up_ms)
{
    pthread_mutex_lock(&n->lock);
    n->first_retry_ms = first_retry_ms;
    n->give_up_ms = give_up_ms;
    pthread_mutex_unlock(&n->lock);
}

void notify_stats(struct notify *n, struct notify_stats *ret_stats)
{
    pthread_mutex_lock(&n->lock);
    *ret_stats = (struct notify_stats){n->delivered, n->failed, n->lost, n->count + n->under_way};
    pthread_mutex_unlock(&n->lock);
}

static void stop_thread(struct notify *n)
{
    if (!n->started)
        return;
    pthread_mutex_lock(&n->lock);
    n->ending = true;
    n->end_at = (mono_us){clock_mono().v + LAST_WORDS_MS * 1000LL};
    pthread_cond_signal(&n->changed);
    pthread_mutex_unlock(&n->lock);
    pthread_join(n->thread, NULL);
    if (n->count > 0)
        log_warn("%zu events were not delivered to %s: the daemon ends", n->count, n->receiver);
}

void notify_free(struct notify *n)
{
    if (n == NULL)
        return;
    stop_thread(n);
    for (size_t i = 0; i < n->count; i++)
        message_done(&n->ring[(n->head + i) % MAX_WAITING]);
    for (struct curl_slist *h = n->headers; h != NULL; h = h->next)
        mem_wipe(h->data, strlen(h->data));
    curl_slist_free_all(n->headers);
    pthread_cond_destroy(&n->changed);
    pthread_mutex_destroy(&n->lock);
    free(n->url);
    free(n->receiver);
    free(n->version);
    free(n->host);
    free(n);
}
