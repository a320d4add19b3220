/*
 * GTID lists as text, two of them with a NUL between: what can be read is printed
 * in a form that reads as the same, and the orders among positions hold.
 */
#include "cdc/model/pos.h"
#include "tests/fuzz/fuzz.h"

static bool parse(const char *text, struct pos *ret_pos)
{
    struct err err = ERR_INIT;
    *ret_pos = (struct pos)POS_INIT;
    if (pos_parse_gtids(ret_pos, text, &err))
        return true;
    fuzz_check(err.kind == ERR_CONFIG && err.text[0] != '\0');
    fuzz_check(pos_is_unset(ret_pos));
    return false;
}

/* Both ends of each range, one by one, are in it, and adding them changes nothing. */
static void check_ranges(const struct pos *p)
{
    struct pos same = POS_INIT;
    pos_copy(&same, p);
    for (size_t i = 0; i < p->set.nsources; i++) {
        const struct gtid_source *source = &p->set.sources[i];
        fuzz_check(source->nranges > 0);
        for (size_t k = 0; k < 2 * source->nranges; k++) {
            const struct gtid_range *r = &source->ranges[k / 2];
            struct gtid g = {.kind = GTID_MYSQL, .seq = k % 2 == 0 ? r->first : r->last};
            memcpy(g.uuid, source->uuid, GTID_UUID_BYTES);
            memcpy(g.tag, source->tag, sizeof(g.tag));
            fuzz_check(r->first >= 1 && r->first <= r->last && (k < 2 || r->first > r[-1].last + 1));
            fuzz_check(gtid_set_includes(&p->set, &g));
            pos_add_gtid(&same, &g);
        }
    }
    fuzz_check(gtid_set_equal(&same.set, &p->set));
    pos_done(&same);
}

static void check_print(const struct pos *p)
{
    struct buf once = BUF_INIT, twice = BUF_INIT;
    struct pos again;
    buf_adds(&once, "");
    buf_adds(&twice, "");
    pos_print_gtids(p, &once);
    fuzz_check(parse(once.data, &again));
    pos_print_gtids(&again, &twice);
    fuzz_check(strcmp(once.data, twice.data) == 0);
    fuzz_check(pos_equal(p, &again));
    fuzz_check(pos_covers(p, &again) && pos_covers(&again, p));
    pos_done(&again);
    buf_done(&once);
    buf_done(&twice);
}

/* The least that both have read is covered by each, whichever way it is asked. */
static void check_min(const struct pos *a, const struct pos *b)
{
    struct pos ab = POS_INIT, ba = POS_INIT;
    pos_copy(&ab, a);
    pos_min(&ab, b);
    pos_copy(&ba, b);
    pos_min(&ba, a);
    fuzz_check(pos_covers(a, &ab) && pos_covers(b, &ab));
    fuzz_check(pos_covers(&ab, &ba) && pos_covers(&ba, &ab));
    if (pos_covers(a, b))
        fuzz_check(pos_covers(&ab, b));
    check_print(&ab);
    pos_done(&ab);
    pos_done(&ba);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    char *first = input_string(&in), *second = input_string(&in);
    struct pos a, b;
    bool a_ok = parse(first, &a), b_ok = parse(second, &b);
    if (a_ok) {
        check_print(&a);
        check_ranges(&a);
    }
    if (a_ok && b_ok)
        check_min(&a, &b);
    pos_done(&a);
    pos_done(&b);
    free(first);
    free(second);
    return 0;
}
