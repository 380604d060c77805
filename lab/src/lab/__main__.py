"""The lab's command line: up, down, status, call."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from lab import control, inbound, prompts
from lab.behaviours import PromptLengths
from lab.control import Wanted
from lab.errors import LabError
from lab.paths import REPOSITORY, LabPaths

EXIT_REFUSED = 3

app = typer.Typer(
    help="A real Asterisk on this machine, and a simulated phone network around it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(soft_wrap=True, highlight=False, markup=False)


class NetworkName(StrEnum):
    """Who answers behind the trunk and the operators' address."""

    SIPP = "sipp"
    NONE = "none"


Behaviour = StrEnum("Behaviour", {name: name for name in inbound.CALLERS})  # type: ignore[misc]

LabDir = Annotated[
    Path, typer.Option("--dir", envvar="LAB_DIR", help="Where the lab keeps everything.")
]
Language = Annotated[
    str, typer.Option(envvar="CALL_LANGUAGE", help="Prompts whose lengths are measured (en, fa).")
]
_DEFAULT_DIR = REPOSITORY / ".lab"
_SAYS_YES = Behaviour("yes")


def _length(name: str) -> object:
    return typer.Option(
        envvar=f"LAB_{name.upper()}_MS",
        min=0,
        help=f"Length of the prompt `{name}` in ms that people wait for (default: measured).",
    )


HelloMs = Annotated[int | None, _length("hello")]
NumberMs = Annotated[int | None, _length("number")]
YesMs = Annotated[int | None, _length("yes")]


@app.command()
def up(
    network: Annotated[NetworkName, typer.Option(envvar="NETWORK")] = NetworkName.SIPP,
    language: Language = "en",
    hello_ms: HelloMs = None,
    number_ms: NumberMs = None,
    yes_ms: YesMs = None,
    lab_dir: LabDir = _DEFAULT_DIR,
) -> None:
    """Start the lab, or what has died of it; return when calls work."""
    paths = LabPaths(lab_dir.resolve())
    wanted = Wanted(
        network="sipp" if network is NetworkName.SIPP else "none",
        language=language,
        hello_ms=hello_ms,
        number_ms=number_ms,
        yes_ms=yes_ms,
    )
    try:
        control.up(paths, wanted, console.print)
        control.status(paths, console.print)
    except LabError as error:
        _refuse(error)


@app.command()
def down(lab_dir: LabDir = _DEFAULT_DIR) -> None:
    """Stop everything this lab started."""
    try:
        control.down(LabPaths(lab_dir.resolve()), console.print)
    except LabError as error:
        _refuse(error)


@app.command()
def status(lab_dir: LabDir = _DEFAULT_DIR) -> None:
    """Say what runs where; exit 1 when Asterisk does not answer."""
    try:
        answers = control.status(LabPaths(lab_dir.resolve()), console.print)
    except LabError as error:
        _refuse(error)
    if not answers:
        raise typer.Exit(1)


@app.command()
def call(
    to: Annotated[str, typer.Option(help="The number dialled.")],
    caller: Annotated[str, typer.Option(help="The caller's number.")] = "09120000901",
    behaviour: Annotated[Behaviour, typer.Option(help="What the caller does.")] = _SAYS_YES,
    language: Language = "en",
    lab_dir: LabDir = _DEFAULT_DIR,
) -> None:
    """Make one inbound call into the engine and wait for its end."""
    paths = LabPaths(lab_dir.resolve())
    lengths = prompts.measure(paths.sound_dir / language, PromptLengths())
    try:
        console.print(inbound.call(paths, to, caller, behaviour.value, lengths))
    except LabError as error:
        _refuse(error)


def _refuse(error: LabError) -> NoReturn:
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"lab: {error}")
    raise typer.Exit(EXIT_REFUSED) from error


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
