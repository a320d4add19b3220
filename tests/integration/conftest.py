"""Fixtures: one pair of servers for each worker, fresh tables for each test."""

import os

import pytest

from support.daemon import BINARY
from support.servers import Servers
from support.twin import Twin, find_secrets

# What a test leaves switched goes back to this.
SWITCHES = {"binlog_format": "'ROW'", "binlog_row_image": "'FULL'", "max_connections": "60"}


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"no program {BINARY}: build it, or set TWINLOG_BIN")
    config.addinivalue_line("markers", "slow: runs for many seconds, so it is started first")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter):
    """What tests measured, and seeds, so that a failing run can be repeated."""
    lines = [f"{report.nodeid.split('::')[-1]}: {name} {value}"
             for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])
             if getattr(report, "when", "") == "call" for name, value in report.user_properties]
    if lines:
        terminalreporter.section("measured")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def servers(tmp_path_factory, worker_id):
    """Makes servers that end with the session. The workers share one template."""
    base = tmp_path_factory.getbasetemp()
    base = base if worker_id == "master" else base.parent
    with Servers(template=str(base / "server-template")) as all_servers:
        yield all_servers


@pytest.fixture(scope="session")
def shared_pair(servers):
    # Times are stored in UTC whatever the server's own zone is.
    return (servers.new("auth", 1).start(),
            servers.new("customer", 2, default_time_zone="-03:00").start())


@pytest.fixture
def pair(shared_pair):
    """Two running servers. A test may stop, kill or switch them as it likes."""
    yield shared_pair
    for server_id, server in enumerate(shared_pair, 1):
        if not server.is_running():
            server.start()
        server.thaw()
        for name, value in {**SWITCHES, "server_id": server_id}.items():
            server.sql(f"SET GLOBAL {name} = {value}")


@pytest.fixture
def make_twin(pair, tmp_path):
    """Makes the seed pair on fresh tables; whatever happened, no secret is in its log."""
    made = []

    def make(**link):
        assert not made
        twin = Twin(*pair, str(tmp_path / "twinlog"), **link)
        made.append(twin)
        return twin.make_tables().make_account()

    yield make
    for twin in made:
        twin.close()
        for server in twin.servers.values():
            if server.is_running():
                server.thaw()  # or it would not answer below
        if all(server.is_running() for server in twin.servers.values()):
            found = find_secrets(twin.daemon.log(), twin.secrets())
            assert not found, "the log holds a secret:\n" + "\n".join(found[:5])


@pytest.fixture
def twin(make_twin):
    """The seed pair, the daemon not yet started."""
    return make_twin()


@pytest.fixture
def running(twin):
    """The seed pair with the daemon at work, and its first resync done: rows that drift apart from here on stay apart."""
    twin.start()
    twin.daemon.wait_job()
    return twin
