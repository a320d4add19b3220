/*
 * column.c - tables as information_schema describes them, and the canonical form
 * of what a SELECT returned (value.h says what that is for each kind).
 */
#include "cdc/model/column.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/mem.h"

static void column_done(struct column *c)
{
    for (size_t i = 0; i < c->nlabels; i++)
        free(c->labels[i]);
    free(c->labels);
    free(c->name);
    free(c->type_text);
    free(c->charset);
    free(c->collation);
    charset_free(c->convert);
}

void table_free(struct table *t)
{
    if (t == NULL)
        return;
    for (size_t i = 0; t->columns != NULL && i < t->ncolumns; i++)
        column_done(&t->columns[i]);
    for (size_t i = 0; t->keys != NULL && i < t->nkeys; i++) {
        free(t->keys[i].name);
        free(t->keys[i].columns);
    }
    free(t->columns);
    free(t->keys);
    free(t->db);
    free(t->name);
    free(t);
}

const struct column *table_column(const struct table *t, const char *name)
{
    for (size_t i = 0; i < t->ncolumns; i++)
        if (strcasecmp(t->columns[i].name, name) == 0)
            return &t->columns[i];
    return NULL;
}

static bool has_ordinal(const size_t *ordinals, size_t count, size_t wanted)
{
    for (size_t i = 0; i < count; i++)
        if (ordinals[i] == wanted)
            return true;
    return false;
}

/* An index names a column once, a caller might not: each must be in the other. */
static bool same_ordinals(const struct table_key *k, const size_t *ordinals, size_t count)
{
    if (k->ncolumns != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!has_ordinal(ordinals, count, k->columns[i]) || !has_ordinal(k->columns, count, ordinals[i]))
            return false;
    return true;
}

const struct table_key *table_find_key(const struct table *t, const size_t *ordinals, size_t count)
{
    for (size_t i = 0; i < t->nkeys; i++)
        if (same_ordinals(&t->keys[i], ordinals, count))
            return &t->keys[i];
    return NULL;
}

static void free_labels(char **labels, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(labels[i]);
    free(labels);
}

/* One quoted label; moves *s behind the closing quote. COLUMN_TYPE doubles a
 * quote, and writes NUL, line end, return and backslash with a backslash
 * whatever the sql_mode (append_unescaped() of both servers). */
static char *parse_label(const char **s)
{
    const char *p = *s;
    if (*p++ != '\'')
        return NULL;

    char *label = mem_alloc(strlen(p) + 1);
    size_t len = 0;
    for (;; p++) {
        char c = *p;
        if (c == '\'' && *++p != '\'')
            break;
        if (c == '\\') {
            p++;
            c = *p == 'n' ? '\n' : *p == 'r' ? '\r' : *p == '0' ? '\0' : *p;
        }
        /* A label is a C string here: one with a NUL in it is refused with the malformed ones. */
        if (c == '\0') {
            free(label);
            return NULL;
        }
        label[len++] = c;
    }
    label[len] = '\0';
    *s = p;
    return label;
}

static const char *after_type_name(const char *type_text)
{
    if (strncasecmp(type_text, "enum(", 5) == 0)
        return type_text + 5;
    if (strncasecmp(type_text, "set(", 4) == 0)
        return type_text + 4;
    return NULL;
}

/* Replaces c->labels; on an error they stay. */
bool column_parse_labels(struct column *c, const char *type_text, struct err *err)
{
    char **labels = NULL;
    size_t count = 0;
    const char *s = after_type_name(type_text);

    if (s == NULL)
        goto malformed;
    for (;;) {
        char *label = parse_label(&s);
        if (label == NULL)
            goto malformed;
        labels = mem_realloc(labels, (count + 1) * sizeof *labels);
        labels[count++] = label;
        if (*s == ')')
            break;
        if (*s++ != ',')
            goto malformed;
    }
    if (s[1] != '\0')
        goto malformed;

    free_labels(c->labels, c->nlabels);
    c->labels = labels;
    c->nlabels = count;
    return true;

malformed:
    free_labels(labels, count);
    return err_set(err, ERR_CONFIG, 0, "cannot read the labels of column %s from its type",
                   c->name != NULL ? c->name : "?");
}

static void set_text(struct value *v, const char *text, size_t len)
{
    *v = (struct value){text, (uint32_t)len, VALUE_SET};
}

static bool is_digits(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] < '0' || s[i] > '9')
            return false;
    return len > 0;
}

static bool all_zeros(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] >= '1' && s[i] <= '9')
            return false;
    return true;
}

/* Behind the point: without trailing zeros, and without the point if nothing is left. */
static size_t trim_fraction(const char *s, size_t len)
{
    if (memchr(s, '.', len) == NULL)
        return len;
    while (s[len - 1] == '0')
        len--;
    return s[len - 1] == '.' ? len - 1 : len;
}

