"""The gRPC server every service runs: health, reflection, deadlines, graceful drain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from servicekit.errors import StartupError
from servicekit.interceptors import Watched
from servicekit.tls import TlsFiles, server_credentials

log = structlog.get_logger(__name__)

_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a taken port is an error, not a silent share of the calls
    ("grpc.max_connection_age_ms", 300_000),  # lets clients find new replicas
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
]


@dataclass(frozen=True)
class GrpcService:
    """One service to serve.

    Attributes:
        name: full name, for example `salehi.intent.v1.IntentService`.
        add: the generated `add_…Servicer_to_server`.
        servicer: its implementation.
    """

    name: str
    add: Callable[[Any, Any], None]
    servicer: object


class GrpcServer:
    """A running server. `start`, then `drain` exactly once."""

    def __init__(self, services: Sequence[GrpcService], tls: TlsFiles | None = None) -> None:
        """Make it; with `tls` only callers with a certificate of its CA are served.

        Raises:
            StartupError: the files of `tls` cannot be used.
        """
        self._credentials = server_credentials(tls) if tls else None
        self._health_server: aio.Server | None = None
        self._names = [service.name for service in services]
        self._health = HealthServicer()
        self._server = aio.server(options=_OPTIONS)
        for service in services:
            service.add(service.servicer, Watched(self._server))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            [*self._names, "grpc.health.v1.Health", reflection.SERVICE_NAME], self._server
        )

    async def start(self, host: str, port: int, setting: str) -> int:
        """Listen and report healthy; give the port (useful when 0 was asked for).

        Raises:
            StartupError: the port is taken; names the setting.
        """
        bound = _listen(self._server, f"{host}:{port}", setting, self._credentials)
        await self._server.start()
        await self.set_serving(serving=True)
        return bound

    async def start_health(self, host: str, port: int, setting: str) -> int:
        """Answer for our health in plain text on a port of its own, until the end of the drain.

        Raises:
            StartupError: the port is taken; names the setting.
        """
        self._health_server = aio.server(options=_OPTIONS)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._health_server)
        bound = _listen(self._health_server, f"{host}:{port}", setting)
        await self._health_server.start()
        return bound

    async def set_serving(self, *, serving: bool) -> None:
        """Tell balancers whether to send new calls here; open streams go on either way."""
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if serving
            else health_pb2.HealthCheckResponse.NOT_SERVING
        )
        for name in self._names:
            await self._health.set(name, status)
        # The overall name is what liveness asks: it stays SERVING while the process drains.
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def drain(self, grace_s: float) -> None:
        """Refuse new calls, let those under way finish for `grace_s` seconds, then stop."""
        await self.set_serving(serving=False)
        await self._server.stop(grace_s)
        if self._health_server:
            await self._health_server.stop(0)


def _listen(
    server: aio.Server,
    address: str,
    setting: str,
    credentials: grpc.ServerCredentials | None = None,
) -> int:
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except RuntimeError as error:
        port = address.rpartition(":")[2]
        raise StartupError(
            f"{setting}={port} cannot be listened on (address in use): "
            "end the process that holds the port, or set another"
        ) from error
