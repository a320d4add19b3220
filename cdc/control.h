/*
 * control.h - the control tables on a server: what is missing there, and the SQL
 * that makes it. sql/control_tables.sql says what there has to be.
 */
#ifndef CDC_CONTROL_H
#define CDC_CONTROL_H

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/db/dbconn.h"

struct control_step {
    char *what; /* "table twinlog.checkpoint" */
    char *sql;  /* one statement, with the database's name in it */
};

struct control_plan {
    struct control_step *steps; /* in order */
    size_t nsteps;
};

/* What `server` lacks; no steps if nothing. What the account cannot see counts as missing. */
bool control_plan_make(struct dbconn *server, const char *state_database, struct control_plan *ret_plan,
                       struct err *err);
void control_plan_done(struct control_plan *p);

/* The whole as a script. */
void control_print(const char *state_database, struct buf *out);

/* The name of control table number i (from 0) and of its first column; false when there are no more. */
bool control_table(size_t i, char *ret_table, char *ret_column, size_t size);

#endif
