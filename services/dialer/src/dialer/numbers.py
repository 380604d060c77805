"""Phone numbers: what is accepted, how they are stored, what is dialled."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat, PhoneNumberType

from dialer.errors import InvalidNumber

# What may go into a dial string or caller ID. `str.isdigit` would let Persian digits through, and
# `&` in a dial string would call a second party.
_DIALABLE = re.compile(r"[0-9]{3,15}", re.ASCII)
_FIELDS = ("line", "line_last4", "number", "number_international")
_MAX_TEXT = 40


class NumberKind(enum.StrEnum):
    """What kind of connection a number belongs to."""

    MOBILE = "mobile"
    FIXED_LINE = "fixed_line"


_KINDS: dict[NumberKind, frozenset[int]] = {
    NumberKind.MOBILE: frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}),
    NumberKind.FIXED_LINE: frozenset(
        {PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
    ),
}


def number_kinds(names: tuple[str, ...]) -> tuple[NumberKind, ...]:
    """Read kinds of numbers by name.

    Raises:
        ValueError: a name that is no kind.
    """
    return tuple(NumberKind(name) for name in names)


def is_dialable(text: str) -> bool:
    """Whether a text may go into a dial string or caller ID: 3 to 15 ASCII digits."""
    return _DIALABLE.fullmatch(text) is not None


@lru_cache(64)  # a call needs it twice
def national(number: str) -> str:
    """Give a stored number (E.164) as people of its country dial it (`0912…`), digits only.

    Raises:
        InvalidNumber: it is no E.164 number.
    """
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException as error:
        raise InvalidNumber("no E.164 number") from error
    if not phonenumbers.is_valid_number(parsed):
        raise InvalidNumber("no valid E.164 number")
    shown = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return "".join(character for character in shown if character.isdigit())


@dataclass(frozen=True)
class NumberPlan:
    """Which numbers a campaign calls.

    Attributes:
        region: ISO country code that numbers without a country prefix belong to.
        kinds: the kinds of numbers that are called.
    """

    region: str = "IR"
    kinds: tuple[NumberKind, ...] = (NumberKind.MOBILE,)

    def normalise(self, text: str) -> str:
        """Give a number as E.164 (`+98912…`), from any common form and any script's digits.

        Raises:
            InvalidNumber: it is no valid number of the wanted kind; the message says why.
        """
        parsed = self._valid(text)
        if parsed.country_code != phonenumbers.country_code_for_region(self.region):
            # Its national form would be somebody else's number here.
            raise InvalidNumber("a number of another country")
        wanted = frozenset[int]().union(*(_KINDS[kind] for kind in self.kinds))
        if phonenumbers.number_type(parsed) not in wanted:
            raise InvalidNumber(f"not a {' or '.join(self.kinds).replace('_', ' ')} number")
        return str(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))

    def identify(self, text: str) -> str:
        """Give any valid number as E.164, whether of a kind that is called or not.

        Raises:
            InvalidNumber: it is no valid number.
        """
        return str(phonenumbers.format_number(self._valid(text), PhoneNumberFormat.E164))

    def _valid(self, text: str) -> PhoneNumber:
        if len(text) > _MAX_TEXT:
            raise InvalidNumber("too long for a phone number")
        cleaned = text.strip()
        if cleaned.startswith("00"):
            cleaned = f"+{cleaned[2:]}"
        try:
            parsed = phonenumbers.parse(cleaned, self.region)
        except phonenumbers.NumberParseException as error:
            raise InvalidNumber("no phone number") from error
        if not phonenumbers.is_valid_number(parsed):
            raise InvalidNumber("no valid phone number")
        return parsed


@dataclass(frozen=True)
class DialTemplate:
    """How a trunk wants to be dialled, for example `{line_last4}{number}`.

    Fields: `line` and `line_last4` (our line), `number` (national, `0912…`) and
    `number_international` (`98912…`).
    """

    template: str

    def __post_init__(self) -> None:
        """Refuse a template with other fields, or one that gives no dial string."""
        try:
            sample = self._fill("1001", "+989121234567")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"a dial template has only the fields {', '.join(_FIELDS)}") from error
        if not is_dialable(sample) or "number" not in self.template:
            raise ValueError("a dial template must give 3 to 15 digits with the number in them")

    def dial_string(self, line: str, number: str) -> str:
        """Give what the trunk is asked to dial, digits only.

        Args:
            line: our line.
            number: the customer, E.164.

        Raises:
            InvalidNumber: the result is not 3 to 15 digits.
        """
        dialled = self._fill(line, number)
        if not is_dialable(dialled):
            raise InvalidNumber("the dial string is not 3 to 15 digits")
        return dialled

    def _fill(self, line: str, number: str) -> str:
        return self.template.format(
            line=line,
            line_last4=line[-4:],
            number=national(number),
            number_international=number.removeprefix("+"),
        )
