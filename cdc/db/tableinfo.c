#include "cdc/db/tableinfo.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

/* ---- Columns ---- */

static const struct {
    const char *data_type;
    enum column_kind kind;
    unsigned length; /* bytes of an INT; else 0 */
} TYPES[] = {
    {"tinyint", COL_INT, 1},
    {"smallint", COL_INT, 2},
    {"mediumint", COL_INT, 3},
    {"int", COL_INT, 4},
    {"bigint", COL_INT, 8},
    {"decimal", COL_DECIMAL, 0},
    {"float", COL_FLOAT, 0},
    {"double", COL_DOUBLE, 0},
    {"bit", COL_BIT, 0},
    {"year", COL_YEAR, 0},
    {"date", COL_DATE, 0},
    {"time", COL_TIME, 0},
    {"datetime", COL_DATETIME, 0},
    {"timestamp", COL_TIMESTAMP, 0},
    {"char", COL_TEXT, 0},
    {"varchar", COL_TEXT, 0},
    {"tinytext", COL_TEXT, 0},
    {"text", COL_TEXT, 0},
    {"mediumtext", COL_TEXT, 0},
    {"longtext", COL_TEXT, 0},
    {"binary", COL_BINARY, 0},
    {"varbinary", COL_BINARY, 0},
    {"tinyblob", COL_BINARY, 0},
    {"blob", COL_BINARY, 0},
    {"mediumblob", COL_BINARY, 0},
    {"longblob", COL_BINARY, 0},
    {"enum", COL_ENUM, 0},
    {"set", COL_SET, 0},
    {"json", COL_JSON, 0},
    {"geometry", COL_GEOMETRY, 0},
    {"point", COL_GEOMETRY, 0},
    {"linestring", COL_GEOMETRY, 0},
    {"polygon", COL_GEOMETRY, 0},
    {"multipoint", COL_GEOMETRY, 0},
    {"multilinestring", COL_GEOMETRY, 0},
    {"multipolygon", COL_GEOMETRY, 0},
    {"geometrycollection", COL_GEOMETRY, 0},
    {"geomcollection", COL_GEOMETRY, 0},
    {"uuid", COL_UUID, 0},
    {"inet4", COL_INET4, 0},
    {"inet6", COL_INET6, 0},
    {"vector", COL_VECTOR, 0},
};

enum { ER_DENIED = 1227 };

/* The columns of COLUMNS_SELECT, in its order. */
enum {
    C_SCHEMA,
    C_TABLE,
    C_NAME,
    C_ORDINAL,
    C_DEFAULT,
    C_NULLABLE,
    C_DATA_TYPE,
    C_CHARACTERS,
    C_BYTES,
    C_PRECISION,
    C_SCALE,
    C_FRACTION,
    C_CHARSET,
    C_COLLATION,
    C_COLUMN_TYPE,
    C_EXTRA,
};

static const char COLUMNS_SELECT[] =
    "SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, ORDINAL_POSITION, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE,"
    " CHARACTER_MAXIMUM_LENGTH, CHARACTER_OCTET_LENGTH, NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION,"
    " CHARACTER_SET_NAME, COLLATION_NAME, COLUMN_TYPE, EXTRA FROM information_schema.COLUMNS";

static uint64_t number_of(const struct db_result *r, size_t column)
{
    return strtoull(db_result_text(r, column), NULL, 10);
}

static char *copy_of(const struct db_result *r, size_t column)
{
    const char *text = db_result_get(r, column, NULL);

    return text != NULL ? mem_strdup(text) : NULL;
}

static void set_kind(struct column *c, const char *data_type, const struct db_result *r)
{
    c->kind = COL_OTHER;
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strcmp(TYPES[i].data_type, data_type) == 0) {
            c->kind = TYPES[i].kind;
            c->length = TYPES[i].length;
        }
    c->large_text = c->kind == COL_TEXT && strstr(data_type, "text") != NULL;
    if (c->kind == COL_TEXT && !c->large_text)
        c->length = number_of(r, C_CHARACTERS);
    else if (c->kind == COL_TEXT || c->kind == COL_BINARY || c->kind == COL_VECTOR)
        c->length = number_of(r, C_BYTES);
    else if (c->kind == COL_BIT)
        c->length = number_of(r, C_PRECISION);
    bool is_float = c->kind == COL_FLOAT || c->kind == COL_DOUBLE;

    if (c->kind == COL_DECIMAL || (is_float && db_result_get(r, C_SCALE, NULL) != NULL)) {
        c->precision = (unsigned)number_of(r, C_PRECISION);
        c->scale = (unsigned)number_of(r, C_SCALE);
    } else if (c->kind == COL_TIME || c->kind == COL_DATETIME || c->kind == COL_TIMESTAMP) {
        c->precision = (unsigned)number_of(r, C_FRACTION);
    }
    c->fixed_length = strcmp(data_type, "char") == 0 || strcmp(data_type, "binary") == 0;
}

