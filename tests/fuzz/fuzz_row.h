/*
 * fuzz_row.h - numbers in an input of fuzz_row.c, for make_seeds.c too.
 */
#ifndef FUZZ_ROW_H
#define FUZZ_ROW_H

#define ROW_COLUMNS 96

#define ROW_UNSIGNED 0x01
#define ROW_FIXED 0x02
#define ROW_UNWANTED 0x04

#define ROW_UPDATE 0x01
#define ROW_PARTIAL 0x02 /* the after image may hold parts of JSON */

/* In this order; new ones go to the end. */
#define ROW_CHARSETS                                                                                     \
    "utf8mb4", "latin1", "ascii", "cp1251", "ucs2", "utf16", "utf32", "sjis", "gbk", "utf8mb3", "cp932", \
        "big5", "gb18030", "ujis", "eucjpms", "euckr", "gb2312", "utf16le", "latin2", "greek", "hebrew", \
        "koi8r", "cp850", "tis620", "hp8", "armscii8", "geostd8", "macce", "dec8", "binary", "cp1250",   \
        "cp1256", "cp1257", "cp852", "cp866", "keybcs2", "koi8u", "latin5", "latin7", "macroman", "swe7"

#endif
