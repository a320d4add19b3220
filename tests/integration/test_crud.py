"""What each application writes arrives at the other, whole and once."""

import datetime

import pytest

from support.servers import wait_until
from support.twin import PEER, SIDES, email_of, name_of


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_insert_update_delete_arrive(running, side):
    peer = PEER[side]
    running.insert(side, 1, "Ada", "ada")
    running.insert(side, 2, "Bob", "bob")
    running.wait_equal()
    row = running.row(peer, 1)
    assert (row["name"], row["mail"]) == (name_of("Ada"), email_of("ada"))

    running.update(side, 1, name="Ada L.", email="lovelace")
    running.wait_equal()
    row = running.row(peer, 1)
    assert (row["name"], row["mail"]) == (name_of("Ada L."), email_of("lovelace"))

    running.delete(side, 1)
    running.wait_equal()
    assert running.row(peer, 1) is None
    assert running.row(peer, 2)["name"] == name_of("Bob")
    running.settle()


def test_both_sides_take_turns_on_one_row(running):
    running.insert("left", 1, "v1")
    for n in range(2, 12):
        running.wait_equal()
        running.update(SIDES[n % 2], 1, name=f"v{n}", email=f"v{n}")
    running.settle()
    assert running.names(1) == ("v11", "v11")
    assert running.row("left", 1)["sync_version"] == running.row("right", 1)["sync_version"]
    for side in SIDES:  # nothing of this is a conflict
        conflicts = running.daemon.counters("left_to_right" if side == "left" else "right_to_left")["conflicts"]
        assert not any(conflicts.values()), conflicts


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_version_and_times_arrive_with_the_row(running, side):
    peer = PEER[side]
    running.insert(side, 7, created_at="2021-03-04 05:06:07")
    for _ in range(3):
        running.update(side, 7, name="next")
    running.settle()
    ours, theirs = running.row(side, 7), running.row(peer, 7)
    for column in ("sync_version", "updated_at", "created_at"):
        assert theirs[column] == ours[column]
    assert theirs["sync_version"] == running.row(side, 7)["sync_version"] > 1
    assert theirs["created_at"] == datetime.datetime(2021, 3, 4, 5, 6, 7)
    # Who writes says when; the row that was its source stays as it is.
    now = datetime.datetime.utcnow()
    assert theirs["last_sync_at"] is not None
    assert abs((now - theirs["last_sync_at"]).total_seconds()) < 60
    assert ours["last_sync_at"] is None


def test_email_stands_encrypted_at_auth_with_a_new_nonce_each_time(running):
    running.insert("right", 1, email="first")
    running.wait_equal()
    seen = {running.row("left", 1)["email_encrypted"]}
    for n in range(5):
        running.update("right", 1, email=f"mail{n}")
        running.wait_equal()
        seen.add(running.row("left", 1)["email_encrypted"])
    running.update("right", 1, email="first")
    running.wait_equal()
    seen.add(running.row("left", 1)["email_encrypted"])
    assert len(seen) == 7
    assert len({running.cipher.nonce(text) for text in seen}) == 7
    assert not any("first" in text or "mail" in text for text in seen)
    running.settle()


def test_the_same_email_under_a_new_nonce_is_no_change(running):
    running.insert("left", 1, email="same")
    running.wait_equal()
    before = running.row("right", 1)
    marks = running.marks()
    # Not even updated_at moves, so the two rows are the same in plain text.
    running.sql("left", "UPDATE auth_db.client_auth SET email_encrypted = %s, updated_at = updated_at WHERE id = 1",
                [running.seal(email_of("same"))])
    running.insert("left", 2)  # a witness that comes after it
    running.wait_equal()
    running.settle()
    assert running.row("right", 1) == before
    assert running.writes_since(marks) == (2, 1)


@pytest.mark.pairings
def test_columns_of_one_side_are_never_touched(running):
    running.insert("left", 1, password_hash="argon2-left")
    running.insert("right", 2, stripe_customer_id="cus_right")
    running.wait_equal()
    assert running.row("right", 1)["stripe_customer_id"] is None
    running.sql("right", "UPDATE customer_db.customers SET stripe_customer_id = 'cus_1' WHERE id = 1")
    running.sql("left", "UPDATE auth_db.client_auth SET password_hash = 'argon2-2' WHERE id = 2")
    running.settle()
    for key in (1, 2):
        running.update("left", key, name="from left")
        running.wait_equal()
        running.update("right", key, name="from right", email=f"other{key}")
        running.wait_equal()
    running.settle()
    assert running.row("left", 1)["password_hash"] == "argon2-left"
    assert running.row("left", 2)["password_hash"] == "argon2-2"
    assert running.row("right", 1)["stripe_customer_id"] == "cus_1"
    assert running.row("right", 2)["stripe_customer_id"] == "cus_right"


