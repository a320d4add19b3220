"""What is worth waking somebody for reaches a webhook, and a webhook that is in trouble holds up nothing."""

import datetime
import json

import pytest

from support.daemon import SLOW, Stopwatch
from support.receiver import Receiver
from support.servers import Why, free_port, wait_until
from support.twin import find_secrets, name_of

pytestmark = pytest.mark.threads


def tells(twin, receiver, **more):
    twin.daemon.more["notify"] = {"url": receiver if isinstance(receiver, str) else receiver.url, **more}
    return twin


def wait_event(twin, receiver, kind, count=1, timeout_s=15 * SLOW):
    def check():
        found = receiver.events(kind)
        return found if len(found) >= count else Why(f"{receiver.requests}\n{twin.daemon.log_tail()}")

    return wait_until(f"an event: {kind}", check, timeout_s)[count - 1]


def refuse_one(twin, key=10, obstacle=90):
    twin.unlogged_insert("right", obstacle, f"wanted{key}")
    twin.insert("left", key, email=f"wanted{key}")
    twin.daemon.wait_quarantine(f"id={key}")


def test_halted_recovered_and_quarantined_are_told(twin):
    with Receiver() as receiver:
        tells(twin, receiver).start()
        twin.insert("left", 1)
        twin.settle()
        twin.daemon.wait_job()
        refuse_one(twin)
        quarantined = wait_event(twin, receiver, "quarantined")
        assert "id=10" in quarantined["text"] and "1062" in quarantined["text"]
        twin.delete("left", 10)
        twin.daemon.wait_quarantine()

        twin.sql("left", "TRUNCATE TABLE auth_db.client_auth")
        halted = wait_event(twin, receiver, "halted")
        assert "TRUNCATE" in halted["text"] and halted["direction"] == "left_to_right"
        assert twin.daemon.trigger(**{"from": "right"})[0] == 202
        recovered = wait_event(twin, receiver, "recovered")
        assert recovered["direction"] == "left_to_right"
        twin.daemon.wait_job()
        twin.settle()

        for event in receiver.events():
            assert event["link"] == "users" and event["version"] and event["host"] and event["dropped"] == 0
            at = datetime.datetime.fromisoformat(event["at"].replace("Z", "+00:00"))
            assert abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < 60 * SLOW
        assert [event["event"] for event in receiver.events()] == ["quarantined", "halted", "recovered"]
        for _, headers, _ in receiver.requests:
            assert headers["Content-Type"] == "application/json"
        assert not find_secrets(json.dumps(receiver.events()), twin.secrets())
        assert "secret-path" not in twin.daemon.log()


def test_a_gap_is_told_and_that_it_is_closed(twin):
    """Rows that the log does not hold; once for all that are written so while they are compared."""
    with Receiver() as receiver:
        tells(twin, receiver).start()
        twin.insert("left", 1)
        twin.settle()
        twin.daemon.wait_job()
        with twin.servers["left"].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
            cursor.execute("UPDATE auth_db.client_auth SET name = %s, sync_version = 5", [name_of("as text")])
        gap = wait_event(twin, receiver, "gap")
        assert "auth_db.client_auth" in gap["text"] and "binlog_format" in gap["text"]
        assert gap["direction"] == "left_to_right"
        wait_event(twin, receiver, "recovered")
        twin.settle()
        assert [event["event"] for event in receiver.events()] == ["gap", "recovered"]
        assert not find_secrets(json.dumps(receiver.events()), twin.secrets())


def test_only_the_kinds_that_are_wanted_are_told(twin):
    with Receiver() as receiver:
        tells(twin, receiver, events=["halted"]).start()
        refuse_one(twin)
        twin.sql("left", "TRUNCATE TABLE auth_db.client_auth")
        wait_event(twin, receiver, "halted")
        assert twin.daemon.trigger(**{"from": "right"})[0] == 202
        twin.daemon.wait_job()
        twin.daemon.wait_ready()
        twin.sql("left", "TRUNCATE TABLE auth_db.client_auth")
        wait_event(twin, receiver, "halted", count=2)  # what was not wanted would stand before it
        assert {event["event"] for event in receiver.events()} == {"halted"}


def test_it_is_sent_again_until_it_is_taken(twin):
    with Receiver(answers=[500, 500]) as receiver:
        tells(twin, receiver).start()
        refuse_one(twin)
        event = wait_event(twin, receiver, "quarantined")
        assert [status for status, _, _ in receiver.requests] == [500, 500, 200]
        assert all(body["at"] == event["at"] for _, _, body in receiver.requests)
        # A second one arrives once as well: the first is not sent any more.
        twin.sql("left", "TRUNCATE TABLE auth_db.client_auth")
        wait_event(twin, receiver, "halted")
        assert len(receiver.events("quarantined")) == 1


def test_a_receiver_that_is_down_delays_no_change(twin):
    port = free_port()
    tells(twin, f"http://127.0.0.1:{port}/x").start()
    refuse_one(twin)
    wait_until("it says that nobody takes events",
               lambda: f"127.0.0.1:{port} does not take events" in twin.daemon.log(), 10 * SLOW)
    watch = Stopwatch()
    for n in range(5):
        twin.insert("left", 20 + n)
        wait_until("it arrives", lambda key=20 + n: twin.names(key)[1] == f"n{key}", 2 * SLOW)
    assert watch.s() < 2 * SLOW
    with Receiver(port=port) as receiver:
        wait_event(twin, receiver, "quarantined", timeout_s=30 * SLOW)
    twin.daemon.stop()  # in time, though there is no receiver again


def test_a_token_goes_with_it(twin):
    twin.daemon.env["TWINLOG_NOTIFY_TOKEN"] = "notify-token-for-this-test"
    with Receiver() as receiver:
        tells(twin, receiver, token_env="TWINLOG_NOTIFY_TOKEN").start()
        refuse_one(twin)
        wait_event(twin, receiver, "quarantined")
        assert receiver.requests[0][1]["Authorization"] == "Bearer notify-token-for-this-test"
        assert "notify-token" not in twin.daemon.log()
