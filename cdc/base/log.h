/*
 * log.h - one line an event, on standard error: time, level, thread, link and
 * direction, position, what happened, what happens next.
 *
 *   2026-01-05T10:11:12.345Z warn applier users left>right bin.000042:19733: lost connection (2013), retry 3 in 4 s
 *
 * Callers never pass a row value, e-mail, key or password. A row is named by
 * log_key(). Thread-safe; each line is one write(2).
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };
enum log_keys { LOG_KEYS_PLAIN, LOG_KEYS_HASH };

void log_setup(enum log_level level, enum log_format format, enum log_keys keys);
void log_set_level(enum log_level level); /* from any thread (SIGHUP) */
bool log_enabled(enum log_level level);

/* What stands in front of this thread's lines from now on; copied (shortened
 * to 31, 95 and 127 bytes). NULL keeps what was set before, "" clears it. A
 * thread's name is also the system's name of it, as "reader-auth". */
void log_context(const char *thread, const char *link_direction, const char *position);
/* This thread's name and its link and direction, as they stand in its lines. Returns out. */
const char *log_context_print(char *out, size_t size);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The name of a row in a log line: the printable form of its key (as
 * key_print() gives it), or "#" and 16 hex digits of its SHA-256 with
 * log.keys = "hash". Writes at most size bytes, ends with NUL, returns out. */
const char *log_key(const char *key_text, size_t len, char *out, size_t size);

#endif
