/*
 * No parser: a lexer that knows comments, strings and quoted names, the verb,
 * and for each verb where the tables stand that it changes. Text in doubt counts as
 * naming the table: a false alarm stops one direction with a clear reason, a
 * missed one would lose rows.
 */
#include "cdc/binlog/statement.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NAME /* quoted */, TOKEN_STRING, TOKEN_SYMBOL };

struct token {
    enum token_kind kind;
    const char *text; /* without the quotes */
    size_t len;
    char quote; /* of a TOKEN_NAME: stands doubled in the text */
};

struct lexer {
    const char *p, *end;
};

static bool looking_at(const struct lexer *l, const char *s)
{
    size_t n = strlen(s);
    return (size_t)(l->end - l->p) >= n && memcmp(l->p, s, n) == 0;
}

static void skip_line(struct lexer *l)
{
    while (l->p < l->end && *l->p != '\n')
        l->p++;
}

/* A comment whose content the servers run is stepped into, any other over. */
static void skip_comment(struct lexer *l)
{
    bool run = looking_at(l, "/*!") || looking_at(l, "/*M!");
    if (run) {
        l->p += l->p[2] == 'M' ? 4 : 3;
        while (l->p < l->end && isdigit((unsigned char)*l->p))
            l->p++;
        return;
    }
    l->p += 2;
    while (l->p < l->end && !looking_at(l, "*/"))
        l->p++;
    l->p += looking_at(l, "*/") ? 2 : 0;
}

