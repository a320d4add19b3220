/*
 * A config file, in a folder of its own that is also what it can include: it is
 * taken or refused with file and reason. Of the secrets that it names none is
 * looked at but http.token, of which must be known whether it is there, and no
 * error tells what it holds.
 *
 * The linker turns getenv() and open() of config/ over to the functions below.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

#define SECRET "hunter2-is-no-good-token"

static char folder[64], path[96], secret_path[96];
static bool loading;
static size_t looked;       /* at so many secrets, since loading began */
static char looked_at[256]; /* the last one: whether it is there, then what it is, is one look */

const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);
char *__real_getenv(const char *name);
char *__wrap_getenv(const char *name);
int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);

/* libconfig 1.5 loses a string that stands where its grammar has none: once for each file that it refuses. */
const char *__lsan_default_suppressions(void) { return "leak:strbuf_append\nleak:libconfig_yylex"; }
const char *__lsan_default_options(void) { return "print_suppressions=0"; }

static void look_at(const char *name)
{
    looked += looked == 0 || strncmp(looked_at, name, sizeof(looked_at) - 1) != 0;
    snprintf(looked_at, sizeof(looked_at), "%s", name);
}

/* Every variable of a long name is set. */
char *__wrap_getenv(const char *name)
{
    static char secret[] = SECRET;
    if (!loading)
        return __real_getenv(name);
    look_at(name);
    return strlen(name) > 4 ? secret : NULL;
}

/* And so is every file. */
int __wrap_open(const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    if (!loading)
        return __real_open(name, flags, mode);
    look_at(name);
    if (strlen(name) > 4)
        return __real_open(secret_path, flags);
    errno = ENOENT;
    return -1;
}

static void write_file(const char *name, const uint8_t *data, size_t len)
{
    FILE *f = fopen(name, "wb");
    if (f == NULL || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
        perror(name);
        abort();
    }
}

static void remove_folder(void)
{
    char other[96];
    snprintf(other, sizeof(other), "%s/other", folder);
    unlink(other);
    unlink(path);
    unlink(secret_path);
    rmdir(folder);
}

/* Files: "config", "other" for it to include, and what every secret's file holds. */
static void make_folder(void)
{
    static const char text[] = "log = { level = \"debug\"; };\n";
    char other[96];
    snprintf(folder, sizeof(folder), "%s/twinlog-fuzz.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        abort();
    }
    snprintf(path, sizeof(path), "%s/config", folder);
    snprintf(other, sizeof(other), "%s/other", folder);
    write_file(other, (const uint8_t *)text, sizeof(text) - 1);
    snprintf(secret_path, sizeof(secret_path), "%s/secret", folder);
    write_file(secret_path, (const uint8_t *)SECRET, sizeof(SECRET) - 1);
    chmod(secret_path, 0600);
}

/* An include of a file elsewhere would make the result depend on the machine. */
static bool leaves_folder(const uint8_t *data, size_t size)
{
    static const char include[] = "@include";
    const uint8_t *end = data + size;
    for (const uint8_t *p = data; (p = memmem(p, (size_t)(end - p), include, sizeof(include) - 1)) != NULL;
         p++) {
        const uint8_t *line = memchr(p, '\n', (size_t)(end - p));
        if (memchr(p, '/', (size_t)((line != NULL ? line : end) - p)) != NULL)
            return true;
    }
    return false;
}

static void check_loaded(const struct config *c)
{
    fuzz_check(c->state_database != NULL && c->http_host != NULL && c->nservers > 0 && c->nlinks > 0);
    for (size_t i = 0; i < c->nservers; i++)
        fuzz_check(config_find_server(c, c->servers[i].name) == &c->servers[i]);
    for (size_t i = 0; i < c->nlinks; i++) {
        const struct config_link *l = &c->links[i];
        fuzz_check(l->nkey > 0 && l->ncolumns > 0 && l->version != NULL && l->updated_at != NULL);
        for (size_t side = 0; side < 2; side++)
            fuzz_check(config_find_server(c, l->side[side].server) != NULL && l->side[side].table != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    struct err err = ERR_INIT;
    if (leaves_folder(data, size))
        return 0;
    make_folder();
    write_file(path, data, size);
    looked = 0;
    loading = true;
    bool ok = config_load(path, &config, &err);
    loading = false;
    fuzz_check(looked <= 1);
    if (ok) {
        check_loaded(&config);
        config_done(&config);
    } else {
        fuzz_check(err.kind == ERR_CONFIG && strncmp(err.text, folder, strlen(folder)) == 0);
        fuzz_check(strstr(err.text, SECRET) == NULL ||
                   memmem(data, size, SECRET, sizeof(SECRET) - 1) != NULL);
    }
    remove_folder();
    return 0;
}
