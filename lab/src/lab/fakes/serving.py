"""Runs fakes as real servers, in a test's event loop or in a process of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import uvicorn

from lab.errors import LabError
from lab.fakes.base import Fake


class _Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def serving(fake: Fake) -> AsyncIterator[str]:
    """Serves a fake on a free port of this machine; yields its address, `http://127.0.0.1:port`."""
    with _listen("127.0.0.1", 0) as listener:
        server = _server(fake)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            await server.listening.wait()
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = server.force_exit = True


async def serve_all(fakes: Sequence[tuple[Fake, int]], host: str) -> None:
    """Serves each fake on its port until the process is told to stop.

    Raises:
        LabError: a port is taken.
    """
    listeners = [_listen(host, port) for _, port in fakes]
    async with asyncio.TaskGroup() as group:
        for (fake, _), listener in zip(fakes, listeners, strict=True):
            group.create_task(_server(fake).serve(sockets=[listener]))


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise LabError(
            f"port {port} of {host} cannot be listened on ({error.strerror}): "
            "end the process that holds it, or name another port"
        ) from error
    return listener


def _server(fake: Fake) -> _Server:
    config = uvicorn.Config(
        fake.app,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)
