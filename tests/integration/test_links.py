"""Several links in one daemon; composite keys; every type of column that a link can map."""

import contextlib
import datetime
import decimal
import signal

import pymysql
import pytest

from support.daemon import DB_USER, SANITIZED
from support.servers import Why, wait_until
from support.tables import Column, Link
from support.twin import SIDES, TO, name_of

SYNC = """
  sync_version BIGINT UNSIGNED NOT NULL DEFAULT 1,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  last_sync_at TIMESTAMP(6) NULL DEFAULT NULL"""

# The same things told in two ways: other names, another order, wider types, other
# labels, another character set, another order in the key.
LEFT = f"""
CREATE DATABASE shop_left;
CREATE TABLE shop_left.things (
  tenant INT NOT NULL, code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  i8 TINYINT, u8 TINYINT UNSIGNED, i16 SMALLINT, u16 SMALLINT UNSIGNED, i24 MEDIUMINT, u24 MEDIUMINT UNSIGNED,
  i32 INT, u32 INT UNSIGNED, i64 BIGINT, u64 BIGINT UNSIGNED,
  dec1 DECIMAL(20,6), dec2 DECIMAL(65,30), dec3 DECIMAL(5,0) UNSIGNED, fl FLOAT, dbl DOUBLE,
  d DATE, dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP(3) NULL, t TIME, t3 TIME(3), y YEAR,
  e ENUM('small', 'it''s', 'größe'), s SET('red', 'green', 'blue', 'gelb'), bits BIT(13), flag BIT(1), yes BOOLEAN,
  b BLOB, bin BINARY(8), vb VARBINARY(300), txt TEXT, latin VARCHAR(60) CHARACTER SET latin1, ch CHAR(100),
  js JSON, own VARCHAR(10) DEFAULT 'left',{SYNC},
  PRIMARY KEY (tenant, code)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
"""
RIGHT = f"""
CREATE DATABASE shop_right;
CREATE TABLE shop_right.items ({SYNC},
  r_js JSON, r_ch CHAR(100), r_latin VARCHAR(60) CHARACTER SET utf8mb4, r_txt LONGTEXT, r_vb VARBINARY(300), r_bin BINARY(8),
  r_b MEDIUMBLOB, r_yes TINYINT(1), r_flag BIT(1), r_bits BIT(13), r_s SET('red', 'green', 'blue', 'gelb'),
  r_e ENUM('größe', 'small', 'it''s', 'more'), own INT NOT NULL DEFAULT 5, r_y YEAR, r_t3 TIME(3), r_t TIME,
  r_ts TIMESTAMP(3) NULL, r_dt6 DATETIME(6), r_dt DATETIME, r_d DATE, r_dbl DOUBLE, r_fl FLOAT,
  r_dec3 DECIMAL(5,0) UNSIGNED, r_dec2 DECIMAL(65,30), r_dec1 DECIMAL(20,6),
  r_u64 BIGINT UNSIGNED, r_i64 BIGINT, r_u32 INT UNSIGNED, r_i32 BIGINT, r_u24 MEDIUMINT UNSIGNED, r_i24 INT,
  r_u16 SMALLINT UNSIGNED, r_i16 SMALLINT, r_u8 TINYINT UNSIGNED, r_i8 SMALLINT,
  r_code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, r_tenant INT NOT NULL,
  UNIQUE KEY by_code (r_code, r_tenant)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;
"""

COLUMNS = ("i8 u8 i16 u16 i24 u24 i32 u32 i64 u64 dec1 dec2 dec3 fl dbl d dt dt6 ts t t3 y e s bits flag yes b bin vb "
           "txt latin ch js").split()

