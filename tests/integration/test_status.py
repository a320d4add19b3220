"""Status, readiness, metrics and signals tell the truth."""

import json
import os
import re
import signal
import threading
import time

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.tables import Cipher
from support.twin import PEER, SIDES, TO

NAMES = {"left": "auth", "right": "customer"}


def metric(text, name, **labels):
    for line in text.splitlines():
        match = re.match(r"(\w+)(?:\{(.*)\})? (\S+)$", line)
        if match and match.group(1) == name:
            has = dict(re.findall(r'(\w+)="([^"]*)"', match.group(2) or ""))
            if labels.items() <= has.items():
                return float(match.group(3))
    return None


@pytest.mark.kinds
def test_status_shows_position_lag_and_counters_of_each_direction(running):
    running.insert("left", 1)
    running.insert("left", 2)
    running.insert("right", 3)
    running.wait_equal()  # or an insert and an update of one row might be written as one
    running.update("left", 1, name="x")
    running.settle()

    def counted():
        counters = running.daemon.counters("left_to_right")
        return counters["inserts"] == 2 and counters["updates"] == 1 or Why(counters)

    wait_until("the counters have it", counted, 5)
    status = running.daemon.status()
    assert status["state"] == "ready"
    for side in SIDES:
        server = status["servers"][NAMES[side]]
        kind = running.servers[side].kind
        assert server["kind"] == kind.family and server["version"].startswith(kind.version + "."), server
        assert server["state"] == "streaming" and server["reason"] is None
        file, offset = running.servers[side].log_end()
        assert server["position"] == f"{file}:{offset}"
        assert server["gtid"] == running.servers[side].gtid().split(" ")[0]  # MySQL's helper says the place too
        direction = status["links"]["users"]["directions"][TO[side]]
        assert (direction["from"], direction["to"]) == (NAMES[side], NAMES[PEER[side]])
        assert direction["state"] == "streaming" and direction["connected"]
        assert direction["lag_seconds"] == 0 and direction["lag_bytes"] == 0
        assert direction["queue"] == {"transactions": 0, "bytes": 0}
        assert direction["last_applied_at"] is not None
    assert running.daemon.counters("right_to_left")["inserts"] == 1

    code, text = running.daemon.http("/metrics")
    assert code == 200
    assert metric(text, "twinlog_changes_applied_total", direction="left_to_right", op="insert") == 2
    assert metric(text, "twinlog_lag_seconds", direction="right_to_left") == 0
    for name in NAMES.values():
        assert metric(text, "twinlog_reader_up", server=name) == 1
    assert metric(text, "twinlog_binlog_events_read_total", server="auth") > 0


def test_lag_is_seen_while_the_peer_holds_a_lock(running):
    running.insert("left", 1)
    running.settle()
    with running.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SELECT * FROM customer_db.customers WHERE id = 1 FOR UPDATE")
        running.update("left", 1, name="waits")

        def lags():
            direction = running.daemon.direction("left_to_right")
            return direction["lag_seconds"] and direction["lag_seconds"] > 0.5 or Why(direction)

        wait_until("lag grows", lags, 10)
        c.rollback()
    running.settle()
    wait_until("lag is gone", lambda: running.daemon.direction("left_to_right")["lag_seconds"] == 0, 5)


