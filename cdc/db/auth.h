/*
 * auth.h - keeps the client library from telling a password in the open. Not for anyone outside of cdc/db.
 */
#ifndef DB_AUTH_H
#define DB_AUTH_H

#include <stdbool.h>

/* Once, before the first connection. */
void auth_init(void);
/* Of this thread's next mysql_real_connect(): TLS is asked for, so MySQL's ways to log in shall not go on without. */
void auth_expect_tls(bool expected);

#endif
