/*
 * link_build.c - does the config fit the tables?
 *
 * Two kinds of misfit have to be told apart. What makes the sides differ for
 * ever although every write succeeds is a FAIL: a fraction that is rounded, a
 * BINARY that is padded. twinlog would see two rows that are never equal and
 * reconcile them again at each touch. What the peer merely refuses is a warning:
 * a text that is too long or a number out of range is quarantined, nothing is lost,
 * and with many real schemas no such row will ever come.
 *
 * Everything here is a function of the config and the two tables, but for the
 * keys, which are read at the end.
 */
#include "cdc/link_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"

enum { SEAL_OVERHEAD = 12 + 16 }; /* nonce and tag */
static const uint64_t UNLIMITED = UINT64_MAX;

struct build {
    const struct config_link *config;
    struct link *link;
    check_report *report;
    void *arg;
    bool failed;
};

/* ---- Reporting ---- */

static void say(struct build *b, enum check_level level, const char *mend, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static void say(struct build *b, enum check_level level, const char *mend, const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (level == CHECK_FAIL)
        b->failed = true;
    b->report(b->arg, level, text.data, mend);
    buf_done(&text);
}

static void add_name(struct buf *out, const char *name)
{
    buf_addc(out, '`');
    for (; *name != '\0'; name++) {
        if (*name == '`')
            buf_addc(out, '`');
        buf_addc(out, *name);
    }
    buf_addc(out, '`');
}

/* "ALTER TABLE `db`.`table` " */
static void begin_alter(struct buf *out, const struct table *t)
{
    buf_adds(out, "ALTER TABLE ");
    add_name(out, t->db);
    buf_addc(out, '.');
    add_name(out, t->name);
    buf_addc(out, ' ');
}

/* "MODIFY `name` varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL", the end of the statement */
static void add_modify(struct buf *out, const struct column *c, const char *type, bool nullable)
{
    buf_adds(out, "MODIFY ");
    add_name(out, c->name);
    buf_addf(out, " %s", type);
    if (c->charset != NULL)
        buf_addf(out, " CHARACTER SET %s", c->charset);
    if (c->collation != NULL)
        buf_addf(out, " COLLATE %s", c->collation);
    buf_adds(out, nullable ? " NULL" : " NOT NULL");
    buf_adds(out, "; -- and repeat its DEFAULT and COMMENT, if it has them");
}

/* ---- Finding columns ---- */

static const struct column *find_column(struct build *b, enum side side, const char *name)
{
    const struct table *t = b->link->table[side];
    const struct column *c = table_column(t, name);
    struct buf have = BUF_INIT;
    if (c != NULL)
        return c;
    for (size_t i = 0; i < t->ncolumns && have.len < 300; i++)
        buf_addf(&have, "%s%s", i > 0 ? ", " : "", t->columns[i].name);
    say(b, CHECK_FAIL, NULL, "%s %s.%s has no column %s; it has %s", side_name(side), t->db, t->name, name,
        have.data != NULL ? have.data : "none");
    buf_done(&have);
    return NULL;
}

/* The statement that adds a sync column as the seed's migrations do. */
static const struct column *find_sync_column(struct build *b, enum side side, const char *name,
                                             const char *type, const char *what)
{
    const struct table *t = b->link->table[side];
    const struct column *c = table_column(t, name);
    struct buf mend = BUF_INIT;
    if (c != NULL)
        return c;
    begin_alter(&mend, t);
    buf_adds(&mend, "ADD COLUMN ");
    add_name(&mend, name);
    buf_addf(&mend, " %s; -- as sql/%s does for all three", type,
             side == SIDE_LEFT ? "002_add_sync_fields.sql" : "003_add_sync_fields.sql");
    say(b, CHECK_FAIL, mend.data, "%s %s.%s has no column %s (%s)", side_name(side), t->db, t->name, name,
        what);
    buf_done(&mend);
    return NULL;
}

/* ---- Does what one column holds fit the other? ---- */

static const char *where(const struct build *b, enum side side, const struct column *c, char out[400])
{
    const struct table *t = b->link->table[side];
    snprintf(out, 400, "%s %s.%s.%s %s", side_name(side), t->db, t->name, c->name, c->type_text);
    return out;
}

/* text: what is lost from the column of side `from` on its way to the peer's. */
static void misfit(struct build *b, enum check_level level, enum side from,
                   const struct column *const column[2], const char *text)
{
    char source[400], target[400];
    struct buf mend = BUF_INIT;
    enum side to = side_peer(from);
    if (level == CHECK_FAIL) {
        begin_alter(&mend, b->link->table[to]);
        add_modify(&mend, column[to], column[from]->type_text, column[to]->nullable);
    }
    say(b, level, mend.data, "%s -> %s: %s", where(b, from, column[from], source),
        where(b, to, column[to], target), text);
    buf_done(&mend);
}

#define QUARANTINED " would be quarantined"

static void check_int(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    bool fits = s->is_unsigned == t->is_unsigned ? s->length <= t->length
                                                 : s->is_unsigned && s->length < t->length;
    if (!fits)
        misfit(b, CHECK_WARN, from, column, "a number that the narrower type cannot hold" QUARANTINED);
}

/* Of both: digits before the point. */
static bool is_larger(const struct column *s, const struct column *t)
{
    return s->precision - s->scale > t->precision - t->scale;
}

static void check_decimal(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    if (s->scale > t->scale)
        misfit(b, CHECK_WARN, from, column, "a number with more digits behind the point" QUARANTINED);
    if (is_larger(s, t) || (t->is_unsigned && !s->is_unsigned))
        misfit(b, CHECK_WARN, from, column, "a number that the narrower type cannot hold" QUARANTINED);
}

/* FLOAT(M,D) and DOUBLE(M,D) keep D digits behind the point. */
static void check_double(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    bool cut = t->precision > 0 && (s->precision == 0 || s->scale > t->scale || s->kind != t->kind);
    if (cut || (s->kind == COL_DOUBLE && t->kind == COL_FLOAT))
        misfit(b, CHECK_WARN, from, column,
               "a number with more digits than the other type keeps" QUARANTINED);
    if ((t->precision > 0 && s->precision > 0 && is_larger(s, t)) || (t->is_unsigned && !s->is_unsigned))
        misfit(b, CHECK_WARN, from, column, "a number that the narrower type cannot hold" QUARANTINED);
}

static void check_time(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    if (s->precision > t->precision)
        misfit(b, CHECK_WARN, from, column, "a time with more digits of a second" QUARANTINED);
    if (s->kind == COL_DATETIME && t->kind == COL_TIMESTAMP)
        misfit(b, CHECK_WARN, from, column,
               "a DATETIME is carried over as if it were UTC, and one that a TIMESTAMP cannot hold (before "
               "1970, "
               "after 2038, no date of the calendar)" QUARANTINED);
}

static bool same_charset(const struct column *a, const struct column *b)
{
    return a->charset != NULL && b->charset != NULL && strcmp(a->charset, b->charset) == 0;
}

static bool holds_all_of_unicode(const struct column *c)
{
    return c->charset != NULL && (strcmp(c->charset, "utf8mb4") == 0 || strcmp(c->charset, "gb18030") == 0 ||
                                  strncmp(c->charset, "utf16", 5) == 0 || strcmp(c->charset, "utf32") == 0);
}

/* Bytes of the longest character. */
static uint64_t widest_character(const struct column *c)
{
    static const struct {
        const char *charset;
        unsigned bytes;
    } sets[] = {{"utf8mb4", 4}, {"gb18030", 4}, {"utf16", 4},   {"utf16le", 4}, {"utf32", 4}, {"utf8mb3", 3},
                {"utf8", 3},    {"ujis", 3},    {"eucjpms", 3}, {"ucs2", 2},    {"big5", 2},  {"gbk", 2},
                {"gb2312", 2},  {"euckr", 2},   {"sjis", 2},    {"cp932", 2}};
    for (size_t i = 0; c->charset != NULL && i < sizeof(sets) / sizeof(sets[0]); i++)
        if (strcmp(c->charset, sets[i].charset) == 0)
            return sets[i].bytes;
    return 1;
}

/* VARCHAR and CHAR are limited in characters, the TEXTs in bytes. */
static bool text_may_be_longer(const struct column *s, const struct column *t)
{
    if (!t->large_text)
        return s->length > t->length;
    if (t->length >= UINT32_MAX || (s->large_text && same_charset(s, t) && s->length <= t->length))
        return false;
    return s->length * widest_character(t) > t->length;
}

static bool has_labels(const struct column *c) { return c->kind == COL_ENUM || c->kind == COL_SET; }

static bool has_label(const struct column *c, const char *label)
{
    for (size_t i = 0; i < c->nlabels; i++)
        if (strcmp(c->labels[i], label) == 0)
            return true;
    return false;
}

/* Can the target hold what the source's labels say? */
static bool labels_fit(const struct column *s, const struct column *t)
{
    size_t longest = 0, all = 0;
    for (size_t i = 0; i < s->nlabels; i++) {
        size_t len = strlen(s->labels[i]);
        if (has_labels(t) && !has_label(t, s->labels[i]))
            return false;
        longest = len > longest ? len : longest;
        all += len + 1;
    }
    if (s->kind == COL_SET)
        return t->kind == COL_SET || (t->kind == COL_TEXT && t->length >= all);
    return has_labels(t) || t->length >= longest; /* the label '' of a SET is no label */
}

/* A type whose values print as one text of at most so many characters; 0 for others. */
static uint64_t printed_length(const struct column *c)
{
    switch (c->kind) {
    case COL_UUID: return 36;
    case COL_INET4: return 15;
    case COL_INET6: return 39;
    default: return 0;
    }
}

static void check_characters(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    bool ascii = s->charset != NULL && strcmp(s->charset, "ascii") == 0;
    if (text_may_be_longer(s, t))
        misfit(b, CHECK_WARN, from, column, "a longer text than fits" QUARANTINED);
    if (!same_charset(s, t) && !holds_all_of_unicode(t) && !ascii)
        misfit(b, CHECK_WARN, from, column, "a character that the other charset lacks" QUARANTINED);
    if (t->fixed_length && !s->fixed_length)
        misfit(b, CHECK_WARN, from, column,
               "CHAR drops spaces at the end, a text with such spaces" QUARANTINED);
}

static void check_text(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    if (printed_length(s) > 0) {
        if (t->kind != s->kind && t->length < printed_length(s))
            misfit(b, CHECK_WARN, from, column, "a longer text than fits" QUARANTINED);
    } else if (printed_length(t) > 0) {
        misfit(b, CHECK_WARN, from, column,
               "a text that is not written as the other type prints it" QUARANTINED);
    } else if (has_labels(s)) {
        if (!labels_fit(s, t))
            misfit(b, CHECK_WARN, from, column, "a label that the other column cannot hold" QUARANTINED);
    } else if (has_labels(t)) {
        misfit(b, CHECK_WARN, from, column, "a value that is no label there" QUARANTINED);
    } else {
        check_characters(b, from, column);
    }
}

/* MariaDB's JSON is a LONGTEXT that holds JSON only; what else stands in one is another matter. */
static void check_json(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    bool is_json = strcmp(s->type_text, "longtext") == 0 && s->collation != NULL &&
                   strcmp(s->collation, "utf8mb4_bin") == 0;
    if (t->kind == COL_JSON && s->kind == COL_TEXT && !is_json)
        misfit(b, CHECK_WARN, from, column, "a text that is no JSON" QUARANTINED);
    if (t->kind == COL_TEXT && s->kind == COL_JSON && (!t->large_text || t->length < UINT32_MAX))
        misfit(b, CHECK_WARN, from, column, "a longer document than fits" QUARANTINED);
    if (t->kind == COL_TEXT && s->kind == COL_JSON && !holds_all_of_unicode(t))
        misfit(b, CHECK_WARN, from, column, "a character that the other charset lacks" QUARANTINED);
}

static void check_binary(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    if (t->fixed_length && (!s->fixed_length || s->length != t->length))
        misfit(b, CHECK_WARN, from, column,
               "BINARY fills a value up with NULs, a value of another length" QUARANTINED);
    else if (s->length > t->length)
        misfit(b, CHECK_WARN, from, column, "a longer value than fits" QUARANTINED);
}

static void check_length(struct build *b, enum side from, const struct column *const column[2],
                         const char *text)
{
    if (column[from]->length > column[side_peer(from)]->length)
        misfit(b, CHECK_WARN, from, column, text);
}

/* The servers name one of them in two ways. */
static bool same_shape(const char *a, const char *b)
{
    static const char collection[] = "geomcollection", same[] = "geometrycollection";
    a = strcasecmp(a, collection) == 0 ? same : a;
    b = strcasecmp(b, collection) == 0 ? same : b;
    return strcasecmp(a, b) == 0;
}

static void check_shape(struct build *b, enum side from, const struct column *const column[2])
{
    const struct column *s = column[from], *t = column[side_peer(from)];
    if (strcasecmp(t->type_text, "geometry") != 0 && !same_shape(s->type_text, t->type_text))
        misfit(b, CHECK_WARN, from, column, "a shape of another type" QUARANTINED);
}

/* Both are comparable: of one family. What does not fit is found row by row (column_holds(), and the server in
 * strict mode), so nothing of this can alter a value. */
static void check_fit(struct build *b, enum side from, const struct column *const column[2])
{
    if (!column[side_peer(from)]->nullable && column[from]->nullable)
        misfit(b, CHECK_WARN, from, column, "a NULL would be quarantined, the other column is NOT NULL");
    if (column[SIDE_LEFT]->kind == COL_JSON || column[SIDE_RIGHT]->kind == COL_JSON) {
        check_json(b, from, column);
        return;
    }
    switch (column[from]->kind) {
    case COL_INT: check_int(b, from, column); return;
    case COL_DECIMAL: check_decimal(b, from, column); return;
    case COL_FLOAT:
    case COL_DOUBLE: check_double(b, from, column); return;
    case COL_BIT: check_length(b, from, column, "more bits than fit" QUARANTINED); return;
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP: check_time(b, from, column); return;
    case COL_TEXT:
    case COL_ENUM:
    case COL_SET:
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: check_text(b, from, column); return;
    case COL_BINARY: check_binary(b, from, column); return;
    case COL_GEOMETRY: check_shape(b, from, column); return;
    case COL_VECTOR: check_length(b, from, column, "a longer vector than fits" QUARANTINED); return;
    case COL_YEAR:
    case COL_DATE:
    case COL_JSON:
    case COL_OTHER: return;
    }
}

/* Text is read and written through our own tables. */
static bool check_charset(struct build *b, enum side side, const struct column *c)
{
    struct charset *charset = NULL;
    struct err err = ERR_INIT;
    char at[400];
    bool known = c->kind != COL_TEXT || charset_new(c->charset, &charset, &err);
    charset_free(charset);
    if (!known)
        say(b, CHECK_FAIL, NULL, "%s: %s", where(b, side, c, at), err.text);
    return known;
}

static void check_pair(struct build *b, const struct column *const column[2])
{
    const char *why;
    char left[400], right[400];
    if (!column_comparable(column[SIDE_LEFT], column[SIDE_RIGHT], &why)) {
        say(b, CHECK_FAIL, NULL, "%s and %s: %s", where(b, SIDE_LEFT, column[SIDE_LEFT], left),
            where(b, SIDE_RIGHT, column[SIDE_RIGHT], right), why);
        return;
    }
    check_fit(b, SIDE_LEFT, column);
    check_fit(b, SIDE_RIGHT, column);
}

/* updated_at is set by the server that an application writes to, with all its digits: a side with fewer could take
 * next to no row of the other. */
static void check_updated_pair(struct build *b, const struct column *const column[2])
{
    for (enum side from = SIDE_LEFT; from <= SIDE_RIGHT; from++)
        if (column[from]->precision > column[side_peer(from)]->precision)
            misfit(b, CHECK_FAIL, from, column,
                   "digits of a second do not fit, and nearly every row has them");
}

/* ---- Ciphered columns ---- */

/* Bytes of the longest canonical text: of the widest characters, and of ASCII. */
static void plain_length(const struct column *c, uint64_t *ret_widest, uint64_t *ret_ascii)
{
    uint64_t each = 3; /* most charsets: what they hold lies in the BMP */
    switch (c->kind) {
    case COL_TEXT:
        if (holds_all_of_unicode(c) || (c->charset != NULL && strcmp(c->charset, "gb18030") == 0))
            each = 4;
        else if (c->charset != NULL && strcmp(c->charset, "ascii") == 0)
            each = 1;
        if (c->large_text && c->convert == NULL)
            each = 1; /* its length is in bytes */
        *ret_widest = c->length > UNLIMITED / each ? UNLIMITED : c->length * each;
        *ret_ascii = c->length;
        return;
    case COL_BINARY: *ret_widest = *ret_ascii = c->length; return;
    case COL_DECIMAL: *ret_widest = *ret_ascii = c->precision + 3; return;
    case COL_INT:
    case COL_FLOAT:
    case COL_DOUBLE:
    case COL_BIT:
    case COL_YEAR:
    case COL_DATE:
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP: *ret_widest = *ret_ascii = 26; return;
    case COL_ENUM:
        *ret_widest = *ret_ascii = 0;
        for (size_t i = 0; i < c->nlabels; i++)
            if (strlen(c->labels[i]) > *ret_widest)
                *ret_widest = *ret_ascii = strlen(c->labels[i]);
        return;
    case COL_SET: *ret_widest = *ret_ascii = strlen(c->type_text); return;
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: *ret_widest = *ret_ascii = printed_length(c); return;
    case COL_VECTOR: *ret_widest = *ret_ascii = c->length; return;
    case COL_JSON:
    case COL_GEOMETRY:
    case COL_OTHER: *ret_widest = *ret_ascii = UNLIMITED; return;
    }
}

static uint64_t sealed_length(enum cipher_encoding encoding, uint64_t plain)
{
    if (plain > UNLIMITED / 4)
        return UNLIMITED;
    plain += SEAL_OVERHEAD;
    return encoding == CIPHER_HEX ? plain * 2 : (plain + 2) / 3 * 4;
}

/* The longest plain text whose sealed form has at most this length. */
static uint64_t longest_plain(enum cipher_encoding encoding, uint64_t sealed)
{
    uint64_t bytes = encoding == CIPHER_HEX ? sealed / 2 : sealed / 4 * 3;
    return bytes > SEAL_OVERHEAD ? bytes - SEAL_OVERHEAD : 0;
}

static void check_sealed_width(struct build *b, const struct field *f)
{
    const struct column *sealed = f->column[f->sealed_side], *plain = f->column[side_peer(f->sealed_side)];
    uint64_t widest = 0, ascii = 0, fits = longest_plain(f->encoding, sealed->length);
    char at[400], from[400], type[64];
    struct buf mend = BUF_INIT;
    plain_length(plain, &widest, &ascii);
    if (widest <= fits)
        return;
    where(b, f->sealed_side, sealed, at);
    where(b, side_peer(f->sealed_side), plain, from);
    if (ascii <= fits) {
        say(b, CHECK_OK, NULL, "%s holds sealed values of up to %llu bytes, enough for %s in ASCII", at,
            (unsigned long long)fits, from);
        return;
    }
    uint64_t need = sealed_length(f->encoding, widest);
    snprintf(type, sizeof(type),
             need <= 16383      ? "%s(%llu)"
             : need <= 16777215 ? "MEDIUM%s"
                                : "LONG%s",
             need <= 16383 ? (sealed->kind == COL_TEXT ? "VARCHAR" : "VARBINARY")
                           : (sealed->kind == COL_TEXT ? "TEXT" : "BLOB"),
             (unsigned long long)need);
    begin_alter(&mend, b->link->table[f->sealed_side]);
    add_modify(&mend, sealed, type, sealed->nullable);
    say(b, CHECK_FAIL, mend.data,
        "%s is too narrow: sealed, the longest value of %s has %llu characters, here fit values of %llu "
        "bytes",
        at, from, (unsigned long long)sealed_length(f->encoding, ascii), (unsigned long long)fits);
    buf_done(&mend);
}

static void check_ciphered(struct build *b, const struct field *f)
{
    const struct column *sealed = f->column[f->sealed_side], *plain = f->column[side_peer(f->sealed_side)];
    char at[400];
    if (plain->kind == COL_OTHER) {
        say(b, CHECK_FAIL, NULL, "%s: a column of this type cannot be mapped",
            where(b, side_peer(f->sealed_side), plain, at));
        return;
    }
    where(b, f->sealed_side, sealed, at);
    if ((sealed->kind != COL_TEXT && sealed->kind != COL_BINARY) ||
        (sealed->kind == COL_BINARY && sealed->fixed_length)) {
        say(b, CHECK_FAIL, NULL, "%s cannot hold sealed values; it must be VARCHAR, TEXT, VARBINARY or BLOB",
            at);
        return;
    }
    if (plain->nullable && !sealed->nullable)
        say(b, CHECK_WARN, NULL, "%s is NOT NULL, but its plain side is not: a NULL would be quarantined",
            at);
    const struct table *t = b->link->table[f->sealed_side];
    for (size_t i = 0; i < t->nkeys; i++)
        for (size_t k = 0; k < t->keys[i].ncolumns; k++)
            if (t->keys[i].columns[k] == sealed->ordinal)
                say(b, CHECK_WARN, NULL,
                    "%s is in the UNIQUE index %s: sealed values of one text differ, so it "
                    "keeps nothing apart",
                    at, t->keys[i].name);
    check_sealed_width(b, f);
}

/* ---- Fields ---- */

static void check_writable(struct build *b, enum side side, const struct column *c)
{
    char at[400];
    if (c->generated)
        say(b, CHECK_FAIL, NULL, "%s is generated and cannot be written; take it out of columns",
            where(b, side, c, at));
}

/* Is a value of the field a document of MySQL's on a side where it stands plain? */
static bool has_json(const struct field *f, bool ciphered)
{
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        if (f->column[s]->kind == COL_JSON && !(ciphered && f->sealed_side == s))
            return true;
    return false;
}

/* False if a column is missing. */
static bool build_mapped(struct build *b)
{
    bool ok = true;
    for (size_t i = 0; i < b->config->ncolumns; i++) {
        const struct config_column *c = &b->config->columns[i];
        struct field *f = &b->link->fields[i];
        f->sealed_side = c->sealed_side;
        f->encoding = c->encoding;
        f->column[SIDE_LEFT] = find_column(b, SIDE_LEFT, c->left);
        f->column[SIDE_RIGHT] = find_column(b, SIDE_RIGHT, c->right);
        if (f->column[SIDE_LEFT] == NULL || f->column[SIDE_RIGHT] == NULL) {
            ok = false;
            continue;
        }
        check_writable(b, SIDE_LEFT, f->column[SIDE_LEFT]);
        check_writable(b, SIDE_RIGHT, f->column[SIDE_RIGHT]);
        f->json = has_json(f, c->ciphered);
        bool known = check_charset(b, SIDE_LEFT, f->column[SIDE_LEFT]) &&
                     check_charset(b, SIDE_RIGHT, f->column[SIDE_RIGHT]);
        if (!known)
            continue;
        if (c->ciphered)
            check_ciphered(b, f);
        else
            check_pair(b, f->column);
    }
    return ok;
}

static bool is_moment(const struct column *c) { return c->kind == COL_TIMESTAMP || c->kind == COL_DATETIME; }

static bool check_sync_type(struct build *b, enum side side, const struct column *c, bool right_type,
                            const char *right)
{
    char at[400];
    check_writable(b, side, c);
    if (!right_type)
        say(b, CHECK_FAIL, NULL, "%s must be %s", where(b, side, c, at), right);
    return right_type;
}

static bool build_sync_columns(struct build *b)
{
    static const char version_type[] = "BIGINT UNSIGNED NOT NULL DEFAULT 1";
    static const char updated_type[] =
        "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)";
    static const char synced_type[] = "TIMESTAMP(6) NULL DEFAULT NULL";
    struct link *l = b->link;
    struct field *version = &l->fields[link_version_field(l)], *updated = &l->fields[link_updated_field(l)];
    bool ok = true, comparable = true;
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        version->column[s] = find_sync_column(b, s, b->config->version, version_type, "version");
        updated->column[s] = find_sync_column(b, s, b->config->updated_at, updated_type, "updated_at");
        l->synced_at[s] = find_sync_column(b, s, b->config->synced_at, synced_type, "synced_at");
        if (version->column[s] == NULL || updated->column[s] == NULL || l->synced_at[s] == NULL) {
            ok = false;
            continue;
        }
        comparable &= check_sync_type(b, s, version->column[s], version->column[s]->kind == COL_INT,
                                      "an integer");
        comparable &= check_sync_type(b, s, updated->column[s], is_moment(updated->column[s]),
                                      "a TIMESTAMP or DATETIME");
        check_sync_type(b, s, l->synced_at[s], is_moment(l->synced_at[s]), "a TIMESTAMP or DATETIME");
    }
    if (ok && comparable) {
        check_pair(b, version->column);
        check_updated_pair(b, updated->column);
        check_pair(b, updated->column);
    }
    return ok;
}

