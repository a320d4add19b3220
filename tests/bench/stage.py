"""The servers of a benchmark, the daemon between two of them, and states of all of them to come back to.

Four servers can run: `auth` and `customer`, twinlog's pair; `replica`, which follows auth as MariaDB's own replication does; and
`copy`, which others fill. A state is a copy of their data folders: every run of a part begins with the same bytes.
"""

import contextlib
import json
import os
import shutil
import subprocess
import time

from support.daemon import ROOT
from support.servers import Servers, tied_to_us, wait_until
from support.twin import Twin, sql_file

LOAD = os.environ.get("TWINLOG_LOAD") or os.path.join(ROOT, "build", "release", "tests", "twinlog_load")

SERVER_IDS = {"auth": 1, "customer": 2, "replica": 3, "copy": 4}
SIDE_OF = {"auth": "left", "replica": "left", "copy": "left", "customer": "right"}

OPTIONS = {"innodb_buffer_pool_size": "256M", "innodb_log_file_size": "96M", "max_connections": "1000",
           "skip_slave_start": "", "net_write_timeout": "600"}
RELAXED = {"sync_binlog": "0", "innodb_flush_log_at_trx_commit": "2"}
DURABLE = {"sync_binlog": "1", "innodb_flush_log_at_trx_commit": "1"}
SETTINGS = {"relaxed": RELAXED, "durable": DURABLE}

REPLICATION_USER = "replication"
APPLY_S = 900  # what no applier needs

LEFT = "auth_db.client_auth"
RIGHT = "customer_db.customers"


class BenchError(Exception):
    """What is wrong, for a person."""


