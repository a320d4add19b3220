#include "cdc/model/pos.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void pos_done(struct pos *p)
{
    free(p->server);
    free(p->file);
    free(p->gtids);
    gtid_set_done(&p->set);
    *p = (struct pos)POS_INIT;
}

/* Positions follow each other in one file of one server, most of them: a text that is the same stays where it is. */
static void set_text(char **to, const char *text, size_t len)
{
    if (text != NULL && *to != NULL && strlen(*to) == len && memcmp(*to, text, len) == 0)
        return;
    char *copy = text != NULL ? mem_strndup(text, len) : NULL;
    free(*to);
    *to = copy;
}

void pos_copy(struct pos *to, const struct pos *from)
{
    if (to == from)
        return;
    set_text(&to->server, from->server, from->server != NULL ? strlen(from->server) : 0);
    set_text(&to->file, from->file, from->file != NULL ? strlen(from->file) : 0);
    to->offset = from->offset;
    if (to->ngtids != from->ngtids) {
        free(to->gtids);
        to->gtids = from->ngtids > 0 ? mem_alloc(from->ngtids * sizeof *to->gtids) : NULL;
        to->ngtids = from->ngtids;
    }
    if (from->ngtids > 0)
        memcpy(to->gtids, from->gtids, from->ngtids * sizeof *to->gtids);
    gtid_set_copy(&to->set, &from->set);
}

void pos_move(struct pos *to, struct pos *from)
{
    if (to == from)
        return;
    pos_done(to);
    *to = *from;
    *from = (struct pos)POS_INIT;
}

bool pos_has_gtids(const struct pos *p) { return p->ngtids > 0 || !gtid_set_is_empty(&p->set); }

bool pos_is_unset(const struct pos *p) { return p->file == NULL && !pos_has_gtids(p); }

size_t pos_bytes(const struct pos *p)
{
    return (p->file != NULL ? strlen(p->file) + 1 : 0) + (p->server != NULL ? strlen(p->server) + 1 : 0) +
           p->ngtids * sizeof *p->gtids + gtid_set_bytes(&p->set);
}

static bool same_gtids(const struct pos *a, const struct pos *b)
{
    if (a->ngtids != b->ngtids)
        return false;
    for (size_t i = 0; i < a->ngtids; i++)
        if (a->gtids[i].domain != b->gtids[i].domain || a->gtids[i].server != b->gtids[i].server ||
            a->gtids[i].seq != b->gtids[i].seq)
            return false;
    return gtid_set_equal(&a->set, &b->set);
}

bool pos_equal(const struct pos *a, const struct pos *b)
{
    if (pos_has_gtids(a) && pos_has_gtids(b))
        return same_gtids(a, b);
    if (a->file == NULL || b->file == NULL)
        return pos_is_unset(a) && pos_is_unset(b);
    return pos_same_server(a, b) && strcmp(a->file, b->file) == 0 && a->offset == b->offset;
}

bool pos_same_server(const struct pos *a, const struct pos *b)
{
    return a->server == NULL || b->server == NULL || strcmp(a->server, b->server) == 0;
}

void pos_set_server(struct pos *p, const char *server)
{
    if (server != NULL && *server == '\0')
        server = NULL;
    set_text(&p->server, server, server != NULL ? strlen(server) : 0);
}

void pos_set_file(struct pos *p, const char *file, size_t len, uint64_t offset)
{
    set_text(&p->file, file, len);
    p->offset = offset;
}

