"""What twinlog aims at, as ratios within one run where that can be: said as met or missed, never a failure."""

import statistics

SERIAL = "native serial"
LOGGED = "native serial, log_slave_updates"
TWINLOG = "twinlog"

LINKS_NOISE = 1.1  # what two runs of the same may differ by
SMALL_MIB = 32


class Missing(Exception):
    """This run has not measured it."""


class Results:
    """Medians of a results document."""

    def __init__(self, document):
        self.parts = document["parts"]

    def rows(self, part):
        return self.parts[part]["rows"] if part in self.parts else []

    def get(self, part, case, system, metric):
        for row in self.rows(part):
            if row["case"] == case and row["system"] == system and row["values"].get(metric):
                return statistics.median(row["values"][metric])
        raise Missing

    def ratio(self, part, case, metric, other, system=TWINLOG):
        return self.get(part, case, system, metric) / self.get(part, case, other, metric)

    def best(self, part, case, metric):
        """The highest median of the native settings."""
        found = [statistics.median(row["values"][metric]) for row in self.rows(part)
                 if row["case"] == case and row["system"].startswith("native") and row["values"].get(metric)]
        if not found:
            raise Missing
        return max(found)

    def largest(self, metric):
        """Of all runs of all parts."""
        found = [max(row["values"][metric]) for part in self.parts for row in self.rows(part) if row["values"].get(metric)]
        if not found:
            raise Missing
        return max(found)


def at_least(n):
    return f"at least {n:g}", lambda value: value >= n


def at_most(n):
    return f"at most {n:g}", lambda value: value <= n


def below(n):
    return f"under {n:g}", lambda value: value < n


# What is measured, its unit, how it is read from the results, and the aim.
AIMS = (
    ("catch-up relaxed, rows/s", "x native serial",
     lambda r: r.ratio("catchup", "relaxed", "rows/s", SERIAL), at_least(1.5)),
    ("catch-up relaxed, rows/s", "x native with log_slave_updates",
     lambda r: r.ratio("catchup", "relaxed", "rows/s", LOGGED), at_least(2.2)),
    ("catch-up durable, rows/s", "x the best native setting",
     lambda r: r.get("catchup", "durable", TWINLOG, "rows/s") / r.best("catchup", "durable", "rows/s"), at_least(4)),
    ("catch-up durable, rows/s", "x native with log_slave_updates",
     lambda r: r.ratio("catchup", "durable", "rows/s", LOGGED), at_least(15)),
    ("catch-up relaxed, CPU a row, daemon included", "x native serial",
     lambda r: r.ratio("catchup", "relaxed", "CPU us/row", SERIAL), at_most(0.6)),
    ("large transactions relaxed, rows/s", "x native serial",
     lambda r: r.ratio("large", "relaxed", "rows/s", SERIAL), at_least(0.5)),
    ("large transactions, peak memory", "x that of single rows",
     lambda r: r.get("large", "relaxed", TWINLOG, "peak MiB") / r.get("catchup", "relaxed", TWINLOG, "peak MiB"),
     at_most(1.1)),
    ("lag at 500 tx/s relaxed, p50", "ms",
     lambda r: r.get("lag", "relaxed, 500 tx/s", TWINLOG, "lag p50 ms"), below(0.9)),
    ("lag at 500 tx/s relaxed, p99", "ms",
     lambda r: r.get("lag", "relaxed, 500 tx/s", TWINLOG, "lag p99 ms"), below(3)),
    ("lag at 2,000 tx/s durable, p99", "ms",
     lambda r: r.get("lag", "durable, 2,000 tx/s", TWINLOG, "lag p99 ms"), below(50)),
    ("lag at the source's maximum relaxed, p99", "ms",
     lambda r: r.get("lag", "relaxed, maximum", TWINLOG, "lag p99 ms"), below(250)),
    ("lag at the source's maximum durable, p99", "ms",
     lambda r: r.get("lag", "durable, maximum", TWINLOG, "lag p99 ms"), below(250)),
    ("initial copy, rows/s", "x mariadb-dump into mariadb",
     lambda r: r.ratio("copy", "relaxed", "rows/s", "mariadb-dump into mariadb"), at_least(1)),
    ("skip, transactions/s", "x native", lambda r: r.ratio("skip", "relaxed", "tx/s", SERIAL), at_least(10)),
    ("skip, daemon's CPU a transaction", "us",
     lambda r: r.get("skip", "relaxed", TWINLOG, "daemon CPU us/tx"), below(1)),
    ("100 links, daemon's CPU of reading a transaction", "x one link",
     lambda r: r.ratio("links", "foreign transactions", "daemon CPU us/tx", "twinlog, 1 link", "twinlog, 100 links"),
     at_most(LINKS_NOISE)),
    ("100 links, source's CPU of reading a transaction", "x one link",
     lambda r: r.ratio("links", "foreign transactions", "source CPU us/tx", "twinlog, 1 link", "twinlog, 100 links"),
     at_most(LINKS_NOISE)),
    ("beside a resync, the applications' p99", "x without",
     lambda r: r.get("resync", "resync", TWINLOG, "statement p99 ms") /
     r.get("resync", "no resync", TWINLOG, "statement p99 ms"), below(1.5)),
    ("beside a resync, the streams' lag, p99", "ms",
     lambda r: r.get("resync", "resync", TWINLOG, "lag p99 ms"), below(100)),
    ("peak memory of the daemon, all parts, 100 links too", "MiB", lambda r: r.largest("peak MiB"), below(SMALL_MIB)),
)


def judge(document):
    """(what, value and unit, aim, verdict) of each that was measured."""
    results = Results(document)
    judged = []
    for what, unit, read, (aim, holds) in AIMS:
        try:
            value = read(results)
        except (Missing, ZeroDivisionError):
            continue
        judged.append((what, f"{value:.3g} {unit}", aim, "met" if holds(value) else "missed"))
    return judged
