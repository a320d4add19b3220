/*
 * make_seeds.c - the golden logs cut into inputs for the fuzz targets: a first
 * corpus, from which run.sh merge takes what reaches anything new.
 *
 *   make_seeds OUT_FOLDER tests/golden/X...
 *
 * writes OUT_FOLDER/{event,stream,row,json,statement}/X-N.
 */
#include <sys/stat.h>

#include "cdc/binlog/payload.h"
#include "cdc/binlog/tablemap.h"
#include "tests/fuzz/fuzz_row.h"
#include "tests/fuzz/fuzz_stream.h"
#include "tests/golden/golden.h"

static const char *const charset_names[] = {ROW_CHARSETS}, *const base_names[] = {STREAM_BASES};

struct seeds {
    const char *out, *name; /* X without its folder */
    struct golden_links links;
    size_t stream_base;
    unsigned count;
    struct tablemap map;         /* of the last TABLE_MAP */
    struct buf map_event;        /* it as a whole */
    struct event_table_map last; /* points into that */
    bool mapped;
    struct buf whole, group; /* streams: of the log, of the open transaction */
};

static void write_seed(struct seeds *s, const char *target, const void *data, size_t len)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", s->out, target);
    mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s-%u", s->out, target, s->name, s->count++);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0)
        golden_die("cannot write", path);
}

static const struct table *table_of(const struct seeds *s, const struct event_table_map *m)
{
    for (size_t i = 0; i < s->links.ntables; i++) {
        const struct table *t = s->links.tables[i];
        if (strlen(t->name) == m->table_len && memcmp(t->name, m->table, m->table_len) == 0 &&
            t->ncolumns == m->ncolumns)
            return t;
    }
    return NULL;
}

/* ---- stream ---- */

static void add_head(const struct seeds *s, struct buf *out)
{
    buf_addc(out, (char)s->stream_base);
    buf_addc(out, STREAM_DESCRIBES);
    buf_addc(out, 3);
}

static void add_item(struct buf *out, const uint8_t *event, size_t len)
{
    buf_addc(out, (char)len);
    buf_addc(out, (char)(len >> 8));
    buf_add(out, event, len);
}

/* The same with a definition that differs, read when the feed is resumed. */
static void write_differing(struct seeds *s)
{
    struct buf out = BUF_INIT;
    unsigned how = s->count % STREAM_DEFINITIONS;
    buf_addc(&out, (char)s->stream_base);
    buf_addc(&out, STREAM_DESCRIBES | STREAM_REWINDS);
    buf_addc(&out, 3);
    buf_addc(&out, (char)(STREAM_DEFINITION | how << 3));
    buf_addc(&out, (char)(STREAM_ITEM_IS_OTHER >> 8));
    buf_addc(&out, (char)STREAM_RESUME);
    buf_addc(&out, (char)(STREAM_ITEM_IS_OTHER >> 8));
    buf_add(&out, s->group.data + STREAM_HEAD, s->group.len - STREAM_HEAD);
    write_seed(s, "stream", out.data, out.len);
    buf_done(&out);
}

static void write_group(struct seeds *s)
{
    if (s->group.len <= STREAM_HEAD)
        return;
    write_seed(s, "stream", s->group.data, s->group.len);
    write_differing(s);
}

static void add_to_streams(struct seeds *s, const uint8_t *event, size_t len)
{
    uint8_t type = event[4];
    bool begins = type == EVENT_TYPE_GTID || (type >= 33 && type <= 34) ||
                  type == 42; /* MariaDB's; MySQL's three */
    if (len >= STREAM_ITEM_IS_OTHER)
        golden_die("event too long in", s->name);
    if (begins) {
        write_group(s);
        buf_clear(&s->group);
        add_head(s, &s->group);
    }
    if (s->group.len > 0)
        add_item(&s->group, event, len);
    add_item(&s->whole, event, len);
}

/* ---- rows ---- */

static uint8_t charset_of(const struct column *c)
{
    for (size_t i = 0; c->charset != NULL && i < sizeof(charset_names) / sizeof(charset_names[0]); i++)
        if (strcmp(charset_names[i], c->charset) == 0)
            return (uint8_t)i;
    return 0;
}

