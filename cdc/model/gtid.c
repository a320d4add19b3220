#include "cdc/model/gtid.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

#define GNO_MAX \
    ((uint64_t)INT64_MAX - 1) /* the end of a range, which is one more, fits the server's signed number */

/* ---- Life ---- */

void gtid_set_done(struct gtid_set *s)
{
    for (size_t i = 0; i < s->nsources; i++)
        free(s->sources[i].ranges);
    free(s->sources);
    *s = (struct gtid_set){NULL, 0};
}

static struct gtid_range *copy_ranges(const struct gtid_source *from)
{
    struct gtid_range *ranges = mem_zalloc(from->nranges, sizeof *ranges);

    memcpy(ranges, from->ranges, from->nranges * sizeof *ranges);
    return ranges;
}

static bool has_shape(const struct gtid_set *a, const struct gtid_set *b)
{
    if (a->nsources != b->nsources)
        return false;
    for (size_t i = 0; i < a->nsources; i++)
        if (a->sources[i].nranges != b->sources[i].nranges)
            return false;
    return true;
}

/* From one transaction to the next a number changes, and no memory is needed. */
static void copy_numbers(struct gtid_set *to, const struct gtid_set *from)
{
    for (size_t i = 0; i < from->nsources; i++) {
        struct gtid_range *ranges = to->sources[i].ranges;

        memcpy(ranges, from->sources[i].ranges, from->sources[i].nranges * sizeof *ranges);
        to->sources[i] = from->sources[i];
        to->sources[i].ranges = ranges;
    }
}

void gtid_set_copy(struct gtid_set *to, const struct gtid_set *from)
{
    struct gtid_set copy = {NULL, 0};

    if (to == from)
        return;
    if (has_shape(to, from)) {
        copy_numbers(to, from);
        return;
    }
    if (from->nsources > 0)
        copy.sources = mem_zalloc(from->nsources, sizeof *copy.sources);
    for (; copy.nsources < from->nsources; copy.nsources++) {
        copy.sources[copy.nsources] = from->sources[copy.nsources];
        copy.sources[copy.nsources].ranges = copy_ranges(&from->sources[copy.nsources]);
    }
    gtid_set_done(to);
    *to = copy;
}

bool gtid_set_is_empty(const struct gtid_set *s) { return s->nsources == 0; }

size_t gtid_set_bytes(const struct gtid_set *s)
{
    size_t bytes = s->nsources * sizeof *s->sources;

    for (size_t i = 0; i < s->nsources; i++)
        bytes += s->sources[i].nranges * sizeof *s->sources[i].ranges;
    return bytes;
}

bool gtid_set_has_tags(const struct gtid_set *s)
{
    for (size_t i = 0; i < s->nsources; i++)
        if (s->sources[i].tag[0] != '\0')
            return true;
    return false;
}

/* ---- Sources and ranges ---- */

static int compare_source(const struct gtid_source *s, const uint8_t *uuid, const char *tag)
{
    int order = memcmp(s->uuid, uuid, GTID_UUID_BYTES);

    return order != 0 ? order : strcmp(s->tag, tag);
}

