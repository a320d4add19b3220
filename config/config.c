/*
 * config.c - libconfig's tree -> plain structs, with every mistake named by
 * file, line and key.
 *
 * Each group has a function that reads it and a list of the keys it knows; what
 * is not in the list is an error, so a typing mistake never turns into a silent
 * default. Reading one key is one call that checks type and range. Whether the
 * parts fit together (servers that exist, columns mapped once, tables that form
 * no cycle) is checked after all of them have been read.
 *
 * Every key has a default that suits the seed tables, but for servers, tables
 * and secrets: a guess there would write into the wrong place.
 */
#include "config/config.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <libconfig.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "config/source.h"

enum { MAX_NAME = 64, MAX_KEY_COLUMNS = 16 };

struct loader {
    config_t tree;
    struct source source;
    struct config *config;
    struct err *err;
};

/* ---- Errors ---- */

/* "links[0].columns[2].cipher" */
static void print_path(const config_setting_t *s, struct buf *out)
{
    if (config_setting_is_root(s))
        return;
    print_path(config_setting_parent(s), out);
    if (config_setting_name(s) == NULL)
        buf_addf(out, "[%d]", config_setting_index(s));
    else
        buf_addf(out, "%s%s", out->len > 0 ? "." : "", config_setting_name(s));
}

/* "file:line: links[0].key", of a setting or of a member that it may have; the caller's. */
static char *place(const struct loader *l, const config_setting_t *s, const char *member)
{
    struct buf path = BUF_INIT, out = BUF_INIT;
    unsigned line = config_setting_is_root(s) ? 1 : config_setting_source_line(s);
    const char *file = source_file(&l->source, line, &line);
    print_path(s, &path);
    if (member != NULL)
        buf_addf(&path, "%s%s", path.len > 0 ? "." : "", member);
    buf_addf(&out, "%s:%u: %s", file, line, path.data);
    buf_done(&path);
    return out.data;
}

static bool bad_path(struct loader *l, const config_setting_t *s, const char *member, const char *text)
{
    char *at = place(l, s, member);
    err_set(l->err, ERR_CONFIG, 0, "%s: %s", at, text);
    free(at);
    return false;
}

/* What is wrong with this setting; what would be right. */
static bool bad(struct loader *l, const config_setting_t *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static bool bad(struct loader *l, const config_setting_t *s, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return bad_path(l, s, NULL, text);
}

/* The same of a group's key, which need not be there. */
static bool bad_member(struct loader *l, const config_setting_t *group, const char *key, const char *text)
{
    const config_setting_t *s = config_setting_get_member(group, key);
    return s != NULL ? bad_path(l, s, NULL, text) : bad_path(l, group, key, text);
}

/* The group lacks a key, or there is nothing in it. */
static bool missing(struct loader *l, const config_setting_t *group, const char *key, const char *right)
{
    char text[400];
    const config_setting_t *empty = config_setting_get_member(group, key);
    if (empty != NULL)
        return bad(l, empty, "is empty; %s", right);
    snprintf(text, sizeof(text), "is missing; %s", right);
    return bad_path(l, group, key, text);
}

static const char *type_name(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_GROUP: return "a group { }";
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64: return "an integer";
    case CONFIG_TYPE_FLOAT: return "a fraction";
    case CONFIG_TYPE_STRING: return "a string";
    case CONFIG_TYPE_BOOL: return "true or false";
    case CONFIG_TYPE_ARRAY: return "an array [ ]";
    case CONFIG_TYPE_LIST: return "a list ( )";
    default: return "nothing";
    }
}

/* ---- Reading one key ---- */

static config_setting_t *member(const config_setting_t *group, const char *key)
{
    return group != NULL ? config_setting_get_member(group, key) : NULL;
}

/* A secret written into the config: the commonest mistake deserves its own words. */
static bool check_literal_secret(struct loader *l, const config_setting_t *s)
{
    static const char *const secrets[] = {"password", "token", "key", "previous_key"};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) {
        if (strcmp(config_setting_name(s), secrets[i]) == 0)
            return bad(
                l, s, "a secret never stands in the config; use %s_env = \"VARIABLE\" or %s_file = \"/path\"",
                secrets[i], secrets[i]);
    }
    return true;
}

/* `known` is a list of names that ends with NULL. */
static bool check_keys(struct loader *l, const config_setting_t *group, const char *const *known)
{
    for (int i = 0; i < config_setting_length(group); i++) {
        const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const char *name = config_setting_name(s);
        struct buf list = BUF_INIT;
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, name) != 0)
            k++;
        if (*k != NULL)
            continue;
        if (!check_literal_secret(l, s))
            return false;
        for (k = known; *k != NULL; k++)
            buf_addf(&list, "%s%s", k == known ? "" : ", ", *k);
        bad(l, s, "unknown key; known here: %s", list.data);
        buf_done(&list);
        return false;
    }
    return true;
}

/* A group that may be absent: *ret_group is NULL then. */
static bool get_group(struct loader *l, const config_setting_t *parent, const char *key,
                      const char *const *known, config_setting_t **ret_group)
{
    config_setting_t *s = *ret_group = member(parent, key);
    if (s == NULL)
        return true;
    if (!config_setting_is_group(s))
        return bad(l, s, "is %s; must be a group { … }", type_name(s));
    return check_keys(l, s, known);
}

static bool to_string(struct loader *l, const config_setting_t *s, char **ret_string)
{
    if (config_setting_type(s) != CONFIG_TYPE_STRING)
        return bad(l, s, "is %s; must be a string in \"quotes\"", type_name(s));
    const char *text = config_setting_get_string(s);
    if (*text == '\0')
        return bad(l, s, "is empty; give it a value; a key that has a default can be left out");
    *ret_string = mem_strdup(text);
    return true;
}

/* fallback may be NULL: *ret_string is NULL then. */
static bool get_string(struct loader *l, const config_setting_t *group, const char *key, const char *fallback,
                       char **ret_string)
{
    const config_setting_t *s = member(group, key);
    if (s != NULL)
        return to_string(l, s, ret_string);
    *ret_string = fallback != NULL ? mem_strdup(fallback) : NULL;
    return true;
}

