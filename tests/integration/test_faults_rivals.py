"""Two who would serve one link, or use one server_id: the one that has no business there is refused, and says why."""

import signal
import struct

import pytest

from support.daemon import DB_USER, SLOW, Daemon
from support.servers import Why, wait_until
from support.twin import SIDES


@pytest.fixture
def other(running, tmp_path):
    """A second daemon of the same config, in a folder of its own."""
    other = Daemon(str(tmp_path / "other"), running.daemon.servers, running.daemon.links, running.passwords,
                   running.daemon.env)
    other.write_config()
    yield other
    other.close()


@pytest.mark.kinds
def test_a_second_daemon_is_refused(running, other):
    """The first one does not even notice."""
    running.insert("left", 1)
    running.settle(window_s=0.3)
    other.start(ready=False)
    assert other.wait_end(15 * SLOW) == 1
    assert "another twinlog serves link users" in other.log(), other.log_tail()
    assert "127.0.0.1" in other.log()
    assert running.daemon.is_ready()
    assert all(s["reconnects"] == 0 for s in running.daemon.status()["servers"].values())
    running.update("right", 1, name="as before")
    running.settle()
    # And one that comes when the first is gone is let in at once, however that went.
    running.daemon.kill()
    running.daemon = other.start()
    running.update("right", 1, name="by the other")
    running.wait_equal()


def test_a_second_daemon_with_the_same_port_is_no_wrong_config(running, other):
    other.port = running.daemon.port
    other.write_config()
    other.start(ready=False)
    assert other.wait_end(15 * SLOW) == 1
    assert f"cannot listen on 127.0.0.1:{other.port}" in other.log(), other.log_tail()
    assert running.daemon.is_ready()


def test_a_check_leaves_a_running_daemon_alone(running):
    code, text = running.daemon.command("check")
    assert code == 0, text
    running.insert("left", 1)
    running.settle()
    assert all(s["reconnects"] == 0 for s in running.daemon.status()["servers"].values())


@pytest.mark.slow
def test_a_daemon_that_says_nothing_any_more_is_followed_by_another(running, other):
    """Its machine stands still: its sessions are still there. When it comes to, it finds that it has been replaced, and ends."""
    running.insert("left", 1)
    running.settle(window_s=0.3)
    running.daemon.signal(signal.SIGSTOP)
    try:
        holder = """SELECT p.time FROM information_schema.processlist AS p
                     WHERE p.user = %s AND p.command = 'Sleep' AND p.info IS NULL"""
        wait_until("all its sessions are silent", lambda: all(
            time >= 11 for (time,) in running.servers["left"].rows(holder, [DB_USER])), 20)
        other.start()
        assert "it is ended" in other.log()
        running.update("left", 1, name="by the other")
        running.wait_equal()
    finally:
        running.daemon.signal(signal.SIGCONT)
    assert running.daemon.wait_end(30) == 1
    assert "another twinlog" in running.daemon.log() or "server_id" in running.daemon.log(), running.daemon.log_tail()
    assert other.is_ready()
    running.update("right", 1, name="still by the other")
    running.daemon = other
    running.settle()


def replicate(server, server_id):
    """A replica as any other: asks for the log from its begin, under this server_id."""
    c = server.connect()
    name = server.rows("SHOW BINARY LOGS")[0][0].encode()
    with c.cursor() as cursor:
        # MySQL goes by a UUID, which twinlog makes of its server_id.
        uuid = f"7477696e-6c6f-4700-8000-0000{server_id:08x}"
        cursor.execute("SET @master_binlog_checksum = 'NONE', @source_binlog_checksum = 'NONE', "
                       f"@mariadb_slave_capability = 4, @replica_uuid = '{uuid}', @slave_uuid = '{uuid}'")
    c._execute_command(0x12, struct.pack("<IHI", 4, 0, server_id) + name)
    return c


def test_a_signal_while_it_ends_by_itself_is_the_first(running):
    daemon = running.daemon
    with running.change_that_waits_for_a_lock():
        rival = replicate(running.servers["left"], daemon.server_ids["auth"])
        try:
            wait_until("it ends", lambda: "so the daemon ends" in daemon.log(), 15 * SLOW)
            daemon.signal(signal.SIGTERM)
            assert daemon.wait_end(15 * SLOW) == 1
        finally:
            rival._force_close()
    assert "SIGTERM: stops" in daemon.log() and "second signal" not in daemon.log(), daemon.log_tail()


@pytest.mark.kinds
@pytest.mark.parametrize("side", SIDES)
def test_a_replica_with_the_same_server_id_ends_the_daemon(running, side):
    """It would push the daemon out of the log, and be pushed out by it, for ever."""
    name = {"left": "auth", "right": "customer"}[side]
    rival = replicate(running.servers[side], running.daemon.server_ids[name])
    try:
        assert running.daemon.wait_end(15) == 1
        log = running.daemon.log()
        assert f"server {name}" in log and f"server_id {running.daemon.server_ids[name]}" in log, running.daemon.log_tail()
    finally:
        rival._force_close()
    running.daemon.start()
    running.insert(side, 1)
    running.settle()
