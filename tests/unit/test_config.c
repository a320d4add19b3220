/* The config file: what is read, what is refused and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/buf.h"
#include "cdc/base/mem.h"
#include "config/config.h"

static char dir[] = "/tmp/test_config.XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    unsetenv("TWINLOG_TOKEN");
    return mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state)
{
    static const char *const names[] = {"a.conf", "b.conf", "sub/c.conf", "secret"};
    char path[200];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/sub", dir);
    rmdir(path);
    return rmdir(dir);
}

static const char *write_file(const char *name, const void *text, size_t len, mode_t mode)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static bool load(const char *text, struct config *c, struct err *err)
{
    return config_load(write_file("a.conf", text, strlen(text), 0644), c, err);
}

/* ---- What is right ---- */

#define SERVERS                                                                                            \
    "servers = { auth = { host = \"h1\"; server_id = 1; }; customer = { host = \"h2\"; server_id = 2; }; " \
    "};\n"
#define SIDES \
    "left = { server = \"auth\"; table = \"a.x\"; }; right = { server = \"customer\"; table = \"c.y\"; };"

static void test_defaults_are_the_seed(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    if (!load(SERVERS "links = ( { " SIDES " } );", &c, &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.state_database, "twinlog");
    assert_string_equal(c.http_host, "127.0.0.1");
    assert_int_equal(c.http_port, 8080);
    assert_null(c.http_token.env);
    assert_int_equal(c.log_level, LOG_INFO);
    assert_int_equal(c.nservers, 2);
    assert_int_equal(c.servers[0].naddresses, 1);
    assert_int_equal(c.servers[0].addresses[0].port, 3306);
    assert_string_equal(c.servers[0].user, "twinlog");
    assert_int_equal(c.servers[0].tls_mode, TLS_OFF);
    assert_int_equal(c.nlinks, 1);

    const struct config_link *k = &c.links[0];
    assert_string_equal(k->name, "users");
    assert_string_equal(k->side[SIDE_RIGHT].db, "c");
    assert_string_equal(k->side[SIDE_RIGHT].table, "y");
    assert_int_equal(k->nkey, 1);
    assert_string_equal(k->key[0], "id");
    assert_int_equal(k->ncolumns, 4);
    assert_string_equal(k->columns[2].left, "email_encrypted");
    assert_string_equal(k->columns[2].right, "email");
    assert_true(k->columns[2].ciphered);
    assert_false(k->columns[1].ciphered);
    assert_int_equal(k->columns[2].sealed_side, SIDE_LEFT);
    assert_string_equal(k->columns[2].key.env, "ENCRYPTION_KEY");
    assert_string_equal(k->version, "sync_version");
    assert_string_equal(k->updated_at, "updated_at");
    assert_string_equal(k->synced_at, "last_sync_at");
    assert_int_equal(k->authority, SIDE_LEFT);
    assert_false(k->delete_beats_update);
    assert_true(k->initial_sync);
    assert_int_equal(c.batch_rows, 500);
    assert_int_equal(c.lanes, 3);
    assert_int_equal(c.quarantine_keys, 100000);
    assert_int_equal(k->keep_conflicts, 1000);
    assert_int_equal(k->keep_conflict_days, 30);
    assert_null(c.servers[0].listen_host);
    assert_null(c.notify.url);
    config_done(&c);
}

/* The example's commented keys must be right too: they are what people put in. */
static void test_example_uncommented(void **state)
{
    (void)state;
    static char text[32768];
    char *line, *save;
    struct buf all = BUF_INIT;
    struct config c;
    struct err err = ERR_INIT;
    FILE *f = fopen("config/twinlog.conf.example", "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    bool in_notify = false;
    for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        char *listen = strstr(line, "# listen = ");
        in_notify = in_notify || strncmp(line, "# notify = {", 12) == 0;
        buf_adds(&all, in_notify ? line + 2 : listen != NULL ? listen + 2 : line);
        buf_addc(&all, '\n');
        in_notify = in_notify && strcmp(line, "# };") != 0;
    }
    if (!load(all.data, &c, &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.notify.url, "https://hooks.example.net/twinlog");
    assert_string_equal(c.notify.token.env, "TWINLOG_NOTIFY_TOKEN");
    for (int i = 0; i < EVENT_KINDS; i++)
        assert_true(c.notify.events[i]);
    assert_string_equal(c.servers[0].listen_host, "127.0.0.1");
    assert_int_equal(c.servers[0].listen_port, 8081);
    config_done(&c);
    buf_done(&all);
}

static void test_example(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    setenv("TWINLOG_TOKEN", "t0ken", 1);
    if (!config_load("config/twinlog.conf.example", &c, &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.http_token.env, "TWINLOG_TOKEN");
    assert_int_equal(c.nservers, 2);
    assert_string_equal(c.servers[1].name, "customer");
    assert_int_equal(c.servers[1].addresses[0].port, 3307);
    assert_string_equal(c.links[0].side[SIDE_LEFT].table, "client_auth");
    assert_int_equal(c.links[0].columns[2].nprevious_keys, 1);
    config_done(&c);

    /* "Not set counts as none": a loopback address needs none. */
    unsetenv("TWINLOG_TOKEN");
    assert_true(config_load("config/twinlog.conf.example", &c, &err));
    assert_null(c.http_token.env);
    config_done(&c);
}

static void test_every_key(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    setenv("TT", "x", 1);
    bool ok = load(
        "state_database = \"st\"; http = { listen = \"[::]:9000\"; token_env = \"TT\"; };\n"
        "log = { level = \"debug\"; format = \"json\"; keys = \"hash\"; };\n"
        "servers = { s-1 = { socket = \"/run/s\"; user = \"u\"; password_file = \"/p\";\n"
        "  server_id = 4294967295; listen = \"0.0.0.0:1\"; tls = { mode = \"required\"; ca = \"/ca\";\n"
        "  cert = \"/c\"; key = \"/k\"; }; }; };\n"
        "links = ( { name = \"L\"; left = { server = \"s-1\"; table = \"`a.b`.`x``y`\"; };\n"
        "  right = { server = \"s-1\"; table = \"d.t\"; }; key = (\"K2\", \"k1\");\n"
        "  columns = ( { left = \"k1\"; right = \"r1\"; }, { left = \"k2\"; right = \"r2\"; },\n"
        "    { left = \"p\"; right = \"s\"; cipher = { side = \"right\"; encoding = \"hex\";\n"
        "      key_file = \"/key\"; previous_key_file = [\"/old\"]; previous_key_env = [\"OLD\"]; }; } );\n"
        "  version = \"v\"; updated_at = \"u\"; synced_at = \"w\"; initial_sync = false;\n"
        "  conflict = { authority = \"right\"; delete_vs_update = \"delete\"; keep = 0;\n"
        "    keep_days = 7; }; } );\n"
        "limits = { queue_mb = 1; batch_rows = 2; lanes = 16; resync_chunk_rows = 3; connect_timeout_s = 4;\n"
        "  read_timeout_s = 5; stop_timeout_s = 6; quarantine_keys = 10000000; };\n"
        "notify = { url = \"https://h/\"; events = [\"gap\"]; token_file = \"/nt\"; };\n",
        &c, &err);
    if (!ok)
        fail_msg("%s", err.text);
    const struct config_server *s = config_find_server(&c, "s-1");
    assert_non_null(s);
    assert_null(config_find_server(&c, "S-1"));
    assert_true(s->server_id == UINT32_MAX);
    assert_int_equal(s->naddresses, 0);
    assert_string_equal(s->tls_key, "/k");
    assert_int_equal(s->line, 3);
    assert_string_equal(c.http_host, "::");
    const struct config_link *k = &c.links[0];
    assert_int_equal(k->line, 6);
    assert_string_equal(k->side[SIDE_LEFT].db, "a.b");
    assert_string_equal(k->side[SIDE_LEFT].table, "x`y");
    assert_int_equal(k->nkey, 2);
    assert_string_equal(k->key[0], "k2"); /* as columns has it */
    assert_int_equal(k->columns[2].sealed_side, SIDE_RIGHT);
    assert_int_equal(k->columns[2].encoding, CIPHER_HEX);
    assert_string_equal(k->columns[2].previous_keys[0].env, "OLD");
    assert_string_equal(k->columns[2].previous_keys[1].file, "/old");
    assert_true(k->delete_beats_update);
    assert_int_equal(k->authority, SIDE_RIGHT);
    assert_false(k->initial_sync);
    assert_int_equal(c.queue_mb + c.batch_rows * 10 + c.resync_chunk_rows * 100 + c.connect_timeout_s * 1000 +
                         c.read_timeout_s * 10000 + c.stop_timeout_s * 100000,
                     654321);
    assert_int_equal(c.lanes, 16);
    assert_int_equal(c.quarantine_keys, 10000000);
    assert_int_equal(k->keep_conflicts, 0);
    assert_int_equal(k->keep_conflict_days, 7);
    assert_string_equal(s->listen_host, "0.0.0.0");
    assert_int_equal(s->listen_port, 1);
    assert_string_equal(c.notify.url, "https://h/");
    assert_string_equal(c.notify.token.file, "/nt");
    for (int i = 0; i < EVENT_KINDS; i++)
        assert_int_equal(c.notify.events[i], i == EVENT_GAP);
    config_done(&c);
}

/* ---- What is wrong ---- */

#define LINK(rest) SERVERS "links = ( { " SIDES "\n" rest " } );\n"
#define COLUMNS(rest) \
    LINK("columns = ( { left = \"id\"; right = \"id\"; }, { left = \"n\"; right = \"n\"; },\n" rest " );")
#define SERVER(rest) "servers = { auth = { host = \"h\"; server_id = 1;\n" rest " }; };\n"

static const struct bad_case {
    const char *text;
    const char *error; /* after "dir/a.conf:" */
} bad_cases[] = {
    /* The file as such */
    {"", "1: servers: is missing"},
    {"a = ;", "1: a: syntax error"},
    {"log = { };\nlog = { };", "2: log: duplicate setting name"},
    {"x = \"open", "1: a string is not closed"},
    {"\n/* open\n\n", "3: a comment is not closed"},
    {"limits = { batch_rows = 99999999999999999999; };", "1: a number is too large"},
    {"@include other", "1: @include needs a file name"},
    {"\n@include \"nowhere\"", "2: @include: "},
    {"@include \"a.conf\"", "1: @include is nested more than 10 deep"},
    /* Keys and types */
    {"stat_database = \"x\";", "1: stat_database: unknown key; known here: state_database, http"},
    {"state_database = 5;", "1: state_database: is an integer; must be a string"},
    {"state_database = \"\";", "1: state_database: is empty"},
    {"state_database = \"mysql\";", "1: state_database: is the server's own"},
    {"log = 5;", "1: log: is an integer; must be a group"},
    {"log = {\nlevel = \"loud\"; };",
     "2: log.level: is \"loud\"; must be one of \"debug\", \"info\", \"warn\", \"error\""},
    {"limits = {\n\nbatch_rows = 0; };", "3: limits.batch_rows: is 0; must be from 1 to 100000"},
    {"limits = { lanes = 17; };", "1: limits.lanes: is 17; must be from 1 to 16"},
    {"limits = { batch_rows = 4294967297; };",
     "1: limits.batch_rows: is 4294967297; must be from 1 to 100000"},
    {"limits = { batch_rows = 0x100000001; };", "1: limits.batch_rows: is 4294967297; must be"},
    {"limits = { batch_rows = \"7\"; };", "1: limits.batch_rows: is a string; must be an integer"},
    {"limits = { queue_mb = 1.5; };", "1: limits.queue_mb: is a fraction; must be an integer"},
    /* HTTP */
    {"http = { listen = \"8080\"; };", "1: http.listen: must be \"address:port\""},
    {"http = { listen = \"::1:8080\"; };", "1: http.listen: must be \"address:port\""},
    {"http = { listen = \"h:70000\"; };", "1: http.listen: must be \"address:port\""},
    {"http = { listen = \"0.0.0.0:80\"; };",
     "1: http.listen: 0.0.0.0 is not a loopback address and there is no token"},
    {"http = { listen = \"h:80\"; token_env = \"NOT_SET_AT_ALL\"; };",
     "1: http.listen: h is not an IPv4 or IPv6 address"},
    {"http = {\n listen = \"0.0.0.0:80\";\n token_file = \"/nowhere/at/all\"; };",
     "3: http.token_file: /nowhere/at/all: cannot open"},
    {"http = { listen = \"db.example:80\"; };", "1: http.listen: db.example is not an IPv4 or IPv6 address"},
    {"http = { token = \"abc\"; };", "1: http.token: a secret never stands in the config; use token_env"},
    {"http = { token_file = \"/nowhere/at/all\"; };", "1: http.token_file: /nowhere/at/all: cannot open"},
    {"notify = { events = []; };", "1: notify.url: is missing"},
    {"notify = { url = \"ftp://x\"; };", "1: notify.url: must be a string that begins with http"},
    {"notify = { url = \"http://x\"; events = [\"none\"]; };",
     "1: notify.events[0]: is \"none\"; must be one of"},
    {"notify = { url = \"http://x\"; events = []; };", "1: notify.events: is empty; leave the key out"},
    {"notify = { url = \"http://\"; };", "1: notify.url: must be a string that begins with http"},
    {"notify = { url = \"https:///x\"; };", "1: notify.url: must be a string that begins with http"},
    {"notify = { url = \"http://x/a b\"; };", "1: notify.url: must be a string that begins with http"},
    {"notify = { url = \"http://x\\r\\ny: z\"; };", "1: notify.url: must be a string that begins with http"},
    {"notify = { url = \"http://x\"; token = \"t\"; };",
     "1: notify.token: a secret never stands in the config; use token_env"},
    {"notify = { url = \"http://x\"; token_env = \"a b\"; };",
     "1: notify.token_env: is no name of an environment variable"},
    {"limits = { quarantine_keys = 0; };", "1: limits.quarantine_keys: is 0; must be from 1 to 10000000"},
    /* Servers */
    {"servers = { };", "1: servers: is empty"},
    {"servers = ( );", "1: servers: is empty"},
    {"servers = \"\";", "1: servers: is a string; must be a group of servers"},
    {"servers = 5;", "1: servers: is an integer; must be a group of servers"},
    {"servers = false;", "1: servers: is true or false; must be a group of servers"},
    {"servers = { left = { host = \"h\"; server_id = 1; }; };", "1: servers.left: cannot be a server's name"},
    {"servers = { s = {\nserver_id = 1; }; };", "1: servers.s.host: is missing"},
    {"servers = { s = { host = \"h\"; }; };", "1: servers.s.server_id: is missing"},
    {"servers = { s = { host = [ ]; }; };", "1: servers.s.host: is empty"},
    {"servers = { s = { host = \"\"; }; };", "1: servers.s.host: is empty; must be a name or address"},
    {"servers = { s = { host = 5; }; };", "1: servers.s.host: is an integer; must be a string"},
    {"servers = { s = { host = ( \"a\", 5 ); }; };", "1: servers.s.host[1]: must be a string"},
    {"servers = { s = { host = [\n\"a\",\n\"b:0\"]; }; };",
     "3: servers.s.host[1]: must be \"host\" or \"host:port\""},
    {"servers = { s = { host = \"a:65536\"; }; };", "1: servers.s.host: must be \"host\" or"},
    {"servers = { s = { host = \":1\"; }; };", "1: servers.s.host: must be"},
    {"servers = { s = { host = \"[::1\"; }; };", "1: servers.s.host: must be"},
    {"servers = { s = { host = \"[db]:1\"; }; };", "1: servers.s.host: must be"},
    {"servers = { s = { host = \"[::1]1\"; }; };", "1: servers.s.host: must be"},
    {"servers = { s = { host = [\"a:1\", \"b\", \"A\"]; port = 1; }; };",
     "1: servers.s.host[2]: stands in the list twice"},
    {SERVER("password = \"p\";"),
     "2: servers.auth.password: a secret never stands in the config; use password_env"},
    {SERVER("password_env = \"A\"; password_file = \"/f\";"),
     "2: servers.auth.password_file: stands beside password_env"},
    {SERVER("password_env = \"hunter2!\";"),
     "2: servers.auth.password_env: is no name of an environment variable"},
    {SERVER("socket = \"/s\";"), "2: servers.auth.socket: stands beside host"},
    {SERVER("port = 65536;"), "2: servers.auth.port: is 65536; must be from 1 to 65535"},
    {SERVER("prot = 1;"), "2: servers.auth.prot: unknown key; known here: host, port"},
    {SERVER("tls = { mode = \"on\"; };"),
     "2: servers.auth.tls.mode: is \"on\"; must be one of \"off\", \"required\""},
    {SERVER("tls = { cert = \"/c\"; };"), "2: servers.auth.tls.cert: stands without key"},
    {SERVER("listen = \"1.2.3.4:80\";"), "2: servers.auth.listen: 1.2.3.4 is not a loopback address"},
    {SERVER("listen = \"8081\";"), "2: servers.auth.listen: must be \"address:port\""},
    {"servers = { a = { host = \"h\"; server_id = 1; listen = \"[::1]:81\"; };\n"
     "b = { host = \"i\"; server_id = 2; listen = \"[::1]:81\"; }; };",
     "2: servers.b.listen: is the listen address of server a too"},
    {SERVER("listen = \"127.0.0.1:8080\";"), "2: servers.auth.listen: is the address of http.listen"},
    {"servers = { a = { host = \"h\"; server_id = 1; };\nb = { host = \"i\";\nserver_id = 1; }; };",
     "3: servers.b.server_id: is 1, as of server a (line 1); each needs its own"},
    {"servers = { a = { host = \"h\"; server_id = 0; }; };",
     "1: servers.a.server_id: is 0; must be from 1 to 4294967295"},
    /* Links */
    {SERVERS, "1: links: is missing"},
    {SERVERS "links = { };", "2: links: is empty"},
    {SERVERS "links = ( {\n } );", "2: links[0].left: is missing"},
    {SERVERS "links = ( { left = { table = \"a.b\"; }; } );", "2: links[0].left.server: is missing"},
    {SERVERS "links = ( { left = { server = \"aut\"; table = \"a.b\"; }; } );",
     "2: links[0].left.server: \"aut\" is no section in servers"},
    {SERVERS "links = ( { left = { server = \"auth\"; table = \"ab\"; }; } );",
     "2: links[0].left.table: must be \"database.table\""},
    {SERVERS "links = ( { left = { server = \"auth\"; table = \"a.b.c\"; }; } );",
     "2: links[0].left.table: must be"},
    {SERVERS "links = ( { left = { server = \"auth\"; table = \"`a.b\"; }; } );",
     "2: links[0].left.table: must be"},
    {SERVERS "links = ( { left = { server = \"auth\"; table = \"twinlog.b\"; }; } );",
     "2: links[0].left.table: lies in the state database"},
    {LINK("name = \"a b\";"), "3: links[0].name: must be 1 to 64 letters"},
    {LINK("key = [];"), "3: links[0].key: has 0 columns"},
    {LINK("key = \"id\";"), "3: links[0].key: is a string; must be an array of strings"},
    {LINK("key = [\"uid\"];"), "3: links[0].key[0]: key column \"uid\" is not mapped"},
    {LINK("key = [\"id\",\n\"ID\"];"), "4: links[0].key[1]: key column \"ID\" stands twice"},
    {LINK("key = [\"email_encrypted\"];"), "3: links[0].key[0]: key column \"email_encrypted\" has a cipher"},
    {LINK("version = \"Name\";"), "3: links[0].version: is a mapped column too"},
    {LINK("version = \"updated_at\";"), "2: links[0].updated_at: is the column of another of version"},
    {LINK("conflict = { authority = \"auth\"; };"),
     "3: links[0].conflict.authority: is \"auth\"; must be one of"},
    {LINK("conflict = { keep = 100001; };"),
     "3: links[0].conflict.keep: is 100001; must be from 0 to 100000"},
    {LINK("conflict = { keep_days = 0; };"), "3: links[0].conflict.keep_days: is 0; must be from 1 to 3650"},
    {LINK("initial_sync = 1;"), "3: links[0].initial_sync: is an integer; must be true or false"},
    {LINK("columns = ( );"), "3: links[0].columns: is empty"},
    {LINK("columns = ( { left = \"id\"; } );"), "3: links[0].columns[0].right: is missing"},
    {COLUMNS("{ left = \"ID\"; right = \"x\"; }"),
     "4: links[0].columns[2].left: \"ID\" is mapped already (line 3)"},
    {COLUMNS("{ left = \"x\"; right = \"n\"; }"),
     "4: links[0].columns[2].right: \"n\" is mapped already (line 3)"},
    {COLUMNS("{ left = \"x\"; right = \"x\"; cipher = { key = \"0123\"; }; }"),
     "4: links[0].columns[2].cipher.key: a secret never stands in the config; use key_env"},
    {COLUMNS("{ left = \"x\"; right = \"x\"; cipher = { algorithm = \"des\"; }; }"),
     "4: links[0].columns[2].cipher.algorithm: is \"des\"; must be one of \"aes-256-gcm\""},
    {SERVERS "links = ( { " SIDES " },\n{ left = { server = \"auth\"; table = \"a.z\"; }; right = { server = "
             "\"customer\"; table = \"c.z\"; }; } );",
     "3: links[1].name: another link has the name already"},
    /* Tables as a graph */
    {SERVERS "links = ( { left = { server = \"auth\"; table = \"a.x\"; }; right = { server = \"auth\"; table "
             "= \"A.X\"; }; } );",
     "2: links[0]: left and right are one table"},
    {SERVERS "links = ( { " SIDES " },\n{ name = \"b\"; left = { server = \"customer\"; table = \"c.y\"; };\n"
             "right = { server = \"auth\"; table = \"a.x\"; }; } );",
     "3: links[1]: links the same two tables as link users (line 2)"},
    {SERVERS
     "links = ( { " SIDES " },\n{ name = \"b\"; left = { server = \"customer\"; table = \"c.y\"; };\n"
     "right = { server = \"auth\"; table = \"a.z\"; }; },\n"
     "{ name = \"c\"; left = { server = \"auth\"; table = \"a.z\"; }; right = { server = \"auth\"; table = "
     "\"a.x\"; }; } );",
     "5: links[2]: closes a cycle: a.z and a.x"},
    /* Two sections, one server */
    {"servers = { p = { host = \"h\"; server_id = 1; }; q = { host = \"h\"; server_id = 2; }; };\n"
     "links = ( { left = { server = \"p\"; table = \"a.x\"; }; right = { server = \"q\"; table = \"a.x\"; }; "
     "} );",
     "2: links[0]: left and right are one table"},
};

static void test_errors_name_file_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_cases) / sizeof(*bad_cases); i++) {
        struct config c;
        struct err err = ERR_INIT;
        char wanted[500];
        snprintf(wanted, sizeof(wanted), "%s/a.conf:%s", dir, bad_cases[i].error);
        if (load(bad_cases[i].text, &c, &err))
            fail_msg("taken: %s", bad_cases[i].text);
        if (strncmp(err.text, wanted, strlen(wanted)) != 0)
            fail_msg("\n  text:   %s\n  wanted: %s\n  got:    %s", bad_cases[i].text, wanted, err.text);
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_null(strchr(err.text, '\n'));
    }
}

