#include "cdc/cli/text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/buf.h"
#include "cdc/base/clock.h"

/* ---- The terminal ---- */

static bool use_colors(void)
{
    static int known = -1;
    if (known < 0) {
        const char *no_color = getenv("NO_COLOR");
        known = isatty(STDOUT_FILENO) && (no_color == NULL || no_color[0] == '\0');
    }
    return known;
}

const char *text_color_on(enum text_color c)
{
    static const char *const codes[] = {"", "\033[1m", "\033[32m", "\033[33m", "\033[31m"};
    return use_colors() ? codes[c] : "";
}

const char *text_color_off(enum text_color c) { return use_colors() && c != TEXT_PLAIN ? "\033[0m" : ""; }

/* Bytes of the character at p that a terminal obeys instead of showing; 0: none. */
static size_t control_len(const unsigned char *p)
{
    if (p[0] < 0x20 || p[0] == 0x7f)
        return 1;
    if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) /* U+0080 to U+009F */
        return 2;
    if (p[0] == 0xe2 && p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) /* lines, paragraphs, embeddings */
        return 3;
    if (p[0] == 0xe2 && p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9) /* isolates */
        return 3;
    return 0;
}

void text_make_printable(char *text)
{
    char *to = text;
    while (*text != '\0') {
        size_t len = control_len((const unsigned char *)text);
        *to++ = len > 0 ? '?' : *text;
        text += len > 0 ? len : 1;
    }
    *to = '\0';
}

void text_printf(const char *fmt, ...)
{
    struct buf b = BUF_INIT;
    va_list ap;
    va_start(ap, fmt);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    if (b.data != NULL) {
        text_make_printable(b.data);
        fputs(b.data, stdout);
    }
    buf_done(&b);
}

int text_width(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* ---- Numbers ---- */

const char *text_count(uint64_t n, char *out, size_t size)
{
    char digits[24], text[32], *to = text;
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    snprintf(out, size, "%s", text);
    return out;
}

const char *text_bytes(uint64_t bytes, char *out, size_t size)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes / 1024;
    size_t unit = 0;
    if (bytes < 1024) {
        snprintf(out, size, "%" PRIu64 " B", bytes);
        return out;
    }
    for (; n >= 1024 && unit < 3; unit++)
        n /= 1024;
    snprintf(out, size, "%.1f %s", n, units[unit]);
    return out;
}

/* ---- Times ---- */

const char *text_seconds(int64_t s, char *out, size_t size)
{
    if (s < 60)
        snprintf(out, size, "%" PRId64 " s", s > 0 ? s : 0);
    else if (s < 3600)
        snprintf(out, size, "%" PRId64 " min %" PRId64 " s", s / 60, s % 60);
    else if (s < 86400)
        snprintf(out, size, "%" PRId64 " h %" PRId64 " min", s / 3600, s / 60 % 60);
    else
        snprintf(out, size, "%" PRId64 " d %" PRId64 " h", s / 86400, s / 3600 % 24);
    return out;
}

const char *text_duration(double s, char *out, size_t size)
{
    if (!(s > 0))
        snprintf(out, size, "0 s");
    else if (s < 0.9995)
        snprintf(out, size, "%.0f ms", s * 1000);
    else if (s < 60)
        snprintf(out, size, "%.1f s", s);
    else
        text_seconds(s < 1e15 ? (int64_t)s : INT64_C(1000000000000000), out, size);
    return out;
}

bool text_parse_time(const char *iso, int64_t *ret_s)
{
    struct tm tm = {0};
    if (iso == NULL || strptime(iso, "%Y-%m-%dT%H:%M:%S", &tm) == NULL)
        return false;
    *ret_s = (int64_t)timegm(&tm);
    return true;
}

static int64_t now_s(void) { return clock_wall().v / 1000000; }

const char *text_age(const char *iso, char *out, size_t size)
{
    int64_t s;
    char text[TEXT_VALUE];
    if (iso == NULL)
        snprintf(out, size, "never");
    else if (!text_parse_time(iso, &s))
        snprintf(out, size, "?");
    else
        snprintf(out, size, "%.50s ago", text_seconds(now_s() - s, text, sizeof(text)));
    return out;
}

const char *text_until(const char *iso, char *out, size_t size)
{
    int64_t s;
    char text[TEXT_VALUE];
    if (iso == NULL)
        snprintf(out, size, "never");
    else if (!text_parse_time(iso, &s))
        snprintf(out, size, "?");
    else if (s <= now_s())
        snprintf(out, size, "now");
    else
        snprintf(out, size, "in %.50s", text_seconds(s - now_s(), text, sizeof(text)));
    return out;
}

const char *text_moment(const char *iso, char *out, size_t size)
{
    int64_t s;
    if (iso == NULL)
        snprintf(out, size, "-");
    else if (!text_parse_time(iso, &s))
        snprintf(out, size, "?");
    else
        snprintf(out, size, "%.10s %.8s", iso, iso + 11);
    return out;
}
