/*
 * sqlgen.c - statements as text.
 *
 * Literals follow the column's kind on the side that is written, so that a
 * server converts nothing on the way: numbers bare, their characters checked;
 * text, dates and labels quoted; bytes in hex. Text of a column that is not UTF-8 comes and goes as
 * the bytes of its character set, which charset.h knows in both directions; a server would read and write some
 * characters in another way than the row images are read, or as a '?'. FLOAT and DOUBLE get an exponent,
 * which makes the literal a double and not a DECIMAL: only so does it meet the
 * same bits again in a WHERE.
 *
 * A locking read names the UNIQUE index it is to use. Were it left to the
 * optimizer, a small table would be scanned, and every row and gap of it
 * locked. For the same reason lists must stay below 1000 keys (MariaDB turns
 * longer ones into a join with a derived table, and scans).
 *
 * Many rows in one statement, by the same rule that no row or gap is locked but those of the keys, as
 * seen from a second connection on tables of eight rows (MariaDB 10.11 and 11.8, MySQL 9.7), and by what a row costs the
 * server (microseconds of CPU at 200 rows a statement; one by one 75, 118 and 150, that is MariaDB 10.11, 11.8, MySQL):
 *
 *   UPDATE t FORCE INDEX (k) SET c=ELT(FIELD(id,1,2),'a','b') WHERE id IN (1,2)     13, 15, 30    this is it
 *   UPDATE JSON_TABLE(...) v STRAIGHT_JOIN t FORCE INDEX (k) ON t.id=v.a SET ...    17, 23, 33
 *   the same with CASE id WHEN 1 THEN ...                                           25, 25, 40
 *   the same with (VALUES ...) or (SELECT ... UNION ALL ...) in front of the table  33-45, 20-48, 45-85
 *
 * It is an UPDATE of one table that goes over a range of the index as the locking read does, row by row in the order of the
 * index; nothing is kept in a temporary table, so no length and no type of one gets in between. Each value is the text that would be
 * assigned to the column alone: a number in quotes too, for ELT() returns text and would print a DOUBLE with as
 * many digits as its literal has. BIT and YEAR take text for something else, hence the CAST. FIELD() compares numbers as numbers,
 * all else by its bytes. A UNIQUE value is checked at each row, so rows that exchange one are refused, as a whole.
 *
 * DELETE heeds no hint on MariaDB 10.11: given a list it scans a small table, or goes by another index that begins with
 * the key, sql_safe_updates or not; "DELETE t FROM t FORCE INDEX" scans as well, and on MySQL too. What holds is an
 * equality with the rows of a derived table in front (eq_ref), and on MySQL the hint INDEX() in a comment. 20 and 35 us a row
 * at 200 rows, one by one 85 and 125.
 *
 * What is never written: REPLACE and ON DUPLICATE KEY UPDATE on a tracked table.
 * With a second UNIQUE key they hit another row.
 */
#include "appliers/sqlgen.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/mem.h"
#include "cdc/db/dbconn.h"

enum { ER_BAD_NULL = 1048, ER_DATA_TOO_LONG = 1406 };

static bool is_sealed(const struct field *f, enum side side)
{
    return f->keys != NULL && f->sealed_side == side;
}

/* ---- Literals ---- */

static const char *skip_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p;
}

/* -?[0-9]+(\.[0-9]+)? and, where it may have one, (e[+-]?[0-9]+)? */
static bool is_number(const char *p, size_t len, bool has_exponent)
{
    const char *end = p + len, *start;

    if (p < end && *p == '-')
        p++;
    start = p;
    p = skip_digits(p, end);
    if (p == start)
        return false;
    if (p < end && *p == '.') {
        start = ++p;
        p = skip_digits(p, end);
        if (p == start)
            return false;
    }
    if (has_exponent && p < end && *p == 'e') {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        start = p;
        p = skip_digits(p, end);
        if (p == start)
            return false;
    }
    return p == end;
}

static bool is_double(const struct column *c) { return c->kind == COL_FLOAT || c->kind == COL_DOUBLE; }

static bool check_number(const struct column *c, const struct value *v, struct err *err)
{
    return (v->len > 0 && is_number(v->data, v->len, is_double(c))) ||
           err_set(err, ERR_ROW, 0, "the value for column %s is not a number", c->name);
}

static bool add_number(const struct column *c, const struct value *v, struct buf *out, struct err *err)
{
    if (!check_number(c, v, err))
        return false;
    buf_add(out, v->data, v->len);
    if (is_double(c) && memchr(v->data, 'e', v->len) == NULL)
        buf_adds(out, "e0");
    return true;
}

/* As the bytes of the column's own character set. */
static bool convert(const struct column *c, const struct value *v, struct buf *bytes, struct err *err)
{
    return charset_from_utf8(c->convert, v->data, v->len, bytes) ||
           err_set(err, ERR_ROW, 0, "character set %s of column %s lacks a character of the value",
                   c->charset, c->name);
}

/* "_latin1 x'e9'" */
static bool add_converted(const struct column *c, const struct value *v, struct buf *out, struct err *err)
{
    struct buf bytes = BUF_INIT;
    bool ok = convert(c, v, &bytes, err);

    if (ok && c->large_text && c->length > 0 && bytes.len > c->length)
        ok = err_set(err, ERR_ROW, ER_DATA_TOO_LONG, "the value is longer than column %s", c->name);
    if (ok) {
        buf_addf(out, "_%s", c->charset);
        db_quote_coded(out, bytes.data != NULL ? bytes.data : "", bytes.len);
    }
    buf_done(&bytes);
    return ok;
}

static bool add_by_kind(const struct column *c, const struct value *v, struct buf *out, struct err *err)
{
    switch (c->kind) {
    case COL_INT:
    case COL_DECIMAL:
    case COL_FLOAT:
    case COL_DOUBLE:
    case COL_BIT:
    case COL_YEAR: return add_number(c, v, out, err);
    case COL_BINARY:
    case COL_VECTOR:
    case COL_GEOMETRY: db_quote_bytes(out, v->data, v->len); return true;
    case COL_TEXT:
        if (c->convert != NULL)
            return add_converted(c, v, out, err);
        db_quote_text(out, v->data, v->len);
        return true;
    case COL_DATE:
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
    case COL_ENUM:
    case COL_SET:
    case COL_UUID:
    case COL_INET4:
    case COL_INET6:
    case COL_JSON: db_quote_text(out, v->data, v->len); return true;
    case COL_OTHER: break;
    }
    return err_set(err, ERR_CONFIG, 0, "column %s is of type %s, which cannot be mapped", c->name,
                   c->type_text);
}

