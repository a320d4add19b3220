"""A row that the other side refuses waits, named and explained, while the others go on; and it waits no longer
than what is in its way."""

import contextlib
import datetime
import json
import re

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.twin import SIDES, email_of, find_secrets

KEY = 10
NAME = f"id={KEY}"
IN_THE_WAY = 90  # the row that has the e-mail on the other side


# ---- What is in the way, and how it goes ----

def take_email(twin):
    twin.unlogged_insert("right", IN_THE_WAY, "wanted")
    twin.insert("left", KEY, email="wanted")


def give_email_back(twin):
    twin.update("right", IN_THE_WAY, email="another")


def too_long(twin):
    twin.insert("left", KEY, email="x" * 300)


def not_to_be_opened(twin):
    twin.sql("left", "INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (%s, 'n', %s)",
             [KEY, "bm90IHNlYWxlZCBieSBhbnkga2V5LCBhbmQgbG9uZyBlbm91Z2g="])


def right_email(twin):
    twin.update("left", KEY, email="right")


def need_a_plan(twin):
    twin.sql("right", "ALTER TABLE customer_db.customers ADD COLUMN plan VARCHAR(9) NOT NULL")
    twin.insert("left", KEY)


def default_plan(twin):
    twin.sql("right", "ALTER TABLE customer_db.customers ALTER COLUMN plan SET DEFAULT 'none'")


# name: (makes it, ends it, error number, words of the reason)
OBSTACLES = {
    "an e-mail that another row has": (take_email, give_email_back, 1062, ["email"]),
    "a value that is too long": (too_long, right_email, 1406, ["email"]),
    "a value that no key opens": (not_to_be_opened, right_email, 0, ["no key opens", "email"]),
    "a column without a default": (need_a_plan, default_plan, 1364, ["plan"]),
}


def said_of(twin, entry):
    """What the interface says of a key, checked: nothing is missing, nothing is told that must not be."""
    assert entry["link"] == "users" and entry["from"] == "left"
    assert re.fullmatch("[0-9a-f]{16}", entry["hash"])
    since, next_try = (datetime.datetime.fromisoformat(entry[name].replace("Z", "+00:00"))
                       for name in ("since", "next_try"))
    now = datetime.datetime.now(datetime.timezone.utc)
    assert since <= now + datetime.timedelta(seconds=1) and next_try >= since
    assert next_try - now < datetime.timedelta(seconds=61)
    assert entry["tries"] >= 1
    assert not find_secrets(json.dumps(entry), twin.secrets())
    return entry["why"]


def with_rows(twin, keys=range(1, 5)):
    """Rows that have nothing to do with it, with values of their own on both sides."""
    for key in keys:
        twin.insert(SIDES[key % 2], key)
    twin.wait_equal()
    for key in keys:
        twin.update("left", key, raise_version=False, password_hash=f"hash{key}")
        twin.wait_equal()
        twin.update("right", key, raise_version=False, stripe_customer_id=f"cus_{key}")
        twin.wait_equal()
    return twin


@contextlib.contextmanager
def nobody_else_touched(twin, *keys):
    """All other rows that were there stay as they are, to the last column."""
    before = {side: twin.table_rows(side, keys) for side in SIDES}
    yield
    for side in SIDES:
        after = twin.table_rows(side, keys)
        assert {key: after.get(key) for key in before[side]} == before[side]


def go_on(twin, *keys):
    """Both directions carry changes of rows that nothing keeps back."""
    for side, key in zip(SIDES, keys):
        twin.update(side, key, name=f"goes on {side}")
    wait_until("both directions go on", lambda: [twin.names(key) for key in keys] == [
        (f"goes on {side}",) * 2 for side in SIDES] or Why(twin.daemon.log_tail()), 10 * SLOW)


