"""Taking the time of work that is done several times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    Attributes:
        per_second: the median of all runs.
        slowest: of all runs, per second.
        fastest: of all runs, per second.
    """

    what: str
    database: str
    per_second: float
    slowest: float
    fastest: float

    def __str__(self) -> str:
        """Give the line."""
        spread = f"{self.slowest:,.0f} to {self.fastest:,.0f}"
        return f"{self.what:<44} {self.database:<11} {self.per_second:>9,.0f}/s   ({spread})"


@dataclass(frozen=True)
class Latency:
    """One line about how long something takes.

    Attributes:
        took_s: seconds of each time it was done.
        of_real_time: share of the audio's own length; None where there is none.
    """

    what: str
    took_s: tuple[float, ...]
    of_real_time: float | None = None

    def __str__(self) -> str:
        """Give the line."""
        p95_s = statistics.quantiles(self.took_s, n=20)[-1]
        times = f"p50 {1000 * statistics.median(self.took_s):,.1f} ms"
        times += f"   p95 {1000 * p95_s:,.1f} ms"
        factor = f"   {self.of_real_time:.3f} of real time" if self.of_real_time else ""
        return f"{self.what:<44} {times}{factor}"


async def measure(
    what: str, database: str, runs: int, work: Callable[[], Awaitable[tuple[int, float]]]
) -> Figure:
    """Do the work so often; each time it gives how much it did, and in how many seconds."""
    rates: list[float] = []
    for _ in range(runs):
        count, took_s = await work()
        rates.append(count / took_s)
    return Figure(what, database, statistics.median(rates), min(rates), max(rates))


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began_s = time.perf_counter()

    def seconds(self) -> float:
        """Give the seconds."""
        return time.perf_counter() - self._began_s
