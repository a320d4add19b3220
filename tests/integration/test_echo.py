"""What the daemon writes is never taken for a write of an application."""

import pytest

from support.audit import audit, audited
from support.servers import wait_until
from support.twin import PEER, SIDES, TO


def test_each_write_is_one_transaction_in_the_other_log_and_then_silence(running):
    marks = running.marks()
    writes = 0
    for key in range(1, 6):
        for side in SIDES:
            here = key * 10 + SIDES.index(side)
            for change in (lambda: running.insert(side, here), lambda: running.update(side, here, name="x"),
                           lambda: running.update(side, here, email=f"y{here}"), lambda: running.delete(side, here)):
                change()
                running.wait_equal()
                writes += 1
    running.settle(window_s=3)
    # Own writes and those that came from the peer: each of them once, none came back.
    assert running.writes_since(marks) == (writes, writes)


@pytest.mark.kinds
def test_each_row_is_written_once_at_the_other_side(twin):
    for side in SIDES:
        audit(twin, side)
    twin.start()
    expected = {side: [] for side in SIDES}
    for key in range(1, 61):
        side = SIDES[key % 2]
        twin.insert(side, key)
        expected[side].append(("i", key))
    twin.wait_equal()
    for key in range(1, 61):
        side = SIDES[(key + 1) % 2]
        twin.update(side, key, name=f"u{key}")
        expected[side].append(("u", key))
    twin.wait_equal()
    for key in range(1, 61, 3):
        twin.delete("left", key)
        expected["left"].append(("d", key))
    twin.settle(window_s=3)
    for side in SIDES:
        assert audited(twin, side, by_daemon=False) == expected[side]
        # Batches may write rows in another order, never twice.
        assert sorted(audited(twin, PEER[side], by_daemon=True)) == sorted(expected[side])


@pytest.mark.kinds
def test_a_burst_on_both_sides_falls_silent(running):
    marks = running.marks()
    for n in range(300):
        side = SIDES[n % 2]
        running.insert(side, 1000 + n)
        if n >= 2:
            running.update(side, 1000 + n - 2, name=f"second {n}")
    running.settle(window_s=3)
    # 300 inserts and 298 updates of applications; the daemon needs no more than one for each.
    left, right = running.writes_since(marks)
    assert 299 <= left <= 598 and 299 <= right <= 598
    for side in SIDES:
        counters = running.daemon.counters(TO[side])
        assert not any(counters["conflicts"].values()), counters
        wait_until("echoes are counted", lambda: running.daemon.counters(TO[side])["echoes"] > 0, 5)
        assert counters["inserts"] == 150
        assert counters["deletes"] == 0


def test_silence_survives_a_restart(running):
    for n in range(10):
        running.insert(SIDES[n % 2], n + 1)
    running.settle()
    marks = running.marks()
    for _ in range(2):
        running.daemon.stop()
        running.daemon.start()
    running.daemon.kill()
    running.daemon.start()
    running.settle(window_s=3)
    assert running.writes_since(marks) == (0, 0)
