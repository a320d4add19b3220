"""Skip: transactions on a table that nobody tracks, and behind them one row that somebody does.

What an applier needs to begin at all is no skipping: each run is followed by one with that row alone, and its time and cost
are taken off.
"""

from bench.catchup import backlog
from bench.meter import Cost
from bench.runner import Measured

ROW = 1 << 40  # the key of the row behind them


def skip(bench):
    stage = bench.stage
    part, count = bench.part("skip", "Skip of foreign transactions", transactions=(300000, 3000))

    def write():
        stage.load("foreign", stage.auth, rows=count, connections=4)
        stage.load("fill", stage.auth, rows=1, first=ROW)

    def native(one):
        replica = stage.replica
        stage.restore("auth", "replica", replica={"replicate_wild_do_table": "auth_db.%"})
        used = native_once(one)
        replica.sql("STOP SLAVE")
        stage.load("fill", stage.auth, rows=1, first=ROW + 1)
        begin = Measured()
        begin_used = native_once(begin)
        stage.check_replica(replica)
        result(one, begin, used - begin_used)

    def native_once(one):
        end = stage.auth.gtid()
        cost = Cost(stage.replica.process.pid)
        with one:
            stage.replica.sql("START SLAVE")
            stage.wait_replicated(stage.replica, end)
        return cost.s()

    def twinlog(one):
        stage.restore("auth", "customer")
        used, customer_used = twinlog_once(one, ROW + 1)
        peak = stage.daemon.memory_peak_kb() / 1024
        stage.daemon.wait_ready()
        stage.daemon.stop(timeout_s=30)
        stage.load("fill", stage.auth, rows=1, first=ROW + 1)
        begin = Measured()
        begin_used, customer_begin_used = twinlog_once(begin, ROW + 2)
        stage.daemon.wait_ready()
        stage.check_twins()
        stage.daemon.stop(timeout_s=30)
        result(one, begin, used + customer_used - begin_used - customer_begin_used)
        one["daemon CPU us/tx"] = max(0.0, used - begin_used) * 1e6 / count
        one["peak MiB"] = peak

    def twinlog_once(one, key):
        cost = Cost(stage.customer.process.pid)
        with one:
            stage.daemon.start(ready=False)
            cost.add(stage.daemon.process.pid)
            stage.wait_row(stage.customer, key)
        return cost.s(stage.daemon.process.pid), cost.s(stage.customer.process.pid)

    def result(one, begin, used):
        # A run of a few transactions may be shorter than the begin alone.
        one["tx/s"] = count / max(one.seconds - begin.seconds, 0.01)
        one["CPU us/tx"] = max(0.0, used) * 1e6 / count

    backlog(stage, write)
    part.alternate(("relaxed", "native serial", native), ("relaxed", "twinlog", twinlog))
