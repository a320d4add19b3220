/*
 * source.c - reads the config file for libconfig, to mend two things of it:
 *
 * - libconfig 1.5 takes an integer that does not fit 32 bits modulo 2^32, without
 *   a word, unless it ends in L: 5000000000 becomes 705032704. Here such numbers
 *   get their L, and those that do not fit 64 bits are errors.
 * - It looks for included files in one directory or in the current one, cannot
 *   include by an absolute path once a directory is set, and names files in errors
 *   without their directory. Here an include is relative to the file it stands in.
 *
 * So the file is read as a text, just far enough to tell strings and comments
 * from the rest. What it means is libconfig's business.
 */
#include "config/source.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

enum { MAX_DEPTH = 10, MAX_BYTES = 4 << 20, MAX_FILES = 256 };

enum inside { IN_TEXT, IN_STRING, IN_COMMENT };

struct reader {
    struct source *source;
    unsigned file;
    unsigned line;
    enum inside inside;
    char previous; /* the last character outside strings and comments: does a number start here? */
};

static bool load_file(struct source *s, char *path, unsigned depth, struct err *err);

static bool bad_line(const struct reader *r, struct err *err, const char *what)
{
    return err_set(err, ERR_CONFIG, 0, "%s:%u: %s", r->source->files[r->file], r->line, what);
}

static void add_origin(struct source *s, unsigned file, unsigned line)
{
    if (s->nlines == s->lines_cap) {
        s->lines_cap = s->lines_cap ? s->lines_cap * 2 : 128;
        s->lines = mem_realloc(s->lines, s->lines_cap * sizeof(*s->lines));
    }
    s->lines[s->nlines++] = (struct source_line){file, line};
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '*' || c == '.' || c == '+';
}

/* p is at the first character of a word that starts with a digit (or a sign).
 * Copies the word; an integer that needs 64 bits gets its L. */
static bool copy_number(struct reader *r, const char **p, struct err *err)
{
    const char *start = *p, *end = start;
    while (is_word(*end))
        end++;
    size_t len = (size_t)(end - start);
    char word[64], *rest;
    *p = end;
    buf_add(&r->source->text, start, len);
    if (len >= sizeof(word))
        return bad_line(r, err, "a number is too long");
    memcpy(word, start, len);
    word[len] = '\0';

    bool hex = len > 2 && word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
    errno = 0;
    int base = hex ? 16 : 10; /* as libconfig: 010 is ten */
    long long number = hex ? (long long)strtoull(word, &rest, base) : strtoll(word, &rest, base);
    if (*rest != '\0' && strcmp(rest, "L") != 0 && strcmp(rest, "LL") != 0)
        return true; /* a float, or not a number at all */
    if (errno == ERANGE || (hex && number < 0))
        return bad_line(r, err, "a number is too large; it must fit 64 bits with a sign");
    if (*rest == '\0' && (number > INT_MAX || number < INT_MIN))
        buf_addc(&r->source->text, 'L');
    return true;
}

/* One line, without its line end, of the file into the text. */
static bool copy_line(struct reader *r, const char *p, const char *end, struct err *err)
{
    struct buf *out = &r->source->text;
    while (p < end) {
        char c = *p;
        if (r->inside == IN_COMMENT) {
            if (c == '*' && p[1] == '/') {
                r->inside = IN_TEXT;
                p++;
            }
            p++;
            continue;
        }
        if (r->inside == IN_STRING) {
            buf_addc(out, c);
            if (c == '\\' && p + 1 < end)
                buf_addc(out, *++p);
            else if (c == '"')
                r->inside = IN_TEXT;
            p++;
            continue;
        }
        if (c == '#' || (c == '/' && p[1] == '/'))
            break;
        if (c == '/' && p[1] == '*') {
            r->inside = IN_COMMENT;
            buf_addc(out, ' ');
            p += 2;
            continue;
        }
        bool starts = !is_word(r->previous);
        r->previous = c;
        if (starts &&
            (isdigit((unsigned char)c) || ((c == '-' || c == '+') && isdigit((unsigned char)p[1])))) {
            if (!copy_number(r, &p, err))
                return false;
            r->previous = '0';
            continue;
        }
        if (c == '"')
            r->inside = IN_STRING;
        buf_addc(out, c);
        p++;
    }
    if (r->inside != IN_STRING)
        r->previous = ' ';
    buf_addc(out, '\n');
    add_origin(r->source, r->file, r->line);
    return true;
}

/* `@include "file"` alone on its line. *ret_name is borrowed from the line. */
static bool find_include(struct reader *r, const char *p, const char *end, const char **ret_name,
                         size_t *ret_len, struct err *err)
{
    *ret_name = NULL;
    if (r->inside != IN_TEXT)
        return true;
    while (p < end && isblank((unsigned char)*p))
        p++;
    if ((size_t)(end - p) < 8 || memcmp(p, "@include", 8) != 0)
        return true;
    p += 8;
    while (p < end && isblank((unsigned char)*p))
        p++;
    const char *close = p < end && *p == '"' ? memchr(p + 1, '"', (size_t)(end - p - 1)) : NULL;
    if (close == NULL || close == p + 1)
        return bad_line(r, err, "@include needs a file name; write @include \"file\"");
    *ret_name = p + 1;
    *ret_len = (size_t)(close - p - 1);
    for (p = close + 1; p < end; p++) {
        if (*p == '#' || (*p == '/' && p[1] == '/'))
            break;
        if (!isspace((unsigned char)*p))
            return bad_line(r, err, "@include stands alone on its line; put the rest on the next one");
    }
    return true;
}

