"""What both sides wrote is on record: what met, which rule decided, who won. Never a value."""

import datetime
import json

import pytest

from support.daemon import SLOW
from support.servers import wait_until
from support.twin import PEER, SIDES, find_secrets

EARLIER, LATER = "2024-05-06 07:08:09.250000", "2024-05-06 07:08:10.500000"
STORED_AT_MOST = 64  # rows above conflict.keep, of both sides together


def iso(text):
    return text.replace(" ", "T") + "Z"


def part(twin, keys):
    """Both sides have these rows, and the daemon is down."""
    twin.start()
    for key in keys:
        twin.insert("left", key, sync_version=5, updated_at=EARLIER)
    twin.wait_equal()
    twin.daemon.stop()


def meet(twin):
    twin.daemon.start()
    twin.settle()


def stored(twin):
    """The whole content of both conflict tables."""
    return [row for server in twin.servers.values() for row in server.rows("SELECT * FROM twinlog.conflict")]


def by_key(conflicts):
    found = {c["key"]: c for c in conflicts}
    assert len(found) == len(conflicts), conflicts
    return found


def make_one_of_each(twin):
    part(twin, [1, 2, 3, 4, 5])
    twin.update("right", 1, name="winner", raise_version=False, sync_version=7, updated_at=EARLIER)
    twin.update("left", 1, name="loser", raise_version=False, sync_version=6, updated_at=LATER)
    twin.update("left", 2, email="winner", updated_at=LATER)
    twin.update("right", 2, email="loser", updated_at=EARLIER)
    twin.update("left", 3, name="winner", updated_at=LATER)
    twin.update("right", 3, name="loser", updated_at=LATER)
    twin.delete("left", 4)
    twin.update("right", 4, name="survives", updated_at=LATER)
    meet(twin)
    twin.unlogged("right", "UPDATE customer_db.customers SET name = 'forced away', sync_version = 99, "
                           f"updated_at = '{LATER}' WHERE id = 5")
    assert twin.daemon.trigger(**{"from": "left", "mode": "force"})[0] == 202
    twin.daemon.wait_job()
    twin.settle()


def side(version, updated_at):
    return {"present": version is not None, "version": version, "updated_at": updated_at and iso(updated_at)}


@pytest.mark.kinds
def test_each_rule_is_on_record(twin):
    make_one_of_each(twin)
    conflicts = twin.daemon.conflicts()
    found = by_key(conflicts)
    expected = {
        "id=1": ("version", "right", side(6, LATER), side(7, EARLIER), {"name"}, {"email_encrypted", "id"}),
        "id=2": ("updated_at", "left", side(6, LATER), side(6, EARLIER), {"email_encrypted"}, {"name", "id", "email"}),
        "id=3": ("authority", "left", side(6, LATER), side(6, LATER), {"name"}, {"email_encrypted", "updated_at"}),
        "id=4": ("delete_vs_update", "right", side(None, None), side(6, LATER), set(), {"name"}),
        "id=5": ("force", "left", side(5, EARLIER), side(99, LATER), {"name"}, {"email_encrypted", "id"}),
    }
    assert set(found) == set(expected)
    for key, (rule, winner, left, right, differ, same) in expected.items():
        c = found[key]
        assert (c["rule"], c["winner"], c["link"]) == (rule, winner, "users"), c
        assert (c["left"], c["right"]) == (left, right), c
        assert differ <= set(c["columns"]) and not same & set(c["columns"]), c
        assert c["met"] == "resync" if key == "id=5" else c["met"] in ("left_to_right", "right_to_left"), c
        at = datetime.datetime.fromisoformat(c["at"].replace("Z", "+00:00"))
        assert abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 60 * SLOW
    assert found["id=4"]["columns"] == []

    # No value, wherever it might stand.
    assert len(stored(twin)) == 5
    forbidden = twin.secrets() | {"forced away"}
    assert not find_secrets("\n".join(map(repr, stored(twin))), forbidden)
    assert not find_secrets(json.dumps(conflicts), forbidden)
    assert not find_secrets(twin.daemon.log(), forbidden)

    show_and_list(twin, conflicts)
    twin.daemon.kill()
    twin.daemon.start()
    wait_until("they are read again", lambda: len(twin.daemon.conflicts()) == 5, 5 * SLOW)
    again = twin.daemon.conflicts()
    for c in again + conflicts:
        del c["at"]  # the server's own moment, now
    assert again == conflicts


def show_and_list(twin, conflicts):
    ids = [c["id"] for c in conflicts]
    assert ids == sorted(ids, key=lambda i: -int(i.split(".")[1])), "the newest first"
    assert conflicts[0]["key"] == "id=5"
    assert twin.daemon.conflicts("limit=2") == conflicts[:2]
    assert twin.daemon.document("/sync/conflicts?limit=2")["count"] == 5
    assert twin.daemon.conflicts("link=users") == conflicts
    for c in conflicts:
        link, number = c["id"].split(".")
        assert link == "users"
        for path in (c["id"], number, f"{number}?link=users"):
            assert twin.daemon.document(f"/sync/conflicts/{path}") == c
        code, text = twin.daemon.command("conflicts", "show", c["id"])
        assert code == 0 and all(word in text for word in (c["id"], c["key"], c["rule"], "won", "lost")), text
        assert twin.daemon.command("conflicts", "show", number)[0] == 0
        code, text = twin.daemon.command("conflicts", "show", number, "--json")
        assert code == 0 and json.loads(text) == c
    for name in ("users.999999", "999999", "nobody.1", "users.x", "users."):
        assert twin.daemon.http(f"/sync/conflicts/{name}")[0] == 404, name
        code, text = twin.daemon.command("conflicts", "show", name)
        assert code == 1 and len(text.strip().splitlines()) == 1, text
    assert twin.daemon.http(f"/sync/conflicts/{ids[0]}?link=nobody")[0] == 400
    assert twin.daemon.http("/sync/conflicts?link=nobody")[0] == 400
    assert twin.daemon.http("/sync/conflicts?limit=0")[0] == 400
    code, text = twin.daemon.command("conflicts", "list")
    assert code == 0 and not find_secrets(text, twin.secrets())
    lines = text.splitlines()
    assert [next(n for n, line in enumerate(lines) if f"{i} " in line) for i in ids] == list(range(1, 6)), text
    code, text = twin.daemon.command("conflicts", "list", "--json")
    assert code == 0 and json.loads(text)["conflicts"] == conflicts