static bool add_sealed(const struct field *f, enum side side, const struct value *v, struct buf *out,
                       struct err *err)
{
    struct buf sealed = BUF_INIT;
    bool ok = cipher_seal(f->keys, f->encoding, v->data, v->len, &sealed, err);

    if (ok) {
        struct value text = {sealed.data, (uint32_t)sealed.len, VALUE_SET};

        ok = add_by_kind(f->column[side], &text, out, err);
    }
    buf_done(&sealed);
    return ok;
}

/* Why a value that is not VALUE_SET cannot be written; v is of the other side. */
static bool unwritable(const struct field *f, const struct column *c, const struct value *v, struct err *err)
{
    if (v->state == VALUE_MISSING)
        return err_set(err, ERR_ROW, 0, "the value for column %s is not known", c->name);
    if (f->keys != NULL)
        return err_set(err, ERR_ROW, 0, "no key opens the value for column %s", c->name);
    return err_set(err, ERR_ROW, 0,
                   "the value for column %s is no text of the character set that it has on the other side",
                   c->name);
}

/* May it be looked for, or stored? */
static bool check_value(const struct field *f, enum side side, const struct value *v, bool stored,
                        struct err *err)
{
    const struct column *c = f->column[side];
    const char *why;

    /* An old TIMESTAMP column would take NULL and put the time of day in its place. */
    if (v->state == VALUE_NULL)
        return c->nullable || err_set(err, ERR_ROW, ER_BAD_NULL, "column %s cannot be NULL", c->name);
    if (v->state != VALUE_SET)
        return unwritable(f, c, v, err);
    if (stored && !is_sealed(f, side) && !column_holds(c, v->data, v->len, &why))
        return err_set(err, ERR_ROW, ER_DATA_TOO_LONG, "column %s cannot hold the value: %s", c->name, why);
    return true;
}

static bool add_literal(const struct field *f, enum side side, const struct value *v, bool stored,
                        struct buf *out, struct err *err)
{
    if (!check_value(f, side, v, stored, err))
        return false;
    if (v->state == VALUE_NULL) {
        buf_adds(out, "NULL");
        return true;
    }
    return is_sealed(f, side) ? add_sealed(f, side, v, out, err) : add_by_kind(f->column[side], v, out, err);
}

bool sqlgen_literal(const struct field *f, enum side side, const struct value *v, struct buf *out,
                    struct err *err)
{
    return add_literal(f, side, v, true, out, err);
}

/* The text that stands behind the bytes of a SELECT; false if they are none. */
static bool to_text(const struct column *c, const char **text, size_t *len, struct arena *arena)
{
    if (c->kind != COL_TEXT || c->convert == NULL)
        return true;
    return charset_to_utf8(c->convert, *text, *len, arena, text, len);
}

void sqlgen_value(const struct field *f, enum side side, const char *text, size_t len, struct arena *arena,
                  struct value *ret_value)
{
    struct buf plain = BUF_INIT;

    if (text == NULL) {
        *ret_value = (struct value){NULL, 0, VALUE_NULL};
        return;
    }
    text = arena_copy(arena, text, len);
    if (!to_text(f->column[side], &text, &len, arena))
        *ret_value = (struct value){text, (uint32_t)len, VALUE_SEALED};
    else if (!is_sealed(f, side))
        column_canonical(f->column[side], text, len, arena, ret_value);
    else if (cipher_open(f->keys, f->encoding, text, len, &plain))
        *ret_value = (struct value){arena_copy(arena, plain.data != NULL ? plain.data : "", plain.len),
                                    (uint32_t)plain.len, VALUE_SET};
    else
        *ret_value = (struct value){text, (uint32_t)len, VALUE_SEALED};
    buf_done(&plain);
    field_canonical(f, side, arena, ret_value);
}

/* ---- Parts of statements ---- */

static void add_table(const struct link *link, enum side side, struct buf *out)
{
    db_quote_name(out, link->table[side]->db);
    buf_addc(out, '.');
    db_quote_name(out, link->table[side]->name);
}

static void add_index_hint(const struct link *link, enum side side, struct buf *out)
{
    assert(link->index[side] != NULL);
    buf_adds(out, " FORCE INDEX (");
    db_quote_name(out, link->index[side]->name);
    buf_addc(out, ')');
}

static void add_column_name(const struct field *f, enum side side, struct buf *out)
{
    db_quote_name(out, f->column[side]->name);
}

/* What is selected must come as the text that column_canonical() expects. */
static void add_select_expr(const struct field *f, enum side side, struct buf *out)
{
    const struct column *c = f->column[side];

    if (c->kind == COL_TEXT && c->convert != NULL) {
        buf_adds(out, "CAST(");
        add_column_name(f, side, out);
        buf_adds(out, " AS BINARY)");
        return;
    }
    add_column_name(f, side, out);
    if (c->kind == COL_BIT)
        buf_adds(out, "+0"); /* bytes otherwise */
    else if (c->kind == COL_FLOAT || c->kind == COL_DOUBLE)
        buf_adds(out, "+0e0"); /* a FLOAT comes with six digits otherwise */
}

/* "k IN (" or "(k1,k2) IN (" */
static void add_key_in(const struct link *link, enum side side, struct buf *out)
{
    if (link->nkey > 1)
        buf_addc(out, '(');
    for (size_t i = 0; i < link->nkey; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_column_name(&link->fields[link->key[i]], side, out);
    }
    buf_adds(out, link->nkey > 1 ? ") IN (" : " IN (");
}

static bool add_key_literal(const struct field *f, enum side side, const struct value *v, struct buf *out,
                            struct err *err)
{
    /* Each sealing gives another text: nothing can be found by it. */
    if (is_sealed(f, side))
        return err_set(err, ERR_CONFIG, 0, "column %s is encrypted and cannot be part of the key",
                       f->column[side]->name);
    return add_literal(f, side, v, false, out, err);
}