static void add_column(const struct column *c, struct buf *out)
{
    uint64_t length = c->kind == COL_ENUM || c->kind == COL_SET ? c->nlabels : c->length;
    buf_addc(out, (char)c->kind);
    buf_addc(out, (char)((c->is_unsigned ? ROW_UNSIGNED : 0) | (c->fixed_length ? ROW_FIXED : 0)));
    buf_addc(out, (char)charset_of(c));
    buf_addc(out, (char)(length > 255 ? 255 : length));
    buf_addc(out, (char)c->precision);
    buf_addc(out, (char)c->scale);
}

static void make_row(struct seeds *s, const struct table *t, const struct event_rows *r, const uint8_t *data,
                     size_t len)
{
    const struct event_table_map *m = &s->last;
    struct buf out = BUF_INIT;
    size_t optional_len = m->optional_len > 255 ? 0 : m->optional_len, bits = (r->ncolumns + 7) / 8;
    if (t->ncolumns > ROW_COLUMNS || m->meta_len > 255 || len > 4096)
        return;
    buf_addc(&out, (char)(t->ncolumns - 1));
    for (size_t i = 0; i < t->ncolumns; i++)
        add_column(&t->columns[i], &out);
    buf_add(&out, m->types, m->ncolumns);
    buf_addc(&out, (char)m->meta_len);
    buf_add(&out, m->meta, m->meta_len);
    buf_addc(&out, (char)optional_len);
    buf_add(&out, m->optional, optional_len);
    buf_addc(&out, (char)((r->op == EVENT_UPDATE ? ROW_UPDATE : 0) | (r->partial ? ROW_PARTIAL : 0)));
    buf_add(&out, r->present[0], bits);
    if (r->op == EVENT_UPDATE)
        buf_add(&out, r->present[1], bits);
    buf_add(&out, data, len);
    write_seed(s, "row", out.data, out.len);
    buf_done(&out);
}

/* JSON columns read as if they were blobs: their bytes as they are. */
static void make_json(struct seeds *s, const struct table *t, const struct event_rows *r, const uint8_t *data,
                      size_t len)
{
    static const struct column bytes = {.name = "json", .kind = COL_BINARY};
    struct rows_column *columns = mem_zalloc(t->ncolumns, sizeof(*columns));
    struct rows_want *wants = mem_zalloc(t->ncolumns, sizeof(*wants));
    struct value *row = mem_zalloc(t->ncolumns, sizeof(*row));
    size_t n = 0;
    for (size_t i = 0; i < t->ncolumns; i++) {
        columns[i] = s->map.columns[i];
        if (columns[i].type != ROWS_JSON)
            continue;
        columns[i].type = ROWS_BLOB;
        wants[n] = (struct rows_want){i, &bytes, NULL, n};
        n++;
    }
    struct cursor c = cursor_of(data, len);
    struct arena arena;
    arena_init(&arena);
    for (size_t nth = 0; n > 0 && cursor_left(&c) > 0; nth++) {
        struct err err = ERR_INIT;
        if (!rows_image(&c, columns, t->ncolumns, r->present[r->op == EVENT_UPDATE ? nth % 2 : 0], wants, n,
                        row, &arena, &err))
            break;
        for (size_t i = 0; i < n; i++)
            if (row[i].state == VALUE_SET && row[i].len < 8192)
                write_seed(s, "json", row[i].data, row[i].len);
    }
    arena_done(&arena);
    free(columns);
    free(wants);
    free(row);
}

static void take_rows(struct seeds *s, const struct event_rows *r)
{
    const struct table *t = s->mapped ? table_of(s, &s->last) : NULL;
    struct buf scratch = BUF_INIT;
    struct err err = ERR_INIT;
    const uint8_t *data;
    size_t len;
    if (t != NULL && r->ncolumns == t->ncolumns && event_rows_data(r, &scratch, &data, &len, &err)) {
        make_row(s, t, r, data, len);
        if (!r->partial)
            make_json(s, t, r, data, len);
    }
    buf_done(&scratch);
}

