"""Types that differ between the sides: what fits goes over, what does not waits in quarantine, and nothing is rounded, cut or
taken for another value. `check` names each pair of columns that has such values."""

import decimal

import pytest

from support.pairs import pairs
from support.servers import Why, wait_until
from support.twin import PEER, SIDES


@pytest.fixture
def make_pair(twin):
    with pairs(twin) as make:
        yield make


# column: left's type, right's type, what check says of right -> left, values that fit, values of the right that do not
DIFFERENT = {
    "i": ("TINYINT", "BIGINT", "a number that the narrower type", ["-128", "127"], ["128", "-129", "2147483648"]),
    "iu": ("TINYINT UNSIGNED", "BIGINT", "a number that the narrower type", ["0", "255"], ["-1", "256"]),
    "vc": ("VARCHAR(5)", "VARCHAR(255)", "a longer text", ["'12345'", "'abc  '"], ["'123456'", "'12345   '"]),
    "tt": ("TINYTEXT", "TEXT", "a longer text", ["REPEAT('x', 255)", "''"], ["REPEAT('x', 256)", "CONCAT(REPEAT('x', 255), '  ')"]),
    "latin": ("VARCHAR(20) CHARACTER SET latin1", "VARCHAR(20)", "a character that the other charset", ["'é € Œ'"], ["'漢'", "'Ω'"]),
    "sj": ("VARCHAR(20) CHARACTER SET sjis", "VARCHAR(20)", "a character that the other charset", ["'日本 ~'"], ["'한'", "'①'"]),
    "bmp": ("VARCHAR(20) CHARACTER SET ucs2", "VARCHAR(20)", "a character that the other charset", ["'漢'"], ["'🦀'"]),
    "dt": ("DATETIME", "DATETIME(6)", "a time with more digits", ["'2026-01-05 10:11:12'"],
           ["'2026-01-05 10:11:12.5'", "'2026-12-31 23:59:59.999999'"]),
    "dt3": ("DATETIME(3)", "DATETIME(6)", "a time with more digits", ["'2026-01-05 10:11:12.123'"], ["'2026-01-05 10:11:12.1234'"]),
    "ti": ("TIME", "TIME(6)", "a time with more digits", ["'-10:11:12'"], ["'-00:00:00.000001'"]),
    "ts": ("TIMESTAMP NULL", "DATETIME", "a DATETIME is carried over", ["'2026-01-05 10:11:12'", "'0000-00-00 00:00:00'"],
           ["'1969-12-31 23:59:59'", "'9999-12-31 00:00:00'", "'2026-02-31 00:00:00'", "'2026-00-00 00:00:00'"]),
    "de": ("DECIMAL(10,2)", "DECIMAL(20,8)", "a number with more digits behind", ["-1.25", "99999999.99"],
           ["1.005", "-0.00000001", "99999999.99999999", "123456789012.5"]),
    "deu": ("DECIMAL(10,2) UNSIGNED", "DECIMAL(10,2)", "a number that the narrower type", ["1.25"], ["-0.01"]),
    "fl": ("FLOAT", "DOUBLE", "a number with more digits", ["0.5", "-1e30 * 0 + 0.25"], ["0.1", "1e300", "16777217"]),
    "md": ("DOUBLE(12,3)", "DOUBLE", "a number with more digits", ["0.125", "-3"], ["0.0625", "1e-5"]),
    "bi": ("BIT(10)", "BIT(20)", "more bits", ["1023"], ["1024"]),
    "en": ("ENUM('blue', 'red')", "ENUM('red', 'green', 'blue')", "a label", ["'red'", "'blue'"], ["'green'"]),
    "et": ("ENUM('blue', 'red')", "VARCHAR(20)", "a value that is no label", ["'red'"], ["'RED'", "'2'", "''", "'red '", "'nope'"]),
    "se": ("SET('blue', 'red')", "SET('red', 'green', 'blue')", "a label", ["'red,blue'", "''"], ["'red,green'"]),
    "st": ("SET('blue', 'red')", "VARCHAR(20)", "a value that is no label", ["'blue,red'", "''"], ["'red,blue'", "'RED'", "'3'", "'red,red'", "'red,nope'"]),
    "bin": ("BINARY(4)", "VARBINARY(20)", "BINARY fills", ["'1234'", "x'31000000'"], ["'123'", "''", "'12345'"]),
    "vb": ("VARBINARY(10)", "VARBINARY(200)", "a longer value", ["'1234567890'"], ["'1234567890 '", "REPEAT(x'00', 11)"]),
    "ch": ("CHAR(10)", "VARCHAR(20)", "CHAR drops spaces", ["'x y'", "''"], ["'x '", "' '", "'12345678901'"]),
    "shape": ("POINT", "GEOMETRY", "a shape of another type", ["ST_GeomFromText('POINT(1 2)')"], ["ST_GeomFromText('LINESTRING(0 0, 1 1)')"]),
    "must": ("INT NOT NULL DEFAULT 5", "INT", "a NULL would be quarantined", ["1"], ["NULL"]),
}


