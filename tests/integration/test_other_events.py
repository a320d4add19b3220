"""What changes a table without a row event: tables that are emptied, dropped and swapped, images that lack columns,
cascades, transactions of two phases, and events that nobody knows."""

import threading

import pymysql
import pytest

from support.daemon import SLOW
from support.servers import Why, wait_until
from support.strange_events import IGNORABLE, StrangeEvents
from support.twin import PEER, SIDES, TO, email_of, name_of

ROWS = 20


def with_rows(twin, rows=ROWS):
    for key in range(1, rows + 1):
        twin.insert(SIDES[key % 2], key)
    twin.wait_equal()
    twin.daemon.wait_job()
    return twin


def halted(twin, side, *words):
    def check():
        direction = twin.daemon.direction(TO[side])
        return direction["state"] == "halted" and all(w in direction["reason"] for w in words) \
            or Why(f"{direction}\n{twin.daemon.log_tail()}")

    wait_until(f"{TO[side]} halts", check, 15 * SLOW)
    return twin.daemon.direction(TO[side])["reason"]


def wait_unlogged(twin, why):
    """A resync that began by itself for this reason is done, and none follows; the job."""
    def check():
        status = twin.daemon.status()["links"]["users"]
        job = status["job"]
        return job if job["cause"] == "unlogged" and job["state"] == "done" and status["needs_resync"] is None \
            and why in job["reason"] else Why(f"{status}\n{twin.daemon.log_tail()}")

    return wait_until("a resync has begun by itself and is done", check, 20 * SLOW)


def streams(twin):
    twin.daemon.wait_ready()
    for n, side in enumerate(SIDES):
        twin.insert(side, 1001 + n)
    twin.settle()


class Writer(threading.Thread):
    """An application on one side, with keys of its own: new rows, changes and deletes."""

    def __init__(self, twin, side, first):
        super().__init__()
        self.twin, self.side, self.first = twin, side, first
        self.stop, self.error, self.names, self.n = False, None, {}, 0

    def run(self):
        try:
            while not self.stop:
                self.n += 1
                key = self.first + self.n % 30
                if key not in self.names:
                    self.twin.insert(self.side, key, f"w{self.n}", f"{self.side}{key}")
                    self.names[key] = f"w{self.n}"
                elif self.n % 7 == 0:
                    self.twin.delete(self.side, key)
                    del self.names[key]
                else:
                    self.twin.update(self.side, key, f"w{self.n}")
                    self.names[key] = f"w{self.n}"
        except Exception as e:
            self.error = e
            raise

    def end(self):
        self.stop = True
        self.join()
        assert self.error is None, self.error


def copy_chunk(server, statement):
    """Such tools try again when their copying and an application are in each other's way."""
    for _ in range(20):
        try:
            return server.sql(statement)
        except pymysql.err.OperationalError as e:
            if e.args[0] not in (1205, 1213):  # lock wait timeout, deadlock
                raise
    raise AssertionError("no end of deadlocks")


def swap(server, table, alters, keep_old=False):
    """As pt-online-schema-change does it: triggers keep the new table like the old one while the rows are copied in
    chunks, then both change their names at once."""
    db, name = table.split(".")
    server.sql(f"CREATE TABLE {db}._{name}_new LIKE {table}")
    for alter in alters:
        server.sql(f"ALTER TABLE {db}._{name}_new {alter}")
    columns = [row[0] for row in server.rows(f"SHOW COLUMNS FROM {table}")]
    new = {row[0] for row in server.rows(f"SHOW COLUMNS FROM {db}._{name}_new")}
    both = [c for c in columns if c in new]
    names, values = ", ".join(both), ", ".join(f"NEW.{c}" for c in both)
    for event in ("INSERT", "UPDATE"):
        server.sql(f"CREATE TRIGGER {db}.t_{event} AFTER {event} ON {table} FOR EACH ROW "
                   f"REPLACE INTO {db}._{name}_new ({names}) VALUES ({values})")
    server.sql(f"CREATE TRIGGER {db}.t_DELETE AFTER DELETE ON {table} FOR EACH ROW "
               f"DELETE IGNORE FROM {db}._{name}_new WHERE id = OLD.id")
    top = server.value(f"SELECT COALESCE(MAX(id), 0) FROM {table}")
    for low in range(0, int(top) + 1, 10):
        copy_chunk(server, f"INSERT IGNORE INTO {db}._{name}_new ({names}) SELECT {names} FROM {table} "
                           f"WHERE id >= {low} AND id < {low + 10} LOCK IN SHARE MODE")
    server.sql(f"RENAME TABLE {table} TO {db}._{name}_old, {db}._{name}_new TO {table}")
    if not keep_old:
        server.sql(f"DROP TABLE {db}._{name}_old")  # and its triggers


