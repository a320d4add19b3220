"""`twinlog check` finds what would break later, says it in one line, and says what mends it.

Each case breaks one thing and puts it back. A check costs a fraction of a second, so one prepared pair serves many.
"""

import re

import pytest

from support.servers import wait_until
from support.twin import SIDES, purge

LEFT, RIGHT = "auth_db.client_auth", "customer_db.customers"


@pytest.fixture
def prepared(twin):
    twin.daemon.write_config()
    twin.daemon.init()
    return twin


class Found:
    """What one run of `check` has said."""

    def __init__(self, twin):
        self.code, self.text = twin.daemon.command("check")
        self.lines = self.text.splitlines()

    def of(self, level, *words):
        """(line, what mends it) of the lines of this level that hold all the words."""
        found = []
        for i, line in enumerate(self.lines):
            if re.match(level + " ", line) and all(word in line for word in words):
                mend = re.match(r" +mend: (.*)", self.lines[i + 1]) if i + 1 < len(self.lines) else None
                found.append((line, mend.group(1) if mend else ""))
        return found

    def has(self, level, *words, mend=""):
        lines = self.of(level, *words)
        assert lines, f"no {level!r} line with {words}:\n{self.text}"
        assert any(mend in m for _, m in lines), f"not mended by {mend!r}: {lines}"
        assert (self.code == 1) == bool(self.of("FAIL")), self.text
        return lines

    def lacks(self, *words):
        assert not [line for line in self.lines if all(word in line for word in words)], self.text


def levels(text):
    return {line.split()[0] for line in text.splitlines() if line[:4].strip() in ("ok", "warn", "FAIL")}


@pytest.mark.kinds
def test_a_pair_that_is_well_passes(prepared):
    for server in prepared.servers.values():
        server.sql("SET GLOBAL sync_binlog = 1")
        server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    try:
        found = Found(prepared)
    finally:  # as the tests' servers are
        for server in prepared.servers.values():
            server.sql("SET GLOBAL sync_binlog = 0")
            server.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    assert found.code == 0 and levels(found.text) == {"ok"}, found.text
    for name in ("auth", "customer"):
        found.has("ok", name, "a marker comes back")
    found.has("ok", "users", "UNIQUE email", "would be quarantined")


# ---- Settings of a server: (statements, statements that undo them, level, words, mend) ----

