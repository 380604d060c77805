"""A panel that counts what it accepts, and is as unreliable as a test wants."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from reporter_support.web import Answer, Request, WebServer

OK = Answer(200, b'{"ok": true}', {"Content-Type": "application/json"})
LOST_AFTER_ACCEPTING = Answer(lost=True)


class FakePanel:
    """Accepts reports; `plan` says what to answer first, one entry per request.

    A lost answer (and one that is broken on the way) was accepted all the same: the panel cannot
    know that its answer got lost.

    Attributes:
        accepted: bodies it took, per Idempotency-Key, repeats included.
        order: per number id, the keys in the order of their first acceptance.
    """

    def __init__(self, plan: Iterable[Answer] = ()) -> None:
        self._plan: Iterator[Answer] = iter(plan)
        self.accepted: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.order: dict[int, list[str]] = defaultdict(list)
        self.tries: Counter[str] = Counter()
        self.server = WebServer(self._answer)

    def plan(self, answers: Iterable[Answer]) -> None:
        """Answer so from now on, then accept."""
        self._plan = iter(answers)

    def _answer(self, request: Request) -> Answer:
        key = request.headers["idempotency-key"]
        self.tries[key] += 1
        answer = next(self._plan, OK)
        if answer.lost or 200 <= answer.status < 300:
            body = json.loads(request.body)
            if key not in self.accepted:
                self.order[body["number_id"]].append(key)
            self.accepted[key].append(body)
        return answer
