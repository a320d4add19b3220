/*
 * Nearly all columns are UTF-8 already and pass through untouched. The other sets
 * come from iconv, and from a list of what the servers mean otherwise: they take latin1 for
 * Windows-1252 with the five bytes that Windows leaves open, keep to older
 * tables here and there, and know two sets that no iconv has. Measured against MariaDB 10.11
 * and 11.8 and MySQL 9.7, character by character: CONVERT(CONVERT(x USING set) USING utf8mb4).
 *
 * Sets of one byte become a table when they are opened. The others go through iconv as a whole, or,
 * where the list knows of them, character by character. What a server itself can only
 * turn into a '?' or U+FFFD is no text here.
 *
 * Several bytes may mean one character (the repeated rows of cp932), never the other way round: a text is
 * written in a form that reads back as itself, which is looked at each time.
 */
#include "cdc/model/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

enum way {
    WAY_UTF8,
    WAY_BYTE, /* one byte a character */
    WAY_WHOLE,
    WAY_EACH, /* character by character: some of them are in the list */
};

/* How many bytes a character has, by its first two. */
enum lengths { LEN_NONE, LEN_TWO, LEN_SJIS, LEN_EUCJP, LEN_GB18030 };

struct set {
    const char *name;  /* the servers' */
    const char *iconv; /* NULL: not by iconv */
    enum way way;
    enum lengths lengths; /* WAY_EACH */
};

static const struct set sets[] = {
    {"utf8mb4", NULL, WAY_UTF8, LEN_NONE},
    {"utf8mb3", NULL, WAY_UTF8, LEN_NONE},
    {"utf8", NULL, WAY_UTF8, LEN_NONE},
    {"binary", NULL, WAY_UTF8, LEN_NONE},
    {"ascii", NULL, WAY_BYTE, LEN_NONE},
    {"latin1", NULL, WAY_BYTE, LEN_NONE},
    {"keybcs2", NULL, WAY_BYTE, LEN_NONE},
    {"latin2", "ISO-8859-2", WAY_BYTE, LEN_NONE},
    {"latin5", "ISO-8859-9", WAY_BYTE, LEN_NONE},
    {"latin7", "ISO-8859-13", WAY_BYTE, LEN_NONE},
    {"greek", "ISO-8859-7", WAY_BYTE, LEN_NONE},
    {"hebrew", "ISO-8859-8", WAY_BYTE, LEN_NONE},
    {"cp1250", "CP1250", WAY_BYTE, LEN_NONE},
    {"cp1251", "CP1251", WAY_BYTE, LEN_NONE},
    {"cp1256", "CP1256", WAY_BYTE, LEN_NONE},
    {"cp1257", "CP1257", WAY_BYTE, LEN_NONE},
    {"cp850", "CP850", WAY_BYTE, LEN_NONE},
    {"cp852", "CP852", WAY_BYTE, LEN_NONE},
    {"cp866", "CP866", WAY_BYTE, LEN_NONE},
    {"koi8r", "KOI8-R", WAY_BYTE, LEN_NONE},
    {"koi8u", "KOI8-U", WAY_BYTE, LEN_NONE},
    {"macce", "MAC-CENTRALEUROPE", WAY_BYTE, LEN_NONE},
    {"macroman", "MACINTOSH", WAY_BYTE, LEN_NONE},
    {"armscii8", "ARMSCII-8", WAY_BYTE, LEN_NONE},
    {"geostd8", "GEORGIAN-PS", WAY_BYTE, LEN_NONE},
    {"tis620", "TIS-620", WAY_BYTE, LEN_NONE},
    {"dec8", "DEC-MCS", WAY_BYTE, LEN_NONE},
    {"hp8", "HP-ROMAN8", WAY_BYTE, LEN_NONE},
    {"swe7", "SEN_850200_C", WAY_BYTE, LEN_NONE},
    {"gb2312", "EUC-CN", WAY_WHOLE, LEN_NONE},
    {"gbk", "GBK", WAY_WHOLE, LEN_NONE},
    {"euckr", "CP949", WAY_WHOLE, LEN_NONE},
    {"cp932", "CP932", WAY_WHOLE, LEN_NONE},
    {"eucjpms", "EUC-JP-MS", WAY_WHOLE, LEN_NONE},
    {"ucs2", "UCS-2BE", WAY_WHOLE, LEN_NONE},
    {"utf16", "UTF-16BE", WAY_WHOLE, LEN_NONE},
    {"utf16le", "UTF-16LE", WAY_WHOLE, LEN_NONE},
    {"utf32", "UTF-32BE", WAY_WHOLE, LEN_NONE},
    {"big5", "BIG5-HKSCS", WAY_EACH, LEN_TWO},
    {"sjis", "SJIS", WAY_EACH, LEN_SJIS},
    {"ujis", "EUC-JP", WAY_EACH, LEN_EUCJP},
    {"gb18030", "GB18030", WAY_EACH, LEN_GB18030},
};