static bool get_number(struct loader *l, const config_setting_t *group, const char *key, uint32_t min,
                       uint32_t max, uint32_t fallback, uint32_t *ret_number)
{
    const config_setting_t *s = member(group, key);
    *ret_number = fallback;
    if (s == NULL)
        return true;
    int type = config_setting_type(s);
    if (type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64)
        return bad(l, s, "is %s; must be an integer from %u to %u", type_name(s), min, max);
    long long number = config_setting_get_int64(s);
    if (number < (long long)min || number > (long long)max)
        return bad(l, s, "is %lld; must be from %u to %u", number, min, max);
    *ret_number = (uint32_t)number;
    return true;
}

static bool get_bool(struct loader *l, const config_setting_t *group, const char *key, bool fallback,
                     bool *ret_bool)
{
    const config_setting_t *s = member(group, key);
    *ret_bool = fallback;
    if (s == NULL)
        return true;
    if (config_setting_type(s) != CONFIG_TYPE_BOOL)
        return bad(l, s, "is %s; must be true or false", type_name(s));
    *ret_bool = config_setting_get_bool(s) != 0;
    return true;
}

/* One of `names`, a list that ends with NULL; *ret_index is its place there. */
static bool get_choice(struct loader *l, const config_setting_t *group, const char *key,
                       const char *const *names, int fallback, int *ret_index)
{
    const config_setting_t *s = member(group, key);
    struct buf list = BUF_INIT;
    *ret_index = fallback;
    if (s == NULL)
        return true;
    for (int i = 0; names[i] != NULL; i++) {
        if (config_setting_type(s) == CONFIG_TYPE_STRING &&
            strcmp(config_setting_get_string(s), names[i]) == 0) {
            *ret_index = i;
            buf_done(&list);
            return true;
        }
        buf_addf(&list, "%s\"%s\"", i == 0 ? "" : ", ", names[i]);
    }
    if (config_setting_type(s) == CONFIG_TYPE_STRING)
        bad(l, s, "is \"%.40s\"; must be one of %s", config_setting_get_string(s), list.data);
    else
        bad(l, s, "is %s; must be one of %s", type_name(s), list.data);
    buf_done(&list);
    return false;
}

static bool check_strings(struct loader *l, const config_setting_t *s)
{
    if (!config_setting_is_array(s) && !config_setting_is_list(s))
        return bad(l, s, "is %s; must be an array of strings [\"…\"]", type_name(s));
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        if (config_setting_type(e) != CONFIG_TYPE_STRING || config_setting_get_string(e)[0] == '\0')
            return bad(l, e, "must be a string that is not empty");
    }
    return true;
}

/* ---- Names ---- */

static bool is_plain_name(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= MAX_NAME &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == len;
}

static bool is_variable_name(const char *name)
{
    return !isdigit((unsigned char)*name) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name);
}

/* As servers take identifiers: 64 characters of UTF-8, no control characters, no space at the end. */
static bool is_identifier(const char *name)
{
    size_t chars = 0;
    for (const char *p = name; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return false;
        chars += ((unsigned char)*p & 0xc0) != 0x80;
    }
    return chars >= 1 && chars <= MAX_NAME && name[strlen(name) - 1] != ' ';
}

static bool get_identifier(struct loader *l, const config_setting_t *group, const char *key,
                           const char *fallback, char **ret_name)
{
    if (!get_string(l, group, key, fallback, ret_name))
        return false;
    if (*ret_name != NULL && !is_identifier(*ret_name))
        return bad(l, member(group, key), "is no name of a table or column; 1 to 64 characters");
    return true;
}

/* One part of `db`.`table`, up to the dot or the end; NULL if it is malformed. */
static char *parse_part(const char **p)
{
    struct buf part = BUF_INIT;
    bool closed = true;
    if (**p == '`') {
        closed = false;
        for ((*p)++; **p != '\0' && !closed; (*p)++) {
            if (**p != '`')
                buf_addc(&part, **p);
            else if ((*p)[1] == '`')
                buf_addc(&part, *(*p)++);
            else
                closed = true;
        }
    } else {
        for (; **p != '\0' && **p != '.' && **p != '`'; (*p)++)
            buf_addc(&part, **p);
    }
    if (closed && part.data != NULL && is_identifier(part.data))
        return part.data;
    buf_done(&part);
    return NULL;
}

static bool get_table(struct loader *l, const config_setting_t *group, struct config_table *t)
{
    const config_setting_t *s = member(group, "table");
    if (s == NULL)
        return missing(l, group, "table", "table = \"database.table\"");
    if (config_setting_type(s) != CONFIG_TYPE_STRING)
        return bad(l, s, "is %s; must be \"database.table\"", type_name(s));
    const char *p = config_setting_get_string(s);
    t->db = parse_part(&p);
    if (t->db != NULL && *p == '.') {
        p++;
        t->table = parse_part(&p);
    }
    if (t->table == NULL || *p != '\0')
        return bad(
            l, s,
            "must be \"database.table\"; a name with a dot in it stands in back-quotes: \"`a.b`.table\"");
    return true;
}

/* ---- Secrets ---- */

static void secret_done(struct config_secret *s)
{
    free(s->env);
    free(s->file);
    free(s->where);
}

static bool check_variable(struct loader *l, const config_setting_t *s, const char *name)
{
    if (is_variable_name(name))
        return true;
    return bad(l, s,
               "is no name of an environment variable; letters, digits and _ (the name, not the secret)");
}

/* NAME_env or NAME_file. */
static bool get_secret(struct loader *l, const config_setting_t *group, const char *name,
                       const char *fallback_env, struct config_secret *ret_secret)
{
    char env_key[32], file_key[32];
    snprintf(env_key, sizeof(env_key), "%s_env", name);
    snprintf(file_key, sizeof(file_key), "%s_file", name);
    const config_setting_t *env = member(group, env_key), *file = member(group, file_key);
    if (env != NULL && file != NULL)
        return bad(l, file, "stands beside %s; keep one of the two", env_key);
    if (file != NULL || env != NULL)
        ret_secret->where = place(l, file != NULL ? file : env, NULL);
    else if (fallback_env != NULL)
        ret_secret->where = place(l, group, env_key);
    if (file != NULL)
        return to_string(l, file, &ret_secret->file);
    if (env != NULL)
        return to_string(l, env, &ret_secret->env) && check_variable(l, env, ret_secret->env);
    ret_secret->env = fallback_env != NULL ? mem_strdup(fallback_env) : NULL;
    return true;
}

