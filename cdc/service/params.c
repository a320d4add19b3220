#include "cdc/service/params.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

void params_done(struct params *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].name);
        free(p->list[i].value);
    }
    memset(p, 0, sizeof(*p));
}

static bool problem(struct params *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool problem(struct params *p, const char *fmt, ...)
{
    va_list ap;
    if (p->problem[0] != '\0')
        return false;
    va_start(ap, fmt);
    vsnprintf(p->problem, sizeof(p->problem), fmt, ap);
    va_end(ap);
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* What text stands for, as a new string; NULL if it is malformed or has a NUL in it. */
static char *decode(const char *text, size_t len)
{
    char *ret = mem_zalloc(len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i] == '+' ? ' ' : text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            c = low < 0 ? '\0' : (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') {
            free(ret);
            return NULL;
        }
        ret[n++] = c;
    }
    return ret;
}

static bool add(struct params *p, char *name, char *value)
{
    if (name == NULL || value == NULL)
        problem(p, "a parameter holds a NUL or a %% that two hex digits do not follow");
    else if (name[0] == '\0')
        problem(p, "a parameter has no name; NAME=VALUE is right");
    else if (params_get(p, name) != NULL)
        problem(p, "parameter \"%.40s\" is given twice", name);
    else if (value[0] == '\0')
        problem(p, "parameter \"%.40s\" is empty; leave it out or give it a value", name);
    else if (p->count == PARAMS_MAX)
        problem(p, "too many parameters");
    else {
        p->list[p->count++] = (struct param){name, value};
        return true;
    }
    free(name);
    free(value);
    return false;
}

bool params_parse(struct params *p, const char *text, size_t len)
{
    const char *end = text + len;
    while (text < end && p->problem[0] == '\0') {
        const char *next = memchr(text, '&', (size_t)(end - text));
        const char *stop = next != NULL ? next : end;
        const char *equals = memchr(text, '=', (size_t)(stop - text));
        const char *name_end = equals != NULL ? equals : stop;
        const char *value = equals != NULL ? equals + 1 : stop;
        /* "a=1&" and "a=1&&b=2" are how careless programs write it, and mean one thing only. */
        if (stop > text)
            add(p, decode(text, (size_t)(name_end - text)), decode(value, (size_t)(stop - value)));
        text = next != NULL ? next + 1 : end;
    }
    return p->problem[0] == '\0';
}

bool params_check(struct params *p, const char *const *known)
{
    for (size_t i = 0; i < p->count && p->problem[0] == '\0'; i++) {
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, p->list[i].name) != 0)
            k++;
        if (*k != NULL)
            continue;
        problem(p, "unknown parameter \"%.40s\"; ", p->list[i].name);
        size_t at = strlen(p->problem);
        snprintf(p->problem + at, sizeof(p->problem) - at,
                 known[0] == NULL ? "this route has none" : "known here:");
        for (k = known; *k != NULL; k++) {
            at = strlen(p->problem);
            snprintf(p->problem + at, sizeof(p->problem) - at, "%s %s", k == known ? "" : ",", *k);
        }
    }
    return p->problem[0] == '\0';
}

const char *params_get(const struct params *p, const char *name)
{
    for (size_t i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].name, name) == 0)
            return p->list[i].value;
    }
    return NULL;
}

bool params_choice(struct params *p, const char *name, const char *const *values, int *ret_index)
{
    const char *value = params_get(p, name);
    char list[100] = "";
    if (value == NULL)
        return true;
    for (int i = 0; values[i] != NULL; i++) {
        if (strcmp(values[i], value) == 0) {
            *ret_index = i;
            return true;
        }
        size_t at = strlen(list);
        snprintf(list + at, sizeof(list) - at, "%s%s", i == 0 ? "" : " or ", values[i]);
    }
    return problem(p, "%s is \"%.40s\"; must be %s", name, value, list);
}

bool params_digits(const char *text, uint64_t *ret_number)
{
    uint64_t n = 0;
    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '9')
            return false;
        uint64_t digit = (uint64_t)(*p - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret_number = n;
    return true;
}

bool params_number(struct params *p, const char *name, uint64_t min, uint64_t max, uint64_t *ret_number)
{
    const char *value = params_get(p, name);
    uint64_t n;
    if (value == NULL)
        return true;
    if (!params_digits(value, &n) || n < min || n > max)
        return problem(p, "%s is \"%.40s\"; must be a number from %" PRIu64 " to %" PRIu64, name, value, min,
                       max);
    *ret_number = n;
    return true;
}
