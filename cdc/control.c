/*
 * control.c - sql/control_tables.sql is the one place that says what the control
 * tables look like; it is built into the binary and read here line by line:
 *
 *   CREATE TABLE IF NOT EXISTS name (
 *     column TYPE ...,
 *     PRIMARY KEY (...)
 *   ) ENGINE = InnoDB;
 *
 * A table that is not there is made as it stands. One that a former version
 * made gets the columns that came since, its ENUMs the labels, and its numbers the room of a DECIMAL. Nothing is ever
 * dropped.
 */
#include "cdc/control.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "sql_embedded.h"

static const char CREATE[] = "CREATE TABLE IF NOT EXISTS ";
enum { MAX_NAME = 64 };

/* ---- Reading the text ---- */

struct line {
    const char *text; /* borrowed, not terminated */
    size_t len;
};

static bool next_line(const char **p, struct line *ret_line)
{
    if (**p == '\0')
        return false;
    const char *end = strchrnul(*p, '\n');
    *ret_line = (struct line){*p, (size_t)(end - *p)};
    *p = *end == '\n' ? end + 1 : end;
    return true;
}

static void copy_word(const char *p, char out[MAX_NAME + 1])
{
    size_t len = 0;
    while (len < MAX_NAME && (isalnum((unsigned char)p[len]) || p[len] == '_'))
        len++;
    memcpy(out, p, len);
    out[len] = '\0';
}

static bool is_create(const struct line *l)
{
    return l->len > sizeof(CREATE) && strncmp(l->text, CREATE, sizeof(CREATE) - 1) == 0;
}

/* "  name TYPE ..."; keys are in capitals. */
static bool is_column(const struct line *l)
{
    return l->len > 3 && l->text[0] == ' ' && l->text[1] == ' ' && islower((unsigned char)l->text[2]);
}

bool control_table(size_t i, char *ret_table, char *ret_column, size_t size)
{
    const char *p = sql_control_tables;
    struct line l;
    char word[MAX_NAME + 1];
    for (bool found = false; next_line(&p, &l);) {
        if (is_create(&l) && i-- == 0) {
            copy_word(l.text + sizeof(CREATE) - 1, word);
            snprintf(ret_table, size, "%s", word);
            found = true;
        } else if (found && is_column(&l)) {
            copy_word(l.text + 2, word);
            snprintf(ret_column, size, "%s", word);
            return true;
        }
    }
    return false;
}

/* ---- What is there ---- */

/* "table.column\ntype\n" for each column in the state database, in lower case, after a "\n". */
static bool load_columns(struct dbconn *server, const char *state_database, struct buf *out,
                         bool *ret_database, struct err *err)
{
    struct buf sql = BUF_INIT;
    struct db_result *r = NULL;
    buf_adds(&sql, "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ");
    db_quote_text(&sql, state_database, strlen(state_database));
    bool ok = dbconn_query(server, sql.data, sql.len, 0, &r, err);
    if (ok) {
        *ret_database = db_result_rows(r) > 0;
        db_result_free(r);
        buf_clear(&sql);
        buf_adds(&sql, "SELECT LOWER(CONCAT(TABLE_NAME, '.', COLUMN_NAME)), COLUMN_TYPE "
                       "FROM information_schema.COLUMNS "
                       "WHERE TABLE_SCHEMA = ");
        db_quote_text(&sql, state_database, strlen(state_database));
        ok = dbconn_query(server, sql.data, sql.len, 0, &r, err);
    }
    if (ok) {
        buf_addc(out, '\n');
        while (db_result_next(r))
            buf_addf(out, "%s\n%s\n", db_result_get(r, 0, NULL), db_result_get(r, 1, NULL));
        db_result_free(r);
    }
    buf_done(&sql);
    return ok;
}

static bool has_column(const struct buf *columns, const char *table, const char *column)
{
    char wanted[2 * MAX_NAME + 4];
    snprintf(wanted, sizeof(wanted), "\n%s.%s%s", table, column, *column != '\0' ? "\n" : "");
    return strstr(columns->data, wanted) != NULL;
}

/* "name ENUM('a', 'b') ...": are these the labels of the column that is there? */
static bool has_labels(const struct buf *columns, const char *table, const char *column, const struct line *l)
{
    char name[2 * MAX_NAME + 4];
    const char *is = memmem(l->text, l->len, " ENUM(", 6), *was;
    if (is == NULL)
        return true;
    snprintf(name, sizeof(name), "\n%s.%s\nenum(", table, column);
    was = strstr(columns->data, name);
    if (was == NULL) /* something else there: nothing that a former version made */
        return true;
    was += strlen(name);
    /* information_schema has no blanks between them, and no label of ours has one. */
    for (is += 6; *is != ')'; is++)
        if (*is != ' ' && *is != *was++)
            return false;
    return *was == ')';
}

