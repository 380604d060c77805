"""A live call as it is kept on record: enough for another process to go on with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from ari_gateway.sessions.journal import Step
from ari_gateway.sessions.plan import CallPlan
from ari_gateway.sessions.record import Record


class NotReadable(Exception):  # noqa: N818 - a state of the world
    """A saved call was written by a version of the engine that this one does not understand."""


@dataclass(frozen=True)
class SavedCall:
    """A call's plan, what was seen of it, and what it has done."""

    plan: CallPlan
    record: Record = field(default_factory=Record)
    steps: tuple[Step, ...] = ()

    def to_bytes(self) -> bytes:
        """Give it as JSON; personal data."""
        return _ADAPTER.dump_json(self)

    @classmethod
    def from_bytes(cls, saved: bytes) -> SavedCall:
        """Read it.

        Raises:
            NotReadable: it is not what this version writes.
        """
        try:
            return _ADAPTER.validate_json(saved)
        except ValidationError as error:
            # The error quotes its input, which is personal data.
            raise NotReadable(f"{error.error_count()} fields are not understood") from None


_ADAPTER = TypeAdapter(SavedCall)
