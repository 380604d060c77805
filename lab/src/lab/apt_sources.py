"""The machine's own package sources: where its archive is, and who signs it.

The address of an archive is never written down in this project; it is taken from the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class AptSource:
    """One archive entry: `deb [signed-by=...] uri suite components`."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None

    def lines(self, suites: Iterable[str] | None = None) -> list[str]:
        """Render in the one-line format, for these suites instead of its own if given."""
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        components = " ".join(self.components)
        return [
            f"deb {option}{self.uri} {suite} {components}".rstrip()
            for suite in (self.suites if suites is None else suites)
        ]


def parse_deb822(text: str) -> list[AptSource]:
    """Read the `.sources` format (deb822): paragraphs of `Field: value` lines."""
    sources: list[AptSource] = []
    for fields in _paragraphs(text):
        if fields.get("enabled", "yes").lower() == "no" or "deb" not in fields["types"].split():
            continue
        signed_by = fields.get("signed-by")
        if signed_by is not None and not signed_by.startswith("/"):
            signed_by = None  # a key in the file itself: apt's own trusted keys must do
        sources.extend(
            AptSource(
                uri,
                tuple(fields["suites"].split()),
                tuple(fields.get("components", "").split()),
                signed_by,
            )
            for uri in fields["uris"].split()
        )
    return sources


def _paragraphs(text: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if {"types", "uris", "suites"} <= fields.keys():
                yield fields
            fields = {}
        elif line[0].isspace():
            fields[name] = f"{fields.get(name, '')} {line.strip()}".strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def parse_one_line(text: str) -> list[AptSource]:
    """Read the classic format: `deb [options] uri suite component...`."""
    sources = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        rest = " ".join(words[1:])
        options = ""
        if rest.startswith("["):
            options, _, rest = rest[1:].partition("]")
        uri, *suite_and_components = rest.split()
        signed_by = None
        for option in options.split():
            key, _, value = option.partition("=")
            if key == "signed-by" and value.startswith("/"):
                signed_by = value
        if suite_and_components:
            suite, *components = suite_and_components
            sources.append(AptSource(uri, (suite,), tuple(components), signed_by))
    return sources


def read_sources(apt_dir: Path = Path("/etc/apt")) -> list[AptSource]:
    """Read every source the machine has, in apt's order."""
    files = [apt_dir / "sources.list", *sorted((apt_dir / "sources.list.d").glob("*"))]
    sources: list[AptSource] = []
    for file in files:
        if file.suffix == ".list" and file.exists():
            sources.extend(parse_one_line(file.read_text()))
        elif file.suffix == ".sources":
            sources.extend(parse_deb822(file.read_text()))
    return sources


def of_release(sources: Iterable[AptSource], codename: str) -> list[AptSource]:
    """Keep the distribution's own archives: those that carry the release or its updates."""
    own = (codename, f"{codename}-updates", f"{codename}-security")
    return [source for source in sources if set(own) & set(source.suites)]