/* ---- The key ---- */

static void build_key(struct build *b)
{
    struct link *l = b->link;
    l->nkey = b->config->nkey;
    l->key = mem_zalloc(l->nkey, sizeof(*l->key));
    for (size_t i = 0; i < l->nkey; i++)
        for (size_t f = 0; f < b->config->ncolumns; f++)
            if (strcasecmp(b->config->columns[f].left, b->config->key[i]) == 0)
                l->key[i] = f;
}

/* Only numbers, dates and bytes are equal to a server exactly when their canonical texts are. Collations
 * of MariaDB pad with spaces, those named _bin too, unless they say nopad. */
static bool is_loose(const struct column *c)
{
    if (c->kind == COL_ENUM || c->kind == COL_SET)
        return true;
    return c->kind == COL_TEXT && (c->collation == NULL || strstr(c->collation, "nopad_bin") == NULL);
}

static bool is_by_bytes(const struct column *c)
{
    size_t len = c->collation != NULL ? strlen(c->collation) : 0;
    return len >= 4 && strcmp(c->collation + len - 4, "_bin") == 0;
}

static void check_key_columns(struct build *b, enum side side)
{
    char at[400];
    for (size_t i = 0; i < b->link->nkey; i++) {
        const struct column *c = b->link->fields[b->link->key[i]].column[side];
        struct buf mend = BUF_INIT;
        where(b, side, c, at);
        if (c->nullable) {
            begin_alter(&mend, b->link->table[side]);
            add_modify(&mend, c, c->type_text, false);
            say(b, CHECK_FAIL, mend.data,
                "%s is a key column and may be NULL; a row without a key cannot be found", at);
            buf_done(&mend);
        }
        if (c->kind == COL_TEXT && c->collation != NULL && !is_by_bytes(c))
            say(b, CHECK_WARN, NULL,
                "%s is a key column with collation %s: keys that differ only in what it ignores are one row",
                at, c->collation);
        if (c->kind == COL_FLOAT || c->kind == COL_DOUBLE || c->kind == COL_JSON || c->kind == COL_GEOMETRY ||
            c->kind == COL_VECTOR)
            say(b, CHECK_FAIL, NULL,
                "%s cannot be a key column: its values are not found again by what they print", at);
    }
}

