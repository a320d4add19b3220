"""Changes that come together are written by few statements: what is refused among them is named, and nobody else is held up."""

import contextlib

import pymysql
import pytest

from support.daemon import DB_USER
from support.pairs import pairs
from support.servers import Why, wait_until
from support.twin import email_of

ROWS = range(1, 41)
BAD = 23


@pytest.fixture
def make_pair(twin):
    with pairs(twin) as make:
        yield make


def at_once(twin, side, *statements):
    with twin.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
        for statement in statements:
            cursor.execute(*statement)
        c.commit()


def statements_of(server, word):
    return int(server.rows(f"SHOW GLOBAL STATUS LIKE 'Com_{word}'")[0][1])


def insert_all(twin, keys=ROWS):
    at_once(twin, "left", *[("INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (%s, %s, %s)",
                             [key, f"n{key} Quixotry", twin.seal(email_of(f"m{key}"))]) for key in keys])


def rename_all(twin, text, *more):
    at_once(twin, "left", *[("UPDATE auth_db.client_auth SET name = CONCAT(%s, id, ' Quixotry'), sync_version = sync_version + 1 "
                             "WHERE id = %s", [text, key]) for key in ROWS], *more)


@pytest.mark.pairings
def test_a_refused_row_among_many_is_named_and_the_others_arrive(running):
    """The statement of all is refused by the server for the sake of one."""
    insert_all(running)
    running.settle()
    running.unlogged_insert("right", 90, "wanted")
    before = statements_of(running.servers["right"], "update")
    at_once(running, "left", *[("UPDATE auth_db.client_auth SET email_encrypted = %s, sync_version = sync_version + 1 WHERE id = %s",
                                [running.seal(email_of("wanted" if key == BAD else f"new{key}")), key]) for key in ROWS])
    waiting = running.daemon.wait_quarantine(f"id={BAD}")
    assert "1062" in str(waiting) or "email" in str(waiting), waiting
    assert len(running.daemon.quarantine()) == 1
    wait_until("the others are there", lambda: all(running.row("right", key)["mail"] == email_of(f"new{key}")
                                                   for key in ROWS if key != BAD))
    assert statements_of(running.servers["right"], "update") > before
    running.unlogged("right", "DELETE FROM customer_db.customers WHERE id = 90")
    running.daemon.http("/sync/quarantine/retry?all=true", "POST")
    running.settle()


@pytest.mark.pairings
def test_rows_that_change_the_same_columns_share_a_statement(running):
    server = running.servers["right"]
    insert_all(running)
    running.settle()
    words = ("update", "update_multi", "delete", "delete_multi")
    before = sum(statements_of(server, word) for word in words)
    rename_all(running, "once ")
    running.wait_equal()
    at_once(running, "left", ("DELETE FROM auth_db.client_auth WHERE id > 0", None))
    running.settle()
    assert sum(statements_of(server, word) for word in words) - before < 10


@pytest.mark.pairings
def test_rows_that_exchange_unique_values_in_one_batch_arrive(running):
    insert_all(running)
    running.settle()
    emails = {key: email_of(f"m{ROWS[-1] + 1 - key}") for key in ROWS}
    # The left has no such index: there it is two rows at a time, or forty, in any order.
    at_once(running, "left", *[("UPDATE auth_db.client_auth SET email_encrypted = %s, sync_version = sync_version + 1 WHERE id = %s",
                                [running.seal(email), key]) for key, email in emails.items()])
    running.settle()
    assert not running.daemon.quarantine()
    assert {key: running.row("right", key)["mail"] for key in ROWS} == emails


@contextlib.contextmanager
def overheard(server):
    """The statements that the daemon sends to this server meanwhile, once it is over."""
    heard = []
    server.sql("SET GLOBAL log_output = 'TABLE'")
    server.sql("TRUNCATE TABLE mysql.general_log")
    server.sql("SET GLOBAL general_log = 1")
    try:
        yield heard
    finally:
        server.sql("SET GLOBAL general_log = 0")
        heard += [row[0] for row in server.rows("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log "
                                                f"WHERE user_host LIKE '%{DB_USER}%' AND command_type = 'Query'")]
        server.sql("TRUNCATE TABLE mysql.general_log")
        server.sql("SET GLOBAL log_output = 'FILE'")


