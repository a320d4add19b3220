/*
 * The stream is a row of groups, each one transaction or one DDL statement:
 *
 *   GTID  { TABLE_MAP... ROWS... }...  XID | QUERY COMMIT       MariaDB
 *   GTID(standalone)  QUERY
 *   GTID(XA prepared) ... XA_PREPARE,  later GTID(XA completed) QUERY 'XA COMMIT'
 *
 *   GTID  QUERY BEGIN  { TABLE_MAP... ROWS... }...  XID | QUERY COMMIT       MySQL
 *   GTID  QUERY
 *   GTID  TRANSACTION_PAYLOAD(the rest of the group, compressed)
 *   GTID  QUERY 'XA START' ... QUERY 'XA END'  XA_PREPARE,  later GTID  QUERY 'XA COMMIT'
 *
 * Positions lie between groups. `at` is the stream's own, and has file and offset of the last group that was
 * passed, not of where the server began to look for the next one; a feed that was
 * resumed further on is ahead: it keeps its own position, and passes over the groups
 * that are in it, until the stream has come as far. From then on it is level, and
 * `at` is its position too. So at every moment the place of each feed is known
 * (place_of(), handed), whatever it was that ended the stream, and a new one
 * begins at the least of them.
 *
 * Large transactions. A feed's transaction that has grown to part_rows or part_bytes
 * is put as a part when the next row image comes, so a transaction is never
 * cut without need, and never inside a row image pair. `handed` counts the row images that
 * are out of the machine's hands, in the numbering of `rows`: a resumed feed
 * steps over as many. Counting goes by row images, not by changes, for what becomes a
 * change depends on link and columns.
 *
 * XA. Whether the rows of a PREPARE count is known when its COMMIT or ROLLBACK comes, in another group, with any number of
 * others in between: so long they are held, in memory. A feed that is resumed behind a PREPARE does not
 * see its rows again; nor are there any if they were too many to hold. Then a COMMIT tells that rows
 * were written of which nobody knows.
 *
 * Without GTIDs (a MySQL server with gtid_mode other than ON) file and offset alone place a group, and those of
 * its beginning say whether a feed has it already.
 *
 * Echoes (rule 2). The daemon writes the control row first. So for a link, a group
 * whose control row comes before any row of the link's table is an echo. The other
 * order is written by nobody we know, and must not be guessed about.
 *
 * Columns. With the servers' defaults an event tells the types of columns and nothing else: which is which, what is
 * unsigned, a character set and labels come from the table's definition, and that one is known as it is
 * now, not as it was when the event was written. So it is read again for each feed that was resumed, and behind an
 * ALTER before the first rows, with the place where the log ends at that moment (renewed_at). Rows before that place
 * are read by it only if no ALTER stands between them and that place, which is found out by *looking ahead*: the feed stays where
 * it is while the stream runs on to that place, or to an ALTER. Then what has come since is gone through once more, from
 * memory (go_back()): a new stream would cost the server a search through the whole log file. Only where it was
 * more than shall be kept, the stream begins again. Rows before an ALTER that
 * has moved columns cannot be read: their transactions say so (struct tx, gap), until the ALTER is met.
 *
 * Rows are decoded into a scratch arena, mostly as pointers into the event, and
 * copied to the transaction's arena once it is known that they are a change.
 *
 * Cost. Most groups of a busy server concern no feed, and there may be hundreds of feeds. While all of them
 * simply follow (calm), a group costs nothing for those that it does not touch: what a group leaves in a source is
 * written only behind touch(), and its end looks at those sources alone. Tables are found by a hash of their names.
 */
#include "cdc/binlog/assemble.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/hash.h"
#include "cdc/base/mem.h"
#include "cdc/binlog/echo.h"
#include "cdc/binlog/event.h"
#include "cdc/binlog/kept.h"
#include "cdc/binlog/layout.h"
#include "cdc/binlog/payload.h"
#include "cdc/binlog/rows.h"
#include "cdc/binlog/statement.h"
#include "cdc/binlog/tablemap.h"

#define MAX_MAPS 65536 /* tables in one statement: far beyond any server's limit on a join */

/* Of an XA transaction that is prepared. */
struct held {
    struct xid xid;
    struct tx *tx; /* NULL: it did not touch the table, or was too large */
    bool too_large;
};

struct source {
    const struct link *link;
    size_t name_len; /* of the link */
    enum side from;
    const struct table *table;   /* the link's: its names; the columns are the layout's */
    struct source *next_of_name; /* another feed that reads the same table */
    struct layout layout;
    struct err setup; /* why the columns cannot be read, or none */

    bool stale;            /* the table may be another than the layout knows */
    struct pos renewed_at; /* what the layout does not know lies behind this in the log */
    bool sure;             /* nor does anything before it: rows from here on may be read by it */
    bool lost;             /* something does: rows from here to that cannot be read */
    bool looks_ahead;      /* for that; the feed's place is `seen` */
    bool altered;          /* it was found */

    bool served;
    bool level;
    struct pos seen; /* while not level */
    uint64_t handed; /* row images of the next, or the open, group that need not be put again */

    /* of the open group */
    bool touched;     /* stands in the list of those */
    bool passed_over; /* in `seen`, or only looked at */
    bool looked_at;   /* ahead of `seen` */
    bool done;        /* its last transaction has been put */
    bool echo;
    uint64_t marker;
    uint64_t rows; /* row images of the table so far */
    uint64_t rows_at_savepoint;
    struct tx *tx;  /* NULL: no change yet */
    bool too_large; /* prepared rows beyond what can be held: dropped */

    struct held *held; /* all that were prepared since the feed was resumed */
    size_t nheld;

    struct tablemap map;
};

/* What a table_id stands for, until the end of the statement. */
struct mapped {
    uint64_t table_id;
    enum echo_table control;
    struct source *first; /* of those that read the table; NULL: nobody follows it */
};

struct group {
    bool open;
    struct gtid id;
    bool standalone;         /* MariaDB: one statement is the group. */
    bool begun;              /* MySQL: BEGIN or XA START came; a statement without is the group */
    bool prepared;           /* rows of XA PREPARE */
    struct event_header end; /* once it has come */
    bool savepoint;          /* one was set */
    bool own;                /* an echo of any link here */
    bool state_rows;         /* rows of the state database */
    bool other;              /* rows of other tables, or statements */
    uint64_t bytes;
    uint64_t begins; /* at this offset; 0: not known */
};

struct assemble {
    struct assemble_options options;
    char *state_database;
    struct source *sources;
    size_t nsources;
    size_t nserved;
    struct source **by_name; /* the first source of each table, by a hash of its name; a power of two */
    size_t by_name_size;
    struct source **touched; /* by the open group */
    size_t ntouched;
    bool calm; /* each served feed is level, looks not ahead and has nothing of the next group handed on */

    struct pos at;
    struct pos from;      /* of this stream */
    struct pos begin;     /* of the open group: server, file and offset */
    struct pos behind;    /* of a transaction: kept for its memory */
    char *file;           /* that the stream is in; NULL: not known yet */
    char *server;         /* whose it is */
    bool by_file;         /* GTIDs, if there are any, are no part of positions */
    bool level;           /* all served feeds are */
    bool begin_again;     /* all that was to be found ahead has been */
    struct kept kept;     /* from the group on from which feeds look ahead */
    struct pos kept_from; /* where that begins, as `at` */
    bool goes_back;       /* through what was kept: none of it is kept once more */
    uint64_t foreign_bytes;
    struct payload *payload;
    uint32_t payload_end; /* while events come out of one: the offset behind it */
    struct group group;
    struct mapped *maps;
    size_t nmaps, maps_cap;
    struct tablemap control_maps[2]; /* checkpoint, marker */

