#include "cdc/cli/help.h"

#include <ctype.h>
#include <string.h>

static const struct command_word quarantine_words[] = {
    {.name = "list", .options = TAKES_CONFIG | TAKES_LINK | TAKES_JSON},
    {.name = "retry",
     .options = TAKES_CONFIG | TAKES_LINK | TAKES_ALL,
     .argument = "KEY",
     .or_option = TAKES_ALL},
    {.name = NULL},
};

static const struct command_word conflicts_words[] = {
    {.name = "list", .options = TAKES_CONFIG | TAKES_LINK | TAKES_JSON},
    {.name = "show", .options = TAKES_CONFIG | TAKES_JSON, .argument = "ID"},
    {.name = NULL},
};

static const struct command commands[] = {
    {.name = "run",
     .usage = "run -c FILE",
     .summary = "keep the tables equal: the daemon, in the foreground",
     .text = "Follows the binary log of both servers of each link and writes every change into\n"
             "the other table. Waits for servers that do not answer yet. Before anything is\n"
             "written, everything that `twinlog check` looks at has to pass. Logs to standard\n"
             "error; state is served over HTTP at http.listen.\n"
             "\n"
             "All rows are compared (a resync) at a link's first start, when a position is lost, and when\n"
             "rows changed and the log does not hold which.\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "\n"
             "Signals: SIGTERM, SIGINT  stop cleanly; a second one ends at once\n"
             "         SIGHUP           read the log level and the keys again\n"
             "\n"
             "Exit codes: 0  was asked to stop\n"
             "            1  failed while running\n"
             "            2  wrong config, or a check that FAILs: nothing was started\n"
             "\n"
             "Example: twinlog run -c /etc/twinlog/twinlog.conf\n",
     .options = TAKES_CONFIG,
     .run = cmd_run},
    {.name = "check",
     .usage = "check -c FILE",
     .summary = "look whether config, servers, tables and privileges are as they have to be",
     .text = "One line for each check: ok, warn or FAIL, with the SQL or the setting that mends\n"
             "it: privileges by trying them out, the binary log's settings, filters and retention,\n"
             "triggers, cascades, keys, types, clocks. A marker is written on each server, looked\n"
             "for in its binary log and deleted again; nothing else is changed. Can be used while\n"
             "the daemon runs.\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "\n"
             "Exit codes: 0  nothing FAILs\n"
             "            1  something FAILs, or a server cannot be reached\n"
             "            2  wrong usage or config\n"
             "\n"
             "Example: twinlog check -c /etc/twinlog/twinlog.conf\n",
     .options = TAKES_CONFIG,
     .run = cmd_check},
    {.name = "init",
     .usage = "init -c FILE [--print]",
     .summary = "make or upgrade the control tables on all servers",
     .text = "Makes the tables in which positions and markers are kept, in state_database of\n"
             "each server. Safe to repeat. No table of a link is touched.\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "      --print         show the SQL instead of running it\n"
             "\n"
             "Exit codes: 0  done\n"
             "            1  a server cannot be reached or refuses\n"
             "            2  wrong usage or config\n"
             "\n"
             "Example: twinlog init -c /etc/twinlog/twinlog.conf --print | less\n",
     .options = TAKES_CONFIG | TAKES_PRINT,
     .run = cmd_init},
    {.name = "status",
     .usage = "status -c FILE [--json]",
     .summary = "what the running daemon says: state, lag, queue and counters of each direction",
     .text = "Asks the daemon at http.listen of the config. A resync stands below the tables while\n"
             "it runs, for 10 minutes after it is done, and for as long as it has failed. Colours\n"
             "appear on a terminal only, and not when NO_COLOR is set.\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "      --json          the daemon's own document (GET /sync/status)\n"
             "\n"
             "Exit codes: 0  every reader streams and every applier is connected\n"
             "            1  something does not, or the daemon cannot be reached\n"
             "            2  wrong usage or config\n"
             "\n"
             "Example: twinlog status -c /etc/twinlog/twinlog.conf --json | jq .links.users\n",
     .options = TAKES_CONFIG | TAKES_JSON,
     .run = cmd_status},
    {.name = "trigger",
     .usage = "trigger -c FILE [--link L] [--from left|right|SERVER] [--mode merge|force]\n"
              "                [--missing copy|delete] [--wait]",
     .summary = "compare all rows of both tables and make them equal: a resync, in the daemon",
     .text = "Asks the daemon at http.listen of the config to begin a resync of each link, or of one.\n"
             "It goes on there while changes keep flowing, whether this command waits or not. A link\n"
             "whose resync runs already is left to it. With --from, a direction that has halted goes on.\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "      --link L        this link alone; without it all of them\n"
             "      --from SIDE     left, right or the name of a server: its rows are the right ones;\n"
             "                      without it both sides are alike\n"
             "      --mode merge    rows that differ meet under the conflict rule (this is the default)\n"
             "      --mode force    the rows of --from win, whatever their version\n"
             "      --missing copy  a row that one side lacks is copied there (this is the default)\n"
             "      --missing delete  a row that --from lacks is deleted at the other side\n"
             "      --wait          show the progress until it is done. Ctrl-C ends the waiting, not the\n"
             "                      resync; a daemon that goes away is waited for, 60 s\n"
             "\n"
             "Exit codes: 0    it has begun, or runs already; with --wait: it is done\n"
             "            1    it failed, or the daemon cannot be reached or refuses\n"
             "            2    wrong usage or config\n"
             "            130  Ctrl-C while waiting\n"
             "\n"
             "Example: twinlog trigger -c /etc/twinlog/twinlog.conf --link users --from left --wait\n",
     .options = TAKES_CONFIG | TAKES_LINK | TAKES_FROM | TAKES_MODE | TAKES_MISSING | TAKES_WAIT,
     .run = cmd_trigger},
    {.name = "verify",
     .usage = "verify -c FILE [--link L] [--repair] [--json]",
     .summary = "compare both tables row by row and say where they differ",
     .text =
         "Reads both tables in chunks and compares plain values: a column that is encrypted on one\n"
         "side is decrypted first. Works whether the daemon runs or not. Rows that are on their\n"
         "way while it reads are looked at again until they settle; what differs still is told,\n"
         "by its key and its columns, never by a value. Without --repair nothing is written.\n"
         "\n"
         "  -c, --config FILE   the config\n"
         "      --link L        this link alone; without it all of them\n"
         "      --repair        where something differs, resync the link under the conflict rule, by the\n"
         "                      daemon if it runs, else by one that lives as long as it takes; then look "
         "again\n"
         "      --json          the result as one JSON document\n"
         "\n"
         "Exit codes: 0  both tables are equal; with --repair: they are now\n"
         "            1  something differs, or a server cannot be reached or refuses\n"
         "            2  wrong usage or config\n"
         "\n"
         "Example: twinlog verify -c /etc/twinlog/twinlog.conf --link users\n",
     .options = TAKES_CONFIG | TAKES_LINK | TAKES_REPAIR | TAKES_JSON,
     .run = cmd_verify},
    {.name = "quarantine",
     .usage = "quarantine -c FILE list [--link L] [--json]\n"
              "quarantine -c FILE retry KEY [--link L]\n"
              "quarantine -c FILE retry --all [--link L]",
     .summary = "the rows that the other side refuses: list them, try them again",
     .text = "Such a row stays as it is on both sides. The daemon tries it again by itself every few\n"
             "seconds and whenever it changes; retry does so at once. Asks the daemon at http.listen\n"
             "of the config.\n"
             "\n"
             "  list                each key: why it waits, since when, and when it is tried next\n"
             "  retry KEY           try this key now: its value, 42, or as list shows it\n"
             "  retry --all         try all of them now\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "      --link L        of this link alone; without it of all\n"
             "      --json          the daemon's own document (GET /sync/quarantine)\n"
             "\n"
             "A KEY that begins with - stands behind --: retry -- -5\n"
             "\n"
             "Exit codes: 0  done: a key that is tried may be refused again, list shows it\n"
             "            1  there is no such key, or the daemon cannot be reached or refuses\n"
             "            2  wrong usage or config\n"
             "\n"
             "Example: twinlog quarantine -c /etc/twinlog/twinlog.conf retry 42 --link users\n",
     .words = quarantine_words,
     .run = cmd_quarantine},
    {.name = "conflicts",
     .usage = "conflicts -c FILE list [--link L] [--json]\n"
              "conflicts -c FILE show ID [--json]",
     .summary = "rows that both sides wrote: what met, which rule decided, which side won",
     .text = "Asks the daemon at http.listen of the config. Names rows by their key and columns by\n"
             "their left name, and shows no value of a row.\n"
             "\n"
             "  list                the latest 1000\n"
             "  show ID             one of them: versions and times of both rows\n"
             "\n"
             "  -c, --config FILE   the config\n"
             "      --link L        of this link alone; without it of all\n"
             "      --json          the daemon's own document (GET /sync/conflicts)\n"
             "\n"
             "Exit codes: 0  done\n"
             "            1  there is no such conflict, or the daemon cannot be reached or refuses\n"
             "            2  wrong usage or config\n"
             "\n"
             "Example: twinlog conflicts -c /etc/twinlog/twinlog.conf show users.17\n",
     .words = conflicts_words,
     .run = cmd_conflicts},
    {.name = "help",
     .usage = "help [COMMAND]",
     .summary = "what a command does, its options and exit codes, and an example",
     .text = "Example: twinlog help run\n"},
};