class Stage:
    def __init__(self, folder, quick):
        self.folder = folder
        self.quick = quick
        self.servers = Servers(os.path.join(folder, "servers"), os.path.join(folder, "template"))
        self.states = os.path.join(folder, "states")
        for name, server_id in SERVER_IDS.items():
            setattr(self, name, self.servers.new(name, server_id, **OPTIONS))
        self.twin = None
        self.server_version = None

    @property
    def daemon(self):
        return self.twin.daemon

    # ---- Life ----

    def close(self):
        if self.twin:
            self.twin.close()
        self.servers.close()

    def fresh(self, *names):
        """These servers as new, with the seed's tables and the daemon's account; no checkpoint yet."""
        self.close_twin()
        for server in self.servers.all:
            server.kill()
            shutil.rmtree(server.datadir, ignore_errors=True)
        shutil.rmtree(self.states, ignore_errors=True)
        for name in names:
            getattr(self, name).set_options(**RELAXED)
            getattr(self, name).start()
        self.server_version = self.auth.value("SELECT @@version")
        folder = os.path.join(self.folder, "twinlog")
        shutil.rmtree(folder, ignore_errors=True)
        self.twin = Twin(self.auth, self.customer, folder)
        self.daemon.log_level = "info"
        if "auth" in names and "customer" in names:
            self.twin.make_tables().make_account()
        self.auth.sql(f"CREATE USER {REPLICATION_USER}@'127.0.0.1' IDENTIFIED BY 'loopback only'")
        self.auth.sql(f"GRANT REPLICATION SLAVE ON *.* TO {REPLICATION_USER}@'127.0.0.1'")

    def close_twin(self):
        if self.twin:
            self.twin.close()
            self.twin = None

    def checkpoints(self):
        """The daemon makes its checkpoints on both sides and is stopped: whatever is written from here on is a backlog."""
        self.twin.start()
        for link in self.daemon.links:
            wait_until("the first resync has ended", lambda: (self.daemon.job(link.name) or {}).get("state") == "done", 120)
        self.daemon.wait_ready()
        self.twin.wait_quiet(0.5)
        self.daemon.stop(timeout_s=30)

    def follow(self, replica):
        """A replica of auth, from where auth's log ends now."""
        for name in ("001_seed_auth.sql", "002_add_sync_fields.sql"):
            replica.script(sql_file(name))
        replica.reset_log()
        replica.sql("SET GLOBAL gtid_slave_pos = %s", [self.auth.gtid()])
        replica.sql(f"CHANGE MASTER TO master_host = '127.0.0.1', master_port = {self.auth.port}, "
                    f"master_user = '{REPLICATION_USER}', master_password = 'loopback only', "
                    "master_use_gtid = slave_pos, master_connect_retry = 1")

    # ---- States ----

    def save(self):
        """What the servers hold now, daemon stopped, is what restore() comes back to."""
        for server in self.servers.all:
            if not server.is_running():
                continue
            server.stop()
            saved = os.path.join(self.states, server.name)
            shutil.rmtree(saved, ignore_errors=True)
            os.makedirs(self.states, exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", server.datadir, saved], check=True)

    def restore(self, *names, setting="relaxed", **options):
        """Only these servers run, each as it was saved. options: {server: {option: value}}"""
        if self.twin:
            self.daemon.kill()
        for server in self.servers.all:
            server.kill()
        for name in names:
            server = getattr(self, name)
            shutil.rmtree(server.datadir, ignore_errors=True)
            subprocess.run(["cp", "-a", "--reflink=auto", os.path.join(self.states, name), server.datadir], check=True)
        if not self.quick:
            os.sync()  # no run waits for the disk because of this copy
        for name in names:
            server = getattr(self, name)
            before = dict(server.options)
            server.set_options(**SETTINGS[setting], **options.get(name, {}))
            try:
                server.start()
            finally:
                server.options = before

    # ---- Load ----

    def load(self, mode, server=None, **options):
        """Runs twinlog_load to its end; what it says."""
        return self.load_result(mode, self.load_start(mode, server, **options))

    def load_start(self, mode, server=None, peer=None, **options):
        words = [f"{k.replace('_', '-')}={v}" for k, v in options.items()]
        if server:
            words.append(f"socket={server.socket}")
            if "side" not in options:
                words.append(f"side={SIDE_OF[server.name]}")
        if peer:
            words.append(f"peer={peer.socket}")
            if "peer_side" not in options:
                words.append(f"peer-side={SIDE_OF[peer.name]}")
        return subprocess.Popen(tied_to_us([LOAD, mode, *words]), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, start_new_session=True,
                                env={**os.environ, "ENCRYPTION_KEY_HEX": self.twin.cipher.key.hex()})

    @staticmethod
    def load_result(mode, process):
        try:
            out, errors = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if process.returncode != 0:
            raise BenchError(f"twinlog_load {mode} ended with {process.returncode}:\n{errors.strip()}")
        return json.loads(out)

    # ---- Waiting for an applier ----

    def last_seq(self, server):
        """The last transaction in a server's log: the sequence number of its GTID."""
        return int(server.gtid().split("-")[2])

    def last_row_seq(self, side="left"):
        """The last transaction of an application in a side's log: what twinlog itself writes moves no checkpoint at once,
        so a row is written behind all others."""
        server = self.auth if side == "left" else self.customer
        server.sql(f"UPDATE {LEFT if side == 'left' else RIGHT} SET name = CONCAT(name, ' .'), "
                   "sync_version = sync_version + 1 ORDER BY id DESC LIMIT 1")
        return int(server.value("SELECT @@last_gtid").split("-")[2])

    def wait_applied(self, seq, source="left", every_s=0.02, timeout_s=APPLY_S):
        """twinlog's checkpoint stands behind this transaction of its source."""
        target = self.customer if source == "left" else self.auth
        deadline = time.monotonic() + timeout_s
        while True:
            gtid = target.value("SELECT gtid FROM twinlog.checkpoint WHERE link = 'users' AND source_side = %s", [source])
            if gtid and int(gtid.split("-")[2]) >= seq:
                return
            self._go_on(deadline, f"the checkpoint stands at {gtid}, not at {seq}")
            time.sleep(every_s)

    def wait_row(self, server, key, every_s=0.005, timeout_s=APPLY_S):
        """A row of the tracked table has arrived."""
        table = LEFT if SIDE_OF[server.name] == "left" else RIGHT
        deadline = time.monotonic() + timeout_s
        while not server.rows(f"SELECT id FROM {table} WHERE id = %s", [key]):
            self._go_on(deadline, f"row {key} has not arrived at {server.name}")
            time.sleep(every_s)

    def _go_on(self, deadline, what):
        if self.daemon.process is not None and self.daemon.process.poll() is not None:
            raise BenchError(f"twinlog has ended\n{self.daemon.log_tail()}")
        if time.monotonic() > deadline:
            raise BenchError(f"not within {APPLY_S} s: {what}\n{self.daemon.log_tail()}")

    def wait_replicated(self, replica, gtid, timeout_s=APPLY_S):
        if replica.value("SELECT MASTER_GTID_WAIT(%s, %s)", [gtid, timeout_s]) != 0:
            raise BenchError(f"the replica has not come to {gtid} within {timeout_s} s: {self.replica_error(replica)}")

    @staticmethod
    def replica_error(replica):
        with replica.connect() as c, c.cursor() as cursor:
            cursor.execute("SHOW SLAVE STATUS")
            row = dict(zip([d[0] for d in cursor.description], cursor.fetchone()))
        return row["Last_IO_Error"] or row["Last_SQL_Error"] or "no error"

    # ---- What must hold ----

    def check_twins(self, conflicts=False):
        """Both tables hold the same, and twinlog has come there by the way that was to be measured."""
        self.load("compare", self.auth, peer=self.customer)
        for direction in ("left_to_right", "right_to_left"):
            met = sum(self.daemon.counters(direction)["conflicts"].values())
            if met and not conflicts:
                raise BenchError(f"{met} conflicts, {direction}, where nobody wrote against anybody\n{self.daemon.log_tail()}")
        waiting = self.daemon.quarantine()
        if waiting:
            raise BenchError(f"{len(waiting)} rows wait in quarantine\n{self.daemon.log_tail()}")

    def check_replica(self, replica):
        sums = [server.rows(f"CHECKSUM TABLE {LEFT}")[0][1] for server in (self.auth, replica)]
        if sums[0] != sums[1]:
            raise BenchError("the replica does not hold what its source holds")


@contextlib.contextmanager
def stage(folder, quick):
    for name in ("servers", "states", "twinlog"):
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    made = Stage(folder, quick)
    try:
        yield made
    finally:
        made.close()
        for name in ("servers", "states"):
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
