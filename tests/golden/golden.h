/*
 * golden.h - real binary logs for tests: the file event by event, the tables it
 * is about, and what assemble.c makes of it as text.
 *
 * For each X.binlog there is X.columns, one line a column as rewrite.sh selects
 * them, and X.txt, the expected text.
 */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "cdc/binlog/assemble.h"
#include "cdc/binlog/event.h"

static const unsigned char golden_key[1][CIPHER_KEY_BYTES] = {"0123456789abcdef0123456789abcde"};

static inline void golden_die(const char *what, const char *name)
{
    fprintf(stderr, "golden: %s %s\n", what, name);
    exit(1);
}

static inline void golden_read(const char *base, const char *ending, struct buf *out)
{
    char path[512];
    snprintf(path, sizeof(path), "%s%s", base, ending);
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        golden_die("cannot open", path);
    buf_init(out, 0);
    size_t n;
    do {
        char *to = buf_room(out, 65536);
        n = fread(to, 1, 65536, f);
        out->len += n;
    } while (n > 0);
    buf_addc(out, '\0');
    out->len--;
    fclose(f);
}

/* ---- tables and links ---- */

struct golden_links {
    struct table **tables; /* owned here: each stands on both sides of its links */
    size_t ntables;
    struct link **links;
    size_t nlinks;
};

static inline enum column_kind golden_kind(const char *t)
{
    static const struct {
        const char *name;
        enum column_kind kind;
    } kinds[] = {
        {"tinyint", COL_INT},       {"smallint", COL_INT},        {"mediumint", COL_INT},
        {"int", COL_INT},           {"bigint", COL_INT},          {"decimal", COL_DECIMAL},
        {"float", COL_FLOAT},       {"double", COL_DOUBLE},       {"bit", COL_BIT},
        {"year", COL_YEAR},         {"date", COL_DATE},           {"time", COL_TIME},
        {"datetime", COL_DATETIME}, {"timestamp", COL_TIMESTAMP}, {"char", COL_TEXT},
        {"varchar", COL_TEXT},      {"tinytext", COL_TEXT},       {"text", COL_TEXT},
        {"mediumtext", COL_TEXT},   {"longtext", COL_TEXT},       {"binary", COL_BINARY},
        {"varbinary", COL_BINARY},  {"tinyblob", COL_BINARY},     {"blob", COL_BINARY},
        {"mediumblob", COL_BINARY}, {"longblob", COL_BINARY},     {"enum", COL_ENUM},
        {"set", COL_SET},           {"geometry", COL_GEOMETRY},   {"point", COL_GEOMETRY},
        {"json", COL_JSON},         {"uuid", COL_UUID},           {"inet4", COL_INET4},
        {"inet6", COL_INET6},       {"vector", COL_VECTOR},
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, t) == 0)
            return kinds[i].kind;
    return COL_OTHER;
}

static inline uint64_t golden_int_bytes(const char *t)
{
    return *t == 't' ? 1 : *t == 's' ? 2 : *t == 'm' ? 3 : *t == 'i' ? 4 : 8;
}

/* db table column data_type column_type key extra charset length precision scale fraction */
static inline void golden_column(char **part, struct column *c)
{
    struct err err = ERR_INIT;
    c->name = mem_strdup(part[2]);
    c->kind = golden_kind(part[3]);
    c->type_text = mem_strdup(part[4]);
    c->is_unsigned = strstr(part[4], "unsigned") != NULL;
    c->generated = strstr(part[6], " GENERATED") != NULL;
    c->fixed_length = strcmp(part[3], "char") == 0 || strcmp(part[3], "binary") == 0;
    c->charset = strcmp(part[7], "-") == 0 ? NULL : mem_strdup(part[7]);
    c->length = c->kind == COL_INT ? golden_int_bytes(part[3]) : strtoull(part[8], NULL, 10);
    c->precision = (unsigned)strtoul(c->kind == COL_DECIMAL ? part[9] : part[11], NULL, 10);
    c->scale = (unsigned)strtoul(part[10], NULL, 10);
    if ((c->kind == COL_ENUM || c->kind == COL_SET) && !column_parse_labels(c, part[4], &err))
        golden_die(err.text, part[2]);
}

