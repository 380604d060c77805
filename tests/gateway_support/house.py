"""A session manager with a fake world around it, ready to take calls."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.backpressure import Backpressure
from ari_gateway.sessions.admission import Admission, Room
from ari_gateway.sessions.call import Filler, Tools
from ari_gateway.sessions.disposition import DispositionTable
from ari_gateway.sessions.handover import OperatorDesk
from ari_gateway.sessions.ledger import AlreadyOnRecord, Entry, Ledger
from ari_gateway.sessions.listening import Listening
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.sessions.outcome import Intent
from ari_gateway.sessions.plan import CallPlan, Person
from ari_gateway.sessions.rota import Rota, Seat
from ari_gateway.sessions.talk import Patience
from ari_gateway.understanding import NotUnderstood, Understood
from gateway_support.asterisk import Asterisk, FarEnd, nobody
from salehi.calls.v1 import calls_pb2
from support.timing import HandClock

CUSTOMER = "PJSIP/100109120000101@trunk"
OPERATOR = "PJSIP/200@operators"
ONE = (Seat("200"),)
_ADDRESS = AriAddress("http://asterisk/ari", "salehi", "secret", "salehi")


class Ears:
    """Understands what the test says it heard, one reply after the other."""

    def __init__(self, *replies: Intent | NotUnderstood | Understood) -> None:
        self.replies = list(replies)
        self.takes_s = 0.3
        self.asked = 0

    async def of(
        self, _audio: bytes, _attempt_id: str, _ended_s: float | None = None
    ) -> Understood:
        """Give the next reply."""
        self.asked += 1
        await asyncio.sleep(self.takes_s)
        reply = self.replies.pop(0)
        if isinstance(reply, NotUnderstood):
            raise reply
        return reply if isinstance(reply, Understood) else Understood("words", reply)


@dataclass
class MemoryLedger:
    """The ledger's promises, kept in memory.

    Attributes:
        takes_s: how long it takes to look something up or to put it on record.
    """

    calls: dict[str, calls_pb2.Call] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)
    takes_s: float = 0.0

    async def begin(self, entry: Entry) -> None:
        """Put a call on record."""
        await asyncio.sleep(self.takes_s)
        if entry.call.attempt_id in self.calls:
            raise AlreadyOnRecord(entry.call.attempt_id)
        self._set(entry)

    async def keep(self, entries: Sequence[Entry]) -> None:
        """Keep how live calls stand."""
        for entry in entries:
            if entry.call.attempt_id in self.entries:
                self._set(entry)

    def _set(self, entry: Entry) -> None:
        self.calls[entry.call.attempt_id] = entry.call
        self.entries[entry.call.attempt_id] = entry

    async def unfinished(self) -> list[Entry]:
        """Give what has not ended."""
        return list(self.entries.values())

    async def end(self, call: calls_pb2.Call) -> None:
        """Keep how a call ended."""
        await asyncio.sleep(self.takes_s)
        self.entries.pop(call.attempt_id, None)
        self.calls[call.attempt_id] = call

    async def find(self, attempt_ids: list[str]) -> list[calls_pb2.Call]:
        """Give what is on record."""
        found = [self.calls[name] for name in attempt_ids if name in self.calls]
        await asyncio.sleep(self.takes_s)
        return found

    async def unreported(self) -> list[calls_pb2.Call]:
        """Give every ended call whose result is not acknowledged."""
        return [
            call
            for call in self.calls.values()
            if call.state == calls_pb2.CALL_STATE_ENDED and call.attempt_id not in self.acknowledged
        ]

    async def reported(self, attempt_ids: Sequence[str]) -> None:
        """Note that the reporter has these results."""
        self.acknowledged.update(attempt_ids)


@dataclass
class House:
    """Everything a test touches."""

    asterisk: Asterisk
    ears: Ears
    manager: SessionManager
    ledger: Any
    pressure: Backpressure
    clock: HandClock
    rota: Rota
    not_ready: str = ""
    running: asyncio.Task[None] | None = None

    async def dies(self) -> None:
        """Kill this gateway: its link drops, and it does nothing more."""
        self.asterisk.tell = nobody
        await asyncio.sleep(0.1)  # what it had to write is written
        self.manager.abandon_all()
        assert self.running is not None
        self.running.cancel()
        await asyncio.wait({self.running})

    def rest(self) -> AriRest:
        """Make another client of this house's Asterisk."""
        return AriRest(_ADDRESS, http=self.asterisk)

    async def placed(
        self, attempt_id: str | None = None, *, originate_before: datetime | None = None
    ) -> str:
        """Place a call to the customer; give its attempt."""
        plan = plan_of(attempt_id or str(uuid.uuid4()), originate_before=originate_before)
        await self.manager.place(plan)
        return plan.attempt_id

    async def call(
        self, attempt_id: str | None = None, *, originate_before: datetime | None = None
    ) -> calls_pb2.Call:
        """Place a call to the customer and wait until it is over; give its record."""
        return await self.ended(await self.placed(attempt_id, originate_before=originate_before))

    async def ended(self, attempt_id: str) -> calls_pb2.Call:
        """Wait until a call is over; give its record."""
        async with asyncio.timeout(3600):
            while (
                attempt_id not in self.ledger.calls
                or self.ledger.calls[attempt_id].state != calls_pb2.CALL_STATE_ENDED
            ):
                await asyncio.sleep(0.05)
        call: calls_pb2.Call = self.ledger.calls[attempt_id]
        return call

    async def ended_in_ledger(self, attempt_id: str) -> None:
        """Wait until a real ledger has a call's end."""
        async with asyncio.timeout(10):
            while not any(
                call.state == calls_pb2.CALL_STATE_ENDED
                for call in await self.ledger.find([attempt_id])
            ):
                await asyncio.sleep(0.02)


