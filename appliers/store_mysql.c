/*
 * store_mysql.c - one side of a link on a real server.
 *
 * Round trips cost more than anything else here, so a transaction is two of
 * them, or three: "START TRANSACTION; SELECT ... FOR UPDATE", all writes in one packet of many
 * statements, COMMIT. Packets are cut at about a MiB, and below what the server
 * takes.
 *
 * Where the COMMIT stands. How many rows a statement has matched, and whether the server had
 * something to say, is looked at before anything is committed. Where the statements about rows are few, a guard
 * behind each of them does it, and the COMMIT goes with them:
 *
 *   UPDATE ...; SET @twinlog=IF(ROW_COUNT()=1 AND @@warning_count=0,0,EXP(1000)); COMMIT
 *
 * EXP(1000) is out of range, and a packet stops at its first error: so the COMMIT is not run, the transaction
 * is still open and as it was behind the statement, and the rest is done the careful way. (A DO does not do: MariaDB
 * says nothing of its errors and goes on. Seen on MariaDB 10.11 and 11.8, MySQL 9.7; ROW_COUNT() is of matched rows,
 * as our sessions ask for them.)
 *
 * A packet that is not answered may reach the server late, when somebody else has gone on already. What it will write
 * is not locked then but for the gaps of absent keys, which locks of others do not heed; so each transaction that locks rows locks the
 * checkpoint's row before them, in its first round trip. Whoever comes after a lost connection, to read the
 * checkpoint or to lock rows, waits there until the server has done with that packet or dropped it. Where nothing is to be
 * locked but by the writes themselves, that first round trip is theirs, and the COMMIT is sent alone, when they have been
 * answered.
 *
 * Locking. The keys are asked for by their UNIQUE index under REPEATABLE READ, which
 * locks a row that is there and the gap where one is not. A row is matched to its
 * key by bytes. Under a collation 'Bob' may find 'bob': what bytes do not
 * match is asked for again key by key, so that the answer says whose it is.
 *
 * Who is to blame. A packet stops at its first bad statement, and the number of
 * that statement leads to the row. Many rows stand together in one statement; when
 * that one is refused, InnoDB has undone it alone, so its rows are sent one by
 * one until the bad one shows. Under our locks no UPDATE or DELETE can miss its
 * row, and no INSERT can meet its own key; when one does, what we had read was
 * not what is there (a collation, a trigger): ERR_BUSY, start again.
 */
#include "appliers/store_mysql.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "appliers/sqlgen.h"
#include "cdc/base/fault.h"
#include "cdc/base/mem.h"
#include "cdc/db/tableinfo.h"

enum {
    LOCK_WAIT_S = 5,
    LIST_MAX = 500,   /* keys of one SELECT: see sqlgen.c */
    INSERT_MAX = 200, /* rows of one INSERT: the price of finding the bad one */
    UPDATE_MAX = 100, /* likewise; a row looks for its place in a list that long */
    DELETE_MAX = 200,
    BOUND_MIN = 50,   /* rows of an INSERT that is worth a round trip of its own, */
    BOUND_MAX = 2000, /* and that is sent at most: where it is refused, as text, as above */
    BOUND_BYTES = 1 << 19,
    GUARDED_MAX = 4,            /* statements about rows that a COMMIT goes with: a guard costs some 10 us */
    PACKET_BYTES = 1 << 20,     /* about */
    PURGE_CONFLICTS_EVERY = 64, /* ids */
    RANGE_BYTES = 4 << 20,      /* of rows in one range, about */
    PACKET_MARGIN = 1 << 10,    /* what the server's limit counts beside our text */

    ER_DUP_ENTRY = 1062,
    ER_TRUNCATED = 1265,
    ER_BAD_DB = 1049,
    ER_BAD_FIELD = 1054,
    ER_NO_SUCH_TABLE = 1146,
    ER_KEY_DOES_NOT_EXIST = 1176,
    ER_DATA_OUT_OF_RANGE = 1690,
};

/* One statement of the packet that is being built. */
struct statement {
    enum { CONTROL, INSERT, UPDATE, DELETE, GUARD, COMMIT } what;
    size_t first, count; /* rows of the write, in the order in which they are written; none for the others */
    uint64_t shape;      /* of UPDATEs */
    bool missed;         /* matched fewer rows than it is about */
    size_t begin;        /* in the packet's text */
};

/* Where a row of the write stands in it, and with which others it may share a statement. */
struct place {
    enum { DELETED, UPDATED, INSERTED } kind;
    bool alone;
    uint64_t shape; /* of updates */
    size_t index;
};

struct store_mysql {
    struct store base;
    struct dbconn *conn;
    char *state_db;
    bool in_transaction;
    bool begins; /* what begins it goes with its first write */
    bool fenced; /* that transaction has locked the checkpoint's row, whatever becomes of what it is sent */
    bool is_lane;
    bool outgrown; /* a row did not fit: the next session may have another limit */
    uint32_t lock_wait_s;
    bool warned;    /* a statement of the write under way had warnings */
    bool guarded;   /* its statements about rows have guards, and the COMMIT goes with them */
    bool unguarded; /* a guard has stopped it: the rest is done without */
    bool can_bind;  /* inserted values may go beside the text of their statement */
    size_t text_to; /* but not those of rows before this one */
    struct db_param *params;
    size_t params_cap;

    struct row_write *rows; /* of the write under way, in the order in which they are written */
    struct place *places;   /* theirs */
    size_t nrows, rows_cap;

    struct buf packet; /* row values: never logged */
    struct statement *statements;
    size_t nstatements, statements_cap;
};

static struct store_mysql *self_of(const struct store *s)
{
    return (struct store_mysql *)s; /* base is its first member */
}

/* ---- Connection ---- */

void store_mysql_disconnect(struct store *s)
{
    struct store_mysql *m = self_of(s);

    dbconn_close(m->conn);
    m->in_transaction = m->begins = m->outgrown = false;
}

static bool control_failed(struct store_mysql *m, struct err *err);

/* Under REPEATABLE READ a page that is split passes record locks on to its neighbours as locks of gaps, and lanes that
 * insert side by side would stand in each other's way. And two lanes whose rows are not there yet would lock one
 * gap, so that neither could insert its own. */
