"""Results as kept, to be listed and exported."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, Select, select

from reporter.errors import BadPageToken
from reporter.filters import Condition
from reporter.tables import DeliveryStatus, deliveries, results
from salehi.reporter.v1 import reporter_pb2
from servicekit.storage import Storage

_STREAM_PAGE = 500


@dataclass(frozen=True, slots=True)
class KeptResult:
    """One result as kept.

    Attributes:
        sequence: grows with every result.
        report: as reported. Personal data.
        result: in the campaign's words.
        delivery: where its delivery to the panel stands; None when there is nothing to deliver.
    """

    sequence: int
    report: reporter_pb2.ReportResultRequest
    result: str
    delivery: DeliveryStatus | None


class Archive:
    """Gives results. Every method may raise StoreUnavailable."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def page(
        self, *, size: int, token: str = "", attempt_id: str = "", where: Sequence[Condition] = ()
    ) -> tuple[list[KeptResult], str]:
        """Give results newest first, and the token of the next page (empty on the last).

        Raises:
            BadPageToken: no page ever carried this token.
        """
        query = _kept().where(*where).order_by(results.c.sequence.desc()).limit(size + 1)
        if token:
            query = query.where(results.c.sequence < row_number(token))
        if attempt_id:
            query = query.where(results.c.attempt_id == attempt_id)
        kept = await self._fetch(query)
        next_token = str(kept[size - 1].sequence) if len(kept) > size else ""
        return kept[:size], next_token

    async def stream(self, where: Sequence[Condition] = ()) -> AsyncIterator[list[KeptResult]]:
        """Give results oldest first, in pages; each page is a transaction of its own."""
        last = 0
        while True:
            query = _kept().where(results.c.sequence > last, *where).order_by(results.c.sequence)
            page = await self._fetch(query.limit(_STREAM_PAGE))
            if not page:
                return
            yield page
            last = page[-1].sequence

    async def _fetch(self, query: Select[*tuple[object, ...]]) -> list[KeptResult]:
        async with self._storage.transaction() as connection:
            rows = (await connection.execute(query)).all()
        return [_kept_result(row) for row in rows]


def row_number(token: str) -> int:
    """Read a row's number from a page token.

    Raises:
        BadPageToken: it is none.
    """
    if not (token.isascii() and token.isdigit() and len(token) <= 18):
        raise BadPageToken(token)
    return int(token)


def place(token: str) -> tuple[int, int]:
    """Read a moment (Unix milliseconds) and a row's number from a page token: `moment-number`.

    Raises:
        BadPageToken: it is none.
    """
    at_ms, dash, sequence = token.partition("-")
    if not dash:
        raise BadPageToken(token)
    return row_number(at_ms), row_number(sequence)


def _kept() -> Select[*tuple[object, ...]]:
    return select(results, deliveries.c.status).join_from(results, deliveries, isouter=True)


def _kept_result(row: Row[*tuple[object, ...]]) -> KeptResult:
    return KeptResult(
        sequence=row.sequence,
        report=reporter_pb2.ReportResultRequest.FromString(row.report),
        result=row.result,
        delivery=None if row.status is None else DeliveryStatus(row.status),
    )
