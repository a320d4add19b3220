#include "cdc/cli/progress.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cdc/cli/text.h"

enum {
    WINDOW_US = 5000000,    /* a rate is of the last 5 s */
    SAMPLE_US = 160000,     /* between two samples: the window's worth fits */
    RATE_AFTER_US = 500000, /* less says nothing */
    DRAW_US = 100000,       /* between two drawings on a terminal */
    PLAIN_US = 5000000,     /* between two plain lines */
    BAR_MIN = 6,
    BAR_SHORT = 10, /* beside a text that has to be cut */
    BAR_MAX = 30,
    COLUMNS = 80, /* of a terminal that does not tell */
    COLUMNS_MIN = 20,
};

static const int64_t left_max_s = INT64_C(99) * 86400;

/* ---- Arithmetic ---- */

static size_t sample(const struct progress_rate *r, size_t i) { return (r->first + i) % PROGRESS_SAMPLES; }

void progress_rate_add(struct progress_rate *r, mono_us now, uint64_t done)
{
    if (r->count > 0) {
        size_t newest = sample(r, r->count - 1);
        if (done < r->samples[newest].done)
            r->count = 0;
        else if (mono_diff_us(now, r->samples[newest].at) < SAMPLE_US)
            return;
    }
    /* The oldest is kept while its successor is inside the window: it is the window's edge. */
    while (r->count == PROGRESS_SAMPLES ||
           (r->count > 1 && mono_diff_us(now, r->samples[sample(r, 1)].at) >= WINDOW_US)) {
        r->first = sample(r, 1);
        r->count--;
    }
    size_t to = sample(r, r->count);
    r->samples[to].at = now;
    r->samples[to].done = done;
    r->count++;
}

double progress_rate_per_s(const struct progress_rate *r)
{
    if (r->count < 2)
        return -1;
    size_t oldest = sample(r, 0), newest = sample(r, r->count - 1);
    int64_t us = mono_diff_us(r->samples[newest].at, r->samples[oldest].at);
    if (us < RATE_AFTER_US)
        return -1;
    return (double)(r->samples[newest].done - r->samples[oldest].done) * 1e6 / (double)us;
}

int64_t progress_left_s(uint64_t done, uint64_t expected, double per_s)
{
    if (!(per_s > 0) || done >= expected) /* expected is an estimate: past it nobody knows */
        return -1;
    double s = (double)(expected - done) / per_s;
    return s <= (double)left_max_s ? (int64_t)(s + 0.5) : -1;
}

int progress_percent(uint64_t done, uint64_t expected)
{
    if (expected == 0)
        return -1;
    if (done >= expected)
        return 99;
    int percent = (int)((double)done * 100 / (double)expected);
    return percent < 99 ? percent : 99;
}

/* ---- One line ---- */

static void add_rows(uint64_t done, uint64_t expected, const char *about, struct buf *out)
{
    char text[TEXT_VALUE];
    buf_adds(out, text_count(done, text, sizeof(text)));
    if (expected > 0 && done <= expected)
        buf_addf(out, " of %s%s", about, text_count(expected, text, sizeof(text)));
    buf_adds(out, " rows");
}

static void add_rate(const struct progress *p, uint64_t done, uint64_t expected, const char *between,
                     const char *unit, struct buf *out)
{
    char text[TEXT_VALUE];
    double per_s = progress_rate_per_s(&p->rate);
    int64_t left_s = progress_left_s(done, expected, per_s);
    if (per_s > 0 && per_s < 9.95)
        buf_addf(out, "%s%.1f%s", between, per_s, unit);
    else if (per_s >= 0)
        buf_addf(out, "%s%s%s", between,
                 text_count(per_s < 1e18 ? (uint64_t)(per_s + 0.5) : UINT64_MAX, text, sizeof(text)), unit);
    if (left_s >= 0)
        buf_addf(out, "%s%s left", between, text_seconds(left_s, text, sizeof(text)));
}

static void add_bar(int percent, int width, struct buf *out)
{
    buf_adds(out, "  [");
    for (int i = 0; i < width; i++)
        buf_addc(out, i < percent * width / 100 ? '#' : '.');
    buf_addc(out, ']');
}

/* Leaves out the end of what has no room; never half a character. */
static void cut(char *text, int columns)
{
    int n = 0;
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80 && ++n > columns) {
            *text = '\0';
            return;
        }
    }
}

