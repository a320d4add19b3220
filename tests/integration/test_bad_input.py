"""What cannot work is said in a clear line, before anything is started or changed."""

import json
import subprocess

import pytest

from support.daemon import BINARY
from support.servers import Why, wait_until
from support.tables import libconfig
from support.twin import make_account, make_seed_table


def state(twin):
    """Everything that must stay as it is: tables and rows. The marker that a check sends through the log is gone again."""
    return [{f"{db}.{name}": (s.rows(f"SHOW CREATE TABLE `{db}`.`{name}`"), s.rows(f"SELECT * FROM `{db}`.`{name}`"))
             for db, name in s.rows("SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema"
                                    " NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')")}
            for s in twin.servers.values()]


def connections(twin):
    """But for those that read the log: the server notices only with the next event that their reader is gone."""
    return sum(s.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'twinlog' "
                       "AND command <> 'Binlog Dump'") for s in twin.servers.values())


def refused(twin, code, *words):
    """`run` ends by itself with this code and says it in one line."""
    before = state(twin)
    ended, text = twin.daemon.command("run", timeout_s=30)
    assert ended == code, f"exit {ended}\n{text}"
    line = line_with(text, words)
    assert not any(sign in text for sign in ("Sanitizer", "Assertion")), text
    assert state(twin) == before, "something was changed"
    wait_until("no connection is left", lambda: not connections(twin) or Why(f"{connections(twin)}"), 5)
    return line


def line_with(text, words):
    lines = [line for line in text.splitlines() if all(word.lower() in line.lower() for word in words)]
    assert lines, f"no line with all of {words}:\n{text}"
    return lines[0]


def check_fails(twin, *words):
    before = state(twin)
    ended, text = twin.daemon.command("check")
    assert ended == 1, f"exit {ended}\n{text}"
    fails = "\n".join(line for line in text.splitlines() if "FAIL" in line)
    assert fails, text
    assert state(twin) == before, "something was changed"
    return line_with(text, words)


# ---- The config: exit 2, with file and line ----

