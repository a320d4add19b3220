"""A resync that runs while applications write on both sides: what they feel of it, and what the streams do."""

import time

from bench.stage import RIGHT, BenchError

FIRST = {"auth": 10_000_000, "customer": 20_000_000}  # behind the keys that are compared, each side its own


def resync(bench):
    stage = bench.stage
    part, rows, seconds, rate, probes = bench.part("resync", "A resync beside the applications", rows=(200000, 2000),
                                                   seconds=(12, 1), rate=(400, 50), probes=(500, 20))

    def loads():
        return [stage.load_start("open-loop", server, peer=peer, rate=rate, seconds=seconds, probes=probes, connections=4,
                                 first=FIRST[server.name], seed=n, wait=300)
                for n, (server, peer) in enumerate(((stage.auth, stage.customer), (stage.customer, stage.auth)))]

    def measure(one, beside):
        stage.restore("auth", "customer")
        drift()
        stage.daemon.start()
        with one:
            running = loads()
            beside(one, running)
            told = [stage.load_result("open-loop", load) for load in running]
        # Of the two sides the worse one.
        one["statement p50 ms"] = max(t["statement_p50_us"] for t in told) / 1000
        one["statement p99 ms"] = max(t["statement_p99_us"] for t in told) / 1000
        one["lag p50 ms"] = max(t["lag_p50_us"] for t in told) / 1000
        one["lag p99 ms"] = max(t["lag_p99_us"] for t in told) / 1000
        one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
        resync_once()
        stage.wait_applied(stage.last_row_seq("left"), "left")
        stage.wait_applied(stage.last_row_seq("right"), "right")
        stage.check_twins(conflicts=True)
        stage.daemon.stop(timeout_s=30)

    def drift():
        """One row in twenty differs, and no log tells of it."""
        stage.twin.unlogged("right", f"UPDATE {RIGHT} SET name = CONCAT(name, ', drifted') WHERE id % 20 = 0")

    def resync_once():
        code, document = stage.daemon.trigger()
        if code != 202:
            raise BenchError(f"no resync: {code}: {document}")
        return stage.daemon.wait_job(300)

    def alone(_one, running):
        for load in running:
            load.wait()

    def with_resyncs(one, running):
        """One after the other as long as the applications write."""
        scanned, took = 0, 0.0
        while any(load.poll() is None for load in running):
            began = time.monotonic()
            scanned += resync_once()["rows_scanned"]
            took += time.monotonic() - began
        one["resync rows/s"] = scanned / took

    stage.fresh("auth", "customer")
    stage.load("fill", stage.auth, rows=rows)
    stage.checkpoints()
    stage.save()
    part.alternate(("no resync", "twinlog", lambda one: measure(one, alone)),
                   ("resync", "twinlog", lambda one: measure(one, with_resyncs)))
