"""`./dev bench`: twinlog beside MariaDB's own replication, on private servers, in one run.

No process stays behind, however this program ends: it stops what it started by its process id, and should it be
killed, the kernel does (support/servers.py).
"""

import argparse
import fcntl
import json
import os
import signal
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
from bench import catchup, initial_copy, lag, links, plot, report, resync, skip, storm
from bench.runner import Bench
from bench.stage import LOAD, BenchError, stage
from support.daemon import BINARY, ROOT
from support.servers import ServerError

PARTS = {"catchup": catchup.catchup, "large": catchup.large, "lag": lag.lag, "copy": initial_copy.copy, "skip": skip.skip,
         "storm": storm.storm, "links": links.links, "resync": resync.resync}
ABOUT = "twinlog beside MariaDB's own replication, on private servers, in one run; some 35 minutes on two cores"
DOCUMENT = os.path.join(ROOT, "docs", "PERFORMANCE.md")
PICTURE = os.path.join(ROOT, "docs", "performance.svg")


def say(text=""):
    print(text, flush=True)


class Ended(Exception):
    """A signal asks us to end."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def end(number, _frame):
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)  # it ends already
    raise Ended(number)


def read_options():
    options = argparse.ArgumentParser(prog="./dev bench", description=ABOUT)
    options.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    options.add_argument("--quick", action="store_true", help="small sizes and one run: to try it out, not to measure")
    options.add_argument("--runs", type=int, metavar="N", help="how often each is measured (3; 1 with --quick)")
    options.add_argument("--only", action="append", default=[], metavar="TEXT",
                         help="only what has this in its case or system: twinlog, durable; may be repeated, all must hold")
    options.add_argument("--no-repeat", action="store_true", help="a run that was disturbed is marked, not repeated")
    options.add_argument("--out", default=os.path.join(ROOT, "var", "bench"), metavar="FOLDER",
                         help="where report.txt, report.svg and results.json go, and servers meanwhile (var/bench)")
    options.add_argument("--publish", action="store_true",
                         help="measures nothing: puts the results that are in FOLDER into docs/PERFORMANCE.md and its picture")
    args = options.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        options.error(f"no part {unknown[0]}; there are {', '.join(PARTS)}")
    if args.runs is None:
        args.runs = 1 if args.quick else 3
    if args.runs < 1:
        options.error("--runs: at least 1")
    return args


def take_the_folder(folder):
    """A lock that one benchmark at a time holds."""
    os.makedirs(folder, exist_ok=True)
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"bench: another benchmark is running in {folder}")
    return lock


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def write_report(folder, document):
    text = report.text(document)
    write(os.path.join(folder, "report.txt"), text)
    picture = plot.svg(document)
    if picture:
        write(os.path.join(folder, "report.svg"), picture)
    say()
    say(text)
    say(f"in {folder}: report.txt, {'report.svg, ' if picture else ''}results.json")


def publish(folder):
    path = os.path.join(folder, "results.json")
    try:
        with open(path, encoding="utf-8") as f:
            document = json.load(f)
        report.publish(document, DOCUMENT, PICTURE)
    except (OSError, ValueError) as e:
        sys.exit(f"bench: nothing to publish: {e}")
    write(PICTURE, plot.svg(document) or sys.exit(f"bench: {path} holds nothing that has a plot"))
    say("docs/PERFORMANCE.md and docs/performance.svg are written")


def measure(args, folder):
    """The exit code."""
    for program in (BINARY, LOAD):
        if not os.access(program, os.X_OK):
            sys.exit(f"bench: no program {program}; ./dev build makes it")
    bench = None
    try:
        with stage(folder, args.quick) as made:
            bench = Bench(made, folder, args, say)
            for name in args.parts or PARTS:
                say(name)
                PARTS[name](bench)
        return 0
    except Ended as e:
        say("bench: stopped, what was measured until then is in the report")
        return 128 + e.args[0]
    except (BenchError, ServerError, AssertionError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        if bench and any(part.rows for part in bench.parts.values()):
            write_report(folder, bench.document())


def main():
    args = read_options()
    folder = os.path.abspath(args.out)
    if args.publish:
        publish(folder)
        return
    lock = take_the_folder(folder)
    for number in SIGNALS:
        signal.signal(number, end)
    code = measure(args, folder)
    os.close(lock)
    sys.exit(code)


if __name__ == "__main__":
    main()
