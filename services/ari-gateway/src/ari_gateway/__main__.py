"""Wires the gateway together."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ari_gateway.ari.errors import AriUnauthorized
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.asterisk import AsteriskState, wait_for_asterisk
from ari_gateway.backpressure import Backpressure
from ari_gateway.leftovers import end_leftovers
from ari_gateway.metrics import READY_TO_DIAL
from ari_gateway.prompts import PromptCheck
from ari_gateway.results import REPORTER, ResultOutbox
from ari_gateway.scenarios.registry import SCENARIOS
from ari_gateway.service import CALLS, CallServicer
from ari_gateway.sessions.admission import Admission
from ari_gateway.sessions.call import Tools
from ari_gateway.sessions.handover import OperatorDesk
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.listening import Listening
from ari_gateway.sessions.manager import SessionManager
from ari_gateway.settings import GatewaySettings
from ari_gateway.understanding import INTENT, SPEECH, Understanding
from salehi.calls.v1 import calls_pb2_grpc
from servicekit.channel import Peer
from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service

log = structlog.get_logger(__name__)

_LAST_RESULTS_S = 2.0
_FORGET_EVERY_S = 3600.0


class Gateway:
    """The gateway's parts, put together once."""

    def __init__(self, settings: GatewaySettings, ari: AriRest, ledger: Ledger) -> None:
        self.settings = settings
        self.ari = ari
        self.ledger = ledger
        self.speech = Peer(settings.speech_address, SPEECH)
        self.intent = Peer(settings.intent_address, INTENT, idempotent=("Classify",))
        self.reporter = Peer(settings.reporter_address, REPORTER, idempotent=("ReportResult",))
        self.pressure = Backpressure()
        self.outbox = ResultOutbox(ledger, self.reporter)
        self.prompts = PromptCheck(
            ari,
            sounds=self._sounds,
            prompts=sorted({name for known in SCENARIOS.values() for name in known.prompts}),
            sound_dir=settings.ast_sound_dir,
        )
        self.asterisk = AsteriskState(
            ari, lambda: self.manager, self.prompts, settings.ari_app_name
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
        if self.settings.operator_extension is None:
            return "OPERATOR_EXTENSION is not set: who should take the calls of the interested?"
        return self.asterisk.why_not_ready or self.prompts.why_not_ready

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
            ),
            listening=Listening(
                start_timeout_s=settings.listen_start_timeout,
                max_s=settings.listen_max,
                end_of_speech_ms=settings.end_of_speech_ms,
                talk_threshold=settings.talk_threshold,
            ),
            desk=OperatorDesk(
                extension=settings.operator_extension,
                trunk=settings.operator_trunk,
                fallback_caller_id=settings.operator_caller_id,
                ring_timeout_s=settings.operator_timeout,
            ),
            sounds=self._sounds,
            dispositions=settings.disposition_table,
        )

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
        )


async def _main(settings: GatewaySettings, runtime: Runtime[GatewaySettings]) -> None:
    async with AsyncExitStack() as stack:
        engine = await open_database(
            settings.session_store, "ari_gateway:migrations", setting="SESSION_STORE_URL"
        )
        stack.push_async_callback(engine.dispose)
        ari = await stack.enter_async_context(AriRest(_address(settings)))
        gateway = Gateway(settings, ari, Ledger(engine))
        for peer in (gateway.speech, gateway.intent, gateway.reporter):
            await stack.enter_async_context(peer)
        await wait_for_asterisk(
            ari,
            base_url=settings.ari_base_url,
            username=settings.ari_username,
            wait_s=settings.ari_startup_wait,
        )
        await end_leftovers(ari, gateway.ledger)
        await _run(gateway, runtime)


async def _run(gateway: Gateway, runtime: Runtime[GatewaySettings]) -> None:
    closed = asyncio.Event()
    settings = gateway.settings
    async with asyncio.TaskGroup() as tasks:
        sessions = tasks.create_task(gateway.manager.run(runtime.stopping))
        helpers = [
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
        except SQLAlchemyError as error:
            log.warning("old calls could not be forgotten", reason=type(error).__name__)
        await asyncio.sleep(_FORGET_EVERY_S)


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
    )


def main() -> None:
    """Run the gateway."""
    run_service(
        "ari-gateway", GatewaySettings, _main, metrics_port_field="ari_gateway_metrics_port"
    )


if __name__ == "__main__":
    main()
