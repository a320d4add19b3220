#include "cdc/model/value.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool value_equal(const struct value *a, const struct value *b)
{
    if (a->state == VALUE_NULL || b->state == VALUE_NULL)
        return a->state == b->state;
    /* What is missing or sealed is not known, so it cannot be said to be equal. */
    if (a->state != VALUE_SET || b->state != VALUE_SET)
        return false;
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

bool value_to_int(const struct value *v, value_int *ret_number)
{
    if (v->state != VALUE_SET || v->len == 0)
        return false;

    size_t i = 0;
    bool negative = v->data[0] == '-';
    if (negative)
        i++;
    if (i == v->len)
        return false;

    const uint64_t max = negative ? (uint64_t)INT64_MAX + 1 : UINT64_MAX;
    uint64_t n = 0;
    for (; i < v->len; i++) {
        if (v->data[i] < '0' || v->data[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(v->data[i] - '0');
        if (n > max / 10 || n * 10 > max - digit)
            return false;
        n = n * 10 + digit;
    }
    *ret_number = negative ? -(value_int)n : (value_int)n;
    return true;
}

const char *value_int_text(value_int n, char out[VALUE_INT_TEXT])
{
    snprintf(out, VALUE_INT_TEXT, "%s%" PRIu64, n < 0 ? "-" : "", (uint64_t)(n < 0 ? -n : n));
    return out;
}

bool value_to_int64(const struct value *v, int64_t *ret_number)
{
    value_int n;

    if (!value_to_int(v, &n) || n > INT64_MAX)
        return false;
    *ret_number = (int64_t)n;
    return true;
}

/* "2026-01-05 10:11:12" as its six numbers; a letter in the pattern stands for a digit. */
static bool read_parts(const char *s, unsigned part[6])
{
    static const char pattern[] = "aaaa-bb-cc dd:ee:ff";

    memset(part, 0, 6 * sizeof part[0]);
    for (size_t i = 0; pattern[i] != '\0'; i++) {
        if (pattern[i] < 'a') {
            if (s[i] != pattern[i])
                return false;
            continue;
        }
        if (s[i] < '0' || s[i] > '9')
            return false;
        unsigned *p = &part[pattern[i] - 'a'];
        *p = *p * 10 + (unsigned)(s[i] - '0');
    }
    return true;
}

static bool is_date(unsigned year, unsigned month, unsigned day)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (month < 1 || month > 12 || day < 1)
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= days[month - 1] + (unsigned)(leap && month == 2);
}

/* Days since 1970-01-01 in the Gregorian calendar, drawn back as far as need be.
 * The year begins in March, so that the leap day is its last. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

/* ".5" -> 500000 */
static bool read_fraction(const char *s, size_t len, int64_t *ret_us)
{
    int64_t us = 0;

    if (len == 0) {
        *ret_us = 0;
        return true;
    }
    if (s[0] != '.' || len < 2 || len > 7)
        return false;
    for (size_t i = 1; i < 7; i++) {
        char c = i < len ? s[i] : '0';
        if (c < '0' || c > '9')
            return false;
        us = us * 10 + (c - '0');
    }
    *ret_us = us;
    return true;
}

bool value_to_us(const struct value *v, int64_t *ret_us)
{
    enum { WHOLE = 19 };
    unsigned part[6];
    int64_t fraction;

    if (v->state != VALUE_SET || v->len < WHOLE || !read_parts(v->data, part) ||
        !read_fraction(v->data + WHOLE, v->len - WHOLE, &fraction))
        return false;
    if (!is_date(part[0], part[1], part[2]) || part[3] > 23 || part[4] > 59 || part[5] > 59)
        return false;

    int64_t seconds = days_since_1970(part[0], part[1], part[2]) * 86400 + part[3] * 3600 + part[4] * 60 +
                      part[5];
    *ret_us = seconds * 1000000 + fraction;
    return true;
}
