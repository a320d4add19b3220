/*
 * dbconn.c - one SQL connection.
 *
 * Every session looks the same, whatever the server's defaults are: set_up()
 * sets all that changes what our statements mean. A lost connection is never
 * mended silently (no reconnect option): locks and session would be gone, and
 * the owner has to know.
 *
 * Ending a blocked call from another thread: the socket is shut down, not
 * closed, so that the blocked read returns and nobody else can get the same
 * descriptor meanwhile. The descriptor and the flag `down` are the only fields
 * that two threads touch. The flag stays up until the owner has met it, in
 * dbconn_close() or in a failing dbconn_open(): a shutdown that comes while the
 * owner is between two connections must not be missed.
 *
 * Several addresses: target.h says why all connections of a section use one. A
 * connection that was opened before the last move fails at its next statement with
 * ERR_RETRY, before it sends anything: its owner opens it again, at the new address.
 */
#include "cdc/db/dbconn.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/mem.h"
#include "cdc/db/auth.h"
#include "cdc/db/dbconn_int.h"
#include "cdc/db/dberr.h"

#include <ma_pvio.h> /* knows no type of <mysql.h> by itself */

/* What may go wrong between two answers of a healthy server is far below this. */
enum { WRITE_TIMEOUT_S = 60 };

/* A hundred links have some hundred connections to one server, and one of them finds out whether it answers. But a line
 * that passes nothing is seen only by who uses it, and one that is never used may be cut on the way. */
enum { ANSWER_COUNTS_US = 1900000, ASKS_EVERY_US = 30000000 };

/* The statement whose values go beside its text. */
struct bound {
    MYSQL_STMT *stmt; /* NULL: there is none */
    bool refused;     /* this connection has none */
    struct buf sql;
    MYSQL_BIND *binds; /* of each column, and for each an array of rows_cap: */
    size_t ncolumns, rows_cap;
    char **data;
    unsigned long *len;
    char *indicator;
};

struct dbconn {
    struct db_options options;
    struct db_target *target, *own_target; /* the options', or our own */
    uint64_t generation;                   /* of the target when it was opened */
    char address[300];
    MYSQL *mysql; /* NULL: closed */
    enum db_kind kind;
    char *version;
    uint64_t id;
    size_t max_packet;
    mono_us asked;  /* by itself, last */
    uint64_t *rows; /* affected by each statement of the last query */
    bool warned;    /* one of them had warnings */
    size_t nrows, rows_cap;
    char error_name[DBERR_NAME_MAX];
    struct bound bound;

    pthread_mutex_t lock; /* for the rest */
    int fd;               /* -1: none */
    bool down;
};

struct db_result {
    MYSQL_RES *res;
    MYSQL_ROW row; /* NULL: before the first or behind the last */
    unsigned long *lengths;
    size_t ncolumns;
};

/* ---- Life ---- */

bool db_library_init(struct err *err)
{
    /* A server that goes away while we write is an error of that call, not our end. */
    signal(SIGPIPE, SIG_IGN);
    if (mysql_library_init(0, NULL, NULL) != 0)
        return err_set(err, ERR_CONFIG, 0, "the MariaDB client library cannot be initialised");
    auth_init();
    return true;
}

void db_library_done(void) { mysql_library_end(); }

void db_thread_done(void) { mysql_thread_end(); }

struct dbconn *dbconn_new(const struct db_options *options)
{
    struct dbconn *c = mem_zalloc(1, sizeof *c);