# One column's values, from end to end.
EXTREMES = {
    "i8": (-128, 127, 0), "u8": (0, 255, 128), "i16": (-32768, 32767, -1), "u16": (0, 65535, 32768),
    "i24": (-8388608, 8388607, -1), "u24": (0, 16777215, 8388608), "i32": (-2**31, 2**31 - 1, -1),
    "u32": (0, 2**32 - 1, 2**31), "i64": (-2**63, 2**63 - 1, -1), "u64": (0, 2**64 - 1, 2**63),
    "dec1": ("-99999999999999.999999", "12345678901234.000001", "-0.5"),
    "dec2": ("9" * 35 + "." + "9" * 30, "-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1"),
    "dec3": ("99999", "0", "100"),
    "fl": (3.4e38, -1.17549435e-38, 0.1), "dbl": (1.7976931348623157e308, 5e-324, -0.1),
    "d": ("1000-01-01", "9999-12-31", "2024-02-29"),
    "dt": ("1000-01-01 00:00:00", "9999-12-31 23:59:59", "2024-03-31 02:30:00"),
    "dt6": ("1000-01-01 00:00:00.000001", "9999-12-31 23:59:59.999999", "2024-03-31 02:30:00.5"),
    "ts": ("1970-01-01 00:00:01.001", "2038-01-19 03:14:07.999", "2024-10-27 01:30:00.120"),
    "t": ("-838:59:59", "838:59:59", "-00:00:01"), "t3": ("-838:59:58.999", "838:59:59.001", "-00:00:00.001"),
    "y": (1901, 2155, 0),
    "e": ("small", "it's", "größe"), "s": ("", "gelb,red", "red,green,blue,gelb"),
    "bits": (0, 8191, 4097), "flag": (0, 1, 1), "yes": (0, 1, -1),
    "b": (b"", bytes(range(256)), b"\0\0"), "bin": (b"\0", b"12345678", b"ab\0\xff"),
    "vb": (b"", b"\xff" * 300, b"'\\\0\n\x1a"),
    "txt": ("", "long " * 4000, "'quoted' \\ 🦀"), "latin": ("", "é ÿ ß € ž Œ", "plain"),
    "ch": ("", "ü" * 100, "spaces  in  it"), "js": ('{"a": [1, 2, null]}', '""', "[]"),
}


def things_link(**more):
    reads = {"fl": "CAST({} AS DOUBLE)", "bits": "{}+0", "flag": "{}+0"}
    return Link(name="things", left_table="shop_left.things", right_table="shop_right.items", key=["tenant", "code"],
                columns=[Column("tenant", "r_tenant"), *(Column(c, f"r_{c}", read=reads.get(c, "{}"), is_set=c == "s") for c in COLUMNS),
                         Column("code", "r_code")], **more)


class Things:
    """Writes the same thing on either side, by the left's names."""

    def __init__(self, twin):
        self.twin = twin

    def column(self, side, name):
        return name if side == "left" else f"r_{name}"

    def insert(self, side, tenant, code, **values):
        values = {"tenant": tenant, "code": code, **values}
        columns = ", ".join(self.column(side, name) for name in values)
        marks = ", ".join(["%s"] * len(values))
        table = "shop_left.things" if side == "left" else "shop_right.items"
        self.twin.sql(side, f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values()))

    def update(self, side, tenant, code, **values):
        sets = ", ".join(f"{self.column(side, name)} = %s" for name in values)
        table = "shop_left.things" if side == "left" else "shop_right.items"
        return self.twin.sql(side, f"UPDATE {table} SET {sets}, sync_version = sync_version + 1 "
                                   f"WHERE {self.column(side, 'tenant')} = %s AND {self.column(side, 'code')} = %s",
                             [*values.values(), tenant, code])

    def delete(self, side, tenant, code):
        table = "shop_left.things" if side == "left" else "shop_right.items"
        return self.twin.sql(side, f"DELETE FROM {table} WHERE {self.column(side, 'tenant')} = %s "
                                   f"AND {self.column(side, 'code')} = %s", [tenant, code])


@pytest.fixture
def shop(twin):
    """A second link in the same daemon, on the same two servers."""
    for side, ddl in (("left", LEFT), ("right", RIGHT)):
        server = twin.servers[side]
        server.sql(f"DROP DATABASE IF EXISTS shop_{side}")
        server.script(ddl)
        for user, host in server.rows("SELECT user, host FROM mysql.user WHERE user = %s", [DB_USER]):
            server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON shop_{side}.* TO '{user}'@'{host}'")
    twin.daemon.links.append(things_link())
    yield Things(twin)
    twin.daemon.close()
    for side in SIDES:
        twin.servers[side].sql(f"DROP DATABASE IF EXISTS shop_{side}")


def no_conflicts(twin, link):
    for direction in TO.values():
        conflicts = twin.daemon.counters(direction, link)["conflicts"]
        assert not any(conflicts.values()), f"{direction}: {conflicts}"


