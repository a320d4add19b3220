"""The place up to which lanes are ahead is a position of the source's log, as the checkpoint is: it must be found again, and be
of the log that was read."""

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.twin import name_of
from test_lanes import BATCH, LANES, LAST, ROWS, backlog, lanes_ahead, locked, names  # noqa: F401


def arrived(twin):
    return [key for key, name in names(twin, "right").items() if name == name_of("lost")]


@pytest.mark.parametrize("goes_on", [False, True], ids=["behind", "goes on"])
@pytest.mark.parametrize("lanes", [LANES, 1])
def test_a_source_that_lost_what_lanes_have_written(backlog, lanes, goes_on):
    """The checkpoint is still good there, the lanes' place is not."""
    backlog.daemon.more = {"limits": {"batch_rows": BATCH, "lanes": lanes}}
    backlog.daemon.write_config()
    server = backlog.servers["left"]
    server.stop()
    with server.set_back():
        server.start()
        for row in ROWS:
            backlog.update("left", row, name="lost")
        with locked(backlog, LAST):
            backlog.daemon.start(ready=False)
            wait_until("some have arrived", lambda: len(arrived(backlog)) > 5 or Why(backlog.daemon.log_tail()), 20 * SLOW)
            backlog.daemon.kill()
        server.stop()
    server.start()
    for row in ROWS if goes_on else []:
        backlog.update("left", row, name="of the log that goes on")
    backlog.daemon.start(ready=False)
    wait_until("both are equal", lambda: names(backlog, "left") == names(backlog, "right")
               or Why((names(backlog, "left"), names(backlog, "right"), backlog.daemon.log_tail())), 20 * SLOW)
    backlog.daemon.wait_ready()
    assert backlog.daemon.job()["cause"] == "lost_position"


@pytest.mark.pairings("mysql-9.7/mariadb-10.11")
def test_a_transaction_that_begins_behind_a_heartbeat(twin):
    """Without GTIDs. The lanes' place is in the middle of it, and where it begins must be the same when it is read again."""
    left, keys = twin.servers["left"], range(1, 10 * BATCH + 1)
    left.set_options(gtid_mode="OFF", enforce_gtid_consistency="OFF")
    left.stop()
    left.start()
    twin.daemon.more = {"limits": {"batch_rows": BATCH, "lanes": LANES}}
    twin.start()
    twin.daemon.wait_job()
    for key in keys:
        twin.insert("left", key, name="old", updated_at="2026-01-01 00:00:00")
    twin.settle()
    left.sql("FLUSH BINARY LOGS")
    file = left.rows("SHOW BINARY LOGS")[-1][0]

    def heartbeat():
        at = twin.daemon.status()["servers"]["auth"]["position"].split(":")
        return (at[0] == file and int(at[1]) > 4) or Why(at)

    wait_until("a heartbeat has told of the new file", heartbeat, 20 * SLOW)
    wait_until("the place in front of the heartbeat is stored", lambda: twin.servers["right"].value(
        "SELECT COUNT(*) FROM twinlog.checkpoint WHERE binlog_file = %s AND binlog_offset = 4", [file]) == 1, 20 * SLOW)
    # In the midst of it: when the daemon gets there, it has read enough for all lanes.
    with locked(twin, keys[len(keys) // 2 + 5]):
        with left.connect(autocommit=False) as c, c.cursor() as cursor:
            for key in keys:
                cursor.execute("UPDATE auth_db.client_auth SET name = %s, sync_version = sync_version + 1 WHERE id = %s", [name_of("new"), key])
            c.commit()
        wait_until("lanes are ahead", lambda: lanes_ahead(twin) or Why(twin.daemon.log_tail()), 20 * SLOW)
        twin.daemon.kill()
    twin.daemon.start()
    twin.settle()
    assert {twin.row("right", key)["name"] for key in keys} == {name_of("new")}