/* Integers (ZEROFILL pads them) and DECIMAL. "-00.50" -> "-0.5", "-0.00" -> "0". */
static void canonical_number(const char *s, size_t len, struct arena *arena, struct value *ret_value)
{
    const char *text = s;
    bool negative = len > 0 && *s == '-';
    if (len > 0 && (*s == '-' || *s == '+')) {
        s++;
        len--;
    }

    const char *point = len > 0 ? memchr(s, '.', len) : NULL;
    size_t whole = point != NULL ? (size_t)(point - s) : len;
    size_t fraction = len - whole - (point != NULL);
    if ((whole > 0 && !is_digits(s, whole)) || (fraction > 0 && !is_digits(point + 1, fraction)) ||
        whole + fraction == 0) {
        set_text(ret_value, text, (size_t)(s - text) + len); /* no number: as it is */
        return;
    }

    if (all_zeros(s, len)) {
        set_text(ret_value, "0", 1);
        return;
    }
    len = trim_fraction(s, len);
    while (len > 1 && s[0] == '0' && s[1] != '.') {
        s++;
        len--;
    }
    /* The sign stands right in front unless zeros were taken away between. */
    bool lacks_zero = s[0] == '.';
    if (!lacks_zero && !negative) {
        set_text(ret_value, s, len);
        return;
    }
    if (!lacks_zero && s - text == 1) {
        set_text(ret_value, text, len + 1);
        return;
    }
    char *copy = arena_alloc(arena, len + 2);
    size_t n = 0;
    if (negative)
        copy[n++] = '-';
    if (lacks_zero)
        copy[n++] = '0';
    memcpy(copy + n, s, len);
    set_text(ret_value, copy, n + len);
}

/* The servers' text is the shortest one that reads as the same double; a FLOAT's
 * value is that of the float, as a row image holds it. */
static void canonical_double(const struct column *c, const char *text, size_t len, struct arena *arena,
                             struct value *ret_value)
{
    char *end;
    const char *copy = arena_copy(arena, text, len); /* for the NUL */
    double d = strtod(copy, &end);
    if (len == 0 || end != copy + len) {
        set_text(ret_value, text, len);
        return;
    }
    if (c->kind == COL_FLOAT)
        d = (double)(float)d;
    if (d == 0)
        d = 0; /* not -0 */

    char number[40];
    int n = snprintf(number, sizeof number, "%.17g", d);
    set_text(ret_value, arena_copy(arena, number, (size_t)n), (size_t)n);
}

static void canonical_time(const char *text, size_t len, struct value *ret_value)
{
    len = len > 0 ? trim_fraction(text, len) : 0;
    if (len > 0 && text[0] == '-' && all_zeros(text, len)) {
        text++;
        len--;
    }
    set_text(ret_value, text, len);
}

static void canonical_padded(char pad, bool in_front, size_t width, const char *text, size_t len,
                             struct arena *arena, struct value *ret_value)
{
    if (len >= width) {
        set_text(ret_value, text, len);
        return;
    }
    char *copy = arena_alloc(arena, width);
    memset(copy, pad, width);
    if (len > 0)
        memcpy(copy + (in_front ? width - len : 0), text, len);
    set_text(ret_value, copy, width);
}

struct label {
    const char *text;
    size_t len;
};

static int compare_labels(const void *a, const void *b)
{
    const struct label *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->len < y->len ? x->len : y->len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* The servers list the labels of a SET in the order of its definition, which may be another on the
 * other side. No label holds a comma. */
static void canonical_set(const char *text, size_t len, struct arena *arena, struct value *ret_value)
{
    struct label labels[64];
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= len && n < 64; i++) {
        if (i < len && text[i] != ',')
            continue;
        labels[n++] = (struct label){text + start, i - start};
        start = i + 1;
    }
    if (n < 2) {
        set_text(ret_value, text, len);
        return;
    }
    qsort(labels, n, sizeof labels[0], compare_labels);

    char *sorted = arena_alloc(arena, len);
    size_t used = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            sorted[used++] = ',';
        memcpy(sorted + used, labels[i].text, labels[i].len);
        used += labels[i].len;
    }
    set_text(ret_value, sorted, used);
}

/* "6CCD780CBABA...": 32 digits in lower case, with hyphens after the 8th, 12th, 16th and 20th. */
static bool canonical_uuid(const char *text, size_t len, struct arena *arena, struct value *ret_value)
{
    enum { UUID_TEXT = 36 };
    char *copy = arena_alloc(arena, UUID_TEXT);
    size_t n = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '-')
            continue;
        if (n == 8 || n == 13 || n == 18 || n == 23)
            copy[n++] = '-';
        if (n == UUID_TEXT || !isxdigit((unsigned char)text[i])) {
            n = 0;
            break;
        }
        copy[n++] = (char)tolower((unsigned char)text[i]);
    }
    if (n == UUID_TEXT)
        set_text(ret_value, copy, n);
    else
        set_text(ret_value, text, len);
    return n == UUID_TEXT;
}

