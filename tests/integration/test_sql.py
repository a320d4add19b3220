"""The files of sql/, run as a user runs them."""

import pytest

from support.twin import SEED, SIDES, make_account, make_seed_table, sql_file

SYNC_COLUMNS = {"sync_version", "updated_at", "last_sync_at"}


def columns(server, table):
    return [row[:2] for row in server.rows(f"SHOW COLUMNS FROM {table}")]


@pytest.mark.kinds
def test_the_migrations_keep_the_rows_and_may_be_repeated(twin):
    for side in SIDES:
        server, table = twin.servers[side], twin.link.table(side)
        server.sql(f"DROP TABLE {table}")
        server.client(sql_file(SEED[side][0]))
        assert not SYNC_COLUMNS & {name for name, _ in columns(server, table)}
        twin.insert(side, 1, created_at="2020-02-02 02:02:02.2")
        twin.insert(side, 2, created_at="2020-02-02 02:02:02.2")
        before = server.rows(f"SELECT * FROM {table}")
        for _ in range(3):
            server.client(sql_file(SEED[side][1]))
            after = server.rows(f"SELECT * FROM {table}")
            assert [row[:len(before[0])] for row in after] == list(before)
            assert SYNC_COLUMNS <= {name for name, _ in columns(server, table)}
        server.sql(f"UPDATE {table} SET sync_version = 7, updated_at = '2021-01-01 00:00:00' WHERE id = 1")
        server.client(sql_file(SEED[side][1]))
        assert server.value(f"SELECT sync_version FROM {table} WHERE id = 1") == 7
        server.sql(f"UPDATE {table} SET updated_at = '2021-01-01 00:00:00'")
    twin.start()
    twin.update("left", 1, name="after the migration")
    twin.wait_equal()
    assert twin.names(1) == ("after the migration",) * 2
    twin.settle()


def test_a_table_with_some_of_the_sync_columns(twin):
    for side in SIDES:
        server, table = twin.servers[side], twin.link.table(side)
        expected = columns(server, table)
        server.sql(f"ALTER TABLE {table} DROP COLUMN updated_at")
        server.client(sql_file(SEED[side][1]))
        assert sorted(columns(server, table)) == sorted(expected)


def test_all_files_may_be_repeated_while_the_daemon_runs(running):
    running.insert("left", 1)
    running.settle()
    for side in SIDES:
        for name in (*SEED[side], "grants.sql"):
            running.servers[side].client(sql_file(name))
    running.update("right", 1, name="goes on")
    running.settle()
    assert running.names(1) == ("goes on", "goes on")


def test_the_grants_need_no_table_of_the_other_side(pair):
    for side, server in zip(SIDES, pair):
        make_seed_table(server, side)
        make_account(server, "any")
        tables = [row[0] for row in server.rows("SELECT table_name FROM mysql.tables_priv WHERE user = 'twinlog'")]
        assert tables == [("client_auth" if side == "left" else "customers")]
