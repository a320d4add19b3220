"""Writes that the log holds as text: no row event shows which rows they changed. It is said, and a resync that nobody
asks for makes the tables equal while the streams go on."""

import itertools
import threading

import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.twin import NAME_END, PEER, SIDES, TO, email_of, name_of

ROWS = 20


def with_rows(twin, rows=ROWS):
    for key in range(1, rows + 1):
        twin.insert(SIDES[key % 2], key)
    twin.wait_equal()
    twin.daemon.wait_job()
    return twin


def as_text(twin, side, *statements, database=None):
    """As a session does that has switched its binlog_format."""
    with twin.servers[side].connect(database=database, local_infile=True) as c, c.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
        for statement in statements:
            cursor.execute(*([statement] if isinstance(statement, str) else statement))


def wait_resync(twin, **expected):
    """The resync that began by itself is done, and none follows; the job."""
    def check():
        status = twin.daemon.status()["links"]["users"]
        job = status["job"]
        return job if job["cause"] == "unlogged" and job["state"] == "done" and status["needs_resync"] is None \
            else Why(f"{status}\n{twin.daemon.log_tail()}")

    job = wait_until("a resync has begun by itself and is done", check, 20 * SLOW)
    for name, value in expected.items():
        assert job[name] == value, job
    return job


def streams(twin):
    for side in SIDES:
        assert twin.daemon.direction(TO[side])["state"] == "streaming", twin.daemon.log_tail()
    for n, side in enumerate(SIDES):
        twin.insert(side, 101 + n)
    twin.settle()


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("statement, written", [
    ("UPDATE {table} SET name = '{name}', sync_version = sync_version + 1 WHERE id <= 5", 5),
    ("UPDATE {table} AS x JOIN elsewhere.n ON n.id = x.id SET x.name = '{name}', x.sync_version = 9", 2),
    ("INSERT INTO {table} (id, name, {email}) SELECT id + 50, '{name}', {mail} FROM elsewhere.n", 2),
    ("REPLACE INTO {table} (id, name, {email}, sync_version) VALUES (3, '{name}', '{value}', 7)", 1),
    ("INSERT INTO {table} (id, name, {email}) WITH few AS (SELECT id, mail FROM elsewhere.n) SELECT id + 60, '{name}', {mail} FROM few", 2),
    ("LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} FIELDS TERMINATED BY ',' (id, name, {email})", 2),
    ("/* a note */ /*!50000 UPDATE*/ `{db}` . `{bare}` SET /* {table} */ name = '{name}', sync_version = 8 WHERE id = 1", 1),
    ("PREPARE p FROM 'UPDATE {table} SET name = ''{name}'', sync_version = 6 WHERE id = ?'; SET @id = 4; EXECUTE p USING @id", 1),
    ("CALL elsewhere.change_it(2)", 1),
    ("SELECT elsewhere.and_return(2)", 1),
])
def test_what_a_statement_wrote_arrives(running, tmp_path, side, statement, written):
    with_rows(running)
    table, email = running.link.table(side), running.email_column(side)
    db, bare = table.split(".")
    values = [running.email_value(side, email_of(f"loaded{n}")) for n in range(2)]
    file = tmp_path / "rows.csv"
    file.write_text("".join(f"{70 + n},{name_of('by text')},{value}\n" for n, value in enumerate(values)), encoding="utf-8")
    server = running.servers[side]
    server.sql("DROP DATABASE IF EXISTS elsewhere")
    server.sql("SET GLOBAL local_infile = 1")
    server.script("CREATE DATABASE elsewhere; USE elsewhere; CREATE TABLE n (id INT PRIMARY KEY, mail VARCHAR(300));")
    for n, value in enumerate(values):
        server.sql("INSERT INTO elsewhere.n VALUES (%s, %s)", [n + 1, value])
    change = f"UPDATE {table} SET name = '{name_of('by text')}', sync_version = sync_version + 1 WHERE id = i"
    server.sql(f"CREATE PROCEDURE elsewhere.change_it(i INT) {change}")
    server.sql("SET GLOBAL log_bin_trust_function_creators = 1")
    server.sql(f"CREATE FUNCTION elsewhere.and_return(i INT) RETURNS INT BEGIN {change}; RETURN i; END")
    try:
        text = statement.format(table=table, db=db, bare=bare, name=name_of("by text"), email=email, mail="mail",
                                value=values[0], file=file)
        as_text(running, side, *text.split("; "))
        wait_resync(running, rows_written=written, conflicts=written if "+ 50" not in text and "70" not in text
                    and "+ 60" not in text and "LOAD" not in text else 0)
        running.settle()
        count = running.servers[PEER[side]].value(
            f"SELECT COUNT(*) FROM {running.link.table(PEER[side])} WHERE name = '{name_of('by text')}'")
        assert count == written
        streams(running)
        warnings = [line for line in running.daemon.log().splitlines() if " warn " in line and "needs a resync" in line]
        assert len(warnings) == 1 and table in warnings[0] and "binlog_format" in warnings[0], running.daemon.log_tail()
    finally:
        server.sql("DROP DATABASE elsewhere")


