"""The gateway's tests run on virtual time: seconds of ringing pass at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest

from gateway_support.virtual_time import VirtualTimeLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Give a loop that jumps over its waits, or a real one to tests that use sockets or files."""
    if item.get_closest_marker("real_time"):
        return {"real": asyncio.SelectorEventLoop}
    return {"virtual": VirtualTimeLoop}
