"""The five services as processes with settings and ports of their own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import httpx
from dotenv import dotenv_values
from grpc import aio

from lab.demo.campaign import environment
from lab.paths import REPOSITORY
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer
from support.ports import free_port

PROGRAMS = Path(sys.executable).parent
SERVICES = ("speech", "intent", "reporter", "ari-gateway", "dialer")
PORTS = {
    "ari-gateway": "ARI_GATEWAY",
    "dialer": "DIALER",
    "speech": "SPEECH",
    "intent": "INTENT",
    "reporter": "REPORTER",
}


ROOM = {
    "MAX_CONCURRENT_CALLS": "50",
    "MAX_CALLS_PER_MINUTE": "1000",
    "OPERATOR_EXTENSIONS": "200:50",
    "FAIL_ALERT_THRESHOLD": "1000",
    "REQUIRE_CONSENT": "off",
    "RETRY_POLICY": "none",
}
"""Settings for many calls at once, technical failures among them, and contacts added meanwhile."""

NO_CAMPAIGN = "by hand"
"""Source of a contact that the dialer knows nothing of."""

MakeStack: TypeAlias = Callable[..., contextlib.AbstractAsyncContextManager["Stack"]]
"""Runs services with settings of the test's own, for as long as a block lasts."""


async def eventually(holds: Callable[[], Awaitable[bool]], *, within_s: float, what: str) -> None:
    """Wait until something holds; fail with `what` when it does not."""
    try:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise AssertionError(f"not within {within_s} s: {what}") from error