@pytest.mark.parametrize("side", SIDES)
def test_all_types_to_their_ends(twin, shop, side):
    twin.start()
    for n in range(3):
        shop.insert(side, n, f"all {n}", **{name: values[n] for name, values in EXTREMES.items()})
    shop.insert(side, 10, "only NULL")
    for name, values in EXTREMES.items():
        for n, value in enumerate(values):
            shop.insert(side, 20 + n, name, **{name: value})
    twin.settle()
    assert twin.servers["right"].value("SELECT COUNT(*) FROM shop_right.items") == 4 + 3 * len(EXTREMES)
    # From value to value, to NULL and back.
    for name, values in EXTREMES.items():
        shop.update(side, 20, name, **{name: values[1]})
        shop.update(side, 21, name, **{name: None})
        shop.update(side, 10, "only NULL", **{name: values[2]})
    twin.settle()
    # And back over the other side: what it holds is equal to what was written here.
    other = SIDES[1 - SIDES.index(side)]
    for name, values in EXTREMES.items():
        shop.update(other, 20, name, **{name: values[2]})
        shop.update(other, 21, name, **{name: values[0]})
    for n in range(3):
        shop.delete(other, n, f"all {n}")
    twin.settle()
    no_conflicts(twin, "things")


def test_a_resync_takes_all_types_to_their_ends(twin, shop):
    """Read by SELECT on one side and written on the other; then both sides read alike, and nothing is left to write."""
    for name, values in EXTREMES.items():
        for n, value in enumerate(values):
            shop.insert(SIDES[n % 2], n, name, **{name: value})
    shop.insert("left", 9, "nothing")
    twin.start()
    twin.daemon.wait_job()
    wait_until("both links are resynced", lambda: twin.daemon.job("things")["state"] == "done")
    twin.settle()
    assert twin.daemon.trigger(link="things")[0] == 202
    job = wait_until("it ends", lambda: twin.daemon.job("things")["state"] == "done" and twin.daemon.job("things"))
    assert job["cause"] == "trigger" and job["rows_scanned"] == 1 + sum(len(v) for v in EXTREMES.values())
    assert job["rows_written"] == 0, job


@pytest.mark.kinds
def test_values_arrive_as_what_they_mean(twin, shop):
    twin.start()
    shop.insert("left", 1, "x", e="größe", s="red,gelb", latin="€ ž", u64=2**64 - 1, dec1="-0.500000", t3="-00:00:00.001",
                dt6="2024-03-31 02:30:00.000001", bits=4097, bin=b"ab", fl=0.1, ts="2024-10-27 01:30:00.120")
    twin.settle()
    row = twin.servers["right"].rows(
        "SELECT r_e, r_s, r_latin, r_u64, r_dec1, r_t3, r_dt6, r_bits+0, r_bin, r_fl, r_ts, own FROM shop_right.items")[0]
    assert row == ("größe", "red,gelb", "€ ž", 2**64 - 1, decimal.Decimal("-0.5"), datetime.timedelta(milliseconds=-1),
                   datetime.datetime(2024, 3, 31, 2, 30, 0, 1), 4097, b"ab" + bytes(6), 0.1,
                   datetime.datetime(2024, 10, 27, 1, 30, 0, 120000), 5)
    assert twin.servers["left"].value("SELECT own FROM shop_left.things") == "left"


def test_a_set_whose_labels_stand_in_another_order(twin, shop):
    """Its values have another text there: refused by check, or known to be equal. Never a conflict of each update."""
    twin.sql("right", "ALTER TABLE shop_right.items MODIFY r_s SET('gelb', 'blue', 'red', 'green')")
    twin.daemon.write_config()
    twin.daemon.init()
    code, text = twin.daemon.command("check")
    if code == 1:
        assert [line for line in text.splitlines() if line.startswith("FAIL") and "r_s" in line], text
        return
    twin.daemon.start()
    shop.insert("left", 1, "x", s="red,gelb")
    twin.settle()
    for n in range(4):
        shop.update(SIDES[n % 2], 1, "x", i32=n)
        twin.wait_equal()
    twin.settle()
    no_conflicts(twin, "things")


