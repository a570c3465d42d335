"""What a process tree has cost so far: CPU time and memory, read from the kernel."""

import os
import time
from dataclasses import dataclass

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PROCESS_CLOCK = 2  # CPUCLOCK_SCHED: user and system time together, in ns


@dataclass(frozen=True)
class Memory:
    """Bytes, summed over a process tree. `pss` shares out what several processes map together."""

    pss: int
    rss: int


def tree(root):
    """The pids of `root` and everything below it that lives now."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = _stat(int(name))
            if stat:
                children.setdefault(int(stat[1]), []).append(int(name))
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def cpu_ns(pids):
    """CPU time of these processes so far. Children that have ended count through their parents, in clock ticks."""
    return sum(_own_ns(pid) + _ended_children_ns(pid) for pid in pids)


def memory(root):
    pss = rss = 0
    for pid in tree(root):
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
            for line in file:
                if line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
                elif line.startswith("Rss:"):
                    rss += int(line.split()[1]) * 1024
    return Memory(pss, rss)


def _own_ns(pid):
    """All threads of one process, those that have ended too: its CPU-time clock, see clock_getcpuclockid(3)."""
    try:
        return time.clock_gettime_ns(~pid << 3 | PROCESS_CLOCK)
    except OSError:
        return 0  # ended since we listed it: its parent will account for it


def _ended_children_ns(pid):
    stat = _stat(pid)
    return (int(stat[13]) + int(stat[14])) * TICK_NS if stat else 0


def _stat(pid):
    """The fields of /proc/PID/stat from the state on, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None
