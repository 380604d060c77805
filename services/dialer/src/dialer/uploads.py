"""Files that arrive in chunks: kept on disk while they are read, never whole in memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

from dialer.errors import UnreadableFile


@asynccontextmanager
async def upload(chunks: AsyncIterator[bytes]) -> AsyncIterator[Path]:
    """Give the file that chunks make; it is gone after the block.

    Raises:
        UnreadableFile: it cannot be kept here.
    """
    with tempfile.TemporaryDirectory(prefix="upload-") as directory:
        path = Path(directory) / "upload.csv"
        try:
            await _write(path, chunks)
        except OSError as error:
            raise UnreadableFile(f"the file cannot be kept here ({error.strerror})") from error
        yield path


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> None:
    with closing(await asyncio.to_thread(path.open, "wb")) as file:
        async for chunk in chunks:
            await asyncio.to_thread(file.write, chunk)
