"""A fake OpenAI-compatible server that speaks: `/v1/audio/speech`.

Settable: `style` (every_form: WAV or MP3 as asked · streams: a WAV file whose header does not know
its length · refuses_wav: 400 when WAV is asked for · mp3: MP3 whatever is asked for · silent: WAV
without a sound · page: 200 and an HTML page), `voices` (those there are; none takes any), `model`
(the one there is; empty takes any), `api_key` (empty takes any).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from lab.fakes.base import Fake, Handler, reject_unknown
from lab.fakes.tone import tone, tone_wav

_FORMS = ("mp3", "wav")
_LONGEST_TEXT = 4096
_SECONDS_PER_LETTER = 0.06
_LONGEST_TONE_S = 10.0
_WAV_HEADER_BYTES = 44
_UNKNOWN_LENGTH = b"\xff\xff\xff\xff"
_CREDIT_STATUS = {"": 402, "billing_hard_limit_reached": 429, "insufficient_quota": 429}


class TtsStyle(StrEnum):
    """What the server answers with."""

    EVERY_FORM = "every_form"
    STREAMS = "streams"
    REFUSES_WAV = "refuses_wav"
    MP3 = "mp3"
    SILENT = "silent"
    PAGE = "page"


class FakeTts(Fake):
    """Speaks a tone, the longer the text the longer."""

    def reset(self) -> None:
        """Goes back to a server that knows every form, model and voice."""
        self.style = TtsStyle.EVERY_FORM
        self.voices: list[str] = []
        self.model = ""
        self.api_key = ""
        self.requests: list[dict[str, Any]] = []

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets what the module's description lists."""
        reject_unknown(wanted, "style", "voices", "model", "api_key")
        self.style = TtsStyle(wanted.get("style", self.style))
        self.voices = list(wanted.get("voices", self.voices))
        self.model = str(wanted.get("model", self.model))
        self.api_key = str(wanted.get("api_key", self.api_key))

    def state(self) -> dict[str, Any]:
        """Returns what each accepted request asked for."""
        return {"style": self.style.value, "requests": self.requests}

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the one call there is."""
        return [("POST", "/v1/audio/speech", self._speak)]

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns 402, or 403 or 429 with the code that `variant` names."""
        status = _CREDIT_STATUS.get(variant, 403)
        return _error(status, "quota is not enough", variant or "payment_required")

    async def _speak(self, request: Request) -> Response:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.api_key and bearer != self.api_key:
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        try:
            asked = json.loads(await request.body())
            text, model, voice = (str(asked[name]) for name in ("input", "model", "voice"))
        except (ValueError, KeyError, TypeError):
            return _error(400, "input, model and voice are required", "invalid_request_error")
        form = asked.get("response_format", _FORMS[0])
        if not 0 < len(text) <= _LONGEST_TEXT or form not in _FORMS:
            return _error(422, "invalid input or response_format", "invalid_request_error")
        refusal = self._refusal(model, voice, form)
        if refusal is not None:
            return refusal
        self.requests.append(asked)
        return await self._answer(form, min(_LONGEST_TONE_S, 0.3 + _SECONDS_PER_LETTER * len(text)))

    def _refusal(self, model: str, voice: str, form: str) -> Response | None:
        """Returns why this server does not do what it is well asked for; None where it does."""
        if self.model and model != self.model:
            return _error(404, "the model does not exist", "model_not_found")
        if self.voices and voice not in self.voices:
            return _error(400, "invalid voice", "invalid_value")
        if form == "wav" and self.style is TtsStyle.REFUSES_WAV:
            return _error(400, "response_format is not supported", "unsupported_value")
        return None

    async def _answer(self, form: str, seconds: float) -> Response:
        wav = tone_wav(seconds)
        match self.style:
            case TtsStyle.PAGE:
                return HTMLResponse("<html><body>Welcome</body></html>")
            case TtsStyle.SILENT:
                wav = wav[:_WAV_HEADER_BYTES] + bytes(len(wav) - _WAV_HEADER_BYTES)
            case TtsStyle.STREAMS:
                wav = wav[:4] + _UNKNOWN_LENGTH + wav[8:40] + _UNKNOWN_LENGTH + wav[44:]
            case TtsStyle.MP3:
                form = "mp3"
            case _:
                pass
        if form == "wav":
            return Response(wav, media_type="audio/wav")
        sound, kind = await tone(seconds)
        return Response(sound, media_type="audio/mpeg" if kind == "mp3" else "audio/wav")


def _error(status: int, message: str, code: str) -> Response:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    return JSONResponse({"error": error}, status)
