/*
 * preflight_probe.c - what the checks share: how a finding is told, how a server is tried out, what is known of it.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/mem.h"
#include "cdc/preflight_int.h"

/* ---- Findings ---- */

/* Servers tell names that we print. */
static void make_printable(char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

void preflight_say(struct preflight *p, enum check_level level, const char *where, const char *mend,
                   const char *fmt, ...)
{
    struct buf text = BUF_INIT;
    va_list ap;
    buf_addf(&text, "%s: ", where);
    va_start(ap, fmt);
    buf_vaddf(&text, fmt, ap);
    va_end(ap);
    if (level == CHECK_FAIL)
        p->fails++;
    char *printable = mend != NULL && *mend != '\0' ? mem_strdup(mend) : NULL;
    make_printable(text.data);
    make_printable(printable);
    p->report(p->arg, level, text.data, printable);
    free(printable);
    buf_done(&text);
}

void preflight_absent(struct preflight *p, const struct err *err)
{
    if (err->kind != ERR_RETRY)
        return;
    p->fails--;
    p->absents++;
}

/* ---- Tries ---- */

bool preflight_probe(struct dbconn *conn, struct err *err, const char *fmt, ...)
{
    struct buf sql = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&sql, fmt, ap);
    va_end(ap);
    bool ok = dbconn_exec(conn, sql.data, err);
    buf_done(&sql);
    return ok;
}

bool preflight_is_denied(const struct err *err)
{
    switch (err->code) {
    case 1044: /* ER_DBACCESS_DENIED_ERROR */
    case 1045: /* ER_ACCESS_DENIED_ERROR */
    case 1142: /* ER_TABLEACCESS_DENIED_ERROR */
    case 1143: /* ER_COLUMNACCESS_DENIED_ERROR */
    case 1227: /* ER_SPECIFIC_ACCESS_DENIED_ERROR */
    case 1370: /* ER_PROCACCESS_DENIED_ERROR */ return true;
    default: return false;
    }
}

bool preflight_is_missing(const struct err *err)
{
    return err->code == 1146 || err->code == 1049; /* ER_NO_SUCH_TABLE, ER_BAD_DB_ERROR */
}

void preflight_add_object(struct buf *out, const char *db, const char *table)
{
    db_quote_name(out, db);
    buf_addc(out, '.');
    db_quote_name(out, table);
}

/* False if the next one would only fail alike. */
static bool try_write(struct preflight *p, const struct preflight_server *s, const char *where,
                      const char *privilege, const char *object, const char *granted, const struct buf *sql,
                      bool *ok)
{
    struct buf mend = BUF_INIT;
    struct err err = ERR_INIT;
    /* 1364, a column without default, comes behind the check of privileges; link_build() has better words for it. */
    if (dbconn_exec(s->conn, sql->data, &err) || err.code == 1364)
        return true;
    *ok = false;
    bool denied = preflight_is_denied(&err);
    if (denied)
        buf_addf(&mend, "GRANT %s ON %s TO %s;", privilege, granted, s->account);
    preflight_say(p, CHECK_FAIL, where, mend.data, denied ? "no %s on %s: %s" : "%s on %s fails: %s",
                  privilege, object, err.text);
    buf_done(&mend);
    return denied;
}

bool preflight_probe_writes(struct preflight *p, const struct preflight_server *s, const char *where,
                            const char *object, const char *granted, const char *const *columns,
                            size_t ncolumns)
{
    struct err err = ERR_INIT;
    struct buf names = BUF_INIT, insert = BUF_INIT, update = BUF_INIT, delete = BUF_INIT;
    buf_addf(&update, "UPDATE %s SET ", object);
    for (size_t i = 0; i < ncolumns; i++) {
        buf_adds(&names, i > 0 ? ", " : "");
        db_quote_name(&names, columns[i]);
        buf_adds(&update, i > 0 ? ", " : "");
        db_quote_name(&update, columns[i]);
        buf_adds(&update, " = ");
        db_quote_name(&update, columns[i]);
    }
    buf_addf(&insert, "INSERT INTO %s (%s) SELECT %s FROM %s WHERE FALSE", object, names.data, names.data,
             object);
    buf_adds(&update, " WHERE FALSE");
    buf_addf(&delete, "DELETE FROM %s WHERE FALSE", object);

    /* No row meets the condition, and the transaction is rolled back all the same. */
    bool ok = preflight_probe(s->conn, &err, "START TRANSACTION");
    if (ok && try_write(p, s, where, "INSERT", object, granted, &insert, &ok) &&
        try_write(p, s, where, "UPDATE", object, granted, &update, &ok))
        try_write(p, s, where, "DELETE", object, granted, &delete, &ok);
    if (err.kind != ERR_NONE || !preflight_probe(s->conn, &err, "ROLLBACK")) {
        preflight_say(p, CHECK_FAIL, where, NULL, "%s", err.text);
        ok = false;
    }
    buf_done(&names);
    buf_done(&insert);
    buf_done(&update);
    buf_done(&delete);
    return ok;
}

/* ---- What is known of a server ---- */

const char *preflight_setting(const struct preflight_server *s, const char *name)
{
    for (size_t i = 0; i < s->nsettings; i++)
        if (strcasecmp(s->settings[i].name, name) == 0)
            return s->settings[i].value;
    return "";
}

uint64_t preflight_number(const struct preflight_server *s, const char *name)
{
    return strtoull(preflight_setting(s, name), NULL, 10);
}

bool preflight_is_on(const struct preflight_server *s, const char *name)
{
    const char *value = preflight_setting(s, name);
    return *value != '\0' && strcasecmp(value, "OFF") != 0 && strcmp(value, "0") != 0;
}

struct preflight_server *preflight_find(const struct preflight *p, const char *name)
{
    for (size_t i = 0; i < p->config->nservers; i++)
        if (strcmp(p->servers[i].config->name, name) == 0)
            return &p->servers[i];
    return NULL; /* config_load() has seen to it that this is not reached */
}