@pytest.mark.kinds
def test_a_composite_key_is_one_key(twin, shop):
    twin.start()
    keys = [(1, "a"), (1, "b"), (2, "a"), (-5, "a"), (1, "A"), (1, ""), (1, "it's \\ 🦀"), (11, "1"), (1, "11")]
    for n, (tenant, code) in enumerate(keys):
        shop.insert(SIDES[n % 2], tenant, code, txt=f"{tenant}{code}", i32=n)
    twin.settle()
    for n, (tenant, code) in enumerate(keys):
        assert shop.update(SIDES[(n + 1) % 2], tenant, code, i32=100 + n) == 1
    twin.settle()
    for side, table, columns in (("left", "shop_left.things", "tenant, code, i32"),
                                 ("right", "shop_right.items", "r_tenant, r_code, r_i32")):
        rows = {(t, c): n for t, c, n in twin.servers[side].rows(f"SELECT {columns} FROM {table}")}
        assert rows == {key: 100 + n for n, key in enumerate(keys)}
    # One column of the key changes.
    twin.sql("left", "UPDATE shop_left.things SET tenant = 77 WHERE code = 'b'")
    twin.sql("right", "UPDATE shop_right.items SET r_code = 'z' WHERE r_tenant = 2")
    shop.delete("left", 1, "")
    twin.settle()
    no_conflicts(twin, "things")


@pytest.mark.kinds
def test_two_links_share_a_pair_of_servers(twin, shop):
    twin.start()
    marks = twin.marks()
    for n in range(1, 21):
        side, other = SIDES[n % 2], SIDES[(n + 1) % 2]
        twin.insert(side, n)
        shop.insert(other, n, "x", i32=n)
    twin.settle()
    assert twin.writes_since(marks) == (20, 20) or min(twin.writes_since(marks)) >= 10
    # One transaction of an application over the tables of both links.
    for side, users, things, tenant in (("left", "auth_db.client_auth", "shop_left.things", "tenant"),
                                        ("right", "customer_db.customers", "shop_right.items", "r_tenant")):
        with twin.servers[side].connect(autocommit=False) as c, c.cursor() as cursor:
            cursor.execute(f"UPDATE {users} SET name = %s WHERE id = 1", [name_of(f"both {side}")])
            cursor.execute(f"UPDATE {things} SET sync_version = sync_version + 1 WHERE {tenant} = 1")
            cursor.execute(f"DELETE FROM {things} WHERE {tenant} = %s", [5 if side == "left" else 6])
            cursor.execute(f"UPDATE {users} SET sync_version = sync_version + 1 WHERE id = 2")
            c.commit()
        twin.settle()
        assert twin.names(1) == (f"both {side}",) * 2
    no_conflicts(twin, "users")
    no_conflicts(twin, "things")
    links = twin.daemon.status()["links"]
    assert set(links) == {"users", "things"}
    assert links["things"]["directions"]["right_to_left"]["counters"]["inserts"] == 10


def test_a_conflict_on_a_composite_key(twin, shop):
    twin.start()
    shop.insert("left", 1, "x", i32=0)
    shop.insert("left", 1, "y", i32=0)
    twin.settle()
    twin.daemon.stop()
    shop.update("left", 1, "x", i32=1)
    shop.update("right", 1, "x", i32=2)
    shop.update("right", 1, "x", i32=3)
    shop.delete("right", 1, "y")
    shop.update("left", 1, "y", i32=4)
    twin.daemon.start()
    twin.settle()
    rows = {code: n for code, n in twin.servers["left"].rows("SELECT code, i32 FROM shop_left.things")}
    assert rows == {"x": 3, "y": 4}


def halted(twin, side, *words):
    def check():
        code, text = twin.daemon.http("/healthz")
        if code != 200:
            return Why(f"/healthz: {code}: {text}\n{twin.daemon.log_tail()}")
        direction = twin.daemon.direction(TO[side], "things")
        return direction["state"] == "halted" and all(w in direction["reason"] for w in words) \
            or Why(f"{direction}\n{twin.daemon.log_tail()}")

    wait_until("the direction is halted", check, 10)


def altered(twin, shop, side, statement):
    """A row before and a row behind an ALTER of this side's table."""
    table = "shop_left.things" if side == "left" else "shop_right.items"
    shop.insert(side, 1, "before", latin="é", e="größe", y=2024, txt="t")
    twin.settle()
    twin.sql(side, f"ALTER TABLE {table} {statement}")
    shop.insert(side, 2, "behind", latin="é ü", e="small", y=2025, txt="u")
    shop.update(side, 1, "before", latin="ß")