# ---- Tables ----

@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_an_online_schema_change_goes_on(running, side):
    """Columns come and change their places, applications on both sides write all the time: nothing halts and nothing
    that one application alone wrote is undone."""
    with_rows(running)
    writers = [Writer(running, s, 100 + 100 * n) for n, s in enumerate(SIDES)]
    for writer in writers:
        writer.start()
    email = running.email_column(side)
    try:
        wait_until("they write", lambda: all(w.n > 60 for w in writers) or Why([w.n for w in writers]), 20 * SLOW)
        swap(running.servers[side], running.link.table(side),
             [f"ADD COLUMN extra INT NOT NULL DEFAULT 5 FIRST, MODIFY {email} VARCHAR(512) NOT NULL AFTER id"])
        since = [w.n for w in writers]
        wait_until("they go on", lambda: all(w.n > n + 60 for w, n in zip(writers, since)) or Why(running.daemon.log_tail()),
                   20 * SLOW)
    finally:
        for writer in writers:
            writer.end()
    wait_unlogged(running, "renamed")
    running.settle()
    for writer in writers:
        names = {key: running.names(key) for key in range(writer.first, writer.first + 30)}
        assert names == {key: (writer.names.get(key),) * 2 for key in names}, running.daemon.log_tail()
    assert running.daemon.direction(TO[side])["state"] == "streaming"
    streams(running)


@pytest.mark.kinds
@pytest.mark.parametrize("down", [False, True], ids=["while it runs", "while it is down"])
def test_a_swap_that_brings_other_rows_is_settled(running, down):
    """Rows that the new table lacks, has more, or has otherwise: the conflict rule decides for each. Its columns stand
    elsewhere, two of one type among them."""
    with_rows(running)
    left = running.servers["left"]
    columns = "id, name, email_encrypted, created_at, sync_version, updated_at"
    if down:
        running.daemon.stop()
        running.update("left", 6, "before it")
    left.script(f"""CREATE TABLE auth_db.n LIKE auth_db.client_auth;
        ALTER TABLE auth_db.n MODIFY password_hash VARCHAR(255) NULL AFTER id;
        INSERT INTO auth_db.n ({columns}) SELECT {columns} FROM auth_db.client_auth WHERE id <> 4;
        UPDATE auth_db.n SET name = '{name_of("newer")}', sync_version = 9 WHERE id = 5;
        RENAME TABLE auth_db.client_auth TO auth_db.o, auth_db.n TO auth_db.client_auth""")
    running.update("left", 8, "behind it")
    if down:
        running.daemon.start()
    wait_unlogged(running, "auth_db.client_auth was ")
    running.settle()
    assert running.names(6) == (("before it" if down else "n6"),) * 2
    assert running.names(8) == ("behind it", "behind it")
    assert running.names(5) == ("newer", "newer")
    assert running.names(4) == ("n4", "n4")
    streams(running)