/* Of a set that cannot be converted the link says so, if it maps the column. */
static void find_charset(struct column *c)
{
    if (c->kind != COL_TEXT || !charset_new(c->charset, &c->convert, NULL))
        return;
    if (charset_is_utf8(c->convert)) {
        charset_free(c->convert);
        c->convert = NULL;
    }
}

static bool read_column(struct column *c, const struct db_result *r, struct err *err)
{
    const char *extra = db_result_text(r, C_EXTRA);

    c->name = mem_strdup(db_result_text(r, C_NAME));
    c->type_text = mem_strdup(db_result_text(r, C_COLUMN_TYPE));
    set_kind(c, db_result_text(r, C_DATA_TYPE), r);
    c->ordinal = number_of(r, C_ORDINAL) - 1;
    c->is_unsigned = strstr(c->type_text, " unsigned") != NULL;
    c->nullable = strcmp(db_result_text(r, C_NULLABLE), "YES") == 0;
    /* MySQL says DEFAULT_GENERATED of a column whose default is an expression. */
    c->generated = strstr(extra, "VIRTUAL GENERATED") != NULL || strstr(extra, "STORED GENERATED") != NULL;
    c->has_default = c->nullable || c->generated || db_result_get(r, C_DEFAULT, NULL) != NULL ||
                     strstr(extra, "auto_increment") != NULL;
    c->charset = copy_of(r, C_CHARSET);
    c->collation = copy_of(r, C_COLLATION);
    find_charset(c);
    if (c->kind == COL_ENUM || c->kind == COL_SET)
        return column_parse_labels(c, c->type_text, err);
    return true;
}

static void where_table(struct buf *sql, const char *db, const char *name)
{
    buf_adds(sql, " WHERE TABLE_SCHEMA = ");
    db_quote_text(sql, db, strlen(db));
    buf_adds(sql, " AND TABLE_NAME = ");
    db_quote_text(sql, name, strlen(name));
}

static bool query_table(struct dbconn *c, const char *select, const char *db, const char *name,
                        const char *order, struct db_result **ret_result, struct err *err)
{
    struct buf sql = BUF_INIT;

    buf_adds(&sql, select);
    where_table(&sql, db, name);
    buf_adds(&sql, order);
    bool ok = dbconn_query(c, sql.data, sql.len, 0, ret_result, err);

    buf_done(&sql);
    return ok;
}

static bool load_columns(struct dbconn *c, struct table *t, const char *db, const char *name, struct err *err)
{
    struct db_result *r = NULL;
    bool ok = true;

    if (!query_table(c, COLUMNS_SELECT, db, name, " ORDER BY ORDINAL_POSITION", &r, err))
        return false;
    t->columns = mem_zalloc(db_result_rows(r) + 1, sizeof *t->columns);
    while (ok && db_result_next(r)) {
        if (t->ncolumns == 0) {
            t->db = mem_strdup(db_result_text(r, C_SCHEMA));
            t->name = mem_strdup(db_result_text(r, C_TABLE));
        }
        struct column *column = &t->columns[t->ncolumns++];

        ok = read_column(column, r, err);
        /* With privileges on some columns only, the others are not listed. */
        if (ok && column->ordinal != t->ncolumns - 1)
            ok = err_set(
                err, ERR_CONFIG, 0,
                "not all columns of %s.%s are visible; mend with: GRANT SELECT ON %s.%s TO the account", db,
                name, db, name);
    }
    db_result_free(r);
    if (ok && t->ncolumns == 0)
        return err_set(err, ERR_CONFIG, 0,
                       "table %s.%s does not exist on server %s, or its account has no privilege on it", db,
                       name, dbconn_name(c));
    return ok;
}

/* ---- Indexes ---- */

enum { S_INDEX, S_COLUMN, S_SUB_PART, S_TYPE };

static const char STATISTICS_SELECT[] =
    "SELECT INDEX_NAME, COLUMN_NAME, SUB_PART, INDEX_TYPE FROM information_schema.STATISTICS";
static const char STATISTICS_ORDER[] =
    " AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX";

/* Does this part let an index be a key: whole values of a column that is never NULL, in
 * an ordered index, the only kind whose gaps can be locked? */
