"""`./dev demo`: two private servers, the seed's two tables, twinlog between them.

Everything lies in var/demo and is new each time, its passwords and keys too. No
process stays behind, however this program ends: it stops what it started, and
should it be killed, the kernel does (see servers.py).
"""

import argparse
import base64
import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from support.daemon import BINARY, ROOT, Daemon
from support.servers import ServerError, Servers, wait_until
from support.tables import Cipher, libconfig
from support.twin import SIDES, TO, make_account, make_seed_table, seed_link

FOLDER = os.path.join(ROOT, "var", "demo")
WIDTH = 110
NAMES = {"left": "auth", "right": "customer"}
TABLES = {"left": "auth_db.client_auth", "right": "customer_db.customers"}
PEER = {"left": "right", "right": "left"}


# ---- Text ----

class Paint:
    """Colour, where somebody looks at it."""

    def __init__(self, stream):
        self.on = stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def __call__(self, text, *codes):
        return f"\033[{';'.join(codes)}m{text}\033[0m" if self.on and text else text

    def bold(self, text):
        return self(text, "1")

    def dim(self, text):
        return self(text, "2")

    def green(self, text):
        return self(text, "32")

    def red(self, text):
        return self(text, "31")

    def side(self, side, text=None):
        return self(NAMES[side] if text is None else text, "36" if side == "left" else "33")


paint = Paint(sys.stdout)


def say(text=""):
    print(text, flush=True)


def fit(text, width):
    """Exactly this wide, shortened with an ellipsis."""
    text = str(text)
    return text[:width - 1] + "…" if len(text) > width else text.ljust(width)


class Step:
    n = 0


def title(text):
    Step.n += 1
    say()
    say(paint.bold(f"{Step.n}. {text}"))
    say()


def shown(path):
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


# ---- The pair ----

