"""Servers and lines that fail in every way that one meets. Afterwards the tables are equal; meanwhile /readyz told the
truth, the log told of it once, and the daemon waited without spinning."""

import pytest

from support.outage import outage
from support.proxy import Proxy
from support.servers import wait_until
from support.twin import PEER, SIDES

NAMES = {"left": "auth", "right": "customer"}


@pytest.fixture
def lines(twin):
    """The pair at work with a line to each server that can fail: {side: Proxy}."""
    proxies = {side: Proxy(twin.servers[side]) for side in SIDES}
    twin.daemon.servers = {NAMES[side]: proxies[side] for side in SIDES}
    twin.daemon.more["limits"] = {"read_timeout_s": 3, "connect_timeout_s": 2}
    twin.start()
    twin.daemon.wait_job()
    twin.lines = proxies
    for key in (1, 2, 3):
        twin.insert("left", key)
    twin.settle(window_s=0.3)
    yield twin
    for proxy in proxies.values():
        proxy.close()


def write_on_both_sides(twin, text):
    """An update, a conflict, perhaps a delete, and an insert, whatever is broken between us and the daemon."""
    for i, side in enumerate(SIDES):
        twin.update(side, i + 1, name=f"{text} {side}")
        twin.update(side, 3, name=f"{text} both {side}")
        key = 1000 + 2 * twin.servers[side].value(f"SELECT COUNT(*) FROM {twin.link.table(side)}") + i
        twin.sql(side, f"DELETE FROM {twin.link.table(side)} WHERE id >= 1000 AND id % 2 = {i} LIMIT 1")
        while twin.row(side, key):
            key += 2
        twin.insert(side, key)


@pytest.mark.pairings
@pytest.mark.parametrize("side, fault", [("left", "stall"), ("right", "reset"), ("left", "truncate")])
def test_a_line_that_fails(lines, side, fault):
    with outage(lines, NAMES[side]) as o:
        getattr(lines.lines[side], fault)()
        write_on_both_sides(lines, "broken")
        o.wait_told(NAMES[side])
        # What gets through a line that breaks late may be enough for a moment.
        o.lasts(ready=None if fault == "truncate" else False)
        lines.lines[side].restore()
    assert lines.names(1)[0] == "broken left"
    assert lines.names(2)[0] == "broken right"


@pytest.mark.pairings
def test_lines_that_break_all_the_time_let_some_work_through(lines):
    """Cut at any byte, again and again, with nobody who writes waiting for it: nothing is lost, nothing written twice."""
    for n in range(6):
        for side in SIDES:
            write_on_both_sides(lines, f"round {n}")
            lines.lines[side].break_all(reset=n % 2 == 0)
    lines.settle()
    assert not lines.daemon.quarantine()


def test_a_slow_line_is_no_failure(lines):
    for line in lines.lines.values():
        line.slow(0.05)
    write_on_both_sides(lines, "slow")
    lines.wait_equal()
    assert lines.daemon.is_ready()
    for line in lines.lines.values():
        line.restore()
    lines.settle()


@pytest.mark.parametrize("side", [pytest.param("left", marks=pytest.mark.pairings), "right"])
def test_a_server_that_stands_still(lines, side):
    """The process is stopped, the kernel still takes connections. The other side writes on."""
    with outage(lines, NAMES[side]) as o:
        lines.servers[side].freeze()
        try:
            lines.update(PEER[side], 1, name="meanwhile")
            o.wait_told(NAMES[side])
            o.lasts()
        finally:
            lines.servers[side].thaw()
    assert lines.names(1) == ("meanwhile", "meanwhile")


@pytest.mark.pairings
def test_a_server_is_killed_in_the_midst_of_a_large_transaction(running):
    """Once the source, while its large transaction is read; once the target, while it is applied."""
    running.insert("left", 1)
    running.settle(window_s=0.3)
    with outage(running, "auth", "customer"):
        with running.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
            rows = [(k, f"n{k}", running.seal(f"k{k}@zyzzyva.example")) for k in range(100, 3100)]
            cursor.executemany(f"INSERT INTO {running.link.left_table} (id, name, email_encrypted) VALUES (%s, %s, %s)",
                               rows)
            c.commit()
        wait_until("some of it has arrived", lambda: running.servers["right"].value(
            f"SELECT COUNT(*) FROM {running.link.right_table}") > 1, 20)
        running.servers["right"].kill()
        running.servers["right"].start()
        running.servers["left"].kill()
        running.servers["left"].start()
    assert running.servers["right"].value(f"SELECT COUNT(*) FROM {running.link.right_table}") == 3001