static bool begin_lane(struct store_mysql *m, struct err *err)
{
    buf_clear(&m->packet);
    buf_adds(&m->packet, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    if (m->base.lane > 0) {
        buf_addc(&m->packet, ';');
        sqlgen_init_lane(m->state_db, m->base.link, m->base.side, m->base.lane, &m->packet);
    }
    return dbconn_query(m->conn, m->packet.data, m->packet.len, SIZE_MAX, NULL, err) ||
           control_failed(m, err);
}

bool store_mysql_connect(struct store *s, struct err *err)
{
    struct store_mysql *m = self_of(s);
    uint64_t before = dbconn_id(m->conn);
    bool was_open = dbconn_is_open(m->conn);

    if (!dbconn_open(m->conn, m->lock_wait_s, err))
        return false;
    bool is_new = !was_open || dbconn_id(m->conn) != before;

    if (!m->is_lane || !is_new || begin_lane(m, err))
        return true;
    store_mysql_disconnect(s);
    return false;
}

bool store_mysql_is_current(const struct store *s, struct err *err)
{
    return dbconn_is_current(((const struct store_mysql *)s)->conn, err);
}

bool store_mysql_is_connected(const struct store *s) { return dbconn_is_open(self_of(s)->conn); }

void store_mysql_rest(struct store *s, bool close)
{
    struct store_mysql *m = self_of(s);

    assert(!m->in_transaction);
    if (close && !dbconn_has_choice(m->conn))
        store_mysql_disconnect(s);
    else
        dbconn_rest(m->conn);
}

void store_mysql_shutdown(struct store *s) { dbconn_shutdown(self_of(s)->conn); }

/* After a failure that says nothing good about the connection, the next
 * transaction begins on a new one. The server rolls back what was open. */
static bool failed(struct store_mysql *m, struct err *err)
{
    if (err->kind == ERR_RETRY)
        store_mysql_disconnect(&m->base);
    return false;
}

bool store_mysql_ping(struct store *s, struct err *err)
{
    struct store_mysql *m = self_of(s);

    assert(!m->in_transaction);
    if (!store_mysql_connect(s, err))
        return false;
    return dbconn_ping(m->conn, err) || failed(m, err);
}

/* Our own tables: whatever is wrong with them, it is no row of the link. */
static bool control_failed(struct store_mysql *m, struct err *err)
{
    err->index = SIZE_MAX;
    if (err->code == ER_NO_SUCH_TABLE || err->code == ER_BAD_DB || err->code == ER_BAD_FIELD)
        err_prefix(err, "control tables on server %s, run `twinlog init`", dbconn_name(m->conn));
    else if (err->kind == ERR_RETRY || err->kind == ERR_BUSY)
        err_prefix(err, "server %s", dbconn_name(m->conn));
    else
        err_prefix(err, "control tables on server %s", dbconn_name(m->conn));
    if (err->kind == ERR_ROW)
        err->kind = ERR_RETRY;
    return failed(m, err);
}

/* The tracked table. That it has changed under us stops the direction, not the daemon. */
static bool table_failed(struct store_mysql *m, struct err *err)
{
    const struct table *t = m->base.link->table[m->base.side];

    if (err->code == ER_NO_SUCH_TABLE || err->code == ER_BAD_DB || err->code == ER_BAD_FIELD ||
        err->code == ER_KEY_DOES_NOT_EXIST)
        err->kind = ERR_HALT;
    if (err->kind != ERR_ROW)
        err->index = SIZE_MAX;
    err_prefix(err, "%s.%s on server %s", t->db, t->name, dbconn_name(m->conn));
    return failed(m, err);
}

static size_t packet_max(const struct store_mysql *m)
{
    size_t max = dbconn_max_packet(m->conn);

    return max > 2 * PACKET_MARGIN ? max - PACKET_MARGIN : PACKET_MARGIN;
}

/* ---- Lock ---- */

/* Key -> its index, by bytes. Open addressing; 0 is a free slot. */
struct key_index {
    const struct key *keys;
    size_t *slots; /* index + 1 */
    size_t nslots; /* a power of two */
};

static size_t *index_slot(const struct key_index *x, const struct key *k)
{
    for (size_t i = key_hash(k) & (x->nslots - 1);; i = (i + 1) & (x->nslots - 1))
        if (x->slots[i] == 0 || key_equal(&x->keys[x->slots[i] - 1], k))
            return &x->slots[i];
}

static void index_build(struct key_index *x, const struct key *keys, size_t nkeys, struct arena *arena)
{
    x->keys = keys;
    x->nslots = 4;
    while (x->nslots < 2 * nkeys)
        x->nslots *= 2;
    x->slots = arena_zalloc(arena, x->nslots * sizeof *x->slots);
    for (size_t i = 0; i < nkeys; i++)
        *index_slot(x, &keys[i]) = i + 1;
}

static struct value *read_row(const struct link *link, enum side side, const struct db_result *r,
                              struct arena *arena)
{
    struct value *row = arena_alloc(arena, link->nfields * sizeof *row);

    for (size_t i = 0; i < link->nfields; i++) {
        size_t len;
        const char *text = db_result_get(r, i, &len);

        sqlgen_value(&link->fields[i], side, text, len, arena, &row[i]);
    }
    return row;
}

/* The first two statements of a transaction that locks rows, or inserts them. */
static void add_begin(struct store_mysql *m)
{
    buf_adds(&m->packet, "START TRANSACTION;");
    sqlgen_lock_checkpoint(m->state_db, m->base.link, m->base.side, m->base.lane, &m->packet);
    m->in_transaction = m->fenced = true; /* even if it fails: it may have begun */
    m->begins = false;
}

static bool select_keys(struct store_mysql *m, const struct key *keys, size_t nkeys, bool lock,
                        struct db_result **ret_result, struct err *err)
{
    size_t statement = 0;

    buf_clear(&m->packet);
    if (lock && (!m->in_transaction || m->begins)) {
        add_begin(m);
        buf_addc(&m->packet, ';');
        statement = 2;
    }
    if (!(lock ? sqlgen_lock : sqlgen_read)(m->base.link, m->base.side, keys, nkeys, &m->packet, err))
        return false;
    if (!dbconn_query(m->conn, m->packet.data, m->packet.len, statement, ret_result, err))
        return statement > 0 && err->index == 1 ? control_failed(m, err) : table_failed(m, err);
    return true;
}

/* Rows whose keys are, byte by byte, among those asked for. Counts the others. */
static bool read_some(struct store_mysql *m, const struct key_index *index, const struct key *keys,
                      size_t nkeys, bool lock, const struct value **ret_rows, size_t *unmatched,
                      struct arena *arena, struct err *err)
{
    const struct link *link = m->base.link;
    struct db_result *r = NULL;

    if (!select_keys(m, keys, nkeys, lock, &r, err))
        return false;
    while (db_result_next(r)) {
        const struct value *row = read_row(link, m->base.side, r, arena);
        struct key k;
        size_t slot = key_of(link, row, arena, &k) ? *index_slot(index, &k) : 0;

        if (slot > 0)
            ret_rows[slot - 1] = row;
        else
            ++*unmatched;
    }
    db_result_free(r);
    return true;
}

/* One key alone: its row, whatever its bytes, unless these are another key's. */
static bool read_one(struct store_mysql *m, const struct key_index *index, const struct key *key, bool lock,
                     const struct value **ret_row, struct arena *arena, struct err *err)
{
    const struct link *link = m->base.link;
    struct db_result *r = NULL;

    if (!select_keys(m, key, 1, lock, &r, err))
        return false;
    if (db_result_next(r)) {
        const struct value *row = read_row(link, m->base.side, r, arena);
        struct key k;

        if (!key_of(link, row, arena, &k) || *index_slot(index, &k) == 0)
            *ret_row = row;
    }
    db_result_free(r);
    return true;
}

/* How many keys go into the next SELECT. */
static size_t count_keys(const struct key *keys, size_t nkeys)
{
    size_t n = 0, bytes = 0;

    while (n < nkeys && n < LIST_MAX && (n == 0 || bytes + 2 * keys[n].len < PACKET_BYTES / 4))
        bytes += 2 * keys[n++].len; /* bytes in hex, or all of it quotes */
    return n;
}

static bool begin(struct store_mysql *m, struct err *err)
{
    buf_clear(&m->packet);
    add_begin(m);
    if (!dbconn_query(m->conn, m->packet.data, m->packet.len, SIZE_MAX, NULL, err))
        return control_failed(m, err);
    return true;
}

static bool read_keys(struct store_mysql *m, const struct key *keys, size_t nkeys, bool lock,
                      const struct value **ret_rows, struct arena *arena, struct err *err)
{
    struct key_index index;
    size_t unmatched = 0;

    index_build(&index, keys, nkeys, arena);
    for (size_t i = 0; i < nkeys; i++)
        ret_rows[i] = NULL;
    for (size_t done = 0; done < nkeys;) {
        size_t n = count_keys(keys + done, nkeys - done);

        if (!read_some(m, &index, keys + done, n, lock, ret_rows, &unmatched, arena, err)) {
            if (err->kind == ERR_ROW && err->index != SIZE_MAX)
                err->index += done;
            return false;
        }
        done += n;
    }
    for (size_t i = 0; i < nkeys && unmatched > 0; i++)
        if (ret_rows[i] == NULL && !read_one(m, &index, &keys[i], lock, &ret_rows[i], arena, err))
            return false;
    return true;
}

static bool op_lock(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                    struct arena *arena, struct err *err)
{
    struct store_mysql *m = self_of(s);

    if (m->is_lane && !dbconn_is_open(m->conn))
        return err_set(err, ERR_RETRY, 0, "server %s: a lane has lost its connection", dbconn_name(m->conn));
    if (!m->in_transaction && m->outgrown && !m->is_lane)
        store_mysql_disconnect(s);
    if (!m->in_transaction && !store_mysql_connect(s, err))
        return false;
    if (nkeys == 0) {
        m->begins = m->begins || !m->in_transaction;
        m->in_transaction = true;
        return true;
    }
    return read_keys(m, keys, nkeys, true, ret_rows, arena, err);
}

static bool op_read(struct store *s, const struct key *keys, size_t nkeys, const struct value **ret_rows,
                    struct arena *arena, struct err *err)
{
    struct store_mysql *m = self_of(s);

    if (!m->in_transaction && !store_mysql_connect(s, err))
        return false;
    return read_keys(m, keys, nkeys, false, ret_rows, arena, err);
}

struct range_reader {
    const struct link *link;
    enum side side;
    struct arena *arena;
    size_t began;    /* bytes of the arena */
    bool unreadable; /* a key: bytes that are no text of their character set */
    struct store_rows rows;
};

static bool take_row(void *arg, const struct db_result *r)
{
    struct range_reader *x = arg;
    struct store_rows *rows = &x->rows;

    rows->rows[rows->count] = read_row(x->link, x->side, r, x->arena);
    x->unreadable = !key_of(x->link, rows->rows[rows->count], x->arena, &rows->keys[rows->count]);
    if (x->unreadable)
        return false;
    rows->count++;
    rows->more = x->arena->bytes - x->began > RANGE_BYTES && rows->count > 0;
    return !rows->more;
}

static bool op_range(struct store *s, const struct key_range *range, size_t limit,
                     struct store_rows *ret_rows, struct arena *arena, struct err *err)
{
    struct store_mysql *m = self_of(s);
    struct range_reader x = {.link = s->link, .side = s->side, .arena = arena};

    assert(!m->in_transaction);
    if (!store_mysql_connect(s, err))
        return false;
    buf_clear(&m->packet);
    if (!sqlgen_range(s->link, s->side, range, limit, &m->packet, err))
        return false;
    x.rows.keys = arena_alloc(arena, (limit + 1) * sizeof *x.rows.keys);
    x.rows.rows = arena_alloc(arena, (limit + 1) * sizeof *x.rows.rows);
    x.began = arena->bytes;
    if (!dbconn_query_rows(m->conn, m->packet.data, m->packet.len, take_row, &x, err))
        return table_failed(m, err);
    if (x.unreadable)
        return err_set(err, ERR_CONFIG, 0,
                       "%s.%s on server %s: a row's key is no text of its character set; mend that row",
                       s->link->table[s->side]->db, s->link->table[s->side]->name, dbconn_name(m->conn));
    x.rows.more = x.rows.more || x.rows.count == limit;
    *ret_rows = x.rows;
    return true;
}

/* ---- Write ---- */

static struct statement *add_statement(struct store_mysql *m, int what, size_t first, size_t count)
{
    if (m->nstatements == m->statements_cap) {
        m->statements_cap = m->statements_cap > 0 ? 2 * m->statements_cap : 64;
        m->statements = mem_realloc(m->statements, m->statements_cap * sizeof *m->statements);
    }
    if (m->nstatements > 0)
        buf_addc(&m->packet, ';');
    struct statement *st = &m->statements[m->nstatements++];

    st->what = what;
    st->first = first;
    st->count = count;
    st->shape = 0;
    st->missed = false;
    st->begin = m->packet.len;
    return st;
}

/* The last one goes again. */
static void drop_statement(struct store_mysql *m)
{
    size_t begin = m->statements[--m->nstatements].begin;

    m->packet.len = m->nstatements > 0 ? begin - 1 : begin; /* with the semicolon */
}

static void clear_packet(struct store_mysql *m)
{
    buf_clear(&m->packet);
    m->nstatements = 0;
}

static bool lost_our_row(struct store_mysql *m, struct err *err)
{
    const struct table *t = m->base.link->table[m->base.side];

    err_set(err, ERR_BUSY, 0, "%s.%s on server %s: a locked row is not as it was read", t->db, t->name,
            dbconn_name(m->conn));
    err->index = SIZE_MAX;
    return false;
}

static bool row_text(struct store_mysql *m, const struct row_write *rows, size_t nrows, uint64_t shape,
                     struct buf *out, struct err *err)
{
    const struct link *link = m->base.link;
    enum side side = m->base.side;

    if (rows->before == NULL)
        return sqlgen_insert(link, side, rows, nrows, out, err);
    if (rows->after == NULL && nrows > 1)
        return sqlgen_deletes(link, side, dbconn_kind(m->conn), rows, nrows, out, err);
    if (rows->after == NULL)
        return sqlgen_delete(link, side, rows, out, err);
    if (nrows > 1)
        return sqlgen_updates(link, side, rows, nrows, shape, out, err);
    return sqlgen_update(link, side, rows, out, err);
}

/* An INSERT that meets the key under whose gap lock it stands. */
static bool met_own_key(const struct store_mysql *m, const struct err *err)
{
    const char *name = dbconn_error_name(m->conn), *dot = strrchr(name, '.'); /* MySQL: "table.key" */

    return err->code == ER_DUP_ENTRY &&
           strcasecmp(dot != NULL ? dot + 1 : name, m->base.link->index[m->base.side]->name) == 0;
}

/* A statement about one row was refused. */
static bool row_failed(struct store_mysql *m, size_t i, struct err *err)
{
    if (err->kind == ERR_ROW && m->rows[i].before == NULL && met_own_key(m, err)) {
        lost_our_row(m, err);
        err->index = m->places[i].index;
        return false;
    }
    err->index = m->places[i].index;
    return table_failed(m, err);
}

/* The rows of a statement that was refused as a whole, or missed some of them, one by one. */
static bool write_each(struct store_mysql *m, const struct statement *st, struct err *err)
{
    struct buf sql = BUF_INIT;
    bool ok = true;

    for (size_t i = st->first; i < st->first + st->count && ok; i++) {
        buf_clear(&sql);
        ok = row_text(m, &m->rows[i], 1, 0, &sql, err) &&
             dbconn_query(m->conn, sql.data, sql.len, SIZE_MAX, NULL, err);
        m->warned = m->warned || dbconn_warned(m->conn);
        if (!ok)
            row_failed(m, i, err);
        else if (dbconn_statement_rows(m->conn, 0) != 1)
            ok = lost_our_row(m, err);
    }
    buf_done(&sql);
    if (ok)
        err_clear(err);
    return ok;
}

static bool is_of_rows(const struct statement *st) { return st->count > 0; }

/* Did the first n statements of the last packet, sent from statement number `from` on, find their rows? Where an UPDATE
 * of many did not, some stand under a key of other bytes than its own; to write a row once more is no harm. */
static bool check_counts(struct store_mysql *m, size_t from, size_t n, struct err *err)
{
    bool ok = true;

    for (size_t i = 0; i < n; i++) {
        struct statement *st = &m->statements[from + i];
        uint64_t rows = dbconn_statement_rows(m->conn, i);

        st->missed = is_of_rows(st) && rows != st->count;
        if (st->missed && (st->what != UPDATE || st->count == 1 || rows > st->count))
            return lost_our_row(m, err);
    }
    for (size_t i = 0; i < n && ok; i++)
        ok = !m->statements[from + i].missed || write_each(m, &m->statements[from + i], err);
    return ok;
}

/* How many statements go with the next packet, from number `from` on: all, but for a test, and behind a guard. */
static size_t count_to_send(const struct store_mysql *m, size_t from)
{
    return m->unguarded || fault_splits_packets() ? 1 : m->nstatements - from;
}

/* The rest is done without. What the guard did not like may be a row that was missed, or a warning. */
static bool guard_failed(struct store_mysql *m, size_t from, size_t good, struct err *err)
{
    if (err->code != ER_DATA_OUT_OF_RANGE)
        return control_failed(m, err);
    err_clear(err);
    m->unguarded = true;
    return check_counts(m, from, good, err);
}

static bool commit_failed(struct store_mysql *m, struct err *err)
{
    err->kind = ERR_RETRY; /* whatever it says, only the checkpoint knows */
    err->index = SIZE_MAX;
    err_prefix(err, "commit on server %s", dbconn_name(m->conn));
    return failed(m, err);
}

/* Statement number `bad` was refused, those from number `from` on before it were not. True: what is behind it follows. */
static bool statement_failed(struct store_mysql *m, size_t from, size_t bad, struct err *err)
{
    const struct statement *st = &m->statements[bad];

    switch (st->what) {
    case CONTROL: return control_failed(m, err);
    case GUARD: return guard_failed(m, from, bad - from, err);
    case COMMIT: return commit_failed(m, err);
    case INSERT:
    case UPDATE:
    case DELETE: break;
    }
    if (st->count == 1 || err->kind != ERR_ROW)
        return row_failed(m, st->first, err);
    return check_counts(m, from, bad - from, err) && write_each(m, st, err);
}

/* Sends the packet. A statement of many rows that was refused is taken apart; if each of its rows
 * is accepted alone, what stands behind it follows. */
static bool send_packet(struct store_mysql *m, struct err *err)
{
    size_t from = 0;
    bool ok = true;

    while (ok && from < m->nstatements) {
        if (m->unguarded && m->statements[from].what >= GUARD) {
            from++;
            continue;
        }
        size_t begin_at = m->statements[from].begin, n = count_to_send(m, from);
        size_t end_at = from + n < m->nstatements ? m->statements[from + n].begin - 1 : m->packet.len;

        bool sent = dbconn_query(m->conn, m->packet.data + begin_at, end_at - begin_at, SIZE_MAX, NULL, err);

        m->warned = m->warned || dbconn_warned(m->conn);
        if (sent) {
            m->in_transaction = m->statements[from + n - 1].what != COMMIT;
            ok = !m->in_transaction || check_counts(m, from, n, err); /* else the guards have done it */
            from += n;
            continue;
        }
        size_t good = err->index; /* of those that were sent now */

        if (good >= n) { /* more answers than questions */
            err->kind = ERR_RETRY;
            ok = table_failed(m, err);
            break;
        }
        ok = statement_failed(m, from, from + good, err);
        from += good + 1;
    }
    clear_packet(m);
    return ok;
}

static bool send_if_full(struct store_mysql *m, struct err *err)
{
    size_t limit = packet_max(m) / 2 < PACKET_BYTES ? packet_max(m) / 2 : PACKET_BYTES;

    return m->packet.len < limit || send_packet(m, err);
}

/* Now and then the oldest go. */
static void add_conflicts(struct store_mysql *m, const struct store_write *w)
{
    const struct link *link = m->base.link;
    uint64_t first = w->conflicts[0].id, last = w->conflicts[w->nconflicts - 1].id;

    add_statement(m, CONTROL, 0, 0);
    sqlgen_conflicts(m->state_db, link, m->base.side, w->conflicts, w->nconflicts, &m->packet);
    if (first / PURGE_CONFLICTS_EVERY == last / PURGE_CONFLICTS_EVERY && first % PURGE_CONFLICTS_EVERY != 0)
        return;
    add_statement(m, CONTROL, 0, 0);
    sqlgen_purge_conflicts(m->state_db, link, m->base.side,
                           last > link->keep_conflicts ? last - link->keep_conflicts : 0, &m->packet);
}

static void add_control(struct store_mysql *m, const struct store_write *w)
{
    const struct link *link = m->base.link;
    enum side side = m->base.side;

    /* What tells an echo comes first (rule 2). */
    if (w->checkpoint != NULL) {
        add_statement(m, CONTROL, 0, 0);
        if (w->nlanes > 0)
            sqlgen_lane(m->state_db, link, side, m->base.lane, w->nlanes, w->checkpoint, &m->packet);
        else
            sqlgen_checkpoint(m->state_db, link, side, w->checkpoint, &m->packet);
    }
    if (w->touch) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_touch(m->state_db, link, side, &m->packet);
    }
    if (w->nmarkers > 0) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_markers(m->state_db, link, side, w->markers, w->nmarkers, &m->packet);
    }
    if (w->ndrop_markers > 0) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_drop_markers(m->state_db, link, side, w->drop_markers, w->ndrop_markers, &m->packet);
    }
    if (w->purge_markers > 0) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_purge_markers(m->state_db, link, side, w->purge_markers, &m->packet);
    }
    for (size_t i = 0; i < w->nquarantine; i++) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_quarantine(m->state_db, link, side, &w->quarantine[i], &m->packet);
    }
    if (w->nrelease > 0) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_release(m->state_db, link, side, w->release, w->nrelease, &m->packet);
    }
    if (w->nconflicts > 0 && link->keep_conflicts > 0)
        add_conflicts(m, w);
    if (w->resync != NULL) {
        add_statement(m, CONTROL, 0, 0);
        sqlgen_resync(m->state_db, link, w->resync, &m->packet);
    }
}