static void find_loose_keys(struct link *l)
{
    l->padded_keys = true;
    for (size_t i = 0; i < l->nkey; i++)
        for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
            const struct column *c = l->fields[l->key[i]].column[s];
            if (!is_loose(c))
                continue;
            l->loose_keys = true;
            l->padded_keys = l->padded_keys && c->kind == COL_TEXT && is_by_bytes(c);
        }
}

/* Two keys of one side must be two keys of the other, and each side must be able to look for
 * the other's keys. */
static void check_key_collations(struct build *b)
{
    char left_at[400], right_at[400];
    for (size_t i = 0; i < b->link->nkey; i++) {
        const struct column *const *c = b->link->fields[b->link->key[i]].column;
        struct column like_left = *c[SIDE_RIGHT];
        struct buf mend = BUF_INIT;
        if (c[SIDE_LEFT]->collation == NULL || c[SIDE_RIGHT]->collation == NULL ||
            strcmp(c[SIDE_LEFT]->collation, c[SIDE_RIGHT]->collation) == 0)
            continue;
        like_left.charset = c[SIDE_LEFT]->charset;
        like_left.collation = c[SIDE_LEFT]->collation;
        begin_alter(&mend, b->link->table[SIDE_RIGHT]);
        add_modify(&mend, &like_left, like_left.type_text, false);
        say(b, CHECK_FAIL, mend.data,
            "%s and %s are key columns with different collations (%s, %s): what are two keys to one side can "
            "be one to the other",
            where(b, SIDE_LEFT, c[SIDE_LEFT], left_at), where(b, SIDE_RIGHT, c[SIDE_RIGHT], right_at),
            c[SIDE_LEFT]->collation, c[SIDE_RIGHT]->collation);
        buf_done(&mend);
    }
}

