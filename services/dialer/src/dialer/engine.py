"""The dialer put together: which loops run, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import structlog

from dialer import gateway, reporting, service
from dialer.campaign import Campaign
from dialer.claim import Claimer, Rules
from dialer.do_not_call_import import ListImporter
from dialer.erasing import Eraser
from dialer.gateway import Gateway
from dialer.importing import Importer, ImportRules
from dialer.ledger import Ledger
from dialer.numbers import DialTemplate
from dialer.panel import Panel
from dialer.panel_feed import Asking, PanelFeed
from dialer.pauses import PauseKind, lift
from dialer.placing import Placer, Trunk
from dialer.readiness import Readiness
from dialer.reconciling import Reconciler
from dialer.reporting import Reporter, ReportSender
from dialer.retries import RetryPolicy
from dialer.service import DialerServicer, Parts
from dialer.settings import DialerSettings
from dialer.starting import take_contacts_file, take_static
from dialer.status import StatusReader
from dialer.stopping import Stopper
from dialer.waking import Backoff, Bells, Trouble
from dialer.watching import Watcher
from salehi.dialer.v1.dialer_pb2_grpc import add_DialerServiceServicer_to_server
from servicekit.channel import Peer
from servicekit.clock import Clock, SystemClock
from servicekit.database import open_database
from servicekit.server import GrpcService
from servicekit.storage import Storage, StoreUnavailable

log = structlog.get_logger(__name__)

_LONGEST_STOP_S = 2.5
MIGRATIONS = "dialer:migrations"


@dataclass(frozen=True)
class _Outside:
    """What must be closed in the end."""

    storage: Storage
    gateway: Gateway
    reporter: Reporter
    panel: Panel | None


class Engine:
    """A dialer ready to run."""

    def __init__(self, settings: DialerSettings, outside: _Outside, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._storage = outside.storage
        self._bells = Bells()
        rules = Rules(
            settings.lines,
            settings.pace,
            settings.window,
            settings.min_gap_per_person * 1000,
            settings.operator_slots,
        )
        self._ledger = Ledger(
            self._storage,
            policy=RetryPolicy.parse(settings.retry_policy),
            plan=settings.plan,
            clock=clock,
            bells=self._bells,
            line_rests_s=settings.pace.line_rests_s,
        )
        self._campaign = self._make_campaign(outside.gateway, rules)
        self._watcher = Watcher(outside.gateway, self._ledger, bells=self._bells, clock=clock)
        self._reconciler = Reconciler(outside.gateway, self._ledger, bells=self._bells, clock=clock)
        self._sender = ReportSender(self._storage, outside.reporter, bells=self._bells, clock=clock)
        self._stopper = Stopper(outside.gateway, self._storage, clock)
        self._imports = settings.data_dir / "imports"
        self._importer = Importer(
            self._storage,
            ImportRules(settings.plan, settings.require_consent, self._imports, settings.columns),
            bells=self._bells,
            clock=clock,
        )
        self._status = StatusReader(self._storage, rules, clock)
        self._feed = self._make_feed(outside.panel)

    def service(self) -> GrpcService:
        """Give the gRPC service to serve."""
        plan = self._settings.plan
        parts = Parts(
            storage=self._storage,
            status=self._status,
            importer=self._importer,
            list_importer=ListImporter(self._storage, plan, self._imports, self._clock),
            eraser=Eraser(self._storage, plan),
            stopper=self._stopper,
            plan=plan,
            waiting_for=self._waiting_for,
            bells=self._bells,
            clock=self._clock,
        )
        return GrpcService(
            service.SERVICE, add_DialerServiceServicer_to_server, DialerServicer(parts)
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Run the campaign until told to stop; then nothing more is claimed.

        Requests to the gateway under way get two seconds to be answered; live calls are not
        touched, they are the gateway's.
        """
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(self._watcher.run()),
                group.create_task(self._reconciler.run()),
                group.create_task(self._sender.run()),
                group.create_task(self._status.run()),
                group.create_task(self._stopper.run()),
                group.create_task(self._bring_contacts()),
            ]
            if self._feed is not None:
                others.append(group.create_task(self._feed.run()))
            campaign = group.create_task(self._campaign.run())
            await stopping.wait()
            self._campaign.stop()
            await asyncio.wait([campaign], timeout=_LONGEST_STOP_S)
            for task in (campaign, *others):
                task.cancel()

    def _waiting_for(self) -> str:
        """Say why nothing is dialled; where only contacts are missing, the panel may know why."""
        reason = self._campaign.waiting_for
        if self._campaign.is_hungry and self._feed is not None:
            return self._feed.waiting_for or reason
        return reason

    def _make_campaign(self, gateway_: Gateway, rules: Rules) -> Campaign:
        settings = self._settings
        readiness = Readiness(gateway_, self._clock)
        patience = Backoff(self._clock)
        trunk = Trunk(
            settings.outbound_trunk,
            DialTemplate(settings.dial_template),
            settings.default_caller_id,
            settings.origination_timeout,
        )
        placer = Placer(
            gateway_,
            self._ledger,
            trunk,
            readiness=readiness,
            patience=patience,
            bells=self._bells,
            clock=self._clock,
        )
        return Campaign(
            Claimer(self._storage, rules, self._clock),
            placer,
            readiness=readiness,
            patience=patience,
            bells=self._bells,
            clock=self._clock,
        )

    def _make_feed(self, panel: Panel | None) -> PanelFeed | None:
        if panel is None:
            return None
        settings = self._settings
        asking = Asking(
            settings.dialer_batch_size, settings.dialer_default_retry, len(settings.lines)
        )
        return PanelFeed(
            panel,
            self._storage,
            settings.plan,
            asking=asking,
            bells=self._bells,
            clock=self._clock,
        )

    async def _bring_contacts(self) -> None:
        """Bring the contacts that are there from the start."""
        patience = Backoff(self._clock)
        trouble = Trouble("contacts wait for the database", "the database is back")
        while True:
            try:
                await self._take_contacts()
            except StoreUnavailable as error:
                trouble.on(error)
                patience.failed()
                await asyncio.sleep(patience.remaining_s())
            else:
                return

    async def _take_contacts(self) -> None:
        settings = self._settings
        if self._feed is None:
            async with self._storage.transaction() as connection:
                await lift(connection, [PauseKind.PANEL])  # nobody is left who would lift it
            if settings.static_contacts:
                await take_static(
                    self._storage, settings.plan, settings.static_contacts, self._clock
                )
        elif settings.static_contacts:
            log.info("STATIC_CONTACTS are not used: PANEL_BASE_URL is set")
        self._bells.dial.ring()
        if settings.contacts_file is not None:
            await take_contacts_file(self._importer, settings.contacts_file)


