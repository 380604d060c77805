"""Nothing is lost on the way to the panel, and nothing arrives under two keys."""

from __future__ import annotations

from itertools import cycle, islice, repeat
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import func, select

from reporter.breaker import read_breaker, save_breaker
from reporter.delivery import DeliveryWorker
from reporter.pacing import Pacing
from reporter.panel import HttpPanel
from reporter.tables import DeliveryStatus, deliveries
from reporter_support.deliveries import AT_ONCE, QUICK, keys_of, record, settled, worker_for
from reporter_support.house import LEASE_S, THRESHOLD, House
from reporter_support.panel import LOST_AFTER_ACCEPTING, FakePanel
from reporter_support.reports import report_of
from reporter_support.web import Answer
from salehi.calls.v1 import calls_pb2
from support.timing import eventually, running


async def test_each_result_arrives_once(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """With a healthy panel every result is reported exactly once, old and new ones alike."""
    worker = worker_for(house, http, panel)
    reports = await record(house, 20)
    async with running(worker.run()):
        await eventually(lambda: settled(house))
        late = report_of(number_id=99)
        await house.ledger.record(late)
        worker.wake()
        await eventually(lambda: settled(house))
    assert panel.accepted.keys() == keys_of([*reports, late])
    assert set(panel.tries.values()) == {1}


async def test_every_trouble_at_once(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """Through 500s, 429s, lost and malformed answers each result arrives, under one key."""
    troubles = cycle(
        [
            Answer(500),
            Answer(429),
            LOST_AFTER_ACCEPTING,
            Answer(200, b"<html>"),
            Answer(503),
            Answer(200, b'{"ok": true}'),
        ]
    )
    panel.plan(islice(troubles, 120))
    reports = await record(house, 40)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house), within_s=30)
    assert panel.accepted.keys() == keys_of(reports)
    for bodies in panel.accepted.values():
        assert all(body == bodies[0] for body in bodies)
    assert (await house.outbox.depth()).dead == 0


async def test_a_timeout_after_acceptance_keeps_its_key(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """A result whose acceptance got lost is sent again under the same key and body."""
    panel.plan([LOST_AFTER_ACCEPTING])
    (report,) = await record(house, 1)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house))
    first, second = panel.accepted[report.attempt_id]
    assert first == second
    assert len(panel.accepted) == 1


async def test_panel_down_then_back(house: House, http: httpx.AsyncClient) -> None:
    """With the panel gone results wait; when it is back all go out, without another trigger."""
    panel = FakePanel()
    async with panel.server:
        pass  # it has had an address; now nobody listens there
    worker = worker_for(house, http, panel)
    reports = await record(house, 50)
    async with running(worker.run()):
        await eventually(lambda: _was_tried(house))
        assert (await house.outbox.depth()).pending == 50
        async with panel.server:
            await eventually(lambda: settled(house))
    assert panel.accepted.keys() == keys_of(reports)
    assert set(panel.tries.values()) == {1}


async def _was_tried(house: House) -> bool:
    async with house.storage.transaction() as connection:
        return bool(await connection.scalar(select(func.max(deliveries.c.tries))))


async def test_absent_panel_is_asked_gently(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """A panel that fails is tried with one result at a time, however many wait."""
    panel.plan(repeat(Answer(503)))
    await record(house, 200)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: panel.tries.total() >= 8 + 10)
        assert panel.tries.total() < 100
        panel.plan([])
        await eventually(lambda: settled(house))
    assert len(panel.accepted) == 200


async def test_refusal_is_buried_and_can_be_retried(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """A 404 is never sent again by itself, holds up nobody, and goes out when asked to."""
    refused, fine = await record(house, 2)
    panel.plan([Answer(404, b"mismatch")])
    worker = DeliveryWorker(
        house.outbox,
        HttpPanel(http, panel.server.url, "token", ZoneInfo("Asia/Tehran")),
        result_pacing=AT_ONCE,
        panel_pacing=QUICK,
        in_flight=1,
    )
    async with running(worker.run()):
        await eventually(lambda: settled(house))
        (dead,), _ = await house.dead_letters.page(10)
        assert (dead.attempt_id, dead.reason, dead.tries) == (
            refused.attempt_id,
            "HTTP 404 mismatch",
            1,
        )
        assert panel.accepted.keys() == {fine.attempt_id}
        assert await house.dead_letters.retry([fine.attempt_id]) == 0
        assert await house.dead_letters.retry([]) == 1
        worker.wake()
        await eventually(lambda: settled(house))
    assert panel.tries[refused.attempt_id] == 2
    assert await house.dead_letters.page(10) == ([], "")


async def test_one_contact_in_order(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """Results of one contact arrive in the order they were taken, whatever fails between."""
    panel.plan(islice(cycle([Answer(500), Answer(200), Answer(429)]), 60))
    reports = [report_of(number_id=1 + index % 3) for index in range(30)]
    for report in reports:
        await house.ledger.record(report)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house), within_s=30)
    for number_id in (1, 2, 3):
        wanted = [r.attempt_id for r in reports if r.contact.panel_number_id == number_id]
        assert panel.order[number_id] == wanted


