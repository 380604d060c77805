"""What happens around every RPC: the trace goes on, duration and status are counted.

An RPC that belongs to no trace (a poll, a typed command) begins none. Unexpected exceptions of a
handler end here: logged once with their traceback, answered INTERNAL.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
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

# What a server is to blame for; other codes tell a caller what it did wrong.
_SERVER_FAULTS = {
    grpc.StatusCode.UNKNOWN.name,
    grpc.StatusCode.DEADLINE_EXCEEDED.name,
    grpc.StatusCode.UNIMPLEMENTED.name,
    grpc.StatusCode.INTERNAL.name,
    grpc.StatusCode.UNAVAILABLE.name,
    grpc.StatusCode.DATA_LOSS.name,
}
# A caller that waits no longer (a hang-up, a faster answer) has not met a fault.
_NO_FAULTS = {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}

# To look up a figure by its labels costs more than to count.
_in_flight = functools.cache(RPC_SERVER_IN_FLIGHT.labels)
_server_seconds = functools.cache(RPC_SERVER_SECONDS.labels)
_client_seconds = functools.cache(RPC_CLIENT_SECONDS.labels)


class Watched:
    """A server as generated code sees it, which registers methods there: each is watched."""

    def __init__(self, server: aio.Server) -> None:
        self._server = server

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Register the methods of a service."""
        watched = {
            name: _watched(handler, f"/{service}/{name}") for name, handler in handlers.items()
        }
        self._server.add_registered_method_handlers(service, watched)

    def add_generic_rpc_handlers(self, _: object) -> None:
        """Leave it: the same methods are registered by name, and may not be reached unwatched."""


def _watched(handler: Any, method: str) -> grpc.RpcMethodHandler[Any, Any]:
    wrap = _wrap_streaming if handler.response_streaming else _wrap_unary
    kind = (
        ("stream" if handler.request_streaming else "unary")
        + "_"
        + ("stream" if handler.response_streaming else "unary")
    )
    make = getattr(grpc, f"{kind}_rpc_method_handler")
    watched: grpc.RpcMethodHandler[Any, Any] = make(
        wrap(getattr(handler, kind), method),
        request_deserializer=handler.request_deserializer,
        response_serializer=handler.response_serializer,
    )
    return watched


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
    _in_flight(method).inc()
    span = _span(method, trace.SpanKind.SERVER, parent)
    code = ""
    try:
        yield span
    except asyncio.CancelledError:  # the caller waits no longer; the context says OK all the same
        code = grpc.StatusCode.CANCELLED.name
        raise
    finally:
        _in_flight(method).dec()
        code = code or _code_name(context.code())
        _note_code(span, code, failed=code in _SERVER_FAULTS)
        span.end()
        _server_seconds(method, code).observe(time.perf_counter() - began)


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


def asking(method: str, send: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what calls a unary method: insist on a deadline, carry the trace on, measure."""

    async def ask(
        request: Any, *, timeout: float | None = None, metadata: Any = None, **options: Any
    ) -> Any:
        if timeout is None:
            raise ValueError(f"{method} was called without a deadline: pass timeout= in seconds")
        with _asked(method) as span:
            return await send(
                request, timeout=timeout, metadata=_with_trace(metadata, span), **options
            )

    return ask


def listening(send: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what opens streams of answers: carry the trace on."""

    def listen(request: Any, *, metadata: Any = None, **options: Any) -> Any:
        return send(request, metadata=_with_trace(metadata, trace.get_current_span()), **options)

    return listen


@contextmanager
def _asked(method: str) -> Iterator[trace.Span]:
    began = time.perf_counter()
    span = _span(method, trace.SpanKind.CLIENT)
    code = grpc.StatusCode.UNKNOWN  # what could not even be sent
    try:
        yield span
        code = grpc.StatusCode.OK
    except aio.AioRpcError as error:
        code = error.code()
        raise
    except asyncio.CancelledError:
        code = grpc.StatusCode.CANCELLED
        raise
    finally:
        _note_code(span, code.name, failed=code not in _NO_FAULTS)
        span.end()
        _client_seconds(method, code.name).observe(time.perf_counter() - began)


def _with_trace(metadata: Any, span: trace.Span) -> Any:
    if not span.get_span_context().is_valid:
        return metadata
    carrier: dict[str, str] = {}
    propagate.inject(carrier, trace.set_span_in_context(span))
    return aio.Metadata(*(metadata or ()), *carrier.items())
