"""OpenTelemetry: on when an OTLP endpoint is set, off otherwise."""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

Metadata = Iterable[tuple[str, str | bytes]]


def configure_tracing(service: str, endpoint: str | None) -> TracerProvider | None:
    """Export spans to an OTLP endpoint (gRPC), or keep tracing off when there is none."""
    if endpoint is None:
        return None
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=endpoint.startswith("http://"))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return provider


def traceparent() -> str:
    """Give the current trace position as W3C `traceparent`; empty when tracing is off."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return carrier.get("traceparent", "")


def context_of(parent: str) -> Context:
    """Give the context a `traceparent` stands for; an empty one starts a new trace."""
    return propagate.extract({"traceparent": parent} if parent else {}, context=Context())


def context_from_metadata(metadata: Metadata | None) -> Context:
    """Give the caller's context out of gRPC metadata."""
    carrier = {key: value for key, value in metadata or () if isinstance(value, str)}
    return propagate.extract(carrier, context=Context())
