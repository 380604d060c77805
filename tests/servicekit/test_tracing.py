"""Traces reach a real OTLP receiver, in the trace their caller was in."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from grpc import aio
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from support.ports import free_port
from support.timing import eventually

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    """Keeps every span it is sent."""

    def __init__(self) -> None:
        self.spans: list[Any] = []

    async def Export(self, request: Any, _context: Any) -> Any:  # noqa: N802
        """Take spans."""
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return trace_service_pb2.ExportTraceServiceResponse()


async def test_spans_are_exported_in_their_callers_trace(tmp_path: Path) -> None:
    """A service with an OTLP endpoint exports the span of an RPC, as a child of the caller's."""
    receiver, server = Receiver(), aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(receiver, server)  # type: ignore[no-untyped-call]
    endpoint = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "intent",
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "INTENT_PORT": str(port),
            "INTENT_METRICS_PORT": str(free_port()),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{endpoint}",
        },
    )
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = intent_pb2_grpc.IntentServiceStub(channel)
        await stub.Classify(
            intent_pb2.ClassifyRequest(text="yes", language="en"),
            timeout=20,
            wait_for_ready=True,
            metadata=[("traceparent", f"00-{TRACE_ID}-b7ad6b7169203331-01")],
        )
    process.terminate()
    assert await process.wait() == 0
    await eventually(lambda: bool(receiver.spans))
    await server.stop(0)
    served = [span for span in receiver.spans if span.name.endswith("IntentService/Classify")]
    assert [span.trace_id.hex() for span in served] == [TRACE_ID]
    assert served[0].parent_span_id.hex() == "b7ad6b7169203331"