#define NO_TEXT UINT32_MAX

/* Where the servers differ from iconv: the bytes first to last, as one number, are the characters from `to` on. */
static const struct patch {
    const char *set;
    uint32_t first, last, to;
} patches[] = {
    {"ascii", 0x80, 0xff, NO_TEXT},
    {"greek", 0xa1, 0xa1, 0x2bd},
    {"greek", 0xa2, 0xa2, 0x2bc},
    {"greek", 0xa4, 0xa5, NO_TEXT},
    {"greek", 0xaa, 0xaa, NO_TEXT},
    {"hebrew", 0xaf, 0xaf, 0x203e},
    {"cp1256", 0x8a, 0x8a, NO_TEXT},
    {"cp1256", 0x8f, 0x8f, NO_TEXT},
    {"cp1256", 0x98, 0x98, NO_TEXT},
    {"cp1256", 0x9a, 0x9a, NO_TEXT},
    {"cp1256", 0x9f, 0x9f, NO_TEXT},
    {"cp1256", 0xaa, 0xaa, NO_TEXT},
    {"cp1256", 0xc0, 0xc0, NO_TEXT},
    {"cp1256", 0xff, 0xff, NO_TEXT},
    {"cp866", 0xfc, 0xfc, 0x207f},
    {"cp866", 0xfd, 0xfd, 0xb2},
    {"koi8u", 0x95, 0x95, 0x2022},
    {"macroman", 0xc6, 0xc6, 0x2206},
    {"macroman", 0xf0, 0xf0, 0xf8ff},
    {"armscii8", 0xa1, 0xa1, 0x2741},
    {"armscii8", 0xa2, 0xa2, 0xa7},
    {"armscii8", 0xad, 0xad, 0x55f},
    {"armscii8", 0xfe, 0xfe, 0x2019},
    {"armscii8", 0xff, 0xff, 0x27},
    {"geostd8", 0x80, 0x80, 0x20ac},
    {"geostd8", 0x81, 0x81, NO_TEXT},
    {"geostd8", 0x83, 0x83, NO_TEXT},
    {"geostd8", 0x88, 0x88, NO_TEXT},
    {"geostd8", 0x8a, 0x8a, NO_TEXT},
    {"geostd8", 0x8c, 0x90, NO_TEXT},
    {"geostd8", 0x98, 0x9a, NO_TEXT},
    {"geostd8", 0x9c, 0x9f, NO_TEXT},
    {"geostd8", 0xe6, 0xfc, NO_TEXT},
    {"geostd8", 0xfd, 0xfd, 0x2116},
    {"geostd8", 0xfe, 0xff, NO_TEXT},
    {"tis620", 0x80, 0x9f, 0x80},
    {"dec8", 0xa0, 0xa0, 0xa0},
    {"swe7", 0x24, 0x24, 0x24},
    {"swe7", 0x7f, 0x7f, NO_TEXT},
    {"sjis", 0x815f, 0x815f, 0x5c},
    {"ujis", 0xa1c0, 0xa1c0, 0x5c},
    {"ujis", 0x8fa2b7, 0x8fa2b7, 0x7e},
    /* Hong Kong's rows are not the servers'; theirs are of ETEN. */
    {"big5", 0x8140, 0xa0fe, NO_TEXT},
    {"big5", 0xa27e, 0xa27e,
     0x256d}, /* these eight stand twice, the second time where the servers have nothing */
    {"big5", 0xa2a1, 0xa2a1, 0x256e},
    {"big5", 0xa2a2, 0xa2a2, 0x2570},
    {"big5", 0xa2a3, 0xa2a3, 0x256f},
    {"big5", 0xa2a4, 0xa2a4, 0x2550},
    {"big5", 0xa2a5, 0xa2a5, 0x255e},
    {"big5", 0xa2a6, 0xa2a6, 0x256a},
    {"big5", 0xa2a7, 0xa2a7, 0x2561},
    {"big5", 0xc6a1, 0xc6a1, 0x30fe},
    {"big5", 0xc6a2, 0xc6a3, 0x309d},
    {"big5", 0xc6a4, 0xc6a4, 0x3005},
    {"big5", 0xc6a5, 0xc6f7, 0x3041},
    {"big5", 0xc6f8, 0xc6fe, 0x30a1},
    {"big5", 0xc740, 0xc77e, 0x30a8},
    {"big5", 0xc7a1, 0xc7b0, 0x30e7},
    {"big5", 0xc7b1, 0xc7b2, 0x414},
    {"big5", 0xc7b3, 0xc7b3, 0x401},
    {"big5", 0xc7b4, 0xc7ba, 0x416},
    {"big5", 0xc7bb, 0xc7cd, 0x423},
    {"big5", 0xc7ce, 0xc7ce, 0x451},
    {"big5", 0xc7cf, 0xc7e8, 0x436},
    {"big5", 0xc7e9, 0xc7f2, 0x2460},
    {"big5", 0xc7f3, 0xc7fc, 0x2474},
    {"big5", 0xc7fd, 0xc8fe, NO_TEXT},
    {"big5", 0xf9dd, 0xfefe, NO_TEXT},
    {"gb18030", 0xa6d9, 0xa6df, 0xe78d},
    {"gb18030", 0xa6ec, 0xa6ed, 0xe794},
    {"gb18030", 0xa6f3, 0xa6f3, 0xe796},
    {"gb18030", 0xfe51, 0xfe53, 0xe816},
    {"gb18030", 0xfe59, 0xfe59, 0xe81e},
    {"gb18030", 0xfe61, 0xfe61, 0xe826},
    {"gb18030", 0xfe66, 0xfe67, 0xe82b},
    {"gb18030", 0xfe6c, 0xfe6d, 0xe831},
    {"gb18030", 0xfe76, 0xfe76, 0xe83b},
    {"gb18030", 0xfe7e, 0xfe7e, 0xe843},
    {"gb18030", 0xfe90, 0xfe91, 0xe854},
    {"gb18030", 0xfea0, 0xfea0, 0xe864},
    {"gb18030", 0x82359037, 0x82359039, 0x9fb4},
    {"gb18030", 0x82359130, 0x82359134, 0x9fb7},
    {"gb18030", 0x84318236, 0x84318239, 0xfe10},
    {"gb18030", 0x84318330, 0x84318335, 0xfe14},
};

