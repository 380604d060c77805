"""Turns a prompt into what Asterisk plays."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from speech.errors import ProgramFailed, SpeechError
from speech.forms import Form, NotAudio, encode
from speech.prompts.catalogue import Prompt
from speech.tts.base import Speaker, Wording
from speech.tts.cache import MADE_BY
from speech.tts.loudness import master_of

Sounds = Mapping[Form, bytes]
"""One prompt in every form Asterisk is given."""
_CONVERT_TIMEOUT_S = 60.0


class PromptUnmakeable(Exception):  # noqa: N818 - named for what happened
    """A prompt cannot be made; the message names it and says what to do."""


async def recording_source(recording: Path) -> str:
    """Name what a recorded prompt is made from: another name, another sound.

    Raises:
        PromptUnmakeable: the recording cannot be read.
    """
    content = await _read(recording)
    return hashlib.sha256(b"%d recording " % MADE_BY + content).hexdigest()


def spoken_source(prompt: Prompt, speaker: Speaker) -> str:
    """Name what a spoken prompt is made from; another voice is another source."""
    wording = Wording(prompt.text, prompt.language)
    parts = [MADE_BY, *speaker.engine.identity(wording), prompt.language, prompt.text]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


async def render_recording(recording: Path, forms: Sequence[Form]) -> Sounds:
    """Convert a recording.

    Raises:
        PromptUnmakeable: it cannot be read or converted.
    """
    content = await _read(recording)
    try:
        master = await master_of(content, _CONVERT_TIMEOUT_S)
        sounds = {form: await encode(master, form, _CONVERT_TIMEOUT_S) for form in forms}
    except (NotAudio, ProgramFailed) as error:
        raise PromptUnmakeable(
            f"{recording} cannot be converted ({error}): give an MP3, WAV, OGG or FLAC file"
        ) from error
    if not master.pcm:
        raise PromptUnmakeable(f"{recording} holds no sound: give another, or take it away")
    return sounds


async def render_spoken(
    prompt: Prompt, speaker: Speaker, forms: Sequence[Form], timeout_s: float
) -> Sounds:
    """Have the prompt's text spoken.

    Raises:
        PromptUnmakeable: it cannot be spoken.
    """
    wording = Wording(prompt.text, prompt.language)
    try:
        return {form: (await speaker.speak(wording, form, timeout_s)).audio for form in forms}
    except SpeechError as error:
        raise PromptUnmakeable(
            f"the prompt {prompt.language}/{prompt.name} cannot be spoken ({error}): "
            f"try again, or put a recording {prompt.name}.mp3 beside PROMPTS_FILE"
        ) from error


async def _read(recording: Path) -> bytes:
    try:
        return await asyncio.to_thread(recording.read_bytes)
    except OSError as error:
        raise PromptUnmakeable(
            f"{recording} cannot be read ({error.strerror}): make it readable"
        ) from error
