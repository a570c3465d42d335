"""A network of our own: loopback alone, with the congestion control the numbers are meant for."""

import os
import resource
import shutil
import subprocess
import sys

INSIDE = "REEVE_BENCH_ISOLATED"
CONGESTION_CONTROL = "/proc/sys/net/ipv4/tcp_congestion_control"
PORT_RANGE = "/proc/sys/net/ipv4/ip_local_port_range"


def enter():
    """Starts this program anew inside a private network namespace; says so and goes on when it may not."""
    if os.environ.get(INSIDE):
        _prepare_network()
        return
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        print("bench: a network namespace needs root, unshare and ip; running on the plain loopback,", file=sys.stderr)
        print(f"bench: with {congestion_control()}: large files may measure pacing timers", file=sys.stderr)
        return
    allowed = subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not allowed:
        print("bench: this machine refuses network namespaces; running on the plain loopback", file=sys.stderr)
        return
    os.environ[INSIDE] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def isolated():
    return bool(os.environ.get(INSIDE))


def congestion_control():
    with open(CONGESTION_CONTROL, encoding="ascii") as file:
        return file.read().strip()


def raise_file_limit(needed):
    """Lets this process and its children hold `needed` descriptors; False when the system does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return True
    for limit in ((needed, max(needed, hard)), (hard, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
            break
        except (ValueError, OSError):
            continue
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= needed


def _prepare_network():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for path, value in ((CONGESTION_CONTROL, "reno"), (PORT_RANGE, "10000 65000")):
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
