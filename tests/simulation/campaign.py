"""Random campaigns: one seed gives one campaign, always the same."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from dialer.claim import NotNow, Refusal
from dialer.contacts import NewContact
from dialer.limits import Limit
from dialer.panel_feed import LOCK_MS
from dialer.pauses import PauseKind
from dialer.tables import Source
from servicekit.storage import Storage
from simulation.calls import ENDS, LONGEST_ADOPTION_MS
from simulation.database import Fault, Faults
from simulation.judge import BrokenPromise
from simulation.settings import draw_errand, draw_setting
from simulation.world import World

_WAVE = 120
_LONGEST_WAIT_MS = 20_000
# Per call; a slot that leaked would need more.
_MOST_ROUNDS = 100


@dataclass(frozen=True)
class Chance:
    """Something that befalls a campaign now and then.

    Attributes:
        share: in how many of all rounds, 0 to 1.
    """

    share: float
    step: Callable[[], Awaitable[None]]


class Campaign:
    """Drives a world with dice until enough calls were dialled."""

    def __init__(
        self, dice: random.Random, engine: AsyncEngine, faults: Faults, replicas: int
    ) -> None:
        self._dice = dice
        self._faults = faults
        self._together = engine.dialect.name == "postgresql"
        self._world = World(draw_setting(dice, replicas), lambda: Storage(engine))
        self._network = self._world.network
        self._network.on_left = self._give_life
        self._waves = 0
        self._next_look_ms = 0
        self._chances = (
            Chance(0.02, self._strike),
            Chance(0.004, self._kill),
            Chance(0.003, self._restart_gateway),
            Chance(0.001, self._restart_asterisk),
            Chance(0.02, self._ring_in),
            Chance(0.01, self._stop),
            Chance(0.01, self._list),
            Chance(0.004, self._unlist),
            Chance(0.01, self._lose_news),
            Chance(0.02, self._hear_again),
        )

    async def run(self, calls: int) -> Counter[str]:
        """Dial so many calls, then let everything end; give what was seen.

        Raises:
            BrokenPromise: something happened that must never happen.
        """
        world = self._world
        try:
            for _ in range(_MOST_ROUNDS * calls):
                if world.seen["calls dialled"] >= calls:
                    break
                await self._round()
            else:
                raise BrokenPromise("dialing came to a standstill")
            self._faults.disarm()
            await world.finish()
        finally:
            await world.close()
        return world.seen + Counter(
            {f"faults: {fault}": n for fault, n in self._faults.struck.items()}
        )

    async def _round(self) -> None:
        for chance in self._chances:
            if self._dice.random() < chance.share:
                await chance.step()
        if self._network.has_news and self._dice.random() < 0.7:
            await self._world.tell(self._any_replica(), brief=self._dice.random() < 0.7)
        if self._world.now_ms >= self._next_look_ms:
            await self._world.look(self._any_replica())
            self._next_look_ms = self._world.now_ms + self._dice.choice((3000, 9000, 60_000))
        outcome = await self._claim()
        if isinstance(outcome, NotNow):
            await self._wait_out(outcome)
        else:
            await self._world.pass_time(self._dice.choice((0, 0, 1, 40, 300, 1100)))

    async def _claim(self) -> NotNow | None:
        """Claim with one replica or with all at once; give why nothing can be dialled."""
        dice = self._dice
        if not self._together:
            stall_ms = dice.randrange(15_000) if dice.random() < 0.01 else 0
            outcome = await self._world.claim(self._any_replica(), draw_errand(dice), stall_ms)
            return outcome if isinstance(outcome, NotNow) else None
        errands = [draw_errand(dice) for _ in self._world.replicas]
        deaths = [dice.randrange(60) if dice.random() < 0.01 else None for _ in errands]
        outcomes = await self._world.claim_together(errands, deaths)
        refusals = [outcome for outcome in outcomes if isinstance(outcome, NotNow)]
        return refusals[0] if refusals and len(refusals) == len(outcomes) else None

    async def _wait_out(self, refusal: NotNow) -> None:
        """Wait as a dialer would: for a moment, an event, or somebody who resumes."""
        if refusal.why in {Refusal.PAUSED, Refusal.BREAKER, Refusal.PANEL}:
            await self._wait_for_resume()
            return
        if refusal.why is Refusal.NO_CONTACTS and self._dice.random() < 0.5:
            await self._bring_contacts()
            return
        limit_ms = self._world.now_ms + _LONGEST_WAIT_MS
        if refusal.why is Refusal.WINDOW or Limit.DAY in refusal.limits:
            limit_ms = refusal.until_ms or limit_ms
        until_ms = min(refusal.until_ms or limit_ms, limit_ms) + self._dice.choice((0, 0, 1, 20))
        full = bool(refusal.limits & {Limit.CONCURRENT, Limit.TOTAL})
        wakes = self._dice.random() < (0.9 if full else 0.1)  # when a call ends
        ended = len(self._world.judge.results)
        while self._world.now_ms < until_ms:
            if wakes and len(self._world.judge.results) > ended:
                await self._world.tell(self._any_replica(), brief=True)
                return
            next_ms = self._world.agenda.next_ms() or until_ms
            await self._world.pass_time(max(1, min(next_ms, until_ms) - self._world.now_ms))

    async def _wait_for_resume(self) -> None:
        await self._world.pass_time(self._dice.choice((200, 900, 1500, 20_000)))
        if self._dice.random() < 0.3:
            await self._world.grant(self._dice.choice((1, 3)))
        if self._dice.random() < 0.3:
            for kind in PauseKind:
                await self._world.resume(kind)

    async def _bring_contacts(self) -> None:
        self._waves += 1
        source = self._dice.choice((Source.FILE, Source.FILE, Source.PANEL, Source.STATIC))
        await self._world.add([self._contact(source, index) for index in range(_WAVE)])

    def _contact(self, source: Source, index: int) -> NewContact:
        """Make a contact; the same people come in wave after wave."""
        wave = f"wave{self._waves}"
        person = self._waves * 40 + self._dice.randrange(_WAVE)
        key = f"{source}:{wave}:{index}"
        number = _number(person)
        if source is not Source.PANEL:
            return NewContact(source, key, number, "simulated")
        lock_ms = self._dice.choice((60_000, LOCK_MS))
        return NewContact(
            source,
            key,
            number,
            "panel",
            panel_number_id=index + 1,
            panel_batch_id=wave,
            expires_at_ms=self._world.now_ms + lock_ms,
        )

    def _give_life(self, call_id: str) -> None:
        """Let a call be answered, perhaps, and end."""
        dice = self._dice
        ends_ms = dice.choice((0, 500, 4000, 15_000, 30_000, 30_000, 120_000))
        if dice.random() < 0.5:
            self._world.agenda.after(ends_ms // 2, lambda: self._answer(call_id))
        self._world.agenda.after(ends_ms, lambda: self._end(call_id))

    def _answer(self, call_id: str) -> None:
        if call_id in self._network.live:
            self._network.answer(call_id)

    def _end(self, call_id: str) -> None:
        if call_id in self._network.live:
            self._network.end(call_id, self._dice.choice(ENDS))

    def _any_replica(self) -> int:
        return self._dice.randrange(len(self._world.replicas))

    def _any_number(self) -> str:
        return _number(self._waves * 40 + self._dice.randrange(_WAVE))

    async def _strike(self) -> None:
        fault = self._dice.choice((Fault.DIES, Fault.DIES, *Fault))
        self._faults.arm(fault, self._dice.randrange(25))

    async def _kill(self) -> None:
        await self._world.kill(self._any_replica())

    async def _restart_gateway(self) -> None:
        adoption_ms = self._dice.choice((0, 1000, LONGEST_ADOPTION_MS))
        await self._world.restart_gateway(self._dice.choice((100, 3000, 20_000)), adoption_ms)
        if self._dice.random() < 0.5:  # a dialer that looks closely while calls are being found
            replica = self._any_replica()
            for _ in range(8):
                await self._world.pass_time(2000)
                await self._world.look(replica)
                await self._claim()

    async def _restart_asterisk(self) -> None:
        self._network.restart_asterisk()
        self._world.seen["Asterisk restarts"] += 1

    async def _ring_in(self) -> None:
        line = f"100{self._dice.randrange(2)}"
        call_id = self._network.ring_in(line, self._any_number())
        self._give_life(call_id)
        self._world.seen["inbound calls"] += 1

    async def _stop(self) -> None:
        await self._world.stop(self._dice.choice(list(PauseKind)))

    async def _list(self) -> None:
        await self._world.list_number(self._any_number())

    async def _unlist(self) -> None:
        await self._world.unlist_number(self._any_number())

    async def _lose_news(self) -> None:
        self._network.lose_news()

    async def _hear_again(self) -> None:
        await self._world.tell(self._any_replica(), again=self._dice.randrange(10))


def _number(person: int) -> str:
    return f"+98912{person % 10_000_000:07}"