/* ---- statements ---- */

static void take_query(struct seeds *s, const struct event_query *q)
{
    static const char names[] = "app\0app\0users\0name"; /* and the NUL that ends it */
    struct buf out = BUF_INIT;
    buf_add(&out, names, sizeof(names));
    buf_add(&out, q->sql, q->sql_len);
    write_seed(s, "statement", out.data, out.len);
    buf_done(&out);
}

static void take_event(struct seeds *s, const uint8_t *event, size_t len);

/* An event of a payload lives no longer than to the next one. */
static void take_map(struct seeds *s, const uint8_t *event, size_t len)
{
    struct buf scratch = BUF_INIT;
    struct event e;
    struct err err = ERR_INIT;
    bool same;
    buf_clear(&s->map_event);
    buf_add(&s->map_event, event, len);
    if (!event_decode((const uint8_t *)s->map_event.data, len, &scratch, &e, &err))
        golden_die(err.text, s->name);
    s->last = e.map;
    s->mapped = tablemap_take(&s->map, &e.map, &same, &err);
    buf_done(&scratch);
}

static void take_payload(struct seeds *s, const struct event_payload *e)
{
    struct payload *p = payload_new();
    struct err err = ERR_INIT;
    const uint8_t *event;
    size_t len;
    bool ok = payload_open(p, e->body, e->len, &err);
    while (ok && payload_next(p, &event, &len, &err) && event != NULL)
        take_event(s, event, len);
    payload_free(p);
}

static void take_event(struct seeds *s, const uint8_t *event, size_t len)
{
    struct buf scratch = BUF_INIT;
    struct event e;
    struct err err = ERR_INIT;
    if (len < 4096) /* row events of large transactions are much alike */
        write_seed(s, "event", event, len);
    if (event_decode(event, len, &scratch, &e, &err)) {
        if (e.kind == EVENT_TABLE_MAP) {
            take_map(s, event, len);
        } else if (e.kind == EVENT_ROWS) {
            take_rows(s, &e.rows);
        } else if (e.kind == EVENT_QUERY) {
            take_query(s, &e.query);
        } else if (e.kind == EVENT_PAYLOAD) {
            take_payload(s, &e.payload);
        }
    }
    buf_done(&scratch);
}

/* The base of the same name, or of the same kind of server and statements, or the one that the same tables are in. */
static size_t stream_base(const char *name)
{
    size_t n = sizeof(base_names) / sizeof(base_names[0]), kind = strcspn(name, "-"), at = n;
    const char *part = name + kind + 1 + strcspn(name + kind + 1, "-");
    for (size_t i = 0; i < n; i++) {
        const char *base = base_names[i], *base_part = base + kind + 1 + strcspn(base + kind + 1, "-");
        if (strncmp(base, name, kind + 1) == 0 &&
            strcmp(base_part, strcmp(part, "-anonymous") == 0 ? "-tagged" : part) == 0)
            at = i;
    }
    if (at == n)
        golden_die("no tables are known for", name);
    return at;
}

static void make_seeds(const char *out, const char *base)
{
    struct seeds s = {.out = out, .name = strrchr(base, '/') != NULL ? strrchr(base, '/') + 1 : base};
    struct golden_log log;
    const uint8_t *event;
    size_t len;
    s.stream_base = stream_base(s.name);
    golden_links_load(&s.links, base);
    golden_log_open(&log, base);
    add_head(&s, &s.whole);
    while (golden_log_next(&log, &event, &len)) {
        add_to_streams(&s, event, len);
        take_event(&s, event, len);
    }
    write_seed(&s, "stream", s.whole.data, s.whole.len);
    write_group(&s);
    printf("%s: %u inputs\n", s.name, s.count);
    tablemap_done(&s.map);
    golden_links_done(&s.links);
    buf_done(&log.bytes);
    buf_done(&s.map_event);
    buf_done(&s.whole);
    buf_done(&s.group);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: make_seeds OUT_FOLDER tests/golden/X...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        make_seeds(argv[1], argv[i]);
    return 0;
}
