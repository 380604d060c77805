"""A panel as a real HTTP server on loopback, whose answers a test sets."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "a-token"


class FakePanel:
    """Answers next-batch with `answers` in turn, then with a refusal; keeps the queries."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes]] = []
        self.queries: list[dict[str, list[str]]] = []
        self.paths: list[str] = []
        self.tokens: list[str] = []
        self.url = ""

    def will_answer(self, body: Any, status: int = 200) -> None:
        """Give this answer next."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers.append((status, raw))

    def take(self, path: str, token: str) -> tuple[int, bytes]:
        """Take one request."""
        parts = urlsplit(path)
        self.paths.append(parts.path)
        self.queries.append(parse_qs(parts.query))
        self.tokens.append(token)
        if self.answers:
            return self.answers.pop(0)
        return 200, json.dumps(blocked("disabled", 3600)).encode()


class EndlessPanel(FakePanel):
    """Hands out the same people again and again, and behaves now and then as panels do.

    Attributes:
        batches: numbers handed out, as written, by batch and number id.
    """

    def __init__(self, dice: random.Random, people: Sequence[str]) -> None:
        super().__init__()
        self._dice = dice
        self._people = people
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self.batches: dict[str, dict[int, str]] = {}

    def take(self, path: str, token: str) -> tuple[int, bytes]:
        """Hand out a new batch; or an old one again, or fail, or refuse for a second."""
        with self._lock:
            roll = self._dice.random()
            if roll < 0.04:
                return 500, b"<html>"
            if roll < 0.06:
                self.will_answer(blocked("holiday", 1))
            else:
                repeat = self.batches and roll < 0.1
                batch_id = self._dice.choice(list(self.batches)) if repeat else self._new_batch()
                self.will_answer(allowed(batch_id, *self.batches[batch_id].items()))
            return super().take(path, token)

    def _new_batch(self) -> str:
        batch_id = f"b{len(self.batches) + 1}"
        texts = [*self._dice.sample(self._people, 8), *self._dice.choices(["0912", ""], k=1)]
        numbers = texts if self._dice.random() < 0.2 else texts[:-1]
        self.batches[batch_id] = {next(self._ids): text for text in numbers}
        return batch_id


def allowed(batch_id: str, *numbers: tuple[int, str], **more: Any) -> dict[str, Any]:
    """Make an answer that hands out numbers."""
    return {
        "call_allowed": True,
        "timezone": "Asia/Tehran",
        "server_time": "2026-05-04T12:00:00+03:30",
        "schedule_version": 3,
        "reason": None,
        "retry_after_seconds": None,
        "batch": {
            "batch_id": batch_id,
            "size_requested": 10,
            "size_returned": len(numbers),
            "numbers": [{"id": key, "phone_number": text} for key, text in numbers],
        },
        **more,
    }


def blocked(reason: str, retry_after_s: int | None) -> dict[str, Any]:
    """Make an answer that allows no calls."""
    return {
        "call_allowed": False,
        "timezone": "Asia/Tehran",
        "schedule_version": 3,
        "reason": reason,
        "retry_after_seconds": retry_after_s,
    }


@contextlib.contextmanager
def served(fake: FakePanel) -> Iterator[str]:
    """Serve the panel; give its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = fake.take(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield fake.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