@pytest.mark.kinds
@pytest.mark.parametrize("alter, words", [
    ("DROP COLUMN name, ADD COLUMN full_name VARCHAR(255) NOT NULL DEFAULT ''", ["column name", "gone"]),
    ("MODIFY name VARCHAR(20) NOT NULL DEFAULT ''", ["column name", "varchar(20)"]),
    ("DROP PRIMARY KEY, ADD INDEX (id)", ["no unique index over the key"]),
])
def test_a_swap_that_does_not_fit_halts(running, alter, words):
    with_rows(running, 2)
    left = running.servers["left"]
    left.script(f"""CREATE TABLE auth_db.n LIKE auth_db.client_auth; ALTER TABLE auth_db.n {alter};
        RENAME TABLE auth_db.client_auth TO auth_db.o, auth_db.n TO auth_db.client_auth;
        INSERT INTO auth_db.client_auth (id, email_encrypted) VALUES (77, '{running.seal(email_of("a77"))}')""" if "PRIMARY" not in alter
        else f"""CREATE TABLE auth_db.n LIKE auth_db.client_auth; ALTER TABLE auth_db.n {alter};
        RENAME TABLE auth_db.client_auth TO auth_db.o, auth_db.n TO auth_db.client_auth;
        INSERT INTO auth_db.client_auth (id, name, email_encrypted) VALUES (77, 'x', '{running.seal(email_of("a77"))}')""")
    halted(running, "left", *words)
    assert running.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers") == 2
    # The old table comes back, and the operator says which side is right.
    left.sql("RENAME TABLE auth_db.client_auth TO auth_db.n, auth_db.o TO auth_db.client_auth")
    assert running.daemon.trigger(**{"from": "left"})[0] == 202
    running.daemon.wait_job()
    streams(running)


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("how", ["DROP TABLE", "DROP DATABASE", "RENAME", "RENAME twice"])
def test_a_table_that_is_gone_comes_anew(running, side, how):
    """The direction that reads it halts; when the table is there again, the operator says which side is right."""
    with_rows(running)
    server, table, peer = running.servers[side], running.link.table(side), PEER[side]
    db = table.split(".")[0]
    create = server.rows(f"SHOW CREATE TABLE {table}")[0][1]
    server.sql({"DROP TABLE": f"DROP TABLE {table}", "DROP DATABASE": f"DROP DATABASE {db}"}.get(
        how, f"RENAME TABLE {table} TO {db}.elsewhere"))
    halted(running, side, table, "dropped, renamed or replaced")
    if how == "RENAME twice":
        server.sql(f"RENAME TABLE {db}.elsewhere TO {table}")
    else:
        server.sql(f"CREATE DATABASE IF NOT EXISTS {db}")
        with server.connect(database=db) as c, c.cursor() as cursor:
            cursor.execute(create)
    assert len(running.link.read(running.servers[peer], peer)) == ROWS, "the other side's rows stay"
    code, answer = running.daemon.trigger()
    assert code == 409 and "from=" in answer["error"], answer
    assert running.daemon.trigger(**{"from": peer})[0] == 202
    running.daemon.wait_job()
    streams(running)
    assert len(running.link.read(server, side)) == ROWS + 2


@pytest.mark.kinds
def test_truncate_goes_either_way(running):
    with_rows(running)
    running.sql("left", "TRUNCATE TABLE auth_db.client_auth")
    halted(running, "left", "TRUNCATE", "auth_db.client_auth")
    running.insert("right", 50)
    wait_until("the other direction goes on", lambda: running.names(50) == ("n50", "n50"), 10 * SLOW)
    assert running.daemon.trigger(**{"from": "right"})[0] == 202
    assert running.daemon.wait_job()["rows_written"] == ROWS
    running.wait_equal()
    assert len(running.link.read(running.servers["left"], "left")) == ROWS + 1
    running.sql("left", "TRUNCATE TABLE auth_db.client_auth")
    halted(running, "left", "TRUNCATE")
    assert running.daemon.trigger(**{"from": "left", "missing": "delete"})[0] == 202
    running.daemon.wait_job()
    running.wait_equal()
    assert running.link.read(running.servers["right"], "right") == []
    streams(running)


# ---- Columns ----

@pytest.mark.kinds
@pytest.mark.parametrize("down", [False, True], ids=["while it runs", "while it is down"])
@pytest.mark.parametrize("alter", [
    "ADD COLUMN extra INT NOT NULL DEFAULT 1",
    "ADD COLUMN extra INT NOT NULL DEFAULT 1 FIRST, ALGORITHM = INSTANT",
    "ADD COLUMN extra VARCHAR(9) AFTER id, DROP COLUMN password_hash",
    "CHANGE password_hash pass_hash VARCHAR(300) NULL AFTER id",
    "RENAME COLUMN password_hash TO pass_hash",
    "MODIFY name VARCHAR(255) NOT NULL AFTER email_encrypted",
    "ADD INDEX by_name (name), ALTER COLUMN name SET DEFAULT 'x'",
])
def test_columns_that_matter_stay(running, down, alter):
    """Rows before and behind the ALTER are in the log that the daemon has not read yet; two columns have one type."""
    with_rows(running)
    if down:
        running.daemon.stop()
    running.update("left", 3, "before")
    running.insert("left", 60)
    running.sql("left", f"ALTER TABLE auth_db.client_auth {alter}")
    running.update("left", 3, "behind")
    running.update("right", 5, "right")
    running.insert("left", 61)
    if down:
        running.daemon.start()
    running.settle()
    assert running.names(3) == ("behind", "behind") and running.names(5) == ("right", "right")
    assert running.names(60)[1] == "n60" and running.names(61)[1] == "n61"
    for side in SIDES:
        assert running.daemon.direction(TO[side])["state"] == "streaming"
    if not down:
        assert running.daemon.job()["cause"] == "first_start"
    streams(running)


