"""The gRPC face of the dialer: checks requests, names errors, leaves the rest to others."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc
from grpc import aio

from dialer.attempt_log import PageStart, list_page
from dialer.do_not_call import add_numbers, entries, remove_numbers
from dialer.do_not_call_import import ListChunk, ListImporter
from dialer.erasing import CallUnderWay, Eraser
from dialer.errors import InvalidNumber, UnreadableFile
from dialer.forms import attempt_of, pauses_of, rejected_of, status_of
from dialer.importing import Importer
from dialer.locks import lock_claims
from dialer.moments import now_ms, timestamp_of
from dialer.numbers import NumberPlan
from dialer.pauses import Pause, PauseKind, grant_trials, hold, in_force, lift
from dialer.status import StatusReader
from dialer.stopping import Extent, Stopper, stop_in_force, stop_pause
from dialer.waking import Bells
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from servicekit.clock import Clock
from servicekit.storage import Storage, StoreUnavailable

SERVICE = "salehi.dialer.v1.DialerService"
_MAX_REASON = 500
_MAX_BY = 200
_MAX_NUMBERS = 10_000
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
_MOST_TRIALS = 1000
_NO_PLAIN_PAUSE = "a reason that begins so is an emergency stop's: ask for one or reword it"
_NO_SUCH_KIND = "give a kind that people can set and lift: MANUAL or BREAKER"
_TOKEN = re.compile(r"([0-9]{1,16}):([0-9a-f-]{36})", re.ASCII)

# The panel's hold is not among them: the panel alone makes and lifts it.
_KINDS = {
    dialer_pb2.PAUSE_KIND_MANUAL: PauseKind.MANUAL,
    dialer_pb2.PAUSE_KIND_BREAKER: PauseKind.BREAKER,
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
    list_importer: ListImporter
    eraser: Eraser
    stopper: Stopper
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
        return status_of(status, self._parts.waiting_for())

    async def Pause(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.PauseRequest, context: Context
    ) -> dialer_pb2.PauseResponse:
        """Hold dialing back."""
        kind = _KINDS.get(request.kind or dialer_pb2.PAUSE_KIND_MANUAL)
        if kind is None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_SUCH_KIND)
        reason, by = await _why(request, context)
        pause = Pause(kind, reason, by, now_ms(self._parts.clock))
        if stop_in_force([pause]) is not None:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_PLAIN_PAUSE)
        await _hold(self._storage, pause, context)
        return dialer_pb2.PauseResponse()

    async def Resume(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.ResumeRequest, context: Context
    ) -> dialer_pb2.ResumeResponse:
        """Lift one kind of pause, or all that people and the breaker made; or allow trial calls."""
        unspecified = request.kind == dialer_pb2.PAUSE_KIND_UNSPECIFIED
        if not unspecified and request.kind not in _KINDS:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, _NO_SUCH_KIND)
        trials = min(request.trial_calls, _MOST_TRIALS)
        if trials and request.kind != dialer_pb2.PAUSE_KIND_BREAKER:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "trial calls are for the breaker's pause alone"
            )
        kinds = list(_KINDS.values()) if unspecified else [_KINDS[request.kind]]
        async with _named_errors(context), self._storage.transaction() as connection:
            if trials:
                await grant_trials(connection, PauseKind.BREAKER, trials)
            else:
                await lift(connection, kinds)
            remaining = await in_force(connection)
        self._parts.bells.dial.ring()
        return dialer_pb2.ResumeResponse(remaining=pauses_of(remaining))

    async def EmergencyStop(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.EmergencyStopRequest, context: Context
    ) -> dialer_pb2.EmergencyStopResponse:
        """Hold dialing back, and end the calls under way."""
        reason, by = await _why(request, context)
        extent = Extent.ALL if request.end_answered else Extent.UNANSWERED
        pause = stop_pause(extent, reason, by, now_ms(self._parts.clock))
        await _hold(self._storage, pause, context)
        ended = await self._parts.stopper.stop(extent)
        return dialer_pb2.EmergencyStopResponse(
            calls_ended=ended.calls, gateway_reached=ended.reached
        )

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
        return dialer_pb2.ImportContactsResponse(
            accepted=report.accepted,
            rejected=rejected_of(report.rejected),
            rejected_count=report.rejected_count,
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
            attempts=[attempt_of(record) for record in page],
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

    async def ImportDoNotCall(  # noqa: N802 - the contract's name
        self,
        request_iterator: AsyncIterator[dialer_pb2.ImportDoNotCallRequest],
        context: Context,
    ) -> dialer_pb2.ImportDoNotCallResponse:
        """Put the numbers of a CSV file sent in chunks on the do-not-call list."""
        async with _named_errors(context):
            report = await self._parts.list_importer.take_stream(
                ListChunk(request.csv, request.reason) async for request in request_iterator
            )
        return dialer_pb2.ImportDoNotCallResponse(
            added=report.added,
            known=report.known,
            rejected=rejected_of(report.rejected),
            rejected_count=report.rejected_count,
        )

    async def ErasePerson(  # noqa: N802 - the contract's name
        self, request: dialer_pb2.ErasePersonRequest, context: Context
    ) -> dialer_pb2.ErasePersonResponse:
        """Erase what is kept about one person."""
        [number] = await self._numbers([request.number], context)
        async with _named_errors(context):
            erased = await self._parts.eraser.erase(
                number, forget_do_not_call=request.forget_do_not_call
            )
        return dialer_pb2.ErasePersonResponse(
            contacts=erased.contacts,
            attempts=erased.attempts,
            on_do_not_call=erased.on_do_not_call,
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


async def _hold(storage: Storage, pause: Pause, context: Context) -> None:
    """Store a pause, so that no claim is made after it."""
    async with _named_errors(context), storage.transaction() as connection:
        await lock_claims(connection)
        is_plain = pause.kind is PauseKind.MANUAL and stop_in_force([pause]) is None
        # A plain pause adds nothing to an emergency stop, and must not end it.
        if not (is_plain and stop_in_force(await in_force(connection))):
            await hold(connection, pause)


async def _why(
    request: dialer_pb2.PauseRequest | dialer_pb2.EmergencyStopRequest, context: Context
) -> tuple[str, str]:
    """Read for what reason and by whom something is asked."""
    reason = request.reason.strip()[:_MAX_REASON]
    if not reason:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "give a reason")
    return reason, request.by.strip()[:_MAX_BY]


@asynccontextmanager
async def _named_errors(context: Context) -> AsyncIterator[None]:
    """Answer with the status the contract names."""
    try:
        yield
    except StoreUnavailable:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away")
    except UnreadableFile as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except CallUnderWay:
        await context.abort(
            grpc.StatusCode.FAILED_PRECONDITION,
            "a call to this person is under way: repeat when it has ended",
        )
