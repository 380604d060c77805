"""The command line: results, dead letters and callbacks of the running reporter, and erasing."""

from __future__ import annotations

import argparse
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from reporter.listing import callbacks_table, letters_table, results_table
from reporter.remote import RemoteReporter, connected
from reporter.settings import ReporterSettings
from reporter.words import RESULT_WORDS
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2
from servicekit.cli import output_file, own_address, own_zone, positive_count, run_errand

_FORMATS = {
    "csv": reporter_pb2.EXPORT_FORMAT_CSV,
    "json": reporter_pb2.EXPORT_FORMAT_JSON,
}
_MOMENT = "day or moment such as 2026-05-04 or 2026-05-04T10:30"
_DIRECTIONS = {
    "outbound": calls_pb2.DIRECTION_OUTBOUND,
    "inbound": calls_pb2.DIRECTION_INBOUND,
}
_DELIVERIES = {
    "pending": reporter_pb2.DELIVERY_STATE_PENDING,
    "delivered": reporter_pb2.DELIVERY_STATE_DELIVERED,
    "dead": reporter_pb2.DELIVERY_STATE_DEAD,
    "discarded": reporter_pb2.DELIVERY_STATE_DISCARDED,
}


def run_command(arguments: Sequence[str]) -> int:
    """Run a command of the command line; give the exit status."""
    wanted = _parser().parse_args(arguments)

    def errand() -> int:
        with connected(
            wanted.address or own_address(ReporterSettings, "reporter_port")
        ) as reporter:
            wanted.run(wanted, reporter)
        return 0

    return run_errand("reporter", errand)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="reporter", description="Without a command, runs the reporter service."
    )
    parser.set_defaults(address=None)
    commands = parser.add_subparsers(required=True, metavar="command")
    export = _command(commands, "export", _export, "write results to a file")
    export.add_argument("--format", choices=sorted(_FORMATS), default="csv")
    export.add_argument("--output", type=Path, help="file to write; default: standard output")
    _add_filter(export)
    results = _command(commands, "results", _results, "list the newest results")
    results.add_argument("--limit", type=positive_count, default=50, help="at most; default: 50")
    results.add_argument("--show-numbers", action="store_true", help="do not mask phone numbers")
    _add_filter(results)
    letters = commands.add_parser("dead-letters", help="results the panel refused for good")
    _add_dead_letters(letters.add_subparsers(required=True, metavar="command"))
    _add_callbacks(commands)
    erase = _command(commands, "erase", _erase, "forget a person: number and words of all results")
    erase.add_argument("number", help="the phone number, in any common form")
    return parser


def _command(
    commands: argparse._SubParsersAction[ArgumentParser], name: str, run: object, help_: str
) -> ArgumentParser:
    parser = commands.add_parser(name, help=help_, description=help_)
    parser.add_argument(
        "--address",
        default=argparse.SUPPRESS,  # one named before a deeper command holds for that, too
        help="gRPC address; default: this machine, REPORTER_PORT",
    )
    parser.set_defaults(run=run)
    return parser