static bool part_is_usable(const struct table *t, const struct db_result *r, const struct column **ret_column)
{
    const char *name = db_result_get(r, S_COLUMN, NULL); /* NULL: an expression (MySQL) */

    *ret_column = name != NULL ? table_column(t, name) : NULL;
    return *ret_column != NULL && !(*ret_column)->nullable && db_result_get(r, S_SUB_PART, NULL) == NULL &&
           strcmp(db_result_text(r, S_TYPE), "BTREE") == 0;
}

static void mark_unique(struct table *t, const struct db_result *r)
{
    const char *name = db_result_get(r, S_COLUMN, NULL);
    const struct column *column = name != NULL ? table_column(t, name) : NULL;

    if (column != NULL)
        t->columns[column->ordinal].in_unique = true;
}

static void drop_key(struct table *t)
{
    struct table_key *k = &t->keys[--t->nkeys];

    free(k->name);
    free(k->columns);
    *k = (struct table_key){NULL, NULL, 0};
}

static bool load_keys(struct dbconn *c, struct table *t, struct err *err)
{
    struct db_result *r = NULL;
    char *current = NULL; /* index of the row before */
    bool usable = true;

    if (!query_table(c, STATISTICS_SELECT, t->db, t->name, STATISTICS_ORDER, &r, err))
        return false;
    t->keys = mem_zalloc(db_result_rows(r) + 1, sizeof *t->keys);
    while (db_result_next(r)) {
        const char *index = db_result_text(r, S_INDEX);
        const struct column *column;

        if (current == NULL || strcmp(current, index) != 0) {
            free(current);
            current = mem_strdup(index);
            t->keys[t->nkeys++].name = mem_strdup(index);
            usable = true;
        }
        mark_unique(t, r);
        if (!usable)
            continue;
        usable = part_is_usable(t, r, &column);
        if (!usable) {
            drop_key(t);
            continue;
        }
        struct table_key *k = &t->keys[t->nkeys - 1];

        k->columns = mem_realloc(k->columns, (k->ncolumns + 1) * sizeof *k->columns);
        k->columns[k->ncolumns++] = column->ordinal;
    }
    free(current);
    db_result_free(r);
    return true;
}

bool tableinfo_load(struct dbconn *c, const char *db, const char *name, struct table **ret_table,
                    struct err *err)
{
    struct table *t = mem_zalloc(1, sizeof *t);

    if (!load_columns(c, t, db, name, err) || !load_keys(c, t, err)) {
        table_free(t);
        return err_prefix(err, "read the definition of %s.%s", db, name);
    }
    *ret_table = t;
    return true;
}

/* ---- Position ---- */

static bool load_one(struct dbconn *c, const char *sql, struct db_result **ret_result, struct err *err)
{
    if (!dbconn_query(c, sql, strlen(sql), 0, ret_result, err))
        return false;
    if (db_result_next(*ret_result))
        return true;
    db_result_free(*ret_result);
    return err_set(err, ERR_RETRY, 0, "the server does not answer %s", sql);
}

static bool is_on(const struct db_result *r, size_t column)
{
    return strcmp(db_result_text(r, column), "1") == 0 || strcmp(db_result_text(r, column), "ON") == 0;
}

static bool no_binlog(struct err *err)
{
    return err_set(err, ERR_CONFIG, 0,
                   "the binary log is off; mend with: log_bin = bin in the server's config");
}

static void take_file(struct db_result *r, struct pos *pos)
{
    size_t len;
    const char *file = db_result_next(r) ? db_result_get(r, 0, &len) : NULL;

    if (file != NULL && len > 0)
        pos_set_file(pos, file, len, number_of(r, 1));
}

/* *ret_denied: the account may not see it. MySQL has it under another name since 8.2, and the old one until 8.4. */
static bool load_file(struct dbconn *c, struct pos *pos, bool *ret_denied, struct err *err)
{
    static const char *const SQL[] = {"SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"};
    enum { SYNTAX = 1064 };
    struct db_result *r = NULL;
    struct err why = ERR_INIT;
    bool ok = false;

    *ret_denied = false;
    for (size_t i = dbconn_kind(c) == DB_MYSQL; !ok; i--) {
        ok = dbconn_query(c, SQL[i], strlen(SQL[i]), 0, &r, &why);
        if (!ok && (why.code != SYNTAX || i == 0))
            break;
    }
    if (!ok) {
        *ret_denied = why.code == ER_DENIED;
        if (*ret_denied)
            return true;
        if (err != NULL)
            *err = why;
        return false;
    }
    take_file(r, pos);
    db_result_free(r);
    return true;
}

#define MARIADB_GTIDS "SELECT @@log_bin, @@gtid_binlog_pos, @@server_id"

