"""Every type of column, from end to end: what is written on one side comes out equal on the other, by a resync and by the
binary log, and nothing of it is taken for a conflict. A conflict here would say that a row image and a SELECT tell one
value in two ways."""

import json

import pytest

from support.pairs import pairs
from support.servers import Why, wait_until
from support.twin import PEER, SIDES


@pytest.fixture
def make_pair(twin):
    with pairs(twin) as make:
        yield make


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def fractions(kind, values):
    """DATETIME, TIME and TIMESTAMP with 0 to 6 digits."""
    found = {}
    for digits in range(7):
        column = f"{kind.lower()}{digits}"
        null = " NULL" if kind == "TIMESTAMP" else ""
        found[column] = (f"{kind}({digits}){null}", [quoted(v(digits)) for v in values])
    return found


def with_fraction(text, digit):
    return lambda digits: text + ("." + "0" * (digits - 1) + digit if digits else "")


def nines(text):
    return lambda digits: text + ("." + "9" * digits if digits else "")


# {column: (type, values as SQL)}
NUMBERS = {
    "i8": ("TINYINT", ["-128", "127", "0"]), "u8": ("TINYINT UNSIGNED", ["0", "255", "128"]),
    "i16": ("SMALLINT", ["-32768", "32767", "-1"]), "u16": ("SMALLINT UNSIGNED", ["0", "65535", "32768"]),
    "i24": ("MEDIUMINT", ["-8388608", "8388607", "-1"]), "u24": ("MEDIUMINT UNSIGNED", ["0", "16777215", "8388608"]),
    "i32": ("INT", ["-2147483648", "2147483647", "-1"]), "u32": ("INT UNSIGNED", ["0", "4294967295", "2147483648"]),
    "i64": ("BIGINT", ["-9223372036854775808", "9223372036854775807", "-1"]),
    "u64": ("BIGINT UNSIGNED", ["0", "18446744073709551615", "9223372036854775808"]),
    "filled": ("INT(9) ZEROFILL", ["7", "0", "123456789"]), "flag": ("BOOLEAN", ["0", "1", "-1"]),
    "dec_max": ("DECIMAL(65,30)", ["9" * 35 + "." + "9" * 30, "-" + "9" * 35 + "." + "9" * 30, "0." + "0" * 29 + "1"]),
    "dec_whole": ("DECIMAL(65,0)", ["9" * 65, "-" + "9" * 65, "0"]), "dec_part": ("DECIMAL(30,30)", ["0." + "9" * 30, "-0.1", "0"]),
    "dec_u": ("DECIMAL(9,3) UNSIGNED ZEROFILL", ["999999.999", "0.5", "0"]), "dec": ("DECIMAL(20,6)", ["-0.5", "12.500", "100"]),
    "fl": ("FLOAT", ["3.4028234e38", "-1.17549435e-38", "0.1"]), "fl_least": ("FLOAT", ["1.4e-45", "16777215", "-0.0"]),
    "dbl": ("DOUBLE", ["1.7976931348623157e308", "5e-324", "0.1e0 + 0.2e0"]), "dbl2": ("DOUBLE", ["-2.2250738585072014e-308", "1e23", "-0e0"]),
    "fl_md": ("FLOAT(7,3)", ["1234.567", "-0.1", "0.001"]), "dbl_md": ("DOUBLE(12,4)", ["12345678.1234", "-0.0001", "0.1"]),
    "bit1": ("BIT(1)", ["b'1'", "b'0'", "1"]), "bit7": ("BIT(7)", ["127", "0", "64"]), "bit8": ("BIT(8)", ["255", "128", "1"]),
    "bit9": ("BIT(9)", ["511", "256", "0"]), "bit33": ("BIT(33)", ["8589934591", "4294967296", "0"]),
    "bit64": ("BIT(64)", ["18446744073709551615", "9223372036854775808", "0"]), "unseen": ("INT INVISIBLE", ["1", "0", "-1"]), "y": ("YEAR", ["1901", "2155", "0"]),
}
TIMES = {
    "d": ("DATE", ["'1000-01-01'", "'9999-12-31'", "'2024-02-29'"]), "d_zero": ("DATE", ["'0000-00-00'", "'2026-00-00'", "'2026-02-00'"]),
    "d_odd": ("DATE", ["'2026-02-31'", "'0000-01-01'", "'0001-01-01'"]),
    "dt_zero": ("DATETIME(3)", ["'0000-00-00 00:00:00'", "'2026-00-10 10:11:12.5'", "'2026-02-31 23:59:59.999'"]),
    "ts_zero": ("TIMESTAMP NULL", ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"]),
    **fractions("DATETIME", [with_fraction("1000-01-01 00:00:00", "1"), nines("9999-12-31 23:59:59"), with_fraction("2024-03-31 02:30:00", "5")]),
    **fractions("TIME", [nines("-838:59:58"), with_fraction("838:59:58", "1"), with_fraction("-00:00:00", "1")]),
    **fractions("TIMESTAMP", [with_fraction("1970-01-01 00:00:01", "1"), nines("2038-01-19 03:14:07"), with_fraction("2024-10-27 01:30:00", "5")]),
}
LABELS = {
    "e": ("ENUM('small', 'it''s', 'größe', '2', '')", ["'small'", "'größe'", "''"]),
    "e_latin": ("ENUM('a', 'é') CHARACTER SET latin1", ["'é'", "1", "'a'"]),
    "e_wide": ("ENUM(" + ", ".join(f"'n{i}'" for i in range(300)) + ")", ["'n0'", "'n299'", "'n255'"]),
    "s": ("SET('red', 'green', 'blue', 'gelb')", ["''", "'gelb,red'", "15"]),
    "s64": ("SET(" + ", ".join(f"'x{i}'" for i in range(64)) + ")", ["'x63'", "'x0,x31,x32,x63'", "18446744073709551615"]),
}
BYTES = {
    "bin": ("BINARY(8)", ["x'00'", "'12345678'", "x'61620000ff'"]), "bin255": ("BINARY(255)", ["''", "REPEAT(x'ff', 255)", "'a'"]),
    "vb": ("VARBINARY(300)", ["''", "REPEAT(x'ff', 300)", "x'275c000a0d1a00'"]), "vb_long": ("VARBINARY(3000)", ["REPEAT(x'27', 3000)", "x'00'", "' '"]),
    "tb": ("TINYBLOB", ["''", "x'00'", "REPEAT('z', 255)"]), "b": ("BLOB", ["x'00'", "REPEAT(x'2700ff5c', 16000)", "''"]),
    "mb": ("MEDIUMBLOB", ["REPEAT(x'2700ff5cf0', 50000)", "''", "'a'"]), "lb": ("LONGBLOB", ["'x'", "REPEAT('''', 6000)", "x'80'"]),
}
TEXTS = {
    "ch": ("CHAR(10)", ["'abc'", "'ü        ü'", "''"]), "ch255": ("CHAR(255)", ["REPEAT('🦀', 255)", "'short'", "REPEAT('ü', 255)"]),
    "vc": ("VARCHAR(60)", ["'trailing  '", "''", quoted("日本 \\ ' \" 🦀")]), "vcl": ("VARCHAR(3000)", ["REPEAT('é', 3000)", "' '", "'\\0\\n\\t\\Z'"]),
    "tt": ("TINYTEXT", ["''", "'tiny é'", "REPEAT('t', 255)"]), "txt": ("TEXT", ["REPEAT('ü', 30000)", "''", "'''; --'"]),
    "mt": ("MEDIUMTEXT", ["REPEAT('漢', 50000)", "'m'", "'  '"]), "lt": ("LONGTEXT", ["REPEAT('long 🦀 ''', 10000)", "'l'", "''"]),
}
# A text of each character set that both families have.
CHARSETS = {
    "latin1": "naïve € “quoted” ÿ", "latin2": "žluťoučký", "latin5": "İstanbul ğ", "latin7": "ąčęėįšųū", "greek": "αβγ Ω", "hebrew": "שלום ‾",
    "cp1250": "žluťoučký €", "cp1251": "Привет €", "cp1256": "سلام", "cp1257": "ąčęė", "cp850": "Ñandú ß", "cp852": "žluť", "cp866": "Привет ⁿ²",
    "koi8r": "Привет", "koi8u": "Привіт •", "macce": "žluť", "macroman": "é Ω ∆", "armscii8": "Ա Ք §", "geostd8": "აბგ €", "tis620": "สวัสดี",
    "dec8": "é ÿ", "hp8": "é", "swe7": "ÅÄÖåäö$", "keybcs2": "žluťoučký", "ascii": "plain ~\\", "gb2312": "中文", "gbk": "中文 丄", "euckr": "한국 갂",
    "cp932": "日本 ① ～ \\~", "eucjpms": "日本 ① ～", "ucs2": "Ωmega 漢", "utf16": "𝄞 漢", "utf16le": "𝄞 漢", "utf32": "𝄞 漢", "big5": "中文 ゃ ②",
    "sjis": "日本 〜 \\~ ｱ", "ujis": "日本 〜 ｱ 丂", "utf8mb3": "漢 é",
}
ENCODED = {}
for charset, text in CHARSETS.items():
    ENCODED[f"v_{charset}"] = (f"VARCHAR(40) CHARACTER SET {charset}", [quoted(text), "''", quoted(text + " ' " + text)])
    ENCODED[f"t_{charset}"] = (f"TEXT CHARACTER SET {charset}", [quoted(text), f"REPEAT({quoted(text)}, 300)", "' x '"])
JSON = {
    "js": ("JSON", [quoted('{"b": 1,"aa":[1, 2.50, null,true, "x\\"y\\u00e9\\n"], "a" : {} }'), quoted("null"),
                    quoted("[1.0, 1e3, -0.5, 12345678901234567890123, 18446744073709551615, -9223372036854775808, 1e-7, -0.0]")]),
    "js_odd": ("JSON", [quoted('"🦀 \\ud83e\\udd80 \\u0001 \\/"'), quoted('{"x": 1, "y": 2, "x": 3}'), quoted("[[], {}, \"\", [[]]]")]),
    "js_big": ("JSON", ["CONCAT('{\"k\": \"', REPEAT('x', 70000), '\", \"l\": [', REPEAT('1,', 20000), '2]}')", quoted("0"), quoted("{}")]),
}
SHAPES = {
    "g": ("GEOMETRY", ["ST_GeomFromText('LINESTRING(0 0, 1 1)')", "ST_GeomFromText('POINT(10 20)', 4326)", "ST_GeomFromText('POINT(-1.5 1e10)')"]),
    "p": ("POINT", ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(10 20)', 4326)", "ST_GeomFromText('POINT(0 0)')"]),
    "l": ("LINESTRING", ["ST_GeomFromText('LINESTRING(0 0, 1 1, 2 0.1)')"] * 2 + ["ST_GeomFromText('LINESTRING(0 0, 1 1)', 3857)"]),
    "po": ("POLYGON", ["ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(1 1,2 1,2 2,1 2,1 1))')"] * 3),
    "mp": ("MULTIPOINT", ["ST_GeomFromText('MULTIPOINT((0 0),(1 1))')"] * 3),
    "ml": ("MULTILINESTRING", ["ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))')"] * 3),
    "mpo": ("MULTIPOLYGON", ["ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 1,0 0)))')"] * 3),
    "gc": ("GEOMETRYCOLLECTION", ["ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')", "ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')",
                                  "ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1))')"]),
}
# MariaDB's own, and what holds them on a MySQL.
NETWORK = {
    "u": (("UUID", "CHAR(36)"), ["'6ccd780c-baba-1026-9564-0040f4311e29'", "'00112233-4455-4677-8899-aabbccddee00'", "'00000000-0000-0000-0000-000000000000'"]),
    "i4": (("INET4", "VARCHAR(15)"), ["'1.2.3.0'", "'0.0.0.0'", "'255.255.255.255'"]),
    "i6": (("INET6", "VARCHAR(39)"), ["'2001:db8::'", "'::'", "'::ffff:1.2.3.4'"]),
}
# MySQL has no such columns, and MariaDB no such set.
PACKED = {
    "pt": (("TEXT COMPRESSED", "TEXT"), ["REPEAT('pack ü ', 900)", "'short'", "''"]), "pv": (("VARCHAR(500) COMPRESSED", "VARCHAR(500)"), ["REPEAT('ab', 250)", "''", "'é'"]),
    "pb": (("BLOB COMPRESSED", "BLOB"), ["REPEAT(x'00ff27', 9000)", "''", "x'00'"]),
    "gb18030": (("VARCHAR(40)", "VARCHAR(40) CHARACTER SET gb18030"), [quoted("中文 🦀 é"), "''", quoted("㐀 \\ '")]),
}
# One text in two character sets: left, right.
MIXED = {f"m{n}": ({"left": f"VARCHAR(60) CHARACTER SET {left}", "right": f"TEXT CHARACTER SET {right}"}, [quoted(text), "''", quoted(f"'{text}'")])
         for n, (left, right, text) in enumerate([
             ("latin1", "utf8mb4", "naïve € “quoted” ÿ"), ("utf8mb4", "latin1", "é ž Œ"), ("cp1251", "utf8mb3", "Привет"), ("koi8r", "cp866", "Привет"),
             ("sjis", "cp932", "日本 ｱ \\~"), ("ujis", "utf16", "日本 丂"), ("gbk", "utf32", "中文"), ("big5", "gbk", "中文"), ("ucs2", "euckr", "한국"),
             ("latin2", "cp1250", "žluťoučký"), ("keybcs2", "cp852", "žluťoučký"), ("swe7", "latin1", "ÅÄÖåäö"), ("hebrew", "utf8mb4", "שלום"), ("ascii", "ucs2", "plain")])}
GROUPS = {"numbers": NUMBERS, "times": TIMES, "labels": LABELS, "bytes": BYTES, "texts": TEXTS, "encoded": ENCODED, "json": JSON,
          "shapes": SHAPES, "network": NETWORK, "packed": PACKED,
          "mixed": MIXED}

READS = {c: "CAST({} AS DOUBLE)" for c in ("fl", "fl_least")}
READS.update({c: "{} + 0" for c in NUMBERS if c.startswith("bit")})
READS["vec"] = "HEX({})"
READS.update({c: "CAST({} AS CHAR)" for c in TIMES})  # as they are: no driver knows a zero date


def family(twin, side):
    return "mysql" if twin.servers[side].kind.is_mysql else "mariadb"


def vectors(twin):
    """Both servers have them, each in its own words."""
    if any(twin.servers[side].kind.name == "mariadb-10.11" for side in SIDES):
        return {}
    read = {"mysql": "STRING_TO_VECTOR", "mariadb": "VEC_FromText"}
    return {"vec": ("VECTOR(3)", [{side: f"{read[family(twin, side)]}({quoted(v)})" for side in SIDES}
                                  for v in ("[1,2,0]", "[-0.5,1000,0.1]", "[0,0,0]")])}


class Group:
    """A pair of tables of one group of types, with a row for each value, which is NULL in all other columns."""

    def __init__(self, make, twin, group, columns):
        self.columns = columns
        self.sides = {side: family(twin, side) for side in SIDES}
        types = {"id": "INT NOT NULL"}
        for column, (kind, _) in columns.items():
            types[column] = kind if isinstance(kind, (str, dict)) else {side: kind[self.sides[side] == "mysql"] for side in SIDES}
        # Among columns that are not mapped: what a row image holds of them is stepped over.
        unmapped = {"own": "VARCHAR(9) DEFAULT 'own'", "later": "INT AS (id + 1) VIRTUAL", "kept": "VARCHAR(20) AS (CONCAT(id, '!')) STORED"}
        self.pair = make(group, types, unmapped=unmapped, reads=READS, sets=("s", "s64"), documents=set(JSON) & set(columns))
        self.cases = [(1 + 10 * n + i, column, value) for n, (column, (_, values)) in enumerate(columns.items()) for i, value in enumerate(values)]

    def value(self, side, value):
        return value[side] if isinstance(value, dict) else value

    def insert(self, side, offset):
        self.pair.insert(side, {"id": str(offset)},
                         *({"id": str(offset + key), column: self.value(side, value)} for key, column, value in self.cases))

    def update(self, side, offset, null, at_once=False):
        self.pair.update(side, *({"id": str(offset + key), column: "NULL" if null else self.value(side, value)}
                                 for key, column, value in self.cases), at_once=at_once)

    def delete(self, side, offset):
        self.pair.delete(side, *({"id": str(offset + key)} for key, _, _ in self.cases), at_once=True)


def walk_through(twin, groups, side, offset):
    """Each value is inserted on one side, made NULL and itself again on the other, and deleted where it came from. What one
    transaction changes the daemon has at once, and writes the values of a column in one statement."""
    for group in groups:
        group.insert(side, offset)
    twin.wait_equal()
    for null in (True, False):
        for group in groups:
            group.update(PEER[side], offset, null, at_once=not null)
        twin.wait_equal()
    for group in groups:
        group.delete(side, offset)
    twin.wait_equal()


@pytest.mark.pairings
@pytest.mark.slow
def test_every_type_goes_out_and_comes_back_equal(twin, make_pair):
    columns = {**GROUPS, **({"vectors": vectors(twin)} if vectors(twin) else {})}
    groups = [Group(make_pair, twin, name, columns[name]) for name in columns]
    # What stands there before the start is read by SELECT, and written to a side that does not have it.
    for group in groups:
        for n, side in enumerate(SIDES):
            group.insert(side, 100000 * (n + 1))
    twin.start()
    for group in groups:
        job = group.pair.wait_job()
        assert job["rows_written"] == 2 * (len(group.cases) + 1) and job["quarantined"] == 0, job
    twin.settle()
    before = [group.pair.conflicts() for group in groups]

    for n, side in enumerate(SIDES):
        walk_through(twin, groups, side, 1000000 * (n + 1))
    # The rows of the resync, by the log of the side that has them from it.
    for n, side in enumerate(SIDES):
        for group in groups:
            group.update(PEER[side], 100000 * (n + 1), null=True)
    twin.settle()
    for group, conflicts in zip(groups, before):
        assert group.pair.conflicts() == conflicts, group.pair.link.name
        assert not group.pair.quarantine()
    code, text = twin.daemon.command("verify", timeout_s=120)
    assert code == 0, text


BESIDE = {group: {column: kind for column, kind in GROUPS[group].items() if not column.startswith("bit") and column != "y"}
          for group in ("numbers", "times", "labels", "bytes", "texts", "json", "network")}


@pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mariadb-11.8/mariadb-11.8", "mysql-9.7/mariadb-11.8")
def test_values_that_go_beside_their_statement(twin, make_pair):
    """Many rows are inserted at once, in whose statement no value stands: a MariaDB is to make the same of them."""
    groups = [Group(make_pair, twin, name, columns) for name, columns in BESIDE.items()]
    for group in groups:
        group.times = 100 // len(group.cases) + 1
        for n in range(group.times):
            group.insert("left", 1000 * (n + 1))
    ran = executed(twin)
    twin.start()
    for group in groups:
        job = group.pair.wait_job()
        assert job["rows_written"] == group.times * (len(group.cases) + 1) and job["quarantined"] == 0, job
    twin.settle()
    assert executed(twin) > ran  # how often depends on how many rows a chunk has, which goes by time
    ran = executed(twin)
    for group in groups:
        group.pair.delete("left", *({"id": str(1000 * (n + 1) + key)} for n in range(group.times) for key, _, _ in group.cases))
    twin.wait_equal()
    for group in groups:
        group.pair.insert("left", *({"id": str(1000 * (n + 1) + key), column: group.value("left", value)}
                                    for n in range(group.times) for key, column, value in group.cases), at_once=True)
    twin.settle()
    assert executed(twin) > ran
    assert not any(any(c.values()) for group in groups for c in group.pair.conflicts().values() if c)


def executed(twin):
    return int(twin.servers["right"].rows("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1])


@pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mariadb-11.8/mariadb-11.8", "mysql-9.7/mysql-9.7")
def test_what_the_log_tells_of_columns_makes_no_difference(twin, make_pair):
    """binlog_row_metadata, and on MariaDB compressed events, which are rows too."""
    names = ["numbers", "labels", "bytes", "encoded", "shapes"]
    groups = [Group(make_pair, twin, name, GROUPS[name]) for name in names]
    mysql = family(twin, "left") == "mysql"
    settings = ["MINIMAL", "FULL"] if mysql else ["NO_LOG", "MINIMAL", "FULL"]
    twin.start()
    for group in groups:
        group.pair.wait_job()
    before = [group.pair.conflicts() for group in groups]
    try:
        for n, setting in enumerate(settings):
            for side in SIDES:
                twin.sql(side, f"SET GLOBAL binlog_row_metadata = {setting}")
                if not mysql:
                    twin.sql(side, f"SET GLOBAL log_bin_compress = {n % 2}")
            walk_through(twin, groups, SIDES[n % 2], 1000 * (n + 1))
    finally:
        for side in SIDES:
            twin.sql(side, "SET GLOBAL binlog_row_metadata = DEFAULT")
            if not mysql:
                twin.sql(side, "SET GLOBAL log_bin_compress = 0")
    twin.settle()
    assert [group.pair.conflicts() for group in groups] == before


@pytest.mark.pairings
def test_keys_of_every_type(twin, make_pair):
    types = {"n": "INT UNSIGNED NOT NULL", "v": "VARCHAR(20) NOT NULL", "b": "BINARY(4) NOT NULL", "t": "DATETIME(3) NOT NULL",
             "d": "DECIMAL(10,3) NOT NULL", "c": "CHAR(8) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL",
             "x": "VARBINARY(10) NOT NULL", "w": "BIT(20) NOT NULL", "y": "YEAR NOT NULL", "value": "INT"}
    both = all(family(twin, side) == "mariadb" for side in SIDES)
    if both:
        types["u"] = "UUID NOT NULL"
    key = [column for column in types if column != "value"]
    things = make_pair("keys", types, key=key, reads={"w": "{} + 0"})
    base = {"n": "1", "v": "'a'", "b": "x'01000000'", "t": "'2026-01-05 10:11:12.5'", "d": "1.5", "c": "'é'", "x": "x'00'", "w": "1", "y": "2026",
            **({"u": "'6ccd780c-baba-1026-9564-0040f4311e29'"} if both else {})}
    others = {"n": ["0", "4294967295"], "v": ["'A'", "''", "'it''s 🦀'", "'é'"], "b": ["x'00000000'", "x'ff270000'"],
              "t": ["'2026-01-05 10:11:12'", "'0000-00-00 00:00:00'"], "d": ["-1.5", "1.501", "0"], "c": ["''", "'É'", "'€'"],
              "x": ["x'0000'", "''", "x'2700ff'"], "w": ["0", "1048575"], "y": ["0", "1901"],
              "u": ["'ffffffff-ffff-4fff-8fff-ffffffffffff'", "'00000000-0000-0000-0000-000000000000'"]}
    rows = [base] + [{**base, column: value} for column in key for value in others[column]]
    half = len(rows) // 2
    things.insert("left", *({**row, "value": str(n)} for n, row in enumerate(rows[:half])))
    things.insert("right", *({**row, "value": str(n)} for n, row in enumerate(rows[half:])))
    twin.start()
    assert things.wait_job()["rows_written"] == len(rows)
    twin.settle()
    before = things.conflicts()
    things.update("right", *({**row, "value": str(100 + n)} for n, row in enumerate(rows)))
    twin.wait_equal()
    things.update("left", *({**row, "value": str(200 + n)} for n, row in enumerate(rows)))
    twin.wait_equal()
    for side in SIDES:
        assert sorted(row[types_at(types, "value")] for row in things.rows(side)) == [200 + n for n in range(len(rows))]
    # Other keys for all of them, then none.
    things.run("left", [f"UPDATE {things.tables['left']} SET n = n + 1 WHERE n = 1"])
    twin.wait_equal()
    things.run("right", [f"DELETE FROM {things.tables['right']} WHERE value >= 0"])
    twin.settle()
    assert things.rows("left") == []
    assert things.conflicts() == before


def types_at(types, column):
    return list(types).index(column)


@pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mysql-9.7/mariadb-11.8", "mariadb-11.8/mysql-9.7")
@pytest.mark.slow
def test_values_of_16_mib(twin, make_pair):
    """A row may be as large as a packet; bytes that would double in hex are sent as they are."""
    large = make_pair("large", {"id": "INT NOT NULL", "b": "LONGBLOB", "t": "LONGTEXT", "l": "LONGTEXT CHARACTER SET latin1"},
                 reads={c: "CONCAT(LENGTH({0}), SHA2({0}, 256))" for c in ("b", "t", "l")})
    size = 16 << 20
    before = {side: twin.servers[side].value("SELECT @@GLOBAL.max_allowed_packet") for side in SIDES}
    try:
        for side in SIDES:
            twin.sql(side, f"SET GLOBAL max_allowed_packet = {2 * size}")
        large.insert("left", {"id": "1", "b": f"REPEAT(x'00ff805c', {size // 4})"})
        twin.start()
        large.wait_job()
        twin.wait_equal(60)
        large.insert("right", {"id": "2", "t": f"REPEAT('ü', {size // 2})"})
        large.update("right", {"id": "1", "b": f"REPEAT(x'2700ff80', {size // 5})"})
        twin.wait_equal(60)
        large.update("left", {"id": "2", "t": "'short'", "l": f"REPEAT('é''', {size // 3})"})
        twin.settle(timeout_s=60)
        assert not large.quarantine()
        assert not any(any(c.values()) for c in large.conflicts().values() if c), large.conflicts()
    finally:
        twin.daemon.close()
        for side in SIDES:
            twin.sql(side, f"SET GLOBAL max_allowed_packet = {before[side]}")


@pytest.mark.pairings("mysql-9.7/mariadb-10.11", "mysql-9.7/mysql-9.7")
def test_json_that_is_told_in_parts(twin):
    """The log says what changed within a document, not what it is now: that key is taken from the row."""
    with pairs(twin) as make:
        told_in_parts(twin, make("docs", {"id": "INT", "doc": "JSON", "note": "VARCHAR(40)"}, documents=("doc",)))


def told_in_parts(twin, pair):
    twin.start()
    pair.wait_job()
    table = pair.tables["left"]
    with twin.servers["left"].connect() as c, c.cursor() as cursor:
        cursor.execute("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'")
        cursor.execute(f"""INSERT INTO {table} (id, doc, note) VALUES (1, '{{"a": 1, "b": "some text that is long enough"}}', 'x'),
                           (2, '[1, 2, 3]', 'y')""")
        cursor.execute(f"UPDATE {table} SET doc = JSON_SET(doc, '$.a', 2)")
        cursor.execute(f"UPDATE {table} SET doc = JSON_REPLACE(doc, '$[1]', 9), note = 'both', sync_version = sync_version + 1 WHERE id = 2")
        cursor.execute(f"UPDATE {table} SET doc = JSON_REMOVE(doc, '$.b'), sync_version = sync_version + 1 WHERE id = 1")

    def arrived():
        rows = {row[0]: row for row in pair.rows("right")}
        return rows == {row[0]: row for row in pair.rows("left")} and len(rows) == 2 and rows or Why(rows)

    rows = wait_until("both tables are equal", arrived, 20)
    assert json.loads(rows[1][1]) == {"a": 2} and json.loads(rows[2][1]) == [1, 9, 3] and rows[2][2] == "both"
