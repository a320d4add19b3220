"""A direction whose source changed in a way that no row event shows halts and says why, and goes on when the
operator has said which side is right."""

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.twin import PEER, SIDES, TO


def halted(twin, side):
    """Waits until the direction that reads this side has halted; why."""
    def check():
        direction = twin.daemon.direction(TO[side])
        return direction if direction["state"] == "halted" else Why(f"{direction}\n{twin.daemon.log_tail()}")

    return wait_until(f"{TO[side]} halts", check, 10 * SLOW)["reason"]


def with_rows(twin):
    for key in range(1, 21):
        twin.insert(SIDES[key % 2], key)
    twin.wait_equal()
    twin.daemon.wait_job()
    return twin


def streams(twin):
    """Both directions, and equal in the end."""
    twin.daemon.wait_ready()
    for n, side in enumerate(SIDES):
        twin.insert(side, 101 + n)
    wait_until("both directions stream", lambda: [twin.names(101 + n) for n in range(2)] == [
        (f"n{101 + n}",) * 2 for n in range(2)] or Why(twin.daemon.log_tail()), 10 * SLOW)
    twin.settle()


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_truncate_halts_until_a_trigger_brings_the_rows_back(running, side):
    with_rows(running)
    peer = PEER[side]
    running.sql(side, f"TRUNCATE TABLE {running.link.table(side)}")
    reason = halted(running, side)
    assert "TRUNCATE" in reason and running.link.table(side) in reason, reason
    code, text = running.daemon.http("/readyz")
    assert code == 503 and "TRUNCATE" in text and "halted" in text
    assert any("halted" in line and "TRUNCATE" in line and " error " in line for line in running.daemon.log().splitlines())
    code, text = running.daemon.command("status")
    assert code == 1 and "halted" in text and "TRUNCATE" in text, text
    assert len(running.link.read(running.servers[peer], peer)) == 20, "the other side's rows stay"
    # The other direction goes on.
    assert running.daemon.direction(TO[peer])["state"] == "streaming"
    running.insert(peer, 50)
    wait_until("the other direction goes on", lambda: running.names(50) == ("n50", "n50"), 10 * SLOW)

    code, answer = running.daemon.trigger()
    assert code == 409 and "TRUNCATE" in answer["error"] and "from=" in answer["error"], answer
    code, text = running.daemon.command("trigger")
    assert code == 1 and "TRUNCATE" in text and len(text.strip().splitlines()) == 1, text
    assert running.daemon.direction(TO[side])["state"] == "halted"

    assert running.daemon.trigger(**{"from": peer})[0] == 202
    job = running.daemon.wait_job()
    assert job["cause"] == "trigger" and job["rows_written"] == 20, job
    streams(running)
    assert len(running.link.read(running.servers[side], side)) == 23


@pytest.mark.parametrize("side", SIDES)
def test_the_truncated_side_may_be_the_right_one(running, side):
    with_rows(running)
    running.sql(side, f"TRUNCATE TABLE {running.link.table(side)}")
    halted(running, side)
    assert running.daemon.trigger(**{"from": side, "missing": "delete"})[0] == 202
    running.daemon.wait_job()
    streams(running)
    for s in SIDES:
        assert [row[0] for row in running.link.read(running.servers[s], s)] == [101, 102]


def test_a_restart_does_not_forget_that_it_has_halted(running):
    """Else the deletions that no event shows would be passed over in silence."""
    with_rows(running)
    running.sql("left", "TRUNCATE TABLE auth_db.client_auth")
    reason = halted(running, "left")
    for end in (running.daemon.stop, running.daemon.kill):
        end()
        running.daemon.start(ready=False)
        wait_until("it answers", lambda: running.daemon.http("/healthz")[0] == 200, 10 * SLOW)
        assert halted(running, "left") == reason
    assert running.daemon.trigger(**{"from": "right"})[0] == 202
    running.daemon.wait_job()
    streams(running)


def test_a_mapped_column_that_is_gone_halts(running):
    with_rows(running)
    running.sql("left", "ALTER TABLE auth_db.client_auth RENAME COLUMN name TO full_name")
    running.sql("left", "INSERT INTO auth_db.client_auth (id, full_name, email_encrypted) VALUES (30, 'n', %s)",
                [running.seal("m30@zyzzyva.example")])
    assert "name" in halted(running, "left")
    running.sql("left", "ALTER TABLE auth_db.client_auth RENAME COLUMN full_name TO name")
    assert running.daemon.trigger(**{"from": "left"})[0] == 202
    running.daemon.wait_job()
    streams(running)


def test_both_directions_may_have_halted(running):
    with_rows(running)
    for side in SIDES:
        running.sql(side, f"TRUNCATE TABLE {running.link.table(side)}")
    for side in SIDES:
        halted(running, side)
    assert running.daemon.trigger()[0] == 409
    assert running.daemon.trigger(**{"from": "left"})[0] == 202
    running.daemon.wait_job()
    streams(running)
