/*
 * dberr.c - what an error number means to us, and what may be said of it.
 *
 * Servers quote row values in their messages: "Duplicate entry 'bob@example.com'
 * for key 'email'", "Incorrect string value: ...", a syntax error the statement
 * itself. No message is passed on unless its number is known to come with names
 * alone. Of the others we keep the number and, where it helps the operator, the
 * key or column; that part is taken from the end of the message, behind all
 * that a value could imitate, and only if it reads like an identifier.
 *
 * Numbers: mysqld_error.h and errmsg.h of both servers. 2000 to 2999 and 5000 to
 * 5099 are the client library's own.
 */
#include "cdc/db/dberr.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_ONLY = 1 }; /* the message holds names of accounts, hosts, tables, files; no values */

static const struct dberr_entry {
    unsigned code;
    enum err_kind kind;
    int flags;
} TABLE[] = {
    /* ascending, for bsearch() */
    {1020, ERR_BUSY, 0},            /* record has changed since last read */
    {1021, ERR_RETRY, 0},           /* disk full */
    {1022, ERR_ROW, 0},             /* duplicate key in table */
    {1030, ERR_RETRY, 0},           /* error from the storage engine */
    {1040, ERR_RETRY, NAMES_ONLY},  /* too many connections */
    {1044, ERR_CONFIG, NAMES_ONLY}, /* access denied to database */
    {1045, ERR_CONFIG, NAMES_ONLY}, /* access denied for user */
    {1046, ERR_CONFIG, NAMES_ONLY}, /* no database selected */
    {1048, ERR_ROW, 0},             /* column cannot be null */
    {1049, ERR_CONFIG, NAMES_ONLY}, /* unknown database */
    {1053, ERR_RETRY, NAMES_ONLY},  /* server shutdown in progress */
    {1054, ERR_CONFIG, NAMES_ONLY}, /* unknown column */
    {1062, ERR_ROW, 0},             /* duplicate entry */
    {1114, ERR_RETRY, NAMES_ONLY},  /* table is full */
    {1118, ERR_ROW, 0},             /* row too large */
    {1129, ERR_RETRY, NAMES_ONLY},  /* host is blocked */
    {1130, ERR_CONFIG, NAMES_ONLY}, /* host is not allowed to connect */
    {1142, ERR_CONFIG, NAMES_ONLY}, /* command denied on table */
    {1143, ERR_CONFIG, NAMES_ONLY}, /* command denied on column */
    {1146, ERR_CONFIG, NAMES_ONLY}, /* no such table */
    {1158, ERR_RETRY, NAMES_ONLY},  /* network trouble, four kinds */
    {1159, ERR_RETRY, NAMES_ONLY},
    {1160, ERR_RETRY, NAMES_ONLY},
    {1161, ERR_RETRY, NAMES_ONLY},
    {1169, ERR_ROW, 0},             /* write against a unique constraint */
    {1176, ERR_CONFIG, NAMES_ONLY}, /* key does not exist in table */
    {1193, ERR_CONFIG, NAMES_ONLY}, /* unknown system variable */
    {1203, ERR_RETRY, NAMES_ONLY},  /* user has too many connections */
    {1205, ERR_BUSY, NAMES_ONLY},   /* lock wait timeout */
    {1213, ERR_BUSY, NAMES_ONLY},   /* deadlock */
    {1216, ERR_ROW, 0},             /* foreign key: no parent row */
    {1217, ERR_ROW, 0},             /* foreign key: a child row */
    {1226, ERR_RETRY, NAMES_ONLY},  /* account's resource limit */
    {1227, ERR_CONFIG, NAMES_ONLY}, /* a privilege is missing */
    {1236, ERR_RETRY, NAMES_ONLY},  /* binlog dump: see dberr_dump_kind() */
    {1251, ERR_CONFIG, NAMES_ONLY}, /* client does not support the authentication protocol */
    {1264, ERR_ROW, 0},             /* out of range */
    {1265, ERR_ROW, 0},             /* data truncated */
    {1290, ERR_RETRY, NAMES_ONLY},  /* server runs read-only */
    {1292, ERR_ROW, 0},             /* incorrect value */
    {1300, ERR_ROW, 0},             /* invalid character string */
    {1364, ERR_ROW, 0},             /* field has no default value */
    {1366, ERR_ROW, 0},             /* incorrect string or number */
    {1367, ERR_ROW, 0},             /* illegal value found while parsing */
    {1370, ERR_CONFIG, NAMES_ONLY}, /* command denied on routine */
    {1406, ERR_ROW, 0},             /* data too long */
    {1411, ERR_ROW, 0},             /* incorrect value for function */
    {1416, ERR_ROW, 0},             /* not a geometry */
    {1451, ERR_ROW, 0},             /* foreign key: a child row */
    {1452, ERR_ROW, 0},             /* foreign key: no parent row */
    {1526, ERR_ROW, 0},             /* no partition for the value */
    {1557, ERR_ROW, 0},             /* foreign key would duplicate an entry */
    {1586, ERR_ROW, 0},             /* duplicate entry, with the key's name */
    {1614, ERR_BUSY, 0},            /* transaction branch was rolled back: deadlock */
    {1644, ERR_ROW, 0},             /* SIGNAL of a trigger */
    {1690, ERR_ROW, 0},             /* value out of range */
    {1698, ERR_CONFIG, NAMES_ONLY}, /* access denied, no password */
    {1748, ERR_ROW, 0},             /* row does not belong to the partition */
    {1761, ERR_ROW, 0},             /* foreign key would duplicate an entry of the child table */
    {1762, ERR_ROW, 0},
    {1792, ERR_RETRY, NAMES_ONLY},  /* read-only transaction */
    {1820, ERR_CONFIG, NAMES_ONLY}, /* password must be changed */
    {1836, ERR_RETRY, NAMES_ONLY},  /* read-only mode */
    {1862, ERR_CONFIG, NAMES_ONLY}, /* password has expired */
    {1906, ERR_CONFIG, 0},          /* value for a generated column (MariaDB) */
    {1927, ERR_RETRY, NAMES_ONLY},  /* connection was killed */
    {1969, ERR_BUSY, 0},            /* max_statement_time */
    {2054, ERR_CONFIG, 0},          /* character set cannot be had */
    {2058, ERR_CONFIG, 0},          /* authentication plugin, four kinds */
    {2059, ERR_CONFIG, 0},
    {2060, ERR_CONFIG, 0},
    {2061, ERR_CONFIG, 0},
    {3037, ERR_ROW, 0},             /* invalid GIS data (MySQL) */
    {3105, ERR_CONFIG, 0},          /* value for a generated column (MySQL) */
    {3118, ERR_CONFIG, NAMES_ONLY}, /* account is locked (MySQL) */
    {3140, ERR_ROW, 0},             /* invalid JSON text */
    {3144, ERR_ROW, 0},             /* JSON of a character set that it cannot have */
    {3150, ERR_ROW, 0},             /* JSON too large */
    {3157, ERR_ROW, 0},             /* JSON nested too deep */
    {3572, ERR_BUSY, 0},            /* NOWAIT: lock not had */
    {3643, ERR_ROW, 0},             /* a geometry of another SRID than the column's */
    {3819, ERR_ROW, 0},             /* CHECK constraint (MySQL) */
    {4025, ERR_ROW, 0},             /* CHECK constraint (MariaDB) */
    {4052, ERR_FATAL, NAMES_ONLY},  /* a replica with the same server_id has connected */
    {4151, ERR_CONFIG, NAMES_ONLY}, /* account is locked (MariaDB) */
    {5010, ERR_CONFIG, 0},          /* authentication plugin that we do not allow */
    {6136, ERR_ROW, 0},             /* no vector (MySQL) */
};

