"""Turns a prompt into what Asterisk plays."""

from __future__ import annotations

import asyncio
import hashlib
import json

from speech.audio import write_wav
from speech.enhance import level
from speech.errors import ProgramFailed, SpeechError
from speech.prompts.catalogue import Prompt
from speech.tts.base import Synthesizer, Wording

RATE_HZ = 8000
"""Asterisk plays a file named .wav at 8 kHz only."""
_FORM = 1  # raised when the way prompts are made changes
_CONVERT_TIMEOUT_S = 60.0


class PromptUnmakeable(Exception):  # noqa: N818 - named for what happened
    """A prompt cannot be made; the message names it and says what to do."""


async def source_hash(prompt: Prompt, synthesizer: Synthesizer) -> str:
    """Name what a prompt is made from: another name, another sound.

    Raises:
        PromptUnmakeable: its recording cannot be read.
    """
    if prompt.recording is not None:
        content = await _read(prompt)
        return hashlib.sha256(b"%d recording " % _FORM + content).hexdigest()
    engine = synthesizer.engine
    voice = engine.voice_of(Wording(prompt.text, prompt.language))
    parts = json.dumps([_FORM, engine.name, voice, prompt.language, prompt.text])
    return hashlib.sha256(parts.encode()).hexdigest()


async def render(prompt: Prompt, synthesizer: Synthesizer, timeout_s: float) -> bytes:
    """Give the prompt as an 8 kHz WAV file.

    Raises:
        PromptUnmakeable: it cannot be spoken or its recording cannot be converted.
    """
    if prompt.recording is not None:
        try:
            spoken = await level(await _read(prompt), RATE_HZ, _CONVERT_TIMEOUT_S)
        except ProgramFailed as error:
            raise PromptUnmakeable(
                f"{prompt.recording} cannot be converted ({error}): give an MP3 or WAV file"
            ) from error
    else:
        wording = Wording(prompt.text, prompt.language)
        try:
            spoken = await synthesizer.synthesize(wording, RATE_HZ, timeout_s)
        except SpeechError as error:
            raise PromptUnmakeable(
                f"the prompt {prompt.language}/{prompt.name} cannot be spoken ({error}): "
                f"try again, or put a recording {prompt.name}.mp3 beside PROMPTS_FILE"
            ) from error
    if not spoken.pcm:
        raise PromptUnmakeable(f"the prompt {prompt.language}/{prompt.name} came out empty")
    return write_wav(spoken.pcm, spoken.rate_hz)


async def _read(prompt: Prompt) -> bytes:
    assert prompt.recording is not None  # noqa: S101 - asked for by callers that have one
    try:
        return await asyncio.to_thread(prompt.recording.read_bytes)
    except OSError as error:
        raise PromptUnmakeable(
            f"{prompt.recording} cannot be read ({error.strerror}): make it readable"
        ) from error
