/*
 * config.h - the config file as plain structs. Every string is owned by the
 * config; secrets are read by config_secret() only, never kept here.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/cipher.h"
#include "cdc/base/err.h"
#include "cdc/base/log.h"
#include "cdc/model/record.h"
#include "cdc/model/side.h"

enum tls_mode { TLS_OFF, TLS_REQUIRED, TLS_VERIFY_CA, TLS_VERIFY_IDENTITY };

struct config_secret { /* where a secret comes from: one of both, or none */
    char *env;
    char *file;
    char *where; /* "file:line: key" of what names it; NULL where no file did */
};

struct config_address {
    char *host; /* name or address, IPv6 without its brackets */
    uint16_t port;
};

struct config_server {
    char *name;
    struct config_address
        *addresses; /* of one logical server, in the order of preference; none when socket is set */
    size_t naddresses;
    char *socket; /* path of a UNIX socket */
    char *user;
    struct config_secret password;
    uint32_t server_id;
    enum tls_mode tls_mode;
    char *tls_ca, *tls_cert, *tls_key; /* paths or NULL */
    char *listen_host;                 /* of its own trigger listener; NULL: none */
    uint16_t listen_port;
    unsigned line; /* of the section in the file */
};

struct config_column {
    char *left, *right;
    bool ciphered;
    enum side sealed_side;
    enum cipher_encoding encoding;
    struct config_secret key;
    struct config_secret *previous_keys;
    size_t nprevious_keys;
    unsigned line;
};

struct config_link {
    char *name;
    struct config_table {
        char *server, *db, *table;
    } side[2];
    char **key; /* left column names */
    size_t nkey;
    struct config_column *columns;
    size_t ncolumns;
    char *version, *updated_at, *synced_at; /* the same name on both sides */
    enum side authority;
    bool delete_beats_update;
    uint32_t keep_conflicts;     /* on record, the newest; 0: none */
    uint32_t keep_conflict_days; /* older ones are forgotten too */
    bool initial_sync;
    unsigned line;
};

struct config_notify { /* where events go */
    char *url;         /* http:// or https://; NULL: nowhere */
    bool events[EVENT_KINDS];
    struct config_secret token; /* of an Authorization: Bearer header */
};

struct config {
    char *path;
    char *state_database;
    char *http_host;
    uint16_t http_port;
    struct config_secret http_token;
    enum log_level log_level;
    enum log_format log_format;
    enum log_keys log_keys;
    struct config_server *servers;
    size_t nservers;
    struct config_link *links;
    size_t nlinks;
    uint32_t queue_mb, batch_rows, lanes, resync_chunk_rows, connect_timeout_s, read_timeout_s,
        stop_timeout_s;
    uint32_t quarantine_keys; /* of a link that may wait; above it the direction halts */
    struct config_notify notify;
};

/* ERR_CONFIG with "file:line: key: what is wrong; what would be right". */
bool config_load(const char *path, struct config *ret_config, struct err *err);
void config_done(struct config *c);
const struct config_server *config_find_server(const struct config *c, const char *name); /* NULL if none */

/* Reads a secret: the environment variable's value, or the file's content
 * without one line end (at most 64 KiB; a file that others can read is refused).
 * *ret_text is NUL-terminated; the caller frees it with mem_wipe_free(text, len + 1).
 * ERR_CONFIG names file, line and key, and the variable or file. A secret of neither kind yields "". */
bool config_secret_read(const struct config_secret *s, char **ret_text, size_t *ret_len, struct err *err);
/* The same for what stands in a line of HTTP: one line end is cut off in any case, and no other
 * control character may be in it. */
bool config_token_read(const struct config_secret *s, char **ret_text, size_t *ret_len, struct err *err);
/* The keys of a ciphered column, first key first. A previous key whose variable
 * is not set is left out. */
bool config_column_keys(const struct config_column *c, unsigned char (**ret_keys)[CIPHER_KEY_BYTES],
                        size_t *ret_count,
                        struct err *err); /* mem_wipe_free(keys, count * CIPHER_KEY_BYTES) */

#endif