static int compare_code(const void *key, const void *entry)
{
    unsigned code = *(const unsigned *)key, other = ((const struct dberr_entry *)entry)->code;

    return code < other ? -1 : code > other;
}

static const struct dberr_entry *find(unsigned code)
{
    return bsearch(&code, TABLE, sizeof TABLE / sizeof *TABLE, sizeof *TABLE, compare_code);
}

enum err_kind dberr_kind(unsigned code)
{
    const struct dberr_entry *e = find(code);

    return e != NULL ? e->kind : ERR_RETRY;
}

enum err_kind dberr_dump_kind(unsigned code, const char *message)
{
    static const struct {
        const char *part;
        enum err_kind kind;
    } SAYS[] = {
        /* The position. */
        {"Could not find first log file name", ERR_LOST},
        {"Could not find GTID state requested by slave", ERR_LOST},
        {"which is not in the master's binlog", ERR_LOST},
        {"error: the requested GTID", ERR_LOST},
        {"purged required binary logs", ERR_LOST},
        {"purged binary logs", ERR_LOST},
        {"has more GTIDs than", ERR_LOST},
        {"impossible position", ERR_LOST},
        {"binlog truncated in the middle", ERR_LOST},
        /* A rival: each would push the other out for ever. */
        {"same server_uuid/server_id", ERR_FATAL},
        {"same server_id", ERR_FATAL},
        /* The set-up. */
        {"Binary log is not open", ERR_CONFIG},
        {"server id was not set", ERR_CONFIG},
        {"server_id was not set", ERR_CONFIG},
    };