/* An element of the list: "1" or "(1,'x')". */
static bool add_key_element(const struct link *link, enum side side, const struct value *row, struct buf *out,
                            struct err *err)
{
    if (link->nkey > 1)
        buf_addc(out, '(');
    for (size_t i = 0; i < link->nkey; i++) {
        if (i > 0)
            buf_addc(out, ',');
        if (!add_key_literal(&link->fields[link->key[i]], side, &row[link->key[i]], out, err))
            return false;
    }
    if (link->nkey > 1)
        buf_addc(out, ')');
    return true;
}

static bool fail_at(struct err *err, size_t index)
{
    if (err != NULL)
        err->index = index;
    return false;
}

/* In the server's words: in UTC, as the session is. */
static void add_now(const struct column *c, struct buf *out)
{
    unsigned digits = c->kind == COL_DATETIME || c->kind == COL_TIMESTAMP ? c->precision : 6;

    buf_addf(out, "UTC_TIMESTAMP(%u)", digits <= 6 ? digits : 6);
}

/* ---- Rows ---- */

static void add_select(const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT ");
    for (size_t i = 0; i < link->nfields; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_select_expr(&link->fields[i], side, out);
    }
    buf_adds(out, " FROM ");
    add_table(link, side, out);
    add_index_hint(link, side, out);
}

static bool not_a_key(const struct link *link, struct err *err)
{
    return err_set(err, ERR_ROW, 0, "not a key of link %s", link->name);
}

bool sqlgen_read(const struct link *link, enum side side, const struct key *keys, size_t nkeys,
                 struct buf *out, struct err *err)
{
    struct arena arena;
    bool ok = true;

    assert(nkeys > 0);
    add_select(link, side, out);
    buf_adds(out, " WHERE ");
    add_key_in(link, side, out);

    arena_init(&arena);
    struct value *row = arena_alloc(&arena, link->nfields * sizeof *row);

    for (size_t i = 0; i < nkeys && ok; i++) {
        if (i > 0)
            buf_addc(out, ',');
        ok = key_to_row(link, &keys[i], row) ? add_key_element(link, side, row, out, err)
                                             : not_a_key(link, err);
        if (!ok)
            fail_at(err, i);
    }
    arena_done(&arena);
    buf_addc(out, ')');
    return ok;
}

bool sqlgen_lock(const struct link *link, enum side side, const struct key *keys, size_t nkeys,
                 struct buf *out, struct err *err)
{
    bool ok = sqlgen_read(link, side, keys, nkeys, out, err);

    buf_adds(out, " FOR UPDATE");
    return ok;
}

/* ---- Ranges ----
 *
 * "(k1,k2) > (1,'x')" would say it, but neither server walks an index by that. What stands for it:
 *
 *   k1>1 OR (k1=1 AND k2>'x')
 */

/* ENUM and SET are sorted by number, and compared with a label as text. */
static bool add_order_literal(const struct field *f, enum side side, const struct value *v, struct buf *out,
                              struct err *err)
{
    const struct column *c = f->column[side];
    uint64_t number = 0;

    if (c->kind != COL_ENUM && c->kind != COL_SET)
        return add_key_literal(f, side, v, out, err);
    for (size_t i = 0; i < c->nlabels; i++) {
        const char *label = c->labels[i], *at = v->data, *end = v->data + v->len;
        size_t len = strlen(label);

        for (; at <= end; at++) { /* each label of the list */
            const char *comma = c->kind == COL_SET && at < end ? memchr(at, ',', (size_t)(end - at)) : NULL;
            size_t n = (size_t)((comma != NULL ? comma : end) - at);

            if (n == len && memcmp(at, label, len) == 0)
                number |= c->kind == COL_SET ? UINT64_C(1) << i : i + 1;
            at += n;
        }
    }
    buf_addf(out, "%" PRIu64, number);
    return true;
}

/* strict and last: the operators for what lies beyond the key, and for its last column. */
static bool add_bound(const struct link *link, enum side side, const struct key *key, char strict,
                      const char *last, struct buf *out, struct err *err)
{
    const size_t *order = link->walk != NULL ? link->walk : link->key;
    struct value *row = mem_alloc(link->nfields * sizeof *row);
    bool ok = key_to_row(link, key, row) || not_a_key(link, err);

    buf_addc(out, '(');
    for (size_t i = 0; i < link->nkey && ok; i++) {
        buf_adds(out, i > 0 ? " OR (" : "(");
        for (size_t j = 0; j <= i && ok; j++) {
            const struct field *f = &link->fields[order[j]];

            if (j > 0)
                buf_adds(out, " AND ");
            add_column_name(f, side, out);
            if (j < i)
                buf_addc(out, '=');
            else if (i + 1 == link->nkey)
                buf_adds(out, last);
            else
                buf_addc(out, strict);
            ok = add_order_literal(f, side, &row[order[j]], out, err);
        }
        buf_addc(out, ')');
    }
    buf_addc(out, ')');
    free(row);
    return ok;
}

bool sqlgen_range(const struct link *link, enum side side, const struct key_range *range, size_t limit,
                  struct buf *out, struct err *err)
{
    add_select(link, side, out);
    if (range->after != NULL) {
        buf_adds(out, " WHERE ");
        if (!add_bound(link, side, range->after, '>', ">", out, err))
            return false;
    }
    if (range->up_to != NULL) {
        buf_adds(out, range->after != NULL ? " AND " : " WHERE ");
        if (!add_bound(link, side, range->up_to, '<', "<=", out, err))
            return false;
    }
    buf_adds(out, " ORDER BY ");
    for (size_t i = 0; i < link->nkey; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_column_name(&link->fields[link->walk != NULL ? link->walk[i] : link->key[i]], side, out);
    }
    buf_addf(out, " LIMIT %zu", limit);
    if (range->exact)
        buf_adds(out, " LOCK IN SHARE MODE"); /* of one statement alone; both families know these words */
    return true;
}

