"""Any OpenAI-compatible server that speaks, over real HTTP: its forms, its refusals, its faults."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc import StatusCode
from pydantic import SecretStr

from lab.fakes.faults import Fault, FaultKind
from lab.fakes.serving import serving
from lab.fakes.tts import FakeTts, TtsStyle
from salehi.speech.v1 import speech_pb2 as pb
from speech.audio import read_wav
from speech.engines import build_tts
from speech.errors import BadRequest, BadToken, OutOfCredit, ProviderTooSlow, ProviderUnavailable
from speech.forms import Form
from speech.hearing import Hearing
from speech.settings import SpeechSettings
from speech.tts.base import Spoken, Synthesizer, Wording
from speech.vad import SpeechDetector
from speech_support.engines import ScriptedStt, transcriber_of
from speech_support.service import plain_http, refusal_of, served

KEY = "the-secret-key"


@dataclass
class House:
    """A fake server and the engine that talks to it."""

    fake: FakeTts
    tts: Synthesizer

    async def say(self, text: str = "hello", voice: str = "", budget_s: float = 10.0) -> Spoken:
        """Have a text spoken."""
        return await self.tts.synthesize(Wording(text, "en", voice), Form.WAV, budget_s)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """An engine against a server that wants its key."""
    fake = FakeTts()
    fake.configure({"api_key": KEY, "model": "tts-1"})
    async with serving(fake) as url, plain_http() as http:
        settings = SpeechSettings(
            tts_base_url=f"{url}/v1", tts_api_key=SecretStr(KEY), data_dir=tmp_path
        )
        yield House(fake, build_tts(settings, http))


async def test_the_request_is_what_the_server_wants(house: House) -> None:
    """Key, model, voice, text and WAV go along; the answer is at the rate asked for."""
    spoken = await house.say()
    assert spoken.engine == "openai"
    assert read_wav(spoken.audio).rate_hz == 8000
    assert spoken.length_s == pytest.approx(0.6, abs=0.05)
    assert house.fake.requests == [
        {"model": "tts-1", "input": "hello", "voice": "alloy", "response_format": "wav"}
    ]
    await house.say(voice="nova")
    assert house.fake.requests[1]["voice"] == "nova"


@pytest.mark.parametrize("style", [TtsStyle.STREAMS, TtsStyle.MP3, TtsStyle.REFUSES_WAV])
async def test_servers_answer_in_different_forms(house: House, style: TtsStyle) -> None:
    """A WAV file without a length, MP3 unasked, and MP3 after a refusal of WAV are all read."""
    house.fake.configure({"style": style})
    assert (await house.say()).length_s == pytest.approx(0.6, abs=0.15)


async def test_a_refusal_of_wav_is_remembered(house: House) -> None:
    """A server that takes MP3 only is asked for WAV once."""
    house.fake.configure({"style": "refuses_wav"})
    for text in ("one", "two", "three"):
        await house.say(text)
    assert len(house.fake.received) == 4
    assert {request["response_format"] for request in house.fake.requests} == {"mp3"}


async def test_a_refused_voice_teaches_nothing(house: House) -> None:
    """An unknown voice is the caller's mistake, and the next text is asked for as WAV again."""
    house.fake.configure({"voices": ["alloy"]})
    with pytest.raises(BadRequest):
        await house.say(voice="nobody")
    await house.say()
    assert house.fake.requests[-1]["response_format"] == "wav"


async def test_two_servers_do_not_share_their_sounds(house: House, tmp_path: Path) -> None:
    """The same model and voice of another server is other audio."""
    await house.say()
    other = FakeTts()
    async with serving(other) as url, plain_http() as http:
        settings = SpeechSettings(tts_base_url=f"{url}/v1", data_dir=tmp_path)
        await House(other, build_tts(settings, http)).say()
    assert len(other.requests) == 1
    assert "authorization" not in other.received[0].headers


def _fault(kind: FaultKind, **fields: Any) -> Fault:
    return Fault(kind, **fields)


