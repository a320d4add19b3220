/*
 * compare.c - whether both sides hold the same rows, in plain text: written against the format of what is sealed with
 * nothing of the daemon's own, so that a fast wrong result is not taken for a good one.
 */
#include "tests/bench/load/load.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ID, NAME, EMAIL, CREATED, VERSION, UPDATED, COLUMNS };
enum { NONCE = 12, TAG = 16, LONGEST = 1024 };

struct side {
    MYSQL *db;
    MYSQL_RES *result;
    const struct load_table *table;
    EVP_CIPHER_CTX *cipher;
    MYSQL_ROW row; /* NULL behind the last one */
    char email[LONGEST];
};

/* Opens what is sealed; the text it holds, or "" if it cannot be opened. */
static void open_sealed(struct side *s, const char *text)
{
    unsigned char raw[LONGEST], plain[LONGEST];
    size_t length = strlen(text);
    int raw_length, done, rest;

    s->email[0] = '\0';
    if (length == 0 || length >= sizeof raw)
        return;
    raw_length = EVP_DecodeBlock(raw, (const unsigned char *)text, (int)length);
    for (size_t i = length; i > 0 && text[i - 1] == '='; i--)
        raw_length--; /* it counts the padding */
    if (raw_length < NONCE + TAG || EVP_DecryptInit_ex(s->cipher, NULL, NULL, load_key, raw) != 1 ||
        EVP_DecryptUpdate(s->cipher, plain, &done, raw + NONCE, raw_length - NONCE - TAG) != 1 ||
        EVP_CIPHER_CTX_ctrl(s->cipher, EVP_CTRL_GCM_SET_TAG, TAG, raw + raw_length - TAG) != 1 ||
        EVP_DecryptFinal_ex(s->cipher, plain + done, &rest) != 1)
        return;
    memcpy(s->email, plain, (size_t)done);
    s->email[done] = '\0';
}

static void next(struct side *s)
{
    s->row = mysql_fetch_row(s->result);
    if (s->row == NULL) {
        if (mysql_errno(s->db) != 0)
            load_die("read %s: %s", s->table->name, mysql_error(s->db));
        return;
    }
    if (s->table->sealed)
        open_sealed(s, s->row[EMAIL]);
    else
        snprintf(s->email, sizeof s->email, "%s", s->row[EMAIL]);
}

static void begin(struct side *s, const char *socket, const struct load_table *table)
{
    char sql[512];

    s->db = load_connect(socket);
    s->table = table;
    s->cipher = EVP_CIPHER_CTX_new();
    if (s->cipher == NULL || EVP_DecryptInit_ex(s->cipher, EVP_aes_256_gcm(), NULL, NULL, NULL) != 1)
        load_die("no AES-256-GCM");
    snprintf(sql, sizeof sql, "SELECT id, name, %s, created_at, sync_version, updated_at FROM %s ORDER BY id",
             table->email, table->name);
    if (mysql_real_query(s->db, sql, strlen(sql)) != 0)
        load_die("%s: %s", mysql_error(s->db), sql);
    s->result = mysql_use_result(s->db);
    if (s->result == NULL)
        load_die("read %s: %s", table->name, mysql_error(s->db));
    next(s);
}

static void end(struct side *s)
{
    mysql_free_result(s->result);
    mysql_close(s->db);
    EVP_CIPHER_CTX_free(s->cipher);
}

static bool same(const struct side *a, const struct side *b)
{
    if (a->email[0] == '\0')
        return false;
    for (int i = 0; i < COLUMNS; i++)
        if (i != EMAIL && strcmp(a->row[i], b->row[i]) != 0)
            return false;
    return strcmp(a->email, b->email) == 0;
}

void load_compare(const struct load_options *o)
{
    struct side left, right;
    uint64_t rows = 0, different = 0;

    begin(&left, o->socket, &o->table);
    begin(&right, o->peer, &o->peer_table);
    while (left.row != NULL || right.row != NULL) {
        uint64_t a = left.row != NULL ? strtoull(left.row[ID], NULL, 10) : UINT64_MAX;
        uint64_t b = right.row != NULL ? strtoull(right.row[ID], NULL, 10) : UINT64_MAX;

        rows++;
        if (a != b || !same(&left, &right)) {
            if (different++ < 5)
                fprintf(stderr, "row %" PRIu64 " %s\n", a < b ? a : b,
                        a < b   ? "is on the left alone"
                        : a > b ? "is on the right alone"
                                : "differs");
        }
        if (a <= b)
            next(&left);
        if (b <= a)
            next(&right);
    }
    end(&left);
    end(&right);
    printf("{\"rows\": %" PRIu64 ", \"different\": %" PRIu64 "}\n", rows, different);
    if (different > 0)
        load_die("%" PRIu64 " of %" PRIu64 " rows differ", different, rows);
}
