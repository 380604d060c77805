from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.tone import tone_wav
from lab.fakes.vira import FakeVira

Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]
STT = "/avanegar/v2/avanegar/request"
STT_POLL = "/avanegar/v2/avanegar-large/getResult"
TTS = "/avasho/v2/avasho/request"
TTS_POLL = "/avasho/v2/avasho/getResult"
TOKEN = {"gateway-token": "t"}
FIELDS: dict[str, Any] = {
    "model": "telephony",
    "punctuation": "false",
    "numSpeakers": "0",
    "hotwords[]": ["بله", "نه"],
}


async def _send(
    client: httpx.AsyncClient,
    audio: bytes | None = None,
    headers: dict[str, str] = TOKEN,
    **changes: Any,
) -> httpx.Response:
    sound = tone_wav(0.5) if audio is None else audio
    files = {"audio": ("reply.wav", sound, "audio/wav")}
    return await client.post(STT, data={**FIELDS, **changes}, files=files, headers=headers)


async def _vira(connect: Connect, **wanted: Any) -> httpx.AsyncClient:
    client = await connect(FakeVira())
    assert (await client.post("/_control", json=wanted)).status_code == 200
    return client


async def test_texts_are_heard_in_order_then_the_default(connect: Connect) -> None:
    """Scripted texts come one per recording, then the standing text."""
    client = await _vira(connect, texts=["بله", "نه"], text="الو")
    heard = [
        (await _send(client)).json()["data"]["data"]["aiResponse"]["result"]["text"]
        for _ in range(3)
    ]
    assert heard == ["بله", "نه", "الو"]


async def test_a_recording_can_have_its_own_text(connect: Connect) -> None:
    """A text tied to a recording's SHA-256 wins over the script."""
    audio = tone_wav(0.7)
    table = {hashlib.sha256(audio).hexdigest(): "آره"}
    client = await _vira(connect, by_audio=table, texts=["نه"])
    body = (await _send(client, audio)).json()["data"]["data"]["aiResponse"]
    assert body["result"]["text"] == "آره"
    assert body["meta"]["units"] == pytest.approx(0.7)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("nested", ("data", "data", "aiResponse", "result", "text")),
        ("data_text", ("data", "text")),
        ("data_data_text", ("data", "data", "text")),
    ],
)
async def test_text_stands_where_the_shape_says(
    connect: Connect, shape: str, path: tuple[str, ...], status: int
) -> None:
    """Each known shape of the answer, with 200 and 201, has the text in its own place."""
    client = await _vira(connect, text="بله", stt_shape=shape, status=status)
    answer = await _send(client)
    found: Any = answer.json()
    for key in path:
        found = found[key]
    assert found == "بله"
    assert answer.status_code == status
    assert answer.json()["meta"]["traceId"]


async def test_pending_result_is_polled(connect: Connect) -> None:
    """A pending answer carries an id; polling says it again, then gives the text."""
    client = await _vira(connect, text="بله", stt_shape="pending", polls=2)
    pending = (await _send(client)).json()["data"]
    assert pending["status"] == "pending"
    polled = [
        (await client.get(STT_POLL, params={"id": pending["id"]})).json()["data"] for _ in range(3)
    ]
    assert [answer["status"] for answer in polled] == ["pending", "pending", "success"]
    assert polled[2]["data"]["aiResponse"]["result"]["text"] == "بله"
    assert (await client.get(STT_POLL, params={"id": "other"})).status_code == 404


async def test_fields_are_recorded(connect: Connect) -> None:
    """What an accepted request asked for can be read back, repeated hotwords included."""
    client = await _vira(connect, text="بله")
    await _send(client)
    (asked,) = (await client.get("/_control")).json()["requests"]
    assert asked["hotwords[]"] == ["بله", "نه"]
    assert asked["model"] == ["telephony"]
    assert asked["seconds"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": "large"}, "model"),
        ({"diarize": "no"}, "diarize"),
        ({"numSpeakers": "two"}, "numSpeakers"),
        ({"hotwords[]": ["two words"]}, "hotwords[]"),
    ],
)
async def test_bad_field_is_named(connect: Connect, changes: dict[str, Any], field: str) -> None:
    """A field outside the documented values is 400 with its name in validationResults."""
    client = await _vira(connect)
    answer = await _send(client, **changes)
    results = answer.json()["data"]["additionalInfo"]["additionalInfo"]["validationResults"]
    assert answer.status_code == 400
    assert results == [{"field": field, "passed": False}]