static char *join_path(const char *includer, const char *name, size_t len)
{
    const char *slash = strrchr(includer, '/');
    struct buf path = BUF_INIT;
    if (name[0] != '/' && slash != NULL)
        buf_add(&path, includer, (size_t)(slash - includer) + 1);
    buf_add(&path, name, len);
    return path.data;
}

static bool read_all(const char *path, struct buf *out, struct err *err)
{
    char chunk[4096];
    size_t n;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return err_set(err, ERR_CONFIG, errno, "%s: cannot open: %s", path, strerror(errno));
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0 && out->len <= MAX_BYTES)
        buf_add(out, chunk, n);
    bool failed = ferror(f) != 0;
    int code = errno;
    fclose(f);
    if (failed)
        return err_set(err, ERR_CONFIG, code, "%s: cannot read: %s", path, strerror(code));
    if (out->len > MAX_BYTES)
        return err_set(err, ERR_CONFIG, 0, "%s: longer than 4 MiB; is this a twinlog config?", path);
    if (out->len > 0 && memchr(out->data, '\0', out->len) != NULL)
        return err_set(err, ERR_CONFIG, 0, "%s: has NUL bytes; it must be a text file", path);
    return true;
}

static bool copy_file(struct source *s, unsigned file, const struct buf *content, unsigned depth,
                      struct err *err)
{
    struct reader r = {.source = s, .file = file, .line = 1, .inside = IN_TEXT, .previous = ' '};
    const char *p = content->data, *stop = content->data + content->len;
    for (; p < stop; r.line++) {
        const char *end = memchr(p, '\n', (size_t)(stop - p));
        const char *next = end != NULL ? end + 1 : stop;
        const char *name;
        size_t len;
        if (end == NULL)
            end = stop;
        if (end > p && end[-1] == '\r')
            end--;
        if (!find_include(&r, p, end, &name, &len, err))
            return false;
        if (name != NULL) {
            if (depth == MAX_DEPTH)
                return bad_line(&r, err, "@include is nested more than 10 deep; does a file include itself?");
            if (s->nfiles == MAX_FILES)
                return bad_line(&r, err, "more than 256 included files");
            struct err inner = ERR_INIT;
            if (!load_file(s, join_path(s->files[file], name, len), depth + 1, &inner)) {
                if (inner.code == 0) /* the included file names itself and its line */
                    return err_set(err, ERR_CONFIG, 0, "%s", inner.text);
                return err_set(err, ERR_CONFIG, inner.code, "%s:%u: @include: %s", s->files[file], r.line,
                               inner.text);
            }
        } else if (!copy_line(&r, p, end, err)) {
            return false;
        }
        if (s->text.len > MAX_BYTES) /* a file may be included many times */
            return bad_line(&r, err, "the config is longer than 4 MiB with all that it includes");
        p = next;
    }
    if (r.inside == IN_TEXT)
        return true;
    r.line = r.line > 1 ? r.line - 1 : 1;
    return bad_line(&r, err,
                    r.inside == IN_STRING
                        ? "a string is not closed at the end of the file; close it with \""
                        : "a comment is not closed at the end of the file; close it with */");
}

/* Takes path. */
static bool load_file(struct source *s, char *path, unsigned depth, struct err *err)
{
    struct buf content = BUF_INIT;
    unsigned file = (unsigned)s->nfiles;
    s->files = mem_realloc(s->files, (s->nfiles + 1) * sizeof(*s->files));
    s->files[s->nfiles++] = path;

    bool ok = read_all(path, &content, err) && (content.len == 0 || copy_file(s, file, &content, depth, err));
    buf_done(&content);
    return ok;
}

bool source_load(struct source *s, const char *path, struct err *err)
{
    memset(s, 0, sizeof(*s));
    buf_init(&s->text, 0);
    if (!load_file(s, mem_strdup(path), 0, err))
        return false;
    buf_addc(&s->text, '\n'); /* an empty file is a text too, and the parser's last line has an origin */
    add_origin(s, 0, s->nlines > 0 ? s->lines[s->nlines - 1].line : 1);
    return true;
}

void source_done(struct source *s)
{
    for (size_t i = 0; i < s->nfiles; i++)
        free(s->files[i]);
    free(s->files);
    free(s->lines);
    buf_done(&s->text);
    memset(s, 0, sizeof(*s));
}

const char *source_file(const struct source *s, unsigned line, unsigned *ret_line)
{
    if (line == 0)
        line = 1;
    size_t i = line <= s->nlines ? line - 1 : s->nlines - 1;
    *ret_line = s->lines[i].line;
    return s->files[s->lines[i].file];
}

void source_key(const struct source *s, unsigned line, char *out, size_t size)
{
    const char *p = s->text.data;
    size_t len = 0;
    for (unsigned i = 1; i < line && p != NULL; i++)
        p = (p = strchr(p, '\n')) != NULL ? p + 1 : NULL;
    if (p != NULL) {
        p += strspn(p, " \t{(");
        if (isalpha((unsigned char)*p))
            len = strcspn(p, " \t=:\n;,{}()\"");
    }
    snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), len > 0 ? p : "");
}
