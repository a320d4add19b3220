"""A server section with several addresses: a primary, and a replica that may be promoted."""

import datetime
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.servers import KINDS, Why, wait_until
from support.tables import Array
from support.twin import SIDES, TO, Twin

NUMBERS = itertools.count(1)


class Cluster:
    """A primary and its replica, by the servers' own replication."""

    def __init__(self, servers, kind):
        n = next(NUMBERS)
        options = {} if KINDS[kind].is_mysql else {"log_slave_updates": "ON", "gtid_strict_mode": "ON"}
        self.first, self.second = (servers.new(f"{name}{n}", server_id, kind, **options).start()
                                   for name, server_id in (("primary", 11), ("standby", 12)))
        self.first.sql("CREATE USER repl@'%' IDENTIFIED BY 'r'")
        self.first.sql("GRANT REPLICATION SLAVE ON *.* TO repl@'%'")
        self.follow(self.second, self.first)

    def follow(self, replica, primary):
        if replica.kind.is_mysql:
            replica.sql("SET GLOBAL super_read_only = 1")
            replica.sql(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST = '127.0.0.1', SOURCE_PORT = {primary.port}, SOURCE_USER = "
                        "'repl', SOURCE_PASSWORD = 'r', SOURCE_AUTO_POSITION = 1, GET_SOURCE_PUBLIC_KEY = 1")
            replica.sql("START REPLICA")
            return
        replica.sql("SET GLOBAL read_only = 1")
        replica.sql(f"CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {primary.port}, MASTER_USER = 'repl', "
                    "MASTER_PASSWORD = 'r', MASTER_USE_GTID = slave_pos")
        replica.sql("START SLAVE")

    def transactions(self, server):
        return server.value("SELECT @@GLOBAL.gtid_executed" if server.kind.is_mysql else "SELECT @@GLOBAL.gtid_binlog_pos")

    def wait_level(self, replica, primary):
        status = "SHOW REPLICA STATUS" if replica.kind.is_mysql else "SHOW ALL SLAVES STATUS"
        wait_until("the replica has all that its primary has",
                   lambda: self.transactions(replica) == self.transactions(primary) or Why(replica.rows(status)))

    def promote(self, replica):
        if replica.kind.is_mysql:
            replica.sql("STOP REPLICA")
            replica.sql("RESET REPLICA ALL")
            replica.sql("SET GLOBAL super_read_only = 0")
        else:
            replica.sql("STOP SLAVE")
            replica.sql("RESET SLAVE ALL")
        replica.sql("SET GLOBAL read_only = 0")

    def addresses(self, *servers):
        return Array([f"127.0.0.1:{server.port}" for server in servers or (self.first, self.second)])


@pytest.fixture
def cluster(servers, pairing):
    made = Cluster(servers, pairing.left)
    yield made
    for server in (made.first, made.second):
        if server.is_running():
            server.thaw()
        servers.drop(server)


def make(cluster, pair, tmp_path, *order, **limits):
    """The seed pair, with the cluster as the left side."""
    twin = Twin(cluster.first, pair[1], str(tmp_path / "twinlog"))
    twin.make_tables().make_account()
    cluster.wait_level(cluster.second, cluster.first)
    twin.daemon.write_config()  # chooses a port
    config = twin.daemon.config()
    config["servers"]["auth"]["host"] = cluster.addresses(*order)
    config["limits"] = limits or {"read_timeout_s": 10}
    twin.daemon.write_config(config)
    twin.daemon.init()
    cluster.wait_level(cluster.second, cluster.first)
    return twin


@pytest.fixture
def twin(cluster, pair, tmp_path):
    made = make(cluster, pair, tmp_path)
    yield made
    made.close()


@pytest.fixture
def running(twin):
    twin.daemon.start()
    twin.daemon.wait_job()
    return twin


def address(twin):
    return twin.daemon.status()["servers"]["auth"]["address"]


def at(server):
    return f"127.0.0.1:{server.port}"


def wait_follows(twin, server):
    def check():
        ready = twin.daemon.is_ready()
        return ready and address(twin) == at(server) or Why(f"{ready}\n{twin.daemon.log_tail()}")

    wait_until("the daemon follows the new primary", check, 30)


@pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mysql-9.7/mariadb-10.11")
def test_a_promoted_replica_is_followed(running, cluster):
    """The primary dies. Nothing is lost, nothing comes twice, nothing is compared anew."""
    for key in range(1, 11):
        running.insert("left", key)
        running.insert("right", 100 + key)
    running.settle()
    assert address(running) == at(cluster.first)
    job, mark = running.daemon.job()["job"], running.servers["right"].log_end()

    # The last writes reach the standby and the daemon, or the standby alone.
    for key in range(11, 31):
        running.insert("left", key)
    cluster.wait_level(cluster.second, cluster.first)
    cluster.first.kill()
    for key in range(111, 121):
        running.insert("right", key)  # these wait
    wait_until("it says that it waits",
               lambda: not running.daemon.is_ready() and "is read-only" in running.daemon.http("/readyz")[1]
               or Why(running.daemon.http("/readyz")), 20)
    assert at(cluster.first) in running.daemon.http("/readyz")[1]
    assert cluster.second.value("SELECT COUNT(*) FROM auth_db.client_auth WHERE id > 110") == 0

    cluster.promote(cluster.second)
    running.servers["left"] = running.daemon.servers["auth"] = cluster.second
    wait_follows(running, cluster.second)
    for key in range(31, 41):
        running.insert("left", key)
    running.update("left", 1, name="after the change")
    running.update("right", 101, name="too")
    running.settle()
    assert len(running.table_rows("left")) == 60
    assert running.daemon.job()["job"] == job, running.daemon.job()
    assert not running.daemon.conflicts()
    # Own inserts (10) and update (1), and the 30 inserts and one update of the left: each once, whatever the batches were.
    inserted = sum(running.daemon.counters(TO["left"])[name] for name in ("inserts", "updates", "deletes"))
    assert inserted == 41, running.daemon.counters(TO["left"])
    assert running.servers["right"].groups_with(running.link.right_table, mark) <= 42


def test_a_planned_change(running, cluster):
    """The old primary lives on as a replica of the new one: open connections to it must not be used any more."""
    running.insert("left", 1)
    running.insert("right", 2)
    running.settle()
    cluster.first.sql("SET GLOBAL read_only = 1")
    cluster.wait_level(cluster.second, cluster.first)
    cluster.promote(cluster.second)
    position = cluster.second.gtid()
    cluster.first.sql(f"SET GLOBAL gtid_slave_pos = '{position}'")
    cluster.follow(cluster.first, cluster.second)
    running.servers["left"] = running.daemon.servers["auth"] = cluster.second
    wait_follows(running, cluster.second)
    running.insert("left", 3)
    running.insert("right", 4)
    running.update("right", 1, name="over there")
    running.settle()
    assert running.names(4)[0] is not None
    # What was written to the old one by anybody else would break its replication.
    cluster.wait_level(cluster.first, cluster.second)
    assert all("-12-" in gtid for gtid in cluster.first.gtid().split(",")), cluster.first.gtid()
    assert not running.daemon.conflicts()


def test_all_connections_move_together(running, cluster):
    """One of them is refused at the old address, which lives on, takes writes and has the others' connections open."""
    running.insert("left", 1)
    running.settle()
    first = cluster.first
    with first.connect() as c, c.cursor() as cursor:
        cursor.execute("SET sql_log_bin = 0")
        cursor.execute("ALTER USER twinlog@'%%' ACCOUNT LOCK", [])
    connections = "SELECT id FROM information_schema.processlist WHERE user = 'twinlog'"
    open_there = [row[0] for row in first.rows(connections + " AND command <> 'Binlog Dump'")]
    assert len(open_there) > 1
    cluster.wait_level(cluster.second, first)
    cluster.promote(cluster.second)
    before = first.gtid()
    first.sql(f"KILL {open_there[0]}")
    running.servers["left"] = running.daemon.servers["auth"] = cluster.second
    wait_follows(running, cluster.second)
    wait_until("no connection to the old address is left", lambda: not first.rows(connections)
               or Why(first.rows("SHOW PROCESSLIST")), 10)
    for key in range(2, 12):
        running.insert("right", key)
        running.insert("left", 100 + key)
    running.settle()
    assert first.gtid() == before


def test_a_frozen_primary_that_wakes_up_again(cluster, pair, tmp_path):
    """It is given up after read_timeout_s. When it wakes up, still taking writes, nobody writes to it."""
    twin = make(cluster, pair, tmp_path, read_timeout_s=3, connect_timeout_s=2)
    try:
        twin.daemon.start()
        twin.daemon.wait_job()
        twin.insert("left", 1)
        twin.settle()
        cluster.wait_level(cluster.second, cluster.first)
        cluster.first.freeze()
        cluster.promote(cluster.second)
        twin.servers["left"] = twin.daemon.servers["auth"] = cluster.second
        wait_follows(twin, cluster.second)
        twin.insert("right", 2)
        twin.settle()
        cluster.first.thaw()
        before = cluster.transactions(cluster.first)
        for key in range(3, 13):
            twin.insert("right", key)
            twin.insert("left", 100 + key)
        twin.settle()
        assert cluster.transactions(cluster.first) == before
        assert address(twin) == at(cluster.second)
    finally:
        twin.close()


def test_a_replica_that_stands_first_is_passed_over(cluster, pair, tmp_path):
    twin = make(cluster, pair, tmp_path, cluster.second, cluster.first)
    try:
        before = cluster.second.log_end()
        twin.daemon.start()
        twin.daemon.wait_job()
        twin.insert("left", 1)
        twin.insert("right", 2)
        twin.settle()
        assert address(twin) == at(cluster.first)
        _, text = twin.daemon.command("status")
        assert at(cluster.first) in text, text
        code, text = twin.daemon.command("verify")
        assert code == 0, text
        cluster.wait_level(cluster.second, cluster.first)
        assert cluster.second.groups_since(before)
    finally:
        twin.close()