/* Any prefix of a good file is refused or taken, but never crashes, and what is said has a place. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    static const char text[] = COLUMNS(
        "{ left = \"x\"; right = \"y\"; /* c */ cipher = { previous_key_env = [\"A\"]; }; }");
    char cut[sizeof(text)];
    for (size_t len = 0; len < sizeof(text); len++) {
        struct config c;
        struct err err = ERR_INIT;
        memcpy(cut, text, len);
        cut[len] = '\0';
        if (load(cut, &c, &err)) {
            config_done(&c);
            continue;
        }
        assert_int_equal(err.kind, ERR_CONFIG);
        assert_non_null(strstr(err.text, "a.conf:"));
    }
}

static void test_forest_is_taken(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    /* a.x - c.y - a.z, and c.y - a.w: chained links are fine. */
    if (!load(SERVERS "links = ( { " SIDES " },\n"
                      "{ name = \"b\"; left = { server = \"customer\"; table = \"c.y\"; };"
                      " right = { server = \"auth\"; table = \"a.z\"; }; },\n"
                      "{ name = \"c\"; left = { server = \"customer\"; table = \"c.y\"; };"
                      " right = { server = \"auth\"; table = \"a.w\"; }; } );",
              &c, &err))
        fail_msg("%s", err.text);
    config_done(&c);
}

