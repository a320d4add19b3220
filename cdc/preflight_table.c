/*
 * preflight_table.c - what a table is beside its columns: its kind, its triggers and
 * foreign keys, how its keys are numbered, and which UNIQUE indexes stand in the
 * way of the other side's rows.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/mem.h"
#include "cdc/preflight_int.h"

/* "FROM information_schema.VIEW WHERE SCHEMA = 'db' AND NAME = 't'" */
static void add_from(struct buf *sql, const char *view, const char *schema, const char *name,
                     const struct config_table *t)
{
    buf_addf(sql, " FROM information_schema.%s WHERE %s = ", view, schema);
    db_quote_text(sql, t->db, strlen(t->db));
    buf_addf(sql, " AND %s = ", name);
    db_quote_text(sql, t->table, strlen(t->table));
}

/* False: what went wrong has been said. */
static bool query(struct preflight *p, const struct preflight_server *s, const char *link,
                  const struct buf *sql, struct db_result **ret_result)
{
    struct err err = ERR_INIT;
    *ret_result = NULL;
    if (dbconn_query(s->conn, sql->data, sql->len, 0, ret_result, &err))
        return true;
    preflight_say(p, CHECK_FAIL, link, NULL, "%s", err.text);
    return false;
}

/* ---- What it is ---- */

static void check_kind(struct preflight *p, const struct preflight_server *s, const char *link,
                       const struct config_table *t, const char *object)
{
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(&sql, "SELECT TABLE_TYPE, ENGINE");
    add_from(&sql, "TABLES", "TABLE_SCHEMA", "TABLE_NAME", t);
    if (query(p, s, link, &sql, &r) && db_result_next(r)) {
        const char *type = db_result_text(r, 0), *engine = db_result_text(r, 1);
        if (strcmp(type, "SYSTEM VERSIONED") == 0) {
            buf_addf(&mend, "ALTER TABLE %s DROP SYSTEM VERSIONING; -- or keep history in a table of its own",
                     object);
            preflight_say(
                p, CHECK_FAIL, link, mend.data,
                "%s is system-versioned: its log shows rows of the past as if they were inserted now",
                object);
        } else if (strcmp(type, "BASE TABLE") != 0) {
            preflight_say(p, CHECK_FAIL, link, "name the table that it is made of in twinlog's config",
                          "%s is a %s, not a table: the binary log never shows its rows", object, type);
        } else if (strcasecmp(engine, "InnoDB") != 0) {
            buf_addf(&mend, "ALTER TABLE %s ENGINE = InnoDB;", object);
            preflight_say(p, CHECK_FAIL, link, mend.data,
                          "%s is %s, not InnoDB: rows and position must commit together", object,
                          *engine != '\0' ? engine : "of no engine");
        }
    }
    db_result_free(r);
    buf_done(&sql);
    buf_done(&mend);
}

/* ---- Triggers ---- */

static const char trigger_why[] = "they run for twinlog's writes too; what they change in mapped columns is "
                                  "taken for twinlog's own write and stays "
                                  "on this side alone";

/* How often this session has opened a table for writing together with its triggers; MySQL counts that since 9.1. */
static bool count_triggers(const struct preflight_server *s, uint64_t *ret_count)
{
    static const char sql[] = "SHOW SESSION STATUS WHERE Variable_name IN ('Table_open_cache_triggers_hits', "
                              "'Table_open_cache_triggers_misses')";
    struct err err = ERR_INIT;
    struct db_result *r = NULL;
    bool found = false;
    *ret_count = 0;
    if (!dbconn_query(s->conn, sql, sizeof(sql) - 1, 0, &r, &err))
        return false;
    while (db_result_next(r)) {
        *ret_count += strtoull(db_result_text(r, 1), NULL, 10);
        found = true;
    }
    db_result_free(r);
    return found;
}

