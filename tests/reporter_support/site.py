"""A reporter in a process of its own, as a user runs it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from grpc import aio

from reporter_support.panel import FakePanel
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from support.ports import free_port


@dataclass(frozen=True)
class Site:
    """Where a reporter lives: its directory and its ports, the same after a restart."""

    directory: Path
    port: int
    settings: dict[str, str]

    @asynccontextmanager
    async def started(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start the service and wait until it serves; kill what is left at the end."""
        process = await self.run()
        try:
            async with aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
                await asyncio.wait_for(channel.channel_ready(), 15)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def run(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start `python -m reporter` with the site's settings and nothing else."""
        environment = {"PATH": os.environ["PATH"], **self.settings}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "reporter",
            *arguments,
            cwd=self.directory,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def report(self, reports: list[reporter_pb2.ReportResultRequest]) -> None:
        """Report results."""
        async with aio.insecure_channel(f"127.0.0.1:{self.port}") as channel:
            stub = reporter_pb2_grpc.ReporterServiceStub(channel)
            for report in reports:
                await stub.ReportResult(report, timeout=5, wait_for_ready=True)


def site_at(directory: Path, panel: FakePanel) -> Site:
    """Make a reporter's home with the panel set."""
    port = free_port()
    settings = {
        "REPORTER_PORT": str(port),
        "REPORTER_METRICS_PORT": str(free_port()),
        "DIALER_ADDRESS": "127.0.0.1:1",
        "PANEL_BASE_URL": panel.server.url,
        "PANEL_API_TOKEN": "token",
        "HTTP_TIMEOUT": "1",
    }
    return Site(directory, port, settings)