/* Adds the secrets named in previous_key_env or previous_key_file. */
static bool add_secrets(struct loader *l, const config_setting_t *group, const char *key, bool are_files,
                        struct config_column *c)
{
    const config_setting_t *s = member(group, key);
    if (s == NULL)
        return true;
    if (!check_strings(l, s))
        return false;
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *e = config_setting_get_elem(s, (unsigned)i);
        char *name = mem_strdup(config_setting_get_string(e));
        c->previous_keys = mem_realloc(c->previous_keys, (c->nprevious_keys + 1) * sizeof(*c->previous_keys));
        c->previous_keys[c->nprevious_keys++] = are_files
                                                    ? (struct config_secret){NULL, name, place(l, e, NULL)}
                                                    : (struct config_secret){name, NULL, place(l, e, NULL)};
        if (!are_files && !check_variable(l, e, name))
            return false;
    }
    return true;
}

/* ---- Listen addresses ---- */

static bool is_listen_address(const char *host)
{
    struct in6_addr any;
    return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1 ||
           strcasecmp(host, "localhost") == 0;
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return IN6_IS_ADDR_LOOPBACK(&v6);
    return strcasecmp(host, "localhost") == 0;
}

/* "127.0.0.1:8080", "[::1]:8080", "localhost:8080" */
static bool split_listen(const char *text, char **ret_host, uint16_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    char *end;
    if (colon == NULL || colon == text || !isdigit((unsigned char)colon[1]))
        return false;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        return false;
    const char *host = text;
    size_t len = (size_t)(colon - text);
    bool bracketed = host[0] == '[' && host[len - 1] == ']';
    if (bracketed) {
        host++;
        len -= 2;
    }
    if (len == 0 || memchr(host, '[', len) != NULL || memchr(host, ']', len) != NULL ||
        (memchr(host, ':', len) != NULL) != bracketed)
        return false;
    *ret_host = mem_strndup(host, len);
    *ret_port = (uint16_t)port;
    return true;
}

/* s may be NULL: text is a default then. */
static bool check_listen(struct loader *l, const config_setting_t *s, const char *text, char **ret_host,
                         uint16_t *ret_port)
{
    const struct config_secret *token = &l->config->http_token;
    assert(text != NULL);
    if (!split_listen(text, ret_host, ret_port))
        return bad(l, s, "must be \"address:port\", as in \"127.0.0.1:8080\" or \"[::1]:8080\"");
    if (!is_listen_address(*ret_host))
        return bad(l, s, "%.60s is not an IPv4 or IPv6 address; one of this machine, 0.0.0.0 or [::] for all",
                   *ret_host);
    if (is_loopback(*ret_host) || token->env != NULL || token->file != NULL)
        return true;
    return bad(l, s,
               "%.60s is not a loopback address and there is no token; set http.token_env to a variable "
               "that holds one, or listen on 127.0.0.1",
               *ret_host);
}

/* A token that is not set counts as none, so that the example runs as it is. */
static bool settle_token(struct loader *l, const config_setting_t *http)
{
    struct config_secret *token = &l->config->http_token;
    char *text;
    size_t len;
    if (token->env != NULL && getenv(token->env) == NULL) {
        free(token->env);
        token->env = NULL;
    }
    if (!config_token_read(token, &text, &len, l->err))
        return false;
    mem_wipe_free(text, len + 1);
    if (len > 0)
        return true;
    if (token->file != NULL)
        return bad_member(l, http, "token_file", "the file is empty; it must hold the token");
    free(token->env);
    token->env = NULL;
    return true;
}

/* ---- Sections ---- */

static bool load_http(struct loader *l, const config_setting_t *root)
{
    static const char *const known[] = {"listen", "token_env", "token_file", NULL};
    config_setting_t *http;
    char *listen = NULL;
    if (!get_group(l, root, "http", known, &http) ||
        !get_secret(l, http, "token", NULL, &l->config->http_token) || !settle_token(l, http) ||
        !get_string(l, http, "listen", "127.0.0.1:8080", &listen))
        return false;
    bool ok = check_listen(l, member(http, "listen"), listen, &l->config->http_host, &l->config->http_port);
    free(listen);
    return ok;
}

static bool load_log(struct loader *l, const config_setting_t *root)
{
    static const char *const known[] = {"level", "format", "keys", NULL};
    static const char *const levels[] = {"debug", "info", "warn", "error", NULL}; /* as enum log_level */
    static const char *const formats[] = {"text", "json", NULL};
    static const char *const keys[] = {"plain", "hash", NULL};
    config_setting_t *log;
    int level, format, key;
    if (!get_group(l, root, "log", known, &log) || !get_choice(l, log, "level", levels, LOG_INFO, &level) ||
        !get_choice(l, log, "format", formats, LOG_TEXT, &format) ||
        !get_choice(l, log, "keys", keys, LOG_KEYS_PLAIN, &key))
        return false;
    l->config->log_level = (enum log_level)level;
    l->config->log_format = (enum log_format)format;
    l->config->log_keys = (enum log_keys)key;
    return true;
}