class Demo:
    def __init__(self):
        self.cipher = Cipher()
        self.all_servers = Servers(FOLDER, os.path.join(FOLDER, "template"))
        self.servers = {"left": self.all_servers.new("auth", 1), "right": self.all_servers.new("customer", 2)}
        self.passwords = {name: secrets.token_urlsafe(24) for name in NAMES.values()}
        self.daemon = Daemon(FOLDER, {NAMES[side]: self.servers[side] for side in SIDES}, [seed_link(self.cipher)],
                             self.passwords, {}, log_level="info")
        self.tables_shown = {}

    # ---- Start and stop ----

    def start_servers(self):
        for side, server in self.servers.items():
            server.start()
            make_seed_table(server, side)
            make_account(server, self.passwords[NAMES[side]])
            os.chmod(server.folder, 0o700)
            version = server.value("SELECT @@version").split("-")[0]
            mail = {"left": "email_encrypted: AES-256-GCM", "right": "email: plain text, UNIQUE"}[side]
            say(f"   {paint.side(side, NAMES[side].ljust(9))} {('MariaDB ' + version).ljust(18)} "
                f"127.0.0.1:{server.port:<6} {TABLES[side].ljust(23)} {mail}")

    def write_config(self):
        """All secrets in files of mode 0600, so that every command can be repeated by hand."""
        self.daemon.write_config()
        config = self.daemon.config()
        for name, password in self.passwords.items():
            self.daemon.write_secret(f"{name}.pw", password + "\n")
            config["servers"][name].pop("password_env", None)
            config["servers"][name]["password_file"] = os.path.join(FOLDER, f"{name}.pw")
        self.daemon.write_secret("encryption.key", base64.b64encode(self.cipher.key).decode() + "\n")
        for column in config["links"][0]["columns"]:
            if "cipher" in column:
                del column["cipher"]["key_env"]
                column["cipher"]["key_file"] = os.path.join(FOLDER, "encryption.key")
        self.daemon.write_config(libconfig(config))

    def command(self, word):
        """Runs a command of twinlog and shows what it says."""
        say(f"   {paint.dim('$')} {shown(BINARY)} {word} -c {shown(self.daemon.config_path)}")
        done = subprocess.run([BINARY, word, "-c", self.daemon.config_path], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        for line in done.stdout.rstrip().splitlines():
            for part in wrapped(line, WIDTH - 5):
                say("     " + mark(part.rstrip()))
        if done.returncode != 0:
            raise ServerError(f"twinlog {word} ended with {done.returncode}")
        say()

    def start_daemon(self):
        say(f"   {paint.dim('$')} {shown(BINARY)} run -c {shown(self.daemon.config_path)} &")
        began = time.monotonic()
        self.daemon.start()
        with open(os.path.join(FOLDER, "twinlog.pid"), "w", encoding="ascii") as f:
            f.write(f"{self.daemon.process.pid}\n")
        say(f"     process {self.daemon.process.pid}, both directions stream after {ms(began)}")

    def close(self):
        """Ends everything, whatever state it is in."""
        with contextlib.suppress(OSError, AssertionError):
            if self.daemon.is_running():
                self.daemon.signal(signal.SIGCONT)
                self.daemon.stop()
        self.daemon.close()
        for server in self.servers.values():
            with contextlib.suppress(OSError, ServerError):
                server.stop()
        self.all_servers.close()
        for name in ("twinlog.pid", "auth/server.pid", "customer/server.pid"):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(FOLDER, name))

    # ---- The applications' writes ----

    def columns(self, side, name, email):
        values = {"name": name}
        if email is not None:
            values["email_encrypted" if side == "left" else "email"] = \
                self.cipher.seal(email) if side == "left" else email
        return {k: v for k, v in values.items() if v is not None}

    def insert(self, side, key, name, email):
        row = {"id": key, **self.columns(side, name, email)}
        self.servers[side].sql(f"INSERT INTO {TABLES[side]} ({', '.join(row)}) VALUES ({', '.join(['%s'] * len(row))})",
                               list(row.values()))

    def update(self, side, key, name=None, email=None, raised=1):
        row = self.columns(side, name, email)
        self.servers[side].sql(f"UPDATE {TABLES[side]} SET {', '.join(f'{c} = %s' for c in row)}, "
                               f"sync_version = sync_version + {raised} WHERE id = %s", [*row.values(), key])

    def delete(self, side, key):
        self.servers[side].sql(f"DELETE FROM {TABLES[side]} WHERE id = %s", [key])

    def plain(self, side, key):
        """(name, e-mail, version, updated_at) of a row, or None."""
        email = "email_encrypted" if side == "left" else "email"
        rows = self.servers[side].rows(f"SELECT name, {email}, sync_version, updated_at FROM {TABLES[side]} "
                                       "WHERE id = %s", [key])
        if not rows:
            return None
        name, mail, version, updated_at = rows[0]
        return name, self.cipher.open(mail) if side == "left" else mail, version, updated_at

    def write(self, side, what, key, text, change):
        """One write of an application, and how long it takes until the other one sees it."""
        change()
        began = time.monotonic()
        wait_until("the change arrives", lambda: self.plain("left", key) == self.plain("right", key), 30, every_s=0)
        arrow = f"{NAMES[side]} → {NAMES[PEER[side]]}"
        say(f"   {paint.side(side, arrow.ljust(17))}  {what:<6}  {fit(f'{key}  {text}', 58)}  {paint.green(ms(began)):>8}")

    # ---- Tables ----

    def show_tables(self):
        """Both tables as they stand on the servers, side by side."""
        email = {"left": "email_encrypted", "right": "email"}
        widths = (2, 15, 21, 7)

        def line(cells):
            return "  ".join(fit(cell, width) for cell, width in zip(cells, widths))

        rows = {side: self.servers[side].rows(f"SELECT id, name, {email[side]}, sync_version FROM {TABLES[side]} "
                                              "ORDER BY id") for side in SIDES}
        blank = " " * (sum(widths) + 2 * (len(widths) - 1))
        heads = [(paint.side(side, TABLES[side].ljust(len(blank))),
                  paint.dim(line(("id", "name", email[side], "version")))) for side in SIDES]
        for parts in zip(*heads):
            say("   " + "    ".join(parts).rstrip())
        for n in range(max(1, *(len(r) for r in rows.values()))):
            cells = [self.table_line(side, rows[side], n, line, blank) for side in SIDES]
            say("   " + "    ".join(cells).rstrip())
        self.tables_shown = rows

    def table_line(self, side, rows, n, line, blank):
        if n >= len(rows):
            return paint.dim("(no rows)".ljust(len(blank))) if not rows and n == 0 else blank
        text = line(rows[n])
        is_new = rows[n] not in self.tables_shown.get(side, ())
        return paint.bold(text) if is_new else text

    # ---- What is shown ----

    def before_and_after(self):
        title("Both tables before")
        self.show_tables()
        title("Each application writes into its own table; the time is from commit to visible on the other side")
        self.write("left", "insert", 1, "Ada Lovelace", lambda: self.insert("left", 1, "Ada Lovelace", "ada@example.org"))
        self.write("right", "insert", 2, "Grace Hopper",
                   lambda: self.insert("right", 2, "Grace Hopper", "grace@example.org"))
        self.write("left", "insert", 3, "Alan Turing", lambda: self.insert("left", 3, "Alan Turing", "alan@example.org"))
        self.write("right", "insert", 4, "Emmy Noether",
                   lambda: self.insert("right", 4, "Emmy Noether", "emmy@example.org"))
        self.write("right", "update", 1, "a new e-mail, countess@example.org",
                   lambda: self.update("right", 1, email="countess@example.org"))
        self.write("left", "update", 2, "a new name, Grace M. Hopper", lambda: self.update("left", 2, "Grace M. Hopper"))
        self.write("right", "delete", 3, "Alan Turing", lambda: self.delete("right", 3))
        title("Both tables after: the e-mail is encrypted on one side and plain on the other")
        self.show_tables()
        sealed = self.servers["left"].value("SELECT email_encrypted FROM auth_db.client_auth WHERE id = 1")
        say()
        say(f"   row 1 at {paint.side('left')}, in full: {sealed}")

    def freeze(self):
        """Halts twinlog, unless that caught it within a transaction: the applications would wait for its locks."""
        self.daemon.signal(signal.SIGSTOP)
        until = time.monotonic() + 0.15  # the list of transactions is up to 0.1 s old
        while time.monotonic() < until:
            if any(self.servers[side].value("SELECT COUNT(*) FROM information_schema.INNODB_TRX") for side in SIDES):
                self.daemon.signal(signal.SIGCONT)
                return False
        return True

    def conflict(self, key, rule, changes, explain):
        """Both sides change a row while twinlog stands still. Then it goes on and decides."""
        before = self.conflicts()
        wait_until("twinlog is caught with no row locked", self.freeze, 30)
        for side, change in changes:
            change()
            name, _, version, updated_at = self.plain(side, key)
            say(f"   {paint.side(side, NAMES[side].ljust(9))} row {key}: {fit(name, 24)} sync_version {version}   "
                f"updated_at {updated_at.time().isoformat()}")
        began = time.monotonic()
        self.daemon.signal(signal.SIGCONT)
        wait_until("the conflict is decided", lambda: self.plain("left", key) == self.plain("right", key), 30, every_s=0)
        took = ms(began)
        counted = wait_until("it is counted", lambda: [r for r, n in self.conflicts().items() if n > before[r] and r != "equal"], 10)
        name = self.plain("left", key)[0]
        winner = next(side for side, _ in changes if self.names_written[side] == name)
        say(f"   {paint.green('decided')}   {paint.bold(NAMES[winner])} wins: both sides hold “{name}”, after {took}")
        say(f"             rule: {', '.join(counted)}, as the status counters say ({explain})")
        assert counted == [rule], counted

    def conflicts(self):
        total = {}
        for direction in TO.values():
            for reason, n in self.daemon.counters(direction)["conflicts"].items():
                total[reason] = total.get(reason, 0) + n
        return total

    def conflicts_before_your_eyes(self):
        title("A conflict: twinlog is halted (SIGSTOP), both sides change the same row, twinlog goes on")
        self.names_written = {"left": "Adm. Hopper", "right": "Dr. Hopper"}
        self.conflict(2, "version", [("left", lambda: self.update("left", 2, "Adm. Hopper")),
                                     ("right", lambda: self.update("right", 2, "Dr. Hopper", raised=2))],
                      "the higher sync_version")
        say()
        self.names_written = {"left": "Emmy N.", "right": "A. E. Noether"}
        self.conflict(4, "updated_at", [("right", lambda: self.update("right", 4, "A. E. Noether")),
                                        ("left", lambda: self.update("left", 4, "Emmy N."))],
                      "the versions are equal, so the later updated_at")
        say()
        self.show_tables()

    def how_to_look_around(self):
        say(paint.bold("To look around"))
        say()
        for server in self.servers.values():
            say(f"   mariadb --socket={shown(server.socket)} --user=root")
        say(f"   {shown(BINARY)} status -c {shown(self.daemon.config_path)}")
        say(f"   curl http://127.0.0.1:{self.daemon.port}/sync/status")
        say()
        say(f"   config {shown(self.daemon.config_path)}   log {shown(self.daemon.log_path)}")


def ms(began):
    return f"{(time.monotonic() - began) * 1000:.1f} ms"


def wrapped(line, width):
    """A long line in several, the later ones further in."""
    indent = "       "
    while len(line) > width:
        cut = line.rfind(" ", len(indent) + 1, width)
        cut = cut if cut > 0 else width
        yield line[:cut]
        line = indent + line[cut:].lstrip()
    yield line


def mark(line):
    """check's verdict in colour."""
    word = line.split(" ", 1)[0]
    if word == "ok":
        return paint.green(word) + line[len(word):]
    if word == "FAIL":
        return paint.red(word) + line[len(word):]
    return line


def wait_for_enter():
    say()
    say(paint.bold("Everything keeps running. Enter or Ctrl-C stops it."))
    sys.stdin.readline()


def show(demo, stay):
    say(paint.bold("twinlog keeps two tables equal, in both directions, from the servers' binary logs"))
    title("Two private MariaDB servers, each with a table of its own")
    demo.start_servers()
    title("Control tables, and a look at everything that has to be right")
    demo.write_config()
    demo.command("init")
    demo.command("check")
    demo.start_daemon()
    demo.before_and_after()
    demo.conflicts_before_your_eyes()
    title("What the daemon says")
    demo.command("status")
    if stay:
        demo.how_to_look_around()
        wait_for_enter()


