"""The embedded engine: English, a grammar of short replies, no network."""

from __future__ import annotations

from collections.abc import Sequence

from speech.audio import Recording
from speech.stt.base import Transcript
from speech.stt.workers import WorkerPool


class EmbeddedStt:
    """Transcribes in worker processes of its own."""

    name = "pocketsphinx"
    languages = frozenset({"en"})

    def __init__(self, workers: WorkerPool) -> None:
        self._workers = workers

    async def recognise(
        self, recording: Recording, hotwords: Sequence[str], timeout_s: float
    ) -> Transcript:
        """Transcribe a short reply; what is no reply is not understood.

        Raises:
            ProviderUnavailable: the recogniser failed on this recording.
        """
        del hotwords, timeout_s  # the grammar has the words; the guard awaits no longer
        return Transcript.of(await self._workers.recognise(recording))
