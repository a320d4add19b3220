/*
 * text.h - values as people read them, and what may go to a terminal.
 *
 * Functions with an out write into it, cut to size, and return it. Those that take
 * a time read "2026-01-05T10:11:12.345Z" and compare it with the clock of now.
 */
#ifndef CLI_TEXT_H
#define CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum text_color { TEXT_PLAIN, TEXT_BOLD, TEXT_GREEN, TEXT_YELLOW, TEXT_RED };

enum { TEXT_VALUE = 64 }; /* bytes: room for any value below */

/* The codes around coloured text on standard output: "" if that is no terminal or
 * NO_COLOR is set. */
const char *text_color_on(enum text_color c);
const char *text_color_off(enum text_color c);

/* What came over a network may not move the cursor or turn the line about: each
 * control character, those of two and three bytes too, becomes a "?". */
void text_make_printable(char *text);
/* As printf() on standard output, after the whole has been made printable. */
void text_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Places on the screen, as far as one character takes one. */
int text_width(const char *text);

const char *text_count(uint64_t n, char *out, size_t size);       /* "1,000,000" */
const char *text_bytes(uint64_t bytes, char *out, size_t size);   /* "1.5 MiB" */
const char *text_duration(double s, char *out, size_t size);      /* "12 ms", "3.2 s", "2 h 5 min" */
const char *text_seconds(int64_t s, char *out, size_t size);      /* "3 s", "2 h 5 min" */
bool text_parse_time(const char *iso, int64_t *ret_s);            /* since 1970; NULL is no time */
const char *text_age(const char *iso, char *out, size_t size);    /* "12 s ago"; NULL: "never" */
const char *text_until(const char *iso, char *out, size_t size);  /* "in 12 s", "now"; NULL: "never" */
const char *text_moment(const char *iso, char *out, size_t size); /* "2026-01-05 10:11:12", UTC; NULL: "-" */

#endif
