"""Runs a simulated ARI as a real server, in a test's event loop or in a process of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from lab.simulated_ari.server import LONGEST_FRAME_BYTES, SimulatedAri


class _Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


def server_of(ari: SimulatedAri) -> _Server:
    """Make a server."""
    return _Server(
        uvicorn.Config(
            ari,
            ws="websockets-sansio",
            ws_max_size=LONGEST_FRAME_BYTES,
            ws_per_message_deflate=False,
            lifespan="off",
            log_level="critical",
            access_log=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=1,
        )
    )


@asynccontextmanager
async def serving(ari: SimulatedAri) -> AsyncIterator[int]:
    """Serve on a free port of this machine; yields the port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = server_of(ari)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await server.listening.wait()
            try:
                yield int(listener.getsockname()[1])
            finally:
                server.should_exit = server.force_exit = True
