"""Both applications write the same few rows while the daemon and the servers are
killed at random moments. Afterwards both tables are equal.

TWINLOG_SEED repeats the choices of a run (not its timing); TWINLOG_CHAOS_S makes
it longer.
"""

import os
import random
import threading
import time

import pymysql
import pytest

from support.servers import Why, wait_until
from support.twin import SIDES, TO, email_of, name_of

KEYS = range(1, 9)
WRITERS = 2  # on each side
CHAOS_S = float(os.environ.get("TWINLOG_CHAOS_S", "8"))

LOST = (2002, 2003, 2006, 2013, 1927, 1053, 1152, 1184)  # the server was killed
IN_THE_WAY = (1205, 1213, 1020, 1062)  # a lock, or a row that came meanwhile


class Writer(threading.Thread):
    """An application that keeps no rule: now it raises the version, now not, now it puts an old one."""

    counters = {side: 0 for side in SIDES}
    lock = threading.Lock()

    def __init__(self, twin, side, seed, stop):
        super().__init__(daemon=True)
        self.twin, self.side, self.stop = twin, side, stop
        self.random = random.Random(seed)
        self.server = twin.servers[side]
        self.table = twin.link.table(side)
        self.email_column = twin.email_column(side)
        self.writes = 0
        self.failed = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.work()
        except BaseException as e:  # told by join()
            self.failed = e

    def join(self, timeout=None):
        super().join(timeout)
        if self.failed:
            raise self.failed
        assert not self.is_alive()

    def work(self):
        """One connection, as long as it lives."""
        try:
            with self.server.connect(autocommit=False, read_timeout=30) as c:
                while not self.stop.is_set():
                    self.transaction(c)
                    time.sleep(self.random.choice((0, 0.001, 0.01)))
        except (pymysql.err.OperationalError, pymysql.err.InterfaceError, OSError) as e:
            if isinstance(e, pymysql.err.OperationalError) and e.args[0] not in LOST:
                raise
            time.sleep(0.05)

    def transaction(self, c):
        try:
            with c.cursor() as cursor:
                for _ in range(self.random.choice((1, 1, 1, 2, 5))):
                    self.statement(cursor)
            c.commit() if self.random.random() < 0.95 else c.rollback()
            self.writes += 1
        except (pymysql.err.OperationalError, pymysql.err.IntegrityError) as e:
            if e.args[0] not in IN_THE_WAY:
                raise
            c.rollback()

    def email(self, key):
        # A function of the key and of a counter of the side: never the same at two keys.
        with Writer.lock:
            Writer.counters[self.side] += 1
            n = Writer.counters[self.side]
        email = email_of(f"{key}.{self.side}.{n}")
        return self.twin.seal(email) if self.side == "left" else email

    def statement(self, cursor):
        key = self.random.choice(KEYS)
        name = name_of(f"{self.side} {self.random.randrange(4)}")
        what = self.random.random()
        if what < 0.3:
            cursor.execute(f"INSERT IGNORE INTO {self.table} (id, name, {self.email_column}, sync_version) "
                           "VALUES (%s, %s, %s, %s)", [key, name, self.email(key), self.random.randrange(5)])
        elif what < 0.5:
            cursor.execute(f"DELETE FROM {self.table} WHERE id = %s", [key])
        elif what < 0.55:
            cursor.execute(f"UPDATE {self.table} SET name = %s, updated_at = '2024-01-01 00:00:00' "
                           "WHERE id IN (%s, %s)", [name, key, self.random.choice(KEYS)])
        else:
            version = self.random.choice(("sync_version + 1", "sync_version + 1", "sync_version", "3"))
            cursor.execute(f"UPDATE {self.table} SET name = %s, {self.email_column} = %s, sync_version = {version} "
                           "WHERE id = %s", [name, self.email(key), key])


