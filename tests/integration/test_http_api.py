"""The HTTP interface of the real daemon: what it takes, what it refuses and how it says so, and that nobody can
keep others from it."""

import contextlib
import json
import selectors
import socket
import time

import pytest

from support.daemon import SLOW
from support.prometheus import FormatError, parse
from support.servers import Why, free_port, wait_until
from support.twin import PEER, SIDES

pytestmark = pytest.mark.threads

NAMES = {"left": "auth", "right": "customer"}


# ---- What is refused ----

WRONG = [
    # method, path, status, words of the error: what is wrong, what would be right
    ("POST", "/sync/trigger?link=nobody", 400, ["nobody", "users"]),
    ("POST", "/sync/trigger?from=nowhere", 400, ["nowhere", "left", "right", "auth", "customer"]),
    ("POST", "/sync/trigger?mode=force", 400, ["mode=force", "from"]),
    ("POST", "/sync/trigger?missing=delete", 400, ["missing=delete", "from"]),
    ("POST", "/sync/trigger?mode=both", 400, ["both", "merge", "force"]),
    ("POST", "/sync/trigger?missing=keep", 400, ["keep", "copy", "delete"]),
    ("POST", "/sync/trigger?form=left", 400, ["form", "link", "from", "mode", "missing"]),
    ("POST", "/sync/trigger?from=left&from=right", 400, ["from", "twice"]),
    ("POST", "/sync/trigger?from=", 400, ["from"]),
    ("POST", "/sync/trigger?from=%zz", 400, []),
    ("GET", "/sync/quarantine?link=nobody", 400, ["link"]),
    ("GET", "/sync/quarantine?limit=many", 400, ["limit", "1000"]),
    ("GET", "/sync/conflicts?limit=1001", 400, ["limit", "1000"]),
    ("GET", "/sync/conflicts?offset=7", 400, ["offset", "limit"]),
    ("GET", "/sync/jobs/1?x=1", 400, ["x"]),
    ("GET", "/sync/jobs/1", 404, ["job"]),
    ("GET", "/sync/jobs/first", 404, ["job"]),
    ("GET", "/sync/jobs/", 404, []),
    ("GET", "/sync/nothing", 404, []),
    ("GET", "/sync/status/", 404, []),
    ("POST", "/nowhere", 404, []),
    ("GET", "/sync/trigger", 405, ["POST"]),
    ("HEAD", "/sync/trigger", 405, []),
    ("POST", "/sync/status", 405, ["GET"]),
    ("PUT", "/sync/quarantine", 405, ["GET"]),
    ("DELETE", "/sync/conflicts", 405, ["GET"]),
    ("GET", "/sync/quarantine/retry", 405, ["POST"]),
]


def test_what_is_wrong_is_refused_and_explained(running):
    running.insert("left", 1)
    running.settle()
    running.daemon.wait_job()
    before = running.daemon.job()
    marks = running.marks()
    for method, path, status, words in WRONG:
        answer = running.daemon.request(path, method)
        assert answer.status == status, f"{method} {path}: {answer}"
        assert answer.headers["Content-Type"] == "application/json"
        if method != "HEAD":
            assert all(word in answer.error() for word in words), f"{method} {path}: {answer.error()}"
        if status == 405:
            assert set(answer.headers["Allow"].split(", ")) == ({"POST"} if "trigger" in path or "retry" in path
                                                                else {"GET", "HEAD"})
    assert running.daemon.job() == before, "none of them began anything"
    assert running.writes_since(marks) == (0, 0)


def test_a_big_body_is_refused(running):
    for body in ("x" * (64 * 1024 + 1), "x" * 2_000_000):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # A client that minds no answer before it has sent all of it may be cut off; this one may not.
            answer = running.daemon.request("/sync/trigger", "POST", body=body)
            assert answer.status == 413 and answer.error()
    assert running.daemon.request("/sync/trigger", "POST", body="x" * (64 * 1024 + 1)).status == 413
    assert running.daemon.request("/sync/trigger", "POST", body="x" * 1000).status == 202


