"""What else a binary log may bring."""

import pytest

from support.servers import Why, wait_until
from support.twin import MAIL_END, NAME_END, SIDES, TO, email_of, name_of


def halted(twin, side, *words):
    """The direction that reads this side stands still and says why."""
    def check():
        direction = twin.daemon.direction(TO[side])
        return direction["state"] == "halted" and all(w.lower() in direction["reason"].lower() for w in words) \
            or Why(f"{direction}\n{twin.daemon.log_tail()}")

    wait_until("the direction is halted", check, 10)
    code, text = twin.daemon.http("/readyz")
    assert code == 503 and words[0].lower() in text.lower(), text


# What of a server's settings changes its log: another value, and the default.
WAYS = {
    "checksum": {"binlog_checksum": ("NONE", "CRC32")},
    "metadata": {"binlog_row_metadata": ("FULL", {"MariaDB": "NO_LOG", "MySQL": "MINIMAL"})},
    "compressed": {"MariaDB": {"log_bin_compress": ("ON", "OFF")}, "MySQL": {"binlog_transaction_compression": ("ON", "OFF")}},
    "statements": {"MariaDB": {"binlog_annotate_row_events": ("OFF", "ON")},
                   "MySQL": {"binlog_rows_query_log_events": ("ON", "OFF")}},
}


def setting(way, family):
    """(name, other value, default) on a server of the family."""
    (name, (value, normal)), = WAYS[way].get(family, WAYS[way]).items()
    return name, value, normal[family] if isinstance(normal, dict) else normal


@pytest.mark.kinds
@pytest.mark.parametrize("way", WAYS)
def test_a_log_that_is_written_in_another_way(running, way):
    """The server's settings change while the daemon reads, and again while it does not."""
    running.insert("left", 1)
    running.settle()
    settings = {side: setting(way, running.servers[side].kind.family) for side in SIDES}
    try:
        for side, (name, value, _) in settings.items():
            running.sql(side, f"SET GLOBAL {name} = '{value}'")
        for n in range(4):
            for side in SIDES:
                running.sql(side, f"INSERT INTO {running.link.table(side)} (id, name, {running.email_column(side)}) "
                                  "VALUES (%s, %s, %s)", [10 * n + 10 + SIDES.index(side), name_of("long " * 40),
                                                          running.email_value(side, email_of(f"z{n}{side}"))])
                running.sql(side, f"UPDATE {running.link.table(side)} SET sync_version = sync_version + 1")
                running.wait_equal()
            if n == 1:
                running.daemon.stop()
                running.daemon.start()
        running.sql("left", "DELETE FROM auth_db.client_auth WHERE id > 20")
        running.settle()
    finally:
        for side, (name, _, normal) in settings.items():
            running.sql(side, f"SET GLOBAL {name} = '{normal}'")
    running.update("left", 1, name="as before")
    running.settle()


@pytest.mark.kinds
def test_a_file_that_a_shutdown_ended_before_it_was_read(running):
    """Its last event, STOP, is a header alone."""
    running.insert("left", 1)
    running.settle()
    running.daemon.stop()
    for n, side in enumerate(SIDES):
        running.insert(side, n + 2)
        running.servers[side].stop()
        running.servers[side].start()
    running.daemon.start()
    running.settle()
    assert [server["reconnects"] for server in running.daemon.status()["servers"].values()] == [0, 0]


@pytest.mark.kinds
@pytest.mark.parametrize("ends", [["XA PREPARE 'x'", "XA COMMIT 'x'"], ["XA PREPARE 'x'", "XA ROLLBACK 'x'"],
                                  ["XA COMMIT 'x' ONE PHASE"]], ids=["commit", "rollback", "one phase"])