void sqlgen_estimate(const struct link *link, enum side side, struct buf *out)
{
    const struct table *t = link->table[side];

    buf_adds(out, "SELECT TABLE_ROWS,AVG_ROW_LENGTH FROM information_schema.TABLES WHERE TABLE_SCHEMA=");
    db_quote_text(out, t->db, strlen(t->db));
    buf_adds(out, " AND TABLE_NAME=");
    db_quote_text(out, t->name, strlen(t->name));
}

/* ---- Writing rows ---- */

static void add_insert_into(const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_table(link, side, out);
    buf_adds(out, " (");
    for (size_t i = 0; i < link->nfields; i++) {
        add_column_name(&link->fields[i], side, out);
        buf_addc(out, ',');
    }
    db_quote_name(out, link->synced_at[side]->name);
    buf_adds(out, ") VALUES ");
}

bool sqlgen_insert(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                   struct buf *out, struct err *err)
{
    struct buf now = BUF_INIT; /* the same text for each */
    bool ok = true;

    add_now(link->synced_at[side], &now);
    add_insert_into(link, side, out);
    for (size_t r = 0; r < nrows && ok; r++) {
        assert(rows[r].before == NULL && rows[r].after != NULL);
        buf_adds(out, r > 0 ? ",(" : "(");
        for (size_t i = 0; i < link->nfields && ok; i++) {
            ok = sqlgen_literal(&link->fields[i], side, &rows[r].after[i], out, err) || fail_at(err, r);
            buf_addc(out, ',');
        }
        buf_add(out, now.data, now.len);
        buf_addc(out, ')');
    }
    buf_done(&now);
    return ok;
}

/* ---- Values beside the text ----
 *
 * They go as text, but for bytes, and the column makes of them what it makes of a text in quotes. That is the same as of the bare
 * number that our literals of these kinds are. It is not for BIT and YEAR, and text that is not UTF-8 would have to
 * be told apart from text that is.
 */

static bool can_bind(const struct column *c)
{
    switch (c->kind) {
    case COL_BIT:
    case COL_YEAR:
    case COL_VECTOR:
    case COL_GEOMETRY:
    case COL_OTHER: return false;
    case COL_TEXT: return c->convert == NULL;
    default: return true;
    }
}

bool sqlgen_can_bind(const struct link *link, enum side side)
{
    for (size_t i = 0; i < link->nfields; i++)
        if (!can_bind(link->fields[i].column[side]))
            return false;
    return true;
}

bool sqlgen_is_bytes(const struct field *f, enum side side) { return f->column[side]->kind == COL_BINARY; }

void sqlgen_insert_bound(const struct link *link, enum side side, struct buf *out)
{
    add_insert_into(link, side, out);
    buf_addc(out, '(');
    for (size_t i = 0; i < link->nfields; i++)
        buf_adds(out, "?,");
    add_now(link->synced_at[side], out);
    buf_addc(out, ')');
}

static bool bind_sealed(const struct field *f, const struct value *v, struct db_param *ret_param,
                        struct arena *arena, struct err *err)
{
    struct buf sealed = BUF_INIT;
    bool ok = cipher_seal(f->keys, f->encoding, v->data, v->len, &sealed, err);

    if (ok)
        *ret_param = (struct db_param){arena_copy(arena, sealed.data, sealed.len), sealed.len};
    buf_done(&sealed);
    return ok;
}

static bool bind_value(const struct field *f, enum side side, const struct value *v,
                       struct db_param *ret_param, struct arena *arena, struct err *err)
{
    const struct column *c = f->column[side];
    bool is_bare = c->kind == COL_INT || c->kind == COL_DECIMAL || is_double(c);

    if (!check_value(f, side, v, true, err))
        return false;
    if (v->state == VALUE_SET && is_sealed(f, side))
        return bind_sealed(f, v, ret_param, arena, err);
    *ret_param = (struct db_param){NULL, 0};
    if (v->state == VALUE_SET)
        *ret_param = (struct db_param){v->data != NULL ? v->data : "", v->len};
    return v->state != VALUE_SET || !is_bare || check_number(c, v, err);
}

bool sqlgen_bind(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                 struct db_param *ret_params, struct arena *arena, struct err *err)
{
    for (size_t r = 0; r < nrows; r++)
        for (size_t i = 0; i < link->nfields; i++)
            if (!bind_value(&link->fields[i], side, &rows[r].after[i], ret_params++, arena, err))
                return fail_at(err, r);
    return true;
}

/* "k1=1 AND k2='x'": the row as it was locked. */
static bool where_key(const struct link *link, enum side side, const struct value *row, struct buf *out,
                      struct err *err)
{
    for (size_t i = 0; i < link->nkey; i++) {
        const struct field *f = &link->fields[link->key[i]];

        buf_adds(out, i > 0 ? " AND " : " WHERE ");
        add_column_name(f, side, out);
        buf_addc(out, '=');
        if (!add_key_literal(f, side, &row[link->key[i]], out, err))
            return false;
    }
    return true;
}

bool sqlgen_delete(const struct link *link, enum side side, const struct row_write *row, struct buf *out,
                   struct err *err)
{
    assert(row->before != NULL && row->after == NULL);
    buf_adds(out, "DELETE FROM ");
    add_table(link, side, out);
    return where_key(link, side, row->before, out, err) || fail_at(err, 0);
}

static bool must_write(const struct link *link, size_t field, const struct row_write *row)
{
    if (field == link_version_field(link) || field == link_updated_field(link))
        return true; /* named, or an ON UPDATE CURRENT_TIMESTAMP would set it */
    return !value_equal(&row->before[field], &row->after[field]);
}

/* It may be the last copy. */
static bool may_overwrite(const struct field *f, enum side side, const struct value *before, struct err *err)
{
    if (before->state != VALUE_SEALED)
        return true;
    if (f->keys != NULL)
        return err_set(err, ERR_ROW, 0, "no key opens what stands in column %s: it is not overwritten",
                       f->column[side]->name);
    return err_set(err, ERR_ROW, 0,
                   "what stands in column %s is no text of its character set %s: it is not overwritten",
                   f->column[side]->name, f->column[side]->charset);
}

