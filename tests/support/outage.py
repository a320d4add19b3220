"""What must hold while something is broken: the daemon says so, says it once, and waits without spinning."""

import contextlib
import os
import re
import time

from support.daemon import SLOW
from support.servers import Why, wait_until

TICKS = os.sysconf("SC_CLK_TCK")
CPU = 0.03 * SLOW  # of one core
SAME = 2           # lines that say the same, to the number


class Outage:
    """From begin to end of a trouble, for whoever looks at the daemon from outside."""

    def __init__(self, twin):
        self.twin = twin
        self.daemon = twin.daemon
        self.began_at = len(self.daemon.log())

    # ---- What it says ----

    def wait_told(self, *words, within_s=5.0):
        """/readyz says 503 and why, within 5 s."""
        def told():
            code, text = self.daemon.http("/readyz")
            return code == 503 and all(w.lower() in text.lower() for w in words) or \
                Why(f"{code} {text}, not: {words}\n{self.daemon.log_tail()}")

        wait_until(f"/readyz tells of it: {words}", told, within_s * (1 if SLOW == 1 else 2), every_s=0.05)

    def never_ready(self, seconds=1.0):
        """Not for a moment, as between two tries: asked without a pause."""
        since = time.monotonic()
        while time.monotonic() - since < seconds:
            code, text = self.daemon.http("/readyz")
            assert code == 503, f"/readyz wavers: {code} {text}\n{self.daemon.log_tail()}"

    def lasts(self, seconds=2.0, ready=False):
        """It goes on for a while: /readyz does not waver, and nobody burns time."""
        cpu, since = self.cpu_s(), time.monotonic()
        while time.monotonic() - since < seconds:
            code, text = self.daemon.http("/readyz")
            if ready is not None:
                assert (code == 200) == ready, f"/readyz wavers: {code} {text}\n{self.daemon.log_tail()}"
            assert self.daemon.http("/healthz")[0] == 200
            time.sleep(0.2)
        used = (self.cpu_s() - cpu) / (time.monotonic() - since)
        assert used <= CPU, f"{100 * used:.1f} % of a core while it waits\n{self.daemon.log_tail()}"

    def cpu_s(self):
        with open(f"/proc/{self.daemon.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    # ---- What it has written ----

    def lines(self):
        """All since it began that an operator sees, without time and position."""
        found = re.findall(r"^\S+Z (info|warn|error) (.*)$", self.daemon.log()[self.began_at:], re.M)
        return [f"{level} {re.sub(r'[0-9.]+', 'N', text)}" for level, text in found]

    def check_log(self, *words, most=16):
        """The log tells of it, each thread what it saw, and nobody twice the same."""
        lines = self.lines()
        text = "\n".join(lines)
        assert len(lines) <= most, f"{len(lines)} lines:\n{text}"
        for line in set(lines):
            assert lines.count(line) <= SAME, f"{lines.count(line)} times {line}:\n{text}"
        raw = self.daemon.log()[self.began_at:].lower()
        for word in words:
            assert word.lower() in raw, f"no word of {word}:\n{text}"


@contextlib.contextmanager
def outage(twin, *log, most=16):
    """Around a trouble, from before its begin until it has been mended: then all must be well again by itself, and the log
    must tell of it in these words."""
    o = Outage(twin)
    yield o
    twin.daemon.wait_ready()
    twin.settle(window_s=0.6)
    o.check_log(*log, most=most)
