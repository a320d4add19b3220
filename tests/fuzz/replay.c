/*
 * replay.c - runs a fuzz target over files, and over all files of a folder: the
 * corpus as a test that every build has.
 *
 *   replay_NAME FILE|FOLDER...
 */
#include <dirent.h>

#include "cdc/base/buf.h"
#include "tests/fuzz/fuzz.h"

static void run_file(const char *path, size_t *count)
{
    struct buf bytes = BUF_INIT;
    size_t n;
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(1);
    }
    do {
        char *to = buf_room(&bytes, 65536);
        n = fread(to, 1, 65536, f);
        bytes.len += n;
    } while (n > 0);
    fclose(f);

    uint8_t *exact = mem_alloc(bytes.len);
    memcpy(exact, bytes.data, bytes.len);
    size_t len = bytes.len;
    buf_done(&bytes);
    printf("%s\n", path); /* the last one that is named is the one that broke */
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    ++*count;
}

static void run(const char *path, size_t *count)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    if (dir == NULL) {
        run_file(path, count);
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        struct buf inner = BUF_INIT;
        buf_addf(&inner, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            run(inner.data, count);
        buf_done(&inner);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++)
        run(argv[i], &count);
    printf("%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
