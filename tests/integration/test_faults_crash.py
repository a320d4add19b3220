"""The daemon dies, or its connection breaks, between any two statements that it sends. Afterwards the tables end equal, with
nothing lost and nothing written twice.

The program is twinlog_faults: the daemon with places to fail, see tests/faults/fault.c.
"""

import contextlib
import os
import re
import signal
import subprocess

import pytest

from support import daemon as daemon_module
from support.audit import audit, audited
from support.daemon import BINARY, SANITIZED, SLOW
from support.outage import outage
from support.servers import Why, wait_until
from support.twin import SIDES, TO, email_of, name_of

FAULTS = os.path.join(os.path.dirname(BINARY), "tests", "twinlog_faults")

# Who sends statements.
APPLIERS = ("applier users left>right", "applier users right>left")


def test_a_start_meets_a_line_that_breaks(faulty):
    """Whatever the preflight asks just then: that is no verdict on the config, and the next look is."""
    for count in (3, 10, 30, 45):
        start(faulty, f"drop:sent:main:{count}", ready=True)
        faulty.daemon.stop()
    assert len(told(faulty, 0)) == 4


def test_the_program_that_is_shipped_has_no_place_to_fail(twin):
    """Neither its text nor what it does: with the order to end at the first statement it runs on."""
    with open(BINARY, "rb") as f, open(FAULTS, "rb") as g:
        shipped, other = f.read(), g.read()
    for word in (b"TWINLOG_FAULT", b"TWINLOG_CLOCK_STEP"):
        assert word not in shipped and word in other, word
    twin.daemon.env["TWINLOG_FAULT"] = "kill:before::1"
    twin.start()
    twin.insert("left", 1)
    twin.settle(window_s=0.3)


@pytest.fixture
def faulty(twin, monkeypatch):
    """The pair, first resync done, the daemon down. From here on it is started as twinlog_faults."""
    for side in SIDES:
        audit(twin, side)
    twin.start()
    twin.daemon.wait_job()
    twin.daemon.stop()
    monkeypatch.setattr(daemon_module, "BINARY", FAULTS)
    return twin


def start(twin, fault=None, ready=False):
    twin.daemon.env.pop("TWINLOG_FAULT", None)
    if fault:
        twin.daemon.env["TWINLOG_FAULT"] = fault
    twin.daemon.start(ready=ready)


def told(twin, since):
    """What the faults since then were, as the log says."""
    return re.findall(r"fault: (.*)", twin.daemon.log()[since:])


# ---- The workload ----

ROWS = range(1, 10)


def reset(twin):
    """Both tables as they are at the begin of each round, past the log and without any trace in the control tables."""
    for side in SIDES:
        statements = [f"DELETE FROM {twin.link.table(side)}", "DELETE FROM twinlog.quarantine"]
        for key in ROWS:
            statements.append((
                f"INSERT INTO {twin.link.table(side)} (id, name, {twin.email_column(side)}, created_at, updated_at) "
                "VALUES (%s, %s, %s, '2026-01-01', '2026-01-01')",
                [key, name_of(f"n{key}"), twin.email_value(side, email_of(f"m{key}"))]))
        statements.append(f"DELETE FROM {twin.link.table(side).split('.')[0]}.audit")
        with twin.servers[side].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            for statement in statements:
                cursor.execute(*([statement] if isinstance(statement, str) else statement))


def write(twin):
    """While the daemon is down, each side as an application: what is on its way, in conflict, and refused."""
    twin.update("left", 1, name="left 1")                    # goes right
    twin.update("right", 2, name="right 2")                  # goes left
    twin.insert("left", 11)
    twin.insert("right", 12)
    twin.delete("left", 3)
    twin.delete("right", 4)
    twin.update("left", 5, name="both, left")                # conflict: the right has the higher version
    twin.update("right", 5, name="both, right once")
    twin.update("right", 5, name="both, right")
    twin.update("left", 6, name="updated")                   # against a delete
    twin.delete("right", 6)
    # Refused: its e-mail is taken at the right, by a row that the left will never have (it goes left, refused there too).
    twin.unlogged_insert("right", 99, "taken")
    twin.update("left", 7, email="taken")


