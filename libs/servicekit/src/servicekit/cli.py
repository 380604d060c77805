"""What the services' command lines share: where a running service is, tables, files, errors."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo

import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from pydantic import create_model

from servicekit.errors import EXIT_CANNOT_START, StartupError
from servicekit.pii import mask_number
from servicekit.settings import ServiceSettings, load_settings
from servicekit.tls import Renewal, channel_credentials

_ANY_HOST = frozenset({"0.0.0.0", "::"})  # noqa: S104 - read, not bound
_REFUSALS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.NOT_FOUND,
    }
)
# What makes a spreadsheet read a cell as a formula (OWASP, "CSV injection"), full-width forms too.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def run_errand(service: str, errand: Callable[[], int]) -> int:
    """Run a command; give its exit status, or 3 with one line per problem on stderr."""
    try:
        status = errand()
        sys.stdout.flush()
    except StartupError as error:
        sys.stderr.writelines(f"{service}: {line}\n" for line in str(error).splitlines())
        return EXIT_CANNOT_START
    except BrokenPipeError:
        # Whoever read our output (`| head`) has seen enough; nothing more may be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def positive_count(text: str) -> int:
    """Read how many, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ArgumentTypeError(f"{text!r} is no count from 1 up")
    return int(text)


def own_address(settings_class: type[ServiceSettings], port_field: str) -> str:
    """Give the gRPC address of the service on this machine.

    Only its host and port are read, so that a mistake in another setting does not keep anybody
    from a running service.

    Raises:
        StartupError: the port is not allowed.
    """
    field = settings_class.model_fields[port_field]
    port: dict[str, Any] = {port_field: (int, field)}
    where = create_model("Where", __base__=ServiceSettings, **port)
    settings = load_settings(where)
    host = "127.0.0.1" if settings.bind_host in _ANY_HOST else settings.bind_host
    return f"{host}:{getattr(settings, port_field)}"


def own_zone() -> ZoneInfo:
    """Give the time zone people here read the clock in: TIMEZONE."""
    return ZoneInfo(load_settings(ServiceSettings).timezone)


@contextmanager
def channel_to(address: str) -> Iterator[grpc.Channel]:
    """Connect a command to a running service, with the services' TLS where that is set.

    Raises:
        StartupError: the TLS files cannot be used.
    """
    tls = load_settings(ServiceSettings).tls
    if tls is None:
        with grpc.insecure_channel(address) as channel:
            yield channel
        return
    # Certificates are made out for names; a service on this machine has that of the machine.
    here = address.startswith(("127.", "[::1]"))
    options = [("grpc.ssl_target_name_override", "localhost")] if here else []
    credentials = channel_credentials(Renewal(tls).pems)
    with grpc.secure_channel(address, credentials, options=options) as channel:
        yield channel


@contextmanager
def rpc_errors(service: str, address: str) -> Iterator[None]:
    """Say in one line why a service did not do what it was asked.

    Raises:
        StartupError: the call failed.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise StartupError(_explain(service, address, error)) from error


def _explain(service: str, address: str, error: grpc.RpcError) -> str:
    code, details = error.code(), str(error.details() or "")
    if code in _REFUSALS:
        return details
    if code is grpc.StatusCode.UNAVAILABLE and details.startswith("the database"):
        return f"the {service} at {address} answers: {details}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"the {service} at {address} did not answer in time: try again"
    return f"no {service} answers at {address} ({code.name}): start it, or name its --address"


@contextmanager
def output_file(path: Path | None) -> Iterator[BinaryIO]:
    """Give where a command writes: standard output, or a file that is whole or not there.

    Raises:
        StartupError: it cannot be written.
    """
    try:
        if path is None:
            yield sys.stdout.buffer
            return
        part = path.with_name(f"{path.name}.part")
        with part.open("wb") as file:
            yield file
        part.replace(path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StartupError(
            f"{path or 'standard output'} cannot be written ({error.strerror})"
        ) from error


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Align cells in columns; what could move the terminal's cursor is left out."""
    cells = [header, *([printable(cell) or "-" for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
    return "".join(f"{line}\n" for line in lines)


def printable(text: str) -> str:
    """Leave out what could move the terminal's cursor."""
    return "".join(character for character in text if character.isprintable())


def shown_moment(stamp: Timestamp, zone: tzinfo) -> str:
    """Give a moment as people read it; nothing for one that never came."""
    if not (stamp.seconds or stamp.nanos):
        return ""
    return stamp.ToDatetime(tzinfo=UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")


def shown_number(number: str, *, show: bool) -> str:
    """Give a phone number, masked unless it may be shown."""
    return number if show or not number else mask_number(number)


def escape_formula(text: str) -> str:
    """Keep a spreadsheet from running a cell: what starts like a formula gets a leading quote."""
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
