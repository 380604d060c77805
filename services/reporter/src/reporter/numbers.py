"""Finding a person by number, whatever form it was stored or is asked for in."""

from __future__ import annotations

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberFormat

from reporter.errors import BadNumber

_MAX_TEXT = 40
_SEPARATORS = re.compile(r"[\s()./\u2010-\u2015\u200c\u200e\u200f-]+")
# Short numbers and other networks' own ones: an inbound call may show anything.
_PLAIN = re.compile(r"\+?[0-9]{3,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NumberForms:
    """The forms one number may be stored in.

    Attributes:
        region: ISO country code that numbers without a country prefix belong to.
    """

    region: str = "IR"

    def of(self, text: str) -> tuple[str, ...]:
        """Give all forms of a number written in any common form and any script's digits.

        Results hold E.164 for the numbers we dialled, and whatever the trunk showed for inbound.

        Raises:
            BadNumber: it is no phone number.
        """
        cleaned = _cleaned(text)
        parsed = self._parsed(cleaned)
        if parsed is None:
            digits = cleaned.removeprefix("+")
            return (digits, f"+{digits}")
        international = str(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))
        digits = international.removeprefix("+")
        forms = [international, digits, f"00{digits}"]
        if self._is_national(parsed):
            forms += [_national(parsed), phonenumbers.national_significant_number(parsed)]
        return tuple(dict.fromkeys(forms))

    def person(self, text: str) -> str:
        """Give the one form that stands for all forms of a number: E.164, or else its digits.

        Raises:
            BadNumber: it is no phone number.
        """
        return self.of(text)[0]

    def dialled(self, text: str) -> str:
        """Give a number as people here dial it: the national form, E.164 abroad, or its digits.

        Raises:
            BadNumber: it is no phone number.
        """
        parsed = self._parsed(_cleaned(text))
        if parsed is not None and self._is_national(parsed):
            return _national(parsed)
        return self.person(text)

    def _is_national(self, parsed: PhoneNumber) -> bool:
        """Elsewhere the national form is somebody else's number."""
        return bool(parsed.country_code == phonenumbers.country_code_for_region(self.region))

    def _parsed(self, cleaned: str) -> PhoneNumber | None:
        dialled = f"+{cleaned[2:]}" if cleaned.startswith("00") else cleaned
        try:
            parsed = phonenumbers.parse(dialled, self.region)
        except phonenumbers.NumberParseException:
            return None
        return parsed if phonenumbers.is_valid_number(parsed) else None


def _national(parsed: PhoneNumber) -> str:
    shown = phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL)
    return re.sub(r"\D", "", shown)


def _cleaned(text: str) -> str:
    cleaned = _SEPARATORS.sub("", _ascii_digits(text))
    if len(text) > _MAX_TEXT or not _PLAIN.fullmatch(cleaned):
        raise BadNumber("number is no phone number")
    return cleaned


def _ascii_digits(text: str) -> str:
    return "".join(str(int(char)) if char.isdecimal() else char for char in text)
