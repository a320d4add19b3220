"""Transactions of 300,000 rows pass in parts, with flat memory, and survive a kill in the middle."""

import pytest

from support.daemon import SANITIZED, Stopwatch
from support.servers import Why, wait_until
from support.twin import NAME_END

ROWS = 20_000 if SANITIZED else 300_000
MEMORY_KB = 64 * 1024
TIMEOUT_S = 240

STEPS = {
    # One transaction each, in both directions.
    "insert": ("right", f"""INSERT INTO customer_db.customers (id, name, email)
        SELECT seq, CONCAT('row ', seq, ' {NAME_END}'), CONCAT('row', seq, '@zyzzyva.example') FROM customer_db.seq_1_to_{ROWS}"""),
    "update": ("left", f"""UPDATE auth_db.client_auth
        SET name = CONCAT('changed ', id, ' {NAME_END}'), sync_version = sync_version + 1"""),
    "delete": ("right", "DELETE FROM customer_db.customers"),
}
DONE = {
    "insert": lambda twin: twin.servers["left"].value("SELECT COUNT(*) FROM auth_db.client_auth"),
    "update": lambda twin: twin.servers["right"].value(
        "SELECT COUNT(*) FROM customer_db.customers WHERE name LIKE 'changed %%'", ()),
    "delete": lambda twin: ROWS - twin.servers["left"].value("SELECT COUNT(*) FROM auth_db.client_auth"),
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_300000_rows_in_one_transaction(twin, record_property):
    twin.daemon.log_level = "info"
    twin.start()
    for step, (side, statement) in STEPS.items():
        done = lambda: DONE[step](twin)
        twin.sql(side, statement)
        watch = Stopwatch()
        # Somewhere in its middle the daemon dies, and goes on where it was.
        wait_until(f"a third of the {step}", lambda: (n := done()) > ROWS / 3 or Why(f"{n} rows"), TIMEOUT_S, 0.05)
        peak = twin.daemon.memory_peak_kb()
        twin.daemon.kill()
        reached = done()
        assert reached < ROWS, f"the {step} was over before the kill: it was applied in one piece"
        twin.daemon.start()
        assert done() >= reached
        wait_until(f"the whole {step}", lambda: (n := done()) == ROWS or Why(f"{n} rows\n{twin.daemon.log_tail()}"),
                   TIMEOUT_S, 0.05)
        seconds = watch.s()
        twin.settle(timeout_s=60)
        peak = max(peak, twin.daemon.memory_peak_kb())
        record_property(step, f"{ROWS} rows in {seconds:.1f} s, peak {peak // 1024} MiB")
        if not SANITIZED:
            assert peak < MEMORY_KB, f"{peak} kB"
    assert twin.servers["left"].value("SELECT COUNT(*) FROM auth_db.client_auth") == 0
