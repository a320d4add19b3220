/*
 * A stream of events into the machine that makes transactions of them, with the
 * tables of the golden files, feeds that leave and are resumed, transactions that
 * are refused and streams that break off. See fuzz_stream.h for the form.
 */
#include "tests/fuzz/fuzz_stream.h"

#include "tests/fuzz/fuzz.h"
#include "tests/golden/golden.h"

static const char *const base_names[] = {STREAM_BASES};
#define NBASES (sizeof(base_names) / sizeof(base_names[0]))
#define MAX_FEEDS 16

static struct golden_links bases[NBASES]; /* read once, used by every input */
static bool loaded[NBASES];

struct run {
    const struct golden_links *links;
    struct assemble *assemble;
    bool by_file;
    enum stream_definition definition;
    bool refuse, no_definition; /* the next time */
};

static void touch_row(const struct link *l, const struct value *row)
{
    for (size_t i = 0; row != NULL && i < l->nfields; i++) {
        fuzz_check(row[i].state != VALUE_SET || row[i].len == 0 || row[i].data != NULL);
        if (row[i].state == VALUE_SET || row[i].state == VALUE_SEALED)
            fuzz_touch(row[i].data, row[i].len);
    }
}

static bool put(void *arg, size_t feed, struct tx *tx)
{
    struct run *r = arg;
    const struct link *l = r->links->links[feed];
    if (r->refuse) {
        r->refuse = false;
        return false;
    }
    fuzz_check(assemble_serves(r->assemble, feed));
    fuzz_check(!tx->echo || tx->nchanges == 0);
    uint64_t last = 0;
    for (size_t i = 0; i < tx->nchanges; i++) {
        const struct change *c = &tx->changes[i];
        fuzz_check(c->before != NULL || c->after != NULL);
        fuzz_check(c->row_no >= last && (tx->rows_done == 0 || c->row_no <= tx->rows_done));
        last = c->row_no;
        fuzz_touch(c->key.data, c->key.len);
        touch_row(l, c->before);
        touch_row(l, c->after);
    }
    struct buf text = BUF_INIT;
    golden_print_tx(&text, l, tx);
    buf_done(&text);
    tx_free(tx);
    return true;
}

static void halt(void *arg, size_t feed, const char *why)
{
    struct run *r = arg;
    fuzz_check(feed < r->links->nlinks && why[0] != '\0');
}

static void lose(void *arg, size_t feed, const char *why)
{
    struct run *r = arg;
    halt(arg, feed, why);
    fuzz_check(!assemble_serves(r->assemble, feed));
}

static void echo(void *arg, size_t feed)
{
    struct run *r = arg;
    fuzz_check(feed < r->links->nlinks);
}

static char *copy_text(const char *text) { return text != NULL ? mem_strdup(text) : NULL; }

static struct table *copy_table(const struct table *from)
{
    struct table *t = mem_zalloc(1, sizeof(*t));
    t->db = mem_strdup(from->db);
    t->name = mem_strdup(from->name);
    t->columns = mem_zalloc(from->ncolumns, sizeof(*t->columns));
    t->ncolumns = from->ncolumns;
    for (size_t i = 0; i < t->ncolumns; i++) {
        struct column *c = &t->columns[i];
        *c = from->columns[i];
        c->name = mem_strdup(c->name);
        c->type_text = copy_text(c->type_text);
        c->charset = copy_text(c->charset);
        c->collation = copy_text(c->collation);
        c->labels = mem_zalloc(c->nlabels, sizeof(*c->labels));
        for (size_t k = 0; k < c->nlabels; k++)
            c->labels[k] = mem_strdup(from->columns[i].labels[k]);
    }
    return t;
}

static void free_column(struct column *c)
{
    free(c->name);
    free(c->type_text);
    free(c->charset);
    free(c->collation);
    for (size_t i = 0; i < c->nlabels; i++)
        free(c->labels[i]);
    free(c->labels);
}