static inline void golden_add_line(struct golden_links *g, char *line, bool *ret_is_key)
{
    char *part[12], *at = line;
    for (size_t i = 0; i < 12; i++)
        if ((part[i] = strsep(&at, "\t")) == NULL)
            golden_die("short line of", line);
    struct table *t = g->ntables > 0 ? g->tables[g->ntables - 1] : NULL;
    if (t == NULL || strcmp(t->name, part[1]) != 0) {
        g->tables = mem_realloc(g->tables, (g->ntables + 1) * sizeof(struct table *));
        t = g->tables[g->ntables++] = mem_zalloc(1, sizeof(*t));
        t->db = mem_strdup(part[0]);
        t->name = mem_strdup(part[1]);
    }
    t->columns = mem_realloc(t->columns, (t->ncolumns + 1) * sizeof(*t->columns));
    memset(&t->columns[t->ncolumns], 0, sizeof(*t->columns));
    t->columns[t->ncolumns].ordinal = t->ncolumns;
    golden_column(part, &t->columns[t->ncolumns++]);
    *ret_is_key = strcmp(part[5], "PRI") == 0;
}

static inline bool golden_is_mapped(const struct column *c)
{
    return c->kind != COL_OTHER && !c->generated && strcmp(c->name, "own") != 0;
}

/* Every column that can be mapped, to itself; version and updated_at stand last, as they must. */
static inline struct link *golden_link(struct table *t, const char *name, const bool *is_key)
{
    struct link *l = mem_zalloc(1, sizeof(*l));
    l->name = mem_strdup(name);
    l->table[0] = l->table[1] = t;
    l->fields = mem_zalloc(t->ncolumns, sizeof(*l->fields));
    l->key = mem_zalloc(t->ncolumns, sizeof(*l->key));
    for (size_t i = 0; i < t->ncolumns; i++) {
        if (!golden_is_mapped(&t->columns[i]))
            continue;
        struct field *f = &l->fields[l->nfields];
        f->column[0] = f->column[1] = &t->columns[i];
        if (strcmp(t->columns[i].name, "sealed") == 0)
            f->keys = keyring_new(golden_key, 1);
        f->sealed_side = SIDE_LEFT;
        if (is_key[i])
            l->key[l->nkey++] = l->nfields;
        l->nfields++;
    }
    return l;
}

static inline void golden_link_free(struct link *l)
{
    for (size_t i = 0; i < l->nfields; i++)
        keyring_free(l->fields[i].keys);
    free(l->fields);
    free(l->key);
    free(l->name);
    free(l);
}

static inline void golden_links_load(struct golden_links *g, const char *base)
{
    struct buf text;
    bool is_key[128][128] = {{false}};
    *g = (struct golden_links){0};
    golden_read(base, ".columns", &text);
    for (char *at = text.data, *line; (line = strsep(&at, "\n")) != NULL && *line != '\0';) {
        bool key;
        golden_add_line(g, line, &key);
        is_key[g->ntables - 1][g->tables[g->ntables - 1]->ncolumns - 1] = key;
    }
    buf_done(&text);
    for (size_t i = 0; i < g->ntables; i++) {
        struct table *t = g->tables[i];
        if (table_column(t, "sync_version") == NULL)
            continue;
        g->links = mem_realloc(g->links, (g->nlinks + 1) * sizeof(struct link *));
        g->links[g->nlinks++] = golden_link(t, t->name, is_key[i]);
    }
    g->links = mem_realloc(g->links, (g->nlinks + 1) * sizeof(struct link *));
    for (size_t i = 0; i < g->ntables; i++) /* a second link over the same table */
        if (strcmp(g->tables[i]->name, "users") == 0)
            g->links[g->nlinks++] = golden_link(g->tables[i], "chain", is_key[i]);
}

static inline void golden_links_done(struct golden_links *g)
{
    for (size_t i = 0; i < g->nlinks; i++)
        golden_link_free(g->links[i]);
    for (size_t i = 0; i < g->ntables; i++)
        table_free(g->tables[i]);
    free(g->links);
    free(g->tables);
}