    struct arena scratch; /* of one row image pair */
    struct value *row[3]; /* before, after, and the after image's key filled up; of the widest link */
    struct buf query;     /* inflated */
    struct buf inflated;  /* row images */
    struct buf plain;     /* an opened value */
};

static void source_init(struct source *s, const struct assemble_feed *feed)
{
    const struct link *link = feed->link;
    *s = (struct source){.link = link,
                         .name_len = strlen(link->name),
                         .from = feed->from,
                         .table = link->table[feed->from],
                         .setup = ERR_INIT};
    layout_init(&s->layout, link, feed->from, &s->setup);
}

/* ---- tables by their names ---- */

static bool is_name(const char *name, const char *data, size_t len)
{
    return strncmp(name, data, len) == 0 && name[len] == '\0';
}

/* Where the first source of the table stands, or would stand. */
static struct source **place_by_name(const struct assemble *a, const char *db, size_t db_len,
                                     const char *table, size_t table_len)
{
    uint64_t h = hash_words(hash_words(0, table, table_len), db, db_len);
    for (size_t i = (h ^ h >> 32) & (a->by_name_size - 1);; i = (i + 1) & (a->by_name_size - 1)) {
        const struct source *s = a->by_name[i];
        if (s == NULL || (is_name(s->table->name, table, table_len) && is_name(s->table->db, db, db_len)))
            return &a->by_name[i];
    }
}

/* Those of one table in the order of the feeds. */
static void index_sources(struct assemble *a)
{
    a->by_name_size = 16;
    while (a->by_name_size < 4 * a->nsources)
        a->by_name_size *= 2;
    a->by_name = mem_zalloc(a->by_name_size, sizeof(struct source *));
    for (size_t i = a->nsources; i > 0; i--) {
        struct source *s = &a->sources[i - 1];
        struct source **first = place_by_name(a, s->table->db, strlen(s->table->db), s->table->name,
                                              strlen(s->table->name));
        s->next_of_name = *first;
        *first = s;
    }
}

static void forget_held(struct source *s)
{
    for (size_t i = 0; i < s->nheld; i++)
        tx_free(s->held[i].tx);
    s->nheld = 0;
}

static void source_done(struct source *s)
{
    forget_held(s);
    free(s->held);
    layout_done(&s->layout);
    pos_done(&s->renewed_at);
    tx_free(s->tx);
    pos_done(&s->seen);
    tablemap_done(&s->map);
}

struct assemble *assemble_new(const struct assemble_options *options)
{
    struct assemble *a = mem_zalloc(1, sizeof(*a));
    size_t widest = 1;
    a->options = *options;
    a->options.feeds = NULL; /* the caller's; copied below */
    a->state_database = mem_strdup(options->state_database);
    a->nsources = options->nfeeds;
    a->sources = mem_zalloc(options->nfeeds + 1, sizeof(*a->sources));
    for (size_t i = 0; i < options->nfeeds; i++) {
        source_init(&a->sources[i], &options->feeds[i]);
        if (a->sources[i].link->nfields > widest)
            widest = a->sources[i].link->nfields;
    }
    index_sources(a);
    a->touched = mem_zalloc(options->nfeeds + 1, sizeof(struct source *));
    arena_init(&a->scratch);
    for (size_t i = 0; i < 3; i++)
        a->row[i] = mem_zalloc(widest, sizeof(struct value));
    buf_init(&a->query, 0);
    buf_init(&a->inflated, 0);
    buf_init(&a->plain, 0);
    a->payload = payload_new();
    kept_init(&a->kept, options->keep_bytes);
    return a;
}

void assemble_free(struct assemble *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->nsources; i++)
        source_done(&a->sources[i]);
    free(a->sources);
    free(a->by_name);
    free(a->touched);
    for (size_t i = 0; i < 2; i++)
        tablemap_done(&a->control_maps[i]);
    for (size_t i = 0; i < 3; i++)
        free(a->row[i]);
    free(a->maps);
    arena_done(&a->scratch);
    buf_done(&a->query);
    buf_done(&a->inflated);
    buf_wipe_done(&a->plain);
    pos_done(&a->at);
    pos_done(&a->from);
    pos_done(&a->begin);
    pos_done(&a->behind);
    pos_done(&a->kept_from);
    payload_free(a->payload);
    kept_done(&a->kept);
    free(a->file);
    free(a->server);
    free(a->state_database);
    free(a);
}

const struct pos *assemble_pos(const struct assemble *a) { return &a->at; }

bool assemble_is_level(const struct assemble *a) { return a->level; }

bool assemble_looks_ahead(const struct assemble *a, size_t feed) { return a->sources[feed].looks_ahead; }

bool assemble_in_group(const struct assemble *a) { return a->group.open; }

uint64_t assemble_foreign_bytes(const struct assemble *a) { return a->foreign_bytes; }

bool assemble_serves(const struct assemble *a, size_t feed) { return a->sources[feed].served; }

bool assemble_serves_any(const struct assemble *a) { return a->nserved > 0; }

static void set_served(struct assemble *a, struct source *s, bool served)
{
    if (served && !s->served)
        a->nserved++;
    else if (!served && s->served)
        a->nserved--;
    s->served = served;
}

/* ---- where each feed stands ---- */

/* Everything before the open group (or up to now) that concerns the feed has been put. */
static const struct pos *place_of(const struct assemble *a, const struct source *s)
{
    return s->level ? &a->at : &s->seen;
}

/* The position behind the open group, for one whose place is p. */
static void pass_group(const struct assemble *a, const struct event_header *end, struct pos *p)
{
    if (a->file != NULL && end->next_pos != 0) {
        pos_set_server(p, a->server);
        pos_set_file(p, a->file, strlen(a->file), end->next_pos);
    }
    pos_add_gtid(p, &a->group.id);
}

static void drop_tx(struct source *s)
{
    tx_free(s->tx);
    s->tx = NULL;
}

static void forget_group(struct source *s)
{
    drop_tx(s);
    s->passed_over = s->looked_at = s->done = s->echo = s->too_large = false;
    s->marker = 0;
    s->rows = s->rows_at_savepoint = 0;
}

/* The open group is about to leave something in the source. The list is in the order of the feeds. */
static void touch(struct assemble *a, struct source *s)
{
    if (s->touched)
        return;
    s->touched = true;
    size_t i = a->ntouched++;
    for (; i > 0 && a->touched[i - 1] > s; i--)
        a->touched[i] = a->touched[i - 1];
    a->touched[i] = s;
}

/* Those whom the open group may concern: source_at(0) ... */
static size_t count_concerned(const struct assemble *a) { return a->calm ? a->ntouched : a->nsources; }

static struct source *concerned(const struct assemble *a, size_t i)
{
    return a->calm ? a->touched[i] : &a->sources[i];
}

