"""A backlog is written over several connections at once, each key by one of them; whatever happens to one, each change is
written once."""

import contextlib
import os
import signal
import time

import pytest

from support import daemon as daemon_module
from support.audit import audit, audited
from support.daemon import BINARY, DB_USER, SANITIZED, SLOW
from support.servers import Why, wait_until
from support.twin import SIDES, email_of, name_of

pytestmark = pytest.mark.pairings

FAULTS = os.path.join(os.path.dirname(BINARY), "tests", "twinlog_faults")
LANES = 3
BATCH = 10
ROWS = range(1, LANES * BATCH + 1)  # one batch of all lanes


@pytest.fixture
def backlog(twin):
    """The pair with the same rows on both sides, and the daemon down: what is written now will wait for it together."""
    twin.daemon.more = {"limits": {"batch_rows": BATCH, "lanes": LANES}}
    for side in SIDES:
        audit(twin, side)
    twin.start()
    twin.daemon.wait_job()
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        for key in ROWS:
            cursor.execute("INSERT INTO auth_db.client_auth (id, name, email_encrypted, updated_at) "
                           "VALUES (%s, %s, %s, '2026-01-01 00:00:00')", [key, name_of("old"), twin.seal(email_of(f"m{key}"))])
        c.commit()
    twin.settle(window_s=0.3)
    twin.daemon.stop()
    for side in SIDES:
        twin.unlogged(side, f"DELETE FROM {twin.link.table(side).split('.')[0]}.audit", "DELETE FROM twinlog.lane")
    return twin


def lanes_used(twin, side="right"):
    """Numbers of the lanes that have written to that side."""
    return sorted(row[0] for row in twin.servers[side].rows("SELECT lane FROM twinlog.lane WHERE lanes > 0"))


def connections(twin, side):
    return twin.servers[side].value(f"SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{DB_USER}'", ())


def lane_of(key, lanes):
    """FNV-1a over length and text of the key, the last steps of murmur3, the upper half."""
    text, mask, h = str(key).encode(), 2**64 - 1, 0xcbf29ce484222325
    for byte in len(text).to_bytes(4, "little") + text:
        h = (h ^ byte) * 0x100000001b3 & mask
    for factor in (0xff51afd7ed558ccd, 0xc4ceb9fe1a85ec53):
        h = (h ^ h >> 33) * factor & mask
    return ((h ^ h >> 33) >> 32) % lanes


# Of lane 0, and among the last: what the daemon takes first, before it has read all of a backlog, is in front of it.
LAST = max(key for key in ROWS if lane_of(key, LANES) == 0)


@contextlib.contextmanager
def locked(twin, key):
    """Its lane, and with that the checkpoint, has to wait; the others do not."""
    with twin.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SELECT id FROM customer_db.customers WHERE id = %s FOR UPDATE", [key])
        yield
        c.rollback()


def names(twin, side):
    found = dict(twin.servers[side].rows(f"SELECT id, name FROM {twin.link.table(side)}"))
    return {key: found.get(key) for key in ROWS}


@pytest.mark.threads
def test_a_backlog_is_written_in_lanes(backlog):
    for key in ROWS:
        backlog.update("left", key, name="new")
    for key in range(101, 201):
        backlog.insert("left", key)
    for key in list(ROWS)[::2]:
        backlog.delete("left", key)
    backlog.daemon.start()
    backlog.settle(window_s=0.3)
    assert lanes_used(backlog) == [1, 2]
    assert lanes_used(backlog, "left") == []  # its log holds nothing but echoes
    written = audited(backlog, "right", by_daemon=True)
    # A key whose changes came together in one batch shows their outcome alone.
    for key in ROWS:
        ops = "".join(op for op, k in written if k == key)
        assert ops in (("ud", "d") if key % 2 == 1 else ("u",)), (key, ops)
    assert sorted(k for op, k in written if op == "i") == list(range(101, 201))
    assert audited(backlog, "left", by_daemon=True) == []

    # They go when there is no backlog any more.
    more = connections(backlog, "right")
    wait_until("the lanes' connections are closed",
               lambda: (n := connections(backlog, "right")) <= more - (LANES - 1) or n == connections(backlog, "left") or Why(n), 20 * SLOW)
    backlog.update("left", 2, name="once more")
    backlog.settle(window_s=0.3)


def test_no_lanes_are_used_where_they_are_switched_off(backlog):
    backlog.daemon.more = {"limits": {"batch_rows": BATCH, "lanes": 1}}
    backlog.daemon.write_config()
    for key in ROWS:
        backlog.update("left", key, name="new")
    backlog.daemon.start()
    backlog.settle(window_s=0.3)
    assert lanes_used(backlog) == []


