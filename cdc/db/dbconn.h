/*
 * dbconn.h - one SQL connection to a server. cdc/db is the only folder that
 * includes the client library; nothing of it shows in this header.
 *
 * A connection belongs to one thread, but for dbconn_shutdown().
 */
#ifndef DB_DBCONN_H
#define DB_DBCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buf.h"
#include "cdc/base/err.h"
#include "cdc/db/target.h"
#include "config/config.h"

enum db_kind { DB_MARIADB, DB_MYSQL };

struct dbconn;

struct db_options {
    const struct config_server *server; /* borrowed as long as the connection lives */
    uint32_t connect_timeout_s;
    uint32_t read_timeout_s;
    bool inspect_only;        /* for `check`: opens even where the session's binlog_format is not ROW */
    struct db_target *target; /* shared by all connections of this server section; NULL: one of its own */
};

/* Not connected yet; never fails. */
struct dbconn *dbconn_new(const struct db_options *options);
void dbconn_free(struct dbconn *c); /* closes; NULL is fine */

/* Connects, or does nothing when connected. The session then has: utf8mb4,
 * time_zone '+00:00', a fixed sql_mode (STRICT_ALL_TABLES, no backslash
 * surprises, zero dates allowed), autocommit on, REPEATABLE READ, multi-statements on,
 * lock wait timeout `lock_wait_s` seconds. The password is read from its source
 * each time, and wiped. ERR_RETRY when the server is not there; ERR_CONFIG when
 * it refuses the account or TLS does not come about.
 *
 * With several addresses: the one in use, then the others in their order, each within
 * the connect timeout. One that is read-only is passed over. The first that may be
 * written becomes the one in use (target.h). If there is none, the error tells of
 * each; it is ERR_CONFIG only if all of them are. */
bool dbconn_open(struct dbconn *c, uint32_t lock_wait_s, struct err *err);
void dbconn_close(struct dbconn *c);
bool dbconn_is_open(const struct dbconn *c);
/* False: another address is in use now, and this connection of no use any more. */
bool dbconn_is_current(const struct dbconn *c, struct err *err);
/* From any thread: a blocked call returns with ERR_RETRY; the owner closes. */
void dbconn_shutdown(struct dbconn *c);

/* Nothing is going to be asked soon: gives back the buffer that answers are read into. The next query takes it again. */
void dbconn_rest(struct dbconn *c);

/* That it still answers and, where there are several addresses, that it is still the one to use and may be written. What
 * another connection of this section has been told a moment ago counts, as long as this one is not closed by the server;
 * each asks by itself now and then. */
bool dbconn_ping(struct dbconn *c, struct err *err);

/* Known once open. */
enum db_kind dbconn_kind(const struct dbconn *c);
const char *dbconn_version(const struct dbconn *c); /* "10.11.19-MariaDB-log" */
uint64_t dbconn_id(const struct dbconn *c);         /* the server's connection id */
const char *dbconn_address(
    const struct dbconn *c);                     /* "db1.example:3306", that it is or was connected to last */
const char *dbconn_name(const struct dbconn *c); /* of the server section */
bool dbconn_has_choice(
    const struct dbconn *c); /* between several addresses: somebody has to look after the one in use */
size_t dbconn_max_packet(const struct dbconn *c); /* bytes: the longest text that the server takes */

/* One result set as text. A value of NULL stands for SQL NULL. Pointers live
 * until the result is freed. */
struct db_result;
/* Runs one or more statements in one packet, reads every result. The result of
 * statement number `keep` (0-based) is stored in *ret_result if ret_result is
 * not NULL (NULL if that statement has none). On an error of statement i,
 * err->index is i, and the statements behind it did not run. */
bool dbconn_query(struct dbconn *c, const char *sql, size_t len, size_t keep, struct db_result **ret_result,
                  struct err *err);
/* Likewise, and the first `count` results: ret_results[i] is what statement number i has answered, or NULL, after an error
 * too. All are the caller's. */
bool dbconn_query_all(struct dbconn *c, const char *sql, size_t len, struct db_result **ret_results,
                      size_t count, struct err *err);
/* Runs one statement and hands its rows to row() as they come, without holding them; r is good for that call. Once
 * row() returns false the rest is thrown away, which still has to be sent: a means against surprises, not for every day. */
bool dbconn_query_rows(struct dbconn *c, const char *sql, size_t len,
                       bool (*row)(void *arg, const struct db_result *r), void *arg, struct err *err);
/* For short fixed texts: one statement, formatted by hand, no result wanted. */
bool dbconn_exec(struct dbconn *c, const char *sql, struct err *err);
uint64_t dbconn_affected_rows(const struct dbconn *c); /* of the last statement; matched, not changed, rows */
/* Likewise of statement number i of the last dbconn_query(); 0 if it did not run. */
uint64_t dbconn_statement_rows(const struct dbconn *c, size_t i);
/* Did a statement of the last dbconn_query() end with warnings or notes? */
bool dbconn_warned(const struct dbconn *c);
/* The key or column that the last failed statement's error names, "" if none. */
const char *dbconn_error_name(const struct dbconn *c);

/* ---- Rows whose values go beside the text of their INSERT ----
 *
 * A server reads and parses nothing then, and writes no text into its log: for MariaDB, half the work that a row is. MySQL
 * cannot.
 */

/* data NULL: SQL NULL. */
struct db_param {
    const char *data;
    size_t len;
};
/* Makes the statement ready, which has a ? for each of ncolumns values, text or bytes. It stays
 * ready as long as the connection lasts, or until another one is. False where that cannot be had; whatever else is
 * wrong shows when the statement is sent as text. */
bool dbconn_prepare_rows(struct dbconn *c, const char *sql, size_t len, const bool *is_bytes,
                         size_t ncolumns);
/* Runs it with these values, row after row, as one statement: dbconn_query() says what can be asked afterwards. Values of
 * dbconn_params_bytes() must be less than dbconn_max_packet(). */
bool dbconn_run_rows(struct dbconn *c, const struct db_param *params, size_t nrows, struct err *err);
size_t dbconn_params_bytes(const struct db_param *params, size_t count);

/* A result of NULL has no rows. */
size_t db_result_rows(const struct db_result *r);
size_t db_result_columns(const struct db_result *r);
/* Moves to the next row; false at the end. */
bool db_result_next(struct db_result *r);
/* ret_len may be NULL. NULL also for a column that the result does not have. */
const char *db_result_get(const struct db_result *r, size_t column, size_t *ret_len);
/* Likewise, and "" for NULL. */
const char *db_result_text(const struct db_result *r, size_t column);
void db_result_free(struct db_result *r);

/* Appends a string literal '...' that is safe in our sessions (utf8mb4). */
void db_quote_text(struct buf *out, const char *text, size_t len);
/* Appends x'...' for bytes, or _binary'...' for many. */
void db_quote_bytes(struct buf *out, const char *bytes, size_t len);
/* Appends " x'...'" or "'...'", to stand behind the _name of the character set that these bytes are of. */
void db_quote_coded(struct buf *out, const char *bytes, size_t len);
/* Appends `name` with back-quotes doubled. */
void db_quote_name(struct buf *out, const char *name);

/* once per process, before the first thread / after the last */
bool db_library_init(struct err *err);
void db_library_done(void);
/* each thread that used a connection, before it ends */
void db_thread_done(void);

#endif