def listed(twin):
    """What `quarantine list` prints, once it has the words of the interface: a try in between may change both."""
    code, text = twin.daemon.command("quarantine", "list")
    assert code == 0, text
    why = said_of(twin, twin.daemon.quarantine()[NAME])
    return text if why in text else Why(f"not {why!r}:\n{text}")


@pytest.mark.pairings
@pytest.mark.parametrize("name", OBSTACLES)
def test_a_refused_row_waits_and_the_rest_goes_on(running, name):
    make, end, error, words = OBSTACLES[name]
    with_rows(running)
    make(running)
    entry = running.daemon.wait_quarantine(NAME)[NAME]
    assert running.daemon.status()["links"]["users"]["quarantined"] == 1, "at once"
    assert entry["code"] == error
    why = said_of(running, entry)
    assert all(word in why for word in words), why
    with nobody_else_touched(running, KEY, 3, 4):
        go_on(running, 3, 4)
        text = wait_until("the list says what the interface says", lambda: listed(running), 10 * SLOW)
        assert NAME in text and "users" in text, text
        assert not find_secrets(text, running.secrets())
        assert running.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers WHERE id = %s", [KEY]) == 0
        assert running.daemon.is_ready()
        assert running.daemon.status()["links"]["users"]["quarantined"] == 1
    with nobody_else_touched(running, KEY, IN_THE_WAY):
        end(running)
        running.daemon.wait_quarantine(timeout_s=15 * SLOW)
        assert running.daemon.status()["links"]["users"]["quarantined"] == 0
        running.settle()
    assert running.row("right", KEY) is not None
    code, text = running.daemon.command("quarantine", "list")
    assert code == 0 and NAME not in text


def refused_insert_and_update(twin):
    """Key 10 is only on the left, key 11 on both sides; the right side takes neither as it is on the left."""
    with_rows(twin)
    twin.insert("left", 11)
    twin.wait_equal()
    twin.unlogged_insert("right", 90, "wanted")
    twin.unlogged_insert("right", 91, "wanted too")
    twin.insert("left", 10, email="wanted")
    twin.update("left", 11, email="wanted too")
    twin.daemon.wait_quarantine("id=10", "id=11")


@pytest.mark.parametrize("policy", ["keep", "delete"])
def test_a_refused_row_that_is_deleted_is_deleted_on_both_sides(make_twin, policy):
    twin = make_twin(delete_vs_update=policy).start()
    refused_insert_and_update(twin)
    with nobody_else_touched(twin, 10, 11):
        twin.delete("left", 10)
        twin.delete("left", 11)
        twin.daemon.wait_quarantine()
        twin.wait_quiet()
        assert twin.names(10) == twin.names(11) == (None, None)
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()
    twin.settle()
    assert twin.names(10) == twin.names(11) == (None, None), "came back"
    assert twin.names(90) == ("in the way", "in the way")


@pytest.mark.parametrize("policy", ["keep", "delete"])
def test_a_refused_row_stays_where_it_is_whatever_is_tried(make_twin, policy):
    twin = make_twin(delete_vs_update=policy).start()
    refused_insert_and_update(twin)
    rows = {key: twin.row("left", key) for key in (10, 11)}

    def stays():
        twin.wait_quiet(window_s=0.5)
        assert {key: twin.row("left", key) for key in rows} == rows
        assert twin.row("right", 10) is None and twin.row("right", 11)["mail"] == email_of("m11")
        twin.daemon.wait_quarantine("id=10", "id=11")

    for _ in range(2):
        tried_again(twin, lambda: twin.daemon.http("/sync/quarantine/retry?all=true", "POST"), "id=10", "id=11")
    stays()
    # Should the other side write the row, the rule may decide anew, but not for the refused insert.
    twin.update("right", 91, email="elsewhere")
    twin.daemon.wait_quarantine("id=10")
    twin.daemon.kill()
    twin.daemon.start()
    assert twin.daemon.trigger()[0] == 202
    twin.daemon.wait_job()
    assert twin.row("left", 10) == rows[10] and twin.row("right", 10) is None
    twin.update("right", 90, email="elsewhere too")
    twin.daemon.wait_quarantine()
    twin.settle()
    assert twin.row("right", 10)["mail"] == email_of("wanted")
    assert twin.row("right", 11)["mail"] == email_of("wanted too")


