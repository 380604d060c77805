"""`python -m bench_calls`: what a call costs the gateway, and the five services beside Asterisk.

python -m bench_calls simulated --calls 3000 --rate 50 --at-once 1000
python -m bench_calls real --rates 5,10,15
python -m bench_calls real --highest
python -m bench_calls turns --calls 40 --at-once 10
python -m bench_calls barge-in --calls 20
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench_calls import barge_in, turns
from bench_calls.real import RealBench, Row
from bench_calls.simulated import Cost, Load, SimulatedBench
from e2e_support import lab
from e2e_support.stack import SERVICES
from lab.paths import REPOSITORY, LabPaths

_STEP = 5


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="bench_calls", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True)
    simulated = kinds.add_parser("simulated", help="the gateway against a simulated ARI")
    simulated.add_argument("--calls", type=int, default=3000, help="calls in all")
    simulated.add_argument("--rate", type=float, default=50.0, help="originates per second")
    simulated.add_argument("--at-once", type=int, default=1000, help="calls that live at once")
    simulated.add_argument("--http", action="store_true", help="send all requests over HTTP")
    real = kinds.add_parser("real", help="five services against the lab's Asterisk")
    real.add_argument("--rates", default="5,10,15", help="calls per second, one run for each")
    real.add_argument(
        "--highest", action="store_true", help="step up by 5 calls per second until calls are lost"
    )
    real.add_argument("--seconds", type=float, default=30.0, help="how long each run dials")
    in_turns = kinds.add_parser("turns", help="how long callers wait for an answer, in the lab")
    in_turns.add_argument("--calls", type=int, default=40, help="calls in all")
    in_turns.add_argument("--at-once", type=int, default=10, help="calls that live at once")
    barging_in = kinds.add_parser("barge-in", help="what stops a prompt that should not")
    barging_in.add_argument("--calls", type=int, default=20, help="calls of each kind")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if wanted.kind == "simulated":
            load = Load(wanted.calls, wanted.rate, wanted.at_once, over_websocket=not wanted.http)
            _show(asyncio.run(SimulatedBench(Path(directory), load).run()))
        elif wanted.kind == "turns":
            asyncio.run(_turns(Path(directory), wanted.calls, wanted.at_once))
        elif wanted.kind == "barge-in":
            asyncio.run(_barge_in(Path(directory), wanted.calls))
        else:
            rates = _steps() if wanted.highest else map(float, wanted.rates.split(","))
            asyncio.run(_real(Path(directory), rates, wanted.seconds, search=wanted.highest))
    return 0


def _steps() -> Iterator[float]:
    """Give 5, 10, 15, … calls per second, without end."""
    return (float(rate) for rate in itertools.count(_STEP, _STEP))


async def _real(home: Path, rates: Iterable[float], for_s: float, *, search: bool) -> None:
    await lab.up()
    held = 0.0
    bench = RealBench(home, LabPaths(REPOSITORY / ".lab").env_file)
    columns = ("Asterisk", "ours", *SERVICES)
    heading = "".join(f"{column:>12}" for column in columns)
    _say(f"CPU ms per call   {heading}      reached/s  originate p99, ms   results")
    for rate in rates:
        row = await bench.at_rate(rate, for_s)
        _say(_line(row))
        if search and not row.is_held:
            break
        held = rate if row.is_held else held
    if search:
        _say(
            f"highest rate held: {held:g} calls/s; load of the machine now {os.getloadavg()[0]:.1f}"
        )


async def _turns(home: Path, calls: int, at_once: int) -> None:
    await lab.up()
    lab_env = LabPaths(REPOSITORY / ".lab").env_file
    for line in (await turns.measured(home, lab_env, calls, at_once)).lines():
        _say(line)


async def _barge_in(home: Path, calls: int) -> None:
    await lab.up()
    for row in await barge_in.measured(home, LabPaths(REPOSITORY / ".lab").env_file, calls):
        _say(row.line())


def _line(row: Row) -> str:
    costs = (row.asterisk_ms, row.ours_ms, *(row.cpu_ms[name] for name in SERVICES))
    results = ", ".join(f"{count} {name}" for name, count in row.results.items())
    return (
        f"{row.per_second:>8g} calls/s   "
        + "".join(f"{ms:>12.1f}" for ms in costs)
        + f"{row.reached_per_second:>12.1f}{1000 * row.originate_p99_s:>19.0f}"
        + f"   {results}"
    )


def _show(cost: Cost) -> None:
    figures, load = cost.figures, cost.load
    lines = {
        "calls": f"{load.calls}, {load.per_second:g} originates per second",
        "requests": f"{figures['requests_over_websocket']} over the WebSocket, "
        f"{figures['requests_over_http']} over HTTP",
        "most channels at once": figures["most_channels"],
        "left on Asterisk": f"{figures['channels']} channels, {figures['bridges']} bridges, "
        f"{figures['stored_recordings']} recordings",
        "calls lost": cost.lost,
        "held back, unanswered": f"{cost.held_back}, {cost.unanswered}",
        "results": ", ".join(f"{count} {name}" for name, count in cost.results.items()),
        "gateway CPU per call": f"{cost.cpu_ms:.2f} ms",
        "simulated ARI's": f"{cost.ari_cpu_ms:.2f} ms",
        "gateway memory": " -> ".join(f"{memory:.0f}" for memory in cost.memory_mib) + " MiB",
        "gateway tasks": " -> ".join(str(tasks) for tasks in cost.tasks),
    }
    for name, value in lines.items():
        _say(f"{name:<24}{value}")
    _say("from event to next command, ms:  count      p50      p99      max")
    for kind, spread in figures["reactions"].items():
        took = "".join(f"{spread[column]:>9.2f}" for column in ("p50_ms", "p99_ms", "max_ms"))
        _say(f"  {kind:<28}{spread['count']:>8}{took}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command line prints


if __name__ == "__main__":
    sys.exit(main())