static bool load_limits(struct loader *l, const config_setting_t *root)
{
    static const char *const known[] = {"queue_mb",          "batch_rows",        "lanes",
                                        "resync_chunk_rows", "connect_timeout_s", "read_timeout_s",
                                        "stop_timeout_s",    "quarantine_keys",   NULL};
    struct config *c = l->config;
    config_setting_t *limits;
    /* read_timeout_s: servers send a heartbeat each second, and one that is late is no dead server. */
    return get_group(l, root, "limits", known, &limits) &&
           get_number(l, limits, "queue_mb", 1, 4096, 16, &c->queue_mb) &&
           get_number(l, limits, "batch_rows", 1, 100000, 500, &c->batch_rows) &&
           get_number(l, limits, "lanes", 1, 16, 3, &c->lanes) &&
           get_number(l, limits, "resync_chunk_rows", 1, 100000, 1000, &c->resync_chunk_rows) &&
           get_number(l, limits, "connect_timeout_s", 1, 3600, 10, &c->connect_timeout_s) &&
           get_number(l, limits, "read_timeout_s", 3, 86400, 30, &c->read_timeout_s) &&
           get_number(l, limits, "stop_timeout_s", 1, 3600, 10, &c->stop_timeout_s) &&
           get_number(l, limits, "quarantine_keys", 1, 10000000, 100000, &c->quarantine_keys);
}

/* The scheme, a host, and nothing that could end the line of a request. */
static bool is_http_url(const char *url)
{
    const char *host = strncmp(url, "http://", 7) == 0    ? url + 7
                       : strncmp(url, "https://", 8) == 0 ? url + 8
                                                          : "";
    for (const char *p = url; *p != '\0'; p++) {
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return false;
    }
    return *host != '\0' && strchr("/?#:@", *host) == NULL;
}

static bool load_events(struct loader *l, const config_setting_t *list, struct config_notify *n)
{
    if (!check_strings(l, list))
        return false;
    if (config_setting_length(list) == 0)
        return bad(l, list, "is empty; leave the key out for all events");
    for (int i = 0; i < config_setting_length(list); i++) {
        const config_setting_t *e = config_setting_get_elem(list, (unsigned)i);
        int kind = 0;
        while (kind < EVENT_KINDS &&
               strcmp(event_kind_name((enum event_kind)kind), config_setting_get_string(e)) != 0)
            kind++;
        if (kind == EVENT_KINDS)
            return bad(l, e,
                       "is \"%.40s\"; must be one of \"halted\", \"quarantined\", \"gap\", \"recovered\"",
                       config_setting_get_string(e));
        n->events[kind] = true;
    }
    return true;
}

static bool load_notify(struct loader *l, const config_setting_t *root)
{
    static const char *const known[] = {"url", "events", "token_env", "token_file", NULL};
    struct config_notify *n = &l->config->notify;
    config_setting_t *notify;
    if (!get_group(l, root, "notify", known, &notify))
        return false;
    if (notify == NULL)
        return true;
    const config_setting_t *url = member(notify, "url"), *list = member(notify, "events");
    if (url == NULL)
        return missing(l, notify, "url", "url = \"https://host/path\"");
    if (config_setting_type(url) != CONFIG_TYPE_STRING || !is_http_url(config_setting_get_string(url)))
        return bad(l, url,
                   "must be a string that begins with http:// or https:// and a host, without spaces");
    n->url = mem_strdup(config_setting_get_string(url));
    if (list != NULL && !load_events(l, list, n))
        return false;
    for (int i = 0; i < EVENT_KINDS; i++)
        n->events[i] = list == NULL || n->events[i];
    return get_secret(l, notify, "token", NULL, &n->token);
}

static bool load_tls(struct loader *l, const config_setting_t *server, struct config_server *s)
{
    static const char *const known[] = {"mode", "ca", "cert", "key", NULL};
    static const char *const modes[] = {"off", "required", "verify_ca", "verify_identity",
                                        NULL}; /* as enum tls_mode */
    config_setting_t *tls;
    int mode;
    if (!get_group(l, server, "tls", known, &tls) ||
        !get_choice(l, tls, "mode", modes, tls != NULL ? TLS_VERIFY_IDENTITY : TLS_OFF, &mode) ||
        !get_string(l, tls, "ca", NULL, &s->tls_ca) || !get_string(l, tls, "cert", NULL, &s->tls_cert) ||
        !get_string(l, tls, "key", NULL, &s->tls_key))
        return false;
    s->tls_mode = (enum tls_mode)mode;
    if ((s->tls_cert != NULL) != (s->tls_key != NULL))
        return s->tls_cert != NULL
                   ? bad_member(l, tls, "cert", "stands without key; both go together: paths of PEM files")
                   : bad_member(l, tls, "key", "stands without cert; both go together: paths of PEM files");
    if (s->tls_mode == TLS_OFF && (s->tls_ca != NULL || s->tls_cert != NULL))
        return bad_member(l, tls, "mode",
                          "is \"off\" while ca, cert or key is set; \"verify_identity\" uses them");
    if (s->tls_mode == TLS_VERIFY_IDENTITY && s->socket != NULL)
        return bad_member(l, tls, "mode", "a socket has no host name to verify; \"verify_ca\" or \"off\"");
    return true;
}

/* ---- Addresses of a server ---- */

static bool to_port(const char *text, uint16_t *ret_port)
{
    char *end;
    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long port = strtoul(text, &end, 10);
    if (*end != '\0' || port < 1 || port > 65535)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

/* "db1", "db1:3307", "10.0.0.5", "[::1]:3307", "[::1]", "::1"; *ret_port stays where none is named. */
static bool split_address(const char *text, char **ret_host, uint16_t *ret_port)
{
    const char *host = text, *colon = strchr(text, ':');
    size_t len = strlen(text);
    if (*text == '[') {
        const char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !to_port(end + 2, ret_port))))
            return false;
        host = text + 1;
        len = (size_t)(end - host);
        if (memchr(host, ':', len) == NULL)
            return false;
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) { /* with more than one it is IPv6 */
        if (!to_port(colon + 1, ret_port))
            return false;
        len = (size_t)(colon - text);
    }
    if (len == 0 || memchr(host, '[', len) != NULL || memchr(host, ']', len) != NULL)
        return false;
    *ret_host = mem_strndup(host, len);
    return true;
}

static bool add_address(struct loader *l, const config_setting_t *e, uint16_t port, struct config_server *s)
{
    struct config_address a = {NULL, port};
    if (!split_address(config_setting_get_string(e), &a.host, &a.port))
        return bad(l, e, "must be \"host\" or \"host:port\"; IPv6 with a port in brackets, \"[::1]:3306\"");
    s->addresses[s->naddresses++] = a;
    for (size_t i = 0; i + 1 < s->naddresses; i++)
        if (strcasecmp(s->addresses[i].host, a.host) == 0 && s->addresses[i].port == a.port)
            return bad(l, e, "stands in the list twice");
    return true;
}