/* Nothing is left of the group. */
static void forget_groups(struct assemble *a)
{
    for (size_t i = 0; i < count_concerned(a); i++)
        forget_group(concerned(a, i));
    for (size_t i = 0; i < a->ntouched; i++)
        a->touched[i]->touched = false;
    a->ntouched = 0;
}

bool assemble_resume(struct assemble *a, size_t feed, const struct pos *pos, uint64_t rows_done,
                     struct err *err)
{
    struct source *s = &a->sources[feed];
    forget_group(s);
    forget_held(s);
    set_served(a, s, false);
    if (s->setup.kind != ERR_NONE)
        return err_set(err, s->setup.kind, 0, "%s.%s: %s", s->table->db, s->table->name, s->setup.text);
    set_served(a, s, true);
    s->level = a->calm = false;
    s->handed = rows_done;
    pos_copy(&s->seen, pos);
    s->stale = true; /* what happened to the table before pos is not read */
    s->sure = s->lost = s->looks_ahead = false;
    return true;
}

/* A feed that has left holds nobody up. */
static void look_level(struct assemble *a)
{
    a->level = a->calm = true;
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (!s->served)
            continue;
        s->level = s->level || (!s->looks_ahead && pos_covers(&a->at, &s->seen));
        a->level = a->level && s->level;
        a->calm = a->calm && s->level && !s->looks_ahead && s->handed == 0;
    }
}

static void stop_serving(struct assemble *a, struct source *s)
{
    forget_group(s);
    forget_held(s); /* of a log that goes on elsewhere */
    set_served(a, s, false);
    s->looks_ahead = false;
}

void assemble_leave(struct assemble *a, size_t feed)
{
    stop_serving(a, &a->sources[feed]);
    if (!a->group.open)
        look_level(a);
}

static void lose(struct assemble *a, struct source *s, const char *why)
{
    stop_serving(a, s);
    (a->options.lose != NULL ? a->options.lose : a->options.halt)(a->options.arg, (size_t)(s - a->sources),
                                                                  why);
}

static void halt(struct assemble *a, struct source *s, const char *why)
{
    stop_serving(a, s);
    a->options.halt(a->options.arg, (size_t)(s - a->sources), why);
}

/* Writes down each feed's own place, so that nothing hangs on the stream that ends here. */
static void unlevel(struct assemble *a, struct source *s)
{
    if (s->level) {
        pos_copy(&s->seen, &a->at);
        if (s->done) /* its last transaction is out, though not everybody's */
            pass_group(a, &a->group.end, &s->seen);
    }
    s->level = false;
    forget_group(s);
}

/* Back to the least of all places. False: nobody is served. */
static bool rewind_places(struct assemble *a)
{
    bool any = false;
    for (size_t i = 0; i < a->nsources; i++)
        if (a->sources[i].served)
            unlevel(a, &a->sources[i]);
    forget_groups(a);
    pos_done(&a->at);
    for (size_t i = 0; i < a->nsources; i++) {
        const struct source *s = &a->sources[i];
        if (!s->served)
            continue;
        if (any)
            pos_min(&a->at, &s->seen);
        else
            pos_copy(&a->at, &s->seen);
        any = true;
    }
    a->group = (struct group){0};
    a->nmaps = 0;
    a->payload_end = 0;
    a->begin_again = false;
    look_level(a);
    return any;
}

bool assemble_start(struct assemble *a, struct pos *ret_from)
{
    bool any = rewind_places(a);
    a->by_file = false;
    free(a->file);
    a->file = a->at.file != NULL ? mem_strdup(a->at.file) : NULL; /* until the server says which */
    pos_copy(&a->from, &a->at);
    kept_forget(&a->kept);
    if (any)
        pos_copy(ret_from, &a->at);
    return any;
}

const struct pos *assemble_place(const struct assemble *a, size_t feed)
{
    return place_of(a, &a->sources[feed]);
}

static void drop_gtids(struct pos *p) { pos_parse_gtids(p, "", NULL); }

void assemble_opened(struct assemble *a, const char *server, bool by_file)
{
    free(a->server);
    a->server = mem_strdup(server);
    a->by_file = by_file;
    /* Another server may have another transaction behind the position: it is read from its beginning. */
    for (size_t i = 0; i < a->nsources; i++)
        if (a->sources[i].seen.server != NULL && strcmp(a->sources[i].seen.server, server) != 0)
            a->sources[i].handed = 0;
    if (!by_file)
        return;
    drop_gtids(&a->at);
    drop_gtids(&a->from);
    for (size_t i = 0; i < a->nsources; i++)
        drop_gtids(&a->sources[i].seen);
    look_level(a);
}

bool assemble_is_first(const struct assemble *a, size_t feed)
{
    const struct source *s = &a->sources[feed];
    return s->served && pos_equal(&a->from, place_of(a, s));
}

/* ---- looking ahead ---- */

/* Everyone who will need to know: not each of them alone over the same stretch of the log. Who looks ahead already
 * does so from an earlier group, and whether that was kept is settled. */
static void look_ahead(struct assemble *a)
{
    bool first = !a->goes_back;
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        first = first && !s->looks_ahead;
        if (!s->served || s->stale || s->sure || s->lost || s->looks_ahead)
            continue;
        if (s->level)
            pos_copy(&s->seen, &a->at);
        s->level = s->altered = false;
        s->looks_ahead = true;
        forget_group(s);
        s->passed_over = true;
    }
    a->level = a->calm = false;
    if (!first || a->kept.on)
        return;
    kept_go_on(&a->kept, a->file);
    pos_copy(&a->kept_from, &a->at);
}

static void look_no_further(struct source *s)
{
    s->looks_ahead = false;
    s->lost = s->altered;
    s->sure = !s->altered;
}

/* at_end: there is nothing more in the log. */
static void end_look_ahead(struct assemble *a, bool at_end)
{
    bool any = false, all = true;
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (!s->looks_ahead)
            continue;
        any = true;
        all = all && (at_end || s->altered || pos_covers(&a->at, &s->renewed_at));
    }
    if (!any || !all)
        return;
    for (size_t i = 0; i < a->nsources; i++)
        if (a->sources[i].looks_ahead)
            look_no_further(&a->sources[i]);
    a->begin_again = true;
}

/* ---- transactions ---- */

static bool put_tx(struct assemble *a, struct source *s, struct err *err)
{
    struct tx *tx = s->tx;
    s->tx = NULL;
    if (a->options.put(a->options.arg, (size_t)(s - a->sources), tx))
        return true;
    tx_free(tx);
    return err_set(err, ERR_STOPPED, 0, "the stream has to begin again");
}

static struct tx *tx_of(struct source *s)
{
    if (s->tx == NULL)
        s->tx = tx_new();
    return s->tx;
}

static void stamp(struct tx *tx, const struct event_header *h)
{
    tx->committed_at.v = (int64_t)h->when * 1000000;
}

static bool put_part(struct assemble *a, struct source *s, const struct event_header *h, struct err *err)
{
    uint64_t rows = s->rows;
    /* Where the transaction itself begins, which is the same whenever it is read: what lies between it and the
     * group before it may be passed in between. */
    pos_copy(&a->behind, place_of(a, s));
    if (a->file != NULL && a->group.begins > 0) {
        pos_set_server(&a->behind, a->server);
        pos_set_file(&a->behind, a->file, strlen(a->file), a->group.begins);
    }
    tx_set_pos(s->tx, &a->behind);
    s->tx->rows_done = rows;
    stamp(s->tx, h);
    if (!put_tx(a, s, err))
        return false;
    s->handed = rows;
    return true;
}

