"""Resyncs while applications write: nothing is lost, nothing deleted comes back, nothing is taken for a conflict."""

import os
import random
import threading
import time

import pymysql
import pytest

from support.daemon import SANITIZED, SLOW
from support.servers import wait_until
from support.twin import PEER, SIDES, email_of, name_of

pytestmark = pytest.mark.threads

SEEDS = 3 if SANITIZED else 10
RUN_S = 4 * SLOW  # at least; and until there is something to see
DEADLINE_S = 90 * SLOW
PAUSE_S = 0.001 * SLOW  # busy, not swamped: a reader that never gets to the end of its log holds up a resync
OWN_KEYS = 60   # of each side, written by nobody else: what its owner leaves behind must stand on both sides
SHARED = range(1000, 1030)
IN_THE_WAY = (1062, 1205, 1213)


class Owner(threading.Thread):
    """Writes keys of its own, as `side`; remembers what each one is at the end."""

    def __init__(self, twin, side, seed, stop):
        super().__init__()
        self.twin = twin
        self.side = side
        self.stop = stop
        self.random = random.Random(f"{seed} {side}")
        self.first = 1 if side == "left" else 501
        self.state = {}  # key -> name, None: deleted
        self.n = 0
        self.failure = None

    def run(self):
        try:
            with self.twin.servers[self.side].connect() as c, c.cursor() as cursor:
                while not self.stop.wait(PAUSE_S):
                    self.write(cursor)
        except Exception as e:  # seen by the test, which would wait in vain otherwise
            self.failure = e

    def write(self, cursor):
        table, column = self.twin.link.table(self.side), self.twin.email_column(self.side)
        key = self.first + self.random.randrange(OWN_KEYS)
        self.n += 1
        name = name_of(f"{self.side} {self.n}")
        try:
            if self.state.get(key) is None:
                email = self.twin.email_value(self.side, email_of(f"{key}.{self.n}"))
                cursor.execute(f"INSERT INTO {table} (id, name, {column}) VALUES (%s, %s, %s)", [key, name, email])
            elif self.random.random() < 0.4:
                cursor.execute(f"DELETE FROM {table} WHERE id = %s", [key])
                name = None
            else:
                # A careless application: versions and times say nothing, or the wrong thing.
                cursor.execute(f"UPDATE {table} SET name = %s, sync_version = %s, updated_at = '2024-01-01' "
                               "WHERE id = %s", [name, self.random.randrange(3), key])
        except pymysql.err.OperationalError as e:
            if e.args[0] not in IN_THE_WAY:
                raise
            return
        self.state[key] = name


class Quarreler(threading.Thread):
    """Writes keys that the other side writes too."""

    def __init__(self, twin, side, seed, stop):
        super().__init__()
        self.twin = twin
        self.side = side
        self.stop = stop
        self.random = random.Random(f"{seed} {side} quarrel")
        self.failure = None

    def run(self):
        table, column = self.twin.link.table(self.side), self.twin.email_column(self.side)
        try:
            with self.twin.servers[self.side].connect() as c, c.cursor() as cursor:
                n = 0
                while not self.stop.wait(PAUSE_S):
                    n += 1
                    key = self.random.choice(SHARED)
                    email = self.twin.email_value(self.side, email_of(f"{key}.{self.side}.{n}"))
                    try:
                        what = self.random.random()
                        if what < 0.3:
                            cursor.execute(f"DELETE FROM {table} WHERE id = %s", [key])
                        elif what < 0.6:
                            cursor.execute(f"INSERT IGNORE INTO {table} (id, name, {column}) VALUES (%s, %s, %s)",
                                           [key, name_of("new"), email])
                        else:
                            cursor.execute(f"UPDATE {table} SET name = %s, {column} = %s WHERE id = %s",
                                           [name_of(f"q {n}"), email, key])
                    except pymysql.err.OperationalError as e:
                        if e.args[0] not in IN_THE_WAY:
                            raise
        except Exception as e:
            self.failure = e


@pytest.mark.parametrize("number", range(SEEDS))
def test_repeated_triggers_beside_writers(make_twin, number, record_property):
    seed = int(os.environ.get("TWINLOG_SEED") or random.SystemRandom().randrange(1 << 32)) + number
    record_property("TWINLOG_SEED", seed)
    print(f"TWINLOG_SEED={seed}")
    twin = make_twin(delete_vs_update="delete" if number % 3 == 2 else "keep")
    twin.daemon.log_level = "info"
    twin.daemon.more = {"limits": {"resync_chunk_rows": random.Random(seed).choice((5, 20, 1000))}}
    twin.start()
    stop = threading.Event()
    owners = [Owner(twin, side, seed, stop) for side in SIDES]
    writers = owners + [Quarreler(twin, side, seed, stop) for side in SIDES]
    jobs = set()
    began = time.monotonic()

    def over():
        return any(w.failure for w in writers) or (time.monotonic() - began >= RUN_S and len(jobs) > 1 and
                                                   all(owner.n > 100 for owner in owners))

    for writer in writers:
        writer.start()
    try:
        while not over():
            assert time.monotonic() - began < DEADLINE_S, f"resyncs {len(jobs)}, writes {[o.n for o in owners]}"
            code, answer = twin.daemon.trigger()
            assert code == 202, answer
            jobs.add(answer["job"])
            wait_until("it has ended, or all is over", lambda: over() or twin.daemon.job()["state"] != "running",
                       60 * SLOW)
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    assert not [w.failure for w in writers if w.failure]
    twin.daemon.wait_job()
    twin.settle(timeout_s=60 * SLOW)
    record_property("resyncs", len(jobs))
    for owner in owners:
        for side in (owner.side, PEER[owner.side]):
            table = twin.link.table(side)
            rows = dict(twin.servers[side].rows(f"SELECT id, name FROM {table} WHERE id >= {owner.first} AND "
                                                f"id < {owner.first + OWN_KEYS}"))
            expected = {key: name for key, name in owner.state.items() if name is not None}
            assert rows == expected, f"{side}: what the {owner.side} wrote last does not stand there"
