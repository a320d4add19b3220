/*
 * init.c - makes the control tables. Statement by statement, so that what could
 * be made stays and the rest can be handed to someone who may do it.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/base/buf.h"
#include "cdc/cli/cli.h"
#include "cdc/control.h"
#include "config/config.h"

static bool is_used(const struct config *c, const struct config_server *s)
{
    for (size_t i = 0; i < c->nlinks; i++)
        for (int side = 0; side < 2; side++)
            if (strcmp(c->links[i].side[side].server, s->name) == 0)
                return true;
    return false;
}

/* ---- --print ---- */

static void print_grants(const struct config *c, const struct config_server *s, struct buf *out)
{
    struct buf account = BUF_INIT;
    db_quote_name(&account, s->user);
    buf_adds(&account, "@`%`");
    buf_addf(
        out,
        "\n-- The account, with the least that capture and apply need. Instead of %% name the host that\n"
        "-- twinlog runs on, if you can. CREATE USER %s IDENTIFIED BY '...';\n"
        "GRANT REPLICATION SLAVE ON *.* TO %s; -- reads the binary log\n"
        "GRANT REPLICATION CLIENT ON *.* TO %s; -- its file and offset: MySQL needs it, MariaDB to see that "
        "a log is still the one that was read\n"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ",
        account.data, account.data, account.data);
    struct buf pattern = BUF_INIT;
    for (const char *p = c->state_database; *p != '\0';
         p++) { /* _ and % are wildcards in a database's name */
        if (*p == '_' || *p == '%' || *p == '\\')
            buf_addc(&pattern, '\\');
        buf_addc(&pattern, *p);
    }
    db_quote_name(out, pattern.data);
    buf_addf(out, ".* TO %s;\nGRANT CREATE, ALTER ON ", account.data);
    db_quote_name(out, pattern.data);
    buf_addf(out, ".* TO %s; -- for `twinlog init` only: may be revoked once it has run\n", account.data);
    buf_done(&pattern);
    for (size_t i = 0; i < c->nlinks; i++) {
        for (int side = 0; side < 2; side++) {
            const struct config_table *t = &c->links[i].side[side];
            if (strcmp(t->server, s->name) != 0)
                continue;
            buf_adds(out, "GRANT SELECT, INSERT, UPDATE, DELETE ON ");
            db_quote_name(out, t->db);
            buf_addc(out, '.');
            db_quote_name(out, t->table);
            buf_addf(out, " TO %s; -- link %s\n", account.data, c->links[i].name);
        }
    }
    buf_done(&account);
}

static int print_sql(const struct config *c)
{
    for (size_t i = 0; i < c->nservers; i++) {
        const struct config_server *s = &c->servers[i];
        struct buf out = BUF_INIT;
        if (!is_used(c, s))
            continue;
        buf_addf(&out, "-- ---- On server %s ----\n\n", s->name);
        control_print(c->state_database, &out);
        print_grants(c, s, &out);
        printf("%s\n", out.data);
        buf_done(&out);
    }
    return CLI_DONE;
}

/* ---- On the servers ---- */

static bool is_denied(const struct err *err)
{
    return err->code == 1044 || err->code == 1142 || err->code == 1227;
}

static bool run_plan(const struct config_server *s, struct dbconn *conn, const struct control_plan *plan)
{
    if (plan->nsteps == 0)
        printf("%s: the control tables are there and up to date\n", s->name);
    for (size_t i = 0; i < plan->nsteps; i++) {
        struct err err = ERR_INIT;
        if (dbconn_exec(conn, plan->steps[i].sql, &err)) {
            printf("%s: made %s\n", s->name, plan->steps[i].what);
            continue;
        }
        fflush(stdout);
        fprintf(stderr, "twinlog: %s: cannot make %s: %s\n", s->name, plan->steps[i].what, err.text);
        if (is_denied(&err)) {
            printf("-- To be run on server %s by an account that may CREATE and ALTER:\n", s->name);
            for (; i < plan->nsteps; i++)
                printf("%s;\n", plan->steps[i].sql);
        }
        return false;
    }
    return true;
}

static bool init_server(const struct config *c, const struct config_server *s)
{
    const struct db_options options = {.server = s,
                                       .connect_timeout_s = c->connect_timeout_s,
                                       .read_timeout_s = c->read_timeout_s,
                                       .inspect_only = true};
    struct dbconn *conn = dbconn_new(&options);
    struct control_plan plan = {0};
    struct err err = ERR_INIT;
    bool ok = dbconn_open(conn, 10, &err) && control_plan_make(conn, c->state_database, &plan, &err);
    if (ok)
        ok = run_plan(s, conn, &plan);
    else
        fprintf(stderr, "twinlog: %s: %s\n", s->name, err.text);
    control_plan_done(&plan);
    dbconn_free(conn);
    return ok;
}

int cmd_init(const struct cli_args *args)
{
    struct config config;
    struct err err = ERR_INIT;
    bool ok = true;
    if (!config_load(args->config_path, &config, &err)) {
        fprintf(stderr, "twinlog: %s\n", err.text);
        return CLI_USAGE;
    }
    if (args->print) {
        int code = print_sql(&config);
        config_done(&config);
        return code;
    }
    for (size_t i = 0; i < config.nservers;
         i++) /* the next one also after a failure: as much as can be done */
        if (is_used(&config, &config.servers[i]))
            ok &= init_server(&config, &config.servers[i]);
    config_done(&config);
    return ok ? CLI_DONE : CLI_FAILED;
}
