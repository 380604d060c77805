"""The five services against the lab's Asterisk and its SIP customers: who uses how much CPU.

Speech is transcribed by a fake of the provider, as in production by a provider: what recognition
itself would cost on board is not the engine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench_calls.processes import tree_cpu_s
from e2e_support.stack import SERVICES, Stack, stack
from lab.control import ASTERISK_NAME
from lab.fakes.serving import serving
from lab.fakes.vira import FakeVira
from lab.processes import running_parts
from salehi.dialer.v1 import dialer_pb2

_SAYS_NO = "02"
_HEARD = "no thank you"
_EXPECTED = "not_interested"
_LINES = tuple(f"0219100{number}" for number in range(1000, 1020))
_LOOK_EVERY_S = 3.0
_LONGEST_CALL_S = 60.0
_MOST_CALLS = 1000
_REACHED_SHARE = 0.9
_SLOW_ORIGINATE_S = 0.25
_ORIGINATES = re.compile(r'^salehi_originate_seconds_bucket\{le="(\S+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """What one rate cost.

    Attributes:
        results: how many calls came to what.
        cpu_ms: CPU time per call, milliseconds, by process: Asterisk and the services.
        reached_per_second: how many calls left each second, in truth.
        originate_p99_s: how long Asterisk took to take an originate, seconds; the first to grow.
    """

    per_second: float
    calls: int
    results: Mapping[str, int]
    cpu_ms: Mapping[str, float]
    reached_per_second: float
    originate_p99_s: float

    @property
    def is_held(self) -> bool:
        """Whether no call was lost, none held back for long, and Asterisk kept its pace."""
        return (
            self.results == {_EXPECTED: self.calls}
            and self.reached_per_second >= _REACHED_SHARE * self.per_second
            and self.originate_p99_s <= _SLOW_ORIGINATE_S
        )

    @property
    def ours_ms(self) -> float:
        """CPU time of the five services per call, milliseconds."""
        return sum(self.cpu_ms[name] for name in SERVICES)

    @property
    def asterisk_ms(self) -> float:
        """CPU time of Asterisk per call, milliseconds."""
        return self.cpu_ms[ASTERISK_NAME]


class RealBench:
    """Runs at one rate after the other, each with services and databases of its own."""

    def __init__(self, home: Path, lab_env: Path) -> None:
        """Use the lab that runs with these settings."""
        self._home = home
        self._lab_env = lab_env

    async def at_rate(self, per_second: float, for_s: float) -> Row:
        """Dial at a steady rate for so long, and wait for every result."""
        calls = min(round(per_second * for_s), _MOST_CALLS)
        home = Path(tempfile.mkdtemp(dir=self._home))
        vira = FakeVira()
        vira.configure({"text": _HEARD})
        async with (
            serving(vira) as provider,
            stack(
                home, self._lab_env, *SERVICES[:-1], **_settings(provider, per_second, calls)
            ) as running,
        ):
            await running.ready()
            await running.start("dialer")
            await _dialer_is_up(running)
            pids = _pids(running)
            before = {name: tree_cpu_s(pid) for name, pid in pids.items()}
            results = await _all_results(running, calls, per_second)
            cpu_ms = {
                name: (tree_cpu_s(pid) - before[name]) * 1000 / calls for name, pid in pids.items()
            }
            reached = _rate(
                [attempt.claimed_at.ToNanoseconds() for attempt in await running.attempts()]
            )
            slowest_s = _p99_s(await running.metrics("ari-gateway"))
        return Row(per_second, calls, results, cpu_ms, reached, slowest_s)


def _settings(provider: str, per_second: float, calls: int) -> dict[str, str]:
    numbers = (f"0912{number:05d}{_SAYS_NO}" for number in range(calls))
    return {
        "STATIC_CONTACTS": ",".join(numbers),
        "OUTBOUND_NUMBERS": ",".join(_LINES),
        "ORIGINATE_SPACING": f"{len(_LINES) / per_second:.3f}",
        "MAX_CALLS_PER_MINUTE": "6000",
        "MAX_CONCURRENT_CALLS": "1000",
        "MAX_CALLS_PER_DAY": "10000",
        "MAX_LIVE_CALLS": "1000",
        "VIRA_STT_TOKEN": "bench",
        "VIRA_STT_URL": f"{provider}/avanegar/v2/avanegar/request",
    }


async def _dialer_is_up(running: Stack) -> None:
    async with running.dialer() as dialer:
        await dialer.GetStatus(dialer_pb2.GetStatusRequest(), timeout=30, wait_for_ready=True)


def _pids(running: Stack) -> dict[str, int]:
    asterisk = next(part.pid for part in running_parts() if part.name == ASTERISK_NAME)
    ours = {name: process.pid for name, process in running.processes.items()}
    return {ASTERISK_NAME: asterisk, **ours}


def _rate(at_ns: list[int]) -> float:
    return (len(at_ns) - 1) * 1e9 / (max(at_ns) - min(at_ns))


def _p99_s(metrics: str) -> float:
    """Give the bound that 99 of 100 originates kept to, seconds."""
    buckets = [(float(bound), float(count)) for bound, count in _ORIGINATES.findall(metrics)]
    return next(bound for bound, count in buckets if count >= 0.99 * buckets[-1][1])


async def _all_results(running: Stack, calls: int, per_second: float) -> Counter[str]:
    """Wait for every result; say how many never came."""
    results: Counter[str] = Counter()
    await asyncio.sleep(calls / per_second)  # asking costs the reporter CPU that is not the calls'
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(calls / per_second + _LONGEST_CALL_S):
            while results.total() < calls:
                await asyncio.sleep(_LOOK_EVERY_S)
                results = Counter(record.result for record in await running.results())
            return results
    return results + Counter({"no result": calls - results.total()})
