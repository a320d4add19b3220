/*
 * modes.c - loads that end when all is written: what an applier has to catch up with.
 */
#include "tests/bench/load/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_A_STATEMENT = 500, ROWS_A_TRANSACTION = 1000 };

static void print_done(uint64_t transactions, int64_t began_ns)
{
    double s = (double)(load_now_ns() - began_ns) / 1e9;

    printf("{\"transactions\": %" PRIu64 ", \"seconds\": %.3f, \"rate\": %.1f}\n", transactions, s,
           (double)transactions / s);
}

/* How many of all transactions are this writer's. */
static uint64_t share(const struct load_writer *w, uint64_t rows)
{
    return rows / w->writers + (w->number < rows % w->writers);
}

static void write_backlog(struct load_writer *w, const struct load_options *o)
{
    for (uint64_t n = share(w, o->rows); n > 0; n--)
        load_write_any(w);
}

void load_backlog(const struct load_options *o)
{
    int64_t began = load_now_ns();

    load_in_threads(o, write_backlog);
    print_done(o->rows, began);
}

static void touch(struct load_writer *w, const struct load_options *o)
{
    for (uint64_t key = 1 + w->number; key <= o->rows; key += w->writers)
        load_update(w, o->first + key, o->seed);
}

void load_touch(const struct load_options *o)
{
    int64_t began = load_now_ns();

    load_in_threads(o, touch);
    print_done(o->rows, began);
}

/* ---- Many rows at once ---- */

/* Inserts from key on; the rows come in the order of their keys. */
static void insert_many(struct load_writer *w, uint64_t key, uint64_t count)
{
    const size_t size = ROWS_A_STATEMENT * (size_t)512 + 512;
    char *sql = malloc(size);

    if (sql == NULL)
        load_die("no memory");
    while (count > 0) {
        uint64_t n = count < ROWS_A_STATEMENT ? count : ROWS_A_STATEMENT;
        size_t length = (size_t)snprintf(sql, size, "INSERT INTO %s (id, name, %s) VALUES ", w->table->name,
                                         w->table->email);

        for (uint64_t i = 0; i < n; i++) {
            if (i > 0)
                sql[length++] = ',';
            length += load_row(w, key + i, 1, sql + length, size - length);
            if (length + 512 > size)
                load_die("a statement is too long");
        }
        load_query(w->db, sql, length);
        key += n;
        count -= n;
    }
    free(sql);
}

static void large(struct load_writer *w, const struct load_options *o)
{
    uint64_t half = o->rows / 2;

    load_query_text(w->db, "BEGIN");
    insert_many(w, o->first + 1, o->rows);
    load_query_text(w->db, "COMMIT");
    snprintf(w->sql, sizeof w->sql,
             "UPDATE %s SET name = CONCAT(name, ', changed'), sync_version = sync_version + 1 WHERE id "
             "BETWEEN %" PRIu64 " AND %" PRIu64,
             w->table->name, o->first + 1, o->first + o->rows);
    load_query_text(w->db, w->sql);
    load_query_text(w->db, "BEGIN");
    snprintf(w->sql, sizeof w->sql, "DELETE FROM %s WHERE id BETWEEN %" PRIu64 " AND %" PRIu64,
             w->table->name, o->first + 1, o->first + half);
    load_query_text(w->db, w->sql);
    insert_many(w, o->first + o->rows + 1, o->rows - half);
    load_query_text(w->db, "COMMIT");
}

/* On one connection, whatever was asked for. */
static void run_alone(const struct load_options *o,
                      void (*body)(struct load_writer *w, const struct load_options *o),
                      uint64_t transactions)
{
    struct load_options one = *o;
    int64_t began = load_now_ns();

    one.connections = 1;
    load_in_threads(&one, body);
    print_done(transactions, began);
}

void load_large(const struct load_options *o) { run_alone(o, large, 3); }

static void fill(struct load_writer *w, const struct load_options *o)
{
    for (uint64_t done = 0; done < o->rows; done += ROWS_A_TRANSACTION) {
        uint64_t left = o->rows - done;

        load_query_text(w->db, "BEGIN");
        insert_many(w, o->first + done + 1, left < ROWS_A_TRANSACTION ? left : ROWS_A_TRANSACTION);
        load_query_text(w->db, "COMMIT");
    }
}

void load_fill(const struct load_options *o)
{
    run_alone(o, fill, (o->rows + ROWS_A_TRANSACTION - 1) / ROWS_A_TRANSACTION);
}

/* ---- What nobody tracks ---- */

static void foreign(struct load_writer *w, const struct load_options *o)
{
    for (uint64_t n = share(w, o->rows); n > 0; n--) {
        int length = snprintf(
            w->sql, sizeof w->sql,
            "INSERT INTO foreign_db.noise (writer, text) VALUES (%u, 'nothing to us, %" PRIu64 "')",
            w->number, n);

        load_query(w->db, w->sql, (size_t)length);
    }
}

void load_foreign(const struct load_options *o)
{
    int64_t began = load_now_ns();
    MYSQL *db = load_connect(o->socket);

    load_query_text(db, "CREATE DATABASE IF NOT EXISTS foreign_db");
    load_query_text(
        db, "CREATE TABLE IF NOT EXISTS foreign_db.noise (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT, "
            "writer INT UNSIGNED NOT NULL, text VARCHAR(255) NOT NULL, PRIMARY KEY (id)) ENGINE = InnoDB");
    mysql_close(db);
    load_in_threads(o, foreign);
    print_done(o->rows, began);
}
