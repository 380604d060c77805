"""The project's pages, read as a reader uses them: links followed, names and commands looked up."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from deploy_support.reference import ROOT

PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
)
_FENCED = re.compile(r"^ *```.*?\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_SETTING = re.compile(r"(?<![\w.<-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w*>])")
_METRIC = re.compile(r"\bsalehi_[a-z0-9_]*[a-z0-9]\b(?!_|\()")
_RULE = re.compile(r"\bsalehi:[a-z0-9_:]+")
_TARGET = re.compile(r"(?:^|[\s(])make ([a-z][a-z0-9-]*)")
_FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|sh|md|yaml|yml|conf|json|mp3|txt)")
_PROGRAMS = ("dialer", "reporter")
_SUBCOMMAND = re.compile(r"[a-z]+(-[a-z]+)*(\|[a-z]+(-[a-z]+)*)*")


@dataclass(frozen=True)
class Command:
    """A command of ours as a page shows it: `dialer do-not-call import … --reason …`."""

    program: str
    words: tuple[str, ...]
    options: tuple[str, ...]


def code_of(page: Path) -> list[str]:
    """Give the lines of code of a page: in blocks, long lines put together, and within text."""
    text = page.read_text(encoding="utf-8")
    blocks = [block.replace("\\\n", " ") for block in _FENCED.findall(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [*lines, *_SPAN.findall(_FENCED.sub("", text))]


def settings_in(page: Path) -> set[str]:
    """Give what looks like the name of a setting."""
    return set(_SETTING.findall(page.read_text(encoding="utf-8")))


def metrics_in(page: Path) -> set[str]:
    """Give the metrics a page names, without the endings of a histogram's series."""
    found = _METRIC.findall(page.read_text(encoding="utf-8"))
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}


def rules_in(page: Path) -> set[str]:
    """Give the recorded figures a page names."""
    return set(_RULE.findall(page.read_text(encoding="utf-8")))


def targets_in(page: Path) -> set[str]:
    """Give the targets of `make` a page names."""
    return {target for line in code_of(page) for target in _TARGET.findall(line)}


def files_in(page: Path) -> set[str]:
    """Give the files of this project a page names by path; those of other machines begin with /."""
    return {
        match.group()
        for line in code_of(page)
        for match in _FILE.finditer(line)
        if line[: match.start()][-1:] not in ("/", ">", "~", "}", "$", "@")
    }


def links_in(page: Path) -> set[str]:
    """Give the links that lead to other pages and files, and within the page."""
    prose = _SPAN.sub("", _FENCED.sub("", page.read_text(encoding="utf-8")))
    found = _LINK.findall(prose)
    return {link for link in found if not re.match(r"[a-z]+:", link)}


def commands_in(page: Path) -> Iterator[Command]:
    """Give the commands of the dialer and the reporter."""
    for line in code_of(page):
        if re.search(r"\b(dialer|reporter)  ", line):  # a table or a tree
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quote that is none
            continue
        if words[:1] in (["docker"], ["kubectl"]):
            words = words[words.index("exec") + 2 :] if "exec" in words else []
        while words and "=" in words[0]:
            words = words[1:]
        if words and Path(words[0]).name in _PROGRAMS:
            yield from _read(Path(words[0]).name, words[1:])


def _read(program: str, rest: list[str]) -> Iterator[Command]:
    named = []
    for word in rest:
        if not _SUBCOMMAND.fullmatch(word) or word in _PROGRAMS:
            break
        named.append(word)
    options = tuple(word.partition("=")[0] for word in rest if word.startswith("--"))
    for first in named[0].split("|") if named else ():
        yield Command(program, (first, *named[1:]), options)


@cache
def anchors_of(page: Path) -> frozenset[str]:
    """Give the anchors of a page's headings, as GitHub makes them."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return frozenset(
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings
    )
