"""OpenTelemetry: on when an OTLP endpoint is set, off otherwise.

No personal data leaves in a span: names and attributes hold none by rule, and of an exception only
its type is exported, since its text may quote what it failed on.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import structlog
from opentelemetry import context as contexts
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace.status import Status
from structlog.contextvars import bound_contextvars, get_contextvars

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

Metadata = Iterable[tuple[str, str | bytes]]

# A killed process takes with it the spans under way, and those that ended since the last export.
_EXPORT_EVERY_MS = 1000
# A collector that is away must not hold up the end of a process.
_EXPORT_TIMEOUT_S = 2.0
_ATTEMPT_ID = "attempt_id"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_EXCEPTION_TYPE = "exception.type"


def configure_tracing(service: str, endpoint: str | None) -> TracerProvider | None:
    """Export spans to an OTLP endpoint (gRPC), or keep tracing off when there is none."""
    if endpoint is None:
        return None
    # Two lives of one service are told apart by their instance.
    resource = {"service.name": service, "service.instance.id": str(uuid.uuid4())}
    provider = TracerProvider(resource=Resource.create(resource))
    provider.add_span_processor(AttemptNamer())
    # It repeats itself with every batch; ours says it once.
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
    otlp = OTLPSpanExporter(
        endpoint=endpoint,
        insecure=endpoint.startswith("http://"),
        timeout=_EXPORT_TIMEOUT_S,
    )
    batches = BatchSpanProcessor(DiscreetExporter(otlp), schedule_delay_millis=_EXPORT_EVERY_MS)
    provider.add_span_processor(batches)
    trace.set_tracer_provider(provider)
    return provider


# positions


def traceparent() -> str:
    """Give the current trace position as W3C `traceparent`; empty when tracing is off."""
    return _traceparent_in(None)


def callers_traceparent() -> str:
    """Give the position of who asked for the RPC being served; empty when that was in no trace.

    What outlives the RPC goes on from there: the RPC's own span is lost when this process dies.
    """
    span = trace.get_current_span()
    parent = span.parent if isinstance(span, ReadableSpan) else span.get_span_context()
    if parent is None:
        return ""
    return _traceparent_in(trace.set_span_in_context(trace.NonRecordingSpan(parent), Context()))


def begin_trace(name: str) -> str:
    """Begin a trace with a span that ends at once; give its position, empty when tracing is off."""
    with tracer.start_as_current_span(name, Context()):
        return traceparent()


def context_of(parent: str) -> Context:
    """Give the context a `traceparent` stands for; an empty one starts a new trace."""
    return propagate.extract({"traceparent": parent} if parent else {}, context=Context())


def context_from_metadata(metadata: Metadata | None) -> Context:
    """Give the caller's context out of gRPC metadata."""
    carrier = {key: value for key, value in metadata or () if isinstance(value, str)}
    return propagate.extract(carrier, context=Context())


def in_trace(context: Context | None = None) -> bool:
    """Whether a context, by default the current one, belongs to a trace."""
    return trace.get_current_span(context).get_span_context().is_valid


def exemplar_of(span: trace.Span) -> dict[str, str] | None:
    """Give the labels that lead from a measurement to its trace; None where none is exported."""
    context = span.get_span_context()
    if not (context.is_valid and context.trace_flags.sampled):
        return None
    return {"trace_id": trace.format_trace_id(context.trace_id)}


def _traceparent_in(context: Context | None) -> str:
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context)
    return carrier.get("traceparent", "")


# attempts


def of_attempt(attempt_id: str) -> AbstractContextManager[None]:
    """Name the attempt in all that the block logs or traces; what is no UUID names none."""
    known = {_ATTEMPT_ID: attempt_id} if _UUID.fullmatch(attempt_id) else {}
    return bound_contextvars(**known)


@contextmanager
def going_on(parent: str, attempt_id: str) -> Iterator[None]:
    """Go on from a `traceparent`: what the block logs or traces belongs there and to an attempt."""
    token = contexts.attach(context_of(parent))
    try:
        with of_attempt(attempt_id):
            yield
    finally:
        contexts.detach(token)


class AttemptNamer(SpanProcessor):
    """Gives each span the id of the attempt it was begun in."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the interface's
        """Name the attempt."""
        attempt_id = get_contextvars().get(_ATTEMPT_ID)
        if attempt_id is not None:
            span.set_attribute(_ATTEMPT_ID, attempt_id)


# what leaves


class DiscreetExporter(SpanExporter):
    """Exports spans without the texts of exceptions; says once when nobody takes them."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._taken = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export what may be told of these spans."""
        result = self._exporter.export([_discreet(span) for span in spans])
        taken = result is SpanExportResult.SUCCESS
        if self._taken and not taken:
            log.warning("traces are lost: does a collector answer at OTEL_EXPORTER_OTLP_ENDPOINT?")
        elif taken and not self._taken:
            log.info("traces are taken again")
        self._taken = taken
        return result

    def shutdown(self) -> None:
        """End."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand over everything within so many milliseconds."""
        return self._exporter.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    if not span.events and span.status.description is None:
        return span
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=[_without_text(event) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _without_text(event: Event) -> Event:
    attributes = event.attributes or {}
    told = {_EXCEPTION_TYPE: attributes[_EXCEPTION_TYPE]} if _EXCEPTION_TYPE in attributes else {}
    return Event(event.name, told, event.timestamp)
