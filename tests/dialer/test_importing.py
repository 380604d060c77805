from __future__ import annotations

import csv
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dialer import do_not_call
from dialer.errors import UnreadableFile
from dialer.importing import Importer, ImportRules
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.starting import take_contacts_file, take_static
from dialer.storage import Storage
from dialer.tables import contacts
from dialer.waking import Bells
from dialer_support.campaign import number, rows_of
from support.timing import HandClock


def importer(
    storage: Storage, clock: HandClock, directory: Path, *, require_consent: bool = True
) -> Importer:
    """Make an importer that lists rejected rows in a directory."""
    rules = ImportRules(NumberPlan(), require_consent, directory / "imports")
    return Importer(storage, rules, bells=Bells(), clock=clock)


async def test_each_row_is_taken_or_named_with_its_reason(
    storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    """Good rows are kept; invalid, listed, repeated and consentless ones are named one by one."""
    async with storage.transaction() as connection:
        await do_not_call.add_numbers(connection, [number(4)], "asked", now_ms(clock))
    path = tmp_path / "people.csv"
    path.write_text(
        "phone,consent\n"
        "09120000001,form\n"  # 2
        "02188888888,form\n"  # 3
        "+989120000001,form\n"  # 4
        "۰۹۱۲۰۰۰۰۰۰۲,نه\n"  # 5
        "09120000003,\n"  # 6
        "09120000004,form\n"  # 7
        "۰۹۱۲۰۰۰۰۰۰۵,فرم\n",  # 8
        encoding="utf-8",
    )
    report = await importer(storage, clock, tmp_path).take_file(path)
    assert [row["number"] for row in await rows_of(storage, contacts)] == [number(1), number(5)]
    assert (report.accepted, report.rejected_count) == (2, 5)
    expected = [
        (3, "not a mobile number"),
        (4, "already in the campaign"),
        (5, "no consent basis"),
        (6, "no consent basis"),
        (7, "on the do-not-call list"),
    ]
    assert [(bad.row, bad.reason) for bad in report.rejected] == expected
    [listed] = (tmp_path / "imports").glob("people-*-rejected.csv")
    with listed.open(encoding="utf-8", newline="") as file:
        written = list(csv.reader(file))
    assert written == [["row", "reason"], *([str(row), reason] for row, reason in expected)]


async def test_consent_can_be_waived(storage: Storage, clock: HandClock, tmp_path: Path) -> None:
    """With REQUIRE_CONSENT=false rows without a consent basis are taken."""
    path = tmp_path / "people.csv"
    path.write_text("09120000001\n09120000002\n")
    report = await importer(storage, clock, tmp_path, require_consent=False).take_file(path)
    assert report.accepted == 2


async def test_the_same_file_again_adds_nothing(
    storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    """A repeated import takes no row; at a restart the known file is not even read."""
    path = tmp_path / "people.csv"
    path.write_text("number,consent\n09120000001,form\n")
    first = importer(storage, clock, tmp_path)
    assert not await first.was_taken(path)
    assert (await first.take_file(path)).accepted == 1
    assert await first.was_taken(path)
    assert (await first.take_file(path)).accepted == 0
    assert not await importer(storage, clock, tmp_path, require_consent=False).was_taken(path)
    assert len(await rows_of(storage, contacts)) == 1


async def test_chunks_may_cut_anywhere(storage: Storage, clock: HandClock, tmp_path: Path) -> None:
    """A file that arrives byte by byte, letters cut in half, is read like any other."""
    raw = "شماره,رضایت\n۰۹۱۲۰۰۰۰۰۰۱,فرم\n".encode()

    async def bytewise() -> AsyncIterator[bytes]:
        for at in range(len(raw)):
            yield raw[at : at + 1]

    assert (await importer(storage, clock, tmp_path).take_stream(bytewise())).accepted == 1


async def test_a_large_file_is_taken_in_bounded_memory(
    storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    """However many rows a file has, only a few chunks of them are in memory at once."""
    path = tmp_path / "many.csv"
    with path.open("w") as file:
        file.write("number,consent\n")
        file.writelines(f"0912{index:07},form\n" for index in range(4_000))
        file.writelines("bad,form\n" for _ in range(2_000))
    tracemalloc.start()
    try:
        report = await importer(storage, clock, tmp_path).take_file(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (report.accepted, report.rejected_count) == (4_000, 2_000)
    assert len(report.rejected) == 1000
    assert peak < 8_000_000, peak


async def test_a_missing_contacts_file_does_not_stop_the_campaign(
    storage: Storage, clock: HandClock, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A CONTACTS_FILE that is not there is named in the log, and the dialer goes on without it."""
    missing = tmp_path / "missing.csv"
    taker = importer(storage, clock, tmp_path)
    with pytest.raises(UnreadableFile, match=r"missing\.csv"):
        await taker.take_file(missing)
    await take_contacts_file(taker, missing)
    assert "missing.csv" in capsys.readouterr().out


async def test_the_static_list_is_called_once_per_database(
    storage: Storage, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A restart adds nobody again; a bad entry is named by its place, never by what it holds."""
    listed = ("09120000001", "12345678901", "+989120000001", "09120000002")
    for _ in range(2):
        await take_static(storage, NumberPlan(), listed, clock)
    rows = await rows_of(storage, contacts)
    assert [row["number"] for row in rows] == [number(1), number(2)]
    assert {row["consent_basis"] for row in rows} == {"static list"}
    said = capsys.readouterr().out
    assert "entry=2" in said
    assert "12345678901" not in said