static bool same_labels(const struct column *a, const struct column *b)
{
    if (a->nlabels != b->nlabels)
        return false;
    for (size_t i = 0; i < a->nlabels; i++)
        if (strcmp(a->labels[i], b->labels[i]) != 0)
            return false;
    return true;
}

/* A resync and a verify go through both tables in the order of the key, so it must be one order. */
static void check_key_order(struct build *b)
{
    char left_at[400], right_at[400];
    for (size_t i = 0; i < b->link->nkey; i++) {
        const struct column *const *c = b->link->fields[b->link->key[i]].column;
        bool own_order[2];
        for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
            own_order[s] = has_labels(c[s]) || printed_length(c[s]) > 0;
        if (!own_order[SIDE_LEFT] && !own_order[SIDE_RIGHT])
            continue;
        if (c[SIDE_LEFT]->kind == c[SIDE_RIGHT]->kind && same_labels(c[SIDE_LEFT], c[SIDE_RIGHT]))
            continue;
        if (!has_labels(c[SIDE_LEFT]) && !has_labels(c[SIDE_RIGHT])) {
            say(b, CHECK_FAIL, NULL,
                "%s and %s are key columns that are sorted differently: a key column of %s needs the same "
                "type on "
                "both sides",
                where(b, SIDE_LEFT, c[SIDE_LEFT], left_at), where(b, SIDE_RIGHT, c[SIDE_RIGHT], right_at),
                printed_length(c[SIDE_LEFT]) > 0 ? c[SIDE_LEFT]->type_text : c[SIDE_RIGHT]->type_text);
            continue;
        }
        say(b, CHECK_FAIL, NULL,
            "%s and %s are key columns that are sorted differently: a key column of ENUM or SET needs the "
            "same labels "
            "in the same order on both sides",
            where(b, SIDE_LEFT, c[SIDE_LEFT], left_at), where(b, SIDE_RIGHT, c[SIDE_RIGHT], right_at));
    }
}

