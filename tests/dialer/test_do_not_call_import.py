from __future__ import annotations

import csv
from pathlib import Path

import grpc
import pytest
from grpc import aio

from dialer_support.served import Stub
from salehi.dialer.v1 import dialer_pb2


def rows_named_in(directory: Path) -> list[str]:
    """Give the rows named in the list of rejected ones; there is one, as the clock stands still."""
    [path] = directory.glob("do-not-call-*-rejected.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return [row["row"] for row in csv.DictReader(file)]


async def test_a_file_of_numbers_is_put_on_the_list(stub: Stub, tmp_path: Path) -> None:
    """Any valid number of any form is listed once; rows without one are named, none is lost."""
    raw = 'mobile\n09120000001\nx\n+98 21 8888 8888\n۰۹۱۲۰۰۰۰۰۰۱\n"\n7'.encode()

    async def send(reason: str) -> dialer_pb2.ImportDoNotCallResponse:
        requests = [dialer_pb2.ImportDoNotCallRequest(csv=raw[:20], reason=reason)]
        requests += [dialer_pb2.ImportDoNotCallRequest(csv=raw[20:], reason="of a later chunk")]
        return await stub.ImportDoNotCall(iter(requests), timeout=10)

    first = await send(" the register ")
    assert (first.added, first.known, first.rejected_count) == (2, 1, 3)
    assert [bad.row for bad in first.rejected] == [3, 6, 7]
    again = await send("again")
    assert (again.added, again.known) == (0, 3)
    listing = stub.ListDoNotCall(dialer_pb2.ListDoNotCallRequest(), timeout=5)
    entries = {entry.number: entry.reason async for entry in listing}
    assert entries == {"+989120000001": "the register", "+982188888888": "the register"}
    assert rows_named_in(tmp_path) == ["3", "6", "7"]
    for no_csv in ([b"\xff\xfe"], [b"name,city\nA,B\n"]):
        requests = (dialer_pb2.ImportDoNotCallRequest(csv=part) for part in no_csv)
        with pytest.raises(aio.AioRpcError) as error:
            await stub.ImportDoNotCall(requests, timeout=5)
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_empty_file_lists_nobody(stub: Stub) -> None:
    """A file without any chunk, or with an empty one, is taken and adds nothing."""
    for requests in ([], [dialer_pb2.ImportDoNotCallRequest(reason="x")]):
        answer = await stub.ImportDoNotCall(iter(requests), timeout=5)
        assert answer == dialer_pb2.ImportDoNotCallResponse()
