"""Names of databases, tables, columns and indexes may hold whatever a server lets them hold."""

import re

import pytest

from support.pairs import name, pairs
from support.servers import Why, wait_until
from support.twin import SIDES

DATABASES = {"left": "a b.c`d'e\"f", "right": "группа; -- %s \\ é"}
TABLE = "select `from` 'x\".y; -- \\"
STATE = "twin`log.état %d_x"
COLUMNS = {"i`d": "INT NOT NULL", "order": "VARCHAR(20)", "a b": "INT", "a.b": "VARCHAR(20) CHARACTER SET latin1", "quo'te": "BIT(9)", 'dou"ble': "DOUBLE",
           "back\\slash": "BLOB", "percent %s %d": "DATE", "ünïcödé группа 漢": "VARCHAR(20)", "x" * 64: "INT", "ж" * 64: "INT", "; -- ": "INT",
           "`": "INT", "1e5": "INT", "1": "INT", "/* c */": "DECIMAL(5,2)", " lead": "INT", "k e`y": "VARCHAR(20) NOT NULL", "@@x": "INT", "NULL": "INT"}
COLUMNS = {column.rstrip(): kind for column, kind in COLUMNS.items()}
KEY = ["i`d", "k e`y"]
SYNC = {"version": "ver sion", "updated_at": "up`dated.at", "synced_at": "syn'ced"}


@pytest.fixture
def odd(twin):
    for side in SIDES:
        for database in (DATABASES[side], STATE):
            twin.sql(side, f"DROP DATABASE IF EXISTS {name(database)}")
    with pairs(twin) as make:
        things = make(TABLE, COLUMNS, key=KEY, databases=DATABASES, reads={"quo'te": "{} + 0"}, link="odd", **SYNC)
        twin.daemon.more = {"state_database": STATE}
        twin.daemon.write_config()
        # What a user is given to run makes all that is needed.
        code, text = twin.daemon.command("init", "--print")
        assert code == 0, text
        for server, part in zip(twin.servers.values(), re.split(r"-- ---- On server \w+ ----", text)[1:]):
            server.script(part)
        yield things
        for side in SIDES:
            twin.sql(side, f"DROP DATABASE IF EXISTS {name(STATE)}")


def row(key, n=1):
    return {"i`d": str(key), "k e`y": "'it''s `k` \\\\ é'", "order": f"'v{n}'", "a b": str(n), "a.b": "'é'", "quo'te": str(n), 'dou"ble': "0.1e0",
            "back\\slash": "x'27605c'", "percent %s %d": "'2026-01-05'", "ünïcödé группа 漢": "'漢'", "x" * 64: str(n), "NULL": "NULL", "1e5": "7"}


@pytest.mark.kinds
def test_any_name_will_do(twin, odd):
    daemon = twin.daemon
    code, text = daemon.command("init")
    assert code == 0 and text.count("up to date") == 2, text
    code, text = daemon.command("check")
    assert code == 0, text

    odd.insert("left", row(1), row(2))
    odd.insert("right", row(3))
    daemon.start()
    assert odd.wait_job()["rows_written"] == 3
    for n, side in enumerate(SIDES):
        odd.insert(side, row(10 + n))
        odd.update(side, row(1, n + 5))
        twin.wait_equal()
        odd.delete(side, row(2 + n))
        twin.wait_equal()
    twin.settle()
    assert not any(any(c.values()) for c in odd.conflicts().values()), odd.conflicts()
    assert [r[0] for r in odd.rows("right")] == [1, 10, 11]
    assert twin.servers["left"].value(f"SELECT COUNT(*) FROM {name(STATE)}.checkpoint") > 0

    # A column more, and the table is read again by its name.
    odd.run("left", [f"ALTER TABLE {odd.tables['left']} ADD COLUMN {name('new `column`')} INT FIRST"])
    odd.update("left", row(10, 77))
    twin.wait_equal()
    code, text = daemon.command("verify")
    assert code == 0, text

    # A refused row: an index with a name like that is in the way.
    odd.run("right", [f"ALTER TABLE {odd.tables['right']} ADD UNIQUE KEY {name('u`n.i q')} ({name('a b')})"])
    odd.insert("left", {**row(20), "a b": "77"})
    wait_until("it waits", lambda: [k for k in odd.quarantine() if k.startswith("i`d=20,k e`y=")] or Why(odd.quarantine()))
    odd.update("left", {**row(20), "a b": "78"})
    wait_until("it does not any more", lambda: not odd.quarantine() or Why(odd.quarantine()))
    twin.settle()
    # A conflict, told with the column's name.
    with twin.servers["left"].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION sql_log_bin = 0")
        cursor.execute(f"UPDATE {odd.tables['left']} SET {name('order')} = 'other' WHERE {name('i`d')} = 1")
    odd.update("left", row(1, 9))
    twin.settle()
    assert any(c["link"] == "odd" and "order" in c["columns"] for c in daemon.conflicts("link=odd")), daemon.conflicts("link=odd")


@pytest.mark.kinds
@pytest.mark.parametrize("statement", ["TRUNCATE TABLE {}", "TRUNCATE {}", "DROP TABLE {}"])
def test_statements_find_their_table(twin, odd, statement):
    twin.start()
    odd.wait_job()
    odd.insert("left", row(1))
    twin.wait_equal()
    twin.daemon.links.remove(odd.link)  # it will not be equal again
    odd.run("left", [f"CREATE TABLE {name(DATABASES['left'])}.{name('other')} (id INT)", f"DROP TABLE {name(DATABASES['left'])}.{name('other')}"])
    odd.update("left", row(1, 2))
    wait_until("it arrives", lambda: odd.rows("right")[0][2] == 2 or Why(odd.rows("right")))
    assert twin.daemon.direction("left_to_right", "odd")["state"] == "streaming"
    odd.run("left", [f"USE {name(DATABASES['left'])}", statement.format(name(TABLE))])
    wait_until("the direction halts", lambda: twin.daemon.direction("left_to_right", "odd")["state"] == "halted"
               or Why(twin.daemon.direction("left_to_right", "odd")))
    assert len(odd.rows("right")) == 1
