"""Dialing no faster than operators can take over: OPERATOR_SLOTS.

Every call under way may come to an operator, with a likelihood learned from the latest attempts:
one for calls nobody has answered yet, another for those that were. The sum, with the calls that are
with an operator already, is kept within the slots.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dialer.tables import IS_OPEN, AttemptState, Stage, attempts, other_calls

_SAMPLE_SIZE = 200
# As if so many calls before the first had all come to an operator: begin carefully.
_CAUTION = 2

# Built once: building statements costs more than running them.
_UNDER_WAY = union_all(
    select(attempts.c.stage, func.count()).where(IS_OPEN).group_by(attempts.c.stage),
    select(other_calls.c.stage, func.count()).group_by(other_calls.c.stage),
)
_SAMPLE = (
    select(attempts.c.stage)
    .where(attempts.c.state == AttemptState.ENDED)
    .order_by(attempts.c.ended_at_ms.desc())
    .limit(_SAMPLE_SIZE)
    .subquery()
)
_ENDED = select(_SAMPLE.c.stage, func.count()).group_by(_SAMPLE.c.stage)


@dataclass(frozen=True)
class OperatorLoad:
    """Operators against calls that need one, or may.

    Attributes:
        slots: operators there are.
        busy: calls that ring at or talk with an operator.
        answered: calls under way that were answered and are undecided.
        dialing: calls under way that nobody has answered yet.
        share_of_dialed: how many of the latest attempts came to an operator, 0 to 1.
        share_of_answered: how many of those among them that were answered did, 0 to 1.
    """

    slots: int
    busy: int
    answered: int
    dialing: int
    share_of_dialed: float
    share_of_answered: float

    @property
    def expected(self) -> float:
        """How many operators the calls under way are expected to need."""
        return (
            self.busy + self.answered * self.share_of_answered + self.dialing * self.share_of_dialed
        )

    @property
    def has_room(self) -> bool:
        """Whether one more call may be dialled."""
        return self.expected + self.share_of_dialed <= self.slots


async def read_operator_load(connection: AsyncConnection, slots: int) -> OperatorLoad:
    """Read how operators are loaded, and what the latest attempts came to."""
    under_way: dict[int, int] = {}
    for stage, count in await connection.execute(_UNDER_WAY):
        under_way[stage] = under_way.get(stage, 0) + count
    ended: dict[int, int] = dict((await connection.execute(_ENDED)).all())
    came_to_operator = ended.get(Stage.WITH_OPERATOR, 0)
    return OperatorLoad(
        slots=slots,
        busy=under_way.get(Stage.WITH_OPERATOR, 0),
        answered=under_way.get(Stage.ANSWERED, 0),
        dialing=under_way.get(Stage.DIALING, 0),
        share_of_dialed=_share(came_to_operator, sum(ended.values())),
        share_of_answered=_share(came_to_operator, came_to_operator + ended.get(Stage.ANSWERED, 0)),
    )


def _share(part: int, whole: int) -> float:
    return (part + _CAUTION) / (whole + _CAUTION)
