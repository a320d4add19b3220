"""Where reading goes on: behind a promoted replica, on a server whose log is not the one that was read, and on a
MySQL that gives no GTIDs or gives them with tags."""

import contextlib
import os
import secrets
import shutil

import pytest

from support.daemon import SLOW
from support.proxy import Proxy
from support.servers import Why, wait_until
from support.twin import SIDES
from test_links import shop  # noqa: F401: a fixture, a second link on the same servers

# The left side is what is looked at.
each_kind = pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mariadb-11.8/mariadb-10.11", "mysql-9.7/mariadb-10.11")
only_mysql = pytest.mark.pairings("mysql-9.7/mariadb-10.11")


def jobs_begun(twin):
    return sum(" resync users: resync " in line and " begins: " in line for line in twin.daemon.log().splitlines())


def wait_gap(twin):
    """A lost position is seen, and a resync mends it."""
    wait_until("a resync begins by itself", lambda: twin.daemon.http("/sync/status")[0] == 200
               and (twin.daemon.job() or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()), 20 * SLOW)
    job = twin.daemon.wait_job()
    assert job["cause"] == "lost_position" and job["reason"], job
    twin.daemon.wait_ready()
    twin.settle()
    return job


def away_behind(twin, keys):
    """Rows of both sides are in step, the daemon is down."""
    twin.start()
    twin.daemon.wait_job()
    for key in keys:
        twin.insert(SIDES[key % 2], key)
    twin.settle()
    twin.daemon.stop()


def log_something(twin, transactions):
    """So many transactions that change no tracked row."""
    server = twin.servers["left"]
    server.sql("CREATE DATABASE IF NOT EXISTS elsewhere")
    server.sql("CREATE TABLE IF NOT EXISTS elsewhere.t (id INT PRIMARY KEY, text VARCHAR(100))")
    for n in range(transactions):
        server.sql("INSERT INTO elsewhere.t VALUES (1, %s) ON DUPLICATE KEY UPDATE text = VALUES(text)", [f"{n}" * 20])


@pytest.fixture
def elsewhere(twin):
    yield
    twin.servers["left"].sql("DROP DATABASE IF EXISTS elsewhere")


@each_kind
def test_a_reset_log_that_has_come_as_far_is_another_log(twin, elsewhere):
    """By its GTIDs alone it could not be told from the one that was read."""
    away_behind(twin, range(1, 7))
    server = twin.servers["left"]
    before = server.gtid()
    server.reset_log()
    # So long that no place of the old log is one of the new log by chance, with as many transactions before it.
    server.sql(f"CREATE DATABASE elsewhere /* {'long ' * 20000} */")
    twin.update("left", 1, name="behind the reset")
    twin.delete("right", 2)
    log_something(twin, 60)
    assert before != server.gtid()
    twin.daemon.start(ready=False)
    job = wait_gap(twin)
    assert "not the one that was read" in job["reason"], job
    assert twin.names(1) == ("behind the reset",) * 2
    assert twin.names(2) == (None, None)  # the other log is whole
    twin.update("left", 3, name="by the stream")
    twin.settle()
    assert twin.names(3) == ("by the stream",) * 2


@each_kind
@pytest.mark.parametrize("goes_on", [False, True], ids=["behind", "as far"])
def test_a_server_that_lost_its_newest_transactions(twin, elsewhere, goes_on):
    """As after a crash with sync_binlog=0, or from a backup: the daemon has read what the server has no more."""
    server = twin.servers["left"]
    twin.start()
    twin.daemon.wait_job()
    for key in range(1, 5):
        twin.insert("left", key)
    twin.settle()
    server.stop()
    with server.set_back():
        server.start()
        twin.update("left", 1, name="will be lost")
        twin.insert("left", 9)
        twin.settle()
        twin.daemon.stop()
        server.stop()
    server.start()
    assert not twin.row("left", 9)
    if goes_on:
        twin.update("left", 2, name="after the crash")
        log_something(twin, 60)
    twin.daemon.start(ready=False)
    wait_gap(twin)
    assert twin.names(1) == ("will be lost",) * 2 and twin.names(9) == ("n9", "n9")  # the other side had it
    if goes_on:
        assert twin.names(2) == ("after the crash",) * 2
    twin.update("left", 3, name="by the stream")
    twin.settle()
    assert twin.names(3) == ("by the stream",) * 2


