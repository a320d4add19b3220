/*
 * A document becomes a tree, whose nodes point into the text or the arena, and the
 * tree is printed. Numbers follow MySQL's parser: what has neither point nor exponent and
 * fits 64 bits is an integer, everything else a double.
 */
#include "cdc/model/jsontext.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/arena.h"

#define MAX_DEPTH 100 /* MySQL's own, of arrays and objects */

enum kind { LITERAL, NUMBER, STRING, ARRAY, OBJECT };

struct node {
    enum kind kind;
    const char *text; /* LITERAL, NUMBER: as it stands; STRING: without quotes and escapes */
    size_t len;
    struct node *first, *last, *next; /* ARRAY, OBJECT: elements */
    size_t count;
    const char *key; /* of an element of an OBJECT, likewise without escapes */
    size_t key_len;
    size_t place; /* among its neighbours */
};

struct parse {
    const char *p, *end;
    struct arena *arena;
};

/* ---- Reading ---- */

static void skip_space(struct parse *x)
{
    while (x->p < x->end && (*x->p == ' ' || *x->p == '\t' || *x->p == '\n' || *x->p == '\r'))
        x->p++;
}

static bool accept(struct parse *x, char c)
{
    skip_space(x);
    if (x->p == x->end || *x->p != c)
        return false;
    x->p++;
    return true;
}

/* The four digits behind \u. */
static bool read_unit(struct parse *x, unsigned *ret_unit)
{
    unsigned v = 0;
    if (x->end - x->p < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = *x->p++;
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : 16;
        if (digit == 16)
            return false;
        v = v << 4 | digit;
    }
    *ret_unit = v;
    return true;
}

static char *put_utf8(char *to, unsigned u)
{
    if (u < 0x80) {
        *to++ = (char)u;
    } else if (u < 0x800) {
        *to++ = (char)(0xc0 | u >> 6);
        *to++ = (char)(0x80 | (u & 0x3f));
    } else if (u < 0x10000) {
        *to++ = (char)(0xe0 | u >> 12);
        *to++ = (char)(0x80 | (u >> 6 & 0x3f));
        *to++ = (char)(0x80 | (u & 0x3f));
    } else {
        *to++ = (char)(0xf0 | u >> 18);
        *to++ = (char)(0x80 | (u >> 12 & 0x3f));
        *to++ = (char)(0x80 | (u >> 6 & 0x3f));
        *to++ = (char)(0x80 | (u & 0x3f));
    }
    return to;
}

