"""Applications that do not keep the rules of the sync columns still get equal tables."""

import pytest

from support.twin import NAME_END, PEER, SIDES, email_of, name_of


@pytest.mark.parametrize("side", SIDES)
def test_no_version_is_raised(running, side):
    running.insert(side, 1)
    running.wait_equal()
    version = running.row(side, 1)["sync_version"]
    for n in range(10):
        running.update(side, 1, name=f"careless {n}", raise_version=False)
    running.settle()
    assert running.names(1) == ("careless 9", "careless 9")
    assert running.row(PEER[side], 1)["sync_version"] == version


@pytest.mark.parametrize("side", SIDES)
def test_many_updates_within_one_second(running, side):
    running.insert(side, 1)
    for n in range(200):
        running.update(side, 1, name=f"quick {n}", raise_version=n % 3 == 0)
    running.settle()
    assert running.names(1) == ("quick 199", "quick 199")


@pytest.mark.parametrize("side", SIDES)
def test_version_and_time_that_never_change_or_go_back(running, side):
    fixed = "2020-01-01 00:00:00"
    running.insert(side, 1, sync_version=50, updated_at=fixed)
    for n, version in enumerate((50, 50, 49, 3, 0, 7, 50)):
        running.update(side, 1, name=f"odd {n}", raise_version=False, sync_version=version, updated_at=fixed)
        running.wait_equal()
    running.settle()
    assert running.names(1) == ("odd 6", "odd 6")


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_many_changes_of_one_row_in_one_transaction(running, side):
    running.insert(side, 1)
    running.settle()
    marks = running.marks()
    with running.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
        for n in range(50):
            cursor.execute(f"UPDATE {running.link.table(side)} SET name = %s WHERE id = 1", [name_of(f"step {n}")])
        c.commit()
    running.settle()
    assert running.names(1) == ("step 49", "step 49")
    assert running.writes_since(marks) == (1, 1)


@pytest.mark.parametrize("side", SIDES)
def test_rows_that_come_and_go_in_one_transaction(running, side):
    table = running.link.table(side)
    email = running.email_column(side)
    running.insert(side, 1)
    running.insert(side, 2)
    running.settle()

    def insert(cursor, key, name):
        cursor.execute(f"INSERT INTO {table} (id, name, {email}) VALUES (%s, %s, %s)",
                       [key, name_of(name), running.email_value(side, email_of(f"{name}{key}"))])

    def delete(cursor, key):
        cursor.execute(f"DELETE FROM {table} WHERE id = %s", [key])

    with running.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
        insert(cursor, 10, "gone at once")
        delete(cursor, 10)
        delete(cursor, 1)
        insert(cursor, 1, "back again")
        delete(cursor, 2)
        insert(cursor, 2, "once more")
        delete(cursor, 2)
        insert(cursor, 11, "stays")
        c.commit()
    running.settle()
    assert running.names(10) == (None, None)
    assert running.names(1) == ("back again", "back again")
    assert running.names(2) == (None, None)
    assert running.names(11) == ("stays", "stays")


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_a_key_changes(running, side):
    table = running.link.table(side)
    for key in (1, 2, 3):
        running.insert(side, key)
    running.settle()
    running.sql(side, f"UPDATE {table} SET id = 100 WHERE id = 1")
    running.settle()
    assert running.names(1) == (None, None)
    assert running.names(100) == ("n1", "n1")
    # Two rows exchange their keys, and a range moves over itself.
    with running.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
        for old, new in ((2, 999), (3, 2), (999, 3)):
            cursor.execute(f"UPDATE {table} SET id = %s WHERE id = %s", [new, old])
        c.commit()
    running.settle()
    assert running.names(2) == ("n3", "n3") and running.names(3) == ("n2", "n2")
    running.sql(side, f"UPDATE {table} SET id = id + 1 ORDER BY id DESC")
    running.settle()
    assert running.names(101) == ("n1", "n1") and running.names(3) == ("n3", "n3")


@pytest.mark.parametrize("side", SIDES)
def test_statements_over_many_rows(running, side):
    table = running.link.table(side)
    for key in range(1, 41):
        running.insert(side, key)
    running.sql(side, f"UPDATE {table} SET name = CONCAT('all ', id, ' {NAME_END}'), sync_version = sync_version + 1")
    running.sql(side, f"DELETE FROM {table} WHERE id % 3 = 0")
    running.settle()
    assert running.names(40) == ("all 40", "all 40")
    assert running.names(39) == (None, None)


def test_what_is_rolled_back_never_happened(running):
    running.insert("left", 1)
    running.settle()
    marks = running.marks()
    for side in SIDES:
        with running.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
            cursor.execute(f"UPDATE {running.link.table(side)} SET name = 'not so'")
            c.rollback()
            cursor.execute("SAVEPOINT here")
            cursor.execute(f"DELETE FROM {running.link.table(side)}")
            cursor.execute("ROLLBACK TO SAVEPOINT here")
            c.commit()
    running.settle()
    assert running.writes_since(marks) == (0, 0)
    assert running.names(1) == ("n1", "n1")


def test_a_session_that_logs_minimal_row_images(running):
    """binlog_row_image can be set per session: a column that is not in the image is never taken for NULL."""
    for side in SIDES:
        running.insert(side, 1 if side == "left" else 2)
    running.settle()
    for side in SIDES:
        with running.servers[side].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION binlog_row_image = 'MINIMAL'")
            cursor.execute(f"UPDATE {running.link.table(side)} SET name = %s WHERE id = 1", [name_of(f"min {side}")])
        running.settle()
        assert running.names(1) == (f"min {side}", f"min {side}")
        with running.servers[side].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION binlog_row_image = 'NOBLOB'")
            cursor.execute(f"UPDATE {running.link.table(side)} SET name = %s WHERE id = 2", [name_of(f"nob {side}")])
        running.settle()
        assert running.names(2) == (f"nob {side}", f"nob {side}")
    with running.servers["left"].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION binlog_row_image = 'MINIMAL'")
        cursor.execute("DELETE FROM auth_db.client_auth WHERE id = 1")
    # Its image has the key alone, so nobody knows what was deleted: delete_vs_update decides.
    running.settle()
    assert running.names(1) == ("min right", "min right")