/* One address, or several of one logical server. */
static bool get_addresses(struct loader *l, const config_setting_t *g, uint16_t port, struct config_server *s)
{
    const config_setting_t *host = member(g, "host");
    if (host == NULL)
        return true;
    bool one = config_setting_type(host) == CONFIG_TYPE_STRING;
    if (!one && !config_setting_is_array(host) && !config_setting_is_list(host))
        return bad(l, host, "is %s; must be a string in \"quotes\", or several in an array [\"…\", \"…\"]",
                   type_name(host));
    if (one ? *config_setting_get_string(host) == '\0' : config_setting_length(host) == 0)
        return bad(l, host,
                   "is empty; must be a name or address, or leave the key out beside socket = \"/path\"");
    if (!one && !check_strings(l, host))
        return false;
    int count = one ? 1 : config_setting_length(host);
    s->addresses = mem_zalloc((size_t)count, sizeof(*s->addresses));
    for (int i = 0; i < count; i++)
        if (!add_address(l, one ? host : config_setting_get_elem(host, (unsigned)i), port, s))
            return false;
    return true;
}

static bool load_server(struct loader *l, const config_setting_t *g, struct config_server *s)
{
    static const char *const known[] = {"host",          "port",      "socket", "user",   "password_env",
                                        "password_file", "server_id", "tls",    "listen", NULL};
    uint32_t port;
    s->name = mem_strdup(config_setting_name(g));
    source_file(&l->source, config_setting_source_line(g), &s->line);
    if (!config_setting_is_group(g))
        return bad(l, g, "is %s; must be a group { host = …; user = …; server_id = …; }", type_name(g));
    if (!is_plain_name(s->name) || strcmp(s->name, "left") == 0 || strcmp(s->name, "right") == 0)
        return bad(l, g,
                   "cannot be a server's name; 1 to 64 letters, digits, _ and -, but not left or right");
    if (!check_keys(l, g, known) || !get_number(l, g, "port", 1, 65535, 3306, &port) ||
        !get_addresses(l, g, (uint16_t)port, s) || !get_string(l, g, "socket", NULL, &s->socket) ||
        !get_string(l, g, "user", "twinlog", &s->user) || !get_secret(l, g, "password", NULL, &s->password) ||
        !get_number(l, g, "server_id", 1, UINT32_MAX, 0, &s->server_id) || !load_tls(l, g, s))
        return false;
    if (s->naddresses == 0 && s->socket == NULL)
        return missing(l, g, "host", "host = \"name or address\", or socket = \"/path\"");
    if (s->naddresses > 0 && s->socket != NULL)
        return bad(l, member(g, "socket"), "stands beside host; keep one of the two");
    if (s->socket != NULL && s->socket[0] != '/')
        return bad(l, member(g, "socket"), "must be an absolute path");
    if (s->server_id == 0)
        return missing(l, g, "server_id",
                       "server_id = N, 1 to 4294967295, a number that no other replica of that server uses");
    return true;
}

static bool load_server_listen(struct loader *l, const config_setting_t *g, size_t index)
{
    struct config *c = l->config;
    struct config_server *s = &c->servers[index];
    const config_setting_t *setting = member(g, "listen");
    char *listen = NULL;
    if (setting == NULL)
        return true;
    if (!to_string(l, setting, &listen))
        return false;
    bool ok = check_listen(l, setting, listen, &s->listen_host, &s->listen_port);
    free(listen);
    if (!ok || s->listen_host == NULL)
        return ok;
    if (s->listen_port == c->http_port && strcmp(s->listen_host, c->http_host) == 0)
        return bad(l, setting, "is the address of http.listen; choose another port");
    for (size_t i = 0; i < index; i++) {
        const struct config_server *other = &c->servers[i];
        if (other->listen_host != NULL && other->listen_port == s->listen_port &&
            strcmp(other->listen_host, s->listen_host) == 0)
            return bad(l, setting, "is the listen address of server %s too; choose another port",
                       other->name);
    }
    return true;
}

static bool load_servers(struct loader *l, const config_setting_t *root)
{
    struct config *c = l->config;
    const config_setting_t *servers = member(root, "servers");
    if (servers == NULL || (config_setting_is_aggregate(servers) && config_setting_length(servers) == 0))
        return missing(l, root, "servers", "servers = { NAME = { host = …; server_id = …; }; … };");
    if (!config_setting_is_group(servers))
        return bad(l, servers, "is %s; must be a group of servers { NAME = { … }; … }", type_name(servers));

    size_t count = (size_t)config_setting_length(servers);
    c->servers = mem_zalloc(count, sizeof(*c->servers));
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *g = config_setting_get_elem(servers, (unsigned)i);
        c->nservers = i + 1;
        if (!load_server(l, g, &c->servers[i]) || !load_server_listen(l, g, i))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (c->servers[k].server_id == c->servers[i].server_id)
                return bad(l, member(g, "server_id"),
                           "is %u, as of server %s (line %u); each needs its own number",
                           c->servers[i].server_id, c->servers[k].name, c->servers[k].line);
        }
    }
    return true;
}

/* ---- Links ---- */

static bool load_cipher(struct loader *l, const config_setting_t *column, struct config_column *c)
{
    static const char *const known[] = {"side",     "algorithm",        "encoding",          "key_env",
                                        "key_file", "previous_key_env", "previous_key_file", NULL};
    static const char *const sides[] = {"left", "right", NULL};
    static const char *const algorithms[] = {"aes-256-gcm", NULL};
    static const char *const encodings[] = {"base64", "hex", NULL}; /* as enum cipher_encoding */
    config_setting_t *cipher;
    int side, algorithm, encoding;
    if (!get_group(l, column, "cipher", known, &cipher))
        return false;
    if (cipher == NULL)
        return true;
    c->ciphered = true;
    if (!get_choice(l, cipher, "side", sides, SIDE_LEFT, &side) ||
        !get_choice(l, cipher, "algorithm", algorithms, 0, &algorithm) ||
        !get_choice(l, cipher, "encoding", encodings, CIPHER_BASE64, &encoding) ||
        !get_secret(l, cipher, "key", "ENCRYPTION_KEY", &c->key) ||
        !add_secrets(l, cipher, "previous_key_env", false, c) ||
        !add_secrets(l, cipher, "previous_key_file", true, c))
        return false;
    c->sealed_side = (enum side)side;
    c->encoding = (enum cipher_encoding)encoding;
    return true;
}

