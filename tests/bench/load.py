"""The load: one checked request, then wrk, or idle connections; all from the generator's core."""

import contextlib
import http.client
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import servers

FOLDER = Path(__file__).resolve().parent
WRK_GRACE_SECONDS = 30


class LoadFailed(Exception):
    """The generator could not run, or the server answered something else than it should."""


@dataclass(frozen=True)
class Load:
    """What the generator saw. `failed` counts broken connections, time-outs and statuses above 399."""

    requests: int
    seconds: float
    failed: int
    p99_ms: float | None  # None when pipelined: wrk's statistics take each request for a round trip


def check(port, path, expected):
    """One plain request: the right status and the very bytes, or the measurement means nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as why:
        raise LoadFailed(f"GET {path}: {why!r}") from why
    finally:
        connection.close()
    if response.status != 200 or body != expected:
        raise LoadFailed(f"GET {path}: status {response.status}, {len(body)} bytes, expected 200 and {len(expected)}")


def wrk(port, case, seconds):
    """Runs wrk for `seconds` with one thread."""
    header = ["-H", "Connection: close"] if case.close else []
    command = [
        "wrk", "-t1", f"-c{case.connections}", f"-d{seconds}s", "--timeout", "10s", *header,
        "-s", str(FOLDER / "wrk.lua"), f"http://127.0.0.1:{port}{case.path}", "--", str(case.pipeline),
    ]  # fmt: skip
    with _generator(command) as process:
        try:
            output, _ = process.communicate(timeout=seconds + WRK_GRACE_SECONDS)
        except subprocess.TimeoutExpired as why:
            raise LoadFailed(f"wrk did not end in {seconds + WRK_GRACE_SECONDS} s") from why
    for line in output.splitlines():
        if line.startswith("result "):
            requests, duration_us, broken, status, p99_us = map(int, line.split()[1:])
            if not requests:
                raise LoadFailed(f"GET {case.path}: wrk saw no answer")
            p99_ms = p99_us / 1e3 if case.pipeline == 1 else None
            return Load(requests, duration_us / 1e6, broken + status, p99_ms)
    raise LoadFailed(f"wrk: {output.strip()[-500:]}")


@contextlib.contextmanager
def idle(port, path, count):
    """Holds `count` connections, each after one answered request, until the block ends."""
    command = [sys.executable, str(FOLDER / "idle_connections.py"), "127.0.0.1", str(port), path, str(count)]
    with _generator(command) as process:
        line = process.stdout.readline()
        if line.strip() != f"holding {count}":
            raise LoadFailed(f"idle connections: {(line + process.stdout.read()).strip()[-500:]}")
        yield


@contextlib.contextmanager
def _generator(command):
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: servers.place(servers.GENERATOR_CPU))  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