/* ---- the log ---- */

struct golden_log {
    struct buf bytes;
    size_t at; /* of the next event */
};

static inline void golden_log_open(struct golden_log *l, const char *base)
{
    golden_read(base, ".binlog", &l->bytes);
    l->at = 4; /* behind the magic number */
}

/* The next event as a stream hands it out: without its checksum. */
static inline bool golden_log_next(struct golden_log *l, const uint8_t **ret_event, size_t *ret_len)
{
    if (l->bytes.len - l->at < EVENT_HEADER_BYTES)
        return false;
    const uint8_t *e = (const uint8_t *)l->bytes.data + l->at;
    size_t size = e[9] | (size_t)e[10] << 8 | (size_t)e[11] << 16 | (size_t)e[12] << 24;
    if (size < EVENT_HEADER_BYTES + 4 || size > l->bytes.len - l->at)
        golden_die("malformed", "log");
    l->at += size;
    *ret_event = e;
    *ret_len = size - 4;
    return true;
}

/* ---- as text ---- */

/* Long values as their beginning and length; what is no text with its bytes as \xNN. */
static inline void golden_print_value(struct buf *out, const struct value *v, bool is_text)
{
    static const char *const states[] = {"NULL", "", "missing", "sealed"};
    if (v->state != VALUE_SET) {
        buf_adds(out, states[v->state]);
        return;
    }
    buf_addc(out, '"');
    for (size_t i = 0; i < v->len && i < 80; i++) {
        unsigned char ch = (unsigned char)v->data[i];
        if (ch < 0x20 || ch == '"' || ch == '\\' || ch == 0x7f || (ch >= 0x80 && !is_text))
            buf_addf(out, "\\x%02x", ch);
        else
            buf_addc(out, (char)ch);
    }
    buf_addc(out, '"');
    if (v->len > 80)
        buf_addf(out, "...(%u)", v->len);
}

static inline bool golden_is_text(const struct column *c)
{
    return c->kind != COL_BINARY && c->kind != COL_GEOMETRY && c->kind != COL_VECTOR;
}

static inline void golden_print_row(struct buf *out, const struct link *l, const char *what,
                                    const struct value *row, const struct value *other)
{
    if (row == NULL)
        return;
    buf_addf(out, "      %s", what);
    for (size_t i = 0; i < l->nfields; i++) {
        if (other != NULL && value_equal(&row[i], &other[i]))
            continue;
        buf_addf(out, " %s=", l->fields[i].column[0]->name);
        golden_print_value(out, &row[i], golden_is_text(l->fields[i].column[0]));
    }
    buf_addc(out, '\n');
}

static inline void golden_print_tx(struct buf *out, const struct link *l, const struct tx *tx)
{
    char at[128];
    buf_addf(out, "%s: %s %s gtid ", l->name,
             tx->echo            ? "echo"
             : tx->rows_done > 0 ? "part"
                                 : "tx",
             pos_print_file(&tx->pos, at, sizeof(at)));
    pos_print_gtids(&tx->pos, out);
    if (tx->rows_done > 0)
        buf_addf(out, " rows_done %llu", (unsigned long long)tx->rows_done);
    if (tx->marker > 0)
        buf_addf(out, " marker %llu", (unsigned long long)tx->marker);
    if (tx->gap != NULL)
        buf_addf(out, " gap: %s", tx->gap);
    buf_addc(out, '\n');
    for (size_t i = 0; i < tx->nchanges; i++) {
        const struct change *c = &tx->changes[i];
        const char *what = c->before == NULL ? "insert" : c->after == NULL ? "delete" : "update";
        buf_addf(out, "   %llu %s ", (unsigned long long)c->row_no, what);
        key_print(l, &c->key, out);
        buf_addf(out, "%s\n", c->incomplete ? " incomplete" : "");
        golden_print_row(out, l, "before", c->before, NULL);
        golden_print_row(out, l, "after ", c->after, c->before);
    }
}

#endif