static bool load_column(struct loader *l, const config_setting_t *g, struct config_column *c)
{
    static const char *const known[] = {"left", "right", "cipher", NULL};
    source_file(&l->source, config_setting_source_line(g), &c->line);
    if (!config_setting_is_group(g))
        return bad(l, g, "is %s; must be a group { left = \"…\"; right = \"…\"; }", type_name(g));
    if (!check_keys(l, g, known) || !get_identifier(l, g, "left", NULL, &c->left) ||
        !get_identifier(l, g, "right", NULL, &c->right))
        return false;
    if (c->left == NULL || c->right == NULL)
        return missing(l, g, c->left == NULL ? "left" : "right", "the column's name on that side");
    return load_cipher(l, g, c);
}

static void default_columns(const struct loader *l, const config_setting_t *link, struct config_link *k)
{
    static const char *const names[][2] = {
        {"id", "id"}, {"name", "name"}, {"email_encrypted", "email"}, {"created_at", "created_at"}};
    k->ncolumns = sizeof(names) / sizeof(*names);
    k->columns = mem_zalloc(k->ncolumns, sizeof(*k->columns));
    for (size_t i = 0; i < k->ncolumns; i++) {
        k->columns[i].left = mem_strdup(names[i][0]);
        k->columns[i].right = mem_strdup(names[i][1]);
        k->columns[i].line = k->line;
    }
    k->columns[2].ciphered = true;
    k->columns[2].sealed_side = SIDE_LEFT;
    k->columns[2].encoding = CIPHER_BASE64;
    k->columns[2].key.env = mem_strdup("ENCRYPTION_KEY");
    k->columns[2].key.where = place(l, link, "columns[2].cipher.key_env");
}

static bool load_columns(struct loader *l, const config_setting_t *link, struct config_link *k)
{
    const config_setting_t *columns = member(link, "columns");
    if (columns == NULL) {
        default_columns(l, link, k);
        return true;
    }
    if (!config_setting_is_list(columns))
        return bad(l, columns, "is %s; must be a list ( { left = \"…\"; right = \"…\"; }, … )",
                   type_name(columns));
    size_t count = (size_t)config_setting_length(columns);
    if (count == 0)
        return bad(l, columns, "is empty; map at least the key's columns");
    k->columns = mem_zalloc(count, sizeof(*k->columns));
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *g = config_setting_get_elem(columns, (unsigned)i);
        struct config_column *c = &k->columns[i];
        k->ncolumns = i + 1;
        if (!load_column(l, g, c))
            return false;
        for (size_t j = 0; j < i; j++) { /* without regard to case, as the servers */
            if (strcasecmp(k->columns[j].left, c->left) == 0)
                return bad(l, member(g, "left"),
                           "\"%s\" is mapped already (line %u); a column is mapped once", c->left,
                           k->columns[j].line);
            if (strcasecmp(k->columns[j].right, c->right) == 0)
                return bad(l, member(g, "right"),
                           "\"%s\" is mapped already (line %u); a column is mapped once", c->right,
                           k->columns[j].line);
        }
    }
    return true;
}

static const struct config_column *find_left(const struct config_link *k, const char *name)
{
    for (size_t i = 0; i < k->ncolumns; i++)
        if (strcasecmp(k->columns[i].left, name) == 0)
            return &k->columns[i];
    return NULL;
}

/* at: where to point when the key is the default one. */
static bool add_key(struct loader *l, const config_setting_t *at, struct config_link *k, const char *name)
{
    const struct config_column *c = find_left(k, name);
    if (c == NULL)
        return bad(l, at, "key column \"%.64s\" is not mapped; name left columns that stand in columns",
                   name);
    if (c->ciphered)
        return bad(
            l, at,
            "key column \"%.64s\" has a cipher; sealed values differ each time, so they cannot find a row",
            name);
    for (size_t i = 0; i < k->nkey; i++)
        if (strcasecmp(k->key[i], name) == 0)
            return bad(l, at, "key column \"%.64s\" stands twice", name);
    k->key[k->nkey++] = mem_strdup(c->left);
    return true;
}

static bool load_key(struct loader *l, const config_setting_t *link, struct config_link *k)
{
    const config_setting_t *key = member(link, "key");
    k->key = mem_zalloc(MAX_KEY_COLUMNS, sizeof(*k->key));
    if (key == NULL)
        return add_key(l, link, k, "id");
    if (!check_strings(l, key))
        return false;
    int count = config_setting_length(key);
    if (count < 1 || count > MAX_KEY_COLUMNS)
        return bad(l, key, "has %d columns; must have 1 to %d", count, MAX_KEY_COLUMNS);
    for (int i = 0; i < count; i++) {
        const config_setting_t *e = config_setting_get_elem(key, (unsigned)i);
        if (!add_key(l, e, k, config_setting_get_string(e)))
            return false;
    }
    return true;
}

/* version, updated_at and synced_at stand beside the mapped columns, not among them. */
static bool load_sync_columns(struct loader *l, const config_setting_t *link, struct config_link *k)
{
    if (!get_identifier(l, link, "version", "sync_version", &k->version) ||
        !get_identifier(l, link, "updated_at", "updated_at", &k->updated_at) ||
        !get_identifier(l, link, "synced_at", "last_sync_at", &k->synced_at))
        return false;
    const char *const keys[] = {"version", "updated_at", "synced_at"};
    const char *const names[] = {k->version, k->updated_at, k->synced_at};
    for (size_t i = 0; i < 3; i++) {
        const config_setting_t *at = member(link, keys[i]);
        assert(names[i] != NULL);
        for (size_t j = 0; j < i; j++)
            if (strcasecmp(names[i], names[j]) == 0)
                return bad_path(
                    l, at != NULL ? at : link, at != NULL ? NULL : keys[i],
                    "is the column of another of version, updated_at, synced_at; each needs its own");
        for (size_t j = 0; j < k->ncolumns; j++)
            if (strcasecmp(names[i], k->columns[j].left) == 0 ||
                strcasecmp(names[i], k->columns[j].right) == 0)
                return bad_path(l, at != NULL ? at : link, at != NULL ? NULL : keys[i],
                                "is a mapped column too; take it out of columns, it is carried along anyway");
    }
    return true;
}

