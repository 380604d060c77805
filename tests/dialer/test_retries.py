from __future__ import annotations

import pytest

from dialer.retries import RetryPolicy
from salehi.calls.v1.calls_pb2 import Disposition

BUSY = Disposition.DISPOSITION_BUSY


def test_a_rule_allows_its_number_of_retries_and_no_more() -> None:
    """`busy:2/900` tries a busy number three times in all, 900 s apart."""
    policy = RetryPolicy.parse(("busy:2/900", "no_answer:1/60"))
    assert [policy.delay_s(BUSY, made) for made in (1, 2, 3)] == [900, 900, None]


@pytest.mark.parametrize(
    "disposition",
    [
        Disposition.DISPOSITION_ANSWERED,
        Disposition.DISPOSITION_INVALID_NUMBER,
        Disposition.DISPOSITION_UNSPECIFIED,
    ],
)
def test_what_has_no_rule_is_final(disposition: Disposition.ValueType) -> None:
    """Answered, invalid and unknown attempts are never retried."""
    assert RetryPolicy.parse(("busy:2/900",)).delay_s(disposition, 1) is None


def test_none_means_no_retries() -> None:
    """The word `none` turns retries off."""
    assert RetryPolicy.parse(("none",)).delay_s(BUSY, 1) is None


@pytest.mark.parametrize("part", ["busy", "busy:2", "answered:1/60", "busy:-1/60", "busy:1/x", ""])
def test_nonsense_is_refused(part: str) -> None:
    """A rule that cannot be understood is refused, not ignored."""
    with pytest.raises(ValueError, match="DISPOSITION:RETRIES/SECONDS"):
        RetryPolicy.parse((part,))
