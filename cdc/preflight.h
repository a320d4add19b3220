/*
 * preflight.h - may twinlog run with this config on these servers as they are
 * now? Asks everything that can be asked, also beside a daemon that is running. All
 * that it writes is a row in the control table `marker`, under the name of no link,
 * which goes through the binary log and is deleted again.
 */
#ifndef CDC_PREFLIGHT_H
#define CDC_PREFLIGHT_H

#include "cdc/link_build.h"

enum preflight_result {
    PREFLIGHT_PASS,   /* perhaps with warnings */
    PREFLIGHT_FAIL,   /* the operator must change something */
    PREFLIGHT_ABSENT, /* nothing else FAILs, but a server is not there: try again later */
};

/* Reports every finding, each text with the server's or link's name in front. If
 * ret_links is not NULL it has room for config->nlinks: after PREFLIGHT_PASS they
 * are the caller's (link_free), else all NULL. */
enum preflight_result preflight(const struct config *config, check_report *report, void *arg,
                                struct link **ret_links);

#endif