/* The key's fields in the order of the left's index. */
static void find_walk(struct build *b)
{
    struct link *l = b->link;
    const struct table_key *left = l->index[SIDE_LEFT], *right = l->index[SIDE_RIGHT];
    bool alike = true;
    if (left == NULL || right == NULL)
        return;
    l->walk = mem_zalloc(l->nkey, sizeof(*l->walk));
    for (size_t i = 0; i < l->nkey; i++)
        for (size_t k = 0; k < l->nkey; k++) {
            const struct field *f = &l->fields[l->key[k]];
            if (f->column[SIDE_LEFT]->ordinal != left->columns[i])
                continue;
            l->walk[i] = l->key[k];
            alike = alike && f->column[SIDE_RIGHT]->ordinal == right->columns[i];
        }
    if (!alike)
        say(b, CHECK_WARN, NULL,
            "the columns of the keys %s.%s.%s and %s.%s.%s stand in another order: a resync and a verify "
            "read the right "
            "table slowly",
            l->table[SIDE_LEFT]->db, l->table[SIDE_LEFT]->name, left->name, l->table[SIDE_RIGHT]->db,
            l->table[SIDE_RIGHT]->name, right->name);
}

static void check_key_index(struct build *b, enum side side)
{
    struct link *l = b->link;
    const struct table *t = l->table[side];
    size_t *ordinals = mem_zalloc(l->nkey, sizeof(*ordinals));
    struct buf names = BUF_INIT, mend = BUF_INIT;
    begin_alter(&mend, t);
    buf_adds(&mend, "ADD UNIQUE KEY twinlog_key (");
    for (size_t i = 0; i < l->nkey; i++) {
        const struct column *c = l->fields[l->key[i]].column[side];
        ordinals[i] = c->ordinal;
        buf_addf(&names, "%s%s", i > 0 ? ", " : "", c->name);
        buf_adds(&mend, i > 0 ? ", " : "");
        add_name(&mend, c->name);
    }
    buf_adds(&mend, ");");
    l->index[side] = table_find_key(t, ordinals, l->nkey);
    if (l->index[side] == NULL)
        say(b, CHECK_FAIL, mend.data,
            "%s %s.%s: key (%s) is not UNIQUE; no PRIMARY or UNIQUE key has just these columns",
            side_name(side), t->db, t->name, names.data);
    free(ordinals);
    buf_done(&names);
    buf_done(&mend);
}

