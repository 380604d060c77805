"""CallService: the gateway's contract."""

from __future__ import annotations

import re
import uuid
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import grpc
import structlog
from grpc import aio

from ari_gateway.scenarios.registry import DEFAULT, SCENARIOS
from ari_gateway.sessions.admission import AtCapacity, NotReady
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.sessions.plan import CallPlan
from ari_gateway.wire import moment_of, person_of
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from servicekit.storage import StoreUnavailable
from servicekit.tracing import begin_trace, callers_traceparent

log = structlog.get_logger(__name__)

CALLS = "salehi.calls.v1.CallService"

# Letters that could add a second leg or an option ("&", "/", ",") are not among these.
_ENDPOINT = re.compile(r"PJSIP/[0-9]{2,30}(@[A-Za-z0-9_.\-]{1,64})?", re.ASCII)
_CALLER_ID = re.compile(r"[0-9]{3,15}|", re.ASCII)
_RING_S = range(1, 121)
_BOTH = calls_pb2.DIRECTION_UNSPECIFIED
_LONGEST_REASON = 200
_STORE_AWAY = "the session store is away"

PlaceContext: TypeAlias = aio.ServicerContext[
    calls_pb2.PlaceCallRequest, calls_pb2.PlaceCallResponse
]
HangUpContext: TypeAlias = aio.ServicerContext[calls_pb2.HangUpRequest, calls_pb2.HangUpResponse]
ListContext: TypeAlias = aio.ServicerContext[
    calls_pb2.ListCallsRequest, calls_pb2.ListCallsResponse
]
WatchContext: TypeAlias = aio.ServicerContext[
    calls_pb2.WatchCallsRequest, calls_pb2.WatchCallsResponse
]


class CallServicer(calls_pb2_grpc.CallServiceServicer):
    """Translates between the contract and the session manager."""

    def __init__(
        self, manager: SessionManager, ledger: Ledger, why_not_ready: Callable[[], str]
    ) -> None:
        """Serve; `why_not_ready` gives why an outbound call would be refused, or an empty text."""
        self._manager = manager
        self._ledger = ledger
        self._why_not_ready = why_not_ready

    async def PlaceCall(  # noqa: N802 - the contract's name
        self, request: calls_pb2.PlaceCallRequest, context: PlaceContext
    ) -> calls_pb2.PlaceCallResponse:
        """Put a call on record and dial."""
        problem = _problem(request)
        if problem:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, problem)
        try:
            placed = await self._manager.place(_plan(request))
        except NotReady as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except AtCapacity as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except StoreUnavailable:
            # Not on record, so not dialled.
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, _STORE_AWAY)
        return calls_pb2.PlaceCallResponse(call=placed.call, already_known=placed.already_known)

    async def HangUp(  # noqa: N802 - the contract's name
        self, request: calls_pb2.HangUpRequest, context: HangUpContext
    ) -> calls_pb2.HangUpResponse:
        """End a live call."""
        log.info(
            "a hang-up is asked for",
            attempt_id=request.attempt_id,
            reason_pii=request.reason[:_LONGEST_REASON],
            unless_answered=request.unless_answered,
        )
        if not self._manager.hang_up(
            request.attempt_id, "hung_up_by_request", unless_answered=request.unless_answered
        ):
            try:
                known = await self._manager.find(request.attempt_id)
            except StoreUnavailable:
                await context.abort(grpc.StatusCode.UNAVAILABLE, _STORE_AWAY)
            if known is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, "the attempt is not known here")
        return calls_pb2.HangUpResponse()

    async def ListCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.ListCallsRequest, context: ListContext
    ) -> calls_pb2.ListCallsResponse:
        """List live calls, and ended ones on request."""
        problem = _moment_problem(request, "ended_since")
        if problem:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, problem)
        wanted = set(request.attempt_ids)
        live = [
            call for call in self._manager.live_calls() if not wanted or call.attempt_id in wanted
        ]
        ended: list[calls_pb2.Call] = []
        if request.include_ended:
            since = moment_of(request.ended_since) if request.HasField("ended_since") else None
            try:
                remembered = await self._ledger.ended(list(wanted), since=since)
            except StoreUnavailable:
                await context.abort(grpc.StatusCode.UNAVAILABLE, _STORE_AWAY)
            alive = {call.attempt_id for call in live}
            ended = [call for call in remembered if call.attempt_id not in alive]
        reason = self._why_not_ready()
        answer = calls_pb2.ListCallsResponse(
            calls=[
                call for call in [*ended, *live] if request.direction in {_BOTH, call.direction}
            ],
            ready_to_dial=not reason,
            not_ready_reason=reason,
        )
        answer.now.GetCurrentTime()
        return answer

    async def WatchCalls(  # noqa: N802 - the contract's name
        self, request: calls_pb2.WatchCallsRequest, _context: WatchContext
    ) -> AsyncIterator[calls_pb2.WatchCallsResponse]:
        """Stream every change."""
        async for news in self._manager.feed.watch(request.epoch, request.after_sequence):
            yield news


def _problem(request: calls_pb2.PlaceCallRequest) -> str:
    """Name what is wrong with a request; empty when nothing is."""
    try:
        canonical = str(uuid.UUID(request.attempt_id)) == request.attempt_id
    except ValueError:
        canonical = False
    if not canonical:
        return "attempt_id must be a UUID in its canonical lower-case form"
    if not _ENDPOINT.fullmatch(request.endpoint):
        return "endpoint must be PJSIP/<digits>@<trunk>"
    if not _CALLER_ID.fullmatch(request.caller_id):
        return "caller_id must be 3 to 15 digits, or empty"
    if request.ring_timeout_s not in _RING_S:
        return "ring_timeout_s must be 1 to 120"
    if (request.scenario or DEFAULT) not in SCENARIOS:
        return f"scenario must be one of {', '.join(sorted(SCENARIOS))}"
    return _moment_problem(request, "originate_before")


def _moment_problem(
    request: calls_pb2.PlaceCallRequest | calls_pb2.ListCallsRequest, field: str
) -> str:
    try:
        moment_of(getattr(request, field))
    except ValueError:
        return f"{field} must be a moment of the years 1 to 9999"
    return ""


def _plan(request: calls_pb2.PlaceCallRequest) -> CallPlan:
    return CallPlan(
        attempt_id=request.attempt_id,
        channel_id=request.attempt_id,
        person=person_of(request.contact),
        line=request.line,
        endpoint=request.endpoint,
        caller_id=request.caller_id,
        ring_timeout_s=request.ring_timeout_s,
        scenario=request.scenario or DEFAULT,
        originate_before=(
            moment_of(request.originate_before) if request.HasField("originate_before") else None
        ),
        traceparent=callers_traceparent() or begin_trace("outbound call"),
    )