static void set_synced_at(const struct link *link, enum side side, struct buf *out)
{
    db_quote_name(out, link->synced_at[side]->name);
    buf_addc(out, '=');
    add_now(link->synced_at[side], out);
}

bool sqlgen_update(const struct link *link, enum side side, const struct row_write *row, struct buf *out,
                   struct err *err)
{
    assert(row->before != NULL && row->after != NULL);
    buf_adds(out, "UPDATE ");
    add_table(link, side, out);
    add_index_hint(link, side, out);
    buf_adds(out, " SET ");
    for (size_t i = 0; i < link->nfields; i++) {
        const struct field *f = &link->fields[i];

        if (!must_write(link, i, row))
            continue;
        if (!may_overwrite(f, side, &row->before[i], err))
            return fail_at(err, 0);
        add_column_name(f, side, out);
        buf_addc(out, '=');
        if (!sqlgen_literal(f, side, &row->after[i], out, err))
            return fail_at(err, 0);
        buf_addc(out, ',');
    }
    set_synced_at(link, side, out);
    return where_key(link, side, row->before, out, err) || fail_at(err, 0);
}

/* ---- Many rows in one statement ---- */

enum { LONGEST_NUMBER = 18 }; /* digits that are a signed BIGINT, whatever stands beside them in a list */

static bool has_plain_key(const struct link *link, enum side side)
{
    for (size_t i = 0; i < link->nkey; i++) {
        const struct column *c = link->fields[link->key[i]].column[side];

        if (c->kind != COL_INT && c->kind != COL_BINARY && (c->kind != COL_TEXT || c->collation == NULL))
            return false;
    }
    return true;
}

uint64_t sqlgen_update_shape(const struct link *link, enum side side, const struct row_write *row)
{
    uint64_t shape = 0;

    assert(row->before != NULL && row->after != NULL);
    if (link->nkey != 1 || link->nfields > 64 || !has_plain_key(link, side))
        return 0;
    for (size_t i = 0; i < link->nfields; i++)
        if (must_write(link, i, row))
            shape |= UINT64_C(1) << i;
    return (shape >> link->key[0] & 1) != 0 ? 0
                                            : shape; /* one whose key changes, in its case say, goes alone */
}

/* Of the list that tells the rows apart: a number, or the bytes as they stand in the column. */
static bool add_place_key(const struct field *f, enum side side, const struct value *v, struct buf *out,
                          struct err *err)
{
    const struct column *c = f->column[side];
    struct buf bytes = BUF_INIT;
    bool ok = true;

    if (c->kind == COL_INT || v->state != VALUE_SET || is_sealed(f, side))
        return add_key_literal(f, side, v, out, err);
    if (c->kind == COL_TEXT && c->convert != NULL)
        ok = convert(c, v, &bytes, err);
    else
        buf_add(&bytes, v->data, v->len);
    if (ok)
        db_quote_bytes(out, bytes.data != NULL ? bytes.data : "", bytes.len);
    buf_done(&bytes);
    return ok;
}

/* "FIELD(id,1,2,3)": which row of the list it is, 0 for none. */
static bool add_row_place(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                          struct buf *out, struct err *err)
{
    const struct field *f = &link->fields[link->key[0]];
    bool is_number = f->column[side]->kind == COL_INT;

    buf_adds(out, is_number ? "FIELD(" : "FIELD(CAST(");
    add_column_name(f, side, out);
    if (!is_number)
        buf_adds(out, " AS BINARY)");
    for (size_t r = 0; r < nrows; r++) {
        buf_addc(out, ',');
        if (!add_place_key(f, side, &rows[r].before[link->key[0]], out, err))
            return fail_at(err, r);
    }
    buf_addc(out, ')');
    return true;
}

/* ELT() makes text of what it is given, and not of every number the text that stands there: so it is given text. */
static bool add_text_literal(const struct field *f, enum side side, const struct value *v, struct buf *out,
                             struct err *err)
{
    size_t at = out->len;

    switch (f->column[side]->kind) {
    case COL_INT:
    case COL_DECIMAL:
    case COL_FLOAT:
    case COL_DOUBLE:
    case COL_BIT:
    case COL_YEAR: break;
    default: return sqlgen_literal(f, side, v, out, err);
    }
    if (v->state != VALUE_SET || is_sealed(f, side))
        return sqlgen_literal(f, side, v, out, err);
    buf_addc(out, '\'');
    if (!sqlgen_literal(f, side, v, out, err)) {
        out->len = at;
        return false;
    }
    buf_addc(out, '\'');
    return true;
}

/* "c=ELT(FIELD(id,1,2),'a','b')" */
static bool add_choice(const struct link *link, enum side side, size_t field, const struct row_write *rows,
                       size_t nrows, const struct buf *place, struct buf *out, struct err *err)
{
    const struct field *f = &link->fields[field];
    const struct column *c = f->column[side];
    /* These two take text for something else than a number. */
    bool cast = c->kind == COL_BIT || c->kind == COL_YEAR;

    add_column_name(f, side, out);
    buf_adds(out, cast ? "=CAST(ELT(" : "=ELT(");
    buf_add(out, place->data, place->len);
    for (size_t r = 0; r < nrows; r++) {
        if (!may_overwrite(f, side, &rows[r].before[field], err))
            return fail_at(err, r);
        buf_addc(out, ',');
        if (!add_text_literal(f, side, &rows[r].after[field], out, err))
            return fail_at(err, r);
    }
    buf_adds(out, cast ? ") AS UNSIGNED)," : "),");
    return true;
}

/* "id IN (1,2)" of the rows as they were locked. */
static bool add_row_list(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                         struct buf *out, struct err *err)
{
    add_key_in(link, side, out);
    for (size_t r = 0; r < nrows; r++) {
        if (r > 0)
            buf_addc(out, ',');
        if (!add_key_element(link, side, rows[r].before, out, err))
            return fail_at(err, r);
    }
    buf_addc(out, ')');
    return true;
}

