"""Many rows that are inserted together go to a MariaDB beside the text of one statement: what is refused among them is
named all the same, and where such a statement cannot be had, text does."""

import pytest

from support.servers import wait_until
from support.twin import email_of

ROWS = range(1, 301)
BAD = 177

ON_MARIADB = pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mysql-9.7/mariadb-11.8")


def insert_all(twin, keys=ROWS, **names):
    with twin.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        for key in keys:
            cursor.execute("INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (%s, %s, %s)",
                           [key, names.get(f"n{key}", f"n{key} Quixotry"), twin.seal(email_of(f"m{key}"))])
        c.commit()


def executed(twin):
    return int(twin.servers["right"].rows("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1])


def others_are_there(twin):
    return lambda: twin.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers WHERE id <= 300 AND id != %s", [BAD]) == 299


@ON_MARIADB
def test_rows_that_come_together_are_one_statement(running):
    before = executed(running)
    insert_all(running)
    running.settle()
    assert before < executed(running) <= before + 4


@ON_MARIADB
@pytest.mark.parametrize("first", [True, False], ids=["first copy", "stream"])
def test_a_refused_row_among_many_is_named_and_the_others_arrive(twin, first):
    if first:
        insert_all(twin)
    else:
        twin.start()
        twin.daemon.wait_job()
    twin.unlogged_insert("right", 1000, f"m{BAD}")
    before = executed(twin)
    if first:
        twin.start()
    else:
        insert_all(twin)
    waiting = twin.daemon.wait_quarantine(f"id={BAD}")
    assert "1062" in str(waiting) or "email" in str(waiting), waiting
    wait_until("the others are there", others_are_there(twin))
    assert executed(twin) > before
    assert len(twin.daemon.quarantine()) == 1
    twin.unlogged("right", f"UPDATE customer_db.customers SET email = '{email_of('free')}' WHERE id = 1000")
    twin.daemon.http("/sync/quarantine/retry?all=true", "POST")
    wait_until("the row is there", lambda: not twin.daemon.quarantine())
    assert twin.row("right", BAD)["mail"] == email_of(f"m{BAD}")


@ON_MARIADB
def test_a_value_that_the_server_cuts_is_refused(running):
    """A strict mode cuts spaces at the end of a text and only notes it."""
    running.servers["right"].sql("ALTER TABLE customer_db.customers MODIFY name VARCHAR(20) NOT NULL")
    before = executed(running)
    insert_all(running, **{f"n{BAD}": "cut" + 30 * " "})
    waiting = running.daemon.wait_quarantine(f"id={BAD}")
    assert "name" in str(waiting), waiting
    wait_until("the others are there", others_are_there(running))
    assert executed(running) > before
    running.servers["right"].sql("ALTER TABLE customer_db.customers MODIFY name VARCHAR(255) NOT NULL")
    running.daemon.http("/sync/quarantine/retry?all=true", "POST")
    running.settle()
    assert running.row("right", BAD)["name"] == "cut" + 30 * " "


@ON_MARIADB
def test_a_server_that_has_no_room_for_such_a_statement_gets_text(twin):
    right = twin.servers["right"]
    limit = right.value("SELECT @@GLOBAL.max_prepared_stmt_count")
    right.sql("SET GLOBAL max_prepared_stmt_count = 0")
    try:
        before = executed(twin)
        insert_all(twin)
        twin.start()
        assert twin.daemon.wait_job()["rows_written"] == len(ROWS)
        insert_all(twin, range(301, 600))
        twin.settle()
        assert executed(twin) == before
    finally:
        right.sql(f"SET GLOBAL max_prepared_stmt_count = {limit}")


@ON_MARIADB
def test_rows_that_do_not_fit_a_small_packet_together(twin):
    right = twin.servers["right"]
    limit = right.value("SELECT @@GLOBAL.max_allowed_packet")
    right.sql("SET GLOBAL max_allowed_packet = 16384")
    try:
        insert_all(twin)
        twin.start()
        assert twin.daemon.wait_job()["rows_written"] == len(ROWS)
        twin.settle()
    finally:
        right.sql(f"SET GLOBAL max_allowed_packet = {limit}")
