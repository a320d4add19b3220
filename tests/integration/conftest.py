"""Fixtures: each worker has a pair of servers of the pairing at hand, each test has fresh tables.

A test runs on MariaDB 10.11 on both sides. With @pytest.mark.pairings it runs on every pairing too, once
--pairing says so, as `./dev test` does. pairings("mariadb-11.8/mysql-9.7", …) names the only ones it is for.
With @pytest.mark.kinds, for what one server alone decides, it runs with each kind on each side, and not on every pairing.
"""

import os

import pytest

from support.daemon import BINARY
from support.pairings import AT_HOME, EACH_KIND, PAIRINGS, Pairing, Pool
from support.servers import Servers
from support.twin import Twin, find_secrets

# What --pairing takes beside a pairing.
WORDS = {"all": lambda pairing: True,
         "mysql": lambda pairing: "mysql-9.7" in pairing.kinds,
         "mariadb": lambda pairing: pairing != AT_HOME and "mysql-9.7" not in pairing.kinds}

# What a test leaves switched goes back to this.
SWITCHES = {"binlog_format": "'ROW'", "binlog_row_image": "'FULL'", "max_connections": "60"}

# Bytes. A server that is asked for a GTID reads the file that holds it from its begin, with each stream that a daemon opens:
# what earlier tests wrote stays out of that.
LONG_LOG = 1 << 18


def pytest_addoption(parser):
    parser.addoption("--pairing", action="append", default=[], metavar="LEFT/RIGHT",
                     help="the kinds of servers on both sides, say mysql-9.7/mariadb-10.11, for every test that is run; "
                          "may be repeated. all: tests marked with pairings on each pairing, those marked with kinds on some, "
                          f"the rest at home ({AT_HOME}), where all tests run without this option. mysql, mariadb: of "
                          "those that are not at home the ones with and without a MySQL; threads: tests marked so, at home")


def pytest_configure(config):
    if not os.access(BINARY, os.X_OK):
        raise pytest.UsageError(f"no program {BINARY}: build it, or set TWINLOG_BIN")
    try:
        for text in config.getoption("--pairing"):
            assert text in WORDS or text == "threads" or Pairing.of(text)
    except ValueError as e:
        raise pytest.UsageError(str(e)) from None


def marked_pairings(test):
    """Where a test wants to run."""
    pairings, kinds = test.get_closest_marker("pairings"), test.get_closest_marker("kinds")
    if pairings:
        return [Pairing.of(text) for text in pairings.args] or PAIRINGS
    return [AT_HOME, *EACH_KIND] if kinds else [AT_HOME]


def is_named(test):
    """A test that is for certain pairings alone."""
    mark = test.get_closest_marker("pairings")
    return bool(mark and mark.args)


def pairings_of(test, wanted):
    """Where a test runs."""
    marked = marked_pairings(test)
    found = []
    for word in wanted or ["home"]:
        if word == "home":
            found += marked if is_named(test) else [AT_HOME]
        elif word == "threads":
            found += [AT_HOME] if test.get_closest_marker("threads") else []
        elif word in WORDS:
            found += [pairing for pairing in marked if WORDS[word](pairing)]
        elif not is_named(test) or Pairing.of(word) in marked:
            found.append(Pairing.of(word))
    return list(dict.fromkeys(found))


def pytest_generate_tests(metafunc):
    if "pairing" not in metafunc.fixturenames:
        return
    pairings = pairings_of(metafunc.definition, metafunc.config.getoption("--pairing"))
    metafunc.parametrize("pairing", pairings or [None], ids=str, indirect=True)


GROUP_TESTS = 32  # of another pairing, in one worker one after the other
NO_SERVERS = "no servers"  # what stands for the pairing of a test that needs none


def pairing_of(item):
    """None: of the pairings that are wanted the test runs on none."""
    return item.callspec.params.get("pairing", NO_SERVERS) if hasattr(item, "callspec") else NO_SERVERS


def pytest_collection_modifyitems(config, items):
    """The tests of another pairing in a few groups, each one after the other in one worker, so that its servers are not started
    for each test. What takes longest comes first: slow single tests, then these groups. The single tests behind them keep all
    workers busy to the end. Where there are none, it is enough that the groups are many more than the workers."""
    dropped = {None, NO_SERVERS} if set(config.getoption("--pairing")) & {"mysql", "mariadb"} else {None}
    config.hook.pytest_deselected(items=[item for item in items if pairing_of(item) in dropped])
    items[:] = [item for item in items if pairing_of(item) not in dropped]

    pairings = {pairing_of(item) for item in items} - {NO_SERVERS}
    order = {pairing: n for n, pairing in enumerate(sorted(pairings - {AT_HOME}, key=str))}
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    groups = {}
    for pairing in order:
        ours = [item for item in items if pairing_of(item) == pairing]
        parts = max(1, round(len(ours) / GROUP_TESTS))
        for n, item in enumerate(ours):  # slow ones in all parts
            groups[item] = n % parts, order[pairing]
            if len(pairings) > 1:
                item.add_marker(pytest.mark.xdist_group(f"{pairing} {n % parts}"))
    alone = {True: (-1, 0), False: (len(items), 0)}  # by whether it is slow
    items.sort(key=lambda item: groups.get(item, alone[item.get_closest_marker("slow") is not None]))


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
def pool(servers):
    return Pool(servers)


@pytest.fixture
def pairing(request):
    """The kinds of servers of this test."""
    return request.param


@pytest.fixture
def pair(pool, pairing):
    """Two running servers. A test may stop, kill or switch them as it likes."""
    pair = pool.pair(pairing)
    options = [dict(server.options) for server in pair]
    for server in pair:
        if server.log_end()[1] > LONG_LOG:
            server.sql("FLUSH BINARY LOGS")
    yield pair
    for server_id, (server, before) in enumerate(zip(pair, options), 1):
        if server.is_running():
            server.thaw()
        if server.options != before:
            server.stop()
            server.options = before
        if not server.is_running():
            server.start()
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