@pytest.mark.kinds
def test_tables_of_other_databases_do_not_matter(running):
    """The table is read only, or another one has its name. Tools that watch a server write like that every second."""
    with_rows(running)
    server = running.servers["left"]
    server.sql("DROP DATABASE IF EXISTS elsewhere")
    server.script("CREATE DATABASE elsewhere; CREATE TABLE elsewhere.client_auth (id INT PRIMARY KEY, name TEXT);")
    before = running.daemon.job()["job"]
    try:
        as_text(running, "left",
                f"INSERT INTO elsewhere.client_auth SELECT id, 'no {NAME_END}' FROM auth_db.client_auth",
                f"UPDATE elsewhere.client_auth SET name = 'auth_db.client_auth {NAME_END}'",
                "DELETE FROM elsewhere.client_auth WHERE id IN (SELECT id FROM auth_db.client_auth)")
        as_text(running, "left", "INSERT INTO client_auth (id) VALUES (1)", database="elsewhere")
        streams(running)
        assert running.daemon.job()["job"] == before
    finally:
        server.sql("DROP DATABASE elsewhere")


@pytest.mark.kinds
def test_what_a_trigger_and_a_view_write_is_found(running):
    """The log names another table, and not what it set off."""
    with_rows(running)
    running.servers["left"].script(f"""USE auth_db; CREATE TABLE other (id INT PRIMARY KEY); CREATE VIEW seen AS SELECT * FROM client_auth;
        CREATE TRIGGER t AFTER INSERT ON other FOR EACH ROW
        UPDATE client_auth SET name = '{name_of("by trigger")}', sync_version = sync_version + 1 WHERE id = NEW.id""")
    as_text(running, "left", "INSERT INTO auth_db.other VALUES (5)")
    wait_resync(running, rows_written=1)
    as_text(running, "left", f"UPDATE seen SET name = '{name_of('by view')}', sync_version = 7 WHERE id = 6", database="auth_db")
    wait_until("the view's row arrives", lambda: running.names(6)[1] == "by view" or Why(running.daemon.log_tail()), 10 * SLOW)
    wait_resync(running, rows_written=1)
    assert running.names(5)[1] == "by trigger"
    streams(running)


@pytest.mark.kinds
def test_what_a_statement_deleted_comes_back(running):
    """The log does not say which rows they were, and the other side still has them: delete_vs_update = keep."""
    with_rows(running)
    as_text(running, "left", "DELETE FROM auth_db.client_auth WHERE id <= 3")
    wait_resync(running, rows_written=3)
    running.settle()
    assert len(running.link.read(running.servers["left"], "left")) == ROWS
    streams(running)


def test_many_statements_are_one_or_two_resyncs_and_one_line(running):
    with_rows(running)
    as_text(running, "left", *[f"UPDATE auth_db.client_auth SET name = '{name_of(n)}', sync_version = sync_version + 1 "
                               f"WHERE id = {1 + n % ROWS}" for n in range(300)])
    wait_resync(running)
    running.settle()
    assert running.names(1)[1] == "280"
    log = running.daemon.log().splitlines()
    assert sum("needs a resync" in line for line in log) == 1, running.daemon.log_tail()
    assert sum("resync" in line and "begins" in line and "unlogged" in line for line in log) <= 20
    streams(running)


@pytest.mark.kinds
def test_rows_and_statements_in_one_transaction(running):
    """The rows arrive as rows; a transaction that is rolled back wrote nothing."""
    with_rows(running)
    table = running.link.left_table
    with running.servers["left"].connect(autocommit=False) as c, c.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
        cursor.execute(f"UPDATE {table} SET name = '{name_of('nothing')}', sync_version = 9 WHERE id = 1")
        c.rollback()
        # UUID() makes a row of a statement in MIXED.
        cursor.execute("SET SESSION binlog_format = 'MIXED'")
        cursor.execute(f"UPDATE {table} SET name = CONCAT(LEFT(UUID(), 0), '{name_of('row')}'), sync_version = 9 WHERE id = 2")
        cursor.execute(f"UPDATE {table} SET name = '{name_of('text')}', sync_version = 9 WHERE id = 3")
        cursor.execute(f"UPDATE {table} SET name = CONCAT(LEFT(UUID(), 0), '{name_of('row too')}'), sync_version = 9 WHERE id = 4")
        c.commit()
    wait_resync(running, rows_written=1)
    running.settle()
    assert [running.names(key)[1] for key in range(1, 5)] == ["n1", "row", "text", "row too"]
    streams(running)


