"""Lines and their limits: who may dial now, and if none, when.

Pure arithmetic on what the database counted; moments are Unix milliseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_MS = 60_000
# The gateway originates a little later than it acknowledges; windows are kept longer by this much,
# so that no limit is exceeded where it counts, on the trunk.
ORIGINATE_MARGIN_MS = 100


@dataclass(frozen=True)
class LineLimits:
    """What one line may carry.

    Attributes:
        max_concurrent: calls at once, inbound ones included.
        max_per_minute: originates in any 60 seconds.
        max_per_day: originates per local calendar day.
    """

    max_concurrent: int
    max_per_minute: int
    max_per_day: int


@dataclass(frozen=True)
class Line:
    """One outbound line."""

    number: str
    limits: LineLimits


@dataclass(frozen=True)
class LineLoad:
    """What one line carries now.

    Attributes:
        active: calls under way, inbound ones included.
        asking: attempts whose PlaceCall is not yet answered; they may be dialled at any moment.
        originated_ms: originates that may lie in the last 60 seconds, oldest first.
        today: originates of this local day, those being asked for included.
    """

    active: int = 0
    asking: int = 0
    originated_ms: tuple[int, ...] = ()
    today: int = 0

    def last_minute(self, now_ms: int) -> int:
        """How many originates count for the 60 seconds up to now."""
        since_ms = now_ms - MINUTE_MS - ORIGINATE_MARGIN_MS
        return self.asking + sum(1 for at_ms in self.originated_ms if at_ms > since_ms)


class Limit(enum.StrEnum):
    """Which limit holds a line back."""

    CONCURRENT = "concurrent"
    MINUTE = "minute"
    DAY = "day"
    SPACING = "spacing"
    TOTAL = "total"


@dataclass(frozen=True)
class Hold:
    """A line held back.

    Attributes:
        limit: by which limit.
        until_ms: when that ends by itself; None when a call has to end or to be answered first.
    """

    limit: Limit
    until_ms: int | None


@dataclass(frozen=True)
class Pace:
    """What holds for all lines.

    Attributes:
        spacing_ms: least time between two originates on one line; 0 for none.
        max_total: calls at once over all lines; None for no cap.
    """

    spacing_ms: int = 1000
    max_total: int | None = None


@dataclass(frozen=True)
class Moment:
    """The present, and when the next local day begins."""

    now_ms: int
    next_midnight_ms: int


@dataclass(frozen=True)
class NoRoom:
    """No line may dial.

    Attributes:
        limits: the limits met, for counting and saying why.
        until_ms: when a line may have room again by itself; None when only an event can tell.
    """

    limits: frozenset[Limit]
    until_ms: int | None


def hold_on(line: Line, load: LineLoad, pace: Pace, at: Moment) -> Hold | None:
    """Say what holds one line back, the longest-lasting limit first; None when it may dial."""
    limits = line.limits
    if load.today >= limits.max_per_day:
        return Hold(Limit.DAY, at.next_midnight_ms)
    if load.active >= limits.max_concurrent:
        return Hold(Limit.CONCURRENT, None)
    if load.last_minute(at.now_ms) >= limits.max_per_minute:
        return Hold(Limit.MINUTE, _minute_frees_at(limits.max_per_minute, load))
    if load.asking:  # when it will leave is not known yet
        return Hold(Limit.SPACING, None)
    if pace.spacing_ms and load.originated_ms:
        until_ms = load.originated_ms[-1] + pace.spacing_ms + ORIGINATE_MARGIN_MS
        if until_ms > at.now_ms:
            return Hold(Limit.SPACING, until_ms)
    return None


def choose_line(
    lines: Sequence[Line], loads: dict[str, LineLoad], pace: Pace, at: Moment
) -> Line | NoRoom:
    """Choose the least loaded line with room: the smallest (active, last minute, today).

    Lines are tried in the configured order where loads are equal.
    """
    total = sum(load.active for load in loads.values())
    if pace.max_total is not None and total >= pace.max_total:
        return NoRoom(frozenset({Limit.TOTAL}), None)
    free: list[Line] = []
    holds: list[Hold] = []
    for line in lines:
        hold = hold_on(line, loads[line.number], pace, at)
        if hold is None:
            free.append(line)
        else:
            holds.append(hold)
    if not free:
        ends = [hold.until_ms for hold in holds if hold.until_ms is not None]
        return NoRoom(frozenset(hold.limit for hold in holds), min(ends, default=None))

    def weight(line: Line) -> tuple[int, int, int]:
        load = loads[line.number]
        return (load.active, load.last_minute(at.now_ms), load.today)

    return min(free, key=weight)


def _minute_frees_at(max_per_minute: int, load: LineLoad) -> int | None:
    """When enough originates are older than a minute; None while that hangs on an answer."""
    # Once all but (max - 1) of those that count are gone, one more fits.
    keep = max_per_minute - 1 - load.asking
    if keep < 0:
        return None
    leaving = len(load.originated_ms) - keep
    if leaving < 1:
        return None
    return load.originated_ms[leaving - 1] + MINUTE_MS + ORIGINATE_MARGIN_MS
