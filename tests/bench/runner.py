"""Runs what is measured in turn, again where something else disturbed it, and keeps what came out."""

import json
import os
import platform
import time

from bench.meter import Meter

TRIES = 3        # of one run, until nothing disturbs it
REPEATS_S = 600  # for all repeats of a benchmark: on a machine that is always busy it must end too


class Measured:
    """One run: the values of its metrics, and what disturbed it. `with measured:` around what counts."""

    def __init__(self):
        self.values = {}
        self.disturbed = None
        self.meter = None
        self.seconds = None

    def __enter__(self):
        self.meter = Meter()
        return self

    def __exit__(self, kind, *_):
        self.seconds = time.monotonic() - self.meter.began
        if kind is None:
            self.disturbed = self.meter.disturbance()

    def __setitem__(self, metric, value):
        self.values[metric] = value


class Part:
    """One part of the benchmark and what it has measured: rows of (case, system), each with the values of all its runs."""

    def __init__(self, bench, name, title, sizes):
        self.bench = bench
        self.name = name
        self.title = title
        self.sizes = sizes
        self.rows = []

    def alternate(self, *subjects, times=1):
        """subjects: (case, system, function that measures once into a Measured). Each runs once, then all again: what
        changes with the hour changes for all. times: more often than others, where small differences count."""
        only = self.bench.only
        subjects = [s for s in subjects if all(text in f"{s[0]}, {s[1]}" for text in only)]
        rows = [{"case": case, "system": system, "values": {}, "disturbed": []} for case, system, _ in subjects]
        self.rows += rows
        for _ in range(self.bench.runs * times):
            for row, (case, system, measure) in zip(rows, subjects):
                one = self._once(measure)
                for metric, value in one.values.items():
                    row["values"].setdefault(metric, []).append(value)
                row["disturbed"].append(one.disturbed)
                self.bench.say(f"  {case}, {system}: " +
                               ", ".join(f"{metric} {value:.4g}" for metric, value in one.values.items()) +
                               (f"   DISTURBED: {one.disturbed}" if one.disturbed else ""))
                self.bench.save()

    def _once(self, measure):
        for n in range(TRIES):
            began = time.monotonic()
            one = Measured()
            measure(one)
            if n > 0:
                self.bench.repeated_s += time.monotonic() - began
            if not one.disturbed or n + 1 == TRIES or not self.bench.may_repeat():
                break
            self.bench.say(f"  again: {one.disturbed}")
        return one

    def document(self):
        return {"title": self.title, "sizes": self.sizes, "rows": self.rows}


class Bench:
    """A whole run: its options, its stage and its results."""

    def __init__(self, stage, folder, options, say):
        self.stage = stage
        self.folder = folder
        self.runs = options.runs
        self.quick = options.quick
        self.only = options.only
        self.repeats = not (options.quick or options.no_repeat)
        self.say = say
        self.repeated_s = 0.0
        self.parts = {}
        self.began = time.time()

    def may_repeat(self):
        return self.repeats and self.repeated_s < REPEATS_S

    def part(self, name, title, **sizes):
        """Sizes are (full, quick) pairs; the part and those that hold."""
        sizes = {key: pair[1 if self.quick else 0] for key, pair in sizes.items()}
        self.parts[name] = Part(self, name, title, sizes)
        return self.parts[name], *sizes.values()

    def document(self):
        stage = self.stage
        return {"date": time.strftime("%Y-%m-%d", time.gmtime(self.began)), "runs": self.runs, "quick": self.quick,
                "took_s": round(time.time() - self.began), "machine": machine(), "server": stage.server_version,
                "parts": {name: part.document() for name, part in self.parts.items()}}

    def save(self):
        """After each run, so that one that is cut short leaves what it has."""
        path = os.path.join(self.folder, "results.json")
        with open(path + ".new", "w", encoding="utf-8") as f:
            json.dump(self.document(), f, indent=1)
        os.replace(path + ".new", path)


def machine():
    """What it ran on, as far as the kernel says."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release()}
