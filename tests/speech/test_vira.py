"""Vira, spoken to over real HTTP: every shape of answer, every kind of trouble."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr

from lab.fakes.faults import Fault, FaultKind
from lab.fakes.serving import serving
from lab.fakes.vira import FakeVira, SttShape, TtsShape
from speech.audio import read_wav
from speech.engines import SttParts, build_stt, build_tts, http_client
from speech.errors import (
    BadRequest,
    InputRejected,
    ProviderError,
    ProviderTooSlow,
    ProviderUnavailable,
)
from speech.forms import Form
from speech.settings import SpeechSettings
from speech.stt.base import Outcome, Transcript, Utterance
from speech.stt.vira import ViraStt
from speech.tts.base import Synthesizer, Wording
from speech.vira import ViraAccount, ViraClient, result_url
from speech_support.phone import hiss
from speech_support.service import plain_http

RECORDING = hiss(1, 500)
HTTP_TIMEOUT_S = 2.0


@dataclass
class House:
    """A fake Vira and the engines that talk to it."""

    fake: FakeVira
    http: httpx.AsyncClient
    settings: SpeechSettings
    stt: SttParts
    tts: Synthesizer

    async def transcribe(self, budget_s: float = 5.0, *hotwords: str) -> Transcript:
        """Transcribe one recording."""
        said = Utterance(RECORDING, "fa", hotwords)
        return (await self.stt.transcriber.transcribe(said, budget_s)).transcript


def _settings(url: str, data_dir: Path, **more: Any) -> SpeechSettings:
    return SpeechSettings(
        vira_stt_token=SecretStr("stt-token"),
        vira_tts_token=SecretStr("tts-token"),
        vira_stt_url=f"{url}/avanegar/v2/avanegar/request",
        vira_tts_url=f"{url}/avasho/v2/avasho/request",
        http_timeout=HTTP_TIMEOUT_S,
        data_dir=data_dir,
        **more,
    )


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """Engines against a fake Vira with their tokens."""
    fake = FakeVira()
    fake.configure({"stt_token": "stt-token", "tts_token": "tts-token", "text": "بله بفرمایید"})
    async with serving(fake) as url, plain_http() as http:
        settings = _settings(url, tmp_path)
        parts = build_stt(settings, http)
        yield House(fake, http, settings, parts, build_tts(settings, http))


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("shape", list(SttShape))
async def test_every_shape_of_answer_is_understood(
    house: House, shape: SttShape, status: int
) -> None:
    """The text is found wherever Vira puts it, at once or after asking again."""
    house.fake.configure({"stt_shape": shape, "status": status})
    assert await house.transcribe() == Transcript(Outcome.RECOGNISED, "بله بفرمایید")


async def test_the_request_is_what_vira_wants(house: House) -> None:
    """Token, model, plain flags and single hotwords go along; phrases are left out."""
    await house.transcribe(5.0, "مشاور", "تعیین سطح", "بله")
    (asked,) = house.fake.requests
    assert asked["model"] == ["telephony"]
    assert asked["diarize"] == ["false"]
    assert asked["numSpeakers"] == ["0"]
    assert asked["hotwords[]"] == ["مشاور", "بله"]
    assert asked["seconds"] == pytest.approx(1.0)
    assert house.fake.received[0].headers["gateway-token"] == "stt-token"


@pytest.mark.parametrize("word", ["pending", "processing", "queued", "PENDING"])
async def test_a_result_that_is_not_ready_is_asked_for_again(house: House, word: str) -> None:
    """Whatever word says that a result is not ready, it is polled until it is there."""
    house.fake.configure({"stt_shape": "pending", "waiting_word": word})
    assert (await house.transcribe()).text == "بله بفرمایید"
    assert [seen.method for seen in house.fake.received] == ["POST", "GET", "GET"]


async def test_a_poll_that_fails_is_no_second_request(house: House) -> None:
    """A result under way has been paid for: when asking for it fails, only that is repeated."""
    house.fake.configure({"stt_shape": "pending", "polls": 0})
    house.fake.break_next(Fault(FaultKind.SLOW, times=1, seconds=0.0), Fault(FaultKind.RESET, 2))
    assert (await house.transcribe()).text == "بله بفرمایید"
    assert [seen.method for seen in house.fake.received] == ["POST", "GET", "GET", "GET"]


@pytest.mark.parametrize("status", [404, 429])
async def test_a_result_that_is_lost_was_paid_for(house: House, status: int) -> None:
    """Though a refused poll costs nothing, the request it asks about was taken and counts."""
    house.fake.configure({"stt_shape": "pending", "polls": 0})
    house.fake.break_next(
        Fault(FaultKind.SLOW, times=1, seconds=0.0), Fault(FaultKind.STATUS, status=status)
    )
    account = ViraAccount(
        house.settings.vira_stt_url,
        result_url(house.settings.vira_stt_url, "avanegar-large"),
        "stt-token",
        "VIRA_STT_TOKEN",
    )
    engine = ViraStt(ViraClient(house.http, account), "default")
    with pytest.raises(ProviderUnavailable) as caught:
        await engine.recognise(Utterance(RECORDING, "fa"))
    assert caught.value.billed


async def test_units_and_the_trace_are_kept(house: House) -> None:
    """What Vira bills is counted, and its name for the request is at hand for its support."""

    def units() -> float:
        return REGISTRY.get_sample_value("salehi_stt_units_total", {"engine": "vira"}) or 0.0

    before = units()
    transcript = await house.transcribe()
    assert transcript.trace_id == "trace-1"
    assert transcript.units == pytest.approx(1.0)
    assert units() == pytest.approx(before + 1.0)


async def test_a_failure_keeps_the_trace_too(house: House) -> None:
    """Vira's name for a request that failed is what its support asks for first."""
    for status in (400, 401, 403, 404, 500):
        house.fake.faults[:] = [
            Fault(FaultKind.STATUS, status=status, body='{"meta": {"traceId": "t-9"}}')
        ]
        parts = build_stt(house.settings, house.http)
        with pytest.raises(ProviderError) as caught:
            await parts.transcriber.transcribe(Utterance(RECORDING, "fa"), 5.0)
        assert caught.value.trace_id == "t-9"