@dataclass
class Stack:
    """Running services; each can be killed and started alone.

    Attributes:
        home: directory of the settings, logs and databases.
        settings: what the services are told.
    """

    home: Path
    settings: dict[str, str]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def env_file(self) -> Path:
        """The settings file."""
        return self.home / "stack.env"

    def address(self, service: str) -> str:
        """Where a service listens."""
        return f"127.0.0.1:{self.settings[f'{PORTS[service]}_PORT']}"

    def output(self, service: str) -> str:
        """What a service has printed."""
        return (self.home / f"{service}.out").read_text(encoding="utf-8")

    @property
    def log(self) -> str:
        """What all services have logged."""
        return (self.home / "logs/app.log").read_text(encoding="utf-8")

    async def start(self, service: str, name: str = "", **settings: str) -> None:
        """Start one service; a second one of a kind needs a name, and settings of its own."""
        name = name or service
        with (self.home / f"{name}.out").open("ab") as out:
            self.processes[name] = await asyncio.create_subprocess_exec(
                PROGRAMS / service,
                env={**environment(self.env_file), **settings},
                cwd=REPOSITORY,
                stdout=out,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def end(self, service: str, signum: signal.Signals = signal.SIGTERM) -> int:
        """End one service; give its status."""
        process = self.processes.pop(service)
        if process.returncode is None:
            process.send_signal(signum)
        async with asyncio.timeout(20):
            return await process.wait()

    async def ends(self, service: str, *, within_s: float) -> int:
        """Wait until a service ends by itself; give its status."""
        async with asyncio.timeout(within_s):
            return await self.processes.pop(service).wait()

    async def says(self, service: str, words: str, *, times: int = 1) -> None:
        """Wait until a service has printed something so often."""

        async def said() -> bool:
            return self.output(service).count(words) >= times

        await eventually(said, within_s=30, what=f"{service} to say: {words}")

    @contextlib.asynccontextmanager
    async def calls(self) -> AsyncIterator[calls_pb2_grpc.CallServiceAsyncStub]:
        """Open the way to the gateway."""
        async with Peer(self.address("ari-gateway"), "salehi.calls.v1.CallService") as peer:
            yield calls_pb2_grpc.CallServiceStub(peer.channel)

    @contextlib.asynccontextmanager
    async def dialer(self) -> AsyncIterator[dialer_pb2_grpc.DialerServiceAsyncStub]:
        """Open the way to the dialer."""
        async with Peer(self.address("dialer"), "salehi.dialer.v1.DialerService") as peer:
            yield dialer_pb2_grpc.DialerServiceStub(peer.channel)

    async def results(self) -> list[reporter_pb2.ResultRecord]:
        """Give every result on record; none while the reporter is away."""
        name = "salehi.reporter.v1.ReporterService"
        async with Peer(self.address("reporter"), name) as peer:
            stub = reporter_pb2_grpc.ReporterServiceStub(peer.channel)
            request = reporter_pb2.ListResultsRequest(page_size=1000)
            found: list[reporter_pb2.ResultRecord] = []
            try:
                while True:
                    page = await stub.ListResults(request, timeout=5)
                    found += page.results
                    if not page.next_page_token:
                        return found
                    request.page_token = page.next_page_token
            except aio.AioRpcError:
                return []

    async def have_results(self, count: int, *, within_s: float) -> list[str]:
        """Wait for that many results; give them in words, sorted."""

        async def enough() -> bool:
            return len(await self.results()) >= count

        await eventually(enough, within_s=within_s, what=f"{count} results")
        return sorted(record.result for record in await self.results())

    async def live_calls(self) -> list[calls_pb2.Call]:
        """Give the live calls; none while the gateway is away."""
        async with self.calls() as stub:
            try:
                listed = await stub.ListCalls(calls_pb2.ListCallsRequest(), timeout=5)
            except aio.AioRpcError:
                return []
            return list(listed.calls)

    async def attempts(self) -> list[dialer_pb2.Attempt]:
        """Give every attempt of the dialer."""
        request = dialer_pb2.ListAttemptsRequest(page_size=1000)
        found: list[dialer_pb2.Attempt] = []
        async with self.dialer() as dialer:
            while True:
                page = await dialer.ListAttempts(request, timeout=10)
                found += page.attempts
                if not page.next_page_token:
                    return found
                request.page_token = page.next_page_token

    async def place(self, endpoint: str) -> None:
        """Ask the gateway itself for a call, without the dialer."""
        request = calls_pb2.PlaceCallRequest(
            attempt_id=str(uuid.uuid4()),
            endpoint=endpoint,
            ring_timeout_s=10,
            contact=calls_pb2.Contact(source=NO_CAMPAIGN),
        )
        async with self.calls() as stub:
            await stub.PlaceCall(request, timeout=10)

    async def reaches(
        self, state: calls_pb2.CallState.ValueType, *, within_s: float = 30
    ) -> calls_pb2.Call:
        """Wait until a live call is in a state; give it."""
        found: list[calls_pb2.Call] = []

        async def there() -> bool:
            found[:] = [call for call in await self.live_calls() if call.state == state]
            return bool(found)

        name = calls_pb2.CallState.Name(state)
        await eventually(there, within_s=within_s, what=f"a call in {name}")
        return found[0]

    async def ready(self) -> None:
        """Wait until the gateway would dial, and the dialer, where there is one, serves."""

        async def would_dial() -> bool:
            async with self.calls() as stub:
                try:
                    listed = await stub.ListCalls(calls_pb2.ListCallsRequest(), timeout=2)
                except aio.AioRpcError:
                    return False
                return bool(listed.ready_to_dial)

        await eventually(would_dial, within_s=60, what="the gateway to be ready to dial")
        if "dialer" in self.processes:
            async with self.dialer() as dialer:
                request = dialer_pb2.GetStatusRequest()
                await dialer.GetStatus(request, timeout=30, wait_for_ready=True)

    async def metrics(self, service: str) -> str:
        """Give what a service exports."""
        port = self.settings[f"{PORTS[service]}_METRICS_PORT"]
        async with httpx.AsyncClient(trust_env=False) as http:
            return (await http.get(f"http://127.0.0.1:{port}/metrics")).text


@contextlib.asynccontextmanager
async def stack(home: Path, lab_env: Path, *services: str, **settings: str) -> AsyncIterator[Stack]:
    """Run services (all five when none is named) on free ports until the block ends."""
    told = {
        **{key: value or "" for key, value in dotenv_values(lab_env).items()},
        "CALL_LANGUAGE": "en",
        "CALL_WINDOW": "00:00-24:00",
        "OUTBOUND_NUMBERS": "02191001001,02191001002",
        "OPERATOR_EXTENSION": "200",
        "ORIGINATION_TIMEOUT": "8",
        "LOG_DIR": str(home / "logs"),
        "DATA_DIR": str(home / "data"),
    }
    for prefix in PORTS.values():
        told[f"{prefix}_PORT"] = str(free_port())
        told[f"{prefix}_METRICS_PORT"] = str(free_port())
        told[f"{prefix}_ADDRESS"] = f"127.0.0.1:{told[f'{prefix}_PORT']}"
    told.update(settings)
    running = Stack(home, told)
    lines = "".join(f"{key}={value}\n" for key, value in told.items())
    running.env_file.write_text(lines, encoding="utf-8")
    try:
        for service in services or SERVICES:
            await running.start(service)
        yield running
    finally:
        for process in running.processes.values():
            if process.returncode is None:
                process.terminate()
        for process in running.processes.values():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(15):
                    await process.wait()
            if process.returncode is None:
                process.kill()
                await process.wait()
