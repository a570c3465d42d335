#!/usr/bin/env python3
"""Opens COUNT connections, sends one request on each, reads its answer, and holds them all.

    idle_connections.py HOST PORT PATH COUNT

Prints `holding COUNT` once every answer is in, and leaves when its standard input ends.
"""

import socket
import sys

import isolation

TIMEOUT_SECONDS = 30
SPARE_DESCRIPTORS = 64


def open_one(host, port, path):
    """One keep-alive connection after one whole answer."""
    connection = socket.create_connection((host, port), TIMEOUT_SECONDS)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    answer = b""
    while not _complete(answer):
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection")
        answer += piece
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"the server answered {answer[:60]!r}")
    return connection


def _complete(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return len(body) >= int(value)
    raise ConnectionError("the answer has no Content-Length")


def main():
    if len(sys.argv) != 5:
        print(__doc__, file=sys.stderr)
        return 2
    host, port, path, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if not isolation.raise_file_limit(count + SPARE_DESCRIPTORS):
        print(f"this system does not let a process hold {count} connections", file=sys.stderr)
        return 1
    held = []
    try:
        for _ in range(count):
            held.append(open_one(host, port, path))
    except OSError as why:
        print(f"connection {len(held) + 1}: {why}", file=sys.stderr)
        return 1
    print(f"holding {count}", flush=True)
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
