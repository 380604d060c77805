"""What all fakes share: the control endpoint, the record of requests, and the faults."""

from __future__ import annotations

import asyncio
import base64
import json
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.fakes.faults import Fault, FaultKind, answer_with

Handler = Callable[[Request], Awaitable[Response]]

_SHOWN_HEADERS = ("authorization", "gateway-token", "content-type", "idempotency-key")


@dataclass(frozen=True)
class Received:
    """One request as it came in.

    Attributes:
        headers: those that matter to these services, names in lower case.
        body: JSON parsed, anything else as text, or base64 where it is no text.
        fault: which fault met it; empty when it was served.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    fault: str


class Fake(ABC):
    """One fake service. `app` is the ASGI application.

    Attributes:
        received: what came in, oldest first.
        faults: what is to go wrong, in this order.
        open: cleared, it keeps every request waiting until it is set again.
        busy: requests being served now.
        peak: most requests that were served at once.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.faults: list[Fault] = []
        self.open = asyncio.Event()
        self.open.set()
        self.busy = 0
        self.peak = 0
        self.reset()
        routes = [
            Route(path, self._guarded(handler), methods=[method])
            for method, path, handler in self.routes()
        ]
        control = Route("/_control", self._control, methods=["GET", "POST", "DELETE"])
        record = Route("/_received", self._record, methods=["GET", "DELETE"])
        self.app = Starlette(routes=[control, record, *routes])

    @abstractmethod
    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns method, path and handler of each call the service offers."""

    @abstractmethod
    def reset(self) -> None:
        """Goes back to the beginning."""

    @abstractmethod
    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets what the fake lets set.

        Raises:
            ValueError: a value is not allowed.
        """

    def state(self) -> dict[str, Any]:
        """Returns what the fake wants to show of itself."""
        return {}

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns the refusal for lack of credit, in one of the service's forms."""
        raise ValueError(f"{type(self).__name__} has no refusal for credit ({variant!r})")

    def break_next(self, *faults: Fault) -> None:
        """Adds faults; each meets its requests before the next does."""
        self.faults.extend(faults)

    def _guarded(self, handler: Handler) -> Handler:
        async def serve(request: Request) -> Response:
            fault = self._next_fault()
            self.received.append(await _describe(request, fault))
            with self._counted():
                await self.open.wait()
                return await self._answer_or_fail(handler, request, fault)

        return serve

    async def _answer_or_fail(
        self, handler: Handler, request: Request, fault: Fault | None
    ) -> Response:
        if fault is not None:
            if fault.kind is FaultKind.NO_CREDIT:
                return self.refuse_for_credit(fault.variant)
            faulty = await answer_with(fault, request)
            if faulty is not None:
                return faulty
        return await handler(request)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.busy += 1
        self.peak = max(self.peak, self.busy)
        try:
            yield
        finally:
            self.busy -= 1

    def _next_fault(self) -> Fault | None:
        if not self.faults:
            return None
        fault = self.faults[0]
        if fault.times is not None:
            left = fault.times - 1
            self.faults[:1] = [replace(fault, times=left)] if left > 0 else []
        return fault

    async def _control(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.faults.clear()
            self.received.clear()
            self.peak = self.busy
            self.reset()
        elif request.method == "POST":
            try:
                wanted = json.loads(await request.body())
                if "faults" in wanted:
                    self.faults[:] = [Fault.parse(fault) for fault in wanted.pop("faults")]
                self.configure(wanted)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)
        faults = [asdict(fault) for fault in self.faults]
        load = {"busy": self.busy, "peak": self.peak}
        return JSONResponse({"faults": faults, **load, **self.state()})

    async def _record(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.received.clear()
        return JSONResponse([asdict(received) for received in self.received])


async def _describe(request: Request, fault: Fault | None) -> Received:
    headers = {name: value for name, value in request.headers.items() if name in _SHOWN_HEADERS}
    return Received(
        method=request.method,
        path=request.url.path,
        query=dict(request.query_params),
        headers=headers,
        body=_readable(await request.body(), headers.get("content-type", "")),
        fault="" if fault is None else fault.kind.value,
    )


def _readable(body: bytes, content_type: str) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii")
    if content_type.startswith("application/json"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def reject_unknown(wanted: dict[str, Any], *known: str) -> None:
    """Refuses settings a fake does not know, so that a misspelt one is noticed.

    Raises:
        ValueError: there is one; names it.
    """
    unknown = sorted(wanted.keys() - set(known))
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known: faults, {', '.join(known)}")
