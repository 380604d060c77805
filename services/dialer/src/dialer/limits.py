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
        minute: claims whose calls may lie in the last 60 seconds.
        minute_frees_ms: when there is room for another in 60 seconds; None when there is now.
        left_by_ms: when the latest of them has left at the latest; None when there is none.
        today: attempts claimed on this local day.
    """

    active: int = 0
    minute: int = 0
    minute_frees_ms: int | None = None
    left_by_ms: int | None = None
    today: int = 0


class Limit(enum.StrEnum):
    """Which limit holds a line back."""

    CONCURRENT = "concurrent"
    MINUTE = "minute"
    DAY = "day"
    SPACING = "spacing"
    TOTAL = "total"
    OPERATORS = "operators"
    TAKEN = "taken"  # another claim is just being made on the line


# What ends by itself, and not when a call does.
BY_TIME = frozenset({Limit.MINUTE, Limit.DAY, Limit.SPACING, Limit.TAKEN})


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

    @property
    def line_rests_s(self) -> float:
        """How long a line rests at most once a call is known to have left on it, seconds."""
        return (self.spacing_ms + ORIGINATE_MARGIN_MS) / 1000 if self.spacing_ms else 0.0


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


def minute_frees_ms(claimed_ms: Sequence[int], max_per_minute: int) -> int | None:
    """Say when there is room for another call in 60 seconds; None when there is now.

    Args:
        claimed_ms: claims whose calls may lie in the last 60 seconds, oldest first.
        max_per_minute: how many may.
    """
    if len(claimed_ms) < max_per_minute:
        return None
    return claimed_ms[-max_per_minute] + MINUTE_MS + LEFT_BY_MS


def hold_on(line: Line, load: LineLoad, pace: Pace, at: Moment) -> Hold | None:
    """Say what holds one line back, the longest-lasting limit first; None when it may dial."""
    limits = line.limits
    if load.today >= limits.max_per_day:
        return Hold(Limit.DAY, at.next_midnight_ms)
    if load.active >= limits.max_concurrent:
        return Hold(Limit.CONCURRENT, None)
    if load.minute_frees_ms is not None:
        return Hold(Limit.MINUTE, load.minute_frees_ms)
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
        return (load.active, load.minute, load.today)

    return sorted(free, key=weight)
