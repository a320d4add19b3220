/*
 * fault.h - places where a test makes the daemon fail: around every statement that it sends.
 *
 * Only the program twinlog_faults, which the tests are built with, is compiled with TWINLOG_FAULTS. Everywhere else
 * nothing of this is left: no call, no name, no look at the environment. What a test orders, and how, is told in
 * tests/faults/fault.c.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include <stdbool.h>
#include <stddef.h>

enum fault_when {
    FAULT_BEFORE, /* nothing of the statement has been sent */
    FAULT_SENT,   /* it is on its way, no answer has been read */
    FAULT_AFTER,  /* it has been answered well */
};

#ifdef TWINLOG_FAULTS

/* True if the connection to this server is to break here; does not return if the process is to end. Of the statement
 * (which may hold row values) only the first word is ever shown. */
bool fault_breaks(enum fault_when when, const char *server, const char *sql, size_t len);
/* Are the statements of a packet to be sent one by one, so that each has its own places? */
bool fault_splits_packets(void);

#else

static inline bool fault_breaks(enum fault_when when, const char *server, const char *sql, size_t len)
{
    (void)when;
    (void)server;
    (void)sql;
    (void)len;
    return false;
}

static inline bool fault_splits_packets(void) { return false; }

#endif
#endif