def cases(place):
    """Keys and values, one column each."""
    return [(n * 100 + i, column, value) for n, (column, kinds) in enumerate(DIFFERENT.items(), 1) for i, value in enumerate(kinds[place])]


def row(key, column, value):
    return {"id": str(key), "must": "1", column: value}


@pytest.mark.kinds
def test_what_fits_goes_over_and_what_does_not_waits(twin, make_pair):
    things = make_pair("fits", {"id": "INT NOT NULL", **{c: {"left": kinds[0], "right": kinds[1]} for c, kinds in DIFFERENT.items()}},
                       reads={"bi": "{} + 0", "ts": "CAST({} AS CHAR)", "fl": "CAST({} AS DOUBLE)"}, sets=("se",))
    twin.daemon.write_config()
    twin.daemon.init()
    code, text = twin.daemon.command("check")
    assert code == 0, text
    for column, kinds in DIFFERENT.items():
        lines = [line for line in text.splitlines() if f"right tr.fits.{column} " in line and f"-> left tl.fits.{column} " in line]
        assert len([line for line in lines if line.startswith("warn") and kinds[2] in line]) == 1, f"{column}: {text}"
    twin.daemon.start()
    things.wait_job()

    # What fits, from either side.
    for side in SIDES:
        things.insert(side, *(row(key, column, value) for key, column, value in cases(3)))
        twin.wait_equal()
        things.delete(PEER[side], *({"id": str(key)} for key, _, _ in cases(3)))
        twin.wait_equal()
    before = things.conflicts()

    # What does not waits, each row by itself, and what comes behind it goes over.
    misfits = cases(4)
    things.insert("right", {"id": "1"}, *(row(key, column, value) for key, column, value in misfits), {"id": "2", "must": "1"})
    rows = things.rows("right")
    wanted = {f"id={key}" for key, _, _ in misfits} | {"id=1"}
    found = wait_until("each row that does not fit waits in quarantine", lambda: (lambda q: q if set(q) == wanted else Why(
        f"missing {sorted(wanted - set(q))}, too many {sorted(set(q) - wanted)}\n{twin.daemon.log_tail()}"))(things.quarantine()), 30)
    wait_until("the row behind them arrives", lambda: [r[0] for r in things.rows("left")] == [2] or Why(things.rows("left")))
    named = [key for key, column, _ in misfits if column not in ("shape",) and f"column {column}" not in found[f"id={key}"]]
    assert not named, {key: found[f"id={key}"] for key in named}
    assert things.rows("right") == rows

    # Once they do they go over, and nothing is left to wait.
    fitting = {column: kinds[3][0] for column, kinds in DIFFERENT.items()}
    things.update("right", {"id": "1", "must": "1"}, *(row(key, column, fitting[column]) for key, column, _ in misfits))
    twin.settle()
    assert not things.quarantine()
    assert len(things.rows("left")) == len(misfits) + 2
    assert before  # conflicts of waiting rows are counted: their updates find another row than they left


@pytest.mark.kinds
def test_bytes_that_are_no_text_stay_where_they_are(twin, make_pair):
    """Some bytes are no character of their set: a server shows a '?', which must not be taken for the value."""
    things = make_pair("odd", {"id": "INT NOT NULL", "t": {"left": "VARCHAR(20) CHARACTER SET cp1251", "right": "VARCHAR(20)"}},
                       reads={"t": "HEX({})"})
    things.insert("left", {"id": "1", "t": "'Привет'"}, {"id": "2", "t": "_cp1251 x'4198'"})
    twin.start()
    things.wait_job()
    wait_until("the row waits", lambda: set(things.quarantine()) == {"id=2"} or Why(things.quarantine()))
    assert "no text of the character set" in things.quarantine()["id=2"]
    things.insert("left", {"id": "3", "t": "_cp1251 x'98'"}, {"id": "4", "t": "'мир'"})
    wait_until("the next one too", lambda: set(things.quarantine()) == {"id=2", "id=3"} or Why(things.quarantine()))
    wait_until("the one behind it arrives", lambda: twin.servers["right"].value("SELECT t FROM tr.odd WHERE id = 4") == "мир")
    # What the other side says of the key does not overwrite it.
    things.insert("right", {"id": "3", "t": "'new'"})
    twin.wait_quiet()
    assert twin.servers["left"].value("SELECT HEX(t) FROM tl.odd WHERE id = 3") == "98"
    things.update("left", {"id": "3", "t": "'да'"})
    things.delete("left", {"id": "2"})
    wait_until("both are done", lambda: not things.quarantine() or Why(things.quarantine()))
    for side in SIDES:
        assert sorted(twin.servers[side].rows(f"SELECT id, t FROM {things.tables[side]}")) == [(1, "Привет"), (3, "да"), (4, "мир")]


