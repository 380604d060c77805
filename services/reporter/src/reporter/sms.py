"""The SMS gateways: Melipayamak's console and Kavenegar. Both carry their key in the URL.

No URL, and no exception of httpx that holds one, leaves this module.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

import httpx

from reporter.errors import SmsFailed

_DIGITS = re.compile(r"\d{5,}")
_SAID_LENGTH = 120
# Nothing was sent when no connection came about.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class SmsGateway(Protocol):
    """Sends one SMS to one person."""

    async def send(self, recipient: str, text: str) -> None:
        """Send one SMS.

        Raises:
            SmsFailed: it was refused, or nobody knows whether it was sent.
        """
        ...


@dataclass(frozen=True)
class Melipayamak:
    """Melipayamak's console API. It answers 200 even when it refuses: the body tells."""

    http: httpx.AsyncClient
    base_url: str
    key: str
    sender: str

    async def send(self, recipient: str, text: str) -> None:
        """Send one SMS; success is a message number and an empty status."""
        url = f"{self.base_url}/api/send/advanced/{quote(self.key, safe='')}"
        body = {"from": self.sender, "to": [recipient], "text": text, "udh": ""}
        answer = await _answer(self.http.post(url, json=body))
        if not answer.get("recIds") or answer.get("status"):
            raise SmsFailed(f"refused: {_said(answer.get('status'))}", retryable=False)


@dataclass(frozen=True)
class Kavenegar:
    """Kavenegar's REST API; an empty sender means the account's own line."""

    http: httpx.AsyncClient
    base_url: str
    key: str
    sender: str

    async def send(self, recipient: str, text: str) -> None:
        """Send one SMS; success is `return.status` 200."""
        url = f"{self.base_url}/v1/{quote(self.key, safe='')}/sms/send.json"
        form = {"receptor": recipient, "message": text}
        if self.sender:
            form["sender"] = self.sender
        answer = await _answer(self.http.post(url, data=form))
        returned = answer.get("return")
        if not isinstance(returned, dict) or returned.get("status") != 200:
            told = returned.get("message") if isinstance(returned, dict) else None
            raise SmsFailed(f"refused: {_said(told)}", retryable=False)


async def _answer(request: Awaitable[httpx.Response]) -> dict[str, object]:
    """Wait for the gateway's answer and read it; `from None` because the cause shows the URL."""
    try:
        response = await request
    except _NEVER_SENT as error:
        raise SmsFailed(type(error).__name__, retryable=True) from None
    except httpx.HTTPError as error:
        raise SmsFailed(f"{type(error).__name__}, may have been sent", retryable=False) from None
    if response.status_code == 429 or response.is_server_error:
        raise SmsFailed(f"HTTP {response.status_code}", retryable=True)
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SmsFailed(f"HTTP {response.status_code}, the answer is not JSON", retryable=False)
    return answer


def _said(told: object) -> str:
    """Quote the gateway without the numbers it may repeat."""
    text = str(told or "no reason given")[:_SAID_LENGTH]
    return _DIGITS.sub("…", text)
