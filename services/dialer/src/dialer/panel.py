"""The panel as the dialer sees it: it hands out numbers, or says why not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

from dialer.errors import PanelUnavailable

_PATH = "/api/dialer/next-batch"
_MAX_ID = 2**63 - 1
_MAX_BATCH_ID_LENGTH = 100
_MAX_REASON_LENGTH = 100
_MAX_RETRY_S = 86_400.0


@dataclass(frozen=True)
class PanelNumber:
    """One number handed out, as written."""

    id: int
    text: str


@dataclass(frozen=True)
class Batch:
    """Numbers handed out; locked for us for 60 minutes.

    Attributes:
        unusable: entries without an id, which can be neither dialled nor reported.
    """

    id: str
    numbers: tuple[PanelNumber, ...]
    unusable: int
    retry_after_s: float | None


@dataclass(frozen=True)
class Blocked:
    """The panel allows no calls now."""

    reason: str
    retry_after_s: float | None


class Panel:
    """The panel's API. `client` carries base address, token, time limits and pool."""

    def __init__(
        self, client: httpx.AsyncClient, *, timeout_s: float, company: str | None = None
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._company = company

    async def next_batch(self, size: int, *, active_lines: int) -> Batch | Blocked:
        """Ask for numbers.

        Raises:
            PanelUnavailable: no answer, an error, or an answer that is none; counts as blocked.
        """
        query: dict[str, str | int] = {"size": size}
        if self._company is not None:
            query |= {"company": self._company, "active_lines_count": active_lines}
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._client.get(_PATH, params=query)
        except (httpx.HTTPError, TimeoutError) as error:
            raise PanelUnavailable(type(error).__name__) from error
        if response.status_code != httpx.codes.OK:
            raise PanelUnavailable(f"HTTP {response.status_code}")
        try:
            answer = response.json()
        except ValueError as error:
            raise PanelUnavailable("the answer is not JSON") from error
        return _read(answer)


def _read(answer: Any) -> Batch | Blocked:
    if not isinstance(answer, dict):
        raise PanelUnavailable("the answer is not an object")
    retry_after_s = _seconds(answer.get("retry_after_seconds"))
    if answer.get("call_allowed") is False:
        reason = answer.get("reason")
        known = reason if isinstance(reason, str) and reason else "no reason given"
        return Blocked(known[:_MAX_REASON_LENGTH], retry_after_s)
    if answer.get("call_allowed") is not True:
        raise PanelUnavailable("call_allowed is missing")
    batch = answer.get("batch")
    if batch is None:
        return Batch("", (), 0, retry_after_s)
    if not isinstance(batch, dict) or not isinstance(batch.get("numbers"), list):
        raise PanelUnavailable("the batch is malformed")
    batch_id = str(batch.get("batch_id") or "")
    if len(batch_id) > _MAX_BATCH_ID_LENGTH or (batch["numbers"] and not batch_id):
        raise PanelUnavailable("the batch has no usable id")
    entries = [_number(entry) for entry in batch["numbers"]]
    numbers = tuple(number for number in entries if number is not None)
    return Batch(batch_id, numbers, len(entries) - len(numbers), retry_after_s)


def _number(entry: Any) -> PanelNumber | None:
    """Read one entry; None when it has no id, so that nothing can be said about it."""
    if not isinstance(entry, dict):
        return None
    number_id = entry.get("id")
    if isinstance(number_id, bool) or not isinstance(number_id, int):
        return None
    if not 0 < number_id <= _MAX_ID:
        return None
    text = entry.get("phone_number")
    return PanelNumber(number_id, str(text) if isinstance(text, str | int) else "")


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return None
    return float(min(value, _MAX_RETRY_S))