/* The first column goes, or another one comes before it. */
static void move_columns(struct table *t, bool gone)
{
    if (gone) {
        free_column(&t->columns[0]);
        memmove(&t->columns[0], &t->columns[1], --t->ncolumns * sizeof(*t->columns));
    } else {
        t->columns = mem_realloc(t->columns, (t->ncolumns + 1) * sizeof(*t->columns));
        memmove(&t->columns[1], &t->columns[0], t->ncolumns++ * sizeof(*t->columns));
        t->columns[0] = (struct column){
            .name = mem_strdup("front"), .type_text = mem_strdup("int(11)"), .kind = COL_INT, .length = 4};
    }
    for (size_t i = 0; i < t->ncolumns; i++)
        t->columns[i].ordinal = i;
}

static void set_text(char **text, const char *to)
{
    free(*text);
    *text = mem_strdup(to);
}

static void differ(struct column *c, enum stream_definition how)
{
    if (how == STREAM_MORE_LABELS && c->nlabels > 0) {
        c->labels = mem_realloc(c->labels, (c->nlabels + 1) * sizeof(*c->labels));
        c->labels[c->nlabels++] = mem_strdup("one more");
        set_text(&c->type_text, "enum('more')");
    } else if (how == STREAM_OTHER_CHARSET && c->charset != NULL) {
        set_text(&c->charset, "cp850");
    } else if ((how == STREAM_LONGER || how == STREAM_SHORTER) && c->kind == COL_TEXT) {
        c->length = how == STREAM_LONGER ? c->length + 1 : c->length / 2;
        set_text(&c->type_text, "varchar(n)");
    }
}

static void make_differ(struct table *t, enum stream_definition how)
{
    if (how == STREAM_NO_COLUMN || how == STREAM_COLUMN_IN_FRONT)
        move_columns(t, how == STREAM_NO_COLUMN);
    for (size_t i = 0; i < t->ncolumns; i++)
        differ(&t->columns[i], how);
}

static bool describe(void *arg, size_t feed, struct table **ret_table, struct pos *ret_at, struct err *err)
{
    struct run *r = arg;
    if (r->no_definition) {
        r->no_definition = false;
        return err_set(err, feed % 2 == 0 ? ERR_RETRY : ERR_HALT, 0, "no definition");
    }
    *ret_table = copy_table(r->links->links[feed]->table[SIDE_LEFT]);
    make_differ(*ret_table, r->definition);
    pos_copy(ret_at, assemble_pos(r->assemble));
    if (r->definition == STREAM_FAR_AHEAD) {
        struct gtid far = ret_at->set.nsources > 0 ? (struct gtid){.kind = GTID_MYSQL, .seq = 1 << 20}
                                                   : gtid_mariadb(0, 1, 1 << 20);
        memset(far.uuid, 0x11, sizeof(far.uuid));
        pos_add_gtid(ret_at, &far);
        pos_set_file(ret_at, "bin.000001", 10, 1 << 30);
    }
    return true;
}

static void begin(struct run *r)
{
    struct pos from = POS_INIT;
    struct err err = ERR_INIT;
    if (!assemble_renew(r->assemble, &err)) /* then before the first rows, if they come */
        fuzz_check(err.kind == ERR_RETRY);
    assemble_start(r->assemble, &from);
    assemble_opened(r->assemble, "1", r->by_file);
    pos_done(&from);
}

static void resume(struct run *r, size_t feed, uint64_t rows)
{
    struct err err = ERR_INIT;
    struct pos at = POS_INIT;
    pos_copy(&at, assemble_pos(r->assemble));
    if (pos_is_unset(&at))
        pos_set_file(&at, "bin.000001", 10, 4);
    fuzz_check(assemble_resume(r->assemble, feed, &at, rows, &err) || err.kind == ERR_HALT);
    pos_done(&at);
    begin(r);
}