@pytest.mark.kinds
def test_a_commit_goes_with_a_single_change_unless_the_server_has_something_to_say(running):
    """A guard in front of it looks. Where it stops the packet, the row is read once more, and here it is not what it should be: a
    server in strict mode cuts spaces at the end and only notes it."""
    right = running.servers["right"]
    running.insert("left", 1)
    running.settle()
    with overheard(right) as heard:
        running.update("left", 1, name="short")
        running.wait_equal()
    text = "\n".join(heard)
    assert text.count(f"FROM {right_name(running)} FORCE INDEX") == 1, text
    assert text.count("@@warning_count=0") == 1, text
    assert not running.daemon.quarantine()

    before = running.row("right", 1)
    right.sql("ALTER TABLE customer_db.customers MODIFY name VARCHAR(20) NOT NULL")
    running.sql("left", "UPDATE auth_db.client_auth SET name = CONCAT('cut', SPACE(30)) WHERE id = 1")
    waiting = running.daemon.wait_quarantine("id=1")
    assert "name" in str(waiting), waiting
    assert running.row("right", 1) == before
    right.sql("ALTER TABLE customer_db.customers MODIFY name VARCHAR(255) NOT NULL")
    running.daemon.http("/sync/quarantine/retry?all=true", "POST")
    running.settle()
    assert running.row("right", 1)["name"] == "cut" + 30 * " "


def right_name(twin):
    return ".".join(f"`{part}`" for part in twin.link.right_table.split("."))


# Of a table of eight rows, six are written at once: a plan that reads the table would be the cheaper one.
WRITTEN = ("2", "4", "8", "10", "14", "16")
LEFT_ALONE = ("6", "12")
GAPS = ("1", "3", "5", "7", "9", "11", "13", "15", "17")
KEYS = {
    "numbers": {"id": "INT NOT NULL", "n": "INT NOT NULL"},
    "texts": {"id": "VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL", "n": "INT NOT NULL"},
}


@pytest.mark.kinds
@pytest.mark.parametrize("word", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("kind", KEYS)
def test_a_batch_locks_no_row_and_no_gap_but_its_own(twin, make_pair, kind, word):
    """Looked at from another connection while the batch stands still within its last row."""
    make_key = (lambda n: n) if kind == "numbers" else lambda n: f"'k{int(n):02}'"
    pair = make_pair("small", KEYS[kind])
    right, table = twin.servers["right"], pair.tables["right"]
    # Indexes that begin with the key, and would do for finding rows.
    right.sql(f"ALTER TABLE {table} ADD KEY by_key (id), ADD KEY by_both (id, n)")
    pair.insert("left", *({"id": make_key(n), "n": "1"} for n in (*WRITTEN, *LEFT_ALONE)))
    twin.start()
    pair.wait_job()
    twin.settle()
    with right.connect(database="tr", autocommit=False) as holder, holder.cursor() as hold:
        right.sql(f"CREATE TRIGGER tr.stand_still BEFORE {word} ON {table} FOR EACH ROW "
                  f"SET @held = IF(OLD.id = {make_key(WRITTEN[-1])}, GET_LOCK('stand_still', 60), 0)")
        hold.execute("SELECT GET_LOCK('stand_still', 0)")
        if word == "UPDATE":
            pair.update("left", *({"id": make_key(n), "n": "2"} for n in WRITTEN), at_once=True)
        else:
            pair.delete("left", *({"id": make_key(n)} for n in WRITTEN), at_once=True)

        def stands_still():
            rows = right.rows("SELECT state, info FROM information_schema.processlist")
            return any(state == "User lock" for state, _ in rows) or Why(rows)

        wait_until("the batch stands still", stands_still)
        try:
            for n in LEFT_ALONE:
                hold.execute(f"SELECT id FROM {table} FORCE INDEX (PRIMARY) WHERE id = {make_key(n)} FOR UPDATE NOWAIT")
            hold.execute("SET SESSION innodb_lock_wait_timeout = 1")
            for n in GAPS:
                hold.execute(f"INSERT INTO {table} (id, n) VALUES ({make_key(n)}, 9)")
            with pytest.raises(pymysql.err.OperationalError):  # it would have been seen
                hold.execute(f"SELECT id FROM {table} FORCE INDEX (PRIMARY) WHERE id = {make_key(WRITTEN[0])} FOR UPDATE NOWAIT")
        finally:
            holder.rollback()
            hold.execute("SELECT RELEASE_ALL_LOCKS()")
    twin.settle()
    right.sql("DROP TRIGGER tr.stand_still")
