"""The five services of the demo, and what they tell about the campaign."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from lab.errors import LabError
from lab.paths import REPOSITORY, LabPaths
from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.channel import Peer

_DEADLINE_S = 5.0
_STOP_S = 20.0
# The settings of whoever runs the demo must not change it.
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TMPDIR")


@dataclass(frozen=True)
class Progress:
    """The campaign at one moment."""

    status: dialer_pb2.GetStatusResponse
    calls: tuple[calls_pb2.Call, ...]
    results: tuple[reporter_pb2.ResultRecord, ...]


class Campaign:
    """The running services, asked through their contracts."""

    def __init__(self, calls: Peer, dialer: Peer, reporter: Peer) -> None:
        self._calls = calls_pb2_grpc.CallServiceStub(calls.channel)
        self._dialer = dialer_pb2_grpc.DialerServiceStub(dialer.channel)
        self._reporter = reporter_pb2_grpc.ReporterServiceStub(reporter.channel)

    async def progress(self) -> Progress | None:
        """Tell how the campaign stands; None while a service is still starting."""
        try:
            status = await self._dialer.GetStatus(
                dialer_pb2.GetStatusRequest(), timeout=_DEADLINE_S
            )
            calls = await self._calls.ListCalls(calls_pb2.ListCallsRequest(), timeout=_DEADLINE_S)
            results = await self._reporter.ListResults(
                reporter_pb2.ListResultsRequest(page_size=1000), timeout=_DEADLINE_S
            )
        except aio.AioRpcError:
            return None
        return Progress(status, tuple(calls.calls), tuple(results.results))


@dataclass
class Services:
    """The process that runs the five services.

    Attributes:
        output: file that holds what they print.
    """

    process: asyncio.subprocess.Process
    output: Path

    def must_run(self) -> None:
        """Raise LabError, with the services' own words, when they have ended."""
        if self.process.returncode is not None:
            lines = self.output.read_text(encoding="utf-8").strip().splitlines()
            said = [line for line in lines if ": " in line][-5:]
            raise LabError("the services ended:\n  " + "\n  ".join(said))


def prepare(paths: LabPaths, settings: dict[str, str]) -> Path:
    """Make the demo's directory anew and write its settings file; give the file."""
    home = paths.base / "demo"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    lines = paths.env_file.read_text(encoding="utf-8").rstrip("\n").splitlines()
    lines += [f"{key}={value}" for key, value in settings.items()]
    lines.append(f"DATA_DIR={home / 'data'}")
    env_file = home / "demo.env"
    env_file.touch(mode=0o600)
    env_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return env_file


def environment(env_file: Path) -> dict[str, str]:
    """Give the environment in which only the demo's settings hold."""
    kept = {key: os.environ[key] for key in _KEPT_ENVIRONMENT if key in os.environ}
    return {**kept, "ENV_FILE": str(env_file), "PYTHONUNBUFFERED": "1"}


async def sync_prompts(env_file: Path) -> None:
    """Render the prompts into the lab's Asterisk, as a user does by hand."""
    script = REPOSITORY / "scripts/sync_audio.sh"
    process = await asyncio.create_subprocess_exec(
        script,
        env=environment(env_file),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise LabError(f"the prompts could not be made: {said.decode().strip()}")


@asynccontextmanager
async def running_services(env_file: Path) -> AsyncIterator[Services]:
    """Run the five services for as long as the block lasts."""
    output = env_file.parent / "services.log"
    with output.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "servicekit.supervisor",
            env=environment(env_file),
            cwd=REPOSITORY,
            stdout=sink,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield Services(process, output)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


@asynccontextmanager
async def campaign(
    gateway: str = "127.0.0.1:50051",
    dialer_address: str = "127.0.0.1:50052",
    reporter_address: str = "127.0.0.1:50055",
) -> AsyncIterator[Campaign]:
    """Open the way to the services, on their usual ports unless told otherwise."""
    async with (
        Peer(gateway, "salehi.calls.v1.CallService") as calls,
        Peer(dialer_address, "salehi.dialer.v1.DialerService") as dialer,
        Peer(reporter_address, "salehi.reporter.v1.ReporterService") as reporter,
    ):
        yield Campaign(calls, dialer, reporter)
