"""A random campaign over a virtual clock, judged from outside the code it drives."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from dialer import attempts as attempt_records
from dialer.attempts import UNKNOWN_OUTCOME, Claim, Ending
from dialer.claim import Claimer
from dialer.limits import ORIGINATE_MARGIN_MS, Line
from dialer.moments import now_ms
from dialer.retries import RetryPolicy
from dialer.storage import Storage
from dialer.tables import attempts, reports
from dialer.windows import CallWindow
from dialer_support.campaign import TEHRAN, add, file_contact, panel_contact, rows_of, rules
from salehi.calls.v1.calls_pb2 import Disposition, Result
from support.timing import HandClock

WINDOW = CallWindow.parse("09:00-23:59", TEHRAN)
SPACING_MS = 1000
_START = datetime(2026, 5, 4, 23, 50, tzinfo=TEHRAN)
_POLICY = RetryPolicy.parse(("busy:2/30",))
_ENDINGS = (
    Ending(Result.RESULT_MISSED, "busy", Disposition.DISPOSITION_BUSY),
    Ending(Result.RESULT_MISSED, "", Disposition.DISPOSITION_NO_ANSWER),
    Ending(Result.RESULT_NOT_INTERESTED, "", Disposition.DISPOSITION_ANSWERED, opted_out=True),
)


class Simulation:
    """Drives claims and everything that can follow one, and keeps its own record of calls.

    Attributes:
        left_ms: when calls left, per line.
        days: local day of every claim that became an attempt, per line.
    """

    def __init__(self, storage: Storage, lines: Sequence[Line], dice: random.Random) -> None:
        self._storage = storage
        self._lines = lines
        self._dice = dice
        self._clock = HandClock(_START)
        self._claimers = [
            Claimer(storage, rules(*lines, spacing_ms=SPACING_MS, window=WINDOW), self._clock)
            for _ in range(2)
        ]
        self._asking: list[Claim] = []
        self._live: list[Claim] = []
        self._opted_out: set[str] = set()
        self.left_ms: dict[str, list[int]] = {line.number: [] for line in lines}
        self.days: Counter[tuple[str, str]] = Counter()
        self.ended: Counter[str] = Counter()

    async def run(self, steps: int) -> None:
        """Take random steps; every broken promise is an assertion error."""
        people = range(12)
        await add(self._storage, [file_contact(person) for person in people], self._clock)
        for batch in ("b1", "b2", "b3"):  # the same people again and again
            handed_out = [panel_contact(person, batch=batch) for person in people]
            await add(self._storage, handed_out, self._clock)
        for _ in range(steps):
            step = self._dice.choice(
                [self._claim, self._claim, self._claim, self._answer, self._answer, self._end]
            )
            await step()
            self._clock.advance(self._dice.choice([0, 0, 0.01, 0.3, 1.1, 7, 29]))
            self._check_live()
        await self._settle_all()
        await self._check_records()

    async def _claim(self) -> None:
        if self._clock.now() > _START + timedelta(minutes=12):
            self._clock.jump(_START + timedelta(days=1, minutes=-2))  # on with the next evening
        claim = await self._dice.choice(self._claimers).claim()
        if not isinstance(claim, Claim):
            return
        assert WINDOW.is_open(self._clock.now()), "claimed outside the window"
        assert claim.contact.number not in self._opted_out, "called after an opt-out"
        engaged = {other.contact.number for other in [*self._asking, *self._live]}
        assert claim.contact.number not in engaged, "a second live attempt for one person"
        self.days[claim.line, WINDOW.local_date(self._clock.now()).isoformat()] += 1
        self._asking.append(claim)

    async def _answer(self) -> None:
        """Let one request be placed, refused, or lost on the way, after a while."""
        if not self._asking:
            return
        claim = self._asking.pop(self._dice.randrange(len(self._asking)))
        fate = self._dice.choice(["placed", "placed", "placed", "refused", "lost", "crash"])
        async with self._storage.transaction() as connection:
            if fate == "placed":
                await attempt_records.mark_placed(connection, claim.attempt_id, now_ms(self._clock))
            elif fate == "refused":
                await attempt_records.withdraw(connection, claim.attempt_id)
                day = WINDOW.local_date(datetime.fromtimestamp(claim.claimed_at_ms / 1000, TEHRAN))
                self.days[claim.line, day.isoformat()] -= 1
        if fate == "placed":
            self._leave(claim)
            self._live.append(claim)
        elif fate == "lost":  # it was dialled, nobody heard; the end is the first news
            self._leave(claim)
            self._clock.advance(self._dice.choice([0, 5]))
            await self._close(claim, self._dice.choice(_ENDINGS))
        elif fate == "crash":  # it was never dialled, nobody knows
            self._clock.advance(10)
            await self._close(claim, Ending.failed(UNKNOWN_OUTCOME))

    def _leave(self, claim: Claim) -> None:
        """The call appears on the trunk, as late as the margin allows."""
        late_ms = self._dice.choice([0, ORIGINATE_MARGIN_MS])
        self.left_ms[claim.line].append(now_ms(self._clock) + late_ms)

    async def _end(self) -> None:
        if self._live:
            claim = self._live.pop(self._dice.randrange(len(self._live)))
            await self._close(claim, self._dice.choice(_ENDINGS))

    async def _close(self, claim: Claim, ending: Ending) -> None:
        """End an attempt twice, as stream and reconciler both may; it counts once."""
        for first in (True, False):
            async with self._storage.transaction() as connection:
                news = await attempt_records.end(
                    connection,
                    claim.attempt_id,
                    ending,
                    policy=_POLICY,
                    at_ms=now_ms(self._clock),
                )
            assert news is first
        self.ended[claim.attempt_id] += 1
        if ending.opted_out:
            self._opted_out.add(claim.contact.number)

    async def _settle_all(self) -> None:
        for claim in [*self._asking, *self._live]:
            await self._close(claim, Ending.failed(UNKNOWN_OUTCOME))
        self._asking, self._live = [], []

    def _check_live(self) -> None:
        now = Counter(claim.line for claim in [*self._asking, *self._live])
        for line in self._lines:
            assert now[line.number] <= line.limits.max_concurrent, "too many calls at once"
            today = WINDOW.local_date(self._clock.now()).isoformat()
            assert self.days[line.number, today] <= line.limits.max_per_day, "too many a day"
            left = sorted(self.left_ms[line.number])
            for first, over in zip(left, left[line.limits.max_per_minute :], strict=False):
                assert over - first >= 60_000, "too many in 60 seconds"
            for one, following in itertools.pairwise(left):
                assert following - one >= SPACING_MS, "too close together"

    async def _check_records(self) -> None:
        kept = await rows_of(self._storage, attempts)
        assert {row["id"] for row in kept} == set(self.ended)
        assert set(self.ended.values()) <= {1}
        lost = {row["id"] for row in kept if row["reason"] == UNKNOWN_OUTCOME}
        reported = {row["attempt_id"] for row in await rows_of(self._storage, reports)}
        assert reported & set(self.ended) == lost