static bool is_full(const struct assemble *a, const struct tx *tx)
{
    return tx != NULL && (tx->nchanges >= a->options.part_rows || tx_bytes(tx) >= a->options.part_bytes);
}

/* The feed's share of a group that has ended with a commit. */
static bool finish_source(struct assemble *a, struct source *s, const struct event_header *end,
                          struct err *err)
{
    if (s->handed > s->rows && !s->echo) {
        lose(
            a, s,
            "the transaction behind the checkpoint has fewer rows than were applied: the log is another one");
        return true;
    }
    if (s->echo) {
        a->options.echo(a->options.arg, (size_t)(s - a->sources));
        if (s->marker != 0) {
            tx_of(s)->echo = true;
            s->tx->marker = s->marker;
        }
    } else if (s->handed > 0) {
        tx_of(s); /* tells that the parts are all */
    }
    if (s->tx != NULL) {
        pos_copy(&a->behind, place_of(a, s));
        pass_group(a, end, &a->behind);
        tx_set_pos(s->tx, &a->behind);
        stamp(s->tx, end);
        if (!put_tx(a, s, err))
            return false;
    }
    return true;
}

/* Dropped: rolled back, or broken off by a crash of the server. */
static void drop_source(struct assemble *a, struct source *s)
{
    if (s->handed > 0)
        halt(a, s, "a transaction was rolled back in the log after parts of it were handed on");
    else
        drop_tx(s);
}

static void count_foreign(struct assemble *a)
{
    const struct group *g = &a->group;
    if (!g->own && (g->other || !g->state_rows))
        a->foreign_bytes += g->bytes;
}

enum outcome { COMMITTED, ROLLED_BACK };

static bool end_group(struct assemble *a, const struct event_header *end, enum outcome outcome,
                      bool *ret_moved, struct err *err)
{
    a->group.end = *end;
    if (a->payload_end != 0)
        a->group.end.next_pos = a->payload_end;
    end = &a->group.end;
    for (size_t i = 0; i < count_concerned(a); i++) {
        struct source *s = concerned(a, i);
        if (!s->served || s->passed_over || s->done)
            continue;
        if (outcome == ROLLED_BACK)
            drop_source(a, s);
        else if (!finish_source(a, s, end, err))
            return false;
        s->done = true;
        s->handed = 0;
        if (!s->level)
            pass_group(a, end, &s->seen);
    }
    pass_group(a, end, &a->at);
    count_foreign(a);
    a->group.open = false;
    a->nmaps = 0;
    forget_groups(a);
    if (!a->calm) {
        look_level(a);
        end_look_ahead(a, false);
    }
    *ret_moved = true;
    return true;
}

/* A server that crashed while it wrote leaves a group without an end; it rolled the transaction back. */
static void break_off(struct assemble *a)
{
    for (size_t i = 0; i < count_concerned(a); i++) {
        struct source *s = concerned(a, i);
        if (s->served && !s->passed_over)
            drop_source(a, s);
    }
    forget_groups(a);
    a->group.open = false;
    a->nmaps = 0;
    look_level(a);
}

/* Where the group begins, as far as the event says. */
static void note_begin(struct assemble *a, const struct event_header *h)
{
    pos_set_server(&a->begin, a->server);
    if (a->file == NULL || h->next_pos < h->size)
        pos_copy(&a->begin, &a->at);
    else
        pos_set_file(&a->begin, a->file, strlen(a->file), h->next_pos - h->size);
}

static void begin_group(struct assemble *a, const struct event *e)
{
    if (a->group.open)
        break_off(a);
    a->group = (struct group){
        .open = true,
        .id = a->by_file ? (struct gtid){.kind = GTID_NONE} : e->gtid.id,
        .standalone = (e->gtid.flags2 & EVENT_GTID_STANDALONE) != 0,
        .begun = e->gtid.id.kind == GTID_MARIADB,
        .prepared = (e->gtid.flags2 & EVENT_GTID_XA_PREPARED) != 0,
        .bytes = e->header.size,
        .begins = e->header.next_pos > e->header.size ? e->header.next_pos - e->header.size : 0,
    };
    a->nmaps = 0;
    if (a->calm)
        return;
    note_begin(a, &e->header);
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        s->passed_over = s->served && !s->level && pos_includes(&s->seen, &a->begin, &a->group.id);
        s->looked_at = s->looks_ahead && !s->passed_over;
        s->passed_over = s->passed_over || s->looks_ahead;
    }
}

/* ---- XA ---- */

static void halt_for(struct assemble *a, struct source *s, const char *fmt)
{
    struct err why = ERR_INIT;
    err_set(&why, ERR_HALT, 0, "%s.%s %s", s->table->db, s->table->name, fmt);
    halt(a, s, why.text);
}

/* Rows of the table changed, and the log does not hold which. */
static void note_gap(struct assemble *a, struct source *s, const char *what)
{
    struct err why = ERR_INIT;
    if (!a->group.open) { /* no transaction to tell it with */
        halt_for(a, s, what);
        return;
    }
    err_set(&why, ERR_HALT, 0, "%s.%s %s", s->table->db, s->table->name, what);
    touch(a, s);
    struct tx *tx = tx_of(s);
    if (tx->gap == NULL)
        tx->gap = arena_copy(&tx->arena, why.text, strlen(why.text) + 1);
}

#define MAX_HELD 1024 /* XA transactions prepared at one time */
#define HELD_PARTS 8  /* bytes of all of a feed's: so many times what a part may have */

static size_t held_bytes(const struct source *s)
{
    size_t bytes = 0;
    for (size_t i = 0; i < s->nheld; i++)
        bytes += s->held[i].tx != NULL ? tx_bytes(s->held[i].tx) : 0;
    return bytes;
}

/* Before a row is added to those of a PREPARE. */
static void limit_held(const struct assemble *a, struct source *s)
{
    if (s->tx == NULL || held_bytes(s) + tx_bytes(s->tx) < HELD_PARTS * a->options.part_bytes)
        return;
    drop_tx(s);
    s->too_large = true;
}

static struct held *find_held(struct source *s, const struct xid *xid)
{
    for (size_t i = 0; i < s->nheld; i++)
        if (xid_equal(&s->held[i].xid, xid))
            return &s->held[i];
    return NULL;
}

static void drop_held(struct source *s, struct held *h)
{
    tx_free(h->tx);
    memmove(h, h + 1, (size_t)(&s->held[s->nheld] - (h + 1)) * sizeof(*h));
    s->nheld--;
}

/* The open group's rows, until it is known whether they count. */
static void hold(struct source *s, const struct xid *xid)
{
    struct held *old = find_held(s, xid);
    if (old != NULL)
        drop_held(s, old);
    if (s->nheld == MAX_HELD) /* the oldest: one whose end was never logged, most likely */
        drop_held(s, &s->held[0]);
    if (s->held == NULL)
        s->held = mem_zalloc(MAX_HELD, sizeof(*s->held));
    s->held[s->nheld++] = (struct held){*xid, s->tx, s->too_large};
    s->tx = NULL;
}

