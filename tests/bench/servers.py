"""The servers that are compared: how each is configured, started, pinned and ended."""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import processes

SERVER_CPU = 0
GENERATOR_CPU = 1
CONNECTIONS_MAX = 10_500  # what each server allows at once: the idle case, and some room
DESCRIPTORS_MAX = CONNECTIONS_MAX + 500
REQUESTS_MAX = 1_000_000_000  # per connection: never reached
PROGRAMS = 4  # processes of the FastCGI program
UPSTREAM_IDLE_MAX = 64  # connections kept by whoever passes requests on
START_SECONDS = 10
STOP_SECONDS = 5
PR_SET_PDEATHSIG = 1
PRIORITY = -10  # for servers and generator alike, when allowed: other programs disturb less

HELLO = b"Hello, World!"
FILES = {"1k.bin": 1 << 10, "100k.bin": 100 << 10, "1m.bin": 1 << 20, "10m.bin": 10 << 20}

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile {file_limit};
pid {folder}/nginx.pid;
error_log {folder}/logs/error.log crit;
events {{
    worker_connections {connections_max};
}}
http {{
    default_type application/octet-stream;
    access_log {access_log};
    sendfile {sendfile};
    tcp_nopush on;
    open_file_cache max=1000 inactive=60s;
    keepalive_requests {requests_max};
    keepalive_timeout 75s;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        root {root};
        location = /hello {{
            default_type text/plain;
            return 200 "{hello}";
        }}
        {location}
    }}
    {upstream}
}}
"""

# What a proxy of reeve does unless told otherwise. nginx's buffers are those it comes with.
NGINX_LOCATION = """
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header Via "1.1 nginx";
            proxy_set_header traceparent "00-$request_id-0123456789abcdef-01";
            {buffers}
        }}
"""

# One buffer that holds a whole response is what costs nginx least.
NGINX_LARGE_BUFFERS = "proxy_buffers 2 1m; proxy_busy_buffers_size 1m;"

NGINX_UPSTREAM = """
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive {upstream_idle_max};
        keepalive_requests {requests_max};
    }}
"""

# Its settings for FastCGI are what Debian ships; connections are made anew, as these programs want it.
NGINX_LOCATION_PROGRAM = """
        location / {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param PATH_INFO $uri;
            fastcgi_pass unix:{folder}/program.sock;
        }}
"""

REEVE = """
[reeve]
control = {folder}/reeve.sock
pid_file = {folder}/reeve.pid
error_log = {folder}/logs/error.log warn

[execution]
workers = 1

[server bench]
listen = 127.0.0.1:{port}
access_log = {access_log}
keepalive_requests = {requests_max}
connections_max = {connections_max}

[route hello]
path = = /hello
respond = 200 "{hello}"

[route rest]
path = /
"""

REEVE_FILES = """
files = {root}
"""

REEVE_PROXY = """
proxy = origin

[upstream origin]
peer = 127.0.0.1:{origin}
keepalive = {upstream_idle_max}
keepalive_requests = {requests_max}
"""


REEVE_PROGRAM = """
pool = program