    c->options = *options;
    c->target = options->target;
    if (c->target == NULL)
        c->target = c->own_target = db_target_new(options->server);
    db_target_print(options->server, 0, c->address, sizeof c->address);
    c->fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void dbconn_free(struct dbconn *c)
{
    if (c == NULL)
        return;
    dbconn_close(c);
    db_target_free(c->own_target);
    pthread_mutex_destroy(&c->lock);
    free(c->rows);
    free(c);
}

/* Behind the connection it belongs to: then nothing is sent any more. */
static void forget_bound(struct bound *b)
{
    if (b->stmt != NULL)
        mysql_stmt_close(b->stmt);
    free(b->binds);
    free(b->data);
    free(b->len);
    free(b->indicator);
    buf_done(&b->sql);
    *b = (struct bound){.sql = BUF_INIT};
}

/* keep_down: the owner goes on connecting, and has not met the flag yet. */
static void close_handle(struct dbconn *c, bool keep_down)
{
    pthread_mutex_lock(&c->lock);
    c->fd = -1;
    c->down = c->down && keep_down;
    pthread_mutex_unlock(&c->lock);
    if (c->mysql != NULL)
        mysql_close(c->mysql);
    c->mysql = NULL;
    forget_bound(&c->bound);
    free(c->version);
    c->version = NULL;
    c->nrows = 0;
}

void dbconn_close(struct dbconn *c) { close_handle(c, false); }

void dbconn_shutdown(struct dbconn *c)
{
    pthread_mutex_lock(&c->lock);
    c->down = true;
    if (c->fd >= 0)
        shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
}

bool dbconn_is_open(const struct dbconn *c) { return c->mysql != NULL; }

enum db_kind dbconn_kind(const struct dbconn *c) { return c->kind; }

const char *dbconn_version(const struct dbconn *c) { return c->version != NULL ? c->version : ""; }

uint64_t dbconn_id(const struct dbconn *c) { return c->id; }

const char *dbconn_name(const struct dbconn *c) { return c->options.server->name; }

const char *dbconn_address(const struct dbconn *c) { return c->address; }

bool dbconn_has_choice(const struct dbconn *c) { return c->options.server->naddresses > 1; }

size_t dbconn_max_packet(const struct dbconn *c) { return c->max_packet; }

const char *dbconn_error_name(const struct dbconn *c) { return c->error_name; }

MYSQL *dbconn_handle(struct dbconn *c) { return c->mysql; }

const struct db_options *dbconn_options(const struct dbconn *c) { return &c->options; }

/* ---- Connect ---- */

static bool fail_with(struct dbconn *c, enum err_kind kind, struct err *err)
{
    unsigned code = mysql_errno(c->mysql);
    char text[sizeof err->text];

    dberr_name(code, mysql_error(c->mysql), c->error_name, sizeof c->error_name);
    dberr_text(code, mysql_sqlstate(c->mysql), mysql_error(c->mysql), text, sizeof text);
    return err_set(err, kind, (int)code, "%s", text);
}

bool dbconn_fail(struct dbconn *c, struct err *err)
{
    return fail_with(c, dberr_kind(mysql_errno(c->mysql)), err);
}

static void set_tls(MYSQL *m, const struct config_server *server)
{
    my_bool on = 1, verify = server->tls_mode == TLS_VERIFY_IDENTITY;

    if (server->tls_mode == TLS_OFF)
        return;
    mysql_optionsv(m, MYSQL_OPT_SSL_ENFORCE, &on);
    mysql_optionsv(m, MARIADB_OPT_TLS_VERSION, "TLSv1.2,TLSv1.3");
    mysql_optionsv(m, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    /* The library verifies the chain as soon as it is told a CA, and only then; so none is
     * told where nothing is to be verified, and the system's where the config names none. */
    if (server->tls_mode == TLS_VERIFY_CA || server->tls_mode == TLS_VERIFY_IDENTITY) {
        if (server->tls_ca != NULL)
            mysql_optionsv(m, MYSQL_OPT_SSL_CA, server->tls_ca);
        else
            mysql_optionsv(m, MYSQL_OPT_SSL_CAPATH, "/etc/ssl/certs");
    }
    if (server->tls_cert != NULL)
        mysql_optionsv(m, MYSQL_OPT_SSL_CERT, server->tls_cert);
    if (server->tls_key != NULL)
        mysql_optionsv(m, MYSQL_OPT_SSL_KEY, server->tls_key);
}

/* The ways to prove that we know the password, NULL for all. The server chooses one of
 * them, and may not be the one it claims to be: 3.3.20 refuses a server without TLS
 * before it says anything only where it is to verify the identity. Elsewhere it goes
 * on in the open, where somebody in between could ask for the password itself
 * (mysql_clear_password). The two of MySQL are kept from that by auth.c. */
static const char *safe_plugins(const struct config_server *server)
{
    if (server->socket != NULL || server->tls_mode == TLS_VERIFY_IDENTITY)
        return NULL;
    return "mysql_native_password,client_ed25519,parsec,caching_sha2_password,sha256_password";
}

static void set_options(MYSQL *m, const struct db_options *o)
{
    const struct config_server *server = o->server;
    unsigned connect_s = o->connect_timeout_s, read_s = o->read_timeout_s, write_s = WRITE_TIMEOUT_S;
    /* "localhost" shall not mean a socket file when the config says a port. */
    unsigned protocol = server->socket != NULL ? MYSQL_PROTOCOL_SOCKET : MYSQL_PROTOCOL_TCP;
    unsigned infile = 0;
    unsigned long max_packet = 1024UL * 1024 * 1024; /* a binlog event may be as long */
    my_bool reconnect = 0;
    const char *plugins = safe_plugins(server);

    mysql_optionsv(m, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_optionsv(m, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mysql_optionsv(m, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_optionsv(m, MYSQL_OPT_PROTOCOL, &protocol);
    mysql_optionsv(m, MYSQL_OPT_LOCAL_INFILE, &infile);
    mysql_optionsv(m, MYSQL_OPT_MAX_ALLOWED_PACKET, &max_packet);
    mysql_optionsv(m, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(m, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(m, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "twinlog");
    if (plugins != NULL)
        mysql_optionsv(m, MARIADB_OPT_RESTRICTED_AUTH, plugins);
    set_tls(m, server);
}

/* 2026 is all that goes wrong with TLS. A line that breaks in the handshake is no reason to
 * give up; a certificate that does not verify is one. */
static enum err_kind connect_error_kind(MYSQL *m)
{
    static const char *const BROKEN[] = {"eof",      "EOF",    "eset by peer", "roken pipe",
                                         "imed out", "imeout", "Success"};

    if (mysql_errno(m) != 2026)
        return dberr_kind(mysql_errno(m));
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++)
        if (strstr(mysql_error(m), BROKEN[i]) != NULL)
            return ERR_RETRY;
    return ERR_CONFIG;
}

/* What would mend a TLS that does not come about; "" where the library's words are all that is known. */
static const char *tls_advice(const char *text)
{
    static const struct {
        const char *says, *advice;
    } KNOWN[] = {
        {"does not support it", "; the server does not offer TLS: give it a certificate, or see tls.mode"},
        {"expired", "; the server needs a new certificate"},
        {"not yet valid", "; look at the clocks, and at the server's certificate"},
        {"self-signed", "; tls.ca has to name the authority that signed the server's certificate"},
        {"self signed", "; tls.ca has to name the authority that signed the server's certificate"},
        {"local issuer", "; tls.ca has to name the authority that signed the server's certificate"},
        {"certificate verify failed",
         "; tls.ca has to name the authority that signed the server's certificate"},
        {"Validation of SSL server certificate",
         "; the certificate has to be for the host as the config names it, or see tls.mode"},
        {"unsupported protocol", "; the server has to offer TLS 1.2 or newer"},
        {"protocol version", "; the server has to offer TLS 1.2 or newer"},
    };

    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (strstr(text, KNOWN[i].says) != NULL)
            return KNOWN[i].advice;
    return "";
}

static bool fail_to_connect(struct dbconn *c, struct err *err)
{
    enum err_kind kind = connect_error_kind(c->mysql);
    unsigned code = mysql_errno(c->mysql);
    struct err said = ERR_INIT;

    fail_with(c, kind, &said);
    const char *advice = "";

    if (code == 2026)
        advice = tls_advice(mysql_error(c->mysql));
    else if (code == 5010) /* the server asked for a way that safe_plugins() leaves out */
        advice =
            "; with this tls.mode the password could be learned on the way: set it to verify_identity, or"
            " give the account another way to log in";
    return err_set(err, kind, (int)code, "%s%s", said.text, advice);
}

/* The name of the address is also what verify_identity looks for in the certificate. */
static bool connect_server(struct dbconn *c, size_t address, struct err *err)
{
    const struct config_server *server = c->options.server;
    const char *host = server->naddresses > 0 ? server->addresses[address].host : NULL;
    unsigned port = server->naddresses > 0 ? server->addresses[address].port : 0;
    unsigned long flags = CLIENT_MULTI_STATEMENTS | CLIENT_MULTI_RESULTS | CLIENT_FOUND_ROWS;
    char *password;
    size_t len;

    if (!config_secret_read(&server->password, &password, &len, err))
        return false;
    set_options(c->mysql, &c->options);
    auth_expect_tls(server->tls_mode != TLS_OFF);
    bool ok = mysql_real_connect(c->mysql, host, server->user, password, NULL, port, server->socket, flags) !=
              NULL;

    mem_wipe_free(password, len + 1);
    if (!ok)
        return fail_to_connect(c, err);
    if (c->mysql->passwd != NULL) /* kept for a reconnect that never comes */
        mem_wipe(c->mysql->passwd, strlen(c->mysql->passwd));
    mysql_optionsv(c->mysql, MYSQL_OPT_CONNECT_ATTR_RESET, NULL); /* 8 KiB that have been sent */
    if (server->tls_mode != TLS_OFF && mysql_get_ssl_cipher(c->mysql) == NULL)
        return err_set(
            err, ERR_CONFIG, 0,
            "the server does not offer TLS, and tls.mode asks for it: give it a certificate, or see"
            " tls.mode");
    return true;
}

/* From here on dbconn_shutdown() reaches the socket. */
static bool publish_socket(struct dbconn *c, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    bool down = c->down;

    c->fd = (int)mysql_get_socket(c->mysql);
    pthread_mutex_unlock(&c->lock);
    return !down || err_set(err, ERR_RETRY, 0, "connection was shut down from our side");
}

/* ---- Session ---- */

static bool set_up(struct dbconn *c, uint32_t lock_wait_s, struct err *err)
{
    struct buf sql = BUF_INIT;

    buf_adds(
        &sql,
        "SET NAMES utf8mb4;"
        /* The absent row of a locking read is locked as a gap at this level only. */
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE;"
        "SET SESSION time_zone = '+00:00',"
        /* No NO_ZERO_DATE: what one server holds must pass into the other. The quote is the only
              * special character of a literal. */
        " sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,"
        "NO_BACKSLASH_ESCAPES',"
        " autocommit = 1, completion_type = 0, foreign_key_checks = 1, unique_checks = 1,"
        " sql_safe_updates = 0, sql_select_limit = DEFAULT,"
        " wait_timeout = 31536000, net_write_timeout = 3600, net_read_timeout = 600");
    /* MySQL knows no 0 of either. */
    uint32_t least = c->kind == DB_MARIADB ? 0 : 1;
    buf_addf(&sql, ", innodb_lock_wait_timeout = %u, lock_wait_timeout = %u",
             lock_wait_s > least ? lock_wait_s : least, lock_wait_s > 0 ? lock_wait_s : 1);
    /* If our machine vanishes in the middle of a transaction, its locks shall not stay for hours. */
    buf_adds(&sql, "/*M!100300 , idle_transaction_timeout = 60 */");
    bool ok = dbconn_query(c, sql.data, sql.len, SIZE_MAX, NULL, err);

    buf_done(&sql);
    return ok;
}

/* A locking read must see the newest row, not fail because it is newer than the snapshot. */
static bool unset_snapshot_isolation(struct dbconn *c, struct err *err)
{
    return dbconn_exec(c, "SET SESSION innodb_snapshot_isolation = 0", err);
}

static bool check_variables(struct dbconn *c, struct err *err)
{
    static const char SQL[] =
        "SHOW SESSION VARIABLES WHERE Variable_name IN"
        " ('binlog_format', 'innodb_snapshot_isolation', 'log_bin', 'max_allowed_packet')";
    struct db_result *r = NULL;
    bool row_format = true, log_bin = false, snapshot = false;

    if (!dbconn_query(c, SQL, sizeof SQL - 1, 0, &r, err))
        return false;
    while (db_result_next(r)) {
        const char *name = db_result_get(r, 0, NULL), *value = db_result_get(r, 1, NULL);

        if (name == NULL || value == NULL)
            continue;
        if (strcmp(name, "binlog_format") == 0)
            row_format = strcmp(value, "ROW") == 0;
        else if (strcmp(name, "innodb_snapshot_isolation") == 0)
            snapshot = strcmp(value, "ON") == 0;
        else if (strcmp(name, "log_bin") == 0)
            log_bin = strcmp(value, "ON") == 0;
        else if (strcmp(name, "max_allowed_packet") == 0)
            c->max_packet = strtoull(value, NULL, 10);
    }
    db_result_free(r);
    if (snapshot && !unset_snapshot_isolation(c, err))
        return false;
    if (log_bin && !row_format && !c->options.inspect_only)
        return err_set(
            err, ERR_CONFIG, 0,
            "binlog_format is not ROW; mend with: SET GLOBAL binlog_format = 'ROW' (and binlog_format = ROW"
            " in the server's config)");
    if (c->max_packet == 0)
        return err_set(err, ERR_RETRY, 0, "the server does not tell its max_allowed_packet");
    return true;
}

static void learn_server(struct dbconn *c)
{
    c->version = mem_strdup(mysql_get_server_info(c->mysql));
    c->kind = mariadb_connection(c->mysql) ? DB_MARIADB : DB_MYSQL;
    c->id = mysql_thread_id(c->mysql);
}

/* ---- Addresses ---- */

static bool is_down(struct dbconn *c)
{
    pthread_mutex_lock(&c->lock);
    bool down = c->down;

    pthread_mutex_unlock(&c->lock);
    return down;
}

/* A replica must not be written to, whatever its account may do. */
static bool check_writable(struct dbconn *c, struct err *err)
{
    static const char SQL[] = "SELECT @@global.read_only";
    struct db_result *r = NULL;

    if (!dbconn_query(c, SQL, sizeof SQL - 1, 0, &r, err))
        return false;
    bool told = db_result_next(r) && db_result_get(r, 0, NULL) != NULL;
    bool writable = told && (strcmp(db_result_get(r, 0, NULL), "0") == 0 ||
                             strcmp(db_result_get(r, 0, NULL), "OFF") == 0);

    db_result_free(r);
    return writable ||
           err_set(err, ERR_RETRY, 0, told ? "is read-only" : "does not tell whether it is read-only");
}

static bool open_address(struct dbconn *c, size_t address, uint64_t generation, uint32_t lock_wait_s,
                         struct err *err)
{
    c->mysql = mysql_init(NULL);
    if (c->mysql == NULL)
        return err_set(err, ERR_RETRY, 0, "no memory for a connection");
    c->generation = generation; /* until it is chosen */
    if (!connect_server(c, address, err) || !publish_socket(c, err))
        return false;
    learn_server(c);
    c->asked = clock_mono();
    return set_up(c, lock_wait_s, err) && (c->options.server->naddresses < 2 || check_writable(c, err)) &&
           check_variables(c, err);
}

/* What several addresses said, as one error. */
struct refusals {
    struct buf text;
    size_t count, of_config;
    enum err_kind kind; /* of the first */
    int code;           /* likewise */
};

static void add_refusal(struct refusals *r, const struct config_server *server, size_t address,
                        const struct err *err)
{
    char at[300];

    if (r->count++ == 0) {
        r->kind = err->kind;
        r->code = err->code;
    }
    r->of_config += err->kind == ERR_CONFIG;
    if (server->naddresses > 1)
        buf_addf(&r->text, "%s%s: ", r->text.len > 0 ? "; " : "",
                 db_target_print(server, address, at, sizeof at));
    buf_adds(&r->text, err->text);
}

/* The k-th to be tried: the one in use, then all others from the first on. */
static size_t nth_address(size_t current, size_t k)
{
    if (k == 0)
        return current;
    return k <= current ? k - 1 : k;
}

/* Tries until one can be used. False: none can, and refusals says why. */
static bool open_any(struct dbconn *c, uint32_t lock_wait_s, struct refusals *refusals)
{
    const struct config_server *server = c->options.server;
    size_t count = server->naddresses > 0 ? server->naddresses : 1, current;
    uint64_t generation;

    db_target_get(c->target, &current, &generation);
    for (size_t k = 0; k < count; k++) {
        size_t address = nth_address(current, k);
        struct err why = ERR_INIT;

        db_target_print(server, address, c->address, sizeof c->address);
        if (open_address(c, address, generation, lock_wait_s, &why) &&
            (db_target_choose(c->target, generation, address, &c->generation) ||
             err_set(&why, ERR_RETRY, 0, "another address was chosen meanwhile")))
            return true;
        add_refusal(refusals, server, address, &why);
        bool down = is_down(c);

        close_handle(c, true);
        if (down)
            return false;
    }
    return false;
}

bool dbconn_open(struct dbconn *c, uint32_t lock_wait_s, struct err *err)
{
    struct refusals refusals = {.text = BUF_INIT};

    /* One of a past generation fails at its next statement, where its owner expects it. */
    if (c->mysql != NULL)
        return true;
    bool ok = open_any(c, lock_wait_s, &refusals);

    if (!ok) {
        dbconn_close(c);
        err_set(err, refusals.of_config == refusals.count || refusals.count == 1 ? refusals.kind : ERR_RETRY,
                refusals.code, "connect to server %s: %s", dbconn_name(c), refusals.text.data);
    }
    buf_done(&refusals.text);
    return ok;
}

/* 16 KiB for each connection; the library does without, at the price of a system call more for each packet. */
void dbconn_rest(struct dbconn *c)
{
    MARIADB_PVIO *io = c->mysql != NULL ? c->mysql->net.pvio : NULL;

    if (io == NULL || io->cache == NULL || io->cache_pos < io->cache + io->cache_size)
        return; /* or there is something in it: then it is not at rest */
    free(io->cache);
    io->cache = io->cache_pos = NULL;
    io->cache_size = 0;
}

static void end_rest(struct dbconn *c)
{
    MARIADB_PVIO *io = c->mysql->net.pvio;

    if (io == NULL || io->cache != NULL)
        return;
    io->cache = io->cache_pos = mem_alloc(PVIO_READ_AHEAD_CACHE_SIZE);
    io->cache_size = 0;
}

bool dbconn_is_current(const struct dbconn *c, struct err *err)
{
    char now[300];
    size_t address;
    uint64_t generation;

    if (db_target_is_current(c->target, c->generation))
        return true;
    db_target_get(c->target, &address, &generation);
    return err_set(err, ERR_RETRY, 0, "server %s is %s now, no longer %s", dbconn_name(c),
                   db_target_print(c->options.server, address, now, sizeof now), c->address);
}

/* Neither closed by the other end, nor is there anything that nobody asked for. */
static bool is_quiet(struct dbconn *c)
{
    char byte;

    return c->mysql != NULL && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}

static bool ask(struct dbconn *c, struct err *err)
{
    if (c->options.server->naddresses < 2)
        return dbconn_exec(c, "DO 1", err);
    return check_writable(c, err) || err_prefix(err, "server %s, %s", dbconn_name(c), c->address);
}

bool dbconn_ping(struct dbconn *c, struct err *err)
{
    mono_us now = clock_mono();

    if (mono_diff_us(now, c->asked) < ASKS_EVERY_US && is_quiet(c) &&
        db_target_has_answered(c->target, c->generation, (mono_us){now.v - ANSWER_COUNTS_US}))
        return dbconn_is_current(c, err);
    bool ok = ask(c, err);

    dbconn_rest(c);
    if (!ok)
        return false;
    c->asked = now;
    db_target_answered(c->target, c->generation, now);
    return true;
}

/* ---- Queries ---- */

static void note_rows(struct dbconn *c, uint64_t rows)
{
    if (c->nrows == c->rows_cap) {
        c->rows_cap = c->rows_cap > 0 ? 2 * c->rows_cap : 16;
        c->rows = mem_realloc(c->rows, c->rows_cap * sizeof *c->rows);
    }
    c->rows[c->nrows++] = rows;
}

static struct db_result *result_new(MYSQL_RES *res)
{
    struct db_result *r = mem_zalloc(1, sizeof *r);

    r->res = res;
    r->ncolumns = mysql_num_fields(res);
    return r;
}

/* The answer of one statement. *ret_kept gets its result set if it has one; ret_kept may be NULL. */
static bool read_answer(struct dbconn *c, struct db_result **ret_kept, struct err *err)
{
    MYSQL_RES *res = mysql_store_result(c->mysql);

    if (res == NULL && mysql_errno(c->mysql) != 0)
        return dbconn_fail(c, err);
    note_rows(c, mysql_affected_rows(c->mysql));
    c->warned = c->warned || mysql_warning_count(c->mysql) > 0;
    if (res == NULL)
        return true;
    if (ret_kept != NULL)
        *ret_kept = result_new(res);
    else
        mysql_free_result(res);
    return true;
}

/* A test may want the line to break here. */
static void may_break(struct dbconn *c, enum fault_when when, const char *sql, size_t len)
{
    if (fault_breaks(when, dbconn_name(c), sql, len))
        shutdown(c->fd, SHUT_RDWR);
}

/* As mysql_real_query() does it. */
static bool send_query(struct dbconn *c, const char *sql, size_t len, struct err *err)
{
    may_break(c, FAULT_BEFORE, sql, len);
    if (mysql_send_query(c->mysql, sql, len) != 0)
        return dbconn_fail(c, err);
    may_break(c, FAULT_SENT, sql, len);
    return !mysql_read_query_result(c->mysql) || dbconn_fail(c, err);
}

/* Results of statements number first to first + count - 1 are kept; the others are read and thrown away. */
static bool query(struct dbconn *c, const char *sql, size_t len, size_t first, size_t count,
                  struct db_result **ret_results, struct err *err)
{
    size_t i = 0;
    bool ok;

    c->nrows = 0;
    c->warned = false;
    c->error_name[0] = '\0';
    if (c->mysql == NULL)
        return err_set(err, ERR_RETRY, 0, "not connected");
    if (!dbconn_is_current(c, err))
        return false;
    end_rest(c);
    ok = send_query(c, sql, len, err);
    while (ok) {
        bool keeps = i >= first && i - first < count;

        ok = read_answer(c, keeps ? &ret_results[i - first] : NULL, err);
        if (!ok || !mysql_more_results(c->mysql))
            break;
        i++;
        ok = mysql_next_result(c->mysql) == 0 || dbconn_fail(c, err);
    }
    if (!ok && err != NULL)
        err->index = i;
    if (ok)
        may_break(c, FAULT_AFTER, sql, len);
    return ok;
}

bool dbconn_query(struct dbconn *c, const char *sql, size_t len, size_t keep, struct db_result **ret_result,
                  struct err *err)
{
    struct db_result *kept = NULL;
    bool ok = query(c, sql, len, keep, ret_result != NULL && keep != SIZE_MAX ? 1 : 0, &kept, err);

    if (ok && ret_result != NULL)
        *ret_result = kept;
    if (!ok)
        db_result_free(kept);
    return ok;
}

bool dbconn_query_all(struct dbconn *c, const char *sql, size_t len, struct db_result **ret_results,
                      size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        ret_results[i] = NULL;
    return query(c, sql, len, 0, count, ret_results, err);
}

bool dbconn_query_rows(struct dbconn *c, const char *sql, size_t len,
                       bool (*row)(void *arg, const struct db_result *r), void *arg, struct err *err)
{
    bool wants = true;

    c->nrows = 0;
    c->error_name[0] = '\0';
    if (c->mysql == NULL)
        return err_set(err, ERR_RETRY, 0, "not connected");
    if (!dbconn_is_current(c, err))
        return false;
    end_rest(c);
    if (!send_query(c, sql, len, err))
        return false;
    MYSQL_RES *res = mysql_use_result(c->mysql);

    if (res == NULL)
        return mysql_errno(c->mysql) == 0 || dbconn_fail(c, err);
    struct db_result *r = result_new(res);

    while (wants && db_result_next(r))
        wants = row(arg, r);
    bool ok = !wants || mysql_errno(c->mysql) == 0 || dbconn_fail(c, err);

    db_result_free(r);
    if (ok)
        may_break(c, FAULT_AFTER, sql, len);
    return ok;
}

bool dbconn_exec(struct dbconn *c, const char *sql, struct err *err)
{
    return dbconn_query(c, sql, strlen(sql), SIZE_MAX, NULL, err);
}

uint64_t dbconn_affected_rows(const struct dbconn *c) { return c->nrows > 0 ? c->rows[c->nrows - 1] : 0; }

bool dbconn_warned(const struct dbconn *c) { return c->warned; }

uint64_t dbconn_statement_rows(const struct dbconn *c, size_t i) { return i < c->nrows ? c->rows[i] : 0; }

/* ---- Rows beside their statement ----
 *
 * COM_STMT_BULK_EXECUTE: the values of all rows, column by column as the library wants them, in one packet. The server takes
 * it for one statement: where a row is refused, all are undone.
 */

static bool takes_rows(struct dbconn *c)
{
    unsigned long extended = 0; /* what a MariaDB can, beside what a MySQL can */

    return c->kind == DB_MARIADB &&
           mariadb_get_infov(c->mysql, MARIADB_CONNECTION_EXTENDED_SERVER_CAPABILITIES, &extended) == 0 &&
           (extended & (MARIADB_CLIENT_STMT_BULK_OPERATIONS >> 32)) != 0;
}

bool dbconn_prepare_rows(struct dbconn *c, const char *sql, size_t len, const bool *is_bytes, size_t ncolumns)
{
    struct bound *b = &c->bound;

    if (c->mysql == NULL || b->refused)
        return false;
    if (b->stmt != NULL && b->sql.len == len && memcmp(b->sql.data, sql, len) == 0)
        return true;
    if (b->stmt != NULL)
        mysql_stmt_close(b->stmt);
    b->stmt = NULL;
    forget_bound(b);
    b->stmt = mysql_stmt_init(c->mysql);
    if (b->stmt == NULL || !takes_rows(c) || mysql_stmt_prepare(b->stmt, sql, len) != 0 ||
        mysql_stmt_param_count(b->stmt) != ncolumns) {
        forget_bound(b);
        b->refused = true; /* too many statements, say */
        return false;
    }
    buf_add(&b->sql, sql, len);
    b->ncolumns = ncolumns;
    b->binds = mem_zalloc(ncolumns, sizeof *b->binds);
    for (size_t i = 0; i < ncolumns; i++)
        b->binds[i].buffer_type = is_bytes[i] ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
    return true;
}

size_t dbconn_params_bytes(const struct db_param *params, size_t count)
{
    size_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += params[i].len + 10; /* with what tells its length */
    return bytes;
}

/* Row after row to column after column. */
static void turn_params(struct bound *b, const struct db_param *params, size_t nrows)
{
    static char nothing[1];

    if (nrows > b->rows_cap) {
        b->rows_cap = 2 * nrows;
        b->data = mem_realloc(b->data, b->rows_cap * b->ncolumns * sizeof *b->data);
        b->len = mem_realloc(b->len, b->rows_cap * b->ncolumns * sizeof *b->len);
        b->indicator = mem_realloc(b->indicator, b->rows_cap * b->ncolumns);
    }
    for (size_t i = 0; i < b->ncolumns; i++) {
        char **data = b->data + i * b->rows_cap;
        unsigned long *len = b->len + i * b->rows_cap;
        char *indicator = b->indicator + i * b->rows_cap;

        for (size_t row = 0; row < nrows; row++) {
            const struct db_param *p = &params[row * b->ncolumns + i];

            data[row] = p->data != NULL ? (char *)p->data : nothing;
            len[row] = p->len;
            indicator[row] = p->data != NULL ? STMT_INDICATOR_NONE : STMT_INDICATOR_NULL;
        }
        b->binds[i].buffer = data;
        b->binds[i].length = len;
        b->binds[i].u.indicator = indicator;
    }
}

/* As send_query(): the library would wait for the answer itself. */
static bool send_bound(struct dbconn *c, struct err *err)
{
    const struct bound *b = &c->bound;
    my_bool on = 1, off = 0;

    may_break(c, FAULT_BEFORE, b->sql.data, b->sql.len);
    mysql_optionsv(c->mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &on);
    bool sent = mysql_stmt_execute(b->stmt) == 0;

    mysql_optionsv(c->mysql, MARIADB_OPT_SKIP_READ_RESPONSE, &off);
    if (!sent)
        return dbconn_fail(c, err);
    may_break(c, FAULT_SENT, b->sql.data, b->sql.len);
    return !mysql_read_query_result(c->mysql) || dbconn_fail(c, err);
}

bool dbconn_run_rows(struct dbconn *c, const struct db_param *params, size_t nrows, struct err *err)
{
    struct bound *b = &c->bound;
    unsigned count = (unsigned)nrows;

    c->nrows = 0;
    c->warned = false;
    c->error_name[0] = '\0';
    assert(b->stmt != NULL && nrows > 0);
    if (!dbconn_is_current(c, err))
        return false;
    turn_params(b, params, nrows);
    if (mysql_stmt_attr_set(b->stmt, STMT_ATTR_ARRAY_SIZE, &count) != 0 ||
        mysql_stmt_bind_param(b->stmt, b->binds) != 0)
        return err_set(err, ERR_RETRY, 0, "the client library takes no rows");
    if (!send_bound(c, err)) {
        if (err != NULL)
            err->index = 0;
        return false;
    }
    note_rows(c, mysql_affected_rows(c->mysql));
    c->warned = mysql_warning_count(c->mysql) > 0;
    may_break(c, FAULT_AFTER, b->sql.data, b->sql.len);
    return true;
}

/* ---- Results ----
 *
 * A server may answer a SELECT with no result set, or one of too few columns: that is
 * no row, or NULL, to those who read it.
 */

size_t db_result_rows(const struct db_result *r) { return r != NULL ? mysql_num_rows(r->res) : 0; }

size_t db_result_columns(const struct db_result *r) { return r != NULL ? r->ncolumns : 0; }

bool db_result_next(struct db_result *r)
{
    if (r == NULL)
        return false;
    r->row = mysql_fetch_row(r->res);
    r->lengths = r->row != NULL ? mysql_fetch_lengths(r->res) : NULL;
    return r->row != NULL;
}

const char *db_result_get(const struct db_result *r, size_t column, size_t *ret_len)
{
    assert(r != NULL && r->row != NULL);
    const char *text = column < r->ncolumns ? r->row[column] : NULL;

    if (ret_len != NULL)
        *ret_len = text != NULL ? r->lengths[column] : 0;
    return text;
}

const char *db_result_text(const struct db_result *r, size_t column)
{
    const char *text = db_result_get(r, column, NULL);

    return text != NULL ? text : "";
}

void db_result_free(struct db_result *r)
{
    if (r == NULL)
        return;
    mysql_free_result(r->res);
    free(r);
}
