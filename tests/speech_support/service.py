"""The speech service, served and asked for real."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import httpx
import pytest
from grpc import aio

from salehi.speech.v1 import speech_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService
from speech.hearing import Hearing
from speech.service import SERVICE, SpeechServicer
from speech.tts.base import Synthesizer

Stub: TypeAlias = "speech_pb2_grpc.SpeechServiceAsyncStub"

_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes longer than a test


def plain_http() -> httpx.AsyncClient:
    """Make an HTTP client like the service's that opens no https."""
    return httpx.AsyncClient(timeout=httpx.Timeout(30.0, connect=2.0), verify=_NO_TLS)


@asynccontextmanager
async def served(hearing: Hearing, synthesizer: Synthesizer) -> AsyncIterator[Stub]:
    """Serve on a free port; give a stub that talks to it."""
    servicer = SpeechServicer(hearing, synthesizer, "en", 30.0)
    add = speech_pb2_grpc.add_SpeechServiceServicer_to_server
    server = GrpcServer([GrpcService(SERVICE, add, servicer)])
    port = await server.start("127.0.0.1", 0, "SPEECH_PORT")
    try:
        async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
            await peer.wait_ready()
            yield speech_pb2_grpc.SpeechServiceStub(peer.channel)
    finally:
        await server.drain(0)


async def refusal_of(call: aio.UnaryUnaryCall[Any, Any]) -> tuple[grpc.StatusCode, str, str]:
    """Give the status, the details and the `salehi-reason` of a call that is refused."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    metadata = dict(caught.value.trailing_metadata() or ())
    return caught.value.code(), caught.value.details() or "", str(metadata.get("salehi-reason", ""))
