"""What a resync and the quarantine must not do to each other, to halted directions, and to applications that hold locks."""

import time

import pytest

from support.daemon import DB_USER, SANITIZED, SLOW
from support.servers import Why, wait_until
from support.tables import Column, Link
from support.twin import SIDES, TO

pytestmark = pytest.mark.threads

LONG = "x" * 25  # with what every name ends in: too long for NARROW
NARROW = "ALTER TABLE {} MODIFY name VARCHAR(30)"
WIDE = "ALTER TABLE {} MODIFY name VARCHAR(255)"


def waiting(twin, side="right"):
    return twin.servers[side].value("SELECT COUNT(*) FROM twinlog.quarantine")


def unlogged(twin, side, statement):
    with twin.servers[side].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(statement)


@pytest.fixture
def rows(make_twin):
    """Five rows on both sides, all quiet; one key may wait in quarantine."""
    def make(**limits):
        twin = make_twin()
        twin.daemon.more = {"limits": limits} if limits else {}
        twin.start()
        for key in range(1, 6):
            twin.insert("left", key)
        twin.settle()
        twin.daemon.wait_job()
        return twin

    return make


def halt_by_quarantine(twin):
    """The first refused key waits; the second is one too many."""
    twin.sql("right", NARROW.format(twin.link.right_table))
    twin.update("left", 1, name=LONG)
    wait_until("one key waits", lambda: waiting(twin) == 1)
    twin.update("left", 2, name=LONG)
    wait_until("the direction is halted", lambda: twin.daemon.direction(TO["left"])["state"] == "halted" or
               Why(twin.daemon.direction(TO["left"])))
    twin.sql("right", WIDE.format(twin.link.right_table))


def test_a_direction_that_quarantine_halted_goes_on_after_a_trigger(rows):
    twin = rows(quarantine_keys=1)
    halt_by_quarantine(twin)
    assert twin.daemon.trigger(**{"from": "left"})[0] == 202
    twin.daemon.wait_job()
    twin.update("left", 4, name="later")
    twin.settle()
    assert twin.names(2) == (LONG, LONG) and twin.names(4) == ("later", "later")
    assert twin.daemon.direction(TO["left"])["state"] == "streaming"


def test_what_a_halted_direction_threw_away_does_not_come_back(rows):
    twin = rows(quarantine_keys=1)
    halt_by_quarantine(twin)
    assert twin.daemon.trigger(**{"from": "right", "mode": "force"})[0] == 202
    twin.daemon.wait_job()
    twin.settle()
    assert twin.names(1) == ("n1", "n1") and twin.names(2) == ("n2", "n2")
    twin.daemon.stop()
    twin.daemon.start()
    twin.settle()
    assert twin.names(2) == ("n2", "n2")


def test_a_resync_does_not_undo_a_refused_delete(rows):
    twin = rows()
    twin.sql("left", "CREATE TABLE auth_db.child (id BIGINT UNSIGNED NOT NULL, FOREIGN KEY (id) REFERENCES auth_db.client_auth (id))")
    twin.sql("left", "INSERT INTO auth_db.child VALUES (1)")
    twin.delete("right", 1)
    wait_until("it waits", lambda: waiting(twin) == 1)
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()
    assert twin.names(1) == ("n1", None) and waiting(twin) == 1
    twin.sql("left", "DROP TABLE auth_db.child")
    twin.daemon.http("/sync/quarantine/retry?all=true", "POST")
    twin.settle()
    assert twin.names(1) == (None, None)


def test_a_resync_does_not_undo_an_update_that_waits(rows):
    """Its version was not raised and its time is old: as a conflict it would lose."""
    twin = rows()
    twin.sql("left", NARROW.format(twin.link.left_table))
    twin.update("right", 1, name=LONG, raise_version=False, updated_at="2020-01-01 00:00:00")
    wait_until("it waits", lambda: waiting(twin) == 1)
    twin.sql("left", WIDE.format(twin.link.left_table))
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()
    twin.settle()
    assert twin.names(1) == (LONG, LONG) and waiting(twin) == 0


def test_a_row_that_waited_does_not_overwrite_a_newer_one(rows):
    """The peer's write is held up behind a lock when the waiting row's obstacle goes."""
    twin = rows()
    twin.sql("right", NARROW.format(twin.link.right_table))
    twin.update("left", 1, name=LONG)
    wait_until("it waits", lambda: waiting(twin) == 1)
    twin.sql("right", WIDE.format(twin.link.right_table))
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {twin.link.left_table} WHERE id = 5 FOR UPDATE")
        twin.update("right", 5, name="held up")
        twin.update("right", 1, name="newer", sync_version=99, raise_version=False)
        twin.daemon.http("/sync/quarantine/retry?all=true", "POST")
        wait_until("the key has been tried", lambda: waiting(twin) == 0 or twin.row("right", 1)["sync_version"] == 99)
        c.rollback()
    twin.settle()
    assert twin.names(1) == ("newer", "newer") and twin.names(5) == ("held up", "held up")


def test_a_locked_row_holds_up_the_resync_alone(rows):
    twin = rows()
    unlogged(twin, "right", f"UPDATE {twin.link.right_table} SET name = 'other', sync_version = 9 WHERE id = 1")
    slowest = 0
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {twin.link.left_table} WHERE id = 1 FOR UPDATE")
        assert twin.daemon.trigger()[0] == 202
        for key in range(100, 130):
            began = time.monotonic()
            twin.insert("left", key)
            wait_until("it arrives", lambda k=key: twin.row("right", k))
            slowest = max(slowest, time.monotonic() - began)
        assert twin.daemon.job()["state"] == "running"
        wait_until("it says what it waits for", lambda: twin.daemon.job()["error"], 20 * SLOW)
        c.rollback()
    twin.daemon.wait_job()
    twin.settle()
    assert twin.row("left", 1)["name"] == "other"
    assert slowest < 2 * SLOW, slowest


def test_large_rows_behind_small_ones_take_no_more_memory(make_twin, record_property):
    twin = make_twin()
    small, large = (3000, 15) if SANITIZED else (30000, 150)
    sync = ("sync_version BIGINT UNSIGNED NOT NULL DEFAULT 1, updated_at TIMESTAMP(6) NOT NULL DEFAULT '2024-01-01 00:00:00', "
            "last_sync_at TIMESTAMP(6) NULL DEFAULT NULL")
    for side in SIDES:
        server = twin.servers[side]
        server.sql(f"DROP DATABASE IF EXISTS skew_{side}")
        server.sql(f"CREATE DATABASE skew_{side}")
        server.sql(f"CREATE TABLE skew_{side}.t (id INT NOT NULL PRIMARY KEY, v LONGTEXT, {sync}) ENGINE = InnoDB")
        for user, host in server.rows("SELECT user, host FROM mysql.user WHERE user = %s", [DB_USER]):
            server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON skew_{side}.* TO '{user}'@'{host}'")
        with server.connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.executemany(f"INSERT INTO skew_{side}.t (id, v) VALUES (%s, 'x')", [(n,) for n in range(small)])
            for n in range(large):
                cursor.execute(f"INSERT INTO skew_{side}.t (id, v) VALUES ({small + n}, REPEAT('y', 1000000))")
    unlogged(twin, "right", f"UPDATE skew_right.t SET v = CONCAT(v, 'z'), sync_version = 2 WHERE id % 50 = 0")
    twin.daemon.links[:] = [Link(name="skew", left_table="skew_left.t", right_table="skew_right.t",
                                 columns=[Column("id"), Column("v")])]
    twin.start()
    twin.daemon.wait_job(120 * SLOW)
    twin.settle()
    record_property("peak", f"{twin.daemon.memory_peak_kb() // 1024} MiB")
    if not SANITIZED:
        assert twin.daemon.memory_peak_kb() < 64 * 1024
    code, text = twin.daemon.command("verify", timeout_s=120)
    assert code == 0, text
    for side in SIDES:
        twin.servers[side].sql(f"DROP DATABASE skew_{side}")
