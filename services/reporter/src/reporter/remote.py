"""The running reporter, as the command line sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import grpc

from salehi.reporter.v1 import reporter_pb2, reporter_pb2_grpc
from servicekit.cli import channel_to, rpc_errors

_DEADLINE_S = 30.0
_EXPORT_DEADLINE_S = 600.0
_LARGEST_PAGE = 1000
_Row = TypeVar("_Row")


class RemoteReporter:
    """Asks a running reporter. Every method may raise StartupError: one line for the user."""

    def __init__(self, address: str, channel: grpc.Channel) -> None:
        self._address = address
        self._stub = reporter_pb2_grpc.ReporterServiceStub(channel)

    def export(
        self, file_format: reporter_pb2.ExportFormat.ValueType, wanted: reporter_pb2.ResultFilter
    ) -> Iterator[bytes]:
        """Give the chunks of an export."""
        request = reporter_pb2.ExportResultsRequest(format=file_format, filter=wanted)
        with rpc_errors("reporter", self._address):
            for answer in self._stub.ExportResults(request, timeout=_EXPORT_DEADLINE_S):
                yield answer.chunk

    def results(
        self, wanted: reporter_pb2.ResultFilter, limit: int
    ) -> tuple[list[reporter_pb2.ResultRecord], bool]:
        """Give the newest results, and whether there are more."""

        def page(size: int, token: str) -> tuple[Iterable[reporter_pb2.ResultRecord], str]:
            request = reporter_pb2.ListResultsRequest(
                page_size=size, page_token=token, filter=wanted
            )
            with rpc_errors("reporter", self._address):
                answer = self._stub.ListResults(request, timeout=_DEADLINE_S)
            return answer.results, answer.next_page_token

        return _pages(page, limit)

    def dead_letters(self, limit: int) -> tuple[list[reporter_pb2.DeadLetter], bool]:
        """Give the newest dead letters, and whether there are more."""

        def page(size: int, token: str) -> tuple[Iterable[reporter_pb2.DeadLetter], str]:
            request = reporter_pb2.ListDeadLettersRequest(page_size=size, page_token=token)
            with rpc_errors("reporter", self._address):
                answer = self._stub.ListDeadLetters(request, timeout=_DEADLINE_S)
            return answer.dead_letters, answer.next_page_token

        return _pages(page, limit)

    def retry(self, attempt_ids: list[str]) -> int:
        """Put dead letters back into the queue, all when none is named; give how many."""
        request = reporter_pb2.RetryDeadLettersRequest(attempt_ids=attempt_ids)
        with rpc_errors("reporter", self._address):
            return int(self._stub.RetryDeadLetters(request, timeout=_DEADLINE_S).retried)

    def discard(self, attempt_ids: list[str]) -> int:
        """Drop dead letters, all when none is named; give how many."""
        request = reporter_pb2.DiscardDeadLettersRequest(
            attempt_ids=attempt_ids, all=not attempt_ids
        )
        with rpc_errors("reporter", self._address):
            return int(self._stub.DiscardDeadLetters(request, timeout=_DEADLINE_S).discarded)

    def erase(self, number: str) -> tuple[int, int]:
        """Erase a person; give how many results are erased, and how many wait."""
        request = reporter_pb2.ErasePersonRequest(number=number)
        with rpc_errors("reporter", self._address):
            answer = self._stub.ErasePerson(request, timeout=_DEADLINE_S)
        return answer.erased, answer.waiting

    def callbacks(self, limit: int) -> tuple[list[reporter_pb2.Callback], bool]:
        """Give the people who have waited for a call the longest, and whether there are more."""

        def page(size: int, token: str) -> tuple[Iterable[reporter_pb2.Callback], str]:
            request = reporter_pb2.ListCallbacksRequest(page_size=size, page_token=token)
            with rpc_errors("reporter", self._address):
                answer = self._stub.ListCallbacks(request, timeout=_DEADLINE_S)
            return answer.callbacks, answer.next_page_token

        return _pages(page, limit)

    def close_callbacks(self, attempt_ids: list[str]) -> int:
        """Mark callbacks as done; give how many were waiting."""
        request = reporter_pb2.CloseCallbacksRequest(attempt_ids=attempt_ids)
        with rpc_errors("reporter", self._address):
            return int(self._stub.CloseCallbacks(request, timeout=_DEADLINE_S).closed)


def _pages(
    page: Callable[[int, str], tuple[Iterable[_Row], str]], limit: int
) -> tuple[list[_Row], bool]:
    """Collect pages up to a limit; give also whether there are more."""
    found: list[_Row] = []
    token = ""
    while True:
        rows, token = page(min(limit - len(found), _LARGEST_PAGE), token)
        found += rows
        if not token or len(found) >= limit:
            return found, bool(token)


@contextmanager
def connected(address: str) -> Iterator[RemoteReporter]:
    """Talk to the reporter at an address during the block."""
    with channel_to(address) as channel:
        yield RemoteReporter(address, channel)
