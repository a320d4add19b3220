"""Servers that are there and do not do what they did before: read-only, full, locked, with other accounts and limits."""

import secrets
import threading
import time

import pymysql
import pytest

from support.daemon import DB_USER
from support.outage import outage
from support.servers import Why, wait_until
from support.tables import Column
from support.twin import SIDES, Twin, make_account, name_of


def kill_connections(server):
    """Those of the daemon; what it opens from here on is as the server is now."""
    for (connection,) in server.rows("SELECT id FROM information_schema.processlist WHERE user = %s", [DB_USER]):
        try:
            server.sql(f"KILL {connection}")
        except pymysql.err.OperationalError as e:  # it may have ended by itself
            assert e.args[0] == 1094, e


@pytest.fixture
def rows(running):
    for key in range(1, 6):
        running.insert("left", key)
    running.settle(window_s=0.3)
    return running


# ---- What is refused ----

@pytest.mark.kinds
def test_a_target_that_is_read_only(rows):
    """The other direction goes on."""
    server = rows.servers["right"]
    with outage(rows, "read-only", most=8) as o:
        server.sql("SET GLOBAL read_only = ON")
        try:
            rows.update("left", 1, name="to be written later")
            o.wait_told("users left>right", "read-only")
            o.never_ready()
            rows.update("right", 2, name="the other way")
            wait_until("the other direction goes on", lambda: rows.names(2)[0] == "the other way", 5)
            o.lasts()
        finally:
            server.sql("SET GLOBAL read_only = OFF")
    assert rows.names(1) == ("to be written later",) * 2


def test_a_target_that_is_full(pair, servers, tmp_path):
    """Its tablespace may not grow any more; room is made while the daemon waits."""
    full = servers.new("full", 9, innodb_data_file_path="ibdata1:12M:autoextend:max:18M", innodb_file_per_table="0")
    full.start()
    twin = Twin(pair[0], full, str(tmp_path / "twinlog")).make_tables().make_account()
    try:
        twin.start()
        twin.daemon.wait_job()
        twin.insert("left", 1)
        twin.settle(window_s=0.3)
        with outage(twin, "1114", most=8) as o:
            full.sql("CREATE DATABASE filler")
            full.sql("CREATE TABLE filler.f (id INT AUTO_INCREMENT PRIMARY KEY, b LONGBLOB)")
            with pytest.raises(pymysql.err.OperationalError) as e:
                while True:
                    full.sql("INSERT INTO filler.f (b) VALUES (REPEAT('x', 1048576))")
            assert e.value.args[0] == 1114
            with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
                cursor.executemany(f"INSERT INTO {twin.link.left_table} (id, name, email_encrypted) VALUES (%s, %s, %s)",
                                   [(k, name_of("x" * 150), twin.seal(f"f{k}@zyzzyva.example"))
                                    for k in range(100, 8100)])
                c.commit()
            o.wait_told("users left>right", "1114")
            # Each try reads the large transaction once more; they soon come rarely.
            wait_until("the waits have grown",
                       lambda: twin.daemon.counters("left_to_right")["reconnects"] >= 7, 20)
            o.lasts(2.0)
            full.stop()  # a DROP needs room too
            full.set_options(innodb_data_file_path="ibdata1:12M:autoextend:max:96M")
            full.start()
        assert full.value(f"SELECT COUNT(*) FROM {twin.link.right_table}") == 8001
    finally:
        twin.close()
        full.close()


def test_a_target_that_logs_statements(rows):
    """Sessions that are open stay as they are; a new one would write what no row event shows, so there is none."""
    server = rows.servers["right"]
    with outage(rows, "binlog_format") as o:
        server.sql("SET GLOBAL binlog_format = 'STATEMENT'")
        rows.update("left", 1, name="in a session of before")
        rows.wait_equal()
        kill_connections(server)
        rows.update("left", 1, name="later")
        o.wait_told("binlog_format is not ROW")
        o.lasts(2.0)
        server.sql("SET GLOBAL binlog_format = 'ROW'")
    assert rows.names(1) == ("later", "later")


