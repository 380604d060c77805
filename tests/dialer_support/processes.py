"""Dialers as processes of their own, to be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from dialer import service
from salehi.dialer.v1 import dialer_pb2_grpc
from servicekit.channel import Peer
from support.ports import free_port


class DialerProcess:
    """A dialer with a directory, ports and settings of its own, whether it runs or not."""

    def __init__(self, directory: Path, gateway_port: int, **settings: str) -> None:
        directory.mkdir()
        self._directory = directory
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "DIALER_PORT": str(self.port),
            "DIALER_METRICS_PORT": str(free_port()),
            "ARI_GATEWAY_ADDRESS": f"127.0.0.1:{gateway_port}",
            "REPORTER_ADDRESS": "127.0.0.1:1",
            "OUTBOUND_TRUNK": "trunk",
            "CALL_WINDOW": "00:00-24:00",
            **settings,
        }

    async def start(self) -> None:
        """Start it; it may take a moment until it dials."""
        with self._output.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "dialer",
                cwd=self._directory,
                env=self._environment,
                stdout=output,
                stderr=output,
            )

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send it a signal and wait for its end; give its status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(how)
        return await self._process.wait()

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.returncode is None

    def written(self) -> str:
        """Give all it ever wrote, to its output and its log file."""
        files = [self._output, *self._directory.glob("logs/*.log*")]
        return "".join(path.read_text() for path in files if path.is_file())

    @contextlib.asynccontextmanager
    async def asked(self) -> AsyncIterator[dialer_pb2_grpc.DialerServiceAsyncStub]:
        """Give a client of it, once it serves."""
        async with Peer(f"127.0.0.1:{self.port}", service.SERVICE) as peer:
            try:
                async with asyncio.timeout(20):
                    await peer.channel.channel_ready()
            except TimeoutError as error:
                raise AssertionError(f"it does not serve: {self.written()[-3000:]}") from error
            yield dialer_pb2_grpc.DialerServiceStub(peer.channel)

    @property
    def _output(self) -> Path:
        return self._directory / "output"


@contextlib.asynccontextmanager
async def running_dialers(*dialers: DialerProcess) -> AsyncIterator[None]:
    """Run dialers during the block; afterwards none of them is left."""
    try:
        for dialer in dialers:
            await dialer.start()
        yield
    finally:
        for dialer in dialers:
            if dialer.is_running:
                await dialer.end()
