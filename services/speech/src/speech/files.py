"""Writing files so that a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_READABLE_BY_ALL = 0o644
_ABANDONED_S = 3600.0  # no file takes that long to write


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file in one step; readable by every user of the machine.

    Raises:
        OSError: the directory cannot be written.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), _READABLE_BY_ALL)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_abandoned(directory: Path, name: str) -> None:
    """Remove what a killed process left of files it was writing; `name` may be a pattern.

    Raises:
        OSError: one cannot be removed.
    """
    for path, status in files_in(directory, f".{name}.????????"):
        if time.time() - status.st_mtime > _ABANDONED_S:
            path.unlink(missing_ok=True)


def files_in(directory: Path, pattern: str) -> Iterator[tuple[Path, os.stat_result]]:
    """Give the files whose name matches, with what the disk says of each.

    Files that others remove meanwhile are left out.
    """
    for path in directory.glob(pattern):
        with suppress(FileNotFoundError):
            yield path, path.stat(follow_symlinks=False)
