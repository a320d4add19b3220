"""Private servers for tests and the demo: MariaDB of this Debian, and others (KINDS).

Each server has a data folder, a socket and a loopback port of its own and needs
nothing that is installed but Debian's mariadb-server-core and mariadb-client-core:
no service, no configuration under /etc, no other data folder is touched. The other
kinds come from tests/servers/install.sh; TWINLOG_SERVERS names the folder that
holds them, one folder each.

A server never outlives the program that started it. It is stopped by its process
id, at the latest when the interpreter ends; and should the interpreter itself be
killed, the kernel ends the server (setpriv --pdeathsig). The latter watches the
*thread* that started the server, so servers are started in main threads only.
"""

import atexit
import contextlib
import fcntl
import glob
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pymysql
import pymysql.cursors
from pymysql.constants import CLIENT

LONGEST_SOCKET_PATH = 100  # the kernel takes 107

START_S = 60
STOP_S = 60

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INSTALLATIONS = os.environ.get("TWINLOG_SERVERS") or os.path.join(ROOT, "var", "servers")
INSTALL = os.path.join(ROOT, "tests", "servers", "install.sh")

# Small and quick. A killed process loses nothing that it has handed to the
# kernel, so there is no need to wait for the disk. But it tears pages: a write of
# 16 KiB may end at any 4 KiB, so InnoDB's doublewrite stays on.
OPTIONS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": None,
    "log-bin": "bin",
    "binlog-format": "ROW",
    "binlog-row-image": "FULL",
    "sync-binlog": "0",
    "innodb-buffer-pool-size": "64M",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
    "performance-schema": "OFF",
    "key-buffer-size": "1M",
    "max-connections": "60",
    "max-allowed-packet": "16M",  # of both families the same
    "character-set-server": "utf8mb4",
}
# These two shape the data folder too.
MARIADB_FILES = {"innodb-log-file-size": "48M", "innodb-undo-tablespaces": "0"}
MARIADB_OPTIONS = {**MARIADB_FILES, "aria-pagecache-buffer-size": "8M"}
MYSQL_OPTIONS = {
    "gtid-mode": "ON",
    "enforce-gtid-consistency": "ON",
    "innodb-redo-log-capacity": "32M",
    "innodb-log-buffer-size": "4M",
    "table-definition-cache": "400",
    "innodb-log-writer-threads": "OFF",  # made for many cores
    "mysqlx": "OFF",             # a second port, the same for all
    "event-scheduler": "OFF",    # nobody has events here, and at times it was seen to spin
    "secure-file-priv": "NULL",  # or a folder of the host
}


class ServerError(Exception):
    pass


def _tail(path, lines=30):
    try:
        with open(path, errors="replace") as f:
            return "".join(f.readlines()[-lines:])
    except OSError as e:
        return str(e)


def wait_until(what, condition, timeout_s=20, every_s=0.01):
    """Calls condition until it returns something true, which is returned. A timeout
    says what was waited for and what the condition returned last: it may return a
    false object that prints as an explanation (see Why). What takes longer is asked
    for less often: a tenth of the time that it has taken, up to 0.1 s."""
    began = time.monotonic()
    deadline = began + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}: {result!r}")
        time.sleep(max(every_s, min(0.1, (time.monotonic() - began) / 10)))


class Why:
    """A false value with an explanation."""

    def __init__(self, text):
        self.text = text

    def __bool__(self):
        return False

    def __repr__(self):
        return str(self.text)


_ports = itertools.count(os.getpid())


def free_port():
    """Of a range of this worker's own, below the ports that the kernel gives to connections: nobody else takes it before it
    is used."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    while True:
        port = 10000 + 2000 * (worker % 10) + next(_ports) % 2000
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


def tied_to_us(command):
    """The command, to be killed when the thread that starts it is no more."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


# ---- Kinds of servers ----

