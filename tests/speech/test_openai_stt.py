"""An OpenAI-compatible transcription server, spoken to over real HTTP."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from lab.fakes.faults import Fault, FaultKind
from lab.fakes.serving import serving
from lab.fakes.stt import FakeStt, SttStyle
from speech.errors import InputRejected, OutOfCredit, ProviderUnavailable
from speech.openai_server import OpenAiAccount, OpenAiServer
from speech.stt.base import Outcome, Transcript, Utterance
from speech.stt.openai import OpenAiStt
from speech_support.phone import hiss
from speech_support.service import plain_http

KEY = "the-secret-key"
SAID = Utterance(hiss(1, 500), "fa", ("مشاور", "بله"))


@dataclass
class House:
    """A fake server and the engine that talks to it."""

    fake: FakeStt
    engine: OpenAiStt

    def forms(self) -> list[str]:
        """Give the forms of answer that were asked for, refused ones included."""
        bodies = [base64.b64decode(str(seen.body)) for seen in self.fake.received]
        return ["verbose" if b"verbose_json" in body else "plain" for body in bodies]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """An engine with a key against a server that wants it."""
    fake = FakeStt()
    fake.configure({"api_key": KEY, "model": "whisper-1", "text": "بله بفرمایید"})
    async with serving(fake) as url, plain_http() as http:
        account = OpenAiAccount(f"{url}/v1", KEY, "STT")
        yield House(fake, OpenAiStt(OpenAiServer(http, account), "whisper-1"))


async def test_the_request_is_what_servers_want(house: House) -> None:
    """Model, language, temperature 0, hotwords as a prompt, and the recording go along."""
    assert await house.engine.recognise(SAID) == Transcript(Outcome.RECOGNISED, "بله بفرمایید")
    (asked,) = house.fake.requests
    assert asked["seconds"] == pytest.approx(1.0)
    del asked["seconds"], asked["bytes"]
    assert asked == {
        "model": "whisper-1",
        "language": "fa",
        "response_format": "verbose_json",
        "temperature": "0",
        "prompt": "مشاور, بله",
    }
    assert house.fake.received[0].headers["authorization"] == f"Bearer {KEY}"


async def test_a_server_without_a_key_is_sent_none() -> None:
    """Where no key is set no authorization goes along, and no prompt without hotwords."""
    fake = FakeStt()
    async with serving(fake) as url, plain_http() as http:
        server = OpenAiServer(http, OpenAiAccount(f"{url}/v1", "", "STT"))
        await OpenAiStt(server, "any").recognise(Utterance(SAID.recording, "en"))
    assert "authorization" not in fake.received[0].headers
    assert "prompt" not in fake.requests[0]


@pytest.mark.parametrize("style", list(SttStyle))
async def test_every_form_of_answer_is_understood(house: House, style: SttStyle) -> None:
    """The words are found in verbose and plain JSON and in plain text."""
    house.fake.configure({"style": style})
    assert (await house.engine.recognise(SAID)).text == "بله بفرمایید"
    house.fake.configure({"text": ""})
    assert await house.engine.recognise(SAID) == Transcript(Outcome.NOT_UNDERSTOOD)


async def test_a_form_that_is_refused_is_not_asked_for_again(house: House) -> None:
    """After one refusal the plain form is asked for, for good; a server that knows it keeps it."""
    house.fake.configure({"style": "refuses_verbose"})
    for _ in range(2):
        assert (await house.engine.recognise(SAID)).text == "بله بفرمایید"
    assert house.forms() == ["verbose", "plain", "plain"]


async def test_a_recording_that_is_refused_does_not_change_the_form(house: House) -> None:
    """Where the plain form is refused too the recording was at fault: the next is asked as ever."""
    house.fake.break_next(Fault(FaultKind.STATUS, times=2, status=400))
    with pytest.raises(InputRejected):
        await house.engine.recognise(SAID)
    await house.engine.recognise(SAID)
    assert house.forms() == ["verbose", "plain", "verbose"]


async def test_made_up_words_are_left_out(house: House) -> None:
    """Segments the model takes for silence and doubts are dropped, be others left or not."""
    house.fake.configure({"made_up": "ممنون که تماشا کردید"})
    assert (await house.engine.recognise(SAID)).text == "بله بفرمایید"
    house.fake.configure({"text": ""})
    assert await house.engine.recognise(SAID) == Transcript(Outcome.NOT_UNDERSTOOD)


@pytest.mark.parametrize(
    ("no_speech_prob", "avg_logprob", "text"),
    [
        ("0.9", "-1.4", ""),
        ("0.9", "-0.3", "yes"),
        ("0.1", "-1.4", "yes"),
        ("null", "-1.4", "yes"),
        ('"high"', '"low"', "yes"),
    ],
)
async def test_words_are_dropped_only_for_both_reasons(
    house: House, no_speech_prob: str, avg_logprob: str, text: str
) -> None:
    """A sure model is believed though silence is likely, and a doubting one where none is."""
    segment = (
        f'{{"text": " yes", "no_speech_prob": {no_speech_prob}, "avg_logprob": {avg_logprob}}}'
    )
    body = f'{{"text": "yes", "segments": [{segment}]}}'
    house.fake.break_next(Fault(FaultKind.STATUS, status=200, body=body))
    assert (await house.engine.recognise(SAID)).text == text


@pytest.mark.parametrize(
    "body",
    [
        '{"text": "yes", "segments": null}',
        '{"text": "yes", "segments": [7, null, "x"]}',
        '{"text": "yes", "segments": {}}',
        '{"text": " yes\\n", "usage": null}',
    ],
)
async def test_odd_segments_do_not_lose_the_words(house: House, body: str) -> None:
    """Where segments make no sense the text as a whole is taken."""
    house.fake.break_next(Fault(FaultKind.STATUS, status=200, body=body))
    assert (await house.engine.recognise(SAID)).text == "yes"


async def test_an_error_behind_a_success_is_one(house: House) -> None:
    """Some proxies answer HTTP 200 with an error inside: no words, and credit is told apart."""
    for code, kind in (("insufficient_quota", OutOfCredit), ("oops", ProviderUnavailable)):
        body = f'{{"error": {{"message": "no", "code": "{code}"}}}}'
        house.fake.faults[:] = [Fault(FaultKind.STATUS, status=200, body=body)]
        with pytest.raises(kind):
            await house.engine.recognise(SAID)


async def test_a_caller_cannot_speak_an_error(house: House) -> None:
    """Words that mean trouble in an error mean nothing in a transcript."""
    house.fake.configure({"text": "insufficient_quota"})
    assert (await house.engine.recognise(SAID)).text == "insufficient_quota"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(FaultKind.UNAUTHORIZED), "check STT_API_KEY"),
        (Fault(FaultKind.STATUS, status=404), "check STT_BASE_URL and STT_MODEL"),
        (Fault(FaultKind.STATUS, status=400), "check STT_BASE_URL and STT_MODEL"),
        (Fault(FaultKind.NO_CREDIT), "top up the account"),
    ],
)
async def test_errors_say_what_to_do(house: House, fault: Fault, said: str) -> None:
    """Each mistake of the settings names the setting."""
    house.fake.break_next(fault)
    with pytest.raises(Exception, match=said) as caught:
        await house.engine.recognise(SAID)
    assert KEY not in str(caught.value)
