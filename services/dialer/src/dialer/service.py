"""The gRPC face of the dialer: checks requests, names errors, leaves the rest to others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc import aio

from dialer.attempt_log import AttemptRecord, PageStart, list_page
from dialer.do_not_call import add_numbers, entries, remove_numbers
from dialer.errors import InvalidNumber, StoreUnavailable, UnreadableFile
from dialer.importing import Importer
from dialer.moments import now_ms, timestamp_of
from dialer.numbers import NumberPlan
from dialer.pauses import Pause, PauseKind, hold, in_force, lift
from dialer.status import LineUse, StatusReader
from dialer.storage import Storage, lock_claims
from dialer.waking import Bells
from salehi.calls.v1.calls_pb2 import Result
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from servicekit.clock import Clock

SERVICE = "salehi.dialer.v1.DialerService"
_MAX_REASON = 500
_MAX_BY = 200
_MAX_NUMBERS = 10_000
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_TOKEN = re.compile(r"([0-9]{1,16}):([0-9a-f-]{36})", re.ASCII)

_KINDS = {
    dialer_pb2.PAUSE_KIND_UNSPECIFIED: PauseKind.MANUAL,
    dialer_pb2.PAUSE_KIND_MANUAL: PauseKind.MANUAL,
    dialer_pb2.PAUSE_KIND_BREAKER: PauseKind.BREAKER,
}
# The panel's own hold has no kind in the contract: it is lifted by the panel alone.
_SHOWN_KINDS = {
    PauseKind.MANUAL: dialer_pb2.PAUSE_KIND_MANUAL,
    PauseKind.BREAKER: dialer_pb2.PAUSE_KIND_BREAKER,
}

Context = aio.ServicerContext[object, object]


@dataclass(frozen=True)
class Parts:
    """What the service speaks for.

    Attributes:
        waiting_for: says why nothing is dialled though nothing is paused; empty when dialing.
    """

    storage: Storage
    status: StatusReader
    importer: Importer
    plan: NumberPlan
    waiting_for: Callable[[], str]
    bells: Bells
    clock: Clock


class DialerServicer(dialer_pb2_grpc.DialerServiceServicer):
    """Serves `salehi.dialer.v1.DialerService`."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._storage = parts.storage

    async def GetStatus(  # noqa: N802 - the contract's name
        self, _request: dialer_pb2.GetStatusRequest, context: Context
    ) -> dialer_pb2.GetStatusResponse:
        """Tell how the campaign stands."""
        async with _named_errors(context):
            status = await self._parts.status.read()
        held_by_us = any(pause.kind in _SHOWN_KINDS for pause in status.pauses)
        return dialer_pb2.GetStatusResponse(
            paused=bool(status.pauses),
            pauses=_shown(status.pauses),
            waiting_for="" if held_by_us else self._parts.waiting_for(),
            lines=[_line(use) for use in status.lines],
            contacts_waiting=status.contacts_waiting,
            attempts_open=status.attempts_open,
            attempts_done=status.attempts_done,
        )

    async def Pause(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.PauseRequest, context: Context
    ) -> dialer_pb2.PauseResponse:
        """Hold dialing back."""
        reason = request.reason.strip()[:_MAX_REASON]
        kind = _KINDS.get(request.kind)
        if not reason or kind is None:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "give a reason, and a kind that exists"
            )
        pause = Pause(kind, reason, request.by.strip()[:_MAX_BY], now_ms(self._parts.clock))
        async with _named_errors(context), self._storage.transaction() as connection:
            await lock_claims(connection)
            await hold(connection, pause)
        return dialer_pb2.PauseResponse()

    async def Resume(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.ResumeRequest, context: Context
    ) -> dialer_pb2.ResumeResponse:
        """Lift one kind of pause, or all that people and the breaker made."""
        kind = _KINDS.get(request.kind)
        if kind is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "give a kind that exists")
        unspecified = request.kind == dialer_pb2.PAUSE_KIND_UNSPECIFIED
        kinds = list(_SHOWN_KINDS) if unspecified else [kind]
        async with _named_errors(context), self._storage.transaction() as connection:
            await lift(connection, kinds)
            remaining = await in_force(connection)
        self._parts.bells.dial.ring()
        return dialer_pb2.ResumeResponse(remaining=_shown(remaining))

    async def ImportContacts(  # noqa: N802 - the contract's name
        self,
        request_iterator: AsyncIterator[dialer_pb2.ImportContactsRequest],
        context: Context,
    ) -> dialer_pb2.ImportContactsResponse:
        """Take contacts from a CSV file sent in chunks."""
        async with _named_errors(context):
            report = await self._parts.importer.take_stream(
                request.csv async for request in request_iterator
            )
        rejected = [
            dialer_pb2.RejectedRow(row=bad.row, reason=bad.reason) for bad in report.rejected
        ]
        return dialer_pb2.ImportContactsResponse(
            accepted=report.accepted, rejected=rejected, rejected_count=report.rejected_count
        )

    async def ListAttempts(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.ListAttemptsRequest, context: Context
    ) -> dialer_pb2.ListAttemptsResponse:
        """List attempts, newest first."""
        token = _TOKEN.fullmatch(request.page_token)
        if request.page_token and token is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the page token is none of ours")
        after = PageStart(int(token[1]), token[2]) if token else None
        size = min(request.page_size or _DEFAULT_PAGE, _LARGEST_PAGE)
        async with _named_errors(context), self._storage.transaction() as connection:
            page = await list_page(connection, size, after, open_only=request.open_only)
        last = page[-1] if len(page) == size else None
        return dialer_pb2.ListAttemptsResponse(
            attempts=[_attempt(record) for record in page],
            next_page_token=f"{last.claimed_at_ms}:{last.attempt_id}" if last else "",
        )

    async def AddDoNotCall(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.AddDoNotCallRequest, context: Context
    ) -> dialer_pb2.AddDoNotCallResponse:
        """Put numbers on the do-not-call list."""
        numbers = await self._numbers(request.numbers, context)
        reason = request.reason.strip()[:_MAX_REASON]
        async with _named_errors(context), self._storage.transaction() as connection:
            await lock_claims(connection)
            added = await add_numbers(connection, numbers, reason, now_ms(self._parts.clock))
        return dialer_pb2.AddDoNotCallResponse(added=added)

    async def RemoveDoNotCall(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.RemoveDoNotCallRequest, context: Context
    ) -> dialer_pb2.RemoveDoNotCallResponse:
        """Take numbers off the do-not-call list."""
        numbers = await self._numbers(request.numbers, context)
        async with _named_errors(context), self._storage.transaction() as connection:
            removed = await remove_numbers(connection, numbers)
        return dialer_pb2.RemoveDoNotCallResponse(removed=removed)

    async def ListDoNotCall(  # noqa: N802 - the contract's name
        self, _request: dialer_pb2.ListDoNotCallRequest, context: Context
    ) -> AsyncIterator[dialer_pb2.ListDoNotCallResponse]:
        """Stream the do-not-call list."""
        async with _named_errors(context):
            async for entry in entries(self._storage):
                yield dialer_pb2.ListDoNotCallResponse(
                    number=entry.number, reason=entry.reason, since=timestamp_of(entry.since_ms)
                )

    async def _numbers(self, texts: Sequence[str], context: Context) -> list[str]:
        """Read numbers; one that is none refuses them all."""
        if len(texts) > _MAX_NUMBERS:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "at most 10,000 numbers")
        numbers: dict[str, None] = {}
        for position, text in enumerate(texts, start=1):
            try:
                numbers[self._parts.plan.identify(text)] = None
            except InvalidNumber as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"number {position}: {error}")
        return list(numbers)