def test_what_each_address_says(twin, cluster):
    """No address can be used: the error tells of all of them."""
    cluster.first.stop()
    code, text = twin.daemon.command("check")
    line = next(line for line in text.splitlines() if "auth:" in line)
    assert code == 1 and line.startswith("FAIL"), text
    assert f"{at(cluster.first)}: " in line and f"{at(cluster.second)}: is read-only" in line, line
    cluster.first.start()
    assert twin.daemon.command("check")[0] == 0


def test_an_address_that_refuses_the_account(twin, cluster):
    """Named by check, and no reason not to work with the one that does not."""
    cluster.second.sql("STOP SLAVE")
    cluster.second.sql("SET sql_log_bin = 0")
    cluster.second.sql("DROP USER twinlog@'%'")
    code, text = twin.daemon.command("check")
    assert code == 1 and any(line.startswith("FAIL") and at(cluster.second) in line and "1045" in line
                             for line in text.splitlines()), text
    twin.daemon.start()  # it will be missed only once the primary fails
    twin.daemon.wait_job()
    assert f"check warn: auth: {at(cluster.second)}: " in twin.daemon.log()
    twin.daemon.stop()
    cluster.first.sql("ALTER USER twinlog@'%' IDENTIFIED BY 'another'")
    code, text = twin.daemon.command("check")
    line = next(line for line in text.splitlines() if "auth:" in line)
    assert code == 1 and f"{at(cluster.first)}: " in line and f"{at(cluster.second)}: " in line, text


def replica_line(twin, cluster):
    code, text = twin.daemon.command("check")
    lines = [line for line in text.splitlines() if at(cluster.second) in line]
    assert len(lines) == 1 and code == lines[0].startswith("FAIL"), text
    return lines[0]


def test_check_looks_at_the_replica_too(twin, cluster):
    replica = cluster.second
    assert replica_line(twin, cluster).startswith("ok") and "can take over" in replica_line(twin, cluster)
    replica.sql("SET GLOBAL read_only = 0")
    line = replica_line(twin, cluster)
    assert line.startswith("warn") and "is not read-only" in line, line
    kept = dict(replica.options)
    for options, level, words in (({"log_bin": None, "log_slave_updates": None}, "FAIL", "its binary log is off"),
                                  ({"log_slave_updates": "OFF"}, "FAIL", "what it replicates is not in"),
                                  ({"server_id": "7001"}, "FAIL", "its server_id is the one that twinlog has"),
                                  ({"binlog_format": "MIXED"}, "FAIL", "binlog_format is not ROW"),
                                  ({"replicate_do_db": "auth_db"}, "warn", "replication filters")):
        replica.stop()
        replica.options = dict(kept)
        replica.set_options(read_only="ON", **options)
        replica.start()
        code, text = twin.daemon.command("check")
        lines = [line for line in text.splitlines() if line.startswith(level) and at(replica) in line and words in line]
        assert lines and code == (level == "FAIL"), text
    replica.stop()
    line = replica_line(twin, cluster)
    assert line.startswith("warn") and "connect" in line, line


def test_both_sides_can_be_clusters_of_one_address(make_twin):
    """An array of one is the same as a string."""
    twin = make_twin()
    twin.daemon.write_config()
    config = twin.daemon.config()
    for section in config["servers"].values():
        section["host"] = Array([f"{section['host']}:{section.pop('port')}"])
    twin.daemon.write_config(config)
    twin.daemon.init()
    twin.daemon.start()
    for side in SIDES:
        twin.insert(side, 1 if side == "left" else 2)
    twin.settle()


def make_certificate(folder, name):
    """Signed by itself, for this name alone: (certificate, key) as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
                   .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=1))
                   .not_valid_after(now + datetime.timedelta(days=1))
                   .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
                   .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                   .sign(key, hashes.SHA256()))
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                                       serialization.NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


def test_each_address_must_bear_its_own_name(make_twin, tmp_path):
    """verify_identity: the certificate is asked for the name by which the server was reached, one after the other."""
    twin = make_twin()
    server = twin.servers["left"]
    certificate, key = make_certificate(tmp_path, "localhost")
    server.stop()
    server.set_options(ssl_cert=certificate, ssl_key=key, ssl_ca=certificate)
    server.start()
    twin.daemon.write_config()
    config = twin.daemon.config()
    config["servers"]["auth"].update(host=Array([f"127.0.0.1:{server.port}", f"localhost:{server.port}"]),
                                     tls={"mode": "verify_identity", "ca": certificate})
    twin.daemon.write_config(config)
    twin.daemon.init()
    code, text = twin.daemon.command("check")
    lines = [line for line in text.splitlines() if at(server) in line]
    assert code == 1 and len(lines) == 1 and lines[0].startswith("FAIL") and "2026" in lines[0], text
    assert f"connected to localhost:{server.port}" in text and "host name verified" in text, text
    twin.daemon.start()
    twin.daemon.wait_job()
    assert address(twin) == f"localhost:{server.port}"
    twin.insert("left", 1)
    twin.insert("right", 2)
    twin.settle()
