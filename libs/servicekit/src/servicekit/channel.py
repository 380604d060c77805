"""The way to a peer service: one channel for the life of the process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import grpc
import structlog
from grpc import aio

from servicekit.renewing import PeerChannel
from servicekit.tls import Renewal, TlsFiles

log = structlog.get_logger(__name__)

_KEEPALIVE_MS = 60_000
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024


class Peer:
    """One peer service behind one channel.

    Give `peer.channel` to the generated stub and pass `timeout=` (seconds) on every unary call; a
    call without one is a ValueError. A unary call is sent when it is awaited. Calls of `idempotent`
    methods that find the peer UNAVAILABLE are repeated by gRPC, at most twice, within their
    deadline. Replicas behind one name are used in turn; one that is draining gets no new call.
    """

    def __init__(
        self,
        target: str,
        service: str,
        *,
        idempotent: Sequence[str] = (),
        tls: TlsFiles | None = None,
    ) -> None:
        """Make the channel; nothing is sent yet.

        Args:
            target: `host:port`, or any gRPC target such as `dns:///name:port`.
            service: full name, for example `salehi.intent.v1.IntentService`.
            idempotent: names of the methods that may be repeated.
            tls: our certificate and the CA of the peer's; None: plain text.

        Raises:
            StartupError: the files of `tls` cannot be used.
        """
        self.target = target
        self.service = service
        self._idempotent = idempotent
        self.channel = PeerChannel(self._connect, Renewal(tls) if tls else None)

    def _connect(self, credentials: grpc.ChannelCredentials | None) -> aio.Channel:
        options = _options(self.service, self._idempotent)
        if credentials is None:
            return aio.insecure_channel(self.target, options=options)
        return aio.secure_channel(self.target, credentials, options=options)

    async def wait_ready(self) -> None:
        """Wait until the peer is connected; say once in the log when that is not at once."""
        try:
            async with asyncio.timeout(1.0):
                await self.channel.channel_ready()
        except TimeoutError:
            log.info("waiting for a peer", peer=self.service, address=self.target)
            await self.channel.channel_ready()
            log.info("the peer is there", peer=self.service)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.channel.close()


def _options(service: str, idempotent: Sequence[str]) -> list[tuple[str, Any]]:
    return [
        ("grpc.service_config", _service_config(service, idempotent)),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.dns_min_time_between_resolutions_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
    ]


def _service_config(service: str, idempotent: Sequence[str]) -> str:
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": service},
    }
    if idempotent:
        config["methodConfig"] = [
            {
                "name": [{"service": service, "method": method} for method in idempotent],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.1s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    return json.dumps(config)
