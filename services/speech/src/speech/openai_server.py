"""The way to an OpenAI-compatible server: one request with a key, errors translated once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from speech.errors import BadToken, OutOfCredit
from speech.providers import LONGEST_ANSWER_BYTES, failure, read_limited, translated

_NO_CREDIT_CODES = {
    "insufficient_quota",
    "insufficient_user_quota",
    "pre_consume_token_quota_failed",
    "billing_hard_limit_reached",
}


@dataclass(frozen=True)
class OpenAiAccount:
    """Where an OpenAI-compatible server is and what opens it.

    Attributes:
        base_url: its address with the version, for example `https://api.openai.com/v1`.
        key: the key; empty where the server asks for none.
        settings: start of the settings' names, `STT` or `TTS`, for messages.
    """

    base_url: str
    key: str
    settings: str


@dataclass(frozen=True)
class Answer:
    """A good answer.

    Attributes:
        content_type: what the server says it is, in lower case, without parameters.
        body: the answer. Personal data.
    """

    content_type: str
    body: bytes


class OpenAiServer:
    """One account of one server over a shared HTTP client."""

    def __init__(self, http: httpx.AsyncClient, account: OpenAiAccount) -> None:
        self._http = http
        self._account = account
        self._name = f"the server of {account.settings}_BASE_URL"

    async def post(
        self, path: str, *, limit_bytes: int = LONGEST_ANSWER_BYTES, **content: Any
    ) -> Answer:
        """Post a request (httpx's own keywords: `data`, `files`, `json`). The caller limits time.

        Raises:
            InputRejected: the server does not take this input (400, 413, 415, 422).
            ProviderError: it did not answer usefully.
        """
        key = self._account.key
        headers = {"authorization": f"Bearer {key}"} if key else {}
        url = f"{self._account.base_url}{path}"
        try:
            async with self._http.stream("POST", url, headers=headers, **content) as response:
                body = await read_limited(response, limit_bytes, self._name)
        except httpx.HTTPError as error:
            raise translated(error, self._name) from error
        self._check(response, body)
        kind = str(response.headers.get("content-type", ""))
        return Answer(kind.partition(";")[0].strip().lower(), body)

    def _check(self, response: httpx.Response, body: bytes) -> None:
        """Raise what the answer means; some proxies hide an error behind HTTP 200."""
        status, prefix = response.status_code, self._account.settings
        may_tell = response.is_success or status in {403, 429}
        if status == 402 or (may_tell and error_codes(body) & _NO_CREDIT_CODES):
            raise OutOfCredit(f"{self._name} has no credit left: top up the account")
        if status == 401:
            raise BadToken(f"{self._name} does not accept the key: check {prefix}_API_KEY")
        hint = f": check {prefix}_BASE_URL and {prefix}_MODEL" if status in {400, 404} else ""
        error = failure(response, self._name, hint=hint)
        if error is not None:
            raise error


def error_codes(body: bytes) -> set[str]:
    """Give the code and the type of an error in OpenAI's form; none for anything else."""
    if not body.lstrip().startswith(b"{"):
        return set()
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return set()
    error = answer.get("error")
    if not isinstance(error, dict):
        return set()
    return {value for key in ("code", "type") if isinstance(value := error.get(key), str)}