@pytest.mark.pairings
def test_an_unreadable_value_is_never_overwritten(running):
    """The other side's change of the row waits as well: it would take the place of what may be readable one day."""
    with_rows(running)
    value = "bm90IHNlYWxlZCBieSBhbnkga2V5LCBhbmQgbG9uZyBlbm91Z2g="
    running.sql("left", "UPDATE auth_db.client_auth SET email_encrypted = %s WHERE id = 1", [value])
    running.daemon.wait_quarantine("id=1")
    running.update("right", 1, name="newer", email="newer")
    go_on(running, 3, 4)
    running.wait_quiet()
    assert running.daemon.trigger()[0] == 202
    running.daemon.wait_job()
    assert running.servers["left"].value("SELECT email_encrypted FROM auth_db.client_auth WHERE id = 1") == value
    assert running.row("right", 1)["mail"] == email_of("newer")
    running.daemon.wait_quarantine("id=1")
    running.update("left", 1, email="readable")
    running.daemon.wait_quarantine()
    running.settle()


# ---- Trying again ----

def tried_again(twin, ask, *names):
    """Asks, and waits until these keys have been tried once more."""
    before = twin.daemon.quarantine()
    answer = ask()

    def tried():
        now = twin.daemon.quarantine()
        return all(now[name]["tries"] > before[name]["tries"] for name in names) or Why(now)

    wait_until(f"tried again: {names}", tried, 4 * SLOW)
    return answer


def test_retry_takes_a_key_by_its_value_its_name_and_its_hash(running):
    refused_insert_and_update(running)
    entry = running.daemon.quarantine()["id=10"]
    for _ in range(3):  # so that no try is due by itself for 40 s
        tried_again(running, lambda: running.daemon.http("/sync/quarantine/retry?all=true", "POST"), "id=10", "id=11")
    for spelling in ("10", "id=10", entry["hash"], "#" + entry["hash"]):
        others = running.daemon.quarantine()["id=11"]["tries"]
        code, text = tried_again(running, lambda s=spelling: running.daemon.command("quarantine", "retry", s), "id=10")
        assert code == 0 and "1 row is tried again" in text, text
        assert running.daemon.quarantine()["id=11"]["tries"] == others, "that one was not meant"
    code, text = tried_again(running, lambda: running.daemon.command("quarantine", "retry", "--all"), "id=10", "id=11")
    assert code == 0 and "2 rows are tried again" in text, text
    code, text = tried_again(running, lambda: running.daemon.command("quarantine", "retry", "10", "--link", "users"),
                             "id=10")
    assert code == 0, text


def test_many_keys_are_released_soon_when_their_obstacles_go(running):
    """However long they have waited: not by the clock, but because the rows in their way were written."""
    keys = range(1, 26)
    for key in keys:
        running.unlogged_insert("right", 100 + key, f"wanted{key}")
        running.insert("left", key, email=f"wanted{key}")
    names = [f"id={key}" for key in keys]
    running.daemon.wait_quarantine(*names)
    for _ in range(3):  # the next try by itself is 40 s away
        tried_again(running, lambda: running.daemon.http("/sync/quarantine/retry?all=true", "POST"), *names)
    running.sql("right", "UPDATE customer_db.customers SET email = CONCAT('no longer ', email)")
    running.daemon.wait_quarantine(timeout_s=10 * SLOW)
    running.settle()