/* ---- Columns that are not mapped ---- */

static bool is_mapped(const struct link *l, enum side side, const struct column *c)
{
    for (size_t i = 0; i < l->nfields; i++)
        if (l->fields[i].column[side] == c)
            return true;
    return l->synced_at[side] == c;
}

static void add_default(struct buf *out, const struct column *c)
{
    const char *value = NULL;
    switch (c->kind) {
    case COL_INT:
    case COL_DECIMAL:
    case COL_FLOAT:
    case COL_DOUBLE:
    case COL_BIT:
    case COL_YEAR: value = "0"; break;
    case COL_TEXT:
    case COL_BINARY:
        value = strncasecmp(c->type_text, "var", 3) == 0 || c->fixed_length
                    ? "''"
                    : NULL; /* MySQL: no TEXT literal */
        break;
    case COL_SET: value = "''"; break;
    case COL_DATE: value = "'1970-01-01'"; break;
    case COL_TIME: value = "'00:00:00'"; break;
    case COL_DATETIME:
    case COL_TIMESTAMP: value = "'1970-01-02 00:00:00'"; break; /* a TIMESTAMP in any time zone */
    case COL_UUID: value = "'00000000-0000-0000-0000-000000000000'"; break;
    case COL_INET4: value = "'0.0.0.0'"; break;
    case COL_INET6: value = "'::'"; break;
    case COL_ENUM:
    case COL_JSON:
    case COL_GEOMETRY:
    case COL_VECTOR:
    case COL_OTHER: break;
    }
    if (value == NULL) {
        add_modify(out, c, c->type_text, true);
        return;
    }
    buf_adds(out, "ALTER COLUMN ");
    add_name(out, c->name);
    buf_addf(out, " SET DEFAULT %s;", value);
}

