"""Asks an OpenAI-compatible LLM what a reply means. Its errors are translated here, once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Any, Self

import httpx2
import openai
from openai.types.chat import ChatCompletionMessageParam

from intent import metrics
from intent.campaign import Example
from intent.errors import (
    LlmAnswerError,
    LlmBusyError,
    LlmError,
    LlmKeyRefusedError,
    LlmOutOfCreditError,
    LlmUnavailableError,
)
from intent.llm_answer import content_of, meaning_of, means_no_credit, tokens_of
from intent.meaning import Language, Meaning
from intent.prompt import ANSWER_FORMAT, instructions, messages
from intent.settings import IntentSettings

_MAX_ANSWER_BYTES = 256 * 1024
_MAX_ANSWER_TOKENS = 20
_CONNECT_SHARE = 0.4  # of the time there is, where a second address must have its turn too


class Llm:
    """One LLM behind one or two addresses. An async context manager that owns its connections.

    A question is sent once: whatever may have been billed is not sent again.
    """

    def __init__(self, settings: IntentSettings, examples: Iterable[Example] = ()) -> None:
        key = settings.gapgpt_api_key
        if key is None:
            raise ValueError("an LLM needs a key")
        self.model = settings.llm_model
        self._system = instructions(examples)
        self._temperature = settings.llm_temperature
        self._timeout_s = settings.llm_timeout
        self._places = settings.max_parallel_llm
        self._taken = 0
        self._structured = True
        self._connections = openai.DefaultAsyncHttpxClient(
            limits=httpx2.Limits(max_connections=settings.http_max_connections)
        )
        self._server = self._client(settings.gapgpt_base_url, key.get_secret_value())
        self._fallback: openai.AsyncOpenAI | None = None
        if settings.gapgpt_fallback_url is not None:
            self._fallback = self._client(settings.gapgpt_fallback_url, key.get_secret_value())
        metrics.LLM_PLACES.set(self._places)
        self._show_places()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._connections.aclose()

    async def ask(self, text: str, language: Language, timeout_s: float) -> Meaning:
        """Returns what the LLM takes the reply to mean, within `timeout_s` seconds.

        Raises:
            LlmBusyError: all places are taken; the LLM was not asked.
            LlmUnavailableError: it failed, refused or was too slow.
            LlmKeyRefusedError: it does not know the key.
            LlmOutOfCreditError: it refuses for lack of credit.
            LlmAnswerError: it answered something else than one of the words.
        """
        if self._taken >= self._places:
            # Whoever waits here keeps a caller waiting, for an answer the rules can guess at once.
            raise LlmBusyError(f"all {self._places} places at the LLM are taken")
        self._taken += 1
        self._show_places()
        try:
            return await self._measured(text, language, min(self._timeout_s, timeout_s))
        finally:
            self._taken -= 1
            self._show_places()

    def _client(self, address: str, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            api_key=key, base_url=address, max_retries=0, http_client=self._connections
        )

    def _show_places(self) -> None:
        metrics.LLM_IN_FLIGHT.set(self._taken)
        metrics.LLM_SATURATION.set(self._taken / self._places)

    async def _measured(self, text: str, language: Language, timeout_s: float) -> Meaning:
        began_s = time.monotonic()
        outcome = "cancelled"
        try:
            async with asyncio.timeout(timeout_s):
                meaning = await self._ask(text, language, timeout_s)
            outcome = "ok"
        except TimeoutError as error:
            outcome = "timeout"
            raise LlmUnavailableError(f"no answer within {timeout_s:.1f} s") from error
        except LlmError as error:
            outcome = error.outcome
            raise
        else:
            return meaning
        finally:
            metrics.LLM_SECONDS.labels(outcome).observe(time.monotonic() - began_s)

    async def _ask(self, text: str, language: Language, timeout_s: float) -> Meaning:
        question = messages(self._system, text, language)
        if self._structured:
            try:
                return meaning_of(await self._complete(question, timeout_s, structured=True))
            except _FormatRefusedError:
                # Support varies by model. Whether the format was the cause, the plain question
                # tells: only when that works is the format given up for good.
                meaning = meaning_of(await self._complete(question, timeout_s, structured=False))
                self._structured = False
                return meaning
        return meaning_of(await self._complete(question, timeout_s, structured=False))

    async def _complete(
        self, question: Iterable[ChatCompletionMessageParam], timeout_s: float, *, structured: bool
    ) -> str:
        """Asks the server; the one behind the second address where no connection came about."""
        if self._fallback is None:
            return await self._complete_at(self._server, question, timeout_s, structured=structured)
        try:
            connect_s = timeout_s * _CONNECT_SHARE
            return await self._complete_at(self._server, question, connect_s, structured=structured)
        except _NotConnectedError:
            metrics.LLM_FALLBACKS.inc()
        return await self._complete_at(self._fallback, question, timeout_s, structured=structured)

    async def _complete_at(
        self,
        server: openai.AsyncOpenAI,
        question: Iterable[ChatCompletionMessageParam],
        connect_s: float,
        *,
        structured: bool,
    ) -> str:
        extra: dict[str, Any] = {"response_format": ANSWER_FORMAT} if structured else {}
        try:
            async with server.chat.completions.with_streaming_response.create(
                model=self.model,
                messages=question,
                temperature=self._temperature,
                max_tokens=_MAX_ANSWER_TOKENS,
                stream=False,
                timeout=httpx2.Timeout(self._timeout_s, connect=connect_s),
                **extra,
            ) as response:
                return _billed_content(await _read(response.iter_bytes()))
        except openai.APIStatusError as error:
            raise _translate(error, structured=structured) from error
        except (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError) as error:
            if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
                raise _NotConnectedError("no connection to the LLM") from error
            raise LlmUnavailableError(f"the LLM cannot be reached ({type(error).__name__})") from (
                error
            )


class _FormatRefusedError(LlmUnavailableError):
    """The server refused the question in its structured form."""


class _NotConnectedError(LlmUnavailableError):
    """No connection came about, so nothing was asked and nothing billed."""


async def _read(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            raise LlmAnswerError(f"the answer is larger than {_MAX_ANSWER_BYTES} bytes")
    return bytes(body)


def _billed_content(body: bytes) -> str:
    content = content_of(body)
    for kind, tokens in tokens_of(body).items():
        metrics.LLM_TOKENS.labels(kind).inc(tokens)
    return content


def _translate(error: openai.APIStatusError, *, structured: bool) -> LlmError:
    status = error.status_code
    if status == 402 or means_no_credit(error.code, error.type):
        return LlmOutOfCreditError(f"the LLM refuses for lack of credit (HTTP {status})")
    if status == 401:
        return LlmKeyRefusedError("the LLM does not know the key (HTTP 401)")
    if structured and status in (400, 422, 501):
        return _FormatRefusedError(f"the LLM refuses structured answers (HTTP {status})")
    return LlmUnavailableError(f"the LLM answered HTTP {status}")
