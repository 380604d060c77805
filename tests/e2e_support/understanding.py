"""Speech and intent in the test's own process: they take as long as told, and hear a yes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
from grpc import aio

from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from salehi.speech.v1 import speech_pb2, speech_pb2_grpc


@dataclass
class Understanding(speech_pb2_grpc.SpeechServiceServicer, intent_pb2_grpc.IntentServiceServicer):
    """Understands every reply as a yes.

    Attributes:
        takes_s: how long a transcription takes, seconds.
        heard: attempts whose replies were transcribed, in order.
    """

    takes_s: float
    address: str = ""
    heard: list[str] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        """Lead a gateway here."""
        return {"SPEECH_ADDRESS": self.address, "INTENT_ADDRESS": self.address}

    async def Transcribe(  # noqa: N802 - the contract's name
        self, request: speech_pb2.TranscribeRequest, _context: object
    ) -> speech_pb2.TranscribeResponse:
        """Hear a yes."""
        self.heard.append(request.attempt_id)
        await asyncio.sleep(self.takes_s)
        return speech_pb2.TranscribeResponse(
            text="yes please", outcome=speech_pb2.TRANSCRIBE_OUTCOME_RECOGNISED, engine="test"
        )

    async def Classify(  # noqa: N802 - the contract's name
        self, _request: intent_pb2.ClassifyRequest, _context: object
    ) -> intent_pb2.ClassifyResponse:
        """Take it for a yes."""
        return intent_pb2.ClassifyResponse(
            intent=intent_pb2.INTENT_YES, confidence=1.0, decided_by=intent_pb2.DECIDED_BY_RULES
        )

    async def Synthesize(  # noqa: N802 - the contract's name
        self,
        _request: speech_pb2.SynthesizeRequest,
        context: aio.ServicerContext[speech_pb2.SynthesizeRequest, speech_pb2.SynthesizeResponse],
    ) -> speech_pb2.SynthesizeResponse:
        """Say that no call asks for this."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "calls play prompts from files")


@asynccontextmanager
async def understanding(takes_s: float) -> AsyncIterator[Understanding]:
    """Serve both on one port."""
    services = Understanding(takes_s)
    server = aio.server()
    speech_pb2_grpc.add_SpeechServiceServicer_to_server(services, server)
    intent_pb2_grpc.add_IntentServiceServicer_to_server(services, server)
    services.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield services
    finally:
        await server.stop(0.5)
