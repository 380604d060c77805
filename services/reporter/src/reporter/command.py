"""`reporter export`: the running reporter's results as a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import grpc

from reporter.settings import ReporterSettings
from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.errors import EXIT_CANNOT_START, StartupError
from servicekit.settings import load_settings

_DEADLINE_S = 600.0
_FORMATS = {
    "csv": reporter_pb2.EXPORT_FORMAT_CSV,
    "json": reporter_pb2.EXPORT_FORMAT_JSON,
}


def run_command(arguments: Sequence[str]) -> int:
    """Run a command of the command line; give the exit status."""
    wanted = _parser().parse_args(arguments)
    try:
        address = wanted.address or _own_address()
        _export(address, _FORMATS[wanted.format], wanted.output)
    except StartupError as error:
        sys.stderr.write(f"reporter: {error}\n")
        return EXIT_CANNOT_START
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reporter", description="Without a command, runs the reporter service."
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    export = commands.add_parser("export", help="write all results of the running reporter")
    export.add_argument("--format", choices=sorted(_FORMATS), default="csv")
    export.add_argument("--output", type=Path, help="file to write; default: standard output")
    export.add_argument("--address", help="gRPC address; default: this machine, REPORTER_PORT")
    return parser


def _own_address() -> str:
    settings = load_settings(ReporterSettings)
    host = "127.0.0.1" if settings.bind_host in {"0.0.0.0", "::"} else settings.bind_host  # noqa: S104 - read, not bound
    return f"{host}:{settings.reporter_port}"


def _export(
    address: str, file_format: reporter_pb2.ExportFormat.ValueType, output: Path | None
) -> None:
    try:
        if output is None:
            _stream(address, file_format, sys.stdout.buffer)
            return
        # Half a file must never pass for a whole one.
        part = output.with_name(f"{output.name}.part")
        with part.open("wb") as file:
            _stream(address, file_format, file)
        part.replace(output)
    except OSError as error:
        raise StartupError(
            f"{output or 'standard output'} cannot be written ({error.strerror})"
        ) from error


def _stream(address: str, file_format: reporter_pb2.ExportFormat.ValueType, file: BinaryIO) -> None:
    request = reporter_pb2.ExportResultsRequest(format=file_format)
    with grpc.insecure_channel(address) as channel:
        stub = reporter_pb2_grpc.ReporterServiceStub(channel)
        try:
            answers = stub.ExportResults(request, timeout=_DEADLINE_S)
            file.writelines(answer.chunk for answer in answers)
            file.flush()
        except grpc.RpcError as error:
            code = str(error.code().name)
            raise StartupError(
                f"no reporter answers at {address} ({code}): start it, or name its --address"
            ) from error
