"""The command line: the switch, contacts, attempts and the do-not-call list of a running dialer."""

from __future__ import annotations

import argparse
import csv
import getpass
import io
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path

from dialer.remote import RemoteDialer, connected
from dialer.settings import DialerSettings
from dialer.views import attempts_table, pauses_table, rejected_text, status_text
from salehi.dialer.v1 import dialer_pb2
from servicekit.cli import (
    escape_formula,
    output_file,
    own_address,
    own_zone,
    positive_count,
    printable,
    run_errand,
    shown_moment,
    shown_number,
)

_KINDS = {"manual": dialer_pb2.PAUSE_KIND_MANUAL, "breaker": dialer_pb2.PAUSE_KIND_BREAKER}
_NOT_ALL_DONE = 1


def run_command(arguments: Sequence[str]) -> int:
    """Run a command of the command line; give the exit status."""
    wanted = _parser().parse_args(arguments)

    def errand() -> int:
        with connected(wanted.address or own_address(DialerSettings, "dialer_port")) as dialer:
            run: Callable[[Namespace, RemoteDialer], int | None] = wanted.run
            return run(wanted, dialer) or 0

    return run_errand("dialer", errand)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="dialer", description="Without a command, runs the dialer service."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    _command(commands, "status", _status, "show how the campaign stands")
    _add_switch(commands)
    imported = _command(commands, "import", _import, "add the contacts of a CSV file")
    imported.add_argument("file", type=Path)
    attempts = _command(commands, "attempts", _attempts, "list the newest attempts")
    attempts.add_argument("--open", action="store_true", help="only those under way")
    attempts.add_argument("--limit", type=positive_count, default=50, help="at most; default: 50")
    _add_show_numbers(attempts)
    listed = commands.add_parser("do-not-call", help="who must not be called")
    _add_do_not_call(listed.add_subparsers(required=True, metavar="command"))
    erase = _command(commands, "erase", _erase, "forget a person: contacts and attempts")
    erase.add_argument("number", help="the phone number, in any common form")
    erase.add_argument(
        "--forget-do-not-call", action="store_true", help="also take it off the do-not-call list"
    )
    return parser


