"""The seed pair: an auth server, a customer server, the daemon between them, and
the two applications that own the tables."""

import base64
import contextlib
import os
import re
import secrets
import time

import pymysql

from support.daemon import DB_USER, ROOT, SLOW, Daemon
from support.servers import Why, wait_until
from support.tables import Cipher, Column, Link

SIDES = ("left", "right")
PEER = {"left": "right", "right": "left"}
TO = {"left": "left_to_right", "right": "right_to_left"}

# Every name and e-mail of a test ends like this, so that a log can be searched for them.
NAME_END = "Quixotry"
MAIL_END = "@zyzzyva.example"


def name_of(text):
    return f"{text} {NAME_END}"


def email_of(text):
    return f"{text}{MAIL_END}"


def sql_file(name):
    with open(os.path.join(ROOT, "sql", name), encoding="utf-8") as f:
        return f.read()


def seed_link(cipher, **more):
    return Link(name="users", left_table="auth_db.client_auth", right_table="customer_db.customers", cipher=cipher,
                columns=[Column("id"), Column("name"),
                         Column("email_encrypted", "email", sealed_side="left", key_env="ENCRYPTION_KEY"),
                         Column("created_at")], **more)


class Twin:
    """Two servers with fresh tables and a daemon that is not yet started."""

    def __init__(self, auth, customer, folder, more_links=(), **link):
        self.servers = {"left": auth, "right": customer}
        self.cipher = Cipher()
        self.link = seed_link(self.cipher, **link)
        self.passwords = {"auth": secrets.token_urlsafe(18), "customer": secrets.token_urlsafe(18)}
        self.daemon = Daemon(folder, {"auth": auth, "customer": customer}, [self.link, *more_links],
                             self.passwords, {"ENCRYPTION_KEY": base64.b64encode(self.cipher.key).decode()})
        self.sealed = set()  # every encrypted value seen

    # ---- Preparing ----

    def make_tables(self):
        for side in SIDES:
            make_seed_table(self.servers[side], side)
        return self

    def make_account(self):
        for server, password in zip(self.servers.values(), self.passwords.values()):
            make_account(server, password)
        return self

    def start(self):
        """Config, control tables, and go."""
        self.daemon.write_config()
        self.daemon.init()
        self.daemon.start()
        return self

    # ---- The two applications ----

    def sql(self, side, statement, args=None):
        return self.servers[side].sql(statement, args)

    def seal(self, email):
        text = self.cipher.seal(email)
        self.sealed.add(text)
        return text

    def email_value(self, side, email):
        return self.seal(email) if side == "left" else email

    def email_column(self, side):
        return "email_encrypted" if side == "left" else "email"

    def insert(self, side, key, name=None, email=None, **columns):
        """A new row; what is not given is what the table's defaults say."""
        row = {"id": key, "name": name_of(name or f"n{key}"),
               self.email_column(side): self.email_value(side, email_of(email or f"m{key}")), **columns}
        self.sql(side, f"INSERT INTO {self.link.table(side)} ({', '.join(row)}) "
                       f"VALUES ({', '.join(['%s'] * len(row))})", list(row.values()))

    def update(self, side, key, name=None, email=None, raise_version=True, **columns):
        """By the rules of the seed tables: the application raises sync_version with each write."""
        row = dict(columns)
        if name is not None:
            row["name"] = name_of(name)
        if email is not None:
            row[self.email_column(side)] = self.email_value(side, email_of(email))
        sets = [f"{c} = %s" for c in row] + (["sync_version = sync_version + 1"] if raise_version else [])
        return self.sql(side, f"UPDATE {self.link.table(side)} SET {', '.join(sets)} WHERE id = %s",
                        [*row.values(), key])

    def delete(self, side, key):
        return self.sql(side, f"DELETE FROM {self.link.table(side)} WHERE id = %s", [key])

    def unlogged(self, side, *statements):
        """Writes that no binary log tells of: the tables drift apart, and no resync under way sees that."""
        if self.daemon.is_running() and self.daemon.job():
            wait_until("no resync runs", lambda: self.daemon.job()["state"] != "running", 60 * SLOW)
        with self.servers[side].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            for statement in statements:
                cursor.execute(*([statement] if isinstance(statement, str) else statement))

    def unlogged_insert(self, side, key, email, name="in the way"):
        """A row that the other side knows nothing of."""
        self.unlogged(side, (f"INSERT INTO {self.link.table(side)} (id, name, {self.email_column(side)}) "
                             "VALUES (%s, %s, %s)",
                             [key, name_of(name), self.email_value(side, email_of(email))]))

    def table_rows(self, side, without=()):
        """Every column of every row, those too that are not mapped, by key."""
        server, table = self.servers[side], self.link.table(side)
        return {row[0]: row for row in server.rows(f"SELECT id, t.* FROM {table} AS t") if row[0] not in without}

    def row(self, side, key):
        """All columns of a row as a dict, with the e-mail in plain text as "mail"; None if there is none."""
        server, table = self.servers[side], self.link.table(side)
        found = server.dicts(f"SELECT * FROM {table} WHERE id = %s", [key])
        if not found:
            return None
        row = found[0]
        row["mail"] = self.cipher.open(row["email_encrypted"]) if side == "left" else row["email"]
        return row

    def names(self, key):
        """(left's, right's) name of a key without its common end; None where the row is absent."""
        rows = [self.servers[side].rows(f"SELECT name FROM {self.link.table(side)} WHERE id = %s", [key]) for side in SIDES]
        return tuple(row[0][0].removesuffix(" " + NAME_END) if row else None for row in rows)

    @contextlib.contextmanager
    def change_that_waits_for_a_lock(self):
        """An application locks the row that the applier wants to write."""
        self.insert("left", 1)
        self.settle()
        with self.servers["right"].connect() as c, c.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT id FROM customer_db.customers WHERE id = 1 FOR UPDATE")
            self.update("left", 1, name="later")
            wait_until("the applier waits for the row", lambda: self.servers["right"].value(
                "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"), 10 * SLOW)
            yield

    # ---- What must hold ----

    def difference(self):
        return "\n".join(filter(None, (link.difference(self.servers["left"], self.servers["right"])
                                       for link in self.daemon.links)))

    def wait_equal(self, timeout_s=20 * SLOW):
        """Both tables hold the same, in plain text, in every mapped column, version and time. Returns the gtids() from
        before they were read."""
        def check():
            before = self.gtids()
            difference = self.difference()
            if difference and not self.daemon.is_running():
                raise AssertionError(f"the daemon has ended\n{difference}\n{self.daemon.log_tail()}")
            return Why(f"\n{difference}\n{self.daemon.log_tail()}") if difference else before

        return wait_until("both tables are equal", check, timeout_s)

    def gtids(self):
        return [server.gtid() for server in self.servers.values()]

    def wait_quiet(self, window_s=1.0, timeout_s=30 * SLOW):
        """Nobody writes anything to either server any more: over the whole window their logs, which only grow, are the same.
        Returns the last."""
        deadline = time.monotonic() + timeout_s
        since, last = time.monotonic(), self.gtids()
        while time.monotonic() - since < window_s:
            time.sleep(window_s / 4)
            now = self.gtids()
            if now != last:
                since, last = time.monotonic(), now
            assert time.monotonic() < deadline, f"not quiet within {timeout_s} s: {now}\n{self.daemon.log_tail()}"
        return last

    def settle(self, window_s=1.0, timeout_s=30 * SLOW):
        """Equal, and quiet, and still equal: the end of every test."""
        before = self.wait_equal(timeout_s)
        if self.wait_quiet(window_s, timeout_s) == before:
            return  # nothing was written since, so there is nothing new to read
        difference = self.difference()
        assert not difference, f"equal first, then not:\n{difference}\n{self.daemon.log_tail()}"

    def marks(self):
        """Where both logs end now, for writes_since()."""
        return {side: server.log_end() for side, server in self.servers.items()}

    def writes_since(self, marks):
        """How many transactions have changed the table of each side since then: (left's, right's)."""
        return tuple(self.servers[side].groups_with(self.link.table(side), marks[side]) for side in SIDES)

    def secrets(self):
        """What no log may hold, whatever happens."""
        with contextlib.suppress(pymysql.err.Error):  # a test may have taken the table away
            for text in self.servers["left"].rows(f"SELECT email_encrypted FROM {self.link.left_table}"):
                self.sealed.add(text[0])
        return key_texts(self.cipher.key) | set(self.passwords.values()) | self.sealed | {NAME_END, MAIL_END}

    def close(self):
        self.daemon.close()


def key_texts(key):
    return {key.hex(), key.hex().upper(), base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode(),
            key.decode("latin-1"), key.decode("utf-8", "replace")}


def find_secrets(log, forbidden):
    """Lines that hold what they must not. JSON may write it with escapes."""
    found = []
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m.group(1), 16)), log).replace("\\/", "/")
    lines = {*log.splitlines(), *plain.splitlines()}
    # There may be a million texts: those whose beginning stands nowhere need no search.
    beginnings = {line[i:i + 6] for line in lines for i in range(len(line) - 5)}
    texts = [text for text in forbidden if text and len(text) > 5 and text[:6] in beginnings]
    for line in lines:
        found += [line for text in texts if text in line]
    return found


# What a user runs, in this order.
SEED = {"left": ("001_seed_auth.sql", "002_add_sync_fields.sql"),
        "right": ("001_seed_customer.sql", "003_add_sync_fields.sql")}


def make_seed_table(server, side):
    """The seed's table as new, with the sync fields; no control table and no account."""
    for database in ("auth_db", "customer_db", "twinlog"):
        server.sql(f"DROP DATABASE IF EXISTS {database}")
    server.sql(f"DROP USER IF EXISTS {DB_USER}")
    for name in SEED[side]:
        server.script(sql_file(name))


def make_account(server, password):
    """The daemon's account, with what sql/grants.sql gives it."""
    server.script(sql_file("grants.sql"))
    server.sql(f"ALTER USER '{DB_USER}'@'%%' IDENTIFIED BY %s ACCOUNT UNLOCK", [password])


def purge(twin, side):
    """All binlogs but the last one are gone, and with them whatever the checkpoint names."""
    server = twin.servers[side]
    twin.sql(side, "FLUSH BINARY LOGS")
    last = server.rows("SHOW BINARY LOGS")[-1][0]

    def purged():
        # The server keeps a file for a reader that is gone, as long as it has not noticed that.
        for (connection,) in server.rows("SELECT id FROM information_schema.processlist WHERE user = 'twinlog'"):
            with contextlib.suppress(pymysql.err.Error):
                server.sql(f"KILL {connection}")
        server.sql(f"PURGE BINARY LOGS TO '{last}'")
        return [row[0] for row in server.rows("SHOW BINARY LOGS")] == [last]

    wait_until("the binlogs are purged", purged, 10)