@pytest.mark.kinds
@pytest.mark.parametrize("alter, word", [
    ("DROP COLUMN name", "column name"),
    ("RENAME COLUMN name TO full_name", "column name"),
    ("CHANGE name full_name VARCHAR(255) NOT NULL DEFAULT ''", "column name"),
    ("MODIFY name VARCHAR(100) NOT NULL DEFAULT ''", "column name"),
    ("MODIFY name VARBINARY(255) NOT NULL DEFAULT ''", "column name"),
])
def test_a_column_that_matters_halts(running, alter, word):
    with_rows(running, 4)
    running.sql("left", f"ALTER TABLE auth_db.client_auth {alter}")
    running.sql("left", "UPDATE auth_db.client_auth SET sync_version = sync_version + 1 WHERE id = 1")
    reason = halted(running, "left", word)
    code, text = running.daemon.http("/readyz")
    assert code == 503 and word in text, text
    assert any("halted" in line and word in line for line in running.daemon.log().splitlines()), reason


# ---- Rows ----

@pytest.mark.kinds
@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB", "FULL_NODUP"])
def test_row_images_without_all_columns(running, image):
    """Set in one session; what an image lacks is never taken for NULL."""
    with_rows(running, 6)
    for n, side in enumerate(SIDES):
        table, email = running.link.table(side), running.email_column(side)
        with running.servers[side].connect() as c, c.cursor() as cursor:
            try:
                cursor.execute(f"SET SESSION binlog_row_image = '{image}'")
            except Exception:
                assert image == "FULL_NODUP"  # MariaDB 11.4 and later have it alone
                continue
            cursor.execute(f"UPDATE {table} SET name = %s, sync_version = sync_version + 1 WHERE id = {1 + n}", [name_of(image)])
            cursor.execute(f"INSERT INTO {table} (id, name, {email}) VALUES ({70 + n}, %s, %s)",
                           [name_of(image), running.email_value(side, email_of(f"image{n}"))])
            if image != "MINIMAL":  # shows the key alone: nobody knows what stood at the old one, so it would come back
                cursor.execute(f"UPDATE {table} SET id = id + 10, sync_version = sync_version + 1 WHERE id = {3 + n}")
            cursor.execute(f"UPDATE {table} SET {email} = %s, sync_version = sync_version + 1 WHERE id = {5 + n}",
                           [running.email_value(side, email_of(f"changed{n}"))])
        running.settle()
        peer = PEER[side]
        assert running.row(peer, 1 + n)["name"] == name_of(image)
        assert running.row(peer, 70 + n)["mail"] == email_of(f"image{n}")
        assert image == "MINIMAL" or running.row(peer, 13 + n)["name"] == name_of(f"n{3 + n}")
        assert running.row(peer, 5 + n)["mail"] == email_of(f"changed{n}") and running.row(peer, 5 + n)["name"] == name_of(f"n{5 + n}")
    streams(running)


@pytest.mark.pairings("mysql-9.7/mysql-9.7", "mysql-9.7/mariadb-10.11")
def test_what_a_cascade_changes_arrives(twin):
    """MySQL logs it as rows."""
    left = twin.servers["left"]
    left.script("""CREATE TABLE auth_db.parent (id BIGINT PRIMARY KEY);
        INSERT INTO auth_db.parent VALUES (1), (2), (3);
        ALTER TABLE auth_db.client_auth ADD COLUMN parent BIGINT NULL,
        ADD FOREIGN KEY (parent) REFERENCES auth_db.parent (id) ON DELETE CASCADE ON UPDATE CASCADE""")
    twin.start()
    for key in range(1, 7):
        twin.insert("left", key, parent=1 + key % 3)
    twin.settle()
    left.sql("DELETE FROM auth_db.parent WHERE id = 1")
    left.sql("UPDATE auth_db.parent SET id = 20 WHERE id = 2")
    twin.settle()
    assert sorted(row[0] for row in twin.link.read(twin.servers["right"], "right")) == [1, 2, 4, 5]
    assert twin.daemon.job()["cause"] == "first_start"
    streams(twin)