def fill(server, rows):
    """Foreign transactions: about 1 KB of the log a row."""
    server.sql("CREATE TABLE IF NOT EXISTS auth_db.filler (id INT PRIMARY KEY AUTO_INCREMENT, text TEXT)")
    for _ in range(rows // 100):
        server.sql("INSERT INTO auth_db.filler (text) VALUES " + ", ".join(["(REPEAT('x', 1000))"] * 100))


def says_caught_up(daemon, direction):
    """Does any of the documents say that nothing is left to do? One of them that is not there says nothing."""
    code, text = daemon.http("/sync/status")
    lags = [json.loads(text)["links"]["users"]["directions"][direction][name]
            for name in ("lag_seconds", "lag_bytes")] if code == 200 else []
    code, text = daemon.http("/metrics")
    if code == 200:
        lags.append(metric(text, "twinlog_lag_seconds", direction=direction))
    return 0 in lags or Why(str(lags))


@pytest.mark.kinds
@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_backlog_behind_a_start_is_a_lag_until_its_last_row_is_there(running, end):
    """Nothing is in the queue while the reader passes over the log to learn whether the table was altered."""
    running.insert("left", 1)
    running.settle()
    getattr(running.daemon, end)()
    running.insert("left", 2)
    fill(running.servers["left"], 40000)
    running.insert("left", 3)
    running.daemon.start(ready=False)
    wait_until("the daemon says that it has caught up", lambda: says_caught_up(running.daemon, "left_to_right"), 30 * SLOW)
    assert running.row("right", 3) is not None
    running.settle()


def test_an_idle_direction_beside_busy_tables_has_no_lag(running):
    running.insert("left", 1)
    running.settle()
    busy = threading.Thread(target=fill, args=(running.servers["left"], 40000))
    busy.start()
    samples = []
    while busy.is_alive():
        direction = running.daemon.direction("left_to_right")
        samples.append((direction["lag_seconds"], direction["lag_bytes"]))
        assert running.daemon.is_ready()
    busy.join()
    assert len(samples) > 10
    assert all(seconds is not None for seconds, _ in samples), "it is known"
    assert samples.count((0, 0)) > len(samples) / 2, "but for moments in which the reader gets no turn"


@pytest.mark.parametrize("side", SIDES)
def test_a_stopped_server_shows_within_5_s_and_comes_back_by_itself(running, side):
    running.insert("left", 1)
    running.settle()
    running.servers[side].stop()

    def shows():
        code, text = running.daemon.http("/readyz")
        return code == 503 and NAMES[side] in text or Why(f"{code} {text}")

    wait_until("readyz says which server is gone", shows, 5)
    assert running.daemon.http("/healthz")[0] == 200
    status = running.daemon.status()
    assert status["state"] == "not_ready"
    server = status["servers"][NAMES[side]]
    assert server["state"] != "streaming" and server["reason"]
    assert status["servers"][NAMES[PEER[side]]]["state"] == "streaming"
    assert status["links"]["users"]["directions"][TO[side]]["lag_seconds"] is None, "nobody can know it"
    wait_until("metrics say so", lambda: metric(running.daemon.http("/metrics")[1], "twinlog_reader_up",
                                                server=NAMES[side]) == 0, 5)
    code, text = running.daemon.command("status")
    assert NAMES[side] in text

    running.servers[side].start()
    running.daemon.wait_ready()
    running.insert(side, 2)
    running.insert(PEER[side], 3)
    running.settle()
    reconnects = running.daemon.status()["servers"][NAMES[side]]["reconnects"]
    assert reconnects >= 1


@pytest.mark.kinds
def test_a_killed_connection_is_made_again(running):
    running.insert("left", 1)
    running.settle()
    for round_number in range(2):
        for side in SIDES:
            for (connection,) in running.servers[side].rows(
                    "SELECT id FROM information_schema.processlist WHERE user = 'twinlog'"):
                try:
                    running.sql(side, f"KILL {connection}")
                except Exception as e:  # it may have ended by itself
                    assert e.args[0] == 1094, e
        for side in SIDES:
            running.update(side, 1, name=f"after kill {round_number}")
        running.wait_equal()
    running.settle()


def test_the_status_command(running):
    running.insert("left", 1)
    running.settle()
    code, text = running.daemon.command("status")
    assert code == 0
    for word in ("auth", "customer", "users", "streaming"):
        assert word in text, text
    code, text = running.daemon.command("status", "--json")
    assert code == 0
    assert json.loads(text)["links"]["users"]["directions"]["left_to_right"]["state"] == "streaming"
    running.daemon.stop()
    code, text = running.daemon.command("status")
    assert code == 1 and len(text.strip().splitlines()) <= 2, text


def test_routes_answer_as_they_should(running):
    for path, method, expected in (("/healthz", "GET", 200), ("/readyz", "GET", 200), ("/metrics", "GET", 200),
                                   ("/sync/status", "GET", 200), ("/nowhere", "GET", 404), ("/", "GET", 404),
                                   ("/sync/status", "POST", 405), ("/healthz", "DELETE", 405)):
        code, text = running.daemon.http(path, method)
        assert code == expected, f"{method} {path}: {code} {text}"
        if code >= 400:
            assert json.loads(text)["error"]


def test_a_token_is_asked_for(twin):
    twin.daemon.env["TWINLOG_TOKEN"] = "token-for-this-test-only"
    twin.daemon.more["http"] = {"token_env": "TWINLOG_TOKEN"}
    twin.daemon.write_config()
    twin.daemon.init()
    twin.daemon.start(ready=False)
    right = {"Authorization": "Bearer token-for-this-test-only"}
    wait_until("it is ready", lambda: twin.daemon.http("/readyz", headers=right)[0] == 200, 20 * SLOW)
    assert twin.daemon.http("/healthz")[0] == 200
    for wrong in ({}, {"Authorization": "Bearer token-for-this-test-onlx"}, {"Authorization": "Bearer "},
                  {"Authorization": "token-for-this-test-only"}):
        for path in ("/sync/status", "/readyz", "/metrics"):
            assert twin.daemon.http(path, headers=wrong)[0] == 401
    code, text = twin.daemon.command("status")
    assert code == 0, text
    assert "token-for-this-test-only" not in twin.daemon.log()
    twin.daemon.stop()


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_it_ends_at_once_when_idle(running, number):
    running.insert("left", 1)
    running.settle()
    began = time.monotonic()
    running.daemon.signal(number)
    assert running.daemon.wait_end(5 * SLOW) == 0
    assert time.monotonic() - began < 5 * SLOW


    def gone(side):
        # A server notices with its next events that a reader of its log is gone.
        running.update(side, 1, name=f"t{time.monotonic_ns()}")
        return not running.servers[side].value(
            "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'twinlog'")

    for side in SIDES:
        wait_until("no connection is left", lambda: gone(side), 5)


def test_a_short_stop_timeout_gives_up_the_batch_in_hand(twin):
    twin.daemon.more["limits"] = {"stop_timeout_s": 1}
    twin.start()
    with twin.change_that_waits_for_a_lock():
        twin.daemon.signal(signal.SIGTERM)
        assert twin.daemon.wait_end(10 * SLOW) == 0, twin.daemon.log_tail()
    twin.daemon.start()
    twin.settle()


def test_it_ends_at_once_under_load_and_while_a_server_is_away(running):
    stop = threading.Event()
    failed = []

    def write(side):
        n = SIDES.index(side)
        with running.servers[side].connect() as c, c.cursor() as cursor:
            while not stop.is_set():
                n += 2
                email = running.email_value(side, f"load{n}@zyzzyva.example")
                try:
                    cursor.execute(f"INSERT INTO {running.link.table(side)} (id, name, {running.email_column(side)}) "
                                   "VALUES (%s, 'load Quixotry', %s)", [n, email])
                except Exception as e:
                    if e.args[0] not in (1205, 1213):
                        failed.append(e)
                        return

    writers = [threading.Thread(target=write, args=[side]) for side in SIDES]
    for writer in writers:
        writer.start()
    try:
        wait_until("it is at work", lambda: running.daemon.counters("left_to_right")["inserts"] > 50, 20 * SLOW)
        running.daemon.stop()
        running.daemon.start()
        running.daemon.stop()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failed, failed
    running.daemon.start()
    running.settle()
    running.servers["right"].stop()
    wait_until("it knows", lambda: running.daemon.http("/readyz")[0] == 503, 5)
    running.daemon.stop()


def test_sighup_rereads_the_log_level(running):
    daemon = running.daemon
    running.insert("left", 1)
    running.settle()

    def lines_told():
        """By a few writes."""
        before = len(daemon.log().splitlines())
        for n in range(5):
            running.update("left", 1, name=f"t{time.monotonic_ns()}")
            running.wait_equal()
        running.wait_quiet(window_s=0.2)
        return len(daemon.log().splitlines()) - before

    assert lines_told() > 0, "nothing is told at level debug"
    daemon.log_level = "error"
    daemon.write_config()
    daemon.signal(signal.SIGHUP)
    wait_until("it is silent", lambda: lines_told() == 0, 10)
    daemon.log_level = "debug"
    daemon.write_config()
    daemon.signal(signal.SIGHUP)
    wait_until("it talks again", lines_told, 10)
    # A config that is wrong changes nothing and is told.
    daemon.write_config("log = { level = ")
    daemon.signal(signal.SIGHUP)
    wait_until("it says what is wrong", lambda: re.search(r"twinlog\.conf:\d+", daemon.log()), 10)
    assert daemon.is_running()
    assert lines_told() > 0
    running.settle()


def test_what_nobody_knows_yet_is_not_told_as_none(running):
    daemon = running.daemon
    running.unlogged_insert("right", 90, "taken@example.com")
    running.insert("left", 1, email="taken@example.com")
    daemon.wait_quarantine("id=1")
    daemon.stop()
    running.servers["right"].stop()
    daemon.start(ready=False)
    wait_until("it waits for the server", lambda: "nothing is started before it answers" in daemon.log(), 10 * SLOW)
    for path in ("/sync/quarantine", "/sync/conflicts", "/sync/conflicts/users.17"):
        code, text = daemon.http(path)
        assert code == 503 and "not known" in json.loads(text)["error"], f"{path}: {code} {text}"
    link = daemon.status()["links"]["users"]
    assert link["quarantined"] is None and link["job"] is None, link
    text = daemon.http("/metrics")[1]
    for name in ("twinlog_quarantined_rows", "twinlog_resync_running", "twinlog_resync_needed"):
        assert metric(text, name) is None, text
    for words in (("quarantine", "list"), ("quarantine", "retry", "--all"), ("conflicts", "list")):
        code, text = daemon.command(*words)
        assert code == 1 and "not known" in text, f"{words}: {code} {text}"
    assert "in quarantine is not known yet" in daemon.command("status")[1]
    running.servers["right"].start()
    daemon.wait_ready()
    daemon.wait_quarantine("id=1")
    text = daemon.http("/metrics")[1]
    assert metric(text, "twinlog_quarantined_rows") == 1
    assert metric(text, "twinlog_resync_running") == metric(text, "twinlog_resync_needed") == 0
    assert daemon.http("/sync/conflicts")[0] == 200
    running.delete("right", 90)
    running.settle()


def test_sighup_before_the_servers_answer_counts_once_they_do(twin):
    old, new = Cipher(), twin.cipher
    daemon = twin.daemon
    daemon.env["ENCRYPTION_KEY"] = old.key.hex()
    daemon.env["NEW_KEY"] = new.key.hex()
    daemon.write_config()
    daemon.init()
    twin.servers["right"].stop()
    daemon.start(ready=False)
    wait_until("it waits for the server", lambda: "nothing is started before it answers" in daemon.log(), 10 * SLOW)
    config = daemon.config()
    config["links"][0]["columns"][2]["cipher"]["key_env"] = "NEW_KEY"
    daemon.write_config(config)
    daemon.signal(signal.SIGHUP)
    wait_until("it says when", lambda: "keys will be once the checks have passed" in daemon.log(), 10 * SLOW)
    twin.servers["right"].start()
    daemon.wait_ready()
    twin.insert("right", 1)
    twin.settle()  # opens what the left holds with the new key


def test_sighup_rereads_the_keys(running):
    """A new key seals what is written from now on; the old one still opens what is there."""
    # The environment of a running process stays as it is, so this key comes from a file.
    daemon = running.daemon
    daemon.stop()
    old = running.cipher
    daemon.write_secret("new.key", old.key.hex() + "\n")
    config = daemon.config()
    cipher = config["links"][0]["columns"][2]["cipher"]
    del cipher["key_env"]
    cipher["key_file"] = os.path.join(daemon.folder, "new.key")
    daemon.write_config(config)
    daemon.start()
    running.insert("right", 1)
    running.settle()

    new = Cipher()
    daemon.write_secret("new.key", new.key.hex() + "\n")
    daemon.write_secret("old.key", old.key.hex() + "\n")
    cipher["previous_key_file"] = [os.path.join(daemon.folder, "old.key")]
    daemon.write_config(config)
    daemon.signal(signal.SIGHUP)

    def sealed_with_the_new_key():
        running.update("right", 1, email=f"key{time.monotonic_ns()}")
        wait_until("the change arrives", lambda: running.servers["left"].value(
            "SELECT sync_version FROM auth_db.client_auth") == running.servers["right"].value(
            "SELECT sync_version FROM customer_db.customers"), 20)
        try:
            new.open(running.servers["left"].value("SELECT email_encrypted FROM auth_db.client_auth"))
            return True
        except Exception as e:
            return Why(repr(e))

    wait_until("the new key is in use", sealed_with_the_new_key, 10)
    running.cipher.key = new.key
    running.settle()
