"""A fake OpenAI-compatible LLM: `/v1/chat/completions`.

Settable: `answers` (text in the question -> word), `default` (word where none fits), `style`
(json_schema: obeys the asked format · refuses_schema: 400 when one is asked for · ignores_schema:
always a bare word), `sse` (true answers with an event stream nobody asked for), `obedient` (true
does what the question orders: the last of the words in it is the answer), `api_key` (empty takes
any).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lab.fakes.base import Fake, Handler, reject_unknown

_CREDIT_STATUS = {
    "pre_consume_token_quota_failed": 403,
    "insufficient_user_quota": 403,
    "insufficient_quota": 429,
    "payment_required": 402,
}
_CREDIT_IN_STREAM = "stream"
_WORDS = re.compile(r"\b(?:yes|no|number_question|do_not_call|unknown)\b", re.ASCII)


class Style(StrEnum):
    """How the model takes a demand for structured answers."""

    JSON_SCHEMA = "json_schema"
    REFUSES_SCHEMA = "refuses_schema"
    IGNORES_SCHEMA = "ignores_schema"


class FakeLlm(Fake):
    """Answers by a table; the last message is the question."""

    def reset(self) -> None:
        """Goes back to a model that answers `unknown` to everything."""
        self.answers: dict[str, str] = {}
        self.default = "unknown"
        self.style = Style.JSON_SCHEMA
        self.sse = False
        self.obedient = False
        self.api_key = ""

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets answers, default, style, sse, obedient, api_key."""
        reject_unknown(wanted, "answers", "default", "style", "sse", "obedient", "api_key")
        self.answers = dict(wanted.get("answers", self.answers))
        self.default = str(wanted.get("default", self.default))
        self.style = Style(wanted.get("style", self.style))
        self.sse = bool(wanted.get("sse", self.sse))
        self.obedient = bool(wanted.get("obedient", self.obedient))
        self.api_key = str(wanted.get("api_key", self.api_key))

    def state(self) -> dict[str, Any]:
        """Returns the settings."""
        return {
            "answers": self.answers,
            "default": self.default,
            "style": self.style.value,
            "sse": self.sse,
            "obedient": self.obedient,
        }

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the one call there is."""
        return [("POST", "/v1/chat/completions", self._complete)]

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns one of the forms a refusal comes in.

        That is the code of an error with its usual status, or `stream` for an error within an event
        stream that began with 200; the first code where none is named.
        """
        first, *_ = _CREDIT_STATUS
        if variant == _CREDIT_IN_STREAM:
            events = f"data: {json.dumps({'error': _error_body('quota is not enough', first)})}\n\n"
            return Response(events, media_type="text/event-stream")
        code = variant or first
        return _error(_CREDIT_STATUS[code], "quota is not enough", code)

    async def _complete(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.api_key and bearer != self.api_key:
            return _error(401, "invalid token", "invalid_api_key")
        try:
            question = json.loads(await request.body())
            text = str(question["messages"][-1]["content"])
            model = str(question["model"])
        except (ValueError, KeyError, IndexError, TypeError):
            return _error(400, "messages and model are required", "invalid_request")
        wants_schema = "response_format" in question
        if wants_schema and self.style is Style.REFUSES_SCHEMA:
            return _error(400, "response_format is not supported", "invalid_request")
        word = self._word_for(text)
        obeys = wants_schema and self.style is Style.JSON_SCHEMA
        content = json.dumps({"intent": word}) if obeys else word
        if self.sse or question.get("stream"):
            return StreamingResponse(_stream(model, content), media_type="text/event-stream")
        return JSONResponse(_completion(model, content))

    def _word_for(self, text: str) -> str:
        ordered = _WORDS.findall(text) if self.obedient else []
        if ordered:
            return str(ordered[-1])
        return next((word for part, word in self.answers.items() if part in text), self.default)


def _completion(model: str, content: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }


def _stream(model: str, content: str) -> Iterator[str]:
    half = len(content) // 2
    for part in (content[:half], content[half:]):
        choice = {"index": 0, "delta": {"content": part}, "finish_reason": None}
        chunk = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 0}
        yield f"data: {json.dumps({**chunk, 'model': model, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


def _error(status: int, message: str, code: str) -> Response:
    return JSONResponse({"error": _error_body(message, code)}, status)


def _error_body(message: str, code: str) -> dict[str, Any]:
    return {"message": message, "type": "new_api_error", "code": code, "param": None}
