/*
 * preflight_link.c - are the two tables of a link there, do they fit each other
 * and the config, and do the keys open what is sealed?
 */
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/db/tableinfo.h"
#include "cdc/preflight_int.h"

enum { SAMPLE_ROWS = 100 };

/* ---- One table ---- */

/* A table may be seen through privileges on some columns that do not let all of them be read. */
static bool probe_reads(struct preflight *p, const struct preflight_server *s, const char *link,
                        const char *object, const char *const *names, size_t count)
{
    struct err err = ERR_INIT;
    struct buf columns = BUF_INIT, mend = BUF_INIT;
    for (size_t i = 0; i < count; i++) {
        buf_adds(&columns, i > 0 ? ", " : "");
        db_quote_name(&columns, names[i]);
    }
    bool ok = preflight_probe(s->conn, &err, "SELECT %s FROM %s WHERE FALSE", columns.data, object);
    if (!ok) {
        if (preflight_is_denied(&err))
            buf_addf(&mend, "GRANT SELECT ON %s TO %s;", object, s->account);
        preflight_say(p, CHECK_FAIL, link, mend.data, "no SELECT on %s: %s", object, err.text);
    }
    buf_done(&columns);
    buf_done(&mend);
    return ok;
}

/* The columns that twinlog reads and writes, as far as they are there and can be written. */
static bool probe_columns(struct preflight *p, const struct preflight_server *s, const struct config_link *c,
                          const struct table *t, enum side side, const char *object)
{
    const char *const sync[] = {c->version, c->updated_at, c->synced_at};
    size_t count = 0, nsync = sizeof(sync) / sizeof(*sync);
    const char **names = mem_zalloc(c->ncolumns + nsync, sizeof(*names));
    for (size_t i = 0; i < c->ncolumns + nsync; i++) {
        const char *name = i >= c->ncolumns    ? sync[i - c->ncolumns]
                           : side == SIDE_LEFT ? c->columns[i].left
                                               : c->columns[i].right;
        const struct column *column = table_column(t, name);
        if (column != NULL && !column->generated)
            names[count++] = name;
    }
    bool ok = count == 0 ||
              (probe_reads(p, s, c->name, object, names, count) &&
               (s->read_only || preflight_probe_writes(p, s, c->name, object, object, names, count)));
    free(names);
    return ok;
}

/* Where names of tables are names of files, Customers and customers are two. */
static void say_missing(struct preflight *p, const struct preflight_server *s, const char *link,
                        const struct config_table *t, enum side side, const char *object)
{
    struct err err = ERR_INIT;
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(
        &sql,
        "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE LOWER(TABLE_SCHEMA) = LOWER(");
    db_quote_text(&sql, t->db, strlen(t->db));
    buf_adds(&sql, ") AND LOWER(TABLE_NAME) = LOWER(");
    db_quote_text(&sql, t->table, strlen(t->table));
    buf_addc(&sql, ')');
    if (dbconn_query(s->conn, sql.data, sql.len, 0, &r, &err) && db_result_next(r) && db_result_columns(r) > 1)
        buf_addf(&mend,
                 "table = \"%s.%s\"; in twinlog's config: this server tells small letters from capitals",
                 db_result_get(r, 0, NULL), db_result_get(r, 1, NULL));
    preflight_say(p, CHECK_FAIL, link, mend.data, "%s table %s does not exist on server %s", side_name(side),
                  object, t->server);
    db_result_free(r);
    buf_done(&sql);
    buf_done(&mend);
}

/* The table, or NULL and what is wrong has been said. */
static struct table *check_table(struct preflight *p, const struct preflight_server *s,
                                 const struct config_link *c, enum side side)
{
    const char *link = c->name;
    const struct config_table *t = &c->side[side];
    struct buf object = BUF_INIT, mend = BUF_INIT;
    struct err err = ERR_INIT;
    struct table *table = NULL;
    preflight_add_object(&object, t->db, t->table);
    if (!preflight_probe(s->conn, &err, "SELECT 1 FROM %s WHERE FALSE", object.data)) {
        if (preflight_is_denied(&err))
            buf_addf(&mend, "GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO %s;", object.data, s->account);
        if (preflight_is_missing(&err))
            say_missing(p, s, link, t, side, object.data);
        else
            preflight_say(p, CHECK_FAIL, link, mend.data, "%s table %s on server %s cannot be read: %s",
                          side_name(side), object.data, t->server, err.text);
    } else if (!tableinfo_load(s->conn, t->db, t->table, &table, &err)) {
        preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    } else {
        preflight_check_table(p, s, c, side);
        if (probe_columns(p, s, c, table, side, object.data))
            preflight_say(p, CHECK_OK, link, NULL, "%s table %s can be read%s", side_name(side), object.data,
                          s->read_only ? "" : " and written");
    }
    buf_done(&object);
    buf_done(&mend);
    return table;
}