@each_kind
def test_each_link_on_such_a_server_sees_it(twin, shop):
    """One link is idle and far behind, and its place is still good; another one has read what is lost."""
    server = twin.servers["left"]
    twin.start()
    for link in ("users", "things"):
        wait_until("the first resyncs are done", lambda name=link: (twin.daemon.job(name) or {}).get("state") == "done", 20)
    twin.insert("left", 1)
    shop.insert("left", 1, "kept", i32=1)
    twin.settle()
    server.freeze()  # what is on disk now is what a crash would leave
    with server.set_back():
        server.thaw()
        for n in range(10):
            shop.insert("left", 2, f"lost {n}", i32=1)
        twin.settle()
        twin.daemon.stop()
        server.kill()
    server.start()
    for n in range(6):
        shop.insert("left", 3, f"new {n}", i32=1)
    twin.daemon.start(ready=False)
    wait_until("the link that read what is lost is compared", lambda: twin.daemon.http("/sync/status")[0] == 200
               and (twin.daemon.job("things") or {}).get("cause") == "lost_position" or Why(twin.daemon.log_tail()), 20 * SLOW)
    for n in range(10):
        shop.insert("left", 4, f"later {n}", i32=1)
    twin.daemon.wait_ready()
    twin.settle()
    left = server.rows("SELECT tenant, code FROM shop_left.things ORDER BY 1, 2")
    assert left == twin.servers["right"].rows("SELECT r_tenant, r_code FROM shop_right.items ORDER BY 1, 2")
    assert len(left) == 1 + 10 + 6 + 10, left  # the other side had what was lost


@contextlib.contextmanager
def replica_of(servers, source, name, server_id):
    """A server that has all the source's data, and follows it."""
    replica = servers.new(name, server_id, source.kind.name, **({} if source.kind.is_mysql else {"log_slave_updates": "ON"}))
    source.stop()
    shutil.copytree(source.datadir, replica.datadir, symlinks=True)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{replica.datadir}/auto.cnf")  # a copy shall not have the identity of its original
    source.start()
    replica.start()
    if source.kind.is_mysql:
        replica.sql(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {source.port}, "
                    "SOURCE_USER = 'copy', SOURCE_PASSWORD = 'copy', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1")
        replica.sql("START REPLICA")
    else:
        replica.sql(f"SET GLOBAL gtid_slave_pos = '{replica.value('SELECT @@gtid_binlog_pos')}'")
        replica.sql(f"CHANGE MASTER TO master_host = '127.0.0.1', master_port = {source.port}, "
                    "master_user = 'copy', master_password = 'copy', master_use_gtid = slave_pos")
        replica.sql("START SLAVE")
    try:
        yield replica
    finally:
        servers.drop(replica)


@each_kind
def test_a_promoted_replica_behind_the_same_address_is_followed(twin, servers):
    """Nothing is lost, nothing comes twice, and no resync is needed."""
    source = twin.servers["left"]
    source.sql("CREATE USER 'copy'@'%%' IDENTIFIED BY 'copy'")
    source.sql("GRANT REPLICATION SLAVE ON *.* TO 'copy'@'%%'")
    source.sql("FLUSH BINARY LOGS")  # so that the files of both have different names
    line = Proxy(source)
    try:
        with replica_of(servers, source, f"promoted-{source.kind.name}", 99) as replica:
            twin.daemon.servers = {**twin.daemon.servers, "auth": line}
            twin.start()
            twin.daemon.wait_job()
            for key in range(1, 21):
                twin.insert(SIDES[key % 2], key)
            twin.settle()
            twin.daemon.stop()
            for key in range(1, 11):  # the daemon has to read these from the replica
                twin.update("left", key, name="before the switch")
            wait_until("the replica has all", lambda: replica.value(
                "SELECT COUNT(*) FROM auth_db.client_auth WHERE name LIKE 'before the switch%%'") == 10, 30 * SLOW)
            replica.sql("STOP REPLICA" if source.kind.is_mysql else "STOP SLAVE")
            source.stop()
            line.target = replica.port
            twin.servers["left"] = replica
            twin.daemon.start()
            for key in range(11, 16):
                twin.update("left", key, name="behind the switch")
            twin.update("right", 16, name="from the right")
            twin.settle()
            assert twin.names(5) == ("before the switch",) * 2 and twin.names(12) == ("behind the switch",) * 2
            assert twin.names(16) == ("from the right",) * 2
            assert jobs_begun(twin) == 1, twin.daemon.log_tail()  # the first start's
            assert twin.daemon.conflicts() == []
            twin.daemon.stop()
            twin.servers["left"] = source
    finally:
        line.close()
        twin.servers["left"] = source
        if not source.is_running():
            source.start()
        source.sql("DROP USER 'copy'@'%%'")