/* An XA transaction has been committed or rolled back: its rows are those of the open group now, or are none. */
static void take_held(struct assemble *a, struct source *s, const struct xid *xid, enum xid_end end)
{
    struct held *h = find_held(s, xid);
    bool lost = end == XID_COMMIT && (h == NULL || h->too_large);
    if (h != NULL && end == XID_COMMIT) {
        touch(a, s);
        drop_tx(s);
        s->tx = h->tx;
        h->tx = NULL;
    }
    if (h != NULL)
        drop_held(s, h);
    if (lost)
        note_gap(a, s,
                 h == NULL
                     ? "may have been written by an XA transaction whose rows stand before the place where "
                       "reading began"
                     : "was written by an XA transaction of more rows than can be held until its commit");
}

static bool end_xa(struct assemble *a, const struct event *e, bool *ret_moved, struct err *err)
{
    struct xid xid;
    enum xid_end end;
    if (!xid_of_statement(e->query.sql, e->query.sql_len, &end, &xid))
        return err_set(err, ERR_HALT, 0, "the end of an XA transaction without a name that can be read");
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (s->served && !s->passed_over && !s->done)
            take_held(a, s, &xid, end);
    }
    return !a->group.open || end_group(a, &e->header, COMMITTED, ret_moved, err);
}

/* The group is over for the log; whether its rows are changes is not known yet. */
static bool prepare_xa(struct assemble *a, const struct event *e, bool *ret_moved, struct err *err)
{
    for (size_t i = 0; i < a->nsources && !e->xa.one_phase; i++) {
        struct source *s = &a->sources[i];
        if (s->served && !s->passed_over && !s->done)
            hold(s, &e->xa.xid);
    }
    for (size_t i = 0; i < a->nsources && e->xa.one_phase; i++)
        if (a->sources[i].served && a->sources[i].too_large)
            note_gap(a, &a->sources[i],
                     "was written by an XA transaction of more rows than can be held until its commit");
    return end_group(a, &e->header, COMMITTED, ret_moved, err);
}

/* ---- statements ---- */

/* Values that moved from one column to another, or are gone with one that came back under its name: no row event
 * tells of that, and the definition may look the same. */
static const char *lost_column(const struct source *s, const struct event_query *q)
{
    for (size_t i = 0; i < s->link->nfields; i++) {
        const char *name = s->link->fields[i].column[s->from]->name;
        if (statement_takes_column(q->sql, q->sql_len, name))
            return name;
    }
    return NULL;
}

/* The layout is renewed before the next rows. */
static void set_stale(struct source *s)
{
    s->stale = true;
    s->sure = s->lost = false;
}

static void alter(struct assemble *a, struct source *s, const struct event_query *q)
{
    struct err why = ERR_INIT;
    const char *lost = lost_column(s, q);
    set_stale(s);
    if (lost == NULL)
        return;
    err_set(&why, ERR_HALT, 0, "column %s of %s.%s was dropped or renamed", lost, s->table->db,
            s->table->name);
    halt(a, s, why.text);
}

static enum statement_effect effect_on(const struct source *s, const struct event_query *q)
{
    return statement_effect(q->sql, q->sql_len, q->db, q->db_len, s->table->db, s->table->name);
}

/* Is the table's definition another one behind this? */
static bool is_altered_by(const struct source *s, const struct event_query *q)
{
    switch (effect_on(s, q)) {
    case STATEMENT_HARMLESS:
    case STATEMENT_WRITES:
    case STATEMENT_EMPTIES: return false;
    case STATEMENT_ALTERS:
    case STATEMENT_REPLACES:
    case STATEMENT_SWAPS: break;
    }
    return true;
}

/* MySQL logs the rows that a cascade changes. */
static bool adds_cascade(const struct assemble *a, const struct source *s, const struct event_query *q)
{
    return a->group.id.kind == GTID_MARIADB &&
           statement_adds_cascade(q->sql, q->sql_len, q->db, q->db_len, s->table->db, s->table->name);
}

static void apply_statement(struct assemble *a, struct source *s, const struct event_query *q)
{
    if (adds_cascade(a, s, q)) {
        halt_for(a, s,
                 "was given a foreign key that cascades: the server does not log the rows that it changes");
        return;
    }
    switch (effect_on(s, q)) {
    case STATEMENT_HARMLESS: break;
    case STATEMENT_ALTERS: alter(a, s, q); break;
    case STATEMENT_WRITES:
        note_gap(a, s,
                 "may have been written by a statement that the log holds as text, not as rows: set "
                 "binlog_format = ROW");
        break;
    case STATEMENT_EMPTIES:
        halt_for(a, s, "was emptied by TRUNCATE: no row event tells which rows it held");
        break;
    case STATEMENT_REPLACES: halt_for(a, s, "was dropped, renamed or replaced"); break;
    case STATEMENT_SWAPS:
        set_stale(s);
        note_gap(a, s, "was renamed, and another table to its name: no row event tells what that one held");
        break;
    }
}

static void note_savepoint(struct assemble *a)
{
    if (a->group.savepoint)
        return;
    a->group.savepoint = true;
    for (size_t i = 0; i < a->nsources; i++)
        a->sources[i].rows_at_savepoint = a->sources[i].rows;
}

/* Logged only if another engine's rows must stay; ours behind the savepoint did not. Which one is meant does
 * not matter where no row of the table stands behind the first. */
static void roll_back_to(struct assemble *a)
{
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (!s->served || s->passed_over || s->echo || s->rows <= s->rows_at_savepoint)
            continue;
        if (s->handed > 0) {
            halt_for(a, s, "was written by a transaction that was rolled back to a savepoint in part");
            continue;
        }
        while (s->tx != NULL && s->tx->nchanges > 0 &&
               s->tx->changes[s->tx->nchanges - 1].row_no > s->rows_at_savepoint)
            s->tx->nchanges--;
        note_gap(a, s, "was written by a transaction that was rolled back to a savepoint in part");
    }
}

static bool take_query(struct assemble *a, const struct event *e, bool *ret_moved, struct err *err)
{
    switch (statement_kind(e->query.sql, e->query.sql_len)) {
    case STATEMENT_BEGIN: a->group.begun = true; return true;
    case STATEMENT_XA_INSIDE: a->group.begun = a->group.prepared = true; return true;
    case STATEMENT_SAVEPOINT: note_savepoint(a); return true;
    case STATEMENT_ROLLBACK_TO: roll_back_to(a); return true;
    case STATEMENT_XA_DONE: return end_xa(a, e, ret_moved, err);
    case STATEMENT_COMMIT: return !a->group.open || end_group(a, &e->header, COMMITTED, ret_moved, err);
    case STATEMENT_ROLLBACK: return !a->group.open || end_group(a, &e->header, ROLLED_BACK, ret_moved, err);
    case STATEMENT_OTHER: break;
    }
    a->group.other = true;
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (s->looked_at)
            s->altered = s->altered || is_altered_by(s, &e->query);
        else if (s->served && !s->passed_over && !s->looks_ahead)
            apply_statement(a, s, &e->query);
    }
    if (a->group.open && (a->group.standalone || !a->group.begun))
        return end_group(a, &e->header, COMMITTED, ret_moved, err);
    return true;
}

/* ---- table maps ---- */

