#!/usr/bin/env python3
"""A FastCGI application without any library: `run = fastcgi ./hello.py`.

On descriptor 0 there is a listening socket; one connection comes after the other, each with one request. With a
library such as flup all of this is one call.
"""
import socket
import struct

BEGIN, PARAMS, STDIN, STDOUT, END = 1, 4, 5, 6, 3


def records(stream):
    while len(head := stream.read(8)) == 8:
        _, kind, request, size, padding = struct.unpack("!BBHHBx", head)
        content = stream.read(size)
        stream.read(padding)
        yield kind, request, content


def pairs(data):
    at = 0

    def length():
        nonlocal at
        at += 1
        if data[at - 1] < 128:
            return data[at - 1]
        at += 3
        return struct.unpack("!I", data[at - 4:at])[0] & 0x7FFFFFFF

    while at < len(data):
        name, value = length(), length()
        yield data[at:at + name].decode(), data[at + name:at + name + value].decode("utf-8", "replace")
        at += name + value


def record(kind, request, content=b""):
    return struct.pack("!BBHHBx", 1, kind, request, len(content), 0) + content


def serve(connection):
    params, body = b"", b""
    with connection, connection.makefile("rb") as stream:
        for kind, request, content in records(stream):
            if kind == PARAMS:
                params += content
            elif kind == STDIN and content:
                body += content
            elif kind == STDIN:
                asked = dict(pairs(params))
                text = "hello {REMOTE_ADDR} from Python, you asked {REQUEST_METHOD} {REQUEST_URI}".format(**asked)
                text += ", with %d bytes\n" % len(body)
                answer = b"Content-Type: text/plain\r\n\r\n" + text.encode()
                connection.sendall(record(STDOUT, request, answer) + record(STDOUT, request)
                                   + record(END, request, bytes(8)))
                return


listener = socket.socket(fileno=0)
while True:
    try:
        serve(listener.accept()[0])
    except OSError:
        pass  # whoever asked is gone