# What moves, grows or is of no meaning for what the columns hold.
@pytest.mark.parametrize("side, statement", [
    ("left", "MODIFY dt DATETIME AFTER d, MODIFY dt6 DATETIME(6) FIRST"),
    ("left", "MODIFY i8 TINYINT AFTER yes, MODIFY yes TINYINT(1) AFTER tenant"),  # swapped: one type in the log
    ("left", "MODIFY i32 INT AFTER i64, MODIFY txt TEXT AFTER b, MODIFY b BLOB FIRST"),
    ("right", "MODIFY r_i24 INT FIRST, MODIFY r_txt LONGTEXT AFTER r_js, MODIFY r_js JSON AFTER r_b"),
    ("left", "MODIFY latin VARCHAR(200) CHARACTER SET latin1, MODIFY txt MEDIUMTEXT"),
    ("left", "MODIFY e ENUM('small', 'it''s', 'größe', 'more')"),
    ("left", "MODIFY latin VARCHAR(60) CHARACTER SET latin1 COLLATE latin1_general_ci"),
    ("right", "CHANGE r_latin r_latin VARCHAR(60) CHARACTER SET utf8mb4 AFTER r_d, DROP COLUMN own, ADD own INT FIRST"),
    ("left", "ADD INDEX by_d (d), ADD more INT DEFAULT 7 AFTER tenant, DROP own"),
])
def test_an_altered_table_goes_on(twin, shop, side, statement):
    twin.start()
    altered(twin, shop, side, statement)
    twin.settle()
    other = SIDES[1 - SIDES.index(side)]
    for n, (name, values) in enumerate(EXTREMES.items()):
        shop.insert(side, 20 + n, name, **{name: values[1]})
    twin.settle()
    for n, (name, values) in enumerate(EXTREMES.items()):
        shop.update(other, 20 + n, name, **{name: values[0]})
    twin.settle()
    no_conflicts(twin, "things")
    twin.daemon.stop()
    shop.update(side, 2, "behind", i32=5)
    twin.daemon.start()
    twin.settle()


