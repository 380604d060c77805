"""Settings: one line per mistake, and nothing secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from servicekit.errors import StartupError
from servicekit.settings import CsvTuple, ServiceSettings, load_settings


class Example(ServiceSettings):
    """Settings as a service declares them."""

    max_calls: int = Field(2, ge=1, le=9, description="calls at once, 1 to 9")
    numbers: CsvTuple = Field((), description="numbers, separated by commas")
    password: SecretStr = Field(description="the password")


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a settings file that ENV_FILE names."""
    path = tmp_path / "service.env"
    path.write_text("PASSWORD=hush\n", encoding="utf-8")
    monkeypatch.setenv("ENV_FILE", str(path))
    return path


def test_the_file_alone_is_enough(env_file: Path) -> None:
    """A settings file configures a service without any variable in the environment."""
    env_file.write_text("PASSWORD=hush\nMAX_CALLS=3\nNUMBERS=1, 2,\n", encoding="utf-8")
    settings = load_settings(Example)
    assert (settings.max_calls, settings.numbers) == (3, ("1", "2"))


def test_the_environment_wins(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable in the environment overrides the settings file."""
    env_file.write_text("PASSWORD=hush\nMAX_CALLS=3\n", encoding="utf-8")
    monkeypatch.setenv("MAX_CALLS", "4")
    assert load_settings(Example).max_calls == 4


@pytest.mark.usefixtures("env_file")
def test_empty_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as not set."""
    monkeypatch.setenv("MAX_CALLS", "")
    assert load_settings(Example).max_calls == 2


@pytest.mark.usefixtures("env_file")
@pytest.mark.parametrize("value", ["many", "0", "10"])
def test_a_bad_value_is_one_line(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bad value is one line that names the key, the value and what is allowed."""
    monkeypatch.setenv("MAX_CALLS", value)
    with pytest.raises(StartupError) as error:
        load_settings(Example)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"MAX_CALLS={value} is not allowed")
    assert line.endswith("calls at once, 1 to 9")


def test_a_missing_value_is_one_line(env_file: Path) -> None:
    """A missing value is one line that names the key and says what it is."""
    env_file.write_text("", encoding="utf-8")
    with pytest.raises(StartupError, match=r"^PASSWORD is not set: the password$"):
        load_settings(Example)


@pytest.mark.usefixtures("env_file")
def test_every_mistake_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mistakes give two lines, so that they are mended in one go."""
    monkeypatch.setenv("MAX_CALLS", "many")
    monkeypatch.setenv("LOG_LEVEL", "LOUD")
    with pytest.raises(StartupError) as error:
        load_settings(Example)
    assert len(str(error.value).splitlines()) == 2


def test_a_settings_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """ENV_FILE naming no file is an error that names it."""
    monkeypatch.setenv("ENV_FILE", "/nowhere/x.env")
    with pytest.raises(StartupError, match=r"ENV_FILE=/nowhere/x\.env is not a file"):
        load_settings(Example)


@pytest.mark.usefixtures("env_file")
def test_a_time_zone_must_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt time zone is refused at start."""
    monkeypatch.setenv("TIMEZONE", "Asia/Teheran-ish")
    with pytest.raises(StartupError, match="TIMEZONE=Asia/Teheran-ish"):
        load_settings(Example)
