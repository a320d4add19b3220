#include "cdc/binlog/xid.h"

#include <string.h>
#include <strings.h>

bool xid_equal(const struct xid *a, const struct xid *b)
{
    return a->format == b->format && a->gtrid_len == b->gtrid_len && a->bqual_len == b->bqual_len &&
           memcmp(a->data, b->data, (size_t)a->gtrid_len + a->bqual_len) == 0;
}

void xid_read(struct cursor *c, size_t len_bytes, struct xid *ret_xid)
{
    *ret_xid = (struct xid){.format = (uint32_t)cursor_le(c, 4)};
    uint64_t gtrid = cursor_le(c, len_bytes), bqual = cursor_le(c, len_bytes);
    if (gtrid > XID_PART_MAX || bqual > XID_PART_MAX)
        c->bad = true;
    const uint8_t *data = cursor_bytes(c, (size_t)(gtrid + bqual));
    if (data == NULL)
        return;
    ret_xid->gtrid_len = (uint8_t)gtrid;
    ret_xid->bqual_len = (uint8_t)bqual;
    memcpy(ret_xid->data, data, (size_t)(gtrid + bqual));
}

/* ---- Text ---- */

struct text {
    const char *p, *end;
};

static void skip_spaces(struct text *t)
{
    while (t->p < t->end && (*t->p == ' ' || *t->p == '\t' || *t->p == '\n' || *t->p == '\r'))
        t->p++;
}

static bool take(struct text *t, const char *what)
{
    size_t len = strlen(what);
    skip_spaces(t);
    if ((size_t)(t->end - t->p) < len || strncasecmp(t->p, what, len) != 0)
        return false;
    t->p += len;
    return true;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = c != '\0' ? strchr(digits, c | 0x20) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* X'6731' */
static bool take_part(struct text *t, uint8_t *to, uint8_t *ret_len)
{
    size_t n = 0;
    if (!take(t, "X'"))
        return false;
    while (t->end - t->p >= 2 && *t->p != '\'') {
        int high = hex_digit(t->p[0]), low = hex_digit(t->p[1]);
        if (high < 0 || low < 0 || n == XID_PART_MAX)
            return false;
        to[n++] = (uint8_t)(high << 4 | low);
        t->p += 2;
    }
    *ret_len = (uint8_t)n;
    return take(t, "'");
}

static bool take_number(struct text *t, uint32_t *ret_number)
{
    uint64_t n = 0;
    skip_spaces(t);
    const char *begin = t->p;
    for (; t->p < t->end && *t->p >= '0' && *t->p <= '9'; t->p++) {
        n = n * 10 + (uint64_t)(*t->p - '0');
        if (n > UINT32_MAX)
            return false;
    }
    *ret_number = (uint32_t)n;
    return t->p > begin;
}

bool xid_of_statement(const char *sql, size_t len, enum xid_end *ret_end, struct xid *ret_xid)
{
    struct text t = {sql, sql + len};
    struct xid x = {0};
    if (!take(&t, "XA") || t.p == t.end)
        return false;
    if (take(&t, "COMMIT"))
        *ret_end = XID_COMMIT;
    else if (take(&t, "ROLLBACK"))
        *ret_end = XID_ROLLBACK;
    else
        return false;
    if (!take_part(&t, x.data, &x.gtrid_len) || !take(&t, ",") ||
        !take_part(&t, x.data + x.gtrid_len, &x.bqual_len) || !take(&t, ",") || !take_number(&t, &x.format))
        return false;
    *ret_xid = x;
    return true;
}