/* MySQL lists triggers to accounts with the privilege TRIGGER only, which would be too much for ours. */
static void feel_for_triggers(struct preflight *p, const struct preflight_server *s, const char *link,
                              const char *object)
{
    struct err err = ERR_INIT;
    struct buf mend = BUF_INIT;
    uint64_t before, after;
    buf_addf(&mend, "SHOW CREATE TABLE and SHOW TRIGGERS as an administrator: look what those of %s do",
             object);
    if (count_triggers(s, &before) && preflight_probe(s->conn, &err, "DELETE FROM %s WHERE FALSE", object) &&
        count_triggers(s, &after) && after > before)
        preflight_say(p, CHECK_WARN, link, mend.data, "%s has triggers: %s", object, trigger_why);
    buf_done(&mend);
}

static void check_triggers(struct preflight *p, const struct preflight_server *s, const char *link,
                           const struct config_table *t, const char *object)
{
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(&sql, "SELECT GROUP_CONCAT(TRIGGER_NAME ORDER BY TRIGGER_NAME SEPARATOR ', ')");
    add_from(&sql, "TRIGGERS", "EVENT_OBJECT_SCHEMA", "EVENT_OBJECT_TABLE", t);
    if (query(p, s, link, &sql, &r)) {
        if (db_result_next(r) && db_result_get(r, 0, NULL) != NULL)
            preflight_say(p, CHECK_WARN, link, NULL, "%s has triggers (%s): %s", object, db_result_text(r, 0),
                          trigger_why);
        else if (dbconn_kind(s->conn) == DB_MYSQL && !s->read_only)
            feel_for_triggers(p, s, link, object);
    }
    db_result_free(r);
    buf_done(&sql);
}

/* ---- Foreign keys ---- */

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

/* What a cascade changes is not in MariaDB's log: the sides would differ, and nothing would tell. MySQL logs it
 * where the server itself, and not InnoDB, looks after foreign keys: since 9.6. Read from
 * SHOW CREATE TABLE, because information_schema shows foreign keys to more privileged accounts only. */
static void check_cascades(struct preflight *p, const struct preflight_server *s, const char *link,
                           const char *object)
{
    struct buf sql = BUF_INIT, mend = BUF_INIT;
    struct db_result *r = NULL;
    bool logged = strcasecmp(preflight_setting(s, "innodb_native_foreign_keys"), "OFF") == 0;
    if (logged)
        return;
    buf_addf(&sql, "SHOW CREATE TABLE %s", object);
    const char *line = query(p, s, link, &sql, &r) && db_result_next(r) && db_result_columns(r) > 1
                           ? db_result_get(r, 1, NULL)
                           : NULL;
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

void preflight_check_table(struct preflight *p, const struct preflight_server *s, const struct config_link *c,
                           enum side side)
{
    const struct config_table *t = &c->side[side];
    struct buf object = BUF_INIT;
    preflight_add_object(&object, t->db, t->table);
    check_kind(p, s, c->name, t, object.data);
    check_triggers(p, s, c->name, t, object.data);
    check_cascades(p, s, c->name, object.data);
    buf_done(&object);
}

/* ---- UNIQUE indexes ---- */

/* What struct column does not tell, by ordinal. */
struct filler {
    bool differs; /* each row that leaves it out gets another value, or NULL, which is like no other */
    bool auto_increment;
};

struct part {                    /* of an index */
    const struct column *column; /* NULL: an expression */
    uint64_t prefix;             /* characters; 0: the whole */
};

struct unique {
    char *name;
    struct part *parts;
    size_t nparts;
};

struct uniques {
    const struct link *link;
    const struct preflight_server *server[2];
    struct filler *fillers[2];
    struct unique *list[2];
    size_t count[2];
};

static bool load_fillers(struct preflight *p, struct uniques *u, enum side side)
{
    const struct table *t = u->link->table[side];
    const struct config_table name = {NULL, t->db, t->name};
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    u->fillers[side] = mem_zalloc(t->ncolumns + 1, sizeof(struct filler));
    buf_adds(&sql, "SELECT COLUMN_NAME, COLUMN_DEFAULT, EXTRA, IS_NULLABLE");
    add_from(&sql, "COLUMNS", "TABLE_SCHEMA", "TABLE_NAME", &name);
    bool ok = query(p, u->server[side], u->link->name, &sql, &r);
    while (ok && db_result_next(r)) {
        const struct column *c = table_column(t, db_result_text(r, 0));
        const char *value = db_result_text(r, 1), *extra = db_result_text(r, 2);
        if (c == NULL)
            continue;
        struct filler *f = &u->fillers[side][c->ordinal];
        f->auto_increment = strstr(extra, "auto_increment") != NULL;
        /* MariaDB writes a default that is NULL as NULL, MySQL not at all; a call is an expression to both. */
        f->differs = f->auto_increment || c->generated || (*value != '\'' && strchr(value, '(') != NULL) ||
                     (c->nullable && (*value == '\0' || strcasecmp(value, "NULL") == 0));
    }
    db_result_free(r);
    buf_done(&sql);
    return ok;
}

static bool load_uniques(struct preflight *p, struct uniques *u, enum side side)
{
    const struct table *t = u->link->table[side];
    const struct config_table name = {NULL, t->db, t->name};
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(&sql, "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART");
    add_from(&sql, "STATISTICS", "TABLE_SCHEMA", "TABLE_NAME", &name);
    buf_adds(&sql, " AND NON_UNIQUE = 0 ORDER BY INDEX_NAME, SEQ_IN_INDEX");
    bool ok = query(p, u->server[side], u->link->name, &sql, &r);
    u->list[side] = mem_zalloc(db_result_rows(r) + 1, sizeof(struct unique));
    while (ok && db_result_next(r)) {
        struct unique *x = u->count[side] > 0 ? &u->list[side][u->count[side] - 1] : NULL;
        if (x == NULL || strcmp(x->name, db_result_text(r, 0)) != 0) {
            x = &u->list[side][u->count[side]++];
            x->name = mem_strdup(db_result_text(r, 0));
        }
        x->parts = mem_realloc(x->parts, (x->nparts + 1) * sizeof(*x->parts));
        x->parts[x->nparts++] = (struct part){table_column(t, db_result_text(r, 1)),
                                              strtoull(db_result_text(r, 2), NULL, 10)};
    }
    db_result_free(r);
    buf_done(&sql);
    return ok;
}

static void uniques_done(struct uniques *u)
{
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < u->count[side]; i++) {
            free(u->list[side][i].name);
            free(u->list[side][i].parts);
        }
        free(u->list[side]);
        free(u->fillers[side]);
    }
}

