/*
 * fuzz_stream.h - the form of an input of fuzz_stream.c, for make_seeds.c too.
 *
 *   0  index into STREAM_BASES: whose tables
 *   1  flags (STREAM_...)
 *   2  rows of a part
 *   3  items, each a number of 2 bytes, little-endian: an event of that many bytes, or with the highest bit set
 *      something else that happens: bits 0-2 what (enum stream_other), bits 3-6 to which feed
 */
#ifndef FUZZ_STREAM_H
#define FUZZ_STREAM_H

/* Golden files of which each has tables that no other has, in this order; new ones go to the end. */
#define STREAM_BASES                                                                              \
    "mariadb-10.11-types", "mariadb-10.11-groups", "mariadb-10.11-compressed", "mysql-9.7-types", \
        "mysql-9.7-groups", "mysql-9.7-payload", "mysql-9.7-partial-json", "mysql-9.7-tagged"

#define STREAM_DESCRIBES 0x01 /* the table's definition is asked for */
#define STREAM_SMALL_PARTS 0x02
#define STREAM_BY_FILE 0x04      /* as of a server without GTIDs */
#define STREAM_REWINDS 0x08      /* a stream that begins again begins with the first event */
#define STREAM_KEEPS_LITTLE 0x10 /* of what is missed while a feed looks ahead */

#define STREAM_HEAD 3
#define STREAM_ITEM_IS_OTHER 0x8000

enum stream_other {
    STREAM_BEGIN,
    STREAM_LEAVE,
    STREAM_RESUME,
    STREAM_RESUME_BEHIND_ROWS,
    STREAM_REFUSE,
    STREAM_NO_DEFINITION,
    STREAM_DEFINITION, /* how the next ones differ, instead of a feed */
    STREAM_WHERE,      /* asks what only tells */
};

/* Of a definition that differs: its first columns, and where it says that the log ends. */
enum stream_definition {
    STREAM_AS_IT_IS,
    STREAM_LONGER,
    STREAM_SHORTER,
    STREAM_NO_COLUMN,
    STREAM_COLUMN_IN_FRONT,
    STREAM_MORE_LABELS,
    STREAM_OTHER_CHARSET,
    STREAM_FAR_AHEAD, /* of the stream: was it altered in between? */
    STREAM_DEFINITIONS
};
#endif