def test_retry_of_what_does_not_wait(running):
    refused_insert_and_update(running)
    for key in ("1", "id=1", "0123456789abcdef", "nonsense"):
        code, text = running.daemon.command("quarantine", "retry", key)
        assert code == 1 and len(text.strip().splitlines()) == 1 and "no such key" in text, text
        assert running.daemon.http(f"/sync/quarantine/retry?key={key}", "POST")[0] == 404
    for query in ("", "?link=users", "?key=10&all=true", "?all=yes", "?key=10&link=nobody", "?who=10"):
        code, text = running.daemon.http(f"/sync/quarantine/retry{query}", "POST")
        assert code == 400 and json.loads(text)["error"], f"{query}: {code} {text}"
    code, text = running.daemon.command("quarantine", "retry", "10", "--link", "nobody")
    assert code != 0 and "nobody" in text, text


# ---- UNIQUE values that move ----

def exchange_by_parking(twin, cursor, emails):
    """As an application does that minds the UNIQUE index."""
    keys = list(emails)
    update = "UPDATE auth_db.client_auth SET sync_version = sync_version + 1, email_encrypted = %s WHERE id = %s"
    cursor.execute(update, [twin.seal(email_of("parked")), keys[0]])
    for key in keys[1:] + keys[:1]:
        cursor.execute(update, [twin.seal(email_of(emails[key])), key])


def exchange_at_once(twin, cursor, emails):
    """One statement, which only a table without such an index allows."""
    cases = " ".join("WHEN %s THEN %s" for _ in emails)
    values = [value for key, email in emails.items() for value in (key, twin.seal(email_of(email)))]
    cursor.execute(f"UPDATE auth_db.client_auth SET sync_version = sync_version + 1, email_encrypted = "
                   f"CASE id {cases} END WHERE id IN ({', '.join(map(str, emails))})", values)


@pytest.mark.pairings
@pytest.mark.parametrize("exchange", [exchange_by_parking, exchange_at_once])
@pytest.mark.parametrize("keys", [(1, 2), (1, 2, 3, 4)])
def test_rows_that_exchange_their_emails_arrive(running, exchange, keys):
    with_rows(running, range(1, 8))
    with nobody_else_touched(running, *keys), running.servers["left"].connect(autocommit=False) as c:
        with c.cursor() as cursor:
            exchange(running, cursor, {key: f"m{other}" for key, other in zip(keys, keys[1:] + keys[:1])})
        c.commit()
        running.settle()
    assert not running.daemon.quarantine()
    for key, other in zip(keys, keys[1:] + keys[:1]):
        for side in SIDES:
            assert running.row(side, key)["mail"] == email_of(f"m{other}")
        assert running.row("right", key)["stripe_customer_id"] == f"cus_{key}"
        assert running.row("left", key)["password_hash"] == f"hash{key}"


def test_an_email_that_goes_from_a_deleted_row_to_a_new_one_arrives(running):
    with_rows(running)
    with nobody_else_touched(running, 1), running.servers["left"].connect(autocommit=False) as c:
        with c.cursor() as cursor:
            cursor.execute("INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (50, 'n', %s)",
                           [running.seal(email_of("m1"))])
            cursor.execute("DELETE FROM auth_db.client_auth WHERE id = 1")
        c.commit()
        running.settle()
    assert not running.daemon.quarantine()


def in_parts(make_twin):
    """A batch is small, and what a transaction exchanges lies far apart in it."""
    twin = make_twin()
    twin.daemon.more = {"limits": {"batch_rows": 20}}
    return with_rows(twin.start(), range(1, 121))


def write_emails(twin, cursor, emails):
    for key, email in emails:
        cursor.execute("UPDATE auth_db.client_auth SET sync_version = sync_version + 1, email_encrypted = %s WHERE id = %s",
                       [twin.seal(email_of(email)), key])


# In the order of the statements; row 1 and row 120 are more than a batch apart.
FAR_APART = {
    "two rows": [(1, "m120"), *((key, f"own{key}") for key in range(2, 120)), (120, "m1")],
    "a ring of all": [(key, f"m{key % 120 + 1}") for key in range(1, 121)],
    "given up later": [(1, "m120"), *((key, f"own{key}") for key in range(2, 120)), (120, "new")],
}


