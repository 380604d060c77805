"""Wires the gateway together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog

from ari_gateway.ari.errors import AriUnauthorized
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.asterisk import AsteriskState, wait_for_asterisk
from ari_gateway.backpressure import Backpressure
from ari_gateway.metrics import READY_TO_DIAL
from ari_gateway.prompts import PromptCheck
from ari_gateway.results import REPORTER, ResultOutbox
from ari_gateway.saturation import OriginateLatency
from ari_gateway.scenarios.registry import SCENARIOS
from ari_gateway.service import CALLS, CallServicer
from ari_gateway.sessions.admission import Admission
from ari_gateway.sessions.call import Filler, Tools
from ari_gateway.sessions.handover import OperatorDesk
from ari_gateway.sessions.lease import Leadership, holder_name
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.listening import Listening
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.sessions.rota import Rota
from ari_gateway.sessions.store import session_store
from ari_gateway.sessions.talk import Patience
from ari_gateway.settings import GatewaySettings
from ari_gateway.understanding import INTENT, SPEECH, Understanding
from salehi.calls.v1 import calls_pb2_grpc
from servicekit.channel import Peer
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

_LAST_RESULTS_S = 2.0
_FILLER = "moment"
_FORGET_EVERY_S = 3600.0


class Gateway:
    """The gateway's parts, put together once."""

    def __init__(
        self, settings: GatewaySettings, ari: AriRest, ledger: Ledger, leadership: Leadership
    ) -> None:
        self.settings = settings
        self.leadership = leadership
        self.ari = ari
        self.ledger = ledger
        self.speech = Peer(settings.speech_address, SPEECH)
        self.intent = Peer(settings.intent_address, INTENT, idempotent=("Classify",))
        self.reporter = Peer(settings.reporter_address, REPORTER, idempotent=("ReportResult",))
        self.pressure = Backpressure()
        ari.originate_took = OriginateLatency(self.pressure).took
        self.outbox = ResultOutbox(ledger, self.reporter)
        self.prompts = PromptCheck(
            ari,
            sounds=self._sounds,
            prompts=sorted({name for known in SCENARIOS.values() for name in known.prompts}),
            optional=[_FILLER],
            sound_dir=settings.ast_sound_dir,
        )
        self.asterisk = AsteriskState(
            ari, lambda: self.manager, ledger, self.prompts, settings.ari_app_name
        )
        self.manager = SessionManager(
            tools=self._tools(),
            ledger=ledger,
            admission=Admission(
                settings.room, why_not_ready=self.why_not_ready, pressure=self.pressure
            ),
            ended=self.outbox.wake,
        )
        self.manager.prompt_failed = self.prompts.check_again
        READY_TO_DIAL.set_function(lambda: 0 if self.manager.why_no_outbound() else 1)

    @property
    def _sounds(self) -> str:
        return f"sound:{self.settings.ast_sound_prefix}/{self.settings.call_language}"

    def why_not_ready(self) -> str:
        """Why no call can be led now; empty when all is well."""
        if not self.settings.seats:
            return "OPERATOR_EXTENSION is not set: who should take the calls of the interested?"
        return (
            self.leadership.why_not_ready
            or self.asterisk.why_not_ready
            or self.prompts.why_not_ready
        )

    def _tools(self) -> Tools:
        settings = self.settings
        return Tools(
            ari=self.ari,
            understanding=Understanding(
                self.speech,
                self.intent,
                pressure=self.pressure,
                language=settings.call_language,
                stt_timeout_s=settings.stt_timeout,
                llm_timeout_s=settings.llm_timeout,
                budget_s=settings.turn_budget,
            ),
            listening=Listening(
                start_timeout_s=settings.listen_start_timeout,
                max_s=settings.listen_max,
                patience=Patience(settings.end_of_speech_ms, settings.end_of_short_speech_ms),
                talk_threshold=settings.talk_threshold,
                barge_in_window_s=settings.barge_in_window,
            ),
            desk=OperatorDesk(
                rota=Rota(settings.seats),
                trunk=settings.operator_trunk,
                fallback_caller_id=settings.operator_caller_id,
                ring_timeout_s=settings.operator_timeout,
                tries=settings.operator_tries,
                wait_s=settings.operator_wait,
            ),
            sounds=self._sounds,
            filler=self._filler,
            dispositions=settings.disposition_table,
        )

    @property
    def _filler(self) -> Filler | None:
        if not self.settings.filler_after:
            return None
        return Filler(_FILLER, self.settings.filler_after, lambda: self.prompts.can_play(_FILLER))

    def link(self) -> EventLink:
        """Make the link to Asterisk's events."""
        settings = self.settings
        return EventLink(
            LinkAddress(
                url=settings.ari_ws_url,
                username=settings.ari_username,
                password=settings.ari_password.get_secret_value(),
                app=settings.ari_app_name,
                timeout_s=settings.ari_timeout,
            ),
            LinkHandlers(self.asterisk.on_up, self.asterisk.on_down, self.asterisk.on_event),
            self.ari.websocket,
        )


