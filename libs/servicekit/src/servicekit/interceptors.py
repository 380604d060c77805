"""What happens around every RPC: the trace goes on, duration and status are counted.

An RPC that belongs to no trace (a poll, a typed command) begins none. Unexpected exceptions of a
handler end here: logged once with their traceback, answered INTERNAL.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import grpc
import structlog
from grpc import aio
from opentelemetry import propagate, trace
from opentelemetry.context import Context

from servicekit.metrics import RPC_CLIENT_SECONDS, RPC_SERVER_IN_FLIGHT, RPC_SERVER_SECONDS
from servicekit.tracing import context_from_metadata, in_trace, of_attempt

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

_UNWATCHED = ("/grpc.health.", "/grpc.reflection.")
# What a server is to blame for; other codes tell a caller what it did wrong.
_SERVER_FAULTS = {
    grpc.StatusCode.UNKNOWN.name,
    grpc.StatusCode.DEADLINE_EXCEEDED.name,
    grpc.StatusCode.UNIMPLEMENTED.name,
    grpc.StatusCode.INTERNAL.name,
    grpc.StatusCode.UNAVAILABLE.name,
    grpc.StatusCode.DATA_LOSS.name,
}


class ServerInterceptor(aio.ServerInterceptor):
    """Continues the caller's trace, measures, and keeps unexpected errors from leaking."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wrap the handler of one method."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_UNWATCHED):
            return handler  # type: ignore[no-any-return]
        wrap = _wrap_streaming if handler.response_streaming else _wrap_unary
        kind = (
            ("stream" if handler.request_streaming else "unary")
            + "_"
            + ("stream" if handler.response_streaming else "unary")
        )
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        wrapped: grpc.RpcMethodHandler[Any, Any] = make(
            wrap(getattr(handler, kind), method),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return wrapped


def _wrap_unary(behaviour: Any, method: str) -> Any:
    async def serve(request: Any, context: aio.ServicerContext[Any, Any]) -> Any:
        with (
            of_attempt(getattr(request, "attempt_id", "")),
            _served(method, context) as span,
            _current(span),
        ):
            try:
                return await behaviour(request, context)
            except aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - supervisor: whatever a handler raises ends here
                await _fail(context, method, error)

    return serve


def _wrap_streaming(behaviour: Any, method: str) -> Any:
    async def serve(request: Any, context: aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        # The span is not made the current one: a stream whose client has vanished is ended from
        # another context, which cannot take that back.
        with _served(method, context):
            try:
                async for message in behaviour(request, context):
                    yield message
            except aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - supervisor: whatever a handler raises ends here
                await _fail(context, method, error)

    return serve


async def _fail(context: aio.ServicerContext[Any, Any], method: str, error: Exception) -> None:
    log.error("an RPC failed unexpectedly", method=method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "internal error, see the service's log")


@contextmanager
def _served(method: str, context: aio.ServicerContext[Any, Any]) -> Iterator[trace.Span]:
    parent = context_from_metadata(context.invocation_metadata())
    began = time.perf_counter()
    RPC_SERVER_IN_FLIGHT.labels(method).inc()
    span = _span(method, trace.SpanKind.SERVER, parent)
    code = ""
    try:
        yield span
    except asyncio.CancelledError:  # the caller waits no longer; the context says OK all the same
        code = grpc.StatusCode.CANCELLED.name
        raise
    finally:
        RPC_SERVER_IN_FLIGHT.labels(method).dec()
        code = code or _code_name(context.code())
        _note_code(span, code, failed=code in _SERVER_FAULTS)
        span.end()
        RPC_SERVER_SECONDS.labels(method, code).observe(time.perf_counter() - began)


def _span(method: str, kind: trace.SpanKind, parent: Context | None = None) -> trace.Span:
    """Begin the span of an RPC; a dummy where it belongs to no trace."""
    return tracer.start_span(method, parent, kind) if in_trace(parent) else trace.INVALID_SPAN


def _current(span: trace.Span) -> AbstractContextManager[trace.Span]:
    # How an RPC ended its status tells.
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)


def _note_code(span: trace.Span, code: str, *, failed: bool) -> None:
    span.set_attribute("rpc.response.status_code", code)
    if failed:
        span.set_status(trace.StatusCode.ERROR)


def _code_name(code: Any) -> str:
    """Name a status; grpc gives None or 0 for OK, a number or the enum otherwise."""
    if not code:
        return "OK"
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((known.name for known in grpc.StatusCode if known.value[0] == code), str(code))


class UnaryClientInterceptor(aio.UnaryUnaryClientInterceptor):
    """Carries the trace to the peer, measures, and insists on a deadline."""

    async def intercept_unary_unary(
        self, continuation: Any, client_call_details: aio.ClientCallDetails, request: Any
    ) -> Any:
        """Send one request."""
        method = _method_name(client_call_details)
        if client_call_details.timeout is None:
            raise ValueError(f"{method} was called without a deadline: pass timeout= in seconds")
        began = time.perf_counter()
        span = _span(method, trace.SpanKind.CLIENT)
        try:
            with _current(span):
                call = await continuation(_with_trace(client_call_details), request)
                code = await call.code()
            _note_code(span, code.name, failed=code is not grpc.StatusCode.OK)
        finally:
            span.end()
        RPC_CLIENT_SECONDS.labels(method, code.name).observe(time.perf_counter() - began)
        return call


class StreamClientInterceptor(aio.UnaryStreamClientInterceptor):
    """Carries the trace to the peer on calls that stream answers."""

    async def intercept_unary_stream(
        self, continuation: Any, client_call_details: aio.ClientCallDetails, request: Any
    ) -> Any:
        """Open one stream."""
        return await continuation(_with_trace(client_call_details), request)


def _method_name(details: aio.ClientCallDetails) -> str:
    method: str | bytes = details.method
    return method.decode() if isinstance(method, bytes) else method


def _with_trace(details: aio.ClientCallDetails) -> aio.ClientCallDetails:
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    metadata = aio.Metadata(*(tuple(details.metadata) if details.metadata else ()))
    for key, value in carrier.items():
        metadata.add(key, value)
    return aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )
