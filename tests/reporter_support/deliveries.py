"""Deliveries as tests need them: results that wait, and a worker that brings them."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import httpx

from reporter.delivery import DeliveryWorker
from reporter.pacing import Pacing
from reporter.panel import HttpPanel
from reporter_support.house import House
from reporter_support.panel import FakePanel
from reporter_support.reports import report_of
from salehi.reporter.v1 import reporter_pb2

AT_ONCE = Pacing(first_s=0.0, longest_s=0.0)
QUICK = Pacing(first_s=0.002, longest_s=0.01)


def worker_for(
    house: House, http: httpx.AsyncClient, panel: FakePanel, *, result_pacing: Pacing = AT_ONCE
) -> DeliveryWorker:
    """Make a worker that delivers to a panel without waits that matter."""
    client = HttpPanel(http, panel.server.url, "token", ZoneInfo("Asia/Tehran"))
    return DeliveryWorker(
        house.outbox, client, result_pacing=result_pacing, panel_pacing=QUICK, in_flight=8
    )


async def record(house: House, count: int) -> list[reporter_pb2.ReportResultRequest]:
    """Record so many results, each of a contact of its own."""
    reports = [report_of(number_id=index + 1) for index in range(count)]
    for report in reports:
        await house.ledger.record(report)
    return reports


async def settled(house: House) -> bool:
    """Say whether nothing waits for the panel any more."""
    return (await house.outbox.depth()).pending == 0


def keys_of(reports: list[reporter_pb2.ReportResultRequest]) -> set[str]:
    """Give the attempts."""
    return {report.attempt_id for report in reports}