@asynccontextmanager
async def open_engine(settings: DialerSettings) -> AsyncIterator[Engine]:
    """Open database, channels and connections, and put the dialer together.

    Raises:
        StartupError: the database cannot be opened.
    """
    async with AsyncExitStack() as stack:
        database = await open_database(settings.database_address, MIGRATIONS)
        stack.push_async_callback(database.dispose)
        calls = await stack.enter_async_context(
            Peer(
                settings.ari_gateway_address,
                gateway.SERVICE,
                idempotent=gateway.IDEMPOTENT,
                tls=settings.tls,
            )
        )
        results = await stack.enter_async_context(
            Peer(
                settings.reporter_address,
                reporting.SERVICE,
                idempotent=reporting.IDEMPOTENT,
                tls=settings.tls,
            )
        )
        panel = None
        if settings.panel_base_url is not None:
            client = await stack.enter_async_context(_panel_client(settings))
            panel = Panel(client, timeout_s=settings.http_timeout, company=settings.panel_company)
        outside = _Outside(Storage(database), Gateway(calls), Reporter(results), panel)
        yield Engine(settings, outside, SystemClock())


def _panel_client(settings: DialerSettings) -> httpx.AsyncClient:
    token = settings.panel_api_token.get_secret_value() if settings.panel_api_token else ""
    return httpx.AsyncClient(
        base_url=settings.panel_base_url or "",
        headers={"Authorization": f"Bearer {token}"},
        timeout=settings.http_timeout,
        limits=httpx.Limits(max_connections=settings.http_max_connections),
    )