CONFIGS = {
    "an unknown key": (lambda c: c["log"].update(colour="red"), ["colour"]),
    "an unknown key in a link": (lambda c: c["links"][0].update(tabel="x"), ["tabel"]),
    "an unknown section": (lambda c: c.update(sever={}), ["sever"]),
    "a wrong type": (lambda c: c["servers"]["auth"].update(port="3306"), ["port"]),
    "a port out of range": (lambda c: c["servers"]["auth"].update(port=70000), ["port"]),
    "no such server": (lambda c: c["links"][0]["left"].update(server="nobody"), ["nobody"]),
    "a table without its database": (lambda c: c["links"][0]["left"].update(table="client_auth"), ["links[0].left.table"]),
    "a level that does not exist": (lambda c: c["log"].update(level="loud"), ["level"]),
    "a key that is not mapped": (lambda c: c["links"][0].update(key=["nokey"]), ["nokey"]),
    "an authority that is no side": (lambda c: c["links"][0]["conflict"].update(authority="up"), ["authority"]),
    "a secret in the config": (lambda c: c["servers"]["auth"].update(password="open sesame"), ["password"]),
    "not only loopback, and no token": (lambda c: c["http"].update(listen="0.0.0.0:8080"), ["token"]),
    "the same server_id in both sections": (lambda c: c["servers"]["customer"].update(server_id=7001), ["server_id"]),
    "no links": (lambda c: c.pop("links"), ["links"]),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_wrong_config(twin, name):
    change, words = CONFIGS[name]
    twin.daemon.write_config()
    config = twin.daemon.config()
    change(config)
    twin.daemon.write_config(config)
    line = refused(twin, 2, "twinlog.conf", *words)
    for command in ("check", "init", "status"):
        code, text = twin.daemon.command(command)
        assert code == 2, f"{command}: exit {code}\n{text}"
        line_with(text, words)
    assert "open sesame" not in twin.daemon.log()
    assert line.count("\n") == 0


def test_a_line_that_is_no_config_is_named(twin):
    twin.daemon.write_config()
    twin.daemon.write_config(libconfig(twin.daemon.config()) + "\nhere is no = = setting\n")
    lines = libconfig(twin.daemon.config()).count("\n") + 2
    assert f"twinlog.conf:{lines}" in refused(twin, 2, "twinlog.conf")


def test_the_line_of_an_unknown_key_is_named(twin):
    twin.daemon.write_config()
    twin.daemon.write_config("no_such_key = 1;\n" + libconfig(twin.daemon.config()))
    assert "twinlog.conf:1:" in refused(twin, 2, "no_such_key")


@pytest.mark.parametrize("key", ["", "short", "0" * 63, "g" * 64, "A" * 31, "QUJDRA=="])
def test_a_key_of_a_wrong_length(twin, key):
    twin.daemon.write_config()
    twin.daemon.env["ENCRYPTION_KEY"] = key
    refused(twin, 2, "ENCRYPTION_KEY")
    code, text = twin.daemon.command("check")
    assert code != 0
    line_with(text, ["ENCRYPTION_KEY"])
    if len(key) > 5:
        assert key not in twin.daemon.log()


def test_a_secret_that_is_not_there(twin):
    twin.daemon.write_config()
    del twin.daemon.env["ENCRYPTION_KEY"]
    refused(twin, 2, "ENCRYPTION_KEY", "twinlog.conf:", "key_env")
    code, text = twin.daemon.command("verify")
    assert code == 2, text
    line_with(text, ["ENCRYPTION_KEY", "twinlog.conf:", "key_env"])
    code, text = twin.daemon.command("verify", "--json")
    assert code == 2, text
    document = json.loads(text[text.index("{"):])
    assert not document["equal"] and "ENCRYPTION_KEY" in document["links"]["users"]["error"]


def test_a_token_that_only_the_daemon_needs(twin):
    twin.daemon.more["notify"] = {"url": "http://127.0.0.1:1/", "token_env": "NOT_SET_AT_ALL"}
    twin.daemon.write_config()
    refused(twin, 2, "twinlog.conf:", "notify.token_env", "NOT_SET_AT_ALL")
    code, text = twin.daemon.command("check")
    assert code == 2, text
    line_with(text, ["twinlog.conf:", "notify.token_env", "NOT_SET_AT_ALL"])
    assert twin.daemon.command("init")[0] == 0


def test_wrong_usage():
    """One line, not the whole help."""
    for words in (["run"], ["fly"], ["run", "--wings", "-c", "x"], ["run", "-c"], [], ["run", "-c", "/nonexistent/x.conf"]):
        done = subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
                              check=False)
        assert done.returncode == 2, f"{words}: {done}"
        assert done.stderr and len(done.stderr.strip().splitlines()) <= 2, f"{words}: {done.stderr}"
    for words in (["--help"], ["--version"], ["help", "run"], ["help", "check"]):
        done = subprocess.run([BINARY, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10,
                              check=False)
        assert done.returncode == 0 and done.stdout and not done.stderr, f"{words}: {done}"


# ---- The servers and tables: check FAILs, run does not start ----

@pytest.fixture
def prepared(twin):
    """All is well but for what the test breaks."""
    twin.daemon.write_config()
    twin.daemon.init()
    code, text = twin.daemon.command("check")
    assert code == 0 and "FAIL" not in text, text
    return twin


TABLES = {
    "a missing table": ("right", "DROP TABLE customer_db.customers", ["customers", "does not exist"]),
    "a missing database": ("left", "DROP DATABASE auth_db", ["auth_db"]),
    "a missing column": ("left", "ALTER TABLE auth_db.client_auth DROP COLUMN name", ["name"]),
    "no sync column": ("right", "ALTER TABLE customer_db.customers DROP COLUMN sync_version", ["sync_version"]),
    "a key that is not unique": ("left", "ALTER TABLE auth_db.client_auth MODIFY id BIGINT UNSIGNED NOT NULL, "
                                         "DROP PRIMARY KEY, ADD INDEX (id)", ["client_auth", "unique"]),
    "an unmapped column that needs a value": ("right", "ALTER TABLE customer_db.customers ADD COLUMN plan VARCHAR(9) "
                                                       "NOT NULL", ["plan", "default"]),
    "a column of another kind": ("right", "ALTER TABLE customer_db.customers MODIFY name DATE NULL", ["name"]),
    "a table that keeps no transactions": ("right", "ALTER TABLE customer_db.customers ENGINE = Aria",
                                           ["customers", "InnoDB"]),
    "rows that a cascade deletes": ("right", "ALTER TABLE customer_db.customers ADD COLUMN parent BIGINT UNSIGNED NULL, "
                                             "ADD CONSTRAINT family FOREIGN KEY (parent) "
                                             "REFERENCES customer_db.customers (id) ON DELETE CASCADE",
                                    ["customers", "family", "cascade"]),
    "binlog_format MIXED": ("left", "SET GLOBAL binlog_format = 'MIXED'", ["binlog_format", "ROW"]),
    "binlog_format STATEMENT": ("right", "SET GLOBAL binlog_format = 'STATEMENT'", ["binlog_format", "ROW"]),
    "row images without all columns": ("right", "SET GLOBAL binlog_row_image = 'MINIMAL'", ["binlog_row_image", "FULL"]),
    "row images without blobs": ("left", "SET GLOBAL binlog_row_image = 'NOBLOB'", ["binlog_row_image", "FULL"]),
    "the server_id of one of the servers": ("left", "SET GLOBAL server_id = 7001", ["server_id"]),
    "no privilege to read the log": ("left", "REVOKE REPLICATION SLAVE ON *.* FROM '{account}'",
                                     ["REPLICATION SLAVE"]),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_server_that_is_not_fit(prepared, name):
    side, statement, words = TABLES[name]
    for account in accounts(prepared.servers[side]) if "{account}" in statement else [""]:
        prepared.sql(side, statement.format(account=account))
    check_fails(prepared, *words)
    refused(prepared, 2, *words)


def accounts(server):
    rows = server.rows("SELECT user, host FROM mysql.user WHERE user = 'twinlog'")
    return [f"{user}'@'{host}" for user, host in rows]


def test_a_server_without_a_binary_log(prepared, servers):
    plain = servers.new("nolog", 3, log_bin=None, binlog_format=None).start()
    try:
        make_seed_table(plain, "left")
        make_account(plain, prepared.passwords["auth"])
        prepared.daemon.servers["auth"] = plain
        prepared.servers["left"] = plain
        prepared.daemon.write_config()
        prepared.daemon.command("init")
        check_fails(prepared, "log_bin")
        refused(prepared, 2, "log_bin")
    finally:
        plain.kill()


def test_both_servers_are_one(prepared):
    """Two sections that lead to the same server: the other's table is not there."""
    config = prepared.daemon.config()
    config["servers"]["customer"]["port"] = config["servers"]["auth"]["port"]
    prepared.daemon.write_secret("customer.pw", prepared.passwords["auth"])
    with open(prepared.daemon.config_path, "w", encoding="utf-8") as f:
        f.write(libconfig(config))
    refused(prepared, 2, "customers")


def test_no_control_tables(twin):
    twin.daemon.write_config()
    code, text = twin.daemon.command("check")
    assert code == 1 and "twinlog init" in text, text
    refused(twin, 2, "init")


def test_a_wrong_password(prepared):
    prepared.daemon.passwords["auth"] = "not the password"
    code, text = prepared.daemon.command("check")
    assert code == 1 and "FAIL" in text, text
    assert "not the password" not in text
    refused(prepared, 2, "auth", "1045")


def test_a_server_that_is_not_there_is_waited_for(prepared):
    """That is no mistake of the config: the daemon says so, and goes on when the server comes."""
    prepared.servers["right"].stop()
    code, text = prepared.daemon.command("check")
    assert code == 1 and "FAIL" in text, text
    prepared.daemon.start(ready=False)
    wait_until("it says whom it waits for",
               lambda: "customer" in prepared.daemon.http("/readyz")[1]
               and prepared.daemon.http("/readyz")[0] == 503 or Why(prepared.daemon.http("/readyz")), 10)
    prepared.servers["right"].start()
    prepared.daemon.wait_ready()
    prepared.insert("left", 1)
    prepared.settle()


def test_init_may_be_repeated_and_keeps_everything(running):
    running.insert("left", 1)
    running.settle()
    before = [s.rows("SELECT * FROM twinlog.checkpoint") for s in running.servers.values()]
    assert all(before)
    running.daemon.init()
    assert [s.rows("SELECT * FROM twinlog.checkpoint") for s in running.servers.values()] == before
    code, text = running.daemon.command("init", "--print")
    assert code == 0 and "CREATE TABLE" in text
    assert "GRANT CREATE, ALTER ON `twinlog`.* TO `twinlog`@`%`;" in text


def test_init_brings_what_a_former_version_made_up_to_date(running):
    """Columns and labels that came since; what the tables hold stays."""
    running.insert("left", 1)
    running.settle()
    running.daemon.stop()
    left = running.servers["left"]
    resync = left.rows("SELECT link, job, state, cause FROM twinlog.resync")
    left.script("""ALTER TABLE twinlog.resync DROP COLUMN again,
                   MODIFY cause ENUM('trigger', 'first_start', 'lost_position') NOT NULL""")
    code, text = running.daemon.command("check")
    assert code == 1 and "twinlog init" in text, text
    for column in ("cause", "again"):
        assert f"column twinlog.resync.{column}" in text, text
    running.daemon.init()
    assert "unlogged" in left.value("SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'twinlog' "
                                    "AND TABLE_NAME = 'resync' AND COLUMN_NAME = 'cause'")
    assert left.rows("SELECT link, job, state, cause FROM twinlog.resync") == resync
    code, text = running.daemon.command("init")
    assert code == 0 and "made" not in text, text
    running.daemon.start()
    running.insert("left", 2)
    running.settle()