enum { NCOMMANDS = sizeof(commands) / sizeof(commands[0]), MAX_NAME = 24, MAX_TYPOS = 2 };

const struct command *help_find(const char *name)
{
    for (size_t i = 0; i < NCOMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* How many letters have to be added, dropped, changed or swapped with the next
 * one to make b of a (optimal string alignment). Both shorter than MAX_NAME. */
static unsigned count_typos(const char *a, const char *b)
{
    unsigned d[MAX_NAME][MAX_NAME];
    size_t la = strlen(a), lb = strlen(b);
    for (size_t i = 0; i <= la; i++) {
        for (size_t j = 0; j <= lb; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[la][lb];
}

const char *help_nearest(const char *name)
{
    const char *best = NULL;
    unsigned fewest = MAX_TYPOS + 1;
    size_t len = strlen(name);
    if (len == 0 || len >= MAX_NAME)
        return NULL;
    for (size_t i = 0; i < NCOMMANDS; i++) {
        /* "stat", or everything mistyped in a short word, which is no likeness. */
        bool starts = len >= 2 && strncmp(commands[i].name, name, len) == 0;
        unsigned n = starts ? 0 : count_typos(name, commands[i].name);
        if (n < fewest && n < strlen(commands[i].name) - 1) {
            fewest = n;
            best = commands[i].name;
        }
    }
    return best;
}

void help_list(FILE *out)
{
    fputs("twinlog keeps two MySQL or MariaDB tables equal, in both directions, from their binary logs.\n\n",
          out);
    for (size_t i = 0; i < NCOMMANDS; i++)
        fprintf(out, "  twinlog %-11s %s\n", commands[i].name, commands[i].summary);
    fprintf(out, "  twinlog %-11s %s\n", "--version", "print the version");
    fputs("\nEach command takes -c FILE, the config; `twinlog help COMMAND` shows all that it takes.\n"
          "Exit codes: 0 done, 1 it failed while running, 2 wrong usage or config.\n",
          out);
}

void help_command(const struct command *c, FILE *out)
{
    fputs("twinlog ", out);
    for (const char *p = c->usage; *p != '\0'; p++) {
        fputc(*p, out);
        if (*p == '\n' && p[1] != ' ') /* else the line before goes on */
            fputs("twinlog ", out);
    }
    fprintf(out, "\n\n%c%s.\n\n%s", toupper((unsigned char)c->summary[0]), c->summary + 1, c->text);
}
