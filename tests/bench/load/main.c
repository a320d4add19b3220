/*
 * main.c - twinlog_load: writes for a benchmark what a script could not write fast enough, and compares both sides.
 */
#include "tests/bench/load/load.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: twinlog_load MODE NAME=VALUE...\n"
    "\n"
    "  backlog    rows transactions of one row each: half inserts, 40 % updates, 10 % deletes\n"
    "  large      three transactions of rows rows each: insert, update, delete of one half and insert of "
    "another\n"
    "  foreign    rows transactions on foreign_db.noise, which it makes\n"
    "  fill       inserts rows rows, 1,000 a transaction\n"
    "  touch      updates each of the keys first + 1 to first + rows once\n"
    "  open-loop  rate transactions a second for some seconds, as backlog does; with probes, their arrival "
    "at the peer\n"
    "  compare    whether both sides hold the same rows; exit code 1 if not\n"
    "\n"
    "  socket=PATH side=left|right|DB.TABLE    what is written to; a table that is named has the right "
    "side's columns\n"
    "  peer=PATH peer-side=...                 the other side, of open-loop and compare\n"
    "  rows=N first=N seed=N connections=N rate=N seconds=N probes=N wait=SECONDS\n"
    "\n"
    "ENCRYPTION_KEY_HEX holds the key of what is sealed.\n";

unsigned char load_key[32];

_Noreturn void load_die(const char *format, ...)
{
    va_list args;
    char text[1024];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "twinlog_load: %s\n", text);
    fflush(NULL);
    _exit(1); /* other threads are at work */
}

void *load_grow(void *array, size_t count, size_t *size, size_t element_bytes)
{
    if (count < *size)
        return array;
    *size = *size == 0 ? 1024 : 2 * *size;
    array = realloc(array, *size * element_bytes);
    if (array == NULL)
        load_die("no memory");
    return array;
}

static _Noreturn void usage(const char *what, const char *word)
{
    fprintf(stderr, "twinlog_load: %s %s\n%s", what, word, USAGE);
    exit(2);
}

static void read_table(struct load_table *t, const char *side)
{
    bool left = strcmp(side, "left") == 0;

    if (strlen(side) >= sizeof t->name)
        usage("too long a name:", side);
    strcpy(t->name, left                         ? "auth_db.client_auth"
                    : strcmp(side, "right") == 0 ? "customer_db.customers"
                                                 : side);
    t->email = left ? "email_encrypted" : "email";
    t->sealed = left;
}

static double read_number(const char *name, const char *value, double max)
{
    char *end;
    double n = strtod(value, &end);

    if (end == value || *end != '\0' || !(n >= 0 && n <= max))
        usage("not a number for", name);
    return n;
}

static void read_option(struct load_options *o, char *word)
{
    char *value = strchr(word, '=');

    if (value == NULL)
        usage("not NAME=VALUE:", word);
    *value++ = '\0';
    if (strcmp(word, "socket") == 0)
        o->socket = value;
    else if (strcmp(word, "peer") == 0)
        o->peer = value;
    else if (strcmp(word, "side") == 0)
        read_table(&o->table, value);
    else if (strcmp(word, "peer-side") == 0)
        read_table(&o->peer_table, value);
    else if (strcmp(word, "rows") == 0)
        o->rows = (uint64_t)read_number(word, value, 1e12);
    else if (strcmp(word, "first") == 0)
        o->first = (uint64_t)read_number(word, value, 1e15);
    else if (strcmp(word, "seed") == 0)
        o->seed = (uint64_t)read_number(word, value, 1e15);
    else if (strcmp(word, "connections") == 0)
        o->connections = (unsigned)read_number(word, value, 256);
    else if (strcmp(word, "rate") == 0)
        o->rate = read_number(word, value, 1e7);
    else if (strcmp(word, "seconds") == 0)
        o->seconds = read_number(word, value, 86400);
    else if (strcmp(word, "probes") == 0)
        o->probes = (unsigned)read_number(word, value, 1e7);
    else if (strcmp(word, "wait") == 0)
        o->wait_s = read_number(word, value, 86400);
    else
        usage("no option", word);
}

static void read_key(void)
{
    const char *hex = getenv("ENCRYPTION_KEY_HEX");

    if (hex == NULL)
        return; /* tables that are plain on both sides need none */
    if (strlen(hex) != 2 * sizeof load_key)
        load_die("ENCRYPTION_KEY_HEX does not hold 64 digits");
    for (size_t i = 0; i < sizeof load_key; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'}, *end;

        load_key[i] = (unsigned char)strtoul(digits, &end, 16);
        if (*end != '\0')
            load_die("ENCRYPTION_KEY_HEX does not hold 64 digits");
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct load_options *o);
        bool peer;
    } MODES[] = {
        {"backlog", load_backlog, false}, {"large", load_large, false}, {"foreign", load_foreign, false},
        {"fill", load_fill, false},       {"touch", load_touch, false}, {"open-loop", load_open_loop, false},
        {"compare", load_compare, true},
    };
    struct load_options o = {.connections = 1, .seed = 1, .wait_s = 60};

    read_table(&o.table, "left");
    read_table(&o.peer_table, "right");
    if (argc < 2)
        usage("no mode", "is given");
    for (int i = 2; i < argc; i++)
        read_option(&o, argv[i]);
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
        if (strcmp(argv[1], MODES[i].name) != 0)
            continue;
        if (o.socket == NULL)
            usage("no", "socket=PATH");
        if (o.peer == NULL && (MODES[i].peer || o.probes > 0))
            usage("no", "peer=PATH");
        if (o.connections == 0)
            usage("no", "connections");
        read_key();
        if (mysql_library_init(0, NULL, NULL) != 0)
            load_die("no client library");
        MODES[i].run(&o);
        mysql_library_end();
        return 0;
    }
    usage("no mode", argv[1]);
}
