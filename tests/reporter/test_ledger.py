"""Results are taken once, and what follows from them is stored with them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from reporter.errors import BadPageToken, StoreUnavailable
from reporter.tables import DeliveryStatus, metadata
from reporter.words import in_words
from reporter_support.house import House, house_on
from reporter_support.reports import failure, report_of
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database


async def _only(house: House, attempt_id: str) -> tuple[str, DeliveryStatus | None]:
    kept, _ = await house.ledger.page(size=10, token="", attempt_id=attempt_id)
    (result,) = kept
    return result.result, result.delivery


async def test_first_result_wins(house: House) -> None:
    """A second, different result of an attempt is acknowledged and changes nothing."""
    first = report_of(calls_pb2.RESULT_HANGUP)
    await house.ledger.record(first)
    recorded = await house.ledger.record(
        report_of(calls_pb2.RESULT_MISSED, attempt_id=first.attempt_id)
    )
    assert recorded.already_known
    assert not recorded.replaced
    assert await _only(house, first.attempt_id) == ("hangup", DeliveryStatus.PENDING)


async def test_answered_operator_replaces(house: House) -> None:
    """A late "connected" replaces what was guessed before, and nothing replaces it."""
    guess = report_of(calls_pb2.RESULT_FAILED, reason="unknown_outcome")
    attempt_id = guess.attempt_id
    await house.ledger.record(guess)
    connected = report_of(calls_pb2.RESULT_CONNECTED_TO_OPERATOR, attempt_id=attempt_id)
    assert (await house.ledger.record(connected)).replaced
    await house.ledger.record(guess)
    assert (await _only(house, attempt_id))[0] == "connected_to_operator"
    (delivery,) = await house.outbox.waiting(10, due_only=True)
    assert delivery.report.outcome.result == calls_pb2.RESULT_CONNECTED_TO_OPERATOR


async def test_simultaneous_reports_count_once(house: House) -> None:
    """Twenty reports of one attempt at the same moment leave one result and one delivery."""
    report = report_of()
    answers = await asyncio.gather(*(house.ledger.record(report) for _ in range(20)))
    assert sum(not answer.already_known for answer in answers) == 1
    assert (await house.outbox.depth()).pending == 1


@pytest.mark.parametrize(
    ("source", "direction", "delivered"),
    [
        ("panel", calls_pb2.DIRECTION_OUTBOUND, True),
        ("panel", calls_pb2.DIRECTION_INBOUND, False),
        ("inbound", calls_pb2.DIRECTION_INBOUND, False),
        ("static", calls_pb2.DIRECTION_OUTBOUND, False),
        ("file", calls_pb2.DIRECTION_OUTBOUND, False),
    ],
)
async def test_only_panel_contacts_are_delivered(
    house: House, source: str, direction: calls_pb2.Direction.ValueType, *, delivered: bool
) -> None:
    """The outbox gets the panel's own contacts and nobody else."""
    recorded = await house.ledger.record(report_of(source=source, direction=direction))
    assert recorded.to_deliver is delivered
    assert (await house.outbox.depth()).pending == int(delivered)


async def test_pages_cover_everything_once(house: House) -> None:
    """Pages go newest first, meet without gap or overlap, and end with an empty token."""
    reports = [report_of(source="file") for _ in range(7)]
    for report in reports:
        await house.ledger.record(report)
    seen: list[str] = []
    token = ""
    while True:
        kept, token = await house.ledger.page(size=3, token=token, attempt_id="")
        seen += [result.report.attempt_id for result in kept]
        if not token:
            break
    assert seen == [report.attempt_id for report in reversed(reports)]


@pytest.mark.parametrize("token", ["x", "-1", "۱۲", "1" * 30])
async def test_foreign_page_token(house: House, token: str) -> None:
    """A page token that was never given out is refused."""
    with pytest.raises(BadPageToken):
        await house.ledger.page(size=3, token=token, attempt_id="")


async def test_report_is_kept_whole(house: House) -> None:
    """What was reported comes back field by field, Persian words included."""
    report = report_of(calls_pb2.RESULT_NOT_INTERESTED, heard=("نه ممنون",))
    await house.ledger.record(report)
    kept, _ = await house.ledger.page(size=1, token="", attempt_id="")
    assert kept[0].report == report


async def test_crash_leaves_no_half_result(house: House) -> None:
    """When storing the delivery fails, the result is not stored either, and can be repeated."""
    report = report_of()
    async with house.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE reporter_deliveries RENAME TO away"))
    with pytest.raises(StoreUnavailable):
        await house.ledger.record(report)
    async with house.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE away RENAME TO reporter_deliveries"))
    assert not (await house.ledger.record(report)).already_known
    assert (await house.outbox.depth()).pending == 1


async def test_restart_keeps_everything(house: House, database_url: str) -> None:
    """Results, deliveries and the count of failures are there after a restart."""
    await house.ledger.record(report_of())
    for _ in range(4):
        await house.ledger.record(failure())
    await house.engine.dispose()
    again = house_on(await open_database(database_url, "reporter:migrations"))
    assert (await again.outbox.depth()).pending == 1
    assert (await again.ledger.record(failure())).opened
    await again.engine.dispose()


async def test_migrations_make_the_tables_of_the_code(house: House) -> None:
    """Alembic finds no difference between the migrated schema and the tables in the code."""

    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"version_table": "reporter_schema_version"}
        )
        return list(compare_metadata(context, metadata))

    async with house.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_locked_database_is_unavailable(house: House, tmp_path: Path) -> None:
    """A database that another process holds is called unavailable, and taken up again after."""
    async with house.engine.begin() as connection:  # give up at once instead of after 5 s
        await connection.exec_driver_sql("PRAGMA busy_timeout=0")
    holder = sqlite3.connect(tmp_path / "reporter.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreUnavailable):
        await house.ledger.record(report_of())
    holder.execute("ROLLBACK")
    holder.close()
    assert not (await house.ledger.record(report_of())).already_known


@pytest.mark.parametrize(
    ("result", "reason", "words"),
    [
        (calls_pb2.RESULT_CONNECTED_TO_OPERATOR, "", "connected_to_operator"),
        (calls_pb2.RESULT_NOT_INTERESTED, "do_not_call", "not_interested"),
        (calls_pb2.RESULT_DISCONNECTED, "", "disconnected"),
        (calls_pb2.RESULT_HANGUP, "", "hangup"),
        (calls_pb2.RESULT_MISSED, "busy", "missed"),
        (calls_pb2.RESULT_FAILED, "invalid_number", "failed:invalid_number"),
        (calls_pb2.RESULT_FAILED, "", "failed:unknown"),
    ],
)
def test_words(result: calls_pb2.Result.ValueType, reason: str, words: str) -> None:
    """Each result has the campaign's name, and only failures carry their reason."""
    assert in_words(calls_pb2.Outcome(result=result, reason=reason)) == words