/* "name DECIMAL(20,0) ...": has the column that is there this room? */
static bool has_room(const struct buf *columns, const char *table, const char *column, const struct line *l)
{
    char name[2 * MAX_NAME + 16];
    if (memmem(l->text, l->len, " DECIMAL(", 9) == NULL)
        return true;
    snprintf(name, sizeof(name), "\n%s.%s\nbigint", table, column);
    return strstr(columns->data, name) == NULL;
}

/* ---- The plan ---- */

/* Takes what is in sql. */
static void add_step(struct control_plan *p, struct buf *sql, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void add_step(struct control_plan *p, struct buf *sql, const char *fmt, ...)
{
    struct buf what = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&what, fmt, ap);
    va_end(ap);
    p->steps = mem_realloc(p->steps, (p->nsteps + 1) * sizeof(*p->steps));
    p->steps[p->nsteps++] = (struct control_step){what.data, sql->data};
    *sql = (struct buf)BUF_INIT;
}

static void add_database(struct control_plan *p, const char *db)
{
    struct buf sql = BUF_INIT;
    buf_adds(&sql, "CREATE DATABASE IF NOT EXISTS ");
    db_quote_name(&sql, db);
    add_step(p, &sql, "database %s", db);
}

/* The statement from its first line on, up to the semicolon. */
static void add_table(struct control_plan *p, const char *db, const char *table, const char *start)
{
    struct buf sql = BUF_INIT;
    const char *rest = start + sizeof(CREATE) - 1 + strlen(table), *end = strstr(rest, ";\n");
    buf_adds(&sql, CREATE);
    db_quote_name(&sql, db);
    buf_addc(&sql, '.');
    db_quote_name(&sql, table);
    buf_add(&sql, rest, end != NULL ? (size_t)(end - rest) : strlen(rest));
    add_step(p, &sql, "table %s.%s", db, table);
}

/* verb: ADD or MODIFY. */
static void add_column(struct control_plan *p, const char *db, const char *table, const char *column,
                       const char *verb, const struct line *l)
{
    struct buf sql = BUF_INIT;
    size_t len = l->len - 2;
    while (len > 0 && (l->text[2 + len - 1] == ',' || isspace((unsigned char)l->text[2 + len - 1])))
        len--;
    buf_adds(&sql, "ALTER TABLE ");
    db_quote_name(&sql, db);
    buf_addc(&sql, '.');
    db_quote_name(&sql, table);
    buf_addf(&sql, " %s COLUMN ", verb);
    buf_add(&sql, l->text + 2, len);
    add_step(p, &sql, "column %s.%s.%s", db, table, column);
}

bool control_plan_make(struct dbconn *server, const char *state_database, struct control_plan *ret_plan,
                       struct err *err)
{
    struct control_plan plan = {0};
    struct buf columns = BUF_INIT;
    bool database, created = false;
    char table[MAX_NAME + 1] = "", column[MAX_NAME + 1];
    const char *p = sql_control_tables;
    struct line l;
    if (!load_columns(server, state_database, &columns, &database, err)) {
        buf_done(&columns);
        return err_prefix(err, "read the control tables of server %s", dbconn_name(server));
    }
    if (!database)
        add_database(&plan, state_database);
    while (next_line(&p, &l)) {
        if (is_create(&l)) {
            copy_word(l.text + sizeof(CREATE) - 1, table);
            created = !has_column(&columns, table, "");
            if (created)
                add_table(&plan, state_database, table, l.text);
        } else if (is_column(&l) && !created) {
            copy_word(l.text + 2, column);
            if (!has_column(&columns, table, column))
                add_column(&plan, state_database, table, column, "ADD", &l);
            else if (!has_labels(&columns, table, column, &l) || !has_room(&columns, table, column, &l))
                add_column(&plan, state_database, table, column, "MODIFY", &l);
        }
    }
    buf_done(&columns);
    *ret_plan = plan;
    return true;
}

void control_plan_done(struct control_plan *p)
{
    for (size_t i = 0; i < p->nsteps; i++) {
        free(p->steps[i].what);
        free(p->steps[i].sql);
    }
    free(p->steps);
    *p = (struct control_plan){0};
}

void control_print(const char *state_database, struct buf *out)
{
    buf_adds(out, "CREATE DATABASE IF NOT EXISTS ");
    db_quote_name(out, state_database);
    buf_adds(out, ";\nUSE ");
    db_quote_name(out, state_database);
    buf_addf(out, ";\n\n%s", sql_control_tables);
}