/* Behind \u: one unit, or the two of a pair. */
static bool read_unicode(struct parse *x, char **to)
{
    unsigned high, low;
    if (!read_unit(x, &high) || (high >= 0xdc00 && high <= 0xdfff))
        return false;
    if (high >= 0xd800 && high <= 0xdbff) {
        if (x->end - x->p < 6 || x->p[0] != '\\' || x->p[1] != 'u')
            return false;
        x->p += 2;
        if (!read_unit(x, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        high = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, high);
    return true;
}

static bool read_escape(struct parse *x, char **to)
{
    static const char letters[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    if (x->p == x->end)
        return false;
    char c = *x->p++;
    if (c == 'u')
        return read_unicode(x, to);
    const char *at = c != '\0' ? strchr(letters, c) : NULL;
    if (at == NULL)
        return false;
    *(*to)++ = meaning[at - letters];
    return true;
}

/* Behind the opening quote. No escape is shorter than what it stands for. */
static bool read_string(struct parse *x, const char **ret_text, size_t *ret_len)
{
    const char *begin = x->p;
    while (x->p < x->end && *x->p != '"' && *x->p != '\\' && (unsigned char)*x->p >= 0x20)
        x->p++;
    if (x->p < x->end && *x->p == '"') { /* the most */
        *ret_text = begin;
        *ret_len = (size_t)(x->p++ - begin);
        return true;
    }

    const char *quote = begin; /* as far as it reaches */
    while (quote < x->end && *quote != '"')
        quote += *quote == '\\' && quote + 1 < x->end ? 2 : 1;
    char *copy = arena_alloc(x->arena, (size_t)(quote - begin) + 1), *to = copy;
    for (x->p = begin; x->p < x->end && *x->p != '"';) {
        char c = *x->p++;
        if ((unsigned char)c < 0x20 || (c == '\\' && !read_escape(x, &to)))
            return false;
        if (c != '\\')
            *to++ = c;
    }
    if (x->p == x->end)
        return false;
    x->p++;
    *ret_text = copy;
    *ret_len = (size_t)(to - copy);
    return true;
}

static size_t count_digits(const char *p, const char *end)
{
    const char *begin = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return (size_t)(p - begin);
}

static bool read_number(struct parse *x, struct node *n)
{
    const char *p = x->p;
    size_t digits;
    if (p < x->end && *p == '-')
        p++;
    digits = count_digits(p, x->end);
    if (digits == 0 || (digits > 1 && *p == '0'))
        return false;
    p += digits;
    if (p < x->end && *p == '.') {
        digits = count_digits(++p, x->end);
        if (digits == 0)
            return false;
        p += digits;
    }
    if (p < x->end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < x->end && (*p == '+' || *p == '-'))
            p++;
        digits = count_digits(p, x->end);
        if (digits == 0)
            return false;
        p += digits;
    }
    *n = (struct node){.kind = NUMBER, .text = x->p, .len = (size_t)(p - x->p)};
    x->p = p;
    return true;
}

static bool read_literal(struct parse *x, struct node *n)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < 3; i++) {
        size_t len = strlen(words[i]);
        if ((size_t)(x->end - x->p) < len || memcmp(x->p, words[i], len) != 0)
            continue;
        *n = (struct node){.kind = LITERAL, .text = words[i], .len = len};
        x->p += len;
        return true;
    }
    return false;
}

static void append(struct node *to, struct node *element)
{
    element->place = to->count++;
    if (to->last != NULL)
        to->last->next = element;
    else
        to->first = element;
    to->last = element;
}

static bool read_value(struct parse *x, struct node *n, unsigned depth);

static bool read_elements(struct parse *x, struct node *n, char end, unsigned depth)
{
    if (accept(x, end))
        return true;
    do {
        struct node element, *copy;
        const char *key = NULL;
        size_t key_len = 0;
        if (n->kind == OBJECT && (!accept(x, '"') || !read_string(x, &key, &key_len) || !accept(x, ':')))
            return false;
        if (!read_value(x, &element, depth + 1))
            return false;
        element.key = key;
        element.key_len = key_len;
        copy = arena_alloc(x->arena, sizeof(*copy));
        *copy = element;
        append(n, copy);
    } while (accept(x, ','));
    return accept(x, end);
}

static bool read_value(struct parse *x, struct node *n, unsigned depth)
{
    *n = (struct node){.kind = STRING};
    if (accept(x, '"'))
        return read_string(x, &n->text, &n->len);
    n->kind = OBJECT;
    if (accept(x, '{'))
        return depth <= MAX_DEPTH && read_elements(x, n, '}', depth);
    n->kind = ARRAY;
    if (accept(x, '['))
        return depth <= MAX_DEPTH && read_elements(x, n, ']', depth);
    return read_literal(x, n) || read_number(x, n);
}

/* ---- Printing ---- */

void jsontext_string(struct buf *out, const char *s, size_t len)
{
    static const char short_form[] = "\b\t\n\f\r\"\\", letter[] = "btnfr\"\\";
    buf_addc(out, '"');
    for (size_t i = 0; i < len; i++) {
        unsigned char ch = (unsigned char)s[i];
        const char *at = ch != 0 ? strchr(short_form, ch) : NULL;
        if (at != NULL) {
            buf_addc(out, '\\');
            buf_addc(out, letter[at - short_form]);
        } else if (ch < 0x20) {
            buf_addf(out, "\\u%04x", ch);
        } else {
            buf_addc(out, s[i]);
        }
    }
    buf_addc(out, '"');
}