static void add_wide(const struct progress *p, uint64_t done, uint64_t expected, const char *text,
                     int columns, struct buf *out)
{
    struct buf rest = BUF_INIT;
    int percent = progress_percent(done, expected);
    if (percent >= 0)
        buf_addf(&rest, " %2d %%", percent);
    buf_adds(&rest, "  ");
    add_rows(done, expected, "~", &rest);
    add_rate(p, done, expected, "  ", "/s", &rest);
    /* The bar has its place before the text has any: that is cut. */
    int room = columns - text_width(p->label) - text_width(rest.data) - 4; /* "  [" and "]" */
    int width = room - (text[0] != '\0' ? text_width(text) + 2 : 0);
    width = width > BAR_MAX ? BAR_MAX : width < BAR_SHORT ? BAR_SHORT : width;
    width = width > room ? room : width;
    buf_adds(out, p->label);
    if (percent >= 0 && width >= BAR_MIN)
        add_bar(percent, width, out);
    buf_adds(out, rest.data);
    if (text[0] != '\0')
        buf_addf(out, "  %s", text);
    buf_done(&rest);
    text_make_printable(out->data);
    cut(out->data, columns);
    out->len = strlen(out->data);
}

static void add_plain(const struct progress *p, uint64_t done, uint64_t expected, const char *text,
                      struct buf *out)
{
    int percent = progress_percent(done, expected);
    buf_addf(out, "%s: ", p->label);
    if (percent >= 0)
        buf_addf(out, "%d %%, ", percent);
    add_rows(done, expected, "about ", out);
    add_rate(p, done, expected, ", ", " rows/s", out);
    if (text[0] != '\0')
        buf_addf(out, ", %s", text);
    text_make_printable(out->data);
    out->len = strlen(out->data);
}

void progress_line(const struct progress *p, uint64_t done, uint64_t expected, const char *text, int columns,
                   struct buf *out)
{
    if (columns > 0)
        add_wide(p, done, expected, text != NULL ? text : "", columns, out);
    else
        add_plain(p, done, expected, text != NULL ? text : "", out);
}

/* ---- The display ---- */

static bool is_terminal(FILE *out)
{
    const char *term = getenv("TERM");
    int fd = fileno(out);
    return fd >= 0 && isatty(fd) && term != NULL && strcmp(term, "dumb") != 0;
}

static int columns_of(FILE *out)
{
    struct winsize size;
    if (ioctl(fileno(out), TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS;
    return size.ws_col > COLUMNS_MIN ? size.ws_col : COLUMNS_MIN;
}

void progress_begin(struct progress *p, FILE *out, const char *label)
{
    memset(p, 0, sizeof(*p));
    p->out = out;
    p->label = label;
    p->terminal = is_terminal(out);
}

static bool is_due(const struct progress *p, mono_us now, uint64_t done, uint64_t expected, const char *text)
{
    if (!p->shown)
        return true;
    if (mono_diff_us(now, p->shown_at) < (p->terminal ? DRAW_US : PLAIN_US))
        return false;
    return p->terminal || done != p->last.done || expected != p->last.expected ||
           strcmp(text, p->last.text.len > 0 ? p->last.text.data : "") != 0;
}

/* In one write. The line is not to wrap even where a character takes two places. */
static void show(struct progress *p, const struct buf *line)
{
    if (p->terminal)
        fprintf(p->out, "\r\033[K\033[?7l%s\033[?7h", line->data);
    else
        fprintf(p->out, "%s\n", line->data);
    fflush(p->out);
    p->drawn = p->terminal;
}

static void remember(struct progress *p, mono_us now, uint64_t done, uint64_t expected, const char *text)
{
    p->shown = true;
    p->shown_at = now;
    p->last.done = done;
    p->last.expected = expected;
    buf_clear(&p->last.text);
    buf_adds(&p->last.text, text);
}

/* The last column stays free: some terminals wrap as soon as it is written. */
static int room_of(const struct progress *p) { return p->terminal ? columns_of(p->out) - 1 : 0; }

void progress_update_at(struct progress *p, mono_us now, uint64_t done, uint64_t expected, const char *text)
{
    struct buf line = BUF_INIT;
    text = text != NULL ? text : "";
    progress_rate_add(&p->rate, now, done);
    if (!is_due(p, now, done, expected, text))
        return;
    progress_line(p, done, expected, text, room_of(p), &line);
    show(p, &line);
    buf_done(&line);
    remember(p, now, done, expected, text);
}

void progress_wait_at(struct progress *p, mono_us now, const char *why)
{
    struct buf line = BUF_INIT;
    if (!is_due(p, now, p->last.done, p->last.expected, why))
        return;
    buf_addf(&line, "%s: %s", p->label, why);
    text_make_printable(line.data);
    if (p->terminal)
        cut(line.data, room_of(p));
    show(p, &line);
    buf_done(&line);
    remember(p, now, p->last.done, p->last.expected, why);
}

void progress_update(struct progress *p, uint64_t done, uint64_t expected, const char *text)
{
    progress_update_at(p, clock_mono(), done, expected, text);
}

void progress_wait(struct progress *p, const char *why) { progress_wait_at(p, clock_mono(), why); }

void progress_clear(struct progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", p->out);
        fflush(p->out);
        p->shown = false; /* at once again */
    }
    p->drawn = false;
}

void progress_end(struct progress *p)
{
    progress_clear(p);
    buf_done(&p->last.text);
}
