"""Every way a provider can fail, as the contract tells it, and what it may cost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from grpc import StatusCode
from pydantic import SecretStr

from lab.fakes.base import Fake
from lab.fakes.faults import Fault, FaultKind
from lab.fakes.serving import serving
from lab.fakes.stt import FakeStt
from lab.fakes.vira import FakeVira
from salehi.speech.v1 import speech_pb2 as pb
from speech.engines import build_stt
from speech.hearing import Hearing
from speech.settings import SpeechSettings
from speech.tts.cache import SpokenCache
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedTts, synthesizer_of
from speech_support.phone import reply_wav
from speech_support.service import plain_http, refusal_of, served

REPLY = reply_wav("yes please")
DETECTOR = SpeechDetector()
TOKEN = "the-secret-token"
PATIENCE_S = 3.0


@dataclass
class House:
    """A fake provider, and the settings that make it the only engine."""

    fake: Fake
    http: httpx.AsyncClient
    settings: SpeechSettings
    directory: Path
    details: str = ""

    async def refuse(
        self, fault: Fault, patience_s: float = PATIENCE_S
    ) -> tuple[StatusCode, str, int]:
        """Give status, reason and number of requests of one reply that meets a fault."""
        self.fake.received.clear()
        self.fake.faults[:] = [fault]
        parts = build_stt(self.settings, self.http)
        hearing = Hearing(DETECTOR, parts.transcriber, None)
        speaking = synthesizer_of(SpokenCache(self.directory), ScriptedTts())
        async with served(hearing, speaking) as stub:
            call = stub.Transcribe(
                pb.TranscribeRequest(audio=REPLY, language="fa"), timeout=patience_s
            )
            status, details, reason = await refusal_of(call)
        assert TOKEN not in details
        assert details
        self.details = details
        return status, reason, len(self.fake.received)


@pytest.fixture(params=["vira", "openai"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """One provider, served."""
    async with _house(request.param, tmp_path) as house:
        yield house


@asynccontextmanager
async def _house(name: str, directory: Path) -> AsyncIterator[House]:
    fake: Fake = FakeVira() if name == "vira" else FakeStt()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(fake))
        http = await stack.enter_async_context(plain_http())
        settings = SpeechSettings(
            stt_providers=(name,),
            vira_stt_token=SecretStr(TOKEN),
            vira_stt_url=f"{url}/avanegar/v2/avanegar/request",
            stt_base_url=f"{url}/v1",
            stt_api_key=SecretStr(TOKEN),
            data_dir=directory,
        )
        yield House(fake, http, settings, directory)


async def _expect(
    house: House, faults: Sequence[Fault], status: StatusCode, reason: str, requests: int
) -> None:
    for fault in faults:
        found = await house.refuse(fault)
        assert found == (status, reason, requests), fault


async def test_what_may_be_billed_is_sent_twice_at_most(house: House) -> None:
    """After 5xx, 408 or a lost connection there is one more request, then UNAVAILABLE."""
    faults = [
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.STATUS, status=503),
        Fault(FaultKind.STATUS, status=503, retry_after_s=1),
        Fault(FaultKind.STATUS, status=408),
        Fault(FaultKind.HTML),
        Fault(FaultKind.RESET),
    ]
    await _expect(house, faults, StatusCode.UNAVAILABLE, "", 2)


async def test_a_wish_to_be_left_alone_is_honoured(house: House) -> None:
    """After 429 there is one more request, unless Retry-After is beyond the caller's patience."""
    short = [Fault(FaultKind.RATE_LIMIT), Fault(FaultKind.RATE_LIMIT, retry_after_s=1)]
    await _expect(house, short, StatusCode.UNAVAILABLE, "", 2)
    long = [
        Fault(FaultKind.RATE_LIMIT, retry_after_s=60),
        Fault(FaultKind.STATUS, status=503, retry_after_s=60),
    ]
    await _expect(house, long, StatusCode.UNAVAILABLE, "", 1)


async def test_what_will_not_pass_is_sent_once(house: House) -> None:
    """A refused address and an answer without sense are UNAVAILABLE after one request."""
    faults = [
        Fault(FaultKind.STATUS, status=301),
        Fault(FaultKind.STATUS, status=404),
        Fault(FaultKind.MALFORMED),
        Fault(FaultKind.HTML, status=200),
        Fault(FaultKind.OVERSIZED),
        Fault(FaultKind.EMPTY),
        Fault(FaultKind.STATUS, status=200, body="[1]"),
        Fault(FaultKind.STATUS, status=200, body="null"),
        Fault(FaultKind.STATUS, status=200, body='{"data": 7, "text": 7}'),
        Fault(FaultKind.STATUS, status=200, body='{"data": {"status": "queued"}}'),
        Fault(FaultKind.STATUS, status=200, body="[" * 100_000),
    ]
    await _expect(house, faults, StatusCode.UNAVAILABLE, "", 1)