def test_parameters_may_come_as_a_form(running):
    running.daemon.wait_job()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = running.daemon.request("/sync/trigger", "POST", body="from=left&mode=force", headers=form)
    assert answer.status == 202, answer
    job = running.daemon.document(f"/sync/jobs/{answer.json()['job']}")
    assert (job["from"], job["mode"]) == ("left", "force")
    assert running.daemon.request("/sync/trigger", "POST", body="form=left", headers=form).status == 400


def test_head_is_get_without_the_body(running):
    for path in ("/healthz", "/readyz", "/metrics", "/sync/status", "/sync/quarantine", "/sync/conflicts"):
        head = running.daemon.request(path, "HEAD")
        get = running.daemon.request(path)
        assert head.status == get.status == 200 and head.text == "" and get.text
        assert head.headers["Content-Type"] == get.headers["Content-Type"]
        assert int(head.headers["Content-Length"]) > 0


def test_a_wrong_token_opens_nothing_but_healthz(twin):
    twin.daemon.env["TWINLOG_TOKEN"] = "token-for-this-test-only"
    twin.daemon.more["http"] = {"token_env": "TWINLOG_TOKEN"}
    twin.daemon.write_config()
    twin.daemon.init()
    twin.daemon.start(ready=False)
    right = {"Authorization": "Bearer token-for-this-test-only"}
    wait_until("it is ready", lambda: twin.daemon.http("/readyz", headers=right)[0] == 200, 20 * SLOW)
    for wrong in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic token-for-this-test-only"}):
        for method, path in (("POST", "/sync/trigger"), ("GET", "/sync/jobs/1"), ("GET", "/sync/quarantine"),
                             ("POST", "/sync/quarantine/retry?all=true"), ("GET", "/sync/conflicts"),
                             ("GET", "/metrics"), ("GET", "/no/such/route"), ("DELETE", "/sync/status")):
            answer = twin.daemon.request(path, method, headers=wrong)
            assert answer.status == 401 and answer.error() and "token-for" not in answer.text, f"{method} {path}"
            assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert twin.daemon.request("/healthz", headers=wrong).status == 200
    assert twin.daemon.request("/sync/trigger", "POST", headers=right).status == 202


@pytest.mark.parametrize("key", ["http.listen", "servers.auth.listen"])
def test_an_address_that_others_reach_needs_a_token(twin, key):
    twin.daemon.write_config()
    config = twin.daemon.config()
    section = config["http"] if key == "http.listen" else config["servers"]["auth"]
    section["listen"] = f"0.0.0.0:{free_port()}"
    twin.daemon.write_config(config)
    code, text = twin.daemon.command("run", timeout_s=20)
    assert code == 2, text
    assert any(key in line and "token" in line for line in text.splitlines()), text


# ---- Jobs ----

@contextlib.contextmanager
def held_up(twin, key=1):
    """A resync cannot end: the row that it has to write is locked."""
    twin.unlogged("right", f"UPDATE customer_db.customers SET name = 'differs', sync_version = 99 WHERE id = {key}")
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SELECT * FROM auth_db.client_auth WHERE id = %s FOR UPDATE", [key])
        yield
        c.rollback()


def test_a_second_trigger_names_the_job_that_runs(running):
    for key in range(1, 20):
        running.insert("left", key)
    running.wait_equal()
    first_start = running.daemon.wait_job()["job"]
    with held_up(running):
        code, answer = running.daemon.trigger()
        assert code == 202 and "already_running" not in answer
        job = answer["job"]
        assert job > first_start
        assert answer["jobs"] == [{"job": job, "link": "users", "already_running": False}]
        for query in ({}, {"from": "right"}, {"link": "users", "mode": "force", "from": "left"}):
            code, answer = running.daemon.trigger(**query)
            assert code == 202 and answer["job"] == job and answer["already_running"] is True, answer
            assert answer["jobs"] == [{"job": job, "link": "users", "already_running": True}]
        document = running.daemon.document(f"/sync/jobs/{job}")
        assert document["state"] == "running" and document["ended_at"] is None and document["percent"] < 100
        assert (document["from"], document["mode"], document["missing"]) == (None, "merge", "copy")
        assert parse(running.daemon.http("/metrics")[1])["twinlog_resync_running"].value(link="users") == 1
    running.daemon.wait_job()
    running.settle()
    document = running.daemon.document(f"/sync/jobs/{job}")
    assert document["state"] == "done" and document["percent"] == 100 and document["ended_at"]
    assert document["rows_scanned"] == 19 and document["rows_written"] == 1 and document["conflicts"] == 1
    assert running.daemon.document(f"/sync/jobs/{first_start}")["cause"] == "first_start"
    code, answer = running.daemon.trigger()
    assert answer["job"] > job