[pool program]
run = fastcgi {program}
size = {programs}
"""


class StartFailed(Exception):
    """The server did not answer; the text says what it said last."""


@dataclass(frozen=True)
class Programs:
    reeve: Path
    raw: Path
    nginx: str
    fcgi_echo: Path


@dataclass(frozen=True)
class Running:
    """A started server. `pid` is the root of its process tree; `beside` is what works for it and is no part of it."""

    pid: int
    port: int
    beside: tuple = ()

    def family(self):
        """The pids of all that live now."""
        return processes.tree(self.pid) + [pid for each in self.beside for pid in processes.tree(each)]


# nginx2 is nginx once more, to measure the measurement; nginx-copy has sendfile off, which small files like.
KINDS = ("reeve", "nginx", "nginx2", "nginx-copy", "raw")


def make_files(folder):
    """The files all servers serve: the same random bytes for each."""
    for name, size in FILES.items():
        (folder / name).write_bytes(os.urandom(size))


@contextlib.contextmanager
def running(kind, programs, root, access_log=False, origin=None, large_buffers=False,
            program=False, cpu=SERVER_CPU):
    """Starts one server on a free port, on one core; ends the whole tree on the way out.

    `origin`: the port of the server that it passes requests on to; None: it serves the files itself.
    `large_buffers`: where that is nginx.
    `program`: it asks processes of `programs.fcgi_echo`.
    """
    with tempfile.TemporaryDirectory(prefix="reeve-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "logs").mkdir()
        (folder / "logs").chmod(0o777)  # a worker without privileges writes here
        port = _free_port()
        command = _command(kind, programs, folder, root, port, access_log, origin, large_buffers, program)
        beside = _start_programs(programs.fcgi_echo, folder, cpu) if program and kind != "reeve" else []
        with open(folder / "output", "wb") as output:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder,
                preexec_fn=lambda: place(cpu))  # fmt: skip
        try:
            _wait_until_ready(kind, process, port, folder)
            yield Running(process.pid, port, tuple(each.pid for each in beside))
        finally:
            _end(process)
            for each in beside:
                _end(each)


def place(cpu):
    """In a new child: pins it and what it starts to one core; it ends when the bench ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if cpu in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {cpu})
    os.setsid()  # Ctrl-C is ours to handle; and the session is what the kernel's autogroups weigh
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        Path("/proc/self/autogroup").write_text(str(PRIORITY), encoding="ascii")


def _start_programs(path, folder, cpu):
    """As many as reeve is told to start, on one socket in `folder`."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "program.sock"))
        (folder / "program.sock").chmod(0o777)
        listening.listen(4096)
        return [
            subprocess.Popen([path], stdin=listening, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             preexec_fn=lambda: place(cpu))
            for _ in range(PROGRAMS)
        ]  # fmt: skip


def _command(kind, programs, folder, root, port, access_log, origin, large_buffers, program):
    log = folder / "logs" / "access.log"
    common = {
        "folder": folder, "root": root, "port": port, "hello": HELLO.decode(),
        "connections_max": CONNECTIONS_MAX, "requests_max": REQUESTS_MAX,
        "origin": origin, "upstream_idle_max": UPSTREAM_IDLE_MAX,
        "buffers": NGINX_LARGE_BUFFERS if large_buffers else "", "program": programs.fcgi_echo, "programs": PROGRAMS,
    }  # fmt: skip
    if kind == "raw":
        return [programs.raw, str(port), root]
    if kind == "reeve":
        rest = REEVE_PROGRAM if program else REEVE_PROXY if origin else REEVE_FILES
        text = (REEVE + rest).format(access_log=log if access_log else "off", **common)
        (folder / "reeve.ini").write_text(text, encoding="utf-8")
        return [programs.reeve, "-c", folder / "reeve.ini"]
    text = NGINX.format(
        access_log=f"{log} combined" if access_log else "off",
        sendfile="off" if kind == "nginx-copy" else "on", file_limit=DESCRIPTORS_MAX,
        location=(NGINX_LOCATION_PROGRAM if program else NGINX_LOCATION if origin else "").format(**common),
        upstream=NGINX_UPSTREAM.format(**common) if origin else "", **common)  # fmt: skip
    (folder / "nginx.conf").write_text(text, encoding="utf-8")
    return [programs.nginx, "-c", folder / "nginx.conf", "-e", folder / "logs" / "error.log"]


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(kind, process, port, folder):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    said = (folder / "output").read_text(errors="replace").strip()
    log = folder / "logs" / "error.log"
    if log.exists():
        said += "\n" + log.read_text(errors="replace").strip()
    state = "does not answer" if process.poll() is None else f"ended with status {process.returncode}"
    raise StartFailed(f"{kind} {state}: {said.strip()[-2000:]}")


def _end(process):
    family = processes.tree(process.pid) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
