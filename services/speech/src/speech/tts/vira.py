"""Vira's text to speech."""

from __future__ import annotations

import httpx

from speech.errors import BadRequest, InputRejected, ProviderUnavailable
from speech.providers import read_limited, translated
from speech.tts.base import LONGEST_AUDIO_BYTES, Wording
from speech.vira import ViraClient, first_text

_URL_PATHS = ("data.data.aiResponse.result.filename", "data.data.filename", "data.filename",
              "data.data.url", "data.url")  # fmt: skip


class ViraTts:
    """Speaks through Vira: it answers with the address of an MP3 file, which is fetched."""

    name = "vira"

    def __init__(self, client: ViraClient, http: httpx.AsyncClient, speaker: str) -> None:
        self._client = client
        self._http = http
        self._speaker = speaker

    def identity(self, wording: Wording) -> tuple[str, ...]:
        """Give engine and speaker: the one asked for, else the one that is set."""
        return (self.name, wording.voice or self._speaker)

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Give the spoken text as an MP3 file.

        Raises:
            BadRequest: Vira takes no such text or speaker.
            ProviderError: no answer.
        """
        del timeout_s  # the guard awaits no longer; a cancelled request is closed
        _, speaker = self.identity(wording)
        content = {
            "text": wording.text,
            "speaker": speaker,
            "speed": 1,
            "timestamp": False,
        }
        try:
            answer = await self._client.request(json=content)
        except InputRejected as error:
            raise BadRequest(str(error)) from error
        address = first_text(answer, *_URL_PATHS)
        if not address or not address.startswith(("http://", "https://")):
            raise ProviderUnavailable("Vira's answer holds no address of an audio file")
        return await self._fetch(address)

    async def _fetch(self, address: str) -> bytes:
        """Fetch the file; the token stays here, the address may be another host's."""
        try:
            async with self._http.stream("GET", address, follow_redirects=True) as response:
                if response.status_code != 200:
                    raise ProviderUnavailable(
                        f"Vira's audio file answered HTTP {response.status_code}",
                        retryable=response.status_code >= 500,
                    )
                return await read_limited(response, LONGEST_AUDIO_BYTES, "Vira")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if isinstance(error, httpx.InvalidURL):
                raise ProviderUnavailable("Vira's audio file has a broken address") from error
            raise translated(error, "Vira") from error
