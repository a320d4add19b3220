"""sql/grants.sql is enough and not too much; check names what is missing and how to mend it."""

import re

import pytest

from support.twin import SIDES


@pytest.fixture
def prepared(twin):
    twin.daemon.write_config()
    twin.daemon.init()
    return twin


def grants(server):
    """{account: [GRANT ...]} of the daemon's accounts."""
    found = {}
    for user, host in server.rows("SELECT user, host FROM mysql.user WHERE user = 'twinlog'"):
        account = f"'{user}'@'{host}'"
        found[account] = [row[0] for row in server.rows(f"SHOW GRANTS FOR {account}")]
    return found


def single_privileges(server):
    """(privilege, object, account), one for each that can be taken away alone."""
    for account, lines in grants(server).items():
        for line in lines:
            what, on = re.match(r"GRANT (.+?) ON (\S+) TO", line).groups()
            for privilege in re.findall(r"[A-Z][A-Z ]*[A-Z](?: \([^)]*\))?", what):
                if privilege != "USAGE":
                    yield privilege, on, account


def statements(text):
    return re.findall(r"mend: (GRANT [^;]*;)", text)


def check(twin):
    code, text = twin.daemon.command("check")
    return code, text


@pytest.mark.kinds
def test_the_grants_of_the_repository_are_enough(prepared):
    code, text = check(prepared)
    assert code == 0 and "FAIL" not in text, text
    prepared.daemon.start()
    for side in SIDES:
        prepared.insert(side, 1 if side == "left" else 2)
    prepared.settle()


def test_no_more_than_needed(prepared):
    for server in prepared.servers.values():
        for privilege, on, _ in single_privileges(server):
            assert privilege not in ("SUPER", "ALL PRIVILEGES", "FILE", "GRANT OPTION", "CREATE USER", "PROCESS")
            if on == "*.*":
                assert privilege.startswith(("REPLICATION", "BINLOG")), f"{privilege} on every table"


@pytest.mark.pairings("mariadb-10.11/mariadb-10.11", "mysql-9.7/mysql-9.7")
@pytest.mark.parametrize("side", SIDES)
def test_check_names_each_missing_privilege_with_the_grant_that_mends_it(prepared, side):
    """One after the other is taken away, named, and given back by the statement that check prints."""
    server = prepared.servers[side]
    code, text = check(prepared)
    assert code == 0, text
    privileges = list(single_privileges(server))
    assert len(privileges) > 5, privileges
    unneeded = []
    for privilege, on, account in privileges:
        server.sql(f"REVOKE {privilege} ON {on} FROM {account}")
        code, text = check(prepared)
        mending = statements(text)
        if not mending:
            unneeded.append((privilege, on, account))
            server.sql(f"GRANT {privilege} ON {on} TO {account}")
            continue
        word = privilege.split(" (")[0]
        assert any(word in statement for statement in mending), f"{privilege} on {on}:\n{text}"
        assert code == 1 or re.search(r"^warn", text, re.M), text
        for statement in mending:
            server.sql(statement.rstrip(";"))
        code, text = check(prepared)
        assert code == 0 and not statements(text), f"after {mending}:\n{text}"
    # What init alone needs, and what several accounts give twice, may go without a word.
    assert not [p for p in unneeded if p[0] not in ("CREATE", "ALTER", "INDEX", "REFERENCES")], unneeded
    prepared.daemon.start()
    prepared.insert(side, 1)
    prepared.settle()