static void happen(struct run *r, unsigned what)
{
    size_t feed = (what >> 3 & 15) % r->links->nlinks;
    switch (what & 7) {
    case STREAM_BEGIN: begin(r); break;
    case STREAM_LEAVE: assemble_leave(r->assemble, feed); break;
    case STREAM_RESUME: resume(r, feed, 0); break;
    case STREAM_RESUME_BEHIND_ROWS: resume(r, feed, 2); break;
    case STREAM_REFUSE: r->refuse = true; break;
    case STREAM_NO_DEFINITION: r->no_definition = true; break;
    case STREAM_DEFINITION:
        r->definition = (enum stream_definition)((what >> 3 & 15) % STREAM_DEFINITIONS);
        break;
    case STREAM_WHERE:
        if (assemble_is_first(r->assemble, feed))
            fuzz_check(assemble_serves(r->assemble, feed));
        fuzz_check(assemble_pos(r->assemble) != NULL);
        break;
    }
}

/* False: the stream has begun again. */
static bool feed_event(struct run *r, const uint8_t *event, size_t len)
{
    struct err err = ERR_INIT;
    bool moved;
    if (assemble_event(r->assemble, event, len, &moved, &err)) {
        if (moved) {
            char at[64];
            pos_print_file(assemble_pos(r->assemble), at, sizeof(at));
        }
        return true;
    }
    fuzz_check(err.kind == ERR_RETRY || err.kind == ERR_HALT || err.kind == ERR_STOPPED);
    fuzz_check(err.text[0] != '\0');
    begin(r); /* what a reader does: it connects anew */
    return false;
}

#define MAX_REWINDS 3

static void run_items(struct run *r, const struct input *items, bool rewinds)
{
    struct input in = *items;
    unsigned rewound = 0;
    while (in.len > 0) {
        unsigned item = input_u16(&in);
        if ((item & STREAM_ITEM_IS_OTHER) != 0) {
            happen(r, item);
            continue;
        }
        size_t len;
        uint8_t *event = input_copy(&in, item, &len);
        if (!feed_event(r, event, len) && rewinds && rewound++ < MAX_REWINDS)
            in = *items;
        free(event);
    }
}

static const struct golden_links *load(size_t which)
{
    if (!loaded[which]) {
        char path[128];
        snprintf(path, sizeof(path), "tests/golden/%s", base_names[which]);
        golden_links_load(&bases[which], path);
        fuzz_check(bases[which].nlinks > 0 && bases[which].nlinks <= MAX_FEEDS);
        loaded[which] = true;
    }
    return &bases[which];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct run r = {.links = load(input_byte(&in) % NBASES)};
    uint8_t flags = input_byte(&in), part = input_byte(&in);
    r.by_file = (flags & STREAM_BY_FILE) != 0;
    struct assemble_feed feeds[MAX_FEEDS];
    for (size_t i = 0; i < r.links->nlinks; i++)
        feeds[i] = (struct assemble_feed){r.links->links[i], SIDE_LEFT};
    struct assemble_options options = {
        .state_database = "twinlog",
        .feeds = feeds,
        .nfeeds = r.links->nlinks,
        .part_rows = part > 0 ? part : 1,
        .part_bytes = (flags & STREAM_SMALL_PARTS) != 0 ? 512 : (size_t)1 << 20,
        .keep_bytes = (flags & STREAM_KEEPS_LITTLE) != 0 ? 512 : 0,
        .put = put,
        .halt = halt,
        .lose = lose,
        .describe = (flags & STREAM_DESCRIBES) != 0 ? describe : NULL,
        .echo = echo,
        .arg = &r,
    };
    r.assemble = assemble_new(&options);
    for (size_t i = 0; i < r.links->nlinks; i++)
        resume(&r, i, 0);
    run_items(&r, &in, (flags & STREAM_REWINDS) != 0);
    assemble_free(r.assemble);
    return 0;
}

#ifdef FUZZ_MUTATOR
/* ---- mutations that leave the list of events whole ---- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_out, unsigned seed);

#define MAX_ITEMS 1024

struct items {
    struct item {
        const uint8_t *p; /* with its number */
        size_t len;
    } item[MAX_ITEMS];
    size_t n;
};

static unsigned roll(unsigned *state, size_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return below > 0 ? (*state >> 8) % (unsigned)below : 0;
}

static void split(const uint8_t *data, size_t size, struct items *out)
{
    out->n = 0;
    while (size >= 2 && out->n < MAX_ITEMS) {
        size_t number = data[0] | (size_t)data[1] << 8,
               len = 2 + ((number & STREAM_ITEM_IS_OTHER) != 0 ? 0 : number);
        if (len > size)
            len = size;
        out->item[out->n++] = (struct item){data, len};
        data += len;
        size -= len;
    }
}

