"""The same row changed on both sides while nobody looks: who wins, step by step.

In each case the loser's side gets exactly one write, the winner's none, and
then both logs stay silent.
"""

import datetime

import pytest

from support.twin import PEER, SIDES, TO, name_of

EARLIER, LATER = "2024-05-06 07:08:09", "2024-05-06 07:08:10"


def conflicts(twin):
    """Both directions' counters of conflicts, added up."""
    total = {}
    for direction in TO.values():
        for reason, n in twin.daemon.counters(direction)["conflicts"].items():
            total[reason] = total.get(reason, 0) + n
    return total


def part(twin, rows):
    """Both sides have these rows, and the daemon is down."""
    twin.start()
    for key in rows:
        twin.insert("left", key, sync_version=5, updated_at=EARLIER)
    twin.settle()
    twin.daemon.stop()


def meet(twin, winner, reason, writes=1):
    """Starts the daemon again; what it writes; who won; by which rule."""
    marks = twin.marks()
    twin.daemon.start()
    twin.settle(window_s=1.5)
    expected = {side: 0 if side == winner else writes for side in SIDES}
    assert dict(zip(SIDES, twin.writes_since(marks))) == expected
    seen = conflicts(twin)
    assert seen[reason] >= 1, seen
    others = {r: n for r, n in seen.items() if r not in (reason, "equal")}
    assert not any(others.values()), seen


@pytest.mark.pairings
@pytest.mark.parametrize("winner", SIDES)
def test_the_higher_version_wins(twin, winner):
    part(twin, [1])
    loser = PEER[winner]
    # Both the time and the number of writes speak for the loser.
    twin.update(winner, 1, name="winner", raise_version=False, sync_version=7, updated_at=EARLIER)
    twin.update(loser, 1, name="loser", raise_version=False, sync_version=6, updated_at=LATER)
    twin.update(loser, 1, name="loser again", raise_version=False, updated_at=LATER)
    before = twin.row(winner, 1)
    meet(twin, winner, "version")
    assert twin.names(1) == ("winner", "winner")
    after = twin.row(loser, 1)
    for column in ("sync_version", "updated_at", "created_at", "mail"):
        assert after[column] == before[column]
    assert abs((datetime.datetime.utcnow() - after["last_sync_at"]).total_seconds()) < 60
    assert twin.row(winner, 1) == before


@pytest.mark.parametrize("winner", SIDES)
def test_equal_versions_the_later_update_wins(twin, winner):
    part(twin, [1])
    twin.update(winner, 1, name="winner", updated_at=LATER)
    twin.update(PEER[winner], 1, name="loser", updated_at=EARLIER)
    meet(twin, winner, "updated_at")
    assert twin.names(1) == ("winner", "winner")


@pytest.mark.parametrize("authority", SIDES)
def test_a_full_tie_goes_to_the_authority(make_twin, authority):
    twin = make_twin(authority=authority)
    part(twin, [1])
    twin.update(authority, 1, name="winner", email="w", updated_at=LATER)
    twin.update(PEER[authority], 1, name="loser", email="l", updated_at=LATER)
    meet(twin, authority, "authority")
    assert twin.names(1) == ("winner", "winner")


@pytest.mark.pairings
@pytest.mark.parametrize("deleting", SIDES)
def test_keep_an_update_survives_a_delete(make_twin, deleting):
    twin = make_twin(delete_vs_update="keep")
    part(twin, [1, 2])
    updating = PEER[deleting]
    twin.delete(deleting, 1)
    twin.update(updating, 1, name="lives", raise_version=False, updated_at=EARLIER)
    meet(twin, updating, "delete_vs_update")
    assert twin.names(1) == ("lives", "lives")


@pytest.mark.pairings
@pytest.mark.parametrize("deleting", SIDES)
def test_delete_a_delete_beats_an_update(make_twin, deleting):
    twin = make_twin(delete_vs_update="delete")
    part(twin, [1, 2])
    twin.delete(deleting, 1)
    twin.update(PEER[deleting], 1, name="dies", sync_version=99, raise_version=False)
    meet(twin, deleting, "delete_vs_update")
    assert twin.names(1) == (None, None)
    assert twin.names(2) == ("n2", "n2")


@pytest.mark.parametrize("winner", SIDES)
def test_two_inserts_of_one_key(twin, winner):
    part(twin, [1])
    twin.insert(winner, 9, "winner", "w", sync_version=2, updated_at=EARLIER, created_at=LATER)
    twin.insert(PEER[winner], 9, "loser", "l", sync_version=1, updated_at=LATER, created_at=EARLIER)
    meet(twin, winner, "version")
    assert twin.names(9) == ("winner", "winner")
    assert twin.row("left", 9)["created_at"] == twin.row("right", 9)["created_at"]


def test_two_inserts_of_the_same_row(twin):
    part(twin, [1])
    for side in SIDES:
        twin.insert(side, 9, sync_version=3, updated_at=LATER, created_at=EARLIER)
    marks = twin.marks()
    twin.daemon.start()
    twin.settle(window_s=1.5)
    assert twin.writes_since(marks) == (0, 0)
    seen = conflicts(twin)
    assert {reason for reason, n in seen.items() if n} <= {"equal"}


def test_two_deletes(twin):
    part(twin, [1, 2])
    for side in SIDES:
        twin.delete(side, 1)
    marks = twin.marks()
    twin.daemon.start()
    twin.settle(window_s=1.5)
    assert twin.writes_since(marks) == (0, 0)
    assert twin.names(1) == (None, None)
    assert twin.names(2) == ("n2", "n2")
    seen = conflicts(twin)
    assert {reason for reason, n in seen.items() if n} <= {"equal"}


def test_the_same_change_on_both_sides(twin):
    part(twin, [1])
    for side in SIDES:
        twin.update(side, 1, name="the same", updated_at=LATER)
    marks = twin.marks()
    twin.daemon.start()
    twin.settle(window_s=1.5)
    assert twin.writes_since(marks) == (0, 0)


def test_a_change_after_the_conflict_is_no_conflict(twin):
    part(twin, [1])
    twin.update("left", 1, name="winner", updated_at=LATER)
    twin.update("right", 1, name="loser", updated_at=EARLIER)
    meet(twin, "left", "updated_at")
    seen = conflicts(twin)
    for n in range(5):
        twin.update(SIDES[n % 2], 1, name=f"later {n}", raise_version=False)
        twin.wait_equal()
    twin.settle()
    assert twin.names(1) == ("later 4", "later 4")
    assert conflicts(twin) == seen


@pytest.mark.pairings
def test_many_rows_meet_at_once(twin):
    part(twin, range(1, 41))
    for key in range(1, 41):
        winner = SIDES[key % 2]
        twin.update(winner, key, name="winner", raise_version=False, sync_version=8)
        twin.update(PEER[winner], key, name="loser", raise_version=False, sync_version=7)
    twin.sql("left", "UPDATE auth_db.client_auth SET name = CONCAT(name, '') WHERE id = 1")
    twin.daemon.start()
    twin.settle(window_s=1.5)
    for key in range(1, 41):
        assert twin.row("left", key)["name"] == twin.row("right", key)["name"] == name_of("winner")
