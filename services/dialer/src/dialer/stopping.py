"""The emergency stop: a person's pause that also ends the calls under way.

It is kept as a manual pause whose reason begins with a fixed phrase, so that it holds for every
dialer on the database, and survives a restart between the pause and the last hang-up.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from dialer.errors import GatewayUnavailable
from dialer.gateway import Gateway
from dialer.pauses import Pause, PauseKind, in_force
from dialer.waking import Bell, Trouble
from salehi.calls.v1.calls_pb2 import Call, CallState, Direction
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

# Other dialers on the database may be told to stop.
_LOOK_S = 1.0
# Calls that were asked for just before the stop turn up within this.
_LATE_CALLS_S = 2.0
_QUICK_S = 0.25
_STEADY_S = 3.0
_AT_ONCE = 50
_LONGEST_SWEEP_S = 10.0
_MAX_REASON = 500
_UNANSWERED = frozenset({CallState.CALL_STATE_DIALING, CallState.CALL_STATE_RINGING})


class Extent(enum.StrEnum):
    """Which outbound calls a stop ends; the words begin its pause's reason."""

    UNANSWERED = "emergency stop"
    ALL = "emergency stop of all calls"


@dataclass(frozen=True)
class Ended:
    """What a look at the gateway came to.

    Attributes:
        calls: calls the gateway was asked to end.
        reached: False when it did not answer for all of them.
    """

    calls: int
    reached: bool


def stop_pause(extent: Extent, reason: str, by: str, at_ms: int) -> Pause:
    """Make the pause of an emergency stop."""
    return Pause(PauseKind.MANUAL, f"{extent}: {reason}"[:_MAX_REASON], by, at_ms)


def stop_in_force(pauses: Iterable[Pause]) -> Extent | None:
    """Say which calls are to be ended; None when there is no emergency stop among the pauses."""
    for pause in pauses:
        for extent in Extent:
            if pause.kind is PauseKind.MANUAL and pause.reason.startswith(f"{extent}: "):
                return extent
    return None


class Stopper:
    """Ends outbound calls as long as an emergency stop is in force.

    It looks often at first, for calls that were still on their way, then now and then; a gateway
    that does not answer is asked until it does.
    """

    def __init__(self, gateway: Gateway, storage: Storage, clock: Clock) -> None:
        self._gateway = gateway
        self._storage = storage
        self._clock = clock
        self._bell = Bell()
        self._quick_until_s: float | None = None
        self._unseen = Trouble("cannot see whether all is stopped", "the switch is seen again")
        self._trouble = Trouble("calls cannot be ended, trying on", "calls can be ended again")

    async def stop(self, extent: Extent) -> Ended:
        """End what a stop ends, now that its pause is stored; `run` goes on with it."""
        self._begin()
        self._bell.ring()
        return await self._sweep(extent)

    async def run(self) -> None:
        """Watch the switch until cancelled."""
        while True:
            wait_s = _LOOK_S
            try:
                async with self._storage.transaction() as connection:
                    extent = stop_in_force(await in_force(connection))
            except StoreUnavailable as error:
                self._unseen.on(error)
            else:
                self._unseen.over()
                wait_s = await self._obey(extent)
            await self._bell.wait(wait_s)

    async def _obey(self, extent: Extent | None) -> float:
        """End calls if there is a stop; give how long to wait, seconds."""
        if extent is None:
            self._quick_until_s = None
            return _LOOK_S
        if self._quick_until_s is None:
            self._begin()
        ended = await self._sweep(extent)
        if self._clock.monotonic_s() < (self._quick_until_s or 0.0):
            return _QUICK_S
        return _STEADY_S if ended.reached else _LOOK_S

    def _begin(self) -> None:
        self._quick_until_s = self._clock.monotonic_s() + _LATE_CALLS_S

    async def _sweep(self, extent: Extent) -> Ended:
        """Ask the gateway once to end what a stop ends."""
        try:
            async with asyncio.timeout(_LONGEST_SWEEP_S):
                listed = await self._gateway.list_calls()
                calls = [call for call in listed.calls if _is_meant(call, extent)]
                ended = await self._hang_up(calls, extent)
        except (GatewayUnavailable, TimeoutError) as error:
            self._trouble.on(error if str(error) else "it takes too long")
            return Ended(0, reached=False)
        if ended.reached:
            self._trouble.over()
        if ended.calls:
            log.warning("emergency stop: calls are ended", calls=ended.calls)
        return ended

    async def _hang_up(self, calls: Sequence[Call], extent: Extent) -> Ended:
        """Ask for the end of each call; one that cannot be ended keeps none of the others."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def end(call: Call) -> bool:
            async with places:
                try:
                    await self._gateway.hang_up(
                        call.attempt_id, extent, unless_answered=extent is Extent.UNANSWERED
                    )
                except GatewayUnavailable as error:
                    self._trouble.on(error)
                    return False
                return True

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(end(call)) for call in calls]
        asked = sum(task.result() for task in tasks)
        return Ended(asked, reached=asked == len(tasks))


def _is_meant(call: Call, extent: Extent) -> bool:
    if call.direction != Direction.DIRECTION_OUTBOUND:
        return False
    return extent is Extent.ALL or call.state in _UNANSWERED
