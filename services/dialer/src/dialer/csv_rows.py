"""Contact files: CSV as people really write it, read row by row."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Self

from dialer.errors import UnreadableFile

_MAX_LINE_BYTES = 65_536
_MAX_RECORD_LINES = (
    20  # a quoted field may hold line ends; a quote never closed must not eat a file
)
_DELIMITERS = ",;\t|"
_FEWEST_DIGITS = 7

_NUMBER_NAMES = frozenset(
    (
        *("number", "phone", "phonenumber", "mobile", "mobilenumber", "msisdn", "cell", "tel"),
        *("telephone", "شماره", "تلفن", "موبایل", "همراه", "شمارهتلفن", "شمارهموبایل"),
        *("شمارههمراه", "تلفنهمراه"),
    )
)
_CONSENT_NAMES = frozenset(("consent", "consentbasis", "basis", "optin", "رضایت", "مبنایرضایت"))
_SAME_LETTERS = str.maketrans({"ي": "ی", "ك": "ک", "‌": "", " ": "", "_": "", "-": ""})


@dataclass(frozen=True)
class ContactRow:
    """One row as written.

    Attributes:
        row: its first line in the file, from 1.
        number: as written.
        consent: as written; empty when there is none.
    """

    row: int
    number: str
    consent: str


@dataclass(frozen=True)
class BadRow:
    """A row that cannot be used, and why; never what it holds."""

    row: int
    reason: str


@dataclass(frozen=True)
class ColumnNames:
    """What the columns of a file are called, where that is told; empty: found by usual names."""

    number: str = ""
    consent: str = ""

    @classmethod
    def parse(cls, parts: Sequence[str]) -> Self:
        """Read `("number=Mobile Phone", "consent=Opt-in")`.

        Raises:
            ValueError: any other form, or a column named twice.
        """
        names: dict[str, str] = {}
        for part in parts:
            column, separator, name = (piece.strip() for piece in part.partition("="))
            if column not in {"number", "consent"} or not separator or not name or column in names:
                raise ValueError(f"{part!r} is not number=NAME or consent=NAME, each once")
            names[column] = name
        return cls(**names)


USUAL_NAMES = ColumnNames()


@dataclass(frozen=True)
class _Columns:
    delimiter: str
    count: int
    number: int
    consent: int | None


class _Lines:
    """The lines of a file, each on its own: decoded, or bad; can be given back."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._back: deque[tuple[int, str | BadRow]] = deque()
        self._row = 0

    def next(self) -> tuple[int, str | BadRow] | None:
        """Give the next line with its number; None at the end of the file."""
        if self._back:
            return self._back.popleft()
        raw = self._file.readline(_MAX_LINE_BYTES + 1)
        if not raw:
            return None
        self._row += 1
        if len(raw) > _MAX_LINE_BYTES:
            while raw and not raw.endswith(b"\n"):
                raw = self._file.readline(_MAX_LINE_BYTES)
            return self._row, BadRow(self._row, "the row is too long")
        try:
            text = raw.decode("utf-8-sig" if self._row == 1 else "utf-8")
        except UnicodeDecodeError:
            return self._row, BadRow(self._row, "not UTF-8 text")
        return self._row, text.rstrip("\r\n")

    def give_back(self, lines: Sequence[tuple[int, str | BadRow]]) -> None:
        """Put lines back in front."""
        self._back.extendleft(reversed(lines))


class _Record:
    """Feeds the csv module one line, and more only while a quote is open."""

    def __init__(self, first: tuple[int, str], lines: _Lines) -> None:
        self._first: tuple[int, str] | None = first
        self._lines = lines
        self.more: list[tuple[int, str | BadRow]] = []
        self.unclosed = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._first is not None:
            _, text = self._first
            self._first = None
            return text + "\n"
        line = self._lines.next() if len(self.more) < _MAX_RECORD_LINES else None
        if line is not None:
            self.more.append(line)
        if line is None or isinstance(line[1], BadRow):
            self.unclosed = True
            raise StopIteration
        return line[1] + "\n"


def read_rows(file: BinaryIO, names: ColumnNames = USUAL_NAMES) -> Iterator[ContactRow | BadRow]:
    """Read a file of contacts, in bounded memory.

    The first row may name the columns (`number`, `phone`, `mobile`, `شماره`, …, and `consent`,
    `رضایت`, …); without names the first cell that looks like a number tells its column, and the
    next column is the consent. A name that is told must be there: a number from another column
    could be anybody's. A bad row never takes its neighbours with it.

    Raises:
        UnreadableFile: not UTF-8, no column with numbers, or none of a name that is told.
    """
    lines = _Lines(file)
    columns: _Columns | None = None
    while (line := lines.next()) is not None:
        row, text = line
        if columns is None:
            if isinstance(text, BadRow):
                raise UnreadableFile(f"row {row} is not UTF-8 text with comma-separated columns")
            if not text.strip():
                continue
            columns, named = _columns_of(text, names)
            if named:
                continue
        if isinstance(text, BadRow):
            yield text
        elif text.strip():
            yield _contact_of((row, text), lines, columns)


def _columns_of(first: str, told: ColumnNames) -> tuple[_Columns, bool]:
    """Find the columns by the first row, and say whether that row names them."""
    if "\0" in first:
        raise UnreadableFile("not UTF-8 text with comma-separated columns")
    delimiter = max(_DELIMITERS, key=first.count)
    cells = next(csv.reader([first], delimiter=delimiter))
    names = [_plain(cell) for cell in cells]
    number = _find(names, told.number, _NUMBER_NAMES)
    if number is not None:
        consent = _find(names, told.consent, _CONSENT_NAMES)
        return _Columns(delimiter, len(cells), number, consent), True
    number = next((at for at, cell in enumerate(cells) if _looks_like_number(cell)), None)
    if number is None:
        raise UnreadableFile("no column with numbers: name it number, phone or mobile")
    consent = number + 1 if number + 1 < len(cells) else None
    return _Columns(delimiter, len(cells), number, consent), False


def _plain(name: str) -> str:
    return name.strip().lower().translate(_SAME_LETTERS)


def _find(names: Sequence[str], told: str, usual: frozenset[str]) -> int | None:
    """Find the column of a told name, which must be there; without one by its usual names."""
    wanted = {_plain(told)} if told else usual
    found = next((at for at, name in enumerate(names) if name in wanted), None)
    if found is None and told:
        raise UnreadableFile(f"row 1 names no column {told!r}: correct the file or COLUMN_MAP")
    return found


def _looks_like_number(cell: str) -> bool:
    return sum(character.isdigit() for character in cell) >= _FEWEST_DIGITS


def _contact_of(first: tuple[int, str], lines: _Lines, columns: _Columns) -> ContactRow | BadRow:
    record = _Record(first, lines)
    row = first[0]
    try:
        # Strict, because a quote left open would else swallow rows up to the next one.
        cells = next(csv.reader(record, delimiter=columns.delimiter, strict=True))
    except csv.Error:
        lines.give_back(record.more)
        broken = record.unclosed or record.more
        return BadRow(row, "a quote is not closed" if broken else "quotes are out of place")
    wanted = [at for at in (columns.number, columns.consent) if at is not None]
    if record.more and (len(cells) != columns.count or any("\n" in cells[at] for at in wanted)):
        lines.give_back(record.more)
        return BadRow(row, "a quote is not closed")
    if columns.number >= len(cells):
        return BadRow(row, "the number is missing")
    consent = ""
    if columns.consent is not None and columns.consent < len(cells):
        consent = cells[columns.consent].strip()
    return ContactRow(row, cells[columns.number].strip(), consent)
