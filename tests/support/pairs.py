"""Pairs of tables beside the seed's, made for one test: a link between `tl`.x on the left and `tr`.x on the right."""

import contextlib
import json

from support.daemon import DB_USER
from support.servers import Why, wait_until
from support.tables import Column, Link
from support.twin import SIDES, TO

SYNC = ("BIGINT UNSIGNED NOT NULL DEFAULT 1",
        "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)", "TIMESTAMP(6) NULL DEFAULT NULL")

DATABASES = {"left": "tl", "right": "tr"}


def name(text):
    """An identifier, in back-quotes."""
    return "`" + text.replace("`", "``") + "`"


def integer(text):
    """As MySQL reads it: what does not fit 64 bits is a double."""
    n = int(text)
    return n if -2**63 <= n < 2**64 else float(n)


class PairLink(Link):
    """A link with any names, that compares some of its columns as JSON documents: families keep them as different texts."""

    documents = frozenset()

    def select(self, side):
        columns = [c.read.format(name(getattr(c, side))) for c in self.columns]
        key = [name(getattr(c, side)) for k in self.key for c in self.columns if c.left == k]
        return (f"SELECT {', '.join(columns)}, {name(self.version)}, {name(self.updated_at)} FROM {self.table(side)} "
                f"ORDER BY {', '.join(key)}")

    def read(self, server, side):
        rows = super().read(server, side)
        places = {i for i, column in enumerate(self.columns) if column.left in self.documents}
        return [tuple(json.dumps(json.loads(v, parse_int=integer), sort_keys=True) if i in places and v is not None else v
                      for i, v in enumerate(row)) for row in rows]


class Pair:
    """One link and its two tables. columns: {name: type}, or {name: {side: type}}. unmapped: {name: type}, in front of them."""

    def __init__(self, twin, table, columns, key=("id",), reads=None, sets=(), documents=(), databases=DATABASES, unmapped=None, **link):
        self.twin = twin
        self.columns = columns
        self.unmapped = unmapped or {}
        self.databases = databases
        reads = reads or {}
        self.tables = {side: f"{name(databases[side])}.{name(table)}" for side in SIDES}
        self.link = PairLink(name=link.pop("link", "".join(c for c in table if c.isascii() and c.isalnum()) or "pair"),
                              left_table=self.tables["left"], right_table=self.tables["right"], key=list(key),
                              columns=[Column(c, read=reads.get(c, "{}"), is_set=c in sets) for c in columns], **link)
        self.link.documents = set(documents)
        self.key = list(key)
        self.version = name(self.link.version)
        for side in SIDES:
            self._make(side)
        twin.daemon.links.append(self.link)

    def type(self, side, column):
        kind = self.columns[column]
        return kind[side] if isinstance(kind, dict) else kind

    def _make(self, side):
        server, database = self.twin.servers[side], self.databases[side]
        server.sql(f"CREATE DATABASE IF NOT EXISTS {name(database)}")
        lines = [f"{name(column)} {kind}" for column, kind in self.unmapped.items()]
        lines += [f"{name(column)} {self.type(side, column)}" for column in self.columns]
        names = (self.link.version, self.link.updated_at, self.link.synced_at)
        lines += [f"{name(column)} {kind}" for column, kind in zip(names, SYNC)]
        lines += [f"PRIMARY KEY ({', '.join(name(k) for k in self.key)})"]
        server.script(f"CREATE TABLE {self.tables[side]} (\n  " + ",\n  ".join(lines) +
                      "\n) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;")
        server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self.tables[side]} TO '{DB_USER}'@'%'")

    # ---- The application; values are SQL text ----

    def run(self, side, statements, at_once=False):
        """In one session that takes what a strict one would not: zero dates among them. at_once: in one transaction."""
        with self.twin.servers[side].connect(autocommit=not at_once) as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'")
            for statement in statements:
                cursor.execute(statement)
            c.commit()

    def insert(self, side, *rows, at_once=False):
        self.run(side, [f"INSERT INTO {self.tables[side]} ({', '.join(name(c) for c in row)}) "
                        f"VALUES ({', '.join(row.values())})" for row in rows], at_once)

    def where(self, row):
        return " AND ".join(f"{name(k)} = {row[k]}" for k in self.key)

    def update(self, side, *rows, at_once=False):
        self.run(side, [f"UPDATE {self.tables[side]} SET {', '.join(f'{name(c)} = {v}' for c, v in row.items() if c not in self.key)}, "
                        f"{self.version} = {self.version} + 1 WHERE {self.where(row)}" for row in rows], at_once)

    def delete(self, side, *rows, at_once=False):
        self.run(side, [f"DELETE FROM {self.tables[side]} WHERE {self.where(row)}" for row in rows], at_once)

    def rows(self, side):
        return self.link.read(self.twin.servers[side], side)

    # ---- What must hold ----

    def wait_job(self):
        """The first resync, or the last one, is over."""
        daemon = self.twin.daemon

        def check():
            assert daemon.is_running(), daemon.log_tail()
            job = daemon.job(self.link.name)
            return job if job and job["state"] != "running" else Why(f"{job}\n{daemon.log_tail()}")

        job = wait_until(f"a resync of {self.link.name} has ended", check, 60)
        assert job["state"] == "done", job
        return job

    def conflicts(self):
        return {direction: self.twin.daemon.counters(direction, self.link.name)["conflicts"] for direction in TO.values()}

    def quarantine(self):
        """{key: why}"""
        keys = self.twin.daemon.document(f"/sync/quarantine?limit=1000&link={self.link.name}")["keys"]
        return {key["key"]: key["why"] for key in keys}


@contextlib.contextmanager
def pairs(twin):
    """Makes pairs, and takes their databases away at the end."""
    made = []

    def make(*args, **more):
        made.append(Pair(twin, *args, **more))
        return made[-1]

    for side in SIDES:
        twin.sql(side, f"DROP DATABASE IF EXISTS {DATABASES[side]}")
    try:
        yield make
    finally:
        twin.daemon.close()
        for pair in made:
            for side in SIDES:
                twin.servers[side].sql(f"DROP DATABASE IF EXISTS {name(pair.databases[side])}")
