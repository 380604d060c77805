"""Speech, intent and reporter as the gateway sees them, doing nothing but answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from grpc import aio

from salehi.calls.v1 import calls_pb2
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from salehi.speech.v1 import speech_pb2, speech_pb2_grpc
from servicekit.server import GrpcServer, GrpcService

Context: TypeAlias = aio.ServicerContext[Any, Any]


class Speech(speech_pb2_grpc.SpeechServiceServicer):
    """Hears the same in every reply."""

    async def Transcribe(  # noqa: N802 - the contract's name
        self, _request: speech_pb2.TranscribeRequest, _context: Context
    ) -> speech_pb2.TranscribeResponse:
        """Transcribe one reply."""
        return speech_pb2.TranscribeResponse(
            text="words", outcome=speech_pb2.TRANSCRIBE_OUTCOME_RECOGNISED, engine="none"
        )


class Intent(intent_pb2_grpc.IntentServiceServicer):
    """Takes every n-th reply for a yes, the others for a no."""

    def __init__(self, *, yes_every: int) -> None:
        self._yes_every = yes_every
        self._asked = 0

    async def Classify(  # noqa: N802 - the contract's name
        self, _request: intent_pb2.ClassifyRequest, _context: Context
    ) -> intent_pb2.ClassifyResponse:
        """Classify one reply."""
        self._asked += 1
        yes = self._asked % self._yes_every == 0
        return intent_pb2.ClassifyResponse(
            intent=intent_pb2.INTENT_YES if yes else intent_pb2.INTENT_NO,
            confidence=1.0,
            decided_by=intent_pb2.DECIDED_BY_RULES,
        )


class Reporter(reporter_pb2_grpc.ReporterServiceServicer):
    """Keeps which attempts ended, and how.

    Attributes:
        ended: attempts with a result.
        results: how many of each.
        latest: set at each result.
    """

    def __init__(self) -> None:
        self.ended: set[str] = set()
        self.results: Counter[str] = Counter()
        self.latest = asyncio.Event()

    async def ReportResult(  # noqa: N802 - the contract's name
        self, request: reporter_pb2.ReportResultRequest, _context: Context
    ) -> reporter_pb2.ReportResultResponse:
        """Take one result; a repeated one counts once."""
        if request.attempt_id not in self.ended:
            self.ended.add(request.attempt_id)
            outcome = request.outcome
            name = calls_pb2.Result.Name(outcome.result).removeprefix("RESULT_").lower()
            self.results[f"{name}:{outcome.reason}" if outcome.reason else name] += 1
            self.latest.set()
        return reporter_pb2.ReportResultResponse()


@asynccontextmanager
async def peers(reporter: Reporter, *, yes_every: int) -> AsyncIterator[int]:
    """Serve all three on one port; yields it."""
    server = GrpcServer(
        [
            GrpcService(
                "salehi.speech.v1.SpeechService",
                speech_pb2_grpc.add_SpeechServiceServicer_to_server,
                Speech(),  # type: ignore[abstract]  # nothing else is asked
            ),
            GrpcService(
                "salehi.intent.v1.IntentService",
                intent_pb2_grpc.add_IntentServiceServicer_to_server,
                Intent(yes_every=yes_every),
            ),
            GrpcService(
                "salehi.reporter.v1.ReporterService",
                reporter_pb2_grpc.add_ReporterServiceServicer_to_server,
                reporter,
            ),
        ]
    )
    port = await server.start("127.0.0.1", 0, "PORT")
    try:
        yield port
    finally:
        await server.drain(0)
