"""What a campaign runs with, and how requests travel: drawn with dice, near the edges."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dialer.claim import Rules
from dialer.limits import Line, LineLimits, Pace
from dialer.retries import RetryPolicy
from dialer.windows import CallWindow
from simulation.calls import LONGEST_JOURNEY_MS, Errand, Fate

TEHRAN = ZoneInfo("Asia/Tehran")
_WINDOWS = ("00:00-24:00", "09:00-21:00", "22:30-24:00", "00:00-00:30", "12:00-12:04")
_POLICIES = (
    ("none",),
    ("busy:2/30", "no_answer:1/120", "unreachable:1/600", "congestion:3/10"),
    ("busy:2/900", "no_answer:2/3600", "unreachable:1/3600", "congestion:3/300"),
)
_FATES = (*[Fate.PLACED] * 40, *[Fate.REFUSED] * 3, Fate.REJECTED, Fate.LOST, Fate.UNANSWERED)


@dataclass(frozen=True)
class Setting:
    """What a campaign runs with.

    Attributes:
        starts: the first moment, aware.
        replicas: dialer processes on the one database.
    """

    rules: Rules
    policy: RetryPolicy
    starts: datetime
    replicas: int


def draw_setting(dice: random.Random, replicas: int) -> Setting:
    """Draw lines, limits, hours and a first moment; the hours are often about to change."""
    lines = tuple(
        Line(
            f"100{index}",
            LineLimits(
                dice.choice((1, 2, 3, 5, 8)),
                dice.choice((2, 5, 10, 30, 60)),
                dice.choice((6, 30, 200, 1000)),
            ),
        )
        for index in range(dice.choice((1, 2, 3, 5)))
    )
    pace = Pace(dice.choice((0, 1000, 1000, 2500)), dice.choice((None, None, 3, 8)))
    window = CallWindow.parse(dice.choice(_WINDOWS), TEHRAN)
    rules = Rules(lines, pace, window, dice.choice((0, 0, 300_000, 86_400_000)))
    midnight = datetime(2026, 5, 4, tzinfo=TEHRAN)
    edges = (window.opens_minute, window.closes_minute, 24 * 60)
    starts = midnight + timedelta(minutes=dice.choice(edges) - dice.choice((0, 1, 2, 30)))
    return Setting(rules, RetryPolicy.parse(dice.choice(_POLICIES)), starts, replicas)


def draw_errand(dice: random.Random) -> Errand:
    """Draw how a request travels: mostly fast, at times as slow as can be."""
    slow = dice.random() < 0.06
    return Errand(
        dice.choice(_FATES),
        dice.choice((700, 800, dice.randrange(LONGEST_JOURNEY_MS)))
        if slow
        else dice.choice((0, 60)),
        originate_ms=dice.randrange(900) if slow else dice.choice((0, 5, 50)),
        appear_ms=dice.choice((0, 5, 50)),
        answer_ms=dice.randrange(3000) if slow else dice.choice((0, 1, 5)),
    )
