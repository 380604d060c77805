"""HTTP to an Asterisk that is a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ari_gateway.ari.transport import Answer, Request


@dataclass(frozen=True)
class OverHttp:
    """Carries requests to `serve`."""

    serve: Callable[[Request], Answer]

    async def send(self, request: Request) -> Answer:
        """Have one request answered."""
        return self.serve(request)

    async def close(self) -> None:
        """Let go of nothing."""
