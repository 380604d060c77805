"""Fake Vira: speech to text and text to speech behind one gateway.

Settable: `texts` (what the next recordings say, in order), `text` (what they say when that is used
up), `by_audio` (SHA-256 of a recording -> text), `stt_shape` (nested · data_text · data_data_text ·
pending), `tts_shape` (nested · url · filename · pending), `status` (200 or 201), `polls` (how often
a pending result is not ready), `waiting_word` (pending · processing · queued), `stt_token` and
`tts_token` (empty takes any).
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import wave
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from lab.fakes.base import Fake, Handler, reject_unknown
from lab.fakes.tone import tone

_MODELS = {"default", "telephony"}
_SPEAKERS = {
    *("sara", "pune", "bahar", "shahrzad", "sheyda", "shirin"),
    *("kiani", "nourai", "dara", "parviz", "bahman", "farhad", "shahriyar", "ariya"),
}
_FLAGS = ("srt", "inverseNormalizer", "timestamp", "spokenPunctuation", "punctuation", "diarize")
_MAX_AUDIO_S = 60.0
_SECONDS_PER_LETTER = 0.06
_LONGEST_TONE_S = 10.0


class SttShape(StrEnum):
    """Where in the answer the text stands."""

    NESTED = "nested"
    DATA_TEXT = "data_text"
    DATA_DATA_TEXT = "data_data_text"
    PENDING = "pending"


class TtsShape(StrEnum):
    """Where in the answer the address of the sound stands."""

    NESTED = "nested"
    URL = "url"
    FILENAME = "filename"
    PENDING = "pending"


class FakeVira(Fake):
    """Understands whatever it is told to have understood; speaks a tone."""

    def reset(self) -> None:
        """Goes back to a service that hears nothing."""
        self.texts: list[str] = []
        self.text = ""
        self.by_audio: dict[str, str] = {}
        self.stt_shape = SttShape.NESTED
        self.tts_shape = TtsShape.NESTED
        self.status = 200
        self.polls = 1
        self.waiting_word = "pending"
        self.stt_token = ""
        self.tts_token = ""
        self.requests: list[dict[str, Any]] = []
        self._pending: dict[str, tuple[int, dict[str, Any]]] = {}
        self._sounds: dict[str, bytes] = {}
        self._ids = itertools.count(1)

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets what the module's description lists."""
        plain = ("text", "by_audio", "status", "polls", "waiting_word", "stt_token", "tts_token")
        reject_unknown(wanted, *plain, "texts", "stt_shape", "tts_shape")
        for name in plain:
            if name in wanted:
                setattr(self, name, wanted[name])
        self.texts = list(wanted.get("texts", self.texts))
        self.stt_shape = SttShape(wanted.get("stt_shape", self.stt_shape))
        self.tts_shape = TtsShape(wanted.get("tts_shape", self.tts_shape))

    def state(self) -> dict[str, Any]:
        """Returns what is still to be heard, and what each accepted request asked for."""
        return {"texts": self.texts, "text": self.text, "requests": self.requests}

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the calls of both services, their polls, and the sounds."""
        return [
            ("POST", "/avanegar/v2/avanegar/request", self._transcribe),
            ("GET", "/avanegar/v2/avanegar-large/getResult", self._poll),
            ("POST", "/avasho/v2/avasho/request", self._speak),
            ("GET", "/avasho/v2/avasho/getResult", self._poll),
            ("GET", "/sounds/{name}", self._sound),
        ]

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns the refusal `403` (default), `402`, `balance_error` or `threshold`.

        The last two come as 400, or with `_200` at their end as a success.
        """
        status = 200 if variant.endswith("_200") else 400
        match variant.removesuffix("_200"):
            case "balance_error":
                return JSONResponse({"error": {"type": "balanceError"}}, status)
            case "threshold":
                return PlainTextResponse("your credit is below the set threshold", status)
            case "402":
                return JSONResponse({"message": "payment required"}, 402)
            case _:
                return JSONResponse({"message": "forbidden"}, 403)

    async def _transcribe(self, request: Request) -> Response:
        if not _may_enter(request, self.stt_token):
            return _bad_token()
        async with request.form() as form:
            audio = form.get("audio")
            sound = await audio.read() if isinstance(audio, UploadFile) else None
            wrong = _wrong_fields(form, sound)
            asked = {name: form.getlist(name) for name in form if name != "audio"}
        if sound == b"":
            return PlainTextResponse("Empty Audio file", 400)
        if wrong or sound is None:
            return _validation_error(wrong)
        seconds = _length_s(sound)
        if seconds is None or seconds >= _MAX_AUDIO_S:
            return PlainTextResponse("Input file content is unexpected", 400)
        self.requests.append({"kind": "stt", "bytes": len(sound), "seconds": seconds, **asked})
        return self._answer_text(self._hear(sound), seconds)

    def _hear(self, sound: bytes) -> str:
        known = self.by_audio.get(hashlib.sha256(sound).hexdigest())
        if known is not None:
            return known
        return self.texts.pop(0) if self.texts else self.text

    def _answer_text(self, text: str, seconds: float) -> Response:
        ai_response = {"result": {"text": text}, "meta": {"units": seconds}}
        nested = {"status": "success", "data": {"aiResponse": ai_response}}
        match self.stt_shape:
            case SttShape.DATA_TEXT:
                return self._answer({"text": text})
            case SttShape.DATA_DATA_TEXT:
                return self._answer({"status": "success", "data": {"text": text}})
            case SttShape.PENDING:
                return self._answer_later(nested)
            case SttShape.NESTED:
                return self._answer(nested)

    async def _speak(self, request: Request) -> Response:
        if not _may_enter(request, self.tts_token):
            return _bad_token()
        try:
            wanted = json.loads(await request.body())
            text, speaker = str(wanted["text"]), wanted["speaker"]
        except (ValueError, KeyError, TypeError):
            return _validation_error(["text", "speaker"])
        wrong = [
            name for name, bad in (("text", not text), ("speaker", speaker not in _SPEAKERS)) if bad
        ]
        if wrong:
            return _validation_error(wrong)
        self.requests.append({"kind": "tts", **wanted})
        sound, kind = await tone(min(_LONGEST_TONE_S, 0.3 + _SECONDS_PER_LETTER * len(text)))
        name = f"{next(self._ids)}.{kind}"
        self._sounds[name] = sound
        return self._answer_sound(f"{request.base_url}sounds/{name}")

    def _answer_sound(self, url: str) -> Response:
        nested = {"status": "success", "data": {"aiResponse": {"result": {"filename": url}}}}
        match self.tts_shape:
            case TtsShape.URL:
                return self._answer({"url": url})
            case TtsShape.FILENAME:
                return self._answer({"filename": url})
            case TtsShape.PENDING:
                return self._answer_later(nested)
            case TtsShape.NESTED:
                return self._answer(nested)

    def _answer(self, data: dict[str, Any]) -> Response:
        return JSONResponse({"data": data, "meta": {"traceId": "trace-1"}}, self.status)

    def _answer_later(self, data: dict[str, Any]) -> Response:
        job = f"job-{next(self._ids)}"
        self._pending[job] = (self.polls, data)
        return self._answer({"status": self.waiting_word, "id": job})

    async def _poll(self, request: Request) -> Response:
        job = request.query_params.get("id", "")
        if job not in self._pending:
            return JSONResponse({"message": "not found"}, 404)
        polls, data = self._pending[job]
        if polls > 0:
            self._pending[job] = (polls - 1, data)
            return self._answer({"status": self.waiting_word, "id": job})
        return self._answer(data)

    async def _sound(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self._sounds:
            return PlainTextResponse("not found", 404)
        kind = "audio/mpeg" if name.endswith(".mp3") else "audio/wav"
        return Response(self._sounds[name], media_type=kind)


def _may_enter(request: Request, token: str) -> bool:
    given = request.headers.get("gateway-token", "")
    return given == token if token else bool(given)


def _bad_token() -> Response:
    return JSONResponse({"message": "invalid gateway-token"}, 401)


def _validation_error(fields: list[str]) -> Response:
    results = [{"field": field, "passed": False} for field in fields]
    inner = {"additionalInfo": {"validationResults": results}}
    return JSONResponse({"data": {"additionalInfo": inner}}, 400)


def _wrong_fields(form: FormData, sound: bytes | None) -> list[str]:
    wrong = [] if sound is not None else ["audio"]
    if form.get("model") not in _MODELS:
        wrong.append("model")
    wrong += [name for name in _FLAGS if form.get(name, "false") not in ("true", "false")]
    if not str(form.get("numSpeakers", "0")).isdigit():
        wrong.append("numSpeakers")
    if any(not str(word).strip() or " " in str(word) for word in form.getlist("hotwords[]")):
        wrong.append("hotwords[]")
    return wrong


def _length_s(sound: bytes) -> float | None:
    """Returns the length of a WAV in seconds, or None for anything else."""
    try:
        with wave.open(io.BytesIO(sound), "rb") as file:
            return file.getnframes() / file.getframerate()
    except (wave.Error, EOFError):
        return None