static const struct field *field_of(const struct link *l, enum side side, const struct column *c)
{
    for (size_t i = 0; i < l->nfields; i++)
        if (l->fields[i].column[side] == c)
            return &l->fields[i];
    return NULL;
}

static bool has_key(const struct link *l, enum side side, const struct unique *x)
{
    for (size_t k = 0; k < l->nkey; k++) {
        size_t i = 0;
        while (i < x->nparts &&
               (x->parts[i].column != l->fields[l->key[k]].column[side] || x->parts[i].prefix > 0))
            i++;
        if (i == x->nparts)
            return false;
    }
    return true;
}

/* The part of x that this column of the other side is mapped to, if it keeps apart at least what the other does. */
static bool keeps_apart(const struct uniques *u, enum side side, const struct unique *x,
                        const struct part *other)
{
    const struct field *f = other->column != NULL ? field_of(u->link, side_peer(side), other->column) : NULL;
    if (f == NULL || f->keys != NULL)
        return false;
    for (size_t i = 0; i < x->nparts; i++) {
        const struct part *mine = &x->parts[i];
        const char *a = f->column[SIDE_LEFT]->collation, *b = f->column[SIDE_RIGHT]->collation;
        if (mine->column == f->column[side])
            return (a == NULL || b == NULL || strcmp(a, b) == 0) &&
                   (mine->prefix == 0 || (other->prefix > 0 && other->prefix <= mine->prefix));
    }
    return false;
}

/* Does the other side have an index that lets no two rows come which this one would refuse? */
static bool is_kept_by_peer(const struct uniques *u, enum side side, const struct unique *x)
{
    enum side peer = side_peer(side);
    for (size_t i = 0; i < u->count[peer]; i++) {
        const struct unique *y = &u->list[peer][i];
        size_t k = 0;
        while (k < y->nparts && keeps_apart(u, side, x, &y->parts[k]))
            k++;
        if (k == y->nparts)
            return true;
    }
    return false;
}