/* Windows-1252 from 0x80 on; 0x81, 0x8d, 0x8f, 0x90 and 0x9d stand for themselves. */
static const uint16_t latin1_high[] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

/* Kamenicky, from 0x80 on. */
static const uint16_t keybcs2_high[] = {
    0x010c, 0x00fc, 0x00e9, 0x010f, 0x00e4, 0x010e, 0x0164, 0x010d, 0x011b, 0x011a, 0x0139, 0x00cd, 0x013e,
    0x013a, 0x00c4, 0x00c1, 0x00c9, 0x017e, 0x017d, 0x00f4, 0x00f6, 0x00d3, 0x016f, 0x00da, 0x00fd, 0x00d6,
    0x00dc, 0x0160, 0x013d, 0x00dd, 0x0158, 0x0165, 0x00e1, 0x00ed, 0x00f3, 0x00fa, 0x0148, 0x0147, 0x016e,
    0x00d4, 0x0161, 0x0159, 0x0155, 0x0154, 0x00bc, 0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502,
    0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b, 0x2510, 0x2514,
    0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f, 0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550,
    0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c,
    0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393, 0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4,
    0x03a6, 0x0398, 0x03a9, 0x03b4, 0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320,
    0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2, 0x25a0, 0x00a0,
};

struct charset {
    const struct set *set;
    uint32_t table[256]; /* WAY_BYTE: the character of each byte, or NO_TEXT */
};

