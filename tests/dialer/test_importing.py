from __future__ import annotations

import csv
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dialer import do_not_call
from dialer.csv_rows import USUAL_NAMES, ColumnNames
from dialer.errors import UnreadableFile
from dialer.importing import Importer, ImportRules
from dialer.moments import now_ms
from dialer.numbers import NumberPlan
from dialer.starting import take_contacts_file, take_static
from dialer.tables import contacts
from dialer.waking import Bells
from dialer_support.campaign import number, opened, rows_of
from servicekit.storage import Storage
from support.timing import HandClock


def importer(
    storage: Storage,
    clock: HandClock,
    directory: Path,
    *,
    require_consent: bool = True,
    columns: ColumnNames = USUAL_NAMES,
) -> Importer:
    """Make an importer that lists rejected rows in a directory."""
    rules = ImportRules(NumberPlan(), require_consent, directory / "imports", columns)
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


async def test_columns_are_taken_by_the_names_they_are_told(
    storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    """Number and consent come from the named columns; the same file by other names is another."""
    path = tmp_path / "people.csv"
    path.write_text("Phone,Customer GSM,Opt-in,Agreed\n09120000001,09120000002,no,yes\n")
    told = ColumnNames.parse(("number=customer gsm", "consent=Agreed"))
    by_name = importer(storage, clock, tmp_path, columns=told)
    assert (await by_name.take_file(path)).accepted == 1
    [row] = await rows_of(storage, contacts)
    assert (row["number"], row["consent_basis"]) == (number(2), "yes")
    assert await by_name.was_taken(path)
    assert not await importer(storage, clock, tmp_path).was_taken(path)


async def test_a_file_without_the_told_column_is_refused_whole(
    storage: Storage, clock: HandClock, tmp_path: Path
) -> None:
    """A column of another name is never taken in its place: it may hold anybody's number."""
    path = tmp_path / "people.csv"
    path.write_text("Phone,Opt-in\n09120000001,yes\n")
    for told in ("number=Customer GSM", "consent=Agreed"):
        taker = importer(storage, clock, tmp_path, columns=ColumnNames.parse((told,)))
        with pytest.raises(UnreadableFile, match=told.partition("=")[2]):
            await taker.take_file(path)
    assert await rows_of(storage, contacts) == []


async def test_chunks_may_cut_anywhere(storage: Storage, clock: HandClock, tmp_path: Path) -> None:
    """A file that arrives byte by byte, letters cut in half, is read like any other."""
    raw = "شماره,رضایت\n۰۹۱۲۰۰۰۰۰۰۱,فرم\n".encode()

    async def bytewise() -> AsyncIterator[bytes]:
        for at in range(len(raw)):
            yield raw[at : at + 1]

    assert (await importer(storage, clock, tmp_path).take_stream(bytewise())).accepted == 1


def write_people(path: Path, rows: int) -> None:
    """Write a file of so many rows, a tenth of them bad."""
    with path.open("w") as file:
        file.write("number,consent\n")
        for index in range(rows):
            text = "bad" if index % 10 == 0 else f"0912{index:07}"
            file.write(f"{text},form\n")


def forget_peak() -> None:
    """Let the kernel measure this process's peak from now on, see proc(5)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_kib() -> int:
    """Give the most memory this process had since then."""
    status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0])


async def test_memory_does_not_grow_with_the_file(clock: HandClock, tmp_path: Path) -> None:
    """Fifty thousand rows take no more memory than five thousand, give or take a few chunks."""
    async with opened(f"sqlite:///{tmp_path / 'dialer.db'}") as storage:
        taker = importer(storage, clock, tmp_path)
        peaks: list[int] = []
        for rows in (5_000, 50_000):
            path = tmp_path / f"{rows}.csv"
            write_people(path, rows)
            forget_peak()
            report = await taker.take_file(path)
            peaks.append(peak_kib())
            assert report.accepted + report.rejected_count == rows
            assert len(report.rejected) == min(1000, rows // 10)
    assert peaks[1] - peaks[0] < 6_000, peaks


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
