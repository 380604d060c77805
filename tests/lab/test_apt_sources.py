"""Finding the archive in the machine's own package sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.apt_sources import AptSource, of_release, parse_deb822, parse_one_line, read_sources
from lab.asterisk_root import choose_origin, machine_apt_options
from lab.errors import LabError

DEB822 = """\
# the release
Types: deb deb-src
URIs: http://archive.example/debian
Suites: bookworm
 bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/archive.gpg

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source-only.example/debian
Suites: bookworm
Components: main
"""

MAIN = AptSource(
    "http://archive.example/debian",
    ("bookworm", "bookworm-updates"),
    ("main", "contrib"),
    "/usr/share/keyrings/archive.gpg",
)


def test_deb822_binary_entries_are_read() -> None:
    """Continuation lines belong to their field; disabled and source-only entries do not count."""
    assert parse_deb822(DEB822) == [MAIN]


def test_key_inside_the_file_is_not_taken_for_a_path() -> None:
    """An inline key cannot be named in a one-line source, so it is left out."""
    text = DEB822.split("\n\n", maxsplit=1)[0].replace(
        "/usr/share/keyrings/archive.gpg", "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBF"
    )
    assert [source.signed_by for source in parse_deb822(text)] == [None]


def test_one_line_entries_are_read() -> None:
    """Options, comments and several components are understood; deb-src is not."""
    text = (
        "# nothing\n"
        "deb [arch=amd64 signed-by=/etc/k.gpg] http://a.example/debian bookworm main extra # x\n"
        "deb-src http://a.example/debian bookworm main\n"
        "deb http://b.example/debian bookworm main\n"
    )
    assert parse_one_line(text) == [
        AptSource("http://a.example/debian", ("bookworm",), ("main", "extra"), "/etc/k.gpg"),
        AptSource("http://b.example/debian", ("bookworm",), ("main",)),
    ]


def test_both_formats_are_found_on_disk(tmp_path: Path) -> None:
    """sources.list and both kinds of files beside it are read; other files are not."""
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/old.list.save").write_text("deb http://c.example/ x main\n")
    assert [source.uri for source in read_sources(tmp_path)] == [
        "http://a.example/debian",
        "http://archive.example/debian",
    ]


def test_foreign_archives_are_not_the_release() -> None:
    """A vendor's own archive is never taken for the distribution's."""
    vendor = AptSource("https://vendor.example/apt", ("stable",), ("main",))
    assert of_release([vendor, MAIN], "bookworm") == [MAIN]


def test_debian_without_asterisk_takes_it_from_sid() -> None:
    """On Debian 12 the suite sid of the machine's own archive is used, signed by the same key."""
    origin = choose_origin([MAIN], codename="bookworm", own_major=None, is_debian=True)
    assert origin.suite == "sid"
    key = "signed-by=/usr/share/keyrings/archive.gpg"
    assert origin.sources == (f"deb [{key}] http://archive.example/debian sid main contrib",)


@pytest.mark.parametrize(("own_major", "suite"), [(16, "sid"), (20, "bookworm"), (22, "bookworm")])
def test_own_release_is_used_when_recent_enough(own_major: int, suite: str) -> None:
    """Asterisk 20 is the oldest that is taken from the release itself."""
    origin = choose_origin([MAIN], codename="bookworm", own_major=own_major, is_debian=True)
    assert origin.suite == suite


def test_no_usable_archive_is_one_clear_line() -> None:
    """A release that is not Debian and has no recent Asterisk is refused."""
    with pytest.raises(LabError, match="Asterisk 20 or newer"):
        choose_origin([MAIN], codename="bookworm", own_major=18, is_debian=False)


def test_machine_apt_options_keep_how_archives_are_reached() -> None:
    """Proxy and date checks are the machine's; apt's index definitions are not repeated."""
    dump = (
        'Acquire "";\n'
        'Acquire::http::Proxy "http://proxy.example:3128";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'Acquire::IndexTargets::deb::Packages "";\n'
    )
    assert machine_apt_options(dump).splitlines() == [
        'Acquire::http::Proxy "http://proxy.example:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]
