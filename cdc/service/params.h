/*
 * params.h - the parameters of one request, from its query and from a form in its
 * body. Pure: everything a client sends is hostile, so whatever is ambiguous
 * (a name twice, a NUL, half an escape, no value) is refused with words, not guessed.
 */
#ifndef SERVICE_PARAMS_H
#define SERVICE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARAMS_MAX = 16 }; /* more than any route knows */

struct params {
    struct param {
        char *name, *value;
    } list[PARAMS_MAX];
    size_t count;
    char problem[200]; /* the first thing that was wrong; "" if nothing */
};

void params_done(struct params *p); /* a zeroed struct is empty */
/* Adds what a query or an urlencoded form holds: a=1&b=%32. False once there is a problem. */
bool params_parse(struct params *p, const char *text, size_t len);
/* Whether all of them are known here; `known` ends with NULL. Otherwise a problem. */
bool params_check(struct params *p, const char *const *known);

const char *params_get(const struct params *p, const char *name); /* NULL: not given */
/* Each returns false, with a problem that says what would be right, if the value is none of
 * them. Without the parameter *ret_ is not changed. */
bool params_choice(struct params *p, const char *name, const char *const *values, int *ret_index);
bool params_number(struct params *p, const char *name, uint64_t min, uint64_t max, uint64_t *ret_number);

/* Digits alone, without a sign or a leading zero, that fit: a number as the API writes it. */
bool params_digits(const char *text, uint64_t *ret_number);

#endif
