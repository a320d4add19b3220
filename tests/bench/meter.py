"""What a run costs, and whether something else ran beside it."""

import os
import time

TICKS = os.sysconf("SC_CLK_TCK")

# Above these shares of one core a run counts as disturbed.
MOST_FOREIGN = 0.25
MOST_STOLEN = 0.2


def _stat(pid):
    """The fields of /proc/PID/stat behind the name: state, parent, ..."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rpartition(")")[2].split()


def cpu_s(pid):
    """What a process has used of all cores, user and system."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def thread_cpu_s(pid, tid):
    """The same of one of its threads, to the nanosecond."""
    with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def _ours_s():
    """The same of this program, its children that live and all that have ended."""
    own, total = os.getpid(), 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = _stat(name)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if int(name) == own or int(fields[1]) == own:
            total += sum(int(n) for n in fields[11:15])
    return total / TICKS


def _machine_s():
    """(busy, stolen) seconds of all cores."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(n) for n in f.readline().split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


class Meter:
    """Between start and stop: how long, and how busy others were meanwhile."""

    def __init__(self):
        self.began = time.monotonic()
        self.ours = _ours_s()
        self.busy, self.stolen = _machine_s()

    def disturbance(self):
        """None, or who used how much of a core beside us."""
        took = max(time.monotonic() - self.began, 0.5)  # ticks of 10 ms are no share of less
        busy, stolen = _machine_s()
        foreign = max(0.0, (busy - self.busy) - (_ours_s() - self.ours)) / took
        stolen = (stolen - self.stolen) / took
        if foreign <= MOST_FOREIGN and stolen <= MOST_STOLEN:
            return None
        return f"{foreign:.2f} of a core to other processes, {stolen:.2f} stolen"


class Cost:
    """CPU time of some processes from here on."""

    def __init__(self, *pids):
        self.before = {pid: cpu_s(pid) for pid in pids}

    def add(self, pid):
        """A process that began later: all of its time counts."""
        self.before[pid] = 0

    def s(self, *pids):
        """Of these, or of all."""
        return sum(cpu_s(pid) - self.before[pid] for pid in pids or self.before)
