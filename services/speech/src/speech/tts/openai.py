"""Text to speech on any server with OpenAI's `/audio/speech`."""

from __future__ import annotations

from speech.errors import BadRequest, InputRejected
from speech.openai_server import OpenAiServer
from speech.tts.base import LONGEST_AUDIO_BYTES, Wording

_LOSSLESS, _EVERYWHERE = "wav", "mp3"


class OpenAiTts:
    """Speaks through a server that answers with the audio itself.

    WAV is asked for; a server that refuses it is asked for MP3, then and from then on.
    """

    name = "openai"

    def __init__(self, server: OpenAiServer, address: str, model: str, voice: str) -> None:
        """Speak with `model` and, where a text asks for none, `voice`, as `address` has them."""
        self._server = server
        self._address = address
        self._model = model
        self._voice = voice
        self._form = _LOSSLESS

    def identity(self, wording: Wording) -> tuple[str, ...]:
        """Give engine, server, model and voice; two servers' `tts-1` sound different."""
        return (self.name, self._address, self._model, wording.voice or self._voice)

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Give the spoken text as a WAV or MP3 file.

        Raises:
            BadRequest: the server takes no such text or voice.
            ProviderError: no answer.
        """
        del timeout_s  # the guard awaits no longer; a cancelled request is closed
        try:
            if self._form == _LOSSLESS:
                return await self._wav_or_mp3(wording)
            return await self._ask(wording, _EVERYWHERE)
        except InputRejected as error:
            raise BadRequest(str(error)) from error

    async def _wav_or_mp3(self, wording: Wording) -> bytes:
        """Ask for WAV; a status does not tell what was refused, so only a success teaches."""
        try:
            return await self._ask(wording, _LOSSLESS)
        except InputRejected:
            audio = await self._ask(wording, _EVERYWHERE)
            self._form = _EVERYWHERE
            return audio

    async def _ask(self, wording: Wording, form: str) -> bytes:
        content = {
            "model": self._model,
            "input": wording.text,
            "voice": wording.voice or self._voice,
            "response_format": form,
        }
        answer = await self._server.post(
            "/audio/speech", json=content, limit_bytes=LONGEST_AUDIO_BYTES
        )
        return answer.body
