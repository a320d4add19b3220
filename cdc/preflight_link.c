/*
 * preflight_link.c - are the two tables of a link there, do they fit each other
 * and the config, and do the keys open what is sealed?
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/mem.h"
#include "cdc/db/tableinfo.h"
#include "cdc/preflight_int.h"

enum { SAMPLE_ROWS = 100 };

static const struct preflight_server *server_of(const struct preflight *p, const struct config_table *t)
{
    for (size_t i = 0; i < p->config->nservers; i++)
        if (strcmp(p->config->servers[i].name, t->server) == 0)
            return &p->servers[i];
    return NULL;
}

/* ---- One table ---- */

/* "information_schema.X WHERE SCHEMA = 'db' AND TABLE = 't'", with the columns' common prefix. */
static void add_from(struct buf *sql, const char *view, const char *schema, const char *name,
                     const struct config_table *t)
{
    buf_addf(sql, " FROM information_schema.%s WHERE %s = ", view, schema);
    db_quote_text(sql, t->db, strlen(t->db));
    buf_addf(sql, " AND %s = ", name);
    db_quote_text(sql, t->table, strlen(t->table));
}

/* The first column of the first row; NULL if there is none. */
static bool query_one(struct dbconn *conn, const struct buf *sql, char **ret_text, struct err *err)
{
    struct db_result *r = NULL;
    *ret_text = NULL;
    if (!dbconn_query(conn, sql->data, sql->len, 0, &r, err))
        return false;
    if (db_result_next(r) && db_result_get(r, 0, NULL) != NULL)
        *ret_text = mem_strdup(db_result_get(r, 0, NULL));
    db_result_free(r);
    return true;
}

static void check_engine(struct preflight *p, const struct preflight_server *s, const char *link,
                         const struct config_table *t, const char *object)
{
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct err err = ERR_INIT;
    char *engine = NULL;
    buf_adds(&sql, "SELECT COALESCE(ENGINE, TABLE_TYPE)");
    add_from(&sql, "TABLES", "TABLE_SCHEMA", "TABLE_NAME", t);
    if (!query_one(s->conn, &sql, &engine, &err)) {
        preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    } else if (engine == NULL || strcasecmp(engine, "InnoDB") != 0) {
        buf_addf(&mend, "ALTER TABLE %s ENGINE = InnoDB;", object);
        preflight_say(p, CHECK_FAIL, link, mend.data,
                      "%s is %s, not InnoDB: rows and position must commit together", object,
                      engine != NULL ? engine : "of no engine");
    }
    free(engine);
    buf_done(&sql);
    buf_done(&mend);
}

/* Warns when the query finds names. */
static void warn_of(struct preflight *p, const struct preflight_server *s, const char *link,
                    const struct buf *sql, const char *object, const char *what, const char *why)
{
    struct err err = ERR_INIT;
    char *names = NULL;
    if (!query_one(s->conn, sql, &names, &err))
        preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    else if (names != NULL)
        preflight_say(p, CHECK_WARN, link, NULL, "%s has %s (%s): %s", object, what, names, why);
    free(names);
}

static void check_triggers(struct preflight *p, const struct preflight_server *s, const char *link,
                           const struct config_table *t, const char *object)
{
    struct buf sql = BUF_INIT;
    buf_adds(&sql, "SELECT GROUP_CONCAT(TRIGGER_NAME SEPARATOR ', ')");
    add_from(&sql, "TRIGGERS", "EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", t);
    warn_of(p, s, link, &sql, object, "triggers",
            "they run for twinlog's writes too; what they change in mapped columns is taken for twinlog's "
            "own write and stays on this side alone");
    buf_done(&sql);
}

/* In what SHOW CREATE TABLE prints, a constraint is a line of its own; in a comment a line end is escaped. */
static bool is_cascade(const char *line, size_t len)
{
    static const char *const actions[] = {" ON DELETE CASCADE", " ON DELETE SET ", " ON UPDATE CASCADE",
                                          " ON UPDATE SET "};
    const char *key = memmem(line, len, " FOREIGN KEY (", 14);
    if (strncmp(line, "  CONSTRAINT `", 14) != 0 || key == NULL)
        return false;
    for (size_t i = 0; i < sizeof(actions) / sizeof(*actions); i++)
        if (memmem(key, len - (size_t)(key - line), actions[i], strlen(actions[i])) != NULL)
            return true;
    return false;
}

/* What a cascade changes is not in MariaDB's log: the sides would differ, and nothing would tell. Read from
 * SHOW CREATE TABLE, because information_schema shows foreign keys to more privileged accounts only. */
static void check_cascades(struct preflight *p, const struct preflight_server *s, const char *link,
                           const char *object)
{
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    buf_addf(&sql, "SHOW CREATE TABLE %s", object);
    if (!dbconn_query(s->conn, sql.data, sql.len, 0, &r, &err))
        preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    const char *line = db_result_next(r) && db_result_columns(r) > 1 ? db_result_get(r, 1, NULL) : NULL;
    while (line != NULL) {
        size_t len = strcspn(line, "\n");
        if (is_cascade(line, len)) {
            int name = (int)strcspn(line + 14, "`\n");
            buf_clear(&mend);
            buf_addf(&mend,
                     "ALTER TABLE %s DROP FOREIGN KEY `%.*s`; -- and add it again with ON DELETE RESTRICT ON "
                     "UPDATE RESTRICT",
                     object, name, line + 14);
            preflight_say(p, CHECK_FAIL, link, mend.data,
                          "%s has a cascading foreign key, %.*s: the server does not log the rows that a "
                          "cascade changes",
                          object, name, line + 14);
        }
        line = line[len] == '\0' ? NULL : line + len + 1;
    }
    db_result_free(r);
    buf_done(&sql);
    buf_done(&mend);
}

/* The columns that twinlog writes, as far as they are there and can be written. */
static bool probe_writes(struct preflight *p, const struct preflight_server *s, const struct config_link *c,
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
    bool ok = count == 0 || preflight_probe_writes(p, s, c->name, object, object, names, count);
    free(names);
    return ok;
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
            preflight_say(p, CHECK_FAIL, link, NULL, "%s table %s does not exist on server %s",
                          side_name(side), object.data, t->server);
        else
            preflight_say(p, CHECK_FAIL, link, mend.data, "%s table %s on server %s cannot be read: %s",
                          side_name(side), object.data, t->server, err.text);
    } else if (!tableinfo_load(s->conn, t->db, t->table, &table, &err)) {
        preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    } else {
        check_engine(p, s, link, t, object.data);
        check_triggers(p, s, link, t, object.data);
        check_cascades(p, s, link, object.data);
        if (probe_writes(p, s, c, table, side, object.data))
            preflight_say(p, CHECK_OK, link, NULL, "%s table %s can be read and written", side_name(side),
                          object.data);
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
        const struct preflight_server *server = server_of(p, &c->side[s]);
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
    for (size_t i = 0; i < c->ncolumns; i++) {
        const struct field *f = &link->fields[i];
        if (f->keys != NULL)
            check_sample(p, link, f, server_of(p, &c->side[f->sealed_side])->conn);
    }
    return link;
}
