"""Asks the gateway for calls at a steady rate, as a dialer does."""

from __future__ import annotations

import asyncio
import uuid

import grpc
from grpc import aio

from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from servicekit.channel import Peer

_DEADLINE_S = 5.0
_AGAIN_S = 1.0
_LATER = (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.FAILED_PRECONDITION)


class Caller:
    """Places calls.

    Attributes:
        placed: attempts the gateway has put on record.
        held_back: how often it wanted none for the moment; such a call is asked for again.
        unanswered: how often it was too slow to answer; likewise, and it is the same attempt.
        changes: how many changes of calls it told.
    """

    def __init__(self, gateway: Peer) -> None:
        self._calls = calls_pb2_grpc.CallServiceStub(gateway.channel)
        self.placed: set[str] = set()
        self.held_back = 0
        self.unanswered = 0
        self.changes = 0

    async def ready(self) -> None:
        """Wait until the gateway would dial."""
        async with asyncio.timeout(60):
            while not await self._is_ready():
                await asyncio.sleep(0.2)

    async def _is_ready(self) -> bool:
        try:
            listed = await self._calls.ListCalls(calls_pb2.ListCallsRequest(), timeout=_DEADLINE_S)
        except aio.AioRpcError:
            return False
        return bool(listed.ready_to_dial)

    async def watch(self) -> None:
        """Follow every change, for ever."""
        async for _ in self._calls.WatchCalls(calls_pb2.WatchCallsRequest()):
            self.changes += 1

    async def place(self, calls: int, per_second: float) -> None:
        """Place so many calls, evenly."""
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for number in range(calls):
                await asyncio.sleep(began_s + number / per_second - loop.time())
                tasks.create_task(self._place_one(number))

    async def _place_one(self, number: int) -> None:
        digits = f"0912{number % 10_000_000:07d}"
        request = calls_pb2.PlaceCallRequest(
            attempt_id=str(uuid.uuid4()),
            endpoint=f"PJSIP/1001{digits}@trunk",
            caller_id="02191001001",
            line="02191001001",
            ring_timeout_s=30,
            contact=calls_pb2.Contact(
                source="static", number=f"+98{digits[1:]}", national_number=digits
            ),
        )
        while True:
            try:
                await self._calls.PlaceCall(request, timeout=_DEADLINE_S)
            except aio.AioRpcError as error:
                if error.code() in _LATER:
                    self.held_back += 1
                elif error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                    self.unanswered += 1
                else:
                    raise
                await asyncio.sleep(_AGAIN_S)
            else:
                self.placed.add(request.attempt_id)
                return
