/*
 * writer.c - rows of the seed's tables, written by one connection each.
 */
#include "tests/bench/load/load.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEADLOCK = 1213, LOCK_WAIT_TIMEOUT = 1205 };
enum { NONCE = 12, TAG = 16 };

/* ---- Times ---- */

int64_t load_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void load_sleep_until(int64_t ns)
{
    struct timespec t = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) != 0) {
    }
}

static int compare_ns(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static double quantile_us(const int64_t *sorted, size_t count, double q)
{
    size_t i = (size_t)(q * (double)count);

    return count == 0 ? 0 : (double)sorted[i < count ? i : count - 1] / 1000;
}

void load_print_quantiles(const char *name, int64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, compare_ns);
    printf("\"%s_count\": %zu, \"%s_p50_us\": %.1f, \"%s_p99_us\": %.1f, \"%s_max_us\": %.1f", name, count,
           name, quantile_us(ns, count, 0.5), name, quantile_us(ns, count, 0.99), name,
           quantile_us(ns, count, 1));
}

/* ---- Statements ---- */

MYSQL *load_connect(const char *socket)
{
    MYSQL *db = mysql_init(NULL);

    if (db == NULL)
        load_die("no memory");
    mysql_options(db, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    if (mysql_real_connect(db, NULL, "root", "", NULL, 0, socket, 0) == NULL)
        load_die("connect to %s: %s", socket, mysql_error(db));
    load_query_text(db, "SET time_zone = '+00:00'");
    return db;
}

static void discard_result(MYSQL *db)
{
    MYSQL_RES *result = mysql_store_result(db);

    if (result != NULL)
        mysql_free_result(result);
    else if (mysql_errno(db) != 0)
        load_die("%s", mysql_error(db));
}

void load_query(MYSQL *db, const char *sql, size_t length)
{
    if (mysql_real_query(db, sql, length) != 0)
        load_die("%s: %.80s", mysql_error(db), sql);
    discard_result(db);
}

void load_query_text(MYSQL *db, const char *sql) { load_query(db, sql, strlen(sql)); }

/* One statement of an application, which tries again what a lock of somebody else's has undone. */
static void write_row(struct load_writer *w, size_t length)
{
    if (length >= sizeof w->sql)
        load_die("a statement is too long");
    while (mysql_real_query(w->db, w->sql, length) != 0) {
        if (mysql_errno(w->db) != DEADLOCK && mysql_errno(w->db) != LOCK_WAIT_TIMEOUT)
            load_die("%s: %.80s", mysql_error(w->db), w->sql);
        w->deadlocks++;
    }
    discard_result(w->db);
}

/* ---- Values ---- */

uint64_t load_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u; /* splitmix64 */

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static size_t seal(struct load_writer *w, const unsigned char *plain, int length, char *out, size_t size)
{
    unsigned char sealed[NONCE + 256 + TAG];
    uint32_t number = w->number;
    int done, rest;

    if ((size_t)length > 256 || size < 4 * ((sizeof sealed + 2) / 3) + 1)
        load_die("a value is too long");
    w->nonce++;
    memcpy(sealed, &w->nonce, sizeof w->nonce);
    memcpy(sealed + sizeof w->nonce, &number, sizeof number);
    if (EVP_EncryptInit_ex(w->cipher, NULL, NULL, load_key, sealed) != 1 ||
        EVP_EncryptUpdate(w->cipher, sealed + NONCE, &done, plain, length) != 1 ||
        EVP_EncryptFinal_ex(w->cipher, sealed + NONCE + done, &rest) != 1 ||
        EVP_CIPHER_CTX_ctrl(w->cipher, EVP_CTRL_GCM_GET_TAG, TAG, sealed + NONCE + length) != 1)
        load_die("cannot seal a value");
    return (size_t)EVP_EncodeBlock((unsigned char *)out, sealed, NONCE + length + TAG);
}

size_t load_email(struct load_writer *w, uint64_t key, uint64_t version, char *out, size_t size)
{
    char plain[96];
    int length = snprintf(plain, sizeof plain, "user%" PRIu64 ".%" PRIu64 "@bench.example", key, version);

    if (w->table->sealed)
        return seal(w, (const unsigned char *)plain, length, out, size);
    memcpy(out, plain, (size_t)length + 1);
    return (size_t)length;
}

size_t load_row(struct load_writer *w, uint64_t key, uint64_t version, char *out, size_t size)
{
    char email[512];

    load_email(w, key, version, email, sizeof email);
    return (size_t)snprintf(out, size, "(%" PRIu64 ", 'Customer %" PRIu64 ", revision %" PRIu64 "', '%s')",
                            key, key, version, email);
}

/* ---- A writer ---- */

void load_writer_init(struct load_writer *w, const struct load_options *o, unsigned number)
{
    *w = (struct load_writer){.db = load_connect(o->socket),
                              .table = &o->table,
                              .random = o->seed * 1000003 + number,
                              .number = number,
                              .writers = o->connections,
                              .first = o->first};
    w->nonce = ((uint64_t)time(NULL) << 32) + o->first;
    w->cipher = EVP_CIPHER_CTX_new();
    if (w->cipher == NULL || EVP_EncryptInit_ex(w->cipher, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1)
        load_die("no AES-256-GCM");
}

void load_writer_done(struct load_writer *w)
{
    mysql_close(w->db);
    EVP_CIPHER_CTX_free(w->cipher);
    free(w->live);
}

void load_insert(struct load_writer *w, uint64_t key)
{
    int n = snprintf(w->sql, sizeof w->sql, "INSERT INTO %s (id, name, %s) VALUES ", w->table->name,
                     w->table->email);

    write_row(w, (size_t)n + load_row(w, key, 1, w->sql + n, sizeof w->sql - (size_t)n));
}

/* The name changes, and with every fourth update the e-mail too. */
void load_update(struct load_writer *w, uint64_t key, uint64_t version)
{
    int n = snprintf(w->sql, sizeof w->sql,
                     "UPDATE %s SET name = 'Customer %" PRIu64 ", revision %" PRIu64 "'", w->table->name, key,
                     version);

    if (version % 4 == 0) {
        n += snprintf(w->sql + n, sizeof w->sql - (size_t)n, ", %s = '", w->table->email);
        n += (int)load_email(w, key, version, w->sql + n, sizeof w->sql - (size_t)n);
        n += snprintf(w->sql + n, sizeof w->sql - (size_t)n, "'");
    }
    n += snprintf(w->sql + n, sizeof w->sql - (size_t)n,
                  ", sync_version = sync_version + 1 WHERE id = %" PRIu64, key);
    write_row(w, (size_t)n);
}

static void delete_row(struct load_writer *w, uint64_t key)
{
    int n = snprintf(w->sql, sizeof w->sql, "DELETE FROM %s WHERE id = %" PRIu64, w->table->name, key);

    write_row(w, (size_t)n);
}

static void keep(struct load_writer *w, uint64_t key)
{
    w->live = load_grow(w->live, w->live_count, &w->live_size, sizeof *w->live);
    w->live[w->live_count++] = key;
}

void load_write_any(struct load_writer *w)
{
    uint64_t draw = load_random(&w->random) % 10;

    if (draw < 5 || w->live_count == 0) {
        uint64_t key = w->first + 1 + w->number + w->inserted++ * w->writers;

        load_insert(w, key);
        keep(w, key);
        return;
    }
    size_t at = load_random(&w->random) % w->live_count;

    if (draw < 9) {
        load_update(w, w->live[at], 2 + load_random(&w->random) % 1000000);
    } else {
        delete_row(w, w->live[at]);
        w->live[at] = w->live[--w->live_count];
    }
}

/* ---- Several at a time ---- */

struct thread {
    pthread_t id;
    const struct load_options *o;
    unsigned number;
    void (*body)(struct load_writer *w, const struct load_options *o);
};

static void *run(void *argument)
{
    const struct thread *t = argument;
    struct load_writer w;

    mysql_thread_init();
    load_writer_init(&w, t->o, t->number);
    t->body(&w, t->o);
    load_writer_done(&w);
    mysql_thread_end();
    return NULL;
}

void load_in_threads(const struct load_options *o,
                     void (*body)(struct load_writer *w, const struct load_options *o))
{
    struct thread *all = calloc(o->connections, sizeof *all);

    if (all == NULL)
        load_die("no memory");
    for (unsigned i = 0; i < o->connections; i++) {
        all[i] = (struct thread){.o = o, .number = i, .body = body};
        if (pthread_create(&all[i].id, NULL, run, &all[i]) != 0)
            load_die("no thread");
    }
    for (unsigned i = 0; i < o->connections; i++)
        pthread_join(all[i].id, NULL);
    free(all);
}