/* ---- UTF-8 ---- */

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

/* One character of at most `len` bytes, len > 0; its length, or 0 if it is malformed, or longer than it need be. (Halves
 * of surrogate pairs are text to MariaDB.) */
static size_t get_utf8(const char *text, size_t len, uint32_t *ret_u)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char b = (unsigned char)text[0];
    size_t n = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t u = n == 1 ? b : b & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        u = u << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (u < least[n] || u > 0x10ffff)
        return 0;
    *ret_u = u;
    return n;
}

static bool is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* ---- iconv ---- */

/* The whole text, into at most *room bytes. A replaced character counts as not converted: another text would be
 * stored. */
static bool convert(iconv_t conv, const char *text, size_t len, char *out, size_t room, size_t *ret_len)
{
    char *to = out, *from = (char *)(uintptr_t)text;
    size_t left = room;
    iconv(conv, NULL, NULL, NULL, NULL);
    if (iconv(conv, &from, &len, &to, &left) != 0 || iconv(conv, NULL, NULL, &to, &left) != 0)
        return false;
    *ret_len = (size_t)(to - out);
    return true;
}

/* ---- The list ---- */

static bool is_patched(const struct set *s, uint32_t bytes, uint32_t *ret_u)
{
    for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
        const struct patch *p = &patches[i];
        if (strcmp(p->set, s->name) != 0 || bytes < p->first || bytes > p->last)
            continue;
        *ret_u = p->to == NO_TEXT ? NO_TEXT : p->to + (bytes - p->first);
        return true;
    }
    return false;
}

/* The bytes, as a number, that the list has for a character; 0 if it has none. */
static uint32_t patched_bytes(const struct set *s, uint32_t u)
{
    for (size_t i = 0; i < sizeof(patches) / sizeof(patches[0]); i++) {
        const struct patch *p = &patches[i];
        if (strcmp(p->set, s->name) == 0 && p->to != NO_TEXT && u >= p->to && u - p->to <= p->last - p->first)
            return p->first + (u - p->to);
    }
    return 0;
}

/* ---- Opening ---- */

static uint32_t one_byte(iconv_t conv, unsigned char b)
{
    char text[16];
    size_t n;
    uint32_t u;
    if (conv == (iconv_t)-1)
        return b;
    if (!convert(conv, (const char *)&b, 1, text, sizeof(text), &n) || n == 0 || get_utf8(text, n, &u) != n)
        return NO_TEXT;
    return u;
}