static void skip_blank(struct lexer *l)
{
    for (;;) {
        while (l->p < l->end && isspace((unsigned char)*l->p))
            l->p++;
        if (looking_at(l, "/*"))
            skip_comment(l);
        else if (looking_at(l, "*/")) /* the end of one that was stepped into */
            l->p += 2;
        else if (looking_at(l, "#") || looking_at(l, "-- ") || looking_at(l, "--\n") || looking_at(l, "--\t"))
            skip_line(l);
        else
            return;
    }
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

static struct token quoted(struct lexer *l, char quote)
{
    struct token t = {quote == '\'' ? TOKEN_STRING : TOKEN_NAME, ++l->p, 0, quote};
    for (; l->p < l->end; l->p++) {
        if (*l->p == '\\' && quote != '`' && l->p + 1 < l->end)
            l->p++;
        else if (*l->p == quote && l->p + 1 < l->end && l->p[1] == quote)
            l->p++;
        else if (*l->p == quote)
            break;
    }
    t.len = (size_t)(l->p - t.text);
    l->p += l->p < l->end;
    return t;
}

static struct token next(struct lexer *l)
{
    skip_blank(l);
    if (l->p >= l->end)
        return (struct token){TOKEN_END, l->end, 0, 0};
    /* "..." is a name with ANSI_QUOTES and a string without: taken as a name, which in doubt is the safe
     * side. */
    if (*l->p == '`' || *l->p == '"' || *l->p == '\'')
        return quoted(l, *l->p);
    struct token t = {TOKEN_SYMBOL, l->p, 1, 0};
    if (is_word(*l->p)) {
        t.kind = TOKEN_WORD;
        while (l->p < l->end && is_word(*l->p))
            l->p++;
        t.len = (size_t)(l->p - t.text);
    } else {
        l->p++;
    }
    return t;
}

static struct token peek(const struct lexer *l)
{
    struct lexer copy = *l;
    return next(&copy);
}

static bool is(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && strlen(word) == t->len && strncasecmp(t->text, word, t->len) == 0;
}

static bool is_any(const struct token *t, const char *const *words)
{
    for (; *words != NULL; words++)
        if (is(t, *words))
            return true;
    return false;
}

static bool is_symbol(const struct token *t, char c) { return t->kind == TOKEN_SYMBOL && *t->text == c; }

static bool take(struct lexer *l, const char *word)
{
    struct token t = peek(l);
    if (!is(&t, word))
        return false;
    next(l);
    return true;
}

static void take_all(struct lexer *l, const char *const *words)
{
    for (struct token t = peek(l); is_any(&t, words); t = peek(l))
        next(l);
}

/* The table in question. */
struct subject {
    const char *default_db;
    size_t default_db_len;
    const char *db, *table;
    bool any; /* every table of its database is */
};

static bool name_is(const struct token *t, const char *name)
{
    size_t n = 0, len = strlen(name);
    for (size_t i = 0; i < t->len; i++, n++) {
        if (t->kind == TOKEN_NAME && t->text[i] == t->quote)
            i++; /* doubled */
        if (i >= t->len || n >= len || tolower((unsigned char)t->text[i]) != tolower((unsigned char)name[n]))
            return false;
    }
    return n == len;
}

static bool is_name(const struct token *t) { return t->kind == TOKEN_WORD || t->kind == TOKEN_NAME; }

/* first is a name just taken: reads on to the end of first.second.third and says whether it is the table. */
static bool take_name(struct lexer *l, struct token first, const struct subject *s)
{
    struct token part[3] = {first};
    size_t n = 1;
    for (struct token t = peek(l); is_symbol(&t, '.'); t = peek(l)) {
        next(l);
        struct token name = next(l);
        if (n < 3)
            part[n++] = name;
    }
    if (n == 1)
        return strlen(s->db) == s->default_db_len &&
               strncasecmp(s->db, s->default_db, s->default_db_len) == 0 &&
               (s->any || name_is(&part[0], s->table));
    return name_is(&part[0], s->db) && (s->any || (n == 2 && name_is(&part[1], s->table)));
}

static const char *const no_words[] = {NULL};
static const char *const condition[] = {"IF", "NOT", "EXISTS", NULL};

static bool target_is(struct lexer *l, const struct subject *s)
{
    struct token t = next(l);
    return is_name(&t) && take_name(l, t, s);
}

/* Is the table named before one of these words comes, outside of parentheses? */
static bool names_before(struct lexer *l, const struct subject *s, const char *const *ends)
{
    /* Reserved on both servers: no table's name without quotes. */
    static const char *const reserved[] = {"FROM",  "USING", "JOIN",         "INNER",   "LEFT",
                                           "RIGHT", "OUTER", "CROSS",        "NATURAL", "STRAIGHT_JOIN",
                                           "ON",    "AS",    "LOW_PRIORITY", "IGNORE",  NULL};
    int depth = 0;
    for (struct token t = next(l); t.kind != TOKEN_END; t = next(l)) {
        if (is_symbol(&t, '('))
            depth++;
        else if (is_symbol(&t, ')'))
            depth--;
        else if (depth == 0 && is_any(&t, ends))
            return false;
        else if (is_name(&t) && !is_any(&t, reserved) && take_name(l, t, s))
            return true;
    }
    return false;
}

static bool names(struct lexer *l, const struct subject *s) { return names_before(l, s, no_words); }

static enum statement_effect effect_if(bool named, enum statement_effect effect)
{
    return named ? effect : STATEMENT_HARMLESS;
}

/* Reads one clause of ALTER TABLE to its comma. Does it leave all columns what and where they are? New ones at the end
 * do no harm; ALTER c is about its default. */
static bool clause_spares_columns(struct lexer *l)
{
    static const char *const spares[] = {"ENABLE",  "DISABLE",        "ALGORITHM",  "LOCK",  "ENGINE",
                                         "COMMENT", "AUTO_INCREMENT", "ROW_FORMAT", "ALTER", "FORCE",
                                         NULL};
    static const char *const moves[] = {"FIRST", "AFTER", NULL};
    static const char *const verbs[] = {"ADD", "DROP", "RENAME", NULL};
    static const char *const others[] = {"INDEX",   "KEY",     "UNIQUE",     "FULLTEXT", "SPATIAL",
                                         "PRIMARY", "FOREIGN", "CONSTRAINT", "CHECK",    NULL};
    struct token t = next(l), object = peek(l);
    bool of_others = is_any(&t, verbs) && is_any(&object, others), adds = is(&t, "ADD"), moved = false;
    bool spares_all = is_any(&t, spares);
    for (int depth = 0; t.kind != TOKEN_END && !(depth == 0 && is_symbol(&t, ',')); t = next(l)) {
        depth += is_symbol(&t, '(') ? 1 : is_symbol(&t, ')') ? -1 : 0;
        moved = moved || (depth == 0 && is_any(&t, moves));
    }
    return spares_all || of_others || (adds && !moved);
}

/* l stands behind ALTER TABLE. */
static bool spares_columns(struct lexer l)
{
    take_all(&l, condition);
    struct token name = next(&l);
    for (struct token t = peek(&l); is_name(&name) && is_symbol(&t, '.'); t = peek(&l)) {
        next(&l);
        next(&l);
    }
    bool spares = true;
    for (struct token t = peek(&l); spares && t.kind != TOKEN_END; t = peek(&l))
        spares = clause_spares_columns(&l);
    return spares;
}

/* What the clauses behind ALTER TABLE t do to its rows. */
static enum statement_effect alter_clauses(struct lexer l)
{
    static const char *const storage[] = {"PARTITION", "TABLESPACE", "TABLE", NULL};
    static const char *const swaps[] = {"EXCHANGE", "DISCARD", "IMPORT", "CONVERT", NULL};
    static const char *const empties[] = {"TRUNCATE", "DROP", NULL};
    static const char *const parts[] = {"COLUMN", "INDEX", "KEY", NULL};
    enum statement_effect effect = spares_columns(l) ? STATEMENT_HARMLESS : STATEMENT_ALTERS;

    for (struct token t = next(&l); t.kind != TOKEN_END; t = next(&l)) {
        struct token follower = peek(&l);
        if (is_any(&t, swaps) && is_any(&follower, storage))
            return STATEMENT_REPLACES;
        if (is_any(&t, empties) && is(&follower, "PARTITION"))
            effect = STATEMENT_EMPTIES;
        if (is(&t, "RENAME") && !is_any(&follower, parts))
            return STATEMENT_REPLACES;
    }
    return effect;
}

/* Reads what stands between ALTER and TABLE. False: another object is altered. */
static bool take_alter_table(struct lexer *l, bool *ret_ignore)
{
    *ret_ignore = false;
    for (struct token t = next(l); !is(&t, "TABLE"); t = next(l)) {
        if (is(&t, "IGNORE")) /* drops the rows that a new UNIQUE index cannot hold */
            *ret_ignore = true;
        else if (!is(&t, "ONLINE") && !is(&t, "OFFLINE"))
            return false;
    }
    return true;
}

static enum statement_effect alter(struct lexer *l, const struct subject *s)
{
    bool ignore;
    if (!take_alter_table(l, &ignore))
        return STATEMENT_HARMLESS;
    struct lexer whole = *l;
    if (!names(l, s))
        return STATEMENT_HARMLESS;
    enum statement_effect effect = alter_clauses(whole);
    return ignore && (effect == STATEMENT_ALTERS || effect == STATEMENT_HARMLESS) ? STATEMENT_WRITES : effect;
}

static enum statement_effect drop(struct lexer *l, const struct subject *s)
{
    struct token t = next(l);
    if (is(&t, "TABLE") || is(&t, "TABLES"))
        return effect_if(names(l, s), STATEMENT_REPLACES);
    if (is(&t, "DATABASE") || is(&t, "SCHEMA")) {
        take_all(l, condition);
        struct token name = next(l);
        return effect_if(is_name(&name) && name_is(&name, s->db), STATEMENT_REPLACES);
    }
    return STATEMENT_HARMLESS; /* INDEX and TEMPORARY TABLE among them */
}

/* RENAME TABLE a TO b, c TO d ... */
static enum statement_effect rename_tables(struct lexer *l, const struct subject *s)
{
    bool gone = false, back = false;
    if (!take(l, "TABLE") && !take(l, "TABLES"))
        return STATEMENT_HARMLESS; /* USER */
    take_all(l, condition);
    for (struct token t = next(l); t.kind != TOKEN_END; t = next(l)) {
        if (is_name(&t) && take_name(l, t, s)) {
            gone = true;
            back = false;
        }
        for (t = peek(l); t.kind != TOKEN_END && !is_symbol(&t, ','); t = peek(l)) {
            next(l);
            if (is(&t, "TO") && target_is(l, s))
                back = true;
        }
        next(l);
    }
    if (!gone)
        return effect_if(back, STATEMENT_REPLACES); /* there was none under its name */
    return back ? STATEMENT_SWAPS : STATEMENT_REPLACES;
}

static enum statement_effect create(struct lexer *l, const struct subject *s)
{
    bool replace = take(l, "OR") && take(l, "REPLACE");
    if (replace && (take(l, "DATABASE") || take(l, "SCHEMA"))) {
        struct token name = next(l);
        return effect_if(is_name(&name) && name_is(&name, s->db), STATEMENT_REPLACES);
    }
    if (!take(l, "TABLE"))
        return STATEMENT_HARMLESS;
    take_all(l, condition);
    return effect_if(target_is(l, s), replace ? STATEMENT_REPLACES : STATEMENT_ALTERS);
}

static enum statement_effect insert(struct lexer *l, const struct subject *s)
{
    static const char *const modifiers[] = {"LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED",
                                            "IGNORE",       "INTO",          NULL};
    take_all(l, modifiers);
    return effect_if(target_is(l, s), STATEMENT_WRITES);
}

static enum statement_effect load(struct lexer *l, const struct subject *s)
{
    for (struct token t = next(l); t.kind != TOKEN_END; t = next(l))
        if (is(&t, "TABLE"))
            return effect_if(target_is(l, s), STATEMENT_WRITES);
    return STATEMENT_HARMLESS;
}

static const char *const writers[] = {"INSERT", "REPLACE", "UPDATE", "DELETE", "LOAD", "WITH", NULL};

/* The verb; SET STATEMENT variable = value FOR verb is what stands behind FOR. ANALYZE runs a statement, too. */
static struct token verb(struct lexer *l)
{
    static const char *const analyze[] = {"FORMAT", "JSON", "TRADITIONAL", "TREE", NULL};
    struct token t = next(l);
    if (is(&t, "ANALYZE") || is(&t, "EXPLAIN")) {
        struct lexer behind = *l;
        struct token run = next(&behind);
        while (is_any(&run, analyze) || is_symbol(&run, '='))
            run = next(&behind);
        if (is_any(&run, writers)) {
            *l = behind;
            return run;
        }
    }
    if (is(&t, "SET") && take(l, "STATEMENT")) {
        do
            t = next(l);
        while (t.kind != TOKEN_END && !is(&t, "FOR"));
        t = next(l);
    }
    return t;
}

/* Rows that were written and logged as text. */
static enum statement_effect dml(struct lexer *l, const struct token *verb, const struct subject *s)
{
    static const char *const update_ends[] = {"SET", NULL}, *const delete_ends[] = {"WHERE", NULL};
    const struct subject near = {s->default_db, s->default_db_len, s->db, s->table, .any = true};

    if (is(verb, "INSERT") || is(verb, "REPLACE"))
        return insert(l, &near);
    if (is(verb, "LOAD"))
        return load(l, &near);
    if (is(verb, "WITH"))
        return effect_if(names(l, &near), STATEMENT_WRITES);
    return effect_if(names_before(l, &near, is(verb, "UPDATE") ? update_ends : delete_ends),
                     STATEMENT_WRITES);
}

enum statement_effect statement_effect(const char *sql, size_t len, const char *default_db,
                                       size_t default_db_len, const char *db, const char *table)
{
    /* Logged only if they ran a function that writes, and it does not stand here what. */
    static const char *const calls[] = {"SELECT", "DO", "CALL", NULL};
    struct lexer l = {sql, sql + len};
    struct subject s = {default_db, default_db_len, db, table, .any = false};
    struct token t = verb(&l);

    if (is_any(&t, writers))
        return dml(&l, &t, &s);
    if (is_any(&t, calls))
        return STATEMENT_WRITES;
    if (is(&t, "TRUNCATE"))
        return effect_if(names(&l, &s), STATEMENT_EMPTIES);
    if (is(&t, "DROP"))
        return drop(&l, &s);
    if (is(&t, "RENAME"))
        return rename_tables(&l, &s);
    if (is(&t, "ALTER"))
        return alter(&l, &s);
    if (is(&t, "CREATE"))
        return create(&l, &s);
    return STATEMENT_HARMLESS;
}

bool statement_adds_cascade(const char *sql, size_t len, const char *default_db, size_t default_db_len,
                            const char *db, const char *table)
{
    static const char *const events[] = {"DELETE", "UPDATE", NULL}, *const actions[] = {"CASCADE", "SET",
                                                                                        NULL};
    struct lexer l = {sql, sql + len};
    struct subject s = {default_db, default_db_len, db, table, .any = false};
    struct token t = verb(&l);
    bool ignore, references = false;

    if (!is(&t, "ALTER") || !take_alter_table(&l, &ignore))
        return false;
    take_all(&l, condition);
    if (!target_is(&l, &s))
        return false;
    for (t = next(&l); t.kind != TOKEN_END; t = next(&l)) {
        references = references || is(&t, "REFERENCES");
        if (!references || !is(&t, "ON"))
            continue;
        t = next(&l);
        struct token action = peek(&l);
        if (is_any(&t, events) && is_any(&action, actions))
            return true;
    }
    return false;
}

/* CHANGE or RENAME COLUMN: this name goes. Who takes it over need not be asked: it has to go first. */
static bool gives_name_away(struct lexer *l, const char *column)
{
    struct token old = next(l);
    take(l, "TO");
    struct token new = next(l);
    return name_is(&old, column) && !name_is(&new, column);
}

bool statement_takes_column(const char *sql, size_t len, const char *column)
{
    static const char *const words[] = {"COLUMN", "IF", "EXISTS", NULL};
    static const char *const not_columns[] = {"INDEX", "KEY",       "PRIMARY", "FOREIGN", "CONSTRAINT",
                                              "CHECK", "PARTITION", "DEFAULT", NULL};
    struct lexer l = {sql, sql + len};
    for (struct token t = next(&l); t.kind != TOKEN_END; t = next(&l)) {
        bool drops = is(&t, "DROP"), changes = is(&t, "CHANGE");
        if (is(&t, "RENAME")) {
            struct token object = peek(&l);
            changes = is(&object, "COLUMN");
        }
        if (!drops && !changes)
            continue;
        take_all(&l, words);
        if (changes && gives_name_away(&l, column))
            return true;
        struct token name = peek(&l);
        if (drops && is_name(&name) && !is_any(&name, not_columns) && name_is(&name, column))
            return true;
    }
    return false;
}

static enum statement_kind xa_kind(struct lexer *l)
{
    static const char *const inside[] = {"START", "BEGIN", "END", "PREPARE", NULL};
    static const char *const done[] = {"COMMIT", "ROLLBACK", NULL};
    struct token t = next(l);
    return is_any(&t, inside) ? STATEMENT_XA_INSIDE : is_any(&t, done) ? STATEMENT_XA_DONE : STATEMENT_OTHER;
}

enum statement_kind statement_kind(const char *sql, size_t len)
{
    struct lexer l = {sql, sql + len};
    struct token t = next(&l);
    if (is(&t, "BEGIN"))
        return STATEMENT_BEGIN;
    if (is(&t, "START"))
        return take(&l, "TRANSACTION") ? STATEMENT_BEGIN : STATEMENT_OTHER;
    if (is(&t, "COMMIT"))
        return STATEMENT_COMMIT;
    if (is(&t, "SAVEPOINT") || is(&t, "RELEASE"))
        return STATEMENT_SAVEPOINT;
    if (is(&t, "XA"))
        return xa_kind(&l);
    if (!is(&t, "ROLLBACK"))
        return STATEMENT_OTHER;
    take(&l, "WORK");
    return take(&l, "TO") ? STATEMENT_ROLLBACK_TO : STATEMENT_ROLLBACK;
}
