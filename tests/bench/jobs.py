"""Jobs: how many enqueues a second reeve confirms by HTTP, beside what the disk gives and beside beanstalkd.

All in one run, on one folder, with 64 connections and bodies of 512 bytes: a commit a job and 64 jobs a commit into a
bare SQLite table, reeve, beanstalkd that syncs each job. Shares of the host change from second to second, so rounds
alternate, and the medians of their ratios are told. A disk that syncs in next to no time hides what commits in groups
are for: --sync-us adds to each sync of all of them."""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

START_SECONDS = 10
CONNECTIONS = 64
INI = """
[reeve]
control = {folder}/control
pid_file = {folder}/pid
error_log = {folder}/error.log
[execution]
workers = 2
[store]
url = sqlite:{folder}/store/jobs.db
[server bench]
listen = 127.0.0.1:{port}
[route enqueue]
path = = /enqueue
enqueue = bench
[route api]
path = /api/
jobs = on
allow = 127.0.0.1
[route metrics]
path = = /metrics
metrics = on
[upstream nobody]
peer = 127.0.0.1:1
[queue bench]
upstream = nobody /
size_max = 100000000 64g
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def started(command, port, environment):
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"bench: {command[0]} does not start")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(30)


def measure(arguments, *asked, environment):
    done = subprocess.run([arguments.enqueue, *map(str, asked)], env=environment, capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    if done.returncode != 0:
        raise SystemExit(f"bench: {done.stderr.strip()}")
    told = json.loads(done.stdout)
    if told["refused"]:
        raise SystemExit(f"bench: {asked[0]} refused {told['refused']} jobs")
    return told


def rate(told):
    return told["jobs"] / told["seconds"]


def counter(port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
    raise SystemExit(f"bench: no {name}")


def one_round(arguments, folder, environment):
    found = {}
    for name, jobs in (("one a commit", 1), ("64 a commit", 64)):
        file = folder / "bare.db"
        found[name] = measure(arguments, "sqlite", file, jobs, arguments.seconds, environment=environment)
        for left in folder.glob("bare.db*"):
            left.unlink()

    port = free_port()
    home = Path(tempfile.mkdtemp(dir=folder))
    home.chmod(0o777)
    (home / "reeve.ini").write_text(INI.format(folder=home, port=port), encoding="utf-8")
    with started([arguments.reeve, "-c", str(home / "reeve.ini")], port, environment):
        url = f"http://127.0.0.1:{port}/api/queues/bench/pause"
        urllib.request.urlopen(urllib.request.Request(url, b""), timeout=10).close()
        before = counter(port, "reeve_jobs_syncs_total")
        told = measure(arguments, "http", port, CONNECTIONS, arguments.seconds, "/enqueue", environment=environment)
        told["syncs"] = counter(port, "reeve_jobs_syncs_total") - before
        found["reeve"] = told
        found["16 clients"] = measure(arguments, "http", port, 16, arguments.seconds, "/enqueue",
                                      environment=environment)  # fmt: skip

    port = free_port()
    log = Path(tempfile.mkdtemp(dir=folder))
    command = ["beanstalkd", "-l", "127.0.0.1", "-p", str(port), "-b", str(log), "-f0"]
    with started(command, port, environment):
        found["beanstalkd -f0"] = measure(arguments, "beanstalk", port, CONNECTIONS, arguments.seconds,
                                          environment=environment)  # fmt: skip
    return found


def show(rounds, sync_us):
    def ratio(of, to):
        values = sorted(rate(one[of]) / rate(one[to]) for one in rounds)
        return f"{statistics.median(values):.2f} ({values[0]:.2f}..{values[-1]:.2f})"

    print(f"enqueues by HTTP, {CONNECTIONS} connections, each sync {sync_us} us longer, {len(rounds)} rounds")
    print("  beside one commit a job     ", ratio("reeve", "one a commit"))
    print("  beside 64 jobs a commit     ", ratio("reeve", "64 a commit"))
    print("  beside beanstalkd -f0       ", ratio("reeve", "beanstalkd -f0"))
    syncs = statistics.median(one["reeve"]["syncs"] / one["reeve"]["jobs"] for one in rounds)
    print(f"  syncs an enqueue             {syncs:.3f}")
    even = [one["16 clients"] for one in rounds]
    print("  16 clients, least and most  ", ", ".join(f"{one['least']}..{one['most']}" for one in even))
    print("  of the disk: 64 a commit beside one", ratio("64 a commit", "one a commit"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reeve", required=True)
    parser.add_argument("--enqueue", required=True, help="the built tests/bench/enqueue.cpp")
    parser.add_argument("--slow-sync", required=True, help="the built tests/bench/slow_sync.c")
    parser.add_argument("--sync-us", type=int, nargs="+", default=[0, 2000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--folder", help="on the disk that is meant")
    arguments = parser.parse_args()
    for sync_us in arguments.sync_us:
        environment = dict(os.environ)
        if sync_us:
            environment |= {"LD_PRELOAD": str(Path(arguments.slow_sync).resolve()), "SLOW_SYNC_US": str(sync_us)}
        with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="reeve-bench-") as folder:
            Path(folder).chmod(0o755)
            show([one_round(arguments, Path(folder), environment) for _ in range(arguments.rounds)], sync_us)


if __name__ == "__main__":
    main()