@pytest.mark.parametrize("told", ['"1"', "true", "NaN", "-1", "1e300", "null"])
async def test_senseless_units_are_not_counted(house: House, told: str) -> None:
    """A counter only rises, and by sensible amounts; the words are taken all the same."""
    ai_response = f'{{"result": {{"text": "بله"}}, "meta": {{"units": {told}}}}}'
    body = f'{{"data": {{"data": {{"aiResponse": {ai_response}}}}}}}'
    house.fake.break_next(Fault(FaultKind.STATUS, status=200, body=body))
    transcript = await house.transcribe()
    assert (transcript.text, transcript.units) == ("بله", 0.0)


async def test_a_caller_cannot_speak_an_error(house: House) -> None:
    """Words that mean trouble in an error mean nothing in a transcript."""
    for said in ("my credit is below the set threshold", "balanceError", "Empty Audio file"):
        house.fake.configure({"text": said})
        assert await house.transcribe() == Transcript(Outcome.RECOGNISED, said)


@pytest.mark.parametrize("status", [200, 400, 422, 500])
@pytest.mark.parametrize("body", ["Empty Audio file", "Input file content is unexpected"])
async def test_an_empty_recording_is_a_normal_answer(house: House, body: str, status: int) -> None:
    """When Vira finds nothing in the audio, nothing was said, and it is asked once."""
    house.fake.break_next(Fault(FaultKind.STATUS, status=status, body=body))
    assert (await house.transcribe()).outcome is Outcome.NOTHING_SAID
    assert len(house.fake.received) == 1


async def test_a_text_without_words_is_not_understood(house: House) -> None:
    """An empty text in a good answer means that no words were recognised."""
    house.fake.configure({"text": "  "})
    assert await house.transcribe() == Transcript(Outcome.NOT_UNDERSTOOD)


