"""The way to Vira: one request with a token, answers read whole, errors translated once.

Its answers come in several shapes, and some ask to be called for again under an id.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx

from speech.errors import ProviderError, ProviderRefused, ProviderTooSlow, ProviderUnavailable

_LONGEST_ANSWER_BYTES = 1_000_000
_NO_CREDIT_WORDS = ("balanceError", "credit is below the set threshold")
_PENDING = {"pending", "processing", "queued"}
_FIRST_POLL_S, _LONGEST_POLL_S = 0.3, 2.0


class ViraRejected(ProviderError):  # noqa: N818 - named for what happened
    """Vira does not take this input (400).

    Attributes:
        body: its explanation; may quote the input, so it is not for logs.
    """

    def __init__(self, message: str, body: str) -> None:
        super().__init__(message)
        self.body = body


@dataclass(frozen=True)
class ViraAccount:
    """Where one Vira service is and what opens it.

    Attributes:
        url: address that takes requests.
        poll_url: address that gives the results of requests under way, for `?id=`.
        token: the gateway token of this service.
        setting: name of the setting that holds the token, for messages.
    """

    url: str
    poll_url: str
    token: str
    setting: str


def result_url(url: str, service: str) -> str:
    """Give the address of a service's results, beside the address that takes requests.

    With `avanegar-large`, `…/avanegar/v2/avanegar/request` gives
    `…/avanegar/v2/avanegar-large/getResult`.
    """
    parsed = httpx.URL(url)
    head = parsed.path.rstrip("/").rsplit("/", 2)[0]
    return str(parsed.copy_with(path=f"{head}/{service}/getResult", query=None))


class ViraClient:
    """One Vira service over a shared HTTP client."""

    def __init__(self, http: httpx.AsyncClient, account: ViraAccount) -> None:
        self._http = http
        self._account = account

    async def request(self, **content: Any) -> dict[str, Any]:
        """Post a request (httpx's own keywords: `data`, `files`, `json`) and wait for its result.

        The caller limits the time. A result that is not ready is asked for until it is.

        Raises:
            ViraRejected: it does not take this input.
            ProviderError: it did not answer usefully.
        """
        answer = await self._send("POST", self._account.url, **content)
        pause_s = _FIRST_POLL_S
        job = pending_job(answer)
        while job is not None:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
            answer = await self._send("GET", self._account.poll_url, params={"id": job})
            job = job if pending_job(answer, job) else None
        return answer

    async def _send(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        headers = {"gateway-token": self._account.token, "accept": "application/json"}
        try:
            async with self._http.stream(method, url, headers=headers, **content) as response:
                body = await read_limited(response, _LONGEST_ANSWER_BYTES)
        except httpx.HTTPError as error:
            raise translated(error) from error
        text = body.decode("utf-8", errors="replace")
        self._check(response.status_code, text)
        return _parsed(text)

    def _check(self, status: int, body: str) -> None:
        if status in {402, 403} or any(word in body for word in _NO_CREDIT_WORDS):
            raise ProviderRefused("Vira has no credit left: top up the account")
        if status == 401:
            raise ProviderRefused(f"Vira does not accept the token: check {self._account.setting}")
        if status == 400:
            raise ViraRejected(f"Vira rejected the input{_failed_fields(body)}", body)
        if status in {408, 429} or status >= 500:
            raise ProviderUnavailable(f"Vira answered HTTP {status}", retryable=True)
        if status not in {200, 201}:
            raise ProviderUnavailable(f"Vira answered HTTP {status}")


def translated(error: httpx.HTTPError) -> ProviderError:
    """Say in the service's own words what went wrong on the way."""
    kind = type(error).__name__
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return ProviderUnavailable(f"Vira cannot be reached ({kind})", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return ProviderTooSlow("Vira did not answer in time")
    retryable = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
    return ProviderUnavailable(f"the connection to Vira broke ({kind})", retryable=retryable)


async def read_limited(response: httpx.Response, limit_bytes: int) -> bytes:
    """Read a body that is being streamed.

    Raises:
        ProviderUnavailable: it is longer than `limit_bytes`.
    """
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > limit_bytes:
            raise ProviderUnavailable(f"Vira answered more than {limit_bytes} bytes")
    return bytes(body)


def _parsed(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable("Vira's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise ProviderUnavailable("Vira's answer is not a JSON object")
    return answer


def _failed_fields(body: str) -> str:
    """Name the fields Vira's validation refuses; nothing when it does not say."""
    try:
        results = dig(json.loads(body), "data.additionalInfo.additionalInfo.validationResults")
    except (ValueError, RecursionError):
        return ""
    if not isinstance(results, list):
        return ""
    fields = [
        str(result.get("field"))
        for result in results
        if isinstance(result, dict) and result.get("passed") is False
    ]
    return f": {', '.join(fields)}" if fields else ""


def dig(answer: Any, path: str) -> Any:
    """Follow keys joined by dots; None where one is missing."""
    for key in path.split("."):
        if not isinstance(answer, dict):
            return None
        answer = answer.get(key)
    return answer


def first_text(answer: Any, *paths: str) -> str | None:
    """Give the first of several places that holds a text."""
    for path in paths:
        found = dig(answer, path)
        if isinstance(found, str):
            return found
    return None


def pending_job(answer: dict[str, Any], known: str | None = None) -> str | None:
    """Give the id to ask for when the answer says the result is not ready yet.

    Raises:
        ProviderUnavailable: it is not ready, and there is no id to ask for.
    """
    status = first_text(answer, "data.status", "data.data.status", "status")
    if status is None or status.lower() not in _PENDING:
        return None
    for path in ("data.id", "data.data.id", "data.requestId", "id"):
        job = dig(answer, path)
        if isinstance(job, (str, int)) and not isinstance(job, bool) and job != "":
            return str(job)
    if known is None:
        raise ProviderUnavailable("Vira's result is not ready and has no id")
    return known
