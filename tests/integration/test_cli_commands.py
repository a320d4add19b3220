"""The commands that ask the daemon: what they print, in words and as JSON, and how they end."""

import json
import re

import pytest

from support.daemon import SLOW
from support.servers import wait_until
from support.twin import find_secrets

pytestmark = pytest.mark.threads

USAGE = [
    # words, what the one line must name
    (["trigger", "--from"], ["--from"]),
    (["trigger", "--mode", "both"], ["both", "merge", "force"]),
    (["trigger", "--missing", "keep"], ["keep", "copy", "delete"]),
    (["trigger", "--mode", "force"], ["--mode force", "--from"]),
    (["trigger", "--missing", "delete"], ["--missing delete", "--from"]),
    (["trigger", "--form", "left"], ["--form"]),
    (["trigger", "now"], ["now"]),
    (["trigger", "--json"], ["--json"]),
    (["quarantine"], ["list", "retry"]),
    (["quarantine", "lsit"], ["lsit"]),
    (["quarantine", "retry"], ["KEY", "--all"]),
    (["quarantine", "retry", "1", "--all"], ["--all"]),
    (["quarantine", "list", "1"], ["1"]),
    (["conflicts"], ["list", "show"]),
    (["conflicts", "show"], ["ID"]),
    (["conflicts", "list", "--all"], ["--all"]),
    (["conflicts", "show", "1", "2"], ["2"]),
]


def one_line(text, *words):
    lines = text.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("twinlog: "), text
    assert all(word in lines[0] for word in words), f"{words}: {text}"


def test_wrong_usage_is_one_line_and_exit_2(twin):
    twin.daemon.write_config()
    for words, named in USAGE:
        code, text = twin.daemon.command(*words)
        assert code == 2, f"{words}: {code} {text}"
        one_line(text, *named)


ASKING = [["status"], ["trigger"], ["trigger", "--wait"], ["quarantine", "list"], ["quarantine", "retry", "1"],
          ["quarantine", "retry", "--all"], ["conflicts", "list"], ["conflicts", "show", "1"]]


def test_without_a_daemon_they_fail_in_one_line(twin):
    twin.daemon.write_config()
    for words in ASKING:
        code, text = twin.daemon.command(*words)
        assert code == 1, f"{words}: {code} {text}"
        one_line(text, str(twin.daemon.port))


def test_a_wrong_token_fails_in_one_line(twin):
    twin.daemon.env["TWINLOG_TOKEN"] = "token-for-this-test-only\n"  # one line end is no part of it
    twin.daemon.more["http"] = {"token_env": "TWINLOG_TOKEN"}
    twin.daemon.write_config()
    twin.daemon.init()
    twin.daemon.start(ready=False)
    right = {"Authorization": "Bearer token-for-this-test-only"}
    wait_until("it is ready", lambda: twin.daemon.http("/readyz", headers=right)[0] == 200, 20 * SLOW)
    for words in (["status"], ["trigger", "--wait"], ["quarantine", "list"], ["conflicts", "list"]):
        assert twin.daemon.command(*words)[0] == 0, words
    twin.daemon.env["TWINLOG_TOKEN"] = "another-token-than-that"
    for words in ASKING:
        code, text = twin.daemon.command(*words)
        assert code == 1, f"{words}: {code} {text}"
        one_line(text, "token")
    for token in ("token-for-this-test-only", "another-token-than-that"):
        assert token not in twin.daemon.log()


def with_drift(twin):
    for key in range(1, 11):
        twin.insert("left", key)
    twin.wait_equal()
    twin.daemon.wait_job()
    twin.unlogged("right", "UPDATE customer_db.customers SET name = 'drifted', sync_version = 9 WHERE id = 1",
                  "DELETE FROM customer_db.customers WHERE id = 2")
    return twin