/* The place of the domain in the list, or where it would have to be put in. */
static size_t gtid_place(const struct pos *p, uint32_t domain)
{
    size_t low = 0, high = p->ngtids;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (p->gtids[middle].domain < domain)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct gtid *gtid_of(const struct pos *p, uint32_t domain)
{
    size_t i = gtid_place(p, domain);
    return i < p->ngtids && p->gtids[i].domain == domain ? &p->gtids[i] : NULL;
}

/* MariaDB: the last one of its domain, not the highest: the server finds the place by the
 * GTID itself, and without gtid_strict_mode numbers may go back. */
static void add_to_list(struct pos *p, const struct gtid *g)
{
    size_t i = gtid_place(p, g->domain);

    if (i == p->ngtids || p->gtids[i].domain != g->domain) {
        p->gtids = mem_realloc(p->gtids, (p->ngtids + 1) * sizeof *p->gtids);
        memmove(&p->gtids[i + 1], &p->gtids[i], (p->ngtids - i) * sizeof *p->gtids);
        p->ngtids++;
    }
    p->gtids[i] = *g;
}

void pos_add_gtid(struct pos *p, const struct gtid *g)
{
    if (g->kind == GTID_MARIADB)
        add_to_list(p, g);
    else if (g->kind == GTID_MYSQL)
        gtid_set_add(&p->set, g);
}

static bool has_gtid(const struct pos *p, const struct gtid *g)
{
    if (g->kind == GTID_MYSQL)
        return gtid_set_includes(&p->set, g);
    const struct gtid *have = gtid_of(p, g->domain);

    return have != NULL && have->seq >= g->seq;
}

static bool has_gtids_of(const struct pos *p, const struct pos *other)
{
    for (size_t i = 0; i < other->ngtids; i++)
        if (!has_gtid(p, &other->gtids[i]))
            return false;
    return gtid_set_covers(&p->set, &other->set);
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

/* Can the places of both be put in an order at all? */
static bool is_comparable(const struct pos *a, const struct pos *b)
{
    if (a->file == NULL || b->file == NULL || !pos_same_server(a, b))
        return false;
    size_t base = base_len(a->file);

    return base_len(b->file) == base && memcmp(a->file, b->file, base) == 0;
}

/* Does b's file and offset stand before a's, as far as they can be compared? */
static bool is_earlier(const struct pos *b, const struct pos *a)
{
    if (!is_comparable(a, b))
        return false;
    size_t base = base_len(a->file);
    int order = compare_digits(b->file + base, a->file + base);

    return order < 0 || (order == 0 && b->offset < a->offset);
}

/* On one and the same server file and offset say exactly what comes first. GTIDs say it everywhere, but less well: a
 * MariaDB without gtid_strict_mode lets numbers go back, and a position keeps the last one of a domain. */
static bool is_of_one_server(const struct pos *a, const struct pos *b)
{
    return a->server != NULL && b->server != NULL && is_comparable(a, b);
}

bool pos_includes(const struct pos *p, const struct pos *begin, const struct gtid *g)
{
    if (is_of_one_server(p, begin))
        return is_earlier(begin, p);
    if (g->kind != GTID_NONE && pos_has_gtids(p))
        return has_gtid(p, g);
    return is_earlier(begin, p);
}

bool pos_covers(const struct pos *p, const struct pos *other)
{
    if (is_of_one_server(p, other))
        return !is_earlier(p, other);
    if (pos_has_gtids(other) && (pos_has_gtids(p) || !is_comparable(p, other)))
        return has_gtids_of(p, other);
    return other->file == NULL || (is_comparable(p, other) && !is_earlier(p, other));
}

static void min_of_lists(struct pos *to, const struct pos *other)
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
}

void pos_min(struct pos *to, const struct pos *other)
{
    if (is_of_one_server(to, other)) {
        if (is_earlier(other, to))
            pos_copy(to, other);
        return;
    }
    min_of_lists(to, other);
    gtid_set_intersect(&to->set, &other->set);

    /* A file that is not known on one side, or of another server, is not known for both. */
    if (to->file == NULL || other->file == NULL || !pos_same_server(to, other)) {
        free(to->file);
        to->file = NULL;
        to->offset = 0;
    } else if (is_earlier(other, to)) {
        pos_set_file(to, other->file, strlen(other->file), other->offset);
    }
    if (to->server == NULL)
        pos_set_server(to, other->server);
}

static bool parse_gtid(const char **s, struct gtid *ret_gtid)
{
    const char *p = *s;
    uint64_t domain, server, seq;

    if (!gtid_parse_number(&p, UINT32_MAX, &domain) || *p++ != '-' ||
        !gtid_parse_number(&p, UINT32_MAX, &server) || *p++ != '-' ||
        !gtid_parse_number(&p, UINT64_MAX, &seq))
        return false;
    *s = p;
    *ret_gtid = gtid_mariadb((uint32_t)domain, (uint32_t)server, seq);
    return true;
}

static const char *skip_spaces(const char *s) { return s + strspn(s, " \t\r\n"); }

static int by_domain(const void *a, const void *b)
{
    const struct gtid *x = a, *y = b;

    return x->domain < y->domain ? -1 : x->domain > y->domain;
}

/* As it stands, in whatever order. */
static bool parse_items(struct pos *p, const char *text, struct err *err)
{
    const char *s = skip_spaces(text);
    size_t cap = 0;

    while (*s != '\0') {
        if (p->ngtids == cap) {
            cap = cap > 0 ? cap * 2 : 4;
            p->gtids = mem_realloc(p->gtids, cap * sizeof *p->gtids);
        }
        if (!parse_gtid(&s, &p->gtids[p->ngtids]))
            return err_set(err, ERR_CONFIG, 0,
                           "no GTID at character %zu of the list; \"0-1-155,1-2-7\" would be one",
                           (size_t)(s - text) + 1);
        p->ngtids++;
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

static bool parse_list(struct pos *p, const char *text, struct err *err)
{
    if (!parse_items(p, text, err))
        return false;
    if (p->ngtids > 0)
        qsort(p->gtids, p->ngtids, sizeof *p->gtids, by_domain);
    for (size_t i = 1; i < p->ngtids; i++)
        if (p->gtids[i].domain == p->gtids[i - 1].domain)
            return err_set(err, ERR_CONFIG, 0, "GTID domain %" PRIu32 " stands twice in the list",
                           p->gtids[i].domain);
    return true;
}

/* Replaces the GTIDs; file and offset stay. On an error nothing changes. */
bool pos_parse_gtids(struct pos *p, const char *text, struct err *err)
{
    struct pos parsed = POS_INIT;
    /* Only MySQL's have a colon. */
    bool ok = strchr(text, ':') != NULL ? gtid_set_parse(&parsed.set, text, err)
                                        : parse_list(&parsed, text, err);

    if (!ok) {
        pos_done(&parsed);
        return false;
    }
    free(p->gtids);
    p->gtids = parsed.gtids;
    p->ngtids = parsed.ngtids;
    gtid_set_done(&p->set);
    p->set = parsed.set;
    return true;
}

void pos_print_gtids(const struct pos *p, struct buf *out)
{
    gtid_set_print(&p->set, out);
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