@pytest.mark.kinds
def test_keys_that_do_not_fit_wait(twin, make_pair):
    """They are looked for all the same, by a resync too, and nothing else is taken for them."""
    things = make_pair("keys", {"k": {"left": "VARCHAR(5) NOT NULL", "right": "VARCHAR(20) NOT NULL"},
                                "n": {"left": "TINYINT UNSIGNED NOT NULL", "right": "INT NOT NULL"},
                                "d": {"left": "DECIMAL(5,1) NOT NULL", "right": "DECIMAL(9,3) NOT NULL"}, "v": "INT"}, key=("k", "n", "d"))
    good = [{"k": "'abc'", "n": "1", "d": "1.5", "v": "1"}, {"k": "'abcde'", "n": "255", "d": "9999.9", "v": "2"}]
    bad = [{"k": "'abcdef'", "n": "1", "d": "1.5", "v": "1"}, {"k": "'abc'", "n": "256", "d": "1.5", "v": "1"}, {"k": "'abc'", "n": "-1", "d": "1.5", "v": "1"},
           {"k": "'abc'", "n": "1", "d": "1.501", "v": "1"}, {"k": "'abcdefg'", "n": "1", "d": "1.5", "v": "1"}]
    waiting = {"k=abcdef,n=1,d=1.5", "k=abc,n=256,d=1.5", "k=abc,n=-1,d=1.5", "k=abc,n=1,d=1.501", "k=abcdefg,n=1,d=1.5"}
    things.insert("right", *bad[:3], good[0])  # before the start, and after it
    twin.start()
    assert things.wait_job()["quarantined"] == 3
    things.insert("right", *bad[3:], good[1])
    wait_until("they wait", lambda: set(things.quarantine()) == waiting or Why(things.quarantine()))
    wait_until("the others arrive", lambda: len(things.rows("left")) == 2 or Why(things.rows("left")))
    things.update("left", {**good[0], "v": "7"})
    wait_until("and go back", lambda: twin.servers["right"].value(f"SELECT v FROM {things.tables['right']} WHERE n = 1 AND d = 1.5 AND k = 'abc'") == 7)
    code, _ = twin.daemon.command("verify")
    assert code == 1
    things.delete("right", *bad)
    wait_until("nothing waits", lambda: not things.quarantine() or Why(things.quarantine()))
    twin.settle()


@pytest.mark.kinds
def test_a_column_that_became_narrower_takes_no_part_of_a_value(twin, make_pair):
    """ALTER on one side while the daemon runs: what is written there meanwhile waits too."""
    things = make_pair("altered", {"id": "INT NOT NULL", "d": "DECIMAL(10,4)", "v": "VARCHAR(20)"})
    things.insert("right", {"id": "1", "d": "1.2345", "v": "'x'"})
    twin.start()
    things.wait_job()
    things.insert("right", {"id": "2", "d": "1"})
    twin.wait_equal()
    things.run("left", [f"DELETE FROM {things.tables['left']} WHERE id = 1"])
    twin.wait_equal()
    things.run("left", [f"ALTER TABLE {things.tables['left']} MODIFY d DECIMAL(10,2), MODIFY v VARCHAR(4)"])
    things.insert("right", {"id": "3", "d": "1.2345"}, {"id": "5", "v": "'abcd  '"}, {"id": "6", "d": "1.25", "v": "'abcd'"})
    wait_until("they wait", lambda: set(things.quarantine()) == {"id=3", "id=5"} or Why((things.quarantine(), twin.daemon.log_tail())))
    assert "column d cannot hold the value" in things.quarantine()["id=3"]
    things.update("right", {"id": "2", "d": "2.345"}, {"id": "6", "d": "2.25"})
    wait_until("an update waits too", lambda: "id=2" in things.quarantine() or Why(things.quarantine()))
    wait_until("what fits arrives", lambda: twin.servers["left"].value(f"SELECT d FROM {things.tables['left']} WHERE id = 6") == decimal.Decimal("2.25"))
    assert [row[:2] for row in things.rows("left")] == [(2, 1), (6, decimal.Decimal("2.25"))]
    # Wide again, they go over by themselves.
    things.run("left", [f"ALTER TABLE {things.tables['left']} MODIFY d DECIMAL(10,4), MODIFY v VARCHAR(20)"])
    assert twin.daemon.http("/sync/quarantine/retry?all=true&link=altered", "POST")[0] == 202
    wait_until("nothing waits", lambda: not things.quarantine() or Why(things.quarantine()))
    twin.settle()