async def test_missing_audio_is_named(connect: Connect) -> None:
    """A request without a file is 400 and names `audio`."""
    client = await _vira(connect)
    answer = await client.post(STT, data=FIELDS, headers=TOKEN)
    results = answer.json()["data"]["additionalInfo"]["additionalInfo"]["validationResults"]
    assert {"field": "audio", "passed": False} in results


@pytest.mark.parametrize(
    ("audio", "text"),
    [
        (b"", "Empty Audio file"),
        (b"ID3 not a wav", "Input file content is unexpected"),
        (tone_wav(60.0), "Input file content is unexpected"),
    ],
    ids=["empty", "no wav", "a minute"],
)
async def test_nothing_said_is_a_plain_400(connect: Connect, audio: bytes, text: str) -> None:
    """Empty, unreadable and over-long audio are refused with the vendor's plain words."""
    client = await _vira(connect)
    answer = await _send(client, audio)
    assert (answer.status_code, answer.text) == (400, text)


@pytest.mark.parametrize(
    ("setting", "headers", "status"),
    [
        ({}, {}, 401),
        ({"stt_token": "right"}, {"gateway-token": "wrong"}, 401),
        ({"stt_token": "right"}, {"gateway-token": "right"}, 200),
    ],
)
async def test_stt_token_is_checked(
    connect: Connect, setting: dict[str, str], headers: dict[str, str], status: int
) -> None:
    """The gateway token must be there and, where one is set, right."""
    client = await _vira(connect, **setting)
    assert (await _send(client, headers=headers)).status_code == status


@pytest.mark.parametrize(
    ("variant", "status", "mark"),
    [
        ("403", 403, ""),
        ("balance_error", 400, "balanceError"),
        ("threshold", 400, "credit is below the set threshold"),
        ("402", 402, ""),
        ("balance_error_200", 200, "balanceError"),
        ("threshold_200", 200, "credit is below the set threshold"),
    ],
)
async def test_no_credit_in_each_form(
    connect: Connect, variant: str, status: int, mark: str
) -> None:
    """Each known refusal for lack of credit has its status and its words."""
    client = await _vira(connect, faults=[{"kind": "no_credit", "variant": variant}])
    answer = await _send(client)
    assert answer.status_code == status
    assert mark in answer.text


@pytest.mark.parametrize(
    ("shape", "path"),
    [
        ("nested", ("data", "data", "aiResponse", "result", "filename")),
        ("url", ("data", "url")),
        ("filename", ("data", "filename")),
    ],
)
async def test_speech_is_an_address_that_plays(
    connect: Connect, shape: str, path: tuple[str, ...]
) -> None:
    """Each shape of the answer carries the address of a sound that the fake serves."""
    client = await _vira(connect, tts_shape=shape)
    wanted = {"text": "سلام", "speaker": "sara", "speed": 1, "timestamp": False}
    found: Any = (await client.post(TTS, json=wanted, headers=TOKEN)).json()
    for key in path:
        found = found[key]
    sound = await client.get(found)
    assert sound.status_code == 200
    if found.endswith(".mp3"):
        assert sound.headers["content-type"] == "audio/mpeg"
        assert sound.content[:3] == b"ID3" or sound.content[0] == 0xFF
    else:
        assert sound.content[:4] == b"RIFF"
    assert len(sound.content) > 1000


async def test_pending_speech_is_polled(connect: Connect) -> None:
    """Pending speech carries an id whose poll ends with the address."""
    client = await _vira(connect, tts_shape="pending", polls=0)
    wanted = {"text": "سلام", "speaker": "sara"}
    pending = (await client.post(TTS, json=wanted, headers=TOKEN)).json()["data"]
    done = (await client.get(TTS_POLL, params={"id": pending["id"]})).json()["data"]
    assert done["data"]["aiResponse"]["result"]["filename"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("wanted", [{"text": "", "speaker": "sara"}, {"text": "x", "speaker": "?"}])
async def test_speech_wants_text_and_a_known_voice(
    connect: Connect, wanted: dict[str, str]
) -> None:
    """Empty text and an unknown speaker are 400; a wrong token is 401."""
    client = await _vira(connect, tts_token="t")
    assert (await client.post(TTS, json=wanted, headers=TOKEN)).status_code == 400
    bad = {"gateway-token": "other"}
    assert (await client.post(TTS, json=wanted, headers=bad)).status_code == 401