class Chaos:
    """Kills and starts again, from the main thread."""

    def __init__(self, twin, seed):
        self.twin = twin
        self.random = random.Random(seed)
        self.kills = {"daemon": 0, **dict.fromkeys(SIDES, 0)}
        self.conflicts = 0

    def count_conflicts(self):
        if self.twin.daemon.is_running():
            code, _ = self.twin.daemon.http("/healthz")
            if code == 200:
                self.conflicts += sum(sum(self.twin.daemon.counters(d)["conflicts"].values()) for d in TO.values())

    def kill(self, what):
        if what == "daemon":
            self.count_conflicts()
            self.twin.daemon.kill()
        else:
            self.twin.servers[what].kill()
        self.kills[what] += 1

    def start(self, what):
        if what == "daemon":
            self.twin.daemon.start(ready=False)
        else:
            self.twin.servers[what].start()

    def round(self):
        time.sleep(self.random.uniform(0.05, 0.7))
        victims = self.random.choice((["daemon"], ["daemon"], ["left"], ["right"], ["daemon", "left"],
                                      ["right", "daemon"], ["left", "right"]))
        for what in victims:
            self.kill(what)
        time.sleep(self.random.choice((0, 0, 0.02, 0.3)))
        self.random.shuffle(victims)
        for what in victims:
            self.start(what)


POLICIES = ("keep", "delete")


@pytest.fixture
def seed(record_property):
    seed = int(os.environ.get("TWINLOG_SEED") or random.SystemRandom().randrange(1 << 32))
    record_property("TWINLOG_SEED", seed)
    print(f"TWINLOG_SEED={seed}")
    return seed


@pytest.mark.slow
@pytest.mark.parametrize("delete_vs_update", POLICIES)
def test_kills_at_random_moments_leave_equal_tables(make_twin, seed, delete_vs_update, record_property):
    kill_at_random_moments(make_twin, seed, delete_vs_update, record_property)


@pytest.mark.pairings
@pytest.mark.slow
def test_kills_of_any_server_leave_equal_tables(make_twin, seed, record_property):
    kill_at_random_moments(make_twin, seed, POLICIES[seed % 2], record_property)


def kill_at_random_moments(make_twin, seed, delete_vs_update, record_property):
    twin = make_twin(delete_vs_update=delete_vs_update)
    twin.daemon.log_level = "info"
    twin.start()

    stop = threading.Event()
    writers = [Writer(twin, side, f"{seed} {side} {n}", stop) for side in SIDES for n in range(WRITERS)]
    chaos = Chaos(twin, seed)
    for writer in writers:
        writer.start()
    end = time.monotonic() + CHAOS_S
    try:
        while time.monotonic() < end:
            chaos.round()
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)

    twin.daemon.wait_ready(timeout_s=60)
    twin.settle(timeout_s=60)
    chaos.count_conflicts()
    record_property("writes", sum(w.writes for w in writers))
    record_property("kills", chaos.kills)
    record_property("conflicts", chaos.conflicts)
    assert all(w.writes > 20 for w in writers), "the workload did not get to work"
    assert chaos.conflicts > 0, "nothing met: the workload has no teeth"
    assert "position is lost" not in twin.daemon.log()
    for side in SIDES:
        assert not twin.servers[side].rows("SELECT 1 FROM twinlog.quarantine")


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_a_server_that_comes_back_is_served_again(running, side):
    """The other way round goes on meanwhile as far as it can, and nothing is lost."""
    running.insert("left", 1)
    running.settle()
    peer = "right" if side == "left" else "left"
    running.servers[side].kill()
    running.update(peer, 1, name="while it was away")
    running.insert(peer, 2)
    running.servers[side].start()
    running.settle()
    assert running.names(1) == ("while it was away",) * 2


def test_markers_do_not_pile_up(running):
    """Markers that both checkpoints have passed are deleted in time."""
    for key in range(1, 21):
        running.insert("left", key)
    running.settle()
    for n in range(10):
        for side in SIDES:
            running.sql(side, f"UPDATE {running.link.table(side)} SET name = %s, sync_version = sync_version + 1",
                        [name_of(f"{side} {n}")])
    running.settle()
    assert sum(sum(running.daemon.counters(d)["conflicts"].values()) for d in TO.values()) > 0

    def few_markers():
        # Applied changes let the checkpoints move.
        for side in SIDES:
            running.update(side, SIDES.index(side) + 1, email=f"tick{time.monotonic_ns()}")
        running.wait_equal()
        left = [running.servers[s].value("SELECT COUNT(*) FROM twinlog.marker") for s in SIDES]
        return sum(left) <= 4 or Why(f"markers: {left}")

    wait_until("passed markers are deleted", few_markers, 20, every_s=0.2)
    running.settle()
