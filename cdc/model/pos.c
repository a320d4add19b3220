#include "cdc/model/pos.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void pos_done(struct pos *p)
{
    free(p->file);
    free(p->gtids);
    *p = (struct pos)POS_INIT;
}

void pos_copy(struct pos *to, const struct pos *from)
{
    if (to == from)
        return;
    struct pos copy = POS_INIT;
    if (from->file != NULL)
        copy.file = mem_strdup(from->file);
    copy.offset = from->offset;
    if (from->ngtids > 0) {
        copy.gtids = mem_zalloc(from->ngtids, sizeof *copy.gtids);
        memcpy(copy.gtids, from->gtids, from->ngtids * sizeof *copy.gtids);
        copy.ngtids = from->ngtids;
    }
    pos_done(to);
    *to = copy;
}

void pos_move(struct pos *to, struct pos *from)
{
    if (to == from)
        return;
    pos_done(to);
    *to = *from;
    *from = (struct pos)POS_INIT;
}

bool pos_is_unset(const struct pos *p) { return p->file == NULL && p->ngtids == 0; }

static bool same_gtids(const struct pos *a, const struct pos *b)
{
    if (a->ngtids != b->ngtids)
        return false;
    for (size_t i = 0; i < a->ngtids; i++)
        if (a->gtids[i].domain != b->gtids[i].domain || a->gtids[i].server != b->gtids[i].server ||
            a->gtids[i].seq != b->gtids[i].seq)
            return false;
    return true;
}

bool pos_equal(const struct pos *a, const struct pos *b)
{
    if (a->ngtids > 0 && b->ngtids > 0)
        return same_gtids(a, b);
    if (a->file == NULL || b->file == NULL)
        return pos_is_unset(a) && pos_is_unset(b);
    return strcmp(a->file, b->file) == 0 && a->offset == b->offset;
}

void pos_set_file(struct pos *p, const char *file, size_t len, uint64_t offset)
{
    /* The reader calls this for every transaction of one file. */
    if (p->file == NULL || strlen(p->file) != len || memcmp(p->file, file, len) != 0) {
        char *copy = mem_strndup(file, len);
        free(p->file);
        p->file = copy;
    }
    p->offset = offset;
}

/* The place of the domain in the list, or where it would have to be put in. */
static size_t gtid_place(const struct pos *p, uint32_t domain)
{
    size_t i = 0;
    while (i < p->ngtids && p->gtids[i].domain < domain)
        i++;
    return i;
}

static const struct gtid *gtid_of(const struct pos *p, uint32_t domain)
{
    size_t i = gtid_place(p, domain);
    return i < p->ngtids && p->gtids[i].domain == domain ? &p->gtids[i] : NULL;
}

/* The last one of its domain, not the highest: the server finds the place by the
 * GTID itself, and without gtid_strict_mode numbers may go back. */
void pos_add_gtid(struct pos *p, struct gtid g)
{
    size_t i = gtid_place(p, g.domain);

    if (i == p->ngtids || p->gtids[i].domain != g.domain) {
        p->gtids = mem_realloc(p->gtids, (p->ngtids + 1) * sizeof *p->gtids);
        memmove(&p->gtids[i + 1], &p->gtids[i], (p->ngtids - i) * sizeof *p->gtids);
        p->ngtids++;
    }
    p->gtids[i] = g;
}

bool pos_includes(const struct pos *p, struct gtid g)
{
    const struct gtid *have = gtid_of(p, g.domain);
    return have != NULL && have->seq >= g.seq;
}

bool pos_covers(const struct pos *p, const struct pos *other)
{
    for (size_t i = 0; i < other->ngtids; i++)
        if (!pos_includes(p, other->gtids[i]))
            return false;
    return true;
}

/* "bin.000042" -> 4, where the digits are what follows the last point. */
static size_t base_len(const char *file)
{
    const char *point = strrchr(file, '.');
    return point != NULL ? (size_t)(point - file) + 1 : strlen(file);
}

/* Servers go on from 999999 with 1000000: by length first, then as text. */
static int compare_digits(const char *a, const char *b)
{
    a += strspn(a, "0");
    b += strspn(b, "0");
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len != b_len)
        return a_len < b_len ? -1 : 1;
    return strcmp(a, b);
}