async def test_a_passing_failure_passes(house: House) -> None:
    """One 503 is followed by the answer."""
    house.fake.break_next(Fault(FaultKind.STATUS, times=1, status=503))
    assert (await house.transcribe()).text == "بله بفرمایید"


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.SLOW])
async def test_a_silent_vira_is_too_slow(house: House, kind: FaultKind) -> None:
    """A request ends with the caller's patience, not with Vira's."""
    house.fake.break_next(Fault(kind, seconds=1.0))
    with pytest.raises(ProviderTooSlow):
        await house.transcribe(0.3)


async def test_a_result_that_never_comes_is_too_slow(house: House) -> None:
    """A job that stays pending is asked for until patience ends."""
    house.fake.configure({"stt_shape": "pending", "polls": 1000})
    with pytest.raises(ProviderTooSlow):
        await house.transcribe(1.0)
    assert len(house.fake.received) >= 2


async def test_an_address_where_nobody_listens_is_unavailable(tmp_path: Path) -> None:
    """A refused connection is an outage that may pass."""
    settings = _settings("http://127.0.0.1:9", tmp_path)
    async with http_client(settings) as http:
        stt = build_stt(settings, http)
        with pytest.raises(ProviderUnavailable, match="cannot be reached"):
            await stt.transcriber.transcribe(Utterance(RECORDING, "fa"), 5.0)


async def test_the_failing_fields_are_named(house: House) -> None:
    """When Vira's validation refuses a field, the error says which."""
    body = (
        '{"data": {"additionalInfo": {"additionalInfo": {"validationResults": '
        '[{"field": "model", "passed": false}, {"field": "srt", "passed": true}]}}}}'
    )
    house.fake.break_next(Fault(FaultKind.STATUS, status=400, body=body))
    with pytest.raises(InputRejected, match=r"rejected the input \(HTTP 400\): model$"):
        await house.transcribe()


@pytest.mark.parametrize("shape", list(TtsShape))
async def test_every_shape_of_spoken_answer_is_fetched(house: House, shape: TtsShape) -> None:
    """The audio is found wherever its address is, and arrives at the rate asked for."""
    house.fake.configure({"tts_shape": shape})
    spoken = await house.tts.synthesize(Wording("سلام", "fa"), Form.WAV, 10.0)
    assert read_wav(spoken.audio).rate_hz == 8000
    assert spoken.length_s > 0.3
    assert house.fake.requests[0]["speaker"] == "sara"


async def test_the_token_does_not_follow_the_audio(house: House) -> None:
    """The address of the audio may be anybody's: it is fetched without the token."""
    await house.tts.synthesize(Wording("سلام", "fa"), Form.WAV, 10.0)
    fetched = house.fake.received[-1]
    assert fetched.path.startswith("/sounds/")
    assert "gateway-token" not in fetched.headers


async def test_an_unknown_speaker_is_the_callers_mistake(house: House) -> None:
    """A voice Vira does not have is refused with the name of the field."""
    with pytest.raises(BadRequest, match="speaker"):
        await house.tts.synthesize(Wording("سلام", "fa", "nobody"), Form.WAV, 10.0)


@pytest.mark.parametrize("address", ["", "ftp://127.0.0.1/a.mp3", "http://[broken", "file:///etc"])
async def test_a_senseless_audio_address_is_unavailable(house: House, address: str) -> None:
    """An answer whose address leads nowhere is an outage of Vira's and no crash."""
    body = f'{{"data": {{"url": "{address}"}}}}'
    house.fake.break_next(Fault(FaultKind.STATUS, status=200, body=body))
    with pytest.raises(ProviderUnavailable):
        await house.tts.synthesize(Wording("سلام", "fa"), Form.WAV, 10.0)


def test_results_are_asked_for_beside_the_request() -> None:
    """The address of pending results is derived from the one that is set."""
    url = result_url("https://vira.example/avanegar/v2/avanegar/request?x=1", "avanegar-large")
    assert url == "https://vira.example/avanegar/v2/avanegar-large/getResult"
    assert httpx.URL(url).scheme == "https"
