"""Spoken texts, kept on disk under what they were made from."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from pathlib import Path

import structlog

from speech.audio import Recording, read_wav, write_wav
from speech.errors import BadRequest
from speech.files import write_whole

log = structlog.get_logger(__name__)

_FORM = 1  # raised when the way audio is made changes
_MOST_BYTES = 256 * 1024 * 1024
_CHECK_EVERY = 100


class SpokenCache:
    """Keeps at most 256 MB; what was used longest ago goes first.

    A cache is a convenience: when the disk fails, texts are spoken again and a line says so.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writes = 0

    @staticmethod
    def key(engine: str, voice: str, language: str, text: str, rate_hz: int) -> str:
        """Name the audio by everything that decides how it sounds."""
        parts = json.dumps([_FORM, engine, voice, language, text, rate_hz])
        return hashlib.sha256(parts.encode()).hexdigest()

    async def get(self, key: str) -> Recording | None:
        """Give what is kept under a key, None when nothing is."""
        return await asyncio.to_thread(self._read, key)

    async def put(self, key: str, spoken: Recording) -> None:
        """Keep audio under a key."""
        await asyncio.to_thread(self._write, key, spoken)

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}.wav"

    def _read(self, key: str) -> Recording | None:
        path = self._path(key)
        try:
            kept = read_wav(path.read_bytes(), longest_s=None)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, BadRequest) as error:
            log.warning("a cached prompt cannot be read", file=str(path), reason=str(error))
            return None
        return kept

    def _write(self, key: str, spoken: Recording) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(key), write_wav(spoken.pcm, spoken.rate_hz))
            if self._writes % _CHECK_EVERY == 0:
                self._make_room()
            self._writes += 1
        except OSError as error:
            log.warning(
                "DATA_DIR cannot be written, texts are spoken anew each time",
                file=str(self._directory),
                reason=error.strerror,
            )

    def _make_room(self) -> None:
        kept = sorted(self._directory.glob("*.wav"), key=lambda path: path.stat().st_mtime)
        excess = sum(path.stat().st_size for path in kept) - _MOST_BYTES
        for path in kept:
            if excess <= 0:
                return
            excess -= path.stat().st_size
            path.unlink(missing_ok=True)