static bool canonical_inet(int family, const char *text, size_t len, struct arena *arena,
                           struct value *ret_value)
{
    unsigned char address[sizeof(struct in6_addr)];
    char printed[INET6_ADDRSTRLEN];
    const char *copy = arena_copy(arena, text, len); /* for the NUL */

    if (strlen(copy) != len || inet_pton(family, copy, address) != 1 ||
        inet_ntop(family, address, printed, sizeof printed) == NULL) {
        set_text(ret_value, text, len);
        return false;
    }
    set_text(ret_value, arena_copy(arena, printed, strlen(printed)), strlen(printed));
    return true;
}

/* UUID, INET4, INET6. What is none stays as it is, and false. */
static bool canonical_network(const struct column *c, const char *text, size_t len, struct arena *arena,
                              struct value *ret_value)
{
    if (c->kind == COL_UUID)
        return canonical_uuid(text, len, arena, ret_value);
    return canonical_inet(c->kind == COL_INET4 ? AF_INET : AF_INET6, text, len, arena, ret_value);
}

void column_canonical(const struct column *c, const char *text, size_t len, struct arena *arena,
                      struct value *ret_value)
{
    switch (c->kind) {
    case COL_INT:
    case COL_BIT:
    case COL_DECIMAL: canonical_number(text, len, arena, ret_value); return;
    case COL_FLOAT:
    case COL_DOUBLE: canonical_double(c, text, len, arena, ret_value); return;
    case COL_YEAR: canonical_padded('0', true, 4, text, len, arena, ret_value); return;
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP: canonical_time(text, len, ret_value); return;
    case COL_BINARY:
        canonical_padded('\0', false, c->fixed_length ? c->length : 0, text, len, arena, ret_value);
        return;
    case COL_SET: canonical_set(text, len, arena, ret_value); return;
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: canonical_network(c, text, len, arena, ret_value); return;
    case COL_DATE:
    case COL_TEXT:
    case COL_ENUM:
    case COL_JSON:
    case COL_GEOMETRY:
    case COL_VECTOR:
    case COL_OTHER: break;
    }
    set_text(ret_value, text, len);
}

/* ---- What a column holds ---- */

static size_t fraction_digits(const char *text, size_t len)
{
    const char *point = len > 0 ? memchr(text, '.', len) : NULL;

    return point != NULL ? len - (size_t)(point - text) - 1 : 0;
}

/* As both servers round to D digits behind the point (Field_real::truncate()); the whole part is taken off before, so
 * that -0.0001 becomes -1 + 0.9999. */
static double rounded(double d, unsigned scale)
{
    double power = 1;

    for (unsigned i = 0; i < scale; i++)
        power *= 10;
    return floor(d) + rint((d - floor(d)) * power) / power;
}

/* A FLOAT rounds to its own digits, a FLOAT(M,D) and DOUBLE(M,D) to D behind the point before that. */
static bool holds_double(const struct column *c, const char *text, size_t len)
{
    char number[64];

    if (len == 0 || len >= sizeof number)
        return true; /* no number, which is found out later */
    memcpy(number, text, len);
    number[len] = '\0';

    double d = strtod(number, NULL), r = c->precision > 0 ? rounded(d, c->scale) : d;

    /* What a FLOAT(M,D) holds is a float near the rounded number. */
    return c->kind == COL_FLOAT ? (double)(float)d == d && (float)r == (float)d : r == d;
}

