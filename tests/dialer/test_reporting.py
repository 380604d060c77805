from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import grpc
import pytest

from dialer.claim import Claimer
from dialer.moments import now_ms
from dialer.reporting import IDEMPOTENT, SERVICE, Reporter, ReportSender
from dialer.reports import queue_report
from dialer.tables import attempts, reports
from dialer.waking import Bells
from dialer_support.campaign import add, claimed, rows_of, rules, static_contact
from dialer_support.reporter import FakeReporter, fake_reporter, served
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.channel import Peer
from servicekit.clock import SystemClock
from servicekit.storage import Storage
from support.timing import HandClock, eventually, running

POSITION = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def queue(storage: Storage, *attempt_ids: str) -> None:
    """Put reports on their way."""
    async with storage.transaction() as connection:
        for attempt_id in attempt_ids:
            request = ReportResultRequest(attempt_id=attempt_id)
            await queue_report(connection, request, now_ms(HandClock()))


@contextlib.asynccontextmanager
async def sending(storage: Storage, fake: FakeReporter) -> AsyncIterator[None]:
    """Let a sender work towards a reporter during the block."""
    async with (
        served(fake) as port,
        Peer(f"127.0.0.1:{port}", SERVICE, idempotent=IDEMPOTENT) as peer,
    ):
        sender = ReportSender(storage, Reporter(peer), bells=Bells(), clock=SystemClock())
        async with running(sender.run()):
            yield


@pytest.mark.parametrize(
    "failures",
    [
        [],
        [grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL],
        [grpc.StatusCode.UNAVAILABLE] * 4,
    ],
)
async def test_a_report_is_repeated_until_acknowledged(
    storage: Storage, failures: list[grpc.StatusCode]
) -> None:
    """Whatever the reporter answers first, each report arrives, and is then forgotten here."""
    fake = fake_reporter(*failures)
    await queue(storage, "a", "b")

    async def all_sent() -> bool:
        return not await rows_of(storage, reports)

    async with sending(storage, fake):
        await eventually(all_sent)
    assert set(fake.results) == {"a", "b"}


async def test_a_report_that_is_refused_for_good_is_kept_and_blocks_nobody(
    storage: Storage,
) -> None:
    """A report the reporter will never take stays on record with the reason; the next one goes."""
    fake = fake_reporter(grpc.StatusCode.INVALID_ARGUMENT)
    await queue(storage, "a", "b")

    async def one_left() -> bool:
        return len(await rows_of(storage, reports)) == 1

    async with sending(storage, fake):
        await eventually(one_left)
    [kept] = await rows_of(storage, reports)
    assert set(fake.results) == {"b"}
    assert (kept["attempt_id"], kept["refusal"]) == ("a", "as the test wants")


async def test_a_report_goes_in_the_trace_of_its_attempt(
    storage: Storage, clock: HandClock
) -> None:
    """The reporter is told in the attempt's trace; of a number never tried it hears in none."""
    await add(storage, [static_contact(1)], clock)
    claim = await claimed(Claimer(storage, rules(), clock))
    async with storage.transaction() as connection:
        await connection.execute(attempts.update().values(traceparent=POSITION))
    fake = fake_reporter()
    await queue(storage, claim.attempt_id, "never tried")

    async def all_sent() -> bool:
        return not await rows_of(storage, reports)

    async with sending(storage, fake):
        await eventually(all_sent)
    assert fake.traceparents == {claim.attempt_id: POSITION, "never tried": ""}
