"""The reporter's contract, over real gRPC with the generated stub."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TypeAlias

import grpc
import pytest
from grpc import aio

from reporter.ledger import Recorded
from reporter.metrics import (
    CALLBACKS_OLDEST_S,
    CALLBACKS_WAITING,
    OUTBOX_DEAD,
    OUTBOX_PENDING,
    Gauger,
)
from reporter.service import SERVICE, ReporterServicer
from reporter.tables import DeliveryStatus
from reporter_support.away import database_away
from reporter_support.house import House
from reporter_support.reports import report_of
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService

DEADLINE_S = 5.0
Stub: TypeAlias = "reporter_pb2_grpc.ReporterServiceAsyncStub"


@pytest.fixture
def recorded() -> list[Recorded]:
    """What the service told its workers."""
    return []


@pytest.fixture
async def stub(house: House, recorded: list[Recorded]) -> AsyncIterator[Stub]:
    """A client of a served reporter."""
    servicer = ReporterServicer(house.ledger.record, house.kept, recorded.append)
    add = reporter_pb2_grpc.add_ReporterServiceServicer_to_server
    server = GrpcServer([GrpcService(SERVICE, add, servicer)])
    port = await server.start("127.0.0.1", 0, "REPORTER_PORT")
    async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
        await peer.wait_ready()
        yield reporter_pb2_grpc.ReporterServiceStub(peer.channel)
    await server.drain(0)


async def test_result_is_taken_once(stub: Stub, recorded: list[Recorded]) -> None:
    """The first report is news, the second is known, and the list shows one result."""
    report = report_of(calls_pb2.RESULT_FAILED, reason="congestion")
    assert not (await stub.ReportResult(report, timeout=DEADLINE_S)).already_known
    assert (await stub.ReportResult(report, timeout=DEADLINE_S)).already_known
    listed = await stub.ListResults(reporter_pb2.ListResultsRequest(), timeout=DEADLINE_S)
    (record,) = listed.results
    assert record.report == report
    assert record.result == "failed:congestion"
    assert record.delivery == reporter_pb2.DELIVERY_STATE_PENDING
    assert [news.to_deliver for news in recorded] == [True, False]


async def test_one_attempt_is_found(stub: Stub) -> None:
    """ListResults with an attempt id gives that attempt alone."""
    reports = [report_of() for _ in range(3)]
    for report in reports:
        await stub.ReportResult(report, timeout=DEADLINE_S)
    request = reporter_pb2.ListResultsRequest(attempt_id=reports[1].attempt_id)
    listed = await stub.ListResults(request, timeout=DEADLINE_S)
    assert [record.report for record in listed.results] == [reports[1]]


@pytest.mark.parametrize(
    "report",
    [
        reporter_pb2.ReportResultRequest(),
        reporter_pb2.ReportResultRequest(outcome=calls_pb2.Outcome(result=calls_pb2.RESULT_HANGUP)),
        reporter_pb2.ReportResultRequest(attempt_id="a-1"),
        report_of(attempt_id="bad id\r\nX-Header: 1"),
        report_of(attempt_id="a" * 150),
        report_of(attempt_id="۱۲۳"),
    ],
)
async def test_senseless_reports(stub: Stub, report: reporter_pb2.ReportResultRequest) -> None:
    """A report without a usable attempt id or without a result is INVALID_ARGUMENT."""
    with pytest.raises(aio.AioRpcError) as refusal:
        await stub.ReportResult(report, timeout=DEADLINE_S)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    "request_",
    [
        reporter_pb2.ListResultsRequest(page_token="x"),
        reporter_pb2.ListResultsRequest(page_size=1001),
    ],
)
async def test_senseless_pages(stub: Stub, request_: reporter_pb2.ListResultsRequest) -> None:
    """A foreign page token and a page too large are INVALID_ARGUMENT."""
    with pytest.raises(aio.AioRpcError) as refusal:
        await stub.ListResults(request_, timeout=DEADLINE_S)
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_database_away(stub: Stub, house: House) -> None:
    """Without its database the reporter answers UNAVAILABLE, and takes the repeat afterwards."""
    report = report_of()
    async with database_away(house.engine):
        with pytest.raises(aio.AioRpcError) as refusal:
            await stub.ReportResult(report, timeout=DEADLINE_S)
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE
    assert not (await stub.ReportResult(report, timeout=DEADLINE_S)).already_known


async def test_export_streams_everything(stub: Stub) -> None:
    """Both exports hold every result once, oldest first, over several chunks."""
    reports = [report_of(source="file") for _ in range(520)]
    for report in reports:
        await stub.ReportResult(report, timeout=DEADLINE_S)
    wanted = [report.attempt_id for report in reports]
    for file_format, skipped in (
        (reporter_pb2.EXPORT_FORMAT_UNSPECIFIED, 1),
        (reporter_pb2.EXPORT_FORMAT_JSON, 0),
    ):
        request = reporter_pb2.ExportResultsRequest(format=file_format)
        answers = stub.ExportResults(request, timeout=DEADLINE_S)
        chunks = [answer.chunk async for answer in answers]
        lines = b"".join(chunks).decode().splitlines()[skipped:]
        assert len(chunks) >= 2
        assert [line.partition(wanted[n])[1] for n, line in enumerate(lines)] == wanted


async def test_dead_letters_by_rpc(stub: Stub, house: House) -> None:
    """Dead letters are listed with their reason, counted, and put back into the queue."""
    report = report_of()
    await stub.ReportResult(report, timeout=DEADLINE_S)
    await house.settle(DeliveryStatus.DEAD, "HTTP 404")
    await Gauger(house.storage, house.outbox, house.callbacks).measure()
    assert (OUTBOX_DEAD._value.get(), OUTBOX_PENDING._value.get()) == (1, 0)  # noqa: SLF001
    request = reporter_pb2.ListDeadLettersRequest()
    (letter,) = (await stub.ListDeadLetters(request, timeout=DEADLINE_S)).dead_letters
    assert (letter.attempt_id, letter.reason, letter.tries) == (report.attempt_id, "HTTP 404", 1)
    retry = reporter_pb2.RetryDeadLettersRequest(attempt_ids=[report.attempt_id])
    assert (await stub.RetryDeadLetters(retry, timeout=DEADLINE_S)).retried == 1
    assert (await house.lease_one()).report == report


async def _refused(call: Awaitable[object]) -> str:
    with pytest.raises(aio.AioRpcError) as refusal:
        await call
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return str(refusal.value.details())


async def test_filter_by_rpc(stub: Stub) -> None:
    """Lists and exports hold what the filter names, and a senseless filter is INVALID_ARGUMENT."""
    wanted, other = report_of(source="file"), report_of(source="static")
    for report in (wanted, other):
        await stub.ReportResult(report, timeout=DEADLINE_S)
    chosen = reporter_pb2.ResultFilter(source="file", number="0912 000 0101")
    request = reporter_pb2.ListResultsRequest(filter=chosen)
    listed = await stub.ListResults(request, timeout=DEADLINE_S)
    assert [record.report for record in listed.results] == [wanted]
    export = reporter_pb2.ExportResultsRequest(
        format=reporter_pb2.EXPORT_FORMAT_JSON, filter=chosen
    )
    chunks = [answer.chunk async for answer in stub.ExportResults(export, timeout=DEADLINE_S)]
    assert wanted.attempt_id.encode() in b"".join(chunks)
    assert other.attempt_id.encode() not in b"".join(chunks)
    senseless = reporter_pb2.ResultFilter(number="nobody")
    request = reporter_pb2.ListResultsRequest(filter=senseless)
    said = await _refused(stub.ListResults(request, timeout=DEADLINE_S))
    assert said == "filter.number is no phone number"
    export = reporter_pb2.ExportResultsRequest(filter=senseless)
    with pytest.raises(aio.AioRpcError) as refusal:
        [answer async for answer in stub.ExportResults(export, timeout=DEADLINE_S)]
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_discarding_by_rpc(stub: Stub, house: House) -> None:
    """Dead letters are dropped by name or all together, never by saying nothing."""
    for attempt_id in ("a", "b"):
        await stub.ReportResult(report_of(attempt_id=attempt_id), timeout=DEADLINE_S)
        await house.settle(DeliveryStatus.DEAD, "HTTP 404")
    page = reporter_pb2.ListDeadLettersRequest(page_size=1)
    first = await stub.ListDeadLetters(page, timeout=DEADLINE_S)
    assert [letter.attempt_id for letter in first.dead_letters] == ["b"]
    page.page_token = first.next_page_token
    second = await stub.ListDeadLetters(page, timeout=DEADLINE_S)
    assert ([letter.attempt_id for letter in second.dead_letters], second.next_page_token) == (
        ["a"],
        "",
    )
    for request in (
        reporter_pb2.DiscardDeadLettersRequest(),
        reporter_pb2.DiscardDeadLettersRequest(attempt_ids=["a"], all=True),
    ):
        await _refused(stub.DiscardDeadLetters(request, timeout=DEADLINE_S))
    named = reporter_pb2.DiscardDeadLettersRequest(attempt_ids=["a"])
    assert (await stub.DiscardDeadLetters(named, timeout=DEADLINE_S)).discarded == 1
    rest = reporter_pb2.DiscardDeadLettersRequest(all=True)
    assert (await stub.DiscardDeadLetters(rest, timeout=DEADLINE_S)).discarded == 1
    listed = await stub.ListResults(reporter_pb2.ListResultsRequest(), timeout=DEADLINE_S)
    states = {record.delivery for record in listed.results}
    assert states == {reporter_pb2.DELIVERY_STATE_DISCARDED}


async def test_erasing_by_rpc(stub: Stub) -> None:
    """A person is erased by number, and no number is INVALID_ARGUMENT."""
    await stub.ReportResult(report_of(source="file"), timeout=DEADLINE_S)
    await stub.ReportResult(report_of(source="panel"), timeout=DEADLINE_S)
    request = reporter_pb2.ErasePersonRequest(number="09120000101")
    answer = await stub.ErasePerson(request, timeout=DEADLINE_S)
    assert (answer.erased, answer.waiting) == (1, 1)
    for number in ("", "nobody"):
        request = reporter_pb2.ErasePersonRequest(number=number)
        assert "number" in await _refused(stub.ErasePerson(request, timeout=DEADLINE_S))


async def test_callbacks_by_rpc(stub: Stub, house: House) -> None:
    """Who wants a callback is listed page by page with the whole count, and closed by name."""
    wanted = [
        report_of(attempt_id=f"a-{n}", number=f"+98912000010{n}", callback_wanted=True)
        for n in range(3)
    ]
    for report in wanted:
        await stub.ReportResult(report, timeout=DEADLINE_S)
    page = reporter_pb2.ListCallbacksRequest(page_size=2)
    first = await stub.ListCallbacks(page, timeout=DEADLINE_S)
    page.page_token = first.next_page_token
    last = await stub.ListCallbacks(page, timeout=DEADLINE_S)
    assert [one.attempt_id for one in (*first.callbacks, *last.callbacks)] == ["a-0", "a-1", "a-2"]
    assert (first.waiting, last.waiting, last.next_page_token) == (3, 3, "")
    assert first.callbacks[1] == reporter_pb2.Callback(
        attempt_id="a-1",
        number="09120000101",
        line="1001",
        direction=calls_pb2.DIRECTION_OUTBOUND,
        since=wanted[1].ended_at,
    )
    done = reporter_pb2.CloseCallbacksRequest(attempt_ids=["a-0", "a-2", "stranger"])
    assert [(await stub.CloseCallbacks(done, timeout=DEADLINE_S)).closed for _ in "ab"] == [2, 0]
    everyone = await stub.ListCallbacks(reporter_pb2.ListCallbacksRequest(), timeout=DEADLINE_S)
    assert ([one.attempt_id for one in everyone.callbacks], everyone.waiting) == (["a-1"], 1)


async def test_senseless_callback_requests(stub: Stub, house: House) -> None:
    """A foreign page token, a page too large and naming nobody are INVALID_ARGUMENT."""
    for token in ("x", "1", "1-", "-1", "1-2-3"):
        request = reporter_pb2.ListCallbacksRequest(page_token=token)
        said = await _refused(stub.ListCallbacks(request, timeout=DEADLINE_S))
        assert said == "page_token is none of ours"
    request = reporter_pb2.ListCallbacksRequest(page_size=1001)
    assert "page_size" in await _refused(stub.ListCallbacks(request, timeout=DEADLINE_S))
    nobody = reporter_pb2.CloseCallbacksRequest()
    assert "attempt_ids" in await _refused(stub.CloseCallbacks(nobody, timeout=DEADLINE_S))
    empty = await stub.ListCallbacks(reporter_pb2.ListCallbacksRequest(), timeout=DEADLINE_S)
    assert empty == reporter_pb2.ListCallbacksResponse()
    async with database_away(house.engine):
        with pytest.raises(aio.AioRpcError) as away:
            await stub.ListCallbacks(reporter_pb2.ListCallbacksRequest(), timeout=DEADLINE_S)
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_callbacks_are_figures(house: House) -> None:
    """How many people wait, and how long the first has, are figures, and zero when nobody does."""
    gauger = Gauger(house.storage, house.outbox, house.callbacks)
    for index in range(2):
        report = report_of(number=f"+98912000010{index}", callback_wanted=True)
        report.ended_at.FromDatetime(house.clock.now())
        await house.ledger.record(report)
        house.clock.advance(90)
    await gauger.measure()
    assert (CALLBACKS_WAITING._value.get(), CALLBACKS_OLDEST_S._value.get()) == (2, 180)  # noqa: SLF001
    for callback in (await house.callbacks.page(9))[0]:
        await house.callbacks.close([callback.attempt_id])
    await gauger.measure()
    assert (CALLBACKS_WAITING._value.get(), CALLBACKS_OLDEST_S._value.get()) == (0, 0)  # noqa: SLF001
