"""A resync goes through both tables in the servers' own order of the key, whatever the key is made of."""

import datetime
import random

import pytest

from support.daemon import DB_USER, SLOW
from support.tables import Column, Link
from support.twin import SIDES

SYNC = """
  sync_version BIGINT UNSIGNED NOT NULL DEFAULT 1,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT '2024-01-01 00:00:00',
  last_sync_at TIMESTAMP(6) NULL DEFAULT NULL"""

WORDS = ("a", "A", "b", "B", "ab", "aB", "z", "Z", "ä", "Ä", "ae", "é", "e", "ß", "ss", "ñ", "n", "日本", "日", "🦀", "Ω",
         "ω", "_", "-", "0", "10", "9", "'", "\\", "\"", "a b", "aa", "Aa", "o", "ö", "Ö", "zz", "œ", "oe")


def words(rng, n):
    return list(dict.fromkeys("".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 4))) for _ in range(n)))


# name: (columns of the key with their types, how many values of each key are made)
KEYS = {
    "int": (["a INT NOT NULL"], lambda r, n: [(v,) for v in r.sample(range(-500, 500), n)]),
    "int, text, without case": (
        ["a INT NOT NULL", "b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL"],
        lambda r, n: [(r.randrange(-2, 3), w) for w in words(r, n)]),
    "text by its bytes": (["a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"],
                          lambda r, n: [(w,) for w in words(r, n)]),
    "text without accents": (["a VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL"],
                             lambda r, n: [(w,) for w in words(r, n)]),
    "latin1": (["a VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_swedish_ci NOT NULL"],
               lambda r, n: [(w,) for w in words(r, n) if w.encode("latin-1", "replace").decode("latin-1") == w]),
    "bytes": (["a VARBINARY(8) NOT NULL"],
              lambda r, n: [(v,) for v in {r.randbytes(r.randrange(0, 6)) for _ in range(n)}]),
    "decimal, time": (["a DECIMAL(12,3) NOT NULL", "b DATETIME(6) NOT NULL"],
                      lambda r, n: list({(f"{r.randrange(-3, 3)}.{r.randrange(3)}00",
                                          datetime.datetime(2024, 1, 1 + r.randrange(28), microsecond=r.randrange(3)))
                                         for _ in range(n)})),
    "three, an enum among them": (
        ["a TINYINT NOT NULL", "b ENUM('zebra', 'ape', 'Mouse') NOT NULL", "c BIGINT UNSIGNED NOT NULL"],
        lambda r, n: list({(r.randrange(-2, 2), r.choice(("zebra", "ape", "Mouse")), r.choice((0, 1, 2**64 - 1, r.randrange(9))))
                           for _ in range(n)})),
}


def make_pair(twin, columns):
    names = [c.split()[0] for c in columns]
    for side in SIDES:
        server = twin.servers[side]
        server.sql(f"DROP DATABASE IF EXISTS kb_{side}")
        server.sql(f"CREATE DATABASE kb_{side}")
        server.sql(f"CREATE TABLE kb_{side}.t ({', '.join(columns)}, v VARCHAR(40),{SYNC}, PRIMARY KEY ({', '.join(names)})) "
                   "ENGINE = InnoDB DEFAULT CHARSET = utf8mb4")
        for user, host in server.rows("SELECT user, host FROM mysql.user WHERE user = %s", [DB_USER]):
            server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON kb_{side}.* TO '{user}'@'{host}'")
    return names


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("chunk", (3, 1000))
def test_walks_in_the_order_of_the_key(twin, kind, chunk):
    columns, make = KEYS[kind]
    rng = random.Random(f"{kind} {chunk}")
    names = make_pair(twin, columns)
    link = Link(name="kb", left_table="kb_left.t", right_table="kb_right.t", key=names,
                columns=[Column(n) for n in names] + [Column("v")])
    twin.daemon.links[:] = [link]
    twin.daemon.more = {"limits": {"resync_chunk_rows": chunk}}
    marks = ", ".join(["%s"] * (len(names) + 2))
    for side in SIDES:
        with twin.servers[side].connect() as c, c.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            for key in make(random.Random(f"keys {kind}"), 120):
                if rng.random() < 0.7:
                    # A key that this side takes for one that is there already is left out.
                    cursor.execute(f"INSERT IGNORE INTO kb_{side}.t ({', '.join(names)}, v, sync_version) VALUES ({marks})",
                                   [*key, rng.choice(("same", "other", None)), rng.randrange(3)])
    twin.start()
    job = twin.daemon.wait_job(60 * SLOW)
    assert job["rows_written"] > 10, job
    twin.settle()
    for side in SIDES:
        rows, distinct = twin.servers[side].rows(f"SELECT COUNT(*), COUNT(DISTINCT {', '.join(names)}) FROM kb_{side}.t")[0]
        assert rows == distinct > 20
    code, answer = twin.daemon.trigger()
    assert code == 202, answer
    job = twin.daemon.wait_job(60 * SLOW)
    assert job["rows_written"] == 0 and job["rows_scanned"] >= rows, job
    code, text = twin.daemon.command("verify")
    assert code == 0, text
    for side in SIDES:
        twin.servers[side].sql(f"DROP DATABASE kb_{side}")