static void judge_unique(struct preflight *p, const struct uniques *u, enum side side, const struct unique *x)
{
    const struct table *t = u->link->table[side];
    struct buf names = BUF_INIT;
    size_t mapped = 0;
    bool sealed = false, fine = has_key(u->link, side, x);
    for (size_t i = 0; i < x->nparts; i++) {
        const struct column *c = x->parts[i].column;
        const struct field *f = c != NULL ? field_of(u->link, side, c) : NULL;
        buf_addf(&names, "%s%s", i > 0 ? ", " : "", c != NULL ? c->name : "an expression");
        mapped += f != NULL;
        sealed = sealed || (f != NULL && f->keys != NULL);
        fine = fine || c == NULL || (f == NULL && u->fillers[side][c->ordinal].differs);
    }
    if (!fine && mapped == 0) {
        struct buf mend = BUF_INIT;
        buf_addf(&mend, "map one of them in columns, or let each be NULL by default: ALTER TABLE ");
        preflight_add_object(&mend, t->db, t->name);
        buf_adds(&mend, " MODIFY ... NULL DEFAULT NULL;");
        preflight_say(
            p, CHECK_FAIL, u->link->name, mend.data,
            "%s.%s: UNIQUE %s (%s) is not mapped and has one default for all: of the rows that come from the "
            "other side only the first could be inserted",
            t->db, t->name, x->name, names.data);
        buf_done(&mend);
    } else if (!fine && !is_kept_by_peer(u, side, x)) {
        /* Sealed texts cannot be kept apart by any index: that is known, and nothing mends it. */
        preflight_say(
            p, sealed ? CHECK_OK : CHECK_WARN, u->link->name,
            sealed ? NULL
                   : "a UNIQUE index over the same columns, with the same collation, on the other side",
            "%s.%s: UNIQUE %s (%s) has no like on the other side: a value that is taken would be quarantined",
            t->db, t->name, x->name, names.data);
    }
    buf_done(&names);
}

/* ---- Numbering ---- */

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Two numberings have a number in common when a common divisor of their steps goes into the distance of their starts. */
static bool may_meet(const struct preflight_server *a, const struct preflight_server *b)
{
    uint64_t step_a = preflight_number(a, "auto_increment_increment"),
             step_b = preflight_number(b, "auto_increment_increment"),
             start_a = preflight_number(a, "auto_increment_offset"),
             start_b = preflight_number(b, "auto_increment_offset");
    uint64_t common = divisor(step_a, step_b);
    return common == 0 || (start_a > start_b ? start_a - start_b : start_b - start_a) % common == 0;
}

static void check_numbering(struct preflight *p, const struct uniques *u)
{
    const struct link *l = u->link;
    for (size_t k = 0; k < l->nkey; k++) {
        const struct field *f = &l->fields[l->key[k]];
        if (!u->fillers[SIDE_LEFT][f->column[SIDE_LEFT]->ordinal].auto_increment ||
            !u->fillers[SIDE_RIGHT][f->column[SIDE_RIGHT]->ordinal].auto_increment)
            continue;
        if (may_meet(u->server[SIDE_LEFT], u->server[SIDE_RIGHT]))
            preflight_say(p, CHECK_WARN, l->name,
                          "on the left SET GLOBAL auto_increment_increment = 2, auto_increment_offset = 1; "
                          "on the right "
                          "the same with auto_increment_offset = 2; and both in the servers' configs",
                          "both sides number %s by themselves (AUTO_INCREMENT) and may give two new rows one "
                          "number: they "
                          "would be taken for one row, and one of them be overwritten",
                          f->column[SIDE_LEFT]->name);
    }
}

void preflight_check_unique(struct preflight *p, const struct config_link *c, const struct link *link)
{
    struct uniques u = {.link = link};
    bool ok = true;
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        u.server[s] = preflight_find(p, c->side[s].server);
        ok = ok && load_fillers(p, &u, s) && load_uniques(p, &u, s);
    }
    for (enum side s = SIDE_LEFT; ok && s <= SIDE_RIGHT; s++)
        for (size_t i = 0; i < u.count[s]; i++)
            judge_unique(p, &u, s, &u.list[s][i]);
    if (ok)
        check_numbering(p, &u);
    uniques_done(&u);
}
