"""Which engines transcribe, as the settings say, and what a mistake in them says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicekit.errors import StartupError
from servicekit.settings import load_settings
from speech.engines import build_stt
from speech.providers import retry_after_s
from speech.settings import SpeechSettings
from speech_support.service import plain_http

TOKEN = {"VIRA_STT_TOKEN": "the-secret"}
SERVER = {"STT_BASE_URL": "http://127.0.0.1:8000/v1"}


def _load(monkeypatch: pytest.MonkeyPatch, directory: Path, **values: str) -> SpeechSettings:
    """Read settings from an environment with these values alone."""
    monkeypatch.chdir(directory)
    for name in SpeechSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings(SpeechSettings)


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ({}, ("pocketsphinx",)),
        (TOKEN, ("vira",)),
        (SERVER, ("openai",)),
        (TOKEN | SERVER, ("vira",)),
        (TOKEN | SERVER | {"STT_PROVIDERS": " openai , vira"}, ("openai", "vira")),
        (TOKEN | {"STT_PROVIDERS": "vira,pocketsphinx"}, ("vira", "pocketsphinx")),
        (TOKEN | {"STT_PROVIDERS": "pocketsphinx"}, ("pocketsphinx",)),
    ],
)
def test_engines_are_asked_in_the_order_that_is_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str], order: tuple[str, ...]
) -> None:
    """STT_PROVIDERS decides; without it, the first that has its token or address."""
    assert _load(monkeypatch, tmp_path, **values).stt_order == order


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"STT_PROVIDERS": "vira"}, "VIRA_STT_TOKEN is not set: set it, or leave out vira"),
        ({"STT_PROVIDERS": "openai"}, "STT_BASE_URL is not set: set it, or leave out openai"),
        ({"STT_PROVIDERS": "pocketsphinx,whisper"}, "STT_PROVIDERS=pocketsphinx,whisper is not"),
        ({"STT_PROVIDERS": "pocketsphinx,pocketsphinx"}, "pocketsphinx"),
        ({"STT_BASE_URL": "127.0.0.1:8000"}, "STT_BASE_URL=127.0.0.1:8000 is not allowed"),
    ],
)
def test_a_choice_that_cannot_be_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, values: dict[str, str], said: str
) -> None:
    """An engine without its token or address, an unknown and a repeated one: what to do."""
    with pytest.raises(StartupError) as caught:
        _load(monkeypatch, tmp_path, **values)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_each_engine_is_built_with_what_it_needs() -> None:
    """The paid engines speak Persian; processes are needed where the embedded one is named."""
    settings = SpeechSettings(
        stt_providers=("openai", "pocketsphinx"), stt_base_url=SERVER["STT_BASE_URL"]
    )
    async with plain_http() as http:
        both = build_stt(settings, http)
        alone = build_stt(settings.model_copy(update={"stt_providers": ("openai",)}), http)
    assert both.workers is not None
    assert alone.workers is None
    alone.transcriber.check_language("fa")


class _NewYear:
    """A clock that stands."""

    def now(self) -> datetime:
        """Give the first minute of a year."""
        return datetime(2026, 1, 1, 0, 1, tzinfo=UTC)

    def monotonic_s(self) -> float:
        """Give nothing of use."""
        return 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("۱۲", None),
        ("Thu, 01 Jan 2026 00:01:30", None),
        ("Thu, 99 Jan 9999 00:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """Both forms of RFC 9110 are read; what is neither counts as not said."""
    assert retry_after_s(value, _NewYear()) == seconds