def test_a_cascade_that_no_log_would_show_is_refused(running):
    """MariaDB logs none of the rows that it changes: the daemon does not start with one, and halts when one comes."""
    with_rows(running)
    left = running.servers["left"]
    left.script("""CREATE TABLE auth_db.parent (id BIGINT PRIMARY KEY); INSERT INTO auth_db.parent VALUES (1);
        ALTER TABLE auth_db.client_auth ADD COLUMN parent BIGINT NULL,
        ADD FOREIGN KEY f (parent) REFERENCES auth_db.parent (id) ON DELETE RESTRICT""")
    running.update("left", 1, "goes on")
    running.wait_equal()
    left.sql("ALTER TABLE auth_db.client_auth DROP FOREIGN KEY f, ADD FOREIGN KEY g (parent) REFERENCES auth_db.parent (id) "
             "ON DELETE CASCADE")
    halted(running, "left", "auth_db.client_auth", "foreign key that cascades")
    running.daemon.stop()
    running.daemon.start(ready=False)
    assert running.daemon.wait_end() == 2 and "cascading foreign key" in running.daemon.log(), running.daemon.log_tail()
    left.sql("ALTER TABLE auth_db.client_auth DROP FOREIGN KEY g")
    running.daemon.start(ready=False)
    wait_until("it answers", lambda: running.daemon.http("/healthz")[0] == 200, 10 * SLOW)
    halted(running, "left", "foreign key that cascades")
    assert running.daemon.trigger(**{"from": "left"})[0] == 202
    running.daemon.wait_job()
    streams(running)


@pytest.mark.kinds
def test_an_xa_transaction_that_outlives_the_daemon(running):
    """Its rows were logged, and passed over, before the daemon started; they count now."""
    with_rows(running)
    with running.servers["left"].connect() as c, c.cursor() as cursor:
        for statement in ("XA START 'x'", f"UPDATE auth_db.client_auth SET name = '{name_of('by xa')}', sync_version = 9 WHERE id = 4",
                          "XA END 'x'", "XA PREPARE 'x'"):
            cursor.execute(statement)
        running.update("left", 3, "meanwhile")
        running.wait_equal()
        running.daemon.kill()
        running.daemon.start()
        running.update("left", 2, "behind")
        running.wait_equal()
        running.daemon.stop()  # the position behind the PREPARE is stored
        running.daemon.start()
        cursor.execute("XA COMMIT 'x'")
    wait_until("it arrives", lambda: running.names(4) == ("by xa", "by xa") or Why(running.daemon.log_tail()), 20 * SLOW)
    running.settle()
    streams(running)


# ---- Of no concern ----

@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_statements_that_do_not_concern_the_table_pass(running, side):
    """Nothing halts, nothing is resynced, and no row behind them is lost."""
    with_rows(running, 4)
    server, table = running.servers[side], running.link.table(side)
    db, name = table.split(".")
    server.sql("DROP DATABASE IF EXISTS elsewhere")
    job = running.daemon.job()["job"]
    try:
        server.script(f"""CREATE DATABASE elsewhere; USE elsewhere;
            CREATE TABLE {name} (id INT PRIMARY KEY, n INT); INSERT INTO {name} VALUES (1, 1), (2, 2);
            TRUNCATE TABLE {name}; INSERT INTO {name} VALUES (3, 3); ALTER TABLE {name} ADD COLUMN more INT FIRST, DROP COLUMN n;
            CREATE TABLE made AS SELECT id, name FROM {table}; CREATE TABLE likewise LIKE {table};
            INSERT INTO likewise SELECT * FROM {table}; RENAME TABLE made TO swapped, likewise TO made; DROP TABLE made;
            CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10));
            INSERT INTO parts VALUES (1); ALTER TABLE parts TRUNCATE PARTITION p0; DROP TABLE {name};
            CREATE VIEW seen AS SELECT * FROM {table}; DROP VIEW seen;
            CREATE TEMPORARY TABLE {name} (id INT); INSERT INTO {name} VALUES (1); DROP TEMPORARY TABLE {name};
            CREATE PROCEDURE nothing() SELECT 1; DROP PROCEDURE nothing;
            CREATE USER passing_by@localhost; GRANT SELECT ON {table} TO passing_by@localhost; DROP USER passing_by@localhost;
            ANALYZE TABLE {table}; OPTIMIZE TABLE {table}; FLUSH TABLES {table};
            ALTER TABLE {table} ADD INDEX by_name (name), COMMENT = 'TRUNCATE {name}'; ALTER TABLE {table} DROP INDEX by_name;
            USE {db}; CREATE TABLE made AS SELECT id, name FROM {name}; TRUNCATE TABLE made; DROP TABLE made;
            DROP DATABASE elsewhere;""")
        running.update(side, 1, "behind them")
        running.settle()
        assert running.names(1) == ("behind them", "behind them")
        for s in SIDES:
            assert running.daemon.direction(TO[s])["state"] == "streaming"
        assert running.daemon.job()["job"] == job, running.daemon.log_tail()
        streams(running)
    finally:
        server.sql("DROP DATABASE IF EXISTS elsewhere")
        server.sql("DROP USER IF EXISTS passing_by@localhost")


