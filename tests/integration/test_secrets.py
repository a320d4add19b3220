"""No e-mail, key, password or encrypted value in any line of any log, at any level.

Every test's log is searched for them when it ends (conftest.py); this one takes
the ways on which texts of the server or of a row could come into an error.
"""

import json
import secrets

import pytest

from support.servers import wait_until
from support.tables import Cipher
from support.twin import SIDES, email_of, find_secrets, key_texts


@pytest.mark.kinds
@pytest.mark.parametrize("log_format", ("text", "json"))
def test_errors_and_conflicts_tell_no_value(twin, log_format):
    twin.daemon.log_format = log_format
    twin.start()
    for key in range(1, 5):
        twin.insert(SIDES[key % 2], key)
    twin.settle()
    twin.update("left", 1, name="to be seen")
    twin.update("right", 1, email="to be seen")  # a conflict, perhaps
    twin.daemon.stop()
    for side in SIDES:
        twin.update(side, 2, name=f"conflict {side}")
    twin.daemon.start()
    twin.settle()

    # The server's own words name the value: Duplicate entry '...' for key 'email'.
    twin.insert("right", 20, email="taken")
    twin.wait_equal()
    twin.insert("left", 21, email="taken")
    twin.insert("left", 22)
    wait_until("the row behind it arrives", lambda: twin.row("right", 22))
    # A value that no key opens, one that is no base64, and one that does not fit.
    stranger = Cipher().seal(email_of("stranger"))
    for key, text in ((23, stranger), (24, "zyzzyva-is-not-base64!"), (25, twin.seal("x" * 290 + email_of("long")))):
        twin.sql("left", "INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (%s, 'Q Quixotry', %s)",
                 [key, text])
    twin.insert("left", 26)
    wait_until("the row behind them arrives", lambda: twin.row("right", 26))
    for key in (23, 24, 25):
        assert twin.row("right", key) is None

    for server in twin.servers.values():
        server.kill()
        server.start()
    twin.daemon.wait_ready()
    twin.daemon.command("status")
    twin.daemon.command("status", "--json")
    twin.daemon.command("check")
    twin.daemon.command("init", "--print")
    said = [twin.daemon.http(path)[1] for path in ("/sync/status", "/metrics", "/readyz")]
    kept = [repr(s.rows("SELECT * FROM twinlog.quarantine")) for s in twin.servers.values()]

    for key in (21, 23, 24, 25):
        twin.delete("left", key)
    twin.settle()
    twin.daemon.stop()

    log = twin.daemon.log()
    assert len(log) > 1000
    if log_format == "json":
        lines = [line for line in log.splitlines() if line.startswith("{")]
        assert len(lines) > 10
        lines = [json.loads(line) for line in lines if not line == "{"]
    forbidden = twin.secrets() | {stranger, "zyzzyva-is-not-base64"}
    for text in [log, *said, *kept]:
        found = find_secrets(text, forbidden)
        assert not found, found[:3]


def test_the_search_finds_what_it_looks_for():
    key = secrets.token_bytes(32)
    for text in key_texts(key) - {key.decode("latin-1"), key.decode("utf-8", "replace")}:
        assert find_secrets(f"one\ntwo {text} three\n", key_texts(key))
    assert find_secrets('{"m": "ada\\u0040zyzzyva.example"}', {"@zyzzyva.example"})
    assert not find_secrets("nothing here", key_texts(key) | {"@zyzzyva.example"})
