"""What happened while the daemon was away is in no log any more: it says so, compares all rows by itself, and the
tables end equal."""

import pytest

from support.daemon import SLOW
from support.receiver import Receiver
from support.servers import Why, wait_until
from support.twin import PEER, SIDES, TO, purge


def write_on_both_sides(twin):
    twin.update("left", 1, name="left, while away")
    twin.update("right", 2, name="right, while away")
    twin.update("left", 3, name="older", sync_version=6, raise_version=False)
    twin.update("right", 3, name="newer", sync_version=7, raise_version=False)
    twin.insert("left", 31)
    twin.insert("right", 32)


def check_rows(twin):
    assert twin.names(1) == ("left, while away",) * 2
    assert twin.names(2) == ("right, while away",) * 2
    assert twin.names(3) == ("newer", "newer")
    assert twin.names(31) == ("n31", "n31") and twin.names(32) == ("n32", "n32")
    # And from now on by the stream.
    for n, side in enumerate(SIDES):
        twin.insert(side, 101 + n)
    twin.settle()
    assert twin.names(101) == ("n101", "n101") and twin.names(102) == ("n102", "n102")


def went_away(twin):
    twin.start()
    for key in range(1, 11):
        twin.insert(SIDES[key % 2], key)
    twin.wait_equal()
    twin.daemon.wait_job()
    twin.daemon.stop()
    write_on_both_sides(twin)


@pytest.mark.pairings
@pytest.mark.parametrize("sides", [("left",), ("right",), SIDES], ids="-".join)
def test_purged_binlogs_lead_to_a_resync(twin, sides):
    with Receiver() as receiver:
        twin.daemon.more["notify"] = {"url": receiver.url}
        went_away(twin)
        for side in sides:
            purge(twin, side)
        twin.daemon.start(ready=False)
        wait_until("a resync begins by itself", lambda: twin.daemon.http("/sync/status")[0] == 200
                   and (twin.daemon.job() or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()),
                   20 * SLOW)
        job = twin.daemon.wait_job()
        assert job["cause"] == "lost_position" and job["reason"], job
        assert job["from"] is None and (job["mode"], job["missing"]) == ("merge", "copy")
        twin.daemon.wait_ready()
        twin.settle()
        check_rows(twin)
        gaps = wait_until("the gap is told", lambda: len(receiver.events("gap")) >= len(sides)
                          and receiver.events("gap"), 10 * SLOW)
        assert {gap["direction"] for gap in gaps} == {TO[side] for side in sides}
        assert all(gap["link"] == "users" and gap["text"] for gap in gaps)
        wait_until("so is its end", lambda: receiver.events("recovered"), 10 * SLOW)
    lost = [line for line in twin.daemon.log().splitlines() if "position is lost" in line and " applier " in line]
    assert len(lost) == len(sides) and all(" error " in line and "resync" in line for line in lost)


def test_a_lost_position_is_no_reason_to_delete(twin):
    """Whether a row was deleted or never arrived cannot be told any more: it is kept, whatever the policy is."""
    went_away(twin)
    twin.delete("left", 5)
    twin.insert("left", 41)
    purge(twin, "left")
    twin.daemon.start(ready=False)
    wait_until("a resync begins by itself", lambda: twin.daemon.http("/sync/status")[0] == 200
               and (twin.daemon.job() or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()), 20 * SLOW)
    twin.daemon.wait_job()
    twin.settle()
    assert twin.names(5) == ("n5", "n5") and twin.names(41) == ("n41", "n41")
    check_rows(twin)


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_a_history_that_begins_anew_leads_to_a_resync(twin, side):
    """The position that is stored was never in this history."""
    went_away(twin)
    twin.servers[side].reset_log()
    twin.update(PEER[side], 4, name="after the reset")
    twin.daemon.start(ready=False)
    wait_until("a resync begins by itself", lambda: twin.daemon.http("/sync/status")[0] == 200
               and (twin.daemon.job() or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()), 20 * SLOW)
    twin.daemon.wait_job()
    twin.daemon.wait_ready()
    twin.settle()
    assert twin.names(4) == ("after the reset",) * 2
    check_rows(twin)


def test_a_resync_after_a_lost_position_survives_a_kill(twin):
    went_away(twin)
    purge(twin, "left")
    with twin.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SELECT * FROM customer_db.customers WHERE id = 1 FOR UPDATE")
        twin.daemon.start(ready=False)
        wait_until("the resync is under way", lambda: twin.daemon.http("/sync/status")[0] == 200
                   and (twin.daemon.job() or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()),
                   20 * SLOW)
        wait_until("it is stored", lambda: twin.servers["left"].value(
            "SELECT cause FROM twinlog.resync") == "lost_position", 5 * SLOW)
        twin.daemon.kill()
        c.rollback()
    twin.daemon.start()
    job = twin.daemon.wait_job()
    assert job["cause"] == "lost_position"
    twin.settle()
    check_rows(twin)