class Kind:
    """A server's program and version, and how it is run: from the host's packages, or
    from an installation of its own with the loader and the libraries that lie there."""

    def __init__(self, name, program, client, options, installed_apart):
        self.name = name
        self.program = program
        self.client = client
        self.options = {**OPTIONS, **options}
        self.prefix = os.path.join(INSTALLATIONS, name) if installed_apart else None

        self.version = name.split("-")[1]  # as far as the name tells it

    @property
    def is_mysql(self):
        return self.family == "MySQL"

    @property
    def family(self):
        return "MySQL" if self.name.startswith("mysql") else "MariaDB"

    def ensure_installed(self):
        if self.prefix is None:
            return
        done = subprocess.run([INSTALL, self.name, self.prefix], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise ServerError(f"no {self.name} to test with:\n{done.stdout}")

    def command(self, program):
        """The words that run one of its programs, "sbin/..." or "bin/..."."""
        if self.prefix is None:
            return [os.path.basename(program)]
        path = os.path.join(self.prefix, "usr", program)
        loaders = glob.glob(os.path.join(self.prefix, "usr/lib/*/ld-linux*.so.*"))
        if not loaders:
            raise ServerError(f"{self.prefix} holds no loader: remove it, and it is made again")
        return [loaders[0], "--argv0", path, "--library-path", os.path.dirname(loaders[0]), path]

    def server_command(self, datadir):
        words = [*self.command(self.program), "--no-defaults", f"--datadir={datadir}"]
        if os.geteuid() == 0:
            words.append("--user=root")
        if self.prefix is not None:
            # The running program is the loader, so that it cannot find its own files.
            share = os.path.join(self.prefix, "usr/share", "mysql" if self.is_mysql else "mariadb")
            words += [f"--basedir={self.prefix}/usr", f"--lc-messages-dir={share}", f"--plugin-dir={self.plugins()}",
                      f"--character-sets-dir={share}/charsets"]
        return words

    def plugins(self):
        return os.path.join(self.prefix, "usr/lib/mysql/plugin")

    def make_data(self, datadir):
        """A new data folder: root@localhost gets in without a password."""
        # A MariaDB that starts removes all temporary tables that it finds, those of others too.
        with tempfile.TemporaryDirectory(prefix="twinlog-") as tmpdir:
            self._make_data(datadir, [*self._files(), f"--tmpdir={tmpdir}"])

    def _make_data(self, datadir, options):
        if self.is_mysql:
            self._run([*self.server_command(datadir), "--initialize-insecure", *options])
        elif self.prefix is None:
            # The script's own way, which works for the host's server alone.
            user = ["--user=root"] if os.geteuid() == 0 else []
            self._run(["mariadb-install-db", "--no-defaults", f"--datadir={datadir}", "--skip-test-db",
                       "--auth-root-authentication-method=normal", *user, *options])
        else:
            os.makedirs(os.path.join(datadir, "mysql"))
            self._run([*self.server_command(datadir), "--bootstrap", *options], self._system_tables())

    def _files(self):
        shaping = MARIADB_FILES if not self.is_mysql else {}
        return [f"--{key}={value}" for key, value in shaping.items()]

    def _system_tables(self):
        share = os.path.join(self.prefix, "usr/share/mariadb")
        text = ["CREATE DATABASE IF NOT EXISTS mysql;\nUSE mysql;\nSET @auth_root_socket = NULL;\n"]
        for name in ("mariadb_system_tables", "mariadb_performance_tables", "mariadb_system_tables_data",
                     "maria_add_gis_sp_bootstrap", "mariadb_sys_schema"):
            with open(os.path.join(share, name + ".sql"), encoding="utf-8") as f:
                # A root and a nobody for the host's name are of no use.
                text += [line for line in f if "@current_hostname" not in line]
        return "".join(text)

    def _run(self, command, text=None):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              input=text or "", check=False)
        if done.returncode != 0:
            raise ServerError(f"no data folder for {self.name}:\n{done.stdout}")


HOME = "mariadb-10.11"  # of this Debian
KINDS = {kind.name: kind for kind in (
    Kind(HOME, "sbin/mariadbd", "bin/mariadb", MARIADB_OPTIONS, installed_apart=False),
    Kind("mariadb-11.8", "sbin/mariadbd", "bin/mariadb", MARIADB_OPTIONS, installed_apart=True),
    Kind("mysql-9.7", "sbin/mysqld", "bin/mysql", MYSQL_OPTIONS, installed_apart=True),
)}