static void check_unmapped(struct build *b, enum side side)
{
    const struct table *t = b->link->table[side];
    for (size_t i = 0; i < t->ncolumns; i++) {
        const struct column *c = &t->columns[i];
        char at[400];
        struct buf mend = BUF_INIT;
        if (c->has_default || c->nullable || c->generated || is_mapped(b->link, side, c))
            continue;
        begin_alter(&mend, t);
        add_default(&mend, c);
        say(b, CHECK_FAIL, mend.data,
            "%s is NOT NULL, has no default and is not mapped: a row from the other side could not be "
            "inserted",
            where(b, side, c, at));
        buf_done(&mend);
    }
}

/* ---- Keys of ciphered columns ---- */

static void build_keyrings(struct build *b)
{
    for (size_t i = 0; i < b->config->ncolumns; i++) {
        const struct config_column *c = &b->config->columns[i];
        struct err err = ERR_INIT;
        unsigned char(*keys)[CIPHER_KEY_BYTES];
        size_t count;
        if (!c->ciphered)
            continue;
        if (!config_column_keys(c, &keys, &count, &err)) {
            say(b, CHECK_FAIL, NULL, "key of column %s: %s", c->left, err.text);
            continue;
        }
        b->link->fields[i].keys = keyring_new((const unsigned char(*)[CIPHER_KEY_BYTES])keys, count);
        mem_wipe_free(keys, count * sizeof(*keys));
    }
}