def check(twin):
    """The outcome is what it would have been without any fault."""
    expected = {1: "left 1", 2: "right 2", 3: None, 4: None, 5: "both, right", 6: "updated", 8: "n8", 9: "n9",
                11: "n11", 12: "n12"}

    def as_expected():
        found = {key: twin.names(key) for key in expected}
        return found == {key: (name, name) for key, name in expected.items()} or \
            Why(f"{found}\n{twin.daemon.log_tail(40)}")

    wait_until("all is as it would have been", as_expected, 20 * SLOW, every_s=0.03)
    # What is refused waits, with both rows as they were, and is written once nothing is in its way.
    twin.daemon.wait_quarantine("id=7")
    twin.unlogged("right", f"DELETE FROM {twin.link.right_table} WHERE id = 99")
    twin.daemon.http("/sync/quarantine/retry?all=true", "POST")
    twin.wait_equal()
    assert twin.row("right", 7)["mail"] == email_of("taken")
    # Each row once.
    assert sorted(audited(twin, "left", by_daemon=True)) == [("d", 4), ("i", 12), ("u", 2), ("u", 5)]
    assert sorted(audited(twin, "right", by_daemon=True)) == [("d", 3), ("i", 6), ("i", 11), ("u", 1), ("u", 7)]


def halves(twin):
    """Markers of one side alone that a recovery should have mended."""
    ids = {side: {row[0] for row in twin.servers[side].rows("SELECT id FROM twinlog.marker")} for side in SIDES}
    passed = min(twin.servers[side].value("SELECT MIN(marker) FROM twinlog.checkpoint") for side in SIDES)
    return [i for i in ids["left"] ^ ids["right"] if i > passed]


def until_dead_or(twin, what, done):
    """True if the daemon has died, as it was told."""
    wait_until(f"the daemon has ended, or {what}", lambda: not twin.daemon.is_running() or done(), 20 * SLOW,
               every_s=0.02)
    with contextlib.suppress(subprocess.TimeoutExpired):  # what was done last may have been it
        twin.daemon.process.wait(0.05)
    if twin.daemon.is_running():
        return False
    assert twin.daemon.wait_end() == -signal.SIGKILL, twin.daemon.log_tail()
    return True


def most_is_done(twin):
    return all(left == right for left, right in map(twin.names, (1, 2, 5, 6, 11, 12))) and \
        all(twin.servers[side].value("SELECT COUNT(*) FROM twinlog.quarantine") for side in SIDES)


def one_round(twin, *faults):
    """The workload with these faults, one a start, and then a start without. How many of them were met."""
    reset(twin)
    write(twin)
    deaths = 0
    for fault in faults:
        start(twin, fault)
        if not until_dead_or(twin, "has done it all", lambda: most_is_done(twin)):
            twin.daemon.kill()
            break
        deaths += 1
    start(twin, ready=True)
    check(twin)
    assert not halves(twin)
    twin.daemon.kill()
    return deaths


def walk(twin, one_more, first=1, step=1):
    """Rounds at statement first, first + step ... until one_more(n) says four times in a row that there was no such statement: who
    of the two appliers gets to a conflict first, and so has more to do, is not always the same. What was met."""
    since = len(twin.daemon.log())
    misses = 0
    for count in range(first, 400, step):
        misses = 0 if one_more(count) else misses + 1
        if misses == 4:
            return told(twin, since)
    raise AssertionError("there is no end of statements")


STRIDE = 3 if SANITIZED else 1
BEFORE_THE_FIRST_WRITE = 13  # statements of an applier: sessions are set up, control tables read


@pytest.mark.slow
@pytest.mark.parametrize("thread", APPLIERS)
def test_killed_between_any_two_statements(faulty, thread, record_property):
    """Each statement of the workload in its turn is the last one that the daemon sends; each third one where sanitizers make
    that long."""
    met = walk(faulty, lambda n: one_round(faulty, f"kill:after:{thread}:{n}"), BEFORE_THE_FIRST_WRITE, STRIDE)
    record_property("statements", len(met))
    words = {what.split()[4] for what in met}
    # The other one may have had most of the work, and all of the commits that were left to see.
    assert "START" in words and words & {"INSERT", "UPDATE", "DELETE"}, met


@pytest.mark.pairings
def test_a_recovery_is_killed_too(faulty, record_property):
    """A reconcile is cut in half: one side has committed. Then the recovery ends at each of its statements in turn, by
    whichever thread it is done."""
    half = "kill:after:applier users left>right:1:COMMIT@auth"
    met = walk(faulty, lambda n: one_round(faulty, half, f"kill:after:applier:{n}") == 2,
               BEFORE_THE_FIRST_WRITE, step=5)
    record_property("statements", len(met))
    halved = [what for what in met if "statement 1: COMMIT on server auth" in what]
    assert len(halved) > 3 and len(met) - len(halved) > 3, met


