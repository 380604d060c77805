"""A real OTLP receiver, and the traces it was sent as trees."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage


@dataclass(frozen=True)
class Span:
    """One span as it was received.

    Attributes:
        instance: which life of its service it comes from.
        parent_id: empty for the root of a trace.
        links: ids of the spans it is linked to.
        message: all of it.
    """

    service: str
    instance: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    message: SpanMessage

    @property
    def took_s(self) -> float:
        """How long it lasted, seconds."""
        return (self.message.end_time_unix_nano - self.message.start_time_unix_nano) / 1e9


@dataclass
class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span it is sent.

    Attributes:
        endpoint: its address, as a service is told.
    """

    spans: list[Span] = field(default_factory=list)
    endpoint: str = ""

    async def Export(  # noqa: N802 - the protocol's name
        self, request: trace_service_pb2.ExportTraceServiceRequest, _context: object
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take spans."""
        for resource_spans in request.resource_spans:
            about = _values(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                self.spans += [_span(about, message) for message in scope_spans.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def named(self, name: str) -> list[Span]:
        """Give the spans of a name, in the order they came."""
        return [span for span in self.spans if span.name == name]

    def trace(self, trace_id: str) -> list[Span]:
        """Give the spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]


def tree(
    spans: Iterable[Span], shown: Callable[[Span], str] = lambda span: f"{span.service} {span.name}"
) -> str:
    """Draw spans as a tree, one line each, children indented and in the order they began.

    Whatever has no parent among them stands at the left.
    """
    began = sorted(spans, key=lambda span: span.message.start_time_unix_nano)
    ids = {span.span_id for span in began}

    def below(parent_id: str, depth: int) -> list[str]:
        return [
            line
            for span in began
            if span.parent_id == parent_id
            for line in ("  " * depth + shown(span), *below(span.span_id, depth + 1))
        ]

    tops = dict.fromkeys(span.parent_id for span in began if span.parent_id not in ids)
    return "\n".join(line for top in tops for line in below(top, 0)) + "\n"


@asynccontextmanager
async def otlp_receiver() -> AsyncIterator[Receiver]:
    """Receive spans while the block runs."""
    receiver, server = Receiver(), aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield receiver
    finally:
        await server.stop(0)


def _span(about: dict[str, Any], message: SpanMessage) -> Span:
    return Span(
        service=about["service.name"],
        instance=about["service.instance.id"],
        name=message.name,
        trace_id=message.trace_id.hex(),
        span_id=message.span_id.hex(),
        parent_id=message.parent_span_id.hex(),
        links=tuple(link.span_id.hex() for link in message.links),
        attributes=_values(message.attributes),
        message=message,
    )


def _values(attributes: Iterable[Any]) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