def test_rows_of_an_xa_transaction_count_when_it_commits(running, ends):
    running.insert("left", 1)
    running.insert("left", 2)
    running.settle()
    table = running.link.left_table
    with running.servers["left"].connect() as c, c.cursor() as cursor:
        for statement in ("XA START 'x'", f"UPDATE {table} SET name = '{name_of('in doubt')}' WHERE id = 1",
                          f"INSERT INTO {table} (id, name, email_encrypted)"
                          f" SELECT 3, '{name_of('new')}', '{running.seal(email_of('new'))}'",
                          f"DELETE FROM {table} WHERE id = 2", "XA END 'x'"):
            cursor.execute(statement)
        for end in ends[:-1]:
            cursor.execute(end)
            running.insert("left", 4)  # it passes what is prepared
            wait_until("the row comes", lambda: running.row("right", 4) or Why(running.daemon.log_tail()), 10)
            assert running.names(1)[1] == "n1"
            assert running.row("right", 2) and not running.row("right", 3)
        cursor.execute(ends[-1])
    running.settle()
    counts = "ROLLBACK" not in ends[-1]
    assert running.names(1) == (("in doubt",) * 2 if counts else ("n1",) * 2)
    assert bool(running.row("right", 3)) == counts and bool(running.row("right", 2)) != counts
    assert running.daemon.conflicts() == []


def test_an_xa_transaction_of_other_tables_passes(running):
    running.insert("left", 1)
    running.settle()
    server = running.servers["left"]
    server.sql("CREATE DATABASE IF NOT EXISTS elsewhere")
    server.sql("CREATE TABLE elsewhere.t (id INT PRIMARY KEY)")
    try:
        with server.connect() as c, c.cursor() as cursor:
            for statement in ("XA START 'x'", "INSERT INTO elsewhere.t VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"):
                cursor.execute(statement)
            running.update("left", 1, name="while it is prepared")
            running.settle()
            cursor.execute("XA COMMIT 'x'")
        running.update("left", 1, name="behind it")
        running.settle()
        assert running.names(1) == ("behind it", "behind it")
    finally:
        server.sql("DROP DATABASE elsewhere")


@pytest.mark.kinds
def test_savepoints_and_temporary_tables_and_other_databases(running):
    running.insert("left", 1)
    for side in SIDES:
        server = running.servers[side]
        server.sql("DROP DATABASE IF EXISTS elsewhere")
        server.script(f"""
            CREATE DATABASE elsewhere; USE elsewhere;
            CREATE TABLE client_auth (id INT PRIMARY KEY, name TEXT); CREATE TABLE customers LIKE client_auth;
            INSERT INTO client_auth VALUES (1, 'no {NAME_END}'); INSERT INTO customers VALUES (1, 'no {NAME_END}');
            CREATE TEMPORARY TABLE t AS SELECT * FROM {running.link.table(side)}; UPDATE t SET name = 'x'; DROP TABLE t;
            BEGIN; DELETE FROM customers; SAVEPOINT a; UPDATE {running.link.table(side)} SET name = 'gone';
            ROLLBACK TO a; UPDATE {running.link.table(side)} SET name = '{side} {NAME_END}'; COMMIT;
            TRUNCATE customers; DROP TABLE client_auth; DROP DATABASE elsewhere;""")
        running.settle()
        assert running.names(1) == (side, side)


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_rows_of_megabytes_in_other_tables_pass(running, side):
    """Events of more than 16 MiB come in several packets."""
    server = running.servers[side]
    server.sql("DROP DATABASE IF EXISTS elsewhere")
    server.sql("CREATE DATABASE elsewhere")
    normal = server.value("SELECT @@max_allowed_packet")
    server.sql("SET GLOBAL max_allowed_packet = 1073741824")
    try:
        with server.connect() as c, c.cursor() as cursor:
            cursor.execute("CREATE TABLE elsewhere.big (id INT PRIMARY KEY, b LONGBLOB)")
            for n, size in enumerate((1, 16 * 2**20 - 60, 16 * 2**20, 40 * 2**20)):
                cursor.execute(f"INSERT INTO elsewhere.big VALUES ({n}, REPEAT('x', {size}))")
                running.insert(side, n + 1)
        running.settle()
    finally:
        server.sql(f"SET GLOBAL max_allowed_packet = {normal}")
        server.sql("DROP DATABASE elsewhere")