def test_delete_beats_update_is_on_record(make_twin):
    twin = make_twin(delete_vs_update="delete")
    part(twin, [1])
    twin.delete("right", 1)
    twin.update("left", 1, name="dies", updated_at=LATER)
    meet(twin)
    (c,) = twin.daemon.conflicts()
    assert (c["rule"], c["winner"]) == ("delete_vs_update", "right")
    assert c["left"] == side(6, LATER) and c["right"] == side(None, None)


def fill(twin, count):
    """So many rows on both sides, by one statement each."""
    with twin.servers["left"].connect() as c, c.cursor() as cursor:
        cursor.executemany("INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (%s, 'n', %s)",
                           [(key, twin.seal(f"m{key}@zyzzyva.example")) for key in range(1, count + 1)])
    twin.wait_equal()


def drift(twin, version):
    """All rows written on both sides while nobody looks."""
    twin.daemon.stop()
    for s in SIDES:
        twin.sql(s, f"UPDATE {twin.link.table(s)} SET name = %s, sync_version = %s", [s, version + SIDES.index(s)])
    meet(twin)


def with_keep(keep):
    return {"more": {"conflict": {"authority": "left", "delete_vs_update": "keep", "keep": keep}}}


def test_only_the_newest_are_kept(make_twin):
    twin = make_twin(**with_keep(50)).start()
    fill(twin, 150)
    for version in (10, 20):  # 300 conflicts
        drift(twin, version)

    def total():
        return sum(sum(twin.daemon.counters(d)["conflicts"].values()) for d in ("left_to_right", "right_to_left"))

    assert total() >= 150, "of the last start"
    rows = stored(twin)
    assert len(rows) <= 50 + STORED_AT_MOST
    newest = max(row[2] for row in rows)
    for _ in range(2):
        listed = twin.daemon.conflicts()
        assert 40 <= len(listed) <= 50
        assert listed[0]["id"] == f"users.{newest}"
        assert {c["left"]["version"] for c in listed} == {20}
        twin.daemon.stop()
        twin.daemon.start()
        wait_until("they are read again", twin.daemon.conflicts, 5 * SLOW)


def test_keep_0_records_none(make_twin):
    twin = make_twin(**with_keep(0)).start()
    fill(twin, 5)
    drift(twin, 10)
    assert twin.daemon.conflicts() == [] and stored(twin) == []


def test_rows_that_meet_as_equals_are_not_on_record(twin):
    part(twin, [1])
    for s in SIDES:
        twin.insert(s, 9, sync_version=3, created_at=EARLIER, updated_at=LATER)
        twin.update(s, 1, name="the same", updated_at=LATER)
    meet(twin)
    assert twin.daemon.conflicts() == [] and stored(twin) == []


@pytest.mark.parametrize("winner", SIDES)
def test_a_refused_row_is_no_conflict(running, winner):
    """It was written on one side only: the other side's refusal decides nothing."""
    if winner == "left":
        running.unlogged_insert("right", 90, "wanted")
        running.insert("left", 1, email="wanted")
    else:
        running.sql("left", "ALTER TABLE auth_db.client_auth MODIFY name VARCHAR(30) NOT NULL")
        running.insert("right", 1, name="longer than the thirty characters there")
    running.daemon.wait_quarantine("id=1")
    running.update(winner, 1, email="no longer", name="short")
    running.daemon.wait_quarantine()
    if winner == "left":
        running.unlogged("right", "DELETE FROM customer_db.customers WHERE id = 90")
    running.settle()
    assert running.daemon.conflicts() == []
    assert running.names(1) == ("short", "short")
    assert running.row(PEER[winner], 1) is not None


def test_a_version_above_what_a_signed_number_holds(twin):
    part(twin, [1])
    for side in SIDES:  # as a former version made the table
        twin.sql(side, "ALTER TABLE twinlog.conflict MODIFY left_version BIGINT NULL, MODIFY right_version BIGINT NULL")
    assert twin.daemon.command("init")[0] == 0
    twin.update("right", 1, name="winner", raise_version=False, sync_version=2**64 - 1, updated_at=EARLIER)
    twin.update("left", 1, name="loser", raise_version=False, sync_version=2**63, updated_at=LATER)
    meet(twin)
    assert twin.names(1) == ("winner", "winner")
    for _ in range(2):  # as it was met, and as it was stored
        [c] = twin.daemon.conflicts()
        assert (c["rule"], c["winner"]) == ("version", "right")
        assert c["left"]["version"] == str(2**63) and c["right"]["version"] == str(2**64 - 1)
        code, text = twin.daemon.command("conflicts", "list")
        assert code == 0 and f"version {2**63}" in text and f"version {2**64 - 1}" in text, text
        twin.daemon.stop()
        twin.daemon.start()
        twin.settle()
