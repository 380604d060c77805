"""A channel that watches its RPCs, and whose certificate can be renewed.

gRPC reads a client's certificate only when a channel is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import grpc
from grpc import aio

from servicekit.interceptors import asking, listening
from servicekit.tls import Renewal, channel_credentials

Connect = Callable[[grpc.ChannelCredentials | None], aio.Channel]


class _Generation:
    """One channel with the certificate of its time, and the RPCs that use it."""

    def __init__(self, channel: aio.Channel) -> None:
        self.channel = channel
        self.calls = 0
        self.methods: dict[str, Any] = {}


class PeerChannel(aio.Channel):
    """Makes a new channel when the certificate is renewed; RPCs under way end on the old one.

    A unary call gives a coroutine of the answer, not gRPC's call object.
    """

    def __init__(self, connect: Connect, renewal: Renewal | None) -> None:
        self._connect = connect
        self._renewal = renewal
        self._now = self._generation()
        self._retired: set[_Generation] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def _generation(self) -> _Generation:
        credentials = channel_credentials(self._renewal.pems) if self._renewal else None
        return _Generation(self._connect(credentials))

    def _current(self) -> _Generation:
        if self._renewal and self._renewal.renew():
            old, self._now = self._now, self._generation()
            self._retired.add(old)
            self._close_idle(old)
        return self._now

    def _close_idle(self, generation: _Generation) -> None:
        if generation in self._retired and not generation.calls:
            self._retired.discard(generation)
            task = asyncio.get_running_loop().create_task(generation.channel.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _method(self, kind: str, name: str, *given: Any, **options: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            generation = self._current()
            method = generation.methods.get(name)
            if method is None:
                method = getattr(generation.channel, kind)(name, *given, **options)
                generation.methods[name] = method
            started = method(*args, **kwargs)
            generation.calls += 1

            def ended(_: object) -> None:
                generation.calls -= 1
                self._close_idle(generation)

            started.add_done_callback(ended)
            return started

        return call

    def unary_unary(self, method: str, *given: Any, **options: Any) -> Any:
        """Give what calls a method."""
        return asking(method, self._method("unary_unary", method, *given, **options))

    def unary_stream(self, method: str, *given: Any, **options: Any) -> Any:
        """Give what calls a method."""
        return listening(self._method("unary_stream", method, *given, **options))

    def stream_unary(self, method: str, *given: Any, **options: Any) -> Any:
        """Give what calls a method."""
        return self._method("stream_unary", method, *given, **options)

    def stream_stream(self, method: str, *given: Any, **options: Any) -> Any:
        """Give what calls a method."""
        return self._method("stream_stream", method, *given, **options)

    async def close(self, grace: float | None = None) -> None:
        """Close every channel there is; RPCs under way get `grace` seconds."""
        every = [self._now, *self._retired]
        self._retired.clear()
        for generation in every:
            await generation.channel.close(grace)
        await asyncio.gather(*self._closing)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:  # noqa: FBT001, FBT002 - gRPC's interface
        """Tell the state of the newest channel."""
        return self._now.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the newest channel's state is another one."""
        await self._now.channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the newest channel is connected."""
        await self._current().channel.channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
