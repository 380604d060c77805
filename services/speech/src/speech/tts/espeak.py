"""espeak-ng: text to speech on board, for placeholders and laboratories."""

from __future__ import annotations

import re

from speech.errors import BadRequest, ProgramFailed, ProviderUnavailable
from speech.programs import run_program
from speech.tts.base import Wording

_VOICES = {"en": "en-us", "fa": "fa"}
_VOICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,39}")
_WORDS_PER_MINUTE = "170"


class EspeakTts:
    """Speaks through the program espeak-ng."""

    name = "espeak-ng"

    def identity(self, wording: Wording) -> tuple[str, ...]:
        """Give engine and voice: the one asked for, else the language's.

        Raises:
            BadRequest: the name is no voice's.
        """
        if wording.voice and not _VOICE_NAME.fullmatch(wording.voice):
            raise BadRequest("voice is no espeak-ng voice: a name such as en-us or fa is wanted")
        return (self.name, wording.voice or _VOICES[wording.language])

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Give the spoken text as a WAV file.

        Raises:
            BadRequest: the name is no voice's.
            ProviderUnavailable: espeak-ng failed.
        """
        # The text goes in on stdin (-b 1: UTF-8), so one that begins with "-" is no option.
        _, voice = self.identity(wording)
        argv = ["espeak-ng", "-v", voice, "-s", _WORDS_PER_MINUTE, "-b", "1", "--stdin", "--stdout"]
        try:
            return await run_program(argv, wording.text.encode(), timeout_s)
        except ProgramFailed as error:
            raise ProviderUnavailable(str(error)) from error
