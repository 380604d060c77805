from __future__ import annotations

from intent.meaning import Meaning
from intent.memory import Memory


def test_memory_is_bounded_and_forgets_the_least_used() -> None:
    """Of more answers than there is room for, the one not used for longest is forgotten."""
    memory = Memory()
    for number in range(2048):
        memory.keep(("fa", str(number)), Meaning.NO)
    assert memory.recall(("fa", "0")) is Meaning.NO
    memory.keep(("fa", "one more"), Meaning.YES)
    assert memory.recall(("fa", "0")) is Meaning.NO
    assert memory.recall(("fa", "1")) is None
    assert memory.recall(("en", "0")) is None