async def _main(settings: GatewaySettings, runtime: Runtime[GatewaySettings]) -> None:
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            session_store(settings.session_store, settings.ari_app_name)
        )
        leadership = Leadership(store.leases, settings.ari_app_name, holder_name())
        if not await _leads(leadership, settings, runtime):
            return
        stack.push_async_callback(leadership.release)
        ari = await stack.enter_async_context(AriRest(_address(settings)))
        gateway = Gateway(settings, ari, store.ledger, leadership)
        for peer in (gateway.speech, gateway.intent, gateway.reporter):
            await stack.enter_async_context(peer)
        async with asyncio.TaskGroup() as tasks:
            lease = tasks.create_task(_keep_lease(gateway))
            await wait_for_asterisk(
                ari,
                base_url=settings.ari_base_url,
                username=settings.ari_username,
                wait_s=settings.ari_startup_wait,
            )
            await _run(gateway, runtime)
            lease.cancel()


async def _leads(
    leadership: Leadership, settings: GatewaySettings, runtime: Runtime[GatewaySettings]
) -> bool:
    """Take the lease of the application; False when told to stop before it came free."""
    acquiring = asyncio.create_task(leadership.acquire(standby=settings.standby))
    stopping = asyncio.create_task(runtime.stopping.wait())
    await asyncio.wait({acquiring, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not acquiring.done():
        acquiring.cancel()
        await asyncio.wait({acquiring})
        return False
    await acquiring
    return True


async def _run(gateway: Gateway, runtime: Runtime[GatewaySettings]) -> None:
    closed = asyncio.Event()
    settings = gateway.settings
    async with asyncio.TaskGroup() as tasks:
        sessions = tasks.create_task(gateway.manager.run(runtime.stopping))
        helpers = [
            tasks.create_task(gateway.asterisk.run()),
            tasks.create_task(_link(gateway)),
            tasks.create_task(gateway.prompts.run()),
            tasks.create_task(gateway.outbox.run()),
            tasks.create_task(_forget_old(gateway.ledger)),
        ]
        await _first_link(gateway)
        servicer = CallServicer(gateway.manager, gateway.ledger, gateway.manager.why_no_outbound)
        serving = tasks.create_task(
            runtime.serve_grpc(
                [GrpcService(CALLS, calls_pb2_grpc.add_CallServiceServicer_to_server, servicer)],
                port=settings.ari_gateway_port,
                setting="ARI_GATEWAY_PORT",
                drain_s=0.5,
                until=closed,
            )
        )
        await runtime.stopping.wait()
        await _drain(gateway, sessions)
        closed.set()
        await gateway.manager.feed.close()
        await serving
        for helper in helpers:
            helper.cancel()


async def _drain(gateway: Gateway, sessions: asyncio.Task[None]) -> None:
    """Let live calls go on for DRAIN_TIMEOUT, end the rest, and hand over the last results."""
    live = len(gateway.manager.live)
    if live:
        log.info("stopping; live calls go on first", live=live)
        await asyncio.wait({sessions}, timeout=gateway.settings.drain_timeout)
        gateway.manager.hang_up_all("gateway_stopped")
    await sessions
    gateway.outbox.wake()
    try:
        async with asyncio.timeout(_LAST_RESULTS_S):
            await gateway.outbox.flushed()
    except TimeoutError:
        log.warning("some results wait for the reporter; they are kept for the next start")


async def _forget_old(ledger: Ledger) -> None:
    while True:
        try:
            await ledger.forget_old()
        except StoreUnavailable as error:
            log.warning("old calls could not be forgotten", reason=str(error))
        await asyncio.sleep(_FORGET_EVERY_S)


async def _keep_lease(gateway: Gateway) -> None:
    try:
        await gateway.leadership.keep()
    except StartupError:
        gateway.manager.abandon_all()
        raise


async def _link(gateway: Gateway) -> None:
    try:
        await gateway.link().run()
    except AriUnauthorized as error:
        settings = gateway.settings
        raise StartupError(
            f"ARI_USERNAME={settings.ari_username} or ARI_PASSWORD is refused by "
            f"ARI_WS_URL={settings.ari_ws_url}: set them to a user of ari.conf"
        ) from error


async def _first_link(gateway: Gateway) -> None:
    settings = gateway.settings
    try:
        async with asyncio.timeout(max(settings.ari_startup_wait, 1)):
            await gateway.asterisk.linked()
    except TimeoutError as error:
        raise StartupError(
            f"ARI_WS_URL={settings.ari_ws_url} cannot be connected, while ARI_BASE_URL answers: "
            "set the address of Asterisk's events"
        ) from error


def _address(settings: GatewaySettings) -> AriAddress:
    return AriAddress(
        base_url=settings.ari_base_url,
        username=settings.ari_username,
        password=settings.ari_password.get_secret_value(),
        app=settings.ari_app_name,
        timeout_s=settings.ari_timeout,
        max_connections=settings.http_max_connections,
        over_websocket=settings.ari_rest_over_websocket,
    )


def main() -> None:
    """Run the gateway."""
    run_service(
        "ari-gateway", GatewaySettings, _main, metrics_port_field="ari_gateway_metrics_port"
    )


if __name__ == "__main__":
    main()