/* ---- What is sealed ---- */

/* The rows with the highest keys, by the key's index: the newest in most tables, and cheap to get. */
static void add_sample_query(struct buf *sql, const struct link *link, const struct field *f)
{
    const struct table *t = link->table[f->sealed_side];
    buf_adds(sql, "SELECT ");
    db_quote_name(sql, f->column[f->sealed_side]->name);
    buf_adds(sql, " FROM ");
    preflight_add_object(sql, t->db, t->name);
    buf_adds(sql, " ORDER BY ");
    for (size_t i = 0; i < link->nkey; i++) {
        buf_adds(sql, i > 0 ? ", " : "");
        db_quote_name(sql, link->fields[link->key[i]].column[f->sealed_side]->name);
        buf_adds(sql, " DESC");
    }
    buf_addf(sql, " LIMIT %d", SAMPLE_ROWS);
}

static void check_sample(struct preflight *p, const struct link *link, const struct field *f,
                         struct dbconn *conn)
{
    const struct column *column = f->column[f->sealed_side];
    const struct table *t = link->table[f->sealed_side];
    struct buf sql = BUF_INIT, plain = BUF_INIT;
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    size_t values = 0, closed = 0, len;
    add_sample_query(&sql, link, f);
    if (!dbconn_query(conn, sql.data, sql.len, 0, &r, &err)) {
        preflight_say(p, CHECK_FAIL, link->name, NULL, "read a sample of %s.%s: %s", t->name, column->name,
                      err.text);
        buf_done(&sql);
        return;
    }
    while (db_result_next(r)) {
        const char *sealed = db_result_get(r, 0, &len);
        if (sealed == NULL)
            continue;
        values++;
        if (!cipher_open(f->keys, f->encoding, sealed, len, &plain))
            closed++;
        buf_wipe_done(&plain);
        plain = (struct buf)BUF_INIT;
    }
    db_result_free(r);
    buf_done(&sql);
    if (closed > 0)
        preflight_say(p, CHECK_WARN, link->name,
                      "check key_env or key_file, and previous_key_env for values of an older key",
                      "%zu of %zu sampled values of %s.%s.%s are opened by no key; such rows are quarantined",
                      closed, values, t->db, t->name, column->name);
    else
        preflight_say(p, CHECK_OK, link->name, NULL, "the keys open all %zu sampled values of %s.%s.%s",
                      values, t->db, t->name, column->name);
}

/* ---- The link ---- */

struct relay {
    struct preflight *p;
    const char *link;
};

static void relay_report(void *arg, enum check_level level, const char *text, const char *mend)
{
    const struct relay *relay = arg;
    preflight_say(relay->p, level, relay->link, mend, "%s", text);
}

struct link *preflight_check_link(struct preflight *p, const struct config_link *c)
{
    struct table *table[2] = {NULL, NULL};
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        const struct preflight_server *server = preflight_find(p, c->side[s].server);
        if (server->account != NULL)
            table[s] = check_table(p, server, c, s);
    }
    if (table[SIDE_LEFT] == NULL || table[SIDE_RIGHT] == NULL) {
        table_free(table[SIDE_LEFT]);
        table_free(table[SIDE_RIGHT]);
        return NULL;
    }
    struct relay relay = {p, c->name};
    struct link *link = link_build(c, table[SIDE_LEFT], table[SIDE_RIGHT], relay_report, &relay);
    if (link == NULL)
        return NULL;
    preflight_say(p, CHECK_OK, c->name, NULL, "both tables fit the config: %zu mapped columns", c->ncolumns);
    preflight_check_unique(p, c, link);
    for (size_t i = 0; i < c->ncolumns; i++) {
        const struct field *f = &link->fields[i];
        if (f->keys != NULL)
            check_sample(p, link, f, preflight_find(p, c->side[f->sealed_side].server)->conn);
    }
    return link;
}