@pytest.mark.pairings
@pytest.mark.parametrize("when", ("sent", "before"))
def test_connections_break_all_the_time(faulty, when, record_property):
    """Each 67th statement of an applier meets a dead line (a new begin takes up to 40); behind `sent` nobody knows what became
    of it."""
    since = len(faulty.daemon.log())
    reset(faulty)
    start(faulty, f"drop:{when}:applier:67+", ready=True)
    for n in range(12):
        for side in SIDES:
            faulty.update(side, 5, name=f"{side} {n}")
            faulty.update(side, 1 + SIDES.index(side), name=f"round {n}")
            faulty.insert(side, 100 + 2 * n + SIDES.index(side))
        if n % 2 == 0:
            faulty.wait_equal(timeout_s=30 * SLOW)
    faulty.settle(timeout_s=30 * SLOW)
    assert faulty.names(1) == faulty.names(2) == ("round 11", "round 11")
    drops = told(faulty, since)
    record_property("drops", len(drops))
    assert len(drops) > 2, drops
    assert not faulty.daemon.quarantine()


# ---- A resync ----

def drift(twin):
    """Past the log: each side has a newer row, and one that the other lacks."""
    for side, newer, missing in (("left", 1, 4), ("right", 2, 3)):
        table = twin.link.table(side)
        twin.unlogged(side, (f"UPDATE {table} SET name = %s, sync_version = 7 WHERE id = %s", [name_of(f"new {side}"), newer]),
                      f"DELETE FROM {table} WHERE id = {missing}")
        twin.unlogged(side, f"DELETE FROM {table.split('.')[0]}.audit")


def run_resync(twin, fault):
    """A resync of drifted tables that is cut off there; after the next start it goes on, or is asked for again."""
    reset(twin)
    drift(twin)
    start(twin, fault)

    died = until_dead_or(twin, "takes a trigger", lambda: asked_for_a_resync(twin))
    died = died or until_dead_or(twin, "the resync has ended", lambda: resync_is_done(twin))
    if died:
        start(twin, ready=True)
        if (twin.daemon.job() or {}).get("state") != "running" and twin.difference():
            twin.daemon.trigger()
        twin.daemon.wait_job()
    twin.wait_equal()
    assert [twin.names(key)[0] for key in (1, 2, 3, 4, 5)] == ["new left", "new right", "n3", "n4", "n5"]
    assert sorted(audited(twin, "left", by_daemon=True)) == [("i", 4), ("u", 2)]
    assert sorted(audited(twin, "right", by_daemon=True)) == [("i", 3), ("u", 1)]
    twin.daemon.kill()
    return died


def asked_for_a_resync(twin):
    with contextlib.suppress(OSError, ValueError):
        return twin.daemon.request("/sync/trigger", "POST").status == 202
    return False


def resync_is_done(twin):
    with contextlib.suppress(OSError, ValueError):
        return twin.daemon.request("/sync/status").json()["links"]["users"]["job"]["state"] == "done"
    return False


def test_a_resync_is_killed_between_any_two_statements(faulty, record_property):
    faulty.daemon.more["limits"] = {"resync_chunk_rows": 10}
    faulty.daemon.write_config()
    met = walk(faulty, lambda n: run_resync(faulty, f"kill:after:resync:{n}"), first=2, step=2 * STRIDE)
    record_property("statements", len(met))
    assert any("COMMIT" in what for what in met) and any("INSERT" in what for what in met), met


# ---- Clocks ----

@pytest.mark.parametrize("step_s", (86400, -86400))
def test_the_clock_is_set(faulty, step_s, tmp_path):
    """By a day, while the daemon runs: nothing waits for a day, nothing spins, and a stop is a stop."""
    clock = tmp_path / "step"
    clock.write_text("0")
    faulty.daemon.env["TWINLOG_CLOCK_STEP"] = str(clock)
    start(faulty, ready=True)
    reset(faulty)
    faulty.unlogged_insert("right", 99, "taken")
    faulty.update("left", 7, email="taken")
    faulty.daemon.wait_quarantine("id=7")
    with outage(faulty) as o:
        clock.write_text(str(step_s))
        for side in SIDES:
            faulty.update(side, 1, name=f"after the step {side}")
        o.lasts(2.0, ready=True)
        for direction in TO.values():
            assert abs(faulty.daemon.direction(direction)["lag_seconds"]) < 60
        # The timer of the quarantine: within a minute, whatever the clock says.
        faulty.unlogged("right", f"DELETE FROM {faulty.link.right_table} WHERE id = 99")
        faulty.daemon.http("/sync/quarantine/retry?all=true", "POST")
        faulty.daemon.wait_quarantine()
        # A wait for a server that comes back.
        faulty.servers["right"].stop()
        o.wait_told("customer")
        clock.write_text(str(-step_s))
        faulty.servers["right"].start()
    faulty.servers["left"].freeze()
    try:
        faulty.daemon.stop(timeout_s=8 * SLOW)
    finally:
        faulty.servers["left"].thaw()