def test_a_key_that_is_no_text_is_told_and_not_passed_over(twin, make_pair):
    things = make_pair("keyed", {"id": "VARCHAR(20) CHARACTER SET cp1251 COLLATE cp1251_bin NOT NULL", "n": "INT"})
    things.insert("left", {"id": "'a'", "n": "1"}, {"id": "_cp1251 x'98'", "n": "2"}, {"id": "'я'", "n": "3"})
    twin.daemon.write_config()
    twin.daemon.init()
    for command in (("verify",), ("verify", "--repair")):
        code, text = twin.daemon.command(*command)
        assert code == 1 and "tl.keyed on server auth: a row's key is no text of its character set" in text, text
    things.run("left", [f"DELETE FROM {things.tables['left']} WHERE n = 2"])
    twin.start()
    assert things.wait_job()["rows_written"] == 2
    twin.settle()


@pytest.mark.kinds
def test_json_and_text_of_json_are_one_document(twin, make_pair):
    """A MariaDB's JSON is text, a MySQL's a document: another order of keys, or other spaces, are no change."""
    things = make_pair("docs", {"id": "INT NOT NULL", "j": "JSON"}, documents=("j",))
    texts = ['{"b":1,"a":[1,  2.50]}', '{"a": [1, 2.5], "b": 1}']
    things.insert("left", {"id": "1", "j": f"'{texts[0]}'"})
    things.insert("right", {"id": "1", "j": f"'{texts[1]}'"})
    for side in SIDES:  # otherwise equal
        things.run(side, [f"UPDATE {things.tables[side]} SET updated_at = '2026-01-05 10:11:12'"])
    twin.start()
    job = things.wait_job()
    mysql = [twin.servers[side].kind.is_mysql for side in SIDES]
    assert job["rows_written"] == (0 if any(mysql) else 1), job  # between two texts each byte counts
    twin.settle()
    before = things.conflicts()
    for n in range(4):
        things.update(SIDES[n % 2], {"id": "1", "j": f"""'{{"n": {n}.0, "aa":null,  "z" :"\\\\u00e9"}}'"""})
        twin.wait_equal()
    twin.settle()
    assert things.conflicts() == before


REFUSED = {
    "INT and VARCHAR": ("INT", "VARCHAR(20)", "hold values of different kinds"),
    "INT and DECIMAL": ("INT", "DECIMAL(10,0)", "DECIMAL can be mapped to DECIMAL only"),
    "TEXT and BLOB": ("TEXT", "BLOB", "hold values of different kinds"),
    "DATE and DATETIME": ("DATE", "DATETIME", "hold values of different kinds"),
    "TIME and DATETIME": ("TIME", "DATETIME", "hold values of different kinds"),
    "BIT and INT": ("BIT(8)", "INT", "hold values of different kinds"),
    "POINT and TEXT": ("POINT", "TEXT", "hold values of different kinds"),
}


@pytest.mark.kinds
def test_types_that_have_nothing_in_common_are_refused(twin, make_pair):
    columns = {f"c{n}": {"left": kinds[0], "right": kinds[1]} for n, kinds in enumerate(REFUSED.values())}
    make_pair("refused", {"id": "INT NOT NULL", **columns})
    twin.daemon.write_config()
    twin.daemon.init()
    code, text = twin.daemon.command("check")
    assert code == 1, text
    for n, (name, kinds) in enumerate(REFUSED.items()):
        lines = [line for line in text.splitlines() if line.startswith("FAIL") and f"left tl.refused.c{n} " in line]
        assert len(lines) == 1 and kinds[2] in lines[0], f"{name}: {text}"
    code, text = twin.daemon.command("run")
    assert code == 2, text
