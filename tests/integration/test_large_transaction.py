"""Transactions of 300,000 rows (fewer where it takes long) pass in parts, with flat memory, and survive a kill in the middle."""

import pytest

from support.daemon import SANITIZED, Stopwatch
from support.pairings import AT_HOME
from support.servers import Why, wait_until
from support.tables import numbers
from support.twin import NAME_END

pytestmark = pytest.mark.pairings

MEMORY_KB = 64 * 1024
TIMEOUT_S = 240

# One transaction each, in both directions.
STEPS = {
    "insert": ("right", """INSERT INTO customer_db.customers (id, name, email)
        SELECT n, CONCAT('row ', n, ' {name_end}'), CONCAT('row', n, '@zyzzyva.example') FROM {numbers} AS numbers"""),
    "update": ("left", """UPDATE auth_db.client_auth
        SET name = CONCAT('changed ', id, ' {name_end}'), sync_version = sync_version + 1"""),
    "delete": ("right", "DELETE FROM customer_db.customers"),
}


def rows_done(twin, step, rows):
    if step == "update":
        return twin.servers["right"].value(
            "SELECT COUNT(*) FROM customer_db.customers WHERE name LIKE 'changed %%'", ())
    present = twin.servers["left"].value("SELECT COUNT(*) FROM auth_db.client_auth")
    return present if step == "insert" else rows - present


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_300000_rows_in_one_transaction(twin, pairing, record_property):
    rows = 300_000 if pairing == AT_HOME and not SANITIZED else 20_000
    every_s = rows / 1_000_000  # each look counts them
    twin.daemon.log_level = "info"
    twin.start()
    for step, (side, statement) in STEPS.items():
        done = lambda: rows_done(twin, step, rows)
        twin.sql(side, statement.format(name_end=NAME_END, numbers=numbers(rows)))
        watch = Stopwatch()
        # Somewhere in its middle the daemon dies, and goes on where it was.
        wait_until(f"a third of the {step}", lambda: (n := done()) > rows / 3 or Why(f"{n} rows"), TIMEOUT_S, every_s)
        peak = twin.daemon.memory_peak_kb()
        twin.daemon.kill()
        reached = done()
        assert reached < rows, f"the {step} was over before the kill: it was applied in one piece"
        twin.daemon.start()
        assert done() >= reached
        wait_until(f"the whole {step}", lambda: (n := done()) == rows or Why(f"{n} rows\n{twin.daemon.log_tail()}"),
                   TIMEOUT_S, every_s)
        seconds = watch.s()
        twin.settle(timeout_s=60)
        peak = max(peak, twin.daemon.memory_peak_kb())
        record_property(step, f"{rows} rows in {seconds:.1f} s, peak {peak // 1024} MiB")
        if not SANITIZED:
            assert peak < MEMORY_KB, f"{peak} kB"
    assert twin.servers["left"].value("SELECT COUNT(*) FROM auth_db.client_auth") == 0