/* The first source that is not before (uuid, tag). */
static size_t source_place(const struct gtid_set *s, const uint8_t *uuid, const char *tag)
{
    size_t low = 0, high = s->nsources;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare_source(&s->sources[middle], uuid, tag) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct gtid_source *find_source(const struct gtid_set *s, const uint8_t *uuid, const char *tag)
{
    size_t i = source_place(s, uuid, tag);

    return i < s->nsources && compare_source(&s->sources[i], uuid, tag) == 0 ? &s->sources[i] : NULL;
}

static struct gtid_source *take_source(struct gtid_set *s, const uint8_t *uuid, const char *tag)
{
    struct gtid_source *found = find_source(s, uuid, tag);

    if (found != NULL)
        return found;
    size_t i = source_place(s, uuid, tag);

    s->sources = mem_realloc(s->sources, (s->nsources + 1) * sizeof *s->sources);
    memmove(&s->sources[i + 1], &s->sources[i], (s->nsources - i) * sizeof *s->sources);
    s->nsources++;
    s->sources[i] = (struct gtid_source){.ranges = NULL};
    memcpy(s->sources[i].uuid, uuid, GTID_UUID_BYTES);
    memcpy(s->sources[i].tag, tag, strlen(tag) + 1);
    return &s->sources[i];
}

/* The first range that ends at n or behind it. */
static size_t range_place(const struct gtid_source *s, uint64_t n)
{
    size_t low = 0, high = s->nranges;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (s->ranges[middle].last < n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert_range(struct gtid_source *s, size_t at, struct gtid_range r)
{
    s->ranges = mem_realloc(s->ranges, (s->nranges + 1) * sizeof *s->ranges);
    memmove(&s->ranges[at + 1], &s->ranges[at], (s->nranges - at) * sizeof *s->ranges);
    s->ranges[at] = r;
    s->nranges++;
}

/* r.first is at least 1. */
static void add_range(struct gtid_source *s, struct gtid_range r)
{
    size_t at = range_place(s, r.first - 1); /* may touch it, or lie behind */
    size_t end = at;

    while (end < s->nranges && s->ranges[end].first <= r.last + 1) {
        if (s->ranges[end].first < r.first)
            r.first = s->ranges[end].first;
        if (s->ranges[end].last > r.last)
            r.last = s->ranges[end].last;
        end++;
    }
    if (end == at) {
        insert_range(s, at, r);
        return;
    }
    s->ranges[at] = r;
    memmove(&s->ranges[at + 1], &s->ranges[end], (s->nranges - end) * sizeof *s->ranges);
    s->nranges -= end - at - 1;
}

static bool has_range(const struct gtid_source *s, struct gtid_range r)
{
    size_t at = range_place(s, r.first);

    return at < s->nranges && s->ranges[at].first <= r.first && s->ranges[at].last >= r.last;
}

/* ---- Sets ---- */

void gtid_set_add(struct gtid_set *s, const struct gtid *g)
{
    assert(g->kind == GTID_MYSQL);
    if (g->seq >= 1 && g->seq <= GNO_MAX)
        add_range(take_source(s, g->uuid, g->tag), (struct gtid_range){g->seq, g->seq});
}

bool gtid_set_includes(const struct gtid_set *s, const struct gtid *g)
{
    const struct gtid_source *source = find_source(s, g->uuid, g->tag);

    return source != NULL && has_range(source, (struct gtid_range){g->seq, g->seq});
}

static bool source_covers(const struct gtid_source *s, const struct gtid_source *other)
{
    for (size_t i = 0; i < other->nranges; i++)
        if (!has_range(s, other->ranges[i]))
            return false;
    return true;
}

bool gtid_set_covers(const struct gtid_set *s, const struct gtid_set *other)
{
    for (size_t i = 0; i < other->nsources; i++) {
        const struct gtid_source *source = find_source(s, other->sources[i].uuid, other->sources[i].tag);

        if (source == NULL || !source_covers(source, &other->sources[i]))
            return false;
    }
    return true;
}

bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b)
{
    return gtid_set_covers(a, b) && gtid_set_covers(b, a);
}

static void intersect_ranges(const struct gtid_source *a, const struct gtid_source *b, struct gtid_set *out)
{
    for (size_t i = 0, k = 0; i < a->nranges && k < b->nranges;) {
        struct gtid_range r = {a->ranges[i].first > b->ranges[k].first ? a->ranges[i].first
                                                                       : b->ranges[k].first,
                               a->ranges[i].last < b->ranges[k].last ? a->ranges[i].last : b->ranges[k].last};

        if (r.first <= r.last)
            add_range(take_source(out, a->uuid, a->tag), r);
        if (a->ranges[i].last < b->ranges[k].last)
            i++;
        else
            k++;
    }
}

void gtid_set_intersect(struct gtid_set *to, const struct gtid_set *other)
{
    struct gtid_set both = {NULL, 0};

    for (size_t i = 0; i < to->nsources; i++) {
        const struct gtid_source *source = find_source(other, to->sources[i].uuid, to->sources[i].tag);

        if (source != NULL)
            intersect_ranges(&to->sources[i], source, &both);
    }
    gtid_set_done(to);
    *to = both;
}

/* ---- Text ---- */

bool gtid_parse_number(const char **s, uint64_t max, uint64_t *ret_number)
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

struct gtid gtid_mariadb(uint32_t domain, uint32_t server, uint64_t seq)
{
    return (struct gtid){.kind = GTID_MARIADB, .domain = domain, .server = server, .seq = seq};
}

static const char *skip_spaces(const char *s) { return s + strspn(s, " \t\r\n"); }

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 8-4-4-4-12 */
static bool parse_uuid(const char **s, uint8_t *ret_uuid)
{
    const char *p = *s;

    for (size_t i = 0; i < GTID_UUID_BYTES; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
            return false;
        int high = hex_digit(p[0]), low = high < 0 ? -1 : hex_digit(p[1]);

        if (low < 0)
            return false;
        ret_uuid[i] = (uint8_t)(high << 4 | low);
        p += 2;
    }
    *s = p;
    return true;
}

static bool parse_tag(const char **s, char ret_tag[GTID_TAG_MAX + 1])
{
    const char *p = *s;
    size_t n = 0;

    if (!isalpha((unsigned char)*p) && *p != '_')
        return false;
    for (; isalnum((unsigned char)*p) || *p == '_'; p++) {
        if (n == GTID_TAG_MAX)
            return false;
        ret_tag[n++] = (char)tolower((unsigned char)*p);
    }
    ret_tag[n] = '\0';
    *s = p;
    return true;
}

static bool parse_range(const char **s, struct gtid_range *ret_range)
{
    const char *p = *s;

    if (!gtid_parse_number(&p, GNO_MAX, &ret_range->first) || ret_range->first == 0)
        return false;
    ret_range->last = ret_range->first;
    p = skip_spaces(p);
    if (*p == '-') {
        p = skip_spaces(p + 1);
        if (!gtid_parse_number(&p, GNO_MAX, &ret_range->last) || ret_range->last < ret_range->first)
            return false;
    }
    *s = p;
    return true;
}

/* uuid {":" (tag | range)}..., a tag holding for the ranges that follow it. */
static bool parse_uuid_set(struct gtid_set *set, const char **s)
{
    uint8_t uuid[GTID_UUID_BYTES];
    char tag[GTID_TAG_MAX + 1] = "";
    bool any = false;

    if (!parse_uuid(s, uuid))
        return false;
    for (*s = skip_spaces(*s); **s == ':'; *s = skip_spaces(*s)) {
        struct gtid_range range;

        *s = skip_spaces(*s + 1);
        if (parse_range(s, &range)) {
            add_range(take_source(set, uuid, tag), range);
            any = true;
        } else if (parse_tag(s, tag)) {
            any = false; /* a range has to follow */
        } else {
            return false;
        }
    }
    return any;
}

static bool parse_set(struct gtid_set *set, const char *text, struct err *err)
{
    const char *s = skip_spaces(text);

    while (*s != '\0') {
        if (!parse_uuid_set(set, &s) || (*s != ',' && *s != '\0'))
            return err_set(
                err, ERR_CONFIG, 0,
                "no GTID set at character %zu; \"3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5\" would be one",
                (size_t)(s - text) + 1);
        if (*s == ',')
            s = skip_spaces(s + 1);
    }
    return true;
}

bool gtid_set_parse(struct gtid_set *s, const char *text, struct err *err)
{
    struct gtid_set parsed = {NULL, 0};

    if (!parse_set(&parsed, text, err)) {
        gtid_set_done(&parsed);
        return false;
    }
    gtid_set_done(s);
    *s = parsed;
    return true;
}

static void print_uuid(const uint8_t *uuid, struct buf *out)
{
    for (size_t i = 0; i < GTID_UUID_BYTES; i++)
        buf_addf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

void gtid_set_print(const struct gtid_set *s, struct buf *out)
{
    for (size_t i = 0; i < s->nsources; i++) {
        const struct gtid_source *source = &s->sources[i];

        if (i == 0 || memcmp(source->uuid, source[-1].uuid, GTID_UUID_BYTES) != 0) {
            buf_adds(out, i > 0 ? "," : "");
            print_uuid(source->uuid, out);
        }
        if (source->tag[0] != '\0')
            buf_addf(out, ":%s", source->tag);
        for (size_t k = 0; k < source->nranges; k++) {
            buf_addf(out, ":%" PRIu64, source->ranges[k].first);
            if (source->ranges[k].last > source->ranges[k].first)
                buf_addf(out, "-%" PRIu64, source->ranges[k].last);
        }
    }
}
