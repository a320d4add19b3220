"""Live lag: transactions come by a timetable, and some of them are looked for on the other side (load/open_loop.c)."""

from bench.catchup import NATIVE

SYSTEMS = ("native serial", "native 4 workers")
# Transactions a second, and what the source gives with all connections always busy.
RATES = {"500 tx/s": 500, "2,000 tx/s": 2000, "maximum": 0}
CONNECTIONS = {"relaxed": 4, "durable": 8}  # a durable source commits several at once


def lag(bench):
    stage = bench.stage
    part, probes, seconds = bench.part("lag", "Live lag, commit to visible", probes=(1000, 40), seconds=(8, 1))

    def load(one, setting, rate, peer):
        with one:
            told = stage.load("open-loop", stage.auth, peer=peer, rate=rate, seconds=seconds, probes=probes,
                              connections=CONNECTIONS[setting], wait=300)
        one["lag p50 ms"] = told["lag_p50_us"] / 1000
        one["lag p99 ms"] = told["lag_p99_us"] / 1000
        one["tx/s"] = told["rate"]

    def native(setting, rate, options):
        def measure(one):
            stage.restore("auth", "replica", setting=setting, replica=options)
            stage.replica.sql("START SLAVE")
            stage.wait_replicated(stage.replica, stage.auth.gtid())
            load(one, setting, rate, stage.replica)
            stage.wait_replicated(stage.replica, stage.auth.gtid())
            stage.check_replica(stage.replica)

        return measure

    def twinlog(setting, rate):
        def measure(one):
            stage.restore("auth", "customer", setting=setting)
            stage.daemon.start()
            load(one, setting, rate, stage.customer)
            stage.wait_applied(stage.last_row_seq())
            one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
            stage.check_twins()
            stage.daemon.stop(timeout_s=30)

        return measure

    stage.fresh("auth", "customer", "replica")
    stage.checkpoints()
    stage.follow(stage.replica)
    stage.save()
    cases = [(setting, name, rate) for setting in CONNECTIONS for name, rate in RATES.items()]
    if bench.quick:
        cases = cases[:1]
    part.alternate(*[subject for setting, name, rate in cases for subject in
                     [(f"{setting}, {name}", system, native(setting, rate, NATIVE[system])) for system in SYSTEMS] +
                     [(f"{setting}, {name}", "twinlog", twinlog(setting, rate))]])
