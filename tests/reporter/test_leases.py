"""What is being sent is sent by one reporter, and a crash costs neither a result nor a copy."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from zoneinfo import ZoneInfo

import httpx

from reporter.delivery import DeliveryWorker
from reporter.ledger import Reported
from reporter.metrics import STORE_ERRORS
from reporter.outbox import Settlement
from reporter.panel import HttpPanel
from reporter.tables import DeliveryStatus
from reporter_support.away import database_away
from reporter_support.deliveries import QUICK, keys_of, record, settled, worker_for
from reporter_support.house import LEASE_S, House, house_on
from reporter_support.panel import FakePanel
from reporter_support.reports import report_of
from salehi.reporter.v1 import reporter_pb2
from support.timing import eventually, running


async def test_leased_delivery_is_nobody_elses(house: House) -> None:
    """What one reporter is sending, another is not given, until the lease runs out."""
    await record(house, 3)
    other = house_on(house.engine, house.clock)
    first = await house.outbox.lease(2, due_only=True)
    second = await other.outbox.lease(9, due_only=True)
    assert [len(first), len(second)] == [2, 1]
    assert await other.outbox.lease(9, due_only=False) == []
    house.clock.advance(LEASE_S + 0.1)
    again = await other.outbox.lease(9, due_only=True)
    assert {one.sequence for one in again} == {one.sequence for one in [*first, *second]}


async def test_late_failure_changes_nothing(house: House) -> None:
    """After its lease ran out, a reporter's failure does not end another's try, success counts."""
    await record(house, 1)
    slow = await house.lease_one()
    house.clock.advance(LEASE_S + 0.1)
    await house.lease_one()
    for status in (DeliveryStatus.DEAD, DeliveryStatus.PENDING):
        await house.outbox.settle([Settlement(slow, status, "HTTP 404")])
        assert await house.outbox.lease(1, due_only=False) == []
        assert (await house.outbox.depth()).pending == 1
    await house.outbox.settle([Settlement(slow, DeliveryStatus.DELIVERED)])
    assert (await house.outbox.depth()).pending == 0


async def test_leased_result_holds_back_its_contact(house: House) -> None:
    """While one result of a contact is being sent, no reporter is given the next one."""
    for _ in range(2):
        await house.ledger.record(report_of(number_id=1))
    await house.lease_one()
    assert await house_on(house.engine, house.clock).outbox.lease(9, due_only=True) == []


async def test_several_reporters_share_the_work(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """Three reporters on one database send every result once, and each contact's in order."""
    reports = [report_of(number_id=1 + index % 20) for index in range(300)]
    await house.ledger.record_all([Reported(report, "") for report in reports])
    houses = [house, house_on(house.engine, house.clock), house_on(house.engine, house.clock)]
    workers = [worker_for(each, http, panel) for each in houses]
    async with running(*(worker.run() for worker in workers)):
        await eventually(lambda: settled(house), within_s=30)
    assert panel.accepted.keys() == keys_of(reports)
    assert set(panel.tries.values()) == {1}
    for number_id, keys in panel.order.items():
        wanted = [r.attempt_id for r in reports if r.contact.panel_number_id == number_id]
        assert keys == wanted


async def test_crash_of_the_only_reporter_costs_no_time(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """What the only reporter was sending when it died goes out at once when it is back."""
    (report,) = await record(house, 1)
    await house.lease_one()
    client = HttpPanel(http, panel.server.url, "token", ZoneInfo("Asia/Tehran"))
    async with running(DeliveryWorker(house.outbox, client, alone=True).run()):
        await eventually(lambda: settled(house))
    assert panel.accepted.keys() == {report.attempt_id}


async def test_accepted_is_stored_when_stopped(
    house: House, http: httpx.AsyncClient, panel: FakePanel
) -> None:
    """A result accepted while another one hangs is stored at the stop, and not sent again."""
    fine, hanging = await record(house, 2)
    hang = asyncio.Event()

    class HalfPanel:
        async def report(
            self,
            report: reporter_pb2.ReportResultRequest,
            *,
            switches_off: bool,  # noqa: ARG002 - the port's
        ) -> None:
            if report.attempt_id == hanging.attempt_id:
                hang.set()
                await asyncio.Event().wait()

    async with running(DeliveryWorker(house.outbox, HalfPanel()).run()):
        await hang.wait()
        await asyncio.sleep(0.01)
    assert (await house.find(fine.attempt_id)).delivery is DeliveryStatus.DELIVERED
    house.clock.advance(LEASE_S + 0.1)
    async with running(worker_for(house, http, panel).run()):
        await eventually(lambda: settled(house))
    assert panel.accepted.keys() == {hanging.attempt_id}


async def test_database_away_after_acceptance(house: House) -> None:
    """What the panel accepted while the database went away is stored later, not sent again."""
    reports = await record(house, 3)
    tries: Counter[str] = Counter()
    async with AsyncExitStack() as outage:

        class LastWord:
            async def report(
                self,
                report: reporter_pb2.ReportResultRequest,
                *,
                switches_off: bool,  # noqa: ARG002 - the port's
            ) -> None:
                if not tries:
                    tries[report.attempt_id] += 1
                    await outage.enter_async_context(database_away(house.engine))
                    return
                tries[report.attempt_id] += 1

        errors_before = STORE_ERRORS._value.get()  # noqa: SLF001
        async with running(
            DeliveryWorker(house.outbox, LastWord(), panel_pacing=QUICK, in_flight=3).run()
        ):
            await eventually(lambda: STORE_ERRORS._value.get() > errors_before + 1)  # noqa: SLF001
            await outage.aclose()
            await eventually(lambda: settled(house))
    assert tries == Counter(keys_of(reports))