class Template:
    """Data folders that are made once, one of each kind, and copied for each server."""

    def __init__(self, folder):
        self.folder = folder

    def copy_to(self, kind, datadir):
        os.makedirs(self.folder, exist_ok=True)
        made = os.path.join(self.folder, kind.name)
        with open(made + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(made):
                kind.ensure_installed()
                new = made + ".new"
                shutil.rmtree(new, ignore_errors=True)
                kind.make_data(new)
                os.rename(new, made)
        subprocess.run(["cp", "-a", "--reflink=auto", made, datadir], check=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(datadir, "auto.cnf"))  # MySQL's server_uuid: each one its own


class Server:
    """One private server. start, kill and start again keep its data and its port."""

    def __init__(self, name, server_id, folder, template, kind=HOME, **options):
        self.name = name
        self.server_id = server_id
        self.folder = folder
        self.template = template
        self.kind = KINDS[kind]
        self.options = {**self.kind.options, "server-id": str(server_id)}
        self.set_options(**options)
        self.datadir = os.path.join(folder, "data")
        self.socket = os.path.join(folder, "s")
        self.socket_folder = None
        if len(self.socket) > LONGEST_SOCKET_PATH:
            self.socket_folder = tempfile.mkdtemp(prefix="twinlog-", dir="/tmp")
            self.socket = os.path.join(self.socket_folder, "s")
        self.error_log = os.path.join(folder, "error.log")
        self.port = None
        self.process = None
        self._connections = threading.local()
        atexit.register(self.close)

    def set_options(self, **options):
        """log_bin=None takes the option away, ="" gives it without a value. Counts from the next start on."""
        for key, value in options.items():
            key = key.replace("_", "-")
            if value is None:
                self.options.pop(key, None)
            else:
                self.options[key] = value if value != "" else None

    # ---- Life ----

    def start(self):
        assert not self.is_running()
        if threading.current_thread() is not threading.main_thread():
            raise ServerError("a server started here would end with this thread")
        os.makedirs(os.path.join(self.folder, "tmp"), exist_ok=True)
        if not os.path.isdir(self.datadir):
            self.template.copy_to(self.kind, self.datadir)
        tries = 1 if self.port else 5  # another program may take a free port before we do
        for n in range(tries):
            self._launch(self.port or free_port())
            try:
                self._wait_until_it_answers()
                return self
            except ServerError:
                self.kill()
                if n + 1 == tries or "Address already in use" not in _tail(self.error_log):
                    raise
                self.port = None
        raise AssertionError("not reached")

    def _launch(self, port):
        self.port = port
        command = [*self.kind.server_command(self.datadir), f"--socket={self.socket}", f"--tmpdir={self.folder}/tmp",
                   f"--port={port}", f"--pid-file={self.folder}/server.pid", f"--log-error={self.error_log}"]
        command += [f"--{k}" if v is None else f"--{k}={v}" for k, v in self.options.items()]
        for left in (self.socket, self.socket + ".lock"):  # a MySQL takes a dead one's number for a living server
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left)
        # In a session of its own: a Ctrl-C on the terminal is for the program that
        # looks after the servers, not for them.
        self.process = subprocess.Popen(tied_to_us(command), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True)

    def _wait_until_it_answers(self):
        deadline = time.monotonic() + START_S
        while True:
            if self.process.poll() is not None:
                raise ServerError(f"server {self.name} ended:\n{_tail(self.error_log)}")
            try:
                self.connect().close()
                return
            except pymysql.err.OperationalError as e:
                if time.monotonic() > deadline:
                    raise ServerError(f"server {self.name} does not answer: {e}\n{_tail(self.error_log)}") from e
            time.sleep(0.01)

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """A clean shutdown."""
        self._end(signal.SIGTERM)

    def kill(self):
        """What a crash of the process does."""
        self._end(signal.SIGKILL)

    def _end(self, signal_number):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise ServerError(f"server {self.name} did not end within {STOP_S} s") from None
        self.process = None

    def close(self):
        """It is not needed any more. Its data stay where they are."""
        self.kill()
        atexit.unregister(self.close)
        if self.socket_folder:
            shutil.rmtree(self.socket_folder, ignore_errors=True)

    def freeze(self):
        """The process stands still: connections stay, nothing answers."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    # ---- Statements ----

    def connect(self, user="root", password="", database=None, **more):
        """A connection of an application: its times are UTC."""
        more.setdefault("init_command", "SET time_zone = '+00:00'")
        more.setdefault("autocommit", True)
        return pymysql.connect(unix_socket=self.socket, user=user, password=password, database=database,
                               charset="utf8mb4", **more)

    def _connection(self):
        # One for each thread, and a new one once the server has been away.
        c = getattr(self._connections, "c", None)
        if c is not None and (c.of is not self.process or not c.open):
            with contextlib.suppress(pymysql.err.Error, OSError):
                c.close()
            c = None
        if c is None:
            c = self.connect()
            c.of = self.process
            self._connections.c = c
        return c

    def sql(self, statement, args=None):
        """Runs one statement as root; returns how many rows it changed."""
        with self._connection().cursor() as cursor:
            return cursor.execute(statement, args)

    def rows(self, query, args=None):
        with self._connection().cursor() as cursor:
            cursor.execute(query, args)
            return cursor.fetchall()

    def dicts(self, query, args=None):
        """Rows as dicts, by the names of the columns."""
        with self._connection().cursor(pymysql.cursors.DictCursor) as cursor:
            cursor.execute(query, args)
            return cursor.fetchall()

    def value(self, query, args=None):
        rows = self.rows(query, args)
        return rows[0][0] if rows else None

    def client_command(self):
        return [*self.kind.command(self.kind.client), "--no-defaults", f"--socket={self.socket}", "--user=root",
                "--default-character-set=utf8mb4"]

    def script(self, text):
        """Runs SQL text, several statements in one go. What a client program makes of its own, DELIMITER say, is none."""
        with self.connect(client_flag=CLIENT.MULTI_STATEMENTS) as c, c.cursor() as cursor:
            cursor.execute(text)
            while cursor.nextset():
                pass

    def client(self, text):
        """Runs SQL text through the command line client, as people do. A process: slower than script()."""
        done = subprocess.run(self.client_command(), input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            raise ServerError(f"server {self.name}: {done.stdout}")
        return done.stdout

    # ---- The binary log ----

    @contextlib.contextmanager
    def set_back(self):
        """What is on disk at the begin comes back at the end, as after a crash or from a backup. The server is stopped or frozen
        at the begin, and stopped or killed at the end."""
        backup = self.datadir + ".backup"
        try:
            shutil.copytree(self.datadir, backup, symlinks=True, ignore=shutil.ignore_patterns("*.sock*", "*.pid"))
            yield
            shutil.rmtree(self.datadir)
            shutil.move(backup, self.datadir)
        finally:
            shutil.rmtree(backup, ignore_errors=True)

    def gtid(self):
        """What has been logged so far; a MySQL without GTIDs says where its log ends."""
        if not self.kind.is_mysql:
            return self.value("SELECT @@GLOBAL.gtid_binlog_pos")
        return f"{self.value('SELECT @@GLOBAL.gtid_executed')} {self.log_end()}"

    def log_end(self):
        """(file, offset) where the binary log ends."""
        return self.rows("SHOW BINARY LOG STATUS" if self.kind.is_mysql else "SHOW MASTER STATUS")[0][:2]

    def log_files(self):
        return [row[0] for row in self.rows("SHOW BINARY LOGS")]

    def reset_log(self):
        """The binary log begins anew, as if nothing had ever happened."""
        self.sql("RESET BINARY LOGS AND GTIDS" if self.kind.is_mysql else "RESET MASTER")

    def groups_since(self, log_end):
        """The transactions behind a log_end(), each as the list of tables it changed, in order, as "db.table"."""
        name, offset = log_end
        names = self.log_files()
        groups = []
        for file in names[names.index(name):]:
            start = f" FROM {offset}" if file == name else ""
            for row in self.rows(f"SHOW BINLOG EVENTS IN '{file}'{start}"):
                kind, info = row[2], row[5]
                if kind.lower() in ("gtid", "anonymous_gtid", "gtid_tagged", "gtid_tagged_log_event"):
                    groups.append([])
                elif kind == "Table_map":
                    groups[-1].append(info[info.index("(") + 1:info.rindex(")")])
        return groups

    def groups_with(self, table, log_end):
        return sum(table in tables for tables in self.groups_since(log_end))


class Servers:
    """Servers that share a folder and their templates, all gone at the end."""

    def __init__(self, folder=None, template=None):
        self.owned = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="twinlog-")
        self.template = Template(template or os.path.join(self.folder, "template"))
        self.all = []

    def new(self, name, server_id, kind=HOME, **options):
        folder = os.path.join(self.folder, name)
        assert not os.path.exists(folder), f"there is a server {name} already"
        server = Server(name, server_id, folder, self.template, kind, **options)
        self.all.append(server)
        return server

    def drop(self, server):
        """It ends, and its data with it."""
        server.close()
        shutil.rmtree(server.folder)
        self.all.remove(server)

    def close(self):
        for server in self.all:
            server.close()
        if self.owned:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