def test_a_server_that_writes_no_log_for_a_while(rows):
    """What is written there meanwhile stands in no log: when it writes one again, all rows are compared."""
    server = rows.servers["left"]
    with outage(rows, "binary log is off", "position is lost", most=24) as o:
        server.stop()
        server.set_options(log_bin=None, skip_log_bin="")
        server.start()
        rows.update("left", 1, name="in no log")
        o.wait_told("auth", "binary log is off")
        o.lasts()
        server.stop()
        server.set_options(log_bin="bin", skip_log_bin=None)
        server.start()
        rows.update("left", 2, name="in the log again")
    assert rows.names(1) == ("in no log", "in no log")
    assert rows.daemon.job()["cause"] == "lost_position"


def test_no_connection_is_left(rows):
    server = rows.servers["right"]
    others = []
    with outage(rows, "1040") as o:
        server.sql("SET GLOBAL max_connections = 10")
        kill_connections(server)
        try:
            def taken():
                """One after the other, where the daemon's were."""
                try:
                    while True:
                        others.append(server.connect())
                except pymysql.err.OperationalError as e:
                    assert "many connections" in str(e) or e.args[0] == 1040, e
                kill_connections(server)
                return server.value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s",
                                    [DB_USER]) == 0

            wait_until("all are taken", taken, 10, every_s=0.1)
            rows.update("left", 1, name="it waits")
            o.wait_told("customer", "too many connections")
            o.lasts(2.0)
        finally:
            for c in others:
                c.close()
            server.sql("SET GLOBAL max_connections = 60")


def test_a_row_that_is_longer_than_a_packet(twin):
    """It waits in quarantine with the reason, the rest goes on, and it arrives once the limit is raised."""
    for side in SIDES:
        twin.sql(side, f"ALTER TABLE {twin.link.table(side)} ADD COLUMN note MEDIUMTEXT")
    twin.link.columns.append(Column("note"))
    server = twin.servers["right"]
    normal = server.value("SELECT @@GLOBAL.max_allowed_packet")
    server.sql("SET GLOBAL max_allowed_packet = 65536")
    try:
        twin.start()
        twin.insert("left", 1, note="x" * 100000)
        twin.insert("left", 2, note="short")
        waiting = twin.daemon.wait_quarantine("id=1")["id=1"]
        assert "max_allowed_packet" in waiting["why"], waiting
        wait_until("the other row arrives", lambda: twin.row("right", 2), 5)
        assert twin.daemon.is_ready()
        wait_until("it has been tried again", lambda: twin.daemon.quarantine()["id=1"]["tries"] >= 2, 20)
    finally:
        server.sql(f"SET GLOBAL max_allowed_packet = {normal}")
    twin.daemon.http("/sync/quarantine/retry?all=true", "POST")
    twin.settle()
    assert not twin.daemon.quarantine()


# ---- Accounts ----

@pytest.mark.kinds
def test_a_password_that_is_changed_on_the_server_first(rows):
    """The daemon says so, goes on waiting, and takes the new one from its file by itself."""
    server = rows.servers["right"]
    with outage(rows, "1045", "needs the operator") as o:
        rows.passwords["customer"] = secrets.token_urlsafe(18)
        server.sql(f"ALTER USER '{DB_USER}'@'%%' IDENTIFIED BY %s", [rows.passwords["customer"]])
        rows.update("left", 1, name="in a session of before")
        rows.wait_equal()
        kill_connections(server)
        rows.update("left", 1, name="later")
        o.wait_told("customer", "access denied")
        o.lasts(2.0)
        rows.daemon.write_secret("customer.pw", rows.passwords["customer"] + "\n")
    assert rows.names(1) == ("later", "later")


@pytest.mark.parametrize("how", ("dropped", "locked", "no file"))
def test_an_account_that_is_gone_for_a_while(rows, how):
    server, password = rows.servers["right"], rows.passwords["customer"]
    with outage(rows, "needs the operator") as o:
        if how == "dropped":
            server.sql(f"DROP USER '{DB_USER}'@'%'")
        elif how == "locked":
            server.sql(f"ALTER USER '{DB_USER}'@'%' ACCOUNT LOCK")
        else:
            rows.daemon.write_secret("customer.pw", "")
        kill_connections(server)
        rows.update("left", 1, name="later")
        o.wait_told("customer")
        o.lasts(1.0)
        make_account(server, password)
        rows.daemon.write_secret("customer.pw", password + "\n")
    assert rows.names(1) == ("later", "later")


