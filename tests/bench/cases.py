"""What is measured, and where reeve means to be beside nginx."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """`target` is the CPU time of a request, for the idle case the memory, as a ratio to nginx."""

    name: str
    title: str
    path: str
    target: float
    connections: int = 64
    pipeline: int = 1  # requests sent at once
    close: bool = False  # a connection for each request
    access_log: bool = False
    proxied: bool = False  # the servers pass requests on to one and the same nginx
    large_buffers: bool = False  # of nginx then: a whole response fits
    program: bool = False  # the servers ask processes of one and the same libfcgi program, which count too
    idle: bool = False

    def fits(self, kind):
        """The raw responder has no log, and asks nobody."""
        return kind != "raw" or not (self.access_log or self.proxied or self.program)


CASES = (
    Case("respond", "13-byte body", "/hello", 0.87),
    Case("1k", "1 KiB file", "/1k.bin", 0.76),
    Case("100k", "100 KiB file", "/100k.bin", 0.95, connections=16),
    Case("10m", "10 MiB file", "/10m.bin", 1.00, connections=4),
    Case("pipelined", "13-byte body, pipelined ×16", "/hello", 0.15, pipeline=16),
    Case("close", "13-byte body, connection per request", "/hello", 0.95, close=True),
    Case("log", "1 KiB file, access log on", "/1k.bin", 1.00, access_log=True),
    Case("proxy1k", "proxied 1 KiB response", "/1k.bin", 0.80, proxied=True),
    Case("proxy1m", "proxied 1 MiB response", "/1m.bin", 0.42, connections=8, proxied=True),
    Case("buffers1m", "proxied 1 MiB response, nginx with 1 MiB buffers", "/1m.bin", 1.00, connections=8, proxied=True,
         large_buffers=True),  # fmt: skip
    Case("fcgi", "libfcgi program, 4 processes, counted too", "/echo?x", 0.90, program=True),
    Case("idle", "10,000 idle connections: memory", "/hello", 1.00, connections=10_000, idle=True),
)
