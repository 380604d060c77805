from __future__ import annotations

import pytest

from simulation.running import Order, run


@pytest.mark.parametrize("number", range(10))
def test_no_promise_is_broken_whatever_happens(number: int) -> None:
    """A random campaign of several dialers keeps every limit and promise, judged at the trunk.

    Requests are refused, delayed and lost, dialers die between any two statements, commits stay
    unconfirmed, gateway and Asterisk restart, days roll over, people call in and opt out.
    """
    seen = run(Order(seed=1, number=number, calls=150, replicas=3))
    assert seen["calls dialled"] >= 150


@pytest.mark.parametrize("number", range(3))
def test_dialers_that_claim_at_the_same_moment_share_what_there_is(
    number: int, postgres_url: str
) -> None:
    """On PostgreSQL dialers claim side by side, some dying in the middle, and break no promise."""
    seen = run(Order(seed=2, number=number, calls=60, replicas=3, database_url=postgres_url))
    assert seen["calls dialled"] >= 60
