"""The load: one checked request, then turns of requests, or idle connections; all from the generator's core."""

import contextlib
import http.client
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import servers

FOLDER = Path(__file__).resolve().parent
TURN_SECONDS_MAX = 30


class LoadFailed(Exception):
    """The generator could not run, or the server answered something else than it should."""


@dataclass(frozen=True)
class Load:
    """What the generator saw in one turn. `failed` counts broken connections, and answers other than the first."""

    requests: int
    seconds: float
    failed: int
    p99_ms: float | None  # None when pipelined: the time of a burst is no request's


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


class Turns:
    """A generator with its connections, which does nothing between turns."""

    def __init__(self, process, case):
        self._process = process
        self._case = case

    def take(self, requests):
        """Sends so many and waits for their answers."""
        try:
            self._process.stdin.write(f"{requests}\n")
            self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], TURN_SECONDS_MAX)
        except OSError as why:
            raise LoadFailed(f"GET {self._case.path}: {self._said()}") from why
        words = self._process.stdout.readline().split() if ready else []
        if len(words) != 4 or not all(word.isdigit() for word in words):
            raise LoadFailed(f"GET {self._case.path}: {' '.join(words)} {self._said()}")
        answered, took_us, failed, p99_us = map(int, words)
        return Load(answered, took_us / 1e6, failed, p99_us / 1e3 if self._case.pipeline == 1 else None)

    def _said(self):
        self._process.kill()
        return self._process.stdout.read().strip()[-500:]


@contextlib.contextmanager
def turns(program, port, case):
    """A generator for this case, connected until the block ends."""
    mode = "close" if case.close else "keep"
    with _generator([program, str(port), case.path, str(case.connections), str(case.pipeline), mode]) as process:
        yield Turns(process, case)


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
