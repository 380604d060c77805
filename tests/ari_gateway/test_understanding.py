"""How speech and intent bear the load, as the gateway hears it from their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from grpc import aio

from ari_gateway.backpressure import Backpressure
from ari_gateway.sessions.outcome import Intent
from ari_gateway.understanding import INTENT, SPEECH, NotUnderstood, Understanding
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from salehi.speech.v1 import speech_pb2, speech_pb2_grpc
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService
from support.timing import HandClock

pytestmark = pytest.mark.real_time

Context = aio.ServicerContext[Any, Any]


@dataclass
class Peers(speech_pb2_grpc.SpeechServiceServicer, intent_pb2_grpc.IntentServiceServicer):
    """Speech and intent, answering as the test says.

    Attributes:
        speech_fails, intent_fails: the status to answer with; None answers well.
        takes_s: how long speech takes.
        told: the reason speech gives beside its status.
        unpaid: which of both answers in place of a provider without credit.
        heard: what speech recognises.
    """

    speech_fails: grpc.StatusCode | None = None
    intent_fails: grpc.StatusCode | None = None
    told: str = ""
    unpaid: tuple[str, ...] = ()
    takes_s: float = 0.0
    heard: str = "yes please"
    clock: HandClock = field(default_factory=HandClock)

    async def Transcribe(  # noqa: N802 - the contract's name
        self, _request: speech_pb2.TranscribeRequest, context: Context
    ) -> speech_pb2.TranscribeResponse:
        """Recognise."""
        await asyncio.sleep(self.takes_s)
        if self.speech_fails is not None:
            told = (("salehi-reason", self.told),) if self.told else ()
            await context.abort(self.speech_fails, "as the test wants", told)
        return speech_pb2.TranscribeResponse(
            text=self.heard, engine="vira", out_of_credit="stt" in self.unpaid
        )

    async def Synthesize(  # noqa: N802 - the contract's name
        self, _request: speech_pb2.SynthesizeRequest, context: Context
    ) -> speech_pb2.SynthesizeResponse:
        """Speak: no conversation needs it."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not asked for here")

    async def Classify(  # noqa: N802 - the contract's name
        self, _request: intent_pb2.ClassifyRequest, context: Context
    ) -> intent_pb2.ClassifyResponse:
        """Understand."""
        if self.intent_fails is not None:
            await context.abort(self.intent_fails, "as the test wants")
        state = intent_pb2.PROVIDER_STATE_OK
        if "llm" in self.unpaid:
            state = intent_pb2.PROVIDER_STATE_OUT_OF_CREDIT
        return intent_pb2.ClassifyResponse(
            intent=intent_pb2.INTENT_YES,
            decided_by=intent_pb2.DECIDED_BY_RULES,
            confidence=0.75,
            evidence="en.yes.plain",
            provider_state=state,
        )


@asynccontextmanager
async def understanding_with(peers: Peers) -> AsyncIterator[tuple[Understanding, Backpressure]]:
    """Serve both peers, and ask them."""
    register: list[tuple[str, Callable[..., None]]] = [
        (SPEECH, speech_pb2_grpc.add_SpeechServiceServicer_to_server),
        (INTENT, intent_pb2_grpc.add_IntentServiceServicer_to_server),
    ]
    server = GrpcServer([GrpcService(name, add, peers) for name, add in register])
    port = await server.start("127.0.0.1", 0, "SPEECH_PORT")
    pressure = Backpressure(clock=peers.clock)
    address = f"127.0.0.1:{port}"
    async with Peer(address, SPEECH) as speech, Peer(address, INTENT) as intent:
        yield (
            Understanding(
                speech,
                intent,
                pressure=pressure,
                language="en",
                stt_timeout_s=0.3,
                llm_timeout_s=0.3,
                budget_s=8,
            ),
            pressure,
        )
    await server.drain(0)