static size_t count_characters(const char *text, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

static bool holds_text(const struct column *c, const char *text, size_t len, const char **ret_why)
{
    /* Of what is too long, spaces at the end are cut off without a word. */
    bool long_bytes = c->large_text && c->convert == NULL;

    *ret_why = "it is longer than the column";
    if (c->length > 0 && (long_bytes ? len : c->large_text ? 0 : count_characters(text, len)) > c->length)
        return false;
    *ret_why = "CHAR drops spaces at the end";
    return !c->fixed_length || len == 0 || text[len - 1] != ' ';
}

static bool is_label(const struct column *c, const char *text, size_t len)
{
    for (size_t i = 0; i < c->nlabels; i++)
        if (strlen(c->labels[i]) == len && memcmp(c->labels[i], text, len) == 0)
            return true;
    return false;
}

/* A server takes a label in other letters (collation), and a number for that of a label. */
static bool holds_labels(const struct column *c, const char *text, size_t len)
{
    if (c->nlabels == 0)
        return true;
    if (c->kind == COL_ENUM)
        return is_label(c, text, len);
    for (const char *last = NULL, *end = text + len; len > 0 && text <= end;) {
        const char *comma = text < end ? memchr(text, ',', (size_t)(end - text)) : NULL;
        size_t n = (size_t)((comma != NULL ? comma : end) - text);

        /* It comes back in the order of value.h, each label once. */
        if (!is_label(c, text, n) ||
            (last != NULL &&
             compare_labels(&(struct label){last, (size_t)(text - 1 - last)}, &(struct label){text, n}) >= 0))
            return false;
        last = text;
        text += n + 1;
    }
    return true;
}

/* Is it in canonical form already? Another text, which the server may take too, would read back as another one. */
static bool holds_exactly(const struct column *c, const char *text, size_t len)
{
    struct arena arena;
    struct value v;

    arena_init(&arena);
    bool same = canonical_network(c, text, len, &arena, &v) && v.len == len && memcmp(v.data, text, len) == 0;

    arena_done(&arena);
    return same;
}

bool column_holds(const struct column *c, const char *text, size_t len, const char **ret_why)
{
    switch (c->kind) {
    case COL_DECIMAL:
        *ret_why = "it has more digits behind the point";
        return c->precision == 0 || fraction_digits(text, len) <= c->scale;
    case COL_FLOAT:
    case COL_DOUBLE: *ret_why = "it has more digits than the column keeps"; return holds_double(c, text, len);
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        *ret_why = "it has more digits of a second";
        return fraction_digits(text, len) <= c->precision;
    case COL_TEXT: return holds_text(c, text, len, ret_why);
    case COL_BINARY:
        *ret_why = c->fixed_length ? "BINARY holds values of one length" : "it is longer than the column";
        return c->length == 0 || (c->fixed_length ? len == c->length : len <= c->length);
    case COL_ENUM: *ret_why = "it is no label of the ENUM"; return holds_labels(c, text, len);
    case COL_SET:
        *ret_why = "it is not a list of labels of the SET, sorted, each once";
        return holds_labels(c, text, len);
    case COL_UUID: *ret_why = "it is not a UUID as the server writes it"; return holds_exactly(c, text, len);
    case COL_INET4:
    case COL_INET6:
        *ret_why = "it is not an address as the server writes it";
        return holds_exactly(c, text, len);
    case COL_INT:
    case COL_BIT:
    case COL_YEAR:
    case COL_DATE:
    case COL_JSON:
    case COL_GEOMETRY:
    case COL_VECTOR:
    case COL_OTHER: break; /* refused by the server if at all */
    }
    return true;
}

/* Kinds that share a number have the same canonical form. */
static int family(enum column_kind kind)
{
    switch (kind) {
    case COL_ENUM:
    case COL_SET:
    case COL_UUID:
    case COL_INET4:
    case COL_INET6: return COL_TEXT;
    case COL_TIMESTAMP: return COL_DATETIME;
    case COL_FLOAT: return COL_DOUBLE;
    default: return kind;
    }
}

/* Texts of a form of their own: no two of these types share a value. */
static bool is_net(enum column_kind kind)
{
    return kind == COL_UUID || kind == COL_INET4 || kind == COL_INET6;
}

/*
 * Strict: the same kind, or two kinds whose canonical text means the same in
 * both, which are TEXT, ENUM and SET; TEXT and what prints as one text (UUID, INET4, INET6); DATETIME and
 * TIMESTAMP; FLOAT and DOUBLE; JSON and TEXT, for MariaDB's JSON is a LONGTEXT: such a field is compared in a
 * form of its own (field_canonical()). INT and DECIMAL are refused although their texts can agree, for a DECIMAL
 * can hold what an INT cannot.
 * Whether every value fits (length, scale, digits of the fraction, labels) is
 * not looked at here: what does not fit is refused row by row.
 */
bool column_comparable(const struct column *left, const struct column *right, const char **ret_why)
{
    if (left->kind == COL_OTHER || right->kind == COL_OTHER) {
        *ret_why = "a column of this type cannot be mapped";
        return false;
    }
    if (is_net(left->kind) && is_net(right->kind) && left->kind != right->kind) {
        *ret_why = "the two types hold values of different kinds";
        return false;
    }
    if (family(left->kind) == family(right->kind))
        return true;
    if ((left->kind == COL_JSON && right->kind == COL_TEXT) ||
        (left->kind == COL_TEXT && right->kind == COL_JSON))
        return true;

    if (left->kind == COL_JSON || right->kind == COL_JSON)
        *ret_why = "JSON can be mapped to JSON or text only";
    else if (left->kind == COL_DECIMAL || right->kind == COL_DECIMAL)
        *ret_why = "DECIMAL can be mapped to DECIMAL only: other numbers lose digits";
    else
        *ret_why = "the two types hold values of different kinds";
    return false;
}
