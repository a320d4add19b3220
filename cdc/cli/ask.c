#include "cdc/cli/ask.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/mem.h"
#include "cdc/cli/cli.h"
#include "cdc/cli/text.h"
#include "cdc/service/client.h"

enum { TIMEOUT_MS = 5000 };

/* ---- The config ---- */

bool ask_begin(struct ask *a, const char *config_path)
{
    struct err err = ERR_INIT;
    memset(a, 0, sizeof(*a));
    if (!config_load(config_path, &a->config, &err)) {
        ask_failed(&err);
        return false;
    }
    if (!config_token_read(&a->config.http_token, &a->token, &a->token_len, &err)) {
        ask_failed(&err);
        config_done(&a->config);
        return false;
    }
    return true;
}

void ask_end(struct ask *a)
{
    mem_wipe_free(a->token, a->token_len + 1);
    config_done(&a->config);
}

/* ---- The question ---- */

void ask_parameter(struct buf *path, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_addf(path, "%c%s=", strchr(path->data, '?') == NULL ? '?' : '&', name);
    client_escape(value, path);
}

static bool refused(const struct ask *a, long status, json_t *answer, struct err *err)
{
    const char *text = ask_text(answer, "error", NULL);
    if (status == 401 && a->token[0] == '\0')
        err_set(err, ERR_RETRY, 401, "the daemon wants a token: set http.token_env or token_file");
    else if (status == 401)
        err_set(err, ERR_RETRY, 401, "the daemon refuses the token of http.token_env or token_file");
    else if (text != NULL)
        err_set(err, status == 400 ? ERR_CONFIG : ERR_RETRY, (int)status, "the daemon answers %ld: %s",
                status, text);
    else
        err_set(err, ERR_RETRY, (int)status, "what listens on %s:%u answered with HTTP status %ld",
                a->config.http_host, (unsigned)a->config.http_port, status);
    text_make_printable(err->text);
    return false;
}

static bool no_sense(const struct ask *a, struct err *err)
{
    return err_set(err, ERR_RETRY, 200,
                   "what listens on %s:%u gives an answer that makes no sense: is it twinlog?",
                   a->config.http_host, (unsigned)a->config.http_port);
}

typedef bool (*client_fn)(const struct client_options *options, const char *path, long *ret_code,
                          struct buf *out, struct err *err);

static bool ask_by(client_fn fn, const struct ask *a, const char *path, struct ask_answer *ret,
                   struct err *err)
{
    struct client_options o = {a->config.http_host, a->config.http_port, a->token, TIMEOUT_MS};
    struct ask_answer answer = {BUF_INIT, NULL};
    json_error_t error;
    long status = 0;
    bool ok = fn(&o, path, &status, &answer.text, err);
    if (!ok) {
        err->code = 0;
        goto out;
    }
    answer.json = json_loadb(answer.text.len > 0 ? answer.text.data : "", answer.text.len, 0, &error);
    ok = status >= 200 && status < 300;
    if (!ok)
        refused(a, status, answer.json, err);
    else if (!json_is_object(answer.json))
        ok = no_sense(a, err);
out:
    if (ok)
        *ret = answer;
    else
        ask_answer_done(&answer);
    return ok;
}

bool ask_get(const struct ask *a, const char *path, struct ask_answer *ret_answer, struct err *err)
{
    return ask_by(client_get, a, path, ret_answer, err);
}

bool ask_post(const struct ask *a, const char *path, struct ask_answer *ret_answer, struct err *err)
{
    return ask_by(client_post, a, path, ret_answer, err);
}

bool ask_expects(const struct ask *a, const struct ask_answer *answer, const char *name, json_type type,
                 struct err *err)
{
    json_t *field = json_object_get(answer->json, name);
    return field != NULL && json_typeof(field) == type ? true : no_sense(a, err);
}

void ask_answer_done(struct ask_answer *answer)
{
    json_decref(answer->json);
    buf_done(&answer->text);
    answer->json = NULL;
}

int ask_failed(const struct err *err)
{
    fflush(stdout);
    fprintf(stderr, "twinlog: %s\n", err->text);
    return err->kind == ERR_CONFIG ? CLI_USAGE : CLI_FAILED;
}

/* ---- The answer ---- */

/* It has been parsed: below 0x20 there is only white space between the values, and
 * all else that a terminal might obey stands inside strings. */
void ask_print_json(const struct ask_answer *answer)
{
    const struct buf *t = &answer->text;
    for (size_t i = 0; i < t->len; i++) {
        unsigned char c = (unsigned char)t->data[i];
        unsigned char next = i + 1 < t->len ? (unsigned char)t->data[i + 1] : 0;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
            printf("\\u%04x", next);
            i++;
        } else if (c == 0x7f) {
            fputs("\\u007f", stdout);
        } else if (c != '\r') {
            putchar(c);
        }
    }
    if (t->len > 0 && t->data[t->len - 1] != '\n')
        putchar('\n');
}

const char *ask_text(json_t *object, const char *name, const char *other)
{
    const char *s = json_string_value(json_object_get(object, name));
    return s != NULL ? s : other;
}

uint64_t ask_count(json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (uint64_t)n : 0;
}
