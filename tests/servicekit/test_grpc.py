"""The gRPC server and the way to a peer: health, deadlines, traces, errors, drain."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import REGISTRY
from prometheus_client.samples import Sample

from salehi.calls.v1 import calls_pb2, calls_pb2_grpc
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from servicekit.channel import Peer
from servicekit.errors import StartupError
from servicekit.server import GrpcServer, GrpcService

NAME = "salehi.intent.v1.IntentService"
METHOD = f"/{NAME}/Classify"
CALLS = "salehi.calls.v1.CallService"
WAITS_S = {"slow": 0.3, "endless": 60}


class Calls(calls_pb2_grpc.CallServiceServicer):
    """Streams one change, then fails."""

    def __init__(self) -> None:
        self.metadata: list[tuple[str, str | bytes]] = []

    async def WatchCalls(  # noqa: N802
        self, _: calls_pb2.WatchCallsRequest, context: aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[calls_pb2.WatchCallsResponse]:
        """Give one message."""
        self.metadata += context.invocation_metadata() or ()
        yield calls_pb2.WatchCallsResponse(sequence=7)
        raise RuntimeError("the caller said: secret words")


class Servicer(intent_pb2_grpc.IntentServiceServicer):
    """Answers as a test wants, and keeps what it saw."""

    def __init__(self) -> None:
        self.calls = Calls()  # type: ignore[abstract]  # nothing else is asked
        self.trace_ids: list[int] = []
        self.metadata: list[tuple[str, str | bytes]] = []
        self.asked = 0
        self.fail_first = 0

    async def Classify(  # noqa: N802
        self, request: intent_pb2.ClassifyRequest, context: aio.ServicerContext[Any, Any]
    ) -> intent_pb2.ClassifyResponse:
        """Answer one request."""
        self.asked += 1
        self.metadata += context.invocation_metadata() or ()
        self.trace_ids.append(trace.get_current_span().get_span_context().trace_id)
        if request.text == "raise":
            raise RuntimeError("the caller said: secret words")
        if self.asked <= self.fail_first:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        if request.text in WAITS_S:
            await asyncio.sleep(WAITS_S[request.text])
        return intent_pb2.ClassifyResponse(intent=intent_pb2.INTENT_YES)


@asynccontextmanager
async def served(servicer: Servicer) -> AsyncIterator[tuple[GrpcServer, int]]:
    """Serve on a free port."""
    server = GrpcServer(
        [
            GrpcService(NAME, intent_pb2_grpc.add_IntentServiceServicer_to_server, servicer),
            GrpcService(CALLS, calls_pb2_grpc.add_CallServiceServicer_to_server, servicer.calls),
        ]
    )
    port = await server.start("127.0.0.1", 0, "TEST_PORT")
    try:
        yield server, port
    finally:
        await server.drain(0)


def ask(peer: Peer, text: str, timeout: float | None = 5) -> Any:
    """Ask the peer."""
    stub = intent_pb2_grpc.IntentServiceStub(peer.channel)
    return stub.Classify(intent_pb2.ClassifyRequest(text=text), timeout=timeout)


async def test_a_call_without_a_deadline_is_refused() -> None:
    """A unary call without a timeout is a programming error, raised before anything is sent."""
    servicer = Servicer()
    async with served(servicer) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        with pytest.raises(ValueError, match="without a deadline"):
            await ask(peer, "yes", timeout=None)
    assert servicer.asked == 0


async def test_the_trace_crosses_the_call() -> None:
    """The server's span belongs to the trace the client was in."""
    tracer = TracerProvider().get_tracer("test")
    servicer = Servicer()
    async with served(servicer) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        with tracer.start_as_current_span("campaign") as span:
            await ask(peer, "yes")
    assert servicer.trace_ids == [span.get_span_context().trace_id]


async def test_a_callers_metadata_is_kept_beside_the_trace() -> None:
    """What a caller sends along arrives together with the trace it is in, on streams too."""
    tracer = TracerProvider().get_tracer("test")
    servicer = Servicer()
    async with served(servicer) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        stub = intent_pb2_grpc.IntentServiceStub(peer.channel)
        watch = calls_pb2_grpc.CallServiceStub(peer.channel).WatchCalls
        with tracer.start_as_current_span("campaign") as span:
            await stub.Classify(
                intent_pb2.ClassifyRequest(text="yes"), timeout=5, metadata=[("key", "kept")]
            )
            async for _message in watch(calls_pb2.WatchCallsRequest(), metadata=[("key", "kept")]):
                break
    trace_id = trace.format_trace_id(span.get_span_context().trace_id)
    for metadata in (dict(servicer.metadata), dict(servicer.calls.metadata)):
        assert metadata["key"] == "kept"
        assert str(metadata["traceparent"]).split("-")[1] == trace_id


