"""The reporter's only wiring."""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import AsyncExitStack
from typing import Protocol
from zoneinfo import ZoneInfo

import httpx
import structlog

from reporter.alert_sender import AlertSender
from reporter.alerts import AlertBook, AlertPlan
from reporter.archive import Archive
from reporter.breaker import BreakerRule, TrialPlan
from reporter.callbacks import CallbackRule, Callbacks
from reporter.command import run_command
from reporter.dead_letters import DeadLetters
from reporter.delivery import DeliveryWorker
from reporter.dialer_client import IDEMPOTENT, GrpcDialer
from reporter.dialer_client import SERVICE as DIALER_SERVICE
from reporter.erasing import Eraser
from reporter.intake import Intake
from reporter.keeper import BreakerKeeper, KeeperPlan
from reporter.ledger import Ledger, Recorded
from reporter.metrics import Gauger
from reporter.numbers import NumberForms
from reporter.outbox import Outbox
from reporter.panel import HttpPanel
from reporter.retention import RetentionRule, RetentionWorker
from reporter.service import SERVICE, Kept, ReporterServicer
from reporter.settings import ReporterSettings
from reporter.sms import Kavenegar, Melipayamak, SmsGateway
from salehi.reporter.v1 import reporter_pb2_grpc
from servicekit.channel import Peer
from servicekit.clock import SystemClock
from servicekit.database import open_database
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

# A delivery stays ours for so long after its request must have ended, to store what it came to.
_SETTLING_S = 30.0


def main() -> None:
    """Run the service, or the command that follows its name."""
    if len(sys.argv) > 1:
        sys.exit(run_command(sys.argv[1:]))
    run_service("reporter", ReporterSettings, serve, metrics_port_field="reporter_metrics_port")


async def serve(settings: ReporterSettings, runtime: Runtime[ReporterSettings]) -> None:
    """Build the reporter from its settings and run it until it is told to stop."""
    async with AsyncExitStack() as stack:
        engine = await open_database(settings.database_address, "reporter:migrations")
        stack.push_async_callback(engine.dispose)
        http = await stack.enter_async_context(_http_client(settings))
        peer = Peer(
            settings.dialer_address, DIALER_SERVICE, idempotent=IDEMPOTENT, tls=settings.tls
        )
        dialer = GrpcDialer(await stack.enter_async_context(peer))
        reporter = Reporter(settings, Storage(engine), http, dialer)
        await reporter.run(runtime)


class Worker(Protocol):
    """A task of the reporter's."""

    async def run(self) -> None:
        """Work until cancelled."""
        ...


class Reporter:
    """The parts of the reporter, put together."""

    def __init__(
        self,
        settings: ReporterSettings,
        storage: Storage,
        http: httpx.AsyncClient,
        dialer: GrpcDialer,
    ) -> None:
        clock = SystemClock()
        plan = AlertPlan(
            settings.sms_admins if settings.sms_enabled else (), settings.call_language
        )
        forms = NumberForms(settings.number_region)
        self._port = settings.reporter_port
        outbox = Outbox(storage, clock, lease_s=settings.http_timeout + _SETTLING_S)
        breaker_rule = BreakerRule(settings.fail_alert_threshold)
        self._intake = Intake(Ledger(storage, clock, breaker_rule, plan, CallbackRule(forms)))
        gateway = _sms_gateway(settings, http)
        self._alerts = AlertSender(AlertBook(storage, clock), gateway) if gateway else None
        panel = _panel(settings, http)
        self._deliveries = (
            DeliveryWorker(outbox, panel, alone=storage.is_private) if panel else None
        )
        keeping = KeeperPlan(
            name=f"{socket.gethostname()}:{settings.reporter_port}",
            trials=TrialPlan(settings.breaker_retry_after),
        )
        self._keeper = BreakerKeeper(storage, clock, dialer, plan, self._wake_alerts, keeping)
        self._retention = RetentionWorker(storage, clock, _retention_rule(settings))
        callbacks = Callbacks(storage, clock, forms)
        self._gauger = Gauger(storage, outbox, callbacks)
        letters = DeadLetters(storage, clock)
        kept = Kept(Archive(storage), letters, callbacks, Eraser(storage, forms), forms)
        self._servicer = ReporterServicer(self._intake.record, kept, self._follow_up)

    async def run(self, runtime: Runtime[ReporterSettings]) -> None:
        """Serve until told to stop; the workers end with the server."""
        service = GrpcService(
            SERVICE, reporter_pb2_grpc.add_ReporterServiceServicer_to_server, self._servicer
        )
        workers: list[Worker | None] = [
            self._intake,
            self._keeper,
            self._retention,
            self._gauger,
            self._deliveries,
            self._alerts,
        ]
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(worker.run()) for worker in workers if worker]
            await runtime.serve_grpc([service], port=self._port, setting="REPORTER_PORT")
            for task in running:
                task.cancel()

    def _follow_up(self, recorded: Recorded) -> None:
        if recorded.to_deliver and self._deliveries:
            self._deliveries.wake()
        if recorded.opened or recorded.passed:
            self._keeper.wake()
        if recorded.opened:
            self._wake_alerts()

    def _wake_alerts(self) -> None:
        if self._alerts:
            self._alerts.wake()


def _http_client(settings: ReporterSettings) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        timeout=settings.http_timeout,
        limits=httpx.Limits(max_connections=settings.http_max_connections),
        follow_redirects=False,  # a redirected POST would lose its body, and the panel its result
    )


def _panel(settings: ReporterSettings, http: httpx.AsyncClient) -> HttpPanel | None:
    if settings.panel_base_url is None or settings.panel_api_token is None:
        log.info("no panel is set (PANEL_BASE_URL), results are kept here")
        return None
    token = settings.panel_api_token.get_secret_value()
    zone = ZoneInfo(settings.timezone)
    return HttpPanel(http, settings.panel_base_url, token, zone, settings.http_timeout)


def _retention_rule(settings: ReporterSettings) -> RetentionRule:
    return RetentionRule(settings.results_retention_days, settings.transcripts_retention_days)


def _sms_gateway(settings: ReporterSettings, http: httpx.AsyncClient) -> SmsGateway | None:
    if settings.sms_api_key is None or not settings.sms_admins:
        log.info("no alerts by SMS are sent: set SMS_API_KEY, SMS_FROM and SMS_ADMINS for them")
        return None
    gateway = Kavenegar if settings.sms_provider == "kavenegar" else Melipayamak
    key = settings.sms_api_key.get_secret_value()
    return gateway(http, settings.sms_address, key, settings.sms_from or "")


if __name__ == "__main__":
    main()