bool sqlgen_updates(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                    uint64_t shape, struct buf *out, struct err *err)
{
    struct buf place = BUF_INIT;
    bool ok;

    assert(shape != 0);
    buf_adds(out, "UPDATE ");
    add_table(link, side, out);
    add_index_hint(link, side, out);
    buf_adds(out, " SET ");
    ok = add_row_place(link, side, rows, nrows, &place, err);
    for (size_t i = 0; i < link->nfields && ok; i++)
        if ((shape >> i & 1) != 0)
            ok = add_choice(link, side, i, rows, nrows, &place, out, err);
    if (ok) {
        set_synced_at(link, side, out);
        buf_adds(out, " WHERE ");
        ok = add_row_list(link, side, rows, nrows, out, err);
    }
    /* What is the same by the column's collation and not by its bytes is left as it is, and missed in the count. */
    if (ok && link->fields[link->key[0]].column[side]->kind != COL_INT) {
        buf_adds(out, " AND ");
        buf_add(out, place.data, place.len);
        buf_adds(out, ">0");
    }
    buf_done(&place);
    return ok;
}

bool sqlgen_may_join(const struct link *link, enum side side, enum db_kind kind, const struct row_write *row)
{
    const struct table *t = link->table[side];

    assert(row->before != NULL && row->after == NULL);
    if (kind == DB_MYSQL) /* the names stand in a comment */
        return strchr(t->name, '*') == NULL && strchr(link->index[side]->name, '*') == NULL;
    if (!has_plain_key(link, side))
        return false;
    for (size_t i = 0; i < link->nkey; i++) {
        const struct field *f = &link->fields[link->key[i]];
        const struct column *c = f->column[side];
        const struct value *v = &row->before[link->key[i]];

        if (v->state != VALUE_SET || (c->kind == COL_INT && v->len > LONGEST_NUMBER))
            return false;
        if (c->kind == COL_TEXT && c->convert == NULL && strcmp(c->charset, "utf8mb4") != 0)
            return false; /* our literals are utf8mb4 and cannot have its collation */
    }
    return true;
}

/* "SELECT 1 AS k0,'x' COLLATE utf8mb4_bin AS k1 UNION ALL SELECT 2,'y'": types and collations are the first one's. */
static bool add_key_rows(const struct link *link, enum side side, const struct row_write *rows, size_t nrows,
                         struct buf *out, struct err *err)
{
    for (size_t r = 0; r < nrows; r++) {
        buf_adds(out, r > 0 ? " UNION ALL SELECT " : "SELECT ");
        for (size_t i = 0; i < link->nkey; i++) {
            const struct field *f = &link->fields[link->key[i]];

            if (i > 0)
                buf_addc(out, ',');
            if (!add_key_literal(f, side, &rows[r].before[link->key[i]], out, err))
                return fail_at(err, r);
            if (r == 0 && f->column[side]->kind == COL_TEXT)
                buf_addf(out, " COLLATE %s", f->column[side]->collation);
            if (r == 0)
                buf_addf(out, " AS k%zu", i);
        }
    }
    return true;
}

static bool join_and_delete(const struct link *link, enum side side, const struct row_write *rows,
                            size_t nrows, struct buf *out, struct err *err)
{
    buf_adds(out, "DELETE ");
    add_table(link, side, out);
    buf_adds(out, " FROM (");
    if (!add_key_rows(link, side, rows, nrows, out, err))
        return false;
    buf_adds(out, ") AS v STRAIGHT_JOIN ");
    add_table(link, side, out);
    add_index_hint(link, side, out);
    for (size_t i = 0; i < link->nkey; i++) {
        buf_adds(out, i > 0 ? " AND " : " ON ");
        add_table(link, side, out);
        buf_addc(out, '.');
        add_column_name(&link->fields[link->key[i]], side, out);
        buf_addf(out, "=v.k%zu", i);
    }
    return true;
}

bool sqlgen_deletes(const struct link *link, enum side side, enum db_kind kind, const struct row_write *rows,
                    size_t nrows, struct buf *out, struct err *err)
{
    if (kind == DB_MARIADB)
        return join_and_delete(link, side, rows, nrows, out, err);
    buf_adds(out, "DELETE /*+ INDEX(");
    db_quote_name(out, link->table[side]->name);
    buf_addc(out, ' ');
    db_quote_name(out, link->index[side]->name);
    buf_adds(out, ") */ FROM ");
    add_table(link, side, out);
    buf_adds(out, " WHERE ");
    return add_row_list(link, side, rows, nrows, out, err);
}

/* ---- Control tables ---- */

static void add_control_table(const char *state_db, const char *name, struct buf *out)
{
    db_quote_name(out, state_db);
    buf_addc(out, '.');
    db_quote_name(out, name);
}

static void add_text(const char *text, struct buf *out) { db_quote_text(out, text, strlen(text)); }

static void where_link(const struct link *link, struct buf *out)
{
    buf_adds(out, " WHERE link=");
    add_text(link->name, out);
}

static void where_link_side(const struct link *link, const char *column, enum side side, struct buf *out)
{
    where_link(link, out);
    buf_addf(out, " AND %s='%s'", column, side_name(side));
}

void sqlgen_load_checkpoint(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT gtid,binlog_file,binlog_offset,binlog_server,rows_done,marker,batch FROM ");
    add_control_table(state_db, "checkpoint", out);
    where_link_side(link, "source_side", side_peer(side), out);
    buf_adds(out, " FOR UPDATE");
}

void sqlgen_load_lanes(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT gtid,binlog_file,binlog_offset,binlog_server,rows_done,batch,lanes,lane FROM ");
    add_control_table(state_db, "lane", out);
    where_link_side(link, "source_side", side_peer(side), out);
    buf_adds(out, " FOR UPDATE");
}

void sqlgen_lock_checkpoint(const char *state_db, const struct link *link, enum side side, size_t lane,
                            struct buf *out)
{
    buf_adds(out, "SELECT 1 FROM ");
    add_control_table(state_db, lane > 0 ? "lane" : "checkpoint", out);
    where_link_side(link, "source_side", side_peer(side), out);
    if (lane > 0)
        buf_addf(out, " AND lane=%zu", lane);
    buf_adds(out, " FOR UPDATE");
}

void sqlgen_load_markers(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT id,key_from,key_to FROM ");
    add_control_table(state_db, "marker", out);
    where_link_side(link, "side", side, out);
    buf_adds(out, " ORDER BY id FOR UPDATE");
}