@pytest.mark.kinds
@pytest.mark.parametrize("statement", ["TRUNCATE {table}", "DROP TABLE {table}", "DROP DATABASE {db}",
                                       "ALTER TABLE {table} DROP COLUMN name", "RENAME TABLE {table} TO {db}.other"])
def test_a_table_that_is_taken_away_halts_its_direction(running, statement):
    """Nothing is deleted at the other side, and the other direction goes on."""
    for key in range(1, 4):
        running.insert("left", key)
    running.settle()
    table = running.link.left_table
    running.sql("left", statement.format(table=table, db=table.split(".")[0]))
    halted(running, "left", *([f"column name of {table}"] if "COLUMN" in statement else [statement.split()[0]]))
    assert running.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers") == 3
    assert running.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers WHERE name LIKE %s",
                                          [f"%{NAME_END}"]) == 3
    assert running.daemon.http("/healthz")[0] == 200
    code, text = running.daemon.command("status")
    assert "halted" in text, text
    # It says so again after a restart.
    running.daemon.stop()
    assert running.servers["right"].value("SELECT COUNT(*) FROM customer_db.customers") == 3


@pytest.mark.kinds
def test_rows_that_come_with_statements_are_not_lost_silently(running):
    """A session may switch to statement format; no row event shows what it did."""
    running.insert("left", 1)
    running.settle()
    with running.servers["left"].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION binlog_format = 'STATEMENT'")
        cursor.execute(f"UPDATE auth_db.client_auth SET name = 'by statement {NAME_END}'")

    def told():
        equal = not running.difference()
        code, text = running.daemon.http("/readyz")
        return equal or code == 503 and "statement" in text.lower() or Why(f"{code} {text}\n{running.daemon.log_tail()}")

    wait_until("it is mended or said loudly", told, 15)


def test_a_server_that_stands_still_is_noticed(twin):
    """Connections stay open and nothing comes: only heartbeats tell that from an idle server."""
    twin.daemon.more["limits"] = {"read_timeout_s": 3}
    twin.start()
    twin.insert("left", 1)
    twin.settle()
    twin.servers["left"].freeze()
    try:
        wait_until("it is noticed", lambda: (a := twin.daemon.http("/readyz"))[0] == 503 and "auth" in a[1] or Why(a), 10)
        twin.update("right", 1, name="meanwhile")
    finally:
        twin.servers["left"].thaw()
    twin.settle()
    assert twin.names(1) == ("meanwhile", "meanwhile")


def test_an_idle_pair_stays_ready(twin):
    """Longer than the read timeout, with nothing but heartbeats."""
    twin.daemon.more["limits"] = {"read_timeout_s": 3}
    twin.start()
    twin.insert("left", 1, email=f"idle{MAIL_END}".removesuffix(MAIL_END))
    twin.wait_equal()
    twin.wait_quiet(window_s=5, timeout_s=15)
    assert twin.daemon.is_ready()
    for server in twin.daemon.status()["servers"].values():
        assert server["reconnects"] == 0
    twin.update("right", 1, name="awake")
    twin.settle()


@pytest.mark.kinds
def test_other_tables_writes_move_the_position(running):
    """Somebody else's load must not make a restart read everything again."""
    running.insert("left", 1)
    running.settle()
    for side in SIDES:
        server = running.servers[side]
        server.sql("DROP DATABASE IF EXISTS elsewhere")
        server.script("CREATE DATABASE elsewhere; CREATE TABLE elsewhere.t (id INT PRIMARY KEY, v TEXT);"
                      + "".join(f"INSERT INTO elsewhere.t VALUES ({n}, REPEAT('x', 1000));" for n in range(2000)))
        file, offset = server.log_end()
        server.sql("DROP DATABASE elsewhere")
        peer = running.servers["right" if side == "left" else "left"]

        def stored():
            """The checkpoint of the direction that reads this server."""
            at = peer.rows("SELECT binlog_file, binlog_offset FROM twinlog.checkpoint WHERE source_side = %s", [side])[0]
            return at >= (file, offset) or Why(f"{at}, not yet {(file, offset)}")

        wait_until("the checkpoint moves", stored, 30)
    running.update("left", 1, name="still here")
    running.settle()