static bool load_conflict(struct loader *l, const config_setting_t *link, struct config_link *k)
{
    static const char *const known[] = {"authority", "delete_vs_update", "keep", "keep_days", NULL};
    static const char *const sides[] = {"left", "right", NULL};
    static const char *const policies[] = {"keep", "delete", NULL};
    config_setting_t *conflict;
    int authority, policy;
    if (!get_group(l, link, "conflict", known, &conflict) ||
        !get_choice(l, conflict, "authority", sides, SIDE_LEFT, &authority) ||
        !get_choice(l, conflict, "delete_vs_update", policies, 0, &policy) ||
        !get_number(l, conflict, "keep", 0, 100000, 1000, &k->keep_conflicts) ||
        !get_number(l, conflict, "keep_days", 1, 3650, 30, &k->keep_conflict_days))
        return false;
    k->authority = (enum side)authority;
    k->delete_beats_update = policy == 1;
    return true;
}

static bool load_side(struct loader *l, const config_setting_t *link, enum side side, struct config_link *k)
{
    static const char *const known[] = {"server", "table", NULL};
    struct config_table *t = &k->side[side];
    config_setting_t *g;
    if (!get_group(l, link, side_name(side), known, &g))
        return false;
    if (g == NULL)
        return missing(l, link, side_name(side), "{ server = \"NAME\"; table = \"database.table\"; }");
    if (!get_string(l, g, "server", NULL, &t->server))
        return false;
    if (t->server == NULL)
        return missing(l, g, "server", "the name of a section in servers");
    if (config_find_server(l->config, t->server) == NULL)
        return bad(l, member(g, "server"), "\"%.64s\" is no section in servers; there is \"%s\"%s", t->server,
                   l->config->servers[0].name, l->config->nservers > 1 ? " and others" : "");
    if (!get_table(l, g, t))
        return false;
    if (strcasecmp(t->db, l->config->state_database) == 0)
        return bad(l, member(g, "table"), "lies in the state database \"%s\", which is twinlog's own",
                   l->config->state_database);
    return true;
}

static bool load_link(struct loader *l, const config_setting_t *g, struct config_link *k)
{
    static const char *const known[] = {"name",     "left",         "right",      "key",
                                        "columns",  "version",      "updated_at", "synced_at",
                                        "conflict", "initial_sync", NULL};
    source_file(&l->source, config_setting_source_line(g), &k->line);
    if (!config_setting_is_group(g))
        return bad(l, g, "is %s; must be a group { left = …; right = …; }", type_name(g));
    if (!check_keys(l, g, known) || !get_string(l, g, "name", "users", &k->name))
        return false;
    if (!is_plain_name(k->name))
        return bad(l, member(g, "name"), "must be 1 to 64 letters, digits, _ and -");
    return load_side(l, g, SIDE_LEFT, k) && load_side(l, g, SIDE_RIGHT, k) && load_columns(l, g, k) &&
           load_key(l, g, k) && load_sync_columns(l, g, k) && load_conflict(l, g, k) &&
           get_bool(l, g, "initial_sync", true, &k->initial_sync);
}

/* ---- Tables as a graph ----
 *
 * Tables are nodes and links are edges. A change travels along every link but
 * the one that wrote it, so in a cycle it would come back and never end. A
 * forest has no cycle: each link joins two parts that nothing joined before.
 */

/* Two sections may be one server, with two accounts. */
static bool same_server(const struct config *c, const char *a, const char *b)
{
    const struct config_server *x = config_find_server(c, a), *y = config_find_server(c, b);
    if (x == y || (x->socket != NULL && y->socket != NULL && strcmp(x->socket, y->socket) == 0))
        return true;
    for (size_t i = 0; i < x->naddresses; i++)
        for (size_t k = 0; k < y->naddresses; k++)
            if (strcmp(x->addresses[i].host, y->addresses[k].host) == 0 &&
                x->addresses[i].port == y->addresses[k].port)
                return true;
    return false;
}

static bool same_table(const struct config *c, const struct config_table *a, const struct config_table *b)
{
    /* Servers may or may not tell names apart by case: take them as one, a needless refusal does no harm. */
    return strcasecmp(a->db, b->db) == 0 && strcasecmp(a->table, b->table) == 0 &&
           same_server(c, a->server, b->server);
}

static const struct config_table *link_table(const struct config *c, size_t node)
{
    return &c->links[node / 2].side[node % 2];
}

static bool same_pair(const struct config *c, const struct config_link *a, const struct config_link *b)
{
    return (same_table(c, &a->side[0], &b->side[0]) && same_table(c, &a->side[1], &b->side[1])) ||
           (same_table(c, &a->side[0], &b->side[1]) && same_table(c, &a->side[1], &b->side[0]));
}

static size_t find_root(size_t *parent, size_t node)
{
    while (parent[node] != node)
        node = parent[node] = parent[parent[node]];
    return node;
}