class Ended(Exception):
    """A signal asks us to end."""


def end(number, _frame):
    raise Ended(number)


def take_the_folder():
    """An empty var/demo, and a lock that one demo at a time holds."""
    os.makedirs(os.path.dirname(FOLDER), exist_ok=True)
    # The lock stays with this process; ours alone, so that children do not keep it.
    lock = os.open(FOLDER + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"demo: another demo is running in {shown(FOLDER)}")
    shutil.rmtree(FOLDER, ignore_errors=True)
    os.mkdir(FOLDER, 0o700)
    return lock


def main():
    options = argparse.ArgumentParser(prog="./dev demo", description="two private servers, both tables, twinlog between them")
    options.add_argument("--exit", action="store_true", help="do not wait for Enter at the end")
    args = options.parse_args()
    sys.stdout.reconfigure(errors="replace")
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"demo: no program {shown(BINARY)}; ./dev build makes it")

    take_the_folder()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    demo = Demo()
    code = 0
    try:
        show(demo, stay=not args.exit)
    except Ended as e:
        # Ctrl-C is how a demo is left; after another signal the exit code tells.
        code = 0 if e.args[0] == signal.SIGINT else 128 + e.args[0]
    except BrokenPipeError:
        code = 1
    except (ServerError, AssertionError) as e:
        print(f"demo: {e}", file=sys.stderr)
        code = 1
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        demo.close()
    with contextlib.suppress(OSError):  # a terminal that is gone
        say()
        say(f"All stopped. Data, config and log are in {shown(FOLDER)}.")
    os._exit(code)  # nothing is left to do, and a stream that cannot be flushed is no error


if __name__ == "__main__":
    main()