@pytest.mark.parametrize(
    ("peers", "reason", "obstacle"),
    [
        (
            Peers(speech_fails=grpc.StatusCode.RESOURCE_EXHAUSTED),
            "speech_full",
            "speech is full: ",
        ),
        (Peers(takes_s=2.0), "speech_too_slow", "speech is too slow: "),
        (
            Peers(speech_fails=grpc.StatusCode.UNAVAILABLE),
            "speech_unavailable",
            "speech is unavailable: ",
        ),
        (
            Peers(intent_fails=grpc.StatusCode.RESOURCE_EXHAUSTED),
            "intent_full",
            "intent is full: ",
        ),
        # No credit, a bad recording: asking less would not help.
        (Peers(speech_fails=grpc.StatusCode.FAILED_PRECONDITION), "speech_refused", ""),
        (Peers(speech_fails=grpc.StatusCode.INVALID_ARGUMENT), "speech_unavailable", ""),
    ],
)
async def test_want_of_capacity_pushes_back(peers: Peers, reason: str, obstacle: str) -> None:
    """A service that is full, slow or away holds new calls; one that refuses otherwise does not."""
    async with understanding_with(peers) as (understanding, pressure):
        with pytest.raises(NotUnderstood) as refusal:
            await understanding.of(b"RIFF", "a")
        assert refusal.value.reason == reason
        assert pressure.obstacle == (obstacle and f"{obstacle}no new outbound calls for 2 s")


async def test_a_peer_that_is_not_there_pushes_back() -> None:
    """With nobody at speech's address the turn fails at once and new calls are held."""
    pressure = Backpressure()
    async with Peer("127.0.0.1:1", SPEECH) as speech, Peer("127.0.0.1:1", INTENT) as intent:
        understanding = Understanding(
            speech,
            intent,
            pressure=pressure,
            language="en",
            stt_timeout_s=5,
            llm_timeout_s=5,
            budget_s=8,
        )
        with pytest.raises(NotUnderstood, match="speech_unavailable"):
            await understanding.of(b"RIFF", "a")
        assert pressure.obstacle.startswith("speech is unavailable")


@pytest.mark.parametrize("heard", ["yes please", ""])
async def test_a_turn_that_is_served_lifts_the_hold(heard: str) -> None:
    """A trial call whose turn is served lifts the hold, also when nothing was recognised."""
    peers = Peers(speech_fails=grpc.StatusCode.RESOURCE_EXHAUSTED, heard=heard)
    async with understanding_with(peers) as (understanding, pressure):
        with pytest.raises(NotUnderstood):
            await understanding.of(b"RIFF", "a")
        peers.clock.advance(2)
        assert pressure.admit() == ""
        assert pressure.obstacle
        peers.speech_fails = None
        reply = await understanding.of(b"RIFF", "b")
        assert reply.intent is (Intent.YES if heard else Intent.UNKNOWN)
        assert pressure.obstacle == ""


@pytest.mark.parametrize(
    ("peers", "reason", "unpaid"),
    [
        (Peers(told="out_of_credit"), "speech_out_of_credit", ("stt",)),
        (Peers(told="bad_token"), "speech_bad_token", ()),
        (Peers(told="not_configured"), "speech_not_configured", ()),
        (Peers(told="<made up>"), "speech_refused", ()),
    ],
)
async def test_a_refusal_says_what_is_missing(
    peers: Peers, reason: str, unpaid: tuple[str, ...]
) -> None:
    """What speech says beside its refusal names the failure; only known words are believed."""
    peers.speech_fails = grpc.StatusCode.FAILED_PRECONDITION
    async with understanding_with(peers) as (understanding, _):
        with pytest.raises(NotUnderstood) as refusal:
            await understanding.of(b"RIFF", "a")
    assert (refusal.value.reason, refusal.value.out_of_credit) == (reason, unpaid)


@pytest.mark.parametrize("unpaid", [(), ("stt",), ("llm",), ("stt", "llm")])
async def test_lack_of_credit_is_told_though_the_turn_is_served(unpaid: tuple[str, ...]) -> None:
    """A turn that another engine or the rules served in a provider's place says who is unpaid."""
    async with understanding_with(Peers(unpaid=unpaid)) as (understanding, _):
        reply = await understanding.of(b"RIFF", "a")
    assert (reply.intent, reply.out_of_credit) == (Intent.YES, unpaid)


async def test_a_turn_keeps_how_it_was_decided() -> None:
    """Engine, path, confidence and evidence of a turn come from the services' answers."""
    async with understanding_with(Peers()) as (understanding, _):
        reply = await understanding.of(b"RIFF", "a")
    assert (reply.engine, reply.decided_by) == ("vira", "DECIDED_BY_RULES")
    assert (reply.confidence, reply.evidence) == (0.75, "en.yes.plain")
