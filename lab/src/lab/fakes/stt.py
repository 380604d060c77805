"""A fake OpenAI-compatible transcription server: `/v1/audio/transcriptions`.

Settable: `texts` (what the next recordings say, in order), `text` (what they say when that is used
up), `style` (verbose_json: takes every form · refuses_verbose: 400 when verbose_json is asked for ·
json: a bare text whatever is asked for · text: plain text whatever is asked for), `made_up` (words
of a segment beside the text which the model doubts and takes for silence), `model` (the one there
is; empty takes any), `api_key` (empty takes any).
"""

from __future__ import annotations

import io
import wave
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from lab.fakes.base import Fake, Handler, reject_unknown

_FORMS = ("json", "verbose_json", "text")
_CREDIT_STATUS = {"": 402, "billing_hard_limit_reached": 429, "insufficient_quota": 429}


class SttStyle(StrEnum):
    """Which forms of answer the server knows."""

    VERBOSE_JSON = "verbose_json"
    REFUSES_VERBOSE = "refuses_verbose"
    JSON = "json"
    TEXT = "text"


class FakeStt(Fake):
    """Understands whatever it is told to have understood."""

    def reset(self) -> None:
        """Goes back to a server that hears nothing."""
        self.texts: list[str] = []
        self.text = ""
        self.made_up = ""
        self.style = SttStyle.VERBOSE_JSON
        self.model = ""
        self.api_key = ""
        self.requests: list[dict[str, Any]] = []

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets what the module's description lists."""
        plain = ("text", "made_up", "model", "api_key")
        reject_unknown(wanted, *plain, "texts", "style")
        for name in plain:
            if name in wanted:
                setattr(self, name, str(wanted[name]))
        self.texts = list(wanted.get("texts", self.texts))
        self.style = SttStyle(wanted.get("style", self.style))

    def state(self) -> dict[str, Any]:
        """Returns what is still to be heard, and what each accepted request asked for."""
        return {"texts": self.texts, "text": self.text, "requests": self.requests}

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the one call there is."""
        return [("POST", "/v1/audio/transcriptions", self._transcribe)]

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns 402, or 403 or 429 with the code that `variant` names."""
        status = _CREDIT_STATUS.get(variant, 403)
        return _error(status, "quota is not enough", variant or "payment_required")

    async def _transcribe(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.api_key and bearer != self.api_key:
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        async with request.form() as form:
            file = form.get("file")
            sound = await file.read() if isinstance(file, UploadFile) else b""
            asked = {name: value for name, value in form.items() if isinstance(value, str)}
            wrong = _wrong_field(form)
        seconds = _length_s(sound)
        if wrong or seconds is None:
            return _error(400, f"invalid {wrong or 'file'}", "invalid_request_error")
        if self.model and asked["model"] != self.model:
            return _error(404, "the model does not exist", "model_not_found")
        if asked["response_format"] == "verbose_json" and self.style is SttStyle.REFUSES_VERBOSE:
            return _error(400, "response_format is not supported", "unsupported_value")
        self.requests.append({"bytes": len(sound), "seconds": seconds, **asked})
        return self._answer(asked["response_format"], seconds)

    def _answer(self, form: str, seconds: float) -> Response:
        text = self.texts.pop(0) if self.texts else self.text
        all_text = " ".join(part for part in (text, self.made_up) if part)
        if self.style is SttStyle.TEXT or (form == "text" and self.style is not SttStyle.JSON):
            return PlainTextResponse(f"{all_text}\n")
        if self.style is SttStyle.JSON or form == "json":
            return JSONResponse({"text": all_text})
        spoken = [_segment(text, 0.02, -0.2)] if text else []
        made_up = [_segment(self.made_up, 0.9, -1.4)] if self.made_up else []
        known = {"task": "transcribe", "duration": seconds, "text": all_text}
        return JSONResponse({**known, "segments": spoken + made_up})


def _segment(text: str, no_speech_prob: float, avg_logprob: float) -> dict[str, Any]:
    return {"text": f" {text}", "no_speech_prob": no_speech_prob, "avg_logprob": avg_logprob}


def _wrong_field(form: FormData) -> str:
    """Returns the name of the first field that is not as it must be; empty where all are."""
    if not form.get("model"):
        return "model"
    if form.get("response_format") not in _FORMS:
        return "response_format"
    language = form.get("language", "en")
    if not isinstance(language, str) or len(language) != 2:
        return "language"
    return "" if str(form.get("temperature", "0")).replace(".", "").isdigit() else "temperature"


def _length_s(sound: bytes) -> float | None:
    """Returns the length of a WAV in seconds, or None for anything else."""
    try:
        with wave.open(io.BytesIO(sound), "rb") as file:
            return file.getnframes() / file.getframerate()
    except (wave.Error, EOFError):
        return None


def _error(status: int, message: str, code: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    return JSONResponse({"error": error}, status)