def _add_switch(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    pause = _command(commands, "pause", _pause, "hold dialing back; calls under way go on")
    stop = _command(commands, "stop", _stop, "stop dialing, and end all calls not yet answered")
    stop.add_argument("--end-answered", action="store_true", help="end the answered calls too")
    for parser in (pause, stop):
        parser.add_argument("--reason", required=True, help="why, for whoever looks next")
    resume = _command(commands, "resume", _resume, "lift a pause or stop")
    resume.add_argument("--kind", choices=sorted(_KINDS), help="only this pause; default: both")
    resume.add_argument(
        "--trial-calls",
        type=positive_count,
        default=0,
        metavar="N",
        help="leave the breaker's pause in force, but let N calls be dialled",
    )
    for parser in (pause, stop, resume):
        parser.add_argument("--by", default=_user(), help="who asks; default: the user's name")


def _add_do_not_call(commands: argparse._SubParsersAction[ArgumentParser]) -> None:
    add = _command(commands, "add", _add, "put numbers on the list")
    remove = _command(commands, "remove", _remove, "take numbers off the list")
    for parser in (add, remove):
        parser.add_argument("numbers", nargs="+", metavar="NUMBER", help="in any common form")
    _add_show_numbers(_command(commands, "list", _list, "show the list"))
    imported = _command(commands, "import", _import_list, "put the numbers of a CSV file on it")
    imported.add_argument("file", type=Path)
    for parser in (add, imported):
        parser.add_argument("--reason", default="", help="why they are on it")
    export = _command(commands, "export", _export, "write the list as CSV, numbers in full")
    export.add_argument("--output", type=Path, help="file to write; default: standard output")


def _command(
    commands: argparse._SubParsersAction[ArgumentParser],
    name: str,
    run: Callable[[Namespace, RemoteDialer], int | None],
    help_: str,
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(name, help=help_, description=help_)
    parser.add_argument("--address", help="gRPC address; default: this machine, DIALER_PORT")
    parser.set_defaults(run=run)
    return parser


def _add_show_numbers(parser: ArgumentParser) -> None:
    parser.add_argument("--show-numbers", action="store_true", help="do not mask phone numbers")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return ""


def _status(_wanted: Namespace, dialer: RemoteDialer) -> None:
    sys.stdout.write(status_text(dialer.status(), own_zone()))


def _pause(wanted: Namespace, dialer: RemoteDialer) -> None:
    dialer.pause(wanted.reason, wanted.by)
    sys.stdout.write("paused: no new calls; those under way go on\n")


def _resume(wanted: Namespace, dialer: RemoteDialer) -> None:
    kind = wanted.kind or ("breaker" if wanted.trial_calls else None)
    request = dialer_pb2.ResumeRequest(by=wanted.by, trial_calls=wanted.trial_calls)
    if kind is not None:
        request.kind = _KINDS[kind]
    remaining = dialer.resume(request)
    if wanted.trial_calls and not any(pause.trial_calls for pause in remaining):
        sys.stdout.write("the breaker does not hold dialing back: no trial calls are needed\n")
    if not remaining:
        sys.stdout.write("no pause is left\n")
        return
    sys.stdout.write(f"still paused\n\n{pauses_table(remaining, own_zone())}")


def _stop(wanted: Namespace, dialer: RemoteDialer) -> int:
    stopped = dialer.stop(wanted.reason, wanted.by, end_answered=wanted.end_answered)
    sys.stdout.write(f"stopped: no new calls; calls ended: {stopped.calls_ended}\n")
    if stopped.gateway_reached:
        return 0
    sys.stdout.write(
        "the gateway did not answer: calls may still ring; the dialer goes on trying to end them\n"
    )
    return _NOT_ALL_DONE


def _import(wanted: Namespace, dialer: RemoteDialer) -> None:
    report = dialer.import_contacts(wanted.file)
    sys.stdout.write(f"accepted {report.accepted:,}, rejected {report.rejected_count:,}\n")
    sys.stdout.write(rejected_text(report.rejected, report.rejected_count))


def _attempts(wanted: Namespace, dialer: RemoteDialer) -> None:
    found, more = dialer.attempts(wanted.limit, open_only=wanted.open)
    if not found:
        sys.stdout.write("no attempts\n")
        return
    sys.stdout.write(attempts_table(found, own_zone(), show_numbers=wanted.show_numbers))
    if more:
        sys.stdout.write(f"the newest {len(found)} are shown, there are more: --limit\n")


def _add(wanted: Namespace, dialer: RemoteDialer) -> None:
    added = dialer.add_do_not_call(wanted.numbers, wanted.reason)
    sys.stdout.write(f"{added:,} added\n")


def _remove(wanted: Namespace, dialer: RemoteDialer) -> None:
    sys.stdout.write(f"{dialer.remove_do_not_call(wanted.numbers):,} removed\n")


def _list(wanted: Namespace, dialer: RemoteDialer) -> None:
    """Show the list as it comes: it may be long."""
    zone, form = own_zone(), "{:<16}  {:<19}  {}\n"
    sys.stdout.write(form.format("NUMBER", "SINCE", "REASON"))
    for entry in dialer.do_not_call():
        number = shown_number(entry.number, show=wanted.show_numbers)
        since = shown_moment(entry.since, zone)
        sys.stdout.write(form.format(number, since, printable(entry.reason) or "-"))


def _import_list(wanted: Namespace, dialer: RemoteDialer) -> None:
    report = dialer.import_do_not_call(wanted.file, wanted.reason)
    sys.stdout.write(
        f"added {report.added:,}, known {report.known:,}, rejected {report.rejected_count:,}\n"
    )
    sys.stdout.write(rejected_text(report.rejected, report.rejected_count))


def _export(wanted: Namespace, dialer: RemoteDialer) -> None:
    with output_file(wanted.output) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(("number", "reason", "since"))
        for entry in dialer.do_not_call():
            since = entry.since.ToDatetime(tzinfo=UTC).isoformat(timespec="seconds")
            writer.writerow((entry.number, escape_formula(entry.reason), since))
        text.detach()  # the file is not ours to close


def _erase(wanted: Namespace, dialer: RemoteDialer) -> None:
    erased = dialer.erase(wanted.number, forget_do_not_call=wanted.forget_do_not_call)
    listed = "is" if erased.on_do_not_call else "is not"
    sys.stdout.write(
        f"contacts erased: {erased.contacts}, attempts: {erased.attempts}; "
        f"the number {listed} on the do-not-call list\n"
        "results are the reporter's: reporter erase NUMBER\n"
    )
