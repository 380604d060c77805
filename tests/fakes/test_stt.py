from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.stt import FakeStt
from lab.fakes.tone import tone_wav

Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]
PATH = "/v1/audio/transcriptions"
FIELDS = {"model": "whisper-1", "language": "fa", "response_format": "json", "temperature": "0"}


async def _stt(connect: Connect, **wanted: Any) -> httpx.AsyncClient:
    client = await connect(FakeStt())
    assert (await client.post("/_control", json=wanted)).status_code == 200
    return client


async def _send(
    client: httpx.AsyncClient, audio: bytes | None = None, key: str = "", **changes: str
) -> httpx.Response:
    files = {"file": ("reply.wav", tone_wav(0.5) if audio is None else audio, "audio/wav")}
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await client.post(PATH, data={**FIELDS, **changes}, files=files, headers=headers)


async def test_texts_are_heard_in_order_then_the_default(connect: Connect) -> None:
    """Scripted texts come one per recording, then the standing text."""
    client = await _stt(connect, texts=["بله", "نه"], text="الو")
    assert [(await _send(client)).json()["text"] for _ in range(3)] == ["بله", "نه", "الو"]


async def test_verbose_answers_have_segments_with_likelihoods(connect: Connect) -> None:
    """Each segment says how likely silence is and how sure the model is; made-up words are in."""
    client = await _stt(connect, text="بله", made_up="ممنون")
    answer = (await _send(client, response_format="verbose_json")).json()
    assert answer["text"] == "بله ممنون"
    assert answer["duration"] == pytest.approx(0.5)
    said, made_up = answer["segments"]
    assert said["text"].strip() == "بله"
    assert said["no_speech_prob"] < 0.6 < made_up["no_speech_prob"]
    assert made_up["avg_logprob"] < -1.0 < said["avg_logprob"]


@pytest.mark.parametrize(
    ("style", "form", "status", "kind"),
    [
        ("verbose_json", "text", 200, "text/plain; charset=utf-8"),
        ("verbose_json", "json", 200, "application/json"),
        ("refuses_verbose", "verbose_json", 400, "application/json"),
        ("refuses_verbose", "json", 200, "application/json"),
        ("json", "verbose_json", 200, "application/json"),
        ("text", "verbose_json", 200, "text/plain; charset=utf-8"),
    ],
)
async def test_style_decides_the_form(
    connect: Connect, style: str, form: str, status: int, kind: str
) -> None:
    """Servers take every form, refuse the verbose one, or answer their own whatever is asked."""
    client = await _stt(connect, style=style, text="بله")
    answer = await _send(client, response_format=form)
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"model": ""}, 400),
        ({"model": "other"}, 404),
        ({"response_format": "yaml"}, 400),
        ({"language": "farsi"}, 400),
        ({"temperature": "hot"}, 400),
    ],
)
async def test_fields_are_checked(connect: Connect, changes: dict[str, str], status: int) -> None:
    """What a real server refuses is refused, and only what was accepted is recorded."""
    client = await _stt(connect, model="whisper-1")
    assert (await _send(client, None, "", **changes)).status_code == status
    asked = (await client.get("/_control")).json()["requests"]
    assert [request["language"] for request in asked] == (["fa"] if status == 200 else [])


@pytest.mark.parametrize("audio", [b"", b"not a wav"])
async def test_what_is_no_sound_is_refused(connect: Connect, audio: bytes) -> None:
    """An empty or broken file is 400."""
    assert (await _send(await _stt(connect), audio)).status_code == 400


@pytest.mark.parametrize(("key", "status"), [("", 401), ("wrong", 401), ("right", 200)])
async def test_the_key_is_checked(connect: Connect, key: str, status: int) -> None:
    """Where a key is set, the bearer must carry it."""
    client = await _stt(connect, api_key="right")
    assert (await _send(client, key=key)).status_code == status


@pytest.mark.parametrize(
    ("variant", "status"),
    [
        ("", 402),
        ("insufficient_quota", 429),
        ("billing_hard_limit_reached", 429),
        ("insufficient_user_quota", 403),
        ("pre_consume_token_quota_failed", 403),
    ],
)
async def test_no_credit_in_each_form(connect: Connect, variant: str, status: int) -> None:
    """Lack of credit is 402, or 403 or 429 with the provider's code."""
    client = await _stt(connect, faults=[{"kind": "no_credit", "variant": variant}])
    answer = await _send(client)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == (variant or "payment_required")