    if (code != 1236)
        return dberr_kind(code);
    for (size_t i = 0; i < sizeof SAYS / sizeof *SAYS; i++)
        if (strstr(message, SAYS[i].part) != NULL)
            return SAYS[i].kind;
    return ERR_RETRY;
}

/* ---- Names in messages ---- */

static bool is_name_char(char c) { return isalnum((unsigned char)c) || c == '_' || c == '$' || c == '.'; }

/* 'name', or `name`, or `db`.`table`.`name`: the last of them is copied, and what
 * stands behind it returned. NULL if it is anything else. */
static const char *read_name(const char *p, char *out, size_t size)
{
    for (;;) {
        char quote = *p;
        size_t n = 0;

        if (quote != '\'' && quote != '`')
            return NULL;
        for (p++; is_name_char(*p); p++, n++)
            if (n + 1 < size)
                out[n] = *p;
        if (*p != quote || n == 0 || n >= size)
            return NULL;
        out[n] = '\0';
        p++;
        if (quote == '\'' || p[0] != '.' || p[1] != '`')
            return p;
        p++;
    }
}

static const char *find_last(const char *text, const char *part)
{
    const char *last = NULL;

    for (const char *p = text; (p = strstr(p, part)) != NULL; p++)
        last = p;
    return last;
}

static bool is_row_number(const char *p)
{
    static const char AT_ROW[] = " at row ";

    if (strncmp(p, AT_ROW, sizeof AT_ROW - 1) != 0)
        return false;
    p += sizeof AT_ROW - 1;
    return *p != '\0' && strspn(p, "0123456789") == strlen(p);
}

void dberr_name(unsigned code, const char *message, char *out, size_t size)
{
    const char *p = NULL, *rest;
    bool good = false;

    out[0] = '\0';
    switch (code) {
    case 1062:
    case 1586:
        if ((p = find_last(message, "for key ")) != NULL)
            good = (rest = read_name(p + strlen("for key "), out, size)) != NULL && *rest == '\0';
        break;
    case 1264:
    case 1265:
    case 1292:
    case 1366:
    case 1406:
        if ((p = find_last(message, "for column ")) != NULL)
            good = (rest = read_name(p + strlen("for column "), out, size)) != NULL && is_row_number(rest);
        break;
    case 1048:
        if (strncmp(message, "Column ", 7) == 0)
            good = (rest = read_name(message + 7, out, size)) != NULL && strcmp(rest, " cannot be null") == 0;
        break;
    case 1364:
        if (strncmp(message, "Field ", 6) == 0)
            good = (rest = read_name(message + 6, out, size)) != NULL &&
                   strcmp(rest, " doesn't have a default value") == 0;
        break;
    default: break;
    }
    if (!good)
        out[0] = '\0';
}

/* A peer must not be able to break our log lines. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

const char *dberr_text(unsigned code, const char *sqlstate, const char *message, char *out, size_t size)
{
    const struct dberr_entry *e = find(code);
    bool is_client = (code >= 2000 && code <= 2999) || (code >= 5000 && code <= 5099);
    char name[DBERR_NAME_MAX];

    dberr_name(code, message, name, sizeof name);
    if (is_client)
        snprintf(out, size, "%s (%u)", message, code);
    else if (e != NULL && (e->flags & NAMES_ONLY))
        snprintf(out, size, "server error %u (%.5s): %s", code, sqlstate, message);
    else if (name[0] != '\0')
        snprintf(out, size, "server error %u (%.5s), %s %s", code, sqlstate,
                 code == 1062 || code == 1586 ? "key" : "column", name);
    else
        snprintf(out, size, "server error %u (%.5s)", code, sqlstate);
    make_printable(out);
    return out;
}