@only_mysql
def test_a_server_without_gtids_is_read_by_file_and_offset(twin):
    server = twin.servers["left"]
    server.set_options(gtid_mode="OFF", enforce_gtid_consistency="OFF")
    server.stop()
    server.start()
    assert server.value("SELECT @@gtid_mode") == "OFF"
    twin.start()
    twin.daemon.wait_job()
    for key in range(1, 9):
        twin.insert(SIDES[key % 2], key)
    twin.settle()
    server.sql("FLUSH BINARY LOGS")
    twin.update("left", 1, name="in the next file")
    twin.settle()
    twin.daemon.stop()
    twin.update("left", 2, name="while away")
    server.sql("FLUSH BINARY LOGS")
    twin.delete("left", 3)
    twin.daemon.start()
    twin.settle()
    twin.daemon.kill()
    twin.update("left", 4, name="after a kill")
    twin.daemon.start()
    twin.settle()
    server.kill()
    server.start()
    twin.update("left", 5, name="after the server's kill")
    twin.settle()
    for key, name in ((1, "in the next file"), (2, "while away"), (3, None), (4, "after a kill"),
                      (5, "after the server's kill")):
        assert twin.names(key) == (name, name)
    assert jobs_begun(twin) == 1 and twin.daemon.conflicts() == []
    at = twin.servers["right"].rows("SELECT gtid, binlog_file, binlog_server FROM twinlog.checkpoint "
                                    "WHERE source_side = 'left'")[0]
    assert at == ("", server.log_end()[0], server.value("SELECT @@server_uuid"))


@only_mysql
def test_gtids_with_tags_are_followed(twin):
    server = twin.servers["left"]
    twin.start()
    twin.daemon.wait_job()
    twin.insert("left", 1)
    twin.insert("left", 2)
    twin.settle()
    with server.connect() as c, c.cursor() as cursor:
        for tag in ("blue", "green", "blue"):
            cursor.execute(f"SET gtid_next = 'AUTOMATIC:{tag}'")
            cursor.execute("UPDATE auth_db.client_auth SET sync_version = sync_version + 1 WHERE id = 1")
        cursor.execute("SET gtid_next = 'AUTOMATIC'")
        twin.settle()
        twin.daemon.stop()
        cursor.execute("SET gtid_next = 'AUTOMATIC:red'")
        cursor.execute("DELETE FROM auth_db.client_auth WHERE id = 2")
    twin.daemon.start()
    twin.settle()
    assert twin.names(2) == (None, None)
    assert twin.row("left", 1)["sync_version"] == twin.row("right", 1)["sync_version"]
    gtids = twin.servers["right"].value("SELECT gtid FROM twinlog.checkpoint WHERE source_side = 'left'")
    assert ":blue:" in gtids and ":green:" in gtids and ":red:" in gtids, gtids
    assert jobs_begun(twin) == 1 and twin.daemon.conflicts() == []


@only_mysql
def test_transactions_that_one_session_compresses(running):
    with running.servers["left"].connect() as c, c.cursor() as cursor:
        running.insert("left", 1)
        cursor.execute("SET SESSION binlog_transaction_compression = ON")
        cursor.execute("INSERT INTO auth_db.client_auth (id, name, email_encrypted) "
                       "SELECT id + 1, name, %s FROM auth_db.client_auth", [running.seal("second@zyzzyva.example")])
        running.insert("left", 3)
        cursor.execute("UPDATE auth_db.client_auth SET sync_version = sync_version + 1")
        cursor.execute("DELETE FROM auth_db.client_auth WHERE id = 1")
    running.settle()
    assert running.names(1) == (None, None) and running.names(2) == ("n1", "n1")
    assert running.row("right", 3)["sync_version"] == running.row("left", 3)["sync_version"]
    assert running.daemon.conflicts() == []
    running.daemon.stop()  # a place behind a compressed transaction is a place to go on from
    running.update("left", 2, name="later")
    running.daemon.start()
    running.settle()
    assert running.names(2) == ("later", "later") and jobs_begun(running) == 1


@pytest.mark.pairings("mariadb-11.8/mariadb-10.11")
def test_a_log_that_is_encrypted_and_compressed(twin, tmp_path):
    """The server decrypts it for who reads it as a replica does."""
    server = twin.servers["left"]
    keys = tmp_path / "keys"
    keys.write_text(f"1;{secrets.token_hex(32)}\n")
    server.set_options(plugin_load_add="file_key_management", file_key_management_filename=str(keys),
                       encrypt_binlog="ON", log_bin_compress="ON", log_bin_compress_min_len="10")
    server.stop()
    server.start()
    twin.start()
    twin.daemon.wait_job()
    for key in range(1, 9):
        twin.insert(SIDES[key % 2], key, name="in a log that nobody else can read")
    twin.settle()
    twin.daemon.stop()
    twin.update("left", 1, name="while away")
    server.sql("FLUSH BINARY LOGS")
    twin.delete("left", 2)
    twin.daemon.start()
    twin.settle()
    assert twin.names(1) == ("while away",) * 2 and twin.names(2) == (None, None)
    assert jobs_begun(twin) == 1 and twin.daemon.conflicts() == []
    with open(os.path.join(server.datadir, server.log_files()[-2]), "rb") as f:
        log = f.read()
    assert log[:4] == b"\xfebin" and b"while away" not in log and b"client_auth" not in log
