"""`./dev bench`: twinlog beside MariaDB's own replication, on private servers, in one run."""

import argparse
import fcntl
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# pylint: disable=wrong-import-position
from bench import catchup, skip
from bench.runner import Bench
from bench.stage import BenchError, stage
from support.daemon import BINARY, ROOT
from support.servers import ServerError

PARTS = {"catchup": catchup.catchup, "large": catchup.large, "skip": skip.skip}


def say(text=""):
    print(text, flush=True)


class Ended(Exception):
    """A signal asks us to end."""


def end(number, _frame):
    raise Ended(number)


def read_options():
    options = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="NAME", help=f"only these parts: {', '.join(PARTS)}")
    options.add_argument("--quick", action="store_true", help="small sizes, one run: to try it out, not to measure")
    options.add_argument("--runs", type=int, help="how often each is measured (3; 1 with --quick)")
    options.add_argument("--only", action="append", default=[], metavar="TEXT",
                         help="only what has this in its case or system: twinlog, durable; may be repeated, all must hold")
    options.add_argument("--no-repeat", action="store_true", help="a run that was disturbed is marked, not repeated")
    options.add_argument("--out", default=os.path.join(ROOT, "var", "bench"), metavar="FOLDER",
                         help="where results and servers go (var/bench)")
    args = options.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        options.error(f"no part {unknown[0]}: there are {', '.join(PARTS)}")
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


def main():
    args = read_options()
    folder = os.path.abspath(args.out)
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"bench: no program {BINARY}; ./dev build makes it")
    lock = take_the_folder(folder)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    code = 0
    try:
        with stage(folder, say) as made:
            bench = Bench(made, folder, args, say)
            for name in args.parts or PARTS:
                say(f"{name}")
                PARTS[name](bench)
    except Ended as e:
        code = 128 + e.args[0]
        say("bench: stopped")
    except (BenchError, ServerError, AssertionError) as e:
        print(f"bench: {e}", file=sys.stderr)
        code = 1
    os.close(lock)
    sys.exit(code)


if __name__ == "__main__":
    main()