static void test_include_names_its_own_lines(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    char path[200], wanted[300];
    snprintf(path, sizeof(path), "%s/sub", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    static const char deep[] = "// nothing\nlinks = ( { " SIDES "\nbad = 1; } );\n";
    write_file("sub/c.conf", deep, strlen(deep), 0644);
    static const char middle[] = SERVERS "@include \"sub/c.conf\" # relative to this file\n";
    write_file("b.conf", middle, strlen(middle), 0644);

    assert_false(load("# first\n\n  @include \"b.conf\"\n", &c, &err));
    snprintf(wanted, sizeof(wanted), "%s/sub/c.conf:3: links[0].bad: unknown key", dir);
    assert_memory_equal(err.text, wanted, strlen(wanted));

    /* By an absolute path, and a mistake behind it, on the right line. */
    char text[400];
    snprintf(text, sizeof(text), "@include \"%s/b.conf\"\nlog = { x = 1; };\n", dir);
    write_file("sub/c.conf", "links = ();\n", 12, 0644);
    assert_false(load(text, &c, &err));
    snprintf(wanted, sizeof(wanted), "%s/a.conf:2: log.x: unknown key", dir);
    assert_memory_equal(err.text, wanted, strlen(wanted));
}

/* 256 times 4 MiB were a GiB. */
static void test_includes_are_bounded_together(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    struct buf big = BUF_INIT;
    char text[400], wanted[300];
    while (big.len < (size_t)3 << 20)
        buf_adds(&big, "log = { level = \"info\"; }; \n");
    write_file("b.conf", big.data, big.len, 0644);
    buf_done(&big);
    snprintf(text, sizeof(text), "# first\n@include \"b.conf\"\n@include \"b.conf\"\n");
    assert_false(load(text, &c, &err));
    snprintf(wanted, sizeof(wanted), "%s/b.conf:", dir);
    assert_memory_equal(err.text, wanted, strlen(wanted));
    assert_non_null(strstr(err.text, ": the config is longer than 4 MiB with all that it includes"));
}

static void test_numbers_and_strings_of_the_text(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    /* Digits in names, strings and comments are no numbers; # and // in strings no comments. */
    if (!load("servers = { s99999999999 = { host = \"//h#1 99999999999\\\" /*\"; server_id = 3000000000; /* "
              "99999999999999999999 */ }; };\n"
              "links = ( { left = { server = \"s99999999999\"; table = \"a.x\"; };\n"
              "  right = { server = \"s99999999999\"; table = \"a.y\"; }; } ); # 99999999999999999999\n",
              &c, &err))
        fail_msg("%s", err.text);
    assert_true(c.servers[0].server_id == 3000000000U);
    assert_string_equal(c.servers[0].addresses[0].host, "//h#1 99999999999\" /*");
    config_done(&c);
}

static void test_addresses(void **state)
{
    static const struct {
        const char *host;
        uint16_t port;
    } wanted[] = {
        {"db1.example", 3310}, {"db2.example", 3307}, {"::1", 3311}, {"fe80::1", 3310}, {"::2", 3310}};
    struct config c;
    struct err err = ERR_INIT;
    (void)state;
    if (!load("servers = { s = { host = [\"db1.example\", \"db2.example:3307\", \"[::1]:3311\", "
              "\"[fe80::1]\", \"::2\"];\n"
              "  port = 3310; server_id = 1; }; t = { host = (\"db2.example:3307\"); server_id = 2; }; };\n"
              "links = ( { left = { server = \"s\"; table = \"a.x\"; };\n"
              "  right = { server = \"t\"; table = \"a.y\"; }; } );\n",
              &c, &err))
        fail_msg("%s", err.text);
    assert_int_equal(c.servers[0].naddresses, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(c.servers[0].addresses[i].host, wanted[i].host);
        assert_int_equal(c.servers[0].addresses[i].port, wanted[i].port);
    }
    config_done(&c);

    /* One address in common makes two sections one server, and a table that is linked with itself is refused. */
    assert_false(
        load("servers = { s = { host = [\"a\", \"b\"]; server_id = 1; }; t = { host = [\"c\", \"b\"]; "
             "server_id = 2; }; };\n"
             "links = ( { left = { server = \"s\"; table = \"a.x\"; };\n"
             "  right = { server = \"t\"; table = \"a.x\"; }; } );\n",
             &c, &err));
}

/* ---- Secrets ---- */

static void test_token(void **state)
{
    (void)state;
    static const struct {
        const char *value, *token; /* NULL: none */
    } cases[] = {
        {"abc", "abc"},  {"abc\n", "abc"}, {"abc\r\n", "abc"}, {"abc\n\n", NULL}, {"a\nb", NULL},
        {"\tabc", NULL}, {"ab\x7f", NULL}, {"", ""},           {"\n", ""},
    };
    char name[] = "TWINLOG_TEST_TOKEN", where[] = "f.conf:7: http.token_env", *text;
    const struct config_secret s = {name, NULL, where};
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err err = ERR_INIT;
        size_t len;
        setenv(name, cases[i].value, 1);
        assert_int_equal(config_token_read(&s, &text, &len, &err), cases[i].token != NULL);
        if (cases[i].token == NULL) {
            assert_int_equal(err.kind, ERR_CONFIG);
            assert_string_equal(err.text,
                                "f.conf:7: http.token_env: TWINLOG_TEST_TOKEN: holds a control character; a "
                                "token is one line of text");
            continue;
        }
        assert_string_equal(text, cases[i].token);
        assert_int_equal(len, strlen(cases[i].token));
        mem_wipe_free(text, len + 1);
    }
    unsetenv(name);
}