async def test_one_bad_result_does_not_block(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """A result that the panel answers 500 for ever waits by itself while the others arrive."""
    bad, *others = await record(house, 30)
    answer = panel.server.answer
    panel.server.answer = lambda request: (
        Answer(500) if request.headers["idempotency-key"] == bad.attempt_id else answer(request)
    )
    slow = Pacing(first_s=600, longest_s=600)
    async with running(worker_for(house, http, panel, result_pacing=slow).run()):
        await eventually(lambda: _one_waits(house))
    assert panel.accepted.keys() == keys_of(others)
    house.clock.advance(700)
    (waiting,) = await house.outbox.lease(10, due_only=False)
    assert waiting.report.attempt_id == bad.attempt_id


async def _one_waits(house: House) -> bool:
    return (await house.outbox.depth()).pending == 1


async def test_waits_grow_and_are_kept(house: House) -> None:
    """A postponed result is not due before its time, also after a restart, and due at it."""
    await record(house, 1)
    await house.settle(DeliveryStatus.PENDING, "HTTP 500", wait_s=30)
    assert await house.outbox.lease(1, due_only=True) == []
    assert await house.outbox.seconds_to_next() == pytest.approx(30, abs=0.1)
    house.clock.advance(30.1)
    assert (await house.lease_one()).tries == 1


def test_pacing_doubles_within_bounds() -> None:
    """Waits double with jitter of at most a half, and never pass the longest."""
    pacing = Pacing(first_s=1, longest_s=60)
    for tries, full_s in ((1, 1), (2, 2), (5, 16), (7, 60), (10_000, 60)):
        waits = [pacing.delay_s(tries) for _ in range(200)]
        assert full_s / 2 <= min(waits) <= max(waits) <= full_s
        assert max(waits) > min(waits)


async def test_opening_result_switches_the_panel_off(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """Only the result that opened the breaker says call_allowed: false, and only while open."""
    for number_id in range(1, THRESHOLD + 2):
        await house.ledger.record(
            report_of(calls_pb2.RESULT_FAILED, technical=True, number_id=number_id)
        )
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house))
    bodies = [bodies[0] for bodies in panel.accepted.values()]
    off = [body["number_id"] for body in bodies if body.get("call_allowed") is False]
    assert off == [THRESHOLD]


async def test_empty_account_switches_the_panel_off_at_once(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """One result that ran out of credit is enough for the panel to stop."""
    (before,) = await record(house, 1)
    empty = report_of(calls_pb2.RESULT_HANGUP, out_of_credit=("llm",), number_id=2)
    await house.ledger.record(empty)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house))
    assert "call_allowed" not in panel.accepted[before.attempt_id][0]
    assert panel.accepted[empty.attempt_id][0]["call_allowed"] is False


async def test_late_delivery_does_not_switch_off_a_mended_campaign(house: House) -> None:
    """When the breaker has closed before the panel came back, the panel is left on."""
    for number_id in range(1, THRESHOLD + 1):
        await house.ledger.record(
            report_of(calls_pb2.RESULT_FAILED, technical=True, number_id=number_id)
        )
    assert [d.switches_off for d in await house.outbox.lease(9, due_only=True)][-1]
    state = await read_breaker(house.storage)
    async with house.storage.transaction() as connection:
        await save_breaker(connection, type(state)(opening=state.opening))
    house.clock.advance(LEASE_S + 0.1)
    late = await house.outbox.lease(9, due_only=True)
    assert len(late) == THRESHOLD
    assert not any(delivery.switches_off for delivery in late)
