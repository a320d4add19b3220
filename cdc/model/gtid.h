/*
 * gtid.h - global transaction ids, and MySQL's sets of them.
 *
 *   MariaDB   domain-server-sequence       0-1-155
 *   MySQL     uuid[:tag]:number            3e11fa47-71ca-11e1-9e33-c80aa9429562:23
 *
 * MariaDB's position is a list, the last id of each domain (pos.h). MySQL's is the
 * set of all that was executed: for each source (uuid and tag) ranges of numbers.
 */
#ifndef MODEL_GTID_H
#define MODEL_GTID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"

#define GTID_UUID_BYTES 16
#define GTID_TAG_MAX 32 /* characters: a letter or _, then letters, digits, _; lower case */

enum gtid_kind {
    GTID_NONE, /* a transaction without one: only file and offset place it */
    GTID_MARIADB,
    GTID_MYSQL,
};

struct gtid {
    enum gtid_kind kind;
    uint32_t domain, server; /* MariaDB */
    uint64_t seq;
    uint8_t uuid[GTID_UUID_BYTES]; /* MySQL */
    char tag[GTID_TAG_MAX + 1];    /* "": none */
};

struct gtid_range { /* both ends belong to it */
    uint64_t first, last;
};

struct gtid_source {
    uint8_t uuid[GTID_UUID_BYTES];
    char tag[GTID_TAG_MAX + 1];
    struct gtid_range *ranges; /* ascending, with a gap between any two; never empty; owned */
    size_t nranges;
};

struct gtid_set {
    struct gtid_source *sources; /* ascending by uuid, then tag; owned */
    size_t nsources;
};

void gtid_set_done(struct gtid_set *s);                               /* leaves the empty set */
void gtid_set_copy(struct gtid_set *to, const struct gtid_set *from); /* frees what `to` held */
bool gtid_set_is_empty(const struct gtid_set *s);
bool gtid_set_equal(const struct gtid_set *a, const struct gtid_set *b);
bool gtid_set_includes(const struct gtid_set *s, const struct gtid *g);
bool gtid_set_covers(const struct gtid_set *s, const struct gtid_set *other);
void gtid_set_add(struct gtid_set *s, const struct gtid *g); /* one of MySQL's */
void gtid_set_intersect(struct gtid_set *to, const struct gtid_set *other);
bool gtid_set_has_tags(const struct gtid_set *s);
size_t gtid_set_bytes(const struct gtid_set *s); /* of memory */

/* As MySQL prints and takes them: "uuid:1-5:7,uuid:1:tag:1-3", spaces and line ends allowed; "" is the empty set.
 * ERR_CONFIG otherwise, and *s is unchanged. */
bool gtid_set_parse(struct gtid_set *s, const char *text, struct err *err);
void gtid_set_print(const struct gtid_set *s, struct buf *out);

struct gtid gtid_mariadb(uint32_t domain, uint32_t server, uint64_t seq);
/* Digits up to max; moves *s behind them. */
bool gtid_parse_number(const char **s, uint64_t max, uint64_t *ret_number);

#endif