/* Whoever reads a secret later is told where its name stands. */
static void test_secrets_know_their_place(void **state)
{
    (void)state;
    struct config c;
    struct err err = ERR_INIT;
    char want[300];
    unsigned char(*keys)[CIPHER_KEY_BYTES];
    char *text;
    size_t len;
    unsetenv("ENCRYPTION_KEY");
    unsetenv("TWINLOG_TEST_SECRET");
    if (!load("servers = { auth = { host = \"h1\"; server_id = 1;\n  password_env = \"TWINLOG_TEST_SECRET\"; "
              "};\n"
              "customer = { host = \"h2\"; server_id = 2; password_file = \"/nowhere/at/all\"; }; };\n"
              "links = ( { " SIDES " } );",
              &c, &err))
        fail_msg("%s", err.text);
    assert_false(config_secret_read(&c.servers[0].password, &text, &len, &err));
    snprintf(want, sizeof(want), "%s:2: servers.auth.password_env: TWINLOG_TEST_SECRET: the environment",
             c.path);
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s", err.text);
    assert_false(config_secret_read(&c.servers[1].password, &text, &len, &err));
    snprintf(want, sizeof(want), "%s:3: servers.customer.password_file: /nowhere/at/all: cannot open",
             c.path);
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s", err.text);
    assert_false(config_column_keys(&c.links[0].columns[2], &keys, &len, &err));
    snprintf(want, sizeof(want), "%s:4: links[0].columns[2].cipher.key_env: ENCRYPTION_KEY: the env", c.path);
    if (strncmp(err.text, want, strlen(want)) != 0)
        fail_msg("%s", err.text);
    config_done(&c);
}