@asynccontextmanager
async def _named_errors(context: Context) -> AsyncIterator[None]:
    """Answer with the status the contract names."""
    try:
        yield
    except StoreUnavailable:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away")
    except UnreadableFile as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _shown(pauses: Sequence[Pause]) -> list[dialer_pb2.PauseReason]:
    return [
        dialer_pb2.PauseReason(
            kind=_SHOWN_KINDS[pause.kind],
            reason=pause.reason,
            by=pause.by,
            since=timestamp_of(pause.since_ms),
        )
        for pause in pauses
        if pause.kind in _SHOWN_KINDS
    ]


def _line(use: LineUse) -> dialer_pb2.LineStatus:
    limits = use.line.limits
    return dialer_pb2.LineStatus(
        line=use.line.number,
        active=use.active,
        max_concurrent=limits.max_concurrent,
        last_minute=use.last_minute,
        max_per_minute=limits.max_per_minute,
        today=use.today,
        max_per_day=limits.max_per_day,
    )


def _attempt(record: AttemptRecord) -> dialer_pb2.Attempt:
    return dialer_pb2.Attempt(
        attempt_id=record.attempt_id,
        line=record.line,
        contact=record.contact.message(),
        claimed_at=timestamp_of(record.claimed_at_ms),
        ended_at=None if record.ended_at_ms is None else timestamp_of(record.ended_at_ms),
        result=Result.ValueType(record.result),
        reason=record.reason,
    )
