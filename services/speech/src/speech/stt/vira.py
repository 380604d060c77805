"""Vira's speech to text."""

from __future__ import annotations

from speech.audio import write_wav
from speech.errors import ProviderUnavailable
from speech.stt.base import Outcome, Transcript, Utterance
from speech.vira import NothingHeard, ViraClient, first_text, trace_of, units_of

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
    paid = True

    def __init__(self, client: ViraClient, model: str) -> None:
        self._client = client
        self._model = model

    async def recognise(self, utterance: Utterance) -> Transcript:
        """Transcribe a recording of less than 60 s.

        Raises:
            ProviderError: no answer.
        """
        fields: dict[str, str | list[str]] = {"model": self._model, **_PLAIN}
        words = [word for word in utterance.hotwords if word and not any(map(str.isspace, word))]
        if words:
            fields["hotwords[]"] = words
        recording = utterance.recording
        audio = write_wav(recording.pcm, recording.rate_hz)
        try:
            answer = await self._client.request(
                data=fields, files={"audio": ("reply.wav", audio, "audio/wav")}
            )
        except NothingHeard as error:
            return Transcript(Outcome.NOTHING_SAID, trace_id=error.trace_id)
        text = first_text(answer, *_TEXT_PATHS)
        if text is None:
            failure = ProviderUnavailable("Vira's answer holds no text")
            failure.trace_id = trace_of(answer)
            raise failure
        return Transcript.of(text, units=units_of(answer), trace_id=trace_of(answer))
