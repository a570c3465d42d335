"""Ratios out of samples, and their three forms: a table, a plot, docs/BENCHMARKS.md."""

import statistics
import subprocess
from dataclasses import dataclass

from cases import Case

REFERENCE = "nginx"
UNKNOWN = "–"

DOCUMENT = """# Benchmarks

`make bench` wrote this page. It compares reeve with Debian's nginx and with a minimal epoll responder that parses
nothing and only sends prepared bytes: the limit of what one process can do on this kernel with these system calls.

## How it is measured

- Each server runs one worker. Its whole process tree is pinned to core 0, the generator to core 1.
- **CPU time per request** is the main number: the CPU time that the kernel charged to the server's whole process tree
  (user and system, ended children too), divided by the requests the generator saw answered. Unlike requests per
  second it does not depend on how fast the generator is, and it is what a request takes away from everything else.
- {network}
- {rounds} rounds. In each round every server is started anew and measured for about {seconds} s, in turns of a tenth of
  a second with the others, in both orders: what disturbs the machine disturbs all alike. A round's cost is the median
  of its turns, a ratio is formed within a round; the table gives the median over the rounds and, in brackets, the
  smallest and the largest.
- Before each measurement one request is checked byte for byte. When even one request fails, this page is not written.
- The generator, `tests/bench/generator.cpp`, has {usual} connections
  ({exceptions}),
  each with one request under way, and counts what is no 200 of the expected length as failed.
- The idle case opens 10,000 connections, sends one request on each, and reads the memory of the process tree from
  `/proc/PID/smaps_rollup` while they are held. PSS shares out what several processes map together.
- In the proxied cases each server passes requests on to the same third one: an nginx with one worker, which serves the
  files from the generator's core and is not measured. Both keep 64 connections to it, and tell it the same: `Host`,
  `X-Forwarded-For`, `-Proto` and `-Host`, `X-Request-Id`, `Via`, `traceparent`. nginx has the
  buffers it comes with; in one case buffers that hold a whole response, which cost it least. The raw responder asks
  nobody.
- In the FastCGI case each server asks four processes of one libfcgi program, `tests/integration/programs/fcgi_echo.c`, over
  Unix sockets, a connection for each request; they run on the server's core, and their CPU time counts.
- nginx is tuned: `sendfile`, `tcp_nopush`, `open_file_cache`, `return` for the 13-byte body, connection limits no
  larger than needed, keep-alive without end, access log off; with the log on, plain `access_log FILE combined`.
  The configurations are in `tests/bench/servers.py`. With `sendfile off` nginx sends small files with less CPU time and
  large ones with much more: `--servers reeve,nginx,nginx-copy,raw` shows that setting beside the others.

`make bench BENCH_ARGS=--self-check` measures nginx against itself: what it shows beside 1.00 is the error of the rest.

## How to read it

A ratio below 1 means reeve needs less than nginx; 0.80 is one fifth less CPU time, or one fifth less memory. In
*requests/s* more is better. A generator that is slower than the server hides differences in requests per second and
in p99, not in CPU time. The absolute values depend on the machine; the ratios much less so.

## Results

{table}

{memory}

![CPU time per request beside nginx](benchmarks.svg)
"""

PLOT = """
set terminal svg size 900,420 font "sans-serif,13" background "white"
set output "{output}"
set title "CPU time per request, nginx = 1 (less is better)"
set style fill solid 0.9 noborder
set boxwidth {width}
set yrange [0:*]
set xrange [-0.6:{last}]
set grid ytics lc rgb "#dddddd"
set border 3
set tics nomirror
set key outside bottom center horizontal
set arrow from graph 0, first 1 to graph 1, first 1 nohead lc rgb "#555555" dt 2
set xtics ({labels})
$data << EOD
{data}
EOD
plot {plots}
"""
COLOURS = {"reeve": "#2463a6", "raw": "#9db8d2", "nginx2": "#999999", "nginx-copy": "#6a9a5b"}


@dataclass(frozen=True)
class Sample:
    """One measurement. `cost` is CPU ns a request, in the idle case PSS bytes of the process tree."""

    cost: float
    requests: int = 0
    per_second: float = 0
    p99_ms: float | None = None
    failed: int = 0
    rss: int = 0
    per_connection: float = 0  # bytes of PSS that one idle connection added


def sample_of_load(turns):
    """One sample out of the turns of one round, each the CPU ns it took and what the generator saw of it."""
    seen = [load for _, load in turns]
    requests = sum(load.requests for load in seen)
    p99 = [load.p99_ms for load in seen if load.p99_ms]
    return Sample(
        cost=statistics.median(spent / load.requests for spent, load in turns),
        requests=requests,
        per_second=statistics.median(load.requests / load.seconds for load in seen),
        p99_ms=statistics.median(p99) if p99 else None,
        failed=sum(load.failed for load in seen))  # fmt: skip


def sample_of_idle(before, held, connections):
    return Sample(cost=held.pss, rss=held.rss, per_connection=(held.pss - before.pss) / connections)