bool link_reload_keys(const struct link *link, const struct config_link *c, struct err *err)
{
    struct {
        unsigned char (*keys)[CIPHER_KEY_BYTES];
        size_t count;
    } *fresh = mem_zalloc(c->ncolumns, sizeof(*fresh));
    bool ok = true;

    /* All are read before the first is replaced. */
    for (size_t i = 0; i < c->ncolumns && ok; i++)
        if (c->columns[i].ciphered)
            ok = config_column_keys(&c->columns[i], &fresh[i].keys, &fresh[i].count, err) ||
                 err_prefix(err, "key of column %s", c->columns[i].left);
    for (size_t i = 0; i < c->ncolumns; i++) {
        if (fresh[i].keys == NULL)
            continue;
        if (ok)
            keyring_replace(link->fields[i].keys, (const unsigned char(*)[CIPHER_KEY_BYTES])fresh[i].keys,
                            fresh[i].count);
        mem_wipe_free(fresh[i].keys, fresh[i].count * CIPHER_KEY_BYTES);
    }
    free(fresh);
    return ok;
}

/* ---- The whole ---- */

struct link *link_build(const struct config_link *c, struct table *left, struct table *right,
                        check_report *report, void *arg)
{
    struct link *l = mem_zalloc(1, sizeof(*l));
    struct build b = {.config = c, .link = l, .report = report, .arg = arg};
    l->name = mem_strdup(c->name);
    l->table[SIDE_LEFT] = left;
    l->table[SIDE_RIGHT] = right;
    l->authority = c->authority;
    l->delete_beats_update = c->delete_beats_update;
    l->keep_conflicts = c->keep_conflicts;
    l->keep_conflict_days = c->keep_conflict_days;
    l->nfields = c->ncolumns + 2;
    l->fields = mem_zalloc(l->nfields, sizeof(*l->fields));
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++)
        l->server[s] = mem_strdup(c->side[s].server);

    bool mapped = build_mapped(&b), synced = build_sync_columns(&b);
    build_key(&b);
    if (mapped) {
        check_key_collations(&b);
        check_key_order(&b);
        find_loose_keys(l);
    }
    for (enum side s = SIDE_LEFT; s <= SIDE_RIGHT; s++) {
        if (mapped) {
            check_key_columns(&b, s);
            check_key_index(&b, s);
        }
        if (mapped && synced)
            check_unmapped(&b, s);
    }
    if (mapped)
        find_walk(&b);
    build_keyrings(&b);
    if (!b.failed)
        return l;
    link_free(l);
    return NULL;
}