/* The COMMIT comes later, in a packet of its own. */
static void add_begin_to_packet(struct store_mysql *m)
{
    add_statement(m, CONTROL, 0, 0);
    buf_adds(&m->packet, "START TRANSACTION");
    add_statement(m, CONTROL, 0, 0);
    sqlgen_lock_checkpoint(m->state_db, m->base.link, m->base.side, m->base.lane, &m->packet);
    m->begins = false;
    m->fenced = true;
}

static size_t row_bytes(const struct link *link, const struct value *row)
{
    size_t n = 0;

    for (size_t i = 0; i < link->nfields; i++)
        n += row[i].len;
    return n;
}

/* How many of the rows from number i on go into one statement: neighbours that may, and not too much of them. */
static size_t count_rows(const struct store_mysql *m, size_t i)
{
    const struct row_write *rows = &m->rows[i];
    size_t n = 1, bytes = 0,
           most = rows->before == NULL  ? INSERT_MAX
                  : rows->after == NULL ? DELETE_MAX
                                        : UPDATE_MAX;

    if (m->places[i].alone)
        return 1;
    for (; n < m->nrows - i && n < most; n++) {
        const struct place *next = &m->places[i + n];

        if (next->alone || next->kind != m->places[i].kind || next->shape != m->places[i].shape)
            break;
        bytes += row_bytes(m->base.link, rows[n].after != NULL ? rows[n].after : rows[n].before);
        if (bytes > PACKET_BYTES / 8)
            break;
    }
    return n;
}