/* Does b's file and offset stand before a's, as far as they can be compared? */
static bool is_earlier(const struct pos *b, const struct pos *a)
{
    size_t base = base_len(a->file);
    if (base_len(b->file) != base || memcmp(a->file, b->file, base) != 0)
        return false;
    int order = compare_digits(b->file + base, a->file + base);
    return order < 0 || (order == 0 && b->offset < a->offset);
}

void pos_min(struct pos *to, const struct pos *other)
{
    size_t n = 0;
    for (size_t i = 0; i < to->ngtids; i++) {
        const struct gtid *g = gtid_of(other, to->gtids[i].domain);
        if (g != NULL)
            to->gtids[n++] = g->seq < to->gtids[i].seq ? *g : to->gtids[i];
    }
    to->ngtids = n;
    if (n == 0) {
        free(to->gtids);
        to->gtids = NULL;
    }

    /* A file that is not known on one side is not known for both. */
    if (to->file == NULL || other->file == NULL) {
        free(to->file);
        to->file = NULL;
        to->offset = 0;
    } else if (is_earlier(other, to)) {
        pos_set_file(to, other->file, strlen(other->file), other->offset);
    }
}

/* Digits up to max; moves *s behind them. */
static bool parse_number(const char **s, uint64_t max, uint64_t *ret_number)
{
    const char *p = *s;
    uint64_t n = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (n > (max - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *s = p;
    *ret_number = n;
    return true;
}

static bool parse_gtid(const char **s, struct gtid *ret_gtid)
{
    const char *p = *s;
    uint64_t domain, server, seq;

    if (!parse_number(&p, UINT32_MAX, &domain) || *p++ != '-' || !parse_number(&p, UINT32_MAX, &server) ||
        *p++ != '-' || !parse_number(&p, UINT64_MAX, &seq))
        return false;
    *s = p;
    *ret_gtid = (struct gtid){(uint32_t)domain, (uint32_t)server, seq};
    return true;
}

bool gtid_parse(const char *text, struct gtid *ret_gtid)
{
    struct gtid g;
    if (!parse_gtid(&text, &g) || *text != '\0')
        return false;
    *ret_gtid = g;
    return true;
}

static const char *skip_spaces(const char *s) { return s + strspn(s, " \t\r\n"); }

static bool parse_list(struct pos *p, const char *text, struct err *err)
{
    const char *s = skip_spaces(text);

    while (*s != '\0') {
        struct gtid g;
        if (!parse_gtid(&s, &g))
            return err_set(err, ERR_CONFIG, 0,
                           "no GTID at character %zu of the list; \"0-1-155,1-2-7\" would be one",
                           (size_t)(s - text) + 1);
        if (gtid_of(p, g.domain) != NULL)
            return err_set(err, ERR_CONFIG, 0, "GTID domain %" PRIu32 " stands twice in the list", g.domain);
        pos_add_gtid(p, g);
        s = skip_spaces(s);
        if (*s == '\0')
            return true;
        if (*s != ',')
            return err_set(err, ERR_CONFIG, 0, "no comma at character %zu of the GTID list",
                           (size_t)(s - text) + 1);
        s = skip_spaces(s + 1);
        if (*s == '\0')
            return err_set(err, ERR_CONFIG, 0, "the GTID list ends with a comma");
    }
    return true;
}

/* Replaces the GTIDs; file and offset stay. On an error nothing changes. */
bool pos_parse_gtids(struct pos *p, const char *text, struct err *err)
{
    struct pos parsed = POS_INIT;
    if (!parse_list(&parsed, text, err)) {
        pos_done(&parsed);
        return false;
    }
    free(p->gtids);
    p->gtids = parsed.gtids;
    p->ngtids = parsed.ngtids;
    return true;
}

void pos_print_gtids(const struct pos *p, struct buf *out)
{
    for (size_t i = 0; i < p->ngtids; i++)
        buf_addf(out, "%s%" PRIu32 "-%" PRIu32 "-%" PRIu64, i > 0 ? "," : "", p->gtids[i].domain,
                 p->gtids[i].server, p->gtids[i].seq);
}

const char *pos_print_file(const struct pos *p, char *out, size_t size)
{
    assert(size > 0);
    if (p->file == NULL)
        out[0] = '\0';
    else
        snprintf(out, size, "%s:%" PRIu64, p->file, p->offset);
    return out;
}
