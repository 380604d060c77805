"""A campaign in a bottle: replicas, a database, a network, and everything that can befall them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.attempts import Claim
from dialer.claim import NotNow
from dialer.contacts import NewContact, add_contacts
from dialer.do_not_call import add_numbers, remove_numbers
from dialer.errors import GatewayUnavailable
from dialer.locks import lock_claims
from dialer.moments import now_ms
from dialer.pauses import Pause, PauseKind, grant_trials, hold, lift
from servicekit.storage import Storage, StoreUnavailable
from simulation.agenda import Agenda
from simulation.calls import HUNG_UP, Errand
from simulation.database import ProcessDied
from simulation.judge import Judge
from simulation.network import Door, Network
from simulation.records import any_open, read_records
from simulation.replica import Replica
from simulation.settings import Setting
from support.timing import HandClock

Answer = TypeVar("Answer")
_LOOK_MS = 3000
# Longer than any request is under way.
_LAST_REQUESTS_MS = 6000
# Longer than a gateway is away, and the reconciler's grace.
_LONGEST_SETTLING_MS = 120_000


class World:
    """Does what it is told to, step by step; the first broken promise is an error.

    Attributes:
        seen: how often what happened.
    """

    def __init__(self, setting: Setting, open_storage: Callable[[], Storage]) -> None:
        self._setting = setting
        self._open_storage = open_storage
        self.clock = HandClock(setting.starts)
        self.agenda = Agenda(self.clock)
        self.judge = Judge(setting.rules, setting.policy, self.clock)
        self.network = Network(self.agenda, self.judge, self.clock)
        self.seen: Counter[str] = self.judge.seen
        self.replicas = [self._start() for _ in range(setting.replicas)]
        self._errors: list[BaseException] = []

    @property
    def now_ms(self) -> int:
        """The present."""
        return now_ms(self.clock)

    async def add(self, new: Sequence[NewContact]) -> None:
        """Bring contacts."""
        for contact in new:
            if contact.expires_at_ms is not None:
                self.judge.expires(
                    contact.panel_batch_id, contact.panel_number_id, contact.expires_at_ms
                )
        await self._commit(lambda connection: add_contacts(connection, new, self.now_ms))

    async def claim(self, replica: int, errand: Errand, stall_ms: int = 0) -> Claim | NotNow | None:
        """Let a replica claim, and ask for the call after a stall; None when the claim failed."""
        dialer = self.replicas[replica]
        try:
            outcome = await self._as(dialer, dialer.claimer.claim())
        except StoreUnavailable:
            outcome = None
        self._take(dialer, outcome, errand, stall_ms)
        await self.settle()
        return outcome

    async def claim_together(
        self, errands: Sequence[Errand], deaths: Sequence[int | None]
    ) -> list[Claim | NotNow]:
        """Let all replicas claim at once; some die after so many turns of the event loop."""
        dialers = list(self.replicas)
        tasks = [asyncio.create_task(dialer.claimer.claim()) for dialer in dialers]
        for dialer, task, turns in zip(dialers, tasks, deaths, strict=True):
            if turns is not None:
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                dialer.is_alive = False
        outcomes: list[Claim | NotNow] = []
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for dialer, result, errand in zip(dialers, results, errands, strict=True):
            if isinstance(result, Claim | NotNow):
                self._take(dialer, result, errand, 0)
                outcomes.append(result)
            elif not isinstance(result, asyncio.CancelledError | StoreUnavailable):
                raise result
        await self.settle()
        return outcomes

    async def pass_time(self, duration_ms: int) -> None:
        """Let time pass, and happen what was due."""
        window = self._setting.rules.window
        before = window.local_date(self.clock.now())
        await self.agenda.pass_time(self.now_ms + duration_ms, self.settle)
        self.seen["day rollovers"] += before != window.local_date(self.clock.now())

    async def tell(self, replica: int, *, again: int = 0, brief: bool = False) -> None:
        """Let a replica hear the news that nobody has heard, and some of the old ones again."""
        dialer = self.replicas[replica]
        news = self.network.take_news(again, brief=brief)
        while news and dialer.is_alive:
            try:
                await self._as(dialer, dialer.hear(news[0]))
            except StoreUnavailable:
                break
            if dialer.is_alive:
                self.judge.told(news.pop(0))
        self.network.give_back(news)
        await self.settle()

    async def look(self, replica: int) -> None:
        """Let a replica compare its attempts with the gateway's calls."""
        dialer = self.replicas[replica]
        try:
            await self._as(dialer, dialer.reconciler.look())
        except (GatewayUnavailable, StoreUnavailable):
            self.seen["comparisons that failed"] += 1
        else:
            if dialer.is_alive and self.network.is_settled:
                self.judge.compared()
        await self.settle()

    async def restart_gateway(self, down_ms: int, adoption_ms: int) -> None:
        """Kill the gateway, unless it is just coming back.

        Dialers look every few seconds, so each has seen it whole since it last came back.
        """
        if self.network.is_settled:
            for replica in range(len(self.replicas)):
                await self.look(replica)
            self.network.restart_gateway(down_ms, adoption_ms)
            self.seen["gateway restarts"] += 1

    async def kill(self, replica: int) -> None:
        """Let a replica die, whatever it is doing, and another take its place."""
        self.replicas[replica].is_alive = False
        await self.settle()

    async def stop(self, kind: PauseKind) -> None:
        """Hold dialing back."""
        pause = Pause(kind, "simulated", "nobody", self.now_ms)

        async def change(connection: AsyncConnection) -> None:
            await lock_claims(connection)
            await hold(connection, pause)

        if await self._commit(change):
            self.judge.held(kind)
            self.seen[f"stops: {kind}"] += 1

    async def resume(self, kind: PauseKind) -> None:
        """Lift one kind of pause."""
        self.judge.lifted(kind)
        await self._commit(lambda connection: lift(connection, [kind]))

    async def grant(self, trials: int) -> None:
        """Let so many calls be dialled though the breaker is open."""
        self.judge.granted(trials)
        await self._commit(lambda connection: grant_trials(connection, PauseKind.BREAKER, trials))

    async def list_number(self, number: str) -> None:
        """Put a number on the do-not-call list."""

        async def change(connection: AsyncConnection) -> None:
            await lock_claims(connection)
            await add_numbers(connection, [number], "simulated", self.now_ms)

        if await self._commit(change):
            self.judge.listed(number)
            self.seen["do-not-call entries"] += 1

    async def unlist_number(self, number: str) -> None:
        """Take a number off the do-not-call list."""
        self.judge.unlisted(number)
        await self._commit(lambda connection: remove_numbers(connection, [number]))

    async def settle(self) -> None:
        """Wait until every request has got as far as it can without time passing.

        Replicas that died meanwhile are replaced.
        """
        while True:
            for place, dialer in enumerate(self.replicas):
                if not dialer.is_alive:
                    await dialer.die()
                    self.replicas[place] = self._start()
                    self.seen["replicas killed"] += 1
            if self._errors:
                raise self._errors[0]
            under_way = sum(len(dialer.requests) for dialer in self.replicas)
            if under_way <= self.network.requests_waiting:
                return
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """End every call, let the dialers find out, and check what they have on record."""
        await self.pass_time(_LAST_REQUESTS_MS)
        for call_id in list(self.network.live):
            self.network.end(call_id, HUNG_UP)
        for _ in range(_LONGEST_SETTLING_MS // _LOOK_MS):
            await self.tell(0)
            await self.look(0)
            if not await self._any_open():
                break
            await self.pass_time(_LOOK_MS)
        await self._check_records()

    async def close(self) -> None:
        """Let go of what is under way."""
        for dialer in self.replicas:
            await dialer.die()

    def _start(self) -> Replica:
        setting = self._setting
        return Replica(
            self._open_storage(), Door(self.network), setting.rules, setting.policy, self.clock
        )

    async def _as(self, dialer: Replica, work: Awaitable[Answer]) -> Answer | None:
        """Do something as a replica, which may die of it."""
        try:
            return await work
        except ProcessDied:
            dialer.is_alive = False
            return None

    async def _commit(self, change: Callable[[AsyncConnection], Awaitable[object]]) -> bool:
        """Change something in the database; whether that was acknowledged."""
        dialer = self.replicas[0]

        async def work() -> None:
            async with dialer.storage.transaction() as connection:
                await change(connection)

        try:
            await self._as(dialer, work())
        except StoreUnavailable:
            return False
        acknowledged = dialer.is_alive
        await self.settle()
        return acknowledged

    def _take(
        self, dialer: Replica, outcome: Claim | NotNow | None, errand: Errand, stall_ms: int
    ) -> None:
        """Follow up a claim."""
        if isinstance(outcome, NotNow):
            for limit in outcome.limits or [outcome.why]:
                self.seen[f"not now: {limit}"] += 1
        if not isinstance(outcome, Claim) or not dialer.is_alive:
            return
        self.judge.claimed(outcome)
        self.seen["claims"] += 1
        self.seen[f"requests: {errand.fate}"] += 1
        self.network.expect(outcome.attempt_id, errand)
        if stall_ms:
            self.agenda.after(stall_ms, lambda: self._ask(dialer, outcome))
        else:
            self._ask(dialer, outcome)

    def _ask(self, dialer: Replica, claim: Claim) -> None:
        """Let a replica ask for a call it claimed, if it still lives."""
        if not dialer.is_alive:
            return
        request = asyncio.create_task(self._as(dialer, dialer.place(claim)))
        dialer.requests.add(request)
        request.add_done_callback(lambda done: self._finished(dialer, done))

    def _finished(self, dialer: Replica, request: asyncio.Task[None]) -> None:
        dialer.requests.discard(request)
        if not request.cancelled() and (error := request.exception()) is not None:
            self._errors.append(error)

    async def _any_open(self) -> bool:
        async with self.replicas[0].storage.transaction() as connection:
            return await any_open(connection)

    async def _check_records(self) -> None:
        """Compare the database with what reached the trunk, and what was reported."""
        async with self.replicas[0].storage.transaction() as connection:
            self.judge.check_end(await read_records(connection))
