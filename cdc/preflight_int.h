/*
 * preflight_int.h - what the files of the preflight share.
 */
#ifndef CDC_PREFLIGHT_INT_H
#define CDC_PREFLIGHT_INT_H

#include "cdc/base/buf.h"
#include "cdc/db/dbconn.h"
#include "cdc/preflight.h"

struct preflight_setting {
    char *name, *value;
};

struct preflight_server {
    const struct config_server *config;
    struct db_options options;
    struct dbconn *conn;                /* NULL: not connected */
    char *account;                      /* "`twinlog`@`%`", as a GRANT wants it */
    char *identity;                     /* tells whether two sections are one server; NULL if unknown */
    struct preflight_setting *settings; /* global variables, as far as the server knows them */
    size_t nsettings;
    bool read_only; /* said so; what writing would say is not worth a line */
    bool has_log;   /* that can be read */
    bool has_control;
    bool has_clock;
    int64_t clock_ahead_us; /* of ours */
    int64_t clock_error_us; /* that much more or less */
};

struct preflight {
    const struct config *config;
    check_report *report;
    void *arg;
    bool is_start; /* of the daemon: what matters only once the primary has failed shall not keep it from working */
    size_t fails; /* but those of absent servers */
    size_t absents;
    struct preflight_server *servers; /* as in config */
};

/* ---- preflight_probe.c ---- */

void preflight_say(struct preflight *p, enum check_level level, const char *where, const char *mend,
                   const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/* After a FAIL: with ERR_RETRY the server may yet come, so that it counts as absent. */
void preflight_absent(struct preflight *p, const struct err *err);

/* Runs a statement without a result. */
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

/* Of those that preflight_check_server() asks for; "" if the server does not know it. */
const char *preflight_setting(const struct preflight_server *s, const char *name);
uint64_t preflight_number(const struct preflight_server *s, const char *name); /* 0 likewise */
bool preflight_is_on(const struct preflight_server *s, const char *name);
struct preflight_server *preflight_find(const struct preflight *p, const char *name);

/* ---- The checks ---- */

/* preflight_server.c: what it is, and what we may do there. */
void preflight_check_server(struct preflight *p, struct preflight_server *s);
void preflight_server_done(struct preflight_server *s);
/* preflight_log.c: can the binary log be read, does it hold all it has to, and does what is written come back? */
void preflight_check_log(struct preflight *p, struct preflight_server *s);
void preflight_check_round_trip(struct preflight *p, struct preflight_server *s);
void preflight_check_positions(struct preflight *p, const struct config_link *c);
/* preflight_table.c: what the table is beside its columns. */
void preflight_check_table(struct preflight *p, const struct preflight_server *s, const struct config_link *c,
                           enum side side);
void preflight_check_unique(struct preflight *p, const struct config_link *c, const struct link *link);
/* preflight_link.c: the link, the caller's; NULL if it cannot be built. */
struct link *preflight_check_link(struct preflight *p, const struct config_link *c);

#endif
