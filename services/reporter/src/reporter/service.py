"""The gRPC face of the reporter: checks requests, names errors, leaves the rest to the ledger."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import grpc
import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from reporter.archive import Archive, KeptResult
from reporter.callbacks import Callbacks
from reporter.dead_letters import DeadLetters
from reporter.erasing import Eraser
from reporter.errors import BadFilter, BadNumber, BadPageToken
from reporter.export import csv_header, csv_rows, json_lines
from reporter.filters import DELIVERY_STATES, conditions
from reporter.ledger import Recorded
from reporter.metrics import RESULTS, STORE_ERRORS, TECHNICAL_FAILURES
from reporter.numbers import NumberForms
from reporter.words import RESULT_WORDS, in_words
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

SERVICE = "salehi.reporter.v1.ReporterService"
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 1000
# It travels as an HTTP header and is Asterisk's channel id: plain characters, 149 at most.
_ATTEMPT_ID = re.compile(r"[A-Za-z0-9._:-]{1,149}")
Context = aio.ServicerContext[object, object]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept, seen from outside.

    Attributes:
        archive: the results.
        dead_letters: deliveries that were given up.
        callbacks: people who wait for a call.
        eraser: forgets people.
        forms: how numbers are recognised.
    """

    archive: Archive
    dead_letters: DeadLetters
    callbacks: Callbacks
    eraser: Eraser
    forms: NumberForms


class ReporterServicer(reporter_pb2_grpc.ReporterServiceServicer):
    """Serves `salehi.reporter.v1.ReporterService`.

    `record` stores one result; `on_recorded` is called after each, and after what leaves more to
    deliver.
    """

    def __init__(
        self,
        record: Callable[[reporter_pb2.ReportResultRequest], Awaitable[Recorded]],
        kept: Kept,
        on_recorded: Callable[[Recorded], None],
    ) -> None:
        self._take = record
        self._kept = kept
        self._on_recorded = on_recorded

    async def ReportResult(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ReportResultRequest, context: Context
    ) -> reporter_pb2.ReportResultResponse:
        """Take the result of one attempt."""
        problem = _problem_of(request)
        if problem:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, problem)
        async with _errors(context):
            recorded = await self._take(request)
        _note(request, recorded)
        self._on_recorded(recorded)
        return reporter_pb2.ReportResultResponse(already_known=recorded.already_known)

    async def ListResults(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ListResultsRequest, context: Context
    ) -> reporter_pb2.ListResultsResponse:
        """List results, newest first."""
        size = await _page_size(request.page_size, context)
        async with _errors(context):
            kept, next_token = await self._kept.archive.page(
                size=size,
                token=request.page_token,
                attempt_id=request.attempt_id,
                where=conditions(request.filter, self._kept.forms),
            )
        records = [_record(result) for result in kept]
        return reporter_pb2.ListResultsResponse(results=records, next_page_token=next_token)

    async def ExportResults(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ExportResultsRequest, context: Context
    ) -> AsyncIterator[reporter_pb2.ExportResultsResponse]:
        """Stream results as one file."""
        as_json = request.format == reporter_pb2.EXPORT_FORMAT_JSON
        render = json_lines if as_json else csv_rows
        async with _errors(context):
            where = conditions(request.filter, self._kept.forms)
            if not as_json:
                yield reporter_pb2.ExportResultsResponse(chunk=csv_header())
            async for page in self._kept.archive.stream(where):
                yield reporter_pb2.ExportResultsResponse(chunk=render(page))

    async def ListDeadLetters(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ListDeadLettersRequest, context: Context
    ) -> reporter_pb2.ListDeadLettersResponse:
        """List deliveries that were given up."""
        size = await _page_size(request.page_size, context)
        async with _errors(context):
            dead, next_token = await self._kept.dead_letters.page(size, request.page_token)
        letters = [
            reporter_pb2.DeadLetter(
                attempt_id=letter.attempt_id,
                reason=letter.reason,
                since=_timestamp(letter.since),
                tries=letter.tries,
            )
            for letter in dead
        ]
        return reporter_pb2.ListDeadLettersResponse(
            dead_letters=letters, next_page_token=next_token
        )

    async def RetryDeadLetters(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.RetryDeadLettersRequest, context: Context
    ) -> reporter_pb2.RetryDeadLettersResponse:
        """Put given-up deliveries back into the queue."""
        async with _errors(context):
            retried = await self._kept.dead_letters.retry(list(request.attempt_ids))
        log.info("dead letters go out again", count=retried)
        self._on_recorded(Recorded(to_deliver=retried > 0))
        return reporter_pb2.RetryDeadLettersResponse(retried=retried)

    async def DiscardDeadLetters(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.DiscardDeadLettersRequest, context: Context
    ) -> reporter_pb2.DiscardDeadLettersResponse:
        """Drop given-up deliveries."""
        if request.all == bool(request.attempt_ids):
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "name attempt_ids, or set all, not both"
            )
        async with _errors(context):
            discarded = await self._kept.dead_letters.discard(list(request.attempt_ids))
        log.info("dead letters are discarded", count=discarded)
        return reporter_pb2.DiscardDeadLettersResponse(discarded=discarded)

    async def ErasePerson(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ErasePersonRequest, context: Context
    ) -> reporter_pb2.ErasePersonResponse:
        """Erase what is kept about one person."""
        async with _errors(context):
            erased = await self._kept.eraser.erase(request.number)
        log.info("a person is erased", results=erased.now, waiting=erased.waiting)
        return reporter_pb2.ErasePersonResponse(erased=erased.now, waiting=erased.waiting)

    async def ListCallbacks(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ListCallbacksRequest, context: Context
    ) -> reporter_pb2.ListCallbacksResponse:
        """List the people who wanted an operator and got none."""
        size = await _page_size(request.page_size, context)
        async with _errors(context):
            found, next_token, waiting = await self._kept.callbacks.page(size, request.page_token)
        callbacks = [
            reporter_pb2.Callback(
                attempt_id=callback.attempt_id,
                number=callback.number,
                line=callback.line,
                direction=callback.direction,
                since=_timestamp(callback.since),
            )
            for callback in found
        ]
        return reporter_pb2.ListCallbacksResponse(
            callbacks=callbacks, next_page_token=next_token, waiting=waiting
        )

    async def CloseCallbacks(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.CloseCallbacksRequest, context: Context
    ) -> reporter_pb2.CloseCallbacksResponse:
        """Mark callbacks as done."""
        if not request.attempt_ids:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT, "name the attempt_ids that are done"
            )
        async with _errors(context):
            closed = await self._kept.callbacks.close(list(request.attempt_ids))
        log.info("callbacks are done", count=closed)
        return reporter_pb2.CloseCallbacksResponse(closed=closed)


@asynccontextmanager
async def _errors(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except StoreUnavailable:
        STORE_ERRORS.inc()
        await context.abort(grpc.StatusCode.UNAVAILABLE, "the database is away: try again")
    except BadPageToken:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "page_token is none of ours")
    except (BadFilter, BadNumber) as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


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
        report=kept.report, result=kept.result, delivery=DELIVERY_STATES[kept.delivery]
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp
