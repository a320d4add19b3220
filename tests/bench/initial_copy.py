"""Initial copy: a full table on one side, an empty one on the other. twinlog decrypts each row, compares and records its
place on the way; the others do none of that.
"""

import resource
import subprocess

from bench.meter import Cost
from bench.stage import LEFT, BenchError
from support.servers import Why, wait_until

LONGEST_S = 900


def children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def copy(bench):
    stage = bench.stage
    part, rows = bench.part("copy", "Initial copy", rows=(500000, 5000))

    def result(one, used):
        one["rows/s"] = rows / one.seconds
        one["CPU us/row"] = used * 1e6 / rows

    def insert_select(one):
        stage.restore("auth")
        stage.auth.sql(f"CREATE TABLE auth_db.copied LIKE {LEFT}")
        cost = Cost(stage.auth.process.pid)
        with one:
            copied = stage.auth.sql(f"INSERT INTO auth_db.copied SELECT * FROM {LEFT}")
        result(one, cost.s())
        complete(copied)

    def dump_and_load(one):
        stage.restore("auth", "copy")
        cost, before = Cost(stage.auth.process.pid, stage.copy.process.pid), children_s()
        with one:
            dump_into(stage.copy)
        result(one, cost.s() + children_s() - before)
        stage.check_replica(stage.copy)

    def dump_into(target):
        common = ["--no-defaults", "--user=root"]
        with subprocess.Popen(["mariadb-dump", *common, f"--socket={stage.auth.socket}", "--single-transaction", "auth_db",
                               "client_auth"], stdout=subprocess.PIPE) as dump:
            loaded = subprocess.run(["mariadb", *common, f"--socket={target.socket}", "auth_db"], stdin=dump.stdout,
                                    check=False)
            dump.stdout.close()
        if dump.returncode or loaded.returncode:
            raise BenchError(f"mariadb-dump ended with {dump.returncode}, mariadb with {loaded.returncode}")

    def twinlog(one):
        stage.restore("auth", "customer")
        cost = Cost(stage.auth.process.pid, stage.customer.process.pid)
        with one:
            stage.daemon.start(ready=False)
            cost.add(stage.daemon.process.pid)
            wait_until("the table is copied", copied, LONGEST_S, every_s=0.05)
        result(one, cost.s())
        one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
        stage.daemon.wait_ready()
        stage.check_twins()
        stage.daemon.stop(timeout_s=30)

    def copied():
        if not stage.daemon.is_running():
            raise BenchError(f"twinlog has ended\n{stage.daemon.log_tail()}")
        # Read where it is stored: the interface may not listen yet.
        found = stage.auth.rows("SELECT state, rows_written, error FROM twinlog.resync WHERE link = 'users'")
        if not found or found[0][0] == "running":
            return Why(found)
        state, written, error = found[0]
        if state != "done":
            raise BenchError(f"the first resync has ended as {state}: {error}")
        complete(written)
        return True

    def complete(copied_rows):
        if copied_rows != rows:
            raise BenchError(f"{copied_rows} rows were copied, not {rows}")

    stage.fresh("auth", "customer", "copy")
    stage.copy.sql("CREATE DATABASE auth_db")
    stage.load("fill", stage.auth, rows=rows)
    stage.daemon.write_config()
    stage.daemon.init()
    stage.save()
    part.alternate(("relaxed", "INSERT … SELECT in one server", insert_select),
                   ("relaxed", "mariadb-dump into mariadb", dump_and_load),
                   ("relaxed", "twinlog", twinlog))