/* Behind the last statement, where the COMMIT is to go with the writes. */
static void add_guard(struct store_mysql *m)
{
    size_t rows = m->statements[m->nstatements - 1].count;

    if (!m->guarded)
        return;
    add_statement(m, GUARD, 0, 0);
    buf_addf(&m->packet, "SET @twinlog=IF(ROW_COUNT()=%zu AND @@warning_count=0,0,EXP(1000))", rows);
}

/* Appends the statement of the `count` rows from number `first` on, in a packet of its own if it does not
 * fit behind the others. */
static bool add_rows(struct store_mysql *m, size_t first, size_t count, struct err *err)
{
    const struct row_write *rows = &m->rows[first];
    struct statement *st = add_statement(m,
                                         rows->before == NULL  ? INSERT
                                         : rows->after == NULL ? DELETE
                                                               : UPDATE,
                                         first, count);

    st->shape = m->places[first].shape;
    if (!row_text(m, rows, count, st->shape, &m->packet, err)) {
        if (err->kind == ERR_ROW)
            err->index = m->places[first + err->index].index;
        return table_failed(m, err);
    }
    size_t begin_at = st->begin, len = m->packet.len - begin_at;

    if (len > packet_max(m) && count > 1) { /* literals may take twice the bytes of their values, and more */
        drop_statement(m);
        return add_rows(m, first, count / 2, err) && add_rows(m, first + count / 2, count - count / 2, err);
    }
    if (len > packet_max(m)) {
        m->outgrown = true;
        err_set(err, ERR_ROW, 0, "the row is longer than the server's max_allowed_packet of %zu bytes",
                dbconn_max_packet(m->conn));
        err->index = m->places[first].index;
        return table_failed(m, err);
    }
    if (m->packet.len <= packet_max(m)) {
        add_guard(m);
        return true;
    }

    /* The others first. */
    struct statement last = *st;
    char *text = mem_alloc(len);

    memcpy(text, m->packet.data + begin_at, len);
    drop_statement(m);
    bool ok = send_packet(m, err);

    if (ok) {
        add_statement(m, last.what, last.first, last.count)->shape = last.shape;
        buf_add(&m->packet, text, len);
        add_guard(m);
    }
    free(text);
    return ok;
}

