"""Traces reach a real OTLP receiver, in the trace their caller was in, and tell of no person."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpc import aio
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from e2e_support.otlp import otlp_receiver
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from servicekit.tracing import (
    AttemptNamer,
    DiscreetExporter,
    callers_traceparent,
    context_of,
    exemplar_of,
    of_attempt,
)
from support.ports import free_port

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
POSITION = f"00-{TRACE_ID}-b7ad6b7169203331-01"
ATTEMPT_ID = str(uuid.uuid4())


@asynccontextmanager
async def intent_service(
    home: Path, endpoint: str
) -> AsyncIterator[tuple[intent_pb2_grpc.IntentServiceAsyncStub, asyncio.subprocess.Process]]:
    """Run the intent service; give the way to it, and its process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "intent",
        cwd=home,
        env={
            "PATH": "/usr/bin:/bin",
            "INTENT_PORT": str(port),
            "INTENT_METRICS_PORT": str(free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        },
    )
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield intent_pb2_grpc.IntentServiceStub(channel), process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask(stub: intent_pb2_grpc.IntentServiceAsyncStub, *, traceparent: str = "") -> None:
    """Have something classified, from within a trace or not."""
    await stub.Classify(
        intent_pb2.ClassifyRequest(text="yes", language="en", attempt_id=ATTEMPT_ID),
        timeout=20,
        wait_for_ready=True,
        metadata=[("traceparent", traceparent)] if traceparent else None,
    )


async def test_spans_are_exported_in_their_callers_trace(tmp_path: Path) -> None:
    """An RPC's span is a child of the caller's and names the attempt; a poll has no span."""
    async with (
        otlp_receiver() as receiver,
        intent_service(tmp_path, receiver.endpoint) as (stub, process),
    ):
        await ask(stub)
        await ask(stub, traceparent=POSITION)
        process.terminate()
        assert await process.wait() == 0
    (served,) = receiver.spans
    assert served.name.endswith("IntentService/Classify")
    assert served.trace_id == TRACE_ID
    assert served.parent_id == "b7ad6b7169203331"
    assert served.attributes == {"attempt_id": ATTEMPT_ID, "rpc.response.status_code": "OK"}


async def test_a_collector_that_is_away_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """With spans to send and nobody to take them, a service ends within the time of one try."""
    async with intent_service(tmp_path, f"http://127.0.0.1:{free_port()}") as (stub, process):
        await ask(stub, traceparent=POSITION)
        process.terminate()
        async with asyncio.timeout(6):  # the exporter's own patience is ten seconds
            assert await process.wait() == 0


@pytest.fixture
def exported() -> InMemorySpanExporter:
    """Give what would leave."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> trace.Tracer:
    """Give a tracer that exports as services do."""
    provider = TracerProvider()
    provider.add_span_processor(AttemptNamer())
    provider.add_span_processor(SimpleSpanProcessor(DiscreetExporter(exported)))
    return provider.get_tracer("test")


def test_texts_of_exceptions_do_not_leave(
    tracer: trace.Tracer, exported: InMemorySpanExporter
) -> None:
    """Of an exception its type is exported; its text, which may quote a number, stays here."""
    with pytest.raises(ValueError, match="989121234567"), tracer.start_as_current_span("work"):
        raise ValueError("cannot call +989121234567")
    (span,) = exported.get_finished_spans()
    assert span.name == "work"
    assert span.status.status_code is trace.StatusCode.ERROR
    assert [dict(event.attributes or {}) for event in span.events] == [
        {"exception.type": "ValueError"}
    ]
    assert "989121234567" not in span.to_json()


def test_spans_name_their_attempt(tracer: trace.Tracer, exported: InMemorySpanExporter) -> None:
    """A span carries the attempt's id, and nothing that only stands where an id should."""
    for attempt_id in (ATTEMPT_ID, "09121234567", ""):
        with of_attempt(attempt_id), tracer.start_as_current_span("work"):
            pass
    attributes = [dict(span.attributes or {}) for span in exported.get_finished_spans()]
    assert attributes == [{"attempt_id": ATTEMPT_ID}, {}, {}]


def test_what_outlives_an_rpc_goes_on_from_its_caller(tracer: trace.Tracer) -> None:
    """The position of whoever asked is given, not that of the span that answers him."""
    with tracer.start_as_current_span("serve", context_of(POSITION)):
        assert callers_traceparent() == POSITION
    with tracer.start_as_current_span("serve", context_of("")):
        assert callers_traceparent() == ""


def test_only_exported_traces_are_exemplars(tracer: trace.Tracer) -> None:
    """A measurement leads to its trace, unless that was not sampled or there is none."""
    sampled = trace.get_current_span(context_of(POSITION))
    unsampled = trace.get_current_span(context_of(POSITION.removesuffix("01") + "00"))
    assert exemplar_of(sampled) == {"trace_id": TRACE_ID}
    assert exemplar_of(unsampled) is None
    assert exemplar_of(trace.INVALID_SPAN) is None