void sqlgen_load_quarantine(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT row_key,source_side,error_code,error,tries,"
                  "CAST(UNIX_TIMESTAMP(since)*1000000 AS SIGNED) FROM ");
    add_control_table(state_db, "quarantine", out);
    where_link_side(link, "side", side, out);
    buf_adds(out,
             " ORDER BY since FOR UPDATE"); /* quarantine.c takes them one by one at the end of its list */
}

/* The columns that a checkpoint and a lane's row have in common, as assignments. */
static void add_place(const struct checkpoint *c, struct buf *out)
{
    struct buf gtids = BUF_INIT;

    pos_print_gtids(&c->pos, &gtids);
    buf_adds(out, "gtid=");
    db_quote_text(out, gtids.data != NULL ? gtids.data : "", gtids.len);
    buf_adds(out, ",binlog_file=");
    add_text(c->pos.file != NULL ? c->pos.file : "", out);
    buf_addf(out, ",binlog_offset=%" PRIu64 ",binlog_server=", c->pos.offset);
    add_text(c->pos.server != NULL ? c->pos.server : "", out);
    buf_addf(out, ",rows_done=%" PRIu64 ",batch=%" PRIu64, c->rows_done, c->batch);
    buf_done(&gtids);
}

/* A table of our own with one UNIQUE key: here the short form is safe. `changed` makes
 * sure that the row is logged. */
void sqlgen_checkpoint(const char *state_db, const struct link *link, enum side side,
                       const struct checkpoint *c, struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "checkpoint", out);
    buf_adds(out, " SET link=");
    add_text(link->name, out);
    buf_addf(out, ",source_side='%s',changed=1,marker=%" PRIu64 ",", side_name(side_peer(side)), c->marker);
    add_place(c, out);
    buf_addf(out, " ON DUPLICATE KEY UPDATE changed=changed+1,marker=%" PRIu64 ",", c->marker);
    add_place(c, out);
}

void sqlgen_init_lane(const char *state_db, const struct link *link, enum side side, size_t lane,
                      struct buf *out)
{
    const struct checkpoint none = {.pos = POS_INIT};

    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "lane", out);
    buf_adds(out, " SET link=");
    add_text(link->name, out);
    buf_addf(out, ",source_side='%s',lane=%zu,lanes=0,", side_name(side_peer(side)), lane);
    add_place(&none, out);
    buf_adds(out, " ON DUPLICATE KEY UPDATE lanes=lanes");
}

/* It is another place than before, or of another batch, so the row is logged. */
void sqlgen_lane(const char *state_db, const struct link *link, enum side side, size_t lane, size_t nlanes,
                 const struct checkpoint *c, struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "lane", out);
    buf_adds(out, " SET link=");
    add_text(link->name, out);
    buf_addf(out, ",source_side='%s',lane=%zu,lanes=%zu,", side_name(side_peer(side)), lane, nlanes);
    add_place(c, out);
    buf_addf(out, " ON DUPLICATE KEY UPDATE lanes=%zu,", nlanes);
    add_place(c, out);
}

void sqlgen_touch(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "UPDATE ");
    add_control_table(state_db, "checkpoint", out);
    buf_adds(out, " SET changed=changed+1");
    where_link_side(link, "source_side", side_peer(side), out);
}

void sqlgen_markers(const char *state_db, const struct link *link, enum side side,
                    const struct marker *markers, size_t count, struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "marker", out);
    buf_adds(out, " (link,side,id,key_from,key_to) VALUES ");
    for (size_t i = 0; i < count; i++) {
        buf_adds(out, i > 0 ? ",(" : "(");
        add_text(link->name, out);
        buf_addf(out, ",'%s',%" PRIu64 ",", side_name(side), markers[i].id);
        db_quote_bytes(out, markers[i].from.data, markers[i].from.len);
        buf_addc(out, ',');
        db_quote_bytes(out, markers[i].to.data, markers[i].to.len);
        buf_addc(out, ')');
    }
}

void sqlgen_drop_markers(const char *state_db, const struct link *link, enum side side, const uint64_t *ids,
                         size_t count, struct buf *out)
{
    buf_adds(out, "DELETE FROM ");
    add_control_table(state_db, "marker", out);
    where_link_side(link, "side", side, out);
    buf_adds(out, " AND id IN (");
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "%s%" PRIu64, i > 0 ? "," : "", ids[i]);
    buf_addc(out, ')');
}

void sqlgen_purge_markers(const char *state_db, const struct link *link, enum side side, uint64_t up_to,
                          struct buf *out)
{
    buf_adds(out, "DELETE FROM ");
    add_control_table(state_db, "marker", out);
    where_link_side(link, "side", side, out);
    buf_addf(out, " AND id<=%" PRIu64, up_to);
}

static void add_key_hash(const struct key *k, struct buf *out)
{
    unsigned char hash[HASH_BYTES];

    hash_sha256(k->data, k->len, hash);
    db_quote_bytes(out, (const char *)hash, sizeof hash);
}

/* An error text may be cut in the middle of a character, which the column would refuse. */
static void add_ascii(const char *text, struct buf *out)
{
    struct buf ascii = BUF_INIT;

    for (; *text != '\0'; text++)
        buf_addc(&ascii, (unsigned char)*text < 0x80 ? *text : '?');
    db_quote_text(out, ascii.data != NULL ? ascii.data : "", ascii.len);
    buf_done(&ascii);
}

void sqlgen_quarantine(const char *state_db, const struct link *link, enum side side,
                       const struct quarantine_entry *e, struct buf *out)
{
    struct buf why = BUF_INIT;

    buf_addf(&why, "source_side='%s',error_code=%u,error=", side_name(e->source), (unsigned)e->code);
    add_ascii(e->why, &why);
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "quarantine", out);
    buf_adds(out, " SET link=");
    add_text(link->name, out);
    buf_addf(out, ",side='%s',key_hash=", side_name(side));
    add_key_hash(&e->key, out);
    buf_adds(out, ",row_key=");
    db_quote_bytes(out, e->key.data, e->key.len);
    buf_adds(out, ",tries=1,");
    buf_add(out, why.data, why.len);
    buf_adds(out, " ON DUPLICATE KEY UPDATE tries=tries+1,");
    buf_add(out, why.data, why.len);
    buf_done(&why);
}

