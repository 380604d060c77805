"""Leads many calls through the real Asterisk, and says what the gateway holds before and after.

`PYTHONPATH=tests .venv/bin/python -m e2e_support.leaks --calls 1000`; the lab is started if needed.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from e2e_support import lab, short_prompts
from e2e_support.clean import call, clean
from e2e_support.stack import ROOM, Stack, stack
from e2e_support.understanding import understanding
from lab import troubles
from lab.paths import REPOSITORY, LabPaths
from salehi.dialer.v1 import dialer_pb2

_ENDINGS = (
    troubles.INSISTENT,
    troubles.LEAVES_AT_ONCE,
    troubles.LEAVES_DURING_HELLO,
    troubles.LEAVES_WHILE_LISTENED_TO,
    troubles.LEAVES_WHILE_UNDERSTOOD,
    troubles.OPERATOR_BUSY,
    troubles.UNAVAILABLE,
    "08",
)
_BATCH = 80
_MOST_GROWTH = 0.05
_SETTLES_S = 15
"""Connections that were used at the busiest moment are closed by then."""


@dataclass(frozen=True)
class Footprint:
    """What a process holds.

    Attributes:
        resident_kb: memory, KiB.
        files: open files and sockets.
        threads: threads.
    """

    resident_kb: int
    files: int
    threads: int


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a command line prints


def footprint(pid: int) -> Footprint:
    """Measure a process."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    told = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Footprint(int(told["VmRSS"].split()[0]), files, int(told["Threads"]))


async def calls_done(running: Stack, numbers: list[str]) -> None:
    """Lead calls to these numbers to their ends."""
    async with running.dialer() as dialer:
        before = (await dialer.GetStatus(dialer_pb2.GetStatusRequest(), timeout=10)).attempts_done
    for at in range(0, len(numbers), _BATCH):
        await call(running, *numbers[at : at + _BATCH])
    while True:
        async with running.dialer() as dialer:
            status = await dialer.GetStatus(dialer_pb2.GetStatusRequest(), timeout=10)
        if status.attempts_done - before >= len(numbers):
            return
        await asyncio.sleep(0.5)


async def measure(count: int, warm_up: int, at_once: int, home: Path) -> bool:
    """Lead `count` calls after `warm_up`, `at_once` at a time; True when nothing grew."""
    await lab.up()
    numbers = (f"0912{n:05d}{ending}" for n in itertools.count() for ending in _ENDINGS)
    room = {
        **ROOM,
        "MAX_CONCURRENT_CALLS": str(at_once),
        "MAX_TOTAL_CALLS": str(at_once),
        "MAX_CALLS_PER_MINUTE": "6000",
        "MAX_CALLS_PER_DAY": "100000",
        "ORIGINATE_SPACING": "0",
    }
    async with (
        understanding(0.1) as ears,
        stack(
            home,
            LabPaths(REPOSITORY / ".lab").env_file,
            *("reporter", "ari-gateway", "dialer"),
            **room,
            **short_prompts.settings(),
            **ears.settings,
        ) as running,
    ):
        await running.ready()
        pid = running.processes["ari-gateway"].pid
        await calls_done(running, list(itertools.islice(numbers, warm_up)))
        await asyncio.sleep(_SETTLES_S)
        before, began_s = footprint(pid), time.monotonic()
        await calls_done(running, list(itertools.islice(numbers, count)))
        took_s = time.monotonic() - began_s
        await asyncio.sleep(_SETTLES_S)
        after = footprint(pid)
        _say(f"{count} calls in {took_s:.0f} s, {at_once} at once at most")
        _say(f"gateway before: {before}\ngateway after:  {after}")
        await clean(running)
        _say("Asterisk: no channel, no bridge and no recording of ours is left")
    return (
        after.resident_kb <= before.resident_kb * (1 + _MOST_GROWTH)
        and after.files <= before.files
        and after.threads <= before.threads
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1000, help="calls after the warm-up")
    parser.add_argument(
        "--warm-up",
        type=int,
        default=2000,
        help="calls before: the gateway remembers the last 10,000 changes of calls for watchers",
    )
    parser.add_argument("--at-once", type=int, default=30, help="calls at the same time, at most")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        good = asyncio.run(measure(wanted.calls, wanted.warm_up, wanted.at_once, Path(home)))
    _say("nothing grew" if good else "something grew")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
