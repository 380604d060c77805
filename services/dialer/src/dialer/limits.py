"""Lines and their limits: who may dial now, and if none, when.

Pure arithmetic on what the database counted; moments are Unix milliseconds.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE_MS = 60_000
# The gateway originates a claimed call so soon or never.
ORIGINATE_WITHIN_MS = 900
# An originate appears on the trunk so much later at most; windows are kept longer by this much, so
# that no limit is exceeded where it counts.
ORIGINATE_MARGIN_MS = 100
# Whatever became of the request: so long after its claim a call has left, or never will.
LEFT_BY_MS = ORIGINATE_WITHIN_MS + ORIGINATE_MARGIN_MS


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
        claimed_ms: claims whose calls may lie in the last 60 seconds, oldest first.
        left_by_ms: when the latest of them has left at the latest; None when there is none.
        today: attempts claimed on this local day.
    """

    active: int = 0
    claimed_ms: tuple[int, ...] = ()
    left_by_ms: int | None = None
    today: int = 0

    def last_minute(self, now_ms: int) -> int:
        """How many originates count for the 60 seconds up to now."""
        since_ms = now_ms - MINUTE_MS - LEFT_BY_MS
        return sum(1 for at_ms in self.claimed_ms if at_ms > since_ms)


class Limit(enum.StrEnum):
    """Which limit holds a line back."""

    CONCURRENT = "concurrent"
    MINUTE = "minute"
    DAY = "day"
    SPACING = "spacing"
    TOTAL = "total"
    OPERATORS = "operators"
    TAKEN = "taken"  # another claim is just being made on the line


@dataclass(frozen=True)
class Hold:
    """A line held back.

    Attributes:
        limit: by which limit.
        until_ms: when that ends by itself; None when a call has to end first.
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
        frees_at_ms = load.claimed_ms[-limits.max_per_minute] + MINUTE_MS + LEFT_BY_MS
        return Hold(Limit.MINUTE, frees_at_ms)
    if pace.spacing_ms and load.left_by_ms is not None:
        until_ms = load.left_by_ms + pace.spacing_ms
        if until_ms > at.now_ms:
            return Hold(Limit.SPACING, until_ms)
    return None


def rank_lines(
    lines: Sequence[Line], loads: dict[str, LineLoad], pace: Pace, at: Moment
) -> list[Line] | NoRoom:
    """Give the lines with room, least loaded first: the smallest (active, last minute, today).

    Lines stand in the configured order where loads are equal.
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

    return sorted(free, key=weight)
