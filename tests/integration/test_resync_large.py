"""A first start over a large table, beside applications that write, killed again and again."""

import contextlib
import itertools
import subprocess
import threading
import time

import pytest

from support.daemon import SANITIZED, SLOW
from support.servers import Why, wait_until
from support.twin import SIDES, email_of, name_of

ROWS = 20_000 if SANITIZED else 1_000_000
DIFFERING = ROWS // 100
KILLS = 5
BATCH = 2000
MAX_KIB = 64 * 1024


class Application(threading.Thread):
    """Updates rows of its own all over the table and inserts some; how long each statement took."""

    def __init__(self, twin, side, stop):
        super().__init__()
        self.twin = twin
        self.side = side
        self.stop = stop
        self.times = []
        self.n = 0
        self.failure = None

    def run(self):
        twin, side = self.twin, self.side
        table, column = twin.link.table(side), twin.email_column(side)
        try:
            with twin.servers[side].connect() as c, c.cursor() as cursor:
                while not self.stop.wait(0.005):
                    self.n += 1
                    new = 2 * ROWS + 2 * self.n + (side == "right")
                    email = twin.email_value(side, email_of(f"new{new}"))
                    began = time.monotonic()
                    if self.n % 4 == 0:
                        cursor.execute(f"INSERT INTO {table} (id, name, {column}) VALUES (%s, %s, %s)",
                                       [new, name_of("new"), email])
                    else:
                        cursor.execute(f"UPDATE {table} SET name = %s, sync_version = sync_version + 1 WHERE id = %s",
                                       [name_of(f"{side} {self.n}"), (self.n * 7919) % ROWS + 1])
                    self.times.append((began, time.monotonic() - began))
        except Exception as e:
            self.failure = e

    def p99_ms(self, begin, end):
        times = sorted(t for at, t in self.times if begin <= at < end)
        return round(times[len(times) * 99 // 100] * 1000, 2) if times else None


def fill(twin):
    """All rows on the left, a hundredth of them on the right too, with another name and a higher version."""
    def insert(side, keys, name, version):
        table, column = twin.link.table(side), twin.email_column(side)
        with twin.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0, unique_checks = 0")
            for first in range(keys.start, keys.stop, BATCH):
                rows = [(key, name, twin.cipher.seal(email_of(f"m{key}")) if side == "left" else email_of(f"m{key}"),
                         "2024-01-01 00:00:00", "2024-01-01 00:00:00", version)
                        for key in range(first, min(first + BATCH, keys.stop))]
                cursor.executemany(f"INSERT INTO {table} (id, name, {column}, created_at, updated_at, sync_version) "
                                   "VALUES (%s, %s, %s, %s, %s, %s)", rows)
            c.commit()

    insert("left", range(1, ROWS + 1), name_of("left"), 1)
    insert("right", range(1, DIFFERING + 1), name_of("right"), 2)


@contextlib.contextmanager
def lines(twin, side):
    """A table in the order of the key, as the command line client tells it, which is much quicker than a driver in Python."""
    server = twin.servers[side]
    with subprocess.Popen([*server.client_command(), "--quick", "--batch", "--skip-column-names",
                           "--init-command=SET time_zone = '+00:00'", f"--execute={twin.link.select(side)}"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as client:
        yield client.stdout
        client.stdout.close()
        assert client.wait() == 0


def count_differences(twin):
    """Both tables in the order of the key, row by row, without holding them."""
    sealed = [c.left for c in twin.link.columns].index("email_encrypted")
    rows = differing = 0
    with lines(twin, "left") as lefts, lines(twin, "right") as rights:
        for left, right in itertools.zip_longest(lefts, rights):
            rows += 1
            if left is not None:
                fields = left.split("\t")
                fields[sealed] = twin.cipher.open(fields[sealed])
                left = "\t".join(fields)
            differing += left != right
    return rows, differing


def scanned(twin):
    job = twin.daemon.job()
    return job["rows_scanned"] if job else 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_first_start_over_a_large_table_killed_on_the_way(twin, record_property):
    fill(twin)
    twin.daemon.log_level = "info"
    twin.daemon.write_config()
    twin.daemon.init()
    stop = threading.Event()
    apps = [Application(twin, side, stop) for side in SIDES]
    for app in apps:
        app.start()
    began = time.monotonic()
    wait_until("the applications have shown how fast they are alone",
               lambda: time.monotonic() - began > 5 and all(len(app.times) > 100 or app.failure for app in apps))
    peaks, job_id, most = [], None, 0
    resync_began = time.monotonic()
    try:
        for n in range(KILLS + 1):
            twin.daemon.start()
            job = wait_until("the job runs", lambda: twin.daemon.job(), 60 * SLOW)
            assert job_id in (None, job["job"]), "another job than before"
            job_id = job["job"]
            # It goes on where it was: what was counted when it was killed, but for the last chunk.
            assert job["rows_scanned"] + 2000 >= most, (job, most)
            goal = (n + 1) * ROWS // (KILLS + 2)
            if n == KILLS:
                break
            wait_until("some more rows are done",
                       lambda: scanned(twin) >= goal or Why(f"{twin.daemon.job()}\n{twin.daemon.log_tail()}"), 240)
            most = scanned(twin)
            peaks.append(twin.daemon.memory_peak_kb())
            twin.daemon.kill()
        job = twin.daemon.wait_job(timeout_s=300)
        resync_ended = time.monotonic()
    finally:
        stop.set()
        for app in apps:
            app.join(60)
    assert not [app.failure for app in apps if app.failure]
    assert job["job"] == job_id and job["state"] == "done"
    peaks.append(twin.daemon.memory_peak_kb())
    for app in apps:
        record_property(f"{app.side}: statements, p99 alone and beside the resync",
                        f"{len(app.times)}, {app.p99_ms(began, resync_began)} ms, "
                        f"{app.p99_ms(resync_began, resync_ended)} ms")
    record_property("rows", f"{job['rows_scanned']} compared, {job['rows_written']} written in this life, "
                            f"{resync_ended - resync_began:.1f} s with {KILLS} kills")
    record_property("peak", f"{max(peaks) // 1024} MiB")

    twin.wait_quiet(timeout_s=120)
    rows, differing = count_differences(twin)
    assert differing == 0 and rows >= ROWS, (rows, differing)
    assert twin.row("left", 1)["name"] in (name_of("right"), twin.row("right", 1)["name"])
    code, text = twin.daemon.command("verify", timeout_s=300)
    assert code == 0 and "equal" in text, text
    if not SANITIZED:
        assert max(peaks) < MAX_KIB, peaks