def describe(case, sample):
    """One measurement as one line for the terminal."""
    if case.idle:
        return (f"{sample.cost / 2**20:8.2f} MiB PSS {sample.rss / 2**20:8.2f} MiB RSS "
                f"{sample.per_connection:7.0f} B/connection")  # fmt: skip
    text = f"{sample.cost / 1e3:9.3f} us/request {sample.per_second:10.0f} requests/s"
    text += f"  p99 {sample.p99_ms:8.3f} ms" if sample.p99_ms else ""
    return text + (f"  FAILED: {sample.failed} of {sample.requests}" if sample.failed else "")


def ratios(samples, kind, field="cost"):
    """Of one case: `kind` to the reference, round by round. Empty when one of them was not measured."""
    return [
        getattr(mine, field) / getattr(theirs, field)
        for mine, theirs in zip(samples.get(kind, []), samples.get(REFERENCE, []))
        if getattr(theirs, field)
    ]


def failures(results):
    """A line for each case and server with requests that failed."""
    return [
        f"{case.name}: {kind}: {sum(sample.failed for sample in samples)} requests failed"
        for case, by_kind in results.items()
        for kind, samples in by_kind.items()
        if any(sample.failed for sample in samples)
    ]


def table(results, kinds):
    """Markdown: everything that has requests, and the ratio of memory."""
    rivals = [kind for kind in kinds if kind != REFERENCE]
    head = ["case"]
    for kind in rivals:
        head += [f"{kind}/nginx CPU"] + (["target"] if kind == "reeve" else []) + [f"{kind}/nginx requests/s"]
    head += [f"p99 ms {kind}" for kind in kinds]
    rows = []
    for case, samples in results.items():
        row = [case.title]
        for kind in rivals:
            cost = ratios(samples, kind)
            row.append(_spread(cost))
            if kind == "reeve":
                row.append(_target(cost, case.target))
            row.append(UNKNOWN if case.idle else _median(ratios(samples, kind, "per_second")))
        for kind in kinds:
            p99 = [sample.p99_ms for sample in samples.get(kind, []) if sample.p99_ms]
            row.append(_median(p99))
        rows.append(row)
    return _markdown(head, rows)


def memory_table(results, kinds):
    """Markdown: the idle case in absolute numbers; empty when it was not measured."""
    rows = []
    for case, samples in results.items():
        for kind in kinds if case.idle else ():
            if samples.get(kind):
                pss, rss, each = (
                    statistics.median(getattr(sample, field) for sample in samples[kind])
                    for field in ("cost", "rss", "per_connection"))  # fmt: skip
                rows.append([kind, f"{pss / 2**20:.1f}", f"{rss / 2**20:.1f}", f"{each:.0f}"])
    if not rows:
        return ""
    return _markdown(["10,000 idle connections", "PSS MiB", "RSS MiB", "bytes a connection added"], rows)


def plot(results, kinds, output):
    """Draws the CPU ratios to an SVG file with gnuplot."""
    cases = [case for case in results if not case.idle]
    rivals = [kind for kind in kinds if kind != REFERENCE]
    width = 0.8 / len(rivals)
    lines = []
    for case in cases:
        medians = [statistics.median(found) if (found := ratios(results[case], kind)) else "NaN" for kind in rivals]
        lines.append(" ".join(map(str, [*medians, case.target])))
    plots = [
        f'$data using ($0+{(place - (len(rivals) - 1) / 2) * width}):{place + 1} with boxes '
        f'lc rgb "{COLOURS[kind]}" title "{kind}"'
        for place, kind in enumerate(rivals)
    ]
    if "reeve" in rivals:
        shift = (rivals.index("reeve") - (len(rivals) - 1) / 2) * width
        plots.append(f'$data using ($0+{shift}):{len(rivals) + 1} with points pt 9 lc rgb "#c03020" '
                     'title "target for reeve"')  # fmt: skip
    labels = ", ".join(f'"{case.name}" {place}' for place, case in enumerate(cases))
    script = PLOT.format(output=output, width=width * 0.9, last=len(cases) - 0.4, labels=labels,
                         data="\n".join(lines), plots=", ".join(plots))  # fmt: skip
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def document(results, kinds, rounds, seconds, network):
    exceptions = ", ".join(f"{case.connections} for the {case.title}" for case in results
                           if not case.idle and case.connections != Case.connections)  # fmt: skip
    return DOCUMENT.format(
        rounds=rounds, seconds=seconds, network=network, exceptions=exceptions, usual=Case.connections,
        table=table(results, kinds), memory=memory_table(results, kinds))  # fmt: skip


def _median(values):
    return f"{statistics.median(values):.2f}" if values else UNKNOWN


def _spread(values):
    return f"**{statistics.median(values):.2f}** ({min(values):.2f}..{max(values):.2f})" if values else UNKNOWN


def _target(values, target):
    if not values:
        return f"{target:.2f}"
    met = round(statistics.median(values), 2) <= target
    return f"{target:.2f} {'met' if met else 'missed'}"


def _markdown(head, rows):
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
