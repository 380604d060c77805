"""The way to Vira: one request with a token, answers read whole, errors translated once.

Its answers come in several shapes, and some ask to be called for again under an id.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx

from speech.errors import BadToken, OutOfCredit, ProviderError, ProviderUnavailable
from speech.providers import LONGEST_ANSWER_BYTES, failure, read_limited, translated

_NAME = "Vira"
_NO_CREDIT_WORDS = ("balanceError", "credit is below the set threshold")
_NOTHING_HEARD_WORDS = ("Empty Audio file", "Input file content is unexpected")
_RESULT_PLACES = tuple(
    f"{place}.{name}"
    for place in ("data.data.aiResponse.result", "data.data", "data")
    for name in ("text", "filename", "url")
)
_PENDING = {"pending", "processing", "queued"}
_FIRST_POLL_S, _LONGEST_POLL_S = 0.3, 2.0
_MOST_POLL_FAILURES = 2
_LONGEST_FOREIGN_WORD = 100
_MOST = 1e6  # no request costs more units; a counter cannot take back a senseless one


class NothingHeard(ProviderError):  # noqa: N818 - named for what happened
    """Vira finds nothing in the audio: its way to say that nobody spoke."""


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
            InputRejected: it does not take this input.
            NothingHeard: it finds nothing in the audio.
            ProviderError: it did not answer usefully.
        """
        answer = await self._send("POST", self._account.url, **content)
        try:
            return await self._wait_for_result(answer)
        except ProviderError as error:
            error.billed = True  # the request was taken, whatever became of its result
            raise

    async def _wait_for_result(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Ask for a result until it is there; asking is free, so it is repeated when it fails."""
        pause_s = _FIRST_POLL_S
        failures = 0
        job = pending_job(answer)
        while job is not None:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_POLL_S)
            try:
                answer = await self._send("GET", self._account.poll_url, params={"id": job})
            except ProviderError as error:
                failures += 1
                if not error.retryable or failures > _MOST_POLL_FAILURES:
                    raise
                continue
            job = pending_job(answer, job)
        return answer

    async def _send(self, method: str, url: str, **content: Any) -> dict[str, Any]:
        headers = {"gateway-token": self._account.token, "accept": "application/json"}
        request = self._http.build_request(method, url, headers=headers, **content)
        request.read()  # a form leaves in one piece, not field by field
        try:
            async with aclosing(await self._http.send(request, stream=True)) as response:
                body = await read_limited(response, LONGEST_ANSWER_BYTES, _NAME)
        except httpx.HTTPError as error:
            raise translated(error, _NAME) from error
        text = body.decode("utf-8", errors="replace")
        answer = _parsed(text)
        refusal = self._refusal(response, text, answer)
        if refusal is not None:
            refusal.trace_id = trace_of(answer)
            raise refusal
        if answer is None:
            raise ProviderUnavailable("Vira's answer is not a JSON object")
        return answer

    def _refusal(
        self, response: httpx.Response, body: str, answer: dict[str, Any] | None
    ) -> ProviderError | None:
        """Tell a refusal from an answer. Words count only where no result stands beside them."""
        status = response.status_code
        if not response.is_success or first_text(answer, *_RESULT_PLACES) is None:
            if status in {402, 403} or any(word in body for word in _NO_CREDIT_WORDS):
                return OutOfCredit("Vira has no credit left: top up the account")
            if any(phrase in body for phrase in _NOTHING_HEARD_WORDS):
                return NothingHeard("Vira finds nothing in the audio")
        if status == 401:
            return BadToken(f"Vira does not accept the token: check {self._account.setting}")
        return failure(response, _NAME, hint=_failed_fields(answer))


def _parsed(text: str) -> dict[str, Any] | None:
    """Read a JSON object; None for anything else."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _failed_fields(answer: dict[str, Any] | None) -> str:
    """Name the fields Vira's validation refuses; nothing when it does not say."""
    results = dig(answer, "data.additionalInfo.additionalInfo.validationResults")
    if not isinstance(results, list):
        return ""
    fields = [
        str(result.get("field"))
        for result in results
        if isinstance(result, dict) and result.get("passed") is False
    ]
    return f": {', '.join(fields)[:_LONGEST_FOREIGN_WORD]}" if fields else ""


def trace_of(answer: dict[str, Any] | None) -> str:
    """Give Vira's own name for a request, which its support asks for; empty without one."""
    return (first_text(answer, "meta.traceId", "data.meta.traceId") or "")[:_LONGEST_FOREIGN_WORD]


def units_of(answer: dict[str, Any]) -> float:
    """Give the units Vira bills for a request; 0 when it does not say."""
    for path in ("data.data.aiResponse.meta.units", "data.aiResponse.meta.units"):
        units = dig(answer, path)
        if isinstance(units, (int, float)) and not isinstance(units, bool) and 0 < units < _MOST:
            return float(units)
    return 0.0


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
