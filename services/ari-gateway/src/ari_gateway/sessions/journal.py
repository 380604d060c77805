"""What a call has done so far, verb by verb, so that a successor can go on where it stopped.

A scenario is run again from its beginning by the gateway that takes a call over: every verb that
was finished answers from the journal at once, and the one that was under way is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


class ScenarioChanged(Exception):  # noqa: N818 - a state of the world
    """The journal tells of another scenario than the one that is run now."""


@dataclass(frozen=True)
class Step:
    """A finished verb.

    Attributes:
        verb: which.
        about: what it was done with, for example the prompt's name.
        result: what it gave, as text.
    """

    verb: str
    about: str = ""
    result: str = ""


class Journal:
    """The finished verbs of one call, in order.

    Attributes:
        taken_over: another gateway led this call before, and left it in the verb that comes next
            to be done; false again once that verb is finished.
    """

    def __init__(
        self, steps: Sequence[Step] = (), *, kept: Callable[[], None], taken_over: bool = False
    ) -> None:
        """Begin with what was done before; `kept` is told of every step that is added."""
        self._steps = list(steps)
        self._kept = kept
        self._next = 0
        self.taken_over = taken_over

    @property
    def steps(self) -> tuple[Step, ...]:
        """All finished verbs."""
        return tuple(self._steps)

    @property
    def position(self) -> int:
        """Number of the verb under way, the same when it is done again."""
        return self._next

    def result_of(self, verb: str, about: str = "") -> str | None:
        """Give what a verb gave when it was done before; None when it is to be done now.

        Raises:
            ScenarioChanged: another verb was done at this point.
        """
        if self._next == len(self._steps):
            return None
        step = self._steps[self._next]
        if (step.verb, step.about) != (verb, about):
            raise ScenarioChanged(f"{step.verb} {step.about} was done, not {verb} {about}")
        self._next += 1
        return step.result

    def done(self, verb: str, about: str = "", result: str = "") -> None:
        """Note that the verb under way is finished."""
        self._steps.append(Step(verb, about, result))
        self._next = len(self._steps)
        self.taken_over = False
        self._kept()
