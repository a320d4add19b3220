/*
 * load.h - what the modes of twinlog_load share: its options, a connection that writes rows, and times.
 *
 * Whatever goes wrong ends the program with one line on stderr and exit code 1: a load of which a part is missing
 * measures nothing.
 */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include <mysql.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A table of the seed, or one of a link beside it, which has the columns of the right one. */
struct load_table {
    char name[160];
    const char *email; /* its column */
    bool sealed;
};

struct load_options {
    const char *socket, *peer; /* of the server that is written to, and of the other one */
    struct load_table table, peer_table;
    uint64_t rows;        /* transactions, or rows of one */
    uint64_t first;       /* all keys lie above this one */
    uint64_t seed;        /* of the choice of rows */
    unsigned connections; /* that write at the same time */
    double rate;          /* transactions a second; 0: as many as the server takes */
    double seconds;
    unsigned probes; /* changes whose arrival at the peer is timed; 0: none */
    double wait_s;   /* how long the last of them may take */
};

_Noreturn void load_die(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Room for one more of `count` elements: array, or what it has moved to. */
void *load_grow(void *array, size_t count, size_t *size, size_t element_bytes);

int64_t load_now_ns(void); /* monotonic */
void load_sleep_until(int64_t ns);

MYSQL *load_connect(const char *socket);
/* Runs one statement; what it answers is thrown away. */
void load_query(MYSQL *db, const char *sql, size_t length);
void load_query_text(MYSQL *db, const char *sql);

/* One connection that writes rows of a table, each in a transaction of its own, and the keys it has left there. */
struct load_writer {
    MYSQL *db;
    const struct load_table *table;
    EVP_CIPHER_CTX *cipher;
    uint64_t random;  /* state */
    uint64_t nonce;   /* of the last sealed value; with the writer's number never twice under one key */
    unsigned number;  /* 0 to connections - 1 */
    unsigned writers; /* its keys are first + 1 + number, and so on in steps of this */
    uint64_t first;
    uint64_t inserted;
    uint64_t *live; /* keys of its rows */
    size_t live_count, live_size;
    uint64_t deadlocks; /* statements that were tried again */
    char sql[1024];
};

void load_writer_init(struct load_writer *w, const struct load_options *o, unsigned number);
void load_writer_done(struct load_writer *w);

uint64_t load_random(uint64_t *state);

/* An e-mail of this key as the column holds it: base64(nonce | ciphertext | tag) where it is sealed. */
size_t load_email(struct load_writer *w, uint64_t key, uint64_t version, char *out, size_t size);
/* "(key, name, e-mail)"; returns its length. */
size_t load_row(struct load_writer *w, uint64_t key, uint64_t version, char *out, size_t size);

/* One transaction of one row: half inserts, 40 % updates, 10 % deletes. */
void load_write_any(struct load_writer *w);
void load_insert(struct load_writer *w, uint64_t key);
void load_update(struct load_writer *w, uint64_t key, uint64_t version);

/* Key of AES-256-GCM, from ENCRYPTION_KEY_HEX. */
extern unsigned char load_key[32];

/* Runs body(writer, its number) in a thread for each connection and waits for all. */
void load_in_threads(const struct load_options *o,
                     void (*body)(struct load_writer *w, const struct load_options *o));

/* p50, p99 and the like of values that are sorted on the way, as members of a JSON object: "NAME_p50_us": 1.0, ... */
void load_print_quantiles(const char *name, int64_t *ns, size_t count);

/* ---- The modes; each prints one JSON object ---- */

void load_backlog(const struct load_options *o);
void load_large(const struct load_options *o);
void load_foreign(const struct load_options *o);
void load_fill(const struct load_options *o);
void load_touch(const struct load_options *o);
void load_open_loop(const struct load_options *o);
void load_compare(const struct load_options *o);

#endif
