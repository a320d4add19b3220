/*
 * log.c - builds a whole line in memory of its own and hands it over in one
 * write(2): lines of several threads do not mix, and none waits for a lock. A
 * line stays below PIPE_BUF, up to which a pipe keeps writes whole too.
 *
 * Texts come from servers, files and the network. Whatever could end a line,
 * move a cursor or is no UTF-8 is escaped, so that nobody can make a line that
 * looks like one of ours: \n, \r, \t and \xNN in text, \uNNNN in JSON (a byte
 * that is no UTF-8 becomes U+FFFD there, which JSON cannot hold otherwise).
 */
#include "cdc/base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/hash.h"

#define LINE_BYTES 4096
#define MESSAGE_BYTES 3072

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_TEXT;
static _Atomic int current_keys = LOG_KEYS_PLAIN;

static _Thread_local struct {
    char thread[32];
    char link[96];
    char position[128];
} context;

struct line {
    char data[LINE_BYTES];
    size_t len;
    size_t end; /* bytes that may be used: the rest is kept for what closes the line */
};

void log_setup(enum log_level level, enum log_format format, enum log_keys keys)
{
    atomic_store(&current_level, (int)level);
    atomic_store(&current_format, (int)format);
    atomic_store(&current_keys, (int)keys);
}

void log_set_level(enum log_level level) { atomic_store(&current_level, (int)level); }

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static void set_part(char *to, size_t size, const char *from)
{
    if (from == NULL)
        return;
    size_t len = strnlen(from, size - 1);
    memmove(to, from, len);
    to[len] = '\0';
}

/* For top -H, perf and gdb. The process keeps its name, which is its first thread's. */
static void name_thread(void)
{
    char name[16]; /* the kernel's limit */

    if (gettid() == getpid())
        return;
    size_t n = strnlen(context.thread, sizeof name - 1);
    memcpy(name, context.thread, n);
    name[n] = '\0';
    if (n + 1 < sizeof name && context.link[0] != '\0') {
        name[n++] = '-';
        set_part(name + n, sizeof name - n, context.link);
    }
    pthread_setname_np(pthread_self(), name);
}

void log_context(const char *thread, const char *link_direction, const char *position)
{
    set_part(context.thread, sizeof context.thread, thread);
    set_part(context.link, sizeof context.link, link_direction);
    set_part(context.position, sizeof context.position, position);
    if (thread != NULL)
        name_thread();
}

const char *log_context_print(char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", context.thread, context.link[0] != '\0' ? " " : "", context.link);
    return out;
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG: return "debug";
    case LOG_INFO: return "info";
    case LOG_WARN: return "warn";
    case LOG_ERROR: return "error";
    }
    return "error";
}

static bool put(struct line *l, const char *s, size_t len)
{
    if (len > l->end - l->len)
        return false;
    memcpy(l->data + l->len, s, len);
    l->len += len;
    return true;
}

static bool puts_line(struct line *l, const char *s) { return put(l, s, strlen(s)); }

/* How many bytes of s are one well-formed UTF-8 character, which is put in
 * *ret_code; 0 if they are none (overlong forms and surrogates among them). */
static size_t utf8_char(const unsigned char *s, size_t len, uint32_t *ret_code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80    ? 1
               : s[0] >= 0xf8 ? 0
               : s[0] >= 0xf0 ? 4
               : s[0] >= 0xe0 ? 3
               : s[0] >= 0xc0 ? 2
                              : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t code = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return n;
}

/* C0, DEL, C1, the Unicode line ends and what turns the direction of writing. */
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static const char *short_escape(uint32_t code)
{
    return code == '\n' ? "\\n" : code == '\r' ? "\\r" : code == '\t' ? "\\t" : NULL;
}

static bool put_text_char(struct line *l, const unsigned char *s, size_t n, uint32_t code)
{
    if (n > 0 && !is_control(code))
        return put(l, (const char *)s, n);
    if (n > 0 && short_escape(code) != NULL)
        return puts_line(l, short_escape(code));

    char hex[4 * 4 + 1];
    size_t bytes = n > 0 ? n : 1;
    for (size_t i = 0; i < bytes; i++)
        snprintf(hex + 4 * i, 5, "\\x%02x", s[i]);
    return put(l, hex, 4 * bytes);
}