void jsontext_double(struct buf *out, double d)
{
    char text[40];
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, d);
        if (strtod(text, NULL) == d)
            break;
    }
    char *e = strchr(text, 'e');
    if (e == NULL) {
        buf_adds(out, text);
        if (strchr(text, '.') == NULL)
            buf_adds(out, ".0");
        return;
    }
    buf_add(out, text, (size_t)(e - text));
    long exponent = strtol(e + 1, NULL, 10);
    buf_addf(out, "e%ld", exponent);
}

/* Does it fit 64 bits, the sign among them where there is one? */
static bool is_integer(const char *text, size_t len)
{
    static const char most[] = "18446744073709551615", least[] = "9223372036854775808";
    bool negative = text[0] == '-';
    const char *limit = negative ? least : most;
    size_t digits = len - negative, limit_len = strlen(limit);
    if (count_digits(text + negative, text + len) != digits)
        return false;
    return digits < limit_len || (digits == limit_len && memcmp(text + negative, limit, limit_len) <= 0);
}

static bool put_number(const struct parse *x, const struct node *n, struct buf *out)
{
    if (is_integer(n->text, n->len)) {
        if (n->len == 2 && memcmp(n->text, "-0", 2) == 0)
            buf_addc(out, '0');
        else
            buf_add(out, n->text, n->len);
        return true;
    }
    double d = strtod(arena_copy(x->arena, n->text, n->len), NULL);
    if (!isfinite(d))
        return false;
    jsontext_double(out, d);
    return true;
}

static int compare_keys(const void *a, const void *b)
{
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    if (x->key_len != y->key_len)
        return x->key_len < y->key_len ? -1 : 1;
    int order = x->key_len > 0 ? memcmp(x->key, y->key, x->key_len) : 0;
    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static bool same_key(const struct node *a, const struct node *b)
{
    return a->key_len == b->key_len && (a->key_len == 0 || memcmp(a->key, b->key, a->key_len) == 0);
}

static bool put_node(const struct parse *x, const struct node *n, struct buf *out);

static bool put_object(const struct parse *x, const struct node *n, struct buf *out)
{
    const struct node **sorted = arena_alloc(x->arena, (n->count + 1) * sizeof(struct node *));
    size_t count = 0;
    bool any = false;
    for (const struct node *e = n->first; e != NULL; e = e->next)
        sorted[count++] = e;
    qsort(sorted, count, sizeof(*sorted), compare_keys);
    buf_addc(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i + 1 < count && same_key(sorted[i], sorted[i + 1]))
            continue; /* the last of them counts */
        if (any)
            buf_adds(out, ", ");
        any = true;
        jsontext_string(out, sorted[i]->key, sorted[i]->key_len);
        buf_adds(out, ": ");
        if (!put_node(x, sorted[i], out))
            return false;
    }
    buf_addc(out, '}');
    return true;
}

static bool put_array(const struct parse *x, const struct node *n, struct buf *out)
{
    buf_addc(out, '[');
    for (const struct node *e = n->first; e != NULL; e = e->next) {
        if (e != n->first)
            buf_adds(out, ", ");
        if (!put_node(x, e, out))
            return false;
    }
    buf_addc(out, ']');
    return true;
}

static bool put_node(const struct parse *x, const struct node *n, struct buf *out)
{
    switch (n->kind) {
    case LITERAL: buf_add(out, n->text, n->len); return true;
    case NUMBER: return put_number(x, n, out);
    case STRING: jsontext_string(out, n->text, n->len); return true;
    case ARRAY: return put_array(x, n, out);
    case OBJECT: return put_object(x, n, out);
    }
    return false;
}

bool jsontext_canonical(const char *text, size_t len, struct buf *out)
{
    struct arena arena;
    struct node root;
    size_t begin = out->len;
    arena_init(&arena);
    struct parse x = {text, text + len, &arena};
    bool ok = len > 0 && read_value(&x, &root, 1);
    skip_space(&x);
    ok = ok && x.p == x.end && put_node(&x, &root, out) && !out->overrun;
    if (!ok && out->len > begin)
        out->len = begin;
    arena_done(&arena);
    return ok;
}