@pytest.mark.kinds
@pytest.mark.parametrize("name", FAR_APART)
def test_what_a_large_transaction_exchanges_arrives(make_twin, name):
    twin = in_parts(make_twin)
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        write_emails(twin, cursor, FAR_APART[name])
        c.commit()
    twin.settle()
    assert "in quarantine, the rest goes on" not in twin.daemon.log(), twin.daemon.log_tail()
    assert {key: twin.row("right", key)["mail"] for key in range(1, 121)} == {
        key: email_of(email) for key, email in FAR_APART[name]}


def test_rows_in_quarantine_that_hold_each_others_emails_are_tried_together(make_twin):
    """A resync comes to one of them long before the other."""
    twin = make_twin()
    twin.daemon.more = {"limits": {"resync_chunk_rows": 10}}
    with_rows(twin.start(), range(1, 61))
    mails = {1: "m31", 31: "m60", 60: "m1"}
    twin.unlogged("left", *((f"UPDATE auth_db.client_auth SET sync_version = 9, email_encrypted = %s WHERE id = %s",
                             [twin.seal(email_of(mail)), key]) for key, mail in mails.items()))
    assert twin.daemon.trigger()[0] == 202
    assert twin.daemon.wait_job()["quarantined"] > 0
    twin.daemon.wait_quarantine(timeout_s=30 * SLOW)
    twin.settle()
    for key, mail in mails.items():
        assert twin.row("right", key)["mail"] == email_of(mail)


# ---- Whose row it is ----

def conflicts_of(twin, name):
    return [c for c in twin.daemon.document("/sync/conflicts")["conflicts"] if c["key"] == name]


def made_anew(twin, cursor):
    cursor.execute("DELETE FROM auth_db.client_auth WHERE id = %s", [KEY])
    cursor.execute("INSERT INTO auth_db.client_auth (id, name, email_encrypted, sync_version) VALUES (%s, 'anew', %s, 1)",
                   [KEY, twin.seal(email_of("wanted"))])


def made_older(twin, cursor):
    cursor.execute("UPDATE auth_db.client_auth SET name = 'anew', sync_version = 1, email_encrypted = %s WHERE id = %s",
                   [twin.seal(email_of("wanted")), KEY])


@pytest.mark.kinds
@pytest.mark.parametrize("how", [made_anew, made_older])
@pytest.mark.parametrize("waits_already", [False, True])
def test_a_lower_version_of_a_refused_row_is_not_undone(running, how, waits_already):
    """The right writes nothing, so the left has its say, whatever its versions are."""
    with_rows(running)
    running.insert("left", KEY)
    for n in range(3):
        running.update("left", KEY, name=f"version {n}")
    running.wait_equal()
    running.unlogged_insert("right", IN_THE_WAY, "wanted")
    if waits_already:
        running.update("left", KEY, email="wanted")
        running.daemon.wait_quarantine(NAME)
    with running.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        how(running, cursor)
        c.commit()
    left = running.row("left", KEY)
    go_on(running, 3, 4)
    running.daemon.wait_quarantine(NAME)
    assert running.row("left", KEY) == left
    running.update("right", IN_THE_WAY, email="elsewhere")
    running.daemon.wait_quarantine(timeout_s=15 * SLOW)
    running.settle()
    assert running.row("left", KEY) == left
    assert running.row("right", KEY)["name"] == "anew"
    assert not conflicts_of(running, NAME)