static bool put_json_char(struct line *l, const unsigned char *s, size_t n, uint32_t code)
{
    if (n == 0)
        return puts_line(l, "\\ufffd");
    if (code == '"' || code == '\\') {
        char pair[2] = {'\\', (char)code};
        return put(l, pair, 2);
    }
    if (!is_control(code))
        return put(l, (const char *)s, n);
    if (short_escape(code) != NULL)
        return puts_line(l, short_escape(code));

    char hex[7];
    snprintf(hex, sizeof hex, "\\u%04x", (unsigned)(code & 0xffff));
    return put(l, hex, 6);
}

/* Up to len bytes, or as many whole characters as fit. */
static void put_escaped(struct line *l, bool json, const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text;
    while (len > 0) {
        uint32_t code = 0;
        size_t n = utf8_char(s, len, &code);
        if (!(json ? put_json_char(l, s, n, code) : put_text_char(l, s, n, code)))
            return;
        s += n > 0 ? n : 1;
        len -= n > 0 ? n : 1;
    }
}

static void put_text_part(struct line *l, const char *text)
{
    if (text[0] == '\0')
        return;
    put(l, " ", 1);
    put_escaped(l, false, text, strlen(text));
}

static void build_text(struct line *l, enum log_level level, const char *time, const char *message,
                       size_t len)
{
    puts_line(l, time);
    put(l, " ", 1);
    puts_line(l, level_name(level));
    put_text_part(l, context.thread);
    put_text_part(l, context.link);
    put_text_part(l, context.position);
    put(l, ": ", 2);
    put_escaped(l, false, message, len);
    l->end = LINE_BYTES;
    put(l, "\n", 1);
}

static void put_json_part(struct line *l, const char *name, const char *text)
{
    if (text[0] == '\0')
        return;
    put(l, "\"", 1);
    puts_line(l, name);
    put(l, "\":\"", 3);
    put_escaped(l, true, text, strlen(text));
    put(l, "\",", 2);
}

static void build_json(struct line *l, enum log_level level, const char *time, const char *message,
                       size_t len)
{
    put(l, "{", 1);
    put_json_part(l, "time", time);
    put_json_part(l, "level", level_name(level));
    put_json_part(l, "thread", context.thread);
    put_json_part(l, "link", context.link);
    put_json_part(l, "position", context.position);
    puts_line(l, "\"message\":\"");
    put_escaped(l, true, message, len);
    l->end = LINE_BYTES;
    put(l, "\"}\n", 3);
}

/* Standard error may be a pipe that is full or closed: there is nobody to tell. */
static void write_line(const struct line *l)
{
    size_t done = 0;
    while (done < l->len) {
        ssize_t n = write(STDERR_FILENO, l->data + done, l->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        done += (size_t)n;
    }
}

static void vlog(enum log_level level, const char *fmt, va_list ap)
{
    if (!log_enabled(level))
        return;

    int saved_errno = errno;
    char message[MESSAGE_BYTES];
    int n = vsnprintf(message, sizeof message, fmt, ap);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof message) {
        len = sizeof message - 1;
        memcpy(message + len - 3, "...", 4);
    }

    char time[32];
    wall_iso(clock_wall(), time, sizeof time);
    struct line l;
    l.len = 0;
    l.end = LINE_BYTES - 8;
    if (atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON)
        build_json(&l, level, time, message, len);
    else
        build_text(&l, level, time, message, len);
    write_line(&l);
    errno = saved_errno;
}

#define LOG_AT(level)         \
    do {                      \
        va_list ap;           \
        va_start(ap, fmt);    \
        vlog(level, fmt, ap); \
        va_end(ap);           \
    } while (0)

void log_debug(const char *fmt, ...) { LOG_AT(LOG_DEBUG); }

void log_info(const char *fmt, ...) { LOG_AT(LOG_INFO); }

void log_warn(const char *fmt, ...) { LOG_AT(LOG_WARN); }

void log_error(const char *fmt, ...) { LOG_AT(LOG_ERROR); }

const char *log_key(const char *key_text, size_t len, char *out, size_t size)
{
    if (size == 0)
        return out;
    if (atomic_load_explicit(&current_keys, memory_order_relaxed) == LOG_KEYS_PLAIN) {
        size_t n = len < size ? len : size - 1;
        if (n > 0)
            memcpy(out, key_text, n);
        out[n] = '\0';
        return out;
    }

    unsigned char hash[HASH_BYTES];
    char text[18] = "#";
    hash_sha256(key_text, len, hash);
    for (size_t i = 0; i < 8; i++)
        snprintf(text + 1 + 2 * i, 3, "%02x", hash[i]);
    snprintf(out, size, "%s", text);
    return out;
}
