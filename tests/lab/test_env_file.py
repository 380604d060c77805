"""The file that tells services how to reach the lab."""

from __future__ import annotations

import io
from pathlib import Path

from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from lab import env_file
from lab.paths import LabPaths

VALUES = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1)


def test_names_are_those_services_read(tmp_path: Path) -> None:
    """Exactly the settings a service needs to use the lab are written."""
    settings = env_file.lab_settings(LabPaths(tmp_path), "secret")
    assert settings == {
        "ARI_BASE_URL": "http://127.0.0.1:8088/ari",
        "ARI_WS_URL": "ws://127.0.0.1:8088/ari/events",
        "ARI_APP_NAME": "salehi",
        "ARI_USERNAME": "salehi",
        "ARI_PASSWORD": "secret",
        "OUTBOUND_TRUNK": "trunk",
        "OPERATOR_TRUNK": "operators",
        "AST_SOUND_DIR": str(tmp_path / "root/usr/local/share/asterisk/sounds"),
    }


@given(VALUES)
def test_any_value_survives(value: str) -> None:
    """What a service reads back is what was written, quotes, spaces and dollars included."""
    text = env_file.render({"AST_SOUND_DIR": value})
    assert dotenv_values(stream=io.StringIO(text), interpolate=False) == {"AST_SOUND_DIR": value}


def test_file_is_private_even_when_it_was_not(tmp_path: Path) -> None:
    """The file holds a password: only its owner may read it, whoever made it before."""
    path = tmp_path / "lab.env"
    path.touch(mode=0o644)
    env_file.write(path, {"ARI_PASSWORD": "secret"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert "ARI_PASSWORD=secret\n" in path.read_text()