static bool check_graph(struct loader *l, const config_setting_t *links)
{
    const struct config *c = l->config;
    bool ok = true;
    size_t *parent = mem_alloc(2 * c->nlinks * sizeof(*parent));
    for (size_t i = 0; i < 2 * c->nlinks; i++) { /* a table is the first node that names it */
        parent[i] = i;
        for (size_t j = 0; j < i && parent[i] == i; j++)
            if (same_table(c, link_table(c, i), link_table(c, j)))
                parent[i] = j;
    }
    for (size_t i = 0; i < c->nlinks && ok; i++) {
        const config_setting_t *g = config_setting_get_elem(links, (unsigned)i);
        const struct config_link *k = &c->links[i];
        size_t left = find_root(parent, 2 * i), right = find_root(parent, 2 * i + 1);
        if (same_table(c, &k->side[0], &k->side[1]))
            ok = bad(l, g, "left and right are one table, %s.%s; a link needs two", k->side[0].db,
                     k->side[0].table);
        for (size_t j = 0; j < i && ok; j++)
            if (same_pair(c, k, &c->links[j]))
                ok = bad(l, g, "links the same two tables as link %s (line %u); remove one", c->links[j].name,
                         c->links[j].line);
        if (ok && left == right)
            ok = bad(l, g,
                     "closes a cycle: %s.%s and %s.%s are joined already through other links; a change would "
                     "go round for ever. Remove one link of the cycle",
                     k->side[0].db, k->side[0].table, k->side[1].db, k->side[1].table);
        parent[right] = left;
    }
    free(parent);
    return ok;
}

static bool load_links(struct loader *l, const config_setting_t *root)
{
    struct config *c = l->config;
    const config_setting_t *links = member(root, "links");
    if (links == NULL || (config_setting_is_aggregate(links) && config_setting_length(links) == 0))
        return missing(l, root, "links",
                       "links = ( { left = { server = …; table = …; }; right = { … }; } );");
    if (!config_setting_is_list(links))
        return bad(l, links, "is %s; must be a list ( { left = …; right = …; }, … )", type_name(links));
    size_t count = (size_t)config_setting_length(links);
    c->links = mem_zalloc(count, sizeof(*c->links));
    for (size_t i = 0; i < count; i++) {
        const config_setting_t *g = config_setting_get_elem(links, (unsigned)i);
        c->nlinks = i + 1;
        if (!load_link(l, g, &c->links[i]))
            return false;
        for (size_t j = 0; j < i; j++) /* state is kept by name, and metrics have it as a label */
            if (strcasecmp(c->links[j].name, c->links[i].name) == 0)
                return bad_path(
                    l, g, "name",
                    "another link has the name already (\"users\" if none is given); each needs its own");
    }
    return check_graph(l, links);
}

static bool load_root(struct loader *l, const config_setting_t *root)
{
    static const char *const known[] = {"state_database", "http",   "log",    "servers",
                                        "links",          "limits", "notify", NULL};
    static const char *const reserved[] = {"mysql", "information_schema", "performance_schema", "sys", NULL};
    struct config *c = l->config;
    if (!check_keys(l, root, known) ||
        !get_identifier(l, root, "state_database", "twinlog", &c->state_database))
        return false;
    for (size_t i = 0; reserved[i] != NULL; i++)
        if (strcasecmp(c->state_database, reserved[i]) == 0)
            return bad(l, member(root, "state_database"), "is the server's own; name one for twinlog alone");
    return load_http(l, root) && load_log(l, root) && load_limits(l, root) && load_notify(l, root) &&
           load_servers(l, root) && load_links(l, root);
}

/* ---- The whole ---- */

static bool parse(struct loader *l)
{
    if (config_read_string(&l->tree, l->source.text.data) == CONFIG_TRUE)
        return true;
    char key[80];
    const char *text = config_error_text(&l->tree);
    unsigned line, at = (unsigned)config_error_line(&l->tree);
    source_key(&l->source, at, key, sizeof(key));
    const char *file = source_file(&l->source, at, &line);
    const char *right = "";
    if (strcmp(text, "duplicate setting name") == 0)
        right = "; a key stands once in its group";
    else if (strcmp(text, "syntax error") == 0)
        right = "; key = value; is right, look for a missing ; or quote here and on the line before";
    return err_set(l->err, ERR_CONFIG, 0, "%s:%u: %s%s%s%s", file, line, key, *key != '\0' ? ": " : "", text,
                   right);
}

bool config_load(const char *path, struct config *ret_config, struct err *err)
{
    struct config c = {0};
    struct loader l = {.config = &c, .err = err};
    c.path = mem_strdup(path);
    config_init(&l.tree);
    bool ok = source_load(&l.source, path, err) && parse(&l) && load_root(&l, config_root_setting(&l.tree));
    config_destroy(&l.tree);
    source_done(&l.source);
    if (ok)
        *ret_config = c;
    else
        config_done(&c);
    return ok;
}

static void server_done(struct config_server *s)
{
    free(s->name);
    for (size_t i = 0; i < s->naddresses; i++)
        free(s->addresses[i].host);
    free(s->addresses);
    free(s->socket);
    free(s->user);
    secret_done(&s->password);
    free(s->tls_ca);
    free(s->tls_cert);
    free(s->tls_key);
    free(s->listen_host);
}

static void column_done(struct config_column *c)
{
    free(c->left);
    free(c->right);
    secret_done(&c->key);
    for (size_t i = 0; i < c->nprevious_keys; i++)
        secret_done(&c->previous_keys[i]);
    free(c->previous_keys);
}

static void link_done(struct config_link *k)
{
    free(k->name);
    for (int s = 0; s < 2; s++) {
        free(k->side[s].server);
        free(k->side[s].db);
        free(k->side[s].table);
    }
    for (size_t i = 0; i < k->nkey; i++)
        free(k->key[i]);
    free(k->key);
    for (size_t i = 0; i < k->ncolumns; i++)
        column_done(&k->columns[i]);
    free(k->columns);
    free(k->version);
    free(k->updated_at);
    free(k->synced_at);
}

void config_done(struct config *c)
{
    free(c->path);
    free(c->state_database);
    free(c->http_host);
    secret_done(&c->http_token);
    for (size_t i = 0; i < c->nservers; i++)
        server_done(&c->servers[i]);
    free(c->servers);
    for (size_t i = 0; i < c->nlinks; i++)
        link_done(&c->links[i]);
    free(c->links);
    free(c->notify.url);
    secret_done(&c->notify.token);
    memset(c, 0, sizeof(*c));
}

const struct config_server *config_find_server(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->nservers; i++)
        if (strcmp(c->servers[i].name, name) == 0)
            return &c->servers[i];
    return NULL;
}
