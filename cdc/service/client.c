#include "cdc/service/client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/mem.h"

enum { MAX_ANSWER_BYTES = 16 * 1024 * 1024 };

static void build_base_url(const struct client_options *o, struct buf *out)
{
    const char *host = o->host;
    if (strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    buf_addf(out, strchr(host, ':') != NULL ? "http://[%s]:%u" : "http://%s:%u", host, (unsigned)o->port);
}

static size_t take_body(char *data, size_t size, size_t count, void *arg)
{
    struct buf *out = arg;
    if (out->len + size * count > MAX_ANSWER_BYTES)
        return 0; /* curl ends with CURLE_WRITE_ERROR */
    buf_add(out, data, size * count);
    return size * count;
}

static struct curl_slist *token_header(const char *token)
{
    if (token == NULL || token[0] == '\0')
        return NULL;
    struct buf line = BUF_INIT;
    buf_addf(&line, "Authorization: Bearer %s", token);
    struct curl_slist *ret = curl_slist_append(NULL, line.data);
    buf_wipe_done(&line);
    return ret;
}

static void free_token_header(struct curl_slist *headers)
{
    if (headers != NULL)
        mem_wipe(headers->data, strlen(headers->data));
    curl_slist_free_all(headers);
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_started;

static void start_curl(void) { curl_started = curl_global_init(CURL_GLOBAL_DEFAULT); }

bool client_start_curl(struct err *err)
{
    pthread_once(&curl_once, start_curl);
    return curl_started == CURLE_OK || err_set(err, ERR_RETRY, (int)curl_started, "cannot start libcurl: %s",
                                               curl_easy_strerror(curl_started));
}

static CURLcode perform(CURL *curl, const struct client_options *o, bool post, const char *url,
                        struct curl_slist *headers, struct buf *out, char *error)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)o->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* whatever http_proxy says: the token is the daemon's alone */
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, out);
    if (post) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
    }
    return curl_easy_perform(curl);
}

static bool ask(const struct client_options *o, bool post, const char *path, long *ret_code, struct buf *out,
                struct err *err)
{
    struct buf base = BUF_INIT, url = BUF_INIT;
    struct curl_slist *headers = NULL;
    char error[CURL_ERROR_SIZE] = "";
    bool ok = false;

    build_base_url(o, &base);
    buf_addf(&url, "%s%s", base.data, path);
    CURL *curl = NULL;
    if (!client_start_curl(err))
        goto out;
    curl = curl_easy_init();
    if (curl == NULL) {
        err_set(err, ERR_RETRY, 0, "cannot start libcurl");
        goto out;
    }
    headers = token_header(o->token);
    CURLcode code = perform(curl, o, post, url.data, headers, out, error);
    if (code != CURLE_OK) {
        err_set(err, ERR_RETRY, (int)code, "cannot reach the daemon at %s: %s", base.data,
                error[0] != '\0' ? error : curl_easy_strerror(code));
        goto out;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
    ok = true;
out:
    free_token_header(headers);
    curl_easy_cleanup(curl);
    buf_done(&url);
    buf_done(&base);
    return ok;
}

bool client_get(const struct client_options *o, const char *path, long *ret_code, struct buf *out,
                struct err *err)
{
    return ask(o, false, path, ret_code, out, err);
}

bool client_post(const struct client_options *o, const char *path, long *ret_code, struct buf *out,
                 struct err *err)
{
    return ask(o, true, path, ret_code, out, err);
}

void client_escape(const char *text, struct buf *out)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    for (const char *p = text; *p != '\0'; p++) {
        if (strchr(plain, *p) != NULL)
            buf_addc(out, *p);
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)*p);
    }
}