# ---- Events ----

@pytest.fixture
def strange(twin):
    """The left server's log comes through a line that may add events to it."""
    line = StrangeEvents(twin.servers["left"])
    twin.daemon.servers = {"auth": line, "customer": twin.servers["right"]}
    twin.line = line
    twin.start()
    yield twin
    line.close()


@pytest.mark.kinds
@pytest.mark.parametrize("kind", [77, 250])
def test_an_event_of_an_unknown_type_halts(strange, kind):
    """What it says might be rows: nothing behind it is read, and number and place are told."""
    with_rows(strange, 4)
    strange.line.add(kind)
    file = strange.servers["left"].log_end()[0]
    strange.update("left", 1, "behind it")
    reason = halted(strange, "left", f"unknown type {kind}")
    (sent, at), = strange.line.sent
    assert sent == kind and f"{file}:{at}" in reason, reason
    code, text = strange.daemon.http("/readyz")
    assert code == 503 and f"unknown type {kind}" in text, text
    assert strange.names(1)[1] == "n1"
    strange.insert("right", 50)
    wait_until("the other direction goes on", lambda: strange.names(50) == ("n50", "n50"), 10 * SLOW)
    lines = [line for line in strange.daemon.log().splitlines() if f"unknown type {kind}" in line]
    assert 1 <= len(lines) <= 3 and all(" error " in line for line in lines), lines
    assert strange.daemon.trigger(**{"from": "left"})[0] == 202
    strange.daemon.wait_job()
    strange.settle()
    assert strange.names(1) == ("behind it", "behind it")
    streams(strange)


@pytest.mark.kinds
def test_an_unknown_event_that_may_be_ignored_passes(strange):
    with_rows(strange, 4)
    for kind in (77, 200, 255):
        strange.line.add(kind, IGNORABLE)
        strange.update("left", 1, f"behind {kind}")
        strange.wait_equal()
    assert [kind for kind, at in strange.line.sent] == [77, 200, 255]
    assert strange.names(1) == ("behind 255", "behind 255")
    streams(strange)


def test_a_transaction_that_is_rolled_back_in_part(running):
    """Logged with its savepoint, because rows of another engine stay: what stands before it counts, and what may not
    count is looked at in the tables."""
    with_rows(running)
    left = running.servers["left"]
    left.sql("DROP DATABASE IF EXISTS elsewhere")
    left.script("CREATE DATABASE elsewhere; CREATE TABLE elsewhere.log (n INT) ENGINE = MyISAM")
    try:
        with left.connect(autocommit=False) as c, c.cursor() as cursor:
            for statement in ("DELETE FROM auth_db.client_auth WHERE id = 3", "SAVEPOINT a",
                              f"UPDATE auth_db.client_auth SET name = '{name_of('not so')}', sync_version = 50 WHERE id = 4",
                              "INSERT INTO elsewhere.log VALUES (1)", "ROLLBACK TO a",
                              f"UPDATE auth_db.client_auth SET name = '{name_of('behind')}', sync_version = 50 WHERE id = 5"):
                cursor.execute(statement)
            c.commit()
        wait_unlogged(running, "rolled back to a savepoint")
        running.settle()
        assert [running.names(key) for key in (3, 4, 5)] == [(None, None), ("n4", "n4"), ("behind", "behind")]
        streams(running)
    finally:
        left.sql("DROP DATABASE elsewhere")
