/*
 * verify.c - a walk that collects suspects, and rounds that clear or convict them.
 *
 * A round: the suspects' rows have been read; then the ends of both logs are
 * taken, so whatever those rows showed stands before them; the streams pass them; the
 * rows are read again. Equal: cleared. As they were: the change that would make them
 * equal has not come, though all that was on its way has: they differ. Changed, and
 * still not equal: another round. Rows are remembered by a hash of both, so that a
 * million suspects cost no more than their keys.
 */
#include "appliers/verify.h"

#include <stdlib.h>
#include <string.h>

#include "appliers/decide.h"
#include "cdc/base/hash.h"
#include "cdc/base/mem.h"

enum {
    MAX_SUSPECTS = 20000, /* then they are settled before the walk goes on */
    READ_KEYS = 200,
    READ_BYTES = 2 << 20, /* about, of rows that are read once more in one go */
    MAX_ROUNDS = 20,      /* a row that moved between all of them is left open */
};

struct suspect {
    struct key key; /* owned */
    unsigned char rows[HASH_BYTES];
};

struct verify {
    const struct verify_options *o;
    struct verify_result result;
    struct suspect *suspects;
    size_t nsuspects, cap;
    size_t row_bytes; /* of a pair of rows, in the last chunk */
};

/* ---- Suspects ---- */

static void hash_rows(const struct link *link, const struct value *left, const struct value *right,
                      unsigned char out[HASH_BYTES])
{
    const struct value *rows[2] = {left, right};
    struct buf all = BUF_INIT;

    for (int s = 0; s < 2; s++) {
        buf_addc(&all, rows[s] != NULL);
        for (size_t i = 0; rows[s] != NULL && i < link->nfields; i++) {
            buf_addc(&all, (char)rows[s][i].state);
            buf_add(&all, &rows[s][i].len, sizeof rows[s][i].len);
            if (rows[s][i].state == VALUE_SET || rows[s][i].state == VALUE_SEALED)
                buf_add(&all, rows[s][i].data, rows[s][i].len);
        }
    }
    hash_sha256(all.data, all.len, out);
    buf_wipe_done(&all);
}

static void suspect_add(struct verify *v, const struct key *k, const struct value *left,
                        const struct value *right)
{
    char *copy = mem_alloc(k->len > 0 ? k->len : 1);

    if (v->nsuspects == v->cap) {
        v->cap = v->cap > 0 ? 2 * v->cap : 64;
        v->suspects = mem_realloc(v->suspects, v->cap * sizeof *v->suspects);
    }
    memcpy(copy, k->data, k->len);
    struct suspect *s = &v->suspects[v->nsuspects++];

    s->key = (struct key){copy, k->len};
    hash_rows(v->o->link, left, right, s->rows);
}

static void verify_done(struct verify *v)
{
    for (size_t i = 0; i < v->nsuspects; i++)
        free((void *)v->suspects[i].key.data);
    free(v->suspects);
}

/* ---- Rounds ---- */

static bool tell_progress(const struct verify *v, struct err *err)
{
    if (v->o->progress(v->o->arg, v->result.compared, v->nsuspects))
        return true;
    return err_set(err, ERR_STOPPED, 0, "stopped");
}

static bool wait_streams(struct verify *v, enum verify_streams *ret_streams, struct err *err)
{
    struct pos ends[2] = {POS_INIT, POS_INIT};
    bool ok = true;

    for (int s = SIDE_LEFT; s <= SIDE_RIGHT && ok; s++)
        ok = v->o->stores[s]->ops->log_end(v->o->stores[s], &ends[s], err);
    for (*ret_streams = VERIFY_LATE; ok && *ret_streams == VERIFY_LATE;) {
        *ret_streams = v->o->wait_passed(v->o->arg, ends);
        ok = tell_progress(v, err);
    }
    if (ok && *ret_streams == VERIFY_STOPPED)
        ok = err_set(err, ERR_STOPPED, 0, "stopped");
    pos_done(&ends[SIDE_LEFT]);
    pos_done(&ends[SIDE_RIGHT]);
    return ok;
}

static void convict(struct verify *v, const struct suspect *s, const struct value *left,
                    const struct value *right, struct arena *arena)
{
    struct verify_difference d = {&s->key, {left, right}, decide_columns(v->o->link, left, right, arena)};

    v->result.differing++;
    v->o->difference(v->o->arg, &d);
}

