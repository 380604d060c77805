"""Vira's speech to text."""

from __future__ import annotations

from collections.abc import Sequence

from speech.audio import Recording, write_wav
from speech.errors import ProviderUnavailable
from speech.stt.base import Outcome, Transcript
from speech.vira import ViraClient, ViraRejected, first_text

_NOTHING_SAID = ("Empty Audio file", "Input file content is unexpected")
_TEXT_PATHS = ("data.data.aiResponse.result.text", "data.data.text", "data.text")
_PLAIN = {
    "srt": "false",
    "inverseNormalizer": "false",
    "timestamp": "false",
    "spokenPunctuation": "false",
    "punctuation": "false",
    "diarize": "false",
    "numSpeakers": "0",
}


class ViraStt:
    """Transcribes through Vira. Persian, and whatever else the account understands."""

    name = "vira"
    languages = frozenset({"fa", "en"})

    def __init__(self, client: ViraClient, model: str) -> None:
        self._client = client
        self._model = model

    async def recognise(
        self, recording: Recording, hotwords: Sequence[str], timeout_s: float
    ) -> Transcript:
        """Transcribe a recording of less than 60 s.

        Raises:
            ProviderError: no answer.
        """
        del timeout_s  # the guard awaits no longer; a cancelled request is closed
        fields: dict[str, str | list[str]] = {"model": self._model, **_PLAIN}
        words = [word for word in hotwords if word and " " not in word]
        if words:
            fields["hotwords[]"] = words
        audio = write_wav(recording.pcm, recording.rate_hz)
        try:
            answer = await self._client.request(
                data=fields, files={"audio": ("reply.wav", audio, "audio/wav")}
            )
        except ViraRejected as error:
            if any(phrase in error.body for phrase in _NOTHING_SAID):
                return Transcript(Outcome.NOTHING_SAID)
            raise ProviderUnavailable(str(error)) from error
        text = first_text(answer, *_TEXT_PATHS)
        if text is None:
            raise ProviderUnavailable("Vira's answer holds no text")
        return Transcript.of(text)
