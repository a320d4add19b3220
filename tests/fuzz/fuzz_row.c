/*
 * Row images of a table of any shape: columns as information_schema has them, the
 * table map's bytes, then row images until the input ends.
 *
 *   0     n - 1: columns, at most ROW_COLUMNS
 *   1     n times 6 bytes: kind, flags (ROW_...), character set, length, precision, scale
 *         n type bytes
 *         length, metadata
 *         length, optional metadata
 *         flags: ROW_UPDATE, ROW_PARTIAL
 *         present bits, of an update twice
 *         row images
 */
#include "tests/fuzz/fuzz_row.h"

#include "cdc/binlog/tablemap.h"
#include "tests/fuzz/fuzz.h"

#define NLABELS 80

static const char *const set_names[] = {ROW_CHARSETS};
#define NSETS (sizeof(set_names) / sizeof(set_names[0]))

static struct charset *charsets[NSETS]; /* slow to make: kept from input to input */
static char label_text[NLABELS][8];

struct shape {
    struct table table;
    struct column columns[ROW_COLUMNS];
    char names[ROW_COLUMNS][8];
    struct rows_want wants[ROW_COLUMNS];
    size_t nwants;
    struct event_table_map map;
    bool update, partial;
    const uint8_t *present[2];
};

static void make_constants(void)
{
    struct err err = ERR_INIT;
    for (size_t i = 0; i < NSETS; i++)
        fuzz_check(charset_new(set_names[i], &charsets[i], &err));
    for (size_t i = 0; i < NLABELS; i++)
        snprintf(label_text[i], sizeof(label_text[i]), "%s%zu", i % 3 == 0 ? "é" : "l", i);
}

/* In memory of exactly their number. */
static void add_labels(struct column *c, size_t n)
{
    c->labels = mem_alloc(n * sizeof(*c->labels));
    c->nlabels = n;
    for (size_t i = 0; i < n; i++)
        c->labels[i] = label_text[i];
}

static void read_column(struct input *in, struct shape *s, size_t i)
{
    struct column *c = &s->columns[i];
    snprintf(s->names[i], sizeof(s->names[i]), "c%zu", i);
    c->name = c->type_text = s->names[i];
    c->ordinal = i;
    c->kind = (enum column_kind)(input_byte(in) % (COL_OTHER + 1));
    uint8_t flags = input_byte(in), set = input_byte(in), length = input_byte(in);
    c->precision = input_byte(in);
    c->scale = input_byte(in);
    c->is_unsigned = (flags & ROW_UNSIGNED) != 0;
    c->fixed_length = (flags & ROW_FIXED) != 0;
    c->length = length;
    if (c->kind == COL_ENUM || c->kind == COL_SET)
        add_labels(c, length % (c->kind == COL_SET ? 65 : NLABELS + 1));
    if (c->kind == COL_OTHER || (flags & ROW_UNWANTED) != 0)
        return;
    struct charset *charset = c->kind == COL_TEXT ? charsets[set % NSETS] : NULL;
    s->wants[s->nwants] = (struct rows_want){i, c, charset, s->nwants};
    s->nwants++;
}

static const uint8_t *take(struct input *in, size_t len)
{
    const uint8_t *at = in->p;
    fuzz_check(len <= in->len);
    in->p += len;
    in->len -= len;
    return at;
}

static bool read_shape(struct input *in, struct shape *s)
{
    *s = (struct shape){0};
    size_t n = input_byte(in) % ROW_COLUMNS + 1;
    s->table = (struct table){.db = "d", .name = "t", .columns = s->columns, .ncolumns = n};
    for (size_t i = 0; i < n; i++)
        read_column(in, s, i);

    struct event_table_map *m = &s->map;
    m->db = m->table = "t";
    m->db_len = m->table_len = 1;
    if (in->len < n)
        return false;
    m->ncolumns = n;
    m->types = take(in, n);
    size_t meta_len = input_byte(in);
    if (in->len < meta_len)
        return false;
    m->meta_len = meta_len;
    m->meta = take(in, meta_len);
    size_t optional_len = input_byte(in);
    if (in->len < optional_len)
        return false;
    m->optional_len = optional_len;
    m->optional = take(in, optional_len);
    uint8_t flags = input_byte(in);
    s->update = (flags & ROW_UPDATE) != 0;
    s->partial = (flags & ROW_PARTIAL) != 0;
    size_t bits = (n + 7) / 8;
    if (in->len < bits * (s->update ? 2 : 1))
        return false;
    s->present[0] = s->present[1] = take(in, bits);
    if (s->update)
        s->present[1] = take(in, bits);
    return true;
}

