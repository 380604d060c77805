"""Spoken texts, kept on disk under what they were made from."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import structlog

from speech.files import files_in, remove_abandoned, write_whole
from speech.forms import Form

log = structlog.get_logger(__name__)

MADE_BY = 2
"""Raised when the way audio is made changes."""
_MOST_BYTES = 256 * 1024 * 1024
_DIGEST_BYTES = 32
_SLACK_SHARE = 16  # the directory is measured again after a sixteenth of its limit was written


class SpokenCache:
    """Keeps at most 256 MB; what was used longest ago goes first.

    A cache is a convenience: when the disk fails, texts are spoken again and a line says so. Each
    file begins with a digest of the rest, so one that was damaged counts as missing.
    """

    def __init__(self, directory: Path, most_bytes: int = _MOST_BYTES) -> None:
        self._directory = directory
        self._most_bytes = most_bytes
        self._slack_bytes = most_bytes // _SLACK_SHARE
        self._unmeasured_bytes = self._slack_bytes  # so that the first file measures

    @staticmethod
    def key(identity: Sequence[str], language: str, text: str, form: Form) -> str:
        """Name the audio by everything that decides how it sounds."""
        parts = json.dumps([MADE_BY, *identity, language, text, form])
        return hashlib.sha256(parts.encode()).hexdigest()

    async def get(self, key: str) -> bytes | None:
        """Give what is kept under a key, None when nothing is."""
        return await asyncio.to_thread(self._read, key)

    async def put(self, key: str, content: bytes) -> None:
        """Keep audio under a key."""
        await asyncio.to_thread(self._write, key, content)

    def _read(self, key: str) -> bytes | None:
        path = self._directory / key
        try:
            kept = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("a cached text cannot be read", file=str(path), reason=error.strerror)
            return None
        content = kept[_DIGEST_BYTES:]
        return content if kept[:_DIGEST_BYTES] == _digest(content) else None

    def _write(self, key: str, content: bytes) -> None:
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            write_whole(self._directory / key, _digest(content) + content)
            self._unmeasured_bytes += len(content)
            if self._unmeasured_bytes >= self._slack_bytes:
                self._make_room()
        except OSError as error:
            log.warning(
                "DATA_DIR cannot be written, texts are spoken anew each time",
                file=str(self._directory),
                reason=error.strerror,
            )

    def _make_room(self) -> None:
        remove_abandoned(self._directory, "*")
        kept = sorted(files_in(self._directory, "[!.]*"), key=lambda file: file[1].st_mtime)
        excess = sum(status.st_size for _, status in kept) + self._slack_bytes - self._most_bytes
        for path, status in kept:
            if excess <= 0:
                break
            excess -= status.st_size
            path.unlink(missing_ok=True)
        self._unmeasured_bytes = 0


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
