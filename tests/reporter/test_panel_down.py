"""The panel is away for an hour, and comes back in the worst of moods."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx

from reporter.delivery import DeliveryWorker
from reporter.ledger import Reported
from reporter.panel import HttpPanel
from reporter_support.house import House
from reporter_support.panel import LOST_AFTER_ACCEPTING, OK, FakePanel
from reporter_support.reports import report_of
from reporter_support.time import HandWake
from reporter_support.transport import PanelTransport
from reporter_support.web import Answer
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from support.timing import HandClock, eventually, running

RESULTS = 10_000
CONTACTS = 2_500
SEED = 20260504
REQUEST_S = 0.02
GARBLED = Answer(200, b'{"ok": tr')  # accepted, and broken on the way back
MOODS = [OK] * 12 + [Answer(500), Answer(503), Answer(429), LOST_AFTER_ACCEPTING, GARBLED]


def _moods(clock: HandClock) -> Iterator[Answer]:
    """An hour of outage that hardly ever accepts, then mixed weather, then sunshine."""
    back_at = clock.now() + timedelta(hours=1)
    weather = random.Random(SEED)
    outage = itertools.cycle([*[Answer(500)] * 40, LOST_AFTER_ACCEPTING, GARBLED])
    while clock.now() < back_at:
        yield next(outage)
    for mood in itertools.chain(weather.choices(MOODS, k=RESULTS // 2), itertools.repeat(OK)):
        clock.advance(REQUEST_S)
        yield mood


def _reports() -> list[reporter_pb2.ReportResultRequest]:
    return [
        report_of(
            calls_pb2.RESULT_MISSED,
            attempt_id=f"attempt-{index}",
            number_id=1 + index % CONTACTS,
            reason=f"n{index}",
        )
        for index in range(RESULTS)
    ]


async def test_an_hour_without_the_panel(house: House) -> None:
    """Of 10,000 waiting results each is accepted under its one key, in order, and none is lost."""
    panel = FakePanel(_moods(house.clock))
    reports = _reports()
    for start in range(0, RESULTS, 500):
        batch = reports[start : start + 500]
        await house.ledger.record_all([Reported(report, "") for report in batch])
    began = house.clock.now()
    async with httpx.AsyncClient(transport=PanelTransport(panel.server)) as http:
        client = HttpPanel(http, "http://panel", "token", ZoneInfo("Asia/Tehran"))
        wake = HandWake(house.clock)
        async with running(DeliveryWorker(house.outbox, client, wake=wake).run()):
            await eventually(lambda: len(panel.accepted) == RESULTS, within_s=120)
            await eventually(lambda: _is_settled(house), within_s=60)
    assert house.clock.now() - began > timedelta(hours=1)
    depth = await house.outbox.depth()
    assert (depth.pending, depth.dead) == (0, 0)
    assert panel.accepted.keys() == {report.attempt_id for report in reports}
    for attempt_id, bodies in panel.accepted.items():
        assert all(body == bodies[0] for body in bodies)
        assert bodies[0]["reason"] == attempt_id.replace("attempt-", "n")
    for number_id, keys in panel.order.items():
        assert keys == [f"attempt-{n}" for n in range(number_id - 1, RESULTS, CONTACTS)]
    repeats = sum(len(bodies) - 1 for bodies in panel.accepted.values())
    assert 0 < repeats < RESULTS // 5  # only what nobody knew the fate of was sent again


async def _is_settled(house: House) -> bool:
    return (await house.outbox.depth()).pending == 0