/* Does the feed want to know of this group's rows? */
static bool wants_rows(const struct source *s)
{
    return s->served && !s->passed_over && !s->looks_ahead && !s->echo;
}

/* And can it read them? */
static bool reads_rows(const struct source *s) { return wants_rows(s) && !s->lost; }

/* Reads the definition again. False: why the feed cannot go on (ERR_HALT), or nobody can for now. */
static bool renew_layout(struct assemble *a, struct source *s, struct err *err)
{
    struct table *now;
    if (a->options.describe != NULL) {
        if (!a->options.describe(a->options.arg, (size_t)(s - a->sources), &now, &s->renewed_at, err))
            return false;
        if (!layout_renew(&s->layout, now, err)) {
            table_free(now);
            return err_set(err, ERR_HALT, 0, "%s; restart twinlog when both tables fit", err->text);
        }
    }
    s->stale = false;
    s->sure = a->options.describe == NULL;
    tablemap_forget(&s->map);
    return true;
}

bool assemble_renew(struct assemble *a, struct err *err)
{
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        struct err why = ERR_INIT;
        if (!s->served || !s->stale || renew_layout(a, s, &why))
            continue;
        if (why.kind != ERR_HALT) {
            *err = why;
            return false;
        }
        halt(a, s, why.text);
    }
    return true;
}

/* The columns as the event and as the definition has them. */
static bool check_columns(struct source *s, const struct event_table_map *m, struct err *err)
{
    bool same;
    if (!tablemap_take(&s->map, m, &same, err) ||
        (!same && !rows_check_table(m, s->map.columns, s->layout.table, err)))
        return false;
    for (size_t i = 0; i < s->layout.nwants; i++)
        if (s->layout.wants[i].ordinal >= m->ncolumns)
            return err_set(err, ERR_HALT, 0, "columns of %s.%s changed: the log has %zu, the table %zu",
                           s->table->db, s->table->name, m->ncolumns, s->layout.table->ncolumns);
    return true;
}

/* May the rows of the open group be read by the layout? */
static bool is_sure(struct assemble *a, struct source *s)
{
    s->sure = s->sure || pos_covers(place_of(a, s), &s->renewed_at);
    return s->sure;
}

static void lose_rows(struct assemble *a, struct source *s)
{
    s->handed = 0; /* none of them can be told from those that were handed on */
    note_gap(a, s, "was altered while its log was not read: rows from before that cannot be told apart");
}

static bool map_source(struct assemble *a, struct source *s, const struct event_table_map *m, struct err *err)
{
    struct err why = ERR_INIT;
    if (s->lost) {
        lose_rows(a, s);
        return true;
    }
    if (s->stale && !renew_layout(a, s, &why))
        goto failed;
    if (!is_sure(a, s)) {
        look_ahead(a);
        return true;
    }
    if (check_columns(s, m, &why))
        return true;
failed:
    tablemap_forget(&s->map);
    if (why.kind != ERR_HALT) {
        *err = why;
        return false;
    }
    halt(a, s, why.text);
    return true;
}

static bool map_control(struct assemble *a, const struct event_table_map *m, enum echo_table which,
                        struct err *err)
{
    struct tablemap *map = &a->control_maps[which == ECHO_MARKER];
    bool same;
    return tablemap_take(map, m, &same, err) && echo_check_columns(which, map, err);
}

static struct mapped *find_map(struct assemble *a, uint64_t table_id)
{
    for (size_t i = a->nmaps; i > 0; i--)
        if (a->maps[i - 1].table_id == table_id)
            return &a->maps[i - 1];
    return NULL;
}

static struct mapped *add_map(struct assemble *a, uint64_t table_id, struct err *err)
{
    struct mapped *m = find_map(a, table_id);
    if (m != NULL)
        return m;
    if (a->nmaps == MAX_MAPS) {
        err_set(err, ERR_HALT, 0, "a statement maps more than %d tables", MAX_MAPS);
        return NULL;
    }
    if (a->nmaps == a->maps_cap) {
        a->maps_cap = a->maps_cap > 0 ? a->maps_cap * 2 : 16;
        a->maps = mem_realloc(a->maps, a->maps_cap * sizeof(*a->maps));
    }
    return &a->maps[a->nmaps++];
}

static bool take_map(struct assemble *a, const struct event_table_map *map, struct err *err)
{
    struct mapped *m = add_map(a, map->table_id, err);
    if (m == NULL)
        return false;
    *m = (struct mapped){map->table_id, echo_table_of(a->state_database, map),
                         *place_by_name(a, map->db, map->db_len, map->table, map->table_len)};
    for (struct source *s = m->first; s != NULL; s = s->next_of_name)
        if (wants_rows(s) && !map_source(a, s, map, err))
            return false;
    if (m->control == ECHO_CHECKPOINT || m->control == ECHO_MARKER)
        return map_control(a, map, m->control, err);
    return true;
}

/* ---- rows ---- */

static void copy_row(const struct value *from, size_t nfields, struct arena *arena,
                     const struct value **ret_row)
{
    size_t bytes = nfields * sizeof(struct value);
    for (size_t i = 0; i < nfields; i++)
        bytes += from[i].len;
    struct value *row = arena_alloc(arena,
                                    bytes); /* in one piece: it stays in the queue as small as can be */
    char *data = (char *)(row + nfields);
    for (size_t i = 0; i < nfields; i++) {
        row[i] = from[i];
        if (from[i].data == NULL)
            continue;
        row[i].data = data;
        if (from[i].len > 0)
            memcpy(data, from[i].data, from[i].len);
        data += from[i].len;
    }
    *ret_row = row;
}

/* before or after is NULL for a row that is absent then. key_row holds the key's fields. */
static bool add_change(struct source *s, const struct value *key_row, const struct value *before,
                       const struct value *after, bool incomplete)
{
    struct tx *tx = tx_of(s);
    struct key key;
    if (!key_of(s->link, key_row, &tx->arena, &key))
        return false;
    struct change *c = tx_add_change(tx);
    c->key = key;
    c->incomplete = incomplete;
    c->row_no = s->rows;
    if (before != NULL)
        copy_row(before, s->link->nfields, &tx->arena, &c->before);
    if (after != NULL)
        copy_row(after, s->link->nfields, &tx->arena, &c->after);
    return true;
}

/* An after image that lacks a field says that the field did not change. */
static bool is_unchanged(const struct link *link, const struct value *before, const struct value *after)
{
    for (size_t i = 0; i < link->nfields; i++)
        if (after[i].state != VALUE_MISSING && !value_equal(&before[i], &after[i]))
            return false;
    return true;
}

static bool is_incomplete(const struct link *link, const struct value *row)
{
    for (size_t i = 0; row != NULL && i < link->nfields; i++)
        if (row[i].state == VALUE_MISSING)
            return true;
    return false;
}

static bool same_key(const struct link *link, const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < link->nkey; i++)
        if (!value_equal(&a[link->key[i]], &b[link->key[i]]))
            return false;
    return true;
}

/* The key's fields after an update: those that the after image lacks are as they were. */
static const struct value *key_after(struct assemble *a, const struct link *link, const struct value *before,
                                     const struct value *after)
{
    struct value *row = a->row[2];
    for (size_t i = 0; i < link->nkey; i++) {
        size_t f = link->key[i];
        row[f] = after[f].state == VALUE_MISSING ? before[f] : after[f];
    }
    return row;
}

/* binlog_row_image = FULL_NODUP: what the after image lacks is what it was, and that is there. */
static void fill_up(const struct link *link, const struct value *before, struct value *after)
{
    if (is_incomplete(link, before))
        return;
    for (size_t i = 0; i < link->nfields; i++)
        if (after[i].state == VALUE_MISSING)
            after[i] = before[i];
}

/* partial: a field that the after image lacks may have changed. */
static bool take_update(struct assemble *a, struct source *s, const struct value *before, struct value *after,
                        bool partial)
{
    if (!partial)
        fill_up(s->link, before, after);
    bool lacks = is_incomplete(s->link, after), incomplete = lacks || is_incomplete(s->link, before);
    if (is_unchanged(s->link, before, after) && !(partial && lacks))
        return true;
    const struct value *key_row = key_after(a, s->link, before, after);
    if (same_key(s->link, before, key_row))
        return add_change(s, before, before, after, incomplete);
    return add_change(s, before, before, NULL, incomplete) && add_change(s, key_row, NULL, after, incomplete);
}

/* Ciphered fields on their sealed side -> the plain text; all in the form in which the sides compare. */
static void open_sealed(struct assemble *a, const struct source *s, struct value *row)
{
    for (size_t i = 0; i < s->link->nfields; i++) {
        const struct field *f = &s->link->fields[i];
        if (f->keys == NULL || f->sealed_side != s->from || row[i].state != VALUE_SET)
            continue;
        buf_clear(&a->plain);
        if (!cipher_open(f->keys, f->encoding, row[i].data, row[i].len, &a->plain)) {
            row[i].state = VALUE_SEALED;
            continue;
        }
        row[i].data = arena_copy(&a->scratch, a->plain.len > 0 ? a->plain.data : "", a->plain.len);
        row[i].len = (uint32_t)a->plain.len;
    }
    for (size_t i = 0; i < s->link->nfields; i++)
        field_canonical(&s->link->fields[i], s->from, &a->scratch, &row[i]);
}

/* One image of a row; wanted: decode it, otherwise step over it. */
static bool read_image(struct assemble *a, struct source *s, struct cursor *c, const uint8_t *present,
                       bool partial, bool wanted, struct value *ret_row, struct err *err)
{
    if (!(partial ? rows_partial_image : rows_image)(c, s->map.columns, s->map.ncolumns, present,
                                                     s->layout.wants, wanted ? s->layout.nwants : 0, ret_row,
                                                     &a->scratch, err))
        return err_prefix(err, "%s.%s", s->table->db, s->table->name);
    if (wanted)
        open_sealed(a, s, ret_row);
    return true;
}

/* One row image, or the pair of an update. err: why the feed cannot go on; ERR_STOPPED: nothing can. */
static bool take_row(struct assemble *a, struct source *s, const struct event *e, struct cursor *c,
                     struct err *err)
{
    const struct event_rows *r = &e->rows;
    struct value *row[2] = {a->row[0], a->row[1]};
    if (a->group.prepared)
        limit_held(a, s);
    else if (is_full(a, s->tx) && !put_part(a, s, &e->header, err))
        return false;

    arena_reset(&a->scratch);
    s->rows++;
    bool wanted = s->rows > s->handed && !s->too_large;
    for (int i = 0; i < (r->op == EVENT_UPDATE ? 2 : 1); i++)
        if (!read_image(a, s, c, r->present[i], r->partial && i == 1, wanted, row[i], err))
            return false;
    if (!wanted)
        return true;

    bool ok;
    if (r->op == EVENT_UPDATE)
        ok = take_update(a, s, row[0], row[1], r->partial);
    else if (r->op == EVENT_INSERT)
        ok = add_change(s, row[0], NULL, row[0], is_incomplete(s->link, row[0]));
    else
        ok = add_change(s, row[0], row[0], NULL, is_incomplete(s->link, row[0]));
    if (!ok)
        return err_set(err, ERR_HALT, 0, "%s.%s: a row image without a readable key", s->table->db,
                       s->table->name);
    return true;
}

static bool take_table_rows(struct assemble *a, struct source *s, const struct event *e, const uint8_t *data,
                            size_t len, struct err *err)
{
    struct cursor c = cursor_of(data, len);
    if (s->map.ncolumns != e->rows.ncolumns || s->map.ncolumns == 0)
        return err_set(err, ERR_HALT, 0, "%s.%s: rows do not fit the table map", s->table->db,
                       s->table->name);
    while (cursor_left(&c) > 0) {
        const uint8_t *start = c.p;
        if (!take_row(a, s, e, &c, err))
            return false;
        if (c.p == start) /* images without a byte would never end */
            return err_set(err, ERR_HALT, 0, "%s.%s: malformed row image", s->table->db, s->table->name);
    }
    return true;
}

static bool is_of_link(const struct source *s, const struct echo_row *row)
{
    return s->name_len == row->link_len && memcmp(s->link->name, row->link, row->link_len) == 0;
}

static void mark_echo(struct assemble *a, struct source *s, bool is_marker, const struct echo_row *row)
{
    if (!s->served || s->passed_over)
        return;
    if (s->rows > 0 && !s->echo) {
        halt_for(a, s, "was written before the control row in one transaction: the daemon does not write so");
        return;
    }
    touch(a, s);
    s->echo = true;
    if (is_marker && row->side == s->from && row->id > s->marker)
        s->marker = row->id;
}

static bool take_control_rows(struct assemble *a, enum echo_table which, const struct event *e,
                              const uint8_t *data, size_t len, struct err *err)
{
    struct cursor c = cursor_of(data, len);
    bool is_marker = which == ECHO_MARKER && e->rows.op == EVENT_INSERT;
    while (cursor_left(&c) > 0) {
        const uint8_t *start = c.p;
        struct echo_row row;
        arena_reset(&a->scratch);
        if (!echo_row_next(&c, &e->rows, &a->control_maps[which == ECHO_MARKER], &row, &a->scratch, err))
            return false;
        if (c.p == start)
            return err_set(err, ERR_HALT, 0, "malformed row image of a control table");
        for (size_t i = 0; i < a->nsources; i++) {
            if (!is_of_link(&a->sources[i], &row))
                continue;
            a->group.own = true;
            mark_echo(a, &a->sources[i], is_marker, &row);
        }
    }
    return true;
}

static bool take_mapped_rows(struct assemble *a, const struct mapped *m, const struct event *e,
                             struct err *err)
{
    if (m->control == ECHO_FOREIGN)
        a->group.other = true;
    else
        a->group.state_rows = true;
    bool control = m->control == ECHO_CHECKPOINT || m->control == ECHO_MARKER;
    if (m->first == NULL && !control)
        return true;

    const uint8_t *data;
    size_t len;
    if (!event_rows_data(&e->rows, &a->inflated, &data, &len, err))
        return false;
    if (control && !take_control_rows(a, m->control, e, data, len, err))
        return false;
    for (struct source *s = m->first; s != NULL; s = s->next_of_name) {
        struct err why = ERR_INIT;
        if (!reads_rows(s))
            continue;
        touch(a, s);
        if (take_table_rows(a, s, e, data, len, &why))
            continue;
        if (why.kind == ERR_STOPPED) {
            *err = why;
            return false;
        }
        halt(a, s, why.text);
    }
    return true;
}

