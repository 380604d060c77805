"""The gateway's only wiring: what starts when, and what stops before what."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import structlog

from ari_gateway.ari.errors import AriUnauthorized, AriUntrusted
from ari_gateway.ari.rest import AriAddress, AriRest
from ari_gateway.ari.tls import believing
from ari_gateway.asterisk import wait_for_asterisk
from ari_gateway.metrics import TASKS
from ari_gateway.parts import Gateway
from ari_gateway.service import CALLS, CallServicer
from ari_gateway.sessions.lease import Leadership, holder_name
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.store import session_store
from ari_gateway.settings import GatewaySettings
from salehi.calls.v1 import calls_pb2_grpc
from servicekit.errors import StartupError
from servicekit.server import GrpcService
from servicekit.service import Runtime, run_service
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

_LAST_RESULTS_S = 2.0
_FORGET_EVERY_S = 3600.0


async def _main(settings: GatewaySettings, runtime: Runtime[GatewaySettings]) -> None:
    address = _address(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(
            session_store(settings.session_store, settings.ari_app_name)
        )
        leadership = Leadership(store.leases, settings.ari_app_name, holder_name())
        if not await _leads(leadership, settings, runtime):
            return
        stack.push_async_callback(leadership.release)
        ari = await stack.enter_async_context(AriRest(address))
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
    loop = asyncio.get_running_loop()
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
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
    except AriUntrusted as error:
        raise StartupError(f"ARI_WS_URL={gateway.settings.ari_ws_url}: {error}") from error


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
        tls=believing(settings.ari_ca_file),
    )


def main() -> None:
    """Run the gateway."""
    run_service(
        "ari-gateway", GatewaySettings, _main, metrics_port_field="ari_gateway_metrics_port"
    )


if __name__ == "__main__":
    main()
