"""The gRPC face of the reporter: checks requests, names errors, leaves the rest to the ledger."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from reporter.errors import BadPageToken, StoreUnavailable
from reporter.export import csv_header, csv_rows, json_lines
from reporter.ledger import KeptResult, Ledger, Recorded
from reporter.metrics import RESULTS, STORE_ERRORS, TECHNICAL_FAILURES
from reporter.outbox import Outbox
from reporter.tables import DeliveryStatus
from reporter.words import RESULT_WORDS, in_words
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc

log = structlog.get_logger(__name__)

SERVICE = "salehi.reporter.v1.ReporterService"
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
# It travels as an HTTP header and is Asterisk's channel id: plain characters, 149 at most.
_ATTEMPT_ID = re.compile(r"[A-Za-z0-9._:-]{1,149}")
_DELIVERY_STATES = {
    None: reporter_pb2.DELIVERY_STATE_UNSPECIFIED,
    DeliveryStatus.PENDING: reporter_pb2.DELIVERY_STATE_PENDING,
    DeliveryStatus.DELIVERED: reporter_pb2.DELIVERY_STATE_DELIVERED,
    DeliveryStatus.DEAD: reporter_pb2.DELIVERY_STATE_DEAD,
}

Context = aio.ServicerContext[object, object]


class ReporterServicer(reporter_pb2_grpc.ReporterServiceServicer):
    """Serves `salehi.reporter.v1.ReporterService`.

    `on_recorded` is called after each result that was not on record before.
    """

    def __init__(
        self, ledger: Ledger, outbox: Outbox, on_recorded: Callable[[Recorded], None]
    ) -> None:
        self._ledger = ledger
        self._outbox = outbox
        self._on_recorded = on_recorded

    async def ReportResult(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ReportResultRequest, context: Context
    ) -> reporter_pb2.ReportResultResponse:
        """Take the result of one attempt."""
        problem = _problem_of(request)
        if problem:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, problem)
        async with _store_errors(context):
            recorded = await self._ledger.record(request)
        _note(request, recorded)
        self._on_recorded(recorded)
        return reporter_pb2.ReportResultResponse(already_known=recorded.already_known)

    async def ListResults(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ListResultsRequest, context: Context
    ) -> reporter_pb2.ListResultsResponse:
        """List results, newest first."""
        size = await _page_size(request.page_size, context)
        async with _store_errors(context):
            kept, next_token = await self._ledger.page(
                size=size, token=request.page_token, attempt_id=request.attempt_id
            )
        records = [_record(result) for result in kept]
        return reporter_pb2.ListResultsResponse(results=records, next_page_token=next_token)

    async def ExportResults(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ExportResultsRequest, context: Context
    ) -> AsyncIterator[reporter_pb2.ExportResultsResponse]:
        """Stream all results as one file."""
        as_json = request.format == reporter_pb2.EXPORT_FORMAT_JSON
        if not as_json:
            yield reporter_pb2.ExportResultsResponse(chunk=csv_header())
        render = json_lines if as_json else csv_rows
        async with _store_errors(context):
            async for page in self._ledger.stream():
                yield reporter_pb2.ExportResultsResponse(chunk=render(page))

    async def ListDeadLetters(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ListDeadLettersRequest, context: Context
    ) -> reporter_pb2.ListDeadLettersResponse:
        """List deliveries that were given up."""
        size = await _page_size(request.page_size, context)
        async with _store_errors(context):
            dead = await self._outbox.dead_letters(size)
        return reporter_pb2.ListDeadLettersResponse(
            dead_letters=[
                reporter_pb2.DeadLetter(
                    attempt_id=letter.attempt_id,
                    reason=letter.reason,
                    since=_timestamp(letter.since),
                    tries=letter.tries,
                )
                for letter in dead
            ]
        )

    async def RetryDeadLetters(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.RetryDeadLettersRequest, context: Context
    ) -> reporter_pb2.RetryDeadLettersResponse:
        """Put given-up deliveries back into the queue."""
        async with _store_errors(context):
            retried = await self._outbox.retry_dead(list(request.attempt_ids))
        self._on_recorded(Recorded(to_deliver=retried > 0))
        return reporter_pb2.RetryDeadLettersResponse(retried=retried)


@asynccontextmanager
async def _store_errors(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except StoreUnavailable:
        STORE_ERRORS.inc()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away: try again")
    except BadPageToken:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "page_token is none of ours")


def _problem_of(request: reporter_pb2.ReportResultRequest) -> str:
    if not _ATTEMPT_ID.fullmatch(request.attempt_id):
        return "attempt_id is missing or malformed: a UUID is wanted"
    if request.outcome.result not in RESULT_WORDS:
        return "outcome.result is missing or unknown"
    return ""


async def _page_size(asked: int, context: Context) -> int:
    if asked > _LARGEST_PAGE:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"page_size is above {_LARGEST_PAGE}")
    return asked or _DEFAULT_PAGE


def _note(request: reporter_pb2.ReportResultRequest, recorded: Recorded) -> None:
    result = in_words(request.outcome)
    if recorded.replaced:
        log.info("result replaced, an operator answered", attempt_id=request.attempt_id)
        return
    if recorded.already_known:
        log.debug("result was known", attempt_id=request.attempt_id)
        return
    RESULTS.labels(RESULT_WORDS[request.outcome.result]).inc()
    if request.outcome.technical:
        TECHNICAL_FAILURES.inc()
    log.info("result", attempt_id=request.attempt_id, result=result)
    if recorded.opened:
        log.error("the failure breaker opens, dialing will be paused", reason=result)


def _record(kept: KeptResult) -> reporter_pb2.ResultRecord:
    return reporter_pb2.ResultRecord(
        report=kept.report, result=kept.result, delivery=_DELIVERY_STATES[kept.delivery]
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