def test_trigger_begins_a_resync_and_says_how_to_follow_it(running):
    with_drift(running)
    code, text = running.daemon.command("trigger")
    assert code == 0 and "resync users: job" in text, text
    job = int(re.search(r"job (\d+)", text).group(1))
    assert f"/sync/jobs/{job}" in text
    assert running.daemon.wait_job()["job"] == job
    running.settle()
    assert running.row("left", 1)["name"] == "drifted" and running.names(2) == ("n2", "n2")


def test_trigger_wait_ends_when_the_resync_has_ended(running):
    with_drift(running)
    code, text = running.daemon.command("trigger", "--wait", "--link", "users")
    assert code == 0, text
    job = running.daemon.job()
    assert job["state"] == "done" and str(job["job"]) in text
    last = text.strip().splitlines()[-1]
    assert last.startswith("resync users: done") and "10 rows" in last and "2 written" in last, text
    assert "\r" not in text and "\x1b" not in text, "no terminal"
    running.settle()


def test_trigger_takes_side_mode_and_missing(running):
    with_drift(running)
    code, text = running.daemon.command("trigger", "--wait", "--from", "customer", "--mode", "force", "--missing",
                                        "delete")
    assert code == 0, text
    job = running.daemon.job()
    assert (job["from"], job["mode"], job["missing"]) == ("right", "force", "delete")
    running.settle()
    assert running.row("left", 1)["name"] == "drifted" and running.names(2) == (None, None)
    code, text = running.daemon.command("trigger", "--wait", "--from", "left", "--missing", "copy", "--mode", "merge")
    assert code == 0 and "0 written" in text, text


def test_trigger_for_what_is_not_there(running):
    for words in (["--link", "nobody"], ["--from", "nowhere"]):
        code, text = running.daemon.command("trigger", *words)
        assert code == 2, text
        one_line(text, words[1])
    assert running.daemon.job()["cause"] == "first_start"


def test_trigger_while_one_runs_says_so(running):
    with_drift(running)
    with running.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SELECT * FROM auth_db.client_auth WHERE id = 1 FOR UPDATE")
        job = running.daemon.trigger()[1]["job"]
        code, text = running.daemon.command("trigger")
        assert code == 0 and f"job {job} runs already" in text, text

        waits_for = wait_until("the job says what it waits for", lambda: running.daemon.job()["error"], 10 * SLOW)
        assert "lock" in waits_for
        assert waits_for[:20] in running.daemon.command("status")[1]
        c.rollback()
    running.daemon.wait_job()
    running.settle()


def test_quarantine_and_conflicts_in_words_and_json(running):
    code, text = running.daemon.command("quarantine", "list")
    assert code == 0 and text == "no row waits in quarantine\n"
    code, text = running.daemon.command("quarantine", "retry", "--all")
    assert code == 0 and text == "no row waits in quarantine\n"
    code, text = running.daemon.command("conflicts", "list")
    assert code == 0 and len(text.splitlines()) == 1, text
    with_drift(running)
    running.daemon.command("trigger", "--wait")
    running.unlogged_insert("right", 90, "wanted")
    running.insert("left", 20, email="wanted")
    running.daemon.wait_quarantine("id=20")

    for words, route, name in ((["quarantine", "list"], "/sync/quarantine", "keys"),
                               (["conflicts", "list"], "/sync/conflicts", "conflicts")):
        for more in ([], ["--link", "users"]):
            code, text = running.daemon.command(*words, "--json", *more)
            assert code == 0
            document = json.loads(text)
            assert document["count"] == 1 and len(document[name]) == 1, document
            shown = running.daemon.document(route)[name][0]
            for field in set(shown) - {"next_try", "tries"}:
                assert document[name][0][field] == shown[field]
            code, text = running.daemon.command(*words, *more)
            assert code == 0 and shown["key"] in text and len(text.splitlines()) == 2, text
            assert not find_secrets(text, running.secrets() | {"drifted"})
        code, text = running.daemon.command(*words, "--link", "nobody")
        assert code == 2, text
        one_line(text, "link")
