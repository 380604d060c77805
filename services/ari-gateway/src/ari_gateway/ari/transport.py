"""How a request travels to Asterisk: what is asked, what is answered, and who carries it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Request:
    """One request.

    Attributes:
        path: below the REST interface, quoted, with a leading slash; a query belongs to it.
        content: JSON; None for none.
        timeout_s: longest wait for the answer, seconds.
        sent_within_s: seconds after which it must not leave any more; None: no such limit.
        apart: it may hold up whatever follows on the same connection, or its answer is large.
    """

    method: str
    path: str
    content: bytes | None
    timeout_s: float
    sent_within_s: float | None = None
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What Asterisk said.

    Attributes:
        reason: the words beside the status.
        content: the body; JSON unless the status is a refusal and `is_json` is false.
    """

    status: int
    reason: str
    content: bytes
    is_json: bool

    @property
    def is_success(self) -> bool:
        """Whether the request was granted."""
        return 200 <= self.status < 300


def basic(username: str, password: str) -> str:
    """Give the value of the Authorization header."""
    token = base64.b64encode(f"{username}:{password}".encode()).decode()
    return f"Basic {token}"


class Transport(Protocol):
    """Carries requests."""

    async def send(self, request: Request) -> Answer:
        """Send one request once and give its answer, whatever its status.

        Raises:
            AriNotSent: it never left.
            AriUnavailable: no answer came; what became of the request is unknown.
        """
        ...

    async def close(self) -> None:
        """Let go of what requests travel on."""
        ...
