"""Results are taken once, and what follows from them is stored with them."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, select, text
from sqlalchemy.exc import ProgrammingError

from reporter.errors import BadPageToken
from reporter.intake import Intake
from reporter.ledger import Recorded, Reported
from reporter.tables import DeliveryStatus, metadata, results
from reporter.words import in_words
from reporter_support.away import database_away
from reporter_support.house import House, house_on
from reporter_support.reports import failure, report_of
from salehi.calls.v1 import calls_pb2
from servicekit.database import open_database
from servicekit.storage import StoreUnavailable
from support.timing import running


async def _only(house: House, attempt_id: str) -> tuple[str, DeliveryStatus | None]:
    kept = await house.find(attempt_id)
    return kept.result, kept.delivery


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
    delivery = await house.lease_one()
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
        kept, token = await house.archive.page(size=3, token=token)
        seen += [result.report.attempt_id for result in kept]
        if not token:
            break
    assert seen == [report.attempt_id for report in reversed(reports)]


@pytest.mark.parametrize("token", ["x", "-1", "۱۲", "1" * 30])
async def test_foreign_page_token(house: House, token: str) -> None:
    """A page token that was never given out is refused."""
    with pytest.raises(BadPageToken):
        await house.archive.page(size=3, token=token)


async def test_report_is_kept_whole(house: House) -> None:
    """What was reported comes back field by field, Persian words included."""
    report = report_of(calls_pb2.RESULT_NOT_INTERESTED, heard=("نه ممنون",))
    await house.ledger.record(report)
    kept, _ = await house.archive.page(size=1)
    assert kept[0].report == report


async def test_crash_leaves_no_half_result(house: House) -> None:
    """When storing the delivery fails, the result is not stored either, and can be repeated."""
    report = report_of()
    async with house.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE reporter_deliveries RENAME TO away"))
    with pytest.raises((StoreUnavailable, ProgrammingError)):
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


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
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


async def test_many_at_once_are_as_one_by_one(house: House) -> None:
    """A batch with repeats and a late "connected" in it leaves what single reports would."""
    first = report_of(attempt_id="a")
    late = report_of(calls_pb2.RESULT_CONNECTED_TO_OPERATOR, attempt_id="a")
    other = report_of(attempt_id="b")
    recorded = await house.ledger.record_all(
        [Reported(report, "") for report in (first, other, first, late)]
    )
    assert [one.already_known for one in recorded] == [False, False, True, True]
    assert [one.replaced for one in recorded] == [False, False, False, True]
    assert await _only(house, "a") == ("connected_to_operator", DeliveryStatus.PENDING)
    failures = [Reported(failure(), "") for _ in range(12)]
    assert [one.opened for one in await house.ledger.record_all(failures)].count(True) == 1


async def test_intake_answers_each(house: House) -> None:
    """Reports that come together are stored in few transactions, each answered for itself."""
    intake = Intake(house.ledger)
    reports = [report_of(attempt_id=f"a-{index % 70}") for index in range(140)]
    async with running(intake.run()):
        answers = await asyncio.gather(*(intake.record(report) for report in reports))
    assert sum(not answer.already_known for answer in answers) == 70
    assert (await house.outbox.depth()).pending == 70


async def test_intake_keeps_the_others(house: House) -> None:
    """A report that cannot be stored fails alone, and an absent database fails all of a batch."""
    intake = Intake(house.ledger)
    fine, odd = report_of(), report_of(number_id=7)
    odd.outcome.result = calls_pb2.RESULT_UNSPECIFIED  # the service would have refused it
    async with running(intake.run()):
        taken, failed = await asyncio.gather(
            intake.record(fine), intake.record(odd), return_exceptions=True
        )
        assert isinstance(failed, KeyError)
        assert taken == Recorded(to_deliver=True)
        async with database_away(house.engine):
            refused = await asyncio.gather(
                intake.record(report_of()), intake.record(report_of()), return_exceptions=True
            )
        assert [type(error) for error in refused] == [StoreUnavailable] * 2
        assert not (await intake.record(report_of())).already_known


async def test_odd_texts_are_stored(house: House) -> None:
    """NULs and lengths no column holds cost neither the result nor the others."""
    report = report_of(
        calls_pb2.RESULT_FAILED, reason="x\0" * 300, source="s\0" * 30, number="9" * 90
    )
    report.line = "l\0" * 200
    report.attempted_at.seconds = 10**15
    await house.ledger.record(report)
    assert (await house.find(report.attempt_id)).report == report


async def test_results_of_the_first_version_are_found(database_url: str) -> None:
    """Upgrading a filled database fills the new columns from the stored reports."""
    engine = await open_database(database_url, "reporter:migrations")
    house = house_on(engine)
    reports = [report_of(attempt_id=f"a-{n}", heard=("words",) * (n % 2)) for n in range(3)]
    reports[1].line = "1002"
    reports[2].ClearField("attempted_at")
    reports[2].ClearField("ended_at")
    for report in reports:
        await house.ledger.record(report)
    columns = (results.c.attempted_at_ms, results.c.line, results.c.source, results.c.has_words)
    query = select(results.c.attempt_id, *columns, results.c.direction).order_by(results.c.sequence)
    async with house.storage.transaction() as connection:
        before = (await connection.execute(query)).all()
    async with engine.begin() as connection:
        await connection.run_sync(_downgrade)
    await engine.dispose()
    engine = await open_database(database_url, "reporter:migrations")
    house = house_on(engine)
    async with house.storage.transaction() as connection:
        assert (await connection.execute(query)).all() == before
    await engine.dispose()


def _downgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", "reporter:migrations")
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")
