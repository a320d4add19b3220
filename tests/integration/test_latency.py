"""How long a single change takes on an idle pair, from commit to visible on the other side."""

import time

import pytest

from support.daemon import SLOW, median
from support.twin import PEER, SIDES

CHANGES = 50
SANITY_S = 1.0


@pytest.mark.parametrize("side", SIDES)
def test_a_change_on_an_idle_pair_is_visible_soon(running, side, record_property):
    running.insert(side, 1)
    running.settle()
    table, peer_table = running.link.table(side), running.link.table(PEER[side])
    took, with_statement = [], []
    with running.servers[side].connect() as ours, running.servers[PEER[side]].connect() as theirs, \
            ours.cursor() as write, theirs.cursor() as read:
        for n in range(CHANGES):
            sent = time.perf_counter()
            write.execute(f"UPDATE {table} SET name = %s, sync_version = sync_version + 1 WHERE id = 1", [f"change {n}"])
            committed = time.perf_counter()
            while True:
                read.execute(f"SELECT name FROM {peer_table} WHERE id = 1")
                if read.fetchone()[0] == f"change {n}":
                    break
                assert time.perf_counter() - committed < 10
            took.append(time.perf_counter() - committed)
            with_statement.append(time.perf_counter() - sent)
    record_property("latency", f"median {median(took) * 1000:.2f} ms, slowest {max(took) * 1000:.1f} ms; "
                               f"the statement itself included: median {median(with_statement) * 1000:.2f} ms")
    assert median(took) < SANITY_S * SLOW
    running.settle()
