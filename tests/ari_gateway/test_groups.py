"""What is written at the same time is written together, and each writer hears of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ari_gateway.sessions.groups import Groups


class Book:
    """Writes groups that take a second each."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.away = False

    async def write(self, items: Sequence[str]) -> list[BaseException | None]:
        """Write; what is called `bad` is refused."""
        await asyncio.sleep(1)
        if self.away:
            raise ConnectionError("away")
        self.groups.append(list(items))
        return [ValueError(item) if item == "bad" else None for item in items]


async def test_what_comes_while_one_writes_goes_together() -> None:
    """The first goes alone and at once; all that come meanwhile are the next group, in order."""
    book = Book()
    groups = Groups(book.write)
    await asyncio.gather(*(groups.add(str(number)) for number in range(5)))
    assert [name for group in book.groups for name in group] == list("01234")
    assert len(book.groups) <= 2
    assert asyncio.get_running_loop().time() <= 2.1


async def test_what_is_in_no_hurry_goes_along() -> None:
    """It waits for company as long as it may, goes with the first that is in a hurry, or alone."""
    book = Book()
    groups = Groups(book.write)
    loop = asyncio.get_running_loop()
    patient = asyncio.create_task(groups.add("patient", patience_s=5))
    await asyncio.sleep(2)
    await groups.add("hurried")
    assert book.groups == [["patient", "hurried"]]
    assert loop.time() == pytest.approx(3, abs=0.01)
    await patient
    await asyncio.gather(groups.add("alone", patience_s=5), groups.add("too", patience_s=9))
    assert book.groups[1:] == [["alone", "too"]]
    assert loop.time() == pytest.approx(9, abs=0.01)


async def test_what_comes_in_no_hurry_while_one_writes_may_wait_still() -> None:
    """A write that ends is no reason to write at once what may wait."""
    book = Book()
    groups = Groups(book.write)
    first = asyncio.create_task(groups.add("first"))
    await asyncio.sleep(0.5)
    await groups.add("second", patience_s=5)
    assert book.groups == [["first"], ["second"]]
    assert asyncio.get_running_loop().time() == pytest.approx(6.5, abs=0.01)
    await first


async def test_each_hears_of_its_own() -> None:
    """One that is refused alone fails alone."""
    groups = Groups(Book().write)
    outcomes = await asyncio.gather(*map(groups.add, ("a", "bad", "c")), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, type(None)]


async def test_a_write_that_fails_fails_for_all_of_its_group() -> None:
    """When the store is away nobody is told that it was written; later it works again."""
    book = Book()
    groups = Groups(book.write)
    book.away = True
    outcomes = await asyncio.gather(*map(groups.add, "abc"), return_exceptions=True)
    assert all(isinstance(outcome, ConnectionError) for outcome in outcomes)
    book.away = False
    await groups.add("d")
    assert book.groups == [["d"]]


async def test_who_gives_up_takes_no_other_with_him() -> None:
    """A writer that is cancelled in mid-write costs nobody else of the group his."""
    book = Book()
    groups = Groups(book.write)
    first = asyncio.create_task(groups.add("first"))
    second = asyncio.create_task(groups.add("second"))
    third = asyncio.create_task(groups.add("third"))
    await asyncio.sleep(0.5)
    first.cancel()
    await asyncio.gather(second, third)
    with pytest.raises(asyncio.CancelledError):
        await first
    written = [name for group in book.groups for name in group]
    assert sorted(written) == ["first", "second", "third"]