def _add_dead_letters(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    listed = _command(commands, "list", _list_letters, "list them, newest first")
    listed.add_argument("--limit", type=positive_count, default=50, help="at most; default: 50")
    for name, run, help_ in (
        ("retry", _retry, "put them back into the queue"),
        ("discard", _discard, "drop them: the panel will never hear of them"),
    ):
        parser = _command(commands, name, run, help_)
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("attempts", nargs="*", default=[], metavar="ATTEMPT")
        which.add_argument("--all", action="store_true", help="all of them")


def _add_callbacks(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    help_ = "people who wanted an operator and got none, longest waiting first"
    listed = _command(commands, "callbacks", _list_callbacks, help_)
    listed.add_argument("--limit", type=positive_count, default=50, help="at most; default: 50")
    deeper = listed.add_subparsers(metavar="[command]", title="instead of listing them")
    done = _command(deeper, "done", _close_callbacks, "mark them as called back")
    done.add_argument("attempts", nargs="+", metavar="ATTEMPT", help="as listed")


def _add_filter(parser: ArgumentParser) -> None:
    which = parser.add_argument_group("which results; all conditions must hold")
    words = ", ".join(RESULT_WORDS.values())
    which.add_argument("--result", help=f"{words}, failed:<reason>", default="")
    which.add_argument("--line", help="our line", default="")
    which.add_argument("--source", choices=("panel", "static", "file", "inbound"), default="")
    which.add_argument("--direction", choices=sorted(_DIRECTIONS))
    which.add_argument("--number", help="the person's number, in any common form", default="")
    which.add_argument(
        "--delivery", choices=sorted(_DELIVERIES), help="how the panel's copy stands"
    )
    moment = f"{_MOMENT}, in TIMEZONE unless it has an offset"
    which.add_argument("--since", type=_moment, help=f"attempted then or later: {moment}")
    which.add_argument("--until", type=_moment, help="attempted before then")


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no {_MOMENT}") from error


def _filter(wanted: Namespace) -> reporter_pb2.ResultFilter:
    found = reporter_pb2.ResultFilter(
        result=wanted.result, line=wanted.line, source=wanted.source, number=wanted.number
    )
    if wanted.direction:
        found.direction = _DIRECTIONS[wanted.direction]
    if wanted.delivery:
        found.delivery = _DELIVERIES[wanted.delivery]
    for name in ("since", "until"):
        moment: datetime | None = getattr(wanted, name)
        if moment is not None:
            aware = moment if moment.tzinfo else moment.replace(tzinfo=own_zone())
            getattr(found, name).FromDatetime(aware)
    return found


def _export(wanted: Namespace, reporter: RemoteReporter) -> None:
    with output_file(wanted.output) as file:
        file.writelines(reporter.export(_FORMATS[wanted.format], _filter(wanted)))
        file.flush()


def _results(wanted: Namespace, reporter: RemoteReporter) -> None:
    found, more = reporter.results(_filter(wanted), wanted.limit)
    if not found:
        sys.stdout.write("no results\n")
        return
    sys.stdout.write(results_table(found, own_zone(), show_numbers=wanted.show_numbers))
    _say_more(len(found), more=more)


def _list_letters(wanted: Namespace, reporter: RemoteReporter) -> None:
    found, more = reporter.dead_letters(wanted.limit)
    if not found:
        sys.stdout.write("no dead letters\n")
        return
    sys.stdout.write(letters_table(found, own_zone()))
    _say_more(len(found), more=more)


def _retry(wanted: Namespace, reporter: RemoteReporter) -> None:
    retried = reporter.retry(wanted.attempts)
    sys.stdout.write(f"{retried} back in the queue{_strangers(wanted, retried)}\n")


def _discard(wanted: Namespace, reporter: RemoteReporter) -> None:
    discarded = reporter.discard(wanted.attempts)
    sys.stdout.write(f"{discarded} discarded{_strangers(wanted, discarded)}\n")


def _list_callbacks(wanted: Namespace, reporter: RemoteReporter) -> None:
    found, more = reporter.callbacks(wanted.limit)
    if not found:
        sys.stdout.write("nobody waits for a call\n")
        return
    sys.stdout.write(callbacks_table(found, own_zone()))
    _say_more(len(found), more=more, which="first")


def _close_callbacks(wanted: Namespace, reporter: RemoteReporter) -> None:
    closed = reporter.close_callbacks(wanted.attempts)
    strangers = _strangers(wanted, closed, "not waiting")
    sys.stdout.write(f"{closed} done{strangers}\n")


def _erase(wanted: Namespace, reporter: RemoteReporter) -> None:
    erased, waiting = reporter.erase(wanted.number)
    later = f", {waiting} will be once the panel has heard of them" if waiting else ""
    sys.stdout.write(f"results erased: {erased}{later}\n")


def _say_more(shown: int, *, more: bool, which: str = "newest") -> None:
    if more:
        sys.stdout.write(f"the {which} {shown} are shown, there are more: --limit\n")


def _strangers(wanted: Namespace, done: int, what: str = "are no dead letters") -> str:
    others = len(set(wanted.attempts)) - done
    return f", {others} of those named {what}" if others > 0 else ""