CREDIT_CODES = (
    "insufficient_quota",
    "insufficient_user_quota",
    "pre_consume_token_quota_failed",
    "billing_hard_limit_reached",
)
TROUBLE = [
    (_fault(FaultKind.UNAUTHORIZED), BadToken, 1),
    (_fault(FaultKind.NO_CREDIT), OutOfCredit, 1),
    *((_fault(FaultKind.NO_CREDIT, variant=code), OutOfCredit, 1) for code in CREDIT_CODES),
    (_fault(FaultKind.STATUS, status=500), ProviderUnavailable, 2),
    (_fault(FaultKind.HTML), ProviderUnavailable, 2),
    (_fault(FaultKind.RATE_LIMIT, retry_after_s=60), ProviderUnavailable, 1),
    (_fault(FaultKind.RATE_LIMIT, retry_after_s=0), ProviderUnavailable, 2),
    (_fault(FaultKind.RESET), ProviderUnavailable, 2),
    (_fault(FaultKind.STATUS, status=404), ProviderUnavailable, 1),
    (_fault(FaultKind.STATUS, status=403), ProviderUnavailable, 1),
    (_fault(FaultKind.STATUS, status=400), BadRequest, 2),
    (_fault(FaultKind.HTML, status=200), ProviderUnavailable, 1),
    (_fault(FaultKind.MALFORMED), ProviderUnavailable, 1),
    (_fault(FaultKind.EMPTY), ProviderUnavailable, 1),
    (_fault(FaultKind.STATUS, status=200), ProviderUnavailable, 1),
]


@pytest.mark.parametrize(("fault", "kind", "requests"), TROUBLE)
async def test_trouble_is_named_and_repeated_only_where_it_may_pass(
    house: House, fault: Fault, kind: type[Exception], requests: int
) -> None:
    """Each fault becomes one error without the key in it; what cannot pass is sent once."""
    house.fake.break_next(fault)
    with pytest.raises(kind) as caught:
        await house.say()
    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert len(house.fake.received) == requests


async def test_an_endless_answer_is_cut_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a text can be is not read to its end."""
    monkeypatch.setattr("speech.tts.openai.LONGEST_AUDIO_BYTES", 1_000_000)
    house.fake.break_next(Fault(FaultKind.OVERSIZED))
    with pytest.raises(ProviderUnavailable, match="more than 1000000 bytes"):
        await house.say()


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.SLOW])
async def test_a_silent_server_is_too_slow(house: House, kind: FaultKind) -> None:
    """A request ends with the caller's patience, not with the server's."""
    house.fake.break_next(Fault(kind, seconds=2.0))
    with pytest.raises(ProviderTooSlow):
        await house.say(budget_s=0.3)


@pytest.mark.parametrize("style", [TtsStyle.PAGE, TtsStyle.SILENT])
async def test_an_answer_without_speech_is_an_outage(house: House, style: TtsStyle) -> None:
    """A page or silence that comes as a success is no success."""
    house.fake.configure({"style": style})
    with pytest.raises(ProviderUnavailable):
        await house.say()


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (Fault(FaultKind.NO_CREDIT), StatusCode.FAILED_PRECONDITION, "out_of_credit"),
        (Fault(FaultKind.UNAUTHORIZED), StatusCode.FAILED_PRECONDITION, "bad_token"),
        (Fault(FaultKind.STATUS, status=400), StatusCode.INVALID_ARGUMENT, ""),
        (Fault(FaultKind.STATUS, status=503), StatusCode.UNAVAILABLE, ""),
        (Fault(FaultKind.HANG), StatusCode.DEADLINE_EXCEEDED, ""),
    ],
)
async def test_clients_are_told_what_is_wrong(
    house: House, fault: Fault, status: StatusCode, reason: str
) -> None:
    """Each failure of Synthesize has the status and the reason of the contract."""
    hearing = Hearing(SpeechDetector(), transcriber_of(ScriptedStt()), None)
    house.fake.break_next(fault)
    async with served(hearing, house.tts) as stub:
        call = stub.Synthesize(pb.SynthesizeRequest(text="hello"), timeout=1.5)
        found, details, why = await refusal_of(call)
    assert (found, why) == (status, reason)
    assert KEY not in details


async def test_an_account_without_credit_is_left_alone(house: House) -> None:
    """Once credit has run out, further texts are refused without a request for a while."""
    house.fake.break_next(Fault(FaultKind.NO_CREDIT))
    for text in ("one", "two", "three"):
        with pytest.raises(OutOfCredit):
            await house.say(text)
    assert len(house.fake.received) == 1