async def test_a_stream_that_fails_leaks_nothing_and_is_counted() -> None:
    """A stream gives its messages, then INTERNAL without the exception's text, counted once."""
    labels = {"method": f"/{CALLS}/WatchCalls", "code": "INTERNAL"}
    count = "salehi_rpc_server_seconds_count"
    before = REGISTRY.get_sample_value(count, labels) or 0.0
    async with served(Servicer()) as (_, port), Peer(f"127.0.0.1:{port}", CALLS) as peer:
        stub = calls_pb2_grpc.CallServiceStub(peer.channel)
        watch = stub.WatchCalls(calls_pb2.WatchCallsRequest())
        assert (await anext(aiter(watch))).sequence == 7
        with pytest.raises(aio.AioRpcError) as error:
            await anext(aiter(watch))
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (error.value.details() or "")
    assert REGISTRY.get_sample_value(count, labels) == before + 1


async def test_an_unexpected_error_leaks_nothing() -> None:
    """A handler's exception is INTERNAL to the client, without its text."""
    async with served(Servicer()) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        with pytest.raises(aio.AioRpcError) as error:
            await ask(peer, "raise")
    assert error.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (error.value.details() or "")


async def test_every_rpc_is_counted_by_how_it_ended() -> None:
    """An answer, a failure and a caller who waits no longer each count once, on either side."""

    def count(side: str, code: str) -> float:
        labels = {"method": METHOD, "code": code}
        return REGISTRY.get_sample_value(f"salehi_rpc_{side}_seconds_count", labels) or 0.0

    ends = [
        *(("server", code) for code in ("OK", "INTERNAL", "CANCELLED")),
        *(("client", code) for code in ("OK", "INTERNAL", "DEADLINE_EXCEEDED", "CANCELLED")),
    ]
    before = [count(*end) for end in ends]
    servicer = Servicer()
    async with served(servicer) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        await ask(peer, "yes")
        with pytest.raises(aio.AioRpcError):
            await ask(peer, "raise")
        with pytest.raises(aio.AioRpcError):
            await ask(peer, "endless", timeout=0.1)
        async with asyncio.timeout(20):
            while count("server", "CANCELLED") == before[2]:  # the server notices a little later
                await asyncio.sleep(0.01)
            impatient = asyncio.ensure_future(ask(peer, "endless", timeout=60))
            while servicer.asked < 4:
                await asyncio.sleep(0.01)
            impatient.cancel()
            while count("server", "CANCELLED") == before[2] + 1:
                await asyncio.sleep(0.01)
    counted = [count(*end) - was for end, was in zip(ends, before, strict=True)]
    assert counted == [1, 1, 2, 1, 1, 1, 1]
    assert REGISTRY.get_sample_value("salehi_rpc_server_in_flight", {"method": METHOD}) == 0


async def test_an_idempotent_call_is_repeated_when_the_peer_was_away() -> None:
    """UNAVAILABLE is repeated for methods named idempotent, and only for these."""
    patient, plain = Servicer(), Servicer()
    patient.fail_first = plain.fail_first = 1
    async with (
        served(patient) as (_, port),
        Peer(f"127.0.0.1:{port}", NAME, idempotent=("Classify",)) as peer,
    ):
        await ask(peer, "yes")
    async with served(plain) as (_, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        with pytest.raises(aio.AioRpcError):
            await ask(peer, "yes")
    assert (patient.asked, plain.asked) == (2, 1)


async def test_health_and_reflection_are_served() -> None:
    """Health answers for the service and reflection lists it; neither is counted as work."""
    async with (
        served(Servicer()) as (_, port),
        aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        Peer(f"127.0.0.1:{port}", NAME) as peer,
    ):
        await ask(peer, "yes")
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest(service=NAME), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)  # type: ignore[arg-type]
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [a async for a in reflection.ServerReflectionInfo(iter([request]), timeout=5)]
        names = [found.name for found in answers[0].list_services_response.service]
        assert NAME in names
    methods = {sample.labels.get("method", "") for sample in _samples()}
    assert METHOD in methods
    assert not any(method.startswith("/grpc.") for method in methods)


def _samples() -> Iterator[Sample]:
    return (sample for metric in REGISTRY.collect() for sample in metric.samples)


async def test_a_draining_server_finishes_what_it_has() -> None:
    """Drain refuses new calls and lets the one under way finish."""
    async with served(Servicer()) as (server, port), Peer(f"127.0.0.1:{port}", NAME) as peer:
        await ask(peer, "yes")
        under_way = asyncio.ensure_future(ask(peer, "slow"))
        await asyncio.sleep(0.1)
        await server.drain(5)
        assert (await under_way).intent == intent_pb2.INTENT_YES
        with pytest.raises(aio.AioRpcError):
            await ask(peer, "yes", timeout=1)


async def test_a_taken_port_is_named() -> None:
    """A taken port is one line that names the setting and the port."""
    async with served(Servicer()) as (_, port):
        second = GrpcServer(
            [GrpcService(NAME, intent_pb2_grpc.add_IntentServiceServicer_to_server, Servicer())]
        )
        with pytest.raises(StartupError, match=f"INTENT_PORT={port} cannot be listened on"):
            await second.start("127.0.0.1", port, "INTENT_PORT")
