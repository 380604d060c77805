"""The embedded engine: English, a grammar of short replies, no network."""

from __future__ import annotations

from speech.stt.base import Transcript, Utterance
from speech.stt.workers import WorkerPool


class EmbeddedStt:
    """Transcribes in worker processes of its own."""

    name = "pocketsphinx"
    languages = frozenset({"en"})
    paid = False

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers

    async def recognise(self, utterance: Utterance) -> Transcript:
        """Transcribe a short reply; what is no reply is not understood.

        Raises:
            ProviderUnavailable: the recogniser failed on this recording.
        """
        return Transcript.of(await self._workers.recognise(utterance.recording))