static void fill_table(struct charset *c, iconv_t conv)
{
    for (unsigned b = 0; b < 256; b++) {
        c->table[b] = one_byte(conv, (unsigned char)b);
        is_patched(c->set, b, &c->table[b]);
    }
    if (strcmp(c->set->name, "latin1") == 0)
        for (unsigned i = 0; i < sizeof(latin1_high) / sizeof(latin1_high[0]); i++)
            c->table[0x80 + i] = latin1_high[i];
    if (strcmp(c->set->name, "keybcs2") == 0)
        for (unsigned i = 0; i < sizeof(keybcs2_high) / sizeof(keybcs2_high[0]); i++)
            c->table[0x80 + i] = keybcs2_high[i];
}

bool charset_new(const char *name, struct charset **ret_charset, struct err *err)
{
    size_t i = 0, count = sizeof(sets) / sizeof(sets[0]);
    while (name != NULL && i < count && strcmp(sets[i].name, name) != 0)
        i++;
    if (i == count)
        return err_set(err, ERR_CONFIG, 0, "character set %.32s cannot be converted to UTF-8", name);

    iconv_t conv = (iconv_t)-1;
    if (sets[i].iconv != NULL && (conv = iconv_open("UTF-8", sets[i].iconv)) == (iconv_t)-1)
        return err_set(err, ERR_CONFIG, errno,
                       "character set %s cannot be converted to UTF-8: this system's iconv does not know %s",
                       sets[i].name, sets[i].iconv);
    struct charset *c = mem_zalloc(1, sizeof(*c));
    c->set = &sets[i];
    if (c->set->way == WAY_BYTE)
        fill_table(c, conv);
    if (conv != (iconv_t)-1)
        iconv_close(conv);
    *ret_charset = c;
    return true;
}

void charset_free(struct charset *c) { free(c); }

const char *charset_name(const struct charset *c) { return c->set->name; }

bool charset_is_utf8(const struct charset *c) { return c->set->way == WAY_UTF8; }

/* ---- To UTF-8 ---- */

static bool from_bytes(const struct charset *c, const char *text, size_t len, char *out, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        uint32_t u = c->table[(unsigned char)text[i]];
        if (u == NO_TEXT)
            return false;
        n += put_utf8(out + n, u);
    }
    *ret_len = n;
    return true;
}

/* Of the character at text, len > 0. It may be longer than what is left. */
static size_t char_bytes(enum lengths lengths, const char *text, size_t len)
{
    unsigned char b = (unsigned char)text[0], next = len > 1 ? (unsigned char)text[1] : 0;
    if (b < 0x80)
        return 1;
    switch (lengths) {
    case LEN_SJIS: return b >= 0xa1 && b <= 0xdf ? 1 : 2;
    case LEN_EUCJP: return b == 0x8f ? 3 : 2;
    case LEN_GB18030: return next >= '0' && next <= '9' ? 4 : 2;
    case LEN_TWO:
    case LEN_NONE: break;
    }
    return 2;
}

static uint32_t as_number(const char *text, size_t len)
{
    uint32_t v = 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | (unsigned char)text[i];
    return v;
}

static bool from_each(const struct charset *c, iconv_t conv, const char *text, size_t len, char *out,
                      size_t room, size_t *ret_len)
{
    size_t n = 0, more;
    while (len > 0) {
        size_t bytes = char_bytes(c->set->lengths, text, len);
        uint32_t u = (unsigned char)text[0];
        if (bytes > len)
            return false;
        if (u < 0x80 || is_patched(c->set, as_number(text, bytes), &u)) {
            if (u == NO_TEXT)
                return false;
            more = put_utf8(out + n, u);
        } else if (!convert(conv, text, bytes, out + n, room - n, &more)) {
            return false;
        }
        n += more;
        text += bytes;
        len -= bytes;
    }
    *ret_len = n;
    return true;
}

