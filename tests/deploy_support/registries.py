"""The metrics of all five services, in one registry for each service."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

Figure = Counter | Gauge | Histogram

MODULES = {
    "ari-gateway": "ari_gateway.metrics",
    "dialer": "dialer.metrics",
    "speech": "speech.metrics",
    "intent": "intent.metrics",
    "reporter": "reporter.metrics",
}
SHARED = "servicekit.metrics"


def figures_of(module: str) -> dict[str, Figure]:
    """Give a module's metrics by the name they are exported under."""
    return dict(_named(importlib.import_module(module)))


def _named(module: ModuleType) -> Iterator[tuple[str, Figure]]:
    for value in vars(module).values():
        if isinstance(value, Counter | Gauge | Histogram):
            (family,) = value.describe()
            yield (f"{family.name}_total" if isinstance(value, Counter) else family.name), value


def registry_of(service: str) -> CollectorRegistry:
    """Give a registry as the service's process has one."""
    registry = CollectorRegistry()
    for module in (MODULES[service], SHARED):
        for figure in figures_of(module).values():
            registry.register(figure)
    ProcessCollector(registry=registry)
    return registry