SETTINGS = {
    "a log that a crash can cut": (["sync_binlog = 0"], ["sync_binlog = 0"],
                                   "warn", ["sync_binlog is not 1"], "SET GLOBAL sync_binlog = 1"),
    "a short memory": (["binlog_expire_logs_seconds = 7200"], ["binlog_expire_logs_seconds = 0"],
                       "warn", ["kept for 2.0 hours"], "binlog_expire_logs_seconds"),
    "small packets": (["max_allowed_packet = 1048576"], ["max_allowed_packet = 16777216"],
                      "warn", ["max_allowed_packet is 1 MiB on customer and 16 MiB on auth"],
                      "SET GLOBAL max_allowed_packet = 16777216"),
    "a replica's setting": (["read_only = 1"], ["read_only = 0"],
                            "FAIL", ["customer", "the server is read-only"], "read_only = OFF"),
    "partial images": (["binlog_row_image = MINIMAL"], ["binlog_row_image = FULL"],
                       "FAIL", ["binlog_row_image is MINIMAL"], "SET GLOBAL binlog_row_image"),
    "statements": (["binlog_format = STATEMENT"], ["binlog_format = ROW"],
                   "FAIL", ["binlog_format is STATEMENT"], "SET GLOBAL binlog_format"),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting(prepared, name):
    changes, undo, level, words, mend = SETTINGS[name]
    server = prepared.servers["right"]
    for change in changes:
        server.sql(f"SET GLOBAL {change}")
    try:
        Found(prepared).has(level, *words, mend=mend)
    finally:
        for change in undo:
            server.sql(f"SET GLOBAL {change}")


def test_a_read_only_server_is_said_once(prepared):
    """And not again for each table that could not be written."""
    server = prepared.servers["right"]
    server.sql("SET GLOBAL read_only = 1")
    try:
        found = Found(prepared)
    finally:
        server.sql("SET GLOBAL read_only = 0")
    assert len(found.of("FAIL")) == 1, found.text


def test_an_account_with_too_few_connections(prepared):
    server = prepared.servers["left"]
    server.sql("GRANT USAGE ON *.* TO 'twinlog'@'%' WITH MAX_USER_CONNECTIONS 4")
    Found(prepared).has("FAIL", "auth", "4 connections", mend="MAX_USER_CONNECTIONS")
    server.sql("GRANT USAGE ON *.* TO 'twinlog'@'%' WITH MAX_USER_CONNECTIONS 50")
    assert Found(prepared).code == 0


# ---- The marker's round trip ----

@pytest.fixture
def restarted(prepared):
    """Restarts the right server with other options, and back."""
    server = prepared.servers["right"]
    kept = dict(server.options)

    def restart(**options):
        server.stop()
        server.set_options(**options)
        server.start()
        return prepared

    yield restart
    server.stop()
    server.options = kept
    server.start()


@pytest.mark.parametrize("see_filters", [True, False])
@pytest.mark.parametrize("options", [{"binlog_ignore_db": "twinlog"}, {"binlog_do_db": "customer_db"}])
def test_a_filter_hides_the_state_database(restarted, options, see_filters):
    twin = restarted(**options)
    if not see_filters:
        twin.servers["right"].sql("REVOKE REPLICATION CLIENT ON *.* FROM 'twinlog'@'%'")
    found = Found(twin)
    found.has("FAIL", "customer", "did not come back", mend="binlog_ignore_db")
    if see_filters:
        found.has("FAIL", "customer", "database twinlog", "kept out", mend="binlog_do_db")


@pytest.mark.kinds
def test_a_filter_hides_the_tables_database(restarted):
    found = Found(restarted(binlog_do_db="twinlog"))
    found.has("FAIL", "customer", "database customer_db", "kept out", mend="binlog_do_db")
    found.has("ok", "customer", "a marker comes back")


def test_sessions_that_are_not_logged(restarted):
    """init_connect holds for accounts without further privileges."""
    twin = restarted()
    twin.servers["right"].sql("GRANT BINLOG ADMIN ON *.* TO 'twinlog'@'%'")
    twin.servers["right"].sql("SET GLOBAL init_connect = 'SET sql_log_bin = 0'")
    try:
        Found(twin).has("FAIL", "customer", "sql_log_bin is off", mend="init_connect")
    finally:
        twin.servers["right"].sql("SET GLOBAL init_connect = ''")


def test_no_log(restarted):
    found = Found(restarted(log_bin=None))
    found.has("FAIL", "customer", "binary log is off", mend="log_bin")
    found.lacks("customer", "marker")


def test_beside_a_daemon_nothing_is_disturbed(running):
    """The marker is another's to the daemon; no row of the check stays."""
    running.insert("left", 1)
    running.settle()
    before = [running.daemon.counters(d) for d in ("left_to_right", "right_to_left")]
    for _ in range(3):
        assert Found(running).code == 0
    assert all(not server.rows("SELECT * FROM twinlog.marker WHERE link = ''") for server in running.servers.values())
    running.insert("right", 2)
    running.settle()
    after = [running.daemon.counters(d) for d in ("left_to_right", "right_to_left")]
    assert [c["reconnects"] for c in after] == [c["reconnects"] for c in before]
    assert running.daemon.is_ready()


def test_a_marker_that_a_killed_check_left_goes_in_time(prepared):
    server = prepared.servers["left"]
    server.sql("INSERT INTO twinlog.marker VALUES ('', 'left', 1, '', '', NOW() - INTERVAL 2 HOUR), "
               "('', 'left', 2, '', '', NOW()), ('users', 'left', 3, '', '', NOW() - INTERVAL 2 HOUR)")
    Found(prepared)
    assert [row[0] for row in server.rows("SELECT id FROM twinlog.marker ORDER BY id")] == [2, 3]
    server.sql("DELETE FROM twinlog.marker")


# ---- Positions ----

def test_a_position_whose_log_is_gone(running):
    """A stop that was longer than the logs are kept: said before the start, which resyncs by itself."""
    running.insert("left", 1)
    running.settle()
    running.daemon.stop()
    Found(running).has("ok", "users", "left>right", "still has its position")
    running.insert("left", 2)
    purge(running, "left")
    found = Found(running)
    found.has("warn", "users", "left>right", "costs a resync")
    assert found.code == 0, found.text
    running.daemon.start()
    running.settle()


def test_a_position_that_will_soon_be_gone(running):
    running.insert("left", 1)
    running.settle()
    running.daemon.stop()
    left, right = running.servers["left"], running.servers["right"]
    running.insert("left", 2)
    right.sql("UPDATE twinlog.checkpoint SET changed = changed + 1, written_at = NOW() - INTERVAL 9 DAY")
    left.sql("SET GLOBAL expire_logs_days = 10")
    try:
        Found(running).has("warn", "users", "left>right", "9.0 days old", "10.0 days", mend="start twinlog")
    finally:
        left.sql("SET GLOBAL expire_logs_days = 0")


def test_a_checkpoint_on_the_wrong_server(running):
    """Replicated from there, or restored from the other side's backup."""
    running.daemon.stop()
    left = running.servers["left"]
    columns = left.rows("SHOW COLUMNS FROM twinlog.checkpoint")
    others = ", ".join(row[0] for row in columns if row[0] != "source_side")
    left.sql(f"INSERT INTO twinlog.checkpoint (source_side, {others}) SELECT 'left', {others} FROM twinlog.checkpoint")
    _, mend = Found(running).has("warn", "users", "left>right stands on auth", mend="DELETE FROM `twinlog`.`checkpoint`")[0]
    left.sql(mend.split(";")[0])
    Found(running).lacks("stands on")


# ---- Replication and identity ----

def test_a_replica_without_its_updates_in_the_log(prepared):
    server = prepared.servers["left"]
    server.sql("SET GLOBAL gtid_slave_pos = '5-9-1'")
    try:
        found = Found(prepared)
    finally:
        server.sql("SET GLOBAL gtid_slave_pos = ''")
    found.has("warn", "auth", "log_slave_updates is OFF", mend="log_slave_updates = ON")
    found.has("warn", "auth", "gtid_strict_mode OFF", mend="SET GLOBAL gtid_strict_mode = ON")
    Found(prepared).lacks("log_slave_updates")


@pytest.mark.pairings("mysql-9.7/mysql-9.7")
def test_a_server_without_gtids(restarted):
    found = Found(restarted(gtid_mode="OFF", enforce_gtid_consistency="OFF"))
    found.has("warn", "customer", "gtid_mode is OFF", mend="gtid_mode = ON")
    found.has("ok", "customer", "a marker comes back")


@pytest.mark.pairings("mysql-9.7/mysql-9.7")
def test_a_group_with_several_primaries(prepared):
    server = prepared.servers["right"]
    server.sql("INSTALL PLUGIN group_replication SONAME 'group_replication.so'")
    try:
        server.sql("SET GLOBAL group_replication_group_name = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'")
        Found(prepared).lacks("several primaries")
        server.sql("SET GLOBAL group_replication_single_primary_mode = OFF")
        Found(prepared).has("warn", "customer", "several primaries", mend="group_replication_single_primary_mode = ON")
    finally:
        server.sql("UNINSTALL PLUGIN group_replication")


@pytest.mark.pairings("mariadb-11.8/mariadb-11.8")
def test_a_log_with_a_limit_in_all(prepared):
    server = prepared.servers["left"]
    server.sql("SET GLOBAL max_binlog_total_size = 100000000")
    try:
        Found(prepared).has("warn", "auth", "up to 95 MiB in all", mend="max_binlog_total_size")
    finally:
        server.sql("SET GLOBAL max_binlog_total_size = 0")


def test_clocks_that_differ(restarted):
    """init_connect stands in for a wrong clock: with sysdate_is_now a session's time is what it was told."""
    twin = restarted(sysdate_is_now="", init_connect="SET timestamp = UNIX_TIMESTAMP() + 30")
    line, _ = Found(twin).has("warn", "users", "the clock of", "behind that of customer", mend="chrony")[0]
    assert re.search(r"auth is (29|30)\.\d s", line), line


def test_replicas_that_have_our_number(running):
    """Our own daemon is told from others."""
    left, right = running.servers["left"], running.servers["right"]
    left.sql("GRANT REPLICATION MASTER ADMIN ON *.* TO 'twinlog'@'%'")
    Found(running).has("ok", "auth", "a twinlog follows it under server_id 7001")
    running.daemon.stop()
    left.sql("CREATE OR REPLACE USER repl@'%' IDENTIFIED BY 'r'")
    left.sql("GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
    right.sql("SET GLOBAL server_id = 7001")
    right.sql(f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {left.port}, MASTER_USER = 'repl', "
              "MASTER_PASSWORD = 'r', MASTER_LOG_FILE = %s, MASTER_LOG_POS = %s", left.log_end())
    right.sql("START SLAVE IO_THREAD")
    try:
        wait_until("it has registered", lambda: [row for row in left.rows("SHOW SLAVE HOSTS") if row[1] != "twinlog"])
        Found(running).has("FAIL", "auth", "another replica", "has server_id 7001 too", mend="another server_id")
    finally:
        right.sql("STOP SLAVE")
        right.sql("RESET SLAVE ALL")
        right.sql("SET GLOBAL server_id = 2")


# ---- Tables: (side, statements, level, words, mend) ----

TABLES = {
    "no transactions": ("right", [f"ALTER TABLE {RIGHT} ENGINE = MyISAM"],
                        "FAIL", ["MyISAM, not InnoDB"], "ENGINE = InnoDB"),
    "a view": ("right", [f"RENAME TABLE {RIGHT} TO customer_db.base",
                         f"CREATE VIEW {RIGHT} AS SELECT * FROM customer_db.base"],
               "FAIL", ["is a VIEW, not a table"], "name the table"),
    "a history": ("right", [f"ALTER TABLE {RIGHT} ADD SYSTEM VERSIONING"],
                  "FAIL", ["system-versioned"], "DROP SYSTEM VERSIONING"),
    "a sequence": ("right", [f"DROP TABLE {RIGHT}", f"CREATE SEQUENCE {RIGHT}"],
                   "FAIL", ["is a SEQUENCE, not a table"], "name the table"),
    "another case": ("right", [f"RENAME TABLE {RIGHT} TO customer_db.Customers",
                               "GRANT SELECT ON customer_db.Customers TO 'twinlog'@'%'"],
                     "FAIL", ["does not exist"], 'table = "customer_db.Customers"'),
    "a trigger": ("right", [f"CREATE TRIGGER customer_db.tr BEFORE UPDATE ON {RIGHT} FOR EACH ROW "
                            "SET NEW.name = UPPER(NEW.name)"],
                  "warn", ["has triggers (tr)"], ""),
    "a cascade": ("right", ["CREATE TABLE customer_db.parent (id BIGINT UNSIGNED PRIMARY KEY)",
                            f"ALTER TABLE {RIGHT} ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES customer_db.parent (id) "
                            "ON DELETE CASCADE"],
                  "FAIL", ["cascading foreign key, fk"], "DROP FOREIGN KEY `fk`"),
    "no cascade": ("right", ["CREATE TABLE customer_db.parent (id BIGINT UNSIGNED PRIMARY KEY)",
                             f"ALTER TABLE {RIGHT} ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES customer_db.parent (id)"],
                   "ok", ["both tables fit"], ""),
    "a partitioned table": ("right", [f"ALTER TABLE {RIGHT} DROP INDEX email",
                                      f"ALTER TABLE {RIGHT} PARTITION BY HASH (id) PARTITIONS 4"],
                            "ok", ["both tables fit"], ""),
    "no key": ("right", [f"ALTER TABLE {RIGHT} DROP PRIMARY KEY"], "FAIL", ["key (id) is not UNIQUE"], "ADD UNIQUE KEY"),
    "a column that must have a value": ("right", [f"ALTER TABLE {RIGHT} ADD plan INT NOT NULL"],
                                        "FAIL", ["plan", "NOT NULL", "no default"], "SET DEFAULT 0"),
    "a generated column": ("left", [f"ALTER TABLE {LEFT} DROP name, ADD name VARCHAR(255) AS (CONCAT('c', id))"],
                           "FAIL", ["client_auth.name", "is generated"], ""),
    "a UNIQUE column that nobody fills": ("right", [f"ALTER TABLE {RIGHT} ADD seat INT NOT NULL DEFAULT 0, "
                                                    "ADD UNIQUE KEY seat (seat)"],
                                          "FAIL", ["UNIQUE seat (seat) is not mapped"], "NULL DEFAULT NULL"),
    "a UNIQUE column that may be NULL": ("right", [f"ALTER TABLE {RIGHT} ADD seat INT, ADD UNIQUE KEY seat (seat)"],
                                         "ok", ["both tables fit"], ""),
    "a UNIQUE key of one side": ("right", [f"ALTER TABLE {RIGHT} ADD UNIQUE KEY name (name)"],
                                 "warn", ["UNIQUE name (name) has no like"], "UNIQUE index over the same"),
    "two numberings": ("both", ["ALTER TABLE {} MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT"],
                       "warn", ["AUTO_INCREMENT", "one number"], "auto_increment_offset"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table(prepared, name):
    side, statements, level, words, mend = TABLES[name]
    for s in SIDES if side == "both" else (side,):
        for statement in statements:
            prepared.sql(s, statement.format(prepared.link.table(s)))
    Found(prepared).has(level, "users", *words, mend=mend)


@pytest.mark.kinds
def test_triggers_are_seen_by_whoever_may_not_see_them(prepared):
    """MySQL lists them to nobody without the privilege TRIGGER."""
    prepared.sql("right", f"CREATE TRIGGER customer_db.tr AFTER DELETE ON {RIGHT} FOR EACH ROW SET @gone = OLD.id")
    found = Found(prepared)
    found.has("warn", "users", "customers` has triggers")
    found.lacks("client_auth` has triggers")


@pytest.mark.kinds
def test_cascades_fail_where_the_server_does_not_log_them(prepared):
    for side in SIDES:
        table, database = prepared.link.table(side), prepared.link.table(side).split(".")[0]
        prepared.sql(side, f"CREATE TABLE {database}.parent (id BIGINT UNSIGNED PRIMARY KEY)")
        prepared.sql(side, f"ALTER TABLE {table} ADD CONSTRAINT fk_{side} FOREIGN KEY (id) "
                           f"REFERENCES {database}.parent (id) ON DELETE CASCADE")
    found = Found(prepared)
    for side in SIDES:
        if prepared.servers[side].kind.is_mysql:
            found.lacks(f"fk_{side}")
        else:
            found.has("FAIL", f"cascading foreign key, fk_{side}", mend=f"DROP FOREIGN KEY `fk_{side}`")


def test_a_unique_key_on_both_sides_is_well(prepared):
    for side in SIDES:
        prepared.sql(side, f"ALTER TABLE {prepared.link.table(side)} ADD UNIQUE KEY name (name)")
    Found(prepared).lacks("UNIQUE name")
    prepared.sql("right", f"ALTER TABLE {RIGHT} MODIFY name VARCHAR(255) COLLATE utf8mb4_bin NOT NULL")
    Found(prepared).has("warn", f"{LEFT}: UNIQUE name", "has no like")


def test_keys_of_two_collations(prepared):
    for side, collation in (("left", "utf8mb4_general_ci"), ("right", "utf8mb4_bin")):
        prepared.sql(side, f"ALTER TABLE {prepared.link.table(side)} MODIFY id VARCHAR(20) COLLATE {collation} NOT NULL")
    Found(prepared).has("FAIL", "users", "different collations (utf8mb4_general_ci, utf8mb4_bin)",
                        mend="COLLATE utf8mb4_general_ci")


def test_numberings_that_keep_apart_are_well(prepared):
    for i, side in enumerate(SIDES):
        prepared.sql(side, f"ALTER TABLE {prepared.link.table(side)} MODIFY id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT")
        prepared.sql(side, "SET GLOBAL auto_increment_increment = 2")
        prepared.sql(side, f"SET GLOBAL auto_increment_offset = {i + 1}")
    try:
        Found(prepared).lacks("AUTO_INCREMENT")
    finally:
        for side in SIDES:
            prepared.sql(side, "SET GLOBAL auto_increment_increment = 1")
            prepared.sql(side, "SET GLOBAL auto_increment_offset = 1")


@pytest.mark.kinds
@pytest.mark.parametrize("column", ["id", "name", "sync_version"])
def test_privileges_on_columns(prepared, column):
    """Granted column by column, one column short."""
    server = prepared.servers["right"]
    columns = [row[0] for row in server.rows(f"SHOW COLUMNS FROM {RIGHT}")]
    server.sql(f"REVOKE SELECT, UPDATE, INSERT ON {RIGHT} FROM 'twinlog'@'%'")
    server.sql(f"GRANT INSERT ({', '.join(columns)}), UPDATE ({', '.join(columns)}), "
               f"SELECT ({', '.join(c for c in columns if c != column)}) ON {RIGHT} TO 'twinlog'@'%'")
    _, mend = Found(prepared).has("FAIL", "users", "no SELECT on `customer_db`.`customers`", mend="GRANT SELECT ON")[0]
    server.sql(mend.rstrip(";"))
    assert Found(prepared).code == 0
    server.sql(f"REVOKE UPDATE ({column}) ON {RIGHT} FROM 'twinlog'@'%'")
    Found(prepared).has("FAIL", "users", "no UPDATE on `customer_db`.`customers`", mend="GRANT UPDATE ON")


# ---- Control tables ----

def test_control_tables_of_an_older_layout(prepared):
    server = prepared.servers["left"]
    server.sql("ALTER TABLE twinlog.checkpoint DROP COLUMN marker")
    server.sql("DROP TABLE twinlog.resync")
    found = Found(prepared)
    found.has("FAIL", "auth", "column twinlog.checkpoint.marker", "table twinlog.resync", mend="twinlog init -c")
    prepared.daemon.init()
    assert Found(prepared).code == 0


def test_control_tables_that_keep_no_transactions(prepared):
    prepared.sql("left", "ALTER TABLE twinlog.checkpoint ENGINE = MyISAM")
    Found(prepared).has("FAIL", "auth", "twinlog.checkpoint is MyISAM", mend="ENGINE = InnoDB")


def test_control_tables_with_columns_in_another_order(prepared):
    """Found by the marker alone: each column is there."""
    prepared.sql("left", "ALTER TABLE twinlog.marker MODIFY id BIGINT UNSIGNED NOT NULL FIRST")
    Found(prepared).has("FAIL", "auth", "marker", "other columns than")


# ---- Two sections, one server ----

def test_two_sections_of_one_server(prepared):
    """By another name than the config could compare."""
    config = prepared.daemon.config()
    config["servers"]["again"] = {**config["servers"]["auth"], "host": "localhost", "server_id": 7003}
    config["links"].append({**config["links"][0], "name": "copy", "left": {"server": "again", "table": LEFT},
                            "right": {"server": "auth", "table": LEFT}})
    config["links"][1]["columns"] = [{"left": "id", "right": "id"}, {"left": "name", "right": "name"}]
    prepared.daemon.write_config(config)
    found = Found(prepared)
    found.has("ok", "again", "same server as auth")
    found.has("FAIL", "copy", "one table")


def test_the_daemon_logs_what_fails(prepared):
    """What `check` says on a terminal, `run` says in its log before it ends."""
    prepared.sql("right", f"ALTER TABLE {RIGHT} ENGINE = MyISAM")
    prepared.daemon.start(ready=False)
    wait_until("the daemon has ended", lambda: not prepared.daemon.is_running(), 20)
    assert prepared.daemon.wait_end() == 2
    assert "check FAIL: users: `customer_db`.`customers` is MyISAM" in prepared.daemon.log()


def test_a_server_that_goes_away_in_the_middle_is_waited_for(prepared):
    """What fails for that reason is no reason to end."""
    right = prepared.servers["right"]
    # Its own lock keeps the check at the table long enough to be cut off there.
    with right.connect() as c, c.cursor() as cursor:
        cursor.execute(f"LOCK TABLES {RIGHT} WRITE")
        prepared.daemon.start(ready=False)
        waits = ("SELECT id FROM information_schema.processlist WHERE user = 'twinlog' AND state LIKE "
                 "'Waiting for table metadata lock'")
        (connection,), *_ = wait_until("the check is at the table", lambda: right.rows(waits), 10)
        right.sql(f"KILL {connection}")
    prepared.daemon.wait_ready()
    assert "went away during the check" in prepared.daemon.log()
    prepared.insert("left", 1)
    prepared.settle()
