from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest

from lab.fakes.base import Fake
from lab.fakes.serving import serving

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes longer than a test
Connect = Callable[[Fake], Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Serves a fake on a free port and gives a client for it."""
    async with AsyncExitStack() as stack:

        async def client_of(fake: Fake) -> httpx.AsyncClient:
            url = await stack.enter_async_context(serving(fake))
            client = httpx.AsyncClient(base_url=url, timeout=5.0, verify=NO_TLS)
            return await stack.enter_async_context(client)

        yield client_of