/* ---- Resync and conflicts ---- */

void sqlgen_load_resync(const char *state_db, const struct link *link, struct buf *out)
{
    buf_adds(out, "SELECT job,state,cause,from_side,forced,delete_missing,done_to,rows_scanned,rows_written,"
                  "conflicts,quarantined,rows_expected,reason,error,again,"
                  "CAST(UNIX_TIMESTAMP(started_at)*1000000 AS SIGNED),"
                  "CAST(UNIX_TIMESTAMP(ended_at)*1000000 AS SIGNED) FROM ");
    add_control_table(state_db, "resync", out);
    where_link(link, out);
}

static void add_time(wall_us t, struct buf *out)
{
    char text[32];

    if (t.v == 0)
        buf_adds(out, "NULL");
    else
        buf_addf(out, "'%s'", wall_sql(t, text, sizeof text));
}

static void add_job(const struct resync_state *r, struct buf *out)
{
    const struct job *j = &r->job;

    buf_addf(out, "job=%" PRIu64 ",state='%s',cause='%s',from_side='%s',forced=%d,delete_missing=%d,done_to=",
             j->id, job_state_name(j->state), job_cause_name(j->cause),
             j->order.has_from ? side_name(j->order.from) : "both", j->order.force, j->order.delete_missing);
    if (r->done_to.data != NULL)
        db_quote_bytes(out, r->done_to.data, r->done_to.len);
    else
        buf_adds(out, "NULL");
    buf_addf(out,
             ",rows_scanned=%" PRIu64 ",rows_written=%" PRIu64 ",conflicts=%" PRIu64 ",quarantined=%" PRIu64
             ",rows_expected=%" PRIu64 ",reason=",
             j->rows_scanned, j->rows_written, j->conflicts, j->quarantined, j->rows_expected);
    add_ascii(j->reason, out);
    buf_adds(out, ",error=");
    add_ascii(j->error, out);
    buf_adds(out, ",again=");
    add_ascii(j->again, out);
    buf_adds(out, ",started_at=");
    add_time(j->started_at, out);
    buf_adds(out, ",ended_at=");
    add_time(j->ended_at, out);
}

void sqlgen_resync(const char *state_db, const struct link *link, const struct resync_state *r,
                   struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "resync", out);
    buf_adds(out, " SET link=");
    add_text(link->name, out);
    buf_addc(out, ',');
    add_job(r, out);
    buf_adds(out, " ON DUPLICATE KEY UPDATE ");
    add_job(r, out);
}

void sqlgen_last_conflict(const char *state_db, const struct link *link, enum side side, struct buf *out)
{
    buf_adds(out, "SELECT COALESCE(MAX(id),0) FROM ");
    add_control_table(state_db, "conflict", out);
    where_link_side(link, "side", side, out);
}

void sqlgen_load_conflicts(const char *state_db, const struct link *link, enum side side, size_t max,
                           struct buf *out)
{
    buf_adds(
        out,
        "SELECT id,CAST(UNIX_TIMESTAMP(written_at)*1000000 AS SIGNED),row_key,met,decided_by,winner,"
        "left_present,left_version,left_updated,right_present,right_version,right_updated,differing FROM ");
    add_control_table(state_db, "conflict", out);
    where_link_side(link, "side", side, out);
    buf_addf(out, " ORDER BY id DESC LIMIT %zu", max);
}

static void add_version_or_null(value_int n, struct buf *out)
{
    char text[VALUE_INT_TEXT];

    buf_addf(out, ",%s", n == VALUE_INT_NONE ? "NULL" : value_int_text(n, text));
}

static void add_number_or_null(int64_t n, struct buf *out)
{
    if (n == INT64_MIN)
        buf_adds(out, ",NULL");
    else
        buf_addf(out, ",%" PRId64, n);
}

void sqlgen_conflicts(const char *state_db, const struct link *link, enum side side,
                      const struct conflict_record *records, size_t count, struct buf *out)
{
    buf_adds(out, "INSERT INTO ");
    add_control_table(state_db, "conflict", out);
    buf_adds(out, " (link,side,id,row_key,met,decided_by,winner,left_present,left_version,left_updated,"
                  "right_present,right_version,right_updated,differing) VALUES ");
    for (size_t i = 0; i < count; i++) {
        const struct conflict_record *r = &records[i];

        buf_adds(out, i > 0 ? ",(" : "(");
        add_text(link->name, out);
        buf_addf(out, ",'%s',%" PRIu64 ",", side_name(side), r->id);
        db_quote_bytes(out, r->key.data, r->key.len);
        buf_addf(out, ",'%s','%s','%s'", conflict_met_name(r->met), conflict_rule_name(r->rule),
                 side_name(r->winner));
        for (int s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
            buf_addf(out, ",%d", r->row[s].present);
            add_version_or_null(r->row[s].version, out);
            add_number_or_null(r->row[s].updated_us, out);
        }
        buf_addc(out, ',');
        add_ascii(r->columns, out);
        buf_addc(out, ')');
    }
}

void sqlgen_purge_conflicts(const char *state_db, const struct link *link, enum side side, uint64_t up_to,
                            struct buf *out)
{
    buf_adds(out, "DELETE FROM ");
    add_control_table(state_db, "conflict", out);
    where_link_side(link, "side", side, out);
    buf_addf(out, " AND (id<=%" PRIu64 " OR written_at<UTC_TIMESTAMP(6)-INTERVAL %" PRIu32 " DAY)", up_to,
             link->keep_conflict_days);
}

void sqlgen_release(const char *state_db, const struct link *link, enum side side, const struct key *keys,
                    size_t count, struct buf *out)
{
    buf_adds(out, "DELETE FROM ");
    add_control_table(state_db, "quarantine", out);
    where_link_side(link, "side", side, out);
    buf_adds(out, " AND key_hash IN (");
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_addc(out, ',');
        add_key_hash(&keys[i], out);
    }
    buf_addc(out, ')');
}