/* Reads n suspects from number `first` on; those that stay open are kept, at *kept. */
static bool look_again(struct verify *v, size_t first, size_t n, size_t *kept, struct err *err)
{
    const struct value **rows[2];
    struct arena arena;
    bool ok = true;

    arena_init(&arena);
    struct key *keys = arena_alloc(&arena, n * sizeof *keys);

    for (size_t i = 0; i < n; i++)
        keys[i] = v->suspects[first + i].key;
    for (int s = SIDE_LEFT; s <= SIDE_RIGHT && ok; s++) {
        rows[s] = arena_zalloc(&arena, n * sizeof *rows[s]);
        ok = v->o->stores[s]->ops->read(v->o->stores[s], keys, n, rows[s], &arena, err);
    }
    for (size_t i = 0; i < n; i++) {
        struct suspect s = v->suspects[first + i];
        unsigned char before[HASH_BYTES];
        bool open = !ok;

        if (ok && !decide_same(v->o->link, rows[SIDE_LEFT][i], rows[SIDE_RIGHT][i])) {
            memcpy(before, s.rows, sizeof before);
            hash_rows(v->o->link, rows[SIDE_LEFT][i], rows[SIDE_RIGHT][i], s.rows);
            open = memcmp(before, s.rows, sizeof before) != 0;
            if (!open)
                convict(v, &s, rows[SIDE_LEFT][i], rows[SIDE_RIGHT][i], &arena);
        }
        if (open)
            v->suspects[(*kept)++] = s;
        else
            free((void *)s.key.data);
    }
    arena_done(&arena);
    return ok;
}

static bool round_of_looks(struct verify *v, struct err *err)
{
    size_t all = v->nsuspects, kept = 0, done = 0;
    bool ok = true;

    while (done < all && ok) {
        size_t most = READ_BYTES / (v->row_bytes + 1) + 1, n = most < READ_KEYS ? most : READ_KEYS;

        if (n > all - done)
            n = all - done;

        ok = look_again(v, done, n, &kept, err);
        done += n;
        v->nsuspects = kept + (all - done);
        if (ok)
            ok = tell_progress(v, err);
    }
    memmove(v->suspects + kept, v->suspects + done, (all - done) * sizeof *v->suspects);
    v->nsuspects = kept + (all - done);
    return ok;
}

/* Until each suspect is cleared, convicted or known to be restless. */
static bool settle(struct verify *v, struct err *err)
{
    for (int i = 0; i < MAX_ROUNDS && v->nsuspects > 0; i++) {
        enum verify_streams streams;

        if (!wait_streams(v, &streams, err) || !round_of_looks(v, err))
            return false;
    }
    v->result.moving += v->nsuspects;
    for (size_t i = 0; i < v->nsuspects; i++)
        free((void *)v->suspects[i].key.data);
    v->nsuspects = 0;
    return true;
}

/* ---- The walk ---- */

static bool walk_tables(struct verify *v, struct err *err)
{
    struct walk w;
    struct arena arena;
    bool ok = true, more = true;

    walk_init(&w, v->o->link, v->o->stores[SIDE_LEFT], v->o->stores[SIDE_RIGHT], NULL);
    arena_init(&arena);
    while (ok && more) {
        struct walk_chunk c;

        ok = walk_read(&w, v->o->chunk_rows, NULL, &c, &arena, err);
        for (size_t i = 0; ok && i < c.npairs; i++)
            if (!c.pairs[i].same)
                suspect_add(v, &c.pairs[i].key, c.pairs[i].row[SIDE_LEFT], c.pairs[i].row[SIDE_RIGHT]);
        if (ok) {
            v->result.compared += c.npairs;
            v->row_bytes = arena.bytes / (c.npairs + 1);
            more = walk_advance(&w, &c);
            ok = tell_progress(v, err) && (v->nsuspects < MAX_SUSPECTS || settle(v, err));
        }
        arena_reset(&arena);
    }
    arena_done(&arena);
    walk_done(&w);
    return ok;
}

bool verify_run(const struct verify_options *o, struct verify_result *ret_result, struct err *err)
{
    struct verify v = {.o = o};
    bool ok = walk_tables(&v, err) && settle(&v, err);

    *ret_result = v.result;
    verify_done(&v);
    return ok;
}

bool verify_keys(const struct verify_options *o, const struct key *keys, size_t nkeys,
                 struct verify_result *ret_result, struct err *err)
{
    struct verify v = {.o = o};

    for (size_t i = 0; i < nkeys; i++)
        suspect_add(&v, &keys[i], NULL, NULL);
    v.result.compared = nkeys;
    bool ok = settle(&v, err);

    *ret_result = v.result;
    verify_done(&v);
    return ok;
}
