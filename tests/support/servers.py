"""Private MariaDB servers for tests and the demo.

Each server has a data folder, a socket and a loopback port of its own and needs
nothing that is installed but Debian's mariadb-server-core and mariadb-client-core:
no service, no configuration under /etc, no other data folder is touched.

A server never outlives the program that started it. It is stopped by its process
id, at the latest when the interpreter ends; and should the interpreter itself be
killed, the kernel ends the server (setpriv --pdeathsig). The latter watches the
*thread* that started the server, so servers are started in main threads only.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import pymysql

LONGEST_SOCKET_PATH = 100  # the kernel takes 107

START_S = 60
STOP_S = 60

# Small and quick. A killed process loses nothing that it has handed to the
# kernel, so there is no need to wait for the disk.
OPTIONS = {
    "bind-address": "127.0.0.1",
    "skip-name-resolve": None,
    "log-bin": "bin",
    "binlog-format": "ROW",
    "binlog-row-image": "FULL",
    "sync-binlog": "0",
    "innodb-buffer-pool-size": "64M",
    "innodb-log-file-size": "48M",
    "innodb-undo-tablespaces": "0",
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-buffer-pool-dump-at-shutdown": "OFF",
    "innodb-buffer-pool-load-at-startup": "OFF",
    "performance-schema": "OFF",
    "aria-pagecache-buffer-size": "8M",
    "key-buffer-size": "1M",
    "max-connections": "60",
    "character-set-server": "utf8mb4",
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
    false object that prints as an explanation (see Why)."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}: {result!r}")
        time.sleep(every_s)


class Why:
    """A false value with an explanation."""

    def __init__(self, text):
        self.text = text

    def __bool__(self):
        return False

    def __repr__(self):
        return str(self.text)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tied_to_us(command):
    """The command, to be killed when the thread that starts it is no more."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command]


class Template:
    """An initialised data folder that is made once and copied for each server."""

    def __init__(self, folder):
        self.folder = folder

    def copy_to(self, datadir):
        os.makedirs(os.path.dirname(self.folder), exist_ok=True)
        with open(self.folder + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.isdir(self.folder):
                self._make()
        subprocess.run(["cp", "-a", "--reflink=auto", self.folder, datadir], check=True)

    def _make(self):
        new = self.folder + ".new"
        shutil.rmtree(new, ignore_errors=True)
        command = ["mariadb-install-db", "--no-defaults", f"--datadir={new}", "--skip-test-db",
                   "--auth-root-authentication-method=normal", "--innodb-undo-tablespaces=0",
                   f"--innodb-log-file-size={OPTIONS['innodb-log-file-size']}"]
        if os.geteuid() == 0:
            command.append("--user=root")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            raise ServerError(f"mariadb-install-db failed:\n{done.stdout}")
        os.rename(new, self.folder)


class Server:
    """One private server. start, kill and start again keep its data and its port."""

    def __init__(self, name, server_id, folder, template, **options):
        self.name = name
        self.server_id = server_id
        self.folder = folder
        self.template = template
        self.options = {**OPTIONS, "server-id": str(server_id)}
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
            self.template.copy_to(self.datadir)
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
        command = ["mariadbd", "--no-defaults", f"--datadir={self.datadir}", f"--socket={self.socket}",
                   f"--tmpdir={self.folder}/tmp", f"--port={port}", f"--pid-file={self.folder}/mariadbd.pid", f"--log-error={self.error_log}"]
        command += [f"--{k}" if v is None else f"--{k}={v}" for k, v in self.options.items()]
        if os.geteuid() == 0:
            command.append("--user=root")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.socket)
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

    def value(self, query, args=None):
        rows = self.rows(query, args)
        return rows[0][0] if rows else None

    def script(self, text, database=None):
        """Runs SQL text through the command line client, as people do."""
        command = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root",
                   "--default-character-set=utf8mb4"]
        if database:
            command.append(database)
        done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        if done.returncode != 0:
            raise ServerError(f"server {self.name}: {done.stdout}")
        return done.stdout

    # ---- The binary log ----

    def gtid(self):
        return self.value("SELECT @@GLOBAL.gtid_binlog_pos")

    def log_end(self):
        """(file, offset) where the binary log ends."""
        return self.rows("SHOW MASTER STATUS")[0][:2]

    def groups_since(self, log_end):
        """The transactions behind a log_end(), each as the list of tables it changed, in order, as "db.table"."""
        name, offset = log_end
        names = [row[0] for row in self.rows("SHOW BINARY LOGS")]
        groups = []
        for file in names[names.index(name):]:
            start = f" FROM {offset}" if file == name else ""
            for row in self.rows(f"SHOW BINLOG EVENTS IN '{file}'{start}"):
                kind, info = row[2], row[5]
                if kind == "Gtid":
                    groups.append([])
                elif kind == "Table_map":
                    groups[-1].append(info[info.index("(") + 1:-1])
        return groups

    def groups_with(self, table, log_end):
        return sum(table in tables for tables in self.groups_since(log_end))


class Servers:
    """Servers that share a folder and a template, all gone at the end."""

    def __init__(self, folder=None, template=None):
        self.owned = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="twinlog-")
        self.template = Template(template or os.path.join(self.folder, "template"))
        self.all = []

    def new(self, name, server_id, **options):
        folder = os.path.join(self.folder, name)
        assert not os.path.exists(folder), f"there is a server {name} already"
        server = Server(name, server_id, folder, self.template, **options)
        self.all.append(server)
        return server

    def close(self):
        for server in self.all:
            server.close()
        if self.owned:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
