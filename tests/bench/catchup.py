"""Catch-up: a backlog that was written while nobody applied it, of single rows and of large transactions."""

from bench.meter import Cost

NATIVE = {"native serial": {},
          "native serial, log_slave_updates": {"log_slave_updates": ""},
          "native 4 workers": {"slave_parallel_threads": "4", "slave_parallel_mode": "optimistic"}}


def backlog(stage, write):
    """The state that each run begins with: both appliers know where the backlog begins."""
    stage.fresh("auth", "customer", "replica")
    stage.checkpoints()
    stage.follow(stage.replica)
    write()
    stage.save()


def native(stage, setting, options, rows):
    def measure(one):
        replica = stage.replica
        stage.restore("auth", "replica", setting=setting, replica=options)
        end = stage.auth.gtid()
        cost = Cost(replica.process.pid)
        with one:
            replica.sql("START SLAVE")
            stage.wait_replicated(replica, end)
        used = cost.s()
        stage.check_replica(replica)
        one["rows/s"] = rows / one.seconds
        one["CPU us/row"] = used * 1e6 / rows

    return measure


def twinlog(stage, setting, rows):
    def measure(one):
        stage.restore("auth", "customer", setting=setting)
        end = stage.last_seq(stage.auth)
        cost = Cost(stage.customer.process.pid)
        with one:
            stage.daemon.start(ready=False)
            cost.add(stage.daemon.process.pid)
            stage.wait_applied(end)
        daemon, used = cost.s(stage.daemon.process.pid), cost.s()
        one["rows/s"] = rows / one.seconds
        one["CPU us/row"] = used * 1e6 / rows
        one["daemon CPU us/row"] = daemon * 1e6 / rows
        one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
        stage.daemon.wait_ready()
        stage.check_twins()
        stage.daemon.stop(timeout_s=30)

    return measure


def catchup(bench):
    stage = bench.stage
    part, relaxed, durable = bench.part("catchup", "Catch-up, single-row transactions", relaxed=(200000, 3000),
                                        durable=(40000, 500))
    for setting, rows in (("relaxed", relaxed), ("durable", durable)):
        backlog(stage, lambda: stage.load("backlog", stage.auth, rows=rows, connections=4, seed=1))
        part.alternate(*[(setting, name, native(stage, setting, options, rows)) for name, options in NATIVE.items()],
                       (setting, "twinlog", twinlog(stage, setting, rows)))


def large(bench):
    stage = bench.stage
    part, rows = bench.part("large", "Catch-up, 3 large transactions", rows_each=(200000, 2000))
    backlog(stage, lambda: stage.load("large", stage.auth, rows=rows))
    for setting in ("relaxed",) if bench.quick else ("relaxed", "durable"):
        part.alternate((setting, "native serial", native(stage, setting, {}, 3 * rows)),
                       (setting, "native serial, log_slave_updates",
                        native(stage, setting, NATIVE["native serial, log_slave_updates"], 3 * rows)),
                       (setting, "twinlog", twinlog(stage, setting, 3 * rows)))
