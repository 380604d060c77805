"""The gateway's tests run on virtual time: seconds of ringing pass at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from asyncio import AbstractEventLoop

from gateway_support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Give every test of this folder a loop that jumps over its waits."""
    return {"virtual": VirtualTimeLoop}