def told(call: calls_pb2.Call) -> str:
    """Name a call's outcome as people do."""
    name = calls_pb2.Result.Name(call.outcome.result).removeprefix("RESULT_").lower()
    return f"{name}:{call.outcome.reason}" if call.outcome.reason else name


def plan_of(attempt_id: str, *, originate_before: datetime | None = None) -> CallPlan:
    """Plan a call to the customer."""
    return CallPlan(
        attempt_id=attempt_id,
        channel_id=attempt_id,
        person=Person("static", "+989120000101", national_number="09120000101"),
        line="02191001001",
        endpoint=CUSTOMER,
        originate_before=originate_before,
    )


@asynccontextmanager
async def house(
    customer: FarEnd,
    *replies: Intent | NotUnderstood | Understood,
    operator: FarEnd | None = None,
    operators: dict[str, FarEnd] | None = None,
    seats: tuple[Seat, ...] = ONE,
    asterisk: Asterisk | None = None,
    barge_in_window_s: float = 0.0,
    filler: Filler | None = None,
    max_live_calls: int = 10,
    inbound_reserve: int = 0,
    ledger: Ledger | MemoryLedger | None = None,
    dispositions: DispositionTable | None = None,
) -> AsyncIterator[House]:
    """Open a house in which one customer and one operator, or `operators`, can be called.

    With `asterisk` it is the house of a gateway that comes to an Asterisk in use.
    """
    asterisk = asterisk or Asterisk({CUSTOMER: customer})
    reachable = operators or {"200": operator or FarEnd(leaves_s=5)}
    for extension, far_end in reachable.items():
        asterisk.far_ends[operator_endpoint(extension)] = far_end
    rota = Rota(seats)
    ears, clock = Ears(*replies), HandClock()
    record, pressure = ledger or MemoryLedger(), Backpressure(clock=clock)
    stop = asyncio.Event()
    async with AriRest(_ADDRESS, http=asterisk) as ari:
        manager = SessionManager(
            tools=replace(
                _tools(ari, ears, dispositions or DispositionTable(), clock, rota),
                listening=Listening(4.0, 10, Patience(700, 700), 256, barge_in_window_s),
                filler=filler,
            ),
            ledger=record,  # type: ignore[arg-type]
            admission=Admission(
                Room(max_live_calls, inbound_reserve),
                why_not_ready=lambda: built.not_ready,
                pressure=pressure,
            ),
            ended=lambda _: None,
        )
        asterisk.tell = manager.handle
        built = House(asterisk, ears, manager, record, pressure, clock, rota)
        running = built.running = asyncio.create_task(manager.run(stop))
        await asyncio.sleep(0)
        try:
            yield built
        finally:
            stop.set()
            manager.hang_up_all("the test is over")
            await asyncio.wait({running})
            if not running.cancelled():
                running.result()


def operator_endpoint(extension: str) -> str:
    """Name what is dialled for an operator."""
    return f"PJSIP/{extension}@operators"


def _tools(
    ari: AriRest, ears: Ears, dispositions: DispositionTable, clock: HandClock, rota: Rota
) -> Tools:
    return Tools(
        ari=ari,
        understanding=ears,  # type: ignore[arg-type]
        listening=Listening(4.0, 10, Patience(700, 700), 256),
        desk=OperatorDesk(rota, "operators", "02191000000", 20),
        sounds="sound:custom/en",
        dispositions=dispositions,
        clock=clock,
    )
