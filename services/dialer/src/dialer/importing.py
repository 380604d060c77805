"""Taking contacts from files: streamed, checked row by row, each number once."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.contacts import NewContact, add_contacts
from dialer.csv_rows import USUAL_NAMES, BadRow, ColumnNames, ContactRow, read_rows
from dialer.errors import InvalidNumber, NoConsent, UnreadableFile
from dialer.metrics import CONTACTS_ADDED, CONTACTS_REJECTED
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.rejects import Rejects, rejects_in
from dialer.storage import insert_new
from dialer.tables import Source, batches, do_not_call
from dialer.uploads import upload
from dialer.waking import Bells
from servicekit.clock import Clock
from servicekit.storage import Storage

log = structlog.get_logger(__name__)

_CHUNK_ROWS = 500
_CONSENT_LENGTH = 200
_NO_CONSENT = frozenset({"", "no", "n", "false", "0", "none", "-", "خیر", "نه", "ندارد"})

Rows = Iterator[ContactRow | BadRow]


@dataclass(frozen=True)
class ImportReport:
    """What became of a file.

    Attributes:
        accepted: rows taken.
        rejected: the first 1,000 rows not taken.
        rejected_count: all rows not taken.
    """

    accepted: int
    rejected: tuple[BadRow, ...]
    rejected_count: int


@dataclass(frozen=True)
class ImportRules:
    """Which rows are taken.

    Attributes:
        require_consent: whether a row needs a consent basis.
        directory: where lists of rejected rows are written.
        columns: what the columns are called.
    """

    plan: NumberPlan
    require_consent: bool
    directory: Path
    columns: ColumnNames = USUAL_NAMES


class Importer:
    """Takes contact files into the campaign."""

    def __init__(self, storage: Storage, rules: ImportRules, *, bells: Bells, clock: Clock) -> None:
        self._storage = storage
        self._rules = rules
        self._bells = bells
        self._clock = clock

    async def take_stream(self, chunks: AsyncIterator[bytes]) -> ImportReport:
        """Take a file that arrives in chunks.

        Raises:
            UnreadableFile: not UTF-8 CSV, or no column with numbers.
            StoreUnavailable: the database is away; rows taken so far are kept.
        """
        async with upload(chunks) as path:
            return await self.take_file(path)

    async def take_file(self, path: Path) -> ImportReport:
        """Take a file on this machine; errors as of `take_stream`."""
        try:
            file_id = await asyncio.to_thread(self._identify, path)
            with closing(await asyncio.to_thread(path.open, "rb")) as file:
                rows = read_rows(file, self._rules.columns)
                report = await self._take_rows(rows, self._list_of(path))
        except OSError as error:
            raise UnreadableFile(
                f"{error.filename or path} cannot be used ({error.strerror})"
            ) from error
        async with self._storage.transaction() as connection:
            row = {
                "id": file_id,
                "received_at_ms": now_ms(self._clock),
                "accepted": report.accepted,
                "rejected": report.rejected_count,
            }
            await insert_new(connection, batches, batches.c.id, [row])
        return report

    async def was_taken(self, path: Path) -> bool:
        """Whether this very file was taken before, by the same rules.

        Raises:
            UnreadableFile: it cannot be read.
            StoreUnavailable: the database is away.
        """
        try:
            file_id = await asyncio.to_thread(self._identify, path)
        except OSError as error:
            raise UnreadableFile(f"{path} cannot be read ({error.strerror})") from error
        async with self._storage.transaction() as connection:
            statement = select(batches.c.id).where(batches.c.id == file_id)
            return (await connection.execute(statement)).first() is not None

    def _identify(self, path: Path) -> str:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        rules = (self._rules.plan, self._rules.require_consent, self._rules.columns)
        digest.update(repr(rules).encode())
        return f"file:{digest.hexdigest()}"

    def _list_of(self, path: Path) -> Rejects:
        return rejects_in(self._rules.directory, path.stem, self._clock)

    async def _take_rows(self, rows: Rows, rejects: Rejects) -> ImportReport:
        accepted = 0
        while True:
            found, bad = await asyncio.to_thread(self._read_chunk, rows)
            if not found and not bad:
                break
            if found:
                taken, refused = await self._store(found)
                accepted += taken
                bad = sorted([*bad, *refused], key=lambda row: row.row)
            await asyncio.to_thread(rejects.add, bad)
            self._bells.dial.ring()
        CONTACTS_ADDED.labels(Source.FILE).inc(accepted)
        CONTACTS_REJECTED.labels(Source.FILE).inc(rejects.count)
        log.info(
            "contacts imported",
            accepted=accepted,
            rejected=rejects.count,
            rejected_rows=str(rejects.path or "none"),
        )
        return ImportReport(accepted, tuple(rejects.shown), rejects.count)

    def _read_chunk(self, rows: Rows) -> tuple[dict[int, NewContact], list[BadRow]]:
        """Read and check some rows; good ones by row number. Runs in a thread."""
        found: dict[int, NewContact] = {}
        bad: list[BadRow] = []
        for row in itertools.islice(rows, _CHUNK_ROWS):
            if isinstance(row, BadRow):
                bad.append(row)
                continue
            try:
                found[row.row] = self._contact_of(row)
            except (InvalidNumber, NoConsent) as error:
                bad.append(BadRow(row.row, str(error)))
        return found, bad

    def _contact_of(self, row: ContactRow) -> NewContact:
        number = self._rules.plan.normalise(row.number)
        basis = row.consent[:_CONSENT_LENGTH]
        if self._rules.require_consent and basis.strip().lower() in _NO_CONSENT:
            raise NoConsent("no consent basis")
        return NewContact(Source.FILE, f"{Source.FILE}:{number}", number, basis)

    async def _store(self, found: dict[int, NewContact]) -> tuple[int, list[BadRow]]:
        """Store a chunk; give how many rows were new, and the others."""
        first_rows: dict[str, int] = {}
        for row, contact in found.items():
            first_rows.setdefault(contact.dedupe_key, row)
        async with self._storage.transaction() as connection:
            listed = await _listed(connection, {contact.number for contact in found.values()})
            wanted = [
                contact
                for row, contact in found.items()
                if first_rows[contact.dedupe_key] == row and contact.number not in listed
            ]
            added = await add_contacts(connection, wanted, now_ms(self._clock))
        refused: list[BadRow] = []
        for row, contact in found.items():
            if contact.number in listed:
                refused.append(BadRow(row, "on the do-not-call list"))
            elif contact.dedupe_key not in added or first_rows[contact.dedupe_key] != row:
                refused.append(BadRow(row, "already in the campaign"))
        return len(added), refused


async def _listed(connection: AsyncConnection, numbers: set[str]) -> set[str]:
    statement = select(do_not_call.c.number).where(do_not_call.c.number.in_(numbers))
    return set((await connection.execute(statement)).scalars())
