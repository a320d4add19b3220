/*
 * auth.c - MySQL's caching_sha2_password and sha256_password send the password as it is once the
 * line is safe, and the client library (3.3.20) takes it for safe when TLS was asked for, whether it came
 * about or not: a server that says that it has no TLS, or somebody in between who says so, is told the
 * password. What is said after the login that there is no TLS comes too late.
 *
 * So both stand behind a check of ours. The library loads them once and for all, and their functions
 * are reached by a pointer in the plugin's own description.
 */
#include "cdc/db/auth.h"

#include <stdio.h>

#include <mysql.h>
#include <mysql/plugin_auth.h>

typedef int (*authenticate_fn)(MYSQL_PLUGIN_VIO *vio, MYSQL *mysql);

/* As <mysql/client_plugin.h> has them, which cannot be included: Debian's lacks a file that it wants. */
enum { SSL_ERROR = 2026, AUTHENTICATION_PLUGIN = 2, AUTHENTICATION_INTERFACE = 0x0100 };
struct plugin {
    MYSQL_CLIENT_PLUGIN_HEADER
    authenticate_fn authenticate_user;
};

static _Thread_local bool tls_expected;
static authenticate_fn caching_sha2, sha256; /* the library's; set before the first thread */

void auth_expect_tls(bool expected) { tls_expected = expected; }

/* The handshake of TLS comes with the first packet that a plugin writes, if the server's greeting offers it. */
static bool is_in_the_open(MYSQL *m)
{
    if (!tls_expected || (m->server_capabilities & CLIENT_SSL) != 0)
        return false;
    m->net.last_errno = SSL_ERROR;
    snprintf(m->net.last_error, sizeof m->net.last_error,
             "SSL is required, but the server does not support it");
    return true;
}

static int guarded_caching_sha2(MYSQL_PLUGIN_VIO *vio, MYSQL *m)
{
    return is_in_the_open(m) ? CR_ERROR : caching_sha2(vio, m);
}

static int guarded_sha256(MYSQL_PLUGIN_VIO *vio, MYSQL *m)
{
    return is_in_the_open(m) ? CR_ERROR : sha256(vio, m);
}

/* A plugin that is not there cannot be used either. */
static void guard(MYSQL *m, const char *name, authenticate_fn guarded, authenticate_fn *ret_original)
{
    struct plugin *p = (struct plugin *)(void *)mysql_client_find_plugin(m, name, AUTHENTICATION_PLUGIN);

    if (p == NULL || p->interface_version != AUTHENTICATION_INTERFACE || *ret_original != NULL)
        return;
    *ret_original = p->authenticate_user;
    p->authenticate_user = guarded;
}

void auth_init(void)
{
    MYSQL *m = mysql_init(NULL);

    if (m == NULL)
        return;
    guard(m, "caching_sha2_password", guarded_caching_sha2, &caching_sha2);
    guard(m, "sha256_password", guarded_sha256, &sha256);
    mysql_close(m);
}
