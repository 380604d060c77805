"""Review copies: what callers said, kept for a while for people who check how they were understood.

    REVIEW_DIR/<attempt id>/<number>-<time>.wav

They are personal data: readable by this user only, deleted when their time is over. To erase a
caller's on request, delete the directory of the attempt.
"""

from __future__ import annotations

import asyncio
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from servicekit.clock import Clock, SystemClock
from servicekit.errors import StartupError
from speech.audio import Recording, write_wav
from speech.metrics import REVIEW_COPIES

log = structlog.get_logger(__name__)

_MOST_WAITING = 32
_SWEPT_AT_ONCE = 200  # directories; copies that are to be kept need not wait for more
_TIME = "%Y%m%dT%H%M%SZ"
_OURS = re.compile(r"[1-9][0-9]{0,5}-([0-9]{8}T[0-9]{6}Z)\.wav", re.ASCII)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_ONLY_OURS = 0o700
_ONLY_OUR_FILE = 0o600


@dataclass(frozen=True)
class _Copy:
    """One reply to be kept. Personal data."""

    attempt_id: str
    recording: Recording
    said_at: datetime


class ReviewCopies:
    """Keeps replies below one directory, and deletes them when their time is over.

    Nothing below that directory is reached through a symbolic link, and nothing is deleted there
    that is not named as we name it.
    """

    def __init__(
        self,
        directory: Path,
        retention_days: int,
        clock: Clock | None = None,
        *,
        sweep_every_s: float = 3600.0,
    ) -> None:
        """Keep copies for `retention_days` days; look for older ones every `sweep_every_s`."""
        self._directory = directory
        self._retention = timedelta(days=retention_days)
        self._clock = clock or SystemClock()
        self._waiting: asyncio.Queue[_Copy] = asyncio.Queue(_MOST_WAITING)
        self._disk = asyncio.Lock()
        self._sweep_every_s = sweep_every_s
        self._failing = False

    def prepare(self) -> None:
        """Make the directory.

        Raises:
            StartupError: it cannot be made or written.
        """
        try:
            self._directory.mkdir(mode=_ONLY_OURS, parents=True, exist_ok=True)
        except OSError as error:
            raise self._unusable(error.strerror or "") from error
        if not os.access(self._directory, os.W_OK | os.X_OK):
            raise self._unusable(os.strerror(13))

    def _unusable(self, reason: str) -> StartupError:
        return StartupError(
            f"REVIEW_DIR={self._directory} cannot be used ({reason}): "
            "name a directory this user may write, or set REVIEW_COPIES=off"
        )

    def keep(self, attempt_id: str, recording: Recording) -> None:
        """Have a reply kept, some time after this returns; never waits and never fails.

        A name that is no UUID is no attempt's: nothing is kept.
        """
        try:
            name = str(uuid.UUID(attempt_id))
            self._waiting.put_nowait(_Copy(name, recording, self._clock.now()))
        except ValueError:
            REVIEW_COPIES.labels("unnamed").inc()
        except asyncio.QueueFull:
            REVIEW_COPIES.labels("dropped").inc()

    async def run(self) -> None:
        """Write what is to be kept, and delete what has been kept long enough, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write_all())
            tasks.create_task(self._sweep_for_ever())

    async def settled(self) -> None:
        """Wait until all that is to be kept has been written."""
        await self._waiting.join()

    async def _write_all(self) -> None:
        while True:
            copy = await self._waiting.get()
            try:
                async with self._disk:
                    await asyncio.to_thread(self._write, copy)
            except OSError as error:
                REVIEW_COPIES.labels("failed").inc()
                self._tell(error)
            else:
                REVIEW_COPIES.labels("kept").inc()
                self._failing = False
            finally:
                self._waiting.task_done()

    def _tell(self, error: OSError) -> None:
        if not self._failing:
            log.warning(
                "review copies cannot be kept",
                directory=str(self._directory),
                reason=error.strerror,
            )
        self._failing = True

    def _write(self, copy: _Copy) -> None:
        self._directory.mkdir(mode=_ONLY_OURS, parents=True, exist_ok=True)
        with _opened(self._directory) as root:
            with suppress(FileExistsError):
                os.mkdir(copy.attempt_id, _ONLY_OURS, dir_fd=root)
            with _opened(copy.attempt_id, root) as attempt:
                number = 1 + sum(1 for _ in _copies(attempt))
                name = f"{number}-{copy.said_at.strftime(_TIME)}.wav"
                _write_new(name, attempt, write_wav(copy.recording.pcm, copy.recording.rate_hz))

    async def _sweep_for_ever(self) -> None:
        while True:
            await self._sweep()
            await asyncio.sleep(self._sweep_every_s)

    async def _sweep(self) -> None:
        """Delete what is older than the retention, some directories at a time."""
        oldest = self._clock.now() - self._retention
        try:
            names = await asyncio.to_thread(self._attempts)
            for start in range(0, len(names), _SWEPT_AT_ONCE):
                async with self._disk:
                    part = names[start : start + _SWEPT_AT_ONCE]
                    await asyncio.to_thread(self._delete_older, part, oldest)
        except OSError as error:
            log.warning(
                "review copies cannot be deleted",
                directory=str(self._directory),
                reason=error.strerror,
            )

    def _attempts(self) -> list[str]:
        """Give the names of the attempts' directories; a link to one is none."""
        try:
            with _opened(self._directory) as root, os.scandir(root) as entries:
                return [
                    entry.name
                    for entry in entries
                    if _is_attempt(entry.name) and entry.is_dir(follow_symlinks=False)
                ]
        except FileNotFoundError:
            return []

    def _delete_older(self, names: Sequence[str], oldest: datetime) -> None:
        """Delete what is older in each of the directories; one that cannot be does not end it."""
        failed: OSError | None = None
        with _opened(self._directory) as root:
            for name in names:
                try:
                    _clean(name, root, oldest)
                except OSError as error:
                    failed = error
        if failed is not None:
            raise failed


