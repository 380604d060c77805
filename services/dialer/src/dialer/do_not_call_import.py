"""Taking files of numbers onto the do-not-call list: streamed, row by row, in any common form."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from dialer.csv_rows import BadRow, read_rows
from dialer.do_not_call import add_numbers
from dialer.errors import InvalidNumber, UnreadableFile
from dialer.importing import Rows
from dialer.locks import lock_claims
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.rejects import Rejects, rejects_in
from dialer.uploads import upload
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_CHUNK_ROWS = 500
_MAX_REASON = 500


@dataclass(frozen=True)
class ListReport:
    """What became of a file.

    Attributes:
        added: numbers that were not on the list.
        known: rows whose number was on it already.
        rejected: the first 1,000 rows without a number.
        rejected_count: all of them.
    """

    added: int
    known: int
    rejected: tuple[BadRow, ...]
    rejected_count: int


@dataclass(frozen=True)
class ListChunk:
    """A piece of a file, and why its numbers are listed; the first piece's reason counts."""

    csv: bytes
    reason: str


class ListImporter:
    """Takes files of numbers onto the do-not-call list."""

    def __init__(self, storage: Storage, plan: NumberPlan, directory: Path, clock: Clock) -> None:
        """Import; lists of rejected rows are written into the directory."""
        self._storage = storage
        self._plan = plan
        self._directory = directory
        self._clock = clock

    async def take_stream(self, chunks: AsyncIterator[ListChunk]) -> ListReport:
        """Take a file that arrives in chunks.

        Raises:
            UnreadableFile: not UTF-8 CSV, or no column with numbers.
            StoreUnavailable: the database is away; rows taken so far are kept.
        """
        first = await anext(chunks, ListChunk(b"", ""))

        async def pieces() -> AsyncIterator[bytes]:
            yield first.csv
            async for chunk in chunks:
                yield chunk.csv

        async with upload(pieces()) as path:
            return await self._take_file(path, first.reason.strip()[:_MAX_REASON])

    async def _take_file(self, path: Path, reason: str) -> ListReport:
        rejects = rejects_in(self._directory, "do-not-call", self._clock)
        added = known = 0
        try:
            with closing(await asyncio.to_thread(path.open, "rb")) as file:
                rows = read_rows(file)
                while chunk := await asyncio.to_thread(self._read_chunk, rows, rejects):
                    new = await self._store([number for number in chunk if number], reason)
                    added += new
                    known += sum(number is not None for number in chunk) - new
        except OSError as error:
            raise UnreadableFile(
                f"{error.filename or path} cannot be used ({error.strerror})"
            ) from error
        log.info("do-not-call list imported", added=added, known=known, rejected=rejects.count)
        return ListReport(added, known, tuple(rejects.shown), rejects.count)

    def _read_chunk(self, rows: Rows, rejects: Rejects) -> list[str | None]:
        """Read some rows; None for each that holds no number. Runs in a thread."""
        numbers: list[str | None] = []
        bad: list[BadRow] = []
        for row in itertools.islice(rows, _CHUNK_ROWS):
            number = None
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                try:
                    number = self._plan.identify(row.number)
                except InvalidNumber as error:
                    bad.append(BadRow(row.row, str(error)))
            numbers.append(number)
        rejects.add(bad)
        return numbers

    async def _store(self, numbers: list[str], reason: str) -> int:
        """Put numbers on the list; give how many were new."""
        async with self._storage.transaction() as connection:
            await lock_claims(connection)
            return await add_numbers(connection, numbers, reason, now_ms(self._clock))
