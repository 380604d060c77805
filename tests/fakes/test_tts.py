from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.tts import FakeTts

Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]
PATH = "/v1/audio/speech"
ASKED = {"model": "tts-1", "voice": "alloy", "input": "hello", "response_format": "wav"}


async def _tts(connect: Connect, **wanted: Any) -> httpx.AsyncClient:
    client = await connect(FakeTts())
    assert (await client.post("/_control", json=wanted)).status_code == 200
    return client


async def _say(client: httpx.AsyncClient, key: str = "", **changes: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return await client.post(PATH, json={**ASKED, **changes}, headers=headers)


@pytest.mark.parametrize(
    ("style", "form", "status", "head"),
    [
        ("every_form", "wav", 200, b"RIFF"),
        ("every_form", "mp3", 200, b"ID3"),
        ("streams", "wav", 200, b"RIFF\xff\xff\xff\xff"),
        ("refuses_wav", "wav", 400, b"{"),
        ("refuses_wav", "mp3", 200, b"ID3"),
        ("mp3", "wav", 200, b"ID3"),
        ("silent", "wav", 200, b"RIFF"),
        ("page", "wav", 200, b"<html>"),
    ],
)
async def test_each_style_answers_in_its_form(
    connect: Connect, style: str, form: str, status: int, head: bytes
) -> None:
    """A server speaks in the form asked for, unless its style says otherwise."""
    answer = await _say(await _tts(connect, style=style), response_format=form)
    assert answer.status_code == status
    assert answer.content.startswith(head)


async def test_mp3_is_the_form_of_those_who_name_none(connect: Connect) -> None:
    """As with the original, a request without a form is answered with MP3."""
    client = await _tts(connect)
    request = {name: value for name, value in ASKED.items() if name != "response_format"}
    answer = await client.post(PATH, json=request)
    assert answer.headers["content-type"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"input": ""}, 422),
        ({"input": "x" * 4097}, 422),
        ({"response_format": "midi"}, 422),
        ({"model": "other"}, 404),
        ({"voice": "nobody"}, 400),
    ],
)
async def test_wrong_requests_are_refused(
    connect: Connect, changes: dict[str, Any], status: int
) -> None:
    """An unknown model, voice or form and a text of a wrong length have their statuses."""
    client = await _tts(connect, model="tts-1", voices=["alloy"])
    assert (await _say(client, **changes)).status_code == status
    assert (await client.post(PATH, content=b"{}")).status_code == 400
    assert (await client.get("/_control")).json()["requests"] == []


async def test_the_key_is_asked_for(connect: Connect) -> None:
    """Only the key that was set opens the server."""
    client = await _tts(connect, api_key="key")
    assert (await _say(client, "wrong")).status_code == 401
    assert (await _say(client, "key")).status_code == 200


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
async def test_credit_refusals_have_their_codes(
    connect: Connect, variant: str, status: int
) -> None:
    """Each known refusal for credit has its status and its code."""
    client = await _tts(connect, faults=[{"kind": "no_credit", "variant": variant}])
    answer = await _say(client)
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == (variant or "payment_required")