@pytest.mark.kinds
@pytest.mark.parametrize("moment", ["while it is down", "as soon as it is promised", "while the resync runs"])
def test_a_crash_does_not_forget_it(running, moment):
    """kill -9 between the statement and the end of the resync."""
    with_rows(running)
    update = f"UPDATE auth_db.client_auth SET name = '{name_of('by text')}', sync_version = sync_version + 1"
    if moment == "while it is down":
        running.daemon.kill()
        as_text(running, "left", update)
    else:
        as_text(running, "left", update)
        log = "needs a resync" if "promised" in moment else "begins: unlogged"
        wait_until(log, lambda: log in running.daemon.log() or Why(running.daemon.log_tail()), 10 * SLOW)
        running.daemon.kill()
    running.daemon.start()
    wait_until("it arrives", lambda: running.names(7)[1] == "by text" or Why(running.daemon.log_tail()), 20 * SLOW)
    wait_resync(running)
    # It is not read a second time after the next start.
    job = running.daemon.job()["job"]
    running.daemon.kill()
    running.daemon.start()
    streams(running)
    assert running.daemon.job()["job"] == job, running.daemon.log_tail()


def test_it_is_stored_before_the_position_passes_it(running):
    """The left server, which holds the job, refuses to store it: the position of right>left, which lies there too, and of
    left>right stay before the statement until it does."""
    with_rows(running)
    left, right = running.servers["left"], running.servers["right"]
    left.sql("ALTER TABLE twinlog.resync MODIFY again VARCHAR(1) NOT NULL DEFAULT '', ADD CONSTRAINT no CHECK (cause <> 'unlogged')")
    before = right.rows("SELECT binlog_file, binlog_offset FROM twinlog.checkpoint WHERE source_side = 'left'")
    try:
        as_text(running, "left", f"UPDATE auth_db.client_auth SET name = '{name_of('by text')}', sync_version = 5 WHERE id = 1")
        running.insert("left", 60)
        wait_until("it is told", lambda: running.daemon.direction(TO["left"])["state"] != "streaming"
                   or Why(running.daemon.log_tail()), 10 * SLOW)
        assert right.rows("SELECT binlog_file, binlog_offset FROM twinlog.checkpoint WHERE source_side = 'left'") == before
        running.daemon.kill()
    finally:
        left.sql("ALTER TABLE twinlog.resync MODIFY again VARCHAR(256) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT '', "
                 "DROP CONSTRAINT no")
    running.daemon.start()
    wait_resync(running, rows_written=1)
    running.settle()
    assert running.names(1) == ("by text", "by text")
    streams(running)


def test_while_the_other_direction_is_halted(running):
    """It cannot be mended then, is said, and is mended by what the operator triggers."""
    with_rows(running)
    running.sql("right", "TRUNCATE TABLE customer_db.customers")
    wait_until("it halts", lambda: running.daemon.direction(TO["right"])["state"] == "halted", 10 * SLOW)
    for n in range(5):
        as_text(running, "left", f"UPDATE auth_db.client_auth SET name = '{name_of('by text')}', sync_version = {n + 5} WHERE id = 1")
    def told():
        link = running.daemon.status()["links"]["users"]
        return link["needs_resync"] and "statement" in link["needs_resync"] and link["job"]["state"] == "failed" or \
            Why(f"{link}\n{running.daemon.log_tail()}")
    wait_until("it is said", told, 10 * SLOW)
    assert running.daemon.trigger(**{"from": "left"})[0] == 202
    running.daemon.wait_job()
    assert running.daemon.status()["links"]["users"]["needs_resync"] is None
    running.settle()
    assert running.names(1) == ("by text", "by text")
    assert sum("has failed" in line for line in running.daemon.log().splitlines()) <= 1, running.daemon.log_tail()
    streams(running)


@pytest.mark.kinds
def test_under_load(running):
    """Rows on both sides and statements on one, all the time: nothing that one application alone wrote is lost."""
    with_rows(running)
    stop, errors, last = threading.Event(), [], {}

    def application(side, first):
        """Rows; keys of its own."""
        try:
            for n in itertools.count():
                if stop.is_set():
                    return
                key = first + n % 20
                running.delete(side, key)
                running.insert(side, key, f"r{n}", f"{side}{key}")
                last[key] = f"r{n}"
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=application, args=(side, 200 + 100 * i)) for i, side in enumerate(SIDES)]
    for thread in threads:
        thread.start()
    try:
        for n in range(10):
            for key in range(1, ROWS + 1):
                last[key] = f"s{n}-{key}"
            as_text(running, SIDES[n % 2], f"UPDATE {running.link.table(SIDES[n % 2])} SET sync_version = sync_version + 1, "
                                           f"name = CONCAT('s{n}-', id, ' {NAME_END}') WHERE id <= {ROWS}")
            wait_until("it arrives", lambda n=n: running.names(7) == (f"s{n}-7",) * 2 or Why(running.daemon.log_tail()), 20 * SLOW)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not errors, errors
    wait_until("the last resync is done", lambda: running.daemon.status()["links"]["users"]["needs_resync"] is None, 20 * SLOW)
    running.settle()
    names = {key: running.names(key) for key in last}
    assert names == {key: (name, name) for key, name in last.items()}, running.daemon.log_tail()
    streams(running)