def test_conflicts_and_refused_rows_in_lanes(backlog):
    """What one connection has to settle does not undo, or repeat, what the others have written."""
    for key in ROWS:
        backlog.update("left", key, name="left", email="taken" if key == 7 else f"l{key}")
    for key in (3, 12, 21, 22):
        backlog.update("right", key, name="right once")
        backlog.update("right", key, name="right")
    backlog.unlogged_insert("right", 99, "taken")
    backlog.daemon.start()
    backlog.daemon.wait_quarantine("id=7")
    expected = {key: name_of("right" if key in (3, 12, 21, 22) else "old" if key == 7 else "left") for key in ROWS}
    wait_until("the others are there", lambda: names(backlog, "right") == expected or Why(names(backlog, "right")), 20 * SLOW)
    backlog.unlogged("right", "DELETE FROM customer_db.customers WHERE id = 99")
    backlog.daemon.http("/sync/quarantine/retry?all=true", "POST")
    backlog.settle(window_s=0.3)
    # One that has a refused row beside it may get its UNIQUE value in two steps.
    written = {key for _, key in audited(backlog, "right", by_daemon=True)}
    assert written == {key for key in ROWS if key not in (3, 12, 21, 22)}
    assert {key for _, key in audited(backlog, "left", by_daemon=True)} == {3, 12, 21, 22}


def test_rows_that_exchange_unique_values_are_of_one_lane(backlog):
    """Else one lane would meet a value that another one has not given up yet. The left has no such index."""
    emails = {}
    for one, other in zip(list(ROWS)[::2], list(ROWS)[1::2]):
        emails |= {one: email_of(f"m{other}"), other: email_of(f"m{one}")}
        with backlog.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
            for key in (one, other):
                cursor.execute("UPDATE auth_db.client_auth SET email_encrypted = %s, sync_version = sync_version + 1 WHERE id = %s",
                               [backlog.seal(emails[key]), key])
            c.commit()
    backlog.daemon.start()
    backlog.settle(window_s=0.3)
    assert not backlog.daemon.quarantine()
    assert {key: backlog.row("right", key)["mail"] for key in ROWS} == emails


def set_names(twin, side, keys, name, version):
    """As an application does that raises no version, each row in a transaction of its own."""
    with twin.servers[side].connect() as c, c.cursor() as cursor:
        for key in keys:
            cursor.execute(f"UPDATE {twin.link.table(side)} SET name = %s, sync_version = %s, "
                           "updated_at = '2026-01-01 00:00:00' WHERE id = %s", [name_of(name), version, key])


def die_in_a_batch(twin, text, until_dead):
    """A backlog, and the daemon dies over it. Then the peer's application takes back what has arrived, to the last byte what
    it was before: written again, it would look like a change that fits. How many rows had arrived."""
    version, before = twin.row("left", 1)["sync_version"], names(twin, "right")
    set_names(twin, "left", ROWS, text, version)
    until_dead()
    arrived = [key for key, name in names(twin, "right").items() if name == name_of(text)]
    with twin.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
        for key in arrived:
            cursor.execute("UPDATE customer_db.customers SET name = %s, sync_version = %s, "
                           "updated_at = '2026-01-01 00:00:00' WHERE id = %s", [before[key], version, key])
        c.commit()
    twin.daemon.env.pop("TWINLOG_FAULT", None)
    twin.daemon.start()
    twin.wait_equal()
    assert names(twin, "left") == {key: before[key] if key in arrived else name_of(text) for key in ROWS}, (text, arrived)
    twin.daemon.stop()
    return len(arrived)


def all_arrived(twin, text):
    return all(name == name_of(text) for name in names(twin, "right").values())


def lanes_ahead(twin):
    """Of the checkpoint."""
    return twin.servers["right"].value("SELECT COUNT(*) FROM twinlog.lane JOIN twinlog.checkpoint USING (link, source_side, batch) "
                                       "WHERE lanes > 0", ())


def test_what_a_lane_has_written_is_not_written_again(backlog):
    """Two lanes have committed, and lane 0, which has the checkpoint, waits for a row that an application holds. What the
    daemon has not read yet when it begins is not in that batch, and may leave too little for lanes: then once more."""
    ahead = []

    def until_dead():
        with locked(backlog, LAST):
            backlog.daemon.start(ready=False)
            end = time.monotonic() + 2 * SLOW
            while lanes_ahead(backlog) < 2 and time.monotonic() < end:
                time.sleep(0.02)
            ahead.append(lanes_ahead(backlog))
            backlog.daemon.kill()

    for n in range(10):
        arrived = die_in_a_batch(backlog, f"new {n}", until_dead)
        assert arrived < len(ROWS)
        if ahead[-1] == 2:
            assert arrived > 0
            break
    assert ahead[-1] == 2, ahead


@pytest.mark.slow
@pytest.mark.parametrize("thread", ["applier users left>right", "lane users left>right"])
def test_killed_at_any_statement_of_a_lane(backlog, monkeypatch, thread, record_property):
    """Some have committed then, and others not."""
    monkeypatch.setattr(daemon_module, "BINARY", FAULTS)
    cut = 0
    for count in range(1, 200, 3 if SANITIZED else 1):
        alive, text = [], f"new {count}"

        def until_dead():
            backlog.daemon.env["TWINLOG_FAULT"] = f"kill:after:{thread}:{count}"
            backlog.daemon.start(ready=False)
            wait_until("the daemon has ended, or all is there",
                       lambda: not backlog.daemon.is_running() or all_arrived(backlog, text), 20 * SLOW)
            alive.append(backlog.daemon.is_running())
            if alive[0]:
                backlog.daemon.kill()
            else:
                assert backlog.daemon.wait_end() == -signal.SIGKILL

        cut += 0 < die_in_a_batch(backlog, text, until_dead) < len(ROWS)
        if alive[0]:
            break
    else:
        raise AssertionError("there is no end of statements")
    record_property("cut in half", cut)
    assert count > 3
