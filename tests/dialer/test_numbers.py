from __future__ import annotations

import pytest

from dialer.errors import InvalidNumber
from dialer.numbers import DialTemplate, NumberKind, NumberPlan, is_dialable

PLAN = NumberPlan()


@pytest.mark.parametrize(
    "written",
    [
        "09120000101",
        "9120000101",
        "+989120000101",
        "00989120000101",
        "989120000101",
        "0912 000 01 01",
        "(0912) 000-0101",
        "۰۹۱۲۰۰۰۰۱۰۱",
        "٠٩١٢٠٠٠٠١٠١",
        " 09120000101\t",
    ],
)
def test_every_common_form_is_one_number(written: str) -> None:
    """Whatever way a mobile number is written, it is stored as the same E.164 number."""
    assert PLAN.normalise(written) == "+989120000101"


@pytest.mark.parametrize(
    "written",
    ["", "x", "0912000010", "091200001011", "02188888888", "110", "+14155550100", "1" * 4000],
)
def test_what_is_no_mobile_number_of_the_region_is_refused(written: str) -> None:
    """Short, long, landline, foreign and empty texts are refused, in words without digits."""
    with pytest.raises(InvalidNumber) as refused:
        PLAN.normalise(written)
    assert not any(character.isdigit() for character in str(refused.value))


def test_landlines_are_called_where_the_plan_says_so() -> None:
    """A plan that includes fixed lines takes a landline; `identify` takes it in any plan."""
    plan = NumberPlan(kinds=(NumberKind.MOBILE, NumberKind.FIXED_LINE))
    assert plan.normalise("02188888888") == "+982188888888"
    assert PLAN.identify("02188888888") == "+982188888888"


@pytest.mark.parametrize(
    "text", ["12", "1" * 16, "0912&0913", "۰۹۱۲", "091 2", "09a", "", "0912\n"]
)
def test_only_ascii_digits_go_into_a_dial_string(text: str) -> None:
    """Anything but 3 to 15 ASCII digits is kept out of dial strings."""
    assert not is_dialable(text)


@pytest.mark.parametrize(
    ("template", "dialled"),
    [
        ("{line_last4}{number}", "100109120000101"),
        ("{number}", "09120000101"),
        ("{number_international}", "989120000101"),
        ("9{number}", "909120000101"),
    ],
)
def test_each_trunk_is_dialled_by_its_template(template: str, dialled: str) -> None:
    """The template puts line and number together as the trunk wants them."""
    assert DialTemplate(template).dial_string("021661001", "+989120000101") == dialled


@pytest.mark.parametrize(
    "template", ["{who}{number}", "{line}", "{number}&1", "{number", "{line}{number}12345", "{}"]
)
def test_a_template_that_gives_no_dial_string_is_refused(template: str) -> None:
    """Unknown fields, missing numbers and other characters are refused before any call."""
    with pytest.raises(ValueError, match="dial template"):
        DialTemplate(template)


def test_a_line_too_long_for_the_template_is_refused_per_call() -> None:
    """A dial string of more than 15 digits is never dialled."""
    with pytest.raises(InvalidNumber):
        DialTemplate("{line}{number}").dial_string("02166100", "+989120000101")
