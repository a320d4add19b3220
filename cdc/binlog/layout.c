/*
 * What may change about a mapped column while the stream runs?
 *
 * Its place: it is found by name. What only admits more values, and is told by
 * the event itself or by the new definition: a longer VARCHAR or TEXT, labels
 * behind those an ENUM or SET had, NULL, another collation where it is not the
 * key's (it says which keys are one). Everything else ends
 * the direction. Often the values could be read, but the statement may have
 * changed those that the table holds, in strict mode or not, and no row event
 * tells that: a text cut off, characters that the new set lacks, NULLs that became
 * empty. And the link was judged by the columns as they were (does one side hold
 * what the other sends?), which is done again when it is built again.
 */
#include "cdc/binlog/layout.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"

/* Wants in order of their columns, as rows_image() walks. */
static int by_ordinal(const void *a, const void *b)
{
    const struct rows_want *x = a, *y = b;
    return x->ordinal < y->ordinal ? -1 : x->ordinal > y->ordinal;
}

bool layout_init(struct layout *l, const struct link *link, enum side from, struct err *err)
{
    bool ok = true;
    struct err why = ERR_INIT;
    *l = (struct layout){.link = link, .from = from, .table = link->table[from], .nwants = link->nfields};
    l->wants = mem_zalloc(link->nfields, sizeof(*l->wants));
    l->charsets = mem_zalloc(link->nfields, sizeof(struct charset *));
    for (size_t i = 0; i < link->nfields; i++) {
        const struct column *c = link->fields[i].column[from];
        if (c->kind == COL_OTHER)
            ok = err_set(err, ERR_HALT, 0, "column %s has a type that cannot be mapped", c->name);
        else if (c->kind == COL_TEXT && !charset_new(c->charset, &l->charsets[i], &why))
            ok = err_set(err, ERR_HALT, 0, "column %s: %s", c->name, why.text);
        l->wants[i] = (struct rows_want){c->ordinal, c, l->charsets[i], i};
    }
    qsort(l->wants, l->nwants, sizeof(*l->wants), by_ordinal);
    return ok;
}

void layout_done(struct layout *l)
{
    for (size_t i = 0; l->charsets != NULL && i < l->link->nfields; i++)
        charset_free(l->charsets[i]);
    free(l->charsets);
    free(l->wants);
    table_free(l->taken);
    *l = (struct layout){0};
}

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcasecmp(a, b) == 0;
}

/* More characters, or a TEXT for a VARCHAR. Not CHAR and BINARY: what they drop or pad depends on the length. */
static bool is_longer(const struct column *was, const struct column *is)
{
    return (is->kind == COL_TEXT || is->kind == COL_BINARY) && !was->fixed_length && !is->fixed_length &&
           is->length >= was->length;
}

/* Labels are numbers in the log: those that were there keep theirs. */
static bool has_more_labels(const struct column *was, const struct column *is)
{
    if ((is->kind != COL_ENUM && is->kind != COL_SET) || is->nlabels < was->nlabels)
        return false;
    for (size_t i = 0; i < was->nlabels; i++)
        if (strcmp(was->labels[i], is->labels[i]) != 0)
            return false;
    return true;
}

static bool still_fits(const struct column *was, const struct column *is, bool is_key)
{
    if (is->kind != was->kind || is->is_unsigned != was->is_unsigned || is->generated != was->generated ||
        is->precision != was->precision || is->scale != was->scale || !same_text(is->charset, was->charset) ||
        (was->nullable && !is->nullable))
        return false;
    if (is_key && !same_text(is->collation, was->collation))
        return false;
    return strcmp(is->type_text, was->type_text) == 0 || is_longer(was, is) || has_more_labels(was, is);
}

/* Long lists of labels are cut. */
static void describe(struct buf *out, const struct column *c, const struct column *other)
{
    buf_addf(out, "%.60s%s", c->type_text, strlen(c->type_text) > 60 ? "..." : "");
    if (!same_text(c->charset, other->charset) && c->charset != NULL)
        buf_addf(out, " %s", c->charset);
    else if (!same_text(c->collation, other->collation) && c->collation != NULL)
        buf_addf(out, " %s", c->collation);
    if (c->nullable != other->nullable)
        buf_adds(out, c->nullable ? " NULL" : " NOT NULL");
    if (c->generated != other->generated)
        buf_adds(out, c->generated ? " generated" : " not generated");
}

static bool differs(const struct table *t, const struct column *was, const struct column *is, struct err *err)
{
    struct buf new_type = BUF_INIT, old_type = BUF_INIT;
    describe(&new_type, is, was);
    describe(&old_type, was, is);
    err_set(err, ERR_HALT, 0, "column %s of %s.%s is %s now, not %s", was->name, t->db, t->name,
            new_type.data, old_type.data);
    buf_done(&new_type);
    buf_done(&old_type);
    return false;
}

static bool is_key_field(const struct link *link, size_t field)
{
    for (size_t i = 0; i < link->nkey; i++)
        if (link->key[i] == field)
            return true;
    return false;
}

/* Without it two rows may have one key. */
static bool has_key(const struct layout *l, const struct table *now)
{
    const struct link *link = l->link;
    size_t *ordinals = mem_zalloc(link->nkey + 1, sizeof(*ordinals));
    for (size_t i = 0; i < link->nkey; i++)
        ordinals[i] = table_column(now, link->fields[link->key[i]].column[l->from]->name)->ordinal;
    bool has = table_find_key(now, ordinals, link->nkey) != NULL;
    free(ordinals);
    return has;
}

static bool check(const struct layout *l, const struct table *now, struct err *err)
{
    for (size_t i = 0; i < l->link->nfields; i++) {
        const struct column *was = l->link->fields[i].column[l->from], *is = table_column(now, was->name);
        if (is == NULL)
            return err_set(err, ERR_HALT, 0, "column %s of %s.%s is gone", was->name, now->db, now->name);
        if (!still_fits(was, is, is_key_field(l->link, i)))
            return differs(now, was, is, err);
    }
    if (l->link->index[l->from] != NULL && !has_key(l, now))
        return err_set(err, ERR_HALT, 0, "%s.%s has no unique index over the key any more", now->db,
                       now->name);
    return true;
}

bool layout_renew(struct layout *l, struct table *now, struct err *err)
{
    if (!check(l, now, err))
        return false;
    for (size_t i = 0; i < l->nwants; i++) {
        struct rows_want *w = &l->wants[i];
        w->column = table_column(now, l->link->fields[w->field].column[l->from]->name);
        w->ordinal = w->column->ordinal;
    }
    qsort(l->wants, l->nwants, sizeof(*l->wants), by_ordinal);
    table_free(l->taken);
    l->table = l->taken = now;
    return true;
}