async def test_an_endless_answer_is_not_read(house: House) -> None:
    """Reading ends at a megabyte, whatever the provider goes on to send."""
    await house.refuse(Fault(FaultKind.OVERSIZED))
    assert "more than 1000000 bytes" in house.details


@pytest.mark.parametrize("order", [("vira", "openai"), ("openai", "vira")])
async def test_two_providers_share_one_bill(tmp_path: Path, order: tuple[str, str]) -> None:
    """What may be billed is sent to each once; what was refused outright leaves a second try."""
    billed = [
        Fault(FaultKind.STATUS, status=500),
        Fault(FaultKind.STATUS, status=408),
        Fault(FaultKind.RESET),
    ]
    async with _house("vira", tmp_path) as vira, _house("openai", tmp_path) as openai:
        vira.settings = vira.settings.model_copy(
            update={"stt_providers": order, "stt_base_url": openai.settings.stt_base_url}
        )
        for fault, last in [*((fault, 1) for fault in billed), (Fault(FaultKind.RATE_LIMIT), 2)]:
            openai.fake.received.clear()
            openai.fake.faults[:] = [fault]
            status, reason, asked = await vira.refuse(fault)
            assert (status, reason) == (StatusCode.UNAVAILABLE, "")
            requests = {"vira": asked, "openai": len(openai.fake.received)}
            assert [requests[name] for name in order] == [1, last], fault


async def test_what_reached_nobody_is_on_no_bill(tmp_path: Path) -> None:
    """A provider nobody can connect to leaves the next one both requests that may be billed."""
    async with _house("openai", tmp_path) as house:
        house.settings = house.settings.model_copy(
            update={"stt_providers": ("vira", "openai"), "vira_stt_url": "http://127.0.0.1:9/v2"}
        )
        found = await house.refuse(Fault(FaultKind.STATUS, status=500))
        assert found == (StatusCode.UNAVAILABLE, "", 2)


async def test_silence_is_too_slow(house: House) -> None:
    """A provider that hangs or is late is DEADLINE_EXCEEDED, of our own, after one request."""
    for fault in (Fault(FaultKind.HANG), Fault(FaultKind.SLOW, seconds=5.0)):
        found = await house.refuse(fault, patience_s=1.0)
        assert found == (StatusCode.DEADLINE_EXCEEDED, "", 1), fault


async def test_a_bad_token_is_told_apart(house: House) -> None:
    """401 is FAILED_PRECONDITION with a reason a program can read, after one request."""
    faults = [Fault(FaultKind.UNAUTHORIZED)]
    await _expect(house, faults, StatusCode.FAILED_PRECONDITION, "bad_token", 1)


@pytest.mark.parametrize(
    ("name", "variants"),
    [
        ("vira", ["", "402", "balance_error", "balance_error_200", "threshold", "threshold_200"]),
        (
            "openai",
            [
                "",
                "insufficient_quota",
                "insufficient_user_quota",
                "pre_consume_token_quota_failed",
                "billing_hard_limit_reached",
            ],
        ),
    ],
)
async def test_lack_of_credit_is_told_apart(tmp_path: Path, name: str, variants: list[str]) -> None:
    """Each provider's every way to say it is FAILED_PRECONDITION out_of_credit, after one."""
    faults = [Fault(FaultKind.NO_CREDIT, variant=variant) for variant in variants]
    async with _house(name, tmp_path) as house:
        await _expect(house, faults, StatusCode.FAILED_PRECONDITION, "out_of_credit", 1)


@pytest.mark.parametrize(("name", "requests"), [("vira", 1), ("openai", 2)])
async def test_input_that_is_refused_is_sent_once_in_each_form(
    tmp_path: Path, name: str, requests: int
) -> None:
    """400, 413 and 422 are UNAVAILABLE; only OpenAI's plainer form of answer is tried after it."""
    faults = [Fault(FaultKind.STATUS, status=status) for status in (400, 413, 422)]
    async with _house(name, tmp_path) as house:
        await _expect(house, faults, StatusCode.UNAVAILABLE, "", requests)
