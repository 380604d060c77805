"""A panel as a real HTTP server on loopback, whose answers a test sets."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
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