static bool is_text_of_numbers(enum column_kind kind)
{
    return kind == COL_INT || kind == COL_DECIMAL || kind == COL_BIT || kind == COL_YEAR ||
           kind == COL_DATE || kind == COL_TIME || kind == COL_DATETIME || kind == COL_TIMESTAMP;
}

/* What a SELECT would have brought must compare equal: a canonical value is its own canonical form. */
static void check_value(const struct column *c, const struct value *v, struct arena *arena)
{
    if (v->state != VALUE_SET) {
        if (v->state == VALUE_SEALED) /* its bytes are no text */
            fuzz_touch(v->data, v->len);
        fuzz_check(v->state == VALUE_NULL || v->state == VALUE_MISSING ||
                   (v->state == VALUE_SEALED && c->kind == COL_TEXT));
        return;
    }
    fuzz_touch(v->data, v->len);
    fuzz_check(v->len == 0 || v->data != NULL);
    if (!is_text_of_numbers(c->kind))
        return;
    for (size_t i = 0; i < v->len; i++)
        fuzz_check(strchr("0123456789-.: ", v->data[i]) != NULL && v->data[i] != '\0');
    if (c->kind == COL_INT || c->kind == COL_DECIMAL) {
        struct value again;
        column_canonical(c, v->data, v->len, arena, &again);
        fuzz_check(value_equal(v, &again));
    }
}

/* A text that came from a set is written in that set, and read from there as the same. */
static void check_charset(const struct charset *c, const struct value *v, struct arena *arena)
{
    struct buf bytes = BUF_INIT;
    const char *text;
    size_t len;
    if (v->state != VALUE_SET)
        return;
    buf_adds(&bytes, "");
    fuzz_check(charset_from_utf8(c, v->data, v->len, &bytes));
    fuzz_check(charset_to_utf8(c, bytes.data, bytes.len, arena, &text, &len));
    fuzz_check(len == v->len && (len == 0 || memcmp(text, v->data, len) == 0));
    buf_done(&bytes);
}

static void read_rows(const struct shape *s, const struct rows_column *columns, const uint8_t *data,
                      size_t len)
{
    struct value row[ROW_COLUMNS];
    struct arena arena;
    struct cursor c = cursor_of(data, len);
    arena_init(&arena);
    for (size_t nth = 0; cursor_left(&c) > 0; nth++) {
        const uint8_t *start = c.p;
        struct err err = ERR_INIT;
        arena_reset(&arena);
        size_t which = s->update ? nth % 2 : 0; /* before, after */
        if (!(s->partial && which == 1 ? rows_partial_image : rows_image)(
                &c, columns, s->map.ncolumns, s->present[which], s->wants, s->nwants, row, &arena, &err)) {
            fuzz_check(err.kind == ERR_HALT && err.text[0] != '\0');
            break;
        }
        fuzz_check(c.p >= start && c.p <= data + len);
        for (size_t i = 0; i < s->nwants; i++) {
            check_value(s->wants[i].column, &row[i], &arena);
            if (s->wants[i].charset != NULL)
                check_charset(s->wants[i].charset, &row[i], &arena);
        }
        if (c.p == start)
            break;
    }
    arena_done(&arena);
}

static void read_table(struct input *in, const struct shape *s)
{
    struct rows_column columns[ROW_COLUMNS];
    struct err err = ERR_INIT;
    if (!rows_columns(&s->map, columns, &err) || !rows_check_table(&s->map, columns, &s->table, &err)) {
        fuzz_check(err.kind == ERR_HALT && err.text[0] != '\0');
        return;
    }
    size_t len;
    uint8_t *images = input_copy(in, in->len, &len);
    read_rows(s, columns, images, len);
    free(images);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct shape s;
    if (charsets[0] == NULL)
        make_constants();
    if (read_shape(&in, &s))
        read_table(&in, &s);
    for (size_t i = 0; i < s.table.ncolumns; i++)
        free(s.columns[i].labels);
    return 0;
}
