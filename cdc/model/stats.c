#include "cdc/model/stats.h"

#include <assert.h>
#include <string.h>

const char *run_state_name(enum run_state s)
{
    switch (s) {
    case RUN_STARTING: return "starting";
    case RUN_CONNECTING: return "connecting";
    case RUN_STREAMING: return "streaming";
    case RUN_HALTED: return "halted";
    case RUN_STOPPED: return "stopped";
    }
    return "unknown";
}

void stat_text_init(struct stat_text *t)
{
    pthread_mutex_init(&t->lock, NULL);
    t->text[0] = '\0';
}

void stat_text_done(struct stat_text *t) { pthread_mutex_destroy(&t->lock); }

void stat_text_set(struct stat_text *t, const char *text)
{
    size_t len = strnlen(text, sizeof t->text - 1);

    pthread_mutex_lock(&t->lock);
    memcpy(t->text, text, len);
    t->text[len] = '\0';
    pthread_mutex_unlock(&t->lock);
}

void stat_text_get(struct stat_text *t, char *out, size_t size)
{
    assert(size > 0);
    pthread_mutex_lock(&t->lock);
    size_t len = strnlen(t->text, size - 1);
    memcpy(out, t->text, len);
    pthread_mutex_unlock(&t->lock);
    out[len] = '\0';
}

void server_stats_init(struct server_stats *s, const char *name)
{
    memset(s, 0, sizeof *s);
    s->name = name;
    stat_text_init(&s->version);
    stat_text_init(&s->kind);
    stat_text_init(&s->address);
    stat_text_init(&s->position);
    stat_text_init(&s->log_end);
    stat_text_init(&s->gtid);
    stat_text_init(&s->reason);
}

void server_stats_done(struct server_stats *s)
{
    stat_text_done(&s->version);
    stat_text_done(&s->kind);
    stat_text_done(&s->address);
    stat_text_done(&s->position);
    stat_text_done(&s->log_end);
    stat_text_done(&s->gtid);
    stat_text_done(&s->reason);
}

void direction_stats_init(struct direction_stats *d, const char *link, enum side from)
{
    memset(d, 0, sizeof *d);
    d->link = link;
    d->from = from;
    stat_text_init(&d->position);
    stat_text_init(&d->gtid);
    stat_text_init(&d->reason);
}

void direction_stats_done(struct direction_stats *d)
{
    stat_text_done(&d->position);
    stat_text_done(&d->gtid);
    stat_text_done(&d->reason);
}

const int64_t stat_bucket_us[STAT_BUCKETS] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                              100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};

void stat_histogram_add(struct stat_histogram *h, int64_t us)
{
    size_t i = 0;

    while (i < STAT_BUCKETS && us > stat_bucket_us[i])
        i++;
    h->bucket[i]++;
    h->sum_us += us > 0 ? (uint64_t)us : 0;
}
