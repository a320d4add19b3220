/*
 * fault.c - what a test orders by the environment of twinlog_faults.
 *
 *   TWINLOG_FAULT = ACTION:WHEN:THREAD:COUNT[:WORD]
 *
 *   ACTION   kill      the process ends as by SIGKILL
 *            drop      the connection is shut down, and the daemon finds out by itself
 *   WHEN     before    the statement is sent
 *            sent      and not yet answered
 *            after     it has been answered
 *   THREAD   the begin of what the log's lines of a thread begin with: "applier users left>right", "resync", "reader";
 *            "" for any
 *   COUNT    it happens at the COUNT-th such statement of a thread; "7+": and at every 7th from there on
 *   WORD     only statements whose first word this is count: COMMIT; or COMMIT@auth, those to one server
 *
 * With it the statements of a packet are sent one by one, so that every place between any two of them can be
 * chosen. What happened is said in one line of the log's shape.
 *
 *   TWINLOG_CLOCK_STEP = FILE
 *
 * The wall clock is off by as many seconds as the file says at the moment; the monotonic one goes on as it does after such a
 * step.
 */
#include "cdc/base/fault.h"

#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cdc/base/log.h"

static struct {
    bool given, kill, again;
    enum fault_when when;
    char thread[96], word[32], server[64];
    unsigned long count;
} order;

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* A test that orders nonsense shall not pass for one that was survived. */
static void refuse(const char *text)
{
    fprintf(stderr, "TWINLOG_FAULT: cannot read %s\n", text);
    _exit(99);
}

static void read_when(const char *word, const char *text)
{
    static const char *const NAMES[] = {"before", "sent", "after"};

    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (strcmp(word, NAMES[i]) == 0) {
            order.when = (enum fault_when)i;
            return;
        }
    refuse(text);
}

static void read_order(void)
{
    const char *text = getenv("TWINLOG_FAULT");
    char action[16], when[16], plus = '\0';

    if (text == NULL)
        return;
    order.given = true;
    char *copy = strdup(text), *rest = copy, *part;

    for (int i = 0; (part = strsep(&rest, ":")) != NULL; i++) {
        switch (i) {
        case 0: snprintf(action, sizeof action, "%s", part); break;
        case 1: snprintf(when, sizeof when, "%s", part); break;
        case 2: snprintf(order.thread, sizeof order.thread, "%s", part); break;
        case 3:
            if (sscanf(part, "%lu%c", &order.count, &plus) < 1 || order.count == 0)
                refuse(text);
            break;
        case 4:
            snprintf(order.server, sizeof order.server, "%s",
                     strchr(part, '@') != NULL ? strchr(part, '@') + 1 : "");
            snprintf(order.word, sizeof order.word, "%.*s", (int)strcspn(part, "@"), part);
            break;
        default: refuse(text);
        }
        if (rest == NULL && i < 3)
            refuse(text);
    }
    free(copy);
    order.again = plus == '+';
    order.kill = strcmp(action, "kill") == 0;
    if (!order.kill && strcmp(action, "drop") != 0)
        refuse(text);
    read_when(when, text);
}

static void first_word(const char *sql, size_t len, char *out, size_t size)
{
    size_t n = 0;

    while (n < len && n + 1 < size && isalpha((unsigned char)sql[n])) {
        out[n] = sql[n];
        n++;
    }
    out[n] = '\0';
}

/* How many such statements this thread has sent. */
static _Thread_local unsigned long seen;

bool fault_breaks(enum fault_when when, const char *server, const char *sql, size_t len)
{
    char who[160], word[32];

    pthread_once(&once, read_order);
    if (!order.given || when != order.when)
        return false;
    log_context_print(who, sizeof who);
    first_word(sql, len, word, sizeof word);
    if (strncmp(who, order.thread, strlen(order.thread)) != 0 ||
        (order.word[0] != '\0' && strcmp(word, order.word) != 0) ||
        (order.server[0] != '\0' && strcmp(server, order.server) != 0))
        return false;
    seen++;
    if (order.again ? seen % order.count != 0 : seen != order.count)
        return false;
    log_warn("fault: %s %s statement %lu: %s on server %s", order.kill ? "killed" : "dropped",
             when == FAULT_BEFORE  ? "before"
             : when == FAULT_AFTER ? "after"
                                   : "behind",
             seen, word, server);
    if (order.kill) {
        raise(SIGKILL);
        _exit(98); /* not reached */
    }
    return true;
}

bool fault_splits_packets(void)
{
    pthread_once(&once, read_order);
    return order.given;
}

/* ---- The clock ---- */

static long step_s(void)
{
    const char *path = getenv("TWINLOG_CLOCK_STEP");
    char text[32] = "";

    if (path == NULL)
        return 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

/* In front of the C library's, for all that this program is made of. */
/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the others are not ours to use */
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);

    if (rc == 0 && id == CLOCK_REALTIME)
        ts->tv_sec += step_s();
    return rc;
}
