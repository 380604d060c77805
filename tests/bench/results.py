"""Results taken in by the reporter, and delivered to a panel that accepts at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bench.measuring import Figure, Stopwatch, measure
from reporter.alerts import AlertPlan
from reporter.breaker import BreakerRule
from reporter.callbacks import CallbackRule
from reporter.delivery import DeliveryWorker
from reporter.intake import Intake
from reporter.ledger import Ledger
from reporter.numbers import NumberForms
from reporter.outbox import Outbox
from reporter_support.reports import report_of
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.clock import SystemClock
from servicekit.database import open_database
from servicekit.storage import Storage
from support.timing import running

_RESULTS_EACH = 1000
_AT_ONCE = 50


class _WillingPanel:
    """Accepts everything; says when it has enough."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self.is_full = asyncio.Event()

    async def report(self, _report: ReportResultRequest, *, switches_off: bool) -> None:
        """Accept a result."""
        assert not switches_off
        self._wanted -= 1
        if self._wanted == 0:
            self.is_full.set()


class ResultsBench:
    """A reporter on a fresh database."""

    def __init__(self, url: str, name: str, runs: int) -> None:
        self._url = url
        self._name = name
        self._runs = runs
        self._people = 0

    async def figures(self) -> AsyncIterator[Figure]:
        """Measure everything; each run of deliveries sends what one run of results left."""
        engine = await open_database(self._url, "reporter:migrations")
        try:
            storage, clock = Storage(engine), SystemClock()
            callback_rule = CallbackRule(NumberForms())
            breaker_rule, plan = BreakerRule(threshold=5), AlertPlan((), "en")
            ledger = Ledger(storage, clock, breaker_rule, plan, callback_rule)
            intake = Intake(ledger)
            async with running(intake.run()):
                yield await self._results(intake)
            yield await self._deliveries(intake, Outbox(storage, clock))
        finally:
            await engine.dispose()

    async def _results(self, intake: Intake) -> Figure:
        async def work() -> tuple[int, float]:
            return _RESULTS_EACH, await self._record(intake)

        what = f"results recorded, {_AT_ONCE} at once"
        return await measure(what, self._name, self._runs, work)

    async def _record(self, intake: Intake) -> float:
        """Record results; give how many seconds that took."""
        reports = iter([self._report() for _ in range(_RESULTS_EACH)])

        async def record() -> None:
            for report in reports:
                await intake.record(report)

        watch = Stopwatch()
        await asyncio.gather(*(record() for _ in range(_AT_ONCE)))
        return watch.seconds()

    async def _deliveries(self, intake: Intake, outbox: Outbox) -> Figure:
        await self._deliver(outbox, self._runs * _RESULTS_EACH)  # what the measuring before left

        async def work() -> tuple[int, float]:
            async with running(intake.run()):
                await self._record(intake)
            return _RESULTS_EACH, await self._deliver(outbox, _RESULTS_EACH)

        return await measure("results delivered to the panel", self._name, self._runs, work)

    async def _deliver(self, outbox: Outbox, count: int) -> float:
        """Deliver what waits; give how many seconds that took."""
        panel = _WillingPanel(count)
        worker = DeliveryWorker(outbox, panel)
        watch = Stopwatch()
        async with running(worker.run()):
            await panel.is_full.wait()
            return watch.seconds()

    def _report(self) -> ReportResultRequest:
        self._people += 1
        return report_of(number=f"+98912{self._people:07}", number_id=self._people)