static bool take_mariadb_gtids(const struct db_result *r, struct pos *pos, struct err *err)
{
    pos_set_server(pos, db_result_text(r, 2));
    return is_on(r, 0) ? pos_parse_gtids(pos, db_result_text(r, 1), err) : no_binlog(err);
}

static bool load_mariadb_gtids(struct dbconn *c, struct pos *pos, struct err *err)
{
    struct db_result *r;

    if (!load_one(c, MARIADB_GTIDS, &r, err))
        return false;
    bool ok = take_mariadb_gtids(r, pos, err);

    db_result_free(r);
    return ok;
}

/* GTIDs and file of one moment: nothing was written between the two looks at the GTIDs. On a server that always
 * writes, and where the account may not see the file, it is a position without one. */
static bool mariadb_position(struct dbconn *c, struct pos *pos, struct err *err)
{
    enum { TRIES = 5 };
    bool denied = false, same = false;

    if (!load_mariadb_gtids(c, pos, err))
        return false;
    for (int i = 0; i < TRIES && !same && !denied; i++) {
        struct pos after = POS_INIT;

        /* The file first: it counts alone while there are no GTIDs, and must not lie behind a first
         * transaction that the list did not have yet. */
        if (!load_file(c, pos, &denied, err) || !load_mariadb_gtids(c, &after, err)) {
            pos_done(&after);
            return false;
        }
        struct pos before = *pos;

        before.file = NULL; /* GTIDs alone are compared */
        same = pos_has_gtids(&before) == pos_has_gtids(&after) && pos_equal(&before, &after);
        if (!same) {
            free(pos->file);
            pos->file = NULL;
            pos_move(pos, &after);
        }
        pos_done(&after);
    }
    return true;
}

static bool is_gtid_mode(const struct db_result *r, size_t column)
{
    return strcmp(db_result_text(r, column), "ON") == 0;
}

/* To wait for: whatever can be seen stands before the GTIDs, and before the file's end, which is asked for behind
 * them. They need not be of one moment. A resync asks often, so both are one packet. */
static bool mariadb_log_end(struct dbconn *c, struct pos *pos, struct err *err)
{
    static const char SQL[] = MARIADB_GTIDS ";SHOW MASTER STATUS";
    struct db_result *r[2];
    struct err why = ERR_INIT;
    bool ok = dbconn_query_all(c, SQL, sizeof SQL - 1, r, 2, &why) ||
              (why.code == ER_DENIED && why.index == 1);

    if (!ok && err != NULL)
        *err = why;
    if (ok && !db_result_next(r[0]))
        ok = err_set(err, ERR_RETRY, 0, "the server does not answer %s", MARIADB_GTIDS);
    ok = ok && take_mariadb_gtids(r[0], pos, err);
    if (ok)
        take_file(r[1], pos);
    db_result_free(r[0]);
    db_result_free(r[1]);
    return ok;
}

/* A GTID becomes executed a moment after its rows are seen, so the set may lack what the file has, never the other
 * way: it is asked for first. */
static bool mysql_position(struct dbconn *c, bool with_gtids, struct pos *pos, struct err *err)
{
    struct db_result *r;
    bool denied;

    if (!load_one(c, "SELECT @@log_bin, @@server_uuid, @@gtid_mode, @@gtid_executed", &r, err))
        return false;
    bool gtids = is_gtid_mode(r, 2);
    bool ok = is_on(r, 0) ? true : no_binlog(err);

    if (ok && gtids && with_gtids)
        ok = pos_parse_gtids(pos, db_result_text(r, 3), err);
    pos_set_server(pos, db_result_text(r, 1));
    db_result_free(r);
    ok = ok && load_file(c, pos, &denied, err);
    if (ok && denied)
        ok = err_set(
            err, ERR_CONFIG, 0,
            "the account may not see where the binary log ends; mend with: GRANT REPLICATION CLIENT ON *.* TO"
            " the account");
    return ok;
}

static bool load_position(struct dbconn *c, bool to_begin, struct pos *ret_pos, struct err *err)
{
    struct pos pos = POS_INIT;
    bool ok = dbconn_kind(c) == DB_MYSQL ? mysql_position(c, to_begin, &pos, err)
              : to_begin                 ? mariadb_position(c, &pos, err)
                                         : mariadb_log_end(c, &pos, err);

    if (!ok) {
        pos_done(&pos);
        return err_prefix(err, "read the binlog position of server %s", dbconn_name(c));
    }
    *ret_pos = pos;
    return true;
}

bool tableinfo_position(struct dbconn *c, struct pos *ret_pos, struct err *err)
{
    return load_position(c, true, ret_pos, err);
}

bool tableinfo_log_end(struct dbconn *c, struct pos *ret_pos, struct err *err)
{
    return load_position(c, false, ret_pos, err);
}
