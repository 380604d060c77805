from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from dialer.limits import Line, LineLimits
from dialer.settings import DialerSettings
from servicekit.errors import StartupError
from servicekit.settings import load_settings

Load = Callable[..., DialerSettings]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> Load:
    """Give a way to load settings from nothing but the variables of the test."""
    for name in DialerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(str(tmp_path))

    def load_with(**variables: str) -> DialerSettings:
        for name, value in {
            "OUTBOUND_TRUNK": "trunk",
            "OUTBOUND_NUMBERS": "1001,1002",
            **variables,
        }.items():
            monkeypatch.setenv(name, value)
        return load_settings(DialerSettings)

    return load_with


def test_the_defaults_are_the_existing_deployments(load: Load) -> None:
    """With lines and trunk alone the dialer has the limits campaigns run with today."""
    settings = load()
    assert settings.lines == (
        Line("1001", LineLimits(2, 10, 200)),
        Line("1002", LineLimits(2, 10, 200)),
    )
    assert settings.origination_timeout == 30
    assert (settings.dialer_batch_size, settings.dialer_default_retry) == (10, 60)
    assert (settings.window.opens_minute, settings.window.closes_minute) == (540, 1260)
    assert settings.require_consent
    assert settings.database_address == "sqlite:///data/dialer.db"


def test_a_line_can_have_limits_of_its_own(load: Load) -> None:
    """LINE_LIMITS changes the limits of the lines it names and of no other."""
    settings = load(LINE_LIMITS="1002:3/20/500")
    assert [line.limits for line in settings.lines] == [
        LineLimits(2, 10, 200),
        LineLimits(3, 20, 500),
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OUTBOUND_NUMBERS", ""),
        ("OUTBOUND_NUMBERS", "1001;1002"),
        ("OUTBOUND_NUMBERS", "1001,1001"),
        ("OUTBOUND_NUMBERS", "۱۰۰۱"),
        ("OUTBOUND_TRUNK", ""),
        ("OUTBOUND_TRUNK", "a trunk"),
        ("CALL_WINDOW", "21:00-09:00"),
        ("TIMEZONE", "Mars/Olympus"),
        ("DIAL_TEMPLATE", "{line}"),
        ("LINE_LIMITS", "1003:1/1/1"),
        ("LINE_LIMITS", "1001:0/1/1"),
        ("NUMBER_REGION", "ZZZ"),
        ("NUMBER_TYPES", "pager"),
        ("RETRY_POLICY", "busy"),
        ("PANEL_BASE_URL", "panel.example"),
        ("MAX_CALLS_PER_DAY", "0"),
        ("DEFAULT_CALLER_ID", "anonymous"),
        ("ARI_GATEWAY_ADDRESS", "nowhere"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(load: Load, name: str, value: str) -> None:
    """Each malformed setting ends the start with one line that begins with its name."""
    with pytest.raises(StartupError) as refused:
        load(**{name: value})
    assert re.match(rf"{name}[ =]", str(refused.value))
    assert "\n" not in str(refused.value)


def test_a_panel_needs_its_token(load: Load) -> None:
    """A panel without a token is refused at start, not at the first request."""
    with pytest.raises(StartupError, match="PANEL_API_TOKEN"):
        load(PANEL_BASE_URL="http://127.0.0.1:9")


def test_contacts_never_show_in_an_error(load: Load) -> None:
    """A line about a bad setting does not carry the numbers of the static list."""
    with pytest.raises(StartupError) as refused:
        load(STATIC_CONTACTS="09120000101", OUTBOUND_NUMBERS="x")
    assert "09120000101" not in str(refused.value)
