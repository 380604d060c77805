"""Speech to text by an OpenAI-compatible server: OpenAI's own, or a self-hosted Whisper."""

from __future__ import annotations

import json
from typing import Any

from speech.audio import write_wav
from speech.errors import InputRejected, ProviderUnavailable
from speech.openai_server import Answer, OpenAiServer
from speech.stt.base import Transcript, Utterance

_PATH = "/audio/transcriptions"
_VERBOSE, _PLAIN = "verbose_json", "json"
# Whisper's own thresholds for a segment it made up where nobody spoke (openai/whisper,
# `no_speech_threshold` and `logprob_threshold`): silence is likely, and the words are doubtful.
_NO_SPEECH_ABOVE = 0.6
_DOUBTFUL_BELOW = -1.0


class OpenAiStt:
    """Transcribes through `/audio/transcriptions`."""

    name = "openai"
    languages = frozenset({"fa", "en"})
    paid = True

    def __init__(self, server: OpenAiServer, model: str) -> None:
        self._server = server
        self._model = model
        self._form = _VERBOSE

    async def recognise(self, utterance: Utterance) -> Transcript:
        """Transcribe something said.

        Asks for segments with their likelihoods first, to tell words from made-up ones. A server
        that refuses that form is asked for the plain one, now and from then on.

        Raises:
            ProviderError: no answer.
        """
        form = self._form
        try:
            return _transcript(await self._post(utterance, form))
        except InputRejected:
            if form == _PLAIN:
                raise
        transcript = _transcript(await self._post(utterance, _PLAIN))
        self._form = _PLAIN  # it was the form that was refused, not the recording
        return transcript

    async def _post(self, utterance: Utterance, form: str) -> Answer:
        fields = {
            "model": self._model,
            "language": utterance.language,
            "response_format": form,
            "temperature": "0",
        }
        if utterance.hotwords:
            fields["prompt"] = ", ".join(utterance.hotwords)
        recording = utterance.recording
        audio = write_wav(recording.pcm, recording.rate_hz)
        file = {"file": ("reply.wav", audio, "audio/wav")}
        return await self._server.post(_PATH, data=fields, files=file)


def _transcript(answer: Answer) -> Transcript:
    """Read an answer in any of the forms servers give, asked for or not."""
    text = answer.body.decode("utf-8", errors="replace").strip()
    if answer.content_type == "text/plain" and not text.startswith("{"):
        return Transcript.of(text)
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProviderUnavailable("the server of STT_BASE_URL does not answer JSON") from error
    words = _words(parsed)
    if words is None:
        raise ProviderUnavailable("the answer of the server of STT_BASE_URL holds no text")
    return Transcript.of(words)


def _words(answer: Any) -> str | None:
    """Give the words of an answer without those made up; None when it holds no text."""
    if not isinstance(answer, dict) or not isinstance(answer.get("text"), str):
        return None
    segments = answer.get("segments")
    if not isinstance(segments, list) or not any(map(_is_made_up, segments)):
        return str(answer["text"])
    spoken = [segment for segment in segments if not _is_made_up(segment)]
    return " ".join(str(segment.get("text", "")).strip() for segment in spoken)


def _is_made_up(segment: Any) -> bool:
    if not isinstance(segment, dict):
        return False
    silence, likelihood = segment.get("no_speech_prob"), segment.get("avg_logprob")
    if not isinstance(silence, (int, float)) or not isinstance(likelihood, (int, float)):
        return False
    return silence > _NO_SPEECH_ABOVE and likelihood < _DOUBTFUL_BELOW
