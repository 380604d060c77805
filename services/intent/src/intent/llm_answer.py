"""Reads what an OpenAI-compatible server sent: a JSON answer, or the event stream nobody wanted."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from intent.errors import LlmAnswerError, LlmOutOfCreditError
from intent.meaning import Meaning

_CREDIT_CODES = {
    "pre_consume_token_quota_failed",
    "insufficient_user_quota",
    "insufficient_quota",
    "billing_hard_limit_reached",
}

_FENCE = re.compile(r"^```\w*\s*|\s*```$")
_BETWEEN_WORDS = re.compile(r"[\s_\-]+")
_EVENT_DATA = "data:"


def content_of(body: bytes) -> str:
    """Returns the text of the first choice in a completion, whichever form it came in.

    Raises:
        LlmAnswerError: the body is neither a completion nor a stream of its parts.
        LlmOutOfCreditError: it is an error that says so; gateways send these with HTTP 200 too,
            once they have begun to stream.
    """
    text = body.decode("utf-8", errors="replace").strip()
    if _is_stream(text):
        return "".join(_part_of(event) for event in _events(text))
    return _message_of(_checked(_parse(text)))


def tokens_of(body: bytes) -> dict[str, int]:
    """Returns the tokens a completion says it bills, by `prompt` and `completion`; none: empty.

    Raises:
        LlmAnswerError: see `content_of`.
        LlmOutOfCreditError: see `content_of`.
    """
    text = body.decode("utf-8", errors="replace").strip()
    parts = _events(text) if _is_stream(text) else [_checked(_parse(text))]
    tokens: dict[str, int] = {}
    for part in parts:  # of a stream the last one that says anything counts
        match part.get("usage"):
            case {"prompt_tokens": int(prompt), "completion_tokens": int(completion)} if (
                prompt >= 0 and completion >= 0
            ):
                tokens = {"prompt": prompt, "completion": completion}
    return tokens


def means_no_credit(*words: object) -> bool:
    """Returns whether an error's code or type says lack of credit; they may be anything."""
    return any(isinstance(word, str) and word in _CREDIT_CODES for word in words)


def meaning_of(content: str) -> Meaning:
    """Returns the meaning an answer names: `{"intent": "yes"}` or just the word.

    The word must match exactly (a search within the text would find the "no" of "unknown").

    Raises:
        LlmAnswerError: it names none.
    """
    text = _FENCE.sub("", content.strip())
    if text.startswith("{"):
        parsed = _parse(text)
        text = parsed["intent"] if isinstance(parsed.get("intent"), str) else ""
    word = _BETWEEN_WORDS.sub("_", text.strip(" \t\r\n\"'`.,!:*").lower())
    try:
        return Meaning(word)
    except ValueError as error:
        # The answer itself may quote the caller, so the error does not.
        raise LlmAnswerError("the answer is none of the allowed words") from error


def _is_stream(text: str) -> bool:
    return text.startswith((_EVENT_DATA, ":", "event:", "id:", "retry:"))


def _events(stream: str) -> Iterable[dict[str, Any]]:
    for line in stream.splitlines():
        data = line.removeprefix(_EVENT_DATA).strip()
        if line.startswith(_EVENT_DATA) and data and data != "[DONE]":
            yield _checked(_parse(data))


def _parse(text: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise LlmAnswerError("the answer is not JSON") from error
    if not isinstance(parsed, dict):
        raise LlmAnswerError("the answer is not a JSON object")
    return parsed


def _checked(answer: dict[str, Any]) -> dict[str, Any]:
    error = answer.get("error")
    if isinstance(error, dict) and means_no_credit(error.get("code"), error.get("type")):
        raise LlmOutOfCreditError("the LLM refuses for lack of credit (in its answer)")
    return answer


def _message_of(completion: dict[str, Any]) -> str:
    content = _dig(completion, "message")
    if content is None:
        raise LlmAnswerError("the answer holds no text")
    return content


def _part_of(event: dict[str, Any]) -> str:
    return _dig(event, "delta") or _dig(event, "message") or ""


def _dig(completion: dict[str, Any], holder: str) -> str | None:
    match completion.get("choices"):
        case [{**first}, *_]:
            match first.get(holder):
                case {"content": str(content)}:
                    return content
    return None
