/*
 * secret.c - reads what the config only names: passwords, tokens and keys. They
 * live no longer than their user needs them, and no buffer of stdio keeps a copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/mem.h"
#include "config/config.h"

enum { MAX_SECRET = 64 * 1024 };

static bool check_secret_file(int fd, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set(err, ERR_CONFIG, errno, "%s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CONFIG, 0, "%s: is not a regular file; a secret is read from one", path);
    if ((st.st_mode & S_IRWXO) != 0)
        return err_set(err, ERR_CONFIG, 0, "%s: mode %04o lets other users in; chmod o= %s", path,
                       (unsigned)(st.st_mode & 07777), path);
    if (st.st_size > MAX_SECRET)
        return err_set(err, ERR_CONFIG, 0, "%s: is longer than 64 KiB; is this the right file?", path);
    return true;
}

/* Byte by byte as it is. Not stdio: its buffers would keep a copy. */
static bool read_secret_file(const char *path, char **ret_text, size_t *ret_len, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, ERR_CONFIG, errno, "%s: cannot open: %s", path, strerror(errno));
    char *text = mem_zalloc(1, MAX_SECRET + 2);
    size_t len = 0;
    ssize_t n = 0;
    bool ok = check_secret_file(fd, path, err);
    while (ok && len <= MAX_SECRET && (n = read(fd, text + len, MAX_SECRET + 1 - len)) != 0) {
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            ok = err_set(err, ERR_CONFIG, errno, "%s: cannot read: %s", path, strerror(errno));
    }
    if (ok && len > MAX_SECRET)
        ok = err_set(err, ERR_CONFIG, 0, "%s: is longer than 64 KiB; is this the right file?", path);
    close(fd);
    if (ok) {
        *ret_text = mem_zalloc(1, len + 1);
        memcpy(*ret_text, text, len);
        *ret_len = len;
    }
    mem_wipe_free(text, MAX_SECRET + 2);
    return ok;
}

static bool at(const struct config_secret *s, struct err *err)
{
    return s->where != NULL ? err_prefix(err, "%s", s->where) : false;
}

static bool read_secret(const struct config_secret *s, char **ret_text, size_t *ret_len, struct err *err)
{
    if (s->file != NULL)
        return read_secret_file(s->file, ret_text, ret_len, err) || at(s, err);
    const char *value = s->env != NULL ? getenv(s->env) : "";
    if (value == NULL) {
        err_set(err, ERR_CONFIG, 0, "%s: the environment variable is not set; it must hold the secret",
                s->env);
        return at(s, err);
    }
    *ret_text = mem_strdup(value);
    *ret_len = strlen(value);
    return true;
}

/* One line end, "\n" or "\r\n". */
static size_t cut_line_end(char *text, size_t len)
{
    if (len == 0 || text[len - 1] != '\n')
        return len;
    text[--len] = '\0';
    if (len > 0 && text[len - 1] == '\r')
        text[--len] = '\0';
    return len;
}

bool config_secret_read(const struct config_secret *s, char **ret_text, size_t *ret_len, struct err *err)
{
    char *text;
    size_t len;
    if (!read_secret(s, &text, &len, err))
        return false;
    *ret_text = text;
    *ret_len = s->file != NULL ? cut_line_end(text, len) : len;
    return true;
}

bool config_token_read(const struct config_secret *s, char **ret_text, size_t *ret_len, struct err *err)
{
    char *text;
    size_t len;
    bool ok = true;
    if (!read_secret(s, &text, &len, err))
        return false;
    size_t allocated = len + 1;
    len = cut_line_end(text, len);
    for (size_t i = 0; i < len; i++) {
        /* It would end the header, or be another one. */
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            ok = false;
    }
    if (ok) {
        *ret_text = text;
        *ret_len = len;
        return true;
    }
    mem_wipe_free(text, allocated);
    err_set(err, ERR_CONFIG, 0, "%s: holds a control character; a token is one line of text",
            s->env != NULL ? s->env : s->file);
    return at(s, err);
}

/* A key's bytes may end in one that looks like a line end, so nothing is cut off here. */
static bool read_key(const struct config_secret *s, unsigned char ret_key[CIPHER_KEY_BYTES], struct err *err)
{
    char *text;
    size_t len;
    if (!read_secret(s, &text, &len, err))
        return false;
    bool ok = cipher_parse_key(text, len, ret_key, err);
    mem_wipe_free(text, len + 1);
    return ok || err_prefix(err, "%s", s->env != NULL ? s->env : s->file) || at(s, err);
}

/* A previous key lives in the environment only while keys are being changed, the config for longer. */
static bool is_absent(const struct config_secret *s)
{
    const char *value = s->env != NULL ? getenv(s->env) : "set";
    return value == NULL || *value == '\0';
}

bool config_column_keys(const struct config_column *c, unsigned char (**ret_keys)[CIPHER_KEY_BYTES],
                        size_t *ret_count, struct err *err)
{
    size_t max = 1 + c->nprevious_keys, count = 0;
    unsigned char(*keys)[CIPHER_KEY_BYTES] = mem_zalloc(max, sizeof(*keys));
    bool ok = read_key(&c->key, keys[count++], err);
    for (size_t i = 0; i < c->nprevious_keys && ok; i++)
        if (!is_absent(&c->previous_keys[i]))
            ok = read_key(&c->previous_keys[i], keys[count++], err);
    if (!ok) {
        mem_wipe_free(keys, max * sizeof(*keys));
        return false;
    }
    *ret_keys = keys;
    *ret_count = count;
    return true;
}
