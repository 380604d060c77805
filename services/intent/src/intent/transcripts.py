"""The transcript log: what callers said and what was made of it, one JSON line each.

It holds personal data, so it is off unless somebody switches it on, only its owner can read it, and
each day's files are deleted when their time is over. Writing happens in a thread, in the order of
the replies; no call waits for a disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from intent import metrics
from intent.meaning import Meaning
from intent.strategy import Decision
from servicekit.clock import Clock, SystemClock
from servicekit.errors import StartupError

log = structlog.get_logger(__name__)

_MOST_WAITING = 1000
_SWEEP_EVERY_S = 600.0
_MAX_ID_CHARS = 100
_FILE_NAME = re.compile(r"(?:positive|negative|unknown)-(\d{4}-\d\d-\d\d)\.jsonl")
_KIND = {
    Meaning.YES: "positive",
    Meaning.NO: "negative",
    Meaning.DO_NOT_CALL: "negative",
    Meaning.NUMBER_QUESTION: "unknown",
    Meaning.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One reply for the log, and when it came (UTC)."""

    at: datetime
    attempt_id: str
    decision: Decision


class TranscriptFiles:
    """The files: `positive-`, `negative-` and `unknown-YYYY-MM-DD.jsonl` in one directory."""

    def __init__(self, directory: Path, zone: ZoneInfo, kept_days: int) -> None:
        """Names the place.

        Args:
            directory: where; made for its owner alone where it is missing.
            zone: where days begin.
            kept_days: how many days are kept, today included.
        """
        self._directory = directory
        self._zone = zone
        self._kept_days = kept_days

    def prepare(self) -> None:
        """Makes the directory.

        Raises:
            StartupError: it cannot be written.
        """
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not os.access(self._directory, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise StartupError(
                f"TRANSCRIPT_LOG_DIR={self._directory} cannot be written ({error.strerror}): "
                "name a directory this user can write, or set TRANSCRIPT_LOGS=false"
            ) from error

    def append(self, lines: Sequence[Line]) -> None:
        """Adds the lines, each to the file of its day and kind.

        Raises:
            OSError: the disk refuses.
        """
        texts: dict[str, list[str]] = {}
        for line in lines:
            kind = _KIND[line.decision.verdict.meaning]
            day = line.at.astimezone(self._zone).date()
            texts.setdefault(f"{kind}-{day}.jsonl", []).append(self._text(line))
        for name, written in texts.items():
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(self._directory / name, flags, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.writelines(written)

    def sweep(self, now: datetime) -> None:
        """Deletes the files of days whose time is over.

        Raises:
            OSError: the disk refuses.
        """
        today = now.astimezone(self._zone).date()
        oldest = (today - timedelta(days=self._kept_days - 1)).isoformat()
        for path in self._directory.iterdir():
            name = _FILE_NAME.fullmatch(path.name)
            if name and name[1] < oldest:
                path.unlink(missing_ok=True)

    def _text(self, line: Line) -> str:
        decision = line.decision
        fields = {
            "time": line.at.astimezone(self._zone).isoformat(timespec="milliseconds"),
            "attempt_id": line.attempt_id[:_MAX_ID_CHARS],
            "language": decision.reply.language,
            "text": decision.reply.text,
            "intent": decision.verdict.meaning.value,
            "confidence": decision.verdict.confidence,
            "decided_by": decision.decided_by.value,
            "evidence": decision.verdict.evidence,
        }
        return json.dumps(fields, ensure_ascii=False) + "\n"


class TranscriptLog:
    """Takes replies at once and has them written by a task of its owner."""

    def __init__(self, files: TranscriptFiles, clock: Clock | None = None) -> None:
        self._files = files
        self._clock = clock or SystemClock()
        self._waiting: deque[Line] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._failing = False

    def add(self, attempt_id: str, decision: Decision) -> None:
        """Takes one reply; drops and counts it where the disk is too far behind."""
        if len(self._waiting) >= _MOST_WAITING:
            metrics.TRANSCRIPTS_LOST.labels("queue").inc()
            return
        self._waiting.append(Line(self._clock.now(), attempt_id, decision))
        self._wake.set()

    def close(self) -> None:
        """Lets `run` write what is left and return."""
        self._closing = True
        self._wake.set()

    async def run(self) -> None:
        """Writes what comes in, and deletes what is too old, until closed."""
        swept_s = -_SWEEP_EVERY_S
        while not (self._closing and not self._waiting):
            if self._clock.monotonic_s() - swept_s >= _SWEEP_EVERY_S:
                swept_s = self._clock.monotonic_s()
                await self._sweep()
            await self._something_to_do()
            lines = list(self._waiting)
            self._waiting.clear()
            if lines:
                await self._write(lines)

    async def _something_to_do(self) -> None:
        try:
            async with asyncio.timeout(_SWEEP_EVERY_S):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _write(self, lines: Sequence[Line]) -> None:
        try:
            await asyncio.to_thread(self._files.append, lines)
        except OSError as error:
            metrics.TRANSCRIPTS_LOST.labels("disk").inc(len(lines))
            self._warn(error)
        else:
            self._failing = False

    async def _sweep(self) -> None:
        try:
            await asyncio.to_thread(self._files.sweep, self._clock.now())
        except OSError as error:
            self._warn(error)

    def _warn(self, error: OSError) -> None:
        """Says it once, until a line is written again."""
        if not self._failing:
            log.warning("the transcript log cannot be written", reason=error.strerror)
        self._failing = True


@asynccontextmanager
async def transcript_log(files: TranscriptFiles) -> AsyncIterator[TranscriptLog]:
    """Keeps a transcript log open; at the end, what was taken is written.

    Raises:
        StartupError: its directory cannot be written.
    """
    files.prepare()
    transcripts = TranscriptLog(files)
    async with asyncio.TaskGroup() as group:
        group.create_task(transcripts.run())
        try:
            yield transcripts
        finally:
            transcripts.close()