/* ---- INSERTs whose values go beside them ----
 *
 * A server that need not read and parse the values of each row, nor write the text of the statement into its log, has half the
 * work: 5.4 instead of 9.1 us a row on MariaDB 10.11, at 200 rows and more a statement. It is a packet of its own.
 */

/* How many of the rows from number i on go into one such statement; 0: they go as text. */
static size_t count_bound(const struct store_mysql *m, size_t i)
{
    size_t limit = packet_max(m) / 2 < BOUND_BYTES ? packet_max(m) / 2 : BOUND_BYTES, n = 0, bytes = 0;

    if (!m->can_bind || i < m->text_to)
        return 0;
    for (; n < m->nrows - i && n < BOUND_MAX && m->places[i + n].kind == INSERTED; n++) {
        bytes += row_bytes(m->base.link, m->rows[i + n].after);
        if (bytes > limit)
            break;
    }
    return n >= BOUND_MIN ? n : 0;
}

/* Inserts come last, so it is enough to look at the last rows. */
static bool has_bound(const struct store_mysql *m)
{
    return m->nrows >= BOUND_MIN && count_bound(m, m->nrows - BOUND_MIN) > 0;
}

static bool bind_rows(struct store_mysql *m, size_t first, size_t count, struct arena *arena, struct err *err)
{
    const struct link *link = m->base.link;

    if (count * link->nfields > m->params_cap) {
        m->params_cap = 2 * count * link->nfields;
        m->params = mem_realloc(m->params, m->params_cap * sizeof *m->params);
    }
    if (sqlgen_bind(link, m->base.side, &m->rows[first], count, m->params, arena, err))
        return true;
    if (err->kind == ERR_ROW)
        err->index = m->places[first + err->index].index;
    return table_failed(m, err);
}

static bool prepare_insert(struct store_mysql *m)
{
    const struct link *link = m->base.link;
    struct buf sql = BUF_INIT;
    bool *is_bytes = mem_alloc((link->nfields + 1) * sizeof *is_bytes);

    for (size_t i = 0; i < link->nfields; i++)
        is_bytes[i] = sqlgen_is_bytes(&link->fields[i], m->base.side);
    sqlgen_insert_bound(link, m->base.side, &sql);
    bool ready = dbconn_prepare_rows(m->conn, sql.data, sql.len, is_bytes, link->nfields);

    free(is_bytes);
    buf_done(&sql);
    return ready;
}

/* Those that are in the packet go first. Where the statement cannot be had, or is refused as a whole, text_to says that these
 * rows are still to be written. */