def test_what_was_passed_over_is_not_read_again_behind_a_crash(running):
    """It would meet the row that has left the quarantine since, and look like a conflict."""
    with_rows(running)
    running.insert("left", KEY)
    running.wait_equal()
    running.unlogged_insert("right", IN_THE_WAY, "wanted")
    running.update("left", KEY, email="wanted")
    running.daemon.wait_quarantine(NAME)
    write = "UPDATE auth_db.client_auth SET name = %s, sync_version = %s WHERE id = %s"
    running.sql("left", write, ["passed over", 5, KEY])
    running.update("right", IN_THE_WAY, email="elsewhere")
    running.daemon.wait_quarantine(timeout_s=15 * SLOW)
    running.daemon.kill()
    running.sql("left", write, ["the last", 1, KEY])
    running.daemon.start()
    running.settle()
    assert running.names(KEY) == ("the last", "the last")
    assert not conflicts_of(running, NAME)


# ---- Crashes, resyncs, limits ----

@pytest.mark.pairings
def test_it_survives_a_kill(running):
    refused_insert_and_update(running)
    before = running.daemon.quarantine()
    running.daemon.kill()
    running.daemon.start()
    after = running.daemon.wait_quarantine("id=10", "id=11")
    for name, entry in before.items():
        for field in ("link", "hash", "from", "code"):
            assert after[name][field] == entry[field]
        assert obstacle(after[name]) == obstacle(entry) != ""
        assert apart_s(after[name]["since"], entry["since"]) < 1, "since is that of the first refusal"
    running.update("right", 90, email="elsewhere")
    running.update("right", 91, email="elsewhere too")
    running.daemon.wait_quarantine()
    running.settle()
    running.daemon.kill()
    running.daemon.start()
    assert not running.daemon.quarantine()


def obstacle(entry):
    """Why, without what was tried: a stream and a timer tell that in words of their own, and the timer may have been there."""
    return re.sub("^(reconcile: )?write (left|right) rows?: ", "", entry["why"])


def apart_s(a, b):
    moments = [datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (a, b)]
    return abs((moments[0] - moments[1]).total_seconds())


def test_a_first_start_copies_all_but_the_refused_rows(twin):
    for key in range(1, 31):
        twin.insert("left", key)
    for key in (5, 15, 25):
        twin.insert("right", 100 + key, email=f"m{key}")
    twin.start()
    job = twin.daemon.wait_job()
    assert job["cause"] == "first_start" and job["error"] is None
    assert job["quarantined"] == 3 and job["rows_written"] == 30 and job["rows_scanned"] == 33, job
    twin.daemon.wait_quarantine("id=5", "id=15", "id=25")
    missing = [key for key in range(1, 31) if twin.row("right", key) is None]
    assert missing == [5, 15, 25]
    for key in (5, 15, 25):
        twin.update("right", 100 + key, email=f"other{key}")
    twin.daemon.wait_quarantine()
    twin.settle()


def test_more_keys_than_may_wait_halt_the_direction(twin):
    twin.daemon.more["limits"] = {"quarantine_keys": 2}
    twin.start()
    with_rows(twin)
    for key in (90, 91, 92):
        twin.unlogged_insert("right", key, f"wanted{key}")
        twin.insert("left", key - 80, email=f"wanted{key}")

    def halted():
        direction = twin.daemon.direction("left_to_right")
        return direction["state"] == "halted" and direction or Why(direction)

    reason = wait_until("it halts", halted, 10 * SLOW)["reason"]
    assert "limits.quarantine_keys" in reason and "2" in reason
    code, text = twin.daemon.http("/readyz")
    assert code == 503 and "limits.quarantine_keys" in text
    twin.update("right", 1, name="the other way")
    wait_until("the other direction goes on", lambda: twin.names(1) == ("the other way",) * 2, 10 * SLOW)
    for key in (90, 91, 92):
        twin.update("right", key, email=f"elsewhere{key}")
    assert twin.daemon.trigger()[0] == 409
    assert twin.daemon.trigger(**{"from": "left"})[0] == 202
    twin.daemon.wait_job()
    twin.daemon.wait_ready()
    twin.daemon.wait_quarantine()
    twin.settle()
