#!/usr/bin/env python3
"""reeve beside nginx and a raw epoll responder: CPU time per request, requests per second, p99, memory.

    run.py --reeve build/reeve --raw build/bench/raw_epoll --generator build/bench/generator

Exit status: 0 measured, 1 something failed, 2 usage, or a server's program is missing. A run over all cases and
all servers rewrites docs/BENCHMARKS.md and docs/benchmarks.svg; any other only prints its table.
"""

import argparse
import contextlib
import os
import shutil
import signal
import statistics
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True  # leaves no __pycache__ in the source tree

import isolation  # noqa: E402
import load  # noqa: E402
import processes  # noqa: E402
import report  # noqa: E402
import servers  # noqa: E402
from cases import CASES  # noqa: E402

EVERYONE = ["reeve", "nginx", "raw"]
ROUNDS_MIN = 5  # below it the documents are not rewritten
ROUNDS_MAX = 100
SECONDS_MAX = 60
TURN_SECONDS = 0.1  # short beside what disturbs the machine
WARM_UP_REQUESTS = 64
SELF_CHECK_TOLERANCE = 0.02
DOCS = Path(__file__).resolve().parents[2] / "docs"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reeve", type=Path, default=Path("build/reeve"))
    parser.add_argument("--raw", type=Path, default=Path("build/bench/raw_epoll"))
    parser.add_argument("--generator", type=Path, default=Path("build/bench/generator"))
    parser.add_argument("--fcgi-echo", type=Path, default=Path("build/tools/fcgi_echo"))
    parser.add_argument("--rounds", type=_count(ROUNDS_MAX), default=5)
    parser.add_argument("--seconds", type=_count(SECONDS_MAX), default=3, help="for each server in each round")
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="may be repeated")
    parser.add_argument("--servers", default=",".join(EVERYONE), help=f"a list of {', '.join(servers.KINDS)}")
    parser.add_argument("--self-check", action="store_true", help="nginx against itself: the ratio must be 1")
    options = parser.parse_args()
    options.servers = ["nginx", "nginx2"] if options.self_check else options.servers.split(",")
    for kind in options.servers:
        if kind not in servers.KINDS:
            parser.error(f"no server named {kind}: {', '.join(servers.KINDS)}")
    return options


def _count(most):
    def read(text):
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text} is not a number, 1 to {most}")
        return int(text)

    return read