static bool write_bound(struct store_mysql *m, size_t first, size_t count, struct err *err)
{
    const size_t nparams = count * m->base.link->nfields;
    struct arena arena;

    if (!send_packet(m, err))
        return false;
    if (!prepare_insert(m)) {
        m->text_to = first + count;
        return true;
    }
    arena_init(&arena);
    bool ok = bind_rows(m, first, count, &arena, err);
    bool fits = ok && dbconn_params_bytes(m->params, nparams) < packet_max(m);

    if (!fits)
        m->text_to = first + count;
    if (fits && dbconn_run_rows(m->conn, m->params, count, err)) {
        m->warned = m->warned || dbconn_warned(m->conn);
        ok = dbconn_statement_rows(m->conn, 0) == count || lost_our_row(m, err);
    } else if (fits && err->kind == ERR_ROW) {
        err_clear(err);
        m->text_to = first + count;
    } else if (fits) {
        ok = row_failed(m, first, err);
    }
    arena_done(&arena);
    return ok;
}

/* The column of the row that the server stored as another value; NULL: none. */
static const struct column *altered_column(const struct store_mysql *m, const struct value *wanted,
                                           const struct value *stored)
{
    const struct link *link = m->base.link;

    for (size_t i = 0; i < link->nfields; i++)
        if (stored == NULL || !value_equal(&wanted[i], &stored[i]))
            return link->fields[stored != NULL ? i : link->key[0]].column[m->base.side];
    return NULL;
}

/* The server had something to say, and the statement stands: it may have rounded or cut a value, which a strict
 * mode allows for digits and spaces. column_holds() knows the columns as they were; an ALTER may have made them
 * narrower since. So the rows are looked at while they are not committed yet. (Of the digits of a second and of
 * a FLOAT a server says nothing.) The last write of a key counts. */
static bool check_stored(struct store_mysql *m, const struct store_write *w, struct err *err)
{
    struct arena arena;
    struct key_index index;
    bool ok = true;

    arena_init(&arena);
    struct key *keys = arena_alloc(&arena, w->nrows * sizeof *keys);
    const struct value **stored = arena_alloc(&arena, w->nrows * sizeof *stored);

    for (size_t i = 0; i < w->nrows; i++)
        keys[i] = w->rows[i].key;
    ok = read_keys(m, keys, w->nrows, true, stored, &arena, err);
    index_build(&index, keys, w->nrows, &arena);
    for (size_t i = 0; i < w->nrows && ok; i++) {
        if (w->rows[i].after == NULL || *index_slot(&index, &keys[i]) != i + 1)
            continue;
        const struct column *c = altered_column(m, w->rows[i].after, stored[i]);

        if (c == NULL)
            continue;
        err_set(err, ERR_ROW, ER_TRUNCATED, "column %s cannot hold the value: the server stores another one",
                c->name);
        err->index = i;
        ok = table_failed(m, err);
    }
    arena_done(&arena);
    return ok;
}

/* ---- The order of the rows ---- */

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->shape != y->shape)
        return x->shape < y->shape ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static struct place place_of(const struct store_mysql *m, const struct row_write *row, size_t index,
                             bool any_order)
{
    const struct link *link = m->base.link;
    enum side side = m->base.side;
    struct place p = {.kind = INSERTED, .index = index};

    if (row->before != NULL && row->after == NULL) {
        p.kind = DELETED;
        p.alone = !any_order || !sqlgen_may_join(link, side, dbconn_kind(m->conn), row);
    } else if (row->before != NULL) {
        p.kind = UPDATED;
        p.shape = any_order ? sqlgen_update_shape(link, side, row) : 0;
        p.alone = p.shape == 0;
    }
    return p;
}

/* What frees a UNIQUE value before what takes it, as far as that can be told: deletes, updates, inserts. */
static void arrange(struct store_mysql *m, const struct store_write *w)
{
    if (w->nrows > m->rows_cap) {
        m->rows_cap = 2 * w->nrows;
        m->rows = mem_realloc(m->rows, m->rows_cap * sizeof *m->rows);
        m->places = mem_realloc(m->places, m->rows_cap * sizeof *m->places);
    }
    m->nrows = w->nrows;
    for (size_t i = 0; i < w->nrows; i++)
        m->places[i] = place_of(m, &w->rows[i], i, w->any_order);
    if (w->any_order && w->nrows > 1)
        qsort(m->places, w->nrows, sizeof *m->places, compare_places);
    for (size_t i = 0; i < w->nrows; i++)
        m->rows[i] = w->rows[m->places[i].index];
}

/* Enough for a guard behind each of their statements? */
static bool are_few(const struct store_mysql *m)
{
    size_t statements = 0;

    for (size_t i = 0; i < m->nrows && statements <= GUARDED_MAX; statements++)
        i += count_rows(m, i);
    return statements <= GUARDED_MAX;
}

/* ---- The write, and the ends of a transaction ---- */

static void op_rollback(struct store *s)
{
    struct store_mysql *m = self_of(s);

    if (!m->in_transaction)
        return;
    m->in_transaction = false;
    if (m->begins) {
        m->begins = false; /* nothing was sent */
        return;
    }
    if (!dbconn_exec(m->conn, "ROLLBACK", NULL))
        store_mysql_disconnect(s);
}

static bool op_commit(struct store *s, struct err *err)
{
    struct store_mysql *m = self_of(s);

    assert(m->in_transaction);
    if (m->begins) {
        op_rollback(s); /* nothing was sent */
        return true;
    }
    if (!dbconn_exec(m->conn, "COMMIT", err))
        return commit_failed(m, err);
    m->in_transaction = false;
    return true;
}

static bool op_write(struct store *s, const struct store_write *w, struct err *err)
{
    struct store_mysql *m = self_of(s);

    assert(m->in_transaction);
    assert(w->checkpoint != NULL || w->touch || w->nmarkers > 0 || w->nrows == 0);
    m->warned = m->unguarded = false;
    clear_packet(m);
    arrange(m, w);
    m->text_to = 0;
    m->guarded = w->commit && (m->begins || m->fenced) && are_few(m) && !has_bound(m);
    if (m->begins && m->guarded &&
        !begin(m, err)) /* in a round trip of its own: the COMMIT will be in this one */
        return false;
    if (m->begins)
        add_begin_to_packet(m);
    add_control(m, w);
    for (size_t i = 0; i < m->nrows;) {
        size_t n = count_bound(m, i);

        if (n > 0 && !write_bound(m, i, n, err))
            return false;
        if (n > 0 && i >= m->text_to) {
            i += n;
            continue;
        }
        n = count_rows(m, i);
        if (!send_if_full(m, err) || !add_rows(m, i, n, err))
            return false;
        i += n;
    }
    if (m->guarded && !m->unguarded && !m->warned) {
        add_statement(m, COMMIT, 0, 0);
        buf_adds(&m->packet, "COMMIT");
    }
    if (!send_packet(m, err))
        return false;
    if (!m->in_transaction)
        return true; /* and the guards had nothing to say */
    return (!m->warned || w->nrows == 0 || check_stored(m, w, err)) && (!w->commit || op_commit(s, err));
}

/* ---- Load ---- */

