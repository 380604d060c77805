from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.csv_rows import BadRow, ColumnNames, ContactRow, read_rows
from dialer.errors import UnreadableFile


def read(text: str | bytes) -> list[ContactRow | BadRow]:
    """Read a file held in memory."""
    raw = text.encode() if isinstance(text, str) else text
    return list(read_rows(io.BytesIO(raw)))


@pytest.mark.parametrize(
    "header",
    ["number,consent", "Phone_Number,Consent Basis", "\ufeffmobile,opt-in", "شماره موبایل,رضایت",
     "MSISDN,basis", "شماره‌ تلفن,مبنای رضایت"],
)  # fmt: skip
def test_columns_are_found_by_many_names(header: str) -> None:
    """Whatever a file calls them, the columns of number and consent are found."""
    assert read(f"{header}\n09120000101,form\n") == [ContactRow(2, "09120000101", "form")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_columns_may_stand_anywhere_between_any_separator(delimiter: str) -> None:
    """The order of columns and the separator are the file's own."""
    text = "name;consent;phone\nA;form;09120000101\n".replace(";", delimiter)
    assert read(text) == [ContactRow(2, "09120000101", "form")]


def test_a_file_without_names_is_read_from_its_first_row() -> None:
    """Where the first row is a contact already, its number tells the column; consent follows."""
    assert read("A,09120000101,form\r\nB,09120000102\r\n") == [
        ContactRow(1, "09120000101", "form"),
        ContactRow(2, "09120000102", ""),
    ]


def test_names_of_columns_are_read_from_a_setting() -> None:
    """One or both columns can be named, with spaces and signs in the name."""
    assert ColumnNames.parse(()) == ColumnNames("", "")
    both = ColumnNames.parse((" consent = Opt-in = yes ", "number=شماره همراه"))
    assert both == ColumnNames("شماره همراه", "Opt-in = yes")
    for wrong in (("phone=x",), ("number",), ("number=",), ("number=a", "number=b")):
        with pytest.raises(ValueError, match="number=NAME or consent=NAME"):
            ColumnNames.parse(wrong)


@pytest.mark.parametrize(
    "raw",
    [b"name,city\nA,B\n", "number\n1".encode("utf-16"), b"\xff\xfe", b"number\0\n", b"\x89PNG\r\n"],
)
def test_what_is_no_contact_file_is_refused_whole(raw: bytes) -> None:
    """A file that is not UTF-8, or has no column with numbers, is refused with a reason."""
    with pytest.raises(UnreadableFile):
        read(raw)


def test_quoted_cells_may_hold_separators_and_line_ends() -> None:
    """A note with commas and line ends stays one cell of one row."""
    text = 'note,number\n"one, two\nthree",09120000101\nx,09120000102\n'
    assert read(text) == [ContactRow(2, "09120000101", ""), ContactRow(4, "09120000102", "")]


def test_a_quote_never_closed_costs_its_own_row_only() -> None:
    """An unclosed quote, also one that a later quote would close, takes no neighbour with it."""
    text = 'number,note\n09120000101,"oops\n09120000102,b\n09120000103,"c"\n09120000104,d\n'
    assert read(text) == [
        BadRow(2, "a quote is not closed"),
        ContactRow(3, "09120000102", ""),
        ContactRow(4, "09120000103", ""),
        ContactRow(5, "09120000104", ""),
    ]


def test_a_bad_row_is_named_and_its_neighbours_are_read() -> None:
    """Bytes that are no text, endless rows and missing cells are named one by one."""
    raw = b"name,number\nA,09120000101\nB,\xff\xfe\nC\nD," + b"9" * 70_000 + b"\nE,09120000102\n\n"
    assert read(raw) == [
        ContactRow(2, "09120000101", ""),
        BadRow(3, "not UTF-8 text"),
        BadRow(4, "the number is missing"),
        BadRow(5, "the row is too long"),
        ContactRow(6, "09120000102", ""),
    ]


@given(raw=st.binary(max_size=300))
def test_no_file_whatever_makes_the_reader_fail_otherwise(raw: bytes) -> None:
    """Any bytes after a header give rows, each line answered for at most once, and no exception."""
    rows = read(b"number,consent\n" + raw)
    numbers = [row.row for row in rows]
    assert numbers == sorted(set(numbers))