def test_a_job_goes_on_after_a_restart_under_its_number(running):
    for key in range(1, 20):
        running.insert("left", key)
    running.wait_equal()
    running.daemon.wait_job()
    with held_up(running):
        job = running.daemon.trigger(**{"from": "right", "mode": "force"})[1]["job"]
        wait_until("it is stored", lambda: running.servers["left"].value("SELECT job FROM twinlog.resync") == job, 5)
        running.daemon.kill()
        running.daemon.start()
        wait_until("it is taken up", lambda: running.daemon.http(f"/sync/jobs/{job}")[0] == 200, 5 * SLOW)
        document = running.daemon.document(f"/sync/jobs/{job}")
        assert document["state"] == "running" and (document["from"], document["mode"]) == ("right", "force")
    running.daemon.wait_job()
    assert running.daemon.document(f"/sync/jobs/{job}")["state"] == "done"
    running.settle()
    assert running.row("left", 1)["name"] == "differs"


def test_a_trigger_before_the_servers_are_there_is_told_to_come_again(twin):
    twin.daemon.write_config()
    twin.daemon.init()
    twin.servers["right"].stop()
    twin.daemon.start(ready=False)
    wait_until("it answers", lambda: twin.daemon.http("/healthz")[0] == 200, 10 * SLOW)
    code, answer = twin.daemon.trigger()
    assert code == 503 and answer["error"], answer
    assert twin.daemon.trigger(link="nobody")[0] == 400
    assert twin.daemon.http("/sync/quarantine")[0] in (200, 503)
    twin.servers["right"].start()
    twin.daemon.wait_ready()
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()


def test_a_servers_own_address_means_from_this_server(twin):
    twin.insert("left", 1)
    ports = {side: free_port() for side in SIDES}
    twin.daemon.write_config()
    config = twin.daemon.config()
    for side in SIDES:
        config["servers"][NAMES[side]]["listen"] = f"127.0.0.1:{ports[side]}"
    twin.daemon.write_config(config)
    twin.daemon.init()
    twin.daemon.start()
    twin.daemon.wait_job()
    for side in SIDES:
        peer = PEER[side]
        wrong = twin.daemon.request(f"/sync/trigger?from={NAMES[peer]}", "POST", port=ports[side])
        assert wrong.status == 400 and NAMES[side] in wrong.error()
        twin.unlogged(peer, f"UPDATE {twin.link.table(peer)} SET name = 'newer', sync_version = 99 WHERE id = 1")
        answer = twin.daemon.request("/sync/trigger?mode=force", "POST", port=ports[side])
        assert answer.status == 202, answer
        assert twin.daemon.wait_job()["from"] == side
        twin.settle()
        assert twin.names(1) == ("n1", "n1")
        same = twin.daemon.request(f"/sync/trigger?from={NAMES[side]}", "POST", port=ports[side])
        assert same.status == 202
        twin.daemon.wait_job()
        assert twin.daemon.request("/readyz", port=ports[side]).status == 200
        assert twin.daemon.request("/sync/jobs/1", port=ports[side]).status == 404


# ---- Many clients ----