@pytest.mark.kinds
def test_a_privilege_that_is_taken_away(rows):
    """On the target's table, while the connections stay; then on the control tables."""
    server = rows.servers["right"]
    for table in (rows.link.right_table, "twinlog.*"):
        found = [g for (g,) in server.rows(f"SHOW GRANTS FOR '{DB_USER}'@'%'")]
        grants = [g for g in found if table.replace("*", "") in g.replace("`", "")]
        assert grants, found
        with outage(rows, "denied", "needs the operator", most=12) as o:
            for grant in grants:
                server.sql(grant.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ", 1).split(" WITH ")[0])
            rows.update("left", 1, name=f"later {table}")
            o.wait_told("denied")
            o.never_ready()
            o.lasts(2.0)
            for grant in grants:
                server.sql(grant)
        assert rows.names(1) == (f"later {table}",) * 2


# ---- Locks ----

def test_a_row_that_an_application_keeps_locked(rows):
    """Longer than the daemon waits for a lock. The other direction goes on, and it is no failure."""
    with outage(rows, "1205", most=6) as o:
        with rows.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {rows.link.right_table} WHERE id = 1 FOR UPDATE")
            rows.update("left", 1, name="waits")
            rows.update("right", 2, name="meanwhile")
            wait_until("the other way round", lambda: rows.names(2)[0] == "meanwhile", 5)
            o.lasts(7.0, ready=True)
            assert "1205" in rows.daemon.direction("left_to_right")["reason"]
            c.rollback()
    assert rows.names(1) == ("waits", "waits")


def test_an_alter_that_waits_for_an_application(rows):
    """Everybody who writes queues behind it, the daemon too."""
    server = rows.servers["right"]
    failed = []

    def alter():
        try:
            server.sql(f"ALTER TABLE {rows.link.right_table} ADD COLUMN later INT, ALGORITHM=COPY")
        except pymysql.err.Error as e:
            failed.append(e)

    with outage(rows, most=8) as o:
        with server.connect(autocommit=False) as c, c.cursor() as cursor:
            cursor.execute(f"SELECT COUNT(*) FROM {rows.link.right_table}")
            thread = threading.Thread(target=alter)
            thread.start()
            wait_until("the ALTER waits", lambda: server.value(
                "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock'"), 5)
            rows.update("left", 1, name="behind the ALTER")
            o.lasts(2.0, ready=True)
            c.rollback()
        thread.join(20)
        assert not failed and not thread.is_alive(), failed
    assert rows.names(1) == ("behind the ALTER",) * 2


class Backwards(threading.Thread):
    """An application whose transactions take the rows in the other order than the daemon's."""

    def __init__(self, twin, side, stop):
        super().__init__(daemon=True)
        self.twin, self.side, self.stop = twin, side, stop
        self.done = self.deadlocks = 0
        self.failed = None

    def run(self):
        try:
            table = self.twin.link.table(self.side)
            with self.twin.servers[self.side].connect(autocommit=False) as c, c.cursor() as cursor:
                while not self.stop.is_set():
                    try:
                        for key in (5, 4, 3, 2, 1):
                            cursor.execute(f"UPDATE {table} SET name = %s, sync_version = sync_version + 1 WHERE id = %s",
                                           [name_of(f"{self.side} {self.done}"), key])
                            time.sleep(0.001)
                        c.commit()
                        self.done += 1
                    except pymysql.err.OperationalError as e:
                        if e.args[0] not in (1205, 1213):
                            raise
                        self.deadlocks += 1
                        c.rollback()
        except BaseException as e:  # told by the test
            self.failed = e


@pytest.mark.kinds
def test_deadlocks_with_applications(rows):
    """On both sides at once: whoever loses tries again, and it is no trouble to speak of."""
    stop = threading.Event()
    with outage(rows, most=6) as o:
        threads = [Backwards(rows, side, stop) for side in SIDES]
        for thread in threads:
            thread.start()
        wait_until("they meet", lambda: sum(rows.daemon.direction(d)["counters"]["retries"]
                                            for d in ("left_to_right", "right_to_left")) > 3
                   or Why([t.deadlocks for t in threads]), 20)
        stop.set()
        for thread in threads:
            thread.join(20)
            assert not thread.failed, thread.failed
        assert all(thread.done > 0 for thread in threads)
    assert not rows.daemon.quarantine()