# What a mapped column holds is another thing now, or may be: never a quiet difference.
@pytest.mark.parametrize("side, statement, word, restarts", [
    ("left", "CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "column latin of shop_left.things is varchar(60) utf8mb4 now", True),
    ("left", "MODIFY latin VARCHAR(60) CHARACTER SET cp1250", "column latin", True),
    ("left", "MODIFY code VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL",
     "column code of shop_left.things is varchar(40) utf8mb4_general_ci now, not varchar(40) utf8mb4_bin", False),
    ("left", "MODIFY e ENUM('größe', 'small', 'it''s')", "column e of", True),
    ("left", "MODIFY u8 TINYINT", "column u8 of shop_left.things is tinyint(4) now, not tinyint(3) unsigned", True),
    ("right", "MODIFY r_code VARCHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL",
     "column r_code of shop_right.items is varchar(10) now, not varchar(40)", True),
    ("left", "MODIFY i16 INT", "column i16", True),
    ("left", "DROP COLUMN js", "column js of shop_left.things was dropped", False),
    ("left", "RENAME COLUMN d TO d2", "column d of", False),
    ("left", "RENAME COLUMN b TO txt, RENAME COLUMN txt TO b", "column b of", False),
    ("left", "RENAME COLUMN i8 TO yes, RENAME COLUMN yes TO i8", "column i8 of", False),
    ("left", "DROP COLUMN i32, ADD COLUMN i32 INT", "column i32 of", False),
])
def test_an_altered_column_halts_its_direction(twin, shop, side, statement, word, restarts):
    twin.start()
    altered(twin, shop, side, statement)
    halted(twin, side, word)
    assert twin.servers["left"].value("SELECT COUNT(*) FROM shop_left.things") + \
        twin.servers["right"].value("SELECT COUNT(*) FROM shop_right.items") == 3
    if not restarts:
        return
    # The log that is not yet read holds only rows of the new layout.
    twin.daemon.stop()
    twin.daemon.start()
    twin.settle()
    shop.update(side, 1, "before", latin="ö")
    twin.settle()
    no_conflicts(twin, "things")


def test_a_renamed_column_goes_on_under_its_new_name(twin, shop):
    """As soon as the config says so: the ALTER is still in the log that is not yet read."""
    twin.start()
    altered(twin, shop, "left", "RENAME COLUMN d TO day")
    halted(twin, "left", "column d of shop_left.things was dropped or renamed")
    twin.daemon.stop()
    next(c for c in twin.daemon.links[-1].columns if c.left == "d").left = "day"
    twin.daemon.write_config()
    twin.daemon.start()
    twin.settle()
    shop.update("left", 2, "behind", day="2030-01-01")
    twin.settle()
    no_conflicts(twin, "things")


def test_a_column_that_came_while_nobody_read(twin, shop):
    """Behind all others: the rows of before it are read as ever."""
    twin.start()
    shop.insert("left", 1, "x", latin="é")
    shop.insert("left", 2, "y")
    twin.settle()
    twin.daemon.stop()
    shop.update("left", 1, "x", i32=1)
    shop.delete("left", 2, "y")
    twin.sql("left", "ALTER TABLE shop_left.things ADD COLUMN more INT, ADD INDEX (more)")
    shop.update("left", 1, "x", i32=2)
    twin.daemon.start()
    twin.settle()
    no_conflicts(twin, "things")
    assert twin.servers["left"].value("SELECT COUNT(*) FROM shop_left.things") == 1
    assert twin.daemon.job("things")["cause"] == "first_start"


# The log shows no difference between the rows of before and behind: neither bytes nor types.
@pytest.mark.parametrize("statement", [
    "MODIFY latin VARCHAR(60) CHARACTER SET utf8mb4",
    "MODIFY i8 TINYINT AFTER yes, MODIFY yes TINYINT(1) AFTER tenant",  # swapped: one type in the log
    "MODIFY e ENUM('größe', 'small', 'it''s')",
    "ADD more INT FIRST, DROP own",
])
def test_columns_that_changed_while_nobody_read(twin, shop, statement):
    """Nothing is read as what it is not; all rows are compared, and the streams go on."""
    twin.start()
    shop.insert("left", 1, "x", txt="a", latin="é", i8=7, e="small")
    shop.insert("left", 2, "y", i8=8, yes=1)
    shop.insert("right", 3, "z", i8=9, yes=1)
    twin.settle()
    twin.daemon.stop()
    shop.update("left", 1, "x", latin="ü", i8=5, yes=1, e="it's")
    shop.update("left", 2, "y", i8=1)
    shop.insert("left", 4, "w", i8=3, yes=0, latin="ß")
    twin.sql("left", f"ALTER TABLE shop_left.things {statement}")
    shop.update("left", 1, "x", i32=2)
    shop.update("left", 3, "z", i32=3)
    twin.daemon.start()
    twin.settle()
    job = twin.daemon.job("things")
    assert job["cause"] == "unlogged" and "altered while its log was not read" in job["reason"], job
    right = twin.servers["right"]
    assert right.rows("SELECT r_i8, r_yes, r_latin, r_i32 FROM shop_right.items ORDER BY r_tenant, r_code")[0] == (5, 1, "ü", 2)
    # Those of behind it came as ever; the other link was not concerned.
    assert twin.daemon.job("users")["cause"] == "first_start"
    shop.delete("left", 4, "w")
    shop.update("right", 2, "y", i32=6)
    twin.settle()


def test_columns_that_changed_twice_while_nobody_read(twin, shop):
    """In between they stood elsewhere than before and than now."""
    twin.start()
    shop.insert("left", 1, "x", i8=7, yes=1)
    twin.settle()
    twin.daemon.stop()
    twin.sql("left", "ALTER TABLE shop_left.things MODIFY i8 TINYINT AFTER yes, MODIFY yes TINYINT(1) AFTER tenant")
    shop.update("left", 1, "x", i8=3)
    twin.sql("left", "ALTER TABLE shop_left.things MODIFY yes TINYINT(1) AFTER i8, MODIFY i8 TINYINT AFTER tenant")
    shop.update("left", 1, "x", i32=5)
    twin.daemon.start()
    twin.settle()
    assert twin.servers["right"].rows("SELECT r_i8, r_yes, r_i32 FROM shop_right.items") == ((3, 1, 5),)


def test_a_definition_that_cannot_be_read_for_now(twin, shop):
    """No connection is free for the moment: the same group is read again, and nothing is lost."""
    twin.start()
    shop.insert("left", 1, "x", i32=1)
    twin.settle()
    server = twin.servers["left"]
    taken = [server.connect()]
    try:
        cursor = taken[0].cursor()
        cursor.execute("SET GLOBAL max_connections = 10")
        with contextlib.suppress(pymysql.err.Error):  # one more than there may be, for us have the privilege
            while True:
                taken.append(server.connect())
        cursor.execute("ALTER TABLE shop_left.things ADD COLUMN more INT FIRST")
        cursor.execute("UPDATE shop_left.things SET i32 = 2")
        wait_until("the reader tries again", lambda: twin.daemon.status()["servers"]["auth"]["reconnects"] > 1
                   or Why(twin.daemon.log_tail()), 10)
        assert twin.servers["right"].value("SELECT r_i32 FROM shop_right.items") == 1
    finally:
        for connection in taken:
            connection.close()
        server.sql("SET GLOBAL max_connections = 60")
    twin.settle()
    no_conflicts(twin, "things")
    assert twin.servers["right"].value("SELECT r_i32 FROM shop_right.items") == 2


def test_columns_may_come_and_move_while_the_daemon_runs(twin, shop):
    """ALTER of columns that are not mapped: the next table map tells, and the stream goes on."""
    twin.start()
    shop.insert("left", 1, "x", i32=1)
    twin.settle()
    twin.sql("left", "ALTER TABLE shop_left.things ADD COLUMN first_now INT NULL FIRST, DROP COLUMN own")
    twin.sql("right", "ALTER TABLE shop_right.items ADD COLUMN later JSON NULL AFTER r_dt6")
    shop.update("left", 1, "x", i32=2)
    twin.settle()
    shop.update("right", 1, "x", i32=3)
    shop.insert("right", 2, "y", i32=4)
    twin.settle()
    twin.sql("left", "ALTER TABLE shop_left.things DROP COLUMN first_now, ALGORITHM = COPY")
    shop.update("left", 1, "x", i32=5)
    shop.delete("left", 2, "y")
    twin.settle()
    no_conflicts(twin, "things")


MANY = 40  # links; a server takes 60 connections


@pytest.fixture
def crowd(twin):
    """So many links on one pair, the seed's the first of them; each has a table like the seed's."""
    tables = {"left": "auth_db.client_auth", "right": "customer_db.customers"}
    for n in range(2, MANY + 1):
        for side in SIDES:
            twin.sql(side, f"CREATE TABLE {tables[side]}_{n} LIKE {tables[side]}")
            for user, host in twin.servers[side].rows("SELECT user, host FROM mysql.user WHERE user = %s", [DB_USER]):
                twin.sql(side, f"GRANT SELECT, INSERT, UPDATE, DELETE ON {tables[side]}_{n} TO '{user}'@'{host}'")
        twin.daemon.links.append(Link(name=f"users_{n}", left_table=f"{tables['left']}_{n}", cipher=twin.cipher,
                                      right_table=f"{tables['right']}_{n}", columns=twin.link.columns))
    return twin.daemon.links


def connections(twin, side):
    return int(twin.servers[side].value("SELECT COUNT(*) FROM information_schema.processlist WHERE user = %s", [DB_USER]))


def wait_at_rest(twin):
    """One connection of each link, by which the other direction writes; those of the reader and of the guard."""
    for side in SIDES:
        wait_until("links at rest have one connection to each server",
                   lambda side=side: connections(twin, side) <= MANY + 2 or Why(connections(twin, side)), 30)


def test_many_links_at_rest_keep_little(twin, crowd):
    """They need no more connections and memory than what waits for the next change; and that arrives at once."""
    twin.start()
    for link in crowd:
        wait_until("the first resync has ended", lambda link=link: (twin.daemon.job(link.name) or {}).get("state") == "done", 60)
    wait_at_rest(twin)
    if not SANITIZED:
        assert twin.daemon.memory_peak_kb() < 32 * 1024
    for side in SIDES:
        twin.insert(side, 1 if side == "left" else 2, "x")
    twin.settle()
    no_conflicts(twin, "users")

    # Both sides write one row: the connection to the source is made for that, and given up again.
    twin.daemon.signal(signal.SIGSTOP)
    twin.update("left", 1, name="left")
    twin.update("right", 1, name="right")
    twin.daemon.signal(signal.SIGCONT)
    twin.settle()
    assert twin.names(1) == ("right", "right")  # the later one
    wait_at_rest(twin)

    # A connection that is gone is noticed, at the latest when it is needed.
    for side in SIDES:
        for (session,) in twin.servers[side].rows("SELECT id FROM information_schema.processlist WHERE user = %s", [DB_USER]):
            with contextlib.suppress(pymysql.err.Error):
                twin.sql(side, f"KILL {session}")
    for side in SIDES:
        twin.insert(side, 3 if side == "left" else 4, "y")
    twin.settle()
    twin.daemon.wait_ready()
