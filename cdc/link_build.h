/*
 * link_build.h - a link of the config and its two tables as the servers
 * describe them -> struct link, or all that stands against it.
 */
#ifndef CDC_LINK_BUILD_H
#define CDC_LINK_BUILD_H

#include "cdc/base/err.h"
#include "cdc/model/link.h"
#include "config/config.h"

enum check_level { CHECK_OK, CHECK_WARN, CHECK_FAIL };

/* One finding. text is one line without a full stop; mend is NULL or the SQL or
 * setting that mends it. Both live until the function returns. */
typedef void check_report(void *arg, enum check_level level, const char *text, const char *mend);

/* Reports every problem, not only the first. NULL if one of them is a
 * CHECK_FAIL. Takes both tables in any case. Reads the keys of ciphered columns. */
struct link *link_build(const struct config_link *c, struct table *left, struct table *right,
                        check_report *report, void *arg);

/* Reads the keys of the link's ciphered columns again (SIGHUP). After an error
 * the link has its old keys. c is what the link was built from. */
bool link_reload_keys(const struct link *link, const struct config_link *c, struct err *err);

#endif
