/*
 * preflight_int.h - what the files of the preflight share.
 */
#ifndef CDC_PREFLIGHT_INT_H
#define CDC_PREFLIGHT_INT_H

#include "cdc/base/buf.h"
#include "cdc/db/dbconn.h"
#include "cdc/preflight.h"

struct preflight_server {
    const struct config_server *config;
    struct db_options options;
    struct dbconn *conn; /* NULL: not connected */
    char *account;       /* "`twinlog`@`%`", as a GRANT wants it */
    char *identity;      /* tells whether two sections are one server; NULL if unknown */
    bool has_clock;
    int64_t clock_ahead_us; /* of ours */
    int64_t clock_error_us; /* that much more or less */
};

struct preflight {
    const struct config *config;
    check_report *report;
    void *arg;
    size_t fails; /* but those of absent servers */
    size_t absents;
    struct preflight_server *servers; /* as in config */
};

void preflight_say(struct preflight *p, enum check_level level, const char *where, const char *mend,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* Runs a statement that changes nothing. */
bool preflight_probe(struct dbconn *conn, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
bool preflight_is_denied(const struct err *err);
bool preflight_is_missing(const struct err *err); /* no such table or database */
/* Tries INSERT, UPDATE and DELETE on `object` (quoted) and these columns by statements that hit no row; FAILs
 * with a GRANT on `granted` for each that is refused. True if all may be done. */
bool preflight_probe_writes(struct preflight *p, const struct preflight_server *s, const char *where,
                            const char *object, const char *granted, const char *const *columns,
                            size_t ncolumns);
void preflight_add_object(struct buf *out, const char *db, const char *table); /* `db`.`table` */

void preflight_check_server(struct preflight *p, struct preflight_server *s);
/* The link, the caller's; NULL if it cannot be built. */
struct link *preflight_check_link(struct preflight *p, const struct config_link *c);

#endif