def _clean(name: str, root: int, oldest: datetime) -> None:
    """Delete an attempt's older copies, and its directory once nothing is left in it."""
    with _opened(name, root) as attempt:
        for file, said_at in list(_copies(attempt)):
            if said_at < oldest:
                os.unlink(file, dir_fd=attempt)
                REVIEW_COPIES.labels("deleted").inc()
        with os.scandir(attempt) as entries:
            empty = next(entries, None) is None
    if empty:
        os.rmdir(name, dir_fd=root)


def _is_attempt(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False


@contextmanager
def _opened(directory: Path | str, parent: int | None = None) -> Iterator[int]:
    """Open a directory; below a `parent`, a symbolic link is none."""
    flags = os.O_RDONLY | os.O_DIRECTORY if parent is None else _DIRECTORY
    handle = os.open(directory, flags, dir_fd=parent)
    try:
        yield handle
    finally:
        os.close(handle)


def _copies(attempt: int) -> Iterator[tuple[str, datetime]]:
    """Give the copies in an attempt's directory, and when each was said."""
    with os.scandir(attempt) as entries:
        for entry in entries:
            said_at = _said_at(entry.name)
            if said_at is not None and entry.is_file(follow_symlinks=False):
                yield entry.name, said_at


def _said_at(name: str) -> datetime | None:
    """Read the time in a copy's name; None when it is no name of ours."""
    found = _OURS.fullmatch(name)
    if found is None:
        return None
    try:
        return datetime.strptime(found[1], _TIME).replace(tzinfo=UTC)
    except ValueError:  # the 99th of a month
        return None


def _write_new(name: str, directory: int, content: bytes) -> None:
    """Write a file that is not there yet; what a full disk leaves of it is removed."""
    handle = os.open(name, _NEW_FILE, _ONLY_OUR_FILE, dir_fd=directory)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
    except OSError:
        os.unlink(name, dir_fd=directory)
        raise