bool charset_to_utf8(const struct charset *c, const char *text, size_t len, struct arena *arena,
                     const char **ret_text, size_t *ret_len)
{
    *ret_text = text;
    *ret_len = len;
    if (c->set->way == WAY_UTF8 || len == 0)
        return true;
    if (strcmp(c->set->name, "ascii") == 0)
        return is_ascii(text, len);

    /* At most 3 bytes of UTF-8 come from one byte, 3 from a pair; 6 leaves room for sets that compose. */
    size_t room = len * 6 + 16;
    char *out = arena_alloc(arena, room);
    *ret_text = out;
    if (c->set->way == WAY_BYTE)
        return from_bytes(c, text, len, out, ret_len);
    /* Opened each time: a descriptor has a state, and belongs to one thread. */
    iconv_t conv = iconv_open("UTF-8", c->set->iconv);
    bool ok = conv != (iconv_t)-1 &&
              (c->set->way == WAY_WHOLE ? convert(conv, text, len, out, room, ret_len)
                                        : from_each(c, conv, text, len, out, room, ret_len));
    if (conv != (iconv_t)-1)
        iconv_close(conv);
    return ok;
}

/* ---- From UTF-8 ---- */

static bool find_byte(const struct charset *c, uint32_t u, char *ret_byte)
{
    if (u < 0x80 && c->table[u] == u) {
        *ret_byte = (char)u;
        return true;
    }
    for (unsigned b = 0; b < 256; b++)
        if (c->table[b] == u) {
            *ret_byte = (char)b;
            return true;
        }
    return false;
}

static bool to_bytes(const struct charset *c, const char *text, size_t len, struct buf *out)
{
    while (len > 0) {
        uint32_t u;
        char byte;
        size_t n = get_utf8(text, len, &u);
        if (n == 0 || !find_byte(c, u, &byte))
            return false;
        buf_addc(out, byte);
        text += n;
        len -= n;
    }
    return true;
}

static bool add_converted(iconv_t conv, const char *text, size_t len, struct buf *out)
{
    size_t room = len * 4 + 16, n;
    char *to = buf_room(out, room);
    if (to == NULL || !convert(conv, text, len, to, room, &n))
        return false;
    out->len += n;
    return true;
}

static bool to_each(const struct charset *c, iconv_t conv, const char *text, size_t len, struct buf *out)
{
    while (len > 0) {
        uint32_t u, bytes;
        size_t n = get_utf8(text, len, &u);
        if (n == 0)
            return false;
        if (u < 0x80) {
            buf_addc(out, (char)u);
        } else if ((bytes = patched_bytes(c->set, u)) != 0) {
            for (int shift = 24; shift >= 0; shift -= 8)
                if (bytes >> shift != 0)
                    buf_addc(out, (char)(bytes >> shift));
        } else if (!add_converted(conv, text, n, out)) {
            return false;
        }
        text += n;
        len -= n;
    }
    return true;
}

/* What was appended must be read as the text that it came from. */
static bool reads_back(const struct charset *c, const struct buf *out, size_t begin, const char *text,
                       size_t len)
{
    struct arena arena;
    const char *back;
    size_t n;
    arena_init(&arena);
    bool same = charset_to_utf8(c, out->data + begin, out->len - begin, &arena, &back, &n) && n == len &&
                memcmp(back, text, len) == 0;
    arena_done(&arena);
    return same;
}

bool charset_from_utf8(const struct charset *c, const char *text, size_t len, struct buf *out)
{
    size_t begin = out->len;
    if (len == 0)
        return true;
    if (c->set->way == WAY_UTF8) {
        buf_add(out, text, len);
        return !out->overrun;
    }
    if (c->set->way == WAY_BYTE)
        return to_bytes(c, text, len, out) && !out->overrun;
    iconv_t conv = iconv_open(c->set->iconv, "UTF-8");
    bool ok = conv != (iconv_t)-1 && (c->set->way == WAY_WHOLE ? add_converted(conv, text, len, out)
                                                               : to_each(c, conv, text, len, out));
    if (conv != (iconv_t)-1)
        iconv_close(conv);
    return ok && !out->overrun && reads_back(c, out, begin, text, len);
}
