"""The running dialer, as the command line sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import grpc

from salehi.dialer.v1 import dialer_pb2, dialer_pb2_grpc
from servicekit.cli import channel_to, rpc_errors
from servicekit.errors import StartupError

_DEADLINE_S = 30.0
_FILE_DEADLINE_S = 600.0
_LARGEST_PAGE = 1000
_CHUNK_BYTES = 65_536


class RemoteDialer:
    """Asks a running dialer. Every method may raise StartupError: one line for the user."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self._address = address
        self._stub = dialer_pb2_grpc.DialerServiceStub(channel)

    def status(self) -> dialer_pb2.GetStatusResponse:
        """Tell how the campaign stands."""
        with self._errors():
            return self._stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=_DEADLINE_S)

    def pause(self, reason: str, by: str) -> None:
        """Hold dialing back."""
        request = dialer_pb2.PauseRequest(reason=reason, by=by)
        with self._errors():
            self._stub.Pause(request, timeout=_DEADLINE_S)

    def resume(self, request: dialer_pb2.ResumeRequest) -> list[dialer_pb2.PauseReason]:
        """Lift pauses, or allow trial calls; give the pauses that are left."""
        with self._errors():
            return list(self._stub.Resume(request, timeout=_DEADLINE_S).remaining)

    def stop(self, reason: str, by: str, *, end_answered: bool) -> dialer_pb2.EmergencyStopResponse:
        """Stop dialing and end calls."""
        request = dialer_pb2.EmergencyStopRequest(reason=reason, by=by, end_answered=end_answered)
        with self._errors():
            return self._stub.EmergencyStop(request, timeout=_DEADLINE_S)

    def import_contacts(self, path: Path) -> dialer_pb2.ImportContactsResponse:
        """Add the contacts of a CSV file."""
        requests = (dialer_pb2.ImportContactsRequest(csv=chunk) for chunk in _chunks(path))
        with self._errors():
            return self._stub.ImportContacts(requests, timeout=_FILE_DEADLINE_S)

    def attempts(self, limit: int, *, open_only: bool) -> tuple[list[dialer_pb2.Attempt], bool]:
        """Give the newest attempts, and whether there are more."""
        found: list[dialer_pb2.Attempt] = []
        token = ""
        while True:
            size = min(limit - len(found), _LARGEST_PAGE)
            request = dialer_pb2.ListAttemptsRequest(
                page_size=size, page_token=token, open_only=open_only
            )
            with self._errors():
                page = self._stub.ListAttempts(request, timeout=_DEADLINE_S)
            found += page.attempts
            token = page.next_page_token
            if not token or len(found) >= limit:
                return found, bool(token)

    def add_do_not_call(self, numbers: list[str], reason: str) -> int:
        """Put numbers on the do-not-call list; give how many were not on it."""
        request = dialer_pb2.AddDoNotCallRequest(numbers=numbers, reason=reason)
        with self._errors():
            return int(self._stub.AddDoNotCall(request, timeout=_DEADLINE_S).added)

    def remove_do_not_call(self, numbers: list[str]) -> int:
        """Take numbers off the do-not-call list; give how many were on it."""
        request = dialer_pb2.RemoveDoNotCallRequest(numbers=numbers)
        with self._errors():
            return int(self._stub.RemoveDoNotCall(request, timeout=_DEADLINE_S).removed)

    def do_not_call(self) -> Iterator[dialer_pb2.ListDoNotCallResponse]:
        """Give the whole do-not-call list."""
        request = dialer_pb2.ListDoNotCallRequest()
        with self._errors():
            yield from self._stub.ListDoNotCall(request, timeout=_FILE_DEADLINE_S)

    def import_do_not_call(self, path: Path, reason: str) -> dialer_pb2.ImportDoNotCallResponse:
        """Put the numbers of a CSV file on the do-not-call list."""
        requests = (
            dialer_pb2.ImportDoNotCallRequest(csv=chunk, reason=reason) for chunk in _chunks(path)
        )
        with self._errors():
            return self._stub.ImportDoNotCall(requests, timeout=_FILE_DEADLINE_S)

    def erase(self, number: str, *, forget_do_not_call: bool) -> dialer_pb2.ErasePersonResponse:
        """Erase what is kept about one person."""
        request = dialer_pb2.ErasePersonRequest(
            number=number, forget_do_not_call=forget_do_not_call
        )
        with self._errors():
            return self._stub.ErasePerson(request, timeout=_DEADLINE_S)

    def _errors(self) -> AbstractContextManager[None]:
        return rpc_errors("dialer", self._address)


@contextmanager
def connected(address: str) -> Iterator[RemoteDialer]:
    """Talk to the dialer at an address during the block."""
    with channel_to(address) as channel:
        yield RemoteDialer(address, channel)


def _chunks(path: Path) -> Iterator[bytes]:
    """Give a file in pieces.

    Raises:
        StartupError: it cannot be read; at once, not when the first piece is asked for.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise StartupError(f"{path} cannot be read ({error.strerror})") from error

    def pieces() -> Iterator[bytes]:
        with closing(file):
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk

    return pieces()
