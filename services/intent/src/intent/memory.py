"""Remembers what the LLM said, so that the same words are not paid for again and again."""

from __future__ import annotations

from collections import OrderedDict

from intent.meaning import Language, Meaning
from servicekit.clock import Clock, SystemClock

Key = tuple[Language, str]
"""Language and normalised words of a reply."""

_MOST_ANSWERS = 2048
_KEPT_S = 3600.0  # a model that had a bad minute is not believed all day


class Memory:
    """Answers of one model. The oldest is forgotten where there is no room, each after an hour."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._answers: OrderedDict[Key, tuple[float, Meaning]] = OrderedDict()

    def recall(self, key: Key) -> Meaning | None:
        """Returns what was said of these words, if that is remembered."""
        since_s, meaning = self._answers.get(key, (0.0, None))
        if meaning is None:
            return None
        if self._clock.monotonic_s() - since_s >= _KEPT_S:
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return meaning

    def keep(self, key: Key, meaning: Meaning) -> None:
        """Remembers an answer."""
        self._answers[key] = (self._clock.monotonic_s(), meaning)
        self._answers.move_to_end(key)
        if len(self._answers) > _MOST_ANSWERS:
            self._answers.popitem(last=False)