static uint64_t number_of(const struct db_result *r, size_t column)
{
    const char *text = db_result_get(r, column, NULL);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static struct key key_from(const struct db_result *r, size_t column, struct arena *arena)
{
    size_t len;
    const char *bytes = db_result_get(r, column, &len);

    return (struct key){arena_copy(arena, bytes != NULL ? bytes : "", len), len};
}

/* Empty for NULL; in the arena. */
static const char *text_from(const struct db_result *r, size_t column, struct arena *arena)
{
    size_t len;
    const char *text = db_result_get(r, column, &len);

    return arena_copy(arena, text != NULL ? text : "", len);
}

/* Which of these labels it is; 0 for anything else. */
static size_t label_from(const struct db_result *r, size_t column, const char *const *labels, size_t count)
{
    const char *text = db_result_get(r, column, NULL);

    for (size_t i = 0; i < count; i++)
        if (text != NULL && strcmp(text, labels[i]) == 0)
            return i;
    return 0;
}

static enum side side_from(const struct db_result *r, size_t column)
{
    return label_from(r, column, (const char *const[]){"left", "right"}, 2) == 0 ? SIDE_LEFT : SIDE_RIGHT;
}

static int64_t signed_or_none(const struct db_result *r, size_t column)
{
    const char *text = db_result_get(r, column, NULL);

    return text != NULL ? strtoll(text, NULL, 10) : INT64_MIN;
}

static value_int version_or_none(const struct db_result *r, size_t column)
{
    size_t len;
    const char *text = db_result_get(r, column, &len);
    value_int ret;

    return text != NULL && value_to_int(&(struct value){text, (uint32_t)len, VALUE_SET}, &ret)
               ? ret
               : VALUE_INT_NONE;
}

/* The first five columns of a checkpoint, or a lane. */
static bool read_place(const struct db_result *r, struct pos *pos, uint64_t *ret_rows_done, struct err *err)
{
    const char *gtid = db_result_get(r, 0, NULL);
    size_t len;
    const char *file = db_result_get(r, 1, &len);

    if (!pos_parse_gtids(pos, gtid != NULL ? gtid : "", err))
        return false;
    if (file != NULL && len > 0)
        pos_set_file(pos, file, len, number_of(r, 2));
    pos_set_server(pos, db_result_get(r, 3, NULL));
    *ret_rows_done = number_of(r, 4);
    return true;
}

/* The statements in m->packet; the result of number `keep`. */
static bool query_control(struct store_mysql *m, size_t keep, struct db_result **ret_result, struct err *err)
{
    if (!dbconn_query(m->conn, m->packet.data, m->packet.len, keep, ret_result, err))
        return control_failed(m, err);
    return true;
}

static bool load_checkpoint(struct store_mysql *m, struct store_state *state, struct err *err)
{
    struct db_result *r = NULL;
    bool ok = true;

    buf_clear(&m->packet);
    buf_adds(&m->packet, "START TRANSACTION;");
    sqlgen_load_checkpoint(m->state_db, m->base.link, m->base.side, &m->packet);
    m->in_transaction = true;
    if (!query_control(m, 1, &r, err))
        return false;
    if (db_result_next(r)) {
        ok = read_place(r, &state->checkpoint.pos, &state->checkpoint.rows_done, err);
        state->checkpoint.marker = number_of(r, 5);
        state->checkpoint.batch = state->last_batch = number_of(r, 6);
        state->has_checkpoint = ok;
    }
    db_result_free(r);
    return ok || control_failed(m, err);
}

/* Behind the checkpoint. The rows of the lanes that are ahead of it say the same place: the end of one batch. */
static bool load_lanes(struct store_mysql *m, struct store_state *state, struct err *err)
{
    struct db_result *r = NULL;
    bool ok = true;

    buf_clear(&m->packet);
    sqlgen_load_lanes(m->state_db, m->base.link, m->base.side, &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    while (ok && db_result_next(r)) {
        uint64_t batch = number_of(r, 5), nlanes = number_of(r, 6), lane = number_of(r, 7);

        if (batch > state->last_batch)
            state->last_batch = batch;
        if (!state->has_checkpoint || batch != state->checkpoint.batch || nlanes == 0)
            continue;
        if (nlanes > LANES_MAX || lane >= nlanes) {
            ok = err_set(err, ERR_CONFIG, 0, "a row of table lane is lane %" PRIu64 " of %" PRIu64, lane,
                         nlanes);
            break;
        }
        state->ahead.nlanes = (size_t)nlanes;
        state->ahead.done |= UINT64_C(1) << lane;
        ok = read_place(r, &state->ahead.pos, &state->ahead.rows_done, err);
    }
    db_result_free(r);
    return ok || control_failed(m, err);
}

static bool load_markers(struct store_mysql *m, struct store_state *state, struct arena *arena,
                         struct err *err)
{
    struct db_result *r = NULL;

    buf_clear(&m->packet);
    sqlgen_load_markers(m->state_db, m->base.link, m->base.side, &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    state->markers = arena_alloc(arena, (db_result_rows(r) + 1) * sizeof *state->markers);
    while (db_result_next(r))
        state->markers[state->nmarkers++] = (struct marker){number_of(r, 0), key_from(r, 1, arena),
                                                            key_from(r, 2, arena)};
    db_result_free(r);
    return true;
}

static bool load_quarantine(struct store_mysql *m, struct store_state *state, struct arena *arena,
                            struct err *err)
{
    struct db_result *r = NULL;

    buf_clear(&m->packet);
    sqlgen_load_quarantine(m->state_db, m->base.link, m->base.side, &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    state->quarantined = arena_alloc(arena, (db_result_rows(r) + 1) * sizeof *state->quarantined);
    while (db_result_next(r))
        state->quarantined[state->nquarantined++] = (struct quarantine_entry){
            .key = key_from(r, 0, arena),
            .source = side_from(r, 1),
            .code = (int)number_of(r, 2),
            .why = text_from(r, 3, arena),
            .tries = (uint32_t)number_of(r, 4),
            .since = {(int64_t)number_of(r, 5)},
        };
    db_result_free(r);
    return true;
}

static bool load_last_conflict(struct store_mysql *m, struct store_state *state, struct err *err)
{
    struct db_result *r = NULL;

    buf_clear(&m->packet);
    sqlgen_last_conflict(m->state_db, m->base.link, m->base.side, &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    if (db_result_next(r))
        state->last_conflict = number_of(r, 0);
    db_result_free(r);
    return true;
}

static void read_resync(const struct db_result *r, struct resync_state *s, struct arena *arena)
{
    struct job *j = &s->job;

    j->id = number_of(r, 0);
    j->state = (enum job_state)label_from(r, 1, (const char *const[]){"running", "done", "failed"}, 3);
    j->cause = (enum job_cause)label_from(
        r, 2, (const char *const[]){"trigger", "first_start", "lost_position", "unlogged"}, 4);
    j->order.has_from = label_from(r, 3, (const char *const[]){"both", "left", "right"}, 3) > 0;
    j->order.from = side_from(r, 3);
    j->order.force = number_of(r, 4) != 0 && j->order.has_from;
    j->order.delete_missing = number_of(r, 5) != 0 && j->order.has_from;
    if (db_result_get(r, 6, NULL) != NULL)
        s->done_to = key_from(r, 6, arena);
    j->rows_scanned = number_of(r, 7);
    j->rows_written = number_of(r, 8);
    j->conflicts = number_of(r, 9);
    j->quarantined = number_of(r, 10);
    j->rows_expected = number_of(r, 11);
    snprintf(j->reason, sizeof j->reason, "%s", text_from(r, 12, arena));
    snprintf(j->error, sizeof j->error, "%s", text_from(r, 13, arena));
    snprintf(j->again, sizeof j->again, "%s", text_from(r, 14, arena));
    j->started_at.v = (int64_t)number_of(r, 15);
    j->ended_at.v = (int64_t)number_of(r, 16);
}

static bool load_resync(struct store_mysql *m, bool *ret_has, struct resync_state *ret_state,
                        struct arena *arena, struct err *err)
{
    struct db_result *r = NULL;

    *ret_has = false;
    if (m->base.side != SIDE_LEFT)
        return true;
    buf_clear(&m->packet);
    sqlgen_load_resync(m->state_db, m->base.link, &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    *ret_has = db_result_next(r);
    memset(ret_state, 0, sizeof *ret_state);
    if (*ret_has)
        read_resync(r, ret_state, arena);
    db_result_free(r);
    return true;
}

static bool op_load(struct store *s, struct store_state *ret_state, struct arena *arena, struct err *err)
{
    struct store_mysql *m = self_of(s);
    struct store_state state = {0};

    assert(!m->in_transaction);
    if (!store_mysql_connect(s, err))
        return false;
    if (!load_checkpoint(m, &state, err) || !load_lanes(m, &state, err) ||
        !load_markers(m, &state, arena, err) || !load_quarantine(m, &state, arena, err) ||
        !load_last_conflict(m, &state, err) ||
        !load_resync(m, &state.has_resync, &state.resync, arena, err)) {
        store_state_done(&state);
        return false;
    }
    *ret_state = state;
    return true;
}

static bool op_position(struct store *s, struct pos *ret_pos, struct err *err)
{
    struct store_mysql *m = self_of(s);

    if (!m->in_transaction && !store_mysql_connect(s, err))
        return false;
    return tableinfo_position(m->conn, ret_pos, err) || failed(m, err);
}

static bool op_log_end(struct store *s, struct pos *ret_pos, struct err *err)
{
    struct store_mysql *m = self_of(s);

    if (!m->in_transaction && !store_mysql_connect(s, err))
        return false;
    return tableinfo_log_end(m->conn, ret_pos, err) || failed(m, err);
}

/* ---- Beside the protocol ---- */

bool store_mysql_load_resync(struct store *s, bool *ret_has, struct resync_state *ret_state,
                             struct arena *arena, struct err *err)
{
    if (!store_mysql_connect(s, err))
        return false;
    return load_resync(self_of(s), ret_has, ret_state, arena, err);
}

bool store_mysql_load_conflicts(struct store *s, struct conflicts *to, struct err *err)
{
    static const char *const met[] = {"left_to_right", "right_to_left", "resync"};
    static const char *const rules[] = {"version", "updated_at", "authority", "delete_vs_update", "force"};
    struct store_mysql *m = self_of(s);
    struct db_result *r = NULL;
    struct arena arena;

    if (!store_mysql_connect(s, err))
        return false;
    buf_clear(&m->packet);
    sqlgen_load_conflicts(m->state_db, s->link, s->side, conflicts_keep(to), &m->packet);
    if (!query_control(m, 0, &r, err))
        return false;
    arena_init(&arena);
    struct conflict_record *records = arena_alloc(&arena, (db_result_rows(r) + 1) * sizeof *records);
    size_t n = 0;

    while (db_result_next(r)) {
        struct conflict_record c = {
            .id = number_of(r, 0),
            .at = {signed_or_none(r, 1)},
            .key = key_from(r, 2, &arena),
            .met = (enum conflict_met)label_from(r, 3, met, 3),
            .rule = (enum conflict_rule)label_from(r, 4, rules, 5),
            .winner = side_from(r, 5),
            .columns = text_from(r, 12, &arena),
        };

        for (size_t i = 0; i < 2; i++)
            c.row[i] = (struct conflict_row){number_of(r, 6 + 3 * i) != 0, version_or_none(r, 7 + 3 * i),
                                             signed_or_none(r, 8 + 3 * i)};
        records[n++] = c;
    }
    while (n-- > 0) /* the oldest first, as they came */
        conflicts_add(to, &records[n], records[n].at);
    arena_done(&arena);
    db_result_free(r);
    return true;
}

bool store_mysql_purge_conflicts(struct store *s, uint64_t up_to, struct err *err)
{
    struct store_mysql *m = self_of(s);

    if (!store_mysql_connect(s, err))
        return false;
    buf_clear(&m->packet);
    sqlgen_purge_conflicts(m->state_db, s->link, s->side, up_to, &m->packet);
    return query_control(m, 0, NULL, err);
}

bool store_mysql_estimate(struct store *s, uint64_t *ret_rows, uint64_t *ret_row_bytes, struct err *err)
{
    struct store_mysql *m = self_of(s);
    struct db_result *r = NULL;

    if (!store_mysql_connect(s, err))
        return false;
    buf_clear(&m->packet);
    sqlgen_estimate(s->link, s->side, &m->packet);
    if (!dbconn_query(m->conn, m->packet.data, m->packet.len, 0, &r, err))
        return table_failed(m, err);
    bool has = db_result_next(r);

    *ret_rows = has ? number_of(r, 0) : 0;
    *ret_row_bytes = has ? number_of(r, 1) : 0;
    db_result_free(r);
    return true;
}

/* ---- Life ---- */

static const struct store_ops OPS = {
    .lock = op_lock,
    .write = op_write,
    .commit = op_commit,
    .rollback = op_rollback,
    .load = op_load,
    .position = op_position,
    .log_end = op_log_end,
    .read = op_read,
    .range = op_range,
};

struct store *store_mysql_new(const struct db_options *db, const char *state_database,
                              const struct link *link, enum side side)
{
    struct store_mysql *m = mem_zalloc(1, sizeof *m);

    m->base = (struct store){&OPS, link, side, 0};
    m->conn = dbconn_new(db);
    m->state_db = mem_strdup(state_database);
    m->lock_wait_s = LOCK_WAIT_S;
    m->can_bind = sqlgen_can_bind(link, side);
    buf_init(&m->packet, 0);
    return &m->base;
}

struct store *store_mysql_new_lane(const struct db_options *db, const char *state_database,
                                   const struct link *link, enum side side, size_t lane)
{
    struct store *s = store_mysql_new(db, state_database, link, side);

    s->lane = lane;
    self_of(s)->is_lane = true;
    return s;
}

void store_mysql_set_lock_wait(struct store *s, uint32_t seconds) { self_of(s)->lock_wait_s = seconds; }

void store_mysql_free(struct store *s)
{
    struct store_mysql *m = self_of(s);

    if (s == NULL)
        return;
    dbconn_free(m->conn);
    buf_done(&m->packet);
    free(m->statements);
    free(m->rows);
    free(m->places);
    free(m->params);
    free(m->state_db);
    free(m);
}
