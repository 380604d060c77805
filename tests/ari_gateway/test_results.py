"""A result is kept until the reporter has it."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from ari_gateway.results import ResultOutbox
from gateway_support.house import MemoryLedger
from gateway_support.reporter import Reporter
from salehi.calls.v1 import calls_pb2
from servicekit.storage import StoreUnavailable
from support.timing import running

HOUR_S = 3600.0


def ended_calls(ledger: MemoryLedger, count: int) -> list[str]:
    """Put ended calls on record; give their attempts, oldest first."""
    attempts = [str(uuid.uuid4()) for _ in range(count)]
    for attempt_id in attempts:
        call = calls_pb2.Call(attempt_id=attempt_id, state=calls_pb2.CALL_STATE_ENDED)
        call.outcome.result = calls_pb2.RESULT_MISSED
        call.outcome.reason = "busy"
        ledger.calls[attempt_id] = call
    return attempts


def outbox_of(ledger: Any, reporter: Any) -> ResultOutbox:
    """Make an outbox with a fake at each end."""
    return ResultOutbox(ledger, reporter)


@pytest.fixture
def ledger() -> MemoryLedger:
    """Give an empty ledger."""
    return MemoryLedger()


async def test_an_hour_without_the_reporter_loses_nothing(ledger: MemoryLedger) -> None:
    """Results of an hour's outage arrive once it is over, each one, in order, within 20 s."""
    reporter = Reporter()
    reporter.away_until_s = HOUR_S
    outbox = outbox_of(ledger, reporter)
    attempts: list[str] = []
    async with running(outbox.run()):
        for _ in range(60):
            for attempt_id in ended_calls(ledger, 2):
                attempts.append(attempt_id)
                outbox.add(ledger.calls[attempt_id])
            await asyncio.sleep(60)
        assert reporter.kept == {}
        await asyncio.sleep(20)
        assert list(reporter.kept) == attempts
        assert await ledger.unreported() == []
        # Asked again and again all the time, at a bounded pace.
        assert 200 <= len(reporter.asked) - len(attempts) <= 400


async def test_an_answer_after_the_deadline_is_asked_for_again(ledger: MemoryLedger) -> None:
    """A result whose acknowledgement is lost is sent again, the same, until it is acknowledged."""
    attempts = ended_calls(ledger, 3)
    reporter = Reporter()
    reporter.slow = 4
    outbox = outbox_of(ledger, reporter)
    async with running(outbox.run()):
        await asyncio.wait_for(outbox.flushed(), HOUR_S)
    assert reporter.asked == [attempts[0]] * 5 + attempts[1:]
    assert list(reporter.kept) == attempts
    assert await ledger.unreported() == []


async def test_a_new_process_reports_what_the_old_one_could_not(ledger: MemoryLedger) -> None:
    """A later outbox on the same ledger reports the rest, and nothing acknowledged again."""
    attempts = ended_calls(ledger, 2)
    reporter = Reporter()
    async with running(outbox_of(ledger, reporter).run()):
        await asyncio.sleep(1)
    reporter.away_until_s = asyncio.get_running_loop().time() + 60
    later = ended_calls(ledger, 1)
    async with running(outbox_of(ledger, reporter).run()):
        await asyncio.sleep(10)
    async with running(outbox_of(ledger, reporter).run()):
        await asyncio.sleep(120)
    assert list(reporter.kept) == attempts + later
    assert reporter.asked[:2] == attempts
    assert set(reporter.asked[2:]) == set(later)


async def test_a_refused_result_holds_up_no_other(ledger: MemoryLedger) -> None:
    """A result the reporter finds fault with is kept, and those after it are reported."""
    attempts = ended_calls(ledger, 3)
    reporter = Reporter()
    reporter.refuses = {attempts[0]}
    async with running(outbox_of(ledger, reporter).run()):
        await asyncio.sleep(1)
        assert list(reporter.kept) == attempts[1:]
        assert [call.attempt_id for call in await ledger.unreported()] == attempts[:1]
        reporter.refuses.clear()
        await asyncio.sleep(60)
        assert set(reporter.kept) == set(attempts)


async def test_a_session_store_that_is_away_stops_nothing(
    ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the ledger cannot be read nothing is reported, and everything is once it can."""
    attempts = ended_calls(ledger, 1)
    reporter = Reporter()

    async def away() -> list[calls_pb2.Call]:
        raise StoreUnavailable("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "unreported", away)
        async with running(outbox_of(ledger, reporter).run()):
            await asyncio.sleep(60)
            assert reporter.asked == []
            patch.undo()
            await asyncio.sleep(20)
            assert reporter.asked == attempts