class Crowd:
    """Connections that are idle, and others that send a byte a second of a request without an end. Those that the
    daemon closes are made again."""

    def __init__(self, port, idle, slow):
        self.address = ("127.0.0.1", port)
        self.kinds = [False] * idle + [True] * slow
        self.sockets = [None] * len(self.kinds)
        self.made = 0

    def keep_up(self):
        """What a second brings."""
        for i, slow in enumerate(self.kinds):
            s = self.sockets[i]
            try:
                if s is not None and self._is_closed(s):
                    s.close()
                    s = None
                if s is None:
                    s = socket.create_connection(self.address, timeout=1)
                    s.setblocking(False)
                    self.made += 1
                    if slow:
                        s.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
                elif slow:
                    s.send(b"x")
            except OSError:
                if s is not None:
                    s.close()
                s = None
            self.sockets[i] = s

    @staticmethod
    def _is_closed(s):
        try:
            return s.recv(1000) == b""
        except BlockingIOError:
            return False

    def connected(self):
        return sum(s is not None for s in self.sockets)

    def close(self):
        for s in self.sockets:
            if s is not None:
                s.close()


@pytest.mark.slow
def test_slow_clients_keep_nobody_out(running):
    crowd = Crowd(running.daemon.port, idle=200, slow=200)
    longest, asked = 0, 0
    try:
        wait_until("all of them are connected", lambda: crowd.keep_up() or crowd.connected() == 400, 20 * SLOW)
        until, next_second = time.monotonic() + 15, time.monotonic() + 1
        while time.monotonic() < until:
            began = time.monotonic()
            assert running.daemon.request("/healthz", timeout_s=5 * SLOW).status == 200
            longest = max(longest, time.monotonic() - began)
            asked += 1
            if time.monotonic() >= next_second:
                crowd.keep_up()
                next_second += 1
            with selectors.DefaultSelector() as nothing:  # a breath
                nothing.select(0.02)
        assert running.daemon.is_ready()
    finally:
        crowd.close()
    assert asked > 20
    assert longest < 1 * SLOW, f"{longest:.3f} s"
    running.insert("left", 1)
    running.settle()


# ---- Readiness ----

@pytest.mark.parametrize("trouble", ["kill", "freeze"])
@pytest.mark.parametrize("side", SIDES)
def test_readyz_shows_a_server_that_is_gone_within_5_s(running, side, trouble):
    server = running.servers[side]
    getattr(server, trouble)()

    def shows():
        answer = running.daemon.request("/readyz")
        return answer.status == 503 and NAMES[side] in answer.text or Why(answer)

    wait_until("readyz says which server is gone", shows, 5 * SLOW)
    assert running.daemon.request("/healthz").status == 200
    assert parse(running.daemon.http("/metrics")[1])["twinlog_reader_up"].value(server=NAMES[side]) == 0
    if trouble == "kill":
        server.start()
    else:
        server.thaw()
    running.daemon.wait_ready()
    running.insert(side, 1)
    running.settle()


# ---- Metrics ----

# As the contract has them: name, type, label names.
METRICS = {
    "twinlog_changes_applied_total": ("counter", {"link", "direction", "op"}),
    "twinlog_conflicts_total": ("counter", {"link", "direction", "reason"}),
    "twinlog_echoes_skipped_total": ("counter", {"link", "server"}),
    "twinlog_lag_seconds": ("gauge", {"link", "direction"}),
    "twinlog_queue_bytes": ("gauge", {"link", "direction"}),
    "twinlog_apply_seconds": ("histogram", {"link", "direction", "le"}),
    "twinlog_binlog_bytes_read_total": ("counter", {"server"}),
    "twinlog_binlog_events_read_total": ("counter", {"server"}),
    "twinlog_reconnects_total": ("counter", {"server"}),
    "twinlog_quarantined_rows": ("gauge", {"link"}),
    "twinlog_resync_rows_scanned_total": ("counter", {"link"}),
    "twinlog_resync_rows_written_total": ("counter", {"link"}),
    "twinlog_reader_up": ("gauge", {"server"}),
    "twinlog_applier_up": ("gauge", {"link", "direction"}),
    "twinlog_last_applied_timestamp_seconds": ("gauge", {"link", "direction"}),
    "twinlog_build_info": ("gauge", {"version"}),
}
LABELS = {"server", "link", "direction", "op", "reason", "le", "version"}


def test_metrics_tell_what_happened(running):
    for key in range(1, 6):
        running.insert("left", key)
    running.wait_equal()
    running.insert("right", 6)
    running.update("left", 1, name="x")
    running.delete("left", 2)
    running.settle()
    running.unlogged("right", "UPDATE customer_db.customers SET name = 'drifted', sync_version = 9 WHERE id = 3")
    running.daemon.wait_job()
    assert running.daemon.trigger()[0] == 202
    running.daemon.wait_job()
    # Two conflicts: the locks make both directions meet the row as the other side left it.
    running.daemon.stop()
    running.update("left", 4, name="l", sync_version=7, raise_version=False)
    running.update("right", 4, name="r", sync_version=8, raise_version=False)
    running.daemon.start()
    running.unlogged_insert("right", 90, "wanted")
    running.insert("left", 10, email="wanted")
    running.daemon.wait_quarantine("id=10")
    assert running.daemon.trigger()[0] == 202
    running.daemon.wait_job()

    def metrics():
        answer = running.daemon.request("/metrics")
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return parse(answer.text)

    found = metrics()
    assert found["twinlog_quarantined_rows"].value() == 1
    assert not set(METRICS) - set(found)
    for name, (kind, labels) in METRICS.items():
        assert (found[name].type, found[name].label_names()) == (kind, labels), found[name]
    assert all(metric.label_names() <= LABELS and name.startswith("twinlog_") for name, metric in found.items())
    conflicts = found["twinlog_conflicts_total"]
    reasons = {dict(labels)["reason"] for _, labels in conflicts.samples}
    assert {"version", "updated_at", "authority", "delete_vs_update"} <= reasons
    assert sum(v for (_, labels), v in conflicts.samples.items() if ("reason", "version") in labels) == 1
    assert found["twinlog_resync_rows_scanned_total"].value(link="users") >= 6
    assert found["twinlog_apply_seconds"].value("_count", direction="left_to_right") >= 1
    assert found["twinlog_echoes_skipped_total"].value(server="auth") >= 1
    age = time.time() - found["twinlog_last_applied_timestamp_seconds"].value(direction="right_to_left")
    assert 0 <= age < 60 * SLOW
    assert found["twinlog_build_info"].value() == 1
    later = metrics()
    for name, metric in found.items():
        if metric.type == "counter":
            assert all(later[name].samples[key] >= value for key, value in metric.samples.items()), name


@pytest.mark.parametrize("text", [
    "twinlog_x 1\n",
    "# TYPE twinlog_x gauge\ntwinlog_x 1\n",
    "# HELP twinlog_x text\ntwinlog_x 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x 1",
    "# HELP twinlog_x text\n# TYPE twinlog_x counter\ntwinlog_x 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x 1\ntwinlog_x 2\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x{a=\"1\",} 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x{a=\"1\" b=\"2\"} 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x{a=\"\\x\"} 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x gauge\ntwinlog_x{a=\"1\"} nil\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x histogram\ntwinlog_x_bucket{le=\"1\"} 2\ntwinlog_x_bucket{le=\"+Inf\"} 1\n"
    "twinlog_x_sum 1\ntwinlog_x_count 1\n",
    "# HELP twinlog_x text\n# TYPE twinlog_x histogram\ntwinlog_x_bucket{le=\"+Inf\"} 1\ntwinlog_x_sum 1\n"
    "twinlog_x_count 2\n",
])
def test_the_reader_of_metrics_is_strict(text):
    with pytest.raises(FormatError):
        parse(text)


def test_status_is_json_whatever_happens(running):
    """Every answer but metrics is JSON, errors too."""
    for path in ("/healthz", "/readyz", "/sync/status", "/sync/quarantine", "/sync/conflicts", "/x", "/sync/jobs/0"):
        answer = running.daemon.request(path)
        assert answer.headers["Content-Type"] == "application/json"
        assert isinstance(json.loads(answer.text), dict)