/* Into out, as many as find room. */
static size_t join(const struct items *items, uint8_t *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < items->n && n + items->item[i].len <= max; i++) {
        memcpy(out + n, items->item[i].p, items->item[i].len);
        n += items->item[i].len;
    }
    return n;
}

static void insert(struct items *items, size_t at, struct item item)
{
    if (items->n == MAX_ITEMS)
        return;
    memmove(&items->item[at + 1], &items->item[at], (items->n - at) * sizeof(struct item));
    items->item[at] = item;
    items->n++;
}

static void take_out(struct items *items, size_t at)
{
    items->n--;
    memmove(&items->item[at], &items->item[at + 1], (items->n - at) * sizeof(struct item));
}

/* One event's body, rarely its header, with the header's size made to fit. */
static void mutate_event(struct item *item, uint8_t *room, size_t room_len, unsigned *seed)
{
    size_t len = item->len - 2, keep = len > EVENT_HEADER_BYTES && roll(seed, 8) > 0 ? EVENT_HEADER_BYTES : 0;
    if (len > room_len - 2)
        return;
    memcpy(room, item->p, item->len);
    size_t max = len + 64 < room_len - 2 ? len + 64 : room_len - 2;
    size_t now = keep + LLVMFuzzerMutate(room + 2 + keep, len - keep, max - keep);
    room[0] = (uint8_t)now;
    room[1] = (uint8_t)(now >> 8);
    if (keep > 0) {
        size_t in_file = now + 4; /* with the checksum */
        for (size_t i = 0; i < 4; i++)
            room[2 + 9 + i] = (uint8_t)(in_file >> 8 * i);
    }
    *item = (struct item){room, now + 2};
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static struct items items;
    static uint8_t room[1 << 15], other[2], out[1 << 20];
    if (size < STREAM_HEAD + 2 || size > sizeof(out) || max_size > sizeof(out) || roll(&seed, 16) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    split(data + STREAM_HEAD, size - STREAM_HEAD, &items);
    size_t a = roll(&seed, items.n), b = roll(&seed, items.n);
    struct item swapped = items.item[a];
    switch (roll(&seed, 12)) {
    case 0: take_out(&items, a); break;
    case 1: insert(&items, b, swapped); break;
    case 2:
        items.item[a] = items.item[b];
        items.item[b] = swapped;
        break;
    case 3:
        other[0] = (uint8_t)roll(&seed, 128);
        other[1] = STREAM_ITEM_IS_OTHER >> 8;
        insert(&items, a, (struct item){other, 2});
        break;
    case 4: data[roll(&seed, STREAM_HEAD)] = (uint8_t)roll(&seed, 256); break;
    case 5: items.n = a + 1; break;
    default:
        if (swapped.len > 2)
            mutate_event(&items.item[a], room, sizeof(room), &seed);
        break;
    }
    memcpy(out, data, STREAM_HEAD);
    size_t n = STREAM_HEAD + join(&items, out + STREAM_HEAD, max_size - STREAM_HEAD);
    memcpy(data, out, n);
    return n;
}

/* The events of one up to a place, then those of the other from a place. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data1, size_t size1, const uint8_t *data2, size_t size2,
                                 uint8_t *out, size_t max_out, unsigned seed)
{
    static struct items one, two;
    if (size1 < STREAM_HEAD + 2 || size2 < STREAM_HEAD + 2 || max_out < STREAM_HEAD)
        return 0;
    split(data1 + STREAM_HEAD, size1 - STREAM_HEAD, &one);
    split(data2 + STREAM_HEAD, size2 - STREAM_HEAD, &two);
    one.n = roll(&seed, one.n) + 1;
    for (size_t i = roll(&seed, two.n); i < two.n; i++)
        insert(&one, one.n, two.item[i]);
    memcpy(out, data1, STREAM_HEAD);
    return STREAM_HEAD + join(&one, out + STREAM_HEAD, max_out - STREAM_HEAD);
}
#endif
