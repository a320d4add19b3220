"""Conflict storm: both sides have changed the same rows, so that every change meets another one and is decided with both
rows locked. The servers' own replication has nothing to set beside it: it would stop, or leave the tables different.
"""

from bench.meter import Cost

LEFT_REVISION, RIGHT_REVISION = 101, 102  # the e-mails stay as they are


def storm(bench):
    stage = bench.stage
    part, rows = bench.part("storm", "Conflict storm", rows=(20000, 500))

    def touch_both():
        loads = [stage.load_start("touch", stage.auth, rows=rows, connections=2, seed=LEFT_REVISION),
                 stage.load_start("touch", stage.customer, rows=rows, connections=2, seed=RIGHT_REVISION)]
        for load in loads:
            stage.load_result("touch", load)

    def settle(ends):
        stage.wait_applied(ends[0], "left")
        stage.wait_applied(ends[1], "right")

    def ends():
        return stage.last_row_seq("left"), stage.last_row_seq("right")

    def result(one, cost):
        one["changes/s"] = 2 * rows / one.seconds
        one["CPU us/change"] = cost.s() * 1e6 / (2 * rows)
        one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
        stage.daemon.wait_ready()
        stage.check_twins(conflicts=True)
        one["decided"] = sum(sum(stage.daemon.counters(d)["conflicts"].values()) for d in ("left_to_right", "right_to_left"))
        stage.daemon.stop(timeout_s=30)

    def backlog(one):
        stage.restore("auth", "customer")
        touch_both()
        end = ends()
        cost = Cost(stage.auth.process.pid, stage.customer.process.pid)
        with one:
            stage.daemon.start(ready=False)
            cost.add(stage.daemon.process.pid)
            settle(end)
        result(one, cost)

    def live(one):
        stage.restore("auth", "customer")
        stage.daemon.start()
        cost = Cost(stage.auth.process.pid, stage.customer.process.pid, stage.daemon.process.pid)
        with one:
            touch_both()
            settle(ends())
        result(one, cost)

    stage.fresh("auth", "customer")
    stage.load("fill", stage.auth, rows=rows)
    stage.checkpoints()
    stage.save()
    part.alternate(("both sides' backlogs", "twinlog", backlog), ("both sides at the same time", "twinlog", live))
