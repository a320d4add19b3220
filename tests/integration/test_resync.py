"""A resync makes rows equal that differ although nobody wrote them lately."""

import json
import random
import threading

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.twin import PEER, SIDES, name_of

RESYNC_S = 60 * SLOW


def unlogged(twin, side, *statements):
    """Writes that no binary log tells of: the tables drift apart."""
    with twin.servers[side].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        for statement in statements:
            cursor.execute(statement)


def fill(twin, side, keys, **columns):
    for key in keys:
        twin.insert(side, key, **columns)


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_the_first_start_copies_what_is_there(twin, side):
    fill(twin, side, range(1, 301))
    fill(twin, PEER[side], range(1000, 1010))
    twin.start()
    job = twin.daemon.wait_job()
    assert job["cause"] == "first_start" and job["rows_written"] == 310
    twin.settle()
    assert twin.names(300) == ("n300", "n300") and twin.names(1009) == ("n1009", "n1009")


def test_initial_sync_off_compares_nothing(make_twin):
    twin = make_twin(more={"initial_sync": False})
    fill(twin, "left", [1])
    twin.start()
    twin.insert("left", 2)
    wait_until("the new row arrives", lambda: twin.names(2) == ("n2", "n2"))
    assert twin.names(1) == ("n1", None)
    assert twin.daemon.job() is None
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()
    twin.settle()
    assert twin.names(1) == ("n1", "n1")


@pytest.mark.pairings
def test_merge_lets_the_conflict_rule_decide(running):
    fill(running, "left", range(1, 5))
    running.settle()
    running.daemon.wait_job()
    table = running.link.right_table
    unlogged(running, "right", f"UPDATE {table} SET name = 'higher', sync_version = 9 WHERE id = 1",
             f"UPDATE {table} SET name = 'lower', sync_version = 0 WHERE id = 2",
             f"UPDATE {table} SET name = 'tie', updated_at = updated_at WHERE id = 3",
             f"DELETE FROM {table} WHERE id = 4")
    assert running.daemon.trigger()[0] == 202
    job = running.daemon.wait_job()
    running.settle()
    assert [running.row("left", key)["name"] for key in (1, 2, 3)] == ["higher", name_of("n2"), name_of("n3")]
    assert running.names(4) == ("n4", "n4")
    assert job["conflicts"] == 3 and job["rows_written"] == 4, job


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_force_lets_one_side_win(running, side):
    fill(running, "left", range(1, 4))
    running.settle()
    running.daemon.wait_job()
    peer = PEER[side]
    unlogged(running, peer, f"UPDATE {running.link.table(peer)} SET name = 'newer', sync_version = 99 WHERE id = 1")
    code, answer = running.daemon.trigger(**{"from": side, "mode": "force"})
    assert code == 202, answer
    running.daemon.wait_job()
    running.settle()
    assert running.names(1) == ("n1", "n1")


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_missing_delete_deletes_what_from_lacks(running, side):
    fill(running, "left", range(1, 4))
    running.settle()
    running.daemon.wait_job()
    peer = PEER[side]
    unlogged(running, side, f"DELETE FROM {running.link.table(side)} WHERE id = 1")
    unlogged(running, peer, f"DELETE FROM {running.link.table(peer)} WHERE id = 2")
    code, answer = running.daemon.trigger(**{"from": side, "missing": "delete"})
    assert code == 202, answer
    running.daemon.wait_job()
    running.settle()
    assert running.names(1) == (None, None)
    assert running.names(2) == ("n2", "n2")


@pytest.mark.pairings
def test_equal_rows_are_not_written(running):
    fill(running, "left", range(1, 200))
    running.settle()
    running.daemon.wait_job()
    marks = running.marks()
    assert running.daemon.trigger()[0] == 202
    job = running.daemon.wait_job()
    running.wait_quiet()
    assert job["rows_scanned"] == 199 and job["rows_written"] == 0
    assert running.writes_since(marks) == (0, 0)


# ---- verify ----

@pytest.mark.pairings
def test_verify_names_what_differs_and_repair_mends_it(running):
    fill(running, "left", range(1, 51))
    running.settle()
    running.daemon.wait_job()
    code, text = running.daemon.command("verify")
    assert code == 0 and "50 rows compared, equal" in text, text
    table = running.link.right_table
    unlogged(running, "right", f"UPDATE {table} SET name = 'other', email = CONCAT('x', email) WHERE id = 7",
             f"DELETE FROM {table} WHERE id = 8", f"INSERT INTO {table} (id, name, email) VALUES (99, 'n', 'm')")
    code, text = running.daemon.command("verify")
    assert code == 1, text
    assert "users id=7: differs in name,email_encrypted" in text
    assert "users id=8: only on the left" in text and "users id=99: only on the right" in text
    assert "51 rows compared, 3 differ" in text
    code, text = running.daemon.command("verify", "--repair")
    assert code == 0 and "3 rows compared once more, equal" in text, text
    running.settle()
    assert running.names(99) == ("n", "n")


def test_verify_and_repair_without_a_daemon(twin):
    fill(twin, "left", range(1, 51))
    twin.daemon.write_config()
    twin.daemon.init()
    code, text = twin.daemon.command("verify", "--json")
    assert code == 1 and json.loads(text[text.index("{"):])["links"]["users"]["differing"] == 50
    code, text = twin.daemon.command("verify", "--repair")
    assert code == 0 and "50 rows compared once more, equal" in text, text
    assert twin.difference() == ""


def test_verify_of_a_busy_pair_raises_no_false_alarm(running):
    fill(running, "left", range(1, 31))
    running.settle()
    stop = threading.Event()

    def write(side):
        with running.servers[side].connect() as c, c.cursor() as cursor:
            while not stop.wait(0.001 * SLOW):
                cursor.execute(f"UPDATE {running.link.table(side)} SET sync_version = sync_version + 1 "
                               f"WHERE id = {random.randint(1, 15) + (15 if side == 'right' else 0)}")

    writers = [threading.Thread(target=write, args=(side,)) for side in SIDES]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            code, text = running.daemon.command("verify")
            assert code == 0, text
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    running.settle()