static void test_secret_from_environment(void **state)
{
    (void)state;
    char name[] = "TWINLOG_TEST_SECRET", *text;
    size_t len;
    struct err err = ERR_INIT;
    char where[] = "f.conf:7: k_env";
    struct config_secret s = {name, NULL, where}, none = {NULL, NULL, NULL};
    unsetenv(name);
    assert_false(config_secret_read(&s, &text, &len, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_string_equal(err.text,
                        "f.conf:7: k_env: TWINLOG_TEST_SECRET: the environment variable is not set; it must "
                        "hold the secret");
    setenv(name, "top secret", 1);
    assert_true(config_secret_read(&s, &text, &len, &err));
    assert_string_equal(text, "top secret");
    assert_int_equal(len, 10);
    mem_wipe_free(text, len + 1);
    assert_true(config_secret_read(&none, &text, &len, &err));
    assert_int_equal(len, 0);
    assert_string_equal(text, "");
    mem_wipe_free(text, 1);
}

static void test_secret_from_file(void **state)
{
    (void)state;
    static const struct {
        const char *content, *secret;
    } cases[] = {{"pw", "pw"}, {"pw\n", "pw"}, {"pw\r\n", "pw"}, {"pw\n\n", "pw\n"},
                 {"", ""},     {"\n", ""},     {"a\r", "a\r"}};
    struct err err = ERR_INIT;
    char *text;
    size_t len;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct config_secret s = {
            NULL, (char *)(uintptr_t)write_file("secret", cases[i].content, strlen(cases[i].content), 0640),
            NULL};
        if (!config_secret_read(&s, &text, &len, &err))
            fail_msg("%s", err.text);
        assert_string_equal(text, cases[i].secret);
        assert_int_equal(len, strlen(cases[i].secret));
        mem_wipe_free(text, len + 1);
    }
    struct config_secret s = {NULL, (char *)(uintptr_t)write_file("secret", "pw", 2, 0604), NULL};
    assert_false(config_secret_read(&s, &text, &len, &err));
    assert_non_null(strstr(err.text, "mode 0604 lets other users in; chmod o= "));
    assert_null(strstr(err.text, "pw"));
    s.file = dir;
    assert_false(config_secret_read(&s, &text, &len, &err));
    assert_non_null(strstr(err.text, "is not a regular file"));

    char *big = mem_zalloc(1, 65537);
    s.file = (char *)(uintptr_t)write_file("secret", big, 65536, 0600);
    assert_true(config_secret_read(&s, &text, &len, &err));
    assert_int_equal(len, 65536);
    mem_wipe_free(text, len + 1);
    s.file = (char *)(uintptr_t)write_file("secret", big, 65537, 0600);
    assert_false(config_secret_read(&s, &text, &len, &err));
    assert_non_null(strstr(err.text, "longer than 64 KiB"));
    free(big);
}

static void test_column_keys(void **state)
{
    (void)state;
    static const char hex[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    char env[] = "TWINLOG_TEST_KEY", old[] = "TWINLOG_TEST_KEY_OLD";
    struct config_secret previous[2] = {{old, NULL, NULL}, {NULL, NULL, NULL}};
    struct config_column c = {
        .ciphered = true, .key = {.env = env}, .previous_keys = previous, .nprevious_keys = 2};
    struct err err = ERR_INIT;
    unsigned char(*keys)[CIPHER_KEY_BYTES];
    size_t count;

    /* A raw key that ends in what looks like a line end. */
    unsigned char raw[CIPHER_KEY_BYTES];
    memset(raw, 0x80, sizeof(raw));
    raw[0] = 0;
    raw[30] = '\r';
    raw[31] = '\n';
    previous[1].file = (char *)(uintptr_t)write_file("secret", raw, sizeof(raw), 0600);
    setenv(env, hex, 1);
    unsetenv(old);
    if (!config_column_keys(&c, &keys, &count, &err))
        fail_msg("%s", err.text);
    assert_int_equal(count, 2); /* the previous key that is not set is left out */
    assert_int_equal(keys[0][31], 0x1f);
    assert_memory_equal(keys[1], raw, sizeof(raw));
    mem_wipe_free(keys, count * CIPHER_KEY_BYTES);

    setenv(old, "too short", 1);
    assert_false(config_column_keys(&c, &keys, &count, &err));
    assert_non_null(strstr(err.text, "TWINLOG_TEST_KEY_OLD: "));
    assert_null(strstr(err.text, "too short"));
    unsetenv(env);
    assert_false(config_column_keys(&c, &keys, &count, &err));
    assert_non_null(strstr(err.text, "TWINLOG_TEST_KEY: the environment variable is not set"));
    assert_int_equal(err.kind, ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_the_seed),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_example_uncommented),
        cmocka_unit_test(test_every_key),
        cmocka_unit_test(test_errors_name_file_line_and_key),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_forest_is_taken),
        cmocka_unit_test(test_include_names_its_own_lines),
        cmocka_unit_test(test_includes_are_bounded_together),
        cmocka_unit_test(test_numbers_and_strings_of_the_text),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_secrets_know_their_place),
        cmocka_unit_test(test_secret_from_environment),
        cmocka_unit_test(test_secret_from_file),
        cmocka_unit_test(test_column_keys),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
