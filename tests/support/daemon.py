"""The daemon under test: its config, its life, and what it says about itself."""

import atexit
import dataclasses
import http.client
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse

from support.servers import Why, free_port, tied_to_us, wait_until
from support.tables import libconfig

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("TWINLOG_BIN") or os.path.join(ROOT, "build", "release", "twinlog")

# Built with sanitizers? They make it slower and its memory says nothing.
SANITIZED = bool(os.environ.get("TWINLOG_SANITIZER")) or os.environ.get("TWINLOG_PRESET") in ("dev", "tsan")
SLOW = 4 if SANITIZED else 1

DB_USER = "twinlog"


class Secrets:
    """What must never be seen in a log: kept together so that a test can look for all of it."""

    def __init__(self, env=None, files=None):
        self.env = env or {}
        self.files = files or {}  # server name -> password that stands in a file


@dataclasses.dataclass
class Answer:
    """Of the daemon's HTTP interface."""

    status: int
    headers: dict
    text: str

    def json(self):
        return json.loads(self.text)

    def error(self):
        """What it says is wrong."""
        return self.json()["error"]


class Daemon:
    """One twinlog process with a folder of its own for config, log and secrets.

    servers: {name: Server}; passwords: {name: text}. The first server's password comes from
    the environment, the others' from files, so that both ways are walked all the time.
    """

    def __init__(self, folder, servers, links, passwords, env, log_level="debug", log_format="text"):
        self.folder = folder
        self.servers = servers
        self.links = links
        self.passwords = passwords
        self.env = dict(env)
        self.log_level = log_level
        self.log_format = log_format
        self.server_ids = {name: 7001 + i for i, name in enumerate(servers)}
        self.token = None
        self.port = None
        self.process = None
        self.more = {}   # top-level settings that are merged into the config as they are
        self.config_path = os.path.join(folder, "twinlog.conf")
        self.log_path = os.path.join(folder, "twinlog.log")
        os.makedirs(folder, exist_ok=True)
        atexit.register(self.kill)

    # ---- Config ----

    def config(self):
        """The config as a dict; a test may change it and pass it to write_config()."""
        servers = {}
        for i, (name, server) in enumerate(self.servers.items()):
            section = {"host": "127.0.0.1", "port": server.port, "user": DB_USER,
                       "server_id": self.server_ids[name]}
            if i == 0:
                section["password_env"] = f"{name.upper()}_DB_PASSWORD"
            else:
                section["password_file"] = os.path.join(self.folder, f"{name}.pw")
            servers[name] = section
        config = {
            "state_database": "twinlog",
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "log": {"level": self.log_level, "format": self.log_format},
            "servers": servers,
            "links": [link.config() for link in self.links],
        }
        for key, value in self.more.items():
            config[key] = {**config.get(key, {}), **value} if isinstance(value, dict) else value
        return config

    def write_config(self, config=None):
        """config: a dict or text; without it the one of config()."""
        if self.port is None:
            self.port = free_port()
        for i, name in enumerate(self.servers):
            if i > 0:
                self.write_secret(f"{name}.pw", self.passwords[name] + "\n")
        text = config if isinstance(config, str) else libconfig(config or self.config())
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    def write_secret(self, name, text):
        path = os.path.join(self.folder, name)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as f:
            f.write(text)

    def environment(self):
        first = next(iter(self.servers))
        return {**os.environ, f"{first.upper()}_DB_PASSWORD": self.passwords[first], **self.env}

    # ---- Commands ----

    def command(self, *words, timeout_s=60):
        """Runs `twinlog WORD -c FILE ...` to its end: (exit code, output and errors as one text)."""
        done = subprocess.run([BINARY, words[0], "-c", self.config_path, *words[1:]], env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=timeout_s, check=False)
        with open(self.log_path, "a", encoding="utf-8") as log:  # for the search for secrets
            log.write(done.stdout)
        return done.returncode, done.stdout

    def init(self):
        code, text = self.command("init")
        assert code == 0, text

    # ---- Life ----

    def start(self, ready=True):
        """Starts it with the config as it was written last."""
        assert not self.is_running()
        with open(self.log_path, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(tied_to_us([BINARY, "run", "-c", self.config_path]),
                                            env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        if ready:
            self.wait_ready()
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_end(self, timeout_s=10):
        """The exit code of a process that is expected to end."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon has not ended within {timeout_s} s\n{self.log_tail()}") from None
        self.process = None
        return code

    def stop(self, timeout_s=5 * SLOW):
        """A clean stop; the exit code must say so."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        code = self.wait_end(timeout_s)
        assert code == 0, f"the daemon ended with {code}\n{self.log_tail()}"

    def kill(self):
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process = None

    def signal(self, number):
        self.process.send_signal(number)

    # ---- What it says ----

    def http(self, path, method="GET", timeout_s=5, headers=None):
        """(status, text); status 0 if nobody answers."""
        try:
            answer = self.request(path, method, timeout_s=timeout_s, headers=headers)
            return answer.status, answer.text
        except OSError as e:
            return 0, str(e)

    def request(self, path, method="GET", body=None, timeout_s=5, headers=None, port=None):
        """The whole answer; OSError if there is none. Without a body POST still has a length, 0."""
        c = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout_s)
        try:
            c.request(method, path, body=body, headers=headers or {})
            answer = c.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            c.close()

    def document(self, path, expected=200):
        """The JSON at a path, which must be answered with this status."""
        code, text = self.http(path)
        assert code == expected, f"{path}: {code}: {text}"
        return json.loads(text)

    def status(self):
        return self.document("/sync/status")

    def direction(self, name, link=None):
        return self.status()["links"][link or self.links[0].name]["directions"][name]

    def counters(self, name, link=None):
        return self.direction(name, link)["counters"]

    def is_ready(self):
        if not self.is_running():
            return Why(f"the daemon is not running\n{self.log_tail()}")
        code, text = self.http("/readyz")
        return code == 200 or Why(f"/readyz: {code}: {text}\n{self.log_tail()}")

    def wait_ready(self, timeout_s=20 * SLOW):
        def check():
            assert self.is_running(), f"the daemon ended with {self.process.poll()}\n{self.log_tail()}"
            return self.is_ready()

        wait_until("every reader streams and every applier is connected", check, timeout_s)

    # ---- Resync ----

    def trigger(self, **parameters):
        """POST /sync/trigger: (status, document)."""
        query = urllib.parse.urlencode(parameters)
        code, text = self.http("/sync/trigger" + ("?" + query if query else ""), "POST")
        return code, json.loads(text) if code else text

    def job(self, link=None):
        """The link's job that runs, or its last one; None if there was none."""
        return self.status()["links"][link or self.links[0].name]["job"]

    def wait_job(self, timeout_s=60 * SLOW, state="done"):
        """Waits until no job runs; the last one, which must have ended in this state."""
        def check():
            if not self.is_running():
                raise AssertionError(f"the daemon has ended\n{self.log_tail()}")
            job = self.job()
            return Why(f"{job}\n{self.log_tail()}") if job is None or job["state"] == "running" else job

        job = wait_until("a resync has ended", check, timeout_s)
        assert job["state"] == state, f"{job}\n{self.log_tail()}"
        return job

    # ---- What waits, what met ----

    def quarantine(self):
        """What waits, by the key's name."""
        return {key["key"]: key for key in self.document("/sync/quarantine?limit=1000")["keys"]}

    def wait_quarantine(self, *names, timeout_s=20 * SLOW):
        """Waits until exactly these keys wait; what is said of them, by name."""
        def check():
            found = self.quarantine()
            return [found] if set(found) == set(names) else Why(f"{found}\n{self.log_tail()}")

        return wait_until(f"in quarantine: {', '.join(names) or 'nothing'}", check, timeout_s)[0]

    def conflicts(self, query="limit=1000"):
        """Conflicts on record, the newest first."""
        return self.document(f"/sync/conflicts?{query}")["conflicts"]

    def memory_peak_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+) kB", f.read()).group(1))

    def log(self):
        if not os.path.exists(self.log_path):
            return ""
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def log_tail(self, lines=25):
        return "--- the end of its log ---\n" + "\n".join(self.log().splitlines()[-lines:])

    def close(self):
        self.kill()
        atexit.unregister(self.kill)


def median(values):
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


class Stopwatch:
    def __init__(self):
        self.began = time.monotonic()

    def s(self):
        return time.monotonic() - self.began
