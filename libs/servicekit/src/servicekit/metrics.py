"""The Prometheus endpoint and the figures every service has: rate, errors, duration per RPC."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from prometheus_client import (
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)

from servicekit.errors import StartupError

# A second series for each counter and histogram, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call] # it is the library that lacks types

RPC_SERVER_SECONDS = Histogram(
    "salehi_rpc_server_seconds",
    "Time to serve one RPC",
    ["method", "code"],
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
RPC_SERVER_IN_FLIGHT = Gauge("salehi_rpc_server_in_flight", "RPCs being served", ["method"])
RPC_CLIENT_SECONDS = Histogram(
    "salehi_rpc_client_seconds",
    "Time until a peer answered one RPC",
    ["method", "code"],
    buckets=(0.001, 0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


def from_zero(figure: Counter | Histogram, *values: Iterable[str]) -> None:
    """Show a figure before it counts, under every combination of its labels' values.

    Prometheus sees by how much a figure grows, and not what it was when it first appeared: what is
    counted first would be missing from every sum.
    """
    for combination in itertools.product(*values):
        figure.labels(*combination)


def serve_metrics(host: str, port: int, setting: str) -> None:
    """Serve `/metrics` from a thread of its own for the life of the process.

    Raises:
        StartupError: the port is taken; names the setting.
    """
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        raise StartupError(
            f"{setting}={port} cannot be listened on ({error.strerror}): "
            "end the process that holds the port, or set another"
        ) from error
