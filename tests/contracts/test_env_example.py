"""`.env.example` tells the truth: every setting, and its real default."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from ari_gateway.settings import GatewaySettings
from dialer.settings import DialerSettings
from intent.settings import IntentSettings
from reporter.settings import ReporterSettings
from servicekit.settings import ServiceSettings
from speech.settings import SpeechSettings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
SERVICES: tuple[type[ServiceSettings], ...] = (
    GatewaySettings,
    DialerSettings,
    SpeechSettings,
    IntentSettings,
    ReporterSettings,
)


def documented() -> dict[str, str]:
    """Read the example: setting to value."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"#?([A-Z0-9_]+)=(.*)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}


def test_every_setting_is_in_the_example_and_no_other() -> None:
    """The example lists exactly the settings the five services read."""
    read = {name.upper() for settings in SERVICES for name in settings.model_fields}
    assert set(documented()) == read


@pytest.mark.parametrize("settings", SERVICES)
def test_defaults_in_the_example_are_the_real_ones(settings: type[ServiceSettings]) -> None:
    """What the example shows as default is what the code uses."""
    example = documented()
    for name, field in settings.model_fields.items():
        shown = example[name.upper()]
        if not shown:
            assert field.is_required() or not field.default, name
            continue
        if isinstance(field.default, tuple):
            assert tuple(shown.split(",")) == field.default, name
            continue
        kind = type(field.default)
        expected = TypeAdapter(kind).validate_strings(shown)
        assert expected == field.default, name


def test_the_example_starts_nothing_by_itself() -> None:
    """Copied as it is, the example sets nothing that dials."""
    text = EXAMPLE.read_text(encoding="utf-8")
    uncommented = re.findall(r"^([A-Z0-9_]+)=(.+)$", text, re.MULTILINE)
    assert uncommented == []
