"""100 links on one server pair: what reading costs beside one link. There is one connection to read a server's log, so each
transaction has to be looked at once, whoever waits for it.

Read is what is written meanwhile, once the daemon rests, so that nothing of its begin is in it; what reading costs the source is
the CPU time of its threads that send the log. Either cost changes with how many transactions there are when a thread wakes, and so
with all that goes on beside: of foreign transactions there are several short runs in turn.
"""

import time

from bench.meter import Cost, thread_cpu_s
from bench.stage import LEFT, RIGHT
from support.daemon import DB_USER
from support.servers import wait_until
from support.tables import Link

LINKS = 100
FOREIGN_TIMES = 5
RESTS = 0.02  # of a core
ROW = 1 << 40


def links(bench):
    stage = bench.stage
    part, foreign, rows = bench.part("links", "100 links on one server pair", foreign=(100000, 1000), rows=(40000, 500))

    def make_links():
        """Beside the seed's, with tables like its own."""
        link, made = stage.twin.link, []
        for n in range(2, LINKS + 1):
            for server, table in ((stage.auth, LEFT), (stage.customer, RIGHT)):
                server.sql(f"CREATE TABLE {table}_{n} LIKE {table}")
                server.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table}_{n} TO {DB_USER}")
            made.append(Link(name=f"users_{n}", left_table=f"{LEFT}_{n}", right_table=f"{RIGHT}_{n}", columns=link.columns,
                             cipher=link.cipher))
        return [link, *made]

    def sending_s():
        """What the source's threads that send its log have used, and how many they are."""
        threads = stage.auth.rows("SELECT tid FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'")
        return sum(thread_cpu_s(stage.auth.process.pid, tid) for (tid,) in threads), len(threads)

    def rests():
        """Are all links open, and has none anything left to do?"""
        used = Cost(stage.daemon.process.pid)
        time.sleep(1)
        return used.s() < RESTS

    def measure(count, transactions, write):
        def measured(one):
            stage.restore("auth", "customer")
            stage.daemon.links = all_links[:count]
            stage.daemon.write_config()
            stage.daemon.start(ready=False)
            stage.daemon.wait_ready(60)
            stage.twin.wait_quiet(0.5)
            wait_until("the daemon rests", rests, 60)
            cost, sending = Cost(stage.daemon.process.pid), sending_s()[0]
            with one:
                write()
                written = time.monotonic()
                stage.load("fill", stage.auth, rows=1, first=ROW)
                stage.wait_row(stage.customer, ROW + 1)
                arrived = time.monotonic()
            used = cost.s()
            sent, senders = sending_s()
            one["daemon CPU us/tx"] = used * 1e6 / transactions
            one["source CPU us/tx"] = (sent - sending) * 1e6 / transactions
            one["readers"] = senders
            one["behind ms"] = (arrived - written) * 1000
            one["peak MiB"] = stage.daemon.memory_peak_kb() / 1024
            stage.check_twins()
            stage.daemon.stop(timeout_s=60)

        return measured

    stage.fresh("auth", "customer")
    all_links = make_links()
    stage.daemon.links = all_links
    stage.load("foreign", stage.auth, rows=1)  # makes the table
    stage.checkpoints()
    stage.save()
    for case, transactions, times, write in (
            ("foreign transactions", foreign, FOREIGN_TIMES,
             lambda: stage.load("foreign", stage.auth, rows=foreign, connections=4)),
            ("rows of one link", rows, 1, lambda: stage.load("backlog", stage.auth, rows=rows, connections=4))):
        part.alternate(*[(case, system, measure(count, transactions, write))
                         for system, count in (("twinlog, 1 link", 1), (f"twinlog, {LINKS} links", LINKS))], times=times)