static bool take_rows(struct assemble *a, const struct event *e, struct err *err)
{
    if (!a->group.open)
        return err_set(err, ERR_HALT, 0, "rows outside of a transaction");
    if (e->rows.table_id != EVENT_ROWS_DUMMY_TABLE) {
        const struct mapped *m = find_map(a, e->rows.table_id);
        if (m == NULL)
            return err_set(err, ERR_HALT, 0, "rows of a table that no table map announced");
        if (!take_mapped_rows(a, m, e, err))
            return false;
    }
    if (e->rows.flags & EVENT_ROWS_STMT_END)
        a->nmaps = 0;
    return true;
}

/* ---- the stream itself ---- */

static void enter_file(struct assemble *a, const char *name, size_t len)
{
    free(a->file);
    a->file = mem_strndup(name, len);
}

/* A made-up ROTATE names the file that the stream is in: what was passed does not change by that. A real one ends a
 * file, and names the one that follows. */
static void take_rotate(struct assemble *a, const struct event *e, bool *ret_moved)
{
    const struct event_file *f = &e->file;
    enter_file(a, f->name, f->name_len);
    if ((e->header.flags & EVENT_FLAG_ARTIFICIAL) != 0 && a->at.file != NULL)
        return;
    pos_set_server(&a->at, a->server);
    pos_set_file(&a->at, f->name, f->name_len, f->offset);
    *ret_moved = true;
}

/* Sent when the server has nothing more: nobody can be ahead of that. */
static void look_lost(struct assemble *a)
{
    for (size_t i = 0; i < a->nsources; i++) {
        struct source *s = &a->sources[i];
        if (!s->served || s->level || pos_covers(&a->at, &s->seen))
            continue;
        lose(a, s, "the server's log ends before what was read of it: its newest transactions are lost");
    }
}

/* Also sent, by MySQL, behind transactions that it passed over because the stream's beginning has them. */
static void take_heartbeat(struct assemble *a, const struct event *e, bool *ret_moved)
{
    if (a->group.open || e->file.name_len == 0)
        return;
    end_look_ahead(a, !a->goes_back); /* what was the end then need not be the end now */
    if (a->begin_again)
        return;
    pos_set_server(&a->at, a->server);
    pos_set_file(&a->at, e->file.name, e->file.name_len, e->file.offset);
    if (gtid_set_is_empty(&a->at.set) && !a->by_file)
        look_lost(a);
    look_level(a);
    *ret_moved = true;
}

/* The events within are those of the open group: its GTID came in the clear. */
static bool take_payload(struct assemble *a, const struct event *e, bool *ret_moved, struct err *err)
{
    const uint8_t *event;
    size_t len;
    if (a->payload_end != 0)
        return err_set(err, ERR_HALT, 0, "a compressed transaction within another");
    if (e->header.next_pos == 0)
        return err_set(err, ERR_RETRY, 0, "a compressed transaction without its place in the log");
    if (!payload_open(a->payload, e->payload.body, e->payload.len, err))
        return false;
    a->payload_end = e->header.next_pos;
    bool ok;
    while ((ok = payload_next(a->payload, &event, &len, err)) && event != NULL) {
        bool moved;
        ok = assemble_event(a, event, len, &moved, err);
        *ret_moved = *ret_moved || moved;
        if (!ok || a->begin_again)
            break;
    }
    a->payload_end = 0;
    return ok;
}

static bool take_event(struct assemble *a, const struct event *e, bool *ret_moved, struct err *err)
{
    if (a->group.open && e->kind != EVENT_GTID)
        a->group.bytes += e->header.size;

    switch (e->kind) {
    case EVENT_PASS: return true;
    case EVENT_FORMAT:
        if (a->group.open) /* begins a file: groups do not span files */
            break_off(a);
        return true;
    case EVENT_ROTATE: take_rotate(a, e, ret_moved); return true;
    case EVENT_HEARTBEAT: take_heartbeat(a, e, ret_moved); return true;
    case EVENT_GTID: begin_group(a, e); return true;
    case EVENT_QUERY: return take_query(a, e, ret_moved, err);
    case EVENT_XID: return !a->group.open || end_group(a, &e->header, COMMITTED, ret_moved, err);
    case EVENT_XA_PREPARE: return !a->group.open || prepare_xa(a, e, ret_moved, err);
    case EVENT_PAYLOAD: return take_payload(a, e, ret_moved, err);
    case EVENT_TABLE_MAP: return take_map(a, &e->map, err);
    case EVENT_ROWS: return take_rows(a, e, err);
    }
    return true;
}

/* "bin.000001:4711", and where the server does not say, where the group begins. */
static bool unreadable_event(const struct assemble *a, const struct event_header *h, struct err *err)
{
    struct err why = *err;
    char at[128];
    if (why.kind != ERR_HALT)
        return false;
    if (h->next_pos >= h->size && h->size > 0 && a->file != NULL)
        return err_set(err, why.kind, why.code, "%s at %s:%u", why.text, a->file, h->next_pos - h->size);
    return err_set(err, why.kind, why.code, "%s behind %s", why.text, pos_print_file(&a->at, at, sizeof(at)));
}

static void keep(struct assemble *a, const struct event *e, const uint8_t *data, size_t len)
{
    if (a->goes_back || a->payload_end != 0)
        return;
    if (e->kind == EVENT_GTID)
        kept_begin_group(&a->kept);
    else if (!a->group.open && !a->kept.on)
        return;
    kept_add(&a->kept, data, len);
}

/* What is kept begins there, which may be before the least of all places: they need not be in the order of this log, and a
 * feed may have left while it looked ahead. A feed that were level too early would get groups twice. */
static void start_at_kept(struct assemble *a)
{
    pos_copy(&a->at, &a->kept_from);
    for (size_t i = 0; i < a->nsources; i++)
        a->sources[i].level = false;
    look_level(a);
}

/* What was to be found ahead has been: once more from where it was missed. No group is open. */
static bool go_back(struct assemble *a, bool *ret_moved, struct err *err)
{
    struct kept kept;
    const uint8_t *event;
    size_t len, at = 0;
    bool ok = true;
    if (!kept_is_whole(&a->kept))
        return err_set(err, ERR_STOPPED, 0, "the stream has to begin again, with a known definition");
    kept_move(&a->kept, &kept);
    rewind_places(a);
    start_at_kept(a);
    free(a->file);
    a->file = kept.file;
    kept.file = NULL;
    a->goes_back = true;
    while (ok && kept_next(&kept, &at, &event, &len)) {
        bool moved;
        ok = assemble_event(a, event, len, &moved, err);
        *ret_moved = *ret_moved || moved;
    }
    a->goes_back = false;
    kept_done(&kept);
    return ok;
}

bool assemble_event(struct assemble *a, const uint8_t *data, size_t len, bool *ret_moved, struct err *err)
{
    struct event e;
    *ret_moved = false;
    if (!event_decode(data, len, &a->query, &e, err))
        return unreadable_event(a, &e.header, err);
    keep(a, &e, data, len);
    if (!take_event(a, &e, ret_moved, err))
        return false;
    /* Of a compressed transaction only the whole is kept. */
    return !a->begin_again || a->payload_end != 0 || go_back(a, ret_moved, err);
}
