"""`./dev bench` in small: that it measures, that it does not take a wrong result for a fast one, and that nothing stays behind."""

import json
import os
import signal
import subprocess
import sys

import pytest

from support.daemon import BINARY, ROOT
from support.servers import Why, tied_to_us, wait_until

LOAD = os.path.join(os.path.dirname(BINARY), "tests", "twinlog_load")
BENCH = [sys.executable, os.path.join(ROOT, "tests", "bench")]


def start(folder, *words):
    return subprocess.Popen(tied_to_us([*BENCH, *words, "--out", str(folder)]), env={**os.environ, "TWINLOG_LOAD": LOAD},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            start_new_session=True)


def ours(folder):
    """Processes whose command line names the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                if str(folder).encode() in f.read():
                    found.append(int(pid))
        except OSError:
            pass
    return found


@pytest.mark.slow
def test_a_small_one_measures_both_systems(tmp_path):
    bench = start(tmp_path, "catchup", "--quick", "--only", "relaxed, ")
    out, _ = bench.communicate()
    assert bench.returncode == 0, out
    results = json.loads((tmp_path / "results.json").read_text())
    rows = {row["system"]: row["values"] for row in results["parts"]["catchup"]["rows"]}
    assert set(rows) == {"native serial", "native serial, log_slave_updates", "native 4 workers", "twinlog"}
    assert all(values["rows/s"][0] > 0 for values in rows.values()), rows
    assert "x native serial" in out and ("missed" in out or "met" in out), out
    assert "</svg>" in (tmp_path / "report.svg").read_text()
    assert (tmp_path / "report.txt").read_text() in out
    assert not ours(tmp_path)


def test_ctrl_c_leaves_no_process(tmp_path):
    bench = start(tmp_path, "skip", "--quick")
    try:
        wait_until("its servers run", lambda: len(ours(tmp_path)) > 2 or Why(ours(tmp_path)), 60)
    finally:
        bench.send_signal(signal.SIGINT)
        out, _ = bench.communicate()
    assert bench.returncode == 128 + signal.SIGINT, out
    assert "stopped" in out and "Traceback" not in out, out
    # What was being started ends with the one that started it, which takes the kernel a moment.
    wait_until("no process is left", lambda: not ours(tmp_path) or Why(ours(tmp_path)), 10)


@pytest.mark.parametrize("words, named", [(["catchups"], "catchups"), (["--runs", "0"], "--runs"), (["--fast"], "--fast")])
def test_a_wrong_option_is_named(tmp_path, words, named):
    bench = start(tmp_path, *words)
    out, _ = bench.communicate()
    assert bench.returncode == 2 and named in out and "usage:" in out, out


def compare(twin):
    done = subprocess.run([LOAD, "compare", f"socket={twin.servers['left'].socket}", f"peer={twin.servers['right'].socket}"],
                          env={**os.environ, "ENCRYPTION_KEY_HEX": twin.cipher.key.hex()}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout


CHANGES = {
    "name": "UPDATE customer_db.customers SET name = CONCAT(name, '.'), updated_at = updated_at WHERE id = 3",
    "email": "UPDATE customer_db.customers SET email = CONCAT(email, '.'), updated_at = updated_at WHERE id = 3",
    "version": "UPDATE customer_db.customers SET sync_version = 7, updated_at = updated_at WHERE id = 3",
    "time": "UPDATE customer_db.customers SET updated_at = '2001-01-01' WHERE id = 3",
    "gone": "DELETE FROM customer_db.customers WHERE id = 5",
    "more": "INSERT INTO customer_db.customers (id, name, email) VALUES (9, 'x', 'y')",
    "sealed with another key": None,
}


@pytest.mark.parametrize("change", CHANGES)
def test_tables_that_differ_are_not_taken_for_equal(twin, change):
    at = {"created_at": "2024-05-06 07:08:09.123456", "updated_at": "2024-05-06 07:08:09.5"}
    for key in range(1, 6):
        for side in ("left", "right"):
            twin.insert(side, key, **at)
    assert compare(twin) == (0, '{"rows": 5, "different": 0}\n')
    if CHANGES[change]:
        twin.sql("right", CHANGES[change])
    else:
        twin.cipher.key = bytes(32)
    code, out = compare(twin)
    assert code == 1 and f"{5 if CHANGES[change] is None else 1} of " in out, out