@pytest.mark.parametrize("side, column", [("left", "password_hash"), ("right", "stripe_customer_id")])
def test_an_update_of_an_unmapped_column_alone_writes_nothing_to_the_peer(running, side, column):
    running.insert(side, 1)
    running.settle()
    before = running.row(PEER[side], 1)
    marks = running.marks()
    running.sql(side, f"UPDATE {running.link.table(side)} SET {column} = 'new', updated_at = updated_at WHERE id = 1")
    running.insert(side, 2)  # a witness that comes after it
    running.settle()
    assert running.row(PEER[side], 1) == before
    writes = dict(zip(SIDES, running.writes_since(marks)))
    assert writes == {side: 2, PEER[side]: 1}


@pytest.mark.pairings
@pytest.mark.parametrize("side", SIDES)
def test_texts_that_need_care_arrive(running, side):
    texts = ["O'Brien", 'a "quoted" name', "back\\slash", "percent % and _", "Zoë Ünïcödé 名前 🦀", " spaces around ",
             "new\nline\ttab", "semi; -- comment /* x */", "nul\0byte", "\x1a"]
    for key, text in enumerate(texts, 1):
        running.insert(side, key, text, f"{key}.{text}".strip())
    running.settle()
    for key, text in enumerate(texts, 1):
        assert running.names(key) == (text, text)


@pytest.mark.pairings
def test_changes_made_while_the_daemon_is_down_arrive(running):
    for side, key in (("left", 1), ("left", 2), ("right", 3), ("right", 4)):
        running.insert(side, key)
    running.settle()
    running.daemon.stop()
    running.update("left", 1, name="changed")
    running.delete("left", 2)
    running.insert("left", 5)
    running.update("right", 3, email="changed")
    running.delete("right", 4)
    running.insert("right", 6)
    marks = running.marks()
    running.daemon.start()
    running.settle()
    assert running.writes_since(marks)[0] <= 3 and running.writes_since(marks)[1] <= 3
    assert running.names(1) == ("changed", "changed")
    assert running.names(2) == (None, None)
    assert all(running.row(side, key) for side in SIDES for key in (1, 3, 5, 6))


@pytest.mark.pairings
def test_log_files_may_rotate_and_go(running):
    running.insert("left", 1)
    for n in range(4):
        for side in SIDES:
            running.sql(side, "FLUSH BINARY LOGS")
            running.update(side, 1, name=f"{side} {n}")
            running.wait_equal()
    running.settle()
    for side in SIDES:
        running.sql(side, f"PURGE BINARY LOGS TO '{running.servers[side].log_end()[0]}'")
    running.daemon.stop()
    running.insert("right", 2)
    running.daemon.start()
    running.settle()


@pytest.mark.pairings
def test_two_rows_exchange_a_unique_email(running):
    running.insert("right", 1, email="one")
    running.insert("right", 2, email="two")
    running.settle()
    with running.servers["right"].connect(autocommit=False) as c, c.cursor() as cursor:
        for key, email in ((1, "aside"), (2, "one"), (1, "two")):
            cursor.execute("UPDATE customer_db.customers SET email = %s, sync_version = sync_version + 1 "
                           "WHERE id = %s", [email_of(email), key])
        c.commit()
    running.settle()
    with running.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        for key, email in ((1, "one"), (2, "two")):  # no UNIQUE on this side: nothing stands in the way
            cursor.execute("UPDATE auth_db.client_auth SET email_encrypted = %s, sync_version = sync_version + 1 "
                           "WHERE id = %s", [running.seal(email_of(email)), key])
        c.commit()
    running.settle()
    assert [running.row("right", key)["mail"] for key in (1, 2)] == [email_of("one"), email_of("two")]


def test_a_row_that_is_refused_waits_and_the_stream_goes_on(running):
    running.insert("right", 1, email="taken")
    running.wait_equal()
    running.insert("left", 2, email="taken")  # UNIQUE at the right
    running.insert("left", 3, email="free")
    wait_until("the row behind it arrives", lambda: running.row("right", 3))
    assert running.row("right", 2) is None
    wait_until("it stands in quarantine",
               lambda: running.servers["right"].rows("SELECT 1 FROM twinlog.quarantine")
               or running.servers["left"].rows("SELECT 1 FROM twinlog.quarantine"))
    running.update("left", 2, email="no longer taken")
    running.settle()
    assert running.row("right", 2)["mail"] == email_of("no longer taken")
    for side in SIDES:
        assert not running.servers[side].rows("SELECT 1 FROM twinlog.quarantine")
