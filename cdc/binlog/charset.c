/*
 * Nearly all columns are UTF-8 already and pass through untouched. latin1 is done
 * here, because the servers mean Windows-1252 by it and let the five bytes that
 * Windows leaves open stand for the control characters of the same number: no
 * iconv has that set. The rest goes through iconv under its own names.
 */
#include "cdc/binlog/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

enum way { WAY_NONE, WAY_LATIN1, WAY_ICONV };

struct charset {
    enum way way;
    iconv_t iconv; /* WAY_ICONV only */
};

static const struct {
    const char *name;  /* the servers' */
    const char *iconv; /* NULL: not by iconv */
    enum way way;
} sets[] = {
    {"utf8mb4", NULL, WAY_NONE},
    {"utf8mb3", NULL, WAY_NONE},
    {"utf8", NULL, WAY_NONE},
    {"ascii", NULL, WAY_NONE},
    {"binary", NULL, WAY_NONE},
    {"latin1", NULL, WAY_LATIN1},
    {"latin2", "ISO-8859-2", WAY_ICONV},
    {"latin5", "ISO-8859-9", WAY_ICONV},
    {"latin7", "ISO-8859-13", WAY_ICONV},
    {"greek", "ISO-8859-7", WAY_ICONV},
    {"hebrew", "ISO-8859-8", WAY_ICONV},
    {"cp1250", "CP1250", WAY_ICONV},
    {"cp1251", "CP1251", WAY_ICONV},
    {"cp1256", "CP1256", WAY_ICONV},
    {"cp1257", "CP1257", WAY_ICONV},
    {"cp850", "CP850", WAY_ICONV},
    {"cp852", "CP852", WAY_ICONV},
    {"cp866", "CP866", WAY_ICONV},
    {"koi8r", "KOI8-R", WAY_ICONV},
    {"koi8u", "KOI8-U", WAY_ICONV},
    {"macce", "MAC-CENTRALEUROPE", WAY_ICONV},
    {"macroman", "MACINTOSH", WAY_ICONV},
    {"armscii8", "ARMSCII-8", WAY_ICONV},
    {"geostd8", "GEORGIAN-PS", WAY_ICONV},
    {"tis620", "TIS-620", WAY_ICONV},
    {"dec8", "DEC-MCS", WAY_ICONV},
    {"hp8", "HP-ROMAN8", WAY_ICONV},
    {"big5", "BIG5", WAY_ICONV},
    {"gb2312", "EUC-CN", WAY_ICONV},
    {"gbk", "GBK", WAY_ICONV},
    {"gb18030", "GB18030", WAY_ICONV},
    {"sjis", "SJIS", WAY_ICONV},
    {"cp932", "CP932", WAY_ICONV},
    {"ujis", "EUC-JP", WAY_ICONV},
    {"eucjpms", "EUC-JP-MS", WAY_ICONV},
    {"euckr", "EUC-KR", WAY_ICONV},
    {"ucs2", "UCS-2BE", WAY_ICONV},
    {"utf16", "UTF-16BE", WAY_ICONV},
    {"utf16le", "UTF-16LE", WAY_ICONV},
    {"utf32", "UTF-32BE", WAY_ICONV},
};

/* Windows-1252 from 0x80 on; 0x81, 0x8d, 0x8f, 0x90 and 0x9d stand for themselves. */
static const uint16_t cp1252[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

bool charset_new(const char *name, struct charset **ret_charset, struct err *err)
{
    size_t i = 0, count = sizeof(sets) / sizeof(sets[0]);
    while (name != NULL && i < count && strcmp(sets[i].name, name) != 0)
        i++;
    if (i == count)
        return err_set(err, ERR_HALT, 0, "character set %.32s cannot be converted to UTF-8", name);

    iconv_t conv = (iconv_t)-1;
    if (sets[i].way == WAY_ICONV && (conv = iconv_open("UTF-8", sets[i].iconv)) == (iconv_t)-1)
        return err_set(err, ERR_HALT, errno, "this system's iconv does not know %s, character set %s",
                       sets[i].iconv, sets[i].name);
    struct charset *c = mem_zalloc(1, sizeof(*c));
    c->way = sets[i].way;
    c->iconv = conv;
    *ret_charset = c;
    return true;
}

void charset_free(struct charset *c)
{
    if (c == NULL)
        return;
    if (c->way == WAY_ICONV)
        iconv_close(c->iconv);
    free(c);
}

static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

static size_t put_utf8(char *to, uint32_t u)
{
    if (u < 0x80) {
        to[0] = (char)u;
        return 1;
    }
    if (u < 0x800) {
        to[0] = (char)(0xc0 | u >> 6);
        to[1] = (char)(0x80 | (u & 0x3f));
        return 2;
    }
    to[0] = (char)(0xe0 | u >> 12);
    to[1] = (char)(0x80 | (u >> 6 & 0x3f));
    to[2] = (char)(0x80 | (u & 0x3f));
    return 3;
}

static void from_latin1(const char *text, size_t len, struct arena *arena, const char **ret_text,
                        size_t *ret_len)
{
    char *out = arena_alloc(arena, len * 3 + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned char b = (unsigned char)text[i];
        n += put_utf8(out + n, b >= 0x80 && b < 0xa0 ? cp1252[b - 0x80] : b);
    }
    *ret_text = out;
    *ret_len = n;
}

static bool by_iconv(iconv_t conv, const char *text, size_t len, struct arena *arena, const char **ret_text,
                     size_t *ret_len)
{
    /* At most 3 bytes of UTF-8 come from one byte, 3 from a pair; 6 leaves room for sets that compose. */
    size_t room = len * 6 + 16;
    char *out = arena_alloc(arena, room), *to = out, *from = (char *)(uintptr_t)text;
    iconv(conv, NULL, NULL, NULL, NULL);
    if (iconv(conv, &from, &len, &to, &room) != 0 || iconv(conv, NULL, NULL, &to, &room) != 0)
        return false; /* a replaced character counts as not converted: the peer would store another text */
    *ret_text = out;
    *ret_len = (size_t)(to - out);
    return true;
}

bool charset_to_utf8(struct charset *c, const char *text, size_t len, struct arena *arena,
                     const char **ret_text, size_t *ret_len)
{
    *ret_text = text;
    *ret_len = len;
    if (c->way == WAY_NONE || len == 0)
        return true;
    if (c->way == WAY_ICONV)
        return by_iconv(c->iconv, text, len, arena, ret_text, ret_len);
    if (!is_ascii(text, len))
        from_latin1(text, len, arena, ret_text, ret_len);
    return true;
}
