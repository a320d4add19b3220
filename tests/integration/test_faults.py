"""Servers and lines that fail in every way that one meets. Afterwards the tables are equal; meanwhile /readyz told the
truth, the log told of it once, and the daemon waited without spinning."""

import contextlib
import socket

import pymysql
import pytest

from support.outage import outage
from support.proxy import CHUNK, Proxy, _Pipe
from support.servers import Why, wait_until
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


class LatePipe(_Pipe):
    """What the daemon sends with a certain word in it stays on the way, and its connection breaks at once: the server hears
    of neither until Proxy.deliver()."""

    def _pump(self, source, sink):
        if source is not self.sockets[0]:
            super()._pump(source, sink)
            return
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self.proxy.passes.wait()
                if self.proxy.late_word and self.proxy.late_word in data:
                    self.proxy.late_word = None
                    self.proxy.passes.clear()
                    self.proxy.late.append((sink, data))
                    source.shutdown(socket.SHUT_RDWR)
                    return
                sink.sendall(data)
        self.close()

    def close(self, reset=False):
        if all(sink is not self.sockets[1] for sink, _ in self.proxy.late):
            super().close(reset)


class LateProxy(Proxy):
    pipe = LatePipe

    def __init__(self, server, late_word):
        self.late_word, self.late = late_word, []
        super().__init__(server)

    def deliver(self):
        for sink, data in self.late:
            sink.sendall(data)


@pytest.mark.pairings
def test_a_batch_that_arrives_when_all_has_gone_on(running):
    """The line to the target dies with a batch on it, comes back, and what was on it arrives last. Meanwhile its row was deleted
    at the source, so that all that is left to do is nothing."""
    right = running.servers["right"]
    running.daemon.stop()
    line = LateProxy(right, b"n50 ")
    running.daemon.servers = {"auth": running.servers["left"], "customer": line}
    running.daemon.write_config()
    running.daemon.start()
    running.settle()
    running.insert("left", 50)
    wait_until("the batch is on its way", lambda: line.late)
    running.delete("left", 50)
    running.daemon.kill()
    row = f"SELECT marker FROM twinlog.checkpoint WHERE link = '{running.link.name}' AND source_side = 'left'"
    with right.connect() as c, c.cursor() as cursor:
        with pytest.raises(pymysql.err.OperationalError):
            cursor.execute(f"{row} FOR UPDATE NOWAIT")
    line.restore()
    running.daemon.start(ready=False)
    waits = "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT%checkpoint%FOR UPDATE' AND command = 'Query'"
    wait_until("it is waited for", lambda: right.value(waits) or Why(running.daemon.log_tail()))
    line.deliver()
    running.daemon.wait_ready()
    running.settle()
    assert running.row("right", 50) is None
    line.late.clear()
    line.close()