def find_programs(options, cases):
    """The programs this run needs; None after saying which one is missing."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    missing = []
    if "reeve" in options.servers and not options.reeve.is_file():
        missing.append(f"{options.reeve} is missing: run `make`, or measure without it: --servers nginx,raw")
    if "raw" in options.servers and not options.raw.is_file():
        missing.append(f"{options.raw} is missing: run `make {options.raw}`")
    if not nginx and (any(kind.startswith("nginx") for kind in options.servers) or any(case.proxied for case in cases)):
        missing.append("nginx is missing: run `make deps-bench`")
    if not options.fcgi_echo.is_file() and any(case.program for case in cases):
        missing.append(f"{options.fcgi_echo} is missing: run `make {options.fcgi_echo}`")
    if not options.generator.is_file():
        missing.append(f"{options.generator} is missing: run `make {options.generator}`")
    if not shutil.which("gnuplot"):
        missing.append("gnuplot is missing: run `make deps-bench`")
    for line in missing:
        print(f"bench: {line}", file=sys.stderr)
    return None if missing else servers.Programs(options.reeve.resolve(), options.raw.resolve(), nginx, options.fcgi_echo.resolve())


def measure_load(case, kinds, programs, generator, root, seconds):
    """A sample of each server. They take short turns: what disturbs the machine disturbs all alike."""
    spent = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as stack:
        origin = None
        if case.proxied:  # behind all of them, where it costs them nothing
            beyond = stack.enter_context(servers.running("nginx", programs, root, cpu=servers.GENERATOR_CPU))
            origin = beyond.port
        order = []
        for kind in kinds:
            server = stack.enter_context(servers.running(kind, programs, root, case.access_log, origin, case.large_buffers, case.program))
            load.check(server.port, case.path, expected_body(case, root))
            turns = stack.enter_context(load.turns(generator, server.port, case))
            order.append((kind, server.family(), turns))
        # as many requests for each as the reference answers in one turn
        _, _, pace = next((each for each in order if each[0] == report.REFERENCE), order[0])
        warm = pace.take(max(WARM_UP_REQUESTS, case.connections * case.pipeline * 4))
        requests = max(case.connections * case.pipeline, int(warm.requests / warm.seconds * TURN_SECONDS))
        for _, _, turns in order:
            turns.take(requests)
        for _ in range(int(seconds / TURN_SECONDS)):
            for kind, family, turns in order:
                before = processes.cpu_ns(family)
                seen = turns.take(requests)
                spent[kind].append((processes.cpu_ns(family) - before, seen))
            order.reverse()  # nobody always comes second
    return {kind: report.sample_of_load(kind_turns) for kind, kind_turns in spent.items()}


def measure_idle(case, kinds, programs, root):
    """A sample of each server, which runs alone: the PSS of a page depends on who else maps it."""
    samples = {}
    for kind in kinds:
        with servers.running(kind, programs, root) as server:
            load.check(server.port, case.path, expected_body(case, root))
            before = processes.memory(server.pid)
            with load.idle(server.port, case.path, case.connections):
                samples[kind] = report.sample_of_idle(before, processes.memory(server.pid), case.connections)
    return samples


def expected_body(case, root):
    if case.program:
        return f"GET {case.path.partition('?')[0]} {case.path.partition('?')[2]}\n".encode()
    return servers.HELLO if case.path == "/hello" else (root / case.path[1:]).read_bytes()


def measure_all(cases, options, programs, root):
    """Samples by case and server, in the order of the rounds."""
    results = {}
    for case in cases:
        kinds = [kind for kind in options.servers if case.fits(kind)]
        results[case] = {kind: [] for kind in kinds}
        for number in range(1, options.rounds + 1 if kinds else 1):
            if case.idle:
                samples = measure_idle(case, kinds, programs, root)
            else:
                samples = measure_load(case, kinds, programs, options.generator.resolve(), root, options.seconds)
            for kind, sample in samples.items():
                results[case][kind].append(sample)
                print(f"{case.name:>9} {number}/{options.rounds} {kind:>10} {report.describe(case, sample)}", flush=True)
    return results


def write_documents(results, options, network):
    report.plot(results, options.servers, DOCS / "benchmarks.svg")
    text = report.document(results, options.servers, options.rounds, options.seconds, network)
    (DOCS / "BENCHMARKS.md").write_text(text, encoding="utf-8")
    print("\nwrote docs/BENCHMARKS.md and docs/benchmarks.svg")


def self_check(results):
    """Whether nginx against itself comes out as 1 everywhere."""
    wrong = []
    for case, samples in results.items():
        ratio = statistics.median(report.ratios(samples, "nginx2"))
        if abs(ratio - 1) > SELF_CHECK_TOLERANCE:
            wrong.append(f"{case.name}: nginx/nginx is {ratio:.3f}: this machine is too busy to measure on")
    return wrong


def main():
    options = arguments()
    cases = [case for case in CASES if not options.case or case.name in options.case]
    programs = find_programs(options, cases)
    if not programs:
        return 2
    isolation.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # leaves through every `with`
    if not isolation.raise_file_limit(servers.DESCRIPTORS_MAX) and any(case.idle for case in cases):
        print("bench: the limit of open files is too low for the idle case: raise it, or choose --case", file=sys.stderr)
        return 1
    if os.cpu_count() < 2:
        print("bench: one core only: the server and the generator share it", file=sys.stderr)
    if os.getloadavg()[0] > 0.5:
        print(f"bench: this machine is busy (load {os.getloadavg()[0]:.1f}): expect a wider spread", file=sys.stderr)

    network = (f"Everything runs in a private network namespace, over loopback, with TCP congestion control "
               f"`{isolation.congestion_control()}`." if isolation.isolated() else
               f"Everything runs over the machine's loopback, with TCP congestion control "
               f"`{isolation.congestion_control()}`.")  # fmt: skip
    try:
        with tempfile.TemporaryDirectory(prefix="reeve-bench-files-") as name:
            root = Path(name)
            root.chmod(0o755)
            servers.make_files(root)
            results = measure_all(cases, options, programs, root)
    except (servers.StartFailed, load.LoadFailed) as why:
        print(f"bench: {why}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: interrupted", file=sys.stderr)
        return 1

    print("\n" + report.table(results, options.servers))
    if memory := report.memory_table(results, options.servers):
        print("\n" + memory)
    wrong = report.failures(results) + (self_check(results) if options.self_check else [])
    for line in wrong:
        print(f"bench: !!! {line}", file=sys.stderr)
    complete = len(cases) == len(CASES) and set(EVERYONE) <= set(options.servers) and options.rounds >= ROUNDS_MIN
    if complete and not wrong:
        write_documents(results, options, network)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
